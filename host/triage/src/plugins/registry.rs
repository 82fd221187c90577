//! Which plugins there are, which version of each runs, what it is granted, and what is stopped.
//!
//! Invariant: readers see one state as a whole. A change is made to the store first and then here, by one task at a time;
//! a stop is made here first, so that it holds at once, whatever the disk does.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, RwLock};

use fumehood_policy::{
    Ceiling, Denial, Digest, HttpRule, Manifest, PluginGrant, PluginWorld, Policy, Request, decide, effective,
};
use fumehood_runtime::{Attempt, Counted, KindInfo, Plugin, Runtime, World};
use fumehood_store::plugins::{Stop, Traffic, VersionState};
use fumehood_store::{Scope, Store, clock};
use tokio_util::sync::CancellationToken;

use super::arrivals::Arrivals;
use super::budget::Budgets;
use super::numbers::{Numbers, hour_of};
use super::policy_file::PolicyFile;
use super::reach::Reach;
use super::shipped::{Shipped, load, load_component, shipped};
use crate::TriageError;

/// The host, among the numbers, of what counts against a ceiling's hour.
pub(super) const CEILING: &str = "";

/// The plugins of this server.
pub struct Plugins {
    state: RwLock<Arc<Running>>,
    /// Held while something is changed.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// Held while a kill switch is written down.
    pub(super) switching: tokio::sync::Mutex<()>,
    /// What cancels the calls of a version, by its plugin's name and its digest.
    tokens: Mutex<HashMap<(String, Digest), CancellationToken>>,
    pub(super) policy_file: PolicyFile,
    pub(super) budgets: Budgets,
    pub(crate) numbers: Numbers,
    pub(super) arrivals: Arrivals,
}

/// One state of them.
#[derive(Clone, Default)]
pub(crate) struct Running {
    pub(super) plugins: BTreeMap<String, Active>,
    /// Every grant that is known, by digest: a call that began before an upgrade ends under its own.
    pub(super) grants: HashMap<Digest, PluginGrant>,
    /// Of every version that ran in this process: whose it is decides about ceilings and switches, to its last call.
    pub(super) manifests: HashMap<Digest, Arc<Manifest>>,
    pub(super) stops: Vec<Stop>,
    pub(super) policy: Arc<Policy>,
    /// Whether somebody has switched on that only models on this machine are asked.
    pub(super) models_stay_here: bool,
}

/// The version of a plugin that runs.
#[derive(Clone)]
pub(crate) struct Active {
    pub(super) manifest: Arc<Manifest>,
    pub(super) digest: Digest,
    pub(super) ships: bool,
    pub(super) bytes: u64,
    /// Or why it could not be loaded.
    pub(super) plugin: Result<Plugin, String>,
    /// Of a scanner, what it can report; fixed at installation.
    pub(super) kinds: Vec<KindInfo>,
}

impl Active {
    /// Load a version. A scanner is asked once what it can report, at its installation; later that holds.
    pub(super) async fn load(
        runtime: &Runtime,
        manifest: Manifest,
        digest: Digest,
        component: &[u8],
        kinds: Option<Vec<KindInfo>>,
    ) -> Self {
        let plugin = load_component(runtime, &manifest, component).await;
        match kinds {
            Some(kinds) => {
                let bytes = component.len() as u64;
                Self { manifest: Arc::new(manifest), digest, ships: false, bytes, plugin, kinds }
            }
            None => Self::with(runtime, manifest, digest, component.len(), plugin, false).await,
        }
    }

    /// The types that it reports, with their groups, for comparing.
    pub(super) fn reported(&self) -> Vec<(String, String)> {
        let mut kinds: Vec<_> = self.kinds.iter().map(|kind| (kind.name.clone(), kind.group.clone())).collect();
        kinds.sort();
        kinds
    }

    async fn with(
        runtime: &Runtime,
        manifest: Manifest,
        digest: Digest,
        bytes: usize,
        mut plugin: Result<Plugin, String>,
        ships: bool,
    ) -> Self {
        let mut kinds = Vec::new();
        if let Ok(scanner) = &plugin
            && scanner.world() == World::Scanner
        {
            match runtime.detects(scanner, None).await {
                Ok(found) => match found.iter().find(|kind| !ships && !crate::scanners::may_report(&kind.name)) {
                    Some(kind) => {
                        let name: String = kind.name.chars().filter(|c| !c.is_control()).take(40).collect();
                        plugin = Err(format!("it reports the type `{name}`, which no plugin may report"));
                    }
                    None => kinds = found,
                },
                Err(error) => plugin = Err(error.to_string()),
            }
        }
        Self { manifest: Arc::new(manifest), digest, ships, bytes: bytes as u64, plugin, kinds }
    }

