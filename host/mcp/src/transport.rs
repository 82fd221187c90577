//! rmcp's seam: a `Transport<RoleClient>` whose other end is the driver.
//!
//! Invariants: rmcp sees answers to requests that are open, each once, and nothing else. Answers to what is asked after
//! the handshake reach it raw ([`CustomResult`]), because its typed models drop what they do not know. A server's
//! notifications and requests go past rmcp to whoever opened the connection, or end here: rmcp would write them to the
//! program's log, and they are a stranger's text.

use std::borrow::Cow;
use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use rmcp::RoleClient;
use rmcp::model::{
    ClientNotification, ClientRequest, CustomResult, ErrorCode, ErrorData, JsonRpcMessage, RequestId, ServerResult,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::McpError;
use crate::driver::{Command, Delivered, Shared};
use crate::witness::Witness;

/// Longest id of a server's request that is answered, bytes.
const ID: usize = 256;

/// Versions of the protocol that a server may name, and the longest of them, bytes.
const VERSIONS: usize = 32;
const VERSION: usize = 32;

/// A message did not reach the server.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct SendError {
    /// The contract's failure code, or `closed`.
    pub(crate) code: String,
    pub(crate) text: String,
}

impl SendError {
    /// The connection is over; why, the driver has said.
    pub(crate) const CLOSED: &str = "closed";

    pub(crate) fn closed() -> Self {
        Self { code: Self::CLOSED.into(), text: "the connection is closed".into() }
    }
}

/// What a server may say without being asked: so much at once, and as much anew as time goes on. Bytes; each message counts
/// for some more than it holds, which is what it costs to read.
const CHATTER: u64 = 64 << 20;
const CHATTER_A_SECOND: u64 = 1 << 20;
const MESSAGE: u64 = 1 << 10;

/// What is left of it.
struct Chatter {
    left: u64,
    since: Instant,
}

impl Chatter {
    /// Count a message that answered nothing; `false` where it is one too many.
    fn allows(&mut self, bytes: usize, now: Instant) -> bool {
        let anew = now.saturating_duration_since(self.since).as_micros() * u128::from(CHATTER_A_SECOND) / 1_000_000;
        if anew > 0 {
            self.since = now;
        }
        self.left = self.left.saturating_add(u64::try_from(anew).unwrap_or(u64::MAX)).min(CHATTER);
        let cost = bytes as u64 + MESSAGE;
        let allowed = cost <= self.left;
        self.left = self.left.saturating_sub(cost);
        allowed
    }
}

/// How an answer is handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    /// As rmcp reads it: the handshake.
    Typed,
    /// As it came.
    Raw,
}

/// The mark of a request in its `_meta`, which never leaves.
pub(crate) const TICKET: &str = "fumehood/ticket";
pub(crate) const PROGRESS: &str = "fumehood/progress";

/// The method of a message that no server sent: its answer to a request ended without the result, which will come later.
pub const LET_GO: &str = "fumehood/let-go";

/// A message that a server sends of its own accord.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// A request waits for an answer under this id; a notification has none.
    pub id: Option<Value>,
    pub method: String,
    pub params: Value,
    /// The request in whose answer it came, by its ticket, where that is known.
    pub with: Option<u64>,
}

/// A request of ours that has no answer yet.
struct Open {
    wants: Wants,
    /// The message that carried it.
    sequence: u64,
    ticket: Option<u64>,
    /// A stream of changes, which is open for as long as the connection is.
    stays: bool,
}

pub(crate) struct PluginTransport {
    commands: mpsc::Sender<Command>,
    /// JSON-RPC messages as they came.
    messages: mpsc::Receiver<Delivered>,
    /// Cancelled here to make the driver end the connection.
    ending: CancellationToken,
    /// Counts messages; shared with answers to what the server asks.
    sequence: Arc<AtomicU64>,
    /// Requests that have no answer yet.
    open: HashMap<i64, Open>,
    /// Where a server's own messages go.
    incoming: Option<mpsc::Sender<Incoming>>,
    /// Hears of notifications that go nowhere.
    witness: Option<Arc<dyn Witness>>,
    shared: Arc<Shared>,
    chatter: Chatter,
    /// The answer to the handshake, as it came.
    handshake: Arc<OnceLock<Value>>,
}

