//! Credentials: written, never read back by people or plugins. The value leaves this module only towards `egress`.

use rusqlite::OptionalExtension as _;
use secrecy::{ExposeSecret as _, SecretString};

use crate::record::Change;
use crate::{CredentialId, Scope, Store, StoreError};

const TABLE: &str = "credentials";

/// What is known of a credential without its value.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Credential {
    pub id: CredentialId,
    pub name: String,
    /// `bearer`, `basic` or `raw`.
    pub kind: String,
    pub username: String,
    /// The only origin that it is sent to: scheme, host and port.
    pub origin: String,
    pub created_us: i64,
}

impl Store {
    /// Keep a credential, bound to an origin.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn create_credential(
        &self,
        scope: &Scope,
        name: String,
        kind: &'static str,
        username: String,
        secret: SecretString,
        origin: String,
    ) -> Result<CredentialId, StoreError> {
        let id = CredentialId::new();
        let owner = scope.clone();
        let change = Change::new("credential.create", format!("credential:{id}")).with("origin", &origin);
        self.change(scope, change, move |tx| {
            let sealed = tx.seal(&owner, TABLE, &id.to_string(), "secret", secret.expose_secret().as_bytes())?;
            tx.connection.execute(
                "INSERT INTO credentials (id, tenant_id, name, kind, username, secret, origin, created_us)
                 VALUES (?1,?2,?3,?4,?5,?6,?7,?8)",
                (id, &owner.tenant, name, kind, username, sealed, origin, tx.now_us),
            )?;
            Ok(id)
        })
        .await
    }

    /// A credential with its value, for `egress` alone.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn credential(&self, scope: &Scope, id: CredentialId) -> Result<(Credential, SecretString), StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, vault| {
            let found = connection
                .prepare_cached(
                    "SELECT id, name, kind, username, origin, created_us, secret FROM credentials WHERE tenant_id = ?1 AND id = ?2",
                )?
                .query_row((&tenant, id), |row| {
                    let credential = Credential {
                        id: row.get(0)?,
                        name: row.get(1)?,
                        kind: row.get(2)?,
                        username: row.get(3)?,
                        origin: row.get(4)?,
                        created_us: row.get(5)?,
                    };
                    Ok((credential, row.get::<_, Vec<u8>>(6)?))
                })
                .optional()?;
            let (credential, sealed) = found.ok_or_else(|| StoreError::not_found("credential", id))?;
            let row = id.to_string();
            let place = fumehood_vault::Place { tenant: &tenant, table: TABLE, row: &row, column: "secret" };
            let plain = vault.open(&place, &sealed)?;
            let text = std::str::from_utf8(&plain).map_err(|error| StoreError::Decode(error.to_string()))?;
            Ok((credential, SecretString::from(text.to_owned())))
        })
        .await
    }
}
