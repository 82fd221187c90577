//! What a model is sent: the whole conversation, masked anew, within what the model holds.

use std::sync::atomic::Ordering;

use fumehood_redact::{Origin, Redacted};
use fumehood_runtime::provider;
use fumehood_store::approvals::Approval;
use fumehood_store::conversation::{Kept, Message};
use fumehood_store::outside::Model;
use fumehood_store::{IncidentId, Scope};

use super::Runner;
use crate::prompt::fenced;
use crate::tools::Catalogue;
use crate::{App, TriageError};

/// Bytes of a token: what dense text comes to, by which results are left out in good time, and what no text goes beyond, by
/// which a request is refused that cannot fit. Between the two the model's server says whether it does.
const DENSE: u64 = 3;
const SPARSE: u64 = 6;
/// The most that is kept free for the answer, tokens.
const ANSWER: u64 = 4096;
/// What stands in the place of a result, bytes; a shorter one is left where it is.
const WORD: usize = 120;

/// Bytes of a message as it is sent.
pub(super) fn size(message: &provider::Message) -> usize {
    let calls: usize = message.tool_calls.iter().map(|call| call.name.len() + call.arguments.len()).sum();
    let kept: usize = message.extensions.iter().map(|(name, value)| name.len() + value.len()).sum();
    message.text.len() + calls + kept
}

/// Which messages are left out so that the rest fits into what a model holds, the oldest first; nothing where that cannot
/// be. `sizes` are bytes, and whether a message can be left out; `fixed` bytes go with every request.
fn left_out(sizes: &[(usize, bool)], fixed: usize, holds: u64) -> Option<Vec<usize>> {
    let room = holds - (holds / 4).min(ANSWER);
    let mut bytes = sizes.iter().map(|(size, _)| size).sum::<usize>() + fixed;
    let mut out = Vec::new();
    for (at, (size, can_go)) in sizes.iter().enumerate() {
        if bytes as u64 / DENSE <= room {
            break;
        }
        if *can_go && *size > WORD {
            bytes -= size - WORD;
            out.push(at);
        }
    }
    (bytes as u64 / SPARSE <= room).then_some(out)
}

impl Runner<'_> {
    /// The whole conversation, masked anew.
    pub(super) async fn request(&self, model: &Model, catalogue: &Catalogue) -> Result<provider::Request, TriageError> {
        let incident_id = self.turn.incident_id;
        let incident = self.app.0.store.incident(self.scope, incident_id).await?;
        let system = self.app.system_prompt(self.scope, &incident, &catalogue.problems).await?;
        let mut messages = vec![provider::Message::plain("system", system)];
        let history = self.app.0.store.messages(self.scope, incident_id).await?;
        for message in answered(history) {
            messages.push(self.app.lowered(self.scope, incident_id, &message, model).await?);
        }
        let mut own_tools = self.own_tools(false).await?;
        let mut tools = self.app.offered(self.scope, incident_id, catalogue).await?;
        if let Some(holds) = model.holds() {
            let fixed = tools.iter().chain(&own_tools).map(|tool| tool.description.len() + tool.parameters.len()).sum();
            if self.fit(&mut messages, fixed, model, holds).await? {
                own_tools = self.own_tools(true).await?;
            }
        }
        tools.extend(own_tools);
        Ok(provider::Request { model: model.model.clone(), messages, tools, max_output_tokens: None })
    }

    /// Leave out as many of the oldest results as a model has no room for, with a word in the place of each; whether any
    /// was.
    async fn fit(
        &self,
        messages: &mut [provider::Message],
        fixed: usize,
        model: &Model,
        holds: u64,
    ) -> Result<bool, TriageError> {
        let out = fitting(messages, fixed, model, holds)?;
        let approvals = self.app.0.store.approvals(self.scope, self.turn.incident_id).await?;
        for at in &out {
            let Some(message) = messages.get_mut(*at) else { continue };
            let asked = |approval: &Approval| Some(&approval.call_id) == message.tool_call_id.as_ref();
            message.text = match approvals.iter().position(asked) {
                Some(at) => {
                    let mut text = Redacted::literal(
                        "(left out, to fit: fumehood_read_result reads and searches all of it, as result ",
                    );
                    text.push(&Redacted::count(at + 1));
                    text.push_literal(")");
                    text
                }
                None => Redacted::literal("(left out, to fit: call the tool again where it is still needed)"),
            };
        }
        if self.live.left_out.swap(out.len(), Ordering::Relaxed) < out.len() {
            let summary = format!(
                "{} older results were not sent again, to fit the {holds} tokens of {}",
                out.len(),
                model.model
            );
            let link = format!("chat#turn-{}", self.turn.id);
            self.app.0.store.note(self.scope, self.turn.incident_id, "model", summary, link).await?;
        }
        Ok(!out.is_empty())
    }
}

impl App {
    /// A catalogue's tools as a model is told of them.
    pub(super) async fn offered(
        &self,
        scope: &Scope,
        incident: IncidentId,
        catalogue: &Catalogue,
    ) -> Result<Vec<provider::Tool>, TriageError> {
        let mut tools = Vec::with_capacity(catalogue.tools.len());
        for tool in &catalogue.tools {
            let schema = self.mask_json(scope, incident, Origin::Raw, &tool.schema).await?;
            tools.push(provider::Tool {
                name: tool.name.clone(),
                description: self.mask_one(scope, incident, Origin::Raw, &tool.description).await?,
                parameters: schema.to_redacted(),
            });
        }
        Ok(tools)
    }

