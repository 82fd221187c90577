//! The bundled scanner for personal data and secrets.
//!
//! How it works, in the order of the passes:
//!
//! 1. one automaton over all literals (prefixes, cues, parts of field names), one table look-up for each byte;
//! 2. what each literal starts: a matcher anchored there, then the validators;
//!    Tables and records name their values once, and their rows are read where the names are met;
//! 3. one loop over the byte classes that have no literal: digits, colons, dashes and dots between hexadecimal digits,
//!    at signs;
//! 4. findings that another one covers with better evidence are dropped.
//!
//! Invariants:
//! - time is linear in the text, whatever it holds: each matcher looks back a bounded number of bytes, and forward over
//!   runs whose ends are remembered;
//! - a finding lies on character boundaries;
//! - what a finding says beside its range (kind, detector) never depends on the value's text beyond its kind.
//!
//! It is a plain library, so that it can be tested and measured natively; the module `guest` wraps it for the contract.

mod assign;
mod auth;
mod automaton;
mod block;
mod cards;
mod classify;
mod cli;
mod columns;
mod credentials;
mod csv;
#[cfg(test)]
mod csv_tests;
mod dates;
mod email;
mod encoded;
mod field_words;
mod grid;
mod hashes;
mod hosts;
mod ids;
mod jwt;
mod kind;
mod literal_table;
mod literals;
mod logins;
mod looks;
mod mailbox;
mod markup;
mod names;
mod network;
mod numbers;
mod parts;
mod payment;
mod pem;
mod people;
mod phone;
mod phone_plans;
mod places;
mod prose;
mod scan;
mod secrets;
mod segments;
mod sql;
mod syslog;
mod text;
mod url;
mod user_words;
mod users;
mod value;
mod vendors;
mod vocab;
mod worded;
mod words;

#[cfg(target_arch = "wasm32")]
mod guest;
#[cfg(test)]
mod linear_tests;
#[cfg(test)]
mod long_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod record_tests;
#[cfg(test)]
mod testing;

use serde::Deserialize;

pub use kind::{Group, Kind, KindInfo};

/// A value that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// Byte range in the window, on character boundaries, `start < end`.
    pub start: usize,
    /// Exclusive.
    pub end: usize,
    /// 0 to 1.
    pub confidence: f32,
    /// The value passed a check that chance would fail.
    pub validated: bool,
    /// Which rule found it.
    pub detector: &'static str,
}

/// Why rules were refused.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// Not JSON, or not of the shape that [`prepare`] documents.
    #[error("the rules are not valid: {0}")]
    Rules(#[from] serde_json::Error),
    /// A type that this scanner does not have.
    #[error("the rules name a type that this scanner does not have: {0:?}")]
    UnknownKind(String),
    /// A part of a host name that no host name could have.
    #[error("{0:?} is no part of a host name")]
    HostLabel(String),
    /// The automaton could not be built.
    #[error("the rules are too large: {0}")]
    TooLarge(String),
}

/// The rules that an organisation may set.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rules {
    /// Types that are not reported.
    disabled: Vec<String>,
    /// Values that are never reported, letter by letter.
    allowed: Vec<String>,
    /// More labels or domains that mark a host name as internal: `acme.net`, `dc1`.
    internal_domains: Vec<String>,
}

/// The most that `internal_domains` may name: each adds states to the automaton.
const MAX_INTERNAL_DOMAINS: usize = 256;

/// The most findings that the contract lets one scan report. Reached only by text that is made for it; then one finding
/// covers all that is left, because what would be dropped would leave unmasked.
pub const MAX_FINDINGS: usize = 100_000;

/// A scanner with its automata built.
#[derive(Clone, Debug)]
pub struct Scanner {
    literals: literals::Literals,
    disabled: Vec<Kind>,
    allowed: std::collections::BTreeSet<String>,
}

/// What this scanner can report.
#[must_use]
pub fn kinds() -> Vec<KindInfo> {
    Kind::ALL.iter().map(|kind| kind.info()).collect()
}

