//! The body of a request, as OpenAI documents Responses.
//!
//! Invariants: pure; nothing is stored at the service, so that the whole conversation goes along each time; the items of an
//! answer go back in the order in which they came.

use provider_core::host::{Failure, code};
use provider_core::model::{ChatRequest, Message, ToolCall};
use provider_core::tools;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::request::Dialect;

/// The extension that holds the items of an answer, which go back in their order: a JSON array with the thoughts as they
/// came, sealed, and in the place of what stands in the message itself [`MESSAGE`] or [`CALL`] with its number.
pub const ITEMS: &str = "responses_items";
/// See [`ITEMS`].
pub const MESSAGE: &str = "message";
/// See [`ITEMS`].
pub const CALL: &str = "call";

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    instructions: String,
    input: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    include: &'static [&'static str],
    store: bool,
    stream: bool,
}

#[derive(Serialize)]
struct ToolBody<'a> {
    r#type: &'static str,
    name: &'a str,
    description: &'a str,
    parameters: &'a RawValue,
    strict: bool,
}

/// Write the body.
///
/// # Errors
/// `invalid`, naming the tool or the message that is at fault.
pub fn body(request: &ChatRequest, setting: &str, dialect: Dialect) -> Result<Vec<u8>, Failure> {
    let offered = request.tools.iter().map(|tool| {
        let parameters = tools::parameters(tool)?;
        // A strict schema is a dialect of its own, in which most tools are not written.
        Ok(ToolBody { r#type: "function", name: &tool.name, description: &tool.description, parameters, strict: false })
    });
    let is_system = |message: &&Message| message.role == "system";
    let system: Vec<&str> = request.messages.iter().filter(is_system).map(|one| one.text.as_str()).collect();
    let mut input = Vec::new();
    for message in request.messages.iter().filter(|one| !is_system(one)) {
        items(message, &mut input)?;
    }
    let body = Body {
        model: tools::model(request, setting)?,
        instructions: system.join("\n\n"),
        input,
        tools: offered.collect::<Result<_, Failure>>()?,
        // The least that the service takes.
        max_output_tokens: request.max_output_tokens.map(|limit| limit.max(16)),
        temperature: request.temperature.filter(|t| t.is_finite() && !dialect.no_temperature),
        include: if dialect.no_include { &[] } else { &["reasoning.encrypted_content"] },
        store: false,
        stream: true,
    };
    serde_json::to_vec(&body)
        .map_err(|error| Failure::new(code::INVALID, format!("The request cannot be written: {error}.")))
}

fn items(message: &Message, input: &mut Vec<Value>) -> Result<(), Failure> {
    match message.role.as_str() {
        "assistant" => said(message, input),
        "tool" => input.push(json!({
            "type": "function_call_output", "call_id": tools::answered(message)?, "output": message.text,
        })),
        _ => input.push(json!({"role": "user", "content": message.text})),
    }
    Ok(())
}

fn said(message: &Message, input: &mut Vec<Value>) {
    let text = || json!({"role": "assistant", "content": message.text});
    let call = |call: &ToolCall| {
        let arguments = match serde_json::from_str::<Map<String, Value>>(&call.arguments) {
            Ok(_) => call.arguments.clone(),
            Err(_) => Value::Object(tools::arguments(&call.arguments)).to_string(),
        };
        json!({"type": "function_call", "call_id": call.id, "name": call.name, "arguments": arguments})
    };
    let known = message.extensions.iter().find(|(name, _)| name == ITEMS);
    if let Some(Ok(Value::Array(known))) = known.map(|(_, items)| serde_json::from_str(items))
        && let Some(items) = in_order(known, message, text, call)
    {
        input.extend(items);
        return;
    }
    if !message.text.is_empty() {
        input.push(text());
    }
    input.extend(message.tool_calls.iter().map(call));
}

/// The items as they came; nothing where they are not those of this message.
fn in_order(
    known: Vec<Value>,
    message: &Message,
    text: impl Fn() -> Value,
    call: impl Fn(&ToolCall) -> Value,
) -> Option<Vec<Value>> {
    let (mut items, mut texts, mut calls) = (Vec::with_capacity(known.len()), 0, 0);
    for item in known {
        match item.get("type").and_then(Value::as_str)? {
            "reasoning" => items.push(item),
            // One text is all that is kept of several.
            MESSAGE if texts == 0 && !message.text.is_empty() => {
                texts += 1;
                items.push(text());
            }
            MESSAGE => {}
            CALL => {
                items.push(call(message.tool_calls.get(calls)?));
                calls += 1;
            }
            _ => return None,
        }
    }
    (calls == message.tool_calls.len() && (texts == 1 || message.text.is_empty())).then_some(items)
}
