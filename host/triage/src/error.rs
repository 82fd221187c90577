//! What can go wrong in a use case, in words for the person. Status codes are for `web` to choose.

use fumehood_policy::Permission;
use fumehood_runtime::CallError;
use fumehood_store::StoreError;

/// Why a use case did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum TriageError {
    #[error("Sign in first.")]
    SignedOut,
    #[error("Your role does not allow this. Ask an administrator.")]
    Forbidden(Permission),
    /// A field and what is wrong with it.
    #[error("{message}")]
    Invalid { field: &'static str, message: String },
    #[error("There is no such {what}. It may have been removed, or the link is wrong.")]
    NotFound { what: &'static str },
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    TooLarge(String),
    /// Something that is not set up yet, and where to do it.
    #[error("{message}")]
    NotSetUp { message: String, at: &'static str },
    #[error("The disk is full. What was saved is safe; this change was not made. Free some space and try again.")]
    DiskFull,
    #[error("Too many attempts. Wait {seconds} seconds and try again.")]
    TooMany { seconds: u64 },
    /// What an incident may spend on models is spent.
    #[error("{0}")]
    OverBudget(String),
    /// A plugin, or what it talks to, said no.
    #[error("{}", said(.0))]
    Plugin(CallError),
    /// The data folder cannot be used as it is. For the operator.
    #[error("{0}")]
    CannotOpen(String),
    #[error("Stopped: {0}")]
    Cancelled(String),
    /// A value would have left. Names the pseudonym, never the value.
    #[error(
        "Nothing was sent: the value behind {label} was still in it ({encoding}). Mask it, or reword, and try again."
    )]
    WouldLeak { label: String, encoding: String },
    #[error("This could not be done because of a fault inside Fumehood ({0}). Nothing else was affected.")]
    Internal(String),
}

impl TriageError {
    pub(crate) fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { field, message: message.into() }
    }

    /// A short code for machines, `problem` documents and logs.
    pub fn code(&self) -> &str {
        match self {
            Self::SignedOut => "signed-out",
            Self::Forbidden(_) => "forbidden",
            Self::Invalid { .. } => "invalid",
            Self::NotFound { .. } => "not-found",
            Self::Conflict(_) => "conflict",
            Self::TooLarge(_) => "too-large",
            Self::NotSetUp { .. } => "not-set-up",
            Self::DiskFull => "disk-full",
            Self::TooMany { .. } => "too-many",
            Self::OverBudget(_) => "over-budget",
            Self::Plugin(error) => error.code(),
            Self::CannotOpen(_) => "cannot-open",
            Self::Cancelled(_) => "cancelled",
            Self::WouldLeak { .. } => "would-leak",
            Self::Internal(_) => "internal",
        }
    }
}

/// A service's refusal in its own words; of a plugin that misbehaved, its name and what it did.
fn said(error: &CallError) -> String {
    error.failure().map_or_else(|| error.to_string(), |failure| failure.message.clone())
}

impl From<StoreError> for TriageError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { what, .. } => Self::NotFound { what },
            StoreError::Conflict(message) => Self::Conflict(message),
            StoreError::Invalid(message) => Self::Invalid { field: "", message },
            StoreError::Full => Self::DiskFull,
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<CallError> for TriageError {
    fn from(error: CallError) -> Self {
        Self::Plugin(error)
    }
}

impl From<fumehood_redact::Leak> for TriageError {
    fn from(leak: fumehood_redact::Leak) -> Self {
        Self::WouldLeak { label: leak.label, encoding: leak.encoding.to_string() }
    }
}
