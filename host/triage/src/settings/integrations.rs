//! Integrations that an organisation installed: set up by the settings that their manifests name, tested and published to
//! like the one that ships.

use std::collections::BTreeMap;

use fumehood_policy::{Manifest, Permission, PluginWorld, Setting};
use fumehood_runtime::Integration;
use fumehood_store::outside::IntegrationInstance;
use fumehood_store::{IntegrationId, Scope};
use url::Url;

use super::confluence::CONFLUENCE;
use super::{Secret, check_url, origin, private_nets};
use crate::call::Purpose;
use crate::plugins::{CREDENTIAL, Reach};
use crate::{App, TriageError};

/// Names among an instance's settings that no manifest can use: what it publishes to.
const PROJECT: &str = ".project";
const PARENT: &str = ".parent";
const USERNAME: &str = ".username";
const SENT_AS: &str = ".sent-as";
/// What the last test said: `no` where its service has nothing to publish to.
const PUBLISHES: &str = ".publishes";

/// Longest value of a setting, characters.
const VALUE: usize = 2000;

/// A plugin that can be set up, with what it asks for.
#[derive(Clone, Debug)]
pub struct PluginSettings {
    pub plugin: String,
    pub description: String,
    /// The setting that names its server; nothing where it has fixed ones.
    pub server: Option<String>,
    /// What its manifest says about that setting, where it says something.
    pub about_server: Option<Setting>,
    pub settings: Vec<Setting>,
}

impl PluginSettings {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        let server = manifest.server_setting().map(str::to_owned);
        // The address has a field of its own.
        let about_server = manifest.settings.iter().find(|one| Some(&one.key) == server.as_ref()).cloned();
        let others = manifest.settings.iter().filter(|one| Some(&one.key) != server.as_ref()).cloned();
        Self {
            plugin: manifest.name.clone(),
            description: manifest.description.clone(),
            settings: others.collect(),
            about_server,
            server,
        }
    }

    /// The values of a form, by key, checked.
    ///
    /// # Errors
    /// `Invalid` for `settings`, with the label of the one that is wrong.
    pub(super) fn checked(&self, typed: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, TriageError> {
        let mut values = BTreeMap::new();
        for setting in &self.settings {
            let value = typed.get(&setting.key).map(|value| value.trim()).unwrap_or_default();
            let wrong = |why: &str| Err(TriageError::invalid("settings", format!("{}: {why}", setting.label)));
            let value = if value.is_empty() { setting.default.as_str() } else { value };
            if value.is_empty() && !setting.optional {
                return wrong("this has to be filled in.");
            }
            if !value.is_empty() && !setting.choices.is_empty() && !setting.choices.iter().any(|one| one == value) {
                return wrong(&format!("choose one of {}.", setting.choices.join(", ")));
            }
            if value.chars().count() > VALUE || value.chars().any(char::is_control) {
                return wrong("this is too long, or holds a line break or another control character.");
            }
            if !value.is_empty() {
                values.insert(setting.key.clone(), value.to_owned());
            }
        }
        Ok(values)
    }
}

/// What a person writes about an integration.
#[derive(Default)]
pub struct IntegrationFields {
    pub base_url: String,
    /// By the manifest's keys.
    pub settings: BTreeMap<String, String>,
    /// `bearer`, `basic` or `raw`.
    pub sent_as: String,
    pub username: String,
    pub token: Secret,
    /// What is published to: a space, a queue, a repository; as its service calls it. May be empty.
    pub project: String,
    /// The object above; may be empty.
    pub parent: String,
}

/// An instance that is set up, in the words of its form.
#[derive(Clone, Debug)]
pub struct StoredFields {
    pub project: String,
    pub parent: String,
    pub username: String,
    pub sent_as: String,
}

/// Of an instance, what is published to and the object above it.
pub(crate) fn destination(instance: &IntegrationInstance) -> (String, Option<String>) {
    let (project, parent) = if instance.plugin == CONFLUENCE { ("space", "parent") } else { (PROJECT, PARENT) };
    let get = |key| instance.settings.get(key).cloned().unwrap_or_default();
    (get(project), Some(get(parent)).filter(|parent| !parent.is_empty()))
}

/// Whether a document can be published with it, as far as is known.
pub(crate) fn publishes(instance: &IntegrationInstance) -> bool {
    instance.settings.get(PUBLISHES).is_none_or(|said| said != "no")
}

