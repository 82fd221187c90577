//! The MCP server that everybody asks, over streamable HTTP, in both eras, with one tool: a plain one, which costs next to
//! nothing and answers with JSON, or one on rmcp, which answers its sessions with streams of events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use clap::ValueEnum;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ListToolsResult, PaginatedRequestParams,
    ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Map, Value, json};

use crate::load::Era;
use crate::texts::{Random, text};

/// The tool.
pub const TOOL: &str = "lookup";

const ABOUT: &str = "Looks up what is known about an entry of a log";

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Kind {
    Plain,
    Rmcp,
}

#[derive(Clone, Default)]
struct Server {
    answers: Arc<AtomicU64>,
    sessions: Arc<AtomicU64>,
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {"entry": {"type": "integer"}, "text": {"type": "string"}, "mail": {"type": "boolean"}},
        "required": ["entry", "text"],
    })
}

fn tool() -> Tool {
    let Value::Object(schema) = schema() else { unreachable!() };
    Tool::new(TOOL, ABOUT, Arc::new(schema))
}

impl Server {
    /// The answer to a call: as long as what was asked, and never the same again.
    fn look_up(&self, arguments: Option<&Map<String, Value>>) -> Option<String> {
        let given = |name: &str| arguments.and_then(|arguments| arguments.get(name));
        let entry = given("entry").and_then(Value::as_u64)?;
        let asked = given("text").and_then(Value::as_str)?;
        let mail = given("mail") == Some(&Value::Bool(true));
        let mut random = Random(self.answers.fetch_add(1, Ordering::Relaxed));
        Some(format!("Entry {entry}. {}", text(&mut random, asked.len().saturating_sub(12), mail)))
    }

    /// What the plain one answers to a request.
    fn answer(&self, method: &str, params: &Value, modern: bool) -> Result<Value, Value> {
        let invalid = || json!({"code": -32602, "message": "an entry and a text are needed"});
        let (info, offers) = (json!({"name": "bench", "version": "1"}), json!({"tools": {}}));
        let mut result = match method {
            "initialize" => {
                return Ok(
                    json!({"protocolVersion": Era::Sessions.version(), "capabilities": offers, "serverInfo": info}),
                );
            }
            "server/discover" => {
                json!({"supportedVersions": [Era::Stateless.version(), Era::Sessions.version()], "capabilities": offers,
                    "serverInfo": info, "ttlMs": 60_000, "cacheScope": "public"})
            }
            "tools/list" => {
                json!({"tools": [{"name": TOOL, "description": ABOUT, "inputSchema": schema()}], "ttlMs": 60_000,
                    "cacheScope": "public"})
            }
            "tools/call" => {
                let said = self.look_up(params.get("arguments").and_then(Value::as_object)).ok_or_else(invalid)?;
                json!({"content": [{"type": "text", "text": said}], "isError": false})
            }
            _ => return Err(json!({"code": -32601, "message": "there is no such method"})),
        };
        if modern {
            result["resultType"] = "complete".into();
        }
        Ok(result)
    }
}

async fn plain(State(server): State<Server>, method: Method, headers: HeaderMap, body: Bytes) -> Response {
    match method {
        Method::POST => {}
        Method::DELETE => return StatusCode::NO_CONTENT.into_response(),
        _ => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
    let Ok(message) = serde_json::from_slice::<Value>(&body) else { return StatusCode::BAD_REQUEST.into_response() };
    let Some(id) = message.get("id") else { return StatusCode::ACCEPTED.into_response() };
    let method = message["method"].as_str().unwrap_or_default();
    let modern = headers.get("mcp-protocol-version").is_some_and(|version| version == Era::Stateless.version());
    let answer = match server.answer(method, &message["params"], modern) {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error}),
    };
    let mut response = ([("content-type", "application/json")], answer.to_string()).into_response();
    // In each answer, as rmcp has it: mcpr finds the call of an answer by it.
    let session = match method {
        "initialize" => {
            let session = format!("session-{}", server.sessions.fetch_add(1, Ordering::Relaxed));
            Some(session.parse().unwrap())
        }
        _ => headers.get("mcp-session-id").cloned(),
    };
    if let Some(session) = session {
        response.headers_mut().insert("mcp-session-id", session);
    }
    response
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        (name == TOOL).then(tool)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(vec![tool()]))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let said = self.look_up(request.arguments.as_ref());
        let said = said.ok_or_else(|| ErrorData::invalid_params("an entry and a text are needed", None))?;
        Ok(CallToolResult::success(vec![ContentBlock::text(said)]).into())
    }
}

/// Serve until the process is ended; the first line on standard output is the port.
pub async fn serve(kind: Kind) {
    let server = Server::default();
    let app = match kind {
        Kind::Plain => axum::Router::new().route("/mcp", axum::routing::any(plain)).with_state(server),
        Kind::Rmcp => {
            let config = StreamableHttpServerConfig::default().with_legacy_session_mode(true);
            let sessions = Arc::new(LocalSessionManager::default());
            let service = StreamableHttpService::new(move || Ok(server.clone()), sessions, config);
            axum::Router::new().route_service("/mcp", service)
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| stream.set_nodelay(true).unwrap());
    axum::serve(listener, app).await.unwrap();
}
