//! MCP servers: connections in the background, what they offer, what a person decided about it, and calling it.
//!
//! Invariant: a failed discovery is an error that the person and the model see, never an empty list of tools.

mod call;
mod catalogue;
mod programs;
mod prompts;
mod questions;
mod review;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use fumehood_egress::{ProcessSpec, Programs};
use fumehood_mcp::gateway::rpc;
use fumehood_mcp::{Challenge, Connect, Connection, Endpoint, Era, Incoming, McpError, RawTool, Witness, assign};
use fumehood_policy::{Permission, ProcessArguments, ProcessRule};
use fumehood_runtime::Plugin;
use fumehood_runtime::effects::{Header, HeaderValue};
use fumehood_store::outside::{McpServer, SeenTool};
use fumehood_store::{Scope, ServerId, StoreError};
use tokio::sync::mpsc;

pub use self::call::RESULT_BYTES;
pub use self::catalogue::{Catalogue, OfferedTool, Served, ServedTool};
pub use self::prompts::{ChosenPrompt, OfferedPrompt, PromptArgument};
pub use self::questions::{Reply, ShownQuestion};
pub use self::review::{ToolReview, Verdict};
use crate::call::Purpose;
use crate::plugins::{CREDENTIAL, Reach};
use crate::server_log::{Heard, ServerLogs};
use crate::{App, TriageError};
pub use fumehood_mcp::{Asked, Difference, Field, FieldKind, differences, visible};
pub use fumehood_store::outside::{Standing, ToolChange};

/// Connecting and discovering, together.
const DISCOVER: Duration = Duration::from_secs(60);
/// How soon a server that could not be reached is asked again: twice as late each time.
const AGAIN: Duration = Duration::from_secs(15);
const AGAIN_AT_MOST: Duration = Duration::from_secs(900);
/// One tool call.
const CALL: Duration = Duration::from_secs(120);

/// The living connections.
#[derive(Default)]
pub(crate) struct Tools {
    connections: tokio::sync::Mutex<HashMap<ServerId, Arc<Connection>>>,
    /// What goes on with each server: also of one that ended before it was connected.
    pub(crate) logs: ServerLogs,
    /// What each server said at its last discovery that it offers: the protocol's `capabilities`.
    capabilities: std::sync::Mutex<HashMap<ServerId, serde_json::Value>>,
    /// What is served, until something about servers or tools changes.
    pub(crate) served: catalogue::ServedCache,
    /// What the programs of servers held when they were read last.
    programs: Arc<Programs>,
}

/// An error as it is said of a server: where its credential comes of a sign-in, there is none to be edited.
pub(crate) fn not_let_in(server: &McpServer, error: McpError) -> McpError {
    match error {
        McpError::Auth(text) if server.signs_in() => {
            McpError::SignIn(format!("The server did not let us in: {text}. Sign in again on its page."))
        }
        error => error,
    }
}

