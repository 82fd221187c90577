//! The audit log: entries, checkpoints, what a verification said.

use askama::Template;

use super::Frame;
use crate::units::{Bytes, Count, When};

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
    /// What it concerned: `incident 01J…`; empty where nothing.
    pub object: String,
    /// Where the object is read.
    pub href: Option<String>,
    /// `intent`, `outcome` or `effect`.
    pub stage: String,
    /// `ok`, `failed`, `denied`, `unknown`; empty for an intent.
    pub outcome: String,
    /// The number of the intent that an outcome belongs to.
    pub intent: Option<Count>,
    /// Details in a line, without originals.
    pub detail: String,
    /// The leaf's hash in hexadecimal.
    pub hash: String,
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
    /// Words in the details.
    pub q: String,
    /// Exactly.
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
    /// Actors and actions that occur, for the menus.
    pub actors: Vec<String>,
    /// See `actors`.
    pub actions: Vec<String>,
    /// Newest first; 100.
    pub entries: Vec<EntryRow>,
    /// Entries in all.
    pub total: Count,
    /// The address of older ones.
    pub older: Option<String>,
    /// Newest first; the last five.
    pub checkpoints: Vec<CheckpointRow>,
    /// The last verification; nothing where there was none since the start.
    pub verification: Option<Verification>,
    /// A verification runs: how much of the log it has read.
    pub verifying: Option<Bytes>,
    /// The log's identity, as it stands in every checkpoint: `fumehood.example.com/3f9c1a2b`.
    pub origin: String,
    /// `ed25519:` and the public key in base64.
    pub public_key: String,
}
