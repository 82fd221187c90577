//! What the names of columns and of fields of records mean, in the languages and styles in which people write them.
//!
//! Invariant: a name is folded first (case, humps, accents, digits and marks are no difference), and then looked up as a
//! whole or by its last words; it never depends on the values. Pure.

use std::sync::LazyLock;

use crate::classify::{self, Class};
use crate::columns::Column;
use crate::literals::Cue;

/// The most words of a name.
const WORDS: usize = 8;

/// What a list of words says, and whether they say it at the end of a longer name too (`billing_first_name`).
type List = (Column, bool, &'static str);

/// Folded names, the words of each run together.
const LISTS: &[List] = &[
    (
        Column::Field(Class::NamePart),
        true,
        "firstname fname forename forenames givenname givennames familyname lastname lname surname middlename maidenname \
         secondname fullname birthname legalname cardholdername accountholdername nameoncard vorname vornamen nachname \
         familienname zuname geburtsname rufname vorundnachname vollername vollstandigername ansprechpartnername prenom \
         prenoms nomdefamille nomprenom nometprenom nomcomplet nomdusage apellido apellidos primerapellido \
         segundoapellido nombrecompleto nombreyapellidos nombres primernombre cognome nominativo nomecompleto \
         nomeecognome cognomeenome voornaam voornamen achternaam volledigenaam imie imiona nazwisko imieinazwisko \
         nazwiskoiimie sobrenome apelido primeironome ultimonome fornamn efternamn fornavn efternavn etternavn jmeno \
         prijmeni jmenoaprijmeni krestnijmeno keresztnev vezeteknev csaladinev teljesnev soyad soyadi adsoyad adisoyadi \
         etunimi sukunimi nachn vorna employeename customername clientname patientname passengername guestname \
         membername drivername studentname contactname holdername ownername personname beneficiaryname payeename \
         payername recipientname sendername applicantname tenantname subscribername attendeename visitorname \
         insuredname doctorname physiciansname spousename mothername fathername mothersmaidenname kontoinhaber \
         karteninhaber titulaire intestatario empfangername kundenname mitarbeitername patientenname givn surn gecos emailaccountname",
    ),
    (
        Column::Field(Class::NamePart),
        false,
        "sn gn first last given family fn cardholder accountholder fio namelast namefirst lastfirst 姓 名 氏名 お名前 姓名 이름 \
         성명 имя фамилия отчество фио имяотчество",
    ),
    (
        Column::Field(Class::Name),
        false,
        "name names nm formatted worker nom nombre nome naam nev navn namn nazwa nimi cn primary secondary backup oncall assignedto assignee \
         requester requestedby requestor reportedby reporter approver approvedby approved owner contact contactperson \
         ansprechpartner ansprechperson person employee mitarbeiter kunde customer client patient passenger guest member \
         mitglied driver fahrer student teacher tenant mieter holder inhaber titular cliente paciente empleado \
         empleada trabajador dipendente paziente socio adherent salarie salariee employe beneficiaire destinataire \
         expediteur beneficiary beneficiario recipient sender empfanger absender auftraggeber zahlungsempfanger \
         auftraggeberzahlungsempfanger auftraggeberempfanger beguenstigter begunstigter payee payer counterparty \
         debtor creditor lead manager supervisor vorgesetzter author autor auteur attendee attendees participant \
         teilnehmer participante visitor besucher witness nextofkin emergencycontact spouse child guardian pracownik \
         klient pacjent zakaznik zamestnanec ragionesocialenominativo agent operator caller technician reviewer \
         sachbearbeiter betreuer arzt behandler doctor physician provider clinician nurse engineer contractor \
         referent responsable responsabile medewerker klant",
    ),
    (
        Column::Field(Class::Birth),
        true,
        "dob dateofbirth birthdate birthday birthdt bday geburtsdatum geburtstag gebdat gebdatum gebdtm gbdat geb geboren \
         geborenam datedenaissance datenaissance naissance datenaiss nele neele fechadenacimiento fechanacimiento \
         fechanac fnacimiento fnac nacimiento datadinascita datanascita nascita datadenascimento datanascimento \
         nascimento dtnasc dtnascimento geboortedatum gebdatum dataurodzenia urodzenia fodelsedatum fodselsdato \
         fodselsdag datumnarozeni narozeni szuletesidatum szuletesnap dogumtarihi syntymaaika born doby birthdatum \
         生年月日 出生日期 생년월일 датарождения датарожд",
    ),
    (
        Column::Street,
        true,
        "street streetaddress streetname streetline addressline addressstreet addrline adrline strtnm strasse strassehausnr \
         strassehausnummer strassenr strassennr strasseundhausnummer strasseunnr stras anschrift adresse adressezeile \
         postanschrift wohnanschrift lieferadresse rechnungsadresse rue voie adressepostale direccion domicilio calle \
         indirizzo indirizzoresidenza residenza via endereco morada logradouro rua adres straat straatnaam ulica \
         adreszamieszkania ulice adresa gata gatuadress gatuadresse vej vejnavn lakcim utca adresi katuosoite osoite \
         homeaddress postaladdress mailingaddress residentialaddress billingaddress shippingaddress deliveryaddress \
         homepostaladdress streetandnumber housestreet registeredaddress 住所 地址 주소 адрес",
    ),
    (Column::Street, false, "address addr addresses addressfull fulladdress residence line linea ligne"),
    (
        Column::Area,
        true,
        "postcode postalcode zip zipcode plz postleitzahl pstlz pstcd codepostal cp codigopostal cap cep postnummer \
         postnr kodpocztowy psc iranyitoszam city town ort ortschaft wohnort stadt ville localite ciudad poblacion \
         localidad citta comune cidade localidade woonplaats plaats stad miasto miejscowosc mesto obec stadort postort \
         twnnm",
    ),
    (
        Column::Field(Class::Username),
        true,
        "username userid loginname login loginid logonname samaccountname accountname benutzer benutzername benutzerkennung \
         nutzername anmeldename kennung utilisateur nomdutilisateur identifiant usuario nombredeusuario utente \
         nomeutente utilizador nomedeusuario gebruiker gebruikersnaam uzytkownik nazwauzytkownika anvandare \
         anvandarnamn brugernavn brugernamn brukernavn uzivatel uzivatelskejmeno felhasznalo felhasznalonev kullanici \
         kullaniciadi createdby updatedby modifiedby changedby addedby ownerlogin usrname unixlogin логин пользователь",
    ),
    (Column::Field(Class::Username), false, "user uid usr userprincipal lastmodifiedby handle nickname nick account"),
    (
        Column::Field(Class::Password),
        true,
        "password passwd pwd passwort kennwort passphrase passcode motdepasse mdp contrasena clave claveacceso senha \
         palavrapasse wachtwoord haslo heslo losenord passord adgangskode salasana jelszo parola sifre пароль 密码 \
         パスワード",
    ),
    (
        Column::Field(Class::Password),
        false,
        "pass pw pass word kennwörter zugangspasswort initialpassword temppassword",
    ),
    (
        Column::Number(Cue::Phone),
        true,
        "phone phonenumber phoneno telephone telephonenumber telephoneno tel telnr telno mobile mobilephone mobilenumber \
         mobileno cell cellphone msisdn fax faxnumber homephone workphone handy handynummer mobil mobilnummer \
         mobiltelefon telefon telefonnummer telefonnr telf rufnummer festnetz telephoneportable portable gsm movil \
         celular telefono telefonomovil tlf tfno cellulare telefone telemovel telefoon telefoonnummer mobiel komorka \
         telefonkomorkowy numertelefonu telefonszam telefonnumer puhelin puhelinnumero matkapuhelin cep ceptelefonu \
         whatsapp pager sms contactnumber callbacknumber mobilno telefonu телефон 電話 电话 전화",
    ),
    (Column::Number(Cue::Ssn), true, "ssn socialsecuritynumber socialsecurityno socialsecurity socsecno ssnumber"),
    (Column::Number(Cue::Nhs), true, "nhs nhsno nhsnumber nhsnum"),
    (
        Column::Passport,
        true,
        "passport passportno passportnumber passportnum passportid passno reisepass reisepassnummer reisepassnr passnummer \
         passeport numeropasseport nopasseport pasaporte numeropasaporte passaporto numeropassaporto passaporte \
         paspoort paspoortnummer paszport numerpaszportu cislopasu pasu passnr pasnummer passinumero utlevelszam \
         pasaportno travelldocument traveldocumentnumber traveldocno",
    ),
    (Column::Document, false, "docno documentno documentnumber docnumber docnum documentnr ausweisnummer"),
    (
        Column::Field(Class::Host),
        true,
        "host hostname fqdn servername computername machinename devicename nodename workstation server rechnername \
         nomdhote rmtsrvname ansiblehost",
    ),
    (Column::Field(Class::Host), false, "node machine computer rechner serveur servidor"),
    (
        Column::Version,
        true,
        "version ver firmware firmwareversion fw fwversion swversion swver build osbuild release softwareversion verze \
         versie versione wersja appversion driverversion fwver hwversion revision oid sysobjectid",
    ),
    (Column::Email, true, "email mail emailaddress mailaddress courriel correo correoelectronico pec epost eposta"),
    (Column::Iban, true, "iban cardnumber ccnumber kreditkarte kartennummer pan creditcard creditcardnumber"),
    (Column::Opaque, false, "key apikey accesskey"),
    (Column::Field(Class::Token), true, "token secret apitoken accesstoken authtoken"),
    (
        Column::Key,
        false,
        "key name field property attribute variable setting parameter option metakey paramname fieldname attributename \
         configkey propname feld eigenschaft champ campo item",
    ),
    (
        Column::Value,
        false,
        "value val metavalue paramvalue fieldvalue wert valeur valor valore waarde data content inhalt",
    ),
];

static INDEX: LazyLock<Vec<(&'static str, bool, Column)>> = LazyLock::new(|| {
    let mut index: Vec<_> = LISTS
        .iter()
        .flat_map(|(column, last, words)| words.split_ascii_whitespace().map(|word| (word, *last, *column)))
        .collect();
    // The first list that has a word decides: the sort is stable.
    index.sort_by_key(|(word, _, _)| *word);
    index.dedup_by_key(|(word, _, _)| *word);
    index
});

