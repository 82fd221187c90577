//! From what a server says about a failure to the contract's codes.
//!
//! Invariant: pure; every input gives a failure with a code of the contract and a message of at most
//! [`MAX_MESSAGE_BYTES`]. Servers disagree about the shape (OpenAI, vLLM, llama.cpp, Ollama, LM Studio, FastAPI, Azure,
//! OpenRouter), so everything that may be absent is.

use serde_json::Value;

use plugin_core::host::{Failure, code, header};
use plugin_core::retry_after::{MAX_RETRY_AFTER_MS, duration_ms, retry_after_ms};

/// Longest text of the server that a message repeats, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 600;

/// What a server said, normalised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// A status inside the body, where it gives one.
    pub status: Option<u16>,
    /// `code` and `type` of the error in lower case, separated by a space.
    pub kind: String,
    /// The parameter that the error is about.
    pub param: String,
    /// The error's text.
    pub message: String,
    /// After which time it wants to be asked again, in milliseconds, where the body says so.
    pub retry_after_ms: Option<u64>,
}

impl Said {
    /// Read an error out of a JSON body or of a message inside a stream; nothing where it holds none.
    pub fn in_json(value: &Value) -> Option<Self> {
        let error = match value.get("error") {
            Some(Value::Null | Value::Bool(false)) | None => {
                // vLLM and FastChat put it at the top; FastAPI says `detail`, others `message` alone.
                if value.get("object").and_then(Value::as_str) == Some("error") || value.get("choices").is_none() {
                    value
                } else {
                    return None;
                }
            }
            Some(error) => error,
        };
        let text = |names: &[&str]| {
            names.iter().find_map(|name| match error.get(*name)? {
                Value::String(text) if !text.is_empty() => Some(text.clone()),
                other @ (Value::Array(_) | Value::Object(_)) => Some(other.to_string()),
                _ => None,
            })
        };
        let message = match error {
            Value::String(text) => text.clone(),
            _ => text(&["message", "detail", "error_description", "msg"]).unwrap_or_default(),
        };
        let number = error
            .get("code")
            .or_else(|| error.get("status"))
            .and_then(|code| code.as_u64().or_else(|| code.as_str().and_then(|code| code.parse().ok())));
        let kind = ["code", "type", "status"]
            .iter()
            .filter_map(|name| error.get(*name).and_then(Value::as_str))
            .collect::<Vec<_>>()
            .join(" ")
            .to_lowercase();
        let explicit = value.get("error").is_some_and(|error| !error.is_null());
        if !explicit && message.is_empty() {
            return None;
        }
        Some(Self {
            status: number.and_then(|number| u16::try_from(number).ok()).filter(|status| (400..600).contains(status)),
            kind,
            param: text(&["param"]).unwrap_or_default(),
            message,
            // As Google says it, among other details.
            retry_after_ms: error
                .get("details")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .find_map(|detail| duration_ms(detail.get("retryDelay")?.as_str()?))
                .map(|wait| wait.min(MAX_RETRY_AFTER_MS)),
        })
    }

    /// Read the body of a failed answer: JSON, or plain text.
    pub fn in_body(body: &[u8]) -> Self {
        if let Ok(value) = serde_json::from_slice::<Value>(body) {
            // A list with one error in it is how Google's compatible endpoint answers.
            let first = value.get(0).unwrap_or(&value);
            return Self::in_json(first).unwrap_or_default();
        }
        let text = String::from_utf8_lossy(body);
        let message = if is_html(&text) { String::new() } else { text.trim().to_owned() };
        Self { message, ..Self::default() }
    }

    fn mentions(&self, words: &[&str]) -> bool {
        let message = self.message.to_lowercase();
        words.iter().any(|word| self.kind.contains(word) || message.contains(word))
    }

