//! What an HTTP grant allows: one origin or one domain's hosts, some methods, one folder of paths, bytes each way.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::denial::shown;
use crate::{HostPattern, PathPrefix, Request};

/// A rule that cannot be understood. Each holds the text at fault, cut and as it can be [`shown`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRule {
    /// Not a host or a pattern for hosts.
    #[error("`{0}` is no host: write api.example.com, *.example.com or an address")]
    Host(String),
    /// Not a plain path.
    #[error("`{0}` is no path prefix: write / or /api/v2, without .., escapes or a query")]
    Path(String),
    /// Not a method, or one that the host never sends.
    #[error("`{0}` is no method that can be granted")]
    Method(String),
    /// Not a SHA-256.
    #[error("`{0}` is no SHA-256 digest: 64 hexadecimal digits are needed")]
    Digest(String),
}

/// The scheme of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// With TLS.
    Https,
    /// In the clear.
    Http,
}

impl Scheme {
    /// As it stands in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }

    /// The port that a URL without one means.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Methods that can be granted: those of IANA's registry, and a few that are in wide use. Never `CONNECT` or `TRACE`, which
/// open tunnels or echo credentials; and no invented one, whose name would stand in a sentence that a person approves.
const METHODS: &str = "ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT COPY DELETE GET HEAD LABEL LINK LIST LOCK MERGE MKACTIVITY \
    MKCALENDAR MKCOL MKREDIRECTREF MKWORKSPACE MOVE NOTIFY OPTIONS ORDERPATCH PATCH POST PROPFIND PROPPATCH \
    PURGE PUT QUERY REBIND REPORT SEARCH SUBSCRIBE UNBIND UNCHECKOUT UNLINK UNLOCK UNSUBSCRIBE UPDATE \
    UPDATEREDIRECTREF VERSION-CONTROL";

/// A request method in upper case: `GET`, `PROPFIND`, ….
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Method(String);

impl Method {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Method {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        if METHODS.split(' ').any(|method| method == text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidRule::Method(shown(text, 40)))
        }
    }
}

impl TryFrom<String> for Method {
    type Error = InvalidRule;

    fn try_from(text: String) -> Result<Self, InvalidRule> {
        text.parse()
    }
}

impl From<Method> for String {
    fn from(method: Method) -> Self {
        method.0
    }
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One rule of a grant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpRule {
    /// The scheme.
    pub scheme: Scheme,
    /// The hosts.
    pub host: HostPattern,
    /// The port.
    pub port: u16,
    /// The methods; none allow nothing.
    pub methods: BTreeSet<Method>,
    /// Where paths begin.
    pub path_prefix: PathPrefix,
    /// Addresses that are not public and may be dialled all the same. A metadata address must be named by itself.
    #[serde(default)]
    pub allow_private: BTreeSet<IpNet>,
    /// Whatever it names, only this machine is dialled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub loopback_only: bool,
    /// The largest request body, in bytes.
    pub max_request_bytes: u64,
    /// The largest answer body, in bytes.
    pub max_response_bytes: u64,
    /// Bytes of requests (URL, headers and body) within any hour; no limit where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_request_bytes_per_hour: Option<u64>,
    /// Bytes of answer bodies within any hour; no limit where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_response_bytes_per_hour: Option<u64>,
}

/// Requests to a server that a person names in the plugin's settings: its origin, and paths below the one that was
/// named. What is missing here comes from there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfiguredRule {
    /// The setting that holds the URL: `base-url`.
    pub setting: String,
    /// The methods; none allow nothing.
    pub methods: BTreeSet<Method>,
    /// The largest request body, in bytes.
    pub max_request_bytes: u64,
    /// The largest answer body, in bytes.
    pub max_response_bytes: u64,
    /// As in [`HttpRule`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_request_bytes_per_hour: Option<u64>,
    /// As in [`HttpRule`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_response_bytes_per_hour: Option<u64>,
}

