//! The token for a request: as it is kept, or refreshed first.

use fumehood_oauth::{Challenge, Error, Registration, RegistrationKind, Remedy, Scopes, refresh};
use fumehood_store::outside::{McpServer, NewTokens, OauthGrant};
use fumehood_store::{Actor, Scope, ServerId, clock};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use url::Url;

use super::http::Outside;
use super::{Kept, failed, opened, sealed};
use crate::{App, TriageError};

/// How long before it runs out a token is refreshed.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);

/// What can be said where nobody has signed in.
fn nobody(server: &McpServer) -> TriageError {
    TriageError::Conflict(format!("{} asks for a sign-in. Choose “Sign in” on its page.", server.name))
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
    /// `Conflict` where there is no token and none can be got, with what to do.
    pub(crate) async fn bearer_for(
        &self,
        scope: &Scope,
        id: ServerId,
        owner: &str,
    ) -> Result<SecretString, TriageError> {
        let server = self.0.store.server(scope, id).await?;
        let url = Url::parse(&server.url).map_err(|_| TriageError::Conflict("Its address is no URL.".into()))?;
        let found = self.0.store.oauth_tokens(scope, id, owner).await?.ok_or_else(|| nobody(&server))?;
        let kept = match needs_refresh(&found.0) {
            false => opened::<Kept>(&found.1)?,
            true => self.refreshed(scope, &server, owner, &found.0.id).await?,
        };
        let value = kept.tokens.authorization(&url).map_err(|error| failed(&error))?;
        let text = value.to_str().map_err(|_| TriageError::Conflict("The token cannot be sent.".into()))?;
        Ok(SecretString::from(text.to_owned()))
    }

    /// Refresh a grant, unless somebody else just has.
    async fn refreshed(
        &self,
        scope: &Scope,
        server: &McpServer,
        owner: &str,
        grant: &str,
    ) -> Result<Kept, TriageError> {
        let turn = self.0.refreshing.of(grant);
        let _turn = turn.lock().await;
        let found = self.0.store.oauth_tokens(scope, server.id, owner).await?;
        let (grant, text) = found.ok_or_else(|| nobody(server))?;
        let kept: Kept = opened(&text)?;
        if !needs_refresh(&grant) {
            return Ok(kept);
        }
        // On its own: whoever waits may go away, and a rotated token that was used must not get lost.
        let (app, scope, server) = (self.clone(), scope.clone(), server.clone());
        let task = tokio::spawn(async move { app.refresh_now(&scope, &server, &grant, kept).await });
        task.await.map_err(|error| TriageError::Internal(error.to_string()))?
    }

    async fn refresh_now(
        &self,
        scope: &Scope,
        server: &McpServer,
        grant: &OauthGrant,
        kept: Kept,
    ) -> Result<Kept, TriageError> {
        let store = &self.0.store;
        let now = clock::now();
        let registration = store.oauth_client(scope, &grant.issuer).await?;
        let registration = registration.as_ref().and_then(|text| opened::<Registration>(text).ok());
        let outside = Outside { app: self, scope, server };
        let renewed = match &registration {
            Some(registration) => refresh(&outside, &kept.discovery, registration, &kept.tokens, now).await,
            None => Err(Error::NoRefreshToken { resource: server.url.clone() }),
        };
        match renewed {
            Ok(tokens) => {
                let kept = Kept { discovery: kept.discovery, tokens };
                let new = NewTokens {
                    issuer: grant.issuer.clone(),
                    scopes: kept.tokens.granted().to_string(),
                    expires_us: kept.tokens.expires_at().map(Timestamp::as_microsecond),
                    tokens: sealed(&kept)?,
                };
                if store.refresh_oauth(scope, grant, new).await? { Ok(kept) } else { Err(nobody(server)) }
            }
            Err(error) => match error.remedy() {
                // The old one is good for a little longer.
                Remedy::Later { .. } | Remedy::Correct
                    if !kept.tokens.expires(now, SignedDuration::ZERO) && grant.expires_us != Some(0) =>
                {
                    Ok(kept)
                }
                Remedy::SignIn | Remedy::Register => {
                    let made_itself = registration.as_ref().is_some_and(|one| one.kind() != RegistrationKind::ByHand);
                    if matches!(error.remedy(), Remedy::Register) && made_itself {
                        store.forget_oauth_client(scope, grant.issuer.clone()).await?;
                    }
                    let reason = failed(&error).to_string();
                    store.note_oauth(scope, grant, Some(reason), None).await?;
                    Err(failed(&error))
                }
                _ => Err(failed(&error)),
            },
        }
    }

    /// Note that a server did not take its token: the next request refreshes it, and what it wants more is asked for when
    /// somebody signs in again. `true` where it is worth trying again.
    pub(crate) async fn token_refused(&self, scope: &Scope, server: &McpServer, said: &str) -> bool {
        let Ok(owner) = self.sign_in_owner(scope, server).await else { return false };
        let Ok(Some((grant, text))) = self.0.store.oauth_tokens(scope, server.id, &owner).await else { return false };
        let challenge = Challenge::parse([said]);
        let more = challenge.as_ref().filter(|challenge| challenge.wants_scopes());
        let wanted = more.map(|challenge| challenge.scopes.to_string());
        if let Some(wanted) = &wanted
            && Scopes::parse(&grant.scopes).covers(&Scopes::parse(wanted))
        {
            return false;
        }
        let can_refresh = opened::<Kept>(&text).is_ok_and(|kept| kept.tokens.can_refresh());
        let is_new = more.is_none();
        let reason = (is_new && !can_refresh).then(|| "The server does not take its token any longer.".to_owned());
        let noted = self.0.store.note_oauth(scope, &grant, reason, wanted).await;
        noted.is_ok() && is_new && can_refresh
    }
}

fn needs_refresh(grant: &OauthGrant) -> bool {
    let soon = clock::now_us().saturating_add(i64::try_from(LEEWAY.as_micros()).unwrap_or(i64::MAX));
    grant.expires_us.is_some_and(|expires_us| expires_us <= soon)
}