/// Build what is built once; the first look-up would.
pub(crate) fn warm() {
    LazyLock::force(&INDEX);
}

fn known(word: &str, whole: bool) -> Option<Column> {
    let at = INDEX.binary_search_by_key(&word, |(known, _, _)| known).ok()?;
    INDEX.get(at).filter(|(_, last, _)| whole || *last).map(|(_, _, column)| *column)
}

/// ASCII for a letter with a mark.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ą' | 'ă' | 'À' | 'Á' | 'Ä' | 'Å' => "a",
        'ç' | 'ć' | 'č' | 'Ç' | 'Č' => "c",
        'ď' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ę' | 'ě' | 'É' | 'È' => "e",
        'ğ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ı' | 'İ' | 'Í' => "i",
        'ł' | 'Ł' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ő' | 'Ö' | 'Ø' | 'Ó' => "o",
        'ř' | 'Ř' => "r",
        'ś' | 'š' | 'ş' | 'Š' | 'Ś' | 'Ş' => "s",
        'ß' => "ss",
        'ť' => "t",
        'ù' | 'ú' | 'û' | 'ü' | 'ů' | 'ű' | 'Ü' | 'Ú' => "u",
        'ý' => "y",
        'ź' | 'ż' | 'ž' | 'Ž' | 'Ż' => "z",
        _ => return None,
    })
}

