//! Integrations: where a root-cause analysis is published.

use axum::Form;
use axum::http::StatusCode;
use axum::response::Response;
use fumehood_triage::TriageError;
use fumehood_triage::settings::{ConfluenceFields, Secret};

use super::context::{now, tested};
use super::session::Reader;
use super::{PageError, page, see};
use crate::units::When;
use crate::view::integrations::{ConfluenceForm, IntegrationsPage, TestResult};
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
    })
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
