//! From the events of an answer to the contract's.
//!
//! Invariant: pure; what accumulates (calls, thinking to send back) is bounded. Every field that may be absent, null or of
//! another type is read as if it were not there, and an event of an unknown kind says nothing.

use std::collections::{BTreeMap, HashSet};

use provider_core::completion::no_answer;
use provider_core::error::{Said, from_stream};
use provider_core::host::Failure;
use provider_core::model::{Event, ToolCall, Usage};
use provider_core::tools::{MAX_ARGUMENT_BYTES, MAX_CALLS, invented, too_much};
use provider_core::{Answer as Parts, Step};
use serde_json::{Map, Value, json};

use crate::request::THINKING;

/// Most bytes of thinking that are kept to be sent back. More is shown, and not returned to the server.
const MAX_THINKING_BYTES: usize = 1024 * 1024;
/// Most blocks of one answer.
const MAX_BLOCKS: usize = 1024;

/// A block that is arriving.
#[derive(Debug)]
enum Block {
    /// Text, or of a kind that is not shown.
    Other,
    Call {
        id: String,
        name: String,
        input: String,
    },
    /// As it goes back.
    Thinking(Map<String, Value>),
}

/// One answer that is arriving.
#[derive(Debug, Default)]
pub struct Answer {
    /// By the number that the server gives them.
    blocks: BTreeMap<u64, Block>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    stop: Option<String>,
    call_bytes: usize,
    thinking_bytes: usize,
    used: HashSet<String>,
}

impl Answer {
    /// An answer in a conversation in which these ids are taken.
    pub fn new(used: HashSet<String>) -> Self {
        Self { used, ..Self::default() }
    }

    fn begin(&mut self, at: u64, block: &Value, event: &mut Event) -> Result<(), Failure> {
        if self.blocks.len() >= MAX_BLOCKS {
            return Err(too_much(MAX_CALLS, MAX_ARGUMENT_BYTES));
        }
        let text = |name: &str| block.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let begun = match block.get("type").and_then(Value::as_str).unwrap_or_default() {
            "text" => {
                event.text.push_str(&text("text"));
                Block::Other
            }
            "tool_use" => {
                let (id, name) = (text("id"), text("name"));
                // In a stream the input is empty here, and comes in pieces.
                let input = match block.get("input") {
                    Some(Value::Object(input)) if !input.is_empty() => Value::Object(input.clone()).to_string(),
                    _ => String::new(),
                };
                self.grow(id.len() + name.len() + input.len())?;
                Block::Call { id, name, input }
            }
            "thinking" | "redacted_thinking" => {
                event.reasoning.push_str(&text("thinking"));
                self.thinking_bytes += block.to_string().len();
                Block::Thinking(block.as_object().cloned().unwrap_or_default())
            }
            _ => Block::Other,
        };
        self.blocks.insert(at, begun);
        let calls = self.blocks.values().filter(|block| matches!(block, Block::Call { .. })).count();
        if calls > MAX_CALLS { Err(too_much(MAX_CALLS, MAX_ARGUMENT_BYTES)) } else { Ok(()) }
    }

    fn grow(&mut self, bytes: usize) -> Result<(), Failure> {
        self.call_bytes = self.call_bytes.saturating_add(bytes);
        if self.call_bytes > MAX_ARGUMENT_BYTES { Err(too_much(MAX_CALLS, MAX_ARGUMENT_BYTES)) } else { Ok(()) }
    }

    fn delta(&mut self, at: u64, delta: &Value, event: &mut Event) -> Result<(), Failure> {
        let text = |name: &str| delta.get(name).and_then(Value::as_str).unwrap_or_default();
        match delta.get("type").and_then(Value::as_str).unwrap_or_default() {
            "text_delta" => event.text.push_str(text("text")),
            "input_json_delta" => {
                let piece = text("partial_json");
                self.grow(piece.len())?;
                if let Some(Block::Call { input, .. }) = self.blocks.get_mut(&at) {
                    input.push_str(piece);
                }
            }
            "thinking_delta" => {
                event.reasoning.push_str(text("thinking"));
                self.think(at, "thinking", text("thinking"));
            }
            "signature_delta" => self.think(at, "signature", text("signature")),
            _ => {}
        }
        Ok(())
    }

