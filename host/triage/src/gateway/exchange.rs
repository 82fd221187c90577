//! Passing a request on to a server and its answer back, between whatever eras the two speak.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fumehood_mcp::gateway::{CAPABILITIES_KEY, CLIENT_KEY, Client, LOG_KEY, RpcError, VERSION_KEY, rpc};
use fumehood_mcp::{Ask, Incoming, McpError, Patience};
use fumehood_store::Scope;
use fumehood_store::outside::McpServer;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::held::{HeldCall, HeldCalls};
use super::listen::tell_of_tools;
use super::masking::Way;
use super::recorder::micros;
use super::upstream::Listener;
use super::{Exchange, GatewayBackend, translate};
use crate::{TriageError, traced};

/// One request to a server.
const PATIENCE: Duration = Duration::from_secs(120);
/// A stream of changes lasts as long as its client.
pub(super) const FOREVER: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often a server may ask back in one request.
const ROUNDS: usize = 16;
/// The key of a question that a server of the older era asked.
const QUESTION: &str = "question";

/// What of a request, a result or a question is text that people or machines wrote. The rest is the protocol's own: ids,
/// states, tokens, which have to come back as they were.
const ASKED: [&str; 4] = ["arguments", "inputResponses", "argument", "context"];
/// Of a result what is the protocol's own, or is masked by itself; everything else is text.
const PASSED: [&str; 24] = [
    "_meta",
    "cacheScope",
    "capabilities",
    "createdAt",
    "inputRequests",
    "isError",
    "lastUpdatedAt",
    "nextCursor",
    "pollInterval",
    "pollIntervalMs",
    "prompts",
    "protocolVersion",
    "requestState",
    "resourceTemplates",
    "resources",
    "result",
    "resultType",
    "serverInfo",
    "status",
    "supportedVersions",
    "taskId",
    "tools",
    "ttl",
    "ttlMs",
];
/// Of what a server says of its own accord.
const SAID: [&str; 8] = ["message", "data", "messages", "systemPrompt", "statusMessage", "content", "error", "result"];

/// Of what a client says about a call, what the protocol itself knows. The rest nobody has seen who approved the call.
fn keep_protocol(params: &mut Map<String, Value>) {
    const KNOWN: [&str; 8] =
        ["progressToken", "traceparent", "tracestate", "baggage", VERSION_KEY, CLIENT_KEY, CAPABILITIES_KEY, LOG_KEY];
    if let Some(Value::Object(meta)) = params.get_mut("_meta") {
        meta.retain(|key, _| KNOWN.contains(&key.as_str()));
    }
}

impl GatewayBackend {
    /// Mask the named fields.
    async fn mask_fields(
        &self,
        scope: &Scope,
        way: Way,
        fields: &mut Map<String, Value>,
        names: &[&str],
    ) -> Result<(), TriageError> {
        let mut picked = Map::new();
        for name in names {
            if let Some(value) = fields.get_mut(*name) {
                picked.insert((*name).to_owned(), value.take());
            }
        }
        if picked.is_empty() {
            return Ok(());
        }
        let mut value = Value::Object(picked);
        self.books.mask(&self.app, scope, way, &mut value).await?;
        if let Value::Object(masked) = value {
            fields.extend(masked);
        }
        Ok(())
    }

    /// Mask what is asked.
    pub(super) async fn mask_arguments(
        &self,
        scope: &Scope,
        params: &mut Map<String, Value>,
    ) -> Result<(), TriageError> {
        self.mask_fields(scope, Way::ToServer, params, &ASKED).await
    }

    /// Let what a client says of its trace go along, but for words in which something is found: a service can do without
    /// them, and nothing can be put back into them.
    async fn mask_context(&self, exchange: &Exchange, params: &mut Map<String, Value>) -> Result<(), TriageError> {
        let words = traced::strangers_words(&self.app, &exchange.span, params);
        let Some(Value::Object(meta)) = params.get_mut("_meta").filter(|_| !words.is_empty()) else { return Ok(()) };
        for word in words {
            let Some(said) = meta.get(word) else { continue };
            let mut masked = said.clone();
            self.books.mask(&self.app, &exchange.request.client.caller, Way::ToServer, &mut masked).await?;
            if masked != *said {
                meta.remove(word);
            }
        }
        Ok(())
    }

