//! Installed versions.
//!
//! Invariant: of a name at most one version is active, and every change from one to another is one transaction with the
//! grant that goes with it: after a crash there is the old version with its grant, or the new one with its own.

use fumehood_policy::{Digest, PluginGrant};
use rusqlite::{OptionalExtension as _, Row};
use sha2::Digest as _;

use super::grants;
use crate::record::Change;
use crate::writer::Tx;
use crate::{Scope, Store, StoreError};

/// Where a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VersionState {
    /// Installed; a person has to approve it before it runs.
    Waiting,
    /// The one that runs.
    Active,
    /// Ran before the active one; the newest of them is what a roll back leads to.
    Former,
}

impl VersionState {
    /// As it is stored and written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Active => "active",
            Self::Former => "former",
        }
    }
}

/// An installed version, without its bytes.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PluginVersion {
    pub digest: Digest,
    pub name: String,
    pub version: String,
    pub publisher: String,
    pub world: String,
    /// TOML.
    pub manifest: String,
    /// The public key that signed it; empty where it is not signed.
    pub signer: String,
    /// Where it came from, for people.
    pub source: String,
    pub bytes: u64,
    /// Of a scanner, the types that it said at its installation it reports, as JSON.
    pub kinds: String,
    pub state: VersionState,
    pub installed_us: i64,
    pub installed_by: String,
    pub activated_us: Option<i64>,
}

/// A version to install.
#[derive(Clone, Debug)]
pub struct NewVersion {
    pub digest: Digest,
    pub name: String,
    pub version: String,
    pub publisher: String,
    pub world: String,
    pub manifest: String,
    pub signer: String,
    pub source: String,
    /// As in [`PluginVersion`].
    pub kinds: String,
    pub component: Vec<u8>,
}

const COLUMNS: &str = "digest, name, version, publisher, world, manifest, signer, source, bytes, state, installed_us, \
                       installed_by, activated_us, kinds";

/// Versions of one name that are kept after they ran.
const FORMER: i64 = 2;

fn version(row: &Row<'_>) -> rusqlite::Result<PluginVersion> {
    let state: String = row.get(9)?;
    let digest: String = row.get(0)?;
    Ok(PluginVersion {
        digest: digest.parse().map_err(|error| rusqlite::types::FromSqlError::Other(Box::new(error)))?,
        name: row.get(1)?,
        version: row.get(2)?,
        publisher: row.get(3)?,
        world: row.get(4)?,
        manifest: row.get(5)?,
        signer: row.get(6)?,
        source: row.get(7)?,
        bytes: row.get::<_, i64>(8)? as u64,
        state: match state.as_str() {
            "active" => VersionState::Active,
            "former" => VersionState::Former,
            _ => VersionState::Waiting,
        },
        installed_us: row.get(10)?,
        installed_by: row.get(11)?,
        activated_us: row.get(12)?,
        kinds: row.get(13)?,
    })
}

fn find(tx: &Tx<'_>, tenant: &str, digest: Digest) -> Result<PluginVersion, StoreError> {
    let found = tx
        .connection
        .query_row(
            &format!("SELECT {COLUMNS} FROM plugin_versions WHERE tenant_id = ?1 AND digest = ?2"),
            (tenant, digest.to_string()),
            version,
        )
        .optional()?;
    found.ok_or_else(|| StoreError::not_found("plugin version", digest))
}

/// Make a version the active one, with its grant.
fn activate(tx: &Tx<'_>, scope: &Scope, digest: Digest, grant: &PluginGrant) -> Result<(), StoreError> {
    let tenant = &scope.tenant;
    let new = find(tx, tenant, digest)?;
    tx.connection.execute(
        "UPDATE plugin_versions SET state = 'former' WHERE tenant_id = ?1 AND name = ?2 AND state = 'active'",
        (tenant, &new.name),
    )?;
    tx.connection.execute(
        "UPDATE plugin_versions SET state = 'active', activated_us = ?3 WHERE tenant_id = ?1 AND digest = ?2",
        (tenant, digest.to_string(), tx.now_us),
    )?;
    grants::put(tx, scope, grant)?;
    tx.connection.execute(
        "DELETE FROM plugin_versions WHERE tenant_id = ?1 AND name = ?2 AND state = 'former' AND digest NOT IN
         (SELECT digest FROM plugin_versions WHERE tenant_id = ?1 AND name = ?2 AND state = 'former'
          ORDER BY activated_us DESC LIMIT ?3)",
        (tenant, &new.name, FORMER),
    )?;
    Ok(())
}

