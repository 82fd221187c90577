//! Binds [`Machine`](crate::Machine) to the world `transport` of the plugin contract.
//!
//! Invariant: no logic here, only conversion; a connection is one machine, and it is never re-entered.
#![allow(unsafe_code, reason = "wit-bindgen generates the calls across the component boundary")]

use crate::contract::{Action, Event, Failure, Level, Settings};
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
        Machine::new(Settings { name: settings.name })
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
            };
            log::log(level, &line.message);
        }
        result.map(|actions| actions.into_iter().map(to_wit).collect()).map_err(failure)
    }
}

fn from_wit(event: wit::Event) -> Event {
    match event.kind.as_str() {
        "start" => Event::Start,
        "message" => Event::Message { id: event.id, data: event.data },
        "process-output" => Event::ProcessOutput { data: event.data },
        "process-exit" => Event::ProcessExit { status: event.status, text: event.text },
        "timer" => Event::Timer { id: event.id },
        "close" => Event::Close,
        _ => Event::Other,
    }
}

fn to_wit(action: Action) -> wit::Action {
    let (kind, id, data, number, code, text) = match action {
        Action::Spawn => ("spawn", 0, Vec::new(), 0, "", String::new()),
        Action::Write { data } => ("write", 0, data, 0, "", String::new()),
        Action::CloseInput => ("close-input", 0, Vec::new(), 0, "", String::new()),
        Action::Deliver { data } => ("deliver", 0, data, 0, "", String::new()),
        Action::Sent { id } => ("sent", id, Vec::new(), 0, "", String::new()),
        Action::Failed { id, code, text } => ("failed", id, Vec::new(), 0, code, text),
        Action::Timer { id, delay_ms } => ("timer", id, Vec::new(), delay_ms, "", String::new()),
        Action::Closed { code, text } => ("closed", 0, Vec::new(), 0, code, text),
    };
    wit::Action {
        kind: kind.to_owned(),
        id,
        data,
        request: None,
        status: 0,
        number,
        code: code.to_owned(),
        text,
        headers: Vec::new(),
        extensions: Vec::new(),
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
