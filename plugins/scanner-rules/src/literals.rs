//! What every match of a pattern contains: the literals for the automaton, and how far a match may reach around them.
//!
//! Invariants: each match contains one of [`Required::literals`] (in any ASCII case), with at most
//! [`Required::before`] bytes of the match before it and at most [`Required::after`] behind it; a match holds at most
//! [`newlines`] line ends.

use std::collections::BTreeSet;

use regex_syntax::hir::{Class, Hir, HirKind};

/// The most strings that are put together from classes and alternatives.
const MOST: usize = 64;
/// The most literals of one pattern.
const MOST_LITERALS: usize = 256;
/// A class of at most so many characters is spelt out.
const MOST_CHARACTERS: usize = 16;
/// Longer literals are cut: they find nothing more.
const LONGEST: usize = 24;

type Set = BTreeSet<Vec<u8>>;

/// Literals of which each match contains one.
#[derive(Clone, Debug)]
pub(crate) struct Required {
    /// With ASCII letters in lower case.
    pub(crate) literals: Set,
    /// The most bytes of a match before the literal; none where there is no bound.
    pub(crate) before: Option<usize>,
    /// The most bytes of a match behind the literal.
    pub(crate) after: Option<usize>,
}

impl Required {
    fn shortest(&self) -> usize {
        self.literals.iter().map(Vec::len).min().unwrap_or(0)
    }

    /// Longer literals are rarer; bounds let the search stay near them.
    fn score(&self) -> usize {
        let bounded = if self.before.is_some() && self.after.is_some() { 5 } else { 0 };
        self.shortest().min(8) * 4 + bounded + usize::from(self.literals.len() <= MOST / 2)
    }

    /// The literals cut to a length that is worth its states.
    fn cut(mut self) -> Self {
        let longest = self.literals.iter().map(Vec::len).max().unwrap_or(0);
        if longest > LONGEST {
            self.literals =
                self.literals.into_iter().map(|literal| literal.into_iter().take(LONGEST).collect()).collect();
            self.after = self.after.map(|after| after + longest - LONGEST);
        }
        self
    }
}

/// The best literals of a pattern, if it has any of at least two bytes.
pub(crate) fn required(hir: &Hir) -> Option<Required> {
    let info = info(hir);
    let whole = info.exact.map(|literals| Required { literals, before: Some(0), after: Some(0) });
    let best = better(whole, info.best)?;
    (best.shortest() >= 2).then(|| best.cut())
}

/// The most line ends in a match; none where there is no bound.
pub(crate) fn newlines(hir: &Hir) -> Option<usize> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(0),
        HirKind::Literal(literal) => Some(literal.0.iter().filter(|b| **b == b'\n').count()),
        HirKind::Class(Class::Unicode(class)) => {
            Some(usize::from(class.ranges().iter().any(|range| range.start() <= '\n' && '\n' <= range.end())))
        }
        HirKind::Class(Class::Bytes(class)) => {
            Some(usize::from(class.ranges().iter().any(|range| range.start() <= b'\n' && b'\n' <= range.end())))
        }
        HirKind::Repetition(repetition) => match newlines(&repetition.sub)? {
            0 => Some(0),
            some => some.checked_mul(repetition.max? as usize),
        },
        HirKind::Capture(capture) => newlines(&capture.sub),
        HirKind::Concat(parts) => parts.iter().try_fold(0_usize, |sum, part| sum.checked_add(newlines(part)?)),
        HirKind::Alternation(parts) => parts.iter().try_fold(0, |most: usize, part| Some(most.max(newlines(part)?))),
    }
}

/// What is known of a part of a pattern.
#[derive(Default)]
struct Info {
    /// All that it can match, where that is little.
    exact: Option<Set>,
    /// One of these begins each match.
    head: Option<Set>,
    /// What each match contains.
    best: Option<Required>,
}

