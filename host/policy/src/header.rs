//! Which headers a plugin may set.
//!
//! Invariant: no header of a plugin can end another, split a message, name another host, or speak to the next hop.
//! Names are those of the contract (`fumehood:types`, `header`) and one more that is hop-by-hop.

/// The most headers of one request; more are refused.
pub const MAX_HEADERS: usize = 128;
/// The most bytes of all names and values of one request.
pub const MAX_HEADER_BYTES: usize = 64 << 10;

/// Names that belong to the host: the connection's, the message's framing, and the target's.
const HOST_OWNED: &[&str] = &[
    "connection",
    "content-length",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Why a header is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not a token (RFC 9110, 5.6.2).
    #[error("a header name must consist of letters, digits and !#$%&'*+-.^_`|~")]
    Name,
    /// Belongs to the host.
    #[error("the header `{0}` is set by the host")]
    HostOwned(String),
    /// A control character other than tab.
    #[error("the value of header `{0}` holds a control character")]
    Value(String),
    /// Over [`MAX_HEADERS`] or [`MAX_HEADER_BYTES`].
    #[error("a request may have at most 128 headers and 64 KiB of them")]
    TooMany,
}

/// Check one header and return its name in lower case.
pub fn check_header(name: &str, value: &str) -> Result<String, HeaderError> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(HeaderError::Name);
    }
    let lower = name.to_ascii_lowercase();
    if HOST_OWNED.contains(&lower.as_str()) || lower.starts_with("proxy-") {
        return Err(HeaderError::HostOwned(lower));
    }
    if value.chars().any(|character| character.is_control() && character != '\t') {
        return Err(HeaderError::Value(lower));
    }
    if lower.len() + value.len() > MAX_HEADER_BYTES {
        return Err(HeaderError::TooMany);
    }
    Ok(lower)
}

/// Check all headers of a request and return them with names in lower case.
pub fn check_headers<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Vec<(String, &'a str)>, HeaderError> {
    let mut checked = Vec::new();
    let mut bytes = 0_usize;
    for (name, value) in headers {
        bytes = bytes.saturating_add(name.len()).saturating_add(value.len());
        if checked.len() == MAX_HEADERS || bytes > MAX_HEADER_BYTES {
            return Err(HeaderError::TooMany);
        }
        checked.push((check_header(name, value)?, value));
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_headers_pass() {
        for (name, value) in [("Accept", "text/html"), ("X-Atlassian-Token", "no-check"), ("a", "b\tc é")] {
            assert_eq!(check_header(name, value), Ok(name.to_ascii_lowercase()));
        }
    }

    #[test]
    fn what_belongs_to_the_host_is_refused_in_any_case() {
        for name in [
            "Host",
            "CONTENT-LENGTH",
            "Connection",
            "Transfer-Encoding",
            "TE",
            "Trailer",
            "Upgrade",
            "Keep-Alive",
            "Proxy-Authorization",
            "proxy-",
            "HTTP2-Settings",
        ] {
            let refused = check_header(name, "x").unwrap_err();
            assert_eq!(refused, HeaderError::HostOwned(name.to_ascii_lowercase()));
        }
    }

    #[test]
    fn nothing_splits_a_message() {
        for name in ["", "a b", "a:", "a\r\nb", "é", ":authority", "a\0"] {
            assert_eq!(check_header(name, "x"), Err(HeaderError::Name), "{name:?}");
        }
        for value in ["a\r\nX: y", "a\nb", "\0", "\u{7f}", "\u{85}", "\x1b[0m"] {
            assert_eq!(check_header("a", value), Err(HeaderError::Value("a".to_owned())), "{value:?}");
        }
    }

    #[test]
    fn headers_are_bounded() {
        let many = vec![("a", "b"); MAX_HEADERS + 1];
        assert_eq!(check_headers(many), Err(HeaderError::TooMany));
        let long = "x".repeat(MAX_HEADER_BYTES);
        assert_eq!(check_headers([("a", long.as_str())]), Err(HeaderError::TooMany));
        assert_eq!(check_headers([("A", "b")]), Ok(vec![("a".to_owned(), "b")]));
    }
}
