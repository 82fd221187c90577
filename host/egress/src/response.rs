//! An answer whose body is still arriving.
//!
//! Invariant: the body is handed out as it was framed, or an error says that it was not all; never more than the
//! request's bytes, never a chunk of more than 64 KiB. The connection closes at the end (where nobody keeps it), at the first
//! error, when the answer is dropped, and when the request is cancelled; whichever is first. Nothing is decompressed, no cookie kept.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::connection::Open;
use crate::keep::Return;
use crate::{EgressError, limits};

/// What a body may take.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Longest silence.
    pub(crate) idle: Option<Duration>,
    /// Bytes in all.
    pub(crate) bytes: u64,
}

/// An answer: its head, and a body to be pulled. Dropping it closes the connection.
pub struct HttpResponse {
    status: u16,
    headers: Vec<(String, String)>,
    body: Incoming,
    /// Bytes that arrived in one piece with those handed out last.
    rest: Bytes,
    received: u64,
    limits: Limits,
    cancel: CancellationToken,
    target: String,
    /// How it ended, once it has.
    end: Option<Result<(), EgressError>>,
    /// Nothing once it has ended.
    open: Option<(Open, OwnedSemaphorePermit, Option<Return>)>,
}

impl HttpResponse {
    pub(crate) fn new(
        answer: http::Response<Incoming>,
        open: (Open, OwnedSemaphorePermit, Option<Return>),
        limits: Limits,
        cancel: CancellationToken,
        target: String,
    ) -> Result<Self, EgressError> {
        let (head, body) = answer.into_parts();
        if head.status == http::StatusCode::SWITCHING_PROTOCOLS {
            return Err(EgressError::Protocol(format!("{target} switched protocols without being asked")));
        }
        Ok(Self {
            status: head.status.as_u16(),
            headers: plain_headers(&head.headers, &target)?,
            body,
            rest: Bytes::new(),
            received: 0,
            limits,
            cancel,
            target,
            end: None,
            open: Some(open),
        })
    }

    /// The status code, 200 to 999.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Names in lower case, in the order of arrival, those of one name together; bytes that are not UTF-8 replaced.
    #[must_use]
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// Bytes of the body that have arrived so far.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// The next bytes, at least one and at most 64 KiB; nothing at the end. May be dropped while it waits and called
    /// again; nothing is lost. After the end or an error it repeats itself.
    ///
    /// # Errors
    /// [`EgressError::Timeout`], [`EgressError::CutShort`], [`EgressError::TooLarge`], [`EgressError::Protocol`],
    /// [`EgressError::Cancelled`].
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, EgressError> {
        if let Some(end) = &self.end {
            return end.clone().map(|()| None);
        }
        let chunk = self.pull().await;
        match &chunk {
            Ok(Some(_)) => {}
            Ok(None) => self.finish(Ok(())),
            Err(error) => self.finish(Err(error.clone())),
        }
        chunk
    }

    fn finish(&mut self, end: Result<(), EgressError>) {
        let whole = end.is_ok();
        self.end = Some(end);
        self.rest = Bytes::new();
        if let Some((Open(connection), permit, Some(back))) = self.open.take().filter(|_| whole) {
            back.give(connection, permit);
        }
    }

    async fn pull(&mut self) -> Result<Option<Bytes>, EgressError> {
        if self.cancel.is_cancelled() {
            return Err(EgressError::Cancelled { sent: true });
        }
        if self.rest.is_empty() {
            let data = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(EgressError::Cancelled { sent: true }),
                data = data(&mut self.body, self.limits.idle, &self.target) => data?,
            };
            let Some(data) = data else { return Ok(None) };
            self.received = self.received.saturating_add(data.len() as u64);
            if self.received > self.limits.bytes {
                return Err(EgressError::TooLarge { limit: self.limits.bytes });
            }
            self.rest = data;
        }
        Ok(Some(self.rest.split_to(self.rest.len().min(limits::CHUNK_BYTES))))
    }
}

impl fmt::Debug for HttpResponse {
    /// Without headers and body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("received", &self.received)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// The next bytes of a body. Empty frames and trailers do not count as a sign of life.
async fn data(body: &mut Incoming, idle: Option<Duration>, target: &str) -> Result<Option<Bytes>, EgressError> {
    let next = async {
        while let Some(frame) = body.frame().await {
            match frame.map(hyper::body::Frame::into_data) {
                Ok(Ok(data)) if !data.is_empty() => return Ok(Some(data)),
                Ok(_) => {}
                Err(error) => return Err(body_error(target, &error)),
            }
        }
        Ok(None)
    };
    let Some(idle) = idle else { return next.await };
    timeout(idle, next).await.unwrap_or_else(|_| {
        Err(EgressError::Timeout(format!("{target} fell silent within its answer for {} ms", idle.as_millis())))
    })
}

fn body_error(target: &str, error: &hyper::Error) -> EgressError {
    let kind = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    if matches!(kind, Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)) {
        return EgressError::Protocol(format!("the answer from {target} is not framed well: {}", cause(error)));
    }
    EgressError::CutShort(format!("the answer from {target} was cut short: {}", cause(error)))
}

/// The innermost cause, which says most.
pub(crate) fn cause(error: &hyper::Error) -> String {
    causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

fn plain_headers(headers: &http::HeaderMap, target: &str) -> Result<Vec<(String, String)>, EgressError> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > limits::HEADERS || bytes > limits::HEADER_BYTES {
        return Err(EgressError::Protocol(format!(
            "the head of the answer from {target} is over the limit of {} headers and {} bytes",
            limits::HEADERS,
            limits::HEADER_BYTES
        )));
    }
    let plain = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(headers.iter().map(|(name, value)| (name.as_str().to_owned(), plain(value))).collect())
}
