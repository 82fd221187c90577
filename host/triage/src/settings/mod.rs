//! What is set up to be reached: the model, MCP servers, integrations. A secret is written here and never read back.

mod confluence;
mod echo;
mod integrations;
mod model;
mod model_rules;
mod servers;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fumehood_store::{CredentialId, Scope};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

pub(crate) use self::confluence::no_confluence;
pub use self::confluence::{CONFLUENCE, ConfluenceFields};
pub use self::integrations::{IntegrationFields, PluginSettings, StoredFields};
pub(crate) use self::integrations::{destination, publishes};
pub use self::model::{ModelFields, PROVIDER, decimal};
pub use self::model_rules::{ModelRulesFields, Spent};
pub use self::servers::ServerFields;
use crate::plugins::Reach;
use crate::{App, TriageError};

/// A secret in a form: empty keeps what is stored.
#[derive(Default)]
pub enum Secret {
    #[default]
    Keep,
    Forget,
    Set(SecretString),
}

impl Secret {
    /// From a form's fields.
    pub fn from_form(value: &str, forget: bool) -> Self {
        match value.trim() {
            _ if forget => Self::Forget,
            "" => Self::Keep,
            value => Self::Set(SecretString::from(value.to_owned())),
        }
    }
}

/// Check a URL that a person typed: absolute, http or https, no user, no query, no fragment.
///
/// # Errors
/// `Invalid` for the field.
pub fn check_url(field: &'static str, text: &str) -> Result<Url, TriageError> {
    let invalid = |message: &str| TriageError::invalid(field, message);
    let url = Url::parse(text.trim()).map_err(|_| {
        invalid("That is not a URL. It begins with https:// (or http:// for a server on this machine).")
    })?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(invalid("The URL begins with https:// (or http:// for a server on this machine)."));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("Leave the user name and password out of the URL; there is a field for the secret."));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("Leave out everything from the ? or # on."));
    }
    Ok(url)
}

/// Secrets over plain HTTP only stay on this machine.
fn check_secret_target(field: &'static str, url: &Url) -> Result<(), TriageError> {
    let local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if url.scheme() == "http" && !local {
        return Err(TriageError::invalid(field, "A secret is only sent over https:// (or to this machine)."));
    }
    Ok(())
}

/// How long a name may take to be resolved when it is saved.
const RESOLVE: std::time::Duration = std::time::Duration::from_secs(5);

/// The private networks that an address is in at this moment: itself where it is a number, all of this machine's for
/// `localhost`, and otherwise those that its name leads to. Nothing for one that is public, or leads nowhere yet.
pub(crate) async fn private_nets(url: &Url) -> Vec<String> {
    let all = fumehood_policy::private_networks();
    let addresses: Vec<IpAddr> = match url.host() {
        Some(url::Host::Ipv4(address)) => vec![address.into()],
        Some(url::Host::Ipv6(address)) => vec![address.into()],
        Some(url::Host::Domain("localhost")) => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        Some(url::Host::Domain(name)) => {
            let found = tokio::time::timeout(RESOLVE, tokio::net::lookup_host((name, 0))).await;
            found.map_or_else(
                |_| Vec::new(),
                |found| found.map_or_else(|_| Vec::new(), |all| all.map(|one| one.ip()).collect()),
            )
        }
        None => Vec::new(),
    };
    let is_number = matches!(url.host(), Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)));
    let net = |address: IpAddr| {
        let within = all.iter().find(|net| net.contains(&address))?;
        Some(if is_number { format!("{address}/{}", within.max_prefix_len()) } else { within.to_string() })
    };
    let nets: BTreeSet<String> = addresses.into_iter().filter_map(net).collect();
    nets.into_iter().collect()
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

impl App {
    /// What an instance of a plugin may reach: the server at `base_url`, where its plugin has one in its settings.
    pub(crate) fn reach_of(
        &self,
        plugin: &str,
        base_url: &str,
        private_nets: &[String],
        credential: Option<CredentialId>,
    ) -> Result<Reach, TriageError> {
        let loaded = self.0.plugins.get(plugin)?;
        let Some(setting) = self.0.plugins.server_setting(plugin) else { return Ok(Reach::of(&loaded)) };
        Ok(Reach::to_server(&loaded, &setting, check_url("base_url", base_url)?, private_nets, credential))
    }

    /// The credential that goes with a form: a new one, the stored one, or none.
    #[expect(clippy::too_many_arguments, reason = "one place for the rule that a secret is bound to its origin")]
    async fn credential_for(
        &self,
        scope: &Scope,
        field: &'static str,
        name: &str,
        kind: &'static str,
        username: &str,
        url: &Url,
        secret: Secret,
        kept: Option<CredentialId>,
        moved: bool,
    ) -> Result<Option<CredentialId>, TriageError> {
        match secret {
            Secret::Forget => Ok(None),
            Secret::Keep if kept.is_some() && moved => Err(TriageError::invalid(
                field,
                "The stored secret belongs to the old address and is not sent to another. Type the secret for the new one.",
            )),
            Secret::Keep => Ok(kept),
            Secret::Set(secret) => {
                check_secret_target(field, url)?;
                if secret.expose_secret().chars().any(|c| c.is_control() || !c.is_ascii()) {
                    return Err(TriageError::invalid(
                        field,
                        "The secret holds characters that cannot be sent; was it copied whole?",
                    ));
                }
                let id = self
                    .0
                    .store
                    .create_credential(scope, name.into(), kind, username.into(), secret, origin(url))
                    .await?;
                Ok(Some(id))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_private_address_is_granted_as_narrowly_as_it_was_named() {
        let nets = async |url: &str| private_nets(&Url::parse(url).unwrap()).await;
        assert_eq!(nets("http://127.0.0.1:8080/v1").await, ["127.0.0.1/32"]);
        assert_eq!(nets("https://[fd00::7]/").await, ["fd00::7/128"]);
        assert_eq!(nets("http://localhost:1/").await, ["127.0.0.0/8", "::1/128"]);
        assert!(nets("https://1.1.1.1/").await.is_empty());
        assert!(nets("http://169.254.169.254/").await.is_empty(), "metadata is never granted");
        assert!(nets("https://leads-nowhere.invalid/").await.is_empty());
    }
}
