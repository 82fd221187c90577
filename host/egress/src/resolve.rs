//! Names into addresses, once for each request.
//!
//! Invariant: what a resolver answers is taken as it is, vetted as a whole and dialled; nobody asks a second time.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use crate::limits;

/// What turns a name into addresses. Tests put their own in its place.
pub trait Resolve: Send + Sync {
    /// All addresses of `host`, in the order of preference, each with `port`.
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// The system's resolver (`getaddrinfo`): hosts file, search domains and name service switch as on any other program.
#[derive(Debug)]
pub struct SystemResolver {
    lookups: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { lookups: Arc::new(Semaphore::new(limits::LOOKUPS)) }
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let (lookups, host) = (Arc::clone(&self.lookups), host.to_owned());
        Box::pin(async move {
            let permit = lookups.acquire_owned().await.map_err(io::Error::other)?;
            // The permit goes with the thread: a caller that gives up does not free what is still blocked.
            let look_up = move || {
                let addresses = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
                drop(permit);
                addresses
            };
            tokio::task::spawn_blocking(look_up).await.map_err(io::Error::other)?
        })
    }
}

/// Addresses without duplicates, families taking turns, the resolver's first one first (RFC 8305, 4).
pub(crate) fn order(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut unique: Vec<SocketAddr> = Vec::with_capacity(addresses.len());
    for address in addresses {
        if !unique.contains(address) {
            unique.push(*address);
        }
    }
    let first_is_v6 = unique.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = unique.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut ordered = Vec::new();
    loop {
        let (one, other) = (first.next(), second.next());
        if one.is_none() && other.is_none() {
            return ordered;
        }
        ordered.extend(one);
        ordered.extend(other);
    }
}

/// The addresses without their ports, for vetting.
pub(crate) fn plain(addresses: &[SocketAddr]) -> Vec<IpAddr> {
    addresses.iter().map(SocketAddr::ip).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> SocketAddr {
        SocketAddr::new(text.parse().unwrap(), 443)
    }

    #[test]
    fn families_take_turns() {
        let given = ["2001:db8::1", "2001:db8::2", "2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3"].map(at);
        let wanted = ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "192.0.2.3"].map(at);
        assert_eq!(order(&given), wanted);
        assert_eq!(order(&[]), []);
    }

    proptest! {
        #[test]
        fn ordering_loses_and_invents_nothing(given in prop::collection::vec(any::<(IpAddr, u16)>(), 0..20)) {
            let given: Vec<SocketAddr> = given.into_iter().map(SocketAddr::from).collect();
            let ordered = order(&given);
            prop_assert_eq!(ordered.first(), given.first());
            let unique: HashSet<_> = given.iter().copied().collect();
            prop_assert_eq!(ordered.len(), unique.len());
            prop_assert_eq!(ordered.into_iter().collect::<HashSet<_>>(), unique);
        }
    }

    #[tokio::test]
    async fn the_system_knows_this_machine() {
        let addresses = SystemResolver::default().resolve("localhost", 80).await.unwrap();
        assert!(!addresses.is_empty());
        assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
    }
}
