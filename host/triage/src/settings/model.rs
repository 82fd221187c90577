//! The model.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fumehood_policy::{Permission, PluginWorld};
use fumehood_redact::Redacted;
use fumehood_runtime::CallHost;
use fumehood_runtime::provider::{self, Provider};
use fumehood_store::outside::Model;
use fumehood_store::{IncidentId, ModelId, Scope};
use url::Url;

use super::{PluginSettings, Secret, check_url, origin, private_nets};
use crate::call::Purpose;
use crate::plugins::{CREDENTIAL, Reach, StayHere};
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
    /// As typed; empty for what is not known.
    pub context_tokens: String,
    pub input_price: String,
    pub output_price: String,
}

/// Millionths in one.
const MICRO: i64 = 1_000_000;
/// The dearest million tokens that anybody sells, many times over.
const MOST_PRICE: i64 = 100_000 * MICRO;

impl ModelFields {
    /// Tokens that it holds, and the prices of a million in and out, in millionths.
    fn limits(&self) -> Result<[Option<i64>; 3], TriageError> {
        let tokens = match self.context_tokens.trim().replace([' ', ',', '_', '\''], "").as_str() {
            "" => None,
            text => {
                Some(text.parse().ok().filter(|tokens| (1_000..=100_000_000).contains(tokens)).ok_or_else(|| {
                    TriageError::invalid("context_tokens", "Write a number of tokens from 1000 on, for example 200000.")
                })?)
            }
        };
        Ok([tokens, price("input_price", &self.input_price)?, price("output_price", &self.output_price)?])
    }
}

/// Millionths as a number that people write: `2.5`.
pub fn decimal(millionths: i64) -> String {
    let part = format!("{:06}", millionths % MICRO);
    match part.trim_end_matches('0') {
        "" => (millionths / MICRO).to_string(),
        part => format!("{}.{part}", millionths / MICRO),
    }
}

/// A decimal number of at most six places, as millionths.
pub(super) fn price(field: &'static str, text: &str) -> Result<Option<i64>, TriageError> {
    let wrong = || TriageError::invalid(field, "Write what a million tokens cost, for example 2.50.");
    // A comma before three digits would be a thousand to one and a thousandth to the other.
    if text.split_once(',').is_some_and(|(_, rest)| rest.trim_end().len() == 3) {
        return Err(wrong());
    }
    let text = text.trim().replace(',', ".");
    if text.is_empty() {
        return Ok(None);
    }
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() > 9 || part.len() > 6 || !digits(whole) || !digits(part) || whole.is_empty() && part.is_empty() {
        return Err(wrong());
    }
    let number = |text: &str| if text.is_empty() { Ok(0) } else { text.parse::<i64>() };
    let whole = number(whole).map_err(|_| wrong())?;
    let part = number(&format!("{part:0<6}")).map_err(|_| wrong())?;
    Some(whole * MICRO + part).filter(|price| *price <= MOST_PRICE).map(Some).ok_or_else(wrong)
}

