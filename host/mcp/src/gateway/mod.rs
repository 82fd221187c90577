//! The gateway's front: the protocol as other people's clients speak it, in both eras, over streamable HTTP.
//!
//! What is answered is for the [`Backend`] to know. Here stand sessions and streams, what the headers have to say, and
//! how a message reaches the client that it is for. Messages stay raw, so that what is not known here passes unharmed.

mod headers;
pub mod rpc;
mod session;
mod stream;

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

pub use self::headers::{
    CAPABILITIES_KEY, CLIENT_KEY, LEGACY, LOG_KEY, MODERN, VERSION_KEY, of_request as request_headers,
};
pub use self::rpc::RpcError;
use self::rpc::{INVALID_REQUEST, Message};
use self::session::{Session, Sessions};
pub use self::stream::EventReader;
use self::stream::First;

/// How long an answer may take until the client is told, by a stream that is open, that it is on its way.
const SOON: Duration = Duration::from_secs(5);
/// How long a client may take to answer a question: a person may have to think.
const QUESTION: Duration = Duration::from_secs(300);

/// Who speaks, and what they said of themselves.
#[derive(Clone, Debug)]
pub struct Client<C> {
    pub caller: C,
    /// The one server that is spoken to under its own names; nothing for all of them.
    pub server: Option<String>,
    /// Of the older era.
    pub session: Option<String>,
    /// The version of the protocol.
    pub version: String,
    /// `clientInfo`.
    pub info: Value,
    pub capabilities: Value,
    pub user_agent: String,
}

impl<C> Client<C> {
    /// Whether it speaks the newer era.
    pub fn is_modern(&self) -> bool {
        self.session.is_none()
    }

    /// Whether its version of the protocol lets it go and come back for an answer.
    pub fn can_come_back(&self) -> bool {
        self.session.is_some() && self.version.as_str() >= LEGACY[0]
    }

    /// A field of what it says of itself, at most 128 characters of it.
    pub fn named(&self, field: &str) -> String {
        self.info.get(field).and_then(Value::as_str).unwrap_or_default().chars().take(128).collect()
    }
}

/// A request to be answered.
pub struct Request<C> {
    /// The client's own id for it.
    pub id: Value,
    pub client: Arc<Client<C>>,
    pub method: String,
    pub params: Map<String, Value>,
    pub link: Link<C>,
    /// Cancelled when the client waits no longer.
    pub cancel: CancellationToken,
    pub began: Instant,
    pub bytes: usize,
    /// The headers that say which trace it is part of, where it has any.
    pub trace: HeaderMap,
}

/// Headers that carry the context of a trace (W3C).
const TRACE: [&str; 3] = ["traceparent", "tracestate", "baggage"];

fn trace_of(headers: &HeaderMap) -> HeaderMap {
    let mut trace = HeaderMap::new();
    for name in TRACE {
        for value in headers.get_all(name) {
            trace.append(name, value.clone());
        }
    }
    trace
}

/// What the gateway answers with.
#[async_trait::async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Who calls; two are the same where they are equal.
    type Caller: Clone + PartialEq + Send + Sync + 'static;
    /// Answer a request: the result as JSON.
    async fn answer(&self, request: Request<Self::Caller>) -> Result<String, RpcError>;
    /// A client said something that needs no answer.
    async fn notice(&self, client: Arc<Client<Self::Caller>>, method: String, params: Value);
    /// The schema of a tool's arguments, as the client was told it.
    async fn schema(&self, client: &Client<Self::Caller>, tool: &str) -> Option<Value>;
    /// A request that was refused before it could be asked, for the record.
    async fn refused(
        &self,
        client: Client<Self::Caller>,
        method: String,
        error: RpcError,
        bytes: usize,
        began: Instant,
    );
    /// A session is over; what was opened for it can be closed.
    async fn ended(&self, client: Arc<Client<Self::Caller>>);
}

