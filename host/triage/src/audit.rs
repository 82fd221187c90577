//! The record, for those who may read it.

use fumehood_policy::Permission;
use fumehood_store::Scope;
use fumehood_store::record::{EntriesFound, EntryFilter, EntrySearch, EntryWords, ListedEntry, SEARCHED};

use crate::{App, TriageError};

/// A signed checkpoint and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptCheckpoint {
    /// Entries that it covers.
    pub size: u64,
    pub note: String,
    /// Where it is kept: the data folder, and the file outside if it was copied there.
    pub sinks: Vec<String>,
}

/// What is read of the file outside to look for the newest checkpoints: some hundreds of them.
const END_BYTES: u64 = 256 << 10;

/// The end of a file, as text.
fn end_of(path: &std::path::Path) -> std::io::Result<String> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = std::fs::File::open(path)?;
    let from = file.metadata()?.len().saturating_sub(END_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(END_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

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

    /// Entries that fit a search, newest first; at most 500, and of a long log a part at a time.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn search_audit(&self, scope: &Scope, mut search: EntrySearch) -> Result<EntriesFound, TriageError> {
        self.require(scope, Permission::ReadAudit)?;
        search.filter.limit = search.filter.limit.clamp(1, 500);
        Ok(self.0.store.search_entries(scope, search, SEARCHED).await?)
    }

    /// Who and what occurs among the newest entries, for menus.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn audit_words(&self, scope: &Scope) -> Result<EntryWords, TriageError> {
        self.require(scope, Permission::ReadAudit)?;
        Ok(self.0.store.entry_words(scope).await?)
    }

    /// The newest signed checkpoints, newest first, with where each is kept; and how many are stored.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn checkpoints(&self, scope: &Scope, limit: usize) -> Result<(Vec<KeptCheckpoint>, u64), TriageError> {
        self.require(scope, Permission::ReadAudit)?;
        let (newest, total) = self.0.store.checkpoints(scope, limit).await?;
        let outside = self.0.checkpoint_file.clone();
        let read = move || {
            let end = outside.as_deref().map(|path| end_of(path).unwrap_or_default());
            let kept = |(size, note): (u64, String)| {
                let copied = outside.as_ref().filter(|_| end.as_ref().is_some_and(|end| end.contains(&note)));
                let copied = copied.map(|path| path.display().to_string());
                KeptCheckpoint { size, sinks: std::iter::once("data folder".to_owned()).chain(copied).collect(), note }
            };
            newest.into_iter().map(kept).collect()
        };
        let kept = tokio::task::spawn_blocking(read).await.map_err(|error| TriageError::Internal(error.to_string()))?;
        Ok((kept, total))
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

    /// Verify the whole log, against the stored checkpoints and those outside.
    ///
    /// # Errors
    /// `Forbidden`; a log that is not in order is no error but a result, see [`App::last_verification`].
    pub async fn verify_audit(&self, scope: &Scope) -> Result<(), TriageError> {
        self.require(scope, Permission::ReadAudit)?;
        let app = self.clone();
        let work = move || {
            let outside = match &app.0.checkpoint_file {
                Some(path) => Some(std::fs::read(path).map_err(|error| {
                    format!(
                        "The checkpoint file {} cannot be read: {error}. It is the proof that the database was not \
                         replaced as a whole; find out who removed it.",
                        path.display()
                    )
                })?),
                None => None,
            };
            fumehood_store::verify(app.0.store.folder(), &app.0.vault, outside.as_deref())
                .map_err(|error| error.to_string())
        };
        let report =
            tokio::task::spawn_blocking(work).await.map_err(|error| TriageError::Internal(error.to_string()))?;
        let (good, text) = match report {
            Ok(fumehood_store::VerifyReport::Ok(report)) => (true, report.to_string()),
            Ok(fumehood_store::VerifyReport::Bad { sentence, .. }) => (false, sentence),
            Err(sentence) => (false, sentence),
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
