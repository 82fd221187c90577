//! News of what changes at a server, as the server is asked for them: one of the newer era by a stream, one of the older by
//! a subscription for each resource.
//!
//! Invariant: what nobody wants to hear any more is ended at the server.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fumehood_mcp::gateway::rpc;
use fumehood_mcp::{Ask, McpError, Patience, ServerFacts};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::GatewayBackend;
use super::exchange::FOREVER;
use super::upstream::{Listener, Upstream};

/// The key that says which stream a message is of.
pub(super) const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
pub(super) const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
/// The lists: how a stream asks for them, and what offers them.
const LISTS: [(&str, &str); 3] =
    [("toolsListChanged", "tools"), ("promptsListChanged", "prompts"), ("resourcesListChanged", "resources")];
/// Resources that one stream, or one session, subscribes to.
pub(super) const RESOURCES: usize = 256;
/// How long a server may take to begin a stream, or to note a subscription.
const BEGIN: Duration = Duration::from_secs(20);
/// How soon a stream that ended is opened again: twice as late each time, until one has lasted for a while.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_AT_MOST: Duration = Duration::from_secs(600);
const LASTED: Duration = Duration::from_secs(60);

/// The lists whose changes a server of the newer era tells on a stream, as it is asked for them: of tools, because one that
/// changes is not called any more; of everything for a session, which expects to be told.
pub(super) fn lists_of(facts: &ServerFacts, is_session: bool) -> Map<String, Value> {
    if facts.is_stateful() {
        return Map::new();
    }
    let tells =
        |what: &str| facts.raw().pointer(&format!("/capabilities/{what}/listChanged")) == Some(&Value::Bool(true));
    let wanted = |what: &str| tells(what) && (is_session || what == "tools");
    LISTS.iter().filter(|(_, what)| wanted(what)).map(|(key, _)| ((*key).to_owned(), true.into())).collect()
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
    /// Whether a stream wants to hear of a resource.
    fn is_wanted(&self, uri: &str) -> bool {
        self.listening()
            .iter()
            .any(|(_, listener)| matches!(listener, Listener::Changes(_, _, Some(wanted)) if wanted.uris.contains(uri)))
    }

    /// Have a server tell of resources; those of which it does.
    pub(super) async fn subscribe(self: &Arc<Self>, uris: &BTreeSet<String>) -> Result<BTreeSet<String>, McpError> {
        if self.is_modern() {
            let kept = self.stream_with(|kept| kept.extend(uris.iter().cloned())).await?;
            return Ok(uris.intersection(&kept).cloned().collect());
        }
        // Whoever comes and whoever goes do so one after the other: one must not end what the other has just begun.
        let _noting = self.streaming.lock().await;
        let mut noted = BTreeSet::new();
        for uri in uris {
            match self.about("resources/subscribe", uri).await {
                Ok(_) => drop(noted.insert(uri.clone())),
                Err(McpError::Tool { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(noted)
    }

    /// Have it tell no more of what nobody listens to.
    pub(super) async fn unsubscribe(self: &Arc<Self>, uris: &BTreeSet<String>) -> Result<(), McpError> {
        if self.is_modern() {
            return self
                .stream_with(|kept| kept.retain(|uri| !uris.contains(uri) || self.is_wanted(uri)))
                .await
                .map(drop);
        }
        let _noting = self.streaming.lock().await;
        for uri in uris.iter().filter(|uri| !self.is_wanted(uri)) {
            self.about("resources/unsubscribe", uri).await?;
        }
        Ok(())
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
    /// nothing is missed. What the server does not tell of is not kept. Returned is what it does.
    async fn stream_with(
        self: &Arc<Self>,
        change: impl FnOnce(&mut BTreeSet<String>),
    ) -> Result<BTreeSet<String>, McpError> {
        let refused = |message: String| McpError::Tool { code: rpc::INVALID_PARAMS, message, data: None };
        let mut kept = self.streaming.lock().await;
        let mut uris = kept.uris.clone();
        change(&mut uris);
        if uris.len() > RESOURCES {
            return Err(refused(format!("a session subscribes to {RESOURCES} resources at most")));
        }
        if uris == kept.uris && (kept.over.is_some() || uris.is_empty() && self.lists.is_empty()) {
            return Ok(uris);
        }
        let mut wish = self.lists.clone();
        if !uris.is_empty() {
            wish.insert("resourceSubscriptions".into(), json!(uris));
        }
        if wish.is_empty() {
            *kept = Streaming::default();
            return Ok(uris);
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
        uris.retain(|uri| kept.uris.contains(uri) || tells(&uri));
        *kept = Streaming { uris: uris.clone(), over: Some(over) };
        Ok(uris)
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
        let change = |uris: &mut BTreeSet<String>| match subscribes {
            true => drop(uris.insert(uri.clone())),
            false => drop(uris.remove(&uri)),
        };
        let kept = upstream.stream_with(change).await?;
        if subscribes && !kept.contains(&uri) {
            let message = format!("the server does not tell of changes of {uri}");
            return Err(McpError::Tool { code: rpc::INVALID_PARAMS, message, data: None });
        }
        Ok(json!({}))
    }
}
