//! The limits that hold for every transport over HTTP, each with its reason. Sizes are bytes, durations milliseconds.
//!
//! Invariant: what one connection keeps (`MAX_RETAINED_BYTES` + `MAX_BUFFERED_BYTES` + `MAX_OUTBOX_BYTES`, twice over
//! while a buffer grows) stays below the 64 MiB that a plugin has.

/// Longest message in either direction: 4 MiB less 64 KiB, because an answer of a transport, which carries the message
/// with its headers as one action, is limited to 4 MiB as a whole.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024 - 64 * 1024;
/// Longest event of a stream: a message with its field names.
pub const MAX_EVENT_BYTES: usize = MAX_MESSAGE_BYTES + 1024;
/// Requests to the server that are open at once, event streams included; more are queued. Servers and proxies commonly
/// allow 100 streams a connection.
pub const MAX_OPEN_REQUESTS: usize = 64;
/// What may be open beyond that for cancellations and answers to the server, which must not wait behind what they end.
pub const MAX_OPEN_CONTROL: usize = 16;
/// Messages that are queued, under way or waiting for their answer; more fail with `rate-limited`.
pub const MAX_CALLS: usize = 256;
/// Bytes of messages that are queued or might have to be sent again.
pub const MAX_RETAINED_BYTES: usize = 12 * 1024 * 1024;
/// Bytes of answers that are not complete yet, over all open requests.
pub const MAX_BUFFERED_BYTES: usize = 12 * 1024 * 1024;
/// Bytes that wait to be handed to the host; over this the server talks faster than anyone listens.
pub const MAX_OUTBOX_BYTES: usize = 8 * 1024 * 1024;
/// Actions in one answer; the contract allows 1,000.
pub const MAX_ANSWER_ACTIONS: usize = 990;
/// Bytes in one answer; the contract allows 4 MiB, and this leaves room for what an action weighs besides its data.
pub const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024 - 16 * 1024;
/// Bytes of a refusal that are read, for the JSON-RPC error or the excerpt in it.
pub const MAX_REFUSAL_BYTES: usize = 64 * 1024;
/// Bytes of `settings.headers`, and of the `Mcp-*` headers of one request: what servers take by default.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Time to the head of the answer to `initialize`, `server/discover` and an event stream.
pub const HANDSHAKE_TIMEOUT_MS: u32 = 60_000;
/// Time to the head of the answer to any other request, and longest silence within it. A tool may run for minutes and
/// answer with plain JSON at the end; the client gives up earlier where it wants to.
pub const REQUEST_TIMEOUT_MS: u32 = 600_000;
/// Time to the head of the answer to a notification or an answer of the client's.
pub const CONTROL_TIMEOUT_MS: u32 = 30_000;

/// Wait before the next part of what did not fit into one answer.
pub const MORE_DELAY_MS: u64 = 1;
