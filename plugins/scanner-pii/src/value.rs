//! Where the value of a field begins and ends, in each notation.
//!
//! Invariant: looking for a closing quote is paid for once for each line, however many quotes stay open, and so is
//! looking for the end of an unquoted value.

use crate::block;
pub(crate) use crate::looks::{
    Makeup, is_code, is_label, is_path, is_placeholder, is_random, is_state, is_text, is_uuid,
};
use crate::markup::{Wrapped, cell_behind, element_end, field_value, is_cell, next_line, part_value, wrapped};
use crate::text::{BARE, BLANK, Text, is};

/// How name and value are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Join {
    /// `=`, `:=`, `=>`.
    Equals,
    /// `:`.
    Colon,
    /// `%3D`.
    Encoded,
    /// `<name>value</name>`.
    Element,
    /// `password('value')`.
    Call,
    /// Blanks alone.
    Blank,
    /// A comma between quoted strings, `(name)=(value)`, `name` and `value` as fields of their own.
    Other,
}

/// A value and how it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    pub start: usize,
    pub end: usize,
    pub quoted: bool,
    pub join: Join,
    /// Blanks stand between the separator and the value.
    pub spaced: bool,
    /// Where the block scalar ends whose first line this is.
    pub block: Option<usize>,
}

/// What closing quotes were last looked for: for each kind, from where, to where.
#[derive(Debug, Default)]
pub(crate) struct Quotes {
    seen: [(usize, usize); 10],
    /// Where the last unquoted value began and ended, and how its name was joined.
    bare: (usize, usize, bool),
    /// The block scalars that are open.
    pub(crate) blocks: block::Open,
}

impl Quotes {
    /// Where the closing quote stands on this line, counting from `from`, or the window's end that cuts the line off;
    /// `None` where there is neither.
    pub(crate) fn close(&mut self, text: &Text<'_>, from: usize, quote: u8, escaped: bool) -> Option<usize> {
        let index = match quote {
            b'"' => 0,
            b'\'' => 1,
            b'`' => 2,
            b'<' => 3,
            _ => 4,
        };
        let index = if escaped { index + 5 } else { index };
        let place = self.seen.get_mut(index)?;
        if !(place.0 < from && from <= place.1) {
            let mut i = from;
            let mut backslash = false;
            while i < text.len() {
                let byte = text.at(i);
                let closes = byte == quote && (backslash == escaped || quote == b'<');
                if byte == b'\n' || closes {
                    break;
                }
                backslash = byte == b'\\' && (!backslash || escaped);
                i += 1;
            }
            text.tick(i - from + 1);
            *place = (from.saturating_sub(1), i);
            if from == 0 {
                *place = (0, i);
            }
        }
        let at = place.1;
        (text.at(at) == quote || text.is_cut(at)).then_some(at)
    }
}

