//! Rules of what is personal or secret: the organisation's, and an incident's.

use axum::Form;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use fumehood_triage::detection::{Addition, Tried, TriedText};
use fumehood_triage::store::IncidentId;
use fumehood_triage::{TriageError, detection};

use super::context::{now, when};
use super::session::Reader;
use super::{PageError, id, page, see};
use crate::view::detection::{AddForm, DetectionPage, RulesRow, TriedPart, TriedRow};
use crate::view::{Crumb, Field, Place};

/// The longest value that is shown of a finding, characters.
const SHOWN: usize = 80;

#[derive(Default, serde::Deserialize)]
pub(crate) struct EditQuery {
    edit: Option<String>,
}

#[derive(serde::Deserialize)]
pub(crate) struct DocumentInput {
    #[serde(default)]
    name: String,
    #[serde(default)]
    toml: String,
    #[serde(default)]
    was: String,
}

#[derive(serde::Deserialize)]
pub(crate) struct TryInput {
    #[serde(default)]
    text: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    toml: String,
    #[serde(default)]
    was: String,
}

#[derive(Default, serde::Deserialize)]
pub(crate) struct AddInput {
    #[serde(default)]
    what: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    least: String,
    #[serde(default)]
    words: String,
    #[serde(default)]
    validator: String,
    // Not `matches`: a field of that name hides a method of the form from scripts.
    #[serde(default)]
    examples: String,
    #[serde(default)]
    counterexamples: String,
}

impl AddInput {
    fn addition(&self) -> Result<Addition, TriageError> {
        let (value, kind) = (self.value.clone(), self.kind.clone());
        Ok(match self.what.as_str() {
            "deny" => Addition::Deny { value, kind: if kind.trim().is_empty() { "DENIED".to_owned() } else { kind } },
            "allow" => Addition::Allow { value },
            "field" => Addition::Field { path: value, kind: Some(kind) },
            "threshold" => Addition::Threshold { kind, least: self.least.clone() },
            "type" => Addition::Type {
                name: kind,
                pattern: value,
                words: self.words.clone(),
                validator: self.validator.clone(),
                matches: self.examples.clone(),
                no_matches: self.counterexamples.clone(),
            },
            _ => return Err(TriageError::Invalid { field: "what", message: "Choose what to add.".to_owned() }),
        })
    }
}

/// Whose rules a page is about.
struct About {
    incident: Option<IncidentId>,
    address: String,
    title: Option<String>,
}

impl About {
    async fn of(reader: &Reader, incident: Option<String>) -> Result<Self, PageError> {
        let Some(text) = incident else {
            return Ok(Self { incident: None, address: "/settings/detection".to_owned(), title: None });
        };
        let incident: IncidentId = id(&text, "incident")?;
        let title = reader.app().incident(&reader.scope, incident).await?.title;
        Ok(Self { incident: Some(incident), address: format!("/incidents/{incident}/rules"), title: Some(title) })
    }
}

/// The page with nothing typed; `edit` opens a document, or a new one.
async fn view(reader: &Reader, about: &About, edit: Option<&str>) -> Result<DetectionPage, TriageError> {
    let stored = reader.app().rules(&reader.scope, about.incident).await?;
    let names = reader.names().await?;
    let frame = match (&about.title, about.incident) {
        (Some(title), Some(incident)) => reader.frame(
            "Rules of the incident",
            Place::Incidents,
            vec![
                Crumb::link("Incidents", "/incidents"),
                Crumb::link(title, format!("/incidents/{incident}")),
                Crumb::here("Rules"),
            ],
        ),
        _ => reader.frame(
            "Detection",
            Place::Settings,
            vec![Crumb::link("Settings", "/settings"), Crumb::here("Detection")],
        ),
    };
    let open = edit.and_then(|name| stored.iter().find(|one| one.name == name));
    let now = now();
    let row = |one: &fumehood_triage::store::rules::RuleDocument| RulesRow {
        holds: detection::holds(&one.toml),
        by: names.of(&one.actor),
        at: when(one.changed_us, now),
        name: one.name.clone(),
    };
    Ok(DetectionPage {
        frame,
        address: about.address.clone(),
        incident: about.title.clone(),
        can_change: reader.app().may_change_rules(&reader.scope, about.incident),
        editing: edit.is_some(),
        name: Field::new(open.map(|one| one.name.clone()).unwrap_or_default()),
        toml: Field::new(open.map(|one| one.toml.clone()).unwrap_or_default()),
        was: open.map(|one| one.changed_us.to_string()).unwrap_or_default(),
        documents: stored.iter().map(row).collect(),
        add: AddForm::default(),
        text: Field::default(),
        parts: Vec::new(),
        tried: None,
        kinds: reader.app().known_kinds(),
    })
}

