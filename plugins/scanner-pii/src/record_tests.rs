//! Tests of records in other notations than tables: members of JSON, elements, attributes, lists of names and values;
//! and of what looks like them and is nobody's.

use crate::testing::{all, found, nothing};

#[test]
fn names_of_fields_of_many_formats() {
    for (text, name) in [
        ("\nsn: King\n", "King"),
        ("\"name\": [{\"family\": \"King\"}]", "King"),
        ("{\"FullName\":{\"S\":\"Ada King\"}}", "Ada King"),
        ("{\"fullName\":{\"string\":\"Ada King\"}}", "Ada King"),
        ("<Cdtr><Nm>Ada King</Nm></Cdtr>", "Ada King"),
        ("<family value=\"King\"/>", "King"),
        ("Name=\"displayName\"><saml:AttributeValue>Ada King</saml:AttributeValue>", "Ada King"),
        ("<key>FullName</key><string>Ada King</string>", "Ada King"),
        ("<td>Surname</td>\n<td>King</td>", "King"),
        ("name=\"applicant[surname]\"\r\n\r\nKing\r\n--x", "King"),
        ("\"name\":\"Mar\\u00eda N\\u00fa\\u00f1ez\"", "Mar\\u00eda N\\u00fa\\u00f1ez"),
        ("dn: CN=King\\, Ada,OU=x", "King\\, Ada"),
        ("{ first: 'Ada', last: '17' }", "Ada"),
        ("From: =?UTF-8?Q?J=C3=BCrgen_King?= <j@acme.com>", "J=C3=BCrgen_King"),
        ("naam = \"Ada King\"", "Ada King"),
        ("Map(surname -> King, x -> y)", "King"),
        ("New-ADUser -Name 'Ada King' -x", "Ada King"),
    ] {
        assert_eq!(found(text, "PERSON"), [name], "{text}");
    }
    assert_eq!(found("\"given\": [\"Ada\", \"Mary\"]", "PERSON"), ["Ada", "Mary"]);
}

#[test]
fn births_and_streets_of_records() {
    for (text, date) in [
        ("<geburtsdatum>1955-10-16+01:00</geburtsdatum>", "1955-10-16"),
        ("\"dob\": { \"$date\": \"1979-08-23T00:00:00Z\" }", "1979-08-23"),
        ("dob: ISODate('1979-08-23T00:00:00Z')", "1979-08-23"),
        ("fecha_nacimiento: 23.08.1979\n", "23.08.1979"),
    ] {
        assert_eq!(all(text), [("DOB", date)], "{text}");
    }
    for (text, street) in [
        ("\"address\": [{\"line\": [\"41 Fishergate\"]}]", "41 Fishergate"),
        ("\"line1\": \"12 Shop Street\"", "12 Shop Street"),
        ("STRAS=Gerberau 12 PSTLZ=79098", "Gerberau 12"),
        ("address_street=7+Cotswold+Rise&x=1", "7+Cotswold+Rise"),
        ("<AdrLine>Talweg 9, 10115 Berlin</AdrLine>", "Talweg 9, 10115 Berlin"),
    ] {
        assert_eq!(all(text), [("ADDRESS", street)], "{text}");
    }
}

#[test]
fn names_of_things() {
    for text in [
        "\"team\": {\"name\": \"Halberg Logistik\"}",
        "\"appDisplayName\":\"SharePoint Online\"",
        "<testsuite name=\"Checkout Trip\" tests=\"3\">",
        "<Nm>Halberg Logistik AG</Nm>",
        "\"firstName\": \"First name\"",
        "| Column | Type |\n|---|---|\n| first_name | text |\n",
    ] {
        nothing(text);
    }
}

#[test]
fn what_stands_in_a_secrets_place() {
    for text in [
        "password: {type: string, format: password}",
        "\"sid\": \"SM9c1e77b02af84d6e9d2c5a3b18f0764e\"",
        "I-Idempotency-Token: e8cbc7c3-5b20-4f1e-a7eb-2a18a45d9e7f",
        "Cookie: cart=1882704d-b8f1-439d-a7d8-004f4b2744c4",
        "Message-ID: <CAF=Kc8bR1u7wXqZ2vN4yA@mail.gmail.com>",
        "SW 15.31.79.94 -> 14.35.14.52",
        "phone: 000-000-0000",
        "password: SecretString,",
        "password=RAW_PASSWORD",
        "label.password=Passwort1",
        "postgres://USER:PASSWORD@HOST/x",
        "execute(['password' => $hash])",
        "checksum/secret: 6f4e1ccc119b76eff163a9d7588b3bddef735ee132cc86fbc307fc8825c316b5",
        "\"password\":\"hmac-sha256:9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a3928\"",
        "Ciphers chacha20-poly1305@openssh.com",
    ] {
        nothing(text);
    }
}

#[test]
fn secrets_of_files_of_configuration() {
    for (text, secret) in [
        ("define( 'DB_PASSWORD', 'Kestrel81!' );", "Kestrel81!"),
        ("admin_password = \"\"\"Kestrel81!\"\"\"", "Kestrel81!"),
        ("psk=\"Kestrel81!\"", "Kestrel81!"),
        ("set psksecret Kestrel81!\n", "Kestrel81!"),
        ("snmp-server community K3strel81 RO", "K3strel81"),
        ("ftp.login(\"x@y.de\", 'Kestrel81!')", "Kestrel81!"),
        ("the password I tried was Kestrel81!, again", "Kestrel81!"),
        ("Mot de passe provisoire : Kestrel81!", "Kestrel81!"),
        ("net use z: \\\\srv\\x /user:jdoe7 Kestrel81!", "Kestrel81!"),
        ("\"credentials\": {\"password\": {\"value\": \"Kestrel81!\"}}", "Kestrel81!"),
    ] {
        assert!(all(text).iter().any(|(_, value)| *value == secret), "{text}: {:?}", all(text));
    }
}
