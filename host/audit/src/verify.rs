//! The offline verifier: a log read once, in order, against everything that was ever signed about it.
//!
//! Invariant: [`Verifier::finish`] answers with a [`Report`] only where every entry from 0 on is there once, in its
//! place, with its bytes; every checkpoint that was given has a good signature and the root of exactly that many
//! entries; and none covers more than there are. The first fault ends the run: the verifier keeps it and answers with
//! it from then on, so a caller that ignores one cannot be told that all is well.
//!
//! Checkpoints are given first, then the entries; memory is one bit for each entry and some 50 bytes for each
//! checkpoint and each intent without an outcome.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::checkpoint::{CheckpointError, SignedCheckpoint, VerifierKey};
use crate::entry::{Entry, Phase};
use crate::fault::{Fault, FaultKind, Note, Origin};
use crate::outside::OutsideFile;
use crate::tree::{Frontier, Hash, empty_root, leaf_hash};

/// Verifies one log. See the crate's example for the order of calls.
#[derive(Clone)]
pub struct Verifier {
    keys: Vec<VerifierKey>,
    frontier: Frontier,
    /// What was signed, by size; for each size and origin the first note that gave a root.
    signed: BTreeMap<u64, Vec<(Note, Hash)>>,
    /// The largest size up to which a checkpoint was found to hold.
    confirmed: u64,
    /// One bit for each entry: whether it is an intent.
    intents: Vec<u64>,
    open_intents: BTreeSet<u64>,
    /// An outcome that does not fit. Held back until the next checkpoint says whether an entry before it was changed.
    misfit: Option<Fault>,
    fault: Option<Fault>,
    report: Report,
}

/// What a log that is in order looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How many entries there are.
    pub entries: u64,
    /// The root of their tree.
    pub root: Hash,
    /// How many entries the last stored checkpoint covers; nothing where there is none.
    pub last_checkpoint_size: Option<u64>,
    /// How many entries are proved unchanged by a checkpoint that was kept outside; nothing where none was given.
    pub covered_by_outside: Option<u64>,
    /// How many stored checkpoints were checked.
    pub stored_checkpoints: usize,
    /// How many outside checkpoints were checked.
    pub outside_checkpoints: usize,
    /// The line of the outside file on which a torn last note begins.
    pub torn_outside_line: Option<usize>,
    /// Intents without an outcome, in order: whether these actions happened is not known.
    pub unknown_outcomes: Vec<u64>,
    /// The time of the first entry, in microseconds since 1970 UTC.
    pub first_time_us: Option<i64>,
    /// The time of the last entry.
    pub last_time_us: Option<i64>,
}

impl Verifier {
    /// A verifier that trusts these keys: one, or several where the key was changed. Their origins say which logs are
    /// meant; as a rule there is one.
    pub fn new(keys: Vec<VerifierKey>) -> Self {
        Self {
            keys,
            frontier: Frontier::new(),
            signed: BTreeMap::new(),
            confirmed: 0,
            intents: Vec::new(),
            open_intents: BTreeSet::new(),
            misfit: None,
            fault: None,
            report: Report {
                entries: 0,
                root: empty_root(),
                last_checkpoint_size: None,
                covered_by_outside: None,
                stored_checkpoints: 0,
                outside_checkpoints: 0,
                torn_outside_line: None,
                unknown_outcomes: Vec::new(),
                first_time_us: None,
                last_time_us: None,
            },
        }
    }

    /// Give one checkpoint from the database, as its note. Before the entries.
    pub fn stored_checkpoint(&mut self, note: &str) -> Result<(), Fault> {
        let at = Note { origin: Origin::Stored, place: self.report.stored_checkpoints.saturating_add(1) };
        self.run(|this| {
            this.report.stored_checkpoints = at.place;
            let note = SignedCheckpoint::parse(note).map_err(|error| bad(at, error))?;
            this.checkpoint(at, &note)
        })
    }

    /// Give the content of a file of checkpoints that was kept outside. Before the entries. May be called for several
    /// files; a torn last note is reported, not refused.
    pub fn outside_file(&mut self, file: &[u8]) -> Result<(), Fault> {
        self.run(|this| {
            let at = |place| Note { origin: Origin::Outside, place };
            let file = OutsideFile::parse(file).map_err(|error| bad(at(error.line), error.error))?;
            this.report.torn_outside_line = file.torn_line.or(this.report.torn_outside_line);
            for one in &file.notes {
                this.report.outside_checkpoints += 1;
                this.checkpoint(at(one.line), &one.note)?;
            }
            Ok(())
        })
    }

