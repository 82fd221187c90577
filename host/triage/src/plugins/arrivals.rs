//! The drop-in folder: a component that is put there is installed, and waits for an approval.
//!
//! Invariant: a file is read once, whole, when it has stopped changing, and what was read is what is installed; the file
//! is of no account from then on. Nothing is followed out of the folder, and nothing in it is changed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use fumehood_policy::{Digest, shown};
use fumehood_runtime::limits;
use fumehood_store::Scope;
use sha2::Digest as _;

use super::install::Package;
use super::policy_file::Look;
use super::signature::MAX_SIGNATURE_BYTES;
use crate::App;

/// Name of the folder in the data folder.
pub const FOLDER: &str = "plugins";
/// How often it is looked at, and the policy file too.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often numbers are written: every so many looks.
const NUMBERS_EVERY: u64 = 10;
/// Files that are looked at.
const FILES: usize = 256;

/// What lies in the folder, as it was last seen.
#[derive(Default)]
pub(super) struct Arrivals {
    seen: Mutex<HashMap<PathBuf, Seen>>,
    /// Files beyond those that are looked at.
    left_out: AtomicUsize,
}

struct Seen {
    stamp: Vec<Option<(SystemTime, u64)>>,
    read: bool,
    problem: Option<String>,
}

impl Arrivals {
    /// Files that were not taken, and why.
    pub(super) fn problems(&self) -> Vec<(String, String)> {
        let Ok(seen) = self.seen.lock() else { return Vec::new() };
        let mut problems: Vec<(String, String)> = seen
            .iter()
            .filter_map(|(path, one)| {
                // A name in the folder is anybody's words.
                Some((shown(&path.file_name()?.to_string_lossy(), 100), one.problem.clone()?))
            })
            .collect();
        problems.sort();
        let left_out = self.left_out.load(Ordering::Relaxed);
        if left_out > 0 {
            let problem = format!("only the first {FILES} components of the folder are looked at; take some out");
            problems.push((format!("({left_out} more files)"), problem));
        }
        problems
    }
}

