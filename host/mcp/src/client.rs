//! A connection to one MCP server, from opening to closing.

use std::future::Future;
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use fumehood_egress::{Egress, ProcessSpec};
use fumehood_runtime::effects::Header;
use fumehood_runtime::{CallHost, Plugin, Runtime, TransportConnection};
use rmcp::RoleClient;
use rmcp::model::{
    CancelledNotificationParam, ClientCapabilities, ClientConfig, ClientNotification, ClientRequest,
    CustomNotification, CustomRequest, CustomResult, ErrorCode, ErrorData, Implementation, ListToolsRequest,
    PaginatedRequestParams, ProtocolVersion, RequestId, ServerResult,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, Peer, PeerRequestOptions, RunningService, ServiceError,
    serve_client_with_lifecycle,
};
use rmcp::transport::DynamicTransportError;
use serde_json::{Map, Value, json};
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::driver::{Command, Driver, Shared};
use crate::error::{McpError, bounded, one_line};
use crate::names::tool_sha256;
use crate::patience::Patience;
use crate::transport::{Answers, Incoming, PROGRESS, PluginTransport, SendError, TICKET};
use crate::witness::Witness;

/// Connecting: both eras together. A server that ignores the probe of the newer one is asked in the older after 10 s.
const CONNECT: Duration = Duration::from_secs(40);
/// Listing all tools, over all pages.
const LIST: Duration = Duration::from_secs(60);
/// Saying goodbye: the transport's own time, then the process's.
const CLOSE: Duration = Duration::from_secs(10);
/// Telling the server that nobody waits any longer.
const CANCEL: Duration = Duration::from_secs(2);
/// Most tools of one server, and most bytes of their descriptions.
const TOOLS: usize = 1_000;
const TOOLS_BYTES: usize = 4 << 20;
/// Longest name of a tool, bytes. The specification asks for 128 at most.
const TOOL_NAME: usize = 256;
/// Most pages; a server that never ends its list is stopped.
const PAGES: usize = 100;
/// Commands that wait for the driver.
const COMMANDS: usize = 64;
/// Messages, of up to 4 MiB, that wait for rmcp.
const MESSAGES: usize = 8;

/// How a server is reached.
pub enum Endpoint {
    Http { url: String, headers: Vec<Header> },
    Stdio(ProcessSpec),
}

/// What a connection is opened in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Era {
    /// Whichever the server speaks: it is asked in the newer, and in the older where it does not answer within 10 s.
    #[default]
    Any,
    /// The older, with a session, and nothing else.
    Older,
    /// The newer and nothing else, for as long as connecting may take.
    Newer,
}

/// What a connection needs.
pub struct Connect {
    pub runtime: Runtime,
    /// The transport plugin that fits the endpoint.
    pub plugin: Plugin,
    pub egress: Arc<Egress>,
    /// The server's name, for messages.
    pub name: String,
    pub endpoint: Endpoint,
    /// Answers for the grant and the record of everything that this connection does.
    pub host: Arc<dyn CallHost>,
    /// Longest wait for a tool's answer.
    pub call_timeout: Duration,
    /// Keeps what the server says where it does not take the credential.
    pub challenge: Challenge,
    /// Hears what else there is to hear.
    pub witness: Option<Arc<dyn Witness>>,
    /// What the server may ask of us, as the protocol's `capabilities`, and where what it asks and says of its own accord
    /// goes. Without, it is offered nothing, and only the witness hears what it says.
    pub offers: Option<(Value, mpsc::Sender<Incoming>)>,
    pub era: Era,
}

/// What a server said of itself when the connection was opened.
#[derive(Clone, Debug, Default)]
pub struct ServerFacts(Value);

impl ServerFacts {
    /// The version of the protocol that is spoken with it.
    pub fn version(&self) -> String {
        match self.0.get("protocolVersion").and_then(Value::as_str) {
            Some(version) => one_line(version),
            None => ProtocolVersion::LATEST.to_string(),
        }
    }

    /// Whether it is of the older era, with a session of its own.
    pub fn is_stateful(&self) -> bool {
        self.0.get("protocolVersion").is_some()
    }

    /// What it offers: `tools`, `resources`, `prompts`, `completions`, `logging`.
    pub fn offers(&self, what: &str) -> bool {
        self.0.get("capabilities").and_then(|all| all.get(what)).is_some_and(Value::is_object)
    }

    /// The whole answer, a stranger's text.
    pub fn raw(&self) -> &Value {
        &self.0
    }
}

/// A request that is passed on as it is.
#[derive(Clone, Default)]
pub struct Ask {
    pub method: String,
    pub params: Map<String, Value>,
    /// Names it among the requests of this connection: what comes with its answer, and its progress, bear this number.
    pub ticket: u64,
    /// Whether somebody wants to hear of its progress.
    pub progress: bool,
    /// How long an answer is waited for.
    pub patience: Option<Arc<Patience>>,
}

