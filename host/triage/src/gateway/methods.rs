//! The methods of the protocol: which server each is for, and what the gateway answers itself.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use fumehood_mcp::gateway::{LEGACY, MODERN, RpcError, rpc};
use fumehood_mcp::tool_name;
use fumehood_policy::Permission;
use fumehood_store::outside::McpServer;
use serde_json::{Map, Value, json};

use super::recorder::micros;
use super::{Exchange, GatewayBackend, own, refusal, translate};

/// Set a text of an object.
fn put(value: &mut Value, key: &str, text: String) {
    if let Value::Object(fields) = value {
        fields.insert(key.into(), text.into());
    }
}

/// Methods that have a server do or tell something, beside its tools.
const USED: [&str; 9] = [
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "prompts/get",
    "completion/complete",
    "subscriptions/listen",
    "tasks/get",
    "tasks/update",
    "tasks/cancel",
];
/// How long one of several servers may take for its part of a list.
const PART: Duration = Duration::from_secs(20);
/// Pages of a list that are put together from one server.
const PAGES: usize = 100;
/// And their bytes, of all servers together.
const LIST_BYTES: usize = 16 << 20;

impl GatewayBackend {
    pub(super) async fn dispatch(&self, exchange: &mut Exchange) -> Result<Value, RpcError> {
        let method = exchange.request.method.clone();
        let modern = exchange.request.client.is_modern();
        // Who may only look sees what there is.
        if USED.contains(&method.as_str()) {
            self.app.require(&exchange.request.client.caller, Permission::CallTools).map_err(refusal)?;
        }
        match method.as_str() {
            "initialize" if !modern => self.introduce(exchange).await,
            "server/discover" if modern => self.introduce(exchange).await,
            "ping" if !modern => Ok(json!({})),
            "tools/list" => self.list_tools(exchange).await,
            "tools/call" => self.call_tool(exchange).await,
            "resources/list" => self.list(exchange, "resources").await,
            "resources/templates/list" => self.list(exchange, "resourceTemplates").await,
            "prompts/list" => self.list(exchange, "prompts").await,
            "resources/read" => self.by_uri(exchange).await,
            "resources/subscribe" | "resources/unsubscribe" if !modern => self.by_uri(exchange).await,
            "prompts/get" => self.get_prompt(exchange).await,
            "completion/complete" => self.complete(exchange).await,
            "logging/setLevel" if !modern => self.set_level(exchange).await,
            "subscriptions/listen" if modern && exchange.request.client.server.is_none() => {
                self.listen_all(exchange).await
            }
            "subscriptions/listen" if modern => self.only(exchange).await,
            "tasks/get" | "tasks/update" | "tasks/cancel" if modern => {
                let server = exchange.request.client.server.clone().unwrap_or_default();
                self.begun_tasks.check(&exchange.request.client, &server, &exchange.request.params)?;
                self.only(exchange).await
            }
            _ => Err(RpcError::new(rpc::METHOD_NOT_FOUND, format!("there is no method {method}"))),
        }
    }

    /// The servers that this client speaks to.
    pub(super) async fn servers(&self, exchange: &Exchange) -> Result<Vec<McpServer>, RpcError> {
        let client = &exchange.request.client;
        let served = self.app.served(&client.caller).await.map_err(refusal)?;
        let fits = |server: &&McpServer| client.server.as_ref().is_none_or(|only| server.slug == *only);
        let servers: Vec<McpServer> = served.servers.iter().filter(fits).cloned().collect();
        match (&client.server, servers.is_empty()) {
            (Some(only), true) => Err(RpcError::new(rpc::INVALID_PARAMS, format!("there is no server {only}"))),
            _ => Ok(servers),
        }
    }

    async fn the_one(&self, exchange: &Exchange) -> Result<Option<McpServer>, RpcError> {
        let servers = self.servers(exchange).await?;
        Ok(if exchange.request.client.server.is_some() { servers.into_iter().next() } else { None })
    }

    /// What is passed on to the one server that is spoken to.
    async fn only(&self, exchange: &mut Exchange) -> Result<Value, RpcError> {
        match self.the_one(exchange).await? {
            Some(server) => {
                let params = exchange.request.params.clone();
                self.forward(exchange, &server, params).await
            }
            None => {
                let what = "this is answered where one server is spoken to, at /mcp/NAME";
                Err(RpcError::new(rpc::METHOD_NOT_FOUND, what))
            }
        }
    }