    /// A message as it goes to a model.
    pub(super) async fn lowered(
        &self,
        scope: &Scope,
        incident: IncidentId,
        message: &Message,
        model: &Model,
    ) -> Result<provider::Message, TriageError> {
        // What a person types is raw; what the model wrote, and tool results as they were masked, hold our pseudonyms.
        let origin = Origin::Reply;
        let mut tool_calls = Vec::with_capacity(message.tool_calls.len());
        for call in &message.tool_calls {
            tool_calls.push(provider::ToolCall {
                id: call.id.clone(),
                name: call.name.clone(),
                arguments: self.mask_one(scope, incident, origin, &call.arguments).await?,
            });
        }
        let role = match message.role.as_str() {
            "assistant" => "assistant",
            "tool" => "tool",
            _ => "user",
        };
        let mut text = self.mask_one(scope, incident, origin, &message.text).await?;
        if role == "tool" {
            text = fenced("tool result", &text);
        }
        let extensions = match &message.kept {
            // To another provider, or model, it says nothing, and whatever it says is nobody else's.
            Some(kept) if *kept == kept_for(model, kept.values.clone()) => {
                self.given_back(scope, incident, &kept.values).await?
            }
            _ => Vec::new(),
        };
        Ok(provider::Message { role, text, tool_calls, tool_call_id: message.tool_call_id.clone(), extensions })
    }
}

/// What a provider wants back, for the very server, key and model that it came from.
pub(super) fn kept_for(model: &Model, values: Vec<(String, String)>) -> Kept {
    let key = model.credential_id.map(|id| id.to_string()).unwrap_or_default();
    let (plugin, name) = (model.plugin.clone(), model.model.clone());
    Kept { plugin, model: name, from: format!("{} {key}", model.base_url), values }
}

/// The messages of which the results are left out, so that a model holds the rest: never those of the newest round.
pub(super) fn fitting(
    messages: &[provider::Message],
    fixed: usize,
    model: &Model,
    holds: u64,
) -> Result<Vec<usize>, TriageError> {
    let newest = messages.iter().rposition(|message| !message.tool_calls.is_empty()).unwrap_or(0);
    let can_go = |(at, message): (usize, &provider::Message)| (size(message), message.role == "tool" && at < newest);
    let sizes: Vec<(usize, bool)> = messages.iter().enumerate().map(can_go).collect();
    left_out(&sizes, fixed, holds).ok_or_else(|| {
        TriageError::TooLarge(format!(
            "The conversation is longer than the {holds} tokens that {} holds, and was not sent. Ask something shorter, \
             choose a model that holds more, or begin another incident with what matters.",
            model.model
        ))
    })
}

/// The messages in which every call has its answer: a provider refuses a conversation with calls left open (a turn that
/// was stopped while one waited).
fn answered(history: Vec<Message>) -> Vec<Message> {
    let told: std::collections::HashSet<String> =
        history.iter().filter_map(|message| message.tool_call_id.clone()).collect();
    let mut kept = Vec::with_capacity(history.len());
    let mut open = std::collections::HashSet::new();
    for mut message in history {
        match message.role.as_str() {
            "assistant" => {
                let asked = message.tool_calls.len();
                message.tool_calls.retain(|call| told.contains(&call.id));
                // It belongs to exactly these calls.
                message.kept = message.kept.take().filter(|_| message.complete && message.tool_calls.len() == asked);
                open.extend(message.tool_calls.iter().map(|call| call.id.clone()));
                if message.text.trim().is_empty() && message.tool_calls.is_empty() {
                    continue;
                }
            }
            "tool" if !message.tool_call_id.as_ref().is_some_and(|id| open.remove(id)) => continue,
            _ => {}
        }
        kept.push(message);
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_oldest_results_go_first_and_no_more_than_needed() {
        let sizes = [(600, false), (30_000, true), (200, false), (30_000, true), (90, true), (9_000, false)];
        assert_eq!(left_out(&sizes, 1000, 100_000), Some(vec![]));
        assert_eq!(left_out(&sizes, 1000, 20_000), Some(vec![1]));
        assert_eq!(left_out(&sizes, 1000, 6_000), Some(vec![1, 3]));
        assert_eq!(left_out(&sizes, 1000, 1_000), None);
    }

    proptest! {
        #[test]
        fn what_is_sent_may_fit_and_what_is_left_out_was_needed(
            sizes in prop::collection::vec((0_usize..50_000, any::<bool>()), 0..20), fixed in 0_usize..20_000,
            holds in 1_u64..100_000,
        ) {
            let room = holds - (holds / 4).min(ANSWER);
            let all: usize = sizes.iter().map(|(size, _)| size).sum::<usize>() + fixed;
            if let Some(out) = left_out(&sizes, fixed, holds) {
                prop_assert!(out.iter().all(|at| sizes[*at].1));
                let gone: usize = out.iter().map(|at| sizes[*at].0 - WORD).sum();
                prop_assert!((all - gone) as u64 / SPARSE <= room);
                if let Some(last) = out.last() {
                    prop_assert!((all - gone + sizes[*last].0 - WORD) as u64 / DENSE > room);
                }
            } else {
                prop_assert!(all as u64 / SPARSE > room);
            }
        }
    }
}
