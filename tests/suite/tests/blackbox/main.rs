//! The built binary, from outside: command line, JSON API, files. See `fumehood_tests` for what it is steered by.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets what it did not expect has to fail"
)]

mod api;
mod audit;
mod bad_input;
mod command_line;
mod contract;
mod detection;
mod disk;
mod intake;
mod kill;
mod memory;
mod outside;
mod people;
mod plugins;
mod roles;
mod scan;
mod scan_cache;
mod scan_inputs;
mod scan_tool;
mod score;
mod viewer;
