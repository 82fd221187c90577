//! Properties over generated texts: offsets hold, names in sentences are found whatever stands around them, windows find
//! what the whole finds.

use proptest::prelude::*;

use crate::testing::SCANNER;
use crate::{Finding, Kind};

/// Full names that the lists know.
fn name() -> impl Strategy<Value = String> {
    let first = prop::sample::select(vec![
        "Maria",
        "Ludwig",
        "Aisha",
        "Giovanni",
        "Søren",
        "Anne-Marie",
        "Yusuf",
        "Катерина",
        "Deborah",
        "Zoë",
    ]);
    let last = prop::sample::select(vec![
        "Gonzalez",
        "Müller",
        "Okafor",
        "O'Malley",
        "van der Berg",
        "Jensen",
        "Nowak",
        "Yılmaz",
        "Patel-Hughes",
        "Rodriguez",
    ]);
    (first, last).prop_map(|(first, last)| format!("{first} {last}"))
}

fn sentence() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop::sample::select(vec![
        ("please ask ", " about it."),
        ("The refund was approved by ", " yesterday."),
        ("I spoke with ", " and she agreed."),
        ("{\"message\":\"Signed by ", " after the review\"}"),
        ("Dear ", ",\nthank you"),
        ("Regards,\n", "\n"),
        ("level=info msg=\"call from ", " was dropped\""),
    ])
}

fn noise() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ a-z=:,.\"\\n]{0,40}",
        Just("2025-01-02T03:04:05Z INFO x ".to_owned()),
        Just("the server was restarted. ".to_owned())
    ]
}

/// What looks like one of ours and is none.
fn look_alike() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "Started Session 12 of user root.",
        "Kafka Consumer Group",
        "[Thread-12] org.apache.Foo - Connection Reset",
        "Jenkins Worker is up",
        "New York, Paris and London",
        "Release Notes 1.2.3",
        "at java.lang.Thread.run(Thread.java:748)",
        "Johnson & Johnson",
        "Smith and Sons",
        "Root Cause Analysis",
        "Windows Server 2019",
        "12 street lights",
        "version 4.12.1980",
        "updated on 12/03/1980",
        "\"Status\":\"Completed\"",
        "May I have it on Monday?",
        "Will this work?",
    ])
}

fn spans(found: Vec<Finding>, offset: usize, from: usize, to: usize) -> Vec<(Kind, usize, usize)> {
    found
        .into_iter()
        .map(|f| (f.kind, f.start + offset, f.end + offset))
        .filter(|(_, start, _)| (from..to).contains(start))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn offsets_hold(text in "\\PC{0,200}|[ -~\\n]{0,300}|[A-Za-zé 王\\n,.'’-]{0,200}", before: bool, after: bool) {
        for f in SCANNER.scan(&text, before, after) {
            prop_assert!(f.start < f.end);
            prop_assert!(text.get(f.start..f.end).is_some(), "{f:?}");
            prop_assert!((0.5..=1.0).contains(&f.confidence), "{f:?}");
            prop_assert!(f.detector.len() <= 48);
            prop_assert!(f.detector.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'-' | b'_' | b'.' | b'/')), "{f:?}");
        }
    }

    #[test]
    fn offsets_hold_on_cues(pieces in prop::collection::vec(prop_oneof![
        name(), noise(), look_alike().prop_map(str::to_owned),
        prop::sample::select(vec!["Dear ", "É", "\n", "\\n", "\\u00e9", "12 ", "12 Oak Street, ", "Hauptstraße 5, ", "born on ", "3 May 1980", "\\", "’s", "王秀英", "Dr. ", "€", ", ", "Roe, "]).prop_map(str::to_owned),
    ], 0..20)) {
        let text: String = pieces.concat();
        for f in SCANNER.scan(&text, false, true) {
            prop_assert!(text.get(f.start..f.end).is_some_and(|value| !value.is_empty()), "{f:?}");
        }
    }

    #[test]
    fn names_in_sentences_are_found(name in name(), (before, behind) in sentence(), head in noise(), tail in noise()) {
        let text = format!("{head}\n{before}{name}{behind} {tail}");
        let at = head.len() + 1 + before.len();
        let found = SCANNER.scan(&text, false, false);
        prop_assert!(found.iter().any(|f| f.kind == Kind::Person && (f.start, f.end) == (at, at + name.len())), "{name:?} in {text:?}: {found:?}");
    }

    #[test]
    fn look_alikes_are_not_found(value in look_alike(), head in noise(), tail in noise()) {
        let text = format!("{head}\n{value}\n{tail}");
        let found = SCANNER.scan(&text, false, false);
        prop_assert!(found.is_empty(), "{text:?}: {found:?}");
    }

    #[test]
    fn windows_find_what_the_whole_finds(parts in prop::collection::vec((name(), sentence()), 20..40), cut in 0.3_f64..0.7) {
        let text: String = parts.iter().map(|(name, (before, behind))| format!("{before}{name}{behind}\n")).collect();
        let mut middle = (text.len() as f64 * cut) as usize;
        while !text.is_char_boundary(middle) {
            middle += 1;
        }
        // Windows begin and end behind line ends, as the host cuts them.
        let middle = text[..middle].rfind('\n').map_or(0, |i| i + 1);
        let first_end = text[middle..].match_indices('\n').nth(4).map_or(text.len(), |(i, _)| middle + i + 1);
        let second_start = text[..middle].rmatch_indices('\n').nth(5).map_or(0, |(i, _)| i + 1);
        let whole = spans(SCANNER.scan(&text, false, false), 0, 0, text.len());
        let mut joined = spans(SCANNER.scan(&text[..first_end], false, first_end < text.len()), 0, 0, middle);
        joined.extend(spans(SCANNER.scan(&text[second_start..], second_start > 0, false), second_start, middle, text.len()));
        for span in &whole {
            prop_assert!(joined.contains(span), "{span:?} {:?}", &text[span.1..span.2]);
        }
    }
}
