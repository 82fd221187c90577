//! What a server says of its own accord, on its way to the client that it is for.
//!
//! Invariant: a question reaches the client whose request it is about; where that cannot be told it is refused. What it
//! says is masked, and a flood of it costs the server's own connection and nothing else.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use fumehood_mcp::Incoming;
use fumehood_mcp::gateway::Client;
use fumehood_store::Scope;
use fumehood_store::outside::McpServer;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::subscriptions::{ACKNOWLEDGED, SUBSCRIPTION};
use super::upstream::{Listener, Listening, Upstream, of_stream};
use super::{GatewayBackend, translate};

/// How often the list of tools is read of a server that says that it changed: so many times at once, and as many again
/// after a while.
const READS: usize = 8;
const WITHIN: Duration = Duration::from_secs(80);
/// Changes that wait to be told; beyond it they say nothing new.
const CHANGES: usize = 64;

impl GatewayBackend {
    /// Pass on what a server says of its own accord, for as long as the connection lives.
    pub(super) async fn pass_on(
        &self,
        client: &Arc<Client<Scope>>,
        server: &McpServer,
        upstream: &Arc<Upstream>,
        said: mpsc::Receiver<Incoming>,
    ) {
        tokio::select! {
            () = self.hear(client, server, upstream, said) => {}
            () = self.read_again(client, server, upstream) => {}
        }
    }

    async fn hear(
        &self,
        client: &Arc<Client<Scope>>,
        server: &McpServer,
        upstream: &Arc<Upstream>,
        mut said: mpsc::Receiver<Incoming>,
    ) {
        while let Some(mut message) = said.recv().await {
            if message.method == fumehood_mcp::LET_GO {
                if let Some(Listening { listener: Listener::Session(link, _), .. }) = upstream.listener(message.with) {
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
                None => {
                    self.overhear(client, server, &message).await;
                    tell(client, server, upstream, message);
                }
            }
        }
    }

    /// Keep what a server says in its log: masked, and without what its caller gets back because they said it themselves.
    async fn overhear(&self, client: &Client<Scope>, server: &McpServer, message: &Incoming) {
        let hidden = match message.method.as_str() {
            "notifications/message" => self.books.hidden(&client.caller.actor.to_string(), &message.params).await,
            _ => None,
        };
        self.app.0.tools.logs.of(server.id).said(&message.method, hidden.as_ref().unwrap_or(&message.params));
    }

    /// Read the list of tools of a server that says that it changed: what changed is seen before anybody is told of it.
    async fn read_again(&self, client: &Arc<Client<Scope>>, server: &McpServer, upstream: &Arc<Upstream>) {
        let mut reads: VecDeque<Instant> = VecDeque::new();
        loop {
            if let Some(first) = reads.front().filter(|_| reads.len() >= READS) {
                tokio::time::sleep_until(*first + WITHIN).await;
                reads.pop_front();
            }
            upstream.tools_changed.notified().await;
            let waiting = std::mem::take(&mut *upstream.changes.lock().unwrap_or_else(PoisonError::into_inner));
            reads.push_back(Instant::now());
            if let Ok(tools) = upstream.connection.discover().await {
                self.app.keep_seen(&client.caller, server.id, tools).await;
            }
            for message in waiting {
                pass_change(client, server, upstream, message);
            }
        }
    }

    fn ask(&self, client: &Arc<Client<Scope>>, upstream: &Arc<Upstream>, id: Value, message: Incoming) {
        let refuse = |text: &str| {
            upstream.connection.answer(&id, Err(json!({"code": -32601, "message": text})));
        };
        if let Some(missing) = not_offered(client, &message.method) {
            return refuse(&format!("this client does not offer {missing}"));
        }
        let Ok(place) = Arc::clone(&upstream.questions).try_acquire_owned() else {
            return refuse("too many questions wait for this client already");
        };
        let (link, waits, aside) = match upstream.listener(message.with) {
            Some(Listening { listener: Listener::Session(link, _), patience, over }) => {
                (link, Some((patience.pause(), over)), false)
            }
            Some(Listening { listener: Listener::Request(.., questions), .. }) => {
                if questions.try_send(message).is_err() {
                    refuse("this client has not answered yet");
                }
                return;
            }
            Some(Listening { listener: Listener::Changes(..), .. }) | None => match upstream.aside() {
                Some(link) => (link, None, true),
                None => return refuse("it cannot be told which request this is about, so nobody is asked"),
            },
        };
        let (backend, client, upstream) = (self.clone(), Arc::clone(client), Arc::clone(upstream));
        // The client may take its time; what else the server says goes on meanwhile.
        self.app.0.tasks.spawn(async move {
            // When the request that it is about has ended, nobody waits for the answer any more.
            let over = async {
                match &waits {
                    Some((_, over)) => over.cancelled().await,
                    None => std::future::pending().await,
                }
            };
            let asked = async {
                match aside {
                    true => link.ask_aside(&message.method, &message.params).await,
                    false => link.ask(&message.method, &message.params).await,
                }
            };
            let mut answer = tokio::select! {
                answer = asked => answer,
                () = over => Err(json!({"code": -32603, "message": "the request that this was about has ended"})),
            };
            drop((place, waits));
            let (Ok(said) | Err(said)) = &mut answer;
            if backend.mask_out(&client, said).await.is_err() {
                answer = Err(json!({"code": -32603, "message": "the answer could not be masked"}));
            }
            upstream.connection.answer(&id, answer);
        });
    }
}

/// What a client would have to offer to be asked this, where it does not.
fn not_offered(client: &Client<Scope>, method: &str) -> Option<&'static str> {
    let needed = match method {
        "elicitation/create" => "elicitation",
        "sampling/createMessage" => "sampling",
        "roots/list" => "roots",
        _ => return None,
    };
    client.capabilities.get(needed).is_none_or(|offered| !offered.is_object()).then_some(needed)
}

