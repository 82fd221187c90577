//! One compiled pattern: how it searches, and what is known of its matches.
//!
//! Invariants: searching a part of a text looks at the text around it (boundaries hold there); what a search returns is
//! never empty and lies on character boundaries.

use std::ops::Range;

use regex_automata::meta::{Cache, Config, Regex};
use regex_automata::{Anchored, Input};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::literals::{Required, newlines, required};

/// The most that a pattern's automaton may take, bytes.
const MAX_AUTOMATON: usize = 8 << 20;
/// The most that the states of one pattern take while it searches, bytes.
const CACHE: usize = 2 << 20;
/// A match of at most so many bytes is looked for near its literals; a longer one in the lines around them.
const NEAR: usize = 8 << 10;
/// A match over at most so many line ends is looked for in the lines around its literals.
const NEAR_LINES: usize = 16;

const TOO_LARGE: &str =
    r"it is too large; with (?-u) before it, \w, \d and \s are those of ASCII, which are far smaller";

/// How far from its literal, or from its beginning, a match may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// So many bytes before the literal and behind it.
    Bytes(usize, usize),
    /// So many lines before its line and behind it.
    Lines(usize),
    /// Anywhere.
    Window,
}

/// A pattern, ready to search.
#[derive(Clone, Debug)]
pub(crate) struct Matcher {
    regex: Regex,
    /// The pattern, for those that share an automaton because they have no literals.
    pub(crate) hir: Hir,
    /// The most line ends in a match, if there is a bound.
    lines: Option<usize>,
    prefix: Option<Prefix>,
    /// Literals of which each match contains one.
    pub(crate) required: Option<Required>,
}

/// What a pattern begins with, if it is `[class]{0,n}?`: it is left out of the automaton, where it would cost a state
/// for each count, and put back by looking at the bytes before a match. The leftmost match of the whole is the leftmost
/// match of the rest with as many bytes of the class before it as are there.
#[derive(Clone, Debug)]
struct Prefix {
    bytes: Vec<(u8, u8)>,
    most: usize,
}

/// One match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The pattern as the parser sees it.
pub(crate) fn parse(pattern: &str) -> Result<Hir, String> {
    ParserBuilder::new().nest_limit(100).build().parse(pattern).map_err(|error| {
        // The parser draws an arrow under the pattern; the last line says what is wrong.
        let text = error.to_string();
        text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })
}

/// What all patterns here are built with: no state that outlives a search, so that many of them fit into a little memory.
pub(crate) fn config() -> Config {
    Regex::config().onepass(false).nfa_size_limit(Some(MAX_AUTOMATON)).hybrid_cache_capacity(CACHE)
}

impl Matcher {
    /// Compile.
    ///
    /// # Errors
    /// Why it is no pattern, or too large, or one that matches nothing at all or everywhere.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        Self::from_hir(parse(pattern)?)
    }

    /// Compile what was parsed.
    ///
    /// # Errors
    /// See [`Matcher::new`].
    pub(crate) fn from_hir(hir: Hir) -> Result<Self, String> {
        if hir.properties().minimum_len() == Some(0) {
            return Err("it matches the empty text, which is everywhere".to_owned());
        }
        let required = required(&hir);
        let lines = newlines(&hir);
        // Without literals, a part of the text begins where a match may begin, which a prefix would move.
        let (prefix, core) = if required.is_some() { split(&hir) } else { (None, hir) };
        let regex = Regex::builder()
            .configure(config())
            .build_from_hir(&core)
            .map_err(|error| if error.size_limit().is_some() { TOO_LARGE.to_owned() } else { error.to_string() })?;
        let hir = if required.is_none() { core } else { Hir::empty() };
        Ok(Self { regex, hir, lines, prefix, required })
    }

    /// How far a match reaches around its literal; without literals, how far from where it begins.
    pub(crate) fn reach(&self) -> Reach {
        let lines = match self.lines {
            Some(lines) if lines <= NEAR_LINES => Reach::Lines(lines),
            _ => Reach::Window,
        };
        let (before, after) = match &self.required {
            Some(required) => (required.before, required.after),
            None => (Some(0), self.hir.properties().maximum_len()),
        };
        match before.zip(after) {
            Some((before, after)) if before + after <= NEAR => Reach::Bytes(before, after),
            _ => lines,
        }
    }

    /// What a search needs to remember. It is made for each text and dropped after it.
    pub(crate) fn cache(&self) -> Cache {
        self.regex.create_cache()
    }

    /// How many groups it has, besides the whole match.
    pub(crate) fn groups(&self) -> usize {
        self.regex.captures_len().saturating_sub(1)
    }

    /// The number of the group of that name.
    pub(crate) fn group(&self, name: &str) -> Option<usize> {
        self.regex.group_info().to_index(regex_automata::PatternID::ZERO, name)
    }

    /// The first match in a part of the text.
    pub(crate) fn find(&self, cache: &mut Cache, text: &str, part: Range<usize>) -> Option<Found> {
        let from = part.start;
        let found = self.regex.search_with(cache, &Input::new(text).span(part))?;
        let start = match &self.prefix {
            Some(prefix) => prefix.start(text.as_bytes(), from, found.start()),
            None => found.start(),
        };
        Some(Found { start, end: found.end() })
    }

    /// The groups of a match that was found in this text, by number; the whole match is the first.
    pub(crate) fn groups_of(&self, cache: &mut Cache, text: &str, found: Found) -> Vec<Option<Range<usize>>> {
        let mut captures = self.regex.create_captures();
        let anchored = if self.prefix.is_some() { Anchored::No } else { Anchored::Yes };
        let input = Input::new(text).span(found.start..found.end).anchored(anchored);
        self.regex.search_captures_with(cache, &input, &mut captures);
        captures.iter().map(|span| span.map(|span| span.range())).collect()
    }

    /// The groups of the first match in a text that stands for itself; none if it does not match.
    pub(crate) fn groups_in(&self, cache: &mut Cache, text: &str) -> Option<Vec<Option<Range<usize>>>> {
        let mut captures = self.regex.create_captures();
        self.regex.search_captures_with(cache, &Input::new(text), &mut captures);
        captures.is_match().then(|| captures.iter().map(|span| span.map(|span| span.range())).collect())
    }

    /// Bytes that it holds.
    pub(crate) fn memory(&self) -> usize {
        self.regex.memory_usage()
    }
}

