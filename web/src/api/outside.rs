//! What is set up: the model, MCP servers, plugins.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use fumehood_triage::TriageError;

use super::caller::Caller;
use super::types::{ModelOut, PluginOut, ServerOut};
use crate::Shared;
use crate::problem::Problem;

/// Read which model is set up
#[utoipa::path(get, path = "/model", tag = "settings",
    responses((status = 200, body = ModelOut), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub async fn model(State(shared): State<Arc<Shared>>, Caller(scope): Caller) -> Result<Json<ModelOut>, Problem> {
    let model = shared
        .app
        .model(&scope)
        .await?
        .ok_or(TriageError::NotFound { what: "model yet; add one under Settings → Models" })?;
    Ok(Json(ModelOut { base_url: model.base_url, model: model.model, has_key: model.credential_id.is_some() }))
}

/// List MCP servers
#[utoipa::path(get, path = "/servers", tag = "settings",
    responses((status = 200, body = Vec<ServerOut>), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub async fn servers(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
) -> Result<Json<Vec<ServerOut>>, Problem> {
    let servers = shared.app.servers(&scope).await?;
    Ok(Json(servers.into_iter().map(Into::into).collect()))
}

/// List plugins and what they may do
#[utoipa::path(get, path = "/plugins", tag = "settings",
    responses((status = 200, body = Vec<PluginOut>), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub async fn plugins(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
) -> Result<Json<Vec<PluginOut>>, Problem> {
    let plugin = |plugin: fumehood_triage::plugins::PluginInfo| PluginOut {
        name: plugin.name,
        version: plugin.version,
        world: plugin.world,
        digest: plugin.digest,
        may: plugin.may,
    };
    Ok(Json(shared.app.plugins(&scope).await?.into_iter().map(plugin).collect()))
}
