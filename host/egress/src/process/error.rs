//! Why a process could not be started or spoken to. The sentences name the command, never arguments, environment or
//! anything that passed through a pipe.

use std::time::Duration;

/// Why a process failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProcessError {
    /// The command, its folder, an argument or its environment is not acceptable. Nothing was started.
    #[error("{0}")]
    Invalid(String),
    /// As many processes run as may. Nothing was started.
    #[error("{limit} processes are running, which is the limit; stop one first")]
    TooMany {
        /// How many may run at once.
        limit: usize,
    },
    /// The system refused to start it.
    #[error("the process could not be started: {0}")]
    Start(String),
    /// Its standard input is closed: by us, by itself, or after an earlier failure. Nothing was written.
    #[error("the process's standard input is closed")]
    InputClosed,
    /// It closed its standard input while a message was being written.
    #[error("the process stopped listening while it was written to: {0}")]
    Write(String),
    /// It did not take what was written to it.
    #[error("the process did not take what was written to it within {} ms", .limit.as_millis())]
    WriteTimeout {
        /// How long a write may take.
        limit: Duration,
    },
}

impl ProcessError {
    /// The failure code of the contract (`fumehood:types`).
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::TooMany { .. } | Self::Start(_) | Self::InputClosed => "unavailable",
            Self::Write(_) | Self::WriteTimeout { .. } => "outcome-unknown",
        }
    }
}
