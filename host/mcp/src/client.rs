//! A connection to one MCP server, from opening to closing.

use std::sync::Arc;
use std::time::Duration;

use fumehood_egress::{Egress, ProcessSpec};
use fumehood_runtime::effects::Header;
use fumehood_runtime::{CallHost, Plugin, Runtime, TransportConnection};
use rmcp::RoleClient;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientCapabilities, ClientConfig, ClientRequest, Implementation, ListToolsRequest,
    PaginatedRequestParams, ProtocolVersion,
};
use rmcp::service::{ClientInitializeError, ClientLifecycleMode, PeerRequestOptions, RunningService, ServiceError, serve_client_with_lifecycle};
use serde_json::{Map, Value};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use crate::driver::{Command, Driver, Shared};
use crate::error::{McpError, bounded};
use crate::names::tool_sha256;
use crate::tap::Tap;
use crate::transport::PluginTransport;

/// Connecting: both eras together.
const CONNECT: Duration = Duration::from_secs(40);
/// One page of a list.
const PAGE: Duration = Duration::from_secs(30);
/// Most tools of one server, and most bytes of their descriptions.
const TOOLS: usize = 1_000;
const TOOLS_BYTES: usize = 4 << 20;
/// Most pages; a server that never ends its list is stopped.
const PAGES: usize = 100;

/// How a server is reached.
pub enum Endpoint {
    Http { url: String, headers: Vec<Header> },
    Stdio(ProcessSpec),
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
    pub call_timeout: Duration,
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

/// What a tool answered. Untrusted.
#[derive(Clone, Debug)]
pub struct ToolResult {
    /// The whole result.
    pub raw: Value,
    /// The text of it; what is no text is named in brackets.
    pub text: String,
    pub is_error: bool,
}

/// A living connection. Dropping it ends everything that it started.
pub struct Connection {
    service: Mutex<Option<RunningService<RoleClient, ClientConfig>>>,
    tap: Arc<Tap>,
    shared: Arc<Shared>,
    call_timeout: Duration,
}

impl Connection {
    /// Connect, in whichever era the server speaks.
    ///
    /// # Errors
    /// [`McpError`]; nothing is left running.
    pub async fn open(connect: Connect) -> Result<Self, McpError> {
        let cancel = connect.host.cancellation();
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
        let (commands, queue) = mpsc::channel::<Command>(64);
        let (deliver, messages) = mpsc::channel(64);
        let shared = Arc::new(Shared::default());
        let driver = Driver {
            machine,
            host: connect.host,
            egress: connect.egress,
            process,
            deliver,
            shared: Arc::clone(&shared),
        };
        tokio::spawn(driver.run(queue));
        let tap = Arc::new(Tap::default());
        let transport = PluginTransport { commands, messages, tap: Arc::clone(&tap), sequence: 0 };
        // Nothing is offered to the server: no sampling, no elicitation, no roots.
        let info = ClientConfig::new(
            ClientCapabilities::default(),
            Implementation::new("fumehood", env!("CARGO_PKG_VERSION")),
        );
        let mode = ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::LATEST],
            legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
        };
        let opening = tokio::time::timeout(CONNECT, serve_client_with_lifecycle(info, transport, mode));
        let service = tokio::select! {
            opened = opening => match opened {
                Ok(Ok(service)) => service,
                Ok(Err(error)) => return Err(opening_failed(&shared, &error)),
                Err(_) => return Err(McpError::TimedOut { seconds: CONNECT.as_secs() }),
            },
            () = cancel.cancelled() => return Err(McpError::Cancelled),
        };
        Ok(Self { service: Mutex::new(Some(service)), tap, shared, call_timeout: connect.call_timeout })
    }

    /// Everything that the server offers as a tool.
    ///
    /// # Errors
    /// [`McpError::NoTools`] for none at all, `Protocol` for lists without end or over the bounds.
    pub async fn discover(&self) -> Result<Vec<RawTool>, McpError> {
        let mut tools: Vec<RawTool> = Vec::new();
        let mut bytes = 0;
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES {
            let params = PaginatedRequestParams::default().with_cursor(cursor.clone());
            let request = ClientRequest::ListToolsRequest(ListToolsRequest::with_param(params));
            let page = self.ask(request, PAGE, None).await?;
            let list = page.get("tools").and_then(Value::as_array);
            let list = list.ok_or_else(|| McpError::Protocol("the answer to tools/list has no tools".into()))?;
            for raw in list {
                let name = raw.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
                if name.is_empty() {
                    return Err(McpError::Protocol("a tool has no name".into()));
                }
                bytes += raw.to_string().len();
                tools.push(RawTool { name, sha256: tool_sha256(raw), raw: raw.clone() });
            }
            if tools.len() > TOOLS || bytes > TOOLS_BYTES {
                return Err(McpError::Protocol(format!("it offers more than {TOOLS} tools, or more than 4 MiB of them")));
            }
            cursor = page.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                return if tools.is_empty() { Err(McpError::NoTools) } else { Ok(tools) };
            }
        }
        Err(McpError::Protocol(format!("its list of tools does not end after {PAGES} pages")))
    }

    /// Call a tool. What was approved is for the caller to know.
    ///
    /// # Errors
    /// [`McpError`]; after `TimedOut`, `Closed` or `Cancelled` nobody knows whether it was carried out.
    pub async fn call_tool(&self, name: &str, arguments: Map<String, Value>, cancel: CancellationToken) -> Result<ToolResult, McpError> {
        let params = CallToolRequestParams::new(name.to_owned()).with_arguments(arguments);
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let raw = self.ask(request, self.call_timeout, Some(cancel)).await?;
        if raw.get("resultType").and_then(Value::as_str) == Some("input_required") {
            return Err(McpError::Protocol("the tool asks questions of its own, which this version does not pass on".into()));
        }
        let is_error = raw.get("isError").and_then(Value::as_bool).unwrap_or(false);
        Ok(ToolResult { text: text_of(&raw), is_error, raw })
    }

    /// Send a request and take its raw result.
    async fn ask(&self, request: ClientRequest, limit: Duration, cancel: Option<CancellationToken>) -> Result<Value, McpError> {
        let peer = {
            let service = self.service.lock().await;
            service.as_ref().ok_or_else(|| self.closed())?.peer().clone()
        };
        let options = PeerRequestOptions::with_timeout(limit);
        let handle = peer.send_cancellable_request(request, options).await.map_err(|error| self.failed(&error))?;
        let id = serde_json::to_string(&handle.id).unwrap_or_default();
        let answer = match cancel {
            None => handle.await_response().await,
            Some(cancel) => {
                let (peer, request_id) = (handle.peer.clone(), handle.id.clone());
                tokio::select! {
                    answer = handle.await_response() => answer,
                    () = cancel.cancelled() => {
                        let reason = Some("stopped by the responder".to_owned());
                        let notice = rmcp::model::CancelledNotificationParam::new(Some(request_id), reason);
                        let _ = tokio::time::timeout(Duration::from_secs(2), peer.notify_cancelled(notice)).await;
                        return Err(McpError::Cancelled);
                    }
                }
            }
        };
        answer.map_err(|error| self.failed(&error))?;
        self.tap.take(&id).ok_or_else(|| McpError::Protocol("the answer could not be read".into()))
    }

    fn closed(&self) -> McpError {
        named_failure(&self.shared).unwrap_or_else(|| McpError::Closed("it was closed here".into()))
    }

    fn failed(&self, error: &ServiceError) -> McpError {
        match error {
            ServiceError::McpError(error) => McpError::Tool { code: i64::from(error.code.0), message: bounded(&error.message) },
            ServiceError::Timeout { timeout } => McpError::TimedOut { seconds: timeout.as_secs() },
            ServiceError::Cancelled { .. } => McpError::Cancelled,
            other => named_failure(&self.shared).unwrap_or_else(|| McpError::Closed(bounded(&other.to_string()))),
        }
    }

    /// The last lines that a process wrote to its standard error.
    pub fn output_tail(&self) -> Vec<String> {
        let stderr = self.shared.stderr.lock().map(|text| text.clone()).unwrap_or_default();
        stderr.lines().rev().take(50).map(bounded).collect::<Vec<_>>().into_iter().rev().collect()
    }

    /// Say goodbye and end everything that this connection started.
    pub async fn close(&self) {
        let service = self.service.lock().await.take();
        if let Some(mut service) = service {
            let _ = service.close_with_timeout(Duration::from_secs(6)).await;
        }
    }
}