/// What is sent back over HTTP.
pub struct Reply {
    pub status: u16,
    pub session: Option<String>,
    pub body: Body,
}

pub enum Body {
    Empty,
    Json(String),
    Events(EventReader),
}

impl Reply {
    fn empty(status: u16) -> Self {
        Self { status, session: None, body: Body::Empty }
    }

    fn error(status: u16, id: &Value, error: RpcError) -> Self {
        Self { status, session: None, body: Body::Json(rpc::answer(id, &Err(error))) }
    }
}

/// The way to a client while its request is being answered.
pub struct Link<C> {
    stream: Arc<stream::Stream>,
    session: Option<Arc<Session<C>>>,
    cancel: CancellationToken,
}

impl<C> Clone for Link<C> {
    fn clone(&self) -> Self {
        Self { stream: Arc::clone(&self.stream), session: self.session.clone(), cancel: self.cancel.clone() }
    }
}

impl<C> Link<C> {
    /// Tell the client something on the way to the answer.
    pub fn notify(&self, method: &str, params: &Value) {
        self.stream.push(rpc::notification(method, params), true);
    }

    /// Tell the session something outside any request.
    pub fn aside(&self, method: &str, params: &Value) {
        if let Some(session) = &self.session {
            session.own.push(rpc::notification(method, params), true);
        }
    }

    /// Ask the client something: only one of the older era can be asked, and answers by itself.
    ///
    /// # Errors
    /// The client's error, or ours where it cannot be asked or does not answer.
    pub async fn ask(&self, method: &str, params: &Value) -> Result<Value, Value> {
        self.ask_on(&self.stream, method, params).await
    }

    /// Ask the client something outside any request.
    ///
    /// # Errors
    /// As [`Link::ask`].
    pub async fn ask_aside(&self, method: &str, params: &Value) -> Result<Value, Value> {
        match &self.session {
            Some(session) => {
                let outside = Self { cancel: session.ended.clone(), ..self.clone() };
                outside.ask_on(&session.own, method, params).await
            }
            None => self.ask(method, params).await,
        }
    }

    async fn ask_on(&self, stream: &stream::Stream, method: &str, params: &Value) -> Result<Value, Value> {
        let Some(session) = &self.session else {
            return Err(RpcError::new(rpc::METHOD_NOT_FOUND, "this client cannot be asked").to_value());
        };
        let (id, answer) = session.ask();
        stream.push(rpc::request(&id.into(), method, params), false);
        let answer = tokio::select! {
            answer = answer => answer.ok(),
            () = tokio::time::sleep(QUESTION) => None,
            () = self.cancel.cancelled() => None,
            () = session.ended.cancelled() => None,
        };
        session.forget(id);
        answer.unwrap_or_else(|| Err(RpcError::new(rpc::INTERNAL, "the client did not answer").to_value()))
    }

    /// Let the client go and come back for the answer, as its version of the protocol allows.
    pub fn let_go(&self) {
        if self.session.as_ref().is_some_and(|session| session.client.can_come_back()) {
            self.stream.send_away();
        }
    }
}

/// The gateway; cheap to clone.
pub struct Gateway<B: Backend> {
    inner: Arc<Inner<B>>,
}

struct Inner<B: Backend> {
    backend: B,
    sessions: Sessions<B::Caller>,
}

impl<B: Backend> Clone for Gateway<B> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

/// What a client sent, and by whom.
pub struct Incoming<'a, C> {
    pub caller: C,
    pub server: Option<String>,
    pub headers: &'a HeaderMap,
}

impl<B: Backend> Gateway<B> {
    pub fn new(backend: B) -> Self {
        Self { inner: Arc::new(Inner { backend, sessions: Sessions::default() }) }
    }

    pub fn backend(&self) -> &B {
        &self.inner.backend
    }

    /// Sessions that are open.
    pub fn sessions(&self) -> usize {
        self.inner.sessions.len()
    }

