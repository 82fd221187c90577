//! Numbers that states give to people, and dates of birth.
//!
//! Invariant: the published rules of each number hold (areas that are never given, prefixes, check digits); what chance
//! meets too often needs a cue.

use crate::kind::Kind;
use crate::literals::Cue;
use crate::numbers::{Group, begins, digits, ends, shaped};
use crate::scan::Scan;
use crate::text::{ALNUM, ALPHA, BLANK, UPPER, WORD, is};
use crate::{dates, value};

/// A social security number: three, two and four digits.
pub(crate) fn ssn(scan: &mut Scan<'_>, groups: &[Group], joint_before: u8) -> Option<usize> {
    let first = groups.first()?;
    let count = if shaped(groups, &[3, 2, 4], b"- ") {
        3
    } else if first.len() == 9 {
        1
    } else {
        return None;
    };
    let text = &scan.text;
    if !begins(text, groups, joint_before) || !ends(text, groups, count) {
        return None;
    }
    if (count == 1 || first.joint == b' ')
        && scan.cue_before(Cue::Ssn, first.start, 32).is_none()
        && scan.cue_before(Cue::Itin, first.start, 32).is_none()
    {
        return None;
    }
    let mut buffer = [0; 24];
    let number = digits(text, groups, count, &mut buffer);
    let part = |from: usize, to: usize| {
        let digits = number.get(from..to).unwrap_or_default();
        digits.iter().fold(0_u32, |value, digit| value * 10 + u32::from(*digit))
    };
    let (area, group, serial) = (part(0, 3), part(3, 5), part(5, 9));
    let advertised = matches!((area, group, serial), (78, 5, 1120) | (219, 9, 9999));
    // Taxpayer numbers (ITIN) share the form; their area begins with a nine.
    let taxpayer = area >= 900 && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99);
    let taxpayer = taxpayer && scan.cue_before(Cue::Itin, first.start, 32).is_some();
    if area == 0 || area == 666 || (area >= 900 && !taxpayer) || group == 0 || serial == 0 || advertised {
        return None;
    }
    let end = groups.get(count - 1)?.end;
    scan.emit(Kind::UsSsn, first.start, end, 0.9, true, "social security number");
    Some(count)
}

/// An NHS number: ten digits, the last one a check digit modulo 11.
pub(crate) fn nhs(scan: &mut Scan<'_>, groups: &[Group], joint_before: u8) -> Option<usize> {
    let first = groups.first()?;
    let count = if shaped(groups, &[3, 3, 4], b" -") {
        3
    } else if first.len() == 10 {
        1
    } else {
        return None;
    };
    let text = &scan.text;
    if !begins(text, groups, joint_before) || !ends(text, groups, count) || text.before(first.start) == b'+' {
        return None;
    }
    let mut buffer = [0; 24];
    let number = digits(text, groups, count, &mut buffer);
    let (check, body) = number.split_last()?;
    let sum: u32 = body.iter().zip((2..=10).rev()).map(|(digit, weight)| u32::from(*digit) * weight).sum();
    let same = body.iter().all(|digit| Some(digit) == body.first());
    if (11 - sum % 11) % 11 != u32::from(*check) || same {
        return None;
    }
    // HL7 says whose number it is behind it.
    let end = groups.get(count - 1)?.end;
    let cue = scan.cue_before(Cue::Nhs, first.start, 256).is_some() || text.has(end, "^^^nhs");
    let phone =
        scan.cue_before(Cue::Phone, first.start, 24).is_some() || scan.cue_before(Cue::Call, first.start, 32).is_some();
    if !cue && (count == 1 || first.joint != b' ' || phone) {
        return None;
    }
    scan.emit(Kind::UkNhs, first.start, end, if cue { 0.97 } else { 0.6 }, true, "nhs number mod 11");
    Some(count)
}

