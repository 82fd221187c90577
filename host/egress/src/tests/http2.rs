//! TLS, and HTTP/2 over it. The certificate is for `egress.test` and 127.0.0.1, from a root that nobody else trusts.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

const ROOT: &[u8] = include_bytes!("tls/root.pem");

fn acceptor(alpn: &[&str]) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// An echo over HTTP/2 that says what it saw, and counts the connections that have ended.
async fn echo() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, ended) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&ended);
    let tls = acceptor(&["h2", "http/1.1"]);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (tls, count) = (tls.clone(), Arc::clone(&count));
            tokio::spawn(async move {
                if let Ok(stream) = tls.accept(socket).await {
                    let service = service_fn(async |request: http::Request<hyper::body::Incoming>| {
                        let seen = format!(
                            "{:?} {} host={:?}",
                            request.version(),
                            request.uri(),
                            request.headers().get("host")
                        );
                        let heads = request
                            .headers()
                            .get("x-heads")
                            .map_or(0, |value| value.to_str().unwrap().parse().unwrap());
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        let mut answer = http::Response::builder().header("x-seen", seen);
                        for number in 0..heads {
                            answer = answer.header(format!("x-{number}"), "v".repeat(100));
                        }
                        Ok::<_, Infallible>(answer.body(Full::new(body)).unwrap())
                    });
                    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    drop(server.serve_connection(TokioIo::new(stream), service).await);
                }
                count.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    (address, ended)
}

fn trusting(address: SocketAddr) -> Egress {
    let resolver = Fake::with("egress.test", &[&[address]]);
    let config = EgressConfig {
        extra_roots_pem: vec![ROOT.to_vec()],
        resolver,
        connect: Duration::from_millis(800),
        ..EgressConfig::default()
    };
    Egress::new(config).unwrap()
}

#[tokio::test]
async fn http2_is_spoken_where_it_is_offered() {
    let (address, ended) = echo().await;
    let egress = trusting(address);
    let body: Bytes = (0..3_000_000_u32).map(|number| number as u8).collect();
    let url = format!("https://egress.test:{}/p?q=1", address.port());
    let mut answer = egress.send(post(&url, body.clone()), CancellationToken::new()).await.unwrap();
    let seen = ("x-seen".to_owned(), format!("HTTP/2.0 {url} host=None"));
    assert!(answer.headers().contains(&seen), "{:?}", answer.headers());
    let (echoed, end) = drain(&mut answer).await;
    assert_eq!(end, Ok(()));
    assert!(echoed == body);
    eventually("the connection closes", || ended.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn an_http2_answer_that_is_dropped_closes_its_connection() {
    let (address, ended) = echo().await;
    let egress = trusting(address);
    let url = format!("https://egress.test:{}/", address.port());
    for _ in 0..10 {
        let mut answer = egress.send(post(&url, vec![7; 2_000_000]), CancellationToken::new()).await.unwrap();
        assert!(answer.next_chunk().await.unwrap().is_some());
    }
    eventually("the connections close", || ended.load(Ordering::SeqCst) == 10).await;
}

#[tokio::test]
async fn http2_bodies_and_heads_have_the_same_limits() {
    let (address, _) = echo().await;
    let egress = trusting(address);
    let url = format!("https://egress.test:{}/", address.port());
    let request = HttpRequest { max_response_bytes: 999_999, ..post(&url, vec![7; 1_000_000]) };
    let mut answer = egress.send(request, CancellationToken::new()).await.unwrap();
    assert_eq!(drain(&mut answer).await.1.unwrap_err().code(), "denied");
    for heads in [200, 700] {
        let mut request = get(&url);
        request.headers.insert("x-heads", http::HeaderValue::from(heads));
        assert_eq!(egress.send(request, CancellationToken::new()).await.unwrap_err().code(), "protocol");
    }
}

#[tokio::test]
async fn a_certificate_must_be_trusted_and_for_the_name() {
    let (address, _) = echo().await;
    let names = Fake::with("other.test", &[&[address]]);
    let stranger = Egress::new(EgressConfig { resolver: names.clone(), ..EgressConfig::default() }).unwrap();
    let knowing =
        Egress::new(EgressConfig { extra_roots_pem: vec![ROOT.to_vec()], resolver: names, ..EgressConfig::default() })
            .unwrap();
    for (egress, host) in [(&stranger, "127.0.0.1"), (&knowing, "other.test")] {
        let url = format!("https://{host}:{}/", address.port());
        let error = egress.send(post(&url, "body"), CancellationToken::new()).await.unwrap_err();
        assert_eq!(error.code(), "unavailable", "{error}");
        assert!(error.to_string().contains("certificate"), "{error}");
    }
    let by_address = format!("https://127.0.0.1:{}/", address.port());
    assert_eq!(knowing.send(get(&by_address), CancellationToken::new()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_tls_stream_without_its_end_is_cut_short() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let tls = acceptor(&[]);
        for goodbye in [true, false] {
            let (socket, _) = listener.accept().await.unwrap();
            let mut stream = tls.accept(socket).await.unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello").await.unwrap();
            stream.flush().await.unwrap();
            if goodbye {
                stream.shutdown().await.unwrap();
            }
        }
    });
    let egress = trusting(address);
    let url = format!("https://egress.test:{}/", address.port());
    let mut answer = egress.send(get(&url), CancellationToken::new()).await.unwrap();
    assert_eq!(drain(&mut answer).await, (b"hello".to_vec(), Ok(())));
    let mut answer = egress.send(get(&url), CancellationToken::new()).await.unwrap();
    let (body, end) = drain(&mut answer).await;
    assert_eq!((body.as_slice(), end.unwrap_err().code()), (&b"hello"[..], "unavailable"));
}

#[tokio::test]
async fn a_handshake_that_stalls_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("https://egress.test:{}/", address.port());
    let error = trusting(address).send(get(&url), CancellationToken::new()).await.unwrap_err();
    let wanted = format!("https://egress.test:{} cannot be reached: no connection within 800 ms", address.port());
    assert_eq!((error.code(), error.to_string()), ("unavailable", wanted));
}
