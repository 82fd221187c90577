//! Who answers for a plugin's call: its grant, its credentials, its record. The one implementation of [`CallHost`].
//!
//! Invariant: for a call about an incident, `before` returns `Ok` only when the bytes were checked against every value
//! that the incident knows, the sash was open, and bytes and intent are on disk.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use fumehood_policy::{Denial, Digest, HttpRule, PluginGrant, Request};
use fumehood_redact::{Segment, restore};
use fumehood_runtime::effects::SPAWN;
use fumehood_runtime::{
    Attempt, CallHost, CallUsage, Counted, EffectOutcome, EffectRequest, EffectToken, Failure, KvError, LogLine,
};
use fumehood_store::departures::NewDeparture;
use fumehood_store::plugins::NewDenial;
use fumehood_store::{Change, DepartureId, IncidentId, IntentId, Scope, StoreError, clock};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::plugins::{CREDENTIAL, Reach};
use crate::{App, TriageError};

mod scans;

pub(crate) use scans::ScanCall;

/// Actions on record.
const CALL: &str = "plugin.call";
const HTTP: &str = "effect.http";
const PROCESS: &str = "effect.process";
/// The token of a process that was started: no departure has this id.
const STARTED: u128 = u128::MAX;
/// The token of a call through the gateway, which is on record by itself before it is passed on.
const RECORDED: u128 = u128::MAX - 1;

/// What a call is about.
#[derive(Clone)]
pub(crate) struct Purpose {
    /// The incident whose text leaves; nothing for tests of a connection and discovery.
    pub(crate) incident: Option<IncidentId>,
    /// `model`, `tool`, `publish`, `test` or `discover`.
    pub(crate) kind: &'static str,
    /// Whom it goes to, as people call it.
    pub(crate) destination: String,
    /// What it belongs to: `turn:…`, `approval:…`, `document`.
    pub(crate) subject: String,
    /// Whose key-value store: `integration:…`.
    pub(crate) instance: String,
}

/// The host's side of one call.
pub(crate) struct Call {
    app: App,
    scope: Scope,
    purpose: Purpose,
    reach: Reach,
    cancel: CancellationToken,
    /// The entry of the call itself, once it has begun.
    intent: Mutex<Option<IntentId>>,
    function: Mutex<&'static str>,
    effects: AtomicU64,
    denials: Mutex<HashSet<String>>,
    refused: AtomicU64,
    /// With the call, whoever waits for its cancellation ends, too.
    _ended: DropGuard,
}

/// Distinct refusals of one call that go on record one by one; the rest is counted.
const DENIALS: usize = 32;

impl App {
    /// The host's side of a call of the plugin behind `reach`: cancelled with `cancel`, by the incident's sash, and by
    /// the plugin's kill switch.
    pub(crate) fn call(
        &self,
        scope: &Scope,
        purpose: Purpose,
        reach: Reach,
        cancel: Option<CancellationToken>,
    ) -> Arc<Call> {
        let sash = purpose.incident.map(|incident| self.sash(incident));
        let cancel =
            cancelled_by(self.0.plugins.token(&reach.plugin, reach.digest), sash.into_iter().chain(cancel).collect());
        let _ended = cancel.clone().drop_guard();
        Arc::new(Call {
            app: self.clone(),
            scope: scope.clone(),
            purpose,
            reach,
            cancel,
            intent: Mutex::default(),
            function: Mutex::new(""),
            effects: AtomicU64::new(0),
            denials: Mutex::default(),
            refused: AtomicU64::new(0),
            _ended,
        })
    }
}

/// A child of `first` that any of the others cancels, too.
pub(crate) fn cancelled_by(first: CancellationToken, others: Vec<CancellationToken>) -> CancellationToken {
    let token = first.child_token();
    for other in others {
        if other.is_cancelled() {
            token.cancel();
            break;
        }
        let linked = token.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = other.cancelled() => linked.cancel(),
                () = linked.cancelled() => {}
            }
        });
    }
    token
}

