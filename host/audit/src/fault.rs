//! What the verifier can find, as sentences that a security engineer can act on.
//!
//! Invariant: a sentence says what the evidence shows and names what could have caused it; it never claims more. Nothing
//! of an entry's content is repeated, because a report travels further than the log.

use std::fmt;

use crate::checkpoint::CheckpointError;
use crate::entry::EntryError;
use crate::tree::Hash;

/// Where a checkpoint was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// In the database, beside the entries.
    Stored,
    /// In the file that was kept outside.
    Outside,
}

/// Which checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where it was found.
    pub origin: Origin,
    /// Stored: its number in the order in which it was given, from 1. Outside: the line on which it begins, from 1.
    pub place: usize,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin {
            Origin::Stored => write!(f, "stored checkpoint no. {}", self.place),
            Origin::Outside => write!(f, "the outside checkpoint on line {}", self.place),
        }
    }
}

/// The first thing that is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    /// The first entry that is bad, missing, or can no longer be trusted; nothing where a checkpoint itself is at fault.
    pub index: Option<u64>,
    /// What is wrong.
    pub what: FaultKind,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(index) = self.index {
            write!(f, "Entry {index}: ")?;
        }
        write!(f, "{}", self.what)
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The bytes are not an entry.
    Unreadable(EntryError),
    /// The bytes do not have the stored leaf hash.
    Edited,
    /// The next row that exists is `found`: the ones before it were deleted.
    Deleted {
        /// The next index that is there.
        found: u64,
    },
    /// The index of the row before comes again.
    Duplicated,
    /// The row that came here has an index that was passed long ago.
    Reordered {
        /// Its index.
        found: u64,
    },
    /// The row holds an entry that was written under an earlier index.
    HoldsEarlier {
        /// The index inside the entry.
        holds: u64,
    },
    /// The row holds an entry that was written under a later index.
    HoldsLater {
        /// The index inside the entry.
        holds: u64,
    },
    /// An outcome names an entry that is not an intent.
    OutcomeWithoutIntent {
        /// What it names.
        intent: u64,
    },
    /// An outcome names an intent that has its outcome already.
    OutcomeTwice {
        /// What it names.
        intent: u64,
    },
    /// The entries do not have the root that was signed: one of them, from the fault's index on, is not what it was.
    Rewritten {
        /// The checkpoint that disagrees.
        note: Note,
        /// How many entries that checkpoint covers.
        size: u64,
    },
    /// Two checkpoints with good signatures give the same size different roots.
    Forked {
        /// One of them.
        one: Note,
        /// The other.
        other: Note,
        /// The size that both have.
        size: u64,
    },
    /// A stored checkpoint covers more entries than there are.
    Truncated {
        /// The checkpoint.
        note: Note,
        /// How many entries it covers.
        size: u64,
        /// How many there are.
        entries: u64,
        /// How many of them, from the first on, agree with a signed checkpoint.
        confirmed: u64,
    },
    /// A checkpoint that was kept outside covers more entries than there are.
    RolledBack {
        /// The checkpoint.
        note: Note,
        /// How many entries it covers.
        size: u64,
        /// How many there are.
        entries: u64,
        /// How many of them, from the first on, agree with a signed checkpoint.
        confirmed: u64,
    },
    /// A checkpoint cannot be read, or its signature is not by the log's key.
    BadCheckpoint {
        /// The checkpoint.
        note: Note,
        /// What is wrong with it.
        error: CheckpointError,
    },
    /// A checkpoint with a good form is about another log.
    OtherLog {
        /// The checkpoint.
        note: Note,
    },
    /// A checkpoint was given after the entries, when it could not be checked any more: the caller is at fault.
    TooLate {
        /// The checkpoint.
        note: Note,
    },
    /// A checkpoint of no entries has a root that no empty log has.
    EmptyRoot {
        /// The checkpoint.
        note: Note,
        /// The root that it gives.
        root: Hash,
    },
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "its bytes were damaged or edited: {error}."),
            Self::Edited => f.write_str(
                "its bytes do not match the leaf hash stored with it, so one of the two was edited after it was written.",
            ),
            Self::Deleted { found } => {
                write!(f, "it is missing, and the next one that exists is {found}: entries were deleted.")
            }
            Self::Duplicated => f.write_str("its index comes twice: a row was duplicated or inserted."),
            Self::Reordered { found } => write!(
                f,
                "in its place comes index {found}, which was passed before: rows were reordered or inserted."
            ),
            Self::HoldsEarlier { holds } => write!(
                f,
                "its row holds what was written as entry {holds}: an entry was inserted, copied, or swapped, and rows \
                 were renumbered."
            ),
            Self::HoldsLater { holds } => write!(
                f,
                "its row holds what was written as entry {holds}: entries were swapped, or some were deleted and the \
                 rest renumbered."
            ),
            Self::OutcomeWithoutIntent { intent } => write!(
                f,
                "it is the outcome of entry {intent}, which is not an intent: the server never writes this, so one of \
                 the two was forged."
            ),
            Self::OutcomeTwice { intent } => write!(
                f,
                "it is a second outcome of intent {intent}: the server never writes this, so one of the two was forged."
            ),
            Self::Rewritten { note, size } => write!(
                f,
                "the first {size} entries do not have the root that was signed in {note}. An entry between this one \
                 and {} was edited, inserted, deleted or replaced, and the hashes were made to fit.",
                size.saturating_sub(1)
            ),
            Self::Forked { one, other, size } => write!(
                f,
                "{one} and {other} are both signed for {size} entries and have different roots: the log was forked \
                 here or later, for instance by restoring a copy and going on, or the signing key is in other hands."
            ),
            Self::Truncated { note, size, entries, confirmed } => write!(
                f,
                "it is missing. The log ends after {entries} entries, and {note} covers {size}: the end was cut off, \
                 or entries were deleted and the rest renumbered. The first {confirmed} entries are as they were \
                 signed."
            ),
            Self::RolledBack { note, size, entries, confirmed } => write!(
                f,
                "it is missing. The log ends after {entries} entries, and {note} covers {size}: the database was \
                 replaced by an older copy, the end was cut off, or entries were deleted and the rest renumbered. The \
                 first {confirmed} entries are as they were signed."
            ),
            Self::BadCheckpoint { note, error } => {
                write!(f, "{note} cannot be trusted: {error}.")
            }
            Self::OtherLog { note } => {
                write!(f, "{note} belongs to another log: its origin is none of the given keys'.")
            }
            Self::TooLate { note } => {
                write!(f, "{note} was given after the entries, so it was not checked.")
            }
            Self::EmptyRoot { note, root } => {
                write!(f, "{note} is signed for no entries with the root {root}, which is not that of an empty log.")
            }
        }
    }
}
