//! Calls through the gateway that wait for a person.

use axum::Form;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use fumehood_triage::TriageError;
use fumehood_triage::store::AskId;

use super::context::{now, when};
use super::session::Reader;
use super::{PageError, id, page, see};
use crate::markdown;
use crate::units::Id;
use crate::view::waiting::{WaitingCall, WaitingPage};
use crate::view::{Crumb, Place};

pub(crate) async fn waiting(reader: Reader) -> Result<Response, PageError> {
    let asks = reader.app().mcp_asks(&reader.scope).await?;
    let (names, now) = (reader.names().await?, now());
    let calls = asks.into_iter().map(|ask| {
        let laid_out = serde_json::from_str::<serde_json::Value>(&ask.arguments)
            .and_then(|value| serde_json::to_string_pretty(&value))
            .unwrap_or_else(|_| ask.arguments.clone());
        WaitingCall {
            id: Id::new(ask.id.to_string()),
            call: Id::new(ask.call_id),
            tool: ask.tool,
            server: ask.server,
            caller: names.of(&ask.caller),
            client: fumehood_triage::tools::visible(&ask.client),
            arguments: markdown::plain(&fumehood_triage::tools::visible(&laid_out)),
            digest: super::hex(&ask.arguments_sha256),
            by: ask.decided_by.as_deref().map(|actor| names.of(actor)),
            at: when(ask.created_us, now),
            until: when(ask.expires_us, now),
            state: ask.state,
        }
    });
    let crumbs = vec![Crumb::link("MCP servers", "/servers"), Crumb::here("Waiting")];
    let view = WaitingPage { calls: calls.collect(), frame: reader.frame("Calls that wait", Place::Servers, crumbs) };
    Ok(page(StatusCode::OK, &view))
}

#[derive(serde::Deserialize)]
pub(crate) struct DecideInput {
    #[serde(default)]
    digest: String,
}

async fn decide(reader: Reader, text: &str, digest: &str, approve: bool) -> Result<Response, PageError> {
    let ask: AskId = id(text, "call")?;
    let mut bytes = Vec::new();
    for at in (0..digest.len()).step_by(2) {
        let byte = digest.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        bytes.push(byte.ok_or(TriageError::NotFound { what: "call" })?);
    }
    reader.app().decide_mcp(&reader.scope, ask, &bytes, approve).await?;
    Ok(see("/servers/waiting"))
}

pub(crate) async fn approve(
    reader: Reader,
    Path(text): Path<String>,
    Form(input): Form<DecideInput>,
) -> Result<Response, PageError> {
    decide(reader, &text, &input.digest, true).await
}

pub(crate) async fn deny(
    reader: Reader,
    Path(text): Path<String>,
    Form(input): Form<DecideInput>,
) -> Result<Response, PageError> {
    decide(reader, &text, &input.digest, false).await
}
