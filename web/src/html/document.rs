//! The document: written, previewed, exported, published.

use axum::Form;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use fumehood_triage::TriageError;
use fumehood_triage::settings::StoredFields;
use fumehood_triage::store::documents::Publication;
use fumehood_triage::store::{IncidentId, IntegrationId};

use super::bench::number;
use super::context::{notice, when};
use super::session::Reader;
use super::{PageError, id, page, see};
use crate::markdown;
use crate::units::{Count, Id};
use crate::view::bench::Tab;
use crate::view::document::{Conflict, DocumentPage, PreviewFragment, Published, Target};
use crate::view::{Field, Tone};

#[derive(serde::Deserialize, Default)]
pub(crate) struct DocumentInput {
    #[serde(default)]
    title: String,
    #[serde(default)]
    markdown: String,
    #[serde(default)]
    version: i64,
    #[serde(default)]
    overwrite: String,
    /// The integration to publish to.
    #[serde(default)]
    to: String,
}

async fn document_view(
    reader: &Reader,
    incident: IncidentId,
    typed: Option<&DocumentInput>,
) -> Result<DocumentPage, TriageError> {
    let bench = reader.workbench(incident, Tab::Document, None).await?;
    let stored = reader.app().document(&reader.scope, incident).await?;
    let publishers = reader.app().publishers(&reader.scope).await?;
    let publications = reader.app().publications(&reader.scope, incident).await?;
    let version = stored.as_ref().map_or(0, |document| document.version);
    let (title, text) = match (typed, &stored) {
        (Some(input), _) => (input.title.clone(), input.markdown.clone()),
        (None, Some(document)) => (document.title.clone(), document.markdown.clone()),
        (None, None) => (format!("Root-cause analysis: {}", bench.incident.title), String::new()),
    };
    let name_of = |integration| {
        let found = publishers.iter().find(|one| one.id == integration);
        found.map_or_else(|| "an integration that is gone".to_owned(), |one| one.name.clone())
    };
    let conflict = publications.iter().find(|one| one.state == "conflict").map(|one| Conflict {
        with: name_of(one.integration_id),
        kind: "remote".into(),
        theirs: (!one.theirs.is_empty()).then(|| one.theirs.clone()),
        at: Some(when(one.updated_us, bench.now)),
    });
    let busy = publications.iter().find(|one| one.state == "publishing");
    let busy = busy.map(|one| format!("Publishing to {}.", name_of(one.integration_id)));
    let published = publications.iter().filter(|one| !one.url.is_empty()).map(|one| Published {
        url: one.url.clone(),
        title: one.title.clone(),
        at: when(one.updated_us, bench.now),
        by: bench.names.of(&one.updated_by),
        changed_since: one.document_version != version,
    });
    let failed = publications.iter().find(|one| matches!(one.state.as_str(), "failed" | "unknown"));
    let mut frame = bench.frame;
    if let Some(one) = failed {
        let name = name_of(one.integration_id);
        let text = format!("The last attempt to publish to {name} did not end well: {}", one.problem);
        frame.notice = notice(Tone::Bad, text);
    }
    Ok(DocumentPage {
        frame,
        bench: bench.bench,
        title: Field::new(title),
        preview: markdown::render(&text),
        markdown: Field::new(text),
        version: Count(number(typed.map_or(version, |input| input.version))),
        saved: stored.as_ref().map(|one| (when(one.updated_us, bench.now), bench.names.of(&one.updated_by))),
        published: published.collect(),
        targets: publishers
            .iter()
            .map(|one| {
                let there = publications.iter().find(|row| row.integration_id == one.id);
                Target {
                    id: Id::new(one.id.to_string()),
                    published: there.is_some_and(|row| !row.url.is_empty()),
                    conflict: there.is_some_and(|row| row.state == "conflict"),
                    service: one.name.clone(),
                    space: StoredFields::of(one).project,
                }
            })
            .collect(),
        conflict,
        busy,
        gaps: reader.app().document_gaps(&reader.scope, incident).await?,
    })
}

pub(crate) async fn document(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    Ok(page(StatusCode::OK, &document_view(&reader, id(&text, "incident")?, None).await?))
}

