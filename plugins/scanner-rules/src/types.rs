//! Types of the organisation's own: a pattern, and what must be true of its value.
//!
//! Invariants: a rule whose examples do not hold is refused; for each match, a bounded part of the text around it is
//! looked at. What a pattern itself costs is the engine's matter: one search is linear, but a pattern of which each match
//! can be decided only by reading on without bound (`(?s).*x|y`) pays that for each match. A rule's author can write such
//! a pattern, a text cannot; the host's bound on computing time ends it.

use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};
use regex_automata::meta::Cache;

use crate::config::{self, MAX_PATTERN, MAX_VALUE, MAX_WITHIN, MAX_WORDS};
use crate::found::{Hit, Hits};
use crate::kinds::Kinds;
use crate::matcher::{Found, Matcher};
use crate::text::{entropy, spellings, stands_alone};
use crate::validators::Validator;

/// How near a word stands where the rule does not say, bytes.
const WITHIN: usize = 48;
/// The confidence where the rule does not say: a pattern alone, and with a check digit.
const CONFIDENCE: f32 = 0.7;
const CONFIDENCE_CHECKED: f32 = 0.9;
/// What a word near the value adds, and the most that it makes.
const WORD_ADDS: f32 = 0.15;
const WORD_MOST: f32 = 0.95;

/// A type, ready to scan for.
#[derive(Clone, Debug)]
pub(crate) struct Type {
    pub(crate) matcher: Matcher,
    kind: usize,
    detector: Arc<str>,
    /// The group that is the value; nought is the whole match.
    group: usize,
    validator: Option<Validator>,
    words: Option<Words>,
    words_required: bool,
    confidence: f32,
    entropy: f64,
}

/// Words near a value.
#[derive(Clone, Debug)]
struct Words {
    automaton: AhoCorasick,
    within: usize,
    longest: usize,
}

impl Type {
    /// Compile a type; everything that is wrong with it goes to `problems`.
    pub(crate) fn new(rule: &config::Type, kinds: &mut Kinds, problems: &mut Vec<String>) -> Option<Self> {
        let before = problems.len();
        let name = if rule.name.is_empty() { "a type without a name" } else { &rule.name };
        let mut problem = |what: String| problems.push(format!("{name}: {what}"));
        let kind = kinds.add(&rule.name, rule.group.as_deref(), &rule.description).map_err(&mut problem).ok();
        let matcher = if rule.pattern.is_empty() {
            Err("it has no pattern".to_owned())
        } else if rule.pattern.len() > MAX_PATTERN {
            Err(format!("its pattern is longer than {MAX_PATTERN} bytes"))
        } else {
            Matcher::new(&rule.pattern).map_err(|error| format!("its pattern cannot be used: {error}"))
        };
        let matcher = matcher.map_err(&mut problem).ok();
        let validator = match rule.validator.as_deref().map(Validator::by_name).transpose() {
            Ok(validator) => validator,
            Err(error) => {
                problem(error);
                None
            }
        };
        let words = Words::new(rule).map_err(&mut problem).ok().flatten();
        if rule.confidence.is_some_and(|confidence| !(0.0..=1.0).contains(&confidence)) {
            problem("its confidence is not between 0 and 1".to_owned());
        }
        if rule.entropy.is_some_and(|entropy| !(0.0..=16.0).contains(&entropy)) {
            problem("its entropy is not between 0 and 16 bits".to_owned());
        }
        let (kind, matcher) = (kind?, matcher?);
        let usual = if validator.is_some() { CONFIDENCE_CHECKED } else { CONFIDENCE };
        let this = Self {
            kind,
            detector: Arc::from(format!("rule {}", rule.name)),
            group: matcher.group("value").unwrap_or(usize::from(matcher.groups() > 0)),
            matcher,
            validator,
            words_required: rule.words_required.unwrap_or(true) && words.is_some(),
            words,
            confidence: rule.confidence.unwrap_or(usual),
            entropy: rule.entropy.unwrap_or(0.0),
        };
        for (n, example) in rule.matches.iter().enumerate().filter(|(_, example)| !this.finds(example)) {
            problems.push(format!("{name}: nothing is found in its example {} of matches, {example:?}", n + 1));
        }
        for (n, example) in rule.no_matches.iter().enumerate().filter(|(_, example)| this.finds(example)) {
            problems.push(format!("{name}: something is found in its example {} of no_matches, {example:?}", n + 1));
        }
        (problems.len() == before).then_some(this)
    }

