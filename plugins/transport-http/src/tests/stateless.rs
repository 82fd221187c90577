//! The newer era: `server/discover`, the `Mcp-*` headers, and the way back to the older era.

use super::*;

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
const V: &str = "mcp-protocol-version=2026-07-28";

fn request(id: u64, method: &str, params: &str) -> String {
    let comma = if params.is_empty() { "" } else { "," };
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}{comma}{META}}}}}"#)
}

fn discovered() -> Talk {
    let mut t = Talk::new();
    let discover = request(0, "server/discover", "");
    assert_eq!(t.client(1, &discover), [format!("#1 POST {V} mcp-method=server/discover {discover}")]);
    let answer = r#"{"jsonrpc":"2.0","id":0,"result":{"supportedVersions":["2026-07-28"]}}"#;
    assert_eq!(t.json(1, 200, answer), ["sent 1".to_owned(), format!("deliver #1 {answer}")]);
    t
}

#[test]
fn each_method_names_what_it_is_about() {
    for (method, params, headers) in [
        ("tools/list", "", ""),
        ("tools/call", r#""name":"get weather""#, " mcp-name=get weather"),
        ("tools/call", r#""name":"café""#, " mcp-name==?base64?Y2Fmw6k=?="),
        ("prompts/get", r#""name":"p""#, " mcp-name=p"),
        ("resources/read", r#""uri":"file:///x y""#, " mcp-name=file:///x y"),
        ("tasks/get", r#""taskId":"t1""#, " mcp-name=t1"),
        ("completion/complete", r#""name":"x""#, ""),
    ] {
        let mut t = discovered();
        let message = request(1, method, params);
        assert_eq!(t.client(2, &message), [format!("#2 POST {V} mcp-method={method}{headers} {message}")]);
    }
}

#[test]
fn a_notification_names_its_method_too() {
    let mut t = discovered();
    let note = r#"{"jsonrpc":"2.0","method":"notifications/x"}"#;
    assert_eq!(t.client(2, note), [format!("#2 POST {V} mcp-method=notifications/x {note}")]);
}

#[test]
fn a_session_id_is_neither_kept_nor_sent() {
    let mut t = discovered();
    t.client(2, &request(1, "tools/list", ""));
    t.head(2, 200, &[JSON[0], ("mcp-session-id", "s-1")]);
    t.body(2, LIST_OK);
    t.end(2);
    let next = request(2, "ping", "");
    assert_eq!(t.client(3, &next), [format!("#3 POST {V} mcp-method=ping {next}")]);
    assert_eq!(t.event(Event::Close)[2], "closed : The connection to srv was closed.");
}

#[test]
fn arguments_travel_as_the_tools_ask_and_bad_tools_are_left_out() {
    let mut t = discovered();
    t.client(2, &request(1, "tools/list", ""));
    let good = r#"{"name":"t","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}"#;
    let bad = r#"{"name":"u","inputSchema":{"type":"object","properties":{"n":{"type":"number","x-mcp-header":"N"}}}}"#;
    let got = t.json(2, 200, &format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{good},{bad}],"ttlMs":1}}}}"#));
    let kept = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{good}],"ttlMs":1}}}}"#);
    assert_eq!(got, ["sent 2".to_owned(), format!("deliver #2 {kept}")]);
    assert_eq!(
        t.machine.take_log()[0].message,
        "left out the tool u: x-mcp-header of `n` needs the type string, integer or boolean"
    );
    let call = request(2, "tools/call", r#""name":"t","arguments":{"region":"eu\n"}"#);
    let want = format!("#3 POST {V} mcp-method=tools/call mcp-name=t mcp-param-Region==?base64?ZXUK?= {call}");
    assert_eq!(t.client(3, &call), [want]);
}

#[test]
fn the_older_era_has_none_of_these_headers_and_keeps_every_tool() {
    let mut t = Talk::in_session();
    t.client(2, LIST);
    let list = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"u","inputSchema":{"properties":{"n":{"type":"number","x-mcp-header":"N"}}}}]}}"#;
    assert_eq!(t.json(4, 200, list), ["sent 2".to_owned(), format!("deliver #4 {list}")]);
    let call = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"u","arguments":{"n":1}}}"#;
    assert_eq!(t.client(3, call), [format!("#5 POST {IN_SESSION} {call}")]);
}

