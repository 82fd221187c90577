//! Payment cards (ISO/IEC 7812) and bank accounts (ISO 13616).
//!
//! Invariant: the check digits hold, and the issuer or country exists with that length.

use crate::kind::Kind;
use crate::literals::Cue;
use crate::numbers::{Group, begins, digits, ends, shaped, word_before};
use crate::scan::Scan;
use crate::text::{ALNUM, HEX, Text, WORD, is};

/// How cards are printed.
const SHAPES: &[&[usize]] = &[&[4, 4, 4, 4, 3], &[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4]];

/// Words that say that a number is some other one.
const OTHER_NUMBERS: &[&str] = &[
    "order",
    "id",
    "uuid",
    "trace",
    "span",
    "seq",
    "sequence",
    "epoch",
    "ts",
    "timestamp",
    "ref",
    "reference",
    "tracking",
    "serial",
    "imei",
    "offset",
    "txn",
    "txid",
    "transaction",
    "request",
    "req",
    "order_id",
    "trace_id",
    "span_id",
    "request_id",
    "ticket",
    "invoice",
    "heap",
    "bytes",
    "size",
    "time",
    "ns",
    "us",
    "checksum",
    "hash",
    "seed",
    "nonce",
    "build",
    "version",
    "case",
    "job",
    "sku",
    "ean",
    "gtin",
    "pid",
];

/// Whether the word before a number says that it is another one.
pub(crate) fn is_other_number(word: &[u8]) -> bool {
    OTHER_NUMBERS.iter().any(|other| word == other.as_bytes())
}

pub(crate) fn card(scan: &mut Scan<'_>, groups: &[Group], joint_before: u8) -> Option<usize> {
    let first = groups.first()?;
    let text = &scan.text;
    let count = if (12..=19).contains(&first.len()) {
        1
    } else {
        SHAPES.iter().find(|shape| shaped(groups, shape, b" -"))?.len()
    };
    // An encoded plus makes it a telephone number.
    if !begins(text, groups, joint_before) || !ends(text, groups, count) || text.has_before(first.start, "%2b") {
        return None;
    }
    if count > 1 && first.joint == b' ' && in_table(text, groups, count) {
        return None;
    }
    let mut buffer = [0; 24];
    let number = digits(text, groups, count, &mut buffer);
    let (known, maestro) = issuer(number);
    if !known || !luhn(number) || number.iter().all(|d| Some(d) == number.first()) {
        return None;
    }
    let cue = scan.cue_before(Cue::Card, first.start, 40).is_some();
    if count == 1 && !cue {
        let (word, length, _) = word_before(text, first.start);
        let word = word.get(..length).unwrap_or_default();
        // Longer numbers are mostly ids of databases, and those of thirteen digits article numbers (EAN) and moments.
        if maestro || number.len() > 16 || number.len() == 13 || is_other_number(word) {
            return None;
        }
    }
    let end = groups.get(count - 1)?.end;
    scan.emit(Kind::CreditCard, first.start, end, if cue { 0.99 } else { 0.95 }, true, "card issuer and luhn");
    Some(count)
}

/// Groups of four in a row that goes on before or behind, or that count upwards: tables of code points, dumps.
fn in_table(text: &Text<'_>, groups: &[Group], count: usize) -> bool {
    let (Some(first), Some(last)) = (groups.first(), groups.get(count - 1)) else {
        return false;
    };
    let four = |at: usize| (at..at + 4).all(|i| is(text.at(i), HEX)) && !is(text.at(at + 4), WORD);
    let before = first.start >= 5 && text.before(first.start) == b' ' && {
        let start = first.start - 5;
        four(start) && !is(text.before(start), WORD)
    };
    let behind = text.at(last.end) == b' ' && four(last.end + 1);
    let number = |group: &Group| {
        text.slice(group.start, group.end)
            .iter()
            .take(6)
            .fold(0_u32, |value, digit| value * 10 + u32::from(digit - b'0'))
    };
    let counts = groups.get(..count).unwrap_or_default().windows(2).all(|pair| match pair {
        [a, b] => number(b) == number(a) + 1,
        _ => false,
    });
    text.tick(32);
    before || behind || counts
}

