//! What the text around a range looks like.
//!
//! Invariant: each question looks at a bounded number of characters.

use std::ops::Range;

/// Neither a letter nor a digit stands right before or right behind the range: it is no part of a longer word. The
/// letter of an escape (`\n`, `\r`, `\t`) is none.
pub(crate) fn stands_alone(text: &str, range: &Range<usize>) -> bool {
    let before = text.get(..range.start).unwrap_or_default();
    let after = text.get(range.end..).unwrap_or_default();
    !after.chars().next().is_some_and(char::is_alphanumeric)
        && (!before.chars().next_back().is_some_and(char::is_alphanumeric) || ends_with_escape(before))
}

fn ends_with_escape(before: &str) -> bool {
    match before.as_bytes() {
        [.., b'\\', b'\\', b'n' | b'r' | b't'] => false,
        [.., b'\\', b'n' | b'r' | b't'] => true,
        _ => false,
    }
}

/// Shannon's entropy of the characters, in bits for each.
pub(crate) fn entropy(value: &str) -> f64 {
    let mut counts = std::collections::BTreeMap::new();
    let mut total = 0_u32;
    for c in value.chars() {
        *counts.entry(c).or_insert(0_u32) += 1;
        total += 1;
    }
    let total = f64::from(total);
    // Folding from nought, because an empty sum of floats is minus nought.
    counts.values().fold(0.0, |sum, count| {
        let share = f64::from(*count) / total;
        sum - share * share.log2()
    })
}

/// What an automaton that folds ASCII only must look for to find a word in any case: as it stands, all small, all
/// capital.
pub(crate) fn spellings(word: &str) -> Vec<String> {
    if word.is_ascii() {
        return vec![word.to_owned()];
    }
    let mut all = vec![word.to_owned(), word.to_lowercase(), word.to_uppercase()];
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_alone() {
        for (text, alone) in [
            ("a cat b", true),
            ("cat", true),
            ("_cat-", true),
            ("cats", false),
            ("écat", false),
            ("\\ncat", true),
            ("\\\\ncat", false),
            ("1cat", false),
        ] {
            let start = text.find("cat").unwrap();
            assert_eq!(stands_alone(text, &(start..start + 3)), alone, "{text}");
        }
    }

    #[test]
    fn entropy_counts_characters() {
        assert_eq!(entropy(""), 0.0);
        assert_eq!(entropy("aaaa"), 0.0);
        assert_eq!(entropy("éöéö"), 1.0);
        assert!((entropy("abcd") - 2.0).abs() < 1e-9);
    }
}
