//! One answer of a model: asked for, taken in as it arrives, and asked of the next model where one cannot.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use fumehood_runtime::provider;
use fumehood_store::conversation::{Message, StoredCall};
use fumehood_store::outside::Model;
use fumehood_store::{MessageId, clock};

use super::advice::may_be_others;
use super::request::{kept_for, size};
use super::{MAX_CALLS, Runner, destination};
use crate::TriageError;
use crate::call::Purpose;
use crate::tools::Catalogue;

/// Most that is kept for a provider with one answer, bytes.
const MAX_KEPT: usize = 2 << 20;
/// Longest answer of a model that is kept, bytes.
const MAX_ANSWER: usize = 512 << 10;
/// Bytes of a token, where nobody says how many there were.
pub(super) const BYTES_A_TOKEN: u64 = 4;
/// How often an answer that arrives is written down.
const WRITE_EVERY: Duration = Duration::from_millis(500);

/// The name of a tool as providers take it; of what is none, what is left.
pub(super) fn plain_name(name: &str) -> String {
    let plain: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).take(64).collect();
    if plain.is_empty() { "unnamed".to_owned() } else { plain }
}

impl Runner<'_> {
    /// Ask the first model, and the next where it cannot answer; those before the one that did are not asked again in this
    /// turn. One that has begun to answer is the last.
    pub(super) async fn ask_one_of(
        &self,
        chain: &mut VecDeque<Model>,
        catalogue: &Catalogue,
    ) -> Result<Message, TriageError> {
        loop {
            let model = chain.front().ok_or_else(|| self.app.no_model())?;
            let mut message = self.empty_answer();
            // One whose plugin is stopped, or gone, is like a server that is.
            let unusable = self.app.provider(model).err();
            let is_unusable = unusable.is_some();
            let asked = match unusable {
                Some(error) => Err(error),
                None => self.ask(model, catalogue, &mut message).await,
            };
            let has_begun = !message.text.is_empty() || !message.tool_calls.is_empty();
            let error = match asked {
                Ok(()) => return Ok(message),
                Err(error) if has_begun || chain.len() == 1 || !(is_unusable || may_be_others(&error)) => {
                    return Err(error);
                }
                Err(error) => error,
            };
            let failed = chain.pop_front().map(|model| model.model).unwrap_or_default();
            let next = chain.front().ok_or_else(|| self.app.no_model())?;
            tracing::warn!(code = error.code(), "a model could not answer; the next is asked");
            let summary = format!("{failed} could not answer ({}); {} was asked instead", error.code(), next.model);
            self.status(format!("{failed} could not answer; asking {}", next.model));
            let link = format!("chat#turn-{}", self.turn.id);
            let (store, incident) = (&self.app.0.store, self.turn.incident_id);
            store.turn_goes_to(self.scope, self.turn.id, (next.id, next.model.clone())).await?;
            store.note(self.scope, incident, "model", summary, link).await?;
        }
    }

    fn empty_answer(&self) -> Message {
        Message {
            id: MessageId::new(),
            turn_id: self.turn.id,
            role: "assistant".into(),
            text: String::new(),
            tool_calls: Vec::new(),
            tool_call_id: None,
            kept: None,
            complete: false,
            created_us: clock::now_us(),
        }
    }

    /// Send the conversation and take the answer in.
    async fn ask(&self, model: &Model, catalogue: &Catalogue, message: &mut Message) -> Result<(), TriageError> {
        self.status("Preparing what is sent");
        let request = self.request(model, catalogue).await?;
        let purpose = Purpose {
            incident: Some(self.turn.incident_id),
            kind: "model",
            destination: destination(model),
            subject: format!("turn:{}", self.turn.id),
            instance: String::new(),
        };
        let call = self.app.call(self.scope, purpose, self.app.model_reach(model)?, Some(self.live.cancel.clone()));
        self.status(format!("Waiting for {}", model.model));
        let provider = self.app.provider(model)?;
        let asked = request.messages.iter().map(size).sum::<usize>() as u64 / BYTES_A_TOKEN;
        let mut answer = tokio::select! {
            answer = provider.complete(&request, call) => answer?,
            () = self.live.cancel.cancelled() => {
                // It was asked, whether anybody waits for the answer or not.
                self.count(model, asked, 0).await?;
                return Err(TriageError::Cancelled("the turn was stopped".into()));
            }
        };
        let result = self.take_in(&mut answer, message, model, asked).await;
        // Nothing came, and another model may be asked.
        if !message.text.is_empty() || !message.tool_calls.is_empty() {
            message.complete = true;
            self.show(message);
            self.app.0.store.put_message(self.scope, self.turn.incident_id, message.clone()).await?;
        }
        if let Ok(mut arriving) = self.live.arriving.lock() {
            *arriving = None;
        }
        result
    }

    async fn take_in(
        &self,
        answer: &mut provider::Completion,
        message: &mut Message,
        model: &Model,
        asked: u64,
    ) -> Result<(), TriageError> {
        let mut is_counted = false;
        let result = self.read(answer, message, model, &mut is_counted).await;
        if !is_counted {
            // Nobody counted; what it came to is not nothing, and a budget has to end.
            let calls: usize = message.tool_calls.iter().map(|call| call.name.len() + call.arguments.len()).sum();
            self.count(model, asked, (message.text.len() + calls) as u64 / BYTES_A_TOKEN).await?;
        }
        judged(result?.as_deref(), message)
    }

    async fn count(&self, model: &Model, input: u64, output: u64) -> Result<(), TriageError> {
        let cost = model.cost(input, output);
        Ok(self.app.0.store.add_usage(self.scope, self.turn.id, input, output, cost).await?)
    }

    /// Read an answer to its end, and say why it stopped.
    async fn read(
        &self,
        answer: &mut provider::Completion,
        message: &mut Message,
        model: &Model,
        is_counted: &mut bool,
    ) -> Result<Option<String>, TriageError> {
        let mut written = Instant::now();
        let mut stop = None;
        loop {
            let event = tokio::select! {
                event = answer.next() => event?,
                () = self.live.cancel.cancelled() => return Err(TriageError::Cancelled("the turn was stopped".into())),
            };
            let Some(event) = event else { break };
            if !event.text.is_empty() {
                if message.text.is_empty() {
                    self.status(format!("{} answers", model.model));
                }
                message.text.push_str(&event.text);
                if message.text.len() > MAX_ANSWER {
                    return Err(TriageError::TooLarge(
                        "The model's answer does not end; it was stopped at 512 KiB and kept.".into(),
                    ));
                }
            }
            for call in event.tool_calls {
                // An id of our own: models repeat theirs, and what they make up does not go out again unseen.
                let id = format!("call_{}", MessageId::new().to_string().replace('-', ""));
                message.tool_calls.push(StoredCall { id, name: plain_name(&call.name), arguments: call.arguments });
            }
            if !event.extensions.is_empty() {
                let kept = message.kept.get_or_insert_with(|| kept_for(model, Vec::new()));
                kept.values.extend(event.extensions);
                let bytes: usize = kept.values.iter().map(|(name, value)| name.len() + value.len()).sum();
                if bytes > MAX_KEPT {
                    return Err(TriageError::TooLarge(
                        "The model wants more than 2 MiB of its thoughts back. What it said is kept.".into(),
                    ));
                }
            }
            if let Some((input, output)) = event.usage {
                self.count(model, input, output).await?;
                *is_counted |= input + output > 0;
            }
            stop = event.stop.or(stop);
            self.show(message);
            if written.elapsed() > WRITE_EVERY {
                self.app.0.store.put_message(self.scope, self.turn.incident_id, message.clone()).await?;
                written = Instant::now();
            }
        }
        Ok(stop)
    }

    fn show(&self, message: &Message) {
        if let Ok(mut arriving) = self.live.arriving.lock() {
            *arriving = Some(message.clone());
        }
        self.live.changed.send_modify(|count| *count += 1);
    }
}

/// What an answer that came to its end is worth.
fn judged(stop: Option<&str>, message: &Message) -> Result<(), TriageError> {
    match stop {
        Some("length") => Err(TriageError::TooLarge(
            "The model stopped because its answer reached the longest that it may write. What arrived is kept.".into(),
        )),
        Some("filtered") => {
            Err(TriageError::Conflict("The model's provider held the answer back by its content filter.".into()))
        }
        _ if message.tool_calls.len() > MAX_CALLS => Err(TriageError::TooLarge(format!(
            "The model asked for more than {MAX_CALLS} tool calls at once. Nothing was called."
        ))),
        _ if message.text.trim().is_empty() && message.tool_calls.is_empty() => Err(TriageError::Conflict(
            "The model answered with nothing. Ask again, or check which model is set up.".into(),
        )),
        _ => Ok(()),
    }
}
