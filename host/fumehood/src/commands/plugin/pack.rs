//! `fumehood plugin pack`: a manifest into a component that was built by other means.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use fumehood_policy::Manifest;
use fumehood_runtime::{inspect, with_manifest};
use fumehood_triage::plugins::Digest;
use sha2::Digest as _;

pub fn run(component: &Path, manifest: &Path, out: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(manifest).with_context(|| format!("{} cannot be read", manifest.display()))?;
    let parsed = Manifest::parse(&text).with_context(|| manifest.display().to_string())?;
    let bytes = std::fs::read(component).with_context(|| format!("{} cannot be read", component.display()))?;
    let packed = with_manifest(&parsed.name, &bytes, &text)?;
    let seen = inspect(&parsed.name, &packed)?;
    if seen.world.name() != parsed.world.as_str() {
        bail!("{} says {}, and the component is a {}", manifest.display(), parsed.world, seen.world.name());
    }
    let out = out.unwrap_or_else(|| format!("{}-{}.wasm", parsed.name, parsed.version).into());
    std::fs::write(&out, &packed).with_context(|| format!("{} cannot be written", out.display()))?;
    let digest = Digest::new(sha2::Sha256::digest(&packed).into());
    super::print(&format!("{}\nsha256:{digest}, {} bytes", out.display(), packed.len()))
}
