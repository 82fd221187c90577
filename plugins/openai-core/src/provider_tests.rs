//! Whole calls against a server in memory: tables of byte streams, and the property that no cut of a stream matters.

use super::*;
use proptest::prelude::*;
use provider_core::completion::MAX_STREAM_BYTES;
use provider_core::model::{Event, Message, Tool, ToolCall, Usage};
use provider_core::testing::{self, Reply, Server, reply, shown};
use serde_json::json;

fn complete(http: &dyn Http, config: &dyn Config, request: &ChatRequest) -> Result<Completion, Failure> {
    super::complete(http, config, request, &OPENAI)
}

fn models(http: &dyn Http, config: &dyn Config) -> Result<Vec<Model>, Failure> {
    super::models(http, config, &OPENAI)
}

fn server(replies: Vec<Result<Reply, Failure>>) -> Server {
    Server::new(replies)
}

fn request() -> ChatRequest {
    ChatRequest {
        messages: vec![Message { role: "user".into(), text: "why?".into(), ..Message::default() }],
        max_output_tokens: Some(50),
        temperature: Some(0.0),
        ..ChatRequest::default()
    }
}

fn run(server: &Server) -> (Vec<Event>, Option<Failure>) {
    testing::run(complete(server, server, &request()))
}

fn stream(body: &str) -> (Vec<Event>, Option<Failure>) {
    run(&server(vec![Ok(reply(200, body))]))
}

fn stop(events: &[Event]) -> Option<&'static str> {
    let stops: Vec<_> = events.iter().filter_map(|event| event.stop).collect();
    assert!(stops.len() <= 1, "stop is set once");
    assert_eq!(stops.first().copied(), events.last().and_then(|event| event.stop));
    stops.first().copied()
}

const PLAIN: &str = concat!(
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Größe \"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"😀\"},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7}}\n\n",
    "data: [DONE]\n\n",
);

#[test]
fn a_plain_stream_and_what_was_sent() {
    let server = server(vec![Ok(reply(200, PLAIN))]);
    let (events, failure) = run(&server);
    assert_eq!(failure, None);
    assert_eq!(events.len(), 3);
    assert_eq!(shown(&events), "Größe 😀");
    let last = events.last().unwrap();
    assert_eq!(last.stop, Some("end"));
    assert_eq!(last.usage, Some(Usage { input_tokens: 5, output_tokens: 2 }));
    let seen = server.seen.borrow();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].method, seen[0].url.as_str()), ("POST", "https://m.example/v1/chat/completions"));
    assert!(seen[0].headers.contains(&("authorization", HeaderValue::Credential("cred-7".into()))));
    let body: Value = serde_json::from_slice(seen[0].body.as_ref().unwrap()).unwrap();
    assert_eq!(body["model"], "small");
    assert_eq!(body["max_completion_tokens"], 50);
}

#[test]
fn texts_ends_and_stops() {
    let chunk = |delta: &str| format!("data: {{\"choices\":[{{\"delta\":{delta}}}]}}\n\n");
    let end = |reason: &str| format!("data: {{\"choices\":[{{\"delta\":{{}},\"finish_reason\":\"{reason}\"}}]}}\n\n");
    let hi = chunk("{\"content\":\"hi\"}");
    let call = chunk("{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}}]}");
    let cut =
        chunk("{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\"}}]}");
    for (body, text, stops) in [
        (format!("{hi}{}data: [DONE]\n\n", end("stop")), "hi", "end"),
        // The end without its terminator, the terminator without a reason, neither line end.
        (format!("{hi}{}", end("stop")), "hi", "end"),
        (format!("{hi}data: [DONE]"), "hi", "end"),
        (format!("{hi}{}", end("length")), "hi", "length"),
        (format!("{hi}{}", end("content_filter")), "hi", "filtered"),
        (format!("{hi}{}", end("eos_token")), "hi", "end"),
        (format!("{call}{}", end("tool_calls")), "", "tool-calls"),
        (format!("{call}{}", end("stop")), "", "tool-calls"),
        (format!("{call}data: [DONE]\n"), "", "tool-calls"),
        (format!("{cut}{}", end("length")), "", "length"),
        (format!("{}{}", chunk("{\"refusal\":\"no\"}"), end("stop")), "no", "filtered"),
        (format!("{}{}", chunk("{\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}"), end("stop")), "hi", "end"),
        (format!("{}{}", chunk("{\"content\":null,\"tool_calls\":null,\"x\":{}}"), end("stop")), "", "end"),
        // Comments, unknown events and fields, other choices, no choices.
        (
            format!(
                ": ping\n\nevent: ping\ndata: {{}}\n\nevent: progress\ndata: half\n\ndata: {{\"choices\":[],\"prompt_filter_results\":[]}}\n\ndata: {{\"choices\":[{{\"index\":1,\"delta\":{{\"content\":\"no\"}}}}]}}\n\n{hi}{}",
                end("stop")
            ),
            "hi",
            "end",
        ),
    ] {
        let (events, failure) = stream(&body);
        assert_eq!(failure, None, "{body}");
        assert_eq!(shown(&events), text, "{body}");
        assert_eq!(stop(&events), Some(stops), "{body}");
        let crlf = body.replace('\n', "\r\n");
        assert_eq!(stream(&crlf), (events, None), "CRLF");
    }
    let (events, _) = stream(&format!("{cut}{}", end("length")));
    assert!(events.last().unwrap().tool_calls.is_empty(), "half a call never runs");
}