impl Call {
    /// The plugin and its digest, and the call that this is part of.
    fn marked(&self, change: Change) -> Change {
        let change = change.with("plugin", &self.reach.plugin).with("digest", self.reach.digest);
        match self.intent.lock().ok().and_then(|intent| *intent) {
            Some(call) => change.with("call", call.0),
            None => change,
        }
    }

    fn function(&self) -> &'static str {
        self.function.lock().map_or("", |function| *function)
    }

    /// A value that is about to be stored or forgotten, if the grant has room for any.
    async fn keep_value(&self, key: &str, value: Option<Vec<u8>>) -> Result<(), KvError> {
        let grant = CallHost::grant(self);
        if grant.kv_bytes == 0 {
            return Err(self.denied(fumehood_policy::deny_values(&grant.plugin), Attempt::Values).await);
        }
        let change = Change::new("effect.kv", format!("plugin:{}", self.reach.plugin));
        let change = self
            .marked(change)
            .with("instance", &self.purpose.instance)
            .with("generation", grant.generation)
            .with("decision", "granted")
            .with("key_sha256", hex(key.as_bytes()))
            .with("bytes", value.as_ref().map_or(0, Vec::len))
            .with("sha256", value.as_ref().map_or_else(|| "-".to_owned(), |value| hex(value)));
        self.effects.fetch_add(1, Ordering::Relaxed);
        let store = &self.app.0.store;
        let kept =
            store.set_plugin_value(&self.scope, &self.purpose.instance, key, value, grant.kv_bytes, change).await;
        kept.map_err(store_failure)
    }
}

fn hex(bytes: &[u8]) -> String {
    Digest::new(Sha256::digest(bytes).into()).to_string()
}

/// The hash of all that a request says: method, URL, headers (credentials by their mark) and body, each with its length.
fn arguments_hash(request: &EffectRequest<'_>) -> String {
    let mut hash = Sha256::new();
    let mut feed = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    feed(request.method.as_bytes());
    feed(request.url.as_bytes());
    for (name, value) in request.headers {
        feed(name.as_bytes());
        feed(value.as_bytes());
    }
    feed(request.body);
    Digest::new(hash.finalize().into()).to_string()
}

/// A request or an answer as it is kept for a replay: a first line, headers, an empty line, the body.
fn message(first: &str, headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    [format!("{first}\n{headers}\n").as_bytes(), body].concat()
}

fn failure(error: TriageError) -> Failure {
    let code = match &error {
        TriageError::WouldLeak { .. } | TriageError::Conflict(_) => "denied",
        TriageError::Cancelled(_) => "cancelled",
        _ => "internal",
    };
    Failure::new(code, error.to_string())
}

fn store_failure(error: StoreError) -> Failure {
    match error {
        StoreError::Conflict(message) => Failure::new("denied", message),
        StoreError::Invalid(message) => Failure::new("too-large", message),
        other => Failure::new("internal", format!("it could not be put on record, so it was not done: {other}")),
    }
}

#[async_trait::async_trait]
impl CallHost for Call {
    fn grant(&self) -> Arc<PluginGrant> {
        Arc::new(self.app.0.plugins.effective(&self.reach))
    }

    fn cancellation(&self) -> CancellationToken {
        self.cancel.clone()
    }

