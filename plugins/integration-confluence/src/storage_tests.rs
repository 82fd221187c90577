//! What Markdown becomes, and that it is well-formed whatever the Markdown is.

use super::*;
use proptest::prelude::*;

fn text_of(storage: &str) -> String {
    let wrapped = format!("<page xmlns:ac=\"urn:ac\" xmlns:ri=\"urn:ri\">{storage}</page>");
    let document = roxmltree::Document::parse(&wrapped).unwrap_or_else(|error| panic!("{error}: {storage}"));
    document.descendants().filter(roxmltree::Node::is_text).filter_map(|node| node.text()).collect()
}

#[test]
fn each_element() {
    for (markdown, want) in [
        ("# A *b*", "<h1>A <em>b</em></h1>"),
        ("###### f", "<h6>f</h6>"),
        ("a\nb  \nc", "<p>a\nb<br/>c</p>"),
        ("**a** ~~b~~ `c<d`", "<p><strong>a</strong> <del>b</del> <code>c&lt;d</code></p>"),
        ("> q\n> > r", "<blockquote><p>q</p><blockquote><p>r</p></blockquote></blockquote>"),
        ("- a\n- b\n  1. c\n", "<ul><li>a</li><li>b<ol><li>c</li></ol></li></ul>"),
        ("7. a\n8. b", "<ol start=\"7\"><li>a</li><li>b</li></ol>"),
        ("---", "<hr/>"),
        (
            "- [x] a\n- [ ] b **c**",
            "<ac:task-list><ac:task><ac:task-status>complete</ac:task-status><ac:task-body>a</ac:task-body></ac:task><ac:task><ac:task-status>incomplete</ac:task-status><ac:task-body>b <strong>c</strong></ac:task-body></ac:task></ac:task-list>",
        ),
        (
            "- [ ] a\n  - [x] b\n- [x] c",
            "<ac:task-list><ac:task><ac:task-status>incomplete</ac:task-status><ac:task-body>a<ac:task-list><ac:task><ac:task-status>complete</ac:task-status><ac:task-body>b</ac:task-body></ac:task></ac:task-list></ac:task-body></ac:task><ac:task><ac:task-status>complete</ac:task-status><ac:task-body>c</ac:task-body></ac:task></ac:task-list>",
        ),
        ("- [x] a\n- b", "<ul><li>☑ a</li><li>b</li></ul>"),
        (
            "|a|b|\n|:-:|-:|\n|1 & 2|`x`|",
            "<table><tbody><tr><th><p style=\"text-align: center;\">a</p></th><th><p style=\"text-align: right;\">b</p></th></tr><tr><td><p style=\"text-align: center;\">1 &amp; 2</p></td><td><p style=\"text-align: right;\"><code>x</code></p></td></tr></tbody></table>",
        ),
        (
            "```SQL title=x\nselect ']]>' < 1\n```",
            "<ac:structured-macro ac:name=\"code\"><ac:parameter ac:name=\"language\">sql</ac:parameter><ac:plain-text-body><![CDATA[select ']]]]><![CDATA[>' < 1]]></ac:plain-text-body></ac:structured-macro>",
        ),
        (
            "```klingon\nx\n```",
            "<ac:structured-macro ac:name=\"code\"><ac:plain-text-body><![CDATA[x]]></ac:plain-text-body></ac:structured-macro>",
        ),
        (
            "[a & b](https://x.example/?q=1&r=\"2\")",
            "<p><a href=\"https://x.example/?q=1&amp;r=&quot;2&quot;\">a &amp; b</a></p>",
        ),
        ("[a](https://x.example/?q=1&r=2 \"t\")", "<p><a href=\"https://x.example/?q=1&amp;r=2\">a</a></p>"),
        ("<mailto:a@b.example>", "<p><a href=\"mailto:a@b.example\">mailto:a@b.example</a></p>"),
        ("[a](JavaScript:alert(1)) [b](/x) [c](data:text/html,x)", "<p>a b c</p>"),
        ("![alt](https://x.example/i.png)", "<p><a href=\"https://x.example/i.png\">alt</a></p>"),
        ("![](https://x.example/i.png)", "<p><a href=\"https://x.example/i.png\">image</a></p>"),
        ("[![alt](http://i.example/)](http://l.example/)", "<p><a href=\"http://l.example/\">alt</a></p>"),
        ("a <b onclick='x'>c</b> &nbsp;&lt;", "<p>a &lt;b onclick=&#39;x&#39;&gt;c&lt;/b&gt; \u{a0}&lt;</p>"),
        ("<script>\nalert(1)\n</script>", "<p>&lt;script&gt;\nalert(1)\n&lt;/script&gt;</p>"),
        ("<ac:structured-macro ac:name=\"html\"/>", "<p>&lt;ac:structured-macro ac:name=&quot;html&quot;/&gt;</p>"),
        ("a\u{0}b\u{8}c\u{1b}[0m\u{85}\u{ffff}😀", "<p>abc[0m😀</p>"),
    ] {
        let got = from_markdown(markdown);
        assert_eq!(got.trim_end().replace("\n</p>", "</p>"), want, "{markdown}");
        text_of(&got);
    }
}

