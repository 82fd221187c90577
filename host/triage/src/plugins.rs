//! The plugins that run, with what they are granted. Bundled plugins carry a built-in grant: what a person set up in
//! the settings (this model's URL, this server's URL) is what the plugin may reach, and nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;

use fumehood_policy::{
    CredentialRule, Digest, HostPattern, HttpRule, Method, Origin, PathPrefix, Permission, PluginGrant, Scheme,
};
use fumehood_runtime::{KindInfo, Plugin, PluginSource, Runtime, World};
use fumehood_store::outside::PluginLogLine;
use fumehood_store::{CredentialId, Scope};
use url::Url;

use crate::{App, TriageError};

/// A component that ships, as the binary hands it over.
#[derive(Clone, Copy)]
pub struct Shipped {
    pub name: &'static str,
    pub version: &'static str,
    pub world: World,
    pub description: &'static str,
    pub component: &'static [u8],
}

/// Set once by the binary, before the application opens: this crate does not build plugins.
static SHIPPED: std::sync::OnceLock<Vec<Shipped>> = std::sync::OnceLock::new();

/// Hand over the plugins that ship. The first call counts.
pub fn ship(plugins: Vec<Shipped>) {
    let _ = SHIPPED.set(plugins);
}

/// The loaded plugins.
pub struct Plugins {
    loaded: Vec<(Shipped, Plugin)>,
    /// What each scanner can report, fixed at installation.
    pub(crate) kinds: Vec<KindInfo>,
}

/// A plugin for the page that lists them.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PluginInfo {
    pub name: String,
    pub version: String,
    pub world: String,
    pub description: String,
    pub digest: String,
    pub from_cache: bool,
    /// Of the component, bytes.
    pub size: u64,
    /// What it may do, as sentences.
    pub may: Vec<String>,
}

/// Loads one shipped plugin with its default rules; used by the application and by `fumehood scan`.
///
/// # Errors
/// What the runtime says.
pub async fn load(runtime: &Runtime, shipped: &Shipped) -> Result<Plugin, TriageError> {
    let source = PluginSource {
        name: shipped.name,
        version: shipped.version,
        world: shipped.world,
        component: shipped.component,
        rules: "{}",
    };
    runtime.load(source).await.map_err(|error| TriageError::Internal(error.to_string()))
}

/// Everything that ships.
pub fn shipped() -> &'static [Shipped] {
    SHIPPED.get().map_or(&[], Vec::as_slice)
}

impl Plugins {
    /// Load all of them at the same time.
    pub(crate) async fn load(runtime: &Runtime, progress: &crate::app::StartProgress) -> Result<Self, TriageError> {
        let total = shipped().len();
        let mut tasks = tokio::task::JoinSet::new();
        for one in shipped() {
            let runtime = runtime.clone();
            // Compiling is computing: each on a blocking thread with a small runtime of its own for `prepare`.
            tasks.spawn_blocking(move || {
                let handle = tokio::runtime::Handle::current();
                handle.block_on(load(&runtime, one)).map(|plugin| (*one, plugin))
            });
        }
        let mut loaded = Vec::with_capacity(total);
        while let Some(done) = tasks.join_next().await {
            let (one, plugin) = done.map_err(|error| TriageError::Internal(error.to_string()))??;
            progress(one.name, loaded.len() + 1, total, plugin.from_cache());
            loaded.push((one, plugin));
        }
        loaded.sort_by_key(|(one, _)| one.name);
        let mut kinds = Vec::new();
        for (one, plugin) in &loaded {
            if one.world == World::Scanner {
                kinds.extend(runtime.detects(plugin, None).await?);
            }
        }
        Ok(Self { loaded, kinds })
    }

    pub(crate) fn scanners(&self) -> impl Iterator<Item = &Plugin> {
        self.loaded.iter().filter(|(one, _)| one.world == World::Scanner).map(|(_, plugin)| plugin)
    }

    /// A plugin by name.
    pub(crate) fn get(&self, name: &str) -> Result<&Plugin, TriageError> {
        self.loaded
            .iter()
            .find(|(one, _)| one.name == name)
            .map(|(_, plugin)| plugin)
            .ok_or(TriageError::NotFound { what: "plugin" })
    }
}

