//! What the sandbox, the record and the cache cost, as ratios to the same work without them, in one run.
//!
//! Invariant: both sides of a ratio do the same work, in the same process, on the same disk, in rounds that alternate;
//! and that they did the same is checked (findings, rows), not assumed. The references are written here from wasmtime,
//! SQLCipher and the scanner's crate alone: nothing of the product is in them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a measurement: a broken assumption has to end it, and the references open their own database"
)]

mod call;
mod host;
mod http;
mod log;
mod many;
mod measure;
mod scan;
mod start;
mod writes;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::measure::Report;

/// Measures Fumehood against the same work done bare, and prints ratios.
#[derive(Parser)]
struct Arguments {
    /// One part alone; more than one may be named.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Folder for databases and data folders; it decides which disk is measured. Default: where this program lies.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Exit with 1 where a goal is missed.
    #[arg(long)]
    check: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// A scanner call on a fresh instance against bare wasmtime.
    Call,
    /// A request that a plugin was granted against the same client called directly.
    Http,
    /// From the kill switch to the end of a call.
    Kill,
    /// Memory of plugins that nobody calls.
    Idle,
    /// 64 plugins from 256 tasks.
    Many,
    /// Scanning in WebAssembly against the same scanner compiled natively.
    Scan,
    /// Durable audited writes against bare SQLCipher inserts.
    Writes,
    /// A second start against a first (needs FUMEHOOD_BIN).
    Start,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let wanted = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    let folder = arguments.folder.unwrap_or_else(|| {
        std::env::current_exe().unwrap().parent().map_or_else(std::env::temp_dir, Path::to_path_buf)
    });
    let binary = std::env::var_os("FUMEHOOD_BIN").map(PathBuf::from);
    let mut report = Report::default();
    if wanted(Part::Call) {
        call::run(&mut report);
    }
    if wanted(Part::Http) {
        http::run(&mut report);
    }
    if wanted(Part::Kill) {
        many::kill(&mut report);
    }
    if wanted(Part::Idle) {
        many::idle(&mut report);
    }
    if wanted(Part::Many) {
        many::many(&mut report);
    }
    if wanted(Part::Scan) {
        scan::run(&mut report, binary.as_deref(), &folder);
    }
    if wanted(Part::Writes) {
        writes::run(&mut report, &folder);
    }
    if wanted(Part::Start) {
        match &binary {
            Some(binary) => start::run(&mut report, binary, &folder),
            None => println!("second start: skipped, because FUMEHOOD_BIN does not name a binary to start"),
        }
    }
    match report.missed {
        0 => ExitCode::SUCCESS,
        missed => {
            println!("{missed} missed");
            ExitCode::from(u8::from(arguments.check))
        }
    }
}
