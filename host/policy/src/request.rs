//! A plugin's request in canonical form.
//!
//! Invariant: what is decided on is what is sent. [`Request::url`] is the one spelling of the target; the caller sends
//! it, and never the string that the plugin gave. The `url` crate parses as browsers do (WHATWG), so odd notations of
//! addresses, upper case, IDNA, default ports and dot segments, escaped ones too, are settled before any rule looks.

use url::Url;

use crate::{Host, Method, Scheme};

/// The longest URL, in bytes. Longer ones are refused by most servers anyway.
const MAX_URL_BYTES: usize = 16 << 10;

/// Why a request is not well formed. The plugin is told with the failure code `invalid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// Lower case, not a token, or one that the host never sends.
    #[error("the method must be an upper-case name, and not CONNECT or TRACE")]
    Method,
    /// Over 16 KiB.
    #[error("the URL is longer than 16 KiB")]
    TooLong,
    /// Browsers drop or change these silently, so readers would disagree on what the URL means.
    #[error("the URL holds a blank, a control character or a backslash")]
    OddCharacter,
    /// Relative, or beyond repair.
    #[error("the URL is not absolute and well formed")]
    Url,
    /// Not HTTP.
    #[error("the URL must begin with https: or http:")]
    Scheme,
    /// `user:password@`. Credentials are handles.
    #[error("the URL must not hold user information; name a credential in a header instead")]
    UserInformation,
    /// `#…` never goes to a server.
    #[error("the URL must not hold a fragment")]
    Fragment,
    /// No host, an empty label, or port 0.
    #[error("the URL names no host and port that can be dialled")]
    Host,
}

/// A request whose parts are canonical.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    method: Method,
    url: Url,
    scheme: Scheme,
    host: Host,
    port: u16,
    body_bytes: u64,
}

impl Request {
    /// Understand a request. `body_bytes` is the size of its body, 0 for none.
    pub fn parse(method: &str, url: &str, body_bytes: u64) -> Result<Self, InvalidRequest> {
        let method = method.parse().map_err(|_| InvalidRequest::Method)?;
        if url.len() > MAX_URL_BYTES {
            return Err(InvalidRequest::TooLong);
        }
        if url.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(InvalidRequest::OddCharacter);
        }
        // the parser forgives https:host and https:///host
        let absolute = url.split_once("://").is_some_and(|(_, rest)| !rest.is_empty() && !rest.starts_with('/'));
        let mut url = Url::parse(url).map_err(|_| InvalidRequest::Url)?;
        let scheme = match url.scheme() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            _ => return Err(InvalidRequest::Scheme),
        };
        if !absolute {
            return Err(InvalidRequest::Url);
        }
        if !url.username().is_empty() || url.password().is_some() || url.authority().contains('@') {
            return Err(InvalidRequest::UserInformation);
        }
        if url.fragment().is_some() {
            return Err(InvalidRequest::Fragment);
        }
        let host = url.host().and_then(Host::of).ok_or(InvalidRequest::Host)?;
        let port = url.port_or_known_default().filter(|port| *port > 0).ok_or(InvalidRequest::Host)?;
        url.set_host(Some(&host.to_string())).map_err(|_| InvalidRequest::Host)?;
        Ok(Self { method, url, scheme, host, port, body_bytes })
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The URL to send, canonical.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, also where the URL leaves it out.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path, dot segments resolved, escapes as they were.
    #[must_use]
    pub fn path(&self) -> &str {
        self.url.path()
    }

    /// The size of the body.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_become_canonical() {
        for (url, canonical) in [
            ("https://Example.COM:443", "https://example.com/"),
            ("https://example.com.", "https://example.com/"),
            ("http://example.com:80/a/../b/%2e%2E/c", "http://example.com/c"),
            ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
            ("http://0x7f.1/", "http://127.0.0.1/"),
            ("http://2130706433/", "http://127.0.0.1/"),
            ("http://017700000001/", "http://127.0.0.1/"),
            ("http://[0:0::1]/", "http://[::1]/"),
            ("https://ex%61mple.com/?q=a%20b", "https://example.com/?q=a%20b"),
            ("https://example.com/group%2Fname", "https://example.com/group%2Fname"),
        ] {
            assert_eq!(Request::parse("GET", url, 0).unwrap().url().as_str(), canonical, "{url}");
        }
    }

    #[test]
    fn what_readers_could_disagree_on_is_refused() {
        use InvalidRequest as E;
        for (method, url, error) in [
            ("get", "https://a.b/", E::Method),
            ("CONNECT", "https://a.b/", E::Method),
            ("TRACE", "https://a.b/", E::Method),
            ("GET\r\nX:", "https://a.b/", E::Method),
            ("GET", "https://a.b/\r\nX: y", E::OddCharacter),
            ("GET", " https://a.b/", E::OddCharacter),
            ("GET", "https://a.b\\@c.d/", E::OddCharacter),
            ("GET", "/path", E::Url),
            ("GET", "https:a.b/", E::Url),
            ("GET", "https:///a.b/", E::Url),
            ("GET", "https://a.b:99999/", E::Url),
            ("GET", "ftp://a.b/", E::Scheme),
            ("GET", "file:///etc/passwd", E::Scheme),
            ("GET", "javascript:alert(1)", E::Scheme),
            ("GET", "https://user@a.b/", E::UserInformation),
            ("GET", "https://:pw@a.b/", E::UserInformation),
            ("GET", "https://good.example@evil.example/", E::UserInformation),
            ("GET", "https://a.b/#x", E::Fragment),
            ("GET", "https://a..b/", E::Host),
            ("GET", "https://a.b:0/", E::Host),
        ] {
            assert_eq!(Request::parse(method, url, 0).unwrap_err(), error, "{method} {url}");
        }
        assert_eq!(Request::parse("GET", &format!("https://a.b/{}", "x".repeat(20_000)), 0), Err(E::TooLong));
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_its_own(url in "https?://[a-zA-Z0-9.%@:\\[\\]-]{1,20}(/[a-z.%2eEfF;]{0,8}){0,4}") {
            if let Ok(once) = Request::parse("GET", &url, 0) {
                let twice = Request::parse("GET", once.url().as_str(), 0).unwrap();
                prop_assert_eq!(once, twice);
            }
        }
    }
}
