//! Integrations: where a root-cause analysis is published.

use std::collections::BTreeMap;

use axum::Form;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use fumehood_triage::TriageError;
use fumehood_triage::plugins::Setting;
use fumehood_triage::settings::{ConfluenceFields, IntegrationFields, PluginSettings, Secret, StoredFields};

use super::context::{now, tested};
use super::session::Reader;
use super::{PageError, page, see};
use crate::units::{Id, When};
use crate::view::integrations::{
    ConfluenceForm, InstalledForm, InstalledPage, InstalledRow, IntegrationsPage, SettingField, TestResult,
};
use crate::view::{Crumb, Field, Place};

async fn integrations_view(reader: &Reader, typed: Option<ConfluenceForm>) -> Result<IntegrationsPage, TriageError> {
    let stored = reader.app().confluence(&reader.scope).await?;
    let setting = |key: &str| stored.as_ref().and_then(|one| one.settings.get(key).cloned()).unwrap_or_default();
    let form = typed.unwrap_or_else(|| ConfluenceForm {
        base_url: Field::new(stored.as_ref().map(|one| one.base_url.clone()).unwrap_or_default()),
        kind: setting("kind"),
        email: Field::new(setting("email")),
        token: Field::default(),
        has_token: stored.as_ref().is_some_and(|one| one.credential_id.is_some()),
        space: Field::new(setting("space")),
        parent: Field::new(setting("parent")),
    });
    Ok(IntegrationsPage {
        frame: reader.frame("Integrations", Place::Integrations, vec![Crumb::here("Integrations")]),
        confluence: form,
        configured: stored.is_some(),
        tested: stored.as_ref().and_then(|one| tested(one.checked_us, &one.problem, "Confluence answered.")),
        spaces: Vec::new(),
        installed: installed(reader).await?,
    })
}

/// Integrations that were installed, and how each stands.
async fn installed(reader: &Reader) -> Result<Vec<InstalledRow>, TriageError> {
    let set_up = reader.app().integrations(&reader.scope).await?;
    let state = |plugin: &str| match set_up.iter().find(|one| one.plugin == plugin) {
        None => "Not set up",
        Some(one) if one.checked_us.is_none() => "Not tested",
        Some(one) if one.problem.is_empty() => "Works",
        Some(_) => "Does not work",
    };
    let all = reader.app().installed_integrations(&reader.scope)?.into_iter();
    let row = |one: PluginSettings| InstalledRow {
        state: state(&one.plugin),
        plugin: Id::new(one.plugin),
        description: one.description,
    };
    Ok(all.map(row).collect())
}

/// The settings of a manifest as fields.
pub(super) fn setting_fields(settings: &[Setting], values: &BTreeMap<String, String>) -> Vec<SettingField> {
    let field = |one: &Setting| SettingField {
        name: format!("s-{}", one.key),
        label: one.label.clone(),
        help: one.help.clone(),
        optional: one.optional,
        value: values.get(&one.key).unwrap_or(&one.default).clone(),
        choices: one.choices.clone(),
    };
    settings.iter().map(field).collect()
}

/// The values of such fields, by key.
pub(super) fn typed_settings(form: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let own = form.iter().filter_map(|(name, value)| Some((name.strip_prefix("s-")?.to_owned(), value.clone())));
    own.collect()
}

async fn installed_view(
    reader: &Reader,
    plugin: &str,
    typed: Option<&BTreeMap<String, String>>,
) -> Result<InstalledPage, TriageError> {
    let all = reader.app().installed_integrations(&reader.scope)?;
    let about = all.into_iter().find(|one| one.plugin == plugin);
    let about = about.ok_or(TriageError::NotFound { what: "installed integration" })?;
    let set_up = reader.app().integrations(&reader.scope).await?;
    let stored = set_up.iter().find(|one| one.plugin == plugin);
    let fields = stored.map(StoredFields::of);
    let text = |name: &str, stored: Option<&String>| {
        let typed = typed.map(|typed| typed.get(name).cloned().unwrap_or_default());
        typed.or_else(|| stored.cloned()).unwrap_or_default()
    };
    let values = typed.map(typed_settings).or_else(|| stored.map(|one| one.settings.clone())).unwrap_or_default();
    let crumbs = vec![Crumb::link("Integrations", "/integrations"), Crumb::here(plugin)];
    Ok(InstalledPage {
        frame: reader.frame(plugin, Place::Integrations, crumbs),
        plugin: Id::new(plugin),
        form: InstalledForm {
            has_server: about.server.is_some(),
            base_url: Field::new(text("base_url", stored.map(|one| &one.base_url))),
            sent_as: text("sent_as", fields.as_ref().map(|one| &one.sent_as)),
            username: Field::new(text("username", fields.as_ref().map(|one| &one.username))),
            token: Field::default(),
            has_token: stored.is_some_and(|one| one.credential_id.is_some()),
            settings: setting_fields(&about.settings, &values),
            settings_error: None,
            project: Field::new(text("project", fields.as_ref().map(|one| &one.project))),
            parent: Field::new(text("parent", fields.as_ref().map(|one| &one.parent))),
        },
        description: about.description,
        configured: stored.is_some(),
        tested: stored.and_then(|one| tested(one.checked_us, &one.problem, "Its service answered.")),
        projects: Vec::new(),
    })
}

