//! From the client to the server: the queue, its order, and the POST.
//!
//! Invariant: messages are sent in their order, but for answers and cancellations, which overtake what they must not
//! wait for; nothing is sent beside a message of the handshake before the server has taken that.

use super::Machine;
use crate::answer::{Content, Fault, Head, fault};
use crate::contract::{Action, Level, Request};
use crate::limits::{
    CONTROL_TIMEOUT_MS, HANDSHAKE_TIMEOUT_MS, MAX_BUFFERED_BYTES, MAX_CALLS, MAX_MESSAGE_BYTES, MAX_OPEN_CONTROL,
    MAX_OPEN_REQUESTS, MAX_REFUSAL_BYTES, MAX_RETAINED_BYTES, REQUEST_TIMEOUT_MS,
};
use crate::rpc::{self, Kind, Message, Outgoing, RpcId};
use crate::wire;

/// JSON-RPC code for a method that is not there.
const METHOD_NOT_FOUND: i32 = -32601;

/// A message that waits to be sent.
#[derive(Debug)]
pub(super) struct Call {
    pub seq: u64,
    out: Outgoing,
    data: Vec<u8>,
}

/// A message that was sent.
#[derive(Debug)]
pub(super) struct Post {
    pub seq: u64,
    out: Outgoing,
    /// `sent` was said.
    pub settled: bool,
    phase: Phase,
}

/// How far the answer to a POST was read.
#[derive(Debug)]
enum Phase {
    /// Not even its head.
    Head,
    /// JSON, which may be the answer to the request that was posted.
    Json(Vec<u8>),
    /// A refusal.
    Refused(Head, Vec<u8>),
    /// A body that does not matter, with the bytes seen.
    Drain(usize),
}

impl Post {
    pub fn buffered(&self) -> usize {
        match &self.phase {
            Phase::Json(body) | Phase::Refused(_, body) => body.len(),
            Phase::Head | Phase::Drain(_) => 0,
        }
    }

    /// Whether nothing may be sent beside it: servers refuse what they get before the handshake.
    fn is_barrier(&self) -> bool {
        !self.settled && matches!(self.out.method.as_str(), "initialize" | "notifications/initialized")
    }

    /// Whether it may change something outside that must not be changed twice.
    fn changes(&self) -> bool {
        self.out.method == "tools/call"
    }

    /// The connection ends before it is known whether the server has taken it.
    pub fn lost(&self, fault: Fault) -> Fault {
        match fault.code.as_ref() {
            "cancelled" => fault,
            _ if self.changes() => Fault { code: "outcome-unknown".into(), ..fault },
            _ => fault,
        }
    }

    /// Whether this is the id of the request: some servers answer `1` with `"1"`.
    fn waits_for(&self, id: &RpcId) -> bool {
        self.out.id.as_ref().is_some_and(|own| own == id || Some(own) == id.as_number().as_ref())
    }
}

impl Machine {
    pub(super) fn on_message(&mut self, seq: u64, data: Vec<u8>) {
        let out = match self.admit(&data) {
            Ok(out) => out,
            Err(fault) => return self.failed(seq, fault),
        };
        if out.method == "server/discover"
            && let Some(id) = &out.id_json
        {
            // No server of this transport knows the newer era, and some never answer what they do not know.
            let text = "Method not found: servers of the HTTP+SSE transport have initialize instead.";
            self.outbox.push(Action::Sent { id: seq });
            self.outbox.push(Action::Deliver { id: 0, data: rpc::error(id, METHOD_NOT_FOUND, text, "unsupported") });
            return;
        }
        self.queue.push_back(Call { seq, out, data });
    }

    /// Look at a message and at the limits.
    fn admit(&self, data: &[u8]) -> Result<Outgoing, Fault> {
        let name = &self.name;
        if self.is_closed() {
            return Err(Fault::new("unavailable", format!("The connection to {name} is closed.")));
        }
        if data.len() > MAX_MESSAGE_BYTES {
            let text = format!(
                "A message of {} bytes is over the {MAX_MESSAGE_BYTES} bytes that a transport can carry.",
                data.len()
            );
            return Err(Fault::new("too-large", text));
        }
        let retained: usize = self.queue.iter().map(|call| call.data.len()).sum();
        if self.queue.len() + self.posts.len() >= MAX_CALLS || retained + data.len() > MAX_RETAINED_BYTES {
            let text = format!("Too many messages to {name} are under way; wait until some are answered.");
            return Err(Fault::new("rate-limited", text));
        }
        std::str::from_utf8(data)
            .ok()
            .and_then(Outgoing::parse)
            .ok_or_else(|| Fault::new("invalid", "This is no JSON-RPC message."))
    }

    /// The client no longer waits for a message to be sent.
    pub(super) fn on_dropped(&mut self, seq: u64) {
        let posted = self.posts.iter().find(|(_, post)| post.seq == seq && !post.settled).map(|(request, _)| *request);
        if let Some(at) = self.queue.iter().position(|call| call.seq == seq) {
            self.queue.remove(at);
        } else if let Some(request) = posted {
            self.posts.remove(&request);
            self.outbox.cancel(request);
        } else {
            return;
        }
        self.failed(seq, Fault::new("cancelled", format!("The message to {} was cancelled.", self.name)));
    }

    /// Send what may be sent.
    pub(super) fn pump(&mut self) {
        while let Some(url) = self.endpoint.clone().filter(|_| !self.outbox.is_full())
            && let Some(call) = self.next_call()
        {
            self.post(url, call);
        }
    }

