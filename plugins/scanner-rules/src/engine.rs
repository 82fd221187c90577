//! Where each pattern is looked for: one pass over the window finds the literals of all of them, and a pattern is
//! searched only in the parts around its literals.
//!
//! Invariants:
//! - every match of a pattern lies within one of its parts whole, and so does every text that the pattern could match
//!   there: searching the parts finds exactly what searching the window finds;
//! - the parts of a pattern are in order and do not overlap, so searching them costs at most what the window costs.

use std::collections::BTreeMap;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};
use regex_automata::meta::Regex;
use regex_automata::{Input, PatternSet};
use regex_syntax::hir::Hir;

use crate::matcher::{Matcher, Reach, config};

/// How many patterns without literals share an automaton.
const TOGETHER: usize = 16;
/// Patterns without literals are tried on so many bytes at a time.
const BLOCK: usize = 4 << 10;

/// The parts of the window in which a pattern is searched.
pub(crate) type Parts = Vec<Range<usize>>;

/// The plans of all patterns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Engine {
    literals: Option<AhoCorasick>,
    /// By literal: the patterns that are searched where it stands.
    users: Vec<Vec<usize>>,
    plans: Vec<Plan>,
    together: Vec<Together>,
}

/// How one pattern is looked for.
#[derive(Clone, Debug)]
struct Plan {
    reach: Reach,
    /// The length of its longest literal.
    longest: usize,
    /// It has no literals and is not tried together with others.
    always: bool,
    /// One of these literals must stand in the window; none means that none is needed.
    needs: Vec<usize>,
}

/// Patterns without literals that share an automaton, which says for each block which of them may match.
#[derive(Clone, Debug)]
struct Together {
    regex: Regex,
    patterns: Vec<usize>,
    bytes: usize,
    lines: usize,
}

/// Collects the plans.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    literals: BTreeMap<Vec<u8>, usize>,
    users: Vec<Vec<usize>>,
    plans: Vec<Plan>,
    single: Vec<(usize, Reach, Hir)>,
}

impl Builder {
    /// Add a pattern, which gets the next number. `keywords`: one of them must stand in the window.
    pub(crate) fn add(&mut self, matcher: &Matcher, keywords: &[String]) -> usize {
        let id = self.plans.len();
        let reach = matcher.reach();
        let needs = keywords.iter().map(|keyword| self.literal(keyword.to_ascii_lowercase().into_bytes())).collect();
        let mut plan = Plan { reach, longest: 0, always: false, needs };
        if let Some(required) = &matcher.required {
            for literal in &required.literals {
                plan.longest = plan.longest.max(literal.len());
                let literal = self.literal(literal.clone());
                if let Some(users) = self.users.get_mut(literal) {
                    users.push(id);
                }
            }
        } else if reach == Reach::Window || !plan.needs.is_empty() {
            plan.always = true;
        } else {
            self.single.push((id, reach, matcher.hir.clone()));
        }
        self.plans.push(plan);
        id
    }

    fn literal(&mut self, literal: Vec<u8>) -> usize {
        let next = self.users.len();
        let id = *self.literals.entry(literal).or_insert(next);
        if id == next {
            self.users.push(Vec::new());
        }
        id
    }

    /// Build the automata.
    ///
    /// # Errors
    /// They are too large.
    pub(crate) fn build(self) -> Result<Engine, String> {
        let mut literals: Vec<_> = self.literals.into_iter().collect();
        literals.sort_unstable_by_key(|(_, id)| *id);
        let automaton = (!literals.is_empty())
            .then(|| {
                AhoCorasickBuilder::new()
                    .match_kind(MatchKind::Standard)
                    .ascii_case_insensitive(true)
                    .kind((literals.len() <= 4000).then_some(aho_corasick::AhoCorasickKind::DFA))
                    .build(literals.iter().map(|(literal, _)| literal))
            })
            .transpose()
            .map_err(|error| error.to_string())?;
        let mut together = Vec::new();
        for group in self.single.chunks(TOGETHER) {
            let hirs: Vec<&Hir> = group.iter().map(|(_, _, hir)| hir).collect();
            let config = config()
                .match_kind(regex_automata::MatchKind::All)
                .nfa_size_limit(Some(16 << 20))
                .hybrid_cache_capacity(4 << 20);
            let regex =
                Regex::builder().configure(config).build_many_from_hir(&hirs).map_err(|error| error.to_string())?;
            let most = |of: fn(&Reach) -> usize| group.iter().map(|(_, reach, _)| of(reach)).max().unwrap_or(0);
            let bytes = most(|reach| if let Reach::Bytes(_, after) = reach { *after } else { 0 });
            let lines = most(|reach| if let Reach::Lines(lines) = reach { *lines } else { 0 });
            together.push(Together { regex, patterns: group.iter().map(|(id, _, _)| *id).collect(), bytes, lines });
        }
        Ok(Engine { literals: automaton, users: self.users, plans: self.plans, together })
    }
}

