//! The two calls of the world: list the models, and complete a conversation.
//!
//! Invariant: one request per call, except that a server which refuses a parameter by name is asked once more without
//! it, at most [`MAX_ADAPTATIONS`] times. Nothing is retried for any other reason: the host decides that. Everything
//! that is read is bounded.

use provider_core::error::{Said, from_answer};
use provider_core::host::{Config, Failure, HeaderValue, Http, Request, Response, code};
use provider_core::http::{MAX_ERROR_BYTES, list, no_list, read_lossy, send};
use provider_core::model::{ChatRequest, Model};
use provider_core::settings::{Defaults, Settings, setting};
use provider_core::tools::used_ids;
use provider_core::{Completion, Form};
use serde_json::Value;

use crate::request::{self, Dialect};
use crate::{answer, responses};

/// How often a request is changed to what the server knows: the limit's name, `stream_options`, `temperature`.
pub const MAX_ADAPTATIONS: usize = 3;
/// Most models that are listed.
pub const MAX_MODELS: usize = 2000;

/// What servers of one kind have of their own.
pub struct Service {
    /// Of their settings.
    pub defaults: Defaults,
    /// The address of a call (`chat/completions`, `responses`) for a model.
    pub call: fn(&Settings, &dyn Config, call: &str, model: &str) -> Result<String, Failure>,
    /// Where they list their models; nothing where they list what is no model for a request.
    pub list: fn(&Settings, &dyn Config) -> Option<String>,
}

/// OpenAI, and those that are compatible with it.
pub static OPENAI: Service = Service {
    defaults: Defaults {
        example_url: "http://127.0.0.1:11434/v1",
        credential_headers: &["authorization", "api-key"],
        calls: &["/chat/completions", "/responses"],
    },
    call: |settings, _, call, _| Ok(settings.url(call)),
    list: |settings, _| Some(settings.url("models")),
};

/// The API that a server is spoken to in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Api {
    Chat,
    Responses,
}

impl Api {
    fn read(config: &dyn Config) -> Result<Self, Failure> {
        match setting(config, "api").as_deref() {
            None | Some("chat") => Ok(Self::Chat),
            Some("responses") => Ok(Self::Responses),
            Some(_) => Err(Failure::new(code::INVALID, "The setting api must be chat or responses.")),
        }
    }

    const fn call(self) -> &'static str {
        match self {
            Self::Chat => "chat/completions",
            Self::Responses => "responses",
        }
    }

    fn body(self, request: &ChatRequest, model: &str, dialect: Dialect) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Chat => request::body(request, model, dialect),
            Self::Responses => responses::request::body(request, model, dialect),
        }
    }

    fn completion(self, answer: Box<dyn Response>, request: &ChatRequest) -> Completion {
        let used = used_ids(request);
        match self {
            Self::Chat => Completion::new(answer, Form::Events, answer::Answer::new(used)),
            Self::Responses => Completion::new(answer, Form::Events, responses::answer::Answer::new(used)),
        }
    }
}

/// The models that the server lists; an empty list where it has no such call.
///
/// # Errors
/// Those of the contract.
pub fn models(http: &dyn Http, config: &dyn Config, service: &Service) -> Result<Vec<Model>, Failure> {
    let settings = Settings::read(config, service.defaults)?;
    let Some(url) = (service.list)(&settings, config) else { return Ok(Vec::new()) };
    let Some(value) = list(http, &settings, url, &[])? else { return Ok(Vec::new()) };
    let list = [value.get("data"), value.get("models"), Some(&value)].into_iter().flatten().find_map(Value::as_array);
    let list = list.ok_or_else(|| no_list(&value))?;
    Ok(list.iter().filter_map(read_model).take(MAX_MODELS).collect())
}