fn tell(client: &Arc<Client<Scope>>, server: &McpServer, upstream: &Arc<Upstream>, mut message: Incoming) {
    if message.params.is_null() {
        message.params = json!({});
    }
    let Value::Object(params) = &mut message.params else { return };
    match message.method.as_str() {
        "notifications/progress" => {
            let ticket = params.get("progressToken").and_then(Value::as_u64);
            let heard = ticket.and_then(|ticket| upstream.listener_of(ticket));
            let Some(Listening { listener, patience, .. }) = heard else { return };
            patience.again();
            let Some(token) = listener.token() else { return };
            params.insert("progressToken".into(), token.clone());
            listener.link().notify(&message.method, &message.params);
        }
        "notifications/message" => match upstream.listener(message.with) {
            Some(heard) => heard.listener.link().notify(&message.method, &message.params),
            None => upstream.say(&message),
        },
        "notifications/tools/list_changed" => {
            let mut changes = upstream.changes.lock().unwrap_or_else(PoisonError::into_inner);
            if changes.len() < CHANGES && !changes.iter().any(|change| change.with == message.with) {
                changes.push(message);
            }
            drop(changes);
            upstream.tools_changed.notify_one();
        }
        "notifications/subscriptions/acknowledged"
        | "notifications/prompts/list_changed"
        | "notifications/resources/list_changed"
        | "notifications/resources/updated"
        | "notifications/tasks" => pass_change(client, server, upstream, message),
        _ => {}
    }
}

fn pass_change(client: &Arc<Client<Scope>>, server: &McpServer, upstream: &Arc<Upstream>, mut message: Incoming) {
    match message.with.and_then(|ticket| upstream.listener_of(ticket)) {
        Some(Listening { listener: Listener::Changes(link, id, _), .. }) => {
            link.notify(&message.method, &of_stream(message.params, id));
        }
        // It was for us: the session asked for a resource, and not for a stream.
        _ if message.method == ACKNOWLEDGED => upstream.acknowledged(message.with, message.params),
        _ => {
            upstream.tell_streams(&message);
            // Streams are of one server each; a session may be of all.
            if client.server.is_none() && message.method == "notifications/resources/updated" {
                translate::prefix_uris(&mut message.params, &translate::scheme(server));
            }
            if let Some(Value::Object(meta)) = message.params.get_mut("_meta") {
                meta.remove(SUBSCRIPTION);
            }
            upstream.say(&message);
        }
    }
}
