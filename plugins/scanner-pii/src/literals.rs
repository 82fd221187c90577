//! The literals that the first pass looks for, all at once and in any case, and what each of them starts.
//!
//! Invariant: a literal is only a hint. Whatever a literal starts checks the exact spelling, the boundaries and the
//! value itself; a matcher whose literal does not occur costs nothing.

use aho_corasick::automaton::Automaton;
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, BuildError, MatchKind};

use crate::vendors;

/// A word whose place matters to what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Cue {
    /// A telephone number follows.
    Phone,
    /// One may follow: "call", "dial", "contact".
    Call,
    Ssn,
    /// A taxpayer's number.
    Itin,
    Nhs,
    Nino,
    Card,
    Mac,
    /// Part of a connection string.
    Connection,
}

pub(crate) const CUES: usize = Cue::Connection as usize + 1;

/// What a literal starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// The literal may be part of a field's name.
    Key,
    /// A cue alone.
    Cue(Cue),
    /// Index into [`vendors::VENDORS`].
    Vendor(usize),
    Pem,
    Jwt,
    Url,
    AzureSecret,
    Slack,
    SlackHook,
    Bearer,
    Basic,
    /// An encoded at sign; its length.
    EncodedAt,
    /// An encoded plus.
    EncodedPlus,
    /// A label of internal names.
    HostLabel,
    /// A folder of home folders.
    Home,
    /// An account's name follows.
    User(crate::users::Cue),
    /// A person's name follows.
    Person(crate::people::Cue),
    /// A postal address follows.
    Place,
    /// A date of birth follows.
    Birth,
    Passport,
    Insert,
    /// `-u user:password`.
    CurlUser,
    /// `AUTH PLAIN`.
    SaslPlain,
    /// `:AA`, behind the number of a bot.
    Telegram,
    /// `mysql -psecret`.
    MysqlPassword,
    /// `jdbc:oracle:thin:user/password@host`.
    OracleThin,
    /// `IDENTIFIED BY`, `sshpass -p`: a password follows, without a separator.
    Secret,
    /// `IDENTIFIED WITH plugin BY`.
    SecretPlugin,
    /// A name of a field in another language; index into [`crate::worded::NAMES`].
    Worded(usize),
    /// `#Fields:`, the header of a table between blanks.
    Fields,
    /// `COPY table (columns) FROM stdin`.
    Copy,
}

/// Pairs of literal (lower case) and what it starts.
fn table(internal_labels: &[String]) -> Vec<(String, Start)> {
    let mut all: Vec<(String, Start)> = Vec::with_capacity(256);
    let mut add = |literals: &[&str], start: Start| {
        all.extend(literals.iter().map(|literal| ((*literal).to_owned(), start)));
    };
    add(
        &[
            "pass",
            "pwd",
            "_pw",
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
        ],
        Start::Key,
    );
    add(&["phone", "mobile", "mobil", "msisdn", "whatsapp", "telefon", "cell", "fax", "tel"], Start::Cue(Cue::Phone));
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
    add(&["%40", "\\u0040", "&#64;", "&#x40;"], Start::EncodedAt);
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
    add(&["passport"], Start::Passport);
    add(&["insert into "], Start::Insert);
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

/// The automaton over all literals: one table look-up for each byte of text.
#[derive(Clone, Debug)]
pub(crate) struct Literals {
    automaton: DFA,
    starts: Vec<(Start, usize)>,
    foreign: crate::worded::Index,
}

/// Where a literal stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit {
    pub start: usize,
    pub end: usize,
    pub what: Start,
}

impl Literals {
    pub(crate) fn new(internal_labels: &[String]) -> Result<Self, BuildError> {
        let table = table(internal_labels);
        let automaton = DFA::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .prefilter(false)
            .build(table.iter().map(|(literal, _)| literal.as_bytes()))?;
        let starts = table.into_iter().map(|(literal, start)| (start, literal.len())).collect();
        Ok(Self { automaton, starts, foreign: crate::worded::Index::new() })
    }

    /// All occurrences, overlapping ones too, by their ends.
    pub(crate) fn all(&self, text: &[u8]) -> Vec<Hit> {
        let mut hits = Vec::with_capacity(text.len() / 24);
        self.find(text, |hit| hits.push(hit));
        if !text.is_ascii() {
            let ascii = hits.len();
            self.foreign.find(text, |hit| hits.push(hit));
            if hits.len() > ascii {
                hits.sort_by_key(|hit| hit.end);
            }
        }
        hits
    }

    #[inline(never)]
    fn find(&self, text: &[u8], mut hit: impl FnMut(Hit)) {
        let Ok(mut state) = self.automaton.start_state(Anchored::No) else {
            return;
        };
        for (i, byte) in text.iter().enumerate() {
            state = self.automaton.next_state(Anchored::No, state, *byte);
            if self.automaton.is_special(state) && self.automaton.is_match(state) {
                for n in 0..self.automaton.match_len(state) {
                    let pattern = self.automaton.match_pattern(state, n);
                    if let Some((what, length)) = self.starts.get(pattern.as_usize()) {
                        hit(Hit { start: i + 1 - length, end: i + 1, what: *what });
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_occurrences_in_any_case() -> Result<(), BuildError> {
        let literals = Literals::new(&[])?;
        let mut found = Vec::new();
        literals.find(b"xPassphraseBEARERx", |hit| found.push((hit.start, hit.end, hit.what)));
        assert!(found.contains(&(1, 5, Start::Key)));
        assert!(found.contains(&(11, 17, Start::Bearer)));
        Ok(())
    }

    #[test]
    fn the_automaton_stays_small() -> Result<(), BuildError> {
        let bytes = Literals::new(&[])?.automaton.memory_usage();
        assert!(bytes < 2 << 20, "{bytes}");
        Ok(())
    }
}
