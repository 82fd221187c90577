//! What holds for any events: no panic, no message settled twice or never, no answer without its request.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A step of a random conversation. HTTP requests, messages and timers are chosen among those that there were.
#[derive(Debug, Clone)]
enum Step {
    Client(usize),
    Drop(prop::sample::Index),
    Head(prop::sample::Index, u16, usize, bool),
    Body(prop::sample::Index, usize),
    End(prop::sample::Index, usize),
    Timer(prop::sample::Index),
    Close,
}

const CLIENT: &[&str] = &[
    "initialize",
    "server/discover",
    "notifications/initialized",
    "tools/list",
    "tools/call",
    "ping",
    "resources/subscribe",
    "answer",
    "cancel",
    "junk",
];
const TYPES: &[&str] = &["application/json", "text/event-stream", "text/html", ""];
const CODES: &[&str] = &["", "unavailable", "timeout", "denied", "outcome-unknown"];
const STATUS: &[u16] = &[100, 200, 200, 200, 202, 204, 302, 400, 401, 404, 404, 405, 429, 500, 503];

fn step() -> impl Strategy<Value = Step> {
    let any_index = any::<prop::sample::Index>;
    prop_oneof![
        6 => (0..CLIENT.len()).prop_map(Step::Client),
        1 => any_index().prop_map(Step::Drop),
        6 => (any_index(), prop::sample::select(STATUS), 0..TYPES.len(), any::<bool>())
            .prop_map(|(a, b, c, d)| Step::Head(a, b, c, d)),
        8 => (any_index(), 0..12usize).prop_map(|(a, b)| Step::Body(a, b)),
        4 => (any_index(), 0..CODES.len()).prop_map(|(a, b)| Step::End(a, b)),
        3 => any_index().prop_map(Step::Timer),
    ]
}

/// What the test knows of a conversation.
#[derive(Default)]
struct World {
    next_message: u64,
    /// JSON-RPC id of each request of the client's.
    requests: BTreeMap<u64, u64>,
    open: Vec<u64>,
    /// The body of each POST that is open.
    bodies: BTreeMap<u64, String>,
    timers: BTreeSet<u64>,
    settled: BTreeMap<u64, usize>,
    sent: BTreeSet<u64>,
    answered: BTreeMap<u64, usize>,
    gone: BTreeSet<u64>,
    /// JSON-RPC ids of the requests that the client has cancelled, or given up for `initialize`.
    cancelled: BTreeSet<u64>,
    discoveries: BTreeSet<u64>,
    closed: bool,
}

impl World {
    fn take(&mut self, actions: Vec<Action>) -> Result<(), TestCaseError> {
        prop_assert!(actions.len() <= 1_000);
        for action in actions {
            let closed = self.closed;
            let late = matches!(action, Action::Failed { .. });
            prop_assert!(!closed || late, "{:?} after the end", action);
            match action {
                Action::Request { id, request } => {
                    prop_assert!(!self.gone.contains(&id) && !self.open.contains(&id), "{} used twice", id);
                    self.open.push(id);
                    let body = String::from_utf8(request.body.unwrap_or_default()).unwrap();
                    self.bodies.insert(id, body);
                }
                Action::Cancel { id } => {
                    prop_assert!(self.open.contains(&id), "{} is not open", id);
                    self.close(id);
                }
                Action::Sent { id } => {
                    *self.settled.entry(id).or_default() += 1;
                    self.sent.insert(id);
                }
                Action::Failed { id, .. } => *self.settled.entry(id).or_default() += 1,
                Action::Deliver { data, .. } => {
                    let value: serde_json::Value = serde_json::from_slice(&data).unwrap();
                    if value.get("method").is_none() {
                        let id = value.get("id").and_then(|id| id.as_u64());
                        prop_assert!(id.is_some(), "an answer without id");
                        *self.answered.entry(id.unwrap()).or_default() += 1;
                    }
                }
                Action::Timer { id, delay_ms: 0 } => {
                    self.timers.remove(&id);
                }
                Action::Timer { id, .. } => {
                    self.timers.insert(id);
                }
                Action::Closed { .. } => self.closed = true,
            }
        }
        Ok(())
    }

    fn close(&mut self, id: u64) {
        self.open.retain(|open| *open != id);
        self.gone.insert(id);
    }

    /// The handshake of the older era, with a session, so that what follows begins in the middle of a connection.
    fn connect(&mut self, t: &mut Talk) -> Result<(), TestCaseError> {
        let session = [("content-type", "application/json"), ("mcp-session-id", "s")];
        let headers: Vec<_> = session.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let end = |id| Event::ResponseEnd { id, code: String::new(), text: String::new() };
        let answer = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25"}}"#;
        let initialize = self.event(Step::Client(0));
        let events = [
            initialize.into_iter().collect(),
            vec![Event::Response { id: 1, status: 200, headers }, Event::Body { id: 1, data: answer.into() }, end(1)],
            self.event(Step::Client(2)).into_iter().collect(),
            vec![Event::Response { id: 2, status: 202, headers: vec![] }, end(2)],
        ];
        for event in events.concat() {
            if let Event::ResponseEnd { id, .. } = event {
                self.close(id);
            }
            let actions = t.machine.handle(event).unwrap();
            self.take(actions)?;
        }
        Ok(())
    }