fn opening_failed(shared: &Shared, error: &ClientInitializeError) -> McpError {
    if let Some(failure) = named_failure(shared) {
        return failure;
    }
    match error {
        ClientInitializeError::ConnectionClosed(reason) => McpError::Closed(bounded(reason)),
        ClientInitializeError::JsonRpcError(error) => {
            McpError::Tool { code: i64::from(error.code.0), message: bounded(&error.message) }
        }
        other => McpError::Protocol(bounded(&other.to_string())),
    }
}

/// The transport's own word for what went wrong, where it has one.
fn named_failure(shared: &Shared) -> Option<McpError> {
    let failure = shared.failure.lock().ok()?.clone();
    let (code, text) = failure?;
    Some(match code.as_str() {
        "auth" | "forbidden" => McpError::Auth(text),
        "protocol" | "unsupported" | "invalid" | "internal" | "too-large" => McpError::Protocol(text),
        "cancelled" => McpError::Cancelled,
        _ => McpError::Unreachable(text),
    })
}

/// The text of a result.
fn text_of(raw: &Value) -> String {
    let empty = Vec::new();
    let parts = raw.get("content").and_then(Value::as_array).unwrap_or(&empty);
    let mut texts: Vec<String> = parts.iter().map(part_text).collect();
    if texts.is_empty()
        && let Some(structured) = raw.get("structuredContent")
    {
        texts.push(structured.to_string());
    }
    texts.join("\n")
}

fn part_text(part: &Value) -> String {
    let text = |pointer: &str| part.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    match text("/type") {
        "text" => text("/text").to_owned(),
        "resource" if !text("/resource/text").is_empty() => text("/resource/text").to_owned(),
        "resource_link" => format!("[link {}]", text("/uri")),
        kind => {
            let size = part.get("data").and_then(Value::as_str).map_or(0, |data| data.len() * 3 / 4);
            format!("[{kind} {} {} KiB]", text("/mimeType"), size.div_ceil(1024))
        }
    }
}
