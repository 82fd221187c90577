//! Everything beside incidents: the model, servers, integrations, plugins, people, tokens, the audit log.

use axum::Form;
use axum::extract::{Path, Query};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use fumehood_triage::settings::{ConfluenceFields, NewServer, Secret};
use fumehood_triage::store::incidents::IncidentFilter;
use fumehood_triage::store::outside::McpServer;
use fumehood_triage::store::record::{EntryFilter, ListedEntry};
use fumehood_triage::store::{ServerId, TokenId, UserId, clock};
use fumehood_triage::{Permission, Role, TriageError};

use super::context::{Names, notice, now, when};
use super::session::{Reader, url_encode};
use super::{PageError, id, page, see};
use crate::markdown;
use crate::units::{Bytes, Count, Id, When};
use crate::view::audit::{AuditFilter, AuditPage, CheckpointRow, EntryRow};
use crate::view::errors::{KeyboardPage, PaletteFragment, PaletteItem};
use crate::view::integrations::{ConfluenceForm, IntegrationsPage, TestResult};
use crate::view::plugins::{GrantSentence, PluginRow, PluginsPage};
use crate::view::servers::{NewServerPage, ServerForm, ServerPage, ServerRow, ServersPage, ToolRow};
use crate::view::settings::{ModelForm, ModelsPage, PeoplePage, PersonRow, TokenRow, TokensPage};
use crate::view::{Crumb, Field, Frame, Place, Tone};

fn refused(reader: &Reader, permission: Permission) -> Result<(), PageError> {
    if reader.may(permission) { Ok(()) } else { Err(TriageError::Forbidden(permission).into()) }
}

fn settings_frame(reader: &Reader, title: &str) -> Frame {
    reader.frame(title, Place::Settings, vec![Crumb::link("Settings", "/settings"), Crumb::here(title)])
}

pub(crate) async fn keyboard(reader: Reader) -> Response {
    let frame = reader.frame("Keyboard", Place::Elsewhere, vec![Crumb::here("Keyboard")]);
    page(StatusCode::OK, &KeyboardPage { frame })
}

#[derive(serde::Deserialize)]
pub(crate) struct PaletteQuery {
    #[serde(default)]
    q: String,
}

/// Pages that the palette leads to.
const PLACES: [(&str, &str); 8] = [
    ("/incidents", "Incidents"),
    ("/incidents/new", "New incident"),
    ("/plugins", "Plugins"),
    ("/servers", "MCP servers"),
    ("/integrations", "Integrations"),
    ("/audit", "Audit log"),
    ("/settings/models", "Settings: models"),
    ("/keyboard", "Keyboard"),
];

pub(crate) async fn palette(reader: Reader, Query(query): Query<PaletteQuery>) -> Result<Response, PageError> {
    let filter = IncidentFilter { text: Some(query.q.clone()), limit: 8, ..Default::default() };
    let (incidents, _) = reader.app().incidents(&reader.scope, filter).await?;
    let wanted = query.q.to_lowercase();
    let mut items: Vec<PaletteItem> = incidents
        .into_iter()
        .map(|incident| PaletteItem {
            href: format!("/incidents/{}", incident.id),
            text: format!("INC-{} {}", incident.number, incident.title),
            kind: "Incident".into(),
        })
        .collect();
    let places = PLACES.iter().filter(|(_, text)| text.to_lowercase().contains(&wanted));
    items.extend(places.map(|(href, text)| PaletteItem {
        href: (*href).into(),
        text: (*text).into(),
        kind: "Page".into(),
    }));
    items.truncate(12);
    Ok(page(StatusCode::OK, &PaletteFragment { items }))
}

