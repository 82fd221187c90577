//! Every bound of the way out: its unit, its default, its reason and what it does not cover.
//!
//! What belongs to one request (time to the first byte, silence, bytes of the answer) comes with the request.

use std::time::Duration;

/// Connections that are open at once, streams included. Keeps file descriptors and memory (up to about 1.5 MiB for
/// each) within a small machine. Does not bound how many go to one server.
pub const CONNECTIONS: usize = 256;

/// From the first dial to an open connection, TLS handshake included.
pub const CONNECT: Duration = Duration::from_secs(10);

/// One look-up of a name.
pub const RESOLVE: Duration = Duration::from_secs(10);

/// Look-ups at once. The system's resolver blocks a thread for each, and keeps it after the caller has given up.
pub const LOOKUPS: usize = 32;

/// Lead of one address before the next is tried beside it (RFC 8305, 5).
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Addresses of one name. All are vetted; a name with more is refused, because none that works has so many.
pub const ADDRESSES: usize = 64;

/// Addresses that are dialled for one request.
pub const ATTEMPTS: usize = 8;

/// Headers of an answer.
pub const HEADERS: usize = 128;

/// Bytes of all header names and values of an answer.
pub const HEADER_BYTES: usize = 64 << 10;

/// Bytes of one chunk of a body.
pub const CHUNK_BYTES: usize = 64 << 10;

/// Silence on the wire after which the kernel, or an HTTP/2 ping, asks whether the other side still lives. Finds dead
/// peers of streams that have no idle limit; does not end one that lives and is silent.
pub const KEEPALIVE: Duration = Duration::from_secs(60);

/// How long a socket waits for the next request of its owner. Below the shortest after which servers in use close (5 s),
/// so that a request is not written to a socket that is being closed.
pub const KEPT: Duration = Duration::from_secs(2);

/// Sockets that one owner keeps.
pub const KEPT_SOCKETS: usize = 4;

/// How long a kept socket may take to be ready.
pub const KEPT_READY: Duration = Duration::from_millis(20);

/// Processes that run at once.
pub const PROCESSES: usize = 32;

/// How long one write to a process may take.
pub const PROCESS_WRITE: Duration = Duration::from_secs(30);

/// From the polite signal to the one that cannot be refused.
pub const PROCESS_GRACE: Duration = Duration::from_secs(2);

/// Time for output that a process left in its pipe, after it has exited.
pub const PROCESS_DRAIN: Duration = Duration::from_secs(1);

/// Bytes of standard error that are kept, the newest.
pub const STDERR_BYTES: usize = 16 << 10;

/// Bytes of output that are taken in while a write waits, so that a process that wants to speak before it listens
/// does not lock up against us. Two pipes' worth of the largest message; beyond it the write waits for its time limit.
pub const EARLY_OUTPUT_BYTES: usize = 8 << 20;