/// The sending side for answers, past rmcp.
#[derive(Clone)]
pub(crate) struct Answers {
    commands: mpsc::Sender<Command>,
    sequence: Arc<AtomicU64>,
}

impl Answers {
    /// Send a message that rmcp does not know of. `false` where the connection is over, or a server asks faster than it
    /// reads.
    pub(crate) fn send(&self, message: &Value) -> bool {
        let id = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        let (done, _) = oneshot::channel();
        self.commands.try_send(Command::Send { id, data: message.to_string().into_bytes(), done }).is_ok()
    }
}

impl PluginTransport {
    pub(crate) fn new(
        commands: mpsc::Sender<Command>,
        messages: mpsc::Receiver<Delivered>,
        ending: CancellationToken,
        incoming: Option<mpsc::Sender<Incoming>>,
        witness: Option<Arc<dyn Witness>>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            commands,
            messages,
            ending,
            sequence: Arc::default(),
            open: HashMap::new(),
            incoming,
            witness,
            shared,
            chatter: Chatter { left: CHATTER, since: Instant::now() },
            handshake: Arc::default(),
        }
    }

    pub(crate) fn answers(&self) -> Answers {
        Answers { commands: self.commands.clone(), sequence: Arc::clone(&self.sequence) }
    }

    /// What the server said of itself, once it has.
    pub(crate) fn handshake(&self) -> Arc<OnceLock<Value>> {
        Arc::clone(&self.handshake)
    }

    fn note(&mut self, item: &TxJsonRpcMessage<RoleClient>, sequence: u64, ticket: Option<u64>) {
        match item {
            JsonRpcMessage::Request(message) => {
                let wants = match &message.request {
                    // A fresh start: a late answer to a probe that was given up must not be taken for this one's.
                    ClientRequest::InitializeRequest(_) => {
                        self.open.clear();
                        Wants::Typed
                    }
                    ClientRequest::DiscoverRequest(_) => Wants::Typed,
                    _ => Wants::Raw,
                };
                let stays = matches!(&message.request, ClientRequest::CustomRequest(custom) if custom.method == "subscriptions/listen");
                if let RequestId::Number(id) = message.id {
                    self.open.insert(id, Open { wants, sequence, ticket, stays });
                }
            }
            JsonRpcMessage::Notification(message) => {
                if let ClientNotification::CancelledNotification(cancelled) = &message.notification
                    && let Some(RequestId::Number(id)) = cancelled.params.request_id
                {
                    self.open.remove(&id);
                }
            }
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {}
        }
    }

    /// The open request that a message answers.
    fn settles(&mut self, id: Option<&Value>) -> Option<(i64, Wants)> {
        let id = match id {
            Some(Value::String(text)) => text.parse().ok()?,
            Some(Value::Number(number)) => number.as_i64()?,
            // An error without an id can only be about the one request that waits.
            _ => {
                let mut waiting = self.open.iter().filter(|(_, open)| !open.stays);
                match (waiting.next(), waiting.next()) {
                    (Some((id, _)), None) => *id,
                    _ => return None,
                }
            }
        };
        Some((id, self.open.remove(&id)?.wants))
    }

    /// The request that was carried by a message.
    fn ticket(&self, with: u64) -> Option<u64> {
        self.open.values().find(|open| with != 0 && open.sequence == with).and_then(|open| open.ticket)
    }

    /// The request whose stream a message says that it is of: over a pipe nothing else tells.
    fn stream(&self, params: &Value) -> Option<u64> {
        let id = match params.get("_meta")?.get("io.modelcontextprotocol/subscriptionId")? {
            Value::String(text) => text.parse().ok()?,
            id => id.as_i64()?,
        };
        self.open.get(&id)?.ticket
    }

    /// What rmcp is told of a message, if anything.
    fn take_in(&mut self, data: &[u8], with: u64) -> Option<RxJsonRpcMessage<RoleClient>> {
        let Ok(Value::Object(mut message)) = serde_json::from_slice(data) else {
            tracing::debug!("an MCP server sent something that is no message; it was skipped");
            return None;
        };
        if let Some(method) = message.get("method") {
            let method = method.as_str().unwrap_or_default().to_owned();
            let id = message.remove("id");
            match &id {
                Some(id) if !known_id(id) => return None,
                Some(id) if method == "ping" => self.answer(json!({"jsonrpc": "2.0", "id": id, "result": {}})),
                _ => {
                    let params = message.remove("params").unwrap_or_default();
                    let with = self.ticket(with).or_else(|| self.stream(&params));
                    self.pass_on(Incoming { id, method, params, with });
                }
            }
            return None;
        }
        let (result, error) = (message.remove("result"), message.remove("error"));
        if result.is_none() && error.is_none() {
            return None;
        }
        // Only an error may come without an id.
        let id = message.get("id").filter(|id| !id.is_null());
        if id.is_none() && error.is_none() {
            return None;
        }
        let (id, wants) = self.settles(id)?;
        let id = RequestId::Number(id);
        Some(match (result, error) {
            (_, Some(error)) => JsonRpcMessage::error(read_error(error), Some(id)),
            (Some(result), None) => match (wants, result) {
                (Wants::Raw, result) => JsonRpcMessage::response(ServerResult::CustomResult(CustomResult(result)), id),
                (Wants::Typed, result) => match handshake(&result) {
                    Some(known) => {
                        // A server of the older era answers `initialize` only.
                        let _ = self.handshake.set(result);
                        JsonRpcMessage::response(known, id)
                    }
                    None => JsonRpcMessage::error(unreadable(), Some(id)),
                },
            },
            (None, None) => return None,
        })
    }

    /// Give a server's own message to whoever wants it. What nobody takes is refused, so that the server does not wait.
    fn pass_on(&self, message: Incoming) {
        let Some(incoming) = &self.incoming else {
            if let (None, Some(witness)) = (&message.id, &self.witness) {
                witness.said(&message.method, &message.params);
            }
            return self.refuse(message.id, -32601, "not offered by this client");
        };
        match incoming.try_send(message) {
            Ok(()) => {}
            // A flood: requests are refused, notifications are of no use to anybody who is that far behind.
            Err(mpsc::error::TrySendError::Full(message)) => self.refuse(message.id, -32603, "this client is busy"),
            Err(mpsc::error::TrySendError::Closed(message)) => {
                self.refuse(message.id, -32601, "not offered by this client");
            }
        }
    }

    fn refuse(&self, id: Option<Value>, code: i64, message: &str) {
        if let Some(id) = id {
            self.answer(json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}));
        }
    }

    fn answer(&self, message: Value) {
        // A server that asks faster than it reads gets no answer.
        let _ = self.answers().send(&message);
    }
}

