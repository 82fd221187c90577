//! From the chunks of an answer to the contract's events.
//!
//! Invariant: pure; what accumulates is bounded. Every field that may be absent, null or of another type is read as if it
//! were not there.

use std::collections::HashSet;

use provider_core::completion::no_answer;
use provider_core::error::{Said, from_stream};
use provider_core::host::{Failure, code};
use provider_core::model::{Event, ToolCall, Usage};
use provider_core::tools::{MAX_ARGUMENT_BYTES, MAX_CALLS, invented, too_much};
use provider_core::{Answer as Parts, Step};
use serde_json::Value;

use crate::request::{SIGNATURES, Signatures};

/// Most bytes of signatures that are kept to be sent back.
const MAX_SIGNATURE_BYTES: usize = 512 * 1024;

/// One answer that is arriving.
#[derive(Debug, Default)]
pub struct Answer {
    calls: Vec<ToolCall>,
    signatures: Signatures,
    call_bytes: usize,
    signature_bytes: usize,
    usage: Option<Usage>,
    finish: Option<String>,
    used: HashSet<String>,
}

impl Answer {
    /// An answer in a conversation in which these ids are taken.
    pub fn new(used: HashSet<String>) -> Self {
        Self { used, ..Self::default() }
    }

    fn chunk(&mut self, value: &Value) -> Result<Event, Failure> {
        if value.get("error").is_some_and(|error| !error.is_null()) {
            return Err(from_stream(&Said::in_json(value).unwrap_or_default()));
        }
        if let Some(reason) = value.pointer("/promptFeedback/blockReason").and_then(Value::as_str) {
            return Err(Failure::new(code::INVALID, format!("The provider's filter refused the prompt ({reason}).")));
        }
        self.used_tokens(value.get("usageMetadata"));
        let mut event = Event::default();
        let candidates = value.get("candidates").and_then(Value::as_array).into_iter().flatten();
        let first = |candidate: &&Value| candidate.get("index").and_then(Value::as_u64).is_none_or(|index| index == 0);
        for candidate in candidates.filter(first).take(1) {
            let parts = candidate.pointer("/content/parts").and_then(Value::as_array);
            for part in parts.into_iter().flatten() {
                self.part_of(part, &mut event)?;
            }
            if let Some(reason) = candidate.get("finishReason").and_then(Value::as_str) {
                self.finish = Some(reason.to_owned());
            }
        }
        Ok(event)
    }

    fn part_of(&mut self, part: &Value, event: &mut Event) -> Result<(), Failure> {
        let text = part.get("text").and_then(Value::as_str).unwrap_or_default();
        if part.get("thought") == Some(&Value::Bool(true)) {
            event.reasoning.push_str(text);
            return Ok(());
        }
        event.text.push_str(text);
        let signature = part.get("thoughtSignature").and_then(Value::as_str).map(str::to_owned);
        self.signature_bytes = self.signature_bytes.saturating_add(signature.as_ref().map_or(0, String::len));
        let signature = signature.filter(|_| self.signature_bytes <= MAX_SIGNATURE_BYTES);
        if let Some(call) = part.get("functionCall") {
            let field = |name: &str| call.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let arguments = match call.get("args") {
                Some(args @ Value::Object(_)) => args.to_string(),
                _ => "{}".to_owned(),
            };
            let (mut id, name) = (field("id"), field("name"));
            self.call_bytes += id.len() + name.len() + arguments.len();
            if self.call_bytes > MAX_ARGUMENT_BYTES || self.calls.len() >= MAX_CALLS {
                return Err(too_much(MAX_CALLS, MAX_ARGUMENT_BYTES));
            }
            if id.is_empty() || self.calls.iter().any(|known| known.id == id) {
                id = invented(&mut self.used);
            }
            self.used.insert(id.clone());
            if !name.is_empty() {
                self.calls.push(ToolCall { id, name, arguments });
                self.signatures.calls.push(signature);
            }
        } else if signature.is_some() {
            self.signatures.text = signature;
        }
        Ok(())
    }

    /// Each chunk counts all so far.
    fn used_tokens(&mut self, usage: Option<&Value>) {
        let count = |name: &str| usage.and_then(|usage| usage.get(name)).and_then(Value::as_u64);
        let input = count("promptTokenCount");
        // Thoughts are written, and paid, as output.
        let output = [count("candidatesTokenCount"), count("thoughtsTokenCount")];
        if input.is_none() && output.iter().all(Option::is_none) {
            return;
        }
        let before = self.usage.unwrap_or(Usage { input_tokens: 0, output_tokens: 0 });
        let written = output.into_iter().flatten().fold(0, u64::saturating_add);
        self.usage = Some(Usage {
            input_tokens: input
                .unwrap_or(before.input_tokens)
                .saturating_add(count("toolUsePromptTokenCount").unwrap_or(0)),
            output_tokens: if output.iter().all(Option::is_none) { before.output_tokens } else { written },
        });
    }
}

impl Parts for Answer {
    fn part(&mut self, _: &str, value: &Value) -> Result<Step, Failure> {
        self.chunk(value).map(Step::Event)
    }

    fn whole(&mut self, value: &Value) -> Result<Event, Failure> {
        if value.get("candidates").is_none() && value.get("promptFeedback").is_none() {
            return Err(no_answer(value, "candidate"));
        }
        self.chunk(value)
    }

    fn is_complete(&self) -> bool {
        self.finish.is_some()
    }

    fn last(&mut self) -> Event {
        let reason = self.finish.take().unwrap_or_default();
        let mut tool_calls = std::mem::take(&mut self.calls);
        let stop = match reason.as_str() {
            "MAX_TOKENS" => "length",
            "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "IMAGE_SAFETY" => {
                tool_calls.clear();
                "filtered"
            }
            // The reason is the same with calls and without.
            _ if !tool_calls.is_empty() => "tool-calls",
            _ => "end",
        };
        let mut extensions = Vec::new();
        let signatures = std::mem::take(&mut self.signatures);
        let is_signed = signatures.text.is_some() || signatures.calls.iter().any(Option::is_some);
        // Some of them are worse than none.
        if is_signed
            && self.signature_bytes <= MAX_SIGNATURE_BYTES
            && let Ok(signatures) = serde_json::to_string(&signatures)
        {
            extensions.push((SIGNATURES.to_owned(), signatures));
        }
        Event { tool_calls, usage: self.usage.take(), stop: Some(stop), extensions, ..Event::default() }
    }
}
