//! What a model, or a caller of the gateway, can be offered.
//!
//! Invariant: only a tool that its server describes as a person has seen it is offered.

use fumehood_mcp::assign;
use fumehood_policy::Permission;
use fumehood_store::outside::{McpServer, Standing, Tool};
use fumehood_store::{Scope, ServerId};

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
    /// The server says of it that it changes nothing.
    pub read_only_hint: bool,
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
        read_only_hint: raw.pointer("/annotations/readOnlyHint").and_then(serde_json::Value::as_bool).unwrap_or(false),
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
