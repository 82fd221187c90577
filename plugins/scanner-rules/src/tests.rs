//! Rules from JSON to findings.

use crate::{ALLOWED, GENERIC_SECRET, Group, Scanner, prepare};

fn scanner(rules: &str) -> Scanner {
    prepare(rules).unwrap_or_else(|error| panic!("{error}"))
}

/// Everything found, as kind and value.
fn all<'t>(scanner: &Scanner, text: &'t str) -> Vec<(String, &'t str)> {
    named(scanner, text, None)
}

fn named<'t>(scanner: &Scanner, text: &'t str, name: Option<&str>) -> Vec<(String, &'t str)> {
    let found = scanner.scan(text, name, false, false);
    found.iter().map(|f| (f.kind.to_owned(), &text[f.start..f.end])).collect()
}

fn values<'t>(scanner: &Scanner, text: &'t str) -> Vec<&'t str> {
    all(scanner, text).into_iter().map(|(_, value)| value).collect()
}

fn problems(rules: &str) -> String {
    prepare(rules).unwrap_err().to_string()
}

#[test]
fn no_rules_find_nothing() {
    for rules in ["", "{}", r#"{"types":[],"gitleaks":[{}]}"#] {
        let scanner = scanner(rules);
        assert_eq!(all(&scanner, "password=hunter2 jo@acme.com"), []);
        assert_eq!(scanner.kinds().len(), 1);
        assert_eq!(scanner.kinds()[0].name, ALLOWED);
    }
}

#[test]
fn a_type_has_a_pattern_and_conditions() {
    let scanner = scanner(
        r#"{"types":[
            {"name":"EMPLOYEE_ID","group":"structured","pattern":"\\bE-(\\d{6})\\b","matches":["E-123456"],
             "no_matches":["E-12345678","XE-123456"]},
            {"name":"CARD","pattern":"\\b\\d{4} \\d{4}\\b|\\b(?P<value>\\d{8})\\b","validator":"luhn"},
            {"name":"BADGE","pattern":"\\d{5}","words":["badge no","Ausweis"],"within":10},
            {"name":"TICKET","pattern":"T\\d{3}","words":["ticket"],"words_required":false,"confidence":0.5},
            {"name":"KEY","pattern":"k_[a-z0-9]{8}","entropy":2.5}]}"#,
    );
    let text = "E-123456, 79927396 00012345 and 18002222";
    let found = scanner.scan(text, None, false, false);
    let seen: Vec<_> = found.iter().map(|f| (f.kind, &text[f.start..f.end], f.validated, &*f.detector)).collect();
    assert_eq!(seen[0], ("EMPLOYEE_ID", "123456", false, "rule EMPLOYEE_ID"));
    assert!(seen[1..].iter().all(|f| f.0 == "CARD" && f.2), "{seen:?}");
    assert_eq!(values(&scanner, "Badge no: 12345 and, much further on, 54321"), ["12345"]);
    assert_eq!(values(&scanner, "12345 (AUSWEIS)"), ["12345"]);
    assert_eq!(values(&scanner, "badge no\n12345 badges no 12345"), Vec::<&str>::new());
    assert_eq!(values(&scanner, "k_aaaaaaaa k_a1b2c3d4"), ["k_a1b2c3d4"]);
    let confidence = |text: &str| scanner.scan(text, None, false, false)[0].confidence;
    assert!((confidence("T123") - 0.5).abs() < 1e-6);
    assert!((confidence("ticket T123") - 0.65).abs() < 1e-6);
}

#[test]
fn lists_allow_and_deny() {
    let scanner = scanner(
        r#"{"allow":{"values":["support@acme.com"],"patterns":["^svc-[a-z]+@acme\\.com$","10\\.0\\.\\d+\\.\\d+"]},
            "deny":[{"value":"Project Nightjar","type":"CODENAME"}]}"#,
    );
    let text = "SUPPORT@acme.com svc-a@acme.com svc-a@acme.community 10.0.0.1 project  nightjar";
    assert_eq!(
        all(&scanner, text),
        [
            (ALLOWED.to_owned(), "SUPPORT@acme.com"),
            (ALLOWED.to_owned(), "svc-a@acme.com"),
            (ALLOWED.to_owned(), "10.0.0.1"),
            ("CODENAME".to_owned(), "project  nightjar"),
        ]
    );
    // At an edge where the text goes on, what is allowed as a whole is not known to be whole; what is denied counts.
    assert_eq!(scanner.scan("support@acme.com", None, false, true), []);
    assert_eq!(scanner.scan("support@acme.com", None, true, false), []);
    assert_eq!(scanner.scan("project nightjar", None, true, true).len(), 1);
}

