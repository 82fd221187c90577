//! Installing, approving, rolling back and removing.
//!
//! Invariant: what is stored is what was looked at: the bytes are in memory from the first check to the transaction, and
//! everything later (approving, loading, calling) goes by their digest. Nothing of a plugin runs before its signature is
//! checked, nothing but a scanner's `prepare` and `detects` before a person has approved it, and neither with a way out.
//! Only a person may do any of this, never a model, a tool or an API token.

use fumehood_policy::{Change, Digest, Manifest, Permission, PluginGrant};
use fumehood_runtime::{Inspection, inspect};
use fumehood_store::Scope;
use fumehood_store::plugins::{NewVersion, PluginVersion, VersionState};
use sha2::Digest as _;

use super::oci::{Reference, SignIn, pull};
use super::registry::{Active, Running};
use super::shipped::{PUBLISHER, source, world};
use super::upgrade::{self, Side};
use super::{signature, upgrade::carried};
use crate::settings::Secret;
use crate::{App, TriageError};

/// What is to be installed.
#[derive(Clone, Debug, Default)]
pub struct Package {
    pub component: Vec<u8>,
    /// The manifest that lies beside the component, where it carries none.
    pub manifest: Option<String>,
    /// A signature file.
    pub signature: Option<String>,
    /// Where it came from, for people.
    pub source: String,
}

/// What became of an installation.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Installed {
    pub name: String,
    pub version: String,
    pub digest: Digest,
    /// Whether it runs already: an upgrade that widens nothing.
    pub active: bool,
    /// What it changes against the version that runs, or asks for where none does.
    pub changes: Vec<String>,
}

/// How often the kill switch is looked at while a scanner is prepared.
const LOOK_AT_SWITCH: std::time::Duration = std::time::Duration::from_millis(100);

/// A package that passed every check, loaded.
struct Checked {
    manifest: Manifest,
    manifest_text: String,
    inspection: Inspection,
    signer: String,
}

fn refused(message: impl Into<String>) -> TriageError {
    TriageError::invalid("plugin", message)
}

impl App {
    /// Install a plugin. A first version, and one that widens anything, waits for an approval, while the version that
    /// runs goes on; `wait` makes every version wait.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` with why it is not taken; `Conflict` where this component is installed already.
    pub async fn install_plugin(&self, scope: &Scope, package: Package, wait: bool) -> Result<Installed, TriageError> {
        self.require(scope, Permission::ManagePlugins)?;
        let result = self.try_install(scope, package, wait).await;
        if let Err((error, digest)) = &result {
            // Who tried to bring in what was refused is worth knowing.
            let change = fumehood_store::Change::new("plugin.install", format!("component:{digest}"));
            let reason = fumehood_audit::clip(&error.to_string(), 1024);
            self.0.store.event(scope, change.with("reason", reason), "refused").await?;
        }
        result.map_err(|(error, _)| error)
    }

    /// Fetch a plugin from a registry, by its digest, and install it. What is fetched is on record before it is.
    ///
    /// # Errors
    /// As [`App::install_plugin`]; `Invalid` where the registry does not give it.
    pub async fn install_from_registry(
        &self,
        scope: &Scope,
        reference: &Reference,
        sign_in: SignIn,
        wait: bool,
    ) -> Result<Installed, TriageError> {
        self.require(scope, Permission::ManagePlugins)?;
        let change = || fumehood_store::Change::new("plugin.fetch", format!("registry:{}", reference.name()));
        let intent = self.0.store.intent(scope, change()).await?;
        let fetched = pull(&self.0.egress, reference, sign_in).await;
        let (change, result) = match &fetched {
            Ok(package) => (change().with("bytes", package.component.len()), "ok"),
            Err(error) => (change().with("reason", fumehood_audit::clip(&error.to_string(), 1024)), "failed"),
        };
        self.0.store.outcome(scope, intent, change, result).await?;
        let package = fetched.map_err(|error| refused(error.to_string()))?;
        self.install_plugin(scope, package, wait).await
    }

