//! Names before mail addresses in angle brackets (RFC 5322 mailboxes): `Ada King <ada@example.com>`.
//!
//! Invariant: the whole of what stands between the last separator and the bracket is a name, or nothing is.

use crate::kind::Kind;
use crate::people;
use crate::scan::Scan;

/// The longest display name.
const MAX: usize = 64;

/// A mail address stands at `start..end`.
pub(crate) fn before(scan: &mut Scan<'_>, start: usize, end: usize) {
    let text = &scan.text;
    if text.before(start) != b'<' || text.at(end) != b'>' || start < 4 {
        return;
    }
    if encoded_word(scan, start - 1) {
        return;
    }
    let text = &scan.text;
    // Escaped brackets and quotes bring backslashes.
    let mut stop = start - 1;
    while stop > 0 && matches!(text.before(stop), b' ' | b'"' | b'\'' | b'\\') {
        stop -= 1;
    }
    if stop == start - 1 {
        return;
    }
    let low = text.floor(stop.saturating_sub(MAX));
    let before = text.slice(low, stop);
    text.tick(before.len());
    let Some(separator) = before
        .iter()
        .rposition(|b| matches!(b, b':' | b',' | b';' | b'"' | b'<' | b'>' | b'=' | b'(' | b'[' | b'\n' | b'\t'))
    else {
        if low == 0 {
            report(scan, 0, stop);
        }
        return;
    };
    report(scan, low + separator + 1, stop);
}

/// A name in an encoded word (RFC 2047) ends before `bracket`: `=?utf-8?Q?J=C3=B6rg?= <`.
#[inline(never)]
fn encoded_word(scan: &mut Scan<'_>, bracket: usize) -> bool {
    let text = &scan.text;
    let end = bracket.saturating_sub(usize::from(text.before(bracket) == b' '));
    let end = end.saturating_sub(usize::from(text.before(end) == b'"'));
    if !text.has_before(end, "?=") {
        return false;
    }
    let low = end.saturating_sub(200);
    let before = text.slice(low, end - 2);
    text.tick(before.len());
    let Some(open) = before.windows(3).rposition(|w| matches!(w, [b'?', b'q' | b'Q' | b'b' | b'B', b'?'])) else {
        return false;
    };
    let named = before.get(..open).is_some_and(|head| head.iter().rev().take(24).any(|b| *b == b'='));
    if named && before.len() > open + 5 {
        scan.emit(Kind::Person, low + open + 3, end - 2, 0.8, false, "name of a mailbox");
    }
    named
}

/// `start..stop` is a name if all of it is.
fn report(scan: &mut Scan<'_>, start: usize, stop: usize) {
    let at = scan.text.run(start, crate::text::BLANK);
    if let Some((first, last, words)) = people::name(scan, at)
        && last == stop
        && words > 1
    {
        scan.emit(Kind::Person, first, last, 0.85, false, "name of a mailbox");
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{found, one};

    #[test]
    fn names_of_mailboxes() {
        for text in [
            "Author: Zoë King <zoe@acme.com>",
            "Signed-off-by: Zoë King <zoe@acme.com>\n",
            "Cc: jo@acme.com, Zoë King <zoe@acme.com>",
            "\"Zoë King\" <zoe@acme.com>",
            "Zoë King <zoe@acme.com>",
        ] {
            assert_eq!(one(text, "PERSON"), "Zoë King", "{text}");
        }
    }

    #[test]
    fn other_words_before_addresses() {
        for text in ["From: Jenkins <ci@acme.com>", "mail to <zoe@acme.com>", "Sent By Cron Daemon at <zoe@acme.com>"] {
            assert_eq!(found(text, "PERSON"), [""; 0], "{text}");
        }
    }
}
