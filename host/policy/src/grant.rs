//! What one plugin has been granted, and the decisions that follow from it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::denial::{Reason, shown};
use crate::rule::Target;
use crate::{CeilingHour, ConfiguredRule, Denial, HostPattern, HttpRule, InvalidRule, Request, Scheme, Sentence};

/// The SHA-256 of a component or a program. Written in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// From its bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        let invalid = || InvalidRule::Digest(shown(text, 100));
        let text = text.strip_prefix("sha256:").unwrap_or(text);
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(invalid());
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            let digits = text.get(at..at + 2).ok_or_else(invalid)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| invalid())?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidRule;

    fn try_from(text: String) -> Result<Self, InvalidRule> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Everything that one version of a plugin may do. What is not in it is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginGrant {
    /// The plugin's name, for people.
    pub plugin: String,
    /// The component that this is granted to.
    pub digest: Digest,
    /// Raised with every change and by the kill switch. An effect compares it with the stored one.
    pub generation: u64,
    /// Requests.
    #[serde(default)]
    pub http: Vec<HttpRule>,
    /// Room in its key-value store, in bytes; 0 for none.
    #[serde(default)]
    pub kv_bytes: u64,
    /// Credentials that it may name.
    #[serde(default)]
    pub credentials: Vec<CredentialRule>,
    /// Programs that the host may start for it.
    #[serde(default)]
    pub processes: Vec<ProcessRule>,
    /// Requests to the server that a person names in the settings, whichever that is.
    #[serde(default)]
    pub configured: Vec<ConfiguredRule>,
    /// Whether the host may start the program that a person names in the settings, whichever that is.
    #[serde(default)]
    pub configured_process: bool,
}

impl PluginGrant {
    /// A grant of nothing.
    #[must_use]
    pub fn nothing(plugin: impl Into<String>, digest: Digest, generation: u64) -> Self {
        Self {
            plugin: plugin.into(),
            digest,
            generation,
            http: vec![],
            kv_bytes: 0,
            credentials: vec![],
            processes: vec![],
            configured: vec![],
            configured_process: false,
        }
    }

    /// Whether it allows nothing but computing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        crate::diff(&Self::nothing("", self.digest, 0), self).is_empty()
    }
}

/// Scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The scheme.
    pub scheme: Scheme,
    /// The hosts.
    pub host: HostPattern,
    /// The port.
    pub port: u16,
}

impl Origin {
    /// Whether a request goes there.
    #[must_use]
    pub fn matches(&self, request: &Request) -> bool {
        self.scheme == request.scheme() && self.port == request.port() && self.host.matches(request.host())
    }

    /// Whether every target of the other is one of this one's.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.port == other.port && self.host.covers(&other.host)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Target { scheme: self.scheme, host: &self.host, port: self.port }.fmt(formatter)
    }
}

/// A credential by its handle, and where it may be sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialRule {
    /// The handle; never the value.
    pub handle: String,
    /// Where it may be sent; nowhere if empty.
    pub bound_to: BTreeSet<Origin>,
}

impl fmt::Display for CredentialRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origins: Vec<String> = self.bound_to.iter().map(Origin::to_string).collect();
        let origins = if origins.is_empty() { "nowhere".to_owned() } else { origins.join(", ") };
        write!(formatter, "may send credential `{}` to {origins}", shown(&self.handle, 100))
    }
}

/// A program that the host may start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessRule {
    /// Absolute path.
    pub path: String,
    /// The program's digest; nothing where any program at that path will do.
    pub digest: Option<Digest>,
    /// Its arguments.
    pub arguments: ProcessArguments,
}

/// Arguments of a program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProcessArguments {
    /// Exactly these.
    Fixed(Vec<String>),
    /// Any.
    Free,
}

impl ProcessRule {
    /// Whether this rule allows all that the other does.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.path == other.path
            && (self.digest.is_none() || self.digest == other.digest)
            && (self.arguments == ProcessArguments::Free || self.arguments == other.arguments)
    }
}

/// A path as long as the system takes it: a sentence that is approved leaves nothing of it out.
const PATH_BYTES: usize = 4096;

/// Arguments as a shell would want them, all of them, so that what is one argument reads as one.
fn quoted(arguments: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    let one = |argument: &String| {
        let text = shown(argument, usize::MAX);
        if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
    };
    arguments.iter().map(one).collect::<Vec<_>>().join(" ")
}

