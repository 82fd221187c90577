//! `fumehood mcp serve --stdio`: a client on this machine that speaks over pipes, led to the gateway.
//!
//! Invariant: standard output holds messages of the protocol and nothing else; every request that came in gets an answer,
//! be it that Fumehood cannot be reached; the token is sent to the address that was named and nowhere else.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use fumehood_egress::{Egress, EgressConfig, HttpRequest, HttpResponse};
use fumehood_triage::gateway::{MODERN, VERSION_KEY, request_headers};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::settings::Settings;

/// Longest message, bytes; as the gateway takes it.
const MESSAGE: usize = 4 << 20;
/// To the head of an answer: the gateway begins a stream before.
const FIRST_BYTE: Duration = Duration::from_secs(60);
/// How long answers that are on their way may take when the client has gone.
const END: Duration = Duration::from_secs(5);
/// Messages that wait to be written.
const OUT: usize = 64;
/// The environment's name of the token.
const TOKEN: &str = "FUMEHOOD_TOKEN";
/// How soon, and how often, a stream is taken up again that ended before its answer.
const RESUME: Duration = Duration::from_millis(500);
const RESUMES: usize = 600;
/// How soon the session's own stream is opened again.
const LISTEN_AGAIN: Duration = Duration::from_secs(2);
/// What we say ourselves when there is no answer.
const NO_ANSWER: i64 = -32000;

pub fn run(
    settings: &Settings,
    server: Option<&str>,
    url: Option<&str>,
    token_file: Option<&std::path::Path>,
) -> anyhow::Result<ExitCode> {
    let base = match url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => match settings.public_origin()? {
            Some(public) => public,
            None if settings.tls_cert.is_some() => format!("https://{}", settings.listen),
            None => format!("http://{}", settings.listen),
        },
    };
    let path = server.map_or_else(|| "/mcp".to_owned(), |name| format!("/mcp/{name}"));
    let url = url::Url::parse(&format!("{base}{path}")).with_context(|| format!("{base} is no URL"))?;
    let token = token(token_file)?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(serve(url, token))
}

fn token(file: Option<&std::path::Path>) -> anyhow::Result<SecretString> {
    let text = match file {
        Some(file) => std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?,
        None => std::env::var(TOKEN).unwrap_or_default(),
    };
    if text.trim().is_empty() {
        bail!(
            "name an API token in the environment ({TOKEN}) or with --token-file; `fumehood token create --role responder` makes one"
        );
    }
    Ok(SecretString::from(text.trim().to_owned()))
}

/// What holds for the client of this process.
struct Bridge {
    egress: Egress,
    url: url::Url,
    token: SecretString,
    out: mpsc::Sender<String>,
    /// Id and version of a session, once there is one.
    session: Mutex<Option<(String, String)>>,
    /// Schemas of tools, as they were listed: parts of the arguments may have to be told as headers.
    schemas: Mutex<HashMap<String, Value>>,
    /// Requests on their way, by their id.
    open: Mutex<HashMap<String, AbortHandle>>,
}

