//! The audit log: entries, the Merkle tree over them, signed checkpoints, and the verifier. Pure: no clock, no I/O.
//!
//! Purpose: what was done is on record, and anyone who holds the public key and a checkpoint that was kept outside can
//! tell, without the server, whether the record was changed since, and where.
//!
//! Invariant: entries are numbered from 0 without a gap, an entry has exactly one encoding, and a checkpoint stands for
//! exactly one sequence of entries. The store keeps each entry's bytes with its index and leaf hash and writes them in
//! the transaction of the effect; this crate never decides *whether* something is recorded.
//!
//! What it cannot show: whoever can write the database can change, add or cut off the entries after the last
//! checkpoint that was kept outside (and drop the stored ones along with them), and someone who replaces the outside
//! checkpoints too can go back further. Hence checkpoints are copied outside often, and a report says how far they reach.
//!
//! ```
//! use fumehood_audit::{Checkpoint, Entry, Frontier, Phase, Verifier, VerifierKey, leaf_hash};
//! # use ed25519_dalek::SigningKey;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let key = SigningKey::from_bytes(&[7; 32]);
//! let entry = Entry {
//!     index: 0,
//!     time_us: 1_763_697_600_000_000,
//!     tenant: "acme".into(),
//!     actor: "system".into(),
//!     action: "server.start".into(),
//!     target: String::new(),
//!     phase: Phase::Event,
//!     intent: None,
//!     result: String::new(),
//!     details: vec![],
//! };
//! let bytes = entry.encode()?;
//! let mut frontier = Frontier::new();
//! frontier.append(leaf_hash(&bytes));
//! let note = Checkpoint::new("fumehood.example/audit", 1, frontier.root(), 1_763_697_600_000_001)?.sign(&key);
//!
//! let mut verifier = Verifier::new(vec![VerifierKey::new("fumehood.example/audit", key.verifying_key())?]);
//! verifier.stored_checkpoint(&note.to_string())?;
//! verifier.outside_file(note.to_string().as_bytes())?;
//! verifier.entry(0, &bytes, leaf_hash(&bytes).as_bytes())?;
//! let report = verifier.finish()?;
//! assert_eq!(report.covered_by_outside, Some(1));
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod checkpoint;
mod entry;
mod fault;
mod outside;
mod proof;
#[cfg(test)]
mod testing;
mod tree;
mod verify;

pub use checkpoint::{
    Checkpoint, CheckpointError, MAX_NOTE_BYTES, MAX_ORIGIN_BYTES, SignedCheckpoint, VerifierKey, key_id,
};
pub use entry::{
    ENTRY_VERSION, Entry, EntryError, MAX_ACTION_BYTES, MAX_ACTOR_BYTES, MAX_DETAIL_NAME_BYTES, MAX_DETAIL_VALUE_BYTES,
    MAX_DETAILS, MAX_ENTRY_BYTES, MAX_RESULT_BYTES, MAX_TARGET_BYTES, MAX_TENANT_BYTES, Phase, clip,
};
pub use fault::{Fault, FaultKind, Note, Origin};
pub use outside::{OutsideError, OutsideFile, OutsideNote};
pub use proof::{ConsistencyProof, InclusionProof, Leaves};
pub use tree::{Frontier, HASH_BYTES, Hash, MAX_SIZE, empty_root, leaf_hash, node_hash};
pub use verify::{Report, Verifier};

/// Why a frontier or a proof is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The bytes are not a frontier.
    #[error("the bytes are not the frontier of a log")]
    Frontier,
    /// The index or the size is beyond the log.
    #[error("the log has no such entry or no such size")]
    OutOfRange,
    /// The proof does not lead from what was given to the root.
    #[error("the proof does not hold")]
    Proof,
}
