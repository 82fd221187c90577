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
    let server = Server::new(vec![Ok(reply(200, PLAIN))]);
    assert_eq!(run(complete(&server, &server, request)).1, None);
    server.body(0)
}

fn event(value: &Value) -> String {
    format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap_or_default())
}

fn events(values: &[Value]) -> String {
    values.iter().map(event).collect()
}

fn start() -> Value {
    json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "content": [],
        "usage": {"input_tokens": 5, "cache_read_input_tokens": 20, "output_tokens": 1}}})
}

fn end(reason: &str) -> Vec<Value> {
    vec![
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": {"output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ]
}

const PLAIN: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Größe \"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"😀\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":7}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

#[test]
fn a_plain_stream_and_what_was_sent() {
    let server = Server::new(vec![Ok(reply(200, PLAIN))]);
    let mut asked = request();
    asked.messages.insert(0, message("system", "Be brief."));
    asked.temperature = Some(1.5);
    asked.max_output_tokens = Some(50);
    asked.tools = vec![Tool {
        name: "look".into(),
        description: "Looks".into(),
        parameters: r#"{"type":"object","properties":{"z":{},"a":{}}}"#.into(),
    }];
    let (events, failure) = run(complete(&server, &server, &asked));
    assert_eq!((shown(&events).as_str(), failure), ("Größe 😀", None));
    let last = events.last().unwrap();
    assert_eq!((last.stop, last.usage), (Some("end"), Some(Usage { input_tokens: 5, output_tokens: 7 })));
    let seen = server.seen.borrow();
    assert_eq!((seen[0].method, seen[0].url.as_str()), ("POST", "https://m.example/v1/messages"));
    assert!(seen[0].headers.contains(&("x-api-key", HeaderValue::Credential("cred-7".into()))));
    assert!(seen[0].headers.contains(&("anthropic-version", HeaderValue::Text("2023-06-01".into()))));
    let body = String::from_utf8(seen[0].body.clone().unwrap()).unwrap();
    assert!(body.contains(r#"{"z":{},"a":{}}"#), "the order of a schema is kept");
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap(),
        json!({
            "model": "small", "max_tokens": 50, "system": "Be brief.", "temperature": 1.0, "stream": true,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "why?"}]}],
            "tools": [{"name": "look", "description": "Looks", "input_schema": {"type": "object", "properties": {"z": {}, "a": {}}}}],
        })
    );
    assert!(sent(&request())["max_tokens"].as_u64().unwrap() > 1000, "the service demands a limit");
}

#[test]
fn calls_arrive_in_pieces_and_side_by_side() {
    let block = |at: u64, id: &str| json!({"type": "content_block_start", "index": at, "content_block": {"type": "tool_use", "id": id, "name": "look", "input": {}}});
    let piece = |at: u64, text: &str| json!({"type": "content_block_delta", "index": at, "delta": {"type": "input_json_delta", "partial_json": text}});
    let begun = [
        start(),
        block(1, "toolu_1"),
        block(2, "toolu_2"),
        piece(1, ""),
        piece(1, "{\"a\""),
        piece(2, "{"),
        piece(1, ":1}"),
    ];
    let (got, failure) = stream(&events(&[begun.to_vec(), end("tool_use")].concat()));
    assert_eq!(failure, None);
    let last = got.last().unwrap();
    assert_eq!(last.stop, Some("tool-calls"));
    assert_eq!(last.usage, Some(Usage { input_tokens: 25, output_tokens: 9 }), "what the cache held is input too");
    assert_eq!(last.tool_calls, [call("toolu_1", "{\"a\":1}"), call("toolu_2", "{")]);
    // Half of a call must not run.
    let (got, _) = stream(&events(&[begun.to_vec(), end("max_tokens")].concat()));
    assert_eq!(got.last().unwrap().tool_calls, [call("toolu_1", "{\"a\":1}")]);
    assert_eq!(got.last().unwrap().stop, Some("length"));
    // Nothing in pieces is no arguments.
    let (got, _) = stream(&events(&[vec![start(), block(0, "toolu_1")], end("tool_use")].concat()));
    assert_eq!(got.last().unwrap().tool_calls, [call("toolu_1", "{}")]);
}

