//! One pass over the bytes, which finds where a name, an address or a date could be.
//!
//! Invariant: each byte is read once, and nothing is allocated for a text without capital words.

use crate::lexicon::*;
use crate::steps::tick;

const LOWER: u8 = 0;
const UPPER: u8 = 1;
const DIGIT: u8 = 2;
/// Bytes of characters beyond ASCII.
const HIGH: u8 = 3;
const OTHER: u8 = 4;
/// The underscore: part of words that are none.
const JOINT: u8 = 5;

const fn table() -> [u8; 256] {
    let mut table = [OTHER; 256];
    let mut b = 0_u8;
    loop {
        #[expect(clippy::indexing_slicing, reason = "a byte indexes 256 entries")]
        {
            table[b as usize] = match b {
                b'a'..=b'z' => LOWER,
                b'A'..=b'Z' => UPPER,
                b'0'..=b'9' => DIGIT,
                b'_' => JOINT,
                0x80.. => HIGH,
                _ => OTHER,
            };
        }
        if b == u8::MAX {
            return table;
        }
        b += 1;
    }
}

static CLASS: [u8; 256] = table();

#[inline]
fn class(b: u8) -> u8 {
    CLASS.get(usize::from(b)).copied().unwrap_or(OTHER)
}

/// What a place in the text may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seed {
    /// A word that could belong to a name.
    Name,
    /// A number of one to five digits that stands alone.
    Number,
    /// Letters of a script without case.
    Script,
}

/// Calls `on` for each seed, in order, with the range of the word or number.
pub(crate) fn find(text: &str, lexicon: &Lexicon, mut on: impl FnMut(Seed, usize, usize)) {
    let bytes = text.as_bytes();
    let at = |i: usize| bytes.get(i).copied().unwrap_or(0);
    let mut i = 0;
    while let Some(b) = bytes.get(i) {
        tick(1);
        match class(*b) {
            OTHER => i += 1,
            LOWER | JOINT => {
                // The rest of a word that begins small: no name, unless behind an escape (`\nAnna`).
                let escape = i > 0 && at(i - 1) == b'\\' && matches!(b, b'n' | b'r' | b't');
                let begin = i;
                i += 1;
                if escape {
                    continue;
                }
                while !matches!(class(at(i)), OTHER) && i < bytes.len() {
                    i += 1;
                }
                // "femke: is he in": a speaker, written small.
                if at(i) == b':' && at(i + 1) == b' ' && i - begin > 2 && heads(bytes, begin) {
                    let flags = lexicon.get(Hash::of(text.get(begin..i).unwrap_or_default()));
                    if flags & NAME != 0 && flags & (WORD_COMMON | FUNCTION | TECH | NOUN) == 0 {
                        on(Seed::Name, begin, i);
                    }
                }
                // "hey marco", "mr ahmed": names written small.
                if i - begin <= 6 && matches!(at(i), b' ' | b'.') && calls(bytes.get(begin..i).unwrap_or_default()) {
                    on(Seed::Name, begin, i);
                }
            }
            DIGIT => {
                let start = i;
                if let Some(end) = timestamp(bytes, i) {
                    i = end;
                    continue;
                }
                while class(at(i)) == DIGIT {
                    i += 1;
                }
                on(Seed::Number, start, i);
                while matches!(class(at(i)), LOWER | UPPER | DIGIT | JOINT) {
                    i += 1;
                }
            }
            kind => {
                let start = i;
                i += 1;
                let (mut high, mut lower, mut broken) = (kind == HIGH, false, false);
                while i < bytes.len() {
                    match class(at(i)) {
                        LOWER => lower = true,
                        HIGH => high = true,
                        UPPER => {}
                        DIGIT | JOINT => broken = true,
                        _ => break,
                    }
                    i += 1;
                }
                if broken || !stands(bytes, start, i) {
                    continue;
                }
                let word = text.get(start..i).unwrap_or_default();
                if high {
                    if script(word) {
                        on(Seed::Script, start, i);
                    } else if word.chars().next().is_some_and(char::is_uppercase) {
                        let flags = lexicon.get(Hash::of(word));
                        if worth(flags, true, bytes, start, i) {
                            on(Seed::Name, start, i);
                        }
                    }
                    continue;
                }
                // Parts of identifiers; initials are looked at with the word that follows.
                if word.len() < 2 {
                    continue;
                }
                let mut hash = Hash::new();
                for b in word.bytes() {
                    hash.ascii(b);
                }
                let flags = lexicon.get(hash);
                if worth(flags, lower, bytes, start, i) {
                    on(Seed::Name, start, i);
                }
            }
        }
    }
}

/// The end of the time of an event, `2026-04-01T09:30:00`, that begins at `i`: nearly every line of a log has one. The
/// year keeps births in that form out of it.
fn timestamp(bytes: &[u8], i: usize) -> Option<usize> {
    let shape = *b"2020-00-00T00:00:00";
    let found = bytes.get(i..i + shape.len())?;
    let fits = found.starts_with(b"202")
        && found.iter().zip(&shape).skip(3).all(|(found, shape)| match shape {
            b'0' => found.is_ascii_digit(),
            b'T' => matches!(found, b'T' | b' '),
            _ => found == shape,
        });
    fits.then_some(i + shape.len())
}

