//! What the transports over HTTP have in common: the contract in plain Rust types, a look into JSON-RPC messages,
//! server-sent events, what a refusal means, and the bounds of all that.
//!
//! Invariant: nothing here keeps the state of a connection; that is the machine of each transport.

pub mod answer;
pub mod contract;
pub mod limits;
pub mod outbox;
mod retry_after;
pub mod rpc;
pub mod sse;
pub mod wire;