#[test]
fn reasoning_is_shown_and_goes_back_with_calls_only() {
    let body = |field: &str, tail: &str| {
        format!(
            "data: {{\"choices\":[{{\"delta\":{{\"{field}\":\"think\"}}}}]}}\n\ndata: {{\"choices\":[{{\"delta\":{{\"content\":\"x\"{tail}}},\"finish_reason\":\"stop\"}}]}}\n\n"
        )
    };
    for field in ["reasoning_content", "reasoning"] {
        let (events, failure) = stream(&body(field, ""));
        assert_eq!(failure, None);
        assert_eq!(events[0].reasoning, "think");
        assert!(events.last().unwrap().extensions.is_empty());
        let (events, _) = stream(&body(field, ",\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\"}}]"));
        let last = events.last().unwrap();
        assert_eq!(last.extensions, vec![(field.to_owned(), "think".to_owned())]);
        assert_eq!(last.tool_calls, vec![ToolCall { id: "a".into(), name: "f".into(), arguments: "{}".into() }]);
    }
    let both = "data: {\"choices\":[{\"delta\":{\"reasoning\":\"t\",\"reasoning_content\":\"t\",\"reasoning_details\":[{\"a\":1}]},\"finish_reason\":\"stop\"}]}\n\n";
    let (events, _) = stream(both);
    assert_eq!(events[0].reasoning, "t", "not twice");
    assert_eq!(events.last().unwrap().extensions, vec![("reasoning_details".into(), "[{\"a\":1}]".into())]);
}

#[test]
fn failures_after_a_success_keep_what_came_before() {
    let hi = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";
    for (tail, code) in [
        ("", "unavailable"),
        ("data: {\"choices\":[{\"del", "unavailable"),
        ("data: {\"error\":{\"message\":\"boom\"}}\n\n", "unavailable"),
        ("event: error\ndata: {\"error\":{\"code\":429,\"message\":\"slow\"}}\n\n", "rate-limited"),
        ("event: error\ndata: out of memory\n\n", "unavailable"),
        ("error: {\"code\":500,\"message\":\"the request exceeds the available context size\"}\n\n", "too-large"),
        ("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"error\"}]}\n\n", "unavailable"),
        ("data: rubbish\n\n", "protocol"),
    ] {
        let (events, failure) = stream(&format!("{hi}{tail}"));
        assert_eq!(shown(&events), "hi", "{tail}");
        assert_eq!(failure.unwrap().code, code, "{tail}");
    }
    // A connection that breaks: before the end it is a failure, after it nothing.
    let broken = |body: &str| {
        let mut reply = reply(200, body);
        reply.chunks.push(Err(Failure::new("timeout", "120 s without a byte")));
        run(&server(vec![Ok(reply)]))
    };
    let (events, failure) = broken(hi);
    assert_eq!((shown(&events).as_str(), failure.unwrap().code.as_ref()), ("hi", "timeout"));
    let (events, failure) =
        broken("data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n");
    assert_eq!((stop(&events), failure), (Some("end"), None));
}

