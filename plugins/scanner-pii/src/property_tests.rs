//! Properties over generated texts: offsets hold, planted values are found whatever stands around them, windows find
//! what the whole finds.

use proptest::prelude::*;

use crate::testing::SCANNER;
use crate::{Finding, Kind};

/// Values with their types, in the form in which they stand alone.
fn planted() -> impl Strategy<Value = (Kind, String)> {
    prop_oneof![
        ("[a-z]{3,8}\\.[a-z]{3,8}", "[a-z]{3,9}")
            .prop_map(|(local, domain)| (Kind::Email, format!("{local}@{domain}.com"))),
        (11_u8..=126, 0_u8..=255, 0_u8..=255, 1_u8..=254)
            .prop_map(|(a, b, c, d)| (Kind::Ipv4, format!("{a}.{b}.{c}.{d}"))),
        (1_u16.., 1_u16..).prop_map(|(a, b)| (Kind::Ipv6, format!("2001:db8:{a:x}::{b:x}"))),
        "4[0-9]{14}".prop_map(|body| (Kind::CreditCard, with_luhn(&body))),
        "AKIA[A-Z2-7]{16}".prop_map(|key| (Kind::AwsAccessKey, key)),
        "xoxb-[0-9]{12}-[0-9]{13}-[a-zA-Z]{20}Qz7b".prop_map(|key| (Kind::SlackToken, key)),
        "\\+4479[0-9]{8}".prop_map(|phone| (Kind::Phone, phone)),
        "[2-5][0-9]{2}-[1-9][0-9]-[1-9][0-9]{3}".prop_map(|ssn| (Kind::UsSsn, ssn)),
        "[0-9a-f]{2}:[0-9a-f]{2}:a[0-9a-f]:[0-9a-f]{2}:[0-9a-f]{2}:[0-9]f".prop_map(|mac| (Kind::Mac, mac)),
    ]
}

fn with_luhn(body: &str) -> String {
    let sum: u32 = body
        .bytes()
        .rev()
        .enumerate()
        .map(|(i, b)| {
            let digit = u32::from(b - b'0') * if i % 2 == 0 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

/// What may stand around a value: it ends no word and begins none.
fn around() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop_oneof![
        Just((" ", " ")),
        Just(("\"", "\"")),
        Just(("{\"x\":\"", "\"}")),
        Just(("x=", ",")),
        Just(("(", ")")),
        Just(("\n", "\n")),
        Just(("'", "';")),
        Just(("\\n", "\\n")),
        Just(("<x>", "</x>")),
        Just(("[", "]")),
    ]
}

fn noise() -> impl Strategy<Value = String> {
    prop_oneof!["[ a-zé=:,.\"'\\n]{0,40}", "\\PC{0,30}", Just("2025-01-02T03:04:05Z INFO x ".to_owned())]
}

/// Values that look like one but are not.
fn look_alike() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{11}f",
        "sha=[0-9a-f]{39}a",
        "sha256:[0-9a-f]{63}c",
        "v[1-9]\\.[1-9][0-9]\\.[0-9]\\.[1-9][0-9]{0,2}",
        "version [1-9]{2}\\.[1-9][0-9]\\.[0-9]\\.[1-9][0-9]{0,2}",
        "1\\.3\\.6\\.1\\.4\\.1\\.[1-9][0-9]{0,4}\\.[1-9]",
        "com\\.[a-z]{4}\\.internal\\.[A-Z][a-z]{5}",
        "20[0-9]{2}-0[1-9]-1[0-9]T1[0-9]:[0-5][0-9]:[0-5][0-9]\\.[0-9]{3}\\+0000",
        "epoch=1[0-9]{9}",
        "epoch=1[0-9]{12}",
        "[0-2][0-9]:[0-5][0-9]:[0-5][0-9]",
        "[0-5][0-9](:[0-5][0-9]){7}",
        "666-[0-9]{2}-[0-9]{4}",
        "password=\\$\\{[A-Z_]{4,12}\\}",
        "password: \\{\\{ [a-z_]{4,12} \\}\\}",
        "token=\\*{4,12}",
        "etag: \"[0-9a-f]{13}b\"",
        "[a-z]{3,8}@[0-9]\\.[0-9]\\.[0-9]",
    ]
}

