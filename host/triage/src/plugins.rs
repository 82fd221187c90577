//! The plugins that run, with what they are granted. Bundled plugins carry a built-in grant: what a person set up in
//! the settings (this model's URL, this server's URL) is what the plugin may reach, and nothing else.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use fumehood_policy::{
    CredentialRule, Digest, HostPattern, HttpRule, Method, Origin, PathPrefix, Permission, PluginGrant, Scheme,
    Sentence,
};
use fumehood_runtime::{KindInfo, Plugin, PluginSource, Runtime, World};
use fumehood_store::outside::PluginLogLine;
use fumehood_store::{CredentialId, Scope, clock};
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
    uses: HashMap<&'static str, Uses>,
    /// What each scanner can report, fixed at installation.
    pub(crate) kinds: Vec<KindInfo>,
}

/// How often a plugin was called since the start, and when last. Kept in memory: what it did is on record.
#[derive(Debug, Default)]
struct Uses {
    calls: AtomicU64,
    last_us: AtomicI64,
}

/// One thing that a plugin may do.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Allowed {
    /// The verb: `may POST to`. Alone where nothing is named.
    pub may: String,
    /// What is reached or started, to be set apart: a URL, a command line; may be empty.
    pub object: String,
    /// How far, and how much; may be empty.
    pub bounds: String,
    /// The name of the credential that goes along.
    pub credential: Option<String>,
}

impl Allowed {
    fn of(sentence: Sentence, credential: Option<String>) -> Self {
        let bounds = [sentence.also, sentence.bounds].into_iter().filter(|part| !part.is_empty());
        let bounds = bounds.collect::<Vec<_>>().join(", ");
        Self { may: sentence.may, object: sentence.object, bounds, credential }
    }
}

/// One sentence without its subject.
impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.may)?;
        if !self.object.is_empty() {
            write!(f, " {}", self.object)?;
        }
        if !self.bounds.is_empty() {
            write!(f, ", {}", self.bounds)?;
        }
        self.credential.as_ref().map_or(Ok(()), |name| write!(f, ", with credential {name}"))
    }
}

