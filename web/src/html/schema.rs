//! How what servers say of their tools has changed.

use std::collections::HashMap;

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use fumehood_triage::store::ServerId;
use fumehood_triage::store::outside::ToolChanges;
use fumehood_triage::tools::{Difference, ToolChange, differences, visible};
use jiff::Timestamp;

use super::context::{Names, now, when};
use super::session::{Reader, url_encode};
use super::{PageError, id, page};
use crate::units::Count;
use crate::view::schema::{SchemaChangePage, SchemaPage};
use crate::view::servers::{ToolDifference, ToolEvent};
use crate::view::{Crumb, Place};

/// Changes on a page; of each, differences and characters of a side. All of it is on the page of the change.
const PAGE: usize = 30;
const DIFFERENCES: usize = 12;
const SIDE: usize = 1_000;

/// Laid out, with what is hidden in it to be seen.
pub(super) fn shown(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => visible(text),
        value => visible(&serde_json::to_string_pretty(value).unwrap_or_default()),
    }
}

pub(super) fn difference_rows(differences: Vec<Difference>) -> Vec<ToolDifference> {
    let row = |difference: Difference| ToolDifference {
        place: match difference.pointer.as_str() {
            "" => "(all of it)".to_owned(),
            pointer => visible(pointer),
        },
        old: difference.old.as_ref().map(shown),
        new: difference.new.as_ref().map(shown),
    };
    differences.into_iter().map(row).collect()
}

/// A text that is no longer than `most` characters.
fn cut(text: &mut String, most: usize) {
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
        text.push('…');
    }
}

/// A change with all its differences.
fn whole_event(change: &ToolChange, server: String, names: &Names, now: Timestamp) -> ToolEvent {
    let what = match change.change.as_str() {
        "appeared" => "appeared".to_owned(),
        "changed" => "changed".to_owned(),
        "gone" => "is no longer offered by the server".to_owned(),
        "back" => "is offered by the server again".to_owned(),
        rule => format!("set to {rule} by {}", names.of(&change.actor)),
    };
    let (between, more) = match (&change.old, &change.new) {
        (Some(old), Some(new)) => differences(old, new),
        _ => (Vec::new(), 0),
    };
    ToolEvent {
        number: change.number,
        when: when(change.time_us, now),
        server,
        tool: visible(&change.tool),
        what,
        differences: difference_rows(between),
        more: Count(more as u64),
    }
}

/// A change as it stands in a list.
pub(super) fn tool_event(change: &ToolChange, server: String, names: &Names, now: Timestamp) -> ToolEvent {
    let mut event = whole_event(change, server, names, now);
    event.more = Count(event.more.0 + event.differences.len().saturating_sub(DIFFERENCES) as u64);
    event.differences.truncate(DIFFERENCES);
    for one in &mut event.differences {
        one.old.iter_mut().chain(&mut one.new).for_each(|text| cut(text, SIDE));
    }
    event
}

/// The address of the history of a server, or of one of its tools.
pub(super) fn address(server: &str, tool: &str) -> String {
    let parts = [("server", server), ("tool", tool)].into_iter().filter(|(_, value)| !value.is_empty());
    let parts: Vec<String> = parts.map(|(key, value)| format!("{key}={}", url_encode(value))).collect();
    if parts.is_empty() { "/servers/schema".to_owned() } else { format!("/servers/schema?{}", parts.join("&")) }
}

#[derive(serde::Deserialize, Default)]
pub(crate) struct SchemaQuery {
    #[serde(default)]
    server: String,
    #[serde(default)]
    tool: String,
    before: Option<i64>,
}

/// What stands in the place of the name of a server that is no more.
const REMOVED: &str = "(a removed server)";

