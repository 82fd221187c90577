//! Reading the record of the gateway.

use fumehood_policy::Permission;
use fumehood_store::Scope;
use fumehood_store::calls::{CallFilter, CallRow, CallStats, Grouping, SessionFilter, SessionRow, TimeSlot};

use crate::{App, TriageError};

/// Rows that one question gives at most.
const ROWS: usize = 10_000;

impl App {
    /// Whether somebody may read the numbers of this server.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn may_read_metrics(&self, scope: &Scope) -> Result<(), TriageError> {
        self.require(scope, Permission::ReadPlugins)
    }

    /// Requests: newest first; the slowest first where a least duration is named; oldest first after a number.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn mcp_calls(&self, scope: &Scope, mut filter: CallFilter) -> Result<Vec<CallRow>, TriageError> {
        self.require(scope, Permission::ReadPluginLogs)?;
        filter.limit = filter.limit.clamp(1, ROWS);
        Ok(self.0.store.mcp_calls(scope, filter).await?)
    }

    /// One request with what was asked and answered, as far as it is kept.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn mcp_call(
        &self,
        scope: &Scope,
        id: &str,
    ) -> Result<(CallRow, Option<Vec<u8>>, Option<Vec<u8>>), TriageError> {
        self.require(scope, Permission::ReadPluginLogs)?;
        Ok(self.0.store.mcp_call_bodies(scope, id.to_owned()).await?)
    }

    /// Numbers by group.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn mcp_stats(
        &self,
        scope: &Scope,
        filter: CallFilter,
        by: Grouping,
    ) -> Result<Vec<CallStats>, TriageError> {
        self.require(scope, Permission::ReadPluginLogs)?;
        Ok(self.0.store.mcp_stats(scope, filter, by).await?)
    }

    /// Numbers over time, and of all of it.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn mcp_over_time(
        &self,
        scope: &Scope,
        filter: CallFilter,
        slots: usize,
    ) -> Result<(Vec<TimeSlot>, CallStats), TriageError> {
        self.require(scope, Permission::ReadPluginLogs)?;
        let until = fumehood_store::clock::now_us();
        Ok(self.0.store.mcp_over_time(scope, filter, until, slots).await?)
    }

    /// Sessions of clients, those used last first.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn mcp_sessions(&self, scope: &Scope, mut filter: SessionFilter) -> Result<Vec<SessionRow>, TriageError> {
        self.require(scope, Permission::ReadPluginLogs)?;
        filter.limit = filter.limit.clamp(1, ROWS);
        Ok(self.0.store.mcp_sessions(scope, filter).await?)
    }
}
