//! Sockets that the requests of one owner leave to each other, for a moment.
//!
//! Invariant: a socket serves one owner and one origin, carries one request at a time, and is used again only after the
//! answer before was read to its end, where the address that it leads to is among those that were vetted for the very
//! request that uses it. It is closed when it was idle for [`limits::KEPT`], and with its owner.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use crate::connection::Connection;
use crate::limits;

/// The sockets of one owner: a connection to one MCP server. Dropping it closes them.
#[derive(Clone, Default)]
pub struct Keep(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    idle: Vec<Idle>,
    /// Somebody closes those that were idle too long.
    watched: bool,
}

struct Idle {
    place: Place,
    connection: Connection,
    permit: OwnedSemaphorePermit,
    since: Instant,
}

/// Where a socket leads: scheme, host and port as text, and the address that was dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) origin: String,
    pub(crate) peer: SocketAddr,
}

/// A socket on its way back.
pub(crate) struct Return {
    keep: Weak<Mutex<Kept>>,
    place: Place,
}

impl Keep {
    /// A socket that can be used at once for a request to `origin`, whose addresses are `vetted`.
    pub(crate) async fn take(
        &self,
        origin: &str,
        vetted: &[SocketAddr],
    ) -> Option<(Connection, OwnedSemaphorePermit, Place)> {
        loop {
            let mut found = {
                let mut kept = lock(&self.0);
                let fits = |one: &Idle| one.place.origin == origin && vetted.contains(&one.place.peer);
                // The newest, which is the least likely to be closed by the other side right now.
                let at = kept.idle.iter().rposition(fits)?;
                kept.idle.swap_remove(at)
            };
            let fresh = found.since.elapsed() < limits::KEPT;
            if fresh && timeout(limits::KEPT_READY, found.connection.ready()).await.is_ok_and(|ready| ready.is_ok()) {
                return Some((found.connection, found.permit, found.place));
            }
        }
    }

    /// Where a socket goes when its answer was read.
    pub(crate) fn back(&self, place: Place) -> Return {
        Return { keep: Arc::downgrade(&self.0), place }
    }
}

impl Return {
    pub(crate) fn give(self, connection: Connection, permit: OwnedSemaphorePermit) {
        let Some(keep) = self.keep.upgrade() else { return };
        let mut kept = lock(&keep);
        if kept.idle.len() < limits::KEPT_SOCKETS {
            kept.idle.push(Idle { place: self.place, connection, permit, since: Instant::now() });
        }
        if !kept.watched {
            kept.watched = true;
            tokio::spawn(watch(self.keep));
        }
    }
}

/// Close what was idle too long, for as long as there is something.
async fn watch(keep: Weak<Mutex<Kept>>) {
    loop {
        tokio::time::sleep(limits::KEPT).await;
        let Some(keep) = keep.upgrade() else { return };
        let mut kept = lock(&keep);
        kept.idle.retain(|one| one.since.elapsed() < limits::KEPT);
        if kept.idle.is_empty() {
            kept.watched = false;
            return;
        }
    }
}

fn lock(kept: &Mutex<Kept>) -> std::sync::MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
