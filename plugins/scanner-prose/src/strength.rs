//! How much the words of a candidate say by themselves, whatever stands around them.
//!
//! Invariant: a class depends on the first and the last word alone.

use crate::lexicon::*;
use crate::token::{Shape, Token};

/// How much the words themselves say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strength {
    OneCommonFirst,
    OneFirst,
    OneLast,
    OneDoubtful,
    OneVeryDoubtful,
    OneUnknown,
    OneOther,
    FirstLast,
    FirstUnknown,
    FirstDoubtful,
    FirstWord,
    DoubtfulLast,
    UnknownLast,
    WordLast,
    UnknownUnknown,
    LastFirst,
    LastLast,
    DoubtfulDoubtful,
    DoubtfulUnknown,
    LastUnknown,
    Other,
}

pub(crate) const STRENGTHS: &[&str] = &[
    "OneCommonFirst",
    "OneFirst",
    "OneLast",
    "OneDoubtful",
    "OneVeryDoubtful",
    "OneUnknown",
    "OneOther",
    "FirstLast",
    "FirstUnknown",
    "FirstDoubtful",
    "FirstWord",
    "DoubtfulLast",
    "UnknownLast",
    "WordLast",
    "UnknownUnknown",
    "LastFirst",
    "LastLast",
    "DoubtfulDoubtful",
    "DoubtfulUnknown",
    "LastUnknown",
    "Other",
];

/// Strengths that contexts bear upon alike.
pub(crate) const GROUPS: &[&str] = &["OneGood", "OneDoubtful", "OneUnknown", "FullGood", "FullHalf", "FullWeak"];

pub(crate) const fn group(strength: Strength) -> usize {
    use Strength::*;
    match strength {
        OneCommonFirst | OneFirst => 0,
        OneDoubtful | OneLast => 1,
        OneVeryDoubtful | OneUnknown | OneOther => 2,
        FirstLast | LastFirst | FirstDoubtful => 3,
        FirstUnknown | DoubtfulLast | UnknownLast | FirstWord | LastLast => 4,
        WordLast | UnknownUnknown | DoubtfulDoubtful | DoubtfulUnknown | LastUnknown | Other => 5,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    First,
    Last,
    /// A name that may be a word, a place or a product.
    Doubtful,
    Unknown,
    Word,
}

fn part(token: &Token, first: bool) -> Part {
    let f = token.flags;
    let doubt = f & DOUBT != 0;
    if token.shape == Shape::Initial {
        return Part::First;
    }
    // A name that is rare as a word, or a place that is a name first.
    let mild = f & (WORD_COMMON | FUNCTION | TECH | CALENDAR | ORG) == 0 && (f & (FIRST_COMMON | LAST_COMMON) != 0);
    if f & NAME != 0 && (!doubt || mild) {
        let is_first = if first { f & FIRST != 0 } else { f & LAST == 0 };
        return if is_first { Part::First } else { Part::Last };
    }
    if f & NAME != 0 {
        Part::Doubtful
    } else if f & (DOUBT | NOUN | ROLE | SAY | OBJECT) == 0 {
        Part::Unknown
    } else {
        Part::Word
    }
}

pub(crate) fn strength(tokens: &[Token], words: &[usize]) -> Strength {
    use Part::*;
    use Strength as S;
    let token = |i: usize| words.get(i).and_then(|at| tokens.get(*at));
    let (Some(a), Some(b)) = (token(0), token(words.len().wrapping_sub(1))) else { return S::Other };
    if words.len() == 1 {
        return match part(a, true) {
            First if a.flags & FIRST_COMMON != 0 && a.flags & DOUBT == 0 => S::OneCommonFirst,
            First if a.flags & (DOUBT & !WORD) == 0 => S::OneFirst,
            Last => S::OneLast,
            First | Doubtful if a.flags & (WORD_COMMON | FUNCTION | TECH | CALENDAR | ORG) == 0 => S::OneDoubtful,
            First | Doubtful => S::OneVeryDoubtful,
            Unknown => S::OneUnknown,
            Word => S::OneOther,
        };
    }
    match (part(a, true), part(b, false)) {
        (First, Last) => S::FirstLast,
        (First, First) if b.flags & FIRST != 0 => S::FirstLast,
        (First, Unknown) => S::FirstUnknown,
        (First, First | Doubtful) => S::FirstDoubtful,
        (First, Word) => S::FirstWord,
        (Doubtful, Last | First) => S::DoubtfulLast,
        (Unknown, Last) => S::UnknownLast,
        (Word, Last | First) => S::WordLast,
        (Unknown, Unknown) => S::UnknownUnknown,
        (Last, First) => S::LastFirst,
        (Last, Last) => S::LastLast,
        (Doubtful, Doubtful) => S::DoubtfulDoubtful,
        (Doubtful, Unknown) => S::DoubtfulUnknown,
        (Last, Unknown) => S::LastUnknown,
        _ => S::Other,
    }
}
