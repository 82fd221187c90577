//! Whys, the document, the timeline, what was sent.

use axum::Form;
use axum::extract::{Path, Query};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use fumehood_triage::sent::Piece;
use fumehood_triage::store::record::EntryFilter;
use fumehood_triage::store::whys::Why as StoredWhy;
use fumehood_triage::store::{DepartureId, EvidenceId, IncidentId, LogId, WhyId};
use fumehood_triage::viewer::Window;
use fumehood_triage::{Permission, TriageError};

use super::bench::{Workbench, departure_line, event, group, number};
use super::context::{notice, when};
use super::session::Reader;
use super::{PageError, id, page, see};
use crate::markdown;
use crate::units::{Bytes, Count, Id};
use crate::view::bench::{KindCount, Tab, TimelineEvent};
use crate::view::document::{Conflict, DocumentPage, PreviewFragment, Published, Target};
use crate::view::sent::{DeparturePage, SentPage};
use crate::view::whys::{Why, WhyEvidence, WhysPage};
use crate::view::{Field, Tone};

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

/// What was typed into one why and did not pass.
struct Wrong {
    why: Option<WhyId>,
    question: String,
    answer: String,
    message: String,
    /// It was about evidence, not about the text: the log and the lines that were typed.
    evidence: Option<(String, String)>,
}

async fn whys_view(reader: &Reader, incident: IncidentId, wrong: Option<Wrong>) -> Result<WhysPage, TriageError> {
    let bench = reader.workbench(incident, Tab::Whys, None).await?;
    let mut whys = Vec::new();
    for stored in reader.app().whys(&reader.scope, incident).await? {
        let of_this = wrong.as_ref().filter(|wrong| wrong.why == Some(stored.id));
        whys.push(why_view(reader, incident, stored, of_this).await?);
    }
    let new = wrong.filter(|wrong| wrong.why.is_none());
    let (question, answer) = match new {
        Some(wrong) => (Field::wrong(wrong.question, wrong.message), Field::new(wrong.answer)),
        None => (Field::default(), Field::default()),
    };
    Ok(WhysPage { frame: bench.frame, bench: bench.bench, whys, question, answer })
}

async fn why_view(
    reader: &Reader,
    incident: IncidentId,
    stored: StoredWhy,
    wrong: Option<&Wrong>,
) -> Result<Why, TriageError> {
    let mut evidence = Vec::new();
    for one in stored.evidence {
        let (line, last) = (number(one.line), number(one.last_line));
        let lines = reader.app().masked_lines(&reader.scope, one.log_id, line, 1, Window::of(200)).await?;
        // A line within a value that spans lines is that value.
        let excerpt = lines.into_iter().next().map(|line| match line.continues {
            Some(label) => label + line.text.as_str(),
            None => line.text.as_str().to_owned(),
        });
        evidence.push(WhyEvidence {
            id: Id::new(one.id.to_string()),
            log_name: one.log_name,
            href: format!("/incidents/{incident}/logs/{}?from={line}#L{line}", one.log_id),
            from: line,
            to: last,
            excerpt: excerpt.unwrap_or_default().chars().take(200).collect(),
        });
    }
    let text = wrong.filter(|wrong| wrong.evidence.is_none());
    let typed = wrong.and_then(|wrong| wrong.evidence.clone()).unwrap_or_default();
    Ok(Why {
        id: Id::new(stored.id.to_string()),
        number: u32::try_from(stored.position).unwrap_or(0),
        question: text
            .map_or_else(|| Field::new(stored.question), |wrong| Field::wrong(&wrong.question, &wrong.message)),
        answer: text.map_or_else(|| Field::new(stored.answer), |wrong| Field::new(&wrong.answer)),
        evidence,
        root: stored.root_cause,
        evidence_error: wrong.filter(|wrong| wrong.evidence.is_some()).map(|wrong| wrong.message.clone()),
        typed_log: typed.0,
        typed_lines: typed.1,
    })
}

pub(crate) async fn whys(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    Ok(page(StatusCode::OK, &whys_view(&reader, id(&text, "incident")?, None).await?))
}