impl ConfiguredRule {
    /// Whether this rule allows all that the other does.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.methods.is_empty()
            || (self.setting == other.setting
                && self.methods.is_superset(&other.methods)
                && self.max_request_bytes >= other.max_request_bytes
                && self.max_response_bytes >= other.max_response_bytes
                && within(other.max_request_bytes_per_hour, self.max_request_bytes_per_hour)
                && within(other.max_response_bytes_per_hour, self.max_response_bytes_per_hour))
    }

    /// What both rules allow; nothing where they are about different settings.
    #[must_use]
    pub fn shared(&self, other: &Self) -> Option<Self> {
        let methods: BTreeSet<Method> = self.methods.intersection(&other.methods).cloned().collect();
        (self.setting == other.setting && !methods.is_empty()).then(|| Self {
            setting: self.setting.clone(),
            methods,
            max_request_bytes: self.max_request_bytes.min(other.max_request_bytes),
            max_response_bytes: self.max_response_bytes.min(other.max_response_bytes),
            max_request_bytes_per_hour: narrower(self.max_request_bytes_per_hour, other.max_request_bytes_per_hour),
            max_response_bytes_per_hour: narrower(self.max_response_bytes_per_hour, other.max_response_bytes_per_hour),
        })
    }

    /// The rule for the server that was named. `allow_private` are the addresses that it may have and that are not
    /// public.
    ///
    /// # Errors
    /// [`InvalidRule`] where the URL is none that a rule can be about.
    pub fn at(&self, url: &url::Url, allow_private: BTreeSet<IpNet>) -> Result<HttpRule, InvalidRule> {
        let invalid = || InvalidRule::Host(shown(url.host_str().unwrap_or_default(), 260));
        let scheme = match url.scheme() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            _ => return Err(invalid()),
        };
        Ok(HttpRule {
            scheme,
            host: url.host_str().ok_or_else(invalid)?.parse()?,
            port: url.port_or_known_default().ok_or_else(invalid)?,
            methods: self.methods.clone(),
            // With or without a slash at its end, the same folder is meant.
            path_prefix: match url.path().trim_end_matches('/') {
                "" => PathPrefix::all(),
                path => path.parse()?,
            },
            allow_private,
            loopback_only: false,
            max_request_bytes: self.max_request_bytes,
            max_response_bytes: self.max_response_bytes,
            max_request_bytes_per_hour: self.max_request_bytes_per_hour,
            max_response_bytes_per_hour: self.max_response_bytes_per_hour,
        })
    }

    /// The rule in words.
    #[must_use]
    pub fn sentence(&self) -> Sentence {
        Sentence {
            may: may(&self.methods),
            object: format!("the server in its settings ({})", self.setting),
            also: String::new(),
            bounds: bounds(
                self.max_request_bytes,
                self.max_response_bytes,
                self.max_request_bytes_per_hour,
                self.max_response_bytes_per_hour,
            ),
        }
    }
}

impl fmt::Display for ConfiguredRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.sentence(), formatter)
    }
}

/// Whether a bound is no wider than another; a missing one has no limit.
pub(crate) fn within(bound: Option<u64>, limit: Option<u64>) -> bool {
    match (bound, limit) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(bound), Some(limit)) => bound <= limit,
    }
}

