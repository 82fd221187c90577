//! Lists of words that are looked up often, by their first letter.
//!
//! Invariant: as fast for a long list as for a short one; case is ignored for ASCII.

use std::sync::LazyLock;

/// A list that is put in order when it is first asked, which `warm` is for.
pub(crate) type Words = LazyLock<List>;

/// Words by the lower five bits of their first byte.
#[derive(Debug)]
pub(crate) struct List {
    by_letter: [Vec<&'static [u8]>; 32],
}

impl List {
    pub(crate) fn new(words: &[&'static str]) -> Self {
        let mut by_letter = [const { Vec::new() }; 32];
        for word in words {
            if let Some(list) = by_letter.get_mut(bucket(word.as_bytes())) {
                list.push(word.as_bytes());
            }
        }
        Self { by_letter }
    }

    /// Whether the list has the word.
    #[inline]
    pub(crate) fn has(&self, word: &[u8]) -> bool {
        self.by_letter
            .get(bucket(word))
            .is_some_and(|list| list.iter().any(|known| known.len() == word.len() && known.eq_ignore_ascii_case(word)))
    }
}

fn bucket(word: &[u8]) -> usize {
    word.first().map_or(0, |first| usize::from(first & 31))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_any_case() {
        let list = List::new(&["alpha", "beta", "être"]);
        assert!(list.has(b"ALPHA") && list.has(b"beta") && list.has("être".as_bytes()));
        assert!(!list.has(b"alph") && !list.has(b"") && !list.has(b"gamma"));
    }
}
