//! One connection for one request at a time: TLS where the URL says so, then HTTP/1.1 or HTTP/2 by ALPN.
//!
//! Invariant: a [`Connection`] owns its socket. When it is dropped, every task that holds the socket is aborted and
//! the socket closes; nothing lingers because a peer does not read. There is no pool: a pooled connection would have been
//! vetted for somebody else. What one owner keeps for itself is in [`crate::Keep`].

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::limits;

/// A message as it leaves.
pub(crate) type Message = http::Request<Full<Bytes>>;

/// Bytes of a head in HTTP/1: what may be counted, and room for the status line and the separators.
const HEAD_BYTES: usize = limits::HEADER_BYTES + 4 * limits::HEADERS + 1024;
/// Bytes of a head in HTTP/2, which counts 32 more for each header. Twice the limit, so that a head that is somewhat
/// too large is still seen, counted and named as such.
const HEAD_BYTES_H2: u32 = 2 * (limits::HEADER_BYTES + 32 * limits::HEADERS) as u32;
/// Bytes in flight towards us, for the one stream and so for the connection.
const WINDOW_BYTES: u32 = 256 << 10;

/// An open connection that carries nothing now.
pub(crate) struct Connection {
    sender: Sender,
    _tasks: Tasks,
}

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// Why a connection could not be made ready. Nothing has been sent.
pub(crate) type OpenError = Box<dyn std::error::Error + Send + Sync>;

/// Speak HTTP/1.1 on a plain socket.
pub(crate) async fn plain(socket: TcpStream) -> Result<Connection, OpenError> {
    one(socket).await
}

/// Speak TLS on a socket, as `name`, then what was agreed on.
pub(crate) async fn tls(
    socket: TcpStream,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
) -> Result<Connection, OpenError> {
    let stream = TlsConnector::from(config).connect(name, socket).await?;
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") { two(stream).await } else { one(stream).await }
}

async fn one<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> Result<Connection, OpenError> {
    let (sender, connection) = http1::Builder::new()
        .max_headers(limits::HEADERS)
        .max_header_size(HEAD_BYTES)
        .max_buf_size(HEAD_BYTES)
        .handshake(TokioIo::new(stream))
        .await?;
    let tasks = Tasks::default();
    tasks.executor().execute(async move { drop(connection.await) });
    let mut connection = Connection { sender: Sender::One(sender), _tasks: tasks };
    connection.ready().await?;
    Ok(connection)
}

async fn two<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> Result<Connection, OpenError> {
    let tasks = Tasks::default();
    let (sender, connection) = http2::Builder::new(tasks.executor())
        .timer(TokioTimer::new())
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_header_list_size(HEAD_BYTES_H2)
        .keep_alive_interval(limits::KEEPALIVE)
        .handshake(TokioIo::new(stream))
        .await?;
    tasks.executor().execute(async move { drop(connection.await) });
    let mut connection = Connection { sender: Sender::Two(sender), _tasks: tasks };
    connection.ready().await?;
    Ok(connection)
}

impl Connection {
    pub(crate) async fn ready(&mut self) -> Result<(), OpenError> {
        match &mut self.sender {
            Sender::One(sender) => sender.ready().await?,
            Sender::Two(sender) => sender.ready().await?,
        }
        Ok(())
    }

    /// Whether messages name their target in full, instead of in `host`.
    pub(crate) const fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Two(_))
    }

    /// Send the one message. The error holds the message where none of it was sent.
    pub(crate) async fn send(
        mut self,
        message: Message,
    ) -> Result<(http::Response<Incoming>, Open), TrySendError<Message>> {
        let answer = match &mut self.sender {
            Sender::One(sender) => sender.try_send_request(message).await?,
            Sender::Two(sender) => sender.try_send_request(message).await?,
        };
        Ok((answer, Open(self)))
    }
}

/// Keeps a connection open while its answer is read.
pub(crate) struct Open(pub(crate) Connection);

/// The tasks of one connection, which end with it.
#[derive(Default)]
struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl Tasks {
    fn executor(&self) -> TaskExecutor {
        TaskExecutor(Arc::downgrade(&self.0))
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

/// Starts tasks for a connection; none once it is gone. Weak, because the tasks themselves hold it.
#[derive(Clone)]
struct TaskExecutor(Weak<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for TaskExecutor {
    fn execute(&self, task: F) {
        if let Some(tasks) = self.0.upgrade() {
            tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
        }
    }
}
