//! Event streams that break: the stream of one request, and the GET stream of the older era.
//!
//! Invariant: a stream is resumed with the id of the last event that was read, so that nothing is lost or doubled, and
//! never without a pause; a request whose stream cannot be resumed is answered with an error.

use super::Machine;
use super::state::{Call, Era, Listening, Phase, Progress, Role, Stage, TimerUse};
use crate::answer::{Content, Fault, Head};
use crate::contract::{Level, Request};
use crate::limits::{HANDSHAKE_TIMEOUT_MS, MAX_EVENT_BYTES, MAX_RESUME_ATTEMPTS, REQUEST_TIMEOUT_MS};
use crate::sse::SseParser;
use crate::wire;

impl Machine {
    /// The stream of a call ended before the answer came.
    pub(super) fn stream_ended(&mut self, seq: u64, retry_ms: Option<u64>, code: &str, text: &str) {
        let Some(call) = self.calls.get_mut(&seq) else {
            return;
        };
        if let Some(retry_ms) = retry_ms {
            call.resume.retry_ms = Some(retry_ms);
        }
        if !call.out.is_request() {
            self.accepted_stream(seq);
            return;
        }
        match code {
            "denied" | "cancelled" => {
                let fault = self.lost(seq, code, text);
                self.fail_call(seq, fault);
            }
            _ => self.resume_later(seq, None, code, text),
        }
    }

    /// A notification that was answered with a stream: that stream is over.
    fn accepted_stream(&mut self, seq: u64) {
        let is_initialized = self.calls.get(&seq).is_some_and(|call| call.out.method == "notifications/initialized");
        self.finish(seq);
        if is_initialized {
            self.listen();
        }
    }

    /// Go on with the stream of a call after a pause, if that is possible.
    fn resume_later(&mut self, seq: u64, asked_ms: Option<u64>, code: &str, text: &str) {
        let Some(call) = self.calls.get_mut(&seq) else {
            return;
        };
        let can = self.era == Era::Sessions
            && !call.cancelled
            && call.resume.event_id.is_some()
            && call.resume.attempts < MAX_RESUME_ATTEMPTS;
        if can {
            call.progress = Progress::Resuming;
            let delay_ms = call.resume.next_delay_ms(asked_ms);
            self.arm(TimerUse::Resume(seq), delay_ms);
        } else {
            let fault = self.lost(seq, code, text);
            self.fail_call(seq, fault);
        }
    }

    /// The pause is over.
    pub(super) fn resume(&mut self, seq: u64) {
        let Some(call) = self.calls.get(&seq) else {
            return;
        };
        let (event_id, origin) = (call.resume.event_id.clone(), call.origin);
        let session = self.session.id.clone().or_else(|| call.session.clone());
        let request = self.get(event_id, session, Role::Call(seq), REQUEST_TIMEOUT_MS);
        if let Some(exchange) = self.exchanges.get_mut(&request) {
            exchange.resumed = true;
            exchange.origin = origin;
        }
        if let Some(call) = self.calls.get_mut(&seq) {
            call.progress = Progress::Streaming;
            call.request = request;
        }
    }

    pub(super) fn resumed_head(&mut self, id: u64, seq: u64, head: Head) {
        match head.content {
            _ if !head.is_success() && head.is_passing() => {
                self.cancel_exchange(id);
                let text = format!("HTTP {}", head.status);
                self.resume_later(seq, head.retry_after_ms, "", &text);
            }
            Content::EventStream if head.is_success() => {
                self.set_phase(id, Phase::Sse(SseParser::new(MAX_EVENT_BYTES)));
            }
            Content::Json if head.is_success() => self.set_phase(id, Phase::Json(head, Vec::new())),
            _ => {
                let text = format!("its stream could not be resumed (HTTP {})", head.status);
                let fault = self.lost(seq, "", &text);
                self.fail_call(seq, fault);
            }
        }
    }

