//! Why a request was not answered. The code says whether anything can have reached the other side; the sentence names
//! at most scheme, host and port, never a path, a query, a header or a body.

/// Why a request or its answer failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// The request is not one that can be sent. Nothing was sent.
    #[error("{0}")]
    Invalid(String),
    /// An address of the name was refused. No socket was opened.
    #[error("{0}")]
    Denied(String),
    /// Nothing was sent: the name, the connection or TLS failed.
    #[error("{0}")]
    Unavailable(String),
    /// The request was on its way when the connection broke or the time ran out, and no head came back.
    #[error("{0}")]
    OutcomeUnknown(String),
    /// The other side fell silent within the body.
    #[error("{0}")]
    Timeout(String),
    /// The body ended before it was complete.
    #[error("{0}")]
    CutShort(String),
    /// The body has more bytes than the grant allows for an answer.
    #[error("the answer has more than the {limit} bytes that the grant allows for one answer (max_response_bytes)")]
    TooLarge {
        /// Bytes that were allowed.
        limit: u64,
    },
    /// The answer is not HTTP as documented, or its head is over the limits.
    #[error("{0}")]
    Protocol(String),
    /// The caller asked to stop.
    #[error("{}", cancelled(*.sent))]
    Cancelled {
        /// Whether the request was on its way already.
        sent: bool,
    },
    /// The way out could not be set up.
    #[error("{0}")]
    Setup(String),
}

const fn cancelled(sent: bool) -> &'static str {
    if sent { "stopped when the request was already on its way" } else { "stopped before anything was sent" }
}

impl EgressError {
    /// The failure code of the contract (`fumehood:types`).
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::Denied(_) | Self::TooLarge { .. } => "denied",
            Self::Unavailable(_) | Self::CutShort(_) => "unavailable",
            Self::OutcomeUnknown(_) => "outcome-unknown",
            Self::Timeout(_) => "timeout",
            Self::Protocol(_) => "protocol",
            Self::Cancelled { .. } => "cancelled",
            Self::Setup(_) => "internal",
        }
    }
}
