//! Uploads and the log viewer.

use axum::extract::{Multipart, Path, RawQuery};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::{Form, Json};
use bytes::Bytes as Chunk;
use fumehood_triage::intake::Received;
use fumehood_triage::store::{IncidentId, LogId, logs::LogFile};
use fumehood_triage::viewer::{CLIP_BYTES, FindingKey, Judged, Line, MAX_LINES, MaskedLine, WHOLE_BYTES, Window};
use fumehood_triage::{Permission, TriageError};
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;

use super::bench::{kind_count, number};
use super::context::{notice, now, when};
use super::session::Reader;
use super::{PageError, failed, id, see, wants_json};
use crate::units::{Bytes, Count, Id};
use crate::view::Tone;
use crate::view::bench::{Group, KindCount, Tab};
use crate::view::log::{
    Cut, FindingDetail, FindingFragment, LegendFragment, LineFinding, LinesFragment, LogHead, LogLine, LogPage, Mark,
    Verdict, View, masked_segments, segments,
};

/// Of a value, what the panel of a finding shows, characters.
const VALUE_CHARS: usize = 200;
/// Lines of a page without scripts.
const PAGE: u64 = 100;

/// One or more files, streamed; nothing is buffered but what is on its way to the scanner.
pub(crate) async fn upload(
    reader: Reader,
    Path(text): Path<String>,
    headers: HeaderMap,
    mut form: Multipart,
) -> Response {
    let incident: IncidentId = match id(&text, "incident") {
        Ok(incident) => incident,
        Err(error) => return error.into_response(),
    };
    let expected = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
    let mut last: Option<Received> = None;
    loop {
        let mut field = match form.next_field().await {
            Ok(Some(field)) => field,
            Ok(None) => break,
            Err(error) => {
                let message =
                    format!("The upload broke off ({}). Nothing of it was kept; add it again.", error.body_text());
                return failed(&headers, TriageError::Invalid { field: "file", message });
            }
        };
        let Some(name) = field.file_name().map(str::to_owned).filter(|name| !name.is_empty()) else { continue };
        let (send, receive) = mpsc::channel::<std::io::Result<Chunk>>(4);
        let stream = futures_util::stream::unfold(receive, |mut receive| async {
            receive.recv().await.map(|part| (part, receive))
        });
        let body = Box::pin(StreamReader::new(Box::pin(stream)));
        let forward = async move {
            loop {
                let part = match field.chunk().await {
                    Ok(Some(bytes)) => Ok(bytes),
                    Ok(None) => return,
                    // A cut connection must not look like the end of the file.
                    Err(error) => Err(std::io::Error::new(std::io::ErrorKind::ConnectionAborted, error.body_text())),
                };
                let broken = part.is_err();
                if send.send(part).await.is_err() || broken {
                    return;
                }
            }
        };
        let (received, ()) = tokio::join!(reader.app().upload(&reader.scope, incident, &name, expected, body), forward);
        match received {
            Ok(received) => last = Some(received),
            Err(error) => return failed(&headers, error),
        }
    }
    let Some(received) = last else {
        return failed(&headers, TriageError::Invalid { field: "file", message: "Choose a file first.".into() });
    };
    if wants_json(&headers) {
        let duplicate = received.duplicate.then(|| serde_json::json!({ "name": received.log.name }));
        return Json(serde_json::json!({ "id": received.log.id.to_string(), "duplicate_of": duplicate }))
            .into_response();
    }
    see(&format!("/incidents/{incident}/logs/{}", received.log.id))
}

/// What the viewer's addresses carry; `kind` may stand several times.
#[derive(Default)]
struct Asked {
    from: u64,
    count: u64,
    masked: bool,
    whole: bool,
    kinds: Option<Vec<String>>,
    finding: Option<FindingKey>,
    line: u64,
    /// A byte of the log that is to be in view.
    at: Option<u64>,
    backwards: bool,
}

