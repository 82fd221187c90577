//! The rooms, wired together; and what is going on right now.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fumehood_egress::{Egress, ProcessSpec};
use fumehood_policy::Permission;
use fumehood_runtime::{CompiledCache, Runtime, RuntimeConfig};
use fumehood_store::{IncidentId, LogId, OpenOptions, ReplayId, Scope, Store, TurnId};
use fumehood_traces::{Exporter, System, Tracer};
use fumehood_vault::Vault;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::TriageError;
use crate::conversation::Live;
use crate::detection::Detections;
use crate::masking::Books;
use crate::plugins::{Plugins, PolicyFile};
use crate::tools::Tools;

/// Told of each plugin that was loaded: its name, how many are done, of how many, whether it came from the cache.
pub type StartProgress = dyn Fn(&str, usize, usize, bool) + Send + Sync;

/// Zstd uploads that are read at once; more wait for a while with their bodies unread.
const UNPACKING: usize = 8;
/// Passwords that are hashed at once: each takes 19 MiB.
const HASHING: usize = 2;
/// How long what is going on may take to end when the server does.
const END: Duration = Duration::from_secs(10);
/// How often what failed uploads have left is looked for.
const TIDY_EVERY: Duration = Duration::from_secs(600);

/// Microseconds of a day.
const DAY_US: i64 = 24 * 3_600_000_000;

/// How the application is set up.
pub struct AppConfig {
    /// The data folder; it exists.
    pub data: PathBuf,
    /// Where copies of the signed checkpoints go.
    pub checkpoint_file: Option<PathBuf>,
    /// The organisation's policy; one that is not there caps nothing.
    pub policy_file: PathBuf,
    /// How long bodies are kept that a replay of what plugins did would need, in days.
    pub retention_days: u32,
    /// Compiles plugins: this program, told to.
    pub compiler: ProcessSpec,
    /// Where traces go, if anywhere.
    pub traces: Option<fumehood_traces::Settings>,
    /// Told what the start is doing: plugin, how many are done, of how many, whether it came from the cache.
    pub progress: Arc<StartProgress>,
}

/// The application; cheap to clone.
#[derive(Clone)]
pub struct App(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) runtime: Runtime,
    pub(crate) egress: Arc<Egress>,
    pub(crate) plugins: Plugins,
    pub(crate) books: Books,
    pub(crate) detections: Detections,
    pub(crate) tools: Tools,
    /// Connections of the gateway's callers.
    pub(crate) upstreams: Arc<crate::gateway::Upstreams>,
    /// Tokens of MCP servers that are being refreshed.
    pub(crate) refreshing: crate::oauth::Refreshing,
    pub(crate) uploads: Mutex<HashMap<LogId, Arc<Upload>>>,
    /// Zstd uploads at once: each decoder keeps its window in memory.
    pub(crate) unpacking: Semaphore,
    /// Passwords at once.
    pub(crate) hashing: Semaphore,
    /// What has to end before the store closes.
    pub(crate) tasks: TaskTracker,
    pub(crate) turns: Mutex<HashMap<TurnId, Arc<Live>>>,
    /// Conversations that are being asked again.
    pub(crate) replays: Mutex<HashMap<ReplayId, CancellationToken>>,
    /// Counts up when a person has answered a question or decided about a call of the gateway.
    pub(crate) decided: watch::Sender<u64>,
    pub(crate) sashes: Mutex<HashMap<IncidentId, CancellationToken>>,
    /// Sign-ins that were tried, by the digest of the address.
    pub(crate) attempts: Mutex<HashMap<[u8; 32], (u32, Instant)>>,
    pub(crate) tracer: Tracer,
    /// What sends spans, until it has begun to.
    exporter: Mutex<Option<Exporter>>,
    /// Cancelled when no more spans come.
    traced: CancellationToken,
    pub(crate) vault: Arc<Vault>,
    pub(crate) checkpoint_file: Option<PathBuf>,
    pub(crate) verification: Mutex<Option<(bool, String, i64)>>,
    retention_us: i64,
}

/// An upload that is going on.
pub(crate) struct Upload {
    pub(crate) cancel: CancellationToken,
    pub(crate) progress: Mutex<Progress>,
    pub(crate) began: Instant,
}