    fn next_call(&mut self) -> Option<Call> {
        // The stream is open, too.
        let open = self.posts.len() + 1;
        if open < MAX_OPEN_REQUESTS && !self.posts.values().any(Post::is_barrier) {
            return self.queue.pop_front();
        }
        let at = self.queue.iter().position(|call| self.is_control(call))?;
        (open < MAX_OPEN_REQUESTS + MAX_OPEN_CONTROL).then(|| self.queue.remove(at)).flatten()
    }

    /// Whether it must not wait in the queue: an answer, or the cancellation of what was sent.
    fn is_control(&self, call: &Call) -> bool {
        let waits = |id: &RpcId| self.queue.iter().any(|other| other.out.id.as_ref() == Some(id));
        call.out.kind == Kind::Answer || call.out.cancels.as_ref().is_some_and(|id| !waits(id))
    }

    fn post(&mut self, url: String, call: Call) {
        self.last_request += 1;
        let timeout_ms = match call.out.method.as_str() {
            "initialize" => HANDSHAKE_TIMEOUT_MS,
            // A server may do what it was asked before it says that it was.
            _ if call.out.is_request() => REQUEST_TIMEOUT_MS,
            _ => CONTROL_TIMEOUT_MS,
        };
        let mut headers = vec![wire::text("content-type", "application/json")];
        headers.extend(self.headers.iter().cloned());
        let request =
            Request { method: "POST", url, headers, body: Some(call.data), timeout_ms, idle_timeout_ms: timeout_ms };
        self.outbox.push(Action::Request { id: self.last_request, request });
        let post = Post { seq: call.seq, out: call.out, settled: false, phase: Phase::Head };
        self.posts.insert(self.last_request, post);
    }

    pub(super) fn on_post_head(&mut self, id: u64, head: Head) {
        let Some(post) = self.posts.get_mut(&id).filter(|post| matches!(post.phase, Phase::Head)) else {
            return;
        };
        if post.settled {
            post.phase = Phase::Drain(0);
        } else if head.is_success() {
            let is_json = head.content == Content::Json && head.encoding.is_none();
            post.phase = match is_json && post.out.is_request() {
                true => Phase::Json(Vec::new()),
                false => Phase::Drain(0),
            };
            post.settled = true;
            self.outbox.push(Action::Sent { id: post.seq });
        } else if head.is_final() {
            self.outbox.cancel(id);
            self.refused_post(id, &head, b"");
        } else {
            post.phase = Phase::Refused(head, Vec::new());
        }
    }

    pub(super) fn on_post_body(&mut self, id: u64, data: &[u8]) {
        let over = self.buffered() + data.len() > MAX_BUFFERED_BYTES;
        let Some(post) = self.posts.get_mut(&id) else {
            return;
        };
        match &mut post.phase {
            Phase::Head => {}
            Phase::Json(body) if over || body.len() + data.len() > MAX_MESSAGE_BYTES => self.too_large(),
            Phase::Json(body) => body.extend_from_slice(data),
            Phase::Refused(_, body) => {
                body.extend_from_slice(data);
                if body.len() >= MAX_REFUSAL_BYTES {
                    self.outbox.cancel(id);
                    self.on_post_end(id, "", "");
                }
            }
            Phase::Drain(seen) => {
                *seen = seen.saturating_add(data.len());
                if *seen > MAX_REFUSAL_BYTES {
                    self.outbox.cancel(id);
                    self.posts.remove(&id);
                }
            }
        }
    }

    pub(super) fn on_post_end(&mut self, id: u64, code: &str, text: &str) {
        let Some(post) = self.posts.get(&id) else {
            return;
        };
        match &post.phase {
            Phase::Head if !post.settled => {
                let fault = Fault::broken(&self.name, code, text, "gave no answer");
                self.failed(post.seq, fault);
            }
            Phase::Refused(head, body) => {
                let (head, body) = (head.clone(), body.clone());
                return self.refused_post(id, &head, &body);
            }
            Phase::Json(body) if code.is_empty() => {
                if let Some(data) = answer_in(post, body) {
                    self.outbox.push(Action::Deliver { id, data });
                }
            }
            Phase::Json(_) => self.note(Level::Warn, "the answer to a POST broke off".to_owned()),
            Phase::Head | Phase::Drain(_) => {}
        }
        self.posts.remove(&id);
    }

    /// The server does not take a message.
    fn refused_post(&mut self, id: u64, head: &Head, body: &[u8]) {
        let Some(post) = self.posts.remove(&id).filter(|post| !post.settled) else {
            return;
        };
        let mut fault = fault(&self.name, head, body, post.changes());
        // The stream is there, so it is not the registered URL that is wrong.
        if matches!(head.status, 404 | 405 | 410) {
            let status = head.status;
            fault.text = format!(
                "{} takes no messages at the address that it named for them (HTTP {status}). Connect again.",
                self.name
            );
        }
        self.failed(post.seq, fault);
    }

    /// An answer came on the stream: the server has the request, also where it has not said so yet.
    pub(super) fn on_answered(&mut self, id: &RpcId) {
        for post in self.posts.values_mut().filter(|post| post.waits_for(id)) {
            if !post.settled {
                post.settled = true;
                self.outbox.push(Action::Sent { id: post.seq });
            }
            // It is not to be answered twice.
            if let Phase::Json(body) = &post.phase {
                post.phase = Phase::Drain(body.len());
            }
        }
    }
}

/// The answer to a request, where the body of the answer to its POST is one.
fn answer_in(post: &Post, body: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(body).ok()?.trim_start_matches('\u{feff}');
    let message = Message::parse(text).filter(|message| message.kind() == Some(Kind::Answer))?;
    match (message.rpc_id(), message.error, &post.out.id_json) {
        (Some(id), ..) => post.waits_for(&id).then(|| text.as_bytes().to_vec()),
        // An error without an id can only be about what it came with.
        (None, Some(error), Some(id)) => Some(rpc::error_for(id, error)),
        _ => None,
    }
}