    /// What it was granted where nobody has decided: what it ships with, or nothing.
    pub(super) fn default_grant(&self) -> PluginGrant {
        if self.ships {
            self.manifest.asks(self.digest)
        } else {
            PluginGrant::nothing(&self.manifest.name, self.digest, 0)
        }
    }
}

/// What only models on this machine come to, as a ceiling.
static HERE: Ceiling = Ceiling { http: None, loopback_only: true, kv_bytes: None, credentials: None, processes: None };

/// Why only models on this machine may be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StayHere {
    /// The organisation's ceiling says so, of every provider.
    pub forced: bool,
    /// Somebody switched it on.
    pub switched: bool,
}

impl Running {
    /// The kill switch that holds a plugin, where one is thrown.
    pub(super) fn stop_of(&self, manifest: &Manifest) -> Option<&Stop> {
        let targets =
            ["all".to_owned(), format!("publisher:{}", manifest.publisher), format!("plugin:{}", manifest.name)];
        self.stops.iter().find(|stop| targets.contains(&stop.target))
    }

    /// The manifest of a version that may still have calls; nothing once its plugin was removed.
    fn manifest(&self, name: &str, digest: Digest) -> Option<&Manifest> {
        let active = self.plugins.get(name)?;
        if active.digest == digest { Some(&active.manifest) } else { self.manifests.get(&digest).map(Arc::as_ref) }
    }

    /// The ceilings over a plugin's grant: the organisation's, and the switch of its models.
    fn ceilings(&self, manifest: &Manifest) -> impl Iterator<Item = &Ceiling> {
        let here = manifest.world == PluginWorld::Provider && self.models_stay_here;
        self.policy.ceilings(&manifest.publisher, manifest.world).chain(here.then_some(&HERE))
    }

    /// Whether a ceiling keeps a plugin's requests on this machine, whatever anybody switches.
    fn is_kept_here(&self, manifest: &Manifest) -> bool {
        self.policy.ceilings(&manifest.publisher, manifest.world).any(|ceiling| ceiling.loopback_only)
    }

    /// Whether a version is stopped: by what it is, by what its plugin is now, or because it is gone.
    fn is_stopped(&self, name: &str, digest: Digest) -> bool {
        let active = self.plugins.get(name).map(|active| active.manifest.as_ref());
        let both = [active, self.manifest(name, digest)];
        both.into_iter().any(|manifest| manifest.is_none_or(|manifest| self.stop_of(manifest).is_some()))
    }

    /// Let a version run from now on.
    pub(super) fn run(&mut self, active: Active) {
        self.manifests.insert(active.digest, Arc::clone(&active.manifest));
        self.plugins.insert(active.manifest.name.clone(), active);
    }

    /// What a digest is granted, before the ceiling.
    pub(super) fn grant(&self, digest: Digest, name: &str) -> PluginGrant {
        let stored = self.grants.get(&digest).cloned();
        stored.unwrap_or_else(|| match self.plugins.get(name).filter(|active| active.digest == digest) {
            Some(active) => active.default_grant(),
            None => PluginGrant::nothing(name, digest, 0),
        })
    }

    fn usable(&self, active: &Active) -> Result<Plugin, TriageError> {
        let name = &active.manifest.name;
        if let Some(stop) = self.stop_of(&active.manifest) {
            let why = if stop.reason.is_empty() { String::new() } else { format!(" ({})", stop.reason) };
            return Err(TriageError::Conflict(format!(
                "The plugin {name} is stopped by the kill switch `{}`{why}. Nothing was done. Under Plugins it can be \
                 started again.",
                stop.target
            )));
        }
        active.plugin.clone().map_err(|error| TriageError::Conflict(format!("The plugin {name} cannot run: {error}")))
    }
}

