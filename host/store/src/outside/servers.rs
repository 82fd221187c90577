//! MCP servers.

use rusqlite::{OptionalExtension as _, Row};

use fumehood_audit::Phase;

use super::tools::{self, SeenTool};
use super::{drop_credential, nets, oauth};
use crate::record::Change;
use crate::{CredentialId, Scope, ServerId, Store, StoreError};

/// An MCP server.
#[derive(Clone, Debug, serde::Serialize)]
pub struct McpServer {
    pub id: ServerId,
    pub name: String,
    /// As in tool names: `[a-z0-9_]+`, unique.
    pub slug: String,
    /// `stdio`, `http` (streamable) or `sse` (the older HTTP+SSE).
    pub transport: String,
    /// The transport plugin; empty for the one that ships.
    pub plugin: String,
    pub url: String,
    /// Networks behind the address that are not public, as they were when a person named it: what the plugin may dial.
    pub private_nets: Vec<String>,
    pub command: String,
    pub arguments: Vec<String>,
    /// SHA-256 of what the program held when a person set it up, hexadecimal; empty where there is none.
    pub program_sha256: String,
    /// `none`, `api-key`, `bearer`; `oauth` with one sign-in for everybody, `oauth-each` with one for each person.
    pub auth_kind: String,
    pub auth_header: String,
    pub credential_id: Option<CredentialId>,
    pub enabled: bool,
    pub created_us: i64,
    /// `pending`, `connected`, `sign-in` where somebody has to sign in there, `changed` where its program is not the one that
    /// was approved, `unreachable` or `error`.
    pub state: String,
    pub reason: String,
    pub checked_us: Option<i64>,
}

fn server(row: &Row<'_>) -> rusqlite::Result<McpServer> {
    Ok(McpServer {
        id: row.get(0)?,
        name: row.get(1)?,
        slug: row.get(2)?,
        transport: row.get(3)?,
        url: row.get(4)?,
        command: row.get(5)?,
        arguments: serde_json::from_str(&row.get::<_, String>(6)?).unwrap_or_default(),
        auth_kind: row.get(7)?,
        auth_header: row.get(8)?,
        credential_id: row.get(9)?,
        enabled: row.get(10)?,
        created_us: row.get(11)?,
        state: row.get(12)?,
        reason: row.get(13)?,
        checked_us: row.get(14)?,
        private_nets: nets(row, 15)?,
        plugin: row.get(16)?,
        program_sha256: row.get(17)?,
    })
}

const SERVER: &str = "id, name, slug, transport, url, command, arguments, auth_kind, auth_header, credential_id, enabled, \
                      created_us, state, reason, checked_us, private_nets, plugin, program_sha256";

impl McpServer {
    /// Whether calls go to the same place: the same program with the same arguments, or the same address.
    pub fn is_same_target(&self, other: &Self) -> bool {
        self.transport == other.transport
            && self.plugin == other.plugin
            && self.url == other.url
            && self.command == other.command
            && self.arguments == other.arguments
            && self.program_sha256 == other.program_sha256
    }

    /// Whether somebody signs in there in the browser.
    pub fn signs_in(&self) -> bool {
        matches!(self.auth_kind.as_str(), "oauth" | "oauth-each")
    }

    /// Whether it is reached in the same way: the same target with the same sign-in.
    pub fn is_reached_alike(&self, other: &Self) -> bool {
        self.is_same_target(other)
            && self.auth_kind == other.auth_kind
            && self.auth_header == other.auth_header
            && self.credential_id == other.credential_id
    }
}

/// What the audit log says of a server that a person wrote.
fn written(action: &'static str, new: &McpServer) -> Change {
    let change = Change::new(action, format!("mcp-server:{}", new.id)).with("transport", &new.transport);
    if new.program_sha256.is_empty() { change } else { change.with("program_sha256", &new.program_sha256) }
}

