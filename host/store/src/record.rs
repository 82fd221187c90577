//! The audit record inside the store: who did what, before it happens.
//!
//! Invariant: entries are appended by the writer alone, numbered without a gap, and each commit that holds one also
//! holds a signed checkpoint of its size. Copies of the checkpoints go to a file outside at most once a second.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use fumehood_audit::{Checkpoint, Entry, Frontier, Hash, Phase, leaf_hash};
use rusqlite::{Connection, OptionalExtension as _};

use crate::{Scope, Store, StoreError, Tx};

/// The name under which this log signs its checkpoints.
pub const ORIGIN: &str = "fumehood/audit";

/// Checkpoints are kept, and copied outside, at most this often; by a clock that nobody sets back.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// What is changed, for the record. Details never hold personal data: ids, kinds, counts, hashes.
#[derive(Clone, Debug)]
pub struct Change {
    action: &'static str,
    target: String,
    details: Vec<(String, String)>,
}

impl Change {
    /// `action` as `noun.verb`, `target` as `noun:id`.
    pub fn new(action: &'static str, target: impl Into<String>) -> Self {
        Self { action, target: target.into(), details: Vec::new() }
    }

    /// Add a detail.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.details.push((key.into(), value.to_string()));
        self
    }
}

/// An intent on disk; its outcome is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntentId(pub u64);

/// An entry as it is listed.
#[derive(Clone, Debug)]
pub struct ListedEntry {
    pub entry: Entry,
    pub leaf: Hash,
}

/// Which entries to list.
#[derive(Clone, Debug, Default)]
pub struct EntryFilter {
    /// Entries before this index; newest first.
    pub before: Option<u64>,
    pub target: Option<String>,
    pub action_prefix: Option<String>,
    pub limit: usize,
}

impl Store {
    /// Change the store and put it on record, in one transaction.
    ///
    /// # Errors
    /// What `work` says, or why nothing could be written; then nothing was changed and nothing recorded.
    pub(crate) async fn change<T, F>(&self, scope: &Scope, change: Change, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let scope = scope.clone();
        self.write(move |tx| {
            let value = work(tx)?;
            tx.record(&scope, Phase::Done, None, change, "ok")?;
            Ok(value)
        })
        .await
    }

    /// Put an intent on disk. Only when this returns may the effect happen.
    ///
    /// # Errors
    /// Why it could not be written: the effect must not happen.
    pub async fn intent(&self, scope: &Scope, change: Change) -> Result<IntentId, StoreError> {
        let scope = scope.clone();
        self.write(move |tx| tx.record(&scope, Phase::Intent, None, change, "").map(IntentId)).await
    }

    /// Record how it ended.
    ///
    /// # Errors
    /// Why it could not be written; the intent then shows as an unknown outcome.
    pub async fn outcome(
        &self,
        scope: &Scope,
        intent: IntentId,
        change: Change,
        result: &str,
    ) -> Result<(), StoreError> {
        let (scope, result) = (scope.clone(), result.to_owned());
        self.write(move |tx| tx.record(&scope, Phase::Outcome, Some(intent), change, &result).map(drop)).await
    }

    /// Record something that happened and changes nothing by itself: a sign-in, a refusal.
    ///
    /// # Errors
    /// Why it could not be written.
    pub async fn event(&self, scope: &Scope, change: Change, result: &str) -> Result<(), StoreError> {
        let (scope, result) = (scope.clone(), result.to_owned());
        self.write(move |tx| tx.record(&scope, Phase::Event, None, change, &result).map(drop)).await
    }

    /// Entries, newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn entries(&self, scope: &Scope, filter: EntryFilter) -> Result<Vec<ListedEntry>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(
                "SELECT leaf, body FROM audit_entries
                 WHERE tenant_id = ?1 AND idx < ?2 AND (?3 IS NULL OR target = ?3)
                   AND (?4 IS NULL OR substr(action, 1, length(?4)) = ?4)
                 ORDER BY idx DESC LIMIT ?5",
            )?;
            let before = filter.before.map_or(i64::MAX, |index| index as i64);
            let mut rows =
                statement.query((tenant, before, filter.target, filter.action_prefix, filter.limit as i64))?;
            let mut entries = Vec::new();
            while let Some(row) = rows.next()? {
                let body: Vec<u8> = row.get(1)?;
                entries.push(ListedEntry {
                    entry: Entry::decode(&body).map_err(|error| StoreError::Decode(error.to_string()))?,
                    leaf: Hash::from_slice(&row.get::<_, Vec<u8>>(0)?)
                        .ok_or_else(|| StoreError::Decode("a leaf".into()))?,
                });
            }
            Ok(entries)
        })
        .await
    }

    /// The newest signed checkpoint: the size it covers and its note.
    ///
    /// # Errors
    /// What the database says.
    pub async fn checkpoint(&self, _scope: &Scope) -> Result<Option<(u64, String)>, StoreError> {
        self.read(|connection, _| {
            Ok(connection
                .query_row("SELECT size, note FROM audit_head", [], |row| {
                    Ok((row.get::<_, i64>(0)? as u64, row.get(1)?))
                })
                .optional()?)
        })
        .await
    }
}

impl Tx<'_> {
    /// Append one entry; returns its index.
    pub(crate) fn record(
        &mut self,
        scope: &Scope,
        phase: Phase,
        intent: Option<IntentId>,
        change: Change,
        result: &str,
    ) -> Result<u64, StoreError> {
        let entry = Entry {
            index: self.recorder.frontier.size(),
            time_us: self.now_us,
            tenant: scope.tenant.clone(),
            actor: scope.actor.to_string(),
            action: change.action.into(),
            target: change.target,
            phase,
            intent: intent.map(|id| id.0),
            result: result.into(),
            details: change.details,
        };
        self.recorder.append(self.connection, &entry)
    }
}

