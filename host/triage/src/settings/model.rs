//! The model.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fumehood_policy::{Permission, PluginWorld};
use fumehood_redact::Redacted;
use fumehood_runtime::CallHost;
use fumehood_runtime::provider::{self, Provider};
use fumehood_store::outside::Model;
use fumehood_store::{ModelId, Scope};
use url::Url;

use super::{PluginSettings, Secret, check_url, origin, private_nets};
use crate::call::Purpose;
use crate::plugins::{CREDENTIAL, Reach};
use crate::{App, TriageError};

/// The plugin that talks to models.
pub const PROVIDER: &str = "provider-openai";
/// Longest wait for the one word of a test.
const MODEL_TEST: Duration = Duration::from_secs(60);
/// Of that word, what is read, bytes.
const MODEL_TEST_BYTES: usize = 1 << 10;

/// What a person writes about the model.
#[derive(Default)]
pub struct ModelFields {
    /// The provider's plugin; empty for the one that ships.
    pub plugin: String,
    pub base_url: String,
    pub model: String,
    pub api_key: Secret,
    /// By the keys of the provider's manifest.
    pub settings: BTreeMap<String, String>,
}

impl App {
    /// The model that is used, where one is set up.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn model(&self, scope: &Scope) -> Result<Option<Model>, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        Ok(self.0.store.models(scope).await?.into_iter().next())
    }

    /// Providers that a model can be reached through, the one that ships first.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn providers(&self, scope: &Scope) -> Result<Vec<PluginSettings>, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        let all = self.0.plugins.of_world(PluginWorld::Provider);
        let mut all: Vec<_> = all.iter().map(|one| PluginSettings::of(one)).collect();
        all.sort_by_key(|one| one.plugin != PROVIDER);
        Ok(all)
    }

    /// Set the model up, or change it.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`.
    pub async fn set_model(&self, scope: &Scope, fields: ModelFields) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageIntegrations)?;
        let plugin = if fields.plugin.is_empty() { PROVIDER } else { fields.plugin.as_str() };
        let about = self.providers(scope)?.into_iter().find(|one| one.plugin == plugin);
        let about =
            about.ok_or_else(|| TriageError::invalid("plugin", format!("There is no provider {plugin} that runs.")))?;
        let model = fields.model.trim();
        if model.is_empty() || model.len() > 200 || model.chars().any(char::is_control) {
            return Err(TriageError::invalid("model", "Name the model as its server does, for example gpt-4.1."));
        }
        let settings = about.checked(&fields.settings)?;
        let old = self.0.store.models(scope).await?.into_iter().next();
        let kept = old.as_ref().and_then(|old| old.credential_id);
        let (base_url, nets, credential) = if about.server.is_some() {
            let url = check_url("base_url", &fields.base_url)?;
            let moved = old.as_ref().is_some_and(|old| {
                // Another plugin is somebody else to trust with the key, too.
                old.plugin != plugin || Url::parse(&old.base_url).map(|old| origin(&old)).ok() != Some(origin(&url))
            });
            let key = fields.api_key;
            let credential =
                self.credential_for(scope, "api_key", "Model", "bearer", "", &url, key, kept, moved).await?;
            (url.to_string(), private_nets(&url).await, credential)
        } else {
            (String::new(), Vec::new(), None)
        };
        let new = Model {
            id: old.as_ref().map_or_else(ModelId::new, |old| old.id),
            name: model.to_owned(),
            plugin: about.plugin,
            private_nets: nets,
            base_url,
            model: model.to_owned(),
            settings,
            credential_id: credential,
            created_us: 0,
            checked_us: None,
            problem: String::new(),
        };
        match old {
            Some(_) => self.0.store.update_model(scope, new, kept.filter(|kept| Some(*kept) != credential)).await?,
            None => self.0.store.create_model(scope, new).await?,
        }
        Ok(())
    }

    pub(crate) fn model_reach(&self, model: &Model) -> Result<Reach, TriageError> {
        self.reach_of(&model.plugin, &model.base_url, &model.private_nets, model.credential_id)
    }

    /// The provider of a model, with the settings that its plugin is given.
    pub(crate) fn provider(&self, model: &Model) -> Result<Provider, TriageError> {
        let mut config = self.settings_of(model);
        if model.credential_id.is_some() {
            config.insert("credential".into(), CREDENTIAL.into());
        }
        Ok(Provider::new(self.0.runtime.clone(), self.0.plugins.get(&model.plugin)?, config))
    }

    fn settings_of(&self, model: &Model) -> BTreeMap<String, String> {
        let mut config = model.settings.clone();
        if let Some(setting) = self.0.plugins.server_setting(&model.plugin) {
            config.insert(setting, model.base_url.clone());
        }
        config.insert("model".into(), model.model.clone());
        config
    }

    /// What a provider is told, but for its credential; nothing where no model is reached through it.
    pub(crate) async fn model_settings(
        &self,
        scope: &Scope,
        plugin: &str,
    ) -> Result<BTreeMap<String, String>, TriageError> {
        let models = self.0.store.models(scope).await?;
        Ok(models.iter().find(|one| one.plugin == plugin).map(|one| self.settings_of(one)).unwrap_or_default())
    }

    /// Ask the model for one word, and its server what models it has. Returns their names; the result is kept for the
    /// page.
    ///
    /// # Errors
    /// `Forbidden`, `NotSetUp`, `Plugin`, and what a turn can fail with.
    pub async fn test_model(&self, scope: &Scope) -> Result<Vec<String>, TriageError> {
        self.require(scope, Permission::ManageIntegrations)?;
        let model = self.model(scope).await?.ok_or_else(no_model)?;
        let call = || {
            let purpose = Purpose {
                incident: None,
                kind: "test",
                destination: model.name.clone(),
                subject: format!("model:{}", model.id),
                instance: String::new(),
            };
            Ok::<_, TriageError>(self.call(scope, purpose, self.model_reach(&model)?, None))
        };
        let provider = self.provider(&model)?;
        // Not every server has a list: whether the model answers is what counts.
        let listed = provider.models(call()?).await;
        let names: Vec<String> = listed.into_iter().flatten().map(|model| model.id).collect();
        let said = provider::Message::plain("user", Redacted::literal("Answer with the one word OK."));
        let request = provider::Request {
            model: model.model.clone(),
            messages: vec![said],
            tools: Vec::new(),
            max_output_tokens: None,
        };
        let answered = tokio::time::timeout(MODEL_TEST, one_answer(&provider, &request, call()?)).await;
        let answered = answered.unwrap_or_else(|_| {
            let message = format!("{} did not answer one word within {} s.", model.model, MODEL_TEST.as_secs());
            Err(TriageError::Conflict(message))
        });
        let mut problem = answered.as_ref().err().map(ToString::to_string).unwrap_or_default();
        if !problem.is_empty() && !names.is_empty() && !names.contains(&model.model) {
            problem.push_str(" The server lists no model of this name.");
        }
        let problem = self.without_credentials(scope, problem).await;
        self.0.store.model_checked(scope, model.id, problem).await?;
        Ok(names)
    }
}

/// Wait until a model has said something to its end.
async fn one_answer(
    provider: &Provider,
    request: &provider::Request,
    call: Arc<dyn CallHost>,
) -> Result<(), TriageError> {
    let mut answer = provider.complete(request, call).await?;
    let mut said = 0;
    while let Some(event) = answer.next().await? {
        said += event.text.len() + event.reasoning.len();
        if event.stop.is_some() || said > MODEL_TEST_BYTES {
            break;
        }
    }
    if said == 0 {
        return Err(TriageError::Conflict("The server took the question, and the model answered with nothing.".into()));
    }
    Ok(())
}

pub(crate) fn no_model() -> TriageError {
    TriageError::NotSetUp {
        message: "No model is set up yet. Add one under Settings → Models.".into(),
        at: "/settings/models",
    }
}
