//! The organisation's ceiling: what no grant goes beyond.
//!
//! Invariant: narrowing never widens. A request that the narrowed grant allows is allowed by the grant, and is under
//! the ceiling. What a ceiling says nothing about it leaves alone; a list that is there and empty leaves nothing.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::address::names_metadata;
use crate::rule::narrower;
use crate::rule::{also_at, bounds, may};
use crate::{HostPattern, HttpRule, Method, PathPrefix, PluginGrant, ProcessArguments, ProcessRule, Request, Scheme};

/// What grants may hold at most. Each part that is missing has no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Ceiling {
    /// Requests: a rule of a grant is cut to what it shares with each of these.
    pub http: Option<Vec<CeilingRule>>,
    /// Whatever is granted, only this machine is dialled.
    #[serde(default)]
    pub loopback_only: bool,
    /// Room in the key-value store, in bytes.
    pub kv_bytes: Option<u64>,
    /// Handles of credentials.
    pub credentials: Option<BTreeSet<String>>,
    /// Programs.
    pub processes: Option<Vec<ProcessRule>>,
}

/// What a grant comes to under the organisation's ceilings: what all of them leave of it.
#[must_use]
pub fn effective<'a>(grant: &PluginGrant, ceilings: impl IntoIterator<Item = &'a Ceiling>) -> PluginGrant {
    ceilings.into_iter().fold(grant.clone(), |grant, ceiling| ceiling.narrow(&grant))
}

/// Requests under a ceiling. Each part that is missing has no limit, but for private addresses: of those only the ones
/// that are named here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct CeilingRule {
    /// The schemes.
    pub schemes: Option<BTreeSet<Scheme>>,
    /// The hosts.
    pub host: Option<HostPattern>,
    /// The ports.
    pub ports: Option<BTreeSet<u16>>,
    /// The methods.
    pub methods: Option<BTreeSet<Method>>,
    /// Where paths begin.
    pub path_prefix: Option<PathPrefix>,
    /// Addresses that are not public.
    pub allow_private: BTreeSet<IpNet>,
    /// The largest request body, in bytes.
    pub max_request_bytes: Option<u64>,
    /// The largest answer body, in bytes.
    pub max_response_bytes: Option<u64>,
    /// Bytes of request bodies within any hour.
    pub max_request_bytes_per_hour: Option<u64>,
    /// Bytes of answer bodies within any hour.
    pub max_response_bytes_per_hour: Option<u64>,
}

impl Ceiling {
    /// What this ceiling leaves of a grant.
    #[must_use]
    pub fn narrow(&self, grant: &PluginGrant) -> PluginGrant {
        let mut narrowed = grant.clone();
        if let Some(rules) = &self.http {
            let shared = grant.http.iter().flat_map(|own| rules.iter().filter_map(|rule| rule.narrow(own)));
            narrowed.http = distinct(shared);
        }
        for rule in &mut narrowed.http {
            rule.loopback_only |= self.loopback_only;
        }
        narrowed.kv_bytes = grant.kv_bytes.min(self.kv_bytes.unwrap_or(u64::MAX));
        if let Some(handles) = &self.credentials {
            narrowed.credentials.retain(|rule| handles.contains(&rule.handle));
        }
        if let Some(rules) = &self.processes {
            let shared =
                grant.processes.iter().flat_map(|own| rules.iter().filter_map(|rule| shared_process(own, rule)));
            narrowed.processes = distinct(shared);
        }
        narrowed
    }
}

/// What one rule of a ceiling has for an hour, for all that a plugin sends under it, by whichever rule of its grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CeilingHour {
    /// What tells it from others: the rule in words.
    pub key: String,
    /// Bytes of requests.
    pub sent: Option<u64>,
    /// Bytes of answers.
    pub received: Option<u64>,
}

