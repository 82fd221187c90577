//! The one writer: a thread that commits queued writes together.
//!
//! Invariant: a caller hears `Ok` only after the commit that contains its write has returned. Each write is a
//! savepoint; one that fails by itself is undone alone. A full disk or an I/O error fails the whole group, because
//! nobody can say which of its pages reached the disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fumehood_vault::Vault;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::record::Recorder;
use crate::{Scope, StoreError, clock};

/// Writes that one commit may gather. Enough to amortise the flush, small enough to bound the wait.
const GROUP: usize = 128;

/// Longest time a group gathers once it runs, so that a stream of bulk writes cannot hold others' commit back.
const GROUP_TIME: Duration = Duration::from_millis(25);

/// Writes that may wait; beyond it callers wait to enqueue.
const QUEUE: usize = 1024;

type Job = Box<dyn FnOnce(&mut Tx<'_>) -> (Verdict, Finish) + Send>;
type Finish = Box<dyn FnOnce(Option<StoreError>) + Send>;

enum Verdict {
    Keep,
    Undo,
    /// Also carries what happened, for the others of the group.
    FailGroup(StoreError),
}

/// A write in progress.
pub struct Tx<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) recorder: &'a mut Recorder,
    pub(crate) vault: &'a Vault,
    /// One time for all of a write.
    pub now_us: i64,
}

impl Tx<'_> {
    /// Encrypt a field for its place.
    pub(crate) fn seal(
        &self,
        scope: &Scope,
        table: &str,
        row: &str,
        column: &str,
        plain: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        Ok(self.vault.seal(&fumehood_vault::Place { tenant: &scope.tenant, table, row, column }, plain)?)
    }

    /// What was sealed there.
    pub(crate) fn open(
        &self,
        scope: &Scope,
        table: &str,
        row: &str,
        column: &str,
        sealed: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        Ok(self.vault.open(&fumehood_vault::Place { tenant: &scope.tenant, table, row, column }, sealed)?.to_vec())
    }
}

/// The sending side; cheap to clone. The thread ends when the last one is dropped, after what is queued.
#[derive(Clone)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Start the thread. `connection` is the only one that writes.
    pub(crate) fn start(
        connection: Connection,
        mut recorder: Recorder,
        vault: Arc<Vault>,
    ) -> (Self, std::thread::JoinHandle<()>) {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        let body = move || {
            while let Some(first) = queue.blocking_recv() {
                run_group(&connection, &mut recorder, &vault, first, &mut queue);
            }
            if let Err(error) = recorder.close(&connection) {
                tracing::warn!(%error, "the last checkpoint could not be written");
            }
            // The write-ahead log goes into the database, so that a copy of the one file is a copy of everything.
            if let Err(error) = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
                tracing::warn!(%error, "the write-ahead log could not be folded in; the next start does it");
            }
        };
        #[expect(clippy::expect_used, reason = "a process that cannot start one thread cannot run at all")]
        let thread =
            std::thread::Builder::new().name("store-writer".into()).spawn(body).expect("the writer thread starts");
        (Self { jobs }, thread)
    }

    /// Run a write; returns when it is durable.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (send, receive) = oneshot::channel();
        let job: Job = Box::new(move |tx| {
            let result = work(tx);
            let verdict = match &result {
                Ok(_) => Verdict::Keep,
                Err(error @ (StoreError::Full | StoreError::Io(_))) => Verdict::FailGroup(error.for_group()),
                Err(_) => Verdict::Undo,
            };
            let finish: Finish = Box::new(move |failed| {
                let _ = send.send(match failed {
                    Some(error) if result.is_ok() => Err(error),
                    _ => result,
                });
            });
            (verdict, finish)
        });
        self.jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        receive.await.unwrap_or(Err(StoreError::Closed))
    }
}

/// A statement without parameters or rows, parsed once.
fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

fn run_group(
    connection: &Connection,
    recorder: &mut Recorder,
    vault: &Vault,
    first: Job,
    queue: &mut mpsc::Receiver<Job>,
) {
    let began = Instant::now();
    let before = recorder.mark();
    let mut finishes: Vec<Finish> = Vec::new();
    let mut failed = run(connection, "BEGIN IMMEDIATE").err().map(StoreError::from);
    let mut next = Some(first);
    while let Some(job) = next.take() {
        if failed.is_some() {
            // Nothing can be written: let the job's own error, or the group's, reach its caller without running it.
            finishes.push(refuse(job, connection, recorder, vault));
        } else {
            let mark = recorder.mark();
            // One that is alone so far needs no savepoint: undoing it undoes all there is.
            let alone = finishes.is_empty() && queue.is_empty();
            if !alone && let Err(error) = run(connection, "SAVEPOINT job") {
                failed = Some(error.into());
            }
            let mut tx = Tx { connection, recorder, vault, now_us: clock::now_us() };
            let (verdict, finish) = job(&mut tx);
            finishes.push(finish);
            let undo = match verdict {
                Verdict::Keep => false,
                Verdict::Undo => true,
                Verdict::FailGroup(error) => {
                    failed = Some(error);
                    true
                }
            };
            let end = match (alone, undo) {
                (true, false) => Ok(()),
                (true, true) => run(connection, "ROLLBACK").and_then(|()| run(connection, "BEGIN IMMEDIATE")),
                (false, true) => {
                    let _ = run(connection, "ROLLBACK TO job");
                    run(connection, "RELEASE job")
                }
                (false, false) => run(connection, "RELEASE job"),
            };
            if undo {
                recorder.reset(mark);
            }
            if let Err(error) = end {
                failed.get_or_insert_with(|| error.into());
            }
        }
        if finishes.len() < GROUP && began.elapsed() < GROUP_TIME && failed.is_none() {
            next = queue.try_recv().ok();
        }
    }
    if failed.is_none() {
        failed = recorder
            .seal(connection, before.size())
            .and_then(|()| run(connection, "COMMIT").map_err(StoreError::from))
            .err();
    }
    match failed {
        None => {
            recorder.committed();
            finishes.into_iter().for_each(|finish| finish(None));
        }
        Some(error) => {
            tracing::error!(%error, "a group of writes was rolled back");
            let _ = run(connection, "ROLLBACK");
            recorder.reset(before);
            finishes.into_iter().for_each(|finish| finish(Some(error.for_group())));
        }
    }
}

/// A job is a closure that must run to give up its caller: it runs in a transaction that is rolled back.
fn refuse(job: Job, connection: &Connection, recorder: &mut Recorder, vault: &Vault) -> Finish {
    let mark = recorder.mark();
    let mut tx = Tx { connection, recorder, vault, now_us: clock::now_us() };
    let (_, finish) = job(&mut tx);
    recorder.reset(mark);
    finish
}
