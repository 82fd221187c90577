//! What the machine remembers: calls, exchanges, the session and the GET stream.
//!
//! Invariant: nothing here decides anything; the rules are in the sibling modules.

use crate::answer::Head;
use crate::limits::{MAX_EVENT_ID_BYTES, RETRY_DEFAULT_MS, RETRY_MAX_MS, RETRY_MIN_MS, RETRY_SERVER_MAX_MS};
use crate::rpc::{Kind, Outgoing, RpcId};
use crate::sse::SseParser;
use serde_json::Value;

/// The life of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Messages go both ways.
    Open,
    /// The client has closed; the session is being deleted.
    Closing,
    /// `closed` was said.
    Closed,
}

/// The era of the protocol, as the client's messages show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// Nothing was sent yet.
    Unknown,
    /// `initialize` and sessions.
    Sessions,
    /// `server/discover`, nothing kept between requests.
    Stateless,
}

/// How far a call has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Waits in the queue.
    Queued,
    /// Its POST is under way, or the answer to it is not known to be a stream.
    Posting,
    /// An event stream is open for it.
    Streaming,
    /// That stream broke, and a timer runs until it is resumed.
    Resuming,
    /// The server took it; the answer will come on the GET stream.
    Elsewhere,
}

/// A message of the client's.
#[derive(Debug)]
pub struct Call {
    /// What it is.
    pub out: Outgoing,
    /// Its bytes, until it is settled.
    pub data: Vec<u8>,
    /// How far it has come.
    pub progress: Progress,
    /// `sent` or `failed` was said.
    pub settled: bool,
    /// It was sent a second time, into a new session.
    pub replayed: bool,
    /// The client does not wait for the answer.
    pub cancelled: bool,
    /// The session generation of its POST.
    pub generation: u32,
    /// The exchange that serves it.
    pub request: u64,
    /// Its last POST.
    pub origin: u64,
    /// How to go on with its stream.
    pub resume: Resume,
    /// The session that the answer to this `initialize` offers.
    pub session: Option<String>,
    /// The call that is over when this one is: what a `notifications/cancelled` cancels.
    pub ends: Option<u64>,
}

impl Call {
    /// A call that waits.
    pub fn new(out: Outgoing, data: Vec<u8>) -> Self {
        Self {
            out,
            data,
            progress: Progress::Queued,
            settled: false,
            replayed: false,
            cancelled: false,
            generation: 0,
            request: 0,
            origin: 0,
            resume: Resume::default(),
            session: None,
            ends: None,
        }
    }

    /// Whether no other message may be under way beside it.
    pub fn is_barrier(&self) -> bool {
        matches!(self.out.method.as_str(), "initialize" | "server/discover" | "notifications/initialized")
    }

    /// Whether the server took it and its answer can only come in the session in which it was sent.
    pub fn awaits_session(&self) -> bool {
        matches!(self.progress, Progress::Streaming | Progress::Resuming | Progress::Elsewhere)
    }

    /// Whether it must not wait in the queue: answers and cancellations.
    pub fn is_control(&self) -> bool {
        self.out.kind == Kind::Answer || self.ends.is_some()
    }

    /// Whether it may change something outside that must not be changed twice.
    pub fn changes(&self) -> bool {
        self.out.method == "tools/call"
    }
}

/// How to go on with an event stream that broke.
#[derive(Debug, Default)]
pub struct Resume {
    /// The id of the last event.
    pub event_id: Option<String>,
    /// What the server asks to wait.
    pub retry_ms: Option<u64>,
    /// Attempts since anything new was heard.
    pub attempts: u32,
}

impl Resume {
    /// An event came.
    pub fn heard(&mut self, event_id: Option<&str>) {
        self.attempts = 0;
        // The id outlives the connection: a resumed stream that names none goes on from where it was resumed.
        if let Some(id) = event_id {
            let fits = !id.is_empty()
                && id.len() <= MAX_EVENT_ID_BYTES
                && id.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
            self.event_id = fits.then(|| id.to_owned());
        }
    }

