//! JSON over the host's HTTP, to one Confluence.
//!
//! Invariant: every request goes to the base that the settings name, whatever an answer says; a write tells apart
//! "refused" from "perhaps done"; every body that is read is bounded.

use serde_json::Value;

use crate::error::{from_answer, is_title_taken, said, unexpected};
use plugin_core::host::{Failure, HeaderValue, Host, Http, Request, Response, code};

/// Most bytes of an answer: a page of the largest size that Confluence takes (5 MB), as JSON.
pub const MAX_ANSWER_BYTES: usize = 12 * 1024 * 1024;
/// Most bytes of an error's body.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// Longest wait for the head of an answer, in milliseconds.
const TIMEOUT_MS: u32 = 60_000;

/// How a write failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// It was refused, and nothing was changed.
    Refused(Failure),
    /// The title is taken in this space.
    TitleTaken(Failure),
    /// The object has another version than the request was made for.
    Stale(Failure),
    /// It may or may not have been carried out.
    Unknown(Failure),
}

impl WriteError {
    /// The failure, where none of the kinds is handled.
    pub fn into_failure(self) -> Failure {
        match self {
            Self::Refused(failure) | Self::TitleTaken(failure) | Self::Stale(failure) | Self::Unknown(failure) => {
                failure
            }
        }
    }
}

/// An answer that was read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The parsed body.
    pub json: Value,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

/// A body that is sent.
pub enum Body {
    /// JSON.
    Json(Value),
    /// Anything else, with its type.
    Raw(String, Vec<u8>),
}

/// One Confluence.
pub struct Client<'a> {
    /// Everything that the host offers.
    pub host: Host<'a>,
    /// Base of all paths, without a trailing slash.
    pub root: String,
    /// The credential's handle.
    pub credential: Option<String>,
}

impl Client<'_> {
    fn send(&self, method: &'static str, path: &str, body: Option<Body>) -> Result<Box<dyn Response>, Failure> {
        let text = |value: &str| HeaderValue::Text(value.to_owned());
        let mut headers = vec![("accept", text("application/json"))];
        if let Some(handle) = &self.credential {
            headers.push(("authorization", HeaderValue::Credential(handle.clone())));
        }
        let body = match body {
            None => None,
            Some(body) => {
                // Without it Confluence takes an upload for a forged form.
                headers.push(("x-atlassian-token", text("nocheck")));
                let (media_type, bytes) = match body {
                    Body::Json(value) => ("application/json".to_owned(), value.to_string().into_bytes()),
                    Body::Raw(media_type, bytes) => (media_type, bytes),
                };
                headers.push(("content-type", HeaderValue::Text(media_type)));
                Some(bytes)
            }
        };
        let http: &dyn Http = self.host.http;
        http.send(Request { method, url: format!("{}{path}", self.root), headers, body, timeout_ms: TIMEOUT_MS })
    }

    /// Read something.
    ///
    /// # Errors
    /// Those of the contract; `not-found` for 404.
    pub fn get(&self, path: &str) -> Result<Answer, Failure> {
        let mut answer = self.send("GET", path, None).map_err(|mut failure| {
            // Reading changes nothing.
            if failure.code == code::OUTCOME_UNKNOWN {
                failure.code = code::UNAVAILABLE.into();
            }
            failure
        })?;
        let headers = answer.headers();
        let status = answer.status();
        if !(200..300).contains(&status) {
            return Err(from_answer(status, &headers, &read_lossy(answer.as_mut())));
        }
        let body = read(answer.as_mut())?;
        match serde_json::from_slice::<Value>(&body) {
            Ok(json) if json.is_object() || json.is_array() => Ok(Answer { json, headers }),
            _ => Err(unexpected("no JSON", &body)),
        }
    }

    /// [`Client::get`], with nothing for what is not there or hidden.
    ///
    /// # Errors
    /// Those of the contract, but `not-found`.
    pub fn find(&self, path: &str) -> Result<Option<Answer>, Failure> {
        match self.get(path) {
            Ok(answer) => Ok(Some(answer)),
            Err(failure) if failure.code == code::NOT_FOUND => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Write something.
    ///
    /// # Errors
    /// See [`WriteError`]. A success whose body cannot be read is [`WriteError::Unknown`]: something was done, but we
    /// do not know what.
    pub fn write(&self, method: &'static str, path: &str, body: Body) -> Result<Answer, WriteError> {
        let mut answer = self.send(method, path, Some(body)).map_err(|failure| match failure.code.as_ref() {
            code::OUTCOME_UNKNOWN | code::TIMEOUT => WriteError::Unknown(failure),
            _ => WriteError::Refused(failure),
        })?;
        let headers = answer.headers();
        let status = answer.status();
        if (200..300).contains(&status) {
            let body = read(answer.as_mut()).map_err(|mut failure| {
                failure.code = code::OUTCOME_UNKNOWN.into();
                WriteError::Unknown(failure)
            })?;
            return match serde_json::from_slice::<Value>(&body) {
                Ok(json) if json.is_object() => Ok(Answer { json, headers }),
                _ => Err(WriteError::Unknown(unexpected("no JSON", &body))),
            };
        }
        let body = read_lossy(answer.as_mut());
        let mut failure = from_answer(status, &headers, &body);
        Err(match status {
            _ if is_title_taken(status, &said(&body)) => WriteError::TitleTaken(failure),
            409 => WriteError::Stale(failure),
            408 | 500..=599 => {
                // 503 is how a server says that it did nothing; a proxy says it as well, so we look all the same.
                if status != 503 {
                    failure.code = code::OUTCOME_UNKNOWN.into();
                }
                WriteError::Unknown(failure)
            }
            _ => WriteError::Refused(failure),
        })
    }
}

fn read(answer: &mut dyn Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.next_chunk()? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(Failure::new(
                code::PROTOCOL,
                format!("Confluence's answer is longer than {MAX_ANSWER_BYTES} bytes."),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What can be read of a failed answer; that it was cut changes nothing about its status.
fn read_lossy(answer: &mut dyn Response) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < MAX_ERROR_BYTES
        && let Ok(Some(chunk)) = answer.next_chunk()
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(MAX_ERROR_BYTES);
    body
}