fn info(hir: &Hir) -> Info {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Info { exact: Some(Set::from([Vec::new()])), ..Info::default() },
        HirKind::Literal(literal) => {
            Info { exact: Some(Set::from([literal.0.to_ascii_lowercase()])), ..Info::default() }
        }
        HirKind::Class(class) => Info { exact: characters(class), ..Info::default() },
        HirKind::Capture(capture) => info(&capture.sub),
        HirKind::Repetition(repetition) => {
            let sub = info(&repetition.sub);
            if repetition.min == 0 {
                let exact = if repetition.max == Some(1) { sub.exact } else { None };
                let exact = exact.filter(|set| set.len() < MOST).map(|mut set| {
                    set.insert(Vec::new());
                    set
                });
                return Info { exact, ..Info::default() };
            }
            let mut exact = None;
            if repetition.max == Some(repetition.min) && repetition.min <= 8 {
                exact = sub.exact.clone();
                for _ in 1..repetition.min {
                    exact = exact.as_ref().and_then(|a| cross(a, sub.exact.as_ref()?));
                }
            }
            let more = |bytes: Option<usize>| {
                let each = repetition.sub.properties().maximum_len()?;
                bytes?.checked_add(each.checked_mul(repetition.max?.saturating_sub(1) as usize)?)
            };
            let first = sub.exact.clone().map(|literals| Required { literals, before: Some(0), after: Some(0) });
            let best = better(first, sub.best).map(|best| Required { after: more(best.after), ..best });
            Info { exact, head: sub.exact.or(sub.head), best }
        }
        HirKind::Concat(parts) => concat(parts),
        HirKind::Alternation(parts) => alternation(parts),
    }
}

fn alternation(parts: &[Hir]) -> Info {
    let mut exact = Some(Set::new());
    let mut best: Option<Required> = None;
    for (i, part) in parts.iter().enumerate() {
        let info = info(part);
        exact = match (exact, &info.exact) {
            (Some(mut all), Some(these)) if all.len() + these.len() <= MOST => {
                all.extend(these.iter().cloned());
                Some(all)
            }
            _ => None,
        };
        let whole = info.exact.map(|literals| Required { literals, before: Some(0), after: Some(0) });
        let this = better(whole, info.best);
        best = match (best, this) {
            (None, this) if i == 0 => this,
            (Some(mut all), Some(this)) if all.literals.len() + this.literals.len() <= MOST_LITERALS => {
                all.literals.extend(this.literals);
                all.before = all.before.zip(this.before).map(|(a, b)| a.max(b));
                all.after = all.after.zip(this.after).map(|(a, b)| a.max(b));
                Some(all)
            }
            // Once one branch has none, none are required.
            _ => None,
        };
        if best.is_none() && exact.is_none() {
            return Info::default();
        }
    }
    Info { exact, head: None, best }
}

fn concat(parts: &[Hir]) -> Info {
    let longest: Vec<Option<usize>> = parts.iter().map(|part| part.properties().maximum_len()).collect();
    let sum = |range: std::ops::Range<usize>| -> Option<usize> {
        longest.get(range)?.iter().try_fold(0_usize, |sum, length| sum.checked_add((*length)?))
    };
    let end = parts.len();
    let mut best: Option<Required> = None;
    let mut run = Set::from([Vec::new()]);
    let mut start = 0;
    let mut whole = true;
    for (i, part) in parts.iter().enumerate() {
        let info = info(part);
        if let Some(joined) = info.exact.as_ref().and_then(|exact| cross(&run, exact)) {
            run = joined;
            continue;
        }
        whole = false;
        // What cannot be joined as a whole may still say how it begins.
        let head = info.exact.as_ref().or(info.head.as_ref()).and_then(|head| cross(&run, head));
        let (literals, after) = match head {
            Some(joined) => (joined, sum(i..end)),
            None => (run, sum(i..end)),
        };
        best = better(best, Some(Required { literals, before: sum(0..start), after }));
        let within = info.best.map(|inner| Required {
            before: inner.before.zip(sum(0..i)).map(|(a, b)| a + b),
            after: inner.after.zip(sum(i + 1..end)).map(|(a, b)| a + b),
            ..inner
        });
        best = better(best, within);
        (run, start) = match info.exact {
            Some(exact) => (exact, i),
            None => (Set::from([Vec::new()]), i + 1),
        };
    }
    if whole {
        return Info { exact: Some(run), head: None, best };
    }
    best = better(best, Some(Required { literals: run, before: sum(0..start), after: Some(0) }));
    Info { exact: None, head: None, best }
}

