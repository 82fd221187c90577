//! What a model, or a caller of the gateway, can be offered.
//!
//! Invariant: only a tool that its server describes as a person has seen it is offered.

use fumehood_mcp::assign;
use fumehood_policy::Permission;
use fumehood_store::outside::{McpServer, Standing, Tool};
use fumehood_store::{Scope, ServerId};
use sha2::{Digest as _, Sha256};

use crate::{App, TriageError};

/// A tool as the model is offered it.
#[derive(Clone, Debug)]
pub struct OfferedTool {
    /// `mcp_{server}_{tool}`.
    pub name: String,
    pub server_id: ServerId,
    pub server: String,
    /// The server's own name for it.
    pub tool: String,
    pub description: String,
    /// JSON Schema.
    pub schema: serde_json::Value,
    /// `allow` or `ask`.
    pub rule: String,
    /// By the server's own words: `low` where it changes nothing, `medium` where nothing is lost by what it changes, and
    /// otherwise `high`.
    pub risk: &'static str,
    /// Hash of the whole tool object.
    pub sha256: Vec<u8>,
}

/// What can be offered, and what cannot and why.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    pub tools: Vec<OfferedTool>,
    /// Server name and what is wrong.
    pub problems: Vec<(String, String)>,
}

/// How much a call can do, by the server's own words; by the protocol, what says nothing may destroy.
fn risk(raw: &serde_json::Value) -> &'static str {
    let says = |hint: &str| raw.pointer(&format!("/annotations/{hint}")).and_then(serde_json::Value::as_bool);
    match (says("readOnlyHint"), says("destructiveHint")) {
        (Some(true), _) => "low",
        (_, Some(false)) => "medium",
        _ => "high",
    }
}

fn offered(server: &McpServer, name: String, tool: &Tool, raw: &serde_json::Value) -> OfferedTool {
    OfferedTool {
        name,
        server_id: server.id,
        server: server.name.clone(),
        tool: tool.name.clone(),
        description: raw.get("description").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned(),
        schema: raw
            .get("inputSchema")
            .filter(|schema| schema.is_object())
            .cloned()
            .unwrap_or_else(|| serde_json::json!({"type": "object"})),
        risk: risk(raw),
        rule: tool.rule.clone(),
        sha256: fumehood_mcp::tool_sha256(raw).to_vec(),
    }
}

/// `a, b and 3 more`.
fn some_of(names: &[&str]) -> String {
    match names {
        [first, second, third, rest @ ..] if !rest.is_empty() => {
            format!("{first}, {second}, {third} and {} more", rest.len())
        }
        names => names.join(", "),
    }
}

impl App {
    /// What can be offered, from the last discovery of each server.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn catalogue(&self, scope: &Scope) -> Result<Catalogue, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        let servers: Vec<McpServer> =
            self.0.store.servers(scope).await?.into_iter().filter(|server| server.enabled).collect();
        let mut known = self.0.store.tools(scope, None).await?;
        known.retain(|tool| tool.seen.is_some());
        let mut catalogue = Catalogue::default();
        for server in &servers {
            match server.state.as_str() {
                "connected" => {}
                "pending" => catalogue.problems.push((server.name.clone(), "is still connecting".into())),
                _ => catalogue.problems.push((server.name.clone(), server.reason.clone())),
            }
        }
        let connected = || servers.iter().filter(|server| server.state == "connected");
        let of = |server: &McpServer| {
            known.iter().filter({
                let id = server.id;
                move |tool| tool.server_id == id
            })
        };
        // All servers at once: names of different servers can run into each other, too.
        let tools: Vec<_> = connected()
            .map(|server| (server.slug.clone(), of(server).map(|tool| tool.name.clone()).collect()))
            .collect();
        let mut names = assign(&tools).into_iter();
        for server in connected() {
            let (mut waiting, mut denied, before) = (Vec::new(), 0, catalogue.tools.len());
            for tool in of(server) {
                let name = match names.next() {
                    Some(Ok(name)) => name,
                    Some(Err(collision)) => {
                        let problem = (server.name.clone(), collision.to_string());
                        if !catalogue.problems.contains(&problem) {
                            catalogue.problems.push(problem);
                        }
                        continue;
                    }
                    None => continue,
                };
                match (&tool.pinned, tool.standing()) {
                    (Some(_), Standing::Pinned) if tool.rule == "deny" => denied += 1,
                    (Some(raw), Standing::Pinned) => catalogue.tools.push(offered(server, name, tool, raw)),
                    _ => waiting.push(tool.name.as_str()),
                }
            }
            if !waiting.is_empty() {
                let problem = format!(
                    "is connected, and {} of its tools {} until a person has looked at what the server says of them: {}",
                    waiting.len(),
                    if waiting.len() == 1 { "waits" } else { "wait" },
                    some_of(&waiting)
                );
                catalogue.problems.push((server.name.clone(), problem));
            } else if denied > 0 && catalogue.tools.len() == before {
                catalogue.problems.push((server.name.clone(), "is connected, and all of its tools are denied".into()));
            }
        }
        catalogue.tools.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(catalogue)
    }
}

