//! The way out against real loopback servers that misbehave, and real processes.
//!
//! Loopback plays both parts: 127.0.0.1 is the internet, 127.0.0.2 is inside.

mod bodies;
mod heads;
mod http2;
mod keep;
mod names;
mod process;

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{Egress, EgressConfig, EgressError, HttpRequest, HttpResponse, Resolve};

/// A server that does with each connection what a script says.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// Connections whose script has ended.
    ended: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn with<F>(at: &str, script: impl Fn(TcpStream, Vec<u8>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(at).await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            ended: Arc::default(),
            requests: Arc::default(),
        };
        let (connections, ended) = (Arc::clone(&server.connections), Arc::clone(&server.ended));
        let (requests, script) = (Arc::clone(&server.requests), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (ended, requests, script) = (Arc::clone(&ended), Arc::clone(&requests), Arc::clone(&script));
                tokio::spawn(async move {
                    let request = read_request(&mut stream).await;
                    requests.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
                    script(stream, request).await;
                    ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        server
    }

    /// Answers each request with these bytes, and closes.
    async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::with("127.0.0.1:0", move |mut stream, _| {
            let answer = answer.clone();
            async move {
                drop(stream.write_all(&answer).await);
            }
        })
        .await
    }

    /// Answers with these bytes, keeps the connection open, and ends when the other side has closed it.
    async fn holding(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::with("127.0.0.1:0", move |mut stream, _| {
            let answer = answer.clone();
            async move {
                drop(stream.write_all(&answer).await);
                until_closed(&mut stream).await;
            }
        })
        .await
    }

    fn url(&self, rest: &str) -> String {
        format!("http://{}{rest}", self.address)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    async fn until_ended(&self, count: usize) {
        eventually("connections close", || self.ended.load(Ordering::SeqCst) >= count).await;
    }
}

/// Head and body of one request, as far as it comes.
async fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let mut request = Vec::new();
    loop {
        if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            if request.len() >= end + 4 + length {
                return request;
            }
        }
        if !matches!(stream.read_buf(&mut request).await, Ok(1..)) {
            return request;
        }
    }
}

async fn until_closed(stream: &mut TcpStream) {
    let mut rest = [0; 1024];
    while let Ok(1..) = stream.read(&mut rest).await {}
}

async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..500 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain: {what}");
}

/// A resolver with a script: each name answers with its lists in turn, over and over.
#[derive(Default)]
struct Fake {
    names: HashMap<String, Vec<Vec<SocketAddr>>>,
    asked: AtomicUsize,
}

impl Fake {
    fn with(name: &str, answers: &[&[SocketAddr]]) -> Arc<Self> {
        let answers = answers.iter().map(|answer| answer.to_vec()).collect();
        Arc::new(Self { names: HashMap::from([(name.to_owned(), answers)]), asked: AtomicUsize::new(0) })
    }
}

impl Resolve for Fake {
    fn resolve(&self, host: &str, _: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = match self.names.get(host) {
            Some(answers) => Ok(answers[turn % answers.len()].clone()),
            None => Err(io::Error::other("no such name")),
        };
        Box::pin(async { answer })
    }
}

fn egress() -> Egress {
    Egress::new(EgressConfig::default()).unwrap()
}

fn resolving(resolver: Arc<Fake>) -> Egress {
    Egress::new(EgressConfig { resolver, ..EgressConfig::default() }).unwrap()
}

fn get(url: &str) -> HttpRequest {
    HttpRequest {
        method: Method::GET,
        url: Url::parse(url).unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        first_byte: Duration::from_secs(5),
        idle: Some(Duration::from_secs(5)),
        vet: Arc::new(|_| Ok(())),
        max_response_bytes: 16 << 20,
    }
}

fn post(url: &str, body: impl Into<Bytes>) -> HttpRequest {
    HttpRequest { method: Method::POST, body: body.into(), ..get(url) }
}

/// Accepts what is not inside.
fn outside_only(request: HttpRequest) -> HttpRequest {
    let inside: IpAddr = "127.0.0.2".parse().unwrap();
    let vet = move |addresses: &[IpAddr]| match addresses.contains(&inside) {
        true => Err("127.0.0.2 is inside; grant it by address".to_owned()),
        false => Ok(()),
    };
    HttpRequest { vet: Arc::new(vet), ..request }
}

async fn send(request: HttpRequest) -> Result<HttpResponse, EgressError> {
    egress().send(request, CancellationToken::new()).await
}

/// The whole body, and how it ended.
async fn drain(answer: &mut HttpResponse) -> (Vec<u8>, Result<(), EgressError>) {
    let mut body = Vec::new();
    loop {
        match answer.next_chunk().await {
            Ok(Some(chunk)) => {
                assert!((1..=64 << 10).contains(&chunk.len()), "a chunk of {} bytes", chunk.len());
                body.extend_from_slice(&chunk);
            }
            Ok(None) => return (body, Ok(())),
            Err(error) => return (body, Err(error)),
        }
    }
}
