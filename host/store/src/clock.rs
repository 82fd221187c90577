//! The one place that reads the clock. Everything else takes the time as an argument or asks here.

/// The time.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Microseconds since the Unix epoch, UTC.
pub fn now_us() -> i64 {
    now().as_microsecond()
}

/// RFC 3339 with microseconds, for interfaces.
pub fn rfc3339(time_us: i64) -> String {
    match jiff::Timestamp::from_microsecond(time_us) {
        Ok(time) => format!("{time:.6}"),
        Err(_) => String::new(),
    }
}