pub(crate) async fn integration(reader: Reader, Path(plugin): Path<String>) -> Result<Response, PageError> {
    Ok(page(StatusCode::OK, &installed_view(&reader, &plugin, None).await?))
}

pub(crate) async fn set_integration(
    reader: Reader,
    Path(plugin): Path<String>,
    Form(input): Form<BTreeMap<String, String>>,
) -> Result<Response, PageError> {
    let text = |name: &str| input.get(name).cloned().unwrap_or_default();
    let fields = IntegrationFields {
        base_url: text("base_url"),
        settings: typed_settings(&input),
        sent_as: text("sent_as"),
        username: text("username"),
        token: Secret::from_form(&text("token"), text("forget_token") == "1"),
        project: text("project"),
        parent: text("parent"),
    };
    let (field, message) = match reader.app().set_integration(&reader.scope, &plugin, fields).await {
        Ok(()) => return Ok(see(&format!("/integrations/{plugin}"))),
        Err(TriageError::Invalid { field, message }) => (field, message),
        Err(error) => return Err(error.into()),
    };
    let mut view = installed_view(&reader, &plugin, Some(&input)).await?;
    let wrong = match field {
        "settings" => &mut view.form.settings_error,
        "username" => &mut view.form.username.error,
        "token" => &mut view.form.token.error,
        "project" => &mut view.form.project.error,
        "parent" => &mut view.form.parent.error,
        _ => &mut view.form.base_url.error,
    };
    *wrong = Some(message);
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &view))
}

pub(crate) async fn test_integration(reader: Reader, Path(plugin): Path<String>) -> Result<Response, PageError> {
    let result = reader.app().test_integration(&reader.scope, &plugin).await;
    if let Err(error @ (TriageError::Forbidden(_) | TriageError::NotFound { .. })) = result {
        return Err(error.into());
    }
    let mut view = installed_view(&reader, &plugin, None).await?;
    let at = When::new(now(), now());
    match result {
        Ok((who, projects)) => {
            view.tested = Some(TestResult { good: true, text: format!("Signed in as {who}."), at });
            view.projects = projects;
        }
        Err(error) => view.tested = Some(TestResult { good: false, text: error.to_string(), at }),
    }
    Ok(page(StatusCode::OK, &view))
}

pub(crate) async fn remove_integration(reader: Reader, Path(plugin): Path<String>) -> Result<Response, PageError> {
    reader.app().remove_integration(&reader.scope, &plugin).await?;
    Ok(see(&format!("/integrations/{plugin}")))
}

pub(crate) async fn integrations(reader: Reader) -> Result<Response, PageError> {
    Ok(page(StatusCode::OK, &integrations_view(&reader, None).await?))
}

#[derive(serde::Deserialize)]
pub(crate) struct ConfluenceInput {
    #[serde(default)]
    base_url: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    token: String,
    #[serde(default)]
    space: String,
    #[serde(default)]
    parent: String,
}

pub(crate) async fn set_confluence(reader: Reader, Form(input): Form<ConfluenceInput>) -> Result<Response, PageError> {
    let fields = ConfluenceFields {
        base_url: input.base_url.clone(),
        kind: input.kind.clone(),
        email: input.email.clone(),
        token: Secret::from_form(&input.token, false),
        space: input.space.clone(),
        parent: input.parent.clone(),
    };
    let (field, message) = match reader.app().set_confluence(&reader.scope, fields).await {
        Ok(()) => return Ok(see("/integrations")),
        Err(TriageError::Invalid { field, message }) => (field, message),
        Err(error) => return Err(error.into()),
    };
    let stored = reader.app().confluence(&reader.scope).await?;
    let mut form = ConfluenceForm {
        base_url: Field::new(input.base_url),
        kind: input.kind,
        email: Field::new(input.email),
        token: Field::default(),
        has_token: stored.is_some_and(|one| one.credential_id.is_some()),
        space: Field::new(input.space),
        parent: Field::new(input.parent),
    };
    let wrong = match field {
        "email" => &mut form.email,
        "token" => &mut form.token,
        "space" => &mut form.space,
        "parent" => &mut form.parent,
        _ => &mut form.base_url,
    };
    wrong.error = Some(message);
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &integrations_view(&reader, Some(form)).await?))
}

pub(crate) async fn test_confluence(reader: Reader) -> Result<Response, PageError> {
    let result = reader.app().test_confluence(&reader.scope).await;
    if let Err(error @ TriageError::Forbidden(_)) = result {
        return Err(error.into());
    }
    let mut view = integrations_view(&reader, None).await?;
    let at = When::new(now(), now());
    match result {
        Ok((who, spaces)) => {
            view.tested = Some(TestResult { good: true, text: format!("Signed in as {who}."), at });
            view.spaces = spaces;
        }
        Err(error) => view.tested = Some(TestResult { good: false, text: error.to_string(), at }),
    }
    Ok(page(StatusCode::OK, &view))
}

pub(crate) async fn remove_confluence(reader: Reader) -> Result<Response, PageError> {
    reader.app().remove_confluence(&reader.scope).await?;
    Ok(see("/integrations"))
}
