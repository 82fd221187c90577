//! What pages and commands show of plugins.

use std::fmt;

use fumehood_policy::{
    CeilingRule, ConfiguredRule, CredentialRule, Digest, HttpRule, HttpTarget, Manifest, Origin, Permission,
    PluginGrant, Sentence, effective,
};
use fumehood_store::plugins::{CallNumbers, PluginLogLine, PluginVersion, SeenDenial, Stop, Traffic, VersionState};
use fumehood_store::{Scope, clock};

use super::install::changes_of;
use super::numbers::hour_of;
use super::reach::Reach;
use super::registry::{Active, Running};
use crate::{App, TriageError};

/// Hours that numbers are shown for.
const SHOWN_HOURS: i64 = 24;

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

    fn words(may: impl Into<String>) -> Self {
        Self { may: may.into(), object: String::new(), bounds: String::new(), credential: None }
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
pub(super) fn allowed(grant: &PluginGrant, credential: &str) -> Vec<Allowed> {
    let goes_along = |rule: &HttpRule, credential: &CredentialRule| {
        let origin = Origin { scheme: rule.scheme, host: rule.host.clone(), port: rule.port };
        credential.bound_to.iter().any(|bound| bound.covers(&origin))
    };
    let named = |rule: &CredentialRule| {
        if rule.handle == super::reach::CREDENTIAL && !credential.is_empty() {
            credential.to_owned()
        } else {
            rule.handle.clone()
        }
    };
    let mut all: Vec<Allowed> = Vec::new();
    for rule in &grant.http {
        let with: Vec<String> = grant.credentials.iter().filter(|one| goes_along(rule, one)).map(named).collect();
        let with = (!with.is_empty()).then(|| with.join(" and "));
        all.push(Allowed::of(rule.sentence(), with));
    }
    for one in grant.credentials.iter().filter(|one| !grant.http.iter().any(|rule| goes_along(rule, one))) {
        let to: Vec<String> = one.bound_to.iter().map(Origin::to_string).collect();
        all.push(Allowed {
            object: if to.is_empty() { "nowhere".into() } else { to.join(", ") },
            ..Allowed::words(format!("may send credential {} to", named(one)))
        });
    }
    all.extend(grant.configured.iter().map(|rule| Allowed::of(rule.sentence(), None)));
    all.extend(grant.processes.iter().map(|rule| Allowed::of(rule.sentence(), None)));
    if grant.configured_process {
        all.push(Allowed::words(fumehood_policy::CONFIGURED_PROCESS));
    }
    if grant.kv_bytes > 0 {
        all.push(Allowed::words(format!("may keep up to {} of its own", fumehood_policy::size_text(grant.kv_bytes))));
    }
    all
}

/// A plugin for the page that lists them.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PluginInfo {
    pub name: String,
    pub version: String,
    pub publisher: String,
    pub world: String,
    pub description: String,
    pub digest: Digest,
    pub ships: bool,
    /// Of the component, bytes.
    pub size: u64,
    /// `ready`, `stopped` or `failed`.
    pub state: &'static str,
    /// Why it is stopped or failed.
    pub problem: String,
    /// What it may do, as sentences.
    pub may: Vec<String>,
    /// The same, in parts.
    pub allowed: Vec<Allowed>,
    /// Of the last 24 hours.
    #[serde(skip)]
    pub calls: CallNumbers,
    /// A version that waits for an approval.
    pub waiting: Option<String>,
}

/// Something that a version asks for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// What, without its subject.
    pub what: Allowed,
    /// Why, in the author's words.
    pub reason: String,
    /// What the organisation's ceiling leaves of it: nothing where it leaves all.
    pub ceiling: Option<Vec<String>>,
    /// What granting it as it is asked for adds to a grant.
    pub part: PluginGrant,
    /// Whether all of it is granted.
    pub granted: bool,
}

/// A version that waits, with what it changes.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub version: PluginVersion,
    /// Against the version that runs: what is new and what is gone.
    pub changes: Vec<fumehood_policy::Change>,
    pub asks: Vec<Ask>,
    /// The version of this plugin that runs.
    pub upgrades: Option<String>,
    /// What of that version's grant this one would have; nothing where none runs.
    pub carried: Option<PluginGrant>,
    pub manifest: Manifest,
}

