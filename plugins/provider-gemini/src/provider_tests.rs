//! Whole calls against a server in memory: tables of byte streams, and the property that no cut of a stream matters.

use super::*;
use proptest::prelude::*;
use provider_core::model::{Event, Message, Tool, ToolCall, Usage};
use provider_core::testing::{Reply, Server, cut, reply, run, shown};
use serde_json::json;

fn message(role: &str, text: &str) -> Message {
    Message { role: role.into(), text: text.into(), ..Message::default() }
}

fn call(id: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.into(), name: "look".into(), arguments: arguments.into() }
}

fn answer(id: &str, text: &str) -> Message {
    Message { tool_call_id: Some(id.into()), ..message("tool", text) }
}

fn request() -> ChatRequest {
    ChatRequest { messages: vec![message("user", "why?")], ..ChatRequest::default() }
}

fn ask(reply: Reply, request: &ChatRequest) -> (Vec<Event>, Option<Failure>) {
    let server = Server::new(vec![Ok(reply)]);
    run(complete(&server, &server, request))
}

fn stream(body: &str) -> (Vec<Event>, Option<Failure>) {
    ask(reply(200, body), &request())
}

/// What is sent for a conversation.
fn sent(request: &ChatRequest) -> Value {
    let server = Server::new(vec![Ok(reply(200, &chunks(&[part(json!({"text": "hi"}), Some("STOP"))])))]);
    assert_eq!(run(complete(&server, &server, request)).1, None);
    server.body(0)
}

