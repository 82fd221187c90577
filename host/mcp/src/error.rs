//! What can go wrong between us and an MCP server, in sentences for the person: what happened, and what to do.

use fumehood_runtime::CallError;

/// Why a server could not be reached, asked or called.
#[derive(Clone, Debug, thiserror::Error)]
pub enum McpError {
    #[error("The server cannot be reached: {0}")]
    Unreachable(String),
    #[error("The server refuses the credential: {0}. Set a new one.")]
    Auth(String),
    #[error("The server does not speak MCP as documented: {0}")]
    Protocol(String),
    #[error("The server is connected but offers no tools. Check its configuration; the model cannot use it like this.")]
    NoTools,
    #[error("The server gave no answer within {seconds} s. Check whether it is busy or stuck, then reconnect.")]
    TimedOut { seconds: u64 },
    #[error("The connection ended: {0}")]
    Closed(String),
    /// The server's own error.
    #[error("The server answered with an error: {message} ({code})")]
    Tool { code: i64, message: String },
    #[error("{0}")]
    Plugin(CallError),
    #[error("Stopped before the server had answered.")]
    Cancelled,
}

impl McpError {
    /// The state that a server is shown in.
    pub fn state(&self) -> &'static str {
        match self {
            Self::Unreachable(_) | Self::TimedOut { .. } | Self::Closed(_) => "unreachable",
            _ => "error",
        }
    }
}

/// Longest text of a server that goes into an error, characters.
const TEXT: usize = 512;

/// A server's text, bounded and on one line.
pub(crate) fn bounded(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT).collect()
}