async fn show(reader: Reader, incident: Option<String>, query: EditQuery) -> Result<Response, PageError> {
    let about = About::of(&reader, incident).await?;
    Ok(page(StatusCode::OK, &view(&reader, &about, query.edit.as_deref()).await?))
}

async fn save(reader: Reader, incident: Option<String>, input: DocumentInput) -> Result<Response, PageError> {
    let about = About::of(&reader, incident).await?;
    let toml = input.toml.replace("\r\n", "\n");
    let was = input.was.parse().ok();
    let result = reader.app().save_rules(&reader.scope, about.incident, &input.name, &toml, was).await;
    let (field, message, status) = match result {
        Ok(_) => return Ok(see(&about.address)),
        Err(TriageError::Invalid { field, message }) => (field, message, StatusCode::UNPROCESSABLE_ENTITY),
        Err(TriageError::Conflict(message)) => ("toml", message, StatusCode::CONFLICT),
        Err(error) => return Err(error.into()),
    };
    let mut view = view(&reader, &about, Some("")).await?;
    (view.name, view.toml, view.was) = (Field::new(input.name), Field::new(toml), input.was);
    match field {
        "name" => view.name.error = Some(message),
        _ => view.toml.error = Some(message),
    }
    Ok(page(status, &view))
}

async fn add(reader: Reader, incident: Option<String>, input: AddInput) -> Result<Response, PageError> {
    let about = About::of(&reader, incident).await?;
    reader.app().must_change_rules(&reader.scope, about.incident)?;
    let result = match input.addition() {
        Ok(addition) => reader.app().add_rule(&reader.scope, about.incident, &addition).await,
        Err(error) => Err(error),
    };
    let (message, status) = match result {
        Ok(_) => return Ok(see(&about.address)),
        Err(TriageError::Invalid { message, .. }) => (message, StatusCode::UNPROCESSABLE_ENTITY),
        Err(TriageError::Conflict(message)) => (message, StatusCode::CONFLICT),
        Err(error) => return Err(error.into()),
    };
    let mut view = view(&reader, &about, None).await?;
    let AddInput { what, value, kind, least, words, validator, examples: matches, counterexamples: no_matches } = input;
    view.add = AddForm { what, value, kind, least, words, validator, matches, no_matches, error: Some(message) };
    Ok(page(status, &view))
}

async fn remove(reader: Reader, incident: Option<String>, name: String) -> Result<Response, PageError> {
    let about = About::of(&reader, incident).await?;
    reader.app().remove_rules(&reader.scope, about.incident, &name).await?;
    Ok(see(&about.address))
}

