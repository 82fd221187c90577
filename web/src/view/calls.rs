//! The record of the gateway.

use askama::Template;

use super::Frame;
use crate::units::{Bytes, Count, When};

/// Width and height of a chart's inside, in its own units.
pub const WIDTH: u32 = 960;
/// See [`WIDTH`].
pub const HEIGHT: u32 = 120;

/// What is shown; empty text leaves nothing out.
#[derive(Clone, Debug, Default)]
pub struct CallsFilter {
    /// The server, by its short name.
    pub server: String,
    /// The tool, resource or prompt.
    pub tool: String,
    /// The client's name.
    pub client: String,
    /// `ok`, `error`, `timeout`, `open` or `unknown`.
    pub status: String,
    /// The session.
    pub session: String,
    /// Leads to the session.
    pub session_href: String,
    /// Hours back.
    pub hours: u32,
    /// The page asks again by itself.
    pub live: bool,
}

impl CallsFilter {
    /// Whether anything but the time is narrowed.
    #[must_use]
    pub fn narrows(&self) -> bool {
        [&self.server, &self.tool, &self.client, &self.status, &self.session].iter().any(|text| !text.is_empty())
    }

    /// The time in words: `in the last day`.
    #[must_use]
    pub fn span(&self) -> String {
        span(self.hours)
    }
}

/// One stretch of time in a chart.
#[derive(Clone, Debug, Default)]
pub struct Bar {
    /// Left edge and width.
    pub x: u32,
    /// See `x`.
    pub width: u32,
    /// Top and height of all calls.
    pub top: u32,
    /// See `top`.
    pub height: u32,
    /// Height of those that failed, from the bottom.
    pub failed: u32,
    /// In words, for the pointer.
    pub title: String,
}

impl Bar {
    /// The top of the part that failed.
    #[must_use]
    pub fn failed_top(&self) -> u32 {
        HEIGHT.saturating_sub(self.failed)
    }
}

/// Calls and how long they took, over time.
#[derive(Clone, Debug, Default)]
pub struct Chart {
    /// Calls, those that failed within.
    pub bars: Vec<Bar>,
    /// The highest number of calls in a stretch.
    pub most: Count,
    /// Polylines of the 50th, 95th and 99th hundredth, by their style's name, with the highest value of each.
    pub lines: Vec<(&'static str, String, String)>,
    /// In words, for whoever does not see it.
    pub summary: String,
    /// The beginning of the chart.
    pub from: Option<When>,
}

/// Numbers of a group.
#[derive(Clone, Debug, Default)]
pub struct StatsRow {
    /// What the group is called.
    pub name: String,
    /// Leads to its calls.
    pub href: Option<String>,
    /// Calls.
    pub calls: Count,
    /// Those that failed.
    pub errors: Count,
    /// Latencies, as people read them.
    pub p50: String,
    /// See `p50`.
    pub p95: String,
    /// See `p50`.
    pub p99: String,
    /// Bytes in and out.
    pub bytes: (Bytes, Bytes),
}

/// A request.
#[derive(Clone, Debug)]
pub struct CallLine {
    /// For the address `/servers/calls/{id}`.
    pub id: String,
    /// When it came.
    pub at: When,
    /// Who called.
    pub caller: String,
    /// The client's name and version.
    pub client: String,
    /// The server; empty for what the gateway answers itself.
    pub server: String,
    /// The method, or the tool, resource or prompt.
    pub what: String,
    /// How it ended: `ok`, `error`, `timeout`, `open`, `unknown`.
    pub status: String,
    /// What was said about it.
    pub message: String,
    /// How long it took.
    pub took: String,
}

impl CallLine {
    /// The class of its state.
    #[must_use]
    pub fn tone(&self) -> &'static str {
        match self.status.as_str() {
            "ok" => "done",
            "open" => "pending",
            "unknown" => "unknown",
            _ => "failed",
        }
    }

    /// The word for its state.
    #[must_use]
    pub fn state_label(&self) -> &str {
        STATES.iter().find(|(state, _)| *state == self.status).map_or(&self.status, |(_, word)| word)
    }
}

/// `GET /servers/calls`: `server`, `tool`, `client`, `status`, `session`, `hours`, `before`, `live`.
#[derive(Clone, Debug, Template)]
#[template(path = "admin/calls.html")]
pub struct CallsPage {
    /// The frame.
    pub frame: Frame,
    /// What is shown.
    pub filter: CallsFilter,
    /// Servers to choose from.
    pub servers: Vec<String>,
    /// Of all that is shown.
    pub all: StatsRow,
    /// Over time.
    pub chart: Chart,
    /// By tool, resource, prompt or method.
    pub by_tool: Vec<StatsRow>,
    /// By client.
    pub by_client: Vec<StatsRow>,
    /// Newest first.
    pub calls: Vec<CallLine>,
    /// Leads to older ones.
    pub older: Option<String>,
    /// The address of this page with its filter.
    pub here: String,
    /// Where clients reach the gateway.
    pub gateway: String,
}

/// Spans of time that can be chosen, in hours.
pub const SPANS: [(u32, &str); 4] = [(1, "Last hour"), (24, "Last day"), (168, "Last week"), (720, "Last 30 days")];

/// How a request can have ended, with the word for it.
const STATES: [(&str, &str); 5] =
    [("ok", "ok"), ("error", "failed"), ("timeout", "timed out"), ("open", "running"), ("unknown", "unknown")];

/// A span of time in words: `in the last day`.
pub(super) fn span(hours: u32) -> String {
    let name = SPANS.iter().find(|(span, _)| *span == hours).map_or("time", |(_, name)| name);
    format!("in the {}", name.to_lowercase())
}

impl CallsPage {
    /// Spans of time that can be chosen, in hours.
    #[must_use]
    pub fn spans(&self) -> [(u32, &'static str); 4] {
        SPANS
    }

    /// How a request can have ended, with the word for it.
    #[must_use]
    pub fn states(&self) -> [(&'static str, &'static str); 5] {
        STATES
    }

    /// The size of a chart's inside.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        (WIDTH, HEIGHT)
    }
}

/// `GET /servers/calls/{id}`.
#[derive(Clone, Debug, Template)]
#[template(path = "admin/call.html")]
pub struct CallPage {
    /// The frame.
    pub frame: Frame,
    /// The request.
    pub call: CallLine,
    /// Protocol, platform and the like, by their names.
    pub facts: Vec<(&'static str, String)>,
    /// Its session within an address; empty for none.
    pub session: String,
    /// Where the time went, by its names.
    pub parts: Vec<(&'static str, String)>,
    /// What was asked, laid out; nothing where it is kept no longer.
    pub sent: Option<String>,
    /// What was answered.
    pub received: Option<String>,
    /// Bytes in and out.
    pub bytes: (Bytes, Bytes),
}