fn read_model(value: &Value) -> Option<Model> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
    let id = value.as_str().or_else(|| text("id")).or_else(|| text("model"))?;
    let tokens = [
        "/context_length",
        "/max_model_len",
        "/context_window",
        "/max_context_length",
        "/meta/n_ctx",
        "/meta/n_ctx_train",
    ];
    Some(Model {
        id: id.to_owned(),
        name: text("name").or_else(|| text("display_name")).unwrap_or(id).to_owned(),
        context_tokens: tokens.iter().find_map(|path| value.pointer(path)?.as_u64()),
    })
}

/// Send a conversation; the answer arrives through [`Completion::next`].
///
/// # Errors
/// Those of the contract.
pub fn complete(
    http: &dyn Http,
    config: &dyn Config,
    request: &ChatRequest,
    service: &Service,
) -> Result<Completion, Failure> {
    let settings = Settings::read(config, service.defaults)?;
    let api = Api::read(config)?;
    let model = if request.model.is_empty() { &settings.model } else { &request.model };
    let url = (service.call)(&settings, config, api.call(), model)?;
    let mut dialect = Dialect { old_max_tokens: old_max_tokens(config)?, ..Dialect::default() };
    let mut adaptations = 0;
    loop {
        let mut headers = vec![
            ("content-type", HeaderValue::Text("application/json".to_owned())),
            ("accept", HeaderValue::Text("text/event-stream, application/json".to_owned())),
        ];
        headers.extend(settings.credential());
        let mut answer = send(
            http,
            Request {
                method: "POST",
                url: url.clone(),
                headers,
                body: Some(api.body(request, &settings.model, dialect)?),
                timeout_ms: settings.timeout_ms,
            },
        )?;
        let status = answer.status();
        if (200..300).contains(&status) {
            return Ok(api.completion(answer, request));
        }
        let body = read_lossy(answer.as_mut(), MAX_ERROR_BYTES);
        if matches!(status, 400 | 422)
            && adaptations < MAX_ADAPTATIONS
            && let Some(adapted) = adapt(api, dialect, request, &Said::in_body(&body))
        {
            dialect = adapted;
            adaptations += 1;
            continue;
        }
        return Err(from_answer(status, &answer.headers(), &body, &url));
    }
}

/// Whether the limit of output tokens goes by its old name, for servers that ignore the new one silently.
fn old_max_tokens(config: &dyn Config) -> Result<bool, Failure> {
    match setting(config, "max-tokens-parameter").as_deref() {
        None | Some("max_completion_tokens") => Ok(false),
        Some("max_tokens") => Ok(true),
        Some(_) => Err(Failure::new(
            code::INVALID,
            "The setting max-tokens-parameter must be max_completion_tokens or max_tokens.",
        )),
    }
}

/// The dialect without the parameter that the server refuses; nothing where it refuses none that can be left out.
fn adapt(api: Api, dialect: Dialect, request: &ChatRequest, said: &Said) -> Option<Dialect> {
    let mut adapted = dialect;
    if api == Api::Responses {
        adapted.no_include |= said.refuses("include") || said.refuses("encrypted content");
    } else if !dialect.no_stream_options && said.refuses("stream_options") {
        adapted.no_stream_options = true;
    }
    if api == Api::Chat && request.max_output_tokens.is_some() {
        // Each name once: a server that refuses both is not asked for ever, because the number of tries is bounded.
        if !dialect.old_max_tokens && said.refuses("max_completion_tokens") {
            adapted.old_max_tokens = true;
        } else if dialect.old_max_tokens && said.refuses("max_tokens") && !said.refuses("stream_options") {
            adapted.old_max_tokens = false;
        }
    }
    if request.temperature.is_some() && !dialect.no_temperature && said.refuses("temperature") {
        adapted.no_temperature = true;
    }
    (adapted != dialect).then_some(adapted)
}

#[cfg(test)]
#[path = "responses/tests.rs"]
mod responses_tests;
#[cfg(test)]
#[path = "provider_tests.rs"]
mod tests;
