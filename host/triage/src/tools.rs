//! MCP servers: connections in the background, what they offer, and calling what was approved.
//!
//! Invariant: a failed discovery is an error that the person and the model see, never an empty list of tools; a tool is
//! called under the pin that was approved, and never without an approval that this call consumes.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use fumehood_egress::ProcessSpec;
use fumehood_mcp::{Connect, Connection, Endpoint, McpError, RawTool, ServerOutput, assign};
use fumehood_policy::{Digest, Permission};
use fumehood_redact::{Origin, Redacted};
use fumehood_runtime::Plugin;
use fumehood_runtime::effects::{Header, HeaderValue};
use fumehood_store::approvals::{Approval, Binding};
use fumehood_store::outside::McpServer;
use fumehood_store::{ApprovalId, IncidentId, Scope, ServerId};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::call::Purpose;
use crate::plugins::{CREDENTIAL, Reach};
use crate::{App, TriageError};

/// Connecting and discovering, together.
const DISCOVER: Duration = Duration::from_secs(60);
/// One tool call.
const CALL: Duration = Duration::from_secs(120);
/// What of a tool's answer goes back to the model, bytes; the whole is kept.
pub const RESULT_BYTES: usize = 64 << 10;

/// The living connections.
#[derive(Default)]
pub(crate) struct Tools {
    connections: tokio::sync::Mutex<HashMap<ServerId, Arc<Connection>>>,
    /// What each server's process wrote last: also of one that ended before it was connected.
    outputs: std::sync::Mutex<HashMap<ServerId, ServerOutput>>,
}

/// A tool as the model is offered it.
#[derive(Clone, Debug)]
pub struct OfferedTool {
    /// `mcp_{server}_{tool}`.
    pub name: String,
    pub server_id: ServerId,
    pub server: String,
    /// The server's own name for it.
    pub tool: String,
    pub description: String,
    /// JSON Schema.
    pub schema: serde_json::Value,
    /// The server says of it that it changes nothing.
    pub read_only_hint: bool,
    /// Hash of the whole tool object.
    pub sha256: Vec<u8>,
}

/// What can be offered, and what cannot and why.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    pub tools: Vec<OfferedTool>,
    /// Server name and what is wrong.
    pub problems: Vec<(String, String)>,
}

/// The server's own name for a tool.
fn own_name(raw: &serde_json::Value) -> String {
    raw.get("name").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}

fn offered(server: &McpServer, name: String, raw: &serde_json::Value) -> Option<OfferedTool> {
    let text = |key: &str| raw.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let tool = text("name");
    if tool.is_empty() {
        return None;
    }
    Some(OfferedTool {
        name,
        server_id: server.id,
        server: server.name.clone(),
        description: text("description"),
        schema: raw.get("inputSchema").cloned().unwrap_or_else(|| serde_json::json!({"type": "object"})),
        read_only_hint: raw.pointer("/annotations/readOnlyHint").and_then(serde_json::Value::as_bool).unwrap_or(false),
        sha256: fumehood_mcp::tool_sha256(raw).to_vec(),
        tool,
    })
}

impl Tools {
    fn output(&self, id: ServerId) -> ServerOutput {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default().clone()
    }

    pub(crate) fn forget_output(&self, id: ServerId) {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

impl App {
    /// What the model can be offered, from the last discovery of each server.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn catalogue(&self, scope: &Scope) -> Result<Catalogue, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        let servers: Vec<McpServer> =
            self.0.store.servers(scope).await?.into_iter().filter(|server| server.enabled).collect();
        let mut catalogue = Catalogue::default();
        for server in &servers {
            match server.state.as_str() {
                "connected" => {}
                "pending" => catalogue.problems.push((server.name.clone(), "is still connecting".into())),
                _ => catalogue.problems.push((server.name.clone(), server.reason.clone())),
            }
        }
        let connected = || servers.iter().filter(|server| server.state == "connected");
        let raw = |server: &McpServer| server.tools.as_array().cloned().unwrap_or_default();
        // All servers at once: names of different servers can run into each other, too.
        let tools: Vec<_> =
            connected().map(|server| (server.slug.clone(), raw(server).iter().map(own_name).collect())).collect();
        let mut names = assign(&tools).into_iter();
        for server in connected() {
            for tool in raw(server) {
                match names.next() {
                    Some(Ok(name)) => catalogue.tools.extend(offered(server, name, &tool)),
                    Some(Err(collision)) => {
                        let problem = (server.name.clone(), collision.to_string());
                        if !catalogue.problems.contains(&problem) {
                            catalogue.problems.push(problem);
                        }
                    }
                    None => {}
                }
            }
        }
        catalogue.tools.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(catalogue)
    }

    /// Connect to every server that is switched on; used once, at the start.
    pub(crate) async fn discover_all(&self) {
        let scope = Scope::system();
        let Ok(servers) = self.0.store.servers(&scope).await else { return };
        for server in servers.into_iter().filter(|server| server.enabled) {
            let (app, scope) = (self.clone(), scope.clone());
            self.0.tasks.spawn(async move { app.discover(&scope, server.id).await });
        }
    }

    /// Connect anew and ask what the server offers.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn reconnect(&self, scope: &Scope, id: ServerId) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageServers)?;
        self.0.store.server(scope, id).await?;
        self.disconnect(id).await;
        self.0.store.server_state(scope, id, "pending", String::new(), None).await?;
        let (app, scope) = (self.clone(), scope.clone());
        self.0.tasks.spawn(async move { app.discover(&scope, id).await });
        Ok(())
    }

