//! What builds plugins in Python and in JavaScript: pinned, fetched once, kept in a cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use super::build::Project;
use super::new::write_contract;

const COMPONENTIZE_PY: &str = "0.25.1";
const COMPONENTIZE_QJS: &str = "0.4.5";

/// Where the tools are kept.
fn cache() -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("FUMEHOOD_TOOLS").filter(|folder| !folder.is_empty()) {
        return Ok(folder.into());
    }
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    Ok(base.context("there is no home folder; set FUMEHOOD_TOOLS to a folder for the tools")?.join("fumehood/tools"))
}

/// Run a tool; what it prints goes to standard error.
fn run(command: &mut Command, missing: &str) -> anyhow::Result<()> {
    let status = command.stdout(std::io::stderr()).status().with_context(|| missing.to_owned())?;
    if !status.success() {
        bail!("{} ended with {status}", command.get_program().to_string_lossy());
    }
    Ok(())
}

/// Whether a tool answers.
fn answers(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Fetch a tool into `folder` as a whole: whoever sees the folder sees all of it, also where two fetch at once.
fn fetched(folder: &Path, fetch: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let parent = folder.parent().context("a tool's folder is in another")?;
    std::fs::create_dir_all(parent).with_context(|| format!("{} cannot be made", parent.display()))?;
    let lock = std::fs::File::create(parent.join(".lock"))?;
    lock.lock().context("the tools' folder cannot be locked")?;
    let done = folder.join(".fetched");
    if done.exists() {
        return Ok(());
    }
    let _ = std::fs::remove_dir_all(folder);
    eprintln!("fetching {} into {}", folder.file_name().unwrap_or_default().to_string_lossy(), parent.display());
    fetch(folder)?;
    std::fs::write(done, "")?;
    Ok(())
}

/// The contract that a project is built against: its own copy, or ours.
fn contract(project: &Project, aside: &Path) -> anyhow::Result<PathBuf> {
    let own = project.folder.join("wit");
    if own.exists() {
        return Ok(own.canonicalize()?);
    }
    let ours = aside.join("contract");
    write_contract(&ours)?;
    Ok(ours)
}

/// The packages that a world is made of, each after those that it uses.
fn packages(world: &str) -> Vec<&str> {
    let host: &[&str] = match world {
        "scanner" => &["log"],
        "provider" => &["log", "http", "config"],
        "integration" => &["log", "http", "kv", "config"],
        _ => &["log", "config"],
    };
    std::iter::once("types").chain(host.iter().copied()).chain([world]).collect()
}

/// Build with componentize-py. The component imports its world and nothing of WASI.
pub fn python(project: &Project, made: &Path) -> anyhow::Result<PathBuf> {
    let venv = cache()?.join(format!("componentize-py-{COMPONENTIZE_PY}"));
    fetched(&venv, |venv| {
        let missing = "Python 3.10 or newer is needed, with venv (Debian: apt-get install python3-venv)";
        run(Command::new("python3").args(["-m", "venv"]).arg(venv), missing)?;
        let package = format!("componentize-py=={COMPONENTIZE_PY}");
        let mut pip = Command::new(venv.join("bin/pip"));
        run(pip.args(["install", "--quiet", "--disable-pip-version-check", &package]), "pip is missing")
    })?;
    let (wit, world) = (contract(project, made)?, project.manifest.world.as_str());
    let out = made.join("plugin.wasm");
    let mut tool = Command::new(venv.join("bin/componentize-py"));
    tool.current_dir(&project.folder).arg("--quiet");
    for package in packages(world) {
        tool.arg("--wit-path").arg(wit.join(format!("{package}-0.1.0")));
    }
    tool.args(["--world", &format!("fumehood:{world}/{world}"), "componentize", "plugin", "--stub-wasi", "--output"]);
    run(tool.arg(&out), "componentize-py cannot be started")?;
    Ok(out)
}

/// Build with componentize-qjs. The component imports its world and nothing of WASI.
pub fn javascript(project: &Project, made: &Path) -> anyhow::Result<PathBuf> {
    let node = std::env::var_os("FUMEHOOD_NODE").unwrap_or_else(|| "node".into());
    let folder = cache()?.join(format!("componentize-qjs-{COMPONENTIZE_QJS}"));
    let missing = "Node.js 18 or newer is needed, with npm; name it with FUMEHOOD_NODE where it is not on the path";
    if !answers(Command::new(&node).arg("--version")) {
        bail!("{missing}");
    }
    fetched(&folder, |folder| {
        std::fs::create_dir_all(folder)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"]).arg(folder);
        run(npm.arg(format!("componentize-qjs@{COMPONENTIZE_QJS}")), missing)
    })?;
    let (wit, world) = (contract(project, made)?, project.manifest.world.as_str());
    // The tool takes one folder: the world's package in it, and the others in deps/.
    let layout = made.join("layout");
    for package in packages(world) {
        let to = if package == world { layout.clone() } else { layout.join("deps").join(package) };
        std::fs::create_dir_all(&to)?;
        let name = format!("{package}.wit");
        let from = wit.join(format!("{package}-0.1.0")).join(&name);
        std::fs::copy(&from, to.join(&name)).with_context(|| format!("{} cannot be read", from.display()))?;
    }
    let out = made.join("plugin.wasm");
    let mut tool = Command::new(&node);
    tool.current_dir(&project.folder)
        .arg(folder.join("node_modules/componentize-qjs/cli.mjs"))
        .arg("--wit")
        .arg(layout);
    tool.args(["--world", world, "--js", "plugin.js", "--sync", "--stub-wasi", "--output"]);
    run(tool.arg(&out), missing)?;
    Ok(out)
}