impl Engine {
    /// For each pattern, where it is to be searched.
    pub(crate) fn parts(&self, text: &str) -> Vec<Parts> {
        let mut parts: Vec<Parts> = vec![Vec::new(); self.plans.len()];
        let mut seen = vec![false; self.users.len()];
        let mut lines_done = vec![0; self.plans.len()];
        if let Some(literals) = &self.literals {
            for hit in literals.find_overlapping_iter(text) {
                let literal = hit.pattern().as_usize();
                if let Some(seen) = seen.get_mut(literal) {
                    *seen = true;
                }
                for id in self.users.get(literal).into_iter().flatten() {
                    if let (Some(plan), Some(parts), Some(done)) =
                        (self.plans.get(*id), parts.get_mut(*id), lines_done.get_mut(*id))
                    {
                        plan.hit(text, hit.end(), parts, done);
                    }
                }
            }
        }
        for group in &self.together {
            group.parts(text, &mut parts);
        }
        for (plan, parts) in self.plans.iter().zip(&mut parts) {
            if plan.always {
                parts.push(0..text.len());
            }
            if !plan.needs.is_empty() && !plan.needs.iter().any(|literal| seen.get(*literal) == Some(&true)) {
                parts.clear();
            }
            for part in parts {
                part.start = text.floor_char_boundary(part.start);
                part.end = text.ceil_char_boundary(part.end.min(text.len()));
            }
        }
        parts
    }
}

impl Plan {
    /// A literal ends at `end`: the part around it joins the parts before it, or begins a new one. Up to `done` ends the
    /// line of the last literal: another one there changes nothing.
    fn hit(&self, text: &str, end: usize, parts: &mut Parts, done: &mut usize) {
        let bytes = text.as_bytes();
        match self.reach {
            Reach::Bytes(before, after) => {
                let start = end.saturating_sub(self.longest + before);
                join(parts, start..(end + after).min(bytes.len()));
            }
            Reach::Lines(lines) => {
                if end < *done {
                    return;
                }
                let last = parts.last().map_or(0, |part| part.end);
                let line = forward(bytes, end, 0);
                *done = line;
                let stop = if lines > 0 { forward(bytes, line, lines - 1) } else { line };
                if stop > last {
                    let start = back(bytes, end.saturating_sub(self.longest), lines, last);
                    join(parts, start..stop);
                }
            }
            Reach::Window => {
                if parts.is_empty() {
                    parts.push(0..bytes.len());
                }
            }
        }
    }
}

/// Add a part that begins at or after the last one's start.
fn join(parts: &mut Parts, part: Range<usize>) {
    match parts.last_mut() {
        Some(last) if part.start <= last.end => last.end = last.end.max(part.end),
        _ => parts.push(part),
    }
}