/// Everything about one plugin.
#[derive(Clone, Debug)]
pub struct PluginDetail {
    /// Nothing where no version of it runs yet.
    pub info: Option<PluginInfo>,
    pub name: String,
    pub asks: Vec<Ask>,
    /// What the version that runs is granted, before the ceiling.
    pub grant: Option<PluginGrant>,
    pub imports: Vec<String>,
    pub traffic: Vec<Traffic>,
    pub denials: Vec<SeenDenial>,
    pub versions: Vec<PluginVersion>,
    pub waiting: Vec<Waiting>,
    pub stops: Vec<Stop>,
    /// Handles of secrets, whether each is set.
    pub secrets: Vec<(String, bool)>,
}

/// The whole page of plugins.
#[derive(Clone, Debug)]
pub struct PluginList {
    pub plugins: Vec<PluginInfo>,
    /// Versions that wait whose plugin does not run yet.
    pub waiting: Vec<PluginVersion>,
    pub stops: Vec<Stop>,
    /// Files of the drop-in folder that were not taken, and why.
    pub refused: Vec<(String, String)>,
    /// Why the policy file is not in force as it stands.
    pub policy_problem: Option<String>,
    pub policy_path: String,
    pub folder: String,
}

/// The asks of a manifest, beside what is granted and what the ceiling leaves.
fn asks(now: &Running, manifest: &Manifest, digest: Digest, grant: &PluginGrant) -> Vec<Ask> {
    let nothing = || PluginGrant::nothing(&manifest.name, digest, 0);
    let mut all: Vec<(String, PluginGrant)> = Vec::new();
    for ask in &manifest.http {
        let part = match &ask.target {
            HttpTarget::Fixed(rule) => PluginGrant { http: vec![rule.clone()], ..nothing() },
            HttpTarget::Configured(rule) => PluginGrant { configured: vec![rule.clone()], ..nothing() },
        };
        all.push((ask.reason.clone(), part));
    }
    for ask in &manifest.secrets {
        all.push((ask.reason.clone(), PluginGrant { credentials: vec![ask.rule.clone()], ..nothing() }));
    }
    if let Some(kv) = &manifest.kv {
        all.push((kv.reason.clone(), PluginGrant { kv_bytes: kv.bytes, ..nothing() }));
    }
    for ask in &manifest.processes {
        let part = match &ask.rule {
            Some(rule) => PluginGrant { processes: vec![rule.clone()], ..nothing() },
            None => PluginGrant { configured_process: true, ..nothing() },
        };
        all.push((ask.reason.clone(), part));
    }
    all.into_iter()
        .filter_map(|(reason, part)| {
            let ceilings = || now.policy.ceilings(&manifest.publisher, manifest.world);
            let left = effective(&part, ceilings());
            let cut = fumehood_policy::diff(&left, &part).widens();
            let left = || allowed(&left, "").iter().map(ToString::to_string).collect();
            // Which server or program it will be is not known yet: what the ceilings say of all of them is told.
            let named_later = if !part.configured.is_empty() {
                named_later(ceilings().map(|ceiling| {
                    ceiling.http.as_ref().map(|rules| rules.iter().map(CeilingRule::sentence).collect())
                }))
            } else if part.configured_process {
                named_later(ceilings().map(|ceiling| {
                    ceiling.processes.as_ref().map(|rules| rules.iter().map(ToString::to_string).collect())
                }))
            } else {
                None
            };
            Some(Ask {
                what: allowed(&part, "").into_iter().next()?,
                reason,
                ceiling: cut.then(left).or(named_later),
                granted: !fumehood_policy::diff(grant, &part).widens(),
                part,
            })
        })
        .collect()
}

/// What ceilings leave of what is named later, in the sentences of each; nothing where none of them says anything.
fn named_later(ceilings: impl Iterator<Item = Option<Vec<String>>>) -> Option<Vec<String>> {
    let said: Vec<Vec<String>> = ceilings.flatten().collect();
    if said.iter().any(Vec::is_empty) {
        return Some(Vec::new());
    }
    let one = |rules: Vec<String>| format!("only what it {}", rules.join(", or "));
    (!said.is_empty()).then(|| said.into_iter().map(one).collect())
}