async fn try_it(reader: Reader, incident: Option<String>, input: TryInput) -> Result<Response, PageError> {
    let about = About::of(&reader, incident).await?;
    let text = input.text.replace("\r\n", "\n");
    let toml = input.toml.replace("\r\n", "\n");
    let draft = (!toml.trim().is_empty()).then_some((input.name.as_str(), toml.as_str()));
    let result = reader.app().try_rules(&reader.scope, about.incident, &text, draft).await;
    let mut view = view(&reader, &about, draft.map(|_| "")).await?;
    if draft.is_some() {
        (view.name, view.toml, view.was) = (Field::new(input.name.clone()), Field::new(&toml), input.was.clone());
    }
    let status = match result {
        Ok(TriedText { findings, parts }) => {
            view.parts = parts
                .into_iter()
                .map(|part| TriedPart { text: part.text, label: part.label, group: part.group })
                .collect();
            view.tried = Some(findings.into_iter().map(|one| row(one, &text)).collect());
            StatusCode::OK
        }
        Err(TriageError::Invalid { field: "toml", message }) => {
            view.toml.error = Some(message);
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Err(TriageError::Invalid { message, .. } | TriageError::Conflict(message)) => {
            view.text.error = Some(message);
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Err(error) => return Err(error.into()),
    };
    view.text.value = text;
    Ok(page(status, &view))
}

fn row(one: Tried, text: &str) -> TriedRow {
    let value: String = text.get(one.start..one.end).unwrap_or_default().chars().take(SHOWN + 1).collect();
    let cut = value.chars().count() > SHOWN;
    let shown: String = value.chars().take(SHOWN).collect();
    TriedRow {
        value: if cut { shown + "…" } else { shown },
        line: text.get(..one.start).unwrap_or_default().matches('\n').count() + 1,
        detector: one.detector,
        scanner: one.scanner,
        confidence_percent: (one.confidence * 100.0).round() as u32,
        validated: one.validated,
        masked: one.verdict == detection::Verdict::Masked,
        verdict: one.verdict.to_string(),
        kind: one.kind,
    }
}

pub(crate) async fn house(reader: Reader, Query(query): Query<EditQuery>) -> Result<Response, PageError> {
    show(reader, None, query).await
}

pub(crate) async fn save_house(reader: Reader, Form(input): Form<DocumentInput>) -> Result<Response, PageError> {
    save(reader, None, input).await
}

pub(crate) async fn add_house(reader: Reader, Form(input): Form<AddInput>) -> Result<Response, PageError> {
    add(reader, None, input).await
}

pub(crate) async fn try_house(reader: Reader, Form(input): Form<TryInput>) -> Result<Response, PageError> {
    try_it(reader, None, input).await
}

pub(crate) async fn remove_house(reader: Reader, Path(name): Path<String>) -> Result<Response, PageError> {
    remove(reader, None, name).await
}

pub(crate) async fn incident(
    reader: Reader,
    Path(incident): Path<String>,
    Query(query): Query<EditQuery>,
) -> Result<Response, PageError> {
    show(reader, Some(incident), query).await
}

pub(crate) async fn save_incident(
    reader: Reader,
    Path(incident): Path<String>,
    Form(input): Form<DocumentInput>,
) -> Result<Response, PageError> {
    save(reader, Some(incident), input).await
}

pub(crate) async fn add_incident(
    reader: Reader,
    Path(incident): Path<String>,
    Form(input): Form<AddInput>,
) -> Result<Response, PageError> {
    add(reader, Some(incident), input).await
}

pub(crate) async fn try_incident(
    reader: Reader,
    Path(incident): Path<String>,
    Form(input): Form<TryInput>,
) -> Result<Response, PageError> {
    try_it(reader, Some(incident), input).await
}

pub(crate) async fn remove_incident(
    reader: Reader,
    Path((incident, name)): Path<(String, String)>,
) -> Result<Response, PageError> {
    remove(reader, Some(incident), name).await
}

pub(crate) async fn scan_again(reader: Reader, Path(incident): Path<String>) -> Result<Response, PageError> {
    let incident: IncidentId = id(&incident, "incident")?;
    reader.app().scan_again(&reader.scope, incident).await?;
    Ok(see(&format!("/incidents/{incident}/timeline")))
}
