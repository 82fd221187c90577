//! The way out. Every request of a plugin, and every request that a transport asks for, passes [`send`].
//!
//! Invariant, in this order for each effect: the call is not cancelled; headers and URL are well formed; the grant as
//! it stands *now* allows it; the credential is bound to the target; the intent is on disk; only then is a socket
//! opened, to an address that the grant covers. The outcome is recorded when the answer ends or is dropped.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fumehood_egress::{Egress, EgressError, HttpRequest, HttpResponse};
use fumehood_policy::{Denial, HttpRule, PluginGrant, check_headers, decide, decide_credential, vet};
use secrecy::{ExposeSecret as _, SecretString};
use tokio_util::sync::CancellationToken;

/// Why something was not done, in the contract's terms (`fumehood:types`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: String,
    pub message: String,
    pub retry_after_ms: Option<u64>,
    pub extensions: Vec<(String, String)>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.message)
    }
}

impl Failure {
    /// A failure with a code of the contract and a sentence.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), retry_after_ms: None, extensions: Vec::new() }
    }
}

impl From<Denial> for Failure {
    fn from(denial: Denial) -> Self {
        Self::new("denied", denial.to_string())
    }
}

impl From<EgressError> for Failure {
    fn from(error: EgressError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// A failure of the key-value store.
pub type KvError = Failure;

/// One line of a plugin's log: 0 error, 1 warning, 2 information, 3 debug or printed.
#[derive(Clone, Debug)]
pub struct LogLine {
    pub level: u8,
    pub text: String,
}

/// A request as a plugin writes it.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<Header>,
    pub body: Vec<u8>,
    /// Milliseconds to the first byte of the answer; 0 for the default.
    pub first_byte_ms: u32,
    /// Milliseconds of silence within the body: nothing for the default, 0 for no limit.
    pub idle_ms: Option<u32>,
}

/// A header; the value of a credential is filled in here, never shown to the plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub name: String,
    pub value: HeaderValue,
}

/// What a header carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderValue {
    Text(String),
    /// By handle.
    Credential(String),
}

/// A request that is about to leave, for the record.
#[derive(Debug)]
pub struct EffectRequest<'a> {
    /// Of HTTP, or [`SPAWN`].
    pub method: &'a str,
    /// A process: its path.
    pub url: &'a str,
    /// Credentials as `(credential)`.
    pub headers: &'a [(String, String)],
    pub body: &'a [u8],
}

/// The method of an effect that starts a process.
pub const SPAWN: &str = "spawn";

/// The record's own handle of an effect that is on its way.
#[derive(Clone, Copy, Debug)]
pub struct EffectToken(pub u128, pub u64);

/// How an effect ended.
#[derive(Clone, Debug, Default)]
pub struct EffectOutcome {
    pub status: Option<u16>,
    pub received_bytes: u64,
    /// `ok`, or a failure code.
    pub result: String,
}

