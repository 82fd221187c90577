//! The bounds, each at its edge.

use super::*;
use crate::limits::*;

fn numbered(id: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#)
}

/// A message of this length.
fn long(len: usize) -> String {
    let frame = r#"{"jsonrpc":"2.0","id":2,"result":""}"#;
    frame.replace("\"\"", &format!("\"{}\"", "x".repeat(len - frame.len())))
}

/// Give a body in pieces; what it led to.
fn pieces(t: &mut Talk, id: u64, body: &str) -> Vec<String> {
    let pieces = body.as_bytes().chunks(64 * 1024);
    pieces.flat_map(|piece| t.body(id, std::str::from_utf8(piece).unwrap())).collect()
}

const TOO_LARGE: &str = "closed too-large: srv sent more than the 4128768 bytes that one message may have.";

#[test]
fn messages_over_the_bound_fail_and_wait_within_it() {
    let mut t = Talk::started();
    for n in 1..=MAX_CALLS {
        assert!(t.client(n as u64, &numbered(n)).is_empty());
    }
    let over = t.client(999, &numbered(999));
    let want = "failed 999 0 rate-limited 0: Too many messages to srv are under way; wait until some are answered.";
    assert_eq!(over, [want]);
    t.head(1, 200, SSE);
    // The stream is one of those that are open.
    assert_eq!(t.body(1, ENDPOINT).len(), MAX_OPEN_REQUESTS);
    assert_eq!(t.head(2, 202, NONE), ["sent 1"]);
    assert_eq!(t.end(2), [format!("#65 POST /messages?s=1 {}", numbered(64))]);
    // The cancellation of what was sent does not wait behind it, and that of what waits stays behind it.
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}"#;
    assert_eq!(t.client(1_000, cancel), [format!("#66 POST /messages?s=1 {cancel}")]);
    t.event(Event::SendDropped { id: 256 });
    assert!(t.client(1_001, &cancel.replace(":2}", ":200}")).is_empty());
}

#[test]
fn bytes_over_the_bound_fail() {
    let mut t = Talk::started();
    let message = long(MAX_MESSAGE_BYTES);
    for id in 1..=3 {
        assert!(t.client(id, &message).is_empty());
    }
    assert!(t.client(4, &message)[0].starts_with("failed 4 0 rate-limited 0: "));
    let want =
        "failed 5 0 too-large 0: A message of 4128769 bytes is over the 4128768 bytes that a transport can carry.";
    assert_eq!(t.client(5, &long(MAX_MESSAGE_BYTES + 1)), [want]);
    // They leave one by one, for one answer of the transport takes no more.
    t.head(1, 200, SSE);
    let mut got = t.body(1, ENDPOINT);
    while got.last().is_some_and(|last| last == "timer 1 1") {
        got.pop();
        got.extend(t.timer(1));
    }
    assert_eq!(got.len(), 4);
}

#[test]
fn a_message_at_the_limit_passes_and_one_over_it_ends_the_connection() {
    let fits = long(MAX_MESSAGE_BYTES);
    assert_eq!(pieces(&mut Talk::open(), 1, &sse(&fits)), [format!("deliver #1 {fits}")]);
    let over = pieces(&mut Talk::open(), 1, &sse(&long(MAX_MESSAGE_BYTES + 1)));
    assert_eq!(over, ["cancel #1", TOO_LARGE]);
}

#[test]
fn an_event_without_end_ends_the_connection() {
    for field in ["data: ", "event: endpoint\ndata: ", "event: "] {
        let got = pieces(&mut Talk::open(), 1, &format!("{field}{}", "x".repeat(MAX_EVENT_BYTES)));
        assert_eq!(got, ["cancel #1", TOO_LARGE], "{field}");
    }
    let comment = format!(":{}\n\n{}", "x".repeat(2 * MAX_EVENT_BYTES), sse(PROGRESS));
    assert_eq!(pieces(&mut Talk::open(), 1, &comment), [format!("deliver #1 {PROGRESS}")]);
}

#[test]
fn an_answer_to_a_post_has_the_same_limit() {
    for (extra, want) in [(0, 2), (1, 3)] {
        let mut t = Talk::open();
        t.client(1, CALL);
        let mut got = t.head(2, 200, JSON);
        got.extend(pieces(&mut t, 2, &long(MAX_MESSAGE_BYTES + extra)));
        got.extend(t.end(2));
        match extra {
            0 => assert!(got[1].starts_with("deliver #2 "), "{}", got[1].len()),
            _ => assert_eq!(got[1..], ["cancel #2", "cancel #1", TOO_LARGE]),
        }
        assert_eq!(got.len(), want + usize::from(extra > 0));
    }
}

#[test]
fn all_answers_together_have_a_limit() {
    let mut t = Talk::open();
    let half = "x".repeat(MAX_MESSAGE_BYTES - 1);
    for id in 1..=3 {
        t.client(id, &numbered(id as usize));
        t.head(id + 1, 200, JSON);
        assert!(pieces(&mut t, id + 1, &half).is_empty());
    }
    let got = pieces(&mut t, 1, &format!("data: {half}"));
    assert_eq!(got.last().unwrap(), TOO_LARGE);
}

#[test]
fn a_body_that_does_not_matter_is_cut_off() {
    let mut t = Talk::open();
    t.client(1, LIST);
    t.head(2, 202, NONE);
    assert_eq!(pieces(&mut t, 2, &"x".repeat(MAX_REFUSAL_BYTES + 1)), ["cancel #2"]);
    t.client(2, CALL);
    t.head(3, 400, NONE);
    let got = pieces(&mut t, 3, &"x".repeat(MAX_REFUSAL_BYTES));
    assert_eq!(got[0], "cancel #3");
    assert!(got[1].starts_with("failed 2 400 protocol 0: "));
}

#[test]
fn more_than_an_answer_takes_follows_by_timer_in_order() {
    let mut t = Talk::open();
    let note = |n: usize| format!(r#"{{"jsonrpc":"2.0","method":"{n}"}}"#);
    let all: String = (0..1_500).map(|n| sse(&note(n))).collect();
    let mut got = t.body(1, &all);
    assert_eq!(got.pop(), Some("timer 1 1".to_owned()));
    assert_eq!(got.len(), MAX_ANSWER_ACTIONS);
    got.extend(t.timer(1));
    let want: Vec<String> = (0..1_500).map(|n| format!("deliver #1 {}", note(n))).collect();
    assert_eq!(got, want);
}

#[test]
fn a_flood_closes_the_connection() {
    let mut t = Talk::open();
    let burst = sse(r#"{"jsonrpc":"2.0","method":"x"}"#).repeat(1_600);
    for _ in 0..100 {
        let got = t.body(1, &burst);
        if let Some(last) = got.last().filter(|line| line.starts_with("closed")) {
            assert_eq!(last, "closed too-large: srv sends messages faster than they can be read.");
            return;
        }
    }
    panic!("never closed");
}

#[test]
fn a_flood_of_noise_is_logged_a_few_times() {
    let mut t = Talk::open();
    t.body(1, &"data: hello\n\n".repeat(1_000));
    assert_eq!(t.machine.take_log().len(), 16);
}