pub(crate) async fn schema(reader: Reader, Query(query): Query<SchemaQuery>) -> Result<Response, PageError> {
    let (app, scope, now) = (reader.app(), &reader.scope, now());
    let servers = app.servers(scope).await?;
    let slugs: HashMap<ServerId, &String> = servers.iter().map(|server| (server.id, &server.slug)).collect();
    let wanted = servers.iter().find(|server| server.slug == query.server).map(|server| server.id);
    let tool = Some(query.tool.trim().to_owned()).filter(|tool| !tool.is_empty());
    let which = ToolChanges { server: wanted, tool, before: query.before, limit: PAGE, ..ToolChanges::default() };
    // A server that is not there has no history; it is not everybody's instead.
    let unknown = wanted.is_none() && !query.server.is_empty();
    let changes = if unknown { Vec::new() } else { app.schema_history(scope, which).await? };
    let names = reader.names().await?;
    let here = address(&query.server, query.tool.trim());
    let joint = if here.contains('?') { '&' } else { '?' };
    let last = changes.last().filter(|_| changes.len() == PAGE);
    let crumbs = vec![Crumb::link("MCP servers", "/servers"), Crumb::here("Schema")];
    let view = SchemaPage {
        frame: reader.frame("How tools changed", Place::Servers, crumbs),
        older: last.map(|(_, last)| format!("{here}{joint}before={}", last.number)),
        events: changes
            .iter()
            .map(|(id, change)| {
                let server = slugs.get(id).map_or_else(|| REMOVED.to_owned(), |slug| (*slug).clone());
                tool_event(change, server, &names, now)
            })
            .collect(),
        server: query.server,
        tool: query.tool,
        servers: servers.iter().map(|server| server.slug.clone()).collect(),
    };
    Ok(page(StatusCode::OK, &view))
}

pub(crate) async fn change(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    let number: i64 = id(&text, "change of a tool")?;
    let (app, scope) = (reader.app(), &reader.scope);
    let (server_id, change) = app.schema_change(scope, number).await?;
    let servers = app.servers(scope).await?;
    let server = servers.iter().find(|server| server.id == server_id);
    let names = reader.names().await?;
    let slug = server.map_or("", |server| &server.slug);
    let name = if slug.is_empty() { REMOVED } else { slug };
    let event = whole_event(&change, name.to_owned(), &names, now());
    let up = Crumb::link("Schema", "/servers/schema");
    let crumbs = vec![Crumb::link("MCP servers", "/servers"), up, Crumb::here(&event.tool)];
    let view = SchemaChangePage {
        frame: reader.frame(&format!("{} {}", event.tool, event.what), Place::Servers, crumbs),
        event,
        server_href: server.map(|server| format!("/servers/{}", server.id)),
        all: address(slug, &change.tool),
        old: change.old.as_ref().map(shown),
        new: change.new.as_ref().map(shown),
    };
    Ok(page(StatusCode::OK, &view))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_has_an_address() {
        assert_eq!(address("", ""), "/servers/schema");
        assert_eq!(address("time", "get now&then"), "/servers/schema?server=time&tool=get%20now%26then");
    }

    #[test]
    fn in_a_list_differences_are_bounded_and_the_rest_is_counted() {
        let object = |text: &str| {
            let fields = (0..20).map(|at| (format!("f{at}"), serde_json::json!(text.repeat(SIDE))));
            Some(fields.collect::<serde_json::Map<_, _>>().into())
        };
        let change = ToolChange {
            number: 7,
            tool: "t".into(),
            change: "changed".into(),
            old: object("a"),
            new: object("éé"),
            actor: "system".into(),
            time_us: 0,
        };
        let names = Names::default();
        let event = tool_event(&change, String::new(), &names, Timestamp::UNIX_EPOCH);
        assert_eq!((event.differences.len(), event.more), (DIFFERENCES, Count(20 - DIFFERENCES as u64)));
        let side = |text: &Option<String>| text.as_ref().unwrap().chars().count();
        assert!(event.differences.iter().all(|one| side(&one.old) == SIDE && side(&one.new) == SIDE + 1));
        assert_eq!(whole_event(&change, String::new(), &names, Timestamp::UNIX_EPOCH).differences.len(), 20);
    }
}