/// Whether an issuer has numbers that begin so and are as long, and whether it is one whose ranges are so wide that
/// chance meets them.
fn issuer(number: &[u8]) -> (bool, bool) {
    let head = |n: usize| number.iter().take(n).fold(0_u32, |value, digit| value * 10 + u32::from(*digit));
    let (two, three, four) = (head(2), head(3), head(4));
    let length = number.len();
    let known = match (two, three, four) {
        (34 | 37, _, _) => length == 15,
        (40..=49, _, _) => matches!(length, 13 | 16 | 19),
        (51..=55, _, _) => length == 16,
        (_, _, 2221..=2720) => length == 16,
        (_, _, 6011) | (_, 644..=649, _) | (65, _, _) => (16..=19).contains(&length),
        (62 | 81, _, _) => (16..=19).contains(&length),
        (_, 300..=305, _) | (36 | 38 | 39, _, _) => matches!(length, 14 | 16),
        (_, _, 3528..=3589) => (16..=19).contains(&length),
        (_, _, 2200..=2204) => (16..=19).contains(&length),
        _ => false,
    };
    let maestro = matches!(two, 50 | 56..=58 | 67 | 63) && (12..=19).contains(&length);
    (known || maestro, !known && maestro)
}

/// The check digit of ISO/IEC 7812-1.
fn luhn(number: &[u8]) -> bool {
    let sum: u32 = number
        .iter()
        .rev()
        .enumerate()
        .map(|(i, digit)| match (i % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Length by country, from the registry of ISO 13616.
const COUNTRIES: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HN", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];

/// A digit stands at `i`, a letter before it. Gives where the account number ends.
pub(crate) fn iban(scan: &mut Scan<'_>, i: usize) -> Option<usize> {
    let text = &scan.text;
    let start = i.checked_sub(2)?;
    if !is(text.at(i + 1), crate::text::DIGIT) || !is(text.at(start), crate::text::ALPHA) {
        return None;
    }
    let country = [text.at(start).to_ascii_uppercase(), text.at(start + 1).to_ascii_uppercase()];
    let length = COUNTRIES.iter().find(|(code, _)| **code == country)?.1;
    let lower = text.at(start).is_ascii_lowercase();
    // Characters with single blanks or dashes between groups.
    let mut at = start;
    let mut taken = 0;
    let mut remainder = 0_u32;
    let mut head = [0_u8; 4];
    let joint = text.at(start + 4);
    while taken < length {
        let byte = text.at(at);
        if is(byte, ALNUM) {
            if byte.is_ascii_alphabetic() && byte.is_ascii_lowercase() != lower {
                return None;
            }
            match head.get_mut(taken) {
                Some(place) => *place = byte,
                None => remainder = fold(remainder, byte),
            }
            taken += 1;
            at += 1;
        } else if taken >= 4 && matches!(byte, b' ' | b'-') && byte == joint && is(text.at(at + 1), ALNUM) && !lower {
            at += 1;
        } else {
            return None;
        }
    }
    text.tick(at - start);
    for byte in head {
        remainder = fold(remainder, byte);
    }
    if remainder != 1 || is(text.at(at), WORD) {
        return None;
    }
    scan.emit(Kind::Iban, start, at, 0.99, true, "iban mod 97");
    Some(at)
}

/// One more character of the number modulo 97; letters count from ten.
fn fold(remainder: u32, byte: u8) -> u32 {
    match byte {
        b'0'..=b'9' => (remainder * 10 + u32::from(byte - b'0')) % 97,
        _ => (remainder * 100 + u32::from(byte.to_ascii_uppercase().saturating_sub(b'A')) + 10) % 97,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{nothing, one};

    #[test]
    fn cards() {
        for card in [
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "4111111111111111",
            "5555555555554444",
            "378282246310005",
            "3782 822463 10005",
            "6011111111111117",
            "30569309025904",
            "3530111333300000",
            "2223003122003222",
        ] {
            assert_eq!(one(&format!("card {card}."), "CREDIT_CARD"), card);
            assert_eq!(one(&format!("{{\"n\":\"{card}\"}}"), "CREDIT_CARD"), card);
        }
    }

    #[test]
    fn no_cards() {
        for text in [
            "4111111111111112",
            "1111 1111 1111 1111",
            "order=4111111111111111",
            "0.4111111111111111",
            "x4111111111111111",
            "4111111111111111a",
            "0000000000000000",
            "1699999999999",
            "sku,4017958880205,x",
            "677B 677C 6784 6785 6786 6787\n",
            "x 5661 5662 5663 5664\n",
            "4111 1111 1111 1111 2222",
            "ISBN, INV35SSNAWN 502595856",
        ] {
            nothing(text);
        }
    }

    #[test]
    fn accounts() {
        for account in [
            "GB82 WEST 1234 5698 7654 32",
            "GB82WEST12345698765432",
            "DE89370400440532013000",
            "NO9386011117947",
            "FR14 2004 1010 0505 0001 3M02 606",
            "de89370400440532013000",
        ] {
            assert_eq!(one(&format!("to {account}, x"), "IBAN"), account);
        }
        nothing("GB82WEST12345698765433");
        nothing("XX82WEST12345698765432");
        nothing("aGB82WEST12345698765432");
    }
}