    fn event(&mut self, step: Step) -> Option<Event> {
        let pick = |from: &[u64], index: prop::sample::Index| (!from.is_empty()).then(|| *index.get(from));
        Some(match step {
            Step::Client(which) => {
                self.next_message += 1;
                let id = self.next_message;
                let method = CLIENT[which];
                let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
                let data = match method {
                    "junk" => "junk".to_owned(),
                    "answer" => r#"{"jsonrpc":"2.0","id":7,"result":{}}"#.to_owned(),
                    "cancel" => {
                        let target = self.requests.values().last().copied().unwrap_or(1);
                        self.cancelled.insert(target);
                        format!(
                            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{target}}}}}"#
                        )
                    }
                    "notifications/initialized" => INITIALIZED.to_owned(),
                    _ => {
                        if method == "initialize" {
                            self.cancelled.append(&mut self.discoveries);
                        } else if method == "server/discover" {
                            self.discoveries.insert(id);
                        }
                        self.requests.insert(id, id);
                        let params = if method == "server/discover" { meta } else { r#""name":"t","uri":"u""# };
                        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}}}}}"#)
                    }
                };
                Event::Message { id, data: data.into_bytes() }
            }
            Step::Drop(index) => Event::SendDropped { id: index.index(self.next_message as usize + 1) as u64 },
            Step::Head(index, status, kind, session) => {
                let mut headers = vec![("content-type".to_owned(), TYPES[kind].to_owned())];
                if session {
                    headers.push(("mcp-session-id".into(), "s".into()));
                }
                Event::Response { id: pick(&self.open, index)?, status, headers }
            }
            Step::Body(index, which) => {
                let id = pick(&self.open, index)?;
                let own = self.bodies.get(&id).and_then(|body| serde_json::from_str::<serde_json::Value>(body).ok());
                let own = own.and_then(|body| body.get("id").and_then(|id| id.as_u64())).unwrap_or(0);
                let answer = format!(r#"{{"jsonrpc":"2.0","id":{own},"result":{{"protocolVersion":"2025-11-25"}}}}"#);
                let data = match which {
                    0 | 1 => answer,
                    2 | 3 => format!("data: {answer}\n\n"),
                    4 => format!("id: e\ndata: {PROGRESS}\n\n"),
                    5 => "id: f\nretry: 1\ndata:\n\n".to_owned(),
                    6 => r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}"#.to_owned(),
                    7 => "data: {\n".to_owned(),
                    8 => format!("[{PROGRESS},{answer},{answer}]"),
                    9 => format!("data: {{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{}}}}\n\n", self.next_message),
                    10 => "\u{feff}<html>".to_owned(),
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
            Step::Close => Event::Close,
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn each_message_is_settled_once_and_each_sent_request_answered_once(steps in prop::collection::vec(step(), 0..120), connected in any::<bool>(), close in any::<bool>()) {
        let mut t = Talk::new();
        let mut world = World::default();
        let run = |t: &mut Talk, world: &mut World, step: Step| -> Result<(), TestCaseError> {
            if let Some(event) = world.event(step) {
                let actions = t.machine.handle(event).unwrap();
                world.take(actions)?;
            }
            Ok(())
        };
        if connected {
            world.connect(&mut t)?;
        }
        for step in steps {
            run(&mut t, &mut world, step)?;
        }
        if close {
            run(&mut t, &mut world, Step::Close)?;
        }
        // The network goes away: every open request ends, and timers run, until all is still.
        for _ in 0..10_000 {
            let open = world.open.first().copied();
            let timer = world.timers.first().copied();
            let event = match (open, timer) {
                (Some(id), _) => {
                    world.close(id);
                    // The GET stream would be asked for again for ever; this server has none.
                    let is_get = world.bodies.get(&id).is_some_and(String::is_empty);
                    if is_get {
                        let actions = t.machine.handle(Event::Response { id, status: 405, headers: vec![] }).unwrap();
                        world.open.push(id);
                        world.take(actions)?;
                        if !world.open.contains(&id) { continue; }
                        world.close(id);
                    }
                    Event::ResponseEnd { id, code: "denied".into(), text: String::new() }
                }
                (None, Some(id)) => {
                    world.timers.remove(&id);
                    Event::Timer { id }
                }
                (None, None) => break,
            };
            let actions = t.machine.handle(event).unwrap();
            world.take(actions)?;
        }
        prop_assert!(world.open.is_empty() || world.closed);
        for id in 1..=world.next_message {
            prop_assert_eq!(world.settled.get(&id).copied(), Some(1), "message {}", id);
        }
        for (id, times) in &world.answered {
            prop_assert_eq!(*times, 1, "answer to {}", id);
            prop_assert!(world.sent.contains(id), "answer to {} that was not sent", id);
        }
        if close {
            prop_assert!(world.closed);
        }
        for id in world.requests.keys().filter(|id| world.sent.contains(id)) {
            let answered = world.answered.contains_key(id) || world.cancelled.contains(id) || world.closed;
            prop_assert!(answered, "request {} has no answer", id);
        }
    }

    #[test]
    fn any_events_are_survived(events in prop::collection::vec((0u8..8, 0u64..6, any::<u16>(), prop::collection::vec(any::<u8>(), 0..40)), 0..60)) {
        let mut t = Talk::in_session();
        for (kind, id, status, data) in events {
            let event = match kind {
                0 => Event::Message { id: id + 10, data },
                1 => Event::Response { id, status: status % 700, headers: vec![("content-type".into(), TYPES[usize::from(status) % 4].into())] },
                2 => Event::Body { id, data },
                3 => Event::ResponseEnd { id, code: String::from_utf8_lossy(&data).into(), text: String::from_utf8_lossy(&data).into() },
                4 => Event::Timer { id },
                5 => Event::SendDropped { id },
                6 => Event::Start,
                _ => Event::Message { id: id + 10, data: CALL.into() },
            };
            let _ = t.machine.handle(event).unwrap();
        }
    }
}
