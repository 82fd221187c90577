//! Bytes that rules allow for an hour, counted over the last sixty minutes.
//!
//! Invariant: what was sent or received under a rule counts for at least an hour, over a restart too.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use fumehood_policy::{CeilingHour, Denial, HourUse, HttpRule, Request, decide_budget, decide_ceiling_hour};
use fumehood_runtime::Counted;

/// Minutes that count.
const MINUTES: i64 = 60;

/// What was used, by plugin and by what its rule is about.
#[derive(Default)]
pub(super) struct Budgets(Mutex<Used>);

#[derive(Clone, Copy)]
struct Minute {
    minute: i64,
    sent: u64,
    received: u64,
}

impl Budgets {
    /// What was counted, whoever panicked while it counted: it is never forgotten.
    fn used(&self) -> std::sync::MutexGuard<'_, Used> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Take up what an earlier process counted in one hour of the clock: as if all of it had come at the hour's end, or
    /// just now.
    pub(super) fn seed(&self, plugin: &str, rule: &str, hour: i64, sent: u64, received: u64, now_us: i64) {
        let minute = (hour * 60 + 59).min(now_us / 60_000_000);
        self.add(plugin, rule, minute, sent, received);
    }

    fn add(&self, plugin: &str, rule: &str, minute: i64, sent: u64, received: u64) {
        add(&mut self.used(), plugin, rule, minute, sent, received);
    }

    /// Count a request of `size` bytes against its rule's hour and the ceilings', if all of them have room for it. Of
    /// each of `ceilings` one alternative has to.
    pub(super) fn reserve(
        &self,
        plugin: &str,
        rule: &HttpRule,
        ceilings: &[Vec<CeilingHour>],
        request: &Request,
        size: u64,
        now_us: i64,
    ) -> Result<Counted, Denial> {
        let minute = now_us / 60_000_000;
        // One lock for looking and counting: two requests at once must not both fit into what one of them fills.
        let mut used = self.used();
        let mut counted = Counted { most: 0, ceilings: Vec::with_capacity(ceilings.len()) };
        for alternatives in ceilings {
            let with_use =
                alternatives.iter().map(|one| (one, HourUse { size, ..sum(&mut used, plugin, &one.key, minute) }));
            counted.ceilings.push(decide_ceiling_hour(plugin, request, with_use.collect::<Vec<_>>())?.clone());
        }
        let target = rule.target();
        let so_far = HourUse { size, ..sum(&mut used, plugin, &target, minute) };
        counted.most = decide_budget(plugin, rule, request, so_far)?;
        for key in counted.ceilings.iter().map(|hour| &hour.key).chain([&target]) {
            add(&mut used, plugin, key, minute, size, 0);
        }
        Ok(counted)
    }

    /// Count bytes of an answer, also those that are refused because an hour is used up by them: they did arrive.
    pub(super) fn received(
        &self,
        plugin: &str,
        rule: &HttpRule,
        counted: &Counted,
        request: &Request,
        bytes: u64,
        now_us: i64,
    ) -> Result<(), Denial> {
        let minute = now_us / 60_000_000;
        let target = rule.target();
        let mut used = self.used();
        for key in counted.ceilings.iter().map(|hour| &hour.key).chain([&target]) {
            add(&mut used, plugin, key, minute, 0, bytes);
        }
        // What was counted before was within the limits; so is what fills them to the last byte.
        let before = |used: HourUse| HourUse { received: used.received.saturating_sub(1), sent: 0, size: 0 };
        for hour in &counted.ceilings {
            decide_ceiling_hour(plugin, request, [(hour, before(sum(&mut used, plugin, &hour.key, minute)))])?;
        }
        decide_budget(plugin, rule, request, before(sum(&mut used, plugin, &target, minute))).map(drop)
    }
}

type Used = HashMap<(String, String), VecDeque<Minute>>;

fn add(used: &mut Used, plugin: &str, rule: &str, minute: i64, sent: u64, received: u64) {
    let minutes = used.entry((plugin.to_owned(), rule.to_owned())).or_default();
    match minutes.back_mut() {
        Some(last) if last.minute >= minute => {
            last.sent = last.sent.saturating_add(sent);
            last.received = last.received.saturating_add(received);
        }
        _ => minutes.push_back(Minute { minute, sent, received }),
    }
}

