//! The rules of an organisation and of an incident: types of its own, lists, fields, thresholds.
//!
//! They are written in TOML, ours or that of gitleaks, and several documents hold together. What has to read text (patterns,
//! lists, paths) is handed to a scanner in the sandbox, [`SCANNER`], as JSON; what judges findings is applied here.
//!
//! Invariants: a document is taken as a whole or not at all; an unknown word in one of ours is an error, because a rule
//! that is misspelt protects nobody; a finding is let through by the rules of people only, never by a scanner of
//! somebody else.

mod document;
mod gitleaks;
mod judge;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use document::{Allow, Deny, Field, Type};
pub use judge::Verdict;

use crate::Kind;
use crate::pseudonym::Hints;

/// The name of the scanner that applies rules to text. It ships with Fumehood; nobody else's may have it.
pub const SCANNER: &str = "scanner-rules";
/// The largest document, bytes.
pub const MAX_DOCUMENT: usize = 4 << 20;

/// Rules that are in force together.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Rules {
    types: Vec<Type>,
    fields: Vec<Field>,
    allow: Allow,
    deny: Vec<Deny>,
    gitleaks: Vec<serde_json::Value>,
    #[serde(skip)]
    thresholds: BTreeMap<String, f32>,
    #[serde(skip)]
    default_threshold: f32,
    #[serde(skip)]
    disabled: BTreeSet<Kind>,
    #[serde(skip)]
    internal_domains: Vec<String>,
    #[serde(skip)]
    may_fail: BTreeSet<String>,
    #[serde(skip)]
    hints: Hints,
}

/// Why a document was refused.
#[derive(Debug, thiserror::Error)]
#[error("{document}: {reason}")]
pub struct RulesError {
    /// Its name.
    pub document: String,
    /// What is wrong, and where.
    pub reason: String,
}

impl Rules {
    /// Read a document, ours or gitleaks'. What its patterns are worth, the scanner says when it is prepared.
    ///
    /// # Errors
    /// [`RulesError`].
    pub fn parse(name: &str, toml: &str) -> Result<Self, RulesError> {
        let refuse = |reason: String| RulesError { document: name.to_owned(), reason };
        if toml.len() > MAX_DOCUMENT {
            return Err(refuse(format!("rules are at most {} MiB", MAX_DOCUMENT >> 20)));
        }
        let table: toml::Table = toml.parse().map_err(|error: toml::de::Error| refuse(error.to_string()))?;
        if gitleaks::is_one(&table) {
            let config = gitleaks::read(table).map_err(refuse)?;
            return Ok(Self { gitleaks: vec![config], ..Self::default() });
        }
        document::read(toml).map_err(refuse)
    }

