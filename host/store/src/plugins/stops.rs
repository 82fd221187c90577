//! Kill switches that are thrown.

use crate::record::Change;
use crate::{Scope, Store, StoreError};

/// A kill switch that is thrown.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Stop {
    /// `all`, `publisher:…` or `plugin:…`.
    pub target: String,
    pub reason: String,
    pub time_us: i64,
    pub actor: String,
}

impl Store {
    /// Every kill switch that is thrown.
    ///
    /// # Errors
    /// What the database says.
    pub async fn plugin_stops(&self, scope: &Scope) -> Result<Vec<Stop>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(
                "SELECT target, reason, time_us, actor FROM plugin_stops WHERE tenant_id = ?1 ORDER BY target",
            )?;
            let rows = statement.query_map([tenant], |row| {
                Ok(Stop { target: row.get(0)?, reason: row.get(1)?, time_us: row.get(2)?, actor: row.get(3)? })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Throw a kill switch.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn stop_plugins(&self, scope: &Scope, target: &str, reason: String) -> Result<(), StoreError> {
        let (owner, row) = (scope.clone(), target.to_owned());
        let change = Change::new("plugin.stop", target).with("reason", &reason);
        self.change(scope, change, move |tx| {
            tx.connection.execute(
                "INSERT OR REPLACE INTO plugin_stops (tenant_id, target, reason, time_us, actor) VALUES (?1,?2,?3,?4,?5)",
                (&owner.tenant, row, reason, tx.now_us, owner.actor.to_string()),
            )?;
            Ok(())
        })
        .await
    }

    /// Put a kill switch back.
    ///
    /// # Errors
    /// `NotFound` where it is not thrown.
    pub async fn resume_plugins(&self, scope: &Scope, target: &str) -> Result<(), StoreError> {
        let (tenant, row) = (scope.tenant.clone(), target.to_owned());
        self.change(scope, Change::new("plugin.resume", target), move |tx| {
            let sql = "DELETE FROM plugin_stops WHERE tenant_id = ?1 AND target = ?2";
            match tx.connection.execute(sql, (tenant, &row))? {
                0 => Err(StoreError::not_found("kill switch", row)),
                _ => Ok(()),
            }
        })
        .await
    }
}
