//! The compiled cache: machine code that this host made, kept beside the store.
//!
//! Invariant: nothing is deserialised that was not authenticated with a key from the vault, because deserialising
//! machine code is unsafe. A file that does not verify is ignored and made anew, never trusted, never an error.

use std::path::PathBuf;
use std::sync::Arc;

/// Makes the tag of a cache file; the key stays in the vault. Arguments: what it is for, then the bytes.
pub type Authenticator = Arc<dyn Fn(&[u8], &[u8]) -> [u8; 32] + Send + Sync>;

/// What a compiled artefact depends on: the component, its rules, the engine and its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheKey(pub [u8; 32]);

impl CacheKey {
    fn name(&self) -> String {
        use std::fmt::Write as _;
        self.0.iter().fold(String::with_capacity(64), |mut name, byte| {
            let _ = write!(name, "{byte:02x}");
            name
        })
    }
}

/// A folder of authenticated compiled components, or none (everything is compiled in memory).
#[derive(Clone)]
pub struct CompiledCache {
    place: Option<(PathBuf, Authenticator)>,
}

impl CompiledCache {
    /// No cache: each start compiles.
    pub fn none() -> Self {
        Self { place: None }
    }

    /// A cache in `folder`, which is created when something is first stored.
    pub fn new(folder: PathBuf, authenticate: Authenticator) -> Self {
        Self { place: Some((folder, authenticate)) }
    }

    /// The artefact, where there is one that verifies.
    pub(crate) fn get(&self, key: &CacheKey) -> Option<Vec<u8>> {
        let (folder, authenticate) = self.place.as_ref()?;
        let mut bytes = std::fs::read(folder.join(key.name())).ok()?;
        let tag: [u8; 32] = bytes.get(..32)?.try_into().ok()?;
        let expected = authenticate(&key.0, bytes.get(32..)?);
        // Constant time is not needed against whoever can already write here, but costs nothing.
        let differs = tag.iter().zip(expected).fold(0u8, |acc, (a, b)| acc | (a ^ b));
        if differs != 0 {
            tracing::warn!("a compiled plugin in the cache did not verify; it is compiled anew");
            return None;
        }
        bytes.drain(..32);
        // For `prune`: what is used stays.
        drop(touch(&folder.join(key.name())));
        Some(bytes)
    }

    /// Keep an artefact: written aside and renamed, so that a crash leaves the old file or the new one. Failing to
    /// write costs time at the next start and nothing else.
    pub(crate) fn put(&self, key: &CacheKey, artefact: &[u8]) {
        let Some((folder, authenticate)) = self.place.as_ref() else { return };
        if let Err(error) = write(folder, &key.name(), &authenticate(&key.0, artefact), artefact) {
            tracing::warn!(%error, "the compiled plugin could not be cached; the next start compiles it again");
        }
        prune(folder, CACHE_BYTES);
    }
}

/// Let the file system write down that a file was used now.
fn touch(path: &std::path::Path) -> std::io::Result<()> {
    use rustix::fs::{Timespec, Timestamps, UTIME_NOW, futimens};
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let file = std::fs::File::options().append(true).open(path)?;
    Ok(futimens(&file, &Timestamps { last_access: now, last_modification: now })?)
}

/// The most that is kept, bytes: some forty components of 50 MB each.
const CACHE_BYTES: u64 = 2 << 30;

/// Remove what was used the longest ago, as far as all of it is more than `most` bytes.
fn prune(folder: &std::path::Path, most: u64) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    // The folder may be one that somebody named: what is not ours stays.
    let ours = |name: &std::ffi::OsStr| {
        name.to_str().is_some_and(|name| name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let mut files: Vec<_> = entries
        .filter(|entry| ours(&entry.file_name()))
        .filter_map(|entry| {
            let about = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
            Some((about.modified().ok()?, about.len(), entry.path()))
        })
        .collect();
    files.sort_unstable_by(|one, other| other.cmp(one));
    let mut total = 0_u64;
    for (_, size, path) in files {
        total = total.saturating_add(size);
        if total > most {
            drop(std::fs::remove_file(path));
        }
    }
}

fn write(folder: &std::path::Path, name: &str, tag: &[u8], artefact: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(tag)?;
    file.write_all(artefact)?;
    file.as_file().sync_all()?;
    file.persist(folder.join(name)).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(folder: &std::path::Path, secret: u8) -> CompiledCache {
        CompiledCache::new(
            folder.to_path_buf(),
            Arc::new(move |key, bytes| {
                use sha2::Digest as _;
                let mut hash = sha2::Sha256::new();
                hash.update([secret]);
                hash.update(key);
                hash.update(bytes);
                hash.finalize().into()
            }),
        )
    }

    #[test]
    fn returns_what_was_kept_and_nothing_that_was_touched() {
        let folder = tempfile::tempdir().unwrap();
        let key = CacheKey([7; 32]);
        let ours = cache(folder.path(), 1);
        assert!(ours.get(&key).is_none());
        ours.put(&key, b"machine code");
        assert_eq!(ours.get(&key).unwrap(), b"machine code");
        assert!(cache(folder.path(), 2).get(&key).is_none(), "another key");
        assert!(ours.get(&CacheKey([8; 32])).is_none(), "another component");
        let path = folder.path().join(key.name());
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, bad).unwrap();
            assert!(ours.get(&key).is_none(), "byte {at}");
        }
        std::fs::write(&path, &good[..20]).unwrap();
        assert!(ours.get(&key).is_none(), "cut short");
    }

    #[test]
    fn what_was_used_the_longest_ago_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let ours = cache(folder.path(), 1);
        let hour = std::time::Duration::from_secs(3600);
        for at in 0..4_u8 {
            let key = CacheKey([at; 32]);
            ours.put(&key, &[0; 68]);
            let file = std::fs::File::options().append(true).open(folder.path().join(key.name())).unwrap();
            file.set_modified(std::time::UNIX_EPOCH + hour * u32::from(at)).unwrap();
        }
        assert!(ours.get(&CacheKey([0; 32])).is_some(), "used just now");
        prune(folder.path(), 200);
        let kept: Vec<bool> = (0..4).map(|at| ours.get(&CacheKey([at; 32])).is_some()).collect();
        assert_eq!(kept, [true, false, false, true]);
    }
}
