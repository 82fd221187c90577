//! Tables in text whose cells a delimiter parts: a line of names, and lines of as many values. Exports, the output of
//! clients of databases, Markdown.
//!
//! Invariant: a header is a whole line of short names, one of which says something, and the line behind it has as many
//! cells; its rows end with the first lines that have not. Each line is read once as a header and once as a row.

use crate::columns::{self, Column, Record};
use crate::grid;
use crate::scan::Scan;
use crate::text::{BLANK, DELIMITER, KEY, TITLE, Text, is};
use crate::vocab;

/// The longest header, in bytes.
const MAX_LINE: usize = 4096;
const COLUMNS: usize = 128;
/// How far the delimiter before is from a name in a header, at most.
const REACH: usize = 40;

/// A name that stands at `start..end` may be a column's: nothing but titles stands between it and delimiters.
#[inline]
pub(crate) fn consider(scan: &mut Scan<'_>, start: usize, end: usize) {
    // Most names have a value behind them, which the next byte tells.
    if start < scan.csv_done || !is(scan.text.at(end), TITLE | DELIMITER) && scan.text.at(end) > b'\r' {
        return;
    }
    candidate(scan, start, end);
}

#[inline(never)]
fn candidate(scan: &mut Scan<'_>, start: usize, end: usize) {
    let text = &scan.text;
    let next = text.at(text.run(end, TITLE));
    if !is(next, DELIMITER) && !matches!(next, b'\n' | b'\r' | 0) {
        return;
    }
    let before = text.before(text.run_back(start, TITLE, REACH));
    let parted = is(before, DELIMITER);
    if !parted && before != b'\n' && before != b' ' {
        return;
    }
    // Without a delimiter on either side, a rule has to follow.
    if parted || is(next, DELIMITER) {
        return header(scan, start);
    }
    let line = text.line_end(end);
    if scan.rule_done != line {
        scan.rule_done = line;
        if grid::rule(&scan.text, line).is_some() {
            header(scan, start);
        }
    }
}

/// The name of a field stands at `start`, which may be a column of a header.
#[inline(never)]
fn header(scan: &mut Scan<'_>, start: usize) {
    let text = &scan.text;
    let end = text.line_end(start);
    let begin = text.line_start(start, MAX_LINE);
    scan.csv_done = end;
    if end - begin > MAX_LINE || text.before(begin) != b'\n' {
        return;
    }
    let rule = grid::rule(text, end);
    // A row in a frame with no rule below is no header; where it has two cells, the first may name the second.
    if rule.is_none() && text.at(text.run(begin, BLANK)) == b'|' {
        return pair(scan, begin, end);
    }
    if let Some(rule) = rule
        && !text.slice(rule.0, rule.1).iter().any(|b| matches!(b, b'|' | b'+'))
    {
        return grid::table(scan, begin, end, rule);
    }
    let line = text.slice(begin, end);
    text.tick(line.len() * 2);
    // Sentences, assignments and JSON are none, and most of them say so early.
    if !line.iter().all(|b| is(*b, TITLE | DELIMITER) || matches!(b, b'%' | b'&' | b'+' | b'?' | b'$' | b'\r')) {
        return;
    }
    let Some(delimiter) = delimiter(line) else {
        return;
    };
    // What stands right below a rule is a row of a table whose header says nothing: psql draws the rule below the header.
    if delimiter == b'|' && begin > 0 && rule.is_none() {
        let above = text.line_start(begin - 1, MAX_LINE);
        if grid::is_rule(text, above, begin - 1) {
            let cells = line.iter().filter(|b| **b == b'|').count() + 1;
            return rows(scan, &vec![Column::Other; cells.min(COLUMNS)], delimiter, end);
        }
    }
    let Some(names) = names(text, begin, end, delimiter) else {
        return;
    };
    let least = if matches!(delimiter, b'|' | b'\t') || line.first() == Some(&b'"') { 2 } else { 3 };
    if names.len() >= least && names.iter().any(|column| column.telling() || *column == Column::Value) {
        rows(scan, &names, delimiter, end);
    }
}

