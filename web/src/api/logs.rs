//! Logs: upload, findings, judgements, masked text.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body as HttpBody, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use fumehood_triage::TriageError;
use fumehood_triage::store::LogId;
use fumehood_triage::viewer::{FindingKey, RedactedCursor};
use futures_util::TryStreamExt as _;
use tokio_util::io::StreamReader;

use super::caller::{Body, Caller, Checked, id, within};
use super::types::{
    DecisionIn, DecisionOut, FindingOut, FindingsPage, FindingsQuery, KindOut, LogOut, UploadQuery, Verdict,
};
use crate::Shared;
use crate::problem::Problem;

/// Upload a log: the raw body, plain, gzip or zstd; streamed, scanned while it arrives
#[utoipa::path(post, path = "/incidents/{id}/logs", operation_id = "uploadLog", tag = "logs", params(("id" = String, Path, description = "Which incident"), UploadQuery),
    request_body(content = super::types::RawBytes, content_type = "application/octet-stream"),
    responses((status = 201, description = "The log, scanned to its end", body = LogOut),
        (status = 200, description = "The earlier log with the same text; nothing was added", body = LogOut), Problem))]
pub async fn upload(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
    Checked(Query(query)): Checked<Query<UploadQuery>>,
    headers: HeaderMap,
    body: HttpBody,
) -> Result<(StatusCode, Json<LogOut>), Problem> {
    let incident = id(&text, "incident")?;
    let expected = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let broken = |error| std::io::Error::new(std::io::ErrorKind::ConnectionAborted, error);
    let stream = body.into_data_stream().map_err(broken);
    let received =
        shared.app.upload(&scope, incident, &query.name, expected, Box::pin(StreamReader::new(stream))).await?;
    let status = if received.duplicate { StatusCode::OK } else { StatusCode::CREATED };
    let mut log = LogOut::from(received.log);
    log.duplicate = received.duplicate;
    Ok((status, Json(log)))
}

/// List an incident's logs
#[utoipa::path(get, path = "/incidents/{id}/logs", operation_id = "listLogs", tag = "logs", params(("id" = String, Path, description = "Which incident")),
    responses((status = 200, description = "The logs, with those that failed or still arrive", body = Vec<LogOut>), Problem))]
pub async fn list(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
) -> Result<Json<Vec<LogOut>>, Problem> {
    let logs = shared.app.logs(&scope, id(&text, "incident")?).await?;
    Ok(Json(logs.into_iter().map(Into::into).collect()))
}

/// Read what is known of a log
#[utoipa::path(get, path = "/logs/{id}", operation_id = "readLog", tag = "logs", params(("id" = String, Path, description = "Which log")),
    responses((status = 200, description = "The log", body = LogOut), Problem))]
pub async fn read(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
) -> Result<Json<LogOut>, Problem> {
    Ok(Json(shared.app.log(&scope, id(&text, "log")?).await?.into()))
}

/// Stop an upload; nothing of it is kept
#[utoipa::path(post, path = "/logs/{id}/cancel", operation_id = "cancelUpload", tag = "logs", params(("id" = String, Path, description = "Which log")),
    responses((status = 204, description = "It is stopped"), Problem))]
pub async fn cancel(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
) -> Result<StatusCode, Problem> {
    shared.app.cancel_upload(&scope, id(&text, "log")?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a log with its findings
#[utoipa::path(delete, path = "/logs/{id}", operation_id = "removeLog", tag = "logs", params(("id" = String, Path, description = "Which log")),
    responses((status = 204, description = "It is removed; what has left stays on record"), Problem))]
pub async fn remove(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
) -> Result<StatusCode, Problem> {
    shared.app.remove_log(&scope, id(&text, "log")?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List a log's findings: types and byte ranges, never values
#[utoipa::path(get, path = "/logs/{id}/findings", operation_id = "listFindings", tag = "logs", params(("id" = String, Path, description = "Which log"), FindingsQuery),
    responses((status = 200, description = "Types with their counts, and findings by their place", body = FindingsPage), Problem))]
