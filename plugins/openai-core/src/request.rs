//! The body of a request, as OpenAI documents Chat Completions, in the form that compatible servers take too.
//!
//! Invariant: pure; the body is valid JSON for every conversation that passes the checks. Schemas go out byte for byte
//! as they came, because models read their properties in order.

use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use provider_core::host::{Failure, code};
use provider_core::model::{ChatRequest, Message, REASONING_DETAILS, REASONING_TEXT_FIELDS, ToolCall};
use provider_core::tools;

/// What a server has refused by name, so that it is left out or renamed. See [`crate::provider`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    /// `max_tokens` instead of `max_completion_tokens`.
    pub old_max_tokens: bool,
    /// No `stream_options`.
    pub no_stream_options: bool,
    /// No `temperature`: reasoning models take their default only.
    pub no_temperature: bool,
    /// No sealed thoughts (Responses): models that do not think have none.
    pub no_include: bool,
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<Value>,
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

/// Write the body.
///
/// # Errors
/// `invalid`, naming the tool or the message that is at fault.
pub fn body(request: &ChatRequest, model: &str, dialect: Dialect) -> Result<Vec<u8>, Failure> {
    let model = tools::model(request, model)?;
    let offered = request.tools.iter().map(|tool| {
        let parameters = tools::parameters(tool)?;
        let function = Function { name: &tool.name, description: &tool.description, parameters };
        Ok(ToolBody { r#type: "function", function })
    });
    let tools = offered.collect::<Result<Vec<_>, Failure>>()?;
    let limit = request.max_output_tokens;
    let body = Body {
        model,
        messages: request.messages.iter().map(message).collect::<Result<_, Failure>>()?,
        tools,
        max_completion_tokens: limit.filter(|_| !dialect.old_max_tokens),
        max_tokens: limit.filter(|_| dialect.old_max_tokens),
        temperature: request.temperature.filter(|t| t.is_finite() && !dialect.no_temperature),
        stream: true,
        stream_options: (!dialect.no_stream_options).then(|| json!({ "include_usage": true })),
    };
    serde_json::to_vec(&body)
        .map_err(|error| Failure::new(code::INVALID, format!("The request cannot be written: {error}.")))
}

fn message(message: &Message) -> Result<Value, Failure> {
    let text = &message.text;
    Ok(match message.role.as_str() {
        "system" => json!({ "role": "system", "content": text }),
        "assistant" => {
            let mut value = if message.tool_calls.is_empty() {
                json!({ "role": "assistant", "content": text })
            } else {
                let calls: Vec<_> = message.tool_calls.iter().map(call).collect();
                // A turn of calls alone has no content, which is not the same as an empty one to some templates.
                let content = (!text.is_empty()).then_some(text);
                json!({ "role": "assistant", "content": content, "tool_calls": calls })
            };
            reasoning(message, &mut value);
            value
        }
        "tool" => {
            let id = tools::answered(message)?;
            json!({ "role": "tool", "tool_call_id": id, "content": text })
        }
        _ => json!({ "role": "user", "content": text }),
    })
}

fn call(call: &ToolCall) -> Value {
    json!({
        "id": call.id,
        "type": "function",
        "function": { "name": call.name, "arguments": arguments(&call.arguments) },
    })
}

/// Servers that apply a chat template parse them and fail with 500 on anything but an object. One that is an object goes
/// back as it was written.
fn arguments(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(_)) => text.to_owned(),
        _ => Value::Object(tools::arguments(text)).to_string(),
    }
}

