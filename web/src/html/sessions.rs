//! Who calls through the gateway: clients, and their sessions.

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use fumehood_triage::TriageError;
use fumehood_triage::gateway::{CallFilter, CallStats, Grouping, SessionRow};
use fumehood_triage::store::calls::SessionFilter;
use fumehood_triage::store::clock;
use fumehood_triage::tools::visible;
use jiff::Timestamp;

use super::calls::{bytes, call_line, caller, client_parts, platform, since_us, span, stats_row};
use super::context::{Names, now, when};
use super::session::{Reader, url_encode};
use super::{PageError, page};
use crate::units::Count;
use crate::view::sessions::{ClientLine, ClientsPage, SessionLine, SessionPage, SessionsFilter, SessionsPage};
use crate::view::{Crumb, Place};

/// Sessions on a page, requests of one session on its page, groups in its table, and clients on theirs.
const PAGE: usize = 100;
const CALLS: usize = 50;
const GROUPS: usize = 30;
const CLIENTS: usize = 300;

#[derive(serde::Deserialize, Default)]
pub(crate) struct SessionsQuery {
    #[serde(default)]
    server: String,
    #[serde(default)]
    client: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    hours: Option<u32>,
    /// When the last session of the page before was used, a dot, and its id.
    #[serde(default)]
    after: String,
}

impl SessionsQuery {
    /// Leads to what comes after a session.
    fn after(&self, last: &SessionRow) -> String {
        let (hours, after) = (span(self.hours).to_string(), format!("{}.{}", last.last_us, last.id));
        let parts = [
            ("server", &self.server),
            ("client", &self.client),
            ("state", &self.state),
            ("hours", &hours),
            ("after", &after),
        ];
        let parts = parts.into_iter().filter(|(_, value)| !value.is_empty());
        let parts: Vec<String> = parts.map(|(key, value)| format!("{key}={}", url_encode(value))).collect();
        format!("/servers/sessions?{}", parts.join("&"))
    }

    fn shown(self) -> SessionsFilter {
        let hours = span(self.hours);
        SessionsFilter { server: self.server, client: self.client, state: self.state, hours }
    }
}

fn session_line(row: &SessionRow, names: &Names, now: Timestamp) -> SessionLine {
    let client = visible(format!("{} {}", row.client, row.client_version).trim());
    let count = |number: i64| Count(u64::try_from(number).unwrap_or_default());
    SessionLine {
        id: row.id.clone(),
        path: url_encode(&row.id),
        client: if client.is_empty() { "(no name)".to_owned() } else { client },
        platform: platform(&row.client, &row.platform),
        caller: caller(&row.caller, names),
        protocol: visible(&row.protocol),
        began: when(row.began_us, now),
        last: when(row.last_us, now),
        ended: row.ended_us.map(|us| when(us, now)),
        calls: count(row.calls),
        errors: count(row.errors),
        bytes: (bytes(row.bytes_in), bytes(row.bytes_out)),
    }
}

/// Servers that were asked something since then, by their short names.
pub(super) async fn servers_since(reader: &Reader, since_us: i64) -> Result<Vec<String>, TriageError> {
    let filter = CallFilter { since_us, ..CallFilter::default() };
    let stats = reader.app().mcp_stats(&reader.scope, filter, Grouping::Server).await?;
    Ok(stats.into_iter().map(|one| one.name).filter(|name| !name.is_empty()).collect())
}

pub(crate) async fn sessions(reader: Reader, Query(query): Query<SessionsQuery>) -> Result<Response, PageError> {
    let now = now();
    let since_us = since_us(span(query.hours), clock::now_us());
    let filter = SessionFilter {
        id: String::new(),
        server: query.server.trim().to_owned(),
        client: query.client.trim().to_owned(),
        state: query.state.clone(),
        since_us,
        after: query.after.split_once('.').and_then(|(us, id)| Some((us.parse().ok()?, id.to_owned()))),
        limit: PAGE,
    };
    let rows = reader.app().mcp_sessions(&reader.scope, filter).await?;
    let names = reader.names().await?;
    let crumbs = vec![Crumb::link("MCP servers", "/servers"), Crumb::here("Sessions")];
    let view = SessionsPage {
        frame: reader.frame("Sessions of the gateway", Place::Servers, crumbs),
        servers: servers_since(&reader, since_us).await?,
        sessions: rows.iter().map(|row| session_line(row, &names, now)).collect(),
        older: rows.last().filter(|_| rows.len() == PAGE).map(|last| query.after(last)),
        filter: query.shown(),
    };
    Ok(page(StatusCode::OK, &view))
}

