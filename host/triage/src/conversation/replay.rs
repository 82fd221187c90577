//! A past conversation, asked of a model again: its questions in their order, with the tool results that are on record.
//!
//! Invariant: nothing is called. What a model asks for that is not on record is not had, and it is told so.

use std::collections::{HashMap, HashSet, VecDeque};

use fumehood_policy::Permission;
use fumehood_redact::{JsonPlan, Origin, Pseudonyms, Redacted};
use fumehood_runtime::provider;
use fumehood_store::conversation::{Message, StoredCall};
use fumehood_store::outside::Model;
use fumehood_store::replays::{Replay, ReplayedCall, ReplayedRound, ReplayedTurn};
use fumehood_store::{IncidentId, MessageId, ModelId, ReplayId, Scope, TurnId, clock};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::answer::plain_name;
use super::request::{fitting, kept_for};
use super::{MAX_CALLS, MAX_ROUNDS, MAX_TEXT, Whole, destination};
use crate::call::Purpose;
use crate::tools::Catalogue;
use crate::{App, TriageError};

/// Most of one answer, bytes.
const MAX_ANSWER: usize = 512 << 10;

/// What was called, and what came of it: by tool and arguments, in the order in which it was called.
#[derive(Default)]
struct Record(HashMap<(String, Value), VecDeque<String>>);

/// Arguments as JSON; what is none compares as the text that it is.
fn read(arguments: &str) -> Value {
    match arguments.trim() {
        "" => Value::Object(serde_json::Map::new()),
        text => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
    }
}

impl Record {
    fn of(history: &[Message]) -> Self {
        let told = |id: &String| history.iter().find(|message| message.tool_call_id.as_ref() == Some(id));
        let mut record = Self::default();
        for call in history.iter().flat_map(|message| &message.tool_calls) {
            if let Some(result) = told(&call.id) {
                let results = record.0.entry((call.name.clone(), read(&call.arguments))).or_default();
                results.push_back(result.text.clone());
            }
        }
        record
    }

    /// The result of a call; of one that was called several times the next, and the last again and again.
    fn take(&mut self, name: &str, arguments: &str) -> Option<String> {
        let results = self.0.get_mut(&(name.to_owned(), read(arguments)))?;
        if results.len() > 1 { results.pop_front() } else { results.front().cloned() }
    }

    fn names(&self) -> HashSet<&str> {
        self.0.keys().map(|(name, _)| name.as_str()).collect()
    }
}

impl App {
    /// Ask the conversation of an incident again: of a model, with a person's instructions in the place of ours where there
    /// are any. What comes of it arrives in the background.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Invalid`, `Conflict`, `NotSetUp`.
    pub async fn start_replay(
        &self,
        scope: &Scope,
        incident: IncidentId,
        model: ModelId,
        instructions: &str,
    ) -> Result<ReplayId, TriageError> {
        self.require(scope, Permission::RunModel)?;
        let instructions = instructions.trim();
        if instructions.len() > MAX_TEXT {
            return Err(TriageError::invalid("instructions", "Instructions have at most 64 KiB."));
        }
        let asked = self.chain(scope, incident).await?.into_iter().find(|one| one.id == model);
        let model = asked.ok_or_else(|| {
            let problem = "Choose a model that is switched on and may be asked.";
            TriageError::invalid("model", problem)
        })?;
        let history = self.0.store.messages(scope, incident).await?;
        if !history.iter().any(|message| message.role == "user") {
            return Err(TriageError::Conflict("Nothing was asked in this incident yet.".into()));
        }
        self.within_budget(scope, incident).await?;
        let named = (model.id, model.model.clone());
        let id = self.0.store.start_replay(scope, incident, named, instructions.to_owned()).await?;
        let cancel = self.sash(incident).child_token();
        if let Ok(mut replays) = self.0.replays.lock() {
            replays.insert(id, cancel.clone());
        }
        let (app, scope, instructions) = (self.clone(), scope.clone(), instructions.to_owned());
        self.0.tasks.spawn(async move {
            let mut run = Run { app: &app, scope: &scope, incident, id, model, cancel: &cancel, told: Vec::new() };
            let (state, problem) = match run.all(history, &instructions).await {
                Ok(()) => ("done", String::new()),
                Err(_) if cancel.is_cancelled() => ("stopped", String::new()),
                Err(error) => ("failed", app.masked_problem(&scope, incident, &error).await),
            };
            if let Err(error) = app.0.store.end_replay(&scope, id, state, problem).await {
                tracing::error!(%error, "the end of a replay could not be written");
            }
            if let Ok(mut replays) = app.0.replays.lock() {
                replays.remove(&id);
            }
        });
        Ok(id)
    }

