//! The audit record inside the store: who did what, before it happens.
//!
//! Invariant: entries are appended by the writer alone, numbered without a gap, and each commit that holds one also
//! holds a signed checkpoint of its size. Copies of the checkpoints go to a file outside at most once a second.

use std::collections::BTreeSet;
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

impl ListedEntry {
    /// How it ended, as people are told: the state that something was brought to where the entry names one (a change
    /// that is written down well may be the note of a failure), otherwise the result.
    pub fn outcome(&self) -> &str {
        let state = || self.entry.details.iter().find(|(key, _)| key == "state").map(|(_, state)| state.as_str());
        if self.entry.result == "ok" { state().unwrap_or("ok") } else { &self.entry.result }
    }
}

/// Which entries to look for: those of the filter that fit the rest, too. Empty text leaves nothing out.
#[derive(Clone, Debug, Default)]
pub struct EntrySearch {
    pub filter: EntryFilter,
    /// As the record has it, `user:…`; with `*` at its end a beginning.
    pub actor: String,
    /// As [`ListedEntry::outcome`] says it.
    pub outcome: String,
    /// Words in action, target, result and details; case does not matter.
    pub words: String,
    /// Without the calls of plugins, of which there are many: their effects and refusals stay.
    pub without_calls: bool,
}

impl EntrySearch {
    fn fits(&self, listed: &ListedEntry) -> bool {
        let entry = &listed.entry;
        let actor = match self.actor.strip_suffix('*') {
            Some(beginning) => entry.actor.starts_with(beginning),
            None => self.actor.is_empty() || entry.actor == self.actor,
        };
        let left_out = self.without_calls && entry.action == "plugin.call";
        !left_out && actor && (self.outcome.is_empty() || listed.outcome() == self.outcome) && self.has_words(entry)
    }

    fn has_words(&self, entry: &Entry) -> bool {
        if self.words.trim().is_empty() {
            return true;
        }
        let mut text = format!("{} {} {}", entry.action, entry.target, entry.result);
        for (key, value) in &entry.details {
            text.push(' ');
            text.push_str(key);
            text.push(' ');
            text.push_str(value);
        }
        let text = text.to_lowercase();
        self.words.to_lowercase().split_whitespace().all(|word| text.contains(word))
    }
}

/// Entries that were found.
#[derive(Clone, Debug, Default)]
pub struct EntriesFound {
    /// Newest first.
    pub entries: Vec<ListedEntry>,
    /// Where to go on: `before` of the next search. Nothing where the log was read to its beginning. A search stops after
    /// [`SEARCHED`] entries, so there may be more even where few were found.
    pub next: Option<u64>,
}

/// What occurs among the newest entries, for menus; each sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryWords {
    pub actors: Vec<String>,
    pub actions: Vec<String>,
    pub outcomes: Vec<String>,
}

/// Entries that one search reads at most: some 100 ms of work.
pub const SEARCHED: usize = 50_000;

/// Entries whose words make up the menus.
const FOR_WORDS: i64 = 2_000;

fn listed(row: &rusqlite::Row<'_>) -> Result<ListedEntry, StoreError> {
    let body: Vec<u8> = row.get(1)?;
    Ok(ListedEntry {
        entry: Entry::decode(&body).map_err(|error| StoreError::Decode(error.to_string()))?,
        leaf: Hash::from_slice(&row.get::<_, Vec<u8>>(0)?).ok_or_else(|| StoreError::Decode("a leaf".into()))?,
    })
}

/// Bytes as they stand in the audit log.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
        let search = EntrySearch { filter, ..EntrySearch::default() };
        Ok(self.search_entries(scope, search, usize::MAX).await?.entries)
    }

    /// Entries that fit a search, newest first; reads `at_most` entries that its filter lets through.
    ///
    /// # Errors
    /// What the database says.
    pub async fn search_entries(
        &self,
        scope: &Scope,
        search: EntrySearch,
        at_most: usize,
    ) -> Result<EntriesFound, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let filter = &search.filter;
            // Said outright, so that the few entries of a target are found by its index and not by reading all.
            let of_target = if filter.target.is_some() { "target = ?3" } else { "?3 IS NULL" };
            let mut statement = connection.prepare_cached(&format!(
                "SELECT leaf, body FROM audit_entries WHERE tenant_id = ?1 AND idx < ?2 AND {of_target}
                   AND (?4 IS NULL OR substr(action, 1, length(?4)) = ?4) ORDER BY idx DESC"
            ))?;
            let before = filter.before.map_or(i64::MAX, |index| index as i64);
            let mut rows = statement.query((tenant, before, &filter.target, &filter.action_prefix))?;
            let (mut found, mut read) = (EntriesFound::default(), 0);
            while let Some(row) = rows.next()? {
                // One more was there: the next search begins behind the last one that this one read.
                if found.entries.len() >= filter.limit || read >= at_most {
                    return Ok(found);
                }
                let one = listed(row)?;
                found.next = Some(one.entry.index);
                read += 1;
                if search.fits(&one) {
                    found.entries.push(one);
                }
            }
            found.next = None;
            Ok(found)
        })
        .await
    }

    /// What occurs among the newest entries.
    ///
    /// # Errors
    /// What the database says.
    pub async fn entry_words(&self, scope: &Scope) -> Result<EntryWords, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(
                "SELECT leaf, body FROM audit_entries WHERE tenant_id = ?1 ORDER BY idx DESC LIMIT ?2",
            )?;
            let mut rows = statement.query((tenant, FOR_WORDS))?;
            let mut words = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
            while let Some(row) = rows.next()? {
                let one = listed(row)?;
                let [actors, actions, outcomes] = &mut words;
                if !one.outcome().is_empty() {
                    outcomes.insert(one.outcome().to_owned());
                }
                actors.insert(one.entry.actor);
                actions.insert(one.entry.action);
            }
            let [actors, actions, outcomes] = words.map(|set| set.into_iter().collect());
            Ok(EntryWords { actors, actions, outcomes })
        })
        .await
    }

    /// The newest `limit` signed checkpoints that are stored, newest first: the size that each covers and its note; and
    /// how many there are.
    ///
    /// # Errors
    /// What the database says.
    pub async fn checkpoints(&self, _scope: &Scope, limit: usize) -> Result<(Vec<(u64, String)>, u64), StoreError> {
        self.read(move |connection, _| {
            const ALL: &str = "SELECT size, note FROM audit_checkpoints UNION ALL SELECT size, note FROM audit_head
                               WHERE size NOT IN (SELECT size FROM audit_checkpoints)";
            let mut statement = connection.prepare_cached(&format!("{ALL} ORDER BY size DESC LIMIT ?1"))?;
            let rows = statement.query_map([limit as i64], |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?)))?;
            let newest = rows.collect::<Result<_, _>>()?;
            let total: i64 = connection.query_row(&format!("SELECT count(*) FROM ({ALL})"), [], |row| row.get(0))?;
            Ok((newest, total as u64))
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