    /// `initialize` and `server/discover`.
    async fn introduce(&self, exchange: &mut Exchange) -> Result<Value, RpcError> {
        let versions: Vec<&str> = std::iter::once(MODERN).chain(LEGACY).collect();
        let client = exchange.request.client.clone();
        let facts = match self.the_one(exchange).await? {
            Some(server) => {
                exchange.spent.server.clone_from(&server.slug);
                let params = exchange.request.params.clone();
                self.begin(exchange, &params).await?;
                let began = Instant::now();
                let upstream = self.upstream(&client, &exchange.request.link, &server).await;
                exchange.spent.upstream_us += micros(began);
                match upstream {
                    Ok(upstream) => told_of_tools(upstream.connection.facts().raw().clone(), client.is_modern()),
                    Err(error) => return Err(self.server_error(exchange, &client, error).await),
                }
            }
            None => json!({
                // A session hears of all lists of the servers that it has spoken to; a stream of tools and resources.
                "capabilities": {
                    "tools": {"listChanged": true}, "completions": {}, "logging": {},
                    "resources": {"listChanged": !client.is_modern(), "subscribe": true},
                    "prompts": {"listChanged": !client.is_modern()},
                },
                "serverInfo": {"name": "fumehood", "title": "Fumehood", "version": env!("CARGO_PKG_VERSION")},
            }),
        };
        Ok(if client.is_modern() {
            translate::discovered(&facts, &versions)
        } else {
            self.follow_session(&client, &exchange.request.link).await;
            translate::initialized(&facts, &client.version)
        })
    }

    pub(super) fn finished(&self, exchange: &Exchange, mut result: Value) -> Value {
        if exchange.request.client.is_modern() {
            translate::for_modern(&exchange.request.method, &mut result);
        }
        result
    }

    async fn list_tools(&self, exchange: &mut Exchange) -> Result<Value, RpcError> {
        let began = Instant::now();
        let servers = self.servers(exchange).await?;
        let client = exchange.request.client.clone();
        if let (Some(only), [server]) = (&client.server, servers.as_slice()) {
            exchange.spent.server.clone_from(only);
            // Where nothing is known of it yet, the connection finds out; an error is told and no empty list.
            if server.state != "connected" {
                let params = exchange.request.params.clone();
                self.begin(exchange, &params).await?;
                if let Err(error) = self.upstream(&client, &exchange.request.link, server).await {
                    return Err(self.server_error(exchange, &client, error).await);
                }
            }
        }
        let served = self.app.served(&client.caller).await.map_err(refusal)?;
        // Our own come with all servers together.
        let mut tools: Vec<Value> = own::tools().filter(|_| client.server.is_none()).collect();
        tools.extend(served.of(client.server.as_deref()).map(|(name, tool)| tool.named(name)));
        exchange.spent.policy_us += micros(began);
        Ok(self.finished(exchange, json!({"tools": tools})))
    }

    async fn call_tool(&self, exchange: &mut Exchange) -> Result<Value, RpcError> {
        let began = Instant::now();
        let client = exchange.request.client.clone();
        let name = exchange.request.params.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        exchange.spent.subject.clone_from(&name);
        self.limits.take(&client.caller, &name)?;
        if client.server.is_none() && own::is_own(&name) {
            return self.call_own(exchange, &name).await;
        }
        let served = self.app.served(&client.caller).await.map_err(refusal)?;
        let Some((server, tool)) = served.find(client.server.as_deref(), &name) else {
            self.servers(exchange).await?;
            let why = served.why_not(client.server.as_deref(), &name);
            return Err(RpcError::new(rpc::INVALID_PARAMS, why));
        };
        exchange.spent.server.clone_from(&server.slug);
        exchange.spent.subject.clone_from(&tool.name);
        exchange.spent.is_known = true;
        self.app.require(&client.caller, Permission::CallTools).map_err(refusal)?;
        let mut params = exchange.request.params.clone();
        params.insert("name".into(), tool.name.as_str().into());
        let (server, apart) = (server.clone(), client.server.is_none());
        exchange.spent.policy_us += micros(began);
        let mut result = self.forward(exchange, &server, params).await?;
        if apart {
            translate::prefix_uris(&mut result, &translate::scheme(&server));
        }
        Ok(result)
    }

