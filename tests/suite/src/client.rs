//! A client of the JSON API, and one that sends what no client should.

use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// How long an answer may take; uploads that are scanned included.
const ANSWER: Duration = Duration::from_secs(900);

/// Talks to one server with one token.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
    token: Option<String>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value, empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// Demand a status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// Demand a success.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!((200..300).contains(&self.status), "{}: {}", self.status, self.text());
        self
    }

    /// Demand problem details (RFC 9457) with a status, and give them.
    #[track_caller]
    pub fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text());
        let problem = self.json();
        assert_eq!(problem["status"], status, "{problem}");
        for field in ["type", "title"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field} is missing: {problem}");
        }
        problem
    }
}

impl Client {
    /// For a server at `base`.
    pub fn new(base: &str, token: Option<&str>) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(ANSWER))
            .build()
            .new_agent();
        Self { agent, base: base.to_owned(), token: token.map(str::to_owned) }
    }

    /// Send a request; the error is the connection's.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl ureq::AsSendBody,
    ) -> Result<Answer, ureq::Error> {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.agent.run(request.body(body).unwrap())?;
        let (parts, mut body) = response.into_parts();
        let mut bytes = Vec::new();
        body.as_reader().read_to_end(&mut bytes)?;
        let headers = parts.headers.iter();
        let headers =
            headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        Ok(Answer { status: parts.status.as_u16(), headers: headers.collect(), body: bytes })
    }

    /// Send a request without a body.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.try_send("GET", path, &[], ()).unwrap()
    }

    /// Send JSON, or nothing where it is null.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let sent = match body {
            Value::Null => self.try_send(method, path, &[], ()),
            _ => self.try_send(method, path, &[("content-type", "application/json")], body.to_string().as_str()),
        };
        sent.unwrap()
    }

    /// Create an incident; its id.
    #[track_caller]
    pub fn incident(&self, title: &str) -> String {
        let answer = self.send("POST", "/api/v1/incidents", &incident(title)).expect(201);
        answer.json()["id"].as_str().unwrap_or_else(|| panic!("no id: {}", answer.text())).to_owned()
    }

    /// Upload a log as raw bytes.
    pub fn upload(&self, incident: &str, name: &str, body: &[u8]) -> Answer {
        self.upload_from(incident, name, body).unwrap()
    }

    /// Upload a log from a stream, chunked.
    pub fn upload_from(&self, incident: &str, name: &str, mut body: impl Read) -> Result<Answer, ureq::Error> {
        let path = format!("/api/v1/incidents/{incident}/logs?name={name}");
        let headers = [("content-type", "application/octet-stream")];
        self.try_send("POST", &path, &headers, ureq::SendBody::from_reader(&mut body))
    }
}

/// An incident's JSON.
pub fn incident(title: &str) -> Value {
    serde_json::json!({
        "title": title, "description": "It broke.", "severity": "high", "status": "open",
        "category": "database", "tags": ["pool", "night"],
    })
}

/// Send bytes as they are and read until the end or the limit: for requests that no client library would make.
pub fn raw(address: &str, bytes: &[u8], limit: Duration) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(limit)).unwrap();
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(read) = stream.read(&mut piece) {
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&piece[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}