#[test]
fn thinking_is_shown_and_goes_back_as_it_came() {
    let delta = |delta: Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
    let got = [
        start(),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
        delta(json!({"type": "thinking_delta", "thinking": "hm, "})),
        delta(json!({"type": "thinking_delta", "thinking": "so"})),
        delta(json!({"type": "signature_delta", "signature": "c2ln"})),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "redacted_thinking", "data": "eHg="}}),
        json!({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "t", "name": "look", "input": {}}}),
    ];
    let (got, failure) = stream(&events(&[got.to_vec(), end("tool_use")].concat()));
    assert_eq!(failure, None);
    assert_eq!(got.iter().map(|one| one.reasoning.as_str()).collect::<String>(), "hm, so");
    let last = got.last().unwrap();
    let blocks = json!([{"type": "thinking", "thinking": "hm, so", "signature": "c2ln"}, {"type": "redacted_thinking", "data": "eHg="}]);
    assert_eq!(last.extensions.len(), 1);
    assert_eq!(serde_json::from_str::<Value>(&last.extensions[0].1).unwrap(), blocks);

    let mut asked = request();
    let said = Message {
        tool_calls: last.tool_calls.clone(),
        extensions: last.extensions.clone(),
        ..message("assistant", "")
    };
    asked.messages.extend([said, answer("t", "42")]);
    let turns = sent(&asked)["messages"].clone();
    assert_eq!(
        turns[1]["content"],
        json!([blocks[0], blocks[1], {"type": "tool_use", "id": "t", "name": "look", "input": {}}])
    );
}