/// Whether a server's id is one that can be answered.
fn known_id(id: &Value) -> bool {
    match id {
        Value::Number(_) => true,
        Value::String(text) => text.len() <= ID,
        _ => false,
    }
}

/// A message as it leaves: without the marks that rmcp has carried through for us, and with a token for progress only
/// where somebody wants to hear of it. rmcp asks for progress with every request.
fn unmarked(item: &TxJsonRpcMessage<RoleClient>) -> Result<(Vec<u8>, Option<u64>), serde_json::Error> {
    let JsonRpcMessage::Request(request) = item else { return Ok((serde_json::to_vec(item)?, None)) };
    if !matches!(request.request, ClientRequest::CustomRequest(_)) {
        return Ok((serde_json::to_vec(item)?, None));
    }
    let mut message = serde_json::to_value(item)?;
    let mut ticket = None;
    if let Some(Value::Object(params)) = message.get_mut("params")
        && let Some(Value::Object(meta)) = params.get_mut("_meta")
    {
        ticket = meta.remove(TICKET).and_then(|ticket| ticket.as_u64());
        match (meta.remove(PROGRESS), ticket) {
            (Some(_), Some(ticket)) => drop(meta.insert("progressToken".into(), ticket.into())),
            _ => drop(meta.remove("progressToken")),
        }
        if meta.is_empty() {
            params.remove("_meta");
        }
    }
    Ok((serde_json::to_vec(&message)?, ticket))
}