async fn serve(url: url::Url, token: SecretString) -> anyhow::Result<ExitCode> {
    let (out, mut lines) = mpsc::channel::<String>(OUT);
    let writing = tokio::spawn(async move {
        let mut stdout = tokio::io::stdout();
        while let Some(line) = lines.recv().await {
            let written = async {
                stdout.write_all(line.as_bytes()).await?;
                stdout.write_all(b"\n").await?;
                stdout.flush().await
            };
            if written.await.is_err() {
                // Nobody reads any longer.
                return;
            }
        }
    });
    let bridge = Arc::new(Bridge {
        egress: Egress::new(EgressConfig::default())?,
        url,
        token,
        out,
        session: Mutex::default(),
        schemas: Mutex::default(),
        open: Mutex::default(),
    });
    let tasks = TaskTracker::new();
    let mut stdin = BufReader::new(tokio::io::stdin());
    let mut line = Vec::new();
    loop {
        line.clear();
        if stdin.read_until(b'\n', &mut line).await? == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        if line.len() > MESSAGE {
            bridge.say(&json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "a message has at most 4 MiB"}})).await;
            continue;
        }
        match serde_json::from_slice::<Value>(&line) {
            Ok(message) => Arc::clone(&bridge).take(message, &tasks).await,
            Err(error) => {
                bridge.say(&json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": format!("no JSON: {error}")}})).await;
            }
        }
    }
    tasks.close();
    let _ = tokio::time::timeout(END, tasks.wait()).await;
    bridge.leave().await;
    drop(bridge);
    let _ = tokio::time::timeout(END, writing).await;
    Ok(ExitCode::SUCCESS)
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bridge {
    async fn say(&self, message: &Value) {
        let _ = self.out.send(message.to_string()).await;
    }

    /// Pass a message on. What begins or ends something keeps its place; other requests go side by side.
    async fn take(self: Arc<Self>, message: Value, tasks: &TaskTracker) {
        let method = message.get("method").and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = message.get("id").filter(|id| !id.is_null()).cloned();
        match (method.as_str(), id) {
            ("initialize", id) => self.pass(message, id, "initialize").await,
            ("notifications/cancelled", None) if locked(&self.session).is_none() => {
                // Without a session, breaking off is how a request is cancelled.
                let about = message.pointer("/params/requestId").map(Value::to_string).unwrap_or_default();
                if let Some(task) = locked(&self.open).remove(&about) {
                    task.abort();
                }
            }
            ("notifications/initialized", None) => {
                Arc::clone(&self).pass(message, None, &method).await;
                let listening = Arc::clone(&self);
                tokio::spawn(async move { listening.listen().await });
            }
            (_, Some(id)) if !method.is_empty() => {
                let key = id.to_string();
                let (own, key_again) = (Arc::clone(&self), key.clone());
                let task = tasks.spawn(async move {
                    Arc::clone(&own).pass(message, Some(id), &method).await;
                    locked(&own.open).remove(&key_again);
                });
                if !task.is_finished() {
                    locked(&self.open).insert(key, task.abort_handle());
                }
            }
            (_, id) => self.pass(message, id, &method).await,
        }
    }

    fn request(
        &self,
        http_method: http::Method,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> anyhow::Result<HttpRequest> {
        let mut map = http::HeaderMap::new();
        let mut put = |name: &str, value: &str| -> anyhow::Result<()> {
            map.insert(http::HeaderName::from_bytes(name.as_bytes())?, http::HeaderValue::from_str(value)?);
            Ok(())
        };
        put("accept", "application/json, text/event-stream")?;
        put("content-type", "application/json")?;
        put("user-agent", concat!("fumehood-stdio/", env!("CARGO_PKG_VERSION")))?;
        if let Some((session, version)) = locked(&self.session).as_ref() {
            put("mcp-session-id", session)?;
            put("mcp-protocol-version", version)?;
        }
        for (name, value) in headers {
            put(name, value)?;
        }
        let mut bearer = http::HeaderValue::from_str(&format!("Bearer {}", self.token.expose_secret()))?;
        bearer.set_sensitive(true);
        map.insert(http::header::AUTHORIZATION, bearer);
        Ok(HttpRequest {
            method: http_method,
            url: self.url.clone(),
            headers: map,
            body: body.into(),
            first_byte: FIRST_BYTE,
            idle: None,
            // The address was named by whoever started this.
            vet: Arc::new(|_| Ok(())),
            max_response_bytes: u64::MAX,
        })
    }

    /// Pass a message on, and its answers back; a stream that ends before the answer is taken up again.
    async fn pass(self: Arc<Self>, message: Value, id: Option<Value>, method: &str) {
        let answered = async {
            let mut heard = self.relay(self.post(&message, method).await?, method, id.as_ref()).await?;
            for _ in 0..RESUMES {
                if heard.answered || id.is_none() {
                    return Ok(());
                }
                let Some(event) = &heard.last else { break };
                tokio::time::sleep(RESUME).await;
                heard = self.relay(self.resume(event).await?, method, id.as_ref()).await?;
            }
            if heard.answered || id.is_none() { Ok(()) } else { bail!("the connection ended before the answer came") }
        };
        if let (Err(error), Some(id)) = (answered.await, &id) {
            let error = json!({"code": NO_ANSWER, "message": format!("Fumehood: {error:#}")});
            self.say(&json!({"jsonrpc": "2.0", "id": id, "error": error})).await;
        }
    }

    /// Go on with a stream after an event.
    async fn resume(&self, event: &str) -> anyhow::Result<HttpResponse> {
        let request = self.request(http::Method::GET, &[("last-event-id".to_owned(), event.to_owned())], Vec::new())?;
        Ok(self.egress.send(request, CancellationToken::new()).await?)
    }

    async fn post(&self, message: &Value, method: &str) -> anyhow::Result<HttpResponse> {
        let params = message.get("params").and_then(Value::as_object).cloned().unwrap_or_default();
        let headers = if locked(&self.session).is_none() && method != "initialize" {
            self.headers(method, &params)
        } else {
            Vec::new()
        };
        let request = self.request(http::Method::POST, &headers, message.to_string().into_bytes())?;
        let sent = self.egress.send(request, CancellationToken::new()).await;
        sent.with_context(|| format!("it cannot be reached at {}", self.url.origin().ascii_serialization()))
    }

    /// What the newer era says in headers.
    fn headers(&self, method: &str, params: &Map<String, Value>) -> Vec<(String, String)> {
        let version =
            params.get("_meta").and_then(|meta| meta.get(VERSION_KEY)).and_then(Value::as_str).unwrap_or(MODERN);
        let tool = params.get("name").and_then(Value::as_str).filter(|_| method == "tools/call").unwrap_or_default();
        let schema = locked(&self.schemas).get(tool).cloned();
        request_headers(version, method, params, schema.as_ref())
    }

    /// Hand on what an answer holds; whether the answer to `id` was in it, and the last event of a stream.
    async fn relay(&self, mut response: HttpResponse, method: &str, id: Option<&Value>) -> anyhow::Result<Heard> {
        let header = |name: &str| {
            let found = response.headers().iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone())
        };
        let kind = header("content-type").unwrap_or_default();
        let (status, session) = (response.status(), header("mcp-session-id"));
        if kind.starts_with("text/event-stream") {
            let (mut events, mut answered) = (Events::default(), false);
            // One that breaks off is taken up again like one that ends.
            while let Ok(Some(chunk)) = response.next_chunk().await {
                for data in events.feed(&chunk)? {
                    answered |= self.hand_on(&data, method, session.as_deref(), id).await;
                }
            }
            return Ok(Heard { answered, last: events.last });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.next_chunk().await? {
            body.extend_from_slice(&chunk);
        }
        if status == 202 && body.is_empty() {
            return Ok(Heard { answered: id.is_none(), last: None });
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        let said: Option<Value> = serde_json::from_str(&text).ok();
        let is_message = said.as_ref().is_some_and(|value| value.get("jsonrpc").is_some() && value.get("id") == id);
        if !is_message {
            let said = said.and_then(|said| {
                let detail = said.get("detail").or(said.pointer("/error/message"))?;
                detail.as_str().map(str::to_owned)
            });
            bail!(
                "{} (HTTP {status})",
                said.unwrap_or_else(|| "it answered with something else than a message".into())
            );
        }
        self.hand_on(&text, method, session.as_deref(), id).await;
        Ok(Heard { answered: true, last: None })
    }

    /// Write a message, and remember of it what later requests need.
    /// `true` for the answer to `id`.
    async fn hand_on(&self, text: &str, method: &str, session: Option<&str>, id: Option<&Value>) -> bool {
        let Ok(message) = serde_json::from_str::<Value>(text) else { return false };
        if let (Some(session), Some(version)) =
            (session, message.pointer("/result/protocolVersion").and_then(Value::as_str))
        {
            *locked(&self.session) = Some((session.to_owned(), version.to_owned()));
        }
        if method == "tools/list" {
            let tools = message.pointer("/result/tools").and_then(Value::as_array);
            let mut schemas = locked(&self.schemas);
            for tool in tools.into_iter().flatten() {
                if let (Some(name), Some(schema)) = (tool.get("name").and_then(Value::as_str), tool.get("inputSchema"))
                {
                    schemas.insert(name.to_owned(), schema.clone());
                }
            }
        }
        let answers = id.is_some() && message.get("id") == id && message.get("method").is_none();
        // On one line, whatever it looked like.
        self.say(&message).await;
        answers
    }

    /// What the session says outside any request, for as long as there is one.
    async fn listen(&self) {
        let mut last = None;
        loop {
            let after: Vec<(String, String)> =
                last.iter().map(|event: &String| ("last-event-id".into(), event.clone())).collect();
            let Ok(request) = self.request(http::Method::GET, &after, Vec::new()) else { return };
            match self.egress.send(request, CancellationToken::new()).await {
                Ok(response) if response.status() == 200 => {
                    if let Ok(heard) = self.relay(response, "", None).await {
                        last = heard.last.or(last);
                    }
                }
                // The session is over, or there is no such stream.
                Ok(_) => return,
                Err(_) => {}
            }
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }

    /// End the session, if there is one.
    async fn leave(&self) {
        if locked(&self.session).is_none() {
            return;
        }
        if let Ok(request) = self.request(http::Method::DELETE, &[], Vec::new()) {
            let _ = tokio::time::timeout(END, self.egress.send(request, CancellationToken::new())).await;
        }
    }
}

/// What an answer held.
struct Heard {
    /// The answer itself.
    answered: bool,
    /// The last event of a stream, to go on after.
    last: Option<String>,
}

/// Takes the data out of a stream of events.
#[derive(Default)]
struct Events {
    rest: Vec<u8>,
    data: String,
    last: Option<String>,
}

impl Events {
    /// The data of the events that are whole now.
    fn feed(&mut self, bytes: &[u8]) -> anyhow::Result<Vec<String>> {
        self.rest.extend_from_slice(bytes);
        let mut whole = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            if let Some(data) = line.strip_prefix("data:") {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
            } else if let Some(id) = line.strip_prefix("id:") {
                self.last = Some(id.trim().to_owned());
            } else if line.is_empty() && !self.data.is_empty() {
                whole.push(std::mem::take(&mut self.data));
            }
        }
        if self.rest.len() + self.data.len() > 8 * MESSAGE {
            bail!("an event without end");
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_put_together_however_they_were_cut() {
        let stream =
            "id: 1\nretry: 500\ndata: \n\ndata: {\"a\":\r\ndata: 1}\r\n\r\n: still there\n\ndata:{\"b\":2}\n\n";
        for size in [1, 2, 7, 500] {
            let mut events = Events::default();
            let found: Vec<String> =
                stream.as_bytes().chunks(size).flat_map(|part| events.feed(part).unwrap()).collect();
            assert_eq!(found, ["{\"a\":\n1}", "{\"b\":2}"], "in parts of {size}");
            assert_eq!(events.last.as_deref(), Some("1"));
        }
        assert!(Events::default().feed(&vec![b'x'; 9 * MESSAGE]).is_err());
    }
}
