//! The file of the master key: 64 hexadecimal digits and a newline, mode 0600.
//!
//! Invariant: an existing file is never changed, replaced or removed, and one that others can use is refused. A new one
//! appears under its name whole and durable or not at all, whatever is killed when.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use crate::VaultError;
use crate::keys::random;
use crate::master::MasterKey;

/// The permission bits of the file.
const MODE: u32 = 0o600;
/// The bits that must not be set: anything for group and others.
const FORBIDDEN: u32 = 0o077;
/// Longest file that is read, in bytes: the digits and some white space.
const MAX_FILE_BYTES: usize = 256;

impl MasterKey {
    /// Read the key from its file. A symbolic link is followed, and the permissions are those of what it leads to.
    pub fn load_file(path: &Path) -> Result<Self, VaultError> {
        let failed = |what| move |source| io_error(what, path, source);
        // Asked before opening, because opening a named pipe would wait for its writer.
        if !fs::metadata(path).map_err(failed("read the master key file"))?.is_file() {
            return Err(key_file(path, "it is not a regular file"));
        }
        let file = File::open(path).map_err(failed("read the master key file"))?;
        let metadata = file.metadata().map_err(failed("read the master key file"))?;
        let mode = metadata.mode() & 0o7777;
        if mode & FORBIDDEN != 0 {
            return Err(VaultError::Permissions { path: path.to_owned(), mode });
        }
        // Full size from the start: a buffer that grows would leave copies behind.
        let mut content = Zeroizing::new(Vec::with_capacity(MAX_FILE_BYTES + 1));
        file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut content).map_err(failed("read the master key file"))?;
        if content.len() > MAX_FILE_BYTES {
            return Err(key_file(path, "it is too long"));
        }
        let text = std::str::from_utf8(&content).map_err(|_| key_file(path, "it is not text"))?;
        Self::from_hex(text).map_err(|error| key_file(path, &error.to_string()))
    }

    /// Make a new key and write it to a file that does not exist yet.
    pub fn create_file(path: &Path) -> Result<Self, VaultError> {
        let key = Self::generate()?;
        write_new(path, &key).map_err(|source| io_error("create the master key file", path, source))?;
        Ok(key)
    }

    /// Read the key from its file, or make a new one where there is no such file. For a first start only: where a
    /// keyring exists already, [`MasterKey::load_file`] is the one to call, because a new key cannot open it.
    pub fn load_or_create_file(path: &Path) -> Result<Self, VaultError> {
        match Self::load_file(path) {
            Err(VaultError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            loaded => return loaded,
        }
        match Self::create_file(path) {
            // Another process was faster: its key is the one.
            Err(VaultError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
                Self::load_file(path)
            }
            created => created,
        }
    }
}

/// Written under another name first and linked to its own when it is durable: a link is made only where nothing has
/// that name, so the file is never seen half written and never replaces another.
fn write_new(path: &Path, key: &MasterKey) -> io::Result<()> {
    let folder = folder_of(path);
    let unique = random::<8>().map_err(io::Error::other)?;
    let draft = folder.join(format!(".master-key-{}.new", HEXLOWER.encode(&unique)));
    let written = write_durably(&draft, key).and_then(|()| match fs::hard_link(&draft, path) {
        // A file system without links: the name is then taken first, and a kill before the end leaves a short file,
        // which is refused at the next start.
        Err(error) if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied) => {
            write_durably(path, key)
        }
        linked => linked,
    });
    let removed = match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    written.and(removed)?;
    File::open(&folder)?.sync_all()
}

fn write_durably(path: &Path, key: &MasterKey) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    file.write_all(key.to_hex().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn io_error(what: &'static str, path: &Path, source: io::Error) -> VaultError {
    VaultError::Io { what, path: path.to_owned(), source }
}

fn key_file(path: &Path, reason: &str) -> VaultError {
    VaultError::KeyFile { path: path.to_owned(), reason: reason.to_owned() }
}

/// A path as one word of a shell command, for messages that say what to run.
pub(crate) fn shell_word(path: &Path) -> String {
    let shown = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@,".contains(c);
    if shown.chars().all(plain) && !shown.starts_with('-') {
        shown
    } else if shown.starts_with('-') {
        format!("'./{}'", shown.replace('\'', r"'\''"))
    } else {
        format!("'{}'", shown.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests;