impl App {
    /// All models, in the order in which they are asked; also those that are switched off.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn models(&self, scope: &Scope) -> Result<Vec<Model>, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        Ok(self.0.store.models(scope).await?)
    }

    /// The model that is asked first, where one is set up.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn model(&self, scope: &Scope) -> Result<Option<Model>, TriageError> {
        Ok(self.models(scope).await?.into_iter().find(|model| model.enabled && self.may_be_asked(model)))
    }

    /// The models that an incident's questions go to: the one that its people chose, and the others in their order; only
    /// those on this machine where no other may be asked.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn chain(&self, scope: &Scope, incident: IncidentId) -> Result<Vec<Model>, TriageError> {
        let mut models = self.models(scope).await?;
        models.retain(|model| model.enabled && self.may_be_asked(model));
        if let Some(chosen) = self.0.store.chosen_model(scope, incident).await? {
            models.sort_by_key(|model| model.id != chosen);
        }
        Ok(models)
    }

    /// The model that an incident's people chose, where they did.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn chosen_model(&self, scope: &Scope, incident: IncidentId) -> Result<Option<ModelId>, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        Ok(self.0.store.chosen_model(scope, incident).await?)
    }

    /// Have an incident's questions go to a model first; nothing for the organisation's order.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn choose_model(
        &self,
        scope: &Scope,
        incident: IncidentId,
        model: Option<ModelId>,
    ) -> Result<(), TriageError> {
        self.require(scope, Permission::RunModel)?;
        if let Some(model) = model {
            self.one_model(scope, model).await?;
        }
        Ok(self.0.store.choose_model(scope, incident, model).await?)
    }

    /// One model.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn one_model(&self, scope: &Scope, id: ModelId) -> Result<Model, TriageError> {
        let found = self.models(scope).await?.into_iter().find(|model| model.id == id);
        found.ok_or(TriageError::NotFound { what: "model" })
    }

    /// Switch a model on or off.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn enable_model(&self, scope: &Scope, id: ModelId, enabled: bool) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageIntegrations)?;
        Ok(self.0.store.enable_model(scope, id, enabled).await?)
    }

    /// Have a model asked before, or after, the one beside it.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn move_model(&self, scope: &Scope, id: ModelId, up: bool) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageIntegrations)?;
        Ok(self.0.store.move_model(scope, id, up).await?)
    }

    /// Remove a model with its key. What it said stays.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn remove_model(&self, scope: &Scope, id: ModelId) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageIntegrations)?;
        Ok(self.0.store.remove_model(scope, id).await?)
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

    /// Set a model up, or change one; which it is.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`, `NotFound`.
    pub async fn set_model(
        &self,
        scope: &Scope,
        id: Option<ModelId>,
        fields: ModelFields,
    ) -> Result<ModelId, TriageError> {
        self.require(scope, Permission::ManageIntegrations)?;
        let old = match id {
            Some(id) => Some(self.one_model(scope, id).await?),
            None => None,
        };
        let plugin = if fields.plugin.is_empty() { PROVIDER } else { fields.plugin.as_str() };
        let about = self.providers(scope)?.into_iter().find(|one| one.plugin == plugin);
        let about =
            about.ok_or_else(|| TriageError::invalid("plugin", format!("There is no provider {plugin} that runs.")))?;
        let model = fields.model.trim();
        if model.is_empty() || model.len() > 200 || model.chars().any(char::is_control) {
            return Err(TriageError::invalid("model", "Name the model as its server does, for example gpt-4.1."));
        }
        let settings = about.checked(&fields.settings)?;
        let [context_tokens, input_price, output_price] = fields.limits()?;
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
            position: 0,
            enabled: true,
            context_tokens,
            listed_tokens: None,
            input_price,
            output_price,
        };
        let id = new.id;
        match old {
            Some(_) => self.0.store.update_model(scope, new, kept.filter(|kept| Some(*kept) != credential)).await?,
            None => self.0.store.create_model(scope, new).await?,
        }
        Ok(id)
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
    pub async fn test_model(&self, scope: &Scope, id: ModelId) -> Result<Vec<String>, TriageError> {
        self.require(scope, Permission::ManageIntegrations)?;
        let model = self.one_model(scope, id).await?;
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
        let listed: Vec<provider::Model> = listed.unwrap_or_default();
        let holds = listed.iter().find(|one| one.id == model.model).and_then(|one| one.context_tokens);
        let names: Vec<String> = listed.into_iter().map(|model| model.id).collect();
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
        self.0.store.model_checked(scope, model.id, problem, holds).await?;
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

/// Whether a model's server was on this machine when a person named it.
fn is_here(model: &Model) -> bool {
    !model.private_nets.is_empty() && model.private_nets.iter().all(|net| fumehood_policy::is_this_machine(net))
}

impl App {
    /// Whether a model is among those that may be asked: on this machine, where no other is.
    pub fn may_be_asked(&self, model: &Model) -> bool {
        is_here(model) || !self.0.plugins.stays_here(&model.plugin)
    }

    /// Why nobody can be asked.
    pub(crate) fn no_model(&self) -> TriageError {
        let StayHere { forced, switched } = self.0.plugins.models_stay_here();
        let message = if forced {
            "The organisation's policy leaves only models on this machine, and none that is set up and on is there. Add one \
             under Settings → Models."
        } else if switched {
            "Only models on this machine are asked, and none that is set up and on is there. Add one under Settings → \
             Models, or allow others there."
        } else {
            "No model is set up and switched on. Add one, or switch one on, under Settings → Models."
        };
        TriageError::NotSetUp { message: message.into(), at: "/settings/models" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_decimal_numbers() {
        for (text, millionths) in [
            ("", None),
            ("2.50", Some(2_500_000)),
            ("0,75", Some(750_000)),
            (".5", Some(500_000)),
            ("15", Some(15_000_000)),
        ] {
            assert_eq!(price("p", text).unwrap(), millionths, "{text}");
        }
        for text in ["1,000", "-1", "1e3", "1.2345678", ".", "$2", "1.2.3", "9999999999", "200000"] {
            assert!(price("p", text).is_err(), "{text}");
        }
    }
}
