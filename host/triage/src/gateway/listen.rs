//! `subscriptions/listen` where no server answers it as it stands: one of the older era has no such stream, and of all
//! servers together there is none. And news of the tools that a client is offered, which change by what people decide.
//!
//! Invariant: a client hears of what was acknowledged, and of nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fumehood_mcp::gateway::{Client, Link, RpcError};
use fumehood_mcp::{Incoming, McpError, Patience};
use fumehood_store::Scope;
use fumehood_store::outside::McpServer;
use futures_util::future::select_all;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::exchange::FOREVER;
use super::recorder::micros;
use super::subscriptions::{ACKNOWLEDGED, RESOURCES};
use super::upstream::{Listener, Upstream, of_stream};
use super::{Exchange, GatewayBackend, translate};
use crate::App;

const TOOLS: &str = "notifications/tools/list_changed";
/// How often it is looked at whether a connection still lives.
const LOOK: Duration = Duration::from_secs(5);
/// People decide on several tools in one go, and a client reads the list once.
const SETTLES: Duration = Duration::from_millis(250);

/// What a stream wants to hear of one server.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Of prompts and of resources, by what is said of them.
    lists: Vec<&'static str>,
    pub(super) uris: BTreeSet<String>,
    /// The server's scheme, where the client speaks to several.
    scheme: Option<String>,
    /// Nothing is said before it was acknowledged.
    is_begun: AtomicBool,
}

impl Wanted {
    /// What of a wish a server of the older era can fulfil.
    fn read(wish: &Value, capabilities: &Value) -> Self {
        let offers =
            |what: &str, how: &str| capabilities.pointer(&format!("/{what}/{how}")) == Some(&Value::Bool(true));
        let list = |key: &str, what: &str, method| {
            (wish.get(key) == Some(&Value::Bool(true)) && offers(what, "listChanged")).then_some(method)
        };
        let lists = [
            list("promptsListChanged", "prompts", "notifications/prompts/list_changed"),
            list("resourcesListChanged", "resources", "notifications/resources/list_changed"),
        ];
        let uris = if offers("resources", "subscribe") { uris_of(wish).collect() } else { BTreeSet::new() };
        Self { lists: lists.into_iter().flatten().collect(), uris, ..Self::default() }
    }

    /// As it is acknowledged: of the keys that were asked for, what is told.
    fn said(wish: &Value, lists: &[&'static str], uris: &BTreeSet<String>) -> Value {
        let mut said = Map::new();
        for (key, told) in [
            // What a client is offered is ours to tell.
            ("toolsListChanged", wish.get("toolsListChanged") == Some(&Value::Bool(true))),
            ("promptsListChanged", lists.contains(&"notifications/prompts/list_changed")),
            ("resourcesListChanged", lists.contains(&"notifications/resources/list_changed")),
        ] {
            if wish.get(key).is_some() {
                said.insert(key.to_owned(), told.into());
            }
        }
        if wish.get("resourceSubscriptions").is_some() {
            said.insert("resourceSubscriptions".into(), json!(uris));
        }
        Value::Object(said)
    }

    /// What is told of a message, where it is about something that is wanted.
    pub(super) fn told(&self, message: &Incoming) -> Option<Value> {
        let is_wanted = match message.method.as_str() {
            "notifications/resources/updated" => {
                let uri = message.params.get("uri").and_then(Value::as_str).unwrap_or_default();
                // A server may name a part of what was subscribed to.
                self.uris.iter().any(|wanted| {
                    uri.strip_prefix(wanted.as_str())
                        .is_some_and(|rest| rest.is_empty() || wanted.ends_with('/') || rest.starts_with('/'))
                })
            }
            method => self.lists.contains(&method),
        };
        if !is_wanted || !self.is_begun.load(Ordering::SeqCst) {
            return None;
        }
        let mut params = message.params.clone();
        if let Some(scheme) = &self.scheme {
            translate::prefix_uris(&mut params, scheme);
        }
        Some(params)
    }
}

fn uris_of(wish: &Value) -> impl Iterator<Item = String> {
    let uris = wish.get("resourceSubscriptions").and_then(Value::as_array).into_iter().flatten();
    uris.filter_map(Value::as_str).map(str::to_owned).take(RESOURCES)
}

impl GatewayBackend {
    /// `subscriptions/listen` of a client whose server is of the older era.
    pub(super) async fn listen_older(
        &self,
        exchange: &Exchange,
        upstream: &Arc<Upstream>,
        params: &Map<String, Value>,
    ) -> Result<Value, McpError> {
        let wish = params.get("notifications").cloned().unwrap_or_default();
        let capabilities = upstream.connection.facts().raw().get("capabilities").cloned().unwrap_or_default();
        self.listen_to(exchange, vec![(Arc::clone(upstream), Wanted::read(&wish, &capabilities))], &wish).await
    }

