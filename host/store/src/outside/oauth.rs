//! Signing in at MCP servers: registrations by issuer, sign-ins that are on their way, and what they brought.
//!
//! Invariant: tokens, client secrets and verifiers are sealed for their row; a sign-in that is on its way is taken once;
//! new tokens replace the old ones in one write, so that a rotated refresh token is never lost after it was used.

use fumehood_vault::{Place, Vault};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use secrecy::{ExposeSecret as _, SecretString};

use crate::record::Change;
use crate::{Scope, ServerId, Store, StoreError};

const CLIENTS: &str = "oauth_clients";
const PENDING: &str = "oauth_pending";
const GRANTS: &str = "oauth_grants";
/// Sign-ins of one installation that are on their way at once.
const WAITING: i64 = 1_000;

/// A sign-in that waits for its person to come back.
#[derive(Clone, Debug)]
pub struct NewPending {
    /// Hash of what the person comes back with.
    pub id: String,
    pub server_id: ServerId,
    /// Whose tokens they will be: empty for everybody's.
    pub owner: String,
    /// Who began it, and alone may end it.
    pub actor: String,
    /// What is needed to go on.
    pub pending: SecretString,
    pub expires_us: i64,
}

/// What is known of a sign-in without its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OauthGrant {
    pub id: String,
    pub server_id: ServerId,
    /// Whose tokens they are: empty for everybody's.
    pub owner: String,
    pub issuer: String,
    /// With blanks between.
    pub scopes: String,
    /// Scopes that the server has asked for since.
    pub wanted: String,
    /// Why it is good for nothing any more; empty while it is good.
    pub reason: String,
    pub expires_us: Option<i64>,
    pub signed_in_by: String,
    pub signed_in_us: i64,
}

/// Tokens as they are kept.
#[derive(Clone, Debug)]
pub struct NewTokens {
    pub issuer: String,
    pub scopes: String,
    pub expires_us: Option<i64>,
    pub tokens: SecretString,
}

const GRANT: &str = "id, server_id, owner, issuer, scopes, wanted, reason, expires_us, signed_in_by, signed_in_us";

fn grant(row: &Row<'_>) -> rusqlite::Result<OauthGrant> {
    Ok(OauthGrant {
        id: row.get(0)?,
        server_id: row.get(1)?,
        owner: row.get(2)?,
        issuer: row.get(3)?,
        scopes: row.get(4)?,
        wanted: row.get(5)?,
        reason: row.get(6)?,
        expires_us: row.get(7)?,
        signed_in_by: row.get(8)?,
        signed_in_us: row.get(9)?,
    })
}

fn open(
    vault: &Vault,
    tenant: &str,
    table: &str,
    row: &str,
    column: &str,
    sealed: &[u8],
) -> Result<SecretString, StoreError> {
    let plain = vault.open(&Place { tenant, table, row, column }, sealed)?;
    let text = std::str::from_utf8(&plain).map_err(|error| StoreError::Decode(error.to_string()))?;
    Ok(SecretString::from(text.to_owned()))
}

/// Forget every sign-in at a server: it is another one from now on.
pub(super) fn forget_all(connection: &Connection, tenant: &str, server: ServerId) -> Result<(), StoreError> {
    for table in [GRANTS, PENDING] {
        connection
            .execute(&format!("DELETE FROM {table} WHERE tenant_id = ?1 AND server_id = ?2"), (tenant, server))?;
    }
    Ok(())
}

impl Store {
    /// How we are registered with an issuer, if we are.
    ///
    /// # Errors
    /// What the database says.
    pub async fn oauth_client(&self, scope: &Scope, issuer: &str) -> Result<Option<SecretString>, StoreError> {
        let (tenant, issuer) = (scope.tenant.clone(), issuer.to_owned());
        self.read(move |connection, vault| {
            let sealed: Option<Vec<u8>> = connection
                .query_row(
                    "SELECT registration FROM oauth_clients WHERE tenant_id = ?1 AND issuer = ?2",
                    (&tenant, &issuer),
                    |row| row.get(0),
                )
                .optional()?;
            sealed.map(|sealed| open(vault, &tenant, CLIENTS, &issuer, "registration", &sealed)).transpose()
        })
        .await
    }

