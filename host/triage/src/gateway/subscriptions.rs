//! News of what changes at a server, between the eras: the newer one opens a stream for them, the older one tells its
//! session of all lists and of the resources that it subscribed to.
//!
//! Invariant: a client hears of what it asked for and of nothing else; what nobody wants to hear any more is ended at the
//! server.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fumehood_mcp::gateway::rpc;
use fumehood_mcp::{Ask, Incoming, McpError, Patience, ServerFacts};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::exchange::FOREVER;
use super::upstream::{Listener, Upstream};
use super::{Exchange, GatewayBackend};

/// The key that says which stream a message is of.
pub(super) const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
pub(super) const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
/// The lists: how a stream asks for them, what offers them, and what is said of them.
const LISTS: [(&str, &str, &str); 3] = [
    ("toolsListChanged", "tools", "notifications/tools/list_changed"),
    ("promptsListChanged", "prompts", "notifications/prompts/list_changed"),
    ("resourcesListChanged", "resources", "notifications/resources/list_changed"),
];
/// Resources that one stream, or one session, subscribes to.
const RESOURCES: usize = 256;
/// How long a server may take to begin a stream, or to note a subscription.
const BEGIN: Duration = Duration::from_secs(20);
/// How often it is looked at whether a connection still lives.
const LOOK: Duration = Duration::from_secs(5);
/// How soon a stream that ended is opened again: twice as late each time, until one has lasted for a while.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_AT_MOST: Duration = Duration::from_secs(600);
const LASTED: Duration = Duration::from_secs(60);

/// What a stream wants to hear, as far as its server tells it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    lists: HashSet<&'static str>,
    uris: HashSet<String>,
}

impl Wanted {
    /// What of a wish a server of the older era can fulfil.
    fn read(wish: &Value, capabilities: &Value) -> Self {
        let offers =
            |what: &str, how: &str| capabilities.pointer(&format!("/{what}/{how}")) == Some(&Value::Bool(true));
        let lists = LISTS
            .iter()
            .filter(|(key, what, _)| wish.get(*key) == Some(&Value::Bool(true)) && offers(what, "listChanged"));
        let uris = wish.get("resourceSubscriptions").and_then(Value::as_array).into_iter().flatten();
        let uris = uris.filter_map(Value::as_str).map(str::to_owned).take(RESOURCES);
        Self {
            lists: lists.map(|(.., method)| *method).collect(),
            uris: if offers("resources", "subscribe") { uris.collect() } else { HashSet::new() },
        }
    }

    /// As it is acknowledged.
    fn said(&self, wish: &Value) -> Value {
        let mut said = Map::new();
        for (key, _, method) in LISTS.iter().filter(|(key, ..)| wish.get(*key).is_some()) {
            said.insert((*key).to_owned(), self.lists.contains(method).into());
        }
        if wish.get("resourceSubscriptions").is_some() {
            let mut uris: Vec<&String> = self.uris.iter().collect();
            uris.sort();
            said.insert("resourceSubscriptions".into(), json!(uris));
        }
        Value::Object(said)
    }

    /// Whether a message is about something that is wanted.
    pub(super) fn has(&self, message: &Incoming) -> bool {
        match message.method.as_str() {
            "notifications/resources/updated" => {
                let uri = message.params.get("uri").and_then(Value::as_str).unwrap_or_default();
                // A server may name a part of what was subscribed to.
                self.uris.iter().any(|wanted| {
                    uri.strip_prefix(wanted.as_str())
                        .is_some_and(|rest| rest.is_empty() || wanted.ends_with('/') || rest.starts_with('/'))
                })
            }
            method => self.lists.contains(method),
        }
    }
}

/// The lists whose changes a server of the newer era tells on a stream, as it is asked for them: of tools, because one that
/// changes is not called any more; of everything for a session, which expects to be told.
pub(super) fn lists_of(facts: &ServerFacts, is_session: bool) -> Map<String, Value> {
    if facts.is_stateful() {
        return Map::new();
    }
    let tells =
        |what: &str| facts.raw().pointer(&format!("/capabilities/{what}/listChanged")) == Some(&Value::Bool(true));
    let wanted = |what: &str| tells(what) && (is_session || what == "tools");
    LISTS.iter().filter(|(_, what, _)| wanted(what)).map(|(key, ..)| ((*key).to_owned(), true.into())).collect()
}

/// The stream of changes that is kept at a server of the newer era.
#[derive(Default)]
pub(super) struct Streaming {
    /// Resources that the session subscribed to.
    uris: BTreeSet<String>,
    /// Ends the stream.
    over: Option<DropGuard>,
}

