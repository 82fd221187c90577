//! The way out. Every request of a plugin, and every request that a transport asks for, passes [`send`].
//!
//! Invariant, in this order for each effect: the call is not cancelled; headers and URL are well formed; the grant as
//! it stands *now* allows it; the credential is bound to the target; the intent is on disk; only then is a socket
//! opened, to an address that the grant covers. The outcome is recorded when the answer ends or is dropped.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fumehood_egress::{Egress, EgressError, HttpRequest, HttpResponse, Keep};
use fumehood_policy::{
    CeilingHour, Denial, Digest, HttpRule, PluginGrant, check_headers, decide, decide_credential, vet,
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio_util::sync::CancellationToken;

use crate::limits;

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

/// What was refused, for a host that wants to know what was in the way.
#[derive(Clone, Copy, Debug)]
pub enum Attempt<'a> {
    /// A request.
    Request(&'a fumehood_policy::Request),
    /// A credential, by its handle, that was to go along.
    Credential(&'a str, &'a fumehood_policy::Request),
    /// The addresses that the request's host has.
    Addresses(&'a [IpAddr], &'a fumehood_policy::Request),
    /// A program: path, digest, arguments.
    Process(&'a str, Digest, &'a [String]),
    /// The key-value store.
    Values,
    /// More bytes than there are left.
    Bytes,
}

/// What a request was counted against.
#[derive(Clone, Debug)]
pub struct Counted {
    /// The most that the answer may have, bytes.
    pub most: u64,
    /// The hours of ceilings, whose answers count too.
    pub ceilings: Vec<CeilingHour>,
}

/// A request that is about to leave, for the record.
#[derive(Debug)]
pub struct EffectRequest<'a> {
    /// Of HTTP, or [`SPAWN`].
    pub method: &'a str,
    /// The rule of the grant that allows it, in words.
    pub rule: &'a str,
    /// The grant's generation.
    pub generation: u64,
    /// As it is sent. A process: its path.
    pub url: &'a str,
    /// Credentials as `(credential)`.
    pub headers: &'a [(String, String)],
    /// A process: its arguments, each with its length before it.
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
    /// Of the answer; names in lower case.
    pub headers: Vec<(String, String)>,
    pub received_bytes: u64,
    /// Of the answer's body, as far as it was read: all of it up to [`limits::KEPT_BODY_BYTES`].
    pub body: Vec<u8>,
    /// `ok`, or a failure code.
    pub result: String,
}

/// An answer that nobody sent: what a plugin's own tests put in the place of the network.
#[derive(Clone, Debug, Default)]
pub struct ScriptedAnswer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// What a call took, and how it ended. Carries no text that a scanner saw.
#[derive(Clone, Debug, Default)]
pub struct CallUsage {
    /// Time on a processor, host functions that did not wait included.
    pub computing: Duration,
    /// From its first instruction to its end, waiting included.
    pub wall: Duration,
    /// The most linear memory that it had, bytes.
    pub memory_bytes: u64,
    /// Host functions that it called.
    pub host_calls: u64,
    /// Functions of the plugin that were called: more than one for a connection or an answer that arrives in pieces.
    pub entered: u64,
    /// Empty where it gave a result; otherwise a failure code of the contract.
    pub code: String,
    /// Why it gave none, in a sentence.
    pub problem: String,
}

