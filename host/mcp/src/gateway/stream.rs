//! One stream of events to a client: the answer to a request, or what a session says of its own accord.
//!
//! Invariant: events are read in the order in which they were written, each with a number by which a client that was cut
//! off can go on; what nobody has read is bounded.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Bytes of events that wait for a reader, or for one that comes back.
const KEPT: usize = 8 << 20;
/// How long a client waits before it comes back, milliseconds.
const RETRY: u64 = 500;

#[derive(Default)]
struct State {
    /// The number of the first event that is kept.
    first: u64,
    events: VecDeque<Arc<str>>,
    bytes: usize,
    /// Nothing more will come.
    done: bool,
    /// Readers up to this one have been sent away.
    closed: u64,
    readers: u64,
}

/// A stream; events are JSON-RPC messages.
pub(super) struct Stream {
    /// The stream's part of event ids; nothing where it cannot be taken up again.
    name: Option<String>,
    /// Whether its first event, without data, gives the client an id to come back with.
    primes: bool,
    state: Mutex<State>,
    changed: Notify,
}

impl Stream {
    /// A stream that cannot be taken up again.
    pub(super) fn passing() -> Arc<Self> {
        Arc::new(Self { name: None, primes: false, state: Mutex::default(), changed: Notify::new() })
    }

    /// A stream of a session. Clients of older versions cannot read an event without data, and are not primed.
    pub(super) fn named(name: String, primes: bool) -> Arc<Self> {
        Arc::new(Self { name: Some(name), primes, state: Mutex::default(), changed: Notify::new() })
    }

    /// A stream that says one thing.
    pub(super) fn of(message: &str) -> Arc<Self> {
        let stream = Self::passing();
        stream.finish(message.to_owned());
        stream
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Write an event. One that may be lost is left out where nobody has read for long.
    pub(super) fn push(&self, message: String, may_be_lost: bool) {
        let mut state = self.state();
        if state.done || may_be_lost && state.bytes + message.len() > KEPT {
            return;
        }
        state.bytes += message.len();
        state.events.push_back(message.into());
        drop(state);
        self.changed.notify_waiters();
    }

    /// Write the last event.
    pub(super) fn finish(&self, message: String) {
        self.push(message, false);
        self.state().done = true;
        self.changed.notify_waiters();
    }

    pub(super) fn is_done(&self) -> bool {
        self.state().done
    }

    /// Bytes that are kept.
    pub(super) fn bytes(&self) -> usize {
        self.state().bytes
    }

    /// Wait until there is something to tell; gives the answer where that is all there is.
    pub(super) async fn first(&self) -> First {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.state();
                if state.done && state.first == 0 && state.events.len() == 1 {
                    let answer = state.events.pop_front();
                    return answer.map_or(First::Events, First::Answer);
                }
                if !state.events.is_empty() || state.closed > 0 {
                    return First::Events;
                }
            }
            changed.await;
        }
    }

    /// Read from event `from` on. `guard` is dropped with the reader.
    pub(super) fn read(self: &Arc<Self>, from: u64, guard: Option<DropGuard>) -> EventReader {
        let mut state = self.state();
        state.readers += 1;
        let reader = state.readers;
        drop(state);
        EventReader { stream: Arc::clone(self), next: from, reader, primed: from > 0 || !self.primes, _guard: guard }
    }

    /// Send the reader away that there is, or the first one that comes, to come back for the rest.
    pub(super) fn send_away(&self) {
        let mut state = self.state();
        state.closed = state.readers.max(1);
        drop(state);
        self.changed.notify_waiters();
    }
}

/// What a stream has to tell first.
pub(super) enum First {
    /// The answer, and nothing before it.
    Answer(Arc<str>),
    /// Something else, so it is told as events.
    Events,
}

/// Reads a stream's events, as server-sent events.
pub struct EventReader {
    stream: Arc<Stream>,
    next: u64,
    reader: u64,
    primed: bool,
    _guard: Option<DropGuard>,
}

impl EventReader {
    /// The next piece of the body; nothing at its end.
    pub async fn next(&mut self) -> Option<String> {
        // A first event without data gives the client an id to come back with.
        if !self.primed {
            self.primed = true;
            if let Some(name) = &self.stream.name {
                return Some(format!("id: {name}-0\nretry: {RETRY}\ndata: \n\n"));
            }
        }
        loop {
            let changed = self.stream.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.stream.state();
                // Another reader has come, or this one was sent away.
                if state.readers > self.reader || state.closed >= self.reader {
                    return None;
                }
                self.next = self.next.max(state.first);
                let at = usize::try_from(self.next - state.first).unwrap_or(usize::MAX);
                if let Some(event) = state.events.get(at).cloned() {
                    self.next += 1;
                    // What was read before this one has arrived; a client that comes back says so.
                    while state.first + 1 < self.next && state.bytes > KEPT / 2 {
                        let gone = state.events.pop_front().map_or(0, |event| event.len());
                        state.bytes -= gone;
                        state.first += 1;
                    }
                    let id = self.stream.name.as_ref().map(|name| format!("id: {name}-{}\n", self.next));
                    return Some(format!("{}data: {event}\n\n", id.unwrap_or_default()));
                }
                if state.done {
                    return None;
                }
            }
            changed.await;
        }
    }
}

/// Cancels a request when nobody reads its answer any longer.
pub(super) fn guard(cancel: &CancellationToken) -> DropGuard {
    cancel.clone().drop_guard()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_that_was_cut_off_goes_on_where_it_was() {
        let stream = Stream::named("7".into(), true);
        let mut reader = stream.read(0, None);
        stream.push("{\"a\":1}".into(), true);
        stream.push("{\"a\":2}".into(), true);
        assert_eq!(reader.next().await.unwrap(), "id: 7-0\nretry: 500\ndata: \n\n");
        assert_eq!(reader.next().await.unwrap(), "id: 7-1\ndata: {\"a\":1}\n\n");
        stream.send_away();
        assert_eq!(reader.next().await, None);
        stream.finish("{\"a\":3}".into());
        let mut again = stream.read(1, None);
        assert_eq!(again.next().await.unwrap(), "id: 7-2\ndata: {\"a\":2}\n\n");
        assert_eq!(again.next().await.unwrap(), "id: 7-3\ndata: {\"a\":3}\n\n");
        assert_eq!(again.next().await, None);
    }

    #[tokio::test]
    async fn an_older_client_is_given_no_event_without_data() {
        let stream = Stream::named("7".into(), false);
        stream.finish("{}".into());
        assert_eq!(stream.read(0, None).next().await.unwrap(), "id: 7-1\ndata: {}\n\n");
    }

    #[tokio::test]
    async fn an_answer_alone_is_told_as_such_and_a_flood_is_bounded() {
        let stream = Stream::passing();
        stream.finish("{}".into());
        assert!(matches!(stream.first().await, First::Answer(answer) if &*answer == "{}"));
        let stream = Stream::passing();
        for _ in 0..20 {
            stream.push("x".repeat(1 << 20), true);
        }
        stream.finish("last".into());
        let mut reader = stream.read(0, None);
        let (mut events, mut end) = (0, String::new());
        while let Some(event) = reader.next().await {
            (events, end) = (events + 1, event);
        }
        assert_eq!((events, end.as_str()), (9, "data: last\n\n"));
    }
}
