//! From the button on a server's page to the browser's return.

use fumehood_oauth::{Error, Pending, Registration, RegistrationKind, Scopes, begin, discover, finish, register};
use fumehood_policy::Permission;
use fumehood_store::outside::{McpServer, NewPending, NewTokens, OauthGrant};
use fumehood_store::{Actor, Scope, ServerId, clock};
use jiff::Timestamp;
use secrecy::SecretString;
use url::Url;

use super::http::Outside;
use super::probe::Probe;
use super::{Kept, client, failed, opened, sealed};
use crate::{App, TriageError};

/// Longest part of a callback that is read, bytes.
const QUERY: usize = 16 << 10;

/// A client that somebody has registered by hand.
pub struct OwnClient {
    id: String,
    secret: SecretString,
}

impl OwnClient {
    /// As it was typed; nothing without an id. A public client has no secret.
    #[must_use]
    pub fn typed(id: &str, secret: &str) -> Option<Self> {
        let id = id.trim().to_owned();
        (!id.is_empty()).then(|| Self { id, secret: SecretString::from(secret.trim().to_owned()) })
    }
}

/// What comes next.
pub enum SignInStep {
    /// Send the browser there.
    Go { url: String, issuer: String, scopes: Vec<String> },
    /// The issuer knows clients only that were registered by hand.
    NeedsClient { issuer: String, callback: String, reason: String },
}

/// How a sign-in ended, there.
pub enum SignInEnd {
    SignedIn(ServerId),
    /// The person, or the issuer, said no; nothing was changed.
    Refused {
        server: ServerId,
        name: String,
        issuer: String,
        /// The issuer's code: `access_denied` where it was the person.
        code: String,
        /// The issuer's own words, a stranger's text; often empty.
        words: String,
    },
}

/// What there is of sign-ins at a server, as far as somebody is concerned.
#[derive(Clone, Debug, Default)]
pub struct SignInState {
    /// One sign-in is for everybody.
    pub shared: bool,
    /// Whether this person may sign in.
    pub may: bool,
    /// Everybody's, or this person's own.
    pub grant: Option<OauthGrant>,
    /// People who have signed in for themselves, beside this one.
    pub others: usize,
}

/// The scopes that are asked for: those that the server names, and those that it wanted since.
fn wanted(discovered: &Scopes, grant: Option<&OauthGrant>) -> Scopes {
    let more = grant.map(|grant| Scopes::parse(&grant.scopes).union(&Scopes::parse(&grant.wanted)));
    match more {
        Some(more) if grant.is_some_and(|grant| !grant.wanted.is_empty()) => discovered.union(&more),
        _ => discovered.clone(),
    }
}

impl App {
    /// Whose sign-in somebody's is, who may sign in there.
    fn signing(&self, scope: &Scope, server: &McpServer) -> Result<String, TriageError> {
        if !server.signs_in() {
            return Err(TriageError::Conflict("Nobody signs in at this server: see “Sign-in” under “Edit”.".into()));
        }
        let shared = server.auth_kind == "oauth";
        self.require(scope, if shared { Permission::ManageServers } else { Permission::RunModel })?;
        match &scope.actor {
            Actor::User(_) if shared => Ok(String::new()),
            Actor::User(_) => Ok(scope.actor.to_string()),
            _ => Err(TriageError::Conflict("Only a person signs in, in the browser.".into())),
        }
    }

