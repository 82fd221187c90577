//! What a server says when it wants a token: `WWW-Authenticate` (RFC 9110, section 11.6.1; RFC 6750, section 3;
//! RFC 9728, section 5.1).
//!
//! Invariant: reading never fails and never guesses. What does not follow the grammar ends the reading of its header;
//! what was complete before it counts.

use std::iter::Peekable;
use std::str::Chars;

use serde::{Deserialize, Serialize};

use crate::limits::{MAX_CHALLENGE_BYTES, MAX_CHALLENGES};
use crate::scopes::Scopes;
use crate::text;

/// The challenge for a bearer token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// Where the server says its metadata is, as it wrote it. [`discover`](crate::discover) decides whether to ask.
    pub resource_metadata: Option<String>,
    /// The scopes that the request at hand needs.
    pub scopes: Scopes,
    /// What was wrong with the token that was sent, if one was.
    pub error: Option<BearerError>,
    /// The server's words for it: printable, at most 200 characters.
    pub description: Option<String>,
}

/// The codes of RFC 6750, section 3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BearerError {
    /// The request is malformed.
    InvalidRequest,
    /// The token has expired, was revoked, or is for somebody else: refresh it, or sign in again.
    InvalidToken,
    /// The token is good, but not for this: see [`StepUp`](crate::StepUp).
    InsufficientScope,
    /// Any other code.
    Other,
}

impl Challenge {
    /// The bearer challenge in an answer's `WWW-Authenticate` headers: the first that says where metadata is, otherwise
    /// the first.
    #[must_use]
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut first = None;
        for challenge in values.into_iter().flat_map(read).take(MAX_CHALLENGES).filter_map(Self::of) {
            if challenge.resource_metadata.is_some() {
                return Some(challenge);
            }
            first.get_or_insert(challenge);
        }
        first
    }

    /// Whether the server wants more scopes than the token has.
    #[must_use]
    pub fn wants_scopes(&self) -> bool {
        self.error == Some(BearerError::InsufficientScope)
    }

    fn of(raw: Raw) -> Option<Self> {
        let named = |name: &'static str| raw.parameters.iter().filter(move |(own, _)| own.eq_ignore_ascii_case(name));
        // RFC 9110: a name must occur only once. Two of them are two readings; none is taken.
        let twice = ["resource_metadata", "scope", "error"].iter().any(|name| named(name).count() > 1);
        if !raw.scheme.eq_ignore_ascii_case("bearer") || twice {
            return None;
        }
        let get = |name: &'static str| named(name).next().map(|(_, value)| value.as_str());
        Some(Self {
            resource_metadata: get("resource_metadata").map(str::to_owned),
            scopes: get("scope").map(Scopes::parse).unwrap_or_default(),
            error: get("error").map(|code| match code {
                "invalid_request" => BearerError::InvalidRequest,
                "invalid_token" => BearerError::InvalidToken,
                "insufficient_scope" => BearerError::InsufficientScope,
                _ => BearerError::Other,
            }),
            description: get("error_description").map(text::clean),
        })
    }
}

/// One challenge of any scheme.
#[derive(Debug, PartialEq, Eq)]
struct Raw {
    scheme: String,
    parameters: Vec<(String, String)>,
}

/// The challenges of one header.
fn read(value: &str) -> Vec<Raw> {
    let mut challenges: Vec<Raw> = Vec::new();
    if value.len() > MAX_CHALLENGE_BYTES {
        return challenges;
    }
    let mut rest = value.chars().peekable();
    loop {
        while rest.next_if(|next| matches!(next, ' ' | '\t' | ',')).is_some() {}
        let word = token(&mut rest);
        if word.is_empty() {
            return challenges;
        }
        let gap = skip_space(&mut rest);
        // `name = value` goes on with the challenge before it; any other word begins one
        if rest.peek() == Some(&'=') {
            let Some(value) = parameter_value(&mut rest) else {
                // a value that never ends makes its whole challenge unreadable
                challenges.pop();
                return challenges;
            };
            let Some(challenge) = challenges.last_mut() else { return challenges };
            challenge.parameters.push((word, value));
        } else {
            challenges.push(Raw { scheme: word, parameters: Vec::new() });
            if gap {
                skip_token68(&mut rest);
            }
        }
    }
}

/// What follows a name: `=`, and a token or a quoted string.
fn parameter_value(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    rest.next_if_eq(&'=')?;
    skip_space(rest);
    if rest.next_if_eq(&'"').is_none() {
        let value = unquoted(rest);
        return (!value.is_empty()).then_some(value);
    }
    let mut value = String::new();
    loop {
        match rest.next()? {
            '"' => return Some(value),
            '\\' => value.push(rest.next()?),
            other => value.push(other),
        }
    }
}

