//! The gateway's use cases: what a caller may see and ask, what passes on to a server, and the record of all of it.
//!
//! Invariant: a request that goes to a server is on record before it does; only a tool that a person has seen as it is
//! can be called, under the rule that they set; what is asked and what is answered is masked.

mod asks;
mod breaker;
mod exchange;
mod held;
mod limits;
mod listen;
mod masking;
mod methods;
mod metrics;
mod own;
mod record;
mod recorder;
mod replay;
mod said;
mod subscriptions;
mod tasks;
pub mod translate;
mod upstream;

pub(crate) use self::upstream::Upstreams;

use std::sync::Arc;
use std::time::Instant;

use fumehood_mcp::gateway::{Backend, Client, Gateway, Request, RpcError, rpc};
use fumehood_policy::Permission;
use fumehood_store::Scope;
use fumehood_store::calls::{CallEnd, KEPT, NewCall};
use fumehood_traces::Span;
use serde_json::{Map, Value};

pub use self::limits::CallLimits;
pub use self::recorder::RecorderNumbers;
use self::recorder::{Recorder, micros};
pub use self::replay::{LeftOut, ReplayEvent, ReplayRequest, ReplaySummary, ReplayedCall, Verdict};
use crate::{App, TriageError};
pub use fumehood_mcp::gateway::{Body, EventReader, Incoming, MODERN, Reply, VERSION_KEY, request_headers};
pub use fumehood_store::calls::{CallFilter, CallRow, CallStats, Grouping, McpAsk, SessionRow, TimeSlot};

/// Of a message that goes on record, characters.
const MESSAGE: usize = 512;

/// The gateway as it is served.
pub type McpGateway = Gateway<GatewayBackend>;

/// What answers callers; cheap to clone.
#[derive(Clone)]
pub struct GatewayBackend {
    app: App,
    upstreams: Arc<Upstreams>,
    books: Arc<masking::Books>,
    held: Arc<held::HeldCalls>,
    begun_tasks: Arc<tasks::Tasks>,
    followed: Arc<listen::Followed>,
    limits: Arc<limits::Limits>,
    record_after: bool,
    recorder: Recorder,
    metrics: Arc<metrics::Metrics>,
}

/// How the gateway is set up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GatewaySettings {
    pub limits: CallLimits,
    /// Put requests on record when they are answered, and not before they go to a server: faster, and a kill in between
    /// loses those that were on their way.
    pub record_after: bool,
}

/// What a request took, microseconds, and whom it went to.
#[derive(Default)]
struct Spent {
    policy_us: u64,
    scan_us: u64,
    audit_us: u64,
    upstream_us: u64,
    server: String,
    subject: String,
    /// The subject was found under its name.
    is_known: bool,
    /// Its row is on disk, or waits to be written with its end.
    begun: bool,
    /// The row, where it is written with the end.
    row: Option<NewCall>,
    /// A person's approval, and whether this request has used it up.
    approval: Option<(fumehood_store::AskId, bool)>,
    timed_out: bool,
    /// The tool's own answer is that it failed.
    tool_failed: bool,
}

/// A request on its way.
struct Exchange {
    request: Request<Scope>,
    id: String,
    spent: Spent,
    span: Span,
}

/// What a request's span says of it.
pub(crate) struct Traced<'a> {
    pub(crate) method: &'a str,
    pub(crate) version: &'a str,
    pub(crate) session: Option<&'a str>,
    pub(crate) id: &'a Value,
    /// Its row.
    pub(crate) call: &'a str,
    pub(crate) server: &'a str,
    /// As it was found, and not as it was asked for.
    pub(crate) tool: Option<&'a str>,
    pub(crate) bytes: usize,
    /// Policy, scan, audit and upstream.
    pub(crate) took_us: [u64; 4],
    pub(crate) timed_out: bool,
    pub(crate) tool_failed: bool,
}

impl Exchange {
    fn traced(&self) -> Traced<'_> {
        let (request, spent) = (&self.request, &self.spent);
        Traced {
            method: &request.method,
            version: &request.client.version,
            session: request.client.session.as_deref(),
            id: &request.id,
            call: &self.id,
            server: &spent.server,
            tool: (spent.is_known && request.method == "tools/call").then_some(spent.subject.as_str()),
            bytes: request.bytes,
            took_us: [spent.policy_us, spent.scan_us, spent.audit_us, spent.upstream_us],
            timed_out: spent.timed_out,
            tool_failed: spent.tool_failed,
        }
    }
}

