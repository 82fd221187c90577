//! Sockets that one owner's requests leave to each other.

use super::*;
use crate::{Keep, limits};

/// Answers requests on each connection, one after the other, so many times; then closes it.
async fn patient(times: usize, answer: &'static str) -> Server {
    Server::with("127.0.0.1:0", move |mut stream, _| async move {
        for time in 0..times {
            if time > 0 && read_request(&mut stream).await.is_empty() {
                return;
            }
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async fn ask(
    egress: &Egress,
    keep: &Keep,
    request: HttpRequest,
) -> Result<(Vec<u8>, Result<(), EgressError>), EgressError> {
    let mut answer = egress.send_kept(request, keep, CancellationToken::new()).await?;
    Ok(drain(&mut answer).await)
}

#[tokio::test]
async fn requests_of_one_owner_share_a_socket_and_those_of_another_do_not() {
    let (server, egress) = (patient(100, OK).await, egress());
    let (mine, yours) = (Keep::default(), Keep::default());
    for at in 0..5 {
        assert_eq!(ask(&egress, &mine, post(&server.url("/"), "x")).await.unwrap(), (b"ok".to_vec(), Ok(())), "{at}");
    }
    assert_eq!(server.connections(), 1);
    assert_eq!(ask(&egress, &yours, get(&server.url("/"))).await.unwrap().1, Ok(()));
    send(get(&server.url("/"))).await.unwrap();
    assert_eq!(server.connections(), 3);
    // With its owner, at once.
    drop(mine);
    server.until_ended(1).await;
}

#[tokio::test]
async fn an_address_that_is_not_granted_any_more_is_not_reached_on_a_kept_socket() {
    let (server, egress, keep) = (patient(100, OK).await, egress(), Keep::default());
    assert_eq!(ask(&egress, &keep, get(&server.url("/"))).await.unwrap().1, Ok(()));
    let refused = HttpRequest { vet: Arc::new(|_| Err("not granted any more".into())), ..get(&server.url("/")) };
    assert_eq!(ask(&egress, &keep, refused).await.unwrap_err(), EgressError::Denied("not granted any more".into()));
    // A name that leads elsewhere by now: what is kept leads to where it led before.
    let elsewhere = SocketAddr::new("127.0.0.2".parse().unwrap(), 0);
    let first = SocketAddr::new(server.address.ip(), 0);
    let egress = resolving(Fake::with("moves.test", &[&[first], &[elsewhere]]));
    let url = format!("http://moves.test:{}/", server.address.port());
    assert_eq!(ask(&egress, &keep, get(&url)).await.unwrap().1, Ok(()));
    let moved = ask(&egress, &keep, get(&url)).await;
    assert!(matches!(moved, Err(EgressError::Unavailable(_))), "{moved:?}");
}

#[tokio::test]
async fn a_socket_that_the_server_has_closed_costs_a_new_one_and_no_request() {
    let (server, egress, keep) = (patient(2, OK).await, egress(), Keep::default());
    for _ in 0..8 {
        assert_eq!(ask(&egress, &keep, post(&server.url("/"), "x")).await.unwrap().1, Ok(()));
        // The other side closes after each second answer.
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert_eq!(server.connections(), 4);
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").await;
    for _ in 0..3 {
        assert_eq!(ask(&egress, &keep, get(&server.url("/"))).await.unwrap().1, Ok(()));
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn what_was_not_read_to_its_end_is_not_used_again() {
    let (server, egress, keep) =
        (Server::holding("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok").await, egress(), Keep::default());
    let mut half = egress.send_kept(get(&server.url("/")), &keep, CancellationToken::new()).await.unwrap();
    assert_eq!(half.next_chunk().await.unwrap().unwrap(), "ok");
    drop(half);
    server.until_ended(1).await;
    let short = HttpRequest { max_response_bytes: 1, ..get(&server.url("/")) };
    assert!(matches!(ask(&egress, &keep, short).await.unwrap().1, Err(EgressError::TooLarge { .. })));
    server.until_ended(2).await;
}

#[tokio::test]
async fn a_socket_that_nobody_needs_is_closed() {
    let (server, egress, keep) = (patient(100, OK).await, egress(), Keep::default());
    assert_eq!(ask(&egress, &keep, get(&server.url("/"))).await.unwrap().1, Ok(()));
    let begun = tokio::time::Instant::now();
    server.until_ended(1).await;
    assert!(begun.elapsed() < limits::KEPT * 3);
    assert_eq!(ask(&egress, &keep, get(&server.url("/"))).await.unwrap().1, Ok(()));
    assert_eq!(server.connections(), 2);
}
