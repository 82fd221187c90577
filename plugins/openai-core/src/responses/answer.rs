//! From the events of an answer to the contract's.
//!
//! Invariant: pure; what accumulates (calls, thoughts to send back) is bounded. Every field that may be absent, null or of
//! another type is read as if it were not there, and an event of an unknown kind says nothing.

use std::collections::HashSet;

use provider_core::completion::no_answer;
use provider_core::error::{Said, from_stream};
use provider_core::host::Failure;
use provider_core::model::{Event, ToolCall, Usage};
use provider_core::tools::{MAX_ARGUMENT_BYTES, MAX_CALLS, invented, too_much};
use provider_core::{Answer as Parts, Step};
use serde_json::{Value, json};

use super::request::{CALL, ITEMS, MESSAGE};

/// Most bytes of thoughts that are kept to be sent back. Longer ones are not returned to the server.
const MAX_THOUGHT_BYTES: usize = 1024 * 1024;

/// One answer that is arriving.
#[derive(Debug, Default)]
pub struct Answer {
    calls: Vec<ToolCall>,
    call_bytes: usize,
    items: Vec<Value>,
    thought_bytes: usize,
    usage: Option<Usage>,
    /// Whether anything of the text, or of the thoughts, was shown as it arrived.
    shown: bool,
    refused: bool,
    stop: Option<&'static str>,
    used: HashSet<String>,
}

impl Answer {
    /// An answer in a conversation in which these ids are taken.
    pub fn new(used: HashSet<String>) -> Self {
        Self { used, ..Self::default() }
    }

