//! What is to be run.
//!
//! Invariant: what runs is a regular, executable file at an absolute path, with symbolic links resolved; no shell, no
//! search path and no relative name ever takes part. Nothing of the server's own environment is passed on.

use std::collections::HashMap;
use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Access, OFlags, access};
use sha2::{Digest as _, Sha256};

use super::ProcessError;

/// A process as the operator registered it.
#[derive(Clone, PartialEq, Eq)]
pub struct ProcessSpec {
    /// Absolute path of an executable file.
    pub command: PathBuf,
    /// Passed as they are, one by one.
    pub arguments: Vec<String>,
    /// All of its environment: names and values.
    pub environment: Vec<(String, String)>,
    /// Absolute path of the folder that it starts in.
    pub folder: PathBuf,
    /// What `command` has to hold, where that was looked at.
    pub pinned: Option<Pinned>,
}

/// A program whose contents were read, kept open. What was written to or taken from its place since is refused; what
/// is executed is the open file, so that nothing else can come between the last look and the start. Who writes into the
/// file itself in that moment is found out after the start, and the program is ended.
///
/// A script is handed to its interpreter by its path, so for a script it is checked that the path still leads to this
/// file, unchanged, before the start and after it. Its interpreter and what it loads are not pinned by it.
#[derive(Clone, Debug)]
pub struct Pinned {
    file: Arc<File>,
    read: Read,
}

/// What was read of a program.
#[derive(Clone, Copy, Debug)]
struct Read {
    stamp: Stamp,
    is_script: bool,
    sha256: [u8; 32],
}

/// What programs held when they were read last: one that has not been touched since is not read again at each start.
#[derive(Debug, Default)]
pub struct Programs {
    known: Mutex<HashMap<PathBuf, Read>>,
}

/// Programs that are remembered.
const KNOWN: usize = 256;
/// A file that was changed a moment before it was read may change again within the same tick of the clock, and bear the
/// same stamp. Seconds.
const SETTLED: i64 = 2;

impl Programs {
    /// As [`Pinned::open`], at a time in seconds since 1970. Blocks.
    ///
    /// # Errors
    /// What the system says, or that it was changed while it was read.
    pub fn open(&self, path: &Path, now: i64) -> io::Result<Pinned> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied();
        if let Some(read) = known {
            let pinned = Pinned { file: Arc::new(regular(path)?), read };
            if pinned.check(path).is_ok() {
                return Ok(pinned);
            }
        }
        let pinned = Pinned::open(path)?;
        let settled = now.saturating_sub(SETTLED) > pinned.read.stamp.3;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if settled && (known.len() < KNOWN || known.contains_key(path)) {
            known.insert(path.to_owned(), pinned.read);
        }
        Ok(pinned)
    }
}

/// Device, inode, size, time of the last change.
type Stamp = (u64, u64, u64, i64, i64);

fn stamp(of: &Metadata) -> Stamp {
    (of.dev(), of.ino(), of.len(), of.ctime(), of.ctime_nsec())
}

/// Open a regular file. What is none is neither waited for, as a pipe that nobody writes to, nor read without end.
fn regular(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

impl PartialEq for Pinned {
    fn eq(&self, other: &Self) -> bool {
        self.read.stamp == other.read.stamp
    }
}

impl Eq for Pinned {}

impl Pinned {
    /// Read a program, and keep a handle of the very file that was read. Blocks.
    ///
    /// # Errors
    /// What the system says, or that it was changed while it was read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = regular(path)?;
        let before = stamp(&file.metadata()?);
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 256 << 10];
        let mut is_script = None;
        loop {
            let count = file.read(&mut buffer)?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            is_script.get_or_insert(bytes.starts_with(b"#!"));
            hash.update(bytes);
        }
        let read = Read { stamp: before, is_script: is_script == Some(true), sha256: hash.finalize().into() };
        let pinned = Self { read, file: Arc::new(file) };
        pinned.check(path)?;
        Ok(pinned)
    }

    /// The SHA-256 of what it holds.
    pub fn sha256(&self) -> [u8; 32] {
        self.read.sha256
    }

    /// Whether the file is still as it was read, and a script still what its path leads to.
    pub(super) fn check(&self, path: &Path) -> io::Result<()> {
        let same = stamp(&self.file.metadata()?) == self.read.stamp;
        if same && (!self.read.is_script || stamp(&path.metadata()?) == self.read.stamp) {
            return Ok(());
        }
        Err(io::Error::other("it was changed after it was looked at"))
    }

    /// What to execute: for a binary the open file itself.
    fn program(&self) -> Option<PathBuf> {
        (!self.read.is_script).then(|| format!("/proc/self/fd/{}", self.file.as_raw_fd()).into())
    }
}

