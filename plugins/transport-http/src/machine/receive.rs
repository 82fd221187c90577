//! From the server to the client: heads, bodies and the messages in them.
//!
//! Invariant: a message is delivered as it came; an answer is delivered only to a request that is open, and once.

use super::Machine;
use super::state::{Call, Phase, Progress, Role, Stage, TimerUse};
use crate::answer::{Content, Fault, Head, excerpt, fault};
use crate::contract::{Action, Level};
use crate::limits::{
    MAX_BUFFERED_BYTES, MAX_EVENT_BYTES, MAX_MESSAGE_BYTES, MAX_REFUSAL_BYTES, MAX_SESSION_ID_BYTES, TAIL_MS,
};
use crate::rpc::{self, Kind, Message, RpcId};
use crate::sse::SseParser;
use crate::wire;

impl Machine {
    pub(super) fn on_response(&mut self, id: u64, status: u16, headers: &[(String, String)]) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        if !matches!(exchange.phase, Phase::Head) || status < 200 {
            return;
        }
        let (role, resumed) = (exchange.role, exchange.resumed);
        let head = Head::read(status, headers);
        match role {
            Role::Call(seq) if resumed => self.resumed_head(id, seq, head),
            Role::Call(seq) => self.call_head(id, seq, head),
            Role::Listen => self.listen_head(id, head),
            Role::Renew | Role::Renewed => self.renewal_head(id, role, head),
            Role::Delete => self.deleted(id),
            Role::Tail if head.is_success() && head.content == Content::EventStream => {
                self.set_phase(id, Phase::Sse(SseParser::new(MAX_EVENT_BYTES)));
            }
            Role::Tail => self.set_phase(id, Phase::Drain(0)),
        }
    }

    pub(super) fn set_phase(&mut self, id: u64, phase: Phase) {
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.phase = phase;
        }
    }

    /// The head of the answer to the POST of a call.
    fn call_head(&mut self, id: u64, seq: u64, head: Head) {
        let Some(call) = self.calls.get_mut(&seq) else {
            return;
        };
        let is_request = call.out.is_request();
        let changes = call.changes();
        let is_initialize = call.out.method == "initialize";
        if !head.is_success() {
            let exchange = self.exchanges.get(&id);
            let in_session = exchange.is_some_and(|exchange| exchange.in_session);
            if head.status == 404 && in_session {
                let generation = exchange.map_or(0, |exchange| exchange.generation);
                self.cancel_exchange(id);
                self.session_ended(seq, generation);
            } else if head.is_final() {
                self.fail_call(seq, fault(&self.name, &head, b"", changes));
            } else {
                self.set_phase(id, Phase::Refused(head, Vec::new()));
            }
            return;
        }
        if is_initialize && let Some(session) = &head.session {
            if !wire::is_visible(session) || session.len() > MAX_SESSION_ID_BYTES {
                let text = format!("{} gave a session id that cannot be sent back.", self.name);
                self.fail_call(seq, Fault::new("protocol", text).with_status(head.status));
                return;
            }
            call.session = Some(session.clone());
        }
        let web_page = head.media_type == "text/html";
        match (head.status, head.content) {
            _ if head.encoding.is_some() => self.fail_call(seq, fault(&self.name, &head, b"", changes)),
            (202 | 204 | 205, _) => self.accepted(id, seq),
            (_, Content::EventStream) => {
                call.progress = Progress::Streaming;
                self.set_phase(id, Phase::Sse(SseParser::new(MAX_EVENT_BYTES)));
                self.sent(seq);
            }
            (_, Content::Json) => self.set_phase(id, Phase::Json(head, Vec::new())),
            (_, Content::Other) if is_request || web_page => {
                self.set_phase(id, Phase::Refused(head, Vec::new()));
            }
            (_, Content::Other) => self.accepted(id, seq),
        }
    }

    /// The server took a message and has nothing to say to it, or not here.
    fn accepted(&mut self, id: u64, seq: u64) {
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.role = Role::Tail;
            exchange.phase = Phase::Drain(0);
        }
        self.sent(seq);
        let Some(call) = self.calls.get_mut(&seq) else {
            return;
        };
        if !call.out.is_request() {
            let is_initialized = call.out.method == "notifications/initialized";
            self.finish(seq);
            if is_initialized {
                self.listen();
            }
        } else if self.listen.is_alive() {
            call.progress = Progress::Elsewhere;
        } else {
            let text = format!(
                "{} took the request without an answer, and there is no stream on which one could come.",
                self.name
            );
            self.fail_call(seq, Fault::new("protocol", text));
        }
    }

    pub(super) fn on_body(&mut self, id: u64, data: &[u8]) {
        let buffered: usize = self.exchanges.values().map(|exchange| exchange.buffered()).sum();
        let over = buffered + data.len() > MAX_BUFFERED_BYTES;
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        match &mut exchange.phase {
            Phase::Head => {}
            Phase::Json(_, body) if over || body.len() + data.len() > MAX_MESSAGE_BYTES => self.too_large(id),
            Phase::Json(_, body) => body.extend_from_slice(data),
            Phase::Sse(_) if over => self.too_large(id),
            Phase::Sse(_) => self.feed(id, data),
            Phase::Refused(_, body) => {
                let room = MAX_REFUSAL_BYTES.saturating_sub(body.len()).min(data.len());
                body.extend_from_slice(data.get(..room).unwrap_or_default());
                if body.len() >= MAX_REFUSAL_BYTES {
                    self.outbox.cancel(id);
                    self.on_end(id, "", "");
                }
            }
            Phase::Drain(seen) => {
                *seen = seen.saturating_add(data.len());
                if *seen > MAX_REFUSAL_BYTES {
                    self.cancel_exchange(id);
                }
            }
        }
    }

    /// More of an event stream.
    fn feed(&mut self, id: u64, data: &[u8]) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        let (role, origin) = (exchange.role, exchange.origin);
        let Phase::Sse(parser) = &mut exchange.phase else {
            return;
        };
        let mut events = Vec::new();
        let result = parser.feed(data, &mut events);
        for event in events {
            let resume = match role {
                Role::Call(seq) => self.calls.get_mut(&seq).map(|call| &mut call.resume),
                Role::Listen => Some(&mut self.listen.resume),
                _ => None,
            };
            if let Some(resume) = resume {
                resume.heard(event.id.as_deref());
            }
            if event.data.is_empty() || event.event != "message" {
                continue;
            }
            if event.data.len() > MAX_MESSAGE_BYTES {
                self.too_large(id);
                return;
            }
            match (String::from_utf8(event.data), role) {
                (Ok(text), Role::Renew) => self.renewal_message(id, &text),
                (Ok(text), _) => self.on_server_message(&text, origin, role),
                (Err(_), _) => self.note(Level::Warn, "skipped an event that is not UTF-8".to_owned()),
            }
            if self.stage != Stage::Open {
                return;
            }
        }
        if result.is_err() {
            self.too_large(id);
        }
    }

    /// An answer does not fit.
    fn too_large(&mut self, id: u64) {
        let Some(role) = self.exchanges.get(&id).map(|exchange| exchange.role) else {
            return;
        };
        self.cancel_exchange(id);
        let text = format!("{} sent more than the {MAX_MESSAGE_BYTES} bytes that one message may have.", self.name);
        match role {
            Role::Call(seq) => {
                self.sent(seq);
                self.fail_call(seq, Fault::new("too-large", text));
            }
            Role::Listen => {
                self.note(Level::Warn, text);
                self.listen.resume.event_id = None;
                self.listen_later(None);
            }
            Role::Renew | Role::Renewed => self.renewal_failed(&text),
            Role::Delete | Role::Tail => {}
        }
    }

    pub(super) fn on_end(&mut self, id: u64, code: &str, text: &str) {
        let Some(exchange) = self.exchanges.remove(&id) else {
            return;
        };
        self.disarm(TimerUse::Tail(id));
        match (exchange.role, exchange.phase) {
            (Role::Call(seq), Phase::Head) if exchange.resumed => self.resume_failed(seq, code, text),
            (Role::Call(seq), Phase::Head) => {
                let fault = Fault::broken(&self.name, code, text, "gave no answer");
                self.fail_call(seq, fault);
            }
            (Role::Call(seq), Phase::Json(head, body)) if code.is_empty() => {
                self.json_answer(id, seq, &head, &body, exchange.origin);
            }
            (Role::Call(seq), Phase::Json(..)) => {
                self.sent(seq);
                let fault = self.lost(seq, code, text);
                self.fail_call(seq, fault);
            }
            (Role::Call(seq), Phase::Sse(parser)) => self.stream_ended(seq, parser.retry_ms(), code, text),
            (Role::Call(seq), Phase::Refused(head, body)) => self.refused(seq, &head, &body, exchange.origin),
            (Role::Call(_), Phase::Drain(_)) | (Role::Tail, _) => {}
            (Role::Listen, phase) => {
                if let Phase::Sse(parser) = phase
                    && let Some(retry_ms) = parser.retry_ms()
                {
                    self.listen.resume.retry_ms = Some(retry_ms);
                }
                match code {
                    "denied" => self.listen_refused(text),
                    _ => self.listen_later(None),
                }
            }
            (role @ (Role::Renew | Role::Renewed), phase) => self.renewal_end(id, role, phase, text),
            (Role::Delete, _) => self.deleted(id),
        }
    }

    /// An answer that broke off. What the server did with the request is then not known.
    pub(super) fn lost(&self, seq: u64, code: &str, text: &str) -> Fault {
        let changes = self.calls.get(&seq).is_some_and(Call::changes);
        let code = match code {
            "denied" | "cancelled" => code,
            _ if changes => "outcome-unknown",
            "" => "unavailable",
            code => code,
        };
        Fault::broken(&self.name, code, text, "broke off before its answer was complete")
    }

    /// A JSON body, complete.
    fn json_answer(&mut self, id: u64, seq: u64, head: &Head, body: &[u8], origin: u64) {
        let messages = std::str::from_utf8(body).ok().and_then(rpc::split);
        for message in messages.unwrap_or_default() {
            self.on_server_message(message, origin, Role::Call(seq));
            if self.stage != Stage::Open {
                return;
            }
        }
        let Some(call) = self.calls.get(&seq) else {
            return;
        };
        match call.out.is_request() {
            true => {
                let mut fault = fault(&self.name, head, body, false);
                if call.changes() {
                    fault.code = "outcome-unknown".into();
                }
                self.fail_call(seq, fault);
            }
            false => self.accepted(id, seq),
        }
    }

    /// A refusal with its body, or a success that is no answer.
    fn refused(&mut self, seq: u64, head: &Head, body: &[u8], origin: u64) {
        let Some(call) = self.calls.get(&seq) else {
            return;
        };
        let fault = fault(&self.name, head, body, call.changes());
        let error = std::str::from_utf8(body)
            .ok()
            .map(|text| text.trim_start_matches('\u{feff}'))
            .and_then(Message::parse)
            .and_then(|message| message.error)
            .filter(|error| rpc::is_error_object(error));
        let discovery = call.out.method == "server/discover" && head.is_legacy_refusal();
        let answer = match (&call.out.id_json, error) {
            _ if head.is_success() => None,
            (Some(id), Some(error)) => Some(rpc::error_for(id, error)),
            // The client takes this for "speaks the older era" and goes on with `initialize`.
            (Some(id), None) if discovery => {
                let said = excerpt(body);
                let text = format!("server/discover rejected with HTTP {}: {said}", head.status);
                Some(rpc::error(id, -32600, &text, &fault.code))
            }
            _ => None,
        };
        match answer {
            Some(data) => {
                self.sent(seq);
                self.outbox.push(Action::Deliver { id: origin, data });
                self.finish(seq);
            }
            None => self.fail_call(seq, fault),
        }
    }

    /// One message of the server's, that came with request `origin`.
    fn on_server_message(&mut self, text: &str, origin: u64, role: Role) {
        let text = text.trim_ascii();
        let Some(message) = Message::parse(text) else {
            let message = format!("skipped what is no JSON-RPC message: {}", excerpt(text.as_bytes()));
            self.note(Level::Warn, message);
            return;
        };
        if message.kind() != Some(Kind::Answer) {
            self.outbox.push(Action::Deliver { id: origin, data: text.as_bytes().to_vec() });
            return;
        }
        let seq = match (message.rpc_id(), role) {
            (Some(id), _) => self.waiting_for(&id),
            // An error without an id can only be about what it came with.
            (None, Role::Call(seq)) if message.error.is_some() => Some(seq),
            (None, _) => None,
        };
        match seq.filter(|seq| self.calls.get(seq).is_some_and(|call| call.out.is_request())) {
            Some(seq) => self.answer(seq, text, &message, origin),
            None => self.note(Level::Warn, "skipped an answer to no request that is open".to_owned()),
        }
    }

    /// The call that waits for the answer with this id. A request that was never sent has no answer.
    fn waiting_for(&self, id: &RpcId) -> Option<u64> {
        let seq = self.by_id.get(id).or_else(|| self.by_id.get(&id.as_number()?))?;
        let call = self.calls.get(seq)?;
        (call.progress != Progress::Queued || call.replayed).then_some(*seq)
    }

    /// The answer to a call.
    fn answer(&mut self, seq: u64, text: &str, message: &Message<'_>, origin: u64) {
        let Some(call) = self.calls.get(&seq) else {
            return;
        };
        let request = call.request;
        let mut data = match (message.id, message.error, &call.out.id_json) {
            (None, Some(error), Some(id)) => rpc::error_for(id, error),
            _ => text.as_bytes().to_vec(),
        };
        if let Some(result) = message.result {
            match call.out.method.as_str() {
                "initialize" => {
                    let session = call.session.clone();
                    self.begin_agreed(session, result.get());
                }
                "tools/list" if self.version.as_deref().is_some_and(wire::is_stateless) => {
                    let learned = self.tools.learn(text);
                    for reason in learned.rejected {
                        self.note(Level::Warn, format!("left out the tool {reason}"));
                    }
                    if let Some(text) = learned.rewritten {
                        data = text.into_bytes();
                    }
                }
                _ => {}
            }
        }
        self.sent(seq);
        self.outbox.push(Action::Deliver { id: origin, data });
        if self.is_exchange_of(request, seq) {
            self.leave_tail(request);
        }
        self.finish(seq);
    }

    /// What an exchange was for has been had; let it end by itself, so that its connection can be used again.
    pub(super) fn leave_tail(&mut self, request: u64) {
        if let Some(exchange) = self.exchanges.get_mut(&request) {
            exchange.role = Role::Tail;
            self.arm(TimerUse::Tail(request), TAIL_MS);
        }
    }
}
