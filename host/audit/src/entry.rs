//! One entry of the audit log, and the bytes that stand for it.
//!
//! Invariant: [`Entry::encode`] and [`Entry::decode`] are inverse to each other, and nothing else decodes. Two
//! different entries never have the same bytes, and no entry has two encodings, so a leaf hash stands for exactly one
//! entry. An encoding, once written, is never changed; a later form gets a new version byte.
//!
//! Version 1, integers big end first, text as a 32-bit length in bytes and then UTF-8:
//!
//! | field | bytes |
//! |---|---|
//! | version | 1 (value 1) |
//! | index | 8 |
//! | time, microseconds since 1970 UTC, signed | 8 |
//! | phase: 1 intent, 2 outcome, 3 event, 4 done | 1 |
//! | index of the intent; all ones where the phase is not outcome | 8 |
//! | tenant, actor, action, target, result | 4 + length, each |
//! | number of details | 4 |
//! | name and value of each detail, in their order | 4 + length, each |

use std::fmt;

use crate::tree::{Hash, MAX_SIZE, leaf_hash};

/// The version that [`Entry::encode`] writes.
pub const ENTRY_VERSION: u8 = 1;

/// Longest tenant, in bytes. An id has 36.
pub const MAX_TENANT_BYTES: usize = 64;
/// Longest actor, in bytes.
pub const MAX_ACTOR_BYTES: usize = 256;
/// Longest action, in bytes.
pub const MAX_ACTION_BYTES: usize = 64;
/// Longest target, in bytes. Leaves room for a path behind the id, not for a body.
pub const MAX_TARGET_BYTES: usize = 1024;
/// Longest result, in bytes. A result is a code; sentences belong into the details.
pub const MAX_RESULT_BYTES: usize = 64;
/// Most details of one entry.
pub const MAX_DETAILS: usize = 64;
/// Longest name of a detail, in bytes.
pub const MAX_DETAIL_NAME_BYTES: usize = 64;
/// Longest value of a detail, in bytes. Bodies are kept beside the log, and their hash is what goes in here.
pub const MAX_DETAIL_VALUE_BYTES: usize = 4096;
/// Longest encoding, in bytes: bounds what one action can make the log grow by.
pub const MAX_ENTRY_BYTES: usize = 65_536;

/// What stands for "no intent" in the encoding. No index reaches it, see [`MAX_SIZE`].
const NO_INTENT: u64 = u64::MAX;

/// What an entry records of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The action is about to be tried. On disk before any effect.
    Intent,
    /// How the action of an earlier intent ended.
    Outcome,
    /// Something that happened or was observed: a sign-in, a denial, a start of the server.
    Event,
    /// Intent, effect and outcome in one transaction: a change that touches nothing but the database.
    Done,
}

impl Phase {
    fn code(self) -> u8 {
        match self {
            Self::Intent => 1,
            Self::Outcome => 2,
            Self::Event => 3,
            Self::Done => 4,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Intent),
            2 => Some(Self::Outcome),
            3 => Some(Self::Event),
            4 => Some(Self::Done),
            _ => None,
        }
    }

    /// The name for exports and pages: `intent`, `outcome`, `event` or `done`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Outcome => "outcome",
            Self::Event => "event",
            Self::Done => "done",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One entry. Everything in it is masked: the log never holds a secret or an original.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The position in the log, counting from 0 without a gap.
    pub index: u64,
    /// When, in microseconds since 1970 UTC.
    pub time_us: i64,
    /// Whose data. Not empty.
    pub tenant: String,
    /// Who: `user:…`, `token:…`, `plugin:…` or `system`. Not empty.
    pub actor: String,
    /// What, as object and verb: `incident.create`. Not empty.
    pub action: String,
    /// On what: `incident:…`. Empty where the action has no object yet.
    pub target: String,
    /// What this entry records of the action.
    pub phase: Phase,
    /// The index of the intent. Set for an outcome, and only there.
    pub intent: Option<u64>,
    /// `ok` or the code of an error. Empty for an intent, never empty for an outcome or what is done.
    pub result: String,
    /// What else is worth keeping, as names and values in the order in which they were given.
    pub details: Vec<(String, String)>,
}

