//! Bytes that rules allow for an hour, counted over the last sixty minutes.
//!
//! Invariant: what was sent or received under a rule counts for at least an hour, over a restart too.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use fumehood_policy::{Denial, HttpRule, Request, decide_budget};

/// Minutes that count.
const MINUTES: i64 = 60;

/// What was used, by plugin and by what its rule is about.
#[derive(Default)]
pub(super) struct Budgets(Mutex<HashMap<(String, String), VecDeque<Minute>>>);

#[derive(Clone, Copy)]
struct Minute {
    minute: i64,
    sent: u64,
    received: u64,
}

impl Budgets {
    /// Take up what an earlier process counted in one hour of the clock: as if all of it had come at the hour's end, or
    /// just now.
    pub(super) fn seed(&self, plugin: &str, rule: &str, hour: i64, sent: u64, received: u64, now_us: i64) {
        let minute = (hour * 60 + 59).min(now_us / 60_000_000);
        self.add(plugin, rule, minute, sent, received);
    }

    fn add(&self, plugin: &str, rule: &str, minute: i64, sent: u64, received: u64) {
        let Ok(mut used) = self.0.lock() else { return };
        let minutes = used.entry((plugin.to_owned(), rule.to_owned())).or_default();
        match minutes.back_mut() {
            Some(last) if last.minute >= minute => {
                last.sent = last.sent.saturating_add(sent);
                last.received = last.received.saturating_add(received);
            }
            _ => minutes.push_back(Minute { minute, sent, received }),
        }
    }

    /// Count a request's bytes, if the hour has room for them. Gives the most that the answer may have.
    pub(super) fn reserve(&self, plugin: &str, rule: &HttpRule, request: &Request, now_us: i64) -> Result<u64, Denial> {
        let minute = now_us / 60_000_000;
        // One lock for looking and counting: two requests at once must not both fit into what one of them fills.
        let Ok(mut used) = self.0.lock() else {
            // A poisoned lock: what was used is not known, so all of it may be.
            return decide_budget(plugin, rule, request, u64::MAX, u64::MAX);
        };
        let minutes = used.entry((plugin.to_owned(), rule.target())).or_default();
        while minutes.front().is_some_and(|first| first.minute < minute - MINUTES) {
            minutes.pop_front();
        }
        let sum = |part: fn(&Minute) -> u64| minutes.iter().map(part).fold(0, u64::saturating_add);
        let (sent, received) = (sum(|one| one.sent), sum(|one| one.received));
        let most = decide_budget(plugin, rule, request, sent, received)?;
        match minutes.back_mut() {
            Some(last) if last.minute >= minute => last.sent = last.sent.saturating_add(request.body_bytes()),
            _ => minutes.push_back(Minute { minute, sent: request.body_bytes(), received: 0 }),
        }
        Ok(most)
    }

    /// Count bytes of an answer.
    pub(super) fn received(&self, plugin: &str, rule: &HttpRule, bytes: u64, now_us: i64) {
        self.add(plugin, &rule.target(), now_us / 60_000_000, 0, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_US: i64 = 60_000_000;

    fn rule(hour: u64) -> HttpRule {
        let request = Request::parse("POST", "https://a.example.com/x", 0).unwrap();
        let nothing = fumehood_policy::PluginGrant::nothing("p", fumehood_policy::Digest::new([0; 32]), 1);
        let needed = fumehood_policy::decide(&nothing, &request).unwrap_err().needed().cloned().unwrap();
        HttpRule { max_request_bytes_per_hour: Some(hour), max_response_bytes_per_hour: Some(hour), ..needed }
    }

    fn post(bytes: u64) -> Request {
        Request::parse("POST", "https://a.example.com/x", bytes).unwrap()
    }

    #[test]
    fn an_hour_slides() {
        let (budgets, rule) = (Budgets::default(), rule(100));
        let send = |bytes, minute: i64| budgets.reserve("p", &rule, &post(bytes), minute * MINUTE_US).is_ok();
        assert!(send(60, 1000));
        assert!(!send(41, 1030), "refused bytes do not count");
        assert!(send(40, 1030));
        assert!(!send(1, 1060));
        assert!(send(60, 1061), "an hour and a minute later");
        assert!(!send(1, 1061));
        assert!(budgets.reserve("other", &rule, &post(100), 1061 * MINUTE_US).is_ok(), "each plugin has its own");
    }

    #[test]
    fn answers_count_as_they_arrive() {
        let (budgets, rule) = (Budgets::default(), rule(100));
        assert_eq!(budgets.reserve("p", &rule, &post(0), 0), Ok(100));
        budgets.received("p", &rule, 70, 0);
        assert_eq!(budgets.reserve("p", &rule, &post(0), 0), Ok(30));
        budgets.received("p", &rule, 70, 0);
        assert!(budgets.reserve("p", &rule, &post(0), 0).is_err());
    }

    #[test]
    fn a_restart_does_not_give_the_hour_back() {
        let (budgets, rule) = (Budgets::default(), rule(100));
        let now = (10 * 60 + 20) * MINUTE_US;
        budgets.seed("p", &rule.target(), 9, 50, 0, now);
        budgets.seed("p", &rule.target(), 10, 30, 0, now);
        assert!(budgets.reserve("p", &rule, &post(21), now).is_err());
        assert!(budgets.reserve("p", &rule, &post(20), now).is_ok());
        assert!(budgets.reserve("p", &rule, &post(20), now + 41 * MINUTE_US).is_ok(), "the ninth hour is over");
    }
}
