//! New passwords: a link from an administrator or from the command line, or the person's own change.

use fumehood_policy::Permission;
use fumehood_store::people::{SignInLink, User};
use fumehood_store::{Actor, Change, Scope, UserId, clock};

use crate::people::{LINK_US, check_email, check_password, hash, hash_password, new_token, verify_password};
use crate::{App, TriageError};

impl App {
    /// A one-time link for somebody with an account to set a new password. The path, not the host.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict` for somebody who is locked out.
    pub async fn password_link(&self, scope: &Scope, user: UserId) -> Result<String, TriageError> {
        self.require(scope, Permission::ManagePeople)?;
        if scope.actor == Actor::User(user) {
            let message = "Your own password is changed with the current one, under your name at the top right.".into();
            return Err(TriageError::Conflict(message));
        }
        let (token, hash) = new_token("")?;
        self.0.store.create_password_link(scope, user, hash, clock::now_us() + LINK_US).await?;
        Ok(format!("/sign-in/{token}"))
    }

    /// As [`App::password_link`], for the account with an e-mail address.
    ///
    /// # Errors
    /// As there; `Invalid` for an address that nobody has.
    pub async fn password_link_for(&self, scope: &Scope, email: &str) -> Result<String, TriageError> {
        self.require(scope, Permission::ManagePeople)?;
        let email = check_email(email)?;
        let user = self.0.store.user_by_email(scope, &email).await?;
        let user = user.ok_or_else(|| TriageError::invalid("email", format!("Nobody has an account with {email}.")))?;
        self.password_link(scope, user.id).await
    }

    /// Set the password of the person that a link is for, and sign in. Returns the session's token.
    pub(crate) async fn renew_password(
        &self,
        user: UserId,
        link: &SignInLink,
        token: &str,
        password: &str,
    ) -> Result<String, TriageError> {
        check_password(password)?;
        let password = password.to_owned();
        let password_hash = self.hashing(move || hash_password(&password)).await??;
        self.0.store.use_password_link(user, hash(token), password_hash).await?;
        self.forget_attempts(&link.email);
        let user = self.0.store.user_by_email(&Scope::system(), &link.email).await?;
        self.new_session(&user.ok_or(TriageError::SignedOut)?).await
    }

    /// Change one's own password; ends one's other sessions.
    ///
    /// # Errors
    /// `Invalid` for the field `current` or `password`, `TooMany`.
    pub async fn change_password(
        &self,
        scope: &Scope,
        user: &User,
        session: &str,
        current: &str,
        new: &str,
    ) -> Result<(), TriageError> {
        let refused = |verb: &'static str| Change::new(verb, format!("user:{}", user.id));
        // Counted apart from signing in: who holds a session must not lock its owner out.
        let attempt = hash(&format!("password:{}", user.id));
        if let Err((error, first)) = self.begin_attempt(attempt) {
            if first {
                self.0.store.event(scope, refused("password.throttle"), "rate-limited").await?;
            }
            return Err(error);
        }
        let (tried, stored) = (current.to_owned(), user.password_hash.clone());
        if !self.hashing(move || verify_password(&tried, &stored)).await? {
            self.0.store.event(scope, refused("password.refused"), "auth").await?;
            return Err(TriageError::invalid("current", "That is not your password."));
        }
        self.forget_attempts(&format!("password:{}", user.id));
        check_password(new)?;
        let new = new.to_owned();
        let password_hash = self.hashing(move || hash_password(&new)).await??;
        let changed = (user.password_hash.clone(), password_hash);
        Ok(self.0.store.set_password(scope, user.id, changed, hash(session)).await?)
    }
}
