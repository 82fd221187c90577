//! `fumehood plugin key` and `sign`: a publisher's key, and signatures with it.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use ed25519_dalek::SigningKey;
use fumehood_triage::plugins::{package, public_key, sign};

/// First line of a key file.
const HEAD: &str = "fumehood-signing-key-v1";

/// Make a key; the public one is what operators put into policy.toml.
pub fn make_key(path: &Path) -> anyhow::Result<ExitCode> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).context("there are no random numbers")?;
    let key = SigningKey::from_bytes(&secret);
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = made.with_context(|| format!("{} cannot be made", path.display()))?;
    writeln!(file, "{HEAD}\n{}", data_encoding::BASE64.encode(&secret))?;
    file.sync_all()?;
    eprintln!("{} is the secret key: keep it. This is the public one, for the operators' policy.toml:", path.display());
    super::print(&public_key(&key.verifying_key()))
}

/// Sign a component, and the manifest that lies beside it where it carries none.
pub fn run(key: &Path, component: &Path) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(key).with_context(|| format!("{} cannot be read", key.display()))?;
    let no_key = || format!("{} is no key of `fumehood plugin key`", key.display());
    let (HEAD, secret) = text.trim_end().split_once('\n').with_context(no_key)? else { bail!(no_key()) };
    let secret = data_encoding::BASE64.decode(secret.trim().as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    let key = SigningKey::from_bytes(&secret.with_context(no_key)?);
    let package = package(component).map_err(|error| anyhow::anyhow!("{error}"))?;
    fumehood_runtime::inspect(&component.display().to_string(), &package.component)?;
    let signature = sign(&key, &package.component, package.manifest.as_deref());
    let path = component.with_file_name(format!("{}.sig", component.file_name().unwrap_or_default().to_string_lossy()));
    std::fs::write(&path, signature).with_context(|| format!("{} cannot be written", path.display()))?;
    super::print(&format!("{}\nsigned with {}", path.display(), public_key(&key.verifying_key())))
}