/// The narrower of two bounds; a missing one has no limit.
pub(crate) fn narrower(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

pub(crate) fn may(methods: &BTreeSet<Method>) -> String {
    let methods: Vec<&str> = methods.iter().map(Method::as_str).collect();
    match methods.split_last() {
        None => "may send nothing to".to_owned(),
        Some((only, [])) => format!("may {only} to"),
        Some((last, others)) => format!("may {} and {last} to", others.join(", ")),
    }
}

pub(crate) fn bounds(request: u64, response: u64, request_hour: Option<u64>, response_hour: Option<u64>) -> String {
    let hour = |bytes: Option<u64>| bytes.map_or(String::new(), |bytes| format!(" and {} an hour", Bytes(bytes)));
    format!(
        "sending up to {} a request{}, receiving up to {}{}",
        Bytes(request),
        hour(request_hour),
        Bytes(response),
        hour(response_hour)
    )
}

impl HttpRule {
    /// Bytes of a body where a grant says nothing else: 16 MiB each way, as the contract has it. Not cumulative.
    pub const DEFAULT_MAX_BYTES: u64 = 16 << 20;

    /// Whether this rule is about the request's target and method, whatever its size.
    #[must_use]
    pub fn matches(&self, request: &Request) -> bool {
        self.scheme == request.scheme()
            && self.port == request.port()
            && self.host.matches(request.host())
            && self.methods.contains(request.method())
            && self.path_prefix.matches(request.path())
    }

    /// Whether this rule allows all that the other does. A rule that allows nothing is covered by every rule.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.methods.is_empty()
            || (self.scheme == other.scheme
                && self.port == other.port
                && self.host.covers(&other.host)
                && self.methods.is_superset(&other.methods)
                && self.path_prefix.covers(&other.path_prefix)
                && other.allow_private.iter().all(|net| self.allows_net(net))
                && (other.loopback_only || !self.loopback_only)
                && self.max_request_bytes >= other.max_request_bytes
                && self.max_response_bytes >= other.max_response_bytes
                && within(other.max_request_bytes_per_hour, self.max_request_bytes_per_hour)
                && within(other.max_response_bytes_per_hour, self.max_response_bytes_per_hour))
    }

    /// Whether one of the private ranges holds this one. A single address may be a metadata address, which only its
    /// own naming allows, so a range does not stand for it where [`vet`](crate::vet) would not take it.
    fn allows_net(&self, net: &IpNet) -> bool {
        self.allow_private.contains(net)
            || (!crate::address::names_metadata(net) && self.allow_private.iter().any(|own| own.contains(net)))
    }

    /// How narrowly it names its target; of several rules that allow a request the most specific one holds.
    pub(crate) fn specificity(&self) -> (bool, usize, usize) {
        let (exact, host) = match &self.host {
            HostPattern::Exact(_) => (true, 0),
            HostPattern::Below(domain) => (false, domain.len()),
        };
        (exact, host, self.path_prefix.as_str().len())
    }

    /// The rule in words.
    #[must_use]
    pub fn sentence(&self) -> Sentence {
        let target = Target { scheme: self.scheme, host: &self.host, port: self.port };
        Sentence {
            may: may(&self.methods),
            object: format!("{target}{}", self.path_prefix),
            also: if self.loopback_only { ON_THIS_MACHINE.to_owned() } else { also_at(&self.allow_private) },
            bounds: bounds(
                self.max_request_bytes,
                self.max_response_bytes,
                self.max_request_bytes_per_hour,
                self.max_response_bytes_per_hour,
            ),
        }
    }

    /// Whether bytes are counted by the hour.
    #[must_use]
    pub const fn has_hours(&self) -> bool {
        self.max_request_bytes_per_hour.is_some() || self.max_response_bytes_per_hour.is_some()
    }

    /// What it is about, without methods and sizes: `https://*.example.com/api`.
    #[must_use]
    pub fn target(&self) -> String {
        format!("{}{}", Target { scheme: self.scheme, host: &self.host, port: self.port }, self.path_prefix)
    }

    /// The narrowest rule that allows a request, with room for its body.
    #[must_use]
    pub fn for_request(request: &Request) -> Option<Self> {
        Some(Self {
            scheme: request.scheme(),
            host: HostPattern::Exact(request.host().clone()),
            port: request.port(),
            methods: BTreeSet::from([request.method().clone()]),
            path_prefix: PathPrefix::of_path(request.path())?,
            allow_private: BTreeSet::new(),
            loopback_only: false,
            max_request_bytes: request.body_bytes().max(Self::DEFAULT_MAX_BYTES),
            max_response_bytes: Self::DEFAULT_MAX_BYTES,
            max_request_bytes_per_hour: None,
            max_response_bytes_per_hour: None,
        })
    }
}

