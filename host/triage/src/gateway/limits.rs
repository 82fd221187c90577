//! How often a caller may call: in all, and one tool; and how much it may have going on at once.
//!
//! The generic cell rate algorithm: a call is let through while the theoretical arrival time of the next is no further off
//! than what may come at once. What is kept of each caller and tool is one time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fumehood_mcp::gateway::RpcError;
use fumehood_store::Scope;

/// A caller over its limit; of the range that the protocol leaves to servers.
const TOO_OFTEN: i64 = -32050;
/// Callers and tools that are remembered; beyond it those that have long been quiet are forgotten.
const KEPT: usize = 10_000;
/// Requests of one caller that may be under way at once, streams of changes among them.
const UNDER_WAY: usize = 256;
/// What may come at once, of what may come in a minute: a tenth, and one at least.
const AT_ONCE: u32 = 10;

/// Calls of tools that one caller may make in a minute; 0 for any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallLimits {
    pub of_caller: u32,
    /// Of one tool.
    pub of_tool: u32,
}

pub(super) struct Limits {
    limits: CallLimits,
    /// When the next call would be due, by caller and tool; of all its tools together under no name.
    due: Mutex<HashMap<(String, String), Instant>>,
    /// Requests under way, by caller.
    under_way: Mutex<HashMap<String, usize>>,
}

/// A request that is under way, until this is dropped.
pub(super) struct UnderWay<'a> {
    limits: &'a Limits,
    caller: String,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut under_way = self.limits.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = under_way.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.caller);
            }
        }
    }
}

/// Let a call through: when the next is due. Otherwise how long to wait.
fn let_through(due: Option<Instant>, now: Instant, per_minute: u32) -> Result<Instant, Duration> {
    let every = Duration::from_secs(60) / per_minute.max(1);
    let ahead = every * (per_minute / AT_ONCE).max(1);
    let next = due.unwrap_or(now).max(now) + every;
    match next.saturating_duration_since(now + ahead) {
        Duration::ZERO => Ok(next),
        wait => Err(wait),
    }
}

impl Limits {
    pub(super) fn new(limits: CallLimits) -> Self {
        Self { limits, due: Mutex::default(), under_way: Mutex::default() }
    }

    /// Count a request that begins.
    ///
    /// # Errors
    /// The caller has too many under way.
    pub(super) fn enter(&self, caller: &Scope) -> Result<UnderWay<'_>, RpcError> {
        let caller = caller.actor.to_string();
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let count = under_way.entry(caller.clone()).or_default();
        if *count >= UNDER_WAY {
            let what =
                format!("{UNDER_WAY} requests of this caller are under way already; wait for one of them to end");
            return Err(RpcError::new(TOO_OFTEN, what));
        }
        *count += 1;
        drop(under_way);
        Ok(UnderWay { limits: self, caller })
    }

    /// Count a call.
    ///
    /// # Errors
    /// The caller is over its limit; the error says when to try again.
    pub(super) fn take(&self, caller: &Scope, tool: &str) -> Result<(), RpcError> {
        if self.limits == CallLimits::default() {
            return Ok(());
        }
        let (now, caller) = (Instant::now(), caller.actor.to_string());
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        if due.len() >= KEPT {
            due.retain(|_, due| *due > now);
        }
        let counted = [("", self.limits.of_caller), (tool, self.limits.of_tool)];
        let mut counts = Vec::with_capacity(counted.len());
        for (name, per_minute) in counted.into_iter().filter(|(_, per_minute)| *per_minute > 0) {
            let key = (caller.clone(), name.chars().take(256).collect::<String>());
            match let_through(due.get(&key).copied(), now, per_minute) {
                Ok(next) => counts.push((key, next)),
                Err(wait) => {
                    let of = if name.is_empty() { "tools" } else { "this tool" };
                    // Rounded up: whoever waits as long as that is let through.
                    let wait_ms = u64::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX).max(1);
                    let what = format!("at most {per_minute} calls of {of} in a minute; try again in {wait_ms} ms");
                    return Err(RpcError::new(TOO_OFTEN, what).with(serde_json::json!({"retryAfterMs": wait_ms})));
                }
            }
        }
        due.extend(counts);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_at_once_is_a_tenth_and_what_comes_in_a_minute_is_the_limit() {
        for per_minute in [1, 7, 60, 600, 10_000] {
            let begin = Instant::now();
            let (mut due, mut at_once) = (None, 0);
            while let Ok(next) = let_through(due, begin, per_minute) {
                (due, at_once) = (Some(next), at_once + 1);
            }
            assert_eq!(at_once, (per_minute / AT_ONCE).max(1));
            // Whoever asks again and again gets no more than the limit.
            let (mut now, mut let_in) = (begin, at_once);
            while now < begin + Duration::from_secs(60) {
                match let_through(due, now, per_minute) {
                    Ok(next) => (due, let_in) = (Some(next), let_in + 1),
                    Err(wait) => now += wait,
                }
            }
            assert!(let_in.abs_diff(per_minute + at_once) <= 1, "{per_minute}: {let_in}");
        }
    }

    #[test]
    fn callers_and_tools_are_counted_apart() {
        let limits = Limits::new(CallLimits { of_caller: 20, of_tool: 10 });
        let one = Scope { tenant: "t".into(), ..Scope::system() };
        assert_eq!(limits.take(&one, "a"), Ok(()));
        let refused = limits.take(&one, "a").unwrap_err();
        assert!(refused.code == TOO_OFTEN && refused.message.contains("this tool"), "{refused:?}");
        assert_eq!(limits.take(&one, "b"), Ok(()));
        assert!(limits.take(&one, "c").unwrap_err().message.contains("20 calls of tools"));
        let held: Vec<_> = (0..UNDER_WAY).map(|_| limits.enter(&one).map_err(|_| ()).unwrap()).collect();
        assert!(limits.enter(&one).is_err_and(|refused| refused.code == TOO_OFTEN));
        drop(held);
        assert!(limits.enter(&one).is_ok() && limits.under_way.lock().unwrap().is_empty(), "all of them ended");
        let none = Limits::new(CallLimits::default());
        assert!((0..1_000).all(|_| none.take(&one, "a").is_ok()));
    }
}
