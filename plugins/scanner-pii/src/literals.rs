//! The literals that the first pass looks for, all at once and in any case, and what each of them starts.
//!
//! Invariant: a literal is only a hint. Whatever a literal starts checks the exact spelling, the boundaries and the
//! value itself; a matcher whose literal does not occur costs nothing.

use crate::automaton::{Automaton, TooMany};
use crate::literal_table::table;

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
    /// The name of a column of a table.
    Header,
    /// The name of a field of records, in any language.
    Field,
    /// `-[ RECORD`, a record with a line for each column.
    Record,
    /// `CREATE TABLE`.
    Create,
    /// A segment of a message; index into [`crate::segments::SEGMENTS`].
    Segment(usize),
    /// `:50K:` and its like.
    Swift,
    /// `?32`, a name in an account statement.
    Statement,
    Dicom,
    Gedcom,
    /// `BEGIN:VCARD`.
    Card,
    /// `-----BEGIN ` in base64.
    EncodedPem,
    /// What SMTP asks for, in base64; whether it is the password.
    Smtp(bool),
    /// `kind: Secret`.
    Manifest,
    /// An option of a program; index into [`crate::cli::OPTIONS`].
    Option(usize),
    RedisRule,
    /// Index into [`crate::credentials::LEADS`].
    Lead(usize),
    /// A hash of a password; index into [`crate::hashes::SCHEMES`].
    Hash(usize),
    /// `:x:` of a line of `passwd`.
    Passwd,
    /// A call that signs in.
    LoginCall,
    /// `@tcp(` of a connection of Go.
    Dsn,
    /// `/user:` of `net use`.
    NetUse,
    /// `HIER_`, behind the account in a log of Squid.
    Squid,
    /// `TODO(jo)`.
    Todo,
    /// `10:22 <jo> `, a line of a chat.
    Nick,
    /// `approved by jo.king`.
    By,
    /// A host and its port in a map of Postfix.
    Relay,
    /// The number of a process in a line of syslog.
    Process,
    /// A program in a line of syslog.
    Program,
    /// Priority and version in a line of syslog.
    Versioned,
    /// `(uid=` behind an account.
    Uid,
    /// `) CMD (` of cron.
    Cron,
    /// A line of a file of cookies.
    CookieJar,
    /// `#Fields:`, the header of a table between blanks.
    Fields,
    /// `COPY table (columns) FROM stdin`.
    Copy,
}

/// The longest beginning of a literal that the automaton knows; the rest is compared where that occurs. It keeps the
/// automaton small enough for the cache.
const PREFIX: usize = 6;

/// The automaton over all literals: one table look-up for each byte of text.
#[derive(Clone, Debug)]
pub(crate) struct Literals {
    automaton: Automaton,
    /// What each pattern starts, its length, and the rest of its literal.
    starts: Vec<(Start, usize, Box<[u8]>)>,
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
    pub(crate) fn new(internal_labels: &[String]) -> Result<Self, TooMany> {
        let table = table(internal_labels);
        let beginnings =
            table.iter().map(|(literal, _)| literal.as_bytes().get(..PREFIX).unwrap_or(literal.as_bytes()));
        let automaton = Automaton::new(beginnings)?;
        let starts = table
            .into_iter()
            .map(|(literal, start)| {
                let rest = literal.as_bytes().get(PREFIX..).unwrap_or_default().into();
                (start, literal.len().min(PREFIX), rest)
            })
            .collect();
        Ok(Self { automaton, starts, foreign: crate::worded::Index::new() })
    }

    /// All occurrences, overlapping ones too, by their ends.
    pub(crate) fn all(&self, text: &[u8]) -> Vec<Hit> {
        let mut hits = Vec::with_capacity(text.len() / 24);
        self.find(text, |hit| hits.push(hit));
        if !text.is_ascii() {
            self.foreign.find(text, |hit| hits.push(hit));
        }
        // In order but for what begins a long literal or another part of the text.
        hits.sort_by_key(|hit| hit.end);
        hits
    }

    fn find(&self, text: &[u8], mut hit: impl FnMut(Hit)) {
        self.automaton.find(text, |end, patterns| {
            for pattern in patterns {
                let Some((what, length, rest)) = self.starts.get(usize::from(*pattern)) else { continue };
                let whole = end + rest.len();
                if rest.is_empty() || text.get(end..whole).is_some_and(|found| found.eq_ignore_ascii_case(rest)) {
                    hit(Hit { start: end - length, end: whole, what: *what });
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_occurrences_in_any_case() -> Result<(), TooMany> {
        let literals = Literals::new(&[])?;
        let mut found = Vec::new();
        literals.find(b"xPassphraseBEARERx", |hit| found.push((hit.start, hit.end, hit.what)));
        assert!(found.contains(&(1, 5, Start::Key)));
        assert!(found.contains(&(11, 17, Start::Bearer)));
        Ok(())
    }

    #[test]
    fn the_automaton_stays_small() -> Result<(), TooMany> {
        let bytes = Literals::new(&[])?.automaton.memory_usage();
        assert!(bytes < 2 << 20, "{bytes}");
        Ok(())
    }
}