#[derive(serde::Deserialize, Default)]
pub(crate) struct SessionQuery {
    before: Option<i64>,
}

pub(crate) async fn session(
    reader: Reader,
    Path(id): Path<String>,
    Query(query): Query<SessionQuery>,
) -> Result<Response, PageError> {
    let (app, scope, now) = (reader.app(), &reader.scope, now());
    let filter = SessionFilter { id: id.clone(), limit: 1, ..SessionFilter::default() };
    // No id means any session.
    let rows = if id.is_empty() { Vec::new() } else { app.mcp_sessions(scope, filter).await? };
    let row = rows.into_iter().next().ok_or(TriageError::NotFound { what: "session" })?;
    let names = reader.names().await?;
    let session = session_line(&row, &names, now);
    let all = CallFilter { session: row.id, ..CallFilter::default() };
    let by_tool = app.mcp_stats(scope, all.clone(), Grouping::Subject).await?;
    let calls = app.mcp_calls(scope, CallFilter { before: query.before, limit: CALLS, ..all }).await?;
    let up = Crumb::link("Sessions", "/servers/sessions");
    let crumbs = vec![Crumb::link("MCP servers", "/servers"), up, Crumb::here("Session")];
    let view = SessionPage {
        frame: reader.frame(&format!("Session of {}", session.client), Place::Servers, crumbs),
        by_tool: by_tool.into_iter().take(GROUPS).map(|stats| stats_row(stats, None)).collect(),
        older: calls
            .last()
            .filter(|_| calls.len() == CALLS)
            .map(|last| format!("/servers/sessions/{}?before={}", session.path, last.number)),
        calls: calls.iter().map(|row| call_line(row, &names, now)).collect(),
        session,
    };
    Ok(page(StatusCode::OK, &view))
}

fn client_line(stats: CallStats, hours: u32, now: Timestamp) -> ClientLine {
    let (name, version, behind) = client_parts(&stats.name);
    let last = when(stats.last_us, now);
    let href = (!name.is_empty()).then(|| format!("/servers/calls?client={}&hours={hours}", url_encode(&name)));
    let shown = if name.is_empty() { "(no name)".to_owned() } else { visible(&name) };
    ClientLine {
        version: visible(&version),
        platform: platform(&name, &behind),
        stats: crate::view::calls::StatsRow { name: shown, ..stats_row(stats, href) },
        last,
    }
}

pub(crate) async fn clients(reader: Reader, Query(query): Query<SessionsQuery>) -> Result<Response, PageError> {
    let (now, hours) = (now(), span(query.hours));
    let since_us = since_us(hours, clock::now_us());
    let filter = CallFilter { server: query.server.trim().to_owned(), since_us, ..CallFilter::default() };
    let clients = reader.app().mcp_stats(&reader.scope, filter, Grouping::ClientParts).await?;
    let crumbs = vec![Crumb::link("MCP servers", "/servers"), Crumb::here("Clients")];
    let view = ClientsPage {
        frame: reader.frame("Clients of the gateway", Place::Servers, crumbs),
        filter: SessionsFilter { server: query.server, hours, ..SessionsFilter::default() },
        servers: servers_since(&reader, since_us).await?,
        left_out: Count(clients.len().saturating_sub(CLIENTS) as u64),
        clients: clients.into_iter().take(CLIENTS).map(|stats| client_line(stats, hours, now)).collect(),
        gateway: reader.gateway(),
    };
    Ok(page(StatusCode::OK, &view))
}