/// The value that follows a name which ends at `end`.
pub(crate) fn after(text: &Text<'_>, quotes: &mut Quotes, name_start: usize, end: usize) -> Option<Value> {
    let mut i = end;
    // The name's own closing quote, with the backslash of an escaped one.
    let slashes = text.run_of(i, b'\\');
    let mut quoted_name = false;
    if matches!(text.at(slashes), b'"' | b'\'' | b'`') {
        i = slashes + 1;
        quoted_name = true;
    } else if text.at(i) == b']' {
        i += 1;
        // `name="applicant[name]"`
        if text.at(i) == b'"'
            && let Some(at) = part_value(text, i + 1)
        {
            return value(text, quotes, at, Join::Other);
        }
    } else if text.has(i, "%5d") {
        i += 3;
    }
    // `{<<"password">>, <<"x">>}` of Erlang.
    if quoted_name && text.has(i, ">>,") {
        let next = text.run(i + 3, BLANK);
        return if text.has(next, "<<\"") { value(text, quotes, next, Join::Other) } else { None };
    }
    // The bracket of an index: `config["password"] = "x"`.
    if quoted_name && text.at(i) == b']' {
        i += 1;
    }
    if quoted_name && let Some(at) = next_line(text, name_start, i) {
        return value(text, quotes, at, Join::Other);
    }
    // `${NAME:-default}`; `${NAME:?message}` has none.
    if text.has_before(name_start, "${") {
        i += usize::from(text.at(i) == b':');
        return match text.at(i) {
            b'-' | b'=' => value(text, quotes, i + 1, Join::Equals),
            b'}' | b'?' | b'+' => None,
            _ if i > end => value(text, quotes, i, Join::Equals),
            _ => None,
        };
    }
    // `Key [default]: x`, `Key (production): x`, `Key 1: x`.
    i = remark_end(text, i).unwrap_or(i);
    // `**Password**: x`
    if !quoted_name && text.at(i) == b'*' && matches!(text.before(name_start), b'*') {
        i = text.run_of(i, b'*');
    }
    let after_blanks = wide_blanks(text, i);
    let blanks = after_blanks > i;
    i = after_blanks;
    if text.at(i) >= 0x80 && (text.has(i, "\u{ff1a}") || text.has(i, "\u{ff1d}")) {
        return value(text, quotes, i + 3, Join::Colon);
    }
    let join = match text.at(i) {
        b'=' => {
            i += 1;
            if matches!(text.at(i), b'=' | b'>' | b'~') {
                i += 1;
            }
            Join::Equals
        }
        b':' => {
            i += 1;
            match text.at(i) {
                b'=' => {
                    i += 1;
                    Join::Equals
                }
                b':' | b'/' if text.at(i) == b':' || text.at(i + 1) == b'/' => return None,
                _ => Join::Colon,
            }
        }
        // `name <- "value"` of R.
        b'<' if blanks && text.at(i + 1) == b'-' && !quoted_name => {
            i += 2;
            Join::Equals
        }
        // `Map(name -> value)`
        b'-' if blanks && text.at(i + 1) == b'>' => {
            i += 2;
            Join::Colon
        }
        b'%' if text.has(i, "%3d") || text.has(i, "%3a") => {
            i += 3;
            Join::Encoded
        }
        b'>' if matches!(text.before(name_start), b'<' | b':') => {
            i += 1;
            Join::Element
        }
        b',' if quoted_name => {
            let next = text.run(i + 1, BLANK);
            // Arguments of a call; in a list of fields the next string is a name.
            let argument = name_start >= 2
                && (matches!(text.at(name_start - 2), b'(' | b'[')
                    || text.at(name_start - 2) == b' ' && text.before(name_start - 2) == b'(');
            if argument && matches!(text.at(next), b'"' | b'\'') {
                i += 1;
                Join::Other
            } else {
                return field_value(text, quotes, i);
            }
        }
        b'(' if !blanks && matches!(text.at(i + 1), b'"' | b'\'') => {
            i += 1;
            Join::Call
        }
        b'>' if quoted_name => {
            i += 1;
            Join::Element
        }
        b')' if text.at(i + 1) == b'=' && text.at(i + 2) == b'(' => {
            i += 3;
            let end = quotes.close(text, i, b')', false)?;
            return Some(Value { start: i, end, quoted: true, join: Join::Other, spaced: false, block: None });
        }
        b'\n' | b'\r' | b' ' => return field_value(text, quotes, i),
        // `<family value="x"/>`
        _ if blanks && matches!(text.before(name_start), b'<' | b':') && text.has(i, "value=\"") => {
            return value(text, quotes, i + 6, Join::Equals);
        }
        b'<' if text.at(i + 1) == b'/' && text.before(name_start) == b'>' && is_cell(text, name_start) => {
            i = cell_behind(text, i)?;
            Join::Element
        }
        _ if blanks && matches!(text.before(name_start), b'<' | b':') && element_end(text, i).is_some() => {
            i = element_end(text, i).unwrap_or(i);
            Join::Element
        }
        _ if quoted_name && (text.has(i, "value") || text.has(i, "content=") || text.has(i, "android:value")) => {
            return field_value(text, quotes, i - 1);
        }
        _ if blanks => Join::Blank,
        _ if quoted_name => return field_value(text, quotes, i),
        _ => return None,
    };
    if join == Join::Colon
        && let Some(found) = block::after(text, quotes, name_start, i)
    {
        return Some(found);
    }
    value(text, quotes, i, join)
}

/// Behind a number or a remark in brackets that stands between a name and its colon; `i` is behind the name.
fn remark_end(text: &Text<'_>, i: usize) -> Option<usize> {
    if text.at(i) != b' ' {
        return None;
    }
    let close = match text.at(i + 1) {
        b'[' => b']',
        b'(' => b')',
        b'1'..=b'9' => {
            let end = i + 2 + usize::from(text.at(i + 2).is_ascii_digit());
            return (text.at(end) == b':' && text.at(end + 1) == b' ').then_some(end);
        }
        _ => return None,
    };
    let rest = text.slice(i + 2, i + 26);
    text.tick(rest.len());
    let end = i + 3 + rest.iter().position(|b| *b == close || *b == b'\n')?;
    (text.at(end) == b':' && text.at(end - 1) == close).then_some(end)
}

