//! Sessions of the older era: begun by `initialize`, renewed when the server forgot them, ended by DELETE.
//!
//! A 404 to a request that named a session says that the server knows the session no more, and so has not looked at the
//! request. Then `initialize` is sent again and the request repeated, once, without the client's noticing, but only
//! where nothing is lost by it: the client has set nothing in the old session (subscriptions, log level, tasks), and
//! the server agrees to the same version, capabilities and identity as before. Otherwise the connection is closed, and
//! whoever opened it begins afresh.
//!
//! Invariant: a request is repeated only after a 404 within a session, and at most once.

use super::Machine;
use super::state::{Agreed, Call, Era, Phase, Progress, Renewal, Role, Session, Stage};
use crate::answer::{Content, Fault, Head, excerpt, fault};
use crate::contract::{Action, Request};
use crate::limits::{
    CONTROL_TIMEOUT_MS, DELETE_TIMEOUT_MS, HANDSHAKE_TIMEOUT_MS, MAX_EVENT_BYTES, MAX_SESSION_ID_BYTES,
};
use crate::rpc::{self, Kind, Message, RpcId};
use crate::sse::SseParser;
use crate::wire;
use serde_json::Value;

const INITIALIZED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

impl Agreed {
    /// From the result of `initialize`.
    fn read(result: &str) -> Self {
        let mut result: Value = serde_json::from_str(result).unwrap_or_default();
        let mut take = |name: &str| result.get_mut(name).map(Value::take).unwrap_or_default();
        let version = take("protocolVersion").as_str().map(str::to_owned);
        Self {
            version: version.filter(|version| wire::is_visible(version)),
            facts: [take("capabilities"), take("serverInfo")],
        }
    }
}

impl Machine {
    /// The client says `initialize`: whatever was before is over.
    pub(super) fn begin_session(&mut self, initialize: Vec<u8>, id: Option<RpcId>) {
        let text = format!("The client began another session with {}.", self.name);
        self.fail_where(Call::awaits_session, &text);
        self.stop_listening();
        self.era = Era::Sessions;
        self.version = None;
        self.session = Session {
            generation: self.session.generation.wrapping_add(1),
            initialize,
            initialize_id: id,
            ..Session::default()
        };
    }

    /// `initialize` was answered.
    pub(super) fn begin_agreed(&mut self, session: Option<String>, result: &str) {
        let agreed = Agreed::read(result);
        self.version.clone_from(&agreed.version);
        self.session.id = session;
        self.session.agreed = Some(agreed);
    }

    /// The server knows the session no more in which this call was sent.
    pub(super) fn session_ended(&mut self, seq: u64, generation: u32) {
        let Some(call) = self.calls.get(&seq) else {
            return;
        };
        let (replayed, control) = (call.replayed, call.is_control());
        let bound_to_session = control || call.out.method == "notifications/initialized";
        if control && call.ends.is_some() {
            // What was to be cancelled has ended with the session.
            self.sent(seq);
            self.finish(seq);
        }
        let text = format!("{} has ended the session.", self.name);
        let fault = Fault::new("unavailable", text.clone()).with_status(404);
        if bound_to_session || replayed {
            self.fail_call(seq, fault);
            return;
        }
        if generation == self.session.generation && self.session.renewal.is_none() {
            if self.session.has_state || self.session.agreed.is_none() {
                self.fail_call(seq, fault);
                self.end("unavailable", format!("{text} Connect again to begin another."));
                return;
            }
            self.renew();
        }
        self.requeue(seq);
    }

    fn renew(&mut self) {
        self.session.renewal = Some(Renewal::default());
        let version = self.version.take();
        let body = self.session.initialize.clone();
        self.renewal_post(body, None, Role::Renew, HANDSHAKE_TIMEOUT_MS);
        self.version = version;
    }

    fn renewal_post(&mut self, body: Vec<u8>, session: Option<String>, role: Role, timeout_ms: u32) {
        let in_session = session.is_some();
        let mut headers = self.post_headers(session);
        headers.extend(self.headers.iter().cloned());
        let request = Request {
            method: "POST",
            url: self.url.clone(),
            headers,
            body: Some(body),
            timeout_ms,
            idle_timeout_ms: timeout_ms,
        };
        self.request(request, role, in_session);
    }

    pub(super) fn renewal_head(&mut self, id: u64, role: Role, head: Head) {
        let session = head.session.clone();
        let usable =
            session.as_deref().is_none_or(|session| wire::is_visible(session) && session.len() <= MAX_SESSION_ID_BYTES);
        match (role, head.content) {
            _ if !head.is_success() || !usable => {
                self.cancel_exchange(id);
                let text = fault(&self.name, &head, b"", false).text;
                self.renewal_failed(&text);
            }
            (Role::Renewed, _) => {
                if let Some(exchange) = self.exchanges.get_mut(&id) {
                    exchange.role = Role::Tail;
                    exchange.phase = Phase::Drain(0);
                }
                self.renewed();
            }
            (_, content) => {
                if let Some(renewal) = &mut self.session.renewal {
                    renewal.session = session;
                }
                let phase = match content {
                    Content::EventStream => Phase::Sse(SseParser::new(MAX_EVENT_BYTES)),
                    Content::Json | Content::Other => Phase::Json(head, Vec::new()),
                };
                self.set_phase(id, phase);
            }
        }
    }

