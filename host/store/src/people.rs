//! People, sessions, sign-in links and API tokens. Tokens are kept as SHA-256 hashes, passwords as Argon2id strings.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fumehood_policy::Role;
use rusqlite::{OptionalExtension as _, Row};

use crate::record::Change;
use crate::{Actor, LinkId, Scope, Store, StoreError, TokenId, Tx, UserId};

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
    /// When a session of theirs was last used.
    pub seen_us: Option<i64>,
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
    /// When it runs out; nothing where it does not.
    pub expires_us: Option<i64>,
    pub used_us: Option<i64>,
    pub revoked_us: Option<i64>,
}

/// A token that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInForce {
    pub tenant: String,
    pub id: TokenId,
    pub role: String,
    /// When its last use was written down.
    pub used_us: Option<i64>,
}

/// API tokens as they were read last, so that not every request reads the database. Exact: one process owns the data
/// folder, and what changes tokens forgets them here before it says that it is done.
#[derive(Default)]
pub(crate) struct KnownTokens {
    changes: AtomicU64,
    known: Mutex<HashMap<TokenHash, (TokenInForce, Option<i64>)>>,
}

/// Tokens that are remembered; beyond it all are forgotten.
const KNOWN_TOKENS: usize = 1_024;

impl KnownTokens {
    fn known(&self) -> MutexGuard<'_, HashMap<TokenHash, (TokenInForce, Option<i64>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, hash: &TokenHash, now_us: i64) -> Option<TokenInForce> {
        let known = self.known();
        let (token, expires_us) = known.get(hash)?;
        expires_us.is_none_or(|expires_us| expires_us > now_us).then(|| token.clone())
    }

    /// Keep what was read when so many changes had been made.
    fn keep(&self, at: u64, hash: TokenHash, token: TokenInForce, expires_us: Option<i64>) {
        let mut known = self.known();
        if known.len() >= KNOWN_TOKENS {
            known.clear();
        }
        if self.changes.load(Ordering::SeqCst) == at {
            known.insert(hash, (token, expires_us));
        }
    }

    fn forget(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.known().clear();
    }
}

/// A one-time link to make an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInLink {
    pub id: LinkId,
    pub role: String,
    /// The account's address; empty where whoever follows the link chooses one.
    pub email: String,
    /// Whom it is for, in the words of who made it; may be empty.
    pub note: String,
    pub created_us: i64,
    /// The actor, as the record has it.
    pub created_by: String,
    pub expires_us: i64,
    /// Whose password it sets; nothing where it makes an account.
    pub user_id: Option<UserId>,
}

const USER: &str = "id, tenant_id, email, name, password_hash, role, created_us, disabled_us, seen_us";
const LINK: &str = "id, role, email, note, created_us, created_by, expires_us, user_id";

