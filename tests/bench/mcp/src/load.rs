//! Callers: each holds one connection and asks again as soon as it has its answer.

use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::ValueEnum;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use memchr::memmem;
use serde_json::json;
use tokio::net::TcpStream;

use crate::texts::{Random, text};

/// What clients without sessions say of themselves in each request.
const META: &str = concat!(
    r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
    r#""io.modelcontextprotocol/clientCapabilities":{},"#,
    r#""io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"}},"#
);

/// How clients of the two eras open, and what they send with each request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Era {
    /// With `initialize` and a session.
    #[value(name = "2025-11-25")]
    Sessions,
    /// Without sessions.
    #[value(name = "2026-07-28")]
    Stateless,
}

impl Era {
    pub fn version(self) -> &'static str {
        match self {
            Self::Sessions => "2025-11-25",
            Self::Stateless => "2026-07-28",
        }
    }
}

/// Whom to ask, and how.
#[derive(Clone, Debug)]
pub struct Target {
    /// `127.0.0.1:PORT`.
    pub address: String,
    pub path: String,
    pub tool: String,
    pub token: Option<String>,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub era: Era,
    pub bytes: usize,
    pub mail: bool,
}

async fn connected(address: &str) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// One client.
pub struct Caller {
    sender: SendRequest<Full<Bytes>>,
    target: Target,
    asked: Asked,
    /// Of a call.
    headers: HeaderMap,
    random: Random,
    id: u64,
}

impl Caller {
    /// Connect, and open a session where there are sessions.
    pub async fn open(target: &Target, asked: Asked, seed: u64) -> Self {
        let sender = connected(&target.address).await;
        let random = Random(seed.wrapping_mul(0x0123_4567_89ab_cdef));
        let mut caller = Self { sender, target: target.clone(), asked, headers: HeaderMap::new(), random, id: 0 };
        caller.put("host", &target.address);
        caller.put("content-type", "application/json");
        caller.put("accept", "application/json, text/event-stream");
        caller.put("user-agent", "bench/1");
        if let Some(token) = &target.token {
            caller.put("authorization", &format!("Bearer {token}"));
        }
        match asked.era {
            Era::Sessions => caller.begin_session().await,
            Era::Stateless => {
                caller.put("mcp-protocol-version", asked.era.version());
                caller.put("mcp-method", "tools/call");
                caller.put("mcp-name", &target.tool);
            }
        }
        caller
    }

    fn put(&mut self, name: &'static str, value: &str) {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }

    async fn begin_session(&mut self) {
        let params = json!({"protocolVersion": self.asked.era.version(), "capabilities": {},
            "clientInfo": {"name": "bench", "version": "1"}});
        let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).to_string();
        let answer = self.send(body).await;
        let session = answer.headers().get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned());
        let said = answer.into_body().collect().await.unwrap().to_bytes();
        self.put("mcp-session-id", &session.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&said))));
        self.put("mcp-protocol-version", self.asked.era.version());
        let answer = self.send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string()).await;
        assert_eq!(answer.status(), 202);
        answer.into_body().collect().await.unwrap();
    }

    async fn send(&mut self, body: String) -> Response<Incoming> {
        let mut request = Request::new(Full::new(body.into()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.path.parse().unwrap();
        *request.headers_mut() = self.headers.clone();
        // Whoever was silent while others were measured may have been let go.
        if self.sender.ready().await.is_err() {
            self.sender = connected(&self.target.address).await;
        }
        self.sender.send_request(request).await.unwrap_or_else(|error| panic!("{} of {}: {error}", self.target.tool, self.target.address))
    }

    /// The next call. Nothing in it needs escaping.
    fn body(&mut self) -> String {
        let said = text(&mut self.random, self.asked.bytes, self.asked.mail);
        let (id, tool, mail) = (self.id, &self.target.tool, if self.asked.mail { r#","mail":true"# } else { "" });
        let meta = match self.asked.era {
            Era::Sessions => "",
            Era::Stateless => META,
        };
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{{meta}"name":"{tool}","arguments":{{"entry":{id},"text":"{said}"{mail}}}}}}}"#
        )
    }

    /// Call the tool once; how long it took. Ends the measurement where the answer is not the one to this call.
    pub async fn call(&mut self) -> Duration {
        self.id += 1;
        let body = self.body();
        let begun = Instant::now();
        let answer = self.send(body).await;
        let status = answer.status();
        let said = answer.into_body().collect().await.unwrap().to_bytes();
        let took = begun.elapsed();
        let wanted = format!("\"Entry {}. ", self.id);
        let right = status == 200 && memmem::find(&said, wanted.as_bytes()).is_some();
        assert!(right, "{status} from {}: {}", self.target.address, String::from_utf8_lossy(&said));
        took
    }
}

/// What some callers measured together.
#[derive(Clone, Copy, Default, Debug)]
pub struct Slot {
    pub calls: u64,
    pub per_second: f64,
    pub p50_us: f64,
    pub p95_us: f64,
    pub p99_us: f64,
}

/// Let all callers ask for a while. The callers come back, with their connections.
pub async fn run(callers: Vec<Caller>, length: Duration) -> (Vec<Caller>, Slot) {
    let begun = Instant::now();
    let running: Vec<_> = callers
        .into_iter()
        .map(|mut caller| {
            tokio::spawn(async move {
                let mut took = Vec::new();
                while begun.elapsed() < length {
                    took.push(caller.call().await);
                }
                (caller, took)
            })
        })
        .collect();
    let (mut callers, mut took) = (Vec::new(), Vec::new());
    for one in running {
        let (caller, mut own) = one.await.unwrap();
        callers.push(caller);
        took.append(&mut own);
    }
    let elapsed = begun.elapsed();
    took.sort_unstable();
    let at = |share: f64| {
        let place = ((took.len() as f64 * share).ceil() as usize).clamp(1, took.len()) - 1;
        took[place].as_secs_f64() * 1e6
    };
    let slot = Slot {
        calls: took.len() as u64,
        per_second: took.len() as f64 / elapsed.as_secs_f64(),
        p50_us: at(0.50),
        p95_us: at(0.95),
        p99_us: at(0.99),
    };
    (callers, slot)
}