    async fn try_install(
        &self,
        scope: &Scope,
        package: Package,
        wait: bool,
    ) -> Result<Installed, (TriageError, Digest)> {
        let digest = Digest::new(sha2::Sha256::digest(&package.component).into());
        let failed = |error: TriageError| (error, digest);
        let package = Package { source: fumehood_policy::shown(&package.source, 200), ..package };
        let checked = self.check(&package, digest).map_err(failed)?;
        // Compiling takes its time, and holds nobody up: what was true before is looked at again afterwards.
        let active = self.try_out(scope, &checked.manifest, digest, &package.component).await.map_err(failed)?;
        let _changing = self.0.plugins.changing.lock().await;
        let checked = self.check(&package, digest).map_err(failed)?;
        let known = self.0.store.plugin_versions(scope).await.map_err(|error| failed(error.into()))?;
        if let Some(known) = known.iter().find(|known| known.digest == digest) {
            let state = known.state.as_str();
            return Err(failed(TriageError::Conflict(format!(
                "This very component is installed already ({} {}, {state}).",
                known.name, known.version
            ))));
        }
        if let Err(error) = &active.plugin {
            return Err(failed(refused(error.clone())));
        }
        let now = self.0.plugins.now();
        let old = now.plugins.get(&checked.manifest.name);
        let new_side = Side { manifest: &checked.manifest, inspection: &checked.inspection, kinds: active.reported() };
        let changes = changes_from(old, &new_side);
        let turned_down = self.0.store.is_plugin_turned_down(scope, digest).await;
        // Who made an unsigned component is its own word alone: it always waits; so does what somebody turned down.
        let wait = wait || checked.signer.is_empty() || turned_down.map_err(|error| failed(error.into()))?;
        let grant = old
            .filter(|old| !wait && old.plugin.is_ok() && !upgrade::widens(&changes))
            .map(|old| carried(&now.grant(old.digest, &old.manifest.name), &checked.manifest, digest));
        let new = NewVersion {
            digest,
            name: checked.manifest.name.clone(),
            version: checked.manifest.version.clone(),
            publisher: checked.manifest.publisher.clone(),
            world: checked.manifest.world.as_str().into(),
            manifest: checked.manifest_text,
            signer: checked.signer,
            source: package.source,
            kinds: serde_json::to_string(&active.kinds).unwrap_or_default(),
            component: package.component,
        };
        self.0.store.install_plugin(scope, new, grant.clone()).await.map_err(|error| failed(error.into()))?;
        if let Some(grant) = grant.clone() {
            let grant = self.stored_grant(scope, grant).await.map_err(failed)?;
            self.run_version(active, grant);
        }
        Ok(Installed {
            name: checked.manifest.name,
            version: checked.manifest.version,
            digest,
            active: grant.is_some(),
            changes: changes.iter().map(ToString::to_string).collect(),
        })
    }

    /// Compile a component; of a scanner, ask it what it can report. That runs it, so it is on record before.
    async fn try_out(
        &self,
        scope: &Scope,
        manifest: &Manifest,
        digest: Digest,
        component: &[u8],
    ) -> Result<Active, TriageError> {
        let load = Active::load(&self.0.runtime, manifest.clone(), digest, component, None);
        self.running_it(scope, manifest, digest, "prepare, detects", load).await
    }

    /// Load a version. Of a scanner that runs its `prepare`, so it is on record before, and ends with its kill switch.
    async fn running_it(
        &self,
        scope: &Scope,
        manifest: &Manifest,
        digest: Digest,
        functions: &str,
        load: impl Future<Output = Active>,
    ) -> Result<Active, TriageError> {
        if manifest.world != fumehood_policy::PluginWorld::Scanner {
            return Ok(load.await);
        }
        let stopped = || {
            let now = self.0.plugins.now();
            now.stop_of(manifest).map(|stop| {
                TriageError::Conflict(format!(
                    "A scanner is run once before it is put to use, to prepare it, and {} is stopped by the kill switch \
                     `{}`. Put that back first.",
                    manifest.name, stop.target
                ))
            })
        };
        if let Some(stopped) = stopped() {
            return Err(stopped);
        }
        let change = || {
            fumehood_store::Change::new("plugin.ask", format!("plugin:{}", manifest.name))
                .with("digest", digest)
                .with("functions", functions)
        };
        let intent = self.0.store.intent(scope, change()).await?;
        let until_stopped = async {
            loop {
                tokio::time::sleep(LOOK_AT_SWITCH).await;
                if let Some(stopped) = stopped() {
                    return stopped;
                }
            }
        };
        // What is dropped on the way takes its child process with it.
        let active = tokio::select! {
            stopped = until_stopped => Err(stopped),
            active = load => Ok(active),
        };
        let result = match &active {
            Ok(active) if active.plugin.is_ok() => "ok",
            Ok(_) => "failed",
            Err(_) => "cancelled",
        };
        self.0.store.outcome(scope, intent, change(), result).await?;
        active
    }

