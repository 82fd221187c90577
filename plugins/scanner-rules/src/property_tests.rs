//! Properties over generated texts: searching near the literals finds what searching everywhere finds, offsets hold,
//! and nothing depends on what stands around a value that it has no business with.

use std::sync::LazyLock;

use proptest::prelude::*;
use regex_automata::meta::Regex;

use crate::engine::Builder;
use crate::matcher::Matcher;
use crate::{Scanner, prepare};

/// Patterns of each way of being looked for.
const PATTERNS: &[&str] = &[
    r"\bab-(\d+)\b",
    r"(?-u)[\w.-]{0,5}?(?:ab|key)[ =]{0,3}(\w{2,4})",
    r"(?i)key\s*=\s*\w+",
    r"key=.*b",
    r"a.*\n.*b",
    r"\d{2}",
    r"\b\d{3}\s\d\b",
    r"[^x]{3}é",
    r"é+b?",
    r"(?:ab|\d)c{1,3}?",
    r"(?m)^ab$",
    r"^key",
    r"b$",
    r"(?s)ab.{0,4}key",
    r"x[^y]*y",
    r"(?:key|ab)+(?:key|-)",
    r"ſk|KEY",
    r"[ab]{2}-?[0-9]",
];

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[abkexyc0-9 =\\n.-]{0,6}",
        2 => prop_oneof![Just("key".to_owned()), Just("ab-".to_owned()), Just("KEY=".to_owned()), Just("é".to_owned())],
        1 => Just(" ".repeat(40)),
        1 => Just("nothing\n".repeat(600)),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn everything() -> &'static Scanner {
    static SCANNER: LazyLock<Scanner> = LazyLock::new(|| {
        prepare(
            r#"{"types":[{"name":"A","pattern":"k\\w+","words":["é","ab"],"words_required":false},
                         {"name":"B","pattern":"[0-9a-f]{4,}","validator":"luhn"}],
                "fields":[{"path":"$.a.b","type":"F"},{"path":"$..c[*]","type":"F"},{"path":"d","never":true},
                          {"path":"é","type":"F"}],
                "allow":{"values":["a b","é"],"patterns":["^a+$|b"]},
                "deny":[{"value":"d  é","type":"D"},{"value":"ab","type":"D"}],
                "gitleaks":[{"rules":[{"id":"g","regex":"(?i)key[\\s\\S]{0,9}?=(\\S*)","allowlists":[
                    {"regexTarget":"line","regexes":["x"]}]}]}]}"#,
        )
        .unwrap()
    });
    &SCANNER
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn near_the_literals_is_everywhere(text in text()) {
        static ALL: LazyLock<(Vec<Matcher>, crate::engine::Engine, Vec<Regex>)> = LazyLock::new(|| {
            let matchers: Vec<_> = PATTERNS.iter().map(|pattern| Matcher::new(pattern).unwrap()).collect();
            let mut builder = Builder::default();
            for matcher in &matchers {
                builder.add(matcher, &[]);
            }
            let plain = PATTERNS.iter().map(|pattern| Regex::new(pattern).unwrap()).collect();
            (matchers, builder.build().unwrap(), plain)
        });
        let (matchers, engine, plain) = &*ALL;
        let parts = engine.parts(&text);
        for (i, (matcher, plain)) in matchers.iter().zip(plain).enumerate() {
            let expected: Vec<_> = plain.find_iter(&text).map(|found| found.range()).collect();
            let mut cache = matcher.cache();
            let mut found = Vec::new();
            for part in &parts[i] {
                let mut at = part.start;
                while let Some(hit) = matcher.find(&mut cache, &text, at..part.end) {
                    found.push(hit.start..hit.end);
                    at = hit.end;
                }
            }
            prop_assert_eq!(found, expected, "{}", PATTERNS[i]);
            for pair in parts[i].windows(2) {
                prop_assert!(pair[0].end <= pair[1].start, "{}: {:?}", PATTERNS[i], parts[i]);
            }
        }
    }

    #[test]
    fn offsets_hold(
        text in "([\\PC\\n]|key *=|[{\\[\"':,}\\]\\\\]|\"[abcdé]\" *:|a,d\n|é=|ab|[ \t\u{a0}]{2}){0,60}",
        before: bool,
        after: bool,
    ) {
        for found in everything().scan(&text, Some("x"), before, after) {
            prop_assert!(found.start < found.end);
            prop_assert!(text.get(found.start..found.end).is_some(), "{:?} in {:?}", found, text);
            prop_assert!(found.detector.len() <= 48);
        }
    }

    #[test]
    fn members_are_found_wherever_they_stand(
        head in "[ a-z{\"\\[,]{0,20}",
        value in "[a-zé0-9 @.]{1,12}",
        others in proptest::collection::vec(("[a-z]{3}", "[0-9]{1,3}|\"(?:[a-z]|\\\\n){0,4}\"|\\[1, ?2\\]|\\{\"q\":null\\}"), 0..4),
    ) {
        let others: String = others.iter().map(|(key, value)| format!("\"{key}\" : {value}, ")).collect();
        let text = format!("{head}\n{{{others}\"a\":{{\"b\":\"{value}\"}}}}");
        let found = everything().scan(&text, None, false, false);
        prop_assert!(found.iter().any(|f| f.kind == "F" && text[f.start..f.end] == value), "{:?} in {}", found, text);
    }

    #[test]
    fn patterns_of_go_never_panic(pattern in "([a-z(|)*+?.^$]|\\[|\\]|\\\\[a-zA-Z0-9<]|[{},0-9]|\\(\\?[imsU:P<-]|-|é){0,20}") {
        if let Ok(translated) = crate::go::translate(&pattern) {
            let _ = Matcher::new(&translated);
        }
        let _ = crate::allow::compile(&pattern);
    }
}
