//! MCP servers.

use axum::Form;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use fumehood_triage::gateway::CallLimits;
use fumehood_triage::settings::{Secret, ServerFields};
use fumehood_triage::store::ServerId;
use fumehood_triage::store::outside::McpServer;
use fumehood_triage::tools::{Catalogue, Standing, ToolReview, Verdict, visible};
use fumehood_triage::{Permission, TriageError};
use jiff::Timestamp;

use super::context::{Names, now, when};
use super::schema::{difference_rows, shown, tool_event};
use super::server_log::{self, LiveQuery};
use super::session::Reader;
use super::{PageError, id, page, see};
use crate::markdown;
use crate::units::{Count, Id};
use crate::view::servers::{ProgramView, ServerForm, ServerFormPage, ServerPage, ServerRow, ServersPage, ToolRow};
use crate::view::{Crumb, Field, Frame, Place};

/// Changes of tools that the page shows.
const HISTORY: usize = 30;

fn server_row(server: &McpServer, tools: usize, now: Timestamp) -> ServerRow {
    let target = match server.transport.as_str() {
        "stdio" => format!("{} {}", server.command, server.arguments.join(" ")).trim().to_owned(),
        _ => server.url.clone(),
    };
    let connected = server.enabled && server.state == "connected";
    ServerRow {
        id: Id::new(server.id.to_string()),
        name: server.name.clone(),
        transport: server.transport.clone(),
        target,
        state: if server.enabled { server.state.clone() } else { "off".into() },
        reason: (server.enabled && !connected && !server.reason.is_empty()).then(|| server.reason.clone()),
        tools: connected.then_some(Count(tools as u64)),
        auth: match server.auth_kind.as_str() {
            "api-key" => "API key".into(),
            "oauth" => "OAuth, one sign-in for everybody".into(),
            "oauth-each" => "OAuth, each person".into(),
            other => other.to_owned(),
        },
        since: when(server.checked_us.unwrap_or(server.created_us), now),
        about: None,
        waiting: Count(0),
    }
}

pub(crate) async fn servers(reader: Reader) -> Result<Response, PageError> {
    let now = now();
    let servers = reader.app().servers(&reader.scope).await?;
    let frame = reader.frame("MCP servers", Place::Servers, vec![Crumb::here("MCP servers")]);
    let mut rows = Vec::with_capacity(servers.len());
    for server in &servers {
        let tools = reader.app().tool_reviews(&reader.scope, server.id).await?;
        let mut row = server_row(server, tools.iter().filter(|one| one.standing != Standing::Gone).count(), now);
        row.waiting = Count(tools.iter().filter(|one| one.standing.waits()).count() as u64);
        rows.push(row);
    }
    Ok(page(StatusCode::OK, &ServersPage { frame, servers: rows }))
}

fn server_frame(reader: &Reader, title: &str) -> Frame {
    reader.frame(title, Place::Servers, vec![Crumb::link("MCP servers", "/servers"), Crumb::here(title)])
}

/// A form for a new server, or for a stored one.
fn form_page(reader: &Reader, stored: Option<&McpServer>, form: ServerForm) -> ServerFormPage {
    let frame = match stored {
        None => server_frame(reader, "New server"),
        Some(server) => {
            let up = Crumb::link(&server.name, format!("/servers/{}", server.id));
            let crumbs = vec![Crumb::link("MCP servers", "/servers"), up, Crumb::here("Edit")];
            reader.frame(&format!("Edit {}", server.name), Place::Servers, crumbs)
        }
    };
    let transports = reader.app().installed_transports(&reader.scope).unwrap_or_default();
    let transports = transports.into_iter().map(|(name, ways)| (name, ways.join(" and "))).collect();
    ServerFormPage { frame, id: stored.map(|server| Id::new(server.id.to_string())), transports, form }
}

pub(crate) async fn new_server(reader: Reader) -> Result<Response, PageError> {
    reader.needs(Permission::ManageServers)?;
    Ok(page(StatusCode::OK, &form_page(&reader, None, ServerForm::default())))
}

async fn stored(reader: &Reader, text: &str) -> Result<McpServer, PageError> {
    let wanted: ServerId = id(text, "MCP server")?;
    let servers = reader.app().servers(&reader.scope).await?;
    let found = servers.into_iter().find(|server| server.id == wanted);
    Ok(found.ok_or(TriageError::NotFound { what: "MCP server" })?)
}

pub(crate) async fn edit_server(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    reader.needs(Permission::ManageServers)?;
    let server = stored(&reader, &text).await?;
    let form = ServerForm {
        name: Field::new(&server.name),
        transport: server.transport.clone(),
        plugin: Field::new(&server.plugin),
        command: Field::new(&server.command),
        arguments: Field::new(server.arguments.join("\n")),
        url: Field::new(&server.url),
        auth: server.auth_kind.clone(),
        header: Field::new(if server.auth_kind == "api-key" { server.auth_header.as_str() } else { "" }),
        secret: Field::default(),
        has_secret: server.credential_id.is_some(),
    };
    Ok(page(StatusCode::OK, &form_page(&reader, Some(&server), form)))
}

