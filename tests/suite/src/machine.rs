//! What this machine has and which form of the tests was asked for.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The built binary.
pub fn binary() -> PathBuf {
    let root = root();
    let candidates = [
        std::env::var_os("FUMEHOOD_BIN").map(PathBuf::from),
        std::env::var_os("CARGO_TARGET_DIR").map(|target| PathBuf::from(target).join("release/fumehood")),
        Some(root.join("target/release/fumehood")),
    ];
    let found = candidates.iter().flatten().find(|path| path.is_file());
    found
        .unwrap_or_else(|| panic!("there is no built binary: run `cargo build --release`, or set FUMEHOOD_BIN"))
        .clone()
}

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Data and tools that are not part of the checkout.
pub fn shared(path: &str) -> Option<PathBuf> {
    let base = std::env::var_os("FUMEHOOD_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    Some(base.join(path)).filter(|path| path.exists())
}

/// Whether the long forms were asked for.
pub fn soak() -> bool {
    std::env::var_os("FUMEHOOD_SOAK").is_some_and(|value| value == "1")
}

/// Rounds of kill -9.
pub fn kills() -> u64 {
    let asked = std::env::var("FUMEHOOD_KILLS").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(if soak() { 1_000 } else { 10 })
}

/// Say that this test cannot run here. `tests/run` counts what is said so as skipped, never as passed.
pub fn skip(test: &str, reason: &str) {
    eprintln!("SKIPPED {test}: {reason}");
    if let Some(path) = std::env::var_os("FUMEHOOD_SKIPS") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(format!("{test}: {reason}\n").as_bytes()).unwrap();
    }
}

/// Whether a file system can be mounted here, as the tests for full and read-only disks need.
pub fn can_mount() -> bool {
    let probe = tempfile::tempdir().unwrap();
    Tmpfs::mount(probe.path(), 1 << 20).is_some()
}

/// Whether a process can have a file system of its own here, as the tests with names of their own need.
pub fn can_unshare() -> bool {
    let tried = run(Command::new("unshare").args(["-m", "mount", "--bind", "/etc/hosts", "/etc/hosts"]));
    tried.is_some_and(|output| output.status.success())
}

/// A small file system in memory, unmounted when it is dropped.
pub struct Tmpfs(PathBuf);

impl Tmpfs {
    /// Mount one of `bytes` on a folder, where this is allowed.
    pub fn mount(folder: &Path, bytes: u64) -> Option<Self> {
        let options = format!("size={bytes}");
        let mounted = run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder));
        mounted.filter(|output| output.status.success()).map(|_| Self(folder.to_owned()))
    }

    /// Make it read-only.
    pub fn seal(&self) -> bool {
        let sealed = run(Command::new("mount").args(["-o", "remount,ro"]).arg(&self.0));
        sealed.is_some_and(|output| output.status.success())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("-l").arg(&self.0));
    }
}

fn run(command: &mut Command) -> Option<Output> {
    command.stdin(Stdio::null()).output().ok()
}

/// Wait until `ready` gives something, or fail with `what`.
pub fn wait_for<T>(what: &str, limit: Duration, mut ready: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(start.elapsed() < limit, "{what} did not happen within {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Peak resident memory of a process, bytes; nothing once it has ended.
pub fn peak_memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// Copy a folder with all that is in it, except sockets.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy_folder(&entry.path(), &target);
        } else if kind.is_file() {
            // Keeps the mode: a key file that others may read is refused.
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
    let mode = std::fs::metadata(from).unwrap().permissions();
    std::fs::set_permissions(to, mode).unwrap();
}

/// Bytes of all files below a folder.
pub fn folder_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let meta = entry.metadata().unwrap();
            if meta.is_dir() { folder_bytes(&entry.path()) } else { meta.len() }
        })
        .sum()
}

/// Every regular file below a folder with its bytes, in order of path.
pub fn snapshot(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => folders.push(entry.path()),
                kind if kind.is_file() => files.push((entry.path(), std::fs::read(entry.path()).unwrap())),
                _ => {}
            }
        }
    }
    files.sort();
    files
}
