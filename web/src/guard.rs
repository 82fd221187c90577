//! What every request passes and every answer carries.
//!
//! Invariant: a request for another host is refused before anything reads it; a change that a browser makes comes from
//! our own pages; an answer carries the strict policy. Nothing here knows who is signed in.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::Shared;
use crate::problem::Problem;

/// Our own scripts and styles, nothing inline, nothing evaluated, nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; manifest-src 'self'";

/// The id of a request, for the log and for error pages.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// The outermost layer.
pub async fn guard(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let id = RequestId(uuid::Uuid::now_v7().to_string());
    request.extensions_mut().insert(id.clone());
    let secure = shared.options.public_url.starts_with("https:");
    let mut response = match refusal(&shared, &request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    let mut put = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    put(header::CONTENT_SECURITY_POLICY, POLICY);
    put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(header::X_FRAME_OPTIONS, "DENY");
    // Not `no-referrer`: that would make browsers send `Origin: null` with our own forms.
    put(header::REFERRER_POLICY, "same-origin");
    put(header::CACHE_CONTROL, "no-store");
    put(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    put(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    put(HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()");
    if secure {
        put(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert(HeaderName::from_static("x-request-id"), value);
    }
    response
}

fn refusal(shared: &Shared, request: &Request) -> Option<Problem> {
    // Probes come by whatever name or address, and learn and change nothing.
    if request.uri().path() == "/health" {
        return None;
    }
    let host = host_of(request);
    if !host.is_some_and(|host| shared.knows_host(host)) {
        return Some(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "misdirected",
            "This server does not answer under that host name. Open it by the address that it printed at the start, or set --public-url.",
        ));
    }
    if !is_text(request.uri().path()) {
        return Some(Problem::new(StatusCode::BAD_REQUEST, "invalid", "The address is not UTF-8."));
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    // A bearer token is not sent by a browser on its own, so the API cannot be reached across sites.
    let path = request.uri().path();
    let is_mcp = path == "/mcp" || path.starts_with("/mcp/");
    if is_mcp && request.headers().contains_key(header::ORIGIN) && !same_origin(shared, request.headers()) {
        return Some(Problem::new(
            StatusCode::FORBIDDEN,
            "cross-site",
            "Pages of other sites may not speak to the gateway.",
        ));
    }
    let by_cookie = !path.starts_with("/api/") && !is_mcp;
    if changes && by_cookie && !same_origin(shared, request.headers()) {
        return Some(Problem::new(
            StatusCode::FORBIDDEN,
            "cross-site",
            "This change did not come from a page of this server, so it was not made. Open the page again and repeat it.",
        ));
    }
    None
}

/// Whether a path is UTF-8 once its escapes are undone.
fn is_text(path: &str) -> bool {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = tail.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match escaped.filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    std::str::from_utf8(&bytes).is_ok()
}

fn host_of(request: &Request) -> Option<&str> {
    match request.uri().authority() {
        // HTTP/2 has no Host header.
        Some(authority) => Some(authority.as_str()),
        None => request.headers().get(header::HOST)?.to_str().ok(),
    }
}

/// Browsers say where a request comes from; one that does not say is not trusted with a change.
fn same_origin(shared: &Shared, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = text("origin");
    let origin_fits = origin.map(|origin| {
        origin
            .split_once("://")
            .is_some_and(|(scheme, host)| matches!(scheme, "http" | "https") && shared.knows_host(host))
    });
    match (text("sec-fetch-site"), origin_fits) {
        (Some("same-origin"), fits) => fits.unwrap_or(true),
        (Some(_), _) => false,
        (None, fits) => fits.unwrap_or(false),
    }
}