#[test]
fn answers_that_are_no_stream() {
    let whole = json!({
        "id": "x", "object": "chat.completion",
        "choices": [{"index":0,"message":{"role":"assistant","content":"hi","tool_calls":[
            {"id":"a","type":"function","function":{"name":"f","arguments":{"x":1}}}]},"finish_reason":"tool_calls"}],
        "usage": {"prompt_tokens":1,"completion_tokens":2},
    });
    for body in [whole.to_string(), format!("\n\n  {}\n", serde_json::to_string_pretty(&whole).unwrap())] {
        let (events, failure) = stream(&body);
        assert_eq!(failure, None);
        assert_eq!(shown(&events), "hi");
        let last = events.last().unwrap();
        assert_eq!((last.stop, last.tool_calls[0].arguments.as_str()), (Some("tool-calls"), "{\"x\":1}"));
        assert_eq!(last.usage, Some(Usage { input_tokens: 1, output_tokens: 2 }));
    }
    for (body, code) in [
        ("", "unavailable"),
        ("   \n", "unavailable"),
        ("{\"choices\":[]}", "protocol"),
        ("{\"error\":\"model 'x' not found\"}", "unavailable"),
        ("{\"choices\":", "protocol"),
        ("{\"message\":{\"content\":\"ollama\"}}\n{\"done\":true}\n", "protocol"),
        ("<!DOCTYPE html><form>Password</form>", "auth"),
        ("\n<html>Open WebUI</html>", "protocol"),
        ("hello", "unavailable"),
    ] {
        let (events, failure) = stream(body);
        assert!(events.is_empty(), "{body}");
        assert_eq!(failure.unwrap().code, code, "{body}");
    }
}

#[test]
fn parameters_that_a_server_does_not_know_are_left_out_once() {
    let refuse = |text: &str| Ok(reply(400, &json!({"error":{"message":text}}).to_string()));
    let all = server(vec![
        refuse("Unrecognized request argument supplied: max_completion_tokens"),
        refuse("Unknown parameter: 'stream_options'."),
        refuse("Unsupported value: 'temperature' does not support 0 with this model."),
        Ok(reply(200, PLAIN)),
    ]);
    assert_eq!(run(&all).1, None);
    let seen = all.seen.borrow();
    let last: Value = serde_json::from_slice(seen[3].body.as_ref().unwrap()).unwrap();
    assert_eq!(last["max_tokens"], 50);
    for gone in ["max_completion_tokens", "stream_options", "temperature"] {
        assert!(last.get(gone).is_none(), "{gone}");
    }
    // The other way round, and no endless round when both names are refused.
    let mut swapped = server(vec![
        refuse(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        ),
        Ok(reply(200, PLAIN)),
    ]);
    swapped.settings = vec![("max-tokens-parameter", "max_tokens")];
    assert_eq!(run(&swapped).1, None);
    let never = server(vec![refuse("unknown: max_tokens, max_completion_tokens"); 4]);
    assert_eq!(run(&never).1.unwrap().code, "invalid");
    assert_eq!(never.seen.borrow().len(), 1 + MAX_ADAPTATIONS);
    // Any other refusal is final.
    let other = server(vec![refuse("messages: too deep")]);
    assert_eq!(run(&other).1.unwrap().code, "invalid");
}

#[test]
fn failures_of_the_host_and_of_the_answer() {
    let lost = server(vec![Err(Failure::new("outcome-unknown", "reset"))]);
    assert_eq!(run(&lost).1.unwrap().code, "unavailable");
    let denied = server(vec![Err(Failure::new("denied", "grant http POST https://m.example"))]);
    let failure = run(&denied).1.unwrap();
    assert_eq!((failure.code.as_ref(), failure.message.as_str()), ("denied", "grant http POST https://m.example"));
    let mut limited = reply(429, "{\"error\":{\"message\":\"slow\"}}");
    limited.headers = vec![("retry-after-ms".into(), "1500".into())];
    assert_eq!(run(&server(vec![Ok(limited)])).1.unwrap().retry_after_ms, Some(1500));
    // A body that breaks does not hide the status.
    let mut broken = reply(401, "");
    broken.chunks = vec![Err(Failure::new("unavailable", "cut"))];
    assert_eq!(run(&server(vec![Ok(broken)])).1.unwrap().code, "auth");
}

#[test]
fn everything_is_bounded() {
    let mut flood = reply(200, "");
    flood.chunks = vec![Ok(b": ping\n".repeat(9000)); MAX_STREAM_BYTES / 60_000];
    assert_eq!(run(&server(vec![Ok(flood)])).1.unwrap().code, "protocol");
    let mut line = reply(200, "");
    line.chunks = vec![Ok(vec![b'x'; 64 * 1024]); 40];
    assert_eq!(run(&server(vec![Ok(line)])).1.unwrap().code, "protocol");
    let mut page = reply(200, "<html>");
    page.chunks.extend(vec![Ok(vec![b'x'; 64 * 1024]); 40]);
    assert_eq!(run(&server(vec![Ok(page)])).1.unwrap().code, "protocol");
    let mut json = reply(200, "{\"a\":\"");
    json.chunks.extend(vec![Ok(vec![b'x'; 1024 * 1024]); 9]);
    assert_eq!(run(&server(vec![Ok(json)])).1.unwrap().code, "protocol");
}