impl Asked {
    fn of(query: Option<&str>) -> Self {
        let mut asked = Self { from: 1, count: PAGE, line: 1, ..Self::default() };
        for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match key.as_ref() {
                "from" => asked.from = value.parse().unwrap_or(1).max(1),
                "count" => asked.count = value.parse().unwrap_or(PAGE).clamp(1, MAX_LINES),
                "view" => asked.masked = value == "masked",
                "whole" => asked.whole = value == "1",
                "finding" => asked.finding = value.parse().ok(),
                "line" => asked.line = value.parse().unwrap_or(1).max(1),
                "at" => asked.at = value.parse().ok(),
                "dir" => asked.backwards = value == "prev",
                // No `kind` marks all types, one empty `kind` marks none.
                "kind" => asked.kinds.get_or_insert_default().extend((!value.is_empty()).then(|| value.into_owned())),
                _ => {}
            }
        }
        asked
    }

    fn shows(&self, kind: &str) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|shown| shown == kind))
    }
}

fn verdict(judged: &Judged) -> Verdict {
    match judged.accepted {
        None => Verdict::Pending,
        Some(true) => Verdict::Accepted,
        Some(false) => Verdict::Rejected,
    }
}

fn group(judged: &Judged) -> Group {
    super::bench::group(judged.group.code())
}

fn mark(judged: &Judged) -> Mark {
    let checked = if judged.validated { " · checked" } else { "" };
    Mark {
        id: Id::new(judged.key.to_string()),
        kind: judged.key.kind.clone(),
        group: group(judged),
        verdict: verdict(judged),
        about: format!("{} · {} · {:.2}{checked}", judged.key.kind, judged.detector, judged.confidence),
    }
}

async fn rows(reader: &Reader, log: LogId, asked: &Asked) -> Result<Vec<LogLine>, TriageError> {
    let mut window = Window::of(if asked.whole { WHOLE_BYTES } else { CLIP_BYTES });
    window.at = match (&asked.finding, asked.at) {
        (_, Some(byte)) => Some((asked.from, byte)),
        (Some(key), None) => {
            reader.app().finding(&reader.scope, log, key).await.ok().map(|found| (found.line, key.start))
        }
        (None, None) => None,
    };
    let count = if asked.whole { 1 } else { asked.count };
    let cut = |bytes: u64, at: u64| {
        let at = (asked.whole || window.at.is_some()).then_some(at);
        (bytes > 0).then_some(Cut { bytes: Bytes(bytes), at })
    };
    // Windows overlap by a quarter, so that nothing is lost at their edges.
    let half = (WHOLE_BYTES / 2) as u64;
    if asked.masked || !reader.may(Permission::RevealOriginals) {
        let lines = reader.app().masked_lines(&reader.scope, log, asked.from, count, window).await?;
        let line = |line: MaskedLine| {
            let source = line.begin..line.begin + line.source_bytes;
            LogLine {
                number: line.number,
                segments: masked_segments(line.text.as_str()),
                before: cut(line.skipped, source.start.saturating_sub(half)),
                after: cut(line.clipped, source.end),
                masked: true,
                continues: line.continues,
            }
        };
        return Ok(lines.into_iter().map(line).collect());
    }
    let lines = reader.app().lines(&reader.scope, log, asked.from, count, window).await?;
    let line = |line: Line| {
        let shown = line.findings.iter().filter(|(_, _, judged)| asked.shows(&judged.key.kind));
        let findings: Vec<LineFinding> =
            shown.map(|(start, end, judged)| LineFinding { start: *start, end: *end, mark: mark(judged) }).collect();
        LogLine {
            number: line.number,
            segments: segments(&line.text, &findings),
            before: cut(line.skipped, line.begin.saturating_sub(half)),
            after: cut(line.clipped, line.begin + line.text.len() as u64),
            masked: false,
            continues: None,
        }
    };
    Ok(lines.into_iter().map(line).collect())
}

async fn kinds_of(reader: &Reader, log: LogId, asked: &Asked) -> Result<Vec<KindCount>, TriageError> {
    let kinds = reader.app().kinds(&reader.scope, log).await?;
    Ok(kinds
        .into_iter()
        .map(|kind| {
            let shown = asked.shows(&kind.kind);
            KindCount { shown, ..kind_count(kind) }
        })
        .collect())
}

