//! Finds the values of a book in any bytes.
//!
//! Invariant: a value of [`MIN_ORIGINAL_BYTES`] and more is found wherever it stands, in either case of ASCII. A value is
//! added in constant time, and a text is searched in time linear in its length, however many values there are: a log of
//! a million different addresses must not become slower with each of them.
//!
//! How: the first four bytes say which lengths can begin here, and a rolling hash of the text says for each of them
//! whether a value stands here. A hit is compared with the value, so a collision finds nothing that is not there.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::ControlFlow;

/// Shorter originals are not looked for: they would be found by chance in every longer text.
pub const MIN_ORIGINAL_BYTES: usize = 4;

/// Values up to this length are looked up by their length alone; longer ones by what they begin with, too.
const SHORT: usize = 64;
/// Lengths of long values with one beginning. Where there are more, the beginning itself counts as the value, which
/// keeps the time bounded on text that was made to cost.
const MOST_LENGTHS: usize = 256;

/// The Mersenne prime below which hashes are computed.
const PRIME: u64 = (1 << 61) - 1;

fn times(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    let folded = (product as u64 & PRIME) + (product >> 61) as u64;
    if folded >= PRIME { folded - PRIME } else { folded }
}

fn plus(a: u64, b: u64) -> u64 {
    let sum = a + b;
    if sum >= PRIME { sum - PRIME } else { sum }
}

const fn fold(byte: u8) -> u64 {
    byte.to_ascii_lowercase() as u64 + 1
}

/// Lengths of the values that begin alike, the longest first.
#[derive(Clone, Default)]
struct Lengths(Vec<u32>);

impl Lengths {
    fn add(&mut self, length: usize) {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        if let Err(at) = self.0.binary_search_by(|known| length.cmp(known)) {
            self.0.insert(at, length);
        }
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|length| *length as usize)
    }
}

/// Bits of the filter before the table of beginnings, as a power of two: 256 KiB, which a processor keeps near.
const FILTER_BITS: u32 = 21;

/// Tells in a moment that nothing begins with these bytes, as at most places of most texts.
#[derive(Clone, Default)]
struct Filter(Vec<u64>);

impl Filter {
    fn place(start: u32) -> (usize, u64) {
        let bit = start.wrapping_mul(0x9E37_79B1) >> (32 - FILTER_BITS);
        ((bit / 64) as usize, 1 << (bit % 64))
    }

