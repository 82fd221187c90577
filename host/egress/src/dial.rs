//! From vetted addresses to an open socket.
//!
//! Invariant: a socket is opened only to an address of the list that was given, which the caller has vetted.

use std::io;
use std::net::SocketAddr;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustix::net::sockopt;
use tokio::net::{TcpSocket, TcpStream};

use crate::limits;

/// Connect to the first of `vetted` that answers. Each has a lead over the next one; a refusal ends the lead at once
/// (RFC 8305). The losers are closed. Has no time limit of its own.
pub(crate) async fn dial(vetted: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut waiting = vetted.iter().take(limits::ATTEMPTS);
    let mut attempts = FuturesUnordered::new();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        match waiting.next() {
            Some(address) => attempts.push(connect(*address)),
            None if attempts.is_empty() => return Err(failure),
            None => {}
        }
        tokio::select! {
            Some(attempt) = attempts.next() => match attempt {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            },
            () = tokio::time::sleep(limits::ATTEMPT_DELAY), if waiting.len() > 0 => {}
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    socket.set_nodelay(true)?;
    socket.set_keepalive(true)?;
    sockopt::set_tcp_keepidle(&socket, limits::KEEPALIVE)?;
    sockopt::set_tcp_keepintvl(&socket, limits::KEEPALIVE / 4)?;
    socket.connect(address).await
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_refused_address_gives_way_to_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = gone.local_addr().unwrap();
        drop(gone);
        let stream = dial(&[closed, open]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        assert!(stream.nodelay().unwrap());
        assert_eq!(dial(&[closed]).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(dial(&[]).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn a_silent_address_does_not_hold_up_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        // A listener whose queue is full drops what comes: the machine's own black hole.
        let full = TcpSocket::new_v4().unwrap();
        full.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = full.listen(0).unwrap();
        let silent = full.local_addr().unwrap();
        let _filled = connect(silent).await.unwrap();
        let (second, third) = (tokio::spawn(connect(silent)), tokio::spawn(connect(silent)));
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let begun = tokio::time::Instant::now();
        let stream = dial(&[silent, open]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        assert!(begun.elapsed() >= limits::ATTEMPT_DELAY, "the queue was not full: the test shows nothing");
        second.abort();
        third.abort();
    }
}
