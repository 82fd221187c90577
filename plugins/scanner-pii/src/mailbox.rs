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
    let Some(separator) =
        before.iter().rposition(|b| matches!(b, b':' | b',' | b';' | b'"' | b'<' | b'>' | b'=' | b'(' | b'[' | b'\n'))
    else {
        if low == 0 {
            report(scan, 0, stop);
        }
        return;
    };
    report(scan, low + separator + 1, stop);
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
