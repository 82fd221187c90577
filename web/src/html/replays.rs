//! Conversations that are asked of a model again, and both conclusions side by side.

use axum::Form;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use fumehood_triage::Permission;
use fumehood_triage::TriageError;
use fumehood_triage::conversation::destination;
use fumehood_triage::settings::decimal;
use fumehood_triage::store::conversation::Message;
use fumehood_triage::store::replays::{Replay, ReplayedTurn};
use fumehood_triage::store::{IncidentId, ModelId};

use super::context::{Names, now, when};
use super::session::Reader;
use super::{PageError, id, page, see};
use crate::markdown;
use crate::units::{Count, Id};
use crate::view::Field;
use crate::view::bench::Tab;
use crate::view::chat::ModelChoice;
use crate::view::replays::{Conclusion, ReplayCall, ReplayPage, ReplayRow, ReplayedQuestion, ReplaysPage};

fn number(of: i64) -> Count {
    Count(u64::try_from(of).unwrap_or(0))
}

fn row(replay: &Replay, names: &Names) -> ReplayRow {
    ReplayRow {
        id: Id::new(replay.id.to_string()),
        model: replay.model.clone(),
        has_instructions: !replay.instructions.is_empty(),
        state: replay.state.clone(),
        by: names.of(&replay.actor),
        at: when(replay.created_us, now()),
        tokens: (number(replay.input_tokens), number(replay.output_tokens)),
        cost: if replay.cost > 0 { decimal(replay.cost) } else { String::new() },
    }
}

async fn list(reader: &Reader, incident: IncidentId, instructions: Field) -> Result<ReplaysPage, TriageError> {
    let replays = reader.app().replays(&reader.scope, incident).await?;
    let around = reader.workbench(incident, Tab::Chat, None).await?;
    let names = reader.names().await?;
    let talk = reader.app().talk(&reader.scope, incident).await?;
    let questions = talk.messages.iter().filter(|message| message.role == "user").count();
    let chain = reader.app().chain(&reader.scope, incident).await?;
    let choice = |model: &fumehood_triage::store::outside::Model| ModelChoice {
        id: Id::new(model.id.to_string()),
        name: destination(model),
        chosen: false,
    };
    Ok(ReplaysPage {
        frame: around.frame,
        bench: around.bench,
        models: chain.iter().map(choice).collect(),
        instructions,
        replays: replays.iter().map(|replay| row(replay, &names)).collect(),
        questions: Count(questions as u64),
        can_write: reader.may(Permission::RunModel),
    })
}

pub(crate) async fn replays(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    let view = list(&reader, id(&text, "incident")?, Field::default()).await?;
    Ok(page(StatusCode::OK, &view))
}

#[derive(serde::Deserialize)]
pub(crate) struct ReplayInput {
    model: String,
    #[serde(default)]
    instructions: String,
}

pub(crate) async fn start(
    reader: Reader,
    Path(text): Path<String>,
    Form(input): Form<ReplayInput>,
) -> Result<Response, PageError> {
    reader.needs(Permission::RunModel)?;
    let incident: IncidentId = id(&text, "incident")?;
    let model: ModelId = id(&input.model, "model")?;
    match reader.app().start_replay(&reader.scope, incident, model, &input.instructions).await {
        Ok(replay) => Ok(see(&format!("/incidents/{incident}/replays/{replay}"))),
        Err(
            TriageError::Invalid { message: problem, .. }
            | TriageError::Conflict(problem)
            | TriageError::OverBudget(problem),
        ) => {
            let field = Field { error: Some(problem), ..Field::new(input.instructions) };
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &list(&reader, incident, field).await?))
        }
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn stop(
    reader: Reader,
    Path((incident, replay)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let (incident, replay) = (id(&incident, "incident")?, id(&replay, "replay")?);
    reader.app().stop_replay(&reader.scope, incident, replay).await?;
    Ok(see(&format!("/incidents/{incident}/replays/{replay}")))
}

pub(crate) async fn replay(
    reader: Reader,
    Path((incident, replay)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let incident: IncidentId = id(&incident, "incident")?;
    let replay = reader.app().one_replay(&reader.scope, incident, id(&replay, "replay")?).await?;
    let around = reader.workbench(incident, Tab::Chat, None).await?;
    let talk = reader.app().talk(&reader.scope, incident).await?;
    let mut questions = Vec::new();
    for asked in talk.messages.iter().filter(|message| message.role == "user") {
        let mine = |message: &&Message| message.turn_id == asked.turn_id && message.role == "assistant";
        let model = talk.turns.iter().find(|turn| turn.id == asked.turn_id).map(|turn| turn.model.clone());
        let mut then = Conclusion { model: model.unwrap_or_default(), answer: None, calls: Vec::new() };
        for message in talk.messages.iter().filter(mine) {
            then.answer = answer(&reader, incident, &message.text).await?.or(then.answer);
            for call in &message.tool_calls {
                then.calls.push(shown(&reader, incident, &call.name, &call.arguments, true).await?);
            }
        }
        let turn = replay.transcript.iter().find(|turn| turn.turn == asked.turn_id);
        questions.push(ReplayedQuestion {
            question: markdown::plain(&reader.app().masked_text(&reader.scope, incident, &asked.text).await?),
            then,
            again: match turn {
                Some(turn) => Some(again(&reader, incident, &replay, turn).await?),
                None => None,
            },
        });
    }
    let view = ReplayPage {
        frame: around.frame,
        bench: around.bench,
        instructions: reader.app().masked_text(&reader.scope, incident, &replay.instructions).await?,
        problem: replay.problem.clone(),
        replay: row(&replay, &reader.names().await?),
        questions,
        can_write: reader.may(Permission::RunModel),
    };
    Ok(page(StatusCode::OK, &view))
}

/// What the model said this time.
async fn again(
    reader: &Reader,
    incident: IncidentId,
    replay: &Replay,
    turn: &ReplayedTurn,
) -> Result<Conclusion, TriageError> {
    let mut again = Conclusion { model: replay.model.clone(), answer: None, calls: Vec::new() };
    for round in &turn.rounds {
        again.answer = answer(reader, incident, &round.text).await?.or(again.answer);
        for call in &round.calls {
            again.calls.push(shown(reader, incident, &call.name, &call.arguments, call.on_record).await?);
        }
    }
    Ok(again)
}

async fn answer(
    reader: &Reader,
    incident: IncidentId,
    text: &str,
) -> Result<Option<markdown::TrustedHtml>, TriageError> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    Ok(Some(markdown::render(&reader.app().masked_text(&reader.scope, incident, text).await?)))
}

async fn shown(
    reader: &Reader,
    incident: IncidentId,
    name: &str,
    arguments: &str,
    on_record: bool,
) -> Result<ReplayCall, TriageError> {
    let arguments = reader.app().masked_text(&reader.scope, incident, arguments).await?;
    Ok(ReplayCall { name: name.to_owned(), arguments, on_record })
}
