//! Values in base64: JSON with personal fields, keys in PEM, attributes of LDIF, secrets of Kubernetes, sign-ins by SMTP.
//!
//! Invariant: what a value decodes to decides; of long ones the beginning, so that each byte is decoded once.

use crate::classify::{self, Class};
use crate::kind::Kind;
use crate::scan::Scan;
use crate::text::{BASE64, BASE64URL, BLANK, KEY, Text};
use crate::value::{self, Makeup};

/// How much of a value is decoded, in bytes.
const BEGINNING: usize = 4096;
/// The most lines of a manifest.
const LINES: usize = 256;

/// The bytes that base64 of either alphabet stands for, as far as it goes.
pub(crate) fn decoded(value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len() * 3 / 4);
    let mut bits = 0_u32;
    let mut count = 0;
    for byte in value {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => break,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    bytes
}

/// Base64 that begins at `start`: where it ends, and what its beginning stands for.
fn at(text: &Text<'_>, start: usize) -> (usize, Vec<u8>) {
    let mut end = start;
    loop {
        let stop = text.run(text.run(end, BASE64URL), BASE64);
        if stop == end {
            break;
        }
        end = stop;
    }
    let bytes = decoded(text.slice(start, end.min(start + BEGINNING)));
    text.tick(end.min(start + BEGINNING) - start);
    (end, bytes)
}

/// `eyJ` stands at `start`, and no token: JSON, which may hold what is somebody's.
pub(crate) fn json(scan: &mut Scan<'_>, start: usize) {
    if start < scan.encoded_done {
        return;
    }
    let (end, bytes) = at(&scan.text, start);
    scan.encoded_done = end;
    let lower = bytes.to_ascii_lowercase();
    // Names of members with a value behind them.
    let has = |name: &str| {
        let quoted = format!("\"{name}\":");
        lower.windows(quoted.len()).position(|w| w == quoted.as_bytes()).is_some_and(|at| {
            let rest = lower.get(at + quoted.len()..).unwrap_or_default().trim_ascii_start();
            matches!(rest.first(), Some(b'"' | b'{' | b'[')) && rest.get(1) != Some(&b'"')
        })
    };
    let kinds: &[(&[&str], Kind)] = &[
        (&["auths", "password", "passwd", "client_secret", "secret", "access_token", "private_key"], Kind::Password),
        (&["email", "mail", "e_mail"], Kind::Email),
        (&["phone", "tel", "mobile", "msisdn", "phone_number", "telefon"], Kind::Phone),
        (&["first_name", "firstname", "last_name", "lastname", "full_name", "fullname", "givenname"], Kind::Person),
        (&["iban"], Kind::Iban),
        (&["ssn"], Kind::UsSsn),
    ];
    if let Some((_, kind)) = kinds.iter().find(|(names, _)| names.iter().any(|name| has(name))) {
        scan.emit(*kind, start, end, 0.8, false, "json in base64");
    }
}

/// The base64 of `-----BEGIN ` stands at `start`.
pub(crate) fn pem(scan: &mut Scan<'_>, start: usize) {
    if start < scan.encoded_done || !scan.text.starts_word(start) || scan.text.slice(start, start + 4) != b"LS0t" {
        return;
    }
    let end = scan.text.run(start, BASE64);
    let bytes = decoded(scan.text.slice(start, end.min(start + 80)));
    scan.encoded_done = end;
    if end - start > 64 && bytes.windows(11).any(|w| w == b"PRIVATE KEY") {
        scan.emit(Kind::PrivateKey, start, end, 0.98, true, "pem in base64");
    }
}

/// Two colons of LDIF (RFC 2849) end at `at`: the value of a field of `class` is in base64.
#[inline(never)]
pub(crate) fn attribute(scan: &mut Scan<'_>, class: Class, name_start: usize, from: usize) {
    if scan.text.before(name_start) != b'\n' {
        return;
    }
    let start = scan.text.run(from, BLANK);
    let (end, bytes) = at(&scan.text, start);
    let letters = std::str::from_utf8(&bytes).is_ok_and(|s| s.chars().any(char::is_alphabetic));
    if end < start + 4 || !letters || !matches!(scan.text.at(end), b'\n' | b'\r' | 0) {
        return;
    }
    let kind = match class {
        Class::NamePart | Class::Name | Class::Person => Kind::Person,
        Class::Street | Class::Address => Kind::Address,
        Class::Username => Kind::Username,
        // A hash, mostly; what has no scheme is the password.
        Class::Password if bytes.first() != Some(&b'{') => Kind::Password,
        _ => return,
    };
    scan.emit(kind, start, end, 0.85, false, "attribute in base64");
}

/// `334 ` and a question of SMTP in base64 end at `end`: the answer stands in the next line.
pub(crate) fn smtp(scan: &mut Scan<'_>, end: usize, secret: bool) {
    let text = &scan.text;
    let mut start = end + usize::from(text.at(end) == b'\r');
    if text.at(start) != b'\n' {
        return;
    }
    // Logs mark who speaks: `C: `, `>>> `, `~> `.
    start = text.run(start + 1, BLANK);
    let line = text.slice(start, start + 8);
    if let Some(space) = line.iter().position(|b| *b == b' ') {
        start += space + 1;
    }
    let stop = text.run(start, BASE64);
    let bytes = decoded(text.slice(start, stop.min(start + 256)));
    if stop < start + 4 || bytes.iter().any(|b| *b < b' ') {
        return;
    }
    let kind = match (secret, bytes.contains(&b'@')) {
        (true, _) => Kind::Password,
        (false, true) => Kind::Email,
        (false, false) => Kind::Username,
    };
    scan.emit(kind, start, stop, 0.9, true, "sign-in by smtp");
}

