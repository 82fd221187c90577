//! The five whys.

use askama::Template;

use super::bench::Bench;
use super::{Field, Frame};
use crate::units::Id;

/// A pointer into a log.
#[derive(Clone, Debug)]
pub struct WhyEvidence {
    /// The pointer.
    pub id: Id,
    /// The log's name.
    pub log_name: String,
    /// `/incidents/{id}/logs/{log}?from=118#L120`.
    pub href: String,
    /// First line.
    pub from: u64,
    /// Last line; the same as the first for one line.
    pub to: u64,
    /// The first line, masked, at most 200 characters.
    pub excerpt: String,
}

/// One why.
///
/// Posts below `/incidents/{incident}/whys/{id}`: to itself `question`, `answer`; `/evidence` with `log`, `lines`
/// (`120` or `120-140`); `/evidence/{evidence}/remove`; `/root` (toggles, and saves what was typed); `/remove`. Each answers 303 to
/// `/incidents/{incident}/whys#why-{id}`, or 422 with the page.
#[derive(Clone, Debug)]
pub struct Why {
    /// The why.
    pub id: Id,
    /// Counted from one.
    pub number: u32,
    /// Why did …?
    pub question: Field,
    /// May be empty.
    pub answer: Field,
    /// What supports it.
    pub evidence: Vec<WhyEvidence>,
    /// Names the texts as they are saved.
    pub seen: String,
    /// Its answer is the root cause; at most one of an incident.
    pub root: bool,
    /// Why the evidence was not added.
    pub evidence_error: Option<String>,
    /// What was typed then: the log's id, and the lines.
    pub typed_log: String,
    /// See `typed_log`.
    pub typed_lines: String,
}

/// `GET /incidents/{id}/whys`. Posts a new one to the same address: `question`, `answer`.
#[derive(Clone, Debug, Template)]
#[template(path = "workbench/whys.html")]
pub struct WhysPage {
    /// The frame.
    pub frame: Frame,
    /// The columns.
    pub bench: Bench,
    /// In order.
    pub whys: Vec<Why>,
    /// A new one that did not pass.
    pub question: Field,
    /// Its answer.
    pub answer: Field,
}

impl WhysPage {
    /// The next number.
    #[must_use]
    pub fn next(&self) -> usize {
        self.whys.len().saturating_add(1)
    }

    /// What the empty field for a new question says.
    #[must_use]
    pub const fn prompt(&self) -> &'static str {
        if self.whys.is_empty() { "Why did …?" } else { "And why was that so?" }
    }

    /// Whether a root cause is marked.
    #[must_use]
    pub fn has_root(&self) -> bool {
        self.whys.iter().any(|why| why.root)
    }
}
