//! What is set up to be reached: models, MCP servers, integrations; and what plugins keep: values and logs.

use rusqlite::{OptionalExtension as _, Row};

use crate::record::Change;
use crate::{CredentialId, IntegrationId, ModelId, Scope, ServerId, Store, StoreError};

/// A model at a provider.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Model {
    pub id: ModelId,
    pub name: String,
    pub plugin: String,
    pub base_url: String,
    /// Networks behind the address that are not public, as they were when a person named it: what the plugin may dial.
    pub private_nets: Vec<String>,
    pub model: String,
    pub credential_id: Option<CredentialId>,
    pub created_us: i64,
    pub checked_us: Option<i64>,
    /// What the last test said; empty for fine.
    pub problem: String,
}

/// An MCP server.
#[derive(Clone, Debug, serde::Serialize)]
pub struct McpServer {
    pub id: ServerId,
    pub name: String,
    /// As in tool names: `[a-z0-9_]+`, unique.
    pub slug: String,
    /// `stdio` or `http`.
    pub transport: String,
    pub url: String,
    /// Networks behind the address that are not public, as they were when a person named it: what the plugin may dial.
    pub private_nets: Vec<String>,
    pub command: String,
    pub arguments: Vec<String>,
    /// `none`, `api-key` or `bearer`.
    pub auth_kind: String,
    pub auth_header: String,
    pub credential_id: Option<CredentialId>,
    pub enabled: bool,
    pub created_us: i64,
    /// `pending`, `connected`, `unreachable` or `error`.
    pub state: String,
    pub reason: String,
    pub checked_us: Option<i64>,
    /// The raw tool objects of the last discovery.
    pub tools: serde_json::Value,
}

/// An instance of an integration.
#[derive(Clone, Debug, serde::Serialize)]
pub struct IntegrationInstance {
    pub id: IntegrationId,
    pub name: String,
    pub plugin: String,
    pub base_url: String,
    /// Networks behind the address that are not public, as they were when a person named it: what the plugin may dial.
    pub private_nets: Vec<String>,
    pub settings: std::collections::BTreeMap<String, String>,
    pub credential_id: Option<CredentialId>,
    pub created_us: i64,
    pub checked_us: Option<i64>,
    pub problem: String,
}

/// A line of a plugin's log.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PluginLogLine {
    pub time_us: i64,
    pub level: i64,
    pub text: String,
}

/// Bytes that one plugin instance may keep in all.
pub const PLUGIN_VALUES_BYTES: i64 = 4 << 20;

/// Lines of log kept for one plugin; older ones go.
const PLUGIN_LOG_LINES: i64 = 5_000;

fn nets(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<String>> {
    Ok(serde_json::from_str(&row.get::<_, String>(column)?).unwrap_or_default())
}

fn model(row: &Row<'_>) -> rusqlite::Result<Model> {
    Ok(Model {
        id: row.get(0)?,
        name: row.get(1)?,
        plugin: row.get(2)?,
        base_url: row.get(3)?,
        model: row.get(4)?,
        credential_id: row.get(5)?,
        created_us: row.get(6)?,
        checked_us: row.get(7)?,
        problem: row.get(8)?,
        private_nets: nets(row, 9)?,
    })
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
        tools: serde_json::from_str(&row.get::<_, String>(15)?).unwrap_or_default(),
        private_nets: nets(row, 16)?,
    })
}

fn instance(row: &Row<'_>) -> rusqlite::Result<IntegrationInstance> {
    Ok(IntegrationInstance {
        id: row.get(0)?,
        name: row.get(1)?,
        plugin: row.get(2)?,
        base_url: row.get(3)?,
        settings: serde_json::from_str(&row.get::<_, String>(4)?).unwrap_or_default(),
        credential_id: row.get(5)?,
        created_us: row.get(6)?,
        checked_us: row.get(7)?,
        problem: row.get(8)?,
        private_nets: nets(row, 9)?,
    })
}

const MODEL: &str = "id, name, plugin, base_url, model, credential_id, created_us, checked_us, problem, private_nets";
const SERVER: &str = "id, name, slug, transport, url, command, arguments, auth_kind, auth_header, credential_id, enabled, \
                      created_us, state, reason, checked_us, tools, private_nets";
const INSTANCE: &str = "id, name, plugin, base_url, settings, credential_id, created_us, checked_us, problem, \
                        private_nets";

impl McpServer {
    /// Whether calls go to the same place: the same program with the same arguments, or the same address.
    pub fn is_same_target(&self, other: &Self) -> bool {
        self.transport == other.transport
            && self.url == other.url
            && self.command == other.command
            && self.arguments == other.arguments
    }

