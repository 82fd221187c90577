//! `fumehood plugin new`: a folder with a plugin that builds, and its test.
//!
//! The folder is whole: the contract and, for Rust, the SDK are copied into it, so that it needs nothing of ours again.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use fumehood_policy::{PluginWorld, is_plugin_name};

use crate::cli::Language;

macro_rules! files {
    ($root:literal: $($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!($root, $path)))),*]
    };
}

/// The contract.
const WIT: &[(&str, &str)] = files!["../../../../../wit/":
    "README.md", "config-0.1.0/config.wit", "http-0.1.0/http.wit", "integration-0.1.0/integration.wit", "kv-0.1.0/kv.wit",
    "log-0.1.0/log.wit", "provider-0.1.0/provider.wit", "scanner-0.1.0/scanner.wit", "transport-0.1.0/transport.wit",
    "types-0.1.0/types.wit",
];
const SDK: &[(&str, &str)] = files!["../../../../../plugins/sdk/": "Cargo.toml", "src/lib.rs"];
const TEMPLATES: &[(&str, &str)] = files!["../../../templates/":
    "README.md", "manifest/scanner.toml", "manifest/provider.toml", "manifest/integration.toml", "manifest/transport.toml",
    "tests/scanner.toml", "tests/provider.toml", "tests/integration.toml", "tests/transport.toml",
    "rust/README.md", "python/README.md", "javascript/README.md", "python/guard.py", "javascript/guard.js",
    "python/scanner.py", "python/provider.py", "python/integration.py", "python/transport.py",
    "javascript/scanner.js", "javascript/provider.js", "javascript/integration.js", "javascript/transport.js",
    "rust/Cargo.toml.in", "rust/scanner.rs", "rust/provider.rs", "rust/integration.rs", "rust/transport.rs",
];

/// Write the contract to a folder.
pub fn write_contract(folder: &Path) -> anyhow::Result<()> {
    for (path, text) in WIT {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

fn template(path: &str) -> anyhow::Result<&'static str> {
    let found = TEMPLATES.iter().find(|(name, _)| *name == path);
    found.map(|(_, text)| *text).with_context(|| format!("there is no template {path}"))
}

pub fn run(name: &str, world: PluginWorld, language: Language, publisher: &str) -> anyhow::Result<ExitCode> {
    for (what, text) in [("name", name), ("publisher", publisher)] {
        if !is_plugin_name(text) {
            bail!(
                "`{text}` cannot be the {what}: use 1 to 64 lower-case letters, digits and hyphens, no hyphen at the ends"
            );
        }
    }
    let folder = Path::new(name);
    if folder.exists() {
        bail!("{name} is there already; choose another name, or another folder to be in");
    }
    // Made aside and renamed: a folder that is there is whole.
    let aside =
        tempfile::Builder::new().prefix(".fumehood-new").tempdir_in(".").context("the folder cannot be made")?;
    let mut files: Vec<(PathBuf, String)> = Vec::new();
    let mut add = |path: &str, text: &str| {
        let text =
            text.replace("{{name}}", name).replace("{{world}}", world.as_str()).replace("{{publisher}}", publisher);
        files.push((path.into(), text));
    };
    add("fumehood.toml", template(&format!("manifest/{world}.toml"))?);
    let folder_of = language.name();
    let readme = [template("README.md")?, template(&format!("{folder_of}/README.md"))?].concat();
    add("README.md", &readme);
    add(&format!("tests/{world}.toml"), template(&format!("tests/{world}.toml"))?);
    add(".gitignore", "/dist\n/target\n__pycache__\n*.key\n");
    match language {
        Language::Rust => {
            add("Cargo.toml", template("rust/Cargo.toml.in")?);
            add("src/lib.rs", template(&format!("rust/{world}.rs"))?);
        }
        Language::Python => {
            add("plugin.py", template(&format!("python/{world}.py"))?);
            add("guard.py", template("python/guard.py")?);
        }
        Language::Javascript => {
            add("plugin.js", template(&format!("javascript/{world}.js"))?);
            add("guard.js", template("javascript/guard.js")?);
        }
    }
    for (path, text) in WIT {
        files.push((Path::new("wit").join(path), (*text).to_owned()));
    }
    if language == Language::Rust {
        for (path, text) in SDK {
            files.push((Path::new("sdk").join(path), (*text).to_owned()));
        }
    }
    for (path, text) in &files {
        let path = aside.path().join(path);
        let parent = path.parent().context("a file has a folder")?;
        std::fs::create_dir_all(parent).with_context(|| format!("{} cannot be made", parent.display()))?;
        std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    if language == Language::Rust {
        std::os::unix::fs::symlink("../wit", aside.path().join("sdk/wit")).context("sdk/wit cannot be made")?;
    }
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(aside.path(), std::fs::Permissions::from_mode(0o755))?;
    std::fs::rename(aside.keep(), folder).with_context(|| format!("{name} cannot be made"))?;
    super::print(&format!("{name} is there. Go on with:\n  cd {name}\n  fumehood plugin build\n  fumehood plugin test"))
}