    /// Take a message.
    pub async fn post(&self, from: Incoming<'_, B::Caller>, body: &[u8]) -> Reply {
        let began = Instant::now();
        let headers = from.headers;
        let wrong_kind = headers::header(headers, "content-type").is_none_or(|kind| {
            !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
        });
        if wrong_kind {
            let what = "send application/json";
            return Reply::error(415, &Value::Null, RpcError::new(INVALID_REQUEST, what));
        }
        if !accepts(headers, "application/json") || !accepts(headers, "text/event-stream") {
            let what = "accept both application/json and text/event-stream";
            return Reply::error(406, &Value::Null, RpcError::new(INVALID_REQUEST, what));
        }
        match rpc::read(body) {
            Err((id, error)) => Reply::error(400, &id, error),
            Ok(Message::Request { id, method, params }) => {
                if headers::is_modern(headers, &method, &params) && headers::header(headers, "mcp-session-id").is_none()
                {
                    self.modern(from, id, method, params, began, body.len()).await
                } else {
                    self.legacy(from, id, method, params, began, body.len()).await
                }
            }
            Ok(Message::Notification { method, params }) => self.notified(from, method, params).await,
            Ok(Message::Response { id, answer }) => match self.session(&from) {
                Ok(session) if session.answered(&id, answer) => Reply::empty(202),
                Ok(_) => Reply::error(400, &id, RpcError::new(INVALID_REQUEST, "nothing was asked under this id")),
                Err(refused) => refused,
            },
        }
    }

    /// Open the stream of what a session says of its own accord, or go on with one that was cut off.
    pub fn get(&self, from: &Incoming<'_, B::Caller>) -> Reply {
        if !accepts(from.headers, "text/event-stream") {
            return Reply::error(406, &Value::Null, RpcError::new(INVALID_REQUEST, "accept text/event-stream"));
        }
        let session = match self.session(from) {
            Ok(session) => session,
            // The newer era knows no such stream.
            Err(refused) if refused.status == 400 => return Reply::empty(405),
            Err(refused) => return refused,
        };
        let reader = match headers::header(from.headers, "last-event-id") {
            None => session.own.read(0, None),
            Some(event) => match session.resume(event) {
                Some((stream, from)) => stream.read(from, None),
                None => {
                    let what = "this event is not kept any longer; ask again";
                    return Reply::error(400, &Value::Null, RpcError::new(INVALID_REQUEST, what));
                }
            },
        };
        Reply { status: 200, session: Some(session.id.clone()), body: Body::Events(reader) }
    }

    /// End a session.
    pub async fn delete(&self, from: &Incoming<'_, B::Caller>) -> Reply {
        let Some(id) = headers::header(from.headers, "mcp-session-id") else { return Reply::empty(405) };
        match self.inner.sessions.end(id, &from.caller) {
            Some(session) => {
                self.end(session).await;
                Reply::empty(204)
            }
            None => no_session(),
        }
    }

    async fn end(&self, session: Arc<Session<B::Caller>>) {
        session.ended.cancel();
        session.own.finish(rpc::notification("notifications/cancelled", &json!({"reason": "the session is over"})));
        self.inner.backend.ended(Arc::clone(&session.client)).await;
    }

    fn session(&self, from: &Incoming<'_, B::Caller>) -> Result<Arc<Session<B::Caller>>, Reply> {
        let Some(id) = headers::header(from.headers, "mcp-session-id") else {
            let what = "send Mcp-Session-Id, which the answer to initialize brought, or speak 2026-07-28";
            return Err(Reply::error(400, &Value::Null, RpcError::new(INVALID_REQUEST, what)));
        };
        let version = headers::header(from.headers, "mcp-protocol-version");
        if version.is_some_and(|version| !LEGACY.contains(&version)) {
            let what = "this version of the protocol has no sessions";
            return Err(Reply::error(400, &Value::Null, RpcError::new(INVALID_REQUEST, what)));
        }
        let session = self.inner.sessions.get(id, &from.caller);
        session.filter(|session| session.client.server == from.server).ok_or_else(no_session)
    }