/// Behind blanks, those that do not break and those of ideographs among them.
#[inline]
fn wide_blanks(text: &Text<'_>, i: usize) -> usize {
    let at = text.run(i, BLANK);
    if text.at(at) < 0x80 { at } else { foreign_blanks(text, at) }
}

fn foreign_blanks(text: &Text<'_>, at: usize) -> usize {
    let mut at = at;
    for blank in ["\u{a0}", "\u{202f}", "\u{3000}"] {
        if text.has(at, blank) {
            at = text.run(at + blank.len(), BLANK);
        }
    }
    at
}

/// The value at `i`, behind the separator.
pub(crate) fn value(text: &Text<'_>, quotes: &mut Quotes, i: usize, join: Join) -> Option<Value> {
    // `**Password:** x`
    let stars = if join == Join::Colon { text.run_of(i, b'*') } else { i };
    let i = if stars > i && text.at(stars) == b' ' { stars } else { i };
    let mut start = wide_blanks(text, i);
    let spaced = start > i;
    if join == Join::Element {
        // `<Attribute Name="x"><AttributeValue>…`
        if text.at(start) == b'<' && text.at(start + 1) != b'/' {
            let tag = text.slice(start, start + 160);
            text.tick(tag.len());
            start += tag.iter().position(|b| *b == b'>')? + 1;
        }
        let end = quotes.close(text, start, b'<', false)?;
        return Some(Value { start, end, quoted: true, join, spaced, block: None });
    }
    // `<<"…">>` of Erlang, and `STRING: "…"` of the tools for SNMP.
    if text.has(start, "<<\"") {
        start += 2;
    } else if text.has(start, "string: \"") {
        start += 8;
    }
    // `[]byte("…")` of Go.
    if text.has(start, "[]byte(\"") {
        start += 7;
    }
    // `@"…"`, `b'…'`, `u"…"`, `N'…'`.
    if matches!(text.at(start), b'@' | b'b' | b'u' | b'r' | b'N') && matches!(text.at(start + 1), b'"' | b'\'') {
        start += 1;
    }
    if matches!(text.at(start), b'{' | b'[') && matches!(join, Join::Colon | Join::Equals) {
        match wrapped(text, start) {
            Wrapped::Value(at) => start = at,
            Wrapped::Object => return None,
            Wrapped::No => {}
        }
    }
    let slashes = text.run_of(start, b'\\');
    let quote = text.at(slashes);
    if matches!(quote, b'"' | b'\'' | b'`') {
        let escaped = slashes > start;
        let mut open = slashes + 1;
        // `"""x"""`
        if text.at(open) == quote && text.at(open + 1) == quote && !escaped {
            open += 2;
        }
        if let Some(close) = quotes.close(text, open, quote, escaped) {
            let mut end = close;
            // `'don''t'`: a quote that is written twice, in YAML and SQL.
            for _ in 0..16 {
                if escaped || quote != b'\'' || end == open || text.at(end + 1) != quote {
                    break;
                }
                let Some(next) = quotes.close(text, end + 2, quote, false) else { break };
                end = next;
            }
            while escaped && end > open && text.at(end - 1) == b'\\' {
                end -= 1;
            }
            return Some(Value { start: open, end, quoted: true, join, spaced, block: None });
        }
        start = open;
    } else if text.has(start, "%22") {
        start += 3;
    } else if text.has(start, "&quot;") {
        start += 6;
    } else if text.at(start) >= 0x80 {
        for quote in ["\u{201c}", "\u{201e}", "\u{ab}", "\u{300c}", "\u{2018}"] {
            if text.has(start, quote) {
                start = wide_blanks(text, start + quote.len());
            }
        }
    }
    let encoded = join == Join::Encoded;
    let (from, to, how) = quotes.bare;
    let end = if how == encoded && from <= start && start < to { to } else { bare_end(text, start, join) };
    quotes.bare = (start, end, encoded);
    Some(Value { start, end, quoted: false, join, spaced, block: None })
}

