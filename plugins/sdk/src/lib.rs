//! What a Fumehood plugin in Rust is written with.
//!
//! A plugin is a component of one *world* of the contract (`wit/`), chosen by a feature of this crate: [`scanner`],
//! `provider`, `integration` or `transport`. Each world's module holds the contract as Rust types, generated from the
//! WIT files and not wrapped: the trait `Guest` is what a plugin implements, and `export!` makes the component of it.
//! What the host offers to a world (`log`, `http`, `kv`, `config`) is in the module, too; the few helpers beside it
//! only save typing.
//!
//! ```ignore
//! use fumehood_sdk::scanner::{Chunk, Failure, Finding, Guest, Kind};
//!
//! struct Plugin;
//!
//! impl Guest for Plugin {
//!     fn detects() -> Vec<Kind> { … }
//!     fn prepare(rules: String) -> Result<(), Failure> { … }
//!     fn scan(chunk: Chunk) -> Result<Vec<Finding>, Failure> { … }
//! }
//!
//! fumehood_sdk::scanner::export!(Plugin);
//! ```
//!
//! Rules that hold in every world: a call has a fresh instance, so nothing in a global survives it, but for what a
//! scanner's `prepare` left; a panic fails the one call; standard output goes to the plugin's log; there are no files, no
//! environment and no network but `http`, and of that what was granted.
#![allow(
    missing_docs,
    unsafe_code,
    unused_macros,
    clippy::all,
    clippy::pedantic,
    reason = "most of this is generated from the contract"
)]

/// Helpers on the types that every world shares; `$module` is where the world's bindings are.
macro_rules! shared {
    () => {
        pub use fumehood::types::types::Failure;

        /// A failure with one of the contract's codes (`invalid`, `auth`, `not-found`, …; see `types.wit`) and a
        /// sentence for a person.
        pub fn failure(code: &str, message: impl Into<String>) -> Failure {
            Failure { code: code.to_owned(), message: message.into(), retry_after_ms: None, extensions: Vec::new() }
        }

        /// Write one line to the plugin's own log.
        pub fn log(message: impl AsRef<str>) {
            fumehood::log::log::log(fumehood::log::log::Level::Info, message.as_ref());
        }
    };
}

/// Helpers for worlds that send requests.
macro_rules! requests {
    () => {
        pub use fumehood::config::config;
        pub use fumehood::http::http;
        pub use fumehood::types::types::{Header, HeaderValue};

        /// A header with text.
        pub fn header(name: &str, value: impl Into<String>) -> Header {
            Header { name: name.to_owned(), value: HeaderValue::Text(value.into()) }
        }

        /// A header whose value is a credential: the host writes it, towards the hosts that it is bound to.
        pub fn credential(name: &str, handle: impl Into<String>) -> Header {
            Header { name: name.to_owned(), value: HeaderValue::Credential(handle.into()) }
        }

        /// A setting that has to be there.
        ///
        /// # Errors
        /// `invalid`, naming the setting.
        pub fn setting(key: &str) -> Result<String, Failure> {
            let value = config::get(key).filter(|value| !value.is_empty());
            value.ok_or_else(|| failure("invalid", format!("The setting `{key}` is missing.")))
        }

        /// Send a request and read the whole answer: its status, its headers, its body.
        ///
        /// # Errors
        /// Those of the host; any status is a success.
        pub fn send(
            method: &str,
            url: &str,
            headers: Vec<Header>,
            body: Option<Vec<u8>>,
        ) -> Result<(u16, Vec<(String, String)>, Vec<u8>), Failure> {
            let request = http::Request {
                method: method.to_owned(),
                url: url.to_owned(),
                headers,
                body,
                timeout_ms: 0,
                extensions: Vec::new(),
            };
            let response = http::send(&request)?;
            let mut bytes = Vec::new();
            while let Some(chunk) = response.next_chunk()? {
                bytes.extend_from_slice(&chunk);
            }
            Ok((response.status(), response.headers(), bytes))
        }

        /// The failure that a status means, where it means one.
        pub fn failed_status(status: u16, said: &str) -> Option<Failure> {
            let code = match status {
                200..=399 => return None,
                401 => "auth",
                403 => "forbidden",
                404 | 410 => "not-found",
                409 | 412 => "conflict",
                413 => "too-large",
                429 => "rate-limited",
                500..=599 => "unavailable",
                _ => "protocol",
            };
            Some(failure(code, format!("The service answered {status}. {said}")))
        }
    };
}

