//! What plugins keep: their values and their logs.

use rusqlite::OptionalExtension as _;

use crate::record::Change;
use crate::{Scope, Store, StoreError};

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

impl Store {
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

    /// Keep, or with nothing remove, a plugin instance's value; `change` puts it on record.
    ///
    /// # Errors
    /// `Invalid` over the quota.
    pub async fn set_plugin_value(
        &self,
        scope: &Scope,
        instance: &str,
        key: &str,
        value: Option<Vec<u8>>,
        quota_bytes: u64,
        change: Change,
    ) -> Result<(), StoreError> {
        let (owner, instance, key) = (scope.clone(), instance.to_owned(), key.to_owned());
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
            if total > PLUGIN_VALUES_BYTES || total as u64 > quota_bytes {
                let most = quota_bytes.min(PLUGIN_VALUES_BYTES as u64);
                return Err(StoreError::Invalid(format!("the plugin's values would take more than {most} bytes")));
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
                "DELETE FROM plugin_logs WHERE tenant_id = ?1 AND plugin = ?2 AND id <=
                 (SELECT id FROM plugin_logs WHERE tenant_id = ?1 AND plugin = ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3)",
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