impl Ceiling {
    /// The hours that a request may count against, one of which has to have room for it; none where nothing is counted.
    /// `by` is the narrowed rule that allows it: what counts is what leaves all of that rule.
    pub(crate) fn hours(&self, request: &Request, by: &HttpRule) -> Vec<CeilingHour> {
        let matching = || self.http.iter().flatten().filter(|rule| rule.matches(request) && rule.leaves_answers(by));
        let hours: Vec<CeilingHour> = matching().filter_map(CeilingRule::hour).collect();
        if hours.len() < matching().count() { Vec::new() } else { hours }
    }
}

impl CeilingRule {
    fn matches(&self, request: &Request) -> bool {
        fn fits<T>(limit: Option<&T>, fits: impl Fn(&T) -> bool) -> bool {
            limit.is_none_or(fits)
        }
        fits(self.schemes.as_ref(), |schemes| schemes.contains(&request.scheme()))
            && fits(self.host.as_ref(), |host| host.matches(request.host()))
            && fits(self.ports.as_ref(), |ports| ports.contains(&request.port()))
            && fits(self.methods.as_ref(), |methods| methods.contains(request.method()))
            && fits(self.path_prefix.as_ref(), |prefix| prefix.matches(request.path()))
            && fits(self.max_request_bytes.as_ref(), |most| request.body_bytes() <= *most)
    }

    /// Whether the addresses and the answers of a rule are all within this one.
    fn leaves_answers(&self, rule: &HttpRule) -> bool {
        shared_nets(&self.allow_private, &rule.allow_private).is_superset(&rule.allow_private)
            && self.max_response_bytes.is_none_or(|most| rule.max_response_bytes <= most)
    }

    fn hour(&self) -> Option<CeilingHour> {
        let (sent, received) = (self.max_request_bytes_per_hour, self.max_response_bytes_per_hour);
        let counts = sent.is_some() || received.is_some();
        // Without its sizes: a limit that is raised goes on from what was counted.
        counts.then(|| CeilingHour { key: self.about(), sent, received })
    }

    /// What it is about, in words: `may GET to https://*.example.com:443/api`.
    fn about(&self) -> String {
        let any = |parts: Vec<String>, all: &str| if parts.is_empty() { all.to_owned() } else { parts.join("|") };
        let schemes = self.schemes.as_ref().map(|all| any(all.iter().map(Scheme::to_string).collect(), "(no scheme)"));
        let ports = self.ports.as_ref().map(|all| any(all.iter().map(u16::to_string).collect(), "(no port)"));
        let host = self.host.as_ref().map_or_else(|| "any host".to_owned(), HostPattern::to_string);
        let scheme = schemes.map_or(String::new(), |schemes| format!("{schemes}://"));
        let port = ports.map_or(String::new(), |ports| format!(":{ports}"));
        let path = self.path_prefix.as_ref().map_or(String::new(), PathPrefix::to_string);
        let verb = self.methods.as_ref().map_or_else(|| "may send anything to".to_owned(), may);
        format!("{verb} {scheme}{host}{port}{path}")
    }

    /// The rule in words, for people who are asked to grant something under it.
    #[must_use]
    pub fn sentence(&self) -> String {
        let also = also_at(&self.allow_private);
        let also = if also.is_empty() { also } else { format!(", {also}") };
        let (hour_out, hour_in) = (self.max_request_bytes_per_hour, self.max_response_bytes_per_hour);
        let sized = self.max_request_bytes.is_some() || self.max_response_bytes.is_some();
        let sizes = if sized || hour_out.is_some() || hour_in.is_some() {
            let most = |bytes: Option<u64>| bytes.unwrap_or(HttpRule::DEFAULT_MAX_BYTES);
            format!(" ({})", bounds(most(self.max_request_bytes), most(self.max_response_bytes), hour_out, hour_in))
        } else {
            String::new()
        };
        format!("{}{also}{sizes}", self.about())
    }