impl fmt::Display for ProcessRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "may start `{}`", shown(&self.path, PATH_BYTES))?;
        match &self.arguments {
            ProcessArguments::Free => formatter.write_str(" with any arguments"),
            ProcessArguments::Fixed(none) if none.is_empty() => formatter.write_str(" without arguments"),
            ProcessArguments::Fixed(list) => write!(formatter, " with {}", quoted(list)),
        }?;
        write!(formatter, " ({})", self.version())
    }
}

impl ProcessRule {
    /// The rule in words, the command line as its object.
    #[must_use]
    pub fn sentence(&self) -> Sentence {
        let path = shown(&self.path, PATH_BYTES);
        let (object, also) = match &self.arguments {
            ProcessArguments::Free => (path, "with any arguments"),
            ProcessArguments::Fixed(none) if none.is_empty() => (path, "without arguments"),
            ProcessArguments::Fixed(list) => (format!("{path} {}", quoted(list)), ""),
        };
        Sentence { may: "may start".into(), object, also: also.into(), bounds: self.version() }
    }

    fn version(&self) -> String {
        match &self.digest {
            Some(digest) => format!("SHA-256 {digest}"),
            None => "whatever version is there".to_owned(),
        }
    }
}

/// The rule that allows a request: of several the one that names its target most narrowly. Addresses are another
/// question; see [`vet`](crate::vet).
pub fn decide<'a>(grant: &'a PluginGrant, request: &Request) -> Result<&'a HttpRule, Denial> {
    let matching = || grant.http.iter().filter(|rule| rule.matches(request));
    let fits = |rule: &&HttpRule| rule.max_request_bytes >= request.body_bytes();
    if let Some(rule) = matching().filter(fits).max_by_key(|rule| rule.specificity()) {
        return Ok(rule);
    }
    let largest = matching().max_by_key(|rule| rule.max_request_bytes);
    let (reason, needed) = match largest {
        Some(rule) => {
            let (size, limit) = (request.body_bytes(), rule.max_request_bytes);
            let needed = HttpRule { max_request_bytes: size, ..rule.clone() };
            (Reason::BodyTooLarge { size, limit }, Some(needed))
        }
        None => (Reason::NoRule, HttpRule::for_request(request)),
    };
    Err(Denial::request(&grant.plugin, request, reason, needed))
}

/// Bytes that were used within an hour, and those that a request adds to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HourUse {
    /// Sent before.
    pub sent: u64,
    /// Received before.
    pub received: u64,
    /// What the request has, all of it: URL, headers and body.
    pub size: u64,
}

/// Whether a request stays within the bytes that its rule has for an hour. Gives the most that its answer may have, in
/// bytes, if nothing else is received meanwhile.
pub fn decide_budget(plugin: &str, rule: &HttpRule, request: &Request, used: HourUse) -> Result<u64, Denial> {
    let over =
        |limit: u64, needed: HttpRule| Err(Denial::request(plugin, request, Reason::HourSpent { limit }, Some(needed)));
    if let Some(limit) = rule.max_request_bytes_per_hour
        && used.size > limit.saturating_sub(used.sent)
    {
        let more = Some(used.sent.saturating_add(used.size));
        return over(limit, HttpRule { max_request_bytes_per_hour: more, ..rule.clone() });
    }
    let Some(limit) = rule.max_response_bytes_per_hour else { return Ok(rule.max_response_bytes) };
    let left = limit.saturating_sub(used.received);
    if left == 0 {
        let more = Some(limit.saturating_add(rule.max_response_bytes));
        return over(limit, HttpRule { max_response_bytes_per_hour: more, ..rule.clone() });
    }
    Ok(rule.max_response_bytes.min(left))
}

/// Whether a request stays within one of the hours of a ceiling; which one, where it does.
pub fn decide_ceiling_hour<'a>(
    plugin: &str,
    request: &Request,
    alternatives: impl IntoIterator<Item = (&'a CeilingHour, HourUse)>,
) -> Result<&'a CeilingHour, Denial> {
    let mut most = 0;
    for (hour, used) in alternatives {
        let sent = hour.sent.is_some_and(|limit| used.size > limit.saturating_sub(used.sent));
        let received = hour.received.is_some_and(|limit| used.received >= limit);
        if !sent && !received {
            return Ok(hour);
        }
        most = most.max(if sent { hour.sent } else { hour.received }.unwrap_or_default());
    }
    Err(Denial::request(plugin, request, Reason::CeilingHourSpent { limit: most }, None))
}

