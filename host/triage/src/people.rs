//! Accounts, sessions and tokens.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use fumehood_policy::{Permission, Role};
use fumehood_store::people::{ApiToken, SignInLink, User};
use fumehood_store::{Actor, Change, LinkId, Scope, TokenId, UserId, clock};
use sha2::{Digest as _, Sha256};

use crate::{App, TriageError};

/// A session ends after this long without a request, microseconds: a night, not a weekend.
pub const SESSION_IDLE_US: i64 = 12 * 3600 * 1_000_000;
/// A session ends this long after the sign-in, microseconds.
pub const SESSION_MAX_US: i64 = 7 * 24 * 3600 * 1_000_000;
/// A sign-in link can be used for this long, microseconds.
pub const LINK_US: i64 = 24 * 3600 * 1_000_000;
/// How often the last use of a session or a token is written down, microseconds.
const TOUCH_US: i64 = 60 * 1_000_000;
/// Longest life of a token that runs out, days: ten years.
const TOKEN_DAYS: u32 = 3_650;
/// A day, microseconds.
const DAY_US: i64 = 24 * 3600 * 1_000_000;
/// Sign-ins that may fail for one address before it has to wait, and how long, microseconds.
const ATTEMPTS: (u32, Duration) = (5, Duration::from_secs(60));
/// How long a sign-in waits for others to be checked.
const HASHING_WAIT: Duration = Duration::from_secs(15);
/// Shortest password, characters; longest, bytes.
pub const PASSWORD: (usize, usize) = (12, 1024);

/// Characters that a name is shown without, or that turn what stands beside it around.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A new random token of 256 bits in URL-safe text, and its hash.
pub(crate) fn new_token(prefix: &str) -> Result<(String, [u8; 32]), TriageError> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| TriageError::Internal(error.to_string()))?;
    let text = format!("{prefix}{}", data_encoding::BASE64URL_NOPAD.encode(&bytes));
    let hash = hash(&text);
    Ok((text, hash))
}

pub(crate) fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

pub(crate) fn hash_password(password: &str) -> Result<String, TriageError> {
    use argon2::PasswordHasher as _;
    argon2::Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| TriageError::Internal(error.to_string()))
}

pub(crate) fn verify_password(password: &str, stored: &str) -> bool {
    use argon2::PasswordVerifier as _;
    argon2::Argon2::default().verify_password(password.as_bytes(), stored).is_ok()
}

pub(crate) fn check_email(email: &str) -> Result<String, TriageError> {
    let email = email.trim().to_lowercase();
    let valid =
        email.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.len() > 1 && !host.contains('@'));
    if valid && email.len() <= 254 && !email.contains(char::is_whitespace) {
        return Ok(email);
    }
    Err(TriageError::invalid("email", "That is not an e-mail address."))
}

/// The address and the note of an invitation, from the one field that says whom it is for.
fn invitation(text: &str) -> Result<(String, String), TriageError> {
    let text = text.trim();
    if text.chars().count() > 100 || text.chars().any(is_hidden) {
        return Err(TriageError::invalid("note", "Say in at most 100 characters whom the link is for."));
    }
    // One word with an @ is meant as an address; if it is none, that is a slip and not a note.
    if text.contains('@') && !text.contains(char::is_whitespace) {
        return Ok((check_email(text)?, String::new()));
    }
    Ok((String::new(), text.to_owned()))
}

pub(crate) fn check_password(password: &str) -> Result<(), TriageError> {
    if password.chars().count() < PASSWORD.0 {
        return Err(TriageError::invalid("password", format!("A password has at least {} characters.", PASSWORD.0)));
    }
    if password.len() > PASSWORD.1 {
        return Err(TriageError::invalid("password", format!("A password has at most {} bytes.", PASSWORD.1)));
    }
    Ok(())
}

/// The scope of a signed-in person.
fn scope_of(user: &User) -> Scope {
    Scope { tenant: user.tenant.clone(), actor: Actor::User(user.id), role: user.role() }
}

