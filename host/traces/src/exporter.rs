//! Sending what waits, a batch at a time.
//!
//! Invariant: whoever ends a span never waits for any of this; one request is under way at a time; a batch is tried for a
//! bounded time, and what could not be sent is counted. When it ends, nothing waits any more.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{Request, Response};
use tokio::time::{Instant, sleep_until, timeout};

use crate::answer::{Outcome, clean, outcome};
use crate::ids::Randomness;
use crate::limits::{FIRST_PAUSE, LONGEST_PAUSE, MAX_BATCH_BYTES};
use crate::numbers::{Numbers, count};
use crate::queue::Queue;
use crate::settings::Settings;
use crate::span::Ended;
use crate::tracer::Tracer;

/// The way out to the collector.
///
/// Whoever implements it dials the address of the request and no other, follows no redirect, stops reading an answer at
/// [`MAX_ANSWER_BYTES`](crate::limits::MAX_ANSWER_BYTES), and does not log headers. It needs no time limit of its own, and
/// must not trace what it does here.
#[async_trait]
pub trait Collector: Send + Sync {
    /// The answer, whatever its status.
    ///
    /// # Errors
    /// [`PostError`] where there is none.
    async fn post(&self, request: Request<Bytes>) -> Result<Response<Vec<u8>>, PostError>;
}

/// Why a request was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PostError {
    /// The reason, for the log. Holds nothing of the request but scheme, host and port.
    pub message: String,
    /// Whether another attempt can go better: not where a rule refuses the address.
    pub again: bool,
}

/// What sends; to be run once, for as long as the process lives.
pub struct Exporter {
    settings: Settings,
    queue: Arc<Queue>,
    randomness: Box<dyn Randomness>,
    /// Of the batch that is being sent.
    under_way: AtomicUsize,
}

/// What a batch is to be told of what was before it.
#[derive(Default)]
struct Before {
    /// The collector has asked not to be disturbed until then.
    not_before: Option<Instant>,
    /// The last batch was not taken, and the log says so.
    failing: bool,
    /// It was said that spans are refused one by one.
    rejecting: bool,
}

impl Tracer {
    /// What begins spans, and what sends them.
    pub fn with_exporter<R: Randomness + Clone + 'static>(mut settings: Settings, randomness: R) -> (Tracer, Exporter) {
        let batching = settings.batching;
        let queue = Arc::new(Queue::new(batching.queue, batching.spans));
        let known = settings.resource.attributes.iter().any(|(key, _)| key == INSTANCE);
        if let Some(id) = instance(&randomness).filter(|_| !known) {
            settings.resource.attributes.push((INSTANCE.to_owned(), id));
        }
        let (sampler, propagation) = (settings.sampler, settings.propagation);
        let tracer = Tracer::new(Arc::clone(&queue), sampler, propagation, Box::new(randomness.clone()));
        let randomness = Box::new(randomness);
        (tracer, Exporter { settings, queue, randomness, under_way: AtomicUsize::new(0) })
    }
}

const INSTANCE: &str = "service.instance.id";

/// A random UUID, version 4: which process of several it was.
fn instance(randomness: &dyn Randomness) -> Option<String> {
    let mut bytes = [0; 16];
    randomness.fill(&mut bytes).then_some(())?;
    let id = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let digits = format!("{id:032x}");
    let parts: Option<Vec<&str>> =
        [0..8, 8..12, 12..16, 16..20, 20..32].into_iter().map(|part| digits.get(part)).collect();
    Some(parts?.join("-"))
}

