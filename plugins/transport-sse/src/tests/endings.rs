//! Cancelling, closing, and the end of the stream.

use super::*;

#[test]
fn the_connection_ends_with_its_stream() {
    for (code, text, want) in [
        ("", "", "unavailable: srv ended the stream."),
        ("unavailable", "reset", "unavailable: srv ended the stream: reset"),
        ("timeout", "", "unavailable: srv ended the stream."),
        ("denied", "withdrawn", "denied: srv ended the stream: withdrawn"),
    ] {
        let mut t = Talk::open();
        t.client(1, LIST);
        t.head(2, 202, NONE);
        t.body(1, "data: {\"jsonrpc\":\"2.0\",");
        assert_eq!(t.end_with(1, code, text), ["cancel #2".to_owned(), format!("closed {want}")]);
        assert!(t.end(1).is_empty());
        assert!(t.body(1, &sse(LIST_OK)).is_empty());
        assert!(t.event(Event::Close).is_empty());
        assert_eq!(t.client(2, LIST), ["failed 2 0 unavailable 0: The connection to srv is closed."]);
    }
}

#[test]
fn what_was_not_taken_when_the_stream_ends_fails_as_it_must() {
    let mut t = Talk::open();
    t.client(1, CALL);
    t.client(2, INIT);
    t.client(3, LIST);
    let want = [
        "failed 3 0 unavailable 0: srv ended the stream.",
        "failed 1 0 outcome-unknown 0: srv ended the stream.",
        "cancel #2",
        "failed 2 0 unavailable 0: srv ended the stream.",
        "cancel #3",
        "closed unavailable: srv ended the stream.",
    ];
    assert_eq!(t.end(1), want);
}

#[test]
fn what_came_before_the_end_is_delivered_first() {
    let mut t = Talk::open();
    let note = |n: usize| format!(r#"{{"jsonrpc":"2.0","method":"{n}"}}"#);
    let all: String = (0..1_200).map(|n| sse(&note(n))).collect();
    let mut got = t.body(1, &all);
    assert_eq!(got.pop(), Some("timer 1 1".to_owned()));
    got.extend(t.end(1));
    let mut want: Vec<String> = (0..1_200).map(|n| format!("deliver #1 {}", note(n))).collect();
    want.push("closed unavailable: srv ended the stream.".into());
    assert_eq!(got, want);
}

#[test]
fn closing_drops_everything() {
    let mut t = Talk::open();
    t.client(1, INIT);
    t.client(2, CALL);
    let want = [
        "failed 2 0 cancelled 0: The connection to srv was closed.",
        "failed 1 0 cancelled 0: The connection to srv was closed.",
        "cancel #2",
        "cancel #1",
        "closed : The connection to srv was closed.",
    ];
    assert_eq!(t.event(Event::Close), want);
    assert!(t.event(Event::Close).is_empty());
    assert_eq!(Talk::new().event(Event::Close), ["closed : The connection to srv was closed."]);
    assert_eq!(Talk::started().event(Event::Close), ["cancel #1", "closed : The connection to srv was closed."]);
}

#[test]
fn a_message_that_nobody_waits_for_is_taken_back() {
    let failed = |id: u64| format!("failed {id} 0 cancelled 0: The message to srv was cancelled.");
    let mut t = Talk::started();
    t.client(1, INIT);
    assert_eq!(t.event(Event::SendDropped { id: 1 }), [failed(1)]);
    t.head(1, 200, SSE);
    assert_eq!(t.body(1, ENDPOINT), ["timer 2 0"]);
    t.client(2, CALL);
    assert_eq!(t.event(Event::SendDropped { id: 2 }), ["cancel #2".to_owned(), failed(2)]);
    assert!(t.event(Event::SendDropped { id: 2 }).is_empty());
    t.client(3, LIST);
    t.head(3, 200, JSON);
    assert!(t.event(Event::SendDropped { id: 3 }).is_empty(), "it was sent");
    t.body(3, LIST_OK);
    assert_eq!(t.end(3), [format!("deliver #3 {LIST_OK}")]);
}

#[test]
fn a_cancellation_is_passed_on_like_any_message() {
    let mut t = Talk::open();
    t.client(1, CALL);
    t.head(2, 202, NONE);
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}"#;
    assert_eq!(t.client(2, cancel), [format!("#3 POST /messages?s=1 {cancel}")]);
}
