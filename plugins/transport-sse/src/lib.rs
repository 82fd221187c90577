//! The HTTP+SSE transport of the Model Context Protocol, revision 2024-11-05, as a machine without I/O.
//!
//! A GET opens the event stream on which the server talks. Its first event, `endpoint`, names the URI to which each
//! message of the client is POSTed; what the server has to say, answers too, comes as `message` events. [`Machine`]
//! turns the events of the `fumehood:transport` contract into its actions; `guest.rs` binds it to the world `transport`
//! where the target is WebAssembly, and everything else is plain Rust, tested natively.
//!
//! Invariant: a message is passed on byte for byte (but for an error without an id in the answer to a POST, which is
//! put under the id of the request that was posted); every message of the client gets exactly one `sent` or `failed`;
//! messages go to the origin of the registered URL and nowhere else; and the connection ends with its stream, which is
//! never resumed.

mod endpoint;
mod machine;

use transport_http_core::{answer, contract, limits, outbox, rpc, sse, wire};

// The same conversion, to the machine of this crate.
#[cfg(target_arch = "wasm32")]
#[path = "../../transport-http/src/guest.rs"]
mod guest;
#[cfg(test)]
mod tests;

pub use contract::{Action, Event, Failure, Header, HeaderValue, Level, LogLine, Request, Settings};
pub use machine::{ENDPOINT_TIMEOUT_MS, Machine};
