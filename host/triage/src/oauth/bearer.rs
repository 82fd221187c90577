//! The token for a request: as it is kept, or refreshed first.

use fumehood_mcp::Refusal;
use fumehood_oauth::{BearerError, Challenge, Registration, RegistrationKind, Remedy, Scopes, refresh};
use fumehood_store::outside::{McpServer, NewTokens, OauthGrant};
use fumehood_store::{Actor, Scope, ServerId, clock};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use url::Url;

use super::http::Outside;
use super::{Kept, failed, opened};
use crate::{App, TriageError};

/// How long before it runs out a token is refreshed.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);

/// How long a sign-in is new, microseconds: a refusal that arrives meanwhile is about the one before.
const NEW_US: i64 = 10_000_000;

/// What can be said where nobody has signed in.
fn nobody(server: &McpServer) -> TriageError {
    TriageError::Conflict(format!("{} asks for a sign-in. Choose “Sign in” on its page.", server.name))
}

/// Why there is no token for a request.
pub(crate) struct NoToken {
    /// It may pass by itself.
    pub(crate) later: bool,
    pub(crate) reason: String,
}

impl From<TriageError> for NoToken {
    fn from(error: TriageError) -> Self {
        Self { later: false, reason: error.to_string() }
    }
}

impl App {
    /// Whose sign-in a request of somebody goes by: everybody's, their own, or for what runs by itself the first one.
    ///
    /// # Errors
    /// `Conflict` where there is none.
    pub(crate) async fn sign_in_owner(&self, scope: &Scope, server: &McpServer) -> Result<String, TriageError> {
        let grants = self.0.store.oauth_grants(scope, server.id).await?;
        let owner = match &scope.actor {
            _ if server.auth_kind == "oauth" => String::new(),
            Actor::User(_) => scope.actor.to_string(),
            Actor::System | Actor::Operator => {
                let good = grants.iter().find(|grant| grant.reason.is_empty());
                good.map(|grant| grant.owner.clone()).unwrap_or_default()
            }
            Actor::Token(_) => {
                let what = format!(
                    "At {} each person signs in, and an API token is nobody. With one sign-in for everybody it can be used.",
                    server.name
                );
                return Err(TriageError::Conflict(what));
            }
        };
        match grants.iter().find(|grant| grant.owner == owner) {
            Some(grant) if grant.reason.is_empty() => Ok(owner),
            Some(grant) => Err(TriageError::Conflict(format!(
                "The sign-in at {} is good for nothing any more: {} Sign in again on its page.",
                server.name, grant.reason
            ))),
            None => Err(nobody(server)),
        }
    }

    /// The value of the header for a request to a server.
    ///
    /// # Errors
    /// Where there is no token and none can be got: whether that may pass by itself, and what to do.
    pub(crate) async fn bearer_for(&self, scope: &Scope, id: ServerId, owner: &str) -> Result<SecretString, NoToken> {
        let server = self.0.store.server(scope, id).await.map_err(TriageError::from)?;
        let url = Url::parse(&server.url).map_err(|_| TriageError::Conflict("Its address is no URL.".into()))?;
        let found = self.0.store.oauth_tokens(scope, id, owner).await.map_err(TriageError::from)?;
        let found = found.ok_or_else(|| nobody(&server))?;
        let kept = match needs_refresh(&found.0) {
            false => opened::<Kept>(&found.1)?,
            true => self.refreshed(scope, &server, owner, &found.0.id).await?,
        };
        let value = kept.tokens.authorization(&url).map_err(|error| failed(&error))?;
        let text = value.to_str().map_err(|_| TriageError::Conflict("The token cannot be sent.".into()))?;
        Ok(SecretString::from(text.to_owned()))
    }

    /// Refresh a grant, unless somebody else just has.
    async fn refreshed(&self, scope: &Scope, server: &McpServer, owner: &str, grant: &str) -> Result<Kept, NoToken> {
        let turn = self.0.refreshing.of(grant).lock_owned().await;
        let found = self.0.store.oauth_tokens(scope, server.id, owner).await.map_err(TriageError::from)?;
        let (grant, text) = found.ok_or_else(|| nobody(server))?;
        let kept: Kept = opened(&text)?;
        if !needs_refresh(&grant) {
            return Ok(kept);
        }
        // On its own, with its turn: whoever waits may go away, and a rotated token that was used must not get lost.
        let (app, scope, server) = (self.clone(), scope.clone(), server.clone());
        let task = self.0.tasks.spawn(async move {
            let _turn = turn;
            let renewed = app.refresh_now(&scope, &server, &grant, kept).await;
            app.0.refreshing.done(&grant.id);
            renewed
        });
        task.await.map_err(|error| TriageError::Internal(error.to_string()))?
    }

