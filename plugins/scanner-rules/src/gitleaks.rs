//! Rules of gitleaks 8, with their meaning there.
//!
//! What a rule does: if the file's name fits and one of the keywords stands in the window, each match of its expression
//! is a candidate; the secret is the group that the rule names, else the first group that is not empty, else the whole
//! match; its entropy must be above the rule's; no allowlist may hold.
//!
//! What is left out on purpose: the remark `gitleaks:allow`, because whoever can write into a log could write it, and
//! the decoding of base64 and its like. Rules with `skipReport` report nothing; a rule with a path alone has nothing to
//! look for in a text.
//!
//! Invariant: a finding is the secret's range, and its detector is the rule's name and nothing of the text.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use regex_automata::meta::Regex;

use crate::allowlist::{Allowlist, LineMemo, Subject, any, is_match, short};
use crate::config::{Gitleaks, GitleaksRule, MAX_GITLEAKS_PATTERN};
use crate::found::{Hit, Hits};
use crate::go;
use crate::matcher::{Found, Matcher};
use crate::text::entropy;

const CONFIDENCE: f32 = 0.9;
/// The longest name of a detector, bytes.
const MAX_DETECTOR: usize = 48;

/// A rule, ready.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) matcher: Matcher,
    pub(crate) keywords: Vec<String>,
    detector: Arc<str>,
    path: Option<Regex>,
    group: usize,
    entropy: f64,
    /// Its own allowlists.
    allowlists: Vec<Allowlist>,
    /// Those of its configuration.
    global: Arc<[Allowlist]>,
    /// A rule for what looks like a secret, which gives way to one that knows what it is.
    pub(crate) generic: bool,
}

/// Compile one configuration; what is wrong goes to `problems`.
pub(crate) fn compile(config: &Gitleaks, problems: &mut Vec<String>) -> Vec<Rule> {
    let mut global = Vec::new();
    let mut targeted: BTreeMap<&str, Vec<Allowlist>> = BTreeMap::new();
    for list in &config.allowlists {
        let Some(compiled) = Allowlist::new(list, "gitleaks", problems) else { continue };
        for target in &list.target_rules {
            if config.rules.iter().any(|rule| rule.id == *target) {
                targeted.entry(target).or_default().push(compiled.clone());
            } else {
                problems.push(format!("gitleaks, allowlist: there is no rule {target:?}"));
            }
        }
        if list.target_rules.is_empty() {
            global.push(compiled);
        }
    }
    let global: Arc<[Allowlist]> = global.into();
    let mut rules: BTreeMap<&str, Rule> = BTreeMap::new();
    for rule in &config.rules {
        let targeted = targeted.get(rule.id.as_str()).cloned().unwrap_or_default();
        // Of two rules with one name the later one holds, as in gitleaks.
        match Rule::new(rule, targeted, &global, problems) {
            Some(compiled) => rules.insert(&rule.id, compiled),
            None => rules.remove(rule.id.as_str()),
        };
    }
    rules.into_values().collect()
}

impl Rule {
    fn new(
        rule: &GitleaksRule,
        mut allowlists: Vec<Allowlist>,
        global: &Arc<[Allowlist]>,
        problems: &mut Vec<String>,
    ) -> Option<Self> {
        let id = rule.id.trim();
        if id.is_empty() {
            problems.push(format!("gitleaks: a rule has no id ({:?})", short(&rule.regex)));
            return None;
        }
        let of = format!("gitleaks rule {id}");
        for list in &rule.allowlists {
            allowlists.extend(Allowlist::new(list, &of, problems));
        }
        let path = match rule.path.as_str() {
            "" => None,
            path => any(&[path.to_owned()]).map_err(|error| problems.push(format!("{of}: path: {error}"))).ok()?,
        };
        if rule.regex.is_empty() {
            if path.is_none() {
                problems.push(format!("{of}: it has neither regex nor path"));
            }
            return None;
        }
        let matcher = if rule.regex.len() > MAX_GITLEAKS_PATTERN {
            Err(format!("its regex is longer than {MAX_GITLEAKS_PATTERN} bytes"))
        } else {
            go::translate(&rule.regex)
                .and_then(|pattern| Matcher::new(&pattern))
                .map_err(|error| format!("its regex cannot be used: {error}"))
        };
        let matcher = matcher.map_err(|error| problems.push(format!("{of}: {error}"))).ok()?;
        if rule.secret_group > matcher.groups() {
            let groups = matcher.groups();
            problems.push(format!("{of}: its secretGroup is {}, and there are {groups} groups", rule.secret_group));
            return None;
        }
        (!rule.skip_report).then(|| Self {
            matcher,
            keywords: rule.keywords.iter().filter(|keyword| !keyword.is_empty()).cloned().collect(),
            detector: detector(id),
            path,
            group: rule.secret_group,
            entropy: rule.entropy,
            allowlists,
            global: global.clone(),
            generic: id.to_ascii_lowercase().contains("generic"),
        })
    }

