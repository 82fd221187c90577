//! Conversations with the machine, and properties that hold for any events.
//!
//! An action is written as a line: `#1 POST a=b {body}`, `cancel #1`, `deliver #1 {…}`, `sent 1`,
//! `failed 1 404 not-found 0: text`, `timer 2 1000`, `closed code: text`. `content-type` and `accept` are left out; one
//! test holds them in full.

mod endings;
mod errors;
mod limits;
mod properties;
mod sessions;
mod stateless;
mod streams;

use crate::*;

pub const INIT: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
pub const INIT_OK: &str = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}}"#;
pub const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
pub const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
pub const LIST_OK: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#;
pub const CALL: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t"}}"#;
pub const CALL_OK: &str = r#"{"jsonrpc":"2.0","id":2,"result":{"content":[]}}"#;
pub const PROGRESS: &str = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#;
pub const JSON: &[(&str, &str)] = &[("content-type", "application/json; charset=utf-8")];
pub const SSE: &[(&str, &str)] = &[("content-type", "text/event-stream")];
pub const NONE: &[(&str, &str)] = &[];
/// Headers of a request in the session that [`Talk::in_session`] opens.
pub const IN_SESSION: &str = "mcp-protocol-version=2025-11-25 mcp-session-id=s-1";

/// A connection under test.
pub struct Talk {
    pub machine: Machine,
}

impl Talk {
    pub fn new() -> Self {
        let machine = Machine::new(Settings { name: "srv".into(), url: Some("https://h/mcp".into()), headers: vec![] });
        Self { machine: machine.unwrap() }
    }

    /// An older-era connection with session `s-1`, three requests made, and the GET stream open as `#3`.
    pub fn in_session() -> Self {
        Self::in_session_with_stream(200, SSE)
    }

    pub fn in_session_with_stream(status: u16, headers: &[(&str, &str)]) -> Self {
        let mut t = Self::new();
        t.client(0, INIT);
        t.head(1, 200, &[JSON[0], ("mcp-session-id", "s-1")]);
        t.body(1, INIT_OK);
        t.end(1);
        t.client(1_000, INITIALIZED);
        let got = t.head(2, 202, NONE);
        assert_eq!(got, ["sent 1000".to_owned(), format!("#3 GET {IN_SESSION}")]);
        t.end(2);
        t.head(3, status, headers);
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

    /// A JSON answer, whole.
    pub fn json(&mut self, id: u64, status: u16, body: &str) -> Vec<String> {
        let mut got = self.head(id, status, JSON);
        got.extend(self.body(id, body));
        got.extend(self.end(id));
        got
    }
}

/// An event with this data.
pub fn sse(data: &str) -> String {
    format!("data: {data}\n\n")
}

/// An error of the transport's own.
pub fn error(id: u64, code: i32, text: &str, cause: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"data":{{"transport":"{cause}"}},"message":"{text}"}}}}"#
    )
}

fn line(action: Action) -> String {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    match action {
        Action::Request { id, request } => {
            assert_eq!(request.url, "https://h/mcp");
            let mut line = format!("#{id} {}", request.method);
            for header in request.headers {
                if let HeaderValue::Text(value) = header.value
                    && !["content-type", "accept"].contains(&header.name.as_str())
                {
                    line += &format!(" {}={value}", header.name);
                }
            }
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
