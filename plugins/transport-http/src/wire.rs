//! The headers of the protocol: names, and values that can travel in a header.
//!
//! Invariant: a value that a header cannot carry as it is travels as `=?base64?…?=`, so no value of the client's can
//! begin a header of its own; `Mcp-*` headers are sent from revision 2026-07-28 on and never before.

use crate::contract::{Header, HeaderValue, Settings};
use crate::limits::MAX_HEADER_BYTES;
use crate::rpc::Outgoing;
use crate::tools::Tools;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The first revision with `Mcp-Method` and its kin, and without sessions. Revisions are dates and compare as text.
pub const STATELESS_REVISION: &str = "2026-07-28";

/// What an answer to a POST may be.
pub const ACCEPT_POST: &str = "application/json, text/event-stream";
/// What an answer to a GET may be.
pub const ACCEPT_GET: &str = "text/event-stream";

const SENTINEL_PREFIX: &str = "=?base64?";
const SENTINEL_SUFFIX: &str = "?=";

/// Headers that this transport or the host writes, which a setting cannot.
const RESERVED: &[&str] = &[
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
const RESERVED_PREFIXES: &[&str] = &["mcp-param-", "proxy-"];

/// A header with a plain value.
pub fn text(name: &str, value: impl Into<String>) -> Header {
    Header { name: name.to_owned(), value: HeaderValue::Text(value.into()) }
}

/// Whether this revision has the headers and the statelessness of the newer era.
pub fn is_stateless(version: &str) -> bool {
    version >= STATELESS_REVISION
}

/// Whether the text is plain enough to be a header value without change.
pub fn is_plain(value: &str) -> bool {
    let looks_wrapped = value.starts_with(SENTINEL_PREFIX) && value.ends_with(SENTINEL_SUFFIX);
    value.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
        && !value.starts_with(' ')
        && !value.ends_with(' ')
        && !looks_wrapped
}

/// The value as a header carries it.
pub fn encode(value: &str) -> String {
    match is_plain(value) {
        true => value.to_owned(),
        false => format!("{SENTINEL_PREFIX}{}{SENTINEL_SUFFIX}", STANDARD.encode(value)),
    }
}

/// RFC 9110, section 5.6.2.
pub fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Whether the text may be sent as a session id: visible ASCII, as the specification asks.
pub fn is_visible(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| (0x21..=0x7e).contains(&byte))
}

/// `Mcp-Method`, `Mcp-Name` and `Mcp-Param-*` for a message; none before 2026-07-28 and none for an answer.
/// `body` is the message itself, in which annotated arguments are looked up. Fails where they are too many bytes.
pub fn standard_headers(
    message: &Outgoing,
    body: &str,
    version: Option<&str>,
    tools: &Tools,
) -> Result<Vec<Header>, String> {
    if message.method.is_empty() || !version.is_some_and(is_stateless) {
        return Ok(Vec::new());
    }
    let mut headers = vec![text("mcp-method", encode(&message.method))];
    if let Some(name) = &message.name {
        headers.push(text("mcp-name", encode(name)));
        if message.method == "tools/call" {
            for (param, value) in tools.arguments(name, body) {
                headers.push(text(&format!("mcp-param-{param}"), encode(&value)));
            }
        }
    }
    let bytes: usize = headers.iter().map(weight).sum();
    match bytes <= MAX_HEADER_BYTES {
        true => Ok(headers),
        false => Err(format!(
            "The name and the arguments that travel as headers have {bytes} bytes; servers take {MAX_HEADER_BYTES}."
        )),
    }
}

/// What a header weighs, in bytes.
pub fn weight(header: &Header) -> usize {
    let value = match &header.value {
        HeaderValue::Text(value) | HeaderValue::Credential(value) => value.len(),
    };
    header.name.len() + value + 4
}

/// The URL of the settings, and their headers, if requests can be made of them; otherwise a sentence that says why not.
pub fn check_settings(settings: &Settings) -> Result<String, String> {
    let url = settings.url.as_deref().ok_or("A server over HTTP needs a URL.")?;
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
        .ok_or("The URL of a server over HTTP begins with https:// or http://.")?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.is_empty() || authority.starts_with(':') {
        return Err("The URL names no host.".to_owned());
    }
    if authority.contains('@') {
        return Err("The URL must not hold a user name or password; register a credential instead.".to_owned());
    }
    if url.contains('#') || !is_visible(url) {
        return Err("The URL must not hold a fragment, spaces or characters outside ASCII.".to_owned());
    }
    for header in &settings.headers {
        let name = header.name.to_ascii_lowercase();
        if !is_token(&name) {
            return Err(format!("{:?} is not the name of a header.", header.name));
        }
        if RESERVED.contains(&name.as_str()) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            return Err(format!("The header {name} is set by the protocol and cannot be given."));
        }
    }
    if settings.headers.iter().map(weight).sum::<usize>() > MAX_HEADER_BYTES {
        return Err(format!("The headers given have more than {MAX_HEADER_BYTES} bytes."));
    }
    Ok(url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_a_header_cannot_carry_is_wrapped() {
        for plain in ["us-west1", "a b", "", "file:///x?y=%20", "=?base64?x"] {
            assert_eq!(encode(plain), plain);
        }
        assert_eq!(encode("café"), "=?base64?Y2Fmw6k=?=");
        assert_eq!(encode(" a"), "=?base64?IGE=?=");
        assert_eq!(encode("a\r\nEvil: 1"), "=?base64?YQ0KRXZpbDogMQ==?=");
        assert_eq!(encode("=?base64?YQ==?="), "=?base64?PT9iYXNlNjQ/WVE9PT89?=");
    }

    #[test]
    fn settings_that_cannot_work_are_refused_with_a_reason() {
        let check = |url: Option<&str>, header: &str| {
            check_settings(&Settings { name: "s".into(), url: url.map(Into::into), headers: vec![text(header, "v")] })
        };
        assert_eq!(check(Some("https://h/mcp?x=1"), "x-key"), Ok("https://h/mcp?x=1".into()));
        for (url, header, want) in [
            (None, "x", "A server over HTTP needs a URL."),
            (Some("ftp://h"), "x", "The URL of a server over HTTP begins with https:// or http://."),
            (Some("https:///p"), "x", "The URL names no host."),
            (
                Some("https://u:p@h/"),
                "x",
                "The URL must not hold a user name or password; register a credential instead.",
            ),
            (Some("https://h/#x"), "x", "The URL must not hold a fragment, spaces or characters outside ASCII."),
            (Some("https://h/ x"), "x", "The URL must not hold a fragment, spaces or characters outside ASCII."),
            (
                Some("https://h"),
                "Mcp-Session-Id",
                "The header mcp-session-id is set by the protocol and cannot be given.",
            ),
            (Some("https://h"), "Mcp-Param-X", "The header mcp-param-x is set by the protocol and cannot be given."),
            (Some("https://h"), "a b", "\"a b\" is not the name of a header."),
        ] {
            assert_eq!(check(url, header), Err(want.into()));
        }
    }

    proptest! {
        #[test]
        fn every_value_survives_and_is_a_header(value in any::<String>()) {
            let encoded = encode(&value);
            prop_assert!(encoded.bytes().all(|byte| (0x20..=0x7e).contains(&byte)));
            let decoded = match encoded.strip_prefix(SENTINEL_PREFIX).and_then(|v| v.strip_suffix(SENTINEL_SUFFIX)) {
                Some(inner) => String::from_utf8(STANDARD.decode(inner).unwrap()).unwrap(),
                None => encoded,
            };
            prop_assert_eq!(decoded, value);
        }
    }
}
