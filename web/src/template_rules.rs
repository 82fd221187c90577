//! Rules that hold for every template and for the sprite. The server's Content-Security-Policy allows no inline script
//! and no inline style: what breaks it would fail in the browser only, so it fails here first.

use std::fs;
use std::path::{Path, PathBuf};

fn files(folder: &str, extension: &str) -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, extension: &str, out: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, extension, out);
            } else if path.extension().is_some_and(|e| e == extension) {
                let text = fs::read_to_string(&path).unwrap();
                out.push((path, text));
            }
        }
    }
    let mut out = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), extension, &mut out);
    assert!(!out.is_empty(), "nothing in {folder}");
    out
}

/// The tags of a template, expressions within them replaced by `x`, so that quotes are balanced.
fn tags(text: &str) -> Vec<String> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{").into_iter().chain(rest.find("{%")).min() {
        let close = if rest[start..].starts_with("{{") { "}}" } else { "%}" };
        let end = start + rest[start..].find(close).unwrap() + 2;
        plain.push_str(&rest[..start]);
        plain.push(if close == "}}" { 'x' } else { ' ' });
        rest = &rest[end..];
    }
    plain.push_str(rest);
    plain.split('<').skip(1).map(|tag| tag.split('>').next().unwrap().to_owned()).collect()
}

/// What a tag breaks, if anything.
fn fault(tag: &str) -> Option<&'static str> {
    let name = tag.split(char::is_whitespace).next().unwrap_or_default();
    let attributes: Vec<_> = tag
        .split_whitespace()
        .skip(1)
        .filter_map(|word| word.split_once('=').map(|(name, _)| name.to_ascii_lowercase()))
        .collect();
    let has = |wanted: &str| attributes.iter().any(|name| name == wanted);
    if attributes.iter().any(|name| name.starts_with("on") || name.starts_with("hx-on")) {
        return Some("an inline handler");
    }
    if has("style") || name == "style" {
        return Some("an inline style");
    }
    if name == "script" && !has("src") {
        return Some("an inline script");
    }
    if tag.to_ascii_lowercase().contains("javascript:") || tag.contains("js:") {
        return Some("a script in an address or value");
    }
    if tag.contains("hx-trigger=\"")
        && tag.split("hx-trigger=\"").nth(1).unwrap_or_default().split('"').next().unwrap_or_default().contains('[')
    {
        return Some("a filter of a trigger, which needs eval");
    }
    if name == "form" && !tag.contains("method=\"dialog\"") && !(has("method") && has("action")) {
        return Some("a form that does not work without scripts");
    }
    if ["src", "href", "action", "formaction"]
        .iter()
        .any(|a| tag.contains(&format!(" {a}=\"http")) || tag.contains(&format!(" {a}=\"//")))
    {
        return Some("an address outside this server");
    }
    if name == "a" && has("target") && !tag.contains("noopener") {
        return Some("a new window that can reach back");
    }
    if name == "img" || name == "iframe" || name == "object" || name == "embed" {
        return Some("an element that the policy blocks");
    }
    None
}

#[test]
fn templates_keep_the_policy() {
    for (path, text) in files("templates", "html") {
        for tag in tags(&text) {
            assert_eq!(fault(&tag), None, "{}: <{tag}>", path.display());
        }
        assert!(!text.contains("|safe") && !text.contains("| safe"), "{}: markup unescaped", path.display());
        assert!(!text.contains("autoescape"), "{}: escaping switched", path.display());
    }
}

#[test]
fn the_rules_can_fail() {
    let bad = [
        "a href=\"/\" onclick=\"x()\"",
        "p style=\"color:red\"",
        "script",
        "a href=\"javascript:x\"",
        "form",
        "form method=\"post\"",
        "link href=\"https://cdn.example/x.css\"",
        "a href=\"/\" target=\"_blank\"",
        "div hx-trigger=\"click[x]\"",
        "div hx-on:click=\"x\"",
        "img src=\"/x\"",
    ];
    for tag in bad {
        assert!(fault(tag).is_some(), "<{tag}> passes");
    }
    assert_eq!(tags("<a {% if x %}href=\"{{ y(\"<b>\") }}\"{% endif %}>t</a>"), ["a  href=\"x\" ", "/a"]);
}

#[test]
fn every_icon_is_in_the_sprite() {
    let sprite = crate::icons::SPRITE.to_string();
    let sources = files("templates", "html").into_iter().chain(files("src/view", "rs"));
    let mut seen = 0;
    for (path, text) in sources {
        for part in text.split("icon(\"").skip(1) {
            let name = part.split('"').next().unwrap();
            seen += 1;
            assert!(sprite.contains(&format!("id=\"i-{name}\"")), "{}: no icon {name}", path.display());
        }
    }
    assert!(seen > 50, "the search finds icons: {seen}");
    assert!(!sprite.contains("style=") && !sprite.contains("<script"));
}

#[test]
fn ids_on_a_page_that_scripts_need_are_there() {
    let all: String = files("templates", "html").into_iter().map(|(_, text)| text).collect();
    for id in [
        "find",
        "zone",
        "keys",
        "palette",
        "palette-q",
        "palette-list",
        "problem",
        "sash",
        "evidence",
        "bench",
        "viewer",
        "finding",
        "legend",
        "pending",
        "jump",
        "whole",
        "whole-line",
        "chat",
        "composer",
        "editor",
        "preview",
        "fold-left",
        "fold-right",
    ] {
        assert!(all.contains(&format!("id=\"{id}\"")), "no element {id}");
    }
}