impl Prefix {
    /// Where the match of the rest at `core` begins with its prefix, not before `from`.
    fn start(&self, bytes: &[u8], from: usize, core: usize) -> usize {
        let least = from.max(core.saturating_sub(self.most));
        let before = bytes.get(least..core).unwrap_or_default();
        let has = |b: &&u8| self.bytes.iter().any(|(low, high)| (low..=high).contains(b));
        core - before.iter().rev().take_while(has).count()
    }
}

/// The prefix of a pattern, if it has one, and the rest.
fn split(hir: &Hir) -> (Option<Prefix>, Hir) {
    let HirKind::Concat(parts) = hir.kind() else { return (None, hir.clone()) };
    let mut prefix: Option<Prefix> = None;
    let mut rest = parts.as_slice();
    while let [first, others @ ..] = rest {
        let HirKind::Repetition(repetition) = first.kind() else { break };
        let (0, Some(max), false) = (repetition.min, repetition.max, repetition.greedy) else { break };
        let Some(bytes) = ascii(&repetition.sub) else { break };
        match &mut prefix {
            Some(prefix) if prefix.bytes == bytes => prefix.most += max as usize,
            Some(_) => break,
            None => prefix = Some(Prefix { bytes, most: max as usize }),
        }
        rest = others;
    }
    match prefix {
        Some(prefix) if !rest.is_empty() => (Some(prefix), Hir::concat(rest.to_vec())),
        _ => (None, hir.clone()),
    }
}

/// The bytes of a class that holds ASCII only.
fn ascii(hir: &Hir) -> Option<Vec<(u8, u8)>> {
    match hir.kind() {
        HirKind::Class(Class::Bytes(class)) => {
            Some(class.ranges().iter().filter(|range| range.end().is_ascii()).map(|r| (r.start(), r.end())).collect())
        }
        HirKind::Class(Class::Unicode(class)) => class
            .ranges()
            .iter()
            .map(|range| Some((u8::try_from(range.start()).ok()?, u8::try_from(range.end()).ok()?)))
            .collect::<Option<Vec<_>>>()
            .filter(|ranges| ranges.iter().all(|(_, high)| high.is_ascii())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_put_back() {
        let with = Matcher::new(r"(?-u)[\w.-]{0,5}?(?:key|token)=(\w{3})").unwrap();
        assert!(with.prefix.is_some());
        let plain = Regex::new(r"(?-u)[\w.-]{0,5}?(?:key|token)=(\w{3})").unwrap();
        for text in
            ["my_key=abc", "a very_long_token=abc", "key=ab key=abcd", "x.key=abcyyykey=abc", "=key=key=key=abc"]
        {
            let expected: Vec<_> = plain.find_iter(text).map(|found| found.range()).collect();
            let mut cache = with.cache();
            let mut found = Vec::new();
            let mut at = 0;
            while let Some(hit) = with.find(&mut cache, text, at..text.len()) {
                found.push(hit.start..hit.end);
                at = hit.end;
            }
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused() {
        assert!(Matcher::new("a*").unwrap_err().contains("empty"));
        assert!(Matcher::new("(a").unwrap_err().contains("unclosed group"));
        assert!(Matcher::new(r"(?:\w{1000}){1000}").unwrap_err().contains("too large"));
    }
}
