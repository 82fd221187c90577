//! Check digits with a published definition.
//!
//! A validator looks at the letters and digits of a value; blanks, hyphens, dots and slashes between them are skipped.
//!
//! | name       | what it checks                                                                   |
//! |------------|----------------------------------------------------------------------------------|
//! | `luhn`     | ISO/IEC 7812-1, last digit: cards, IMEI, many account numbers                     |
//! | `mod97`    | ISO/IEC 7064 MOD 97-10 as ISO 13616 has it (four characters move to the end): IBAN |
//! | `lei`      | ISO/IEC 7064 MOD 97-10 as it stands: ISO 17442 legal entity identifiers           |
//! | `mod11`    | weights 10 to 2, ten digits: NHS numbers                                          |
//! | `mod11_2`  | ISO/IEC 7064 MOD 11-2, 16 characters: ORCID, ISNI                                 |
//! | `verhoeff` | Verhoeff's dihedral check, last digit: Aadhaar                                    |
//! | `damm`     | Damm's quasigroup of order 10, last digit                                         |
//! | `ean`      | GS1 mod 10: 8, 12, 13, 14, 17 or 18 digits                                        |
//! | `isbn10`   | ISO 2108 of ten characters                                                        |
//! | `isin`     | ISO 6166                                                                          |
//! | `cpf`      | Brazilian persons, 11 digits                                                      |
//! | `cnpj`     | Brazilian companies, 14 digits                                                    |
//! | `aba`      | United States routing numbers, 9 digits                                           |
//!
//! Invariant: nothing but the value's characters decides, and time is linear in them.

/// A check of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Validator {
    pub(crate) name: &'static str,
    check: fn(&[u8]) -> bool,
}

/// All of them.
pub(crate) const ALL: &[Validator] = &[
    Validator { name: "aba", check: aba },
    Validator { name: "cnpj", check: cnpj },
    Validator { name: "cpf", check: cpf },
    Validator { name: "damm", check: damm },
    Validator { name: "ean", check: ean },
    Validator { name: "isbn10", check: isbn10 },
    Validator { name: "isin", check: isin },
    Validator { name: "lei", check: lei },
    Validator { name: "luhn", check: luhn },
    Validator { name: "mod11", check: mod11 },
    Validator { name: "mod11_2", check: mod11_2 },
    Validator { name: "mod97", check: mod97 },
    Validator { name: "verhoeff", check: verhoeff },
];

impl Validator {
    /// The one of that name, or the sentence that lists them.
    pub(crate) fn by_name(name: &str) -> Result<Self, String> {
        ALL.iter().copied().find(|validator| validator.name == name).ok_or_else(|| {
            let known: Vec<_> = ALL.iter().map(|validator| validator.name).collect();
            format!("there is no validator {name:?}; there are {}", known.join(", "))
        })
    }

    /// Whether the value passes.
    pub(crate) fn passes(self, value: &str) -> bool {
        let mut characters = Vec::with_capacity(value.len());
        for b in value.bytes() {
            match b {
                b' ' | b'-' | b'.' | b'/' => {}
                b if b.is_ascii_alphanumeric() => characters.push(b.to_ascii_uppercase()),
                _ => return false,
            }
        }
        (self.check)(&characters)
    }
}

/// The digits' values; none where something else stands among them.
fn digits(value: &[u8]) -> Option<Vec<u32>> {
    value.iter().map(|b| char::from(*b).to_digit(10)).collect()
}

/// The sum of digits times weights, over as many as there are of both.
fn weighted(digits: &[u32], weights: impl Iterator<Item = u32>) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum()
}

fn luhn(value: &[u8]) -> bool {
    digits(value).is_some_and(|digits| digits.len() > 1 && luhn_sum(&digits).is_multiple_of(10))
}

fn luhn_sum(digits: &[u32]) -> u32 {
    let double = |(i, digit): (usize, &u32)| match (i % 2, digit * 2) {
        (0, _) => *digit,
        (_, twice) => twice / 10 + twice % 10,
    };
    digits.iter().rev().enumerate().map(double).sum()
}

