//! The way of one turn: rounds of the model, and the calls between them.

use std::collections::VecDeque;

use fumehood_redact::{Origin, Redacted};
use fumehood_store::approvals::Approval;
use fumehood_store::conversation::{Message, StoredCall};
use fumehood_store::{ApprovalId, MessageId, clock};
use sha2::{Digest as _, Sha256};

use super::{APPROVAL_US, MAX_ROUNDS, OWN, Runner, Step, own};
use crate::TriageError;
use crate::tools::{Catalogue, OfferedTool};

impl Runner<'_> {
    pub(super) async fn run(&self) -> Result<Step, TriageError> {
        let mut chain = self.app.chain(self.scope, self.turn.incident_id).await?;
        // A turn that goes on, after a person has decided, goes on with the model that asked.
        if let Some(at) = chain.iter().position(|model| model.id == self.turn.model_id) {
            chain.drain(..at);
        }
        let mut chain = VecDeque::from(chain);
        self.run_decided_calls().await?;
        loop {
            let rounds = self.rounds().await?;
            if rounds >= MAX_ROUNDS {
                return Err(TriageError::Conflict(format!(
                    "The model asked for tools {MAX_ROUNDS} times without an answer. Ask something narrower."
                )));
            }
            self.app.within_budget(self.scope, self.turn.incident_id).await?;
            let catalogue = self.app.catalogue(self.scope).await?;
            let answer = self.ask_one_of(&mut chain, &catalogue).await?;
            if answer.tool_calls.is_empty() {
                return Ok(Step::Done);
            }
            if self.put_before_person(&answer, &catalogue).await? {
                return Ok(Step::Waiting);
            }
            self.run_decided_calls().await?;
        }
    }

    async fn rounds(&self) -> Result<usize, TriageError> {
        let messages = self.app.0.store.messages(self.scope, self.turn.incident_id).await?;
        Ok(messages.iter().filter(|message| message.turn_id == self.turn.id && message.role == "assistant").count())
    }

    pub(super) fn status(&self, text: impl Into<String>) {
        if let Ok(mut status) = self.live.status.lock() {
            *status = text.into();
        }
        self.live.changed.send_modify(|count| *count += 1);
    }

    /// Carry out what was approved, and turn every decided call into a message for the model.
    async fn run_decided_calls(&self) -> Result<(), TriageError> {
        let store = &self.app.0.store;
        let incident = self.turn.incident_id;
        let mine = |all: Vec<Approval>| {
            all.into_iter().filter(|approval| approval.turn_id == self.turn.id).collect::<Vec<_>>()
        };
        for approval in mine(store.approvals(self.scope, incident).await?) {
            if approval.state == "approved" {
                self.status(format!("{} on {} runs", approval.tool, approval.server));
                let status = |text: String| self.status(text);
                self.app.run_call(self.scope, &approval, self.live.cancel.clone(), &status).await?;
            }
        }
        let messages = store.messages(self.scope, incident).await?;
        for approval in mine(store.approvals(self.scope, incident).await?) {
            let told = messages.iter().any(|message| {
                message.turn_id == self.turn.id && message.tool_call_id.as_deref() == Some(approval.call_id.as_str())
            });
            if told || approval.state == "pending" {
                continue;
            }
            let masked = self.app.mask_result(self.scope, &approval).await?;
            self.tool_message(&approval.call_id, &masked).await?;
        }
        Ok(())
    }

    async fn tool_message(&self, call_id: &str, text: &Redacted) -> Result<(), TriageError> {
        let message = Message {
            id: MessageId::new(),
            turn_id: self.turn.id,
            role: "tool".into(),
            text: text.as_str().to_owned(),
            tool_calls: Vec::new(),
            tool_call_id: Some(call_id.to_owned()),
            kept: None,
            complete: true,
            created_us: clock::now_us(),
        };
        Ok(self.app.0.store.put_message(self.scope, self.turn.incident_id, message).await?)
    }

    /// Put the model's calls before a person. `false` where nobody has to decide: a rule allows them, or none of them can
    /// be asked for and the model was told why.
    async fn put_before_person(&self, answer: &Message, catalogue: &Catalogue) -> Result<bool, TriageError> {
        let mut asks = Vec::new();
        for call in &answer.tool_calls {
            if call.name.starts_with(OWN) {
                match self.own_call(call).await? {
                    own::Own::Said(text) => self.tool_message(&call.id, &text).await?,
                    own::Own::Ask(approval) => asks.push(*approval),
                }
                continue;
            }
            let Some(tool) = catalogue.tools.iter().find(|tool| tool.name == call.name) else {
                let mut text =
                    Redacted::literal("There is no such tool. The tools that exist are those in this request.");
                for (server, problem) in &catalogue.problems {
                    let known = format!(" {server}: {problem}.");
                    text.push(&self.app.mask_one(self.scope, self.turn.incident_id, Origin::Raw, &known).await?);
                }
                self.not_called(call, "there is no such tool", &text).await?;
                continue;
            };
            let arguments = if call.arguments.trim().is_empty() { "{}" } else { call.arguments.as_str() };
            match serde_json::from_str::<serde_json::Value>(arguments) {
                Ok(value @ serde_json::Value::Object(_)) => asks.push(self.approval(call, tool, &value).await?),
                _ => {
                    let text = Redacted::literal("The arguments were not a JSON object. Call the tool again with one.");
                    self.not_called(call, "its arguments were not a JSON object", &text).await?;
                }
            }
        }
        if asks.is_empty() {
            return Ok(false);
        }
        Ok(self.app.0.store.ask(self.scope, self.turn.id, asks).await?)
    }

    /// Tell the model, and the timeline, why a call that it asked for was not put before a person.
    async fn not_called(&self, call: &StoredCall, reason: &str, text: &Redacted) -> Result<(), TriageError> {
        self.tool_message(&call.id, text).await?;
        let name: String = call.name.chars().filter(|c| !c.is_control()).take(80).collect();
        let summary = format!("Not called: {name}: {reason}");
        let link = format!("chat#turn-{}", self.turn.id);
        Ok(self.app.0.store.note(self.scope, self.turn.incident_id, "tool", summary, link).await?)
    }

    async fn approval(
        &self,
        call: &StoredCall,
        tool: &OfferedTool,
        arguments: &serde_json::Value,
    ) -> Result<Approval, TriageError> {
        let incident = self.turn.incident_id;
        let masked = self.app.mask_json(self.scope, incident, Origin::Reply, arguments).await?;
        let text = masked.to_value().to_string();
        let server = self.app.0.store.server(self.scope, tool.server_id).await?;
        let binding = self.app.binding(&server, tool.sha256.clone(), &text)?;
        let now = clock::now_us();
        let by_rule = (tool.rule == "allow").then(|| "rule".to_owned());
        let decided_by = match by_rule {
            Some(rule) => Some(rule),
            None if tool.risk == "low" => {
                let store = &self.app.0.store;
                store.approved_here(self.scope, incident, tool.server_id, &tool.tool, &binding).await?
            }
            None => None,
        };
        let counts = masked.count_by_kind().into_iter().map(|(kind, count)| (kind.as_str().to_owned(), count as u64));
        Ok(Approval {
            id: ApprovalId::new(),
            incident_id: incident,
            turn_id: self.turn.id,
            call_id: call.id.clone(),
            server_id: tool.server_id,
            server: tool.server.clone(),
            method: "tools/call".into(),
            tool: tool.tool.clone(),
            tool_sha256: binding.tool_sha256,
            plugin_sha256: binding.plugin_sha256,
            arguments_sha256: Sha256::digest(text.as_bytes()).to_vec(),
            arguments: text,
            masked: counts.collect(),
            risk: tool.risk.into(),
            for_incident: false,
            state: if decided_by.is_some() { "approved".into() } else { "pending".into() },
            decided_us: decided_by.is_some().then_some(now),
            decided_by,
            expires_us: now + APPROVAL_US,
            result: String::new(),
            problem: String::new(),
            created_us: now,
        })
    }
}