impl App {
    /// The link that makes the first administrator; nothing where somebody has an account. The path, not the host.
    ///
    /// # Errors
    /// `DiskFull`.
    pub async fn first_link(&self) -> Result<Option<String>, TriageError> {
        let scope = Scope::system();
        if self.0.store.has_users(&scope).await? {
            return Ok(None);
        }
        self.new_link(&scope, Role::Admin, String::new(), String::new()).await.map(Some)
    }

    /// Whether anyone has an account yet.
    ///
    /// # Errors
    /// What the store says.
    pub async fn has_people(&self) -> Result<bool, TriageError> {
        Ok(self.0.store.has_users(&Scope::system()).await?)
    }

    async fn new_link(&self, scope: &Scope, role: Role, email: String, note: String) -> Result<String, TriageError> {
        let (token, hash) = new_token("")?;
        self.0.store.create_link(scope, hash, role, email, note, clock::now_us() + LINK_US).await?;
        Ok(format!("/sign-in/{token}"))
    }

    /// A link for someone to make an account. The path, not the host. `note` says whom it is for; where it is an e-mail
    /// address, the account will have that one, and otherwise whoever follows the link chooses.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`.
    pub async fn invite(&self, scope: &Scope, role: Role, note: &str) -> Result<String, TriageError> {
        self.require(scope, Permission::ManagePeople)?;
        let (email, note) = invitation(note)?;
        if !email.is_empty() {
            let taken = |message: String| Err(TriageError::invalid("note", message));
            if self.0.store.user_by_email(scope, &email).await?.is_some() {
                return taken(format!("{email} has an account already. Change its role in the list below."));
            }
            if self.0.store.links(scope, clock::now_us()).await?.iter().any(|link| link.email == email) {
                return taken(format!("There is a link for {email} already. Withdraw it to make another."));
            }
        }
        self.new_link(scope, role, email, note).await
    }

