//! Binds [`Machine`](crate::Machine) to the world `transport` of the plugin contract.
//!
//! Invariant: no logic here, only conversion; a connection is one machine, and it is never re-entered.
#![allow(unsafe_code, reason = "wit-bindgen generates the calls across the component boundary")]

use crate::contract::{Action, Event, Failure, Header, HeaderValue, Level, Request, Settings};
use crate::machine::Machine;
use std::cell::RefCell;

wit_bindgen::generate!({
    path: [
        "../../wit/types-0.1.0",
        "../../wit/log-0.1.0",
        "../../wit/config-0.1.0",
        "../../wit/transport-0.1.0",
    ],
    world: "fumehood:transport/transport",
    generate_all,
});

use exports::fumehood::transport::guest as wit;
use fumehood::log::log;
use fumehood::types::types;

struct Plugin;

struct Connection(RefCell<Machine>);

impl wit::Guest for Plugin {
    type Connection = Connection;

    fn open(settings: wit::Settings) -> Result<wit::Connection, types::Failure> {
        Machine::new(Settings {
            name: settings.name,
            url: settings.url,
            headers: settings.headers.into_iter().map(header_in).collect(),
        })
        .map(|machine| wit::Connection::new(Connection(RefCell::new(machine))))
        .map_err(failure)
    }
}

impl wit::GuestConnection for Connection {
    fn handle(&self, event: wit::Event) -> Result<Vec<wit::Action>, types::Failure> {
        let mut machine = self.0.borrow_mut();
        let result = machine.handle(from_wit(event));
        for line in machine.take_log() {
            let level = match line.level {
                Level::Warn => log::Level::Warn,
                Level::Info => log::Level::Info,
            };
            log::log(level, &line.message);
        }
        result.map(|actions| actions.into_iter().map(to_wit).collect()).map_err(failure)
    }
}

fn from_wit(event: wit::Event) -> Event {
    let id = event.id;
    match event.kind.as_str() {
        "start" => Event::Start,
        "message" => Event::Message { id, data: event.data },
        "send-dropped" => Event::SendDropped { id },
        "response" => Event::Response { id, status: event.status, headers: event.headers },
        "body" => Event::Body { id, data: event.data },
        "response-end" => Event::ResponseEnd { id, code: event.code, text: event.text },
        "timer" => Event::Timer { id },
        "close" => Event::Close,
        _ => Event::Other,
    }
}

fn to_wit(action: Action) -> wit::Action {
    match action {
        Action::Request { id, request } => wit::Action { id, request: Some(request_out(request)), ..blank("request") },
        Action::Cancel { id } => wit::Action { id, ..blank("cancel") },
        Action::Deliver { id, data } => wit::Action { id, data, ..blank("deliver") },
        Action::Sent { id } => wit::Action { id, ..blank("sent") },
        Action::Failed { id, status, code, text, retry_after_ms, www_authenticate } => wit::Action {
            id,
            status,
            code: code.into_owned(),
            text,
            number: retry_after_ms,
            headers: www_authenticate.map(|value| ("www-authenticate".to_owned(), value)).into_iter().collect(),
            ..blank("failed")
        },
        Action::Timer { id, delay_ms } => wit::Action { id, number: delay_ms, ..blank("timer") },
        Action::Closed { code, text } => wit::Action { code: code.into_owned(), text, ..blank("closed") },
    }
}

fn blank(kind: &str) -> wit::Action {
    wit::Action {
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

fn request_out(request: Request) -> wit::Request {
    wit::Request {
        method: request.method.to_owned(),
        url: request.url,
        headers: request.headers.into_iter().map(header_out).collect(),
        body: request.body,
        timeout_ms: request.timeout_ms,
        idle_timeout_ms: request.idle_timeout_ms,
    }
}

fn header_in(header: types::Header) -> Header {
    Header {
        name: header.name,
        value: match header.value {
            types::HeaderValue::Text(text) => HeaderValue::Text(text),
            types::HeaderValue::Credential(handle) => HeaderValue::Credential(handle),
        },
    }
}

fn header_out(header: Header) -> types::Header {
    types::Header {
        name: header.name,
        value: match header.value {
            HeaderValue::Text(text) => types::HeaderValue::Text(text),
            HeaderValue::Credential(handle) => types::HeaderValue::Credential(handle),
        },
    }
}

fn failure(failure: Failure) -> types::Failure {
    types::Failure {
        code: failure.code.to_owned(),
        message: failure.message,
        retry_after_ms: None,
        extensions: Vec::new(),
    }
}

export!(Plugin);
