//! Plugins: what they may do, what they did, and the decisions about them.

use std::collections::HashMap;

use axum::Form;
use axum::extract::{Multipart, Path};
use axum::http::StatusCode;
use axum::response::Response;
use fumehood_triage::plugins::oci::{Reference, SignIn};
use fumehood_triage::plugins::{
    Allowed, Ask, Digest, Narrowing, Package, PluginDetail, PluginGrant, PluginInfo, PluginList, extra, granted_of,
    narrowed, sum,
};
use fumehood_triage::settings::Secret;
use fumehood_triage::store::plugins::Stop;
use fumehood_triage::{Permission, TriageError};
use jiff::Timestamp;

use super::context::{Names, now, when};
use super::session::Reader;
use super::{PageError, page, see};
use crate::units::{Bytes, Count, Id};
use crate::view::plugins::{
    AskFields, AskRow, DenialRow, ExtraRow, GrantSentence, Numbers, PluginPage, PluginRights, PluginRow, PluginsPage,
    StopRow, TrafficRow, VersionRow, WaitingRow,
};
use crate::view::{Crumb, Place};

/// Largest file of an installation, bytes.
pub(crate) const UPLOAD: usize = fumehood_triage::plugins::COMPONENT_BYTES + (1 << 20);

fn sentence(allowed: Allowed) -> GrantSentence {
    let Allowed { may, object, bounds, credential } = allowed;
    GrantSentence { may, object, bounds, credential }
}

fn row(plugin: PluginInfo, now: Timestamp) -> PluginRow {
    PluginRow {
        id: Id::new(&plugin.name),
        size: Bytes(plugin.size),
        digest: plugin.digest.to_string(),
        publisher: if plugin.ships { "built in".into() } else { plugin.publisher },
        state: plugin.state.into(),
        problem: Some(plugin.problem).filter(|problem| !problem.is_empty()),
        grants: plugin.allowed.into_iter().map(sentence).collect(),
        calls: Count(plugin.calls.calls),
        used: Some(plugin.calls.last_us).filter(|at| *at > 0).map(|at| when(at, now)),
        version: plugin.version,
        world: plugin.world,
        description: plugin.description,
        waiting: plugin.waiting,
    }
}

fn rights(reader: &Reader) -> PluginRights {
    PluginRights {
        manage: reader.may(Permission::ManagePlugins),
        grant: reader.may(Permission::ManageGrants),
        stop: reader.may(Permission::StopPlugins),
        secrets: reader.may(Permission::ManageIntegrations),
    }
}

fn stop_row(stop: Stop, names: &Names, now: Timestamp) -> StopRow {
    StopRow { target: stop.target, reason: stop.reason, by: names.of(&stop.actor), at: when(stop.time_us, now) }
}

async fn list_page(reader: &Reader, error: Option<String>) -> Result<PluginsPage, PageError> {
    let now = now();
    let names = reader.names().await?;
    let list: PluginList = reader.app().plugin_list(&reader.scope).await?;
    let frame = reader.frame("Plugins", Place::Plugins, vec![Crumb::here("Plugins")]);
    Ok(PluginsPage {
        reference: String::new(),
        frame,
        plugins: list.plugins.into_iter().map(|plugin| row(plugin, now)).collect(),
        waiting: list.waiting.into_iter().map(|one| (Id::new(&one.name), one.version, one.publisher)).collect(),
        stops: list.stops.into_iter().map(|stop| stop_row(stop, &names, now)).collect(),
        refused: list.refused,
        policy_problem: list.policy_problem,
        policy_path: list.policy_path,
        folder: list.folder,
        error,
        rights: rights(reader),
    })
}

pub(crate) async fn plugins(reader: Reader) -> Result<Response, PageError> {
    Ok(page(StatusCode::OK, &list_page(&reader, None).await?))
}