    /// Stop one; what was said is kept.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn stop_replay(&self, scope: &Scope, incident: IncidentId, id: ReplayId) -> Result<(), TriageError> {
        self.require(scope, Permission::RunModel)?;
        self.0.store.replay(scope, incident, id).await?;
        let cancel = self.0.replays.lock().ok().and_then(|replays| replays.get(&id).cloned());
        match cancel {
            Some(cancel) => cancel.cancel(),
            // Nobody works on it any more, and its end could not be written.
            None => self.0.store.end_replay(scope, id, "stopped", String::new()).await?,
        }
        Ok(())
    }

    /// All of an incident, the newest first.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn replays(&self, scope: &Scope, incident: IncidentId) -> Result<Vec<Replay>, TriageError> {
        self.incident(scope, incident).await?;
        Ok(self.0.store.replays(scope, incident).await?)
    }

    /// One of an incident.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn one_replay(&self, scope: &Scope, incident: IncidentId, id: ReplayId) -> Result<Replay, TriageError> {
        self.incident(scope, incident).await?;
        Ok(self.0.store.replay(scope, incident, id).await?)
    }
}

/// One on its way.
struct Run<'a> {
    app: &'a App,
    scope: &'a Scope,
    incident: IncidentId,
    id: ReplayId,
    model: Model,
    cancel: &'a CancellationToken,
    told: Vec<ReplayedTurn>,
}

impl Run<'_> {
    async fn all(&mut self, history: Vec<Message>, instructions: &str) -> Result<(), TriageError> {
        let mut record = Record::of(&history);
        let incident = self.app.0.store.incident(self.scope, self.incident).await?;
        let instructions = match instructions {
            "" => None,
            text => Some(self.app.mask_one(self.scope, self.incident, Origin::Raw, text).await?),
        };
        let system = self.app.prompt_with(self.scope, &incident, instructions.as_ref(), &[]).await?;
        let tools = self.tools(&record).await?;
        let mut said = Vec::new();
        for question in history.into_iter().filter(|message| message.role == "user") {
            self.told.push(ReplayedTurn { turn: question.turn_id, rounds: Vec::new() });
            let turn = question.turn_id;
            said.push(question);
            self.answer(&system, &tools, &mut said, &mut record, turn).await?;
        }
        Ok(())
    }

    /// What is offered now, and what was called then and is not offered any more.
    async fn tools(&self, record: &Record) -> Result<Vec<provider::Tool>, TriageError> {
        let catalogue: Catalogue = self.app.catalogue(self.scope).await?;
        let mut tools = self.app.offered(self.scope, self.incident, &catalogue).await?;
        let offered: HashSet<String> = tools.iter().map(|tool| tool.name.clone()).collect();
        let mut gone: Vec<&str> = record.names().into_iter().filter(|name| !offered.contains(*name)).collect();
        gone.sort_unstable();
        for name in gone {
            tools.push(provider::Tool {
                name: plain_name(name),
                description: Redacted::literal("As it was called in this incident before."),
                parameters: any_object()?,
            });
        }
        Ok(tools)
    }

    /// Ask until there is an answer without calls.
    async fn answer(
        &mut self,
        system: &Redacted,
        tools: &[provider::Tool],
        said: &mut Vec<Message>,
        record: &mut Record,
        turn: TurnId,
    ) -> Result<(), TriageError> {
        for _ in 0..MAX_ROUNDS {
            let whole = self.ask(system, tools, said).await?;
            let mut answer = self.message(turn, "assistant", whole.text);
            if !whole.extensions.is_empty() {
                answer.kept = Some(kept_for(&self.model, whole.extensions));
            }
            if whole.calls.len() > MAX_CALLS {
                return Err(TriageError::TooLarge(format!("It asked for more than {MAX_CALLS} tool calls at once.")));
            }
            let (mut calls, mut results) = (Vec::new(), Vec::new());
            for call in whole.calls {
                let id = format!("call_{}", MessageId::new().to_string().replace('-', ""));
                let name = plain_name(&call.name);
                let result = record.take(&name, &call.arguments);
                calls.push(ReplayedCall {
                    name: name.clone(),
                    arguments: call.arguments.clone(),
                    on_record: result.is_some(),
                });
                let text = result.unwrap_or_else(|| {
                    "This call is not on record, and nothing is called now. Go on without it.".to_owned()
                });
                results.push(Message { tool_call_id: Some(id.clone()), ..self.message(turn, "tool", text) });
                answer.tool_calls.push(StoredCall { id, name, arguments: call.arguments });
            }
            let is_end = calls.is_empty();
            let is_nothing = is_end && answer.text.trim().is_empty();
            if let Some(now) = self.told.last_mut() {
                now.rounds.push(ReplayedRound { text: answer.text.clone(), calls });
            }
            self.app.0.store.keep_replay(self.scope, self.id, &self.told, (0, 0, 0)).await?;
            match whole.stop.as_str() {
                "length" => {
                    return Err(TriageError::TooLarge(
                        "An answer reached the longest that the model may write.".into(),
                    ));
                }
                "filtered" => return Err(TriageError::Conflict("The model's provider held an answer back.".into())),
                _ if is_nothing => return Err(TriageError::Conflict("The model answered with nothing.".into())),
                _ => {}
            }
            said.push(answer);
            said.append(&mut results);
            if is_end {
                return Ok(());
            }
        }
        Err(TriageError::Conflict(format!("The model asked for tools {MAX_ROUNDS} times without an answer.")))
    }

    async fn ask(&self, system: &Redacted, tools: &[provider::Tool], said: &[Message]) -> Result<Whole, TriageError> {
        self.app.within_budget(self.scope, self.incident).await?;
        let mut messages = vec![provider::Message::plain("system", system.clone())];
        for message in said {
            messages.push(self.app.lowered(self.scope, self.incident, message, &self.model).await?);
        }
        if let Some(holds) = self.model.holds() {
            let fixed = tools.iter().map(|tool| tool.description.len() + tool.parameters.len()).sum();
            for at in fitting(&messages, fixed, &self.model, holds)? {
                if let Some(message) = messages.get_mut(at) {
                    message.text =
                        Redacted::literal("(left out, to fit: call the tool again where it is still needed)");
                }
            }
        }
        let request = provider::Request {
            model: self.model.model.clone(),
            messages,
            tools: tools.to_vec(),
            max_output_tokens: None,
        };
        let purpose = Purpose {
            incident: Some(self.incident),
            kind: "model",
            destination: destination(&self.model),
            subject: format!("replay:{}", self.id),
            instance: String::new(),
        };
        let reach = self.app.model_reach(&self.model)?;
        let call = self.app.call(self.scope, purpose, reach, Some(self.cancel.clone()));
        let provider = self.app.provider(&self.model)?;
        let (whole, ended) = Whole::ask(&provider, &request, call, &self.model, MAX_ANSWER, self.cancel).await;
        self.app.0.store.keep_replay(self.scope, self.id, &self.told, whole.used).await?;
        ended.map(|()| whole)
    }

    fn message(&self, turn_id: TurnId, role: &str, text: String) -> Message {
        Message {
            id: MessageId::new(),
            turn_id,
            role: role.into(),
            text,
            tool_calls: Vec::new(),
            tool_call_id: None,
            kept: None,
            complete: true,
            created_us: clock::now_us(),
        }
    }
}

