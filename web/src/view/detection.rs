//! The rules of what is personal or secret, and trying them.

use askama::Template;

use super::{Field, Frame};
use crate::units::When;

/// The checks that a type of one's own may ask for, none first.
pub const CHECKS: [&str; 14] =
    ["", "luhn", "mod97", "mod11", "mod11_2", "verhoeff", "damm", "ean", "isbn10", "isin", "lei", "aba", "cpf", "cnpj"];

/// A document of rules.
#[derive(Clone, Debug)]
pub struct RulesRow {
    /// Its name, for the address.
    pub name: String,
    /// `3 types, 2 allowed`.
    pub holds: String,
    /// Who wrote it last.
    pub by: String,
    /// When.
    pub at: When,
}

/// A stretch of a text that was tried.
#[derive(Clone, Debug)]
pub struct TriedPart {
    /// As it stands.
    pub text: String,
    /// What it would leave as; nothing where it would leave as it stands.
    pub label: Option<String>,
    /// `structured`, `secret` or `contextual`, for its colour.
    pub group: &'static str,
}

/// A finding of a text that was tried.
#[derive(Clone, Debug)]
pub struct TriedRow {
    /// The type.
    pub kind: String,
    /// The value, shortened.
    pub value: String,
    /// In which line it begins, from 1.
    pub line: usize,
    /// What was looked at.
    pub detector: String,
    /// Who found it.
    pub scanner: String,
    /// 0 to 100.
    pub confidence_percent: u32,
    /// It passed a check that chance would fail.
    pub validated: bool,
    /// It would be masked.
    pub masked: bool,
    /// `masked`, or why not.
    pub verdict: String,
}

/// What is typed into the small forms.
#[derive(Clone, Debug, Default)]
pub struct AddForm {
    /// Which of them was sent: `deny`, `allow`, `field`, `threshold`, `type`; empty for none.
    pub what: String,
    /// A value, a path, a pattern.
    pub value: String,
    /// A type.
    pub kind: String,
    /// A threshold.
    pub least: String,
    /// Words around, each on its line.
    pub words: String,
    /// A validator.
    pub validator: String,
    /// Examples that match, each on its line.
    pub matches: String,
    /// Examples that do not.
    pub no_matches: String,
    /// Why it was not accepted.
    pub error: Option<String>,
}

/// `GET /settings/detection` and `GET /incidents/{id}/rules`, with `?edit=NAME` (empty for a new one) a document to edit.
/// Posts `name`, `toml`, `was` to the same address, `what` and the fields of a small form to `…/add`, `text` (and `name`,
/// `toml` of a draft) to `…/try`, nothing to `…/{name}/remove`.
#[derive(Clone, Debug, Template)]
#[template(path = "admin/detection.html")]
pub struct DetectionPage {
    /// The frame.
    pub frame: Frame,
    /// The page's own address.
    pub address: String,
    /// The incident's title; nothing for the organisation.
    pub incident: Option<String>,
    /// The reader may change these.
    pub can_change: bool,
    /// The documents.
    pub documents: Vec<RulesRow>,
    /// A document is open.
    pub editing: bool,
    /// Its name.
    pub name: Field,
    /// Its text.
    pub toml: Field,
    /// When the one that is edited was changed, microseconds; empty for a new one.
    pub was: String,
    /// The small forms.
    pub add: AddForm,
    /// What was tried, and why it could not be.
    pub text: Field,
    /// What would leave of it.
    pub parts: Vec<TriedPart>,
    /// What was found, and why.
    pub tried: Option<Vec<TriedRow>>,
    /// The types that are known, offered while typing.
    pub kinds: Vec<String>,
}

impl DetectionPage {
    /// Whether a small form is open.
    fn open(&self, what: &str) -> bool {
        self.add.what == what
    }
}