/// Take a component in, with the manifest and the signature that may come beside it.
pub(crate) async fn install(reader: Reader, mut form: Multipart) -> Result<Response, PageError> {
    reader.needs(Permission::ManagePlugins)?;
    let mut package = Package::default();
    let unreadable =
        |what: &str| TriageError::Invalid { field: "plugin", message: format!("The {what} could not be read.") };
    while let Some(field) = form.next_field().await.map_err(|_| unreadable("upload"))? {
        let (name, file) =
            (field.name().unwrap_or_default().to_owned(), field.file_name().unwrap_or_default().to_owned());
        let bytes = field.bytes().await.map_err(|_| unreadable("upload"))?;
        let text = || String::from_utf8(bytes.to_vec()).ok().filter(|text| !text.trim().is_empty());
        match name.as_str() {
            "component" => {
                package.component = bytes.to_vec();
                package.source =
                    format!("upload of {}", file.chars().filter(|c| !c.is_control()).take(80).collect::<String>());
            }
            "manifest" => package.manifest = text(),
            "signature" => package.signature = text(),
            _ => {}
        }
    }
    match reader.app().install_plugin(&reader.scope, package, false).await {
        Ok(installed) => Ok(see(&format!("/plugins/{}", installed.name))),
        Err(TriageError::Invalid { message, .. } | TriageError::Conflict(message)) => {
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &list_page(&reader, Some(message)).await?))
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(serde::Deserialize)]
pub(crate) struct FetchForm {
    #[serde(default)]
    reference: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
}

/// Fetch a component from a registry, by its digest, and take it in.
pub(crate) async fn fetch(reader: Reader, Form(form): Form<FetchForm>) -> Result<Response, PageError> {
    reader.needs(Permission::ManagePlugins)?;
    let sign_in = SignIn::typed(form.username, form.password);
    let result = match form.reference.trim().parse::<Reference>() {
        Ok(reference) => reader.app().install_from_registry(&reader.scope, &reference, sign_in, false).await,
        Err(message) => Err(TriageError::Invalid { field: "plugin", message }),
    };
    match result {
        Ok(installed) => Ok(see(&format!("/plugins/{}", installed.name))),
        Err(TriageError::Invalid { message, .. } | TriageError::Conflict(message)) => {
            let mut view = list_page(&reader, Some(message)).await?;
            view.reference = form.reference;
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &view))
        }
        Err(error) => Err(error.into()),
    }
}

/// What stood in a form about requests, so that it is shown again.
type Typed = HashMap<String, String>;

fn typed(form: &Typed, at: usize, name: &str) -> String {
    form.get(&format!("ask-{at}-{name}")).cloned().unwrap_or_default()
}

fn narrowing(form: &Typed, at: usize) -> Narrowing {
    let of = |name| typed(form, at, name);
    Narrowing {
        host: of("host"),
        path: of("path"),
        methods: of("methods"),
        request_kib: of("request"),
        response_kib: of("response"),
        request_hour_kib: of("request-hour"),
        response_hour_kib: of("response-hour"),
        kept_kib: of("kept"),
    }
}

/// The requests as rows: as they are granted, or as they were typed.
fn ask_rows(asks: Vec<Ask>, grant: Option<&PluginGrant>, form: Option<&Typed>) -> Vec<AskRow> {
    let row = |(at, ask): (usize, Ask)| {
        let at = at + 1;
        let granted = grant.and_then(|grant| granted_of(&ask, grant));
        let (ticked, fields) = match form {
            Some(form) => (form.contains_key(&format!("ask-{at}")), narrowing(form, at)),
            // Of a version that is new, everything is ticked that the ceiling leaves something of.
            None if grant.is_none() => {
                (ask.ceiling.as_ref().is_none_or(|left| !left.is_empty()), Narrowing::of(&ask.part))
            }
            None => (granted.is_some(), Narrowing::of(granted.as_ref().unwrap_or(&ask.part))),
        };
        let is_rule = !ask.part.http.is_empty() || !ask.part.configured.is_empty();
        AskRow {
            at,
            reason: ask.reason,
            ceiling: ask.ceiling,
            ticked,
            fields: is_rule.then_some(AskFields {
                fixed: !ask.part.http.is_empty(),
                host: fields.host,
                path: fields.path,
                methods: fields.methods,
                request_kib: fields.request_kib,
                response_kib: fields.response_kib,
                request_hour_kib: fields.request_hour_kib,
                response_hour_kib: fields.response_hour_kib,
            }),
            kept_kib: (ask.part.kv_bytes > 0).then_some(fields.kept_kib),
            what: sentence(ask.what),
        }
    };
    asks.into_iter().enumerate().map(row).collect()
}