/// What a grant allows, with the credential named as people know it. A credential stands with the requests that it goes
/// along with, and by itself only where there are none.
fn allowed(grant: &PluginGrant, credential: &str) -> Vec<Allowed> {
    let goes_along = |rule: &HttpRule, credential: &CredentialRule| {
        let origin = Origin { scheme: rule.scheme, host: rule.host.clone(), port: rule.port };
        credential.bound_to.iter().any(|bound| bound.covers(&origin))
    };
    let mut all: Vec<Allowed> = Vec::new();
    for rule in &grant.http {
        let with = grant.credentials.iter().any(|one| goes_along(rule, one)).then(|| credential.to_owned());
        all.push(Allowed::of(rule.sentence(), with));
    }
    for one in grant.credentials.iter().filter(|one| !grant.http.iter().any(|rule| goes_along(rule, one))) {
        let to: Vec<String> = one.bound_to.iter().map(Origin::to_string).collect();
        all.push(Allowed {
            may: format!("may send credential {credential} to"),
            object: if to.is_empty() { "nowhere".into() } else { to.join(", ") },
            bounds: String::new(),
            credential: None,
        });
    }
    all.extend(grant.processes.iter().map(|rule| Allowed::of(rule.sentence(), None)));
    all
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
    /// The same, in parts.
    pub allowed: Vec<Allowed>,
    /// Calls since the start; of a scanner the texts that it went through.
    pub calls: u64,
    /// When it was last called since the start.
    pub used_us: Option<i64>,
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
        let uses = loaded.iter().map(|(one, _)| (one.name, Uses::default())).collect();
        Ok(Self { loaded, uses, kinds })
    }

    /// The scanners, about to be used on a text.
    pub(crate) fn scanners(&self) -> impl Iterator<Item = &Plugin> {
        let scanners = self.loaded.iter().filter(|(one, _)| one.world == World::Scanner);
        scanners.inspect(|(one, _)| self.count(one.name)).map(|(_, plugin)| plugin)
    }

    /// Note that a plugin is called; a name that is none of theirs is not counted.
    pub(crate) fn count(&self, name: &str) {
        if let Some(uses) = self.uses.get(name) {
            uses.calls.fetch_add(1, Ordering::Relaxed);
            uses.last_us.fetch_max(clock::now_us(), Ordering::Relaxed);
        }
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
/// The address behind the URL may be a private one only in the networks where it was when a person typed it in: a
/// public name cannot be turned inwards later. A metadata address is never dialled.
pub(crate) fn grant_below(
    plugin: &Plugin,
    base: &Url,
    methods: &[&str],
    private_nets: &[String],
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
    let mut set = BTreeSet::new();
    for method in methods {
        set.insert(method.parse::<Method>().map_err(|error| invalid(error.to_string()))?);
    }
    let mut grant = PluginGrant::nothing(plugin.name(), Digest::new(plugin.digest()), 1);
    grant.http.push(HttpRule {
        scheme,
        host: host.clone(),
        port,
        methods: set,
        path_prefix: base.path().parse::<PathPrefix>().map_err(|error| invalid(error.to_string()))?,
        allow_private: private_nets.iter().filter_map(|net| net.parse().ok()).collect(),
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
        // Each grant with the name of its credential: what it was typed for.
        let mut grants: Vec<(PluginGrant, String)> = Vec::new();
        for model in self.0.store.models(scope).await? {
            let name = format!("Model {}", model.name);
            grants.extend(self.model_grant(&model).ok().map(|grant| (grant, name)));
        }
        for instance in self.0.store.integrations(scope).await? {
            let space = instance.settings.get("space").map_or("", String::as_str);
            let name = format!("{} {space}", instance.name).trim_end().to_owned();
            grants.extend(self.integration_grant(&instance).ok().map(|grant| (grant, name)));
        }
        for server in self.0.store.servers(scope).await? {
            let name = server.name.clone();
            grants.extend(self.server_grant(&server).ok().map(|grant| (grant, name)));
        }
        let info = |(one, plugin): &(Shipped, Plugin)| {
            let mut all: Vec<Allowed> = match one.world {
                World::Scanner => vec![Allowed {
                    may: "may read raw text, and has no way out: nothing but its own log".into(),
                    object: String::new(),
                    bounds: String::new(),
                    credential: None,
                }],
                _ => Vec::new(),
            };
            let own = grants.iter().filter(|(grant, _)| grant.plugin == one.name);
            all.extend(own.flat_map(|(grant, credential)| allowed(grant, credential)));
            let uses = self.0.plugins.uses.get(one.name);
            let calls = uses.map_or(0, |uses| uses.calls.load(Ordering::Relaxed));
            PluginInfo {
                name: one.name.into(),
                version: one.version.into(),
                world: one.world.name().into(),
                description: one.description.into(),
                digest: plugin.digest_text(),
                from_cache: plugin.from_cache(),
                size: one.component.len() as u64,
                may: all.iter().map(ToString::to_string).collect(),
                allowed: all,
                calls,
                used_us: uses.filter(|_| calls > 0).map(|uses| uses.last_us.load(Ordering::Relaxed)),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(host: &str) -> Origin {
        Origin { scheme: Scheme::Https, host: host.parse().unwrap(), port: 443 }
    }

    fn grant(credential_for: &str) -> PluginGrant {
        let mut grant = PluginGrant::nothing("integration-confluence", Digest::new([7; 32]), 1);
        grant.http.push(HttpRule {
            scheme: Scheme::Https,
            host: "acme.example.com".parse().unwrap(),
            port: 443,
            methods: ["POST".parse().unwrap()].into(),
            path_prefix: "/wiki".parse().unwrap(),
            allow_private: fumehood_policy::private_networks(),
            max_request_bytes: 256 << 10,
            max_response_bytes: 1 << 20,
        });
        let handle = CredentialId::new().to_string();
        grant.credentials.push(CredentialRule { handle, bound_to: [origin(credential_for)].into() });
        grant
    }

    #[test]
    fn a_grant_reads_as_one_sentence_with_its_credentials_name() {
        let all = allowed(&grant("acme.example.com"), "Confluence OPS");
        let texts: Vec<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            ["may POST to https://acme.example.com/wiki, also in private networks, sending up to 256 KiB a request, \
              receiving up to 1 MiB, with credential Confluence OPS"]
        );
    }

    #[test]
    fn a_credential_that_goes_along_with_no_request_is_told_by_itself() {
        let all = allowed(&grant("other.example.com"), "Confluence OPS");
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].credential, None);
        assert_eq!(all[1].to_string(), "may send credential Confluence OPS to https://other.example.com");
    }

    #[test]
    fn calls_are_counted_by_name() {
        let plugins = Plugins { loaded: Vec::new(), uses: [("a", Uses::default())].into(), kinds: Vec::new() };
        plugins.count("a");
        plugins.count("a");
        plugins.count("scanner");
        assert_eq!(plugins.uses["a"].calls.load(Ordering::Relaxed), 2);
        assert!(plugins.uses["a"].last_us.load(Ordering::Relaxed) > 0);
        assert_eq!(plugins.uses.len(), 1);
    }
}