    /// Everything that can be said without compiling.
    fn check(&self, package: &Package, digest: Digest) -> Result<Checked, TriageError> {
        let inspection = inspect("The component", &package.component).map_err(|error| refused(error.to_string()))?;
        let manifest_text = match (&inspection.manifest, &package.manifest) {
            (Some(_), Some(_)) => {
                return Err(refused("The component carries a manifest, and another one lies beside it; remove that."));
            }
            (Some(text), None) | (None, Some(text)) => text.clone(),
            (None, None) => {
                return Err(refused(
                    "There is no manifest: neither in the component nor beside it. `fumehood plugin build` puts \
                     fumehood.toml into the component; without it, name the file with --manifest.",
                ));
            }
        };
        let manifest = Manifest::parse(&manifest_text).map_err(|error| refused(sentence(&error.to_string())))?;
        if world(manifest.world) != inspection.world {
            return Err(refused(format!(
                "The manifest says that {} is a {}, and the component is a {}.",
                manifest.name,
                manifest.world,
                inspection.world.name()
            )));
        }
        let now = self.0.plugins.now();
        if manifest.publisher == PUBLISHER || now.plugins.get(&manifest.name).is_some_and(|active| active.ships) {
            return Err(refused(format!(
                "The name `{}` or its publisher `{}` belongs to a plugin that ships with Fumehood; choose another.",
                manifest.name, manifest.publisher
            )));
        }
        let beside = package.manifest.as_deref();
        let signer = match &package.signature {
            Some(text) => {
                let key = signature::verify(&now.policy, &manifest.publisher, &package.component, beside, text);
                key.map_err(|error| refused(format!("{} is not taken: {error}.", manifest.name)))?
            }
            None if now.policy.allow_unsigned.contains(&digest) && beside.is_some() => {
                return Err(refused(format!(
                    "{} is unsigned, and its digest in policy.toml does not cover a manifest that lies beside the \
                     component. Put it in with `fumehood plugin pack`, and allow the digest of that.",
                    manifest.name
                )));
            }
            None if now.policy.allow_unsigned.contains(&digest) => String::new(),
            None => {
                return Err(refused(format!(
                    "{} is not signed. Have its publisher sign it (`fumehood plugin sign`, or minisign). To take this one \
                     component all the same, an operator adds its digest to policy.toml: \
                     allow-unsigned = [\"sha256:{digest}\"]",
                    manifest.name
                )));
            }
        };
        Ok(Checked { manifest, manifest_text, inspection, signer })
    }

    /// Let a version run from now on. What is in the store already says the same.
    fn run_version(&self, active: Active, grant: PluginGrant) {
        self.0.plugins.change(|now| {
            now.grants.insert(grant.digest, grant);
            now.run(active);
        });
    }