/// World `scanner`: finds values in raw text, and reaches nothing.
#[cfg(feature = "scanner")]
pub mod scanner {
    wit_bindgen::generate!({
        path: ["wit/types-0.1.0", "wit/log-0.1.0", "wit/scanner-0.1.0"],
        world: "fumehood:scanner/scanner",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "fumehood_sdk::scanner",
    });
    shared!();
    pub use exports::fumehood::scanner::guest::{Chunk, Finding, Guest, Kind};

    /// A type that a scanner reports: a name of `[A-Z0-9_]`, a group (`structured`, `secret` or `contextual`), a line for
    /// the review page.
    pub fn kind(name: &str, group: &str, description: &str) -> Kind {
        Kind {
            name: name.to_owned(),
            group: group.to_owned(),
            description: description.to_owned(),
            extensions: Vec::new(),
        }
    }

    /// The scanner that `prepare` made, for the calls that follow: the host keeps the memory that `prepare` leaves, and
    /// every instance begins with it.
    pub struct Prepared<T>(std::sync::Mutex<Option<T>>);

    impl<T> Prepared<T> {
        /// Nothing is prepared yet.
        pub const fn new() -> Self {
            Self(std::sync::Mutex::new(None))
        }

        /// Keep a scanner, in place of the one before.
        pub fn keep(&self, scanner: T) {
            *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(scanner);
        }

        /// Use the scanner; where there is none, as in an instance that was never prepared, `make` one.
        ///
        /// # Errors
        /// Those of `make` as `internal`; those of `run`.
        pub fn with<R, E: std::fmt::Display>(
            &self,
            make: impl FnOnce() -> Result<T, E>,
            run: impl FnOnce(&T) -> Result<R, Failure>,
        ) -> Result<R, Failure> {
            let mut prepared = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let scanner = match &mut *prepared {
                Some(scanner) => scanner,
                empty => empty.insert(make().map_err(|error| failure("internal", error.to_string()))?),
            };
            run(scanner)
        }
    }

    impl<T> Default for Prepared<T> {
        fn default() -> Self {
            Self::new()
        }
    }

    /// A finding: its type, its byte range in the window, how sure the rule is (0 to 1), and the rule's name.
    pub fn finding(kind: &str, range: std::ops::Range<usize>, confidence: f32, detector: &str) -> Finding {
        Finding {
            kind: kind.to_owned(),
            start: range.start as u32,
            end: range.end as u32,
            confidence,
            validated: false,
            detector: detector.to_owned(),
        }
    }
}

/// World `provider`: talks to a language model.
#[cfg(feature = "provider")]
pub mod provider {
    wit_bindgen::generate!({
        path: ["wit/types-0.1.0", "wit/log-0.1.0", "wit/http-0.1.0", "wit/config-0.1.0", "wit/provider-0.1.0"],
        world: "fumehood:provider/provider",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "fumehood_sdk::provider",
    });
    shared!();
    requests!();
    pub use exports::fumehood::provider::guest::{
        Completion, Event, Guest, GuestCompletion, Message, Model, Request, Tool, ToolCall, Usage,
    };
}

/// World `integration`: talks to a ticket or document system.
#[cfg(feature = "integration")]
pub mod integration {
    wit_bindgen::generate!({
        path: [
            "wit/types-0.1.0",
            "wit/log-0.1.0",
            "wit/http-0.1.0",
            "wit/kv-0.1.0",
            "wit/config-0.1.0",
            "wit/integration-0.1.0",
        ],
        world: "fumehood:integration/integration",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "fumehood_sdk::integration",
    });
    shared!();
    requests!();
    pub use exports::fumehood::integration::guest::*;
    pub use fumehood::kv::kv;

    /// What a function answers that the service has nothing for.
    pub fn unsupported<T>() -> Result<T, Failure> {
        Err(failure("unsupported", "This service has no such thing."))
    }
}

/// World `transport`: carries the Model Context Protocol, as a machine without I/O.
#[cfg(feature = "transport")]
pub mod transport {
    wit_bindgen::generate!({
        path: ["wit/types-0.1.0", "wit/log-0.1.0", "wit/config-0.1.0", "wit/transport-0.1.0"],
        world: "fumehood:transport/transport",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "fumehood_sdk::transport",
    });
    shared!();
    pub use fumehood::types::types::{Header, HeaderValue};

    /// A header with text.
    pub fn header(name: &str, value: impl Into<String>) -> Header {
        Header { name: name.to_owned(), value: HeaderValue::Text(value.into()) }
    }

    pub use exports::fumehood::transport::guest::{
        Action, Connection, Event, Guest, GuestConnection, Request, Settings,
    };
}
