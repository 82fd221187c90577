//! Tables in text: a line of names, and lines of as many values.
//!
//! Invariant: a header is a whole line of three names and more, one of which says something; its rows end with the first
//! line that has another number of cells. Each line is read once as a header and once as a row.

use crate::columns::{self, Column};
use crate::scan::Scan;
use crate::text::{ALPHA, BLANK, KEY, Text, is};

/// The longest header, in bytes.
const MAX_LINE: usize = 4096;
const COLUMNS: usize = 128;

/// Between separators, a name may be a column's.
pub(crate) fn between_separators(text: &Text<'_>, start: usize, end: usize) -> bool {
    let separator = |b: u8| matches!(b, b',' | b';' | b'\t' | b'|' | b'\n' | b'\r' | b'"' | 0);
    separator(text.at(end)) && separator(text.before(start))
}

/// The name of a field stands at `start`, which may be a column of a header.
pub(crate) fn header(scan: &mut Scan<'_>, start: usize) {
    if start < scan.csv_done {
        return;
    }
    let text = &scan.text;
    let end = text.line_end(start);
    let begin = text.line_start(start, MAX_LINE);
    scan.csv_done = end;
    if end - begin > MAX_LINE || text.before(begin) != b'\n' {
        return;
    }
    let line = text.slice(begin, end);
    text.tick(line.len());
    let Some(delimiter) = [b',', b';', b'\t', b'|'].into_iter().find(|delimiter| line.contains(delimiter)) else {
        return;
    };
    let mut names = Vec::new();
    for cell in line.split(|b| *b == delimiter) {
        let name = cell.trim_ascii();
        let name = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(name);
        let fits = name.first().is_some_and(|b| is(*b, ALPHA) || *b >= 0x80)
            && name.len() <= 48
            && name.iter().all(|b| is(*b, KEY) || *b == b' ' || *b >= 0x80)
            && name.iter().filter(|b| **b == b' ').count() < 3;
        if !fits || names.len() == COLUMNS {
            return;
        }
        names.push(Column::named(name));
    }
    if names.len() < 3 || names.iter().all(|column| *column == Column::Other) {
        return;
    }
    rows(scan, &names, delimiter, end);
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
        .map(|name| if name == b"uid" { Column::Other } else { Column::named(name) })
        .take(COLUMNS + 1)
        .collect();
    if (3..=COLUMNS).contains(&names.len()) && names.iter().any(|column| *column != Column::Other) {
        scan.csv_done = line_end;
        rows(scan, &names, delimiter, line_end);
    }
}

/// The rows behind a header that ends at `end`.
pub(crate) fn rows(scan: &mut Scan<'_>, names: &[Column], delimiter: u8, end: usize) {
    let mut at = end;
    let mut cells: Vec<(usize, usize)> = Vec::with_capacity(names.len());
    loop {
        at += usize::from(scan.text.at(at) == b'\r');
        if scan.text.at(at) != b'\n' {
            break;
        }
        at += 1;
        let line_end = scan.text.line_end(at);
        split(scan, at, line_end, delimiter, &mut cells);
        if cells.len() != names.len() {
            break;
        }
        for (column, (start, end)) in names.iter().zip(&cells) {
            columns::value(scan, *column, *start, *end);
        }
        at = line_end;
        scan.csv_done = line_end;
    }
}

/// The cells of a line, without their quotes and the blanks around them.
fn split(scan: &Scan<'_>, start: usize, end: usize, delimiter: u8, cells: &mut Vec<(usize, usize)>) {
    let text = &scan.text;
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
    let mut at = start;
    loop {
        while at < end && text.at(at) == b' ' {
            at += 1;
        }
        let quote = text.at(at) == b'"' && at < end;
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
        let mut trimmed = last.min(end);
        while !quote && trimmed > first && text.at(trimmed - 1) == b' ' {
            trimmed -= 1;
        }
        cells.push((first, trimmed));
        while next < end && text.at(next) == b' ' {
            next += 1;
        }
        if next >= end || text.at(next) != delimiter || cells.len() > COLUMNS {
            break;
        }
        at = next + 1;
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{all, nothing};

    #[test]
    fn a_header_names_the_cells() {
        let text = "id,first_name,phone,dob,password,note\n1,Ada,0301234567,1980-03-12,Kestrel81!,\"a, b\"\r\n2,\"Jo\",x,1990-01-02,${X},y\n";
        assert_eq!(
            all(text),
            [
                ("PERSON", "Ada"),
                ("PHONE", "0301234567"),
                ("DOB", "1980-03-12"),
                ("PASSWORD", "Kestrel81!"),
                ("PERSON", "Jo"),
                ("DOB", "1990-01-02"),
            ]
        );
    }

    #[test]
    fn other_lines_with_commas_are_no_header() {
        nothing("we need a name, a dob, and more\nAda,1980-03-12,x\n");
        nothing("name,dob\nAda,1980-03-12\n");
        nothing("id,name,dob\n\n1,Ada King,1980-03-12\n");
    }
}