#[derive(serde::Deserialize)]
pub(crate) struct ServerInput {
    #[serde(default)]
    name: String,
    #[serde(default)]
    transport: String,
    #[serde(default)]
    plugin: String,
    #[serde(default)]
    command: String,
    #[serde(default)]
    arguments: String,
    #[serde(default)]
    url: String,
    #[serde(default)]
    auth: String,
    #[serde(default)]
    header: String,
    #[serde(default)]
    secret: String,
}

impl ServerInput {
    fn fields(&self) -> ServerFields {
        ServerFields {
            name: self.name.clone(),
            transport: if self.transport.is_empty() { "stdio".into() } else { self.transport.clone() },
            plugin: self.plugin.clone(),
            command: self.command.clone(),
            arguments: self.arguments.lines().map(|line| line.trim_end_matches('\r').to_owned()).collect(),
            url: self.url.clone(),
            auth: self.auth.clone(),
            header: self.header.clone(),
            secret: Secret::from_form(&self.secret, false),
        }
    }

    /// The form as it was typed, with what is wrong beside its field. The secret is typed again.
    fn refused(self, reader: &Reader, old: Option<&McpServer>, error: TriageError) -> Result<Response, PageError> {
        let (field, message, status) = match error {
            TriageError::Invalid { field, message } => (field, message, StatusCode::UNPROCESSABLE_ENTITY),
            TriageError::Conflict(message) => ("name", message, StatusCode::CONFLICT),
            error => return Err(error.into()),
        };
        let mut form = ServerForm {
            name: Field::new(self.name),
            transport: self.transport,
            plugin: Field::new(self.plugin),
            command: Field::new(self.command),
            arguments: Field::new(self.arguments),
            url: Field::new(self.url),
            auth: self.auth,
            header: Field::new(self.header),
            secret: Field::default(),
            has_secret: old.is_some_and(|server| server.credential_id.is_some()),
        };
        let wrong = match field {
            "command" => &mut form.command,
            "plugin" => &mut form.plugin,
            "url" => &mut form.url,
            "header" => &mut form.header,
            "secret" => &mut form.secret,
            _ => &mut form.name,
        };
        wrong.error = Some(message);
        Ok(page(status, &form_page(reader, old, form)))
    }
}

pub(crate) async fn add_server(reader: Reader, Form(input): Form<ServerInput>) -> Result<Response, PageError> {
    match reader.app().add_server(&reader.scope, input.fields()).await {
        Ok(id) => Ok(see(&format!("/servers/{id}"))),
        Err(error) => input.refused(&reader, None, error),
    }
}

pub(crate) async fn update_server(
    reader: Reader,
    Path(text): Path<String>,
    Form(input): Form<ServerInput>,
) -> Result<Response, PageError> {
    reader.needs(Permission::ManageServers)?;
    let server = stored(&reader, &text).await?;
    match reader.app().update_server(&reader.scope, server.id, input.fields()).await {
        Ok(()) => Ok(see(&format!("/servers/{}", server.id))),
        Err(error) => input.refused(&reader, Some(&server), error),
    }
}

fn tool_row(review: ToolReview, connected: bool, catalogue: &Catalogue, names: &Names, now: Timestamp) -> ToolRow {
    let tool = &review.tool;
    let raw = tool.seen.as_ref().or(tool.pinned.as_ref()).cloned().unwrap_or_default();
    let text = |key: &str| raw.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
    let offered = catalogue.tools.iter().find(|one| one.server_id == tool.server_id && one.tool == tool.name);
    let hidden = offered.is_none() && connected && tool.rule != "deny" && review.standing == Standing::Pinned;
    let decided = tool.decided_by.as_deref().zip(tool.decided_us);
    ToolRow {
        name: visible(&tool.name),
        full_name: offered.map(|tool| tool.name.clone()).unwrap_or_default(),
        description: markdown::plain(&visible(text("description"))),
        schema: shown(&raw),
        refused: hidden.then(|| "It would have the same name as another tool, so neither is offered.".to_owned()),
        standing: review.standing.as_str(),
        rule: tool.rule.clone(),
        key: format!("{} {}", review.sha256, tool.name),
        sha256: review.sha256.clone(),
        warnings: review.warnings.into_iter().map(|warning| warning.text).collect(),
        differences: difference_rows(review.differences.0),
        more: Count(review.differences.1 as u64),
        decided: decided.map(|(actor, us)| (names.of(actor), when(us, now))),
    }
}