    async fn credential(&self, handle: &str, header: &str) -> Result<SecretString, Failure> {
        if let (CREDENTIAL, Some((server, owner))) = (handle, &self.reach.sign_in) {
            let value = self.app.bearer_for(&self.scope, *server, owner).await;
            return value.map_err(|none| Failure::new(if none.later { "unavailable" } else { "auth" }, none.reason));
        }
        let store = &self.app.0.store;
        let id = if handle == CREDENTIAL {
            self.reach.credential
        } else {
            store.plugin_secret(&self.scope, &self.reach.plugin, handle).await.map_err(store_failure)?
        };
        let id = id.ok_or_else(|| {
            let plugin = &self.reach.plugin;
            Failure::new(
                "auth",
                format!("The secret `{handle}` of {plugin} is granted and not set; set it under Plugins."),
            )
        })?;
        let (credential, secret) = store.credential(&self.scope, id).await.map_err(store_failure)?;
        let secret = secret.expose_secret();
        Ok(SecretString::from(match credential.kind.as_str() {
            // A key that a service wants in a header of its own has no scheme there.
            "bearer" if header.eq_ignore_ascii_case("authorization") => format!("Bearer {secret}"),
            "basic" => {
                let pair = format!("{}:{secret}", credential.username);
                format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes()))
            }
            _ => secret.to_owned(),
        }))
    }

    async fn begin(&self, function: &'static str) -> Result<(), Failure> {
        let reach = &self.reach;
        let change = Change::new(CALL, format!("plugin:{}", reach.plugin))
            .with("digest", reach.digest)
            .with("generation", CallHost::grant(self).generation)
            .with("function", function)
            .with("purpose", self.purpose.kind)
            .with("subject", &self.purpose.subject);
        let change = match self.purpose.incident {
            Some(incident) => change.with("incident", incident),
            None => change,
        };
        let intent = self.app.0.store.intent(&self.scope, change).await.map_err(store_failure)?;
        if let (Ok(mut own), Ok(mut called)) = (self.intent.lock(), self.function.lock()) {
            *own = Some(intent);
            *called = function;
        }
        Ok(())
    }

    fn ended(&self, usage: CallUsage) {
        let app = &self.app.0;
        app.plugins.numbers.called(&self.reach.plugin, &usage, clock::now_us());
        let Some(intent) = self.intent.lock().ok().and_then(|mut intent| intent.take()) else { return };
        let change = used(Change::new(CALL, format!("plugin:{}", self.reach.plugin)), self.function(), &usage)
            .with("effects", self.effects.load(Ordering::Relaxed))
            .with("denied", self.refused.load(Ordering::Relaxed));
        end_call(&self.app, &self.scope, intent, change, &usage.code);
    }

    async fn denied(&self, denial: Denial, attempt: Attempt<'_>) -> Failure {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let plugins = &self.app.0.plugins;
        let denial = if plugins.granted_but_capped(&self.reach, attempt) { denial.by_ceiling() } else { denial };
        let sentence = denial.to_string();
        let is_new = self.denials.lock().is_ok_and(|mut seen| seen.len() < DENIALS && seen.insert(sentence.clone()));
        if is_new {
            let new = NewDenial {
                plugin: self.reach.plugin.clone(),
                digest: self.reach.digest,
                generation: CallHost::grant(self).generation,
                attempt: denial.attempt().to_owned(),
                remedy: denial.remedy().unwrap_or_default(),
                rule: denial.needed().cloned(),
                sentence,
                call: self.intent.lock().ok().and_then(|intent| *intent),
            };
            if let Err(error) = self.app.0.store.add_plugin_denial(&self.scope, new).await {
                tracing::error!(%error, "a refusal could not be put on record; it was refused all the same");
            }
        }
        denial.into()
    }

    async fn reserve(&self, rule: &HttpRule, request: &Request, size: u64) -> Result<Counted, Failure> {
        let counted = match self.app.0.plugins.reserve(&self.reach, rule, request, size) {
            Ok(counted) => counted,
            Err(denial) => return Err(self.denied(denial, Attempt::Bytes).await),
        };
        if rule.has_hours() || !counted.ceilings.is_empty() {
            // On disk before it leaves: a kill must not give the hour back.
            self.app.write_plugin_numbers().await.map_err(failure)?;
        }
        Ok(counted)
    }

    fn received(&self, rule: &HttpRule, counted: &Counted, request: &Request, bytes: u64) -> Result<(), Denial> {
        self.app.0.plugins.received(&self.reach, rule, counted, request, bytes)
    }

    async fn before(&self, request: EffectRequest<'_>) -> Result<EffectToken, Failure> {
        let store = &self.app.0.store;
        self.effects.fetch_add(1, Ordering::Relaxed);
        let starts_process = request.method == SPAWN;
        // What an installed transport makes of a call may be another thing than the call that is on record.
        let as_recorded = self.purpose.kind == "gateway" && self.app.0.plugins.ships(&self.reach);
        if as_recorded && calls_tool(request.body) {
            return Ok(EffectToken(RECORDED, 0));
        }
        let Some(incident) = self.purpose.incident.filter(|_| !starts_process) else {
            let action = if starts_process { PROCESS } else { HTTP };
            let change = self
                .marked(Change::new(action, self.purpose.subject.clone()))
                .with("purpose", self.purpose.kind)
                .with("generation", request.generation)
                .with("grant", fumehood_audit::clip(request.rule, 2048))
                .with("decision", "granted");
            if starts_process {
                let change = change.with("path", request.url).with("sha256", arguments_hash(&request));
                let intent = store.intent(&self.scope, change).await.map_err(store_failure)?;
                return Ok(EffectToken(STARTED, intent.0));
            }
            let change = change
                .with("method", request.method)
                .with("host", host_of(request.url))
                .with("bytes", request.body.len())
                .with("sha256", arguments_hash(&request));
            let sent = message(&format!("{} {}", request.method, request.url), request.headers, request.body);
            let kept = store.intent_with_body(&self.scope, change, &self.reach.plugin, sent).await;
            return Ok(EffectToken(0, kept.map_err(store_failure)?.0));
        };
        for bytes in [request.url.as_bytes(), request.body] {
            self.app.check_outgoing(&self.scope, incident, bytes).await.map_err(failure)?;
        }
        for (_, value) in request.headers {
            self.app.check_outgoing(&self.scope, incident, value.as_bytes()).await.map_err(failure)?;
        }
        let (masked, labels) = self.app.masked_in(&self.scope, incident, request.body).await.map_err(failure)?;
        let departure = NewDeparture {
            kind: kind_of(self.purpose.kind, request.body).into(),
            destination: self.purpose.destination.clone(),
            plugin: self.reach.plugin.clone(),
            digest: self.reach.digest.to_string(),
            generation: request.generation,
            grant: request.rule.into(),
            call: self.intent.lock().ok().and_then(|intent| *intent),
            arguments_sha256: arguments_hash(&request),
            subject: self.purpose.subject.clone(),
            method: request.method.into(),
            url: request.url.into(),
            headers: request.headers.to_vec(),
            body: request.body.to_vec(),
            masked,
            labels,
        };
        let (id, intent) = store.depart(&self.scope, incident, departure).await.map_err(store_failure)?;
        Ok(EffectToken(id.as_u128(), intent.0))
    }

    fn after(&self, token: EffectToken, outcome: EffectOutcome) {
        if token.0 == RECORDED {
            return;
        }
        let (app, scope, purpose) = (self.app.clone(), self.scope.clone(), self.purpose.clone());
        let plugin = self.reach.plugin.clone();
        self.app.0.tasks.spawn(async move {
            let intent = IntentId(token.1);
            let store = &app.0.store;
            if token.0 != STARTED && outcome.status.is_some() {
                let status = outcome.status.unwrap_or_default().to_string();
                let received = message(&status, &outcome.headers, &outcome.body);
                let kept = store.keep_received(&scope, intent, &plugin, received, outcome.received_bytes).await;
                if let Err(error) = kept {
                    tracing::error!(%error, "what a plugin received could not be kept for a replay");
                }
            }
            let written = match purpose.incident {
                _ if token.0 == STARTED => {
                    let change = Change::new(PROCESS, purpose.subject).with("plugin", plugin);
                    store.outcome(&scope, intent, change, &outcome.result).await
                }
                Some(_) => {
                    let id = DepartureId::from_u128(token.0);
                    store.arrived(&scope, id, intent, outcome.status, outcome.received_bytes, outcome.result).await
                }
                None => {
                    let change = Change::new(HTTP, purpose.subject)
                        .with("plugin", plugin)
                        .with("status", outcome.status.unwrap_or(0))
                        .with("received", outcome.received_bytes);
                    store.outcome(&scope, intent, change, &outcome.result).await
                }
            };
            if let Err(error) = written {
                tracing::error!(%error, "an outcome could not be recorded; it shows as unknown");
            }
        });
    }

    async fn kv_get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        let grant = CallHost::grant(self);
        if grant.kv_bytes == 0 {
            return Err(self.denied(fumehood_policy::deny_values(&grant.plugin), Attempt::Values).await);
        }
        self.app.0.store.plugin_value(&self.scope, &self.purpose.instance, key).await.map_err(store_failure)
    }

    async fn kv_set(&self, key: &str, value: Vec<u8>) -> Result<(), KvError> {
        self.keep_value(key, Some(value)).await
    }

    async fn kv_delete(&self, key: &str) -> Result<(), KvError> {
        self.keep_value(key, None).await
    }

    fn log(&self, lines: Vec<LogLine>, dropped: u64) {
        keep_log(&self.app, &self.scope, &self.reach.plugin, lines, dropped);
    }
}

