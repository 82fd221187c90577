//! One request: checked, resolved, vetted, dialled, sent, in this order, within one time limit and one cancellation.
//!
//! Invariant: no socket is opened before [`Vet`] has accepted all addresses of the name; an address in the URL itself
//! is vetted like any other. Whether an error may have had an effect on the other side is decided by one flag, which
//! is raised before the message is handed to the connection.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use http_body_util::Full;
use rustls::pki_types::ServerName;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use url::{Host, Position, Url};

use crate::connection::{self, Connection, Message};
use crate::keep::{Keep, Place};
use crate::{EgressError, HttpResponse, Inner, dial, limits, resolve, response};

/// The caller's decision about all addresses of a name, at once. The error is a sentence that names the grant that
/// would allow them. Called once for each request, before anything is dialled; must not block.
pub type Vet = Arc<dyn Fn(&[IpAddr]) -> Result<(), String> + Send + Sync>;

/// A request that the caller has decided about and put on record.
#[derive(Clone)]
pub struct HttpRequest {
    /// Any but `CONNECT`.
    pub method: Method,
    /// Absolute, `http:` or `https:`, without user information. A fragment is not sent.
    pub url: Url,
    /// Without those of framing and connection, which are set here. Values of credentials are marked sensitive.
    pub headers: HeaderMap,
    /// Sent with its length; empty for none.
    pub body: Bytes,
    /// From the call to the head of the answer.
    pub first_byte: Duration,
    /// Longest silence within the body; nothing for no limit.
    pub idle: Option<Duration>,
    /// Decides about the addresses.
    pub vet: Vet,
    /// Bytes of the answer's body. Its head has limits of its own.
    pub max_response_bytes: u64,
}

impl fmt::Debug for HttpRequest {
    /// Without path, query, headers and body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("origin", &self.url.origin().ascii_serialization())
            .field("body_bytes", &self.body.len())
            .field("first_byte", &self.first_byte)
            .field("idle", &self.idle)
            .field("max_response_bytes", &self.max_response_bytes)
            .finish_non_exhaustive()
    }
}

/// Headers that are set here or would speak to the next hop. Callers refuse them earlier, with a better message.
const OWNED: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const USER_AGENT: &str = concat!("fumehood/", env!("CARGO_PKG_VERSION"));

/// Send one request; see [`crate::Egress::send`].
pub(crate) async fn send(
    egress: &Inner,
    request: HttpRequest,
    keep: Option<&Keep>,
    cancel: CancellationToken,
) -> Result<HttpResponse, EgressError> {
    let sent = AtomicBool::new(false);
    let first_byte = request.first_byte;
    let target = Target::of(&request.url)?;
    let work = timeout(first_byte, exchange(egress, request, keep, &target, cancel.clone(), &sent));
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(EgressError::Cancelled { sent: sent.load(Ordering::Relaxed) }),
        answer = work => answer.unwrap_or_else(|_| Err(if sent.load(Ordering::Relaxed) {
            EgressError::OutcomeUnknown(format!(
                "{target} took the request but did not answer within {} ms",
                first_byte.as_millis()
            ))
        } else {
            unreachable(&target, &format!("no connection within {} ms", first_byte.as_millis()))
        })),
    }
}

async fn exchange(
    egress: &Inner,
    request: HttpRequest,
    keep: Option<&Keep>,
    target: &Target,
    cancel: CancellationToken,
    sent: &AtomicBool,
) -> Result<HttpResponse, EgressError> {
    let HttpRequest { method, url, headers, body, vet, .. } = request;
    let mut message = message(method, &url, headers, body)?;
    let vetted = vetted(egress, target, &vet).await?;
    let limits = response::Limits { idle: request.idle, bytes: request.max_response_bytes };
    if let Some(keep) = keep
        && let Some((connection, permit, place)) = keep.take(&target.to_string(), &vetted).await
    {
        if !connection.is_http2() {
            to_origin_form(&mut message, &url)?;
        }
        sent.store(true, Ordering::Relaxed);
        match connection.send(message).await {
            Ok((answer, open)) => {
                let back = Some(keep.back(place));
                return HttpResponse::new(answer, (open, permit, back), limits, cancel, target.to_string());
            }
            // It was closed before any of the message was written: as if it had not been kept.
            Err(mut error) => match error.take_message() {
                Some(unsent) => message = unsent,
                None => return Err(head_error(target, &error.into_error(), false)),
            },
        }
        sent.store(false, Ordering::Relaxed);
        *message.uri_mut() = full_uri(&url)?;
        message.headers_mut().remove(header::HOST);
    }
    let permit = connection_permit(egress).await?;
    let (connection, peer) = timeout(egress.connect, open(egress, target, &vetted)).await.unwrap_or_else(|_| {
        Err(unreachable(target, &format!("no connection within {} ms", egress.connect.as_millis())))
    })?;
    if !connection.is_http2() {
        to_origin_form(&mut message, &url)?;
    }
    tracing::debug!(%target, "connected");
    sent.store(true, Ordering::Relaxed);
    match connection.send(message).await {
        Ok((answer, open)) => {
            let back = keep.map(|keep| keep.back(Place { origin: target.to_string(), peer }));
            HttpResponse::new(answer, (open, permit, back), limits, cancel, target.to_string())
        }
        Err(mut error) => {
            let unsent = error.take_message().is_some();
            Err(head_error(target, &error.into_error(), unsent))
        }
    }
}

