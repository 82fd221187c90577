//! What holds for any events: no panic, no message settled twice or never, nothing after the end, nothing elsewhere.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A step of a random conversation. HTTP requests and timers are chosen among those that there were.
#[derive(Debug, Clone)]
enum Step {
    Start,
    Client(usize),
    Drop(prop::sample::Index),
    Head(prop::sample::Index, u16, usize),
    Body(prop::sample::Index, usize),
    End(prop::sample::Index, usize),
    Timer(prop::sample::Index),
}

const CLIENT: &[&str] = &[
    "initialize",
    "server/discover",
    "notifications/initialized",
    "tools/list",
    "tools/call",
    "answer",
    "cancel",
    "junk",
];
const TYPES: &[&str] = &["application/json", "text/event-stream", "text/html", ""];
const CODES: &[&str] = &["", "unavailable", "timeout", "denied", "outcome-unknown"];
const STATUS: &[u16] = &[100, 200, 200, 200, 202, 204, 302, 400, 401, 404, 405, 429, 500, 503];

fn step() -> impl Strategy<Value = Step> {
    let any_index = any::<prop::sample::Index>;
    prop_oneof![
        1 => Just(Step::Start),
        6 => (0..CLIENT.len()).prop_map(Step::Client),
        1 => any_index().prop_map(Step::Drop),
        6 => (any_index(), prop::sample::select(STATUS), 0..TYPES.len()).prop_map(|(a, b, c)| Step::Head(a, b, c)),
        8 => (any_index(), 0..10usize).prop_map(|(a, b)| Step::Body(a, b)),
        2 => (any_index(), 0..CODES.len()).prop_map(|(a, b)| Step::End(a, b)),
        1 => any_index().prop_map(Step::Timer),
    ]
}

/// What the test knows of a conversation.
#[derive(Default)]
struct World {
    next_message: u64,
    open: Vec<u64>,
    gone: BTreeSet<u64>,
    /// The body of each POST.
    bodies: BTreeMap<u64, Vec<u8>>,
    timers: BTreeSet<u64>,
    settled: BTreeMap<u64, usize>,
    /// Messages that were not sent although they are settled.
    failed: BTreeSet<u64>,
    /// The client's messages.
    messages: BTreeMap<u64, Vec<u8>>,
    discoveries: BTreeSet<u64>,
    /// Answers of the transport's own.
    own: usize,
    closed: bool,
}

impl World {
    fn take(&mut self, actions: Vec<Action>) -> Result<(), TestCaseError> {
        prop_assert!(actions.len() <= 1_000);
        for action in actions {
            prop_assert!(!self.closed || matches!(action, Action::Failed { .. }), "{:?} after the end", action);
            match action {
                Action::Request { id, request } => {
                    prop_assert!(!self.gone.contains(&id) && !self.open.contains(&id), "{} used twice", id);
                    prop_assert!(request.url.starts_with("https://h/"), "{}", request.url);
                    prop_assert_eq!(request.method, if id == 1 { "GET" } else { "POST" });
                    self.open.push(id);
                    self.bodies.insert(id, request.body.unwrap_or_default());
                }
                Action::Cancel { id } => {
                    prop_assert!(self.open.contains(&id), "{} is not open", id);
                    self.close(id);
                }
                Action::Sent { id } => *self.settled.entry(id).or_default() += 1,
                Action::Failed { id, .. } => {
                    *self.settled.entry(id).or_default() += 1;
                    self.failed.insert(id);
                }
                Action::Deliver { id, data } => {
                    prop_assert!(serde_json::from_slice::<serde_json::Value>(&data).is_ok());
                    self.own += usize::from(id == 0);
                }
                Action::Timer { id, delay_ms: 0 } => drop(self.timers.remove(&id)),
                Action::Timer { id, .. } => drop(self.timers.insert(id)),
                Action::Closed { .. } => self.closed = true,
            }
        }
        Ok(())
    }

    fn close(&mut self, id: u64) {
        self.open.retain(|open| *open != id);
        self.gone.insert(id);
    }

