//! Connections to servers on behalf of callers.
//!
//! Invariant: a connection is of one session, or of one caller without a session, so that what a server asks can only
//! reach whoever's request it is about; it ends with its session, or when nobody has used it for a while.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fumehood_mcp::gateway::{Client, Link};
use fumehood_mcp::{Ask, Connection, Incoming, McpError, Patience};
use fumehood_store::outside::McpServer;
use fumehood_store::{Scope, ServerId};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::GatewayBackend;
use super::breaker::Breakers;
use super::listen::Wanted;
use super::subscriptions::{SUBSCRIPTION, Streaming, lists_of};
use crate::call::Purpose;

/// How long a connection may be idle: of a caller, and of a session, whose client may listen on it.
const IDLE: Duration = Duration::from_secs(900);
const SESSION_IDLE: Duration = Duration::from_secs(3600);
/// Connections at once, of all callers and of one: fewer than the runtime has room for, so that incidents and discovery
/// find a place. One that is idle makes room.
const CONNECTIONS: usize = 48;
const OF_ONE: usize = 24;
/// Questions of one server that wait for their client.
const QUESTIONS: usize = 16;
/// How long a server may take to note what kind of log lines it should send.
const LEVEL: Duration = Duration::from_secs(10);
/// What a server says that waits to be passed on.
const INCOMING: usize = 256;

/// What is said of a server that is not what it was.
const GONE: &str = "it was changed a moment ago; ask again";

/// Who hears what a server says on the way to an answer.
#[derive(Clone)]
pub(super) enum Listener {
    /// A client of the older era, which can be asked by itself; with its own token for progress.
    Session(Link<Scope>, Option<Value>),
    /// One of the newer era: hears of progress, and is asked by way of its answer.
    Request(Link<Scope>, Option<Value>, mpsc::Sender<Incoming>),
    /// A stream of changes, with the id that the client gave it; where the server is of the older era, with what it wants to
    /// hear.
    Changes(Link<Scope>, Value, Option<Arc<Wanted>>),
}

impl Listener {
    pub(super) fn link(&self) -> &Link<Scope> {
        let (Self::Session(link, _) | Self::Request(link, ..) | Self::Changes(link, ..)) = self;
        link
    }

    pub(super) fn token(&self) -> Option<&Value> {
        match self {
            Self::Session(_, token) | Self::Request(_, token, _) => token.as_ref(),
            Self::Changes(..) => None,
        }
    }
}

/// A connection, and who waits for what on it.
pub(super) struct Upstream {
    pub(super) connection: Arc<Connection>,
    /// As it was when the connection was opened.
    server: McpServer,
    listeners: Mutex<HashMap<u64, Listening>>,
    tickets: AtomicU64,
    used: Mutex<Instant>,
    /// The way to a session outside its requests; nothing for a caller without one.
    aside: Option<Link<Scope>>,
    pub(super) questions: Arc<Semaphore>,
    /// Its list of tools has changed, and who is to be told when that was seen.
    pub(super) tools_changed: Notify,
    pub(super) changes: Mutex<Vec<Incoming>>,
    /// The stream of changes that is kept at a server of the newer era; at one of the older, whoever subscribes there
    /// holds it.
    pub(super) streaming: tokio::sync::Mutex<Streaming>,
    /// The lists whose changes it is asked to tell.
    pub(super) lists: Map<String, Value>,
    /// Who waits for a stream to begin, by its ticket.
    beginning: Mutex<HashMap<u64, oneshot::Sender<Value>>>,
    closed: CancellationToken,
}