/// Two servers whose tools would be named alike cannot both be.
fn refuse_taken_slug(connection: &rusqlite::Connection, tenant: &str, new: &McpServer) -> Result<(), StoreError> {
    let taken: Option<String> = connection
        .query_row(
            "SELECT name FROM mcp_servers WHERE tenant_id = ?1 AND slug = ?2 AND id <> ?3",
            (tenant, &new.slug, new.id),
            |row| row.get(0),
        )
        .optional()?;
    match taken {
        Some(other) => Err(StoreError::Conflict(format!(
            "“{}” would name its tools mcp_{}_…, as “{other}” does already. Choose another name.",
            new.name, new.slug
        ))),
        None => Ok(()),
    }
}

impl Store {
    /// Register an MCP server.
    ///
    /// # Errors
    /// `Conflict` where another has the same name in tool names.
    pub async fn create_server(&self, scope: &Scope, new: McpServer) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        let change = written("mcp-server.create", &new);
        self.change(scope, change, move |tx| {
            refuse_taken_slug(tx.connection, &tenant, &new)?;
            tx.connection.execute(
                "INSERT INTO mcp_servers (id, tenant_id, name, slug, transport, url, command, arguments, auth_kind,
                 auth_header, credential_id, enabled, created_us, state, reason, private_nets, plugin, program_sha256)
                 VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,'pending','',?14,?15,?16)",
                rusqlite::params![
                    new.id,
                    tenant,
                    new.name,
                    new.slug,
                    new.transport,
                    new.url,
                    new.command,
                    serde_json::to_string(&new.arguments)?,
                    new.auth_kind,
                    new.auth_header,
                    new.credential_id,
                    new.enabled,
                    tx.now_us,
                    serde_json::to_string(&new.private_nets)?,
                    new.plugin,
                    new.program_sha256,
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// Write an MCP server anew; `dropped` is a credential that it no longer uses. Where somebody else is reached, what
    /// was offered and decided before is forgotten.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where another has the same name in tool names, or where it would be somebody else who is
    /// called while a call waits for its approval or is on its way.
    pub async fn update_server(
        &self,
        scope: &Scope,
        new: McpServer,
        dropped: Option<CredentialId>,
    ) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        let change = written("mcp-server.update", &new);
        self.change(scope, change, move |tx| {
            refuse_taken_slug(tx.connection, &tenant, &new)?;
            let old = tx
                .connection
                .query_row(
                    &format!("SELECT {SERVER} FROM mcp_servers WHERE tenant_id = ?1 AND id = ?2"),
                    (&tenant, new.id),
                    server,
                )
                .optional()?
                .ok_or_else(|| StoreError::not_found("MCP server", new.id))?;
            if !old.is_same_target(&new) || old.auth_kind != new.auth_kind {
                oauth::forget_all(tx.connection, &tenant, new.id)?;
            }
            if !old.is_same_target(&new) {
                let waiting: Option<i64> = tx
                    .connection
                    .query_row(
                        "SELECT i.number FROM approvals a JOIN incidents i ON i.id = a.incident_id
                         WHERE a.tenant_id = ?1 AND a.server_id = ?2
                           AND (a.state = 'running' OR (a.state IN ('pending', 'approved') AND a.expires_us > ?3))
                         ORDER BY a.id LIMIT 1",
                        (&tenant, new.id, tx.now_us),
                        |row| row.get(0),
                    )
                    .optional()?;
                if let Some(number) = waiting {
                    return Err(StoreError::Conflict(format!(
                        "A call to this server is open in INC-{number}: it would go to another place than the one that \
                         is approved. Decide it there, or let it end, then change the server."
                    )));
                }
                tx.connection
                    .execute("DELETE FROM mcp_tools WHERE tenant_id = ?1 AND server_id = ?2", (&tenant, new.id))?;
            }
            tx.connection.execute(
                "UPDATE mcp_servers SET name = ?3, slug = ?4, transport = ?5, url = ?6, command = ?7, arguments = ?8,
                 auth_kind = ?9, auth_header = ?10, credential_id = ?11, state = 'pending', reason = '',
                 checked_us = ?12, private_nets = ?13, plugin = ?14, program_sha256 = ?15
                 WHERE tenant_id = ?1 AND id = ?2",
                rusqlite::params![
                    tenant,
                    new.id,
                    new.name,
                    new.slug,
                    new.transport,
                    new.url,
                    new.command,
                    serde_json::to_string(&new.arguments)?,
                    new.auth_kind,
                    new.auth_header,
                    new.credential_id,
                    tx.now_us,
                    serde_json::to_string(&new.private_nets)?,
                    new.plugin,
                    new.program_sha256,
                ],
            )?;
            drop_credential(tx.connection, &tenant, dropped)
        })
        .await
    }

    /// All MCP servers, by name.
    ///
    /// # Errors
    /// What the database says.
    pub async fn servers(&self, scope: &Scope) -> Result<Vec<McpServer>, StoreError> {
        self.list(scope, format!("SELECT {SERVER} FROM mcp_servers WHERE tenant_id = ?1 ORDER BY name"), server).await
    }

    /// One MCP server.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn server(&self, scope: &Scope, id: ServerId) -> Result<McpServer, StoreError> {
        let found = self.servers(scope).await?;
        found.into_iter().find(|server| server.id == id).ok_or_else(|| StoreError::not_found("MCP server", id))
    }

