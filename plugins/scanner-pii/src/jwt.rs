//! JSON web tokens (RFC 7519), signed, encrypted or neither.
//!
//! Invariant: the first part decodes to the beginning of a JOSE header; `eyJ` alone is any JSON in base64.

use crate::encoded;
use crate::kind::Kind;
use crate::scan::Scan;
use crate::text::{BASE64URL, is};

/// Parts of a token: three signed, five encrypted.
const PARTS: usize = 5;

/// `eyj` stands at `start`.
pub(crate) fn matched(scan: &mut Scan<'_>, start: usize) {
    let text = &scan.text;
    if start < scan.jwt_done || text.slice(start, start + 3) != b"eyJ" {
        return;
    }
    if is(text.before(start), BASE64URL) && !text.after_escape(start) {
        return;
    }
    let mut end = text.run(start, BASE64URL);
    if !is_header(text.slice(start, end.min(start + 1024))) {
        return encoded::json(scan, start);
    }
    let mut parts = 1;
    while parts < PARTS && text.at(end) == b'.' {
        let next = text.run(end + 1, BASE64URL);
        // The signature of an unsigned token is empty, and so may be the key of an encrypted one.
        if next == end + 1 && parts < 2 && !text.is_cut(next) {
            break;
        }
        end = next;
        parts += 1;
    }
    let whole = parts >= 3;
    let cut = text.is_cut(end);
    if (!whole && !cut && parts < 2) || end - start < 20 {
        return;
    }
    if text.at(end - 1) == b'.' && parts > 3 && !cut {
        end -= 1;
    }
    scan.jwt_done = end;
    scan.emit(Kind::Jwt, start, end, if whole { 0.99 } else { 0.8 }, whole, "json web token");
}

/// Base64url of `{"alg":…`, `{"typ":…` or another member of the header.
fn is_header(part: &[u8]) -> bool {
    let decoded = encoded::decoded(part);
    let has = |needle: &[u8]| decoded.windows(needle.len()).any(|w| w == needle);
    // Long headers begin with a key or a chain of certificates.
    ["alg", "typ", "kid", "enc", "cty", "x5t", "x5c", "jwk"]
        .iter()
        .any(|member| has(format!("\"{member}\"").as_bytes()))
}

#[cfg(test)]
mod tests {
    use crate::testing::{all, nothing};

    const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";

    #[test]
    fn a_token_is_found_whole() {
        for text in [
            TOKEN.to_owned(),
            format!("Authorization: Bearer {TOKEN}"),
            format!("?token={TOKEN}&x=1"),
            format!("id_token%3D{TOKEN}%26"),
        ] {
            assert_eq!(all(&text), [("JWT", TOKEN)], "{text}");
        }
    }

    #[test]
    fn other_json_in_base64_is_none() {
        nothing("eyJmb28iOiJiYXIifQ.x.y");
        nothing("data eyJmb28iOiJiYXIifQ==");
    }
}
