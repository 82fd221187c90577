//! vCards and their like: a property, parameters, a colon, and components between semicolons (RFC 6350).
//!
//! Invariant: cards end with their last line, or after so many; each line is read once.

use crate::columns;
use crate::literals::Cue;
use crate::scan::Scan;
use crate::{kind::Kind, names, places};

/// The most lines of a card.
const LINES: usize = 128;
const MAX_LINE: usize = 1024;

/// `BEGIN:VCARD` ends at `end`.
pub(crate) fn card(scan: &mut Scan<'_>, end: usize) {
    if end <= scan.card_done {
        return;
    }
    // In a URL or a string of JSON, escapes end the lines.
    let breaks: &[&str] = if scan.text.has(end, "%0") { &["%0d%0a", "%0a"] } else { &["\\r\\n", "\\n", "\r\n", "\n"] };
    let encoded = scan.text.has(end, "%0");
    let mut at = end;
    for _ in 0..LINES {
        let Some(length) = breaks.iter().find(|line| scan.text.has(at, line)).map(|line| line.len()) else {
            break;
        };
        let start = at + length;
        let limit = scan.text.line_end(start).min(start + MAX_LINE);
        let line = scan.text.slice(start, limit);
        let stop = line
            .iter()
            .enumerate()
            .position(|(n, b)| match b {
                b'%' => encoded && breaks.iter().any(|line| scan.text.has(start + n, line)),
                b'\\' => matches!(line.get(n + 1), Some(b'n' | b'r')),
                b'"' => true,
                _ => false,
            })
            .map_or(limit, |n| start + n);
        scan.text.tick(stop - start + 1);
        if scan.text.has(start, "end") {
            break;
        }
        property(scan, start, stop, encoded);
        at = stop;
        scan.card_done = stop;
    }
}

fn property(scan: &mut Scan<'_>, start: usize, end: usize, encoded: bool) {
    let line = scan.text.slice(start, end);
    // `item1.TEL` groups properties.
    let colon = line.iter().position(|b| *b == b':').map(|at| (at, 1));
    let colon =
        if encoded { line.windows(3).position(|w| w.eq_ignore_ascii_case(b"%3a")).map(|at| (at, 3)) } else { colon };
    let Some((colon, length)) = colon else {
        return;
    };
    let name = line.get(..colon).unwrap_or_default();
    let name = name.split(|b| *b == b';').next().unwrap_or_default();
    let name = name.rsplit(|b| *b == b'.').next().unwrap_or_default().to_ascii_lowercase();
    let from = start + colon + length;
    match name.as_slice() {
        b"n" => {
            for (first, last) in components(scan, from, end).into_iter().take(3) {
                names::cell(scan, first, last);
            }
        }
        b"fn" | b"nickname" => {
            names::cell(scan, from, end);
        }
        b"bday" => columns::birth(scan, from, end),
        b"tel" => {
            scan.add_cue(Cue::Phone, from);
            let digits = scan.text.slice(from, end);
            if (7..=15).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) {
                scan.emit(Kind::Phone, from, end, 0.9, false, "number of a card");
            }
        }
        b"adr" => {
            let parts = components(scan, from, end);
            let mut street = false;
            for (n, (first, last)) in parts.into_iter().enumerate() {
                match n {
                    2 => street = places::street(scan, first, last),
                    3 | 5 if street => scan.emit(Kind::Address, first, last, 0.6, false, "area behind a street"),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

fn components(scan: &Scan<'_>, start: usize, end: usize) -> Vec<(usize, usize)> {
    let mut parts = Vec::new();
    let mut from = start;
    for at in start..=end {
        if at == end || scan.text.at(at) == b';' && scan.text.before(at) != b'\\' {
            parts.push((from, at));
            from = at + 1;
        }
    }
    scan.text.tick(end - start);
    parts
}

#[cfg(test)]
mod tests {
    use crate::testing::all;

    #[test]
    fn cards() {
        for (text, end) in [("\n", "\n"), ("\r\n", "\r\n"), ("\\n", "\\n\"")] {
            let lines = [
                "BEGIN:VCARD",
                "VERSION:3.0",
                "N:Dubois;Camille;;Mme;",
                "FN;CHARSET=UTF-8:Camille Dubois",
                "ORG:Dubois SARL",
                "TEL;CELL:01715520918",
                "item1.ADR;type=HOME:;;9 quai Antoine;Lyon;;69002;France",
                "BDAY:1986-07-02",
                "END:VCARD",
            ];
            let text = lines.join(text) + end;
            assert_eq!(
                all(&text),
                [
                    ("PERSON", "Dubois"),
                    ("PERSON", "Camille"),
                    ("PERSON", "Camille Dubois"),
                    ("PHONE", "01715520918"),
                    ("ADDRESS", "9 quai Antoine"),
                    ("ADDRESS", "Lyon"),
                    ("ADDRESS", "69002"),
                    ("DOB", "1986-07-02"),
                ],
                "{text}"
            );
        }
        assert_eq!(all("BEGIN%3AVCARD%0AFN%3AHenrike%20Aalders%0AEND%3AVCARD"), [("PERSON", "Henrike%20Aalders")]);
    }
}