/// A call's outcome, with what it took.
fn used(change: Change, function: &str, usage: &CallUsage) -> Change {
    change
        .with("function", function)
        .with("computing_us", usage.computing.as_micros())
        .with("wall_us", usage.wall.as_micros())
        .with("memory", usage.memory_bytes)
        .with("host_calls", usage.host_calls)
        .with("entered", usage.entered)
}

fn end_call(app: &App, scope: &Scope, intent: IntentId, change: Change, code: &str) {
    let (app, scope) = (app.clone(), scope.clone());
    let result = if code.is_empty() { "ok".to_owned() } else { code.to_owned() };
    app.0.tasks.clone().spawn(async move {
        if let Err(error) = app.0.store.outcome(&scope, intent, change, &result).await {
            tracing::error!(%error, "the outcome of a plugin's call could not be recorded; it shows as unknown");
        }
    });
}

fn keep_log(app: &App, scope: &Scope, plugin: &str, lines: Vec<LogLine>, dropped: u64) {
    let (app, scope, plugin) = (app.clone(), scope.clone(), plugin.to_owned());
    let mut lines: Vec<(u8, String)> = lines.into_iter().map(|line| (line.level, line.text)).collect();
    if dropped > 0 {
        lines.push((1, format!("({dropped} more messages were over the limit and dropped)")));
    }
    app.0.tasks.clone().spawn(async move {
        if let Err(error) = app.0.store.add_plugin_log(&scope, &plugin, lines).await {
            tracing::warn!(%error, "a plugin's log could not be kept");
        }
    });
}

