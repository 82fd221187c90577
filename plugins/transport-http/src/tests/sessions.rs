//! The older era: `initialize`, sessions, their loss and their end.

use super::*;

#[test]
fn headers_in_full() {
    let mut machine = Machine::new(Settings {
        name: "srv".into(),
        url: Some("https://h/mcp".into()),
        headers: vec![Header { name: "authorization".into(), value: HeaderValue::Credential("key".into()) }],
    })
    .unwrap();
    let text = |name: &str, value: &str| Header { name: name.into(), value: HeaderValue::Text(value.into()) };
    let key = Header { name: "authorization".into(), value: HeaderValue::Credential("key".into()) };
    let message = |machine: &mut Machine, id, data: &str| {
        let actions = machine.handle(Event::Message { id, data: data.into() }).unwrap();
        actions
            .into_iter()
            .find_map(|action| match action {
                Action::Request { request, .. } => Some(request),
                _ => None,
            })
            .unwrap()
    };
    let request = message(&mut machine, 1, INIT);
    let accept = text("accept", "application/json, text/event-stream");
    let json = text("content-type", "application/json");
    assert_eq!(request.headers, [json.clone(), accept.clone(), key.clone()]);
    assert_eq!((request.timeout_ms, request.idle_timeout_ms), (60_000, 60_000));
    let mut talk = Talk { machine };
    talk.head(1, 200, &[JSON[0], ("mcp-session-id", "s-1")]);
    talk.body(1, INIT_OK);
    talk.end(1);
    let (version, session) = (text("mcp-protocol-version", "2025-11-25"), text("mcp-session-id", "s-1"));
    let request = message(&mut talk.machine, 2, INITIALIZED);
    assert_eq!(request.headers, [json.clone(), accept.clone(), version.clone(), session.clone(), key.clone()]);
    assert_eq!((request.timeout_ms, request.idle_timeout_ms), (30_000, 30_000));
    let actions = talk.machine.handle(Event::Response { id: 2, status: 202, headers: vec![] }).unwrap();
    let Some(Action::Request { request, .. }) = actions.get(1) else {
        panic!("{actions:?}");
    };
    let stream = text("accept", "text/event-stream");
    assert_eq!(request.headers, [stream, version.clone(), session.clone(), key.clone()]);
    assert_eq!((request.method, request.timeout_ms, request.idle_timeout_ms), ("GET", 60_000, 0));
    let request = message(&mut talk.machine, 3, CALL);
    assert_eq!(request.headers, [json, accept, version, session, key]);
    assert_eq!((request.timeout_ms, request.idle_timeout_ms), (600_000, 600_000));
}

#[test]
fn a_handshake_with_json() {
    let mut t = Talk::new();
    assert!(t.event(Event::Start).is_empty());
    assert_eq!(t.client(1, INIT), [format!("#1 POST {INIT}")]);
    assert!(t.head(1, 200, &[JSON[0], ("mcp-session-id", "s-1")]).is_empty());
    assert!(t.body(1, &INIT_OK[..20]).is_empty());
    assert!(t.body(1, &INIT_OK[20..]).is_empty());
    assert_eq!(t.end(1), ["sent 1".to_owned(), format!("deliver #1 {INIT_OK}")]);
    assert_eq!(t.client(2, INITIALIZED), [format!("#2 POST {IN_SESSION} {INITIALIZED}")]);
    assert_eq!(t.head(2, 202, NONE), ["sent 2".to_owned(), format!("#3 GET {IN_SESSION}")]);
}

#[test]
fn a_handshake_with_an_event_stream_delivers_what_comes_before_the_answer() {
    let mut t = Talk::new();
    t.client(1, INIT);
    assert_eq!(t.head(1, 200, &[SSE[0], ("mcp-session-id", "s-1")]), ["sent 1"]);
    assert_eq!(t.body(1, &sse(PROGRESS)), [format!("deliver #1 {PROGRESS}")]);
    // What the server asks meanwhile is answered at once, in the session that it offers.
    let pong = r#"{"jsonrpc":"2.0","id":9,"result":{}}"#;
    assert_eq!(t.client(2, pong), [format!("#2 POST mcp-session-id=s-1 {pong}")]);
    assert_eq!(t.head(2, 202, NONE), ["sent 2"]);
    assert_eq!(t.body(1, &sse(INIT_OK)), [format!("deliver #1 {INIT_OK}"), "timer 2 1000".into()]);
    assert_eq!(t.end(1), ["timer 2 0"]);
    assert_eq!(t.client(3, INITIALIZED), [format!("#3 POST {IN_SESSION} {INITIALIZED}")]);
}

