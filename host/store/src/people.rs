//! People, sessions, sign-in links and API tokens. Tokens are kept as SHA-256 hashes, passwords as Argon2id strings.

use fumehood_policy::Role;
use rusqlite::{OptionalExtension as _, Row};

use crate::record::Change;
use crate::{Scope, Store, StoreError, TokenId, UserId};

/// SHA-256 of a random 256-bit token.
pub type TokenHash = [u8; 32];

/// A person with an account.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct User {
    pub id: UserId,
    pub tenant: String,
    pub email: String,
    pub name: String,
    #[serde(skip)]
    pub password_hash: String,
    pub role: String,
    pub created_us: i64,
    pub disabled_us: Option<i64>,
}

impl User {
    /// The role; an unknown one (from a later version) may only read.
    pub fn role(&self) -> Role {
        self.role.parse().unwrap_or(Role::Viewer)
    }
}

/// An API token; its value is not kept.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ApiToken {
    pub id: TokenId,
    pub name: String,
    pub role: String,
    pub created_us: i64,
    pub created_by: String,
    pub used_us: Option<i64>,
    pub revoked_us: Option<i64>,
}

/// A one-time link to make an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInLink {
    pub role: String,
    pub email: String,
    pub expires_us: i64,
}

const USER: &str = "id, tenant_id, email, name, password_hash, role, created_us, disabled_us";

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: row.get(0)?,
        tenant: row.get(1)?,
        email: row.get(2)?,
        name: row.get(3)?,
        password_hash: row.get(4)?,
        role: row.get(5)?,
        created_us: row.get(6)?,
        disabled_us: row.get(7)?,
    })
}