pub(crate) async fn plugins(reader: Reader) -> Result<Response, PageError> {
    let sentence = |text: String| match text.split_once("`") {
        Some((may, rest)) => {
            let (object, bounds) = rest.split_once('`').unwrap_or((rest, ""));
            GrantSentence {
                may: may.trim().to_owned(),
                object: object.to_owned(),
                bounds: bounds.trim_start_matches(',').trim().to_owned(),
                credential: None,
            }
        }
        None => GrantSentence { may: text, object: String::new(), bounds: String::new(), credential: None },
    };
    let row = |plugin: fumehood_triage::plugins::PluginInfo| PluginRow {
        id: Id::new(&plugin.name),
        size: Bytes(plugin.size),
        digest: plugin.digest.trim_start_matches("sha256:").to_owned(),
        publisher: "built in".into(),
        state: "ready".into(),
        problem: None,
        grants: plugin.may.into_iter().map(sentence).collect(),
        denied: Vec::new(),
        used: None,
        name: plugin.name,
        version: plugin.version,
        world: plugin.world,
        description: plugin.description,
    };
    let plugins = reader.app().plugins(&reader.scope).await?;
    let frame = reader.frame("Plugins", Place::Plugins, vec![Crumb::here("Plugins")]);
    Ok(page(StatusCode::OK, &PluginsPage { frame, plugins: plugins.into_iter().map(row).collect() }))
}

fn server_row(server: &McpServer, now: jiff::Timestamp) -> ServerRow {
    let target = match server.transport.as_str() {
        "stdio" => format!("{} {}", server.command, server.arguments.join(" ")).trim().to_owned(),
        _ => server.url.clone(),
    };
    let connected = server.state == "connected";
    ServerRow {
        id: Id::new(server.id.to_string()),
        name: server.name.clone(),
        transport: server.transport.clone(),
        target,
        state: server.state.clone(),
        reason: (!connected && !server.reason.is_empty()).then(|| server.reason.clone()),
        tools: connected.then(|| Count(server.tools.as_array().map_or(0, Vec::len) as u64)),
        auth: match server.auth_kind.as_str() {
            "api-key" => "API key".into(),
            other => other.to_owned(),
        },
        since: when(server.checked_us.unwrap_or(server.created_us), now),
        about: None,
    }
}

pub(crate) async fn servers(reader: Reader) -> Result<Response, PageError> {
    let now = now();
    let servers = reader.app().servers(&reader.scope).await?;
    let frame = reader.frame("MCP servers", Place::Servers, vec![Crumb::here("MCP servers")]);
    Ok(page(
        StatusCode::OK,
        &ServersPage { frame, servers: servers.iter().map(|server| server_row(server, now)).collect() },
    ))
}

fn server_frame(reader: &Reader, title: &str) -> Frame {
    reader.frame(title, Place::Servers, vec![Crumb::link("MCP servers", "/servers"), Crumb::here(title)])
}

pub(crate) async fn new_server(reader: Reader) -> Result<Response, PageError> {
    refused(&reader, Permission::ManageServers)?;
    let frame = server_frame(&reader, "New server");
    Ok(page(StatusCode::OK, &NewServerPage { frame, form: ServerForm::default() }))
}