    /// Whether it is reached in the same way: the same target with the same sign-in.
    pub fn is_reached_alike(&self, other: &Self) -> bool {
        self.is_same_target(other)
            && self.auth_kind == other.auth_kind
            && self.auth_header == other.auth_header
            && self.credential_id == other.credential_id
    }
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

fn drop_credential(
    connection: &rusqlite::Connection,
    tenant: &str,
    id: Option<CredentialId>,
) -> Result<(), StoreError> {
    if let Some(id) = id {
        connection.execute("DELETE FROM credentials WHERE tenant_id = ?1 AND id = ?2", (tenant, id))?;
    }
    Ok(())
}

impl Store {
    /// Set a model up.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn create_model(&self, scope: &Scope, new: Model) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.change(scope, Change::new("model.create", format!("model:{}", new.id)), move |tx| {
            tx.connection.execute(
                "INSERT INTO models (id, tenant_id, name, plugin, base_url, model, credential_id, created_us, problem,
                 private_nets) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,'',?9)",
                rusqlite::params![
                    new.id,
                    tenant,
                    new.name,
                    new.plugin,
                    new.base_url,
                    new.model,
                    new.credential_id,
                    tx.now_us,
                    serde_json::to_string(&new.private_nets)?,
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// Write a model anew; `dropped` is a credential that it no longer uses.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn update_model(
        &self,
        scope: &Scope,
        new: Model,
        dropped: Option<CredentialId>,
    ) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.change(scope, Change::new("model.update", format!("model:{}", new.id)), move |tx| {
            let changed = tx.connection.execute(
                "UPDATE models SET name = ?3, base_url = ?4, model = ?5, credential_id = ?6, checked_us = NULL, problem = '',
                 private_nets = ?7 WHERE tenant_id = ?1 AND id = ?2",
                rusqlite::params![
                    tenant,
                    new.id,
                    new.name,
                    new.base_url,
                    new.model,
                    new.credential_id,
                    serde_json::to_string(&new.private_nets)?,
                ],
            )?;
            drop_credential(tx.connection, &tenant, dropped)?;
            if changed == 0 { Err(StoreError::not_found("model", new.id)) } else { Ok(()) }
        })
        .await
    }

    /// Write an integration anew; `dropped` is a credential that it no longer uses.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn update_integration(
        &self,
        scope: &Scope,
        new: IntegrationInstance,
        dropped: Option<CredentialId>,
    ) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.change(scope, Change::new("integration.update", format!("integration:{}", new.id)), move |tx| {
            let changed = tx.connection.execute(
                "UPDATE integrations SET name = ?3, base_url = ?4, settings = ?5, credential_id = ?6, checked_us = NULL,
                 problem = '', private_nets = ?7 WHERE tenant_id = ?1 AND id = ?2",
                rusqlite::params![
                    tenant,
                    new.id,
                    new.name,
                    new.base_url,
                    serde_json::to_string(&new.settings)?,
                    new.credential_id,
                    serde_json::to_string(&new.private_nets)?,
                ],
            )?;
            drop_credential(tx.connection, &tenant, dropped)?;
            if changed == 0 { Err(StoreError::not_found("integration", new.id)) } else { Ok(()) }
        })
        .await
    }

    /// All models, the first one first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn models(&self, scope: &Scope) -> Result<Vec<Model>, StoreError> {
        self.list(scope, format!("SELECT {MODEL} FROM models WHERE tenant_id = ?1 ORDER BY created_us"), model).await
    }

    /// Keep what a test said.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn model_checked(&self, scope: &Scope, id: ModelId, problem: String) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.write(move |tx| {
            tx.connection.execute(
                "UPDATE models SET checked_us = ?3, problem = ?4 WHERE tenant_id = ?1 AND id = ?2",
                (tenant, id, tx.now_us, problem),
            )?;
            Ok(())
        })
        .await
    }

    /// Remove a model and its credential. Its turns stay.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn remove_model(&self, scope: &Scope, id: ModelId) -> Result<(), StoreError> {
        self.remove(scope, "model.remove", "model", id.to_string(), "models").await
    }

    /// Register an MCP server.
    ///
    /// # Errors
    /// `Conflict` where another has the same name in tool names.
    pub async fn create_server(&self, scope: &Scope, new: McpServer) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        let change =
            Change::new("mcp-server.create", format!("mcp-server:{}", new.id)).with("transport", &new.transport);
        self.change(scope, change, move |tx| {
            refuse_taken_slug(tx.connection, &tenant, &new)?;
            tx.connection.execute(
                "INSERT INTO mcp_servers (id, tenant_id, name, slug, transport, url, command, arguments, auth_kind,
                 auth_header, credential_id, enabled, created_us, state, reason, tools, private_nets)
                 VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,'pending','','[]',?14)",
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
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// Forget a credential that nothing uses: what it was typed for was refused.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn forget_credential(&self, scope: &Scope, id: CredentialId) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.change(scope, Change::new("credential.remove", format!("credential:{id}")), move |tx| {
            drop_credential(tx.connection, &tenant, Some(id))
        })
        .await
    }

    /// Write an MCP server anew; `dropped` is a credential that it no longer uses. What it offered is forgotten: whoever
    /// answers now may offer something else.
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
        let change =
            Change::new("mcp-server.update", format!("mcp-server:{}", new.id)).with("transport", &new.transport);
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
            }
            tx.connection.execute(
                "UPDATE mcp_servers SET name = ?3, slug = ?4, transport = ?5, url = ?6, command = ?7, arguments = ?8,
                 auth_kind = ?9, auth_header = ?10, credential_id = ?11, state = 'pending', reason = '',
                 checked_us = ?12, tools = '[]', private_nets = ?13 WHERE tenant_id = ?1 AND id = ?2",
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

    /// Keep what discovery found. `tools` stays where nothing is given.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn server_state(
        &self,
        scope: &Scope,
        id: ServerId,
        state: &'static str,
        reason: String,
        tools: Option<serde_json::Value>,
    ) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        let change = Change::new("mcp-server.discover", format!("mcp-server:{id}")).with("state", state);
        self.change(scope, change, move |tx| {
            tx.connection.execute(
                "UPDATE mcp_servers SET state = ?3, reason = ?4, checked_us = ?5, tools = coalesce(?6, tools)
                 WHERE tenant_id = ?1 AND id = ?2",
                (tenant, id, state, reason, tx.now_us, tools.map(|tools| tools.to_string())),
            )?;
            Ok(())
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
                "UPDATE mcp_servers SET enabled = ?3, state = 'pending', reason = '' WHERE tenant_id = ?1 AND id = ?2",
                (tenant, id, enabled),
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

    /// Set an integration up.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn create_integration(&self, scope: &Scope, new: IntegrationInstance) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.change(scope, Change::new("integration.create", format!("integration:{}", new.id)), move |tx| {
            tx.connection.execute(
                "INSERT INTO integrations (id, tenant_id, name, plugin, base_url, settings, credential_id, created_us, problem,
                 private_nets) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,'',?9)",
                (
                    new.id,
                    tenant,
                    new.name,
                    new.plugin,
                    new.base_url,
                    serde_json::to_string(&new.settings)?,
                    new.credential_id,
                    tx.now_us,
                    serde_json::to_string(&new.private_nets)?,
                ),
            )?;
            Ok(())
        })
        .await
    }

    /// All integrations, by name.
    ///
    /// # Errors
    /// What the database says.
    pub async fn integrations(&self, scope: &Scope) -> Result<Vec<IntegrationInstance>, StoreError> {
        self.list(scope, format!("SELECT {INSTANCE} FROM integrations WHERE tenant_id = ?1 ORDER BY name"), instance)
            .await
    }

    /// Keep what a test said.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn integration_checked(
        &self,
        scope: &Scope,
        id: IntegrationId,
        problem: String,
    ) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.write(move |tx| {
            tx.connection.execute(
                "UPDATE integrations SET checked_us = ?3, problem = ?4 WHERE tenant_id = ?1 AND id = ?2",
                (tenant, id, tx.now_us, problem),
            )?;
            Ok(())
        })
        .await
    }

    /// Remove an integration that nothing was published with.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` where publications name it.
    pub async fn remove_integration(&self, scope: &Scope, id: IntegrationId) -> Result<(), StoreError> {
        self.remove(scope, "integration.remove", "integration", id.to_string(), "integrations").await
    }

    async fn list<T: Send + 'static>(
        &self,
        scope: &Scope,
        sql: String,
        from_row: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(&sql)?;
            Ok(statement.query_map([tenant], from_row)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn remove(
        &self,
        scope: &Scope,
        action: &'static str,
        what: &'static str,
        id: String,
        table: &'static str,
    ) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.change(scope, Change::new(action, format!("{what}:{id}")), move |tx| {
            let credential: Option<Option<String>> = tx
                .connection
                .query_row(
                    &format!("DELETE FROM {table} WHERE tenant_id = ?1 AND id = ?2 RETURNING credential_id"),
                    (&tenant, &id),
                    |row| row.get(0),
                )
                .optional()
                .map_err(|error| match error.sqlite_error_code() {
                    Some(rusqlite::ErrorCode::ConstraintViolation) => {
                        StoreError::Conflict(format!("This {what} is in use and cannot be removed."))
                    }
                    _ => error.into(),
                })?;
            let credential = credential.ok_or_else(|| StoreError::not_found(what, &id))?;
            if let Some(credential) = credential {
                tx.connection
                    .execute("DELETE FROM credentials WHERE tenant_id = ?1 AND id = ?2", (&tenant, credential))?;
            }
            Ok(())
        })
        .await
    }

    /// A value that a plugin instance keeps.
    ///
    /// # Errors
    /// What the database or the vault says.
    pub async fn plugin_value(&self, scope: &Scope, instance: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let (tenant, instance, key) = (scope.tenant.clone(), instance.to_owned(), key.to_owned());
        self.read(move |connection, vault| {
            let sealed: Option<Vec<u8>> = connection
                .prepare_cached("SELECT value FROM plugin_values WHERE tenant_id = ?1 AND instance = ?2 AND key = ?3")?
                .query_row((&tenant, &instance, &key), |row| row.get(0))
                .optional()?;
            let Some(sealed) = sealed else { return Ok(None) };
            let row = format!("{instance}/{key}");
            let place = fumehood_vault::Place { tenant: &tenant, table: "plugin_values", row: &row, column: "value" };
            Ok(Some(vault.open(&place, &sealed)?.to_vec()))
        })
        .await
    }

    /// Keep, or with nothing remove, a plugin instance's value; on record.
    ///
    /// # Errors
    /// `Invalid` over the quota.
    pub async fn set_plugin_value(
        &self,
        scope: &Scope,
        instance: &str,
        key: &str,
        value: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        let (owner, instance, key) = (scope.clone(), instance.to_owned(), key.to_owned());
        let change =
            Change::new("plugin.value", format!("plugin:{instance}")).with("bytes", value.as_ref().map_or(0, Vec::len));
        self.change(scope, change, move |tx| {
            let Some(value) = value else {
                tx.connection.execute(
                    "DELETE FROM plugin_values WHERE tenant_id = ?1 AND instance = ?2 AND key = ?3",
                    (&owner.tenant, &instance, &key),
                )?;
                return Ok(());
            };
            let sealed = tx.seal(&owner, "plugin_values", &format!("{instance}/{key}"), "value", &value)?;
            tx.connection.execute(
                "INSERT OR REPLACE INTO plugin_values (tenant_id, instance, key, value) VALUES (?1,?2,?3,?4)",
                (&owner.tenant, &instance, &key, sealed),
            )?;
            let total: i64 = tx.connection.query_row(
                "SELECT coalesce(sum(length(value) + length(key)), 0) FROM plugin_values WHERE tenant_id = ?1 AND instance = ?2",
                (&owner.tenant, &instance),
                |row| row.get(0),
            )?;
            if total > PLUGIN_VALUES_BYTES {
                return Err(StoreError::Invalid(format!("the plugin's values would take more than {PLUGIN_VALUES_BYTES} bytes")));
            }
            Ok(())
        })
        .await
    }

    /// Keep lines of a plugin's log, and forget the oldest. Not on record: the call that wrote them is.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn add_plugin_log(
        &self,
        scope: &Scope,
        plugin: &str,
        lines: Vec<(u8, String)>,
    ) -> Result<(), StoreError> {
        let (tenant, plugin) = (scope.tenant.clone(), plugin.to_owned());
        self.write(move |tx| {
            for (level, text) in &lines {
                tx.connection
                    .prepare_cached(
                        "INSERT INTO plugin_logs (tenant_id, plugin, time_us, level, text) VALUES (?1,?2,?3,?4,?5)",
                    )?
                    .execute((&tenant, &plugin, tx.now_us, level, text))?;
            }
            tx.connection.execute(
                "DELETE FROM plugin_logs WHERE tenant_id = ?1 AND plugin = ?2 AND id <
                 (SELECT max(id) FROM plugin_logs) - ?3",
                (&tenant, &plugin, PLUGIN_LOG_LINES),
            )?;
            Ok(())
        })
        .await
    }

    /// The newest lines of a plugin's log, newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn plugin_log(
        &self,
        scope: &Scope,
        plugin: &str,
        limit: usize,
    ) -> Result<Vec<PluginLogLine>, StoreError> {
        let (tenant, plugin) = (scope.tenant.clone(), plugin.to_owned());
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(
                "SELECT time_us, level, text FROM plugin_logs WHERE tenant_id = ?1 AND plugin = ?2 ORDER BY id DESC LIMIT ?3",
            )?;
            let rows = statement.query_map((tenant, plugin, limit as i64), |row| {
                Ok(PluginLogLine { time_us: row.get(0)?, level: row.get(1)?, text: row.get(2)? })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}