/// `kind: Secret` of a manifest stands at `start..end`: the values of its `data` are in base64.
pub(crate) fn manifest(scan: &mut Scan<'_>, start: usize, end: usize) {
    if start < scan.manifest_done || !matches!(scan.text.at(end), b'\n' | b'\r' | 0) {
        return;
    }
    // `kubectl get` writes the fields in their order, the data first.
    let low = scan.text.floor(start.saturating_sub(BEGINNING).max(scan.manifest_done));
    let before = scan.text.slice(low, start);
    scan.text.tick(before.len());
    let mut line = before.windows(6).rposition(|w| w == b"\ndata:").map_or(end, |at| low + at);
    let mut inside = None;
    for _ in 0..LINES {
        let next = scan.text.run(line, crate::text::LINE);
        let begin = next + usize::from(scan.text.at(next) == b'\r') + 1;
        if scan.text.at(begin - 1) != b'\n' || scan.text.has(begin, "---") {
            break;
        }
        let at = scan.text.run(begin, BLANK);
        let indent = at - begin;
        if scan.text.has(at, "data:") {
            inside = Some(indent);
        } else if inside.is_some_and(|open| indent <= open) {
            inside = None;
        } else if inside.is_some() {
            entry(scan, at);
        }
        line = begin;
    }
    scan.manifest_done = line.max(end);
}

/// `name: value` of a secret's data.
fn entry(scan: &mut Scan<'_>, start: usize) {
    let text = &scan.text;
    let name_end = text.run(start, KEY);
    if text.at(name_end) != b':' {
        return;
    }
    let from = text.run(name_end + 1, BLANK);
    let from = from + usize::from(matches!(text.at(from), b'"' | b'\''));
    let to = text.run(from, BASE64);
    let name = text.slice(start, name_end);
    let bytes = decoded(text.slice(from, to.min(from + 512)));
    text.tick(to.min(from + 512) - start);
    let printable = bytes.iter().all(|b| *b >= b' ' || matches!(b, b'\n' | b'\r' | b'\t'));
    if to < from + 8 || !printable || bytes.starts_with(b"-----BEGIN") {
        return;
    }
    let plain = bytes.trim_ascii();
    let makeup = Makeup::of(plain);
    let kind = match classify::classify(name) {
        Some(Class::Username) => Kind::Username,
        Some(Class::Host) if makeup.digits > 0 || plain.contains(&b'.') => Kind::Hostname,
        Some(Class::Host | Class::Name | Class::Person) => return,
        Some(Class::Password) => Kind::Password,
        Some(_) => Kind::GenericSecret,
        None if plain.windows(3).any(|w| w == b"://") && plain.contains(&b'@') => Kind::ConnectionString,
        None if value::is_random(plain, 12) => Kind::GenericSecret,
        None => return,
    };
    scan.emit(kind, from, to, 0.9, false, "secret of a manifest");
}

#[cfg(test)]
mod tests {
    use crate::testing::{all, nothing, one};

    #[test]
    fn values_in_base64() {
        let text = "\"data\":\"eyJuYW1lIjoiSW1rZSBGb2xrZXJ0cyIsInBob25lIjoiKzQ5IDQ5MjEgNTUwIDgxNyJ9\"";
        assert_eq!(one(text, "PHONE").len(), 68);
        nothing("\"data\":\"eyJraW5kIjoic3RvcmFnZSNvYmplY3QiLCJzaXplIjoiNDExMTgyMCJ9\"");
        let key = format!("LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1J{}", "SUV29w13841".repeat(8));
        assert_eq!(one(&format!("  tls.key: {key}\n"), "PRIVATE_KEY"), key);
        nothing(&format!("ca: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1J{}\n", "SUV29w13841".repeat(8)));
    }

    #[test]
    fn attributes_of_directories() {
        assert_eq!(all("mail: x\ncn:: SsO8cmdlbiBLcsO8Z2Vy\n"), [("PERSON", "SsO8cmdlbiBLcsO8Z2Vy")]);
        assert_eq!(
            all("x: y\npostalAddress:: S8O2bmlnc2FsbGVlIDI3LCA0MDIxMiBE\n"),
            [("ADDRESS", "S8O2bmlnc2FsbGVlIDI3LCA0MDIxMiBE")]
        );
    }

    #[test]
    fn secrets_of_manifests() {
        let data = "data:\n  username: YnR1cm5lcg==\n  stripe-key: c2tfbGl2ZV9FT0haQzM2SGo4\n  port: NTQzMg==\n";
        for text in [
            format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\n{data}"),
            format!("apiVersion: v1\n{data}kind: Secret\nmetadata:\n  name: x\n"),
        ] {
            assert_eq!(
                all(&text),
                [("USERNAME", "YnR1cm5lcg=="), ("GENERIC_SECRET", "c2tfbGl2ZV9FT0haQzM2SGo4")],
                "{text}"
            );
        }
        nothing("kind: ConfigMap\ndata:\n  stripe-key: c2tfbGl2ZV9FT0haQzM2SGo4\n");
    }

    #[test]
    fn sign_ins() {
        let text = "334 VXNlcm5hbWU6\r\nam9AYWNtZS5jb20=\r\n334 UGFzc3dvcmQ6\r\nS2VzdHJlbDgxIQ==\r\n235 ok";
        assert_eq!(all(text), [("EMAIL", "am9AYWNtZS5jb20="), ("PASSWORD", "S2VzdHJlbDgxIQ==")]);
    }
}
