//! The command line: parse, wire, run. Rules live below; this binary has none.
//!
//! Standard output carries results alone; what is going on goes to standard error.

mod cli;
mod commands;
mod connections;
mod control;
mod data;
mod settings;
mod ship;

use std::process::ExitCode;

use clap::Parser as _;

/// Requests are many small pieces that come and go on several threads, which the system's allocator takes locks for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match ship::ship().and_then(|()| commands::run(cli)) {
        Ok(code) => code,
        Err(error) => {
            // A reader that went away (`| head`) is no error worth a message.
            if is_broken_pipe(&error) {
                return ExitCode::SUCCESS;
            }
            eprintln!("fumehood: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
