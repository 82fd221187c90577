//! Traces of the gateway's requests, on their way to the operator's collector.
//!
//! Invariant: what goes there is what a span can hold, which is nothing that anybody wrote; it goes to the address that the
//! operator has set and to no other, and nothing waits for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fumehood_egress::{Egress, HttpRequest};
use fumehood_mcp::gateway::{RpcError, rpc};
use fumehood_store::clock;
use fumehood_store::outside::McpServer;
use fumehood_traces::limits::MAX_ANSWER_BYTES;
use fumehood_traces::{
    Attribute, Collector, Context, Exporter, Failure, IdOf, Kind, Method, Name, Nanos, Phase, PostError, RequestId,
    Span, Tracer, Transport,
};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::App;
use crate::gateway::Traced;

/// How long the last spans may take to be sent.
const GRACE: Duration = Duration::from_secs(3);
/// One request to the collector, and silence within its answer.
const REQUEST: Duration = Duration::from_secs(30);

pub(crate) fn now() -> Nanos {
    Nanos::from_micros(clock::now_us())
}

struct Outside(Arc<Egress>);

#[async_trait::async_trait]
impl Collector for Outside {
    async fn post(&self, request: http::Request<Bytes>) -> Result<http::Response<Vec<u8>>, PostError> {
        let (head, body) = request.into_parts();
        let failed = |message: String| PostError { message, again: true };
        let url = url::Url::parse(&head.uri.to_string())
            .map_err(|error| PostError { message: error.to_string(), again: false })?;
        let request = HttpRequest {
            method: head.method,
            url,
            headers: head.headers,
            body,
            first_byte: REQUEST,
            idle: Some(REQUEST),
            // Its address is the operator's own, in the configuration of the server.
            vet: Arc::new(|_| Ok(())),
            max_response_bytes: MAX_ANSWER_BYTES as u64 + 1,
        };
        let sent = self.0.send(request, CancellationToken::new()).await;
        let mut answer = sent.map_err(|error| failed(error.to_string()))?;
        let mut built = http::Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            built = built.header(name, value);
        }
        let mut read = Vec::new();
        while let Some(chunk) = answer.next_chunk().await.map_err(|error| failed(error.to_string()))? {
            read.extend_from_slice(&chunk);
            if read.len() > MAX_ANSWER_BYTES {
                break;
            }
        }
        built.body(read).map_err(|error| failed(error.to_string()))
    }
}

/// Send spans for as long as the server runs, and what waits then.
pub(crate) async fn export(exporter: Exporter, egress: Arc<Egress>, stop: CancellationToken) {
    exporter.run(&Outside(egress), stop.cancelled(), GRACE).await;
}

impl App {
    pub(crate) fn tracer(&self) -> &Tracer {
        &self.0.tracer
    }

    /// Begin the span of a request, within the trace that it says it is part of.
    pub(crate) fn request_span(&self, method: &str, params: &Map<String, Value>, headers: &http::HeaderMap) -> Span {
        let tracer = self.tracer();
        if !tracer.is_on() {
            return tracer.start(Name::fixed("request"), Kind::Server, &Context::default(), Nanos(0));
        }
        let propagation = tracer.propagation();
        let of_message = params.get("_meta").and_then(Value::as_object).map(|meta| propagation.read_meta(meta));
        let parent = match of_message {
            Some(context) if context.span().is_some() => context,
            _ => propagation.read_headers(headers),
        };
        tracer.start(Name::mcp(Method::of(method), None), Kind::Server, &parent, now())
    }
}

/// What stands where a span was.
pub(crate) fn no_span() -> Span {
    Tracer::off().start(Name::fixed("none"), Kind::Internal, &Context::default(), Nanos(0))
}