/// The characters of a class, where they are few.
fn characters(class: &Class) -> Option<Set> {
    let mut set = Set::new();
    let mut left = MOST_CHARACTERS * 2;
    let mut add = |c: char| -> Option<()> {
        left = left.checked_sub(1)?;
        let mut buffer = [0; 4];
        set.insert(c.encode_utf8(&mut buffer).as_bytes().to_ascii_lowercase());
        Some(())
    };
    match class {
        Class::Unicode(class) => {
            for range in class.ranges() {
                for c in range.start()..=range.end() {
                    add(c)?;
                }
            }
        }
        Class::Bytes(class) => {
            for range in class.ranges() {
                for b in range.start()..=range.end() {
                    add(char::from(b))?;
                }
            }
        }
    }
    (set.len() <= MOST_CHARACTERS).then_some(set)
}

/// Each of `a` with each of `b` behind it, where that is not too much.
fn cross(a: &Set, b: &Set) -> Option<Set> {
    let joined = a.len().checked_mul(b.len()).filter(|n| *n <= MOST)?;
    let longest = |set: &Set| set.iter().map(Vec::len).max().unwrap_or(0);
    if joined > 1 && longest(a) + longest(b) > 8 * LONGEST {
        return None;
    }
    Some(a.iter().flat_map(|a| b.iter().map(move |b| [a.as_slice(), b.as_slice()].concat())).collect())
}

fn better(a: Option<Required>, b: Option<Required>) -> Option<Required> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.score() > a.score() { b } else { a }),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pattern: &str) -> Option<(String, Option<usize>, Option<usize>)> {
        let required = required(&regex_syntax::parse(pattern).unwrap())?;
        let literals: Vec<_> =
            required.literals.iter().map(|literal| String::from_utf8_lossy(literal).into_owned()).collect();
        Some((literals.join("|"), required.before, required.after))
    }

    #[test]
    fn what_each_match_contains() {
        for (pattern, literals, before, after) in [
            (r"\bacme-", "acme-", Some(0), Some(0)),
            (r"(?-u)x{0,50}(?i:token|key)=(\w{3})", "key=|token=", Some(50), Some(3)),
            (r"(?-u)E[12]\w+", "e1|e2", Some(0), None),
            (r"(?-u)[a-z]+@acme\.com", "@acme.com", None, Some(0)),
            (r"(?-u)(?:AKIA|ASIA)[A-Z]{16}", "akia|asia", Some(0), Some(16)),
            (r"(?-u)(?:foo-\w+|\w{2}bar)", "bar|foo-", Some(2), None),
            (r"https?://x", "http://x|https://x", Some(0), Some(0)),
            (r"(?-u)\w(?:abc){2,3}", "abc", Some(1), Some(9)),
        ] {
            assert_eq!(of(pattern), Some((literals.to_owned(), before, after)), "{pattern}");
        }
        for pattern in [r"\d+", r"a?", r"(?:foo)?\d", r"(?:foo|\d)", r"a\d*b", r"\w+@\w+", ""] {
            assert_eq!(of(pattern), None, "{pattern}");
        }
        assert_eq!(of(r"(?-u)\bE-(\d{6})\b").map(|found| found.0.len()), Some(39), "e-0 to e-9");
    }

    #[test]
    fn line_ends_are_counted() {
        let count = |pattern: &str| newlines(&regex_syntax::parse(pattern).unwrap());
        assert_eq!(count(r"a.*b"), Some(0));
        assert_eq!(count(r"a\s{0,3}b\n"), Some(4));
        assert_eq!(count(r"a\s*b"), None);
        assert_eq!(count(r"(?:a\nb|c)[^x]"), Some(2));
    }
}
