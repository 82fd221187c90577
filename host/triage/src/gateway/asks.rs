//! Calls of tools that a person has to approve: the caller waits, or comes back with the same call.
//!
//! Invariant: an approval is for one call of one caller with exactly these arguments, of the tool as it was seen, and is
//! used up before the server is asked.

use std::time::Duration;

use fumehood_mcp::McpError;
use fumehood_mcp::gateway::{RpcError, rpc};
use fumehood_policy::Permission;
use fumehood_store::approvals::Binding;
use fumehood_store::calls::McpAsk;
use fumehood_store::outside::McpServer;
use fumehood_store::{AskId, Scope, clock};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{Exchange, GatewayBackend, refusal};
use crate::tools::ServedTool;
use crate::{App, TriageError};

/// How long a caller is kept waiting. Most clients give up sooner, and come back.
const WAIT: Duration = Duration::from_secs(600);
/// How long a call can be decided about, and an approval be used.
const EXPIRES: Duration = Duration::from_secs(3600);
/// How often a caller that wants to hear of progress is told that its call waits.
const TELL: Duration = Duration::from_secs(10);
/// Calls that waited and are still listed.
const LISTED: usize = 40;
/// What a person can judge, bytes.
const READABLE: usize = 32 << 10;

/// What a person approves: the arguments, and whatever else goes to the server with them, such as answers to what it asked.
fn approved_text(params: &Map<String, Value>) -> String {
    let mut all = params.clone();
    for about in ["_meta", "name"] {
        all.remove(about);
    }
    let arguments = all.entry("arguments").or_insert_with(|| json!({})).clone();
    if all.len() == 1 { arguments.to_string() } else { Value::Object(all).to_string() }
}

fn binding(app: &App, server: &McpServer, tool: &ServedTool, text: &str) -> Result<Binding, TriageError> {
    app.binding(server, fumehood_mcp::tool_sha256(&tool.raw).to_vec(), text)
}

impl GatewayBackend {
    /// Wait until a person has approved a call; the approval, to be used.
    pub(super) async fn approved(
        &self,
        exchange: &Exchange,
        server: &McpServer,
        params: &Map<String, Value>,
    ) -> Result<AskId, RpcError> {
        let client = &exchange.request.client;
        let name = params.get("name").and_then(Value::as_str).unwrap_or_default();
        let served = self.app.served(&client.caller).await.map_err(refusal)?;
        let Some((_, tool)) = served.find(Some(&server.slug), name) else {
            return Err(RpcError::new(rpc::INVALID_PARAMS, served.why_not(Some(&server.slug), name)));
        };
        let text = approved_text(params);
        if text.len() > READABLE {
            return Err(RpcError::new(
                rpc::INVALID_PARAMS,
                format!(
                    "{name} needs a person's approval, and what this call says is {} bytes long; at most {READABLE} can be \
                     judged. Send less, or have the tool allowed in Fumehood.",
                    text.len()
                ),
            ));
        }
        let bound = binding(&self.app, server, tool, &text).map_err(refusal)?;
        let now = clock::now_us();
        let ask = McpAsk {
            id: AskId::new(),
            caller: client.caller.actor.to_string(),
            client: client.named("name"),
            call_id: exchange.id.clone(),
            server_id: server.id,
            server: server.name.clone(),
            tool: name.to_owned(),
            tool_sha256: bound.tool_sha256,
            plugin_sha256: bound.plugin_sha256,
            arguments: text,
            arguments_sha256: bound.arguments_sha256,
            state: "pending".into(),
            decided_by: None,
            decided_us: None,
            expires_us: now + i64::try_from(EXPIRES.as_micros()).unwrap_or(i64::MAX),
            created_us: now,
        };
        let store = &self.app.0.store;
        let mut decided = self.app.0.decided.subscribe();
        let id = store.ask_mcp(&client.caller, ask).await.map_err(|error| refusal(error.into()))?.id;
        let token = exchange.request.params.get("_meta").and_then(|meta| meta.get("progressToken"));
        let (until, mut told, mut tell) = (Instant::now() + WAIT, 0_u32, tokio::time::interval(TELL));
        let refused = |text: String| Err(RpcError::new(rpc::INVALID_REQUEST, text));
        loop {
            let ask = store.mcp_ask(&client.caller, id).await.map_err(|error| refusal(error.into()))?;
            match ask.state.as_str() {
                "approved" => return Ok(id),
                "denied" => return refused(format!("A person denied this call of {name}. Do not repeat it.")),
                "pending" if ask.expires_us > clock::now_us() => {}
                "used" => {
                    return refused(format!(
                        "The approval of this call of {name} was used up by another request with the same arguments. Call \
                         it again to have it approved once more."
                    ));
                }
                _ => return refused(format!("Nobody decided about this call of {name} in time. Nothing was called.")),
            }
            tokio::select! {
                _ = decided.changed() => {}
                _ = tell.tick() => {
                    if let Some(token) = token {
                        // Below anything that the server will say of its own progress, which may only grow.
                        told += 1;
                        let progress = f64::from(told) * 1e-6;
                        let text = format!("waits for a person to approve {name} in Fumehood, under MCP servers");
                        let params = json!({"progressToken": token, "progress": progress, "message": text});
                        exchange.request.link.notify("notifications/progress", &params);
                    }
                }
                () = tokio::time::sleep_until(until) => {
                    return refused(format!(
                        "{name} waits for a person to approve it in Fumehood, under MCP servers → Waiting. Call it again with \
                         the same arguments once that is done."
                    ));
                }
                () = exchange.request.cancel.cancelled() => {
                    // It can still be approved, for when the same call comes again.
                    return Err(RpcError::new(rpc::INTERNAL, "the client went away before a person had decided"));
                }
            }
        }
    }

