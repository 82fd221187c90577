//! The client's credentials with one authorization server.
//!
//! Invariant: a [`Registration`] knows its issuer and refuses every other; no credentials ever go to a server that did
//! not issue them. A secret that has run out is not sent.

use http::Request;
use http::header::{ACCEPT, CONTENT_TYPE};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::client::Client;
use crate::discovery::Discovery;
use crate::error::Error;
use crate::http::{Answer, Http, send};
use crate::limits::MAX_CLIENT_BYTES;
use crate::metadata::{AuthMethod, AuthorizationServer};
use crate::remedy::Held;
use crate::secret;
use crate::text;

/// How the client came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegistrationKind {
    /// An administrator registered it and entered its id here.
    ByHand,
    /// Its id is the address of its metadata.
    MetadataDocument,
    /// It registered itself (RFC 7591).
    Dynamic,
}

/// The client's credentials with one authorization server. To be stored encrypted, under the issuer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Registration {
    issuer: String,
    client_id: String,
    #[serde(with = "secret::optional")]
    secret: Option<SecretString>,
    secret_expires_at: Option<Timestamp>,
    method: AuthMethod,
    /// Where browsers may come back to; nothing where an administrator answers for it.
    redirect_uri: Option<Url>,
    kind: RegistrationKind,
}

impl Registration {
    /// A client that an administrator has registered with this authorization server.
    ///
    /// # Errors
    /// [`Error::Registration`] for an id or a secret that cannot be one, [`Error::Unsupported`] where the server wants
    /// clients to show who they are in a way that is not known here, or a secret that is missing.
    pub fn by_hand(server: &AuthorizationServer, client_id: &str, secret: Option<SecretString>) -> Result<Self, Error> {
        let secret = secret.filter(|secret| !secret.expose_secret().is_empty());
        let method = negotiate(server, secret.is_some())?;
        Self {
            issuer: server.issuer.clone(),
            client_id: client_id.to_owned(),
            secret,
            secret_expires_at: None,
            method,
            redirect_uri: None,
            kind: RegistrationKind::ByHand,
        }
        .checked()
    }

    /// Whose credentials these are.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The client's id.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// How it came to be known.
    #[must_use]
    pub const fn kind(&self) -> RegistrationKind {
        self.kind
    }

    /// How it shows who it is.
    #[must_use]
    pub const fn method(&self) -> AuthMethod {
        self.method
    }

    /// When its secret runs out, if it does.
    #[must_use]
    pub const fn secret_expires_at(&self) -> Option<Timestamp> {
        self.secret_expires_at
    }

    pub(crate) const fn secret(&self) -> Option<&SecretString> {
        self.secret.as_ref()
    }

    /// Whether it may be used with this issuer, now.
    pub(crate) fn check(&self, issuer: &str, now: Timestamp) -> Result<(), Error> {
        if self.issuer != issuer {
            return Err(Error::OtherIssuer {
                what: Held::Registration,
                own: text::clean(&self.issuer),
                other: text::clean(issuer),
            });
        }
        if self.secret_expires_at.is_some_and(|expires_at| expires_at <= now) {
            return Err(Error::SecretExpired { issuer: text::clean(issuer) });
        }
        Ok(())
    }

    /// Whether browsers may come back there.
    pub(crate) fn check_redirect_uri(&self, uri: &Url) -> Result<(), Error> {
        crate::client::check_redirect_uri(uri)?;
        if self.redirect_uri.as_ref().is_some_and(|own| own != uri) {
            let reason = "the client is registered with another one: register it again";
            return Err(Error::RedirectUri { uri: text::clean(uri.as_str()), reason });
        }
        Ok(())
    }

    fn checked(self) -> Result<Self, Error> {
        let fits = |text: &str| {
            (1..=MAX_CLIENT_BYTES).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        };
        if !fits(&self.client_id) {
            return Err(Error::Registration { reason: "the client id is empty, too long, or not printable ASCII" });
        }
        if self.secret.as_ref().is_some_and(|secret| !fits(secret.expose_secret())) {
            return Err(Error::Registration { reason: "the client secret is too long, or not printable ASCII" });
        }
        if self.method != AuthMethod::None && self.secret.is_none() {
            return Err(Error::Registration { reason: "it needs a client secret, and there is none" });
        }
        Ok(self)
    }
}

fn negotiate(server: &AuthorizationServer, has_secret: bool) -> Result<AuthMethod, Error> {
    server.auth_method(has_secret).ok_or_else(|| Error::Unsupported {
        issuer: text::clean(&server.issuer),
        what: if has_secret {
            "client secrets (token_endpoint_auth_methods_supported)"
        } else {
            "clients without a secret (token_endpoint_auth_methods_supported): enter the client's secret, too"
        },
    })
}

