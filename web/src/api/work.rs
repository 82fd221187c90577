//! The conversation, what left, whys, the document.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use fumehood_triage::store::IncidentId;

use super::caller::{Body, Caller, id};
use super::types::{
    CallOut, DepartureOut, DocumentIn, DocumentOut, IdOut, MessageOut, PublicationOut, PublishIn, SayIn, TurnOut,
    VersionIn, WhyIn, WhyOut,
};
use crate::Shared;
use crate::problem::Problem;

/// Say something to the model; the answer arrives in the turn
#[utoipa::path(post, path = "/incidents/{id}/turns", operation_id = "say", tag = "conversation", params(("id" = String, Path, description = "Which incident")), request_body = SayIn,
    responses((status = 202, description = "The turn that was begun", body = IdOut), Problem))]
pub async fn say(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
    Body(say): Body<SayIn>,
) -> Result<(StatusCode, Json<IdOut>), Problem> {
    let turn = shared.app.say(&scope, id(&text, "incident")?, &say.text).await?;
    Ok((StatusCode::ACCEPTED, Json(IdOut { id: turn.to_string() })))
}

/// Read the conversation, masked
#[utoipa::path(get, path = "/incidents/{id}/turns", operation_id = "readConversation", tag = "conversation", params(("id" = String, Path, description = "Which incident")),
    responses((status = 200, description = "The turns so far, each with its messages", body = Vec<TurnOut>), Problem))]
pub async fn talk(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
) -> Result<Json<Vec<TurnOut>>, Problem> {
    let incident: IncidentId = id(&text, "incident")?;
    let talk = shared.app.talk(&scope, incident).await?;
    let mut turns = Vec::with_capacity(talk.turns.len());
    for turn in talk.turns {
        let mut messages = Vec::new();
        for message in talk.messages.iter().filter(|message| message.turn_id == turn.id) {
            let call = |call: &fumehood_triage::store::conversation::StoredCall| CallOut {
                id: call.id.clone(),
                name: call.name.clone(),
                arguments: call.arguments.clone(),
            };
            messages.push(MessageOut {
                role: message.role.clone(),
                text: if message.complete {
                    shared.app.masked_text(&scope, incident, &message.text).await?
                } else {
                    shared.app.masked_arriving(&scope, incident, &message.text).await?
                },
                tool_calls: message.tool_calls.iter().map(call).collect(),
                complete: message.complete,
            });
        }
        turns.push(TurnOut::new(turn, messages));
    }
    Ok(Json(turns))
}

/// Stop a turn
#[utoipa::path(post, path = "/incidents/{id}/turns/{turn}/stop", operation_id = "stopTurn", tag = "conversation",
    params(("id" = String, Path, description = "Which incident"), ("turn" = String, Path, description = "Which turn")),
    responses((status = 204, description = "It is stopped, or was over already"), Problem))]
pub async fn stop(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path((incident, turn)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    shared.app.stop_turn(&scope, id(&incident, "incident")?, id(&turn, "turn")?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List what left an incident
#[utoipa::path(get, path = "/incidents/{id}/departures", operation_id = "listDepartures", tag = "departures", params(("id" = String, Path, description = "Which incident")),
    responses((status = 200, description = "The departures, newest first", body = Vec<DepartureOut>), Problem))]
pub async fn departures(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
) -> Result<Json<Vec<DepartureOut>>, Problem> {
    let departures = shared.app.departures(&scope, id(&text, "incident")?).await?;
    Ok(Json(departures.into_iter().map(Into::into).collect()))
}

/// Read the exact bytes of a departure
#[utoipa::path(get, path = "/incidents/{id}/departures/{departure}/body", operation_id = "readDeparture", tag = "departures",
    params(("id" = String, Path, description = "Which incident"), ("departure" = String, Path, description = "Which departure")),
    responses((status = 200, description = "The bytes as they were sent", body = super::types::RawBytes, content_type = "application/octet-stream"), Problem))]
pub async fn departure_body(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path((incident, departure)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (_, body) = shared.app.departure(&scope, id(&incident, "incident")?, id(&departure, "departure")?).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], body).into_response())
}

/// List the whys
#[utoipa::path(get, path = "/incidents/{id}/whys", operation_id = "listWhys", tag = "whys", params(("id" = String, Path, description = "Which incident")),
    responses((status = 200, description = "The whys in their order", body = Vec<WhyOut>), Problem))]