    /// A list that each server has its own part of.
    async fn list(&self, exchange: &mut Exchange, key: &str) -> Result<Value, RpcError> {
        if let Some(server) = self.the_one(exchange).await? {
            let params = exchange.request.params.clone();
            return self.forward(exchange, &server, params).await;
        }
        let offers = if key == "prompts" { "prompts" } else { "resources" };
        let (mut all, mut left, mut answered, mut problem) = (Vec::new(), LIST_BYTES, false, None);
        for server in self.servers(exchange).await? {
            // One that cannot be reached does not keep back what the others have.
            let part = tokio::time::timeout(PART, self.whole_list(exchange, &server, key, offers, &mut left)).await;
            let late = |_| {
                let what =
                    format!("it gave no list within {} s; speak to it alone, at /mcp/{}", PART.as_secs(), server.slug);
                Err(RpcError::new(rpc::INTERNAL, what))
            };
            let mut part = match part.unwrap_or_else(late) {
                Ok(part) => part,
                Err(error) => {
                    problem.get_or_insert(RpcError { message: format!("{}: {}", server.name, error.message), ..error });
                    continue;
                }
            };
            answered = true;
            for item in &mut part {
                translate::prefix_uris(item, &translate::scheme(&server));
                if let (true, Some(name)) = (key == "prompts", item.get("name").and_then(Value::as_str)) {
                    let name = tool_name(&server.slug, name);
                    put(item, "name", name);
                }
            }
            all.append(&mut part);
        }
        exchange.spent.server.clear();
        match problem {
            // No empty list for what could not be asked.
            Some(problem) if !answered => Err(problem),
            _ => Ok(self.finished(exchange, json!({key: all}))),
        }
    }

    async fn whole_list(
        &self,
        exchange: &mut Exchange,
        server: &McpServer,
        key: &str,
        offers: &str,
        left: &mut usize,
    ) -> Result<Vec<Value>, RpcError> {
        let client = exchange.request.client.clone();
        let asked = exchange.request.params.clone();
        self.begin(exchange, &asked).await?;
        let upstream = match self.upstream(&client, &exchange.request.link, server).await {
            Ok(upstream) => upstream,
            Err(error) => return Err(self.server_error(exchange, &client, error).await),
        };
        if !upstream.connection.facts().offers(offers) {
            return Ok(Vec::new());
        }
        let (mut all, mut seen, mut cursor) = (Vec::new(), HashSet::new(), None::<String>);
        for _ in 0..PAGES {
            let mut params = exchange.request.params.clone();
            params.remove("cursor");
            if let Some(cursor) = &cursor {
                params.insert("cursor".into(), cursor.as_str().into());
            }
            let mut page = self.forward(exchange, server, params).await?;
            let items = page.get_mut(key).map(Value::take).unwrap_or_default();
            let bytes = items.to_string().len();
            *left = left.checked_sub(bytes).ok_or_else(|| {
                let what = format!("its list is longer than {} MiB; speak to it alone, at /mcp/NAME", LIST_BYTES >> 20);
                RpcError::new(rpc::INTERNAL, what)
            })?;
            if let Value::Array(items) = items {
                all.extend(items);
            }
            cursor = page.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
            match &cursor {
                Some(next) if seen.insert(next.clone()) => {}
                _ => break,
            }
        }
        Ok(all)
    }

    /// The server that a URI is of, and the URI as it knows it.
    async fn owner(&self, exchange: &Exchange, uri: &str) -> Result<(McpServer, String), RpcError> {
        if let Some(server) = self.the_one(exchange).await? {
            return Ok((server, uri.to_owned()));
        }
        let servers = self.servers(exchange).await?;
        let split = uri.split_once('+');
        let found = split.and_then(|(scheme, rest)| {
            let server = servers.into_iter().find(|server| translate::scheme(server) == scheme)?;
            Some((server, rest.to_owned()))
        });
        let unknown = if exchange.request.client.is_modern() { rpc::INVALID_PARAMS } else { rpc::RESOURCE_NOT_FOUND };
        found.ok_or_else(|| RpcError::new(unknown, format!("there is no resource {uri}")).with(json!({"uri": uri})))
    }

