//! Whole calls against a server in memory: tables of byte streams, and the property that no cut of a stream matters.

use super::*;
use proptest::prelude::*;
use provider_core::model::{Event, Message, Tool, ToolCall, Usage};
use provider_core::testing::{Reply, Server, cut, reply, run, shown};

fn message(role: &str, text: &str) -> Message {
    Message { role: role.into(), text: text.into(), ..Message::default() }
}

fn request() -> ChatRequest {
    ChatRequest { messages: vec![message("user", "why?")], ..ChatRequest::default() }
}

const SHOWN: &str = r#"{"capabilities":["completion","tools"],"model_info":{"general.architecture":"llama","llama.context_length":32768}}"#;

fn server(answer: Reply) -> Server {
    let mut server = Server::new(vec![Ok(reply(200, SHOWN)), Ok(answer)]);
    server.settings = vec![("base-url", "http://127.0.0.1:11434/")];
    server
}

fn ask(answer: Reply) -> (Vec<Event>, Option<Failure>) {
    let server = server(answer);
    run(complete(&server, &server, &request()))
}

fn stream(body: &str) -> (Vec<Event>, Option<Failure>) {
    ask(reply(200, body))
}

const PLAIN: &str = concat!(
    "{\"model\":\"small\",\"message\":{\"role\":\"assistant\",\"content\":\"Größe \"},\"done\":false}\n",
    "{\"model\":\"small\",\"message\":{\"role\":\"assistant\",\"content\":\"😀\"},\"done\":false}\n",
    "{\"model\":\"small\",\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":5,\"eval_count\":2}\n",
);

#[test]
fn a_plain_stream_and_what_was_sent() {
    let server = server(reply(200, PLAIN));
    let mut asked = request();
    asked.messages.insert(0, message("system", "Be brief."));
    asked.temperature = Some(0.5);
    asked.max_output_tokens = Some(50);
    asked.tools = vec![Tool {
        name: "look".into(),
        description: "Looks".into(),
        parameters: r#"{"type":"object","properties":{"z":{},"a":{}}}"#.into(),
    }];
    let (events, failure) = run(complete(&server, &server, &asked));
    assert_eq!((shown(&events).as_str(), failure), ("Größe 😀", None));
    let last = events.last().unwrap();
    assert_eq!((last.stop, last.usage), (Some("end"), Some(Usage { input_tokens: 5, output_tokens: 2 })));
    let seen = server.seen.borrow();
    let urls: Vec<&str> = seen.iter().map(|one| one.url.as_str()).collect();
    assert_eq!(urls, ["http://127.0.0.1:11434/api/show", "http://127.0.0.1:11434/api/chat"]);
    assert_eq!(server.body(0), json!({"model": "small"}));
    let body = String::from_utf8(seen[1].body.clone().unwrap()).unwrap();
    assert!(body.contains(r#"{"z":{},"a":{}}"#), "the order of a schema is kept");
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap(),
        json!({
            "model": "small", "stream": true, "truncate": false, "shift": false,
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "why?"}],
            "tools": [{"type": "function", "function": {"name": "look", "description": "Looks",
                "parameters": {"type": "object", "properties": {"z": {}, "a": {}}}}}],
            "options": {"num_ctx": 8192, "num_predict": 50, "temperature": 0.5},
        })
    );
}

#[test]
fn the_context_is_what_the_conversation_needs_and_the_model_has() {
    let asked = |bytes: usize, settings: &[(&'static str, &'static str)], shown: Reply| {
        let mut server = Server::new(vec![Ok(shown), Ok(reply(200, PLAIN))]);
        server.settings = settings.to_vec();
        let request = ChatRequest { messages: vec![message("user", &"x".repeat(bytes))], ..ChatRequest::default() };
        let (_, failure) = run(complete(&server, &server, &request));
        match failure {
            None => Ok(server.body(1)["options"]["num_ctx"].as_u64().unwrap()),
            Some(failure) => Err((failure.code, server.seen.borrow().len())),
        }
    };
    let shown = || reply(200, SHOWN);
    assert_eq!(asked(10, &[], shown()), Ok(8192));
    assert_eq!(asked(20_000, &[], shown()), Ok(16_384));
    assert_eq!(asked(70_000, &[], shown()), Ok(32_768), "no more than it has");
    assert_eq!(asked(140_000, &[], shown()), Err(("too-large".into(), 1)), "it would be cut off in silence");
    assert_eq!(asked(70_000, &[], reply(404, "404 page not found")), Ok(65_536), "a server that does not say");
    assert_eq!(asked(70_000, &[], reply(200, "{}")), Ok(65_536));
    assert_eq!(asked(20_000, &[("context-tokens", "8192")], shown()), Ok(8192));
    assert_eq!(asked(10, &[("context-tokens", "many")], shown()), Err(("invalid".into(), 1)));
    assert_eq!(asked(10, &[], reply(401, "")), Err(("auth".into(), 1)));
}