#[test]
fn a_server_that_does_not_know_discovery_is_reported_so_that_the_client_falls_back() {
    let null = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"No valid session"}}"#;
    let own = r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32000,"message":"No valid session"}}"#.to_owned();
    let made = |status: u16, said: &str, cause: &str| {
        error(0, -32600, &format!("server/discover rejected with HTTP {status}: {said}"), cause)
    };
    for (status, body, want) in [
        (400, null, own.clone()),
        (404, null, own.clone()),
        (200, null, own),
        (400, "Bad Request", made(400, "Bad Request", "protocol")),
        (404, "", made(404, "", "not-found")),
        (405, "<html>no</html>", made(405, "<html>no</html>", "unsupported")),
        (501, "", made(501, "", "unsupported")),
    ] {
        let mut t = Talk::new();
        t.client(1, &request(0, "server/discover", ""));
        let got = match status {
            501 => {
                t.head(1, 501, JSON);
                t.end(1)
            }
            _ => t.json(1, status, body),
        };
        assert_eq!(got, ["sent 1".to_owned(), format!("deliver #1 {want}")], "{status} {body}");
        // The fallback begins without a trace of the attempt.
        let init = INIT.replace("\"id\":0", "\"id\":1");
        assert_eq!(t.client(2, &init), [format!("#2 POST {init}")]);
        t.head(2, 200, &[JSON[0], ("mcp-session-id", "s-1")]);
        t.body(2, &INIT_OK.replace("\"id\":0", "\"id\":1"));
        t.end(2);
        assert_eq!(t.client(3, INITIALIZED), [format!("#3 POST {IN_SESSION} {INITIALIZED}")]);
    }
}

#[test]
fn a_refusal_that_says_nothing_about_the_era_is_no_reason_to_fall_back() {
    for (status, code) in [(401, "auth"), (403, "forbidden"), (429, "rate-limited"), (503, "unavailable")] {
        let mut t = Talk::new();
        t.client(1, &request(0, "server/discover", ""));
        let got = t.head(1, status, NONE);
        assert!(got[1].starts_with(&format!("failed 1 {status} {code} ")), "{got:?}");
    }
}

#[test]
fn a_modern_error_keeps_its_code() {
    let mut t = Talk::new();
    t.client(1, &request(0, "server/discover", ""));
    let error = r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32022,"message":"v","data":{"supported":["x"]}}}"#;
    assert_eq!(t.json(1, 400, error), ["sent 1".to_owned(), format!("deliver #1 {error}")]);
}

#[test]
fn a_client_that_tires_of_discovery_gets_on_with_initialize() {
    let mut t = Talk::new();
    t.client(1, &request(0, "server/discover", ""));
    let init = INIT.replace("\"id\":0", "\"id\":1");
    let got = t.client(2, &init);
    let want = [
        "cancel #1".to_owned(),
        "failed 1 0 cancelled 0: The message to srv was cancelled.".into(),
        format!("#2 POST {init}"),
    ];
    assert_eq!(got, want);
}

#[test]
fn a_cancellation_closes_the_stream_and_says_nothing() {
    let mut t = discovered();
    t.client(2, &request(1, "tools/call", r#""name":"t""#));
    t.head(2, 200, SSE);
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    assert_eq!(t.client(3, cancel), ["cancel #2", "sent 3"]);
    t.client(4, &request(2, "tools/call", r#""name":"t""#));
    let cancel = cancel.replace(":1}", ":2}");
    let want = ["cancel #3", "failed 4 0 cancelled 0: The message to srv was cancelled.", "sent 5"];
    assert_eq!(t.client(5, &cancel), want);
}

#[test]
fn a_stream_is_not_resumed() {
    let mut t = discovered();
    t.client(2, &request(1, "tools/call", r#""name":"t""#));
    t.head(2, 200, SSE);
    t.body(2, "id: e1\nretry: 10\ndata:\n\n");
    let lost = error(1, -32603, "srv broke off before its answer was complete.", "outcome-unknown");
    assert_eq!(t.end(2), [format!("deliver #2 {lost}")]);
}

#[test]
fn a_subscription_may_be_silent_for_ever() {
    let mut t = discovered();
    let actions = t.machine.handle(Event::Message { id: 2, data: request(1, "subscriptions/listen", "").into() });
    let Ok([Action::Request { request, .. }]) = actions.as_deref() else {
        panic!("{actions:?}");
    };
    assert_eq!(request.idle_timeout_ms, 0);
}

#[test]
fn an_unknown_method_is_an_answer_not_a_lost_session() {
    let mut t = discovered();
    t.client(2, &request(1, "x/y", ""));
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}"#;
    assert_eq!(t.json(2, 404, error), ["sent 2".to_owned(), format!("deliver #2 {error}")]);
}