    /// Ask what a server offers and keep the answer, whatever it is.
    pub(crate) async fn discover(&self, scope: &Scope, id: ServerId) {
        let Ok(server) = self.0.store.server(scope, id).await else { return };
        let found = match tokio::time::timeout(DISCOVER, self.ask_for_tools(scope, &server)).await {
            Ok(found) => found,
            Err(_) => Err(McpError::TimedOut { seconds: DISCOVER.as_secs() }),
        };
        // Changed or removed meanwhile: what the old one offers says nothing about the new one, which is asked by itself.
        if !self.0.store.server(scope, id).await.is_ok_and(|now| now.is_reached_alike(&server)) {
            return self.disconnect(id).await;
        }
        let written = match found {
            Ok(tools) => {
                let raw = serde_json::Value::Array(tools.into_iter().map(|tool| tool.raw).collect());
                self.0.store.server_state(scope, id, "connected", String::new(), Some(raw)).await
            }
            Err(error) => {
                self.disconnect(id).await;
                let reason = self.without_credentials(scope, error.to_string()).await;
                self.0.store.server_state(scope, id, error.state(), reason, None).await
            }
        };
        if let Err(error) = written {
            tracing::warn!(%error, "what an MCP server offers could not be kept");
        }
    }

    async fn ask_for_tools(&self, scope: &Scope, server: &McpServer) -> Result<Vec<RawTool>, McpError> {
        let purpose = Purpose {
            incident: None,
            kind: "discover",
            destination: server.name.clone(),
            subject: format!("mcp-server:{}", server.id),
            instance: String::new(),
        };
        let connection = self.connect(scope, server, purpose).await?;
        let tools = connection.discover().await;
        // Discovery's connection is not the one that tools are called on: those are bound to an incident.
        self.0.tools.connections.lock().await.insert(server.id, Arc::clone(&connection));
        let tools = tools?;
        let own = tools.iter().map(|tool| own_name(&tool.raw)).collect();
        let names = assign(&[(server.slug.clone(), own)]);
        // One that offers nothing usable is no empty list, whatever the reason.
        match names.iter().find_map(|name| name.as_ref().err()) {
            Some(collision) if names.iter().all(Result::is_err) => Err(McpError::Ambiguous(collision.clone())),
            _ => Ok(tools),
        }
    }

    async fn connect(&self, scope: &Scope, server: &McpServer, purpose: Purpose) -> Result<Arc<Connection>, McpError> {
        let plugin = self.transport(server).map_err(|error| McpError::Unreachable(error.to_string()))?;
        let reach = self.server_reach(server).map_err(|error| McpError::Unreachable(error.to_string()))?;
        let endpoint = match server.transport.as_str() {
            "stdio" => Endpoint::Stdio(ProcessSpec {
                command: PathBuf::from(&server.command),
                arguments: server.arguments.clone(),
                environment: Vec::new(),
                folder: PathBuf::from("/"),
                pinned: None,
            }),
            _ => Endpoint::Http {
                url: server.url.clone(),
                headers: match server.credential_id {
                    Some(_) => {
                        vec![Header {
                            name: server.auth_header.clone(),
                            value: HeaderValue::Credential(CREDENTIAL.into()),
                        }]
                    }
                    None => Vec::new(),
                },
            },
        };
        let host = self.call(scope, purpose, reach, None);
        let connection = Connection::open(Connect {
            runtime: self.0.runtime.clone(),
            plugin,
            egress: Arc::clone(&self.0.egress),
            name: server.name.clone(),
            endpoint,
            host,
            call_timeout: CALL,
            output: self.0.tools.output(server.id),
        })
        .await?;
        Ok(Arc::new(connection))
    }

    fn transport(&self, server: &McpServer) -> Result<Plugin, TriageError> {
        let ships = if server.transport == "stdio" { "transport-stdio" } else { "transport-http" };
        self.0.plugins.get(if server.plugin.is_empty() { ships } else { &server.plugin })
    }

    pub(crate) fn server_reach(&self, server: &McpServer) -> Result<Reach, TriageError> {
        let plugin = self.transport(server)?;
        if server.transport != "stdio" {
            return self.reach_of(plugin.name(), &server.url, &server.private_nets, server.credential_id);
        }
        Ok(Reach { process: Some((server.command.clone(), server.arguments.clone())), ..Reach::of(&plugin) })
    }

