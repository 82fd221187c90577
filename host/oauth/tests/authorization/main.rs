//! The whole way from a 401 to a token and its renewal, and every attack on it that is known: each test says what the
//! other side did, what the error is, and what was never sent.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops by panicking"
)]

mod callbacks;
mod discovery;
mod registrations;
mod tokens;
mod world;
