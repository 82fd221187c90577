//! What is set up to be reached: the model, MCP servers, Confluence. A secret is written here and never read back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fumehood_policy::{Permission, PluginGrant};
use fumehood_runtime::provider::Provider;
use fumehood_runtime::{CallError, Integration};
use fumehood_store::outside::{IntegrationInstance, McpServer, Model};
use fumehood_store::{CredentialId, IntegrationId, ModelId, Scope, ServerId};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::call::Purpose;
use crate::plugins::grant_below;
use crate::{App, TriageError};

/// The plugin that talks to models.
pub const PROVIDER: &str = "provider-openai";
/// The plugin that talks to Confluence.
pub const CONFLUENCE: &str = "integration-confluence";

/// A secret in a form: empty keeps what is stored.
pub enum Secret {
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

/// An MCP server as a person writes it, new or changed.
pub struct ServerFields {
    pub name: String,
    /// `stdio` or `http`.
    pub transport: String,
    pub command: String,
    pub arguments: Vec<String>,
    pub url: String,
    /// `none`, `api-key` or `bearer`.
    pub auth: String,
    pub header: String,
    /// The key or token; `Keep` keeps the stored one where there is one.
    pub secret: Secret,
}

/// What a person writes about Confluence.
pub struct ConfluenceFields {
    pub base_url: String,
    /// `cloud` or `datacenter`.
    pub kind: String,
    pub email: String,
    pub token: Secret,
    pub space: String,
    pub parent: String,
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

/// Check a program that a person named: an absolute path, and something that can be started there.
fn check_program(command: &str) -> Result<String, TriageError> {
    let command = command.trim();
    let invalid = |message: String| Err(TriageError::invalid("command", message));
    if !command.starts_with('/') {
        return invalid("Name the program by its absolute path, for example /usr/bin/python3.".into());
    }
    match std::fs::metadata(command) {
        Ok(file) if file.is_file() => Ok(command.to_owned()),
        _ => invalid(format!("There is no program {command} on this machine.")),
    }
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
async fn private_nets(url: &Url) -> Vec<String> {
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
    /// The model that is used, where one is set up.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn model(&self, scope: &Scope) -> Result<Option<Model>, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        Ok(self.0.store.models(scope).await?.into_iter().next())
    }

    /// Set the model up, or change it.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`.
    pub async fn set_model(&self, scope: &Scope, base_url: &str, model: &str, key: Secret) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageIntegrations)?;
        let url = check_url("base_url", base_url)?;
        let model = model.trim();
        if model.is_empty() || model.len() > 200 || model.chars().any(char::is_control) {
            return Err(TriageError::invalid("model", "Name the model as its server does, for example gpt-4.1."));
        }
        let old = self.0.store.models(scope).await?.into_iter().next();
        let kept = old.as_ref().and_then(|old| old.credential_id);
        let moved = old
            .as_ref()
            .is_some_and(|old| Url::parse(&old.base_url).map(|old| origin(&old)).ok() != Some(origin(&url)));
        let credential = self.credential_for(scope, "api_key", "Model", "bearer", "", &url, key, kept, moved).await?;
        let new = Model {
            id: old.as_ref().map_or_else(ModelId::new, |old| old.id),
            name: model.to_owned(),
            plugin: PROVIDER.into(),
            private_nets: private_nets(&url).await,
            base_url: url.to_string(),
            model: model.to_owned(),
            credential_id: credential,
            created_us: 0,
            checked_us: None,
            problem: String::new(),
        };
        match old {
            Some(_) => self.0.store.update_model(scope, new, kept.filter(|kept| Some(*kept) != credential)).await?,
            None => self.0.store.create_model(scope, new).await?,
        }
        Ok(())
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

    pub(crate) fn model_grant(&self, model: &Model) -> Result<PluginGrant, TriageError> {
        let url = check_url("base_url", &model.base_url)?;
        grant_below(
            self.0.plugins.get(&model.plugin)?,
            &url,
            &["GET", "POST"],
            &model.private_nets,
            model.credential_id,
        )
    }

