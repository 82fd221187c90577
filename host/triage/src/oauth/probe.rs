//! What a server says to somebody without a token: who gives tokens, and which scopes it wants.
//!
//! Invariant: it is greeted and asked what it offers, no more; a session that it begins is ended.

use fumehood_mcp::gateway::{CAPABILITIES_KEY, CLIENT_KEY, LEGACY, MODERN, VERSION_KEY, request_headers};
use fumehood_oauth::{Challenge, Http, HttpError};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};
use url::Url;

const SESSION: &str = "mcp-session-id";

/// One server, and the session that it gave.
pub(super) struct Probe<'a> {
    http: &'a dyn Http,
    url: &'a Url,
    session: Option<HeaderValue>,
}

impl<'a> Probe<'a> {
    pub(super) const fn new(http: &'a dyn Http, url: &'a Url) -> Self {
        Self { http, url, session: None }
    }

    /// The challenge, where there is one.
    ///
    /// # Errors
    /// Where the server cannot be reached.
    pub(super) async fn challenge(mut self) -> Result<Option<Challenge>, HttpError> {
        let version = LEGACY.first().copied().unwrap_or_default();
        let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": us()});
        let greeted = self.say(1, "initialize", &params, &[]).await?;
        let said = challenge_in(&greeted);
        if said.is_some() || greeted.status() == StatusCode::UNAUTHORIZED {
            return Ok(said);
        }
        self.session = greeted.headers().get(SESSION).filter(|_| greeted.status().is_success()).cloned();
        // Many let everybody in, and want a token where there is something to be had. That nothing comes of asking is no
        // reason not to sign in.
        let said = match greeted.status().is_success() {
            true => self.in_session().await,
            false => self.without_session().await,
        };
        Ok(said.unwrap_or_else(|error| {
            tracing::debug!(%error, "a server greeted us, and did not say what it offers");
            None
        }))
    }

    /// The older era. Without the header for its version, which is optional, whatever was agreed on is meant.
    async fn in_session(&self) -> Result<Option<Challenge>, HttpError> {
        let ready = self.say(0, "notifications/initialized", &json!({}), &[]).await?;
        let said = match challenge_in(&ready) {
            None => self.say(2, "tools/list", &json!({}), &[]).await.map(|answer| challenge_in(&answer)),
            said => Ok(said),
        };
        if self.session.is_some() {
            // Nobody has to know how to end one.
            drop(self.send(Method::DELETE, None, &[]).await);
        }
        said
    }

    /// The newer era.
    async fn without_session(&self) -> Result<Option<Challenge>, HttpError> {
        let params = json!({"_meta": {VERSION_KEY: MODERN, CAPABILITIES_KEY: {}, CLIENT_KEY: us()}});
        let headers = params.as_object().map(|params| request_headers(MODERN, "tools/list", params, None));
        let answer = self.say(2, "tools/list", &params, &headers.unwrap_or_default()).await?;
        Ok(challenge_in(&answer))
    }

    /// Send a request, or a notification where its id is 0.
    async fn say(
        &self,
        id: u8,
        method: &str,
        params: &Value,
        headers: &[(String, String)],
    ) -> Result<Response<Vec<u8>>, HttpError> {
        let mut message = json!({"jsonrpc": "2.0", "method": method, "params": params});
        if let (Value::Object(fields), 1..) = (&mut message, id) {
            fields.insert("id".into(), id.into());
        }
        self.send(Method::POST, Some(&message), headers).await
    }

    async fn send(
        &self,
        method: Method,
        message: Option<&Value>,
        headers: &[(String, String)],
    ) -> Result<Response<Vec<u8>>, HttpError> {
        let mut request = Request::builder().method(method).uri(self.url.as_str());
        if message.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
            request = request.header(header::ACCEPT, "application/json, text/event-stream");
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(session) = &self.session {
            request = request.header(SESSION, session);
        }
        let body = message.map(|message| message.to_string().into_bytes());
        let request = request.body(body.unwrap_or_default());
        let request = request.map_err(|error| HttpError { message: error.to_string(), sent: false })?;
        self.http.send(request).await
    }
}

/// Who asks.
fn us() -> Value {
    json!({"name": "fumehood", "version": env!("CARGO_PKG_VERSION")})
}

fn challenge_in(answer: &Response<Vec<u8>>) -> Option<Challenge> {
    let said = answer.headers().get_all(header::WWW_AUTHENTICATE);
    Challenge::parse(said.iter().filter_map(|value| value.to_str().ok()))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const WANTED: &str = r#"Bearer scope="files:read", resource_metadata="https://h.example/m""#;

    /// Answers `greeted` to `initialize`, and wants a token of whoever asks for tools if it is `guarded`.
    struct Server {
        greeted: u16,
        guarded: bool,
        asked: Mutex<Vec<String>>,
    }

    #[async_trait::async_trait]
    impl Http for Server {
        async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError> {
            let message: Value = serde_json::from_slice(request.body()).unwrap_or_default();
            let method = message["method"].as_str().unwrap_or(request.method().as_str()).to_owned();
            let header = |name: &str| request.headers().get(name).map_or("", |value| value.to_str().unwrap());
            let said = format!("{method} {}{}", header(SESSION), header("mcp-protocol-version"));
            self.asked.lock().unwrap().push(said.trim().to_owned());
            let answer = Response::builder();
            let answer = match method.as_str() {
                "initialize" if self.greeted == 401 => answer.status(401).header("www-authenticate", WANTED),
                "initialize" => answer.status(self.greeted).header(SESSION, "s1"),
                "tools/list" if self.guarded => answer.status(401).header("www-authenticate", WANTED),
                _ => answer.status(202),
            };
            Ok(answer.body(Vec::new()).unwrap())
        }
    }

    #[tokio::test]
    async fn a_server_is_asked_until_it_wants_a_token() {
        let old = ["initialize", "notifications/initialized s1", "tools/list s1", "DELETE s1"];
        for (greeted, guarded, asked) in [
            (401, false, &old[..1]),
            (200, true, &old[..]),
            (200, false, &old[..]),
            (400, true, &["initialize", "tools/list 2026-07-28"][..]),
        ] {
            let server = Server { greeted, guarded, asked: Mutex::default() };
            let url = "https://h.example/mcp".parse().unwrap();
            let said = Probe::new(&server, &url).challenge().await.unwrap();
            let scopes = said.map(|said| said.scopes.to_string());
            assert_eq!(scopes.as_deref(), (guarded || greeted == 401).then_some("files:read"));
            assert_eq!(*server.asked.lock().unwrap(), asked);
        }
    }
}
