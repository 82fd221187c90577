//! Pairs of a key and a value in a text without structure: `key=value`, `key: value`, a header's line, a member of an
//! object whose beginning is not in the window, also one that is escaped within a string.
//!
//! Where a value ends: at its quote; for `key: value` at the start of a line, at the end of the line; else at a blank, a
//! quote, `&`, `;`, a closing bracket, or a comma behind which stands a blank, another key or nothing.
//!
//! Invariant: the pass goes on behind each value that it reports, and looks at most [`AHEAD`] bytes around a separator
//! otherwise, so its time is linear.

use super::{Action, Fields, MAX_NAME};
use crate::found::Hits;

/// How far is looked around a separator to see what it separates.
const AHEAD: usize = 256;

fn key_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || !b.is_ascii() || matches!(b, b'_' | b'.' | b'-' | b'$' | b'@')
}

fn blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t')
}

/// What stands before a separator.
struct Key<'a> {
    name: &'a str,
    start: usize,
    quoted: bool,
    spaced: bool,
}

/// All values in pairs that the rules speak of.
pub(super) fn scan(fields: &Fields, text: &str, hits: &mut Hits) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'=', b':', bytes.get(at..).unwrap_or_default()) {
        let separator = at + found;
        at = separator + 1;
        let Some(key) = key(text, separator) else { continue };
        let action = if key.quoted { fields.anywhere(key.name) } else { fields.flat(key.name) };
        let Some(action) = action else { continue };
        if let Some((start, end)) = value(text, separator, &key, action)
            && start < end
        {
            fields.report(action, start, end, hits);
            at = at.max(end);
        }
    }
}

fn key(text: &str, separator: usize) -> Option<Key<'_>> {
    let bytes = text.as_bytes();
    let before = |i: usize| i.checked_sub(1).and_then(|i| bytes.get(i)).copied();
    let mut end = separator;
    while separator - end < 4 && before(end).is_some_and(blank) {
        end -= 1;
    }
    let spaced = end < separator;
    let quote = before(end).filter(|b| matches!(b, b'"' | b'\''));
    if let Some(quote) = quote {
        end -= 1;
        let escaped = before(end) == Some(b'\\');
        let end = end - usize::from(escaped);
        let least = end.saturating_sub(MAX_NAME);
        let start = least + memchr::memrchr2(quote, b'\n', bytes.get(least..end)?)? + 1;
        return Some(Key { name: text.get(start..end)?, start, quoted: true, spaced });
    }
    let least = end.saturating_sub(MAX_NAME + 1);
    let length = bytes.get(least..end)?.iter().rev().take_while(|b| key_byte(**b)).count();
    let start = end - length;
    if length == 0 || length > MAX_NAME {
        return None;
    }
    // The letter of an escape before a key (`\nuser=`) is none of it.
    let start = if before(start) == Some(b'\\') && matches!(bytes.get(start), Some(b'n' | b'r' | b't')) {
        start + 1
    } else {
        start
    };
    Some(Key { name: text.get(start..end)?, start, quoted: false, spaced })
}

/// Whether nothing but blanks and what begins an item of a list stands before the key on its line.
fn begins_line(bytes: &[u8], key: usize) -> bool {
    let least = key.saturating_sub(64);
    for b in bytes.get(least..key).unwrap_or_default().iter().rev() {
        match b {
            b'\n' => return true,
            b' ' | b'\t' | b'-' | b'*' | b'<' | b'>' | b'#' | b'|' => {}
            _ => return false,
        }
    }
    least == 0
}

fn value(text: &str, separator: usize, key: &Key<'_>, action: Action) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let get = |i: usize| bytes.get(i).copied();
    let colon = get(separator) == Some(b':');
    let mut start = separator + 1;
    if (colon && get(start) == Some(b'=')) || (!colon && get(start) == Some(b'>')) {
        start += 1;
    }
    let direct = start;
    while start - direct < AHEAD && get(start).is_some_and(blank) {
        start += 1;
    }
    let line_end = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        from + memchr::memchr(b'\n', rest).unwrap_or(rest.len())
    };
    match get(start)? {
        quote @ (b'"' | b'\'') => Some((start + 1, closing(bytes, start + 1, quote))),
        b'\\' if get(start + 1).is_some_and(|b| matches!(b, b'"' | b'\'')) => {
            let rest = bytes.get(start + 2..)?;
            let end = memchr::memchr2(b'\\', b'\n', rest).map_or(bytes.len(), |found| start + 2 + found);
            Some((start + 2, end))
        }
        b'{' | b'[' if key.quoted || action == Action::Never => None,
        b'{' | b'[' => Some((start, trimmed(bytes, start, line_end(start)))),
        _ if colon && !key.quoted && begins_line(bytes, key.start) => {
            Some((start, trimmed(bytes, start, line_end(start))))
        }
        _ => {
            let end = bare(bytes, start);
            // `a= b=1`: the first has no value. The value of the second is not that of the first.
            let other = start > direct
                && !colon
                && !key.spaced
                && memchr::memchr(b'=', bytes.get(start..end.min(start + AHEAD))?).is_some();
            (!other).then_some((start, end))
        }
    }
}

/// Where a quoted value ends that begins at `at`: at its quote or the end of the line.
fn closing(bytes: &[u8], at: usize, quote: u8) -> usize {
    let mut i = at;
    while let Some(found) = memchr::memchr3(quote, b'\\', b'\n', bytes.get(i..).unwrap_or_default()) {
        i += found;
        match bytes.get(i) {
            Some(b'\\') if bytes.get(i + 1).is_some_and(|b| *b != b'\n') => i += 2,
            Some(b'\\') => i += 1,
            _ => return i,
        }
    }
    bytes.len()
}

/// Without blanks, commas and carriage returns at the end.
fn trimmed(bytes: &[u8], start: usize, end: usize) -> usize {
    let value = bytes.get(start..end).unwrap_or_default();
    end - value.iter().rev().take_while(|b| matches!(b, b' ' | b'\t' | b'\r' | b',')).count()
}

/// Where a value without quotes ends.
fn bare(bytes: &[u8], start: usize) -> usize {
    let mut end = start;
    while let Some(b) = bytes.get(end) {
        let ends = match b {
            b' ' | b'\t' | b'\n' | b'\r' | b'"' | b'\'' | b'&' | b';' | b')' | b']' | b'}' | b'|' | b'<' => true,
            b'\\' => bytes.get(end + 1).is_some_and(|b| matches!(b, b'n' | b'r' | b't' | b'"' | b'\'')),
            b',' => ends_at_comma(bytes.get(end + 1..).unwrap_or_default()),
            _ => false,
        };
        if ends {
            break;
        }
        end += 1;
    }
    end
}

/// Behind this comma stands a blank, the end of the line, a quote or another key.
fn ends_at_comma(rest: &[u8]) -> bool {
    match rest.first() {
        None | Some(b' ' | b'\t' | b'\n' | b'\r' | b'"' | b'\'') => true,
        Some(_) => {
            let key = rest.iter().take(64).take_while(|b| key_byte(**b)).count();
            key > 0 && matches!(rest.get(key), Some(b'=' | b':'))
        }
    }
}
