//! The protocol machine: events in, actions out, no I/O.
//!
//! Invariant: every [`Event::Message`] gets exactly one [`Action::Sent`] or [`Action::Failed`], in the answer to that
//! event; after [`Action::Closed`] nothing but failures of late messages comes out; one answer never exceeds the
//! contract's 1,000 actions and 4 MiB.

use crate::contract::{Action, Event, Failure, Level, LogLine, Settings};
use crate::lines::{Lines, MAX_LINE_BYTES, Overflow};
use serde_json::value::RawValue;

/// The timer that continues with output which did not fit into one answer.
pub const TIMER_MORE: u64 = 1;
/// The timer that ends the wait for the process after the client has closed.
pub const TIMER_CLOSE: u64 = 2;
/// How long the process may take to end by itself once its standard input is closed, in milliseconds. Python and Node
/// servers end within some hundred; what is still there after it is killed by the host.
pub const CLOSE_TIMEOUT_MS: u64 = 2_000;

/// Delay of [`TIMER_MORE`], in milliseconds: as soon as possible.
const MORE_DELAY_MS: u64 = 1;
/// Messages delivered in one answer; the contract allows 1,000 actions, and a few are needed for the rest.
const MAX_DELIVERIES: usize = 900;
/// Bytes delivered in one answer, counted with [`ACTION_BYTES`] each; 4 MiB less a margin.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024 - 32 * 1024;
/// What an action weighs besides its data.
const ACTION_BYTES: usize = 256;
/// Bytes of an unreadable line that are logged.
const EXCERPT_BYTES: usize = 512;
/// Log lines for unreadable output in one answer; the others are counted.
const MAX_LOG_LINES: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fresh,
    Running,
    /// The client has closed; waiting for the process to end.
    Closing,
    Closed,
}

/// One connection to one server process.
#[derive(Debug)]
pub struct Machine {
    name: String,
    state: State,
    lines: Lines,
    /// The process has ended, with this sentence; `closed` follows once all its output is delivered.
    ended: Option<String>,
    log: Vec<LogLine>,
}

impl Machine {
    /// A new connection. Never fails: a process needs no settings but the one that the operator registered.
    pub fn new(settings: Settings) -> Result<Self, Failure> {
        Ok(Self { name: settings.name, state: State::Fresh, lines: Lines::default(), ended: None, log: Vec::new() })
    }

    /// Take in one event and say what to do. Never fails; the signature is the contract's.
    pub fn handle(&mut self, event: Event) -> Result<Vec<Action>, Failure> {
        let mut out = Vec::new();
        match event {
            Event::Message { id, data } => self.send(id, data, &mut out),
            _ if self.state == State::Closed => {}
            Event::Start if self.state == State::Fresh => {
                self.state = State::Running;
                out.push(Action::Spawn);
            }
            Event::ProcessOutput { data } if self.ended.is_none() => match self.lines.push(&data) {
                Ok(()) => self.deliver(&mut out),
                Err(overflow) => self.overflow(overflow, &mut out),
            },
            Event::ProcessExit { status, text } if self.ended.is_none() => {
                self.ended = Some(self.exit_sentence(status, &text));
                self.lines.finish();
                self.deliver(&mut out);
            }
            Event::Timer { id: TIMER_MORE } => self.deliver(&mut out),
            Event::Timer { id: TIMER_CLOSE } if self.state == State::Closing => {
                let text = format!(
                    "{} did not end within {} seconds after its input was closed.",
                    self.name,
                    CLOSE_TIMEOUT_MS / 1_000
                );
                self.close("", text, &mut out);
            }
            Event::Close => self.begin_close(&mut out),
            Event::Start
            | Event::ProcessOutput { .. }
            | Event::ProcessExit { .. }
            | Event::Timer { .. }
            | Event::Other => {}
        }
        Ok(out)
    }