/// What is said on a stream, with the stream's id.
pub(super) fn of_stream(mut params: Value, id: Value) -> Value {
    if !params.is_object() {
        params = json!({});
    }
    if let Value::Object(fields) = &mut params {
        let meta = fields.entry("_meta").or_insert_with(|| json!({}));
        match meta {
            Value::Object(meta) => drop(meta.insert(SUBSCRIPTION.into(), id)),
            other => *other = json!({SUBSCRIPTION: id}),
        }
    }
    params
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
    pub(super) fn listen(self: &Arc<Self>, listener: Listener, patience: Arc<Patience>) -> Ticket {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed) + 1;
        let over = CancellationToken::new();
        locked(&self.listeners).insert(ticket, Listening { listener, patience, over: over.clone() });
        *locked(&self.used) = Instant::now();
        Ticket { upstream: Arc::clone(self), ticket, _over: over.drop_guard() }
    }

    /// The way to the session outside its requests.
    pub(super) fn aside(&self) -> Option<Link<Scope>> {
        self.aside.clone()
    }

    /// Tell a session something outside its requests.
    pub(super) fn say(&self, message: &Incoming) {
        if let Some(link) = &self.aside {
            link.aside(&message.method, &message.params);
        }
    }

    /// Tell the streams of changes that want to hear of it.
    pub(super) fn tell_streams(&self, message: &Incoming) {
        for (_, listener) in self.listening() {
            if let Listener::Changes(link, id, Some(wanted)) = listener
                && let Some(told) = wanted.told(message)
            {
                link.notify(&message.method, &of_stream(told, id));
            }
        }
    }

    /// Everybody who listens.
    pub(super) fn listening(&self) -> Vec<(u64, Listener)> {
        locked(&self.listeners).iter().map(|(ticket, heard)| (*ticket, heard.listener.clone())).collect()
    }

    /// A ticket for a stream that nobody but the session listens to, and what is acknowledged when it begins.
    pub(super) fn acknowledged_later(&self) -> (u64, oneshot::Receiver<Value>) {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed) + 1;
        let (begun, begins) = oneshot::channel();
        locked(&self.beginning).insert(ticket, begun);
        (ticket, begins)
    }

    pub(super) fn forget_beginning(&self, ticket: u64) {
        locked(&self.beginning).remove(&ticket);
    }

    /// A stream has begun.
    pub(super) fn acknowledged(&self, ticket: Option<u64>, said: Value) {
        if let Some(begun) = ticket.and_then(|ticket| locked(&self.beginning).remove(&ticket)) {
            let _ = begun.send(said);
        }
    }

    pub(super) fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    /// End the connection, and what is kept going on it.
    async fn close(&self) {
        self.closed.cancel();
        self.connection.close().await;
    }

    /// Whether nobody waits for anything on it.
    fn is_unused(&self) -> bool {
        locked(&self.listeners).is_empty() && self.streaming.try_lock().is_ok_and(|kept| kept.is_for_nobody())
    }

    /// Who listens under a ticket.
    pub(super) fn listener_of(&self, ticket: u64) -> Option<Listening> {
        locked(&self.listeners).get(&ticket).cloned()
    }

    /// Whose request a message is about: the one that it came with. Where that is not known: of a session the last, and of
    /// a caller without one the only one, because its requests may come from clients that know nothing of each other.
    pub(super) fn listener(&self, with: Option<u64>) -> Option<Listening> {
        if let Some(known) = with.and_then(|ticket| self.listener_of(ticket)) {
            return Some(known);
        }
        let listeners = locked(&self.listeners);
        let requests = || listeners.iter().filter(|(_, heard)| !matches!(heard.listener, Listener::Changes(..)));
        if self.aside.is_none() && requests().count() != 1 {
            return None;
        }
        requests().max_by_key(|(ticket, _)| **ticket).map(|(_, found)| found.clone())
    }

    fn is_idle(&self) -> bool {
        let most = if self.aside.is_some() { SESSION_IDLE } else { IDLE };
        self.is_unused() && locked(&self.used).elapsed() > most
    }
}

/// Somebody who hears what belongs to one request, its patience, and its end.
#[derive(Clone)]
pub(super) struct Listening {
    pub(super) listener: Listener,
    pub(super) patience: Arc<Patience>,
    pub(super) over: CancellationToken,
}

/// Hears what belongs to one request, for as long as it is held.
pub(super) struct Ticket {
    upstream: Arc<Upstream>,
    pub(super) ticket: u64,
    _over: DropGuard,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        locked(&self.upstream.listeners).remove(&self.ticket);
        *locked(&self.upstream.used) = Instant::now();
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    /// The session, or the caller.
    of: String,
    caller: String,
    server: ServerId,
    /// Hash of what the client can be asked, for one without a session.
    offers: [u8; 32],
}

/// A place for one connection, behind a lock of its own, so that two requests do not open two.
type Slot = Arc<tokio::sync::Mutex<Option<Arc<Upstream>>>>;

/// All connections.
#[derive(Default)]
pub(crate) struct Upstreams {
    open: Mutex<HashMap<Key, Slot>>,
    breakers: Breakers,
}

impl Upstreams {
    pub(crate) fn len(&self) -> usize {
        locked(&self.open).len()
    }

    /// Close what nobody has used for a while.
    pub(super) async fn tidy(&self) {
        self.close(|_, upstream| upstream.is_idle()).await;
    }

    /// Close the connections of a session.
    pub(super) async fn end(&self, session: &str) {
        self.close(|key, _| key.of == session).await;
    }

    /// Close the connections to a server.
    pub(crate) async fn leave(&self, server: ServerId) {
        self.breakers.forget(server);
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
                patience: Some(Patience::of(LEVEL)),
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
            upstream.close().await;
        }
    }
}

/// The connection that nobody uses, for the longest time.
fn longest_idle(open: &HashMap<Key, Slot>, which: impl Fn(&Key) -> bool) -> Option<Key> {
    let idle =
        open.iter().filter(|(key, slot)| which(key) && Arc::strong_count(slot) == 1).filter_map(|(key, slot)| {
            let held = slot.try_lock().ok()?;
            let upstream = held.as_ref()?;
            let used = *locked(&upstream.used);
            upstream.is_unused().then(|| (used, key.clone()))
        });
    idle.min_by_key(|(used, _)| *used).map(|(_, key)| key)
}