/// How far an upload is.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Progress {
    pub received_bytes: u64,
    /// As the browser announced it.
    pub expected_bytes: Option<u64>,
    /// Text that was scanned and stored.
    pub scanned_bytes: u64,
    pub lines: u64,
    pub findings: u64,
    /// Since the upload began, milliseconds.
    pub elapsed_ms: u64,
}

impl Progress {
    /// Seconds until the rest has arrived at the pace so far; nothing where the size or the pace is not known.
    pub fn seconds_left(&self) -> Option<u64> {
        let left = self.expected_bytes?.checked_sub(self.received_bytes)?;
        if self.elapsed_ms < 1_000 || self.received_bytes == 0 {
            return None;
        }
        let ms = u128::from(left) * u128::from(self.elapsed_ms) / u128::from(self.received_bytes);
        u64::try_from(ms.div_ceil(1_000)).ok()
    }
}

impl App {
    /// Open the store, load the plugins, and take up what an earlier process left.
    ///
    /// # Errors
    /// What the store or the plugins say; the sentence is for the operator.
    pub async fn open(config: AppConfig, vault: Arc<Vault>) -> Result<Self, TriageError> {
        let options = OpenOptions { checkpoint_file: config.checkpoint_file.clone(), max_pages: None };
        let store = Store::open(&config.data, Arc::clone(&vault), &options)
            .map_err(|error| TriageError::CannotOpen(error.to_string()))?;
        let opened = Self::open_on(store.clone(), config, vault).await;
        if opened.is_err() {
            // Its thread may still write: a process that ends meanwhile takes the ciphers away from under it.
            let _ = tokio::task::spawn_blocking(move || store.close()).await;
        }
        opened
    }

    async fn open_on(store: Store, config: AppConfig, vault: Arc<Vault>) -> Result<Self, TriageError> {
        let egress =
            Arc::new(Egress::new(Default::default()).map_err(|error| TriageError::Internal(error.to_string()))?);
        let runtime = Runtime::new(RuntimeConfig {
            cache: cache(&config.data, Arc::clone(&vault)),
            instances: fumehood_runtime::limits::INSTANCES,
            egress: Some(Arc::clone(&egress)),
            compiler: Some(config.compiler),
            deterministic: false,
        })
        .map_err(|error| TriageError::Internal(error.to_string()))?;
        let policy = PolicyFile::open(config.policy_file)?;
        let plugins = Plugins::load(&runtime, &store, policy, config.progress.as_ref()).await?;
        let (tracer, exporter) = match config.traces {
            Some(settings) => {
                let (tracer, exporter) = Tracer::with_exporter(settings, System);
                (tracer, Some(exporter))
            }
            None => (Tracer::off(), None),
        };
        let app = Self(Arc::new(Inner {
            store,
            runtime,
            egress,
            plugins,
            books: Books::default(),
            detections: Detections::default(),
            tools: Tools::default(),
            upstreams: Arc::default(),
            refreshing: Default::default(),
            uploads: Mutex::default(),
            unpacking: Semaphore::new(UNPACKING),
            hashing: Semaphore::new(HASHING),
            tasks: TaskTracker::new(),
            turns: Mutex::default(),
            replays: Mutex::default(),
            decided: watch::Sender::new(0),
            sashes: Mutex::default(),
            attempts: Mutex::default(),
            tracer,
            exporter: Mutex::new(exporter),
            traced: CancellationToken::new(),
            vault,
            checkpoint_file: config.checkpoint_file,
            verification: Mutex::default(),
            retention_us: i64::from(config.retention_days) * DAY_US,
        }));
        app.take_up().await?;
        Ok(app)
    }

    /// The store, for the binary's own commands.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Fail unless the role may do this. The first line of every use case.
    pub(crate) fn require(&self, scope: &Scope, permission: Permission) -> Result<(), TriageError> {
        let by_token = matches!(scope.actor, fumehood_store::Actor::Token(_));
        if !scope.may(permission) || (by_token && permission.needs_person()) {
            return Err(TriageError::Forbidden(permission));
        }
        Ok(())
    }

