//! The literal values of the deny list and the allow list.
//!
//! A value stands in the text where its characters stand, in any case, with no letter or digit right before or behind
//! them; one blank of the value stands for any run of blanks (space, tab, line end, no-break space). Letters beyond
//! ASCII are found as the rule writes them, all small or all capital.
//!
//! Invariant: the text is passed over once for each [`TOGETHER`] bytes of values, whatever it holds, and copied once,
//! with small letters, which take as many bytes as the capital ones of ASCII. Runs of blanks are made one blank in the
//! copy if some value has a blank.

use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};

use crate::config::{Allow, Deny, MAX_VALUE, MAX_VALUE_BYTES, MAX_VALUES};
use crate::found::{Hit, Hits};
use crate::kinds::Kinds;
use crate::text::{spellings, stands_alone};

/// So many bytes of values share an automaton. Building one takes several times what it holds afterwards, and all of it
/// must fit into a component's memory.
const TOGETHER: usize = 512 << 10;

/// Both lists, ready to scan for.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    /// Each with the number of its first pattern.
    automata: Vec<(usize, AhoCorasick)>,
    /// By pattern: the kind to report, or none for an allowed value.
    kinds: Vec<Option<usize>>,
    blanks: bool,
    deny: Arc<str>,
    allow: Arc<str>,
}

impl Values {
    /// Compile both lists; what is wrong goes to `problems`. Nothing where both are empty.
    pub(crate) fn new(deny: &[Deny], allow: &Allow, kinds: &mut Kinds, problems: &mut Vec<String>) -> Option<Self> {
        for (list, length) in [("deny", deny.len()), ("allow", allow.values.len())] {
            if length > MAX_VALUES {
                problems.push(format!("{list}: {length} values, and at most {MAX_VALUES} are possible"));
                return None;
            }
        }
        let mut patterns = Vec::new();
        let mut by_pattern = Vec::new();
        let mut add = |value: &str, kind| {
            let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
            for spelling in spellings(&value) {
                patterns.push(spelling.to_ascii_lowercase());
                by_pattern.push(kind);
            }
        };
        for (n, entry) in deny.iter().enumerate() {
            match (check(&entry.value), kinds.add(&entry.kind, None, "")) {
                (Ok(()), Ok(kind)) => add(&entry.value, Some(kind)),
                (Err(error), _) | (_, Err(error)) => problems.push(format!("deny, value {}: {error}", n + 1)),
            }
        }
        for (n, value) in allow.values.iter().enumerate() {
            match check(value) {
                Ok(()) => add(value, None),
                Err(error) => problems.push(format!("allow, value {}: {error}", n + 1)),
            }
        }
        if patterns.is_empty() {
            return None;
        }
        if patterns.iter().map(String::len).sum::<usize>() > MAX_VALUE_BYTES {
            problems.push(format!("deny and allow: all values together are longer than {MAX_VALUE_BYTES} bytes"));
            return None;
        }
        let automata = automata(&patterns)
            .map_err(|error| problems.push(format!("the values of deny and allow are too many: {error}")))
            .ok()?;
        let blanks = patterns.iter().any(|pattern| pattern.contains(' '));
        Some(Self { automata, kinds: by_pattern, blanks, deny: Arc::from("deny list"), allow: Arc::from("allow list") })
    }

    /// All values in a text.
    pub(crate) fn scan(&self, text: &str, hits: &mut Hits) {
        let mut narrow = self.blanks.then(|| Narrow::new(text)).flatten();
        let copy = match &mut narrow {
            Some(narrow) => {
                narrow.text.make_ascii_lowercase();
                std::mem::take(&mut narrow.text)
            }
            None => text.to_ascii_lowercase(),
        };
        for (first, automaton) in &self.automata {
            if let Some(narrow) = &mut narrow {
                narrow.passed = 0;
            }
            for found in automaton.find_overlapping_iter(&copy) {
                let range = match &mut narrow {
                    Some(narrow) => narrow.range(found.start(), found.end()),
                    None => found.range(),
                };
                self.report(text, first + found.pattern().as_usize(), range, hits);
            }
        }
    }

    fn report(&self, text: &str, pattern: usize, range: Range<usize>, hits: &mut Hits) {
        if !stands_alone(text, &range) {
            return;
        }
        match self.kinds.get(pattern) {
            Some(Some(kind)) => hits.push(Hit {
                kind: *kind,
                start: range.start,
                end: range.end,
                confidence: 1.0,
                validated: true,
                detector: self.deny.clone(),
            }),
            Some(None) => hits.push_allowed_whole(range, &self.allow),
            None => {}
        }
    }
}

