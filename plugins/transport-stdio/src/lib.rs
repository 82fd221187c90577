//! The stdio transport of the Model Context Protocol, as a machine without I/O.
//!
//! The server is a child process; client and server exchange JSON-RPC messages as lines of UTF-8, one message a line
//! (specification 2025-11-25 and 2026-07-28, "Transports: stdio"). [`Machine`] turns the events of the
//! `fumehood:transport` contract into its actions; `guest.rs` binds it to the world `transport` where the target is
//! WebAssembly, and everything else is plain Rust that is tested natively.
//!
//! Invariant: a message from the server is passed on byte for byte, or logged and skipped; nothing is invented, and
//! every message of the client is answered with exactly one `sent` or `failed`.

mod contract;
mod lines;
mod machine;

#[cfg(target_arch = "wasm32")]
mod guest;
#[cfg(test)]
mod tests;

pub use contract::{Action, Event, Failure, Level, LogLine, Settings};
pub use lines::MAX_LINE_BYTES;
pub use machine::{CLOSE_TIMEOUT_MS, Machine, TIMER_CLOSE, TIMER_MORE};