impl Plugins {
    /// Load all of them at the same time: those that ship, and those that were installed and approved.
    pub(crate) async fn load(
        runtime: &Runtime,
        store: &Store,
        policy: (PolicyFile, Arc<Policy>),
        progress: &crate::app::StartProgress,
    ) -> Result<Self, TriageError> {
        let scope = Scope::system();
        let mut installed = Vec::new();
        for version in store.plugin_versions(&scope).await? {
            if version.state != VersionState::Active {
                continue;
            }
            if shipped().iter().any(|one| one.manifest.name == version.name) {
                tracing::error!(plugin = %version.name, "a plugin of this name ships with Fumehood now: the installed one does not run");
                continue;
            }
            match Manifest::parse(&version.manifest) {
                Ok(manifest) => {
                    let kinds = serde_json::from_str(&version.kinds).unwrap_or_default();
                    installed.push((manifest, version.digest, kinds));
                }
                // Whoever depends on it is told by its absence; the others go on. A scanner's absence must not pass.
                Err(error) if version.world != World::Scanner.name() => {
                    tracing::error!(plugin = %version.name, "an installed plugin cannot run, its manifest is not valid: {error}");
                }
                Err(error) => {
                    return Err(TriageError::Internal(format!(
                        "the manifest of the installed scanner {} is not valid: {error}",
                        version.name
                    )));
                }
            }
        }
        let total = shipped().len() + installed.len();
        let mut tasks = tokio::task::JoinSet::new();
        for one in shipped() {
            let runtime = runtime.clone();
            tasks.spawn(async move { load_shipped(&runtime, one).await });
        }
        for (manifest, digest, kinds) in installed {
            let (runtime, store, scope) = (runtime.clone(), store.clone(), scope.clone());
            tasks.spawn(async move {
                match store.plugin_component(&scope, digest).await {
                    Ok(component) => Ok(Active::load(&runtime, manifest, digest, &component, Some(kinds)).await),
                    // One that cannot be read back stops itself, not the server.
                    Err(error) => Ok(Active::with(&runtime, manifest, digest, 0, Err(error.to_string()), false).await),
                }
            });
        }
        let mut running = Running { policy: policy.1, ..Running::default() };
        while let Some(done) = tasks.join_next().await {
            let active = done.map_err(|error| TriageError::Internal(error.to_string()))??;
            let from_cache = active.plugin.as_ref().is_ok_and(Plugin::from_cache);
            progress(&active.manifest.name, running.plugins.len() + 1, total, from_cache);
            if let Err(error) = &active.plugin {
                tracing::error!(plugin = %active.manifest.name, "an installed plugin cannot run: {error}");
            }
            running.run(active);
        }
        running.stops = store.plugin_stops(&scope).await?;
        running.models_stay_here = store.model_rules(&scope).await?.local_only;
        running.grants = grants(store, &scope, &running).await?;
        let plugins = Self {
            state: RwLock::new(Arc::new(running)),
            changing: tokio::sync::Mutex::default(),
            switching: tokio::sync::Mutex::default(),
            tokens: Mutex::default(),
            policy_file: policy.0,
            budgets: Budgets::default(),
            numbers: Numbers::default(),
            arrivals: Arrivals::default(),
        };
        let now_us = clock::now_us();
        for (plugin, one) in store.plugin_traffic(&scope, hour_of(now_us) - 1).await? {
            plugins.budgets.seed(&plugin, &one.rule, one.hour, one.sent_bytes, one.received_bytes, now_us);
        }
        Ok(plugins)
    }

    /// The state as it is now.
    pub(crate) fn now(&self) -> Arc<Running> {
        match self.state.read() {
            Ok(state) => Arc::clone(&state),
            Err(poisoned) => Arc::clone(&poisoned.into_inner()),
        }
    }

    /// Put another state in the place of the one that is.
    pub(super) fn change(&self, change: impl FnOnce(&mut Running)) {
        let mut state = match self.state.write() {
            Ok(state) => state,
            Err(poisoned) => poisoned.into_inner(),
        };
        let mut next = Running::clone(&state);
        change(&mut next);
        *state = Arc::new(next);
    }

    /// A plugin by name, ready to be called.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where it is stopped or could not be loaded.
    pub(crate) fn get(&self, name: &str) -> Result<Plugin, TriageError> {
        let now = self.now();
        let active = now.plugins.get(name).ok_or(TriageError::NotFound { what: "plugin" })?;
        now.usable(active)
    }

    /// Every scanner.
    ///
    /// # Errors
    /// `Conflict` where one is stopped or could not be loaded: what it would have found must not leave.
    pub(crate) fn scanners(&self) -> Result<Vec<Plugin>, TriageError> {
        let now = self.now();
        let scanners =
            now.plugins.values().filter(|active| active.manifest.world == fumehood_policy::PluginWorld::Scanner);
        scanners.map(|active| now.usable(active)).collect()
    }

