//! The host's side of a scanner's calls on one text: a place for its log and its numbers, and nothing else.
//!
//! Invariant: what was scanned, by which scanner, is on record before its first window is looked at. One intent covers
//! all windows of a text, because a scanner has no effect between them; the outcome says how many there were. What is
//! scanned of a request that is on record by itself has none of its own.

use std::sync::{Arc, Mutex};

use fumehood_policy::{Digest, PluginGrant};
use fumehood_runtime::{
    CallHost, CallUsage, EffectOutcome, EffectRequest, EffectToken, Failure, KvError, LogLine, Plugin,
};
use fumehood_store::{Change, IntentId, Scope, clock};
use secrecy::SecretString;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::{CALL, end_call, keep_log, store_failure, used};
use crate::App;

/// The host's side of one scanner on one text.
pub(crate) struct ScanCall {
    app: App,
    scope: Scope,
    plugin: String,
    digest: Digest,
    /// Nothing for what is part of a request on record.
    subject: Option<String>,
    cancel: CancellationToken,
    intent: OnceCell<IntentId>,
    usage: Mutex<CallUsage>,
}

impl ScanCall {
    /// For a scanner, about `subject` (`log:…`, or what a text belongs to); nothing for what is part of a request that has a
    /// record of its own.
    pub(crate) fn new(app: &App, scope: &Scope, plugin: &Plugin, subject: Option<&str>) -> Arc<Self> {
        Arc::new(Self {
            app: app.clone(),
            scope: scope.clone(),
            plugin: plugin.name().to_owned(),
            digest: Digest::new(plugin.digest()),
            subject: subject.map(str::to_owned),
            cancel: app.0.plugins.token(plugin.name(), Digest::new(plugin.digest())),
            intent: OnceCell::new(),
            usage: Mutex::default(),
        })
    }
}

fn nothing() -> Failure {
    Failure::new("denied", "a scanner may reach nothing outside")
}

#[async_trait::async_trait]
impl CallHost for ScanCall {
    fn grant(&self) -> Arc<PluginGrant> {
        Arc::new(PluginGrant::nothing(&self.plugin, self.digest, 0))
    }
    fn cancellation(&self) -> CancellationToken {
        self.cancel.clone()
    }
    async fn begin(&self, function: &'static str) -> Result<(), Failure> {
        let Some(subject) = &self.subject else { return Ok(()) };
        let change = || {
            Change::new(CALL, format!("plugin:{}", self.plugin))
                .with("digest", self.digest)
                .with("function", function)
                .with("subject", subject)
        };
        let intent = self.intent.get_or_try_init(|| self.app.0.store.intent(&self.scope, change())).await;
        intent.map(drop).map_err(store_failure)
    }
    fn ended(&self, usage: CallUsage) {
        self.app.0.plugins.numbers.called(&self.plugin, &usage, clock::now_us());
        let Ok(mut sum) = self.usage.lock() else { return };
        sum.computing += usage.computing;
        sum.wall += usage.wall;
        sum.memory_bytes = sum.memory_bytes.max(usage.memory_bytes);
        sum.host_calls += usage.host_calls;
        sum.entered += usage.entered;
        if !usage.code.is_empty() {
            sum.code = usage.code;
        }
    }
    async fn credential(&self, _: &str, _: &str) -> Result<SecretString, Failure> {
        Err(nothing())
    }
    async fn before(&self, _: EffectRequest<'_>) -> Result<EffectToken, Failure> {
        Err(nothing())
    }
    fn after(&self, _: EffectToken, _: EffectOutcome) {}
    async fn kv_get(&self, _: &str) -> Result<Option<Vec<u8>>, KvError> {
        Err(nothing())
    }
    async fn kv_set(&self, _: &str, _: Vec<u8>) -> Result<(), KvError> {
        Err(nothing())
    }
    async fn kv_delete(&self, _: &str) -> Result<(), KvError> {
        Err(nothing())
    }
    fn log(&self, lines: Vec<LogLine>, dropped: u64) {
        keep_log(&self.app, &self.scope, &self.plugin, lines, dropped);
    }
}

impl Drop for ScanCall {
    fn drop(&mut self) {
        let Some(intent) = self.intent.get().copied() else { return };
        let usage = self.usage.lock().map(|mut usage| std::mem::take(&mut *usage)).unwrap_or_default();
        let change = used(Change::new(CALL, format!("plugin:{}", self.plugin)), "scan", &usage);
        let change = change.with("subject", self.subject.as_deref().unwrap_or_default());
        end_call(&self.app, &self.scope, intent, change, &usage.code);
    }
}