    /// `subscriptions/listen` of a client that speaks to all servers at once: of the tools that it is offered, and of the
    /// resources that it names. Of other lists it hears where it speaks to one server; a connection to each, held for as
    /// long as somebody listens, would leave no place for others.
    pub(super) async fn listen_all(&self, exchange: &mut Exchange) -> Result<Value, RpcError> {
        let params = exchange.request.params.clone();
        self.begin(exchange, &params).await?;
        let wish = params.get("notifications").cloned().unwrap_or_default();
        let client = Arc::clone(&exchange.request.client);
        let mut parts: BTreeMap<String, (McpServer, BTreeSet<String>)> = BTreeMap::new();
        let servers = self.servers(exchange).await?;
        for uri in uris_of(&wish) {
            let split = uri.split_once('+');
            let owner = split.and_then(|(scheme, own)| {
                Some((servers.iter().find(|server| translate::scheme(server) == scheme)?, scheme, own))
            });
            if let Some((server, scheme, own)) = owner {
                let part = parts.entry(scheme.to_owned()).or_insert_with(|| (server.clone(), BTreeSet::new()));
                part.1.insert(own.to_owned());
            }
        }
        let began = Instant::now();
        let mut all = Vec::with_capacity(parts.len());
        for (scheme, (server, uris)) in parts {
            // Of one that cannot be reached nothing is promised.
            match self.upstream(&client, &exchange.request.link, &server).await {
                Ok(upstream) => all.push((upstream, Wanted { uris, scheme: Some(scheme), ..Wanted::default() })),
                Err(error) => tracing::debug!(code = error.state(), "a server is not listened to"),
            }
        }
        exchange.spent.upstream_us += micros(began);
        match self.listen_to(exchange, all, &wish).await {
            Ok(result) => Ok(self.finished(exchange, result)),
            Err(error) => Err(self.server_error(exchange, &client, error).await),
        }
    }

    /// Have servers tell what is wanted, acknowledge what they do, and listen until the client goes away or a server does.
    async fn listen_to(
        &self,
        exchange: &Exchange,
        parts: Vec<(Arc<Upstream>, Wanted)>,
        wish: &Value,
    ) -> Result<Value, McpError> {
        let (link, id) = (exchange.request.link.clone(), exchange.request.id.clone());
        let cancel: CancellationToken = exchange.request.cancel.clone();
        let is_one = exchange.request.client.server.is_some();
        let (mut lists, mut told, mut heard) = (Vec::new(), BTreeSet::new(), Vec::new());
        for (upstream, wanted) in parts {
            let wanted = Arc::new(wanted);
            let listener = Listener::Changes(link.clone(), id.clone(), Some(Arc::clone(&wanted)));
            let listening = Hearing {
                backend: self.clone(),
                listening: Some(upstream.listen(listener, Patience::of(FOREVER))),
                upstream,
                wanted,
            };
            let noted = tokio::select! {
                noted = listening.upstream.subscribe(&listening.wanted.uris) => noted,
                () = cancel.cancelled() => return Ok(json!({})),
            };
            match noted {
                Ok(noted) => {
                    let named = |uri| match &listening.wanted.scheme {
                        Some(scheme) => format!("{scheme}+{uri}"),
                        None => uri,
                    };
                    told.extend(noted.into_iter().map(named));
                    lists.extend(listening.wanted.lists.iter().copied());
                    heard.push(listening);
                }
                Err(error) if is_one => return Err(error),
                Err(error) => tracing::debug!(code = error.state(), "a server is not listened to"),
            }
        }
        let offer = self.tools_of(exchange, wish).await;
        let said = Wanted::said(wish, &lists, &told);
        link.notify(ACKNOWLEDGED, &of_stream(json!({"notifications": said}), id.clone()));
        heard.iter().for_each(|one| one.wanted.is_begun.store(true, Ordering::SeqCst));
        tokio::select! {
            // Going away is how a client ends this.
            () = cancel.cancelled() => Ok(json!({})),
            error = lost(&heard) => Err(error),
            never = tell_of_tools(&self.app, exchange, offer) => never,
        }
    }

