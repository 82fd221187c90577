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

    /// The name under which the log signs, and its public key in Base 64.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn log_identity(&self, scope: &Scope) -> Result<(String, String), TriageError> {
        self.require(scope, Permission::ReadAudit)?;
        let key = self.0.vault.signing_key().verifying_key();
        let text = format!("ed25519:{}", data_encoding::BASE64.encode(key.as_bytes()));
        Ok((fumehood_store::record::ORIGIN.to_owned(), text))
    }

    /// Where signed checkpoints are kept.
    pub fn checkpoint_sinks(&self) -> Vec<String> {
        let outside = self.0.checkpoint_file.as_ref().map(|path| path.display().to_string());
        std::iter::once("data folder".to_owned()).chain(outside).collect()
    }

    /// Verify the whole log, against the stored checkpoints and those outside.
    ///
    /// # Errors
    /// `Forbidden`; a log that is not in order is no error but a result, see [`App::last_verification`].
    pub async fn verify_audit(&self, scope: &Scope) -> Result<(), TriageError> {
        self.require(scope, Permission::ReadAudit)?;
        let app = self.clone();
        let work = move || {
            let outside = match &app.0.checkpoint_file {
                Some(path) => std::fs::read(path).ok(),
                None => None,
            };
            fumehood_store::verify(app.0.store.folder(), &app.0.vault, outside.as_deref())
        };
        let report =
            tokio::task::spawn_blocking(work).await.map_err(|error| TriageError::Internal(error.to_string()))?;
        let (good, text) = match report {
            Ok(fumehood_store::VerifyReport::Ok(report)) => (true, report.to_string()),
            Ok(fumehood_store::VerifyReport::Bad { sentence, .. }) => (false, sentence),
            Err(error) => (false, error.to_string()),
        };
        let change = fumehood_store::Change::new("audit.verify", "audit:log");
        self.0.store.event(scope, change, if good { "ok" } else { "bad" }).await?;
        if let Ok(mut last) = self.0.verification.lock() {
            *last = Some((good, text, fumehood_store::clock::now_us()));
        }
        Ok(())
    }

    /// What the last verification since the start said: whether all holds, in what words, when.
    pub fn last_verification(&self) -> Option<(bool, String, i64)> {
        self.0.verification.lock().ok()?.clone()
    }
}