/// What counts of the answer to `initialize` or `server/discover`: versions, and whether there are tools. The rest
/// (names, instructions) is a stranger's text that rmcp would write to the log, or that servers of the newer era forget.
fn handshake(result: &Value) -> Option<ServerResult> {
    let version = |value: &Value| {
        let text =
            value.as_str().filter(|text| text.len() <= VERSION && text.bytes().all(|byte| byte.is_ascii_graphic()));
        text.map(str::to_owned)
    };
    let capabilities = match result.pointer("/capabilities/tools") {
        Some(Value::Object(_)) => json!({"tools": {}}),
        _ => json!({}),
    };
    let known = match result.get("supportedVersions") {
        Some(Value::Array(versions)) => {
            let versions: Vec<String> = versions.iter().filter_map(version).take(VERSIONS).collect();
            json!({
                "resultType": "complete", "supportedVersions": versions, "capabilities": capabilities,
                "ttlMs": 0, "cacheScope": "private",
            })
        }
        _ => {
            let version = result.get("protocolVersion").and_then(version)?;
            let info = json!({"name": "server", "version": "0"});
            json!({"protocolVersion": version, "capabilities": capabilities, "serverInfo": info})
        }
    };
    serde_json::from_value(known).ok()
}

fn unreadable() -> ErrorData {
    ErrorData::new(ErrorCode::INTERNAL_ERROR, "its answer could not be read", None)
}

/// An error, as far as it is one.
fn read_error(error: Value) -> ErrorData {
    let Value::Object(mut error) = error else { return unreadable() };
    let code = error.get("code").and_then(Value::as_i64).and_then(|code| i32::try_from(code).ok());
    let message = error.get("message").and_then(Value::as_str).unwrap_or("it gave no reason").to_owned();
    ErrorData::new(ErrorCode(code.unwrap_or(ErrorCode::INTERNAL_ERROR.0)), message, error.remove("data"))
}

/// Tells the machine when the client no longer waits for a message that it sends.
struct Waiting {
    id: u64,
    commands: Option<mpsc::Sender<Command>>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(commands) = self.commands.take() {
            let _ = commands.try_send(Command::Dropped(self.id));
        }
    }
}

impl Transport<RoleClient> for PluginTransport {
    type Error = SendError;

    fn name() -> Cow<'static, str> {
        "fumehood transport plugin".into()
    }

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), SendError>> + Send + 'static {
        let (id, commands) = (self.sequence.fetch_add(1, Ordering::Relaxed) + 1, self.commands.clone());
        let message = unmarked(&item);
        self.note(&item, id, message.as_ref().ok().and_then(|(_, ticket)| *ticket));
        let data = message.map(|(data, _)| data);
        async move {
            let data = data.map_err(|error| SendError { code: "invalid".into(), text: error.to_string() })?;
            let (done, answer) = oneshot::channel();
            commands.send(Command::Send { id, data, done }).await.map_err(|_| SendError::closed())?;
            let mut waiting = Waiting { id, commands: Some(commands) };
            let result = answer.await.unwrap_or_else(|_| Err(SendError::closed()));
            waiting.commands = None;
            result
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            let data = self.messages.recv().await?;
            if data.data.is_empty() {
                if let (Some(ticket), Some(incoming)) = (self.ticket(data.with), &self.incoming) {
                    let method = LET_GO.to_owned();
                    let _ = incoming.try_send(Incoming { id: None, method, params: Value::Null, with: Some(ticket) });
                }
                continue;
            }
            // Nothing waits from here on, so a future that is dropped loses no message.
            if let Some(message) = self.take_in(&data.data, data.with) {
                return Some(message);
            }
            if !self.chatter.allows(data.data.len(), Instant::now()) {
                let what = "it says more of its own accord than anybody can read, without end, so it was cut off";
                self.shared.fail(McpError::Closed(what.into()));
                self.ending.cancel();
                return None;
            }
        }
    }

    async fn close(&mut self) -> Result<(), SendError> {
        self.ending.cancel();
        // The driver drops its end when it is through; messages that still come are of no use.
        while self.messages.recv().await.is_some() {}
        Ok(())
    }
}

