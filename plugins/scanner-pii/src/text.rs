//! The window as the matchers see it: bytes, character classes, runs and boundaries.
//!
//! Invariant: no function here reads outside the window or panics, and whoever asks for runs in ascending order pays
//! for each byte once: the end of the last run of each class is remembered. Everything that loops counts its steps in
//! tests, which is how linearity is shown without a clock.

use std::cell::Cell;

/// A character class: a bit of [`CLASS`].
pub(crate) type Class = u32;

pub(crate) const DIGIT: Class = 1 << 0;
pub(crate) const ALPHA: Class = 1 << 1;
pub(crate) const HEX: Class = 1 << 2;
/// Letters, digits, underscore.
pub(crate) const WORD: Class = 1 << 3;
/// Base64 with padding.
pub(crate) const BASE64: Class = 1 << 4;
/// Base64url without padding; also what most vendors' keys are made of.
pub(crate) const BASE64URL: Class = 1 << 5;
/// RFC 9110 `token68`, and the dots and tildes of opaque tokens.
pub(crate) const TOKEN68: Class = 1 << 6;
/// What the name of a field consists of.
pub(crate) const KEY: Class = 1 << 7;
/// Space and tab.
pub(crate) const BLANK: Class = 1 << 8;
/// What a mail address has before its at sign, less what URLs and quoting need.
pub(crate) const LOCAL: Class = 1 << 9;
/// Labels of a host name with their dots.
pub(crate) const HOST: Class = 1 << 10;
/// Hexadecimal digits and colons.
pub(crate) const HEXCOLON: Class = 1 << 11;
/// What may stand between `://` and the slash after it.
pub(crate) const AUTHORITY: Class = 1 << 12;
/// Ends nothing: what an unquoted value consists of.
pub(crate) const BARE: Class = 1 << 13;
/// Body of a PEM block, with the escapes that JSON brings.
pub(crate) const PEM: Class = 1 << 14;
pub(crate) const UPPER: Class = 1 << 15;
/// Base64url and dots: keys with parts.
pub(crate) const DOTTED: Class = 1 << 16;
/// Up to the end of the line.
pub(crate) const LINE: Class = 1 << 17;
/// Letters and digits.
pub(crate) const ALNUM: Class = 1 << 18;
/// What the names of columns consist of, and their quotes.
pub(crate) const TITLE: Class = 1 << 19;
/// What parts the cells of a table.
pub(crate) const DELIMITER: Class = 1 << 20;
const CLASSES: usize = 21;

const fn class_of(b: u8) -> Class {
    let mut c = 0;
    if b.is_ascii_digit() {
        c |= DIGIT | HEX | WORD | BASE64 | BASE64URL | TOKEN68 | KEY | LOCAL | HOST | HEXCOLON;
        c |= DOTTED | ALNUM;
    }
    if b.is_ascii_alphabetic() {
        c |= ALPHA | WORD | BASE64 | BASE64URL | TOKEN68 | KEY | LOCAL | HOST | DOTTED | ALNUM;
        if b.is_ascii_hexdigit() {
            c |= HEX | HEXCOLON;
        }
    }
    if b.is_ascii_uppercase() {
        c |= UPPER;
    }
    c |= match b {
        b'_' => WORD | BASE64URL | TOKEN68 | KEY | LOCAL | HOST | DOTTED,
        b'-' => BASE64URL | TOKEN68 | KEY | LOCAL | HOST | DOTTED,
        b'.' => TOKEN68 | KEY | LOCAL | HOST | DOTTED,
        b'+' => BASE64 | TOKEN68 | LOCAL,
        b'/' => BASE64 | TOKEN68,
        b'=' => BASE64 | TOKEN68,
        b'~' => TOKEN68,
        b'%' | b'\'' => LOCAL,
        b':' => HEXCOLON,
        b' ' | b'\t' => BLANK,
        _ => 0,
    };
    if b > b' ' && b != 0x7f && !matches!(b, b'/' | b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\') {
        c |= AUTHORITY;
    }
    if b > b' ' && b != 0x7f && !matches!(b, b'"' | b'\'' | b'`' | b'<') {
        c |= BARE;
    }
    if b.is_ascii_alphanumeric()
        || matches!(b, b'+' | b'/' | b'=' | b'\n' | b'\r' | b' ' | b'\t' | b'\\' | b':' | b',' | b'"' | b'>')
    {
        c |= PEM;
    }
    if b != b'\n' && b != b'\r' {
        c |= LINE;
    }
    if c & KEY != 0
        || b >= 0x80
        || matches!(b, b' ' | b'"' | b'`' | b'\'' | b'*' | b'(' | b')' | b'/' | b'#' | b'[' | b']')
    {
        c |= TITLE;
    }
    if matches!(b, b',' | b';' | b'\t' | b'|' | b'~' | b'^') {
        c |= DELIMITER;
    }
    c
}

