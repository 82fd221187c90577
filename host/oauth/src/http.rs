//! The way out, as this crate needs it, and what every answer has to pass.
//!
//! Invariant: an answer that redirects is an error, whoever sent it; no request is ever sent to where it points. An
//! answer over the limit is not read. What was received is wiped when it is dropped.

use async_trait::async_trait;
use http::header::{ACCEPT, RETRY_AFTER};
use http::{HeaderMap, Request, Response, StatusCode};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use url::Url;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::limits::{MAX_ANSWER_BYTES, MAX_RETRY_SECONDS};
use crate::text;

/// Sends one request; never follows redirects; bounded in time and size by whoever implements it.
///
/// Implementors decide which addresses may be dialled, private ones above all: a server names the hosts that it wants
/// asked. They must not log headers or bodies, which hold codes, tokens and secrets.
#[async_trait]
pub trait Http: Send + Sync {
    /// The answer, whatever its status.
    ///
    /// # Errors
    /// [`HttpError`] where there is none.
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError>;
}

/// Why a request was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HttpError {
    /// The reason, for people. Holds nothing of the request but scheme, host and port.
    pub message: String,
    /// Whether anything can have reached the other side.
    pub sent: bool,
}

/// An answer that is no redirect and no plea to come again later.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// The body read as JSON; nothing where it is something else. The reason is dropped, for it may quote the body.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// A request for a document in JSON.
pub(crate) async fn get(http: &dyn Http, url: &Url, now: Option<Timestamp>) -> Result<Answer, Error> {
    let request = Request::get(url.as_str()).header(ACCEPT, "application/json").body(Vec::new());
    send(http, url, request, now).await
}

/// Sends a request and sorts its answer. `now` is what a date in `Retry-After` is measured against.
pub(crate) async fn send(
    http: &dyn Http,
    url: &Url,
    request: Result<Request<Vec<u8>>, http::Error>,
    now: Option<Timestamp>,
) -> Result<Answer, Error> {
    let endpoint = place(url);
    let request = request.map_err(|_| Error::Address {
        what: "address",
        url: text::clean(url.as_str()),
        reason: "it cannot be put into a request",
    })?;
    let response = http.send(request).await.map_err(|error| Error::Unreachable {
        endpoint: endpoint.clone(),
        reason: text::clean(&error.message),
        sent: error.sent,
    })?;
    let (head, body) = response.into_parts();
    let body = Zeroizing::new(body);
    if head.status.is_redirection() {
        return Err(Error::Redirected { endpoint });
    }
    if is_temporary(head.status) {
        let after_seconds = retry_after(&head.headers, now);
        return Err(Error::Busy { endpoint, status: head.status.as_u16(), after_seconds });
    }
    if body.len() > MAX_ANSWER_BYTES {
        return Err(Error::TooLarge { endpoint });
    }
    Ok(Answer { status: head.status, body })
}

/// An address as errors name it: without its query.
pub(crate) fn place(url: &Url) -> String {
    let mut place = url.clone();
    place.set_query(None);
    text::clean(place.as_str())
}

fn is_temporary(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

/// RFC 9110, section 10.2.3: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Option<Timestamp>) -> Option<u64> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = value.parse().ok().or_else(|| {
        let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
        u64::try_from(date.as_second().saturating_sub(now?.as_second())).ok()
    })?;
    Some(seconds.min(MAX_RETRY_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_seconds_or_a_date_and_bounded() {
        let now: Timestamp = "1994-11-06T08:49:00Z".parse().unwrap();
        for (value, expected) in [
            ("120", Some(120)),
            (" 5 ", Some(5)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
            ("Sun, 06 Nov 1994 08:48:37 GMT", None),
            ("99999999999", Some(MAX_RETRY_SECONDS)),
            ("-1", None),
            ("soon", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            assert_eq!(retry_after(&headers, Some(now)), expected, "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), Some(now)), None);
    }

    #[test]
    fn a_place_has_no_query() {
        assert_eq!(place(&"https://as.example/t?code=secret".parse().unwrap()), "https://as.example/t");
    }
}