/// What was used in the sixty minutes up to this one.
fn sum(used: &mut Used, plugin: &str, rule: &str, minute: i64) -> HourUse {
    let Some(minutes) = used.get_mut(&(plugin.to_owned(), rule.to_owned())) else { return HourUse::default() };
    while minutes.front().is_some_and(|first| first.minute < minute - MINUTES) {
        minutes.pop_front();
    }
    let sum = |part: fn(&Minute) -> u64| minutes.iter().map(part).fold(0, u64::saturating_add);
    HourUse { sent: sum(|one| one.sent), received: sum(|one| one.received), size: 0 }
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

    fn reserve(budgets: &Budgets, plugin: &str, rule: &HttpRule, bytes: u64, minute: i64) -> Result<Counted, Denial> {
        budgets.reserve(plugin, rule, &[], &post(bytes), bytes, minute * MINUTE_US)
    }

    fn most(budgets: &Budgets, rule: &HttpRule) -> Option<u64> {
        reserve(budgets, "p", rule, 0, 0).ok().map(|counted| counted.most)
    }

    #[test]
    fn an_hour_slides() {
        let (budgets, rule) = (Budgets::default(), rule(100));
        let send = |bytes, minute: i64| reserve(&budgets, "p", &rule, bytes, minute).is_ok();
        assert!(send(60, 1000));
        assert!(!send(41, 1030), "refused bytes do not count");
        assert!(send(40, 1030));
        assert!(!send(1, 1060));
        assert!(send(60, 1061), "an hour and a minute later");
        assert!(!send(1, 1061));
        assert!(reserve(&budgets, "other", &rule, 100, 1061).is_ok(), "each plugin has its own");
    }

    #[test]
    fn answers_count_as_they_arrive_whatever_else_is_on_its_way() {
        let (budgets, rule) = (Budgets::default(), rule(100));
        assert_eq!(most(&budgets, &rule), Some(100));
        let counted = reserve(&budgets, "p", &rule, 0, 0).unwrap();
        let arrive = |bytes| budgets.received("p", &rule, &counted, &post(0), bytes, 0);
        assert!(arrive(70).is_ok());
        assert_eq!(most(&budgets, &rule), Some(30));
        assert!(arrive(30).is_ok(), "to the last byte");
        assert_eq!(most(&budgets, &rule), None);
        let denial = arrive(1).unwrap_err();
        assert!(denial.to_string().contains("has used up its 100 bytes of this hour"), "{denial}");
    }

    #[test]
    fn a_ceilings_hour_is_shared_by_all_rules_under_it() {
        let budgets = Budgets::default();
        let hour = |key: &str| CeilingHour { key: key.into(), sent: Some(100), received: Some(100) };
        let ceilings = [vec![hour("a"), hour("b")]];
        let rules = ["/x", "/y", "/z"].map(|path| HttpRule {
            path_prefix: path.parse().unwrap(),
            max_request_bytes_per_hour: None,
            max_response_bytes_per_hour: None,
            ..rule(0)
        });
        let send = |at: usize, bytes| budgets.reserve("p", &rules[at], &ceilings, &post(bytes), bytes, 0);
        assert_eq!(send(0, 80).unwrap().ceilings[0].key, "a");
        assert_eq!(send(1, 80).unwrap().ceilings[0].key, "b", "one of several has to have room");
        assert_eq!(send(2, 20).unwrap().ceilings[0].key, "a");
        let denial = send(2, 21).unwrap_err();
        assert!(
            denial.to_string().contains("has used up the 100 bytes that the organisation's ceiling has for an hour"),
            "{denial}"
        );
        let counted = send(2, 20).unwrap();
        assert!(budgets.received("p", &rules[0], &counted, &post(0), 100, 0).is_ok());
        assert!(budgets.received("p", &rules[1], &counted, &post(0), 1, 0).is_err());
    }

    #[test]
    fn a_restart_does_not_give_the_hour_back() {
        let (budgets, rule) = (Budgets::default(), rule(100));
        let minute = 10 * 60 + 20;
        budgets.seed("p", &rule.target(), 9, 50, 0, minute * MINUTE_US);
        budgets.seed("p", &rule.target(), 10, 30, 0, minute * MINUTE_US);
        assert!(reserve(&budgets, "p", &rule, 21, minute).is_err());
        assert!(reserve(&budgets, "p", &rule, 20, minute).is_ok());
        assert!(reserve(&budgets, "p", &rule, 20, minute + 41).is_ok(), "the ninth hour is over");
    }
}