    /// What there is of sign-ins at a server.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn sign_in_state(&self, scope: &Scope, server: &McpServer) -> Result<SignInState, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        let shared = server.auth_kind == "oauth";
        let grants = self.0.store.oauth_grants(scope, server.id).await?;
        let own = if shared { String::new() } else { scope.actor.to_string() };
        let others = grants.iter().filter(|grant| grant.owner != own).count();
        let grant = grants.into_iter().find(|grant| grant.owner == own);
        Ok(SignInState { shared, may: self.signing(scope, server).is_ok(), grant, others })
    }

    /// Begin to sign in at a server. `own` is a client that was registered by hand, where the issuer wants one.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Conflict` says what the server or its issuer does wrong.
    pub async fn begin_sign_in(
        &self,
        scope: &Scope,
        id: ServerId,
        public_url: &str,
        own: Option<OwnClient>,
    ) -> Result<SignInStep, TriageError> {
        let server = self.0.store.server(scope, id).await?;
        let owner = self.signing(scope, &server)?;
        if own.is_some() {
            // It is everybody's at this issuer.
            self.require(scope, Permission::ManageServers)?;
        }
        let url = Url::parse(&server.url).map_err(|_| TriageError::Conflict("Its address is no URL.".into()))?;
        let (client, now) = (client(public_url)?, clock::now());
        let outside = Outside { app: self, scope, server: &server };
        let challenge = Probe::new(&outside, &url).challenge().await;
        let challenge =
            challenge.map_err(|error| TriageError::Conflict(format!("The server cannot be reached: {error}.")))?;
        let discovery = discover(&outside, &url, challenge.as_ref(), None).await.map_err(|error| failed(&error))?;
        let kept = self.0.store.oauth_client(scope, discovery.issuer()).await?;
        let existing = match &own {
            Some(own) => {
                let by_hand = Registration::by_hand(discovery.server(), &own.id, Some(own.secret.clone()));
                Some(by_hand.map_err(|error| failed(&error))?)
            }
            None => kept.as_ref().and_then(|kept| opened(kept).ok()),
        };
        let before = existing.as_ref().map(|one: &Registration| one.client_id().to_owned());
        let registration = match register(&outside, &discovery, &client, existing, now).await {
            Err(error @ (Error::RegistrationNeeded { .. } | Error::RegistrationRefused { .. })) => {
                return Ok(SignInStep::NeedsClient {
                    issuer: discovery.issuer().to_owned(),
                    callback: client.redirect_uri().to_string(),
                    reason: failed(&error).to_string(),
                });
            }
            registered => registered.map_err(|error| failed(&error))?,
        };
        // One that somebody typed is kept when a sign-in with it has worked.
        if own.is_none() && before.as_deref() != Some(registration.client_id()) {
            self.keep_registration(scope, &registration).await?;
        }
        let grants = self.0.store.oauth_grants(scope, id).await?;
        let scopes = wanted(discovery.scopes(), grants.iter().find(|grant| grant.owner == owner));
        let begun = begin(&discovery, &registration, client.redirect_uri(), &scopes, now);
        let (address, pending) = begun.map_err(|error| failed(&error))?;
        let new = NewPending {
            id: pending.key(),
            server_id: id,
            owner,
            actor: scope.actor.to_string(),
            expires_us: pending.expires_at().as_microsecond(),
            pending: sealed(&pending)?,
        };
        self.0.store.begin_oauth(scope, new).await?;
        Ok(SignInStep::Go {
            url: address.to_string(),
            issuer: discovery.issuer().to_owned(),
            scopes: scopes.iter().map(str::to_owned).collect(),
        })
    }

    async fn keep_registration(&self, scope: &Scope, registration: &Registration) -> Result<(), TriageError> {
        let how = format!("{:?}", registration.kind()).to_lowercase();
        let (issuer, id) = (registration.issuer().to_owned(), registration.client_id().to_owned());
        Ok(self.0.store.set_oauth_client(scope, issuer, id, &how, sealed(registration)?).await?)
    }

    /// End a sign-in with what the browser brings back.
    ///
    /// # Errors
    /// `Conflict` says what was wrong with it; it is over then, and nothing was kept.
    pub async fn finish_sign_in(&self, scope: &Scope, query: &str) -> Result<SignInEnd, TriageError> {
        let unknown = || {
            TriageError::Conflict(
                "This sign-in is not known: it was ended already, took longer than ten minutes, or was begun by somebody \
                 else. Begin anew on the server's page."
                    .into(),
            )
        };
        let key = Some(query).filter(|query| query.len() <= QUERY).and_then(Pending::key_of).ok_or_else(unknown)?;
        let kept = self.0.store.take_oauth(scope, key).await.map_err(|_| unknown())?;
        let server = self.0.store.server(scope, kept.server_id).await?;
        // What was allowed when it was begun may have been withdrawn.
        if self.signing(scope, &server)? != kept.owner {
            return Err(unknown());
        }
        let pending: Pending = opened(&kept.pending)?;
        let outside = Outside { app: self, scope, server: &server };
        let (discovery, registration) = (pending.discovery().clone(), pending.registration().clone());
        let tokens = match finish(&outside, pending, query, clock::now()).await {
            Err(Error::Denied { code, description }) => {
                return Ok(SignInEnd::Refused {
                    server: server.id,
                    name: server.name,
                    issuer: discovery.issuer().to_owned(),
                    code,
                    words: description,
                });
            }
            finished => finished.map_err(|error| failed(&error))?,
        };
        if registration.kind() == RegistrationKind::ByHand {
            self.keep_registration(scope, &registration).await?;
        }
        let new = NewTokens {
            issuer: tokens.issuer().to_owned(),
            scopes: tokens.granted().to_string(),
            expires_us: tokens.expires_at().map(Timestamp::as_microsecond),
            tokens: Kept { discovery, registration, tokens }.sealed()?,
        };
        let first = self.sign_in_owner(&Scope::system(), &server).await.ok().is_none_or(|first| first == kept.owner);
        self.0.store.sign_in_oauth(scope, server.id, kept.owner, new).await?;
        // What the server offers is asked for by the first of those who signed in.
        if first {
            self.connect_anew(&Scope::system(), server.id).await?;
        }
        Ok(SignInEnd::SignedIn(server.id))
    }

    async fn connect_anew(&self, scope: &Scope, id: ServerId) -> Result<(), TriageError> {
        self.disconnect(id).await;
        self.server_state(scope, id, "pending", String::new(), None).await?;
        self.discover_soon(scope, id);
        Ok(())
    }

    /// Forget the sign-ins of all people at a server.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn sign_everybody_out(&self, scope: &Scope, id: ServerId) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageServers)?;
        self.0.store.server(scope, id).await?;
        if self.0.store.sign_all_out(scope, id).await? == 0 {
            return Err(TriageError::NotFound { what: "sign-in" });
        }
        self.connect_anew(&Scope::system(), id).await
    }

    /// Forget a sign-in: everybody's, or one's own.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn sign_out_there(&self, scope: &Scope, id: ServerId) -> Result<(), TriageError> {
        let server = self.0.store.server(scope, id).await?;
        let owner = self.signing(scope, &server)?;
        let first = self.sign_in_owner(&Scope::system(), &server).await.ok().is_none_or(|first| first == owner);
        self.0.store.sign_out_oauth(scope, id, owner).await?;
        if first { self.connect_anew(&Scope::system(), id).await } else { Ok(()) }
    }
}
