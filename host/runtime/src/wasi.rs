//! WASI 0.2 as plugins see it: there because standard libraries need it, and empty.
//!
//! Linked interface by interface. No environment, no arguments, no preopened folder, no network (`wasi:sockets` and
//! `wasi:http` are not linked at all), standard output and error go to the plugin's bounded log. Clocks and random
//! numbers are real: without a way out they tell nobody anything.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random};
use wasmtime_wasi::{WasiCtx, WasiView};

use crate::error::plain;
use crate::limits;
use crate::state::State;

struct HasTable;
impl HasData for HasTable {
    type Data<'a> = &'a mut ResourceTable;
}

/// Add every WASI interface that a guest may import.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
    use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
    use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
    use wasmtime_wasi::random::WasiRandom;
    use wasmtime_wasi_io::bindings::wasi::io;

    let l = linker;
    io::error::add_to_linker::<State, HasTable>(l, |t| t.ctx().table)?;
    io::poll::add_to_linker::<State, HasTable>(l, |t| t.ctx().table)?;
    io::streams::add_to_linker::<State, HasTable>(l, |t| t.ctx().table)?;
    clocks::wall_clock::add_to_linker::<State, WasiClocks>(l, State::clocks)?;
    clocks::monotonic_clock::add_to_linker::<State, WasiClocks>(l, State::clocks)?;
    filesystem::preopens::add_to_linker::<State, WasiFilesystem>(l, State::filesystem)?;
    filesystem::types::add_to_linker::<State, WasiFilesystem>(l, State::filesystem)?;
    random::random::add_to_linker::<State, WasiRandom>(l, |t| t.ctx().ctx.random())?;
    random::insecure::add_to_linker::<State, WasiRandom>(l, |t| t.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<State, WasiRandom>(l, |t| t.ctx().ctx.random())?;
    cli::exit::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::environment::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::stdin::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::stdout::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::stderr::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_input::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_output::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stdin::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stdout::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stderr::add_to_linker::<State, WasiCli>(l, State::cli)?;
    Ok(())
}

/// An empty context whose output goes to `log`.
pub(crate) fn context(log: &LogBuffer) -> WasiCtx {
    WasiCtx::builder()
        .stdout(log.clone())
        .stderr(log.clone())
        .max_random_size(limits::RANDOM_BYTES)
        .allow_tcp(false)
        .allow_udp(false)
        .build()
}

/// The same, with clocks that stand still and random numbers that repeat themselves: for a plugin's own tests.
pub(crate) fn deterministic(log: &LogBuffer) -> WasiCtx {
    let numbers = || wasmtime_wasi::Deterministic::new((0..=255).collect());
    WasiCtx::builder()
        .stdout(log.clone())
        .stderr(log.clone())
        .max_random_size(limits::RANDOM_BYTES)
        .allow_tcp(false)
        .allow_udp(false)
        .wall_clock(StillClock)
        .monotonic_clock(StillClock)
        .secure_random(numbers())
        .insecure_random(numbers())
        .insecure_random_seed(1)
        .build()
}

/// The first of January 2026, 00:00 UTC, for ever.
struct StillClock;

impl wasmtime_wasi::HostWallClock for StillClock {
    fn resolution(&self) -> std::time::Duration {
        std::time::Duration::from_nanos(1)
    }
    fn now(&self) -> std::time::Duration {
        std::time::Duration::from_secs(1_767_225_600)
    }
}

impl wasmtime_wasi::HostMonotonicClock for StillClock {
    fn resolution(&self) -> u64 {
        1
    }
    fn now(&self) -> u64 {
        0
    }
}

/// The bounded log of one call: what the plugin logged and printed. Raw text; goes to the encrypted store only.
#[derive(Clone, Default)]
pub(crate) struct LogBuffer(Arc<Mutex<Log>>);

#[derive(Default)]
struct Log {
    lines: Vec<(u8, String)>,
    bytes: usize,
    dropped: u64,
}

/// Level of what a plugin printed rather than logged.
const PRINTED: u8 = 3;

impl LogBuffer {
    /// Keep a message, cut to its bound; count it where the budget is spent.
    pub(crate) fn push(&self, level: u8, message: &str) {
        let mut cut = message.len().min(limits::LOG_MESSAGE_BYTES);
        while !message.is_char_boundary(cut) {
            cut -= 1;
        }
        let Ok(mut log) = self.0.lock() else { return };
        if log.bytes + cut > limits::LOG_BYTES || log.lines.len() >= 4096 {
            log.dropped += 1;
            return;
        }
        log.bytes += cut;
        // Line breaks and control characters would let a plugin forge entries of others.
        log.lines.push((level, plain(message.get(..cut).unwrap_or_default())));
    }

    /// What was kept, and how many messages were dropped.
    pub(crate) fn take(&self) -> (Vec<(u8, String)>, u64) {
        match self.0.lock() {
            Ok(mut log) => {
                log.bytes = 0;
                (std::mem::take(&mut log.lines), std::mem::take(&mut log.dropped))
            }
            Err(_) => (Vec::new(), 0),
        }
    }
}

impl wasmtime_wasi::cli::IsTerminal for LogBuffer {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl wasmtime_wasi::cli::StdoutStream for LogBuffer {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for LogBuffer {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        for line in String::from_utf8_lossy(bytes).lines().filter(|line| !line.is_empty()) {
            self.push(PRINTED, line);
        }
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