    /// What a rule shares with this one; nothing where they have nothing in common.
    fn narrow(&self, rule: &HttpRule) -> Option<HttpRule> {
        let allowed = |missing: bool| missing.then_some(());
        allowed(self.schemes.as_ref().is_none_or(|schemes| schemes.contains(&rule.scheme)))?;
        allowed(self.ports.as_ref().is_none_or(|ports| ports.contains(&rule.port)))?;
        let methods: BTreeSet<Method> = match &self.methods {
            Some(methods) => rule.methods.intersection(methods).cloned().collect(),
            None => rule.methods.clone(),
        };
        allowed(!methods.is_empty())?;
        Some(HttpRule {
            scheme: rule.scheme,
            host: shared(self.host.as_ref(), &rule.host, HostPattern::covers)?,
            port: rule.port,
            methods,
            path_prefix: shared(self.path_prefix.as_ref(), &rule.path_prefix, PathPrefix::covers)?,
            allow_private: shared_nets(&self.allow_private, &rule.allow_private),
            loopback_only: rule.loopback_only,
            max_request_bytes: rule.max_request_bytes.min(self.max_request_bytes.unwrap_or(u64::MAX)),
            max_response_bytes: rule.max_response_bytes.min(self.max_response_bytes.unwrap_or(u64::MAX)),
            max_request_bytes_per_hour: narrower(self.max_request_bytes_per_hour, rule.max_request_bytes_per_hour),
            max_response_bytes_per_hour: narrower(self.max_response_bytes_per_hour, rule.max_response_bytes_per_hour),
        })
    }
}

/// The narrower of two sets of which one holds the other, as it is with domains and folders.
fn shared<T: Clone>(ceiling: Option<&T>, own: &T, covers: impl Fn(&T, &T) -> bool) -> Option<T> {
    match ceiling {
        None => Some(own.clone()),
        Some(ceiling) if covers(ceiling, own) => Some(own.clone()),
        Some(ceiling) if covers(own, ceiling) => Some(ceiling.clone()),
        Some(_) => None,
    }
}

/// The ranges within both. A single metadata address counts only where both name it: a range does not stand for it.
fn shared_nets(ceiling: &BTreeSet<IpNet>, own: &BTreeSet<IpNet>) -> BTreeSet<IpNet> {
    let mut nets = BTreeSet::new();
    for limit in ceiling {
        for net in own {
            let both = if limit.contains(net) { Some(net) } else { net.contains(limit).then_some(limit) };
            nets.extend(both.filter(|both| limit == net || !names_metadata(both)));
        }
    }
    nets
}

fn shared_process(own: &ProcessRule, ceiling: &ProcessRule) -> Option<ProcessRule> {
    if own.path != ceiling.path {
        return None;
    }
    let digest = match (own.digest, ceiling.digest) {
        (Some(a), Some(b)) if a != b => return None,
        (a, b) => a.or(b),
    };
    let arguments = match (&own.arguments, &ceiling.arguments) {
        (ProcessArguments::Free, other) | (other, ProcessArguments::Free) => other.clone(),
        (a, b) if a == b => a.clone(),
        _ => return None,
    };
    Some(ProcessRule { path: own.path.clone(), digest, arguments })
}

fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut kept = Vec::new();
    for item in items {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::samples::rule;
    use crate::{Digest, vet};

    fn grant(rules: &[&str]) -> PluginGrant {
        let mut grant = PluginGrant::nothing("p", Digest::new([0; 32]), 1);
        grant.http = rules.iter().map(|text| rule(text)).collect();
        grant.kv_bytes = 100;
        grant
    }

    fn ceiling(json: &str) -> Ceiling {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_ceiling_that_says_nothing_leaves_everything() {
        let grant = grant(&["GET,POST https://*.example.com/ 10.0.0.0/8"]);
        assert_eq!(Ceiling::default().narrow(&grant), grant);
    }

    #[test]
    fn every_part_is_narrowed() {
        let grant = grant(&["GET,POST https://*.example.com/api 10.0.0.0/8,fc00::/7", "GET https://other.org/"]);
        let ceiling = ceiling(
            r#"{"kv-bytes": 50, "credentials": [], "http": [{"schemes": ["https"], "host": "a.example.com",
            "ports": [443], "methods": ["GET", "PUT"], "path-prefix": "/api/v2", "allow-private": ["10.1.0.0/16"],
            "max-request-bytes": 7, "max-response-bytes": 8}]}"#,
        );
        let narrowed = ceiling.narrow(&grant);
        assert_eq!(narrowed.http, [rule("GET https://a.example.com/api/v2 10.1.0.0/16 #7/8")]);
        assert_eq!(narrowed.kv_bytes, 50);
        assert_eq!(ceiling.narrow(&narrowed), narrowed);
    }

    #[test]
    fn what_is_narrowed_to_this_machine_dials_nothing_else() {
        let grant = grant(&["GET http://models.example.com/ 127.0.0.0/8,10.0.0.0/8"]);
        let narrowed = ceiling(r#"{"loopback-only": true}"#).narrow(&grant);
        let request = crate::Request::parse("GET", "http://models.example.com/", 0).unwrap();
        let vetted = |address: &str| vet("p", &request, &narrowed.http[0], &[address.parse().unwrap()]);
        assert!(vetted("127.0.0.1").is_ok());
        for elsewhere in ["10.0.0.1", "8.8.8.8", "::ffff:8.8.8.8", "0.0.0.0"] {
            assert!(vetted(elsewhere).is_err(), "{elsewhere}");
        }
        assert_eq!(
            vetted("8.8.8.8").unwrap_err().to_string(),
            "Plugin `p` tried to GET http://models.example.com/ at 8.8.8.8, which is not this machine, and a switch or the \
             organisation's ceiling leaves nothing else."
        );
        assert!(narrowed.http[0].to_string().contains("where that is this machine"), "{}", narrowed.http[0]);
        assert!(grant.http[0].covers(&narrowed.http[0]) && !narrowed.http[0].covers(&grant.http[0]));
    }

    #[test]
    fn an_empty_list_leaves_nothing_and_a_typing_error_is_one() {
        let grant = grant(&["GET https://a.example.com/"]);
        assert!(ceiling(r#"{"http": []}"#).narrow(&grant).http.is_empty());
        assert!(ceiling(r#"{"http": [{"methods": []}]}"#).narrow(&grant).http.is_empty());
        assert!(serde_json::from_str::<Ceiling>(r#"{"htpp": []}"#).is_err());
    }

    #[test]
    fn a_range_and_a_metadata_address_share_nothing() {
        let request = crate::Request::parse("GET", "http://a.example.com/", 0).unwrap();
        let metadata = ["169.254.169.254".parse().unwrap()];
        for (own, limit, expected) in [
            ("169.254.0.0/16", "169.254.169.254/32", false),
            ("169.254.169.254", "169.254.0.0/16", false),
            ("169.254.169.254", "169.254.169.254/32", true),
        ] {
            let grant = grant(&[&format!("GET http://a.example.com/ {own}")]);
            let narrowed = ceiling(&format!(r#"{{"http": [{{"allow-private": ["{limit}"]}}]}}"#)).narrow(&grant);
            assert_eq!(vet("p", &request, &narrowed.http[0], &metadata).is_ok(), expected, "{own} {limit}");
        }
    }

    #[test]
    fn programs_are_narrowed_to_what_both_name() {
        let program = |digest: Option<u8>, arguments: Option<&str>| ProcessRule {
            path: "/usr/bin/server".to_owned(),
            digest: digest.map(|byte| Digest::new([byte; 32])),
            arguments: arguments.map_or(ProcessArguments::Free, |a| ProcessArguments::Fixed(vec![a.to_owned()])),
        };
        let shared = |own, limit| {
            let mut grant = grant(&[]);
            grant.processes = vec![own];
            Ceiling { processes: Some(vec![limit]), ..Ceiling::default() }.narrow(&grant).processes
        };
        assert_eq!(shared(program(None, Some("a")), program(Some(1), None)), [program(Some(1), Some("a"))]);
        assert_eq!(shared(program(Some(1), None), program(Some(2), None)), []);
        assert_eq!(shared(program(None, Some("a")), program(None, Some("b"))), []);
    }
}