const fn table() -> [Class; 256] {
    let mut table = [0; 256];
    let mut b = 0_u8;
    loop {
        #[expect(clippy::indexing_slicing, reason = "a byte indexes 256 entries")]
        {
            table[b as usize] = class_of(b);
        }
        if b == u8::MAX {
            return table;
        }
        b += 1;
    }
}

static CLASS: [Class; 256] = table();

/// Whether the byte is of the class.
pub(crate) fn is(b: u8, class: Class) -> bool {
    CLASS.get(usize::from(b)).is_some_and(|c| c & class != 0)
}

/// One window.
pub(crate) struct Text<'a> {
    text: &'a str,
    continues_before: bool,
    continues_after: bool,
    runs: [Cell<(usize, usize)>; CLASSES],
    #[cfg(test)]
    steps: Cell<u64>,
}

impl<'a> Text<'a> {
    pub(crate) fn new(text: &'a str, continues_before: bool) -> Self {
        Self {
            text,
            continues_before,
            continues_after: false,
            runs: [const { Cell::new((1, 0)) }; CLASSES],
            #[cfg(test)]
            steps: Cell::new(0),
        }
    }

    /// The same window of a text that goes on behind it, or not.
    pub(crate) fn continued(self, continues_after: bool) -> Self {
        Self { continues_after, ..self }
    }

    /// Whether the window's end cuts off what runs up to `i`: nothing there is the last of it.
    pub(crate) fn is_cut(&self, i: usize) -> bool {
        self.continues_after && i >= self.len()
    }

    /// Whether the text began before the window.
    pub(crate) fn is_continued(&self) -> bool {
        self.continues_before
    }

    /// Count work, in tests.
    #[cfg(test)]
    pub(crate) fn tick(&self, steps: usize) {
        self.steps.set(self.steps.get() + steps as u64);
    }
    #[cfg(not(test))]
    #[inline(always)]
    pub(crate) fn tick(&self, _: usize) {}

    #[cfg(test)]
    pub(crate) fn steps(&self) -> u64 {
        self.steps.get()
    }

