//! Addresses without a known type of street: what a postcode and a town close, or what stands behind a word for it.
//!
//! Invariant: begins at a number and reads at most [`BACK`] bytes before it and [`ON`] bytes behind it.

use crate::lexicon::*;
use crate::reading::Reading;
use crate::steps::tick;
use crate::streets::{HOUSES, PREFIXES, SMALL, one_of};
use crate::town::{town, trimmed, words};
use crate::{Finding, Kind};

/// How far before the number an address may begin, in bytes.
const BACK: usize = 56;
/// How far behind the number it may end, in bytes.
const ON: usize = 120;

/// What stands before an address, in lower case.
const LEADS: &[&str] = &[
    "address: ",
    "address is ",
    "address as ",
    "address - ",
    "address (",
    "addr: ",
    "ship to: ",
    "deliver to: ",
    "live at ",
    "lives at ",
    "living at ",
    "resides at ",
    "residing at ",
    "resident at ",
    "residence: ",
    "resident of ",
    "staying at ",
    "adresse: ",
    "adresse : ",
    "anschrift: ",
    "wohnhaft in ",
    "wohnhaft: ",
    "wohnhaft ",
    "wh. ",
    "wohnt in ",
    "demeurant ",
    "domicilié ",
    "domicile : ",
    "domicile (",
    "domicilio en ",
    "domicilio: ",
    "dirección: ",
    "direccion: ",
    "indirizzo: ",
    "residente in ",
    "residenza: ",
    "morada: ",
    "endereço: ",
    "residente em ",
    "adres: ",
    "woonadres: ",
    "wonende te ",
    "zam. ",
    "zamieszkały ",
    "zamieszkała ",
    "adress: ",
    "bor på ",
    "bopæl: ",
    "adresi: ",
    "adresi ",
    "adresa: ",
    "bydliště: ",
    "lakcím: ",
    "osoite: ",
    "alamat: ",
    "адрес: ",
    "адреса: ",
    "διεύθυνση: ",
];

fn found(start: usize, end: usize, confidence: f32, detector: &'static str) -> Option<Finding> {
    (start < end).then_some(Finding { kind: Kind::Address, start, end, confidence, validated: false, detector })
}

/// Past a floor or a door between the number and the town: `, 3r 2a`, `, 4.º izda.`, `, #08-11`.
pub(crate) fn floors(reading: &Reading<'_>, i: usize) -> usize {
    let Some((at, true, false)) = reading.separator(i) else { return i };
    if !(reading.at(at).is_ascii_digit() || reading.at(at) == b'#') {
        return i;
    }
    let length = (0..18).take_while(|n| !matches!(reading.at(at + n), b',' | b'\n' | b'\\' | b'"' | 0)).count();
    let town = reading.postcode(at, true).is_some_and(|stop| reading.at(stop) == b' ' && stop - at >= 4);
    if length < 18 && !town && matches!(reading.at(at + length), b',' | b'\n') { at + length } else { i }
}

/// An address around the number at `start..end`, where none of the known types of street stands.
pub(crate) fn at_number(reading: &Reading<'_>, start: usize, end: usize, least: usize) -> Option<Finding> {
    let capital = |i: usize| reading.at(i).is_ascii_uppercase() || reading.at(i) >= 0x80;
    // A clock's seconds: "10:15:47 INFO".
    if reading.before(start) == b':' && start > 1 && reading.at(start - 2).is_ascii_digit() {
        return None;
    }
    let next = end + usize::from(reading.at(end) == b',');
    let first = if reading.at(next) == b' ' && capital(next + 1) {
        number_first(reading, start, next + 1, least)
    } else {
        None
    };
    first
        .or_else(
            || if matches!(reading.at(end), b',' | b'\n') { street_first(reading, start, end, least) } else { None },
        )
        .or_else(|| led(reading, start, end, least))
}

/// `7 Thistle Bank\nKelso\nTD5 7JJ`: any words, closed by a postcode that nothing else looks like.
fn number_first(reading: &Reading<'_>, start: usize, at: usize, least: usize) -> Option<Finding> {
    let (list, _) = words(reading, at, 5);
    let street = trimmed(&list)?;
    if list.iter().flatten().any(|word| word.flags & (CALENDAR | TECH) != 0 && word.flags & NAME == 0) {
        return None;
    }
    let (end, _, code) = town(reading, street);
    let tail = reading.part(end.saturating_sub(8), end).as_bytes();
    let letters =
        matches!(tail, [.., d, a, b] if d.is_ascii_digit() && a.is_ascii_uppercase() && b.is_ascii_uppercase());
    let state = matches!(tail, [a, b, b' ', rest @ ..] if a.is_ascii_uppercase() && b.is_ascii_uppercase() && rest.iter().all(u8::is_ascii_digit));
    if !code || !(letters || state) {
        return None;
    }
    found(house_before(reading, start, least), end, 0.8, "number, words and postcode")
}