    async fn by_uri(&self, exchange: &mut Exchange) -> Result<Value, RpcError> {
        let uri = exchange.request.params.get("uri").and_then(Value::as_str).unwrap_or_default().to_owned();
        exchange.spent.subject.clone_from(&uri);
        let (server, own) = self.owner(exchange, &uri).await?;
        let mut params = exchange.request.params.clone();
        if exchange.request.params.contains_key("uri") {
            params.insert("uri".into(), own.into());
        }
        let apart = exchange.request.client.server.is_none();
        let mut result = self.forward(exchange, &server, params).await?;
        if apart {
            translate::prefix_uris(&mut result, &translate::scheme(&server));
        }
        Ok(result)
    }

    /// The server that a prompt is of, and the prompt's own name there.
    async fn prompt(&self, exchange: &mut Exchange, name: &str) -> Result<(McpServer, String), RpcError> {
        if let Some(server) = self.the_one(exchange).await? {
            return Ok((server, name.to_owned()));
        }
        for server in self.servers(exchange).await? {
            if !name.starts_with(&format!("mcp_{}_", server.slug)) {
                continue;
            }
            let method = std::mem::replace(&mut exchange.request.method, "prompts/list".into());
            let params = std::mem::take(&mut exchange.request.params);
            // Looked up on the way, without a row: the request itself has one.
            let begun = std::mem::replace(&mut exchange.spent.begun, true);
            let prompts = self.whole_list(exchange, &server, "prompts", "prompts", &mut LIST_BYTES.clone()).await;
            exchange.spent.begun = begun;
            (exchange.request.method, exchange.request.params) = (method, params);
            for prompt in prompts? {
                let own = prompt.get("name").and_then(Value::as_str).unwrap_or_default();
                if tool_name(&server.slug, own) == name {
                    return Ok((server, own.to_owned()));
                }
            }
        }
        Err(RpcError::new(rpc::INVALID_PARAMS, format!("there is no prompt {name}")))
    }

    async fn get_prompt(&self, exchange: &mut Exchange) -> Result<Value, RpcError> {
        let name = exchange.request.params.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        exchange.spent.subject.clone_from(&name);
        let (server, own) = self.prompt(exchange, &name).await?;
        let mut params = exchange.request.params.clone();
        params.insert("name".into(), own.into());
        let apart = exchange.request.client.server.is_none();
        let mut result = self.forward(exchange, &server, params).await?;
        if apart {
            translate::prefix_uris(&mut result, &translate::scheme(&server));
        }
        Ok(result)
    }

    async fn complete(&self, exchange: &mut Exchange) -> Result<Value, RpcError> {
        let mut params = exchange.request.params.clone();
        let text = |params: &Map<String, Value>, key: &str| {
            params.get("ref").and_then(|of| of.get(key)).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (name, uri) = (text(&params, "name"), text(&params, "uri"));
        exchange.spent.subject = if uri.is_empty() { name.clone() } else { uri.clone() };
        let server = if uri.is_empty() {
            let (server, own) = self.prompt(exchange, &name).await?;
            if let Some(of) = params.get_mut("ref").filter(|_| !name.is_empty()) {
                put(of, "name", own);
            }
            server
        } else {
            let (server, own) = self.owner(exchange, &uri).await?;
            if let Some(of) = params.get_mut("ref") {
                put(of, "uri", own);
            }
            server
        };
        self.forward(exchange, &server, params).await
    }

    /// Log lines of what level the session's servers are to send.
    async fn set_level(&self, exchange: &mut Exchange) -> Result<Value, RpcError> {
        if let Some(server) = self.the_one(exchange).await? {
            let client = exchange.request.client.clone();
            let params = exchange.request.params.clone();
            self.begin(exchange, &params).await?;
            let upstream = match self.upstream(&client, &exchange.request.link, &server).await {
                Ok(upstream) => upstream,
                Err(error) => return Err(self.server_error(exchange, &client, error).await),
            };
            if upstream.connection.facts().offers("logging") && !upstream.is_modern() {
                self.forward(exchange, &server, params).await?;
            }
            return Ok(json!({}));
        }
        let params = exchange.request.params.clone();
        self.begin(exchange, &params).await?;
        let session = exchange.request.client.session.clone().unwrap_or_default();
        self.upstreams.set_level(&session, &exchange.request.params).await;
        Ok(json!({}))
    }
}

/// What a server says of itself, to a session: changes of its tools are ours to tell, whether it tells of them or not.
fn told_of_tools(mut facts: Value, modern: bool) -> Value {
    if !modern && let Some(Value::Object(tools)) = facts.pointer_mut("/capabilities/tools") {
        tools.insert("listChanged".into(), true.into());
    }
    facts
}
