//! The one connection on which calls are made again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fumehood_mcp::gateway::rpc;
use fumehood_mcp::{Connection, Incoming, McpError};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::Replay;
use crate::TriageError;
use crate::call::Purpose;

/// What the server says that waits to be heard.
const INCOMING: usize = 64;

/// A connection, and what the server has said of its tools since it was opened.
pub(super) struct Line {
    pub(super) connection: Arc<Connection>,
    changed: Arc<AtomicBool>,
    _hearing: AbortOnDropHandle<()>,
}

impl Line {
    fn of(connection: Arc<Connection>, mut said: mpsc::Receiver<Incoming>) -> Self {
        let changed = Arc::<AtomicBool>::default();
        let (seen, asked) = (Arc::clone(&changed), Arc::downgrade(&connection));
        let hearing = tokio::spawn(async move {
            while let Some(message) = said.recv().await {
                match (message.id, message.method.as_str(), asked.upgrade()) {
                    (Some(id), _, Some(connection)) => {
                        let what = "this call is made again, and nobody can be asked";
                        let error = json!({"code": rpc::METHOD_NOT_FOUND, "message": what});
                        connection.answer(&id, Err(error));
                    }
                    (None, "notifications/tools/list_changed", _) => seen.store(true, Ordering::SeqCst),
                    _ => {}
                }
            }
        });
        Self { connection, changed, _hearing: AbortOnDropHandle::new(hearing) }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.connection.is_alive()
    }

    /// Whether the server has said that its tools changed; told once.
    pub(super) fn has_changed(&self) -> bool {
        self.changed.swap(false, Ordering::SeqCst)
    }

    /// The version of the protocol.
    pub(super) fn protocol(&self) -> String {
        self.connection.facts().version()
    }

    pub(super) async fn close(&self) {
        self.connection.close().await;
    }
}

impl Replay<'_> {
    /// Connect, and see what the server offers now.
    pub(super) async fn open(&self) -> Result<Line, TriageError> {
        let purpose = Purpose {
            incident: None,
            kind: "gateway",
            destination: self.target.name.clone(),
            subject: format!("mcp-server:{}", self.target.id),
            instance: String::new(),
        };
        let (send, said) = mpsc::channel(INCOMING);
        let offers = Some((json!({}), send));
        let opened = self.app.connect(self.scope, &self.target, purpose, offers, true).await;
        let connection = match opened {
            Ok(connection) => connection,
            Err(error) => return Err(self.away(error).await),
        };
        let line = Line::of(connection, said);
        match self.look(&line).await {
            Ok(()) => Ok(line),
            Err(error) => {
                line.close().await;
                Err(error)
            }
        }
    }

    /// Compare what the server offers with what a person has seen; what is another is not called from here on.
    pub(super) async fn look(&self, line: &Line) -> Result<(), TriageError> {
        let tools = match line.connection.facts().offers("tools") {
            true => line.connection.discover().await,
            false => Err(McpError::NoTools),
        };
        let tools = match tools {
            Ok(tools) => tools,
            Err(McpError::NoTools) => Vec::new(),
            Err(error) => return Err(self.away(error).await),
        };
        match self.app.keep_seen(self.scope, self.target.id, tools).await {
            true => Ok(()),
            false => Err(TriageError::Conflict(
                "What the server offers could not be compared with what a person has seen. Nothing more is called."
                    .into(),
            )),
        }
    }

    async fn away(&self, error: McpError) -> TriageError {
        let text = self.app.without_credentials(self.scope, error.to_string()).await;
        TriageError::Conflict(format!("{}: {text}", self.target.name))
    }
}
