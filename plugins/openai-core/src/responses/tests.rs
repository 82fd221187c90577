//! Whole calls of Responses against a server in memory.

use super::*;
use proptest::prelude::*;
use provider_core::model::{Event, Message, Tool, ToolCall, Usage};
use provider_core::testing::{Reply, Server, cut, reply, run, shown};
use serde_json::json;

fn complete(http: &dyn Http, config: &dyn Config, request: &ChatRequest) -> Result<Completion, Failure> {
    super::complete(http, config, request, &OPENAI)
}

fn message(role: &str, text: &str) -> Message {
    Message { role: role.into(), text: text.into(), ..Message::default() }
}

fn call(id: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.into(), name: "look".into(), arguments: arguments.into() }
}

fn request() -> ChatRequest {
    ChatRequest { messages: vec![message("user", "why?")], ..ChatRequest::default() }
}

fn server(replies: Vec<Reply>) -> Server {
    let mut server = Server::new(replies.into_iter().map(Ok).collect());
    server.settings = vec![("api", "responses")];
    server
}

fn ask(answer: Reply) -> (Vec<Event>, Option<Failure>) {
    let server = server(vec![answer]);
    run(complete(&server, &server, &request()))
}

fn stream(values: &[Value]) -> (Vec<Event>, Option<Failure>) {
    ask(reply(200, &events(values)))
}

fn events(values: &[Value]) -> String {
    let one = |(at, value): (usize, &Value)| {
        let mut value = value.clone();
        value["sequence_number"] = at.into();
        format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap_or_default())
    };
    values.iter().enumerate().map(one).collect()
}

fn delta(text: &str) -> Value {
    json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": text})
}

fn done(item: Value) -> Value {
    json!({"type": "response.output_item.done", "output_index": 0, "item": item})
}

fn said(text: &str) -> Value {
    json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}]})
}

fn called(id: &str, arguments: &str) -> Value {
    json!({"type": "function_call", "id": format!("fc_{id}"), "call_id": id, "name": "look", "arguments": arguments, "status": "completed"})
}

fn thought(id: &str) -> Value {
    json!({"type": "reasoning", "id": id, "summary": [], "encrypted_content": format!("sealed-{id}")})
}

fn completed() -> Value {
    json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "error": null, "output": [],
        "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}}})
}

