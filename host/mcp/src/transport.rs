//! rmcp's seam: a `Transport<RoleClient>` whose other end is the driver.
//!
//! Invariants: rmcp sees answers to requests that are open, each once, and nothing else. Answers to what is asked after
//! the handshake reach it raw ([`CustomResult`]), because its typed models drop what they do not know. A server's
//! notifications and requests end here: rmcp would write them to the program's log, and they are a stranger's text.

use std::borrow::Cow;
use std::collections::HashMap;
use std::future::Future;

use rmcp::RoleClient;
use rmcp::model::{
    ClientNotification, ClientRequest, CustomResult, ErrorCode, ErrorData, JsonRpcMessage, RequestId, ServerResult,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::driver::Command;

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

/// How an answer is handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    /// As rmcp reads it: the handshake.
    Typed,
    /// As it came.
    Raw,
}

pub(crate) struct PluginTransport {
    commands: mpsc::Sender<Command>,
    /// JSON-RPC messages as they came.
    messages: mpsc::Receiver<Vec<u8>>,
    /// Cancelled here to make the driver end the connection.
    ending: CancellationToken,
    sequence: u64,
    /// Requests that have no answer yet.
    open: HashMap<i64, Wants>,
}

impl PluginTransport {
    pub(crate) fn new(
        commands: mpsc::Sender<Command>,
        messages: mpsc::Receiver<Vec<u8>>,
        ending: CancellationToken,
    ) -> Self {
        Self { commands, messages, ending, sequence: 0, open: HashMap::new() }
    }

    fn note(&mut self, item: &TxJsonRpcMessage<RoleClient>) {
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
                if let RequestId::Number(id) = message.id {
                    self.open.insert(id, wants);
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
            // An error without an id can only be about the one request that there is.
            _ if self.open.len() == 1 => *self.open.keys().next()?,
            _ => return None,
        };
        Some((id, self.open.remove(&id)?))
    }