/// Findings that touch neither edge, shifted.
fn inner(found: Vec<Finding>, offset: usize, from: usize, to: usize) -> Vec<(Kind, usize, usize)> {
    found
        .into_iter()
        .map(|f| (f.kind, f.start + offset, f.end + offset))
        .filter(|(_, start, _)| (from..to).contains(start))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn offsets_hold(text in "\\PC{0,200}|[ -~\\n]{0,300}", before: bool, after: bool) {
        for f in SCANNER.scan(&text, before, after) {
            prop_assert!(f.start < f.end);
            prop_assert!(text.get(f.start..f.end).is_some(), "{f:?}");
            prop_assert!((0.0..=1.0).contains(&f.confidence));
            prop_assert!(f.detector.len() <= 48);
        }
    }

    #[test]
    fn offsets_hold_on_cues(pieces in prop::collection::vec(prop_oneof![
        look_alike(), planted().prop_map(|p| p.1), noise(),
        prop::sample::select(vec!["password=", "\"", "'", "token: ", "Dear ", "É", "\n", "cookie: ", "://", "@", "user ", "address: ", "born on ", "insert into a(name) values ('", "\\", "é", "€"]).prop_map(str::to_owned),
    ], 0..20)) {
        let text: String = pieces.concat();
        for f in SCANNER.scan(&text, false, true) {
            prop_assert!(text.get(f.start..f.end).is_some_and(|value| !value.is_empty()), "{f:?}");
        }
    }

    #[test]
    fn planted_values_are_found((kind, value) in planted(), (open, close) in around(), head in noise(), tail in noise()) {
        // A quote that the noise leaves open, or a cue in it, is another test's matter.
        let head = head.replace(['"', '\'', '@', '\\', '`'], " ");
        // The end of a clause, so that no word of the noise (`v 1.2.3.4`) says what follows.
        let text = format!("{head};{open}{value}{close}{tail}");
        let at = head.len() + 1 + open.len();
        let found = SCANNER.scan(&text, false, false);
        prop_assert!(
            found.iter().any(|f| (f.start, f.end) == (at, at + value.len()) && (f.kind == kind)),
            "{kind:?} {value:?} in {text:?}: {found:?}"
        );
    }

    #[test]
    fn look_alikes_are_not_found(value in look_alike(), (open, close) in around()) {
        let text = format!("x{open}{value}{close}x");
        let found = SCANNER.scan(&text, false, false);
        prop_assert!(found.is_empty(), "{text:?}: {found:?}");
    }

    #[test]
    fn windows_find_what_the_whole_finds(values in prop::collection::vec((planted(), around(), "[a-z ]{0,30}"), 20..40), cut in 0.3_f64..0.7) {
        let mut text = String::new();
        for ((_, value), (open, close), words) in values {
            text.push_str(&format!("{words}{open}{value}{close}\n"));
        }
        let whole = SCANNER.scan(&text, false, false);
        let middle = (text.len() as f64 * cut) as usize;
        // Each window sees 150 bytes beyond the border and answers for what begins on its side.
        let (first_end, second_start) = ((middle + 150).min(text.len()), middle.saturating_sub(150));
        let first = SCANNER.scan(&text[..first_end], false, first_end < text.len());
        let second = SCANNER.scan(&text[second_start..], second_start > 0, false);
        let mut joined = inner(first, 0, 0, middle);
        joined.extend(inner(second, second_start, middle, text.len()));
        prop_assert_eq!(joined, inner(whole, 0, 0, text.len()));
    }
}

#[test]
fn a_value_at_the_end_of_a_window_is_reported_to_the_end() {
    for text in ["password=Kestrel8", "Authorization: Bearer aB3dE6gH9jK2mN5p", "token: \"a1b2c3d4e5f6a7b8"] {
        let found = SCANNER.scan(text, false, true);
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!(found[0].end, text.len(), "{text}");
    }
}