/// How often tools may be called, in words; nothing for any number.
fn limits(limits: CallLimits) -> String {
    match (limits.of_caller, limits.of_tool) {
        (0, 0) => String::new(),
        (of_caller, 0) => format!("at most {of_caller} a minute for each caller of the gateway"),
        (0, of_tool) => format!("at most {of_tool} a minute of any one tool for each caller of the gateway"),
        (of_caller, of_tool) => {
            format!("at most {of_caller} a minute for each caller of the gateway, {of_tool} of any one tool")
        }
    }
}

pub(crate) async fn server(
    reader: Reader,
    Path(text): Path<String>,
    Query(query): Query<LiveQuery>,
) -> Result<Response, PageError> {
    let server = stored(&reader, &text).await?;
    let (app, scope, now) = (reader.app(), &reader.scope, now());
    let catalogue = app.catalogue(scope).await?;
    let names = reader.names().await?;
    let connected = server.enabled && server.state == "connected";
    let reviews = app.tool_reviews(scope, server.id).await?;
    let tools: Vec<ToolRow> =
        reviews.into_iter().map(|review| tool_row(review, connected, &catalogue, &names, now)).collect();
    let program =
        ProgramView { sha256: server.program_sha256.clone(), now: app.changed_program(scope, &server).await? };
    let changes = app.tool_changes(scope, Some(server.id), None, 0, HISTORY).await?;
    let offered = tools.iter().filter(|tool| tool.standing != "gone").count();
    let view = ServerPage {
        frame: server_frame(&reader, &server.name),
        older: (changes.len() == HISTORY).then(|| super::schema::address(&server.slug, "")),
        history: changes.iter().map(|(_, change)| tool_event(change, String::new(), &names, now)).collect(),
        log: server_log::part(&reader, server.id, query.is_live()).await?,
        limits: limits(reader.shared.options.mcp.limits),
        program: (server.transport == "stdio").then_some(program),
        sign_in: super::sign_ins::view(&reader, &server, &names, now).await?,
        server: server_row(&server, offered, now),
        tools,
    };
    Ok(page(StatusCode::OK, &view))
}

/// The fields `rule` and, for each tool, `tool`: the pin of what was shown, a blank, and its name.
pub(crate) async fn decide_tools(
    reader: Reader,
    Path(text): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let server: ServerId = id(&text, "MCP server")?;
    let rule = fields.iter().find(|(key, _)| key == "rule").map(|(_, rule)| rule.clone()).unwrap_or_default();
    let verdict = |(key, value): &(String, String)| {
        let (sha256, name) = value.split_once(' ').filter(|_| key == "tool")?;
        Some(Verdict { name: name.to_owned(), sha256: sha256.to_owned(), rule: rule.clone() })
    };
    let verdicts = fields.iter().filter_map(verdict).collect();
    reader.app().decide_tools(&reader.scope, server, verdicts).await?;
    Ok(see(&format!("/servers/{server}")))
}

pub(crate) async fn reconnect_server(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    let server: ServerId = id(&text, "MCP server")?;
    reader.app().reconnect(&reader.scope, server).await?;
    Ok(see(&format!("/servers/{server}")))
}

#[derive(serde::Deserialize)]
pub(crate) struct EnableInput {
    enabled: String,
}

pub(crate) async fn enable_server(
    reader: Reader,
    Path(text): Path<String>,
    Form(input): Form<EnableInput>,
) -> Result<Response, PageError> {
    let server: ServerId = id(&text, "MCP server")?;
    reader.app().enable_server(&reader.scope, server, input.enabled == "yes").await?;
    Ok(see(&format!("/servers/{server}")))
}

#[derive(serde::Deserialize)]
pub(crate) struct ProgramInput {
    sha256: String,
}

/// The program as it was shown, by its digest.
pub(crate) async fn approve_program(
    reader: Reader,
    Path(text): Path<String>,
    Form(input): Form<ProgramInput>,
) -> Result<Response, PageError> {
    let server: ServerId = id(&text, "MCP server")?;
    reader.app().approve_program(&reader.scope, server, &input.sha256).await?;
    Ok(see(&format!("/servers/{server}")))
}

pub(crate) async fn remove_server(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    reader.app().remove_server(&reader.scope, id(&text, "MCP server")?).await?;
    Ok(see("/servers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_said_where_they_hold() {
        let said = |of_caller, of_tool| limits(CallLimits { of_caller, of_tool });
        assert_eq!(said(0, 0), "");
        assert_eq!(said(60, 0), "at most 60 a minute for each caller of the gateway");
        assert_eq!(said(0, 1), "at most 1 a minute of any one tool for each caller of the gateway");
        assert_eq!(said(60, 10), "at most 60 a minute for each caller of the gateway, 10 of any one tool");
    }
}