    fn event(&mut self, step: Step) -> Option<Event> {
        let pick = |from: &[u64], index: prop::sample::Index| (!from.is_empty()).then(|| *index.get(from));
        Some(match step {
            Step::Start => Event::Start,
            Step::Client(which) => {
                self.next_message += 1;
                let id = self.next_message;
                let data = match CLIENT[which] {
                    "junk" => "junk".to_owned(),
                    "answer" => r#"{"jsonrpc":"2.0","id":7,"result":{}}"#.to_owned(),
                    "cancel" => format!(
                        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{}}}}}"#,
                        id - 1
                    ),
                    "notifications/initialized" => INITIALIZED.to_owned(),
                    method => format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"}}"#),
                };
                if CLIENT[which] == "server/discover" {
                    self.discoveries.insert(id);
                }
                self.messages.insert(id, data.clone().into_bytes());
                Event::Message { id, data: data.into_bytes() }
            }
            Step::Drop(index) => Event::SendDropped { id: index.index(self.next_message as usize + 1) as u64 },
            Step::Head(index, status, kind) => {
                let headers = vec![("content-type".to_owned(), TYPES[kind].to_owned())];
                Event::Response { id: pick(&self.open, index)?, status, headers }
            }
            Step::Body(index, which) => {
                let id = pick(&self.open, index)?;
                let own = self.bodies.get(&id).and_then(|body| serde_json::from_slice::<serde_json::Value>(body).ok());
                let own = own.and_then(|body| body.get("id")?.as_u64()).unwrap_or(self.next_message);
                let answer = format!(r#"{{"jsonrpc":"2.0","id":{own},"result":{{}}}}"#);
                let data = match which {
                    0 | 1 => ENDPOINT.to_owned(),
                    2 => answer,
                    3 | 4 => sse(&answer),
                    5 => sse(PROGRESS),
                    6 => r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}"#.to_owned(),
                    7 => "data: {\n".to_owned(),
                    8 => "\u{feff}<html>".to_owned(),
                    _ => "\n\n".to_owned(),
                };
                Event::Body { id, data: data.into_bytes() }
            }
            Step::End(index, code) => {
                let id = pick(&self.open, index)?;
                self.close(id);
                Event::ResponseEnd { id, code: CODES[code].into(), text: String::new() }
            }
            Step::Timer(index) => {
                let timers: Vec<u64> = self.timers.iter().copied().collect();
                let id = pick(&timers, index)?;
                self.timers.remove(&id);
                Event::Timer { id }
            }
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn each_message_is_settled_once_and_sent_as_it_is(steps in prop::collection::vec(step(), 0..120), connected in any::<bool>(), close in any::<bool>()) {
        let mut t = Talk::new();
        let mut world = World::default();
        let run = |t: &mut Talk, world: &mut World, event: Event| -> Result<(), TestCaseError> {
            let actions = t.machine.handle(event).unwrap();
            world.take(actions)
        };
        if connected {
            let headers = vec![("content-type".into(), "text/event-stream".into())];
            run(&mut t, &mut world, Event::Start)?;
            run(&mut t, &mut world, Event::Response { id: 1, status: 200, headers })?;
            run(&mut t, &mut world, Event::Body { id: 1, data: ENDPOINT.into() })?;
        }
        for step in steps {
            if let Some(event) = world.event(step) {
                run(&mut t, &mut world, event)?;
            }
        }
        if close {
            run(&mut t, &mut world, Event::Close)?;
            prop_assert!(world.closed);
        }
        // It starts, if it never did, and then the network goes away.
        run(&mut t, &mut world, Event::Start)?;
        while let Some(id) = world.open.first().copied() {
            world.close(id);
            run(&mut t, &mut world, Event::ResponseEnd { id, code: "unavailable".into(), text: String::new() })?;
        }
        prop_assert!(world.closed);
        for id in 1..=world.next_message {
            prop_assert_eq!(world.settled.get(&id).copied(), Some(1), "message {}", id);
        }
        for (id, message) in &world.messages {
            let posted = world.bodies.values().filter(|body| *body == message).count();
            let sent = !world.failed.contains(id) && !world.discoveries.contains(id);
            prop_assert!(posted > 0 || !sent, "message {} was said to be sent", id);
            prop_assert!(posted == 0 || !world.discoveries.contains(id), "the probe {} was sent", id);
        }
        let answered = world.discoveries.difference(&world.failed).count();
        prop_assert_eq!(world.own, answered);
    }

    #[test]
    fn any_events_are_survived(events in prop::collection::vec((0u8..9, 0u64..6, any::<u16>(), prop::collection::vec(any::<u8>(), 0..40)), 0..60), open in any::<bool>()) {
        let mut t = if open { Talk::open() } else { Talk::new() };
        for (kind, id, status, data) in events {
            let text = String::from_utf8_lossy(&data).into_owned();
            let event = match kind {
                0 => Event::Message { id: id + 10, data },
                1 => Event::Response { id, status: status % 700, headers: vec![("content-type".into(), TYPES[usize::from(status) % 4].into()), ("retry-after".into(), text)] },
                2 => Event::Body { id, data },
                3 => Event::Body { id: 1, data: [&b"event: endpoint\ndata: "[..], &data, b"\n\n"].concat() },
                4 => Event::ResponseEnd { id, code: text.clone(), text },
                5 => Event::Timer { id },
                6 => Event::SendDropped { id: id + 10 },
                7 => Event::Start,
                _ => Event::Message { id: id + 10, data: CALL.into() },
            };
            let _ = t.machine.handle(event).unwrap();
        }
    }
}
