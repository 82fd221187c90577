//! Small pure functions on text: digests, percent-encoding, clipping, titles, and the plain text of a page.

use sha2::{Digest, Sha256};

/// Longest title that Confluence takes, in characters.
pub const MAX_TITLE_CHARS: usize = 255;

/// SHA-256 over parts in lower-case hexadecimal. Each part is preceded by its length, so that no two lists of parts
/// share a digest.
pub fn sha256_hex(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().fold(String::new(), |mut out, byte| {
        for nibble in [byte >> 4, byte & 15] {
            out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
        out
    })
}

/// Percent-encode everything but RFC 3986's unreserved characters, for one path segment or one query value.
pub fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for nibble in [byte >> 4, byte & 15] {
                let digit = char::from_digit(u32::from(nibble), 16).unwrap_or('0');
                out.push(digit.to_ascii_uppercase());
            }
        }
    }
    out
}

/// Whether XML 1.0 allows the character, and a person can see it: C1 controls are allowed there but mean nothing.
pub fn is_printable(c: char) -> bool {
    match c {
        '\t' | '\n' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        _ => !c.is_control(),
    }
}

/// One line without control characters, of at most `max` bytes; a longer one ends in an ellipsis.
pub fn clip(text: &str, max: usize) -> String {
    let words = text.split(|c: char| c.is_whitespace() || !is_printable(c)).filter(|word| !word.is_empty());
    let mut out = String::new();
    for word in words {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
        if out.len() > max {
            let room = max.saturating_sub('…'.len_utf8());
            out.truncate(out.floor_char_boundary(room));
            out.push('…');
            break;
        }
    }
    out
}

/// A title as Confluence keeps it: one line, white space collapsed, at most [`MAX_TITLE_CHARS`]; with an addition that
/// is never cut.
pub fn title(text: &str, addition: &str) -> String {
    let line = clip(text, usize::MAX);
    let room = MAX_TITLE_CHARS.saturating_sub(addition.chars().count());
    let mut out: String = line.chars().take(room).collect();
    out.truncate(out.trim_end().len());
    out.push_str(addition);
    out
}

/// Whether a text begins as HTML does.
pub fn is_html(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim_start().starts_with('<')
}

/// The text of a storage body without its tags, white space collapsed, for a person to recognise it by.
pub fn plain(storage: &str) -> String {
    let mut out = String::new();
    let mut rest = storage;
    while let Some(at) = rest.find('<') {
        let (text, tag) = rest.split_at(at);
        out.push_str(text);
        if let Some(cdata) = tag.strip_prefix("<![CDATA[") {
            let (body, after) = cdata.split_once("]]>").unwrap_or((cdata, ""));
            out.push_str(body);
            rest = after;
            continue;
        }
        // Parameters of macros are not what a reader sees.
        let parameter = tag.starts_with("<ac:parameter");
        let end = if parameter { "</ac:parameter>" } else { ">" };
        out.push(' ');
        rest = tag.split_once(end).map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    let decoded = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")]
        .iter()
        .fold(out, |text, (entity, c)| text.replace(entity, c));
    clip(&decoded, usize::MAX)
}

/// A storage body without what Confluence itself rewrites from version to version, for comparing two versions.
pub fn without_volatile(storage: &str) -> String {
    let mut out = String::with_capacity(storage.len());
    let mut rest = storage;
    let names = [" ac:macro-id=\"", " ac:local-id=\"", " local-id=\"", " ac:schema-version=\""];
    loop {
        let next = names.iter().filter_map(|name| Some((rest.find(name)?, name.len()))).min();
        let Some((at, length)) = next else {
            out.push_str(rest);
            return out;
        };
        let (before, attribute) = rest.split_at(at);
        out.push_str(before);
        let value = attribute.get(length..).unwrap_or_default();
        rest = value.split_once('"').map_or("", |(_, after)| after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digests_keep_parts_apart() {
        assert_eq!(sha256_hex(&[]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_ne!(sha256_hex(&[b"ab", b"c"]), sha256_hex(&[b"a", b"bc"]));
    }

    #[test]
    fn plain_text_and_titles() {
        assert_eq!(
            plain(
                "<h1>A &amp; B</h1><p>c<br/>d<ac:structured-macro ac:name=\"code\"><ac:parameter ac:name=\"language\">sql</ac:parameter><ac:plain-text-body><![CDATA[a < b]]></ac:plain-text-body></ac:structured-macro></p>"
            ),
            "A & B c d a < b"
        );
        assert_eq!(plain("a <b"), "a");
        assert_eq!(title(" a\r\n\tb\u{7} ", " (x)"), "a b (x)");
        assert_eq!(title(&"é".repeat(300), " (x)").chars().count(), 255);
        assert_eq!(percent_encode("a b/ü\"&"), "a%20b%2F%C3%BC%22%26");
        assert_eq!(
            without_volatile("<x ac:name=\"a\" ac:schema-version=\"1\" ac:macro-id=\"1-2\"/> <y local-id=\"q\">"),
            "<x ac:name=\"a\"/> <y>"
        );
    }

    proptest! {
        #[test]
        fn total_on_any_text(text in "\\PC{0,200}", tail in "[<>a-z:\\[\\]!CDAT&;\" -]{0,60}") {
            for text in [&text, &tail] {
                let _ = (plain(text), without_volatile(text));
                prop_assert!(clip(text, 20).len() <= 20);
                prop_assert!(title(text, " (12345678)").chars().count() <= MAX_TITLE_CHARS);
                prop_assert!(percent_encode(text).bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
            }
        }
    }
}
