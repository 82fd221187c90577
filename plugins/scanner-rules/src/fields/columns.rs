//! Lines of columns below a line of their names: commas, tabs, semicolons or bars.
//!
//! A line is one of names if each of its cells is one, a rule speaks of one of them, and the next line has as many
//! cells. The table ends at an empty line, or where many lines in a row have another number of cells.
//!
//! Invariant: each line is taken apart at most three times. A cell does not go beyond its line; the line in which such a
//! cell goes on is passed over.

use std::ops::Range;

use super::{Action, Fields};
use crate::found::Hits;

/// The most columns.
const MAX_COLUMNS: usize = 512;
/// The longest name of a column, bytes.
const MAX_NAME: usize = 64;
/// After so many lines that do not fit, the table is over.
const MAX_MISFITS: usize = 16;

struct Table {
    delimiter: u8,
    cells: usize,
    actions: Vec<(usize, Action)>,
    misfits: usize,
    /// A line did not fit: what follows may be no row of it.
    broken: bool,
}

/// All values in columns that the rules speak of.
pub(super) fn scan(fields: &Fields, text: &str, continues_before: bool, hits: &mut Hits) {
    let bytes = text.as_bytes();
    let mut table: Option<Table> = None;
    let mut at = 0;
    // The first line of a window that goes on from another may be a part of a line.
    let mut whole = !continues_before;
    while at < bytes.len() {
        let end = line_end(bytes, at);
        let line = at..end - usize::from(end > at && bytes.get(end - 1) == Some(&b'\r'));
        at = end + 1;
        let mut fits = false;
        if let Some(table) = &mut table
            && !line.is_empty()
        {
            let row = cells(text, &line, table.delimiter);
            fits = row.len() == table.cells;
            if fits {
                table.misfits = 0;
                for (column, action) in &table.actions {
                    // Nothing that a line of a log could slip in is let through: a word, in a table that was not broken.
                    let word = |cell: &&Range<usize>| {
                        *action != Action::Never || !(table.broken || text.get((*cell).clone()).is_some_and(has_blank))
                    };
                    if let Some(cell) = row.get(*column).filter(|cell| !cell.is_empty()).filter(word) {
                        fields.report(*action, cell.start, cell.end, hits);
                    }
                }
            } else {
                table.misfits += 1;
                table.broken = true;
            }
        }
        if line.is_empty() || table.as_ref().is_some_and(|table| table.misfits > MAX_MISFITS) {
            table = None;
        }
        if !fits
            && whole
            && let Some(new) = names(fields, text, &line)
        {
            let next = at..line_end(bytes, at);
            if at < bytes.len() && cells(text, &next, new.delimiter).len() == new.cells {
                table = Some(new);
            }
        }
        whole = true;
    }
}

fn has_blank(cell: &str) -> bool {
    cell.contains([' ', '\t'])
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', bytes.get(at..).unwrap_or_default()).map_or(bytes.len(), |newline| at + newline)
}

/// The table that a line of names begins.
fn names(fields: &Fields, text: &str, line: &Range<usize>) -> Option<Table> {
    let bytes = text.as_bytes().get(line.clone())?;
    let looked = bytes.get(..bytes.len().min(MAX_NAME + 2))?;
    let delimiter = *looked.iter().find(|b| matches!(b, b',' | b'\t' | b';' | b'|'))?;
    // Most lines of a log are no names: the first byte that no name has says so.
    let name = |b: &u8| {
        b.is_ascii_alphanumeric()
            || !b.is_ascii()
            || *b == delimiter
            || matches!(b, b'_' | b' ' | b'-' | b'.' | b'/' | b'#' | b'@' | b'"' | b'(' | b')')
    };
    if !bytes.iter().all(name) {
        return None;
    }
    let columns = cells(text, line, delimiter);
    if !(2..=MAX_COLUMNS).contains(&columns.len()) {
        return None;
    }
    let mut actions = Vec::new();
    for (i, column) in columns.iter().enumerate() {
        let name = text.get(column.clone())?;
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().any(|b| b.is_ascii_alphabetic() || !b.is_ascii()) {
            return None;
        }
        if let Some(action) = fields.flat(name) {
            actions.push((i, action));
        }
    }
    (!actions.is_empty()).then_some(Table { delimiter, cells: columns.len(), actions, misfits: 0, broken: false })
}

/// The cells of a line, without their quotes and the blanks around them.
fn cells(text: &str, line: &Range<usize>, delimiter: u8) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut cells = Vec::new();
    let mut start = line.start;
    while start <= line.end && cells.len() <= MAX_COLUMNS {
        let rest = |from: usize| bytes.get(from..line.end).unwrap_or_default();
        let begin = start + rest(start).iter().take_while(|b| **b == b' ').count();
        let mut end = begin;
        if bytes.get(begin) == Some(&b'"') && begin < line.end {
            end = begin + 1;
            // Two quotes within quotes are one.
            while let Some(quote) = memchr::memchr(b'"', rest(end)) {
                end += quote + 1;
                if bytes.get(end) != Some(&b'"') || end >= line.end {
                    break;
                }
                end += 1;
            }
        }
        end = memchr::memchr(delimiter, rest(end)).map_or(line.end, |found| end + found);
        cells.push(content(bytes, begin, end));
        start = end + 1;
    }
    cells
}

fn content(bytes: &[u8], start: usize, end: usize) -> Range<usize> {
    let cell = bytes.get(start..end).unwrap_or_default();
    let end = end - cell.iter().rev().take_while(|b| matches!(b, b' ' | b'\r')).count();
    match bytes.get(start..end) {
        Some([b'"', .., b'"']) => start + 1..end - 1,
        _ => start..end.max(start),
    }
}