#[derive(serde::Deserialize)]
pub(crate) struct ServerInput {
    #[serde(default)]
    name: String,
    #[serde(default)]
    transport: String,
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

pub(crate) async fn add_server(reader: Reader, Form(input): Form<ServerInput>) -> Result<Response, PageError> {
    let new = NewServer {
        name: input.name.clone(),
        transport: if input.transport.is_empty() { "stdio".into() } else { input.transport.clone() },
        command: input.command.clone(),
        arguments: input.arguments.lines().map(|line| line.trim_end_matches('\r').to_owned()).collect(),
        url: input.url.clone(),
        auth: input.auth.clone(),
        header: input.header.clone(),
        secret: (!input.secret.is_empty()).then(|| input.secret.clone().into()),
    };
    let (field, message, status) = match reader.app().add_server(&reader.scope, new).await {
        Ok(id) => return Ok(see(&format!("/servers/{id}"))),
        Err(TriageError::Invalid { field, message }) => (field, message, StatusCode::UNPROCESSABLE_ENTITY),
        Err(TriageError::Conflict(message)) => ("name", message, StatusCode::CONFLICT),
        Err(error) => return Err(error.into()),
    };
    let mut form = ServerForm {
        name: Field::new(input.name),
        transport: input.transport,
        command: Field::new(input.command),
        arguments: Field::new(input.arguments),
        url: Field::new(input.url),
        auth: input.auth,
        header: Field::new(input.header),
        secret: Field::default(),
        has_secret: false,
    };
    let wrong = match field {
        "command" => &mut form.command,
        "url" => &mut form.url,
        "header" => &mut form.header,
        "secret" => &mut form.secret,
        _ => &mut form.name,
    };
    wrong.error = Some(message);
    Ok(page(status, &NewServerPage { frame: server_frame(&reader, "New server"), form }))
}

pub(crate) async fn server(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    let wanted: ServerId = id(&text, "MCP server")?;
    let servers = reader.app().servers(&reader.scope).await?;
    let server =
        servers.into_iter().find(|server| server.id == wanted).ok_or(TriageError::NotFound { what: "MCP server" })?;
    let catalogue = reader.app().catalogue(&reader.scope).await?;
    let raw = server.tools.as_array().cloned().unwrap_or_default();
    let tool = |raw: &serde_json::Value| {
        let text = |key: &str| raw.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let offered = catalogue.tools.iter().find(|tool| tool.server_id == server.id && tool.tool == text("name"));
        ToolRow {
            name: text("name"),
            full_name: offered.map(|tool| tool.name.clone()).unwrap_or_default(),
            description: markdown::plain(&text("description")),
            schema: raw
                .get("inputSchema")
                .and_then(|schema| serde_json::to_string_pretty(schema).ok())
                .unwrap_or_default(),
            refused: (offered.is_none() && server.state == "connected")
                .then(|| "Its name would be the same as another tool's, so neither is offered.".to_owned()),
        }
    };
    let output = match reader.app().server_output(&reader.scope, server.id).await {
        Ok(lines) => lines,
        Err(TriageError::Forbidden(_)) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let view = ServerPage {
        frame: server_frame(&reader, &server.name),
        tools: raw.iter().map(tool).collect(),
        output,
        server: server_row(&server, now()),
    };
    Ok(page(StatusCode::OK, &view))
}

pub(crate) async fn reconnect_server(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    let server: ServerId = id(&text, "MCP server")?;
    reader.app().reconnect(&reader.scope, server).await?;
    Ok(see(&format!("/servers/{server}")))
}

pub(crate) async fn remove_server(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    reader.app().remove_server(&reader.scope, id(&text, "MCP server")?).await?;
    Ok(see("/servers"))
}

fn tested(checked_us: Option<i64>, problem: &str, good: &str) -> Option<TestResult> {
    let at = when(checked_us?, now());
    let good_result = problem.is_empty();
    Some(TestResult { good: good_result, text: if good_result { good.to_owned() } else { problem.to_owned() }, at })
}

async fn integrations_view(reader: &Reader, typed: Option<ConfluenceForm>) -> Result<IntegrationsPage, TriageError> {
    let stored = reader.app().confluence(&reader.scope).await?;
    let setting = |key: &str| stored.as_ref().and_then(|one| one.settings.get(key).cloned()).unwrap_or_default();
    let form = typed.unwrap_or_else(|| ConfluenceForm {
        base_url: Field::new(stored.as_ref().map(|one| one.base_url.clone()).unwrap_or_default()),
        kind: setting("kind"),
        email: Field::new(setting("email")),
        token: Field::default(),
        has_token: stored.as_ref().is_some_and(|one| one.credential_id.is_some()),
        space: Field::new(setting("space")),
        parent: Field::new(setting("parent")),
    });
    Ok(IntegrationsPage {
        frame: reader.frame("Integrations", Place::Integrations, vec![Crumb::here("Integrations")]),
        confluence: form,
        configured: stored.is_some(),
        tested: stored.as_ref().and_then(|one| tested(one.checked_us, &one.problem, "Confluence answered.")),
        spaces: Vec::new(),
    })
}

pub(crate) async fn integrations(reader: Reader) -> Result<Response, PageError> {
    Ok(page(StatusCode::OK, &integrations_view(&reader, None).await?))
}

#[derive(serde::Deserialize)]
pub(crate) struct ConfluenceInput {
    #[serde(default)]
    base_url: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    token: String,
    #[serde(default)]
    space: String,
    #[serde(default)]
    parent: String,
}

pub(crate) async fn set_confluence(reader: Reader, Form(input): Form<ConfluenceInput>) -> Result<Response, PageError> {
    let fields = ConfluenceFields {
        base_url: input.base_url.clone(),
        kind: input.kind.clone(),
        email: input.email.clone(),
        token: Secret::from_form(&input.token, false),
        space: input.space.clone(),
        parent: input.parent.clone(),
    };
    let (field, message) = match reader.app().set_confluence(&reader.scope, fields).await {
        Ok(()) => return Ok(see("/integrations")),
        Err(TriageError::Invalid { field, message }) => (field, message),
        Err(error) => return Err(error.into()),
    };
    let stored = reader.app().confluence(&reader.scope).await?;
    let mut form = ConfluenceForm {
        base_url: Field::new(input.base_url),
        kind: input.kind,
        email: Field::new(input.email),
        token: Field::default(),
        has_token: stored.is_some_and(|one| one.credential_id.is_some()),
        space: Field::new(input.space),
        parent: Field::new(input.parent),
    };
    let wrong = match field {
        "email" => &mut form.email,
        "token" => &mut form.token,
        "space" => &mut form.space,
        _ => &mut form.base_url,
    };
    wrong.error = Some(message);
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &integrations_view(&reader, Some(form)).await?))
}

