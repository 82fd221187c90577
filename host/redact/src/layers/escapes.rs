//! Escapes within a line: `%40`, `\u0040`, `\"`, `&#64;`, `&quot;`, and `+` for a blank in forms; and the sequences that
//! colour a terminal, which stand for nothing.
//!
//! Invariant: what is no complete escape stays as it is.

use std::ops::Range;

use super::controls::sequence;
use super::map::Via;

/// The character that begins control sequences.
const ESCAPE: u8 = 0x1b;

/// The most bytes that one run of percent escapes is read as.
const RUN: usize = 4096;

/// Where the first escape of a line stands that makes it worth decoding. Line ends and tabs alone do not: scanners know
/// those, and every stack trace in JSON is full of them.
pub(super) fn first(line: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    let worth = memchr::memchr3_iter(b'%', b'\\', b'&', bytes).any(|at| match bytes.get(at) {
        Some(b'%') => percent(bytes, at).is_some(),
        Some(b'\\') => {
            matches!(bytes.get(at + 1), Some(b'"' | b'u' | b'x' | b'/')) && json(line, at).is_some()
                || sequence(bytes, at).is_some()
        }
        _ => entity(line, at).is_some(),
    });
    let worth = worth || memchr::memchr_iter(ESCAPE, bytes).any(|at| sequence(bytes, at).is_some());
    if worth { next(line, 0) } else { None }
}

/// Where the next escape stands, from `from` on.
pub(super) fn next(line: &str, from: usize) -> Option<usize> {
    let bytes = line.as_bytes();
    let mut at = from;
    loop {
        let found = bytes.get(at..)?.iter().position(|b| matches!(b, b'%' | b'\\' | b'&' | b'+' | &ESCAPE))?;
        at += found;
        let is_one = match bytes.get(at) {
            Some(b'%') => percent(bytes, at).is_some(),
            Some(b'\\') => json(line, at).is_some() || sequence(bytes, at).is_some(),
            Some(b'&') => entity(line, at).is_some(),
            Some(&ESCAPE) => sequence(bytes, at).is_some(),
            _ => is_blank(bytes, at),
        };
        if is_one {
            return Some(at);
        }
        at += 1;
    }
}

/// Decode the escape at `at`, where [`next`] found one; gives its length.
pub(super) fn decode(line: &str, at: usize, mut out: impl FnMut(&str, Range<usize>, Via)) -> usize {
    let bytes = line.as_bytes();
    if let Some(length) = sequence(bytes, at) {
        return length;
    }
    match bytes.get(at) {
        Some(b'%') => percents(bytes, at, |text, from| out(text, from, Via::URL)),
        Some(b'\\') => {
            let Some((character, length)) = json(line, at) else { return 1 };
            out(character.encode_utf8(&mut [0; 4]), at..at + length, Via::JSON);
            length
        }
        Some(b'&') => {
            let Some((character, length)) = entity(line, at) else { return 1 };
            out(character.encode_utf8(&mut [0; 4]), at..at + length, Via::XML);
            length
        }
        _ => {
            out(" ", at..at + 1, Via::URL);
            1
        }
    }
}

