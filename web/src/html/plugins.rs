//! Plugins and what they may do.

use axum::http::StatusCode;
use axum::response::Response;
use fumehood_triage::plugins::{Allowed, PluginInfo};

use super::context::{now, when};
use super::session::Reader;
use super::{PageError, page};
use crate::units::{Bytes, Count, Id};
use crate::view::plugins::{GrantSentence, PluginRow, PluginsPage};
use crate::view::{Crumb, Place};

fn sentence(allowed: Allowed) -> GrantSentence {
    let Allowed { may, object, bounds, credential } = allowed;
    GrantSentence { may, object, bounds, credential }
}

pub(crate) async fn plugins(reader: Reader) -> Result<Response, PageError> {
    let now = now();
    let row = |plugin: PluginInfo| PluginRow {
        id: Id::new(&plugin.name),
        size: Bytes(plugin.size),
        digest: plugin.digest.to_string(),
        publisher: if plugin.ships { "built in".into() } else { plugin.publisher },
        state: plugin.state.into(),
        problem: Some(plugin.problem).filter(|problem| !problem.is_empty()),
        grants: plugin.allowed.into_iter().map(sentence).collect(),
        denied: Vec::new(),
        calls: Count(plugin.calls.calls),
        used: Some(plugin.calls.last_us).filter(|at| *at > 0).map(|at| when(at, now)),
        name: plugin.name,
        version: plugin.version,
        world: plugin.world,
        description: plugin.description,
    };
    let plugins = reader.app().plugins(&reader.scope).await?;
    let frame = reader.frame("Plugins", Place::Plugins, vec![Crumb::here("Plugins")]);
    Ok(page(StatusCode::OK, &PluginsPage { frame, plugins: plugins.into_iter().map(row).collect() }))
}
