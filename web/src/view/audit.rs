//! The audit log: entries, checkpoints, what a verification said.

use askama::Template;

use super::Frame;
use crate::units::{Bytes, Count, When};

/// A word of an entry: an id or a hash, which is shown by its end and copied whole, or anything else, shown as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The whole of it.
    pub whole: String,
}

impl Word {
    /// From what the record has; a digest may name its algorithm.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { whole: text.into() }
    }

    /// How an id or a hash is shown; nothing for other words.
    #[must_use]
    pub fn short(&self) -> Option<&str> {
        let bare = self.whole.strip_prefix("sha256:").unwrap_or(&self.whole);
        let only = |allowed: fn(&u8) -> bool| bare.bytes().all(|byte| allowed(&byte));
        let is_hash = bare.len() == 64 && only(u8::is_ascii_hexdigit);
        let is_id = bare.len() == 36 && only(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
        match (is_hash, is_id) {
            (true, _) => bare.get(..8),
            (_, true) => bare.get(28..),
            _ => None,
        }
    }
}

/// One entry.
#[derive(Clone, Debug)]
pub struct EntryRow {
    /// The number of the leaf, counted from 0, without gaps.
    pub number: Count,
    /// When.
    pub at: When,
    /// Who: a person, `plugin provider-openai`, `server`.
    pub actor: String,
    /// `incident.create`, `model.complete`, …
    pub action: String,
    /// What kind of thing it concerned: `incident`; empty where nothing.
    pub object: String,
    /// Which one.
    pub object_id: Word,
    /// Where the object is read.
    pub href: Option<String>,
    /// `intent`, `outcome` or `effect`.
    pub stage: String,
    /// `ok`, `failed`, `denied`, `unknown`, a state; empty for an intent.
    pub outcome: String,
    /// The number of the intent that an outcome belongs to.
    pub intent: Option<Count>,
    /// Details by name, without originals.
    pub details: Vec<(String, Word)>,
    /// The leaf's hash in base64, as checkpoints write theirs.
    pub hash: String,
}

impl EntryRow {
    /// Good, bad or neither: the class of its outcome's tag.
    #[must_use]
    pub fn tone(&self) -> &'static str {
        match self.outcome.as_str() {
            "ok" | "done" | "published" | "approved" | "connected" => "ok",
            "unknown" | "pending" | "conflict" | "interrupted" => "unknown",
            "" | "stopped" | "cancelled" | "expired" => "plain",
            _ => "failed",
        }
    }
}

/// A signed checkpoint.
#[derive(Clone, Debug)]
pub struct CheckpointRow {
    /// Entries that it covers.
    pub size: Count,
    /// The root in base64.
    pub root: String,
    /// When it was signed.
    pub at: When,
    /// Where it was copied to: `data folder`, `/mnt/worm/checkpoints`.
    pub sinks: Vec<String>,
}

/// What the last verification said.
#[derive(Clone, Debug)]
pub struct Verification {
    /// Everything holds.
    pub good: bool,
    /// `1,204 entries and 31 checkpoints hold`, or which entry is the first bad one and in what way.
    pub text: String,
    /// When it ended.
    pub at: When,
}

/// What the table is narrowed to: `q`, `actor`, `action`, `outcome`, `incident` in the URL. Empty means all.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Without the calls of plugins.
    pub without_calls: bool,
    /// Words in the details.
    pub q: String,
    /// As the record has it: `user:…`.
    pub actor: String,
    /// Exactly, or a beginning with `*`: `model.*`.
    pub action: String,
    /// Exactly.
    pub outcome: String,
    /// The id of an incident.
    pub incident: String,
}

impl AuditFilter {
    /// Whether anything is left out.
    #[must_use]
    pub const fn narrows(&self) -> bool {
        !(self.q.is_empty()
            && self.actor.is_empty()
            && self.action.is_empty()
            && self.outcome.is_empty()
            && self.incident.is_empty())
            || self.without_calls
    }
}

/// `GET /audit?q=&actor=&action=&outcome=&incident=&before=`. `POST /audit/verify` (no fields) begins a verification
/// and answers 303 to `/audit`. `GET /audit/export` is the filtered log as JSON lines.
#[derive(Clone, Debug, Template)]
#[template(path = "admin/audit.html")]
pub struct AuditPage {
    /// The frame.
    pub frame: Frame,
    /// As in the URL.
    pub filter: AuditFilter,
    /// Actors that occur, as the record has them, with the name that people know; for the menu.
    pub actors: Vec<(String, String)>,
    /// Actions that occur.
    pub actions: Vec<String>,
    /// Outcomes that occur.
    pub outcomes: Vec<String>,
    /// Newest first; 100.
    pub entries: Vec<EntryRow>,
    /// Entries in all.
    pub total: Count,
    /// The address of older ones. A long log is searched a part at a time: there may be more where few were found.
    pub older: Option<String>,
    /// The address of the filtered log as JSON lines.
    pub export: String,
    /// Newest first; the last five.
    pub checkpoints: Vec<CheckpointRow>,
    /// How many are stored.
    pub all_checkpoints: Count,
    /// The last verification; nothing where there was none since the start.
    pub verification: Option<Verification>,
    /// A verification runs: how much of the log it has read.
    pub verifying: Option<Bytes>,
    /// The log's identity, as it stands in every checkpoint: `fumehood.example.com/3f9c1a2b`.
    pub origin: String,
    /// `ed25519:` and the public key in base64.
    pub public_key: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_and_hashes_are_shortened() {
        let short = |text: &str| Word::new(text).short().map(str::to_owned);
        assert_eq!(short("0198f2a5-7e11-7a02-b00c-1f2e3d4c5b6a"), Some("3d4c5b6a".into()));
        assert_eq!(short(&format!("sha256:{}", "9f1c0a7b".repeat(8))), Some("9f1c0a7b".into()));
        for kept in ["checkout-api.log", "a-word-that-happens-to-have-36-bytes", "", "42"] {
            assert_eq!(short(kept), None, "{kept}");
        }
    }
}
