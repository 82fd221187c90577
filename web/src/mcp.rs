//! The MCP gateway over HTTP: `/mcp` for all servers, `/mcp/{server}` for one under its own names.
//!
//! A bearer token and nothing else: a cookie is not looked at, and there is no anonymous way in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts as _, Path, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use fumehood_triage::Scope;
use fumehood_triage::gateway::{Body as Said, EventReader, GatewayBackend, Incoming, Reply};
use futures_util::stream;

use crate::Shared;
use crate::api::Caller;
use crate::problem::Problem;

/// Largest message, bytes.
const MESSAGE: usize = 4 << 20;
/// How often a silent stream says that it is there.
const ALIVE: Duration = Duration::from_secs(15);
const METADATA: &str = "/.well-known/oauth-protected-resource";

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/mcp", get(open).post(post).delete(end))
        .route("/mcp/{server}", get(open_one).post(post_one).delete(end_one))
        .route("/metrics", get(metrics))
        .route(METADATA, get(metadata))
        .route(&format!("{METADATA}/mcp"), get(metadata))
        .route(&format!("{METADATA}/mcp/{{server}}"), get(metadata))
}

/// What tells a client where tokens are for (RFC 9728). They are made by `fumehood token create` and on the page of tokens.
async fn metadata(State(shared): State<Arc<Shared>>) -> Json<serde_json::Value> {
    Json(serde_json::json!({
        "resource": format!("{}/mcp", shared.options.public_url),
        "resource_name": "Fumehood",
        "bearer_methods_supported": ["header"],
    }))
}

/// Numbers in the text form of Prometheus; with a token, as everything that says what goes on here.
async fn metrics(State(shared): State<Arc<Shared>>, Caller(caller): Caller) -> Result<Response, Problem> {
    shared.app.may_read_metrics(&caller)?;
    let text = GatewayBackend::metrics(&shared.mcp);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

async fn post(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, None, request).await
}

async fn post_one(State(shared): State<Arc<Shared>>, Path(server): Path<String>, request: Request) -> Response {
    answer(&shared, Some(server), request).await
}

async fn open(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, None, request).await
}

async fn open_one(State(shared): State<Arc<Shared>>, Path(server): Path<String>, request: Request) -> Response {
    answer(&shared, Some(server), request).await
}

async fn end(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, None, request).await
}

async fn end_one(State(shared): State<Arc<Shared>>, Path(server): Path<String>, request: Request) -> Response {
    answer(&shared, Some(server), request).await
}

async fn answer(shared: &Arc<Shared>, server: Option<String>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let Caller(caller) = match Caller::from_request_parts(&mut parts, shared).await {
        Ok(caller) => caller,
        Err(problem) => return unauthorised(shared, problem),
    };
    let from = Incoming::<Scope> { caller, server, headers: &parts.headers };
    let reply = match parts.method.as_str() {
        "POST" => match to_bytes(body, MESSAGE).await {
            Ok(body) => shared.mcp.post(from, &body).await,
            Err(_) => {
                return Problem::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "too-large",
                    "A message has at most 4 MiB, and arrives within a minute.",
                )
                .into_response();
            }
        },
        "DELETE" => shared.mcp.delete(&from).await,
        _ => shared.mcp.get(&from),
    };
    let bearer = parts.headers.get(header::AUTHORIZATION).cloned();
    respond(shared, bearer, reply)
}

fn unauthorised(shared: &Shared, problem: Problem) -> Response {
    let mut response = problem.into_response();
    if response.status() == StatusCode::UNAUTHORIZED {
        let where_ = format!("Bearer resource_metadata=\"{}{METADATA}/mcp\"", shared.options.public_url);
        if let Ok(value) = HeaderValue::from_str(&where_) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
    }
    response
}

fn respond(shared: &Arc<Shared>, bearer: Option<HeaderValue>, reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (kind, body) = match reply.body {
        Said::Empty => (None, Body::empty()),
        Said::Json(text) => (Some("application/json"), Body::from(text)),
        Said::Events(reader) => (Some("text/event-stream"), events(Arc::clone(shared), bearer, reader)),
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    match kind {
        Some(kind) => headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        None => headers.remove(header::CONTENT_TYPE),
    };
    if let Some(session) = reply.session.and_then(|id| HeaderValue::from_str(&id).ok()) {
        headers.insert(HeaderName::from_static("mcp-session-id"), session);
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
    }
    response
}

/// A stream lasts as long as its token is good for something.
fn events(shared: Arc<Shared>, bearer: Option<HeaderValue>, reader: EventReader) -> Body {
    let state = (shared, bearer, reader, Instant::now());
    Body::from_stream(stream::unfold(state, |(shared, bearer, mut reader, mut checked)| async move {
        let event = match tokio::time::timeout(ALIVE, reader.next()).await {
            Ok(event) => event?,
            Err(_) => ": still there\n\n".to_owned(),
        };
        if checked.elapsed() >= ALIVE {
            checked = Instant::now();
            if let Err(problem) = Caller::by(&shared, bearer.as_ref()).await
                && problem.status == StatusCode::UNAUTHORIZED.as_u16()
            {
                return None;
            }
        }
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(event)), (shared, bearer, reader, checked)))
    }))
}