/// The grant that a form chose.
fn chosen(
    name: &str,
    digest: Digest,
    asks: &[Ask],
    kept: &[PluginGrant],
    form: &Typed,
) -> Result<PluginGrant, TriageError> {
    let mut parts: Vec<PluginGrant> = Vec::new();
    for (at, ask) in asks.iter().enumerate().map(|(at, ask)| (at + 1, ask)) {
        if form.contains_key(&format!("ask-{at}")) {
            parts.push(
                narrowed(ask, &narrowing(form, at)).map_err(|error| TriageError::Invalid {
                    field: "grant",
                    message: format!("Request {at}: {error}"),
                })?,
            );
        }
    }
    for (at, rule) in kept.iter().enumerate() {
        if form.contains_key(&format!("extra-{at}")) {
            parts.push(rule.clone());
        }
    }
    Ok(sum(name, digest, parts))
}

/// Rules beside what was asked for, as parts of a grant.
fn extras(detail: &PluginDetail) -> Vec<PluginGrant> {
    let Some(grant) = &detail.grant else { return Vec::new() };
    let part = |rule| PluginGrant { http: vec![rule], ..PluginGrant::nothing(&detail.name, grant.digest, 0) };
    extra(&detail.asks, grant).into_iter().map(part).collect()
}

fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

/// What went wrong with a form: of the version that runs, or of one that waits.
struct Refused<'a> {
    digest: Digest,
    message: String,
    /// What was typed; nothing where what is in force by now has to be looked at first.
    form: Option<&'a Typed>,
}

