//! Where the compiled scanners are kept, so that the next scan starts at once.
//!
//! Invariant: machine code is loaded only from a folder that is this user's alone, and only what a key of that folder, or
//! of the data folder's vault, authenticates.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use fumehood_runtime::CompiledCache;

use super::baseline;
use crate::cli::ScanArgs;
use crate::data;
use crate::settings::Settings;

/// The folder that was named, the data folder where there is one, or the user's own cache; nothing with `--no-cache`, or
/// where none of them can be used.
pub fn find(settings: &Settings, args: &ScanArgs) -> anyhow::Result<CompiledCache> {
    if args.no_cache {
        return Ok(CompiledCache::none());
    }
    if let Some(folder) = &args.cache {
        return own(folder);
    }
    if let Ok(vault) = data::open(settings) {
        return Ok(fumehood_triage::cache(&settings.data, vault));
    }
    Ok(users().and_then(|folder| own(&folder).ok()).unwrap_or_else(CompiledCache::none))
}

/// `~/.cache/fumehood/compiled`.
fn users() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    Some(base.join("fumehood/compiled"))
}

/// A cache beside no data folder: what is in it is authenticated with a key of its own, for this user alone.
fn own(folder: &Path) -> anyhow::Result<CompiledCache> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
    let cannot = || format!("the cache {} cannot be used", folder.display());
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(cannot)?;
    let path = folder.join("key");
    // Machine code is loaded from it: it has to be this user's alone.
    let alone = |path: &Path| {
        let about = std::fs::symlink_metadata(path).with_context(cannot)?;
        let owned = about.uid() == rustix::process::geteuid().as_raw() && about.mode() & 0o077 == 0;
        anyhow::ensure!(
            owned && !about.file_type().is_symlink(),
            "{}: {} has to belong to you alone (chmod go-rwx), and must be no link",
            cannot(),
            path.display()
        );
        Ok(())
    };
    alone(folder)?;
    if path.exists() {
        alone(&path)?;
    }
    let key = match std::fs::read(&path) {
        Ok(key) => key,
        Err(_) => new_key(folder, &path).with_context(cannot)?,
    };
    anyhow::ensure!(key.len() == 32, "{}: its key is damaged; remove the folder", cannot());
    Ok(CompiledCache::new(
        folder.to_owned(),
        Arc::new(move |name, bytes| baseline::hmac(&key, &[b"compiled-cache", name, bytes])),
    ))
}

/// Make the cache's key, unless another scan was faster.
fn new_key(folder: &Path, path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut key = vec![0; 32];
    getrandom::fill(&mut key).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    // Readable for this user alone, and never there by half.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&key)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(key),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(std::fs::read(path)?),
        Err(error) => Err(error.error.into()),
    }
}
