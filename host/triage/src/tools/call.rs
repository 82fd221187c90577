//! Calling what was approved.
//!
//! Invariant: a tool is called under the pin that was approved, and never without an approval that this call consumes.

use std::sync::atomic::AtomicUsize;

use fumehood_mcp::{Connection, McpError, ToolResult};
use fumehood_policy::{Digest, Permission};
use fumehood_redact::{Origin, Redacted};
use fumehood_store::approvals::{Approval, Binding, Verdict};
use fumehood_store::outside::McpServer;
use fumehood_store::{ApprovalId, IncidentId, Scope};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::not_let_in;
use super::questions::{Dialogue, SAID, offers};
use crate::call::Purpose;
use crate::{App, TriageError};

/// What of a tool's answer goes back to the model, bytes; the whole is kept.
pub const RESULT_BYTES: usize = 64 << 10;

/// What is about to be said to a process on behalf of an incident.
pub(super) struct Piped {
    pub incident: IncidentId,
    pub destination: String,
    pub subject: String,
    pub method: String,
    /// What is masked in it, by kind.
    pub masked: Vec<(String, u64)>,
}

impl App {
    /// What a call is bound to: the tool as it is now, the transport, the exact arguments.
    pub(crate) fn binding(
        &self,
        server: &McpServer,
        tool_sha256: Vec<u8>,
        arguments: &str,
    ) -> Result<Binding, TriageError> {
        Ok(Binding {
            tool_sha256,
            plugin_sha256: self.transport(server)?.digest().to_vec(),
            arguments_sha256: Sha256::digest(arguments.as_bytes()).to_vec(),
        })
    }

    /// Decide about a tool call, once, and go on with the turn.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict`.
    pub async fn decide_call(
        &self,
        scope: &Scope,
        incident: IncidentId,
        id: ApprovalId,
        verdict: Verdict,
    ) -> Result<(), TriageError> {
        self.require(scope, Permission::ApproveTools)?;
        let approval = self.0.store.approval(scope, id).await?;
        if approval.incident_id != incident {
            return Err(TriageError::NotFound { what: "tool call" });
        }
        if let Some(turn) = self.0.store.decide_call(scope, id, verdict).await? {
            self.spawn_turn(scope, turn);
        }
        Ok(())
    }

