//! What can go wrong between us and an MCP server, in sentences for the person: what happened, and what to do.

use fumehood_runtime::CallError;
use serde_json::Value;

use crate::Collision;

/// Why a server could not be reached, asked or called.
#[derive(Clone, Debug, thiserror::Error)]
pub enum McpError {
    /// Nothing has reached the server.
    #[error(
        "The server cannot be reached: {0}. Check that it runs and that it is registered correctly, then choose “Connect \
         again” on its page."
    )]
    Unreachable(String),
    /// What the server did not take, as the transport tells it; one sentence says what to do about it.
    #[error("The server did not let us in: {0}. Set a new credential under “Edit” on its page.")]
    Auth(String),
    /// Nobody has signed in there, or that is over.
    #[error("{0}")]
    SignIn(String),
    /// Its program is not the one that a person has approved; nothing was started.
    #[error("{0}")]
    Changed(String),
    #[error("The server does not speak MCP as documented: {0}. Check that this is an MCP server, and its log.")]
    Protocol(String),
    #[error("The server is connected but offers no tools. Check its configuration; the model cannot use it like this.")]
    NoTools,
    /// None of its tools has a name of its own.
    #[error("The server is connected, and no tool can be offered: {0}.")]
    Ambiguous(Collision),
    #[error(
        "The server gave no answer within {seconds} s. Check whether it is busy or stuck, then choose “Connect again” on its page."
    )]
    TimedOut { seconds: u64 },
    /// It ended on the way; what was asked last may have been done.
    #[error("The connection ended: {0}. Check the server's log, then choose “Connect again” on its page.")]
    Closed(String),
    /// The server's own error.
    #[error("The server answered with an error: {} ({code})", bounded(message))]
    Tool { code: i64, message: String, data: Option<Value> },
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
            Self::SignIn(_) => "sign-in",
            Self::Changed(_) => "changed",
            _ => "error",
        }
    }

    /// A message that could not be sent, by the contract's failure code.
    pub(crate) fn of_message(code: &str, text: &str) -> Self {
        match code {
            // The request left, and nobody knows how far it came.
            "timeout" | "outcome-unknown" => Self::Closed(bounded(text)),
            "unavailable" | "denied" | "rate-limited" | "not-found" | "conflict" => Self::Unreachable(bounded(text)),
            code => Self::of_end(code, text),
        }
    }

    /// A connection that is over, or an answer that broke off, by the contract's failure code.
    pub(crate) fn of_end(code: &str, text: &str) -> Self {
        let text = bounded(text);
        match code {
            "auth" | "forbidden" => Self::Auth(first_sentence(&text).to_owned()),
            "protocol" | "unsupported" | "invalid" | "too-large" => Self::Protocol(text),
            "cancelled" => Self::Cancelled,
            _ => Self::Closed(text),
        }
    }
}

/// Longest text of a server that goes into an error, characters.
const TEXT: usize = 512;

/// A stranger's text, bounded and on one line.
pub(crate) fn one_line(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT).collect()
}

/// The same without its full stop: it stands within a sentence of ours.
pub(crate) fn bounded(text: &str) -> String {
    let line = one_line(text);
    line.strip_suffix('.').map(str::to_owned).unwrap_or(line)
}

/// What happened, without the advice of whoever told it: ours stands behind it, with the names of our buttons.
fn first_sentence(text: &str) -> &str {
    text.split_once(". ").map_or(text, |(first, _)| first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_says_whether_something_may_have_been_done() {
        let of = |code| format!("{:?}", McpError::of_message(code, "It went wrong."));
        for code in ["unavailable", "denied", "rate-limited", "not-found"] {
            assert_eq!(of(code), "Unreachable(\"It went wrong\")", "{code}");
        }
        for code in ["timeout", "outcome-unknown", "something-new"] {
            assert_eq!(of(code), "Closed(\"It went wrong\")", "{code}");
        }
        assert_eq!(of("auth"), "Auth(\"It went wrong\")");
        assert_eq!(of("too-large"), "Protocol(\"It went wrong\")");
        assert!(matches!(McpError::of_end("unavailable", ""), McpError::Closed(_)), "a connection was there");
    }

    #[test]
    fn a_strangers_text_stays_on_one_line_and_short() {
        assert_eq!(bounded(" a\nb\u{1b}[0m. "), "a b [0m");
        assert_eq!(bounded(&"é".repeat(4_000)).chars().count(), TEXT);
        let sentence = McpError::Closed(bounded("It ended.")).to_string();
        assert_eq!(
            sentence,
            "The connection ended: It ended. Check the server's log, then choose “Connect again” on its page."
        );
    }

    #[test]
    fn a_refused_credential_is_one_advice() {
        let told = "time wants a valid credential (HTTP 401). Renew the one that is registered, or add one.";
        assert_eq!(
            McpError::of_message("auth", told).to_string(),
            "The server did not let us in: time wants a valid credential (HTTP 401). Set a new credential under “Edit” \
             on its page."
        );
        assert_eq!(first_sentence("mcp.example.com says no"), "mcp.example.com says no");
    }
}