    /// Mask a result: what it brings, and what it asks.
    async fn mask_answer(&self, scope: &Scope, fields: &mut Map<String, Value>) -> Result<(), TriageError> {
        let said: Vec<String> = fields.keys().filter(|key| !PASSED.contains(&key.as_str())).cloned().collect();
        let said: Vec<&str> = said.iter().map(String::as_str).collect();
        self.mask_fields(scope, Way::ToCaller, fields, &said).await?;
        if let Some(Value::Object(result)) = fields.get_mut("result") {
            // Of a task that is done.
            let said: Vec<String> = result.keys().filter(|key| !PASSED.contains(&key.as_str())).cloned().collect();
            let said: Vec<&str> = said.iter().map(String::as_str).collect();
            self.mask_fields(scope, Way::ToCaller, result, &said).await?;
        }
        if let Some(Value::Object(questions)) = fields.get_mut("inputRequests") {
            for question in questions.values_mut() {
                if let Some(Value::Object(params)) = question.get_mut("params") {
                    self.mask_fields(scope, Way::ToCaller, params, &SAID).await?;
                }
            }
        }
        Ok(())
    }

    /// Mask what a server says of its own accord.
    pub(super) async fn mask_message(&self, client: &Client<Scope>, message: &mut Incoming) -> Result<(), TriageError> {
        let Value::Object(params) = &mut message.params else { return Ok(()) };
        self.mask_fields(&client.caller, Way::ToCaller, params, &SAID).await
    }

    /// Mask what a client answers to a server's question.
    pub(super) async fn mask_out(&self, client: &Client<Scope>, answer: &mut Value) -> Result<(), TriageError> {
        self.books.mask(&self.app, &client.caller, Way::ToServer, answer).await
    }

    /// Have the request approved where it has to be, put it on record, pass it on, and give the answer as the client takes it.
    pub(super) async fn forward(
        &self,
        exchange: &mut Exchange,
        server: &McpServer,
        mut params: Map<String, Value>,
    ) -> Result<Value, RpcError> {
        let client = Arc::clone(&exchange.request.client);
        exchange.spent.server.clone_from(&server.slug);
        let scanning = Instant::now();
        let masked = self.mask_fields(&client.caller, Way::ToServer, &mut params, &ASKED).await;
        let masked = match masked {
            Ok(()) => self.mask_context(exchange, &mut params).await,
            failed => failed,
        };
        exchange.spent.scan_us += micros(scanning);
        masked.map_err(super::refusal)?;
        if exchange.request.method == "tools/call" {
            let waiting = Instant::now();
            let asked = self.ask_first(exchange, &client, server, &params).await;
            exchange.spent.policy_us += micros(waiting);
            asked?;
            if exchange.spent.approval.is_some() {
                keep_protocol(&mut params);
            }
        }
        // From here on it is a call: what nobody approved has no entry that says it was made.
        self.begin(exchange, &params).await?;
        let passing = Instant::now();
        let tool = exchange.spent.is_known.then(|| exchange.spent.subject.clone());
        let span = traced::upstream_span(
            &self.app,
            &exchange.span,
            &exchange.request.method,
            server,
            tool.as_deref(),
            &mut params,
        );
        let again = server.signs_in().then(|| params.clone());
        let mut answer = Box::pin(self.passed(exchange, &client, server, params)).await;
        if let (Err(McpError::Auth(_)), Some(params)) = (&answer, again)
            && self.may_try_again(exchange, &client, server).await
        {
            answer = Box::pin(self.passed(exchange, &client, server, params)).await;
        }
        exchange.spent.upstream_us += micros(passing);
        traced::end_upstream(span, &answer);
        let mut result = match answer {
            Ok(result) => result,
            Err(McpError::Auth(text)) if server.signs_in() => {
                let error = McpError::SignIn(format!(
                    "The server did not let us in: {text}. Sign in again on its page in Fumehood."
                ));
                return Err(self.server_error(exchange, &client, error).await);
            }
            Err(error) => return Err(self.server_error(exchange, &client, error).await),
        };
        self.begun_tasks.begun(&client.caller, &server.slug, &result);
        let scanning = Instant::now();
        if let Value::Object(fields) = &mut result {
            let masked = self.mask_answer(&client.caller, fields).await;
            exchange.spent.scan_us += micros(scanning);
            masked.map_err(super::refusal)?;
        }
        if client.is_modern() {
            translate::for_modern(&exchange.request.method, &mut result);
        } else {
            translate::for_legacy(&mut result);
        }
        Ok(result)
    }

