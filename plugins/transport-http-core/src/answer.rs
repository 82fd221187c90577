//! What the head of an HTTP answer says, and what a refusal means for the client.
//!
//! Invariant: each status has one failure code, here and nowhere else; a text that reaches a person names the server,
//! what it answered, and what to do.

use crate::retry_after;
use crate::rpc::Message;
use std::borrow::Cow;

/// Bytes of a refusal's body in the text of the failure.
const EXCERPT_CHARS: usize = 256;
/// Longest `www-authenticate` that is passed on.
const MAX_CHALLENGE_BYTES: usize = 8 * 1024;

/// What the body of an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// `application/json`.
    Json,
    /// `text/event-stream`.
    EventStream,
    /// Anything else, or not said.
    Other,
}

/// The head of an answer, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// HTTP status code.
    pub status: u16,
    /// What the body is.
    pub content: Content,
    /// The media type without parameters; empty where none was given.
    pub media_type: String,
    /// `mcp-session-id`.
    pub session: Option<String>,
    /// `retry-after`, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// `www-authenticate`, several joined by commas.
    pub www_authenticate: Option<String>,
    location: Option<String>,
    /// A content encoding that nobody undid.
    pub encoding: Option<String>,
}

impl Head {
    /// From status and headers.
    pub fn read(status: u16, headers: &[(String, String)]) -> Self {
        let all = |name: &str| -> Vec<&str> {
            headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
        };
        let first = |name: &str| all(name).first().map(|value| (*value).to_owned());
        let media_type = first("content-type")
            .map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
            .unwrap_or_default();
        let challenges = all("www-authenticate").join(", ");
        Self {
            status,
            content: match media_type.as_str() {
                "application/json" => Content::Json,
                "text/event-stream" => Content::EventStream,
                _ => Content::Other,
            },
            media_type,
            session: first("mcp-session-id"),
            retry_after_ms: retry_after::parse(first("retry-after").as_deref(), first("date").as_deref()),
            www_authenticate: (!challenges.is_empty() && challenges.len() <= MAX_CHALLENGE_BYTES).then_some(challenges),
            location: first("location"),
            encoding: first("content-encoding").filter(|value| !value.eq_ignore_ascii_case("identity")),
        }
    }

    /// Whether the server took the request.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether nothing in the body could say more than the status does.
    pub fn is_final(&self) -> bool {
        matches!(self.status, 401 | 403 | 429) || (self.status >= 500 && self.content != Content::Json)
    }

    /// Whether asking again later can help.
    pub fn is_passing(&self) -> bool {
        matches!(self.status, 408 | 425 | 429 | 500..=599) && self.status != 501
    }

    /// Whether this refusal of `server/discover` says that the server does not know it: the older era. Not so where it
    /// is about who asks (401, 403) or when (408, 429, 5xx).
    pub fn is_legacy_refusal(&self) -> bool {
        self.status == 501 || ((400..500).contains(&self.status) && !matches!(self.status, 401 | 403 | 408 | 425 | 429))
    }
}

/// Why a message could not be sent, or a request gets no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// HTTP status, or 0.
    pub status: u16,
    /// A failure code of `fumehood:types`.
    pub code: Cow<'static, str>,
    /// One or two sentences for a person.
    pub text: String,
    /// Milliseconds to wait before a retry, 0 where the server did not say.
    pub retry_after_ms: u64,
    /// The challenge of a 401 or 403.
    pub www_authenticate: Option<String>,
}

impl Fault {
    /// A fault without an HTTP status.
    pub fn new(code: impl Into<Cow<'static, str>>, text: impl Into<String>) -> Self {
        Self { status: 0, code: code.into(), text: text.into(), retry_after_ms: 0, www_authenticate: None }
    }

    /// A request that broke, with the host's code and text for it. `what` tells how far it had come.
    pub fn broken(name: &str, code: &str, text: &str, what: &str) -> Self {
        let code = match code {
            "" => "protocol",
            code => code,
        };
        let text = match text {
            "" => format!("{name} {what}."),
            text => format!("{name} {what}: {}", excerpt(text.as_bytes())),
        };
        Self::new(code.to_owned(), text)
    }

    /// The same, with the HTTP status that it came with.
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }
}

/// What a refusal, or an answer that is none, means. `changes`: the request may have had an effect that must not be
/// had twice.
pub fn fault(name: &str, head: &Head, body: &[u8], changes: bool) -> Fault {
    let status = head.status;
    let (code, text) = match status {
        200..=299 => unusable(name, head, body),
        300..=399 => {
            let to = head.location.as_deref().map_or(String::new(), |url| format!(" to {}", excerpt(url.as_bytes())));
            (
                "protocol",
                format!(
                    "{name} redirects{to} (HTTP {status}), and redirects are not followed. Register the URL that it names."
                ),
            )
        }
        401 => (
            "auth",
            format!("{name} wants a valid credential (HTTP 401). Renew the one that is registered, or add one."),
        ),
        403 => ("forbidden", format!("{name} does not allow this to the credential that is registered (HTTP 403).")),
        404 | 410 => ("not-found", format!("There is no MCP server at the URL of {name} (HTTP {status}).")),
        405 => (
            "unsupported",
            format!(
                "The URL of {name} does not take POST (HTTP 405). It may be a server of the older HTTP+SSE transport, or the path may be wrong."
            ),
        ),
        408 => ("timeout", format!("{name} waited too long for the request (HTTP 408).")),
        413 => ("too-large", format!("{name} takes no message of this size (HTTP 413).")),
        409 => ("conflict", format!("{name} refuses this in its present state (HTTP 409).")),
        425 | 429 => ("rate-limited", format!("{name} takes no more requests for the moment (HTTP {status}).")),
        501 => ("unsupported", format!("{name} does not implement this (HTTP 501).")),
        503 => ("unavailable", format!("{name} is not available for the moment (HTTP 503).")),
        500..=599 if changes => (
            "outcome-unknown",
            format!("{name} failed (HTTP {status}); whether it carried the request out is not known."),
        ),
        500..=599 => ("unavailable", format!("{name} failed (HTTP {status}).")),
        _ => ("protocol", format!("{name} refused the message (HTTP {status}).")),
    };
    let text = match (200..400).contains(&status) || head.is_final() || body.is_empty() {
        true => text,
        false => format!("{text} It said: {}", said(body)),
    };
    Fault {
        status,
        code: Cow::Borrowed(code),
        text,
        retry_after_ms: head.retry_after_ms.unwrap_or(0),
        www_authenticate: match status {
            401 | 403 => head.www_authenticate.clone(),
            _ => None,
        },
    }
}