#[test]
fn models_of_several_servers() {
    let list = |status: u16, body: &str| {
        let server = server(vec![Ok(reply(status, body))]);
        let models = models(&server, &server);
        assert_eq!(server.seen.borrow()[0].url, "https://m.example/v1/models");
        models
    };
    let one = |id: &str, name: &str, context_tokens| vec![Model { id: id.into(), name: name.into(), context_tokens }];
    for (body, want) in [
        (r#"{"object":"list","data":[{"id":"gpt-x","object":"model"}]}"#, one("gpt-x", "gpt-x", None)),
        (r#"{"data":[{"id":"q","max_model_len":4096}]}"#, one("q", "q", Some(4096))),
        (r#"{"data":[{"id":"a/b","name":"B","context_length":8}]}"#, one("a/b", "B", Some(8))),
        (r#"{"data":[{"id":"l","meta":{"n_ctx_train":2048}}, {"id":7}, null]}"#, one("l", "l", Some(2048))),
        (r#"["m"]"#, one("m", "m", None)),
        (r#"{"data":[]}"#, vec![]),
    ] {
        assert_eq!(list(200, body).unwrap(), want, "{body}");
    }
    assert_eq!(list(404, "nope").unwrap(), vec![]);
    assert_eq!(list(401, "").unwrap_err().code, "auth");
    assert_eq!(list(200, "<html>").unwrap_err().code, "protocol");
    assert_eq!(list(200, "{}").unwrap_err().code, "protocol");
}

#[test]
fn invented_ids_do_not_repeat_those_of_the_conversation() {
    let call = "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"f\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n";
    let server = server(vec![Ok(reply(200, call))]);
    let mut request = request();
    request.tools = vec![Tool { name: "f".into(), description: String::new(), parameters: "{}".into() }];
    request.messages.push(Message {
        role: "assistant".into(),
        tool_calls: vec![ToolCall { id: "call_1".into(), name: "f".into(), arguments: "{}".into() }],
        ..Message::default()
    });
    let mut completion = complete(&server, &server, &request).unwrap();
    let event = completion.next().unwrap().unwrap();
    assert_eq!(event.tool_calls[0].id, "call_2");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Any split of the bytes gives the same events and the same end.
    #[test]
    fn no_cut_matters(
        frames in proptest::collection::vec(prop_oneof![
            Just("data: {\"choices\":[{\"delta\":{\"content\":\"é😀\"}}]}\n\n"),
            Just("data: {\"choices\":[{\"delta\":{\"reasoning\":\"r\"}}]}\r\n\r\n"),
            Just("data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}}]}\n\n"),
            Just("data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"}\"}}]}}]}\n"),
            Just("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\r\r"),
            Just("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n"),
            Just(": comment\n"), Just("event: error\n"), Just("data: nonsense\n\n"), Just("data: [DONE]\n\n"),
            Just("{\"choices\":[{\"message\":{\"content\":\"x\"}}]}"), Just("<html>"), Just("\n"), Just("data: {\n"),
        ], 0..12),
        cuts in proptest::collection::vec(1_usize..200, 0..30),
    ) {
        let body: String = frames.concat();
        let mut chunks = Vec::new();
        let mut rest = body.as_bytes();
        for cut in cuts {
            let (head, tail) = rest.split_at(cut.min(rest.len()));
            chunks.push(Ok(head.to_vec()));
            rest = tail;
        }
        chunks.push(Ok(rest.to_vec()));
        let whole = stream(&body);
        let cut = run(&server(vec![Ok(Reply { status: 200, headers: vec![], chunks })]));
        prop_assert_eq!(&cut, &whole);
        let bytes = body.bytes().map(|byte| Ok(vec![byte])).collect();
        let single = run(&server(vec![Ok(Reply { status: 200, headers: vec![], chunks: bytes })]));
        prop_assert_eq!(&single, &whole);
    }

    /// No bytes make it panic, and every stream ends.
    #[test]
    fn any_bytes(body in proptest::collection::vec(any::<u8>(), 0..2000), text in "\\PC{0,300}") {
        for body in [body, format!("data: {text}\n\n").into_bytes()] {
            let (events, failure) = run(&server(vec![Ok(Reply { status: 200, headers: vec![], chunks: vec![Ok(body)] })]));
            prop_assert!(failure.is_some() || stop(&events).is_some());
        }
    }
}
