//! Why there is no token, and what helps.
//!
//! Invariant: no text holds a code, a token, a verifier or a client's secret. What the other side says in words has
//! been through [`text`](crate::text) before it gets here, and addresses stand without their query.

use crate::remedy::Held;
use crate::token::TokenRefusal;

/// Why a step of the authorization failed. Each text tells the person what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There was no answer.
    #[error("{endpoint} could not be reached: {reason}")]
    Unreachable {
        /// What was asked.
        endpoint: String,
        /// The reason.
        reason: String,
        /// Whether anything can have reached the other side.
        sent: bool,
    },
    /// The other side cannot answer at the moment.
    #[error("{endpoint} answered with status {status}: try again {}", later(*.after_seconds))]
    Busy {
        /// What was asked.
        endpoint: String,
        /// The status of the answer.
        status: u16,
        /// How long it asks to be left alone.
        after_seconds: Option<u64>,
    },
    /// A redirect, which is never followed here.
    #[error("{endpoint} redirects, which is not followed: ask the operator of the server for its final address")]
    Redirected {
        /// What was asked.
        endpoint: String,
    },
    /// An answer over the limit.
    #[error("the answer of {endpoint} is larger than 1 MiB, which no answer of this kind is")]
    TooLarge {
        /// What was asked.
        endpoint: String,
    },
    /// An address that is not to be used.
    #[error("the {what} {url} cannot be used: {reason}")]
    Address {
        /// Which address it is.
        what: &'static str,
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The challenge points elsewhere for the server's metadata.
    #[error(
        "the server points to {url} for its metadata, which is not on {server} itself: ask its operator to serve \
             it there"
    )]
    MetadataElsewhere {
        /// Where it points.
        url: String,
        /// The server.
        server: String,
    },
    /// No metadata at any of the known places.
    #[error(
        "no OAuth metadata was found for {of}, so it cannot be known whether sign-in is protected (PKCE): use a \
             fixed token for this server, or ask its operator to publish the metadata"
    )]
    NoMetadata {
        /// The server or the issuer.
        of: String,
    },
    /// The document is not what it should be.
    #[error("{url} is not {what}: ask the operator of the server to correct it")]
    NotMetadata {
        /// Where it was.
        url: String,
        /// What it should be.
        what: &'static str,
    },
    /// The metadata describes another server.
    #[error("the metadata of the server {server} describes {stated}: enter that address if it is the one you mean")]
    ResourceMismatch {
        /// What the metadata says.
        stated: String,
        /// The server.
        server: String,
    },
    /// The caller's choice is not one of those that the server names.
    #[error("{issuer} is not an authorization server of this MCP server: choose one of those that it names")]
    NotNamed {
        /// What was chosen.
        issuer: String,
    },
    /// The metadata belongs to another issuer.
    #[error(
        "the metadata of the authorization server {expected} says that it belongs to {stated}: it is not used, \
             because codes could be handed to the wrong server that way; ask its operator to correct it"
    )]
    IssuerMismatch {
        /// Which issuer was asked for.
        expected: String,
        /// What the metadata says.
        stated: String,
    },
    /// The authorization server does not do PKCE with S256.
    #[error(
        "the authorization server {issuer} does not state that it supports PKCE with S256 \
             (code_challenge_methods_supported), without which a sign-in can be stolen: ask its operator to enable it"
    )]
    NoPkce {
        /// The authorization server.
        issuer: String,
    },
    /// The authorization server lacks something else that is needed.
    #[error("the authorization server {issuer} does not support {what}")]
    Unsupported {
        /// The authorization server.
        issuer: String,
        /// What is missing.
        what: &'static str,
    },
    /// There is no way to register but by hand.
    #[error(
        "the authorization server {issuer} registers no clients by itself: register one there by hand with the \
             redirect URI {redirect_uri}, and enter its client id here"
    )]
    RegistrationNeeded {
        /// The authorization server.
        issuer: String,
        /// What to enter there.
        redirect_uri: String,
    },
    /// The authorization server refused to register the client.
    #[error("the authorization server {issuer} refused to register a client ({code}{}): register one there by hand \
             with the redirect URI {redirect_uri}, and enter its client id here", said(.description))]
    RegistrationRefused {
        /// The authorization server.
        issuer: String,
        /// Its code for the reason.
        code: String,
        /// Its words for the reason.
        description: String,
        /// What to enter there.
        redirect_uri: String,
    },
    /// A registration that cannot be used.
    #[error("the client's registration cannot be used: {reason}")]
    Registration {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Credentials or tokens of one issuer were about to be used with another.
    #[error("{what} to {own} and {} not used with {other}: {}", .what.verb(), .what.advice())]
    OtherIssuer {
        /// What belongs elsewhere.
        what: Held,
        /// Whose it is.
        own: String,
        /// Where it was to be used.
        other: String,
    },
    /// The client's secret has run out.
    #[error("the client secret for {issuer} has expired: register the client again, or enter its new secret")]
    SecretExpired {
        /// The authorization server.
        issuer: String,
    },
    /// Where the browser is to return to is not acceptable.
    #[error("the redirect URI {uri} cannot be used: {reason}")]
    RedirectUri {
        /// The address.
        uri: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The person took too long.
    #[error("this sign-in took more than ten minutes and has expired: start it again")]
    Expired,
    /// The callback is not one that an honest server makes.
    #[error("the answer to this sign-in is not acceptable: {reason}; start it again")]
    Callback {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The callback belongs to another sign-in, or to none.
    #[error("the answer does not belong to this sign-in (state): start it again from here")]
    State,
    /// The callback came from another authorization server, or does not say from which.
    #[error("the answer to this sign-in {}, but it was started with {expected}: it was not used; start it again",
            came_from(.got))]
    CallbackIssuer {
        /// The authorization server that was asked.
        expected: String,
        /// The one that answered, where it says so.
        got: Option<String>,
    },
    /// The person or the authorization server said no.
    #[error("the authorization server refused the sign-in ({code}{})", said(.description))]
    Denied {
        /// Its code for the reason.
        code: String,
        /// Its words for the reason.
        description: String,
    },
    /// The token endpoint refused.
    #[error("the authorization server {issuer} gave no token ({code}{}): {}", said(.description), code.advice())]
    TokenRefused {
        /// The authorization server.
        issuer: String,
        /// Its reason.
        code: TokenRefusal,
        /// Its words for the reason.
        description: String,
    },
    /// The token endpoint's answer cannot be used.
    #[error("the authorization server {issuer} sent a token answer that cannot be used: {reason}")]
    TokenAnswer {
        /// The authorization server.
        issuer: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is nothing to refresh with.
    #[error("the access to {resource} has run out and cannot be renewed: sign in again")]
    NoRefreshToken {
        /// What the token was for.
        resource: String,
    },
    /// A token was about to be sent to a server that it is not for.
    #[error("the token is for {resource} and is not sent to {server}: sign in to that server")]
    OtherResource {
        /// What the token is for.
        resource: String,
        /// Where it was to be sent.
        server: String,
    },
    /// The server asks for more scopes than it is worth asking the user about.
    #[error("the server asks for more permissions, but {reason}")]
    StepUp {
        /// Why the user is not asked.
        reason: &'static str,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers, so no sign-in can be started: restart the server")]
    Random,
}

fn later(after_seconds: Option<u64>) -> String {
    after_seconds.map_or_else(|| "later".to_owned(), |seconds| format!("in {seconds} seconds"))
}

fn said(description: &str) -> String {
    if description.is_empty() { String::new() } else { format!(": {description}") }
}

fn came_from(got: &Option<String>) -> String {
    got.as_ref().map_or_else(|| "does not say where it comes from".to_owned(), |got| format!("comes from {got}"))
}
