//! The two calls of the world: list the models, and complete a conversation.
//!
//! Invariant: two requests per call: what the model can hold, and the conversation. Nothing is retried: the host decides
//! that.

use provider_core::error::from_answer;
use provider_core::host::{Config, Failure, HeaderValue, Http, Request, code};
use provider_core::http::{MAX_ERROR_BYTES, MAX_JSON_BYTES, list, no_list, read, read_lossy, send};
use provider_core::model::{ChatRequest, Model};
use provider_core::settings::{Defaults, Settings, setting};
use provider_core::tools::{self, used_ids};
use provider_core::{Completion, Form};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::request::{body, context};

/// Most models that are listed.
pub const MAX_MODELS: usize = 2000;
/// Longest wait for what a model can hold, in milliseconds.
const SHOW_TIMEOUT_MS: u32 = 30_000;

const DEFAULTS: Defaults = Defaults {
    example_url: "http://127.0.0.1:11434",
    // For those that stand behind a proxy.
    credential_headers: &["authorization", "x-api-key"],
    // The compatible API's, too.
    calls: &["/api/chat", "/api", "/v1"],
};

/// The models that the server has; an empty list where it has no such call.
///
/// # Errors
/// Those of the contract.
pub fn models(http: &dyn Http, config: &dyn Config) -> Result<Vec<Model>, Failure> {
    let settings = Settings::read(config, DEFAULTS)?;
    let Some(value) = list(http, &settings, settings.url("api/tags"), &[])? else { return Ok(Vec::new()) };
    let models = value.get("models").and_then(Value::as_array).ok_or_else(|| no_list(&value))?;
    let read = |model: &Value| {
        let text = |name: &str| model.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let id = text("model").or_else(|| text("name"))?;
        Some(Model { id: id.to_owned(), name: text("name").unwrap_or(id).to_owned(), context_tokens: None })
    };
    Ok(models.iter().filter_map(read).take(MAX_MODELS).collect())
}

fn post(http: &dyn Http, settings: &Settings, call: &str, body: Vec<u8>, timeout_ms: u32) -> Sent {
    let url = settings.url(call);
    let text = |name, value: &str| (name, HeaderValue::Text(value.to_owned()));
    let mut headers =
        vec![text("content-type", "application/json"), text("accept", "application/x-ndjson, application/json")];
    headers.extend(settings.credential());
    let mut answer = send(http, Request { method: "POST", url: url.clone(), headers, body: Some(body), timeout_ms })?;
    let status = answer.status();
    if (200..300).contains(&status) {
        return Ok(answer);
    }
    let said = read_lossy(answer.as_mut(), MAX_ERROR_BYTES);
    Err(from_answer(status, &answer.headers(), &said, &url))
}

type Sent = Result<Box<dyn provider_core::host::Response>, Failure>;

/// What a model can hold at most, in tokens, where its server says so.
fn holds(http: &dyn Http, settings: &Settings, model: &str) -> Result<Option<u64>, Failure> {
    let asked = json!({"model": model}).to_string().into_bytes();
    let timeout_ms = SHOW_TIMEOUT_MS.min(settings.timeout_ms);
    let mut answer = match post(http, settings, "api/show", asked, timeout_ms) {
        Ok(answer) => answer,
        // Servers that only look like it; one that has no such model says so when it is asked.
        Err(failure) if [code::NOT_FOUND, code::INVALID].contains(&failure.code.as_ref()) => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let said = read(answer.as_mut(), MAX_JSON_BYTES)?;
    let Ok(value) = serde_json::from_slice::<Value>(&said) else { return Ok(None) };
    let facts = value.get("model_info").and_then(Value::as_object);
    let length = facts.into_iter().flatten().find(|(name, _)| name.ends_with(".context_length"));
    Ok(length.and_then(|(_, tokens)| tokens.as_u64()).filter(|tokens| *tokens > 0))
}

/// Send a conversation.
///
/// # Errors
/// Those of the contract.
pub fn complete(http: &dyn Http, config: &dyn Config, request: &ChatRequest) -> Result<Completion, Failure> {
    let settings = Settings::read(config, DEFAULTS)?;
    let model = tools::model(request, &settings.model)?;
    let mut most = holds(http, &settings, model)?;
    // What the machine has memory for, an operator knows.
    if let Some(text) = setting(config, "context-tokens") {
        let limit: u64 = text.parse().ok().filter(|limit| (512..=1 << 30).contains(limit)).ok_or_else(|| {
            Failure::new(code::INVALID, "The setting context-tokens must be a number of tokens from 512 on.")
        })?;
        most = Some(most.map_or(limit, |most| most.min(limit)));
    }
    let body = body(request, &settings.model, context(request, most)?)?;
    let answer = post(http, &settings, "api/chat", body, settings.timeout_ms)?;
    Ok(Completion::new(answer, Form::Lines, Answer::new(used_ids(request))))
}

#[cfg(test)]
#[path = "provider_tests.rs"]
mod tests;
