//! A transport: a machine without I/O that carries MCP messages. The host tells it what happened, and it answers with
//! what is to be done; the tables in `wit/transport-0.1.0` name every event and every action.
//!
//! This one speaks to a process, a JSON message a line.

use std::cell::RefCell;

use fumehood_sdk::transport::{Action, Connection, Event, Failure, Guest, GuestConnection, Settings, failure};

struct Plugin;

#[derive(Default)]
struct Lines {
    /// Output that is no whole line yet.
    rest: RefCell<Vec<u8>>,
}

/// Longest line, bytes.
const LINE: usize = 4 << 20;

fn action(kind: &str) -> Action {
    Action {
        kind: kind.to_owned(),
        id: 0,
        data: Vec::new(),
        request: None,
        status: 0,
        number: 0,
        code: String::new(),
        text: String::new(),
        headers: Vec::new(),
        extensions: Vec::new(),
    }
}

impl GuestConnection for Lines {
    fn handle(&self, event: Event) -> Result<Vec<Action>, Failure> {
        Ok(match event.kind.as_str() {
            "start" => vec![action("spawn")],
            "message" => {
                let mut data = event.data;
                data.push(b'\n');
                vec![Action { data, ..action("write") }, Action { id: event.id, ..action("sent") }]
            }
            "process-output" => {
                let mut rest = self.rest.borrow_mut();
                rest.extend_from_slice(&event.data);
                if rest.len() > LINE {
                    return Err(failure("protocol", "The server wrote a line of more than 4 MiB."));
                }
                let mut messages = Vec::new();
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let mut data: Vec<u8> = rest.drain(..=end).collect();
                    data.pop();
                    messages.push(Action { data, ..action("deliver") });
                }
                messages
            }
            "process-exit" => vec![Action { code: "unavailable".to_owned(), text: event.text, ..action("closed") }],
            "close" => vec![action("close-input"), action("closed")],
            // Later hosts may tell more; what is not known is passed over.
            _ => Vec::new(),
        })
    }
}

impl Guest for Plugin {
    type Connection = Lines;

    fn open(_: Settings) -> Result<Connection, Failure> {
        Ok(Connection::new(Lines::default()))
    }
}

fumehood_sdk::transport::export!(Plugin);