async fn detail(
    reader: &Reader,
    incident: IncidentId,
    log: LogId,
    key: &FindingKey,
) -> Result<FindingDetail, TriageError> {
    let found = reader.app().finding(&reader.scope, log, key).await?;
    let kinds = reader.app().kinds(&reader.scope, log).await?;
    let of_kind = kinds.iter().find(|kind| kind.kind == key.kind).map_or(0, |kind| kind.total);
    let judged = match &found.decided {
        Some((actor, time_us)) => Some((reader.names().await?.of(actor), when(*time_us, now()))),
        None => None,
    };
    let value = found.value.map(|value| {
        let shown: String = value.chars().take(VALUE_CHARS).collect();
        let longer = shown.len() as u64 + key.start < key.end;
        (shown, longer)
    });
    Ok(FindingDetail {
        incident: Id::new(incident.to_string()),
        log: Id::new(log.to_string()),
        mark: mark(&found.judged),
        line: found.line,
        scanner: found.judged.scanner.clone(),
        detector: found.judged.detector.clone(),
        confidence_percent: (found.judged.confidence * 100.0).round().clamp(0.0, 100.0) as u8,
        validated: found.judged.validated,
        pseudonym: found.label,
        value,
        covered: found.covered,
        judged,
        of_kind: Count(of_kind),
        can_write: reader.may(Permission::ReviewFindings),
    })
}

/// A log of this incident.
async fn log_in(reader: &Reader, incident: &str, log: &str) -> Result<(IncidentId, LogFile), PageError> {
    let (incident, log): (IncidentId, LogId) = (id(incident, "incident")?, id(log, "log")?);
    let file = reader.app().log(&reader.scope, log).await?;
    if file.incident_id != incident {
        return Err(TriageError::NotFound { what: "log in this incident" }.into());
    }
    Ok((incident, file))
}