/// A tool as its server describes it.
#[derive(Clone, Debug)]
pub struct RawTool {
    pub name: String,
    /// The whole object, unknown fields included.
    pub raw: Value,
    /// Its pin.
    pub sha256: [u8; 32],
}

/// An answer that refused a credential, or forbade something to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status was 401, and not 403.
    pub unauthorized: bool,
    /// The header `WWW-Authenticate`: a stranger's text.
    pub challenge: String,
}

/// The last refusal. Outlives the connection.
#[derive(Clone, Debug, Default)]
pub struct Challenge(Arc<Lock<Option<Refusal>>>);

impl Challenge {
    pub(crate) fn keep(&self, status: u16, headers: &[(String, String)]) {
        let said = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"));
        let said: Vec<&str> = said.map(|(_, value)| value.as_str()).collect();
        let refusal = Refusal { unauthorized: status == 401, challenge: said.join(", ") };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
    }

    /// What was said, once.
    pub fn take(&self) -> Option<Refusal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A living connection. Dropping it ends everything that it started.
pub struct Connection {
    peer: Peer<RoleClient>,
    service: Mutex<Option<RunningService<RoleClient, ClientConfig>>>,
    shared: Arc<Shared>,
    call_timeout: Duration,
    answers: Answers,
    facts: ServerFacts,
}

impl Connection {
    /// Connect, in whichever era the server speaks.
    ///
    /// # Errors
    /// [`McpError`]; what was started is ended.
    pub async fn open(connect: Connect) -> Result<Self, McpError> {
        // Held until the connection stands: its cancellation means that somebody stops it, and not that it ended by itself.
        let host = Arc::clone(&connect.host);
        let cancel = host.cancellation();
        let (url, headers, process) = match connect.endpoint {
            Endpoint::Http { url, headers } => (Some(url), headers, None),
            Endpoint::Stdio(spec) => (None, Vec::new(), Some(spec)),
        };
        let machine = TransportConnection::open(
            &connect.runtime,
            &connect.plugin,
            &connect.name,
            url.as_deref(),
            headers,
            Arc::clone(&connect.host),
        )
        .await
        .map_err(McpError::Plugin)?;
        let (commands, queue) = mpsc::channel::<Command>(COMMANDS);
        let (deliver, messages) = mpsc::channel(MESSAGES);
        let (shared, ending) =
            (Arc::new(Shared::new(connect.challenge, connect.witness.clone())), CancellationToken::new());
        let driver = Driver {
            machine,
            host: connect.host,
            egress: connect.egress,
            process,
            deliver,
            shared: Arc::clone(&shared),
            ending: ending.clone(),
        };
        let driving = tokio::spawn(driver.run(queue));
        let (offered, incoming) = connect.offers.unzip();
        let transport =
            PluginTransport::new(commands, messages, ending, incoming, connect.witness, Arc::clone(&shared));
        let (answers, handshake) = (transport.answers(), transport.handshake());
        // Where nobody takes its questions the server is offered nothing: no sampling, no elicitation, no roots.
        let capabilities = offered.and_then(|all| serde_json::from_value(all).ok());
        let info = ClientConfig::new(
            capabilities.unwrap_or_else(ClientCapabilities::default),
            Implementation::new("fumehood", env!("CARGO_PKG_VERSION")),
        );
        let mode = match connect.era {
            Era::Older => ClientLifecycleMode::Initialize,
            Era::Newer => ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::LATEST] },
            Era::Any => ClientLifecycleMode::Auto {
                preferred_versions: vec![ProtocolVersion::LATEST],
                legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
            },
        };
        let opening = tokio::time::timeout(CONNECT, serve_client_with_lifecycle(info, transport, mode));
        let opened = tokio::select! {
            opened = opening => match opened {
                Ok(Ok(service)) => Ok(service),
                Ok(Err(error)) => Err(shared.failure().unwrap_or_else(|| opening_failed(&error))),
                Err(_) => Err(McpError::TimedOut { seconds: CONNECT.as_secs() }),
            },
            () = cancel.cancelled() => Err(McpError::Cancelled),
        };
        match opened {
            Ok(service) => Ok(Self {
                peer: service.peer().clone(),
                service: Mutex::new(Some(service)),
                shared,
                call_timeout: connect.call_timeout,
                answers,
                facts: ServerFacts(handshake.get().cloned().unwrap_or_default()),
            }),
            Err(error) => {
                // The transport is dropped by now; wait for the process to be gone, and for its last words.
                let _ = tokio::time::timeout(CLOSE, driving).await;
                Err(match error {
                    McpError::Closed(_) => shared.failure().unwrap_or(error),
                    error => error,
                })
            }
        }
    }

    /// Everything that the server offers as a tool.
    ///
    /// # Errors
    /// [`McpError::NoTools`] for none at all, `Protocol` for lists without end or over the bounds.
    pub async fn discover(&self) -> Result<Vec<RawTool>, McpError> {
        let deadline = Instant::now() + LIST;
        let mut tools: Vec<RawTool> = Vec::new();
        let mut bytes = 0;
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES {
            let params = PaginatedRequestParams::default().with_cursor(cursor.clone());
            let request = ClientRequest::ListToolsRequest(ListToolsRequest::with_param(params));
            let left = deadline.saturating_duration_since(Instant::now());
            let page = match self.ask(request, left, std::future::pending()).await {
                Ok(page) => page,
                // It knows of no such thing as tools.
                Err(McpError::Tool { code, .. }) if code == i64::from(ErrorCode::METHOD_NOT_FOUND.0) => {
                    return Err(McpError::NoTools);
                }
                Err(McpError::TimedOut { .. }) => return Err(McpError::TimedOut { seconds: LIST.as_secs() }),
                Err(error) => return Err(error),
            };
            let Some(Value::Array(list)) = page.get("tools") else {
                return Err(McpError::Protocol("the answer to tools/list has no tools".into()));
            };
            for raw in list {
                let name = raw.get("name").and_then(Value::as_str).unwrap_or_default();
                if name.is_empty() || name.len() > TOOL_NAME {
                    return Err(McpError::Protocol("a tool has no name, or an endless one".into()));
                }
                bytes += raw.to_string().len();
                let sha256 = tool_sha256(raw);
                match tools.iter().find(|known| known.name == name) {
                    Some(known) if known.sha256 == sha256 => continue,
                    Some(_) => {
                        let what = format!("it offers two tools with one name, “{}”", bounded(name));
                        return Err(McpError::Protocol(what));
                    }
                    None => tools.push(RawTool { name: name.to_owned(), sha256, raw: raw.clone() }),
                }
                if tools.len() > TOOLS || bytes > TOOLS_BYTES {
                    let what =
                        format!("it offers more than {TOOLS} tools, or more than {} MiB of them", TOOLS_BYTES >> 20);
                    return Err(McpError::Protocol(what));
                }
            }
            let next = page.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
            if next.is_none() {
                return if tools.is_empty() { Err(McpError::NoTools) } else { Ok(tools) };
            }
            if next == cursor {
                return Err(McpError::Protocol("its list of tools goes in a circle".into()));
            }
            cursor = next;
        }
        Err(McpError::Protocol(format!("its list of tools does not end after {PAGES} pages")))
    }

    /// What the server said where it did not take the credential, once.
    pub fn challenge(&self) -> Option<Refusal> {
        self.shared.challenge.take()
    }

    /// What the server said of itself.
    pub fn facts(&self) -> &ServerFacts {
        &self.facts
    }

    /// Pass a request on as it is and take its raw result. Cancelling, running out of time and dropping the future are
    /// told to the server.
    ///
    /// # Errors
    /// [`McpError`]; after `TimedOut`, `Closed`, `Cancelled` and `Plugin` nobody knows whether it was carried out.
    pub async fn pass(&self, ask: Ask, cancelled: impl Future<Output = ()>) -> Result<Value, McpError> {
        let mut params = ask.params;
        let mut meta = match params.remove("_meta") {
            Some(Value::Object(meta)) => meta,
            _ => Map::new(),
        };
        meta.insert(TICKET.into(), ask.ticket.into());
        if ask.progress {
            meta.insert(PROGRESS.into(), true.into());
        }
        let request = CustomRequest::new(ask.method, Some(Value::Object(params)));
        let options = PeerRequestOptions::no_options().with_meta(meta.into());
        let patience = ask.patience.unwrap_or_else(|| Patience::of(self.call_timeout));
        self.ask_with(ClientRequest::CustomRequest(request), options, &patience, cancelled).await
    }

    /// Tell the server something.
    ///
    /// # Errors
    /// `Closed`.
    pub async fn notify(&self, method: &str, params: Value) -> Result<(), McpError> {
        let notification = CustomNotification::new(method, Some(params));
        let sent = self.peer.send_notification(ClientNotification::CustomNotification(notification)).await;
        sent.map_err(|error| self.failed(error))
    }

    /// Answer what the server asked: with a result, or with an error. `false` where it cannot be told any more.
    pub fn answer(&self, id: &Value, answer: Result<Value, Value>) -> bool {
        self.answers.send(&match answer {
            Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error}),
        })
    }

    /// Send a request and take its raw result.
    async fn ask(
        &self,
        request: ClientRequest,
        limit: Duration,
        cancelled: impl Future<Output = ()>,
    ) -> Result<Value, McpError> {
        self.ask_with(request, PeerRequestOptions::no_options(), &Patience::of(limit), cancelled).await
    }

    async fn ask_with(
        &self,
        request: ClientRequest,
        options: PeerRequestOptions,
        patience: &Patience,
        cancelled: impl Future<Output = ()>,
    ) -> Result<Value, McpError> {
        let handle = self.peer.send_cancellable_request(request, options).await.map_err(|error| self.failed(error))?;
        let mut asked = Asked(Some((self.peer.clone(), handle.id.clone())));
        let answer = tokio::select! {
            biased;
            answer = handle.await_response() => answer,
            () = cancelled => {
                asked.give_up("stopped by the responder").await;
                return Err(McpError::Cancelled);
            }
            () = patience.over() => {
                asked.give_up("no answer in time").await;
                return Err(McpError::TimedOut { seconds: patience.limit().as_secs() });
            }
        };
        asked.0 = None;
        match answer.map_err(|error| self.failed(error))? {
            ServerResult::CustomResult(CustomResult(raw)) => Ok(raw),
            _ => Err(McpError::Protocol("the answer could not be read".into())),
        }
    }

    fn closed(&self) -> McpError {
        self.shared.failure().unwrap_or_else(|| McpError::Closed("it is closed".into()))
    }

    fn failed(&self, error: ServiceError) -> McpError {
        match error {
            ServiceError::McpError(error) => server_error(&error),
            ServiceError::TransportSend(error) => match not_sent(&error) {
                Some(error) => error,
                None => self.closed(),
            },
            ServiceError::Cancelled { .. } => McpError::Cancelled,
            _ => self.closed(),
        }
    }

    /// Whether calls can still be made. A server that hangs looks alive.
    pub fn is_alive(&self) -> bool {
        !self.peer.is_transport_closed()
    }

    /// Say goodbye and end everything that this connection started.
    pub async fn close(&self) {
        let service = self.service.lock().await.take();
        if let Some(mut service) = service {
            let _ = service.close_with_timeout(CLOSE).await;
        }
    }
}