impl App {
    /// Connect to every server that is switched on; used once, at the start.
    pub(crate) async fn discover_all(&self) {
        let scope = Scope::system();
        let Ok(servers) = self.0.store.servers(&scope).await else { return };
        for server in servers.into_iter().filter(|server| server.enabled) {
            let (app, scope) = (self.clone(), scope.clone());
            self.0.tasks.spawn(async move { app.discover(&scope, server.id).await });
        }
        let app = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            let mut waits = HashMap::new();
            loop {
                tokio::time::sleep(AGAIN).await;
                let Some(app) = app.upgrade() else { return };
                Self(app).try_again(&mut waits).await;
            }
        });
    }

    /// Ask the servers again that could not be reached, those that have long been away more rarely.
    async fn try_again(&self, waits: &mut HashMap<ServerId, (Instant, Duration)>) {
        let scope = Scope::system();
        let Ok(servers) = self.0.store.servers(&scope).await else { return };
        let away = |server: &McpServer| server.enabled && matches!(server.state.as_str(), "unreachable" | "changed");
        waits.retain(|id, _| servers.iter().any(|server| server.id == *id && away(server)));
        for server in servers.iter().filter(|server| away(server)) {
            let (since, wait) = *waits.entry(server.id).or_insert((Instant::now(), AGAIN));
            if since.elapsed() < wait {
                continue;
            }
            waits.insert(server.id, (Instant::now(), (wait * 2).min(AGAIN_AT_MOST)));
            self.discover_soon(&scope, server.id);
        }
    }

    /// Connect anew and ask what the server offers.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Conflict` where it is switched off.
    pub async fn reconnect(&self, scope: &Scope, id: ServerId) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageServers)?;
        if !self.0.store.server(scope, id).await?.enabled {
            return Err(TriageError::Conflict("The server is switched off. Switch it on, and it is connected.".into()));
        }
        self.disconnect(id).await;
        self.server_state(scope, id, "pending", String::new(), None).await?;
        let (app, scope) = (self.clone(), scope.clone());
        self.0.tasks.spawn(async move { app.discover(&scope, id).await });
        Ok(())
    }

    /// Ask what a server offers and keep the answer, whatever it is.
    pub(crate) async fn discover(&self, scope: &Scope, id: ServerId) {
        let Ok(server) = self.0.store.server(scope, id).await else { return };
        if !server.enabled {
            return;
        }
        // Where each person signs in, what is offered is asked for by the first sign-in, whoever looks.
        let own = if server.auth_kind == "oauth-each" { Scope::system() } else { scope.clone() };
        let scope = &own;
        let log = self.0.tools.logs.of(id);
        log.note(Heard::Connecting, "asking what it offers");
        let found = match tokio::time::timeout(DISCOVER, self.ask_for_tools(scope, &server)).await {
            Ok(found) => found,
            Err(_) => Err(McpError::TimedOut { seconds: DISCOVER.as_secs() }),
        };
        // Changed or removed meanwhile: what the old one offers says nothing about the new one, which is asked by itself.
        if !self.0.store.server(scope, id).await.is_ok_and(|now| now.enabled && now.is_reached_alike(&server)) {
            return self.disconnect(id).await;
        }
        let written = match found {
            Ok(tools) => match self.seen(scope, id, tools).await {
                Ok(seen) => {
                    log.offers(seen.len());
                    self.server_state(scope, id, "connected", String::new(), Some(seen)).await
                }
                Err(error) => return tracing::warn!(%error, "what an MCP server offers could not be compared"),
            },
            Err(error) => {
                self.disconnect(id).await;
                let reason = self.without_credentials(scope, error.to_string()).await;
                log.note(Heard::Failed, &reason);
                self.server_state(scope, id, error.state(), reason, None).await
            }
        };
        if let Err(error) = written {
            tracing::warn!(%error, "what an MCP server offers could not be kept");
        }
    }

    pub(crate) async fn server_state(
        &self,
        scope: &Scope,
        id: ServerId,
        state: &'static str,
        reason: String,
        tools: Option<Vec<SeenTool>>,
    ) -> Result<(), StoreError> {
        let written = self.0.store.server_state(scope, id, state, reason, tools).await;
        self.0.tools.served.forget();
        written
    }

    /// Keep what a server was found to offer on the way, where it is not what is known. `false` where that failed.
    pub(crate) async fn keep_seen(&self, scope: &Scope, id: ServerId, tools: Vec<RawTool>) -> bool {
        let kept = async {
            let known = self.0.store.tools(scope, Some(id)).await?;
            let there = known.iter().filter(|tool| tool.seen.is_some()).count();
            let same =
                |tool: &RawTool| known.iter().any(|one| one.name == tool.name && one.seen.as_ref() == Some(&tool.raw));
            let connected = self.0.store.server(scope, id).await?.state == "connected";
            if connected && there == tools.len() && tools.iter().all(same) {
                return Ok(());
            }
            let seen = self.seen(scope, id, tools).await?;
            Ok::<_, TriageError>(self.server_state(scope, id, "connected", String::new(), Some(seen)).await?)
        };
        match kept.await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "what an MCP server offers could not be kept");
                false
            }
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
        let mut connection = self.connect(scope, server, purpose.clone(), None, true).await?;
        let mut tools = connection.discover().await;
        // Some let anybody in, and want a token where there is something to be had.
        if let Err(McpError::Auth(_)) = &tools
            && server.signs_in()
            && let Some(said) = connection.challenge()
            && self.token_refused(scope, server, &said).await
        {
            connection.close().await;
            connection = self.connect(scope, server, purpose, None, true).await?;
            tools = connection.discover().await;
        }
        if let Some(offered) = connection.facts().raw().get("capabilities") {
            let mut known = self.0.tools.capabilities.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(server.id, offered.clone());
        }
        // Discovery's connection is not the one that tools are called on: those are bound to an incident.
        self.0.tools.connections.lock().await.insert(server.id, Arc::clone(&connection));
        let tools = tools.map_err(|error| not_let_in(server, error))?;
        let own = tools.iter().map(|tool| tool.name.clone()).collect();
        let names = assign(&[(server.slug.clone(), own)]);
        // One that offers nothing usable is no empty list, whatever the reason.
        match names.iter().find_map(|name| name.as_ref().err()) {
            Some(collision) if names.iter().all(Result::is_err) => Err(McpError::Ambiguous(collision.clone())),
            _ => Ok(tools),
        }
    }

    /// Connect to a server. `offers` is what it may ask of us, and who is told; with `modern` the newer era comes first,
    /// and without, a session of the older one.
    pub(crate) async fn connect(
        &self,
        scope: &Scope,
        server: &McpServer,
        purpose: Purpose,
        offers: Option<(serde_json::Value, mpsc::Sender<Incoming>)>,
        modern: bool,
    ) -> Result<Arc<Connection>, McpError> {
        if !modern {
            match self.connect_as(scope, server, purpose.clone(), offers.clone(), Era::Older).await {
                // It knows no sessions.
                Err(McpError::Tool { .. } | McpError::Protocol(_)) => {}
                connected => return connected,
            }
        }
        match self.connect_as(scope, server, purpose.clone(), offers.clone(), Era::Any).await {
            // Slow to start: it was asked in the older era before it had read the question of the newer one.
            Err(McpError::Tool { code: rpc::UNSUPPORTED_VERSION, .. }) => {
                self.connect_as(scope, server, purpose, offers, Era::Newer).await
            }
            connected => connected,
        }
    }

    /// Connect; a server that does not take its token any longer is tried once more, with a new one.
    async fn connect_as(
        &self,
        scope: &Scope,
        server: &McpServer,
        purpose: Purpose,
        offers: Option<(serde_json::Value, mpsc::Sender<Incoming>)>,
        era: Era,
    ) -> Result<Arc<Connection>, McpError> {
        let challenge = Challenge::default();
        let first = self.connect_once(scope, server, purpose.clone(), offers.clone(), era, &challenge).await;
        if !matches!(first, Err(McpError::Auth(_))) || !server.signs_in() {
            return first;
        }
        let answer = match challenge.take() {
            Some(said) if self.token_refused(scope, server, &said).await => {
                self.connect_once(scope, server, purpose, offers, era, &challenge).await
            }
            _ => first,
        };
        answer.map_err(|error| not_let_in(server, error))
    }

    async fn connect_once(
        &self,
        scope: &Scope,
        server: &McpServer,
        purpose: Purpose,
        offers: Option<(serde_json::Value, mpsc::Sender<Incoming>)>,
        era: Era,
        challenge: &Challenge,
    ) -> Result<Arc<Connection>, McpError> {
        let plugin = self.transport(server).map_err(|error| McpError::Unreachable(error.to_string()))?;
        let mut reach = self.server_reach(server).map_err(|error| McpError::Unreachable(error.to_string()))?;
        if server.signs_in() {
            let owner = self.sign_in_owner(scope, server).await.map_err(|error| McpError::SignIn(error.to_string()))?;
            reach.sign_in = Some((server.id, owner));
        }
        let endpoint = match server.transport.as_str() {
            "stdio" => {
                let program = self.program(server).await.inspect_err(|error| {
                    // Whoever looks at the server is to see it, and decides.
                    if matches!(error, McpError::Changed(_)) && purpose.kind != "discover" {
                        self.discover_soon(scope, server.id);
                    }
                })?;
                Endpoint::Stdio(ProcessSpec {
                    command: PathBuf::from(&server.command),
                    arguments: server.arguments.clone(),
                    environment: Vec::new(),
                    folder: PathBuf::from("/"),
                    pinned: Some(program),
                })
            }
            _ => Endpoint::Http {
                url: server.url.clone(),
                headers: match server.credential_id.is_some() || server.signs_in() {
                    true => {
                        vec![Header {
                            name: server.auth_header.clone(),
                            value: HeaderValue::Credential(CREDENTIAL.into()),
                        }]
                    }
                    false => Vec::new(),
                },
            },
        };
        let ears = self.0.tools.logs.witness(server.id, purpose.kind);
        let host = self.call(scope, purpose, reach, None);
        let connection = Connection::open(Connect {
            runtime: self.0.runtime.clone(),
            plugin,
            egress: Arc::clone(&self.0.egress),
            name: server.name.clone(),
            endpoint,
            host,
            call_timeout: CALL,
            challenge: challenge.clone(),
            witness: Some(Arc::clone(&ears) as Arc<dyn Witness>),
            offers,
            era,
        })
        .await?;
        ears.connected(&connection.facts().version());
        Ok(Arc::new(connection))
    }

    fn transport(&self, server: &McpServer) -> Result<Plugin, TriageError> {
        let ships = match server.transport.as_str() {
            "stdio" => "transport-stdio",
            "sse" => "transport-sse",
            _ => "transport-http",
        };
        self.0.plugins.get(if server.plugin.is_empty() { ships } else { &server.plugin })
    }

    pub(crate) fn server_reach(&self, server: &McpServer) -> Result<Reach, TriageError> {
        let plugin = self.transport(server)?;
        if server.transport != "stdio" {
            // An older server names the address for messages itself: of its own origin, anywhere.
            let origin = url::Url::parse(&server.url).ok().and_then(|url| url.join("/").ok());
            let origin = origin.filter(|_| server.transport == "sse").map(|url| url.to_string());
            let url = origin.as_ref().unwrap_or(&server.url);
            return self.reach_of(plugin.name(), url, &server.private_nets, server.credential_id);
        }
        let process = ProcessRule {
            path: server.command.clone(),
            digest: server.program_sha256.parse().ok(),
            arguments: ProcessArguments::Fixed(server.arguments.clone()),
        };
        Ok(Reach { process: Some(process), ..Reach::of(&plugin) })
    }

    /// Whether a server said at its last discovery that it offers something beside tools: `resources` or `prompts`.
    pub(crate) fn offers(&self, id: ServerId, what: &str) -> bool {
        let known = self.0.tools.capabilities.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&id).and_then(|all| all.get(what)).is_some_and(serde_json::Value::is_object)
    }

    /// Close a server's connection.
    pub(crate) async fn disconnect(&self, id: ServerId) {
        let connection = self.0.tools.connections.lock().await.remove(&id);
        if let Some(connection) = connection {
            connection.close().await;
        }
        self.0.upstreams.leave(id).await;
    }

    pub(crate) async fn disconnect_all(&self) {
        let all: Vec<_> = self.0.tools.connections.lock().await.drain().map(|(_, connection)| connection).collect();
        for connection in all {
            connection.close().await;
        }
        self.0.upstreams.leave_all().await;
    }
}