/// Why an entry is not one, or bytes are not an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// A field is over its limit.
    #[error("{field} has {bytes} bytes, and at most {limit} are allowed")]
    TooLong {
        /// Which field.
        field: &'static str,
        /// Its length.
        bytes: usize,
        /// Its limit.
        limit: usize,
    },
    /// There are more details than [`MAX_DETAILS`].
    #[error("it has {0} details, and at most {MAX_DETAILS} are allowed")]
    TooManyDetails(usize),
    /// A field that must say something is empty.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// A field other than a detail's value has a control character, which could forge a line in an export.
    #[error("{0} has a control character")]
    Control(&'static str),
    /// Index, intent and result do not go with the phase.
    #[error("{0}")]
    Phase(&'static str),
    /// The bytes are of a version that this program does not know.
    #[error("its version is {0}, and this program reads version {ENTRY_VERSION}")]
    Version(u8),
    /// The bytes are not the encoding of an entry.
    #[error("its bytes are not an entry: {0}")]
    Bytes(&'static str),
}

impl Entry {
    /// The canonical bytes. Fails where a field is empty, over its limit, or does not go with the phase.
    pub fn encode(&self) -> Result<Vec<u8>, EntryError> {
        self.check()?;
        let mut bytes = Vec::with_capacity(256);
        bytes.push(ENTRY_VERSION);
        bytes.extend_from_slice(&self.index.to_be_bytes());
        bytes.extend_from_slice(&self.time_us.to_be_bytes());
        bytes.push(self.phase.code());
        bytes.extend_from_slice(&self.intent.unwrap_or(NO_INTENT).to_be_bytes());
        for text in [&self.tenant, &self.actor, &self.action, &self.target, &self.result] {
            put_text(&mut bytes, text);
        }
        bytes.extend_from_slice(&(self.details.len() as u32).to_be_bytes());
        for (name, value) in &self.details {
            put_text(&mut bytes, name);
            put_text(&mut bytes, value);
        }
        if bytes.len() > MAX_ENTRY_BYTES {
            return Err(EntryError::TooLong { field: "entry", bytes: bytes.len(), limit: MAX_ENTRY_BYTES });
        }
        Ok(bytes)
    }

    /// The entry that these bytes stand for. Refuses every byte string that [`Entry::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > MAX_ENTRY_BYTES {
            return Err(EntryError::TooLong { field: "entry", bytes: bytes.len(), limit: MAX_ENTRY_BYTES });
        }
        let mut rest = bytes;
        let [version] = take::<1>(&mut rest)?;
        if version != ENTRY_VERSION {
            return Err(EntryError::Version(version));
        }
        let index = u64::from_be_bytes(take(&mut rest)?);
        let time_us = i64::from_be_bytes(take(&mut rest)?);
        let [code] = take::<1>(&mut rest)?;
        let phase = Phase::from_code(code).ok_or(EntryError::Bytes("the phase is unknown"))?;
        let intent = match u64::from_be_bytes(take(&mut rest)?) {
            NO_INTENT => None,
            intent => Some(intent),
        };
        let tenant = take_text(&mut rest)?;
        let actor = take_text(&mut rest)?;
        let action = take_text(&mut rest)?;
        let target = take_text(&mut rest)?;
        let result = take_text(&mut rest)?;
        let count = u32::from_be_bytes(take(&mut rest)?) as usize;
        if count > MAX_DETAILS {
            return Err(EntryError::TooManyDetails(count));
        }
        let mut details = Vec::with_capacity(count);
        for _ in 0..count {
            details.push((take_text(&mut rest)?, take_text(&mut rest)?));
        }
        if !rest.is_empty() {
            return Err(EntryError::Bytes("something follows the last detail"));
        }
        let entry = Self { index, time_us, tenant, actor, action, target, phase, intent, result, details };
        entry.check()?;
        Ok(entry)
    }

    /// The leaf hash of this entry. Fails as [`Entry::encode`] does.
    pub fn leaf_hash(&self) -> Result<Hash, EntryError> {
        Ok(leaf_hash(&self.encode()?))
    }

    /// The rules that hold for every entry, made or read.
    fn check(&self) -> Result<(), EntryError> {
        label("tenant", &self.tenant, MAX_TENANT_BYTES)?;
        label("actor", &self.actor, MAX_ACTOR_BYTES)?;
        label("action", &self.action, MAX_ACTION_BYTES)?;
        text("target", &self.target, MAX_TARGET_BYTES)?;
        text("result", &self.result, MAX_RESULT_BYTES)?;
        if self.details.len() > MAX_DETAILS {
            return Err(EntryError::TooManyDetails(self.details.len()));
        }
        for (name, value) in &self.details {
            label("the name of a detail", name, MAX_DETAIL_NAME_BYTES)?;
            bounded("the value of a detail", value, MAX_DETAIL_VALUE_BYTES)?;
        }
        if self.index >= MAX_SIZE {
            return Err(EntryError::Phase("its index is beyond the largest log"));
        }
        match (self.phase, self.intent) {
            (Phase::Outcome, None) => Err(EntryError::Phase("an outcome must name its intent")),
            (Phase::Outcome, Some(intent)) if intent >= self.index => {
                Err(EntryError::Phase("an outcome must come after its intent"))
            }
            (Phase::Intent | Phase::Event | Phase::Done, Some(_)) => {
                Err(EntryError::Phase("only an outcome names an intent"))
            }
            (Phase::Intent, None) if !self.result.is_empty() => Err(EntryError::Phase("an intent has no result yet")),
            (Phase::Outcome | Phase::Done, _) if self.result.is_empty() => Err(EntryError::Empty("result")),
            _ => Ok(()),
        }
    }
}