/// The built-in grant: the given methods below one URL, with at most one credential that is bound to its origin.
///
/// A person typed this URL in, so the address behind it may be a private one; a metadata address never is.
pub(crate) fn grant_below(
    plugin: &Plugin,
    base: &Url,
    methods: &[&str],
    whole_host: bool,
    credential: Option<CredentialId>,
) -> Result<PluginGrant, TriageError> {
    let invalid = |error: String| TriageError::invalid("url", error);
    let scheme = match base.scheme() {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        other => return Err(invalid(format!("`{other}:` is not supported; use https: (or http: inside)"))),
    };
    let host: HostPattern = base
        .host_str()
        .ok_or_else(|| invalid("the URL has no host".into()))?
        .parse()
        .map_err(|error: fumehood_policy::InvalidRule| invalid(error.to_string()))?;
    let port = base.port_or_known_default().ok_or_else(|| invalid("the URL has no port".into()))?;
    let path = if whole_host { "/" } else { base.path() };
    let mut set = BTreeSet::new();
    for method in methods {
        set.insert(method.parse::<Method>().map_err(|error| invalid(error.to_string()))?);
    }
    let private =
        ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "::1/128", "fc00::/7"];
    let mut grant = PluginGrant::nothing(plugin.name(), Digest::new(plugin.digest()), 1);
    grant.http.push(HttpRule {
        scheme,
        host: host.clone(),
        port,
        methods: set,
        path_prefix: path.parse::<PathPrefix>().map_err(|error| invalid(error.to_string()))?,
        allow_private: private.iter().filter_map(|net| net.parse().ok()).collect(),
        max_request_bytes: HttpRule::DEFAULT_MAX_BYTES,
        max_response_bytes: 4 * HttpRule::DEFAULT_MAX_BYTES,
    });
    if let Some(credential) = credential {
        let origin = Origin { scheme, host, port };
        grant.credentials.push(CredentialRule { handle: credential.to_string(), bound_to: [origin].into() });
    }
    grant.kv_bytes = fumehood_store::outside::PLUGIN_VALUES_BYTES as u64;
    Ok(grant)
}

impl App {
    /// The installed plugins and what they may do.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn plugins(&self, scope: &Scope) -> Result<Vec<PluginInfo>, TriageError> {
        self.require(scope, Permission::ReadPlugins)?;
        let mut grants: Vec<Arc<PluginGrant>> = Vec::new();
        for model in self.0.store.models(scope).await? {
            grants.extend(self.model_grant(&model).ok().map(Arc::new));
        }
        for instance in self.0.store.integrations(scope).await? {
            grants.extend(self.integration_grant(&instance).ok().map(Arc::new));
        }
        for server in self.0.store.servers(scope).await? {
            grants.extend(self.server_grant(&server).ok().map(Arc::new));
        }
        let info = |(one, plugin): &(Shipped, Plugin)| {
            let mut may: Vec<String> = match one.world {
                World::Scanner => vec!["may read raw text, and has no way out: nothing but its own log".into()],
                _ => Vec::new(),
            };
            for grant in grants.iter().filter(|grant| grant.plugin == one.name) {
                may.extend(grant.http.iter().map(ToString::to_string));
                may.extend(grant.credentials.iter().map(ToString::to_string));
                may.extend(grant.processes.iter().map(ToString::to_string));
            }
            PluginInfo {
                name: one.name.into(),
                version: one.version.into(),
                world: one.world.name().into(),
                description: one.description.into(),
                digest: plugin.digest_text(),
                from_cache: plugin.from_cache(),
                size: one.component.len() as u64,
                may,
            }
        };
        Ok(self.0.plugins.loaded.iter().map(info).collect())
    }

    /// The newest lines of a plugin's log.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn plugin_log(&self, scope: &Scope, plugin: &str) -> Result<Vec<PluginLogLine>, TriageError> {
        self.require(scope, Permission::ReadPluginLogs)?;
        Ok(self.0.store.plugin_log(scope, plugin, 500).await?)
    }
}
