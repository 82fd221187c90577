//! What a collector's answer means.
//!
//! Invariant: nothing is sent again that the protocol does not allow to be (OTLP/HTTP, failures); what a collector says in
//! words reaches the log printable and short.

use std::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, Response};

use crate::encoding::Encoding;
use crate::limits::{LONGEST_WAIT, MAX_ANSWER_BYTES, MAX_WORDS};

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was taken, but for so many spans, and what was said about them.
    Taken { rejected: u64, words: String },
    /// It may be sent again, after as long as it was asked for.
    Again { wait: Option<Duration>, reason: String },
    /// It will never be taken.
    Refused { reason: String },
}

/// Sorts an answer.
pub(crate) fn outcome(encoding: Encoding, answer: &Response<Vec<u8>>) -> Outcome {
    let status = answer.status();
    let refused = |remedy: &str| Outcome::Refused { reason: format!("it answered {}{remedy}", status.as_u16()) };
    match status.as_u16() {
        _ if answer.body().len() > MAX_ANSWER_BYTES => {
            Outcome::Refused { reason: "its answer is too large".to_owned() }
        }
        // What cannot be read was taken all the same: the status says so.
        200..=299 => {
            let (rejected, words) = encoding.partial_success(answer.body()).unwrap_or_default();
            Outcome::Taken { rejected, words: clean(&words) }
        }
        429 | 502..=504 => {
            let wait = retry_after(answer.headers());
            Outcome::Again { wait, reason: format!("it answered {}", status.as_u16()) }
        }
        300..=399 => refused(" and points elsewhere, which is not followed; name the address itself"),
        400 => refused(": it cannot read them"),
        401 | 403 => refused("; look at OTEL_EXPORTER_OTLP_HEADERS"),
        404 | 405 => refused(
            "; OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is used as it is: is /v1/traces missing? For OTEL_EXPORTER_OTLP_ENDPOINT, is it \
             the port for HTTP, most often 4318?",
        ),
        413 => refused("; OTEL_BSP_MAX_EXPORT_BATCH_SIZE is too large for it"),
        415 => refused("; set OTEL_EXPORTER_OTLP_PROTOCOL to the other one of http/protobuf and http/json"),
        _ => refused(""),
    }
}

/// RFC 9110, section 10.2.3: seconds, or a date, which is measured against the answer's own.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let date = |value: &str| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok();
    let seconds = value.parse().ok().or_else(|| {
        let now = date(headers.get(DATE)?.to_str().ok()?)?;
        u64::try_from(date(value)?.as_second().saturating_sub(now.as_second())).ok()
    })?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// Printable ASCII, and no more of it than a line.
pub(crate) fn clean(words: &str) -> String {
    words.trim().chars().take(MAX_WORDS).map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Outcome {
        let mut built = Response::builder().status(status);
        for (name, value) in headers {
            built = built.header(*name, *value);
        }
        outcome(Encoding::Json, &built.body(body.to_vec()).unwrap())
    }

    #[test]
    fn only_what_may_be_is_sent_again() {
        for status in 100..600 {
            let expected = matches!(status, 429 | 502 | 503 | 504);
            assert_eq!(matches!(answer(status, &[], b""), Outcome::Again { .. }), expected, "{status}");
            let taken = matches!(answer(status, &[], b""), Outcome::Taken { .. });
            assert_eq!(taken, (200..300).contains(&status), "{status}");
        }
    }

    #[test]
    fn a_wait_is_seconds_or_a_date_and_bounded() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:00 GMT");
        for (headers, expected) in [
            (&[("retry-after", "7")][..], Some(7)),
            (&[("retry-after", " 7 ")], Some(7)),
            (&[("retry-after", "99999999")], Some(LONGEST_WAIT.as_secs())),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), date], Some(37)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")], None),
            (&[("retry-after", "Sun, 06 Nov 1994 08:48:37 GMT"), date], None),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "-1")], None),
            (&[], None),
        ] {
            let Outcome::Again { wait, .. } = answer(503, headers, b"") else { panic!() };
            assert_eq!(wait, expected.map(Duration::from_secs), "{headers:?}");
        }
    }

    #[test]
    fn what_was_rejected_is_known() {
        let body = br#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too\n old\u001b"}}"#;
        assert_eq!(answer(200, &[], body), Outcome::Taken { rejected: 2, words: "too? old?".into() });
        assert_eq!(answer(202, &[], b"<html>"), Outcome::Taken { rejected: 0, words: String::new() });
        assert_eq!(
            answer(200, &[], &vec![b' '; MAX_ANSWER_BYTES + 1]),
            Outcome::Refused { reason: "its answer is too large".into() }
        );
    }

    #[test]
    fn refusals_say_what_to_do() {
        for (status, expected) in [
            (302, "it answered 302 and points elsewhere, which is not followed; name the address itself"),
            (401, "it answered 401; look at OTEL_EXPORTER_OTLP_HEADERS"),
            (415, "it answered 415; set OTEL_EXPORTER_OTLP_PROTOCOL to the other one of http/protobuf and http/json"),
            (500, "it answered 500"),
        ] {
            assert_eq!(answer(status, &[], b"ignored"), Outcome::Refused { reason: expected.into() });
        }
    }
}