impl Store {
    /// Install a version: active at once with `grant`, waiting for a person without.
    ///
    /// # Errors
    /// `Conflict` where this digest is installed already, or why nothing was written.
    pub async fn install_plugin(
        &self,
        scope: &Scope,
        new: NewVersion,
        grant: Option<PluginGrant>,
    ) -> Result<(), StoreError> {
        let owner = scope.clone();
        let state = if grant.is_some() { VersionState::Active } else { VersionState::Waiting };
        let change = Change::new("plugin.install", format!("plugin:{}", new.name))
            .with("version", &new.version)
            .with("digest", new.digest)
            .with("publisher", &new.publisher)
            .with("signer", if new.signer.is_empty() { "(unsigned)" } else { &new.signer })
            .with("source", fumehood_audit::clip(&new.source, 1024))
            .with("state", state.as_str());
        let change = grant.as_ref().map_or(change.clone(), |grant| grants::described(change, grant));
        self.change(scope, change, move |tx| {
            let known: Option<String> = tx
                .connection
                .query_row(
                    "SELECT state FROM plugin_versions WHERE tenant_id = ?1 AND digest = ?2",
                    (&owner.tenant, new.digest.to_string()),
                    |row| row.get(0),
                )
                .optional()?;
            if let Some(state) = known {
                return Err(StoreError::Conflict(format!(
                    "This very component is installed already ({state}): sha256:{}",
                    new.digest
                )));
            }
            tx.connection.execute(
                "INSERT INTO plugin_versions (tenant_id, digest, name, version, publisher, world, manifest, signer,
                 source, bytes, state, installed_us, installed_by, component, kinds)
                 VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,'waiting',?11,?12,?13,?14)",
                rusqlite::params![
                    owner.tenant,
                    new.digest.to_string(),
                    new.name,
                    new.version,
                    new.publisher,
                    new.world,
                    new.manifest,
                    new.signer,
                    new.source,
                    new.component.len() as i64,
                    tx.now_us,
                    owner.actor.to_string(),
                    new.component,
                    new.kinds,
                ],
            )?;
            tx.connection.execute(
                "DELETE FROM plugin_turned_down WHERE tenant_id = ?1 AND digest = ?2",
                (&owner.tenant, new.digest.to_string()),
            )?;
            grant.as_ref().map_or(Ok(()), |grant| activate(tx, &owner, new.digest, grant))
        })
        .await
    }

    /// Every installed version, by name, the newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn plugin_versions(&self, scope: &Scope) -> Result<Vec<PluginVersion>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM plugin_versions WHERE tenant_id = ?1 ORDER BY name, installed_us DESC, digest"
            ))?;
            Ok(statement.query_map([tenant], version)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The bytes of an installed version, which are what its digest says.
    ///
    /// # Errors
    /// `NotFound`; `Decode` where the stored bytes are not those that were installed.
    pub async fn plugin_component(&self, scope: &Scope, digest: Digest) -> Result<Vec<u8>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let found: Option<Vec<u8>> = connection
                .query_row(
                    "SELECT component FROM plugin_versions WHERE tenant_id = ?1 AND digest = ?2",
                    (tenant, digest.to_string()),
                    |row| row.get(0),
                )
                .optional()?;
            let component = found.ok_or_else(|| StoreError::not_found("plugin version", digest))?;
            let is: [u8; 32] = sha2::Sha256::digest(&component).into();
            if Digest::new(is) != digest {
                return Err(StoreError::Decode(format!("the stored component of sha256:{digest} was changed")));
            }
            Ok(component)
        })
        .await
    }

    /// Make an installed version the active one; `action` is `plugin.approve` or `plugin.rollback`.
    ///
    /// # Errors
    /// `NotFound`, or why nothing was written.
    pub async fn activate_plugin(
        &self,
        scope: &Scope,
        action: &'static str,
        digest: Digest,
        grant: PluginGrant,
    ) -> Result<(), StoreError> {
        let owner = scope.clone();
        let change = Change::new(action, format!("plugin:{}", grant.plugin)).with("digest", digest);
        self.change(scope, grants::described(change, &grant), move |tx| activate(tx, &owner, digest, &grant)).await
    }

    /// Turn down a version that waits: it is forgotten.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` where it does not wait.
    pub async fn refuse_plugin(&self, scope: &Scope, name: &str, digest: Digest) -> Result<(), StoreError> {
        let (tenant, actor) = (scope.tenant.clone(), scope.actor.to_string());
        let change = Change::new("plugin.refuse", format!("plugin:{name}")).with("digest", digest);
        self.change(scope, change, move |tx| {
            if find(tx, &tenant, digest)?.state != VersionState::Waiting {
                return Err(StoreError::Conflict("This version does not wait for an approval.".into()));
            }
            tx.connection.execute(
                "DELETE FROM plugin_versions WHERE tenant_id = ?1 AND digest = ?2",
                (&tenant, digest.to_string()),
            )?;
            tx.connection.execute(
                "INSERT OR REPLACE INTO plugin_turned_down (tenant_id, digest, time_us, actor) VALUES (?1,?2,?3,?4)",
                (&tenant, digest.to_string(), tx.now_us, actor),
            )?;
            Ok(())
        })
        .await
    }

    /// Whether a person turned this component down, and has not installed it since.
    ///
    /// # Errors
    /// What the database says.
    pub async fn is_plugin_turned_down(&self, scope: &Scope, digest: Digest) -> Result<bool, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let sql = "SELECT EXISTS (SELECT 1 FROM plugin_turned_down WHERE tenant_id = ?1 AND digest = ?2)";
            Ok(connection.query_row(sql, (tenant, digest.to_string()), |row| row.get(0))?)
        })
        .await
    }

    /// Remove a plugin with all its versions, grants, secrets and kept values.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` where a model or an integration is set up with it.
    pub async fn remove_plugin(&self, scope: &Scope, name: &str) -> Result<(), StoreError> {
        let (tenant, name) = (scope.tenant.clone(), name.to_owned());
        self.change(scope, Change::new("plugin.remove", format!("plugin:{name}")), move |tx| {
            let used: i64 = tx.connection.query_row(
                "SELECT (SELECT count(*) FROM models WHERE tenant_id = ?1 AND plugin = ?2)
                      + (SELECT count(*) FROM integrations WHERE tenant_id = ?1 AND plugin = ?2)
                      + (SELECT count(*) FROM mcp_servers WHERE tenant_id = ?1 AND plugin = ?2)",
                (&tenant, &name),
                |row| row.get(0),
            )?;
            if used > 0 {
                return Err(StoreError::Conflict(format!(
                    "{name} is in use by a model, an integration or an MCP server; remove that first, or choose another plugin there"
                )));
            }
            let removed = tx
                .connection
                .execute("DELETE FROM plugin_versions WHERE tenant_id = ?1 AND name = ?2", (&tenant, &name))?;
            if removed == 0 {
                return Err(StoreError::not_found("plugin", &name));
            }
            for table in ["plugin_grants", "plugin_denials", "plugin_hours", "plugin_traffic", "plugin_logs"] {
                tx.connection
                    .execute(&format!("DELETE FROM {table} WHERE tenant_id = ?1 AND plugin = ?2"), (&tenant, &name))?;
            }
            let mut secrets = tx
                .connection
                .prepare("DELETE FROM plugin_secrets WHERE tenant_id = ?1 AND plugin = ?2 RETURNING credential_id")?;
            let credentials: Vec<String> =
                secrets.query_map((&tenant, &name), |row| row.get(0))?.collect::<Result<_, _>>()?;
            drop(secrets);
            for credential in credentials {
                tx.connection
                    .execute("DELETE FROM credentials WHERE tenant_id = ?1 AND id = ?2", (&tenant, credential))?;
            }
            Ok(())
        })
        .await
    }
}
