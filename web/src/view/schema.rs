//! How what servers say of their tools has changed.

use askama::Template;

use super::Frame;
use super::servers::ToolEvent;

/// `GET /servers/schema`: `server`, `tool`, `before`.
#[derive(Clone, Debug, Template)]
#[template(path = "admin/schema.html")]
pub struct SchemaPage {
    /// The frame.
    pub frame: Frame,
    /// The server that was chosen, by its short name.
    pub server: String,
    /// The tool that was typed.
    pub tool: String,
    /// Servers to choose from.
    pub servers: Vec<String>,
    /// Newest first.
    pub events: Vec<ToolEvent>,
    /// Leads to older ones.
    pub older: Option<String>,
}

impl SchemaPage {
    /// Whether something is left out.
    #[must_use]
    pub fn narrows(&self) -> bool {
        !self.server.is_empty() || self.is_one_tool()
    }

    /// Whether it is the history of one name.
    #[must_use]
    pub fn is_one_tool(&self) -> bool {
        !self.tool.is_empty()
    }
}

/// `GET /servers/schema/{number}`.
#[derive(Clone, Debug, Template)]
#[template(path = "admin/schema_change.html")]
pub struct SchemaChangePage {
    /// The frame.
    pub frame: Frame,
    /// The change, with all its differences.
    pub event: ToolEvent,
    /// Leads to the server, while there is one.
    pub server_href: Option<String>,
    /// Leads to all changes of this tool.
    pub all: String,
    /// The whole object before, laid out.
    pub old: Option<String>,
    /// The whole object after.
    pub new: Option<String>,
}
