//! The two calls of the world: list the models, and complete a conversation.
//!
//! Invariant: one request per call, and one more where the model refuses a temperature by name. Nothing is retried for any
//! other reason: the host decides that.

use provider_core::error::{Said, from_answer};
use provider_core::host::{Config, Failure, HeaderValue, Http, Request};
use provider_core::http::{MAX_ERROR_BYTES, list, no_list, read_lossy, send};
use provider_core::model::{ChatRequest, Model};
use provider_core::settings::{Defaults, Settings};
use provider_core::tools::used_ids;
use provider_core::{Completion, Form};
use serde_json::Value;

use crate::answer::Answer;
use crate::request::body;

/// Most models that are listed: what the service gives on one page at most.
pub const MAX_MODELS: usize = 1000;
/// The version of the API that is spoken.
const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

const DEFAULTS: Defaults = Defaults {
    example_url: "https://api.anthropic.com/v1",
    // The second for servers that sign in by OAuth.
    credential_headers: &["x-api-key", "authorization"],
    calls: &["/messages"],
};

/// The models that the server lists; an empty list where it has no such call.
///
/// # Errors
/// Those of the contract.
pub fn models(http: &dyn Http, config: &dyn Config) -> Result<Vec<Model>, Failure> {
    let settings = Settings::read(config, DEFAULTS)?;
    let url = settings.url("models");
    let more = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{more}limit={MAX_MODELS}");
    let Some(value) = list(http, &settings, url, &[VERSION])? else { return Ok(Vec::new()) };
    let models = value.get("data").and_then(Value::as_array).ok_or_else(|| no_list(&value))?;
    let read = |model: &Value| {
        let text = |name: &str| model.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let id = text("id")?;
        Some(Model {
            id: id.to_owned(),
            name: text("display_name").unwrap_or(id).to_owned(),
            context_tokens: ["max_input_tokens", "context_window"].iter().find_map(|name| model.get(*name)?.as_u64()),
        })
    };
    Ok(models.iter().filter_map(read).take(MAX_MODELS).collect())
}

/// Send a conversation.
///
/// # Errors
/// Those of the contract.
pub fn complete(http: &dyn Http, config: &dyn Config, request: &ChatRequest) -> Result<Completion, Failure> {
    let settings = Settings::read(config, DEFAULTS)?;
    let url = settings.url("messages");
    let mut temperature = true;
    loop {
        let text = |name, value: &str| (name, HeaderValue::Text(value.to_owned()));
        let mut headers = vec![
            text("content-type", "application/json"),
            text("accept", "text/event-stream, application/json"),
            text(VERSION.0, VERSION.1),
        ];
        headers.extend(settings.credential());
        let body = Some(body(request, &settings.model, temperature)?);
        let timeout_ms = settings.timeout_ms;
        let mut answer = send(http, Request { method: "POST", url: url.clone(), headers, body, timeout_ms })?;
        let status = answer.status();
        if (200..300).contains(&status) {
            return Ok(Completion::new(answer, Form::Events, Answer::new(used_ids(request))));
        }
        let said = read_lossy(answer.as_mut(), MAX_ERROR_BYTES);
        // Models that think take their own temperature only.
        let about_it = || Said::in_body(&said).message.to_lowercase().contains("temperature");
        if status == 400 && temperature && request.temperature.is_some() && about_it() {
            temperature = false;
            continue;
        }
        return Err(from_answer(status, &answer.headers(), &said, &url));
    }
}

#[cfg(test)]
#[path = "provider_tests.rs"]
mod tests;
