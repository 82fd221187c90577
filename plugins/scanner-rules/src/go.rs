//! Patterns of gitleaks are written for Go's engine: this writes them anew for ours.
//!
//! What differs, and what becomes of it: Perl's classes and word boundaries are ASCII's; a brace that begins no
//! repetition is a brace (also `{,n}`); a bracket, `&&`, `--` or `~~` in a class is nothing special; `\Q…\E`, octal
//! escapes and `\C` do not exist here; `\<` is a character there and a boundary here.
//!
//! Invariant: what comes out is a pattern that matches the same texts, except that `(?i)` folds ASCII letters only (Go
//! also takes the Kelvin sign for a k). What Go refuses may come out as something that the parser refuses in its turn.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

const DIGIT: &str = "0-9";
const WORD: &str = "0-9A-Za-z_";
const SPACE: &str = r"\x{9}\x{a}\x{c}\x{d}\x{20}";

/// One pattern in the syntax of this project's engine.
///
/// # Errors
/// What is wrong with the pattern, in a few words.
pub(crate) fn translate(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() * 2);
    // Without Unicode, classes are bytes: that is what Go's are made for, and it keeps the automata small.
    out.push_str("(?-u)");
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => escape(&mut rest, &mut out)?,
            '[' => class(&mut rest, &mut out)?,
            '{' => repetition(&mut rest, &mut out),
            '(' => group(&mut rest, &mut out)?,
            '.' => out.push_str("(?u:.)"),
            '*' | '+' | '?' | ')' | '|' | '^' | '$' => out.push(c),
            c => literal(c, &mut out),
        }
    }
    Ok(out)
}

/// A character that stands for itself.
fn literal(c: char, out: &mut String) {
    if c.is_ascii_alphanumeric() || matches!(c, '_' | ' ' | '"' | '\'' | '/' | ':' | '=' | ',' | ';' | '@' | '%') {
        out.push(c);
    } else if c.is_ascii() {
        let _ = write!(out, r"\x{{{:x}}}", u32::from(c));
    } else {
        let _ = write!(out, r"(?u:\x{{{:x}}})", u32::from(c));
    }
}

/// What follows a backslash outside a class.
fn escape(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    match rest.peek().copied() {
        None => return Err("a backslash ends it".to_owned()),
        Some(c @ ('A' | 'z' | 'b' | 'B')) => {
            out.push('\\');
            out.push(c);
        }
        Some('C') => out.push_str("(?su:.)"),
        Some('d') => bracket("", DIGIT, out),
        Some('w') => bracket("", WORD, out),
        Some('s') => bracket("", SPACE, out),
        Some('D') => bracket("^", DIGIT, out),
        Some('W') => bracket("^", WORD, out),
        Some('S') => bracket("^", SPACE, out),
        Some('p' | 'P') => {
            out.push_str("(?u:");
            property(rest, out)?;
            out.push(')');
            return Ok(());
        }
        Some('Q') => {
            rest.next();
            quoted(rest, out);
            return Ok(());
        }
        Some(_) => {
            literal(character(rest)?, out);
            return Ok(());
        }
    }
    rest.next();
    Ok(())
}

fn bracket(not: &str, ranges: &str, out: &mut String) {
    if not.is_empty() {
        let _ = write!(out, "[{ranges}]");
    } else {
        let _ = write!(out, "(?u:[^{ranges}])");
    }
}

/// `\Q…\E`, after the Q.
fn quoted(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    while let Some(c) = rest.next() {
        if c == '\\' && rest.peek() == Some(&'E') {
            rest.next();
            return;
        }
        literal(c, out);
    }
}

/// `pL`, `P{Greek}`: as it stands.
fn property(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    out.push('\\');
    out.extend(rest.next());
    match rest.next() {
        Some('{') => {
            out.push('{');
            for c in rest.by_ref() {
                out.push(c);
                if c == '}' {
                    return Ok(());
                }
            }
            Err("a class of Unicode is not closed".to_owned())
        }
        Some(c) => {
            out.push(c);
            Ok(())
        }
        None => Err("a class of Unicode has no name".to_owned()),
    }
}

