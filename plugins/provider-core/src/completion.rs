//! An answer that is arriving, whatever its form: a stream of events, a stream of lines, one JSON value although a stream
//! was asked for, or a web page.
//!
//! Invariants: everything that is read is bounded; nothing follows the event with `stop`, and nothing follows a failure.

use std::collections::VecDeque;

use serde_json::Value;

use crate::error::{Said, clip, from_stream, web_page};
use crate::http::{MAX_JSON_BYTES, not_json, too_long};
use crate::lines::Lines;
use crate::model::Event;
use crate::sse::{Decoder, Frame};
use plugin_core::host::{Failure, Response, code};

/// Most bytes of a stream: some 300 bytes a token make this 200,000 tokens, above what models write in one answer.
pub const MAX_STREAM_BYTES: usize = 64 * 1024 * 1024;
/// Most bytes of a page that is not the API's, of which only the first words matter.
const MAX_PAGE_BYTES: usize = 16 * 1024;

/// The form in which a service streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Server-sent events.
    Events,
    /// A JSON value a line.
    Lines,
}

/// What one part of an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something to show; empty where there is nothing.
    Event(Event),
    /// The same, and the answer is complete with it.
    End(Event),
}

/// Reads the parts of a service's answer.
pub trait Answer {
    /// Take one part, with the name of its event (empty for none).
    ///
    /// # Errors
    /// The error that the part carries, or `protocol` over a limit.
    fn part(&mut self, name: &str, value: &Value) -> Result<Step, Failure>;

    /// Take a whole answer that came instead of a stream. What is complete with it is given by [`Answer::last`].
    ///
    /// # Errors
    /// As [`Answer::part`].
    fn whole(&mut self, value: &Value) -> Result<Event, Failure>;

    /// Whether the server has said all that matters, so that the end of the connection is the end of the answer.
    fn is_complete(&self) -> bool;

    /// The last event, with `stop`.
    fn last(&mut self) -> Event;
}

/// An answer that is arriving. Dropping it closes the connection.
pub struct Completion {
    body: Option<Box<dyn Response>>,
    form: Form,
    mode: Mode,
    answer: Box<dyn Answer>,
    frames: VecDeque<Frame>,
    bytes: usize,
    done: bool,
}

enum Mode {
    /// Nothing but white space so far.
    Start,
    Events(Decoder),
    Lines(Lines),
    /// One JSON value, although a stream was asked for.
    Whole(Vec<u8>),
    /// A web page.
    Page(Vec<u8>),
}

/// The name of the frame with a whole answer; no server's event has one with a space.
const WHOLE: &str = "whole answer";

impl Completion {
    /// An answer whose head has come.
    pub fn new(body: Box<dyn Response>, form: Form, answer: impl Answer + 'static) -> Self {
        Self {
            body: Some(body),
            form,
            mode: Mode::Start,
            answer: Box::new(answer),
            frames: VecDeque::new(),
            bytes: 0,
            done: false,
        }
    }

    /// The next event; nothing after the one with `stop`, and nothing after a failure.
    ///
    /// # Errors
    /// Those of the contract; what came before stays valid.
    #[allow(clippy::should_implement_trait, reason = "named as in the contract, and failures end it")]
    pub fn next(&mut self) -> Result<Option<Event>, Failure> {
        if self.done {
            return Ok(None);
        }
        match self.advance() {
            Ok(event) => {
                if event.stop.is_some() {
                    self.end();
                }
                Ok(Some(event))
            }
            Err(failure) => {
                self.end();
                Err(failure)
            }
        }
    }

    fn end(&mut self) {
        self.done = true;
        self.body = None;
        self.frames.clear();
    }

    fn advance(&mut self) -> Result<Event, Failure> {
        loop {
            while let Some(frame) = self.frames.pop_front() {
                let event = match frame {
                    Frame::Done => return Ok(self.answer.last()),
                    Frame::Json(name, value) if name == WHOLE => self.answer.whole(&value)?,
                    Frame::Json(name, value) => match self.answer.part(&name, &value)? {
                        Step::Event(event) => event,
                        Step::End(event) => {
                            // Whatever the server sends behind it.
                            self.frames = VecDeque::from([Frame::Done]);
                            event
                        }
                    },
                    Frame::Text(name, text) => {
                        unreadable(&name, &text)?;
                        continue;
                    }
                };
                if !event.is_empty() {
                    return Ok(event);
                }
            }
            let Some(body) = &mut self.body else {
                // Everything that arrived has been handed out.
                return if self.answer.is_complete() { Ok(self.answer.last()) } else { Err(cut_off()) };
            };
            match body.next_chunk() {
                Ok(Some(chunk)) => self.take(&chunk)?,
                Ok(None) => {
                    self.body = None;
                    self.finish()?;
                }
                // The answer is complete; how the connection went after that does not matter.
                Err(_) if self.answer.is_complete() => self.body = None,
                Err(failure) => return Err(failure),
            }
        }
    }