impl StoredFields {
    /// Those of an instance.
    #[must_use]
    pub fn of(instance: &IntegrationInstance) -> Self {
        let (project, parent) = destination(instance);
        let get = |key| instance.settings.get(key).cloned().unwrap_or_default();
        Self { project, parent: parent.unwrap_or_default(), username: get(USERNAME), sent_as: get(SENT_AS) }
    }
}

impl App {
    /// Integrations that were installed, with what they ask for.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn installed_integrations(&self, scope: &Scope) -> Result<Vec<PluginSettings>, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        let all = self.0.plugins.of_world(PluginWorld::Integration);
        Ok(all.iter().filter(|manifest| manifest.name != CONFLUENCE).map(|one| PluginSettings::of(one)).collect())
    }

    fn installed_integration(&self, scope: &Scope, plugin: &str) -> Result<PluginSettings, TriageError> {
        let all = self.installed_integrations(scope)?;
        all.into_iter().find(|one| one.plugin == plugin).ok_or(TriageError::NotFound { what: "installed integration" })
    }

    /// Every integration that is set up.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn integrations(&self, scope: &Scope) -> Result<Vec<IntegrationInstance>, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        Ok(self.0.store.integrations(scope).await?)
    }

    async fn instance_of(&self, scope: &Scope, plugin: &str) -> Result<Option<IntegrationInstance>, TriageError> {
        Ok(self.integrations(scope).await?.into_iter().find(|one| one.plugin == plugin))
    }

    /// Set an installed integration up, or change it.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Invalid`.
    pub async fn set_integration(
        &self,
        scope: &Scope,
        plugin: &str,
        fields: IntegrationFields,
    ) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageIntegrations)?;
        let about = self.installed_integration(scope, plugin)?;
        let mut settings = about.checked(&fields.settings)?;
        for (field, key, value) in [
            ("project", PROJECT, &fields.project),
            ("parent", PARENT, &fields.parent),
            ("username", USERNAME, &fields.username),
        ] {
            let value = value.trim();
            if value.chars().count() > VALUE || value.chars().any(char::is_control) {
                return Err(TriageError::invalid(field, "This is too long, or holds a control character."));
            }
            settings.insert(key.to_owned(), value.to_owned());
        }
        let old = self.instance_of(scope, plugin).await?;
        let kept = old.as_ref().and_then(|old| old.credential_id);
        let (base_url, nets, credential) = match &about.server {
            None => (String::new(), Vec::new(), None),
            Some(_) => {
                let url = check_url("base_url", &fields.base_url)?;
                let kind = match fields.sent_as.as_str() {
                    "bearer" | "" => "bearer",
                    "basic" => "basic",
                    "raw" => "raw",
                    _ => return Err(TriageError::invalid("sent_as", "A token is sent as bearer, basic or raw.")),
                };
                settings.insert(SENT_AS.to_owned(), kind.to_owned());
                let said = |key: &str| old.as_ref().and_then(|old| old.settings.get(key)).cloned().unwrap_or_default();
                let moved = old.as_ref().is_some_and(|old| {
                    Url::parse(&old.base_url).map(|old| origin(&old)).ok() != Some(origin(&url))
                        || said(USERNAME) != fields.username.trim()
                        || said(SENT_AS) != kind
                });
                let (name, user) = (about.plugin.as_str(), fields.username.trim());
                let credential =
                    self.credential_for(scope, "token", name, kind, user, &url, fields.token, kept, moved).await?;
                (url.to_string(), private_nets(&url).await, credential)
            }
        };
        let new = IntegrationInstance {
            id: old.as_ref().map_or_else(IntegrationId::new, |old| old.id),
            name: about.plugin.clone(),
            plugin: about.plugin,
            private_nets: nets,
            base_url,
            settings,
            credential_id: credential,
            created_us: 0,
            checked_us: None,
            problem: String::new(),
        };
        self.put_integration(scope, old.as_ref(), new).await
    }

    /// Write an integration down, in the place of `old` where there is one; a credential that it no longer uses goes.
    pub(super) async fn put_integration(
        &self,
        scope: &Scope,
        old: Option<&IntegrationInstance>,
        new: IntegrationInstance,
    ) -> Result<(), TriageError> {
        let Some(old) = old else { return Ok(self.0.store.create_integration(scope, new).await?) };
        let dropped = old.credential_id.filter(|kept| Some(*kept) != new.credential_id);
        Ok(self.0.store.update_integration(scope, new, dropped).await?)
    }

    /// Remove what was set up for an installed integration.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict` where something was published with it.
    pub async fn remove_integration(&self, scope: &Scope, plugin: &str) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageIntegrations)?;
        let instance = self.instance_of(scope, plugin).await?.ok_or(TriageError::NotFound { what: "integration" })?;
        Ok(self.0.store.remove_integration(scope, instance.id).await?)
    }

    pub(crate) fn integration_reach(&self, instance: &IntegrationInstance) -> Result<Reach, TriageError> {
        self.reach_of(&instance.plugin, &instance.base_url, &instance.private_nets, instance.credential_id)
    }

    pub(crate) fn integration(&self, instance: &IntegrationInstance) -> Result<Integration, TriageError> {
        let mut config = self.integration_settings(instance);
        if instance.credential_id.is_some() {
            config.insert("credential".into(), CREDENTIAL.into());
        }
        Ok(Integration::new(self.0.runtime.clone(), self.0.plugins.get(&instance.plugin)?, config))
    }

    /// What the plugin of an instance is told, but for its credential.
    pub(crate) fn integration_settings(&self, instance: &IntegrationInstance) -> BTreeMap<String, String> {
        let mut config = BTreeMap::new();
        if let Some(setting) = self.0.plugins.server_setting(&instance.plugin) {
            config.insert(setting, instance.base_url.clone());
        }
        if instance.plugin == CONFLUENCE {
            for (key, name) in [("kind", "flavour"), ("space", "space"), ("parent", "parent")] {
                if let Some(value) = instance.settings.get(key).filter(|value| !value.is_empty()) {
                    config.insert(name.into(), value.clone());
                }
            }
        } else {
            let own = instance.settings.iter().filter(|(key, _)| !key.starts_with('.'));
            config.extend(own.map(|(key, value)| (key.clone(), value.clone())));
        }
        config
    }

    /// Sign in at an integration's service and list what can be published to. Returns who the credential belongs to, and
    /// keys and names.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound` where nothing was set up, `Plugin`.
    pub async fn test_integration(
        &self,
        scope: &Scope,
        plugin: &str,
    ) -> Result<(String, Vec<(String, String)>), TriageError> {
        self.require(scope, Permission::ManageIntegrations)?;
        let instance = self.instance_of(scope, plugin).await?.ok_or(TriageError::NotFound { what: "integration" })?;
        self.test_instance(scope, &instance).await
    }

    pub(super) async fn test_instance(
        &self,
        scope: &Scope,
        instance: &IntegrationInstance,
    ) -> Result<(String, Vec<(String, String)>), TriageError> {
        let mut publishes = None;
        let test = async {
            let integration = self.integration(instance)?;
            let call = || {
                let purpose = Purpose {
                    incident: None,
                    kind: "test",
                    destination: instance.name.clone(),
                    subject: format!("integration:{}", instance.id),
                    instance: format!("integration:{}", instance.id),
                };
                Ok::<_, TriageError>(self.call(scope, purpose, self.integration_reach(instance)?, None))
            };
            let can = integration.capabilities(call()?).await?;
            publishes = Some(can.iter().any(|one| one == "publish-document"));
            let account = integration.test_connection(call()?).await?;
            let projects = match integration.list_projects(None, call()?).await {
                Ok((projects, _)) => projects.into_iter().map(|one| (one.key, one.name)).collect(),
                // Not every service has any.
                Err(error) if error.code() == "unsupported" => Vec::new(),
                Err(error) => return Err(error.into()),
            };
            Ok::<_, TriageError>((format!("{} at {}", account.name, account.product), projects))
        };
        let result = test.await;
        let problem = match &result {
            Ok(_) => String::new(),
            Err(error) => self.without_credentials(scope, error.to_string()).await,
        };
        let result = result.map_err(|_| TriageError::Conflict(problem.clone()));
        let said = publishes.map(|yes| (PUBLISHES, if yes { "yes" } else { "no" }));
        self.0.store.integration_checked(scope, instance.id, problem, said).await?;
        result
    }
}
