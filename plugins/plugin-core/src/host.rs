//! What a plugin asks of the host, as traits, so that everything else is a plain library that runs natively.
//!
//! Invariant: nothing here performs I/O. A plugin's `guest.rs` implements the traits on the contract's imports, tests
//! implement them in memory.

use std::borrow::Cow;

/// Why a call did not do what was asked: `fumehood:types/types.failure`, with the codes of the contract.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// One of the contract's codes, see [`code`].
    pub code: Cow<'static, str>,
    /// One or two sentences for a person.
    pub message: String,
    /// The service's own wish, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// Pairs that the host may understand.
    pub extensions: Vec<(String, String)>,
}

impl Failure {
    /// A failure without a wish and without extensions.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code: Cow::Borrowed(code), message: message.into(), retry_after_ms: None, extensions: Vec::new() }
    }

    /// The same failure with one more extension; an empty value adds nothing.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.extensions.push((name.to_owned(), value));
        }
        self
    }
}

/// The failure codes that plugins give by themselves; `types.wit` says what each means.
pub mod code {
    #![allow(missing_docs, reason = "types.wit documents every code")]
    pub const CONFLICT: &str = "conflict";
    pub const UNSUPPORTED: &str = "unsupported";
    pub const INVALID: &str = "invalid";
    pub const AUTH: &str = "auth";
    pub const FORBIDDEN: &str = "forbidden";
    pub const NOT_FOUND: &str = "not-found";
    pub const RATE_LIMITED: &str = "rate-limited";
    pub const QUOTA: &str = "quota";
    pub const TOO_LARGE: &str = "too-large";
    pub const UNAVAILABLE: &str = "unavailable";
    pub const OUTCOME_UNKNOWN: &str = "outcome-unknown";
    pub const TIMEOUT: &str = "timeout";
    pub const PROTOCOL: &str = "protocol";
}

/// A header's value: text, or the handle of a credential that the host writes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderValue {
    /// The text itself.
    Text(String),
    /// The handle of a credential.
    Credential(String),
}

/// An HTTP request for the host to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Upper case.
    pub method: &'static str,
    /// Absolute.
    pub url: String,
    /// In the order in which they are sent.
    pub headers: Vec<(&'static str, HeaderValue)>,
    /// The body, if any.
    pub body: Option<Vec<u8>>,
    /// From dialling to the first byte of the answer, in milliseconds.
    pub timeout_ms: u32,
}

/// An answer whose body is still arriving.
pub trait Response {
    /// The status code.
    fn status(&self) -> u16;
    /// Names in lower case, in the order of arrival.
    fn headers(&self) -> Vec<(String, String)>;
    /// The next bytes; nothing at the end.
    ///
    /// # Errors
    /// `timeout`, `unavailable` (cut short), `denied` (over the grant).
    fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, Failure>;
}

/// HTTP by the host.
pub trait Http {
    /// Send a request and wait for the head of the answer. Any status is a success here.
    ///
    /// # Errors
    /// As `fumehood:http/http.send`.
    fn send(&self, request: Request) -> Result<Box<dyn Response>, Failure>;
}

/// The settings of this instance of the plugin.
pub trait Config {
    /// The value, or nothing where it is not set.
    fn get(&self, key: &str) -> Option<String>;
}

/// The small durable store of this instance.
pub trait Kv {
    /// The value, or nothing.
    ///
    /// # Errors
    /// Those of the host.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Failure>;
    /// Store a value; it is durable when this returns.
    ///
    /// # Errors
    /// `too-large` over the quota.
    fn set(&self, key: &str, value: &[u8]) -> Result<(), Failure>;
}

/// The plugin's own log.
pub trait Log {
    /// Write one warning.
    fn warn(&self, message: &str);
}

/// Everything that the host offers to one call of an integration.
#[derive(Clone, Copy)]
pub struct Host<'a> {
    /// The network.
    pub http: &'a dyn Http,
    /// The settings.
    pub config: &'a dyn Config,
    /// Its own durable values.
    pub kv: &'a dyn Kv,
    /// The log.
    pub log: &'a dyn Log,
}

/// The first value of a header, by its lower-case name.
pub fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}