#[derive(serde::Deserialize)]
pub(crate) struct WhyInput {
    #[serde(default)]
    question: String,
    #[serde(default)]
    answer: String,
}

async fn put_why(
    reader: &Reader,
    incident: IncidentId,
    why: Option<WhyId>,
    input: WhyInput,
) -> Result<Response, PageError> {
    let (question, answer) = (input.question.replace("\r\n", "\n"), input.answer.replace("\r\n", "\n"));
    let message = match reader.app().put_why(&reader.scope, incident, why, &question, &answer).await {
        Ok(why) => return Ok(see(&format!("/incidents/{incident}/whys#why-{why}"))),
        Err(TriageError::Invalid { message, .. } | TriageError::Conflict(message)) => message,
        Err(error) => return Err(error.into()),
    };
    let wrong = Wrong { why, question, answer, message, evidence: None };
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &whys_view(reader, incident, Some(wrong)).await?))
}

pub(crate) async fn add_why(
    reader: Reader,
    Path(text): Path<String>,
    Form(input): Form<WhyInput>,
) -> Result<Response, PageError> {
    put_why(&reader, id(&text, "incident")?, None, input).await
}

pub(crate) async fn edit_why(
    reader: Reader,
    Path((incident, why)): Path<(String, String)>,
    Form(input): Form<WhyInput>,
) -> Result<Response, PageError> {
    put_why(&reader, id(&incident, "incident")?, Some(id(&why, "why")?), input).await
}

#[derive(serde::Deserialize)]
pub(crate) struct EvidenceInput {
    #[serde(default)]
    log: String,
    /// `120` or `120-124`.
    #[serde(default)]
    lines: String,
}

fn line_range(text: &str) -> Result<std::ops::RangeInclusive<i64>, TriageError> {
    let wrong = || TriageError::Invalid { field: "lines", message: "Name a line (120) or lines (120-124).".into() };
    let (first, last) = text.trim().split_once(['-', '–']).unwrap_or((text.trim(), text.trim()));
    let parse = |text: &str| text.trim().parse::<i64>().map_err(|_| wrong());
    Ok(parse(first)?..=parse(last)?)
}

async fn add_lines(
    reader: &Reader,
    incident: IncidentId,
    why: WhyId,
    input: &EvidenceInput,
) -> Result<(), TriageError> {
    let missing = || TriageError::Invalid { field: "log", message: "Choose a log.".into() };
    let log: LogId = input.log.parse().map_err(|_| missing())?;
    reader.app().add_evidence(&reader.scope, incident, why, log, line_range(&input.lines)?, "").await
}

pub(crate) async fn add_evidence(
    reader: Reader,
    Path((incident, why)): Path<(String, String)>,
    Form(input): Form<EvidenceInput>,
) -> Result<Response, PageError> {
    let (incident, why): (IncidentId, WhyId) = (id(&incident, "incident")?, id(&why, "why")?);
    let message = match add_lines(&reader, incident, why, &input).await {
        Ok(()) => return Ok(see(&format!("/incidents/{incident}/whys#why-{why}"))),
        Err(TriageError::Invalid { message, .. }) => message,
        Err(error) => return Err(error.into()),
    };
    let evidence = Some((input.log, input.lines));
    let wrong = Wrong { why: Some(why), question: String::new(), answer: String::new(), message, evidence };
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &whys_view(&reader, incident, Some(wrong)).await?))
}

pub(crate) async fn remove_evidence(
    reader: Reader,
    Path((incident, why, evidence)): Path<(String, String, String)>,
) -> Result<Response, PageError> {
    let incident: IncidentId = id(&incident, "incident")?;
    let evidence: EvidenceId = id(&evidence, "evidence")?;
    reader.app().remove_evidence(&reader.scope, incident, evidence).await?;
    let why: WhyId = id(&why, "why")?;
    Ok(see(&format!("/incidents/{incident}/whys#why-{why}")))
}

