//! `fumehood plugin build`: from a plugin's folder to `dist/NAME.wasm`, its manifest in it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use fumehood_policy::Manifest;
use fumehood_runtime::{inspect, with_manifest};
use fumehood_triage::plugins::Digest;
use sha2::Digest as _;

use super::tools;

/// What a plugin's folder holds.
pub struct Project {
    pub folder: PathBuf,
    pub manifest: Manifest,
    pub manifest_text: String,
}

impl Project {
    /// The plugin in a folder.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("fumehood.toml");
        let manifest_text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "{} cannot be read; `fumehood plugin new NAME --world WORLD` makes a plugin's folder",
                path.display()
            )
        })?;
        let manifest = Manifest::parse(&manifest_text).with_context(|| path.display().to_string())?;
        Ok(Self { folder: folder.to_owned(), manifest, manifest_text })
    }

    /// Where the built component is.
    pub fn component(&self) -> PathBuf {
        self.folder.join("dist").join(format!("{}.wasm", self.manifest.name))
    }
}

pub fn run(folder: &Path) -> anyhow::Result<ExitCode> {
    let project = Project::open(folder)?;
    let path = build(&project)?;
    let component = std::fs::read(&path)?;
    let digest = Digest::new(sha2::Sha256::digest(&component).into());
    super::print(&format!("{}\nsha256:{digest}, {} bytes", path.display(), component.len()))
}

/// Build a plugin; gives the component's path.
pub fn build(project: &Project) -> anyhow::Result<PathBuf> {
    let has = |name: &str| project.folder.join(name).exists();
    let made = tempfile::tempdir()?;
    let built = if has("Cargo.toml") {
        rust(project)?
    } else if has("plugin.py") {
        tools::python(project, made.path())?
    } else if has("plugin.js") {
        tools::javascript(project, made.path())?
    } else {
        let folder = project.folder.display();
        bail!("{folder} holds no Cargo.toml, plugin.py or plugin.js: it is not known how to build it");
    };
    let name = &project.manifest.name;
    let component = std::fs::read(&built).with_context(|| format!("{} cannot be read", built.display()))?;
    let component = with_manifest(name, &component, &project.manifest_text)?;
    let seen = inspect(name, &component)?;
    if seen.world.name() != project.manifest.world.as_str() {
        let (says, is) = (project.manifest.world, seen.world.name());
        bail!("fumehood.toml says that {name} is a {says}, and what was built is a {is}");
    }
    let path = project.component();
    let dist = path.parent().context("dist")?;
    std::fs::create_dir_all(dist).with_context(|| format!("{} cannot be made", dist.display()))?;
    let mut file = tempfile::NamedTempFile::new_in(dist)?;
    std::io::Write::write_all(&mut file, &component)?;
    use std::os::unix::fs::PermissionsExt as _;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    file.persist(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path)
}

const TARGET: &str = "wasm32-wasip2";

fn rust(project: &Project) -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(&project.folder).args([
        "build",
        "--release",
        "--target",
        TARGET,
        "--message-format=json-render-diagnostics",
    ]);
    let output = cargo.stderr(std::process::Stdio::inherit()).output();
    let output = output.context("cargo cannot be started; Rust is needed: https://rustup.rs")?;
    if !output.status.success() {
        bail!("cargo could not build it. Where the target is missing: rustup target add {TARGET}");
    }
    // The one .wasm file that cargo says it made of this package.
    let manifest = project.folder.join("Cargo.toml").canonicalize()?;
    let mut made = None;
    for line in output.stdout.split(|byte| *byte == b'\n') {
        let Ok(message) = serde_json::from_slice::<serde_json::Value>(line) else { continue };
        let ours =
            message.get("manifest_path").and_then(|path| path.as_str()).is_some_and(|path| Path::new(path) == manifest);
        if ours && let Some(files) = message.get("filenames").and_then(serde_json::Value::as_array) {
            made = files
                .iter()
                .filter_map(|file| file.as_str())
                .find(|file| file.ends_with(".wasm"))
                .map(PathBuf::from)
                .or(made);
        }
    }
    made.context("cargo made no .wasm file; the package needs [lib] crate-type = [\"cdylib\"]")
}