    /// Keep what discovery found. What is known of the tools stays where nothing is given.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn server_state(
        &self,
        scope: &Scope,
        id: ServerId,
        state: &'static str,
        reason: String,
        tools: Option<Vec<SeenTool>>,
    ) -> Result<(), StoreError> {
        let owner = scope.clone();
        let change = Change::new("mcp-server.discover", format!("mcp-server:{id}")).with("state", state);
        self.write(move |tx| {
            let known = tx.connection.execute(
                "UPDATE mcp_servers SET state = ?3, reason = ?4, checked_us = ?5 WHERE tenant_id = ?1 AND id = ?2",
                (&owner.tenant, id, state, reason, tx.now_us),
            )?;
            let changes = match tools {
                Some(tools) if known > 0 => tools::keep(tx, &owner, id, &tools)?,
                _ => 0,
            };
            let change = if changes > 0 { change.with("changed-tools", changes) } else { change };
            tx.record(&owner, Phase::Done, None, change, "ok").map(drop)
        })
        .await
    }

    /// Approve what a server's program holds now. What was decided about its tools stays: they are compared by themselves.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn approve_program(&self, scope: &Scope, id: ServerId, sha256: String) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        let change = Change::new("mcp-server.program", format!("mcp-server:{id}")).with("program_sha256", &sha256);
        self.change(scope, change, move |tx| {
            let changed = tx.connection.execute(
                "UPDATE mcp_servers SET program_sha256 = ?3, state = 'pending', reason = '', checked_us = ?4
                 WHERE tenant_id = ?1 AND id = ?2 AND transport = 'stdio'",
                (tenant, id, sha256, tx.now_us),
            )?;
            if changed == 0 { Err(StoreError::not_found("MCP server", id)) } else { Ok(()) }
        })
        .await
    }

    /// Switch a server on or off.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn enable_server(&self, scope: &Scope, id: ServerId, enabled: bool) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        let change = Change::new("mcp-server.enable", format!("mcp-server:{id}")).with("enabled", enabled);
        self.change(scope, change, move |tx| {
            let changed = tx.connection.execute(
                "UPDATE mcp_servers SET enabled = ?3, state = 'pending', reason = '', checked_us = ?4
                 WHERE tenant_id = ?1 AND id = ?2",
                (tenant, id, enabled, tx.now_us),
            )?;
            if changed == 0 { Err(StoreError::not_found("MCP server", id)) } else { Ok(()) }
        })
        .await
    }

    /// Remove an MCP server and its credential.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn remove_server(&self, scope: &Scope, id: ServerId) -> Result<(), StoreError> {
        self.remove(scope, "mcp-server.remove", "mcp-server", id.to_string(), "mcp_servers").await
    }
}
