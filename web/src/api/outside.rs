//! What is set up: the model, MCP servers, plugins.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use fumehood_triage::TriageError;
use fumehood_triage::tools::Standing;

use super::caller::Caller;
use super::types::{ModelOut, PluginOut, ServerOut};
use crate::Shared;
use crate::problem::Problem;

/// Read which model is set up
#[utoipa::path(get, path = "/model", operation_id = "readModel", tag = "settings",
    responses((status = 200, description = "The model; its key is never read back", body = ModelOut), Problem))]
pub async fn model(State(shared): State<Arc<Shared>>, Caller(scope): Caller) -> Result<Json<ModelOut>, Problem> {
    let model = shared
        .app
        .model(&scope)
        .await?
        .ok_or(TriageError::NotFound { what: "model yet; add one under Settings → Models" })?;
    Ok(Json(ModelOut { base_url: model.base_url, model: model.model, has_key: model.credential_id.is_some() }))
}

/// List MCP servers
#[utoipa::path(get, path = "/servers", operation_id = "listServers", tag = "settings",
    responses((status = 200, description = "The servers with what they offer", body = Vec<ServerOut>), Problem))]
pub async fn servers(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
) -> Result<Json<Vec<ServerOut>>, Problem> {
    let servers = shared.app.servers(&scope).await?;
    let catalogue = shared.app.catalogue(&scope).await?;
    let mut out = Vec::with_capacity(servers.len());
    for server in servers {
        let own = catalogue.problems.iter().filter(|(name, _)| server.state == "connected" && *name == server.name);
        let refused = own.map(|(_, problem)| problem.clone()).collect();
        let tools = shared.app.tool_reviews(&scope, server.id).await?;
        let there = tools.iter().filter(|tool| tool.standing != Standing::Gone).count();
        let waiting = tools.iter().filter(|tool| tool.standing.waits()).count();
        out.push(ServerOut::new(server, there, waiting, refused));
    }
    Ok(Json(out))
}

/// List plugins and what they may do
#[utoipa::path(get, path = "/plugins", operation_id = "listPlugins", tag = "settings",
    responses((status = 200, description = "The plugins of this server", body = Vec<PluginOut>), Problem))]
pub async fn plugins(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
) -> Result<Json<Vec<PluginOut>>, Problem> {
    let plugin = |plugin: fumehood_triage::plugins::PluginInfo| PluginOut {
        name: plugin.name,
        version: plugin.version,
        world: plugin.world,
        digest: format!("sha256:{}", plugin.digest),
        may: plugin.may,
    };
    Ok(Json(shared.app.plugins(&scope).await?.into_iter().map(plugin).collect()))
}
