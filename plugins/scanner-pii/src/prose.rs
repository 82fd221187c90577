//! Passwords that no separator binds to a name: in sentences, clauses and lines of configuration; and remarks that stand
//! where a password would.
//!
//! Invariant: without a separator or quotes, a password has to look like one.

use crate::kind::Kind;
use crate::scan::Scan;
use crate::text::{ALPHA, BLANK, Text, WORD};
use crate::value::{self, Join, Makeup, Value};
use crate::worded;

/// `requirepass hunter2`: name and value are a line of a configuration by themselves, and no sentence.
pub(crate) fn is_directive(text: &Text<'_>, name_start: usize, found: Value) -> bool {
    let begins = text.slice(name_start.saturating_sub(16), name_start);
    let indent = begins.iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let first = matches!(text.before(name_start - indent), b'\n');
    let ends = matches!(text.at(text.run(found.end, BLANK)), b'\n' | b'\r' | 0);
    let makeup = Makeup::of(text.slice(found.start, found.end));
    first && ends && makeup.digits > 0 && makeup.lower + makeup.upper > 0
}

/// What tools write in place of a value: `(sensitive value)`, `<not set>`, and YAML's tags (`!vault |`, `!Ref x`).
pub(crate) fn is_remark(text: &Text<'_>, found: Value) -> bool {
    let close = match text.at(found.start) {
        b'(' => b')',
        b'[' => b']',
        b'!' => {
            let name = text.slice(found.start + 1, found.end);
            let tag = !name.is_empty() && name.iter().all(|b| b.is_ascii_alphabetic() || matches!(b, b':' | b'_'));
            return tag && found.join == Join::Colon && text.at(found.end) == b' ';
        }
        _ => return false,
    };
    let rest = text.slice(found.end, text.line_end(found.end).min(found.end + 40));
    text.tick(rest.len());
    !text.slice(found.start, found.end).contains(&close) && rest.first() == Some(&b' ') && rest.contains(&close)
}

/// "password hunter2", "the password is hunter2": a password in prose has to look like one. `at` is behind the word.
pub(crate) fn found(scan: &mut Scan<'_>, at: usize) {
    let text = &scan.text;
    let mut start = text.run(at, BLANK);
    if start == at {
        return;
    }
    if text.has(start, "for ") {
        start = owner(text, start + 4);
    }
    for word in worded::VERBS {
        if text.has(start, word) {
            start = text.run(start + word.len(), BLANK);
        }
    }
    if candidate(scan, start) {
        return;
    }
    // "The password I tried was x", "mot de passe provisoire : x": a verb or a colon a few words on.
    let line = scan.text.slice(start, scan.text.line_end(start).min(start + AHEAD));
    scan.text.tick(line.len());
    let mut word_start = 0;
    for (at, byte) in line.iter().enumerate() {
        if *byte != b' ' {
            if matches!(byte, b'.' | b';' | b',' | b'"' | b'=' | b'(') {
                return;
            }
            continue;
        }
        let word = line.get(word_start..at).unwrap_or_default();
        word_start = at + 1;
        let verb = [
            "is", "was", "es", "est", "ist", "jest", "still", ":", "lautet", "era", "er", "on", "é", "är", "je",
            "este", "это",
        ]
        .iter()
        .any(|verb| word == verb.as_bytes())
            || word == "è".as_bytes()
            || word.ends_with(b":")
            || [
                "iniziale",
                "initial",
                "temporary",
                "vorläufig",
                "voorlopig",
                "tymczasowe",
                "temporaneo",
                "provisoire",
                "temporal",
                "inicial",
                "provisional",
            ]
            .iter()
            .any(|kind| word.eq_ignore_ascii_case(kind.as_bytes()));
        if verb && candidate(scan, start + at + 1) {
            return;
        }
    }
}

/// How far behind the word a verb is looked for.
const AHEAD: usize = 56;

