//! Conversations with the machine, and properties that hold for any events.

use crate::*;
use proptest::prelude::*;

fn machine() -> Machine {
    Machine::new(Settings { name: "clock".into() }).unwrap()
}

fn running() -> Machine {
    let mut machine = machine();
    assert_eq!(machine.handle(Event::Start).unwrap(), [Action::Spawn]);
    machine
}

fn output(machine: &mut Machine, data: &[u8]) -> Vec<Action> {
    machine.handle(Event::ProcessOutput { data: data.to_vec() }).unwrap()
}

fn deliver(data: &str) -> Action {
    Action::Deliver { data: data.as_bytes().to_vec() }
}

fn exit(status: u16, text: &str) -> Event {
    Event::ProcessExit { status, text: text.into() }
}

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const PONG: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;

#[test]
fn a_message_is_written_as_one_line_and_sent() {
    let mut m = running();
    let actions = m.handle(Event::Message { id: 7, data: b"{\"jsonrpc\":\"2.0\",\r\n \"id\":1}".to_vec() }).unwrap();
    assert_eq!(
        actions,
        [Action::Write { data: b"{\"jsonrpc\":\"2.0\",   \"id\":1}\n".to_vec() }, Action::Sent { id: 7 },]
    );
}

#[test]
fn a_message_over_the_limit_fails_and_the_connection_stays() {
    let mut m = running();
    let actions = m.handle(Event::Message { id: 1, data: vec![b' '; MAX_LINE_BYTES + 1] }).unwrap();
    assert!(matches!(
        actions.as_slice(),
        [Action::Failed { id: 1, code: "too-large", text }] if text == "A message of 4128769 bytes is over the 4128768 bytes that a transport can carry."
    ));
    assert_eq!(output(&mut m, format!("{PONG}\n").as_bytes()), [deliver(PONG)]);
}

#[test]
fn lines_are_delivered_wherever_they_were_split() {
    let mut m = running();
    assert_eq!(output(&mut m, &PONG.as_bytes()[..5]), []);
    assert_eq!(output(&mut m, &PONG.as_bytes()[5..]), []);
    assert_eq!(output(&mut m, format!("\r\n\n  \n{PING}\n").as_bytes()), [deliver(PONG), deliver(PING)]);
}

#[test]
fn what_is_no_message_is_logged_and_skipped() {
    let mut m = running();
    let noise: [&[u8]; 7] = [
        b"Server running on stdio",
        b"42",
        b"[]",
        b"{\"level\":\"info\",\"msg\":\"up\"}",
        b"{\"jsonrpc\":\"2.0\",\"method\":\"cut",
        b"{\"jsonrpc\":\"1.0\"}",
        b"{\"jsonrpc\":\"2.0\",\"x\":\"\xff\"}",
    ];
    for line in noise {
        assert_eq!(output(&mut m, &[line, b"\n"].concat()), [], "{line:?}");
        let log = m.take_log();
        assert_eq!(log.len(), 1, "{line:?}");
        assert!(log[0].message.starts_with("skipped a line of standard output that is not a JSON-RPC message: "));
    }
    assert_eq!(output(&mut m, format!("{PONG}\n").as_bytes()), [deliver(PONG)]);
    assert!(m.take_log().is_empty());
}

#[test]
fn a_flood_of_noise_is_counted_not_logged_line_by_line() {
    let mut m = running();
    assert_eq!(output(&mut m, "hello\n".repeat(1_000).as_bytes()), []);
    let log = m.take_log();
    assert_eq!(log.len(), 17);
    assert_eq!(log[16].message, "skipped 984 more lines of standard output that are not JSON-RPC messages");
}

