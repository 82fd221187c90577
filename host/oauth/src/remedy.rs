//! What helps against an error. Callers decide by this what becomes of tokens and registrations, so nothing that may
//! pass by itself is ever [`Remedy::SignIn`] or [`Remedy::Register`].

use std::fmt;

use crate::error::Error;

/// What can be held that belongs to one issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The client's registration.
    Registration,
    /// A user's tokens.
    Tokens,
}

impl Held {
    pub(crate) const fn verb(self) -> &'static str {
        match self {
            Self::Registration => "is",
            Self::Tokens => "are",
        }
    }

    pub(crate) const fn advice(self) -> &'static str {
        match self {
            Self::Registration => "register a client with the other one",
            Self::Tokens => "sign in again",
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Registration => "the client registration belongs",
            Self::Tokens => "the tokens belong",
        })
    }
}

/// What helps against an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The user has to sign in again. From [`refresh`](crate::refresh) it means that the grant is dead: drop the tokens.
    /// From [`finish`](crate::finish) it says nothing of tokens that are there already: anybody can make up a callback.
    SignIn,
    /// The registration is dead: drop it and the tokens, register again (a client that was registered by hand needs its
    /// administrator), then sign in.
    Register,
    /// Everything stays as it is: try again later.
    Later {
        /// Not before this many seconds have passed.
        after_seconds: Option<u64>,
    },
    /// Trying again changes nothing: somebody has to correct what the error names. Tokens stay as they are.
    Correct,
}

impl Error {
    /// What helps.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        match self {
            Self::Unreachable { .. } | Self::Random => Remedy::Later { after_seconds: None },
            Self::Busy { after_seconds, .. } => Remedy::Later { after_seconds: *after_seconds },
            Self::TokenRefused { code, .. } => code.remedy(),
            Self::SecretExpired { .. } | Self::OtherIssuer { what: Held::Registration, .. } => Remedy::Register,
            Self::Expired
            | Self::Callback { .. }
            | Self::State
            | Self::CallbackIssuer { .. }
            | Self::Denied { .. }
            | Self::OtherResource { .. }
            | Self::OtherIssuer { what: Held::Tokens, .. }
            | Self::NoRefreshToken { .. } => Remedy::SignIn,
            _ => Remedy::Correct,
        }
    }
}