/// Build a scanner. `rules_json` is an object; `{}` gives the defaults. Known fields, all optional lists of strings:
/// `disabled` (types not to report), `allowed` (values never reported), `internal_domains` (what makes a host internal,
/// beside `.internal`, `.local`, `.lan`, `.corp` and their like).
///
/// # Errors
/// [`PrepareError`] where the rules are not of that shape.
pub fn prepare(rules_json: &str) -> Result<Scanner, PrepareError> {
    let rules: Rules = serde_json::from_str(if rules_json.trim().is_empty() { "{}" } else { rules_json })?;
    let mut disabled = Vec::with_capacity(rules.disabled.len());
    for name in rules.disabled {
        disabled.push(Kind::by_name(&name).ok_or(PrepareError::UnknownKind(name))?);
    }
    if rules.internal_domains.len() > MAX_INTERNAL_DOMAINS {
        return Err(PrepareError::TooLarge(format!("at most {MAX_INTERNAL_DOMAINS} internal domains")));
    }
    for label in &rules.internal_domains {
        let fits = label.trim_matches('.').bytes().all(|b| text::is(b, text::HOST));
        if !fits || label.trim_matches('.').is_empty() || label.len() > 253 {
            return Err(PrepareError::HostLabel(label.clone()));
        }
    }
    vocab::warm();
    users::warm();
    names::warm();
    people::warm();
    looks::warm();
    field_words::warm();
    let literals =
        literals::Literals::new(&rules.internal_domains).map_err(|error| PrepareError::TooLarge(error.to_string()))?;
    Ok(Scanner { literals, disabled, allowed: rules.allowed.into_iter().collect() })
}

impl Scanner {
    /// All values in a window, in the order of their starts. `continues_before` and `continues_after` say that the
    /// window is a part of a longer text: its start is then no boundary, and a value that runs to its end is reported
    /// up to the end. In a window that continues another, long secrets are reported in parts too.
    #[must_use]
    pub fn scan(&self, text: &str, continues_before: bool, continues_after: bool) -> Vec<Finding> {
        let mut scan = scan::Scan::new(text, continues_before, continues_after);
        scan.run(&self.literals);
        let mut found = scan.finish();
        if !self.disabled.is_empty() || !self.allowed.is_empty() {
            found.retain(|finding| {
                !self.disabled.contains(&finding.kind)
                    && !text.get(finding.start..finding.end).is_some_and(|value| self.allowed.contains(value))
            });
        }
        if continues_before {
            parts::add(text, &mut found);
        }
        cap(&mut found, MAX_FINDINGS);
        found
    }
}

/// At most `most` findings: the last one covers the rest.
fn cap(found: &mut Vec<Finding>, most: usize) {
    if found.len() <= most {
        return;
    }
    let rest = found.split_off(most.saturating_sub(1));
    let end = rest.iter().map(|finding| finding.end).max();
    if let (Some(first), Some(end)) = (rest.first(), end) {
        found.push(Finding {
            kind: Kind::GenericSecret,
            start: first.start,
            end,
            confidence: 0.5,
            validated: false,
            detector: "too many findings",
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_checked() {
        assert!(prepare("{}").is_ok());
        assert!(prepare("").is_ok());
        assert!(matches!(prepare("["), Err(PrepareError::Rules(_))));
        assert!(matches!(prepare(r#"{"disable":[]}"#), Err(PrepareError::Rules(_))));
        assert!(matches!(prepare(r#"{"disabled":["E_MAIL"]}"#), Err(PrepareError::UnknownKind(_))));
        assert!(matches!(prepare(r#"{"internal_domains":["a b"]}"#), Err(PrepareError::HostLabel(_))));
    }

    #[test]
    fn too_many_findings_become_one_that_covers_them() {
        let text = "a@b.co ".repeat(50);
        let mut found = crate::testing::SCANNER.scan(&text, false, false);
        let last = found.last().map(|finding| finding.end);
        assert_eq!(found.len(), 50);
        cap(&mut found, 50);
        assert_eq!(found.len(), 50);
        cap(&mut found, 10);
        assert_eq!(found.len(), 10);
        assert_eq!(found.last().map(|finding| (finding.start, Some(finding.end))), Some((63, last)));
    }

    #[test]
    fn rules_hold() -> Result<(), PrepareError> {
        let text = "mail jo@acme.com and al@acme.com on db7.acme.net";
        assert_eq!(prepare("{}")?.scan(text, false, false).len(), 2);
        let rules = r#"{"allowed":["jo@acme.com"],"internal_domains":["acme.net"]}"#;
        let kinds: Vec<_> = prepare(rules)?.scan(text, false, false).iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds, [Kind::Email, Kind::Hostname]);
        let scanner = prepare(r#"{"disabled":["EMAIL"]}"#)?;
        assert!(scanner.scan(text, false, false).is_empty());
        Ok(())
    }
}