pub(crate) async fn toggle_root(
    reader: Reader,
    Path((incident, why)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let (incident, why): (IncidentId, WhyId) = (id(&incident, "incident")?, id(&why, "why")?);
    let is = reader.app().whys(&reader.scope, incident).await?.iter().any(|one| one.id == why && one.root_cause);
    reader.app().mark_root_cause(&reader.scope, incident, why, !is).await?;
    Ok(see(&format!("/incidents/{incident}/whys#why-{why}")))
}

pub(crate) async fn remove_why(
    reader: Reader,
    Path((incident, why)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let (incident, why): (IncidentId, WhyId) = (id(&incident, "incident")?, id(&why, "why")?);
    reader.app().remove_why(&reader.scope, incident, why).await?;
    Ok(see(&format!("/incidents/{incident}/whys")))
}

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
}

async fn document_view(
    reader: &Reader,
    incident: IncidentId,
    typed: Option<&DocumentInput>,
) -> Result<DocumentPage, TriageError> {
    let bench = reader.workbench(incident, Tab::Document, None).await?;
    let stored = reader.app().document(&reader.scope, incident).await?;
    let confluence = reader.app().confluence(&reader.scope).await?;
    let publications = reader.app().publications(&reader.scope, incident).await?;
    let version = stored.as_ref().map_or(0, |document| document.version);
    let (title, text) = match (typed, &stored) {
        (Some(input), _) => (input.title.clone(), input.markdown.clone()),
        (None, Some(document)) => (document.title.clone(), document.markdown.clone()),
        (None, None) => (format!("Root-cause analysis: {}", bench.incident.title), String::new()),
    };
    let conflict = publications.iter().find(|one| one.state == "conflict").map(|one| Conflict {
        with: "Confluence".into(),
        kind: "remote".into(),
        theirs: (!one.theirs.is_empty()).then(|| one.theirs.clone()),
        at: Some(when(one.updated_us, bench.now)),
    });
    let busy = publications.iter().any(|one| one.state == "publishing").then(|| "Publishing to Confluence".to_owned());
    let published = publications.iter().find(|one| !one.url.is_empty()).map(|one| Published {
        url: one.url.clone(),
        title: one.title.clone(),
        at: when(one.updated_us, bench.now),
        by: bench.names.of(&one.updated_by),
        changed_since: one.document_version != version,
    });
    let failed = publications.iter().find(|one| matches!(one.state.as_str(), "failed" | "unknown"));
    let mut frame = bench.frame;
    if let Some(one) = failed {
        frame.notice = notice(Tone::Bad, format!("The last attempt to publish did not end well: {}", one.problem));
    }
    Ok(DocumentPage {
        frame,
        bench: bench.bench,
        title: Field::new(title),
        preview: markdown::render(&text),
        markdown: Field::new(text),
        version: Count(number(typed.map_or(version, |input| input.version))),
        saved: stored.as_ref().map(|one| (when(one.updated_us, bench.now), bench.names.of(&one.updated_by))),
        target: confluence.map(|one| Target {
            service: one.name.clone(),
            space: one.settings.get("space").cloned().unwrap_or_default(),
        }),
        published,
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
    let (tone, status, text) = match reader.app().publish(&reader.scope, incident, input.overwrite == "1").await {
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

pub(crate) async fn sent(
    reader: Reader,
    Path(text): Path<String>,
    Query(query): Query<BeforeQuery>,
) -> Result<Response, PageError> {
    let incident: IncidentId = id(&text, "incident")?;
    let bench = reader.workbench(incident, Tab::Sent, None).await?;
    let all = reader.app().departures(&reader.scope, incident).await?;
    let skip = match query.before.and_then(|before| before.parse::<DepartureId>().ok()) {
        Some(before) => all.iter().position(|one| one.id == before).map_or(0, |at| at + 1),
        None => 0,
    };
    let rest: Vec<_> = all.iter().skip(skip).collect();
    let older = rest.get(ENTRIES.saturating_sub(1)).filter(|_| rest.len() > ENTRIES).map(|one| one.id);
    let view = SentPage {
        departures: rest.iter().take(ENTRIES).map(|one| departure_line(one, bench.now)).collect(),
        older: older.map(|id| format!("/incidents/{incident}/sent?before={id}")),
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
