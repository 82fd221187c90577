//! Signing in at MCP servers that ask for OAuth 2.1: in the browser once, refreshed by itself from then on.
//!
//! Invariant: a token goes to the server that it was given for and to nobody else; whoever began a sign-in ends it;
//! of one grant one refresh runs at a time, and what it brings is on disk before it is used.

mod bearer;
mod http;
mod probe;
mod sign_in;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fumehood_oauth::{Client, Discovery, Registration, Tokens};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

pub use self::sign_in::{OwnClient, SignInEnd, SignInState, SignInStep};
use crate::TriageError;

/// Where browsers come back to, and where our own metadata is, below the public address.
pub const CALLBACK: &str = "/oauth/callback";
pub const CLIENT_DOCUMENT: &str = "/oauth/client.json";

/// What a sign-in brought, as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    discovery: Discovery,
    /// As it was known to the issuer that gave the tokens.
    registration: Registration,
    tokens: Tokens,
}

impl Kept {
    fn sealed(&self) -> Result<SecretString, TriageError> {
        sealed(self)
    }
}

fn sealed(value: &impl Serialize) -> Result<SecretString, TriageError> {
    let text = serde_json::to_string(value).map_err(|error| TriageError::Internal(error.to_string()))?;
    Ok(SecretString::from(text))
}

fn opened<T: for<'a> Deserialize<'a>>(text: &SecretString) -> Result<T, TriageError> {
    use secrecy::ExposeSecret as _;
    // Never the reason, which may quote what was read.
    serde_json::from_str(text.expose_secret())
        .map_err(|_| TriageError::Conflict("What is kept of the sign-in cannot be read; sign in again.".into()))
}

/// Refreshes that run, one for each grant, and when the last one ended.
#[derive(Default)]
pub(crate) struct Refreshing {
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    last: Mutex<HashMap<String, Instant>>,
}

/// How long a token is new: a refusal that arrives meanwhile is about the one before.
const NEW: Duration = Duration::from_secs(10);

impl Refreshing {
    fn of(&self, grant: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut all = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(all.entry(grant.to_owned()).or_default())
    }

    fn done(&self, grant: &str) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.retain(|_, at| at.elapsed() < NEW);
        last.insert(grant.to_owned(), Instant::now());
    }

    fn is_new(&self, grant: &str) -> bool {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.get(grant).is_some_and(|at| at.elapsed() < NEW)
    }
}

/// Who we are to authorization servers.
fn client(public_url: &str) -> Result<Client, TriageError> {
    let at = |path: &str| {
        let joined = Url::parse(public_url).and_then(|base| base.join(path));
        joined.map_err(|error| TriageError::Internal(format!("the public address: {error}")))
    };
    let client = Client::new("Fumehood", at(CALLBACK)?).map_err(|error| failed(&error))?;
    Ok(client.with_home(at("/")?).with_metadata_url(at(CLIENT_DOCUMENT)?))
}

/// What says who we are, for authorization servers that read it; nothing where nobody outside could.
#[must_use]
pub fn client_document(public_url: &str) -> Option<serde_json::Value> {
    client(public_url).ok()?.metadata_document()
}

/// An error as people read it.
fn failed(error: &fumehood_oauth::Error) -> TriageError {
    let text = error.to_string();
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    TriageError::Conflict(format!("{first}{}.", characters.as_str().trim_end_matches('.')))
}
