//! The POSTs and the answers to them.

use super::*;

#[test]
fn any_success_is_taken_and_what_it_says_besides_is_ignored() {
    let text: &[(&str, &str)] = &[("content-type", "text/plain")];
    for (status, headers, body) in [
        (202, text, "Accepted"),
        (200, NONE, ""),
        (204, NONE, ""),
        (200, JSON, "{\"status\":\"ok\"}"),
        (200, JSON, "\"Accepted\""),
        (200, JSON, ""),
        (200, JSON, CALL_OK),
        (200, JSON, r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#),
        (200, &[JSON[0], ("content-encoding", "br")], LIST_OK),
        (200, SSE, "data: {}\n\n"),
    ] {
        let mut t = Talk::open();
        t.client(1, LIST);
        assert_eq!(t.answer(2, status, headers, body), ["sent 1"], "{status} {headers:?} {body}");
        assert_eq!(t.body(1, &sse(LIST_OK)), [format!("deliver #1 {LIST_OK}")]);
    }
}

#[test]
fn an_answer_to_the_post_itself_is_delivered() {
    let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}"#;
    for (body, want) in [
        (LIST_OK, LIST_OK.to_owned()),
        (&*LIST_OK.replace(":1,", ":\"1\","), LIST_OK.replace(":1,", ":\"1\",")),
        (error, error.replace("null", "1")),
    ] {
        let mut t = Talk::open();
        t.client(1, LIST);
        assert_eq!(t.answer(2, 200, JSON, body), ["sent 1".to_owned(), format!("deliver #2 {want}")]);
    }
}

#[test]
fn an_answer_on_the_stream_and_to_the_post_is_one() {
    let mut t = Talk::open();
    t.client(1, LIST);
    assert_eq!(t.head(2, 200, JSON), ["sent 1"]);
    t.body(2, LIST_OK);
    assert_eq!(t.body(1, &sse(LIST_OK)), [format!("deliver #1 {LIST_OK}")]);
    assert!(t.end(2).is_empty());
}

#[test]
fn an_answer_that_breaks_off_may_still_come_on_the_stream() {
    let mut t = Talk::open();
    t.client(1, LIST);
    t.head(2, 200, JSON);
    t.body(2, "{\"json");
    assert!(t.end_with(2, "unavailable", "reset").is_empty());
    assert_eq!(t.machine.take_log()[0].message, "the answer to a POST broke off");
    assert_eq!(t.body(1, &sse(LIST_OK)), [format!("deliver #1 {LIST_OK}")]);
}

/// What a tool call fails with when its POST is answered so.
fn answered(status: u16, headers: &[(&str, &str)], body: &str) -> String {
    let mut t = Talk::open();
    t.client(1, CALL);
    let mut got = t.head(2, status, headers);
    if got.is_empty() {
        assert!(t.body(2, body).is_empty());
        got = t.end(2);
    }
    got.retain(|line| line != "cancel #2");
    assert_eq!(got.len(), 1, "{got:?}");
    got.remove(0)
}

#[test]
fn refusals_say_what_happened_and_what_to_do() {
    let credential = "srv wants a valid credential (HTTP 401). Renew the one that is registered, or add one.";
    let address = |status: u16| {
        format!("srv takes no messages at the address that it named for them (HTTP {status}). Connect again.")
    };
    let date = [("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"), ("date", "Sun, 06 Nov 1994 08:49:37 GMT")];
    for (status, headers, body, want) in [
        (401, &[("www-authenticate", "Bearer x")][..], "", format!("401 auth 0 [Bearer x]: {credential}")),
        (
            403,
            NONE,
            "",
            "403 forbidden 0: srv does not allow this to the credential that is registered (HTTP 403).".into(),
        ),
        (404, NONE, "no session", format!("404 not-found 0: {}", address(404))),
        (405, NONE, "", format!("405 unsupported 0: {}", address(405))),
        (410, NONE, "", format!("410 not-found 0: {}", address(410))),
        (
            429,
            &[("retry-after", "7")],
            "",
            "429 rate-limited 7000: srv takes no more requests for the moment (HTTP 429).".into(),
        ),
        (503, &date, "", "503 unavailable 60000: srv is not available for the moment (HTTP 503).".into()),
        (
            500,
            NONE,
            "",
            "500 outcome-unknown 0: srv failed (HTTP 500); whether it carried the request out is not known.".into(),
        ),
        (
            400,
            NONE,
            "missing\nfield",
            "400 protocol 0: srv refused the message (HTTP 400). It said: missing field".into(),
        ),
        (413, NONE, "", "413 too-large 0: srv takes no message of this size (HTTP 413).".into()),
    ] {
        assert_eq!(answered(status, headers, body), format!("failed 1 {want}"));
    }
}

#[test]
fn a_refusal_leaves_the_connection_open() {
    let mut t = Talk::open();
    t.client(1, CALL);
    t.answer(2, 400, NONE, "no");
    assert_eq!(t.client(2, LIST), [format!("#3 POST /messages?s=1 {LIST}")]);
}

#[test]
fn a_message_that_never_arrived_says_so() {
    for (code, text, want) in [
        ("unavailable", "connection refused", "unavailable 0: srv gave no answer: connection refused"),
        ("outcome-unknown", "reset", "outcome-unknown 0: srv gave no answer: reset"),
        ("timeout", "", "timeout 0: srv gave no answer."),
        ("", "", "protocol 0: srv gave no answer."),
    ] {
        let mut t = Talk::open();
        t.client(1, CALL);
        assert_eq!(t.end_with(2, code, text), [format!("failed 1 0 {want}")]);
    }
}

#[test]
fn an_answer_of_the_clients_overtakes_the_handshake() {
    let mut t = Talk::open();
    t.client(1, INIT);
    assert!(t.client(2, INITIALIZED).is_empty());
    let pong = r#"{"jsonrpc":"2.0","id":"p","result":{}}"#;
    assert_eq!(t.client(3, pong), [format!("#3 POST /messages?s=1 {pong}")]);
    assert_eq!(t.head(2, 202, NONE), ["sent 1".to_owned(), format!("#4 POST /messages?s=1 {INITIALIZED}")]);
}

#[test]
fn a_handshake_that_fails_holds_up_nothing() {
    let mut t = Talk::open();
    t.client(1, INIT);
    t.client(2, LIST);
    let got = t.end_with(2, "timeout", "");
    assert_eq!(got, ["failed 1 0 timeout 0: srv gave no answer.".to_owned(), format!("#3 POST /messages?s=1 {LIST}")]);
}

#[test]
fn what_is_no_message_of_the_clients_fails() {
    let mut t = Talk::open();
    assert_eq!(t.client(1, "hello"), ["failed 1 0 invalid 0: This is no JSON-RPC message."]);
}
