//! rmcp's seam: a `Transport<RoleClient>` whose other end is the driver.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;

use rmcp::RoleClient;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::driver::Command;
use crate::tap::Tap;

/// A message did not reach the server.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct SendError {
    /// The contract's failure code.
    pub(crate) code: String,
    pub(crate) text: String,
}

impl SendError {
    pub(crate) fn closed() -> Self {
        Self { code: "unavailable".into(), text: "the connection is closed".into() }
    }
}

pub(crate) struct PluginTransport {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) messages: mpsc::Receiver<Value>,
    pub(crate) tap: Arc<Tap>,
    pub(crate) sequence: u64,
}

/// Tells the machine when the client no longer waits for a message that it sends.
struct Waiting {
    id: u64,
    commands: Option<mpsc::Sender<Command>>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(commands) = self.commands.take() {
            let _ = commands.try_send(Command::Dropped(self.id));
        }
    }
}

impl Transport<RoleClient> for PluginTransport {
    type Error = SendError;

    fn name() -> Cow<'static, str> {
        "fumehood transport plugin".into()
    }

    fn send(&mut self, item: TxJsonRpcMessage<RoleClient>) -> impl Future<Output = Result<(), SendError>> + Send + 'static {
        self.sequence += 1;
        let (id, commands) = (self.sequence, self.commands.clone());
        let data = serde_json::to_vec(&item);
        async move {
            let data = data.map_err(|error| SendError { code: "invalid".into(), text: error.to_string() })?;
            let (done, answer) = oneshot::channel();
            commands.send(Command::Send { id, data, done }).await.map_err(|_| SendError::closed())?;
            let mut waiting = Waiting { id, commands: Some(commands) };
            let result = answer.await.unwrap_or_else(|_| Err(SendError::closed()));
            waiting.commands = None;
            result
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            let raw = self.messages.recv().await?;
            self.tap.see(&raw);
            match serde_json::from_value(raw) {
                Ok(message) => return Some(message),
                // The server's words stay out of the log.
                Err(_) => tracing::debug!("a message of an MCP server was not understood and was skipped"),
            }
        }
    }

    async fn close(&mut self) -> Result<(), SendError> {
        let _ = self.commands.send(Command::Close).await;
        // The driver drops its end when it is through; messages that still come are of no use.
        while self.messages.recv().await.is_some() {}
        Ok(())
    }
}