pub(crate) async fn test_confluence(reader: Reader) -> Result<Response, PageError> {
    let result = reader.app().test_confluence(&reader.scope).await;
    if let Err(error @ TriageError::Forbidden(_)) = result {
        return Err(error.into());
    }
    let mut view = integrations_view(&reader, None).await?;
    let at = When::new(now(), now());
    match result {
        Ok((who, spaces)) => {
            view.tested = Some(TestResult { good: true, text: format!("Signed in as {who}."), at });
            view.spaces = spaces;
        }
        Err(error) => view.tested = Some(TestResult { good: false, text: error.to_string(), at }),
    }
    Ok(page(StatusCode::OK, &view))
}

pub(crate) async fn remove_confluence(reader: Reader) -> Result<Response, PageError> {
    reader.app().remove_confluence(&reader.scope).await?;
    Ok(see("/integrations"))
}

async fn models_view(reader: &Reader, typed: Option<ModelForm>) -> Result<ModelsPage, TriageError> {
    let stored = reader.app().model(&reader.scope).await?;
    let form = typed.unwrap_or_else(|| ModelForm {
        base_url: Field::new(stored.as_ref().map(|one| one.base_url.clone()).unwrap_or_default()),
        model: Field::new(stored.as_ref().map(|one| one.model.clone()).unwrap_or_default()),
        api_key: Field::default(),
        has_key: stored.as_ref().is_some_and(|one| one.credential_id.is_some()),
    });
    Ok(ModelsPage {
        frame: settings_frame(reader, "Models"),
        form,
        configured: stored.is_some(),
        tested: stored.as_ref().and_then(|one| tested(one.checked_us, &one.problem, "The server answered.")),
        known: Vec::new(),
    })
}

pub(crate) async fn models(reader: Reader) -> Result<Response, PageError> {
    Ok(page(StatusCode::OK, &models_view(&reader, None).await?))
}

#[derive(serde::Deserialize)]
pub(crate) struct ModelInput {
    #[serde(default)]
    base_url: String,
    #[serde(default)]
    model: String,
    #[serde(default)]
    api_key: String,
    #[serde(default)]
    forget_key: String,
}

pub(crate) async fn set_model(reader: Reader, Form(input): Form<ModelInput>) -> Result<Response, PageError> {
    let key = Secret::from_form(&input.api_key, input.forget_key == "1");
    let (field, message) = match reader.app().set_model(&reader.scope, &input.base_url, &input.model, key).await {
        Ok(()) => return Ok(see("/settings/models")),
        Err(TriageError::Invalid { field, message }) => (field, message),
        Err(error) => return Err(error.into()),
    };
    let stored = reader.app().model(&reader.scope).await?;
    let mut form = ModelForm {
        base_url: Field::new(input.base_url),
        model: Field::new(input.model),
        api_key: Field::default(),
        has_key: stored.is_some_and(|one| one.credential_id.is_some()),
    };
    let wrong = match field {
        "model" => &mut form.model,
        "api_key" => &mut form.api_key,
        _ => &mut form.base_url,
    };
    wrong.error = Some(message);
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &models_view(&reader, Some(form)).await?))
}

