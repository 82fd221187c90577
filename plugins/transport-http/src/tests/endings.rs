//! Cancelling and closing, in the older era.

use super::*;

#[test]
fn closing_ends_the_session() {
    let mut t = Talk::in_session();
    t.client(2, CALL);
    let want = [
        "failed 2 0 cancelled 0: The connection to srv was closed.".to_owned(),
        "cancel #3".into(),
        "cancel #4".into(),
        format!("#5 DELETE {IN_SESSION}"),
    ];
    assert_eq!(t.event(Event::Close), want);
    assert_eq!(t.client(3, LIST), ["failed 3 0 unavailable 0: The connection to srv is closed."]);
    assert_eq!(t.head(5, 405, NONE), ["closed : The connection to srv was closed."]);
    assert!(t.end(5).is_empty());
}

#[test]
fn closing_goes_on_where_the_server_is_gone_and_where_there_is_no_session() {
    let mut t = Talk::in_session();
    t.event(Event::Close);
    assert_eq!(t.end_with(4, "timeout", ""), ["closed : The connection to srv was closed."]);
    assert_eq!(Talk::new().event(Event::Close), ["closed : The connection to srv was closed."]);
}

#[test]
fn a_cancellation_is_sent_and_then_the_answer_is_not_waited_for() {
    let mut t = Talk::in_session();
    t.client(2, CALL);
    t.head(4, 200, SSE);
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}"#;
    assert_eq!(t.client(3, cancel), [format!("#5 POST {IN_SESSION} {cancel}")]);
    assert_eq!(t.head(5, 202, NONE), ["sent 3", "cancel #4"]);
    assert_eq!(t.client(4, cancel), ["sent 4"], "there is nothing left to cancel");
}

#[test]
fn a_message_that_nobody_waits_for_is_taken_back() {
    let mut t = Talk::in_session();
    t.client(2, CALL);
    let got = t.event(Event::SendDropped { id: 2 });
    assert_eq!(got, ["cancel #4", "failed 2 0 cancelled 0: The message to srv was cancelled."]);
    assert!(t.event(Event::SendDropped { id: 2 }).is_empty());
}

#[test]
fn a_stream_that_ends_while_its_call_is_cancelled_is_not_resumed() {
    let mut t = Talk::in_session();
    t.client(2, CALL);
    t.head(4, 200, SSE);
    t.body(4, "id: e1\ndata:\n\n");
    t.client(3, r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}"#);
    assert!(t.end(4).is_empty());
    assert_eq!(t.head(5, 202, NONE), ["sent 3"]);
}
