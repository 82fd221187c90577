//! What was found in short texts: a conversation is sent again with each of its turns, and clients and tools repeat
//! themselves.
//!
//! Invariant: what is remembered is what this scanner, prepared with these rules, finds in these bytes; places and types,
//! and no text.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fumehood_runtime::{Chunk, Plugin, RawFinding};
use sha2::{Digest as _, Sha256};

/// Texts that are remembered, in each half; the longest of them, bytes; and the most that is kept of one, findings.
const TEXTS: usize = 4_096;
const SHORT: usize = 8 << 10;
const FINDINGS: usize = 32;

/// Findings by the hash of scanner, rules and text. Of two halves the older one is dropped when the newer is full.
#[derive(Default)]
pub(crate) struct FoundBefore(Mutex<Halves>);

#[derive(Default)]
struct Halves {
    newer: HashMap<Key, Arc<[RawFinding]>>,
    older: HashMap<Key, Arc<[RawFinding]>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    /// Nothing for what is too long to be remembered.
    pub(super) fn of(plugin: &Plugin, chunk: Chunk<'_>) -> Option<Self> {
        if chunk.text.len() > SHORT {
            return None;
        }
        let mut hash = Sha256::new();
        hash.update(plugin.prepared());
        hash.update(chunk.offset.to_le_bytes());
        hash.update([
            u8::from(chunk.continues_before),
            u8::from(chunk.continues_after),
            u8::from(chunk.name.is_some()),
        ]);
        let name = chunk.name.unwrap_or_default();
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update(chunk.text);
        Some(Self(hash.finalize().into()))
    }
}

impl FoundBefore {
    pub(super) fn get(&self, key: &Key) -> Option<Arc<[RawFinding]>> {
        let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = halves.newer.get(key) {
            return Some(Arc::clone(found));
        }
        let found = halves.older.remove(key)?;
        halves.put(*key, Arc::clone(&found));
        Some(found)
    }

    pub(super) fn put(&self, key: Key, found: &[RawFinding]) {
        if found.len() <= FINDINGS {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).put(key, found.into());
        }
    }
}

impl Halves {
    fn put(&mut self, key: Key, found: Arc<[RawFinding]>) {
        if self.newer.len() >= TEXTS {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(key, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_remembered_for_as_long_as_there_is_room() {
        let before = FoundBefore::default();
        let key = |number: usize| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&number.to_le_bytes());
            Key(key)
        };
        before.put(key(0), &[]);
        for number in 1..5 * TEXTS {
            before.put(key(number), &[]);
            assert!(before.get(&key(0)).is_some(), "what is asked for again and again stays");
            let halves = before.0.lock().unwrap();
            assert!(halves.newer.len() + halves.older.len() <= 2 * TEXTS);
        }
        assert!(before.get(&key(1)).is_none());
    }

    #[test]
    fn a_text_full_of_findings_is_not_remembered() {
        let one = RawFinding {
            kind: "EMAIL".into(),
            start: 0,
            end: 1,
            confidence: 1.0,
            validated: true,
            detector: String::new(),
        };
        let before = FoundBefore::default();
        before.put(Key([1; 32]), &vec![one.clone(); FINDINGS + 1]);
        before.put(Key([2; 32]), &vec![one; FINDINGS]);
        assert!(before.get(&Key([1; 32])).is_none());
        assert_eq!(before.get(&Key([2; 32])).map(|found| found.len()), Some(FINDINGS));
    }
}
