//! Settings: the models, in the order in which they are asked, and the form of one.

use std::collections::BTreeMap;

use axum::Form;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use fumehood_triage::TriageError;
use fumehood_triage::settings::{ModelFields, ModelRulesFields, PluginSettings, Secret, decimal};
use fumehood_triage::store::ModelId;
use fumehood_triage::store::outside::Model;
use url::Url;

use super::context::{now, tested};
use super::integrations::{setting_fields, typed_settings};
use super::session::Reader;
use super::settings::settings_frame;
use super::{PageError, id, page, see};
use crate::units::{Id, When};
use crate::view::integrations::TestResult;
use crate::view::models::{ModelForm, ModelPage, ModelRow, ModelRulesForm, ModelsPage, ProviderChoice};
use crate::view::{Crumb, Field};

/// An amount as it is typed; empty for none.
fn amount(millionths: Option<i64>) -> String {
    millionths.map(decimal).unwrap_or_default()
}

fn state(model: &Model, may_be_asked: bool) -> &'static str {
    match (model.enabled, model.checked_us, model.problem.is_empty()) {
        (false, ..) => "Off",
        _ if !may_be_asked => "Not asked",
        (_, None, _) => "Not tested",
        (_, Some(_), true) => "Works",
        (_, Some(_), false) => "Does not work",
    }
}

pub(crate) async fn models(reader: Reader) -> Result<Response, PageError> {
    let (rules, here) = reader.app().model_rules(&reader.scope).await?;
    let form = ModelRulesForm {
        local_only: rules.local_only || here.forced,
        is_forced: here.forced,
        token_budget: Field::new(rules.token_budget.map(|tokens| tokens.to_string()).unwrap_or_default()),
        cost_budget: Field::new(amount(rules.cost_budget)),
    };
    Ok(page(StatusCode::OK, &list(&reader, form).await?))
}

#[derive(serde::Deserialize)]
pub(crate) struct RulesInput {
    #[serde(default)]
    local_only: String,
    #[serde(default)]
    token_budget: String,
    #[serde(default)]
    cost_budget: String,
}

pub(crate) async fn set_rules(reader: Reader, Form(input): Form<RulesInput>) -> Result<Response, PageError> {
    let fields = ModelRulesFields {
        local_only: input.local_only == "1",
        token_budget: input.token_budget.clone(),
        cost_budget: input.cost_budget.clone(),
    };
    let (field, message) = match reader.app().set_model_rules(&reader.scope, fields).await {
        Ok(()) => return Ok(see("/settings/models")),
        Err(TriageError::Invalid { field, message }) => (field, message),
        Err(error) => return Err(error.into()),
    };
    let (_, here) = reader.app().model_rules(&reader.scope).await?;
    let mut form = ModelRulesForm {
        local_only: input.local_only == "1" || here.forced,
        is_forced: here.forced,
        token_budget: Field::new(input.token_budget),
        cost_budget: Field::new(input.cost_budget),
    };
    let wrong = if field == "token_budget" { &mut form.token_budget } else { &mut form.cost_budget };
    wrong.error = Some(message);
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &list(&reader, form).await?))
}

