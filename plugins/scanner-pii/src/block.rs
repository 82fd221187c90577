//! Block scalars (YAML 1.2, 8.1): a value of lines that are indented more than its key.
//!
//! Invariant: the first line that is a value says that the block is one, and then all of it is. Blocks within blocks are
//! followed to a fixed depth, so that a line is passed as often at most.

use crate::assign;
use crate::classify::Class;
use crate::scan::Scan;
use crate::text::{BLANK, Text};
use crate::value::{self, Join, Quotes, Value};

/// Blocks within blocks that are looked at as such.
const DEPTH: usize = 4;
/// The farthest that a key stands from the start of its line.
const MAX_INDENT: usize = 200;

/// Where the blocks end that are open, the outermost first.
#[derive(Debug, Default)]
pub(crate) struct Open(Vec<usize>);

/// The first line of the block scalar whose indicator follows `i`, behind the colon of the name at `name_start`.
pub(crate) fn after(text: &Text<'_>, quotes: &mut Quotes, name_start: usize, i: usize) -> Option<Value> {
    let mut at = text.run(i, BLANK);
    if !matches!(text.at(at), b'|' | b'>') {
        return None;
    }
    at += 1;
    for _ in 0..2 {
        at += usize::from(matches!(text.at(at), b'-' | b'+' | b'1'..=b'9'));
    }
    let blanks = text.run(at, BLANK);
    // A comment may follow.
    at = if blanks > at && text.at(blanks) == b'#' { text.line_end(blanks) } else { blanks };
    let parent = indent(text, name_start)?;
    let mut line = next_line(text, at)?;
    let first = loop {
        let first = text.run(line, BLANK);
        match next_line(text, first) {
            Some(next) => line = next,
            None => break first,
        }
    };
    if first - line <= parent || first >= text.len() {
        return None;
    }
    let found = Value { spaced: true, ..value::value(text, quotes, first, Join::Colon)? };
    let open = &mut quotes.blocks.0;
    while open.last().is_some_and(|end| *end <= i) {
        open.pop();
    }
    if open.len() >= DEPTH {
        return Some(found);
    }
    let end = end(text, line, parent);
    open.push(end);
    Some(Value { block: Some(end), ..found })
}

/// How far the line is indented that a name stands on, less the dashes of a list.
fn indent(text: &Text<'_>, name_start: usize) -> Option<usize> {
    let line = text.line_start(name_start, MAX_INDENT);
    let prefix = text.slice(line, name_start);
    (prefix.len() < MAX_INDENT).then(|| prefix.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'-')).count())
}

/// Where the next line begins, if `at` is the end of one.
fn next_line(text: &Text<'_>, at: usize) -> Option<usize> {
    let at = at + usize::from(text.at(at) == b'\r');
    (text.at(at) == b'\n').then_some(at + 1)
}

/// Where the lines end, from `line` on, that are indented more than `parent`.
fn end(text: &Text<'_>, line: usize, parent: usize) -> usize {
    let mut line = line;
    let mut end = line;
    loop {
        let first = text.run(line, BLANK);
        let stop = text.line_end(first);
        if stop > first {
            if first - line <= parent {
                return end;
            }
            end = stop;
        }
        let Some(next) = next_line(text, stop) else {
            // The block may go on behind the window.
            return if text.is_cut(stop) { stop } else { end };
        };
        line = next;
    }
}

/// A field of `class`, which is secret as a whole, has the block that begins with `found`.
pub(crate) fn field(scan: &mut Scan<'_>, class: Class, name_start: usize, found: Value) {
    let end = found.block.unwrap_or(found.end);
    // Whether that is a private key, its own marks say.
    if scan.text.has(found.start, "-----begin ") {
        return;
    }
    let mark = scan.reported();
    assign::one_value(scan, class, name_start, found);
    let mut at = scan.text.line_end(found.start);
    let one_line = at >= end;
    while scan.reported() == mark
        && let Some(line) = next_line(&scan.text, at).filter(|line| *line < end)
    {
        let start = scan.text.run(line, BLANK);
        at = scan.text.line_end(start);
        let blank = scan.text.slice(start, at).iter().any(|b| matches!(b, b' ' | b'\t'));
        scan.text.tick(at - start);
        // A line of words is a remark on the value.
        if !blank {
            let line = Value { start, end: at, quoted: false, join: Join::Colon, spaced: true, block: None };
            assign::one_value(scan, class, name_start, line);
        }
    }
    if scan.reported() > mark && !(one_line && found.quoted) {
        scan.widen(mark, found.start, end);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{found, nothing, one};

    #[test]
    fn a_block_is_one_value() {
        let lines = "aB3dE6gH9j\n    kL2mN5pQ8r!\n\n      sT1uV4wX7y\n    correct horse\n    zA0bC3dE6f";
        for (key, kind) in [
            ("password: |", "PASSWORD"),
            ("password: >-", "PASSWORD"),
            ("password: |2+", "PASSWORD"),
            ("password: | # of the database", "PASSWORD"),
            (" - password: |", "PASSWORD"),
            ("\"password\": |", "PASSWORD"),
            ("api_token: |", "GENERIC_SECRET"),
        ] {
            for text in [
                format!("a: 1\n{key}\n    {lines}\n\nnext: 1\n"),
                format!("{key}\n\n    {lines}"),
                format!("{key}\n    {lines}\n- x: 1"),
            ] {
                assert_eq!(one(&text, kind), lines, "{text}");
            }
            let crlf = format!("{key}\r\n    {lines}\r\nnext: 1").replace('\n', "\r\n").replace("\r\r", "\r");
            assert_eq!(one(&crlf, kind), lines.replace('\n', "\r\n"), "{crlf}");
        }
        // What the first line does not say, another may.
        let text = "secret: |\n  --\n  aB3dE6gH9jK2\n  mN5p\nnext: 1";
        assert_eq!(one(text, "GENERIC_SECRET"), "--\n  aB3dE6gH9jK2\n  mN5p");
    }

    #[test]
    fn a_block_ends_where_its_lines_do() {
        assert_eq!(one("  password: |\n    Kestrel81!\n  next: |\n    other\n", "PASSWORD"), "Kestrel81!");
        nothing("  password: |\n  x: Kestrel81!\n");
        nothing("password: |\n");
        nothing("password: |\nKestrel81!\n");
        nothing("password: |\n  Choose one that is long enough,\n  with a letter and a digit in it.\n");
        nothing("private_key: |\n  -----BEGIN CERTIFICATE-----\n  MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEA\n");
        assert_eq!(found("config: |\n  user: x\n  password: Kestrel81!\n", "PASSWORD"), ["Kestrel81!"]);
    }
}