    /// Ask again before each call of a tool that was approved for all of an incident.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn ask_again(&self, scope: &Scope, incident: IncidentId, id: ApprovalId) -> Result<(), TriageError> {
        self.require(scope, Permission::ApproveTools)?;
        if self.0.store.approval(scope, id).await?.incident_id != incident {
            return Err(TriageError::NotFound { what: "tool call" });
        }
        Ok(self.0.store.ask_again(scope, id).await?)
    }

    /// Carry out an approved call. What it brings back is raw text and is kept as it came.
    pub(crate) async fn run_call(
        &self,
        scope: &Scope,
        approval: &Approval,
        cancel: CancellationToken,
        status: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), TriageError> {
        let store = &self.0.store;
        let outcome = self.try_call(scope, approval, cancel, status).await;
        store.close_questions(scope, approval.id, "over").await?;
        let (state, result, problem) = match outcome {
            Ok(result) if result.1 => ("failed", result.0, "The tool reported an error.".to_owned()),
            Ok(result) => ("done", result.0, String::new()),
            // It may quote the server, whose text is as raw as a result.
            Err(error) => ("failed", String::new(), self.masked_problem(scope, approval.incident_id, &error).await),
        };
        Ok(store.finish_call(scope, approval.id, state, result, problem).await?)
    }

    async fn try_call(
        &self,
        scope: &Scope,
        approval: &Approval,
        cancel: CancellationToken,
        status: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(String, bool), TriageError> {
        let server = self.0.store.server(scope, approval.server_id).await?;
        if !server.enabled {
            return Err(TriageError::Conflict(format!("{} is switched off. Nothing was called.", server.name)));
        }
        let is_tool = approval.method == "tools/call";
        // The pin as it is now, not as it was when the person looked.
        let pinned = match is_tool {
            true => self.pinned_now(scope, &server, approval).await?,
            false => approval.tool_sha256.clone(),
        };
        let arguments: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&approval.arguments)
            .map_err(|_| TriageError::invalid("arguments", "The model's arguments are no JSON object."))?;
        let purpose = Purpose {
            incident: Some(approval.incident_id),
            kind: "tool",
            destination: format!("{} ({})", approval.tool, server.name),
            subject: format!("approval:{}", approval.id),
            instance: String::new(),
        };
        // A connection of its own: what travels on it belongs to this incident, and its sash can cut it.
        let (send, said) = tokio::sync::mpsc::channel(SAID);
        let offers = Some((offers(), send));
        let connection = self.connect(scope, &server, purpose, offers, true).await.map_err(|error| mcp(&error))?;
        let answer = async {
            let pin =
                if is_tool { self.pin_there(scope, &server, approval, &connection, &pinned).await? } else { pinned };
            let binding = self.binding(&server, pin, &approval.arguments)?;
            self.0.store.consume(scope, approval.id, binding).await?;
            self.record_stdio_departure(scope, &server, approval, approval.arguments.clone()).await?;
            let params = match is_tool {
                true => serde_json::Map::from_iter([
                    ("name".to_owned(), approval.tool.as_str().into()),
                    ("arguments".to_owned(), arguments.into()),
                ]),
                false => arguments,
            };
            let asked = AtomicUsize::new(0);
            let dialogue = Dialogue {
                app: self,
                scope,
                approval,
                server: &server,
                connection: &connection,
                cancel,
                status,
                asked,
            };
            let raw = dialogue.carry_out(params, said).await.map_err(|error| mcp(&not_let_in(&server, error)))?;
            ToolResult::read(raw).map_err(|error| mcp(&error))
        }
        .await;
        if let Some(said) = connection.challenge().filter(|_| server.signs_in()) {
            self.token_refused(scope, &server, &said).await;
        }
        connection.close().await;
        let answer = answer?;
        Ok((answer.text, answer.is_error))
    }

    /// The pin of a tool that may be called as things stand.
    async fn pinned_now(&self, scope: &Scope, server: &McpServer, approval: &Approval) -> Result<Vec<u8>, TriageError> {
        let mut offered = self.catalogue(scope).await?.tools.into_iter();
        let now = offered.find(|tool| tool.server_id == server.id && tool.tool == approval.tool).ok_or_else(|| {
            TriageError::Conflict(format!("{} no longer offers {}. Nothing was called.", server.name, approval.tool))
        })?;
        if approval.decided_by.as_deref() == Some("rule") && now.rule != "allow" {
            return Err(TriageError::Conflict(format!(
                "{} was allowed without asking when the model wanted it, and is no longer. Nothing was called.",
                approval.tool
            )));
        }
        Ok(now.sha256)
    }

    /// The tool as the server describes it at this moment: a change since the approval stops the call.
    async fn pin_there(
        &self,
        scope: &Scope,
        server: &McpServer,
        approval: &Approval,
        connection: &Connection,
        pinned: &[u8],
    ) -> Result<Vec<u8>, TriageError> {
        let tools = connection.discover().await.map_err(|error| mcp(&not_let_in(server, error)))?;
        let pin = tools.iter().find(|tool| tool.name == approval.tool).map(|tool| tool.sha256.to_vec());
        if let Some(pin) = pin.filter(|pin| *pin == pinned) {
            return Ok(pin);
        }
        let seen = self.seen(scope, server.id, tools).await?;
        self.server_state(scope, server.id, "connected", String::new(), Some(seen)).await?;
        Err(TriageError::Conflict(format!(
            "{} describes {} differently than when it was approved. Nothing was called, and it is not offered until a \
             person has looked at the difference on the server's page.",
            server.name, approval.tool
        )))
    }

    /// What an approved call sends to a server: see [`App::record_piped`].
    pub(super) async fn record_stdio_departure(
        &self,
        scope: &Scope,
        server: &McpServer,
        approval: &Approval,
        body: String,
    ) -> Result<(), TriageError> {
        let piped = Piped {
            incident: approval.incident_id,
            destination: format!("{} ({})", approval.tool, server.name),
            subject: format!("approval:{}", approval.id),
            method: approval.method.clone(),
            masked: approval.masked.clone(),
        };
        self.record_piped(scope, server, piped, body).await
    }

    /// Over HTTP each request is a departure of its own. To a process what is said leaves through a pipe: checked and
    /// recorded here, before it is written to.
    pub(super) async fn record_piped(
        &self,
        scope: &Scope,
        server: &McpServer,
        piped: Piped,
        body: String,
    ) -> Result<(), TriageError> {
        if server.transport != "stdio" {
            return Ok(());
        }
        let body = body.into_bytes();
        self.check_outgoing(scope, piped.incident, &body).await?;
        let (_, labels) = self.masked_in(scope, piped.incident, &body).await?;
        let plugin = self.transport(server)?;
        let reach = self.server_reach(server)?;
        let grant = self.0.plugins.effective(&reach);
        let arguments_sha256 = Digest::new(Sha256::digest(&body).into()).to_string();
        let departure = fumehood_store::departures::NewDeparture {
            kind: "tool".into(),
            destination: piped.destination,
            plugin: plugin.name().to_owned(),
            digest: reach.digest.to_string(),
            generation: grant.generation,
            grant: grant.processes.first().map(ToString::to_string).unwrap_or_default(),
            call: None,
            arguments_sha256,
            subject: piped.subject,
            method: piped.method,
            url: format!("stdio:{}", server.command),
            headers: Vec::new(),
            body,
            masked: piped.masked,
            labels,
        };
        let (id, intent) = self.0.store.depart(scope, piped.incident, departure).await?;
        Ok(self.0.store.arrived(scope, id, intent, None, 0, "ok".into()).await?)
    }

    /// A tool's answer as the model may see it.
    pub(crate) async fn mask_result(&self, scope: &Scope, approval: &Approval) -> Result<Redacted, TriageError> {
        let mut masked = match approval.state.as_str() {
            "denied" => {
                return Ok(Redacted::literal(
                    "The responder denied this call. Do not ask for it again; go on without it.",
                ));
            }
            "expired" => return Ok(Redacted::literal("Nobody approved this call in time.")),
            _ if approval.result.is_empty() && approval.problem.is_empty() => {
                return Ok(Redacted::literal("(the tool answered with nothing)"));
            }
            _ if approval.problem.is_empty() => Redacted::default(),
            // Masked when it was stored.
            _ => {
                let mut problem = self.mask_one(scope, approval.incident_id, Origin::Reply, &approval.problem).await?;
                problem.push_literal("\n");
                problem
            }
        };
        // Scanned whole, then cut: a value at the cut must not lose its mask.
        masked.push(&self.mask_one(scope, approval.incident_id, Origin::Raw, &approval.result).await?);
        if masked.len() > RESULT_BYTES {
            masked.truncate_at(RESULT_BYTES);
            let all = self.0.store.approvals(scope, approval.incident_id).await?;
            let number = all.iter().position(|one| one.id == approval.id).map_or(0, |at| at + 1);
            masked.push_literal("\n(cut here: the answer is longer than its share of the prompt; fumehood_read_result reads and searches all of it, as result ");
            masked.push(&Redacted::count(number));
            masked.push_literal(")");
        }
        Ok(masked)
    }
}

fn mcp(error: &McpError) -> TriageError {
    TriageError::Conflict(error.to_string())
}
