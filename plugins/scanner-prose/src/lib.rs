//! The bundled scanner for what only prose shows: names of people, postal addresses, dates of birth.
//!
//! How it works:
//!
//! 1. one pass over the bytes finds capital words that are a known name, or unknown, and numbers (`seeds`);
//! 2. the stretches around them are read as words and marks, each byte once (`token`);
//! 3. the runs of capital words give candidates; a linear model with named features judges each (`features`,
//!    `weights`), and of those that overlap the best are taken (`person`);
//! 4. what stood in a full name counts again where it stands alone (`person::Seen`);
//! 5. numbers begin or end addresses and dates, which are read by rules (`address`, `birth`).
//!
//! Invariants:
//! - time is linear in the text: stretches do not overlap, a candidate is at most six tokens long, and its features
//!   depend on at most eight tokens on each side;
//! - a finding lies on character boundaries;
//! - what a finding says beside its range never depends on the text beyond its kind.
//!
//! It is a plain library, so that it can be tested and measured natively; the module `guest` wraps it for the contract.

mod address;
mod birth;
mod candidates;
mod context;
mod features;
mod kind;
mod lexicon;
mod loose;
mod near;
mod person;
mod reading;
mod scripts;
mod seeds;
mod steps;
mod streets;
mod strength;
mod stretch;
mod token;
mod town;
mod weights;
mod wholes;

#[cfg(target_arch = "wasm32")]
mod guest;
#[cfg(test)]
mod linear_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod testing;

use serde::Deserialize;

pub use features::{COUNT as FEATURES, name as feature_name};
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
    /// 0.5 to 1.
    pub confidence: f32,
    /// The value passed a check that chance would fail: never, in prose.
    pub validated: bool,
    /// What decided.
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
}

/// The rules that an organisation may set.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rules {
    /// Types that are not reported.
    disabled: Vec<String>,
}

/// The most findings that the contract lets one scan report. Reached only by text that is made for it; then one finding
/// covers all that is left, because what would be dropped would leave unmasked.
pub const MAX_FINDINGS: usize = 100_000;

/// A scanner with its tables built.
#[derive(Clone, Debug)]
pub struct Scanner {
    lexicon: lexicon::Lexicon,
    disabled: Vec<Kind>,
}

/// What this scanner can report.
#[must_use]
pub fn kinds() -> Vec<KindInfo> {
    Kind::ALL.iter().map(|kind| kind.info()).collect()
}

/// Build a scanner. `rules_json` is an object; `{}` gives the defaults. The one field, optional, is a list of strings:
/// `disabled` (types not to report).
///
/// # Errors
/// [`PrepareError`] where the rules are not of that shape.
pub fn prepare(rules_json: &str) -> Result<Scanner, PrepareError> {
    let rules: Rules = serde_json::from_str(if rules_json.trim().is_empty() { "{}" } else { rules_json })?;
    let mut disabled = Vec::with_capacity(rules.disabled.len());
    for name in rules.disabled {
        disabled.push(Kind::by_name(&name).ok_or(PrepareError::UnknownKind(name))?);
    }
    Ok(Scanner { lexicon: lexicon::Lexicon::new(), disabled })
}

/// A candidate for a name as the model sees it, for training and for explaining.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Byte range in the text.
    pub start: usize,
    /// Exclusive.
    pub end: usize,
    /// The active features, for [`feature_name`].
    pub features: Vec<u16>,
    /// The sum of their weights.
    pub score: f32,
}

impl Scanner {
    /// All values in a window, in the order of their starts. `continues_before` and `continues_after` say that the
    /// window is a part of a longer text, so its start and end may lie in the middle of a word.
    #[must_use]
    pub fn scan(&self, text: &str, continues_before: bool, continues_after: bool) -> Vec<Finding> {
        let mut found = stretch::scan(text, continues_before, continues_after, &self.lexicon);
        found.retain(|finding| !self.disabled.contains(&finding.kind));
        found.sort_by_key(|finding| (finding.start, finding.end));
        cap(&mut found, MAX_FINDINGS);
        found
    }

    /// Every candidate for a name in a text with what the model sees of it, whether it is taken or not.
    #[must_use]
    pub fn judge(&self, text: &str) -> Vec<Judged> {
        stretch::judge(text, &self.lexicon)
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
        found.push(Finding { end, confidence: 0.5, detector: "too many findings", ..*first });
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
        assert!(matches!(prepare(r#"{"allowed":[]}"#), Err(PrepareError::Rules(_))));
        assert!(matches!(prepare(r#"{"disabled":["EMAIL"]}"#), Err(PrepareError::UnknownKind(_))));
    }

    #[test]
    fn rules_hold() -> Result<(), PrepareError> {
        let text = "I met Maria Gonzalez yesterday.";
        assert_eq!(prepare("{}")?.scan(text, false, false).len(), 1);
        assert!(prepare(r#"{"disabled":["PERSON"]}"#)?.scan(text, false, false).is_empty());
        Ok(())
    }

    #[test]
    fn too_many_findings_become_one_that_covers_them() {
        let text = "I met Maria Gonzalez.\n".repeat(50);
        let mut found = crate::testing::SCANNER.scan(&text, false, false);
        let last = found.last().map(|finding| finding.end);
        assert_eq!(found.len(), 50);
        cap(&mut found, 10);
        assert_eq!(found.len(), 10);
        assert_eq!(found.last().map(|finding| Some(finding.end)), Some(last));
    }
}
