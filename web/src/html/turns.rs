//! The turns of a conversation, drawn: its rounds, the calls in them and what servers asked meanwhile.

use fumehood_triage::conversation::{OWN, Talk};
use fumehood_triage::settings::decimal;
use fumehood_triage::store::approvals::Approval;
use fumehood_triage::store::conversation::{Message, StoredCall, Turn as StoredTurn};
use fumehood_triage::store::departures::Departure;
use fumehood_triage::store::{IncidentId, TurnId};
use fumehood_triage::tools::{Asked, Catalogue, FieldKind, ShownQuestion, visible};
use fumehood_triage::{Permission, TriageError};
use jiff::Timestamp;

use super::bench::number;
use super::context::{Names, now, when};
use super::hex;
use super::session::Reader;
use crate::markdown;
use crate::units::{Bytes, Count, Id};
use crate::view::chat::{Advice, CallState, Question, QuestionChoice, QuestionField, Round, ToolCall, Turn, TurnState};

/// Of a tool's answer, what a card shows, bytes.
const RESULT: usize = 16 << 10;

/// What turns are drawn from.
pub(super) struct Scene {
    pub(super) talk: Talk,
    pub(super) departures: Vec<Departure>,
    pub(super) catalogue: Catalogue,
    pub(super) questions: Vec<ShownQuestion>,
    pub(super) names: Names,
    pub(super) now: Timestamp,
}

pub(super) async fn scene(reader: &Reader, incident: IncidentId) -> Result<Scene, TriageError> {
    Ok(Scene {
        talk: reader.app().talk(&reader.scope, incident).await?,
        departures: reader.app().departures(&reader.scope, incident).await?,
        catalogue: reader.app().catalogue(&reader.scope).await?,
        questions: reader.app().questions(&reader.scope, incident).await?,
        names: reader.names().await?,
        now: now(),
    })
}

async fn call_state(reader: &Reader, scene: &Scene, call: &Approval) -> Result<CallState, TriageError> {
    let by = || call.decided_by.as_deref().map(|actor| scene.names.of(actor)).unwrap_or_default();
    Ok(match call.state.as_str() {
        "pending" => CallState::Pending(when(call.expires_us, scene.now)),
        "approved" => CallState::Approved(by()),
        "denied" => CallState::Denied(by()),
        "running" => CallState::Running(when(call.decided_us.unwrap_or(call.created_us), scene.now)),
        "done" => {
            let masked = reader.app().masked_result(&reader.scope, call).await?;
            let cut = masked.floor_char_boundary(RESULT.min(masked.len()));
            CallState::Done(markdown::plain(masked.get(..cut).unwrap_or_default()))
        }
        "expired" => CallState::Expired,
        _ if call.result.is_empty() => CallState::Failed(call.problem.clone()),
        _ => {
            let masked = reader.app().masked_result(&reader.scope, call).await?;
            let cut = masked.floor_char_boundary(RESULT.min(masked.len()));
            CallState::Failed(masked.get(..cut).unwrap_or_default().to_owned())
        }
    })
}

async fn tool_call(reader: &Reader, scene: &Scene, call: &Approval) -> Result<ToolCall, TriageError> {
    let known = scene.catalogue.tools.iter().find(|tool| tool.server_id == call.server_id && tool.tool == call.tool);
    let laid_out = serde_json::from_str::<serde_json::Value>(&call.arguments)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| call.arguments.clone());
    let subject = format!("approval:{}", call.id);
    let description = known.map_or("", |tool| tool.description.as_str());
    Ok(ToolCall {
        id: Id::new(call.id.to_string()),
        incident: Id::new(call.incident_id.to_string()),
        tool: call.tool.clone(),
        server: call.server.clone(),
        description: description.split_inclusive(". ").next().unwrap_or_default().chars().take(300).collect(),
        arguments: markdown::plain(&visible(&laid_out)),
        masked: call.masked.iter().map(|(kind, count)| (kind.clone(), Count(*count))).collect(),
        revealed: Vec::new(),
        digest: hex(&call.arguments_sha256),
        questions: scene
            .questions
            .iter()
            .filter(|one| one.question.approval_id == call.id)
            .map(|one| question(scene, one))
            .collect(),
        long: call.result.len() > RESULT,
        risk: if call.method == "tools/call" { call.risk.clone() } else { String::new() },
        for_incident: call.for_incident,
        state: call_state(reader, scene, call).await?,
        sent: scene
            .departures
            .iter()
            .find(|departure| departure.subject == subject && departure.kind == "tool")
            .map(|one| Id::new(one.id.to_string())),
        can_write: reader.may(Permission::ApproveTools),
    })
}

