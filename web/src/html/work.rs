//! The timeline, and what was sent.

use axum::extract::{Path, Query};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use fumehood_triage::Permission;
use fumehood_triage::sent::Piece;
use fumehood_triage::store::record::EntryFilter;
use fumehood_triage::store::{DepartureId, IncidentId};

use super::bench::{Workbench, carries, departure_line, event, group};
use super::session::Reader;
use super::{PageError, id, page};
use crate::markdown;
use crate::units::{Bytes, Count, Id};
use crate::view::bench::{KindCount, Tab, TimelineEvent};
use crate::view::sent::{DeparturePage, SentPage};

/// Entries of one page of a list.
const ENTRIES: usize = 100;
/// Of a departure, what a page shows, bytes.
const SHOWN: usize = 256 << 10;

#[derive(serde::Deserialize, Default)]
pub(crate) struct BeforeQuery {
    before: Option<String>,
}

pub(crate) async fn timeline(
    reader: Reader,
    Path(text): Path<String>,
    Query(query): Query<BeforeQuery>,
) -> Result<Response, PageError> {
    let incident: IncidentId = id(&text, "incident")?;
    let bench = reader.workbench(incident, Tab::Timeline, None).await?;
    let before: i64 = query.before.and_then(|before| before.parse().ok()).unwrap_or(i64::MAX);
    let stored = reader.app().timeline(&reader.scope, incident).await?;
    let older: Vec<_> = stored.iter().rev().filter(|event| event.id < before).collect();
    let events: Vec<TimelineEvent> =
        older.iter().take(ENTRIES).map(|stored| event(incident, stored, &bench.names, bench.now)).collect();
    let last = older.get(ENTRIES.saturating_sub(1)).filter(|_| older.len() > ENTRIES).map(|event| event.id);
    let view = view_timeline(bench, events, last.map(|id| format!("/incidents/{incident}/timeline?before={id}")));
    Ok(page(StatusCode::OK, &view))
}

fn view_timeline(
    bench: Workbench,
    events: Vec<TimelineEvent>,
    older: Option<String>,
) -> crate::view::bench::TimelinePage {
    crate::view::bench::TimelinePage { frame: bench.frame, bench: bench.bench, events, older }
}

#[derive(serde::Deserialize, Default)]
pub(crate) struct SentQuery {
    before: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    all: bool,
}

/// `1` is set, everything else is not.
fn flag<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(<std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)? == "1")
}

pub(crate) async fn sent(
    reader: Reader,
    Path(text): Path<String>,
    Query(query): Query<SentQuery>,
) -> Result<Response, PageError> {
    let incident: IncidentId = id(&text, "incident")?;
    let bench = reader.workbench(incident, Tab::Sent, None).await?;
    let mut all = reader.app().departures(&reader.scope, incident).await?;
    let bare = all.iter().filter(|one| !carries(one)).count();
    if !query.all {
        all.retain(carries);
    }
    let skip = match query.before.and_then(|before| before.parse::<DepartureId>().ok()) {
        Some(before) => all.iter().position(|one| one.id == before).map_or(0, |at| at + 1),
        None => 0,
    };
    let rest: Vec<_> = all.iter().skip(skip).collect();
    let older = rest.get(ENTRIES.saturating_sub(1)).filter(|_| rest.len() > ENTRIES).map(|one| one.id);
    let view = SentPage {
        departures: rest.iter().take(ENTRIES).map(|one| departure_line(one, bench.now)).collect(),
        older: older
            .map(|id| format!("/incidents/{incident}/sent?before={id}{}", if query.all { "&all=1" } else { "" })),
        bare: Count(bare as u64),
        all: query.all,
        frame: bench.frame,
        bench: bench.bench,
    };
    Ok(page(StatusCode::OK, &view))
}

#[derive(serde::Deserialize)]
pub(crate) struct DepartureQuery {
    original: Option<String>,
}

/// Bytes for a reader: JSON laid out, other text as it is, the rest in hexadecimal.
fn readable(body: &[u8]) -> String {
    match std::str::from_utf8(body) {
        Ok(text) => serde_json::from_str::<serde_json::Value>(text)
            .and_then(|value| serde_json::to_string_pretty(&value))
            .unwrap_or_else(|_| text.to_owned()),
        Err(_) => {
            use std::fmt::Write as _;
            body.chunks(16).fold(String::new(), |mut out, line| {
                for byte in line {
                    let _ = write!(out, "{byte:02x} ");
                }
                out.push('\n');
                out
            })
        }
    }
}

pub(crate) async fn departure(
    reader: Reader,
    Path((incident, departure)): Path<(String, String)>,
    Query(query): Query<DepartureQuery>,
) -> Result<Response, PageError> {
    let incident: IncidentId = id(&incident, "incident")?;
    let departure: DepartureId = id(&departure, "departure")?;
    let (stored, body) = reader.app().departure(&reader.scope, incident, departure).await?;
    let bench = reader.workbench(incident, Tab::Sent, None).await?;
    let text = readable(&body);
    let cut = text.floor_char_boundary(SHOWN.min(text.len()));
    let shown = text.get(..cut).unwrap_or_default();
    let original = if query.original.is_some() && reader.may(Permission::RevealOriginals) {
        let pieces = reader.app().pieces(&reader.scope, incident, shown).await?;
        let restored: String = pieces
            .into_iter()
            .map(|piece| match piece {
                Piece::Text(text) => text,
                Piece::Pseudonym { label, original, .. } => original.unwrap_or(label),
            })
            .collect();
        Some(markdown::plain(&restored))
    } else {
        None
    };
    let masked = stored.masked.iter().map(|(kind, count)| KindCount {
        kind: kind.clone(),
        group: group(fumehood_triage::viewer::group_of(kind)),
        found: Count(*count),
        accepted: Count(*count),
        rejected: Count(0),
        pending: Count(0),
        shown: true,
    });
    // Intent and outcome have it as their target; the first is the one that was written before it left.
    let entry = if reader.may(Permission::ReadAudit) {
        let filter =
            EntryFilter { target: Some(format!("departure:{}", stored.id)), limit: 10, ..EntryFilter::default() };
        reader.app().audit(&reader.scope, filter).await?.last().map(|listed| Count(listed.entry.index))
    } else {
        None
    };
    let view = DeparturePage {
        departure: departure_line(&stored, bench.now),
        request: format!("{} {}", stored.method, stored.url),
        headers: stored.headers.clone(),
        bytes: markdown::plain(shown),
        original,
        cut: (cut < text.len()).then_some((Bytes(cut as u64), Bytes(text.len() as u64))),
        masked: masked.collect(),
        sha256: stored.body_sha256.clone(),
        entry,
        turn: stored.subject.strip_prefix("turn:").map(Id::new),
        frame: bench.frame,
        bench: bench.bench,
    };
    Ok(page(StatusCode::OK, &view))
}

pub(crate) async fn departure_bytes(
    reader: Reader,
    Path((incident, departure)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let departure: DepartureId = id(&departure, "departure")?;
    let (_, body) = reader.app().departure(&reader.scope, id(&incident, "incident")?, departure).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"departure-{departure}.bin\"")),
    ];
    Ok((headers, body).into_response())
}
