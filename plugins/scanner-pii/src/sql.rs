//! `INSERT INTO table (columns) VALUES (values)`: the columns are the names of the values.
//!
//! Invariant: bounded in columns and bytes; each statement is read once.

use crate::columns::{self, Column};
use crate::csv;
use crate::scan::Scan;
use crate::text::{BLANK, KEY, Text};

/// The most columns that are looked at.
const COLUMNS: usize = 64;
/// The most rows.
const ROWS: usize = 256;

/// `insert into ` ends at `end`.
pub(crate) fn insert(scan: &mut Scan<'_>, end: usize) {
    if end < scan.insert_done {
        return;
    }
    let Some((columns, mut at)) = names(&scan.text, end) else {
        return;
    };
    let text = &scan.text;
    at = space(text, at);
    if !text.has(at, "values") || !columns.iter().any(|column| *column != Column::Other) {
        return;
    }
    at = space(text, at + 6);
    scan.insert_done = at;
    for _ in 0..ROWS {
        if scan.text.at(at) != b'(' {
            break;
        }
        let line = scan.text.line_end(at);
        at = row(scan, &columns, at + 1, line);
        at = scan.text.run(at, BLANK);
        if scan.text.at(at) != b',' {
            break;
        }
        at = space(&scan.text, at + 1);
    }
    scan.insert_done = at;
}

/// `copy ` ends at `end`: dumps of PostgreSQL have rows between tabs behind the names of the columns.
pub(crate) fn copy(scan: &mut Scan<'_>, end: usize) {
    // What stands in rows is data.
    if end <= scan.csv_done || scan.text.before(end - 5) != b'\n' {
        return;
    }
    let Some((columns, at)) = names(&scan.text, end) else {
        return;
    };
    let line = scan.text.line_end(end);
    if scan.text.has(scan.text.run(at, BLANK), "from stdin") && columns.iter().any(|column| *column != Column::Other) {
        scan.csv_done = line;
        csv::rows(scan, &columns, b'\t', line);
    }
}

/// Behind blanks and the end of a line.
fn space(text: &Text<'_>, at: usize) -> usize {
    let mut at = text.run(at, BLANK);
    at += usize::from(text.at(at) == b'\r');
    if text.at(at) == b'\n' { text.run(at + 1, BLANK) } else { at }
}

/// The columns in brackets behind the name of a table, and where the closing bracket ends.
fn names(text: &Text<'_>, end: usize) -> Option<(Vec<Column>, usize)> {
    let line = text.line_end(end);
    let mut at = end;
    while at < line && at < end + 128 && text.at(at) != b'(' {
        at += 1;
    }
    text.tick(at - end);
    if text.at(at) != b'(' {
        return None;
    }
    at += 1;
    let mut columns = Vec::new();
    while at < line && columns.len() < COLUMNS {
        while matches!(text.at(at), b' ' | b'`' | b'"' | b'[' | b'\\') {
            at += 1;
        }
        let stop = text.run(at, KEY);
        columns.push(Column::named(text.slice(at, stop)));
        at = stop;
        while matches!(text.at(at), b' ' | b'`' | b'"' | b']' | b'\\') {
            at += 1;
        }
        if text.at(at) != b',' {
            break;
        }
        at += 1;
    }
    Some((columns, at + 1))
}

/// One row's values; gives where it ends.
fn row(scan: &mut Scan<'_>, columns: &[Column], mut at: usize, line: usize) -> usize {
    for column in columns {
        at = scan.text.run(at, BLANK);
        let quote = scan.text.at(at);
        let quoted = matches!(quote, b'\'' | b'"');
        let start = at + usize::from(quoted);
        let mut end = start;
        while end < line {
            let byte = scan.text.at(end);
            if quoted {
                // Two quotes are one in the value.
                if byte == quote {
                    if scan.text.at(end + 1) != quote {
                        break;
                    }
                    end += 1;
                }
            } else if matches!(byte, b',' | b')') {
                break;
            }
            end += 1;
        }
        scan.text.tick(end - at);
        if quoted || matches!(column, Column::Number(_)) {
            columns::value(scan, *column, start, end);
        }
        at = scan.text.run(end + usize::from(quoted), BLANK);
        if scan.text.at(at) != b',' {
            break;
        }
        at += 1;
    }
    if scan.text.at(at) == b')' { at + 1 } else { at }
}

#[cfg(test)]
mod tests {
    use crate::testing::all;

    #[test]
    fn dumps_name_columns_once() {
        let text =
            "COPY public.p (id, full_name, password) FROM stdin;\n7\tAda King\tKestrel81!\n8\tJo Neil\t\\N\n\\.\n";
        assert_eq!(all(text), [("PERSON", "Ada King"), ("PASSWORD", "Kestrel81!"), ("PERSON", "Jo Neil")]);
        let text = "INSERT INTO \"p\" (\"id\", \"password\")\nVALUES\n  (7, 'Kestrel81!'),\n  (8, 'Kestrel82!');";
        assert_eq!(all(text), [("PASSWORD", "Kestrel81!"), ("PASSWORD", "Kestrel82!")]);
    }

    #[test]
    fn columns_name_values() {
        let text = "INSERT INTO p(id,full_name,dob,password) VALUES (7,'Ada King','1815-12-10','x'), (8,'Jo O''Neil','1990-01-02','Kestrel81!')";
        let found = all(text);
        assert_eq!(
            found,
            [("PERSON", "Ada King"), ("PERSON", "Jo O''Neil"), ("DOB", "1990-01-02"), ("PASSWORD", "Kestrel81!")]
        );
    }
}
