//! Connections to servers on behalf of callers, and what those servers say of their own accord.
//!
//! Invariant: a connection is of one session, or of one caller without a session, so that what a server asks can only
//! reach whoever's request it is about; it ends with its session, or when nobody has used it for a while.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fumehood_mcp::gateway::{Client, Link};
use fumehood_mcp::{Ask, Connection, Incoming, McpError};
use fumehood_store::outside::McpServer;
use fumehood_store::{Scope, ServerId};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::GatewayBackend;
use crate::call::Purpose;

/// How long a connection may be idle.
const IDLE: Duration = Duration::from_secs(900);
/// Connections at once.
const CONNECTIONS: usize = 256;
/// What a server says that waits to be passed on.
const INCOMING: usize = 256;

/// Who hears what a server says on the way to an answer.
#[derive(Clone)]
pub(super) enum Listener {
    /// A client of the older era, which can be asked by itself; with its own token for progress.
    Session(Link<Scope>, Option<Value>),
    /// One of the newer era: hears of progress, and is asked by way of its answer.
    Request(Link<Scope>, Option<Value>, mpsc::Sender<Incoming>),
    /// A stream of changes, with the id that the client gave it.
    Changes(Link<Scope>, Value),
}

impl Listener {
    fn link(&self) -> &Link<Scope> {
        let (Self::Session(link, _) | Self::Request(link, ..) | Self::Changes(link, _)) = self;
        link
    }

    fn token(&self) -> Option<&Value> {
        match self {
            Self::Session(_, token) | Self::Request(_, token, _) => token.as_ref(),
            Self::Changes(..) => None,
        }
    }
}

/// A connection, and who waits for what on it.
pub(super) struct Upstream {
    pub(super) connection: Arc<Connection>,
    listeners: Mutex<HashMap<u64, Listener>>,
    tickets: AtomicU64,
    used: Mutex<Instant>,
    /// The way to a session outside its requests.
    aside: Mutex<Option<Link<Scope>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Upstream {
    /// Whether the server speaks the newer era.
    pub(super) fn is_modern(&self) -> bool {
        !self.connection.facts().is_stateful()
    }

    /// Listen for what belongs to a request; the ticket to ask under. Ends when the guard is dropped.
    pub(super) fn listen(self: &Arc<Self>, listener: Listener) -> Listening {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed) + 1;
        if let Listener::Session(link, _) = &listener {
            locked(&self.aside).get_or_insert_with(|| link.clone());
        }
        locked(&self.listeners).insert(ticket, listener);
        *locked(&self.used) = Instant::now();
        Listening { upstream: Arc::clone(self), ticket }
    }

    /// Tell a session something outside its requests.
    fn say(&self, message: &Incoming) {
        if let Some(link) = locked(&self.aside).as_ref() {
            link.aside(&message.method, &message.params);
        }
    }

    /// Whose request a message is about: the one that it came with, otherwise the only one, otherwise the last.
    fn listener(&self, with: Option<u64>) -> Option<Listener> {
        let listeners = locked(&self.listeners);
        let ticket =
            with.filter(|ticket| listeners.contains_key(ticket)).or_else(|| listeners.keys().max().copied())?;
        listeners.get(&ticket).cloned()
    }
}

/// Hears what belongs to one request.
pub(super) struct Listening {
    upstream: Arc<Upstream>,
    pub(super) ticket: u64,
}

impl Drop for Listening {
    fn drop(&mut self) {
        locked(&self.upstream.listeners).remove(&self.ticket);
        *locked(&self.upstream.used) = Instant::now();
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    /// The session, or the caller.
    of: String,
    server: ServerId,
    /// What the client can be asked, for one without a session.
    offers: String,
}

/// A place for one connection, behind a lock of its own, so that two requests do not open two.
type Slot = Arc<tokio::sync::Mutex<Option<Arc<Upstream>>>>;

/// All connections.
#[derive(Default)]
pub(crate) struct Upstreams {
    open: Mutex<HashMap<Key, Slot>>,
}

impl Upstreams {
    pub(crate) fn len(&self) -> usize {
        locked(&self.open).len()
    }

    /// Close what nobody has used for a while.
    pub(super) async fn tidy(&self) {
        self.close(|_, upstream| locked(&upstream.listeners).is_empty() && locked(&upstream.used).elapsed() > IDLE)
            .await;
    }

    /// Close the connections of a session.
    pub(super) async fn end(&self, session: &str) {
        self.close(|key, _| key.of == session).await;
    }