/// A question of a server.
fn question(scene: &Scene, shown: &ShownQuestion) -> Question {
    let stored = &shown.question;
    let mut view = Question {
        id: Id::new(stored.id.to_string()),
        kind: stored.kind.clone(),
        state: stored.state.clone(),
        message: String::new(),
        fields: Vec::new(),
        address: None,
        messages: Vec::new(),
        answer: (!stored.answer.is_empty()).then(|| markdown::plain(&stored.answer)),
        error: None,
        until: when(stored.expires_us, scene.now),
    };
    match shown.asked.clone() {
        Some(Asked::Form { message, fields }) => {
            view.message = visible(&message);
            let fields = fields.into_iter().enumerate().map(|(at, field)| {
                let kind = match &field.kind {
                    FieldKind::Flag => "flag",
                    FieldKind::Choice { several: true, .. } => "many",
                    FieldKind::Choice { .. } => "one",
                    FieldKind::Number { .. } => "number",
                    FieldKind::Text { format, .. } => match format.as_str() {
                        "email" => "email",
                        "uri" => "url",
                        "date" => "date",
                        _ => "text",
                    },
                };
                let choices = match field.kind {
                    FieldKind::Choice { choices, .. } => choices,
                    _ => Vec::new(),
                };
                let chosen = |value: &String| field.default.contains(value);
                QuestionField {
                    name: format!("f{at}"),
                    title: visible(&field.title),
                    description: visible(&field.description),
                    required: field.required,
                    kind,
                    value: field.default.first().cloned().unwrap_or_default(),
                    choices: choices
                        .into_iter()
                        .map(|(value, title)| QuestionChoice { chosen: chosen(&value), value, title: visible(&title) })
                        .collect(),
                }
            });
            view.fields = fields.collect();
        }
        Some(Asked::Url { message, url }) => {
            (view.message, view.address) = (visible(&message), Some(visible(&url)));
        }
        Some(Asked::Sample(sample)) => {
            let system = (!sample.system.is_empty()).then_some(("Instructions", sample.system));
            let said = sample.messages.into_iter().map(|(model, text)| (if model { "Model" } else { "Server" }, text));
            view.messages =
                system.into_iter().chain(said).map(|(who, text)| (who, markdown::plain(&visible(&text)))).collect();
        }
        None => "This question cannot be shown any more.".clone_into(&mut view.message),
    }
    view
}

/// What the model was told about a call that was never put before a person.
fn answer_to<'a>(scene: &'a Scene, turn: TurnId, call: &str) -> Option<&'a str> {
    let told = |message: &&Message| message.turn_id == turn && message.tool_call_id.as_deref() == Some(call);
    scene.talk.messages.iter().find(told).map(|message| message.text.as_str())
}

/// A call of one of our own tools; or of one that does not exist, or with arguments that are none.
async fn never_called(
    reader: &Reader,
    incident: IncidentId,
    message: &Message,
    asked: &StoredCall,
    id: String,
    told: &str,
) -> Result<ToolCall, TriageError> {
    let shown: String = asked.arguments.chars().take(2_000).collect();
    let own = asked.name.starts_with(OWN);
    let state = match own {
        true => {
            let masked = reader.app().masked_text(&reader.scope, incident, told).await?;
            let cut = masked.floor_char_boundary(RESULT.min(masked.len()));
            CallState::Done(markdown::plain(masked.get(..cut).unwrap_or_default()))
        }
        false => CallState::Failed(format!("Not called. The model was told: {told}")),
    };
    Ok(ToolCall {
        id: Id::new(id),
        incident: Id::new(String::new()),
        tool: asked.name.chars().filter(|c| !c.is_control()).take(80).collect(),
        server: if own { "Fumehood".into() } else { "no server".into() },
        description: String::new(),
        arguments: markdown::plain(&shown),
        masked: Vec::new(),
        revealed: Vec::new(),
        digest: String::new(),
        risk: String::new(),
        for_incident: false,
        state,
        questions: Vec::new(),
        long: false,
        sent: None,
        can_write: reader.may(Permission::ApproveTools) && message.complete,
    })
}

