//! The streamable HTTP transport of the Model Context Protocol, as a machine without I/O.
//!
//! Both eras of the protocol: 2025-11-25 and older, with `initialize`, sessions, a GET stream and resumable event
//! streams; and 2026-07-28, stateless, with `server/discover` and the `Mcp-Method`, `Mcp-Name` and `Mcp-Param-*`
//! headers. [`Machine`] turns the events of the `fumehood:transport` contract into its actions; `guest.rs` binds it to
//! the world `transport` where the target is WebAssembly, and everything else is plain Rust, tested natively.
//!
//! Invariant: a message is passed on byte for byte (but for tools that the specification says to leave out, and an
//! error in a refusal, which is put under the id of the request that was refused); every message of the client gets
//! exactly one `sent` or `failed`; and a request that was sent and not given up gets exactly one answer, the server's
//! or a JSON-RPC error that says why there is none.

mod limits;
mod machine;
mod tools;
mod wire;

use transport_http_core::{answer, contract, outbox, rpc, sse};

#[cfg(target_arch = "wasm32")]
mod guest;
#[cfg(test)]
mod tests;

pub use contract::{Action, Event, Failure, Header, HeaderValue, Level, LogLine, Request, Settings};
pub use limits::*;
pub use machine::Machine;
pub use sse::{SseEvent, SseParser, TooLarge};