    /// Use an approval up for what is about to be sent.
    pub(super) async fn use_approval(
        &self,
        exchange: &Exchange,
        server: &McpServer,
        tool: &ServedTool,
        params: &Map<String, Value>,
        id: AskId,
    ) -> Result<(), McpError> {
        let refused =
            |error: TriageError| McpError::Tool { code: rpc::INVALID_REQUEST, message: error.to_string(), data: None };
        let bound = binding(&self.app, server, tool, &approved_text(params)).map_err(refused)?;
        self.app
            .0
            .store
            .use_mcp(&exchange.request.client.caller, id, &exchange.id, bound)
            .await
            .map_err(|error| refused(error.into()))
    }
}

impl App {
    /// Calls through the gateway that wait for a person, oldest first, and then those that waited.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn mcp_asks(&self, scope: &Scope) -> Result<Vec<McpAsk>, TriageError> {
        self.require(scope, Permission::ApproveTools)?;
        Ok(self.0.store.mcp_asks(scope, clock::now_us(), LISTED).await?)
    }

    /// How many wait; nothing for whoever cannot decide.
    ///
    /// # Errors
    /// What the store says.
    pub async fn mcp_asks_waiting(&self, scope: &Scope) -> Result<u64, TriageError> {
        match self.require(scope, Permission::ApproveTools) {
            Ok(()) => Ok(self.0.store.mcp_asks_waiting(scope, clock::now_us()).await?),
            Err(_) => Ok(0),
        }
    }

    /// Decide about a call that waits, as it was shown: `sha256` is of the arguments that the person has seen.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict`.
    pub async fn decide_mcp(&self, scope: &Scope, id: AskId, sha256: &[u8], approve: bool) -> Result<(), TriageError> {
        self.require(scope, Permission::ApproveTools)?;
        let ask = self.0.store.mcp_ask(scope, id).await?;
        if ask.arguments_sha256 != sha256 {
            let what = "These are not the arguments that you were shown. Nothing was decided; look at the call again.";
            return Err(TriageError::Conflict(what.into()));
        }
        self.0.store.decide_mcp(scope, id, approve).await?;
        self.0.decided.send_modify(|count| *count += 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_approved_is_everything_that_a_call_says() {
        let params = |value: Value| value.as_object().cloned().unwrap_or_default();
        let plain = approved_text(&params(json!({"name": "a", "arguments": {"x": 1}, "_meta": {"progressToken": 1}})));
        assert_eq!(plain, r#"{"x":1}"#);
        let again =
            approved_text(&params(json!({"arguments": {"x": 1}, "inputResponses": {"q": {"action": "accept"}}})));
        assert_ne!(plain, again, "an answer to a question is approved, too");
        let state = approved_text(&params(json!({"arguments": {"x": 1}, "requestState": "S", "new": true})));
        assert!(state.contains("requestState") && state.contains("new"), "so is whatever else is sent: {state}");
        assert_eq!(approved_text(&Map::new()), "{}");
    }
}
