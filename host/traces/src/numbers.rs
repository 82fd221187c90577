//! What has become of spans.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters; they begin anew with the process. Of spans that ended each is, or will be, `exported`, `dropped`, `failed` or
/// `rejected`.
#[derive(Debug, Default)]
pub struct Numbers {
    pub(crate) exported: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) unended: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) retries: AtomicU64,
}

macro_rules! readers {
    ($($(#[$about:meta])* $name:ident),+) => {
        impl Numbers { $($(#[$about])* pub fn $name(&self) -> u64 { self.$name.load(Ordering::Relaxed) })+ }
    };
}

readers! {
    /// Spans that the collector has taken.
    exported,
    /// Spans for which there was no room in the queue, or that ended after it was closed.
    dropped,
    /// Spans that could not be sent, however often it was tried.
    failed,
    /// Spans that the collector has taken note of and refused (partial success).
    rejected,
    /// Spans that were let go before they ended: what they were for was cut off.
    unended,
    /// Requests that were sent, attempts after the first included.
    requests,
    /// Attempts after the first.
    retries
}

impl Numbers {
    /// Where nothing is counted.
    pub(crate) const fn none() -> Self {
        Self {
            exported: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            unended: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            retries: AtomicU64::new(0),
        }
    }
}

pub(crate) fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}