/// Automata over all patterns, in their order. The text is made small before it is searched: an automaton that folded case
/// itself would hold each letter twice.
fn automata(patterns: &[String]) -> Result<Vec<(usize, AhoCorasick)>, aho_corasick::BuildError> {
    let mut automata = Vec::new();
    let mut first = 0;
    while let Some(rest) = patterns.get(first..).filter(|rest| !rest.is_empty()) {
        let mut bytes = 0;
        let fits = |pattern: &&String| {
            bytes += pattern.len();
            bytes <= TOGETHER
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let automaton = AhoCorasickBuilder::new()
            .match_kind(MatchKind::Standard)
            .kind((count > 100).then_some(AhoCorasickKind::ContiguousNFA))
            .build(rest.iter().take(count))?;
        automata.push((first, automaton));
        first += count;
    }
    Ok(automata)
}

fn check(value: &str) -> Result<(), String> {
    if value.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    if value.len() > MAX_VALUE {
        return Err(format!("it is longer than {MAX_VALUE} bytes"));
    }
    Ok(())
}

/// A copy of a text in which each run of blanks is one space.
struct Narrow {
    text: String,
    /// For each run that was changed: where the copy goes on behind it, and where the text does.
    gaps: Vec<(usize, usize)>,
    /// The gaps before the end of the last range; matches come in the order of their ends.
    passed: usize,
}

impl Narrow {
    /// None where the copy would be the text.
    fn new(text: &str) -> Option<Self> {
        let mut copy = String::new();
        let mut gaps = Vec::new();
        let mut copied = 0;
        let mut at = 0;
        let bytes = text.as_bytes();
        while let Some(byte) = bytes.get(at) {
            let length = blank(*byte, bytes.get(at + 1));
            if length == 0 {
                at += 1;
                continue;
            }
            let start = at;
            at += length;
            while let Some(byte) = bytes.get(at) {
                match blank(*byte, bytes.get(at + 1)) {
                    0 => break,
                    length => at += length,
                }
            }
            if at - start > 1 || *byte != b' ' {
                copy.push_str(text.get(copied..start).unwrap_or_default());
                copy.push(' ');
                copied = at;
                gaps.push((copy.len(), at));
            }
        }
        if gaps.is_empty() {
            return None;
        }
        copy.push_str(text.get(copied..).unwrap_or_default());
        Some(Self { text: copy, gaps, passed: 0 })
    }

    /// Where a range of the copy lies in the text. It neither begins nor ends with a blank.
    fn range(&mut self, start: usize, end: usize) -> Range<usize> {
        while self.gaps.get(self.passed).is_some_and(|(copy, _)| *copy <= end) {
            self.passed += 1;
        }
        let place = |passed: usize, at: usize| match passed.checked_sub(1).and_then(|last| self.gaps.get(last)) {
            Some((copy, text)) => text + (at - copy),
            None => at,
        };
        // A value is short: few gaps lie within it.
        let mut first = self.passed;
        while first.checked_sub(1).and_then(|last| self.gaps.get(last)).is_some_and(|(copy, _)| *copy > start) {
            first -= 1;
        }
        place(first, start)..place(self.passed, end)
    }
}

/// The length of a blank that begins with this byte; nought if none does.
fn blank(byte: u8, next: Option<&u8>) -> usize {
    match byte {
        b' ' | b'\t' | b'\n' | b'\r' => 1,
        0xc2 if next == Some(&0xa0) => 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(deny: &[&str], allow: &[&str]) -> Values {
        let deny: Vec<_> =
            deny.iter().map(|value| Deny { value: (*value).to_owned(), kind: "CODENAME".to_owned() }).collect();
        let allow = Allow { values: allow.iter().map(|value| (*value).to_owned()).collect(), patterns: Vec::new() };
        let mut problems = Vec::new();
        let values = Values::new(&deny, &allow, &mut Kinds::new(), &mut problems);
        assert_eq!(problems, Vec::<String>::new());
        values.unwrap()
    }

    fn found<'a>(values: &Values, text: &'a str) -> Vec<(usize, &'a str)> {
        let mut hits = Hits::new(text.len(), false, false);
        values.scan(text, &mut hits);
        hits.finish().iter().map(|hit| (hit.kind, &text[hit.start..hit.end])).collect()
    }

    #[test]
    fn values_stand_alone_in_any_case_and_with_any_blanks() {
        let values = values(&["Project Nightjar", "Zürich-7"], &["support@acme.com"]);
        assert_eq!(found(&values, "PROJECT  \t nightjar, projectnightjar"), [(1, "PROJECT  \t nightjar")]);
        assert_eq!(found(&values, "a\tb  é Project\u{a0}Nightjar  x"), [(1, "Project\u{a0}Nightjar")]);
        assert_eq!(found(&values, "Project\r\nNightjar"), [(1, "Project\r\nNightjar")]);
        assert_eq!(found(&values, "Project Nightjars xProject Nightjar"), []);
        assert_eq!(found(&values, "ZÜRICH-7 zürich-7 Zürich-77"), [(1, "ZÜRICH-7"), (1, "zürich-7")]);
        assert_eq!(found(&values, "<Support@acme.com> support@acme.community"), [(0, "Support@acme.com")]);
    }

    #[test]
    fn one_within_another_is_found_too() {
        let values = values(&["foo bar", "foo"], &[]);
        assert_eq!(found(&values, "foo bard foo  bar"), [(1, "foo"), (1, "foo"), (1, "foo  bar")]);
    }

    #[test]
    fn what_cannot_be_a_value_is_named() {
        let deny = [
            Deny { value: " ".to_owned(), kind: "X".to_owned() },
            Deny { value: "a".to_owned(), kind: "x".to_owned() },
            Deny { value: "a".repeat(2000), kind: "X".to_owned() },
        ];
        let mut problems = Vec::new();
        assert!(Values::new(&deny, &Allow::default(), &mut Kinds::new(), &mut problems).is_none());
        assert_eq!(problems.len(), 3, "{problems:?}");
    }
}