/// A framed row of two cells.
fn pair(scan: &mut Scan<'_>, begin: usize, end: usize) {
    let mut cells = Vec::new();
    split(&scan.text, begin, end, b'|', &mut cells);
    if cells.len() == 2 {
        row(scan, &[Column::Key, Column::Value], &cells, Record { personal: true, ..Record::default() });
    }
}

/// The delimiter that stands most often in a line.
fn delimiter(line: &[u8]) -> Option<u8> {
    let count = |delimiter: u8| line.iter().filter(|b| **b == delimiter).count();
    let counts = [b'^', b'~', b',', b';', b'\t', b'|'].map(|delimiter| (count(delimiter), delimiter));
    counts.into_iter().max_by_key(|(count, _)| *count).filter(|(count, _)| *count > 0).map(|(_, delimiter)| delimiter)
}

/// The columns that the cells of a line name; nothing where one of them is no name.
fn names(text: &Text<'_>, begin: usize, end: usize, delimiter: u8) -> Option<Vec<Column>> {
    let mut begin = begin;
    // A header may stand in a comment.
    for mark in ["# ", "-- ", "// ", "#", "\u{feff}"] {
        if text.slice(begin, end).starts_with(mark.as_bytes()) {
            begin += mark.len();
            break;
        }
    }
    // The first cell tells most lines that are none.
    let first = text.slice(begin, end).split(|b| *b == delimiter).next().unwrap_or_default().trim_ascii();
    if first.iter().filter(|b| **b == b' ').count() > 4 || first.len() > 60 {
        return None;
    }
    let mut cells = Vec::new();
    split(text, begin, end, delimiter, &mut cells);
    if cells.len() > COLUMNS {
        return None;
    }
    let mut names = Vec::with_capacity(cells.len());
    let mut empty = 0;
    for (start, stop) in &cells {
        let name = text.slice(*start, *stop);
        if name.is_empty() {
            empty += 1;
            names.push(Column::Other);
        } else if is_name(name, text.before(*start) == b'"') {
            names.push(vocab::column(name));
        } else {
            return None;
        }
    }
    (empty * 2 <= names.len()).then_some(names)
}

/// Whether a cell may name a column: short, a letter first, of few words and of few marks.
pub(crate) fn is_name(name: &[u8], quoted: bool) -> bool {
    let first = name.first().copied().unwrap_or(0);
    let blanks = name.iter().filter(|b| **b == b' ').count();
    (first.is_ascii_alphabetic() || first >= 0x80 || matches!(first, b'#' | b'_' | b'@' | b'%'))
        && name.len() <= 64
        && name.iter().filter(|b| **b == b'(').count() == name.iter().filter(|b| **b == b')').count()
        && blanks < if quoted || name.contains(&b'(') { 5 } else { 3 }
        && name.iter().all(|b| is(*b, KEY) || *b >= 0x80 || b" ()/'#&%*?@[]+:$".contains(b))
}

/// `#Fields` stands at `start..end`: names between blanks or tabs follow (W3C's extended log format, Zeek).
pub(crate) fn fields(scan: &mut Scan<'_>, start: usize, end: usize) {
    let text = &scan.text;
    let line_end = text.line_end(end);
    let at = end + usize::from(text.at(end) == b':');
    if start < scan.csv_done || text.before(start) != b'\n' || line_end - at > MAX_LINE || !is(text.at(at), BLANK) {
        return;
    }
    let delimiter = text.at(at);
    let line = text.slice(at + 1, line_end).trim_ascii_end();
    text.tick(line.len());
    let names: Vec<Column> = line
        .split(|b| *b == delimiter)
        // Zeek's `uid` is a connection's.
        .map(|name| if name == b"uid" { Column::Other } else { vocab::column(name) })
        .take(COLUMNS + 1)
        .collect();
    if (3..=COLUMNS).contains(&names.len()) && names.iter().any(|column| column.telling()) {
        scan.csv_done = line_end;
        rows(scan, &names, delimiter, line_end);
    }
}