fn part(part: Value, finish: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": [part]}, "index": 0});
    if let Some(finish) = finish {
        candidate["finishReason"] = finish.into();
    }
    json!({"candidates": [candidate], "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5}})
}

fn chunks(values: &[Value]) -> String {
    values.iter().map(|value| format!("data: {value}\r\n\r\n")).collect()
}

#[test]
fn a_plain_stream_and_what_was_sent() {
    let last = json!({"candidates": [{"content": {"parts": [{"text": "😀"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "thoughtsTokenCount": 30, "totalTokenCount": 37}});
    let server = Server::new(vec![Ok(reply(200, &chunks(&[part(json!({"text": "Größe "}), None), last])))]);
    let mut asked = request();
    asked.messages.insert(0, message("system", "Be brief."));
    asked.temperature = Some(0.5);
    asked.max_output_tokens = Some(50);
    asked.tools = vec![Tool {
        name: "look".into(),
        description: "Looks".into(),
        parameters: r#"{"type":"object","properties":{"z":{},"a":{}},"additionalProperties":false}"#.into(),
    }];
    let (events, failure) = run(complete(&server, &server, &asked));
    assert_eq!((shown(&events).as_str(), failure), ("Größe 😀", None));
    let last = events.last().unwrap();
    assert_eq!((last.stop, last.usage), (Some("end"), Some(Usage { input_tokens: 5, output_tokens: 32 })));
    let seen = server.seen.borrow();
    let url = "https://m.example/v1/models/small:streamGenerateContent?alt=sse";
    assert_eq!((seen[0].method, seen[0].url.as_str()), ("POST", url));
    assert!(seen[0].headers.contains(&("x-goog-api-key", HeaderValue::Credential("cred-7".into()))));
    let body = String::from_utf8(seen[0].body.clone().unwrap()).unwrap();
    assert!(body.contains(r#"{"z":{},"a":{}}"#), "the order of a schema is kept");
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap(),
        json!({
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [{"role": "user", "parts": [{"text": "why?"}]}],
            "tools": [{"functionDeclarations": [{"name": "look", "description": "Looks", "parametersJsonSchema":
                {"type": "object", "properties": {"z": {}, "a": {}}, "additionalProperties": false}}]}],
            "generationConfig": {"maxOutputTokens": 50, "temperature": 0.5},
        })
    );
}

#[test]
fn calls_and_their_signatures_go_round() {
    let called = |id: Option<&str>, sign: Option<&str>| {
        let mut part = json!({"functionCall": {"name": "look", "args": {"a": 1}}});
        if let Some(id) = id {
            part["functionCall"]["id"] = id.into();
        }
        if let Some(sign) = sign {
            part["thoughtSignature"] = sign.into();
        }
        part
    };
    let (got, failure) = stream(&chunks(&[
        part(json!({"text": "hm", "thought": true}), None),
        part(json!({"text": "Looking.", "thoughtSignature": "dA=="}), None),
        part(called(Some("x"), Some("c2ln")), None),
        part(called(None, None), Some("STOP")),
    ]));
    assert_eq!(failure, None);
    assert_eq!(got.iter().map(|one| one.reasoning.as_str()).collect::<String>(), "hm");
    let last = got.last().unwrap();
    assert_eq!(last.stop, Some("tool-calls"), "the service says STOP");
    let ids: Vec<&str> = last.tool_calls.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["x", "call_1"]);

    let said = Message {
        tool_calls: last.tool_calls.clone(),
        extensions: last.extensions.clone(),
        ..message("assistant", &shown(&got))
    };
    let messages = vec![
        message("user", "why?"),
        said,
        answer("call_1", "{\"n\":1}"),
        answer("x", "words"),
        message("user", "and?"),
    ];
    let turns = sent(&ChatRequest { messages, ..ChatRequest::default() })["contents"].clone();
    assert_eq!(
        turns,
        json!([
            {"role": "user", "parts": [{"text": "why?"}]},
            {"role": "model", "parts": [{"text": "Looking.", "thoughtSignature": "dA=="},
                {"functionCall": {"id": "x", "name": "look", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
                {"functionCall": {"id": "call_1", "name": "look", "args": {"a": 1}}}]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "x", "name": "look", "response": {"result": "words"}}},
                {"functionResponse": {"id": "call_1", "name": "look", "response": {"n": 1}}},
                {"text": "and?"}]},
        ])
    );
}

#[test]
fn ends_and_failures() {
    for (reason, stop) in [
        ("STOP", "end"),
        ("FUNCTION_CALL", "end"),
        ("NOVEL", "end"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "filtered"),
        ("PROHIBITED_CONTENT", "filtered"),
    ] {
        let (got, failure) = stream(&chunks(&[part(json!({"text": "hi"}), Some(reason))]));
        assert_eq!((shown(&got).as_str(), got.last().unwrap().stop, failure), ("hi", Some(stop), None), "{reason}");
    }
    let hi = part(json!({"text": "hi"}), None);
    for (more, code) in [
        (Vec::new(), "unavailable"),
        (vec![json!({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}})], "unavailable"),
        (vec![json!({"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED"}})], "rate-limited"),
        (vec![json!({"promptFeedback": {"blockReason": "SAFETY"}})], "invalid"),
    ] {
        let (got, failure) = stream(&chunks(&[vec![hi.clone()], more.clone()].concat()));
        assert_eq!((shown(&got).as_str(), failure.unwrap().code.as_ref()), ("hi", code), "{more:?}");
    }
    let quota = "You exceeded your current quota, please check your plan and billing details.";
    let retry = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "13s"}]);
    for (status, error, code, wait) in [
        (
            400,
            json!({"message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}),
            "auth",
            None,
        ),
        (400, json!({"message": "Invalid value at 'contents'", "status": "INVALID_ARGUMENT"}), "invalid", None),
        (
            400,
            json!({"message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."}),
            "too-large",
            None,
        ),
        (403, json!({"message": "no", "status": "PERMISSION_DENIED"}), "forbidden", None),
        (
            404,
            json!({"message": "models/x is not found for API version v1beta", "status": "NOT_FOUND"}),
            "not-found",
            None,
        ),
        (
            429,
            json!({"message": quota, "status": "RESOURCE_EXHAUSTED", "details": retry}),
            "rate-limited",
            Some(13_000),
        ),
        (429, json!({"message": quota, "status": "RESOURCE_EXHAUSTED"}), "quota", None),
        (500, json!({"message": "internal", "status": "INTERNAL"}), "unavailable", None),
        (504, json!({"message": "late", "status": "DEADLINE_EXCEEDED"}), "timeout", None),
    ] {
        let mut error = error;
        error["code"] = status.into();
        let failure = ask(reply(status, &json!({"error": error}).to_string()), &request()).1.unwrap();
        assert_eq!((failure.code.as_ref(), failure.retry_after_ms), (code, wait), "{error}");
    }
}

#[test]
fn an_answer_in_one_piece() {
    let whole = part(json!({"text": "hi"}), Some("STOP"));
    for body in [whole.to_string(), json!([whole]).to_string()] {
        let (got, failure) = stream(&body);
        assert_eq!((shown(&got).as_str(), got.last().unwrap().stop, failure), ("hi", Some("end"), None), "{body}");
    }
    for (body, code) in
        [("{}", "protocol"), ("[{\"error\":{\"code\":503,\"message\":\"x\"}}]", "unavailable"), ("", "unavailable")]
    {
        assert_eq!(stream(body).1.unwrap().code, code, "{body}");
    }
}

#[test]
fn names_of_models_lead_nowhere_else() {
    for (name, path) in [
        ("models/gemini-x", "models/gemini-x"),
        ("tunedModels/t", "tunedModels/t"),
        ("gemini-2.5-pro", "models/gemini-2.5-pro"),
    ] {
        let server = Server::new(vec![Ok(reply(200, ""))]);
        run(complete(&server, &server, &ChatRequest { model: name.into(), ..request() }));
        assert_eq!(server.seen.borrow()[0].url, format!("https://m.example/v1/{path}:streamGenerateContent?alt=sse"));
    }
    for name in ["../x", "a?b", "a#b", "/x", "a b", "models/é"] {
        let server = Server::new(Vec::new());
        let failure = run(complete(&server, &server, &ChatRequest { model: name.into(), ..request() })).1.unwrap();
        assert_eq!(failure.code, "invalid", "{name}");
    }
}

#[test]
fn models_are_listed() {
    let list = |status: u16, body: &str| {
        let server = Server::new(vec![Ok(reply(status, body))]);
        models(&server, &server)
    };
    let body = r#"{"models":[{"name":"models/gemini-x","displayName":"Gemini X","inputTokenLimit":1048576,"supportedGenerationMethods":["generateContent"]},
        {"name":"models/embed","supportedGenerationMethods":["embedContent"]},{"displayName":"none"}]}"#;
    let want = Model { id: "gemini-x".into(), name: "Gemini X".into(), context_tokens: Some(1_048_576) };
    assert_eq!(list(200, body).unwrap(), [want]);
    assert_eq!(list(404, "").unwrap(), []);
    assert_eq!(list(200, "{}").unwrap_err().code, "protocol");
}

