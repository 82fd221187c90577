//! Dates of birth: a date in any notation, behind words that say so in the same clause.
//!
//! Invariant: begins at a number, reads at most one date on and [`BACK`] bytes back.

use crate::lexicon::{BIRTH, CALENDAR, Lexicon};
use crate::reading::Reading;
use crate::steps::tick;
use crate::{Finding, Kind};

/// How far before a date its cue may stand, in bytes.
const BACK: usize = 70;

/// What stands between a cue and a date that is another's.
const OTHERS: &[&str] = &[
    "died",
    "expires",
    "expiry",
    "expired",
    "issued",
    "joined",
    "since",
    "until",
    "deployed",
    "updated",
    "created",
    "gestorben",
    "mort",
    "murió",
    "morto",
    "death",
    "appointment",
    "visit",
    "admitted",
    "discharged",
    "married",
    "hired",
];

/// Where a date begins and ends, of which the number at `start..end` is the first of day, month or year.
fn date(reading: &Reading<'_>, start: usize, end: usize) -> Option<(usize, usize)> {
    let value = |from: usize, to: usize| reading.part(from, to).parse::<u32>().ok();
    let first = value(start, end)?;
    let year = |from: usize| {
        let n = reading.digits(from);
        let year = value(from, from + n)?;
        ((n == 4 && (1890..=2035).contains(&year)) || n == 2).then_some(from + n).filter(|end| reading.ends(*end))
    };
    let joint = reading.at(end);
    if matches!(joint, b'.' | b'/' | b'-') {
        let n = reading.digits(end + 1);
        let next = end + 1 + n;
        if let Some(second) = value(end + 1, next)
            && (1..=2).contains(&n)
            && reading.at(next) == joint
        {
            let stop = if end - start == 4 && (1890..=2035).contains(&first) {
                let m = reading.digits(next + 1);
                let day = value(next + 1, next + 1 + m)?;
                (m <= 2 && (1..=31).contains(&day) && (1..=12).contains(&second)).then_some(next + 1 + m)
            } else {
                let fits = first <= 31 && second <= 31 && first.min(second) <= 12 && first > 0 && second > 0;
                fits.then(|| year(next + 1)).flatten()
            };
            let stop = stop?;
            // A time may follow, a longer number may not.
            let goes_on = reading.at(stop) == b'.' && reading.at(stop + 1).is_ascii_digit();
            return (!goes_on && !reading.at(stop).is_ascii_digit()).then_some((start, stop));
        }
    }
    if end - start > 2 || !(1..=31).contains(&first) {
        return None;
    }
    // "3rd of May 1980", "3. Mai 1980", "3 de mayo de 1980".
    let mut at = end;
    for ordinal in ["st", "nd", "rd", "th", ".", "er", "º", "°"] {
        if reading.part(at, at + ordinal.len()) == ordinal {
            at += ordinal.len();
            break;
        }
    }
    let small = |at: usize| {
        ["of ", "de ", "del "]
            .iter()
            .find(|small| reading.part(at, at + small.len()) == **small)
            .map_or(at, |small| at + small.len())
    };
    if matches!(reading.at(at), b' ' | b'-' | b'/') {
        let month = reading.word_at(small(at + 1)).or_else(|| reading.word_at(at + 1));
        if let Some(month) = month.map(|month| (month.end, month.flags)) {
            let mut stop = month.0;
            // "14-May-1980": the hyphens are the date's.
            if month.1 & CALENDAR == 0 {
                let word = reading.part(at + 1, stop);
                stop = at + 1 + word.find('-').unwrap_or(word.len());
            }
            let known = month.1 & CALENDAR != 0 || reading.lexicon.word(reading.part(at + 1, stop)) & CALENDAR != 0;
            if known {
                let mut next = stop;
                while next - stop < 2 && matches!(reading.at(next), b' ' | b',' | b'.' | b'-' | b'/') {
                    next += 1;
                }
                return year(small(next)).map(|stop| (start, stop));
            }
        }
    }
    // "May 3, 1980": the month stands before the number.
    let before = start.checked_sub(1).filter(|i| reading.at(*i) == b' ')?;
    let month = reading.word_before(before - usize::from(reading.before(before) == b'.'))?;
    let mut next = at;
    while next - at < 2 && matches!(reading.at(next), b' ' | b',') {
        next += 1;
    }
    let stop = year(next)?;
    (month.flags & CALENDAR != 0 && next > at).then_some((month.start, stop))
}

