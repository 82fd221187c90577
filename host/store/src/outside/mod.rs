//! What is set up to be reached: models, MCP servers, integrations.

mod integrations;
mod model_rules;
mod models;
mod oauth;
mod servers;
mod tools;

use rusqlite::{OptionalExtension as _, Row};

pub use self::integrations::IntegrationInstance;
pub use self::model_rules::{ModelRules, Used};
pub use self::models::Model;
pub use self::oauth::{NewPending, NewTokens, OauthGrant};
pub use self::servers::McpServer;
pub use self::tools::{SeenTool, Standing, Tool, ToolChange, ToolChanges, ToolDecision};
use crate::record::Change;
use crate::{CredentialId, Scope, Store, StoreError};

fn nets(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<String>> {
    Ok(serde_json::from_str(&row.get::<_, String>(column)?).unwrap_or_default())
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
            tx.connection.execute(
                "DELETE FROM plugin_values WHERE tenant_id = ?1 AND instance = ?2",
                (&tenant, format!("{what}:{id}")),
            )?;
            if let Some(credential) = credential {
                tx.connection
                    .execute("DELETE FROM credentials WHERE tenant_id = ?1 AND id = ?2", (&tenant, credential))?;
            }
            Ok(())
        })
        .await
    }
}