/// Whether a credential may be sent with a request. Asked for every hop: a redirect to another origin gets none.
pub fn decide_credential(grant: &PluginGrant, handle: &str, request: &Request) -> Result<(), Denial> {
    let mut rules = grant.credentials.iter().filter(|rule| rule.handle == handle);
    if rules.any(|rule| rule.bound_to.iter().any(|origin| origin.matches(request))) {
        return Ok(());
    }
    let host = HostPattern::Exact(request.host().clone());
    let origin = Origin { scheme: request.scheme(), host, port: request.port() };
    let attempt = format!("send credential `{}` to {origin}", shown(handle, 100));
    let needed = CredentialRule { handle: handle.to_owned(), bound_to: BTreeSet::from([origin]) };
    Err(Denial::other(&grant.plugin, attempt, Reason::Credential, needed.to_string()))
}

/// The refusal of the key-value store to a plugin that was granted no room in it.
#[must_use]
pub fn deny_values(plugin: &str) -> Denial {
    let attempt = "use its key-value store".to_owned();
    Denial::other(plugin, attempt, Reason::NoRule, "may keep values of its own".to_owned())
}

/// Whether a program may be started. `digest` is that of the very file that will run.
pub fn decide_process<'a>(
    grant: &'a PluginGrant,
    path: &str,
    digest: Digest,
    arguments: &[String],
) -> Result<&'a ProcessRule, Denial> {
    let asked = ProcessRule {
        path: path.to_owned(),
        digest: Some(digest),
        arguments: ProcessArguments::Fixed(arguments.to_vec()),
    };
    let absolute = path.starts_with('/') && !path.contains('\0') && !path.split('/').any(|part| part == "..");
    let rule = grant.processes.iter().find(|rule| absolute && rule.covers(&asked));
    rule.ok_or_else(|| {
        let attempt = format!("start `{}`", shown(path, 200));
        Denial::other(&grant.plugin, attempt, Reason::Process, asked.to_string())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rule::samples::rule;
    use crate::{Ceiling, diff};

    fn grant(rules: &[&str]) -> PluginGrant {
        let mut grant = PluginGrant::nothing("jira", Digest::new([7; 32]), 1);
        grant.http = rules.iter().map(|text| rule(text)).collect();
        grant
    }

    fn request(method: &str, url: &str, body: u64) -> Request {
        Request::parse(method, url, body).unwrap()
    }

    #[test]
    fn a_denial_names_plugin_attempt_and_grant() {
        let grant = grant(&["GET https://a.example.com/api #10/10"]);
        for (method, url, body, text) in [
            (
                "POST",
                "https://b.example.com/rest?token=secret",
                3,
                "Plugin `jira` tried to POST https://b.example.com/rest and has no grant for it; it would need the grant: \
                 may POST to https://b.example.com/rest (sending up to 16 MiB a request, receiving up to 16 MiB).",
            ),
            (
                "GET",
                "https://a.example.com/api/..%2fadmin",
                0,
                "Plugin `jira` tried to GET https://a.example.com/api/..%2fadmin and has no grant for it; it would need \
                 the grant: may GET to https://a.example.com/ (sending up to 16 MiB a request, receiving up to 16 MiB).",
            ),
            (
                "GET",
                "https://a.example.com/api/x",
                1024,
                "Plugin `jira` tried to GET https://a.example.com/api/x with 1 KiB of body, and may send 10 bytes; it \
                 would need the grant: may GET to https://a.example.com/api (sending up to 1 KiB a request, receiving up \
                 to 10 bytes).",
            ),
        ] {
            let denial = decide(&grant, &request(method, url, body)).unwrap_err();
            assert_eq!(denial.to_string(), text);
            assert!(denial.needed().is_some());
        }
    }

    #[test]
    fn the_most_specific_rule_holds() {
        let grant =
            grant(&["GET https://*.example.com/", "GET https://a.example.com/", "GET https://a.example.com/api"]);
        assert_eq!(decide(&grant, &request("GET", "https://a.example.com/api/x", 0)), Ok(&grant.http[2]));
        assert_eq!(decide(&grant, &request("GET", "https://a.example.com/x", 0)), Ok(&grant.http[1]));
        assert_eq!(decide(&grant, &request("GET", "https://b.example.com/x", 0)), Ok(&grant.http[0]));
    }

    #[test]
    fn credentials_go_where_they_are_bound_and_nowhere_else() {
        let mut grant = grant(&["GET https://a.example.com/", "GET https://b.example.com/"]);
        let origin = Origin { scheme: Scheme::Https, host: "a.example.com".parse().unwrap(), port: 443 };
        grant.credentials = vec![CredentialRule { handle: "token".to_owned(), bound_to: BTreeSet::from([origin]) }];
        assert_eq!(decide_credential(&grant, "token", &request("GET", "https://a.example.com/", 0)), Ok(()));
        for (handle, url) in [
            ("token", "https://b.example.com/"),
            ("token", "http://a.example.com/"),
            ("token", "https://a.example.com:444/"),
            ("other", "https://a.example.com/"),
        ] {
            assert!(decide_credential(&grant, handle, &request("GET", url, 0)).is_err(), "{handle} {url}");
        }
        assert_eq!(
            decide_credential(&grant, "token", &request("GET", "https://b.example.com/x", 0)).unwrap_err().to_string(),
            "Plugin `jira` tried to send credential `token` to https://b.example.com and this is not granted; it would \
             need the grant: may send credential `token` to https://b.example.com."
        );
    }

    #[test]
    fn an_hour_has_so_many_bytes() {
        let mut rule = rule("POST https://a.example.com/ #100/100");
        let asked = request("POST", "https://a.example.com/x", 60);
        let used = |sent, received| HourUse { sent, received, size: asked.body_bytes() };
        assert_eq!(decide_budget("jira", &rule, &asked, used(u64::MAX, u64::MAX)), Ok(100));
        rule.max_request_bytes_per_hour = Some(100);
        rule.max_response_bytes_per_hour = Some(150);
        assert_eq!(decide_budget("jira", &rule, &asked, used(40, 0)), Ok(100));
        assert_eq!(decide_budget("jira", &rule, &asked, used(40, 149)), Ok(1));
        assert_eq!(
            decide_budget("jira", &rule, &asked, used(41, 0)).unwrap_err().to_string(),
            "Plugin `jira` tried to POST https://a.example.com/x and has used up its 100 bytes of this hour; it would \
             need the grant: may POST to https://a.example.com/ (sending up to 100 bytes a request and 101 bytes an \
             hour, receiving up to 100 bytes and 150 bytes an hour)."
        );
        assert!(decide_budget("jira", &rule, &asked, used(0, 150)).is_err());
    }

    #[test]
    fn programs_start_as_granted() {
        let mut grant = grant(&[]);
        let (one, two) = (Digest::new([1; 32]), Digest::new([2; 32]));
        grant.processes = vec![ProcessRule {
            path: "/usr/bin/server".to_owned(),
            digest: Some(one),
            arguments: ProcessArguments::Fixed(vec!["--stdio".to_owned()]),
        }];
        let stdio = ["--stdio".to_owned()];
        assert!(decide_process(&grant, "/usr/bin/server", one, &stdio).is_ok());
        assert!(decide_process(&grant, "/usr/bin/server", two, &stdio).is_err());
        assert!(decide_process(&grant, "/usr/bin/server", one, &[]).is_err());
        assert!(decide_process(&grant, "/usr/bin/../bin/server", one, &stdio).is_err());
        let denial = decide_process(&grant, "server", one, &stdio).unwrap_err();
        assert!(denial.to_string().starts_with(
            "Plugin `jira` tried to start `server` and this is not granted; it would need the grant: may start `server` with --stdio"
        ));
        let odd = ["a b".to_owned(), String::new(), "it's".to_owned(), "x".repeat(1000)];
        let odd = ProcessRule { arguments: ProcessArguments::Fixed(odd.to_vec()), ..grant.processes[0].clone() };
        let all = format!(" 'a b' '' 'it'\\''s' {} ", "x".repeat(1000));
        assert!(odd.to_string().contains(&all), "every argument, one by one, whole: {odd}");
        let free =
            ProcessRule { digest: None, arguments: ProcessArguments::Fixed(vec![]), ..grant.processes[0].clone() };
        assert_eq!(free.to_string(), "may start `/usr/bin/server` without arguments (whatever version is there)");
        let text = ProcessRule { digest: None, ..grant.processes[0].clone() }.sentence().to_string();
        assert_eq!(text, "may start /usr/bin/server --stdio (whatever version is there)");
    }

    #[test]
    fn names_cannot_break_out_of_a_denial() {
        let mut grant = grant(&[]);
        grant.plugin = "a`\r\n\u{1b}[0mb".to_owned();
        let denial = decide(&grant, &request("GET", &format!("https://a.b/{}", "x".repeat(999)), 0)).unwrap_err();
        let text = denial.to_string();
        assert!(!text.contains(['\r', '\n', '\u{1b}']));
        assert!(denial.attempt().len() < 300 && denial.attempt().ends_with('…'));
    }

    #[test]
    fn digests_round_trip() {
        let digest = Digest::new([0xAB; 32]);
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert!("+f".repeat(32).parse::<Digest>().is_err());
        assert!("é".repeat(32).parse::<Digest>().is_err());
    }

    fn rules() -> impl Strategy<Value = Vec<HttpRule>> {
        let part = |options: &[&'static str]| prop::sample::select(options.to_vec());
        let one = (
            part(&["GET", "GET,POST", "POST"]),
            part(&["https", "http"]),
            part(&["a.example.com", "*.example.com", "*.a.example.com", "8.8.8.8"]),
            part(&["", ":8443"]),
            part(&["/", "/api", "/api/v2"]),
            part(&["", " 10.0.0.0/8"]),
            part(&["#0/10", "#100/5"]),
        );
        let text = one.prop_map(|(m, s, h, p, path, nets, size)| rule(&format!("{m} {s}://{h}{p}{path}{nets} {size}")));
        prop::collection::vec(text, 0..4)
    }

    fn requests() -> impl Strategy<Value = Request> {
        let part = |options: &[&'static str]| prop::sample::select(options.to_vec());
        (
            part(&["GET", "POST"]),
            part(&["https", "http"]),
            part(&["a.example.com", "b.example.com", "x.a.example.com", "8.8.8.8"]),
            part(&["", ":8443"]),
            part(&["/", "/api", "/api/v2/x", "/api/..%2f", "/other"]),
            part(&["0", "50", "500"]),
        )
            .prop_map(|(m, s, h, p, path, size)| {
                Request::parse(m, &format!("{s}://{h}{p}{path}"), size.parse().unwrap()).unwrap()
            })
    }

    proptest! {
        #[test]
        fn the_grant_that_a_denial_names_would_allow_it(rules in rules(), request in requests()) {
            let mut grant = PluginGrant { http: rules, ..grant(&[]) };
            if let Err(denial) = decide(&grant, &request) {
                grant.http.push(denial.needed().unwrap().clone());
                prop_assert!(decide(&grant, &request).is_ok());
            }
        }

        #[test]
        fn a_ceiling_only_narrows(rules in rules(), limits in rules(), request in requests()) {
            let grant = PluginGrant { http: rules, ..grant(&[]) };
            let limit = |rule: &HttpRule| crate::CeilingRule {
                schemes: Some(BTreeSet::from([rule.scheme])),
                host: Some(rule.host.clone()),
                ports: Some(BTreeSet::from([rule.port])),
                methods: Some(rule.methods.clone()),
                path_prefix: Some(rule.path_prefix.clone()),
                allow_private: rule.allow_private.clone(),
                max_request_bytes: Some(rule.max_request_bytes),
                max_response_bytes: Some(rule.max_response_bytes),
                ..crate::CeilingRule::default()
            };
            let ceiling = Ceiling { http: Some(limits.iter().map(limit).collect()), ..Ceiling::default() };
            let narrowed = ceiling.narrow(&grant);
            prop_assert!(!diff(&grant, &narrowed).widens());
            let under = PluginGrant { http: limits, ..grant.clone() };
            prop_assert_eq!(
                decide(&narrowed, &request).is_ok(),
                decide(&grant, &request).is_ok() && decide(&under, &request).is_ok()
            );
        }

        #[test]
        fn what_does_not_widen_allows_nothing_new(old in rules(), new in rules(), request in requests()) {
            let (old, new) = (PluginGrant { http: old, ..grant(&[]) }, PluginGrant { http: new, ..grant(&[]) });
            if !diff(&old, &new).widens() && decide(&new, &request).is_ok() {
                prop_assert!(decide(&old, &request).is_ok());
            }
        }

        #[test]
        fn grants_survive_the_store(rules in rules()) {
            let grant = PluginGrant { http: rules, ..grant(&[]) };
            let stored = serde_json::to_string(&grant).unwrap();
            prop_assert_eq!(serde_json::from_str::<PluginGrant>(&stored).unwrap(), grant);
        }
    }
}