/// The files that belong to a component: itself, its manifest, its signature in either form.
fn companions(component: &Path) -> [PathBuf; 4] {
    let with = |suffix: &str| {
        let mut name = component.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    [component.to_owned(), component.with_extension("toml"), with(".sig"), with(".minisig")]
}

/// Read a regular file of at most so many bytes; nothing where there is none.
fn read(path: &Path, most: usize) -> Result<Option<Vec<u8>>, String> {
    use std::io::Read as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let nofollow = rustix::fs::OFlags::NOFOLLOW.bits() | rustix::fs::OFlags::NONBLOCK.bits();
    let opened = std::fs::OpenOptions::new().read(true).custom_flags(nofollow as i32).open(path);
    let file = match opened {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| format!("{name} cannot be read: {error}"))?,
    };
    if !file.metadata().is_ok_and(|file| file.is_file()) {
        return Err(format!("{name} is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|error| format!("{name} cannot be read: {error}"))?;
    if bytes.len() > most {
        return Err(format!("{name} is larger than {} KiB", most >> 10));
    }
    Ok(Some(bytes))
}

/// A component in a file, with what lies beside it.
///
/// # Errors
/// A sentence.
pub fn package(component: &Path) -> Result<Package, String> {
    let [path, manifest, signature, minisig] = companions(component);
    let text = |path: &Path, most| {
        let bytes = read(path, most)?;
        let text = bytes.map(String::from_utf8).transpose();
        text.map_err(|_| format!("{} is no text", path.display()))
    };
    let bytes = read(&path, limits::COMPONENT_BYTES)?.ok_or_else(|| format!("there is no file {}", path.display()))?;
    let carries = fumehood_runtime::inspect("it", &bytes).is_ok_and(|seen| seen.manifest.is_some());
    Ok(Package {
        component: bytes,
        // A manifest that lies beside a component which has one is the author's own copy.
        manifest: if carries { None } else { text(&manifest, fumehood_policy::MAX_MANIFEST_BYTES)? },
        signature: match text(&signature, MAX_SIGNATURE_BYTES)? {
            Some(text) => Some(text),
            None => text(&minisig, MAX_SIGNATURE_BYTES)?,
        },
        source: format!("file {}", path.file_name().unwrap_or_default().to_string_lossy()),
    })
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let file = path.symlink_metadata().ok()?;
    Some((file.modified().ok()?, file.len()))
}

impl App {
    /// Watch the policy file until the server ends.
    pub(crate) async fn watch_policy(&self) {
        loop {
            self.look_at_policy().await;
            tokio::time::sleep(LOOK_EVERY / 2).await;
        }
    }

    /// Watch the drop-in folder, and write what was counted, until the server ends.
    pub(crate) async fn watch_plugins(&self) {
        let folder = self.0.store.folder().join(FOLDER);
        let mut looks = 0_u64;
        loop {
            self.look_at_folder(&folder).await;
            looks += 1;
            if looks.is_multiple_of(NUMBERS_EVERY)
                && let Err(error) = self.write_plugin_numbers().await
            {
                tracing::warn!(%error, "the plugins' numbers could not be written");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn look_at_policy(&self) {
        let (change, result) = match self.0.plugins.policy_file.look() {
            Look::Same => return,
            Look::New(policy, digest) => {
                self.0.plugins.change(|now| now.policy = policy);
                (fumehood_store::Change::new("policy.read", "policy:organisation").with("sha256", digest), "ok")
            }
            Look::Bad(problem) => {
                tracing::error!("{problem}; what was in force before stays in force");
                (fumehood_store::Change::new("policy.read", "policy:organisation"), "invalid")
            }
        };
        if let Err(error) = self.0.store.event(&Scope::system(), change, result).await {
            tracing::error!(%error, "a change of the policy could not be put on record");
        }
    }

    async fn look_at_folder(&self, folder: &Path) {
        let listed = folder.to_owned();
        let found = tokio::task::spawn_blocking(move || {
            let entries = std::fs::read_dir(listed).into_iter().flatten().flatten().map(|entry| entry.path());
            let mut found: Vec<PathBuf> =
                entries.filter(|path| path.extension().is_some_and(|end| end == "wasm")).collect();
            found.sort();
            let left_out = found.len().saturating_sub(FILES);
            found.truncate(FILES);
            let stamped =
                found.into_iter().map(|path| (companions(&path).iter().map(|one| stamp(one)).collect(), path));
            (stamped.collect::<Vec<_>>(), left_out)
        });
        let (found, left_out): (Vec<(Vec<_>, PathBuf)>, usize) = found.await.unwrap_or_default();
        self.0.plugins.arrivals.left_out.store(left_out, Ordering::Relaxed);
        let settled = {
            let Ok(mut seen) = self.0.plugins.arrivals.seen.lock() else { return };
            seen.retain(|path, _| found.iter().any(|(_, there)| there == path));
            let mut settled = Vec::new();
            for (stamp, path) in found {
                match seen.get_mut(&path) {
                    Some(known) if known.stamp == stamp => {
                        if !known.read {
                            known.read = true;
                            settled.push(path);
                        }
                    }
                    _ => {
                        seen.insert(path, Seen { stamp, read: false, problem: None });
                    }
                }
            }
            settled
        };
        for path in settled {
            let problem = self.take_in(&path).await;
            if let Ok(mut seen) = self.0.plugins.arrivals.seen.lock()
                && let Some(seen) = seen.get_mut(&path)
            {
                seen.problem = problem;
            }
        }
    }

    /// Install what lies at `path`; why not, where it was not taken.
    async fn take_in(&self, path: &Path) -> Option<String> {
        let read = path.to_owned();
        let package = tokio::task::spawn_blocking(move || package(&read)).await;
        let package = match package.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(package) => package,
            Err(problem) => return Some(problem),
        };
        let digest = Digest::new(sha2::Sha256::digest(&package.component).into());
        let (store, scope) = (&self.0.store, Scope::system());
        match store.plugin_versions(&scope).await {
            // At every start the folder holds what it held before.
            Ok(versions) if versions.iter().any(|one| one.digest == digest) => return None,
            Ok(_) => {}
            Err(error) => return Some(error.to_string()),
        }
        match store.is_plugin_turned_down(&scope, digest).await {
            Ok(false) => {}
            Ok(true) => {
                return Some("it was turned down; `fumehood plugin install` brings it back for another look".into());
            }
            Err(error) => return Some(error.to_string()),
        }
        match self.install_plugin(&scope, package, true).await {
            Ok(installed) => {
                tracing::info!(plugin = %installed.name, version = %installed.version, "a plugin in the drop-in folder waits for an approval");
                None
            }
            Err(error) => Some(error.to_string()),
        }
    }
}