#[test]
fn turns_are_as_the_service_takes_them() {
    let said = |calls: Vec<ToolCall>| Message { tool_calls: calls, ..message("assistant", "Looking.") };
    let block = |text: &str| json!({"type": "text", "text": text});
    let of = |messages: Vec<Message>| sent(&ChatRequest { messages, ..ChatRequest::default() })["messages"].clone();
    // The results of all calls stand first in the next turn, and in one.
    let round = of(vec![
        message("user", "why?"),
        said(vec![call("a", "{\"x\":1}"), call("b:2", "oops")]),
        answer("b:2", ""),
        message("user", "and?"),
        answer("a", "42"),
    ]);
    assert_eq!(
        round,
        json!([
            {"role": "user", "content": [block("why?")]},
            {"role": "assistant", "content": [block("Looking."),
                {"type": "tool_use", "id": "a", "name": "look", "input": {"x": 1}},
                {"type": "tool_use", "id": "b-3a-2", "name": "look", "input": {"invalid_arguments": "oops"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "b-3a-2"},
                {"type": "tool_result", "tool_use_id": "a", "content": [block("42")]},
                block("and?")]},
        ])
    );
    // A call without its result, and a result without its call.
    let open =
        of(vec![message("user", "why?"), said(vec![call("a", "{}")]), message("user", "well?"), answer("z", "?")]);
    assert_eq!(open[2]["content"][0]["tool_use_id"], "a");
    assert_eq!(open[2]["content"][0]["is_error"], true);
    assert_eq!(open[2]["content"].as_array().unwrap().len(), 2, "{open}");
    assert_eq!(of(vec![answer("z", "?")])[0]["content"].as_array().unwrap().len(), 1);
    // The first turn is the user's, none is empty, and what the model goes on with ends in a word.
    let odd = of(vec![message("assistant", "I was cut \n"), message("system", "Brief.")]);
    assert_eq!(odd[0]["role"], "user");
    assert_eq!(odd[1], json!({"role": "assistant", "content": [block("I was cut")]}));
    assert_eq!(of(vec![message("user", " \n")])[0]["content"].as_array().unwrap().len(), 1);
}

#[test]
fn ends_and_failures() {
    let hi = |more: Vec<Value>| {
        let text = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "hi"}});
        events(&[vec![start(), text], more].concat())
    };
    for (reason, stop) in [
        ("end_turn", "end"),
        ("stop_sequence", "end"),
        ("pause_turn", "end"),
        ("novel", "end"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "filtered"),
    ] {
        let (got, failure) = stream(&hi(end(reason)));
        assert_eq!((shown(&got).as_str(), got.last().unwrap().stop, failure), ("hi", Some(stop), None), "{reason}");
    }
    // The reason is said, the terminator is missing.
    let (got, failure) = stream(&hi(end("end_turn")[..1].to_vec()));
    assert_eq!((got.last().unwrap().stop, failure), (Some("end"), None));
    let error = |kind: &str| vec![json!({"type": "error", "error": {"type": kind, "message": "said"}})];
    for (more, code) in [
        (Vec::new(), "unavailable"),
        (error("overloaded_error"), "unavailable"),
        (error("api_error"), "unavailable"),
        (error("rate_limit_error"), "rate-limited"),
        (error("authentication_error"), "auth"),
        (error("permission_error"), "forbidden"),
        (error("billing_error"), "quota"),
        (error("timeout_error"), "timeout"),
        (error("request_too_large"), "too-large"),
        (error("invalid_request_error"), "invalid"),
    ] {
        let (got, failure) = stream(&hi(more.clone()));
        assert_eq!(shown(&got), "hi", "what came before is kept");
        assert_eq!(failure.unwrap().code, code, "{more:?}");
    }
    for (status, kind, code) in [
        (400, "invalid_request_error", "invalid"),
        (401, "authentication_error", "auth"),
        (402, "billing_error", "quota"),
        (403, "permission_error", "forbidden"),
        (404, "not_found_error", "not-found"),
        (413, "request_too_large", "too-large"),
        (429, "rate_limit_error", "rate-limited"),
        (500, "api_error", "unavailable"),
        (504, "timeout_error", "timeout"),
        (529, "overloaded_error", "unavailable"),
    ] {
        let body = json!({"type": "error", "error": {"type": kind, "message": "model: x"}, "request_id": "req_1"});
        let mut said = reply(status, &body.to_string());
        said.headers = vec![("retry-after".into(), "3".into()), ("request-id".into(), "req_1".into())];
        let failure = ask(said, &request()).1.unwrap();
        assert_eq!(failure.code, code, "{status}");
        assert_eq!((failure.retry_after_ms, failure.extensions.len()), (Some(3000), 1), "{status}");
    }
    let long = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000 maximum"}});
    assert_eq!(ask(reply(400, &long.to_string()), &request()).1.unwrap().code, "too-large");
}

#[test]
fn an_answer_in_one_piece() {
    let whole = json!({"type": "message", "role": "assistant", "stop_reason": "tool_use",
        "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "hi"},
            {"type": "tool_use", "id": "t", "name": "look", "input": {"a": 1}}],
        "usage": {"input_tokens": 3, "output_tokens": 4}});
    let (got, failure) = stream(&whole.to_string());
    assert_eq!((shown(&got).as_str(), failure), ("hi", None));
    let last = got.last().unwrap();
    assert_eq!((last.stop, &last.tool_calls[..]), (Some("tool-calls"), &[call("t", "{\"a\":1}")][..]));
    for (body, code) in [
        ("{}", "protocol"),
        ("{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}", "unavailable"),
        ("<html><form>Password</form>", "auth"),
        ("", "unavailable"),
    ] {
        assert_eq!(stream(body).1.unwrap().code, code, "{body}");
    }
}

#[test]
fn a_temperature_that_a_model_refuses_is_left_out_once() {
    let refuse = || {
        Ok(reply(
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"`temperature` may only be set to 1 when thinking is enabled."}}"#,
        ))
    };
    let server = Server::new(vec![refuse(), Ok(reply(200, PLAIN))]);
    let asked = ChatRequest { temperature: Some(0.2), ..request() };
    assert_eq!(run(complete(&server, &server, &asked)).1, None);
    assert!(server.body(1).get("temperature").is_none());
    let never = Server::new(vec![refuse(), refuse()]);
    assert_eq!(run(complete(&never, &never, &asked)).1.unwrap().code, "invalid");
}