/// A word that looks like a password stands at `at`, perhaps in quotes. Gives whether it does.
pub(crate) fn candidate(scan: &mut Scan<'_>, at: usize) -> bool {
    let text = &scan.text;
    let mut start = at;
    // `<b>`, `<code>`: mail in HTML sets it off.
    if text.at(start) == b'<' {
        let tag = text.run(start + 1, ALPHA);
        if text.at(tag) == b'>' && tag > start + 1 {
            start = tag + 1;
        }
    }
    // The kind of encoding, in configurations of routers: `password 0 x`.
    if text.at(start).is_ascii_digit() && text.at(start + 1) == b' ' {
        start += 2;
    }
    let close = match text.at(start) {
        quote @ (b'"' | b'\'' | b'`') => {
            start += 1;
            Some(quote)
        }
        _ => None,
    };
    let mut end = start;
    while text.at(end) > b' ' && Some(text.at(end)) != close && !matches!(text.at(end), b'"' | b'<') {
        end += 1;
    }
    text.tick(end - start + 8);
    if close.is_none() && !text.is_cut(end) {
        while end > start && matches!(text.at(end - 1), b'.' | b',' | b';' | b':' | b')' | b'\'') {
            end -= 1;
        }
    }
    let value = text.slice(start, end);
    let makeup = Makeup::of(value);
    let letters = makeup.lower + makeup.upper;
    let strong = value.len() >= 6 && letters >= 2 && makeup.digits + makeup.other > 0;
    // No word is as long; a program or an address may be.
    let other = value.len() >= 64 && !value::is_random(value, 64);
    // A mark at the end may be the sentence's.
    let inner = value.split_last().map_or(value, |(_, inner)| inner);
    let digits_or_marks = makeup.digits > 0 || inner.iter().any(|b| b"!@#$%^&*?".contains(b));
    let counted = value.iter().all(|b| b.is_ascii_digit() || b"-/:.%,".contains(b));
    if !strong
        || other
        || !digits_or_marks
        || counted
        || value.starts_with(b"HTTP/")
        || value::is_placeholder(value)
        || value::is_path(value)
        || value::is_state(value)
        || value::is_code(value)
    {
        return false;
    }
    // Sizes, versions, addresses: `2fa`, `v1.2`, `10.0.0.1`, `user@host`.
    let call = value.iter().position(|b| *b == b'(').is_some_and(|at| {
        at > 2
            && value.iter().take(at).all(u8::is_ascii_alphabetic)
            && value.iter().skip(at + 1).all(u8::is_ascii_digit)
    });
    // Algorithms: `SHA-256`, `AES-128-CBC`.
    let head = value.get(..4.min(value.len())).unwrap_or_default();
    let algorithm = makeup.lower == 0
        && value.len() <= 16
        && ["SHA", "AES", "RSA", "HMAC", "MD5", "SCRA", "3DES", "WPA"]
            .iter()
            .any(|name| head.starts_with(name.as_bytes()));
    if algorithm {
        return false;
    }
    // Variables: `$cwd`, `@members`.
    let sigil = matches!(value.first(), Some(b'$' | b'@'))
        && value.iter().skip(1).all(|b| b.is_ascii_lowercase() || matches!(b, b'_' | b')' | b'\\'));
    if sigil || call || value.contains(&b'@') && value.contains(&b'.') || value.contains(&b'=') || value.contains(&b'[')
    {
        return false;
    }
    scan.emit(Kind::Password, start, end, 0.75, false, "password in prose");
    true
}

/// Behind whose password it is, which is said at `at`: "for user jo is x", "for jo@acme.com: x". A place without a verb
/// or a colon behind it has no password either.
fn owner(text: &Text<'_>, at: usize) -> usize {
    let mut at = at;
    for word in ["the ", "your ", "user ", "account "] {
        if text.has(at, word) {
            at += word.len();
        }
    }
    let mut end = at;
    while end < at + 64 && text.at(end) > b' ' {
        end += 1;
    }
    text.tick(end - at);
    let bound =
        text.before(end) == b':' || ["is ", "was ", "has been set to "].iter().any(|verb| text.has(end + 1, verb));
    let end = if text.has(end + 1, "has been set to ") { end + 13 } else { end };
    if bound { text.run(end, BLANK) } else { text.len() }
}

/// `IDENTIFIED WITH plugin BY 'x'`: `at` is behind the second word.
pub(crate) fn plugin_secret(scan: &mut Scan<'_>, at: usize) {
    let quote = usize::from(matches!(scan.text.at(at), b'"' | b'\'' | b'`'));
    let end = scan.text.run(at + quote, WORD) + quote;
    if end - at < 64 && scan.text.has(end, " by ") {
        bare_secret(scan, end + 4);
    }
}

/// `IDENTIFIED BY 'x'`, `sshpass -p x`: `at` is behind the words.
pub(crate) fn bare_secret(scan: &mut Scan<'_>, at: usize) {
    let text = &scan.text;
    let mut start = text.run(at, BLANK);
    if text.has(start, "password ") {
        return;
    }
    let quote = text.at(start);
    let quoted = matches!(quote, b'"' | b'\'');
    start += usize::from(quoted);
    let mut end = start;
    while text.at(end) > if quoted { 31 } else { b' ' } && !(quoted && text.at(end) == quote) {
        end += 1;
    }
    text.tick(end - start);
    // A quote that nothing closes may be an apostrophe.
    if quoted && text.at(end) != quote && !text.is_cut(end) {
        end = text.floor(end.min(start + 128));
    }
    let value = text.slice(start, end);
    let makeup = Makeup::of(value);
    // Without quotes, the words before are prose as often.
    let clear = quoted
        || (makeup.digits > 0 && makeup.lower + makeup.upper > 1 && !value.iter().any(|b| matches!(b, b'<' | b'`')));
    if value.len() >= 4 && clear && !value::is_placeholder(value) && !value::is_state(value) {
        scan.emit(Kind::Password, start, end, 0.9, true, "password clause");
    }
}
