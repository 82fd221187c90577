//! The type of a finding, and the group that it belongs to.
//!
//! Invariant: a [`Kind`] always matches `[A-Z0-9_]{1,32}`, so it can stand in a pseudonym, a log line or a page
//! without escaping. A name that does not match is [`Kind::OTHER`], never an error: a value must be masked whatever
//! a scanner calls it.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest name of a kind, in bytes. Long enough for every name that we know of, short enough for a label.
const MAX_NAME_BYTES: usize = 32;

/// What a finding is: `EMAIL`, `IBAN`, `GITHUB_TOKEN`, …
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Kind(Cow<'static, str>);

impl Kind {
    /// What has no valid name of its own.
    pub const OTHER: Kind = Kind(Cow::Borrowed("OTHER"));
    /// Raw input that looks like one of our pseudonyms.
    pub const PSEUDONYM: Kind = Kind(Cow::Borrowed("PSEUDONYM"));
    /// What a rule of the organisation lets through: no value, but the mark that no value is there.
    pub const ALLOWED: Kind = Kind(Cow::Borrowed("ALLOWED"));

    /// The kind of this name, or [`Kind::OTHER`] where the name is not `[A-Z0-9_]{1,32}`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        if let Some((known, _)) = KNOWN.iter().find(|(known, _)| *known == name) {
            return Kind(Cow::Borrowed(known));
        }
        if Self::is_valid(name) { Kind(Cow::Owned(name.to_owned())) } else { Self::OTHER }
    }

    /// Whether the name matches `[A-Z0-9_]{1,32}`.
    #[must_use]
    pub fn is_valid(name: &str) -> bool {
        (1..=MAX_NAME_BYTES).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The group of a kind that Fumehood itself knows; nothing for a plugin's own kinds.
    #[must_use]
    pub fn known_group(&self) -> Option<Group> {
        KNOWN.iter().find(|(known, _)| *known == self.as_str()).map(|(_, group)| *group)
    }

    /// The kinds that Fumehood itself knows. Scanners may bring more.
    pub fn known() -> impl Iterator<Item = Kind> {
        KNOWN.iter().map(|(name, _)| Kind(Cow::Borrowed(name)))
    }
}

impl From<String> for Kind {
    fn from(name: String) -> Self {
        Self::new(&name)
    }
}

impl From<&str> for Kind {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<Kind> for String {
    fn from(kind: Kind) -> Self {
        kind.0.into_owned()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How a kind is found, and how it is treated: secrets are never revealed to a tool, whatever a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// A syntax of its own, mostly with a checksum: e-mail, card, IBAN.
    Structured,
    /// Gives access to something: keys, tokens, passwords.
    Secret,
    /// Known by what stands around it: names, host names, dates of birth.
    Contextual,
}

impl Group {
    /// The group of a code in the plugin contract. Unknown is treated as [`Group::Secret`], the strictest.
    #[must_use]
    pub fn from_code(code: &str) -> Self {
        match code {
            "structured" => Self::Structured,
            "contextual" => Self::Contextual,
            _ => Self::Secret,
        }
    }

    /// The code in the plugin contract.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Structured => "structured",
            Self::Secret => "secret",
            Self::Contextual => "contextual",
        }
    }
}

/// Names that ship with Fumehood. Order is of no meaning.
const KNOWN: &[(&str, Group)] = &[
    ("EMAIL", Group::Structured),
    ("PHONE", Group::Structured),
    ("IPV4", Group::Structured),
    ("IPV6", Group::Structured),
    ("MAC", Group::Structured),
    ("CREDIT_CARD", Group::Structured),
    ("IBAN", Group::Structured),
    ("US_SSN", Group::Structured),
    ("UK_NINO", Group::Structured),
    ("UK_NHS", Group::Structured),
    ("PSEUDONYM", Group::Structured),
    ("PERSON", Group::Contextual),
    ("ADDRESS", Group::Contextual),
    ("DOB", Group::Contextual),
    ("HOSTNAME", Group::Contextual),
    ("USERNAME", Group::Contextual),
    ("PASSPORT", Group::Contextual),
    ("AWS_ACCESS_KEY", Group::Secret),
    ("AWS_SECRET_KEY", Group::Secret),
    ("AZURE_KEY", Group::Secret),
    ("GCP_API_KEY", Group::Secret),
    ("GITHUB_TOKEN", Group::Secret),
    ("GITLAB_TOKEN", Group::Secret),
    ("SLACK_TOKEN", Group::Secret),
    ("STRIPE_KEY", Group::Secret),
    ("OPENAI_KEY", Group::Secret),
    ("ANTHROPIC_KEY", Group::Secret),
    ("OTHER_API_KEY", Group::Secret),
    ("JWT", Group::Secret),
    ("PRIVATE_KEY", Group::Secret),
    ("PASSWORD", Group::Secret),
    ("GENERIC_SECRET", Group::Secret),
    ("BEARER_TOKEN", Group::Secret),
    ("BASIC_AUTH", Group::Secret),
    ("SESSION_COOKIE", Group::Secret),
    ("URL_CREDENTIALS", Group::Secret),
    ("CONNECTION_STRING", Group::Secret),
    ("OTHER", Group::Secret),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_do_not_match_become_other() {
        for bad in ["", "email", "E-MAIL", "A B", "É", "<B>", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456"] {
            assert_eq!(Kind::new(bad), Kind::OTHER, "{bad}");
        }
        for good in ["A", "EMAIL", "X_9", "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"] {
            assert_eq!(Kind::new(good).as_str(), good);
        }
    }

    #[test]
    fn deserialising_validates_too() {
        let kind: Kind = serde_json::from_str("\"<script>\"").unwrap();
        assert_eq!(kind, Kind::OTHER);
    }

    #[test]
    fn an_unknown_group_is_the_strictest() {
        assert_eq!(Group::from_code("whatever"), Group::Secret);
        for group in [Group::Structured, Group::Secret, Group::Contextual] {
            assert_eq!(Group::from_code(group.code()), group);
        }
    }

    #[test]
    fn every_known_name_is_valid() {
        for (name, group) in KNOWN {
            assert!(Kind::is_valid(name), "{name}");
            assert_eq!(Kind::new(name).known_group(), Some(*group));
        }
    }
}
