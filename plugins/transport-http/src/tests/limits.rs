//! The bounds, each at its edge.

use super::*;

fn numbered(id: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#)
}

#[test]
fn requests_over_the_bound_wait_and_messages_over_the_bound_fail() {
    let mut t = Talk::in_session();
    let open = MAX_OPEN_REQUESTS - 1; // the GET stream is one of them
    for n in 1..=MAX_CALLS {
        assert_eq!(t.client(n as u64, &numbered(n)).len(), usize::from(n <= open), "{n}");
    }
    let over = t.client(999, &numbered(999));
    let want = "failed 999 0 rate-limited 0: Too many messages to srv are under way; wait until some are answered.";
    assert_eq!(over, [want]);
    // An answer makes room for the next.
    let got = t.json(4, 200, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    assert_eq!(got.len(), 3, "{got:?}");
    assert!(got[2].ends_with(&numbered(open + 1)), "{}", got[2]);
    // One that waits is cancelled without the server's ever hearing of it.
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":200}}"#;
    let got = t.client(1_001, cancel);
    assert_eq!(got, ["failed 200 0 cancelled 0: The message to srv was cancelled.", "sent 1001"]);
    // One that is under way is cancelled although no request may be opened otherwise.
    let got = t.client(1_002, &cancel.replace("200", "2"));
    assert!(got[0].starts_with("#68 POST"), "{got:?}");
}

#[test]
fn a_message_over_the_limit_fails() {
    let mut t = Talk::in_session();
    let long = |len: usize| {
        let frame = r#"{"jsonrpc":"2.0","id":2,"method":"m","params":{"a":""}}"#;
        frame.replace("\"\"", &format!("\"{}\"", "x".repeat(len - frame.len())))
    };
    let want =
        "failed 2 0 too-large 0: A message of 4128769 bytes is over the 4128768 bytes that a transport can carry.";
    assert_eq!(t.client(2, &long(MAX_MESSAGE_BYTES + 1)), [want]);
    assert_eq!(t.client(3, &long(MAX_MESSAGE_BYTES)).len(), 1);
}

#[test]
fn an_answer_over_the_limit_is_an_error_and_one_at_the_limit_is_not() {
    let frame = r#"{"jsonrpc":"2.0","id":2,"result":""}"#;
    let fits = frame.replace("\"\"", &format!("\"{}\"", "x".repeat(MAX_MESSAGE_BYTES - frame.len())));
    for (extra, json) in [(false, true), (true, true), (false, false), (true, false)] {
        let mut t = Talk::in_session();
        t.client(2, CALL);
        t.head(4, 200, if json { JSON } else { SSE });
        let mut body = if json { fits.clone() } else { format!("data:{fits}") };
        if extra {
            body.insert(body.len() - 1, ' ');
        }
        let mut got = Vec::new();
        for piece in body.as_bytes().chunks(64 * 1024) {
            got.extend(t.body(4, std::str::from_utf8(piece).unwrap()));
        }
        got.extend(if json { t.end(4) } else { t.body(4, "\n\n") });
        let lost = error(2, -32603, "srv sent more than the 4128768 bytes that one message may have.", "too-large");
        match extra {
            true => assert!(got.contains(&format!("deliver #4 {lost}")), "{json}"),
            false => assert!(got.contains(&format!("deliver #4 {fits}")), "{json}"),
        }
    }
}

#[test]
fn more_than_an_answer_takes_follows_by_timer_in_order() {
    let mut t = Talk::in_session();
    let note = |n: usize| format!(r#"{{"jsonrpc":"2.0","method":"{n}"}}"#);
    let all: String = (0..1_500).map(|n| sse(&note(n))).collect();
    let mut got = t.body(3, &all);
    assert_eq!(got.pop(), Some("timer 1 1".to_owned()));
    assert_eq!(got.len(), MAX_ANSWER_ACTIONS);
    got.extend(t.timer(1));
    let want: Vec<String> = (0..1_500).map(|n| format!("deliver #3 {}", note(n))).collect();
    assert_eq!(got, want);
}

#[test]
fn a_flood_closes_the_connection() {
    let mut t = Talk::in_session();
    let burst = sse(r#"{"jsonrpc":"2.0","method":"x"}"#).repeat(1_600);
    for _ in 0..100 {
        let got = t.body(3, &burst);
        if let Some(last) = got.last().filter(|line| line.starts_with("closed")) {
            assert_eq!(last, "closed too-large: srv sends messages faster than they can be read.");
            return;
        }
    }
    panic!("never closed");
}

#[test]
fn arguments_that_are_too_long_for_headers_fail() {
    let mut t = Talk::new();
    let name = "n".repeat(MAX_HEADER_BYTES);
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}","_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}}}}"#
    );
    let got = t.client(1, &call);
    assert_eq!(
        got,
        [
            "failed 1 0 too-large 0: The name and the arguments that travel as headers have 16420 bytes; servers take 16384."
        ]
    );
}

#[test]
fn what_is_no_message_of_the_clients_fails() {
    let mut t = Talk::in_session();
    assert_eq!(t.client(2, "hello"), ["failed 2 0 invalid 0: This is no JSON-RPC message."]);
    t.client(3, CALL);
    let want = "failed 4 0 invalid 0: A message with this id is under way already.";
    assert_eq!(t.client(4, CALL), [want]);
}
