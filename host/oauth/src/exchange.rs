//! The token endpoint: a code, or a refresh token, for tokens.
//!
//! Invariant: a code leaves only for the token endpoint of the authorization server that the sign-in was started with,
//! with its verifier, redirect URI and resource; a refresh token only for that of the one that gave it, by the client
//! it was given to. Whatever the answer says, no error repeats what was sent or received.

use data_encoding::BASE64;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, request};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

use crate::authorize::Pending;
use crate::callback;
use crate::discovery::Discovery;
use crate::error::Error;
use crate::http::{Http, send};
use crate::metadata::{AuthMethod, AuthorizationServer};
use crate::registration::Registration;
use crate::remedy::Held;
use crate::text;
use crate::token::{Given, TokenAnswer, TokenRefusal, Tokens};

/// Finishes a sign-in with what the browser brought back: the query of the callback, as it was received.
///
/// The caller has deleted `pending` from its store before, and has seen to it that the browser session that brings the
/// callback is the one that started the sign-in; otherwise a user could be made to sign in as somebody else.
///
/// # Errors
/// Whatever the error, this sign-in is over: codes work once, and a new one is started with [`begin`](crate::begin).
/// Tokens of an earlier sign-in stay.
pub async fn finish(http: &dyn Http, pending: Pending, callback_query: &str, now: Timestamp) -> Result<Tokens, Error> {
    let code = callback::accept(&pending, callback_query, now)?;
    let Pending { discovery, registration, redirect_uri, scopes, state, verifier, .. } = pending;
    registration.check(discovery.issuer(), now)?;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.expose_secret()),
        ("redirect_uri", redirect_uri.as_str()),
        ("code_verifier", verifier.expose_secret()),
        ("resource", &discovery.resource),
    ];
    let sent = [&code, &verifier, &state];
    let given = ask(http, &discovery.server, &registration, &form, &sent, now).await?;
    Ok(Tokens {
        issuer: discovery.server.issuer,
        client_id: registration.client_id().to_owned(),
        resource: discovery.resource,
        access: given.access,
        refresh: given.refresh,
        expires_at: given.expires_at,
        granted: given.scopes.unwrap_or_else(|| scopes.clone()),
        requested: scopes,
    })
}

/// New tokens for old ones. The result replaces what is stored, in one write, and before it is used: a server that
/// rotates refresh tokens takes the old one for stolen if it is sent again. So callers let one refresh at a time run
/// for each stored record, and read the record again once it is their turn.
///
/// # Errors
/// [`Error::remedy`] tells a grant that is dead from a server that is away for a while.
pub async fn refresh(
    http: &dyn Http,
    discovery: &Discovery,
    registration: &Registration,
    tokens: &Tokens,
    now: Timestamp,
) -> Result<Tokens, Error> {
    registration.check(discovery.issuer(), now)?;
    check_origin(discovery, registration, tokens)?;
    let Some(old) = &tokens.refresh else {
        return Err(Error::NoRefreshToken { resource: text::clean(&tokens.resource) });
    };
    let form =
        [("grant_type", "refresh_token"), ("refresh_token", old.expose_secret()), ("resource", &tokens.resource)];
    let given = ask(http, &discovery.server, registration, &form, &[old, &tokens.access], now).await?;
    Ok(Tokens {
        access: given.access,
        refresh: given.refresh.or_else(|| Some(old.clone())),
        expires_at: given.expires_at,
        granted: given.scopes.unwrap_or_else(|| tokens.granted.clone()),
        ..tokens.clone()
    })
}

/// Whether tokens came from this authorization server, for this resource, by this client.
fn check_origin(discovery: &Discovery, registration: &Registration, tokens: &Tokens) -> Result<(), Error> {
    let pairs = [
        (tokens.issuer.as_str(), discovery.issuer()),
        (tokens.resource.as_str(), discovery.resource.as_str()),
        (tokens.client_id.as_str(), registration.client_id()),
    ];
    for (own, other) in pairs {
        if own != other {
            return Err(Error::OtherIssuer { what: Held::Tokens, own: text::clean(own), other: text::clean(other) });
        }
    }
    Ok(())
}

/// One question to the token endpoint. `sent` are the secrets in it that no error may repeat.
async fn ask(
    http: &dyn Http,
    server: &AuthorizationServer,
    registration: &Registration,
    form: &[(&str, &str)],
    sent: &[&SecretString],
    now: Timestamp,
) -> Result<Given, Error> {
    let request = request(server, registration, form);
    let answer = send(http, &server.token_endpoint, request, Some(now)).await?;
    let issuer = text::clean(&server.issuer);
    let status = answer.status;
    let said: Option<TokenAnswer> = answer.json();
    match said {
        // some servers refuse with status 200
        Some(said) if said.error.is_some() => Err(refused(issuer, said, registration, sent)),
        Some(said) if status.is_success() => said.accept(now).map_err(|reason| Error::TokenAnswer { issuer, reason }),
        None if status.is_success() => Err(Error::TokenAnswer { issuer, reason: "it is not a token answer in JSON" }),
        _ => {
            let code = TokenRefusal::Other(format!("status {}", status.as_u16()));
            Err(Error::TokenRefused { issuer, code, description: String::new() })
        }
    }
}

fn request(
    server: &AuthorizationServer,
    registration: &Registration,
    form: &[(&str, &str)],
) -> Result<Request<Vec<u8>>, http::Error> {
    let mut body = Serializer::new(String::new());
    body.extend_pairs(form);
    let mut request = Request::post(server.token_endpoint.as_str())
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    match (registration.method(), registration.secret()) {
        (AuthMethod::ClientSecretBasic, Some(secret)) => {
            request = basic(request, registration.client_id(), secret)?;
        }
        (AuthMethod::ClientSecretPost, Some(secret)) => {
            body.append_pair("client_id", registration.client_id());
            body.append_pair("client_secret", secret.expose_secret());
        }
        _ => {
            body.append_pair("client_id", registration.client_id());
        }
    }
    request.body(body.finish().into_bytes())
}

/// RFC 6749, section 2.3.1: both are form-encoded before they are put together.
fn basic(request: request::Builder, id: &str, secret: &SecretString) -> Result<request::Builder, http::Error> {
    let encoded = |text: &str| -> Zeroizing<String> { Zeroizing::new(byte_serialize(text.as_bytes()).collect()) };
    let pair = Zeroizing::new(format!("{}:{}", *encoded(id), *encoded(secret.expose_secret())));
    let value = Zeroizing::new(format!("Basic {}", BASE64.encode(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&value)?;
    value.set_sensitive(true);
    Ok(request.header(AUTHORIZATION, value))
}

fn refused(issuer: String, said: TokenAnswer, registration: &Registration, sent: &[&SecretString]) -> Error {
    let mut secrets = sent.to_vec();
    secrets.extend(registration.secret());
    secrets.extend([&said.access_token, &said.refresh_token].into_iter().flatten());
    let clean = |words: &str| text::clean_of(words, &secrets);
    Error::TokenRefused {
        issuer,
        code: TokenRefusal::read(&clean(said.error.as_deref().unwrap_or_default())),
        description: clean(said.error_description.as_deref().unwrap_or_default()),
    }
}