    /// What rmcp is told of a message, if anything.
    fn take_in(&mut self, data: &[u8]) -> Option<RxJsonRpcMessage<RoleClient>> {
        let Ok(Value::Object(mut message)) = serde_json::from_slice(data) else {
            tracing::debug!("an MCP server sent something that is no message; it was skipped");
            return None;
        };
        if let Some(method) = message.get("method") {
            let ping = method.as_str() == Some("ping");
            if let Some(id) = message.get("id") {
                self.answer(id, ping);
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
                    Some(result) => JsonRpcMessage::response(result, id),
                    None => JsonRpcMessage::error(unreadable(), Some(id)),
                },
            },
            (None, None) => return None,
        })
    }

    /// Answer what the server asks: pings. Nothing else was offered to it (no sampling, no elicitation, no roots).
    fn answer(&mut self, id: &Value, ping: bool) {
        let known = match id {
            Value::Number(_) => true,
            Value::String(text) => text.len() <= ID,
            _ => false,
        };
        if !known {
            return;
        }
        let answer = match ping {
            true => json!({"jsonrpc": "2.0", "id": id, "result": {}}),
            false => {
                json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "not offered by this client"}})
            }
        };
        self.sequence += 1;
        let (done, _) = oneshot::channel();
        let data = answer.to_string().into_bytes();
        // A server that asks faster than it reads gets no answer.
        let _ = self.commands.try_send(Command::Send { id: self.sequence, data, done });
    }
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
        self.sequence += 1;
        self.note(&item);
        let (id, commands) = (self.sequence, self.commands.clone());
        let data = serde_json::to_vec(&item);
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
            // Nothing waits from here on, so a future that is dropped loses no message.
            if let Some(message) = self.take_in(&data) {
                return Some(message);
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
    use super::*;
    use rmcp::model::{
        CancelledNotification, CancelledNotificationParam, DiscoverRequest, DiscoverRequestParams, InitializeRequest,
        InitializeRequestParams, ListToolsRequest,
    };

    fn transport() -> (PluginTransport, mpsc::Receiver<Command>) {
        let (commands, queue) = mpsc::channel(4);
        let (_, messages) = mpsc::channel(1);
        (PluginTransport::new(commands, messages, CancellationToken::new()), queue)
    }

    fn ask(transport: &mut PluginTransport, id: i64, request: ClientRequest) {
        transport.note(&JsonRpcMessage::request(request, RequestId::Number(id)));
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
    fn answers_come_raw_and_once() {
        let (mut transport, _queue) = transport();
        ask(&mut transport, 7, tools());
        let answer = br#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"a","x-unknown":[1]}],"future":true}}"#;
        assert!(transport.take_in(&String::from_utf8_lossy(answer).replace(":7,", ":8,").into_bytes()).is_none());
        let Some(JsonRpcMessage::Response(response)) = transport.take_in(answer) else { panic!("an answer") };
        let ServerResult::CustomResult(CustomResult(raw)) = response.result else { panic!("raw") };
        assert_eq!(raw, json!({"tools": [{"name": "a", "x-unknown": [1]}], "future": true}));
        assert!(transport.take_in(answer).is_none(), "answered twice");
    }

    #[test]
    fn ids_that_come_back_as_text_and_errors_without_one_find_their_request() {
        let (mut transport, _queue) = transport();
        ask(&mut transport, 1, tools());
        assert!(transport.take_in(br#"{"id":"1","result":{}}"#).is_some());
        ask(&mut transport, 2, tools());
        assert!(transport.take_in(br#"{"id":null,"result":{}}"#).is_none(), "a result needs its id");
        let Some(JsonRpcMessage::Error(error)) =
            transport.take_in(br#"{"id":null,"error":{"code":-32700,"message":"what?"}}"#)
        else {
            panic!("an error")
        };
        assert_eq!((error.id, error.error.code.0), (Some(RequestId::Number(2)), -32700));
        ask(&mut transport, 3, tools());
        ask(&mut transport, 4, tools());
        assert!(transport.take_in(br#"{"error":{"code":1,"message":"whose?"}}"#).is_none(), "it may be either's");
    }

    #[test]
    fn errors_of_any_shape_settle_their_request() {
        for error in [r#""boom""#, "null", "{}", r#"{"code":99999999999,"message":7}"#, r#"{"code":"x"}"#] {
            let (mut transport, _queue) = transport();
            ask(&mut transport, 1, tools());
            let message = transport.take_in(format!(r#"{{"id":1,"error":{error}}}"#).as_bytes());
            assert!(matches!(message, Some(JsonRpcMessage::Error(_))), "{error}");
        }
        let (mut transport, _queue) = transport();
        ask(
            &mut transport,
            1,
            ClientRequest::InitializeRequest(InitializeRequest::new(InitializeRequestParams::default())),
        );
        let message = transport.take_in(br#"{"id":1,"result":{"protocolVersion":[]}}"#);
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
        assert!(transport.take_in(br#"{"id":0,"error":{"code":-32601,"message":"late"}}"#).is_none());
        ask(&mut transport, 2, tools());
        let cancelled = CancelledNotification::new(CancelledNotificationParam::new(Some(RequestId::Number(2)), None));
        transport.note(&JsonRpcMessage::notification(ClientNotification::CancelledNotification(cancelled)));
        assert!(transport.take_in(br#"{"id":2,"result":{}}"#).is_none());
    }

    #[test]
    fn the_server_is_answered_pings_and_refused_the_rest() {
        let (mut transport, mut queue) = transport();
        assert!(transport.take_in(br#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#).is_none());
        assert_eq!(sent(&mut queue).unwrap(), json!({"jsonrpc": "2.0", "id": "p", "result": {}}));
        for method in ["sampling/createMessage", "elicitation/create", "roots/list", "made/up"] {
            let request = json!({"jsonrpc": "2.0", "id": 5, "method": method, "params": {"text": "secret"}});
            assert!(transport.take_in(request.to_string().as_bytes()).is_none());
            assert_eq!(sent(&mut queue).unwrap().pointer("/error/code"), Some(&json!(-32601)), "{method}");
        }
        for quiet in [
            json!({"method": "notifications/message", "params": {"data": "secret"}}),
            json!({"id": {}, "method": "ping"}),
            json!({"id": "x".repeat(ID + 1), "method": "ping"}),
            json!([1]),
            json!({"id": 1}),
        ] {
            assert!(transport.take_in(quiet.to_string().as_bytes()).is_none());
            assert!(sent(&mut queue).is_none(), "{quiet}");
        }
        for _ in 0..100 {
            transport.take_in(br#"{"id":1,"method":"ping"}"#);
        }
        assert_eq!(std::iter::from_fn(|| sent(&mut queue)).count(), 4, "a flood of questions is not queued");
    }
}
