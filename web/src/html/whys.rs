//! The whys and their evidence.

use axum::Form;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use fumehood_triage::store::whys::Why as StoredWhy;
use fumehood_triage::store::{EvidenceId, IncidentId, LogId, WhyId};
use fumehood_triage::viewer::Window;
use fumehood_triage::{Permission, TriageError};

use super::bench::number;
use super::session::Reader;
use super::{PageError, id, page, see};
use crate::units::Id;
use crate::view::Field;
use crate::view::bench::Tab;
use crate::view::whys::{Why, WhyEvidence, WhysPage};

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
    let seen = stored.seen();
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
            href: match last {
                last if last > line => format!("/incidents/{incident}/logs/{}?from={line}#L{line}-{last}", one.log_id),
                _ => format!("/incidents/{incident}/logs/{}?from={line}#L{line}", one.log_id),
            },
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
        seen,
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
    /// Which texts were changed.
    #[serde(default)]
    seen: String,
}

/// Save what was typed; where that was refused, the page with it and why.
async fn put_why(
    reader: &Reader,
    incident: IncidentId,
    why: Option<WhyId>,
    input: WhyInput,
) -> Result<Result<WhyId, Response>, PageError> {
    let (question, answer) = (input.question.replace("\r\n", "\n"), input.answer.replace("\r\n", "\n"));
    let which = why.map(|why| (why, input.seen));
    let (message, status) = match reader.app().put_why(&reader.scope, incident, which, &question, &answer).await {
        Ok(why) => return Ok(Ok(why)),
        Err(TriageError::Invalid { message, .. }) => (message, StatusCode::UNPROCESSABLE_ENTITY),
        Err(TriageError::Conflict(message)) => (message, StatusCode::CONFLICT),
        Err(error) => return Err(error.into()),
    };
    let wrong = Wrong { why, question, answer, message, evidence: None };
    Ok(Err(page(status, &whys_view(reader, incident, Some(wrong)).await?)))
}

async fn saved(
    reader: &Reader,
    incident: IncidentId,
    why: Option<WhyId>,
    input: WhyInput,
) -> Result<Response, PageError> {
    Ok(match put_why(reader, incident, why, input).await? {
        Ok(why) => see(&format!("/incidents/{incident}/whys#why-{why}")),
        Err(refused) => refused,
    })
}

pub(crate) async fn add_why(
    reader: Reader,
    Path(text): Path<String>,
    Form(input): Form<WhyInput>,
) -> Result<Response, PageError> {
    saved(&reader, id(&text, "incident")?, None, input).await
}

pub(crate) async fn edit_why(
    reader: Reader,
    Path((incident, why)): Path<(String, String)>,
    Form(input): Form<WhyInput>,
) -> Result<Response, PageError> {
    saved(&reader, id(&incident, "incident")?, Some(id(&why, "why")?), input).await
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
    reader.needs(Permission::WriteIncidents)?;
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

/// The button stands in the form of the texts: what was typed is saved with it.
pub(crate) async fn toggle_root(
    reader: Reader,
    Path((incident, why)): Path<(String, String)>,
    Form(input): Form<WhyInput>,
) -> Result<Response, PageError> {
    let (incident, why): (IncidentId, WhyId) = (id(&incident, "incident")?, id(&why, "why")?);
    let whys = reader.app().whys(&reader.scope, incident).await?;
    let stored = whys.iter().find(|one| one.id == why).ok_or(TriageError::NotFound { what: "why" })?;
    let typed = |text: &str| text.replace("\r\n", "\n").trim().to_owned();
    let changed = typed(&input.question) != stored.question || typed(&input.answer) != stored.answer;
    if changed && let Err(refused) = put_why(&reader, incident, Some(why), input).await? {
        return Ok(refused);
    }
    reader.app().mark_root_cause(&reader.scope, incident, why, !stored.root_cause).await?;
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
