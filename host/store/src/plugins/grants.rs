//! What was granted, by digest; and the secrets that plugins name.

use fumehood_audit::clip;
use fumehood_policy::{Digest, PluginGrant};
use rusqlite::OptionalExtension as _;
use secrecy::{ExposeSecret as _, SecretString};

use crate::record::Change;
use crate::writer::Tx;
use crate::{CredentialId, Scope, Store, StoreError};

/// A grant as it is stored.
#[derive(Clone, Debug)]
pub struct StoredGrant {
    pub grant: PluginGrant,
    pub decided_us: i64,
    pub decided_by: String,
}

/// Store a grant; its generation becomes one more than that of the one before it.
pub(super) fn put(tx: &Tx<'_>, scope: &Scope, grant: &PluginGrant) -> Result<(), StoreError> {
    let digest = grant.digest.to_string();
    let before: Option<i64> = tx
        .connection
        .query_row(
            "SELECT max(generation) FROM plugin_grants WHERE tenant_id = ?1 AND plugin = ?2",
            (&scope.tenant, &grant.plugin),
            |row| row.get(0),
        )
        .optional()?
        .flatten();
    let generation = before.unwrap_or(0) + 1;
    let grant = PluginGrant { generation: generation as u64, ..grant.clone() };
    tx.connection.execute(
        "INSERT OR REPLACE INTO plugin_grants (tenant_id, digest, plugin, generation, body, decided_us, decided_by)
         VALUES (?1,?2,?3,?4,?5,?6,?7)",
        (
            &scope.tenant,
            digest,
            &grant.plugin,
            generation,
            serde_json::to_string(&grant)?,
            tx.now_us,
            scope.actor.to_string(),
        ),
    )?;
    Ok(())
}

/// A change with what is granted by it, a sentence each.
pub(super) fn described(change: Change, grant: &PluginGrant) -> Change {
    let nothing = PluginGrant::nothing("", grant.digest, 0);
    let all = fumehood_policy::diff(&nothing, grant).changes;
    if all.is_empty() {
        return change.with("grants", "nothing");
    }
    // Each under a name of its own, for readers that keep one value of a name; the hash is of all of it.
    let body = serde_json::to_vec(grant).unwrap_or_default();
    let hash = Digest::new(<sha2::Sha256 as sha2::Digest>::digest(&body).into());
    let change = change.with("grants", all.len()).with("grants_sha256", hash);
    let shown = all.into_iter().take(SHOWN).enumerate();
    shown.fold(change, |change, (at, one)| change.with(&format!("grant.{}", at + 1), clip(&one.what, 1024)))
}

/// Sentences of a grant that an entry of the record holds.
const SHOWN: usize = 40;

