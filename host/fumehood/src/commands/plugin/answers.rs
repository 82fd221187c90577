//! What the server answers to `fumehood plugin …`, as text for people.

use std::fmt::Write as _;

use fumehood_triage::plugins::oci::{Reference, SignIn};
use fumehood_triage::plugins::{Ask, Digest, Installed, Package, PluginDetail, PluginGrant, Waiting, sum};
use fumehood_triage::settings::Secret;
use fumehood_triage::{App, Scope, TriageError};

use super::recording;
use crate::control::{GrantChoice, PluginRequest};

/// Carry a request out. `payload` is the component of an installation.
pub async fn carry_out(app: &App, request: PluginRequest, payload: Vec<u8>) -> Result<String, TriageError> {
    let scope = Scope::operator();
    match request {
        PluginRequest::List { json: true } => {
            let plugins = app.plugins(&scope).await?;
            serde_json::to_string_pretty(&plugins).map_err(|error| TriageError::Internal(error.to_string()))
        }
        PluginRequest::List { json: false } => list(app, &scope).await,
        PluginRequest::Show { name, grant } => {
            let detail = app.plugin(&scope, &name).await?;
            if grant { grant_json(&detail) } else { Ok(show(&detail)) }
        }
        PluginRequest::Install { manifest, signature, source, wait, .. } => {
            let package = Package { component: payload, manifest, signature, source };
            Ok(installed(&app.install_plugin(&scope, package, wait).await?))
        }
        PluginRequest::Fetch { reference, username, password, wait } => {
            let reference: Reference =
                reference.parse().map_err(|message| TriageError::Invalid { field: "plugin", message })?;
            let sign_in = SignIn { username, password: password.map(secrecy::SecretString::from) };
            Ok(installed(&app.install_from_registry(&scope, &reference, sign_in, wait).await?))
        }
        PluginRequest::Approve { plugin, grant } => {
            let (detail, at) = waiting(app, &scope, &plugin).await?;
            let waiting = detail.waiting.get(at).ok_or(TriageError::NotFound { what: "version that waits" })?;
            let Some(grant) = granted(&detail.name, waiting.version.digest, &waiting.asks, grant)? else {
                return Ok(asks(&waiting.asks));
            };
            let before = detail.grant.clone().unwrap_or_else(|| PluginGrant::nothing("", grant.digest, 0));
            let changes = fumehood_policy::diff(&before, &grant).changes;
            app.approve_plugin(&scope, grant).await?;
            let mut text = format!("{} {} runs from now on.\n", detail.name, waiting.version.version);
            changes.iter().for_each(|change| text += &format!("  {change}\n"));
            Ok(text)
        }
        PluginRequest::Refuse { plugin } => {
            let (detail, at) = waiting(app, &scope, &plugin).await?;
            let waiting = detail.waiting.get(at).ok_or(TriageError::NotFound { what: "version that waits" })?;
            app.refuse_plugin(&scope, waiting.version.digest).await?;
            Ok(format!("{} {} was turned down and forgotten.", detail.name, waiting.version.version))
        }
        PluginRequest::Grant { name, grant } => {
            let detail = app.plugin(&scope, &name).await?;
            let info = detail.info.as_ref().ok_or(TriageError::NotFound { what: "running version of this plugin" })?;
            let exactly = matches!(grant, GrantChoice::Exactly(_));
            let Some(grant) = granted(&name, info.digest, &detail.asks, grant)? else {
                return Ok(asks(&detail.asks));
            };
            // A grant that was taken from `show --grant` says which one it was made from.
            let seen = exactly.then_some(grant.generation);
            app.grant_plugin(&scope, grant, seen).await?;
            Ok(show(&app.plugin(&scope, &name).await?))
        }
        PluginRequest::Recording { name, call: None } => {
            Ok(recording::list(&name, &app.plugin_recordings(&scope, &name).await?))
        }
        PluginRequest::Recording { name, call: Some(call) } => {
            recording::case(&name, &app.plugin_recording(&scope, &name, call).await?)
        }
        PluginRequest::Rollback { name } => {
            let version = app.roll_back_plugin(&scope, &name).await?;
            Ok(format!("{name} {} runs again, with the grant that it had.", version.version))
        }
        PluginRequest::Remove { name } => {
            app.remove_plugin(&scope, &name).await?;
            Ok(format!("{name} was removed."))
        }
        PluginRequest::Stop { target, reason } => {
            app.stop_plugins(&scope, &target, &reason).await?;
            Ok(format!("Stopped: {target}. Start it again with: fumehood plugin resume {target}"))
        }
        PluginRequest::Resume { target } => {
            app.resume_plugins(&scope, &target).await?;
            Ok(format!("The kill switch {target} is put back."))
        }
        PluginRequest::Secret { name, handle, kind, username, secret } => {
            let set = secret.is_some();
            let secret = Secret::from_form(secret.as_deref().unwrap_or_default(), !set);
            app.set_plugin_secret(&scope, &name, &handle, &kind, &username, secret).await?;
            Ok(format!("The secret `{handle}` of {name} is {}.", if set { "set" } else { "forgotten" }))
        }
    }
}

