//! The only room that dials out or starts processes.
//!
//! Invariant: every socket goes to an address that the caller's [`Vet`] accepted, together with all other addresses of
//! its name, for this very request. A name is resolved once; the vetted addresses are what is dialled; there is no
//! second look-up, no proxy, no redirect, and no connection that one request leaves to another, but within one owner's
//! [`Keep`], where the address is vetted anew. Every process runs without a shell, with nothing in its environment but what it was given, in a process group that ends as a whole.
//!
//! Bytes, headers, times, connections and processes are bounded by [`limits`] and by what each request brings along.
//! Who may reach what is not decided here: callers bring the decision (`policy`) as a [`Vet`], and put the intent on
//! record before they call. This room never logs a path, a query, a header, an argument or a body.

mod connection;
mod dial;
mod error;
mod keep;
pub mod limits;
mod process;
mod request;
mod resolve;
mod response;
mod tls;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use error::EgressError;
pub use keep::Keep;
pub use process::{Output, Pinned, Process, ProcessError, ProcessSpec, Programs};
pub use request::{HttpRequest, Vet};
pub use resolve::{Resolve, SystemResolver};
pub use response::HttpResponse;

/// How the way out is set up. `EgressConfig::default()` is what a server runs with.
#[derive(Clone)]
pub struct EgressConfig {
    /// Certificates in PEM that are trusted as roots beside those of the platform (a company's own authority).
    pub extra_roots_pem: Vec<Vec<u8>>,
    /// What turns names into addresses.
    pub resolver: Arc<dyn Resolve>,
    /// Connections that are open at once; a request beyond it waits within its time to the first byte.
    pub connections: usize,
    /// From the first dial to an open connection, TLS included.
    pub connect: Duration,
    /// Processes that run at once; more are refused.
    pub processes: usize,
    /// How long one write to a process may take.
    pub process_write: Duration,
}

impl Default for EgressConfig {
    fn default() -> Self {
        Self {
            extra_roots_pem: Vec::new(),
            resolver: Arc::new(SystemResolver::default()),
            connections: limits::CONNECTIONS,
            connect: limits::CONNECT,
            processes: limits::PROCESSES,
            process_write: limits::PROCESS_WRITE,
        }
    }
}

impl fmt::Debug for EgressConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EgressConfig")
            .field("extra_roots_pem", &self.extra_roots_pem.len())
            .field("connections", &self.connections)
            .field("connect", &self.connect)
            .field("processes", &self.processes)
            .field("process_write", &self.process_write)
            .finish_non_exhaustive()
    }
}

/// The way out: one for each server process, cheap to clone.
#[derive(Clone)]
pub struct Egress(Arc<Inner>);

struct Inner {
    resolver: Arc<dyn Resolve>,
    /// Nothing where the machine has no root certificates and none were given: then only `http:` works.
    tls: Option<Arc<ClientConfig>>,
    connections: Arc<Semaphore>,
    connect: Duration,
    processes: Arc<Semaphore>,
    process_limit: usize,
    process_write: Duration,
}

impl Egress {
    /// Set up the way out. Reads the platform's root certificates, once.
    ///
    /// # Errors
    /// [`EgressError::Setup`] where an extra root is not a certificate in PEM.
    pub fn new(config: EgressConfig) -> Result<Self, EgressError> {
        Ok(Self(Arc::new(Inner {
            tls: tls::client_config(&config.extra_roots_pem)?,
            resolver: config.resolver,
            connections: Arc::new(Semaphore::new(config.connections.min(Semaphore::MAX_PERMITS))),
            connect: config.connect,
            processes: Arc::new(Semaphore::new(config.processes.min(Semaphore::MAX_PERMITS))),
            process_limit: config.processes,
            process_write: config.process_write,
        })))
    }

    /// Send one request and wait for the head of its answer. Any status is a success.
    ///
    /// The request gets a connection of its own, which closes with the answer. Dropping the future or cancelling
    /// `cancel` closes it at once, wherever it stands; `cancel` also ends the reading of the body later.
    ///
    /// # Errors
    /// [`EgressError`]; its [`code`](EgressError::code) tells whether anything can have reached the other side.
    pub async fn send(&self, request: HttpRequest, cancel: CancellationToken) -> Result<HttpResponse, EgressError> {
        request::send(&self.0, request, None, cancel).await
    }

    /// As [`Egress::send`], on a socket that an earlier request of `keep` has left, where there is one.
    ///
    /// # Errors
    /// As [`Egress::send`].
    pub async fn send_kept(
        &self,
        request: HttpRequest,
        keep: &Keep,
        cancel: CancellationToken,
    ) -> Result<HttpResponse, EgressError> {
        request::send(&self.0, request, Some(keep), cancel).await
    }

    /// Start a process. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ProcessError`] where the command or folder is not acceptable, too many processes run, or the system refuses.
    pub fn spawn(&self, spec: ProcessSpec) -> Result<Process, ProcessError> {
        process::spawn(&self.0.processes, self.0.process_limit, self.0.process_write, spec)
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress")
            .field("tls", &self.0.tls.is_some())
            .field("free_connections", &self.0.connections.available_permits())
            .field("free_processes", &self.0.processes.available_permits())
            .finish_non_exhaustive()
    }
}