#[test]
fn a_plain_stream_and_what_was_sent() {
    let body = events(&[
        json!({"type": "response.created", "response": {"status": "in_progress"}}),
        delta("Größe "),
        delta("😀"),
        done(said("Größe 😀")),
        completed(),
        delta("behind the end"),
    ]);
    let server = server(vec![reply(200, &body)]);
    let mut asked = request();
    asked.messages.insert(0, message("system", "Be brief."));
    asked.temperature = Some(0.5);
    asked.max_output_tokens = Some(5);
    asked.tools = vec![Tool {
        name: "look".into(),
        description: "Looks".into(),
        parameters: r#"{"type":"object","properties":{"z":{},"a":{}}}"#.into(),
    }];
    let (got, failure) = run(complete(&server, &server, &asked));
    assert_eq!((shown(&got).as_str(), failure), ("Größe 😀", None));
    let last = got.last().unwrap();
    assert_eq!((last.stop, last.usage), (Some("end"), Some(Usage { input_tokens: 5, output_tokens: 2 })));
    let seen = server.seen.borrow();
    assert_eq!((seen[0].method, seen[0].url.as_str()), ("POST", "https://m.example/v1/responses"));
    let body = String::from_utf8(seen[0].body.clone().unwrap()).unwrap();
    assert!(body.contains(r#"{"z":{},"a":{}}"#), "the order of a schema is kept");
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap(),
        json!({
            "model": "small", "instructions": "Be brief.", "input": [{"role": "user", "content": "why?"}],
            "tools": [{"type": "function", "name": "look", "description": "Looks", "strict": false,
                "parameters": {"type": "object", "properties": {"z": {}, "a": {}}}}],
            "max_output_tokens": 16, "temperature": 0.5, "include": ["reasoning.encrypted_content"], "store": false, "stream": true,
        })
    );
}

#[test]
fn what_was_thought_goes_back_where_it_stood() {
    let unsealed = json!({"type": "reasoning", "id": "rs_0", "summary": []});
    let (got, failure) = stream(&[
        json!({"type": "response.reasoning_summary_text.delta", "summary_index": 0, "delta": "hm"}),
        json!({"type": "response.reasoning_summary_part.added", "summary_index": 1}),
        json!({"type": "response.reasoning_summary_text.delta", "summary_index": 1, "delta": "so"}),
        done(unsealed),
        done(thought("rs_1")),
        done(called("a", "{\"n\":1}")),
        done(thought("rs_2")),
        delta("Looking."),
        done(said("Looking.")),
        done(called("b", "")),
        completed(),
    ]);
    assert_eq!(failure, None);
    assert_eq!(got.iter().map(|one| one.reasoning.as_str()).collect::<String>(), "hm\n\nso");
    let last = got.last().unwrap();
    assert_eq!((last.stop, &last.tool_calls[..]), (Some("tool-calls"), &[call("a", "{\"n\":1}"), call("b", "{}")][..]));
    // Others may have renamed the calls.
    let renamed = vec![call("call_x", "{\"n\":1}"), call("call_y", "{}")];
    let back = |tool_calls: Vec<ToolCall>, text: &str| {
        let server = server(vec![reply(200, &events(&[completed()]))]);
        let answers =
            tool_calls.iter().map(|call| Message { tool_call_id: Some(call.id.clone()), ..message("tool", "42") });
        let answers: Vec<Message> = answers.collect();
        let mut asked = request();
        asked.messages.push(Message { tool_calls, extensions: last.extensions.clone(), ..message("assistant", text) });
        asked.messages.extend(answers);
        run(complete(&server, &server, &asked));
        server.body(0)["input"].as_array().unwrap()[1..].to_vec()
    };
    let item = |id: &str, arguments: &str| json!({"type": "function_call", "call_id": id, "name": "look", "arguments": arguments});
    let output = |id: &str| json!({"type": "function_call_output", "call_id": id, "output": "42"});
    assert_eq!(
        back(renamed, "Looking."),
        [
            thought("rs_1"),
            item("call_x", "{\"n\":1}"),
            thought("rs_2"),
            json!({"role": "assistant", "content": "Looking."}),
            item("call_y", "{}"),
            output("call_x"),
            output("call_y"),
        ]
    );
    // Of another message they are not: the service checks what stands behind a thought.
    assert_eq!(back(vec![call("c", "oops")], ""), [item("c", "{\"invalid_arguments\":\"oops\"}"), output("c")]);
}

#[test]
fn ends_and_failures() {
    let incomplete = |reason: &str| json!({"type": "response.incomplete", "response": {"status": "incomplete", "incomplete_details": {"reason": reason}}});
    let refusal = json!({"type": "response.refusal.delta", "delta": ""});
    for (more, stop) in [
        (vec![completed()], "end"),
        (vec![incomplete("max_output_tokens")], "length"),
        (vec![incomplete("content_filter")], "filtered"),
        (vec![refusal, completed()], "filtered"),
    ] {
        let (got, failure) = stream(&[vec![delta("hi")], more.clone()].concat());
        assert_eq!((shown(&got).as_str(), got.last().unwrap().stop, failure), ("hi", Some(stop), None), "{more:?}");
    }
    // Half of a call must not run, and what was thought about it says nothing.
    let (got, _) = stream(&[done(thought("r")), done(called("a", "{\"n\"")), incomplete("max_output_tokens")]);
    let last = got.last().unwrap();
    assert!(last.tool_calls.is_empty() && last.extensions.is_empty(), "{last:?}");
    let failed = |code: &str| json!({"type": "response.failed", "response": {"status": "failed", "error": {"code": code, "message": "said"}}});
    for (more, code) in [
        (Vec::new(), "unavailable"),
        (vec![failed("server_error")], "unavailable"),
        (vec![failed("rate_limit_exceeded")], "rate-limited"),
        (
            vec![json!({"type": "error", "code": "context_length_exceeded", "message": "said", "param": null})],
            "too-large",
        ),
        (vec![json!({"type": "error", "error": {"type": "insufficient_quota", "message": "said"}})], "quota"),
    ] {
        let (got, failure) = stream(&[vec![delta("hi")], more.clone()].concat());
        assert_eq!((shown(&got).as_str(), failure.unwrap().code.as_ref()), ("hi", code), "{more:?}");
    }
}

#[test]
fn what_was_not_streamed_is_taken_from_the_end() {
    let mut end = completed();
    end["response"]["output"] = json!([thought("r"), said("hi"), called("a", "{}")]);
    for body in [events(&[end.clone()]), end["response"].to_string()] {
        let (got, failure) = ask(reply(200, &body));
        assert_eq!((shown(&got).as_str(), failure), ("hi", None), "{body}");
        let last = got.last().unwrap();
        assert_eq!((last.stop, last.tool_calls.len(), last.extensions.len()), (Some("tool-calls"), 1, 1), "{body}");
    }
    let (got, _) = stream(&[done(said("hi")), completed()]);
    assert_eq!(shown(&got), "hi");
    for (body, code) in
        [("{}", "protocol"), ("{\"error\":{\"message\":\"x\",\"code\":\"server_error\"}}", "unavailable")]
    {
        assert_eq!(ask(reply(200, body)).1.unwrap().code, code);
    }
}

#[test]
fn what_a_model_does_not_know_is_left_out_once() {
    let refuse =
        |text: &str| reply(400, &json!({"error": {"message": text, "type": "invalid_request_error"}}).to_string());
    let server = server(vec![
        refuse("Encrypted content is not supported with this model."),
        refuse("Unsupported parameter: 'temperature' is not supported with this model."),
        reply(200, &events(&[completed()])),
    ]);
    let asked = ChatRequest { temperature: Some(0.0), ..request() };
    assert_eq!(run(complete(&server, &server, &asked)).1, None);
    let last = server.body(2);
    assert!(last.get("include").is_none() && last.get("temperature").is_none(), "{last}");
}

#[test]
fn an_api_that_is_none_is_refused() {
    let mut server = server(Vec::new());
    server.settings = vec![("api", "assistants")];
    assert!(run(complete(&server, &server, &request())).1.unwrap().message.contains("api"));
}

proptest! {
    #[test]
    fn no_cut_matters(size in 1_usize..80, kinds in proptest::collection::vec(0_usize..6, 0..10)) {
        let all = [delta("é😀"), done(said("é😀")), done(called("a", "{}")), done(thought("r")), completed(), json!({"type": "response.x"})];
        let body = events(&kinds.iter().map(|kind| all[*kind].clone()).collect::<Vec<_>>());
        prop_assert_eq!(ask(cut(200, &body, size)), ask(reply(200, &body)));
    }
}
