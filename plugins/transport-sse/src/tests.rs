//! Conversations with the machine, and properties that hold for any events.
//!
//! An action is written as a line: `#2 POST /messages {body}`, `cancel #1`, `deliver #1 {…}`, `sent 1`,
//! `failed 1 404 not-found 0: text`, `timer 2 30000`, `closed code: text`. Headers are left out; one test holds them in
//! full.

mod endings;
mod limits;
mod posts;
mod properties;
mod streams;

use crate::*;

pub const INIT: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
pub const INIT_OK: &str = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2024-11-05","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}}"#;
pub const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
pub const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
pub const LIST_OK: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#;
pub const CALL: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t"}}"#;
pub const CALL_OK: &str = r#"{"jsonrpc":"2.0","id":2,"result":{"content":[]}}"#;
pub const PROGRESS: &str = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#;
pub const JSON: &[(&str, &str)] = &[("content-type", "application/json; charset=utf-8")];
pub const SSE: &[(&str, &str)] = &[("content-type", "text/event-stream; charset=utf-8")];
pub const NONE: &[(&str, &str)] = &[];
pub const ENDPOINT: &str = "event: endpoint\ndata: /messages?s=1\n\n";

/// A connection under test.
pub struct Talk {
    pub machine: Machine,
}

impl Talk {
    pub fn new() -> Self {
        let machine = Machine::new(Settings { name: "srv".into(), url: Some("https://h/sse".into()), headers: vec![] });
        Self { machine: machine.unwrap() }
    }

    /// The GET was sent, as `#1`.
    pub fn started() -> Self {
        let mut t = Self::new();
        assert_eq!(t.event(Event::Start), ["#1 GET /sse", "timer 2 30000"]);
        t
    }

    /// The stream is open and the address known; the first POST is `#2`.
    pub fn open() -> Self {
        let mut t = Self::started();
        assert!(t.head(1, 200, SSE).is_empty());
        assert_eq!(t.body(1, ENDPOINT), ["timer 2 0"]);
        t
    }

    pub fn event(&mut self, event: Event) -> Vec<String> {
        let actions = self.machine.handle(event).unwrap();
        actions.into_iter().map(line).collect()
    }

    pub fn client(&mut self, id: u64, message: &str) -> Vec<String> {
        self.event(Event::Message { id, data: message.as_bytes().to_vec() })
    }

    pub fn head(&mut self, id: u64, status: u16, headers: &[(&str, &str)]) -> Vec<String> {
        let headers = headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        self.event(Event::Response { id, status, headers: headers.collect() })
    }

    pub fn body(&mut self, id: u64, data: &str) -> Vec<String> {
        self.event(Event::Body { id, data: data.as_bytes().to_vec() })
    }

    pub fn end(&mut self, id: u64) -> Vec<String> {
        self.end_with(id, "", "")
    }

    pub fn end_with(&mut self, id: u64, code: &str, text: &str) -> Vec<String> {
        self.event(Event::ResponseEnd { id, code: code.into(), text: text.into() })
    }

    pub fn timer(&mut self, id: u64) -> Vec<String> {
        self.event(Event::Timer { id })
    }

    /// A whole answer; what it led to.
    pub fn answer(&mut self, id: u64, status: u16, headers: &[(&str, &str)], body: &str) -> Vec<String> {
        let mut got = self.head(id, status, headers);
        got.extend(self.body(id, body));
        got.extend(self.end(id));
        got
    }
}

/// An event with this data.
pub fn sse(data: &str) -> String {
    format!("event: message\ndata: {data}\n\n")
}

fn line(action: Action) -> String {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    match action {
        Action::Request { id, request } => {
            let line = format!("#{id} {} {}", request.method, request.url.strip_prefix("https://h").unwrap());
            request.body.map_or(line.clone(), |body| format!("{line} {}", text(body)))
        }
        Action::Cancel { id } => format!("cancel #{id}"),
        Action::Deliver { id, data } => format!("deliver #{id} {}", text(data)),
        Action::Sent { id } => format!("sent {id}"),
        Action::Failed { id, status, code, text, retry_after_ms, www_authenticate } => {
            let challenge = www_authenticate.map_or(String::new(), |value| format!(" [{value}]"));
            format!("failed {id} {status} {code} {retry_after_ms}{challenge}: {text}")
        }
        Action::Timer { id, delay_ms } => format!("timer {id} {delay_ms}"),
        Action::Closed { code, text } => format!("closed {code}: {text}"),
    }
}