    /// What tells a stream that asked for it when the list of tools changes that its client is offered.
    pub(super) async fn tools_of(&self, exchange: &Exchange, wish: &Value) -> Option<Offer> {
        let is_wanted = wish.get("toolsListChanged") == Some(&Value::Bool(true));
        if is_wanted { Some(Offer::now(&self.app, &exchange.request.client).await) } else { None }
    }

    /// Tell a session, for as long as it lives.
    pub(super) async fn follow_session(&self, client: &Arc<Client<Scope>>, link: &Link<Scope>) {
        let Some(session) = &client.session else { return };
        // The followed are a field of the backend, which must not hold itself.
        let (app, client, link) = (self.app.clone(), Arc::clone(client), link.clone());
        let offer = Offer::now(&app, &client).await;
        let task = tokio::spawn(async move { offer.follow(&app, &client, || link.aside(TOOLS, &json!({}))).await });
        self.followed.keep(session, AbortOnDropHandle::new(task));
    }
}

/// Sessions that are told of changes of what they are offered.
#[derive(Default)]
pub(super) struct Followed(Mutex<HashMap<String, AbortOnDropHandle<()>>>);

impl Followed {
    fn keep(&self, session: &str, task: AbortOnDropHandle<()>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(session.to_owned(), task);
    }

    pub(super) fn forget(&self, session: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(session);
    }
}

/// The list of tools that a client is offered, as it was when somebody began to listen: taken before they are told that
/// they do, so that nothing can change between the two.
pub(super) struct Offer {
    changes: tokio::sync::watch::Receiver<u64>,
    known: Option<[u8; 32]>,
}

impl Offer {
    async fn now(app: &App, client: &Client<Scope>) -> Self {
        let changes = app.0.tools.served.changes();
        Self { changes, known: offered(app, client).await }
    }

    /// Tell a stream.
    pub(super) async fn tell(self, app: &App, exchange: &Exchange) {
        let (link, id) = (&exchange.request.link, &exchange.request.id);
        self.follow(app, &exchange.request.client, || link.notify(TOOLS, &of_stream(json!({}), id.clone()))).await;
    }