impl Drop for PluginTransport {
    fn drop(&mut self) {
        self.ending.cancel();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Challenge;
    use rmcp::model::{
        CancelledNotification, CancelledNotificationParam, DiscoverRequest, DiscoverRequestParams, InitializeRequest,
        InitializeRequestParams, ListToolsRequest,
    };

    fn shared() -> Arc<Shared> {
        Arc::new(Shared::new(Challenge::default(), None))
    }

    fn transport() -> (PluginTransport, mpsc::Receiver<Command>) {
        let (commands, queue) = mpsc::channel(4);
        let (_, messages) = mpsc::channel(1);
        (PluginTransport::new(commands, messages, CancellationToken::new(), None, None, shared()), queue)
    }

    fn ask(transport: &mut PluginTransport, id: i64, request: ClientRequest) {
        transport.note(&JsonRpcMessage::request(request, RequestId::Number(id)), 0, None);
    }

    fn read(transport: &mut PluginTransport, data: &[u8]) -> Option<RxJsonRpcMessage<RoleClient>> {
        transport.take_in(data, 0)
    }

    fn tools() -> ClientRequest {
        ClientRequest::ListToolsRequest(ListToolsRequest::default())
    }

    fn sent(queue: &mut mpsc::Receiver<Command>) -> Option<Value> {
        match queue.try_recv().ok()? {
            Command::Send { data, .. } => serde_json::from_slice(&data).ok(),
            Command::Dropped(_) => None,
        }
    }

    #[test]
    fn a_server_may_say_much_and_not_without_end() {
        let now = Instant::now();
        let mut chatter = Chatter { left: CHATTER, since: now };
        let at_once = (0..).take_while(|_| chatter.allows(100, now)).count() as u64;
        assert_eq!(at_once, CHATTER / (100 + MESSAGE));
        // Some are let in again as time goes on; not more than there was.
        let later = now + Duration::from_secs(1);
        let second = (0..).take_while(|_| chatter.allows(100, later)).count() as u64;
        assert!(second.abs_diff(CHATTER_A_SECOND / (100 + MESSAGE)) <= 1, "{second}");
        // Also where they come one by one, each a little after the other.
        let (mut at, mut let_in) = (later, 0_u64);
        while at < later + Duration::from_secs(10) {
            at += Duration::from_micros(1_900);
            let_in += u64::from(chatter.allows(0, at));
        }
        assert_eq!(let_in, 10_000_000 / 1_900 + 1, "half of what may come does");
        let idle = later + Duration::from_secs(1_000_000);
        assert!(chatter.allows(0, idle) && chatter.left <= CHATTER);
        assert!(!chatter.allows(usize::try_from(CHATTER).unwrap(), idle));
    }

    #[test]
    fn answers_come_raw_and_once() {
        let (mut transport, _queue) = transport();
        ask(&mut transport, 7, tools());
        let answer = br#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"a","x-unknown":[1]}],"future":true}}"#;
        assert!(read(&mut transport, &String::from_utf8_lossy(answer).replace(":7,", ":8,").into_bytes()).is_none());
        let Some(JsonRpcMessage::Response(response)) = read(&mut transport, answer) else { panic!("an answer") };
        let ServerResult::CustomResult(CustomResult(raw)) = response.result else { panic!("raw") };
        assert_eq!(raw, json!({"tools": [{"name": "a", "x-unknown": [1]}], "future": true}));
        assert!(read(&mut transport, answer).is_none(), "answered twice");
    }

    #[test]
    fn ids_that_come_back_as_text_and_errors_without_one_find_their_request() {
        let (mut transport, _queue) = transport();
        ask(&mut transport, 1, tools());
        assert!(read(&mut transport, br#"{"id":"1","result":{}}"#).is_some());
        ask(&mut transport, 2, tools());
        assert!(read(&mut transport, br#"{"id":null,"result":{}}"#).is_none(), "a result needs its id");
        let Some(JsonRpcMessage::Error(error)) =
            read(&mut transport, br#"{"id":null,"error":{"code":-32700,"message":"what?"}}"#)
        else {
            panic!("an error")
        };
        assert_eq!((error.id, error.error.code.0), (Some(RequestId::Number(2)), -32700));
        ask(&mut transport, 3, tools());
        ask(&mut transport, 4, tools());
        assert!(read(&mut transport, br#"{"error":{"code":1,"message":"whose?"}}"#).is_none(), "it may be either's");
    }

    #[test]
    fn errors_of_any_shape_settle_their_request() {
        for error in [r#""boom""#, "null", "{}", r#"{"code":99999999999,"message":7}"#, r#"{"code":"x"}"#] {
            let (mut transport, _queue) = transport();
            ask(&mut transport, 1, tools());
            let message = read(&mut transport, format!(r#"{{"id":1,"error":{error}}}"#).as_bytes());
            assert!(matches!(message, Some(JsonRpcMessage::Error(_))), "{error}");
        }
        let (mut transport, _queue) = transport();
        ask(
            &mut transport,
            1,
            ClientRequest::InitializeRequest(InitializeRequest::new(InitializeRequestParams::default())),
        );
        let message = read(&mut transport, br#"{"id":1,"result":{"protocolVersion":[]}}"#);
        assert!(matches!(message, Some(JsonRpcMessage::Error(_))), "{message:?}");
    }

    #[test]
    fn of_the_handshake_only_versions_and_tools_are_taken() {
        let older = json!({
            "protocolVersion": "2025-06-18", "capabilities": {"tools": {"listChanged": true}, "experimental": {"x": "secret"}},
            "serverInfo": {"name": "secret", "version": "secret"}, "instructions": "secret", "_meta": {"a": "secret"}
        });
        let newer = json!({"supportedVersions": ["2026-07-28", 7, "secret secret"], "instructions": "secret"});
        let (older, newer) = (handshake(&older), handshake(&newer));
        assert!(matches!(older, Some(ServerResult::InitializeResult(_))), "{older:?}");
        assert!(matches!(newer, Some(ServerResult::DiscoverResult(_))), "what it forgot is not missed: {newer:?}");
        assert!(!format!("{older:?}{newer:?}").contains("secret"));
        for odd in [json!({}), json!([]), json!(null), json!({"protocolVersion": "v".repeat(99)})] {
            assert!(handshake(&odd).is_none(), "{odd}");
        }
    }

    #[test]
    fn what_was_given_up_is_not_answered_any_more() {
        let (mut transport, _queue) = transport();
        ask(&mut transport, 0, ClientRequest::DiscoverRequest(DiscoverRequest::new(DiscoverRequestParams {})));
        ask(
            &mut transport,
            1,
            ClientRequest::InitializeRequest(InitializeRequest::new(InitializeRequestParams::default())),
        );
        assert!(read(&mut transport, br#"{"id":0,"error":{"code":-32601,"message":"late"}}"#).is_none());
        ask(&mut transport, 2, tools());
        let cancelled = CancelledNotification::new(CancelledNotificationParam::new(Some(RequestId::Number(2)), None));
        transport.note(&JsonRpcMessage::notification(ClientNotification::CancelledNotification(cancelled)), 0, None);
        assert!(read(&mut transport, br#"{"id":2,"result":{}}"#).is_none());
    }

    #[test]
    fn the_server_is_answered_pings_and_refused_the_rest() {
        let (mut transport, mut queue) = transport();
        assert!(read(&mut transport, br#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#).is_none());
        assert_eq!(sent(&mut queue).unwrap(), json!({"jsonrpc": "2.0", "id": "p", "result": {}}));
        for method in ["sampling/createMessage", "elicitation/create", "roots/list", "made/up"] {
            let request = json!({"jsonrpc": "2.0", "id": 5, "method": method, "params": {"text": "secret"}});
            assert!(read(&mut transport, request.to_string().as_bytes()).is_none());
            assert_eq!(sent(&mut queue).unwrap().pointer("/error/code"), Some(&json!(-32601)), "{method}");
        }
        for quiet in [
            json!({"method": "notifications/message", "params": {"data": "secret"}}),
            json!({"id": {}, "method": "ping"}),
            json!({"id": "x".repeat(ID + 1), "method": "ping"}),
            json!([1]),
            json!({"id": 1}),
        ] {
            assert!(read(&mut transport, quiet.to_string().as_bytes()).is_none());
            assert!(sent(&mut queue).is_none(), "{quiet}");
        }
        for _ in 0..100 {
            read(&mut transport, br#"{"id":1,"method":"ping"}"#);
        }
        assert_eq!(std::iter::from_fn(|| sent(&mut queue)).count(), 4, "a flood of questions is not queued");
    }

    #[test]
    fn what_a_server_says_of_its_own_accord_goes_to_whoever_asked_for_it() {
        let (commands, mut queue) = mpsc::channel(4);
        let (_, messages) = mpsc::channel(1);
        let (incoming, mut said) = mpsc::channel(2);
        let mut transport =
            PluginTransport::new(commands, messages, CancellationToken::new(), Some(incoming), None, shared());
        let mut request = rmcp::model::CustomRequest::new("tools/call", Some(json!({"name": "a", "x-new": 1})));
        let meta = json!({"progressToken": 5, TICKET: 77, PROGRESS: true, "com.example/kept": "as it is"});
        let Value::Object(meta) = meta else { panic!("an object") };
        request.extensions.insert(rmcp::model::RequestMetaObject::from(meta));
        let item = JsonRpcMessage::request(ClientRequest::CustomRequest(request), RequestId::Number(3));
        let (data, ticket) = unmarked(&item).unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&data).unwrap(),
            json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {
                "name": "a", "x-new": 1, "_meta": {"progressToken": 77, "com.example/kept": "as it is"}}})
        );
        transport.note(&item, 9, ticket);
        let ask = br#"{"id":"e","method":"elicitation/create","params":{"message":"Sure?","x":1}}"#;
        assert!(transport.take_in(ask, 9).is_none());
        let asked = said.try_recv().unwrap();
        assert_eq!(
            (asked.id, asked.with, asked.params),
            (Some(json!("e")), Some(77), json!({"message": "Sure?", "x": 1}))
        );
        for _ in 0..3 {
            transport.take_in(br#"{"method":"notifications/message","params":{}}"#, 0);
        }
        transport.take_in(ask, 8);
        assert_eq!(sent(&mut queue).unwrap().pointer("/error/code"), Some(&json!(-32603)), "a flood is refused");
        assert!(said.try_recv().is_ok_and(|one| one.with.is_none() && one.id.is_none()));
    }

    #[test]
    fn progress_is_asked_for_only_where_somebody_listens() {
        let mut request = rmcp::model::CustomRequest::new("tools/call", Some(json!({"name": "a"})));
        let Value::Object(meta) = json!({"progressToken": 5, TICKET: 1}) else { panic!("an object") };
        request.extensions.insert(rmcp::model::RequestMetaObject::from(meta));
        let item = JsonRpcMessage::request(ClientRequest::CustomRequest(request), RequestId::Number(3));
        let (data, ticket) = unmarked(&item).unwrap();
        assert_eq!(ticket, Some(1));
        assert_eq!(serde_json::from_slice::<Value>(&data).unwrap()["params"], json!({"name": "a"}));
    }
}
