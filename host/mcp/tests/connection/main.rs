//! Connections over the transports that ship, as the wasm that ships, to servers that behave and servers that do not.
#![allow(clippy::indexing_slicing, reason = "a test stops by panicking")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops by panicking")]

mod fake_process;
mod fake_web;
mod http;
mod misbehaved;
mod stdio;
mod support;
