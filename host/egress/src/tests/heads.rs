//! What goes out, and answers up to their head.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn a_request_carries_what_it_was_given_and_little_else() {
    let server = Server::answering(*b"HTTP/1.1 200 OK\r\nX-One: 1\r\nContent-Length: 2\r\nX-Two: \xe9\r\n\r\nhi").await;
    let mut request = post(&server.url("/a%20b?q=1#fragment"), "body");
    request.headers.insert("x-mine", HeaderValue::from_static("yes"));
    let mut answer = send(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(answer.headers(), [header("x-one", "1"), header("content-length", "2"), header("x-two", "\u{fffd}")]);
    assert_eq!(drain(&mut answer).await, (b"hi".to_vec(), Ok(())));
    assert_eq!(answer.next_chunk().await, Ok(None));
    assert_eq!(answer.received(), 2);
    let mut lines: Vec<String> = server.requests()[0].lines().map(str::to_owned).collect();
    assert_eq!(lines.remove(0), "POST /a%20b?q=1 HTTP/1.1");
    assert_eq!(lines.pop().unwrap(), "body");
    lines.sort();
    let wanted = [
        String::new(),
        "accept-encoding: identity".to_owned(),
        "content-length: 4".to_owned(),
        format!("host: {}", server.address),
        format!("user-agent: {}", concat!("fumehood/", env!("CARGO_PKG_VERSION"))),
        "x-mine: yes".to_owned(),
    ];
    assert_eq!(lines, wanted);
}

