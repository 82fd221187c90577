//! What is set up: the model, MCP servers, plugins.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use fumehood_triage::TriageError;
use fumehood_triage::settings::{NewServer, Secret};

use super::caller::{Body, Caller, id};
use super::types::{IdOut, ModelIn, ModelOut, PluginOut, ServerIn, ServerOut};
use crate::Shared;
use crate::problem::Problem;

/// Read which model is set up
#[utoipa::path(get, path = "/model", tag = "settings",
    responses((status = 200, body = ModelOut), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub async fn model(State(shared): State<Arc<Shared>>, Caller(scope): Caller) -> Result<Json<ModelOut>, Problem> {
    let model = shared.app.model(&scope).await?.ok_or(TriageError::NotFound { what: "model yet; add one under Settings → Models" })?;
    Ok(Json(ModelOut { base_url: model.base_url, model: model.model, has_key: model.credential_id.is_some() }))
}

/// Set the model up
#[utoipa::path(put, path = "/model", tag = "settings", request_body = ModelIn,
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub async fn set_model(State(shared): State<Arc<Shared>>, Caller(scope): Caller, Body(model): Body<ModelIn>) -> Result<StatusCode, Problem> {
    let key = Secret::from_form(&model.api_key, false);
    shared.app.set_model(&scope, &model.base_url, &model.model, key).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List MCP servers
#[utoipa::path(get, path = "/servers", tag = "settings",
    responses((status = 200, body = Vec<ServerOut>), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub async fn servers(State(shared): State<Arc<Shared>>, Caller(scope): Caller) -> Result<Json<Vec<ServerOut>>, Problem> {
    let servers = shared.app.servers(&scope).await?;
    Ok(Json(servers.into_iter().map(Into::into).collect()))
}

/// Register an MCP server; it is connected in the background
#[utoipa::path(post, path = "/servers", tag = "settings", request_body = ServerIn,
    responses((status = 201, body = IdOut), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub async fn add_server(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Body(server): Body<ServerIn>,
) -> Result<(StatusCode, Json<IdOut>), Problem> {
    let new = NewServer {
        name: server.name,
        transport: server.transport,
        command: server.command,
        arguments: server.arguments,
        url: server.url,
        auth: server.auth,
        header: server.header,
        secret: (!server.secret.is_empty()).then(|| server.secret.into()),
    };
    let made = shared.app.add_server(&scope, new).await?;
    Ok((StatusCode::CREATED, Json(IdOut { id: made.to_string() })))
}

/// Remove an MCP server
#[utoipa::path(delete, path = "/servers/{id}", tag = "settings", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub async fn remove_server(State(shared): State<Arc<Shared>>, Caller(scope): Caller, Path(text): Path<String>) -> Result<StatusCode, Problem> {
    shared.app.remove_server(&scope, id(&text, "MCP server")?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Connect to an MCP server anew
#[utoipa::path(post, path = "/servers/{id}/reconnect", tag = "settings", params(("id" = String, Path)),
    responses((status = 202), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub async fn reconnect_server(
    State(shared): State<Arc<Shared>>,
    Caller(scope): Caller,
    Path(text): Path<String>,
) -> Result<StatusCode, Problem> {
    shared.app.reconnect(&scope, id(&text, "MCP server")?).await?;
    Ok(StatusCode::ACCEPTED)
}

/// List plugins and what they may do
#[utoipa::path(get, path = "/plugins", tag = "settings",
    responses((status = 200, body = Vec<PluginOut>), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub async fn plugins(State(shared): State<Arc<Shared>>, Caller(scope): Caller) -> Result<Json<Vec<PluginOut>>, Problem> {
    let plugin = |plugin: fumehood_triage::plugins::PluginInfo| PluginOut {
        name: plugin.name,
        version: plugin.version,
        world: plugin.world,
        digest: plugin.digest,
        may: plugin.may,
    };
    Ok(Json(shared.app.plugins(&scope).await?.into_iter().map(plugin).collect()))
}
