//! Incidents, the sash, the timeline.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use fumehood_triage::store::incidents::{IncidentFields, IncidentFilter};

use super::caller::{Body, Caller, Checked, id, within};
use super::types::{EventOut, IncidentOut, IncidentPage, IncidentPatch, IncidentQuery, NewIncident, SashIn, word};
use crate::Shared;
use crate::problem::Problem;

/// Create an incident
#[utoipa::path(post, path = "/incidents", operation_id = "createIncident", tag = "incidents", request_body = NewIncident,
    responses((status = 201, description = "The incident that was created", body = IncidentOut), Problem))]
pub async fn create(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Body(new): Body<NewIncident>,
) -> Result<(StatusCode, Json<IncidentOut>), Problem> {
    let incident = shared.app.create_incident(&scope, new.into()).await?;
    Ok((StatusCode::CREATED, Json(incident.into())))
}

/// List incidents
#[utoipa::path(get, path = "/incidents", operation_id = "listIncidents", tag = "incidents", params(IncidentQuery),
    responses((status = 200, description = "The incidents of this page, and how many there are in all", body = IncidentPage), Problem))]
pub async fn list(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Checked(Query(query)): Checked<Query<IncidentQuery>>,
) -> Result<Json<IncidentPage>, Problem> {
    let filter = IncidentFilter {
        text: query.q,
        status: query.status.map(|status| word(&status)),
        severity: query.severity.map(|severity| word(&severity)),
        sort: query.sort.map(|sort| word(&sort)),
        limit: within("limit", query.limit, 1, 200)?.unwrap_or(50),
        offset: within("offset", query.offset, 0, 1 << 40)?.unwrap_or(0),
    };
    let (incidents, total) = shared.app.incidents(&scope, filter).await?;
    Ok(Json(IncidentPage { incidents: incidents.into_iter().map(Into::into).collect(), total }))
}

/// Read an incident
#[utoipa::path(get, path = "/incidents/{id}", operation_id = "readIncident", tag = "incidents", params(("id" = String, Path, description = "Which incident")),
    responses((status = 200, description = "The incident", body = IncidentOut), Problem))]
pub async fn read(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
) -> Result<Json<IncidentOut>, Problem> {
    Ok(Json(shared.app.incident(&scope, id(&text, "incident")?).await?.into()))
}

/// Change an incident
#[utoipa::path(patch, path = "/incidents/{id}", operation_id = "updateIncident", tag = "incidents", params(("id" = String, Path, description = "Which incident")), request_body = IncidentPatch,
    responses((status = 200, description = "The incident as it is now", body = IncidentOut), Problem))]
pub async fn update(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
    Body(patch): Body<IncidentPatch>,
) -> Result<Json<IncidentOut>, Problem> {
    let id = id(&text, "incident")?;
    let old = shared.app.incident(&scope, id).await?;
    let fields = IncidentFields {
        title: patch.title.unwrap_or(old.title),
        description: patch.description.unwrap_or(old.description),
        severity: patch.severity.unwrap_or(old.severity),
        status: patch.status.unwrap_or(old.status),
        category: patch.category.unwrap_or(old.category),
        tags: patch.tags.unwrap_or(old.tags),
    };
    Ok(Json(shared.app.update_incident(&scope, id, patch.version, fields).await?.into()))
}

/// Lower or raise the sash: nothing leaves while it is lowered
#[utoipa::path(put, path = "/incidents/{id}/sash", operation_id = "setSash", tag = "incidents", params(("id" = String, Path, description = "Which incident")), request_body = SashIn,
    responses((status = 200, description = "The incident with its sash as it is now", body = IncidentOut), Problem))]
pub async fn sash(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
    Body(sash): Body<SashIn>,
) -> Result<Json<IncidentOut>, Problem> {
    Ok(Json(shared.app.set_sash(&scope, id(&text, "incident")?, sash.lowered).await?.into()))
}

/// Read an incident's timeline, oldest first
#[utoipa::path(get, path = "/incidents/{id}/timeline", operation_id = "readTimeline", tag = "incidents", params(("id" = String, Path, description = "Which incident")),
    responses((status = 200, description = "The events so far", body = Vec<EventOut>), Problem))]
pub async fn timeline(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
) -> Result<Json<Vec<EventOut>>, Problem> {
    let events = shared.app.timeline(&scope, id(&text, "incident")?).await?;
    Ok(Json(events.into_iter().map(Into::into).collect()))
}
