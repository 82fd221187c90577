//! What goes on with each MCP server, as it goes on: connections, what its process writes, what it says of its own accord.
//!
//! Invariant: it is a stranger's text, which stays in memory, bounded, and goes to people who may read logs and nowhere
//! else. A flood of it pushes out its own kind and never the changes of state. Nobody reads a line before it was looked
//! through for credentials.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fumehood_mcp::{McpError, Witness, visible};
use fumehood_policy::Permission;
use fumehood_store::{Scope, ServerId, clock};
use serde_json::Value;

use crate::{App, TriageError};

/// Lines of one server, and how many of them may be changes of state.
const LINES: usize = 200;
const STATES: usize = 60;
/// Longest line, characters.
const TEXT: usize = 512;
/// What is kept of a line until it was looked through: a credential that begins in what is shown ends in this.
const UNREAD: usize = 8 * TEXT;
/// How serious a log line can be, as the protocol has it.
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    Connecting,
    Connected,
    Failed,
    Closed,
    /// A line on the standard error of its process.
    Wrote,
    /// A log line over the protocol, with its level.
    Said(&'static str),
    /// It says that something it offers has changed.
    Changed,
}

impl Heard {
    fn is_state(self) -> bool {
        matches!(self, Self::Connecting | Self::Connected | Self::Failed | Self::Closed)
    }
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLine {
    /// Counts up for each server.
    pub number: u64,
    pub time_us: i64,
    pub heard: Heard,
    /// On one line, hidden characters shown.
    pub text: String,
}

struct Line {
    line: ServerLine,
    /// It was looked through, and is cut to its length.
    clean: bool,
}

/// The newest lines of one server.
#[derive(Default)]
struct Ring {
    lines: VecDeque<Line>,
    last: u64,
}

#[derive(Default)]
pub(crate) struct ServerLog(Mutex<Ring>);

/// On one line, no longer than it has to be.
fn on_one_line(text: &str, most: usize) -> String {
    let mut line: String = text
        .trim_end_matches(['\n', '\r'])
        .chars()
        .take(most + 1)
        .map(|c| match c {
            '\n' => '⏎',
            '\r' => '␍',
            c => c,
        })
        .collect();
    if let Some((end, _)) = line.char_indices().nth(most) {
        line.truncate(end);
        line.push('…');
    }
    line
}

impl ServerLog {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, heard: Heard, text: &str) {
        let mut ring = self.ring();
        let states = ring.lines.iter().filter(|one| one.line.heard.is_state()).count();
        let over = match heard.is_state() && states >= STATES {
            true => ring.lines.iter().position(|one| one.line.heard.is_state()),
            false if ring.lines.len() >= LINES => ring.lines.iter().position(|one| !one.line.heard.is_state()),
            false => None,
        };
        if let Some(over) = over {
            ring.lines.remove(over);
        }
        ring.last += 1;
        let line = ServerLine { number: ring.last, time_us: clock::now_us(), heard, text: on_one_line(text, UNREAD) };
        ring.lines.push_back(Line { line, clean: false });
    }

    /// What it was found to offer.
    pub(crate) fn offers(&self, tools: usize) {
        let s = if tools == 1 { "" } else { "s" };
        self.note(Heard::Connected, &format!("it offers {tools} tool{s}"));
    }

    /// Keep a notification: log lines and lists that have changed. What else a server says belongs to a request.
    pub(crate) fn said(&self, method: &str, params: &Value) {
        match method.strip_prefix("notifications/").and_then(|rest| rest.strip_suffix("/list_changed")) {
            Some(list @ ("tools" | "prompts" | "resources")) => {
                return self.note(Heard::Changed, &format!("says that its list of {list} has changed"));
            }
            _ if method != "notifications/message" => return,
            _ => {}
        }
        let text = |key: &str| params.get(key).and_then(Value::as_str);
        let level = LEVELS.into_iter().find(|level| text("level") == Some(level)).unwrap_or("info");
        let logger = text("logger").map(|logger| format!("{logger}: ")).unwrap_or_default();
        let data = match params.get("data") {
            Some(Value::String(text)) => on_one_line(text, UNREAD),
            Some(data) => data.to_string(),
            None => String::new(),
        };
        self.note(Heard::Said(level), &format!("{logger}{data}"));
    }

    /// Lines that nobody has looked through yet.
    fn unread(&self) -> Vec<(u64, String)> {
        let ring = self.ring();
        ring.lines.iter().filter(|one| !one.clean).map(|one| (one.line.number, one.line.text.clone())).collect()
    }

    fn put_back(&self, read: Vec<(u64, String)>) {
        let mut ring = self.ring();
        for (number, text) in read {
            // Meanwhile it may have been pushed out.
            if let Some(one) = ring.lines.iter_mut().find(|one| one.line.number == number) {
                one.line.text = on_one_line(&visible(&text), TEXT);
                one.clean = true;
            }
        }
    }

    /// Newest first.
    fn clean(&self) -> Vec<ServerLine> {
        self.ring().lines.iter().rev().filter(|one| one.clean).map(|one| one.line.clone()).collect()
    }
}

/// The logs of all servers.
#[derive(Default)]
pub(crate) struct ServerLogs(Mutex<HashMap<ServerId, Arc<ServerLog>>>);

impl ServerLogs {
    pub(crate) fn of(&self, id: ServerId) -> Arc<ServerLog> {
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default())
    }

    pub(crate) fn forget(&self, id: ServerId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// Hears what goes on on a connection; `kind` is what it is for, as in [`crate::call::Purpose`].
    pub(crate) fn witness(&self, id: ServerId, kind: &str) -> Arc<Ears> {
        let of = match kind {
            "gateway" => "the connection of a caller of the gateway",
            "tool" => "the connection of an incident",
            _ => "the connection",
        };
        Arc::new(Ears { log: self.of(id), of, stands: AtomicBool::new(false) })
    }
}