    fn think(&mut self, at: u64, field: &str, piece: &str) {
        self.thinking_bytes = self.thinking_bytes.saturating_add(piece.len());
        if self.thinking_bytes > MAX_THINKING_BYTES {
            return;
        }
        if let Some(Block::Thinking(block)) = self.blocks.get_mut(&at) {
            match block.entry(field.to_owned()).or_insert_with(|| json!("")) {
                Value::String(text) => text.push_str(piece),
                other => *other = piece.into(),
            }
        }
    }

    fn usage(&mut self, usage: Option<&Value>) {
        let count = |name: &str| usage.and_then(|usage| usage.get(name)).and_then(Value::as_u64);
        if let Some(fresh) = count("input_tokens") {
            // What was read from the cache, or written to it, is input as well.
            let cached =
                count("cache_creation_input_tokens").unwrap_or(0) + count("cache_read_input_tokens").unwrap_or(0);
            self.input_tokens = Some(fresh.saturating_add(cached));
        }
        self.output_tokens = count("output_tokens").or(self.output_tokens);
    }

    fn stopped(&mut self, from: &Value) {
        if let Some(reason) = from.get("stop_reason").and_then(Value::as_str) {
            self.stop = Some(reason.to_owned());
        }
    }
}

impl Parts for Answer {
    fn part(&mut self, name: &str, value: &Value) -> Result<Step, Failure> {
        let kind = value.get("type").and_then(Value::as_str).unwrap_or(name);
        let at = value.get("index").and_then(Value::as_u64).unwrap_or_default();
        let mut event = Event::default();
        match kind {
            "error" => return Err(from_stream(&Said::in_json(value).unwrap_or_default())),
            "message_start" => self.usage(value.pointer("/message/usage")),
            "content_block_start" => {
                self.begin(at, value.get("content_block").unwrap_or(&Value::Null), &mut event)?;
            }
            "content_block_delta" => self.delta(at, value.get("delta").unwrap_or(&Value::Null), &mut event)?,
            "message_delta" => {
                self.usage(value.get("usage"));
                self.stopped(value.get("delta").unwrap_or(&Value::Null));
            }
            "message_stop" => return Ok(Step::End(event)),
            _ => {}
        }
        Ok(Step::Event(event))
    }

    fn whole(&mut self, value: &Value) -> Result<Event, Failure> {
        let Some(blocks) = value.get("content").and_then(Value::as_array) else {
            return Err(no_answer(value, "content"));
        };
        let mut event = Event::default();
        for (at, block) in (0..).zip(blocks) {
            self.begin(at, block, &mut event)?;
        }
        self.usage(value.get("usage"));
        self.stopped(value);
        Ok(event)
    }

    fn is_complete(&self) -> bool {
        self.stop.is_some()
    }

    fn last(&mut self) -> Event {
        let reason = self.stop.take().unwrap_or_default();
        let cut = matches!(reason.as_str(), "max_tokens" | "model_context_window_exceeded" | "refusal");
        let (mut tool_calls, mut thinking, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for block in std::mem::take(&mut self.blocks).into_values() {
            match block {
                Block::Call { mut id, name, input } => {
                    let arguments = if input.trim().is_empty() { "{}".to_owned() } else { input };
                    let is_whole = serde_json::from_str::<Value>(&arguments).is_ok_and(|value| value.is_object());
                    // Half of a call must not run.
                    if name.is_empty() || cut && !is_whole {
                        continue;
                    }
                    if id.is_empty() || seen.contains(&id) {
                        id = invented(&mut self.used);
                    }
                    seen.insert(id.clone());
                    self.used.insert(id.clone());
                    tool_calls.push(ToolCall { id, name, arguments });
                }
                Block::Thinking(block) => thinking.push(Value::Object(block)),
                Block::Other => {}
            }
        }
        let stop = match reason.as_str() {
            "max_tokens" | "model_context_window_exceeded" => "length",
            "refusal" => "filtered",
            _ if !tool_calls.is_empty() => "tool-calls",
            _ => "end",
        };
        let mut extensions = Vec::new();
        // Half of it is worse than none: the service checks its signature.
        if !thinking.is_empty() && self.thinking_bytes <= MAX_THINKING_BYTES {
            extensions.push((THINKING.to_owned(), Value::Array(thinking).to_string()));
        }
        let usage = (self.input_tokens.is_some() || self.output_tokens.is_some()).then(|| Usage {
            input_tokens: self.input_tokens.unwrap_or(0),
            output_tokens: self.output_tokens.unwrap_or(0),
        });
        Event { tool_calls, usage, stop: Some(stop), extensions, ..Event::default() }
    }
}