fn link(row: &Row<'_>) -> rusqlite::Result<SignInLink> {
    Ok(SignInLink {
        id: row.get(0)?,
        role: row.get(1)?,
        email: row.get(2)?,
        note: row.get(3)?,
        created_us: row.get(4)?,
        created_by: row.get(5)?,
        expires_us: row.get(6)?,
        user_id: row.get(7)?,
    })
}

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
        seen_us: row.get(8)?,
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

    /// Make a one-time link, until `expires_us`. The note stays off the record: it may name a person.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn create_link(
        &self,
        scope: &Scope,
        hash: TokenHash,
        role: Role,
        email: String,
        note: String,
        expires_us: i64,
    ) -> Result<LinkId, StoreError> {
        let id = LinkId::new();
        let (tenant, by) = (scope.tenant.clone(), scope.actor.to_string());
        let change = Change::new("people.invite", format!("link:{id}")).with("role", role);
        self.change(scope, change, move |tx| {
            tx.connection.execute(
                "INSERT INTO sign_in_links (token_hash, id, tenant_id, role, email, note, created_us, created_by, expires_us)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                (hash, id, tenant, role.to_string(), email, note, tx.now_us, by, expires_us),
            )?;
            Ok(id)
        })
        .await
    }

    /// The links that can still be used, the newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn links(&self, scope: &Scope, now_us: i64) -> Result<Vec<SignInLink>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {LINK} FROM sign_in_links WHERE tenant_id = ?1 AND used_us IS NULL AND expires_us > ?2
                 ORDER BY created_us DESC, id DESC"
            ))?;
            Ok(statement.query_map((tenant, now_us), link)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Take back a link that was not used; it opens nothing from now on.
    ///
    /// # Errors
    /// `NotFound` where it was used or taken back already.
    pub async fn withdraw_link(&self, scope: &Scope, id: LinkId) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.change(scope, Change::new("people.withdraw", format!("link:{id}")), move |tx| {
            let changed = tx.connection.execute(
                "DELETE FROM sign_in_links WHERE tenant_id = ?1 AND id = ?2 AND used_us IS NULL",
                (tenant, id),
            )?;
            if changed == 0 { Err(StoreError::not_found("sign-in link", id)) } else { Ok(()) }
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
                    &format!(
                        "SELECT {LINK} FROM sign_in_links
                         WHERE token_hash = ?1 AND used_us IS NULL AND expires_us > ?2"
                    ),
                    (hash, now_us),
                    link,
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
                     AND user_id IS NULL RETURNING role",
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
            let people: i64 = tx.connection.query_row(
                "SELECT count(*) FROM users WHERE tenant_id = ?1",
                [&tenant],
                |row| row.get(0),
            )?;
            if people == 1 {
                // Every start before the first account printed a link for an administrator: one was meant.
                tx.connection
                    .execute("DELETE FROM sign_in_links WHERE tenant_id = ?1 AND used_us IS NULL", [&tenant])?;
            }
            Ok(tx.connection.query_row(&format!("SELECT {USER} FROM users WHERE id = ?1"), [id], user)?)
        })
        .await
    }

    /// Change someone's role, or lock them out. That ends their sessions, and, where they are no administrator any more,
    /// the tokens and links that they made. The last administrator stays one.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` where nobody would be left who can administer.
    pub async fn set_user(&self, scope: &Scope, id: UserId, role: Role, disabled: bool) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        let change = Change::new("people.change", format!("user:{id}")).with("role", role).with("disabled", disabled);
        self.change(scope, change, move |tx| {
            let changed = tx.connection.execute(
                "UPDATE users SET role = ?3, disabled_us = CASE WHEN ?4 THEN coalesce(disabled_us, ?5) END
                 WHERE tenant_id = ?1 AND id = ?2",
                (&tenant, id, role.to_string(), disabled, tx.now_us),
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
                return Err(StoreError::Conflict(
                    "This is the last administrator. Make someone else administrator first; nothing was changed."
                        .into(),
                ));
            }
            // A role takes effect at once: whoever holds a session signs in again with the new one.
            tx.connection.execute("DELETE FROM sessions WHERE user_id = ?1", [id])?;
            if disabled {
                // What they signed in at is theirs alone.
                let owner = crate::Actor::User(id).to_string();
                for table in ["oauth_grants", "oauth_pending"] {
                    tx.connection
                        .execute(&format!("DELETE FROM {table} WHERE tenant_id = ?1 AND owner = ?2"), (&tenant, &owner))?;
                }
                tx.connection.execute(
                    "DELETE FROM sign_in_links WHERE tenant_id = ?1 AND user_id = ?2 AND used_us IS NULL",
                    (&tenant, id),
                )?;
            }
            if disabled || role != Role::Admin {
                // Nor do the ways in that they made outlast their right to make them.
                let by = crate::Actor::User(id).to_string();
                tx.connection.execute(
                    "UPDATE api_tokens SET revoked_us = ?3 WHERE tenant_id = ?1 AND created_by = ?2 AND revoked_us IS NULL",
                    (&tenant, &by, tx.now_us),
                )?;
                tx.connection.execute(
                    "DELETE FROM sign_in_links WHERE tenant_id = ?1 AND created_by = ?2 AND used_us IS NULL",
                    (&tenant, &by),
                )?;
            }
            Ok(())
        })
        .await?;
        self.known_tokens().forget();
        Ok(())
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
            tx.connection.execute("UPDATE users SET seen_us = ?2 WHERE id = ?1", (user, tx.now_us))?;
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
                     u.seen_us, s.created_us, s.seen_us FROM sessions s JOIN users u ON u.id = s.user_id
                     WHERE s.token_hash = ?1 AND u.disabled_us IS NULL",
                )?
                .query_row([hash], |row| Ok((user(row)?, row.get(9)?, row.get(10)?)))
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
            tx.connection.execute(
                "UPDATE users SET seen_us = ?2 WHERE id = (SELECT user_id FROM sessions WHERE token_hash = ?1)",
                (hash, now_us),
            )?;
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

    /// Make an API token; it runs out at `expires_us`, or not at all.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn create_token(
        &self,
        scope: &Scope,
        name: String,
        role: Role,
        hash: TokenHash,
        expires_us: Option<i64>,
    ) -> Result<TokenId, StoreError> {
        let id = TokenId::new();
        let (tenant, by) = (scope.tenant.clone(), scope.actor.to_string());
        let change = Change::new("token.create", format!("token:{id}"))
            .with("role", role)
            .with("expires", expires_us.map_or_else(|| "never".to_owned(), crate::clock::rfc3339));
        self.change(scope, change, move |tx| {
            tx.connection.execute(
                "INSERT INTO api_tokens (id, tenant_id, name, role, token_hash, created_us, created_by, expires_us)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                (id, tenant, name, role.to_string(), hash, tx.now_us, by, expires_us),
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
                "SELECT id, name, role, created_us, created_by, used_us, revoked_us, expires_us FROM api_tokens
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
                    expires_us: row.get(7)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// A token that is in force at `now_us`: neither revoked nor run out.
    ///
    /// # Errors
    /// What the database says.
    pub async fn token(&self, hash: TokenHash, now_us: i64) -> Result<Option<TokenInForce>, StoreError> {
        let known = self.known_tokens();
        if let Some(token) = known.get(&hash, now_us) {
            return Ok(Some(token));
        }
        let at = known.changes.load(Ordering::SeqCst);
        let found = self
            .read(move |connection, _| {
                let row = |row: &Row<'_>| {
                    let token =
                        TokenInForce { tenant: row.get(0)?, id: row.get(1)?, role: row.get(2)?, used_us: row.get(3)? };
                    Ok((token, row.get(4)?))
                };
                Ok(connection
                    .prepare_cached(
                        "SELECT tenant_id, id, role, used_us, expires_us FROM api_tokens
                         WHERE token_hash = ?1 AND revoked_us IS NULL AND (expires_us IS NULL OR expires_us > ?2)",
                    )?
                    .query_row((hash, now_us), row)
                    .optional()?)
            })
            .await?;
        if let Some((token, expires_us)) = &found {
            known.keep(at, hash, token.clone(), *expires_us);
        }
        Ok(found.map(|(token, _)| token))
    }

    /// Note that a token was used. Not on record: what it did is.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn touch_token(&self, id: TokenId, now_us: i64) -> Result<(), StoreError> {
        self.change_tokens(move |store| async move {
            store
                .write(move |tx| {
                    tx.connection.execute("UPDATE api_tokens SET used_us = ?2 WHERE id = ?1", (id, now_us))?;
                    Ok(())
                })
                .await
        })
        .await
    }

    /// Do what changes tokens, and forget what is known of them: also where whoever asked for it has gone meanwhile, since
    /// what was begun is written all the same.
    async fn change_tokens<F, W>(&self, work: W) -> Result<(), StoreError>
    where
        W: FnOnce(Self) -> F,
        F: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        let (store, work) = (self.clone(), work(self.clone()));
        let changed = async move {
            let changed = work.await;
            store.known_tokens().forget();
            changed
        };
        tokio::spawn(changed).await.unwrap_or(Err(StoreError::Closed))
    }

    /// Revoke a token, at once; calls of its that wait for a person are over.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn revoke_token(&self, scope: &Scope, id: TokenId) -> Result<(), StoreError> {
        let scope = scope.clone();
        self.change_tokens(move |store| async move {
            let tenant = scope.tenant.clone();
            let change = Change::new("token.revoke", format!("token:{id}"));
            let revoke = move |tx: &mut Tx<'_>| {
                let changed = tx.connection.execute(
                    "UPDATE api_tokens SET revoked_us = ?3 WHERE tenant_id = ?1 AND id = ?2 AND revoked_us IS NULL",
                    (&tenant, id, tx.now_us),
                )?;
                if changed == 0 {
                    return Err(StoreError::not_found("token", id));
                }
                crate::calls::end_asks(tx.connection, &tenant, &Actor::Token(id))
            };
            store.change(&scope, change, revoke).await
        })
        .await
    }
}