#[tokio::test]
async fn an_empty_post_says_so_and_a_chosen_encoding_stays() {
    let server = Server::answering(OK).await;
    let mut request = post(&server.url("/"), "");
    request.headers.insert("accept-encoding", HeaderValue::from_static("gzip"));
    send(request).await.unwrap();
    let sent = &server.requests()[0];
    assert!(sent.contains("\r\ncontent-length: 0\r\n") && sent.contains("\r\naccept-encoding: gzip\r\n"), "{sent}");
    assert!(!sent.contains("identity"), "{sent}");
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let elsewhere = Server::answering(OK).await;
    let location = elsewhere.url("/inside");
    let server =
        Server::answering(format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")).await;
    let answer = send(get(&server.url("/"))).await.unwrap();
    assert_eq!(answer.status(), 302);
    assert_eq!(answer.headers()[0], ("location".to_owned(), location));
    assert_eq!((server.connections(), elsewhere.connections()), (1, 0));
}

#[tokio::test]
async fn cookies_are_not_kept_and_connections_not_shared() {
    let server = Server::holding("HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n").await;
    let egress = egress();
    for _ in 0..2 {
        let mut answer = egress.send(get(&server.url("/")), CancellationToken::new()).await.unwrap();
        assert_eq!(drain(&mut answer).await, (Vec::new(), Ok(())));
    }
    assert_eq!(server.connections(), 2);
    assert!(server.requests().iter().all(|request| !request.contains("cookie")));
    server.until_ended(2).await;
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_anything_is_dialled() {
    let server = Server::answering(OK).await;
    let refused = async |request: HttpRequest, wanted: &str| {
        let error = send(request).await.unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), ("invalid", wanted));
    };
    refused(get("ftp://127.0.0.1/"), "`ftp:` cannot be sent; use `https:` or `http:`").await;
    refused(get("http://me:secret@127.0.0.1/"), "a URL must not carry a user or a password").await;
    refused(HttpRequest { method: Method::CONNECT, ..get(&server.url("/")) }, "`CONNECT` cannot be sent").await;
    for name in
        ["host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "expect", "proxy-authorization"]
    {
        let mut request = get(&server.url("/"));
        request.headers.insert(HeaderName::from_static(name), HeaderValue::from_static("x"));
        refused(request, &format!("the header `{name}` is set by the host")).await;
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_refused_connection_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = send(post(&format!("http://{address}/path?secret"), "body")).await.unwrap_err();
    assert_eq!(error.code(), "unavailable");
    assert_eq!(error.to_string(), format!("http://{address} cannot be reached: Connection refused (os error 111)"));
}

#[tokio::test]
async fn a_break_after_the_request_leaves_the_outcome_unknown() {
    let closing = Server::with("127.0.0.1:0", |stream, _| async move { drop(stream) }).await;
    let resetting = Server::with("127.0.0.1:0", |stream, _| async move { stream.set_zero_linger().unwrap() }).await;
    let halfway = Server::answering("HTTP/1.1 200 OK\r\ncontent-le").await;
    for server in [closing, resetting, halfway] {
        let error = send(post(&server.url("/path?secret"), "body")).await.unwrap_err();
        assert_eq!(error.code(), "outcome-unknown", "{error}");
        assert!(error.to_string().starts_with(&format!("http://{} broke the connection", server.address)), "{error}");
        assert!(server.requests()[0].ends_with("body"));
    }
}

#[tokio::test]
async fn heads_have_limits() {
    let many = |count: usize| {
        let headers: String = (0..count).map(|number| format!("x-{number}: 1\r\n")).collect();
        format!("HTTP/1.1 204 No Content\r\n{headers}\r\n")
    };
    let large = |bytes: usize| format!("HTTP/1.1 204 No Content\r\nx: {}\r\n\r\n", "v".repeat(bytes - 1));
    for good in [many(128), large(64 << 10)] {
        let server = Server::answering(good).await;
        assert_eq!(send(get(&server.url("/"))).await.unwrap().status(), 204);
    }
    for bad in [many(129), many(5000), large((64 << 10) + 1), large(1 << 20), "SSH-2.0-OpenSSH_9.9\r\n".repeat(9)] {
        let server = Server::answering(bad).await;
        let error = send(get(&server.url("/"))).await.unwrap_err();
        assert_eq!(error.code(), "protocol", "{error}");
        assert!(error.to_string().contains("128 headers and 65536 bytes"), "{error}");
    }
}

#[tokio::test]
async fn interim_answers_are_passed_over_and_a_switch_refused() {
    let server =
        Server::answering(format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n{OK}"))
            .await;
    assert_eq!(send(get(&server.url("/"))).await.unwrap().status(), 200);
    let server =
        Server::answering("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n").await;
    assert_eq!(send(get(&server.url("/"))).await.unwrap_err().code(), "protocol");
}

#[tokio::test]
async fn a_head_that_drips_ends_with_the_time_to_the_first_byte() {
    let server = Server::with("127.0.0.1:0", |mut stream, _| async move {
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await);
        while stream.write_all(b"v").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let request = HttpRequest { first_byte: Duration::from_millis(300), ..get(&server.url("/")) };
    let error = send(request).await.unwrap_err();
    assert_eq!(error.code(), "outcome-unknown");
    let wanted = format!("http://{} took the request but did not answer within 300 ms", server.address);
    assert_eq!(error.to_string(), wanted);
    server.until_ended(1).await;
}

#[tokio::test]
async fn a_server_that_does_not_read_ends_with_the_time_to_the_first_byte() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let request = HttpRequest { first_byte: Duration::from_millis(300), ..post(&url, vec![0; 32 << 20]) };
    assert_eq!(send(request).await.unwrap_err().code(), "outcome-unknown");
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut arrived = Vec::new();
    drop(stream.read_to_end(&mut arrived).await);
    assert!(arrived.len() < 32 << 20);
}

#[tokio::test]
async fn cancelling_closes_the_connection_wherever_it_stands() {
    let egress = egress();
    let server = Server::holding("").await;
    let cancel = CancellationToken::new();
    cancel.cancel();
    let error = egress.send(get(&server.url("/")), cancel).await.unwrap_err();
    assert_eq!(error, EgressError::Cancelled { sent: false });
    assert_eq!((error.code(), server.connections()), ("cancelled", 0));

    let cancel = CancellationToken::new();
    let waiting = tokio::spawn({
        let (egress, request, cancel) = (egress.clone(), get(&server.url("/")), cancel.clone());
        async move { egress.send(request, cancel).await }
    });
    eventually("the request arrives", || server.requests().len() == 1).await;
    cancel.cancel();
    assert_eq!(waiting.await.unwrap().unwrap_err(), EgressError::Cancelled { sent: true });
    server.until_ended(1).await;

    let server = Server::holding("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfive.").await;
    let cancel = CancellationToken::new();
    let mut answer = egress.send(get(&server.url("/")), cancel.clone()).await.unwrap();
    assert_eq!(answer.next_chunk().await.unwrap().unwrap(), "five.");
    cancel.cancel();
    for _ in 0..2 {
        assert_eq!(answer.next_chunk().await, Err(EgressError::Cancelled { sent: true }));
    }
    server.until_ended(1).await;
}

#[tokio::test]
async fn connections_are_bounded_and_given_back() {
    let server = Server::holding("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx").await;
    let egress = Egress::new(EgressConfig { connections: 1, ..EgressConfig::default() }).unwrap();
    let quick = || HttpRequest { first_byte: Duration::from_millis(200), ..get(&server.url("/")) };
    let held = egress.send(quick(), CancellationToken::new()).await.unwrap();
    assert_eq!(egress.send(quick(), CancellationToken::new()).await.unwrap_err().code(), "unavailable");
    assert_eq!(server.connections(), 1);
    drop(held);
    let mut read = egress.send(quick(), CancellationToken::new()).await.unwrap();
    assert_eq!(drain(&mut read).await, (b"x".to_vec(), Ok(())));
    // Read to the end, it holds no place any more.
    egress.send(quick(), CancellationToken::new()).await.unwrap();
    drop(read);
    server.until_ended(3).await;
}

#[test]
fn nothing_confidential_is_printed() {
    let mut request = post("https://host.test/path?key=hidden", "hidden");
    request.headers.insert("authorization", HeaderValue::from_static("hidden"));
    let printed = format!("{request:?}");
    assert!(
        printed.contains("https://host.test") && !printed.contains("hidden") && !printed.contains("path"),
        "{printed}"
    );
}