    /// Give the next row: its index, the entry's bytes and the leaf hash, all as they are stored.
    pub fn entry(&mut self, index: u64, bytes: &[u8], hash: &[u8]) -> Result<(), Fault> {
        self.run(|this| this.next_entry(index, bytes, hash))
    }

    /// There are no more rows.
    pub fn finish(mut self) -> Result<Report, Fault> {
        self.run(Self::check_end)?;
        self.report.entries = self.frontier.size();
        self.report.root = self.frontier.root();
        self.report.unknown_outcomes = self.open_intents.into_iter().collect();
        Ok(self.report)
    }

    /// How many entries, from the first on, agree with a signed checkpoint: after a fault, what can still be trusted.
    pub fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// One step, unless a fault was found before.
    fn run(&mut self, step: impl FnOnce(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        step(self).map_err(|fault| {
            // What did not fit earlier in the log comes first.
            let earlier = self.misfit.take().filter(|misfit| misfit.index < fault.index);
            self.fault.insert(earlier.unwrap_or(fault)).clone()
        })
    }

    fn checkpoint(&mut self, at: Note, note: &SignedCheckpoint) -> Result<(), Fault> {
        let claimed = note.claimed().origin();
        let mut result = None;
        for key in self.keys.iter().filter(|key| key.origin() == claimed) {
            match (note.verify(key.key()), &result) {
                (Ok(checkpoint), _) => {
                    result = Some(Ok(checkpoint));
                    break;
                }
                // A signature that is wrong says more than one by a key that is not ours.
                (Err(CheckpointError::UnknownKey(_)), Some(_)) => {}
                (Err(error), _) => result = Some(Err(error)),
            }
        }
        let checkpoint = match result {
            Some(Ok(checkpoint)) => checkpoint,
            Some(Err(error)) => return Err(bad(at, error)),
            None => {
                return Err(Fault { index: None, what: FaultKind::OtherLog { note: at } });
            }
        };
        let (size, root) = (checkpoint.size(), checkpoint.root());
        // Roots are compared while the entries pass: what comes after them would go unchecked, so it is refused.
        if self.frontier.size() > 0 {
            return Err(Fault { index: None, what: FaultKind::TooLate { note: at } });
        }
        if size == 0 && root != empty_root() {
            return Err(Fault { index: None, what: FaultKind::EmptyRoot { note: at, root } });
        }
        let same_size = self.signed.entry(size).or_default();
        if !same_size.iter().any(|(note, known)| note.origin == at.origin && *known == root) {
            same_size.push((at, root));
        }
        let covered = match at.origin {
            Origin::Stored => &mut self.report.last_checkpoint_size,
            Origin::Outside => &mut self.report.covered_by_outside,
        };
        *covered = Some(covered.map_or(size, |before| before.max(size)));
        Ok(())
    }

    fn next_entry(&mut self, index: u64, bytes: &[u8], hash: &[u8]) -> Result<(), Fault> {
        let expected = self.frontier.size();
        let fault = |what| Err(Fault { index: Some(expected), what });
        if index > expected {
            return fault(FaultKind::Deleted { found: index });
        }
        if index < expected {
            return match index.checked_add(1) {
                Some(next) if next == expected => Err(Fault { index: Some(index), what: FaultKind::Duplicated }),
                _ => fault(FaultKind::Reordered { found: index }),
            };
        }
        let leaf = leaf_hash(bytes);
        if hash != leaf.as_bytes().as_slice() {
            return fault(FaultKind::Edited);
        }
        let entry = match Entry::decode(bytes) {
            Ok(entry) => entry,
            Err(error) => return fault(FaultKind::Unreadable(error)),
        };
        let holds = entry.index;
        if holds < expected {
            return fault(FaultKind::HoldsEarlier { holds });
        }
        if holds > expected {
            return fault(FaultKind::HoldsLater { holds });
        }
        self.pair(&entry);
        self.report.first_time_us.get_or_insert(entry.time_us);
        self.report.last_time_us = Some(entry.time_us);
        self.frontier.append(leaf);
        self.check_root()
    }

    /// An outcome has an earlier intent, and an intent one outcome at most. What does not fit is held back: an edit
    /// before it can be the cause, and only the next root can tell.
    fn pair(&mut self, entry: &Entry) {
        let (word, bit) = (entry.index / 64, entry.index % 64);
        if bit == 0 {
            self.intents.push(0);
        }
        if entry.phase == Phase::Intent {
            if let Some(word) = usize::try_from(word).ok().and_then(|word| self.intents.get_mut(word)) {
                *word |= 1 << bit;
            }
            self.open_intents.insert(entry.index);
        }
        if let Some(intent) = entry.intent
            && !self.open_intents.remove(&intent)
        {
            let what = if self.is_intent(intent) {
                FaultKind::OutcomeTwice { intent }
            } else {
                FaultKind::OutcomeWithoutIntent { intent }
            };
            self.misfit.get_or_insert(Fault { index: Some(entry.index), what });
        }
    }

    fn is_intent(&self, index: u64) -> bool {
        let word = usize::try_from(index / 64).ok().and_then(|word| self.intents.get(word));
        word.is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Compare the tree as it is now with everything that was signed for this size.
    fn check_root(&mut self) -> Result<(), Fault> {
        let size = self.frontier.size();
        let Some(signed) = self.signed.get(&size) else {
            return Ok(());
        };
        let root = self.frontier.root();
        let good = signed.iter().find(|(_, signed)| *signed == root);
        // The outside copy is the better witness, so it is the one that is named.
        let wrong = signed.iter().filter(|(_, signed)| *signed != root).max_by_key(|(note, _)| note.origin);
        let what = match (wrong, good) {
            (None, _) => {
                self.confirmed = size;
                // What does not fit was signed like that, so it is where it looks to be.
                return self.misfit.clone().map_or(Ok(()), Err);
            }
            (Some((one, _)), Some((other, _))) => FaultKind::Forked { one: *one, other: *other, size },
            (Some((note, _)), None) => FaultKind::Rewritten { note: *note, size },
        };
        Err(Fault { index: Some(self.confirmed), what })
    }

    fn check_end(&mut self) -> Result<(), Fault> {
        let entries = self.frontier.size();
        let index = Some(entries);
        let beyond = self.signed.range(entries.saturating_add(1)..);
        let notes = beyond.flat_map(|(size, notes)| notes.iter().map(move |(note, _)| (*size, *note)));
        // Of all that are ahead the stored one proves more: the database contradicts itself.
        let ahead = notes.min_by_key(|(size, note)| (note.origin, std::cmp::Reverse(*size)));
        match ahead {
            None => self.misfit.clone().map_or(Ok(()), Err),
            Some((size, note)) if note.origin == Origin::Stored => {
                Err(Fault { index, what: FaultKind::Truncated { note, size, entries, confirmed: self.confirmed } })
            }
            Some((size, note)) => {
                Err(Fault { index, what: FaultKind::RolledBack { note, size, entries, confirmed: self.confirmed } })
            }
        }
    }
}

fn counted(entries: u64) -> String {
    if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") }
}

fn bad(note: Note, error: CheckpointError) -> Fault {
    Fault { index: None, what: FaultKind::BadCheckpoint { note, error } }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries;
        // The root as checkpoints write it, so that the two can be compared.
        writeln!(f, "The log is in order: {}, root {}.", counted(entries), self.root.to_base64())?;
        match self.last_checkpoint_size {
            Some(size) => {
                match self.stored_checkpoints {
                    1 => write!(f, "The stored checkpoint covers {size}; ")?,
                    many => write!(f, "The last of {many} stored checkpoints covers {size}; ")?,
                }
                match entries.saturating_sub(size) {
                    0 => writeln!(f, "every entry is signed.")?,
                    1 => writeln!(f, "1 entry after it is not signed yet.")?,
                    more => writeln!(f, "{more} entries after it are not signed yet.")?,
                }
            }
            None => writeln!(f, "There is no stored checkpoint.")?,
        }
        match self.covered_by_outside {
            Some(size) if size == entries => writeln!(f, "Outside checkpoints cover all of them.")?,
            Some(size) => writeln!(
                f,
                "Outside checkpoints cover the first {size}; whoever can write the database could have changed, added \
                 or cut off what follows: {} now.",
                counted(entries.saturating_sub(size))
            )?,
            None => writeln!(
                f,
                "No outside checkpoint was given, so a database that was replaced by an older copy would look the same."
            )?,
        }
        if let Some(line) = self.torn_outside_line {
            writeln!(f, "The last note of the outside file, on line {line}, is incomplete and was left out.")?;
        }
        match self.unknown_outcomes.as_slice() {
            [] => writeln!(f, "Every intent has its outcome."),
            [only] => {
                writeln!(
                    f,
                    "1 intent has no outcome, entry {only}: it is under way, or was cut off and may have happened."
                )
            }
            [first, ..] => writeln!(
                f,
                "{} intents have no outcome, the first is entry {first}: they are under way, or were cut off and may have \
                 happened.",
                self.unknown_outcomes.len()
            ),
        }
    }
}

#[cfg(test)]
mod tests;
