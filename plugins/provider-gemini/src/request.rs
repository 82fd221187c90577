//! The body of a request, as Google documents `generateContent`.
//!
//! Invariants: pure; the body is valid for every conversation that passes the checks: turns alternate and the first is the
//! user's, none is empty, and the results of a round of calls make up the turn behind it, one for each call, in its order.

use std::collections::HashMap;

use provider_core::host::{Failure, code};
use provider_core::model::{ChatRequest, Message};
use provider_core::tools;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// The extension that holds the signatures of an answer's thoughts, which go back on the parts that they came on.
pub const SIGNATURES: &str = "thought_signatures";
/// Stands where a turn has to be, and there is nothing to say: the service refuses an empty one.
const NOTHING: &str = "(nothing)";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Value>,
    contents: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tools<'a>>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    generation_config: Map<String, Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tools<'a> {
    function_declarations: Vec<Declaration<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Declaration<'a> {
    name: &'a str,
    description: &'a str,
    /// JSON Schema as it is; `parameters` would take the service's own subset of it.
    parameters_json_schema: &'a RawValue,
}

/// Write the body.
///
/// # Errors
/// `invalid`, naming the tool or the message that is at fault.
pub fn body(request: &ChatRequest) -> Result<Vec<u8>, Failure> {
    let offered = request.tools.iter().map(|tool| {
        let parameters_json_schema = tools::parameters(tool)?;
        Ok(Declaration { name: &tool.name, description: &tool.description, parameters_json_schema })
    });
    let function_declarations = offered.collect::<Result<Vec<_>, Failure>>()?;
    let is_system = |message: &&Message| message.role == "system";
    let system: Vec<&str> = request.messages.iter().filter(is_system).map(|one| one.text.as_str()).collect();
    let system = system.join("\n\n");
    let mut generation_config = Map::new();
    if let Some(limit) = request.max_output_tokens {
        generation_config.insert("maxOutputTokens".into(), limit.max(1).into());
    }
    if let Some(temperature) = request.temperature.filter(|one| one.is_finite()) {
        generation_config.insert("temperature".into(), temperature.clamp(0.0, 2.0).into());
    }
    let body = Body {
        system_instruction: (!system.trim().is_empty()).then(|| json!({"parts": [{"text": system}]})),
        contents: contents(request.messages.iter().filter(|one| !is_system(one)))?,
        tools: if function_declarations.is_empty() { Vec::new() } else { vec![Tools { function_declarations }] },
        generation_config,
    };
    serde_json::to_vec(&body)
        .map_err(|error| Failure::new(code::INVALID, format!("The request cannot be written: {error}.")))
}

/// What stands under [`SIGNATURES`], as JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Signatures {
    /// Of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Of each call, in their order: others may have renamed them.
    #[serde(default)]
    pub calls: Vec<Option<String>>,
}

#[derive(Default)]
struct Turn {
    is_model: bool,
    parts: Vec<Value>,
    /// Ids and names of the calls, in order.
    calls: Vec<(String, String)>,
}

fn contents<'a>(messages: impl Iterator<Item = &'a Message>) -> Result<Vec<Value>, Failure> {
    let messages: Vec<&Message> = messages.collect();
    let mut results: HashMap<&str, &Message> = HashMap::new();
    for message in messages.iter().filter(|one| one.role == "tool") {
        results.insert(tools::answered(message)?, message);
    }
    let mut turns: Vec<Turn> = Vec::new();
    for message in messages {
        let mut turn = match message.role.as_str() {
            "assistant" => said(message),
            // With the calls that they answer.
            "tool" => continue,
            _ => Turn { parts: text(&message.text), ..Turn::default() },
        };
        if turns.is_empty() && turn.is_model {
            turns.push(Turn::default());
        }
        // What follows calls are their results, whatever is said there besides.
        match turns.last_mut().filter(|last| last.is_model == turn.is_model && last.calls.is_empty()) {
            Some(last) => {
                last.parts.append(&mut turn.parts);
                last.calls.append(&mut turn.calls);
            }
            None => turns.push(turn),
        }
        let Some(calls) = turns.last().map(|last| last.calls.clone()).filter(|calls| !calls.is_empty()) else {
            continue;
        };
        let answers = calls.iter().map(|(id, name)| {
            let text = results.get(id.as_str()).map_or("It was not called.", |result| result.text.as_str());
            json!({"functionResponse": {"id": id, "name": name, "response": response(text)}})
        });
        turns.push(Turn { parts: answers.collect(), ..Turn::default() });
    }
    if turns.is_empty() {
        turns.push(Turn::default());
    }
    let filled = turns.into_iter().map(|turn| {
        let parts = if turn.parts.is_empty() { text(NOTHING) } else { turn.parts };
        json!({"role": if turn.is_model { "model" } else { "user" }, "parts": parts})
    });
    Ok(filled.collect())
}

/// A result is an object: one goes as it is, and anything else in one.
fn response(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Value::Object(object),
        _ => json!({"result": text}),
    }
}

fn text(text: &str) -> Vec<Value> {
    if text.trim().is_empty() { Vec::new() } else { vec![json!({"text": text})] }
}

fn said(message: &Message) -> Turn {
    let signatures = message.extensions.iter().find(|(name, _)| name == SIGNATURES);
    let signatures: Signatures = signatures.and_then(|(_, text)| serde_json::from_str(text).ok()).unwrap_or_default();
    let signed = |mut part: Value, signature: Option<&String>| {
        if let (Value::Object(fields), Some(signature)) = (&mut part, signature) {
            fields.insert("thoughtSignature".into(), signature.as_str().into());
        }
        part
    };
    let text = text(&message.text).into_iter();
    let mut parts: Vec<Value> = text.map(|part| signed(part, signatures.text.as_ref())).collect();
    let mut calls = Vec::with_capacity(message.tool_calls.len());
    for (at, call) in message.tool_calls.iter().enumerate() {
        let part = json!({"functionCall": {
            "id": call.id, "name": call.name, "args": tools::arguments(&call.arguments),
        }});
        parts.push(signed(part, signatures.calls.get(at).and_then(Option::as_ref)));
        calls.push((call.id.clone(), call.name.clone()));
    }
    Turn { is_model: true, parts, calls }
}
