//! The event stream: how it begins, and what comes on it.

use super::*;

#[test]
fn headers_in_full() {
    let key = Header { name: "authorization".into(), value: HeaderValue::Credential("key".into()) };
    let text = |name: &str, value: &str| Header { name: name.into(), value: HeaderValue::Text(value.into()) };
    let settings = Settings { name: "srv".into(), url: Some("https://h/sse".into()), headers: vec![key.clone()] };
    let mut machine = Machine::new(settings).unwrap();
    let mut request = |event| {
        let actions = machine.handle(event).unwrap();
        actions.into_iter().find_map(|action| match action {
            Action::Request { request, .. } => Some(request),
            _ => None,
        })
    };
    let get = request(Event::Start).unwrap();
    assert_eq!(get.headers, [text("accept", "text/event-stream"), key.clone()]);
    assert_eq!((get.method, get.timeout_ms, get.idle_timeout_ms, get.body), ("GET", 60_000, 0, None));
    let headers = vec![("content-type".to_owned(), "text/event-stream".to_owned())];
    request(Event::Response { id: 1, status: 200, headers });
    request(Event::Body { id: 1, data: ENDPOINT.into() });
    for (id, message, timeout_ms) in [(1, CALL, 600_000), (2, PROGRESS, 30_000), (3, INIT, 60_000)] {
        let post = request(Event::Message { id, data: message.into() }).unwrap();
        assert_eq!(post.headers, [text("content-type", "application/json"), key.clone()]);
        assert_eq!((post.method, post.url.as_str()), ("POST", "https://h/messages?s=1"));
        assert_eq!((post.timeout_ms, post.idle_timeout_ms), (timeout_ms, timeout_ms));
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let failure = Machine::new(Settings { name: "srv".into(), url: None, headers: vec![] }).unwrap_err();
    assert_eq!((failure.code, failure.message.as_str()), ("invalid", "A server over HTTP needs a URL."));
}

#[test]
fn a_handshake() {
    let mut t = Talk::started();
    assert!(t.event(Event::Start).is_empty(), "it starts once");
    assert!(t.client(1, INIT).is_empty());
    assert!(t.head(1, 200, SSE).is_empty());
    assert!(t.body(1, &ENDPOINT[..20]).is_empty());
    assert_eq!(t.body(1, &ENDPOINT[20..]), ["timer 2 0".to_owned(), format!("#2 POST /messages?s=1 {INIT}")]);
    assert_eq!(t.answer(2, 202, NONE, "Accepted"), ["sent 1"]);
    assert_eq!(t.body(1, &sse(INIT_OK)), [format!("deliver #1 {INIT_OK}")]);
    assert_eq!(t.client(2, INITIALIZED), [format!("#3 POST /messages?s=1 {INITIALIZED}")]);
    assert!(t.client(3, LIST).is_empty(), "no request overtakes the end of the handshake");
    assert_eq!(t.head(3, 204, NONE), ["sent 2".to_owned(), format!("#4 POST /messages?s=1 {LIST}")]);
    // The answer may be there before the server says that it has the request.
    assert_eq!(t.body(1, &sse(LIST_OK)), ["sent 3".to_owned(), format!("deliver #1 {LIST_OK}")]);
    assert!(t.answer(4, 500, NONE, "").is_empty());
    assert!(t.timer(2).is_empty());
}

#[test]
fn the_newer_era_is_refused_at_once_and_not_sent() {
    let probe = r#"{"jsonrpc":"2.0","id":"a\u0062","method":"server/discover","params":{}}"#;
    let refusal = r#"deliver #0 {"jsonrpc":"2.0","id":"a\u0062","error":{"code":-32601,"data":{"transport":"unsupported"},"message":"Method not found: servers of the HTTP+SSE transport have initialize instead."}}"#;
    for mut t in [Talk::new(), Talk::started(), Talk::open()] {
        assert_eq!(t.client(1, probe), ["sent 1", refusal]);
    }
}

#[test]
fn messages_wait_for_the_address_and_keep_their_order() {
    let mut t = Talk::started();
    for (id, message) in [(1, LIST), (2, CALL), (3, PROGRESS)] {
        assert!(t.client(id, message).is_empty());
    }
    t.head(1, 200, SSE);
    let post = |id: u64, message: &str| format!("#{id} POST /messages?s=1 {message}");
    assert_eq!(t.body(1, ENDPOINT), ["timer 2 0".to_owned(), post(2, LIST), post(3, CALL), post(4, PROGRESS)]);
}

#[test]
fn the_address_must_be_at_the_origin_of_the_url() {
    for (data, want) in [
        ("https://h/m", None),
        ("messages/", None),
        (
            "https://evil/m",
            Some(
                "denied: srv wants its messages sent to https://evil/m, which is not at the origin of its registered URL.",
            ),
        ),
        (
            "http://h/m",
            Some(
                "denied: srv wants its messages sent to http://h/m, which is not at the origin of its registered URL.",
            ),
        ),
        ("/a b", Some("protocol: srv wants its messages sent to /a b, which is no URI.")),
    ] {
        let mut t = Talk::started();
        t.client(1, INIT);
        t.head(1, 200, SSE);
        let got = t.body(1, &format!("event: endpoint\ndata: {data}\n\n"));
        match want {
            None => assert_eq!(got.len(), 2, "{got:?}"),
            Some(end) => {
                let (code, text) = end.split_once(": ").unwrap();
                assert_eq!(
                    got,
                    [format!("failed 1 0 {code} 0: {text}"), "cancel #1".to_owned(), format!("closed {end}")]
                );
            }
        }
    }
}

#[test]
fn the_address_is_taken_once() {
    let mut t = Talk::open();
    assert!(t.body(1, "event: endpoint\ndata: https://evil/\n\n").is_empty());
    assert_eq!(t.client(1, LIST), [format!("#2 POST /messages?s=1 {LIST}")]);
}

#[test]
fn a_server_that_names_no_address_is_given_up() {
    let want = "timeout: srv did not say within 30 seconds where to send messages.";
    for streaming in [false, true] {
        let mut t = Talk::started();
        if streaming {
            t.head(1, 200, SSE);
            assert!(t.body(1, "event: endpoint\n\nevent: endpoint\ndata:\n\n: ping\n\n").is_empty());
        }
        assert_eq!(t.timer(2), ["cancel #1".to_owned(), format!("closed {want}")]);
    }
}

#[test]
fn messages_are_delivered_as_they_came_and_all_else_is_ignored() {
    let mut t = Talk::open();
    let spaced = "event: message\ndata: {\"jsonrpc\":\"2.0\",\rdata:  \"method\": \"x\"}\r\n\r\n";
    assert_eq!(t.body(1, spaced), ["deliver #1 {\"jsonrpc\":\"2.0\",\n \"method\": \"x\"}"]);
    assert_eq!(t.body(1, &format!("id: 7\nretry: 1\ndata:{CALL_OK}\n\n")), [format!("deliver #1 {CALL_OK}")]);
    let noise = ": ping - 2025\n\nevent: ping\ndata: {}\n\nevent: close\n\ndata:\n\nid: 8\n\n";
    assert!(t.body(1, noise).is_empty());
    assert!(t.machine.take_log().is_empty());
    assert!(t.body(1, "data: hello\n\ndata: [1]\n\n").is_empty());
    assert!(t.event(Event::Body { id: 1, data: b"data: \"\xff\"\n\n".to_vec() }).is_empty());
    let log: Vec<String> = t.machine.take_log().into_iter().map(|line| line.message).collect();
    let want = ["hello", "[1]", "\"\u{fffd}\""].map(|said| format!("skipped what is no JSON-RPC message: {said}"));
    assert_eq!(log, want);
}

/// What a connection ends with whose GET is answered so.
fn refused(status: u16, headers: &[(&str, &str)], body: &str) -> String {
    let mut t = Talk::started();
    let mut got = t.head(1, status, headers);
    if got.is_empty() {
        assert!(t.body(1, body).is_empty());
        got = t.end(1);
    }
    got.retain(|line| line != "cancel #1");
    assert_eq!(got.len(), 1, "{got:?}");
    got.remove(0)
}

#[test]
fn a_refused_stream_says_what_happened_and_what_to_do() {
    let html: &[(&str, &str)] = &[("content-type", "text/html")];
    let old = "does not speak the old HTTP+SSE transport";
    let advice = "Try streamable HTTP, or check the path.";
    for (status, headers, body, want) in [
        (401, NONE, "", "auth: srv wants a valid credential (HTTP 401). Renew the one that is registered, or add one.".into()),
        (403, NONE, "", "forbidden: srv does not allow this to the credential that is registered (HTTP 403).".into()),
        (404, html, "", format!("not-found: The URL of srv {old} (HTTP 404). {advice}")),
        (405, NONE, "no\nGET", format!("not-found: The URL of srv {old} (HTTP 405). {advice} It said: no GET")),
        (
            400,
            JSON,
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"No session"}}"#,
            format!("protocol: The URL of srv {old} (HTTP 400). {advice} It said: No session"),
        ),
        (406, NONE, "", format!("protocol: The URL of srv {old} (HTTP 406). {advice}")),
        (200, JSON, "{}", format!("protocol: The URL of srv {old} (HTTP 200). {advice} It said: {{}}")),
        (204, NONE, "", format!("protocol: The URL of srv {old} (HTTP 204). {advice}")),
        (200, html, "Please log in", "auth: srv answered with a page to sign in on. Register a credential for it, or renew it.".into()),
        (
            200,
            html,
            "<h1>Welcome",
            "protocol: srv answered with a web page, not with a message. The path of its URL may be wrong.".into(),
        ),
        (
            200,
            &[SSE[0], ("content-encoding", "br")],
            "",
            "protocol: srv answered in the encoding br, which was not asked for.".into(),
        ),
        (
            302,
            &[("location", "/login")],
            "",
            "protocol: srv redirects to /login (HTTP 302), and redirects are not followed. Register the URL that it names.".into(),
        ),
        (429, NONE, "", "rate-limited: srv takes no more requests for the moment (HTTP 429).".into()),
        (502, NONE, "", "unavailable: srv failed (HTTP 502).".into()),
    ] {
        assert_eq!(refused(status, headers, body), format!("closed {want}"));
    }
}

