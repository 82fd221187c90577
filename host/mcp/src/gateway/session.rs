//! Sessions of clients of the older era.
//!
//! Invariant: a session belongs to whoever began it; to anybody else it is not there. One that is idle for long, or has
//! to make room, ends, and what was opened for it is closed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::stream::Stream;

/// Sessions at once, of all callers and of one.
const SESSIONS: usize = 1_000;
const OF_ONE: usize = 200;
/// How long a session may be idle.
const IDLE: Duration = Duration::from_secs(3600);
/// Streams of one session that are kept for clients that come back.
const STREAMS: usize = 64;
/// And their bytes; those that are through go first.
const STREAMS_BYTES: usize = 32 << 20;

/// A session.
pub(super) struct Session<C> {
    pub(super) id: String,
    pub(super) client: Arc<super::Client<C>>,
    /// What the server says outside any request.
    pub(super) own: Arc<Stream>,
    streams: Mutex<HashMap<u64, Arc<Stream>>>,
    next_stream: AtomicU64,
    /// Questions to the client that have no answer yet.
    asked: Mutex<HashMap<i64, oneshot::Sender<Result<Value, Value>>>>,
    next_question: AtomicI64,
    /// Requests that have no answer yet, by their id.
    open: Mutex<HashMap<String, CancellationToken>>,
    used: Mutex<Instant>,
    pub(super) ended: CancellationToken,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<C> Session<C> {
    pub(super) fn touch(&self) {
        *locked(&self.used) = Instant::now();
    }

    /// A stream for one request.
    pub(super) fn stream(&self) -> Arc<Stream> {
        let number = self.next_stream.fetch_add(1, Ordering::Relaxed) + 1;
        let stream = Stream::named(number.to_string(), self.client.can_come_back());
        let mut streams = locked(&self.streams);
        while streams.len() >= STREAMS {
            // The oldest that is through; otherwise the oldest.
            let done = streams.iter().filter(|(_, stream)| stream.is_done()).map(|(number, _)| *number).min();
            let Some(oldest) = done.or_else(|| streams.keys().min().copied()) else { break };
            streams.remove(&oldest);
        }
        while streams.values().map(|stream| stream.bytes()).sum::<usize>() > STREAMS_BYTES {
            let done = streams.iter().filter(|(_, stream)| stream.is_done() && stream.bytes() > 0);
            let Some(oldest) = done.map(|(number, _)| *number).min() else { break };
            streams.remove(&oldest);
        }
        streams.insert(number, Arc::clone(&stream));
        stream
    }

    /// The stream that an event id is of, and the event to go on with.
    pub(super) fn resume(&self, event: &str) -> Option<(Arc<Stream>, u64)> {
        let (number, event) = event.split_once('-')?;
        let (number, event): (u64, u64) = (number.parse().ok()?, event.parse().ok()?);
        if number == 0 {
            return Some((Arc::clone(&self.own), event));
        }
        Some((Arc::clone(locked(&self.streams).get(&number)?), event))
    }

    /// Ask the client something: the id to ask under, and where its answer comes.
    pub(super) fn ask(&self) -> (i64, oneshot::Receiver<Result<Value, Value>>) {
        let id = self.next_question.fetch_add(1, Ordering::Relaxed);
        let (send, receive) = oneshot::channel();
        locked(&self.asked).insert(id, send);
        (id, receive)
    }

    /// Nobody waits for the answer any longer.
    pub(super) fn forget(&self, id: i64) {
        locked(&self.asked).remove(&id);
    }

    /// Take the client's answer. `false` where nothing was asked under that id.
    pub(super) fn answered(&self, id: &Value, answer: Result<Value, Value>) -> bool {
        let waiting = id.as_i64().and_then(|id| locked(&self.asked).remove(&id));
        waiting.is_some_and(|waiting| waiting.send(answer).is_ok())
    }

    pub(super) fn begin(&self, id: &Value, cancel: CancellationToken) -> bool {
        match locked(&self.open).entry(id.to_string()) {
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(cancel);
                true
            }
            std::collections::hash_map::Entry::Occupied(_) => false,
        }
    }

    pub(super) fn finish(&self, id: &Value) {
        locked(&self.open).remove(&id.to_string());
    }

    /// The client waits no longer.
    pub(super) fn cancel(&self, id: &Value) {
        if let Some(cancel) = locked(&self.open).get(&id.to_string()) {
            cancel.cancel();
        }
    }
}

/// All sessions.
pub(super) struct Sessions<C>(Mutex<HashMap<String, Arc<Session<C>>>>);

impl<C> Default for Sessions<C> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<C: PartialEq> Sessions<C> {
    /// Begin a session; what had to end for it is given back.
    pub(super) fn begin(&self, client: super::Client<C>) -> (Arc<Session<C>>, Vec<Arc<Session<C>>>) {
        let id = client.session.clone().unwrap_or_default();
        let session = Arc::new(Session {
            id: id.clone(),
            own: Stream::named("0".into(), client.can_come_back()),
            client: Arc::new(client),
            streams: Mutex::default(),
            next_stream: AtomicU64::new(0),
            asked: Mutex::default(),
            next_question: AtomicI64::new(1),
            open: Mutex::default(),
            used: Mutex::new(Instant::now()),
            ended: CancellationToken::new(),
        });
        let mut all = locked(&self.0);
        let mut over: Vec<String> = all
            .values()
            .filter(|one| locked(&one.used).elapsed() > IDLE && locked(&one.open).is_empty())
            .map(|one| one.id.clone())
            .collect();
        let oldest = |all: &HashMap<String, Arc<Session<C>>>, mine: bool| {
            all.values()
                .filter(|one| !mine || one.client.caller == session.client.caller)
                .min_by_key(|one| *locked(&one.used))
                .map(|one| one.id.clone())
        };
        if all.values().filter(|one| one.client.caller == session.client.caller).count() >= OF_ONE {
            over.extend(oldest(&all, true));
        }
        if all.len() >= SESSIONS {
            // A caller's own make room before those of others.
            over.extend(oldest(&all, true).or_else(|| oldest(&all, false)));
        }
        let over = over.iter().filter_map(|id| all.remove(id)).collect();
        all.insert(id, Arc::clone(&session));
        (session, over)
    }

    /// The session of this caller.
    pub(super) fn get(&self, id: &str, caller: &C) -> Option<Arc<Session<C>>> {
        let session = locked(&self.0).get(id).filter(|session| session.client.caller == *caller).cloned()?;
        session.touch();
        Some(session)
    }

    pub(super) fn end(&self, id: &str, caller: &C) -> Option<Arc<Session<C>>> {
        let mut all = locked(&self.0);
        all.get(id).filter(|session| session.client.caller == *caller)?;
        all.remove(id)
    }

    pub(super) fn len(&self) -> usize {
        locked(&self.0).len()
    }
}
