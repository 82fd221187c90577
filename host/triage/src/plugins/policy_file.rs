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
    last: Mutex<Last>,
}

struct Last {
    /// Of what was read.
    read: Stamp,
    /// Of the look before: a file is read when it has stopped changing.
    seen: Stamp,
    /// Whether what is in force came from a file that said something.
    said: bool,
    problem: Option<String>,
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
        let (policy, _, said) = read(&path).map_err(TriageError::CannotOpen)?;
        let last = Last { read: stamp, seen: stamp, said, problem: None };
        Ok((Self { path, last: Mutex::new(last) }, policy))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Why it is not in force as it stands, where that is so.
    pub(super) fn problem(&self) -> Option<String> {
        self.last.lock().ok()?.problem.clone()
    }

    /// Whether the file is another by now.
    pub(super) fn look(&self) -> Look {
        let now = stamp(&self.path);
        let Ok(mut last) = self.last.lock() else { return Look::Same };
        let settled = last.seen == now;
        last.seen = now;
        if last.read == now || !settled {
            return Look::Same;
        }
        last.read = now;
        let read = read(&self.path).and_then(|(policy, digest, says)| {
            if last.said && !says {
                // A file that was moved away or emptied lifts no ceiling: that takes a start.
                return Err(format!("the policy {} is gone or empty", self.path.display()));
            }
            last.said |= says;
            Ok((policy, digest))
        });
        match read {
            Ok((policy, digest)) => {
                last.problem = None;
                Look::New(policy, digest)
            }
            Err(error) => {
                last.problem = Some(error.clone());
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

/// The policy, the hash of its text, and whether the text says anything.
fn read(path: &Path) -> Result<(Arc<Policy>, Digest, bool), String> {
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
    super::signature::check_keys(&policy)
        .map_err(|error| format!("the policy {} is not valid: {error}", path.display()))?;
    let says = policy != Policy::default();
    Ok((Arc::new(policy), Digest::new(sha2::Sha256::digest(text.as_bytes()).into()), says))
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
        assert!(matches!(file.look(), Look::Same), "it may still be written");
        assert!(matches!(file.look(), Look::New(policy, _) if policy.all.kv_bytes == Some(5)));
        std::fs::write(&path, "[all]\nkv-byte = 77").unwrap();
        file.look();
        assert!(matches!(file.look(), Look::Bad(_)));
        assert!(file.problem().unwrap().contains("is not valid"));
        assert!(matches!(file.look(), Look::Same));
        assert!(PolicyFile::open(path.clone()).is_err(), "a start is refused");
        std::fs::remove_file(&path).unwrap();
        file.look();
        assert!(matches!(file.look(), Look::Bad(problem) if problem.contains("is gone or empty")));
        std::fs::write(&path, "[all]\nkv-bytes = 6").unwrap();
        file.look();
        assert!(matches!(file.look(), Look::New(policy, _) if policy.all.kv_bytes == Some(6)));
        assert_eq!(file.problem(), None);
    }
}
