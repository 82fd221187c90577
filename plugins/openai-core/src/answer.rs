//! From the chunks of an answer to the contract's events.
//!
//! Invariant: pure; what accumulates (calls, reasoning to send back) is bounded. Every field that may be absent, null
//! or of another type is read as if it were not there.

use std::collections::HashSet;

use serde_json::Value;

use provider_core::completion::no_answer;
use provider_core::error::{Said, from_stream};
use provider_core::host::Failure;
use provider_core::model::{Event, REASONING_DETAILS, REASONING_TEXT_FIELDS, Usage};
use provider_core::{Answer as Parts, Step};

use crate::calls::Calls;

/// Most bytes of reasoning that are kept to be sent back. A longer one is shown, but not returned to the server.
pub const MAX_REASONING_BYTES: usize = 256 * 1024;

/// One answer that is arriving.
#[derive(Debug, Default)]
pub struct Answer {
    calls: Calls,
    usage: Option<Usage>,
    finish: Option<String>,
    refused: bool,
    reasoning_field: &'static str,
    reasoning: String,
    details: Vec<Value>,
    kept_bytes: usize,
    used_ids: HashSet<String>,
}

impl Answer {
    /// An answer in a conversation in which these ids are taken.
    pub fn new(used_ids: HashSet<String>) -> Self {
        Self { used_ids, ..Self::default() }
    }

    /// Take one chunk (or a whole answer) and give what is to be shown of it. Calls, usage and the reason to stop come
    /// with the last event.
    ///
    /// # Errors
    /// The error that the chunk carries, or `protocol` over a limit.
    fn chunk(&mut self, value: &Value) -> Result<Event, Failure> {
        if let Some(said) = Said::in_json(value)
            // A usage chunk or a ping may come without choices, and with a message of its own.
            && (value.get("error").is_some_and(|e| !e.is_null()) || value.get("usage").is_none())
        {
            return Err(from_stream(&said));
        }
        let usage = [value.get("usage"), value.pointer("/x_groq/usage")];
        if let Some(usage) = usage.into_iter().flatten().find_map(read_usage) {
            self.usage = Some(usage);
        }
        let mut event = Event::default();
        let choices = value.get("choices").and_then(Value::as_array);
        let first = choices
            .into_iter()
            .flatten()
            .find(|choice| choice.get("index").and_then(Value::as_u64).is_none_or(|index| index == 0));
        let Some(choice) = first else {
            return Ok(event);
        };
        let delta = [choice.get("delta"), choice.get("message")].into_iter().flatten().find(|delta| delta.is_object());
        if let Some(delta) = delta {
            self.delta(delta, &mut event)?;
        }
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str)
            && !reason.is_empty()
        {
            if reason == "error" {
                return Err(from_stream(&Said::default()));
            }
            self.finish = Some(reason.to_owned());
        }
        Ok(event)
    }

    fn delta(&mut self, delta: &Value, event: &mut Event) -> Result<(), Failure> {
        if let Some(content) = delta.get("content") {
            read_content(content, event);
        }
        if let Some(refusal) = delta.get("refusal").and_then(Value::as_str)
            && !refusal.is_empty()
        {
            self.refused = true;
            event.text.push_str(refusal);
        }
        // Some servers send both names with the same text.
        for field in REASONING_TEXT_FIELDS {
            let text = delta.get(field).and_then(Value::as_str).unwrap_or_default();
            if !text.is_empty() {
                event.reasoning.push_str(text);
                self.keep(text.len());
                if self.kept_bytes <= MAX_REASONING_BYTES {
                    self.reasoning_field = field;
                    self.reasoning.push_str(text);
                }
                break;
            }
        }
        if let Some(Value::Array(details)) = delta.get(REASONING_DETAILS) {
            for detail in details {
                self.keep(detail.to_string().len());
                if self.kept_bytes <= MAX_REASONING_BYTES {
                    self.details.push(detail.clone());
                }
            }
        }
        if let Some(calls) = delta.get("tool_calls") {
            self.calls.take(calls)?;
        }
        Ok(())
    }

    /// Half of a reasoning is worse than none: over the limit, everything kept is dropped.
    fn keep(&mut self, bytes: usize) {
        self.kept_bytes = self.kept_bytes.saturating_add(bytes);
        if self.kept_bytes > MAX_REASONING_BYTES {
            self.reasoning = String::new();
            self.details = Vec::new();
        }
    }
}

impl Parts for Answer {
    fn part(&mut self, _: &str, value: &Value) -> Result<Step, Failure> {
        self.chunk(value).map(Step::Event)
    }

    fn whole(&mut self, value: &Value) -> Result<Event, Failure> {
        if value.pointer("/choices/0").is_none() {
            return Err(no_answer(value, "choice"));
        }
        self.chunk(value)
    }

    fn is_complete(&self) -> bool {
        self.finish.is_some()
    }

    fn last(&mut self) -> Event {
        let reason = self.finish.take().unwrap_or_default();
        let cut = matches!(reason.as_str(), "length" | "max_tokens" | "content_filter");
        let tool_calls = std::mem::take(&mut self.calls).finish(cut, &self.used_ids);
        let stop = match reason.as_str() {
            "length" | "max_tokens" => "length",
            "content_filter" => "filtered",
            _ if self.refused => "filtered",
            // Ollama and others say `stop` with calls as well.
            _ if !tool_calls.is_empty() => "tool-calls",
            _ => "end",
        };
        let mut extensions = Vec::new();
        if !self.reasoning.is_empty() && !tool_calls.is_empty() {
            let text = std::mem::take(&mut self.reasoning);
            extensions.push((self.reasoning_field.to_owned(), text));
        }
        if !self.details.is_empty() {
            let details = Value::Array(std::mem::take(&mut self.details));
            extensions.push((REASONING_DETAILS.to_owned(), details.to_string()));
        }
        Event { tool_calls, usage: self.usage.take(), stop: Some(stop), extensions, ..Event::default() }
    }
}

/// Content is text, or a list of parts with text or thinking (Mistral).
fn read_content(content: &Value, event: &mut Event) {
    match content {
        Value::String(text) => event.text.push_str(text),
        Value::Array(parts) => {
            for part in parts {
                if let Some(text) = part.as_str().or_else(|| part.get("text")?.as_str()) {
                    event.text.push_str(text);
                } else if let Some(thinking) = part.get("thinking") {
                    let mut inner = Event::default();
                    read_content(thinking, &mut inner);
                    event.reasoning.push_str(&inner.text);
                }
            }
        }
        _ => {}
    }
}

fn read_usage(usage: &Value) -> Option<Usage> {
    let count = |names: [&str; 2]| names.iter().find_map(|name| usage.get(*name)?.as_u64());
    let input = count(["prompt_tokens", "input_tokens"]);
    let output = count(["completion_tokens", "output_tokens"]);
    (input.is_some() || output.is_some())
        .then(|| Usage { input_tokens: input.unwrap_or(0), output_tokens: output.unwrap_or(0) })
}