fn reasoning(message: &Message, value: &mut Value) {
    let Some(object) = value.as_object_mut() else {
        return;
    };
    for (name, text) in &message.extensions {
        // Servers that show reasoning as text want it back with the calls that it led to, and some refuse it elsewhere.
        if REASONING_TEXT_FIELDS.contains(&name.as_str()) && !message.tool_calls.is_empty() {
            object.insert(name.clone(), Value::String(text.clone()));
        } else if name == REASONING_DETAILS
            && let Ok(details @ Value::Array(_)) = serde_json::from_str(text)
        {
            object.insert(name.clone(), details);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use provider_core::model::Tool;

    fn parsed(request: &ChatRequest, dialect: Dialect) -> Value {
        serde_json::from_slice(&body(request, "m", dialect).unwrap()).unwrap()
    }

    fn user(text: &str) -> Message {
        Message { role: "user".into(), text: text.into(), ..Message::default() }
    }

    #[test]
    fn a_whole_round_of_tools() {
        let call = ToolCall { id: "c1".into(), name: "f".into(), arguments: "{\"a\":1}".into() };
        let odd = ToolCall { id: "c2".into(), name: "f".into(), arguments: "not json".into() };
        let request = ChatRequest {
            messages: vec![
                Message { role: "system".into(), text: "be brief".into(), ..Message::default() },
                Message { role: "alien".into(), text: "hi".into(), ..Message::default() },
                Message {
                    role: "assistant".into(),
                    tool_calls: vec![call, odd],
                    extensions: vec![
                        ("reasoning_content".into(), "hm".into()),
                        ("reasoning_details".into(), "[{\"type\":\"x\"}]".into()),
                        ("other".into(), "ignored".into()),
                    ],
                    ..Message::default()
                },
                Message {
                    role: "tool".into(),
                    text: "42".into(),
                    tool_call_id: Some("c1".into()),
                    ..Message::default()
                },
            ],
            tools: vec![Tool {
                name: "f".into(),
                description: "d".into(),
                parameters: "{\"type\":\"object\",\"properties\":{\"z\":{},\"a\":{}}}".into(),
            }],
            max_output_tokens: Some(9),
            temperature: Some(0.5),
            ..ChatRequest::default()
        };
        assert_eq!(
            parsed(&request, Dialect::default()),
            json!({
                "model": "m", "stream": true, "stream_options": {"include_usage": true},
                "max_completion_tokens": 9, "temperature": 0.5,
                "tools": [{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"z":{},"a":{}}}}}],
                "messages": [
                    {"role":"system","content":"be brief"},
                    {"role":"user","content":"hi"},
                    {"role":"assistant","content":null,"reasoning_content":"hm","reasoning_details":[{"type":"x"}],"tool_calls":[
                        {"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},
                        {"id":"c2","type":"function","function":{"name":"f","arguments":"{\"invalid_arguments\":\"not json\"}"}}]},
                    {"role":"tool","tool_call_id":"c1","content":"42"},
                ],
            })
        );
        let bytes = body(&request, "m", Dialect::default()).unwrap();
        assert!(String::from_utf8(bytes).unwrap().contains(r#"{"z":{},"a":{}}"#), "order is kept");
        let old = Dialect { old_max_tokens: true, no_stream_options: true, no_temperature: true, no_include: false };
        let value = parsed(&request, old);
        assert_eq!(value["max_tokens"], 9);
        for gone in ["max_completion_tokens", "stream_options", "temperature"] {
            assert!(value.get(gone).is_none(), "{gone}");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_named() {
        let ok = ChatRequest { messages: vec![user("x")], ..ChatRequest::default() };
        let tool = |name: &str, parameters: &str| ChatRequest {
            tools: vec![Tool { name: name.into(), description: String::new(), parameters: parameters.into() }],
            ..ok.clone()
        };
        let orphan = ChatRequest {
            messages: vec![Message { role: "tool".into(), ..Message::default() }],
            ..ChatRequest::default()
        };
        for (request, model, word) in [
            (&ok, "", "No model"),
            (&ChatRequest::default(), "m", "empty"),
            (&tool("a b", "{}"), "m", "tool name"),
            (&tool("a", "[]"), "m", "JSON Schema"),
            (&tool("a", "{"), "m", "JSON Schema"),
            (&orphan, "m", "which call"),
        ] {
            let failure = body(request, model, Dialect::default()).unwrap_err();
            assert_eq!(failure.code, "invalid");
            assert!(failure.message.contains(word), "{}", failure.message);
        }
    }

    proptest! {
        #[test]
        fn texts_arrive_as_they_are(text in any::<String>(), arguments in any::<String>()) {
            let mut assistant = user(&text);
            assistant.role = "assistant".into();
            assistant.tool_calls = vec![ToolCall { id: text.clone(), name: text.clone(), arguments }];
            let request = ChatRequest { messages: vec![user(&text), assistant], ..ChatRequest::default() };
            let value = parsed(&request, Dialect::default());
            prop_assert_eq!(value["messages"][0]["content"].as_str(), Some(text.as_str()));
            let sent = value["messages"][1]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
            prop_assert!(serde_json::from_str::<Value>(sent).unwrap().is_object());
        }
    }
}