/// The rows behind a header that ends at `end`.
pub(crate) fn rows(scan: &mut Scan<'_>, names: &[Column], delimiter: u8, end: usize) {
    let mut at = end;
    let mut cells: Vec<(usize, usize)> = Vec::with_capacity(names.len());
    let record = Record::of(names.iter().copied());
    let (mut odd, mut first) = (0, true);
    loop {
        at += usize::from(scan.text.at(at) == b'\r');
        if scan.text.at(at) != b'\n' {
            break;
        }
        at += 1;
        let line_end = scan.text.line_end(at);
        if delimiter == b'|' && grid::is_rule(&scan.text, at, line_end) {
            at = line_end;
            continue;
        }
        split(&scan.text, at, line_end, delimiter, &mut cells);
        // A delimiter at the end, a free text with delimiters: few cells more or less are still a row.
        if cells.len() < 2 || first && cells.len().abs_diff(names.len()) > 1 {
            break;
        }
        let fits = cells.len() + 2 >= names.len() && cells.len() <= names.len() * 2 && cells.len() * 2 >= names.len();
        odd = if fits { 0 } else { odd + 1 };
        if odd > 2 {
            break;
        }
        if fits {
            row(scan, names, &cells, record);
        }
        first = false;
        at = line_end;
        scan.csv_done = line_end;
    }
}

/// One row's values.
pub(crate) fn row(scan: &mut Scan<'_>, names: &[Column], cells: &[(usize, usize)], record: Record) {
    let mut record = record;
    let mut before = None;
    for (column, (start, end)) in names.iter().zip(cells) {
        let mut column = *column;
        // The cell before names what this one holds.
        if column == Column::Value
            && let Some((start, end)) = before
        {
            column = match vocab::column(scan.text.slice(start, end)) {
                Column::Field(crate::classify::Class::Name) if names.len() > 2 => Column::Other,
                column => column,
            };
        }
        columns::value(scan, column, *start, *end, &mut record);
        before = Some((*start, *end));
    }
}

/// The cells of a line, without the delimiters at its ends if it has them, their quotes and the blanks around them.
fn split(text: &Text<'_>, start: usize, end: usize, delimiter: u8, cells: &mut Vec<(usize, usize)>) {
    text.tick(end - start);
    cells.clear();
    if delimiter == b' ' {
        let mut at = start;
        while at < end && cells.len() <= COLUMNS {
            let length = text.slice(at, end).iter().position(|b| matches!(b, b' ' | b'\r')).unwrap_or(end - at);
            cells.push((at, at + length));
            at += length + 1;
        }
        return;
    }
    let (mut at, mut end) = (start, end);
    if delimiter == b'|' {
        // Markdown and the clients of MySQL frame their rows.
        at = text.run(at, BLANK).min(end);
        while end > at && matches!(text.at(end - 1), b' ' | b'\t') {
            end -= 1;
        }
        if end > at + 1 && text.at(at) == b'|' && text.at(end - 1) == b'|' {
            at += 1;
            end -= 1;
        }
    }
    loop {
        while at < end && text.at(at) == b' ' {
            at += 1;
        }
        let quote = text.at(at) == b'"' && at < end && delimiter != b'|';
        let first = at + usize::from(quote);
        let mut last = first;
        while last < end {
            let byte = text.at(last);
            if quote && byte == b'"' {
                if text.at(last + 1) != b'"' {
                    break;
                }
                last += 1;
            } else if !quote && byte == delimiter {
                break;
            }
            last += 1;
        }
        let mut next = last + usize::from(quote);
        let cell = if quote { (first, last.min(end)) } else { trimmed(text, first, last.min(end)) };
        cells.push(cell);
        while next < end && text.at(next) == b' ' {
            next += 1;
        }
        if next >= end || text.at(next) != delimiter || cells.len() > COLUMNS {
            break;
        }
        at = next + 1;
    }
}

/// A cell without the blanks, quotes and marks of Markdown around it.
pub(crate) fn trimmed(text: &Text<'_>, start: usize, end: usize) -> (usize, usize) {
    let (mut start, mut end) = (start, end);
    while end > start && matches!(text.at(end - 1), b' ' | b'\t' | b'\r') {
        end -= 1;
    }
    while start < end && matches!(text.at(start), b' ' | b'\t') {
        start += 1;
    }
    for mark in [b'*', b'*', b'`', b'"', b'\''] {
        if end > start + 2 && text.at(start) == mark && text.at(end - 1) == mark {
            start += 1;
            end -= 1;
        }
    }
    (start, end)
}
