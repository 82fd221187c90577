//! Names of people where a field or a column says that one stands there: there every spelling counts, capitals, one word
//! or several, the last name first, a letter written as an escape.
//!
//! Invariant: a value is a name as a whole or not at all, but for what cuts a value off; companies, words for missing
//! values and names of fields are none.

use crate::columns;
use crate::kind::Kind;
use crate::scan::Scan;
use crate::value::{self, Join, Value};
use crate::words::{List, Words};

/// The longest name, in bytes.
const MAX: usize = 96;
/// The most words of a name, titles and initials too.
const WORDS: usize = 7;

/// How a name is written: in a table as each likes, in a field with a capital.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Any,
    Capital,
}

/// Legal forms, and what else stands in the name of a company or an authority, never in one of a person.
const COMPANY: &[&str] = &[
    "gmbh",
    "ag",
    "kg",
    "ohg",
    "mbh",
    "ug",
    "gbr",
    "ev",
    "eg",
    "kgaa",
    "inc",
    "ltd",
    "llc",
    "llp",
    "plc",
    "corp",
    "corporation",
    "company",
    "limited",
    "sa",
    "sas",
    "sarl",
    "srl",
    "spa",
    "bv",
    "nv",
    "oy",
    "oyj",
    "aps",
    "asa",
    "sp",
    "zoo",
    "sro",
    "kft",
    "pty",
    "holding",
    "holdings",
    "group",
    "gruppe",
    "stiftung",
    "verein",
    "foundation",
    "bank",
    "sparkasse",
    "volksbank",
    "stadtwerke",
    "stadt",
    "gemeinde",
    "landkreis",
    "versicherung",
    "insurance",
    "university",
    "universität",
    "hospital",
    "klinik",
    "klinikum",
    "krankenhaus",
    "clinic",
    "school",
    "schule",
    "church",
    "council",
    "agency",
    "ministry",
    "finanzamt",
    "team",
    "department",
    "services",
    "service",
    "solutions",
    "systems",
    "software",
    "technologies",
    "logistics",
    "logistik",
    "consulting",
    "partners",
    "airlines",
    "airport",
    "hotel",
    "shop",
    "store",
    "support",
    "account",
    "accounts",
    "admin",
    "administrator",
    "system",
    "user",
    "users",
    "name",
    "number",
    "total",
    "summe",
    "office",
    "center",
    "centre",
    "zentrale",
    "empfang",
    "reception",
    "customer",
    "unknown",
    "default",
    "test",
    "demo",
    "example",
    "sample",
    "manager",
    "engineering",
    "operations",
    "finance",
    "marketing",
    "sales",
    "payroll",
    "vertrieb",
    "einkauf",
    "buchhaltung",
    "personal",
    "helpdesk",
    "security",
    "platform",
    "infrastructure",
    "server",
    "database",
    "online",
    "cloud",
    "api",
    "app",
    "bot",
    "job",
    "worker",
    "backup",
    "monitoring",
    "primary",
    "secondary",
    "vorname",
    "nachname",
    "familienname",
    "surname",
    "prénom",
    "prenom",
    "nombre",
    "apellido",
    "apellidos",
    "cognome",
    "voornaam",
    "achternaam",
    "nazwisko",
    "fullname",
    "firstname",
    "lastname",
    "geburtsdatum",
    "email",
    "phone",
    "address",
    "template",
    "mailbox",
    "overview",
    "dashboard",
    "checkout",
    "journey",
    "report",
    "queue",
    "policy",
    "plan",
    "edition",
    "suite",
    "tests",
    "spec",
    "integration",
    "production",
    "staging",
    "monthly",
    "weekly",
    "daily",
    "premium",
    "enterprise",
    "migration",
    "release",
    "sprint",
    "pipeline",
    "workflow",
    "module",
    "component",
    "gateway",
    "laboratory",
    "lab",
    "pharmacy",
    "apotheke",
    "museum",
    "tempfield",
    "required",
    "field",
    "first",
    "last",
];

static COMPANY_KNOWN: Words = Words::new(|| List::new(COMPANY));

/// Build what is built once; the first look-up would.
pub(crate) fn warm() {
    Words::force(&COMPANY_KNOWN);
}

/// Particles and joints that are written small.
const SMALL: &[&str] = &[
    "van", "von", "vom", "de", "der", "den", "di", "da", "das", "do", "dos", "del", "della", "dalla", "la", "las",
    "le", "los", "du", "des", "bin", "ibn", "binti", "al", "el", "ten", "ter", "te", "zu", "zum", "zur", "y", "e",
    "af", "av", "i", "und", "and", "of", "'t", "d", "mac", "op", "in", "het",
];

/// The value of a column of names, or of a part of a record, at `start..end`.
/// Gives whether it is one.
pub(crate) fn cell(scan: &mut Scan<'_>, start: usize, end: usize) -> bool {
    report(scan, start, end, Style::Any)
}

