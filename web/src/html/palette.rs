//! Ways to get around: the palette and the page of keys.

use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use fumehood_triage::store::incidents::IncidentFilter;

use super::session::Reader;
use super::{PageError, page};
use crate::view::errors::{KeyboardPage, PaletteFragment, PaletteItem};
use crate::view::{Crumb, Place};

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