    fn add(&mut self, start: u32) {
        self.0.resize(1 << (FILTER_BITS - 6), 0);
        let (word, bit) = Self::place(start);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    fn may_have(&self, start: u32) -> bool {
        let (word, bit) = Self::place(start);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }
}

/// The values, by hash. What they are is kept by the caller, who numbers them.
#[derive(Clone)]
pub(crate) struct Index {
    base: u64,
    powers: Vec<u64>,
    filter: Filter,
    /// By the first four bytes.
    starts: HashMap<u32, Lengths>,
    /// By the hash of the first [`SHORT`] bytes.
    long: HashMap<u64, Lengths>,
    exact: HashMap<u64, u32>,
}

impl Default for Index {
    fn default() -> Self {
        // Unknown to whoever writes logs, so that nobody can make values collide.
        let base = RandomState::new().hash_one(0x0066_756d_6568_6f6f_u64) % (PRIME - 512) + 256;
        Self {
            base,
            powers: vec![1],
            filter: Filter::default(),
            starts: HashMap::new(),
            long: HashMap::new(),
            exact: HashMap::new(),
        }
    }
}

impl Index {
    /// Look for a value from now on. Blanks around it do not count, and neither does its case; of several that are the
    /// same then, the first is the one that is found.
    pub(crate) fn add(&mut self, original: &str, id: u32) {
        let value = original.trim().as_bytes();
        let Some(start) = first_bytes(value) else { return };
        let hashes = Hashes::of(self.base, value);
        let whole = hashes.prefix(value.len());
        while self.powers.len() <= value.len() {
            let last = self.powers.last().copied().unwrap_or(1);
            self.powers.push(times(last, self.base));
        }
        self.filter.add(start);
        let lengths = self.starts.entry(start).or_default();
        if value.len() <= SHORT {
            lengths.add(value.len());
            self.exact.entry(whole).or_insert(id);
            return;
        }
        let beginning = hashes.prefix(SHORT);
        let long = self.long.entry(beginning).or_default();
        if long.0.len() < MOST_LENGTHS {
            long.add(value.len());
            self.exact.entry(whole).or_insert(id);
        } else {
            lengths.add(SHORT);
            self.exact.entry(beginning).or_insert(id);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.exact.is_empty()
    }

    /// What may stand where: start, end and number of a value, the longest first for each start. Compare before you
    /// believe it.
    pub(crate) fn find<B>(
        &self,
        bytes: &[u8],
        mut hit: impl FnMut(usize, usize, u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        if self.is_empty() || bytes.len() < MIN_ORIGINAL_BYTES {
            return ControlFlow::Continue(());
        }
        // Most short texts need none.
        let mut hashes = None;
        let mut at = |hashes: &Hashes, start: usize, length: usize| -> ControlFlow<B> {
            let end = start + length;
            if end <= bytes.len()
                && let Some(hash) = self.power(length).map(|power| hashes.range(start, end, power))
                && let Some(id) = self.exact.get(&hash)
            {
                hit(start, end, *id)?;
            }
            ControlFlow::Continue(())
        };
        for start in 0..=bytes.len() - MIN_ORIGINAL_BYTES {
            let first = bytes.get(start..).and_then(first_bytes).filter(|first| self.filter.may_have(*first));
            let Some(lengths) = first.and_then(|first| self.starts.get(&first)) else { continue };
            let hashes = hashes.get_or_insert_with(|| Hashes::of(self.base, bytes));
            if !self.long.is_empty()
                && start + SHORT < bytes.len()
                && let Some(power) = self.power(SHORT)
                && let Some(long) = self.long.get(&hashes.range(start, start + SHORT, power))
            {
                long.iter().try_for_each(|length| at(hashes, start, length))?;
            }
            lengths.iter().try_for_each(|length| at(hashes, start, length))?;
        }
        ControlFlow::Continue(())
    }

    fn power(&self, length: usize) -> Option<u64> {
        self.powers.get(length).copied()
    }
}

/// What a value or a place begins with, in lower case.
fn first_bytes(bytes: &[u8]) -> Option<u32> {
    let mut first: [u8; MIN_ORIGINAL_BYTES] = bytes.get(..MIN_ORIGINAL_BYTES)?.try_into().ok()?;
    first.make_ascii_lowercase();
    Some(u32::from_le_bytes(first))
}

/// Hashes of all beginnings of some bytes.
struct Hashes(Vec<u64>);

impl Hashes {
    fn of(base: u64, bytes: &[u8]) -> Self {
        let mut all = Vec::with_capacity(bytes.len() + 1);
        let mut hash = 0;
        all.push(hash);
        for byte in bytes {
            hash = plus(times(hash, base), fold(*byte));
            all.push(hash);
        }
        Self(all)
    }

    fn prefix(&self, end: usize) -> u64 {
        self.0.get(end).copied().unwrap_or(0)
    }

    /// `power` is the base to the power of the length.
    fn range(&self, start: usize, end: usize, power: u64) -> u64 {
        plus(self.prefix(end), PRIME - times(self.prefix(start), power))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(values: &[String], text: &str) -> Vec<(usize, usize)> {
        let mut index = Index::default();
        for (id, value) in values.iter().enumerate() {
            index.add(value, u32::try_from(id).unwrap());
        }
        let mut all = Vec::new();
        let _ = index.find(text.as_bytes(), |start, end, id| {
            let value = values[id as usize].trim();
            if text.as_bytes()[start..end].eq_ignore_ascii_case(value.as_bytes()) {
                all.push((start, end));
            }
            ControlFlow::<()>::Continue(())
        });
        all.sort_unstable();
        all
    }

    fn naive(values: &[String], text: &str) -> Vec<(usize, usize)> {
        let mut all = Vec::new();
        for value in values.iter().map(|value| value.trim()).filter(|value| value.len() >= MIN_ORIGINAL_BYTES) {
            for start in 0..=text.len().saturating_sub(value.len()) {
                let part = text.as_bytes().get(start..start + value.len());
                if part.is_some_and(|part| part.eq_ignore_ascii_case(value.as_bytes())) {
                    all.push((start, start + value.len()));
                }
            }
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    proptest! {
        #[test]
        fn every_value_is_found_wherever_it_stands(
            values in prop::collection::vec("[ab]{1,9}|[aA.b]{60,70}|(é|ü|a){2,4}| abba ", 0..30),
            text in "([abABéü.]{0,30}|[aA.b]{60,75}){0,4}",
        ) {
            prop_assert_eq!(found(&values, &text), naive(&values, &text));
        }
    }

    #[test]
    fn text_that_was_made_to_cost_stays_cheap() {
        // Long values that differ in their length alone, and a text that begins all of them everywhere.
        let values: Vec<String> = (0..2_000).map(|more| format!("{}b", "a".repeat(SHORT + more))).collect();
        let mut index = Index::default();
        for (id, value) in values.iter().enumerate() {
            index.add(value, u32::try_from(id).unwrap());
        }
        assert!(index.long.values().all(|lengths| lengths.0.len() <= MOST_LENGTHS));
        let beginning = "a".repeat(SHORT);
        assert!(!found(&values, &format!("x{beginning}aab")).is_empty());
        let mut hits = 0;
        let _ = index.find(format!("x{beginning}y").as_bytes(), |start, end, _| {
            hits += 1;
            assert_eq!((start, end), (1, 1 + SHORT));
            ControlFlow::<()>::Continue(())
        });
        assert_eq!(hits, 1, "the beginning counts as the value beyond the bound");
    }
}