/// Where the name of a house before the number begins: `The Old Forge, 2 Church Lane`, `Flat 9, Gordon House, 27 …`.
pub(crate) fn house_before(reading: &Reading<'_>, start: usize, least: usize) -> usize {
    let mut begin = start;
    for _ in 0..2 {
        let comma = begin.checked_sub(2).filter(|i| reading.part(*i, begin) == ", ");
        let line = begin.checked_sub(1).filter(|i| reading.at(*i) == b'\n');
        let Some(stop) = comma.or(line) else { break };
        let from = stop.saturating_sub(36).max(least);
        let length = (from..stop)
            .rev()
            .take_while(|i| !matches!(reading.at(*i), b',' | b'\n' | b':' | b'(' | b';' | b'"' | b'.' | b'|'))
            .count();
        let part = reading.text.get(stop - length..stop).unwrap_or_default();
        tick(length);
        // The capital words at its end, with the small ones between them.
        let mut head = part.len();
        for word in part.rsplit(' ') {
            let at = word.as_ptr() as usize - part.as_ptr() as usize;
            if word.chars().next().is_some_and(|c| c.is_uppercase()) {
                head = at;
            } else if !(one_of(word, SMALL) || word.starts_with(|c: char| c.is_ascii_digit())) {
                break;
            }
        }
        let name = part.get(head..).unwrap_or_default();
        if name.is_empty() || !name.split([' ', '-']).any(|word| one_of(word, HOUSES)) {
            break;
        }
        begin = stop - part.len() + head;
    }
    begin
}

/// `Am Mühlbach 3, 79183 Waldkirch`: any words and a number, closed by a postcode and a town.
fn street_first(reading: &Reading<'_>, start: usize, end: usize, least: usize) -> Option<Finding> {
    let at = floors(reading, end);
    let (code, ..) = reading.separator(at)?;
    let stop =
        reading.postcode(code, true).filter(|stop| reading.at(code).is_ascii_digit() && reading.at(*stop) == b' ')?;
    let place = reading.word_at(stop + 1).filter(|word| word.capital && word.flags & (FUNCTION | CALENDAR) == 0)?;
    let mut at = start.checked_sub(1).filter(|i| reading.at(*i) == b' ')?;
    if reading.before(at) == b',' {
        at -= 1;
    }
    let last =
        reading.word_before(at).filter(|word| word.start >= least && word.capital && word.flags & CALENDAR == 0)?;
    let mut ordinary = last.flags & (WORD | TECH) != 0;
    let mut begin = last.start;
    let mut from = last.start;
    for _ in 0..4 {
        let Some(blank) = from.checked_sub(1).filter(|i| reading.at(*i) == b' ') else { break };
        if reading.before(blank) == b'/' && matches!(reading.before(blank - 1), b'C' | b'c') {
            begin = blank - 2;
            break;
        }
        let Some(word) = reading.word_before(blank).filter(|word| word.start >= least && word.end == blank) else {
            break;
        };
        let text = reading.part(word.start, word.end);
        if word.capital || one_of(text, PREFIXES) {
            begin = word.start;
            ordinary &= word.flags & (WORD | TECH) != 0;
        } else if !one_of(text, SMALL) {
            break;
        }
        from = word.start;
    }
    if ordinary || place.flags & WORD_COMMON != 0 && place.flags & PLACE == 0 {
        return None;
    }
    let (closed, ..) = town(reading, floors(reading, end));
    found(begin, closed.max(place.end), 0.8, "words, number, postcode and town")
}

/// What stands behind a word for an address, up to the end of the sentence or of its postcode.
fn led(reading: &Reading<'_>, start: usize, end: usize, least: usize) -> Option<Finding> {
    let capital = |i: usize| reading.at(i).is_ascii_uppercase() || reading.at(i) >= 0x80;
    let goes_on = match reading.at(end) {
        b' ' => capital(end + 1) || reading.at(end + 1).is_ascii_digit(),
        b',' => reading.at(end + 1) == b' ' && capital(end + 2),
        _ => false,
    };
    let bytes = reading.text.as_bytes();
    let near = bytes.get(start.saturating_sub(20)..(start + 44).min(bytes.len())).unwrap_or_default();
    if !goes_on || !near.contains(&b',') {
        return None;
    }
    let mut from = start.saturating_sub(BACK).max(least);
    while !reading.text.is_char_boundary(from) {
        from += 1;
    }
    let before = reading.part(from, start);
    tick(before.len());
    let before = before.rsplit(['\n', '"']).next().unwrap_or_default();
    let bytes = before.as_bytes();
    let lead = (5..=bytes.len()).rev().find(|at| {
        let byte = |n: usize| at.checked_sub(n).and_then(|i| bytes.get(i)).copied().unwrap_or(0);
        let ends = byte(1) == b'('
            || byte(1) == b' '
                && matches!(byte(2), b':' | b't' | b'f' | b'n' | b's' | b'.' | b'e' | b'i' | b'-' | 0x80..);
        ends && LEADS.iter().any(|lead| {
            at.checked_sub(lead.len())
                .and_then(|from| bytes.get(from..*at))
                .is_some_and(|part| part.eq_ignore_ascii_case(lead.as_bytes()))
        })
    })?;
    let begin = start - (before.len() - lead);
    let between = before.get(lead..)?;
    if between.contains(". ") || between.contains(';') || between.contains(')') {
        return None;
    }
    let stop = close(reading, begin);
    let value = reading.part(begin, stop);
    let capital = value.chars().next().is_some_and(|c| c.is_uppercase() || c.is_ascii_digit() || c == '#')
        && value.chars().any(char::is_uppercase);
    let inside = stop > start && value.len() > 8 && value.contains(',');
    (capital && inside && !value.contains(['=', '{', '@']))
        .then(|| found(begin, stop, 0.75, "behind a word for an address"))
        .flatten()
}

