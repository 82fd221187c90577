//! The protocol machine: events in, actions out, no I/O.
//!
//! The connection is its event stream: it begins with the GET, and when the stream is over, so is the connection. A
//! *call* is a message of the client's that waits to be sent, a *post* is one that was.
//!
//! Invariant: every message of the client gets exactly one `sent` or `failed`; nothing but failures of late messages
//! follows `closed`, which is said once.

mod post;
mod stream;

use crate::answer::{Fault, Head};
use crate::contract::{Action, Event, Failure, Header, Level, LogLine, Settings};
use crate::limits::{MAX_MESSAGE_BYTES, MORE_DELAY_MS};
use crate::outbox::Outbox;
use crate::sse::SseParser;
use crate::wire;
use post::{Call, Post};
use std::collections::{BTreeMap, VecDeque};

/// How long the server may take to name the address for messages, in milliseconds.
pub const ENDPOINT_TIMEOUT_MS: u64 = 30_000;

/// The timer that continues with what did not fit into one answer.
const TIMER_MORE: u64 = 1;
/// The timer that ends the wait for the address.
const TIMER_ENDPOINT: u64 = 2;
/// The number of the GET; the POSTs are numbered from here on.
const STREAM: u64 = 1;
/// Log lines kept for one event.
const MAX_LOG_LINES: usize = 16;

/// How far the answer to the GET was read.
#[derive(Debug)]
enum Stream {
    /// It was not asked for yet.
    Fresh,
    /// Not even its head.
    Head,
    /// A refusal, or a success that is no event stream.
    Refused(Head, Vec<u8>),
    /// The event stream.
    Open(SseParser),
    /// `closed` was said.
    Closed,
}

/// One connection to one server.
#[derive(Debug)]
pub struct Machine {
    name: String,
    url: String,
    headers: Vec<Header>,
    stream: Stream,
    /// Where messages are posted, once the server has named it.
    endpoint: Option<String>,
    /// In the order in which they came.
    queue: VecDeque<Call>,
    /// By HTTP request number.
    posts: BTreeMap<u64, Post>,
    last_request: u64,
    outbox: Outbox,
    log: Vec<LogLine>,
}

impl Machine {
    /// A new connection. Fails with `invalid` where the settings cannot work.
    pub fn new(settings: Settings) -> Result<Self, Failure> {
        let url = wire::check_settings(&settings).map_err(|message| Failure { code: "invalid", message })?;
        Ok(Self {
            name: settings.name,
            url,
            headers: settings.headers,
            stream: Stream::Fresh,
            endpoint: None,
            queue: VecDeque::new(),
            posts: BTreeMap::new(),
            last_request: STREAM,
            outbox: Outbox::default(),
            log: Vec::new(),
        })
    }

    /// Take in one event and say what to do. Never fails; the signature is the contract's.
    pub fn handle(&mut self, event: Event) -> Result<Vec<Action>, Failure> {
        match event {
            Event::Message { id, data } => self.on_message(id, data),
            _ if self.is_closed() => {}
            Event::Start => self.start(),
            Event::SendDropped { id } => self.on_dropped(id),
            Event::Response { status: ..200, .. } => {}
            Event::Response { id: STREAM, status, headers } => self.on_stream_head(Head::read(status, &headers)),
            Event::Response { id, status, headers } => self.on_post_head(id, Head::read(status, &headers)),
            Event::Body { id: STREAM, data } => self.on_stream_body(&data),
            Event::Body { id, data } => self.on_post_body(id, &data),
            Event::ResponseEnd { id: STREAM, code, text } => self.on_stream_end(&code, &text),
            Event::ResponseEnd { id, code, text } => self.on_post_end(id, &code, &text),
            Event::Timer { id: TIMER_ENDPOINT } => self.on_no_endpoint(),
            Event::Close => self.close(),
            // The rest of the last answer is taken below.
            Event::Timer { .. } | Event::Other => {}
        }
        self.pump();
        if self.outbox.is_over() && !self.is_closed() {
            self.outbox.drop_deliveries();
            let text = format!("{} sends messages faster than they can be read.", self.name);
            self.end(Fault::new("too-large", text));
        }
        let mut actions = self.outbox.take();
        if !self.outbox.is_empty() {
            actions.push(Action::Timer { id: TIMER_MORE, delay_ms: MORE_DELAY_MS });
        }
        Ok(actions)
    }

    /// What is to be written to the plugin's log since the last call.
    pub fn take_log(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.log)
    }

    fn is_closed(&self) -> bool {
        matches!(self.stream, Stream::Closed)
    }

    fn failed(&mut self, seq: u64, fault: Fault) {
        self.outbox.push(Action::Failed {
            id: seq,
            status: fault.status,
            code: fault.code,
            text: fault.text,
            retry_after_ms: fault.retry_after_ms,
            www_authenticate: fault.www_authenticate,
        });
    }

    /// The client closes.
    fn close(&mut self) {
        let text = format!("The connection to {} was closed.", self.name);
        self.outbox.drop_deliveries();
        self.shut(&Fault::new("cancelled", text.clone()));
        self.outbox.push(Action::Closed { code: "".into(), text });
    }

    /// The connection cannot go on. What was delivered before still reaches the client.
    fn end(&mut self, fault: Fault) {
        self.shut(&fault);
        self.outbox.push(Action::Closed { code: fault.code, text: fault.text });
    }

    /// Settle what is not settled, and drop every request.
    fn shut(&mut self, fault: &Fault) {
        for call in std::mem::take(&mut self.queue) {
            self.failed(call.seq, fault.clone());
        }
        for (request, post) in std::mem::take(&mut self.posts) {
            if !post.settled {
                self.failed(post.seq, post.lost(fault.clone()));
            }
            self.outbox.cancel(request);
        }
        let stream = std::mem::replace(&mut self.stream, Stream::Closed);
        if !matches!(stream, Stream::Fresh | Stream::Closed) {
            self.outbox.cancel(STREAM);
        }
    }

    /// Bytes that are kept of answers.
    fn buffered(&self) -> usize {
        let stream = match &self.stream {
            Stream::Open(parser) => parser.buffered(),
            Stream::Refused(_, body) => body.len(),
            Stream::Fresh | Stream::Head | Stream::Closed => 0,
        };
        stream + self.posts.values().map(Post::buffered).sum::<usize>()
    }

    fn too_large(&mut self) {
        let text = format!("{} sent more than the {MAX_MESSAGE_BYTES} bytes that one message may have.", self.name);
        self.end(Fault::new("too-large", text));
    }

    fn note(&mut self, level: Level, message: String) {
        if self.log.len() < MAX_LOG_LINES {
            self.log.push(LogLine { level, message });
        }
    }
}
