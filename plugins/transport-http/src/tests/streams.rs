//! Event streams: where they end, how they go on, and the GET stream.

use super::*;

#[test]
fn a_stream_delivers_in_order_and_is_left_to_end_after_the_answer() {
    let mut t = Talk::in_session();
    t.client(2, CALL);
    assert_eq!(t.head(4, 200, SSE), ["sent 2"]);
    let bytes = format!("\u{feff}: hello\r\n\r\nevent: ping\ndata: x\n\n{}{}", sse(PROGRESS), sse(CALL_OK));
    let (first, second) = bytes.split_at(bytes.len() - 30);
    assert_eq!(t.body(4, first), [format!("deliver #4 {PROGRESS}")]);
    assert_eq!(t.body(4, second), [format!("deliver #4 {CALL_OK}"), "timer 2 1000".into()]);
    assert_eq!(t.body(4, &sse(PROGRESS)), [format!("deliver #4 {PROGRESS}")]);
    assert_eq!(t.timer(2), ["cancel #4"]);
}

#[test]
fn a_message_over_several_data_lines_is_one_message() {
    let mut t = Talk::in_session();
    t.client(2, CALL);
    t.head(4, 200, SSE);
    let got = t.body(4, "data: {\"jsonrpc\":\"2.0\",\rdata: \"id\":2,\r\ndata:\"result\":{}}\n\n");
    assert_eq!(got[0], "deliver #4 {\"jsonrpc\":\"2.0\",\n\"id\":2,\n\"result\":{}}");
}

#[test]
fn a_stream_that_ends_without_the_answer_is_an_error() {
    for (code, text, want) in [
        ("", "", "srv broke off before its answer was complete."),
        ("unavailable", "reset", "srv broke off before its answer was complete: reset"),
    ] {
        let mut t = Talk::in_session();
        t.client(2, CALL);
        t.client(3, LIST);
        t.head(4, 200, SSE);
        t.head(5, 200, SSE);
        let lost = error(2, -32603, want, "outcome-unknown");
        assert_eq!(t.end_with(4, code, text), [format!("deliver #4 {lost}")]);
        let lost = error(1, -32603, want, "unavailable");
        assert_eq!(t.end_with(5, code, text), [format!("deliver #5 {lost}")]);
    }
}

#[test]
fn a_stream_that_named_an_event_is_resumed_from_it() {
    let mut t = Talk::in_session();
    t.client(2, CALL);
    t.head(4, 200, SSE);
    assert!(t.body(4, "id: e1\nretry: 250\ndata:\n\n").is_empty());
    assert_eq!(t.end(4), ["timer 2 250"]);
    assert_eq!(t.timer(2), [format!("#5 GET {IN_SESSION} last-event-id=e1")]);
    t.head(5, 200, SSE);
    // It belongs to the POST, also on a GET.
    assert_eq!(t.body(5, &format!("id: e2\n{}", sse(PROGRESS))), [format!("deliver #4 {PROGRESS}")]);
    assert_eq!(t.end_with(5, "unavailable", "reset"), ["timer 3 250"]);
    assert_eq!(t.timer(3), [format!("#6 GET {IN_SESSION} last-event-id=e2")]);
    t.head(6, 200, SSE);
    assert_eq!(t.body(6, &sse(CALL_OK))[0], format!("deliver #4 {CALL_OK}"));
}

#[test]
fn resuming_waits_longer_each_time_and_ends() {
    let mut t = Talk::in_session();
    t.client(2, CALL);
    t.head(4, 200, SSE);
    t.body(4, "id: e1\ndata:\n\n");
    assert_eq!(t.end(4), ["timer 2 1000"]);
    for (n, delay) in [(0, 2_000), (1, 4_000), (2, 8_000), (3, 16_000)] {
        t.timer(n + 2);
        assert_eq!(t.head(n + 5, 503, NONE), [format!("cancel #{}", n + 5), format!("timer {} {delay}", n + 3)]);
    }
    t.timer(6);
    let lost = error(2, -32603, "srv broke off before its answer was complete: HTTP 503", "outcome-unknown");
    assert_eq!(t.head(9, 503, NONE), ["cancel #9".to_owned(), format!("deliver #4 {lost}")]);
}

#[test]
fn resuming_that_is_refused_ends_at_once() {
    let mut t = Talk::in_session();
    t.client(2, CALL);
    t.head(4, 200, SSE);
    t.body(4, "id: e1\ndata:\n\n");
    t.end(4);
    t.timer(2);
    let text = "srv broke off before its answer was complete: its stream could not be resumed (HTTP 404)";
    let lost = error(2, -32603, text, "outcome-unknown");
    assert_eq!(t.head(5, 404, NONE), ["cancel #5".to_owned(), format!("deliver #4 {lost}")]);
}