async fn list(reader: &Reader, rules: ModelRulesForm) -> Result<ModelsPage, TriageError> {
    let counts_money = !rules.cost_budget.value.is_empty();
    let all = reader.app().models(&reader.scope).await?;
    let last = all.len().saturating_sub(1);
    let row = |(at, model): (usize, Model)| ModelRow {
        id: Id::new(model.id.to_string()),
        server: Url::parse(&model.base_url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default(),
        state: state(&model, reader.app().may_be_asked(&model)).to_owned(),
        problem: match (model.enabled, reader.app().may_be_asked(&model)) {
            (false, _) => String::new(),
            (true, false) => "Its server is not on this machine.".to_owned(),
            (true, true) if model.problem.is_empty() && counts_money && model.output_price.is_none() => {
                "It has no price, so what it costs is not counted.".to_owned()
            }
            (true, true) => model.problem,
        },
        model: model.model,
        plugin: model.plugin,
        can_rise: at > 0,
        can_sink: at < last,
    };
    let models = all.into_iter().enumerate().map(row).collect();
    Ok(ModelsPage { frame: settings_frame(reader, "Models"), models, rules })
}

/// The form with what is stored; of a new model, with what its provider's manifest says.
fn form(stored: Option<&Model>, about: Option<&PluginSettings>) -> ModelForm {
    let text = |of: fn(&Model) -> &String| stored.map(|one| of(one).clone()).unwrap_or_default();
    let settings = stored.map(|one| one.settings.clone()).unwrap_or_default();
    let server = about.and_then(|about| about.about_server.as_ref());
    let example = server.map(|server| server.default.clone()).unwrap_or_default();
    let base_url = stored.map_or_else(|| example.clone(), |one| one.base_url.clone());
    ModelForm {
        plugin: about.map(|about| about.plugin.clone()).unwrap_or_default(),
        has_server: about.is_none_or(|about| about.server.is_some()),
        settings: about.map(|about| setting_fields(&about.settings, &settings)).unwrap_or_default(),
        settings_error: None,
        base_url: Field::new(base_url),
        url_help: server.map(|server| server.help.clone()).unwrap_or_default(),
        url_example: example,
        model: Field::new(text(|one| &one.model)),
        api_key: Field::default(),
        has_key: stored.is_some_and(|one| one.credential_id.is_some()),
        context_tokens: Field::new(
            stored.and_then(|one| one.context_tokens).map(|tokens| tokens.to_string()).unwrap_or_default(),
        ),
        input_price: Field::new(amount(stored.and_then(|one| one.input_price))),
        output_price: Field::new(amount(stored.and_then(|one| one.output_price))),
    }
}

/// The page of a model, or of a new one through a provider.
async fn view(reader: &Reader, model: Option<ModelId>, plugin: &str) -> Result<ModelPage, TriageError> {
    let stored = match model {
        Some(model) => Some(reader.app().one_model(&reader.scope, model).await?),
        None => None,
    };
    let providers = reader.app().providers(&reader.scope)?;
    let wanted = stored.as_ref().map_or(plugin, |one| one.plugin.as_str());
    let about = providers.iter().find(|one| one.plugin == wanted).or(providers.first().filter(|_| stored.is_none()));
    let title = stored.as_ref().map_or_else(|| "New model".to_owned(), |one| one.model.clone());
    let mut frame = settings_frame(reader, &title);
    frame.crumbs.insert(1, Crumb::link("Models", "/settings/models"));
    let choice =
        |one: &PluginSettings| ProviderChoice { plugin: one.plugin.clone(), description: one.description.clone() };
    let mut form = form(stored.as_ref(), about);
    if let Some(stored) = &stored {
        form.plugin.clone_from(&stored.plugin);
    }
    Ok(ModelPage {
        frame,
        id: stored.as_ref().map(|one| Id::new(one.id.to_string())),
        form,
        enabled: stored.as_ref().is_none_or(|one| one.enabled),
        tested: stored.as_ref().and_then(|one| tested(one.checked_us, &one.problem, "The model answered.")),
        providers: providers.iter().map(choice).collect(),
        known: Vec::new(),
    })
}

#[derive(serde::Deserialize)]
pub(crate) struct NewModel {
    #[serde(default)]
    plugin: String,
}

pub(crate) async fn new_model(reader: Reader, Query(query): Query<NewModel>) -> Result<Response, PageError> {
    Ok(page(StatusCode::OK, &view(&reader, None, &query.plugin).await?))
}

pub(crate) async fn model(reader: Reader, Path(model): Path<String>) -> Result<Response, PageError> {
    let model = id(&model, "model")?;
    Ok(page(StatusCode::OK, &view(&reader, Some(model), "").await?))
}

#[derive(serde::Deserialize)]
pub(crate) struct ModelInput {
    #[serde(default)]
    plugin: String,
    #[serde(default)]
    base_url: String,
    #[serde(default)]
    model: String,
    #[serde(default)]
    api_key: String,
    #[serde(default)]
    forget_key: String,
    #[serde(default)]
    context_tokens: String,
    #[serde(default)]
    input_price: String,
    #[serde(default)]
    output_price: String,
    /// `s-` and the key of a setting.
    #[serde(flatten)]
    others: BTreeMap<String, String>,
}

pub(crate) async fn create_model(reader: Reader, Form(input): Form<ModelInput>) -> Result<Response, PageError> {
    save(&reader, None, input).await
}

pub(crate) async fn set_model(
    reader: Reader,
    Path(model): Path<String>,
    Form(input): Form<ModelInput>,
) -> Result<Response, PageError> {
    let model = id(&model, "model")?;
    save(&reader, Some(model), input).await
}

async fn save(reader: &Reader, model: Option<ModelId>, input: ModelInput) -> Result<Response, PageError> {
    let settings = typed_settings(&input.others);
    let fields = ModelFields {
        plugin: input.plugin.clone(),
        base_url: input.base_url.clone(),
        model: input.model.clone(),
        api_key: Secret::from_form(&input.api_key, input.forget_key == "1"),
        settings: settings.clone(),
        context_tokens: input.context_tokens.clone(),
        input_price: input.input_price.clone(),
        output_price: input.output_price.clone(),
    };
    let (field, message) = match reader.app().set_model(&reader.scope, model, fields).await {
        Ok(model) => return Ok(see(&format!("/settings/models/{model}"))),
        Err(TriageError::Invalid { field, message }) => (field, message),
        Err(error) => return Err(error.into()),
    };
    let mut view = view(reader, model, &input.plugin).await?;
    let form = &mut view.form;
    form.settings.iter_mut().for_each(|one| {
        if let Some(typed) = one.name.strip_prefix("s-").and_then(|key| settings.get(key)) {
            one.value.clone_from(typed);
        }
    });
    form.base_url = Field::new(input.base_url);
    form.model = Field::new(input.model);
    form.context_tokens = Field::new(input.context_tokens);
    form.input_price = Field::new(input.input_price);
    form.output_price = Field::new(input.output_price);
    match field {
        "model" => form.model.error = Some(message),
        "api_key" => form.api_key.error = Some(message),
        "context_tokens" => form.context_tokens.error = Some(message),
        "input_price" => form.input_price.error = Some(message),
        "output_price" => form.output_price.error = Some(message),
        "settings" | "plugin" => form.settings_error = Some(message),
        _ => form.base_url.error = Some(message),
    }
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &view))
}