    /// Close the connections to a server.
    pub(crate) async fn leave(&self, server: ServerId) {
        self.close(|key, _| key.server == server).await;
    }

    /// The connections of a session.
    fn of(&self, session: &str) -> Vec<Arc<Upstream>> {
        let open = locked(&self.open);
        let mine = open.iter().filter(|(key, _)| key.of == session);
        mine.filter_map(|(_, slot)| slot.try_lock().ok()?.as_ref().map(Arc::clone)).collect()
    }

    /// Tell the servers of a session what its client says.
    pub(super) async fn notify(&self, session: &str, method: &str) {
        for upstream in self.of(session) {
            let _ = upstream.connection.notify(method, json!({})).await;
        }
    }

    /// Say to the servers of a session which log lines it wants.
    pub(super) async fn set_level(&self, session: &str, params: &Map<String, Value>) {
        for upstream in self.of(session).into_iter().filter(|one| one.connection.facts().offers("logging")) {
            let ask = Ask {
                method: "logging/setLevel".into(),
                params: params.clone(),
                limit: Duration::from_secs(10),
                ..Ask::default()
            };
            if let Err(error) = upstream.connection.pass(ask, std::future::pending()).await {
                tracing::debug!(code = error.state(), "a server did not take a log level");
            }
        }
    }

    /// Close all.
    pub(crate) async fn leave_all(&self) {
        self.close(|_, _| true).await;
    }

    async fn close(&self, which: impl Fn(&Key, &Upstream) -> bool) {
        let mut over = Vec::new();
        locked(&self.open).retain(|key, slot| {
            let Ok(held) = slot.try_lock() else { return true };
            match held.as_ref() {
                Some(upstream) if which(key, upstream) => {
                    over.push(Arc::clone(upstream));
                    false
                }
                Some(_) => true,
                None => Arc::strong_count(slot) > 1,
            }
        });
        for upstream in over {
            upstream.connection.close().await;
        }
    }
}

impl GatewayBackend {
    /// The connection of a client to a server; opened where there is none.
    pub(super) async fn upstream(
        &self,
        client: &Arc<Client<Scope>>,
        server: &McpServer,
    ) -> Result<Arc<Upstream>, McpError> {
        let key = Key {
            of: client.session.clone().unwrap_or_else(|| client.caller.actor.to_string()),
            server: server.id,
            offers: if client.is_modern() { client.capabilities.to_string() } else { String::new() },
        };
        let slot = {
            let mut open = locked(&self.upstreams.open);
            if open.len() >= CONNECTIONS && !open.contains_key(&key) {
                let what =
                    format!("the gateway holds {CONNECTIONS} connections already; end sessions or try again later");
                return Err(McpError::Unreachable(what));
            }
            Arc::clone(open.entry(key).or_default())
        };
        let mut held = slot.lock().await;
        if let Some(upstream) = held.as_ref().filter(|upstream| upstream.connection.is_alive()) {
            return Ok(Arc::clone(upstream));
        }
        let upstream = self.open(client, server).await?;
        *held = Some(Arc::clone(&upstream));
        Ok(upstream)
    }

    async fn open(&self, client: &Arc<Client<Scope>>, server: &McpServer) -> Result<Arc<Upstream>, McpError> {
        let purpose = Purpose {
            incident: None,
            kind: "gateway",
            destination: server.name.clone(),
            subject: format!("mcp-server:{}", server.id),
            instance: String::new(),
        };
        let (send, said) = mpsc::channel(INCOMING);
        let offers = match &client.capabilities {
            Value::Object(_) => client.capabilities.clone(),
            _ => json!({}),
        };
        let app = &self.app;
        let connection = app.connect(&client.caller, server, purpose, Some((offers, send)), client.is_modern()).await?;
        let upstream = Arc::new(Upstream {
            connection,
            listeners: Mutex::default(),
            tickets: AtomicU64::new(0),
            used: Mutex::new(Instant::now()),
            aside: Mutex::default(),
        });
        // What it offers is what a person has seen, or it is not offered any more from here on.
        let tools = match upstream.connection.facts().offers("tools") {
            true => upstream.connection.discover().await,
            false => Err(McpError::NoTools),
        };
        let tools = match tools {
            Err(McpError::NoTools) => Vec::new(),
            tools => tools?,
        };
        if !app.keep_seen(&client.caller, server.id, tools).await {
            return Err(McpError::Protocol("what it offers could not be compared with what a person has seen".into()));
        }
        let (backend, server, own) = (self.clone(), server.clone(), Arc::clone(&upstream));
        let session = client.clone();
        self.app.0.tasks.spawn(async move { backend.pass_on(&session, &server, &own, said).await });
        Ok(upstream)
    }