    pub(crate) fn str(&self) -> &'a str {
        self.text
    }
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// The byte at `i`; 0 outside.
    #[inline]
    pub(crate) fn at(&self, i: usize) -> u8 {
        self.bytes().get(i).copied().unwrap_or(0)
    }

    /// The byte before `i`. Before the window stands a letter where the text went on, a line end where it began.
    #[inline]
    pub(crate) fn before(&self, i: usize) -> u8 {
        match i.checked_sub(1) {
            Some(before) => self.at(before),
            None if self.continues_before => b'x',
            None => b'\n',
        }
    }

    /// The bytes of a range, as far as the window has them.
    pub(crate) fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        self.bytes().get(start..end.min(self.len())).unwrap_or_default()
    }

    /// The characters of a range; empty where it is none.
    pub(crate) fn part(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// Whether `literal` (lower case) stands at `i` in any case.
    #[inline]
    pub(crate) fn has(&self, i: usize, literal: &str) -> bool {
        // The first byte tells in most cases.
        literal.as_bytes().first().is_none_or(|first| self.at(i).eq_ignore_ascii_case(first))
            && self.has_whole(i, literal)
    }

    fn has_whole(&self, i: usize, literal: &str) -> bool {
        self.slice(i, i + literal.len()).eq_ignore_ascii_case(literal.as_bytes())
    }

    /// Whether `literal` stands right before `i` in any case.
    pub(crate) fn has_before(&self, i: usize, literal: &str) -> bool {
        i.checked_sub(literal.len()).is_some_and(|start| self.has(start, literal))
    }

    /// Where the run of `class` that begins at `i` ends.
    #[inline]
    pub(crate) fn run(&self, i: usize, class: Class) -> usize {
        let memo = self.runs.get(class.trailing_zeros() as usize);
        if let Some((start, end)) = memo.map(Cell::get)
            && start <= i
            && i <= end
        {
            return end;
        }
        let rest = self.bytes().get(i..).unwrap_or_default();
        let length = rest.iter().position(|b| !is(*b, class)).unwrap_or(rest.len());
        self.tick(length + 1);
        let end = i + length;
        if let Some(memo) = memo {
            memo.set((i, end));
        }
        end
    }

    /// Where the hexadecimal digits end that begin at `i`, at most five of them and at most at `end`.
    pub(crate) fn hex_digits(&self, i: usize, end: usize) -> usize {
        let mut stop = i;
        while stop < end && stop < i + 5 && is(self.at(stop), HEX) {
            stop += 1;
        }
        stop
    }

    /// Where the run of `byte` that begins at `i` ends, at most eight bytes on.
    pub(crate) fn run_of(&self, i: usize, byte: u8) -> usize {
        let mut end = i;
        while end < i + 8 && self.at(end) == byte {
            end += 1;
        }
        end
    }

    /// Where the run of `class` that ends at `i` begins, at most `limit` bytes back.
    #[inline]
    pub(crate) fn run_back(&self, i: usize, class: Class, limit: usize) -> usize {
        let mut start = i;
        while start > 0 && i - start < limit && is(self.at(start - 1), class) {
            start -= 1;
        }
        self.tick(i - start + 1);
        start
    }

    /// A value may begin at `i`: what stands before is no letter, digit or underscore, or it is one of an escape
    /// (`\n`, `%3D`, `\u0026`).
    pub(crate) fn starts_word(&self, i: usize) -> bool {
        !is(self.before(i), WORD) || self.after_escape(i)
    }

    /// Right before `i` ends an escape of JSON or a URL.
    pub(crate) fn after_escape(&self, i: usize) -> bool {
        (i >= 2
            && self.at(i - 2) == b'\\'
            && matches!(self.at(i - 1), b'n' | b'r' | b't')
            && self.before(i - 2) != b'\\')
            || (i >= 3
                && self.at(i - 3) == b'%'
                && matches!(self.at(i - 2), b'2' | b'3' | b'5' | b'7')
                && is(self.at(i - 1), HEX))
            || (i >= 6 && self.has(i - 6, "\\u00"))
    }

    /// The first of `byte` at or after `from`, on the same line.
    pub(crate) fn line_end(&self, from: usize) -> usize {
        self.run(from, LINE)
    }

    /// Where the line of `i` begins, at most `limit` bytes back.
    pub(crate) fn line_start(&self, i: usize, limit: usize) -> usize {
        self.run_back(i, LINE, limit)
    }

    /// The nearest character boundary at or before `i`.
    pub(crate) fn floor(&self, i: usize) -> usize {
        let mut i = i.min(self.len());
        while !self.text.is_char_boundary(i) {
            i -= 1;
        }
        i
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_paid_for_once() {
        let text = "a".repeat(1000);
        let text = Text::new(&text, false);
        for i in 0..1000 {
            assert_eq!(text.run(i, WORD), 1000);
        }
        assert!(text.steps() < 1100, "{}", text.steps());
    }

    #[test]
    fn escapes_are_boundaries() {
        let text = Text::new(r"x\nAKIA %3DAKIA xAKIA \u0026AKIA", false);
        let at = |n: usize| text.str().match_indices("AKIA").nth(n).map(|m| m.0);
        assert_eq!(at(0).map(|i| text.starts_word(i)), Some(true));
        assert_eq!(at(1).map(|i| text.starts_word(i)), Some(true));
        assert_eq!(at(2).map(|i| text.starts_word(i)), Some(false));
        assert_eq!(at(3).map(|i| text.starts_word(i)), Some(true));
    }

    #[test]
    fn the_start_of_a_continued_window_is_no_boundary() {
        assert!(Text::new("1", false).starts_word(0));
        assert!(!Text::new("1", true).starts_word(0));
    }
}