    /// Close a server's connection.
    pub(crate) async fn disconnect(&self, id: ServerId) {
        let connection = self.0.tools.connections.lock().await.remove(&id);
        if let Some(connection) = connection {
            connection.close().await;
        }
    }

    pub(crate) async fn disconnect_all(&self) {
        let all: Vec<_> = self.0.tools.connections.lock().await.drain().map(|(_, connection)| connection).collect();
        for connection in all {
            connection.close().await;
        }
    }

    /// The last lines that a server's process wrote to its standard error, for operators.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn server_output(&self, scope: &Scope, id: ServerId) -> Result<Vec<String>, TriageError> {
        self.require(scope, Permission::ReadPluginLogs)?;
        Ok(self.0.tools.output(self.0.store.server(scope, id).await?.id).tail())
    }

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
        approve: bool,
    ) -> Result<(), TriageError> {
        self.require(scope, Permission::ApproveTools)?;
        let approval = self.0.store.approval(scope, id).await?;
        if approval.incident_id != incident {
            return Err(TriageError::NotFound { what: "tool call" });
        }
        if let Some(turn) = self.0.store.decide_call(scope, id, approve).await? {
            self.spawn_turn(scope, turn);
        }
        Ok(())
    }

    /// Carry out an approved call. What it brings back is raw text and is kept as it came.
    pub(crate) async fn run_call(
        &self,
        scope: &Scope,
        approval: &Approval,
        cancel: CancellationToken,
    ) -> Result<(), TriageError> {
        let store = &self.0.store;
        let outcome = self.try_call(scope, approval, cancel).await;
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
    ) -> Result<(String, bool), TriageError> {
        let server = self.0.store.server(scope, approval.server_id).await?;
        // The pin as it is now, not as it was when the person looked.
        let now = self
            .catalogue(scope)
            .await?
            .tools
            .into_iter()
            .find(|tool| tool.server_id == server.id && tool.tool == approval.tool);
        let now = now.ok_or_else(|| {
            TriageError::Conflict(format!("{} no longer offers {}. Nothing was called.", server.name, approval.tool))
        })?;
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
        let connection = self.connect(scope, &server, purpose).await.map_err(|error| mcp(&error))?;
        let answer = async {
            // The tool as the server describes it at this moment: a change since the approval stops the call.
            let tools = connection.discover().await.map_err(|error| mcp(&error))?;
            let pin = tools.iter().find(|tool| tool.name == approval.tool).map(|tool| tool.sha256.to_vec());
            let pin = pin.filter(|pin| *pin == now.sha256).ok_or_else(|| {
                TriageError::Conflict(format!(
                    "{} describes {} differently than when it was approved. Nothing was called; reconnect the server and look at the tool.",
                    server.name, approval.tool
                ))
            })?;
            let binding = self.binding(&server, pin, &approval.arguments)?;
            self.0.store.consume(scope, approval.id, binding).await?;
            self.record_stdio_departure(scope, &server, approval).await?;
            connection.call_tool(&approval.tool, arguments, cancel).await.map_err(|error| mcp(&error))
        }
        .await;
        connection.close().await;
        let answer = answer?;
        Ok((answer.text, answer.is_error))
    }

    /// Over HTTP each request is a departure of its own. To a process the arguments leave through a pipe: checked and
    /// recorded here, before it is written to.
    async fn record_stdio_departure(
        &self,
        scope: &Scope,
        server: &McpServer,
        approval: &Approval,
    ) -> Result<(), TriageError> {
        if server.transport != "stdio" {
            return Ok(());
        }
        let body = approval.arguments.clone().into_bytes();
        self.check_outgoing(scope, approval.incident_id, &body).await?;
        let (_, labels) = self.masked_in(scope, approval.incident_id, &body).await?;
        let plugin = self.transport(server)?;
        let reach = self.server_reach(server)?;
        let grant = self.0.plugins.effective(&reach);
        let arguments_sha256 = Digest::new(Sha256::digest(&body).into()).to_string();
        let departure = fumehood_store::departures::NewDeparture {
            kind: "tool".into(),
            destination: format!("{} ({})", approval.tool, server.name),
            plugin: plugin.name().to_owned(),
            digest: reach.digest.to_string(),
            generation: grant.generation,
            grant: grant.processes.first().map(ToString::to_string).unwrap_or_default(),
            call: None,
            arguments_sha256,
            subject: format!("approval:{}", approval.id),
            method: "tools/call".into(),
            url: format!("stdio:{}", server.command),
            headers: Vec::new(),
            body,
            masked: approval.masked.clone(),
            labels,
        };
        let (id, intent) = self.0.store.depart(scope, approval.incident_id, departure).await?;
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
            masked.push_literal("\n(cut here: the answer is longer than its share of the prompt)");
        }
        Ok(masked)
    }
}

fn mcp(error: &McpError) -> TriageError {
    TriageError::Conflict(error.to_string())
}