/// `value` cut to `max_bytes` at most, on a character boundary, with `…` where something was cut: for details whose
/// length others decide, so that a long message cannot keep an entry from being written. The result of a limit below
/// three bytes is empty when it has to be cut.
pub fn clip(value: &str, max_bytes: usize) -> String {
    const MARK: &str = "…";
    if value.len() <= max_bytes {
        return value.to_owned();
    }
    let Some(room) = max_bytes.checked_sub(MARK.len()) else {
        return String::new();
    };
    let end = value.floor_char_boundary(room);
    let mut clipped = value.get(..end).unwrap_or_default().to_owned();
    clipped.push_str(MARK);
    clipped
}

fn bounded(field: &'static str, value: &str, limit: usize) -> Result<(), EntryError> {
    if value.len() > limit {
        return Err(EntryError::TooLong { field, bytes: value.len(), limit });
    }
    Ok(())
}

fn text(field: &'static str, value: &str, limit: usize) -> Result<(), EntryError> {
    bounded(field, value, limit)?;
    if value.chars().any(char::is_control) {
        return Err(EntryError::Control(field));
    }
    Ok(())
}

fn label(field: &'static str, value: &str, limit: usize) -> Result<(), EntryError> {
    if value.is_empty() {
        return Err(EntryError::Empty(field));
    }
    text(field, value, limit)
}

/// Lengths fit: [`Entry::check`] has bounded every text far below 4 GiB.
fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&(text.len() as u32).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], EntryError> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(EntryError::Bytes("they end early"))?;
    *rest = tail;
    Ok(*head)
}

fn take_text(rest: &mut &[u8]) -> Result<String, EntryError> {
    let length = u32::from_be_bytes(take(rest)?) as usize;
    let (head, tail) = rest.split_at_checked(length).ok_or(EntryError::Bytes("they end early"))?;
    *rest = tail;
    let text = std::str::from_utf8(head).map_err(|_| EntryError::Bytes("a text is not UTF-8"))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests;