    /// Whether the rule has anything to say about a file of that name.
    fn applies(&self, name: Option<&str>) -> bool {
        self.path.as_ref().is_none_or(|path| name.is_some_and(|name| is_match(path, name)))
            && !self.lists().any(|list| list.allows_file(name))
    }

    fn lists(&self) -> impl Iterator<Item = &Allowlist> {
        self.global.iter().chain(&self.allowlists)
    }

    /// All that is found in parts of a text.
    pub(crate) fn scan(
        &self,
        text: &str,
        name: Option<&str>,
        kind: usize,
        parts: &[Range<usize>],
        report: &mut impl FnMut(Hit),
    ) {
        if parts.is_empty() || !self.applies(name) {
            return;
        }
        let mut cache = self.matcher.cache();
        let mut memos: Vec<LineMemo> = vec![None; self.lists().count()];
        let mut lines = Lines { range: 0..0, single: false };
        for part in parts {
            let mut at = part.start;
            while let Some(found) = self.matcher.find(&mut cache, text, at..part.end) {
                at = found.end;
                let found = trimmed(text, found);
                let Some(secret) = self.secret(&mut cache, text, found) else { continue };
                let matched = text.get(found.start..found.end).unwrap_or_default();
                let line = lines.of(text, found);
                let subject =
                    Subject { secret: text.get(secret.clone()).unwrap_or_default(), matched, text, line, name };
                if !self.lists().zip(&mut memos).any(|(list, memo)| list.allows(&subject, memo)) {
                    report(Hit {
                        kind,
                        start: secret.start,
                        end: secret.end,
                        confidence: CONFIDENCE,
                        validated: false,
                        detector: self.detector.clone(),
                    });
                }
            }
        }
    }

    /// The range of the secret, if it is random enough. gitleaks looks for the groups in the match alone, and so does
    /// this.
    fn secret(&self, cache: &mut regex_automata::meta::Cache, text: &str, found: Found) -> Option<Range<usize>> {
        let matched = text.get(found.start..found.end)?;
        let mut secret = found.start..found.end;
        if self.matcher.groups() > 0
            && let Some(groups) = self.matcher.groups_in(cache, matched)
        {
            let group = match self.group {
                0 => groups.into_iter().skip(1).flatten().find(|group| !group.is_empty()),
                number => Some(groups.into_iter().nth(number).flatten()?),
            };
            if let Some(group) = group {
                secret = found.start + group.start..found.start + group.end;
            }
        }
        let characters = text.get(secret.clone())?;
        (self.entropy == 0.0 || entropy(characters) > self.entropy).then_some(secret)
    }
}

/// A match without the line ends around it, which gitleaks does not count.
fn trimmed(text: &str, found: Found) -> Found {
    let matched = text.get(found.start..found.end).unwrap_or_default();
    let start = found.start + matched.len() - matched.trim_start_matches('\n').len();
    Found { start, end: start + matched.trim_matches('\n').len() }
}

/// `gitleaks <id>`, with what a detector's name cannot have replaced.
fn detector(id: &str) -> Arc<str> {
    let fits = |c: char| if c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '/') { c } else { '-' };
    Arc::from(format!("gitleaks {id}").chars().map(fits).take(MAX_DETECTOR).collect::<String>())
}

/// The lines of the last match.
#[derive(Clone, Debug)]
struct Lines {
    range: Range<usize>,
    single: bool,
}

impl Lines {
    /// From the start of the line in which a match begins to the end of the one in which it ends, without the line end.
    /// Matches within one line pay for it once.
    fn of(&mut self, text: &str, found: Found) -> Range<usize> {
        let Range { start, end } = self.range;
        if !(self.single && start <= found.start && found.end <= end) {
            let bytes = text.as_bytes();
            let before = memchr::memrchr(b'\n', bytes.get(..found.start).unwrap_or_default());
            let after = memchr::memchr(b'\n', bytes.get(found.end..).unwrap_or_default());
            self.range =
                before.map_or(0, |newline| newline + 1)..after.map_or(bytes.len(), |newline| found.end + newline);
            let matched = bytes.get(found.start..found.end).unwrap_or_default();
            self.single = memchr::memchr(b'\n', matched).is_none();
        }
        self.range.clone()
    }
}

/// Of the findings of all rules, without those of a generic rule that lie within one of a rule that knows more.
pub(crate) fn without_generic(mut found: Vec<(bool, Hit)>, hits: &mut Hits) {
    found.sort_by_key(|(generic, hit)| (hit.start, *generic, std::cmp::Reverse(hit.end)));
    let mut covered = 0;
    for (generic, hit) in found {
        if generic && hit.end <= covered {
            continue;
        }
        if !generic {
            covered = covered.max(hit.end);
        }
        hits.push(hit);
    }
}
