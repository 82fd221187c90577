//! What the scanner can report, which the rules decide.
//!
//! Invariant: names match `[A-Z0-9_]{1,32}`, each stands once, and the reserved ones never come from a rule.

use std::collections::BTreeMap;

/// The type of a range that the rules allow: the host drops what any scanner finds within it.
pub const ALLOWED: &str = "ALLOWED";
/// The type of what a gitleaks rule finds.
pub const GENERIC_SECRET: &str = "GENERIC_SECRET";
/// The number of [`ALLOWED`] among the kinds.
pub(crate) const ALLOWED_ID: usize = 0;

const RESERVED: &[&str] = &["PSEUDONYM", "OTHER", ALLOWED];

/// How a type is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Shape and checksum decide.
    Structured,
    /// Whoever holds it can act with it.
    Secret,
    /// Only the words around it make it personal.
    Contextual,
}

impl Group {
    /// The contract's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Structured => "structured",
            Self::Secret => "secret",
            Self::Contextual => "contextual",
        }
    }

    fn by_name(name: &str) -> Option<Self> {
        [Self::Structured, Self::Secret, Self::Contextual].into_iter().find(|group| group.name() == name)
    }
}

/// A type of value, with its name, group and a line for the review page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindInfo {
    /// `[A-Z0-9_]{1,32}`.
    pub name: String,
    /// How it is counted.
    pub group: Group,
    /// One line for a person.
    pub description: String,
}

/// The bundled scanner's types: a rule that names one of them means the same group.
const STRUCTURED: &[&str] =
    &["EMAIL", "PHONE", "IPV4", "IPV6", "MAC", "CREDIT_CARD", "IBAN", "US_SSN", "UK_NINO", "UK_NHS"];
const CONTEXTUAL: &[&str] = &["PERSON", "ADDRESS", "DOB", "HOSTNAME", "USERNAME", "PASSPORT"];
const SECRET: &[&str] = &[
    "AWS_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AZURE_KEY",
    "GCP_API_KEY",
    "GITHUB_TOKEN",
    "GITLAB_TOKEN",
    "SLACK_TOKEN",
    "STRIPE_KEY",
    "OPENAI_KEY",
    "ANTHROPIC_KEY",
    "OTHER_API_KEY",
    "JWT",
    "PRIVATE_KEY",
    "PASSWORD",
    GENERIC_SECRET,
    "BEARER_TOKEN",
    "BASIC_AUTH",
    "SESSION_COOKIE",
    "URL_CREDENTIALS",
    "CONNECTION_STRING",
];

fn well_known(name: &str) -> Option<Group> {
    [(STRUCTURED, Group::Structured), (CONTEXTUAL, Group::Contextual), (SECRET, Group::Secret)]
        .into_iter()
        .find_map(|(names, group)| names.contains(&name).then_some(group))
}

/// The kinds in force, by number.
#[derive(Clone, Debug)]
pub(crate) struct Kinds {
    all: Vec<KindInfo>,
    by_name: BTreeMap<String, usize>,
}

impl Kinds {
    /// With [`ALLOWED`] alone.
    pub(crate) fn new() -> Self {
        let allowed = KindInfo {
            name: ALLOWED.to_owned(),
            group: Group::Contextual,
            description: "A value that the organisation's rules allow".to_owned(),
        };
        Self { all: vec![allowed], by_name: BTreeMap::from([(ALLOWED.to_owned(), ALLOWED_ID)]) }
    }

    pub(crate) fn all(&self) -> &[KindInfo] {
        &self.all
    }

    pub(crate) fn name(&self, id: usize) -> &str {
        self.all.get(id).map_or("", |kind| &kind.name)
    }

    /// The number of a type that a rule names. The first rule that says a group or a description decides.
    ///
    /// # Errors
    /// Why there can be no such type.
    pub(crate) fn add(&mut self, name: &str, group: Option<&str>, description: &str) -> Result<usize, String> {
        let fits = (1..=32).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        if !fits {
            return Err(format!("{name:?} is no name of a type: 1 to 32 of A-Z, 0-9 and _"));
        }
        if RESERVED.contains(&name) {
            return Err(format!("the type {name} is reserved"));
        }
        let group =
            match group {
                Some(group) => Some(Group::by_name(group).ok_or_else(|| {
                    format!("there is no group {group:?}; there are structured, secret and contextual")
                })?),
                None => None,
            };
        let next = self.all.len();
        let id = *self.by_name.entry(name.to_owned()).or_insert(next);
        if id == next {
            let group = well_known(name).or(group).unwrap_or(Group::Secret);
            self.all.push(KindInfo { name: name.to_owned(), group, description: String::new() });
        }
        if let Some(kind) = self.all.get_mut(id)
            && kind.description.is_empty()
        {
            kind.description = description.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect();
            kind.group = well_known(name).or(group).unwrap_or(kind.group);
        }
        Ok(id)
    }

    /// Give those a description to which no rule gave one.
    pub(crate) fn finish(&mut self) {
        for kind in self.all.iter_mut().filter(|kind| kind.description.is_empty()) {
            "What the organisation's own rules describe".clone_into(&mut kind.description);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_stand_once() {
        let mut kinds = Kinds::new();
        assert_eq!(kinds.add("BADGE", None, ""), Ok(1));
        assert_eq!(kinds.add("BADGE", Some("structured"), "A badge"), Ok(1));
        assert_eq!(kinds.add("EMAIL", Some("secret"), ""), Ok(2));
        for name in ["", "badge", "A B", "ALLOWED", "OTHER", "PSEUDONYM", &"A".repeat(33)] {
            assert!(kinds.add(name, None, "").is_err(), "{name}");
        }
        assert!(kinds.add("X", Some("public"), "").is_err());
        kinds.finish();
        let all: Vec<_> = kinds.all().iter().map(|kind| (kind.name.as_str(), kind.group)).collect();
        assert_eq!(all, [(ALLOWED, Group::Contextual), ("BADGE", Group::Structured), ("EMAIL", Group::Structured)]);
        assert!(kinds.all().iter().all(|kind| !kind.description.is_empty()));
    }
}
