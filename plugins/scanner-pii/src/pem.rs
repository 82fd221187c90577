//! Private keys in PEM (RFC 7468), also in one line with `\n` for line ends.
//!
//! Invariant: a block reaches to its end line, or, where that is missing, over what can be part of one. Each byte is
//! passed once: what a block has passed, no other block begins in.

use crate::kind::Kind;
use crate::scan::Scan;
use crate::text::PEM;

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
    let (stop, whole) = if text.has(at, "-----end ") {
        let tail = text.slice(at + 9, at + 9 + 69);
        match tail.windows(5).position(|w| w == b"-----") {
            // The line end of the last line, where it is escaped, is a part of the value that holds the key.
            Some(close) => {
                let stop = at + 9 + close + 5;
                (stop + if text.slice(stop, stop + 2) == b"\\n" { 2 } else { 0 }, true)
            }
            None => (at, false),
        }
    } else {
        (at, false)
    };
    let body = stop.saturating_sub(end + dashes + 5);
    // A mention of the marker in prose has no body.
    if !whole {
        let base64 = text.slice(end + dashes + 5, (end + dashes + 5 + 200).min(stop));
        let longest = base64
            .split(|b| !b.is_ascii_alphanumeric() && !matches!(b, b'+' | b'/' | b'='))
            .map(<[u8]>::len)
            .max()
            .unwrap_or(0);
        if body < 40 || longest < 40 {
            return;
        }
    }
    let mut stop = stop;
    while !whole && stop > start && !text.at(stop - 1).is_ascii_alphanumeric() && text.at(stop - 1) != b'=' {
        stop -= 1;
    }
    scan.emit(Kind::PrivateKey, start, stop, if whole { 0.99 } else { 0.9 }, whole, "pem private key");
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