/// A sentence without its subject: `may GET and POST to https://api.example.com/v2 (sending up to 16 MiB a request,
/// receiving up to 16 MiB)`.
impl fmt::Display for HttpRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.sentence(), formatter)
    }
}

/// What a rule allows, in parts, so that a page can set names apart. Its text is one sentence without a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// The verb: `may GET and POST to`.
    pub may: String,
    /// What is reached, started or sent: a URL, a path.
    pub object: String,
    /// What else it extends to: `also in private networks`; may be empty.
    pub also: String,
    /// How much; may be empty.
    pub bounds: String,
}

impl fmt::Display for Sentence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.may, self.object)?;
        if !self.also.is_empty() {
            write!(formatter, ", {}", self.also)?;
        }
        if self.bounds.is_empty() { Ok(()) } else { write!(formatter, " ({})", self.bounds) }
    }
}

/// Of a rule that was narrowed to this machine, whichever addresses it names.
const ON_THIS_MACHINE: &str = "where that is this machine";

/// The addresses that are not public, in words; the private networks together, others one by one.
pub(crate) fn also_at(nets: &BTreeSet<IpNet>) -> String {
    let private = crate::private_networks();
    let whole = nets.is_superset(&private);
    let single: Vec<String> = nets.iter().filter(|net| !(whole && private.contains(*net))).map(net_text).collect();
    match (whole, single.is_empty()) {
        (false, true) => String::new(),
        (false, false) => format!("also at {}", single.join(", ")),
        (true, true) => "also in private networks".to_owned(),
        (true, false) => format!("also in private networks and at {}", single.join(", ")),
    }
}

/// A range of addresses, a single one without its length.
fn net_text(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

/// An origin as a URL writes it.
pub(crate) struct Target<H> {
    pub scheme: Scheme,
    pub host: H,
    pub port: u16,
}

impl<H: fmt::Display> fmt::Display for Target<H> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme, self.host)?;
        if self.port == self.scheme.default_port() { Ok(()) } else { write!(formatter, ":{}", self.port) }
    }
}

/// A size for people: `64 KiB`.
#[must_use]
pub fn size_text(bytes: u64) -> String {
    Bytes(bytes).to_string()
}

/// A size for people: exact, in the largest unit that keeps it a whole number.
pub(crate) struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => formatter.write_str("nothing"),
            n if n % (1 << 30) == 0 => write!(formatter, "{} GiB", n >> 30),
            n if n % (1 << 20) == 0 => write!(formatter, "{} MiB", n >> 20),
            n if n % (1 << 10) == 0 => write!(formatter, "{} KiB", n >> 10),
            n => write!(formatter, "{n} bytes"),
        }
    }
}

#[cfg(test)]
pub(crate) mod samples {
    //! Rules for tests.

    use super::*;

    /// `METHOD,METHOD scheme://host:port/path [net,net] [request/response bytes]`.
    pub fn rule(text: &str) -> HttpRule {
        let mut parts = text.split(' ');
        let methods = parts.next().unwrap().split(',').map(|m| m.parse().unwrap()).collect();
        let (scheme, rest) = parts.next().unwrap().split_once("://").unwrap();
        let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
        let (origin, path) = rest.split_at(rest.find('/').unwrap());
        let (host, port) = match origin.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().unwrap()),
            _ => (origin, scheme.default_port()),
        };
        let mut rule = HttpRule {
            scheme,
            host: host.parse().unwrap(),
            port,
            methods,
            path_prefix: path.parse().unwrap(),
            allow_private: BTreeSet::new(),
            loopback_only: false,
            max_request_bytes: HttpRule::DEFAULT_MAX_BYTES,
            max_response_bytes: HttpRule::DEFAULT_MAX_BYTES,
            max_request_bytes_per_hour: None,
            max_response_bytes_per_hour: None,
        };
        for extra in parts {
            if let Some((out, back)) = extra.strip_prefix('#').and_then(|sizes| sizes.split_once('/')) {
                (rule.max_request_bytes, rule.max_response_bytes) = (out.parse().unwrap(), back.parse().unwrap());
            } else {
                rule.allow_private.extend(extra.split(',').map(|net| {
                    net.parse::<IpNet>().unwrap_or_else(|_| IpNet::from(net.parse::<std::net::IpAddr>().unwrap()))
                }));
            }
        }
        rule
    }
}

