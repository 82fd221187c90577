//! When the server wants to be asked again.
//!
//! Invariant: pure. The plugin has no clock: an HTTP date counts from the answer's own `Date` header.

use crate::host::header;

/// Longest wish that is passed on, in milliseconds: a day.
pub const MAX_RETRY_AFTER_MS: u64 = 24 * 60 * 60 * 1000;

/// The wait that the headers of an answer ask for, in milliseconds: `Retry-After` in seconds or as an HTTP date
/// (RFC 9110 §10.2.3), or Data Center's refill interval when its budget is empty.
pub fn retry_after_ms(headers: &[(String, String)]) -> Option<u64> {
    let seconds = |name: &str| header(headers, name).and_then(|text| text.parse::<u64>().ok());
    seconds("retry-after")
        .map(|wait| wait.saturating_mul(1000))
        .or_else(|| {
            let at = httpdate::parse_http_date(header(headers, "retry-after")?).ok()?;
            let now = httpdate::parse_http_date(header(headers, "date")?).ok()?;
            u64::try_from(at.duration_since(now).unwrap_or_default().as_millis()).ok()
        })
        .or_else(|| {
            (seconds("x-ratelimit-remaining")? == 0)
                .then(|| seconds("x-ratelimit-interval-seconds"))
                .flatten()
                .map(|wait| wait.saturating_mul(1000))
        })
        .map(|wait| wait.min(MAX_RETRY_AFTER_MS))
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
        assert_eq!(wait(&[("retry-after", "18446744073709551615")]), Some(MAX_RETRY_AFTER_MS));
        let date = ("date", "Tue, 15 Nov 1994 08:12:31 GMT");
        let at = ("retry-after", "Tue, 15 Nov 1994 08:12:41 GMT");
        assert_eq!(wait(&[at, date]), Some(10_000));
        assert_eq!(wait(&[date, ("retry-after", "Tue, 15 Nov 1994 08:12:01 GMT")]), Some(0));
        assert_eq!(wait(&[at]), None);
        let interval = ("x-ratelimit-interval-seconds", "60");
        assert_eq!(wait(&[interval]), None);
        assert_eq!(wait(&[interval, ("x-ratelimit-remaining", "4")]), None);
        assert_eq!(wait(&[interval, ("x-ratelimit-remaining", "0")]), Some(60_000));
    }

    proptest! {
        #[test]
        fn never_panics_and_is_bounded(text in "\\PC{0,40}") {
            let got = wait(&[("retry-after", &text), ("date", &text), ("x-ratelimit-remaining", "0"), ("x-ratelimit-interval-seconds", &text)]);
            prop_assert!(got.is_none_or(|wait| wait <= MAX_RETRY_AFTER_MS));
        }
    }
}
