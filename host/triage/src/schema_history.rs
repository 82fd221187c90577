//! How what servers say of their tools has changed, over all servers.

use fumehood_policy::Permission;
use fumehood_store::outside::{ToolChange, ToolChanges};
use fumehood_store::{Scope, ServerId};

use crate::{App, TriageError};

/// Changes that one question gives at most.
const CHANGES: usize = 1_000;

impl App {
    /// Changes of tools, newest first.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn schema_history(
        &self,
        scope: &Scope,
        mut which: ToolChanges,
    ) -> Result<Vec<(ServerId, ToolChange)>, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        which.limit = which.limit.clamp(1, CHANGES);
        Ok(self.0.store.tool_changes_before(scope, which).await?)
    }

    /// One change, by its number.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn schema_change(&self, scope: &Scope, number: i64) -> Result<(ServerId, ToolChange), TriageError> {
        let which = ToolChanges { before: Some(number.saturating_add(1)), limit: 1, ..ToolChanges::default() };
        let found = self.schema_history(scope, which).await?.into_iter().find(|(_, change)| change.number == number);
        found.ok_or(TriageError::NotFound { what: "change of a tool" })
    }
}
