//! Our own form of rules.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Rules;
use crate::Kind;
use crate::pseudonym::Hints;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Document {
    #[serde(default, rename = "type")]
    types: Vec<Type>,
    #[serde(default, rename = "field")]
    fields: Vec<Field>,
    #[serde(default)]
    allow: Allow,
    #[serde(default)]
    deny: Vec<DenyMany>,
    #[serde(default)]
    thresholds: BTreeMap<String, f32>,
    #[serde(default)]
    scanner: ScannerPart,
    #[serde(default)]
    pseudonyms: HintsPart,
}

/// A type of value with its pattern.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Type {
    /// `[A-Z0-9_]{1,32}`.
    pub name: String,
    /// One line for the review page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `structured`, `secret` or `contextual`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Rust's syntax of regular expressions.
    pub pattern: String,
    /// A check digit or the like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validator: Option<String>,
    /// Words of which one stands near.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    /// How near, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<u32>,
    /// Whether one has to.
    #[serde(default, alias = "words-required", skip_serializing_if = "Option::is_none")]
    pub words_required: Option<bool>,
    /// 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// The least of Shannon's entropy, bits per character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entropy: Option<f32>,
    /// Examples in each of which something is found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<String>,
    /// Examples in which nothing is.
    #[serde(default, alias = "no-matches", skip_serializing_if = "Vec::is_empty")]
    pub no_matches: Vec<String>,
}

/// What a field holds, by its path or name.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// `$.user.email`, `$..email`, or a bare name.
    pub path: String,
    /// Its value is of this type, always.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its value is nothing, ever.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub never: bool,
}

/// What may be shown.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// Whole values, in any case.
    #[serde(default)]
    pub values: Vec<String>,
    /// Patterns of whole values.
    #[serde(default)]
    pub patterns: Vec<String>,
}

/// A value that is always masked.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Deny {
    /// As it stands, in any case.
    pub value: String,
    /// The type that it is masked as.
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DenyMany {
    values: Vec<String>,
    #[serde(rename = "type", default = "denied")]
    kind: String,
}

fn denied() -> String {
    "DENIED".to_owned()
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ScannerPart {
    #[serde(default)]
    disabled: Vec<String>,
    #[serde(default)]
    internal_domains: Vec<String>,
    /// Scanners without whose answer a text still counts as scanned.
    #[serde(default)]
    may_fail: BTreeSet<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HintsPart {
    #[serde(rename = "IPV4", default)]
    ipv4: Option<Network>,
    #[serde(rename = "EMAIL", default)]
    email: Option<Domain>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Network {
    Network,
    None,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Domain {
    Domain,
    None,
}

/// A name that a rule may give to a type.
fn checked(name: &str) -> Result<(), String> {
    if !Kind::is_valid(name) {
        return Err(format!("`{name}` is no name of a type: capital letters, digits and underscores, 32 at most"));
    }
    let kind = Kind::new(name);
    if kind == Kind::PSEUDONYM || kind == Kind::OTHER || kind == Kind::ALLOWED {
        return Err(format!("`{name}` is a name that Fumehood keeps for itself"));
    }
    Ok(())
}

pub(super) fn read(toml: &str) -> Result<Rules, String> {
    let document: Document = toml::from_str(toml).map_err(|error| error.to_string())?;
    for one in &document.types {
        checked(&one.name)?;
        if let Some(group) =
            one.group.as_deref().filter(|group| !["structured", "secret", "contextual"].contains(group))
        {
            return Err(format!("type {}: `{group}` is no group; say structured, secret or contextual", one.name));
        }
    }
    for field in &document.fields {
        match &field.kind {
            Some(kind) if !field.never => checked(kind)?,
            None if field.never => {}
            _ => return Err(format!("field {}: say `type` or `never = true`, and not both", field.path)),
        }
    }
    let mut deny = Vec::new();
    for many in document.deny {
        checked(&many.kind)?;
        deny.extend(many.values.into_iter().map(|value| Deny { value, kind: many.kind.clone() }));
    }
    let mut default_threshold = 0.0;
    let mut thresholds = BTreeMap::new();
    for (name, threshold) in document.thresholds {
        if !(0.0..=1.0).contains(&threshold) {
            return Err(format!("the threshold of {name} is {threshold}; it is a confidence from 0 to 1"));
        }
        if name == "default" {
            default_threshold = threshold;
        } else {
            checked(&name)?;
            thresholds.insert(name, threshold);
        }
    }
    let mut disabled = BTreeSet::new();
    for name in document.scanner.disabled {
        checked(&name)?;
        disabled.insert(Kind::new(&name));
    }
    Ok(Rules {
        types: document.types,
        fields: document.fields,
        allow: document.allow,
        deny,
        gitleaks: Vec::new(),
        thresholds,
        default_threshold,
        disabled,
        internal_domains: document.scanner.internal_domains,
        may_fail: document.scanner.may_fail,
        hints: Hints {
            network: matches!(document.pseudonyms.ipv4, Some(Network::Network)),
            domain: matches!(document.pseudonyms.email, Some(Domain::Domain)),
        },
    })
}
