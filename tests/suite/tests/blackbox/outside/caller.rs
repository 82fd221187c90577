//! A client of the gateway, and what the record says of its calls.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};

use fumehood_tests::machine::wait_for;
use fumehood_tests::{Answer, Data, Server};
use serde_json::{Value, json};

use super::SETTLE;

/// The versions of the two eras.
pub(super) const ERAS: [&str; 2] = ["2025-11-25", "2026-07-28"];

/// A client of the gateway that speaks one era.
pub(super) struct Caller {
    agent: ureq::Agent,
    url: String,
    pub(super) token: String,
    modern: bool,
    pub(super) session: String,
}

impl Caller {
    pub(super) fn new(server: &Server, path: &str, token: &str, modern: bool) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let url = format!("{}{path}", server.url());
        let mut caller = Self { agent, url, token: token.to_owned(), modern, session: String::new() };
        if !modern {
            let params = json!({"protocolVersion": ERAS[0], "capabilities": {}, "clientInfo": {"name": "suite", "version": "7"}});
            let answer = caller.send("initialize", &params).expect(200);
            caller.session = answer.header("mcp-session-id").to_owned();
            assert!(!caller.session.is_empty(), "{}", answer.text());
        }
        caller
    }

    /// Ask under an id; the body is still to be read.
    fn begin(&self, id: u64, method: &str, params: &Value) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let (headers, body) = self.request(id, method, params);
        let request = self.agent.post(&self.url);
        headers.iter().fold(request, |request, (name, value)| request.header(*name, value)).send(body)
    }

    /// What comes on a stream, message by message, for as long as the receiver is held: of a request, or, without one, of
    /// the session.
    pub(super) fn stream(&self, of: Option<(u64, &str, &Value)>) -> std::sync::mpsc::Receiver<Value> {
        let answer = match of {
            Some((id, method, params)) => self.begin(id, method, params),
            None => {
                let request = self.agent.get(&self.url).header("authorization", format!("Bearer {}", self.token));
                let request = request.header("accept", "text/event-stream").header("mcp-protocol-version", ERAS[0]);
                request.header("mcp-session-id", &self.session).call()
            }
        };
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 200);
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(answer.into_body().into_reader()).lines() {
                let Ok(line) = line else { return };
                let said = line.strip_prefix("data:").and_then(|data| serde_json::from_str(data.trim()).ok());
                // Whoever has heard enough hangs up: the connection ends with this thread, at the latest at a comment.
                if said.is_some_and(|said: Value| send.send(said).is_err()) {
                    return;
                }
            }
        });
        receive
    }

    /// Call a tool, and hang up before the answer has come.
    pub(super) fn hang_up(&self, name: &str, arguments: &Value, after: std::time::Duration) {
        self.hang_up_on("tools/call", &json!({"name": name, "arguments": arguments}), after);
    }

    /// Ask, and hang up after a while, whatever has come by then.
    pub(super) fn hang_up_on(&self, method: &str, params: &Value, after: std::time::Duration) {
        let (headers, body) = self.request(1, method, params);
        let (address, path) = self.url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let mut request = format!("POST /{path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| request += &format!("{name}: {value}\r\n"));
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(format!("{request}\r\n{body}").as_bytes()).unwrap();
        stream.set_read_timeout(Some(after)).unwrap();
        let (began, mut piece) = (std::time::Instant::now(), [0; 4096]);
        while began.elapsed() < after && stream.read(&mut piece).is_ok_and(|read| read > 0) {}
    }

    /// Headers and body of a request.
    fn request(&self, id: u64, method: &str, params: &Value) -> (Vec<(&'static str, String)>, String) {
        let mut params = params.clone();
        let version = if self.modern { ERAS[1] } else { ERAS[0] };
        let mut headers = vec![
            ("authorization", format!("Bearer {}", self.token)),
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json, text/event-stream".to_owned()),
        ];
        if method != "initialize" {
            headers.push(("mcp-protocol-version", version.to_owned()));
        }
        if self.modern {
            params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": version,
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": {"name": "suite", "version": "7"}});
            headers.push(("mcp-method", method.to_owned()));
            if let Some(name) = params["name"].as_str().or(params["uri"].as_str()) {
                headers.push(("mcp-name", name.to_owned()));
            }
        } else if !self.session.is_empty() {
            headers.push(("mcp-session-id", self.session.clone()));
        }
        let mut body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        if method.starts_with("notifications/") {
            body.as_object_mut().unwrap().remove("id");
        }
        (headers, body.to_string())
    }

    pub(super) fn send(&self, method: &str, params: &Value) -> Answer {
        let mut answer = self.begin(1, method, params).unwrap();
        let headers = answer.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()));
        Answer {
            status: answer.status().as_u16(),
            headers: headers.collect(),
            body: answer.body_mut().read_to_vec().unwrap(),
        }
    }

    /// The answer, which a slow machine gets as a stream; what else comes on it is passed over.
    pub(super) fn ask(&self, method: &str, params: &Value) -> Value {
        self.ask_as(1, method, params)
    }

    pub(super) fn ask_as(&self, id: u64, method: &str, params: &Value) -> Value {
        self.try_ask(id, method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// The same where the server may go away before the answer has come.
    pub(super) fn try_ask(&self, id: u64, method: &str, params: &Value) -> std::io::Result<Value> {
        let mut answer = self.begin(id, method, params).map_err(ureq::Error::into_io)?;
        let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_stream = kind.starts_with("text/event-stream");
        let mut body = BufReader::new(answer.body_mut().with_config().limit(u64::MAX).reader());
        if !is_stream {
            let mut text = String::new();
            body.read_to_string(&mut text)?;
            return Ok(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}")));
        }
        for line in body.lines() {
            let line = line?;
            let Some(data) = line.strip_prefix("data:").map(str::trim).filter(|data| !data.is_empty()) else {
                continue;
            };
            let message: Value = serde_json::from_str(data).unwrap();
            if message["id"] == id && message["method"].is_null() {
                return Ok(message);
            }
        }
        Err(std::io::ErrorKind::UnexpectedEof.into())
    }

    /// End the session.
    pub(super) fn leave(&self) -> u16 {
        let request = self.agent.delete(&self.url).header("authorization", format!("Bearer {}", self.token));
        request.header("mcp-session-id", &self.session).call().unwrap().status().as_u16()
    }

    /// The tools of servers.
    pub(super) fn tools(&self) -> Vec<String> {
        let answer = self.ask("tools/list", &json!({}));
        let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
        let names = tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned());
        names.filter(|name| !name.starts_with("fumehood_")).collect()
    }

    pub(super) fn call(&self, name: &str, arguments: &Value) -> Value {
        self.ask("tools/call", &json!({"name": name, "arguments": arguments}))
    }
}

/// What `fumehood mcp …` prints as JSON, one object a line.
pub(super) fn record(data: &Data, arguments: &[&str]) -> Vec<Value> {
    let output = data.run(&[&["mcp"], arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    match serde_json::from_str::<Value>(&text) {
        Ok(Value::Array(rows)) => rows,
        _ => text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
    }
}

/// The rows of a method, once they have all ended.
pub(super) fn ended(data: &Data, method: &str, count: usize) -> Vec<Value> {
    wait_for("the record", SETTLE, || {
        let rows = record(data, &["logs", "--method", method, "-n", "1000"]);
        (rows.len() == count && rows.iter().all(|row| row["status"] != "open")).then_some(rows)
    })
}
