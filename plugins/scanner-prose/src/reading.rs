//! Words, separators and postcodes around a place in the text, for the rules of addresses and dates.
//!
//! Invariant: each function reads a bounded number of bytes, and gives offsets on character boundaries only.

use crate::lexicon::{Flags, Hash, Lexicon};
use crate::steps::tick;
use crate::token::is_letter;

/// The longest word that is read, in bytes.
const LONGEST: usize = 40;

/// A word as the rules see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    pub start: usize,
    pub end: usize,
    pub flags: Flags,
    pub capital: bool,
}

/// A text with the lexicon at hand.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub text: &'a str,
    pub lexicon: &'a Lexicon,
}

impl<'a> Reading<'a> {
    pub(crate) fn at(&self, i: usize) -> u8 {
        self.text.as_bytes().get(i).copied().unwrap_or(0)
    }

    /// The byte before `i`; a line end before the text.
    pub(crate) fn before(&self, i: usize) -> u8 {
        i.checked_sub(1).map_or(b'\n', |i| self.at(i))
    }

    pub(crate) fn part(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// Whether the word before `i`, past blanks and an abbreviation's marks, begins with a capital or is none of ASCII.
    /// Cheap: no look-up.
    pub(crate) fn capital_before(&self, i: usize) -> bool {
        let mut at = i;
        while at > 0 && i - at < 4 && matches!(self.at(at - 1), b' ' | b',' | b'.') {
            at -= 1;
        }
        let end = at;
        while at > 0 && end - at < LONGEST {
            let b = self.at(at - 1);
            if b >= 0x80 {
                return true;
            }
            if !(b.is_ascii_alphabetic() || b == b'-' || b == b'\'') {
                break;
            }
            tick(1);
            at -= 1;
        }
        // "nr. 5", "no 5" and small types of streets stand behind names.
        end > at
            && (self.at(at).is_ascii_uppercase()
                || end - at < 4
                    && end - at > 0
                    && self.at(at).is_ascii_alphabetic()
                    && matches!(self.at(at), b'n' | b'N'))
    }

    fn word(&self, start: usize, end: usize) -> Option<Word> {
        let word = self.part(start, end);
        let first = word.chars().next()?;
        Some(Word { start, end, flags: self.lexicon.get(Hash::of(word)), capital: first.is_uppercase() })
    }

    /// The word that begins at `i`, with its hyphens and apostrophes.
    pub(crate) fn word_at(&self, i: usize) -> Option<Word> {
        let mut end = i;
        for c in self.text.get(i..)?.chars() {
            let joint = matches!(c, '-' | '\'' | '’') && end > i;
            if !(is_letter(c) || joint) || end - i > LONGEST {
                break;
            }
            tick(1);
            end += c.len_utf8();
        }
        let word = self.part(i, end);
        let end = i + word.trim_end_matches(['-', '\'', '’']).len();
        // The letters of a postcode are no word.
        if self.at(end).is_ascii_digit() {
            return None;
        }
        if end > i { self.word(i, end) } else { None }
    }

    /// The word that ends at `i`.
    pub(crate) fn word_before(&self, i: usize) -> Option<Word> {
        let mut start = i;
        for c in self.text.get(..i)?.chars().rev() {
            if !(is_letter(c) || matches!(c, '-' | '\'' | '’')) || i - start > LONGEST {
                break;
            }
            tick(1);
            start -= c.len_utf8();
        }
        // An escape before the word: `\nHauptstraße`.
        if self.before(start) == b'\\' && matches!(self.at(start), b'n' | b'r' | b't') {
            start += 1;
        }
        let word = self.part(start, i);
        let start = i - word.trim_start_matches(['-', '\'', '’']).len();
        if start < i { self.word(start, i) } else { None }
    }

    /// Where the line break at `i` ends, a written one or an escaped one.
    fn line_break(&self, i: usize) -> Option<usize> {
        match (self.at(i), self.at(i + 1)) {
            (b'\r', b'\n') => Some(i + 2),
            (b'\n', _) => Some(i + 1),
            (b'\\', b'n') => Some(i + 2),
            (b'\\', b'r') if self.at(i + 2) == b'\\' && self.at(i + 3) == b'n' => Some(i + 4),
            _ => None,
        }
    }

    fn blanks(&self, mut i: usize) -> usize {
        let from = i;
        while self.at(i) == b' ' && i - from < 4 {
            i += 1;
        }
        i
    }

    /// Past what separates the parts of an address: a comma, a line break, blanks. Whether there was a comma, and
    /// whether there was a line break.
    pub(crate) fn separator(&self, i: usize) -> Option<(usize, bool, bool)> {
        let mut at = self.blanks(i);
        let mut comma = false;
        if matches!(self.at(at), b',') || (self.at(at) == b'-' && at > i && self.at(at + 1) == b' ') {
            comma = true;
            at = self.blanks(at + 1);
        }
        let line = self.line_break(at);
        if let Some(next) = line {
            at = self.blanks(next);
        }
        (at > i).then_some((at, comma, line.is_some()))
    }

    /// What stands at `i` ends a value: no letter or digit goes on.
    pub(crate) fn ends(&self, i: usize) -> bool {
        !self.text.get(i..).and_then(|rest| rest.chars().next()).is_some_and(|c| c.is_alphanumeric() || c == '_')
    }

    /// How many digits stand at `i`, at most eight.
    pub(crate) fn digits(&self, i: usize) -> usize {
        (0..8).take_while(|n| self.at(i + n).is_ascii_digit()).count()
    }

    /// Where a postcode that begins at `i` ends. `bare` allows four to six digits and nothing else.
    pub(crate) fn postcode(&self, i: usize, bare: bool) -> Option<usize> {
        let mut at = i;
        // D-10115, CH-8001.
        let letters = (0..3).take_while(|n| self.at(i + n).is_ascii_uppercase()).count();
        if (1..=2).contains(&letters) && self.at(i + letters) == b'-' && self.at(i + letters + 1).is_ascii_digit() {
            at = i + letters + 1;
        }
        let n = self.digits(at);
        let next = at + n;
        let tail = |start: usize, count: usize| self.digits(start) == count && self.ends(start + count);
        let end = match (n, self.at(next), self.at(next + 1)) {
            (5, b'-', _) if tail(next + 1, 4) => next + 5,
            (5, b'-', _) if tail(next + 1, 3) => next + 4,
            (4, b'-', _) if tail(next + 1, 3) => next + 4,
            (3, b'-', _) if tail(next + 1, 4) => next + 5,
            (3, b'-', _) if tail(next + 1, 3) => next + 4,
            (2, b'-', _) if tail(next + 1, 3) => next + 4,
            (3, b' ', _) if tail(next + 1, 2) => next + 3,
            (4, b' ', a) if a.is_ascii_uppercase() && self.at(next + 2).is_ascii_uppercase() && self.ends(next + 3) => {
                next + 3
            }
            (4, a, b) if a.is_ascii_uppercase() && b.is_ascii_uppercase() && self.ends(next + 2) => next + 2,
            (4..=6, ..) if bare && self.ends(next) => next,
            (0, ..) => return self.letter_postcode(i),
            _ => return None,
        };
        Some(end)
    }

    /// `SW1A 2AA`, `K1A 0B6`.
    fn letter_postcode(&self, i: usize) -> Option<usize> {
        let letters = (0..3).take_while(|n| self.at(i + n).is_ascii_uppercase()).count();
        let mut at = i + letters;
        if !(1..=2).contains(&letters) || !self.at(at).is_ascii_digit() {
            return None;
        }
        at += 1;
        if self.at(at).is_ascii_digit() || self.at(at).is_ascii_uppercase() {
            at += 1;
        }
        if self.at(at) == b' ' {
            at += 1;
        }
        let inward = self.at(at).is_ascii_digit()
            && self.at(at + 1).is_ascii_uppercase()
            && (self.at(at + 2).is_ascii_uppercase() || self.at(at + 2).is_ascii_digit());
        (inward && self.ends(at + 3)).then_some(at + 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postcodes() {
        let lexicon = Lexicon::new();
        for code in [
            "10115",
            "D-10115",
            "SW1A 2AA",
            "N1 9GU",
            "K1A 0B6",
            "1017 GA",
            "1017GA",
            "00-238",
            "114 55",
            "1000-123",
            "62704-1234",
            "12345-678",
        ] {
            let reading = Reading { text: code, lexicon: &lexicon };
            assert_eq!(reading.postcode(0, true), Some(code.len()), "{code}");
        }
        for code in ["123", "12", "1234567", "A1", "IL", "12-34"] {
            let reading = Reading { text: code, lexicon: &lexicon };
            assert_eq!(reading.postcode(0, true), None, "{code}");
        }
    }
}