/// A configuration of gitleaks with each of its features.
const GITLEAKS: &str = r##"{"gitleaks":[{"rules":[
    {"id":"acme-key","description":"A key","regex":"(?i)[\\w.-]{0,50}?(?:acme)(?:[ \\t\\w.-]{0,20})[\\s'\"]{0,3}(?:=|:)[\\x60'\"\\s=]{0,5}([a-z0-9]{12})(?:[\\x60'\"\\s;]|\\\\[nr]|$)",
     "entropy":2,"keywords":["ACME"],"tags":["key"]},
    {"id":"by group","regex":"(k1|k2)_(\\w{4})","secretGroup":2,"keywords":["k1_","k2_"]},
    {"id":"first-group","regex":"x_(?:(a\\w)|(b\\w))"},
    {"id":"in-env","regex":"env_[a-z]{4}","path":"(?i)\\.env$"},
    {"id":"path-only","path":"\\.p12$"},
    {"id":"silent","regex":"silent_\\w+","skipReport":true},
    {"id":"elsewhere","regex":"\\b[0-9]{6}\\b","keywords":["pin"]},
    {"id":"generic-pair","regex":"\\w+_key_(\\w+)","keywords":["_key_"]},
    {"id":"known-pair","regex":"known_key_\\w+","keywords":["known"]},
    {"id":"lists","regex":"id=(\\w+)","keywords":["id="],"allowlists":[
        {"stopwords":["EXAMPLE"]},
        {"condition":"AND","regexes":["^t"],"paths":["^test/"]},
        {"regexTarget":"match","regexes":["^id=m"]},
        {"regexTarget":"line","regexes":["# ok$"]},
        {"paths":["\\.lock$"]},
        {"condition":"AND","commits":["abc"],"regexes":["."]}]}],
    "allowlists":[{"regexes":["^global$"]},{"paths":["^vendor/"]},{"targetRules":["lists"],"stopwords":["targeted"]}]}]}"##;

#[test]
fn gitleaks_rules_mean_what_they_mean_there() {
    let scanner = scanner(GITLEAKS);
    let one = |text| values(&scanner, text);
    assert_eq!(one("my.acme_token = \"a1b2c3d4e5f6\";"), ["a1b2c3d4e5f6"]);
    assert_eq!(one("ACME: aaaaaaaaaaaa"), Vec::<&str>::new(), "too little entropy");
    assert_eq!(one("acme=\na1b2c3d4e5f6\n"), ["a1b2c3d4e5f6"]);
    assert_eq!(one("K1_none k1_abcd"), ["abcd"]);
    assert_eq!(one("x_b1 x_a2"), ["b1", "a2"]);
    assert_eq!(one("silent_abc"), Vec::<&str>::new());
    assert_eq!(one("123456"), Vec::<&str>::new(), "no keyword");
    assert_eq!(one("123456\n\nPIN\n"), ["123456"], "the keyword may stand elsewhere");
    assert_eq!(one("known_key_abc"), ["known_key_abc"], "the generic rule gives way");
    assert_eq!(one("some_key_abc"), ["abc"]);
    assert_eq!(one("env_abcd"), Vec::<&str>::new());
    assert_eq!(named(&scanner, "env_abcd", Some("prod.ENV")), [(GENERIC_SECRET.to_owned(), "env_abcd")]);
    let found = scanner.scan("k2_wxyz", None, false, false);
    assert_eq!((&*found[0].detector, found[0].confidence, found[0].validated), ("gitleaks by group", 0.9, false));
    assert_eq!(
        scanner.kinds().iter().map(|kind| (&*kind.name, kind.group)).collect::<Vec<_>>(),
        [(ALLOWED, Group::Contextual), (GENERIC_SECRET, Group::Secret)]
    );
}

#[test]
fn gitleaks_allowlists_mean_what_they_mean_there() {
    let scanner = scanner(GITLEAKS);
    for (text, name, found) in [
        ("id=abc", None, true),
        ("id=an_example_1", None, false),
        ("id=tabc", None, true),
        ("id=tabc", Some("test/a"), false),
        ("id=abc", Some("test/a"), true),
        ("id=mabc", None, false),
        ("id=abc # ok", None, false),
        ("id=abc\n# ok", None, true),
        ("id=abc", Some("x.lock"), false),
        ("id=global", None, false),
        ("id=abc", Some("vendor/x"), false),
        ("id=xTARGETEDx", None, false),
    ] {
        assert_eq!(!named(&scanner, text, name).is_empty(), found, "{text} in {name:?}");
    }
}