    /// Say when it changes: because a server's did, or because a person decided. Ends with the program.
    async fn follow(mut self, app: &App, client: &Client<Scope>, say: impl Fn()) {
        while self.changes.changed().await.is_ok() {
            tokio::time::sleep(SETTLES).await;
            self.changes.mark_unchanged();
            // One who may not ask any more is told nothing.
            let Some(now) = offered(app, client).await else { continue };
            if self.known != Some(now) {
                self.known = Some(now);
                say();
            }
        }
    }
}

/// Tell of the list of tools where that is wanted. Never ends.
pub(super) async fn tell_of_tools<T>(app: &App, exchange: &Exchange, offer: Option<Offer>) -> T {
    if let Some(offer) = offer {
        offer.tell(app, exchange).await;
    }
    std::future::pending().await
}

/// What a client is offered, as a hash of all of it.
async fn offered(app: &App, client: &Client<Scope>) -> Option<[u8; 32]> {
    let served = app.served(&client.caller).await.ok()?;
    let mut hash = Sha256::new();
    for (name, tool) in served.of(client.server.as_deref()) {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update(tool.hash);
    }
    Some(hash.finalize().into())
}

/// A server that is listened to; ended there when nobody listens any more.
struct Hearing {
    backend: GatewayBackend,
    upstream: Arc<Upstream>,
    wanted: Arc<Wanted>,
    listening: Option<super::upstream::Ticket>,
}

impl Drop for Hearing {
    fn drop(&mut self) {
        // From here on nobody wants it for this stream.
        drop(self.listening.take());
        let (upstream, wanted) = (Arc::clone(&self.upstream), Arc::clone(&self.wanted));
        if wanted.uris.is_empty() {
            return;
        }
        self.backend.app.0.tasks.spawn(async move {
            if let Err(error) = upstream.unsubscribe(&wanted.uris).await {
                tracing::debug!(code = error.state(), "a server was not told that nobody listens any more");
            }
        });
    }
}

/// Until one of the servers is gone.
async fn lost(heard: &[Hearing]) -> McpError {
    if heard.is_empty() {
        return std::future::pending().await;
    }
    let each = heard.iter().map(|one| {
        Box::pin(async {
            let dead = async {
                while one.upstream.connection.is_alive() {
                    tokio::time::sleep(LOOK).await;
                }
            };
            tokio::select! {
                () = one.upstream.closed().cancelled() => McpError::Closed("the server was left".into()),
                () = dead => McpError::Closed("the server has ended it".into()),
            }
        })
    });
    select_all(each).await.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(method: &str, params: Value) -> Incoming {
        Incoming { id: None, method: method.into(), params, with: None }
    }

    #[test]
    fn a_stream_hears_what_it_asked_for_and_its_server_tells() {
        let wish = json!({"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": false,
            "resourceSubscriptions": ["file:///a", "file:///folder/"]});
        let told = json!({"tools": {}, "prompts": {}, "resources": {"subscribe": true, "listChanged": true}});
        let wanted = Wanted::read(&wish, &told);
        assert_eq!(
            Wanted::said(&wish, &wanted.lists, &wanted.uris),
            json!({"toolsListChanged": true, "promptsListChanged": false, "resourcesListChanged": false,
                "resourceSubscriptions": ["file:///a", "file:///folder/"]})
        );
        let updated = "notifications/resources/updated";
        let has = |method: &str, uri: &str| wanted.told(&about(method, json!({"uri": uri}))).is_some();
        assert!(!has(updated, "file:///a"), "it was not acknowledged yet");
        wanted.is_begun.store(true, Ordering::SeqCst);
        assert!(has(updated, "file:///a") && has(updated, "file:///a/part") && has(updated, "file:///folder/x"));
        assert!(!has(updated, "file:///ab") && !has(updated, "file:///b"));
        assert!(!has("notifications/prompts/list_changed", "") && !has(TOOLS, ""), "tools are told of by ourselves");
        let without = Wanted::read(&wish, &json!({"resources": {}, "prompts": {"listChanged": true}}));
        assert!(without.uris.is_empty());
        assert_eq!(without.lists, ["notifications/prompts/list_changed"]);
        assert!(Wanted::read(&Value::Null, &told).uris.is_empty());
    }

    #[test]
    fn a_stream_of_all_servers_hears_of_a_resource_by_the_name_that_it_knows() {
        let wanted = Wanted {
            uris: ["file:///a".to_owned()].into(),
            scheme: Some("time".into()),
            is_begun: true.into(),
            ..Wanted::default()
        };
        let told = wanted.told(&about("notifications/resources/updated", json!({"uri": "file:///a"})));
        assert_eq!(told, Some(json!({"uri": "time+file:///a"})));
    }
}
