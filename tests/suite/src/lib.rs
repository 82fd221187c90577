//! What the black-box suites share: a server to start and to kill, a client, logs with planted values, the fakes.
//!
//! Invariant: nothing here or in `tests/` links a room of the product. The built binary is driven over its command
//! line, its HTTP interface and its files, as a user, an operator and an attacker have them.
//!
//! | variable | what |
//! |---|---|
//! | `FUMEHOOD_BIN` | the binary; without it `$CARGO_TARGET_DIR/release/fumehood`, then `target/release/fumehood` |
//! | `FUMEHOOD_NODE` | the Node.js that runs the fakes; without it `node` |
//! | `FUMEHOOD_REAL_NPM` | folder with the npm packages of `tests/real`, `FUMEHOOD_REAL_PYTHON` with its Python programs |
//! | `FUMEHOOD_SHARED` | folder with `data/` and `tools/`; without it `../shared` beside the checkout |
//! | `FUMEHOOD_SOAK` | the long forms: 2 GiB, 1,000 kills |
//! | `FUMEHOOD_KILLS` | rounds of kill -9, over either |
//! | `FUMEHOOD_SKIPS` | file that a test which cannot run appends its reason to |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "test support: a broken assumption has to fail the test, and another process can only be polled"
)]

pub mod client;
pub mod fakes;
pub mod fixtures;
pub mod machine;
pub mod person;
pub mod server;

pub use client::{Answer, Client};
pub use fixtures::{Plants, Random};
pub use person::Person;
pub use server::{Data, Launch, Server};
