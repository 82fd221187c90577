//! Scanning a log: in WebAssembly as the product does it, and by the same crate compiled for this machine.
//!
//! Both are given the windows that the product cuts, on one thread. What is counted is bytes of the log, not of the
//! windows, which overlap.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use fumehood_redact::{Window, WindowSize, Windows};
use fumehood_runtime::{Plugin, Runtime};

use crate::measure::{Goal, Report, median, rounds, spread};

const ROUNDS: usize = 7;
/// Least size of the log.
const LOG_BYTES: usize = 64 << 20;
/// Runs of the command.
const COMMANDS: usize = 3;

pub fn run(report: &mut Report, binary: Option<&Path>, folder: &Path) {
    let text = crate::log::mixed(LOG_BYTES);
    let windows: Vec<_> = Windows::of(WindowSize::DEFAULT, &text).collect();
    let cache = tempfile::tempdir().unwrap();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (runtime, plugin) = tokio.block_on(crate::call::load_scanner(cache.path()));
    let native = scanner_pii::prepare("{}").unwrap();
    let rate = |scan: &dyn Fn(&Window) -> usize| {
        let began = Instant::now();
        let found: usize = windows.iter().map(scan).sum();
        (text.len() as f64 / 1e6 / began.elapsed().as_secs_f64(), found)
    };
    let in_wasm = |window: &Window| scanned(&tokio, &runtime, &plugin, window);
    let natively = |window: &Window| native.scan(&window.text, window.continues_before, window.continues_after).len();
    let (_, found) = rate(&natively);
    assert_eq!(rate(&in_wasm).1, found, "both find the same");
    println!(
        "scan: a mixed log of {:.1} MB, {found} findings in {} windows, one core",
        text.len() as f64 / 1e6,
        windows.len()
    );
    let rounds = rounds(ROUNDS, || rate(&in_wasm).0, || rate(&natively).0);
    report.ratio("scan in wasm against native", "MB/s", &rounds, Some(Goal::AtLeast(0.5)));
    report.number("scan in wasm, one core", "MB/s", median(&rounds.ours), Goal::AtLeast(60.0));
    let prose = tokio.block_on(crate::call::load(&runtime, "scanner-prose"));
    let rates: Vec<_> = (0..COMMANDS).map(|_| rate(&|window| scanned(&tokio, &runtime, &prose, window)).0).collect();
    println!("  the scanner for prose on the same log, in wasm: {:.1} MB/s ({})", median(&rates), spread(&rates));
    match binary {
        Some(binary) => command(&text, binary, folder),
        None => println!("  `fumehood scan` was not run: FUMEHOOD_BIN does not name a binary"),
    }
}

/// One window through a scanner.
fn scanned(tokio: &tokio::runtime::Runtime, runtime: &Runtime, plugin: &Plugin, window: &Window) -> usize {
    let chunk = fumehood_runtime::Chunk {
        text: &window.text,
        offset: window.offset as u64,
        continues_before: window.continues_before,
        continues_after: window.continues_after,
        name: None,
    };
    tokio.block_on(runtime.scan(plugin, chunk, None)).unwrap().findings.len()
}

/// The command as people run it, start included, held to one core. Masking is the host's own work, in no sandbox.
fn command(text: &str, binary: &Path, folder: &Path) {
    let place = tempfile::Builder::new().prefix("bench-scan-").tempdir_in(folder).unwrap();
    let log = place.path().join("mixed.log");
    std::fs::write(&log, text).unwrap();
    let scan = |format: &str| {
        let mut command = Command::new(binary);
        command.arg("scan").arg("--data").arg(place.path().join("data")).args(["--format", format]).arg(&log);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let began = Instant::now();
        assert!(command.status().unwrap().success(), "`fumehood scan` succeeds");
        text.len() as f64 / 1e6 / began.elapsed().as_secs_f64()
    };
    // The first run fills the cache.
    scan("spans");
    let every = rustix::thread::sched_getaffinity(None).unwrap();
    let mut one = rustix::thread::CpuSet::new();
    one.set((0..rustix::thread::CpuSet::MAX_CPU).find(|cpu| every.is_set(*cpu)).unwrap());
    // A child inherits the cores of the thread that starts it.
    rustix::thread::sched_setaffinity(None, &one).unwrap();
    for format in ["spans", "redacted"] {
        let rates: Vec<_> = (0..COMMANDS).map(|_| scan(format)).collect();
        println!(
            "  `fumehood scan --format {format}` of the same log, start included, on one core: {:.1} MB/s ({})",
            median(&rates),
            spread(&rates)
        );
    }
    rustix::thread::sched_setaffinity(None, &every).unwrap();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let rates: Vec<_> = (0..COMMANDS).map(|_| scan("spans")).collect();
    println!("  the same by {cores} cores: {:.1} MB/s ({})", median(&rates), spread(&rates));
    let held = |times: usize| {
        std::fs::write(&log, text.repeat(times)).unwrap();
        peak(binary, place.path(), &log)
    };
    let (once, often) = (held(1), held(4));
    println!(
        "  held at most: {:.0} MB for {:.0} MB of log, {:.0} MB for {:.0} MB",
        once as f64 / 1e6,
        text.len() as f64 / 1e6,
        often as f64 / 1e6,
        4.0 * text.len() as f64 / 1e6
    );
}

/// The most memory that a scan of the log held, bytes.
fn peak(binary: &Path, place: &Path, log: &Path) -> u64 {
    let mut command = Command::new(binary);
    command.arg("scan").arg("--data").arg(place.join("data")).arg(log);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let lines = std::fs::read_to_string(&status).unwrap_or_default();
        let high = lines.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = high.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
        most = most.max(kilobytes * 1024);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    most
}
