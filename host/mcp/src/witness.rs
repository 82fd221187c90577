//! What is heard on a connection beside answers.

use serde_json::Value;

use crate::McpError;

/// Told of what a server says that is no answer, and of the end of a connection. All of it is a stranger's text: for
/// operators, never for a log. It is told on the connection's own way, so it must be quick.
pub trait Witness: Send + Sync {
    /// Its process wrote whole lines to its standard error; of a flood only the newest.
    fn wrote(&self, lines: &str);

    /// It said something of its own accord, on a connection whose opener wants to hear of nothing.
    fn said(&self, method: &str, params: &Value);

    /// It is over; with the reason where nobody here has closed it.
    fn ended(&self, reason: Option<&McpError>);
}