    /// The GET got no answer at all.
    pub(super) fn resume_failed(&mut self, seq: u64, code: &str, text: &str) {
        match code {
            "denied" | "cancelled" => {
                let fault = self.lost(seq, code, text);
                self.fail_call(seq, fault);
            }
            _ => self.resume_later(seq, None, code, text),
        }
    }

    /// Ask for an event stream. `idle_timeout_ms` is the longest silence, 0 for no limit.
    fn get(&mut self, event_id: Option<String>, session: Option<String>, role: Role, idle_timeout_ms: u32) -> u64 {
        let mut headers = vec![wire::text("accept", wire::ACCEPT_GET)];
        let in_session = session.is_some();
        headers.extend(self.connection_headers(session));
        headers.extend(event_id.map(|id| wire::text("last-event-id", id)));
        headers.extend(self.headers.iter().cloned());
        let request = Request {
            method: "GET",
            url: self.url.clone(),
            headers,
            body: None,
            timeout_ms: HANDSHAKE_TIMEOUT_MS,
            idle_timeout_ms,
        };
        self.request(request, role, in_session)
    }

    /// Ask for the GET stream, where there can be one.
    pub(super) fn listen(&mut self) {
        let offered = self.era == Era::Sessions
            && self.session.agreed.is_some()
            && !self.version.as_deref().is_some_and(wire::is_stateless);
        if offered && self.stage == Stage::Open && self.listen.state == Listening::Off {
            self.listen_again();
        }
    }

    pub(super) fn listen_again(&mut self) {
        let (event_id, session) = (self.listen.resume.event_id.clone(), self.session.id.clone());
        self.listen.request = self.get(event_id, session, Role::Listen, 0);
        self.listen.state = Listening::On;
    }

    pub(super) fn listen_head(&mut self, id: u64, head: Head) {
        if head.is_success() && head.content == Content::EventStream && head.encoding.is_none() {
            self.set_phase(id, Phase::Sse(SseParser::new(MAX_EVENT_BYTES)));
        } else if !head.is_success() && head.is_passing() {
            self.cancel_exchange(id);
            self.listen_later(head.retry_after_ms);
        } else {
            if let Some(exchange) = self.exchanges.get_mut(&id) {
                exchange.role = Role::Tail;
                exchange.phase = Phase::Drain(0);
            }
            // 405 is how a server says that it has none.
            self.listen_refused(&format!("HTTP {}", head.status));
        }
    }

    pub(super) fn listen_later(&mut self, asked_ms: Option<u64>) {
        if self.stage == Stage::Open {
            self.listen.state = Listening::Waiting;
            let delay_ms = self.listen.resume.next_delay_ms(asked_ms);
            self.arm(TimerUse::Listen, delay_ms);
        }
    }

    pub(super) fn listen_refused(&mut self, why: &str) {
        self.listen.state = Listening::Refused;
        self.note(Level::Info, format!("the server offers no stream of its own ({why})"));
        let text = format!("{} closed the stream on which the answer would have come.", self.name);
        self.fail_where(|call| call.progress == Progress::Elsewhere, &text);
    }

    /// Stop listening, before a session begins.
    pub(super) fn stop_listening(&mut self) {
        if self.listen.state == Listening::On {
            self.cancel_exchange(self.listen.request);
        }
        self.disarm(TimerUse::Listen);
        self.listen = Default::default();
    }

    /// Answer every call of a kind with an error.
    pub(super) fn fail_where(&mut self, which: impl Fn(&Call) -> bool, text: &str) {
        let found = self.calls.iter().filter(|(_, call)| which(call));
        let seqs: Vec<u64> = found.map(|(seq, _)| *seq).collect();
        for seq in seqs {
            let changes = self.calls.get(&seq).is_some_and(Call::changes);
            let code = if changes { "outcome-unknown" } else { "unavailable" };
            self.fail_call(seq, Fault::new(code, text));
        }
    }
}
