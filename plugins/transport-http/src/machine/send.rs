//! From the client to the server: the queue, its order, and the POST.
//!
//! Invariant: nothing overtakes a barrier but control messages; what a cancelled call still holds is given back at once.

use super::Machine;
use super::state::{Call, Era, Exchange, Phase, Progress, Role, Stage};
use crate::answer::Fault;
use crate::contract::{Action, Header, Request};
use crate::limits::{
    CONTROL_TIMEOUT_MS, HANDSHAKE_TIMEOUT_MS, MAX_CALLS, MAX_MESSAGE_BYTES, MAX_OPEN_CONTROL, MAX_OPEN_REQUESTS,
    MAX_RETAINED_BYTES, REQUEST_TIMEOUT_MS,
};
use crate::rpc::{Kind, Outgoing};
use crate::wire;

impl Machine {
    pub(super) fn on_message(&mut self, seq: u64, data: Vec<u8>) {
        match self.admit(seq, &data) {
            Ok(out) if out.method == "notifications/cancelled" => self.on_cancelled(seq, out, data),
            Ok(out) => {
                let is_initialize = out.method == "initialize";
                let is_answer = out.kind == Kind::Answer;
                if let Some(id) = &out.id {
                    self.by_id.insert(id.clone(), seq);
                }
                self.calls.insert(seq, Call::new(out, data));
                if is_answer {
                    self.post(seq);
                    return;
                }
                if is_initialize {
                    self.give_up_discovery();
                }
                self.queue.push_back(seq);
            }
            Err(fault) => self.failed(seq, fault),
        }
    }

    /// Look at a message and at the limits.
    fn admit(&self, seq: u64, data: &[u8]) -> Result<Outgoing, Fault> {
        let name = &self.name;
        if self.stage != Stage::Open {
            return Err(Fault::new("unavailable", format!("The connection to {name} is closed.")));
        }
        if data.len() > MAX_MESSAGE_BYTES {
            let text = format!(
                "A message of {} bytes is over the {MAX_MESSAGE_BYTES} bytes that a transport can carry.",
                data.len()
            );
            return Err(Fault::new("too-large", text));
        }
        let out = std::str::from_utf8(data)
            .ok()
            .and_then(Outgoing::parse)
            .ok_or_else(|| Fault::new("invalid", "This is no JSON-RPC message."))?;
        if self.calls.contains_key(&seq) || out.id.as_ref().is_some_and(|id| self.by_id.contains_key(id)) {
            return Err(Fault::new("invalid", "A message with this id is under way already."));
        }
        if out.kind == Kind::Answer && self.session.renewal.is_some() {
            let text = format!("The session of {name} in which this was asked has ended.");
            return Err(Fault::new("unavailable", text));
        }
        let retained: usize = self.calls.values().map(|call| call.data.len()).sum();
        let control = out.kind == Kind::Answer || out.method == "notifications/cancelled";
        if self.calls.len() >= MAX_CALLS
            || retained + data.len() > MAX_RETAINED_BYTES
            || (control && self.exchanges.len() >= MAX_OPEN_REQUESTS + MAX_OPEN_CONTROL)
        {
            let text = format!("Too many messages to {name} are under way; wait until some are answered.");
            return Err(Fault::new("rate-limited", text));
        }
        Ok(out)
    }

    /// In the newer era a call is cancelled by dropping its stream, and nothing is said. In the older one the server is
    /// told, and the call is over once it knows.
    fn on_cancelled(&mut self, seq: u64, out: Outgoing, data: Vec<u8>) {
        let target = out.cancels.as_ref().and_then(|id| self.by_id.get(id)).copied();
        let Some((target, progress)) = target.and_then(|seq| self.calls.get_mut(&seq).map(|call| (seq, call.progress)))
        else {
            // Answered already: there is nothing left to cancel.
            self.outbox.push(Action::Sent { id: seq });
            return;
        };
        if self.era != Era::Sessions || progress == Progress::Queued || self.session.renewal.is_some() {
            self.drop_call(target);
            self.outbox.push(Action::Sent { id: seq });
            return;
        }
        if let Some(call) = self.calls.get_mut(&target) {
            call.cancelled = true;
        }
        let mut call = Call::new(out, data);
        call.ends = Some(target);
        self.calls.insert(seq, call);
        self.post(seq);
    }

    /// A client that falls back to `initialize` no longer waits for `server/discover`.
    fn give_up_discovery(&mut self) {
        let discoveries = self.calls.iter().filter(|(_, call)| call.out.method == "server/discover");
        let seqs: Vec<u64> = discoveries.map(|(seq, _)| *seq).collect();
        for seq in seqs {
            self.drop_call(seq);
        }
    }