impl App {
    /// How many pseudonyms of each kind are in bytes that leave.
    pub(crate) async fn masked_in(
        &self,
        scope: &Scope,
        incident: IncidentId,
        body: &[u8],
    ) -> Result<(Vec<(String, u64)>, Vec<String>), TriageError> {
        let text = String::from_utf8_lossy(body);
        let mut book = self.book(scope, incident).await?;
        let mut counts = std::collections::BTreeMap::<String, u64>::new();
        let mut labels = std::collections::BTreeSet::new();
        for segment in restore(&text, book.pseudonyms()) {
            if let Segment::Pseudonym { label, original: Some(_) } = segment {
                *counts.entry(label.kind.as_str().to_owned()).or_default() += 1;
                labels.insert(label.to_string());
            }
        }
        Ok((counts.into_iter().collect(), labels.into_iter().collect()))
    }
}

/// A tool call over HTTP needs more messages than the call itself: those are told apart from it.
fn kind_of<'a>(kind: &'a str, body: &[u8]) -> &'a str {
    if kind == "tool" && !calls_tool(body) { "tool-session" } else { kind }
}

/// Whether a body is the call of a tool.
fn calls_tool(body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Message {
        method: String,
    }
    serde_json::from_slice::<Message>(body).is_ok_and(|message| message.method == "tools/call")
}

fn host_of(url: &str) -> String {
    url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}