    /// Whether this refuses the request's parameter `name` as such, so that leaving it out may help.
    pub fn refuses(&self, name: &str) -> bool {
        let message = self.message.to_lowercase();
        let about = self.param == name || message.contains(name);
        about
            && [
                "unsupported",
                "not supported",
                "does not support",
                "unknown",
                "unrecognized",
                "unrecognised",
                "unexpected",
                "not permitted",
                "not allowed",
                "extra",
                "additional propert",
                "invalid parameter",
                "unrecognized_keys",
            ]
            .iter()
            .any(|word| message.contains(word) || self.kind.contains(word))
    }
}

/// The failure for an answer with a status that is no success.
pub fn from_answer(status: u16, headers: &[(String, String)], body: &[u8], url: &str) -> Failure {
    let said = Said::in_body(body);
    let mut failure = classify(Some(status), &said);
    let html = is_html(&String::from_utf8_lossy(body));
    if (300..400).contains(&status) {
        failure = redirect(headers);
    } else if status == 404 && !said.mentions(&["model", "deployment"]) {
        failure.message = format!(
            "The server has no {}. Check base-url: most servers expect it to end in /v1.{}",
            clip(path_of(url), 200),
            quoted(&said.message)
        );
    } else if html && failure.code == code::INVALID {
        failure = web_page(&String::from_utf8_lossy(body));
    }
    failure.retry_after_ms = retry_after_ms(headers).or(said.retry_after_ms);
    for name in ["x-request-id", "request-id", "apim-request-id"] {
        if let Some(id) = header(headers, name) {
            let id: String = id.chars().take(128).collect();
            return failure.with("request-id", id);
        }
    }
    failure
}

/// The failure for an error inside a stream that began with a success.
pub fn from_stream(said: &Said) -> Failure {
    classify(said.status, said)
}

/// The failure for a web page where an answer of the API was expected.
pub fn web_page(text: &str) -> Failure {
    let text = text.to_lowercase();
    let sign_in = ["password", "sign in", "signin", "log in", "login", "saml", "oauth"];
    if sign_in.iter().any(|word| text.contains(word)) {
        Failure::new(
            code::AUTH,
            "The server answered with a sign-in page instead of the API. Renew the credential, or reach the server without single sign-on.",
        )
    } else {
        Failure::new(
            code::PROTOCOL,
            "The server answered with a web page instead of the API. Check base-url: most servers expect it to end in /v1.",
        )
    }
}

/// Whether a text begins as HTML does.
pub fn is_html(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim_start().starts_with('<')
}

fn redirect(headers: &[(String, String)]) -> Failure {
    let target = header(headers, "location").unwrap_or_default();
    let lower = target.to_lowercase();
    if ["login", "signin", "sign_in", "saml", "oauth", "/sso"].iter().any(|word| lower.contains(word)) {
        return Failure::new(
            code::AUTH,
            "The server redirects to a sign-in page. Renew the credential, or reach the server without single sign-on.",
        );
    }
    // Only the origin and the path: a query may hold a token.
    let shown = target.split(['?', '#']).next().unwrap_or_default();
    Failure::new(
        code::INVALID,
        format!(
            "The server redirects to {}. Redirects are not followed; set base-url to the final address.",
            clip(shown, 200)
        ),
    )
}

fn classify(status: Option<u16>, said: &Said) -> Failure {
    let quote = quoted(&said.message);
    let (code, text) = code_and_text(status, said);
    Failure::new(code, format!("{text}{quote}"))
}