async fn plugin_page(reader: &Reader, name: &str, refused: Option<Refused<'_>>) -> Result<PluginPage, PageError> {
    let now = now();
    let names = reader.names().await?;
    let detail = reader.app().plugin(&reader.scope, name).await?;
    let rights = rights(reader);
    let log = if reader.may(Permission::ReadPluginLogs) {
        reader.app().plugin_log(&reader.scope, name).await?
    } else {
        Vec::new()
    };
    let kept = extras(&detail);
    let running = detail.info.as_ref().map(|info| info.digest);
    let of_running = refused.as_ref().filter(|refused| Some(refused.digest) == running);
    let info = detail.info.clone();
    let held = |target: &str| {
        let publisher = info.as_ref().map(|info| format!("publisher:{}", info.publisher));
        target == "all" || target == format!("plugin:{name}") || Some(target) == publisher.as_deref()
    };
    let numbers = detail.info.as_ref().map(|info| &info.calls).map(|calls| Numbers {
        calls: Count(calls.calls),
        errors: Count(calls.errors),
        p50: calls.wall.quantile(0.5).map_or_else(|| "–".into(), duration),
        p99: calls.wall.quantile(0.99).map_or_else(|| "–".into(), duration),
        computing: duration(calls.computing_us),
        memory: Bytes(calls.memory_bytes),
    });
    let waiting = detail.waiting.into_iter().map(|one| {
        let wrong = refused.as_ref().filter(|refused| refused.digest == one.version.digest);
        let of = |direction| {
            let changes = one.changes.iter().filter(move |change| change.direction == direction);
            changes.map(|change| change.what.clone()).collect::<Vec<_>>()
        };
        WaitingRow {
            digest: one.version.digest.to_string(),
            publisher: one.version.publisher.clone(),
            signer: Some(one.version.signer.clone()).filter(|signer| !signer.is_empty()),
            source: one.version.source.clone(),
            at: when(one.version.installed_us, now),
            description: one.manifest.description.clone(),
            is_scanner: one.version.world == "scanner",
            new: of(fumehood_triage::plugins::Direction::Widening),
            gone: of(fumehood_triage::plugins::Direction::Narrowing),
            upgrades: one.upgrades,
            version: one.version.version,
            asks: ask_rows(one.asks, one.carried.as_ref(), wrong.and_then(|wrong| wrong.form)),
            error: wrong.map(|wrong| wrong.message.clone()),
        }
    });
    let crumbs = vec![Crumb::link("Plugins", "/plugins"), Crumb::here(name)];
    Ok(PluginPage {
        frame: reader.frame(name, Place::Plugins, crumbs),
        name: Id::new(name),
        ships: info.as_ref().is_some_and(|info| info.ships),
        publisher: info.as_ref().map(|info| info.publisher.clone()).unwrap_or_default(),
        plugin: detail.info.map(|info| row(info, now)),
        error: of_running.map(|refused| refused.message.clone()),
        generation: detail.grant.as_ref().map_or(0, |grant| grant.generation),
        extra: kept
            .iter()
            .enumerate()
            .map(|(at, part)| ExtraRow {
                at,
                what: part.http.first().map(ToString::to_string).unwrap_or_default(),
                ticked: of_running
                    .and_then(|refused| refused.form)
                    .is_none_or(|form| form.contains_key(&format!("extra-{at}"))),
            })
            .collect(),
        asks: ask_rows(detail.asks, detail.grant.as_ref(), of_running.and_then(|refused| refused.form)),
        imports: detail.imports,
        numbers: numbers.unwrap_or_default(),
        traffic: detail
            .traffic
            .into_iter()
            .map(|one| TrafficRow {
                host: one.host,
                requests: Count(one.requests),
                sent: Bytes(one.sent_bytes),
                received: Bytes(one.received_bytes),
            })
            .collect(),
        denials: detail
            .denials
            .into_iter()
            .map(|one| DenialRow {
                attempt: one.attempt,
                remedy: one.remedy,
                grantable: rights.grant && one.rule.is_some(),
                count: Count(one.count),
                at: when(one.last_us, now),
            })
            .collect(),
        versions: detail
            .versions
            .into_iter()
            .map(|one| VersionRow {
                version: one.version,
                state: one.state.as_str().into(),
                digest: one.digest.to_string().chars().take(12).collect(),
                at: when(one.installed_us, now),
                by: names.of(&one.installed_by),
            })
            .collect(),
        waiting: waiting.collect(),
        stops: detail
            .stops
            .into_iter()
            .filter(|stop| held(&stop.target))
            .map(|stop| stop_row(stop, &names, now))
            .collect(),
        secrets: detail.secrets,
        log: log
            .into_iter()
            .take(100)
            .map(|line| {
                let level = ["error", "warning", "info", "debug"];
                let level = usize::try_from(line.level).ok().and_then(|at| level.get(at)).copied().unwrap_or("debug");
                (when(line.time_us, now), level, line.text)
            })
            .collect(),
        rights,
    })
}

pub(crate) async fn plugin(reader: Reader, Path(name): Path<String>) -> Result<Response, PageError> {
    Ok(page(StatusCode::OK, &plugin_page(&reader, &name, None).await?))
}

