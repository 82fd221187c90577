//! What field rules find, by form of text.

use super::*;
use crate::config::Field;

fn compile(rules: &[(&str, &str)]) -> Fields {
    let rules: Vec<_> = rules
        .iter()
        .map(|(path, kind)| Field {
            path: (*path).to_owned(),
            kind: (!kind.is_empty()).then(|| (*kind).to_owned()),
            never: kind.is_empty(),
        })
        .collect();
    let mut problems = Vec::new();
    let fields = Fields::new(&rules, &mut Kinds::new(), &mut problems);
    assert_eq!(problems, Vec::<String>::new());
    fields.unwrap()
}

fn found<'a>(rules: &[(&str, &str)], text: &'a str) -> Vec<(usize, &'a str)> {
    let mut hits = Hits::new(text.len(), false, false);
    compile(rules).scan(text, false, &mut hits);
    hits.finish().iter().map(|hit| (hit.kind, &text[hit.start..hit.end])).collect()
}

fn values<'a>(path: &str, text: &'a str) -> Vec<&'a str> {
    found(&[(path, "X")], text).into_iter().map(|(_, value)| value).collect()
}

#[test]
fn paths_are_followed() {
    let text = r#"{"user":{"email":"a@b.co","n":1,"list":[{"id":7},{"id":"x"},[2]]},"email":"no"}"#;
    for (path, expected) in [
        ("$.user.email", vec!["a@b.co"]),
        ("$['user']['email']", vec!["a@b.co"]),
        ("$.user.n", vec!["1"]),
        ("$.user.list[*].id", vec!["7", "x"]),
        ("$.user.list[1].id", vec!["x"]),
        ("$.user.list[2]", vec!["2"]),
        ("$.*.email", vec!["a@b.co"]),
        ("$..email", vec!["a@b.co", "no"]),
        ("$..id", vec!["7", "x"]),
        ("$.user..id", vec!["7", "x"]),
        ("email", vec!["a@b.co", "no"]),
        ("EMAIL", vec!["a@b.co", "no"]),
        ("$.user", vec!["a@b.co", "1", "7", "x", "2"]),
        ("$.list", vec![]),
        ("$.user.list.id", vec![]),
        ("$.email", vec!["no"]),
    ] {
        assert_eq!(values(path, text), expected, "{path}");
    }
}

