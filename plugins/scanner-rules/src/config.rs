//! The rules as the host hands them over: JSON, with every field optional and unknown ones refused.
//!
//! Invariant: what is read here is only of the right shape; whether it makes sense is checked where it is compiled.

use serde::Deserialize;

/// The most types that rules may bring.
pub const MAX_TYPES: usize = 1000;
/// The most rules of gitleaks, over all configurations.
pub const MAX_GITLEAKS_RULES: usize = 2000;
/// The most field rules.
pub const MAX_FIELDS: usize = 1000;
/// The most values on the allow list, and the most on the deny list.
pub const MAX_VALUES: usize = 50_000;
/// The most that all values of both lists are long, bytes: their automata hold about twelve times that.
pub const MAX_VALUE_BYTES: usize = 2 << 20;
/// The most patterns on the allow list.
pub const MAX_ALLOW_PATTERNS: usize = 1000;
/// The longest pattern, bytes.
pub const MAX_PATTERN: usize = 4 << 10;
/// The longest pattern of a gitleaks rule, bytes.
pub const MAX_GITLEAKS_PATTERN: usize = 64 << 10;
/// The longest value on a list, bytes.
pub const MAX_VALUE: usize = 1 << 10;
/// The farthest that a word may stand from its value, bytes.
pub const MAX_WITHIN: usize = 1024;
/// The most words of one type.
pub const MAX_WORDS: usize = 200;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rules {
    pub(crate) types: Vec<Type>,
    pub(crate) fields: Vec<Field>,
    pub(crate) allow: Allow,
    pub(crate) deny: Vec<Deny>,
    pub(crate) gitleaks: Vec<Gitleaks>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Type {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) group: Option<String>,
    pub(crate) pattern: String,
    pub(crate) validator: Option<String>,
    pub(crate) words: Vec<String>,
    pub(crate) within: Option<usize>,
    pub(crate) words_required: Option<bool>,
    pub(crate) confidence: Option<f32>,
    pub(crate) entropy: Option<f64>,
    pub(crate) matches: Vec<String>,
    pub(crate) no_matches: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Field {
    pub(crate) path: String,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) never: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Allow {
    pub(crate) values: Vec<String>,
    pub(crate) patterns: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Deny {
    pub(crate) value: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Gitleaks {
    pub(crate) rules: Vec<GitleaksRule>,
    pub(crate) allowlists: Vec<GitleaksAllowlist>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct GitleaksRule {
    pub(crate) id: String,
    #[serde(rename = "description")]
    pub(crate) _description: String,
    pub(crate) regex: String,
    pub(crate) path: String,
    pub(crate) secret_group: usize,
    pub(crate) entropy: f64,
    pub(crate) keywords: Vec<String>,
    #[serde(rename = "tags")]
    pub(crate) _tags: Vec<String>,
    pub(crate) skip_report: bool,
    pub(crate) allowlists: Vec<GitleaksAllowlist>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct GitleaksAllowlist {
    #[serde(rename = "description")]
    pub(crate) _description: String,
    pub(crate) condition: String,
    pub(crate) regex_target: String,
    pub(crate) regexes: Vec<String>,
    pub(crate) stopwords: Vec<String>,
    pub(crate) paths: Vec<String>,
    pub(crate) commits: Vec<String>,
    pub(crate) target_rules: Vec<String>,
}