#[test]
fn deep_and_long_input_stays_well_formed_and_quick() {
    for markdown in [
        "> ".repeat(2000) + "x",
        "- ".repeat(2000) + "x",
        "*a ".repeat(3000) + &"b* ".repeat(3000),
        (0..200).map(|n| format!("{}- [ ] t{n}\n", "  ".repeat(n))).collect(),
        "[".repeat(5000),
        format!("```\n{}\n```", "]]>".repeat(5000)),
        "word ".repeat(200_000),
    ] {
        let storage = from_markdown(&markdown);
        text_of(&storage);
        let mut depth = 0_usize;
        let mut deepest = 0;
        for tag in storage.split('<').skip(1) {
            if tag.starts_with('/') {
                depth -= 1;
            } else if !tag.contains("/>") && !tag.starts_with('!') {
                depth += 1;
            }
            deepest = deepest.max(depth);
        }
        assert!(!storage.contains("<ul></ul>") && !storage.contains("<ul>x"), "a list holds items");
        assert!(deepest <= 2 * MAX_DEPTH + 4, "{deepest}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn always_well_formed(parts in proptest::collection::vec(prop_oneof![
        "\\PC{0,12}", any::<String>(),
        prop_oneof![
            Just("\n"), Just("\n\n"), Just("- "), Just("- [x] "), Just("- [ ] "), Just("1. "), Just("  "), Just("    "), Just("> "),
            Just("# "), Just("```\n"), Just("~~~sql\n"), Just("|a|b|\n|-|-|\n|"), Just("|"), Just("**"), Just("*"), Just("~~"),
            Just("`"), Just("[a](http://x/?a=\"&b='<>)"), Just("![a"), Just("](https://x)"), Just("<b>"), Just("</p>"), Just("<!--"),
            Just("]]>"), Just("&amp;"), Just("&#0;"), Just("&#x1;"), Just("<https://x/\">"), Just("---\n"), Just("\\"), Just("[^1]"), Just("[a]: javascript:x\n"),
        ].prop_map(str::to_owned),
    ], 0..40)) {
        let markdown = parts.concat();
        let storage = from_markdown(&markdown);
        let text = text_of(&storage);
        prop_assert!(text.chars().all(is_printable));
        // No address but those that are allowed.
        for target in storage.split("href=\"").skip(1) {
            prop_assert!(["http:", "https:", "mailto:"].iter().any(|s| target.to_lowercase().starts_with(s)), "{}", target);
        }
        prop_assert!(!storage.contains("ri:") || markdown.contains("ri:"));
    }

    #[test]
    fn words_survive(words in proptest::collection::vec("[a-zA-Z0-9äöü😀]{1,8}", 1..20)) {
        let line = words.join(" ");
        prop_assert_eq!(text_of(&from_markdown(&line)), line);
    }

    #[test]
    fn cdata_and_escape_round_trip(text in "[\\]><&'\"a-z\\[!CDAT é]{0,60}") {
        prop_assert_eq!(text_of(&cdata(&text)), text.clone());
        prop_assert_eq!(text_of(&escape(&text)), text);
    }
}