impl App {
    /// The plugins, and what they may do.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn plugins(&self, scope: &Scope) -> Result<Vec<PluginInfo>, TriageError> {
        Ok(self.plugin_list(scope).await?.plugins)
    }

    /// The plugins, what waits, and what is stopped.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn plugin_list(&self, scope: &Scope) -> Result<PluginList, TriageError> {
        self.require(scope, Permission::ReadPlugins)?;
        self.write_plugin_numbers().await?;
        let now = self.0.plugins.now();
        let reaches = self.reaches(scope).await?;
        let calls = self.0.store.plugin_calls(scope, hour_of(clock::now_us()) - SHOWN_HOURS).await?;
        let versions = self.0.store.plugin_versions(scope).await?;
        let info = |active: &Active| self.info(&now, active, &reaches, &calls, &versions);
        let waits = |one: &PluginVersion| one.state == VersionState::Waiting && !now.plugins.contains_key(&one.name);
        Ok(PluginList {
            plugins: now.plugins.values().map(info).collect(),
            waiting: versions.iter().filter(|one| waits(one)).cloned().collect(),
            stops: now.stops.clone(),
            refused: self.0.plugins.arrivals.problems(),
            policy_problem: self.0.plugins.policy_file.problem(),
            policy_path: self.0.plugins.policy_file.path().display().to_string(),
            folder: self.0.store.folder().join(super::arrivals::FOLDER).display().to_string(),
        })
    }

    /// Each instance that is set up, with the name of its credential: what it was typed for.
    async fn reaches(&self, scope: &Scope) -> Result<Vec<(Reach, String)>, TriageError> {
        let mut reaches: Vec<(Reach, String)> = Vec::new();
        for model in self.0.store.models(scope).await? {
            let name = format!("Model {}", model.name);
            reaches.extend(self.model_reach(&model).ok().map(|reach| (reach, name)));
        }
        for instance in self.0.store.integrations(scope).await? {
            let space = instance.settings.get("space").map_or("", String::as_str);
            let name = format!("{} {space}", instance.name).trim_end().to_owned();
            reaches.extend(self.integration_reach(&instance).ok().map(|reach| (reach, name)));
        }
        for server in self.0.store.servers(scope).await? {
            let name = server.name.clone();
            reaches.extend(self.server_reach(&server).ok().map(|reach| (reach, name)));
        }
        Ok(reaches)
    }

    fn info(
        &self,
        now: &Running,
        active: &Active,
        reaches: &[(Reach, String)],
        calls: &[(String, CallNumbers)],
        versions: &[PluginVersion],
    ) -> PluginInfo {
        let manifest = &active.manifest;
        let stop = now.stop_of(manifest);
        let (state, problem) = match (&active.plugin, stop) {
            (Err(error), _) => ("failed", error.clone()),
            (Ok(_), Some(stop)) if stop.reason.is_empty() => {
                ("stopped", format!("by the kill switch `{}`", stop.target))
            }
            (Ok(_), Some(stop)) => ("stopped", format!("by the kill switch `{}`: {}", stop.target, stop.reason)),
            (Ok(_), None) => ("ready", String::new()),
        };
        let grant = now.grant(active.digest, &manifest.name);
        let mut all: Vec<Allowed> = match manifest.world {
            fumehood_policy::PluginWorld::Scanner => {
                vec![Allowed::words("may read raw text, and has no way out: nothing but its own log")]
            }
            _ => Vec::new(),
        };
        let ceilings = || now.policy.ceilings(&manifest.publisher, manifest.world);
        let own: Vec<&(Reach, String)> = reaches.iter().filter(|(reach, _)| reach.plugin == manifest.name).collect();
        for (reach, credential) in &own {
            all.extend(allowed(&reach.effective(&grant, ceilings()), credential));
        }
        if own.is_empty() {
            all.extend(allowed(&effective(&grant, ceilings()), ""));
        }
        let mut distinct: Vec<Allowed> = Vec::new();
        for one in all {
            if !distinct.contains(&one) {
                distinct.push(one);
            }
        }
        let waiting = versions.iter().find(|one| one.name == manifest.name && one.state == VersionState::Waiting);
        PluginInfo {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            publisher: manifest.publisher.clone(),
            world: manifest.world.as_str().into(),
            description: manifest.description.clone(),
            digest: active.digest,
            ships: active.ships,
            size: active.bytes,
            state,
            problem,
            may: distinct.iter().map(ToString::to_string).collect(),
            allowed: distinct,
            calls: calls
                .iter()
                .find(|(name, _)| *name == manifest.name)
                .map(|(_, calls)| calls.clone())
                .unwrap_or_default(),
            waiting: waiting.map(|one| one.version.clone()),
        }
    }

    /// Everything about one plugin.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn plugin(&self, scope: &Scope, name: &str) -> Result<PluginDetail, TriageError> {
        let list = self.plugin_list(scope).await?;
        let now = self.0.plugins.now();
        let mut versions = self.0.store.plugin_versions(scope).await?;
        versions.retain(|one| one.name == name);
        let active = now.plugins.get(name);
        if active.is_none() && versions.is_empty() {
            return Err(TriageError::NotFound { what: "plugin" });
        }
        let mut waiting = Vec::new();
        for version in versions.iter().filter(|one| one.state == VersionState::Waiting) {
            let manifest =
                Manifest::parse(&version.manifest).map_err(|error| TriageError::Internal(error.to_string()))?;
            let component = self.0.store.plugin_component(scope, version.digest).await?;
            let carried = active
                .map(|active| super::upgrade::carried(&now.grant(active.digest, name), &manifest, version.digest));
            let granted = carried.clone().unwrap_or_else(|| PluginGrant::nothing(name, version.digest, 0));
            waiting.push(Waiting {
                changes: changes_of(&now, version, &component).unwrap_or_default(),
                asks: asks(&now, &manifest, version.digest, &granted),
                upgrades: active.map(|active| active.manifest.version.clone()),
                carried,
                version: version.clone(),
                manifest,
            });
        }
        let since = hour_of(clock::now_us()) - SHOWN_HOURS;
        let mut traffic: Vec<Traffic> = Vec::new();
        for (plugin, one) in self.0.store.plugin_traffic(scope, since).await?.into_iter() {
            if plugin != name || one.host == super::registry::CEILING {
                continue;
            }
            match traffic.iter_mut().find(|sum| sum.host == one.host) {
                Some(sum) => sum.add(&one),
                None => traffic.push(one),
            }
        }
        traffic.sort_by_key(|one| std::cmp::Reverse(one.sent_bytes));
        let grant = active.map(|active| now.grant(active.digest, name));
        let mut secrets = Vec::new();
        for ask in active.iter().flat_map(|active| active.manifest.secrets.iter()) {
            let set = self.0.store.plugin_secret(scope, name, &ask.rule.handle).await?.is_some();
            secrets.push((ask.rule.handle.clone(), set));
        }
        Ok(PluginDetail {
            info: list.plugins.into_iter().find(|one| one.name == name),
            name: name.to_owned(),
            asks: match (active, &grant) {
                (Some(active), Some(grant)) => asks(&now, &active.manifest, active.digest, grant),
                _ => Vec::new(),
            },
            grant,
            imports: active
                .and_then(|active| active.plugin.as_ref().ok())
                .map(|plugin| plugin.inspection().imports.clone())
                .unwrap_or_default(),
            traffic,
            denials: {
                let all = self.0.store.plugin_denials(scope).await?;
                all.into_iter().filter(|one| one.plugin == name).collect()
            },
            versions,
            waiting,
            stops: list.stops,
            secrets,
        })
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

