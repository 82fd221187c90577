//! The bodies of requests: how long they may take, and what a refused one still sends.
//!
//! Purpose: a client that sends drop by drop must not hold a handler; and one that is refused in the middle of a body
//! must see the reason, not a broken connection. Invariant: bounded in bytes and in time; a client that asked first
//! (`Expect: 100-continue`) is not invited.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{Version, header};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt as _;
use tokio::time::{Instant, Sleep};

/// Bytes that are read and thrown away.
const MOST: usize = 64 << 20;
/// For how long.
const LONGEST: Duration = Duration::from_secs(5);

/// How long a body may be silent.
const SILENT: Duration = Duration::from_secs(60);
/// How long the body of a form or a JSON document may take in all; a log may take as long as it keeps coming.
const WHOLE: Duration = Duration::from_secs(60);

/// A body that goes back to its slot when a handler leaves it unread, and breaks off where it takes too long.
struct Returned {
    inner: Option<Body>,
    slot: Arc<Mutex<Option<Body>>>,
    deadline: Pin<Box<Sleep>>,
    is_log: bool,
}

impl HttpBody for Returned {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let polled = Pin::new(inner).poll_frame(context);
        if polled.is_pending() && self.deadline.as_mut().poll(context).is_ready() {
            self.inner = None;
            return Poll::Ready(Some(Err(axum::Error::new(std::io::Error::from(std::io::ErrorKind::TimedOut)))));
        }
        if self.is_log && polled.is_ready() {
            self.deadline.as_mut().reset(Instant::now() + SILENT);
        }
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.inner = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.as_ref().map_or_else(|| http_body::SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Returned {
    fn drop(&mut self) {
        if let (Some(inner), Ok(mut slot)) = (self.inner.take(), self.slot.lock()) {
            *slot = Some(inner);
        }
    }
}

/// The layer: bodies have deadlines, and what a refused request still sends is read before the answer goes out.
pub async fn bounded(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    // HTTP/2 ends a body without the connection; who asked first has sent nothing yet.
    let may_drain = request.version() <= Version::HTTP_11 && !request.headers().contains_key(header::EXPECT);
    let is_log = request.uri().path().ends_with("/logs");
    let slot = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&slot);
    let deadline = Box::pin(tokio::time::sleep(if is_log { SILENT } else { WHOLE }));
    let request = request.map(|body| Body::new(Returned { inner: Some(body), slot: kept, deadline, is_log }));
    let response = next.run(request).await;
    let rest = slot.lock().ok().and_then(|mut slot| slot.take());
    let refused = response.status().is_client_error() || response.status().is_server_error();
    if let Some(rest) = rest.filter(|_| refused && may_drain) {
        let mut parts = rest.into_data_stream();
        let read = async {
            let mut read = 0;
            while let (true, Some(Ok(part))) = (read < MOST, parts.next().await) {
                read += part.len();
            }
        };
        let _ = tokio::time::timeout(LONGEST, read).await;
    }
    response
}
