//! Servers that cannot be reached are not asked for by every caller, each waiting for it anew.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fumehood_mcp::McpError;
use fumehood_store::ServerId;

/// Failures one after the other until a server is left alone for a while.
const FAILURES: u32 = 3;
/// How long at first, twice as long with each failure more, and at most.
const REST: Duration = Duration::from_secs(5);
const REST_AT_MOST: Duration = Duration::from_secs(120);

struct Failing {
    failures: u32,
    until: Instant,
    /// What was wrong the last time.
    error: McpError,
}

/// One for each server that failed last.
#[derive(Default)]
pub(super) struct Breakers(Mutex<HashMap<ServerId, Failing>>);

/// How long a server is left alone after so many failures.
fn rest(failures: u32) -> Duration {
    match failures.checked_sub(FAILURES) {
        None => Duration::ZERO,
        Some(more) => REST.saturating_mul(1 << more.min(10)).min(REST_AT_MOST),
    }
}

impl Breakers {
    /// Whether a server may be asked.
    ///
    /// # Errors
    /// What was wrong the last time, while it is left alone.
    pub(super) fn check(&self, server: ServerId) -> Result<(), McpError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&server) {
            Some(failing) if failing.until > Instant::now() => Err(failing.error.clone()),
            // One caller finds out; the others are told what it found.
            Some(failing) if failing.failures >= FAILURES => {
                failing.until = Instant::now() + rest(failing.failures);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A connection could not be opened. What a person has to mend, or a caller, says nothing about the next try.
    pub(super) fn failed(&self, server: ServerId, error: &McpError) {
        if !matches!(error, McpError::Unreachable(_) | McpError::TimedOut { .. } | McpError::Closed(_)) {
            return self.forget(server);
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = all.get(&server).map_or(0, |failing| failing.failures).saturating_add(1);
        let until = Instant::now() + rest(failures);
        all.insert(server, Failing { failures, until, error: error.clone() });
    }

    /// It answers again, or is another one.
    pub(super) fn forget(&self, server: ServerId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&server);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_fails_again_and_again_is_left_alone_for_longer() {
        let rests: Vec<u64> = (0..=9).map(|failures| rest(failures).as_secs()).collect();
        assert_eq!(rests, [0, 0, 0, 5, 10, 20, 40, 80, 120, 120]);
        let (breakers, server) = (Breakers::default(), ServerId::new());
        for _ in 0..FAILURES {
            assert!(breakers.check(server).is_ok());
            breakers.failed(server, &McpError::TimedOut { seconds: 40 });
        }
        assert!(matches!(breakers.check(server), Err(McpError::TimedOut { seconds: 40 })));
        breakers.forget(server);
        assert!(breakers.check(server).is_ok());
        breakers.failed(server, &McpError::NoTools);
        assert!(breakers.check(server).is_ok());
    }
}