/// Whether the value of a column of names is a company's or an authority's.
pub(crate) fn is_company(value: &str) -> bool {
    value.split([' ', ',', '/', '(', ')']).any(|word| {
        let folded: String = word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        COMPANY_KNOWN.has(folded.as_bytes())
    })
}

/// The value of a field whose name says that it is a name or a part of one. Gives whether it is.
pub(crate) fn field(scan: &mut Scan<'_>, found: Value) -> bool {
    if found.join == Join::Blank {
        return false;
    }
    let text = &scan.text;
    let mut end = found.end;
    if !found.quoted {
        // A name has blanks: it goes on to the next separator.
        let line = text.slice(found.start, text.line_end(found.start).min(found.start + MAX));
        text.tick(line.len());
        let mut length = line.len();
        for (at, byte) in line.iter().enumerate() {
            let next = line.get(at + 1).copied().unwrap_or(0);
            let stop = match byte {
                b'\t' | b';' | b'|' | b'&' | b'"' | b'<' | b'{' | b'}' | b'=' | b')' | b']' | b':' => true,
                b'\\' => next != b'u' && next != b',',
                b'-' => next == b'>',
                b',' => {
                    let escaped = at > 0 && line.get(at - 1) == Some(&b'\\');
                    !escaped && (found.join != Join::Colon || next != b' ')
                }
                b' ' => {
                    next == b' ' || found.join == Join::Equals && !line.get(..at).is_some_and(|v| v.ends_with(b"\\,"))
                }
                _ => false,
            };
            if stop {
                length = at;
                break;
            }
        }
        // `last=A, first=B` on one line: what goes on is no part of it.
        if let Some(comma) = line.get(..length).and_then(|value| value.iter().position(|b| *b == b','))
            && line.get(length).is_some_and(|b| matches!(b, b':' | b'=' | b'-'))
        {
            length = comma;
        }
        end = text.floor(found.start + length);
        while end > found.start && matches!(text.at(end - 1), b' ' | b',' | b'.' | b'\r') {
            end -= 1;
        }
    }
    report(scan, found.start, end, Style::Capital)
}

/// The value of a field that is named `name` or `cn` alone: two words and more, and more than the cues of people's names
/// know: letters written as escapes, a comma behind a backslash.
#[inline(never)]
pub(crate) fn common(scan: &mut Scan<'_>, found: Value) {
    let text = &scan.text;
    let end = if found.quoted {
        found.end
    } else {
        let line = text.slice(found.start, text.line_end(found.start).min(found.start + MAX));
        text.tick(line.len());
        let stop = |(at, b): (usize, &u8)| {
            matches!(b, b',' | b'+') && (at == 0 || line.get(at - 1) != Some(&b'\\'))
                || matches!(b, b'"' | b'\'' | b';' | b'\t' | b'&' | b'<' | b'>' | b')' | b'{' | b'}')
        };
        found.start + line.iter().enumerate().position(stop).unwrap_or(line.len())
    };
    let value = text.part(found.start, end);
    let marked = value.contains("\\u00")
        || value.contains("\\u01")
        || value.contains("\\,")
        || value.contains('%')
        || value.contains('&');
    if marked && unescaped(value).split(' ').filter(|word| !word.is_empty()).count() > 1 {
        report(scan, found.start, end, Style::Capital);
    }
}

#[inline(never)]
fn report(scan: &mut Scan<'_>, start: usize, end: usize, style: Style) -> bool {
    scan.text.tick(end - start);
    let fits = end > start && end - start <= MAX && is_name(scan.text.part(start, end), style);
    if fits {
        scan.emit(Kind::Person, start, end, 0.85, false, "field of a name");
    }
    fits
}