pub(crate) async fn test_model(reader: Reader) -> Result<Response, PageError> {
    let result = reader.app().test_model(&reader.scope).await;
    if let Err(error @ TriageError::Forbidden(_)) = result {
        return Err(error.into());
    }
    let mut view = models_view(&reader, None).await?;
    match result {
        Ok(known) => view.known = known,
        Err(error) => {
            view.tested = Some(TestResult { good: false, text: error.to_string(), at: When::new(now(), now()) })
        }
    }
    Ok(page(StatusCode::OK, &view))
}

async fn people_view(reader: &Reader) -> Result<PeoplePage, TriageError> {
    let users = reader.app().users(&reader.scope).await?;
    let row = |user: fumehood_triage::store::people::User| PersonRow {
        you: user.id == reader.user.id,
        id: Id::new(user.id.to_string()),
        name: user.name,
        email: user.email,
        role: user.role,
        state: if user.disabled_us.is_some() { "off".into() } else { "active".into() },
        seen: None,
    };
    Ok(PeoplePage {
        frame: settings_frame(reader, "People"),
        people: users.into_iter().map(row).collect(),
        note: Field::default(),
        role: String::new(),
        invitation: None,
    })
}

pub(crate) async fn people(reader: Reader) -> Result<Response, PageError> {
    refused(&reader, Permission::ManagePeople)?;
    Ok(page(StatusCode::OK, &people_view(&reader).await?))
}

fn role_of(text: &str) -> Result<Role, TriageError> {
    let text = if text.is_empty() { "responder" } else { text };
    text.parse().map_err(|_| TriageError::Invalid { field: "role", message: "There is no such role.".into() })
}

#[derive(serde::Deserialize)]
pub(crate) struct InviteInput {
    /// Whom it is for: an e-mail address, which then cannot be changed, or nothing.
    #[serde(default)]
    note: String,
    #[serde(default)]
    role: String,
}

