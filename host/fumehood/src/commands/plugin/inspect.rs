//! `fumehood plugin inspect FILE`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use fumehood_policy::Manifest;
use fumehood_runtime::inspect;
use fumehood_triage::plugins::{Digest, PluginGrant, package};
use sha2::Digest as _;

pub fn run(file: &Path) -> anyhow::Result<ExitCode> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let package = package(file).map_err(|error| anyhow::anyhow!("{error}"))?;
    let seen = inspect(&name, &package.component)?;
    let digest = Digest::new(sha2::Sha256::digest(&package.component).into());
    let mut text = String::new();
    let mut line = |name: &str, value: &str| writeln!(text, "{name:<12} {value}");
    line("world", seen.world.name())?;
    line("size", &format!("{} bytes, {} core modules", seen.bytes, seen.core_modules))?;
    line("digest", &format!("sha256:{digest}"))?;
    for import in &seen.imports {
        line("imports", import)?;
    }
    for export in &seen.exports {
        line("exports", export)?;
    }
    let place = if seen.manifest.is_some() { "in the component" } else { "beside it" };
    match seen.manifest.or(package.manifest) {
        None => line("manifest", "none: it cannot be installed without one")?,
        Some(manifest) => {
            let manifest = Manifest::parse(&manifest).with_context(|| format!("the manifest {place}"))?;
            if manifest.world.as_str() != seen.world.name() {
                bail!("the manifest says {}, and the component is a {}", manifest.world, seen.world.name());
            }
            line("manifest", place)?;
            line("name", &format!("{} {} by {}", manifest.name, manifest.version, manifest.publisher))?;
            line("for", &manifest.description)?;
            let asks = fumehood_policy::diff(&PluginGrant::nothing("", digest, 0), &manifest.asks(digest));
            for change in &asks.changes {
                line("asks for", &change.what)?;
            }
            if asks.is_empty() {
                line("asks for", "nothing but to compute")?;
            }
        }
    }
    line("signature", if package.signature.is_some() { "a file beside it" } else { "none beside it" })?;
    super::print(&text)
}
