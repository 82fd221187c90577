//! Settings and headers: what requests can be made of.
//!
//! Invariant: a setting writes no header that belongs to the protocol or to the host.

use crate::contract::{Header, HeaderValue, Settings};
use crate::limits::MAX_HEADER_BYTES;

/// What an answer to a GET may be.
pub const ACCEPT_GET: &str = "text/event-stream";

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

/// RFC 9110, section 5.6.2.
pub fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Whether the text may be sent as a session id: visible ASCII, as the specification asks.
pub fn is_visible(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| (0x21..=0x7e).contains(&byte))
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
}
