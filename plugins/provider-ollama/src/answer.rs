//! From the lines of an answer to the contract's events.
//!
//! Invariant: pure; what accumulates is bounded. Every field that may be absent, null or of another type is read as if it
//! were not there.

use std::collections::HashSet;

use provider_core::completion::no_answer;
use provider_core::error::{Said, from_stream};
use provider_core::host::Failure;
use provider_core::model::{Event, ToolCall, Usage};
use provider_core::tools::{MAX_ARGUMENT_BYTES, MAX_CALLS, invented, too_much};
use provider_core::{Answer as Parts, Step};
use serde_json::Value;

use crate::request::THINKING;

/// Most bytes of thinking that are kept to be sent back. A longer one is shown, and not returned to the server.
const MAX_THINKING_BYTES: usize = 256 * 1024;

/// One answer that is arriving.
#[derive(Debug, Default)]
pub struct Answer {
    calls: Vec<ToolCall>,
    call_bytes: usize,
    thinking: String,
    thinking_bytes: usize,
    usage: Option<Usage>,
    done: Option<String>,
    used: HashSet<String>,
}

impl Answer {
    /// An answer in a conversation in which these ids are taken.
    pub fn new(used: HashSet<String>) -> Self {
        Self { used, ..Self::default() }
    }

    fn line(&mut self, value: &Value) -> Result<Event, Failure> {
        if value.get("error").is_some_and(|error| !error.is_null()) {
            return Err(from_stream(&Said::in_json(value).unwrap_or_default()));
        }
        let mut event = Event::default();
        let text = |name: &str| value.pointer(&format!("/message/{name}")).and_then(Value::as_str).unwrap_or_default();
        event.text.push_str(text("content"));
        event.reasoning.push_str(text("thinking"));
        self.thinking_bytes = self.thinking_bytes.saturating_add(event.reasoning.len());
        if self.thinking_bytes <= MAX_THINKING_BYTES {
            self.thinking.push_str(&event.reasoning);
        }
        for call in value.pointer("/message/tool_calls").and_then(Value::as_array).into_iter().flatten() {
            self.call(call)?;
        }
        if value.get("done") == Some(&Value::Bool(true)) {
            let count = |name: &str| value.get(name).and_then(Value::as_u64);
            let (input, output) = (count("prompt_eval_count"), count("eval_count"));
            if input.is_some() || output.is_some() {
                // A prompt that was wholly in the cache has no count.
                self.usage = Some(Usage { input_tokens: input.unwrap_or(0), output_tokens: output.unwrap_or(0) });
            }
            self.done = Some(value.get("done_reason").and_then(Value::as_str).unwrap_or("stop").to_owned());
        }
        Ok(event)
    }

    fn call(&mut self, call: &Value) -> Result<(), Failure> {
        let function = call.get("function").unwrap_or(call);
        let name = function.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let arguments = match function.get("arguments") {
            Some(Value::String(text)) if !text.trim().is_empty() => text.clone(),
            Some(arguments @ Value::Object(_)) => arguments.to_string(),
            _ => "{}".to_owned(),
        };
        self.call_bytes += name.len() + arguments.len();
        if self.call_bytes > MAX_ARGUMENT_BYTES || self.calls.len() >= MAX_CALLS {
            return Err(too_much(MAX_CALLS, MAX_ARGUMENT_BYTES));
        }
        if !name.is_empty() {
            // Some servers give none, and some the same in each answer.
            self.calls.push(ToolCall { id: invented(&mut self.used), name, arguments });
        }
        Ok(())
    }
}

impl Parts for Answer {
    fn part(&mut self, _: &str, value: &Value) -> Result<Step, Failure> {
        self.line(value).map(Step::Event)
    }

    fn whole(&mut self, value: &Value) -> Result<Event, Failure> {
        if value.get("message").is_none() {
            return Err(no_answer(value, "message"));
        }
        self.line(value)
    }

    fn is_complete(&self) -> bool {
        self.done.is_some()
    }

    fn last(&mut self) -> Event {
        let reason = self.done.take().unwrap_or_default();
        let tool_calls = std::mem::take(&mut self.calls);
        let stop = match reason.as_str() {
            "length" => "length",
            _ if !tool_calls.is_empty() => "tool-calls",
            _ => "end",
        };
        let mut extensions = Vec::new();
        if !self.thinking.is_empty() && self.thinking_bytes <= MAX_THINKING_BYTES && !tool_calls.is_empty() {
            extensions.push((THINKING.to_owned(), std::mem::take(&mut self.thinking)));
        }
        Event { tool_calls, usage: self.usage.take(), stop: Some(stop), extensions, ..Event::default() }
    }
}
