//! The conversation: the page, the stream, approvals, revealing.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::{Form, Json};
use fumehood_triage::conversation::destination;
use fumehood_triage::settings::decimal;
use fumehood_triage::store::approvals::Verdict;
use fumehood_triage::store::outside::Model;
use fumehood_triage::store::{ApprovalId, IncidentId, QuestionId, TurnId};
use fumehood_triage::tools::Reply;
use fumehood_triage::{Permission, TriageError};

use super::bench::number;
use super::session::Reader;
use super::turns::{rounds, scene, turn_view};
use super::{PageError, hex, id, page as render, see};
use crate::problem::Problem;
use crate::units::{Count, Id};
use crate::view::Field;
use crate::view::bench::{LogState, SashFragment, Tab};
use crate::view::chat::{ChatPage, ModelChoice, RoundFragment, ToolSource, TurnFragment};

/// Fields of a form that are read.
const FIELDS: usize = 64;
/// Between two looks at a turn that runs: ten a second at most.
const BEAT: Duration = Duration::from_millis(120);

pub(super) async fn chat_view(reader: &Reader, incident: IncidentId, draft: Field) -> Result<ChatPage, TriageError> {
    let bench = reader.workbench(incident, Tab::Chat, None).await?;
    let scene = scene(reader, incident).await?;
    let chain = reader.app().chain(&reader.scope, incident).await?;
    let chosen = reader.app().chosen_model(&reader.scope, incident).await?;
    let choice = |model: &Model| ModelChoice {
        id: Id::new(model.id.to_string()),
        name: destination(model),
        chosen: chosen == Some(model.id),
    };
    let models = if chain.len() > 1 { chain.iter().map(choice).collect() } else { Vec::new() };
    let mut turns = Vec::with_capacity(scene.talk.turns.len());
    for stored in &scene.talk.turns {
        turns.push(turn_view(reader, &scene, stored).await?);
    }
    let mut sources = Vec::new();
    for server in reader.app().servers(&reader.scope).await?.into_iter().filter(|server| server.enabled) {
        let count = scene.catalogue.tools.iter().filter(|tool| tool.server_id == server.id).count();
        let problem =
            scene.catalogue.problems.iter().find(|(name, _)| *name == server.name).map(|(_, problem)| problem.clone());
        sources.push(ToolSource { server: server.name, tools: problem.map_or(Ok(Count(count as u64)), Err) });
    }
    let ready = bench.bench.evidence.logs.iter().filter(|log| matches!(log.state, LogState::Ready)).count();
    let spent = reader.app().spent(&reader.scope, incident).await?;
    let mut limits = Vec::new();
    if let Some(most) = spent.tokens {
        limits.push(format!("{} of {} tokens used", Count(number(spent.used.tokens)), Count(number(most))));
    }
    if let Some(most) = spent.cost {
        limits.push(format!("{} of {} spent", decimal(spent.used.cost), decimal(most)));
    }
    Ok(ChatPage {
        spent: limits.join(", "),
        frame: bench.frame,
        bench: bench.bench,
        turns,
        draft,
        model: chain.first().map(destination),
        models,
        sources,
        has_prompts: reader.app().has_prompts(&reader.scope).await?,
        logs_ready: Count(ready as u64),
    })
}

pub(crate) async fn page(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    let view = chat_view(&reader, id(&text, "incident")?, Field::default()).await?;
    Ok(render(StatusCode::OK, &view))
}

#[derive(serde::Deserialize)]
pub(crate) struct SayInput {
    #[serde(default)]
    text: String,
}

pub(crate) async fn say(
    reader: Reader,
    Path(text): Path<String>,
    Form(input): Form<SayInput>,
) -> Result<Response, PageError> {
    let incident: IncidentId = id(&text, "incident")?;
    let typed = input.text.replace("\r\n", "\n");
    let (message, status) = match reader.app().say(&reader.scope, incident, &typed).await {
        Ok(turn) => return Ok(see(&format!("/incidents/{incident}/chat#turn-{turn}"))),
        Err(TriageError::Invalid { message, .. }) => (message, StatusCode::UNPROCESSABLE_ENTITY),
        Err(error @ (TriageError::Conflict(_) | TriageError::NotSetUp { .. })) => {
            (error.to_string(), StatusCode::CONFLICT)
        }
        Err(error) => return Err(error.into()),
    };
    Ok(render(status, &chat_view(&reader, incident, Field::wrong(input.text, message)).await?))
}

/// A turn of this incident.
async fn turn_in(reader: &Reader, incident: &str, turn: &str) -> Result<(IncidentId, TurnId), PageError> {
    let incident: IncidentId = id(incident, "incident")?;
    reader.app().incident(&reader.scope, incident).await?;
    Ok((incident, id(turn, "turn")?))
}

#[derive(serde::Deserialize)]
pub(crate) struct Chosen {
    /// Empty for the organisation's order.
    #[serde(default)]
    model: String,
}

