//! The programs of servers over stdio: pinned by what they hold, and switched on and off with their server.
//!
//! Invariant: a program is started only while it holds what a person approved. Files that its arguments name are not
//! looked at: what a program says that it offers is pinned by itself.

use std::path::PathBuf;
use std::sync::Arc;

use fumehood_egress::Pinned;
use fumehood_mcp::McpError;
use fumehood_policy::{Digest, Permission};
use fumehood_store::outside::McpServer;
use fumehood_store::{Scope, ServerId, clock};

use crate::{App, TriageError};

impl App {
    /// What a program holds now.
    pub(crate) async fn program_at(&self, command: &str) -> std::io::Result<Pinned> {
        let (programs, path) = (Arc::clone(&self.0.tools.programs), PathBuf::from(command));
        let now = clock::now_us() / 1_000_000;
        tokio::task::spawn_blocking(move || programs.open(&path, now)).await?
    }

    /// A server's program, if it is the one that was approved.
    pub(crate) async fn program(&self, server: &McpServer) -> Result<Pinned, McpError> {
        let command = &server.command;
        let program = self.program_at(command).await;
        let program = program.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                McpError::Unreachable(format!("the command `{command}` cannot be used: it does not exist"))
            }
            _ => McpError::Unreachable(format!("the command `{command}` cannot be read: {error}")),
        })?;
        if Digest::new(program.sha256()).to_string() == server.program_sha256 {
            return Ok(program);
        }
        Err(McpError::Changed(format!(
            "The program {command} is not the one that was approved: what it holds has changed. Nothing was started. Look \
             at what changed on that machine, then approve it on the server's page."
        )))
    }

    /// What a server's program holds now, where that is not what was approved: its SHA-256.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn changed_program(&self, scope: &Scope, server: &McpServer) -> Result<Option<String>, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        if server.transport != "stdio" {
            return Ok(None);
        }
        let Ok(program) = self.program_at(&server.command).await else { return Ok(None) };
        Ok(Some(Digest::new(program.sha256()).to_string()).filter(|now| *now != server.program_sha256))
    }

    /// Approve what a server's program holds now, as it was shown: `sha256`.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Conflict` where it has changed since.
    pub async fn approve_program(&self, scope: &Scope, id: ServerId, sha256: &str) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageServers)?;
        let server = self.0.store.server(scope, id).await?;
        if server.transport != "stdio" {
            return Err(TriageError::Conflict(format!("{} is not started by a program.", server.name)));
        }
        let program = self.program_at(&server.command).await;
        let program =
            program.map_err(|error| TriageError::Conflict(format!("{} cannot be read: {error}.", server.command)))?;
        let now = Digest::new(program.sha256()).to_string();
        if now != sha256 {
            let what = format!("{} has changed since it was shown. Nothing was approved; look again.", server.command);
            return Err(TriageError::Conflict(what));
        }
        self.0.store.approve_program(scope, id, now).await?;
        self.begin_anew(scope, id).await;
        Ok(())
    }

    /// Switch a server on or off. Off, nothing of it is offered, called or started; what was decided about it stays.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn enable_server(&self, scope: &Scope, id: ServerId, enabled: bool) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageServers)?;
        self.0.store.enable_server(scope, id, enabled).await?;
        if enabled {
            self.begin_anew(scope, id).await;
        } else {
            self.0.tools.served.forget();
            self.nobody_asks(scope, id).await?;
            self.disconnect(id).await;
        }
        Ok(())
    }

    /// Calls of a server that wait for a person wait no longer.
    pub(crate) async fn nobody_asks(&self, scope: &Scope, id: ServerId) -> Result<(), TriageError> {
        self.0.store.end_mcp_asks(scope, id).await?;
        self.0.decided.send_modify(|count| *count += 1);
        Ok(())
    }

    async fn begin_anew(&self, scope: &Scope, id: ServerId) {
        self.0.tools.served.forget();
        self.disconnect(id).await;
        self.discover_soon(scope, id);
    }
}