impl Streaming {
    /// Whether a session would miss nothing without it.
    pub(super) fn is_for_nobody(&self) -> bool {
        self.uris.is_empty()
    }
}

impl Upstream {
    fn capabilities(&self) -> Value {
        self.connection.facts().raw().get("capabilities").cloned().unwrap_or_default()
    }

    /// Whether a stream other than this one wants to hear of a resource.
    fn is_wanted(&self, uri: &str, but: u64) -> bool {
        self.listening().iter().any(|(ticket, listener)| {
            *ticket != but && matches!(listener, Listener::Changes(_, _, Some(wanted)) if wanted.uris.contains(uri))
        })
    }

    async fn about(&self, method: &str, uri: &str) -> Result<Value, McpError> {
        let ask = Ask {
            method: method.to_owned(),
            params: Map::from_iter([("uri".to_owned(), uri.into())]),
            patience: Some(Patience::of(BEGIN)),
            ..Ask::default()
        };
        self.connection.pass(ask, self.closed().cancelled()).await
    }

    /// Hear of changes of lists for as long as the connection lives, where the server tells of them.
    pub(super) async fn keep_listening(self: Arc<Self>) {
        if !self.lists.is_empty()
            && let Err(error) = self.stream_with(|_| {}).await
        {
            tracing::debug!(code = error.state(), "a server does not tell of changes although it says so");
        }
    }

    /// Keep a stream for the lists and for resources, other than before: the next begins before the last ends, so that
    /// nothing is missed.
    async fn stream_with(self: &Arc<Self>, change: impl FnOnce(&mut BTreeSet<String>)) -> Result<(), McpError> {
        let refused = |message: String| McpError::Tool { code: rpc::INVALID_PARAMS, message, data: None };
        let mut kept = self.streaming.lock().await;
        let mut uris = kept.uris.clone();
        change(&mut uris);
        if uris.len() > RESOURCES {
            return Err(refused(format!("a session subscribes to {RESOURCES} resources at most")));
        }
        if uris == kept.uris && (kept.over.is_some() || uris.is_empty() && self.lists.is_empty()) {
            return Ok(());
        }
        let mut wish = self.lists.clone();
        if !uris.is_empty() {
            wish.insert("resourceSubscriptions".into(), json!(uris));
        }
        if wish.is_empty() {
            *kept = Streaming::default();
            return Ok(());
        }
        let over = CancellationToken::new();
        let (begun, begins) = oneshot::channel();
        tokio::spawn(Arc::clone(self).stream(wish, over.clone(), begun));
        let over = over.drop_guard();
        let acknowledged = match tokio::time::timeout(BEGIN, begins).await {
            Ok(Ok(said)) => said?,
            Ok(Err(_)) => return Err(McpError::Closed("the connection ended before the stream had begun".into())),
            Err(_) => return Err(McpError::TimedOut { seconds: BEGIN.as_secs() }),
        };
        let told = acknowledged.pointer("/notifications/resourceSubscriptions").and_then(Value::as_array);
        let tells = |uri: &&String| told.is_some_and(|told| told.iter().any(|one| one.as_str() == Some(uri.as_str())));
        if let Some(silent) = uris.difference(&kept.uris).find(|uri| !tells(uri)) {
            return Err(refused(format!("the server does not tell of changes of {silent}")));
        }
        *kept = Streaming { uris, over: Some(over) };
        Ok(())
    }

    /// A stream, opened again where it ends, until it is over or the connection is.
    async fn stream(
        self: Arc<Self>,
        wish: Map<String, Value>,
        over: CancellationToken,
        begun: oneshot::Sender<Result<Value, McpError>>,
    ) {
        let (mut begun, mut wait) = (Some(begun), AGAIN);
        loop {
            let (ticket, mut acknowledged) = self.acknowledged_later();
            let ask = Ask {
                method: "subscriptions/listen".into(),
                params: Map::from_iter([("notifications".to_owned(), Value::Object(wish.clone()))]),
                ticket,
                patience: Some(Patience::of(FOREVER)),
                ..Ask::default()
            };
            let since = Instant::now();
            let asked = self.connection.pass(ask, over.cancelled());
            tokio::pin!(asked);
            let ended = tokio::select! {
                biased;
                Ok(said) = &mut acknowledged => {
                    if let Some(begun) = begun.take() {
                        let _ = begun.send(Ok(said));
                    }
                    asked.await
                }
                ended = &mut asked => ended,
            };
            self.forget_beginning(ticket);
            if let Some(begun) = begun.take() {
                let why = || McpError::Closed("it ended the stream before it had begun".into());
                let _ = begun.send(Err(ended.err().unwrap_or_else(why)));
                return;
            }
            if since.elapsed() >= LASTED {
                wait = AGAIN;
            }
            tokio::select! {
                () = over.cancelled() => return,
                () = self.closed().cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            if !self.connection.is_alive() {
                return;
            }
            wait = (wait * 2).min(AGAIN_AT_MOST);
        }
    }
}

impl GatewayBackend {
    /// `resources/subscribe` and `resources/unsubscribe` of a session whose server is of the newer era.
    pub(super) async fn subscribe_newer(
        &self,
        upstream: &Arc<Upstream>,
        method: &str,
        params: &Map<String, Value>,
    ) -> Result<Value, McpError> {
        let uri = params.get("uri").and_then(Value::as_str).unwrap_or_default().to_owned();
        let subscribes = method == "resources/subscribe";
        let change = |uris: &mut BTreeSet<String>| {
            if subscribes {
                uris.insert(uri);
            } else {
                uris.remove(&uri);
            }
        };
        upstream.stream_with(change).await?;
        Ok(json!({}))
    }

