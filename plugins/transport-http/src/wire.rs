//! The headers of the protocol: names, and values that can travel in a header.
//!
//! Invariant: a value that a header cannot carry as it is travels as `=?base64?…?=`, so no value of the client's can
//! begin a header of its own; `Mcp-*` headers are sent from revision 2026-07-28 on and never before.

use crate::contract::Header;
use crate::limits::MAX_HEADER_BYTES;
use crate::rpc::Outgoing;
use crate::tools::Tools;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use transport_http_core::wire::{ACCEPT_GET, check_settings, is_token, is_visible, text, weight};

/// The first revision with `Mcp-Method` and its kin, and without sessions. Revisions are dates and compare as text.
pub const STATELESS_REVISION: &str = "2026-07-28";

/// What an answer to a POST may be.
pub const ACCEPT_POST: &str = "application/json, text/event-stream";

const SENTINEL_PREFIX: &str = "=?base64?";
const SENTINEL_SUFFIX: &str = "?=";

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