#[cfg(test)]
mod tests {
    use super::samples::rule;
    use super::*;

    #[test]
    fn rules_read_as_sentences() {
        for (text, sentence) in [
            (
                "POST https://api.example.com/v2",
                "may POST to https://api.example.com/v2 (sending up to 16 MiB a request, receiving up to 16 MiB)",
            ),
            (
                "GET,POST,PUT http://*.example.com:8080/ 10.0.0.0/8,169.254.169.254 #1024/1025",
                "may GET, POST and PUT to http://*.example.com:8080/, also at 10.0.0.0/8, 169.254.169.254 \
                 (sending up to 1 KiB a request, receiving up to 1025 bytes)",
            ),
        ] {
            assert_eq!(rule(text).to_string(), sentence);
        }
    }

    #[test]
    fn private_networks_are_named_together() {
        let mut rule = rule("POST https://api.example.com/v2 192.0.2.0/24");
        rule.allow_private.extend(crate::private_networks());
        assert!(rule.to_string().contains("/v2, also in private networks and at 192.0.2.0/24 (sending"), "{rule}");
        rule.allow_private = crate::private_networks();
        assert!(rule.to_string().contains("/v2, also in private networks (sending"), "{rule}");
        rule.allow_private.pop_first();
        assert!(rule.to_string().contains("/v2, also at "), "a part is not the whole: {rule}");
        assert_eq!(crate::private_networks().len(), 7);
    }

    #[test]
    fn covering_looks_at_every_part() {
        let wide = rule("GET,POST https://*.example.com/api 10.0.0.0/8 #100/100");
        assert!(wide.covers(&wide));
        assert!(wide.covers(&rule("GET https://a.example.com/api/v2 10.1.0.0/16 #100/1")));
        for other in [
            "PUT https://a.example.com/api #1/1",
            "GET http://a.example.com/api #1/1",
            "GET https://a.example.com:444/api #1/1",
            "GET https://example.com/api #1/1",
            "GET https://a.example.com/ #1/1",
            "GET https://a.example.com/api 11.0.0.0/8 #1/1",
            "GET https://a.example.com/api #101/1",
            "GET https://a.example.com/api #1/101",
        ] {
            assert!(!wide.covers(&rule(other)), "{other}");
        }
        let link_local = rule("GET https://a.b.c/ 169.254.0.0/16");
        assert!(!link_local.covers(&rule("GET https://a.b.c/ 169.254.169.254")));
    }

    #[test]
    fn stored_rules_are_read_strictly() {
        let stored = serde_json::to_string(&rule("GET https://a.example.com/x 10.0.0.0/8")).unwrap();
        assert_eq!(serde_json::from_str::<HttpRule>(&stored).unwrap(), rule("GET https://a.example.com/x 10.0.0.0/8"));
        for (from, to) in
            [("GET", "CONNECT"), ("GET", "get"), ("/x", "/../x"), ("a.example.com", "*.com"), ("\"port\"", "\"prot\"")]
        {
            assert!(serde_json::from_str::<HttpRule>(&stored.replace(from, to)).is_err(), "{to}");
        }
    }
}