#[test]
fn what_waits_learns_all_that_the_refusal_says() {
    let mut t = Talk::started();
    t.client(1, INIT);
    let got = t.head(1, 401, &[("www-authenticate", "Bearer x"), ("retry-after", "2")]);
    let text = "srv wants a valid credential (HTTP 401). Renew the one that is registered, or add one.";
    let failed = format!("failed 1 401 auth 2000 [Bearer x]: {text}");
    assert_eq!(got, [failed, "cancel #1".into(), format!("closed auth: {text}")]);
}

#[test]
fn a_refusal_without_end_is_cut_off() {
    let mut t = Talk::started();
    t.head(1, 400, NONE);
    assert!(t.body(1, "why").is_empty());
    assert!(t.timer(2)[1].ends_with("It said: why"));
    let mut t = Talk::started();
    t.head(1, 400, NONE);
    assert_eq!(t.body(1, &"x".repeat(64 * 1024)).len(), 2);
}

#[test]
fn a_stream_that_cannot_be_had_ends_the_connection_with_the_hosts_reason() {
    for (code, text, want) in [
        ("unavailable", "refused", "unavailable: srv gave no answer: refused"),
        ("denied", "grant http to h", "denied: srv gave no answer: grant http to h"),
        ("timeout", "", "timeout: srv gave no answer."),
        ("", "", "protocol: srv gave no answer."),
    ] {
        assert_eq!(Talk::started().end_with(1, code, text), [format!("closed {want}")]);
    }
}

#[test]
fn a_first_answer_that_is_none_is_ignored() {
    let mut t = Talk::started();
    assert!(t.head(1, 103, NONE).is_empty());
    assert!(t.body(1, ENDPOINT).is_empty());
    t.head(1, 200, SSE);
    assert!(t.head(1, 500, NONE).is_empty(), "one answer has one head");
    assert_eq!(t.body(1, ENDPOINT), ["timer 2 0"]);
}
