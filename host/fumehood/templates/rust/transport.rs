//! {{name}}: each message is one POST, and its answer comes back as one JSON document.

use std::cell::RefCell;
use std::collections::HashMap;

use fumehood_sdk::transport::{
    Action, Connection, Event, Failure, Guest, GuestConnection, Header, Request, Settings, failure, header, log,
};

struct Plugin;

/// Longest answer, bytes.
const ANSWER: usize = 3 << 20;

/// One client's connection: what happened comes in, what to do goes out.
struct Posts {
    url: String,
    headers: Vec<Header>,
    /// Status, and what has arrived of each answer, by the number of its message.
    answers: RefCell<HashMap<u64, (u16, Vec<u8>)>>,
}

/// An action; the fields that its kind has no use for are empty.
fn action(kind: &str, id: u64) -> Action {
    Action {
        kind: kind.to_owned(),
        id,
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

fn failed(id: u64, status: u16, code: &str, text: String) -> Action {
    Action { status, code: code.to_owned(), text, ..action("failed", id) }
}

/// What to do once an answer is there as a whole.
fn ended(id: u64, status: u16, data: Vec<u8>) -> Vec<Action> {
    let code = match status {
        200..=299 if data.is_empty() => return vec![action("sent", id)],
        200..=299 => return vec![action("sent", id), Action { data, ..action("deliver", id) }],
        401 => "auth",
        403 => "forbidden",
        404 => "not-found",
        _ => "unavailable",
    };
    vec![failed(id, status, code, format!("The server answered with HTTP {status}."))]
}

impl GuestConnection for Posts {
    fn handle(&self, event: Event) -> Result<Vec<Action>, Failure> {
        let (id, mut answers) = (event.id, self.answers.borrow_mut());
        Ok(match event.kind.as_str() {
            "message" => {
                // A message's number serves as its request's.
                answers.insert(id, (0, Vec::new()));
                let request = Request {
                    method: "POST".to_owned(),
                    url: self.url.clone(),
                    headers: self.headers.clone(),
                    body: Some(event.data),
                    timeout_ms: 0,
                    idle_timeout_ms: 0,
                };
                vec![Action { request: Some(request), ..action("request", id) }]
            }
            "send-dropped" if answers.remove(&id).is_some() => vec![action("cancel", id)],
            "response" => {
                if let Some(answer) = answers.get_mut(&id) {
                    answer.0 = event.status;
                }
                Vec::new()
            }
            "body" => match answers.get_mut(&id) {
                Some((_, data)) if data.len() + event.data.len() > ANSWER => {
                    answers.remove(&id);
                    vec![action("cancel", id), failed(id, 0, "too-large", "The answer is too long.".to_owned())]
                }
                Some((_, data)) => {
                    data.extend_from_slice(&event.data);
                    Vec::new()
                }
                None => Vec::new(),
            },
            "response-end" => match answers.remove(&id) {
                Some(_) if !event.code.is_empty() => vec![failed(id, 0, &event.code, event.text)],
                Some((status, data)) => ended(id, status, data),
                None => Vec::new(),
            },
            "close" => vec![Action { text: "The connection was closed.".to_owned(), ..action("closed", 0) }],
            // Later hosts may tell more; what is not known is passed over.
            _ => Vec::new(),
        })
    }
}

impl Guest for Plugin {
    type Connection = Posts;

    fn open(settings: Settings) -> Result<Connection, Failure> {
        let url = settings.url.ok_or_else(|| failure("invalid", "{{name}} speaks HTTP: give the server a URL."))?;
        log(format!("{{name}} opens {}", settings.name));
        let mut headers = vec![header("content-type", "application/json")];
        headers.extend(settings.headers);
        Ok(Connection::new(Posts { url, headers, answers: RefCell::default() }))
    }
}

fumehood_sdk::transport::export!(Plugin);