/// The words of a name, folded and run together, and where in that each word begins.
fn fold(name: &str) -> (String, Vec<usize>) {
    let mut folded = String::with_capacity(name.len());
    let mut starts = Vec::with_capacity(WORDS);
    let mut inside = false;
    let mut before = ' ';
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        if !c.is_alphabetic() {
            inside = inside && matches!(c, '\'' | '’');
            before = c;
            continue;
        }
        let hump = c.is_uppercase()
            && (before.is_lowercase() || before.is_uppercase() && rest.peek().is_some_and(|next| next.is_lowercase()));
        if !inside || hump {
            starts.push(folded.len());
        }
        inside = true;
        before = c;
        match plain(c) {
            Some(letters) => folded.push_str(letters),
            None => folded.extend(c.to_lowercase()),
        }
    }
    (folded, starts)
}

/// Whether the word in brackets at the end says more than the one before: `Kontakt (Telefon)`.
fn column_of_unit(name: &str) -> bool {
    let inside = name.rsplit_once('(').map_or("", |(_, inside)| inside).trim_end_matches(')');
    let (folded, _) = fold(inside);
    known(&folded, true).is_some_and(Column::personal)
}

/// Words before a name of hosts, files and things that have addresses and names as well.
const OF_THINGS: &[&str] = &[
    "ip",
    "mac",
    "file",
    "host",
    "server",
    "table",
    "column",
    "db",
    "database",
    "bucket",
    "product",
    "company",
    "firm",
    "project",
    "event",
    "class",
    "method",
    "package",
    "module",
    "queue",
    "topic",
    "domain",
    "service",
    "app",
    "application",
    "resource",
    "cluster",
    "group",
    "role",
    "memory",
    "remote",
    "local",
    "client",
    "peer",
    "source",
    "destination",
    "src",
    "dst",
    "wallet",
    "email",
    "mail",
    "web",
    "bin",
    "warehouse",
    "cost",
    "hw",
    "virtual",
    "physical",
    "org",
    "organisation",
    "organization",
    "team",
    "vendor",
    "supplier",
    "store",
    "shop",
    "branch",
];

