//! What is set up to be reached.

use fumehood_triage::store::outside;
use serde::Serialize;
use utoipa::ToSchema;

/// The model that is set up. Its key is never read back.
#[derive(Serialize, ToSchema)]
pub struct ModelOut {
    pub base_url: String,
    pub model: String,
    pub has_key: bool,
}

/// An MCP server.
#[derive(Serialize, ToSchema)]
pub struct ServerOut {
    pub id: String,
    pub name: String,
    pub transport: String,
    pub url: String,
    pub command: String,
    /// pending, connected, sign-in (somebody has to sign in there), unreachable or error
    pub state: String,
    pub reason: String,
    /// Tools that it has.
    pub tools: usize,
    /// Tools that wait until a person has looked at them.
    pub waiting: usize,
    /// Why some of them are not offered to the model, each in a sentence.
    pub refused: Vec<String>,
}

impl ServerOut {
    /// A server with what the catalogue of tools says about it.
    pub fn new(server: outside::McpServer, tools: usize, waiting: usize, refused: Vec<String>) -> Self {
        Self {
            refused,
            tools,
            waiting,
            id: server.id.to_string(),
            name: server.name,
            transport: server.transport,
            url: server.url,
            command: server.command,
            state: server.state,
            reason: server.reason,
        }
    }
}

/// A plugin.
#[derive(Serialize, ToSchema)]
pub struct PluginOut {
    pub name: String,
    pub version: String,
    pub world: String,
    pub digest: String,
    /// What it may do, in sentences.
    pub may: Vec<String>,
}
