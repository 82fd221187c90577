//! What requests of every service have to be, and tool calls on their way back.

use std::collections::HashSet;

use serde_json::{Map, Value, value::RawValue};

use crate::model::{ChatRequest, Message, Tool};
use plugin_core::host::{Failure, code};

/// The model that is asked: the request's, or the setting's.
///
/// # Errors
/// `invalid` where none is named, or where there is nothing to send.
pub fn model<'a>(request: &'a ChatRequest, setting: &'a str) -> Result<&'a str, Failure> {
    let model = if request.model.is_empty() { setting } else { &request.model };
    if model.is_empty() {
        return Err(Failure::new(code::INVALID, "No model is chosen. Name one in the setting model."));
    }
    if request.messages.is_empty() {
        return Err(Failure::new(code::INVALID, "The conversation is empty."));
    }
    Ok(model)
}

/// A tool's schema, byte for byte as it came, because models read its properties in order.
///
/// # Errors
/// `invalid`, naming the tool.
pub fn parameters(tool: &Tool) -> Result<&RawValue, Failure> {
    let invalid = |message: String| Failure::new(code::INVALID, message);
    let name = &tool.name;
    let is_name =
        (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if !is_name {
        return Err(invalid(format!("The tool name {name:?} is not 1 to 64 letters, digits, _ and -.")));
    }
    // Parsed twice: an object for sure, and then as it is.
    let is_object = serde_json::from_str::<Value>(&tool.parameters).is_ok_and(|value| value.is_object());
    match serde_json::from_str::<&RawValue>(&tool.parameters) {
        Ok(parameters) if is_object => Ok(parameters),
        _ => Err(invalid(format!("The parameters of the tool {name} are not a JSON Schema object."))),
    }
}

/// The call that a tool's result answers.
///
/// # Errors
/// `invalid` where it does not say.
pub fn answered(message: &Message) -> Result<&str, Failure> {
    message
        .tool_call_id
        .as_deref()
        .filter(|id| !id.is_empty())
        .ok_or_else(|| Failure::new(code::INVALID, "A tool's result does not say which call it answers."))
}

/// Arguments for the way back, as an object. Services refuse anything else, so what the model wrote wrongly goes back as
/// an object that shows it.
pub fn arguments(text: &str) -> Map<String, Value> {
    if text.trim().is_empty() {
        return Map::new();
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(arguments)) => arguments,
        _ => Map::from_iter([("invalid_arguments".to_owned(), text.into())]),
    }
}

/// The ids of the calls of a conversation so far.
pub fn used_ids(request: &ChatRequest) -> HashSet<String> {
    request.messages.iter().flat_map(|message| &message.tool_calls).map(|call| call.id.clone()).collect()
}

/// An id for a call to which the server gave none, or one that is taken.
pub fn invented(used: &mut HashSet<String>) -> String {
    let free = (1_u64..).map(|number| format!("call_{number}")).find(|id| !used.contains(id)).unwrap_or_default();
    used.insert(free.clone());
    free
}

/// The failure where a model asks for more than is taken.
pub fn too_much(calls: usize, bytes: usize) -> Failure {
    Failure::new(
        code::PROTOCOL,
        format!("The model asked for more than {calls} tool calls or {bytes} bytes of arguments in one answer."),
    )
}

/// Most calls in one answer.
pub const MAX_CALLS: usize = 128;
/// Most bytes of arguments, names and ids in one answer.
pub const MAX_ARGUMENT_BYTES: usize = 1024 * 1024;