pub async fn whys(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
) -> Result<Json<Vec<WhyOut>>, Problem> {
    let whys = shared.app.whys(&scope, id(&text, "incident")?).await?;
    Ok(Json(whys.into_iter().map(Into::into).collect()))
}

/// Add a why
#[utoipa::path(post, path = "/incidents/{id}/whys", operation_id = "addWhy", tag = "whys", params(("id" = String, Path, description = "Which incident")), request_body = WhyIn,
    responses((status = 201, description = "The why that was added", body = IdOut), Problem))]
pub async fn add_why(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
    Body(why): Body<WhyIn>,
) -> Result<(StatusCode, Json<IdOut>), Problem> {
    let incident = id(&text, "incident")?;
    let made = shared.app.put_why(&scope, incident, None, &why.question, &why.answer).await?;
    if why.root_cause {
        shared.app.mark_root_cause(&scope, incident, made, true).await?;
    }
    Ok((StatusCode::CREATED, Json(IdOut { id: made.to_string() })))
}

/// Read the root-cause analysis
#[utoipa::path(get, path = "/incidents/{id}/document", operation_id = "readDocument", tag = "document", params(("id" = String, Path, description = "Which incident")),
    responses((status = 200, description = "The document as it was last saved", body = DocumentOut), Problem))]
pub async fn document(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
) -> Result<Json<DocumentOut>, Problem> {
    let found = shared.app.document(&scope, id(&text, "incident")?).await?;
    let found = found.ok_or(fumehood_triage::TriageError::NotFound { what: "document in this incident" })?;
    Ok(Json(found.into()))
}

/// Save the root-cause analysis over the version that was read
#[utoipa::path(put, path = "/incidents/{id}/document", operation_id = "saveDocument", tag = "document", params(("id" = String, Path, description = "Which incident")), request_body = DocumentIn,
    responses((status = 200, description = "The version that it has now", body = VersionOut), Problem))]
pub async fn save_document(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
    Body(document): Body<DocumentIn>,
) -> Result<Json<VersionOut>, Problem> {
    let incident = id(&text, "incident")?;
    let version =
        shared.app.save_document(&scope, incident, document.version, &document.title, &document.markdown).await?;
    Ok(Json(VersionOut { version }))
}

/// The version that was saved.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub struct VersionOut {
    pub version: i64,
}

/// Export the root-cause analysis as Markdown
#[utoipa::path(get, path = "/incidents/{id}/document.md", operation_id = "exportDocument", tag = "document", params(("id" = String, Path, description = "Which incident")),
    responses((status = 200, description = "The title as a heading, and the text", body = String, content_type = "text/markdown"), Problem))]
pub async fn export_document(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    let found = shared.app.document(&scope, id(&text, "incident")?).await?;
    let found = found.ok_or(fumehood_triage::TriageError::NotFound { what: "document in this incident" })?;
    let markdown = format!("# {}\n\n{}", found.title, found.markdown);
    Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], markdown).into_response())
}

/// Write the root-cause analysis from the incident, its whys and its timeline
#[utoipa::path(post, path = "/incidents/{id}/document/generate", operation_id = "generateDocument", tag = "document", params(("id" = String, Path, description = "Which incident")),
    request_body = VersionIn,
    responses((status = 200, description = "The version that it has now", body = VersionOut), Problem))]
pub async fn generate(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
    Body(seen): Body<VersionIn>,
) -> Result<Json<VersionOut>, Problem> {
    let version = shared.app.generate_document(&scope, id(&text, "incident")?, seen.version).await?;
    Ok(Json(VersionOut { version }))
}

/// Publish the saved root-cause analysis, or bring the page up to date
#[utoipa::path(post, path = "/incidents/{id}/document/publish", operation_id = "publishDocument", tag = "document", params(("id" = String, Path, description = "Which incident")),
    request_body = PublishIn,
    responses((status = 200, description = "Where it was published, or that somebody else changed the page", body = PublicationOut), Problem))]
pub async fn publish(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
    Body(publish): Body<PublishIn>,
) -> Result<Json<PublicationOut>, Problem> {
    let to = publish.to.as_deref().map(|to| id(to, "integration")).transpose()?;
    Ok(Json(shared.app.publish(&scope, id(&text, "incident")?, to, publish.overwrite).await?.into()))
}