    /// One item, complete.
    fn item(&mut self, item: &Value, event: &mut Event) -> Result<(), Failure> {
        let field = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        match item.get("type").and_then(Value::as_str).unwrap_or_default() {
            "function_call" => {
                let (mut id, name, mut arguments) = (field("call_id"), field("name"), field("arguments"));
                self.call_bytes += id.len() + name.len() + arguments.len();
                if self.call_bytes > MAX_ARGUMENT_BYTES || self.calls.len() >= MAX_CALLS {
                    return Err(too_much(MAX_CALLS, MAX_ARGUMENT_BYTES));
                }
                if name.is_empty() {
                    return Ok(());
                }
                if arguments.trim().is_empty() {
                    "{}".clone_into(&mut arguments);
                }
                if id.is_empty() || self.calls.iter().any(|known| known.id == id) {
                    id = invented(&mut self.used);
                }
                self.used.insert(id.clone());
                self.calls.push(ToolCall { id, name, arguments });
                self.items.push(json!({"type": CALL}));
            }
            "message" => {
                if !self.shown {
                    for part in item.get("content").and_then(Value::as_array).into_iter().flatten() {
                        self.refused |= part.get("refusal").is_some();
                        let text = part.get("text").or_else(|| part.get("refusal")).and_then(Value::as_str);
                        event.text.push_str(text.unwrap_or_default());
                    }
                }
                self.shown = false;
                self.items.push(json!({"type": MESSAGE}));
            }
            // What is not sealed is stored at the service, or nowhere: it cannot go back.
            "reasoning" if item.get("encrypted_content").is_some_and(Value::is_string) => {
                let kept = json!({
                    "type": "reasoning", "id": item.get("id"), "summary": item.get("summary").unwrap_or(&json!([])),
                    "encrypted_content": item.get("encrypted_content"),
                });
                self.thought_bytes = self.thought_bytes.saturating_add(kept.to_string().len());
                if self.thought_bytes <= MAX_THOUGHT_BYTES {
                    self.items.push(kept);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The whole answer, at its end. What was not given before is taken from it.
    fn response(&mut self, response: &Value, event: &mut Event) -> Result<(), Failure> {
        if let Some(error) = response.get("error").filter(|error| !error.is_null()) {
            return Err(from_stream(&Said::in_json(&json!({"error": error})).unwrap_or_default()));
        }
        let count = |name: &str| response.pointer(&format!("/usage/{name}")).and_then(Value::as_u64);
        let (input, output) = (count("input_tokens"), count("output_tokens"));
        if input.is_some() || output.is_some() {
            self.usage = Some(Usage { input_tokens: input.unwrap_or(0), output_tokens: output.unwrap_or(0) });
        }
        if self.items.is_empty() {
            for item in response.get("output").and_then(Value::as_array).into_iter().flatten() {
                self.item(item, event)?;
            }
        }
        let reason = response.pointer("/incomplete_details/reason").and_then(Value::as_str).unwrap_or_default();
        self.stop = Some(match response.get("status").and_then(Value::as_str).unwrap_or_default() {
            "failed" | "cancelled" => return Err(from_stream(&Said::default())),
            "incomplete" if reason == "content_filter" => "filtered",
            "incomplete" => "length",
            _ => "end",
        });
        Ok(())
    }
}

impl Parts for Answer {
    fn part(&mut self, name: &str, value: &Value) -> Result<Step, Failure> {
        let kind = value.get("type").and_then(Value::as_str).unwrap_or(name);
        let delta = value.get("delta").and_then(Value::as_str).unwrap_or_default();
        let mut event = Event::default();
        match kind {
            "response.output_text.delta" => {
                self.shown |= !delta.is_empty();
                event.text.push_str(delta);
            }
            "response.refusal.delta" => {
                self.shown |= !delta.is_empty();
                self.refused = true;
                event.text.push_str(delta);
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                event.reasoning.push_str(delta)
            }
            // One summary and the next are paragraphs.
            "response.reasoning_summary_part.added" if value.get("summary_index").is_some_and(|at| at != &json!(0)) => {
                event.reasoning.push_str("\n\n");
            }
            "response.output_item.done" => self.item(value.get("item").unwrap_or(&Value::Null), &mut event)?,
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.response(value.get("response").unwrap_or(&Value::Null), &mut event)?;
            }
            // What it says stands in the event itself.
            "error" => {
                let said = if value.get("error").is_some() { value.clone() } else { json!({"error": value}) };
                return Err(from_stream(&Said::in_json(&said).unwrap_or_default()));
            }
            _ => {}
        }
        Ok(if self.stop.is_some() { Step::End(event) } else { Step::Event(event) })
    }

    fn whole(&mut self, value: &Value) -> Result<Event, Failure> {
        if value.get("output").is_none() && value.get("error").is_none_or(Value::is_null) {
            return Err(no_answer(value, "output"));
        }
        let mut event = Event::default();
        self.response(value, &mut event)?;
        Ok(event)
    }

    fn is_complete(&self) -> bool {
        self.stop.is_some()
    }

    fn last(&mut self) -> Event {
        let stop = self.stop.take().unwrap_or("end");
        let mut tool_calls = std::mem::take(&mut self.calls);
        let mut items = std::mem::take(&mut self.items);
        if stop != "end" {
            // Half of a call must not run.
            let all = tool_calls.len();
            tool_calls
                .retain(|call| serde_json::from_str::<Value>(&call.arguments).is_ok_and(|value| value.is_object()));
            if tool_calls.len() != all {
                items.clear();
            }
        }
        let stop = match stop {
            "end" if self.refused => "filtered",
            "end" if !tool_calls.is_empty() => "tool-calls",
            other => other,
        };
        let mut extensions = Vec::new();
        let thought = items.iter().any(|item| item.get("type") == Some(&json!("reasoning")));
        // Half of the thoughts is worse than none.
        if thought && self.thought_bytes <= MAX_THOUGHT_BYTES {
            extensions.push((ITEMS.to_owned(), Value::Array(items).to_string()));
        }
        Event { tool_calls, usage: self.usage.take(), stop: Some(stop), extensions, ..Event::default() }
    }
}