    async fn notified(&self, from: Incoming<'_, B::Caller>, method: String, params: Value) -> Reply {
        if headers::header(from.headers, "mcp-session-id").is_none() {
            // Without a session there is nothing that it could be about: cancelling is ending the stream.
            return Reply::empty(202);
        }
        let session = match self.session(&from) {
            Ok(session) => session,
            Err(refused) => return refused,
        };
        if method == "notifications/cancelled" {
            session.cancel(params.get("requestId").unwrap_or(&Value::Null));
        } else if method != "notifications/initialized" {
            self.inner.backend.notice(Arc::clone(&session.client), method, params).await;
        }
        Reply::empty(202)
    }

    async fn legacy(
        &self,
        from: Incoming<'_, B::Caller>,
        id: Value,
        method: String,
        params: Map<String, Value>,
        began: Instant,
        bytes: usize,
    ) -> Reply {
        let begins = method == "initialize";
        let headers = from.headers;
        let session = if begins {
            let (session, over) = self.inner.sessions.begin(introduced(from, &params));
            for session in over {
                self.end(session).await;
            }
            session
        } else {
            match self.session(&from) {
                Ok(session) => session,
                Err(mut refused) => {
                    if let Body::Json(text) = &mut refused.body {
                        *text = text.replacen("\"id\":null", &format!("\"id\":{id}"), 1);
                    }
                    return refused;
                }
            }
        };
        let cancel = session.ended.child_token();
        if !session.begin(&id, cancel.clone()) {
            return Reply::error(400, &id, RpcError::new(INVALID_REQUEST, "a request with this id is open"));
        }
        let stream = session.stream();
        let link = Link { stream: Arc::clone(&stream), session: Some(Arc::clone(&session)), cancel: cancel.clone() };
        let client = Arc::clone(&session.client);
        let own = id.clone();
        let trace = trace_of(headers);
        let request = Request { id: own, client, method, params, link, cancel: cancel.clone(), began, bytes, trace };
        let (gateway, owner, answers) = (self.clone(), Arc::clone(&session), Arc::clone(&stream));
        tokio::spawn(async move {
            let answer = gateway.inner.backend.answer(request).await;
            owner.finish(&id);
            // One that could not be begun is none.
            let none = begins && answer.is_err();
            let gone = none.then(|| gateway.inner.sessions.end(&owner.id, &owner.client.caller)).flatten();
            answers.finish(rpc::answer(&id, &answer));
            if let Some(gone) = gone {
                gateway.end(gone).await;
            }
        });
        let body = match tokio::time::timeout(SOON, stream.first()).await {
            Ok(First::Answer(answer)) if prefers_events(headers) => {
                Body::Events(stream::Stream::of(&answer).read(0, None))
            }
            Ok(First::Answer(answer)) => Body::Json(answer.to_string()),
            _ => Body::Events(stream.read(0, None)),
        };
        let begun = begins && self.inner.sessions.get(&session.id, &session.client.caller).is_some();
        Reply { status: 200, session: begun.then(|| session.id.clone()), body }
    }