impl Store {
    /// Every grant that is stored.
    ///
    /// # Errors
    /// What the database says.
    pub async fn plugin_grants(&self, scope: &Scope) -> Result<Vec<StoredGrant>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(
                "SELECT body, decided_us, decided_by FROM plugin_grants WHERE tenant_id = ?1 ORDER BY plugin, generation",
            )?;
            let mut rows = statement.query([tenant])?;
            let mut grants = Vec::new();
            while let Some(row) = rows.next()? {
                let grant: PluginGrant = match serde_json::from_str(&row.get::<_, String>(0)?) {
                    Ok(grant) => grant,
                    // Of another version, perhaps: its digest has nothing then, and whoever grants anew writes it anew.
                    Err(error) => {
                        tracing::error!(%error, "a stored grant cannot be read; what it was for is granted nothing");
                        continue;
                    }
                };
                grants.push(StoredGrant { grant, decided_us: row.get(1)?, decided_by: row.get(2)? });
            }
            Ok(grants)
        })
        .await
    }

    /// Change what a digest is granted.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn set_plugin_grant(&self, scope: &Scope, grant: PluginGrant) -> Result<(), StoreError> {
        let owner = scope.clone();
        let change = Change::new("plugin.grant", format!("plugin:{}", grant.plugin)).with("digest", grant.digest);
        self.change(scope, described(change, &grant), move |tx| put(tx, &owner, &grant)).await
    }

    /// Forget what a person granted to a digest: what the plugin ships with holds again.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn reset_plugin_grant(&self, scope: &Scope, plugin: &str, digest: Digest) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        let change = Change::new("plugin.grant", format!("plugin:{plugin}"))
            .with("digest", digest)
            .with("grants", "(as it ships)");
        let plugin = plugin.to_owned();
        self.change(scope, change, move |tx| {
            tx.connection
                .execute("DELETE FROM plugin_grants WHERE tenant_id = ?1 AND plugin = ?2", (tenant, plugin))?;
            Ok(())
        })
        .await
    }

    /// Keep, or with nothing forget, the secret behind a plugin's handle.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn set_plugin_secret(
        &self,
        scope: &Scope,
        plugin: &str,
        handle: &str,
        kind: &'static str,
        username: String,
        secret: Option<SecretString>,
    ) -> Result<(), StoreError> {
        let (owner, plugin, handle) = (scope.clone(), plugin.to_owned(), handle.to_owned());
        let action = if secret.is_some() { "plugin.secret.set" } else { "plugin.secret.forget" };
        let change = Change::new(action, format!("plugin:{plugin}")).with("handle", &handle);
        self.change(scope, change, move |tx| {
            let old: Option<CredentialId> = tx
                .connection
                .query_row(
                    "DELETE FROM plugin_secrets WHERE tenant_id = ?1 AND plugin = ?2 AND handle = ?3 RETURNING credential_id",
                    (&owner.tenant, &plugin, &handle),
                    |row| row.get(0),
                )
                .optional()?;
            if let Some(old) = old {
                tx.connection
                    .execute("DELETE FROM credentials WHERE tenant_id = ?1 AND id = ?2", (&owner.tenant, old))?;
            }
            let Some(secret) = secret else { return Ok(()) };
            let id = CredentialId::new();
            let sealed =
                tx.seal(&owner, "credentials", &id.to_string(), "secret", secret.expose_secret().as_bytes())?;
            tx.connection.execute(
                "INSERT INTO credentials (id, tenant_id, name, kind, username, secret, origin, created_us)
                 VALUES (?1,?2,?3,?4,?5,?6,'',?7)",
                (id, &owner.tenant, format!("{plugin} {handle}"), kind, username, sealed, tx.now_us),
            )?;
            tx.connection.execute(
                "INSERT INTO plugin_secrets (tenant_id, plugin, handle, credential_id) VALUES (?1,?2,?3,?4)",
                (&owner.tenant, &plugin, &handle, id),
            )?;
            Ok(())
        })
        .await
    }

    /// The credentials behind all handles of plugins.
    ///
    /// # Errors
    /// What the database says.
    pub async fn plugin_secrets(&self, scope: &Scope) -> Result<Vec<CredentialId>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement =
                connection.prepare_cached("SELECT credential_id FROM plugin_secrets WHERE tenant_id = ?1")?;
            Ok(statement.query_map([tenant], |row| row.get(0))?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The credential behind a plugin's handle.
    ///
    /// # Errors
    /// What the database says.
    pub async fn plugin_secret(
        &self,
        scope: &Scope,
        plugin: &str,
        handle: &str,
    ) -> Result<Option<CredentialId>, StoreError> {
        let (tenant, plugin, handle) = (scope.tenant.clone(), plugin.to_owned(), handle.to_owned());
        self.read(move |connection, _| {
            let sql = "SELECT credential_id FROM plugin_secrets WHERE tenant_id = ?1 AND plugin = ?2 AND handle = ?3";
            Ok(connection.prepare_cached(sql)?.query_row((tenant, plugin, handle), |row| row.get(0)).optional()?)
        })
        .await
    }
}