/// The remainder by 97 of a value whose letters count as 10 to 35.
fn remainder_97<'a>(value: impl Iterator<Item = &'a u8>) -> u32 {
    value.fold(0, |rest, b| match char::from(*b).to_digit(36) {
        Some(number @ 10..) => (rest * 100 + number) % 97,
        Some(digit) => (rest * 10 + digit) % 97,
        None => rest,
    })
}

fn mod97(value: &[u8]) -> bool {
    match value.split_at_checked(4) {
        Some((head, tail)) => !tail.is_empty() && remainder_97(tail.iter().chain(head)) == 1,
        None => false,
    }
}

fn lei(value: &[u8]) -> bool {
    value.len() == 20 && remainder_97(value.iter()) == 1
}

fn mod11(value: &[u8]) -> bool {
    match digits(value).as_deref() {
        Some(digits @ [.., last]) if digits.len() == 10 => {
            let check = 11 - weighted(digits, (2..=10).rev()) % 11;
            check % 11 == *last
        }
        _ => false,
    }
}

fn mod11_2(value: &[u8]) -> bool {
    let Some((last, body)) = value.split_last() else { return false };
    let Some(body) = digits(body) else { return false };
    let sum = body.iter().fold(0, |sum, digit| (sum + digit) * 2 % 11);
    let check = (12 - sum % 11) % 11;
    body.len() == 15 && (if check == 10 { *last == b'X' } else { char::from(*last).to_digit(10) == Some(check) })
}

