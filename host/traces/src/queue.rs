//! Spans that wait to be sent.
//!
//! Invariant: whoever brings one never waits for more than another's push; there are never more than its bound, and each
//! that finds no room is counted.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
#[cfg(feature = "exporter")]
use std::task::{Context, Poll};

use crate::numbers::{Numbers, count};
use crate::span::Ended;

#[derive(Debug, Default)]
struct Waiting {
    spans: VecDeque<Ended>,
    closed: bool,
    waker: Option<Waker>,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    bound: usize,
    /// As many make it worth to send.
    batch: usize,
    pub(crate) numbers: Numbers,
}

impl Queue {
    #[cfg(feature = "exporter")]
    pub(crate) fn new(bound: usize, batch: usize) -> Self {
        Self { waiting: Mutex::default(), bound, batch: batch.min(bound).max(1), numbers: Numbers::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, span: Ended) {
        let mut waiting = self.lock();
        if waiting.closed || waiting.spans.len() >= self.bound {
            drop(waiting);
            return count(&self.numbers.dropped, 1);
        }
        waiting.spans.push_back(span);
        let waker = (waiting.spans.len() == self.batch).then(|| waiting.waker.take()).flatten();
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().spans.len()
    }
}

#[cfg(feature = "exporter")]
impl Queue {
    /// Up to `most` of those that have waited longest.
    pub(crate) fn take(&self, most: usize) -> Vec<Ended> {
        let mut waiting = self.lock();
        let most = most.min(waiting.spans.len());
        waiting.spans.drain(..most).collect()
    }

    /// No more are taken in.
    pub(crate) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        let waker = waiting.waker.take();
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Until a whole batch waits or no more come. One waits at a time.
    pub(crate) fn poll_batch(&self, context: &mut Context<'_>) -> Poll<()> {
        self.poll(context, |waiting| waiting.closed || waiting.spans.len() >= self.batch)
    }

    /// Until no more come.
    pub(crate) fn poll_closed(&self, context: &mut Context<'_>) -> Poll<()> {
        self.poll(context, |waiting| waiting.closed)
    }

    fn poll(&self, context: &mut Context<'_>, ready: impl Fn(&Waiting) -> bool) -> Poll<()> {
        let mut waiting = self.lock();
        if ready(&waiting) {
            return Poll::Ready(());
        }
        waiting.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
#[cfg(feature = "exporter")]
mod tests {
    use super::*;
    use crate::tests_support::ended;

    #[test]
    fn beyond_its_bound_spans_are_dropped_and_counted() {
        let queue = Queue::new(3, 2);
        for number in 0..5 {
            queue.push(ended(number));
        }
        assert_eq!((queue.len(), queue.numbers.dropped()), (3, 2));
        let taken: Vec<_> = queue.take(2).iter().map(|span| span.start.0).collect();
        assert_eq!(taken, [0, 1]);
        queue.close();
        queue.push(ended(9));
        assert_eq!((queue.len(), queue.numbers.dropped()), (1, 3));
    }

    #[test]
    fn a_whole_batch_wakes_whoever_sends() {
        let queue = Queue::new(8, 2);
        let mut context = Context::from_waker(Waker::noop());
        assert!(queue.poll_batch(&mut context).is_pending());
        queue.push(ended(1));
        assert!(queue.poll_batch(&mut context).is_pending());
        assert!(queue.lock().waker.is_some());
        queue.push(ended(2));
        assert!(queue.lock().waker.is_none(), "it was not woken");
        assert!(queue.poll_batch(&mut context).is_ready() && queue.poll_closed(&mut context).is_pending());
        queue.close();
        assert!(queue.poll_closed(&mut context).is_ready());
    }
}