#[test]
fn nothing_overtakes_initialize_and_initialized() {
    let mut t = Talk::new();
    t.client(1, INIT);
    assert!(t.client(2, INITIALIZED).is_empty());
    assert!(t.client(3, LIST).is_empty());
    let got = t.json(1, 200, INIT_OK);
    let bare = "mcp-protocol-version=2025-11-25";
    assert_eq!(got, ["sent 1".into(), format!("deliver #1 {INIT_OK}"), format!("#2 POST {bare} {INITIALIZED}")]);
    let got = t.head(2, 204, NONE);
    assert_eq!(got, ["sent 2".into(), format!("#3 GET {bare}"), format!("#4 POST {bare} {LIST}")]);
}

#[test]
fn initialize_that_is_refused_frees_the_way() {
    let mut t = Talk::new();
    t.client(1, INIT);
    let refused = r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32602,"message":"no"}}"#;
    assert_eq!(t.json(1, 200, refused), ["sent 1".to_owned(), format!("deliver #1 {refused}")]);
    assert_eq!(t.client(2, INIT), [format!("#2 POST {INIT}")]);
}

#[test]
fn a_session_id_that_cannot_be_sent_back_is_refused() {
    let mut t = Talk::new();
    t.client(1, INIT);
    let got = t.head(1, 200, &[JSON[0], ("mcp-session-id", "a b")]);
    assert_eq!(got, ["cancel #1", "failed 1 200 protocol 0: srv gave a session id that cannot be sent back."]);
}

#[test]
fn a_forgotten_session_is_renewed_and_the_request_repeated_once() {
    let mut t = Talk::in_session();
    assert_eq!(t.client(2, CALL), [format!("#4 POST {IN_SESSION} {CALL}")]);
    // `initialize` without version and session.
    assert_eq!(t.head(4, 404, JSON), ["cancel #4".to_owned(), format!("#5 POST {INIT}")]);
    assert!(t.client(3, LIST).is_empty(), "waits for the new session");
    t.head(5, 200, &[JSON[0], ("mcp-session-id", "s-2")]);
    t.body(5, INIT_OK);
    let new = IN_SESSION.replace("s-1", "s-2");
    assert_eq!(t.end(5), [format!("#6 POST {new} {INITIALIZED}")]);
    let got = t.head(6, 202, NONE);
    let want = [
        "cancel #3".to_owned(),
        format!("#7 GET {new}"),
        format!("#8 POST {new} {CALL}"),
        format!("#9 POST {new} {LIST}"),
    ];
    assert_eq!(got, want);
    assert_eq!(t.json(8, 200, CALL_OK), ["sent 2".to_owned(), format!("deliver #8 {CALL_OK}")]);
    // A second 404 for the same message is the end of it, not of the connection.
    assert_eq!(t.head(9, 404, NONE)[0], "cancel #9");
}

#[test]
fn a_repeated_request_is_not_repeated_again() {
    let mut t = Talk::in_session();
    t.client(2, CALL);
    t.head(4, 404, NONE);
    t.head(5, 200, &[JSON[0], ("mcp-session-id", "s-2")]);
    t.body(5, INIT_OK);
    t.end(5);
    t.head(6, 202, NONE);
    assert_eq!(t.head(8, 404, NONE), ["cancel #8", "failed 2 404 unavailable 0: srv has ended the session."]);
}

#[test]
fn what_waited_in_the_old_session_is_answered_with_an_error() {
    let mut t = Talk::in_session();
    t.client(1, LIST);
    t.head(4, 200, SSE);
    t.client(2, CALL);
    t.head(5, 404, NONE);
    t.head(6, 200, JSON);
    t.body(6, INIT_OK);
    t.end(6);
    let got = t.head(7, 202, NONE);
    let lost = error(1, -32603, "srv ended the session before it answered.", "unavailable");
    assert_eq!(got[..3], ["cancel #3".to_owned(), "cancel #4".into(), format!("deliver #4 {lost}")]);
}

#[test]
fn a_server_that_comes_back_different_closes_the_connection() {
    let mut t = Talk::in_session();
    t.client(2, CALL);
    t.head(4, 404, NONE);
    let got = t.json(5, 200, &INIT_OK.replace("\"version\":\"1\"", "\"version\":\"2\""));
    let text = "srv has ended the session, and offers other things now. Connect again to see them.";
    let failed = format!("failed 2 404 unavailable 0: srv has ended the session, and no new one could be had: {text}");
    assert_eq!(got, [failed, "cancel #3".into(), format!("closed unavailable: {text}")]);
}