pub async fn findings(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
    Checked(Query(query)): Checked<Query<FindingsQuery>>,
) -> Result<Json<FindingsPage>, Problem> {
    let log: LogId = id(&text, "log")?;
    let limit = within("limit", query.limit, 1, 50_000)?.unwrap_or(10_000);
    let kinds = shared.app.kinds(&scope, log).await?;
    let (found, next) = shared.app.findings(&scope, log, query.cursor.unwrap_or(0), limit).await?;
    let finding = |judged: fumehood_triage::viewer::Judged| FindingOut {
        id: judged.key.to_string(),
        kind: judged.key.kind,
        group: judged.group.code().to_owned(),
        start: judged.key.start,
        end: judged.key.end,
        confidence: judged.confidence,
        validated: judged.validated,
        detector: judged.detector,
        scanner: judged.scanner,
        verdict: match judged.accepted {
            None => Verdict::Pending,
            Some(true) => Verdict::Accepted,
            Some(false) => Verdict::Rejected,
        },
    };
    let kind = |kind: fumehood_triage::viewer::KindSummary| KindOut {
        kind: kind.kind,
        group: kind.group,
        total: kind.total,
        accepted: kind.accepted,
        rejected: kind.rejected,
    };
    Ok(Json(FindingsPage {
        kinds: kinds.into_iter().map(kind).collect(),
        findings: found.into_iter().map(finding).collect(),
        next,
    }))
}

/// Accept or reject one finding, or all of a type
#[utoipa::path(post, path = "/logs/{id}/decisions", operation_id = "judgeFindings", tag = "logs", params(("id" = String, Path, description = "Which log")), request_body = DecisionIn,
    responses((status = 200, description = "How many findings the judgement was about", body = DecisionOut), Problem))]
pub async fn decide(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
    Body(decision): Body<DecisionIn>,
) -> Result<Json<DecisionOut>, Problem> {
    let log = id(&text, "log")?;
    let accepted = match decision.verdict {
        Verdict::Accepted => Some(true),
        Verdict::Rejected => Some(false),
        Verdict::Pending => None,
    };
    let key = match &decision.id {
        Some(text) => Some(text.parse::<FindingKey>()?),
        None => None,
    };
    let kind = key.as_ref().map(|key| key.kind.clone()).or(decision.kind);
    let kind = kind.ok_or_else(|| TriageError::Invalid {
        field: "type",
        message: "Name a finding (id) or a type (type).".into(),
    })?;
    let changed = shared.app.judge(&scope, log, &kind, key.as_ref(), accepted).await?;
    Ok(Json(DecisionOut { changed }))
}

/// Read a log's text as it would leave, streamed
#[utoipa::path(get, path = "/logs/{id}/redacted", operation_id = "readRedacted", tag = "logs", params(("id" = String, Path, description = "Which log")),
    responses((status = 200, description = "The text; every finding that was not rejected is a pseudonym", body = String, content_type = "text/plain"), Problem))]
pub async fn redacted(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    let log = shared.app.log(&scope, id(&text, "log")?).await?;
    if log.state != "ready" {
        let message = format!("This log is {}: it can be read once all of it was scanned. {}", log.state, log.reason);
        return Err(TriageError::Conflict(message.trim().to_owned()).into());
    }
    // The first part is made before the answer begins, so that its errors have a status.
    let mut cursor = RedactedCursor::default();
    let first = shared.app.redacted(&scope, &log, &mut cursor).await?;
    let parts = futures_util::stream::try_unfold((first, cursor), move |(ready, mut cursor)| {
        let (shared, scope, log) = (Arc::clone(&shared), scope.clone(), log.clone());
        async move {
            let Some(ready) = ready else { return Ok::<_, std::io::Error>(None) };
            let next = shared
                .app
                .redacted(&scope, &log, &mut cursor)
                .await
                .map_err(|error| std::io::Error::other(error.to_string()))?;
            Ok(Some((Bytes::from(ready.as_str().to_owned()), (next, cursor))))
        }
    });
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((headers, HttpBody::from_stream(parts)).into_response())
}
