//! MCP client connections over transport plugins. The only crate that knows rmcp.
//!
//! rmcp drives the protocol's lifecycle; a transport plugin (a machine without I/O) moves its messages; the driver here
//! does the I/O that the machine asks for, under the grant of the call. What a server answers to lists and calls is kept
//! raw, because rmcp's typed models drop what they do not know, and pins are made of the whole.
//!
//! Invariants: whatever a connection started (requests, a process group, timers) ends with it; a server without tools is
//! an error with a name, never an empty list; a server's words never reach the program's log; this crate approves nothing
//! and records nothing, its caller does both.

#![forbid(unsafe_code)]

mod asked;
mod client;
mod driver;
mod error;
pub mod gateway;
mod grant;
mod names;
mod patience;
mod pins;
mod result;
mod transport;
mod witness;

pub use asked::{Asked, Field, FieldKind, Sample, elicited};
pub use client::{Ask, Challenge, Connect, Connection, Endpoint, Era, RawTool, Refusal, ServerFacts};
pub use error::McpError;
pub use names::{BadName, Collision, assign, slug, tool_name, tool_sha256};
pub use patience::{Patience, Pause};
pub use pins::{Difference, Known, Warning, differences, visible, warnings};
pub use result::ToolResult;
pub use transport::{Incoming, LET_GO};
pub use witness::Witness;