/// What became of an installation.
fn installed(done: &Installed) -> String {
    let mut text = format!("{} {} is installed: sha256:{}\n", done.name, done.version, done.digest);
    text += if done.active {
        "It asks for nothing more than the version before it, so it runs already.\n"
    } else {
        "It waits for an approval, and nothing of it runs until then.\n"
    };
    done.changes.iter().for_each(|change| text += &format!("  {change}\n"));
    if !done.active {
        text += &format!("See what it asks for: fumehood plugin show {}\n", done.name);
        text += &format!("Approve it:           fumehood plugin approve {} --all\n", done.name);
    }
    text
}

/// The version that NAME or NAME@DIGEST means, by its place among those that wait.
async fn waiting(app: &App, scope: &Scope, plugin: &str) -> Result<(PluginDetail, usize), TriageError> {
    let (name, digest) = plugin.split_once('@').map_or((plugin, None), |(name, digest)| (name, Some(digest)));
    if digest.is_some_and(|digest| digest.trim_start_matches("sha256:").len() < 8) {
        let message = format!("Write at least eight digits of the digest after {name}@.");
        return Err(TriageError::Invalid { field: "plugin", message });
    }
    let detail = app.plugin(scope, name).await?;
    let fits = |one: &Waiting| {
        let text = one.version.digest.to_string();
        digest.is_none_or(|digest| text.starts_with(digest.trim_start_matches("sha256:")))
    };
    let found: Vec<usize> = detail.waiting.iter().enumerate().filter(|(_, one)| fits(one)).map(|(at, _)| at).collect();
    match found.as_slice() {
        [one] => Ok((detail, *one)),
        [] => Err(TriageError::Conflict(format!("No version of {name} waits for an approval."))),
        _ => Err(TriageError::Conflict(format!(
            "Several versions of {name} wait. Say which one by its digest: {}",
            detail.waiting.iter().map(|one| format!("{name}@{}", one.version.digest)).collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// The grant that was chosen; nothing where the requests are only to be listed.
fn granted(name: &str, digest: Digest, asks: &[Ask], choice: GrantChoice) -> Result<Option<PluginGrant>, TriageError> {
    let part = |at: usize| {
        let ask = at.checked_sub(1).and_then(|at| asks.get(at));
        ask.map(|ask| ask.part.clone()).ok_or_else(|| {
            TriageError::Conflict(format!("There is no request {at}; it asks for {} things.", asks.len()))
        })
    };
    Ok(match choice {
        GrantChoice::List if asks.is_empty() => Some(PluginGrant::nothing(name, digest, 0)),
        GrantChoice::List => None,
        GrantChoice::All => Some(sum(name, digest, asks.iter().map(|ask| ask.part.clone()))),
        GrantChoice::Nothing => Some(PluginGrant::nothing(name, digest, 0)),
        GrantChoice::Only(numbers) => {
            let parts = numbers.into_iter().map(part).collect::<Result<Vec<_>, _>>()?;
            Some(sum(name, digest, parts))
        }
        GrantChoice::Exactly(grant) if grant.plugin == name && grant.digest == digest => Some(*grant),
        GrantChoice::Exactly(grant) => {
            return Err(TriageError::Conflict(format!(
                "That is a grant to {}@{}, and not to {name}@{digest}.",
                grant.plugin, grant.digest
            )));
        }
    })
}

fn asks(asks: &[Ask]) -> String {
    let mut text = String::new();
    for (at, ask) in asks.iter().enumerate() {
        let mark = if ask.granted { "granted" } else { "-" };
        let _ = writeln!(text, "{:>3}  {mark:<8} {}\n              because: {}", at + 1, ask.what, ask.reason);
        match ask.ceiling.as_deref() {
            None => {}
            Some([]) => text += "              the organisation's ceiling leaves nothing of it\n",
            Some(left) => left.iter().for_each(|one| {
                let _ = writeln!(text, "              the ceiling leaves: {one}");
            }),
        }
    }
    if asks.is_empty() {
        text += "It asks for nothing but to compute.\n";
    } else {
        text +=
            "Choose with --all, --only 1,2, --nothing, or --grant FILE (narrower; see `plugin show NAME --grant`).\n";
    }
    text
}

async fn list(app: &App, scope: &Scope) -> Result<String, TriageError> {
    let list = app.plugin_list(scope).await?;
    let mut text = format!(
        "{:<26} {:<9} {:<12} {:<18} {:<8} {:>7}  WHAT IT IS FOR\n",
        "NAME", "VERSION", "WORLD", "PUBLISHER", "STATE", "CALLS"
    );
    for one in &list.plugins {
        let _ = writeln!(
            text,
            "{:<26} {:<9} {:<12} {:<18} {:<8} {:>7}  {}",
            one.name, one.version, one.world, one.publisher, one.state, one.calls.calls, one.description
        );
        if let Some(version) = &one.waiting {
            let _ = writeln!(text, "  version {version} waits for an approval: fumehood plugin show {}", one.name);
        }
        if !one.problem.is_empty() {
            let _ = writeln!(text, "  {}", one.problem);
        }
    }
    for one in &list.waiting {
        let _ = writeln!(
            text,
            "{:<26} {:<9} {:<12} {:<18} waiting            for an approval: fumehood plugin show {}",
            one.name, one.version, one.world, one.publisher, one.name
        );
    }
    for (file, problem) in &list.refused {
        let _ = writeln!(text, "not taken from the drop-in folder: {file}: {problem}");
    }
    for stop in &list.stops {
        let why = if stop.reason.is_empty() { String::new() } else { format!(" ({})", stop.reason) };
        let _ = writeln!(text, "kill switch thrown: {}{why}", stop.target);
    }
    if let Some(problem) = &list.policy_problem {
        let _ = writeln!(text, "{problem}\nWhat was in force before stays in force.");
    }
    Ok(text)
}

fn grant_json(detail: &PluginDetail) -> Result<String, TriageError> {
    let grant = match (&detail.grant, detail.waiting.first()) {
        (_, Some(waiting)) => {
            sum(&detail.name, waiting.version.digest, waiting.asks.iter().map(|ask| ask.part.clone()))
        }
        (Some(grant), None) => grant.clone(),
        (None, None) => return Err(TriageError::NotFound { what: "grant" }),
    };
    serde_json::to_string_pretty(&grant).map_err(|error| TriageError::Internal(error.to_string()))
}

fn show(detail: &PluginDetail) -> String {
    let mut text = String::new();
    if let Some(info) = &detail.info {
        let _ = writeln!(text, "{} {} by {}, {}, {}", info.name, info.version, info.publisher, info.world, info.state);
        let _ = writeln!(text, "{}", info.description);
        let _ = writeln!(text, "sha256:{}, {} bytes", info.digest, info.size);
        if !info.problem.is_empty() {
            let _ = writeln!(text, "{}", info.problem);
        }
        text += "\nIt may, under the organisation's ceiling:\n";
        info.may.iter().for_each(|one| text += &format!("  {one}\n"));
        if info.may.is_empty() {
            text += "  compute, and nothing else\n";
        }
        text += "\nIt asks for:\n";
        text += &asks(&detail.asks);
        let ms = |us: Option<u64>| us.map_or_else(|| "-".to_owned(), |us| format!("{:.1} ms", us as f64 / 1000.0));
        let calls = &info.calls;
        let _ = writeln!(
            text,
            "\nIn the last 24 hours: {} calls, {} errors, p50 {}, p99 {}, {:.1} ms of computing, at most {} KiB of memory",
            calls.calls,
            calls.errors,
            ms(calls.wall.quantile(0.5)),
            ms(calls.wall.quantile(0.99)),
            calls.computing_us as f64 / 1000.0,
            calls.memory_bytes / 1024
        );
    }
    for one in &detail.traffic {
        let (host, requests) = (&one.host, one.requests);
        let _ = writeln!(
            text,
            "  {host}: {requests} requests, {} bytes out, {} bytes in",
            one.sent_bytes, one.received_bytes
        );
    }
    for (handle, set) in &detail.secrets {
        let state = if *set { "set" } else { "not set" };
        let _ = writeln!(text, "  secret `{handle}`: {state}");
    }
    for one in &detail.denials {
        let _ = writeln!(text, "refused {} times: {}", one.count, one.sentence);
    }
    for one in &detail.waiting {
        let _ = writeln!(
            text,
            "\nVersion {} waits for an approval (from {}, {}), sha256:{}",
            one.version.version,
            one.version.source,
            if one.version.signer.is_empty() { "unsigned".into() } else { format!("signed by {}", one.version.signer) },
            one.version.digest
        );
        if let Some(old) = &one.upgrades {
            let _ = writeln!(text, "Against version {old}, which runs until then:");
            one.changes.iter().for_each(|change| text += &format!("  {change}\n"));
            if one.changes.is_empty() {
                text += "  nothing is new, nothing is gone\n";
            }
        }
        if one.version.world == "scanner" {
            text += "As a scanner it reads every text that comes in, as it is, and has no way out.\n";
        }
        text += "It asks for:\n";
        text += &asks(&one.asks);
    }
    text
}