impl App {
    /// The gateway; made once, for as long as the server runs.
    pub fn gateway(&self, settings: GatewaySettings) -> McpGateway {
        let (recorder, writing) = Recorder::start(self.0.store.clone());
        self.0.tasks.spawn(writing);
        let backend = GatewayBackend {
            app: self.clone(),
            upstreams: Arc::clone(&self.0.upstreams),
            books: Arc::default(),
            held: Arc::default(),
            begun_tasks: Arc::default(),
            followed: Arc::default(),
            limits: Arc::new(limits::Limits::new(settings.limits)),
            record_after: settings.record_after,
            recorder,
            metrics: Arc::default(),
        };
        let tidied = Arc::downgrade(&backend.upstreams);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(std::time::Duration::from_secs(60)).await;
                let Some(upstreams) = tidied.upgrade() else { return };
                upstreams.tidy().await;
            }
        });
        Gateway::new(backend)
    }
}

/// The AI platform behind a client, as far as its name says.
fn platform(client: &str, user_agent: &str) -> &'static str {
    const KNOWN: [(&str, &str); 14] = [
        ("claude-code", "claude-code"),
        ("claude", "claude"),
        ("chatgpt", "chatgpt"),
        ("openai", "openai"),
        ("codex", "codex"),
        ("cursor", "cursor"),
        ("vscode", "vscode"),
        ("visual studio code", "vscode"),
        ("copilot", "copilot"),
        ("windsurf", "windsurf"),
        ("gemini", "gemini"),
        ("inspector", "inspector"),
        ("conformance", "conformance"),
        ("fumehood", "fumehood"),
    ];
    let text = format!("{client} {user_agent}").to_lowercase();
    KNOWN.iter().find(|(part, _)| text.contains(part)).map_or("other", |(_, name)| name)
}

impl GatewayBackend {
    /// The row of a request.
    fn row(client: &Client<Scope>, id: &str, method: &str, spent: &Spent, bytes: usize, sent: Vec<u8>) -> NewCall {
        let cut = |text: &str, most: usize| text.chars().take(most).collect::<String>();
        NewCall {
            id: id.to_owned(),
            caller: client.caller.actor.to_string(),
            session: client.session.clone(),
            client: client.named("name"),
            client_version: client.named("version"),
            platform: platform(&client.named("name"), &client.user_agent).to_owned(),
            protocol: client.version.clone(),
            server: spent.server.clone(),
            method: cut(method, 128),
            subject: cut(&spent.subject, 512),
            bytes_in: bytes as u64,
            sent,
            passed_by: None,
        }
    }

    /// Put on record how a request ended; `hidden` is the answer as it is kept, where that is another one.
    async fn finish(&self, exchange: &mut Exchange, answer: &Result<String, RpcError>, hidden: Option<String>) {
        let row = exchange.spent.row.take();
        let (client, spent) = (&exchange.request.client, &exchange.spent);
        let call = row.or_else(|| {
            if spent.begun {
                return None;
            }
            // What went to no server was not masked, and is not kept.
            Some(Self::row(client, &exchange.id, &exchange.request.method, spent, exchange.request.bytes, Vec::new()))
        });
        let (code, message) = match answer {
            Ok(_) if spent.tool_failed => (None, "the tool reported an error".to_owned()),
            Ok(_) => (None, String::new()),
            Err(error) => (Some(error.code), error.message.chars().take(MESSAGE).collect()),
        };
        let end = CallEnd {
            id: exchange.id.clone(),
            session: client.session.clone(),
            latency_us: micros(exchange.request.began),
            policy_us: spent.policy_us,
            scan_us: spent.scan_us,
            audit_us: spent.audit_us,
            upstream_us: spent.upstream_us,
            status: match answer {
                Ok(_) if !spent.tool_failed => "ok",
                Err(_) if spent.timed_out => "timeout",
                _ => "error",
            },
            code,
            message,
            bytes_out: answer.as_ref().map_or_else(|error| error.message.len(), String::len) as u64,
            received: match (hidden, answer) {
                (Some(hidden), _) => kept(hidden.as_bytes()),
                (None, Ok(text)) => kept(text.as_bytes()),
                (None, Err(_)) => Vec::new(),
            },
        };
        self.metrics.count(&spent.server, &exchange.request.method, &end);
        self.recorder.end(&client.caller.tenant, call, end).await;
    }

