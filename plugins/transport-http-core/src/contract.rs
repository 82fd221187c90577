//! The `fumehood:transport` contract in plain Rust types: only what a transport over HTTP uses.
//!
//! Invariant: each type mirrors one record of `wit/transport-0.1.0/transport.wit`; `guest.rs` converts one to one.

use std::borrow::Cow;

/// What the machine is told when a connection opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What the server is, for messages to a person.
    pub name: String,
    /// The server's URL; required here.
    pub url: Option<String>,
    /// Headers for every request, credentials by handle.
    pub headers: Vec<Header>,
}

/// A request header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Case-insensitive.
    pub name: String,
    /// What the host writes behind it.
    pub value: HeaderValue,
}

/// The value of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderValue {
    /// The text itself.
    Text(String),
    /// The handle of a credential, which the host replaces by the whole value.
    Credential(String),
}

/// What happened; see the table at `event` in the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Once, first.
    Start,
    /// The client sends the JSON-RPC message `data`.
    Message {
        /// Sequence number of the message, counting from 1.
        id: u64,
        /// One JSON-RPC message.
        data: Vec<u8>,
    },
    /// The client no longer waits for message `id`.
    SendDropped {
        /// Sequence number of the message.
        id: u64,
    },
    /// The head of the answer to HTTP request `id`.
    Response {
        /// The request, as numbered by [`Action::Request`].
        id: u64,
        /// HTTP status code.
        status: u16,
        /// Names in lower case.
        headers: Vec<(String, String)>,
    },
    /// More bytes of that answer.
    Body {
        /// The request.
        id: u64,
        /// At most 64 KiB, cut anywhere.
        data: Vec<u8>,
    },
    /// That answer is over.
    ResponseEnd {
        /// The request.
        id: u64,
        /// Empty when complete, otherwise a failure code.
        code: String,
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
    /// Any other kind; ignored.
    Other,
}

/// An HTTP request that the host is to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `POST`, `GET` or `DELETE`.
    pub method: &'static str,
    /// Absolute.
    pub url: String,
    /// In the order in which they are sent.
    pub headers: Vec<Header>,
    /// The JSON-RPC message, for `POST`.
    pub body: Option<Vec<u8>>,
    /// To the first byte of the answer, in milliseconds.
    pub timeout_ms: u32,
    /// Longest silence within the body, in milliseconds; 0 for no limit.
    pub idle_timeout_ms: u32,
}

/// What the host is to do; see the table at `action` in the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send this request.
    Request {
        /// Its number; used once.
        id: u64,
        /// What to send.
        request: Request,
    },
    /// Drop HTTP request `id` and its answer.
    Cancel {
        /// The request.
        id: u64,
    },
    /// One JSON-RPC message for the client.
    Deliver {
        /// The POST that it belongs to (also where it came on a GET that resumes that POST's stream), 0 for none.
        id: u64,
        /// The message.
        data: Vec<u8>,
    },
    /// Message `id` has reached the server.
    Sent {
        /// Its sequence number.
        id: u64,
    },
    /// Message `id` could not be sent.
    Failed {
        /// Its sequence number.
        id: u64,
        /// HTTP status, or 0.
        status: u16,
        /// A failure code of `fumehood:types`.
        code: Cow<'static, str>,
        /// One or two sentences for a person.
        text: String,
        /// Milliseconds to wait before a retry; 0 where the server did not say.
        retry_after_ms: u64,
        /// The `www-authenticate` header, if there was one.
        www_authenticate: Option<String>,
    },
    /// Wake the machine after `delay_ms`; 0 removes the timer.
    Timer {
        /// Which timer.
        id: u64,
        /// Milliseconds.
        delay_ms: u64,
    },
    /// The connection is over.
    Closed {
        /// A failure code of `fumehood:types`; empty for an orderly end.
        code: Cow<'static, str>,
        /// One sentence for a person.
        text: String,
    },
}

/// Why a call itself failed.
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
    /// Worth knowing when a connection is looked into.
    Info,
}

/// One line for the plugin's own log, which may hold raw text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How important it is.
    pub level: Level,
    /// At most 4 KiB.
    pub message: String,
}