#[test]
fn the_get_stream_delivers_and_comes_back() {
    let mut t = Talk::in_session();
    assert_eq!(t.body(3, &format!("id: 7\n{}", sse(PROGRESS))), [format!("deliver #3 {PROGRESS}")]);
    assert_eq!(t.end(3), ["timer 2 1000"]);
    assert_eq!(t.timer(2), [format!("#4 GET {IN_SESSION} last-event-id=7")]);
    assert_eq!(t.head(4, 429, &[("retry-after", "30")]), ["cancel #4", "timer 3 30000"]);
    t.timer(3);
    assert_eq!(t.end_with(5, "unavailable", "refused"), ["timer 4 4000"]);
}

#[test]
fn a_server_without_get_stream_is_not_asked_again() {
    for status in [405, 404, 400, 200] {
        let mut t = Talk::in_session_with_stream(status, NONE);
        assert!(t.end(3).is_empty());
        assert!(t.machine.take_log()[0].message.starts_with("the server offers no stream of its own"));
        assert_eq!(t.client(2, LIST), [format!("#4 POST {IN_SESSION} {LIST}")]);
    }
}

#[test]
fn an_answer_may_come_on_the_get_stream() {
    let mut t = Talk::in_session();
    t.client(2, CALL);
    assert_eq!(t.head(4, 202, NONE), ["sent 2"]);
    t.end(4);
    assert_eq!(t.body(3, &sse(CALL_OK)), [format!("deliver #3 {CALL_OK}")]);
    // Also before the POST was answered.
    t.client(3, LIST);
    let got = t.body(3, &sse(LIST_OK));
    assert_eq!(got, ["sent 3".to_owned(), format!("deliver #3 {LIST_OK}"), "timer 2 1000".into()]);
}

#[test]
fn a_request_taken_without_any_way_to_answer_is_an_error() {
    for status in [202, 204] {
        let mut t = Talk::in_session_with_stream(405, NONE);
        t.client(2, LIST);
        let text = "srv took the request without an answer, and there is no stream on which one could come.";
        let lost = error(1, -32603, text, "protocol");
        assert_eq!(t.head(4, status, NONE), ["sent 2".to_owned(), format!("deliver #4 {lost}")]);
    }
}

#[test]
fn what_waits_for_the_get_stream_fails_with_it() {
    let mut t = Talk::in_session();
    t.client(2, CALL);
    t.head(4, 202, NONE);
    t.end(3);
    t.timer(2);
    let text = "srv closed the stream on which the answer would have come.";
    let lost = error(2, -32603, text, "outcome-unknown");
    assert_eq!(t.head(5, 405, NONE), [format!("deliver #4 {lost}")]);
}

#[test]
fn what_is_no_message_is_skipped_and_logged() {
    let mut t = Talk::in_session();
    t.client(2, CALL);
    t.head(4, 200, SSE);
    assert!(t.body(4, "data: hello\n\ndata: {\"a\":1}\n\n").is_empty());
    assert!(t.body(4, &sse(r#"{"jsonrpc":"2.0","id":99,"result":{}}"#)).is_empty());
    let log: Vec<String> = t.machine.take_log().into_iter().map(|line| line.message).collect();
    let want = [
        "skipped what is no JSON-RPC message: hello",
        "skipped what is no JSON-RPC message: {\"a\":1}",
        "skipped an answer to no request that is open",
    ];
    assert_eq!(log, want);
}

#[test]
fn an_id_in_another_spelling_still_finds_its_request() {
    let mut t = Talk::in_session();
    t.client(2, CALL);
    let answer = r#"{"jsonrpc":"2.0","id":"2","result":{}}"#;
    assert_eq!(t.json(4, 200, answer), ["sent 2".to_owned(), format!("deliver #4 {answer}")]);
}

#[test]
fn a_batch_is_taken_apart() {
    let mut t = Talk::in_session();
    t.client(2, CALL);
    let got = t.json(4, 200, &format!("[{PROGRESS}, {CALL_OK}]"));
    assert_eq!(got, [format!("deliver #4 {PROGRESS}"), "sent 2".into(), format!("deliver #4 {CALL_OK}")]);
}

#[test]
fn an_answer_to_a_request_that_was_never_sent_is_none() {
    let mut t = Talk::new();
    t.client(1, INIT);
    t.client(2, CALL);
    t.head(1, 200, SSE);
    assert!(t.body(1, &sse(CALL_OK)).is_empty());
    let got = t.body(1, &sse(INIT_OK));
    assert_eq!(got[2], format!("#2 POST mcp-protocol-version=2025-11-25 {CALL}"));
}
