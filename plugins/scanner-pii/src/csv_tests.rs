//! Tests of tables between delimiters and of fixed width.

use crate::testing::{all, found, nothing};

#[test]
fn a_header_names_the_cells() {
    let text = "id,first_name,phone,dob,password,note\n1,Ada,0301234567,1980-03-12,Kestrel81!,\"a, b\"\r\n2,\"Jo\",x,1990-01-02,${X},y\n";
    assert_eq!(
        all(text),
        [
            ("PERSON", "Ada"),
            ("PHONE", "0301234567"),
            ("DOB", "1980-03-12"),
            ("PASSWORD", "Kestrel81!"),
            ("PERSON", "Jo"),
            ("DOB", "1990-01-02"),
        ]
    );
}

#[test]
fn headers_in_all_styles_and_languages() {
    for text in [
        "Customer No,First Name,Last Name,Date of Birth\n17,Ada,KING,12/03/1980\n",
        "# list of 2024\nNr;Vorname;Nachname;Geburtsdatum\n17;Ada;KING;12/03/1980\n",
        "\"N° adhérent\";\"Prénom\";\"Nom\";\"Né(e) le\"\n\"17\";\"Ada\";\"KING\";\"12/03/1980\";\n",
        "id\tnombre\tapellidos\tfecha_nacimiento\n17\tAda\tKING\t12/03/1980\n",
        "id|imię|nazwisko|data_urodzenia\n17|Ada|KING|12/03/1980\nTRL|1|9\n",
        "PERNR~VORNA~NACHN~GBDAT\n17~Ada~KING~12/03/1980\n",
        "| No | Given Name | Surname | Born |\n|:---|---:|---|---|\n| 17 | **Ada** | `KING` | 12/03/1980 |\n",
        "+----+-------+-------+------------+\n| id | fname | lname | dob        |\n+----+-------+-------+------------+\n\
         | 17 | Ada   | KING  | 12/03/1980 |\n+----+-------+-------+------------+\n",
        " id | voornaam | achternaam | geboortedatum \n----+----------+------------+---------------\n 17 | Ada | KING | 12/03/1980\n(1 row)\n",
        "ID   FIRST_NAME LAST_NAME  BIRTHDATE\n---- ---------- ---------- ----------\n  17 Ada        KING       12/03/1980\n\n1 row\n",
    ] {
        assert_eq!(all(text), [("PERSON", "Ada"), ("PERSON", "KING"), ("DOB", "12/03/1980")], "{text}");
    }
}

#[test]
fn addresses_and_numbers_of_columns() {
    let text = "name;Straße;PLZ;Ort;Telefon;email\nAda King;Am Anger 7;83646;Bad Tölz;08041 123456;a@b.co\n";
    assert_eq!(
        all(text),
        [
            ("PERSON", "Ada King"),
            ("ADDRESS", "Am Anger 7"),
            ("ADDRESS", "83646"),
            ("ADDRESS", "Bad Tölz"),
            ("PHONE", "08041 123456"),
            ("EMAIL", "a@b.co"),
        ]
    );
    let text = "SURNAME,DOC NO,NAT\nKING,C01X00T47,GBR\n";
    assert_eq!(all(text), [("PERSON", "KING"), ("PASSPORT", "C01X00T47")]);
    let text = "| System | Host | Benutzer | Kennwort |\n|---|---|---|---|\n| X | `db01` | `aking` | `Kestrel81!` |\n";
    assert_eq!(all(text), [("HOSTNAME", "db01"), ("USERNAME", "aking"), ("PASSWORD", "Kestrel81!")]);
    let text = "| meta_key | meta_value |\n+---+---+\n| billing_first_name | Ada |\n| session | x |\n";
    assert_eq!(all(text), [("PERSON", "Ada")]);
}

#[test]
fn other_lines_with_commas_are_no_header() {
    nothing("we need a name, a dob, and more\nAda,1980-03-12,x\n");
    nothing("name,dob\nAda,1980-03-12\n");
    nothing("id,name,dob\n\n1,Ada King,1980-03-12\n");
    nothing("id,name,dob\n");
}

#[test]
fn what_is_missing_and_what_is_no_name() {
    nothing("first_name;last_name;dob;address\nN/A;-;null;unknown\n;;;\nnone;Reiter GmbH;0000-00-00;n/a\n");
    nothing("name,environment,stock\nbilling-sync,production,12\n");
    nothing("imei,firmware,first_seen,name\n4901,15.7.33.198,x,y\n");
    assert_eq!(found("imei,ip,name\n4901,15.7.33.198,x\n", "IPV4"), ["15.7.33.198"]);
}