    /// Have a person approve a call whose tool is set so. One that goes on after a question was approved before.
    async fn ask_first(
        &self,
        exchange: &mut Exchange,
        client: &Client<Scope>,
        server: &McpServer,
        params: &Map<String, Value>,
    ) -> Result<(), RpcError> {
        let name = params.get("name").and_then(Value::as_str).unwrap_or_default();
        let served = self.app.served(&client.caller).await.map_err(super::refusal)?;
        let asks = served.find(Some(&server.slug), name).is_some_and(|(_, tool)| tool.rule != "allow");
        let state = params.get("requestState").and_then(Value::as_str).unwrap_or_default();
        if asks && !HeldCalls::is_ours(state) {
            exchange.spent.approval = Some((self.approved(exchange, server, params).await?, false));
        }
        Ok(())
    }

    /// Whether a server that did not take its token is worth another try, with a new one.
    async fn may_try_again(&self, exchange: &Exchange, client: &Arc<Client<Scope>>, server: &McpServer) -> bool {
        let Ok(upstream) = self.upstream(client, &exchange.request.link, server).await else { return false };
        match upstream.connection.challenge() {
            Some(said) => self.app.token_refused(&client.caller, server, &said).await,
            None => false,
        }
    }

    /// What a server, or the way to it, said went wrong.
    pub(super) async fn server_error(
        &self,
        exchange: &mut Exchange,
        client: &Client<Scope>,
        error: McpError,
    ) -> RpcError {
        let mut said = match error {
            McpError::Tool { code, message, data } => {
                let reading = exchange.request.method == "resources/read";
                // The eras number an unknown resource differently.
                let code = match (code, client.is_modern()) {
                    (rpc::RESOURCE_NOT_FOUND, true) => rpc::INVALID_PARAMS,
                    (rpc::INVALID_PARAMS, false) if reading => rpc::RESOURCE_NOT_FOUND,
                    (code, _) => code,
                };
                let data = match data {
                    Some(Value::Null) | None if reading && code == rpc::INVALID_PARAMS => {
                        exchange.request.params.get("uri").map(|uri| json!({"uri": uri}))
                    }
                    data => data,
                };
                RpcError { code, message, data }
            }
            error => {
                exchange.spent.timed_out = matches!(error, McpError::TimedOut { .. });
                RpcError::new(rpc::INTERNAL, error.to_string())
            }
        };
        let message = self.app.without_credentials(&client.caller, said.message).await;
        let mut fields = Map::from_iter([("message".to_owned(), Value::from(message))]);
        // The address that was asked for is the caller's own word.
        let asked = exchange.request.params.get("uri").map(|uri| json!({"uri": uri}));
        if let Some(data) = said.data.take_if(|data| Some(&*data) != asked.as_ref()) {
            fields.insert("data".to_owned(), data);
        }
        if self.mask_fields(&client.caller, Way::ToCaller, &mut fields, &["message", "data"]).await.is_err() {
            return RpcError::new(rpc::INTERNAL, "it failed, and what was said about it could not be masked");
        }
        said.message = fields.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
        said.data = said.data.or_else(|| fields.remove("data"));
        said
    }

