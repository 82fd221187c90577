//! Signing in at MCP servers, in the browser: there and back.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Form, Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use fumehood_triage::TriageError;
use fumehood_triage::oauth::{OwnClient, SignInEnd, SignInStep, client_document};
use fumehood_triage::store::ServerId;
use fumehood_triage::store::outside::McpServer;
use fumehood_triage::tools::visible;
use jiff::Timestamp;

use super::context::{Names, when};
use super::session::Reader;
use super::{PageError, id, page, see};
use crate::Shared;
use crate::problem::Problem;
use crate::view::servers::{SignInPage, SignInRefusedPage, SignInView};
use crate::view::{Crumb, Field, Place};

/// What the page of a server says of sign-ins there.
pub(super) async fn view(
    reader: &Reader,
    server: &McpServer,
    names: &Names,
    now: Timestamp,
) -> Result<Option<SignInView>, PageError> {
    if !server.signs_in() {
        return Ok(None);
    }
    let state = reader.app().sign_in_state(&reader.scope, server).await?;
    let grant = state.grant.as_ref();
    Ok(Some(SignInView {
        shared: state.shared,
        may: state.may,
        by: grant.map(|grant| (names.of(&grant.signed_in_by), when(grant.signed_in_us, now))),
        issuer: grant.map(|grant| grant.issuer.clone()).unwrap_or_default(),
        scopes: grant.map(|grant| grant.scopes.clone()).unwrap_or_default(),
        wanted: grant.map(|grant| grant.wanted.clone()).unwrap_or_default(),
        problem: grant.map(|grant| grant.reason.clone()).unwrap_or_default(),
        others: crate::units::Count(state.others as u64),
    }))
}

/// A client that somebody registered by hand, where the form brings one.
#[derive(serde::Deserialize)]
pub(crate) struct ClientInput {
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    client_secret: String,
}

pub(crate) async fn begin(
    reader: Reader,
    Path(text): Path<String>,
    Form(input): Form<ClientInput>,
) -> Result<Response, PageError> {
    let wanted: ServerId = id(&text, "MCP server")?;
    let servers = reader.app().servers(&reader.scope).await?;
    let server = servers.into_iter().find(|server| server.id == wanted);
    let server = server.ok_or(TriageError::NotFound { what: "MCP server" })?;
    let own = OwnClient::typed(&input.client_id, &input.client_secret);
    let public_url = &reader.shared.options.public_url;
    let step = reader.app().begin_sign_in(&reader.scope, wanted, public_url, own).await?;
    let up = Crumb::link(&server.name, format!("/servers/{wanted}"));
    let crumbs = vec![Crumb::link("MCP servers", "/servers"), up, Crumb::here("Sign in")];
    let frame = reader.frame(&format!("Sign in at {}", server.name), Place::Servers, crumbs);
    let empty = SignInPage {
        frame,
        id: crate::units::Id::new(wanted.to_string()),
        server: server.name,
        url: String::new(),
        issuer: String::new(),
        scopes: Vec::new(),
        back: format!("{public_url}{}", fumehood_triage::oauth::CALLBACK),
        reason: String::new(),
        client_id: Field::new(input.client_id),
    };
    let view = match step {
        SignInStep::Go { url, issuer, scopes } => SignInPage { url, issuer, scopes, ..empty },
        SignInStep::NeedsClient { issuer, callback, reason } => SignInPage { issuer, back: callback, reason, ..empty },
    };
    Ok(page(StatusCode::OK, &view))
}

pub(crate) async fn callback(reader: Reader, RawQuery(query): RawQuery) -> Result<Response, PageError> {
    match reader.app().finish_sign_in(&reader.scope, &query.unwrap_or_default()).await? {
        SignInEnd::SignedIn(server) => Ok(see(&format!("/servers/{server}"))),
        SignInEnd::Refused { server, name, issuer, code, words } => {
            let up = Crumb::link(&name, format!("/servers/{server}"));
            let crumbs = vec![Crumb::link("MCP servers", "/servers"), up, Crumb::here("Sign-in refused")];
            let view = SignInRefusedPage {
                frame: reader.frame("Sign-in refused", Place::Servers, crumbs),
                id: crate::units::Id::new(server.to_string()),
                server: name,
                issuer,
                by_person: code == "access_denied",
                code: visible(&code),
                words: visible(&words),
            };
            Ok(page(StatusCode::OK, &view))
        }
    }
}

pub(crate) async fn sign_out(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    let server: ServerId = id(&text, "MCP server")?;
    reader.app().sign_out_there(&reader.scope, server).await?;
    Ok(see(&format!("/servers/{server}")))
}

pub(crate) async fn sign_all_out(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    let server: ServerId = id(&text, "MCP server")?;
    reader.app().sign_everybody_out(&reader.scope, server).await?;
    Ok(see(&format!("/servers/{server}")))
}

/// Who we are, for authorization servers that read it instead of having us registered.
pub(crate) async fn document(State(shared): State<Arc<Shared>>) -> Response {
    match client_document(&shared.options.public_url) {
        Some(document) => Json(document).into_response(),
        None => Problem::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "This server has no public address (--public-url https://…), so nobody outside could read who it is.",
        )
        .into_response(),
    }
}