pub(crate) async fn choose_model(
    reader: Reader,
    Path(text): Path<String>,
    Form(input): Form<Chosen>,
) -> Result<Response, PageError> {
    let incident = id(&text, "incident")?;
    if !reader.may(Permission::RunModel) {
        return Err(TriageError::Forbidden(Permission::RunModel).into());
    }
    let model = if input.model.is_empty() { None } else { Some(id(&input.model, "model")?) };
    reader.app().choose_model(&reader.scope, incident, model).await?;
    Ok(see(&format!("/incidents/{incident}/chat")))
}

/// Let an incident spend as much again.
pub(crate) async fn raise_budget(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    let incident = id(&text, "incident")?;
    reader.app().raise_budget(&reader.scope, incident).await?;
    Ok(see(&format!("/incidents/{incident}/chat")))
}

pub(crate) async fn stop(
    reader: Reader,
    Path((incident, turn)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let (incident, turn) = turn_in(&reader, &incident, &turn).await?;
    reader.app().stop_turn(&reader.scope, incident, turn).await?;
    Ok(see(&format!("/incidents/{incident}/chat#turn-{turn}")))
}

pub(crate) async fn retry(
    reader: Reader,
    Path((incident, turn)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let (incident, turn) = turn_in(&reader, &incident, &turn).await?;
    let new = reader.app().retry(&reader.scope, incident, turn).await?;
    Ok(see(&format!("/incidents/{incident}/chat#turn-{new}")))
}

#[derive(serde::Deserialize)]
pub(crate) struct DecideInput {
    #[serde(default)]
    digest: String,
    /// `1` for all later calls of the tool in this incident, too.
    #[serde(default)]
    here: String,
}

async fn decide(
    reader: Reader,
    incident: &str,
    call: &str,
    digest: &str,
    verdict: Verdict,
) -> Result<Response, PageError> {
    let (incident, call): (IncidentId, ApprovalId) = (id(incident, "incident")?, id(call, "tool call")?);
    let talk = reader.app().talk(&reader.scope, incident).await?;
    let seen = talk.approvals.iter().find(|one| one.id == call).ok_or(TriageError::NotFound { what: "tool call" })?;
    if hex(&seen.arguments_sha256) != digest {
        let message =
            "These are not the arguments that you were shown. Nothing was decided; look at the call again.".to_owned();
        return Err(TriageError::Conflict(message).into());
    }
    reader.app().decide_call(&reader.scope, incident, call, verdict).await?;
    Ok(see(&format!("/incidents/{incident}/chat#call-{call}")))
}

pub(crate) async fn approve(
    reader: Reader,
    Path((incident, call)): Path<(String, String)>,
    Form(input): Form<DecideInput>,
) -> Result<Response, PageError> {
    let verdict = if input.here == "1" { Verdict::ApproveHere } else { Verdict::Approve };
    decide(reader, &incident, &call, &input.digest, verdict).await
}

/// Each call of a tool is asked for again, which was approved for all of the incident.
pub(crate) async fn ask_again(
    reader: Reader,
    Path((incident, call)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let (incident, call): (IncidentId, ApprovalId) = (id(&incident, "incident")?, id(&call, "tool call")?);
    reader.app().ask_again(&reader.scope, incident, call).await?;
    Ok(see(&format!("/incidents/{incident}/chat#call-{call}")))
}

pub(crate) async fn deny(
    reader: Reader,
    Path((incident, call)): Path<(String, String)>,
    Form(input): Form<DecideInput>,
) -> Result<Response, PageError> {
    decide(reader, &incident, &call, &input.digest, Verdict::Deny).await
}

/// A tool's whole result, as it would be sent.
pub(crate) async fn result(
    reader: Reader,
    Path((incident, call)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let (incident, call): (IncidentId, ApprovalId) = (id(&incident, "incident")?, id(&call, "tool call")?);
    let text = reader.app().whole_result(&reader.scope, incident, call).await?;
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

/// Lead to the address that a server wants a person to open: it stands on no page.
pub(crate) async fn open_address(
    reader: Reader,
    Path((incident, question)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let (incident, question): (IncidentId, QuestionId) = (id(&incident, "incident")?, id(&question, "question")?);
    Ok(see(&reader.app().question_address(&reader.scope, incident, question).await?))
}

/// Answer what a server asked.
pub(crate) async fn answer(
    reader: Reader,
    Path((incident, question)): Path<(String, String)>,
    Form(input): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let (incident, question): (IncidentId, QuestionId) = (id(&incident, "incident")?, id(&question, "question")?);
    let of = |name: &str| -> Vec<String> {
        input.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
    };
    let numbers = input.iter().filter_map(|(key, _)| key.strip_prefix('f')?.parse::<usize>().ok());
    let given: Vec<Vec<String>> =
        (0..numbers.max().map_or(0, |most| most.min(FIELDS) + 1)).map(|at| of(&format!("f{at}"))).collect();
    let reply = match of("action").first().map(String::as_str) {
        Some("accept") => Reply::Accept(given.clone()),
        Some("decline") => Reply::Decline,
        _ => Reply::Dismiss,
    };
    let problem = match reader.app().answer_question(&reader.scope, incident, question, reply).await {
        Ok(()) => return Ok(see(&format!("/incidents/{incident}/chat"))),
        Err(TriageError::Invalid { message, .. }) => message,
        Err(error) => return Err(error.into()),
    };
    // What was typed stays where it was.
    let mut view = chat_view(&reader, incident, Field::default()).await?;
    let calls = view.turns.iter_mut().flat_map(|turn| &mut turn.rounds).flat_map(|round| &mut round.calls);
    let id = question.to_string();
    for shown in calls.flat_map(|call| &mut call.questions).filter(|shown| shown.id.to_string() == id) {
        shown.error = Some(problem.clone());
        for (field, typed) in shown.fields.iter_mut().zip(&given) {
            field.value = typed.first().cloned().unwrap_or_default();
            for choice in &mut field.choices {
                choice.chosen = typed.contains(&choice.value);
            }
        }
    }
    Ok(render(StatusCode::UNPROCESSABLE_ENTITY, &view))
}

#[derive(serde::Deserialize)]
pub(crate) struct RevealInput {
    label: String,
}

/// The value behind a pseudonym: in the body of an answer, never in an address or a page.
pub(crate) async fn reveal(reader: Reader, Path(text): Path<String>, Form(input): Form<RevealInput>) -> Response {
    let incident: IncidentId = match id(&text, "incident") {
        Ok(incident) => incident,
        Err(error) => return error.into_response(),
    };
    match reader.app().reveal(&reader.scope, incident, &input.label).await {
        Ok(original) => Json(serde_json::json!({ "label": input.label, "original": original })).into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

#[derive(serde::Deserialize)]
pub(crate) struct StreamQuery {
    turn: String,
}

/// What the stream has to say next.
struct Stream {
    reader: Reader,
    incident: IncidentId,
    turn: TurnId,
    queue: std::collections::VecDeque<Event>,
    shown: Vec<String>,
    status: String,
    sash: String,
    over: bool,
}

/// A turn while it runs. Each event carries the whole of what it names, so nothing has to be replayed.
pub(crate) async fn stream(
    reader: Reader,
    Path(text): Path<String>,
    Query(query): Query<StreamQuery>,
) -> Result<Response, PageError> {
    let (incident, turn) = turn_in(&reader, &text, &query.turn).await?;
    let state = Stream {
        reader,
        incident,
        turn,
        queue: Default::default(),
        shown: Vec::new(),
        status: String::new(),
        sash: String::new(),
        over: false,
    };
    let events = futures_util::stream::unfold(state, |mut state| async {
        loop {
            if let Some(event) = state.queue.pop_front() {
                return Some((Ok::<_, Infallible>(event), state));
            }
            if state.over {
                return None;
            }
            if state.look().await.is_err() {
                return None;
            }
            if state.queue.is_empty() {
                tokio::time::sleep(BEAT).await;
            }
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response())
}

impl Stream {
    /// Queue what has changed since the last look.
    async fn look(&mut self) -> Result<(), TriageError> {
        // Who was locked out, or has another role now, does not read on.
        let (scope, _) = self.reader.app().session(&self.reader.token).await?;
        if scope.role != self.reader.scope.role {
            return Err(TriageError::SignedOut);
        }
        let scene = scene(&self.reader, self.incident).await?;
        let stored = scene.talk.turns.iter().find(|turn| turn.id == self.turn);
        let Some(stored) = stored.cloned() else { return Err(TriageError::NotFound { what: "turn" }) };
        for (at, round) in rounds(&self.reader, &scene, self.incident, self.turn).await?.into_iter().enumerate() {
            let html = render_text(&RoundFragment { round });
            if self.shown.get(at) != Some(&html) {
                self.queue.push_back(Event::default().event("round").data(html.clone()));
                match self.shown.get_mut(at) {
                    Some(old) => *old = html,
                    None => self.shown.push(html),
                }
            }
        }
        // An event without data is not delivered to the page.
        let status = match (stored.state.as_str(), scene.talk.status.as_str()) {
            ("waiting", _) => "Waiting for your decision",
            (_, "") => "Working",
            (_, status) => status,
        };
        if status != self.status {
            self.status = status.to_owned();
            self.queue.push_back(Event::default().event("status").data(self.status.replace('\n', " ")));
        }
        let incident = self.reader.app().incident(&self.reader.scope, self.incident).await?;
        let sash = render_text(&SashFragment { sash: self.reader.sash_of(&incident, scene.now).await? });
        if sash != self.sash {
            self.sash.clone_from(&sash);
            self.queue.push_back(Event::default().event("sash").data(sash));
        }
        if !matches!(stored.state.as_str(), "running" | "waiting") {
            let turn = turn_view(&self.reader, &scene, &stored).await?;
            self.queue.push_back(Event::default().event("end").data(render_text(&TurnFragment { turn })));
            self.over = true;
        }
        Ok(())
    }
}

fn render_text(view: &impl askama::Template) -> String {
    view.render().unwrap_or_default()
}