/// A tool as callers of the gateway are served it.
#[derive(Clone, Debug)]
pub struct ServedTool {
    pub server_id: ServerId,
    /// The server's own name for it.
    pub name: String,
    /// Where several servers are one.
    pub full_name: String,
    /// The whole object, as a person has seen it.
    pub raw: serde_json::Value,
    /// Of the object.
    pub hash: [u8; 32],
    /// `allow` or `ask`.
    pub rule: String,
}

impl ServedTool {
    /// The object under a name.
    pub fn named(&self, name: &str) -> serde_json::Value {
        let mut raw = self.raw.clone();
        if let serde_json::Value::Object(fields) = &mut raw {
            fields.insert("name".into(), name.into());
        }
        raw
    }
}

/// What the gateway serves.
#[derive(Clone, Debug, Default)]
pub struct Served {
    /// Those that are switched on.
    pub servers: Vec<McpServer>,
    pub tools: Vec<ServedTool>,
    /// Why tools are not served: server, own name, full name, and the reason.
    refused: Vec<(ServerId, String, String, &'static str)>,
}

impl Served {
    fn server(&self, id: ServerId) -> Option<&McpServer> {
        self.servers.iter().find(|server| server.id == id)
    }

    /// Whether a tool is of the one server that is spoken to, if it is one.
    fn fits(&self, only: Option<&str>, id: ServerId) -> bool {
        only.is_none_or(|slug| self.server(id).is_some_and(|server| server.slug == slug))
    }

    /// The tools of one server under their own names, or of all; in the servers' order.
    pub fn of<'a>(&'a self, only: Option<&'a str>) -> impl Iterator<Item = (&'a str, &'a ServedTool)> {
        let mine = self.tools.iter().filter(move |tool| self.fits(only, tool.server_id));
        let mine = mine.filter(move |tool| only.is_some() || !tool.full_name.is_empty());
        mine.map(move |tool| (if only.is_some() { tool.name.as_str() } else { tool.full_name.as_str() }, tool))
    }

    /// A tool by the name that the caller knows.
    pub fn find<'a>(&'a self, only: Option<&'a str>, name: &str) -> Option<(&'a McpServer, &'a ServedTool)> {
        let (_, tool) = self.of(only).find(|(known, _)| *known == name)?;
        Some((self.server(tool.server_id)?, tool))
    }

    /// Why there is no such tool, in a sentence.
    pub fn why_not(&self, only: Option<&str>, name: &str) -> String {
        let refused = self
            .refused
            .iter()
            .find(|(id, own, full, _)| self.fits(only, *id) && name == if only.is_some() { own } else { full });
        match refused {
            Some((.., reason)) => format!("{name} {reason}"),
            None => format!("there is no tool {name}"),
        }
    }
}

/// What is served, as long as nothing changes.
#[derive(Default)]
pub(crate) struct ServedCache {
    changes: tokio::sync::watch::Sender<u64>,
    held: std::sync::Mutex<Option<(u64, String, std::sync::Arc<Served>)>>,
}

impl ServedCache {
    /// Something about servers or tools has changed.
    pub(crate) fn forget(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Hears of each change.
    pub(crate) fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn now(&self) -> u64 {
        *self.changes.borrow()
    }
}

impl App {
    /// What the gateway serves.
    ///
    /// # Errors
    /// `Forbidden`, or what the store says.
    pub(crate) async fn served(&self, scope: &Scope) -> Result<std::sync::Arc<Served>, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        let cache = &self.0.tools.served;
        let now = cache.now();
        if let Ok(held) = cache.held.lock()
            && let Some((at, tenant, served)) = held.as_ref()
            && (*at, tenant) == (now, &scope.tenant)
        {
            return Ok(std::sync::Arc::clone(served));
        }
        let mut servers = self.0.store.servers(scope).await?;
        servers.retain(|server| server.enabled);
        let mut served = Served { servers, ..Served::default() };
        let known = self.0.store.tools(scope, None).await?;
        for tool in known.into_iter().filter(|tool| tool.seen.is_some()) {
            let Some(slug) = served.server(tool.server_id).map(|server| server.slug.clone()) else { continue };
            let (standing, full_name) = (tool.standing(), fumehood_mcp::tool_name(&slug, &tool.name));
            let refused = match standing {
                Standing::Pinned if tool.rule == "deny" => "is denied by a rule",
                Standing::Pinned => "",
                Standing::New => "waits until a person has looked at what its server says of it",
                _ => "is not what a person has seen any more, and waits until one has looked at the difference",
            };
            match tool.pinned {
                Some(raw) if refused.is_empty() => served.tools.push(ServedTool {
                    server_id: tool.server_id,
                    name: tool.name,
                    full_name,
                    hash: Sha256::digest(raw.to_string()).into(),
                    raw,
                    rule: tool.rule,
                }),
                _ => served.refused.push((tool.server_id, tool.name, full_name, refused)),
            }
        }
        // Of tools that would be called the same none is served where several servers are one.
        let mut counts = std::collections::HashMap::<String, usize>::new();
        for tool in &served.tools {
            *counts.entry(tool.full_name.clone()).or_default() += 1;
        }
        for tool in &mut served.tools {
            if counts.get(&tool.full_name).is_some_and(|count| *count > 1) {
                tool.full_name = String::new();
            }
        }
        let served = std::sync::Arc::new(served);
        if let Ok(mut held) = cache.held.lock() {
            *held = Some((now, scope.tenant.clone(), std::sync::Arc::clone(&served)));
        }
        Ok(served)
    }
}