    async fn modern(
        &self,
        from: Incoming<'_, B::Caller>,
        id: Value,
        method: String,
        params: Map<String, Value>,
        began: Instant,
        bytes: usize,
    ) -> Reply {
        let meta = |key: &str| params.get("_meta").and_then(|meta| meta.get(key)).cloned().unwrap_or_default();
        let client = Client {
            caller: from.caller,
            server: from.server,
            session: None,
            version: MODERN.into(),
            info: meta(CLIENT_KEY),
            capabilities: meta(CAPABILITIES_KEY),
            user_agent: headers::header(from.headers, "user-agent").unwrap_or_default().into(),
        };
        let checked = match headers::check(from.headers, &method, &params) {
            Ok(()) if method == "tools/call" => {
                let tool = params.get("name").and_then(Value::as_str).unwrap_or_default();
                match self.inner.backend.schema(&client, tool).await {
                    Some(schema) => headers::check_parameters(from.headers, &schema, &params),
                    None => Ok(()),
                }
            }
            checked => checked,
        };
        if let Err((status, error)) = checked {
            self.inner.backend.refused(client, method, error.clone(), bytes, began).await;
            return Reply::error(status, &id, error);
        }
        let cancel = CancellationToken::new();
        let stream = stream::Stream::passing();
        let link = Link { stream: Arc::clone(&stream), session: None, cancel: cancel.clone() };
        let (own, client) = (id.clone(), Arc::new(client));
        let trace = trace_of(from.headers);
        let request = Request { id: own, client, method, params, link, cancel: cancel.clone(), began, bytes, trace };
        // Ending the stream is how a client of this era cancels.
        let guard = stream::guard(&cancel);
        let (gateway, answers) = (self.clone(), Arc::clone(&stream));
        let code = Arc::new(std::sync::OnceLock::new());
        let said = Arc::clone(&code);
        tokio::spawn(async move {
            let answer = gateway.inner.backend.answer(request).await;
            if let Err(error) = &answer {
                let _ = said.set(error.code);
            }
            answers.finish(rpc::answer(&id, &answer));
        });
        match tokio::time::timeout(SOON, stream.first()).await {
            Ok(First::Answer(answer)) => {
                let status = code.get().map_or(200, |code| status_of(*code));
                if status == 200 && prefers_events(from.headers) {
                    let body = Body::Events(stream::Stream::of(&answer).read(0, None));
                    return Reply { status, session: None, body };
                }
                Reply { status, session: None, body: Body::Json(answer.to_string()) }
            }
            _ => Reply { status: 200, session: None, body: Body::Events(stream.read(0, Some(guard))) },
        }
    }
}

/// The HTTP status of an error of the newer era.
fn status_of(code: i64) -> u16 {
    match code {
        rpc::METHOD_NOT_FOUND => 404,
        rpc::HEADER_MISMATCH | rpc::MISSING_CAPABILITY | rpc::UNSUPPORTED_VERSION => 400,
        _ => 200,
    }
}

fn no_session() -> Reply {
    let what = "there is no such session; begin anew with initialize";
    Reply::error(404, &Value::Null, RpcError::new(INVALID_REQUEST, what))
}

/// What a client says of itself when it begins a session.
fn introduced<C>(from: Incoming<'_, C>, params: &Map<String, Value>) -> Client<C> {
    let asked = params.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
    Client {
        session: Some(uuid::Uuid::new_v4().simple().to_string()),
        version: headers::negotiated(asked).into(),
        info: params.get("clientInfo").cloned().unwrap_or_default(),
        capabilities: params.get("capabilities").cloned().unwrap_or_else(|| json!({})),
        user_agent: headers::header(from.headers, "user-agent").unwrap_or_default().into(),
        caller: from.caller,
        server: from.server,
    }
}

/// Whether a client names event streams before single answers.
fn prefers_events(headers: &HeaderMap) -> bool {
    let accepted = headers::header(headers, "accept").unwrap_or_default();
    match (accepted.find("text/event-stream"), accepted.find("application/json")) {
        (Some(events), Some(json)) => events < json,
        _ => false,
    }
}

/// Whether an answer of this kind is accepted.
fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let family = kind.split('/').next().unwrap_or_default();
    let fits = |entry: &str| {
        let mut parts = entry.split(';').map(str::trim);
        let named = parts.next().unwrap_or_default().to_lowercase();
        let refused = parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        !refused && (named == kind || named == "*/*" || named == format!("{family}/*"))
    };
    headers.get_all("accept").iter().filter_map(|value| value.to_str().ok()).any(|value| value.split(',').any(fits))
}
