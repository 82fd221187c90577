//! All literals, and what each of them starts.
//!
//! Invariant: in lower case, which the automaton relies on.

use crate::literals::{Cue, Start};
use crate::vendors;

/// Pairs of literal (lower case) and what it starts.
pub(crate) fn table(internal_labels: &[String]) -> Vec<(String, Start)> {
    let mut all: Vec<(String, Start)> = Vec::with_capacity(256);
    let mut add = |literals: &[&str], start: Start| {
        all.extend(literals.iter().map(|literal| (literal.to_ascii_lowercase(), start)));
    };
    add(
        &[
            "pass",
            "pwd",
            "_pw",
            "psk",
            "csrf",
            "xsrf",
            "_salt'",
            "auid=",
            "?code=",
            "&code=",
            "devname",
            "\"pw",
            " pw",
            "\"sid\"",
            "secret",
            "token",
            "key",
            "cred",
            "auth",
            "cookie",
            "session",
            "sessid",
            "sid=",
            "sig=",
            "signature=",
            "name",
            "holder",
            "customer",
            "patient",
            "addr",
            "street",
            "user",
            "login",
            "birth",
            "dob",
            "host",
            "owner",
            "kennwort",
            "contrase",
            "connect.sid",
            "beneficiary",
            "recipient",
            "passphrase",
            "uid=",
            "\nuid:",
            "acct=",
            "logname",
            "adresse",
            "anschrift",
            "cn=",
            "server",
            "community",
            "totp",
            "pin\"",
            "pin=",
            "otp\"",
            "otp=",
            "otp_c",
            "pin_c",
            "ed_by",
            "edby",
            "ed-by",
            "assign",
            "approver",
            "reviewer",
            "committer",
            "requester",
            "requestor",
            "reporter",
            "operator",
            "actor",
        ],
        Start::Key,
    );
    add(
        &[
            "phone",
            "mobile",
            "mobil",
            "msisdn",
            "whatsapp",
            "telefon",
            "telephone",
            "tlf",
            "tfno",
            "cell",
            "fax",
            "tel",
            "ph:",
            "ph.:",
        ],
        Start::Cue(Cue::Phone),
    );
    add(&["call ", "called ", "dial", "sms", "contact", "callback", "voicemail"], Start::Cue(Cue::Call));
    add(&["ssn", "social security"], Start::Cue(Cue::Ssn));
    add(&["itin", "taxpayer"], Start::Cue(Cue::Itin));
    add(&["nhs", "patient"], Start::Cue(Cue::Nhs));
    add(&["nino", "national insurance"], Start::Cue(Cue::Nino));
    add(&["card", "pan=", "pan\"", "visa"], Start::Cue(Cue::Card));
    add(&["mac", "hwaddr", "ether", "bssid", "lladdr", "hardware"], Start::Cue(Cue::Mac));
    add(&["jdbc:", "data source=", "server=", "initial catalog", "dbname=", "database="], Start::Cue(Cue::Connection));
    for (index, vendor) in vendors::VENDORS.iter().enumerate() {
        add(&[&vendor.prefix.to_ascii_lowercase()], Start::Vendor(index));
    }
    add(&["-----begin "], Start::Pem);
    add(&["eyj"], Start::Jwt);
    add(&["://"], Start::Url);
    add(&["q~"], Start::AzureSecret);
    add(&["xox", "xapp-"], Start::Slack);
    add(&["hooks.slack.com/"], Start::SlackHook);
    add(&["bearer"], Start::Bearer);
    add(&["basic "], Start::Basic);
    add(&["%40", "%2540", "\\u0040", "&#64;", "&#x40;"], Start::EncodedAt);
    add(&["%2b"], Start::EncodedPlus);
    add(
        &[
            ".internal",
            ".local",
            ".lan",
            ".corp",
            ".intranet",
            ".localdomain",
            ".consul",
            ".svc",
            ".ad.",
            ".private",
            ".int.",
            ".prod.",
            ".home.arpa",
        ],
        Start::HostLabel,
    );
    for label in internal_labels {
        add(&[&format!(".{}", label.trim_matches('.').to_ascii_lowercase())], Start::HostLabel);
    }
    add(
        &[
            "/home/",
            "/users/",
            "/export/home/",
            "/var/spool/mail/",
            "/var/mail/",
            "\\users\\",
            "\\documents and settings\\",
        ],
        Start::Home,
    );
    for (literal, cue) in crate::users::CUES {
        add(&[literal], Start::User(*cue));
    }
    for (literal, cue) in crate::people::CUES {
        add(&[literal], Start::Person(*cue));
    }
    add(
        &[
            "lives at ",
            "live at ",
            "living at ",
            "resides at ",
            "residing at ",
            "office is at ",
            "located at ",
            "delivered to ",
            "deliver to ",
            "ship to ",
            "shipped to ",
            "moved to ",
            "address is ",
            "send it to ",
            "based at ",
            "home at ",
        ],
        Start::Place,
    );
    add(
        &[
            "born on ",
            "born ",
            "date of birth",
            "d.o.b",
            "birth date",
            "birthday",
            "geboren am ",
            "geb. ",
            "né le ",
            "née le ",
            "nato il ",
            "nata il ",
            "nacido el ",
            "geburtsdatum",
            "naissance",
            "(dob ",
            "dob: ",
            "dob ",
            "nacimiento",
        ],
        Start::Birth,
    );
    add(&["passport", "passeport", "paspoort", "paszport", "reisepass", "pasaporte", "passaporto"], Start::Passport);
    add(&["insert into "], Start::Insert);
    add(&["create table "], Start::Create);
    add(&["-[ record "], Start::Record);
    for (index, segment) in crate::segments::SEGMENTS.iter().enumerate() {
        add(&[segment.literal], Start::Segment(index));
    }
    add(&[":50k:", ":50f:", ":50a:", ":59:", ":59f:"], Start::Swift);
    add(&["?32", "?33"], Start::Statement);
    add(&["(0010,", "(0008,0090", "(0008,1050", "(0008,1070"], Start::Dicom);
    add(&["1 name ", "1 birt", "2 givn ", "2 surn "], Start::Gedcom);
    add(&["begin:vcard", "begin%3avcard"], Start::Card);
    add(&["ls0tls1crudjti"], Start::EncodedPem);
    add(&["334 vxnlcm5hbwu6"], Start::Smtp(false));
    add(&["334 ugfzc3dvcmq6"], Start::Smtp(true));
    add(&["kind: secret"], Start::Manifest);
    for (index, (literal, _, _)) in crate::cli::OPTIONS.iter().enumerate() {
        add(&[&literal.to_ascii_lowercase()], Start::Option(index));
    }
    add(&[" on >"], Start::RedisRule);
    for (index, (literal, _)) in crate::hashes::SCHEMES.iter().enumerate() {
        add(&[literal], Start::Hash(index));
    }
    add(&[":x:"], Start::Passwd);
    add(&["login(", "getconnection(", "dbi->connect("], Start::LoginCall);
    add(&["@tcp(", "@unix("], Start::Dsn);
    add(&["todo(", "fixme("], Start::Todo);
    add(&["> "], Start::Nick);
    add(&["ed by ", " by @"], Start::By);
    add(&[" /user:"], Start::NetUse);
    add(&[" hier_"], Start::Squid);
    add(&["]:587", "]:465", "]:25 "], Start::Relay);
    add(&["]: "], Start::Process);
    add(&[" sudo: ", " kernel: ", " su: ", " : %asa-", " %asa-"], Start::Program);
    add(&[">1 20"], Start::Versioned);
    add(&["(uid="], Start::Uid);
    add(&[") cmd ("], Start::Cron);
    add(&["e\t/\t"], Start::CookieJar);
    add(
        &[
            "vorna",
            "nachn",
            "gbdat",
            "iban",
            "firmware",
            "version",
            "primary",
            "assigned to",
            "surname",
            "sysobjectid",
            ";fw;",
            ",fw,",
            ",fw_version",
            "created_by",
        ],
        Start::Header,
    );
    add(
        &[
            // Beginnings suffice: the name is read whole.
            "preno",
            "apellid",
            "nombre",
            "cognom",
            "nominat",
            "naam",
            "nazwis",
            "imie",
            "jmen",
            "navn",
            "namn",
            "sobren",
            "geburt",
            "gebdat",
            "adres",
            "nacim",
            "naiss",
            "nasci",
            "geboor",
            "urodz",
            "naroz",
            "direcc",
            "domicil",
            "indiri",
            "enderec",
            "strass",
            "\nsn:",
            "\ngn:",
            "\ncn:",
            "\"sn\"",
            "\"famil",
            "\"given",
            "\"line1\"",
            "\"line\":[",
            "\"line\": [",
            "\"uid\">",
            "\"first\"",
            "first: '",
            "last: '",
            "first: \"",
            "last: \"",
            "\"last\"",
            "\"formatted\"",
            "<famil",
            "<given",
            "addrl",
            "adrl",
            "strtnm",
            "birthdt",
            "<nm>",
            "gecos",
            "\"fn\"",
            "born:",
            "nom:",
            "nom\"",
            "nome:",
            "nome\"",
            "fecha_nac",
            "pasu>",
            "reisepa",
            "pasaport",
            "passapor",
            "stras=",
            "geboren_",
            "\"geb\"",
        ],
        Start::Field,
    );
    add(&["copy "], Start::Copy);
    add(&["#fields"], Start::Fields);
    // What is not ASCII has an index of its own: its bytes would double the automaton.
    for (literal, start) in crate::worded::table() {
        if literal.is_ascii() {
            add(&[literal], start);
        }
    }
    add(&[" -u ", " --user "], Start::CurlUser);
    add(
        &[
            "identified by ",
            "snmp-server community ",
            "radius-server key ",
            "tacacs-server key ",
            "\"auth\" \"default\" ",
            "enable secret 5 ",
            "enable secret 8 ",
            "enable secret 9 ",
            " secret 0 ",
            " key 7 ",
            " md5 7 ",
            "sshpass -p",
            "redis-cli -a ",
            "\"auth\" ",
            "convertto-securestring ",
            "convertto-securestring -string ",
        ],
        Start::Secret,
    );
    add(&["identified with "], Start::SecretPlugin);
    add(&[" -p"], Start::MysqlPassword);
    add(&["jdbc:oracle:thin:"], Start::OracleThin);
    add(&[":aa"], Start::Telegram);
    add(&["auth plain "], Start::SaslPlain);
    all
}
