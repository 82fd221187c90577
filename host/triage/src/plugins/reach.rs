//! What one instance of a plugin may reach: its grant, with the server, program and credential that a person named in
//! the instance's settings put in, under the organisation's ceiling.

use fumehood_policy::{
    Ceiling, CredentialRule, Digest, Origin, PluginGrant, ProcessRule, decide, decide_credential, decide_process,
    effective, vet,
};
use fumehood_runtime::{Attempt, Plugin};
use fumehood_store::{CredentialId, ServerId};
use url::Url;

/// The handle by which a plugin names the credential that was typed for its instance.
pub(crate) const CREDENTIAL: &str = "credential";

/// Whose call it is, and what a person set up for it.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub plugin: String,
    pub digest: Digest,
    /// The setting that names a server, and the server.
    pub server: Option<(String, Url)>,
    /// Networks that are not public, in which that server was when a person named it.
    pub private_nets: Vec<String>,
    pub credential: Option<CredentialId>,
    /// The MCP server that somebody signed in at, and whose sign-in goes with the call: everybody's is empty.
    pub sign_in: Option<(ServerId, String)>,
    /// The program that was named.
    pub process: Option<ProcessRule>,
}

impl Reach {
    /// A call of a plugin for which nothing was set up.
    pub(crate) fn of(plugin: &Plugin) -> Self {
        Self {
            plugin: plugin.name().to_owned(),
            digest: Digest::new(plugin.digest()),
            server: None,
            private_nets: Vec::new(),
            credential: None,
            sign_in: None,
            process: None,
        }
    }

    /// A call to the server that `setting` names.
    ///
    /// The address behind the URL may be a private one only in the networks where it was when a person typed it in: a
    /// public name cannot be turned inwards later. A metadata address is never dialled.
    pub(crate) fn to_server(
        plugin: &Plugin,
        setting: &str,
        url: Url,
        private_nets: &[String],
        credential: Option<CredentialId>,
    ) -> Self {
        Self {
            server: Some((setting.to_owned(), url)),
            private_nets: private_nets.to_vec(),
            credential,
            ..Self::of(plugin)
        }
    }

    /// What was granted, with what was set up put in: no rule is left that speaks of settings.
    pub(crate) fn resolve(&self, grant: &PluginGrant) -> PluginGrant {
        let mut resolved = PluginGrant { configured: Vec::new(), configured_process: false, ..grant.clone() };
        if let Some((setting, url)) = &self.server {
            let nets = || self.private_nets.iter().filter_map(|net| net.parse().ok()).collect();
            let rules = grant.configured.iter().filter(|rule| rule.setting == *setting);
            let rules: Vec<_> = rules.filter_map(|rule| rule.at(url, nets()).ok()).collect();
            let goes_with = self.credential.is_some() || self.sign_in.is_some();
            if let (Some(rule), true) = (rules.first(), goes_with) {
                let origin = Origin { scheme: rule.scheme, host: rule.host.clone(), port: rule.port };
                resolved.credentials.push(CredentialRule { handle: CREDENTIAL.into(), bound_to: [origin].into() });
            }
            resolved.http.extend(rules);
        }
        if let (true, Some(rule)) = (grant.configured_process, &self.process) {
            resolved.processes.push(rule.clone());
        }
        resolved
    }

    /// What is left of a grant under the ceilings.
    pub(crate) fn effective<'a>(
        &self,
        grant: &PluginGrant,
        ceilings: impl IntoIterator<Item = &'a Ceiling>,
    ) -> PluginGrant {
        effective(&self.resolve(grant), ceilings)
    }

    /// Whether a grant that was resolved allows what was refused.
    pub(crate) fn allows(grant: &PluginGrant, attempt: Attempt<'_>) -> bool {
        match attempt {
            Attempt::Request(request) => decide(grant, request).is_ok(),
            Attempt::Credential(handle, request) => decide_credential(grant, handle, request).is_ok(),
            Attempt::Addresses(addresses, request) => {
                decide(grant, request).is_ok_and(|rule| vet(&grant.plugin, request, rule, addresses).is_ok())
            }
            Attempt::Process(path, digest, arguments) => decide_process(grant, path, digest, arguments).is_ok(),
            Attempt::Values => grant.kv_bytes > 0,
            // Ceilings have hours of their own, and say so themselves.
            Attempt::Bytes => false,
        }
    }
}

/// What a grant comes to for an instance that was set up with these servers, by the setting that names each; for a
/// plugin's own tests. A credential goes to all of them.
#[must_use]
pub fn as_set_up(grant: &PluginGrant, servers: &[(String, Url)], has_credential: bool) -> PluginGrant {
    let mut all = PluginGrant { configured: Vec::new(), configured_process: false, ..grant.clone() };
    for (setting, url) in servers {
        for rule in grant.configured.iter().filter(|rule| rule.setting == *setting) {
            let Ok(rule) = rule.at(url, Default::default()) else { continue };
            if has_credential {
                let origin = Origin { scheme: rule.scheme, host: rule.host.clone(), port: rule.port };
                all.credentials.push(CredentialRule { handle: CREDENTIAL.into(), bound_to: [origin].into() });
            }
            all.http.push(rule);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use fumehood_policy::{ConfiguredRule, HttpRule, ProcessArguments};

    use super::*;

    fn reach(url: &str) -> Reach {
        Reach {
            plugin: "p".into(),
            digest: Digest::new([1; 32]),
            server: Some(("base-url".into(), url.parse().unwrap())),
            private_nets: vec!["10.0.0.0/8".into()],
            credential: Some(CredentialId::new()),
            sign_in: None,
            process: Some(ProcessRule {
                path: "/usr/bin/server".into(),
                digest: Some(Digest::new([2; 32])),
                arguments: ProcessArguments::Fixed(vec!["--stdio".into()]),
            }),
        }
    }

    fn grant() -> PluginGrant {
        let mut grant = PluginGrant::nothing("p", Digest::new([1; 32]), 3);
        grant.configured.push(ConfiguredRule {
            setting: "base-url".into(),
            methods: ["GET".parse().unwrap()].into(),
            max_request_bytes: 10,
            max_response_bytes: HttpRule::DEFAULT_MAX_BYTES,
            max_request_bytes_per_hour: None,
            max_response_bytes_per_hour: None,
        });
        grant
    }

    #[test]
    fn what_was_set_up_is_put_in_where_the_grant_has_room_for_it() {
        let resolved = reach("https://desk.example.com:8443/api").resolve(&grant());
        let sentences: Vec<String> = resolved.http.iter().map(ToString::to_string).collect();
        assert_eq!(
            sentences,
            ["may GET to https://desk.example.com:8443/api, also at 10.0.0.0/8 (sending up to 10 bytes a request, \
              receiving up to 16 MiB)"]
        );
        assert_eq!(
            resolved.credentials[0].to_string(),
            "may send credential `credential` to https://desk.example.com:8443"
        );
        assert!(resolved.processes.is_empty(), "programs were not granted");
        let other = PluginGrant { configured: Vec::new(), ..grant() };
        let resolved = reach("https://desk.example.com/").resolve(&other);
        assert!(resolved.http.is_empty() && resolved.credentials.is_empty(), "a server was not granted");
    }

    #[test]
    fn a_program_is_granted_with_its_arguments() {
        let grant = PluginGrant { configured_process: true, ..grant() };
        let resolved = reach("https://desk.example.com/").resolve(&grant);
        assert_eq!(
            resolved.processes[0].sentence().to_string(),
            format!("may start /usr/bin/server --stdio (SHA-256 {})", "02".repeat(32))
        );
        assert!(!resolved.configured_process);
    }
}
