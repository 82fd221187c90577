//! Who calls through the gateway: clients, and their sessions.

use askama::Template;

use super::Frame;
use super::calls::{CallLine, SPANS, StatsRow, span};
use crate::units::{Bytes, Count, When};

/// What is shown; empty text leaves nothing out.
#[derive(Clone, Debug, Default)]
pub struct SessionsFilter {
    /// The server, by its short name.
    pub server: String,
    /// The client's name.
    pub client: String,
    /// `open`, `ended` or `errors`.
    pub state: String,
    /// Hours back.
    pub hours: u32,
}

impl SessionsFilter {
    /// Whether anything but the time is narrowed.
    #[must_use]
    pub fn narrows(&self) -> bool {
        [&self.server, &self.client, &self.state].iter().any(|text| !text.is_empty())
    }

    /// The time in words: `in the last day`.
    #[must_use]
    pub fn span(&self) -> String {
        span(self.hours)
    }
}

/// A session.
#[derive(Clone, Debug)]
pub struct SessionLine {
    /// Its id.
    pub id: String,
    /// The same for the address `/servers/sessions/{path}`.
    pub path: String,
    /// The client's name and version.
    pub client: String,
    /// The AI platform behind it, where that is known and says more than the name.
    pub platform: String,
    /// Who calls.
    pub caller: String,
    /// The version of the protocol.
    pub protocol: String,
    /// Its first request.
    pub began: When,
    /// Its last one.
    pub last: When,
    /// Nothing while it is open.
    pub ended: Option<When>,
    /// Requests.
    pub calls: Count,
    /// Those that failed.
    pub errors: Count,
    /// Bytes in and out.
    pub bytes: (Bytes, Bytes),
}

/// `GET /servers/sessions`: `server`, `client`, `state`, `hours`, `after`.
#[derive(Clone, Debug, Template)]
#[template(path = "admin/sessions.html")]
pub struct SessionsPage {
    /// The frame.
    pub frame: Frame,
    /// What is shown.
    pub filter: SessionsFilter,
    /// Servers to choose from.
    pub servers: Vec<String>,
    /// Those used last first.
    pub sessions: Vec<SessionLine>,
    /// Leads to older ones.
    pub older: Option<String>,
}

impl SessionsPage {
    /// Spans of time that can be chosen, in hours.
    #[must_use]
    pub fn spans(&self) -> [(u32, &'static str); 4] {
        SPANS
    }
}

/// `GET /servers/sessions/{id}`: `before`.
#[derive(Clone, Debug, Template)]
#[template(path = "admin/session.html")]
pub struct SessionPage {
    /// The frame.
    pub frame: Frame,
    /// The session.
    pub session: SessionLine,
    /// By tool, resource, prompt or method.
    pub by_tool: Vec<StatsRow>,
    /// Its requests, newest first.
    pub calls: Vec<CallLine>,
    /// Leads to older ones.
    pub older: Option<String>,
}

/// A client, in one version.
#[derive(Clone, Debug)]
pub struct ClientLine {
    /// Its version.
    pub version: String,
    /// The AI platform behind it; empty where that is not known.
    pub platform: String,
    /// Its name, leading to its calls, and its numbers.
    pub stats: StatsRow,
    /// Its last request.
    pub last: When,
}

/// `GET /servers/clients`: `server`, `hours`.
#[derive(Clone, Debug, Template)]
#[template(path = "admin/clients.html")]
pub struct ClientsPage {
    /// The frame.
    pub frame: Frame,
    /// What is shown.
    pub filter: SessionsFilter,
    /// Servers to choose from.
    pub servers: Vec<String>,
    /// Those with most calls first.
    pub clients: Vec<ClientLine>,
    /// Clients that are not listed.
    pub left_out: Count,
    /// Where clients reach the gateway.
    pub gateway: String,
}

impl ClientsPage {
    /// Spans of time that can be chosen, in hours.
    #[must_use]
    pub fn spans(&self) -> [(u32, &'static str); 4] {
        SPANS
    }
}