    /// What the end of the last process cut off: say so, and clean up.
    async fn take_up(&self) -> Result<(), TriageError> {
        let scope = Scope::system();
        for log in self.0.store.unfinished_logs(&scope).await? {
            let reason = "Fumehood was stopped during the upload. Upload the file again.".to_owned();
            self.0.store.abandon_log(&scope, log.id, "failed", reason).await?;
        }
        self.0.store.mark_unknown_calls(&scope).await?;
        self.0.store.mark_unknown_mcp_calls().await?;
        self.0.store.mark_unknown_publications(&scope).await?;
        self.0.store.mark_unknown_departures(&scope).await?;
        self.0.store.fail_replays("Fumehood was stopped before it was done. Ask again.".into()).await?;
        for turn in self.0.store.interrupted_turns(&scope).await? {
            let problem =
                "Fumehood was stopped while the model was answering. Ask again; what arrived is kept.".to_owned();
            self.0.store.set_turn(&scope, turn.id, "failed", problem, "retry").await?;
        }
        Ok(())
    }

    /// Connect to the MCP servers that are set up, and tidy up from time to time, in the background.
    pub fn start_background(&self) {
        if let Some(exporter) = self.0.exporter.lock().ok().and_then(|mut exporter| exporter.take()) {
            let (egress, stop) = (Arc::clone(&self.0.egress), self.0.traced.clone());
            self.0.tasks.spawn(crate::traced::export(exporter, egress, stop));
        }
        let app = self.clone();
        self.0.tasks.spawn(async move { app.discover_all().await });
        let app = self.clone();
        tokio::spawn(async move { app.watch_plugins().await });
        let app = self.clone();
        tokio::spawn(async move { app.watch_policy().await });
        let app = self.clone();
        tokio::spawn(async move {
            loop {
                if let Err(error) = app.tidy().await {
                    tracing::warn!(%error, "what failed uploads have left could not be removed; it is tried again");
                }
                tokio::time::sleep(TIDY_EVERY).await;
            }
        });
    }

    /// Remove what uploads have left that failed where nothing could be written: on a full disk, or by a kill.
    async fn tidy(&self) -> Result<(), TriageError> {
        let scope = Scope::system();
        for log in self.0.store.unfinished_logs(&scope).await? {
            if self.upload_progress(log.id).is_none() {
                let reason = "The upload was cut off. Upload the file again.".to_owned();
                self.0.store.abandon_log(&scope, log.id, "failed", reason).await?;
            }
        }
        for log in self.0.store.leftover_logs(&scope).await? {
            self.0.store.drop_chunks(&scope, log).await?;
        }
        let oldest = fumehood_store::clock::now_us() - self.0.retention_us;
        while self.0.store.sweep_effect_bodies(oldest).await? {}
        while self.0.store.forget_mcp_bodies(oldest).await? {}
        while self.0.store.forget_mcp_asks(oldest).await? {}
        Ok(())
    }

    /// Stop what leaves: turns, tool calls, publishing. Each says so on record. Uploads go on; they only come in.
    pub fn stop_work(&self) {
        if let Ok(sashes) = self.0.sashes.lock() {
            sashes.values().for_each(CancellationToken::cancel);
        }
    }

    /// Stop what is going on and close the store, so that everything that was acknowledged is on disk.
    pub async fn shut_down(&self) {
        self.stop_work();
        if let Ok(uploads) = self.0.uploads.lock() {
            uploads.values().for_each(|upload| upload.cancel.cancel());
        }
        self.disconnect_all().await;
        self.0.traced.cancel();
        self.0.tasks.close();
        if tokio::time::timeout(END, self.0.tasks.wait()).await.is_err() {
            tracing::warn!("not everything ended within {} s; the next start says what was cut off", END.as_secs());
        }
        if let Err(error) = self.write_plugin_numbers().await {
            tracing::warn!(%error, "the plugins' numbers could not be written");
        }
        let store = self.0.store.clone();
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
    }

    /// What cancels everything that leaves this incident.
    pub(crate) fn sash(&self, incident: IncidentId) -> CancellationToken {
        match self.0.sashes.lock() {
            Ok(mut sashes) => sashes.entry(incident).or_default().clone(),
            // A poisoned lock: let nothing leave.
            Err(_) => {
                let token = CancellationToken::new();
                token.cancel();
                token
            }
        }
    }
}

/// The compiled cache of a data folder, authenticated by its vault.
pub fn cache(data: &std::path::Path, vault: Arc<Vault>) -> CompiledCache {
    CompiledCache::new(data.join("cache"), Arc::new(move |key, bytes| vault.mac("compiled-cache", &[key, bytes])))
}
