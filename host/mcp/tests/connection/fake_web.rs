//! MCP servers over HTTP, written by hand so that they can misbehave.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::fake_process::tool;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub headers: HashMap<String, String>,
    pub body: Value,
}

impl Seen {
    pub fn rpc(&self) -> &str {
        self.body["method"].as_str().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    /// The answer to it.
    pub fn result(&self, result: Value) -> String {
        json!({"jsonrpc": "2.0", "id": self.body["id"], "result": result}).to_string()
    }

    pub fn error(&self, code: i64, message: &str) -> String {
        json!({"jsonrpc": "2.0", "id": self.body["id"], "error": {"code": code, "message": message}}).to_string()
    }
}

/// What it does with one.
pub enum Reply {
    Status(u16, &'static str),
    Json(String),
    /// Session id, then messages.
    Session(&'static str, String),
    Sse(Vec<String>),
    /// A head that promises more, some bytes, and the end of the connection.
    CutShort,
    /// Nothing, with the connection open.
    Hang,
    /// A stream without end.
    Flood,
}

pub struct Web {
    pub port: u16,
    pub seen: Arc<Mutex<Vec<Seen>>>,
    /// Connections that are open.
    pub open: Arc<Mutex<usize>>,
}

impl Web {
    pub async fn start(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, open) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::<Mutex<usize>>::default());
        let (keep, count, reply) = (Arc::clone(&seen), Arc::clone(&open), Arc::new(reply));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (keep, count, reply) = (Arc::clone(&keep), Arc::clone(&count), Arc::clone(&reply));
                *count.lock().unwrap() += 1;
                tokio::spawn(async move {
                    let _ = serve(socket, &keep, &*reply).await;
                    *count.lock().unwrap() -= 1;
                });
            }
        });
        Self { port, seen, open }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    pub fn rpcs(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|seen| seen.rpc().to_owned()).filter(|rpc| !rpc.is_empty()).collect()
    }
}

async fn serve(mut socket: TcpStream, seen: &Mutex<Vec<Seen>>, reply: &(dyn Fn(&Seen) -> Reply + Sync)) -> Option<()> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        (socket.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let method = lines.next().unwrap().split(' ').next().unwrap().to_owned();
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while bytes.len() < end + 4 + length {
        (socket.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    }
    let body = serde_json::from_slice(&bytes[end + 4..]).unwrap_or_default();
    let request = Seen { method, headers, body };
    let reply = reply(&request);
    seen.lock().unwrap().push(request);
    answer(&mut socket, reply).await
}

async fn answer(socket: &mut TcpStream, reply: Reply) -> Option<()> {
    let plain = |status: u16, more: &str, body: &str| {
        format!("HTTP/1.1 {status} X\r\n{more}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    };
    let json = "content-type: application/json\r\n";
    let text = match reply {
        Reply::Status(status, more) => plain(status, more, ""),
        Reply::Json(body) => plain(200, json, &body),
        Reply::Session(id, body) => plain(200, &format!("{json}mcp-session-id: {id}\r\n"), &body),
        Reply::Sse(messages) => {
            let events: String =
                messages.iter().map(|message| format!("event: message\ndata: {message}\n\n")).collect();
            plain(200, "content-type: text/event-stream\r\n", &format!(": hello\n\n{events}"))
        }
        Reply::CutShort => format!("HTTP/1.1 200 X\r\n{json}content-length: 9999\r\n\r\n{{\"jsonrpc\""),
        Reply::Hang => {
            // Until the other side closes.
            let mut rest = Vec::new();
            socket.read_to_end(&mut rest).await.ok()?;
            return None;
        }
        Reply::Flood => {
            socket.write_all(b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\n\r\n").await.ok()?;
            let event =
                json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "x".repeat(900)}});
            let events = format!("data: {event}\n\n").repeat(64);
            loop {
                socket.write_all(events.as_bytes()).await.ok()?;
            }
        }
    };
    socket.write_all(text.as_bytes()).await.ok()?;
    socket.shutdown().await.ok()
}

/// What a server of the older era says, where a test does not want it otherwise.
pub fn older(request: &Seen, session: bool) -> Reply {
    let initialized = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "fake", "version": "1"}
    });
    match (request.method.as_str(), request.rpc()) {
        ("GET", _) => Reply::Status(405, ""),
        ("DELETE", _) => Reply::Status(200, ""),
        (_, "server/discover") => Reply::Status(400, ""),
        (_, "initialize") if session => Reply::Session("s-1", request.result(initialized)),
        (_, "initialize") => Reply::Json(request.result(initialized)),
        (_, "tools/list") => Reply::Json(request.result(json!({"tools": [tool("echo")]}))),
        (_, "tools/call") => {
            let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}});
            let said = format!("you said {}", request.body["params"]["arguments"]);
            Reply::Sse(vec![
                progress.to_string(),
                request.result(json!({"content": [{"type": "text", "text": said}], "x-trace": "t"})),
            ])
        }
        _ => Reply::Status(202, ""),
    }
}

/// What a server of the newer era says.
pub fn newer(request: &Seen) -> Reply {
    match request.rpc() {
        "server/discover" => Reply::Json(request.result(json!({
            "resultType": "complete",
            "supportedVersions": ["2026-07-28"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "fake", "version": "1"},
            "ttlMs": 0, "cacheScope": "private"
        }))),
        "tools/list" => {
            Reply::Json(request.result(
                json!({"resultType": "complete", "tools": [tool("echo")], "ttlMs": 0, "cacheScope": "private"}),
            ))
        }
        "tools/call" => Reply::Json(
            request.result(json!({"resultType": "complete", "content": [{"type": "text", "text": "done"}]})),
        ),
        _ => Reply::Status(202, ""),
    }
}
