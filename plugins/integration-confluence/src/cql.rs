//! Confluence's query language.
//!
//! Invariant: text of a person or a log reaches a query through [`quote`] alone, and can never end its string.

use std::fmt::Write as _;

/// A string literal with exactly this value, but for control characters, which become spaces.
pub fn quote(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The words of a search. Inside its string, `~` takes Lucene's syntax, whose operators a person did not mean.
fn words(text: &str) -> String {
    let spaced: String = text
        .chars()
        .map(|c| match c {
            '+' | '-' | '&' | '|' | '!' | '(' | ')' | '{' | '}' | '[' | ']' | '^' | '~' | '*' | '?' | ':' | '\\'
            | '/' | '"' => ' ',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect();
    spaced
        .split_whitespace()
        // Upper case makes them operators.
        .map(|word| match word {
            "AND" | "OR" | "NOT" => word.to_lowercase(),
            _ => word.to_owned(),
        })
        .take(32)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Pages of a space (or of all) with these words, the newest first.
pub fn search(text: &str, space: Option<&str>) -> String {
    let mut cql = "type = page".to_owned();
    if let Some(space) = space {
        let _ = write!(cql, " and space = {}", quote(space));
    }
    let words = words(text);
    if !words.is_empty() {
        let words = quote(&words);
        let _ = write!(cql, " and (title ~ {words} or text ~ {words})");
    }
    cql.push_str(" order by lastmodified desc");
    cql
}

/// Pages changed since a time, the oldest change first. `since` is `yyyy-MM-dd HH:mm`.
pub fn changed_since(since: &str, space: Option<&str>) -> String {
    let mut cql = format!("type = page and lastmodified >= {}", quote(since));
    if let Some(space) = space {
        let _ = write!(cql, " and space = {}", quote(space));
    }
    cql.push_str(" order by lastmodified asc");
    cql
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads a literal back as the server does; nothing unless the whole text is one literal.
    fn unquote(text: &str) -> Option<String> {
        let mut chars = text.strip_prefix('"')?.chars();
        let mut out = String::new();
        loop {
            match chars.next()? {
                '"' => return chars.as_str().is_empty().then_some(out),
                '\\' => out.push(chars.next()?),
                c => out.push(c),
            }
        }
    }

    #[test]
    fn queries() {
        assert_eq!(
            search("db \"timeout\" (prod) AND", Some("OPS")),
            "type = page and space = \"OPS\" and (title ~ \"db timeout prod and\" or text ~ \"db timeout prod and\") order by lastmodified desc"
        );
        assert_eq!(search(" \" ", None), "type = page order by lastmodified desc");
        assert_eq!(
            search("x", Some("A\" or space = \"SECRET")),
            "type = page and space = \"A\\\" or space = \\\"SECRET\" and (title ~ \"x\" or text ~ \"x\") order by lastmodified desc"
        );
        assert_eq!(
            changed_since("2026-01-02 03:04", None),
            "type = page and lastmodified >= \"2026-01-02 03:04\" order by lastmodified asc"
        );
    }

    proptest! {
        #[test]
        fn a_literal_never_ends_early(value in any::<String>()) {
            let want: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            prop_assert_eq!(unquote(&quote(&value)), Some(want));
        }

        #[test]
        fn words_hold_no_operator(text in any::<String>()) {
            let words = words(&text);
            prop_assert!(!words.contains(['"', '\\', '*', '~', '(', ':']));
        }
    }
}