/// Hears what goes on on one connection.
pub(crate) struct Ears {
    log: Arc<ServerLog>,
    of: &'static str,
    stands: AtomicBool,
}

impl Ears {
    /// It is open.
    pub(crate) fn connected(&self, version: &str) {
        self.stands.store(true, Ordering::Relaxed);
        self.log.note(Heard::Connected, &format!("{} is open, in protocol {version}", self.of));
    }
}

impl Witness for Ears {
    fn wrote(&self, lines: &str) {
        // Of more than there is room for only the newest counts.
        let from = lines.lines().count().saturating_sub(LINES);
        lines.lines().skip(from).for_each(|line| self.log.note(Heard::Wrote, line));
    }

    fn said(&self, method: &str, params: &Value) {
        self.log.said(method, params);
    }

    fn ended(&self, reason: Option<&McpError>) {
        // That one could not be opened is said by whoever wanted it.
        if !self.stands.load(Ordering::Relaxed) {
            return;
        }
        match reason {
            None | Some(McpError::Cancelled) => self.log.note(Heard::Closed, &format!("{} is closed", self.of)),
            Some(reason) => self.log.note(Heard::Closed, &format!("{} is over. {reason}", self.of)),
        }
    }
}

impl App {
    /// The newest lines of a server's log, newest first.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn server_log(&self, scope: &Scope, id: ServerId) -> Result<Vec<ServerLine>, TriageError> {
        self.require(scope, Permission::ReadPluginLogs)?;
        self.0.store.server(scope, id).await?;
        let log = self.0.tools.logs.of(id);
        let unread = log.unread();
        if !unread.is_empty() {
            let all: Vec<&str> = unread.iter().map(|(_, text)| text.as_str()).collect();
            let checked = self.without_credentials(scope, all.join("\n")).await;
            let checked: Vec<&str> = checked.split('\n').collect();
            // One sentence in the place of all where they could not be looked through.
            let text = |at: usize| match checked.len() == unread.len() {
                true => checked.get(at).copied().unwrap_or_default().to_owned(),
                false => "(it could not be looked through for credentials)".to_owned(),
            };
            log.put_back(unread.iter().enumerate().map(|(at, (number, _))| (*number, text(at))).collect());
        }
        Ok(log.clean())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// As people see it, without looking for credentials.
    fn shown(log: &ServerLog) -> Vec<ServerLine> {
        log.put_back(log.unread());
        log.clean()
    }

    #[test]
    fn a_flood_is_bounded_and_leaves_the_states() {
        let log = ServerLog::default();
        log.note(Heard::Connected, "first");
        for at in 0..10 * LINES {
            log.note(Heard::Wrote, &format!("line {at}"));
        }
        let lines = shown(&log);
        assert_eq!(lines.len(), LINES);
        assert_eq!(lines.first().unwrap().text, format!("line {}", 10 * LINES - 1));
        assert_eq!((lines.last().unwrap().heard, lines.last().unwrap().number), (Heard::Connected, 1));
        for at in 0..10 * STATES {
            log.note(Heard::Connecting, &format!("state {at}"));
        }
        let lines = shown(&log);
        assert_eq!(lines.iter().filter(|line| line.heard.is_state()).count(), STATES);
        assert_eq!(lines.len(), LINES);
    }

    #[test]
    fn a_line_is_one_line_cut_and_shows_what_hides_in_it() {
        let log = ServerLog::default();
        log.note(Heard::Wrote, "a\u{1b}[31mred\nand\u{202e}more\r\n");
        log.note(Heard::Wrote, &"é".repeat(100_000));
        let lines = shown(&log);
        assert_eq!(lines[1].text, "a⟨U+001B⟩[31mred⏎and⟨U+202E⟩more");
        assert_eq!(lines[0].text.chars().count(), TEXT + 1);
        assert!(lines[0].text.ends_with('…'));
    }

    #[test]
    fn of_what_a_server_says_log_lines_and_changed_lists_are_kept() {
        let log = ServerLog::default();
        log.said("notifications/message", &json!({"level": "error", "logger": "db", "data": {"code": 7}}));
        log.said("notifications/message", &json!({"level": "shouting", "data": "plain"}));
        log.said("notifications/tools/list_changed", &Value::Null);
        for other in
            ["notifications/progress", "notifications/cancelled", "notifications/other/list_changed", "made/up"]
        {
            log.said(other, &json!({"data": "no"}));
        }
        let lines: Vec<(Heard, String)> = shown(&log).into_iter().map(|line| (line.heard, line.text)).collect();
        assert_eq!(
            lines,
            [
                (Heard::Changed, "says that its list of tools has changed".to_owned()),
                (Heard::Said("info"), "plain".to_owned()),
                (Heard::Said("error"), r#"db: {"code":7}"#.to_owned()),
            ]
        );
    }

    #[test]
    fn a_connection_that_never_stood_has_no_end() {
        let logs = ServerLogs::default();
        let id = ServerId::new();
        let ears = logs.witness(id, "tool");
        ears.ended(Some(&McpError::Unreachable("gone".into())));
        assert_eq!(shown(&logs.of(id)), []);
        ears.connected("2026-07-28");
        ears.ended(None);
        let lines: Vec<String> = shown(&logs.of(id)).into_iter().map(|line| line.text).collect();
        assert_eq!(
            lines,
            [
                "the connection of an incident is closed",
                "the connection of an incident is open, in protocol 2026-07-28"
            ]
        );
    }
}