/// Where an unquoted value ends: at white space and quotes, at a separator behind which the next field begins, and
/// before the punctuation of the sentence.
fn bare_end(text: &Text<'_>, start: usize, join: Join) -> usize {
    let limit = text.run(start, BARE);
    let mut end = start;
    while end < limit {
        let stop = match text.at(end) {
            b'\\' => matches!(text.at(end + 1), b'n' | b'r' | b't' | b'"'),
            // A quote that closes has no letter behind it.
            b'&' if is_entity(text, end) => !(text.has(end, "&quot;") && text.at(end + 6).is_ascii_alphanumeric()),
            b'&' | b',' | b';' => next_field(text, end + 1, limit),
            b'%' if join == Join::Encoded => text.has(end, "%26") || text.has(end, "%22"),
            0x80.. => ends_bare(text, end),
            _ => false,
        };
        if stop {
            break;
        }
        end += 1;
    }
    text.tick(end - start);
    // Whether it is the sentence's full stop, what follows would say.
    if text.is_cut(end) {
        return end;
    }
    // Closing brackets that nothing in the value opened, and the end of a sentence.
    while end > start {
        let last = text.at(end - 1);
        let value = text.slice(start, end);
        let surplus = match last {
            b')' => !value.contains(&b'('),
            b']' => !value.contains(&b'['),
            b'}' => !value.contains(&b'{'),
            b'>' => !value.contains(&b'<'),
            b'.' | b',' | b';' | b':' => true,
            _ => false,
        };
        if !surplus || end + 4 < limit {
            break;
        }
        end -= 1;
    }
    end
}

/// A blank, a quote or a mark of a sentence beyond ASCII.
pub(crate) fn ends_bare(text: &Text<'_>, at: usize) -> bool {
    match text.at(at) {
        0xc2 => matches!(text.at(at + 1), 0xa0 | 0xab | 0xbb),
        0xe2 => text.at(at + 1) == 0x80 && matches!(text.at(at + 2), 0x98..=0x9f | 0xaf),
        // U+3000 to U+303F: blanks, commas, full stops and brackets of ideographs.
        0xe3 => text.at(at + 1) == 0x80,
        0xef => text.at(at + 1) == 0xbc && matches!(text.at(at + 2), 0x88 | 0x89 | 0x8c | 0x9b),
        _ => false,
    }
}

/// An entity of HTML that stands for a quote or a bracket.
fn is_entity(text: &Text<'_>, at: usize) -> bool {
    ["&quot;", "&rdquo;", "&ldquo;", "&apos;", "&lt;", "&gt;", "&nbsp;", "&#34;", "&#39;"]
        .iter()
        .any(|entity| text.has(at, entity))
}

/// Behind a separator comes the end, a quote or the name of a field.
fn next_field(text: &Text<'_>, i: usize, limit: usize) -> bool {
    if i >= limit {
        return !text.is_cut(i);
    }
    let end = (i + 32).min(limit);
    let mut at = i;
    while at < end && (is(text.at(at), crate::text::KEY) || text.at(at) == b'[' || text.at(at) == b']') {
        at += 1;
    }
    text.tick(at - i + 1);
    at > i && (matches!(text.at(at), b'=' | b':') || (at == limit && matches!(text.at(at), b' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_of(text: &str, name: &str) -> Option<String> {
        let start = text.find(name).unwrap();
        let text = Text::new(text, false);
        after(&text, &mut Quotes::default(), start, start + name.len()).map(|v| text.part(v.start, v.end).to_owned())
    }

    #[test]
    fn values_in_each_notation() {
        for (text, value) in [
            ("password=abc", "abc"),
            ("password = \"a b'c\" x", "a b'c"),
            ("\"password\": \"a\\\"b\",", "a\\\"b"),
            ("{\\\"password\\\":\\\"abc\\\",\\\"x\\\":1}", "abc"),
            ("<password>abc</password>", "abc"),
            ("?password=abc&x=1", "abc"),
            ("password=a&b&x=1", "a&b"),
            ("password=a;b;Encrypt=True", "a;b"),
            ("password%3Dabc%26x", "abc"),
            ("password => 'abc'", "abc"),
            ("user[password]=abc", "abc"),
            ("(password)=(abc) already", "abc"),
            ("(\"password\", \"abc\")", "abc"),
            ("<x:password Type=\"a\">abc</x:password>", "abc"),
            ("- name: password\n  value: abc\n", "abc"),
            ("key=\"password\" value=\"abc\" />", "abc"),
            ("(password=abc).", "abc"),
            ("password('abc')", "abc"),
            ("<p name=\"password\">abc</p>", "abc"),
        ] {
            assert_eq!(value_of(text, "password").as_deref(), Some(value), "{text}");
        }
        assert_eq!(value_of("password::new", "password"), None);
        assert_eq!(value_of("password://x", "password"), None);
        assert_eq!(value_of("\"type\":\"password\",\"next\":\"abc\"", "password"), None);
    }
}
