//! Whole calls against a strict Confluence in memory.

mod conformance;
mod exactly_once;
mod fake;
mod server;