    /// A message in the answer to the repeated `initialize`. The client has had its answer long ago; only the server's
    /// agreement matters.
    pub(super) fn renewal_message(&mut self, id: u64, text: &str) {
        let Some(message) = Message::parse(text).filter(|message| message.kind() == Some(Kind::Answer)) else {
            return;
        };
        let Some(renewal) = &mut self.session.renewal else {
            return;
        };
        if renewal.answered || (message.id.is_some() && message.rpc_id() != self.session.initialize_id) {
            return;
        }
        renewal.answered = true;
        let session = renewal.session.clone();
        self.leave_tail(id);
        match message.result {
            None => {
                let said = message.error.map(|error| excerpt(error.get().as_bytes()));
                self.renewal_failed(&said.unwrap_or_default());
            }
            Some(result) if Some(Agreed::read(result.get())) == self.session.agreed => {
                self.renewal_post(INITIALIZED.to_vec(), session, Role::Renewed, CONTROL_TIMEOUT_MS);
            }
            Some(_) => {
                let text = format!(
                    "{} has ended the session, and offers other things now. Connect again to see them.",
                    self.name
                );
                self.renewal_failed(&text);
                self.end("unavailable", text);
            }
        }
    }

    pub(super) fn renewal_end(&mut self, id: u64, role: Role, phase: Phase, text: &str) {
        if let (Role::Renew, Phase::Json(_, body)) = (role, phase) {
            let text = String::from_utf8_lossy(&body).into_owned();
            for message in rpc::split(&text).unwrap_or_default() {
                self.renewal_message(id, message);
            }
        }
        let answered = self.session.renewal.as_ref().is_none_or(|renewal| renewal.answered);
        if !answered || role == Role::Renewed {
            let text = format!("it gave no answer {}", excerpt(text.as_bytes()));
            self.renewal_failed(text.trim_end());
        }
    }

    /// There is a new session: what waited for answers in the old one waits in vain.
    fn renewed(&mut self) {
        let Some(renewal) = self.session.renewal.take() else {
            return;
        };
        self.stop_listening();
        let old = self.session.generation;
        self.session.generation = old.wrapping_add(1);
        self.session.id = renewal.session;
        let text = format!("{} ended the session before it answered.", self.name);
        self.fail_where(|call| call.generation == old && call.awaits_session(), &text);
        self.listen();
    }

    pub(super) fn renewal_failed(&mut self, why: &str) {
        self.session.renewal = None;
        let text = format!("{} has ended the session, and no new one could be had: {why}", self.name);
        let waiting = self.calls.iter().filter(|(_, call)| call.replayed && call.progress == Progress::Queued);
        let seqs: Vec<u64> = waiting.map(|(seq, _)| *seq).collect();
        for seq in seqs {
            self.fail_call(seq, Fault::new("unavailable", text.clone()).with_status(404));
        }
    }

    /// The connection cannot go on.
    pub(super) fn end(&mut self, code: &'static str, text: String) {
        if self.stage == Stage::Open {
            self.shut("unavailable", &text);
            self.outbox.drop_deliveries();
            self.closed(code, text);
        }
    }

    /// The client closes.
    pub(super) fn close(&mut self) {
        if self.stage != Stage::Open {
            return;
        }
        let text = format!("The connection to {} was closed.", self.name);
        self.shut("cancelled", &text);
        self.outbox.drop_deliveries();
        let Some(session) = self.session.id.take() else {
            self.closed("", text);
            return;
        };
        self.stage = Stage::Closing;
        let mut headers = self.connection_headers(Some(session));
        headers.extend(self.headers.iter().cloned());
        let request = Request {
            method: "DELETE",
            url: self.url.clone(),
            headers,
            body: None,
            timeout_ms: DELETE_TIMEOUT_MS,
            idle_timeout_ms: DELETE_TIMEOUT_MS,
        };
        self.request(request, Role::Delete, true);
    }

    /// The server was told that the session is over; what it says to that does not matter.
    pub(super) fn deleted(&mut self, id: u64) {
        self.exchanges.remove(&id);
        if self.stage == Stage::Closing {
            let text = format!("The connection to {} was closed.", self.name);
            self.closed("", text);
        }
    }

    /// Settle what is not settled, and drop every request.
    fn shut(&mut self, code: &'static str, text: &str) {
        self.session.renewal = None;
        for (seq, call) in std::mem::take(&mut self.calls) {
            if !call.settled {
                self.failed(seq, Fault::new(code, text));
            }
        }
        self.by_id.clear();
        self.queue.clear();
        self.barrier = None;
        self.timers.clear();
        self.listen = Default::default();
        let open: Vec<u64> = self.exchanges.keys().copied().collect();
        for request in open {
            self.cancel_exchange(request);
        }
    }

    fn closed(&mut self, code: &'static str, text: String) {
        self.stage = Stage::Closed;
        self.outbox.push(Action::Closed { code: code.into(), text });
    }
}