#[test]
fn models_are_listed() {
    let list = |status: u16, body: &str| {
        let server = Server::new(vec![Ok(reply(status, body))]);
        let models = models(&server, &server);
        assert_eq!(server.seen.borrow()[0].url, "https://m.example/v1/models?limit=1000");
        models
    };
    let body = r#"{"data":[{"type":"model","id":"claude-x","display_name":"Claude X","max_input_tokens":200000},{"id":7}],"has_more":false}"#;
    let want = Model { id: "claude-x".into(), name: "Claude X".into(), context_tokens: Some(200_000) };
    assert_eq!(list(200, body).unwrap(), [want]);
    assert_eq!(list(404, "").unwrap(), []);
    assert_eq!(list(401, "").unwrap_err().code, "auth");
    assert_eq!(list(200, "{}").unwrap_err().code, "protocol");
}

proptest! {
    #[test]
    fn no_cut_matters(size in 1_usize..60, kinds in proptest::collection::vec(0_usize..9, 0..12)) {
        let parts = [
            start(), json!({"type": "ping"}), json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "é"}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "😀"}}),
            json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "look"}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{\"a\":"}}),
            end("end_turn")[0].clone(), end("end_turn")[1].clone(),
        ];
        let body: String = kinds.iter().map(|kind| event(&parts[*kind])).collect();
        prop_assert_eq!(ask(cut(200, &body, size), &request()), stream(&body));
    }

    /// No bytes make it panic, and every stream ends.
    #[test]
    fn any_bytes(text in "\\PC{0,300}", fields in "[a-z_\":{}\\[\\],0-9]{0,200}") {
        for body in [format!("data: {text}\n\n"), format!("data: {{\"type\":\"content_block_delta\",{fields}}}\n\n"), text] {
            let (events, failure) = stream(&body);
            prop_assert!(failure.is_some() || events.last().is_some_and(|event| event.stop.is_some()));
        }
    }

    /// Whatever a conversation holds, its turns alternate, the first is the user's, none is empty, and every call is
    /// answered in the turn behind it.
    #[test]
    fn any_conversation_is_taken(
        messages in proptest::collection::vec((0_usize..4, "[a-z \n]{0,4}", proptest::collection::vec("[a-c:é]", 0..3)), 1..12)
    ) {
        let messages: Vec<Message> = messages.into_iter().map(|(role, text, ids)| Message {
            tool_calls: if role == 1 { ids.iter().map(|id| call(id, "{}")).collect() } else { Vec::new() },
            tool_call_id: (role == 2).then(|| ids.first().cloned().unwrap_or_else(|| "a".into())),
            ..message(["user", "assistant", "tool", "system"][role], &text)
        }).collect();
        let body = sent(&ChatRequest { messages, ..ChatRequest::default() });
        let turns = body["messages"].as_array().unwrap();
        prop_assert_eq!(&turns[0]["role"], "user");
        for pair in turns.windows(2) {
            prop_assert_ne!(&pair[0]["role"], &pair[1]["role"]);
        }
        let mut open: Vec<Value> = Vec::new();
        for turn in turns {
            let blocks = turn["content"].as_array().unwrap();
            prop_assert!(!blocks.is_empty());
            prop_assert!(blocks.iter().all(|block| block["type"] != "text" || !block["text"].as_str().unwrap().trim().is_empty()));
            let results: Vec<Value> = blocks.iter().filter(|block| block["type"] == "tool_result").map(|block| block["tool_use_id"].clone()).collect();
            prop_assert!(blocks.iter().take(results.len()).all(|block| block["type"] == "tool_result"));
            prop_assert!(open.iter().all(|id| results.contains(id)) && results.iter().all(|id| open.contains(id)));
            open = blocks.iter().filter(|block| block["type"] == "tool_use").map(|block| block["id"].clone()).collect();
        }
    }
}
