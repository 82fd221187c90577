//! Granting less than was asked for: what a person chose of each request, and how far.

use std::collections::BTreeSet;

use fumehood_policy::{HttpRule, Method, PluginGrant, diff};

use super::info::{Ask, rule_bounds, sum};
use crate::{App, TriageError};
use fumehood_policy::{Digest, Permission};
use fumehood_store::Scope;

/// What a person wrote beside one request. Sizes are in KiB; empty leaves what was asked for, and of an hour no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Narrowing {
    pub host: String,
    pub path: String,
    /// Names with commas or blanks between them.
    pub methods: String,
    pub request_kib: String,
    pub response_kib: String,
    pub request_hour_kib: String,
    pub response_hour_kib: String,
    pub kept_kib: String,
}

impl Narrowing {
    /// The fields of a part of a grant, as they would be written.
    #[must_use]
    pub fn of(part: &PluginGrant) -> Self {
        // Down: what is written back must not be more than what stood there.
        let kib = |bytes: u64| (bytes / 1024).to_string();
        let hour = |bytes: Option<u64>| bytes.map(kib).unwrap_or_default();
        let names = |methods: &BTreeSet<Method>| methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let bounds = rule_bounds(part);
        let (http, configured) = (part.http.first(), part.configured.first());
        Self {
            host: http.map(|rule| rule.host.to_string()).unwrap_or_default(),
            path: http.map(|rule| rule.path_prefix.to_string()).unwrap_or_default(),
            methods: http
                .map(|rule| &rule.methods)
                .or(configured.map(|rule| &rule.methods))
                .map(names)
                .unwrap_or_default(),
            request_kib: bounds.map(|bounds| kib(bounds.0)).unwrap_or_default(),
            response_kib: bounds.map(|bounds| kib(bounds.1)).unwrap_or_default(),
            request_hour_kib: bounds.map(|bounds| hour(bounds.2)).unwrap_or_default(),
            response_hour_kib: bounds.map(|bounds| hour(bounds.3)).unwrap_or_default(),
            kept_kib: if part.kv_bytes > 0 { kib(part.kv_bytes) } else { String::new() },
        }
    }
}

/// What is granted of a request, as it was written.
///
/// # Errors
/// `Invalid`, where a field cannot be understood or goes further than the request.
pub fn narrowed(ask: &Ask, fields: &Narrowing) -> Result<PluginGrant, TriageError> {
    let wrong = |message: String| TriageError::invalid("grant", message);
    let part = &ask.part;
    let mut narrow = part.clone();
    let kib = |text: &str, what: &str, asked: u64| match text.trim() {
        "" => Ok(asked),
        // Left as it was shown: exactly what was asked for, which may be no whole number of KiB.
        text if text == (asked / 1024).to_string() => Ok(asked),
        text => text
            .parse::<u64>()
            .map(|kib| kib.saturating_mul(1024))
            .map_err(|_| wrong(format!("“{text}” is no size: write {what} as a whole number of KiB."))),
    };
    let hour = |text: &str, what: &str| match text.trim() {
        "" => Ok(None),
        text => kib(text, what, u64::MAX).map(Some),
    };
    let methods = || {
        let names = fields.methods.split([',', ' ']).map(str::trim).filter(|name| !name.is_empty());
        names
            .map(|name| name.parse::<Method>().map_err(|error| wrong(error.to_string())))
            .collect::<Result<BTreeSet<_>, _>>()
    };
    if let Some(rule) = narrow.http.first_mut() {
        if !fields.host.trim().is_empty() {
            rule.host =
                fields.host.trim().parse().map_err(|error: fumehood_policy::InvalidRule| wrong(error.to_string()))?;
        }
        if !fields.path.trim().is_empty() {
            rule.path_prefix =
                fields.path.trim().parse().map_err(|error: fumehood_policy::InvalidRule| wrong(error.to_string()))?;
        }
        rule.methods = methods()?;
        rule.max_request_bytes = kib(&fields.request_kib, "bytes of a request", rule.max_request_bytes)?;
        rule.max_response_bytes = kib(&fields.response_kib, "bytes of an answer", rule.max_response_bytes)?;
        rule.max_request_bytes_per_hour = hour(&fields.request_hour_kib, "bytes out in an hour")?;
        rule.max_response_bytes_per_hour = hour(&fields.response_hour_kib, "bytes in within an hour")?;
    }
    if let Some(rule) = narrow.configured.first_mut() {
        rule.methods = methods()?;
        rule.max_request_bytes = kib(&fields.request_kib, "bytes of a request", rule.max_request_bytes)?;
        rule.max_response_bytes = kib(&fields.response_kib, "bytes of an answer", rule.max_response_bytes)?;
        rule.max_request_bytes_per_hour = hour(&fields.request_hour_kib, "bytes out in an hour")?;
        rule.max_response_bytes_per_hour = hour(&fields.response_hour_kib, "bytes in within an hour")?;
    }
    if part.kv_bytes > 0 {
        narrow.kv_bytes = kib(&fields.kept_kib, "bytes that it keeps", part.kv_bytes)?;
    }
    let beyond = diff(part, &narrow);
    match beyond.changes.iter().find(|_| beyond.widens()) {
        Some(first) => {
            Err(wrong(format!("That goes further than it asks for ({first}). Grant at most what it asks for.")))
        }
        None => Ok(narrow),
    }
}

