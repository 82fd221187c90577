//! Postal addresses: a house number beside the name of a street, and what follows of the town.
//!
//! Invariant: every rule begins at a number and reads at most a few words before it and a few parts behind it. A type of
//! street that is an ordinary word too counts only where a town or a postcode follows.

use crate::lexicon::*;
use crate::loose::{self, floors, house_before};
use crate::reading::Reading;
use crate::streets::{PLAIN, PREFIXES, SMALL, SUFFIXES, UNITS, WEAK_SUFFIXES, one_of};
use crate::town::{town, trimmed, words};
use crate::{Finding, Kind};

/// What the street alone is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worth {
    /// A type that nothing else has.
    Strong,
    /// A type that needs a town.
    Weak,
}

/// An address around the number at `start..end`; nothing before `least` belongs to it.
pub(crate) fn at_number(text: &str, start: usize, end: usize, least: usize, lexicon: &Lexicon) -> Option<Finding> {
    let reading = Reading { text, lexicon };
    if end - start > 6 || reading.before(start) != b' ' && !opens(&reading, start) {
        return None;
    }
    let number_end = number(&reading, end)?;
    let ahead = reading.at(number_end + usize::from(reading.at(number_end) == b','));
    let first = if matches!(ahead, b' ' | b'\n' | b'\r' | b'\\') {
        let found = number_first(&reading, start, number_end, least);
        // "The Old Forge, 2 Church Lane"
        found.map(|f| if f.start == start { Finding { start: house_before(&reading, start, least), ..f } } else { f })
    } else {
        None
    };
    if first.is_some() || !reading.capital_before(start) {
        return first.or_else(|| loose::at_number(&reading, start, number_end, least));
    }
    street_first(&reading, start, number_end, least)
        .or_else(|| post_box(&reading, start, number_end, least))
        .or_else(|| loose::at_number(&reading, start, number_end, least))
}

/// A value may begin at `i`.
fn opens(reading: &Reading<'_>, i: usize) -> bool {
    match reading.before(i) {
        b' ' | b'\n' | b'\r' | b'\t' | b'"' | b'\'' | b'(' | b'>' | b'[' | b'=' | b':' | b';' | b'|' => true,
        b'n' | b'r' | b't' => i >= 2 && reading.at(i - 2) == b'\\',
        _ => false,
    }
}

/// Where the house number ends whose first digits end at `end`: `5`, `5a`, `5/7`, `12-14`, `3 bis`.
fn number(reading: &Reading<'_>, end: usize) -> Option<usize> {
    let mut end = end;
    for _ in 0..2 {
        if matches!(reading.at(end), b'/' | b'-') && (1..=4).contains(&reading.digits(end + 1)) {
            end += 1 + reading.digits(end + 1);
        }
    }
    // "414-II", "3 bis"
    if reading.at(end) == b'-' && reading.at(end + 1) == b'I' {
        end += 1 + (1..=3).take_while(|n| reading.at(end + n) == b'I').count();
    } else if reading.part(end, end + 4) == " bis" && reading.ends(end + 4) {
        end += 4;
    }
    if reading.at(end).is_ascii_alphabetic() && reading.ends(end + 1) {
        end += 1;
    }
    let next = reading.at(end);
    (reading.ends(end) && !matches!(next, b'.' | b':' | b'%' | b'@' | b'=' | b'_' | b'/' | b'-')
        || next == b'.' && reading.ends(end + 1))
    .then_some(end)
}

fn finding(reading: &Reading<'_>, start: usize, street_end: usize, worth: Worth, alone: bool) -> Option<Finding> {
    let (end, town, code) = town(reading, floors(reading, street_end));
    let (confidence, detector) = match (worth, town, code) {
        (_, _, true) => (0.95, "street, number and postcode"),
        (Worth::Strong, true, false) => (0.85, "street, number and town"),
        (Worth::Weak, true, false) => (0.65, "street, number and town"),
        (Worth::Strong, false, false) if alone => (0.7, "street and number"),
        _ => return None,
    };
    Some(Finding { kind: Kind::Address, start, end, confidence, validated: false, detector })
}