    /// Whether the rule finds anything in a text.
    fn finds(&self, text: &str) -> bool {
        let mut hits = Hits::new(text.len(), false, false);
        self.scan(text, std::slice::from_ref(&(0..text.len())), &mut hits);
        !hits.finish().is_empty()
    }

    /// All that is found in parts of a text.
    pub(crate) fn scan(&self, text: &str, parts: &[Range<usize>], hits: &mut Hits) {
        if parts.is_empty() {
            return;
        }
        let mut cache = self.matcher.cache();
        for part in parts {
            let mut at = part.start;
            while let Some(found) = self.matcher.find(&mut cache, text, at..part.end) {
                at = found.end;
                hits.extend_with(self.check(&mut cache, text, found));
            }
        }
    }

    fn check(&self, cache: &mut Cache, text: &str, found: Found) -> Option<Hit> {
        let value = match self.group {
            0 => found.start..found.end,
            group => self.matcher.groups_of(cache, text, found).get(group)?.clone()?,
        };
        let characters = text.get(value.clone())?;
        if self.validator.is_some_and(|validator| !validator.passes(characters))
            || (self.entropy > 0.0 && entropy(characters) < self.entropy)
        {
            return None;
        }
        let near = self.words.as_ref().is_some_and(|words| words.stand_near(text, &value));
        if self.words_required && !near {
            return None;
        }
        let raised = near && !self.words_required;
        Some(Hit {
            kind: self.kind,
            start: value.start,
            end: value.end,
            confidence: if raised {
                self.confidence.max((self.confidence + WORD_ADDS).min(WORD_MOST))
            } else {
                self.confidence
            },
            validated: self.validator.is_some(),
            detector: self.detector.clone(),
        })
    }
}

impl Words {
    fn new(rule: &config::Type) -> Result<Option<Self>, String> {
        if rule.words.is_empty() {
            return Ok(None);
        }
        if rule.words.len() > MAX_WORDS {
            return Err(format!("it has more than {MAX_WORDS} words"));
        }
        let within = rule.within.unwrap_or(WITHIN);
        if within > MAX_WITHIN {
            return Err(format!("its words may stand at most {MAX_WITHIN} bytes away"));
        }
        if let Some(word) = rule.words.iter().find(|word| word.trim().is_empty() || word.len() > MAX_VALUE) {
            return Err(format!("its word {word:?} is empty or longer than {MAX_VALUE} bytes"));
        }
        let words: Vec<_> = rule.words.iter().flat_map(|word| spellings(word.trim())).collect();
        let automaton = AhoCorasickBuilder::new()
            .ascii_case_insensitive(true)
            .build(&words)
            .map_err(|error| format!("its words are too many: {error}"))?;
        Ok(Some(Self { automaton, within, longest: words.iter().map(String::len).max().unwrap_or(0) }))
    }

    /// Whether one of them stands on the value's line, near enough, as a whole word.
    fn stand_near(&self, text: &str, value: &Range<usize>) -> bool {
        let reach = self.within + self.longest;
        let from = text.floor_char_boundary(value.start.saturating_sub(reach));
        let before = text.get(from..value.start).unwrap_or_default();
        let from = from + before.rfind('\n').map_or(0, |newline| newline + 1);
        let to = text.ceil_char_boundary((value.end + reach).min(text.len()));
        let after = text.get(value.end..to).unwrap_or_default();
        let to = value.end + after.find('\n').unwrap_or(after.len());
        self.any(text, from..value.start, |word| value.start - word.end <= self.within)
            || self.any(text, value.end..to, |word| word.start - value.end <= self.within)
    }

    fn any(&self, text: &str, part: Range<usize>, near: impl Fn(&Range<usize>) -> bool) -> bool {
        let words = text.get(part.clone()).unwrap_or_default();
        self.automaton.find_overlapping_iter(words).any(|word| {
            let word = part.start + word.start()..part.start + word.end();
            near(&word) && stands_alone(text, &word)
        })
    }
}

impl Hits {
    fn extend_with(&mut self, hit: Option<Hit>) {
        if let Some(hit) = hit {
            self.push(hit);
        }
    }
}
