//! The protocol machine: events in, actions out, no I/O.
//!
//! Two kinds of things live here. A *call* is a message of the client's, from the event that brought it until its answer
//! is delivered. An *exchange* is one HTTP request, from the action that asks for it until its answer is over. A call
//! begins with a POST; when the stream that answers it breaks, it may go on in a GET.
//!
//! Invariant: a call is settled (`sent` or `failed`) exactly once, and a request that was sent is answered exactly once;
//! an exchange is either in `exchanges` or nothing more is done about it.

mod receive;
mod send;
mod session;
mod state;
mod stream;

use crate::answer::Fault;
use crate::contract::{Action, Event, Failure, Header, Level, LogLine, Settings};
use crate::limits::MORE_DELAY_MS;
use crate::outbox::Outbox;
use crate::rpc::{self, RpcId};
use crate::tools::Tools;
use crate::wire;
use state::{Call, Era, Exchange, Listen, Role, Session, Stage, TimerUse};
use std::collections::{BTreeMap, VecDeque};

/// The timer that continues with what did not fit into one answer; the others are numbered from here on.
const TIMER_MORE: u64 = 1;
/// Log lines kept for one event.
const MAX_LOG_LINES: usize = 16;
/// JSON-RPC code of the errors made here (`internal error`, as rmcp uses it for the same).
const NO_ANSWER: i32 = -32603;

/// One connection to one server.
#[derive(Debug)]
pub struct Machine {
    name: String,
    url: String,
    headers: Vec<Header>,
    stage: Stage,
    era: Era,
    /// The version that was negotiated (older era) or that the last request named (newer era).
    version: Option<String>,
    session: Session,
    tools: Tools,
    /// By sequence number.
    calls: BTreeMap<u64, Call>,
    /// The requests among them, by JSON-RPC id.
    by_id: BTreeMap<RpcId, u64>,
    /// Calls that wait for their turn, by sequence number; some may be gone already.
    queue: VecDeque<u64>,
    /// The call that no other may overtake: `initialize` and `server/discover` until they are answered,
    /// `notifications/initialized` until it has arrived.
    barrier: Option<u64>,
    /// By HTTP request number.
    exchanges: BTreeMap<u64, Exchange>,
    last_request: u64,
    /// The GET stream of the older era.
    listen: Listen,
    timers: BTreeMap<u64, TimerUse>,
    last_timer: u64,
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
            stage: Stage::Open,
            era: Era::Unknown,
            version: None,
            session: Session::default(),
            tools: Tools::default(),
            calls: BTreeMap::new(),
            by_id: BTreeMap::new(),
            queue: VecDeque::new(),
            barrier: None,
            exchanges: BTreeMap::new(),
            last_request: 0,
            listen: Listen::default(),
            timers: BTreeMap::new(),
            last_timer: TIMER_MORE,
            outbox: Outbox::default(),
            log: Vec::new(),
        })
    }

    /// Take in one event and say what to do. Never fails; the signature is the contract's.
    pub fn handle(&mut self, event: Event) -> Result<Vec<Action>, Failure> {
        match event {
            Event::Message { id, data } => self.on_message(id, data),
            Event::SendDropped { id } => {
                if self.calls.get(&id).is_some_and(|call| !call.settled) {
                    self.drop_call(id);
                }
            }
            Event::Response { id, status, headers } => self.on_response(id, status, &headers),
            Event::Body { id, data } => self.on_body(id, &data),
            Event::ResponseEnd { id, code, text } => self.on_end(id, &code, &text),
            Event::Timer { id } => self.on_timer(id),
            Event::Close => self.close(),
            Event::Start | Event::Other => {}
        }
        self.pump();
        if self.outbox.is_over() && self.stage == Stage::Open {
            let text = format!("{} sends messages faster than they can be read.", self.name);
            self.end("too-large", text);
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

    fn on_timer(&mut self, id: u64) {
        match self.timers.remove(&id) {
            Some(TimerUse::Resume(seq)) => self.resume(seq),
            Some(TimerUse::Listen) => self.listen_again(),
            Some(TimerUse::Tail(request)) => self.cancel_exchange(request),
            // The rest of the last answer is taken in `handle`.
            None => {}
        }
    }

    /// Settle a call, if it is not settled yet: it has reached the server.
    fn sent(&mut self, seq: u64) {
        if let Some(call) = self.calls.get_mut(&seq)
            && !call.settled
        {
            call.settled = true;
            call.data = Vec::new();
            self.outbox.push(Action::Sent { id: seq });
        }
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

    /// A call gets no answer: it fails where it is not settled yet, otherwise its request is answered with an error.
    fn fail_call(&mut self, seq: u64, fault: Fault) {
        let Some(call) = self.calls.get_mut(&seq) else {
            return;
        };
        let (request, origin, cancelled) = (call.request, call.origin, call.cancelled);
        let settled = std::mem::replace(&mut call.settled, true);
        let id_json = call.out.id_json.clone();
        if self.is_exchange_of(request, seq) {
            self.cancel_exchange(request);
        }
        if !settled {
            self.failed(seq, fault);
        } else if let Some(id_json) = id_json
            && !cancelled
        {
            self.outbox
                .push(Action::Deliver { id: origin, data: rpc::error(&id_json, NO_ANSWER, &fault.text, &fault.code) });
        }
        self.finish(seq);
    }

    /// The client wants nothing more of a call.
    fn drop_call(&mut self, seq: u64) {
        let Some(call) = self.calls.get_mut(&seq) else {
            return;
        };
        call.cancelled = true;
        let text = format!("The message to {} was cancelled.", self.name);
        self.fail_call(seq, Fault::new("cancelled", text));
    }

    /// Forget a call that is settled and answered.
    fn finish(&mut self, seq: u64) {
        let Some(call) = self.calls.remove(&seq) else {
            return;
        };
        if let Some(id) = &call.out.id {
            self.by_id.remove(id);
        }
        if self.barrier == Some(seq) {
            self.barrier = None;
        }
        self.disarm(TimerUse::Resume(seq));
        if let Some(target) = call.ends {
            self.drop_call(target);
        }
    }

    fn is_exchange_of(&self, request: u64, seq: u64) -> bool {
        self.exchanges.get(&request).is_some_and(|exchange| exchange.role == Role::Call(seq))
    }

    fn cancel_exchange(&mut self, request: u64) {
        if self.exchanges.remove(&request).is_some() {
            self.disarm(TimerUse::Tail(request));
            self.outbox.cancel(request);
        }
    }

    fn arm(&mut self, what: TimerUse, delay_ms: u64) {
        self.disarm(what);
        self.last_timer += 1;
        self.timers.insert(self.last_timer, what);
        self.outbox.push(Action::Timer { id: self.last_timer, delay_ms: delay_ms.max(1) });
    }

    fn disarm(&mut self, what: TimerUse) {
        let armed = self.timers.iter().find(|(_, used)| **used == what);
        if let Some(id) = armed.map(|(id, _)| *id) {
            self.timers.remove(&id);
            self.outbox.push(Action::Timer { id, delay_ms: 0 });
        }
    }

    fn note(&mut self, level: Level, message: String) {
        if self.log.len() < MAX_LOG_LINES {
            self.log.push(LogLine { level, message });
        }
    }
}