/// `12 Oak Street`, `12 rue de la Paix`, `Flat 9, Valerie Corner`.
fn number_first(reading: &Reading<'_>, start: usize, end: usize, least: usize) -> Option<Finding> {
    let unit = if reading.capital_before(start) || matches!(reading.before(start.saturating_sub(1)), b',' | b'.') {
        unit_before(reading, start, least)
    } else {
        None
    };
    let mut at = end;
    if reading.at(at) == b',' {
        at += 1;
    }
    let (at, line) = match reading.at(at) {
        b' ' => (at + 1, false),
        _ if unit.is_some() => reading.separator(end).map(|(at, _, line)| (at, line))?,
        _ => return None,
    };
    // Behind a unit there may be the number of the house; that one asks for itself.
    let begin = unit.unwrap_or(start);
    if !(reading.at(at).is_ascii_alphabetic() || reading.at(at) >= 0x80) {
        return None;
    }
    let head = reading.word_at(at)?;
    if !head.capital && head.flags & (STREET | STREET_WEAK) == 0 {
        return None;
    }
    if one_of(reading.part(head.start, head.end), PREFIXES) && !line {
        let after = head.end + usize::from(reading.at(head.end) == b'.');
        let (list, count) = words(reading, after + 1, 5);
        if reading.at(after) != b' ' || count == 0 || !list.iter().flatten().any(|word| word.capital) {
            return english(reading, begin, at, unit.is_some());
        }
        let stop = trimmed(&list)?;
        return finding(reading, begin, stop, Worth::Strong, head.flags & STREET != 0);
    }
    english(reading, begin, at, unit.is_some())
}

fn english(reading: &Reading<'_>, begin: usize, at: usize, unit: bool) -> Option<Finding> {
    let (list, count) = words(reading, at, 6);
    let list = list.get(..count)?;
    if list.first().copied().flatten().is_none_or(|word| !word.capital) {
        return None;
    }
    // The last word that is a type of street, with a name before it.
    let (n, word) = list
        .iter()
        .flatten()
        .enumerate()
        .skip(1)
        .filter(|(_, word)| word.capital && word.flags & (STREET | STREET_WEAK) != 0)
        .last()?;
    if n > 4 {
        return None;
    }
    let kind = reading.part(word.start, word.end);
    let plain = one_of(kind, PLAIN);
    let worth = if word.flags & STREET != 0 { Worth::Strong } else { Worth::Weak };
    let mut end =
        word.end + usize::from(reading.at(word.end) == b'.' && kind.len() <= 4 && reading.at(word.end + 1) != b'\n');
    // What is a product's or a process's name is no street's.
    let technical = list.iter().flatten().take(n).any(|word| word.flags & TECH != 0 && word.flags & NAME == 0);
    // A point of the compass may follow.
    if let Some(next) = list.get(n + 1).copied().flatten()
        && one_of(
            reading.part(next.start, next.end),
            &["n", "s", "e", "w", "ne", "nw", "se", "sw", "north", "south", "east", "west"],
        )
    {
        end = next.end;
    }
    end = unit_behind(reading, end).unwrap_or(end);
    // A street that is called after somebody, behind words that lead to one: "ship it to 5 Maria Mountains".
    let called = list.iter().flatten().take(n).any(|word| word.flags & NAME != 0)
        && led(reading, begin)
        && matches!(reading.at(end), b',' | b'.' | b'\n' | b'\r' | b'"' | b';' | 0);
    let worth = if called { Worth::Strong } else { worth };
    finding(reading, begin, end, worth, (plain && !unit || called) && !technical)
}

/// Whether the words before `i` lead to a place.
fn led(reading: &Reading<'_>, i: usize) -> bool {
    let from = i - usize::from(reading.before(i) == b' ');
    let from = from - usize::from(matches!(reading.before(from), b':' | b'"'));
    reading.word_before(from).is_some_and(|word| {
        one_of(
            reading.part(word.start, word.end),
            &["to", "at", "address", "addr", "in", "from", "is", "residence", "location"],
        )
    })
}

