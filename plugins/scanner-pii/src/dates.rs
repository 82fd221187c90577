//! Dates as people write them.
//!
//! Invariant: day, month and year are in range, the year one in which somebody alive may have been born.

use crate::text::{ALNUM, ALPHA, DIGIT, Text, is};

/// Names of months in English, German, French, Spanish and Italian. Their first three letters stand for them as well.
const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "sept",
    "januar",
    "februar",
    "märz",
    "mai",
    "juni",
    "juli",
    "oktober",
    "dezember",
    "janvier",
    "février",
    "mars",
    "avril",
    "juin",
    "juillet",
    "juil",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
    "gennaio",
    "febbraio",
    "aprile",
    "maggio",
    "giugno",
    "luglio",
    "settembre",
    "ottobre",
    "dicembre",
    "maart",
    "mei",
    "augustus",
    "janeiro",
    "fevereiro",
    "março",
    "maio",
    "junho",
    "julho",
    "setembro",
    "outubro",
    "dezembro",
    "stycznia",
    "lutego",
    "marca",
    "kwietnia",
    "maja",
    "czerwca",
    "lipca",
    "sierpnia",
    "września",
    "października",
    "listopada",
    "grudnia",
];

fn number(text: &Text<'_>, at: usize) -> Option<(u32, usize)> {
    let end = text.run(at, DIGIT);
    if end == at || end - at > 8 {
        return None;
    }
    let value = text.slice(at, end).iter().fold(0_u32, |value, b| value * 10 + u32::from(b - b'0'));
    Some((value, end))
}

fn year(value: u32, digits: usize) -> bool {
    match digits {
        4 => (1900..=2035).contains(&value),
        2 => true,
        _ => false,
    }
}

/// Where a month's name that begins at `at` ends.
fn month(text: &Text<'_>, at: usize) -> Option<usize> {
    let mut end = at;
    while end < at + 12 && (is(text.at(end), ALPHA) || text.at(end) >= 0x80) {
        end += 1;
    }
    let name = text.slice(at, end);
    let found = MONTHS.iter().any(|month| {
        let short = month.as_bytes().get(..3).unwrap_or_default();
        name.eq_ignore_ascii_case(month.as_bytes()) || name.eq_ignore_ascii_case(short)
    });
    found.then_some(end + usize::from(text.at(end) == b'.'))
}

/// Blanks, commas, dashes and the endings of ordinal numbers.
fn skip(text: &Text<'_>, mut at: usize) -> usize {
    for ending in ["st", "nd", "rd", "th", "er", "."] {
        if text.has(at, ending) {
            at += ending.len();
            break;
        }
    }
    while matches!(text.at(at), b' ' | b',' | b'-' | b'/') {
        at += 1;
        text.tick(1);
    }
    let joined = text.has(at, "of ") || text.has(at, "de ");
    if joined { at + 3 } else { at }
}

/// Where the date of birth ends that a column has at `start..end`: also one with a time behind it, and one of six digits,
/// the year first.
pub(crate) fn lenient(text: &Text<'_>, start: usize, end: usize) -> Option<usize> {
    let stop = any(text, start).filter(|stop| *stop <= end);
    if let Some(stop) = stop
        && (stop == end || matches!(text.at(stop), b'T' | b' ' | b'+' | b'Z' | b'-'))
    {
        return Some(stop);
    }
    let digits = text.slice(start, end);
    let pair = |at: usize| {
        digits.get(at..at + 2).map(|two| two.iter().fold(0, |sum, b| sum * 10 + u32::from(b.wrapping_sub(b'0'))))
    };
    let fits = digits.len() == 6
        && digits.iter().all(u8::is_ascii_digit)
        && pair(2).is_some_and(|month| (1..=12).contains(&month))
        && pair(4).is_some_and(|day| (1..=31).contains(&day));
    fits.then_some(end)
}

/// Where the date that begins at `at` ends.
pub(crate) fn date(text: &Text<'_>, at: usize) -> Option<usize> {
    let end = any(text, at)?;
    (!is(text.at(end), ALNUM)).then_some(end)
}

fn any(text: &Text<'_>, at: usize) -> Option<usize> {
    if let Some(after) = month(text, at) {
        // March 12th, 1980
        let (day, end) = number(text, skip(text, after))?;
        let (value, stop) = number(text, skip(text, end))?;
        let digits = stop - skip(text, end);
        return ((1..=31).contains(&day) && digits == 4 && year(value, digits)).then_some(stop);
    }
    let (first, end) = number(text, at)?;
    let length = end - at;
    if length == 8 {
        let (y, m, d) = (first / 10_000, first / 100 % 100, first % 100);
        return (year(y, 4) && (1..=12).contains(&m) && (1..=31).contains(&d)).then_some(end);
    }
    let joint = text.at(end);
    if matches!(joint, b'-' | b'/' | b'.') && text.at(end + 1).is_ascii_digit() {
        let (second, next) = number(text, end + 1)?;
        if text.at(next) != joint {
            return None;
        }
        let (third, stop) = number(text, next + 1)?;
        let day_month = |a: u32, b: u32| {
            (1..=31).contains(&a) && (1..=12).contains(&b) || (1..=12).contains(&a) && (1..=31).contains(&b)
        };
        let fits = if length == 4 {
            year(first, 4) && (1..=12).contains(&second) && (1..=31).contains(&third)
        } else {
            length <= 2 && day_month(first, second) && year(third, stop - next - 1)
        };
        return fits.then_some(stop);
    }
    // 12th of March 1980, 12-Mar-1980
    if length <= 2 && (1..=31).contains(&first) {
        let after = month(text, skip(text, end))?;
        let from = skip(text, after);
        let (value, stop) = number(text, from)?;
        return year(value, stop - from).then_some(stop);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for date_text in [
            "1980-03-12",
            "12/03/1980",
            "3/12/80",
            "12.03.1980",
            "19800312",
            "12 March 1980",
            "12th of March, 1980",
            "March 12, 1980",
            "Mar 12th 1980",
            "12-Mar-1980",
        ] {
            let line = format!("{date_text}, x");
            assert_eq!(date(&Text::new(&line, false), 0), Some(date_text.len()), "{date_text}");
        }
        for text in
            ["1980-13-12", "32/03/1980", "12/03/1780", "March", "12 Marble 1980", "1980", "1.2.3", "12-03-19801"]
        {
            assert_eq!(date(&Text::new(text, false), 0), None, "{text}");
        }
    }
}
