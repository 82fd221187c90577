//! The event stream: the GET, the address for messages, and what the server says.
//!
//! Invariant: the address is taken once, and nothing is posted before; a message is delivered as it came.

use super::{ENDPOINT_TIMEOUT_MS, Machine, STREAM, Stream, TIMER_ENDPOINT};
use crate::answer::{Content, Fault, Head, excerpt, fault, said};
use crate::contract::{Action, Level, Request};
use crate::endpoint::{Refused, resolve};
use crate::limits::{HANDSHAKE_TIMEOUT_MS, MAX_BUFFERED_BYTES, MAX_EVENT_BYTES, MAX_MESSAGE_BYTES, MAX_REFUSAL_BYTES};
use crate::rpc::{Kind, Message};
use crate::sse::{SseEvent, SseParser};
use crate::wire;

impl Machine {
    pub(super) fn start(&mut self) {
        if !matches!(self.stream, Stream::Fresh) {
            return;
        }
        self.stream = Stream::Head;
        let mut headers = vec![wire::text("accept", wire::ACCEPT_GET)];
        headers.extend(self.headers.iter().cloned());
        let request = Request {
            method: "GET",
            url: self.url.clone(),
            headers,
            body: None,
            timeout_ms: HANDSHAKE_TIMEOUT_MS,
            idle_timeout_ms: 0,
        };
        self.outbox.push(Action::Request { id: STREAM, request });
        self.outbox.push(Action::Timer { id: TIMER_ENDPOINT, delay_ms: ENDPOINT_TIMEOUT_MS });
    }

    pub(super) fn on_stream_head(&mut self, head: Head) {
        if !matches!(self.stream, Stream::Head) {
            return;
        }
        if head.encoding.is_some() || head.is_final() {
            self.end(self.no_stream(&head, b""));
        } else if head.is_success() && head.content == Content::EventStream {
            self.stream = Stream::Open(SseParser::new(MAX_EVENT_BYTES));
        } else {
            self.stream = Stream::Refused(head, Vec::new());
        }
    }

    pub(super) fn on_stream_body(&mut self, data: &[u8]) {
        let over = self.buffered() + data.len() > MAX_BUFFERED_BYTES;
        match &mut self.stream {
            Stream::Open(_) if over => self.too_large(),
            Stream::Open(parser) => {
                let mut events = Vec::new();
                let result = parser.feed(data, &mut events);
                for event in events {
                    self.on_event(event);
                    if self.is_closed() {
                        return;
                    }
                }
                if result.is_err() {
                    self.too_large();
                }
            }
            Stream::Refused(_, body) => {
                body.extend_from_slice(data);
                if body.len() >= MAX_REFUSAL_BYTES {
                    self.refused();
                }
            }
            Stream::Fresh | Stream::Head | Stream::Closed => {}
        }
    }

    fn on_event(&mut self, event: SseEvent) {
        match event.event.as_str() {
            _ if event.data.is_empty() => {}
            "endpoint" if self.endpoint.is_none() => self.on_endpoint(&event.data),
            "message" if event.data.len() > MAX_MESSAGE_BYTES => self.too_large(),
            "message" => self.on_server_message(event.data),
            _ => {}
        }
    }

    fn on_endpoint(&mut self, data: &[u8]) {
        let named = std::str::from_utf8(data).map_err(|_| Refused::Malformed);
        let (code, problem) = match named.and_then(|reference| resolve(&self.url, reference)) {
            Ok(url) => {
                self.endpoint = Some(url);
                self.outbox.push(Action::Timer { id: TIMER_ENDPOINT, delay_ms: 0 });
                return;
            }
            Err(Refused::OtherOrigin) => ("denied", "which is not at the origin of its registered URL"),
            Err(Refused::Malformed) => ("protocol", "which is no URI"),
        };
        let text = format!("{} wants its messages sent to {}, {problem}.", self.name, excerpt(data));
        self.end(Fault::new(code, text));
    }

    fn on_server_message(&mut self, data: Vec<u8>) {
        let Some(message) = std::str::from_utf8(&data).ok().and_then(Message::parse) else {
            self.note(Level::Warn, format!("skipped what is no JSON-RPC message: {}", excerpt(&data)));
            return;
        };
        if message.kind() == Some(Kind::Answer)
            && let Some(id) = message.rpc_id()
        {
            self.on_answered(&id);
        }
        self.outbox.push(Action::Deliver { id: STREAM, data });
    }

    pub(super) fn on_stream_end(&mut self, code: &str, text: &str) {
        let fault = match &self.stream {
            Stream::Fresh | Stream::Closed => return,
            Stream::Head => Fault::broken(&self.name, code, text, "gave no answer"),
            Stream::Refused(head, body) => self.no_stream(head, body),
            Stream::Open(_) => {
                let code = match code {
                    // The host's own reasons; for all others the server is gone.
                    "cancelled" | "denied" | "too-large" => code,
                    _ => "unavailable",
                };
                Fault::broken(&self.name, code, text, "ended the stream")
            }
        };
        // There is nothing left to cancel.
        self.stream = Stream::Closed;
        self.end(fault);
    }

    /// The time for the address is over.
    pub(super) fn on_no_endpoint(&mut self) {
        match self.stream {
            Stream::Refused(..) => self.refused(),
            Stream::Head | Stream::Open(_) if self.endpoint.is_none() => {
                let seconds = ENDPOINT_TIMEOUT_MS / 1_000;
                let text = format!("{} did not say within {seconds} seconds where to send messages.", self.name);
                self.end(Fault::new("timeout", text));
            }
            _ => {}
        }
    }

    /// Enough of a refusal was read.
    fn refused(&mut self) {
        if let Stream::Refused(head, body) = &self.stream {
            self.end(self.no_stream(head, body));
        }
    }

    /// What an answer to the GET means that is no event stream. Servers of streamable HTTP alone answer it with 405,
    /// or with 400 or 406, because it names no session or takes no JSON.
    fn no_stream(&self, head: &Head, body: &[u8]) -> Fault {
        let (name, status) = (&self.name, head.status);
        let mut fault = fault(name, head, body, false);
        let old = match status {
            404 | 405 | 410 => {
                fault.code = "not-found".into();
                true
            }
            200..=299 => head.encoding.is_none() && head.media_type != "text/html",
            status => matches!(status, 400 | 406),
        };
        if old {
            fault.text = format!(
                "The URL of {name} does not speak the old HTTP+SSE transport (HTTP {status}). Try streamable HTTP, or check the path."
            );
            if !body.is_empty() {
                fault.text += &format!(" It said: {}", said(body));
            }
        }
        fault
    }
}