    /// The provider of a model, with the settings that its plugin is given.
    pub(crate) fn provider(&self, model: &Model) -> Result<Provider, TriageError> {
        let mut config = BTreeMap::new();
        config.insert("base-url".into(), model.base_url.clone());
        config.insert("model".into(), model.model.clone());
        if let Some(credential) = model.credential_id {
            config.insert("credential".into(), credential.to_string());
        }
        Ok(Provider::new(self.0.runtime.clone(), self.0.plugins.get(&model.plugin)?.clone(), config))
    }

    /// Ask the model's server what models it has. Returns their names; the result is kept for the page.
    ///
    /// # Errors
    /// `Forbidden`, `NotSetUp`, `Plugin`.
    pub async fn test_model(&self, scope: &Scope) -> Result<Vec<String>, TriageError> {
        self.require(scope, Permission::ManageIntegrations)?;
        let model = self.model(scope).await?.ok_or_else(no_model)?;
        let purpose = Purpose {
            incident: None,
            kind: "test",
            destination: model.name.clone(),
            subject: format!("model:{}", model.id),
            instance: String::new(),
        };
        let call = self.call(scope, purpose, self.model_grant(&model)?, None);
        let answer = self.provider(&model)?.models(call).await;
        let names: Result<Vec<String>, CallError> =
            answer.map(|models| models.into_iter().map(|model| model.id).collect());
        let problem = match &names {
            Ok(names) if !names.is_empty() && !names.contains(&model.model) => {
                format!("The server answered, but does not list a model named {}.", model.model)
            }
            Ok(names) if names.is_empty() => {
                "The server answered, but not with a list of models. Check the URL: with most \
                 servers it ends in /v1. Where a server has no such list, the first question shows whether it works."
                    .into()
            }
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        self.0.store.model_checked(scope, model.id, problem).await?;
        Ok(names?)
    }

    /// The MCP servers.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn servers(&self, scope: &Scope) -> Result<Vec<McpServer>, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        Ok(self.0.store.servers(scope).await?)
    }

    /// Register an MCP server; discovery begins in the background.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`, `Conflict`.
    pub async fn add_server(&self, scope: &Scope, new: ServerFields) -> Result<ServerId, TriageError> {
        self.require(scope, Permission::ManageServers)?;
        let server = self.written_server(scope, new, None).await?;
        let (id, credential) = (server.id, server.credential_id);
        let written = self.0.store.create_server(scope, server).await;
        self.or_forget(scope, credential, written).await?;
        self.discover_soon(scope, id);
        Ok(id)
    }