    async fn refresh_now(
        &self,
        scope: &Scope,
        server: &McpServer,
        grant: &OauthGrant,
        kept: Kept,
    ) -> Result<Kept, NoToken> {
        let store = &self.0.store;
        let now = clock::now();
        let outside = Outside { app: self, scope, server };
        let error = match refresh(&outside, &kept.discovery, &kept.registration, &kept.tokens, now).await {
            Ok(tokens) => {
                let kept = Kept { tokens, ..kept };
                let new = NewTokens {
                    issuer: grant.issuer.clone(),
                    scopes: kept.tokens.granted().to_string(),
                    expires_us: kept.tokens.expires_at().map(Timestamp::as_microsecond),
                    tokens: kept.sealed()?,
                };
                let written = store.refresh_oauth(scope, grant, new).await.map_err(TriageError::from)?;
                // Somebody has signed in anew meanwhile.
                let again = || NoToken { later: true, reason: "the sign-in was renewed a moment ago".into() };
                return if written { Ok(kept) } else { Err(again()) };
            }
            Err(error) => error,
        };
        let may_pass = !matches!(error.remedy(), Remedy::SignIn | Remedy::Register);
        // The old one is good for a little longer.
        if may_pass && grant.expires_us != Some(0) && !kept.tokens.expires(now, SignedDuration::ZERO) {
            return Ok(kept);
        }
        if !may_pass {
            self.forget_registration(scope, &kept.registration, error.remedy()).await?;
            let reason = failed(&error).to_string();
            store.note_oauth(scope, grant, Some(reason), None).await.map_err(TriageError::from)?;
        }
        Err(NoToken { later: matches!(error.remedy(), Remedy::Later { .. }), reason: failed(&error).to_string() })
    }

    /// A registration that the issuer does not know any more is made anew at the next sign-in; one that was made by hand is
    /// for people to mend.
    async fn forget_registration(&self, scope: &Scope, used: &Registration, remedy: Remedy) -> Result<(), TriageError> {
        if remedy != Remedy::Register || used.kind() == RegistrationKind::ByHand {
            return Ok(());
        }
        let kept = self.0.store.oauth_client(scope, used.issuer()).await?;
        let is_same = kept
            .and_then(|kept| opened::<Registration>(&kept).ok())
            .is_some_and(|one| one.client_id() == used.client_id());
        if is_same {
            self.0.store.forget_oauth_client(scope, used.issuer().to_owned()).await?;
        }
        Ok(())
    }

    /// Every token that goes to servers, so that it can be taken out of what they say.
    pub(crate) async fn tokens_in_use(&self, scope: &Scope) -> Result<Vec<SecretString>, TriageError> {
        let mut tokens = Vec::new();
        for server in self.0.store.servers(scope).await?.into_iter().filter(McpServer::signs_in) {
            let Ok(url) = Url::parse(&server.url) else { continue };
            for grant in self.0.store.oauth_grants(scope, server.id).await? {
                let Some((_, text)) = self.0.store.oauth_tokens(scope, server.id, &grant.owner).await? else {
                    continue;
                };
                let value = opened::<Kept>(&text).ok().and_then(|kept| kept.tokens.authorization(&url).ok());
                let bare =
                    value.as_ref().and_then(|value| value.to_str().ok()?.strip_prefix("Bearer ").map(str::to_owned));
                tokens.extend(bare.map(SecretString::from));
            }
        }
        Ok(tokens)
    }

    /// Note that a server did not take its token (`unauthorized`), or wants more scopes than it has: the next request
    /// refreshes it, and what is wanted is asked for when somebody signs in again. `true` where it is worth trying again.
    pub(crate) async fn token_refused(&self, scope: &Scope, server: &McpServer, refusal: &Refusal) -> bool {
        let Ok(owner) = self.sign_in_owner(scope, server).await else { return false };
        let Ok(Some((grant, text))) = self.0.store.oauth_tokens(scope, server.id, &owner).await else { return false };
        let challenge = Challenge::parse([refusal.challenge.as_str()]);
        if let Some(more) = challenge.as_ref().filter(|challenge| challenge.wants_scopes()) {
            if !Scopes::parse(&grant.scopes).covers(&more.scopes) {
                let noted = self.0.store.note_oauth(scope, &grant, None, Some(more.scopes.to_string())).await;
                noted.unwrap_or_else(|error| tracing::warn!(%error, "what a server wants more could not be kept"));
            }
            return false;
        }
        // A server may forbid something to a good token.
        let is_invalid = challenge.is_some_and(|challenge| challenge.error == Some(BearerError::InvalidToken));
        if !refusal.unauthorized && !is_invalid {
            return false;
        }
        let just_now = clock::now_us().saturating_sub(grant.signed_in_us) < NEW_US;
        if self.0.refreshing.is_new(&grant.id) || just_now {
            return true;
        }
        let can_refresh = opened::<Kept>(&text).is_ok_and(|kept| kept.tokens.can_refresh());
        let reason = (!can_refresh).then(|| "The server does not take its token any longer.".to_owned());
        let noted = self.0.store.note_oauth(scope, &grant, reason, None).await;
        noted.is_ok() && can_refresh
    }
}

fn needs_refresh(grant: &OauthGrant) -> bool {
    let soon = clock::now_us().saturating_add(i64::try_from(LEEWAY.as_micros()).unwrap_or(i64::MAX));
    grant.expires_us.is_some_and(|expires_us| expires_us <= soon)
}
