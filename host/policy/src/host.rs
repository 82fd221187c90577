//! Hosts, and patterns for them.
//!
//! Invariant: a [`Host`] is canonical: an address, or a domain in lower case and ASCII (IDNA) without a trailing dot.
//! A pattern never matches an address by its text, so `*.5` is no range of addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::InvalidRule;
use crate::denial::shown;

/// The most of a text that is no host that its refusal shows, bytes: longer than any name can be.
const MAX_SHOWN_BYTES: usize = 260;

/// A canonical host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name, to be resolved.
    Domain(String),
    /// An address, in whatever notation it was written.
    Address(IpAddr),
}

impl Host {
    /// The host of a URL as the `url` crate has parsed it; nothing where it has none or a domain with an empty label.
    pub(crate) fn of(host: url::Host<&str>) -> Option<Self> {
        match host {
            url::Host::Ipv4(address) => Some(Self::Address(IpAddr::V4(address))),
            url::Host::Ipv6(address) => Some(Self::Address(IpAddr::V6(address))),
            url::Host::Domain(domain) => {
                let domain = domain.strip_suffix('.').unwrap_or(domain).to_ascii_lowercase();
                // URLs may have more in a host, escaped: a star there would read as a pattern when it is written down.
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
                let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(plain);
                (domain.len() <= 253 && domain.split('.').all(label)).then_some(Self::Domain(domain))
            }
        }
    }
}

impl FromStr for Host {
    type Err = InvalidRule;

    /// Reads a host as it stands in a URL, IPv6 addresses in brackets.
    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        let invalid = || InvalidRule::Host(shown(text, MAX_SHOWN_BYTES));
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse() {
            return Ok(Self::Address(address));
        }
        // A whole URL is the one way in which every notation is read as a request would read it.
        let odd = |character: char| {
            matches!(character, '/' | '?' | '#' | '@' | ':' | '\\' | '*') || character.is_whitespace()
        };
        if text.is_empty() || text.contains(odd) {
            return Err(invalid());
        }
        let url = url::Url::parse(&format!("https://{text}/")).map_err(|_| invalid())?;
        url.host().and_then(Self::of).ok_or_else(invalid)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => formatter.write_str(domain),
            Self::Address(IpAddr::V4(address)) => address.fmt(formatter),
            Self::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]"),
        }
    }
}

/// Which hosts a rule is about. Written `api.example.com`, `*.example.com` or `10.0.0.5`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HostPattern {
    /// This host.
    Exact(Host),
    /// Every name below this domain, at any depth, but not the domain itself.
    Below(String),
}

impl HostPattern {
    /// Whether the host is one of those.
    #[must_use]
    pub fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Exact(exact), host) => exact == host,
            (Self::Below(domain), Host::Domain(name)) => is_below(name, domain),
            (Self::Below(_), Host::Address(_)) => false,
        }
    }

    /// Whether every host of the other pattern is one of this one's.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Exact(host)) => self.matches(host),
            (Self::Below(domain), Self::Below(narrower)) => domain == narrower || is_below(narrower, domain),
            (Self::Exact(_), Self::Below(_)) => false,
        }
    }
}

fn is_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

impl FromStr for HostPattern {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        let Some(domain) = text.strip_prefix("*.") else {
            return text.parse().map(Self::Exact);
        };
        match domain.parse()? {
            // `*.com` would be half the internet
            Host::Domain(domain) if domain.contains('.') => Ok(Self::Below(domain)),
            _ => Err(InvalidRule::Host(shown(text, MAX_SHOWN_BYTES))),
        }
    }
}

impl TryFrom<String> for HostPattern {
    type Error = InvalidRule;

    fn try_from(text: String) -> Result<Self, InvalidRule> {
        text.parse()
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => host.fmt(formatter),
            Self::Below(domain) => write!(formatter, "*.{domain}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> HostPattern {
        text.parse().unwrap()
    }

    #[test]
    fn no_escape_makes_a_pattern_of_a_host() {
        for odd in
            ["%2A.example.com", "%2Aa", "a%2Cb.example.com", "a`b.example.com", "a!b.example.com", "a%27b", "(a)"]
        {
            assert!(odd.parse::<HostPattern>().is_err(), "{odd}");
            assert!(crate::Request::parse("GET", &format!("https://{odd}/"), 0).is_err(), "{odd}");
        }
        for plain in ["a_b.example.com", "xn--bcher-kva.example", "*.a-b.example", "1.example"] {
            let pattern: HostPattern = plain.parse().unwrap();
            assert_eq!(pattern.to_string().parse(), Ok(pattern), "{plain}");
        }
    }

    #[test]
    fn patterns_match_whole_labels_only() {
        let below = pattern("*.Example.com");
        for (host, expected) in [
            ("a.example.com", true),
            ("a.b.example.com", true),
            ("A.EXAMPLE.COM.", true),
            ("example.com", false),
            ("badexample.com", false),
            ("example.com.evil.org", false),
        ] {
            assert_eq!(below.matches(&host.parse().unwrap()), expected, "{host}");
        }
        assert!(pattern("bücher.example").matches(&"xn--bcher-kva.example".parse().unwrap()));
        assert!(pattern("0x7f.1").matches(&"127.0.0.1".parse().unwrap()));
        assert!(pattern("[::1]").matches(&"::1".parse().unwrap()));
    }

    #[test]
    fn bad_patterns_are_refused() {
        for text in ["", "*", "*.", "*.com", "*.1.2.3.4", "a..b", "a/b", "u@h", "h:80", "*.*.com", "a b", ".a.com"] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn covering_follows_matching() {
        assert!(pattern("*.example.com").covers(&pattern("*.a.example.com")));
        assert!(pattern("*.example.com").covers(&pattern("a.example.com")));
        assert!(!pattern("*.a.example.com").covers(&pattern("*.example.com")));
        assert!(!pattern("a.example.com").covers(&pattern("*.a.example.com")));
    }

    #[test]
    fn text_form_round_trips() {
        for text in ["a.example.com", "*.example.com", "10.0.0.1", "[::1]"] {
            assert_eq!(pattern(text).to_string(), text);
        }
    }
}