    /// Put a request on record; only then may it go to a server. One row for a request, to however many servers it goes.
    async fn begin(&self, exchange: &mut Exchange, params: &Map<String, Value>) -> Result<(), RpcError> {
        if exchange.spent.begun {
            return Ok(());
        }
        let began = Instant::now();
        let sent = serde_json::to_vec(params).unwrap_or_default();
        let request = &exchange.request;
        let row = Self::row(&request.client, &exchange.id, &request.method, &exchange.spent, request.bytes, sent);
        if self.record_after {
            let by = request.client.caller.clone();
            (exchange.spent.begun, exchange.spent.row) = (true, Some(NewCall { passed_by: Some(by), ..row }));
            return Ok(());
        }
        let written = self.app.0.store.begin_call(&request.client.caller, row).await;
        exchange.spent.audit_us += micros(began);
        exchange.spent.begun = written.is_ok();
        written.map_err(|error| {
            RpcError::new(rpc::INTERNAL, format!("it could not be put on record, so it was not done: {error}"))
        })
    }
}

/// What is kept of what was said.
fn kept(bytes: &[u8]) -> Vec<u8> {
    bytes.get(..KEPT.min(bytes.len())).unwrap_or_default().to_vec()
}

/// A refusal of ours as the protocol's error.
fn refusal(error: TriageError) -> RpcError {
    let code = match &error {
        TriageError::NotFound { .. } | TriageError::Invalid { .. } => rpc::INVALID_PARAMS,
        TriageError::Forbidden(_) => rpc::INVALID_REQUEST,
        _ => rpc::INTERNAL,
    };
    RpcError::new(code, error.to_string())
}

#[async_trait::async_trait]
impl Backend for GatewayBackend {
    type Caller = Scope;

    async fn answer(&self, request: Request<Scope>) -> Result<String, RpcError> {
        let id = uuid::Uuid::now_v7().to_string();
        let span = self.app.request_span(&request.method, &request.params, &request.trace);
        let mut exchange = Exchange { request, id, spent: Spent::default(), span };
        let limits = Arc::clone(&self.limits);
        let under_way = limits.enter(&exchange.request.client.caller);
        let answer = match (&under_way, self.app.require(&exchange.request.client.caller, Permission::ReadIncidents)) {
            (Ok(_), Ok(())) => Box::pin(self.dispatch(&mut exchange)).await,
            (Err(error), _) => Err(error.clone()),
            (_, Err(error)) => Err(refusal(error)),
        };
        let failed = |value: &Value| value.get("isError").and_then(Value::as_bool) == Some(true);
        exchange.spent.tool_failed = answer.as_ref().is_ok_and(failed);
        let caller = exchange.request.client.caller.actor.to_string();
        let hidden = match &answer {
            Ok(value) => self.books.hidden(&caller, value).await.map(|hidden| hidden.to_string()),
            Err(_) => None,
        };
        let answer = answer.map(|value| value.to_string());
        self.finish(&mut exchange, &answer, hidden).await;
        let span = std::mem::replace(&mut exchange.span, crate::traced::no_span());
        crate::traced::end_request(span, &exchange.traced(), &answer);
        answer
    }

    async fn notice(&self, client: Arc<Client<Scope>>, method: String, _: Value) {
        // What a client's roots are is asked anew by whoever wants to know; nothing else of a client goes to its servers
        // without a request.
        let session = client.session.as_deref().unwrap_or_default();
        if method == "notifications/roots/list_changed" {
            self.upstreams.notify(session, &method).await;
        }
    }

    async fn schema(&self, client: &Client<Scope>, tool: &str) -> Option<Value> {
        let served = self.app.served(&client.caller).await.ok()?;
        let (_, tool) = served.find(client.server.as_deref(), tool)?;
        tool.raw.get("inputSchema").cloned()
    }

    async fn refused(&self, client: Client<Scope>, method: String, error: RpcError, bytes: usize, began: Instant) {
        let id = uuid::Uuid::now_v7().to_string();
        let row = Self::row(&client, &id, &method, &Spent::default(), bytes, Vec::new());
        let end = CallEnd {
            id,
            session: client.session.clone(),
            latency_us: micros(began),
            status: "error",
            code: Some(error.code),
            message: error.message.chars().take(MESSAGE).collect(),
            ..CallEnd::default()
        };
        self.metrics.count("", &row.method, &end);
        self.recorder.end(&client.caller.tenant, Some(row), end).await;
    }

    async fn ended(&self, client: Arc<Client<Scope>>) {
        let Some(session) = &client.session else { return };
        self.followed.forget(session);
        self.upstreams.end(session).await;
        if let Err(error) = self.app.0.store.end_mcp_session(&client.caller, session.clone()).await {
            tracing::warn!(%error, "the end of a session could not be put on record");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::platform;

    #[test]
    fn platforms_are_known_by_their_clients() {
        assert_eq!(platform("claude-code", ""), "claude-code");
        assert_eq!(platform("Visual Studio Code", ""), "vscode");
        assert_eq!(platform("mine", "openai-mcp/1.0.0"), "openai");
        assert_eq!(platform("mine", "curl/8"), "other");
    }
}