#[cfg(test)]
thread_local! {
    /// Bytes that were looked at for line ends, for the tests of linearity.
    pub(crate) static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

fn tick(_steps: usize) {
    #[cfg(test)]
    STEPS.with(|steps| steps.set(steps.get() + _steps as u64));
}

/// The start of the line `lines` before that of `at`, not before `least`.
fn back(bytes: &[u8], at: usize, lines: usize, least: usize) -> usize {
    let mut at = at;
    for _ in 0..=lines {
        match memchr::memrchr(b'\n', bytes.get(least..at).unwrap_or_default()) {
            Some(newline) => {
                tick(at - least - newline);
                at = least + newline;
            }
            None => {
                tick(at.saturating_sub(least));
                return least.min(at);
            }
        }
    }
    at + 1
}

/// The end of the line `lines` after that of `at`, with its line end.
fn forward(bytes: &[u8], at: usize, lines: usize) -> usize {
    let mut at = at;
    for _ in 0..=lines {
        match memchr::memchr(b'\n', bytes.get(at..).unwrap_or_default()) {
            Some(newline) => {
                tick(newline + 1);
                at += newline + 1;
            }
            None => {
                tick(bytes.len().saturating_sub(at));
                return bytes.len();
            }
        }
    }
    at
}

impl Together {
    fn parts(&self, text: &str, parts: &mut [Parts]) {
        let bytes = text.as_bytes();
        let mut cache = self.regex.create_cache();
        let mut set = PatternSet::new(self.regex.pattern_len());
        let mut start = 0;
        while start < bytes.len() {
            let end = forward(bytes, (start + BLOCK).min(bytes.len()), 0);
            let lines = if self.lines > 0 { forward(bytes, end, self.lines - 1) } else { end };
            let reach = text.ceil_char_boundary(lines.max(end + self.bytes).min(bytes.len()));
            let input = Input::new(text).span(start..reach);
            // A block without any match is the common case, and the plain search is the faster one.
            if self.regex.search_half_with(&mut cache, &input.clone().earliest(true)).is_some() {
                set.clear();
                self.regex.which_overlapping_matches_with(&mut cache, &input, &mut set);
                for pattern in set.iter() {
                    let parts = self.patterns.get(pattern.as_usize()).and_then(|id| parts.get_mut(*id));
                    if let Some(parts) = parts {
                        join(parts, start..reach);
                    }
                }
            }
            start = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(patterns: &[(&str, &[&str])], text: &str) -> Vec<Vec<(usize, usize)>> {
        let mut builder = Builder::default();
        for (pattern, keywords) in patterns {
            let keywords: Vec<_> = keywords.iter().map(|keyword| (*keyword).to_owned()).collect();
            builder.add(&Matcher::new(pattern).unwrap(), &keywords);
        }
        let parts = builder.build().unwrap().parts(text);
        parts.iter().map(|parts| parts.iter().map(|part| (part.start, part.end)).collect()).collect()
    }

    #[test]
    fn a_pattern_is_searched_near_its_literals() {
        let text = format!("{}token=abc\n{}", "x".repeat(1000), "y".repeat(1000));
        assert_eq!(parts(&[(r"(?-u)\w?(?:token|key)=\w{3}", &[])], &text), [vec![(999, 1009)]]);
        assert_eq!(parts(&[(r"(?-u)token=\w+", &[])], &text), [vec![(0, 1010)]]);
        assert_eq!(parts(&[(r"(?-u)token=[a-z]+\s", &[])], &text), [vec![(0, 2010)]]);
        assert_eq!(parts(&[(r"(?-u)token\s*=", &[])], &text), [vec![(0, 2010)]]);
        assert_eq!(parts(&[(r"(?-u)secret\s*=", &[])], &text), [vec![]]);
    }

    #[test]
    fn keywords_must_be_there_and_need_not_be_in_the_match() {
        let text = "acme: 0123";
        assert_eq!(parts(&[(r"\d{4}", &["ACME"]), (r"\d{4}", &["other"])], text), [vec![(0, 10)], vec![]]);
    }

    #[test]
    fn blocks_without_a_match_are_left_out() {
        let line = "nothing here at all\n";
        let text = format!("{}number 4711\n{}", line.repeat(1000), line.repeat(1000));
        let parts = parts(&[(r"\d{4}", &[]), (r"\d{7}", &[])], &text);
        assert_eq!(parts[0].len(), 1);
        assert!(parts[0][0].1 - parts[0][0].0 < 2 * BLOCK, "{parts:?}");
        assert!(parts[1].is_empty());
    }
}