    /// With the rules of another document: everything that either says. A threshold of the other one counts.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.types.extend(other.types);
        self.fields.extend(other.fields);
        self.allow.values.extend(other.allow.values);
        self.allow.patterns.extend(other.allow.patterns);
        self.deny.extend(other.deny);
        self.gitleaks.extend(other.gitleaks);
        self.thresholds.extend(other.thresholds);
        if other.default_threshold > 0.0 {
            self.default_threshold = other.default_threshold;
        }
        self.disabled.extend(other.disabled);
        self.internal_domains.extend(other.internal_domains);
        self.may_fail.extend(other.may_fail);
        self.hints = self.hints.or(other.hints);
        self
    }

    /// What a scanner that ships is prepared with; nothing where [`SCANNER`] has nothing to do.
    #[must_use]
    pub fn for_scanner(&self, name: &str) -> Option<String> {
        if name == SCANNER {
            let nothing = self.types.is_empty()
                && self.fields.is_empty()
                && self.allow.values.is_empty()
                && self.allow.patterns.is_empty()
                && self.deny.is_empty()
                && self.gitleaks.is_empty();
            return if nothing { None } else { serde_json::to_string(self).ok() };
        }
        if name == "scanner-pii" && !self.internal_domains.is_empty() {
            return Some(serde_json::json!({ "internal_domains": self.internal_domains }).to_string());
        }
        Some("{}".to_owned())
    }

    /// What pseudonyms may show beside their number.
    #[must_use]
    pub const fn hints(&self) -> Hints {
        self.hints
    }

    /// Whether a text counts as scanned although this scanner failed. Where no rule says so, it does not.
    #[must_use]
    pub fn may_fail(&self, scanner: &str) -> bool {
        self.may_fail.contains(scanner)
    }

    /// Whether some scanner may fail under these rules.
    #[must_use]
    pub fn loosens_scanning(&self) -> bool {
        !self.may_fail.is_empty()
    }

    /// Whether a value is on a list of what may be shown, as a whole and in any case.
    #[must_use]
    pub fn allows_value(&self, value: &str) -> bool {
        self.allow.values.iter().any(|allowed| allowed.eq_ignore_ascii_case(value.trim()))
    }

    /// How many rules there are of each sort, for people.
    #[must_use]
    pub fn summary(&self) -> Vec<(usize, &'static str)> {
        let gitleaks = self.gitleaks.iter().filter_map(|config| config.get("rules")?.as_array().map(Vec::len)).sum();
        let all = [
            (self.types.len(), "types"),
            (self.fields.len(), "fields"),
            (self.allow.values.len() + self.allow.patterns.len(), "allowed"),
            (self.deny.len(), "denied"),
            (gitleaks, "gitleaks rules"),
            (self.thresholds.len() + usize::from(self.default_threshold > 0.0), "thresholds"),
            (self.disabled.len(), "types switched off"),
            (self.internal_domains.len(), "internal domains"),
            (self.may_fail.len(), "scanners that may fail"),
        ];
        all.into_iter().filter(|(count, _)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = r#"
        [[type]]
        name = "EMPLOYEE_ID"
        description = "Staff number"
        group = "contextual"
        pattern = '\bE-(\d{6})\b'
        words = ["employee"]
        matches = ["employee E-123456"]
        no-matches = ["E-1234567"]

        [[field]]
        path = "$.user.email"
        type = "EMAIL"

        [[field]]
        path = "$.trace_id"
        never = true

        [allow]
        values = ["support@acme.com"]

        [[deny]]
        values = ["Project Nightjar", "Bluebird"]
        type = "CODENAME"

        [thresholds]
        PERSON = 0.7
        default = 0.2

        [scanner]
        disabled = ["MAC"]
        internal-domains = ["acme.net"]

        [pseudonyms]
        IPV4 = "network"
        EMAIL = "domain"
    "#;

    #[test]
    fn a_document_is_read_and_handed_on() -> Result<(), RulesError> {
        let rules = Rules::parse("ours", OURS)?;
        let json: serde_json::Value = serde_json::from_str(&rules.for_scanner(SCANNER).unwrap()).unwrap();
        assert_eq!(json["types"][0]["name"], "EMPLOYEE_ID");
        assert_eq!(json["types"][0]["no_matches"][0], "E-1234567");
        assert_eq!(json["fields"][1], serde_json::json!({"path": "$.trace_id", "never": true}));
        assert_eq!(json["deny"][1], serde_json::json!({"value": "Bluebird", "type": "CODENAME"}));
        assert_eq!(rules.for_scanner("scanner-pii").unwrap(), r#"{"internal_domains":["acme.net"]}"#);
        assert_eq!(rules.for_scanner("scanner-prose").unwrap(), "{}");
        assert!(rules.allows_value("Support@acme.com"));
        assert_eq!(Rules::default().for_scanner(SCANNER), None);
        Ok(())
    }

    #[test]
    fn documents_hold_together() -> Result<(), RulesError> {
        let both =
            Rules::parse("a", OURS)?.with(Rules::parse("b", "[thresholds]\nPERSON = 0.9\n[allow]\nvalues = ['x']")?);
        assert!(both.allows_value("x") && both.allows_value("support@acme.com"));
        assert_eq!(both.thresholds.get("PERSON"), Some(&0.9));
        Ok(())
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (toml, said) in [
            ("[[type]]\nname = 'x'\npattern='a'", "`x` is no name of a type"),
            ("[[type]]\nname = 'PSEUDONYM'\npattern='a'", "`PSEUDONYM` is a name that Fumehood keeps for itself"),
            ("[[type]]\nname = 'A'", "missing field `pattern`"),
            ("[[types]]\nname = 'A'", "unknown field `types`"),
            ("[thresholds]\nPERSON = 7", "the threshold of PERSON is 7"),
            ("[[field]]\npath = '$.a'", "say `type` or `never = true`"),
            ("[[field]]\npath = '$.a'\ntype = 'A'\nnever = true", "say `type` or `never = true`"),
            ("[pseudonyms]\nIPV4 = 'city'", "`city`"),
            ("a = ", "TOML parse error"),
        ] {
            let error = Rules::parse("file.toml", toml).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(said) && error.starts_with("file.toml: "), "{toml}: {error}");
        }
    }

    #[test]
    fn rules_of_gitleaks_load_as_they_are() -> Result<(), RulesError> {
        let toml = r#"
            title = "ours"
            [extend]
            useDefault = true
            [[rules]]
            id = "acme-token"
            description = "Acme"
            regex = '''acme_[a-z0-9]{20}'''
            secretGroup = 1
            entropy = 3.5
            keywords = ["acme_"]
            tags = ["x"]
            [[rules.allowlists]]
            regexTarget = "line"
            regexes = ['''example''']
            [rules.allowlist]
            stopwords = ["test"]
            [allowlist]
            paths = ['''\.lock$''']
        "#;
        let rules = Rules::parse("gitleaks.toml", toml)?;
        let json: serde_json::Value = serde_json::from_str(&rules.for_scanner(SCANNER).unwrap()).unwrap();
        let rule = &json["gitleaks"][0]["rules"][0];
        assert_eq!(rule["id"], "acme-token");
        assert_eq!(rule["allowlists"].as_array().map(Vec::len), Some(2), "the old form of one counts, too");
        assert_eq!(json["gitleaks"][0]["allowlists"][0]["paths"][0], "\\.lock$");
        Ok(())
    }
}