/// A request that has no answer yet; tells the server when nobody waits for it any longer.
struct Asked(Option<(Peer<RoleClient>, RequestId)>);

impl Asked {
    async fn give_up(&mut self, reason: &str) {
        if let Some((peer, id)) = self.0.take() {
            let notice = CancelledNotificationParam::new(Some(id), Some(reason.to_owned()));
            let _ = tokio::time::timeout(CANCEL, peer.notify_cancelled(notice)).await;
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let (Some(asked), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { Self(Some(asked)).give_up("nobody waits for it").await });
        }
    }
}

/// The server's own error, or the transport's in its place.
fn server_error(error: &ErrorData) -> McpError {
    let transport = error.data.as_ref().and_then(|data| data.get("transport")).and_then(Value::as_str);
    match transport {
        // The request had reached the server, and its answer broke off.
        Some(code) if error.code == ErrorCode::INTERNAL_ERROR => McpError::of_end(code, &error.message),
        _ => McpError::Tool {
            code: i64::from(error.code.0),
            message: error.message.clone().into_owned(),
            data: error.data.clone(),
        },
    }
}

/// Why a message was not sent; nothing where the connection is over.
fn not_sent(error: &DynamicTransportError) -> Option<McpError> {
    let error = error.error.downcast_ref::<SendError>()?;
    (error.code != SendError::CLOSED).then(|| McpError::of_message(&error.code, &error.text))
}

fn opening_failed(error: &ClientInitializeError) -> McpError {
    match error {
        ClientInitializeError::TransportError { error, .. } => {
            not_sent(error).unwrap_or_else(|| McpError::Closed("it closed before it was ready".into()))
        }
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => opening_failed(fallback),
        ClientInitializeError::JsonRpcError(error) => server_error(error),
        ClientInitializeError::ConnectionClosed(_) => McpError::Closed("it closed before it was ready".into()),
        ClientInitializeError::NoCompatibleProtocolVersion { server_supported, .. } => {
            let versions: Vec<String> = server_supported.iter().map(ToString::to_string).collect();
            McpError::Protocol(bounded(&format!(
                "it speaks no version of the protocol that is known here, only: {}",
                versions.join(", ")
            )))
        }
        ClientInitializeError::Cancelled => McpError::Cancelled,
        // Never the server's own words, of which the others are full.
        _ => McpError::Protocol("its answer to the first request could not be understood".into()),
    }
}