/// Who answers for a call: its grant, its credentials, its record. One for each call; implemented by `triage`.
#[async_trait::async_trait]
pub trait CallHost: Send + Sync {
    /// The grant as it stands now; asked before every effect.
    fn grant(&self) -> Arc<PluginGrant>;
    /// Cancelled when the sash is lowered, the plugin is stopped or the caller gave up.
    fn cancellation(&self) -> CancellationToken;
    /// The whole value of a header, by its lower-case name, that a credential stands for.
    async fn credential(&self, handle: &str, header: &str) -> Result<SecretString, Failure>;
    /// Put the call itself on record, before anything of the plugin runs.
    async fn begin(&self, _function: &'static str) -> Result<(), Failure> {
        Ok(())
    }
    /// Take note of what the call took; must not block. Comes once for each `begin` that went well.
    fn ended(&self, _usage: CallUsage) {}
    /// Take note of a refusal, and say it to the plugin.
    async fn denied(&self, denial: Denial, _attempt: Attempt<'_>) -> Failure {
        denial.into()
    }
    /// Count a request of `size` bytes (URL, headers and body) against its hours.
    ///
    /// # Errors
    /// The refusal, as the plugin is told.
    async fn reserve(
        &self,
        rule: &HttpRule,
        _request: &fumehood_policy::Request,
        _size: u64,
    ) -> Result<Counted, Failure> {
        Ok(Counted { most: rule.max_response_bytes, ceilings: Vec::new() })
    }
    /// Count bytes of an answer that arrived; must not block.
    ///
    /// # Errors
    /// Where an hour is used up by them: the plugin does not get them.
    fn received(
        &self,
        _rule: &HttpRule,
        _counted: &Counted,
        _request: &fumehood_policy::Request,
        _bytes: u64,
    ) -> Result<(), Denial> {
        Ok(())
    }
    /// What is answered instead of sending anything. Only a plugin's own tests answer; nothing is sent then.
    fn scripted(&self, _request: &HttpRequest) -> Option<Result<ScriptedAnswer, Failure>> {
        None
    }
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
    send_on(host, egress, None, request).await
}

/// As [`send`], on a socket that an earlier request of the same owner has left.
///
/// # Errors
/// As [`send`].
pub async fn send_kept(
    host: &Arc<dyn CallHost>,
    egress: &Egress,
    keep: &Keep,
    request: Request,
) -> Result<Response, Failure> {
    send_on(host, egress, Some(keep), request).await
}

async fn send_on(
    host: &Arc<dyn CallHost>,
    egress: &Egress,
    keep: Option<&Keep>,
    request: Request,
) -> Result<Response, Failure> {
    let cancel = host.cancellation();
    if cancel.is_cancelled() {
        return Err(cancelled());
    }
    let grant = host.grant();
    let asked = fumehood_policy::Request::parse(&request.method, &request.url, request.body.len() as u64)
        .map_err(|error| Failure::new("invalid", error.to_string()))?;
    let rule = match decide(&grant, &asked) {
        Ok(rule) => rule.clone(),
        Err(denial) => return Err(host.denied(denial, Attempt::Request(&asked)).await),
    };
    let (headers, shown) = headers(host, &grant, &asked, &request.headers).await?;
    let written = shown.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    let size = request.method.len() + asked.url().as_str().len() + written + request.body.len();
    let counted = host.reserve(&rule, &asked, size as u64).await?;
    let max_response_bytes = counted.most;

    let effect = EffectRequest {
        method: &request.method,
        rule: &rule.to_string(),
        generation: grant.generation,
        url: asked.url().as_str(),
        headers: &shown,
        body: &request.body,
    };
    let token = host.before(effect).await?;
    let refused = Arc::new(Mutex::new(None));
    let vet = vetting(&grant, asked.clone(), &rule, &refused);
    let mut record = Record {
        host: Arc::clone(host),
        token,
        rule,
        counted,
        asked: asked.clone(),
        outcome: EffectOutcome::default(),
        done: false,
    };
    if host.grant() != grant {
        // It was changed or withdrawn while the intent was written: what holds now decides, and it is asked anew.
        record.outcome.result = "denied".into();
        return Err(Failure::new(
            "denied",
            "the plugin's grant was changed while this was on its way; nothing was sent",
        ));
    }
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
        vet,
        max_response_bytes,
    };
    if let Some(scripted) = host.scripted(&outgoing) {
        let answer = scripted.inspect_err(|failure| record.outcome.result.clone_from(&failure.code))?;
        record.outcome.status = Some(answer.status);
        record.outcome.headers.clone_from(&answer.headers);
        let received = 0;
        return Ok(Response { answer: Answer::Scripted { answer, received, most: max_response_bytes }, record });
    }
    let sent = match keep {
        Some(keep) => egress.send_kept(outgoing, keep, cancel).await,
        None => egress.send(outgoing, cancel).await,
    };
    match sent {
        Ok(answer) => {
            record.outcome.status = Some(answer.status());
            record.outcome.headers = answer.headers().to_vec();
            Ok(Response { answer: Answer::Live(Box::new(answer)), record })
        }
        Err(error) => {
            let failure = Failure::from(error);
            record.outcome.result.clone_from(&failure.code);
            let denial = refused.lock().ok().and_then(|mut denial| denial.take());
            Err(match denial {
                Some((denial, addresses)) => host.denied(denial, Attempt::Addresses(&addresses, &asked)).await,
                None => failure,
            })
        }
    }
}

