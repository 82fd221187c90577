//! The integration plugin for Confluence: Cloud (v2) and Data Center (v1).
//!
//! Everything is plain Rust over the traits in [`plugin_core::host`]; `guest.rs`, which exists in the component only, puts it on the
//! contract's imports and exports. From below: `client` sends, `service` knows the calls, `publish` keeps the promise
//! that nothing is published twice, `items` and `attach` are the rest of the world.

pub mod attach;
pub mod client;
pub mod cql;
pub mod error;
pub mod items;
pub mod marker;
pub mod model;
pub mod page;
pub mod paging;
pub mod probe;
pub mod publish;
pub mod service;
pub mod settings;
pub mod storage;
pub mod text;

#[cfg(target_arch = "wasm32")]
mod guest;
#[cfg(test)]
mod tests;