impl Store {
    /// Whether anyone has an account.
    ///
    /// # Errors
    /// What the database says.
    pub async fn has_users(&self, scope: &Scope) -> Result<bool, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            Ok(connection
                .query_row("SELECT EXISTS (SELECT 1 FROM users WHERE tenant_id = ?1)", [tenant], |row| row.get(0))?)
        })
        .await
    }

    /// Everyone, by name.
    ///
    /// # Errors
    /// What the database says.
    pub async fn users(&self, scope: &Scope) -> Result<Vec<User>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection
                .prepare_cached(&format!("SELECT {USER} FROM users WHERE tenant_id = ?1 ORDER BY name, id"))?;
            Ok(statement.query_map([tenant], user)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// A person by e-mail address, lower case.
    ///
    /// # Errors
    /// What the database says.
    pub async fn user_by_email(&self, scope: &Scope, email: &str) -> Result<Option<User>, StoreError> {
        let (tenant, email) = (scope.tenant.clone(), email.to_owned());
        self.read(move |connection, _| {
            Ok(connection
                .prepare_cached(&format!("SELECT {USER} FROM users WHERE tenant_id = ?1 AND email = ?2"))?
                .query_row((tenant, email), user)
                .optional()?)
        })
        .await
    }

    /// Make a one-time link.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn create_link(&self, scope: &Scope, hash: TokenHash, link: SignInLink) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        let change = Change::new("people.invite", "link:new").with("role", &link.role);
        self.change(scope, change, move |tx| {
            tx.connection.execute(
                "INSERT INTO sign_in_links (token_hash, tenant_id, role, email, created_us, expires_us)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                (hash, tenant, link.role, link.email, tx.now_us, link.expires_us),
            )?;
            Ok(())
        })
        .await
    }

    /// A link that can still be used.
    ///
    /// # Errors
    /// What the database says.
    pub async fn link(&self, hash: TokenHash, now_us: i64) -> Result<Option<SignInLink>, StoreError> {
        self.read(move |connection, _| {
            Ok(connection
                .query_row(
                    "SELECT role, email, expires_us FROM sign_in_links
                     WHERE token_hash = ?1 AND used_us IS NULL AND expires_us > ?2",
                    (hash, now_us),
                    |row| Ok(SignInLink { role: row.get(0)?, email: row.get(1)?, expires_us: row.get(2)? }),
                )
                .optional()?)
        })
        .await
    }

    /// Use a link up and make the account that it stands for.
    ///
    /// # Errors
    /// `NotFound` where the link was used or ran out, `Conflict` where the address has an account.
    pub async fn use_link(
        &self,
        hash: TokenHash,
        email: String,
        name: String,
        password_hash: String,
    ) -> Result<User, StoreError> {
        let id = UserId::new();
        let scope = Scope { actor: crate::Actor::User(id), ..Scope::system() };
        let tenant = scope.tenant.clone();
        self.change(&scope, Change::new("people.join", format!("user:{id}")), move |tx| {
            let role: Option<String> = tx
                .connection
                .query_row(
                    "UPDATE sign_in_links SET used_us = ?2 WHERE token_hash = ?1 AND used_us IS NULL AND expires_us > ?2
                     RETURNING role",
                    (hash, tx.now_us),
                    |row| row.get(0),
                )
                .optional()?;
            let role = role.ok_or_else(|| StoreError::not_found("sign-in link", "(used or expired)"))?;
            let taken: bool = tx.connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM users WHERE tenant_id = ?1 AND email = ?2)",
                (&tenant, &email),
                |row| row.get(0),
            )?;
            if taken {
                return Err(StoreError::Conflict("There is an account with this e-mail address already.".into()));
            }
            tx.connection.execute(
                "INSERT INTO users (id, tenant_id, email, name, password_hash, role, created_us) VALUES (?1,?2,?3,?4,?5,?6,?7)",
                (id, &tenant, &email, &name, &password_hash, &role, tx.now_us),
            )?;
            Ok(tx.connection.query_row(&format!("SELECT {USER} FROM users WHERE id = ?1"), [id], user)?)
        })
        .await
    }

    /// Change someone's role, or lock them out (which ends their sessions). The last administrator stays one.
    ///
    /// # Errors
    /// `NotFound`, `Conflict`.
    pub async fn set_user(&self, scope: &Scope, id: UserId, role: Role, disabled: bool) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        let change = Change::new("people.change", format!("user:{id}")).with("role", role).with("disabled", disabled);
        self.change(scope, change, move |tx| {
            let changed = tx.connection.execute(
                "UPDATE users SET role = ?3, disabled_us = ?4 WHERE tenant_id = ?1 AND id = ?2",
                (&tenant, id, role.to_string(), disabled.then_some(tx.now_us)),
            )?;
            if changed == 0 {
                return Err(StoreError::not_found("person", id));
            }
            let admins: i64 = tx.connection.query_row(
                "SELECT count(*) FROM users WHERE tenant_id = ?1 AND role = 'admin' AND disabled_us IS NULL",
                [&tenant],
                |row| row.get(0),
            )?;
            if admins == 0 {
                return Err(StoreError::Conflict("Someone has to remain administrator.".into()));
            }
            // A role takes effect at once: whoever holds a session signs in again with the new one.
            tx.connection.execute("DELETE FROM sessions WHERE user_id = ?1", [id])?;
            Ok(())
        })
        .await
    }

    /// Begin a session.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn create_session(&self, scope: &Scope, user: UserId, hash: TokenHash) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.change(scope, Change::new("session.begin", format!("user:{user}")), move |tx| {
            tx.connection.execute(
                "INSERT INTO sessions (token_hash, tenant_id, user_id, created_us, seen_us) VALUES (?1, ?2, ?3, ?4, ?4)",
                (hash, tenant, user, tx.now_us),
            )?;
            Ok(())
        })
        .await
    }

    /// Who a session belongs to, with its begin and last use; nothing where it ended or its owner is locked out.
    ///
    /// # Errors
    /// What the database says.
    pub async fn session(&self, hash: TokenHash) -> Result<Option<(User, i64, i64)>, StoreError> {
        self.read(move |connection, _| {
            Ok(connection
                .prepare_cached(
                    "SELECT u.id, u.tenant_id, u.email, u.name, u.password_hash, u.role, u.created_us, u.disabled_us,
                     s.created_us, s.seen_us FROM sessions s JOIN users u ON u.id = s.user_id
                     WHERE s.token_hash = ?1 AND u.disabled_us IS NULL",
                )?
                .query_row([hash], |row| Ok((user(row)?, row.get(8)?, row.get(9)?)))
                .optional()?)
        })
        .await
    }

    /// Note that a session was used. Not on record: it says nothing that the requests do not.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn touch_session(&self, hash: TokenHash, now_us: i64) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.connection.execute("UPDATE sessions SET seen_us = ?2 WHERE token_hash = ?1", (hash, now_us))?;
            Ok(())
        })
        .await
    }

    /// End a session.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn end_session(&self, scope: &Scope, hash: TokenHash) -> Result<(), StoreError> {
        self.change(scope, Change::new("session.end", scope.actor.to_string()), move |tx| {
            tx.connection.execute("DELETE FROM sessions WHERE token_hash = ?1", [hash])?;
            Ok(())
        })
        .await
    }

    /// Make an API token.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn create_token(
        &self,
        scope: &Scope,
        name: String,
        role: Role,
        hash: TokenHash,
    ) -> Result<TokenId, StoreError> {
        let id = TokenId::new();
        let (tenant, by) = (scope.tenant.clone(), scope.actor.to_string());
        self.change(scope, Change::new("token.create", format!("token:{id}")).with("role", role), move |tx| {
            tx.connection.execute(
                "INSERT INTO api_tokens (id, tenant_id, name, role, token_hash, created_us, created_by)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                (id, tenant, name, role.to_string(), hash, tx.now_us, by),
            )?;
            Ok(id)
        })
        .await
    }

    /// All tokens, newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn tokens(&self, scope: &Scope) -> Result<Vec<ApiToken>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(
                "SELECT id, name, role, created_us, created_by, used_us, revoked_us FROM api_tokens
                 WHERE tenant_id = ?1 ORDER BY created_us DESC",
            )?;
            let rows = statement.query_map([tenant], |row| {
                Ok(ApiToken {
                    id: row.get(0)?,
                    name: row.get(1)?,
                    role: row.get(2)?,
                    created_us: row.get(3)?,
                    created_by: row.get(4)?,
                    used_us: row.get(5)?,
                    revoked_us: row.get(6)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Tenant, id and role of a token that is in force.
    ///
    /// # Errors
    /// What the database says.
    pub async fn token(&self, hash: TokenHash) -> Result<Option<(String, TokenId, String)>, StoreError> {
        self.read(move |connection, _| {
            Ok(connection
                .prepare_cached(
                    "SELECT tenant_id, id, role FROM api_tokens WHERE token_hash = ?1 AND revoked_us IS NULL",
                )?
                .query_row([hash], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?)
        })
        .await
    }

    /// Revoke a token, at once.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn revoke_token(&self, scope: &Scope, id: TokenId) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.change(scope, Change::new("token.revoke", format!("token:{id}")), move |tx| {
            let changed = tx.connection.execute(
                "UPDATE api_tokens SET revoked_us = ?3 WHERE tenant_id = ?1 AND id = ?2 AND revoked_us IS NULL",
                (tenant, id, tx.now_us),
            )?;
            if changed == 0 { Err(StoreError::not_found("token", id)) } else { Ok(()) }
        })
        .await
    }
}