    /// What is to be written to the plugin's log since the last call.
    pub fn take_log(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.log)
    }

    fn send(&mut self, id: u64, mut data: Vec<u8>, out: &mut Vec<Action>) {
        if self.state != State::Running || self.ended.is_some() {
            out.push(Action::Failed { id, code: "unavailable", text: format!("{} is not running.", self.name) });
            return;
        }
        if data.len() > MAX_LINE_BYTES {
            out.push(Action::Failed {
                id,
                code: "too-large",
                text: format!(
                    "A message of {} bytes is over the {MAX_LINE_BYTES} bytes that a transport can carry.",
                    data.len()
                ),
            });
            return;
        }
        // A message is one line. Within JSON a raw line break can only be space between tokens.
        for byte in &mut data {
            if matches!(*byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        data.push(b'\n');
        out.push(Action::Write { data });
        out.push(Action::Sent { id });
    }

    /// Deliver the lines that wait, as many as one answer takes, and close if that was all that a dead process left.
    fn deliver(&mut self, out: &mut Vec<Action>) {
        let mut bytes = 0;
        let mut count = 0;
        let mut unreadable = 0usize;
        let more = loop {
            match self.lines.peek_len() {
                Ok(None) => break false,
                Ok(Some(len)) => {
                    let weight = len + ACTION_BYTES;
                    if count >= MAX_DELIVERIES || (count > 0 && bytes + weight > MAX_ANSWER_BYTES) {
                        break true;
                    }
                    bytes += weight;
                }
                Err(overflow) => {
                    self.overflow(overflow, out);
                    return;
                }
            }
            let line = match self.lines.next_line() {
                Ok(Some(line)) => line.trim_ascii(),
                Ok(None) => break false,
                Err(overflow) => {
                    self.overflow(overflow, out);
                    return;
                }
            };
            if line.is_empty() {
                continue;
            }
            if is_message(line) {
                count += 1;
                out.push(Action::Deliver { data: line.to_vec() });
            } else {
                unreadable += 1;
                if unreadable <= MAX_LOG_LINES {
                    let excerpt = line.get(..EXCERPT_BYTES).unwrap_or(line);
                    self.log.push(LogLine {
                        level: Level::Warn,
                        message: format!(
                            "skipped a line of standard output that is not a JSON-RPC message: {}",
                            String::from_utf8_lossy(excerpt)
                        ),
                    });
                }
            }
        };
        if unreadable > MAX_LOG_LINES {
            self.log.push(LogLine {
                level: Level::Warn,
                message: format!(
                    "skipped {} more lines of standard output that are not JSON-RPC messages",
                    unreadable - MAX_LOG_LINES
                ),
            });
        }
        if more {
            out.push(Action::Timer { id: TIMER_MORE, delay_ms: MORE_DELAY_MS });
        } else if let Some(text) = self.ended.take() {
            let code = if self.state == State::Closing { "" } else { "unavailable" };
            self.close(code, text, out);
        }
    }

    fn begin_close(&mut self, out: &mut Vec<Action>) {
        match self.state {
            State::Running if self.ended.is_none() => {
                self.state = State::Closing;
                out.push(Action::CloseInput);
                out.push(Action::Timer { id: TIMER_CLOSE, delay_ms: CLOSE_TIMEOUT_MS });
            }
            State::Fresh | State::Running => {
                self.close("", format!("The connection to {} was closed.", self.name), out);
            }
            State::Closing | State::Closed => {}
        }
    }

    fn overflow(&mut self, overflow: Overflow, out: &mut Vec<Action>) {
        let text = match overflow {
            Overflow::Line => format!(
                "{} wrote a line longer than {MAX_LINE_BYTES} bytes, which is no message that can be carried.",
                self.name
            ),
            Overflow::Backlog => format!("{} wrote messages faster than they could be read.", self.name),
        };
        self.close("too-large", text, out);
    }

    fn close(&mut self, code: &'static str, text: String, out: &mut Vec<Action>) {
        self.state = State::Closed;
        self.lines = Lines::default();
        out.push(Action::Closed { code, text });
    }

    fn exit_sentence(&self, status: u16, text: &str) -> String {
        let name = &self.name;
        let mut sentence = match status {
            255 => format!("The process of {name} was ended by a signal (exit code 255)."),
            _ => format!("The process of {name} ended with exit code {status}."),
        };
        if !text.is_empty() {
            sentence.push(' ');
            sentence.push_str(text);
        }
        sentence
    }
}

/// Whether the line is a JSON-RPC message: UTF-8, a JSON object, and marked with its version.
///
/// Servers print banners, progress and even JSON logs to standard output; all of that is somebody's text, not a
/// message. Batches (revision 2025-03-26 alone) are not taken on this transport: no client here ever sends one.
fn is_message(line: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Marked<'a> {
        #[serde(borrow)]
        jsonrpc: &'a RawValue,
    }
    std::str::from_utf8(line)
        .ok()
        .filter(|line| line.starts_with('{'))
        .and_then(|line| serde_json::from_str::<Marked<'_>>(line).ok())
        .is_some_and(|marked| marked.jsonrpc.get() == "\"2.0\"")
}