    async fn passed(
        &self,
        exchange: &mut Exchange,
        client: &Arc<Client<Scope>>,
        server: &McpServer,
        mut params: Map<String, Value>,
    ) -> Result<Value, McpError> {
        let state = params.get("requestState").and_then(Value::as_str).unwrap_or_default();
        if HeldCalls::is_ours(state) {
            let answer = params.get("inputResponses").and_then(|all| all.get(QUESTION)).cloned();
            return self.go_on(exchange, client, server, state, answer).await;
        }
        let upstream = self.upstream(client, &exchange.request.link, server).await?;
        if exchange.request.method == "tools/call" {
            // Opening the connection may have found that the tool is not what a person has seen any more.
            let served = self.app.served(&client.caller).await;
            let served = served.map_err(|error| McpError::Protocol(error.to_string()))?;
            let name = params.get("name").and_then(Value::as_str).unwrap_or_default();
            let refused = |message| McpError::Tool { code: rpc::INVALID_PARAMS, message, data: None };
            let Some((_, tool)) = served.find(Some(&server.slug), name) else {
                return Err(refused(served.why_not(Some(&server.slug), name)));
            };
            match exchange.spent.approval {
                Some((id, false)) => {
                    self.use_approval(exchange, server, tool, &params, id).await?;
                    exchange.spent.approval = Some((id, true));
                }
                Some((_, true)) => {}
                None if tool.rule == "allow" => {}
                None => {
                    return Err(refused(format!("{name} needs a person's approval since a moment ago; call it again")));
                }
            }
        }
        let modern = upstream.is_modern();
        let token = params.get("_meta").and_then(|meta| meta.get("progressToken")).cloned();
        if let Some(Value::Object(meta)) = params.get_mut("_meta") {
            meta.remove(VERSION_KEY);
            if !modern {
                for key in [CLIENT_KEY, CAPABILITIES_KEY, LOG_KEY] {
                    meta.remove(key);
                }
            }
        }
        let method = exchange.request.method.clone();
        let patience = Patience::of(if method == "subscriptions/listen" { FOREVER } else { PATIENCE });
        let ask = |ticket: u64, params: Map<String, Value>, method: &str| Ask {
            method: method.to_owned(),
            params,
            ticket,
            progress: token.is_some(),
            patience: Some(Arc::clone(&patience)),
        };
        if !client.is_modern() && modern && matches!(method.as_str(), "resources/subscribe" | "resources/unsubscribe") {
            return self.subscribe_newer(&upstream, &method, &params).await;
        }
        if !client.is_modern() {
            // Tasks of the older era are not offered here, so none is begun.
            params.remove("task");
        }
        let link = exchange.request.link.clone();
        if method == "subscriptions/listen" {
            if !modern {
                return self.listen_older(exchange, &upstream, &params).await;
            }
            let listening =
                upstream.listen(Listener::Changes(link, exchange.request.id.clone(), None), Arc::clone(&patience));
            let cancel = exchange.request.cancel.clone();
            let wish = match upstream.connection.facts().raw().pointer("/capabilities/tools/listChanged") {
                Some(Value::Bool(true)) => params.get("notifications").cloned().unwrap_or_default(),
                _ => Value::Null,
            };
            let offer = self.tools_of(exchange, &wish).await;
            let answer = tokio::select! {
                answer = upstream.connection.pass(ask(listening.ticket, params, &method), cancel.cancelled()) => answer,
                never = tell_of_tools(&self.app, exchange, offer) => never,
            };
            // Going away is how a client ends this.
            return if matches!(answer, Err(McpError::Cancelled)) { Ok(json!({})) } else { answer };
        }
        if client.is_modern() && !modern {
            let (send, questions) = mpsc::channel(1);
            let listening = upstream.listen(Listener::Request(link, token.clone(), send), Arc::clone(&patience));
            let (connection, cancel) = (Arc::clone(&upstream.connection), CancellationToken::new());
            let asked = ask(listening.ticket, params, &method);
            let task = AbortOnDropHandle::new(tokio::spawn(async move {
                let _listening = listening;
                connection.pass(asked, cancel.cancelled()).await
            }));
            let call = HeldCall {
                caller: client.caller.clone(),
                server: server.slug.clone(),
                task,
                questions,
                upstream,
                asked: Value::Null,
                since: Instant::now(),
                patience,
                paused: None,
            };
            return self.wait(exchange, call).await;
        }
        let listening = upstream.listen(Listener::Session(link.clone(), token.clone()), Arc::clone(&patience));
        let cancel = exchange.request.cancel.clone();
        for _ in 0..ROUNDS {
            let asked = ask(listening.ticket, params.clone(), &method);
            let result = upstream.connection.pass(asked, cancel.cancelled()).await?;
            let wants_input = result.get("resultType").and_then(Value::as_str) == Some("input_required");
            if client.is_modern() || !wants_input {
                return Ok(result);
            }
            // A server of the newer era asks by way of its answer; a client of the older one is asked on the spot.
            let mut responses = Map::new();
            for (key, question) in result.get("inputRequests").and_then(Value::as_object).into_iter().flatten() {
                let asked = question.get("method").and_then(Value::as_str).unwrap_or_default();
                let mut about = question.get("params").cloned().unwrap_or_default();
                if let Value::Object(fields) = &mut about {
                    let masked = self.mask_fields(&client.caller, Way::ToCaller, fields, &SAID).await;
                    masked.map_err(|error| McpError::Protocol(error.to_string()))?;
                }
                let _pause = patience.pause();
                let mut answer = link.ask(asked, &about).await.map_err(|error| {
                    let said = error.get("message").and_then(Value::as_str).unwrap_or("the client did not answer");
                    let message = format!("the server asks {asked}, and: {said}");
                    McpError::Tool { code: rpc::INTERNAL, message, data: None }
                })?;
                let masked = self.mask_out(client, &mut answer).await;
                masked.map_err(|error| McpError::Protocol(error.to_string()))?;
                responses.insert(key.clone(), answer);
            }
            params.insert("inputResponses".into(), Value::Object(responses));
            match result.get("requestState") {
                Some(state) => params.insert("requestState".into(), state.clone()),
                None => params.remove("requestState"),
            };
        }
        Err(McpError::Protocol(format!("it asked back {ROUNDS} times in one request")))
    }