#[test]
fn objects_may_stand_anywhere() {
    for text in [
        r#"2026-01-01T00:00:00Z [INFO] app: {"a":{"b":"v"}}"#,
        "{\n  \"a\": {\n    \"b\": \"v\"\n  }\n}",
        r#"{"x":[1,2,{"a":1}],"a":{"c":{},"b":"v"#,
        r#"{broken {"a":{"b":"v"},"#,
        r#"{"a":{"b":"v"}}{"a":{"b":1 oops"#,
        r#"[{"q":1}] {"a":{"\u0062":"v"}}"#,
        r#"{"z":"\"}","a":{"b":"v"}}"#,
        "{\"x\":[1,\n{\"a\":{\"b\":\"v\"}}",
    ] {
        assert!(values("$.a.b", text).contains(&"v"), "{text}");
    }
    assert_eq!(values("$[*].id", r#"[{"id":1},{"id":2}]"#), ["1", "2"]);
    assert_eq!(values("$.b", r#"{"a":[{"b":1}],"b":null}"#), Vec::<&str>::new());
}

#[test]
fn nothing_is_looked_for_in_what_never_holds_anything() {
    let text = r#"{"trace":{"id":"a@b.co","x":[1]},"t":"v"}"#;
    assert_eq!(found(&[("$.trace", ""), ("id", "X")], text), [(0, r#"{"id":"a@b.co","x":[1]}"#), (1, "a@b.co")]);
    assert_eq!(found(&[("t", "")], text), [(0, "v")]);
    assert_eq!(found(&[("trace_id", "")], "trace_id=4f-9 x"), [(0, "4f-9")]);
}

#[test]
fn pairs_are_found() {
    for (path, text, expected) in [
        ("user", "level=info user=jo msg=x", vec!["jo"]),
        ("user", "user=\"jo doe\" x=1", vec!["jo doe"]),
        ("user", "USER='jo' x", vec!["jo"]),
        ("user", "user=jo,id=3", vec!["jo"]),
        ("user", "user=jo,ann id=3", vec!["jo,ann"]),
        ("user", "user= id=3", vec![]),
        ("user", "user = jo", vec!["jo"]),
        ("user", "user: jo doe\nx: y", vec!["jo doe"]),
        ("user", "  - user: jo doe\r\n", vec!["jo doe"]),
        ("user", "got user: jo from x", vec!["jo"]),
        ("user", "?a=1&user=jo&b=2", vec!["jo"]),
        ("user", "superuser=jo", vec![]),
        ("user", "a.user=jo", vec!["jo"]),
        ("$.a.user", "a.user=jo user=no b.a.user=no", vec!["jo"]),
        ("$..user", "b.user=jo", vec!["jo"]),
        ("x-employee", "X-Employee: 12 34\n", vec!["12 34"]),
        ("user", r#"  "user": "jo","#, vec!["jo"]),
        ("user", r#"{\"user\":\"jo\",\"x\":1}"#, vec!["jo"]),
        ("user", r"{'user': 'jo', 'x': 1}", vec!["jo"]),
        ("user", r"line\nuser=jo\nx", vec!["jo"]),
        ("user", "user => jo", vec!["jo"]),
        ("user", "user := jo", vec!["jo"]),
        ("user", "(user=jo)", vec!["jo"]),
        ("user", "user=", vec![]),
        ("$.user", r#"{"a":{"user":"no"}}"#, vec![]),
        ("名前", "名前=太郎 x", vec!["太郎"]),
    ] {
        assert_eq!(values(path, text), expected, "{path} in {text}");
    }
}

#[test]
fn columns_are_found() {
    let text = "id,E-Mail,note\n1,a@b.co,x\n2,\"c, d\",\"y \"\"z\"\"\"\n3,,q\n\n4,e,f\n";
    assert_eq!(values("e-mail", text), ["a@b.co", "c, d"]);
    assert_eq!(values("$.note", text), ["x", "y \"\"z\"\"", "q"]);
    assert_eq!(values("b", "a\tb\r\n1\t2\r\n3\t4"), ["2", "4"]);
    assert_eq!(values("b", "a;b\n1;2;3\n"), Vec::<&str>::new());
    assert_eq!(values("b", "a, b\nx, y\nhello\nx, z\n"), ["y", "z"]);
    assert_eq!(values("b", "a,b"), Vec::<&str>::new());
}

#[test]
fn depth_is_bounded_and_what_holds_around_goes_on_holding() {
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    assert_eq!(values("x", &format!(r#"{{"x":{deep}}}"#)), ["1"]);
    let objects = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
    assert_eq!(values("x", &format!(r#"{{"x":{objects}}}"#)), ["1"]);
    assert_eq!(values("b", &r#"{"a":"#.repeat(100_000)), Vec::<&str>::new());
}

#[test]
fn bad_rules_are_named() {
    let mut problems = Vec::new();
    let field =
        |path: &str, kind: Option<&str>, never| Field { path: path.to_owned(), kind: kind.map(str::to_owned), never };
    let rules = [
        field("$.", Some("X"), false),
        field("a", None, false),
        field("a", Some("X"), true),
        field("", Some("X"), false),
        field("a", Some("x"), false),
    ];
    Fields::new(&rules, &mut Kinds::new(), &mut problems);
    assert_eq!(problems.len(), 5, "{problems:?}");
}

#[test]
fn doubling_the_text_doubles_the_work_in_json() {
    let fields = compile(&[("$.a.b", "X"), ("$..c", "X"), ("d", "")]);
    let steps = |text: &str| {
        let mut hits = Hits::new(text.len(), false, false);
        let mut pass = json::Pass::new(&fields, text, &mut hits);
        pass.run();
        pass.steps
    };
    for piece in [
        "{",
        "[",
        "{\"",
        "{\"a\":",
        "[{",
        "{\"a\"",
        "{\"a\":[",
        "{\"a\":{}",
        "{\"a\":1}",
        "{\"a\" ",
        "{\"a\\",
        "[\"",
        "{\"d\":[",
        "{ ",
        "{}",
        "[[",
        "{\"a\":\"",
        "{\"a\":1 {",
        "}",
        "{\"c\":1,\"c\":",
        "{\"a\":\n",
        "[\"a\",",
    ] {
        let once = steps(&piece.repeat(20_000 / piece.len()));
        let twice = steps(&piece.repeat(40_000 / piece.len()));
        assert!(twice <= once * 5 / 2 + 2000, "{piece:?}: {once}, {twice}");
        assert!(once < 20_000 * 20, "{piece:?}: {once}");
    }
}