#[test]
fn a_session_with_state_of_the_clients_is_not_renewed_behind_its_back() {
    for message in [
        r#"{"jsonrpc":"2.0","id":5,"method":"resources/subscribe","params":{"uri":"a:b"}}"#,
        r#"{"jsonrpc":"2.0","id":5,"method":"logging/setLevel","params":{"level":"info"}}"#,
        r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t","task":{}}}"#,
    ] {
        let mut t = Talk::in_session();
        t.client(2, message);
        t.json(4, 200, r#"{"jsonrpc":"2.0","id":5,"result":{}}"#);
        t.client(3, CALL);
        let want = [
            "cancel #5",
            "failed 3 404 unavailable 0: srv has ended the session.",
            "cancel #3",
            "closed unavailable: srv has ended the session. Connect again to begin another.",
        ];
        assert_eq!(t.head(5, 404, NONE), want, "{message}");
    }
}

#[test]
fn a_renewal_that_fails_fails_what_waited() {
    type Break = fn(&mut Talk) -> Vec<String>;
    let cases: [(&str, Break); 4] = [
        ("srv is not available for the moment (HTTP 503).", |t| t.head(5, 503, NONE)),
        ("it gave no answer refused", |t| t.end_with(5, "unavailable", "refused")),
        ("it gave no answer", |t| t.json(5, 200, "<html>")),
        (r#"{"code":1,"message":"no"}"#, |t| {
            t.json(5, 200, r#"{"jsonrpc":"2.0","id":0,"error":{"code":1,"message":"no"}}"#)
        }),
    ];
    for (why, break_it) in cases {
        let mut t = Talk::in_session();
        t.client(2, CALL);
        t.head(4, 404, NONE);
        let got = break_it(&mut t);
        let want = format!("failed 2 404 unavailable 0: srv has ended the session, and no new one could be had: {why}");
        assert_eq!(got.last(), Some(&want));
        assert_eq!(t.client(3, LIST).len(), 1, "the next message tries again");
    }
}

#[test]
fn an_answer_to_the_old_session_is_not_carried_into_the_new() {
    let mut t = Talk::in_session();
    t.client(2, CALL);
    t.head(4, 404, NONE);
    let got = t.client(3, r#"{"jsonrpc":"2.0","id":9,"result":{}}"#);
    assert_eq!(got, ["failed 3 0 unavailable 0: The session of srv in which this was asked has ended."]);
}

#[test]
fn two_requests_that_find_the_session_gone_share_one_renewal() {
    let mut t = Talk::in_session();
    t.client(2, CALL);
    t.client(3, LIST);
    assert_eq!(t.head(5, 404, NONE), ["cancel #5".to_owned(), format!("#6 POST {INIT}")]);
    assert_eq!(t.head(4, 404, NONE), ["cancel #4"]);
    t.head(6, 200, &[JSON[0], ("mcp-session-id", "s-2")]);
    t.body(6, INIT_OK);
    t.end(6);
    let new = IN_SESSION.replace("s-1", "s-2");
    let got = t.head(7, 202, NONE);
    let again = [format!("#9 POST {new} {CALL}"), format!("#10 POST {new} {LIST}")];
    assert_eq!(got[2..], again, "in the order of the client");
}

#[test]
fn a_repeated_barrier_does_not_bar_itself() {
    let mut t = Talk::in_session();
    let discover = r#"{"jsonrpc":"2.0","id":5,"method":"server/discover"}"#;
    t.client(2, discover);
    t.client(3, LIST);
    t.head(4, 404, NONE);
    t.head(5, 200, &[JSON[0], ("mcp-session-id", "s-2")]);
    t.body(5, INIT_OK);
    t.end(5);
    let got = t.head(6, 202, NONE);
    let new = IN_SESSION.replace("s-1", "s-2");
    assert_eq!(got.last(), Some(&format!("#8 POST {new} {discover}")));
    let answer = r#"{"jsonrpc":"2.0","id":5,"error":{"code":-32601,"message":"no"}}"#;
    let got = t.json(8, 200, answer);
    assert_eq!(got.last(), Some(&format!("#9 POST {new} {LIST}")));
}

#[test]
fn another_initialize_ends_what_waits_in_the_session_before() {
    let mut t = Talk::in_session();
    t.client(2, CALL);
    t.head(4, 202, NONE);
    let init = INIT.replace("\"id\":0", "\"id\":8");
    let lost = error(2, -32603, "The client began another session with srv.", "outcome-unknown");
    let want = [format!("deliver #4 {lost}"), "cancel #3".into(), format!("#5 POST {init}")];
    assert_eq!(t.client(3, &init), want);
}