pub(super) async fn rounds(
    reader: &Reader,
    scene: &Scene,
    incident: IncidentId,
    turn: TurnId,
) -> Result<Vec<Round>, TriageError> {
    let mut rounds = Vec::new();
    let answers = scene.talk.messages.iter().filter(|message| message.turn_id == turn && message.role == "assistant");
    for (at, message) in answers.enumerate() {
        let mut calls = Vec::new();
        for asked in &message.tool_calls {
            let approval = scene.talk.approvals.iter().find(|one| one.turn_id == turn && one.call_id == asked.id);
            if let Some(approval) = approval {
                calls.push(tool_call(reader, scene, approval).await?);
            } else if let Some(told) = answer_to(scene, turn, &asked.id) {
                let id = format!("{}-{}", message.id, calls.len());
                calls.push(never_called(reader, incident, message, asked, id, told).await?);
            }
        }
        rounds.push(Round {
            turn: Id::new(turn.to_string()),
            number: u32::try_from(at + 1).unwrap_or(u32::MAX),
            answer: markdown::render(&message.text),
            calls,
        });
    }
    Ok(rounds)
}

pub(super) async fn turn_view(reader: &Reader, scene: &Scene, stored: &StoredTurn) -> Result<Turn, TriageError> {
    let asked = |message: &&Message| message.turn_id == stored.id && message.role == "user";
    let question = scene.talk.messages.iter().find(asked).map_or("", |message| message.text.as_str());
    let subject = format!("turn:{}", stored.id);
    let sent = scene.departures.iter().rev().filter(|departure| departure.subject == subject);
    let state = match stored.state.as_str() {
        "running" => {
            TurnState::Running(if scene.talk.status.is_empty() { "Working".into() } else { scene.talk.status.clone() })
        }
        "waiting" => TurnState::Waiting,
        "stopped" => TurnState::Stopped(match stored.problem.as_str() {
            "sash" => "by the sash, which was lowered".into(),
            actor if actor.contains(':') => format!("by {}", scene.names.of(actor)),
            _ => String::new(),
        }),
        "failed" => TurnState::Failed(stored.problem.clone(), Id::new(stored.id.to_string())),
        _ => TurnState::Done,
    };
    let may_manage = reader.may(Permission::ManageIntegrations);
    let tokens = (stored.input_tokens + stored.output_tokens > 0)
        .then(|| (Count(number(stored.input_tokens)), Count(number(stored.output_tokens))));
    Ok(Turn {
        id: Id::new(stored.id.to_string()),
        incident: Id::new(stored.incident_id.to_string()),
        by: scene.names.of(&stored.actor),
        at: when(stored.created_us, scene.now),
        question: markdown::plain(&reader.app().masked_text(&reader.scope, stored.incident_id, question).await?),
        model: if stored.model.is_empty() { "model".into() } else { stored.model.clone() },
        rounds: rounds(reader, scene, stored.incident_id, stored.id).await?,
        state,
        sent: sent.map(|departure| (Id::new(departure.id.to_string()), Bytes(number(departure.body_bytes)))).collect(),
        tokens,
        cost: if stored.cost > 0 { decimal(stored.cost) } else { String::new() },
        advice: match stored.advice.as_str() {
            "fix-key" => Advice::FixKey(may_manage.then(|| Id::new(stored.model_id.to_string()))),
            "shorten" => Advice::Shorten,
            "raise-budget" => Advice::RaiseBudget(may_manage),
            "give-up" => Advice::GiveUp,
            _ => Advice::Retry,
        },
        can_write: reader.may(Permission::RunModel),
    })
}