/// An escape that is one character, after its backslash.
fn character(rest: &mut Peekable<Chars<'_>>) -> Result<char, String> {
    let unknown = |c: char| Err(format!("\\{c} means nothing in Go"));
    let Some(c) = rest.next() else { return Err("a backslash ends it".to_owned()) };
    match c {
        'a' => Ok('\x07'),
        'f' => Ok('\x0c'),
        'n' => Ok('\n'),
        'r' => Ok('\r'),
        't' => Ok('\t'),
        'v' => Ok('\x0b'),
        '0'..='7' => {
            if c != '0' && !rest.peek().is_some_and(|c| c.is_digit(8)) {
                return unknown(c);
            }
            let mut value = c.to_digit(8).unwrap_or(0);
            for _ in 0..2 {
                if let Some(digit) = rest.peek().and_then(|c| c.to_digit(8)) {
                    value = value * 8 + digit;
                    rest.next();
                }
            }
            char::from_u32(value).ok_or_else(|| "an octal escape is no character".to_owned())
        }
        'x' => hexadecimal(rest).ok_or_else(|| "a hexadecimal escape is no character".to_owned()),
        c if c.is_ascii_alphanumeric() || !c.is_ascii() => unknown(c),
        c => Ok(c),
    }
}

fn hexadecimal(rest: &mut Peekable<Chars<'_>>) -> Option<char> {
    let mut value = 0_u32;
    if rest.next_if_eq(&'{').is_some() {
        loop {
            match rest.next()? {
                '}' => return char::from_u32(value),
                c => value = value.checked_mul(16)?.checked_add(c.to_digit(16)?)?,
            }
        }
    }
    for _ in 0..2 {
        value = value * 16 + rest.next()?.to_digit(16)?;
    }
    char::from_u32(value)
}

/// After an opening brace: a repetition as Go reads it, or a brace.
fn repetition(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    let mut ahead = rest.clone();
    let mut text = String::from("{");
    let mut digits = 0;
    let mut comma = false;
    for c in ahead.by_ref() {
        text.push(c);
        match c {
            '0'..='9' => digits += 1,
            ',' if !comma && digits > 0 => comma = true,
            '}' if digits > 0 => {
                out.push_str(&text);
                *rest = ahead;
                return;
            }
            _ => break,
        }
    }
    out.push_str(r"\x{7b}");
}

/// After an opening parenthesis: what makes it a special group is the same in both, where both know it.
fn group(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    out.push('(');
    if rest.next_if_eq(&'?').is_none() {
        return Ok(());
    }
    out.push('?');
    match rest.peek() {
        Some('P' | '<') => {
            for c in rest.by_ref() {
                out.push(c);
                if c == '>' {
                    return Ok(());
                }
            }
            Err("the name of a group is not closed".to_owned())
        }
        _ => {
            for c in rest.by_ref() {
                match c {
                    'i' | 'm' | 's' | 'U' | '-' => out.push(c),
                    ':' | ')' => {
                        out.push(c);
                        return Ok(());
                    }
                    c => return Err(format!("Go has no groups of the kind (?{c}")),
                }
            }
            Err("a group is not closed".to_owned())
        }
    }
}

/// After an opening bracket.
fn class(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    let open = || "a class is not closed".to_owned();
    let not = rest.next_if_eq(&'^').is_some();
    // Bytes, as long as it holds nothing that is more than a byte.
    let mut wide = not;
    let mut items = String::new();
    let mut first = true;
    loop {
        let c = *rest.peek().ok_or_else(open)?;
        if c == ']' && !first {
            rest.next();
            break;
        }
        first = false;
        if c == '[' && posix(rest, &mut items, &mut wide) {
            continue;
        }
        if c == '\\' && set_escape(rest, &mut items, &mut wide)? {
            continue;
        }
        let low = class_character(rest)?;
        let mut high = low;
        let mut ahead = rest.clone();
        if ahead.next() == Some('-') && !matches!(ahead.peek(), Some(']') | None) {
            *rest = ahead;
            high = class_character(rest)?;
            if high < low {
                return Err("a range in a class is the wrong way round".to_owned());
            }
        }
        wide |= !high.is_ascii();
        let _ = write!(items, r"\x{{{:x}}}-\x{{{:x}}}", u32::from(low), u32::from(high));
    }
    let not = if not { "^" } else { "" };
    if wide {
        let _ = write!(out, "(?u:[{not}{items}])");
    } else {
        let _ = write!(out, "[{items}]");
    }
    Ok(())
}

fn class_character(rest: &mut Peekable<Chars<'_>>) -> Result<char, String> {
    match rest.next() {
        Some('\\') => character(rest),
        Some(c) => Ok(c),
        None => Err("a class is not closed".to_owned()),
    }
}