/// Who answers for a call: its grant, its credentials, its record. One for each call; implemented by `triage`.
#[async_trait::async_trait]
pub trait CallHost: Send + Sync {
    /// The grant as it stands now; asked before every effect.
    fn grant(&self) -> Arc<PluginGrant>;
    /// Cancelled when the sash is lowered, the plugin is stopped or the caller gave up.
    fn cancellation(&self) -> CancellationToken;
    /// The whole value of the header that a credential stands for.
    async fn credential(&self, handle: &str) -> Result<SecretString, Failure>;
    /// Check what leaves and put the intent on disk. Only after `Ok` is anything sent.
    async fn before(&self, request: EffectRequest<'_>) -> Result<EffectToken, Failure>;
    /// Take note of how it ended; must not block.
    fn after(&self, token: EffectToken, outcome: EffectOutcome);
    async fn kv_get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError>;
    async fn kv_set(&self, key: &str, value: Vec<u8>) -> Result<(), KvError>;
    async fn kv_delete(&self, key: &str) -> Result<(), KvError>;
    /// Keep the plugin's log, encrypted; must not block.
    fn log(&self, lines: Vec<LogLine>, dropped: u64);
}

/// First byte of an answer, where the plugin names no time.
const FIRST_BYTE: Duration = Duration::from_secs(60);
/// Longest time to the first byte that a plugin may ask for.
const FIRST_BYTE_MAX: Duration = Duration::from_secs(600);
/// Silence within a body.
const IDLE: Duration = Duration::from_secs(120);

/// Send a request under the grant.
///
/// # Errors
/// [`Failure`] with the code that the contract documents for `send`.
pub async fn send(host: &Arc<dyn CallHost>, egress: &Egress, request: Request) -> Result<Response, Failure> {
    let cancel = host.cancellation();
    if cancel.is_cancelled() {
        return Err(cancelled());
    }
    let grant = host.grant();
    let asked = fumehood_policy::Request::parse(&request.method, &request.url, request.body.len() as u64)
        .map_err(|error| Failure::new("invalid", error.to_string()))?;
    let rule = decide(&grant, &asked)?.clone();
    let (headers, shown) = headers(host, &grant, &asked, &request.headers).await?;

    let effect = EffectRequest { method: &request.method, url: &request.url, headers: &shown, body: &request.body };
    let token = host.before(effect).await?;
    let mut record = Record { host: Arc::clone(host), token, outcome: EffectOutcome::default(), done: false };
    if cancel.is_cancelled() {
        record.outcome.result = "cancelled".into();
        return Err(cancelled());
    }
    let outgoing = HttpRequest {
        method: http::Method::from_bytes(request.method.as_bytes())
            .map_err(|_| Failure::new("invalid", "the method is not well formed"))?,
        url: asked.url().clone(),
        headers,
        body: Bytes::from(request.body),
        first_byte: match request.first_byte_ms {
            0 => FIRST_BYTE,
            ms => Duration::from_millis(ms.into()).min(FIRST_BYTE_MAX),
        },
        idle: match request.idle_ms {
            None => Some(IDLE),
            Some(0) => None,
            Some(ms) => Some(Duration::from_millis(ms.into())),
        },
        vet: vetting(&grant, asked, &rule),
        max_response_bytes: rule.max_response_bytes,
    };
    match egress.send(outgoing, cancel).await {
        Ok(answer) => {
            record.outcome.status = Some(answer.status());
            Ok(Response { answer, record })
        }
        Err(error) => {
            let failure = Failure::from(error);
            record.outcome.result.clone_from(&failure.code);
            Err(failure)
        }
    }
}

fn cancelled() -> Failure {
    Failure::new("cancelled", "stopped before it was sent: the sash was lowered, or the call was cancelled")
}

/// What decides about the addresses of a name, for `egress`.
fn vetting(grant: &PluginGrant, asked: fumehood_policy::Request, rule: &HttpRule) -> fumehood_egress::Vet {
    let (plugin, rule) = (grant.plugin.clone(), rule.clone());
    Arc::new(move |addresses: &[IpAddr]| {
        vet(&plugin, &asked, &rule, addresses).map(drop).map_err(|denial| denial.to_string())
    })
}

/// The headers as they go on the wire, and as they go on record.
async fn headers(
    host: &Arc<dyn CallHost>,
    grant: &PluginGrant,
    asked: &fumehood_policy::Request,
    headers: &[Header],
) -> Result<(http::HeaderMap, Vec<(String, String)>), Failure> {
    let plain = headers.iter().map(|header| {
        let value = match &header.value {
            HeaderValue::Text(text) => text.as_str(),
            HeaderValue::Credential(_) => "",
        };
        (header.name.as_str(), value)
    });
    let names = check_headers(plain).map_err(|error| Failure::new("invalid", error.to_string()))?;
    let mut wire = http::HeaderMap::new();
    let mut shown = Vec::with_capacity(headers.len());
    for ((name, text), header) in names.iter().zip(headers) {
        let (value, show) = match &header.value {
            HeaderValue::Text(_) => (http::HeaderValue::from_str(text), (*text).to_owned()),
            HeaderValue::Credential(handle) => {
                decide_credential(grant, handle, asked)?;
                let secret = host.credential(handle).await?;
                let mut value = http::HeaderValue::from_str(secret.expose_secret());
                if let Ok(value) = &mut value {
                    value.set_sensitive(true);
                }
                (value, "(credential)".to_owned())
            }
        };
        let value =
            value.map_err(|_| Failure::new("invalid", format!("the value of header `{name}` cannot be sent")))?;
        let wire_name = http::HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Failure::new("invalid", format!("`{name}` is no header name")))?;
        wire.append(wire_name, value);
        shown.push((name.clone(), show));
    }
    Ok((wire, shown))
}

/// An answer that is being read.
pub struct Response {
    answer: HttpResponse,
    record: Record,
}

impl Response {
    pub fn status(&self) -> u16 {
        self.answer.status()
    }

    /// Names in lower case.
    pub fn headers(&self) -> &[(String, String)] {
        self.answer.headers()
    }

    /// The next bytes; nothing at the end.
    ///
    /// # Errors
    /// `timeout`, `unavailable`, `denied` (too many bytes), `cancelled`.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let chunk = self.answer.next_chunk().await;
        self.record.outcome.received_bytes = self.answer.received();
        match chunk {
            Ok(Some(bytes)) => Ok(Some(bytes)),
            Ok(None) => {
                self.record.outcome.result = "ok".into();
                Ok(None)
            }
            Err(error) => {
                let failure = Failure::from(error);
                self.record.outcome.result.clone_from(&failure.code);
                Err(failure)
            }
        }
    }
}

/// Owes the outcome of an effect, and pays it when it is dropped.
struct Record {
    host: Arc<dyn CallHost>,
    token: EffectToken,
    outcome: EffectOutcome,
    done: bool,
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.done {
            self.done = true;
            let mut outcome = std::mem::take(&mut self.outcome);
            if outcome.result.is_empty() {
                // Dropped before the end: the reader had enough, or gave up.
                outcome.result = if outcome.status.is_some() { "ok".into() } else { "cancelled".into() };
            }
            self.host.after(self.token, outcome);
        }
    }
}
