//! When a server wants to be asked again.
//!
//! Invariant: pure. The plugin has no clock: an HTTP date counts from the answer's own `Date` header, which is also
//! right when the two clocks differ.

use std::time::SystemTime;

use crate::host::header;

/// Longest wish that is passed on, in milliseconds: a day. A longer one is a mistake or malice, and a person decides.
pub const MAX_RETRY_AFTER_MS: u64 = 24 * 60 * 60 * 1000;

/// The wait that the headers of an answer ask for, in milliseconds.
///
/// In this order: `retry-after-ms`, `retry-after` in seconds, `retry-after` as an HTTP date (RFC 9110 §10.2.3); then, of a
/// budget that is used up, the longest `x-ratelimit-reset-*` (OpenAI and others) and `x-ratelimit-interval-seconds`
/// (Atlassian's Data Center).
pub fn retry_after_ms(headers: &[(String, String)]) -> Option<u64> {
    header(headers, "retry-after-ms")
        .and_then(|value| number_ms(value, 1.0))
        .or_else(|| header(headers, "retry-after").and_then(|value| number_ms(value, 1000.0)))
        .or_else(|| date_ms(headers))
        .or_else(|| reset_ms(headers))
        .or_else(|| interval_ms(headers))
        .map(|wait| wait.min(MAX_RETRY_AFTER_MS))
}

fn number_ms(text: &str, unit_ms: f64) -> Option<u64> {
    // `inf` and `nan` parse as numbers, but no server means them.
    let value: f64 = text.parse().ok()?;
    if !value.is_finite() || value < 0.0 {
        return None;
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "finite, not negative, and the cast saturates"
    )]
    let wait = (value * unit_ms).ceil() as u64;
    Some(wait)
}

fn date_ms(headers: &[(String, String)]) -> Option<u64> {
    let at: SystemTime = httpdate::parse_http_date(header(headers, "retry-after")?).ok()?;
    let now = httpdate::parse_http_date(header(headers, "date")?).ok()?;
    // A date that has passed means "now".
    let wait = at.duration_since(now).unwrap_or_default();
    u64::try_from(wait.as_millis()).ok()
}

fn reset_ms(headers: &[(String, String)]) -> Option<u64> {
    ["requests", "tokens"]
        .iter()
        .filter(|kind| {
            header(headers, &format!("x-ratelimit-remaining-{kind}"))
                .is_some_and(|left| left.parse::<f64>().is_ok_and(|left| left <= 0.0))
        })
        .filter_map(|kind| duration_ms(header(headers, &format!("x-ratelimit-reset-{kind}"))?))
        .max()
}

fn interval_ms(headers: &[(String, String)]) -> Option<u64> {
    let left: u64 = header(headers, "x-ratelimit-remaining")?.parse().ok()?;
    let interval = || header(headers, "x-ratelimit-interval-seconds").and_then(|value| number_ms(value, 1000.0));
    (left == 0).then(interval).flatten()
}

/// A duration as OpenAI writes it: `1s`, `6m0s`, `1h2m3s`, `20ms`, `1.5s`, or a bare number of seconds.
pub fn duration_ms(text: &str) -> Option<u64> {
    if let Some(wait) = number_ms(text, 1000.0) {
        return Some(wait);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let unit_ms = match unit {
            "ms" => 1.0,
            "s" => 1000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => 86_400_000.0,
            _ => return None,
        };
        total = total.saturating_add(number_ms(number, unit_ms)?);
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wait(pairs: &[(&str, &str)]) -> Option<u64> {
        let headers: Vec<_> = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        retry_after_ms(&headers)
    }

    #[test]
    fn every_form() {
        assert_eq!(wait(&[]), None);
        assert_eq!(wait(&[("retry-after", "7")]), Some(7000));
        assert_eq!(wait(&[("retry-after", " 0.25 ")]), Some(250));
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        assert_eq!(wait(&[("retry-after", "-3")]), None);
        assert_eq!(wait(&[("retry-after", "inf")]), None);
        assert_eq!(wait(&[("retry-after", "1e300")]), Some(MAX_RETRY_AFTER_MS));
        assert_eq!(wait(&[("retry-after", "2"), ("retry-after-ms", "1234")]), Some(1234));
        let date = ("date", "Tue, 15 Nov 1994 08:12:31 GMT");
        let at = ("retry-after", "Tue, 15 Nov 1994 08:12:41 GMT");
        assert_eq!(wait(&[at, date]), Some(10_000));
        assert_eq!(wait(&[at]), None, "without Date there is nothing to count from");
        assert_eq!(wait(&[("retry-after", "Tue, 15 Nov 1994 08:00:00 GMT"), date]), Some(0));
    }

    #[test]
    fn resets_count_only_for_a_budget_that_is_used_up() {
        let reset = ("x-ratelimit-reset-tokens", "6m0s");
        assert_eq!(wait(&[reset]), None);
        assert_eq!(wait(&[reset, ("x-ratelimit-remaining-tokens", "12")]), None);
        assert_eq!(wait(&[reset, ("x-ratelimit-remaining-tokens", "0")]), Some(360_000));
        let interval = ("x-ratelimit-interval-seconds", "60");
        assert_eq!(wait(&[interval]), None);
        assert_eq!(wait(&[interval, ("x-ratelimit-remaining", "4")]), None);
        assert_eq!(wait(&[interval, ("x-ratelimit-remaining", "0")]), Some(60_000));
        assert_eq!(duration_ms("1h2m3.5s"), Some(3_723_500));
        assert_eq!(duration_ms("20ms"), Some(20));
        assert_eq!(duration_ms("5x"), None);
        assert_eq!(duration_ms("s"), None);
        assert_eq!(duration_ms(""), None);
    }

    proptest! {
        #[test]
        fn never_panics_and_is_bounded(a in "\\PC{0,40}", b in "[0-9a-z.]{0,20}") {
            for value in [&a, &b] {
                let got = wait(&[
                    ("retry-after", value), ("retry-after-ms", value), ("date", value),
                    ("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", value),
                    ("x-ratelimit-remaining", "0"), ("x-ratelimit-interval-seconds", value),
                ]);
                prop_assert!(got.is_none_or(|wait| wait <= MAX_RETRY_AFTER_MS));
            }
        }
    }
}
