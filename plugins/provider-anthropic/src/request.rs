//! The body of a request, as Anthropic documents Messages.
//!
//! Invariants: pure; the body is valid for every conversation that passes the checks: turns alternate and the first is the
//! user's, no text is empty, and the results of a round of calls stand first in the turn behind it, one for each call.

use provider_core::host::{Failure, code};
use provider_core::model::{ChatRequest, Message};
use provider_core::tools;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Most tokens of an answer where the request sets no limit: the service demands one, and every model that it serves
/// takes this.
pub const MAX_TOKENS: u32 = 8192;
/// The extension that holds the blocks of thinking of an answer, which go back unchanged: a JSON array.
pub const THINKING: &str = "thinking_blocks";
/// Stands where a turn has to be, and there is nothing to say: the service refuses an empty one.
const NOTHING: &str = "(nothing)";

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    system: String,
    messages: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    stream: bool,
}

#[derive(Serialize)]
struct ToolBody<'a> {
    name: &'a str,
    description: &'a str,
    input_schema: &'a RawValue,
}

/// Write the body.
///
/// # Errors
/// `invalid`, naming the tool or the message that is at fault.
pub fn body(request: &ChatRequest, setting: &str, temperature: bool) -> Result<Vec<u8>, Failure> {
    let offered = request.tools.iter().map(|tool| {
        let input_schema = tools::parameters(tool)?;
        Ok(ToolBody { name: &tool.name, description: &tool.description, input_schema })
    });
    let is_system = |message: &&Message| message.role == "system";
    let system: Vec<&str> = request.messages.iter().filter(is_system).map(|one| one.text.as_str()).collect();
    let body = Body {
        model: tools::model(request, setting)?,
        max_tokens: request.max_output_tokens.unwrap_or(MAX_TOKENS).max(1),
        system: system.join("\n\n"),
        messages: turns(request.messages.iter().filter(|one| !is_system(one)))?,
        tools: offered.collect::<Result<_, Failure>>()?,
        // Its scale ends at 1.
        temperature: request.temperature.filter(|one| one.is_finite() && temperature).map(|one| one.clamp(0.0, 1.0)),
        stream: true,
    };
    serde_json::to_vec(&body)
        .map_err(|error| Failure::new(code::INVALID, format!("The request cannot be written: {error}.")))
}

/// A turn that is being put together.
struct Turn {
    role: &'static str,
    blocks: Vec<Value>,
}

fn turns<'a>(messages: impl Iterator<Item = &'a Message>) -> Result<Vec<Value>, Failure> {
    let mut turns: Vec<Turn> = Vec::new();
    for message in messages {
        let (role, blocks) = match message.role.as_str() {
            "assistant" => ("assistant", said(message)),
            "tool" => ("user", vec![result(message)?]),
            _ => ("user", text(&message.text).into_iter().collect()),
        };
        if turns.is_empty() && role == "assistant" {
            turns.push(Turn { role: "user", blocks: Vec::new() });
        }
        match turns.last_mut().filter(|last| last.role == role) {
            Some(last) => last.blocks.extend(blocks),
            None => turns.push(Turn { role, blocks }),
        }
    }
    if turns.is_empty() {
        turns.push(Turn { role: "user", blocks: Vec::new() });
    }
    let last = turns.len() - 1;
    for at in 0..turns.len() {
        let open: Vec<Value> = turns.get(at).map(|turn| ids(turn, "tool_use", "id")).unwrap_or_default();
        let Some(next) = turns.get_mut(at + 1) else { break };
        let answered = ids(next, "tool_result", "tool_use_id");
        // Every call has its result, and results of nothing are none.
        next.blocks
            .retain(|block| block.get("type") != Some(&"tool_result".into()) || open.contains(&block["tool_use_id"]));
        for id in open.into_iter().filter(|id| !answered.contains(id)) {
            next.blocks.push(
                json!({"type": "tool_result", "tool_use_id": id, "content": "It was not called.", "is_error": true}),
            );
        }
        next.blocks.sort_by_key(|block| block.get("type") != Some(&"tool_result".into()));
    }
    if let Some(first) = turns.first_mut() {
        first.blocks.retain(|block| block.get("type") != Some(&"tool_result".into()));
    }
    let filled = turns.into_iter().enumerate().map(|(at, mut turn)| {
        if turn.blocks.is_empty() {
            turn.blocks.extend(text(NOTHING));
        }
        if turn.role == "assistant" && at == last {
            // Text that the service should go on with must not end in white space.
            trim_end(&mut turn.blocks);
        }
        json!({"role": turn.role, "content": turn.blocks})
    });
    Ok(filled.collect())
}

fn ids(turn: &Turn, kind: &str, field: &str) -> Vec<Value> {
    let of = turn.blocks.iter().filter(|block| block.get("type") == Some(&kind.into()));
    of.filter_map(|block| block.get(field).cloned()).collect()
}

fn trim_end(blocks: &mut [Value]) {
    if let Some(Value::String(text)) = blocks.last_mut().and_then(|block| block.get_mut("text")) {
        text.truncate(text.trim_end().len());
    }
}

/// Nothing for a text of white space alone, which the service refuses.
fn text(text: &str) -> Option<Value> {
    (!text.trim().is_empty()).then(|| json!({"type": "text", "text": text}))
}

fn said(message: &Message) -> Vec<Value> {
    let thinking = message.extensions.iter().find(|(name, _)| name == THINKING);
    let mut blocks = match thinking.map(|(_, blocks)| serde_json::from_str(blocks)) {
        Some(Ok(Value::Array(blocks))) => blocks,
        _ => Vec::new(),
    };
    blocks.extend(text(&message.text));
    blocks.extend(message.tool_calls.iter().map(|call| {
        json!({"type": "tool_use", "id": id(&call.id), "name": name(&call.name), "input": tools::arguments(&call.arguments)})
    }));
    blocks
}

fn result(message: &Message) -> Result<Value, Failure> {
    let answers = id(tools::answered(message)?);
    Ok(match text(&message.text) {
        Some(text) => json!({"type": "tool_result", "tool_use_id": answers, "content": [text]}),
        None => json!({"type": "tool_result", "tool_use_id": answers}),
    })
}

/// An id as the service takes it: of another service's, what does not fit is written as its number.
fn id(id: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    id.chars().flat_map(|c| if fits(c) { vec![c] } else { format!("-{:x}-", u32::from(c)).chars().collect() }).collect()
}

fn name(name: &str) -> String {
    let fits = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let name: String = name.chars().filter(fits).take(128).collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}
