//! Reads what a refused request still sends.
//!
//! Purpose: a client that is in the middle of a body when it is refused would see a broken connection instead of the
//! reason. Invariant: bounded in bytes and in time; a client that asked first (`Expect: 100-continue`) is not invited.

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

/// Bytes that are read and thrown away.
const MOST: usize = 64 << 20;
/// For how long.
const LONGEST: Duration = Duration::from_secs(5);

/// A body that goes back to its slot when a handler leaves it unread.
struct Returned {
    inner: Option<Body>,
    slot: Arc<Mutex<Option<Body>>>,
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

/// The layer: what a refused request still sends is read before the answer goes out.
pub async fn drain(request: Request, next: Next) -> Response {
    let asks_first = request.headers().contains_key(header::EXPECT);
    if request.version() > Version::HTTP_11 || asks_first || request.body().is_end_stream() {
        return next.run(request).await;
    }
    let slot = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&slot);
    let request = request.map(|body| Body::new(Returned { inner: Some(body), slot: kept }));
    let response = next.run(request).await;
    let rest = slot.lock().ok().and_then(|mut slot| slot.take());
    if let Some(rest) = rest.filter(|_| response.status().is_client_error() || response.status().is_server_error()) {
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