pub(crate) async fn test_model(reader: Reader, Path(model): Path<String>) -> Result<Response, PageError> {
    let model: ModelId = id(&model, "model")?;
    let result = reader.app().test_model(&reader.scope, model).await;
    if let Err(error @ TriageError::Forbidden(_)) = result {
        return Err(error.into());
    }
    let mut view = view(&reader, Some(model), "").await?;
    match result {
        // What is wrong with an answer that came was kept with it.
        Ok(known) => view.known = known,
        Err(error) => {
            view.tested = Some(TestResult { good: false, text: error.to_string(), at: When::new(now(), now()) });
        }
    }
    Ok(page(StatusCode::OK, &view))
}

#[derive(serde::Deserialize)]
pub(crate) struct Switched {
    enabled: String,
}

pub(crate) async fn enable_model(
    reader: Reader,
    Path(model): Path<String>,
    Form(input): Form<Switched>,
) -> Result<Response, PageError> {
    let model: ModelId = id(&model, "model")?;
    reader.app().enable_model(&reader.scope, model, input.enabled == "1").await?;
    Ok(see(&format!("/settings/models/{model}")))
}

#[derive(serde::Deserialize)]
pub(crate) struct Moved {
    up: String,
}

pub(crate) async fn move_model(
    reader: Reader,
    Path(model): Path<String>,
    Form(input): Form<Moved>,
) -> Result<Response, PageError> {
    reader.app().move_model(&reader.scope, id(&model, "model")?, input.up == "1").await?;
    Ok(see("/settings/models"))
}

pub(crate) async fn remove_model(reader: Reader, Path(model): Path<String>) -> Result<Response, PageError> {
    reader.app().remove_model(&reader.scope, id(&model, "model")?).await?;
    Ok(see("/settings/models"))
}
