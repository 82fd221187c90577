//! The record, for those who may read it.

use fumehood_policy::Permission;
use fumehood_store::Scope;
use fumehood_store::record::{EntryFilter, ListedEntry};

use crate::{App, TriageError};

impl App {
    /// Entries, newest first; at most 500.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn audit(&self, scope: &Scope, mut filter: EntryFilter) -> Result<Vec<ListedEntry>, TriageError> {
        self.require(scope, Permission::ReadAudit)?;
        filter.limit = filter.limit.clamp(1, 500);
        Ok(self.0.store.entries(scope, filter).await?)
    }

    /// The newest signed checkpoint: how many entries it covers, and its note.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn checkpoint(&self, scope: &Scope) -> Result<Option<(u64, String)>, TriageError> {
        self.require(scope, Permission::ReadAudit)?;
        Ok(self.0.store.checkpoint(scope).await?)
    }
}