/// A grant put together from parts, each as it was asked for or narrower.
#[must_use]
pub fn sum(name: &str, digest: Digest, parts: impl IntoIterator<Item = PluginGrant>) -> PluginGrant {
    parts.into_iter().fold(PluginGrant::nothing(name, digest, 0), |mut sum, part| {
        sum.http.extend(part.http);
        sum.configured.extend(part.configured);
        sum.credentials.extend(part.credentials);
        sum.processes.extend(part.processes);
        sum.kv_bytes = sum.kv_bytes.max(part.kv_bytes);
        sum.configured_process |= part.configured_process;
        sum
    })
}

/// The bytes of a rule, whichever it is.
#[must_use]
pub fn rule_bounds(part: &PluginGrant) -> Option<(u64, u64, Option<u64>, Option<u64>)> {
    let of_http = |rule: &HttpRule| {
        (
            rule.max_request_bytes,
            rule.max_response_bytes,
            rule.max_request_bytes_per_hour,
            rule.max_response_bytes_per_hour,
        )
    };
    let of_configured = |rule: &ConfiguredRule| {
        (
            rule.max_request_bytes,
            rule.max_response_bytes,
            rule.max_request_bytes_per_hour,
            rule.max_response_bytes_per_hour,
        )
    };
    part.http.first().map(of_http).or_else(|| part.configured.first().map(of_configured))
}

#[cfg(test)]
mod tests {
    use fumehood_policy::Scheme;

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
            loopback_only: false,
            max_request_bytes: 256 << 10,
            max_response_bytes: 1 << 20,
            max_request_bytes_per_hour: None,
            max_response_bytes_per_hour: None,
        });
        let handle = super::super::reach::CREDENTIAL.to_owned();
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
}