/// A success whose body is no message.
fn unusable(name: &str, head: &Head, body: &[u8]) -> (&'static str, String) {
    if let Some(encoding) = &head.encoding {
        return ("protocol", format!("{name} answered in the encoding {encoding}, which was not asked for."));
    }
    if head.media_type == "text/html" {
        return match is_sign_in(body) {
            true => (
                "auth",
                format!("{name} answered with a page to sign in on. Register a credential for it, or renew it."),
            ),
            false => (
                "protocol",
                format!("{name} answered with a web page, not with a message. The path of its URL may be wrong."),
            ),
        };
    }
    match (body.is_empty(), head.media_type.as_str()) {
        (true, _) => ("protocol", format!("{name} gave an empty answer (HTTP {}).", head.status)),
        (false, "") => ("protocol", format!("{name} answered without a content type: {}", excerpt(body))),
        (false, "application/json") => {
            ("protocol", format!("{name} answered with JSON that does not answer the request: {}", excerpt(body)))
        }
        (false, other) => {
            ("protocol", format!("{name} answered with {other}, not with JSON or an event stream: {}", excerpt(body)))
        }
    }
}

fn is_sign_in(body: &[u8]) -> bool {
    let page = String::from_utf8_lossy(body).to_ascii_lowercase();
    ["type=\"password\"", "type='password'", "type=password", "sign in", "log in", "login"]
        .iter()
        .any(|mark| page.contains(mark))
}

/// The message of a JSON-RPC error, otherwise the beginning of the body.
pub fn said(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Shape {
        message: String,
    }
    std::str::from_utf8(body)
        .ok()
        .and_then(Message::parse)
        .and_then(|message| message.error)
        .and_then(|error| serde_json::from_str::<Shape>(error.get()).ok())
        .map_or_else(|| excerpt(body), |shape| excerpt(shape.message.as_bytes()))
}

/// The beginning of a text, on one line.
pub fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..EXCERPT_CHARS * 4).unwrap_or(body)).into_owned();
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|char| !char.is_control()).take(EXCERPT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(status: u16, media_type: &str) -> Head {
        Head::read(status, &[("content-type".into(), media_type.into())])
    }

    #[test]
    fn each_status_has_its_code() {
        for (status, changes, code) in [
            (301, false, "protocol"),
            (400, false, "protocol"),
            (401, false, "auth"),
            (403, false, "forbidden"),
            (404, false, "not-found"),
            (405, false, "unsupported"),
            (406, false, "protocol"),
            (408, false, "timeout"),
            (409, false, "conflict"),
            (410, false, "not-found"),
            (413, false, "too-large"),
            (415, false, "protocol"),
            (422, false, "protocol"),
            (429, true, "rate-limited"),
            (500, false, "unavailable"),
            (500, true, "outcome-unknown"),
            (501, true, "unsupported"),
            (502, true, "outcome-unknown"),
            (503, true, "unavailable"),
            (504, true, "outcome-unknown"),
        ] {
            let fault = fault("s", &head(status, "text/plain"), b"", changes);
            assert_eq!((fault.status, &*fault.code), (status, code));
        }
    }

    #[test]
    fn pages_are_told_apart() {
        let page = |body: &str| fault("s", &head(200, "text/html; charset=utf-8"), body.as_bytes(), false);
        assert_eq!(&*page("<form><input type=\"password\">").code, "auth");
        assert_eq!(&*page("<h1>Welcome to nginx</h1>").code, "protocol");
    }

    #[test]
    fn what_the_server_said_is_quoted_on_one_line() {
        let body = br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"No valid\nsession"}}"#;
        let fault = fault("s", &head(400, "application/json"), body, false);
        assert_eq!(fault.text, "s refused the message (HTTP 400). It said: No valid session");
        assert_eq!(excerpt(&[0xff; 5000]).chars().count(), EXCERPT_CHARS);
    }

    #[test]
    fn challenges_are_joined_and_kept_to_where_they_belong() {
        let headers = [("WWW-Authenticate".into(), "Bearer a".into()), ("www-authenticate".into(), "Basic b".into())];
        let read = |status| fault("s", &Head::read(status, &headers), b"", false).www_authenticate;
        assert_eq!(read(401).as_deref(), Some("Bearer a, Basic b"));
        assert_eq!(read(500), None);
    }
}
