//! What an upgrade or an edit changes in a grant.
//!
//! Invariant: a difference that shows no widening allows nothing new. Rules are compared method by method and origin
//! by origin, against one old rule at a time; what several old rules allow only together counts as a widening, which
//! costs an approval and never hides one.

use std::collections::BTreeSet;
use std::fmt;

use crate::rule::Bytes;
use crate::{ConfiguredRule, CredentialRule, HttpRule, Method, Origin, PluginGrant, ProcessRule};

/// Which way a change goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// It allows more. Needs an approval.
    Widening,
    /// It allows less.
    Narrowing,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which way.
    pub direction: Direction,
    /// What is new or gone, as a sentence without its subject: `may GET to https://…`.
    pub what: String,
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.direction {
            Direction::Widening => write!(formatter, "new: {}", self.what),
            Direction::Narrowing => write!(formatter, "gone: {}", self.what),
        }
    }
}

/// All changes, what widens first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// The changes.
    pub changes: Vec<Change>,
}

impl Diff {
    /// Whether anything is allowed that was not.
    #[must_use]
    pub fn widens(&self) -> bool {
        self.changes.iter().any(|change| change.direction == Direction::Widening)
    }

    /// Whether both grants allow the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// Compare what two grants allow; name, digest and generation are of no account.
#[must_use]
pub fn diff(old: &PluginGrant, new: &PluginGrant) -> Diff {
    let change = |direction| move |what| Change { direction, what };
    let wider = beyond(new, old).into_iter().map(change(Direction::Widening));
    let narrower = beyond(old, new).into_iter().map(change(Direction::Narrowing));
    Diff { changes: wider.chain(narrower).collect() }
}

/// What `a` allows and `b` does not, in sentences.
fn beyond(a: &PluginGrant, b: &PluginGrant) -> Vec<String> {
    let mut beyond = Vec::new();
    for rule in &a.http {
        let methods: BTreeSet<Method> =
            rule.methods.iter().filter(|method| !allows(b, rule, method)).cloned().collect();
        if !methods.is_empty() {
            beyond.push(HttpRule { methods, ..rule.clone() }.to_string());
        }
    }
    if a.kv_bytes > b.kv_bytes {
        beyond.push(format!("may store {} of its own instead of {}", Bytes(a.kv_bytes), Bytes(b.kv_bytes)));
    }
    for rule in &a.credentials {
        let bound_to: BTreeSet<Origin> =
            rule.bound_to.iter().filter(|origin| !may_send(b, &rule.handle, origin)).cloned().collect();
        if !bound_to.is_empty() {
            beyond.push(CredentialRule { bound_to, ..rule.clone() }.to_string());
        }
    }
    let uncovered = |rule: &&ProcessRule| !b.processes.iter().any(|other| other.covers(rule));
    beyond.extend(a.processes.iter().filter(uncovered).map(ProcessRule::to_string));
    for rule in &a.configured {
        let allowed = |method: &&Method| {
            let single = ConfiguredRule { methods: BTreeSet::from([(*method).clone()]), ..rule.clone() };
            b.configured.iter().any(|other| other.covers(&single))
        };
        let methods: BTreeSet<Method> = rule.methods.iter().filter(|method| !allowed(method)).cloned().collect();
        if !methods.is_empty() {
            beyond.push(ConfiguredRule { methods, ..rule.clone() }.to_string());
        }
    }
    if a.configured_process && !b.configured_process {
        beyond.push(CONFIGURED_PROCESS.to_owned());
    }
    beyond
}

/// What [`PluginGrant::configured_process`] means, as a sentence without its subject.
pub const CONFIGURED_PROCESS: &str = "may start the program in its settings";

/// Whether a grant allows one method of a rule.
fn allows(grant: &PluginGrant, rule: &HttpRule, method: &Method) -> bool {
    let single = HttpRule { methods: BTreeSet::from([method.clone()]), ..rule.clone() };
    grant.http.iter().any(|other| other.covers(&single))
}

fn may_send(grant: &PluginGrant, handle: &str, origin: &Origin) -> bool {
    let mut rules = grant.credentials.iter().filter(|rule| rule.handle == handle);
    rules.any(|rule| rule.bound_to.iter().any(|bound| bound.covers(origin)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;
    use crate::rule::samples::rule;

    fn grant(rules: &[&str], kv_bytes: u64) -> PluginGrant {
        let mut grant = PluginGrant::nothing("p", Digest::new([0; 32]), 1);
        grant.http = rules.iter().map(|text| rule(text)).collect();
        grant.kv_bytes = kv_bytes;
        grant
    }

    #[test]
    fn the_same_in_other_words_is_no_change() {
        let one = grant(&["GET,POST https://a.b.c/"], 1);
        let other = PluginGrant { generation: 9, ..grant(&["GET https://a.b.c/", "POST https://a.b.c/"], 1) };
        assert!(diff(&one, &other).is_empty() && diff(&other, &one).is_empty());
    }

    #[test]
    fn changes_are_sentences_and_what_widens_comes_first() {
        let old = grant(&["GET,PUT https://a.b.c/api"], 4096);
        let mut new = grant(&["GET,POST https://a.b.c/api"], 8192);
        let origin = Origin { scheme: crate::Scheme::Https, host: "a.b.c".parse().unwrap(), port: 443 };
        new.credentials = vec![CredentialRule { handle: "token".to_owned(), bound_to: BTreeSet::from([origin]) }];
        let found = diff(&old, &new);
        assert!(found.widens());
        assert_eq!(
            found.changes.iter().map(Change::to_string).collect::<Vec<_>>(),
            [
                "new: may POST to https://a.b.c/api (sending up to 16 MiB a request, receiving up to 16 MiB)",
                "new: may store 8 KiB of its own instead of 4 KiB",
                "new: may send credential `token` to https://a.b.c",
                "gone: may PUT to https://a.b.c/api (sending up to 16 MiB a request, receiving up to 16 MiB)",
            ]
        );
        assert!(!diff(&new, &PluginGrant::nothing("p", Digest::new([1; 32]), 2)).widens());
    }
}