    /// The plugins of a world that run, whether or not they are stopped.
    pub(crate) fn of_world(&self, world: fumehood_policy::PluginWorld) -> Vec<Arc<Manifest>> {
        let now = self.now();
        now.plugins.values().map(|active| Arc::clone(&active.manifest)).filter(|one| one.world == world).collect()
    }

    /// The setting that names a plugin's server; nothing where it has fixed ones.
    pub(crate) fn server_setting(&self, name: &str) -> Option<String> {
        self.now().plugins.get(name)?.manifest.server_setting().map(str::to_owned)
    }

    /// Whether only models on this machine may be asked: of all providers by the organisation's ceiling, or by its switch.
    pub(crate) fn models_stay_here(&self) -> StayHere {
        let now = self.now();
        let mut providers = now.plugins.values().filter(|active| active.manifest.world == PluginWorld::Provider);
        let forced = providers.all(|active| now.is_kept_here(&active.manifest));
        StayHere { forced, switched: now.models_stay_here }
    }

    /// Whether a provider reaches nothing but this machine.
    pub(crate) fn stays_here(&self, provider: &str) -> bool {
        let now = self.now();
        now.models_stay_here || now.plugins.get(provider).is_some_and(|active| now.is_kept_here(&active.manifest))
    }

    /// Held while what holds for all models is changed: one change at a time.
    pub(crate) async fn rules_change(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// From here on, or no longer, providers reach nothing but this machine.
    pub(crate) fn keep_models_here(&self, here: bool) {
        self.change(|running| running.models_stay_here = here);
    }

    /// What the scanners can report.
    pub(crate) fn kinds(&self) -> Vec<KindInfo> {
        self.now().plugins.values().flat_map(|active| active.kinds.iter().cloned()).collect()
    }

    /// Whether this is a plugin that ships with the program, and not one that somebody has installed.
    pub(crate) fn ships(&self, reach: &Reach) -> bool {
        self.now().plugins.get(&reach.plugin).is_some_and(|active| active.ships && active.digest == reach.digest)
    }

    /// What a call may do at this moment: nothing where the plugin is stopped.
    pub(crate) fn effective(&self, reach: &Reach) -> PluginGrant {
        let now = self.now();
        match now.manifest(&reach.plugin, reach.digest) {
            Some(manifest) if !now.is_stopped(&reach.plugin, reach.digest) => {
                let grant = now.grant(reach.digest, &reach.plugin);
                reach.effective(&grant, now.ceilings(manifest))
            }
            _ => PluginGrant::nothing(&reach.plugin, reach.digest, 0),
        }
    }

    /// What the host itself may ask on behalf of an instance of a plugin: what the ceilings leave of `rule`, and nothing where
    /// the plugin is stopped.
    pub(crate) fn capped(&self, reach: &Reach, rule: HttpRule) -> PluginGrant {
        let now = self.now();
        let nothing = PluginGrant::nothing(&reach.plugin, reach.digest, 0);
        match now.manifest(&reach.plugin, reach.digest) {
            Some(manifest) if !now.is_stopped(&reach.plugin, reach.digest) => {
                let whole = PluginGrant { http: vec![rule], ..nothing };
                effective(&whole, now.ceilings(manifest))
            }
            _ => nothing,
        }
    }

    /// Whether what was refused is granted, and only the ceiling was in its way.
    pub(crate) fn granted_but_capped(&self, reach: &Reach, attempt: Attempt<'_>) -> bool {
        let now = self.now();
        !now.is_stopped(&reach.plugin, reach.digest)
            && !Reach::allows(&self.effective(reach), attempt)
            && Reach::allows(&reach.resolve(&now.grant(reach.digest, &reach.plugin)), attempt)
    }

    /// Count a request against its rule's hour and the ceilings', and among the numbers.
    pub(crate) fn reserve(
        &self,
        reach: &Reach,
        rule: &HttpRule,
        request: &Request,
        size: u64,
    ) -> Result<Counted, Denial> {
        let (now, now_us) = (self.now(), clock::now_us());
        let manifest = now.manifest(&reach.plugin, reach.digest);
        let ceilings = manifest.map(|manifest| now.policy.hours(&manifest.publisher, manifest.world, request, rule));
        let ceilings = ceilings.unwrap_or_default();
        let counted = self.budgets.reserve(&reach.plugin, rule, &ceilings, request, size, now_us);
        let counted = counted.map_err(|denial| self.whose_hour(reach, rule, request, denial))?;
        let moved = Traffic { sent_bytes: size, ..Traffic::default() };
        self.moved(&reach.plugin, rule, &counted, request, &Traffic { requests: 1, ..moved }, now_us);
        Ok(counted)
    }

    /// Count bytes of an answer against its rule's hour and the ceilings', and among the numbers.
    pub(crate) fn received(
        &self,
        reach: &Reach,
        rule: &HttpRule,
        counted: &Counted,
        request: &Request,
        bytes: u64,
    ) -> Result<(), Denial> {
        let now_us = clock::now_us();
        let moved = Traffic { received_bytes: bytes, ..Traffic::default() };
        self.moved(&reach.plugin, rule, counted, request, &moved, now_us);
        let received = self.budgets.received(&reach.plugin, rule, counted, request, bytes, now_us);
        received.map_err(|denial| self.whose_hour(reach, rule, request, denial))
    }

    /// The refusal, which says so where the hour that is used up is shorter by the ceiling than it was granted.
    fn whose_hour(&self, reach: &Reach, rule: &HttpRule, request: &Request, denial: Denial) -> Denial {
        let Some(needed) = denial.needed() else { return denial };
        // The way that is used up is the one in which more is needed.
        let sent = needed.max_request_bytes_per_hour != rule.max_request_bytes_per_hour;
        let way = |rule: &HttpRule| {
            if sent { rule.max_request_bytes_per_hour } else { rule.max_response_bytes_per_hour }
        };
        let granted = reach.resolve(&self.now().grant(reach.digest, &reach.plugin));
        match decide(&granted, request) {
            Ok(own) if way(own) != way(rule) => denial.by_ceiling(),
            _ => denial,
        }
    }

    fn moved(&self, plugin: &str, rule: &HttpRule, counted: &Counted, request: &Request, moved: &Traffic, now_us: i64) {
        self.numbers.moved(plugin, &rule.target(), &request.host().to_string(), moved, now_us);
        for hour in &counted.ceilings {
            // For the next start only: it is not told from what went to the host.
            self.numbers.moved(plugin, &hour.key, CEILING, moved, now_us);
        }
    }

    /// What cancels the calls of a version: cancelled already where it is stopped.
    pub(crate) fn token(&self, name: &str, digest: Digest) -> CancellationToken {
        // The state is read under the lock: a stop in between would leave a token that nobody cancels.
        let tokens = self.tokens.lock();
        let stopped = self.now().is_stopped(name, digest);
        match tokens {
            Ok(mut tokens) if !stopped => {
                let token = tokens.entry((name.to_owned(), digest)).or_default();
                if token.is_cancelled() {
                    *token = CancellationToken::new();
                }
                token.clone()
            }
            _ => {
                let token = CancellationToken::new();
                token.cancel();
                token
            }
        }
    }

    /// End the calls of every version that is stopped by now, or gone.
    pub(super) fn cancel_stopped(&self) {
        let Ok(tokens) = self.tokens.lock() else { return };
        let now = self.now();
        for ((name, digest), token) in tokens.iter() {
            if now.is_stopped(name, *digest) {
                token.cancel();
            }
        }
    }
}

async fn load_shipped(runtime: &Runtime, one: &Shipped) -> Result<Active, TriageError> {
    let plugin = load(runtime, one).await?;
    let digest = Digest::new(plugin.digest());
    Ok(Active::with(runtime, one.manifest.clone(), digest, one.component.len(), Ok(plugin), true).await)
}

/// The stored grants. What a person took from a plugin that ships stays taken in its next version.
async fn grants(store: &Store, scope: &Scope, running: &Running) -> Result<HashMap<Digest, PluginGrant>, TriageError> {
    let stored = store.plugin_grants(scope).await?;
    let mut grants: HashMap<Digest, PluginGrant> =
        stored.iter().map(|one| (one.grant.digest, one.grant.clone())).collect();
    for active in running.plugins.values().filter(|active| active.ships && !grants_has(&stored, active)) {
        // Sorted by generation: the last one was decided last.
        if let Some(last) = stored.iter().rev().find(|one| one.grant.plugin == active.manifest.name) {
            grants.insert(active.digest, PluginGrant { digest: active.digest, ..last.grant.clone() });
        }
    }
    Ok(grants)
}

fn grants_has(stored: &[fumehood_store::plugins::StoredGrant], active: &Active) -> bool {
    stored.iter().any(|one| one.grant.digest == active.digest)
}