fn code_and_text(status: Option<u16>, said: &Said) -> (&'static str, String) {
    const CONTEXT: [&str; 15] = [
        "context_length_exceeded",
        "exceed_context_size",
        "model_context_window_exceeded",
        "string_above_max_length",
        "request_too_large",
        "context length",
        "context window",
        "context size",
        "maximum context",
        "max_model_len",
        "prompt is too long",
        "input is too long",
        "too many tokens",
        "maximum number of tokens",
        "request too large",
    ];
    const QUOTA: [&str; 7] = [
        "insufficient_quota",
        "insufficient quota",
        "billing",
        "exceeded your current quota",
        "insufficient balance",
        "insufficient_balance",
        "insufficient credits",
    ];
    let client_error = status.is_none_or(|status| (400..500).contains(&status));
    // A prompt over the token limit of a minute arrives as 429, but waiting never helps: hence before the status.
    // llama.cpp used to say it with 500.
    if said.mentions(&CONTEXT) && !matches!(status, Some(401..=404)) {
        return (
            code::TOO_LARGE,
            "The conversation is longer than the model's limit. Shorten it, or choose a model with a larger context."
                .to_owned(),
        );
    }
    // Google words the limit of a minute as it words the end of a budget, and says when to come back.
    if client_error && said.retry_after_ms.is_none() && said.mentions(&QUOTA) {
        return (code::QUOTA, "The account's budget with the provider is used up.".to_owned());
    }
    if client_error && said.mentions(&["invalid_api_key", "api key not valid", "authentication_error"]) {
        return (code::AUTH, "The provider refused the credential. Renew it in the settings.".to_owned());
    }
    if client_error && said.mentions(&["model_not_found", "deploymentnotfound"]) {
        return (code::NOT_FOUND, "The server does not have this model.".to_owned());
    }
    let Some(status) = status else {
        return by_words(said);
    };
    match status {
        401 => (code::AUTH, "The provider refused the credential (401). Renew it in the settings.".to_owned()),
        402 => (code::QUOTA, "The account's budget with the provider is used up (402).".to_owned()),
        403 => (code::FORBIDDEN, "The credential may not do this (403).".to_owned()),
        404 => (code::NOT_FOUND, "The server does not have this model (404).".to_owned()),
        408 | 504 => (code::TIMEOUT, format!("The server gave up waiting ({status}).")),
        413 => (
            code::TOO_LARGE,
            "The request is larger than the server accepts (413). Shorten the conversation.".to_owned(),
        ),
        429 => (code::RATE_LIMITED, "The provider asks to wait (429).".to_owned()),
        400..=499 if said.mentions(&["content_filter", "content filter", "content management policy"]) => {
            (code::INVALID, format!("The provider's content filter refused the prompt ({status})."))
        }
        400..=499 => (code::INVALID, format!("The server refused the request ({status}).")),
        500..=599 => (code::UNAVAILABLE, format!("The model server failed ({status}).")),
        _ => (code::PROTOCOL, format!("The server answered with the unexpected status {status}.")),
    }
}

/// For an error that names no status: one inside a stream.
fn by_words(said: &Said) -> (&'static str, String) {
    let table: [(&'static str, &[&str], &str); 4] = [
        (
            code::RATE_LIMITED,
            &["rate_limit", "rate limit", "too many requests", "resource_exhausted"],
            "The provider asks to wait.",
        ),
        (code::FORBIDDEN, &["permission_error", "permission_denied"], "The credential may not do this."),
        (code::TIMEOUT, &["timeout_error", "timed out"], "The server gave up waiting."),
        (code::INVALID, &["invalid_request_error", "content_filter"], "The server refused the request."),
    ];
    for (code, words, text) in table {
        if said.mentions(words) {
            return (code, text.to_owned());
        }
    }
    (code::UNAVAILABLE, "The model server reported an error while it answered.".to_owned())
}

fn quoted(message: &str) -> String {
    let message = clip(message, MAX_MESSAGE_BYTES - 200);
    if message.is_empty() { String::new() } else { format!(" It says: {message}") }
}

/// One line without control characters, of at most `max` bytes.
pub fn clip(text: &str, max: usize) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let mut out = String::new();
    for word in words {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
        if out.len() > max {
            let room = max.saturating_sub('…'.len_utf8());
            out.truncate(out.floor_char_boundary(room));
            out.push('…');
            break;
        }
    }
    out
}

fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/");
    path.split('?').next().unwrap_or(path)
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
