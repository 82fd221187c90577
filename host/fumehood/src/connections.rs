//! What a connection may hold on to: silent ones end, and there is a bound on how many there are.
//!
//! Nobody has signed in yet where this acts, so whoever can reach the port could otherwise take every file descriptor.

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// How long a connection may wait with its first byte.
const FIRST: Duration = Duration::from_secs(20);
/// How long one may be silent in both directions later: longer than the longest answer takes to begin.
const SILENT: Duration = Duration::from_secs(300);
/// Connections at once, where the limit of open files allows more.
const MOST: usize = 4_096;

/// Accepts connections, within bounds.
#[derive(Clone)]
pub struct Guard {
    room: Arc<Semaphore>,
}

impl Guard {
    /// Half of what this process may open is left for the store, plugins' connections and uploads.
    pub fn new() -> Self {
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let half = files.map_or(MOST, |files| usize::try_from(files / 2).unwrap_or(MOST));
        Self { room: Arc::new(Semaphore::new(half.clamp(16, MOST))) }
    }
}

impl<I, S> Accept<I, S> for Guard {
    type Stream = Guarded<I>;
    type Service = S;
    type Future = Ready<io::Result<(Self::Stream, S)>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        ready(match Arc::clone(&self.room).try_acquire_owned() {
            Ok(room) => Ok((Guarded { stream, silent: Box::pin(sleep(FIRST)), _room: room }, service)),
            Err(_) => {
                tracing::warn!("a connection was closed: there are as many as this server can hold");
                Err(io::ErrorKind::ConnectionRefused.into())
            }
        })
    }
}

/// A connection that ends when it is silent for too long.
pub struct Guarded<I> {
    stream: I,
    silent: Pin<Box<Sleep>>,
    _room: OwnedSemaphorePermit,
}

impl<I> Guarded<I> {
    fn heard(&mut self) {
        self.silent.as_mut().reset(Instant::now() + SILENT);
    }

    fn check<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        match self.silent.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Guarded<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Pending => self.check(context),
            done => {
                self.heard();
                done
            }
        }
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Guarded<I> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Pending => self.check(context),
            done => {
                self.heard();
                done
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write_vectored(context, parts) {
            Poll::Pending => self.check(context),
            done => {
                self.heard();
                done
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn guarded(guard: &Guard) -> (Guarded<tokio::io::DuplexStream>, tokio::io::DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(64);
        (guard.accept(ours, ()).await.unwrap().0, theirs)
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_ends_and_one_that_speaks_does_not() {
        let guard = Guard::new();
        let (mut ours, _theirs) = guarded(&guard).await;
        let began = Instant::now();
        assert_eq!(ours.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= FIRST);

        let (mut ours, mut theirs) = guarded(&guard).await;
        for _ in 0..3 {
            tokio::time::advance(FIRST / 2).await;
            theirs.write_u8(1).await.unwrap();
            assert_eq!(ours.read_u8().await.unwrap(), 1);
        }
        assert_eq!(ours.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn there_is_a_bound_and_what_ends_makes_room() {
        let guard = Guard { room: Arc::new(Semaphore::new(2)) };
        let held = [guarded(&guard).await, guarded(&guard).await];
        assert!(guard.accept((), ()).await.is_err());
        drop(held);
        let _ = guarded(&guard).await;
    }
}
