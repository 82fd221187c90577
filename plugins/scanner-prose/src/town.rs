//! What follows the street in an address: unit, district, town, state, postcode, country, on one line or several.
//!
//! Invariant: at most five parts of at most five words are read.

use crate::lexicon::*;
use crate::reading::{Reading, Word};
use crate::streets::{SMALL, one_of};

/// Where the run of capital and small words ends that begins at `i`, and its words.
pub(crate) fn words(reading: &Reading<'_>, i: usize, most: usize) -> ([Option<Word>; 6], usize) {
    let mut out = [None; 6];
    let mut count = 0;
    let mut at = i;
    while count < most.min(out.len()) {
        let Some(word) = reading.word_at(at) else { break };
        if !word.capital && !one_of(reading.part(word.start, word.end), SMALL) {
            break;
        }
        if let Some(slot) = out.get_mut(count) {
            *slot = Some(word);
        }
        count += 1;
        // "St. Louis": the dot of an abbreviation.
        let dot = word.end - word.start <= 3 && reading.at(word.end) == b'.' && reading.at(word.end + 1) == b' ';
        at = word.end + usize::from(dot);
        if reading.at(at) != b' ' {
            break;
        }
        at += 1;
    }
    (out, count)
}

/// The end of the last capital word.
pub(crate) fn trimmed(list: &[Option<Word>]) -> Option<usize> {
    list.iter().flatten().rfind(|word| word.capital).map(|word| word.end)
}

/// Where the town, the state, the postcode and the country behind a street end, and whether there is a town and a
/// postcode.
pub(crate) fn town(reading: &Reading<'_>, street_end: usize) -> (usize, bool, bool) {
    let (mut end, mut town, mut code) = (street_end, false, false);
    let mut at = street_end;
    for _ in 0..5 {
        let Some((next, comma, line)) = reading.separator(at) else { break };
        // A postcode, before the town or behind it.
        if !code && let Some(stop) = reading.postcode(next, true) {
            let digits = reading.at(next).is_ascii_digit();
            // Digits alone stand beside a town.
            let beside = town
                || !digits
                || reading.word_at(stop + 1).is_some_and(|word| word.capital && reading.at(stop) == b' ')
                || reading.separator(stop).is_some_and(|(i, ..)| reading.word_at(i).is_some_and(|word| word.capital));
            if !beside {
                break;
            }
            code = true;
            (end, at) = (stop, stop);
            continue;
        }
        // A state before a postcode: "IL 62704", "NSW, 2000".
        let upper = (0..4).take_while(|n| reading.at(next + n).is_ascii_uppercase()).count();
        if !code && town && (2..=3).contains(&upper) && reading.ends(next + upper) {
            let after = reading.separator(next + upper).and_then(|(i, ..)| reading.postcode(i, true));
            if let Some(stop) = after {
                code = true;
                (end, at) = (stop, stop);
                continue;
            }
            if comma {
                (end, at) = (next + upper, next + upper);
                continue;
            }
            break;
        }
        // The Italian province: "(RM)", "(Roma)".
        if reading.at(next) == b'(' && code && upper_in_brackets(reading, next) {
            end = next + 4;
            break;
        }
        let (list, _) = words(reading, next, 5);
        let Some(stop) = trimmed(&list) else { break };
        let Some(first) = list.first().copied().flatten().filter(|word| word.capital) else { break };
        if first.flags & (GREETING | CALENDAR | PRONOUN | DETERMINER | FUNCTION) != 0 && first.flags & PLACE == 0 {
            break;
        }
        let after = reading.at(stop);
        let joined = after == b'-' && (5..=6).contains(&reading.digits(stop + 1));
        let mut follows = reading.separator(stop).is_some_and(|(i, ..)| reading.postcode(i, true).is_some());
        // "Springfield, IL 62704"
        follows |= reading.separator(stop).is_some_and(|(i, ..)| {
            let upper = (0..4).take_while(|n| reading.at(i + n).is_ascii_uppercase()).count();
            (2..=3).contains(&upper)
                && reading.separator(i + upper).is_some_and(|(i, ..)| reading.postcode(i, true).is_some())
        });
        let one_more = reading.separator(stop).and_then(|(i, comma, line)| {
            let (list, _) = words(reading, i, 4);
            trimmed(&list)
                .filter(|_| comma || line)
                .and_then(|stop| reading.separator(stop))
                .map(|(i, ..)| reading.postcode(i, true).is_some())
        });
        let bounded =
            matches!(after, b',' | b'.' | b';' | b'"' | b'\'' | b')' | b'<' | b'\n' | b'\r' | b'|' | b'!' | b'?' | 0)
                || after == b'\\' && reading.at(stop + 1) != b'u';
        follows |= joined;
        let place = list.iter().flatten().any(|word| word.flags & PLACE != 0);
        let glued = code && !town && !comma && !line;
        let fits = if line {
            follows || one_more == Some(true) || code && !town
        } else if comma {
            follows || bounded || place || one_more == Some(true)
        } else {
            glued || (follows && !town)
        };
        // A person's name behind the address is none of its parts.
        let person =
            comma && !follows && first.flags & FIRST != 0 && first.flags & PLACE == 0 && one_more != Some(true) && town;
        if !fits || person {
            break;
        }
        if town && code && !place {
            break;
        }
        // "75002 Paris, Hauptstadt": a town once, a district before it, a country behind it.
        town = true;
        (end, at) = (stop, stop);
        // "Delhi-110001"
        if !code
            && reading.at(stop) == b'-'
            && (5..=6).contains(&reading.digits(stop + 1))
            && reading.ends(stop + 1 + reading.digits(stop + 1))
        {
            code = true;
            end = stop + 1 + reading.digits(stop + 1);
            at = end;
        }
        if code && !comma && !line && reading.at(stop) != b',' {
            // "10115 Berlin" closes the address, but for a country.
            continue;
        }
    }
    // Commas before a town that did not come are none of it.
    (end, town, code)
}

fn upper_in_brackets(reading: &Reading<'_>, i: usize) -> bool {
    reading.at(i + 1).is_ascii_uppercase() && reading.at(i + 2).is_ascii_uppercase() && reading.at(i + 3) == b')'
}
