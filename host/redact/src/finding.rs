//! What scanners report ([`Finding`]) and what is masked ([`Span`]).
//!
//! Both hold offsets and names only, never a byte of the text that they point into.

use serde::{Deserialize, Serialize};

use crate::{Group, Kind};

/// One report of one scanner. Findings overlap freely.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// How it is treated.
    pub group: Group,
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
    /// 0 to 1; anything else counts as 0.
    pub confidence: f32,
    /// It passed a check that chance would fail. Decides labels only.
    pub validated: bool,
    /// Which rule found it, without any of the text.
    pub detector: String,
    /// Which scanner reported it.
    pub scanner: String,
}

/// One stretch of text that is masked, under one label. The spans of a text are sorted and do not overlap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
    /// The kind of the finding that gave the label.
    pub kind: Kind,
    /// The group of the finding that gave the label.
    pub group: Group,
    /// Its confidence, 0 to 1.
    pub confidence: f32,
    /// Whether it was validated.
    pub validated: bool,
    /// Its rule.
    pub detector: String,
    /// Its scanner.
    pub scanner: String,
}

impl Finding {
    /// The confidence as the contract takes it: 0 for anything outside of 0 to 1, also for NaN.
    #[must_use]
    pub fn confidence(&self) -> f32 {
        if (0.0..=1.0).contains(&self.confidence) { self.confidence } else { 0.0 }
    }
}

impl From<&Span> for Finding {
    fn from(span: &Span) -> Self {
        Self {
            kind: span.kind.clone(),
            group: span.group,
            start: span.start,
            end: span.end,
            confidence: span.confidence,
            validated: span.validated,
            detector: span.detector.clone(),
            scanner: span.scanner.clone(),
        }
    }
}

#[cfg(test)]
pub(crate) mod strategies {
    //! Findings for property tests.

    use proptest::prelude::*;

    use super::*;

    /// A finding somewhere in `0..=len + 4`, sometimes empty, reversed or past the end.
    pub fn finding(len: usize) -> impl Strategy<Value = Finding> {
        (
            prop::sample::select(vec!["EMAIL", "IPV4", "PASSWORD", "PERSON", "OTHER"]),
            0..=len + 4,
            0..=len + 4,
            prop::sample::select(vec![0.0, 0.25, 0.5, 1.0, f32::NAN, -1.0, 7.0]),
            any::<bool>(),
            prop::sample::select(vec!["a", "b"]),
            prop::sample::select(vec!["pii", "own"]),
        )
            .prop_map(|(kind, start, end, confidence, validated, detector, scanner)| Finding {
                kind: Kind::new(kind),
                group: Kind::new(kind).known_group().unwrap_or(Group::Secret),
                start,
                end,
                confidence,
                validated,
                detector: detector.to_owned(),
                scanner: scanner.to_owned(),
            })
    }

    /// A finding for unit tests.
    pub fn plain(kind: &str, start: usize, end: usize) -> Finding {
        Finding {
            kind: Kind::new(kind),
            group: Kind::new(kind).known_group().unwrap_or(Group::Secret),
            start,
            end,
            confidence: 0.5,
            validated: false,
            detector: "test".to_owned(),
            scanner: "test".to_owned(),
        }
    }
}
