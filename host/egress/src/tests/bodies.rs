//! Bodies: whole, cut, endless, slow, too large, dropped.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::*;

async fn code_of(answer: &str) -> (Vec<u8>, Option<&'static str>) {
    let server = Server::answering(answer).await;
    let mut answer = send(get(&server.url("/"))).await.unwrap();
    let (body, end) = drain(&mut answer).await;
    assert_eq!(answer.received(), body.len() as u64);
    (body, end.err().map(|error| error.code()))
}

#[tokio::test]
async fn a_body_is_whole_or_an_error_says_that_it_is_not() {
    let whole = [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello and more",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;ext=1\r\nllo\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\ntrailer: x\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nhello",
    ];
    for answer in whole {
        assert_eq!(code_of(answer).await, (b"hello".to_vec(), None), "{answer}");
    }
    let cut = [
        "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ];
    for answer in cut {
        assert_eq!(code_of(answer).await, (b"hello".to_vec(), Some("unavailable")), "{answer}");
    }
    let mangled = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n";
    assert_eq!(code_of(mangled).await, (b"hello".to_vec(), Some("protocol")));
}

#[tokio::test]
async fn nothing_is_decompressed() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\nhello";
    assert_eq!(code_of(answer).await, (b"hello".to_vec(), None));
}

#[tokio::test]
async fn an_answer_without_a_body_ends_at_once() {
    let server = Server::holding("HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n").await;
    let mut answer = send(HttpRequest { method: Method::HEAD, ..get(&server.url("/")) }).await.unwrap();
    assert_eq!(answer.next_chunk().await, Ok(None));
    server.until_ended(1).await;
}

#[tokio::test]
async fn a_reset_within_the_body_is_an_error() {
    let server = Server::with("127.0.0.1:0", |mut stream, _| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        stream.set_zero_linger().unwrap();
    })
    .await;
    let mut answer = send(get(&server.url("/"))).await.unwrap();
    let (body, end) = drain(&mut answer).await;
    assert_eq!(body, b"hello");
    let error = end.unwrap_err();
    assert_eq!(error.code(), "unavailable");
    assert!(
        error.to_string().starts_with(&format!("the answer from http://{} was cut short: ", server.address)),
        "{error}"
    );
    assert_eq!(answer.next_chunk().await, Err(error));
}

#[tokio::test]
async fn silence_within_the_body_has_a_limit_where_it_was_asked_for() {
    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let server = Server::holding(answer).await;
    let request = HttpRequest { idle: Some(Duration::from_millis(200)), ..get(&server.url("/")) };
    let mut response = send(request).await.unwrap();
    let (body, end) = drain(&mut response).await;
    assert_eq!(body, b"hello");
    let error = end.unwrap_err();
    let wanted = format!("http://{} fell silent within its answer for 200 ms", server.address);
    assert_eq!((error.code(), error.to_string()), ("timeout", wanted));
    server.until_ended(1).await;

    let mut response = send(HttpRequest { idle: None, ..get(&server.url("/")) }).await.unwrap();
    assert_eq!(response.next_chunk().await.unwrap().unwrap(), "hello");
    let waited = tokio::time::timeout(Duration::from_millis(500), response.next_chunk()).await;
    assert!(waited.is_err(), "{waited:?}");
}

#[tokio::test]
async fn what_carries_no_bytes_is_no_sign_of_life() {
    let server = Server::with("127.0.0.1:0", |mut stream, _| async move {
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;a=").await);
        while stream.write_all(b"b").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let request = HttpRequest { idle: Some(Duration::from_millis(200)), ..get(&server.url("/")) };
    let mut answer = send(request).await.unwrap();
    assert_eq!(answer.next_chunk().await.unwrap_err().code(), "timeout");
}

#[tokio::test]
async fn a_drip_is_read_as_it_comes_and_survives_a_dropped_read() {
    let server = Server::with("127.0.0.1:0", |mut stream, _| async move {
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n").await);
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            drop(stream.write_all(b"d").await);
        }
    })
    .await;
    let request = HttpRequest { idle: Some(Duration::from_millis(400)), ..get(&server.url("/")) };
    let mut answer = send(request).await.unwrap();
    let mut body = Vec::new();
    loop {
        match tokio::time::timeout(Duration::from_millis(7), answer.next_chunk()).await {
            Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
            Ok(Ok(None)) => break,
            Ok(Err(error)) => panic!("{error}"),
            Err(_) => {}
        }
    }
    assert_eq!(body, b"dddddddddd");
}

#[tokio::test]
async fn a_large_body_comes_in_small_chunks_up_to_its_limit() {
    let body: Vec<u8> = (0..1_000_000_u32).map(|number| number as u8).collect();
    let answer =
        [format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes(), body.clone()].concat();
    let server = Server::answering(answer).await;
    let exactly = HttpRequest { max_response_bytes: 1_000_000, ..get(&server.url("/")) };
    let mut response = send(exactly).await.unwrap();
    assert_eq!(drain(&mut response).await, (body, Ok(())));
    assert_eq!(response.received(), 1_000_000);

    let one_less = HttpRequest { max_response_bytes: 999_999, ..get(&server.url("/")) };
    let mut response = send(one_less).await.unwrap();
    let (read, end) = drain(&mut response).await;
    assert!(read.len() < 1_000_000);
    let error = end.unwrap_err();
    assert_eq!(error.code(), "denied");
    let wanted = "the answer has more than the 999999 bytes that the grant allows for one answer (max_response_bytes)";
    assert_eq!(error.to_string(), wanted);
    assert_eq!(response.next_chunk().await, Err(error));
}

#[tokio::test]
async fn an_endless_body_ends_at_its_limit() {
    let server = Server::with("127.0.0.1:0", |mut stream, _| async move {
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await);
        let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
        while stream.write_all(&chunk).await.is_ok() {}
    })
    .await;
    let request = HttpRequest { max_response_bytes: 3 << 20, ..get(&server.url("/")) };
    let (read, end) = drain(&mut send(request).await.unwrap()).await;
    assert!(read.len() <= 3 << 20);
    assert_eq!(end.unwrap_err().code(), "denied");
    server.until_ended(1).await;
}

#[tokio::test]
async fn an_answer_that_is_dropped_closes_its_connection() {
    let server = Server::holding("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello").await;
    let egress = egress();
    for _ in 0..50 {
        let mut answer = egress.send(get(&server.url("/")), CancellationToken::new()).await.unwrap();
        assert_eq!(answer.next_chunk().await.unwrap().unwrap(), "hello");
    }
    server.until_ended(50).await;
}

#[tokio::test]
async fn a_reader_that_waits_holds_the_sender_back() {
    let server = Server::with("127.0.0.1:0", |mut stream, _| async move {
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n").await);
        drop(stream.write_all(&vec![0; 100_000_000]).await);
    })
    .await;
    let request = HttpRequest { max_response_bytes: u64::MAX, ..get(&server.url("/")) };
    let answer = send(request).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(server.ended.load(Ordering::SeqCst), 0);
    drop(answer);
    server.until_ended(1).await;
}