    /// `subscriptions/listen` of a client whose server is of the older era.
    pub(super) async fn listen_older(
        &self,
        exchange: &Exchange,
        upstream: &Arc<Upstream>,
        params: &Map<String, Value>,
    ) -> Result<Value, McpError> {
        let wish = params.get("notifications").cloned().unwrap_or_default();
        let mut wanted = Wanted::read(&wish, &upstream.capabilities());
        let (link, id) = (exchange.request.link.clone(), exchange.request.id.clone());
        let cancel: CancellationToken = exchange.request.cancel.clone();
        // Whoever comes and whoever goes do so one after the other: one must not end what the other has just begun.
        let noting = upstream.streaming.lock().await;
        let mut noted = HashSet::new();
        let mut failed = None;
        for uri in &wanted.uris {
            let answer = tokio::select! {
                answer = upstream.about("resources/subscribe", uri) => answer,
                () = cancel.cancelled() => Err(McpError::Cancelled),
            };
            match answer {
                Ok(_) => drop(noted.insert(uri.clone())),
                Err(McpError::Tool { .. }) => {}
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        wanted.uris = noted;
        let wanted = Arc::new(wanted);
        let listener = Listener::Changes(link.clone(), id.clone(), Some(Arc::clone(&wanted)));
        let listening = upstream.listen(listener, Patience::of(FOREVER));
        let ended = match failed {
            Some(McpError::Cancelled) => Ok(json!({})),
            Some(error) => Err(error),
            None => {
                link.notify(ACKNOWLEDGED, &json!({"notifications": wanted.said(&wish), "_meta": {SUBSCRIPTION: id}}));
                drop(noting);
                let lost = async {
                    while upstream.connection.is_alive() {
                        tokio::time::sleep(LOOK).await;
                    }
                };
                tokio::select! {
                    // Going away is how a client ends this.
                    () = cancel.cancelled() => Ok(json!({})),
                    () = upstream.closed().cancelled() => Err(McpError::Closed("the server was left".into())),
                    () = lost => Err(McpError::Closed("the server has ended it".into())),
                }
            }
        };
        let (ticket, upstream) = (listening.ticket, Arc::clone(upstream));
        drop(listening);
        self.app.0.tasks.spawn(async move {
            let _noting = upstream.streaming.lock().await;
            for uri in wanted.uris.iter().filter(|uri| !upstream.is_wanted(uri, ticket)) {
                if upstream.about("resources/unsubscribe", uri).await.is_err() {
                    break;
                }
            }
        });
        ended
    }
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
        let told = json!({"tools": {"listChanged": true}, "prompts": {}, "resources": {"subscribe": true, "listChanged": true}});
        let wanted = Wanted::read(&wish, &told);
        assert_eq!(
            wanted.said(&wish),
            json!({"toolsListChanged": true, "promptsListChanged": false, "resourcesListChanged": false,
                "resourceSubscriptions": ["file:///a", "file:///folder/"]})
        );
        let has = |method: &str, uri: &str| wanted.has(&about(method, json!({"uri": uri})));
        assert!(has("notifications/tools/list_changed", "") && !has("notifications/prompts/list_changed", ""));
        let updated = "notifications/resources/updated";
        assert!(has(updated, "file:///a") && has(updated, "file:///a/part") && has(updated, "file:///folder/x"));
        assert!(!has(updated, "file:///ab") && !has(updated, "file:///b"));
        let without = Wanted::read(&wish, &json!({"resources": {}}));
        assert_eq!(without, Wanted::default());
        assert_eq!(Wanted::read(&Value::Null, &told), Wanted::default());
    }
}
