//! The organisation's policy, read from its file and watched.
//!
//! Invariant: a file that cannot be read never loosens anything. At the start it is an error; later, what was in force
//! stays in force, and the fault is shown until it is mended.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use fumehood_policy::{Digest, Policy};
use sha2::Digest as _;

use crate::TriageError;

/// Largest policy file, bytes.
const MAX_BYTES: u64 = 1 << 20;

/// What tells one state of the file from another.
type Stamp = Option<(SystemTime, u64, u64)>;

/// The file, as it was last read.
pub(crate) struct PolicyFile {
    path: PathBuf,
    last: Mutex<(Stamp, Option<String>)>,
}

/// What a look at the file found.
pub(super) enum Look {
    /// As it was.
    Same,
    /// Another policy, and the hash of its text.
    New(Arc<Policy>, Digest),
    /// Text that is no policy.
    Bad(String),
}

impl PolicyFile {
    /// Read the file for the first time. One that is not there is an empty policy.
    ///
    /// # Errors
    /// `CannotOpen`, for the operator.
    pub(crate) fn open(path: PathBuf) -> Result<(Self, Arc<Policy>), TriageError> {
        let stamp = stamp(&path);
        let (policy, _) = read(&path).map_err(TriageError::CannotOpen)?;
        Ok((Self { path, last: Mutex::new((stamp, None)) }, policy))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Why it is not in force as it stands, where that is so.
    pub(super) fn problem(&self) -> Option<String> {
        self.last.lock().ok()?.1.clone()
    }

    /// Whether the file is another by now.
    pub(super) fn look(&self) -> Look {
        let now = stamp(&self.path);
        let Ok(mut last) = self.last.lock() else { return Look::Same };
        if last.0 == now {
            return Look::Same;
        }
        last.0 = now;
        match read(&self.path) {
            Ok((policy, digest)) => {
                last.1 = None;
                Look::New(policy, digest)
            }
            Err(error) => {
                last.1 = Some(error.clone());
                Look::Bad(error)
            }
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt as _;
    let file = path.metadata().ok()?;
    Some((file.modified().ok()?, file.len(), file.ino()))
}

fn read(path: &Path) -> Result<(Arc<Policy>, Digest), String> {
    let text = match path.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Ok(file) if file.len() > MAX_BYTES => {
            return Err(format!("the policy {} is larger than {} KiB", path.display(), MAX_BYTES >> 10));
        }
        _ => std::fs::read_to_string(path)
            .map_err(|error| format!("the policy {} cannot be read: {error}", path.display()))?,
    };
    let policy =
        Policy::parse(&text).map_err(|error| format!("the policy {} is not valid: {error}", path.display()))?;
    Ok((Arc::new(policy), Digest::new(sha2::Sha256::digest(text.as_bytes()).into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_file_leaves_what_was_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.toml");
        let (file, policy) = PolicyFile::open(path.clone()).unwrap();
        assert_eq!(*policy, Policy::default());
        assert!(matches!(file.look(), Look::Same));
        std::fs::write(&path, "[all]\nkv-bytes = 5").unwrap();
        assert!(matches!(file.look(), Look::New(policy, _) if policy.all.kv_bytes == Some(5)));
        std::fs::write(&path, "[all]\nkv-byte = 77").unwrap();
        assert!(matches!(file.look(), Look::Bad(_)));
        assert!(file.problem().unwrap().contains("is not valid"));
        assert!(matches!(file.look(), Look::Same));
        assert!(PolicyFile::open(path.clone()).is_err(), "a start is refused");
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(file.look(), Look::New(policy, _) if *policy == Policy::default()));
        assert_eq!(file.problem(), None);
    }
}