/// Whether a cue stands before `at` in the same clause.
fn cued(reading: &Reading<'_>, at: usize) -> bool {
    let mut from = at.saturating_sub(BACK);
    while !reading.text.is_char_boundary(from) {
        from += 1;
    }
    let before = reading.part(from, at);
    tick(before.len());
    let mut begin = before.rfind(['\n', ';', '!', '?', '{', '}']).map_or(0, |i| i + 1);
    // The answer to a question on the line before: "Date of birth?\nVisitor: 5 July 1983".
    let question = before.get(..begin).unwrap_or_default();
    if question.ends_with("?\n") {
        begin = question.get(..begin - 2).and_then(|q| q.rfind(['\n', '!', '?', ';'])).map_or(0, |i| i + 1);
    }
    let mut clause = before.get(begin..).unwrap_or_default();
    // The end of a sentence, but no abbreviation's: "geb. 3.5.1980".
    if let Some(stop) = clause.rfind(". ") {
        let word = clause.get(..stop).unwrap_or_default().rsplit([' ', '(', ',']).next().unwrap_or_default();
        if word.len() > 3 && !word.contains('.') {
            clause = clause.get(stop + 2..).unwrap_or_default();
        }
    }
    // "(b. 3 May 1980)"
    let short = ["(b. ", " b. ", "(f. ", ", f. ", "*"];
    if short.iter().any(|cue| clause.ends_with(cue)) && !clause.trim_matches(['*', ' ']).is_empty() {
        return true;
    }
    let mut words = 0;
    for part in clause.rsplit(|c: char| !(c.is_alphabetic() || c == '-' || c == '.')) {
        let rest = part.as_ptr() as usize - clause.as_ptr() as usize;
        let word = part.trim_matches(['.', '-']);
        if word.is_empty() {
            continue;
        }
        tick(word.len());
        let cue = reading.lexicon.word(word) & BIRTH != 0;
        // "ur" alone only right before the date; "ne" is a word of its own.
        let short = word.len() <= 2 && (words > 0 || !word.eq_ignore_ascii_case("ur"));
        if cue && !short {
            let between = clause.get(rest..).unwrap_or_default().to_lowercase();
            return !between.split(|c: char| !c.is_alphabetic()).any(|word| OTHERS.contains(&word));
        }
        words += 1;
        if words > 8 {
            break;
        }
    }
    false
}

/// A date of birth whose first number stands at `start..end`.
pub(crate) fn at_number(text: &str, start: usize, end: usize, lexicon: &Lexicon) -> Option<Finding> {
    let reading = Reading { text, lexicon };
    // The clocks of logs stand at the start of the line; no cue is before them.
    if start == 0 || matches!(reading.before(start), b'\n' | b'[') {
        return None;
    }
    // Digits that go on before the number, and clocks, begin no date.
    if end - start > 4
        || end - start == 3
        || matches!(reading.before(start), b'.' | b'/' | b'-' | b':' | b'_')
        || reading.before(start).is_ascii_alphanumeric() && reading.at(start.wrapping_sub(2)) != b'\\'
    {
        return None;
    }
    if !matches!(reading.at(end), b'.' | b'/' | b'-' | b' ' | b',' | b's' | b'n' | b'r' | b't' | b'e' | 0xc2) {
        return None;
    }
    let (begin, stop) = date(&reading, start, end)?;
    cued(&reading, begin).then_some(Finding {
        kind: Kind::Dob,
        start: begin,
        end: stop,
        confidence: 0.9,
        validated: false,
        detector: "date behind a word for birth",
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{found, one};

    #[test]
    fn dates_of_birth() {
        for (text, date) in [
            ("She was born on October 26, 1994.", "October 26, 1994"),
            ("born in Leeds on 3rd of May 1980, she", "3rd of May 1980"),
            ("DOB 16/07/1945)", "16/07/1945"),
            ("date of birth: 1972-02-28", "1972-02-28"),
            ("Anna, geb. 3.5.1980 in Köln", "3.5.1980"),
            ("geboren am 12. März 1971", "12. März 1971"),
            ("née le 4 août 1969 à Lyon", "4 août 1969"),
            ("nacido el 3 de mayo de 1980", "3 de mayo de 1980"),
            ("nato il 12/03/1970", "12/03/1970"),
            ("urodzona 7 maja 1988 r.", "7 maja 1988"),
            ("d.o.b. 14-May-1980", "14-May-1980"),
            ("родился 5 мая 1977", "5 мая 1977"),
        ] {
            assert_eq!(one(text, "DOB"), date, "{text}");
        }
    }

    #[test]
    fn other_dates() {
        for text in [
            "aged 34 on 2024-01-01",
            "The order of 12/03/2020 was late",
            "born to run, 12 items",
            "was born. It opened on 12/03/2020",
            "born 1970, died 12/03/2020",
            "2024-01-01 12:00:00 INFO born",
        ] {
            assert!(found(text, "DOB").is_empty(), "{text}");
        }
    }
}