/// Where the unit begins that ends before `i`: `Flat 2, `; also where the number at `i` is the unit's own.
fn unit_before(reading: &Reading<'_>, i: usize, least: usize) -> Option<usize> {
    let own = |at: usize| {
        let at = at - usize::from(reading.before(at) == b' ');
        let at = at - usize::from(reading.before(at) == b'.');
        reading
            .word_before(at)
            .filter(|word| word.start >= least && one_of(reading.part(word.start, word.end), UNITS))
            .map(|word| word.start)
    };
    if let Some(start) = own(i) {
        return Some(start);
    }
    // "Flat 2, 14 High Road": back over the comma and the unit's number.
    let mut at = i;
    let from = i;
    while from - at < 4 && matches!(reading.before(at), b' ' | b',' | b'/') && at > 0 {
        at -= 1;
    }
    let number_end = at;
    while number_end - at < 6 && reading.before(at).is_ascii_alphanumeric() && at > 0 {
        at -= 1;
    }
    if at == number_end || !reading.part(at, number_end).bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    own(at)
}

/// Where a unit behind the street ends: `, Apt 4`, ` Suite 704`.
fn unit_behind(reading: &Reading<'_>, i: usize) -> Option<usize> {
    let (at, _, line) = reading.separator(i)?;
    let word = reading.word_at(at).filter(|_| !line)?;
    if !one_of(reading.part(word.start, word.end), UNITS) {
        return if reading.at(at) == b'#' && reading.digits(at + 1) > 0 {
            Some(at + 1 + reading.digits(at + 1))
        } else {
            None
        };
    }
    let mut at = word.end + usize::from(reading.at(word.end) == b'.');
    if reading.at(at) != b' ' {
        return None;
    }
    at += 1;
    let length = (0..6).take_while(|n| reading.at(at + n).is_ascii_alphanumeric()).count();
    (length > 0 && reading.ends(at + length)).then_some(at + length)
}

/// `Hauptstraße 5`, `Via Roma 10`, `Calle Mayor, 5`, `ul. Długa 5/7`.
fn street_first(reading: &Reading<'_>, start: usize, end: usize, least: usize) -> Option<Finding> {
    let mut at = start.checked_sub(1).filter(|i| reading.at(*i) == b' ')?;
    // "No. 5", "nº 5", "д. 5".
    if matches!(reading.before(at), b'.' | b':' | 0x80..) {
        let dot = at - usize::from(matches!(reading.before(at), b'.' | b':'));
        if let Some(word) = reading.word_before(dot).filter(|word| {
            one_of(reading.part(word.start, word.end), &["no", "nr", "n", "nº", "д", "буд", "num", "núm"])
        }) && reading.before(word.start) == b' '
        {
            at = word.start - 1;
        }
    }
    if reading.before(at) == b',' {
        at -= 1;
    }
    if reading.before(at) == b'.' {
        at -= 1;
    }
    let last = reading.word_before(at)?;
    if last.start < least || last.end != at || !last.capital || last.flags & CALENDAR != 0 {
        return None;
    }
    let name = reading.part(last.start, last.end);
    let folded = name.to_lowercase();
    let suffix = SUFFIXES.iter().position(|suffix| folded.ends_with(suffix) && folded.len() > suffix.len() + 2);
    // Back over the words before, to a type of street or to the start of the name.
    let mut begin = last.start;
    let mut prefix = None;
    let mut word = last;
    let mut capitals = usize::from(last.capital);
    for _ in 0..5 {
        let text = reading.part(word.start, word.end);
        if word.start != last.start && one_of(text, PREFIXES) {
            prefix = Some(word);
            begin = word.start;
            break;
        }
        let back = word.start.checked_sub(1).filter(|i| reading.at(*i) == b' ');
        let back = back.map(|i| i - usize::from(reading.before(i) == b'.'));
        let Some(before) = back.and_then(|i| reading.word_before(i)).filter(|before| before.start >= least) else {
            break;
        };
        let small = one_of(reading.part(before.start, before.end), SMALL);
        if !(before.capital || small || one_of(reading.part(before.start, before.end), PREFIXES)) {
            break;
        }
        capitals += usize::from(before.capital);
        word = before;
    }
    let stop = unit_behind(reading, end).unwrap_or(end);
    if prefix.is_some() && capitals > 0 {
        return finding(reading, begin, stop, Worth::Strong, true);
    }
    let strong = suffix.is_some_and(|n| n < SUFFIXES.len() - WEAK_SUFFIXES);
    if suffix.is_some() && last.capital {
        // "Lange Straße 5", "Am Markt 3" have their name before them.
        if last.flags & STREET != 0 && folded.len() < 8 && word.start < last.start && word.capital {
            begin = word.start;
        }
        let worth = if strong { Worth::Strong } else { Worth::Weak };
        let ordinary = last.flags & (WORD | TECH) != 0;
        return if ordinary && !strong { None } else { finding(reading, begin, stop, worth, strong) };
    }
    // "Lange Straße 5", "Unter den Linden 5".
    if last.flags & STREET != 0 && last.capital && word.start < last.start && word.capital && folded.len() > 3 {
        return finding(reading, word.start, stop, Worth::Weak, false);
    }
    None
}