    /// The wait before the next attempt, in milliseconds, which is counted. `asked` is what a refusal asked for.
    pub fn next_delay_ms(&mut self, asked: Option<u64>) -> u64 {
        let own = match self.attempts {
            0 => 0,
            n => (RETRY_DEFAULT_MS << n.min(6)).min(RETRY_MAX_MS),
        };
        self.attempts = self.attempts.saturating_add(1);
        let servers = self.retry_ms.unwrap_or(RETRY_DEFAULT_MS).max(asked.unwrap_or(0)).min(RETRY_SERVER_MAX_MS);
        servers.max(own).max(RETRY_MIN_MS)
    }
}

/// What an exchange is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The call with this sequence number: its POST, or a GET that resumes its stream.
    Call(u64),
    /// The GET stream.
    Listen,
    /// `initialize` once more, for a new session.
    Renew,
    /// `notifications/initialized` once more.
    Renewed,
    /// The end of the session.
    Delete,
    /// What is left of an exchange whose purpose is fulfilled.
    Tail,
}

/// How far an answer was read.
#[derive(Debug)]
pub enum Phase {
    /// Not even its head.
    Head,
    /// A JSON body.
    Json(Head, Vec<u8>),
    /// An event stream.
    Sse(SseParser),
    /// A refusal, or a success that is none.
    Refused(Head, Vec<u8>),
    /// A body that does not matter, with the bytes seen.
    Drain(usize),
}

/// One HTTP request.
#[derive(Debug)]
pub struct Exchange {
    /// What it is for.
    pub role: Role,
    /// How far its answer was read.
    pub phase: Phase,
    /// The session generation in which it was sent.
    pub generation: u32,
    /// It named a session.
    pub in_session: bool,
    /// It is a GET that resumes the stream of a call.
    pub resumed: bool,
    /// The request that `deliver` names for what comes on it.
    pub origin: u64,
}

impl Exchange {
    /// Bytes that are kept of its answer.
    pub fn buffered(&self) -> usize {
        match &self.phase {
            Phase::Json(_, body) | Phase::Refused(_, body) => body.len(),
            Phase::Sse(parser) => parser.buffered(),
            Phase::Head | Phase::Drain(_) => 0,
        }
    }
}

/// What client and server agreed on; a new session must agree on the same, or the client would be misled.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreed {
    /// `protocolVersion`.
    pub version: Option<String>,
    /// `capabilities` and `serverInfo`.
    pub facts: [Value; 2],
}

/// The session of the older era.
#[derive(Debug, Default)]
pub struct Session {
    /// `Mcp-Session-Id`, where the server gave one.
    pub id: Option<String>,
    /// Counts the sessions of this connection.
    pub generation: u32,
    /// The client's `initialize`, to be sent again.
    pub initialize: Vec<u8>,
    /// Its id.
    pub initialize_id: Option<RpcId>,
    /// What was agreed on.
    pub agreed: Option<Agreed>,
    /// The client set something in this session that a new one would silently lack.
    pub has_state: bool,
    /// A new session is being made.
    pub renewal: Option<Renewal>,
}

/// A session in the making.
#[derive(Debug, Default)]
pub struct Renewal {
    /// Its id.
    pub session: Option<String>,
    /// `initialize` was answered.
    pub answered: bool,
}

/// The state of the GET stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Listening {
    /// Not asked for.
    #[default]
    Off,
    /// Asked for, or open.
    On,
    /// Waits to be asked for again.
    Waiting,
    /// The server offers none.
    Refused,
}

/// The GET stream of the older era.
#[derive(Debug, Default)]
pub struct Listen {
    /// Its state.
    pub state: Listening,
    /// Its exchange.
    pub request: u64,
    /// How to go on with it.
    pub resume: Resume,
}

impl Listen {
    /// Whether an answer can still come on it.
    pub fn is_alive(&self) -> bool {
        matches!(self.state, Listening::On | Listening::Waiting)
    }
}

/// What a timer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimerUse {
    /// Resume the stream of this call.
    Resume(u64),
    /// Ask for the GET stream again.
    Listen,
    /// Cut off what is left of this exchange.
    Tail(u64),
}
