//! MCP servers.

use fumehood_policy::{Digest, Manifest, Permission, PluginWorld};
use fumehood_store::outside::McpServer;
use fumehood_store::{CredentialId, Scope, ServerId};
use url::Url;

use super::{Secret, check_secret_target, check_url, origin, private_nets};
use crate::{App, TriageError};

/// An MCP server as a person writes it, new or changed.
pub struct ServerFields {
    pub name: String,
    /// `stdio`, `http` or `sse`.
    pub transport: String,
    /// The transport plugin; empty for the one that ships.
    pub plugin: String,
    pub command: String,
    pub arguments: Vec<String>,
    pub url: String,
    /// `none`, `api-key`, `bearer`, `oauth` or `oauth-each`.
    pub auth: String,
    pub header: String,
    /// The key or token; `Keep` keeps the stored one where there is one.
    pub secret: Secret,
}

/// The transports that ship.
const SHIPPED: [&str; 3] = ["transport-stdio", "transport-http", "transport-sse"];

/// How a transport can reach servers, by what it asks for.
fn ways(manifest: &Manifest) -> Vec<&'static str> {
    let stdio = (!manifest.processes.is_empty()).then_some("stdio");
    let http = manifest.server_setting().map(|_| "http");
    stdio.into_iter().chain(http).collect()
}

impl App {
    /// Check a program that a person named: an absolute path, and something that can be started there. Its path, and the
    /// SHA-256 of what it holds; of a program that was approved before, what was approved.
    async fn checked_program(&self, command: &str, old: Option<&McpServer>) -> Result<(String, String), TriageError> {
        let command = command.trim();
        let invalid = |message: String| Err(TriageError::invalid("command", message));
        if !command.starts_with('/') {
            return invalid("Name the program by its absolute path, for example /usr/bin/python3.".into());
        }
        match tokio::fs::metadata(command).await {
            Ok(file) if file.is_file() => {}
            _ => return invalid(format!("There is no program {command} on this machine.")),
        }
        if let Some(old) = old.filter(|old| old.command == command && !old.program_sha256.is_empty()) {
            return Ok((command.to_owned(), old.program_sha256.clone()));
        }
        match self.program_at(command).await {
            Ok(program) => Ok((command.to_owned(), Digest::new(program.sha256()).to_string())),
            Err(error) => invalid(format!("{command} cannot be read, so what it holds cannot be pinned: {error}.")),
        }
    }

    /// The MCP servers.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn servers(&self, scope: &Scope) -> Result<Vec<McpServer>, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        Ok(self.0.store.servers(scope).await?)
    }

    /// Transports that were installed, each with the ways that it asked for: over `stdio`, over `http`.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn installed_transports(&self, scope: &Scope) -> Result<Vec<(String, Vec<&'static str>)>, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        let all = self.0.plugins.of_world(PluginWorld::Transport);
        let installed = all.iter().filter(|manifest| !SHIPPED.contains(&manifest.name.as_str()));
        Ok(installed.map(|manifest| (manifest.name.clone(), ways(manifest))).collect())
    }

    /// The transport that was chosen, if it can be reached in this way.
    fn transport_plugin(&self, way: &str, chosen: &str) -> Result<String, TriageError> {
        if chosen.is_empty() || SHIPPED.contains(&chosen) {
            return Ok(String::new());
        }
        let all = self.0.plugins.of_world(PluginWorld::Transport);
        let manifest = all.iter().find(|manifest| manifest.name == chosen);
        let wrong = |message: String| Err(TriageError::invalid("plugin", message));
        match manifest.map(|manifest| ways(manifest)) {
            None => wrong(format!("There is no transport {chosen} that runs.")),
            // Both ways over HTTP ask for the same; which of them it speaks is the plugin's own affair.
            Some(ways) if ways.contains(&way) || way == "sse" && ways.contains(&"http") => Ok(chosen.to_owned()),
            Some(ways) => {
                wrong(format!("{chosen} asks for {} only; choose that, or another transport.", ways.join(" and ")))
            }
        }
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
        self.0.tools.served.forget();
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
        self.0.tools.served.forget();
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

    pub(crate) fn discover_soon(&self, scope: &Scope, id: ServerId) {
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
            plugin: self.transport_plugin(&new.transport, &new.plugin)?,
            url: String::new(),
            private_nets: Vec::new(),
            command: String::new(),
            arguments: Vec::new(),
            program_sha256: String::new(),
            auth_kind: "none".into(),
            auth_header: String::new(),
            credential_id: None,
            enabled: old.is_none_or(|old| old.enabled),
            created_us: 0,
            state: "pending".into(),
            reason: String::new(),
            checked_us: None,
        };
        match new.transport.as_str() {
            "stdio" => {
                (server.command, server.program_sha256) = self.checked_program(&new.command, old).await?;
                server.arguments = new.arguments.into_iter().filter(|argument| !argument.is_empty()).collect();
            }
            "http" | "sse" => {
                let url = check_url("url", &new.url)?;
                server.url = url.to_string();
                server.private_nets = private_nets(&url).await;
                let kind = match new.auth.as_str() {
                    "none" | "" => return Ok(server),
                    "oauth" | "oauth-each" => {
                        check_secret_target("url", &url)?;
                        server.auth_kind.clone_from(&new.auth);
                        server.auth_header = "authorization".into();
                        return Ok(server);
                    }
                    "bearer" => "bearer",
                    "api-key" => "raw",
                    _ => {
                        return Err(TriageError::invalid(
                            "auth",
                            "Authentication is none, api-key, bearer, oauth or oauth-each.",
                        ));
                    }
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
                let moved = old.is_some_and(|old| {
                    old.plugin != server.plugin
                        || Url::parse(&old.url).map(|old| origin(&old)).ok() != Some(origin(&url))
                });
                server.credential_id =
                    self.credential_for(scope, "secret", &server.name, kind, "", &url, new.secret, kept, moved).await?;
                if server.credential_id.is_none() {
                    return Err(TriageError::invalid("secret", "Type the key or token."));
                }
            }
            _ => return Err(TriageError::invalid("transport", "The transport is stdio, http or sse.")),
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
        self.0.tools.logs.forget(id);
        let removed = self.0.store.remove_server(scope, id).await;
        self.0.tools.served.forget();
        removed?;
        self.nobody_asks(scope, id).await
    }
}
