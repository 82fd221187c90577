//! The `fumehood:transport` contract in plain Rust types: only what a transport over a process uses.
//!
//! Invariant: each type mirrors one record of `wit/transport-0.1.0/transport.wit`; `guest.rs` converts one to one.

/// What the machine is told when a connection opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What the server is, for messages to a person.
    pub name: String,
}

/// What happened; see the table at `event` in the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Once, first.
    Start,
    /// The client sends the JSON-RPC message `data`; `id` is its sequence number.
    Message {
        /// Sequence number of the message, counting from 1.
        id: u64,
        /// One JSON-RPC message.
        data: Vec<u8>,
    },
    /// Bytes from the process's standard output.
    ProcessOutput {
        /// At most 64 KiB, cut anywhere.
        data: Vec<u8>,
    },
    /// The process ended.
    ProcessExit {
        /// Its exit code, 255 for a signal.
        status: u16,
        /// What the host adds, for a person; may be empty.
        text: String,
    },
    /// The timer `id` ran out.
    Timer {
        /// As set by [`Action::Timer`].
        id: u64,
    },
    /// The client closes.
    Close,
    /// Any other kind; ignored. Also `send-dropped`, for a message here is settled in the call that brings it.
    Other,
}

/// What the host is to do; see the table at `action` in the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start the process.
    Spawn,
    /// Write to the process's standard input, whole.
    Write {
        /// One line, with its line feed.
        data: Vec<u8>,
    },
    /// Close the process's standard input.
    CloseInput,
    /// One JSON-RPC message for the client.
    Deliver {
        /// The message as the server wrote it.
        data: Vec<u8>,
    },
    /// Message `id` has been handed to the process.
    Sent {
        /// Its sequence number.
        id: u64,
    },
    /// Message `id` could not be sent.
    Failed {
        /// Its sequence number.
        id: u64,
        /// A failure code of `fumehood:types`.
        code: &'static str,
        /// One sentence for a person.
        text: String,
    },
    /// Wake the machine after `delay_ms`.
    Timer {
        /// Which timer.
        id: u64,
        /// Milliseconds; never 0, which would remove it.
        delay_ms: u64,
    },
    /// The connection is over.
    Closed {
        /// A failure code of `fumehood:types`; empty for an orderly end.
        code: &'static str,
        /// One sentence for a person.
        text: String,
    },
}

/// Why the call itself failed; the host closes the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// A failure code of `fumehood:types`.
    pub code: &'static str,
    /// One sentence for a person.
    pub message: String,
}

/// How important a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something was lost or refused.
    Warn,
}

/// One line for the plugin's own log, which may hold raw text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How important it is.
    pub level: Level,
    /// At most 4 KiB.
    pub message: String,
}
