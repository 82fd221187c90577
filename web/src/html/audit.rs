//! The audit log.

use axum::extract::Query;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use fumehood_triage::Permission;
use fumehood_triage::audit::KeptCheckpoint;
use fumehood_triage::store::clock;
use fumehood_triage::store::record::{EntryFilter, EntrySearch, ListedEntry};

use super::context::{Names, now, when};
use super::session::{Reader, url_encode};
use super::{PageError, page, see};
use crate::units::Count;
use crate::view::audit::{AuditFilter, AuditPage, CheckpointRow, EntryRow, Verification, Word};
use crate::view::{Crumb, Place};

/// Entries on a page.
const PAGE: usize = 100;
/// Entries that are read at once for an export.
const PART: usize = 500;
/// Checkpoints on the page.
const CHECKPOINTS: usize = 5;

#[derive(serde::Deserialize, Default)]
pub(crate) struct AuditQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    actor: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    incident: String,
    /// `no` leaves the calls of plugins out.
    #[serde(default)]
    calls: String,
    before: Option<u64>,
}

impl AuditQuery {
    fn search(&self, before: Option<u64>, limit: usize) -> EntrySearch {
        EntrySearch {
            filter: EntryFilter {
                before,
                target: (!self.incident.is_empty()).then(|| format!("incident:{}", self.incident)),
                action_prefix: (!self.action.is_empty()).then(|| self.action.trim_end_matches('*').to_owned()),
                limit,
            },
            actor: self.actor.clone(),
            outcome: self.outcome.clone(),
            words: self.q.clone(),
            without_calls: self.calls == "no",
        }
    }

    /// The query of an address with the same filter.
    fn encoded(&self) -> String {
        let parts = [
            ("q", &self.q),
            ("actor", &self.actor),
            ("action", &self.action),
            ("outcome", &self.outcome),
            ("incident", &self.incident),
            ("calls", &self.calls),
        ];
        let parts = parts.into_iter().filter(|(_, value)| !value.is_empty());
        parts.map(|(key, value)| format!("{key}={}&", url_encode(value))).collect()
    }
}

fn entry_row(listed: &ListedEntry, names: &Names, now: jiff::Timestamp) -> EntryRow {
    let entry = &listed.entry;
    let (object, object_id) = entry.target.split_once(':').unwrap_or((&entry.target, ""));
    let is_intent = entry.phase.name() == "intent";
    EntryRow {
        number: Count(entry.index),
        at: when(entry.time_us, now),
        actor: names.of(&entry.actor),
        action: entry.action.clone(),
        object: object.to_owned(),
        object_id: Word::new(object_id),
        href: (object == "incident").then(|| format!("/incidents/{object_id}")),
        stage: entry.phase.name().to_owned(),
        outcome: if is_intent { String::new() } else { listed.outcome().to_owned() },
        intent: entry.intent.map(Count),
        details: entry.details.iter().map(|(key, value)| (key.clone(), Word::new(value))).collect(),
        hash: listed.leaf.to_base64(),
    }
}

fn checkpoint_row(kept: KeptCheckpoint, now: jiff::Timestamp) -> CheckpointRow {
    let mut lines = kept.note.lines().skip(2);
    let root = lines.next().unwrap_or_default().to_owned();
    let signed = lines.next().and_then(|line| line.strip_prefix("time_us ")?.parse().ok()).unwrap_or(0);
    CheckpointRow { size: Count(kept.size), root, at: when(signed, now), sinks: kept.sinks }
}

pub(crate) async fn audit(reader: Reader, Query(query): Query<AuditQuery>) -> Result<Response, PageError> {
    let (now, names) = (now(), reader.names().await?);
    let found = reader.app().search_audit(&reader.scope, query.search(query.before, PAGE)).await?;
    let words = reader.app().audit_words(&reader.scope).await?;
    let (checkpoints, all_checkpoints) = reader.app().checkpoints(&reader.scope, CHECKPOINTS).await?;
    let (origin, public_key) = reader.app().log_identity(&reader.scope)?;
    let verification = reader.app().last_verification();
    let view = AuditPage {
        frame: reader.frame("Audit", Place::Audit, vec![Crumb::here("Audit")]),
        entries: found.entries.iter().map(|one| entry_row(one, &names, now)).collect(),
        actors: words.actors.into_iter().map(|actor| (actor.clone(), names.of(&actor))).collect(),
        actions: words.actions,
        outcomes: words.outcomes,
        total: Count(checkpoints.first().map_or(0, |newest| newest.size)),
        older: found.next.map(|before| format!("/audit?{}before={before}", query.encoded())),
        export: format!("/audit/export?{}", query.encoded()).trim_end_matches(['?', '&']).to_owned(),
        checkpoints: checkpoints.into_iter().map(|kept| checkpoint_row(kept, now)).collect(),
        all_checkpoints: Count(all_checkpoints),
        verification: verification.map(|(good, text, at)| Verification { good, text, at: when(at, now) }),
        verifying: None,
        origin,
        public_key,
        filter: AuditFilter {
            q: query.q,
            actor: query.actor,
            action: query.action,
            outcome: query.outcome,
            incident: query.incident,
            without_calls: query.calls == "no",
        },
    };
    Ok(page(StatusCode::OK, &view))
}

pub(crate) async fn audit_verify(reader: Reader) -> Result<Response, PageError> {
    reader.app().verify_audit(&reader.scope).await?;
    Ok(see("/audit"))
}

/// The filtered log as JSON lines, newest first, made while it is read.
pub(crate) async fn audit_export(reader: Reader, Query(query): Query<AuditQuery>) -> Result<Response, PageError> {
    reader.needs(Permission::ReadAudit)?;
    let parts =
        futures_util::stream::try_unfold((reader, query, None, false), |(reader, query, before, over)| async move {
            if over {
                return Ok::<_, std::io::Error>(None);
            }
            let found = reader.app().search_audit(&reader.scope, query.search(before, PART)).await;
            let found = found.map_err(|error| std::io::Error::other(error.to_string()))?;
            let mut text = String::new();
            for one in &found.entries {
                let entry = &one.entry;
                let details: std::collections::BTreeMap<_, _> = entry.details.iter().cloned().collect();
                let line = serde_json::json!({
                    "index": entry.index, "time": clock::rfc3339(entry.time_us), "actor": entry.actor,
                    "action": entry.action, "target": entry.target, "phase": entry.phase.name(), "intent": entry.intent,
                    "result": entry.result, "details": details, "leaf": one.leaf.to_base64(),
                });
                text.push_str(&line.to_string());
                text.push('\n');
            }
            Ok(Some((bytes::Bytes::from(text), (reader, query, found.next, found.next.is_none()))))
        });
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.jsonl\""),
    ];
    Ok((headers, axum::body::Body::from_stream(parts)).into_response())
}