    /// Keep how we are registered with an issuer.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn set_oauth_client(
        &self,
        scope: &Scope,
        issuer: String,
        client_id: String,
        how: &str,
        registration: SecretString,
    ) -> Result<(), StoreError> {
        let owner = scope.clone();
        let change =
            Change::new("oauth-client.set", format!("issuer:{issuer}")).with("client", &client_id).with("by", how);
        self.change(scope, change, move |tx| {
            let secret = registration.expose_secret().as_bytes();
            let sealed = tx.seal(&owner, CLIENTS, &issuer, "registration", secret)?;
            tx.connection.execute(
                "INSERT INTO oauth_clients (tenant_id, issuer, client_id, registration, created_us) VALUES (?1,?2,?3,?4,?5)
                 ON CONFLICT DO UPDATE SET client_id = ?3, registration = ?4, created_us = ?5",
                params![owner.tenant, issuer, client_id, sealed, tx.now_us],
            )?;
            Ok(())
        })
        .await
    }

    /// Forget how we are registered with an issuer.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn forget_oauth_client(&self, scope: &Scope, issuer: String) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.change(scope, Change::new("oauth-client.forget", format!("issuer:{issuer}")), move |tx| {
            tx.connection
                .execute("DELETE FROM oauth_clients WHERE tenant_id = ?1 AND issuer = ?2", (tenant, issuer))?;
            Ok(())
        })
        .await
    }

    /// Keep a sign-in that is on its way; those that ran out are forgotten.
    ///
    /// # Errors
    /// `Conflict` where too many are on their way.
    pub async fn begin_oauth(&self, scope: &Scope, new: NewPending) -> Result<(), StoreError> {
        let owner = scope.clone();
        let change = Change::new("oauth.begin", format!("mcp-server:{}", new.server_id)).with("for", &new.owner);
        self.change(scope, change, move |tx| {
            tx.connection.execute("DELETE FROM oauth_pending WHERE expires_us <= ?1", [tx.now_us])?;
            let waiting: i64 = tx.connection.query_row("SELECT count(*) FROM oauth_pending", [], |row| row.get(0))?;
            if waiting >= WAITING {
                return Err(StoreError::Conflict(
                    "Too many sign-ins are on their way; try again in ten minutes.".into(),
                ));
            }
            let sealed = tx.seal(&owner, PENDING, &new.id, "pending", new.pending.expose_secret().as_bytes())?;
            tx.connection.execute(
                "INSERT INTO oauth_pending (id, tenant_id, server_id, owner, actor, pending, expires_us)
                 VALUES (?1,?2,?3,?4,?5,?6,?7)",
                params![new.id, owner.tenant, new.server_id, new.owner, new.actor, sealed, new.expires_us],
            )?;
            Ok(())
        })
        .await
    }

    /// Take a sign-in that is on its way; only who began it can, and once.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn take_oauth(&self, scope: &Scope, id: String) -> Result<NewPending, StoreError> {
        let (tenant, actor) = (scope.tenant.clone(), scope.actor.to_string());
        self.write(move |tx| {
            let found = tx
                .connection
                .query_row(
                    "DELETE FROM oauth_pending WHERE id = ?1 AND tenant_id = ?2 AND actor = ?3 AND expires_us > ?4
                     RETURNING server_id, owner, actor, pending, expires_us",
                    params![id, tenant, actor, tx.now_us],
                    |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, Vec<u8>>(3)?, row.get(4)?)),
                )
                .optional()?;
            let (server_id, owner, actor, sealed, expires_us) =
                found.ok_or_else(|| StoreError::not_found("sign-in that is on its way", "it"))?;
            let pending = open(tx.vault, &tenant, PENDING, &id, "pending", &sealed)?;
            Ok(NewPending { id, server_id, owner, actor, pending, expires_us })
        })
        .await
    }

    /// Sign-ins at a server, the first one first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn oauth_grants(&self, scope: &Scope, server: ServerId) -> Result<Vec<OauthGrant>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let sql = format!(
                "SELECT {GRANT} FROM oauth_grants WHERE tenant_id = ?1 AND server_id = ?2 ORDER BY signed_in_us, id"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            Ok(statement.query_map((tenant, server), grant)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// One sign-in with its tokens.
    ///
    /// # Errors
    /// What the database says.
    pub async fn oauth_tokens(
        &self,
        scope: &Scope,
        server: ServerId,
        owner: &str,
    ) -> Result<Option<(OauthGrant, SecretString)>, StoreError> {
        let (tenant, owner) = (scope.tenant.clone(), owner.to_owned());
        self.read(move |connection, vault| {
            let sql = format!(
                "SELECT {GRANT}, tokens FROM oauth_grants WHERE tenant_id = ?1 AND server_id = ?2 AND owner = ?3"
            );
            let found = connection
                .prepare_cached(&sql)?
                .query_row((&tenant, server, owner), |row| Ok((grant(row)?, row.get::<_, Vec<u8>>(10)?)))
                .optional()?;
            let Some((grant, sealed)) = found else { return Ok(None) };
            let tokens = open(vault, &tenant, GRANTS, &grant.id, "tokens", &sealed)?;
            Ok(Some((grant, tokens)))
        })
        .await
    }

    /// Keep what a sign-in brought, in place of what that owner had.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn sign_in_oauth(
        &self,
        scope: &Scope,
        server: ServerId,
        owner: String,
        new: NewTokens,
    ) -> Result<(), StoreError> {
        let by = scope.clone();
        let change = Change::new("oauth.sign-in", format!("mcp-server:{server}"))
            .with("issuer", &new.issuer)
            .with("scopes", &new.scopes)
            .with("for", &owner);
        self.change(scope, change, move |tx| {
            let id = uuid::Uuid::now_v7().to_string();
            let sealed = tx.seal(&by, GRANTS, &id, "tokens", new.tokens.expose_secret().as_bytes())?;
            tx.connection.execute(
                "DELETE FROM oauth_grants WHERE tenant_id = ?1 AND server_id = ?2 AND owner = ?3",
                (&by.tenant, server, &owner),
            )?;
            tx.connection.execute(
                "INSERT INTO oauth_grants (id, tenant_id, server_id, owner, issuer, scopes, wanted, reason, expires_us,
                 signed_in_by, signed_in_us, tokens) VALUES (?1,?2,?3,?4,?5,?6,'','',?7,?8,?9,?10)",
                params![
                    id,
                    by.tenant,
                    server,
                    owner,
                    new.issuer,
                    new.scopes,
                    new.expires_us,
                    by.actor.to_string(),
                    tx.now_us,
                    sealed
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// Keep refreshed tokens. `false` where the sign-in is another one by now.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn refresh_oauth(&self, scope: &Scope, grant: &OauthGrant, new: NewTokens) -> Result<bool, StoreError> {
        let (by, id) = (scope.clone(), grant.id.clone());
        let change = Change::new("oauth.refresh", format!("mcp-server:{}", grant.server_id))
            .with("issuer", &new.issuer)
            .with("for", &grant.owner);
        self.change(scope, change, move |tx| {
            let sealed = tx.seal(&by, GRANTS, &id, "tokens", new.tokens.expose_secret().as_bytes())?;
            let written = tx.connection.execute(
                "UPDATE oauth_grants SET tokens = ?3, scopes = ?4, expires_us = ?5, reason = ''
                 WHERE tenant_id = ?1 AND id = ?2",
                params![by.tenant, id, sealed, new.scopes, new.expires_us],
            )?;
            Ok(written > 0)
        })
        .await
    }

    /// Note what a server, or its issuer, made of a sign-in: why it is good for nothing any more, which scopes are wanted
    /// beside those that there are, or that its token is not taken any longer.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn note_oauth(
        &self,
        scope: &Scope,
        grant: &OauthGrant,
        reason: Option<String>,
        wanted: Option<String>,
    ) -> Result<(), StoreError> {
        let (tenant, id) = (scope.tenant.clone(), grant.id.clone());
        let change = Change::new("oauth.refused", format!("mcp-server:{}", grant.server_id))
            .with("for", &grant.owner)
            .with("reason", reason.as_deref().unwrap_or("the token was not taken"))
            .with("wanted", wanted.as_deref().unwrap_or_default());
        self.change(scope, change, move |tx| {
            tx.connection.execute(
                "UPDATE oauth_grants SET reason = coalesce(?3, reason), wanted = coalesce(?4, wanted),
                 expires_us = CASE WHEN ?4 IS NULL THEN 0 ELSE expires_us END
                 WHERE tenant_id = ?1 AND id = ?2",
                params![tenant, id, reason, wanted],
            )?;
            Ok(())
        })
        .await
    }

    /// Forget all sign-ins at a server; how many there were.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn sign_all_out(&self, scope: &Scope, server: ServerId) -> Result<usize, StoreError> {
        let tenant = scope.tenant.clone();
        let change = Change::new("oauth.sign-out", format!("mcp-server:{server}")).with("for", "everybody");
        self.change(scope, change, move |tx| {
            Ok(tx
                .connection
                .execute("DELETE FROM oauth_grants WHERE tenant_id = ?1 AND server_id = ?2", (tenant, server))?)
        })
        .await
    }

    /// Forget one sign-in.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn sign_out_oauth(&self, scope: &Scope, server: ServerId, owner: String) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        let change = Change::new("oauth.sign-out", format!("mcp-server:{server}")).with("for", &owner);
        self.change(scope, change, move |tx| {
            let gone = tx.connection.execute(
                "DELETE FROM oauth_grants WHERE tenant_id = ?1 AND server_id = ?2 AND owner = ?3",
                (tenant, server, owner),
            )?;
            if gone == 0 { Err(StoreError::not_found("sign-in", server)) } else { Ok(()) }
        })
        .await
    }
}