pub(crate) async fn page(
    reader: Reader,
    Path((incident, log)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let (incident, file) = log_in(&reader, &incident, &log).await?;
    let view = log_page(&reader, incident, &file, Asked::of(query.as_deref())).await?;
    Ok(super::page(StatusCode::OK, &view))
}

async fn log_page(
    reader: &Reader,
    incident: IncidentId,
    file: &LogFile,
    mut asked: Asked,
) -> Result<LogPage, TriageError> {
    if !asked.whole {
        // Pages begin at the same lines whoever asks, so that the viewer does not fetch rows twice.
        asked.from = (asked.from - 1) / PAGE * PAGE + 1;
        asked.count = PAGE;
    }
    let bench = reader.workbench(incident, Tab::Log, Some(file.id)).await?;
    let readable = reader.may(Permission::RevealOriginals);
    let finding = match &asked.finding {
        Some(key) => detail(reader, incident, file.id, key).await.ok(),
        None => None,
    };
    let mut remarks = Vec::new();
    if file.replaced > 0 {
        remarks.push(match file.replaced {
            1 => "One byte sequence is not UTF-8 and is shown as \u{fffd}.".to_owned(),
            many => format!("{} byte sequences are not UTF-8 and are shown as \u{fffd}.", Count(number(many))),
        });
    }
    if !readable {
        remarks.push("Your role shows masked text only.".to_owned());
    }
    Ok(LogPage {
        log: LogHead {
            id: Id::new(file.id.to_string()),
            name: file.name.clone(),
            size: Bytes(number(file.text_bytes)),
            lines: Count(number(file.lines)),
            sha256: file.sha256.clone(),
            by: bench.names.of(&file.created_by),
            added: when(file.created_us, bench.now),
            state: reader.log_state(file),
            remarks,
        },
        view: if asked.masked || !readable { View::Masked } else { View::Original },
        lines: rows(reader, file.id, &asked).await?,
        from: asked.from,
        page: PAGE,
        whole: asked.whole,
        kinds: kinds_of(reader, file.id, &asked).await?,
        finding,
        frame: bench.frame,
        bench: bench.bench,
    })
}

pub(crate) async fn lines(
    reader: Reader,
    Path((incident, log)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let (_, file) = log_in(&reader, &incident, &log).await?;
    let lines = rows(&reader, file.id, &Asked::of(query.as_deref())).await?;
    Ok(super::page(StatusCode::OK, &LinesFragment { lines }))
}

pub(crate) async fn legend(
    reader: Reader,
    Path((incident, log)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let (incident, file) = log_in(&reader, &incident, &log).await?;
    let asked = Asked::of(query.as_deref());
    let view = LegendFragment {
        incident: Id::new(incident.to_string()),
        log: Id::new(file.id.to_string()),
        kinds: kinds_of(&reader, file.id, &asked).await?,
        can_write: reader.may(Permission::ReviewFindings),
        view: if asked.masked { View::Masked } else { View::Original },
    };
    Ok(super::page(StatusCode::OK, &view))
}

pub(crate) async fn finding(
    reader: Reader,
    Path((incident, log, key)): Path<(String, String, String)>,
) -> Result<Response, PageError> {
    let (incident, file) = log_in(&reader, &incident, &log).await?;
    let key: FindingKey = key.parse()?;
    let finding = detail(&reader, incident, file.id, &key).await?;
    Ok(super::page(StatusCode::OK, &FindingFragment { finding }))
}

pub(crate) async fn next(
    reader: Reader,
    Path((incident, log)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let (_, file) = log_in(&reader, &incident, &log).await?;
    let asked = Asked::of(query.as_deref());
    let kinds = asked.kinds.clone().unwrap_or_default();
    let found = reader
        .app()
        .next_finding(&reader.scope, file.id, asked.finding.as_ref(), asked.line, asked.backwards, &kinds)
        .await?;
    Ok(match found {
        Some((key, line)) => Json(serde_json::json!({ "id": key.to_string(), "line": line })).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

#[derive(serde::Deserialize)]
pub(crate) struct JudgeInput {
    verdict: String,
    #[serde(default)]
    kind: String,
}

async fn judge(
    reader: &Reader,
    file: &LogFile,
    kind: &str,
    key: Option<&FindingKey>,
    verdict: &str,
) -> Result<u64, TriageError> {
    let accepted = match verdict {
        "accepted" => Some(true),
        "rejected" => Some(false),
        "pending" => None,
        _ => {
            let message = "A finding is accepted, rejected or pending.".to_owned();
            return Err(TriageError::Invalid { field: "verdict", message });
        }
    };
    reader.app().judge(&reader.scope, file.id, kind, key, accepted).await
}

fn judged(headers: &HeaderMap, to: &str, result: Result<u64, TriageError>, verdict: &str) -> Response {
    match result {
        Ok(changed) if wants_json(headers) => {
            Json(serde_json::json!({ "changed": changed, "verdict": verdict })).into_response()
        }
        Ok(_) => see(to),
        Err(error) => failed(headers, error),
    }
}

pub(crate) async fn judge_one(
    reader: Reader,
    Path((incident, log, key)): Path<(String, String, String)>,
    headers: HeaderMap,
    Form(input): Form<JudgeInput>,
) -> Result<Response, PageError> {
    let (incident, file) = log_in(&reader, &incident, &log).await?;
    let key: FindingKey = key.parse()?;
    let result = judge(&reader, &file, &key.kind, Some(&key), &input.verdict).await;
    let line = reader.app().finding(&reader.scope, file.id, &key).await.map_or(1, |found| found.line);
    let to = format!("/incidents/{incident}/logs/{}?from={line}&finding={key}", file.id);
    Ok(judged(&headers, &to, result, &input.verdict))
}

pub(crate) async fn judge_kind(
    reader: Reader,
    Path((incident, log)): Path<(String, String)>,
    headers: HeaderMap,
    Form(input): Form<JudgeInput>,
) -> Result<Response, PageError> {
    let (incident, file) = log_in(&reader, &incident, &log).await?;
    let result = judge(&reader, &file, &input.kind, None, &input.verdict).await;
    Ok(judged(&headers, &format!("/incidents/{incident}/logs/{}", file.id), result, &input.verdict))
}

pub(crate) async fn cancel(
    reader: Reader,
    Path((incident, log)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let (incident, file) = log_in(&reader, &incident, &log).await?;
    reader.app().cancel_upload(&reader.scope, file.id).await?;
    Ok(see(&format!("/incidents/{incident}")))
}

pub(crate) async fn remove(
    reader: Reader,
    Path((incident, log)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let (incident, file) = log_in(&reader, &incident, &log).await?;
    match reader.app().remove_log(&reader.scope, file.id).await {
        Ok(()) => Ok(see(&format!("/incidents/{incident}"))),
        Err(TriageError::Conflict(message)) => {
            let mut view = log_page(&reader, incident, &file, Asked::of(None)).await?;
            view.frame.notice = notice(Tone::Bad, message);
            Ok(super::page(StatusCode::CONFLICT, &view))
        }
        Err(error) => Err(error.into()),
    }
}