proptest! {
    #[test]
    fn no_cut_matters(size in 1_usize..60, kinds in proptest::collection::vec(0_usize..5, 0..8)) {
        let parts = [
            part(json!({"text": "é😀"}), None), part(json!({"functionCall": {"name": "f"}}), None),
            part(json!({"text": "t", "thought": true}), None), part(json!({}), Some("STOP")), json!({"error": {"code": 500}}),
        ];
        let body = chunks(&kinds.iter().map(|kind| parts[*kind].clone()).collect::<Vec<_>>());
        prop_assert_eq!(ask(cut(200, &body, size), &request()), stream(&body));
    }

    /// Whatever a conversation holds, its turns alternate, the first is the user's, none is empty, and every call is
    /// answered in the turn behind it.
    #[test]
    fn any_conversation_is_taken(
        messages in proptest::collection::vec((0_usize..4, "[a-z \n]{0,4}", proptest::collection::vec("[a-c]", 0..3)), 1..12)
    ) {
        let messages: Vec<Message> = messages.into_iter().map(|(role, text, ids)| Message {
            tool_calls: if role == 1 { ids.iter().map(|id| call(id, "{}")).collect() } else { Vec::new() },
            tool_call_id: (role == 2).then(|| ids.first().cloned().unwrap_or_else(|| "a".into())),
            ..message(["user", "assistant", "tool", "system"][role], &text)
        }).collect();
        let body = sent(&ChatRequest { messages, ..ChatRequest::default() });
        let turns = body["contents"].as_array().unwrap();
        prop_assert_eq!(&turns[0]["role"], "user");
        for pair in turns.windows(2) {
            prop_assert_ne!(&pair[0]["role"], &pair[1]["role"]);
        }
        let ids = |turn: &Value, kind: &str| -> Vec<Value> {
            turn["parts"].as_array().unwrap().iter().filter_map(|part| part.get(kind)?.get("id").cloned()).collect()
        };
        for (at, turn) in turns.iter().enumerate() {
            prop_assert!(!turn["parts"].as_array().unwrap().is_empty());
            let calls = ids(turn, "functionCall");
            let answers = turns.get(at + 1).map(|next| ids(next, "functionResponse")).unwrap_or_default();
            prop_assert_eq!(calls, answers);
        }
    }
}