#[test]
fn more_lines_than_an_answer_takes_follow_by_timer_in_order() {
    let mut m = running();
    let lines: Vec<String> = (0..1_500).map(|n| format!(r#"{{"jsonrpc":"2.0","id":{n}}}"#)).collect();
    let mut got = output(&mut m, format!("{}\n", lines.join("\n")).as_bytes());
    assert_eq!(got.pop(), Some(Action::Timer { id: TIMER_MORE, delay_ms: 1 }));
    assert_eq!(got.len(), 900);
    got.extend(m.handle(Event::Timer { id: TIMER_MORE }).unwrap());
    let want: Vec<Action> = lines.iter().map(|line| deliver(line)).collect();
    assert_eq!(got, want);
}

#[test]
fn a_line_over_the_limit_closes() {
    let mut m = running();
    let piece = vec![b'x'; 64 * 1024];
    let mut last = Vec::new();
    for _ in 0..64 {
        last = output(&mut m, &piece);
        if !last.is_empty() {
            break;
        }
    }
    assert_eq!(
        last,
        [Action::Closed {
            code: "too-large",
            text: "clock wrote a line longer than 4128768 bytes, which is no message that can be carried.".into()
        }]
    );
    assert_eq!(output(&mut m, format!("{PONG}\n").as_bytes()), []);
}

#[test]
fn an_exit_delivers_the_rest_and_names_the_code() {
    let mut m = running();
    assert_eq!(output(&mut m, PONG.as_bytes()), []);
    assert_eq!(
        m.handle(exit(3, "It was started 2 s ago.")).unwrap(),
        [
            deliver(PONG),
            Action::Closed {
                code: "unavailable",
                text: "The process of clock ended with exit code 3. It was started 2 s ago.".into()
            }
        ]
    );
    let late = m.handle(Event::Message { id: 4, data: PING.into() }).unwrap();
    assert_eq!(late, [Action::Failed { id: 4, code: "unavailable", text: "clock is not running.".into() }]);
}

#[test]
fn a_signal_is_said_to_be_one() {
    let mut m = running();
    assert_eq!(
        m.handle(exit(255, "")).unwrap(),
        [Action::Closed {
            code: "unavailable",
            text: "The process of clock was ended by a signal (exit code 255).".into()
        }]
    );
}

#[test]
fn output_that_waits_is_delivered_before_the_end() {
    let mut m = running();
    let line = r#"{"jsonrpc":"2.0","id":1}"#;
    output(&mut m, format!("{line}\n").repeat(1_000).as_bytes());
    let exit = m.handle(exit(0, "")).unwrap();
    assert_eq!(exit.len(), 101);
    assert!(matches!(exit.last(), Some(Action::Closed { .. })));
}

#[test]
fn closing_closes_the_input_and_waits_for_the_exit() {
    let mut m = running();
    assert_eq!(
        m.handle(Event::Close).unwrap(),
        [Action::CloseInput, Action::Timer { id: TIMER_CLOSE, delay_ms: CLOSE_TIMEOUT_MS }]
    );
    assert_eq!(m.handle(Event::Close).unwrap(), []);
    assert_eq!(output(&mut m, format!("{PONG}\n").as_bytes()), [deliver(PONG)]);
    assert_eq!(
        m.handle(exit(0, "")).unwrap(),
        [Action::Closed { code: "", text: "The process of clock ended with exit code 0.".into() }]
    );
}

#[test]
fn closing_does_not_wait_for_ever() {
    let mut m = running();
    m.handle(Event::Close).unwrap();
    assert_eq!(
        m.handle(Event::Timer { id: TIMER_CLOSE }).unwrap(),
        [Action::Closed { code: "", text: "clock did not end within 2 seconds after its input was closed.".into() }]
    );
}

#[test]
fn closing_before_the_start_is_over_at_once() {
    let mut m = machine();
    assert!(matches!(m.handle(Event::Close).unwrap().as_slice(), [Action::Closed { code: "", .. }]));
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Start),
        (0u64..50, proptest::collection::vec(any::<u8>(), 0..40)).prop_map(|(id, data)| Event::Message { id, data }),
        proptest::collection::vec(any::<u8>(), 0..80).prop_map(|data| Event::ProcessOutput { data }),
        Just(Event::ProcessOutput { data: format!("{PONG}\n").into_bytes() }),
        (any::<u16>(), ".*").prop_map(|(status, text)| Event::ProcessExit { status, text }),
        (0u64..4).prop_map(|id| Event::Timer { id }),
        Just(Event::Close),
        Just(Event::Other),
    ]
}

proptest! {
    #[test]
    fn each_message_is_settled_once_and_nothing_follows_the_end(events in proptest::collection::vec(any_event(), 0..60)) {
        let mut m = machine();
        let mut closed = false;
        for event in events {
            let message = match &event { Event::Message { id, .. } => Some(*id), _ => None };
            let actions = m.handle(event).unwrap();
            prop_assert!(actions.len() <= 1_000);
            let settled: Vec<u64> = actions.iter().filter_map(|action| match action {
                Action::Sent { id } | Action::Failed { id, .. } => Some(*id),
                _ => None,
            }).collect();
            prop_assert_eq!(settled, message.into_iter().collect::<Vec<_>>());
            for action in &actions {
                let late = matches!(action, Action::Failed { .. }); prop_assert!(!closed || late, "{:?} after the end", action);
                closed |= matches!(action, Action::Closed { .. });
            }
        }
    }
}
