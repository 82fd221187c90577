//! The two calls of the world: list the models, and complete a conversation.
//!
//! Invariant: one request per call. Nothing is retried: the host decides that.

use provider_core::error::from_answer;
use provider_core::host::{Config, Failure, HeaderValue, Http, Request, code};
use provider_core::http::{MAX_ERROR_BYTES, list, no_list, read_lossy, send};
use provider_core::model::{ChatRequest, Model};
use provider_core::settings::{Defaults, Settings};
use provider_core::tools::{self, used_ids};
use provider_core::{Completion, Form};
use serde_json::Value;

use crate::answer::Answer;
use crate::request::body;

/// Most models that are listed: what the service gives on one page at most.
pub const MAX_MODELS: usize = 1000;

const DEFAULTS: Defaults = Defaults {
    example_url: "https://generativelanguage.googleapis.com/v1beta",
    // The second for tokens of OAuth.
    credential_headers: &["x-goog-api-key", "authorization"],
    calls: &["/models"],
};

/// The models that the server lists and that answer in words; an empty list where it has no such call.
///
/// # Errors
/// Those of the contract.
pub fn models(http: &dyn Http, config: &dyn Config) -> Result<Vec<Model>, Failure> {
    let settings = Settings::read(config, DEFAULTS)?;
    let url = with(settings.url("models"), &format!("pageSize={MAX_MODELS}"));
    let Some(value) = list(http, &settings, url, &[])? else { return Ok(Vec::new()) };
    let models = value.get("models").and_then(Value::as_array).ok_or_else(|| no_list(&value))?;
    let read = |model: &Value| {
        let text = |name: &str| model.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let answers = model.get("supportedGenerationMethods").and_then(Value::as_array);
        if answers.is_some_and(|methods| !methods.iter().any(|method| method == "generateContent")) {
            return None;
        }
        let name = text("name")?;
        let id = name.strip_prefix("models/").unwrap_or(name);
        Some(Model {
            id: id.to_owned(),
            name: text("displayName").unwrap_or(id).to_owned(),
            context_tokens: model.get("inputTokenLimit").and_then(Value::as_u64),
        })
    };
    Ok(models.iter().filter_map(read).take(MAX_MODELS).collect())
}

fn with(url: String, parameter: &str) -> String {
    let sign = if url.contains('?') { '&' } else { '?' };
    format!("{url}{sign}{parameter}")
}

/// Send a conversation.
///
/// # Errors
/// Those of the contract.
pub fn complete(http: &dyn Http, config: &dyn Config, request: &ChatRequest) -> Result<Completion, Failure> {
    let settings = Settings::read(config, DEFAULTS)?;
    let model = tools::model(request, &settings.model)?;
    let model = model.strip_prefix("models/").unwrap_or(model);
    // It becomes a part of the address.
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if !model.chars().all(fits) || model.contains("..") || model.starts_with('/') {
        return Err(Failure::new(
            code::INVALID,
            "The model's name holds characters that no model of this service has.",
        ));
    }
    let path = if model.contains('/') { model.to_owned() } else { format!("models/{model}") };
    // Without `alt` it is one list, which ends with the answer.
    let url = with(settings.url(&format!("{path}:streamGenerateContent")), "alt=sse");
    let text = |name, value: &str| (name, HeaderValue::Text(value.to_owned()));
    let mut headers =
        vec![text("content-type", "application/json"), text("accept", "text/event-stream, application/json")];
    headers.extend(settings.credential());
    let body = Some(body(request)?);
    let timeout_ms = settings.timeout_ms;
    let mut answer = send(http, Request { method: "POST", url: url.clone(), headers, body, timeout_ms })?;
    let status = answer.status();
    if (200..300).contains(&status) {
        return Ok(Completion::new(answer, Form::Events, Answer::new(used_ids(request))));
    }
    let said = read_lossy(answer.as_mut(), MAX_ERROR_BYTES);
    Err(from_answer(status, &answer.headers(), &said, &url))
}

#[cfg(test)]
#[path = "provider_tests.rs"]
mod tests;
