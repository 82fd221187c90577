//! `INSERT INTO table (columns) VALUES (values)`: the columns are the names of the values, and so are those of the
//! `CREATE TABLE` before.
//!
//! Invariant: bounded in columns and bytes; each statement is read once.

use crate::columns::{self, Column, Record};
use crate::csv;
use crate::scan::Scan;
use crate::text::{BLANK, KEY, Text};
use crate::vocab;

/// The most columns that are looked at.
const COLUMNS: usize = 64;
/// The most rows.
const ROWS: usize = 4096;
/// The most tables that are kept in mind.
const TABLES: usize = 32;
/// The most lines of a `CREATE TABLE`.
const LINES: usize = 80;

/// A table that was created: its name, and its columns.
pub(crate) type Table<'a> = (&'a [u8], Vec<Column>);

/// `create table ` ends at `end`: a column begins each line.
pub(crate) fn create(scan: &mut Scan<'_>, end: usize) {
    let text = &scan.text;
    if end < scan.create_done || scan.tables.len() >= TABLES {
        return;
    }
    let mut at = end;
    if text.has(at, "if not exists ") {
        at += 14;
    }
    let (name, at) = name(text, at);
    let at = text.run(at, BLANK);
    if text.at(at) != b'(' || name.is_empty() {
        return;
    }
    let mut columns = Vec::new();
    let mut line = text.run(at + 1, BLANK);
    line += usize::from(text.at(line) == b'\r');
    if text.at(line) != b'\n' {
        return;
    }
    for _ in 0..LINES {
        let stop = text.line_end(line + 1);
        let mut first = text.run(line + 1, BLANK);
        if matches!(text.at(first), b')' | b'\n' | 0) {
            break;
        }
        first += usize::from(matches!(text.at(first), b'`' | b'"' | b'['));
        let word = text.slice(first, text.run(first, KEY));
        let keyword = ["primary", "key", "unique", "constraint", "foreign", "index", "check", "fulltext"]
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known.as_bytes()));
        if !keyword && columns.len() < COLUMNS {
            columns.push(vocab::column(word));
        }
        text.tick(word.len() + 1);
        line = stop + usize::from(text.at(stop) == b'\r');
    }
    scan.create_done = line;
    if columns.iter().any(|column| column.telling()) {
        scan.tables.push((name, columns));
    }
}

/// The name of a table that begins at `at`, without its quotes and schema, and where it ends.
fn name<'a>(text: &Text<'a>, at: usize) -> (&'a [u8], usize) {
    let mut end = at;
    while end < at + 128 && (crate::text::is(text.at(end), KEY) || matches!(text.at(end), b'`' | b'"' | b'[' | b']')) {
        end += 1;
    }
    text.tick(end - at);
    let whole = text.slice(at, end);
    let last = whole.rsplit(|b| *b == b'.').next().unwrap_or_default();
    let bare = |b: &u8| matches!(b, b'`' | b'"' | b'[' | b']');
    let first = last.iter().position(|b| !bare(b)).unwrap_or(last.len());
    let stop = last.iter().rposition(|b| !bare(b)).map_or(first, |at| at + 1);
    (last.get(first..stop).unwrap_or_default(), end)
}

/// `insert into ` ends at `end`.
pub(crate) fn insert(scan: &mut Scan<'_>, end: usize) {
    if end < scan.insert_done {
        return;
    }
    let text = &scan.text;
    let (table, behind) = name(text, end);
    let behind = space(text, behind);
    let (columns, mut at) = if text.has(behind, "values") {
        let Some((_, columns)) = scan.tables.iter().rev().find(|(name, _)| *name == table) else {
            return;
        };
        (columns.clone(), behind)
    } else {
        let Some((columns, at)) = names(text, end) else {
            return;
        };
        (columns, space(text, at))
    };
    if !text.has(at, "values") || !columns.iter().any(|column| column.telling()) {
        return;
    }
    at = space(text, at + 6);
    scan.insert_done = at;
    let record = Record::of(columns.iter().copied());
    for _ in 0..ROWS {
        if scan.text.at(at) != b'(' {
            break;
        }
        let line = scan.text.line_end(at);
        at = row(scan, &columns, at + 1, line, record);
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
    if scan.text.has(scan.text.run(at, BLANK), "from stdin") && columns.iter().any(|column| column.telling()) {
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
        columns.push(vocab::column(text.slice(at, stop)));
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
fn row(scan: &mut Scan<'_>, columns: &[Column], mut at: usize, line: usize, record: Record) -> usize {
    let mut record = record;
    for column in columns {
        at = scan.text.run(at, BLANK);
        // `N'…'`, `E'…'`, `DATE '…'`.
        let prefix = ["n'", "e'", "date '", "timestamp '"].iter().find(|prefix| scan.text.has(at, prefix));
        at += prefix.map_or(0, |prefix| prefix.len() - 1);
        let quote = scan.text.at(at);
        let quoted = matches!(quote, b'\'' | b'"');
        let start = at + usize::from(quoted);
        let mut end = start;
        while end < line {
            let byte = scan.text.at(end);
            if quoted {
                // Two quotes are one in the value, and so is one behind a backslash.
                if byte == b'\\' {
                    end += 1;
                } else if byte == quote {
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
        end = end.min(line);
        scan.text.tick(end - at);
        if quoted || matches!(column, Column::Number(_)) {
            columns::value(scan, *column, start, end, &mut record);
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
    fn tables_that_were_created_before() {
        let text = "CREATE TABLE IF NOT EXISTS `kunden` (\n  `id` int(11) NOT NULL,\n  `vorname` varchar(40),\n  `pw` text,\n  PRIMARY KEY (`id`)\n);\nINSERT INTO `kunden` VALUES (7,'Ada','Kestrel81!'),(8,'Sinéad','x');\n";
        assert_eq!(all(text), [("PERSON", "Ada"), ("PASSWORD", "Kestrel81!"), ("PERSON", "Sinéad")]);
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
