//! News of what changes at a server, between the eras: the newer one opens a stream for them, the older one tells its
//! session of all lists and of the resources that it subscribed to.
//!
//! Invariant: a client hears of what it asked for and of nothing else; what nobody wants to hear any more is ended at the
//! server.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use fumehood_mcp::gateway::rpc;
use fumehood_mcp::{Ask, Incoming, McpError, Patience};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

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
/// How often it is looked at whether a connection still lives, and how soon a stream that ended is opened again.
const LOOK: Duration = Duration::from_secs(5);

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

/// The lists whose changes a server of the newer era tells on a stream.
fn lists_of(capabilities: &Value) -> Map<String, Value> {
    let tells = |what: &str| capabilities.pointer(&format!("/{what}/listChanged")) == Some(&Value::Bool(true));
    LISTS.iter().filter(|(_, what, _)| tells(what)).map(|(key, ..)| ((*key).to_owned(), true.into())).collect()
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
        self.connection.pass(ask, std::future::pending()).await
    }

    /// Keep a stream of changes of lists open at a server of the newer era, for as long as the connection lives: of tools,
    /// because one that changes is not called any more; of everything for a session, which expects to be told.
    pub(super) async fn keep_listening(self: Arc<Self>, is_session: bool) {
        let mut lists = lists_of(&self.capabilities());
        lists.retain(|key, _| is_session || key == "toolsListChanged");
        if !self.is_modern() || lists.is_empty() {
            return;
        }
        while self.connection.is_alive() {
            let ask = Ask {
                method: "subscriptions/listen".into(),
                params: Map::from_iter([("notifications".to_owned(), Value::Object(lists.clone()))]),
                patience: Some(Patience::of(FOREVER)),
                ..Ask::default()
            };
            if let Err(McpError::Tool { .. }) = self.connection.pass(ask, std::future::pending()).await {
                // It says that it tells, and does not know how.
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Subscribe to a resource of a server of the newer era, for a session: by a stream of its own.
    async fn stream_of(self: &Arc<Self>, uri: &str) -> Result<Value, McpError> {
        if self.streams().contains_key(uri) {
            return Ok(json!({}));
        }
        if self.streams().len() >= RESOURCES {
            let message = format!("a session subscribes to {RESOURCES} resources at most");
            return Err(McpError::Tool { code: rpc::INVALID_REQUEST, message, data: None });
        }
        let (ticket, begun) = self.acknowledged_later();
        let (upstream, wish) = (Arc::clone(self), json!({"resourceSubscriptions": [uri]}));
        let (failed, failure) = oneshot::channel();
        let over = CancellationToken::new();
        self.streams().insert(uri.to_owned(), over.clone().drop_guard());
        tokio::spawn(async move {
            let ask = Ask {
                method: "subscriptions/listen".into(),
                params: Map::from_iter([("notifications".to_owned(), wish)]),
                ticket,
                patience: Some(Patience::of(FOREVER)),
                ..Ask::default()
            };
            if let Err(error) = upstream.connection.pass(ask, over.cancelled()).await {
                let _ = failed.send(error);
            }
        });
        let ended = |error| {
            self.streams().remove(uri);
            Err(error)
        };
        tokio::select! {
            biased;
            Ok(()) = begun => Ok(json!({})),
            failure = failure => match failure {
                Ok(error) => ended(error),
                Err(_) => ended(McpError::Closed("it ended the stream before it had begun".into())),
            },
            () = tokio::time::sleep(BEGIN) => ended(McpError::TimedOut { seconds: BEGIN.as_secs() }),
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
        let uri = params.get("uri").and_then(Value::as_str).unwrap_or_default();
        if method == "resources/subscribe" {
            return upstream.stream_of(uri).await;
        }
        // Its end at the server is that nobody waits for it any more.
        upstream.streams().remove(uri);
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
        let mut refused = Vec::new();
        for uri in &wanted.uris {
            match upstream.about("resources/subscribe", uri).await {
                Ok(_) => {}
                Err(McpError::Tool { .. }) => refused.push(uri.clone()),
                Err(error) => return Err(error),
            }
        }
        wanted.uris.retain(|uri| !refused.contains(uri));
        let (link, id, wanted) = (exchange.request.link.clone(), exchange.request.id.clone(), Arc::new(wanted));
        let about = json!({"notifications": wanted.said(&wish), "_meta": {SUBSCRIPTION: id}});
        let listener = Listener::Changes(link.clone(), id, Some(Arc::clone(&wanted)));
        let listening = upstream.listen(listener, Patience::of(FOREVER));
        link.notify(ACKNOWLEDGED, &about);
        let cancel: CancellationToken = exchange.request.cancel.clone();
        let lost = async {
            while upstream.connection.is_alive() {
                tokio::time::sleep(LOOK).await;
            }
        };
        let ended = tokio::select! {
            // Going away is how a client ends this.
            () = cancel.cancelled() => Ok(json!({})),
            () = lost => Err(McpError::Closed("the server has ended it".into())),
        };
        let nobodys: Vec<String> =
            wanted.uris.iter().filter(|uri| !upstream.is_wanted(uri, listening.ticket)).cloned().collect();
        let upstream = Arc::clone(upstream);
        self.app.0.tasks.spawn(async move {
            for uri in nobodys {
                if upstream.about("resources/unsubscribe", &uri).await.is_err() {
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
        assert_eq!(lists_of(&told).keys().collect::<Vec<_>>(), ["resourcesListChanged", "toolsListChanged"]);
    }
}