impl Exporter {
    /// Send what comes until `stop`, then what still waits, for as long as `grace`.
    pub async fn run(self, collector: &dyn Collector, stop: impl Future<Output = ()>, grace: Duration) {
        let mut work = pin!(self.work(collector));
        let mut stop = pin!(stop);
        poll_fn(|context| match stop.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => work.as_mut().poll(context),
        })
        .await;
        self.queue.close();
        if timeout(grace, work).await.is_err() {
            let left = self.queue.take(usize::MAX).len() + self.under_way.load(Ordering::Relaxed);
            count(&self.numbers().failed, left);
            tracing::warn!(spans = left, "the last spans could not be sent to {} in time", self.place());
        }
    }

    fn numbers(&self) -> &Numbers {
        &self.queue.numbers
    }

    /// The collector as the log names it: without path and query, which may hold a key.
    fn place(&self) -> String {
        self.settings.endpoint.origin().ascii_serialization()
    }

    /// Ends when the queue is closed and empty.
    async fn work(&self, collector: &dyn Collector) {
        let mut before = Before::default();
        loop {
            let mut delay = pin!(tokio::time::sleep(self.settings.batching.delay));
            poll_fn(|context| match self.queue.poll_batch(context) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => delay.as_mut().poll(context),
            })
            .await;
            let batch = self.queue.take(self.settings.batching.spans);
            if batch.is_empty() && self.queue.is_closed() {
                return;
            }
            self.under_way.store(batch.len(), Ordering::Relaxed);
            for (body, spans) in self.bodies(&batch) {
                self.send(collector, body, spans, &mut before).await;
                self.under_way.fetch_sub(spans, Ordering::Relaxed);
            }
        }
    }

    /// The requests that a batch makes: one, unless it is too large, each with how many spans it has.
    fn bodies(&self, batch: &[Ended]) -> Vec<(Bytes, usize)> {
        let encoding = self.settings.encoding;
        let mut rest = batch;
        let mut bodies = Vec::new();
        while !rest.is_empty() {
            let mut size = 0;
            let fitting = rest.iter().take_while(|span| {
                size += span.size();
                size <= MAX_BATCH_BYTES
            });
            let (now, later) = rest.split_at(fitting.count().max(1));
            let spans: Vec<Vec<u8>> = now.iter().map(|span| encoding.span(span)).collect();
            let body = encoding.request(&self.settings.resource, &spans);
            bodies.push((self.compressed(body), now.len()));
            rest = later;
        }
        bodies
    }

    fn compressed(&self, body: Vec<u8>) -> Bytes {
        if !self.settings.gzip {
            return body.into();
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        // Writing to memory cannot fail.
        let _ = std::io::Write::write_all(&mut encoder, &body);
        encoder.finish().unwrap_or_default().into()
    }

    fn request(&self, body: Bytes) -> Result<Request<Bytes>, http::Error> {
        let content_type = self.settings.encoding.content_type();
        let mut request = Request::post(self.settings.endpoint.as_str())
            .header(CONTENT_TYPE, content_type)
            .header(ACCEPT, content_type)
            .header(USER_AGENT, concat!("Fumehood-OTLP-Exporter/", env!("CARGO_PKG_VERSION")));
        if self.settings.gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        let mut request = request.body(body)?;
        request.headers_mut().extend(self.settings.headers.clone());
        Ok(request)
    }

    /// Send one request until it is taken, refused, or has been tried for long enough.
    async fn send(&self, collector: &dyn Collector, body: Bytes, spans: usize, before: &mut Before) {
        if let Some(until) = before.not_before.take() {
            self.pause(until).await;
        }
        let give_up = Instant::now() + self.settings.batching.patience;
        let mut pause = FIRST_PAUSE;
        let reason = loop {
            let closing = self.queue.is_closed();
            let (wait, reason) = match self.attempt(collector, body.clone()).await {
                Outcome::Taken { rejected, words } => return self.taken(spans, rejected, &words, before),
                Outcome::Refused { reason } => break reason,
                Outcome::Again { wait, reason } => (wait, reason),
            };
            let next = Instant::now() + wait.unwrap_or_else(|| self.jittered(pause));
            if next > give_up || closing {
                // Whoever asked to be left alone is, by the next batch, too.
                before.not_before = wait.map(|_| next);
                break reason;
            }
            self.pause(next).await;
            count(&self.numbers().retries, 1);
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        count(&self.numbers().failed, spans);
        if !std::mem::replace(&mut before.failing, true) {
            tracing::warn!("traces cannot be sent to {}: {reason}. They are dropped until they can", self.place());
        }
    }

    async fn attempt(&self, collector: &dyn Collector, body: Bytes) -> Outcome {
        let request = match self.request(body) {
            Ok(request) => request,
            Err(error) => return Outcome::Refused { reason: error.to_string() },
        };
        count(&self.numbers().requests, 1);
        match timeout(self.settings.timeout, collector.post(request)).await {
            Ok(Ok(answer)) => outcome(self.settings.encoding, &answer),
            Ok(Err(error)) if error.again => Outcome::Again { wait: None, reason: clean(&error.message) },
            Ok(Err(error)) => Outcome::Refused { reason: clean(&error.message) },
            Err(_) => {
                let reason = format!("it gave no answer within {} ms", self.settings.timeout.as_millis());
                Outcome::Again { wait: None, reason }
            }
        }
    }

    fn taken(&self, spans: usize, rejected: u64, words: &str, before: &mut Before) {
        let rejected = usize::try_from(rejected).unwrap_or(usize::MAX).min(spans);
        count(&self.numbers().exported, spans - rejected);
        count(&self.numbers().rejected, rejected);
        if std::mem::replace(&mut before.failing, false) {
            tracing::info!("traces are sent to {} again", self.place());
        }
        if rejected > 0 && !std::mem::replace(&mut before.rejecting, true) {
            tracing::warn!(spans = rejected, "the collector {} refuses spans: {words}", self.place());
        }
    }

    /// Until then, or until the end has come.
    async fn pause(&self, until: Instant) {
        if self.queue.is_closed() {
            return;
        }
        let mut until = pin!(sleep_until(until));
        poll_fn(|context| match self.queue.poll_closed(context) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => until.as_mut().poll(context),
        })
        .await;
    }

    /// From half of it to all of it.
    fn jittered(&self, pause: Duration) -> Duration {
        let mut byte = [0];
        self.randomness.fill(&mut byte);
        pause / 2 + pause * u32::from(byte[0]) / 510
    }
}