/// A crash may have left half a note at the end of the file outside: cut it, so that the next one begins on its own.
fn cut_torn_end(path: &std::path::Path) -> Result<(), StoreError> {
    let unusable = |detail: String| StoreError::ReadOnly { path: path.into(), detail };
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(error.to_string())),
    };
    let file = fumehood_audit::OutsideFile::parse(&bytes)
        .map_err(|error| unusable(format!("it holds something else than checkpoints ({error})")))?;
    if file.whole_bytes < bytes.len() {
        std::fs::OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|file_on_disk| file_on_disk.set_len(file.whole_bytes as u64))
            .map_err(|error| unusable(error.to_string()))?;
    }
    Ok(())
}

/// Appends entries and signs checkpoints. Lives on the writer's thread.
pub(crate) struct Recorder {
    frontier: Frontier,
    key: SigningKey,
    outside: Option<PathBuf>,
    kept: Option<Instant>,
    pending: Option<String>,
    /// The last copy did not arrive; what it left is cut off before the next.
    copy_failed: bool,
}

fn append(path: &std::path::Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_data()
}

/// Where the tree stood, to go back to.
pub(crate) struct Mark(Frontier);

impl Mark {
    pub(crate) fn size(&self) -> u64 {
        self.0.size()
    }
}

impl Recorder {
    /// Take the tree up where the database left it.
    pub(crate) fn open(connection: &Connection, key: SigningKey, outside: Option<PathBuf>) -> Result<Self, StoreError> {
        if let Some(path) = &outside {
            cut_torn_end(path)?;
            // A file that cannot be written is found now, not when its proof is needed.
            append(path, b"")
                .map_err(|error| StoreError::ReadOnly { path: path.clone(), detail: error.to_string() })?;
        }
        let mut statement = connection.prepare("SELECT leaf FROM audit_entries ORDER BY idx")?;
        let mut rows = statement.query([])?;
        let mut frontier = Frontier::new();
        while let Some(row) = rows.next()? {
            let leaf: Vec<u8> = row.get(0)?;
            frontier.append(
                Hash::from_slice(&leaf).ok_or_else(|| StoreError::Decode("an audit leaf has no 32 bytes".into()))?,
            );
        }
        Ok(Self { frontier, key, outside, kept: None, pending: None, copy_failed: false })
    }

    fn append(&mut self, connection: &Connection, entry: &Entry) -> Result<u64, StoreError> {
        let body = entry.encode().map_err(|error| StoreError::Invalid(error.to_string()))?;
        let leaf = leaf_hash(&body);
        connection
            .prepare_cached(
                "INSERT INTO audit_entries (idx, tenant_id, leaf, body, time_us, actor, action, target)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute((
                entry.index as i64,
                &entry.tenant,
                leaf.as_bytes(),
                &body,
                entry.time_us,
                &entry.actor,
                &entry.action,
                &entry.target,
            ))?;
        self.frontier.append(leaf);
        Ok(entry.index)
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark(self.frontier.clone())
    }

    pub(crate) fn reset(&mut self, mark: Mark) {
        self.frontier = mark.0;
    }

    /// Sign the tree as it will be committed, if it grew.
    pub(crate) fn seal(&mut self, connection: &Connection, size_before: u64) -> Result<(), StoreError> {
        if self.frontier.size() == size_before {
            return Ok(());
        }
        self.checkpoint(connection, false)
    }

    fn checkpoint(&mut self, connection: &Connection, force: bool) -> Result<(), StoreError> {
        let now_us = crate::clock::now_us();
        let size = self.frontier.size();
        let note = Checkpoint::new(ORIGIN, size, self.frontier.root(), now_us)
            .map_err(|error| StoreError::Invalid(error.to_string()))?
            .sign(&self.key)
            .to_string();
        connection
            .prepare_cached(
                "INSERT INTO audit_head (one, tenant_id, size, note) VALUES (1, '', ?1, ?2)
                 ON CONFLICT (one) DO UPDATE SET size = excluded.size, note = excluded.note",
            )?
            .execute((size as i64, &note))?;
        if force || self.kept.is_none_or(|kept| kept.elapsed() >= CHECKPOINT_EVERY) {
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO audit_checkpoints (size, tenant_id, note, time_us) VALUES (?1, '', ?2, ?3)",
                )?
                .execute((size as i64, &note, now_us))?;
            self.pending = Some(note);
        }
        Ok(())
    }

    /// After the commit: copy a kept checkpoint outside. Never before, or the copy could be ahead of the log.
    pub(crate) fn committed(&mut self) {
        let Some(note) = self.pending.take() else { return };
        self.kept = Some(Instant::now());
        let Some(path) = &self.outside else { return };
        let copied = if self.copy_failed { cut_torn_end(path) } else { Ok(()) }
            .and_then(|()| append(path, note.as_bytes()).map_err(|error| StoreError::Io(error.to_string())));
        match copied {
            Ok(()) => self.copy_failed = false,
            Err(error) => {
                if !self.copy_failed {
                    tracing::error!(%error, path = %path.display(), "a checkpoint could not be copied outside; it is tried again");
                }
                self.copy_failed = true;
                self.pending = Some(note);
            }
        }
    }

    /// Keep and copy the last checkpoint when the store closes.
    pub(crate) fn close(&mut self, connection: &Connection) -> Result<(), StoreError> {
        if self.frontier.size() > 0 {
            self.checkpoint(connection, true)?;
            self.committed();
        }
        Ok(())
    }
}