fn cancelled() -> Failure {
    Failure::new("cancelled", "stopped before it was sent: the sash was lowered, or the call was cancelled")
}

/// Why addresses were refused, and which.
type RefusedAddresses = Option<(Denial, Vec<IpAddr>)>;

/// What decides about the addresses of a name, for `egress`. Why it refused is left in `refused`.
fn vetting(
    grant: &PluginGrant,
    asked: fumehood_policy::Request,
    rule: &HttpRule,
    refused: &Arc<Mutex<RefusedAddresses>>,
) -> fumehood_egress::Vet {
    let (plugin, rule, refused) = (grant.plugin.clone(), rule.clone(), Arc::clone(refused));
    Arc::new(move |addresses: &[IpAddr]| {
        vet(&plugin, &asked, &rule, addresses).map(drop).map_err(|denial| {
            let sentence = denial.to_string();
            if let Ok(mut refused) = refused.lock() {
                *refused = Some((denial, addresses.to_vec()));
            }
            sentence
        })
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
                if let Err(denial) = decide_credential(grant, handle, asked) {
                    return Err(host.denied(denial, Attempt::Credential(handle, asked)).await);
                }
                let secret = host.credential(handle, name).await?;
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
    answer: Answer,
    record: Record,
}

enum Answer {
    Live(Box<HttpResponse>),
    Scripted { answer: ScriptedAnswer, received: u64, most: u64 },
}

impl Answer {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        match self {
            Self::Live(answer) => Ok(answer.next_chunk().await?),
            Self::Scripted { answer, received, most } => {
                let chunk = answer.body.split_to(answer.body.len().min(fumehood_egress::limits::CHUNK_BYTES));
                *received += chunk.len() as u64;
                if *received > *most {
                    return Err(Failure::new("denied", format!("the answer is larger than the {most} bytes granted")));
                }
                Ok((!chunk.is_empty()).then_some(chunk))
            }
        }
    }

    fn received(&self) -> u64 {
        match self {
            Self::Live(answer) => answer.received(),
            Self::Scripted { received, .. } => *received,
        }
    }
}

impl Response {
    pub fn status(&self) -> u16 {
        match &self.answer {
            Answer::Live(answer) => answer.status(),
            Answer::Scripted { answer, .. } => answer.status,
        }
    }

    /// Names in lower case.
    pub fn headers(&self) -> &[(String, String)] {
        match &self.answer {
            Answer::Live(answer) => answer.headers(),
            Answer::Scripted { answer, .. } => &answer.headers,
        }
    }

    /// The next bytes; nothing at the end.
    ///
    /// # Errors
    /// `timeout`, `unavailable`, `denied` (too many bytes), `cancelled`.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let chunk = self.answer.next_chunk().await;
        self.record.outcome.received_bytes = self.answer.received();
        match chunk {
            Ok(Some(bytes)) => {
                let Record { host, rule, counted, asked, .. } = &self.record;
                if let Err(denial) = host.received(rule, counted, asked, bytes.len() as u64) {
                    self.record.outcome.result = "denied".into();
                    return Err(self.record.host.denied(denial, Attempt::Bytes).await);
                }
                let kept = &mut self.record.outcome.body;
                let room = limits::KEPT_BODY_BYTES.saturating_sub(kept.len());
                kept.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
                Ok(Some(bytes))
            }
            Ok(None) => {
                self.record.outcome.result = "ok".into();
                Ok(None)
            }
            Err(failure) => {
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
    rule: HttpRule,
    counted: Counted,
    asked: fumehood_policy::Request,
    outcome: EffectOutcome,
    done: bool,
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.done {
            self.done = true;
            let mut outcome = std::mem::take(&mut self.outcome);
            if outcome.result.is_empty() {
                // Dropped before the end: the reader had enough, or the call was stopped with the request on its way.
                outcome.result = if outcome.status.is_some() { "ok".into() } else { "outcome-unknown".into() };
            }
            self.host.after(self.token, outcome);
        }
    }
}
