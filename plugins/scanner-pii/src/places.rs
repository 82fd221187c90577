//! Postal addresses, behind cues alone.
//!
//! Invariant: an address has a number and words that begin with capitals; it ends with the sentence, the field or the
//! line, and is of a bounded length.

use crate::kind::Kind;
use crate::scan::Scan;
use crate::text::{BLANK, WORD, is};
use crate::value::{self, Join, Value};

/// The longest address, in bytes.
const MAX_ADDRESS: usize = 120;

/// Digits, and a word with a capital: what an address has at the least.
fn fits(scan: &Scan<'_>, start: usize, end: usize) -> bool {
    let address = scan.text.part(start, end);
    scan.text.tick(address.len());
    let digit = address.bytes().any(|b| b.is_ascii_digit());
    let words = address
        .split([' ', ','])
        .filter(|word| {
            word.chars().next().is_some_and(char::is_uppercase)
                && word.chars().filter(|c| c.is_alphabetic()).count() > 1
        })
        .count();
    let blank = address.contains(' ');
    let numeric = address.bytes().filter(|b| b.is_ascii_digit()).count() * 2 > address.len();
    let technical = ["://", "=", "@", "0x", "{", "::", "("].iter().any(|mark| address.contains(mark));
    digit && words > 0 && blank && !numeric && !technical && (8..=MAX_ADDRESS).contains(&address.len())
}

/// Where the address that begins at `at` ends, in a sentence: at its end, or at a word that leads on.
fn sentence_end(scan: &Scan<'_>, at: usize) -> usize {
    let text = &scan.text;
    let limit = text.floor(text.line_end(at).min(at + MAX_ADDRESS));
    let rest = text.part(at, limit);
    text.tick(rest.len());
    let mut end = rest.len();
    for (i, c) in rest.char_indices() {
        let next = rest.get(i + c.len_utf8()..).unwrap_or_default();
        let stop = match c {
            ';' | '"' | '(' | '<' | '|' | '!' | '?' => true,
            // The dot of an abbreviation has a number or a word in lower case before it that is short.
            '.' => {
                let before = rest.get(..i).unwrap_or_default();
                let word = before.rsplit([' ', ',']).next().unwrap_or_default();
                let abbreviation = ["St", "Str", "str", "Ave", "Apt", "Rd", "Blvd", "Dr", "No", "Nr", "Ste", "Ln"]
                    .contains(&word)
                    || word.ends_with("str");
                !abbreviation && (next.is_empty() || next.starts_with([' ', '\n']))
            }
            ',' => {
                // A comma leads on in an address before a capital or a number.
                // Behind the number of a house the street may be written small.
                let house = rest.get(..i).unwrap_or_default().bytes().all(|b| b.is_ascii_digit());
                !house && !next.trim_start().starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit())
            }
            ' ' => {
                let word = next.split([' ', ',', '.']).next().unwrap_or_default();
                [
                    "and",
                    "for",
                    "with",
                    "because",
                    "but",
                    "so",
                    "when",
                    "please",
                    "since",
                    "attention",
                    "tel",
                    "before",
                    "as",
                ]
                .contains(&word)
            }
            _ => false,
        };
        if stop {
            end = i;
            break;
        }
    }
    at + end
}

/// What streets are called, at the end of a word or as a word.
const STREETS: &[&str] = &[
    "straße",
    "strasse",
    "str.",
    "allee",
    "weg",
    "platz",
    "gasse",
    "ring",
    "damm",
    "ufer",
    "chaussee",
    "rue",
    "avenue",
    "boulevard",
    "chemin",
    "via",
    "viale",
    "piazza",
    "corso",
    "calle",
    "plaza",
    "paseo",
    "rua",
    "street",
    "road",
    "lane",
    "drive",
    "court",
    "close",
    "crescent",
    "terrace",
    "square",
    "straat",
    "laan",
    "plein",
    "gatan",
    "vägen",
    "gate",
    "vej",
    "ulica",
    "ul.",
    "katu",
];

/// Whether a word is, or ends as, the name of a street.
fn names_street(address: &str) -> bool {
    address.split([' ', ',', '-']).any(|word| {
        let word = word.to_lowercase();
        STREETS.iter().any(|street| word.ends_with(street))
    })
}

