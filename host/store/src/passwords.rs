//! New passwords: by a one-time link, or by the person.

use rusqlite::OptionalExtension as _;

use crate::people::TokenHash;
use crate::record::Change;
use crate::{LinkId, Scope, Store, StoreError, UserId};

impl Store {
    /// Make a one-time link that sets a person's password, until `expires_us`; an older one opens nothing any more.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` where the person is locked out.
    pub async fn create_password_link(
        &self,
        scope: &Scope,
        user: UserId,
        hash: TokenHash,
        expires_us: i64,
    ) -> Result<(), StoreError> {
        let id = LinkId::new();
        let (tenant, by) = (scope.tenant.clone(), scope.actor.to_string());
        let change = Change::new("people.password-link", format!("user:{user}")).with("link", id);
        self.change(scope, change, move |tx| {
            let found: Option<(String, bool)> = tx
                .connection
                .query_row(
                    "SELECT role, disabled_us IS NOT NULL FROM users WHERE tenant_id = ?1 AND id = ?2",
                    (&tenant, user),
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            let (role, disabled) = found.ok_or_else(|| StoreError::not_found("person", user))?;
            if disabled {
                return Err(StoreError::Conflict("This person is switched off. Let them in first.".into()));
            }
            tx.connection.execute(
                "DELETE FROM sign_in_links WHERE tenant_id = ?1 AND user_id = ?2 AND used_us IS NULL",
                (&tenant, user),
            )?;
            tx.connection.execute(
                "INSERT INTO sign_in_links (token_hash, id, tenant_id, role, email, note, created_us, created_by, expires_us,
                 user_id) SELECT ?1, ?2, tenant_id, ?3, email, '', ?4, ?5, ?6, id FROM users WHERE tenant_id = ?7 AND id = ?8",
                (hash, id, role, tx.now_us, by, expires_us, &tenant, user),
            )?;
            Ok(())
        })
        .await
    }

    /// Use a link up and set the password of the person that it is for. Ends their sessions.
    ///
    /// # Errors
    /// `NotFound` where the link was used, ran out, or is for somebody who is locked out.
    pub async fn use_password_link(
        &self,
        user: UserId,
        hash: TokenHash,
        password_hash: String,
    ) -> Result<(), StoreError> {
        let scope = Scope { actor: crate::Actor::User(user), ..Scope::system() };
        let tenant = scope.tenant.clone();
        self.change(&scope, Change::new("people.password", format!("user:{user}")).with("by", "link"), move |tx| {
            let used = tx.connection.execute(
                "UPDATE sign_in_links SET used_us = ?3 WHERE token_hash = ?1 AND user_id = ?2 AND used_us IS NULL
                 AND expires_us > ?3",
                (hash, user, tx.now_us),
            )?;
            let changed = tx.connection.execute(
                "UPDATE users SET password_hash = ?3 WHERE tenant_id = ?1 AND id = ?2 AND disabled_us IS NULL",
                (&tenant, user, &password_hash),
            )?;
            if used == 0 || changed == 0 {
                return Err(StoreError::not_found("sign-in link", "(used or expired)"));
            }
            tx.connection.execute("DELETE FROM sessions WHERE user_id = ?1", [user])?;
            Ok(())
        })
        .await
    }

    /// Set a person's password in the place of the one that was checked. Ends all their sessions but one, and takes back
    /// links to new passwords.
    ///
    /// # Errors
    /// `Conflict` where the password, the session or the account is another one meanwhile.
    pub async fn set_password(
        &self,
        scope: &Scope,
        user: UserId,
        (checked, password_hash): (String, String),
        kept: TokenHash,
    ) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.change(scope, Change::new("people.password", format!("user:{user}")), move |tx| {
            let changed = tx.connection.execute(
                "UPDATE users SET password_hash = ?3 WHERE tenant_id = ?1 AND id = ?2 AND password_hash = ?4
                 AND disabled_us IS NULL AND EXISTS (SELECT 1 FROM sessions WHERE user_id = ?2 AND token_hash = ?5)",
                (&tenant, user, &password_hash, &checked, kept),
            )?;
            if changed == 0 {
                return Err(StoreError::Conflict(
                    "Your password was changed meanwhile, or your session is over. Nothing was changed; sign in again."
                        .into(),
                ));
            }
            tx.connection.execute("DELETE FROM sessions WHERE user_id = ?1 AND token_hash <> ?2", (user, kept))?;
            tx.connection.execute("DELETE FROM sign_in_links WHERE user_id = ?1 AND used_us IS NULL", [user])?;
            Ok(())
        })
        .await
    }
}