#[test]
fn everything_that_is_wrong_is_said() {
    assert!(problems(r#"{"typs":[]}"#).contains("`typs`"));
    assert!(problems(r#"{"types":[{"nmae":"A"}]}"#).contains("`nmae`"));
    assert!(problems(r#"{"gitleaks":[{"rules":[{"secretgroup":1}]}]}"#).contains("`secretgroup`"));
    let said = problems(
        r#"{"types":[
            {"name":"a","pattern":"x"},
            {"name":"B","pattern":"("},
            {"name":"C","pattern":"x{2}","validator":"crc","confidence":2},
            {"name":"D","pattern":"d\\d","matches":["d1","e1"],"no_matches":["x","d2"]},
            {"name":"ALLOWED","pattern":"x"},
            {"name":"F","pattern":"y","group":"public","within":5000,"words":["a"]}],
           "fields":[{"path":"$"}],
           "allow":{"values":[""],"patterns":["a*"]},
           "deny":[{"value":"x","type":""}],
           "gitleaks":[{"rules":[{"id":"g1","regex":"(?=a)"},{"id":"g2","regex":"a","secretGroup":1},{"regex":"a"},
              {"id":"g3"},{"id":"g4","regex":"a","allowlists":[{},{"condition":"XOR","regexes":["("],"regexTarget":"x"}]}],
              "allowlists":[{"targetRules":["none"],"stopwords":["x"]}]}]}"#,
    );
    for part in [
        "a: ",
        "B: its pattern",
        "C: there is no validator",
        "C: its confidence",
        "D: nothing is found in its example 2",
        "D: something is found in its example 2",
        "ALLOWED is reserved",
        "\"public\"",
        "at most 1024",
        "field \"$\"",
        "allow, value 1",
        "allow, pattern",
        "deny, value 1",
        "rule g1",
        "rule g2",
        "has no id",
        "and ",
        "more",
    ] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
    assert_eq!(said.lines().count(), crate::MAX_PROBLEMS + 1);
}

#[test]
fn bounds_are_kept() {
    let types = |count: usize| {
        let types: Vec<_> = (0..count).map(|i| format!(r#"{{"name":"T{i}","pattern":"t{i}x"}}"#)).collect();
        format!(r#"{{"types":[{}]}}"#, types.join(","))
    };
    assert!(prepare(&types(crate::MAX_TYPES)).is_ok());
    assert!(problems(&types(crate::MAX_TYPES + 1)).contains("1001 types"));
    let pattern = |length: usize| format!(r#"{{"types":[{{"name":"T","pattern":"{}"}}]}}"#, "x".repeat(length));
    assert!(prepare(&pattern(crate::MAX_PATTERN)).is_ok());
    assert!(problems(&pattern(crate::MAX_PATTERN + 1)).contains("longer than 4096"));
    let deny = |count: usize| {
        let values: Vec<_> = (0..count).map(|i| format!(r#"{{"value":"value {i}","type":"V"}}"#)).collect();
        format!(r#"{{"deny":[{}]}}"#, values.join(","))
    };
    let scanner = scanner(&deny(crate::MAX_VALUES));
    assert_eq!(values(&scanner, "a value  49999, a value 123 and value 50000"), ["value  49999", "value 123"]);
    assert!(problems(&deny(crate::MAX_VALUES + 1)).contains("50001 values"));
}

#[test]
fn memory_is_bounded() {
    let types: Vec<_> = (0..60).map(|i| format!(r#"{{"name":"T{i}","pattern":"x{i}\\w{{100}}"}}"#)).collect();
    assert!(problems(&format!(r#"{{"types":[{}]}}"#, types.join(","))).contains("32 MiB"));
}

#[test]
fn too_many_findings_are_covered() {
    let scanner = scanner(r#"{"types":[{"name":"A","pattern":"a"},{"name":"B","pattern":"(?s:.)"}]}"#);
    let text = "ab".repeat(120_000);
    let found = scanner.scan(&text, None, false, false);
    assert_eq!(found.len(), crate::MAX_FINDINGS);
    assert_eq!(found.iter().map(|f| f.end).max(), Some(text.len()));
}

#[test]
fn well_known_names_keep_their_group() {
    let scanner = scanner(
        r#"{"fields":[{"path":"user","type":"EMAIL"},{"path":"x","type":"OWN"}],
            "types":[{"name":"OWN","pattern":"own\\d","group":"structured","description":"Our\nown"}]}"#,
    );
    let kinds: Vec<_> = scanner.kinds().iter().map(|kind| (&*kind.name, kind.group, &*kind.description)).collect();
    assert_eq!(kinds[1], ("OWN", Group::Structured, "Our own"));
    assert_eq!((kinds[2].0, kinds[2].1), ("EMAIL", Group::Structured));
}
