//! The way out of a sign-in: to the MCP server, and to whoever it names as the one that gives tokens for it.
//!
//! Invariant: an address is dialled only if it is public or in a network in which the MCP server itself is; each request is
//! on record before it leaves, without what it says; redirects are answers like others.

use std::sync::Arc;
use std::time::Duration;

use fumehood_egress::HttpRequest;
use fumehood_oauth::limits::MAX_ANSWER_BYTES;
use fumehood_oauth::{Http, HttpError};
use fumehood_policy::{HttpRule, Request, decide, vet};
use fumehood_store::outside::McpServer;
use fumehood_store::{Change, IntentId, Scope};
use tokio_util::sync::CancellationToken;

use crate::App;

/// One request, from the first dial to the last byte.
const REQUEST: Duration = Duration::from_secs(30);
/// Silence within a body.
const IDLE: Duration = Duration::from_secs(10);
const ACTION: &str = "oauth.http";

/// The way out on behalf of one server.
pub(super) struct Outside<'a> {
    pub(super) app: &'a App,
    pub(super) scope: &'a Scope,
    pub(super) server: &'a McpServer,
}

fn unsent(message: impl ToString) -> HttpError {
    HttpError { message: message.to_string(), sent: false }
}

impl Outside<'_> {
    /// The rule for a request, under the ceilings of the server's transport: what no plugin may reach is not reached for it.
    fn rule(&self, asked: &Request) -> Result<HttpRule, HttpError> {
        let mut rule = HttpRule::for_request(asked).ok_or_else(|| unsent("this address cannot be used"))?;
        rule.allow_private = self.server.private_nets.iter().filter_map(|net| net.parse().ok()).collect();
        let reach = self.app.server_reach(self.server).map_err(unsent)?;
        let left = self.app.0.plugins.capped(&reach, rule);
        decide(&left, asked).cloned().map_err(|denial| {
            unsent(format!("the organisation's ceilings or the kill switch do not let a sign-in go there: {denial}"))
        })
    }

    /// Put a request on record before it leaves.
    async fn intent(&self, asked: &Request, bytes: usize) -> Result<IntentId, HttpError> {
        let change = Change::new(ACTION, format!("mcp-server:{}", self.server.id))
            .with("method", asked.method())
            .with("host", asked.url().host_str().unwrap_or_default())
            .with("path", fumehood_audit::clip(asked.url().path(), 512))
            .with("bytes", bytes);
        let written = self.app.0.store.intent(self.scope, change).await;
        written.map_err(|error| unsent(format!("it could not be put on record, so it was not sent: {error}")))
    }

    async fn outcome(&self, intent: IntentId, status: u16, result: &str) {
        let change = Change::new(ACTION, format!("mcp-server:{}", self.server.id)).with("status", status);
        if let Err(error) = self.app.0.store.outcome(self.scope, intent, change, result).await {
            tracing::error!(%error, "how a request of a sign-in ended could not be recorded; it shows as unknown");
        }
    }

    async fn exchange(&self, request: HttpRequest) -> Result<http::Response<Vec<u8>>, HttpError> {
        let failed = |error: fumehood_egress::EgressError| HttpError {
            message: error.to_string(),
            sent: error.code() != "unavailable" && error.code() != "denied",
        };
        let mut answer = self.app.0.egress.send(request, CancellationToken::new()).await.map_err(failed)?;
        let mut built = http::Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            built = built.header(name.as_str(), value.as_str());
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.next_chunk().await.map_err(failed)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER_BYTES {
                break;
            }
        }
        built.body(body).map_err(|_| HttpError { message: "its answer could not be read".into(), sent: true })
    }
}

#[async_trait::async_trait]
impl Http for Outside<'_> {
    async fn send(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>, HttpError> {
        let (head, body) = request.into_parts();
        let asked = Request::parse(head.method.as_str(), &head.uri.to_string(), body.len() as u64).map_err(unsent)?;
        let rule = self.rule(&asked)?;
        let intent = self.intent(&asked, body.len()).await?;
        let vetted = asked.clone();
        let request = HttpRequest {
            method: head.method,
            url: asked.url().clone(),
            headers: head.headers,
            body: body.into(),
            first_byte: REQUEST,
            idle: Some(IDLE),
            vet: Arc::new(move |addresses| {
                vet("sign-in", &vetted, &rule, addresses).map(drop).map_err(|denial| denial.to_string())
            }),
            max_response_bytes: MAX_ANSWER_BYTES as u64 + 1,
        };
        let answered = match tokio::time::timeout(REQUEST, self.exchange(request)).await {
            Ok(answered) => answered,
            Err(_) => {
                Err(HttpError { message: format!("it gave no answer within {} s", REQUEST.as_secs()), sent: true })
            }
        };
        match &answered {
            Ok(answer) => self.outcome(intent, answer.status().as_u16(), "ok").await,
            Err(error) if error.sent => self.outcome(intent, 0, "outcome-unknown").await,
            Err(_) => self.outcome(intent, 0, "unavailable").await,
        }
        answered
    }
}
