//! Integrations.

use rusqlite::Row;

use super::{drop_credential, nets};
use crate::record::Change;
use crate::{CredentialId, IntegrationId, Scope, Store, StoreError};

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

const INSTANCE: &str = "id, name, plugin, base_url, settings, credential_id, created_us, checked_us, problem, \
                        private_nets";

impl Store {
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

    /// Keep what a test said, and what it found out as one of the settings.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn integration_checked(
        &self,
        scope: &Scope,
        id: IntegrationId,
        problem: String,
        found: Option<(&'static str, &'static str)>,
    ) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.write(move |tx| {
            tx.connection.execute(
                "UPDATE integrations SET checked_us = ?3, problem = ?4 WHERE tenant_id = ?1 AND id = ?2",
                (&tenant, id, tx.now_us, problem),
            )?;
            if let Some((key, value)) = found {
                tx.connection.execute(
                    "UPDATE integrations SET settings = json_set(settings, '$.\"' || ?3 || '\"', ?4)
                     WHERE tenant_id = ?1 AND id = ?2",
                    (&tenant, id, key, value),
                )?;
            }
            Ok(())
        })
        .await
    }

    /// Remove an integration that nothing was published with. What its plugin kept for it goes, too.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` where publications name it.
    pub async fn remove_integration(&self, scope: &Scope, id: IntegrationId) -> Result<(), StoreError> {
        self.remove(scope, "integration.remove", "integration", id.to_string(), "integrations").await
    }
}
