//! Tables of fixed width, whose columns a rule of dashes below the header shows, and records that clients of databases
//! write with a line for each column.
//!
//! Invariant: each line is read once; columns count characters, as those who drew the rule did.

use crate::columns::{self, Column, Record};
use crate::csv;
use crate::scan::Scan;
use crate::text::{BLANK, Text};
use crate::vocab;

/// The longest rule, in bytes.
const MAX_LINE: usize = 4096;
const COLUMNS: usize = 64;
/// The most lines of a record.
const LINES: usize = 256;

/// The line behind a header that ends at `end`, if it is a rule: where it begins and ends.
pub(crate) fn rule(text: &Text<'_>, end: usize) -> Option<(usize, usize)> {
    let begin = end + usize::from(text.at(end) == b'\r') + 1;
    // Most lines that follow are none, which their first bytes tell.
    if text.at(begin - 1) != b'\n' || !matches!(text.at(begin), b'-' | b'=' | b'+' | b'|' | b' ' | b':') {
        return None;
    }
    let stop = text.line_end(begin);
    is_rule(text, begin, stop).then_some((begin, stop))
}

/// Dashes, and what parts their groups.
pub(crate) fn is_rule(text: &Text<'_>, start: usize, end: usize) -> bool {
    let line = text.slice(start, end.min(start + MAX_LINE));
    let length = line.iter().position(|b| !matches!(b, b'-' | b'=' | b'+' | b'|' | b' ' | b':' | b'\t'));
    text.tick(length.unwrap_or(line.len()) + 1);
    length.is_none() && end - start <= MAX_LINE && line.windows(2).any(|w| w == b"--" || w == b"==")
}

/// A table whose header is `begin..end`, with its rule.
pub(crate) fn table(scan: &mut Scan<'_>, begin: usize, end: usize, rule: (usize, usize)) {
    let text = &scan.text;
    let line = text.slice(rule.0, rule.1);
    text.tick(line.len());
    let mut starts = Vec::new();
    let mut before = b' ';
    for (at, byte) in line.iter().enumerate() {
        if matches!(before, b' ' | b'\t') && matches!(byte, b'-' | b'=') {
            starts.push(at);
        }
        before = *byte;
    }
    if starts.len() < 2 || starts.len() > COLUMNS {
        return;
    }
    let cells = cut(text, begin, end, &starts);
    let mut names = Vec::with_capacity(cells.len());
    for (start, stop) in cells {
        let name = text.slice(start, stop);
        if !name.is_empty() && !csv::is_name(name, true) {
            return;
        }
        names.push(vocab::column(name));
    }
    if !names.iter().any(|column| column.telling()) {
        return;
    }
    let record = Record::of(names.iter().copied());
    let mut at = rule.1;
    loop {
        at += usize::from(scan.text.at(at) == b'\r');
        if scan.text.at(at) != b'\n' {
            break;
        }
        at += 1;
        let stop = scan.text.line_end(at);
        if scan.text.run(at, BLANK) >= stop || scan.text.at(at) == b'(' {
            break;
        }
        let cells = cut(&scan.text, at, stop, &starts);
        if cells.len() > 1 {
            csv::row(scan, &names, &cells, record);
        }
        at = stop;
        scan.csv_done = stop;
    }
}

/// The cells of a line whose columns begin at `starts`, in characters. A row that is not drawn that way has as many cells
/// between runs of blanks, or none.
fn cut(text: &Text<'_>, begin: usize, end: usize, starts: &[usize]) -> Vec<(usize, usize)> {
    let line = text.part(begin, end);
    text.tick(line.len() * 2);
    let mut cells = Vec::with_capacity(starts.len());
    let mut clean = true;
    let mut wanted = starts.iter().copied().peekable();
    let mut before = ' ';
    for (column, (at, c)) in line.char_indices().enumerate() {
        if wanted.next_if_eq(&column).is_some() {
            clean &= matches!(before, ' ' | '\t');
            cells.push((begin + at, end));
        }
        before = c;
    }
    if !clean {
        cells.clear();
        between_blanks(text, begin, end, &mut cells);
        if cells.len() != starts.len() {
            cells.clear();
        }
        return cells;
    }
    let mut next = end;
    for cell in cells.iter_mut().rev() {
        let start = cell.0;
        *cell = csv::trimmed(text, start, next);
        next = start;
    }
    cells
}

fn between_blanks(text: &Text<'_>, begin: usize, end: usize, cells: &mut Vec<(usize, usize)>) {
    let mut at = text.run(begin, BLANK);
    while at < end && cells.len() <= COLUMNS {
        let mut stop = at;
        while stop < end && !(text.at(stop) == b' ' && (text.at(stop + 1) == b' ' || stop + 1 == end)) {
            stop += 1;
        }
        cells.push(csv::trimmed(text, at, stop));
        at = text.run(stop, BLANK);
    }
}

/// `-[ RECORD` stands at `start`: a line for each column follows, its name and its value with a bar between.
pub(crate) fn record(scan: &mut Scan<'_>, start: usize) {
    if scan.text.before(start) != b'\n' || start < scan.csv_done {
        return;
    }
    let mut lines = Vec::new();
    let mut at = scan.text.line_end(start);
    while scan.text.at(at) == b'\n' && lines.len() < LINES {
        let begin = at + 1;
        let end = scan.text.line_end(begin);
        let line = scan.text.slice(begin, end.min(begin + MAX_LINE));
        scan.text.tick(line.len());
        let Some(bar) = line.iter().position(|b| *b == b'|') else {
            break;
        };
        let (name_start, name_end) = csv::trimmed(&scan.text, begin, begin + bar);
        let column = vocab::column(scan.text.slice(name_start, name_end));
        lines.push((column, csv::trimmed(&scan.text, begin + bar + 1, end)));
        at = end;
    }
    scan.csv_done = at;
    let mut record = Record::of(lines.iter().map(|(column, _)| *column));
    for (column, (start, end)) in lines {
        columns::value(scan, if column == Column::Value { Column::Other } else { column }, start, end, &mut record);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{all, nothing};

    #[test]
    fn a_line_for_each_column() {
        let text =
            "-[ RECORD 1 ]----\nid         | 7\nname       | Ada King\ndob        | 1980-03-12\ncity       | Ulm\n";
        assert_eq!(all(text), [("PERSON", "Ada King"), ("DOB", "1980-03-12")]);
    }

    #[test]
    fn rows_that_the_rule_does_not_fit() {
        let text = "NO   NAME            SSN\n---- --------------- -----------\n17   HOLLOWAY, DEN M 219-09-9998\n18  ØDEGÅRD, JO  219-09-9997\n";
        assert_eq!(
            all(text),
            [
                ("PERSON", "HOLLOWAY, DEN M"),
                ("US_SSN", "219-09-9998"),
                ("PERSON", "ØDEGÅRD, JO"),
                ("US_SSN", "219-09-9997")
            ]
        );
        nothing("Name              Status\n----------------  --------\nkv-passwords      ok\n");
        nothing("-[ RECORD 1 ]----\n");
    }
}