impl fmt::Debug for ProcessSpec {
    /// Without arguments and environment, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessSpec")
            .field("command", &self.command)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl ProcessSpec {
    /// The command, ready to start.
    pub(super) fn command(&self) -> Result<Command, ProcessError> {
        let path = file(&self.command)?;
        let folder = folder(&self.folder)?;
        if self.arguments.iter().any(|argument| argument.contains('\0')) {
            return Err(ProcessError::Invalid("an argument holds a null character".to_owned()));
        }
        for (name, value) in &self.environment {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(ProcessError::Invalid(
                    "the name of an environment variable is empty or holds `=`".to_owned(),
                ));
            }
            if value.contains('\0') {
                return Err(ProcessError::Invalid(format!("the environment variable `{name}` holds a null character")));
            }
        }
        if let Some(pinned) = &self.pinned {
            pinned.check(&path).map_err(|error| refused("command", &self.command, &error))?;
        }
        let program = self.pinned.as_ref().and_then(Pinned::program).unwrap_or(path);
        let mut command = Command::new(program);
        command
            // Programs that go by their own name (Python in a virtual environment, busybox) get the one that was given.
            .arg0(&self.command)
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        Ok(command)
    }
}

fn file(command: &Path) -> Result<PathBuf, ProcessError> {
    let path = resolved("command", command)?;
    let metadata = path.metadata().map_err(|error| refused("command", command, &error))?;
    if !metadata.is_file() {
        return Err(refused("command", command, &"it is not a regular file"));
    }
    access(&path, Access::EXEC_OK).map_err(|_| refused("command", command, &"this server may not execute it"))?;
    Ok(path)
}

fn folder(folder: &Path) -> Result<PathBuf, ProcessError> {
    let path = resolved("folder", folder)?;
    if path.is_dir() { Ok(path) } else { Err(refused("folder", folder, &"it is not a folder")) }
}

fn resolved(what: &str, path: &Path) -> Result<PathBuf, ProcessError> {
    if !path.is_absolute() {
        return Err(refused(what, path, &"it must be an absolute path"));
    }
    path.canonicalize().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => refused(what, path, &"it does not exist"),
        _ => refused(what, path, &error),
    })
}

