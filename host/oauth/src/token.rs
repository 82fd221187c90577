//! Tokens, and what an authorization server answers in their place.
//!
//! Invariant: a token knows the resource it is for and is handed out for that server alone. No token is in a `Debug`
//! form or an error.

use std::fmt;

use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::http::place;
use crate::limits::{MAX_LIFE_SECONDS, MAX_TOKEN_BYTES};
use crate::remedy::Remedy;
use crate::resource;
use crate::scopes::Scopes;
use crate::secret;
use crate::text;

/// What a user has been given for one server. To be stored encrypted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tokens {
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) resource: String,
    #[serde(with = "secret")]
    pub(crate) access: SecretString,
    #[serde(with = "secret::optional")]
    pub(crate) refresh: Option<SecretString>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) requested: Scopes,
    pub(crate) granted: Scopes,
}

impl Tokens {
    /// Who gave them.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What they are for.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The scopes that were asked for.
    #[must_use]
    pub const fn requested(&self) -> &Scopes {
        &self.requested
    }

    /// The scopes that were granted; what was asked for, where the server did not say (RFC 6749, section 5.1).
    #[must_use]
    pub const fn granted(&self) -> &Scopes {
        &self.granted
    }

    /// When the access token runs out, where the server said so.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Whether the access token has run out, or will within `leeway`. One whose life is not known never does: the
    /// server then says so itself (401, `invalid_token`).
    #[must_use]
    pub fn expires(&self, now: Timestamp, leeway: SignedDuration) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now.saturating_add(leeway).unwrap_or(Timestamp::MAX))
    }

    /// Whether there is something to refresh with.
    #[must_use]
    pub const fn can_refresh(&self) -> bool {
        self.refresh.is_some()
    }

    /// The value of the `Authorization` header for a request to this server, marked as sensitive.
    ///
    /// # Errors
    /// [`Error::OtherResource`] for a server that the token is not for.
    pub fn authorization(&self, server: &Url) -> Result<HeaderValue, Error> {
        let value = Zeroizing::new(format!("Bearer {}", self.access.expose_secret()));
        let ours = Url::parse(&self.resource).ok().and_then(|resource| resource::relation(&resource, server)).is_some();
        match HeaderValue::from_str(&value) {
            Ok(mut value) if ours => {
                value.set_sensitive(true);
                Ok(value)
            }
            _ => Err(Error::OtherResource { resource: text::clean(&self.resource), server: place(server) }),
        }
    }
}

/// Why the token endpoint refused (RFC 6749, section 5.2; RFC 8707, section 2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenRefusal {
    /// The request is malformed.
    InvalidRequest,
    /// The client is not known, or its secret is wrong.
    InvalidClient,
    /// The code or the refresh token is no good any more.
    InvalidGrant,
    /// The client may not do this.
    UnauthorizedClient,
    /// The server does not do this.
    UnsupportedGrantType,
    /// A scope is not known, or more than was granted.
    InvalidScope,
    /// The resource is not known.
    InvalidTarget,
    /// Another code, printable and short; or the status, where there was no code.
    Other(String),
}

impl TokenRefusal {
    pub(crate) fn read(code: &str) -> Self {
        match code {
            "invalid_request" => Self::InvalidRequest,
            "invalid_client" => Self::InvalidClient,
            "invalid_grant" => Self::InvalidGrant,
            "unauthorized_client" => Self::UnauthorizedClient,
            "unsupported_grant_type" => Self::UnsupportedGrantType,
            "invalid_scope" => Self::InvalidScope,
            "invalid_target" => Self::InvalidTarget,
            other => Self::Other(other.to_owned()),
        }
    }

    pub(crate) const fn remedy(&self) -> Remedy {
        match self {
            Self::InvalidGrant => Remedy::SignIn,
            Self::InvalidClient | Self::UnauthorizedClient => Remedy::Register,
            _ => Remedy::Correct,
        }
    }

    pub(crate) const fn advice(&self) -> &'static str {
        match self.remedy() {
            Remedy::SignIn => "sign in again",
            Remedy::Register => "check the client's id and secret, or register it again, and sign in",
            Remedy::Later { .. } | Remedy::Correct => "ask its operator what it expects of clients",
        }
    }
}

impl fmt::Display for TokenRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::Other(code) => code,
        })
    }
}

