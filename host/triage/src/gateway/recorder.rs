//! The record of the gateway, off the hot path: how requests ended waits in a queue that never drops anything. Where it
//! is full the caller waits, and the numbers say so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use fumehood_store::Store;
use fumehood_store::calls::{CallEnd, NewCall};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Ends that may wait; beyond it callers wait.
const QUEUE: usize = 4_096;
/// And KiB of what they say.
const QUEUE_KIB: usize = 64 << 10;
/// Ends that one commit takes.
const TOGETHER: usize = 256;
/// How long the first of them waits for others.
const GATHER: std::time::Duration = std::time::Duration::from_millis(15);
/// How long a failed write is put off, again and again until it goes: a full disk ends some time.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(500);

struct Ended {
    tenant: String,
    call: Option<NewCall>,
    end: CallEnd,
    _room: Option<OwnedSemaphorePermit>,
}

/// What the queue has seen.
#[derive(Debug, Default)]
pub struct RecorderNumbers {
    pub written: AtomicU64,
    /// Requests that waited because the queue was full, and for how long, microseconds.
    pub waits: AtomicU64,
    pub waited_us: AtomicU64,
    /// Writes that failed and were done again.
    pub retries: AtomicU64,
}

/// The queue; cheap to clone.
#[derive(Clone)]
pub(crate) struct Recorder {
    queue: mpsc::Sender<Ended>,
    room: Arc<Semaphore>,
    pub(crate) numbers: Arc<RecorderNumbers>,
}

impl Recorder {
    pub(crate) fn start(store: Store) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, ended) = mpsc::channel(QUEUE);
        let numbers = Arc::<RecorderNumbers>::default();
        let room = Arc::new(Semaphore::new(QUEUE_KIB));
        (Self { queue, room, numbers: Arc::clone(&numbers) }, write(store, ended, numbers))
    }

    /// Ends that wait.
    pub(crate) fn depth(&self) -> usize {
        QUEUE - self.queue.capacity()
    }

    /// Hand over how a request ended; waits while the queue is full.
    pub(crate) async fn end(&self, tenant: &str, call: Option<NewCall>, end: CallEnd) {
        let bytes = end.received.len() + call.as_ref().map_or(0, |call| call.sent.len());
        let kib = u32::try_from((bytes >> 10).min(QUEUE_KIB) + 1).unwrap_or(1).min(QUEUE_KIB as u32);
        let tenant = tenant.to_owned();
        let began = Instant::now();
        match (self.queue.try_reserve(), Arc::clone(&self.room).try_acquire_many_owned(kib)) {
            (Ok(place), Ok(room)) => return place.send(Ended { tenant, call, end, _room: Some(room) }),
            (place, room) => drop((place.is_ok(), room)),
        }
        let room = Arc::clone(&self.room).acquire_many_owned(kib).await.ok();
        let _ = self.queue.send(Ended { tenant, call, end, _room: room }).await;
        self.numbers.waits.fetch_add(1, Ordering::Relaxed);
        self.numbers.waited_us.fetch_add(micros(began), Ordering::Relaxed);
    }
}

pub(super) fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

async fn write(store: Store, mut queue: mpsc::Receiver<Ended>, numbers: Arc<RecorderNumbers>) {
    let mut batch = Vec::with_capacity(TOGETHER);
    while queue.recv_many(&mut batch, TOGETHER).await > 0 {
        // Those that end a moment later go along: a commit of their own would hold up the requests that begin meanwhile.
        if batch.len() < TOGETHER && !queue.is_closed() {
            tokio::time::sleep(GATHER).await;
            let room = TOGETHER - batch.len();
            if !queue.is_empty() {
                queue.recv_many(&mut batch, room).await;
            }
        }
        // One tenant at a time; in an installation that has one this is one commit.
        while let Some(tenant) = batch.first().map(|first| first.tenant.clone()) {
            let (mine, rest): (Vec<Ended>, Vec<Ended>) = batch.drain(..).partition(|one| one.tenant == tenant);
            batch = rest;
            let (ended, _room): (Vec<_>, Vec<_>) = mine.into_iter().map(|one| ((one.call, one.end), one._room)).unzip();
            let ended = Arc::new(ended);
            loop {
                match store.end_calls(&tenant, Arc::clone(&ended)).await {
                    Ok(()) => break,
                    Err(fumehood_store::StoreError::Closed) => return,
                    Err(error) => {
                        tracing::warn!(%error, "the record of the gateway could not be written; it is tried again");
                        numbers.retries.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            }
            numbers.written.fetch_add(ended.len() as u64, Ordering::Relaxed);
        }
    }
}