/// `PO Box 123, Springfield`; `Unit 1234 Box 5678, DPO AE 09000`.
fn post_box(reading: &Reading<'_>, start: usize, end: usize, least: usize) -> Option<Finding> {
    let word = reading.word_before(start.checked_sub(1)?)?;
    let text = reading.part(word.start, word.end);
    if text.eq_ignore_ascii_case("postfach") || text.eq_ignore_ascii_case("postbus") {
        return finding(reading, word.start, end, Worth::Strong, false);
    }
    if text.eq_ignore_ascii_case("box") {
        let head = ["PO ", "P.O. ", "P. O. ", "Po ", "P.O ", "Post Office "]
            .iter()
            .find(|head| reading.part(word.start.saturating_sub(head.len()), word.start) == **head);
        let begin = word.start - head?.len();
        return (begin >= least).then(|| finding(reading, begin, end, Worth::Strong, true)).flatten();
    }
    let military = matches!(text, "Unit" | "PSC")
        && (reading.part(end, end + 5) == " Box " || reading.part(end, end + 6) == ", Box ");
    if military && word.start >= least {
        let at = end + reading.part(end, end + 6).find("Box ")? + 4;
        return finding(reading, word.start, at + reading.digits(at), Worth::Weak, false);
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::testing::{found, one};

    #[test]
    fn addresses() {
        for address in [
            "12 Oak Street, Apt 4, Springfield, IL 62704",
            "Flat 2, 14 High Road, London N1 9GU",
            "Hauptstraße 5, 10115 Berlin",
            "12 rue de la Paix, 75002 Paris",
            "7, boulevard Margot Diaz, 12719 Valette-sur-Mer",
            "Calle Mayor 5, 28013 Madrid",
            "Calle Mayor, 5, 28013 Madrid",
            "Via Roma 10, 00184 Roma",
            "ul. Długa 5/7, 00-238 Warszawa",
            "Kerkstraat 12, 1017 GA Amsterdam",
            "PO Box 123, Springfield, IL 62704",
            "9117 Howard Course, South Kaitlynland, ND 39033",
            "15371 Victoria Light Suite 928, Garciafort, MD 99518",
            "Flat 95, Valerie Corner, New Jayne, SL3A 6DP",
            "Sara-Schmidt-Ring 1/9, 13479 Oschatz",
            "Storgatan 12, 114 55 Stockholm",
            "10 Downing Street, London SW1A 2AA",
            "221b Baker Street, London",
            "Rua Augusta 274, 1100-053 Lisboa",
        ] {
            assert_eq!(one(&format!("she lives at {address}. Then"), "ADDRESS"), address);
            assert_eq!(one(&format!("{{\"x\":\"{address}\"}}"), "ADDRESS"), address);
        }
        assert_eq!(one("5 Elm Road\nExeter\nEX1 1AA\n", "ADDRESS"), "5 Elm Road\nExeter\nEX1 1AA");
        assert_eq!(one("Lange Straße 5, 10115 Berlin", "ADDRESS"), "Lange Straße 5, 10115 Berlin");
        assert_eq!(one("ship it to 14 Elm Road by Friday", "ADDRESS"), "14 Elm Road");
    }

    #[test]
    fn no_addresses() {
        for text in [
            "12 street lights were out",
            "Rule 5, 1000 lines",
            "Building 7 of the campus",
            "version 12 Release Candidate",
            "Monitoring 5, 12345 Events",
            "Spring 5, Hibernate 6",
            "took 12 Disk Drive errors",
            "Section 3 Road map",
            "at 10 Way too many",
            "2024 Annual Report",
        ] {
            assert!(found(text, "ADDRESS").is_empty(), "{text}: {:?}", found(text, "ADDRESS"));
        }
    }
}