const PERMUTE: [[u8; 10]; 8] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
    [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
    [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
    [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
    [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
    [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
    [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
];

/// The product in the dihedral group of order ten.
fn dihedral(a: u32, b: u32) -> u32 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b - 5) % 5,
        (false, true) => 5 + (a + 5 - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    }
}

fn verhoeff(value: &[u8]) -> bool {
    let Some(digits) = digits(value) else { return false };
    let mut check = 0;
    for (i, digit) in digits.iter().rev().enumerate() {
        let permuted = PERMUTE.get(i % 8).and_then(|row| row.get(*digit as usize)).copied().unwrap_or(0);
        check = dihedral(check, u32::from(permuted));
    }
    digits.len() > 1 && check == 0
}

const DAMM: [[u8; 10]; 10] = [
    [0, 3, 1, 7, 5, 9, 8, 6, 4, 2],
    [7, 0, 9, 2, 1, 5, 4, 8, 6, 3],
    [4, 2, 0, 6, 8, 7, 1, 3, 5, 9],
    [1, 7, 5, 0, 9, 8, 3, 4, 2, 6],
    [6, 1, 2, 3, 0, 4, 5, 9, 7, 8],
    [3, 6, 7, 4, 2, 0, 9, 5, 8, 1],
    [5, 8, 6, 9, 7, 2, 0, 1, 3, 4],
    [8, 9, 4, 5, 3, 6, 2, 0, 1, 7],
    [9, 4, 3, 8, 6, 1, 7, 2, 0, 5],
    [2, 5, 8, 1, 4, 3, 6, 7, 9, 0],
];

fn damm(value: &[u8]) -> bool {
    let Some(digits) = digits(value) else { return false };
    let step = |row: u8, digit: &u32| DAMM.get(row as usize).and_then(|row| row.get(*digit as usize)).copied();
    digits.len() > 1 && digits.iter().try_fold(0_u8, step) == Some(0)
}

fn ean(value: &[u8]) -> bool {
    let Some(mut digits) = digits(value) else { return false };
    if !matches!(digits.len(), 8 | 12 | 13 | 14 | 17 | 18) {
        return false;
    }
    digits.reverse();
    weighted(&digits, [1, 3].into_iter().cycle()).is_multiple_of(10)
}

fn isbn10(value: &[u8]) -> bool {
    let Some((last, body)) = value.split_last() else { return false };
    let Some(body) = digits(body) else { return false };
    let last = if *last == b'X' { Some(10) } else { char::from(*last).to_digit(10) };
    body.len() == 9 && last.is_some_and(|last| (weighted(&body, (2..=10).rev()) + last).is_multiple_of(11))
}

fn isin(value: &[u8]) -> bool {
    let Some((country, rest)) = value.split_at_checked(2) else { return false };
    if value.len() != 12 || !country.iter().all(u8::is_ascii_alphabetic) || !rest.last().is_some_and(u8::is_ascii_digit)
    {
        return false;
    }
    let mut spelt = Vec::with_capacity(24);
    for number in value.iter().filter_map(|b| char::from(*b).to_digit(36)) {
        if number >= 10 {
            spelt.push(number / 10);
        }
        spelt.push(number % 10);
    }
    luhn_sum(&spelt).is_multiple_of(10)
}

/// Two check digits at the end, each over all before it, mod 11 with ten as nought.
fn two_checks(digits: &[u32], weights: impl Fn(usize) -> Vec<u32>) -> bool {
    let first = digits.len().saturating_sub(2);
    let same = digits.iter().all(|digit| Some(digit) == digits.first());
    !same
        && (first..digits.len()).all(|at| {
            let rest = weighted(digits.get(..at).unwrap_or_default(), weights(at).into_iter()) % 11;
            digits.get(at).copied() == Some(if rest < 2 { 0 } else { 11 - rest })
        })
}

fn cpf(value: &[u8]) -> bool {
    let down = |at: usize| (2..).take(at).collect::<Vec<u32>>().into_iter().rev().collect();
    digits(value).is_some_and(|digits| digits.len() == 11 && two_checks(&digits, down))
}

fn cnpj(value: &[u8]) -> bool {
    let down = |at: usize| (2..10).cycle().take(at).collect::<Vec<u32>>().into_iter().rev().collect();
    digits(value).is_some_and(|digits| digits.len() == 14 && two_checks(&digits, down))
}

fn aba(value: &[u8]) -> bool {
    digits(value).is_some_and(|digits| {
        digits.len() == 9
            && digits.iter().any(|digit| *digit > 0)
            && weighted(&digits, [3, 7, 1].into_iter().cycle()).is_multiple_of(10)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_examples_pass_and_their_neighbours_do_not() {
        for (name, value) in [
            ("luhn", "79927398713"),
            ("luhn", "4111 1111 1111 1111"),
            ("luhn", "49-015420-323751-8"),
            ("mod97", "GB82 WEST 1234 5698 7654 32"),
            ("mod97", "DE89370400440532013000"),
            ("lei", "5493001KJTIIGC8Y1R12"),
            ("mod11", "943 476 5919"),
            ("mod11_2", "0000-0002-1825-0097"),
            ("mod11_2", "0000-0002-1694-233X"),
            ("verhoeff", "2363"),
            ("damm", "5724"),
            ("ean", "4006381333931"),
            ("ean", "73513537"),
            ("ean", "036000291452"),
            ("isbn10", "0-306-40615-2"),
            ("isbn10", "0-8044-2957-X"),
            ("isin", "US0378331005"),
            ("isin", "AU0000XVGZA3"),
            ("isin", "GB0002634946"),
            ("cpf", "529.982.247-25"),
            ("cnpj", "11.222.333/0001-81"),
            ("aba", "011000015"),
        ] {
            let validator = Validator::by_name(name).unwrap();
            assert!(validator.passes(value), "{name} {value}");
            // Every one of them sees each single digit that changes.
            for (at, b) in value.bytes().enumerate().filter(|(_, b)| b.is_ascii_digit()) {
                let mut other = value.as_bytes().to_vec();
                other[at] = if b == b'9' { b'0' } else { b + 1 };
                let other = String::from_utf8(other).unwrap();
                assert!(!validator.passes(&other), "{name} {other}");
            }
            assert!(!validator.passes(""), "{name}: nothing");
            assert!(!validator.passes("é"), "{name}: no letter of ASCII");
            assert!(!validator.passes("0"), "{name}: one digit");
        }
    }

    #[test]
    fn an_unknown_one_lists_the_known() {
        let error = Validator::by_name("crc").unwrap_err();
        assert!(error.contains("\"crc\"") && error.contains("aba, cnpj") && error.contains("verhoeff"), "{error}");
    }

    #[test]
    fn all_equal_is_no_person() {
        assert!(!Validator::by_name("cpf").unwrap().passes("111.111.111-11"));
    }
}
