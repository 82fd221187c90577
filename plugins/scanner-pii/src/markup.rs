//! Where a value stands that its name does not touch: in the next element, in an attribute, in a wrapper of JSON, in the
//! part of a form, in a field of its own.
//!
//! Invariant: each look ahead is of a bounded number of bytes.

use crate::text::{BLANK, Text, is};
use crate::value::{Join, Quotes, Value, value};

/// Whether the element whose text begins at `at` is one that names what the next one holds.
pub(crate) fn is_cell(text: &Text<'_>, at: usize) -> bool {
    let before = text.slice(at.saturating_sub(48), at);
    text.tick(before.len());
    let Some(open) = before.iter().rposition(|b| *b == b'<') else {
        return false;
    };
    let tag = before.get(open + 1..).unwrap_or_default();
    let length = tag.iter().position(|b| !b.is_ascii_alphanumeric()).unwrap_or(tag.len());
    ["td", "th", "dt", "key", "name", "label", "b", "strong", "span", "p", "li", "em"]
        .iter()
        .any(|known| tag.get(..length).is_some_and(|tag| tag.eq_ignore_ascii_case(known.as_bytes())))
}

/// Where the text of the next element begins, behind the end tags at `i`: `<td>name</td><td>value</td>`. In a row of
/// headings, the next one is no value.
#[inline(never)]
pub(crate) fn cell_behind(text: &Text<'_>, i: usize) -> Option<usize> {
    let mut at = i;
    let limit = i + 160;
    let mut opened = false;
    while at < limit {
        at += text.slice(at, limit).iter().position(|b| !b.is_ascii_whitespace())?;
        if text.at(at) != b'<' {
            break;
        }
        let close = text.at(at + 1) == b'/';
        let tag = at + 1 + usize::from(close);
        let row = ["th", "tr", "table", "key", "dt"]
            .iter()
            .any(|word| text.has(tag, word) && !text.at(tag + word.len()).is_ascii_alphanumeric());
        // A second cell would be another name's.
        if row && (!close || text.has(tag, "tr") || text.has(tag, "table")) || opened && close {
            return None;
        }
        opened |= !close;
        at += text.slice(at, limit).iter().position(|b| *b == b'>')? + 1;
    }
    text.tick(at.min(limit) - i);
    (opened && at < limit && text.at(at) > b' ').then_some(at)
}

/// Behind the attributes of an element that go on at `i`, where it holds text.
pub(crate) fn element_end(text: &Text<'_>, i: usize) -> Option<usize> {
    let tag = text.slice(i, text.line_end(i).min(i + 200));
    text.tick(tag.len());
    let close = tag.iter().position(|b| matches!(b, b'>' | b'<'))?;
    let attributes = tag.get(..close)?;
    let closed = tag.get(close) == Some(&b'>') && attributes.contains(&b'=') && attributes.last() != Some(&b'/');
    closed.then_some(i + close + 1)
}

/// `name: X` and `value: Y` as fields of their own, as lists of variables and XML attributes have them. `i` is behind X.
pub(crate) fn field_value(text: &Text<'_>, quotes: &mut Quotes, i: usize) -> Option<Value> {
    let mut at = i;
    while at < i + 40 && matches!(text.at(at), b' ' | b'\t' | b'\r' | b'\n' | b',' | b'"' | b'\'' | b'\\' | b'-') {
        at += 1;
    }
    text.tick(at - i);
    // `<meta name="csrf-token" content="x">`
    if text.has(at, "android:") {
        at += 8;
    }
    let word = ["value", "content="].into_iter().find(|word| text.has(at, word))?;
    if at == i {
        return None;
    }
    at += word.trim_end_matches('=').len();
    while matches!(text.at(at), b'"' | b'\'' | b'\\' | b' ') && at < i + 64 {
        at += 1;
    }
    matches!(text.at(at), b'=' | b':').then(|| value(text, quotes, at + 1, Join::Other)).flatten()
}

/// Where the value of a form's part begins whose name's quote ended at `i` (RFC 7578: headers, an empty line, the
/// value), and of a dump by PHP (`=>` and a line with `string(5) "x"`).
pub(crate) fn next_line(text: &Text<'_>, name_start: usize, i: usize) -> Option<usize> {
    let line = |at: usize| {
        let at = at + usize::from(text.at(at) == b'\r');
        (text.at(at) == b'\n').then_some(at + 1)
    };
    if text.has(i, "=>") {
        let at = text.run(line(i + 2)?, BLANK);
        let digits = text.run(at + 7, crate::text::DIGIT);
        let open = digits + 3;
        return (text.has(at, "string(") && text.has(digits, ") \"")).then_some(open - 1);
    }
    text.has_before(name_start, "name=\"").then(|| part_value(text, i)).flatten()
}

/// Behind the empty line that follows the headers of a form's part, which end at `i`.
pub(crate) fn part_value(text: &Text<'_>, i: usize) -> Option<usize> {
    let line = |at: usize| {
        let at = at + usize::from(text.at(at) == b'\r');
        (text.at(at) == b'\n').then_some(at + 1)
    };
    line(line(i)?)
}

/// What a brace or bracket at the start of a value is.
pub(crate) enum Wrapped {
    /// A wrapper whose value begins there.
    Value(usize),
    /// An object or a schema, which is no value.
    Object,
    /// A character of the value.
    No,
}

/// Names in wrappers of a single value: DynamoDB, extended JSON of MongoDB, unions of Avro, XML as JSON.
pub(crate) const WRAPPERS: &[&str] = &[
    "s",
    "n",
    "string",
    "long",
    "int",
    "value",
    "$date",
    "$oid",
    "$numberlong",
    "#text",
    "_text",
    "_",
    "$",
    "text",
    "content",
];

/// The value in `{"S": "x"}`, and the first one in `["x", "y"]`, that begins at `at`.
#[inline(never)]
pub(crate) fn wrapped(text: &Text<'_>, at: usize) -> Wrapped {
    let space = |mut at: usize| {
        let limit = at + 48;
        while at < limit && matches!(text.at(at), b' ' | b'\t' | b'\r' | b'\n') {
            at += 1;
        }
        text.tick(1);
        at
    };
    let inner = space(at + 1);
    let slash = usize::from(text.at(inner) == b'\\');
    let quote = text.at(inner + slash);
    if text.at(at) == b'[' {
        return if matches!(quote, b'"' | b'\'') && inner < at + 40 { Wrapped::Value(inner) } else { Wrapped::No };
    }
    let quoted = matches!(quote, b'"' | b'\'');
    let first = inner + if quoted { slash + 1 } else { 0 };
    let name_end = text.slice(first, first + 16).iter().position(|b| matches!(b, b'"' | b'\'' | b':' | b'\\'));
    let Some(length) = name_end else {
        return Wrapped::No;
    };
    text.tick(length);
    let name = text.slice(first, first + length);
    let behind = first + length + if quoted { slash + 1 } else { 0 };
    let colon = space(behind);
    if text.at(colon) != b':'
        || !name.iter().all(|b| is(*b, crate::text::KEY) || matches!(b, b'$' | b'#'))
        || name.is_empty()
    {
        return Wrapped::No;
    }
    let start = space(colon + 1);
    let value = matches!(text.at(start + usize::from(text.at(start) == b'\\')), b'"' | b'\'');
    if value && WRAPPERS.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes())) {
        Wrapped::Value(start)
    } else if quoted || text.at(colon + 1) == b' ' {
        Wrapped::Object
    } else {
        Wrapped::No
    }
}