/// Two letters that begin no insurance number.
fn nino_prefix(a: u8, b: u8) -> bool {
    a.is_ascii_uppercase()
        && b.is_ascii_uppercase()
        && !b"DFIQUV".contains(&a)
        && !b"DFIOQUV".contains(&b)
        && ![b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"].contains(&&[a, b])
}

/// `AB123456C`: a digit stands at `i`, a letter before it.
pub(crate) fn nino(scan: &mut Scan<'_>, i: usize) -> Option<usize> {
    let text = &scan.text;
    let start = i.checked_sub(2)?;
    let end = text.run(i, crate::text::DIGIT);
    if !nino_prefix(text.at(start), text.at(start + 1)) || !text.starts_word(start) {
        return None;
    }
    if end - i == 6 && matches!(text.at(end), b'A'..=b'D') && !is(text.at(end + 1), WORD) {
        scan.emit(Kind::UkNino, start, end + 1, 0.9, true, "insurance number");
        return Some(end + 1);
    }
    // `AB12 34 56 C`.
    if end - i == 2 {
        return pairs(scan, start, i);
    }
    None
}

/// `AB 12 34 56 C`: groups of two begin behind a blank.
pub(crate) fn spaced_nino(scan: &mut Scan<'_>, groups: &[Group]) -> Option<usize> {
    let first = groups.first()?;
    if first.len() != 2 || !matches!(scan.text.before(first.start), b' ' | b'-') {
        return None;
    }
    let start = first.start.checked_sub(3)?;
    if !nino_prefix(scan.text.at(start), scan.text.at(start + 1)) || !scan.text.starts_word(start) {
        return None;
    }
    pairs(scan, start, first.start).map(|_| 3)
}

/// Three pairs of digits from `i`, joined by the same blank or dash, and a letter.
fn pairs(scan: &mut Scan<'_>, start: usize, i: usize) -> Option<usize> {
    let text = &scan.text;
    let joint = text.at(i + 2);
    let digit = |at: usize| text.at(at).is_ascii_digit();
    let pair = |at: usize| digit(at) && digit(at + 1);
    let joined = matches!(joint, b' ' | b'-') && text.at(i + 5) == joint;
    if !joined || !pair(i) || !pair(i + 3) || !pair(i + 6) {
        return None;
    }
    let suffix = i + 8 + usize::from(text.at(i + 8) == joint);
    if !matches!(text.at(suffix), b'A'..=b'D') || is(text.at(suffix + 1), WORD) {
        return None;
    }
    scan.emit(Kind::UkNino, start, suffix + 1, 0.95, true, "insurance number");
    Some(suffix + 1)
}

/// Words between a cue and its value.
fn skip_words(scan: &Scan<'_>, mut at: usize, words: &[&str]) -> usize {
    let text = &scan.text;
    for _ in 0..9 {
        at = text.run(at, BLANK);
        if matches!(
            text.at(at),
            b':' | b'=' | b'"' | b'\'' | b'#' | b'.' | b'\\' | b'_' | b'-' | b',' | b'(' | b'{' | b'}'
        ) {
            at += 1;
        } else if let Some(word) = words.iter().find(|word| text.has(at, word)) {
            at += word.len();
        } else {
            break;
        }
    }
    at
}

/// "passport" stands at `start..end`.
pub(crate) fn passport(scan: &mut Scan<'_>, start: usize, end: usize) {
    if is(scan.text.before(start), ALPHA) {
        return;
    }
    let words = [
        "numbers", "number", "num", "no", "nr", "id", "is", "holder", "was", "with", "em ", "nummer", "numero",
        "número", "numéro", "n°", "nº", "value", "lautet",
    ];
    let at = skip_words(scan, end, &words);
    let text = &scan.text;
    let stop = text.run(at, ALNUM);
    let number = text.slice(at, stop);
    if at == end || !(6..=9).contains(&number.len()) || is(text.at(stop), WORD) {
        return;
    }
    let digits = number.iter().filter(|b| b.is_ascii_digit()).count();
    let upper = number.iter().filter(|b| is(**b, UPPER)).count();
    if digits + upper == number.len() && digits >= 2 {
        scan.emit(Kind::Passport, at, stop, 0.85, false, "passport cue");
    }
}

/// "born", "date of birth" and their like stand at `start..end`.
pub(crate) fn birth(scan: &mut Scan<'_>, start: usize, end: usize) {
    if is(scan.text.before(start), WORD) {
        return;
    }
    let at = skip_words(
        scan,
        end,
        &["is ", "was ", "a ", "em ", "el ", "dne ", "den ", "on ", "in ", "am ", "the ", "dob", "of birth", "le "],
    );
    if let Some(stop) = dates::date(&scan.text, at) {
        scan.emit(Kind::Dob, at, stop, 0.95, true, "birth date cue");
    }
}

/// Whether the value of a column for numbers of passports is one.
pub(crate) fn is_passport(number: &[u8]) -> bool {
    (6..=9).contains(&number.len())
        && number.iter().all(|b| b.is_ascii_digit() || is(*b, UPPER))
        && number.iter().filter(|b| b.is_ascii_digit()).count() >= 2
        && !value::is_placeholder(number)
}

#[cfg(test)]
mod tests {
    use crate::testing::{nothing, one};

    #[test]
    fn social_security() {
        assert_eq!(one("ssn 219-09-9998.", "US_SSN"), "219-09-9998");
        assert_eq!(one("\"ssn\":\"219099998\"", "US_SSN"), "219099998");
        assert_eq!(one("ITIN 912-70-1234", "US_SSN"), "912-70-1234");
        for text in [
            "000-12-3456",
            "666-12-3456",
            "912-70-1234",
            "123-00-4567",
            "123-45-0000",
            "219099998",
            "x-123-45-6789",
            "123-45-6789-0",
            "123-45-6789x",
            "078-05-1120",
            "1.123-45-6789",
        ] {
            nothing(text);
        }
    }

    #[test]
    fn nhs_numbers() {
        assert_eq!(one("NHS number 943 476 5919,", "UK_NHS"), "943 476 5919");
        assert_eq!(one("nhs=9434765919", "UK_NHS"), "9434765919");
        assert_eq!(one("PID|||9434765919^^^NHS^NH||PATEL", "UK_NHS"), "9434765919");
        nothing("NHS number 943 476 5918,");
        nothing("id 9434765919");
    }

    #[test]
    fn insurance_numbers() {
        for number in ["AB123456C", "AB 12 34 56 C", "AB-12-34-56-C"] {
            assert_eq!(one(&format!("NI {number}."), "UK_NINO"), number);
        }
        for text in ["GB123456C", "AB123456E", "AB1234567C", "DA123456A", "ab123456c", "XAB123456C"] {
            nothing(text);
        }
    }

    #[test]
    fn births_and_passports() {
        assert_eq!(one("was born on 12 March 1980 in", "DOB"), "12 March 1980");
        assert_eq!(one("\"dob\":\"1980-03-12\"", "DOB"), "1980-03-12");
        assert_eq!(one("(DOB 03/12/1980)", "DOB"), "03/12/1980");
        assert_eq!(one("Date of birth: March 12, 1980", "DOB"), "March 12, 1980");
        assert_eq!(one("passport no. C01X00T47,", "PASSPORT"), "C01X00T47");
        nothing("passport control");
        nothing("born in Paris");
    }
}