    /// Change an MCP server: its connection is closed, and what it offers is asked anew, in the background.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Invalid`, `Conflict` where the name is taken or a call to the old place is open.
    pub async fn update_server(&self, scope: &Scope, id: ServerId, new: ServerFields) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageServers)?;
        let old = self.0.store.server(scope, id).await?;
        let kept = old.credential_id;
        let server = self.written_server(scope, new, Some(&old)).await?;
        let dropped = kept.filter(|kept| Some(*kept) != server.credential_id);
        let typed = server.credential_id.filter(|now| Some(*now) != kept);
        let written = self.0.store.update_server(scope, server, dropped).await;
        self.or_forget(scope, typed, written).await?;
        self.disconnect(id).await;
        self.discover_soon(scope, id);
        Ok(())
    }

    /// Where a server was refused, the secret that was typed with it does not stay.
    async fn or_forget(
        &self,
        scope: &Scope,
        credential: Option<CredentialId>,
        written: Result<(), fumehood_store::StoreError>,
    ) -> Result<(), TriageError> {
        if let (Err(_), Some(credential)) = (&written, credential) {
            self.0.store.forget_credential(scope, credential).await?;
        }
        Ok(written?)
    }

    fn discover_soon(&self, scope: &Scope, id: ServerId) {
        let (app, scope) = (self.clone(), scope.clone());
        self.0.tasks.spawn(async move { app.discover(&scope, id).await });
    }

    /// What a person wrote about a server, checked; the secret is stored. `old` is the server that is changed.
    async fn written_server(
        &self,
        scope: &Scope,
        new: ServerFields,
        old: Option<&McpServer>,
    ) -> Result<McpServer, TriageError> {
        let name = new.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > 40 || name.chars().any(char::is_control) {
            return Err(TriageError::invalid("name", "Give the server a name of 1 to 40 characters."));
        }
        let slug = fumehood_mcp::slug(&name).map_err(|error| TriageError::invalid("name", error.to_string()))?;
        let mut server = McpServer {
            id: old.map_or_else(ServerId::new, |old| old.id),
            name,
            slug,
            transport: new.transport.clone(),
            url: String::new(),
            private_nets: Vec::new(),
            command: String::new(),
            arguments: Vec::new(),
            auth_kind: "none".into(),
            auth_header: String::new(),
            credential_id: None,
            enabled: old.is_none_or(|old| old.enabled),
            created_us: 0,
            state: "pending".into(),
            reason: String::new(),
            checked_us: None,
            tools: serde_json::Value::Array(Vec::new()),
        };
        match new.transport.as_str() {
            "stdio" => {
                server.command = check_program(&new.command)?;
                server.arguments = new.arguments.into_iter().filter(|argument| !argument.is_empty()).collect();
            }
            "http" => {
                let url = check_url("url", &new.url)?;
                server.url = url.to_string();
                server.private_nets = private_nets(&url).await;
                let kind = match new.auth.as_str() {
                    "none" | "" => return Ok(server),
                    "bearer" => "bearer",
                    "api-key" => "raw",
                    _ => return Err(TriageError::invalid("auth", "Authentication is none, api-key or bearer.")),
                };
                server.auth_header = if kind == "raw" {
                    let header = new.header.trim();
                    fumehood_policy::check_header(header, "x")
                        .map_err(|error| TriageError::invalid("header", error.to_string()))?;
                    header.to_owned()
                } else {
                    "authorization".into()
                };
                server.auth_kind.clone_from(&new.auth);
                let kept = old.filter(|old| old.auth_kind == new.auth).and_then(|old| old.credential_id);
                let moved =
                    old.is_some_and(|old| Url::parse(&old.url).map(|old| origin(&old)).ok() != Some(origin(&url)));
                server.credential_id =
                    self.credential_for(scope, "secret", &server.name, kind, "", &url, new.secret, kept, moved).await?;
                if server.credential_id.is_none() {
                    return Err(TriageError::invalid("secret", "Type the key or token."));
                }
            }
            _ => return Err(TriageError::invalid("transport", "The transport is stdio or http.")),
        }
        Ok(server)
    }

    /// Remove an MCP server.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn remove_server(&self, scope: &Scope, id: ServerId) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageServers)?;
        self.disconnect(id).await;
        self.0.tools.forget_output(id);
        Ok(self.0.store.remove_server(scope, id).await?)
    }

    /// Confluence, where it is set up.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn confluence(&self, scope: &Scope) -> Result<Option<IntegrationInstance>, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        Ok(self.0.store.integrations(scope).await?.into_iter().find(|one| one.plugin == CONFLUENCE))
    }

    /// Set Confluence up, or change it.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`.
    pub async fn set_confluence(&self, scope: &Scope, fields: ConfluenceFields) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageIntegrations)?;
        let url = check_url("base_url", &fields.base_url)?;
        let (kind, username) = match fields.kind.as_str() {
            "cloud" | "" => {
                let email = fields.email.trim();
                if !email.contains('@') {
                    return Err(TriageError::invalid(
                        "email",
                        "Confluence Cloud asks for the e-mail address that the token belongs to.",
                    ));
                }
                ("basic", email.to_owned())
            }
            "datacenter" => ("bearer", String::new()),
            _ => return Err(TriageError::invalid("kind", "Choose Cloud or Data Center.")),
        };
        let space = fields.space.trim();
        if space.is_empty() || space.len() > 255 || space.contains(char::is_whitespace) {
            return Err(TriageError::invalid("space", "Name the space by its key, for example OPS."));
        }
        let old = self.confluence(scope).await?;
        let kept = old.as_ref().and_then(|old| old.credential_id);
        let moved = old.as_ref().is_some_and(|old| {
            Url::parse(&old.base_url).map(|old| origin(&old)).ok() != Some(origin(&url))
                || old.settings.get("email").map(String::as_str) != Some(username.as_str())
        });
        let credential =
            self.credential_for(scope, "token", "Confluence", kind, &username, &url, fields.token, kept, moved).await?;
        if credential.is_none() {
            return Err(TriageError::invalid("token", "Type the API token or personal access token."));
        }
        let mut settings = BTreeMap::new();
        settings.insert("kind".to_owned(), if kind == "basic" { "cloud" } else { "datacenter" }.to_owned());
        settings.insert("email".to_owned(), username);
        settings.insert("space".to_owned(), space.to_owned());
        settings.insert("parent".to_owned(), fields.parent.trim().to_owned());
        let new = IntegrationInstance {
            id: old.as_ref().map_or_else(IntegrationId::new, |old| old.id),
            name: "Confluence".into(),
            plugin: CONFLUENCE.into(),
            private_nets: private_nets(&url).await,
            base_url: url.to_string(),
            settings,
            credential_id: credential,
            created_us: 0,
            checked_us: None,
            problem: String::new(),
        };
        match old {
            Some(_) => {
                self.0.store.update_integration(scope, new, kept.filter(|kept| Some(*kept) != credential)).await?
            }
            None => self.0.store.create_integration(scope, new).await?,
        }
        Ok(())
    }

    /// Remove Confluence.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict`.
    pub async fn remove_confluence(&self, scope: &Scope) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageIntegrations)?;
        let instance = self.confluence(scope).await?.ok_or(TriageError::NotFound { what: "integration" })?;
        Ok(self.0.store.remove_integration(scope, instance.id).await?)
    }

    pub(crate) fn integration_grant(&self, instance: &IntegrationInstance) -> Result<PluginGrant, TriageError> {
        let url = check_url("base_url", &instance.base_url)?;
        let (plugin, methods) = (self.0.plugins.get(&instance.plugin)?, ["GET", "POST", "PUT"]);
        grant_below(plugin, &url, &methods, &instance.private_nets, instance.credential_id)
    }

    pub(crate) fn integration(&self, instance: &IntegrationInstance) -> Result<Integration, TriageError> {
        let mut config = BTreeMap::new();
        config.insert("base-url".into(), instance.base_url.clone());
        if let Some(credential) = instance.credential_id {
            config.insert("credential".into(), credential.to_string());
        }
        for (key, name) in [("kind", "flavour"), ("space", "space"), ("parent", "parent")] {
            if let Some(value) = instance.settings.get(key).filter(|value| !value.is_empty()) {
                config.insert(name.into(), value.clone());
            }
        }
        Ok(Integration::new(self.0.runtime.clone(), self.0.plugins.get(&instance.plugin)?.clone(), config))
    }

    /// Sign in at Confluence and list its spaces. Returns who the credential belongs to, and keys and names.
    ///
    /// # Errors
    /// `Forbidden`, `NotSetUp`, `Plugin`.
    pub async fn test_confluence(&self, scope: &Scope) -> Result<(String, Vec<(String, String)>), TriageError> {
        self.require(scope, Permission::ManageIntegrations)?;
        let instance = self.confluence(scope).await?.ok_or_else(no_confluence)?;
        let purpose = || Purpose {
            incident: None,
            kind: "test",
            destination: instance.name.clone(),
            subject: format!("integration:{}", instance.id),
            instance: format!("integration:{}", instance.id),
        };
        let integration = self.integration(&instance)?;
        let test = async {
            let call = self.call(scope, purpose(), self.integration_grant(&instance)?, None);
            let account = integration.test_connection(call).await?;
            let call = self.call(scope, purpose(), self.integration_grant(&instance)?, None);
            let (spaces, _) = integration.list_projects(None, call).await?;
            let spaces = spaces.into_iter().map(|space| (space.key, space.name)).collect();
            Ok::<_, TriageError>((format!("{} at {}", account.name, account.product), spaces))
        };
        let result = test.await;
        let problem = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
        self.0.store.integration_checked(scope, instance.id, problem).await?;
        result
    }
}

pub(crate) fn no_model() -> TriageError {
    TriageError::NotSetUp {
        message: "No model is set up yet. Add one under Settings → Models.".into(),
        at: "/settings/models",
    }
}

pub(crate) fn no_confluence() -> TriageError {
    TriageError::NotSetUp {
        message: "Confluence is not set up yet. Add it under Integrations.".into(),
        at: "/integrations",
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