    /// Wait for the answer of a server of the older era, or for what it asks, which becomes the answer for now.
    async fn wait(&self, exchange: &mut Exchange, mut call: HeldCall) -> Result<Value, McpError> {
        let question = tokio::select! {
            biased;
            question = call.questions.recv() => question,
            answer = &mut call.task => {
                return answer.unwrap_or_else(|_| Err(McpError::Closed("the call was cut off".into())));
            }
            () = exchange.request.cancel.cancelled() => return Err(McpError::Cancelled),
        };
        let Some(question) = question else {
            let answer = (&mut call.task).await;
            return answer.unwrap_or_else(|_| Err(McpError::Closed("the call was cut off".into())));
        };
        call.asked = question.id.clone().unwrap_or_default();
        call.since = Instant::now();
        call.paused = Some(call.patience.pause());
        let state = self
            .held
            .keep(call)
            .ok_or_else(|| McpError::Unreachable("too many calls wait for their clients; try again later".into()))?;
        Ok(translate::input_required(QUESTION, &question.method, &question.params, &state))
    }

    /// Go on with a call whose client has answered.
    async fn go_on(
        &self,
        exchange: &mut Exchange,
        client: &Arc<Client<Scope>>,
        server: &McpServer,
        state: &str,
        answer: Option<Value>,
    ) -> Result<Value, McpError> {
        let invalid =
            |message: &str| McpError::Tool { code: rpc::INVALID_PARAMS, message: message.to_owned(), data: None };
        let Some(answer) = answer.filter(Value::is_object) else {
            return Err(invalid("`inputResponses` does not answer `question`"));
        };
        let Some(mut call) = self.held.take(state, &client.caller, &server.slug) else {
            return Err(invalid("this state is not known: the call was answered, ran out, or was another's"));
        };
        call.upstream.connection.answer(&call.asked, Ok(answer));
        call.paused = None;
        self.wait(exchange, call).await
    }
}