/// A registration with the authorization server that was found, in the order of the MCP specification: the one that
/// there is, the client's metadata document, dynamic registration. `existing` is what is stored under the issuer, or an
/// administrator's entry for this MCP server.
///
/// A registration that was made by itself and has run out, or belongs to another issuer or redirect URI, is replaced.
/// The result is to be stored before it is used.
///
/// # Errors
/// [`Error::OtherIssuer`] and [`Error::SecretExpired`] for one that was made by hand; [`Error::RegistrationNeeded`]
/// where an administrator has to make one; what goes wrong on the way.
pub async fn register(
    http: &dyn Http,
    discovery: &Discovery,
    client: &Client,
    existing: Option<Registration>,
    now: Timestamp,
) -> Result<Registration, Error> {
    let server = &discovery.server;
    if let Some(existing) = existing {
        let usable =
            existing.check(&server.issuer, now).and_then(|()| existing.check_redirect_uri(client.redirect_uri()));
        match usable {
            Ok(()) => return Ok(existing),
            Err(error) if existing.kind == RegistrationKind::ByHand => return Err(error),
            Err(_) => {}
        }
    }
    if let Some(registration) = with_metadata_document(server, client) {
        return registration.checked();
    }
    match &server.registration_endpoint {
        Some(endpoint) => register_dynamically(http, discovery, endpoint, client, now).await,
        None => Err(Error::RegistrationNeeded {
            issuer: text::clean(&server.issuer),
            redirect_uri: text::clean(client.redirect_uri().as_str()),
        }),
    }
}

fn with_metadata_document(server: &AuthorizationServer, client: &Client) -> Option<Registration> {
    let url = client.metadata_url().filter(|_| server.reads_client_metadata)?;
    Some(Registration {
        issuer: server.issuer.clone(),
        client_id: url.as_str().to_owned(),
        secret: None,
        secret_expires_at: None,
        method: server.auth_method(false)?,
        redirect_uri: Some(client.redirect_uri().clone()),
        kind: RegistrationKind::MetadataDocument,
    })
}

/// The answer of RFC 7591, section 3.2, as far as it matters here.
#[derive(Deserialize)]
struct Registered {
    client_id: String,
    #[serde(default, with = "secret::optional")]
    client_secret: Option<SecretString>,
    #[serde(default)]
    client_secret_expires_at: Option<i64>,
    token_endpoint_auth_method: Option<String>,
    redirect_uris: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    error_description: Option<String>,
}

async fn register_dynamically(
    http: &dyn Http,
    discovery: &Discovery,
    endpoint: &Url,
    client: &Client,
    now: Timestamp,
) -> Result<Registration, Error> {
    let server = &discovery.server;
    // without a secret where that will do: there is less to lose
    let method = server.auth_method(false).map_or_else(|| negotiate(server, true), Ok)?;
    let request = Request::post(endpoint.as_str())
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/json")
        .body(client.description(method).to_string().into_bytes());
    let answer = send(http, endpoint, request, Some(now)).await?;
    if !answer.status.is_success() {
        return Err(refusal(&answer, server, client));
    }
    let registered = answer
        .json::<Registered>()
        .ok_or(Error::Registration { reason: "the authorization server's answer holds no client id" })?;
    let registration = accept(registered, server, client, method)?.checked()?;
    registration.check(&server.issuer, now)?;
    Ok(registration)
}

fn refusal(answer: &Answer, server: &AuthorizationServer, client: &Client) -> Error {
    let said: Option<Refused> = answer.json();
    Error::RegistrationRefused {
        issuer: text::clean(&server.issuer),
        code: said
            .as_ref()
            .map_or_else(|| format!("status {}", answer.status.as_u16()), |said| text::clean(&said.error)),
        description: said.and_then(|said| said.error_description).map(|words| text::clean(&words)).unwrap_or_default(),
        redirect_uri: text::clean(client.redirect_uri().as_str()),
    }
}

/// The server may have changed what was asked for (RFC 7591, section 3.2.1); what it says then counts, if it will do.
fn accept(
    registered: Registered,
    server: &AuthorizationServer,
    client: &Client,
    asked: AuthMethod,
) -> Result<Registration, Error> {
    let uri = client.redirect_uri();
    let ours = |uris: &Vec<String>| uris.iter().any(|one| one == uri.as_str());
    if registered.redirect_uris.as_ref().is_some_and(|uris| !uris.is_empty() && !ours(uris)) {
        let reason = "the authorization server registered another one in its place: register a client by hand";
        return Err(Error::RedirectUri { uri: text::clean(uri.as_str()), reason });
    }
    let secret = registered.client_secret.filter(|secret| !secret.expose_secret().is_empty());
    let method = match registered.token_endpoint_auth_method.as_deref() {
        Some(name) => AuthMethod::read(name).ok_or(Error::Registration {
            reason: "the authorization server wants clients to show who they are in a way that is not known here",
        })?,
        None if secret.is_some() => negotiate(server, true)?,
        None => asked,
    };
    let expires_at = registered.client_secret_expires_at.filter(|seconds| secret.is_some() && *seconds != 0);
    Ok(Registration {
        issuer: server.issuer.clone(),
        client_id: registered.client_id,
        // a secret that is never sent is not kept
        secret: secret.filter(|_| method != AuthMethod::None),
        secret_expires_at: expires_at.map(|seconds| {
            Timestamp::from_second(seconds).unwrap_or(if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX })
        }),
        method,
        redirect_uri: Some(uri.clone()),
        kind: RegistrationKind::Dynamic,
    })
}
