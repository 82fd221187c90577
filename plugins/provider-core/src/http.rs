//! Sending a request and reading what is bounded of the answer.

use serde_json::Value;

use crate::error::{Said, clip, from_answer, is_html, web_page};
use crate::settings::Settings;
use plugin_core::host::{Failure, HeaderValue, Http, Request, Response, code};

/// Most bytes that are read of a failed answer; the rest says nothing more.
pub const MAX_ERROR_BYTES: usize = 64 * 1024;
/// Most bytes of an answer that is not a stream, and of the list of models.
pub const MAX_JSON_BYTES: usize = 8 * 1024 * 1024;
/// Longest wait for the list of models, in milliseconds.
const LIST_TIMEOUT_MS: u32 = 30_000;

/// Send a request. A completion changes nothing on the server, so an unknown outcome is no outcome.
///
/// # Errors
/// As [`Http::send`].
pub fn send(http: &dyn Http, request: Request) -> Result<Box<dyn Response>, Failure> {
    http.send(request).map_err(|mut failure| {
        if failure.code == code::OUTCOME_UNKNOWN {
            failure.code = code::UNAVAILABLE.into();
        }
        failure
    })
}

/// A list as JSON; nothing where the server has no such call.
///
/// # Errors
/// Those of the contract.
pub fn list(
    http: &dyn Http,
    settings: &Settings,
    url: String,
    more: &[(&'static str, &str)],
) -> Result<Option<Value>, Failure> {
    let mut headers = vec![("accept", HeaderValue::Text("application/json".to_owned()))];
    headers.extend(more.iter().map(|(name, value)| (*name, HeaderValue::Text((*value).to_owned()))));
    headers.extend(settings.credential());
    let timeout_ms = LIST_TIMEOUT_MS.min(settings.timeout_ms);
    let request = Request { method: "GET", url: url.clone(), headers, body: None, timeout_ms };
    let mut answer = send(http, request)?;
    match answer.status() {
        200..=299 => {}
        404 | 405 | 501 => return Ok(None),
        status => {
            let body = read_lossy(answer.as_mut(), MAX_ERROR_BYTES);
            return Err(from_answer(status, &answer.headers(), &body, &url));
        }
    }
    let body = read(answer.as_mut(), MAX_JSON_BYTES)?;
    serde_json::from_slice(&body).map(Some).map_err(|_| not_json(&body))
}

/// The failure where a list was expected and something else came.
pub fn no_list(value: &Value) -> Failure {
    Said::in_json(value).map_or_else(
        || Failure::new(code::PROTOCOL, "The server's list of models is no list."),
        |said| crate::error::from_stream(&said),
    )
}

/// A body whole.
///
/// # Errors
/// `protocol` where it is longer than `max`, and what the connection fails with.
pub fn read(answer: &mut dyn Response, max: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.next_chunk()? {
        if body.len() + chunk.len() > max {
            return Err(too_long(max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What can be read of a failed answer; that it was cut changes nothing about its status.
pub fn read_lossy(answer: &mut dyn Response, max: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < max
        && let Ok(Some(chunk)) = answer.next_chunk()
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(max);
    body
}

/// The failure for an answer over its limit.
pub fn too_long(max: usize) -> Failure {
    Failure::new(code::PROTOCOL, format!("The server's answer is longer than {max} bytes."))
}

/// The failure for a body that should have been JSON.
pub fn not_json(body: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(body);
    if is_html(&text) {
        return web_page(&text);
    }
    Failure::new(code::PROTOCOL, "The server's answer is no JSON.").with("excerpt", clip(&text, 500))
}