/// The token endpoint's answer, good or bad (RFC 6749, sections 5.1 and 5.2).
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct TokenAnswer {
    #[serde(with = "secret::optional")]
    pub(crate) access_token: Option<SecretString>,
    token_type: Option<String>,
    expires_in: Option<serde_json::Value>,
    #[serde(with = "secret::optional")]
    pub(crate) refresh_token: Option<SecretString>,
    scope: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) error_description: Option<String>,
}

/// What a good answer says.
pub(crate) struct Given {
    pub(crate) access: SecretString,
    pub(crate) refresh: Option<SecretString>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) scopes: Option<Scopes>,
}

impl TokenAnswer {
    /// The tokens of a good answer, or what is wrong with it.
    pub(crate) fn accept(self, now: Timestamp) -> Result<Given, &'static str> {
        let access = self.access_token.ok_or("it holds no access_token")?;
        if !is_token(&access) {
            return Err("its access_token is empty, too long, or cannot be put into a header");
        }
        let kind = self.token_type.ok_or("it holds no token_type")?;
        if !kind.eq_ignore_ascii_case("bearer") {
            return Err("its token_type is not Bearer, the only one that is supported");
        }
        let refresh = self.refresh_token.filter(|token| !token.expose_secret().is_empty());
        if refresh.as_ref().is_some_and(|token| !is_token(token)) {
            return Err("its refresh_token is too long, or not printable");
        }
        let life = self.expires_in.filter(|value| !value.is_null()).map(|value| seconds(&value)).transpose()?;
        let expires_at = life.map(|life| now.saturating_add(SignedDuration::from_secs(life)).unwrap_or(Timestamp::MAX));
        // an empty scope says nothing, as a missing one does
        let scopes = self.scope.filter(|scope| !scope.trim().is_empty()).map(|scope| Scopes::parse(&scope));
        Ok(Given { access, refresh, expires_at, scopes })
    }
}

/// Visible ASCII: RFC 6750, section 2.1, allows less, but servers do not keep to it.
fn is_token(token: &SecretString) -> bool {
    let token = token.expose_secret();
    (1..=MAX_TOKEN_BYTES).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A number, or one in quotes, as some servers write it.
fn seconds(value: &serde_json::Value) -> Result<i64, &'static str> {
    let seconds = value.as_i64().or_else(|| value.as_str()?.parse().ok());
    match seconds {
        Some(seconds) if seconds > 0 => Ok(seconds.min(MAX_LIFE_SECONDS)),
        _ => Err("its expires_in is not a number of seconds above zero"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn accept(answer: Value) -> Result<Given, &'static str> {
        serde_json::from_value::<TokenAnswer>(answer).map_err(|_| "unreadable")?.accept(Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_life_is_a_sane_number_of_seconds() {
        for (life, expected) in [
            (json!(3600), Some(Some(3600))),
            (json!("3600"), Some(Some(3600))),
            (json!(null), Some(None)),
            (json!(i64::MAX), Some(Some(MAX_LIFE_SECONDS))),
            (json!(0), None),
            (json!(-1), None),
            (json!(1.5), None),
            (json!("soon"), None),
            (json!([1]), None),
        ] {
            let given = accept(json!({ "access_token": "a", "token_type": "bearer", "expires_in": life }));
            let seconds = given.ok().map(|given| given.expires_at.map(|at| at.as_second()));
            assert_eq!(seconds, expected, "{life}");
        }
    }

    #[test]
    fn a_token_fits_a_header() {
        let long = "x".repeat(MAX_TOKEN_BYTES + 1);
        for (token, expected) in
            [("a.b-c_d~e+f/g==", true), ("", false), ("a b", false), ("a\r\nX: y", false), ("ü", false), (&long, false)]
        {
            assert_eq!(accept(json!({ "access_token": token, "token_type": "Bearer" })).is_ok(), expected, "{token}");
        }
        assert!(accept(json!({ "access_token": "a", "token_type": "Bearer", "refresh_token": long })).is_err());
        assert!(accept(json!({ "access_token": ["a"], "token_type": "Bearer" })).is_err());
        let given = accept(json!({ "access_token": "a", "token_type": "Bearer", "refresh_token": "", "scope": " " }));
        assert!(given.is_ok_and(|given| given.refresh.is_none() && given.scopes.is_none()));
    }
}