    /// Approve a version that waits: it runs from now on, with this grant.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict` where it does not wait or cannot be loaded.
    pub async fn approve_plugin(&self, scope: &Scope, grant: PluginGrant) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageGrants)?;
        // Where it is not in the cache it is compiled, which holds nobody up: what was true is looked at again after it.
        let version = self.version(scope, grant.digest).await?;
        let active = self.load_version(scope, &version).await?;
        let _changing = self.0.plugins.changing.lock().await;
        let version = self.version(scope, grant.digest).await?;
        if version.state != VersionState::Waiting {
            return Err(TriageError::Conflict(format!(
                "{} {} does not wait for an approval.",
                version.name, version.version
            )));
        }
        self.activate(scope, "plugin.approve", &version, active?, grant).await
    }

    /// Turn a version that waits down.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict`.
    pub async fn refuse_plugin(&self, scope: &Scope, digest: Digest) -> Result<(), TriageError> {
        self.require(scope, Permission::ManagePlugins)?;
        let _changing = self.0.plugins.changing.lock().await;
        let version = self.version(scope, digest).await?;
        Ok(self.0.store.refuse_plugin(scope, &version.name, digest).await?)
    }

    /// Go back to the version that ran before, with the grant that it had.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict` where there is none.
    pub async fn roll_back_plugin(&self, scope: &Scope, name: &str) -> Result<PluginVersion, TriageError> {
        self.require(scope, Permission::ManagePlugins)?;
        let before = self.version_before(scope, name).await?;
        let active = self.load_version(scope, &before).await?;
        let _changing = self.0.plugins.changing.lock().await;
        if self.version_before(scope, name).await?.digest != before.digest {
            return Err(TriageError::Conflict(format!("{name} was changed meanwhile; look at it again.")));
        }
        let now = self.0.plugins.now();
        let grant = now.grant(before.digest, name);
        // What security took away meanwhile does not come back by the way.
        let current = now.plugins.get(name).map(|active| now.grant(active.digest, name));
        if current.is_some_and(|current| fumehood_policy::diff(&current, &grant).widens()) {
            self.require(scope, Permission::ManageGrants)?;
        }
        self.activate(scope, "plugin.rollback", &before, active?, grant).await?;
        Ok(before)
    }

    /// Remove a plugin with all its versions and grants. Ours cannot be removed, only stopped.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict` where it is in use.
    pub async fn remove_plugin(&self, scope: &Scope, name: &str) -> Result<(), TriageError> {
        self.require(scope, Permission::ManagePlugins)?;
        let _changing = self.0.plugins.changing.lock().await;
        if self.0.plugins.now().plugins.get(name).is_some_and(|active| active.ships) {
            return Err(TriageError::Conflict(format!("{name} ships with Fumehood: stop it instead.")));
        }
        self.0.store.remove_plugin(scope, name).await?;
        self.0.plugins.change(|now| {
            now.plugins.remove(name);
            now.grants.retain(|_, grant| grant.plugin != name);
        });
        self.0.plugins.cancel_stopped();
        Ok(())
    }

    /// Change what the version that runs is granted.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound` where this digest does not run; `Conflict` where the grant that was `seen`, by its
    /// generation, is not the one in force: somebody else has decided since.
    pub async fn grant_plugin(&self, scope: &Scope, grant: PluginGrant, seen: Option<u64>) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageGrants)?;
        let _changing = self.0.plugins.changing.lock().await;
        let now = self.0.plugins.now();
        let active = now.plugins.get(&grant.plugin).filter(|active| active.digest == grant.digest);
        active.ok_or(TriageError::NotFound { what: "running plugin of this digest" })?;
        if seen.is_some_and(|seen| seen != now.grant(grant.digest, &grant.plugin).generation) {
            return Err(TriageError::Conflict(
                "The grant was changed meanwhile. Nothing was saved; look at what it is now, and decide again.".into(),
            ));
        }
        self.0.store.set_plugin_grant(scope, grant.clone()).await?;
        let grant = self.stored_grant(scope, grant).await?;
        self.0.plugins.change(|now| {
            now.grants.insert(grant.digest, grant);
        });
        Ok(())
    }

    /// Keep, or with nothing forget, the secret behind a handle that a plugin names.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Invalid`.
    pub async fn set_plugin_secret(
        &self,
        scope: &Scope,
        name: &str,
        handle: &str,
        kind: &str,
        username: &str,
        secret: Secret,
    ) -> Result<(), TriageError> {
        use secrecy::ExposeSecret as _;
        self.require(scope, Permission::ManageIntegrations)?;
        let now = self.0.plugins.now();
        let active = now.plugins.get(name).ok_or(TriageError::NotFound { what: "plugin" })?;
        if !active.manifest.secrets.iter().any(|ask| ask.rule.handle == handle) {
            return Err(TriageError::NotFound { what: "secret of this plugin" });
        }
        let secret = match secret {
            Secret::Set(secret) => Some(secret),
            Secret::Forget => None,
            Secret::Keep => return Err(TriageError::invalid("secret", "Type the secret.")),
        };
        let kind = match kind {
            "" | "bearer" => "bearer",
            "basic" => "basic",
            "raw" => "raw",
            _ => return Err(TriageError::invalid("kind", "A secret is sent as bearer, basic or raw.")),
        };
        if secret.as_ref().is_some_and(|secret| secret.expose_secret().chars().any(|c| c.is_control() || !c.is_ascii()))
        {
            return Err(TriageError::invalid(
                "secret",
                "The secret holds characters that cannot be sent; was it copied whole?",
            ));
        }
        Ok(self.0.store.set_plugin_secret(scope, name, handle, kind, username.trim().into(), secret).await?)
    }

    /// The version that ran before the one that runs.
    async fn version_before(&self, scope: &Scope, name: &str) -> Result<PluginVersion, TriageError> {
        let versions = self.0.store.plugin_versions(scope).await?;
        let former = versions.into_iter().filter(|one| one.name == name && one.state == VersionState::Former);
        former
            .max_by_key(|one| one.activated_us)
            .ok_or_else(|| TriageError::Conflict(format!("There is no version of {name} that ran before this one.")))
    }

    /// A stored version, loaded; or, within, why it cannot run.
    async fn load_version(
        &self,
        scope: &Scope,
        version: &PluginVersion,
    ) -> Result<Result<Active, TriageError>, TriageError> {
        let manifest = Manifest::parse(&version.manifest).map_err(|error| TriageError::Internal(error.to_string()))?;
        let kinds = serde_json::from_str(&version.kinds).unwrap_or_default();
        // The digest is checked again as it is read: a component that was changed in the store is not run.
        let component = self.0.store.plugin_component(scope, version.digest).await?;
        let load = Active::load(&self.0.runtime, manifest.clone(), version.digest, &component, Some(kinds));
        // What is in the cache is not run to be loaded: going back to it is possible while all is stopped.
        let active = if self.0.runtime.is_prepared(&source(&manifest, &component)) {
            load.await
        } else {
            self.running_it(scope, &manifest, version.digest, "prepare", load).await?
        };
        Ok(match &active.plugin {
            Err(error) => Err(TriageError::Conflict(format!("{} cannot run: {error}", version.name))),
            Ok(_) => Ok(active),
        })
    }

    async fn version(&self, scope: &Scope, digest: Digest) -> Result<PluginVersion, TriageError> {
        let versions = self.0.store.plugin_versions(scope).await?;
        versions.into_iter().find(|one| one.digest == digest).ok_or(TriageError::NotFound { what: "plugin version" })
    }

    /// A grant as it was stored: with its generation.
    async fn stored_grant(&self, scope: &Scope, grant: PluginGrant) -> Result<PluginGrant, TriageError> {
        let stored = self.0.store.plugin_grants(scope).await?;
        let found = stored.into_iter().find(|one| one.grant.digest == grant.digest);
        Ok(found.map_or(grant, |one| one.grant))
    }

    async fn activate(
        &self,
        scope: &Scope,
        action: &'static str,
        version: &PluginVersion,
        active: Active,
        grant: PluginGrant,
    ) -> Result<(), TriageError> {
        let grant = PluginGrant { plugin: version.name.clone(), digest: version.digest, ..grant };
        let policy = &self.0.plugins.now().policy;
        let trusted = if version.signer.is_empty() {
            policy.allow_unsigned.contains(&version.digest)
        } else {
            policy.publishers.get(&version.publisher).is_some_and(|publisher| publisher.keys.contains(&version.signer))
        };
        if !trusted {
            return Err(TriageError::Conflict(format!(
                "{} {} is not trusted any more: what it was signed with, or its digest, is gone from policy.toml.",
                version.name, version.version
            )));
        }
        self.0.store.activate_plugin(scope, action, version.digest, grant.clone()).await?;
        let grant = self.stored_grant(scope, grant).await?;
        self.run_version(active, grant);
        Ok(())
    }
}

