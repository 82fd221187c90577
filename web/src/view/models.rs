//! Settings: the models.

use askama::Template;

use super::integrations::{SettingField, TestResult};
use super::{Field, Frame};
use crate::units::Id;

/// A model in the list, in the order in which they are asked.
#[derive(Clone, Debug)]
pub struct ModelRow {
    /// For the address `/settings/models/{id}`.
    pub id: Id,
    /// What its server calls it.
    pub model: String,
    /// The provider that it is reached through.
    pub plugin: String,
    /// The server's host; empty where it has its own.
    pub server: String,
    /// `Works`, `Does not work` or `Not tested`; `Off`; `Not asked` where only models on this machine are.
    pub state: String,
    /// What the last test said went wrong; may be empty.
    pub problem: String,
    /// It can be asked earlier, or later.
    pub can_rise: bool,
    /// See above.
    pub can_sink: bool,
}

impl ModelRow {
    /// The tag's class.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self.state.as_str() {
            "Works" => "connected",
            "Does not work" => "error",
            _ => "plain",
        }
    }
}

/// `GET /settings` and `GET /settings/models`. Posts `up` (`1` or `0`) to `/settings/models/{id}/move`, and `local_only`
/// (`1`), `token_budget`, `cost_budget` to `/settings/models/rules`; both answer 303, the second 422 where one is refused.
#[derive(Clone, Debug, Template)]
#[template(path = "admin/models.html")]
pub struct ModelsPage {
    /// The frame.
    pub frame: Frame,
    /// In the order in which they are asked.
    pub models: Vec<ModelRow>,
    /// What holds for all of them.
    pub rules: ModelRulesForm,
}

/// What holds for all models.
#[derive(Clone, Debug, Default)]
pub struct ModelRulesForm {
    /// Only those on this machine are asked.
    pub local_only: bool,
    /// The organisation's policy says so, and nobody can switch it off here.
    pub is_forced: bool,
    /// What an incident may use, tokens; empty for no limit.
    pub token_budget: Field,
    /// What it may cost; empty for no limit.
    pub cost_budget: Field,
}

/// The fields of a model.
#[derive(Clone, Debug, Default)]
pub struct ModelForm {
    /// The provider; empty for the one that ships.
    pub plugin: String,
    /// It asks for a server in its settings, so there are an address and a key.
    pub has_server: bool,
    /// What the provider's manifest names beside that.
    pub settings: Vec<SettingField>,
    /// What is wrong with one of them.
    pub settings_error: Option<String>,
    /// `https://api.example.com/v1`, or `http://127.0.0.1:11434/v1`.
    pub base_url: Field,
    /// What its manifest says about the address, and the one that most have; both may be empty.
    pub url_help: String,
    /// See above.
    pub url_example: String,
    /// What the server calls it.
    pub model: Field,
    /// Write-only: always empty here, carries the error.
    pub api_key: Field,
    /// A key is stored; an empty field keeps it.
    pub has_key: bool,
    /// Tokens that it holds; empty for what its server says.
    pub context_tokens: Field,
    /// What a million tokens cost, in and out; empty where it is not known.
    pub input_price: Field,
    /// See above.
    pub output_price: Field,
}

/// A provider that can be chosen.
#[derive(Clone, Debug)]
pub struct ProviderChoice {
    /// Its name.
    pub plugin: String,
    /// What it says of itself.
    pub description: String,
}

/// `GET /settings/models/new`, with `?plugin=` the form for that provider, and `GET /settings/models/{id}`. Posts `plugin`,
/// `s-…`, `base_url`, `model`, `api_key`, `forget_key` (`1` removes the stored key), `context_tokens`, `input_price`,
/// `output_price` to `/settings/models`, or to `/settings/models/{id}`; `enabled` (`1` or `0`) to
/// `/settings/models/{id}/enable`; no field to `…/test` and `…/remove`. Each answers 303.
#[derive(Clone, Debug, Template)]
#[template(path = "admin/model.html")]
pub struct ModelPage {
    /// The frame.
    pub frame: Frame,
    /// Nothing for a new one.
    pub id: Option<Id>,
    /// What is stored, or was typed.
    pub form: ModelForm,
    /// It is asked.
    pub enabled: bool,
    /// The last test.
    pub tested: Option<TestResult>,
    /// Those that can be chosen, the one that ships first.
    pub providers: Vec<ProviderChoice>,
    /// What the server lists; offered while typing.
    pub known: Vec<String>,
}

impl ModelPage {
    /// Where the form goes.
    #[must_use]
    pub fn action(&self) -> String {
        self.id.as_ref().map_or_else(|| "/settings/models".to_owned(), |id| format!("/settings/models/{id}"))
    }

    /// What the chosen provider says of itself.
    #[must_use]
    pub fn about(&self) -> &str {
        let chosen = self.providers.iter().find(|one| one.plugin == self.form.plugin);
        chosen.map_or("", |one| one.description.as_str())
    }
}
