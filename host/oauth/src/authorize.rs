//! The way to the authorization server: the address that a user's browser opens, and what is kept meanwhile.
//!
//! Invariant: each sign-in has a verifier (PKCE, S256) and a `state` of 256 random bits of its own, names its resource,
//! and remembers the validated issuer that it was started with. A [`Pending`] is used up by
//! [`finish`](crate::finish), and worth nothing after ten minutes.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::callback;
use crate::discovery::{Discovery, OFFLINE_ACCESS};
use crate::error::Error;
use crate::limits::SIGN_IN;
use crate::registration::Registration;
use crate::scopes::Scopes;
use crate::secret;

/// A sign-in that was started. To be stored encrypted under its [`key`](Self::key), with the user and the browser
/// session that started it, and to be deleted from there, in one step, before it is finished: that makes it work once.
#[derive(Debug, Serialize, Deserialize)]
pub struct Pending {
    pub(crate) discovery: Discovery,
    pub(crate) registration: Registration,
    pub(crate) redirect_uri: Url,
    pub(crate) scopes: Scopes,
    #[serde(with = "secret")]
    pub(crate) state: SecretString,
    #[serde(with = "secret")]
    pub(crate) verifier: SecretString,
    expires_at: Timestamp,
}

impl Pending {
    /// What it is stored under: a hash of its `state`, so that the key itself is no secret.
    #[must_use]
    pub fn key(&self) -> String {
        key(self.state.expose_secret())
    }

    /// The key of the sign-in that a callback belongs to; nothing where it names none, or several.
    #[must_use]
    pub fn key_of(callback_query: &str) -> Option<String> {
        callback::read(callback_query).ok()?.state.map(|state| key(state.expose_secret()))
    }

    /// What was found out about the server, to refresh with later.
    #[must_use]
    pub const fn discovery(&self) -> &Discovery {
        &self.discovery
    }

    /// How we are known there.
    #[must_use]
    pub const fn registration(&self) -> &Registration {
        &self.registration
    }

    /// The authorization server that it was started with.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.discovery.issuer()
    }

    /// When it is worth nothing any more, and can be deleted.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

fn key(state: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(state.as_bytes()))
}

/// Starts a sign-in: the address for the browser, and what to store. `scopes` are those of the [`Discovery`] the first
/// time, and those of [`StepUp`](crate::StepUp) after it; `offline_access` is added for servers that know it.
///
/// The address may be shown to the user who started the sign-in, and to nobody else.
///
/// # Errors
/// [`Error::OtherIssuer`], [`Error::SecretExpired`], [`Error::RedirectUri`], [`Error::Random`].
pub fn begin(
    discovery: &Discovery,
    registration: &Registration,
    redirect_uri: &Url,
    scopes: &Scopes,
    now: Timestamp,
) -> Result<(Url, Pending), Error> {
    registration.check(discovery.issuer(), now)?;
    registration.check_redirect_uri(redirect_uri)?;
    let pending = Pending {
        discovery: discovery.clone(),
        registration: registration.clone(),
        redirect_uri: redirect_uri.clone(),
        scopes: discovery.with_offline_access(scopes),
        state: secret::random()?,
        verifier: secret::random()?,
        expires_at: now.saturating_add(SIGN_IN).unwrap_or(Timestamp::MAX),
    };
    Ok((address(&pending), pending))
}

fn address(pending: &Pending) -> Url {
    let challenge = Sha256::digest(pending.verifier.expose_secret().as_bytes());
    let mut url = pending.discovery.server.authorization_endpoint.clone();
    let mut query = url.query_pairs_mut();
    query
        .append_pair("response_type", "code")
        .append_pair("client_id", pending.registration.client_id())
        .append_pair("redirect_uri", pending.redirect_uri.as_str())
        .append_pair("state", pending.state.expose_secret())
        .append_pair("code_challenge", &BASE64URL_NOPAD.encode(&challenge))
        .append_pair("code_challenge_method", "S256")
        .append_pair("resource", &pending.discovery.resource);
    if !pending.scopes.is_empty() {
        query.append_pair("scope", &pending.scopes.to_string());
    }
    // OpenID Connect Core 1.0, section 11: without it, offline_access is ignored
    if pending.scopes.contains(OFFLINE_ACCESS) {
        query.append_pair("prompt", "consent");
    }
    drop(query);
    url
}