    /// Pass on what a server says of its own accord, for as long as the connection lives.
    async fn pass_on(
        &self,
        client: &Arc<Client<Scope>>,
        server: &McpServer,
        upstream: &Arc<Upstream>,
        mut said: mpsc::Receiver<Incoming>,
    ) {
        while let Some(mut message) = said.recv().await {
            if message.method == fumehood_mcp::LET_GO {
                if let Some(Listener::Session(link, _)) = upstream.listener(message.with) {
                    link.let_go();
                }
                continue;
            }
            if self.mask_message(client, &mut message).await.is_err() {
                if let Some(id) = &message.id {
                    let error = json!({"code": -32603, "message": "what was asked could not be masked"});
                    upstream.connection.answer(id, Err(error));
                }
                continue;
            }
            match message.id.clone() {
                Some(id) => self.ask(client, upstream, id, message),
                None => self.tell(client, server, upstream, message).await,
            }
        }
    }

    fn ask(&self, client: &Arc<Client<Scope>>, upstream: &Arc<Upstream>, id: Value, message: Incoming) {
        let refuse = |text: &str| {
            upstream.connection.answer(&id, Err(json!({"code": -32601, "message": text})));
        };
        match upstream.listener(message.with) {
            Some(Listener::Session(link, _)) => {
                let (backend, client, upstream) = (self.clone(), Arc::clone(client), Arc::clone(upstream));
                // The client may take its time; what else the server says goes on meanwhile.
                self.app.0.tasks.spawn(async move {
                    let mut answer = link.ask(&message.method, &message.params).await;
                    let (Ok(said) | Err(said)) = &mut answer;
                    if backend.mask_out(&client, said).await.is_err() {
                        answer = Err(json!({"code": -32603, "message": "the answer could not be masked"}));
                    }
                    upstream.connection.answer(&id, answer);
                });
            }
            Some(Listener::Request(.., questions)) => {
                if questions.try_send(message).is_err() {
                    refuse("this client has not answered yet");
                }
            }
            Some(Listener::Changes(..)) | None => refuse("nobody is there to be asked"),
        }
    }

    async fn tell(
        &self,
        client: &Arc<Client<Scope>>,
        server: &McpServer,
        upstream: &Arc<Upstream>,
        mut message: Incoming,
    ) {
        let Value::Object(params) = &mut message.params else { return };
        match message.method.as_str() {
            "notifications/progress" => {
                let ticket = params.get("progressToken").and_then(Value::as_u64);
                let listener = ticket.and_then(|ticket| locked(&upstream.listeners).get(&ticket).cloned());
                let Some(listener) = listener else { return };
                let Some(token) = listener.token() else { return };
                params.insert("progressToken".into(), token.clone());
                listener.link().notify(&message.method, &message.params);
            }
            "notifications/message" => {
                if let Some(listener) = upstream.listener(message.with) {
                    listener.link().notify(&message.method, &message.params);
                } else {
                    upstream.say(&message);
                }
            }
            "notifications/subscriptions/acknowledged"
            | "notifications/tools/list_changed"
            | "notifications/prompts/list_changed"
            | "notifications/resources/list_changed"
            | "notifications/resources/updated"
            | "notifications/tasks" => {
                if message.method == "notifications/tools/list_changed" {
                    // What changed is seen before anybody is told of it.
                    if let Ok(tools) = upstream.connection.discover().await {
                        self.app.keep_seen(&client.caller, server.id, tools).await;
                    }
                }
                if client.server.is_none() && message.method == "notifications/resources/updated" {
                    super::translate::prefix_uris(&mut message.params, &super::translate::scheme(server));
                }
                match message.with.and_then(|ticket| locked(&upstream.listeners).get(&ticket).cloned()) {
                    Some(Listener::Changes(link, id)) => {
                        if let Some(Value::Object(meta)) = message.params.get_mut("_meta") {
                            meta.insert("io.modelcontextprotocol/subscriptionId".into(), id);
                        }
                        link.notify(&message.method, &message.params);
                    }
                    _ => upstream.say(&message),
                }
            }
            _ => {}
        }
    }
}
