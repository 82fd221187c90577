//! Patterns of what is allowed.
//!
//! A pattern is matched anywhere in the text. `^` at its beginning and `$` at its end mean the ends of a value; with
//! alternatives at the top (`^a$|^b$`), those of each alternative. The rule:
//!
//! - a value begins where the text does, behind any character but a letter, a digit and `_ @ % + - .`, or behind an
//!   escape (`\n`, `\r`, `\t`);
//! - it ends where the text does, or before any character but a letter, a digit and `_ @ % + - .`; a full stop with
//!   neither letter nor digit behind it ends it too.
//!
//! Anywhere else in a pattern `^` and `$` are refused: there is no line or text that they could mean.
//!
//! Invariant: a match that touches an edge at which the text goes on is not reported, because its neighbour is not
//! known; the window beside it has it whole.

use std::ops::Range;
use std::sync::Arc;

use regex_syntax::hir::{Capture, Hir, HirKind, Look};

use crate::config::MAX_PATTERN;
use crate::found::Hits;
use crate::matcher::{Matcher, parse};

const BEGINS: &str = r"(?:\A|[^\w@%+.\-]|\\[nrt])";
const ENDS: &str = r"(?:\z|[^\w@%+.\-]|\.(?:\W|\z))";

/// One alternative of a pattern.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    pub(crate) matcher: Matcher,
    /// The value is the first group; the rest is its neighbours.
    bounded: bool,
}

/// Compile a pattern of the allow list.
///
/// # Errors
/// Why it cannot be used.
pub(crate) fn compile(pattern: &str) -> Result<Vec<Pattern>, String> {
    if pattern.len() > MAX_PATTERN {
        return Err(format!("it is longer than {MAX_PATTERN} bytes"));
    }
    let hir = parse(pattern)?;
    let alternatives = match hir.kind() {
        HirKind::Alternation(alternatives) => alternatives.clone(),
        _ => vec![hir],
    };
    alternatives.into_iter().map(alternative).collect()
}

fn alternative(hir: Hir) -> Result<Pattern, String> {
    let mut parts = match hir.kind() {
        HirKind::Concat(parts) => parts.clone(),
        _ => vec![hir],
    };
    let is = |part: Option<&Hir>, looks: [Look; 4]| {
        part.is_some_and(|part| matches!(part.kind(), HirKind::Look(look) if looks.contains(look)))
    };
    let begins = is(parts.first(), [Look::Start, Look::StartLF, Look::StartCRLF, Look::Start]);
    if begins {
        parts.remove(0);
    }
    let ends = is(parts.last(), [Look::End, Look::EndLF, Look::EndCRLF, Look::End]);
    if ends {
        parts.pop();
    }
    let value = Hir::concat(parts);
    if value.properties().minimum_len().is_none_or(|length| length == 0) {
        return Err("it matches the empty text, which is everywhere".to_owned());
    }
    if value.properties().look_set().contains_anchor() {
        return Err("^ and $ can stand only at its beginning and its end".to_owned());
    }
    if !begins && !ends {
        return Ok(Pattern { matcher: Matcher::from_hir(value)?, bounded: false });
    }
    // The groups of the pattern itself would have the numbers that the value's needs.
    let value = Hir::capture(Capture { index: 1, name: None, sub: Box::new(without_groups(&value)) });
    let mut parts = Vec::with_capacity(3);
    if begins {
        parts.push(parse(BEGINS)?);
    }
    parts.push(value);
    if ends {
        parts.push(parse(ENDS)?);
    }
    Ok(Pattern { matcher: Matcher::from_hir(Hir::concat(parts))?, bounded: true })
}

/// The same without capture groups.
fn without_groups(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Capture(capture) => without_groups(&capture.sub),
        HirKind::Repetition(repetition) => Hir::repetition(repetition.with(without_groups(&repetition.sub))),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(without_groups).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(without_groups).collect()),
        _ => hir.clone(),
    }
}

impl Pattern {
    /// All matches in parts of a text.
    pub(crate) fn scan(&self, text: &str, parts: &[Range<usize>], detector: &Arc<str>, hits: &mut Hits) {
        if parts.is_empty() {
            return;
        }
        let mut cache = self.matcher.cache();
        for part in parts {
            let mut at = part.start;
            while let Some(found) = self.matcher.find(&mut cache, text, at..part.end) {
                let mut value = found.start..found.end;
                if self.bounded
                    && let Some(group) = self.matcher.groups_of(&mut cache, text, found).get(1)
                {
                    value = group.clone().unwrap_or(value);
                }
                // The neighbour behind this value may be the one before the next.
                at = value.end;
                hits.push_allowed_whole(value, detector);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(pattern: &str, text: &'a str) -> Vec<&'a str> {
        let mut hits = Hits::new(text.len(), false, false);
        for pattern in compile(pattern).unwrap() {
            pattern.scan(text, std::slice::from_ref(&(0..text.len())), &Arc::from("x"), &mut hits);
        }
        hits.finish().iter().map(|hit| &text[hit.start..hit.end]).collect()
    }

    #[test]
    fn the_ends_of_a_pattern_are_the_ends_of_a_value() {
        let pattern = r"^svc-[a-z]+@acme\.com$";
        for (text, expected) in [
            ("svc-a@acme.com", vec!["svc-a@acme.com"]),
            ("svc-a@acme.com svc-b@acme.com", vec!["svc-a@acme.com", "svc-b@acme.com"]),
            ("to <svc-a@acme.com>.", vec!["svc-a@acme.com"]),
            ("Mail svc-a@acme.com.", vec!["svc-a@acme.com"]),
            ("Mail svc-a@acme.com. And", vec!["svc-a@acme.com"]),
            ("svc-a@acme.com.evil.org", vec![]),
            ("svc-a@acme.community", vec![]),
            ("jo.svc-a@acme.com", vec![]),
            ("jo+svc-a@acme.com", vec![]),
            (r"x\nsvc-a@acme.com\n", vec!["svc-a@acme.com"]),
            ("\"svc-a@acme.com\",\"svc-b@acme.com\"", vec!["svc-a@acme.com", "svc-b@acme.com"]),
        ] {
            assert_eq!(found(pattern, text), expected, "{text}");
        }
        assert_eq!(found(r"^(?:a|b)+?$", "abab abc"), ["abab"]);
        assert_eq!(found(r"^a1$|b2", "a1 a1b2"), ["a1", "b2"]);
        assert_eq!(found(r"10\.0\.\d+\.\d+", "x10.0.0.1.5"), ["10.0.0.1"]);
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for pattern in ["", "^$", "a*", "(?:^a)b|(", "x(?:^a|b)", "(?:a$)+b"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