/// Where an address ends that begins at `begin`.
fn close(reading: &Reading<'_>, begin: usize) -> usize {
    let mut at = begin;
    let mut stop = begin;
    while at < begin + ON && at < reading.text.len() {
        tick(1);
        let b = reading.at(at);
        let next = reading.at(at + 1);
        let sentence = b == b'.'
            && matches!(next, b' ' | b'\n' | 0)
            && (reading.word_before(at).is_none_or(|word| word.end - word.start > 3));
        if matches!(b, b'\n' | b'\r' | b';' | b'"' | b')' | b'|' | b'<' | b'\\' | b'\t')
            || sentence
            || b == b' ' && next == b' '
        {
            break;
        }
        // ", mobile +254 …", ", Ph: …"
        if b == b',' && next == b' ' && (reading.at(at + 2).is_ascii_lowercase() || label(reading, at + 2)) {
            break;
        }
        // A postcode closes it, with the town behind it.
        let starts = matches!(reading.before(at), b' ' | b',');
        if starts
            && at > begin + 8
            && (b.is_ascii_digit() || b.is_ascii_uppercase())
            && let Some(end) = reading.postcode(at, true).filter(|end| end - at >= 5)
        {
            let (list, _) = words(reading, end + 1, 3);
            let place = if b.is_ascii_digit() && reading.at(end) == b' ' { trimmed(&list) } else { None };
            return place.unwrap_or(end);
        }
        at += 1;
        if b > b' ' && b != b',' {
            stop = at;
        }
    }
    while !reading.text.is_char_boundary(stop) {
        stop += 1;
    }
    stop
}

/// Whether a word with a colon stands at `i`, or a number of a telephone.
fn label(reading: &Reading<'_>, i: usize) -> bool {
    reading.at(i) == b'+' || reading.word_at(i).is_some_and(|word| reading.at(word.end) == b':')
}

#[cfg(test)]
mod tests {
    use crate::testing::{found, one};

    #[test]
    fn addresses_of_any_street() {
        for address in [
            "7 Thistle Bank\nKelso\nTD5 7JJ",
            "27 Heol y Mynydd\nSwansea\nSA2 8PP",
            "The Old Forge, 2 Church Lane, Ludlow SY8 1AP",
            "Flat 9, Gordon House, 27 Peckham Rye, London SE15 3JN",
            "Am Mühlbach 3, 79183 Waldkirch",
            "Carrer de Balmes 118, 3r 2a\n08008 Barcelona",
            "C/ Fuencarral 88, 4.º izda., 28004 Madrid",
            "Rua do Salitre, 53, 2.º Esq., 1250-198 Lisboa",
            "Skovbrynet 12, 2800 Lyngby",
        ] {
            assert_eq!(one(&format!("at {address}.\nThen"), "ADDRESS"), address);
        }
        for (text, address) in [
            (
                "Address: 3-14-7 Kichijoji Honcho, Musashino-shi, Tokyo 180-0004\nRoom",
                "3-14-7 Kichijoji Honcho, Musashino-shi, Tokyo 180-0004",
            ),
            (
                "His address: 204, Prestige Garden, Whitefield Main Road, Bengaluru 560048.\nFor",
                "204, Prestige Garden, Whitefield Main Road, Bengaluru 560048",
            ),
        ] {
            assert_eq!(one(text, "ADDRESS"), address);
        }
    }

    #[test]
    fn what_is_none() {
        for text in [
            "IP address: 3 of 5, see above",
            "Version 3, 10115 Requests",
            "moved to 3 Nodes and 4 Pods",
            "Email address: 3 bounced",
        ] {
            assert!(found(text, "ADDRESS").is_empty(), "{text}");
        }
    }
}