/// Words that lead to an address stand at `start..end`.
pub(crate) fn cue(scan: &mut Scan<'_>, start: usize, end: usize) {
    if is(scan.text.before(start), WORD) || end <= scan.place_done {
        return;
    }
    let at = scan.text.run(end, BLANK);
    let stop = sentence_end(scan, at);
    let first = scan.text.part(at, stop).chars().next();
    // In a sentence an address begins with its number or a capital, and its number stands early.
    let begins = first.is_some_and(|c| c.is_ascii_digit() || c.is_uppercase());
    let early = scan.text.slice(at, stop).iter().take(40).any(u8::is_ascii_digit);
    // A house number first, or parts with a comma between: "Rust 2018" is none.
    let parts = first.is_some_and(|c| c.is_ascii_digit())
        || scan.text.slice(at, stop).contains(&b',')
        || names_street(scan.text.part(at, stop));
    if begins && early && parts && fits(scan, at, stop) {
        scan.place_done = stop;
        scan.emit(Kind::Address, at, stop, 0.7, false, "address behind a cue");
    }
}

/// The value of a column or field for streets at `start..end`. Gives whether it is one.
pub(crate) fn street(scan: &mut Scan<'_>, start: usize, end: usize) -> bool {
    let value = scan.text.part(start, end);
    scan.text.tick(value.len());
    let letters = value.chars().filter(|c| c.is_alphabetic()).count();
    let digit = value.bytes().any(|b| b.is_ascii_digit());
    let words = value.split([' ', '+', '%']).filter(|word| !word.is_empty()).count();
    let technical = ["://", "@", "0x", "{", "::", "=>", "()", "\\n"].iter().any(|mark| value.contains(mark));
    let fits = letters > 2
        && (words > 1 && (digit || names_street(value)) || digit && letters > 5)
        && !technical
        && (5..=MAX_ADDRESS + 40).contains(&value.len())
        && !value::is_uuid(value.as_bytes());
    if fits {
        scan.emit(Kind::Address, start, end, 0.85, false, "street of a record");
    }
    fits
}

/// The value of a field for streets.
pub(crate) fn line(scan: &mut Scan<'_>, name_start: usize, found: Value) {
    if found.quoted {
        street(scan, found.start, found.end);
    } else if found.join != Join::Blank {
        field(scan, name_start, found);
    }
}

/// The value of a field for postal addresses.
pub(crate) fn field(scan: &mut Scan<'_>, name_start: usize, found: Value) {
    // "Source Network Address: …"
    let (word, length, _) = crate::numbers::word_before(&scan.text, name_start);
    let qualified = crate::classify::is_technical(word.get(..length).unwrap_or_default());
    if found.join == Join::Blank || scan.text.before(name_start) == b' ' && qualified {
        return;
    }
    // A list of them is no sentence: "addresses: an iterator of …".
    let plural = scan.text.slice(name_start, found.start).windows(9).any(|w| w.eq_ignore_ascii_case(b"addresses"));
    if plural && !found.quoted {
        return;
    }
    let text = &scan.text;
    // In a query, blanks are written as signs.
    let value = scan.text.slice(found.start, found.end);
    if !found.quoted && (value.contains(&b'%') || value.contains(&b'+')) && !value.contains(&b' ') {
        street(scan, found.start, found.end);
        return;
    }
    let end = if found.quoted {
        found.end
    } else {
        let line = text.floor(text.line_end(found.start).min(found.start + MAX_ADDRESS + 8));
        let rest = text.part(found.start, line);
        // The next field begins behind two blanks, a tab or a bar, or with its name.
        let stop = ["  ", "\t", "|", ";", "\""].iter().filter_map(|stop| rest.find(stop)).min().unwrap_or(rest.len());
        let named = rest.get(..stop).and_then(|rest| rest.find('=')).and_then(|at| rest.get(..at)?.rfind(' '));
        let stop = named.unwrap_or(stop);
        found.start + rest.get(..stop).unwrap_or_default().trim_end_matches([' ', '.', ',']).len()
    };
    if fits(scan, found.start, end) {
        scan.emit(Kind::Address, found.start, end, 0.85, false, "field of an address");
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{nothing, one};

    #[test]
    fn addresses() {
        for (text, address) in [
            ("\"address\":\"12 Elm Road, Springfield, IL 62704\"", "12 Elm Road, Springfield, IL 62704"),
            ("Address:   7 rue Cler, 75007 Paris\n", "7 rue Cler, 75007 Paris"),
            ("she lives at 221 Baker Street, London. Then", "221 Baker Street, London"),
            ("ship to Hauptstr. 5, 10115 Berlin, attention", "Hauptstr. 5, 10115 Berlin"),
            ("ship to Birkenallee 33, attention", "Birkenallee 33"),
            ("home_address=12 Elm Road; x", "12 Elm Road"),
        ] {
            assert_eq!(one(text, "ADDRESS"), address, "{text}");
        }
    }

    #[test]
    fn no_addresses() {
        for text in [
            "address: 0x7fff5fbff8",
            "address=localhost",
            "ip_address: Foo 12 Bar",
            "located at line 12",
            "ship to production",
            "moved to Rust 2018.",
            "Source Network Address: 10.0.0.x Source Port 12",
        ] {
            nothing(text);
        }
    }
}
