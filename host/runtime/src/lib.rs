//! Runs plugins. The only crate that knows wasmtime.
//!
//! Invariants: every exported function runs in a fresh store that is dropped after a trap or a timeout; time, memory,
//! tables, handles, lifted bytes and log volume are bounded (`limits`); a plugin reaches the outside only through
//! [`effects`], which records each effect and re-reads the grant before it happens.
//!
//! Callers hand in a [`CallHost`] for each call: it answers for the grant, the credentials and the record of that
//! call. This crate must never decide what is granted, and must never let a plugin's own words reach `tracing`.

pub mod bindings;
mod cache;
mod compile;
pub mod effects;
mod engine;
mod error;
mod host;
mod inspect;
pub mod limits;
mod load;
mod state;
mod wasi;
mod worlds;

pub use cache::{CacheKey, CompiledCache};
pub use compile::child as compile_child;
pub use effects::{
    Attempt, CallHost, CallUsage, Counted, EffectOutcome, EffectRequest, EffectToken, Failure, KvError, LogLine,
    ScriptedAnswer,
};
pub use engine::{Runtime, RuntimeConfig};
pub use error::{CallError, LoadError};
pub use inspect::{CONTRACT, Inspection, inspect, with_manifest};
pub use load::{Plugin, PluginSource, World};
pub use worlds::integration::Integration;
pub use worlds::scanner::{Chunk, KindInfo, RawFinding, ScanOutput};
pub use worlds::transport::{Action, Event, TransportConnection, TransportRequest};
pub use worlds::{integration, provider};