/// Begin the span of what a server is asked, and tell it which trace that is part of.
pub(crate) fn upstream_span(
    app: &App,
    parent: &Span,
    method: &str,
    server: &McpServer,
    tool: Option<&str>,
    params: &mut Map<String, Value>,
) -> Span {
    let mut span = parent.child(Name::mcp(Method::of(method), tool), Kind::Client, now());
    if !app.tracer().is_on() {
        return span;
    }
    span.set(Attribute::method(Method::of(method)));
    span.set(Attribute::server(&server.slug));
    span.set(Attribute::transport(if server.transport == "stdio" { Transport::Pipe } else { Transport::Tcp }));
    if let Some(tool) = tool {
        span.set(Attribute::tool(tool));
        span.set(Attribute::executes_tool());
    }
    let meta = params.entry("_meta").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(meta) = meta {
        app.tracer().propagation().write_parent(span.context(), meta);
    }
    span
}

/// Put into a message what its client said of the trace in other words than the trace's own: strings of a stranger, by
/// their keys in `_meta`.
pub(crate) fn strangers_words(app: &App, of: &Span, params: &mut Map<String, Value>) -> Vec<&'static str> {
    if app.tracer().is_on() {
        let meta = params.entry("_meta").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(meta) = meta {
            app.tracer().propagation().write_meta(of.context(), meta);
        }
    }
    let Some(Value::Object(meta)) = params.get("_meta") else { return Vec::new() };
    ["tracestate", "baggage"].into_iter().filter(|key| meta.contains_key(*key)).collect()
}

/// End the span of what a server was asked.
pub(crate) fn end_upstream<T>(mut span: Span, answer: &Result<T, fumehood_mcp::McpError>) {
    use fumehood_mcp::McpError;
    match answer {
        Ok(_) => {}
        Err(McpError::Tool { code, .. }) => span.fail_with_code(*code),
        Err(error) => span.fail(match error {
            McpError::TimedOut { .. } => Failure::Timeout,
            McpError::Cancelled => Failure::Cancelled,
            McpError::Unreachable(_) | McpError::Closed(_) => Failure::Unavailable,
            McpError::Auth(_) | McpError::SignIn(_) => Failure::SignIn,
            McpError::Plugin(_) => Failure::Trap,
            _ => Failure::Protocol,
        }),
    }
    span.end(now());
}

/// End the span of a request of the gateway.
pub(crate) fn end_request(mut span: Span, of: &Traced<'_>, answer: &Result<String, RpcError>) {
    if !span.is_recorded() {
        return span.end(now());
    }
    let method = Method::of(of.method);
    span.set(Attribute::method(method));
    span.set(Attribute::protocol_version(of.version));
    span.set(Attribute::transport(Transport::Tcp));
    span.set(match of.id {
        Value::Number(number) => number.as_i64().and_then(|number| Attribute::request_id(RequestId::Number(number))),
        Value::String(text) => Attribute::request_id(RequestId::Text(text)),
        _ => None,
    });
    if let Some(session) = of.session {
        span.set(Attribute::session(session));
    }
    if !of.server.is_empty() {
        span.set(Attribute::server(of.server));
    }
    // Only what was found under its name: what was merely asked for is a stranger's text.
    if let Some(tool) = of.tool {
        span.rename(Name::mcp(method, Some(tool)));
        span.set(Attribute::tool(tool));
        span.set(Attribute::executes_tool());
    }
    span.set(Attribute::request_bytes(of.bytes as u64));
    if let Ok(id) = uuid::Uuid::parse_str(of.call) {
        span.set(Attribute::id(IdOf::Call, id.as_u128()));
    }
    let phases = [Phase::Policy, Phase::Scan, Phase::Audit, Phase::Upstream];
    for (phase, took) in phases.into_iter().zip(of.took_us) {
        span.set(Attribute::took(phase, took));
    }
    match answer {
        Ok(text) => {
            span.set(Attribute::response_bytes(text.len() as u64));
            if of.tool_failed {
                span.fail(Failure::Tool);
            }
        }
        Err(_) if of.timed_out => span.fail(Failure::Timeout),
        Err(error) if error.code == rpc::INTERNAL => span.fail(Failure::Internal),
        Err(error) => span.fail_with_code(error.code),
    }
    span.end(now());
}