/// Whether the whole of a value is a name.
fn is_name(value: &str, style: Style) -> bool {
    let bytes = value.as_bytes();
    let decoded;
    let plain = if bytes.iter().any(|b| matches!(b, b'\\' | b'%' | b'&' | b'=' | b'+')) {
        decoded = unescaped(value);
        decoded.as_str()
    } else {
        value
    };
    if value::is_state(bytes) || columns::is_missing(bytes) {
        return false;
    }
    let letters = plain.chars().filter(|c| c.is_alphabetic()).count();
    let wide = plain.chars().all(|c| c as u32 >= 0x2e80);
    // Whatever is no letter has to be a mark that names have.
    let marks = plain.chars().all(|c| {
        c.is_alphabetic()
            || matches!(c, ' ' | '-' | '\'' | '’' | '`' | '.' | ',' | '/' | '(' | ')' | '\u{300}'..='\u{36f}')
    });
    if !marks || letters < if wide { 1 } else { 2 } || letters * 2 < plain.chars().count() {
        return false;
    }
    let (mut words, mut all_small, mut long) = (0, true, 0);
    for word in plain.split([' ', ',', '/', '(', ')']).filter(|word| !word.is_empty()) {
        words += 1;
        let folded: String = word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        if COMPANY_KNOWN.has(folded.as_bytes()) && (words > 1 || folded.len() > 4) {
            return false;
        }
        let capital = word.chars().next().is_some_and(|c| !c.is_lowercase());
        // `O'Neil`, `d'Angelo`, `al-Amin`.
        let inner = word.split(['\'', '’', '-']).nth(1).and_then(|part| part.chars().next());
        let small = SMALL.contains(&folded.as_str()) || inner.is_some_and(char::is_uppercase);
        all_small &= !capital;
        long += usize::from(folded.chars().count() > 1);
        if !capital && !small && style == Style::Capital {
            return false;
        }
    }
    // A hump is a member of a program.
    let hump = words == 1
        && all_small
        && plain.as_bytes().windows(2).any(|w| matches!(w, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase()));
    words <= WORDS && (long > 0 || words > 1) && !hump
}

/// The letters behind the escapes of JSON, of URLs, of HTML and of mail (RFC 2045), as far as a name has them: an escape
/// of a letter becomes one.
fn unescaped(value: &str) -> String {
    let mut plain = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(c) = rest.chars().next() {
        let bytes = rest.as_bytes();
        let hex = |from: usize, count: usize| {
            let digits = rest.get(from..from + count)?;
            digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok()).flatten()
        };
        let (put, length) = match c {
            '\\' if bytes.get(1) == Some(&b'u') => (hex(2, 4).and_then(char::from_u32), 6),
            '\\' if matches!(bytes.get(1), Some(b',' | b'\'')) => (Some(' '), 2),
            '%' if rest.starts_with("%25") => (hex(3, 2).and_then(byte_letter), 5),
            '%' | '=' => (hex(1, 2).and_then(byte_letter), 3),
            '&' => match rest.find(';') {
                Some(end) if end < 10 && !rest.starts_with("&#") => {
                    (Some(if rest.starts_with("&nbsp") { ' ' } else { 'é' }), end + 1)
                }
                _ => (None, 1),
            },
            '+' => (Some(' '), 1),
            c => (Some(c), c.len_utf8()),
        };
        let Some(put) = put else {
            return value.to_owned();
        };
        plain.push(put);
        rest = rest.get(length..).unwrap_or_default();
    }
    plain
}

/// A byte of UTF-8 beyond ASCII stands for a letter.
fn byte_letter(byte: u32) -> Option<char> {
    if byte >= 0x80 { Some('é') } else { char::from_u32(byte) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{found, nothing, one};

    #[test]
    fn names_as_columns_have_them() {
        for name in [
            "Ada",
            "KING",
            "N'DIAYE",
            "DE LA TOUR",
            "HOLLOWAY, DENISE M",
            "Goñi Urrutia",
            "van der Meer",
            "ada",
            "O'Connor",
            "Dr. Ada King",
            "Jean-Baptiste",
            "Łój",
            "李小龍",
            "Mar\\u00eda Jos\\u00e9",
            "J=C3=BCrgen",
            "Andr&eacute; Lef&egrave;vre",
            "Tilo%2520Brandt",
            "Tilo%20Brandt",
            "Yıldırım",
            "SALMA HANY",
            "Sabine O\\'Connor",
        ] {
            assert!(is_name(name, Style::Any), "{name}");
        }
        for name in [
            "Holzbau Reiter GmbH",
            "n/a",
            "-",
            "null",
            "First name",
            "billing-sync 2",
            "x",
            "17",
            "a@b.co",
            "Fitnessclub Nord GmbH",
            "Ferramenta Sarti S.r.l.",
            "(in stock)",
            "string",
            "Unknown",
        ] {
            assert!(!is_name(name, Style::Any), "{name}");
        }
    }

    #[test]
    fn names_as_fields_have_them() {
        for text in [
            "\"lastName\":\"KING\"",
            "last_name=KING&x=1",
            "lastName: KING\n",
            "<lastName>KING</lastName>",
            "surname = 'KING'",
            "lastName: KING, age: 7",
        ] {
            assert_eq!(one(text, "PERSON"), "KING", "{text}");
        }
        assert_eq!(found("vorname:  Ada Maria\nnachname: King\n", "PERSON"), ["Ada Maria", "King"]);
        for text in [
            "firstName: String,",
            "\"firstName\": \"required\"",
            "firstName: user.firstName",
            "\"lastName\":\"Last name\"",
            "last_name=$2 AND x",
            "firstName must be set",
            "\"lastName\": \"First name is too long\"",
        ] {
            nothing(text);
        }
    }
}
