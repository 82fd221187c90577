//! The JSON API under `/api/v1`: the same use cases as the pages, by bearer token, with an OpenAPI document.
//!
//! Every route is registered with its documentation (`routes!`), so the document cannot miss one.

mod audit;
mod caller;
pub(crate) use caller::Caller;
mod incidents;
mod logs;
mod outside;
mod types;
mod work;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{any, get};
use axum::{Json, Router};
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Shared;
use crate::problem::{self, Problem};

/// Largest JSON body, bytes. Uploads of logs have no such limit: they are streamed.
const BODY: usize = 2 << 20;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Fumehood",
        description = "Incident triage: incidents, logs with their findings, conversations, documents, and the audit log. \
                       Errors are problem details (RFC 9457). Times are RFC 3339, offsets are bytes of UTF-8. \
                       What widens what can be reached (models, servers, integrations, approvals, tokens, people) is \
                       done by a person who is signed in, not by a token."
    ),
    servers((url = "/api/v1")),
    components(schemas(Problem, types::Sort)),
    security(("token" = []))
)]
struct Document;

/// The API and its document.
pub fn router() -> Router<Arc<Shared>> {
    let (router, mut document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(incidents::create, incidents::list))
        .routes(routes!(incidents::read, incidents::update))
        .routes(routes!(incidents::sash))
        .routes(routes!(incidents::timeline))
        .routes(routes!(logs::list))
        .routes(routes!(logs::read, logs::remove))
        .routes(routes!(logs::findings))
        .routes(routes!(logs::decide))
        .routes(routes!(logs::redacted))
        .routes(routes!(logs::cancel))
        .routes(routes!(work::say, work::talk))
        .routes(routes!(work::stop))
        .routes(routes!(work::departures))
        .routes(routes!(work::departure_body))
        .routes(routes!(work::whys, work::add_why))
        .routes(routes!(work::document, work::save_document))
        .routes(routes!(work::export_document))
        .routes(routes!(work::generate))
        .routes(routes!(work::publish))
        .routes(routes!(outside::model))
        .routes(routes!(outside::servers))
        .routes(routes!(outside::plugins))
        .routes(routes!(audit::entries))
        .routes(routes!(audit::checkpoint))
        .layer(DefaultBodyLimit::max(BODY))
        .merge(OpenApiRouter::new().routes(routes!(logs::upload)).layer(DefaultBodyLimit::disable()))
        .split_for_parts();
    let schemes = document.components.get_or_insert_default();
    schemes.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let nested = router.route("/openapi.json", get(move || async move { Json(document) })).fallback(missing);
    Router::new()
        .nest("/api/v1", nested.layer(axum::middleware::map_response(problem::refusals)))
        .route("/api", any(missing))
        .route("/api/", any(missing))
        .route("/api/{*rest}", any(missing))
        .route("/health", get(health))
}

async fn missing() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", "There is no such operation; see /api/v1/openapi.json.")
}

async fn health() -> &'static str {
    "ok\n"
}