    /// Put a call back into the queue, where its number belongs.
    pub(super) fn requeue(&mut self, seq: u64) {
        if let Some(call) = self.calls.get_mut(&seq) {
            call.progress = Progress::Queued;
            call.replayed = true;
            let at = self.queue.iter().position(|other| *other > seq);
            self.queue.insert(at.unwrap_or(self.queue.len()), seq);
            if self.barrier == Some(seq) {
                self.barrier = None;
            }
        }
    }

    /// Start what may start.
    pub(super) fn pump(&mut self) {
        while self.stage == Stage::Open
            && self.barrier.is_none()
            && self.session.renewal.is_none()
            && !self.outbox.is_full()
            && self.exchanges.len() < MAX_OPEN_REQUESTS
        {
            let Some(seq) = self.queue.front().copied() else {
                return;
            };
            if self.calls.get(&seq).is_some_and(Call::is_barrier) {
                let busy = |call: &Call| call.progress == Progress::Posting && !call.is_control();
                if self.calls.values().any(busy) {
                    return;
                }
                self.barrier = Some(seq);
            }
            self.queue.pop_front();
            self.post(seq);
        }
    }

    /// Send a call to the server.
    fn post(&mut self, seq: u64) {
        let Some(call) = self.calls.get(&seq) else {
            return;
        };
        let is_initialize = call.out.method == "initialize";
        if is_initialize {
            let (data, id) = (call.data.clone(), call.out.id.clone());
            self.begin_session(data, id);
        }
        let Some(call) = self.calls.get(&seq) else {
            return;
        };
        if !is_initialize {
            self.version = call.out.version.clone().or(self.version.take());
            let stateless = call.out.version.is_some() || call.out.method == "server/discover";
            if self.era == Era::Unknown && stateless {
                self.era = Era::Stateless;
            }
        }
        // Before `initialize` is answered its session is only an offer; what the server asks meanwhile belongs to it.
        let offered = self.barrier.and_then(|barrier| self.calls.get(&barrier)).and_then(|call| call.session.clone());
        let session = match (self.era, is_initialize) {
            (Era::Sessions, false) => self.session.id.clone().or(offered),
            _ => None,
        };
        let text = std::str::from_utf8(&call.data).unwrap_or_default();
        let version = self.version.clone();
        let standard = match wire::standard_headers(&call.out, text, version.as_deref(), &self.tools) {
            Ok(headers) => headers,
            Err(text) => {
                self.fail_call(seq, Fault::new("too-large", text));
                return;
            }
        };
        let (timeout_ms, idle_timeout_ms) = match call.out.method.as_str() {
            "initialize" | "server/discover" => (HANDSHAKE_TIMEOUT_MS, HANDSHAKE_TIMEOUT_MS),
            "subscriptions/listen" => (HANDSHAKE_TIMEOUT_MS, 0),
            _ if call.out.is_request() => (REQUEST_TIMEOUT_MS, REQUEST_TIMEOUT_MS),
            _ => (CONTROL_TIMEOUT_MS, CONTROL_TIMEOUT_MS),
        };
        let body = call.data.clone();
        let in_session = session.is_some();
        let mut headers = self.post_headers(session);
        headers.extend(standard);
        headers.extend(self.headers.iter().cloned());
        self.session.has_state |= call.out.leaves_state;
        let generation = self.session.generation;
        let request = self.request(
            Request { method: "POST", url: self.url.clone(), headers, body: Some(body), timeout_ms, idle_timeout_ms },
            Role::Call(seq),
            in_session,
        );
        if let Some(call) = self.calls.get_mut(&seq) {
            call.progress = Progress::Posting;
            call.generation = generation;
            call.request = request;
            call.origin = request;
        }
    }

    /// What every POST carries, but for the settings' own headers.
    pub(super) fn post_headers(&self, session: Option<String>) -> Vec<Header> {
        let mut headers = vec![wire::text("content-type", "application/json"), wire::text("accept", wire::ACCEPT_POST)];
        headers.extend(self.connection_headers(session));
        headers
    }

    /// The version and the session.
    pub(super) fn connection_headers(&self, session: Option<String>) -> Vec<Header> {
        let version = self.version.as_deref().filter(|version| wire::is_visible(version));
        let version = version.map(|version| wire::text("mcp-protocol-version", version));
        let session = session.map(|session| wire::text("mcp-session-id", session));
        version.into_iter().chain(session).collect()
    }

    /// Ask the host for an HTTP request; returns its number.
    pub(super) fn request(&mut self, request: Request, role: Role, in_session: bool) -> u64 {
        self.last_request += 1;
        let id = self.last_request;
        self.exchanges.insert(
            id,
            Exchange {
                role,
                phase: Phase::Head,
                generation: self.session.generation,
                in_session,
                resumed: false,
                origin: id,
            },
        );
        self.outbox.push(Action::Request { id, request });
        id
    }
}
