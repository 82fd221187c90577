//! The encrypted store: SQLCipher behind one writer and a pool of readers. The only crate that opens a database.
//!
//! Invariants: every table has a `tenant_id` and every method takes a [`Scope`]; a write that was acknowledged is on
//! disk (`synchronous=FULL`); a group of writes that met a full disk or an I/O error is failed as a whole; no change is
//! made but through [`Store::change`], which puts its audit entry into the same transaction, or after
//! [`Store::intent`], for effects outside.
//!
//! May be called by `triage` and the binary. Must never log what it stores.

pub mod approvals;
pub mod calls;
pub mod clock;
pub mod conversation;
pub mod credentials;
pub mod departures;
pub mod documents;
mod error;
pub mod findings;
mod ids;
pub mod incidents;
pub mod logs;
mod migrate;
mod open;
pub mod outside;
mod passwords;
pub mod people;
pub mod plugins;
pub mod pseudonyms;
pub mod questions;
mod read;
pub mod record;
pub mod replays;
pub mod rules;
mod scope;
pub mod timeline;
mod verify;
pub mod whys;
mod writer;

pub use error::StoreError;
pub use ids::*;
pub use open::{CIPHER, OpenOptions, Store};
pub use record::{Change, IntentId};
pub use scope::{Actor, Scope};
pub use verify::{VerifyReport, verify};
pub use writer::Tx;