/// Whether a line begins at `i`, or goes on behind a clock in brackets.
#[inline]
fn heads(bytes: &[u8], i: usize) -> bool {
    match i.checked_sub(1).and_then(|i| bytes.get(i)) {
        None | Some(b'\n') => true,
        Some(b' ') => i > 1 && matches!(bytes.get(i - 2), Some(b']')),
        _ => false,
    }
}

/// Whether a word written small goes before people's names, also where those are written small.
#[inline]
fn calls(word: &[u8]) -> bool {
    match word.first() {
        Some(b'h') => matches!(word, b"hey" | b"hi" | b"hello"),
        Some(b'm') => matches!(word, b"mr" | b"mrs"),
        Some(b't') => matches!(word, b"thx" | b"thanks" | b"ty"),
        Some(b'd') => matches!(word, b"dr" | b"dear"),
        Some(b'c') => word == b"cc",
        Some(b's') => word == b"sorry",
        _ => false,
    }
}

/// Whether the word at `start..end` stands as words do, and is no part of an identifier, a path or an address.
fn stands(bytes: &[u8], start: usize, end: usize) -> bool {
    let at = |i: usize| bytes.get(i).copied().unwrap_or(b'\n');
    let before = start.checked_sub(1).map_or(b'\n', at);
    if matches!(before, b'.' | b'/' | b'$' | b'#' | b'%' | b'&' | b'{' | b'+' | b'~')
        || before == b'-' && start > 1 && at(start - 2) > b' ' && at(start - 2) < 0x80
    {
        // "J.R.Tolkien": an initial's dot.
        return before == b'.' && start > 1 && at(start - 2).is_ascii_uppercase();
    }
    let next = at(end + 1);
    match at(end) {
        b'(' | b'@' | b'=' | b'/' | b'$' | b'[' | b'{' | b'#' => false,
        b'\\' => matches!(next, b'n' | b'r' | b't' | b'"' | b'u'),
        b'.' | b':' => !next.is_ascii_alphanumeric() && next != b':' && next != b'/',
        b'-' => !next.is_ascii_digit(),
        _ => true,
    }
}

/// Whether a capital word is worth a look at what stands around it.
fn worth(flags: Flags, lower: bool, bytes: &[u8], start: usize, end: usize) -> bool {
    let at = |i: usize| bytes.get(i).copied().unwrap_or(b'\n');
    let capital = |b: u8| b.is_ascii_uppercase() || b >= 0x80;
    // Another capital word follows; not only an acronym.
    let followed = at(end) == b' ' && capital(at(end + 1)) && !at(end + 2).is_ascii_uppercase();
    if flags & TITLE != 0 && lower {
        return followed
            || at(end) == b' ' && capital(at(end + 1)) && at(end + 2).is_ascii_uppercase()
            || at(end) == b'.' && at(end + 1) == b' ' && capital(at(end + 2));
    }
    if flags & NAME != 0 {
        let doubt = flags & (WORD_COMMON | FUNCTION | TECH | CALENDAR | ORG) != 0;
        // "JANE ROE", "ROE, Jane"
        let shout = flags & DOUBT == 0 && (at(end) == b',' || at(end) == b' ' && at(end + 1).is_ascii_uppercase());
        return (lower || shout) && (!doubt || followed);
    }
    if flags != 0 || !lower {
        return false;
    }
    // An unknown word: before another, behind a word of prose, or as an owner.
    let two = start.checked_sub(2).map_or(b'\n', at);
    let prose =
        start > 0 && at(start - 1) == b' ' && (two.is_ascii_lowercase() || two == b',' || two == b'.' || two >= 0x80);
    // "02:15 Lindiwe paged", "[10:42] Jez: yes": behind the head of a line.
    let small = |i: usize| at(i).is_ascii_lowercase();
    let clock = two.is_ascii_digit() || two == b']';
    let head = start > 0
        && at(start - 1) == b' '
        && (two.is_ascii_digit() && at(end) == b' ' && small(end + 1)
            || (clock || two == b'-') && at(end) == b':' && at(end + 1) == b' ');
    followed
        || prose
        || head
        || matches!(at(end), b'\'' | 0xe2)
        || at(end) == b'-' && capital(at(end + 1))
        || matches!(at(end), b',' | b'\n' | b'\\') && matches!(two, b'\n' | b',' | b'.' | b'n')
}

/// Whether a word is of a script that has no capitals.
fn script(word: &str) -> bool {
    word.chars().next().is_some_and(|c| {
        c as u32 >= 0x590 && c.is_alphabetic() && !c.is_uppercase() && !c.is_lowercase() || c as u32 >= 0x2e80
    })
}
