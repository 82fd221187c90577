//! Incidents, the sash, the timeline.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use fumehood_triage::store::incidents::{IncidentFields, IncidentFilter};

use super::caller::{Body, Caller, Checked, id};
use super::types::{EventOut, IncidentOut, IncidentPage, IncidentPatch, IncidentQuery, NewIncident, SashIn};
use crate::Shared;
use crate::problem::Problem;

/// Create an incident
#[utoipa::path(post, path = "/incidents", tag = "incidents", request_body = NewIncident,
    responses((status = 201, body = IncidentOut), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub async fn create(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Body(new): Body<NewIncident>,
) -> Result<(StatusCode, Json<IncidentOut>), Problem> {
    let incident = shared.app.create_incident(&scope, new.into()).await?;
    Ok((StatusCode::CREATED, Json(incident.into())))
}

/// List incidents
#[utoipa::path(get, path = "/incidents", tag = "incidents", params(IncidentQuery),
    responses((status = 200, body = IncidentPage), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub async fn list(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Checked(Query(query)): Checked<Query<IncidentQuery>>,
) -> Result<Json<IncidentPage>, Problem> {
    let filter = IncidentFilter {
        text: query.q,
        status: query.status,
        severity: query.severity,
        sort: query.sort,
        limit: query.limit.unwrap_or(50),
        offset: query.offset.unwrap_or(0).min(1 << 40),
    };
    let (incidents, total) = shared.app.incidents(&scope, filter).await?;
    Ok(Json(IncidentPage { incidents: incidents.into_iter().map(Into::into).collect(), total }))
}

/// Read an incident
#[utoipa::path(get, path = "/incidents/{id}", tag = "incidents", params(("id" = String, Path)),
    responses((status = 200, body = IncidentOut), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub async fn read(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
) -> Result<Json<IncidentOut>, Problem> {
    Ok(Json(shared.app.incident(&scope, id(&text, "incident")?).await?.into()))
}

/// Change an incident
#[utoipa::path(patch, path = "/incidents/{id}", tag = "incidents", params(("id" = String, Path)), request_body = IncidentPatch,
    responses((status = 200, body = IncidentOut), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
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
#[utoipa::path(put, path = "/incidents/{id}/sash", tag = "incidents", params(("id" = String, Path)), request_body = SashIn,
    responses((status = 200, body = IncidentOut), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub async fn sash(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
    Body(sash): Body<SashIn>,
) -> Result<Json<IncidentOut>, Problem> {
    Ok(Json(shared.app.set_sash(&scope, id(&text, "incident")?, sash.lowered).await?.into()))
}

/// Read an incident's timeline, oldest first
#[utoipa::path(get, path = "/incidents/{id}/timeline", tag = "incidents", params(("id" = String, Path)),
    responses((status = 200, body = Vec<EventOut>), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub async fn timeline(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
) -> Result<Json<Vec<EventOut>>, Problem> {
    let events = shared.app.timeline(&scope, id(&text, "incident")?).await?;
    Ok(Json(events.into_iter().map(Into::into).collect()))
}
