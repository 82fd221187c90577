//! Private keys in PEM (RFC 7468), also in one line with `\n` for line ends.
//!
//! Invariant: a block reaches to its end line, or, where that is missing, over what can be part of one. Each byte is
//! passed once: what a block has passed, no other block begins in. Of a block that began before the window, the end line
//! says what it is.

use crate::kind::Kind;
use crate::scan::Scan;
use crate::text::{BASE64, PEM, Text, is};

/// `-----begin ` stands at `start..end`.
pub(crate) fn matched(scan: &mut Scan<'_>, start: usize, end: usize) {
    if start < scan.pem_done {
        return;
    }
    let text = &scan.text;
    // The label, up to its dashes.
    let label = text.slice(end, end + 64);
    let Some(dashes) = label.windows(5).position(|w| w == b"-----") else {
        return;
    };
    let name = label.get(..dashes).unwrap_or_default();
    let private = name.windows(11).any(|w| w.eq_ignore_ascii_case(b"PRIVATE KEY"));
    if !private || name.contains(&b'\n') {
        return;
    }
    let mut at = text.run(end + dashes + 5, PEM);
    // Headers such as `Proc-Type` and `DEK-Info` have single dashes.
    while text.at(at) == b'-' && text.slice(at, at + 5) != b"-----" {
        at = text.run(at + 1, PEM);
    }
    scan.pem_done = at;
    let (stop, whole) = end_line(text, at).map_or((at, false), |(_, stop)| (stop, true));
    let body = stop.saturating_sub(end + dashes + 5);
    // A mention of the marker in prose has no body.
    if !whole {
        let beginning = text.slice(end + dashes + 5, (end + dashes + 5 + 200).min(stop));
        if body < 40 || !has_base64(beginning) {
            return;
        }
    }
    let mut stop = stop;
    while !whole
        && !text.is_cut(stop)
        && stop > start
        && !text.at(stop - 1).is_ascii_alphanumeric()
        && text.at(stop - 1) != b'='
    {
        stop -= 1;
    }
    scan.emit(Kind::PrivateKey, start, stop, if whole { 0.99 } else { 0.9 }, whole, "pem private key");
}

/// The rest of a key whose beginning stands before the window.
pub(crate) fn rest(scan: &mut Scan<'_>) {
    let text = &scan.text;
    if !text.is_continued() {
        return;
    }
    let at = text.run(0, PEM);
    let Some((name, stop)) = end_line(text, at) else {
        return;
    };
    let private = name.windows(11).any(|w| w.eq_ignore_ascii_case(b"PRIVATE KEY"));
    // Prose that names the marker has no base64 before it.
    if private && has_base64(text.slice(0, at.min(200))) && has_base64(text.slice(at.saturating_sub(200), at)) {
        scan.pem_done = stop;
        scan.emit(Kind::PrivateKey, 0, stop, 0.9, true, "rest of a pem private key");
    }
}

/// The label of the end line that begins at `at`, and where it ends.
fn end_line<'a>(text: &Text<'a>, at: usize) -> Option<(&'a [u8], usize)> {
    if !text.has(at, "-----end ") {
        return None;
    }
    let tail = text.slice(at + 9, at + 9 + 69);
    let close = tail.windows(5).position(|w| w == b"-----")?;
    let stop = at + 9 + close + 5;
    // The line end of the last line, where it is escaped, is a part of the value that holds the key.
    let escaped = if text.slice(stop, stop + 2) == b"\\n" { 2 } else { 0 };
    Some((tail.get(..close)?, stop + escaped))
}

/// Whether there is a line of base64, or most of one.
fn has_base64(bytes: &[u8]) -> bool {
    bytes.split(|b| !is(*b, BASE64)).any(|run| run.len() >= 40)
}

#[cfg(test)]
mod tests {
    use crate::testing::{nothing, one};

    #[test]
    fn blocks_in_each_form() {
        let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj".repeat(3);
        for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY"] {
            for line in ["\n", "\\n", "\r\n"] {
                let key = format!("-----BEGIN {label}-----{line}{body}{line}-----END {label}-----");
                assert_eq!(one(&format!("key: \"{key}\" x"), "PRIVATE_KEY"), key);
            }
        }
        let cut = format!("-----BEGIN PRIVATE KEY-----\n{body}");
        assert_eq!(one(&format!("{cut}\n"), "PRIVATE_KEY"), cut);
    }

    #[test]
    fn public_parts_stay() {
        nothing("-----BEGIN CERTIFICATE-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEA\n-----END CERTIFICATE-----");
        nothing("a file with -----BEGIN PRIVATE KEY----- in it");
    }
}