/// Decide about the grant of a version: `done` makes it so.
async fn decide(reader: &Reader, name: &str, form: Typed, approves: bool) -> Result<Response, PageError> {
    reader.needs(Permission::ManageGrants)?;
    let digest: Digest = form
        .get("digest")
        .and_then(|text| text.parse().ok())
        .ok_or(TriageError::NotFound { what: "plugin version" })?;
    let detail = reader.app().plugin(&reader.scope, name).await?;
    let (asks, kept) = if approves {
        let waiting = detail.waiting.iter().find(|one| one.version.digest == digest);
        (waiting.ok_or(TriageError::NotFound { what: "version that waits" })?.asks.clone(), Vec::new())
    } else {
        (detail.asks.clone(), extras(&detail))
    };
    let result = match chosen(name, digest, &asks, &kept, &form) {
        Ok(grant) if approves => reader.app().approve_plugin(&reader.scope, grant).await,
        Ok(grant) => {
            // What was decided on is what stood on the page: where it is another by now, it is shown again.
            let generation = form.get("generation").and_then(|text| text.parse().ok());
            let generation = generation.ok_or(TriageError::Invalid {
                field: "generation",
                message: "Load the page of the plugin again, and decide there.".into(),
            });
            match generation {
                Ok(seen) => reader.app().grant_plugin(&reader.scope, grant, Some(seen)).await,
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => Ok(see(&format!("/plugins/{name}"))),
        Err(TriageError::Conflict(message)) => {
            let refused = Refused { digest, message, form: None };
            Ok(page(StatusCode::CONFLICT, &plugin_page(reader, name, Some(refused)).await?))
        }
        Err(TriageError::Invalid { message, .. }) => {
            let refused = Refused { digest, message, form: Some(&form) };
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &plugin_page(reader, name, Some(refused)).await?))
        }
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn approve(
    reader: Reader,
    Path(name): Path<String>,
    Form(form): Form<Typed>,
) -> Result<Response, PageError> {
    decide(&reader, &name, form, true).await
}

pub(crate) async fn grant(
    reader: Reader,
    Path(name): Path<String>,
    Form(form): Form<Typed>,
) -> Result<Response, PageError> {
    decide(&reader, &name, form, false).await
}

#[derive(serde::Deserialize)]
pub(crate) struct DigestForm {
    digest: String,
}

pub(crate) async fn refuse(
    reader: Reader,
    Path(name): Path<String>,
    Form(form): Form<DigestForm>,
) -> Result<Response, PageError> {
    let digest = form.digest.parse().map_err(|_| TriageError::NotFound { what: "plugin version" })?;
    reader.app().refuse_plugin(&reader.scope, digest).await?;
    // Where it was the only version there is no page of the plugin any more.
    let there = reader.app().plugin(&reader.scope, &name).await.is_ok();
    let to = if there { format!("/plugins/{name}") } else { "/plugins".into() };
    Ok(see(&to))
}

#[derive(serde::Deserialize)]
pub(crate) struct AllowForm {
    attempt: String,
    remedy: String,
}

pub(crate) async fn allow(
    reader: Reader,
    Path(name): Path<String>,
    Form(form): Form<AllowForm>,
) -> Result<Response, PageError> {
    reader.app().allow_refused(&reader.scope, &name, &form.attempt, &form.remedy).await?;
    Ok(see(&format!("/plugins/{name}#grants")))
}

pub(crate) async fn roll_back(reader: Reader, Path(name): Path<String>) -> Result<Response, PageError> {
    reader.app().roll_back_plugin(&reader.scope, &name).await?;
    Ok(see(&format!("/plugins/{name}")))
}

pub(crate) async fn remove(reader: Reader, Path(name): Path<String>) -> Result<Response, PageError> {
    reader.app().remove_plugin(&reader.scope, &name).await?;
    Ok(see("/plugins"))
}

#[derive(serde::Deserialize)]
pub(crate) struct SecretForm {
    #[serde(default)]
    secret: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    forget: String,
}

pub(crate) async fn secret(
    reader: Reader,
    Path((name, handle)): Path<(String, String)>,
    Form(form): Form<SecretForm>,
) -> Result<Response, PageError> {
    let secret = Secret::from_form(&form.secret, !form.forget.is_empty());
    let app = reader.app();
    app.set_plugin_secret(&reader.scope, &name, &handle, &form.kind, &form.username, secret).await?;
    Ok(see(&format!("/plugins/{name}#secrets")))
}

#[derive(serde::Deserialize)]
pub(crate) struct StopForm {
    target: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    back: String,
}

impl StopForm {
    /// The page to go back to: a plugin's, or the list.
    fn back(&self) -> String {
        if self.back.is_empty() { "/plugins".into() } else { format!("/plugins/{}", Id::new(&self.back)) }
    }
}

pub(crate) async fn stop(reader: Reader, Form(form): Form<StopForm>) -> Result<Response, PageError> {
    reader.app().stop_plugins(&reader.scope, &form.target, &form.reason).await?;
    Ok(see(&form.back()))
}

pub(crate) async fn resume(reader: Reader, Form(form): Form<StopForm>) -> Result<Response, PageError> {
    reader.app().resume_plugins(&reader.scope, &form.target).await?;
    Ok(see(&form.back()))
}