fn hex(byte: Option<&u8>) -> Option<u8> {
    char::from(*byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The byte of a percent escape.
fn percent(bytes: &[u8], at: usize) -> Option<u8> {
    if bytes.get(at) != Some(&b'%') {
        return None;
    }
    let byte = hex(bytes.get(at + 1))? << 4 | hex(bytes.get(at + 2))?;
    // Other control characters are data, or a `%08x` of a format.
    (byte >= b' ' && byte != 0x7f || matches!(byte, b'\n' | b'\r' | b'\t')).then_some(byte)
}

/// A run of percent escapes, character by character; those that are no UTF-8 stay. Gives the length of the run.
fn percents(bytes: &[u8], at: usize, mut out: impl FnMut(&str, Range<usize>)) -> usize {
    let mut decoded = Vec::new();
    while decoded.len() < RUN
        && let Some(byte) = percent(bytes, at + decoded.len() * 3)
    {
        decoded.push(byte);
    }
    let mut done = 0;
    for chunk in decoded.utf8_chunks() {
        for (offset, character) in chunk.valid().char_indices() {
            let start = at + (done + offset) * 3;
            out(character.encode_utf8(&mut [0; 4]), start..start + character.len_utf8() * 3);
        }
        done += chunk.valid().len();
        for _ in chunk.invalid() {
            let start = at + done * 3;
            let as_it_is = bytes.get(start..start + 3).and_then(|escape| std::str::from_utf8(escape).ok());
            out(as_it_is.unwrap_or_default(), start..start + 3);
            done += 1;
        }
    }
    decoded.len() * 3
}

/// The character of an escape of a string of JSON or of a program, and its length.
fn json(line: &str, at: usize) -> Option<(char, usize)> {
    let bytes = line.as_bytes();
    Some(match bytes.get(at + 1)? {
        quote @ (b'"' | b'\\' | b'/' | b'\'') => (char::from(*quote), 2),
        b'n' => ('\n', 2),
        b'r' => ('\r', 2),
        b't' => ('\t', 2),
        b'x' => {
            let byte = hex(bytes.get(at + 2))? << 4 | hex(bytes.get(at + 3))?;
            (char::from(byte).is_ascii_graphic().then_some(char::from(byte))?, 4)
        }
        b'u' => {
            let unit = unit(bytes, at)?;
            match unit {
                0xd800..=0xdbff => {
                    let low = unit_at(bytes, at + 6).filter(|low| (0xdc00..=0xdfff).contains(low))?;
                    let scalar = 0x1_0000 + ((u32::from(unit) - 0xd800) << 10) + (u32::from(low) - 0xdc00);
                    (char::from_u32(scalar)?, 12)
                }
                _ => {
                    let character = char::from_u32(u32::from(unit))?;
                    let plain = !character.is_control() || matches!(character, '\n' | '\r' | '\t');
                    plain.then_some((character, 6))?
                }
            }
        }
        _ => return None,
    })
}

/// The unit of `\uXXXX` at `at`.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    (2..6).try_fold(0_u16, |unit, offset| Some(unit << 4 | u16::from(hex(bytes.get(at + offset))?)))
}

fn unit_at(bytes: &[u8], at: usize) -> Option<u16> {
    (bytes.get(at..at + 2) == Some(b"\\u")).then(|| unit(bytes, at)).flatten()
}

/// The character of an entity, and its length.
fn entity(line: &str, at: usize) -> Option<(char, usize)> {
    const NAMED: [(&str, char); 6] =
        [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&apos;", '\''), ("&nbsp;", ' ')];
    let rest = line.get(at..)?;
    if let Some((name, character)) = NAMED.iter().find(|(name, _)| rest.starts_with(name)) {
        return Some((*character, name.len()));
    }
    let number = rest.strip_prefix("&#")?;
    let (digits, radix, head) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16, 3),
        None => (number, 10, 2),
    };
    let length = digits.bytes().take(8).take_while(|b| char::from(*b).is_digit(radix)).count();
    let character = char::from_u32(u32::from_str_radix(digits.get(..length)?, radix).ok()?)?;
    let ends = digits.as_bytes().get(length) == Some(&b';');
    (ends && !character.is_control()).then_some((character, head + length + 1))
}

/// A plus between letters or digits, within what reads as a form (`a=b+c&d=e`).
fn is_blank(bytes: &[u8], at: usize) -> bool {
    let plain = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || *b >= 0x80 || matches!(b, b'.' | b','));
    if !plain(at.checked_sub(1).and_then(|before| bytes.get(before))) || !plain(bytes.get(at + 1)) {
        return false;
    }
    let part = |b: &&u8| **b > b' ' && !matches!(**b, b'"' | b'\'' | b'<' | b'>');
    let before = bytes.get(at.saturating_sub(128)..at).unwrap_or_default();
    let after = bytes.get(at..bytes.len().min(at + 128)).unwrap_or_default();
    let named = before.iter().rev().take_while(|b| part(b)).take_while(|b| **b != b'&').any(|b| *b == b'=');
    let others =
        before.iter().rev().take_while(part).any(|b| *b == b'&') || after.iter().take_while(part).any(|b| *b == b'&');
    named && others
}
