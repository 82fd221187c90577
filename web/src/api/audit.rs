//! The audit log.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use fumehood_triage::TriageError;
use fumehood_triage::store::clock;
use fumehood_triage::store::record::{EntryFilter, ListedEntry};

use super::caller::{Caller, Checked, within};
use super::types::{AuditEntryOut, AuditPage, AuditQuery, CheckpointOut};
use crate::Shared;
use crate::problem::Problem;

/// List entries of the audit log, newest first
#[utoipa::path(get, path = "/audit", operation_id = "listAuditEntries", tag = "audit", params(AuditQuery),
    responses((status = 200, description = "The entries of this page", body = AuditPage), Problem))]
pub async fn entries(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Checked(Query(query)): Checked<Query<AuditQuery>>,
) -> Result<Json<AuditPage>, Problem> {
    let filter = EntryFilter {
        before: within("before", query.before, 0, i64::MAX as usize)?.map(|before| before as u64),
        target: query.target,
        action_prefix: query.action,
        limit: within("limit", query.limit, 1, 500)?.unwrap_or(100),
    };
    let entry = |listed: ListedEntry| AuditEntryOut {
        index: listed.entry.index,
        time: clock::rfc3339(listed.entry.time_us),
        actor: listed.entry.actor,
        action: listed.entry.action,
        target: listed.entry.target,
        phase: listed.entry.phase.name().to_owned(),
        intent: listed.entry.intent,
        result: listed.entry.result,
        details: listed.entry.details.into_iter().collect(),
        leaf: listed.leaf.to_base64(),
    };
    Ok(Json(AuditPage { entries: shared.app.audit(&scope, filter).await?.into_iter().map(entry).collect() }))
}

/// Read the newest signed checkpoint, to keep it elsewhere
#[utoipa::path(get, path = "/audit/checkpoint", operation_id = "readCheckpoint", tag = "audit",
    responses((status = 200, description = "The checkpoint, as the log signed it", body = CheckpointOut), Problem))]
pub async fn checkpoint(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
) -> Result<Json<CheckpointOut>, Problem> {
    let found = shared.app.checkpoint(&scope).await?;
    let (size, note) = found.ok_or(TriageError::NotFound { what: "checkpoint yet" })?;
    Ok(Json(CheckpointOut { size, note }))
}