fn refused(what: &str, path: &Path, why: &dyn fmt::Display) -> ProcessError {
    ProcessError::Invalid(format!("the {what} `{}` cannot be used: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn spec(command: &Path) -> ProcessSpec {
        ProcessSpec {
            command: command.to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: PathBuf::from("/"),
            pinned: None,
        }
    }

    fn sentence(spec: &ProcessSpec) -> String {
        let error = spec.command().unwrap_err();
        assert_eq!(error.code(), "invalid");
        error.to_string()
    }

    #[test]
    fn what_cannot_be_run_is_refused_with_the_reason() {
        let here = tempfile::tempdir().unwrap();
        let plain = here.path().join("plain");
        std::fs::write(&plain, "#!/bin/sh\n").unwrap();
        let cases: [(&Path, &str); 5] = [
            (Path::new("sh"), "the command `sh` cannot be used: it must be an absolute path"),
            (Path::new("./sh"), "the command `./sh` cannot be used: it must be an absolute path"),
            (Path::new("/nowhere/at/all"), "the command `/nowhere/at/all` cannot be used: it does not exist"),
            (Path::new("/dev/null"), "the command `/dev/null` cannot be used: it is not a regular file"),
            (Path::new("/"), "the command `/` cannot be used: it is not a regular file"),
        ];
        for (command, wanted) in cases {
            assert_eq!(sentence(&spec(command)), wanted);
        }
        let wanted = format!("the command `{}` cannot be used: this server may not execute it", plain.display());
        assert_eq!(sentence(&spec(&plain)), wanted);
        let mut lost = spec(Path::new("/bin/sh"));
        lost.folder = plain.clone();
        assert_eq!(sentence(&lost), format!("the folder `{}` cannot be used: it is not a folder", plain.display()));
        lost.folder = "here".into();
        assert_eq!(sentence(&lost), "the folder `here` cannot be used: it must be an absolute path");
    }

    #[test]
    fn what_the_system_cannot_pass_on_is_refused() {
        let mut odd = spec(Path::new("/bin/sh"));
        odd.arguments = vec!["a\0b".to_owned()];
        assert_eq!(sentence(&odd), "an argument holds a null character");
        odd.arguments.clear();
        for name in ["", "A=B", "A\0"] {
            odd.environment = vec![(name.to_owned(), String::new())];
            assert_eq!(sentence(&odd), "the name of an environment variable is empty or holds `=`");
        }
        odd.environment = vec![("TOKEN".to_owned(), "se\0cret".to_owned())];
        assert_eq!(sentence(&odd), "the environment variable `TOKEN` holds a null character");
        assert!(!format!("{odd:?}").contains("cret"));
    }

    #[test]
    fn links_are_resolved_before_anything_is_run() {
        let here = tempfile::tempdir().unwrap();
        let link = here.path().join("link");
        symlink("/bin/sh", &link).unwrap();
        let command = spec(&link).command().unwrap();
        assert_eq!(Path::new(command.get_program()), Path::new("/bin/sh").canonicalize().unwrap());
    }

    #[test]
    fn what_is_no_file_is_neither_waited_for_nor_read_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, endless) = (folder.path().join("pipe"), folder.path().join("endless"));
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
        symlink("/dev/zero", &endless).unwrap();
        for path in [&pipe, &endless, &folder.path().to_owned()] {
            let refused = Programs::default().open(path, 0).unwrap_err();
            assert!(refused.to_string().contains("not a regular file"), "{}: {refused}", path.display());
        }
    }

    #[test]
    fn a_program_is_read_again_once_it_was_touched() {
        let folder = tempfile::tempdir().unwrap();
        let (path, programs) = (folder.path().join("program"), Programs::default());
        let now = || path.metadata().unwrap().ctime();
        std::fs::write(&path, "one").unwrap();
        let one = programs.open(&path, now() + SETTLED + 1).unwrap();
        assert_eq!(one.sha256(), Pinned::open(&path).unwrap().sha256());
        assert_eq!(programs.known.lock().unwrap().len(), 1, "it is remembered");
        assert_eq!(programs.open(&path, now()).unwrap().sha256(), one.sha256());
        // In place, and by another file of the same name.
        std::fs::write(&path, "two").unwrap();
        let two = programs.open(&path, now()).unwrap();
        assert_eq!(two.sha256(), Pinned::open(&path).unwrap().sha256());
        assert_ne!(two.sha256(), one.sha256());
        std::fs::write(folder.path().join("other"), "six").unwrap();
        std::fs::rename(folder.path().join("other"), &path).unwrap();
        assert_eq!(programs.open(&path, now()).unwrap().sha256(), Pinned::open(&path).unwrap().sha256());
        // What was written a moment ago is not remembered: it may change within the same tick.
        let fresh = Programs::default();
        fresh.open(&path, now() + 1).unwrap();
        assert!(fresh.known.lock().unwrap().is_empty());
    }
}