/// What is granted at this moment of a request: its own rule where it was narrowed.
#[must_use]
pub fn granted_of(ask: &Ask, grant: &PluginGrant) -> Option<PluginGrant> {
    let none = PluginGrant::nothing(&ask.part.plugin, ask.part.digest, 0);
    let http = ask.part.http.first().and_then(|asked| grant.http.iter().find(|rule| asked.covers(rule)));
    let configured =
        ask.part.configured.first().and_then(|asked| grant.configured.iter().find(|rule| asked.covers(rule)));
    let part = PluginGrant {
        http: http.cloned().into_iter().collect(),
        configured: configured.cloned().into_iter().collect(),
        credentials: ask.part.credentials.iter().filter(|rule| grant.credentials.contains(rule)).cloned().collect(),
        processes: ask.part.processes.iter().filter(|rule| grant.processes.contains(rule)).cloned().collect(),
        kv_bytes: ask.part.kv_bytes.min(grant.kv_bytes),
        configured_process: ask.part.configured_process && grant.configured_process,
        ..none
    };
    (!part.is_nothing()).then_some(part)
}

/// Rules of a grant that answer no request: what was allowed after a refusal, for example.
#[must_use]
pub fn extra(asks: &[Ask], grant: &PluginGrant) -> Vec<HttpRule> {
    let asked = |rule: &HttpRule| asks.iter().any(|ask| ask.part.http.iter().any(|asked| asked.covers(rule)));
    grant.http.iter().filter(|rule| !asked(rule)).cloned().collect()
}

impl App {
    /// Allow what a plugin was refused: the very rule that the refusal named, added to its grant.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict` where no grant can allow it.
    pub async fn allow_refused(
        &self,
        scope: &Scope,
        name: &str,
        attempt: &str,
        remedy: &str,
    ) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageGrants)?;
        let detail = self.plugin(scope, name).await?;
        let refused = detail.denials.iter().find(|one| one.attempt == attempt && one.remedy == remedy);
        let rule = refused.ok_or(TriageError::NotFound { what: "refusal" })?.rule.clone();
        let rule = rule.ok_or_else(|| TriageError::Conflict("No rule for requests would allow this.".into()))?;
        let info = detail.info.ok_or(TriageError::NotFound { what: "running plugin" })?;
        let digest: Digest = info.digest;
        let generation = detail.grant.as_ref().map_or(0, |grant| grant.generation);
        let more = PluginGrant { http: vec![rule], ..PluginGrant::nothing(name, digest, 0) };
        let sum = sum(name, digest, detail.grant.into_iter().chain([more]));
        self.grant_plugin(scope, sum, Some(generation)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::Allowed;

    fn ask() -> Ask {
        let manifest = fumehood_policy::Manifest::parse(
            "name = \"desk\"\nversion = \"1.0.0\"\npublisher = \"acme\"\nworld = \"integration\"\ndescription = \"d\"\n\
             [[http]]\nreason = \"r\"\nhost = \"*.example.com\"\nmethods = [\"GET\", \"POST\"]\nmax-request-bytes = 4096",
        )
        .unwrap();
        Ask {
            what: Allowed { may: String::new(), object: String::new(), bounds: String::new(), credential: None },
            reason: String::new(),
            ceiling: None,
            part: manifest.asks(Digest::new([1; 32])),
            granted: false,
        }
    }

    #[test]
    fn every_field_narrows_and_none_widens() {
        let ask = ask();
        let asked = Narrowing::of(&ask.part);
        assert_eq!(narrowed(&ask, &asked).unwrap(), ask.part, "what is left as it is, is what was asked for");
        let narrow = Narrowing {
            host: "a.example.com".into(),
            path: "/api".into(),
            methods: "GET".into(),
            request_kib: "1".into(),
            request_hour_kib: "2".into(),
            ..asked.clone()
        };
        let part = narrowed(&ask, &narrow).unwrap();
        assert_eq!(
            part.http[0].to_string(),
            "may GET to https://a.example.com/api (sending up to 1 KiB a request and 2 KiB an hour, receiving up to 16 MiB)"
        );
        assert_eq!(granted_of(&ask, &part).unwrap(), part);
        assert!(extra(std::slice::from_ref(&ask), &part).is_empty());
        for (wide, said) in [
            (Narrowing { host: "example.org".into(), ..asked.clone() }, "goes further"),
            (Narrowing { methods: "GET, DELETE".into(), ..asked.clone() }, "goes further"),
            (Narrowing { request_kib: "5".into(), ..asked.clone() }, "goes further"),
            (Narrowing { request_kib: "many".into(), ..asked.clone() }, "is no size"),
            (Narrowing { path: "api".into(), ..asked.clone() }, "is no path prefix"),
        ] {
            assert!(narrowed(&ask, &wide).unwrap_err().to_string().contains(said), "{wide:?}");
        }
        let elsewhere = PluginGrant { http: narrowed(&ask, &narrow).unwrap().http, ..ask.part.clone() };
        let mut elsewhere = elsewhere;
        elsewhere.http[0].host = "other.org".parse().unwrap();
        assert_eq!(extra(std::slice::from_ref(&ask), &elsewhere).len(), 1);
        assert_eq!(granted_of(&ask, &elsewhere), None);
    }
}
