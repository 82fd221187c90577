//! `fumehood plugin …`: for operators, through the running server or the data folder; for authors, on files alone.

mod answers;
mod build;
mod inspect;
mod new;
mod pack;
mod recording;
mod sign;
mod test;
mod tools;

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use fumehood_triage::plugins::oci::{self, Reference, SignIn};
use fumehood_triage::plugins::{Package, package};

pub use answers::carry_out;

use crate::cli::{GrantArgs, PluginCommand};
use crate::control::{GrantChoice, PluginRequest, Request};
use crate::settings::Settings;

/// Longest secret, bytes.
const SECRET: u64 = 16 << 10;

pub fn run(settings: &Settings, command: PluginCommand) -> anyhow::Result<ExitCode> {
    let ask = |request| super::change(settings, Request::Plugin(request), Vec::new());
    match command {
        // Where there is no data folder yet, a list must not make one.
        PluginCommand::List { .. } if !settings.data.join(crate::data::KEYRING).exists() => shipped(),
        PluginCommand::List { json } => ask(PluginRequest::List { json }),
        PluginCommand::Recording { name, call } => ask(PluginRequest::Recording { name, call }),
        PluginCommand::Show { name, grant } => ask(PluginRequest::Show { name, grant }),
        PluginCommand::Install { from, wait, username, .. } if Reference::is_one(&from) => {
            // Looked at before the server is asked: a typing error needs no network.
            from.parse::<Reference>().map_err(|error| anyhow::anyhow!("{error}"))?;
            ask(PluginRequest::Fetch { reference: from, username, password: registry_password(), wait })
        }
        PluginCommand::Push { file, to, username } => push(&file, &to, username),
        PluginCommand::Install { from, manifest, signature, wait, .. } => {
            install(settings, &from, manifest.as_deref(), signature.as_deref(), wait)
        }
        PluginCommand::Approve { plugin, grant } => ask(PluginRequest::Approve { plugin, grant: choice(grant)? }),
        PluginCommand::Refuse { plugin } => ask(PluginRequest::Refuse { plugin }),
        PluginCommand::Grant { name, grant } => ask(PluginRequest::Grant { name, grant: choice(grant)? }),
        PluginCommand::Rollback { name } => ask(PluginRequest::Rollback { name }),
        PluginCommand::Remove { name } => ask(PluginRequest::Remove { name }),
        PluginCommand::Stop { target, reason } => ask(PluginRequest::Stop { target: target_of(target), reason }),
        PluginCommand::Resume { target } => ask(PluginRequest::Resume { target: target_of(target) }),
        PluginCommand::Secret { name, handle, kind, username, forget } => {
            let secret = if forget { None } else { Some(secret()?) };
            ask(PluginRequest::Secret { name, handle, kind, username, secret })
        }
        PluginCommand::New { name, world, lang, publisher } => new::run(&name, world, lang, &publisher),
        PluginCommand::Build { folder } => build::run(&folder),
        PluginCommand::Test { folder, only } => test::run(&folder, &only),
        PluginCommand::Pack { component, manifest, out } => pack::run(&component, &manifest, out),
        PluginCommand::Key { file } => sign::make_key(&file),
        PluginCommand::Sign { key, file } => sign::run(&key, &file),
        PluginCommand::Inspect { file } => inspect::run(&file),
    }
}

/// What this binary carries.
fn shipped() -> anyhow::Result<ExitCode> {
    let mut text = format!("{:<26} {:<9} {:<12} {:>9}  WHAT IT IS FOR\n", "NAME", "VERSION", "WORLD", "SIZE");
    for plugin in fumehood_triage::plugins::shipped() {
        let (manifest, size) = (&plugin.manifest, format!("{} KiB", plugin.component.len() / 1024));
        let (name, version, world) = (&manifest.name, &manifest.version, manifest.world.as_str());
        text += &format!("{name:<26} {version:<9} {world:<12} {size:>9}  {}\n", manifest.description);
    }
    print(&text)
}

/// Of whoever signs in at a registry.
fn registry_password() -> Option<String> {
    std::env::var("FUMEHOOD_REGISTRY_PASSWORD").ok().filter(|password| !password.is_empty())
}

/// Store a component in a registry.
fn push(file: &Path, to: &str, username: String) -> anyhow::Result<ExitCode> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let reference: Reference = to.parse().map_err(|error| anyhow::anyhow!("{error}"))?;
    let package = package(file).map_err(|error| anyhow::anyhow!("{error}"))?;
    fumehood_runtime::inspect(&file.display().to_string(), &package.component)?;
    let egress = fumehood_egress::Egress::new(Default::default())?;
    let sign_in = SignIn { username, password: registry_password().map(secrecy::SecretString::from) };
    let executor = tokio::runtime::Runtime::new()?;
    let stored = executor.block_on(oci::push(&egress, &reference, sign_in, &package))?;
    print(&stored)
}

/// A bare name is a plugin's.
fn target_of(target: String) -> String {
    if target == "all" || target.contains(':') { target } else { format!("plugin:{target}") }
}

fn secret() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().take(SECRET).read_to_string(&mut text).context("the secret is read from standard input")?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        bail!("standard input holds no secret; write it there: … secret NAME HANDLE < FILE");
    }
    Ok(text.to_owned())
}

fn choice(arguments: GrantArgs) -> anyhow::Result<GrantChoice> {
    let GrantArgs { all, nothing, only, grant } = arguments;
    Ok(match grant {
        _ if all => GrantChoice::All,
        _ if nothing => GrantChoice::Nothing,
        Some(path) => {
            let text = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
            let grant = serde_json::from_str(&text)
                .with_context(|| format!("{} is no grant as `plugin show --grant` writes it", path.display()))?;
            GrantChoice::Exactly(grant)
        }
        None if only.is_empty() => GrantChoice::List,
        None => GrantChoice::Only(only),
    })
}

fn install(
    settings: &Settings,
    from: &str,
    manifest: Option<&Path>,
    signature: Option<&Path>,
    wait: bool,
) -> anyhow::Result<ExitCode> {
    let read =
        |path: &Path| std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()));
    let mut package = package(Path::new(from)).map_err(|error| anyhow::anyhow!("{error}"))?;
    if let Some(path) = manifest {
        package.manifest = Some(read(path)?);
    }
    if let Some(path) = signature {
        package.signature = Some(read(path)?);
    }
    let Package { component, manifest, signature, source } = package;
    let request = PluginRequest::Install { manifest, signature, source, bytes: component.len(), wait };
    super::change(settings, Request::Plugin(request), component)
}

/// Results on standard output.
fn print(text: &str) -> anyhow::Result<ExitCode> {
    writeln!(std::io::stdout(), "{}", text.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
