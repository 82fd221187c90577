//! An Aho-Corasick automaton laid out for the cache: states in the order of their depth, so that the few that text is
//! mostly in lie together, two bytes for each transition, and those that match behind all others.
//!
//! Invariant: it finds what the library's automaton finds, from which it is made.

use aho_corasick::automaton::Automaton as _;
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind};

/// More literals than the table has room for.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("there are too many words to look for")]
pub(crate) struct TooMany;

/// Bytes that are read without a look at what they matched.
const STRIDE: usize = 8;
/// A text of fewer bytes is read as one part.
const LEAST: usize = 1024;

#[derive(Clone, Debug)]
pub(crate) struct Automaton {
    /// The column of each byte.
    columns: Box<[u8; 256]>,
    /// log2 of the columns of a row.
    shift: u32,
    /// The next state, by state and column.
    next: Vec<u16>,
    /// States from this one on match: a power of two, so that one bit tells.
    first_match: u16,
    /// What the matching states match, as ranges of `patterns`.
    matches: Vec<(u32, u32)>,
    patterns: Vec<u16>,
    /// Bytes of the longest word.
    longest: usize,
}

impl Automaton {
    /// An automaton over words in lower case, which it finds in any case.
    pub(crate) fn new<'a>(words: impl Iterator<Item = &'a [u8]>) -> Result<Self, TooMany> {
        let dfa = DFA::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .prefilter(false)
            .build(words)
            .map_err(|_| TooMany)?;
        let start = dfa.start_state(Anchored::No).map_err(|_| TooMany)?;
        // All states by their depth: first those that do not match.
        let mut order = vec![start];
        let mut known = std::collections::HashSet::from([start]);
        let mut at = 0;
        while let Some(state) = order.get(at).copied() {
            at += 1;
            for byte in 0..=u8::MAX {
                let next = dfa.next_state(Anchored::No, state, byte);
                if known.insert(next) {
                    order.push(next);
                }
            }
        }
        let (matching, quiet): (Vec<_>, Vec<_>) = order.iter().partition(|state| dfa.is_match(**state));
        let first_match = u16::try_from(quiet.len().next_power_of_two()).map_err(|_| TooMany)?;
        let last = u16::try_from(usize::from(first_match) + matching.len()).map_err(|_| TooMany)?;
        let numbered = || quiet.iter().copied().zip(0..).chain(matching.iter().copied().zip(first_match..));
        let number: std::collections::HashMap<_, u16> = numbered().collect();
        // Bytes that every state treats alike share a column.
        let mut columns = Box::new([0_u8; 256]);
        let mut rows: Vec<Vec<u16>> = Vec::new();
        for byte in 0..=u8::MAX {
            let column: Vec<u16> = numbered()
                .map(|(state, _)| number.get(&dfa.next_state(Anchored::No, state, byte)).copied().unwrap_or_default())
                .collect();
            let known = rows.iter().position(|row| *row == column).unwrap_or_else(|| {
                rows.push(column);
                rows.len() - 1
            });
            if let Some(place) = columns.get_mut(usize::from(byte)) {
                *place = u8::try_from(known).map_err(|_| TooMany)?;
            }
        }
        let shift = rows.len().next_power_of_two().trailing_zeros();
        let mut next = vec![0_u16; usize::from(last) << shift];
        for (column, row) in rows.iter().enumerate() {
            for ((_, state), to) in numbered().zip(row) {
                if let Some(place) = next.get_mut((usize::from(state) << shift) + column) {
                    *place = *to;
                }
            }
        }
        let (matches, patterns, longest) = (Vec::new(), Vec::new(), dfa.max_pattern_len());
        let mut out = Self { columns, shift, next, first_match, matches, patterns, longest };
        for state in &matching {
            let begin = out.patterns.len() as u32;
            for n in 0..dfa.match_len(*state) {
                out.patterns.push(u16::try_from(dfa.match_pattern(*state, n).as_usize()).map_err(|_| TooMany)?);
            }
            out.matches.push((begin, out.patterns.len() as u32));
        }
        Ok(out)
    }

    #[inline(always)]
    fn step(&self, state: u16, byte: u8) -> u16 {
        let column = self.columns.get(usize::from(byte)).copied().unwrap_or_default();
        self.next.get((usize::from(state) << self.shift) + usize::from(column)).copied().unwrap_or_default()
    }

    /// Calls `on` with the end of each match and the numbers of the words that end there; in order within each half of
    /// the text.
    pub(crate) fn find(&self, text: &[u8], mut on: impl FnMut(usize, &[u16])) {
        let half = if text.len() < LEAST { 0 } else { text.len() / 2 / STRIDE * STRIDE };
        let (front, back) = text.split_at(half);
        let (fronts, backs) = (front.as_chunks::<STRIDE>().0, back.as_chunks::<STRIDE>().0);
        let backs_beside = backs.get(..fronts.len()).unwrap_or(backs);
        // The second half begins a word early, so that a word across its border is found.
        let early = text.get(half.saturating_sub(self.longest.saturating_sub(1))..half).unwrap_or_default();
        let mut states = (0, early.iter().fold(0, |state, byte| self.step(state, *byte)));
        let mut each = |state: &mut u16, bytes: &[u8], at: usize| {
            for (i, byte) in bytes.iter().enumerate() {
                *state = self.step(*state, *byte);
                self.matched(*state, at + i + 1, &mut on);
            }
        };
        let mut done = 0;
        while let (Some(quiet), Some(beside)) = (fronts.get(done..), backs_beside.get(done..)) {
            done += self.quiet(quiet, beside, &mut states);
            let (Some(front), Some(back)) = (fronts.get(done), backs_beside.get(done)) else { break };
            each(&mut states.0, front, done * STRIDE);
            each(&mut states.1, back, half + done * STRIDE);
            done += 1;
        }
        let done = half + fronts.len() * STRIDE;
        each(&mut states.1, text.get(done..).unwrap_or_default(), done);
    }

    /// Reads two texts side by side, because each step waits for the one before it in its own text alone. Gives how many
    /// strides there are before the first in which something matches. No call and nothing else in this function, so that
    /// all of it stays in registers.
    #[inline(never)]
    fn quiet(&self, a: &[[u8; STRIDE]], b: &[[u8; STRIDE]], states: &mut (u16, u16)) -> usize {
        for (n, (a, b)) in a.iter().zip(b).enumerate() {
            let (mut front, mut back, mut all) = (states.0, states.1, 0);
            for (a, b) in a.iter().zip(b) {
                front = self.step(front, *a);
                back = self.step(back, *b);
                all |= front | back;
            }
            if all >= self.first_match {
                return n;
            }
            *states = (front, back);
        }
        a.len().min(b.len())
    }

    #[inline(always)]
    fn matched(&self, state: u16, end: usize, on: &mut impl FnMut(usize, &[u16])) {
        let Some(index) = state.checked_sub(self.first_match) else { return };
        let range = self.matches.get(usize::from(index));
        on(end, range.and_then(|(begin, end)| self.patterns.get(*begin as usize..*end as usize)).unwrap_or_default());
    }

    #[cfg(test)]
    pub(crate) fn memory_usage(&self) -> usize {
        self.next.len() * 2 + self.matches.len() * 8 + self.patterns.len() * 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn it_finds_what_the_librarys_finds(
            words in proptest::collection::vec("[abcé]{1,6}", 1..40),
            text in "[abcABCé ]{0,3000}",
        ) {
            let ours = Automaton::new(words.iter().map(|word| word.as_bytes())).unwrap();
            let mut found = Vec::new();
            ours.find(text.as_bytes(), |end, words| found.extend(words.iter().map(|word| (end, usize::from(*word)))));
            let library = aho_corasick::AhoCorasick::builder().ascii_case_insensitive(true).build(&words).unwrap();
            let mut expected: Vec<_> =
                library.find_overlapping_iter(&text).map(|found| (found.end(), found.pattern().as_usize())).collect();
            found.sort_unstable();
            expected.sort_unstable();
            proptest::prop_assert_eq!(found, expected);
        }
    }
}