/// Why no head came.
fn head_error(target: &Target, error: &hyper::Error, unsent: bool) -> EgressError {
    if unsent {
        return unreachable(target, &"the connection closed before the request was sent");
    }
    if error.is_parse() {
        return EgressError::Protocol(format!(
            "the head of the answer from {target} cannot be read: {} (at most {} headers and {} bytes of them)",
            response::cause(error),
            limits::HEADERS,
            limits::HEADER_BYTES
        ));
    }
    EgressError::OutcomeUnknown(format!("{target} broke the connection before it answered: {}", response::cause(error)))
}

fn unreachable(target: &Target, why: &dyn fmt::Display) -> EgressError {
    EgressError::Unavailable(format!("{target} cannot be reached: {why}"))
}

async fn connection_permit(egress: &Inner) -> Result<OwnedSemaphorePermit, EgressError> {
    Arc::clone(&egress.connections)
        .acquire_owned()
        .await
        .map_err(|_| EgressError::Unavailable("the server is shutting down".to_owned()))
}

/// All addresses of the target, accepted.
async fn vetted(egress: &Inner, target: &Target, vet: &Vet) -> Result<Vec<SocketAddr>, EgressError> {
    let addresses = match &target.host {
        Host::Ipv4(address) => vec![SocketAddr::new((*address).into(), target.port)],
        Host::Ipv6(address) => vec![SocketAddr::new((*address).into(), target.port)],
        Host::Domain(name) => {
            let answer = timeout(limits::RESOLVE, egress.resolver.resolve(name, target.port)).await;
            let answer = answer.map_err(|_| unreachable(target, &"the name was not resolved in time"))?;
            answer.map_err(|error| unreachable(target, &format!("the name does not resolve ({error})")))?
        }
    };
    let mut addresses = resolve::order(&addresses);
    if addresses.is_empty() {
        return Err(unreachable(target, &"the name has no address"));
    }
    if addresses.len() > limits::ADDRESSES {
        return Err(unreachable(target, &format!("the name has more than {} addresses", limits::ADDRESSES)));
    }
    vet(&resolve::plain(&addresses)).map_err(EgressError::Denied)?;
    // A resolver chooses addresses, never ports.
    for address in &mut addresses {
        address.set_port(target.port);
    }
    Ok(addresses)
}

async fn open(egress: &Inner, target: &Target, vetted: &[SocketAddr]) -> Result<(Connection, SocketAddr), EgressError> {
    let tls = match (&egress.tls, target.secure) {
        (_, false) => None,
        (Some(config), true) => Some((Arc::clone(config), target.server_name()?)),
        (None, true) => {
            let why = "this machine has no root certificates; install the package ca-certificates, or name a file in SSL_CERT_FILE";
            return Err(unreachable(target, &why));
        }
    };
    let socket = dial::dial(vetted).await.map_err(|error| unreachable(target, &error))?;
    let peer = socket.peer_addr().map_err(|error| unreachable(target, &error))?;
    let connection = match tls {
        Some((config, name)) => connection::tls(socket, config, name).await,
        None => connection::plain(socket).await,
    };
    Ok((connection.map_err(|error| unreachable(target, &error))?, peer))
}

/// Where a request goes, for dialling and for messages.
struct Target {
    secure: bool,
    host: Host<String>,
    port: u16,
}

impl Target {
    fn of(url: &Url) -> Result<Self, EgressError> {
        let secure = match url.scheme() {
            "https" => true,
            "http" => false,
            other => {
                return Err(EgressError::Invalid(format!("`{other}:` cannot be sent; use `https:` or `http:`")));
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressError::Invalid("a URL must not carry a user or a password".to_owned()));
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(EgressError::Invalid("the URL names no host".to_owned()));
        };
        Ok(Self { secure, host: host.to_owned(), port })
    }

    /// The name that the certificate must carry.
    fn server_name(&self) -> Result<ServerName<'static>, EgressError> {
        match &self.host {
            Host::Ipv4(address) => Ok(IpAddr::from(*address).into()),
            Host::Ipv6(address) => Ok(IpAddr::from(*address).into()),
            Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned())
                .map_err(|_| EgressError::Invalid(format!("`{name}` is no name that a certificate can carry"))),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", if self.secure { "https" } else { "http" }, self.host, self.port)
    }
}

/// The message, its target in full.
fn message(method: Method, url: &Url, mut headers: HeaderMap, body: Bytes) -> Result<Message, EgressError> {
    if method == Method::CONNECT {
        return Err(EgressError::Invalid("`CONNECT` cannot be sent".to_owned()));
    }
    if let Some(owned) =
        headers.keys().find(|name| OWNED.contains(&name.as_str()) || name.as_str().starts_with("proxy-"))
    {
        return Err(EgressError::Invalid(format!("the header `{owned}` is set by the host")));
    }
    let uri = full_uri(url)?;
    headers.entry(header::ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
    if !body.is_empty() || [Method::POST, Method::PUT, Method::PATCH].contains(&method) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    let mut message = http::Request::new(Full::new(body));
    *message.method_mut() = method;
    *message.uri_mut() = uri;
    *message.headers_mut() = headers;
    Ok(message)
}

/// The target in full.
fn full_uri(url: &Url) -> Result<Uri, EgressError> {
    Uri::try_from(&url[..Position::AfterQuery])
        .map_err(|_| EgressError::Invalid("the URL cannot be sent as it is; escape its special characters".to_owned()))
}

/// For HTTP/1.1: the path in the request line, the authority in `host`.
fn to_origin_form(message: &mut Message, url: &Url) -> Result<(), EgressError> {
    let invalid = |_| EgressError::Invalid("the URL cannot be sent as it is".to_owned());
    let host = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort]).map_err(|_| invalid(()))?;
    let path = message.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let uri = Uri::try_from(path).map_err(|_| invalid(()))?;
    *message.uri_mut() = uri;
    message.headers_mut().insert(header::HOST, host);
    Ok(())
}