pub(crate) async fn invite(reader: Reader, Form(input): Form<InviteInput>) -> Result<Response, PageError> {
    let role = role_of(&input.role)?;
    let email = if input.note.contains('@') { input.note.trim() } else { "" };
    let invited = reader.app().invite(&reader.scope, role, email).await;
    let mut view = people_view(&reader).await?;
    let status = match invited {
        Ok(path) => {
            let until = when(clock::now_us() + fumehood_triage::people::LINK_US, now());
            view.invitation = Some((format!("{}{path}", reader.shared.options.public_url), until));
            StatusCode::OK
        }
        Err(TriageError::Invalid { message, .. }) => {
            view.note = Field::wrong(input.note, message);
            view.role = input.role;
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Err(error) => return Err(error.into()),
    };
    Ok(page(status, &view))
}

#[derive(serde::Deserialize)]
pub(crate) struct RoleInput {
    role: String,
}

async fn change_person(reader: &Reader, text: &str, role: Option<Role>, off: bool) -> Result<Response, PageError> {
    let wanted: UserId = id(text, "person")?;
    let users = reader.app().users(&reader.scope).await?;
    let user = users.iter().find(|user| user.id == wanted).ok_or(TriageError::NotFound { what: "person" })?;
    let role = role.unwrap_or_else(|| user.role());
    match reader.app().set_user(&reader.scope, wanted, role, off).await {
        Ok(()) => Ok(see("/settings/people")),
        Err(TriageError::Conflict(message)) => {
            let mut view = people_view(reader).await?;
            view.frame.notice = notice(Tone::Bad, message);
            Ok(page(StatusCode::CONFLICT, &view))
        }
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn set_role(
    reader: Reader,
    Path(text): Path<String>,
    Form(input): Form<RoleInput>,
) -> Result<Response, PageError> {
    change_person(&reader, &text, Some(role_of(&input.role)?), false).await
}

pub(crate) async fn person_off(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    change_person(&reader, &text, None, true).await
}

pub(crate) async fn person_on(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    change_person(&reader, &text, None, false).await
}

async fn tokens_view(reader: &Reader) -> Result<TokensPage, TriageError> {
    let (now, names) = (now(), reader.names().await?);
    let row = |token: fumehood_triage::store::people::ApiToken| TokenRow {
        id: Id::new(token.id.to_string()),
        name: token.name,
        role: token.role,
        by: names.of(&token.created_by),
        created: when(token.created_us, now),
        expires: None,
        used: token.used_us.map(|at| when(at, now)),
        revoked: token.revoked_us.is_some(),
    };
    Ok(TokensPage {
        frame: settings_frame(reader, "API tokens"),
        tokens: reader.app().tokens(&reader.scope).await?.into_iter().map(row).collect(),
        name: Field::default(),
        role: String::new(),
        days: Field::default(),
        created: None,
    })
}

pub(crate) async fn tokens(reader: Reader) -> Result<Response, PageError> {
    Ok(page(StatusCode::OK, &tokens_view(&reader).await?))
}

#[derive(serde::Deserialize)]
pub(crate) struct TokenInput {
    #[serde(default)]
    name: String,
    #[serde(default)]
    role: String,
}

pub(crate) async fn create_token(reader: Reader, Form(input): Form<TokenInput>) -> Result<Response, PageError> {
    let role = role_of(&input.role)?;
    let created = reader.app().create_token(&reader.scope, &input.name, role).await;
    let mut view = tokens_view(&reader).await?;
    let status = match created {
        Ok((_, token)) => {
            view.created = Some(token);
            StatusCode::OK
        }
        Err(TriageError::Invalid { message, .. }) => {
            view.name = Field::wrong(input.name, message);
            view.role = input.role;
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Err(error) => return Err(error.into()),
    };
    Ok(page(status, &view))
}

pub(crate) async fn revoke_token(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    let token: TokenId = id(&text, "token")?;
    reader.app().revoke_token(&reader.scope, token).await?;
    Ok(see("/settings/tokens"))
}

#[derive(serde::Deserialize, Default)]
pub(crate) struct AuditQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    actor: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    incident: String,
    before: Option<u64>,
}

impl AuditQuery {
    fn filter(&self, before: Option<u64>, limit: usize) -> EntryFilter {
        EntryFilter {
            before,
            target: (!self.incident.is_empty()).then(|| format!("incident:{}", self.incident)),
            action_prefix: (!self.action.is_empty()).then(|| self.action.trim_end_matches('*').to_owned()),
            limit,
        }
    }

    fn fits(&self, listed: &ListedEntry, names: &Names) -> bool {
        let entry = &listed.entry;
        let text = || {
            let details = entry.details.iter().map(|(key, value)| format!("{key}={value} ")).collect::<String>();
            format!("{} {} {} {details}", entry.action, entry.target, entry.result).to_lowercase()
        };
        (self.actor.is_empty() || names.of(&entry.actor) == self.actor || entry.actor == self.actor)
            && (self.outcome.is_empty() || entry.result == self.outcome)
            && (self.q.is_empty() || text().contains(&self.q.to_lowercase()))
    }
}

fn entry_row(listed: &ListedEntry, names: &Names, now: jiff::Timestamp) -> EntryRow {
    let entry = &listed.entry;
    EntryRow {
        number: Count(entry.index),
        at: when(entry.time_us, now),
        actor: names.of(&entry.actor),
        action: entry.action.clone(),
        object: entry.target.replacen(':', " ", 1),
        href: entry.target.strip_prefix("incident:").map(|id| format!("/incidents/{id}")),
        stage: match entry.phase.name() {
            "intent" => "intent".into(),
            "outcome" => "outcome".into(),
            _ => "effect".into(),
        },
        outcome: entry.result.clone(),
        intent: entry.intent.map(Count),
        detail: entry.details.iter().map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>().join(" · "),
        hash: listed.leaf.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

pub(crate) async fn audit(reader: Reader, Query(query): Query<AuditQuery>) -> Result<Response, PageError> {
    let (now, names) = (now(), reader.names().await?);
    let listed = reader.app().audit(&reader.scope, query.filter(query.before, 100)).await?;
    let mut actors: Vec<String> = listed.iter().map(|one| names.of(&one.entry.actor)).collect();
    let mut actions: Vec<String> = listed.iter().map(|one| one.entry.action.clone()).collect();
    for list in [&mut actors, &mut actions] {
        list.sort_unstable();
        list.dedup();
    }
    let last = listed.last().map(|one| one.entry.index).filter(|index| *index > 0 && listed.len() == 100);
    let older = last.map(|index| {
        format!(
            "/audit?q={}&actor={}&action={}&outcome={}&incident={}&before={index}",
            url_encode(&query.q),
            url_encode(&query.actor),
            url_encode(&query.action),
            url_encode(&query.outcome),
            url_encode(&query.incident)
        )
    });
    let checkpoint = reader.app().checkpoint(&reader.scope).await?;
    let total = checkpoint.as_ref().map_or(0, |(size, _)| *size);
    let (origin, public_key) = reader.app().log_identity(&reader.scope)?;
    let checkpoints = checkpoint.into_iter().map(|(size, note)| {
        let mut lines = note.lines().skip(2);
        let root = lines.next().unwrap_or_default().to_owned();
        let signed = lines.next().and_then(|line| line.strip_prefix("time_us ")?.parse().ok()).unwrap_or(0);
        CheckpointRow { size: Count(size), root, at: when(signed, now), sinks: reader.app().checkpoint_sinks() }
    });
    let view = AuditPage {
        frame: reader.frame("Audit", Place::Audit, vec![Crumb::here("Audit")]),
        entries: listed.iter().filter(|one| query.fits(one, &names)).map(|one| entry_row(one, &names, now)).collect(),
        actors,
        actions,
        total: Count(total),
        older,
        checkpoints: checkpoints.collect(),
        verification: reader.app().last_verification().map(|(good, text, at)| crate::view::audit::Verification {
            good,
            text,
            at: when(at, now),
        }),
        verifying: None,
        origin,
        public_key,
        filter: AuditFilter {
            q: query.q,
            actor: query.actor,
            action: query.action,
            outcome: query.outcome,
            incident: query.incident,
        },
    };
    Ok(page(StatusCode::OK, &view))
}

pub(crate) async fn audit_verify(reader: Reader) -> Result<Response, PageError> {
    reader.app().verify_audit(&reader.scope).await?;
    Ok(see("/audit"))
}

/// The filtered log as JSON lines, newest first, made while it is read.
pub(crate) async fn audit_export(reader: Reader, Query(query): Query<AuditQuery>) -> Result<Response, PageError> {
    refused(&reader, Permission::ReadAudit)?;
    let names = reader.names().await?;
    let parts = futures_util::stream::try_unfold(
        (reader, query, names, None, false),
        |(reader, query, names, before, over)| async move {
            if over {
                return Ok::<_, std::io::Error>(None);
            }
            let listed = reader
                .app()
                .audit(&reader.scope, query.filter(before, 500))
                .await
                .map_err(|e| std::io::Error::other(e.to_string()))?;
            let last = listed.last().map(|one| one.entry.index);
            let over = listed.len() < 500 || last == Some(0);
            let mut text = String::new();
            for one in listed.iter().filter(|one| query.fits(one, &names)) {
                let entry = &one.entry;
                let details: std::collections::BTreeMap<_, _> = entry.details.iter().cloned().collect();
                let line = serde_json::json!({
                    "index": entry.index, "time": clock::rfc3339(entry.time_us), "actor": entry.actor, "action": entry.action,
                    "target": entry.target, "phase": entry.phase.name(), "intent": entry.intent, "result": entry.result,
                    "details": details, "leaf": one.leaf.to_base64(),
                });
                text.push_str(&line.to_string());
                text.push('\n');
            }
            Ok(Some((bytes::Bytes::from(text), (reader, query, names, last, over))))
        },
    );
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.jsonl\""),
    ];
    Ok((headers, axum::body::Body::from_stream(parts)).into_response())
}