/// A value without quotes. Addresses and base64 are taken though they should be quoted, as far as no list can be meant.
fn unquoted(rest: &mut Peekable<Chars<'_>>) -> String {
    let mut value = String::new();
    while let Some(next) = rest.next_if(|next| next.is_ascii_graphic() && !matches!(next, ',' | ';' | '"')) {
        value.push(next);
    }
    value
}

fn token(rest: &mut Peekable<Chars<'_>>) -> String {
    let mut word = String::new();
    while let Some(next) = rest.next_if(|next| next.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(*next)) {
        word.push(next);
    }
    word
}

fn skip_space(rest: &mut Peekable<Chars<'_>>) -> bool {
    let mut any = false;
    while rest.next_if(|next| matches!(next, ' ' | '\t')).is_some() {
        any = true;
    }
    any
}

/// What `Negotiate abc==` has in place of parameters; nothing is taken where parameters follow.
fn skip_token68(rest: &mut Peekable<Chars<'_>>) {
    let mut ahead = rest.clone();
    while ahead.next_if(|next| next.is_ascii_alphanumeric() || "-._~+/".contains(*next)).is_some() {}
    while ahead.next_if_eq(&'=').is_some() {}
    skip_space(&mut ahead);
    if matches!(ahead.peek(), None | Some(',')) {
        *rest = ahead;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn metadata(value: &str) -> Option<String> {
        Challenge::parse([value])?.resource_metadata
    }

    #[test]
    fn a_challenge_is_read() {
        let challenge =
            Challenge::parse(["Bearer error=\"insufficient_scope\",\t scope=\"files:write files:read\" , \
             resource_metadata=\"https://mcp.example/.well-known/oauth-protected-resource\", \
             error_description=\"File \\\"write\\\", needed\""])
            .unwrap();
        assert_eq!(
            challenge.resource_metadata.as_deref(),
            Some("https://mcp.example/.well-known/oauth-protected-resource")
        );
        assert_eq!(challenge.scopes.to_string(), "files:write files:read");
        assert!(challenge.wants_scopes());
        assert_eq!(challenge.description.as_deref(), Some("File \"write\", needed"));
    }

    #[test]
    fn bearer_is_found_among_others() {
        for value in [
            "Basic realm=\"a, Bearer resource_metadata=\\\"https://evil.example\\\"\", bearer resource_metadata=\"x\"",
            "Negotiate YII+/w==, BEARER resource_metadata=x",
            "Negotiate, Bearer realm=r, resource_metadata = x , scope=s",
            ", ,Digest a=b,,Bearer Resource_Metadata=x",
            "Bearer realm=\"no metadata here\", Bearer resource_metadata=\"x\"",
        ] {
            assert_eq!(metadata(value).as_deref(), Some("x"), "{value}");
        }
        assert_eq!(Challenge::parse(["Basic", "Bearer"]), Some(Challenge::default()));
        assert_eq!(Challenge::parse(["Bearer scope=a", "Bearer scope=b"]).unwrap().scopes.to_string(), "a");
    }

    #[test]
    fn what_is_no_bearer_challenge_is_none() {
        for value in [
            "",
            "Basic realm=\"x\"",
            "Basic resource_metadata=\"https://evil.example\"",
            "resource_metadata=\"https://evil.example\"",
            "Bearer resource_metadata=\"https://never.ends",
            "Bearer resource_metadata=a, resource_metadata=b",
            "Bearer scope=a, SCOPE=b",
            "Bearerx resource_metadata=a",
            "\u{1b}Bearer",
        ] {
            assert_eq!(Challenge::parse([value]), None, "{value}");
        }
        assert_eq!(Challenge::parse([format!("Bearer scope={}", "x".repeat(MAX_CHALLENGE_BYTES)).as_str()]), None);
    }

    fn quoted(value: &str) -> String {
        format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    }

    proptest! {
        #[test]
        fn reading_never_fails(value in any::<String>()) {
            let _ = Challenge::parse([value.as_str()]);
        }

        #[test]
        fn nor_for_what_is_nearly_right(value in "(Bearer|Basic|[ ,=\"\\\\]|scope|error|a==|é){0,40}") {
            let _ = Challenge::parse([value.as_str()]);
        }

        #[test]
        fn what_was_written_is_read(metadata in any::<String>(), realm in any::<String>(), scope in "[a-z:]{1,9}") {
            let value = format!(
                "Basic realm={}, Bearer resource_metadata={}, scope={}",
                quoted(&realm), quoted(&metadata), quoted(&scope)
            );
            prop_assume!(value.len() <= MAX_CHALLENGE_BYTES);
            let challenge = Challenge::parse([value.as_str()]).unwrap();
            prop_assert_eq!(challenge.resource_metadata, Some(metadata));
            prop_assert_eq!(challenge.scopes.to_string(), scope);
        }
    }
}