/// What the column or field of that name holds.
pub(crate) fn column(name: &[u8]) -> Column {
    let Ok(name) = std::str::from_utf8(name) else {
        return Column::Other;
    };
    if let Some(column) = known(name, true) {
        return column;
    }
    // What stands in brackets explains the name: `Name (of the person)`; `Né(e) le` is one.
    let outside = match (name.find(" ("), name.ends_with(')')) {
        (Some(open), true) => name.get(..open).unwrap_or(name),
        _ => name,
    };
    let (folded, starts) = fold(if column_of_unit(name) { name } else { outside });
    if starts.is_empty() || starts.len() > WORDS || folded.len() > classify::MAX_NAME {
        return Column::Other;
    }
    if let Some(column) = known(&folded, true) {
        return column;
    }
    for (i, at) in starts.iter().enumerate().skip(1) {
        let last = folded.get(*at..).unwrap_or_default();
        let word = starts.get(i - 1).and_then(|start| folded.get(*start..*at)).unwrap_or_default();
        if let Some(column) = known(last, false) {
            let things = OF_THINGS.contains(&word)
                && !matches!(
                    column,
                    Column::Number(_) | Column::Email | Column::Version | Column::Field(Class::Password)
                );
            return if things { classified(name) } else { column };
        }
    }
    // A number or a remark behind the name: `phone (work)`, `address line 1`, `iban old`.
    if starts.len() > 1
        && let Some(end) = starts.last()
        && let Some(column) = known(folded.get(..*end).unwrap_or_default(), true)
        && [
            "work",
            "home",
            "private",
            "office",
            "business",
            "old",
            "new",
            "geschaftlich",
            "privat",
            "line",
            "full",
            "mobile",
            "primary",
            "prov",
            "initial",
            "plain",
            "optional",
            "no",
            "nr",
            "number",
            "perso",
            "pro",
            "ist",
        ]
        .contains(&folded.get(*end..).unwrap_or_default())
        && !matches!(column, Column::Field(Class::Name) | Column::Key | Column::Value | Column::Opaque)
    {
        return column;
    }
    classified(name)
}

/// What the rules for names of fields say, which know the names of secrets.
fn classified(name: &str) -> Column {
    classify::classify(name.as_bytes()).map_or(Column::Other, |class| match class {
        Class::Address => Column::Street,
        class => Column::Field(class),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_all_styles() {
        for (column_wanted, names) in [
            (
                Column::Field(Class::NamePart),
                "First Name|first_name|firstName|FNAME|FIRST-NAME|Vorname|prénom|PRÉNOM|nombre_completo|Imię|NACHN|\
                 billing_first_name|cust_last_name|Nom de famille|Apellidos|Příjmení|Given Names|姓名",
            ),
            (
                Column::Field(Class::Birth),
                "DOB|Date of Birth|birthDate|Geburtsdatum|GBDAT|Né(e) le|fecha_nacimiento|fecha nac.|Data di nascita|\
                 geboortedatum|data_urodzenia|Patient DOB",
            ),
            (
                Column::Street,
                "Straße|Adresse|address|AddressLine1|billing_address_1|Dirección|Indirizzo|Street Address",
            ),
            (Column::Area, "PLZ|Zip Code|city|CAP|Città|Ville|Ort"),
            (Column::Field(Class::Username), "username|login_name|Benutzer|created_by|User ID|SamAccountName"),
            (Column::Number(Cue::Phone), "Phone (mobile)|Tél. portable|MOBILNO|driver_phone|Telefon-Nr.|movil"),
            (Column::Field(Class::Password), "Kennwort|db_password|Mot de passe|Contraseña"),
            (Column::Passport, "Passport No|passportNumber|Reisepassnummer|CisloPasu"),
            (Column::Version, "firmware_version|OS Build|Version|fw"),
            (
                Column::Other,
                "ip_address|file_name|product name|status|amount|created_at|user_count|IP Address|Duration",
            ),
        ] {
            for name in names.split('|') {
                assert_eq!(column(name.as_bytes()), column_wanted, "{name}");
            }
        }
    }
}
