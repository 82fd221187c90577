//! Who answers for a plugin's call: its grant, its credentials, its record. The one implementation of [`CallHost`].
//!
//! Invariant: for a call about an incident, `before` returns `Ok` only when the bytes were checked against every value
//! that the incident knows, the sash was open, and bytes and intent are on disk.

use std::sync::Arc;

use fumehood_policy::{Digest, PluginGrant};
use fumehood_redact::{Segment, restore};
use fumehood_runtime::effects::SPAWN;
use fumehood_runtime::{CallHost, EffectOutcome, EffectRequest, EffectToken, Failure, KvError, LogLine, Plugin};
use fumehood_store::departures::NewDeparture;
use fumehood_store::{Change, CredentialId, DepartureId, IncidentId, IntentId, Scope, StoreError};
use secrecy::{ExposeSecret as _, SecretString};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{App, TriageError};

/// Actions on record.
const HTTP: &str = "effect.http";
const PROCESS: &str = "effect.process";
/// The token of a process that was started: no departure has this id.
const STARTED: u128 = u128::MAX;

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
    grant: Arc<PluginGrant>,
    cancel: CancellationToken,
    /// With the call, whoever waits for its cancellation ends, too.
    _ended: DropGuard,
}

impl App {
    /// The host's side of a call under `grant`, cancelled with `cancel` or by the incident's sash.
    pub(crate) fn call(
        &self,
        scope: &Scope,
        purpose: Purpose,
        grant: PluginGrant,
        cancel: Option<CancellationToken>,
    ) -> Arc<Call> {
        let cancel = match (purpose.incident, cancel) {
            (Some(incident), Some(cancel)) => {
                // Either may stop it: a child of the sash that follows the caller's token too.
                let token = self.sash(incident).child_token();
                let linked = token.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        () = cancel.cancelled() => linked.cancel(),
                        () = linked.cancelled() => {}
                    }
                });
                token
            }
            (Some(incident), None) => self.sash(incident).child_token(),
            (None, Some(cancel)) => cancel.child_token(),
            (None, None) => CancellationToken::new(),
        };
        self.0.plugins.count(&grant.plugin);
        let _ended = cancel.clone().drop_guard();
        Arc::new(Call { app: self.clone(), scope: scope.clone(), purpose, grant: Arc::new(grant), cancel, _ended })
    }
}

/// The host's side of scanner calls: a place for their logs, and nothing else.
pub(crate) fn scanner_host(app: &App) -> Arc<dyn CallHost> {
    let purpose = Purpose {
        incident: None,
        kind: "scan",
        destination: String::new(),
        subject: String::new(),
        instance: String::new(),
    };
    let nothing = PluginGrant::nothing("scanner", Digest::new([0; 32]), 1);
    app.call(&Scope::system(), purpose, nothing, None)
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
        Arc::clone(&self.grant)
    }

    fn cancellation(&self) -> CancellationToken {
        self.cancel.clone()
    }

    async fn credential(&self, handle: &str) -> Result<SecretString, Failure> {
        let id: CredentialId =
            handle.parse().map_err(|_| Failure::new("denied", format!("there is no credential `{handle}`")))?;
        let (credential, secret) = self.app.0.store.credential(&self.scope, id).await.map_err(store_failure)?;
        let secret = secret.expose_secret();
        Ok(SecretString::from(match credential.kind.as_str() {
            "bearer" => format!("Bearer {secret}"),
            "basic" => {
                let pair = format!("{}:{secret}", credential.username);
                format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes()))
            }
            _ => secret.to_owned(),
        }))
    }

    async fn before(&self, request: EffectRequest<'_>) -> Result<EffectToken, Failure> {
        let store = &self.app.0.store;
        let starts_process = request.method == SPAWN;
        let Some(incident) = self.purpose.incident.filter(|_| !starts_process) else {
            let change = Change::new(if starts_process { PROCESS } else { HTTP }, self.purpose.subject.clone())
                .with("plugin", &self.grant.plugin)
                .with("purpose", self.purpose.kind);
            let change = if starts_process {
                change.with("path", request.url)
            } else {
                let change = change.with("method", request.method).with("host", host_of(request.url));
                change.with("bytes", request.body.len())
            };
            let intent = store.intent(&self.scope, change).await.map_err(store_failure)?;
            return Ok(EffectToken(if starts_process { STARTED } else { 0 }, intent.0));
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
            plugin: self.grant.plugin.clone(),
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
        let (app, scope, purpose) = (self.app.clone(), self.scope.clone(), self.purpose.clone());
        let plugin = self.grant.plugin.clone();
        self.app.0.tasks.spawn(async move {
            let intent = IntentId(token.1);
            let store = &app.0.store;
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
        self.app.0.store.plugin_value(&self.scope, &self.purpose.instance, key).await.map_err(store_failure)
    }

    async fn kv_set(&self, key: &str, value: Vec<u8>) -> Result<(), KvError> {
        self.app
            .0
            .store
            .set_plugin_value(&self.scope, &self.purpose.instance, key, Some(value))
            .await
            .map_err(store_failure)
    }

    async fn kv_delete(&self, key: &str) -> Result<(), KvError> {
        self.app.0.store.set_plugin_value(&self.scope, &self.purpose.instance, key, None).await.map_err(store_failure)
    }

    fn log(&self, lines: Vec<LogLine>, dropped: u64) {
        let (app, scope, plugin) = (self.app.clone(), self.scope.clone(), self.grant.plugin.clone());
        let mut lines: Vec<(u8, String)> = lines.into_iter().map(|line| (line.level, line.text)).collect();
        if dropped > 0 {
            lines.push((1, format!("({dropped} more messages were over the limit and dropped)")));
        }
        self.app.0.tasks.spawn(async move {
            if let Err(error) = app.0.store.add_plugin_log(&scope, &plugin, lines).await {
                tracing::warn!(%error, "a plugin's log could not be kept");
            }
        });
    }
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
    #[derive(serde::Deserialize)]
    struct Message {
        method: String,
    }
    let calls = || serde_json::from_slice::<Message>(body).is_ok_and(|message| message.method == "tools/call");
    if kind == "tool" && !calls() { "tool-session" } else { kind }
}

fn host_of(url: &str) -> String {
    url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

/// The grant of a plugin that may reach nothing.
pub(crate) fn nothing(plugin: &Plugin) -> PluginGrant {
    PluginGrant::nothing(plugin.name(), Digest::new(plugin.digest()), 1)
}