/// Save; where that was refused, the page with what was typed and why.
async fn save(reader: &Reader, incident: IncidentId, input: &mut DocumentInput) -> Result<Option<Response>, PageError> {
    input.markdown = input.markdown.replace("\r\n", "\n");
    let stored = reader.app().document(&reader.scope, incident).await?;
    if stored.as_ref().is_some_and(|stored| stored.title == input.title && stored.markdown == input.markdown) {
        return Ok(None);
    }
    let seen = match (input.overwrite.as_str(), &stored) {
        ("1", Some(stored)) => stored.version,
        _ => input.version,
    };
    match reader.app().save_document(&reader.scope, incident, seen, &input.title, &input.markdown).await {
        Ok(version) => {
            input.version = version;
            Ok(None)
        }
        Err(TriageError::Invalid { field, message }) => {
            let mut view = document_view(reader, incident, Some(input)).await?;
            let wrong = if field == "title" { &mut view.title } else { &mut view.markdown };
            wrong.error = Some(message);
            Ok(Some(page(StatusCode::UNPROCESSABLE_ENTITY, &view)))
        }
        Err(TriageError::Conflict(message)) => {
            let mut view = document_view(reader, incident, Some(input)).await?;
            let theirs = reader.app().document(&reader.scope, incident).await?;
            let names = reader.names().await?;
            view.conflict = Some(Conflict {
                with: theirs.as_ref().map(|one| names.of(&one.updated_by)).unwrap_or_default(),
                kind: "local".into(),
                at: theirs.as_ref().map(|one| when(one.updated_us, super::context::now())),
                theirs: theirs.map(|one| one.markdown),
            });
            view.frame.notice = notice(Tone::Bad, message);
            Ok(Some(page(StatusCode::CONFLICT, &view)))
        }
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn save_document(
    reader: Reader,
    Path(text): Path<String>,
    Form(mut input): Form<DocumentInput>,
) -> Result<Response, PageError> {
    let incident: IncidentId = id(&text, "incident")?;
    let refused = save(&reader, incident, &mut input).await?;
    Ok(refused.unwrap_or_else(|| see(&format!("/incidents/{incident}/document"))))
}

pub(crate) async fn generate(
    reader: Reader,
    Path(text): Path<String>,
    Form(input): Form<DocumentInput>,
) -> Result<Response, PageError> {
    let incident: IncidentId = id(&text, "incident")?;
    let stored = reader.app().document(&reader.scope, incident).await?.map_or(0, |document| document.version);
    // Whoever generates over a document has to have seen the one that is there.
    let seen = if input.version > 0 { input.version } else { stored };
    reader.app().generate_document(&reader.scope, incident, seen).await?;
    Ok(see(&format!("/incidents/{incident}/document")))
}

pub(crate) async fn publish(
    reader: Reader,
    Path(text): Path<String>,
    Form(mut input): Form<DocumentInput>,
) -> Result<Response, PageError> {
    let incident: IncidentId = id(&text, "incident")?;
    if !input.markdown.is_empty()
        && let Some(refused) = save(&reader, incident, &mut input).await?
    {
        return Ok(refused);
    }
    let to: Option<IntegrationId> =
        if input.to.is_empty() { None } else { Some(id(&input.to, "integration that can be published to")?) };
    // Whoever saves over a colleague has not looked at what stands at the service.
    let publications = reader.app().publications(&reader.scope, incident).await?;
    let seen = |row: &Publication| row.state == "conflict" && to.is_none_or(|to| to == row.integration_id);
    let overwrite = input.overwrite == "1" && publications.iter().any(seen);
    let (tone, status, text) = match reader.app().publish(&reader.scope, incident, to, overwrite).await {
        Ok(_) => return Ok(see(&format!("/incidents/{incident}/document"))),
        Err(error @ TriageError::Forbidden(_)) => return Err(error.into()),
        Err(error) => (Tone::Bad, super::page_status(&error), error.to_string()),
    };
    let mut view = document_view(&reader, incident, None).await?;
    view.frame.notice = notice(tone, text);
    Ok(page(status, &view))
}

#[derive(serde::Deserialize)]
pub(crate) struct PreviewInput {
    #[serde(default)]
    markdown: String,
}

pub(crate) async fn preview(
    reader: Reader,
    Path(text): Path<String>,
    Form(input): Form<PreviewInput>,
) -> Result<Response, PageError> {
    reader.app().incident(&reader.scope, id(&text, "incident")?).await?;
    Ok(page(StatusCode::OK, &PreviewFragment { preview: markdown::render(&input.markdown) }))
}

pub(crate) async fn export(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    let incident = reader.app().incident(&reader.scope, id(&text, "incident")?).await?;
    let document = reader.app().document(&reader.scope, incident.id).await?;
    let document = document.ok_or(TriageError::NotFound { what: "document" })?;
    let headers = [
        (header::CONTENT_TYPE, "text/markdown; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"INC-{}-root-cause.md\"", incident.number)),
    ];
    Ok((headers, format!("# {}\n\n{}", document.title, document.markdown)).into_response())
}