    fn take(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        self.bytes = self.bytes.saturating_add(chunk.len());
        if self.bytes > MAX_STREAM_BYTES {
            return Err(Failure::new(code::PROTOCOL, format!("The answer is longer than {MAX_STREAM_BYTES} bytes.")));
        }
        let mut chunk = chunk;
        if matches!(self.mode, Mode::Start) {
            // Neither the type that the server names nor what was asked for says reliably what comes. An event stream
            // never begins with `{` or `<`; white space before it is no loss, and a byte order mark begins none of the
            // others that we can read.
            let skip = chunk.iter().take_while(|b| b.is_ascii_whitespace()).count();
            chunk = chunk.get(skip..).unwrap_or_default();
            self.mode = match (chunk.first(), self.form) {
                (None, _) => return Ok(()),
                (Some(b'<'), _) => Mode::Page(Vec::new()),
                (Some(_), Form::Lines) => Mode::Lines(Lines::default()),
                (Some(b'{' | b'['), Form::Events) => Mode::Whole(Vec::new()),
                (Some(_), Form::Events) => Mode::Events(Decoder::default()),
            };
        }
        let unusable =
            |error: crate::sse::FrameTooLong| Failure::new(code::PROTOCOL, format!("The answer is unusable: {error}."));
        match &mut self.mode {
            Mode::Start => Ok(()),
            Mode::Events(decoder) => decoder.push(chunk, &mut self.frames).map_err(unusable),
            Mode::Lines(lines) => lines.push(chunk, &mut self.frames).map_err(unusable),
            Mode::Whole(body) => {
                body.extend_from_slice(chunk);
                if body.len() > MAX_JSON_BYTES { Err(too_long(MAX_JSON_BYTES)) } else { Ok(()) }
            }
            Mode::Page(body) => {
                body.extend_from_slice(chunk);
                if body.len() >= MAX_PAGE_BYTES {
                    body.truncate(MAX_PAGE_BYTES);
                    return Err(web_page(&String::from_utf8_lossy(body)));
                }
                Ok(())
            }
        }
    }

    /// The body is at its end.
    fn finish(&mut self) -> Result<(), Failure> {
        let mut frames = VecDeque::new();
        match std::mem::replace(&mut self.mode, Mode::Start) {
            Mode::Start => return Ok(()),
            // An event or a line without its end that is not complete was cut, and says nothing.
            Mode::Events(mut decoder) => drop(decoder.finish(&mut frames)),
            Mode::Lines(mut lines) => lines.finish(&mut frames),
            Mode::Whole(body) => {
                let Ok(value) = serde_json::from_slice::<Value>(&body) else {
                    return Err(not_json(&body));
                };
                // Some servers put the one answer, or the one error, into a list.
                let value = value.get(0).cloned().unwrap_or(value);
                self.frames.push_back(Frame::Json(WHOLE.to_owned(), value));
                self.frames.push_back(Frame::Done);
                return Ok(());
            }
            Mode::Page(body) => return Err(web_page(&String::from_utf8_lossy(&body))),
        }
        frames.retain(|frame| !matches!(frame, Frame::Text(..)));
        self.frames.append(&mut frames);
        Ok(())
    }
}

/// The failure for a whole answer that is none, or an error.
pub fn no_answer(value: &Value, what: &str) -> Failure {
    Said::in_json(value).map_or_else(
        || {
            Failure::new(code::PROTOCOL, format!("The server's answer holds no {what}."))
                .with("excerpt", clip(&value.to_string(), 500))
        },
        |said| from_stream(&said),
    )
}

/// Data that is no JSON: an error in words, an event of a kind that we do not know, or rubbish.
fn unreadable(name: &str, text: &str) -> Result<(), Failure> {
    match name {
        "error" => Err(from_stream(&Said { message: text.to_owned(), ..Said::default() })),
        "" | "message" => Err(Failure::new(code::PROTOCOL, "The server sent something in its stream that is no JSON.")
            .with("excerpt", clip(text, 500))),
        _ => Ok(()),
    }
}

/// The failure for a stream that stopped before the answer was complete.
pub fn cut_off() -> Failure {
    Failure::new(
        code::UNAVAILABLE,
        "The server closed the stream before the answer was complete. What arrived is kept; ask again to continue.",
    )
}