/// `[:alpha:]`; says whether it is one.
fn posix(rest: &mut Peekable<Chars<'_>>, items: &mut String, wide: &mut bool) -> bool {
    let mut ahead = rest.clone();
    let mut name = String::new();
    ahead.next();
    if ahead.next() != Some(':') {
        return false;
    }
    while let Some(c) = ahead.next() {
        if c == ':' && ahead.peek() == Some(&']') {
            ahead.next();
            *wide |= name.starts_with('^');
            let _ = write!(items, "[:{name}:]");
            *rest = ahead;
            return true;
        }
        if !c.is_ascii_alphabetic() && c != '^' {
            return false;
        }
        name.push(c);
    }
    false
}

/// A class within a class that is written as an escape; says whether it is one.
fn set_escape(rest: &mut Peekable<Chars<'_>>, items: &mut String, wide: &mut bool) -> Result<bool, String> {
    let mut ahead = rest.clone();
    ahead.next();
    let (not, ranges) = match ahead.peek() {
        Some('d') => (false, DIGIT),
        Some('w') => (false, WORD),
        Some('s') => (false, SPACE),
        Some('D') => (true, DIGIT),
        Some('W') => (true, WORD),
        Some('S') => (true, SPACE),
        Some('p' | 'P') => {
            *wide = true;
            *rest = ahead;
            property(rest, items)?;
            return Ok(true);
        }
        _ => return Ok(false),
    };
    ahead.next();
    *rest = ahead;
    *wide |= not;
    if not {
        let _ = write!(items, "[^{ranges}]");
    } else {
        items.push_str(ranges);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that a pattern of Go matches in a text.
    fn all<'a>(pattern: &str, text: &'a str) -> Vec<&'a str> {
        let regex = regex_automata::meta::Regex::new(&translate(pattern).unwrap()).unwrap();
        regex.find_iter(text).map(|found| &text[found.range()]).collect()
    }

    #[test]
    fn what_differs_is_written_anew() {
        for (pattern, text, expected) in [
            (r"\d+", "12 ٣٤", vec!["12"]),
            (r"\w+", "aé b", vec!["a", "b"]),
            (r"\bb", "éb b", vec!["b", "b"]),
            (r"a{,2}", "a{,2} aa", vec!["a{,2}"]),
            (r"^\${(?:[A-Z_]+|[a-z_]+)}$", "${HOME}", vec!["${HOME}"]),
            (r"^\{\d{0,2}}$", "{12}", vec!["{12}"]),
            (r"\Qa.b*\E+", "a.b** a-b", vec!["a.b**"]),
            (r"[[a]+", "[a]", vec!["[a"]),
            (r"[a&&b~~]+", "a&~b", vec!["a&~b"]),
            (r"[\w .-/]+", "a./b,", vec!["a./b"]),
            (r"[]a]+", "]a", vec!["]a"]),
            (r"[\w-]+", "a-b", vec!["a-b"]),
            (r"[[:alnum:]_]+", "a_1-", vec!["a_1"]),
            (r"[^\S\n]+", "a \t\nb", vec![" \t"]),
            (r"\<a\>", "<a> a", vec!["<a>"]),
            (r"\101\x41\x{41}", "AAA", vec!["AAA"]),
            (r"p8e-(?i)[a-z]+", "p8e-aB P8E-a", vec!["p8e-aB"]),
            (r"(?i)a(?-i:b)", "Ab AB", vec!["Ab"]),
            (r"a.c|b[^x]c", "aéc bßc", vec!["aéc", "bßc"]),
            (r"a\z", "a a", vec!["a"]),
            (r"(?P<n>é)+", "éé", vec!["éé"]),
            (r"[é-ü]+", "éü", vec!["éü"]),
            (r"\pL+", "éa1", vec!["éa"]),
            (r"[\s\S-]{3}", "a-\n", vec!["a-\n"]),
        ] {
            assert_eq!(all(pattern, text), expected, "{pattern}");
        }
    }

    #[test]
    fn what_go_refuses_is_an_error() {
        for pattern in [r"a\", r"\Z", r"\1", r"(?=a)", r"(?<!a)", r"[a", r"[z-a]", r"\p{", r"\x{110000}", r"(?P<a"] {
            assert!(translate(pattern).is_err(), "{pattern}");
        }
    }
}