/// What a version changes against the one that runs.
pub(super) fn changes_from(old: Option<&Active>, new: &Side<'_>) -> Vec<Change> {
    if let Some(old) = old
        && let Ok(plugin) = &old.plugin
    {
        let kinds = old.reported();
        return upgrade::changes(&Side { manifest: &old.manifest, inspection: plugin.inspection(), kinds }, new);
    }
    let digest = Digest::new([0; 32]);
    fumehood_policy::diff(&PluginGrant::nothing("", digest, 0), &new.manifest.asks(digest)).changes
}

/// What a waiting version changes, from what is stored of it.
pub(super) fn changes_of(now: &Running, version: &PluginVersion, component: &[u8]) -> Option<Vec<Change>> {
    let manifest = Manifest::parse(&version.manifest).ok()?;
    let inspection = inspect(&version.name, component).ok()?;
    let kinds: Vec<fumehood_runtime::KindInfo> = serde_json::from_str(&version.kinds).unwrap_or_default();
    let mut kinds: Vec<_> = kinds.into_iter().map(|kind| (kind.name, kind.group)).collect();
    kinds.sort();
    let mut changes =
        changes_from(now.plugins.get(&version.name), &Side { manifest: &manifest, inspection: &inspection, kinds });
    if version.signer.is_empty() {
        let what = "is not signed: who made it is its own word alone".to_owned();
        changes.insert(0, Change { direction: fumehood_policy::Direction::Widening, what });
    }
    Some(changes)
}

/// A message as a sentence.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first: String = characters.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", characters.as_str().trim_end_matches('.'))
}