impl Upstreams {
    /// The place of a connection, and the connection that had to make room for it.
    fn slot(&self, key: &Key) -> Result<(Slot, Option<Arc<Upstream>>), McpError> {
        let mut open = locked(&self.open);
        if let Some(slot) = open.get(key) {
            return Ok((Arc::clone(slot), None));
        }
        let mine = open.keys().filter(|other| other.caller == key.caller).count();
        let over = match (mine >= OF_ONE, open.len() >= CONNECTIONS) {
            (false, false) => None,
            // A caller's own make room before those of others.
            (own, _) => {
                let gone = longest_idle(&open, |other| !own || other.caller == key.caller);
                Some(gone.and_then(|gone| open.remove(&gone)).ok_or_else(|| {
                    let what = format!(
                        "the gateway holds {CONNECTIONS} connections at most, and {OF_ONE} of one caller, and all of them are \
                         busy; try again later"
                    );
                    McpError::Unreachable(what)
                })?)
            }
        };
        let over = over.and_then(|slot| slot.try_lock().ok().and_then(|mut held| held.take()));
        Ok((Arc::clone(open.entry(key.clone()).or_default()), over))
    }

    /// Give a place up that could not be filled, unless somebody else waits for it.
    fn give_up(&self, key: &Key, slot: Slot) {
        let mut open = locked(&self.open);
        // The map's, and ours.
        if Arc::strong_count(&slot) == 2 && slot.try_lock().is_ok_and(|held| held.is_none()) {
            open.remove(key);
        }
    }
}

impl GatewayBackend {
    /// The connection of a client to a server; opened where there is none. `link` is of the request that needs it.
    pub(super) async fn upstream(
        &self,
        client: &Arc<Client<Scope>>,
        link: &Link<Scope>,
        server: &McpServer,
    ) -> Result<Arc<Upstream>, McpError> {
        let caller = client.caller.actor.to_string();
        let key = Key {
            of: client.session.clone().unwrap_or_else(|| caller.clone()),
            caller,
            server: server.id,
            offers: match client.is_modern() {
                true => Sha256::digest(client.capabilities.to_string().as_bytes()).into(),
                false => [0; 32],
            },
        };
        let (slot, over) = self.upstreams.slot(&key)?;
        if let Some(over) = over {
            self.app.0.tasks.spawn(async move { over.close().await });
        }
        let mut held = slot.lock().await;
        let usable = |one: &&Arc<Upstream>| one.connection.is_alive() && one.server.is_reached_alike(server);
        if let Some(upstream) = held.as_ref().filter(usable) {
            // Between here and its request nobody listens: it must not count as the longest idle.
            *locked(&upstream.used) = Instant::now();
            return Ok(Arc::clone(upstream));
        }
        self.upstreams.breakers.check(server.id)?;
        // Of a server that is reached otherwise by now.
        let before = held.take();
        if let Some(before) = before {
            before.close().await;
        }
        match self.open(client, link, server).await {
            Ok(upstream) => {
                self.upstreams.breakers.forget(server.id);
                // Switched off meanwhile, when this place could not be closed.
                if self.is_gone(client, server).await {
                    upstream.close().await;
                    return Err(McpError::Unreachable(GONE.into()));
                }
                *held = Some(Arc::clone(&upstream));
                Ok(upstream)
            }
            Err(error) => {
                self.upstreams.breakers.failed(server.id, &error);
                drop(held);
                self.upstreams.give_up(&key, slot);
                Err(error)
            }
        }
    }

    /// Whether a server was changed, switched off or removed.
    async fn is_gone(&self, client: &Client<Scope>, server: &McpServer) -> bool {
        let now = self.app.0.store.server(&client.caller, server.id).await;
        !now.is_ok_and(|now| now.enabled && now.is_reached_alike(server))
    }

    async fn open(
        &self,
        client: &Arc<Client<Scope>>,
        link: &Link<Scope>,
        server: &McpServer,
    ) -> Result<Arc<Upstream>, McpError> {
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
        // The request may have waited for a person meanwhile.
        if self.is_gone(client, server).await {
            return Err(McpError::Unreachable(GONE.into()));
        }
        let connection = app.connect(&client.caller, server, purpose, Some((offers, send)), client.is_modern()).await?;
        // Changed, switched off or removed while the connection was opened.
        if self.is_gone(client, server).await {
            connection.close().await;
            return Err(McpError::Unreachable(GONE.into()));
        }
        let lists = lists_of(connection.facts(), client.session.is_some());
        let upstream = Arc::new(Upstream {
            connection,
            server: server.clone(),
            listeners: Mutex::default(),
            tickets: AtomicU64::new(0),
            used: Mutex::new(Instant::now()),
            aside: client.session.is_some().then(|| link.clone()),
            questions: Arc::new(Semaphore::new(QUESTIONS)),
            tools_changed: Notify::new(),
            changes: Mutex::default(),
            streaming: tokio::sync::Mutex::default(),
            lists,
            beginning: Mutex::default(),
            closed: CancellationToken::new(),
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
        let (backend, own, session) = (self.clone(), Arc::clone(&upstream), Arc::clone(client));
        app.0.tasks.spawn(async move { backend.pass_on(&session, &own.server, &own, said).await });
        app.0.tasks.spawn(Arc::clone(&upstream).keep_listening());
        Ok(upstream)
    }
}
