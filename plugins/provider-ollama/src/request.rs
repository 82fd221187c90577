//! The body of a request, as Ollama documents `/api/chat`.
//!
//! Invariants: pure; the server is told how much context it needs, because it cuts off in silence what goes over.

use std::collections::HashMap;

use provider_core::host::{Failure, code};
use provider_core::model::{ChatRequest, Message};
use provider_core::tools;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// The extension that holds the thinking of an answer, which goes back with the calls that it led to.
pub const THINKING: &str = "thinking";
/// Tokens of an answer for which room is kept where the request sets no limit.
pub const ROOM: u64 = 4096;
/// The least context that is asked for, tokens; what is asked for doubles from there, so that a conversation that grows does
/// not have its model loaded anew with each turn.
const LEAST: u64 = 8192;
/// Bytes of text that are a token, at the least: of English words there are four, of digits and of most other scripts two.
const BYTES_A_TOKEN: u64 = 2;
/// What a template puts around a message or a tool, tokens.
const AROUND: u64 = 32;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolBody<'a>>,
    options: Map<String, Value>,
    stream: bool,
    /// Newer servers refuse what goes over, instead of cutting it off. Older ones pass it over.
    truncate: bool,
    shift: bool,
}

#[derive(Serialize)]
struct ToolBody<'a> {
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    description: &'a str,
    parameters: &'a RawValue,
}

/// The context that a conversation needs, in tokens: rather too much than too little. With room for the answer.
pub fn needed(request: &ChatRequest) -> u64 {
    let message = |one: &Message| {
        let calls: usize = one.tool_calls.iter().map(|call| call.name.len() + call.arguments.len()).sum();
        let kept: usize = one.extensions.iter().map(|(_, text)| text.len()).sum();
        one.text.len() + calls + kept
    };
    let messages = request.messages.iter().map(message);
    let tools = request.tools.iter().map(|tool| tool.name.len() + tool.description.len() + tool.parameters.len());
    let tokens = |bytes: usize| (bytes as u64).div_ceil(BYTES_A_TOKEN) + AROUND;
    messages.chain(tools).map(tokens).sum::<u64>() + request.max_output_tokens.map_or(ROOM, u64::from)
}

/// The context that is asked for.
///
/// # Errors
/// `too-large` where the model has less than what is needed for sure: at four bytes a token.
pub fn context(request: &ChatRequest, most: Option<u64>) -> Result<u64, Failure> {
    let needed = needed(request);
    let asked = LEAST.max(needed.next_power_of_two());
    let Some(most) = most else { return Ok(asked) };
    if needed / 2 > most {
        return Err(Failure::new(
            code::TOO_LARGE,
            format!(
                "The conversation is longer than the model's limit of {most} tokens. Shorten it, or choose a model with a \
                 larger context."
            ),
        ));
    }
    Ok(asked.min(most))
}

/// Write the body.
///
/// # Errors
/// `invalid`, naming the tool or the message that is at fault.
pub fn body(request: &ChatRequest, setting: &str, context: u64) -> Result<Vec<u8>, Failure> {
    let offered = request.tools.iter().map(|tool| {
        let function =
            Function { name: &tool.name, description: &tool.description, parameters: tools::parameters(tool)? };
        Ok(ToolBody { r#type: "function", function })
    });
    let mut options = Map::from_iter([("num_ctx".to_owned(), context.into())]);
    if let Some(limit) = request.max_output_tokens {
        options.insert("num_predict".into(), limit.max(1).into());
    }
    if let Some(temperature) = request.temperature.filter(|one| one.is_finite()) {
        options.insert("temperature".into(), temperature.into());
    }
    let mut names = HashMap::new();
    let body = Body {
        model: tools::model(request, setting)?,
        messages: request.messages.iter().map(|one| message(one, &mut names)).collect::<Result<_, Failure>>()?,
        tools: offered.collect::<Result<_, Failure>>()?,
        options,
        stream: true,
        truncate: false,
        shift: false,
    };
    serde_json::to_vec(&body)
        .map_err(|error| Failure::new(code::INVALID, format!("The request cannot be written: {error}.")))
}

/// `names` are those of the calls so far, by their ids: a result says the name of what it answers.
fn message<'a>(message: &'a Message, names: &mut HashMap<&'a str, &'a str>) -> Result<Value, Failure> {
    let text = &message.text;
    Ok(match message.role.as_str() {
        "system" => json!({"role": "system", "content": text}),
        "assistant" => {
            names.extend(message.tool_calls.iter().map(|call| (call.id.as_str(), call.name.as_str())));
            let call = |call: &provider_core::model::ToolCall| json!({"function": {"name": call.name, "arguments": tools::arguments(&call.arguments)}});
            let calls: Vec<Value> = message.tool_calls.iter().map(call).collect();
            let mut value = json!({"role": "assistant", "content": text});
            if let (Value::Object(fields), false) = (&mut value, calls.is_empty()) {
                fields.insert("tool_calls".into(), calls.into());
                if let Some((_, thinking)) = message.extensions.iter().find(|(name, _)| name == THINKING) {
                    fields.insert("thinking".into(), thinking.as_str().into());
                }
            }
            value
        }
        "tool" => {
            let name = names.get(tools::answered(message)?).copied().unwrap_or("unknown");
            json!({"role": "tool", "tool_name": name, "content": text})
        }
        _ => json!({"role": "user", "content": text}),
    })
}
