//! What the browser brings back.
//!
//! Invariant: nothing in a callback is acted on or shown before its `state` and its `iss` have been found to be those
//! of the sign-in (RFC 9207, section 2.4). A parameter that is there twice has two readings, so none is taken.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use url::form_urlencoded;

use crate::authorize::Pending;
use crate::error::Error;
use crate::limits::MAX_CALLBACK_BYTES;
use crate::text;

/// The parameters of an authorization response.
#[derive(Debug, Default)]
pub(crate) struct Callback {
    pub(crate) state: Option<SecretString>,
    code: Option<SecretString>,
    issuer: Option<String>,
    error: Option<String>,
    description: Option<String>,
}

/// Reads a query, with or without its question mark.
pub(crate) fn read(query: &str) -> Result<Callback, Error> {
    if query.len() > MAX_CALLBACK_BYTES {
        return Err(Error::Callback { reason: "it is too long" });
    }
    let mut callback = Callback::default();
    for (name, value) in form_urlencoded::parse(query.strip_prefix('?').unwrap_or(query).as_bytes()) {
        let value = value.into_owned();
        let twice = match name.as_ref() {
            "state" => callback.state.replace(value.into()).is_some(),
            "code" => callback.code.replace(value.into()).is_some(),
            "iss" => callback.issuer.replace(value).is_some(),
            "error" => callback.error.replace(value).is_some(),
            "error_description" => callback.description.replace(value).is_some(),
            _ => false,
        };
        if twice {
            return Err(Error::Callback { reason: "it holds a parameter twice" });
        }
    }
    Ok(callback)
}

/// The code, once everything else has been found to be right.
pub(crate) fn accept(pending: &Pending, query: &str, now: Timestamp) -> Result<SecretString, Error> {
    if now >= pending.expires_at() {
        return Err(Error::Expired);
    }
    let callback = read(query)?;
    let state = callback.state.as_ref().map(|state| state.expose_secret().as_bytes()).unwrap_or_default();
    if !bool::from(state.ct_eq(pending.state.expose_secret().as_bytes())) {
        return Err(Error::State);
    }
    check_issuer(pending, callback.issuer)?;
    match (callback.code, callback.error) {
        (Some(_), Some(_)) => Err(Error::Callback { reason: "it holds both a code and an error" }),
        (None, None) => Err(Error::Callback { reason: "it holds neither a code nor an error" }),
        (Some(code), None) if code.expose_secret().is_empty() => Err(Error::Callback { reason: "its code is empty" }),
        (Some(code), None) => Ok(code),
        (None, Some(error)) => {
            let secrets = [&pending.state, &pending.verifier];
            Err(Error::Denied {
                code: text::clean_of(&error, &secrets),
                description: text::clean_of(&callback.description.unwrap_or_default(), &secrets),
            })
        }
    }
}

/// The table of the MCP specification: required where it was announced, compared byte by byte wherever it is.
fn check_issuer(pending: &Pending, got: Option<String>) -> Result<(), Error> {
    let expected = pending.issuer();
    let right = match &got {
        Some(got) => got == expected,
        None => !pending.discovery.server.states_issuer,
    };
    if right {
        return Ok(());
    }
    Err(Error::CallbackIssuer { expected: text::clean(expected), got: got.map(|got| text::clean(&got)) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_are_read_once() {
        let callback =
            read("?state=a&code=b+c%26&iss=https%3A%2F%2Fas.example&session_state=1&session_state=2").unwrap();
        assert_eq!(callback.state.unwrap().expose_secret(), "a");
        assert_eq!(callback.code.unwrap().expose_secret(), "b c&");
        assert_eq!(callback.issuer.as_deref(), Some("https://as.example"));
        for name in ["state", "code", "iss", "error", "error_description"] {
            assert!(read(&format!("{name}=a&x=y&{name}=a")).is_err(), "{name}");
        }
        assert!(read("state=a&st%61te=b").is_err());
        assert!(read(&"x".repeat(MAX_CALLBACK_BYTES + 1)).is_err());
    }

    proptest! {
        #[test]
        fn reading_never_fails_badly(query in any::<String>()) {
            let _ = read(&query);
            let _ = Pending::key_of(&query);
        }

        #[test]
        fn what_was_written_is_read(state in any::<String>(), code in any::<String>(), issuer in any::<String>()) {
            let query: String = form_urlencoded::Serializer::new(String::new())
                .extend_pairs([("state", &state), ("iss", &issuer), ("code", &code)])
                .finish();
            let callback = read(&query).unwrap();
            let (read_state, read_code) = (callback.state.unwrap(), callback.code.unwrap());
            prop_assert_eq!(read_state.expose_secret(), state);
            prop_assert_eq!(read_code.expose_secret(), code);
            prop_assert_eq!(callback.issuer, Some(issuer));
        }
    }
}