    /// The links that can still be used, the newest first.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn invitations(&self, scope: &Scope) -> Result<Vec<SignInLink>, TriageError> {
        self.require(scope, Permission::ManagePeople)?;
        Ok(self.0.store.links(scope, clock::now_us()).await?)
    }

    /// Take a link back, at once.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound` where it was used meanwhile.
    pub async fn withdraw(&self, scope: &Scope, id: LinkId) -> Result<(), TriageError> {
        self.require(scope, Permission::ManagePeople)?;
        Ok(self.0.store.withdraw_link(scope, id).await?)
    }

    /// Whom a link is for, if it can still be used.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn link(&self, token: &str) -> Result<SignInLink, TriageError> {
        let link = self.0.store.link(hash(token), clock::now_us()).await?;
        link.ok_or(TriageError::NotFound { what: "sign-in link that can still be used" })
    }

    /// Make the account that a link stands for, or set the new password that it is for, and sign in. Returns the session's token.
    ///
    /// # Errors
    /// `NotFound`, `Invalid`, `Conflict`.
    pub async fn join(&self, token: &str, email: &str, name: &str, password: &str) -> Result<String, TriageError> {
        let link = self.link(token).await?;
        if let Some(user) = link.user_id {
            return self.renew_password(user, &link, token, password).await;
        }
        let email = if link.email.is_empty() { check_email(email)? } else { link.email };
        let name = name.trim();
        if name.is_empty() || name.chars().count() > 100 || name.chars().any(is_hidden) {
            return Err(TriageError::invalid("name", "Give your name, at most 100 characters."));
        }
        check_password(password)?;
        let password = password.to_owned();
        let password_hash = self.hashing(move || hash_password(&password)).await??;
        let user = self.0.store.use_link(hash(token), email, name.into(), password_hash).await?;
        self.new_session(&user).await
    }

    pub(crate) async fn new_session(&self, user: &User) -> Result<String, TriageError> {
        let (token, hash) = new_token("")?;
        self.0.store.create_session(&scope_of(user), user.id, hash).await?;
        Ok(token)
    }

    /// Sign in by e-mail address and password. Returns the session's token. A refusal is on record with the account that
    /// was tried, where there is one, and the address that it came from; what was typed is not, it may be a password.
    ///
    /// # Errors
    /// `Invalid` (one message, whoever is wrong), `TooMany`.
    pub async fn sign_in(&self, email: &str, password: &str, from: IpAddr) -> Result<String, TriageError> {
        let wrong = || TriageError::invalid("password", "The e-mail address or the password is wrong.");
        let Ok(email) = check_email(email) else { return Err(wrong()) };
        let attempt = hash(&email);
        let system = Scope::system();
        let user = self.0.store.user_by_email(&system, &email).await?;
        let refused = |verb: &'static str| {
            let subject = user.as_ref().map_or("session:none".to_owned(), |user| format!("user:{}", user.id));
            Change::new(verb, subject).with("from", from)
        };
        if let Err((error, first)) = self.begin_attempt(attempt) {
            if first {
                self.0.store.event(&system, refused("session.throttle"), "rate-limited").await?;
            }
            return Err(error);
        }
        let refused = refused("session.refused");
        let user = user.filter(|user| user.disabled_us.is_none());
        // An unknown address takes as long as a known one.
        const NOBODY: &str =
            "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let stored = user.as_ref().map_or(NOBODY.to_owned(), |user| user.password_hash.clone());
        let tried: String = password.chars().take(PASSWORD.1).collect();
        let right = self.hashing(move || verify_password(&tried, &stored)).await?;
        match user.filter(|_| right) {
            Some(user) => {
                self.forget_attempts(&email);
                self.new_session(&user).await
            }
            None => {
                self.0.store.event(&system, refused, "auth").await?;
                Err(wrong())
            }
        }
    }

    /// Work on a password. A few at once: hundreds of sign-ins at a time must not take the memory.
    pub(crate) async fn hashing<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, TriageError> {
        let room = tokio::time::timeout(HASHING_WAIT, self.0.hashing.acquire()).await;
        let _room = room.map_err(|_| TriageError::TooMany { seconds: HASHING_WAIT.as_secs() })?;
        blocking(work).await
    }

    /// Count an attempt before it is made, so that many at once count as many. Says of a refusal whether it is the first
    /// one of its time.
    pub(crate) fn begin_attempt(&self, address: [u8; 32]) -> Result<(), (TriageError, bool)> {
        let Ok(mut attempts) = self.0.attempts.lock() else {
            return Err((TriageError::Internal("lock".into()), false));
        };
        // Bounded: whoever makes up addresses must not fill the memory.
        if attempts.len() > 10_000 {
            attempts.retain(|_, (_, last)| last.elapsed() < ATTEMPTS.1);
        }
        let (count, last) = attempts.entry(address).or_insert((0, Instant::now()));
        if last.elapsed() >= ATTEMPTS.1 {
            *count = 0;
        } else if *count >= ATTEMPTS.0 {
            let seconds = (ATTEMPTS.1 - last.elapsed()).as_secs().max(1);
            let first = *count == ATTEMPTS.0;
            *count = ATTEMPTS.0 + 1;
            return Err((TriageError::TooMany { seconds }, first));
        }
        (*count, *last) = (*count + 1, Instant::now());
        Ok(())
    }

    /// Who has shown the right password has made no wrong attempts.
    pub(crate) fn forget_attempts(&self, email: &str) {
        if let Ok(mut attempts) = self.0.attempts.lock() {
            attempts.remove(&hash(email));
        }
    }

    /// The person of a session that is in force.
    ///
    /// # Errors
    /// `SignedOut`.
    pub async fn session(&self, token: &str) -> Result<(Scope, User), TriageError> {
        let hash = hash(token);
        let (user, created_us, seen_us) = self.0.store.session(hash).await?.ok_or(TriageError::SignedOut)?;
        let now = clock::now_us();
        if now - seen_us > SESSION_IDLE_US || now - created_us > SESSION_MAX_US {
            return Err(TriageError::SignedOut);
        }
        if now - seen_us > TOUCH_US {
            self.0.store.touch_session(hash, now).await?;
        }
        Ok((scope_of(&user), user))
    }

    /// End a session.
    ///
    /// # Errors
    /// `DiskFull`.
    pub async fn sign_out(&self, scope: &Scope, token: &str) -> Result<(), TriageError> {
        Ok(self.0.store.end_session(scope, hash(token)).await?)
    }

    /// The scope of an API token that is in force.
    ///
    /// # Errors
    /// `SignedOut`.
    pub async fn bearer(&self, token: &str) -> Result<Scope, TriageError> {
        let now = clock::now_us();
        let token = self.0.store.token(hash(token), now).await?.ok_or(TriageError::SignedOut)?;
        let role = token.role.parse().map_err(|_| TriageError::SignedOut)?;
        // A disk that is full must not keep a token from reading.
        if token.used_us.is_none_or(|used| now - used > TOUCH_US)
            && let Err(error) = self.0.store.touch_token(token.id, now).await
        {
            tracing::warn!(%error, "the last use of a token could not be written down");
        }
        Ok(Scope { tenant: token.tenant, actor: Actor::Token(token.id), role })
    }

    /// Make an API token that is in force for so many days, or until it is revoked; its value is returned once and kept
    /// nowhere.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`.
    pub async fn create_token(
        &self,
        scope: &Scope,
        name: &str,
        role: Role,
        days: Option<u32>,
    ) -> Result<(TokenId, String), TriageError> {
        self.require(scope, Permission::ManageTokens)?;
        let name = name.trim();
        if name.is_empty() || name.chars().count() > 100 || name.chars().any(is_hidden) {
            return Err(TriageError::invalid("name", "Name the token after what will use it, at most 100 characters."));
        }
        let expires_us = match days {
            None => None,
            Some(days @ 1..=TOKEN_DAYS) => Some(clock::now_us() + i64::from(days) * DAY_US),
            Some(_) => {
                return Err(TriageError::invalid("days", format!("A token is in force for 1 to {TOKEN_DAYS} days.")));
            }
        };
        let (token, hash) = new_token("fh_")?;
        let id = self.0.store.create_token(scope, name.into(), role, hash, expires_us).await?;
        Ok((id, token))
    }

    /// All API tokens.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn tokens(&self, scope: &Scope) -> Result<Vec<ApiToken>, TriageError> {
        self.require(scope, Permission::ManageTokens)?;
        Ok(self.0.store.tokens(scope).await?)
    }

    /// Revoke an API token, at once.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn revoke_token(&self, scope: &Scope, id: TokenId) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageTokens)?;
        self.0.store.revoke_token(scope, id).await?;
        self.0.decided.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Everyone with an account.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn users(&self, scope: &Scope) -> Result<Vec<User>, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        Ok(self.0.store.users(scope).await?)
    }

    /// Change someone's role, or lock them out.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict`.
    pub async fn set_user(&self, scope: &Scope, id: UserId, role: Role, disabled: bool) -> Result<(), TriageError> {
        self.require(scope, Permission::ManagePeople)?;
        Ok(self.0.store.set_user(scope, id, role, disabled).await?)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, TriageError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| TriageError::Internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_keeps_its_note_and_an_address_is_the_accounts() {
        let of = |text: &str| invitation(text).unwrap();
        assert_eq!(of(" Ana, on call "), (String::new(), "Ana, on call".into()));
        assert_eq!(of("Ana@Ops.example"), ("ana@ops.example".into(), String::new()));
        assert_eq!(of("Ana at @home"), (String::new(), "Ana at @home".into()));
        assert_eq!(of(""), (String::new(), String::new()));
        for bad in ["ana@@ops", "@ops", "a\nb", &"x".repeat(101)] {
            assert!(invitation(bad).is_err(), "{bad}");
        }
    }
}