/// The schema of any object: our own words, so there is nothing in them to mask.
fn any_object() -> Result<Redacted, TriageError> {
    let schema = serde_json::json!({"type": "object", "additionalProperties": true});
    let plan = JsonPlan::new(&schema);
    let spans = plan.texts().map(|_| Vec::new()).collect();
    let schema = plan.redact(Origin::Reply, &mut Pseudonyms::new(), spans);
    Ok(schema.map_err(|_| TriageError::Internal("a schema of our own".into()))?.to_redacted())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(role: &str, calls: &[(&str, &str, &str)], answers: Option<&str>, text: &str) -> Message {
        Message {
            id: MessageId::new(),
            turn_id: TurnId::new(),
            role: role.into(),
            text: text.into(),
            tool_calls: calls
                .iter()
                .map(|(id, name, arguments)| StoredCall {
                    id: (*id).into(),
                    name: (*name).into(),
                    arguments: (*arguments).into(),
                })
                .collect(),
            tool_call_id: answers.map(str::to_owned),
            kept: None,
            complete: true,
            created_us: 0,
        }
    }

    #[test]
    fn a_result_is_found_by_what_was_asked_however_it_was_written() {
        let history = [
            said("user", &[], None, "why?"),
            said("assistant", &[("1", "read", r#"{"a":1,"b":"x"}"#), ("2", "list", "")], None, ""),
            said("tool", &[], Some("1"), "first"),
            said("tool", &[], Some("2"), "all"),
            said("assistant", &[("3", "read", r#"{"b": "x", "a": 1}"#), ("4", "read", "{\"a\":2}")], None, ""),
            said("tool", &[], Some("3"), "second"),
        ];
        let mut record = Record::of(&history);
        assert_eq!(record.take("list", "{}").as_deref(), Some("all"));
        let mut read = || record.take("read", r#"{ "b":"x", "a":1 }"#);
        assert_eq!([read(), read(), read()].map(Option::unwrap), ["first", "second", "second"]);
        assert_eq!(record.take("read", "{\"a\":2}"), None, "nobody answered that one");
        assert_eq!(record.take("delete", "{}"), None);
    }
}