#[test]
fn calls_and_thinking_go_round() {
    let body = concat!(
        "{\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"hm\"},\"done\":false}\n",
        "{\"message\":{\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"look\",\"arguments\":{\"a\":1}}},{\"id\":\"x\",\"function\":{\"name\":\"look\",\"arguments\":\"{\"}}]},\"done\":false}\n",
        "{\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\"}\n",
    );
    let (got, failure) = stream(body);
    assert_eq!((failure, got[0].reasoning.as_str()), (None, "hm"));
    let last = got.last().unwrap();
    assert_eq!(last.stop, Some("tool-calls"));
    let call = |id: &str, arguments: &str| ToolCall { id: id.into(), name: "look".into(), arguments: arguments.into() };
    assert_eq!(last.tool_calls, [call("call_1", "{\"a\":1}"), call("call_2", "{")]);
    let said = Message {
        tool_calls: last.tool_calls.clone(),
        extensions: last.extensions.clone(),
        ..message("assistant", "")
    };
    let result = |id: &str| Message { tool_call_id: Some(id.into()), ..message("tool", "42") };
    let server = server(reply(200, PLAIN));
    let messages = vec![message("user", "why?"), said, result("call_2"), result("elsewhere")];
    run(complete(&server, &server, &ChatRequest { messages, ..ChatRequest::default() }));
    let sent = server.body(1)["messages"].clone();
    assert_eq!(
        sent[1],
        json!({"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [
            {"function": {"name": "look", "arguments": {"a": 1}}},
            {"function": {"name": "look", "arguments": {"invalid_arguments": "{"}}}]})
    );
    assert_eq!(sent[2], json!({"role": "tool", "tool_name": "look", "content": "42"}));
    assert_eq!(sent[3]["tool_name"], "unknown");
}

#[test]
fn ends_and_failures() {
    let hi = "{\"message\":{\"content\":\"hi\"},\"done\":false}\n";
    let done =
        |reason: &str| format!("{hi}{{\"message\":{{\"content\":\"\"}},\"done\":true,\"done_reason\":\"{reason}\"}}");
    for (reason, stop) in [("stop", "end"), ("load", "end"), ("length", "length")] {
        let (got, failure) = stream(&done(reason));
        assert_eq!((shown(&got).as_str(), got.last().unwrap().stop, failure), ("hi", Some(stop), None), "{reason}");
    }
    for (more, code) in [
        ("", "unavailable"),
        ("{\"error\":\"an error was encountered while running the model\"}\n", "unavailable"),
        ("{\"error\":\"the input exceeds the context length\"}\n", "too-large"),
        ("nonsense\n", "protocol"),
        ("{\"mess", "unavailable"),
    ] {
        let (got, failure) = stream(&format!("{hi}{more}"));
        assert_eq!((shown(&got).as_str(), failure.unwrap().code.as_ref()), ("hi", code), "{more}");
    }
    for (status, body, code) in [
        (404, "{\"error\":\"model 'x' not found\"}", "not-found"),
        (400, "{\"error\":\"registry.ollama.ai/library/x does not support tools\"}", "invalid"),
        (500, "{\"error\":\"llama runner process has terminated\"}", "unavailable"),
        (200, "<html>Password</html>", "auth"),
    ] {
        assert_eq!(ask(reply(status, body)).1.unwrap().code, code, "{body}");
    }
}

#[test]
fn models_are_listed() {
    let list = |status: u16, body: &str| {
        let server = Server::new(vec![Ok(reply(status, body))]);
        models(&server, &server)
    };
    let body = r#"{"models":[{"name":"llama3.2:latest","model":"llama3.2:latest","size":2019393189},{"size":1}]}"#;
    let want = Model { id: "llama3.2:latest".into(), name: "llama3.2:latest".into(), context_tokens: None };
    assert_eq!(list(200, body).unwrap(), [want]);
    assert_eq!(list(404, "").unwrap(), []);
    assert_eq!(list(200, "{}").unwrap_err().code, "protocol");
}

proptest! {
    #[test]
    fn no_cut_matters(size in 1_usize..60, lines in proptest::collection::vec(0_usize..5, 0..8)) {
        let all = ["{\"message\":{\"content\":\"é😀\"}}\n", "{\"message\":{\"tool_calls\":[{\"function\":{\"name\":\"f\"}}]}}\r\n",
            "\n", "{\"done\":true}\n", "{\"error\":\"x\"}\n"];
        let body: String = lines.iter().map(|line| all[*line]).collect();
        prop_assert_eq!(ask(cut(200, &body, size)), stream(&body));
    }
}
