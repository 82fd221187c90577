//! Every limit of this transport, with its reason. Sizes are bytes, durations milliseconds.

pub use transport_http_core::limits::*;

/// Longest session id.
pub const MAX_SESSION_ID_BYTES: usize = 1024;
/// Longest event id that is sent back to resume a stream.
pub const MAX_EVENT_ID_BYTES: usize = 4096;
/// Tools whose `x-mcp-header` annotations are remembered.
pub const MAX_ANNOTATED_TOOLS: usize = 4096;

/// Time for the server to end the session when the client closes.
pub const DELETE_TIMEOUT_MS: u32 = 5_000;

/// Wait before an event stream is resumed where the server named none.
pub const RETRY_DEFAULT_MS: u64 = 1_000;
/// Shortest wait, also where the server asks for none: no loop without a pause.
pub const RETRY_MIN_MS: u64 = 100;
/// Longest wait of our own; it doubles up to this with every attempt that brought nothing.
pub const RETRY_MAX_MS: u64 = 60_000;
/// Longest wait that a server may ask for.
pub const RETRY_SERVER_MAX_MS: u64 = 600_000;
/// Attempts to resume the stream of one request without hearing anything new, before the request fails. The GET stream
/// is retried for as long as the connection lives.
pub const MAX_RESUME_ATTEMPTS: u32 = 5;
/// How long a stream may go on after it brought its answer, so that the host can use its connection again.
pub const TAIL_MS: u64 = 1_000;
