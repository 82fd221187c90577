//! Authorisation headers, cookies, sessions.
//!
//! Invariant: the scheme's name alone is nothing; what follows has to be a token of that scheme.

use crate::assign;
use crate::kind::Kind;
use crate::scan::Scan;
use crate::text::{BASE64, BLANK, KEY, TOKEN68, is};
use crate::value::{self, Makeup, Value};

/// `bearer` stands at `start..end`.
pub(crate) fn bearer(scan: &mut Scan<'_>, start: usize, end: usize) {
    let text = &scan.text;
    if !text.starts_word(start) {
        return;
    }
    let mut at = text.run(end, BLANK);
    if at == end {
        // `Bearer%20abc`, `Bearer+abc` in a form, `Bearer:abc`.
        at = if text.has(end, "%20") {
            end + 3
        } else if matches!(text.at(end), b'+' | b':' | b'=') {
            text.run(end + 1, BLANK)
        } else {
            return;
        };
    }
    if text.has(at, "token ") || text.has(at, "token:") || text.has(at, "token=") {
        at = text.run(at + 6, BLANK);
    }
    let mut stop = text.run(at, TOKEN68);
    // `bearer+bearer+…` is not looked at for ever.
    let count = if scan.bearer.0 == stop { scan.bearer.1 + 1 } else { 1 };
    scan.bearer = (stop, count);
    if count > assign::NESTED {
        return;
    }
    while stop > at && !text.is_cut(stop) && matches!(text.at(stop - 1), b'.' | b',') {
        stop -= 1;
    }
    // Its beginning tells what it is.
    let value = text.slice(at, stop.min(at + 4096));
    text.tick(value.len());
    let makeup = Makeup::of(value);
    let random = makeup.digits > 0 && makeup.lower + makeup.upper > 0 || makeup.lower > 2 && makeup.upper > 2;
    if value.len() >= 12 && random && !value::is_placeholder(value) && !value::is_path(value) && !value::is_code(value)
    {
        scan.emit(Kind::BearerToken, at, stop, 0.97, true, "bearer authorisation");
    }
}

/// `basic ` stands at `start..end`.
pub(crate) fn basic(scan: &mut Scan<'_>, start: usize, end: usize) {
    let text = &scan.text;
    if !text.starts_word(start) {
        return;
    }
    let at = text.run(end, BLANK);
    let stop = text.run(at, BASE64);
    let value = text.slice(at, stop);
    text.tick(value.len());
    // "Basic Options" is a heading.
    let makeup = Makeup::of(value);
    let word = makeup.digits + makeup.other == 0 && makeup.upper < 2;
    if value.len() >= 6 && !word && pair(value) {
        scan.emit(Kind::BasicAuth, at, stop, 0.99, true, "basic authorisation");
    }
}

/// `auth plain ` ends at `end`: SASL's user and password in base64.
pub(crate) fn sasl_plain(scan: &mut Scan<'_>, end: usize) {
    let text = &scan.text;
    let stop = text.run(end, BASE64);
    let value = text.slice(end, stop);
    // The first byte is the NUL before the user's name, unless another identity is asked for.
    text.tick(value.len());
    if value.len() >= 8 && value.starts_with(b"A") && Makeup::of(value).mixed() {
        scan.emit(Kind::BasicAuth, end, stop, 0.95, true, "sasl plain");
    }
}

/// Base64 of printable text with a colon.
fn pair(value: &[u8]) -> bool {
    let mut bits = 0_u32;
    let mut count = 0;
    let mut colon = false;
    for byte in value.iter().filter(|b| **b != b'=') {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return false,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            let byte = (bits >> count & 0xff) as u8;
            colon |= byte == b':';
            if byte < b' ' || byte == 0x7f {
                return false;
            }
        }
    }
    colon
}

/// The value of an authorisation header that [`bearer`] and [`basic`] do not know.
pub(crate) fn authorization(scan: &mut Scan<'_>, found: Value) {
    let text = &scan.text;
    let first = text.run(found.start, KEY);
    let mut start = found.start;
    let scheme = text.slice(found.start, first.min(found.start + 32));
    if text.at(first) == b' ' {
        let known = ["bearer", "basic", "digest", "aws4-hmac-sha256", "negotiate", "ntlm"];
        if known.iter().any(|name| scheme.eq_ignore_ascii_case(name.as_bytes())) {
            return;
        }
        if scheme.len() <= 16 && scheme.iter().all(u8::is_ascii_alphabetic) {
            start = first + 1;
        }
    }
    let stop = text.run(start, TOKEN68);
    let value = text.slice(start, stop.min(start + 4096));
    text.tick(value.len());
    // `base64.decode(x)` is a call.
    if value::is_random(value, 12) && Makeup::of(value).digits > 0 && text.at(stop) != b'(' {
        scan.emit(Kind::GenericSecret, start, stop, 0.9, true, "authorisation header");
    }
}

/// ` -u ` or ` --user ` stands before `at`, in a call of curl.
pub(crate) fn curl_user(scan: &mut Scan<'_>, at: usize) {
    let text = &scan.text;
    let line = text.line_start(at, 200);
    let before = text.slice(line, at);
    text.tick(before.len());
    if !before
        .windows(4)
        .any(|w| w.eq_ignore_ascii_case(b"curl") || w.eq_ignore_ascii_case(b"wget") || w.eq_ignore_ascii_case(b"http"))
    {
        return;
    }
    let start = at + usize::from(matches!(text.at(at), b'"' | b'\''));
    let mut end = start;
    while text.at(end) > b' ' && !matches!(text.at(end), b'"' | b'\'') {
        end += 1;
    }
    text.tick(end - start);
    let value = text.slice(start, end);
    let Some(colon) = value.iter().position(|b| *b == b':') else {
        return;
    };
    let secret = text.slice(start + colon + 1, end);
    if secret.len() >= 3 && !value::is_placeholder(secret) && !value::is_label(secret) && !secret.starts_with(b"//") {
        if crate::users::name_end(scan, start) == Some(start + colon) {
            scan.emit(Kind::Username, start, start + colon, 0.8, false, "curl user option");
        }
        scan.emit(Kind::Password, start + colon + 1, end, 0.9, true, "curl user option");
    }
}

/// ` -p` stands before `at`: the clients of MySQL take the password right behind it.
pub(crate) fn mysql_password(scan: &mut Scan<'_>, at: usize) {
    let text = &scan.text;
    // Clients of registries and clouds take it as the next word: `docker login -u x -p y`.
    let apart = text.at(at) == b' ';
    let at = at + usize::from(apart);
    if text.at(at) <= b' ' || text.at(at) == b'-' {
        return;
    }
    let line = text.line_start(at, 160);
    let before = text.slice(line, at);
    text.tick(before.len());
    let clients: &[&str] = if apart { &[" login ", "mongo", "sqlcmd"] } else { &["mysql", "mariadb"] };
    if apart && !before.windows(4).any(|w| w.eq_ignore_ascii_case(b" -u ")) {
        return;
    }
    if !clients.iter().any(|client| before.windows(client.len()).any(|w| w.eq_ignore_ascii_case(client.as_bytes()))) {
        return;
    }
    let start = at + usize::from(matches!(text.at(at), b'"' | b'\''));
    let mut end = start;
    while text.at(end) > b' ' && !matches!(text.at(end), b'"' | b'\'') {
        end += 1;
    }
    text.tick(end - start);
    let secret = text.slice(start, end);
    let port = secret.iter().all(|b| b.is_ascii_digit() || *b == b':');
    if secret.len() >= 4 && !port && !value::is_placeholder(secret) && !value::is_state(secret) {
        scan.emit(Kind::Password, start, end, 0.85, false, "mysql password option");
    }
}

/// Names of cookies that hold no session.
const PLAIN_COOKIES: &[&str] = &[
    "path",
    "expires",
    "domain",
    "max-age",
    "samesite",
    "theme",
    "lang",
    "language",
    "locale",
    "tz",
    "timezone",
    "_ga",
    "_gid",
    "_gat",
    "_fbp",
    "consent",
    "cookieconsent",
    "version",
    "priority",
    "currency",
    "country",
    "region",
    "size",
];

/// A cookie header's name ends at `end`: its pairs follow.
pub(crate) fn cookie_field(scan: &mut Scan<'_>, end: usize) {
    if end <= scan.cookie_done {
        return;
    }
    let text = &scan.text;
    // `{"name":"cookie","value":"…"}`
    let end = if text.has(end, "\",\"value\":") {
        end + 8
    } else if text.has(end, "\", \"value\":") {
        end + 9
    } else {
        end
    };
    let mut i = end;
    while matches!(text.at(i), b'"' | b'\'' | b'\\' | b':' | b'=' | b' ' | b'\t' | b'[') && i < end + 12 {
        i += 1;
    }
    let joined = text.slice(end, i).iter().any(|b| matches!(b, b':' | b'='));
    if !joined {
        return;
    }
    let mut found = Vec::new();
    loop {
        let name_end = text.run(i, COOKIE_NAME);
        if name_end == i || text.at(name_end) != b'=' {
            break;
        }
        let start = name_end + 1 + usize::from(text.at(name_end + 1) == b'"');
        let mut stop = start;
        while cookie_byte(text.at(stop)) {
            stop += 1;
        }
        text.tick(stop - i + 1);
        let name = text.slice(i, name_end);
        let value = text.slice(start, stop);
        if is_session(name, value) {
            found.push((start, stop));
        }
        i = stop + usize::from(text.at(stop) == b'"');
        if text.at(i) != b';' {
            break;
        }
        i = text.run(i + 1, BLANK);
        // Attributes without a value.
        for flag in ["httponly;", "secure;"] {
            if text.has(i, flag) {
                i = text.run(i + flag.len(), BLANK);
            }
        }
    }
    scan.cookie_done = i;
    for (start, stop) in found {
        scan.emit(Kind::SessionCookie, start, stop, 0.95, true, "cookie header");
    }
}

const COOKIE_NAME: crate::text::Class = KEY;

fn cookie_byte(b: u8) -> bool {
    b > b' ' && b < 0x7f && !matches!(b, b';' | b'"' | b'\'' | b',' | b'\\' | b'<')
}

/// A domain, a flag and a path of a line of Netscape's file of cookies end at `end`: whether it is secure, when it ends,
/// its name and its value follow.
pub(crate) fn cookie_jar(scan: &mut Scan<'_>, end: usize) {
    let text = &scan.text;
    let line = text.slice(end, text.line_end(end).min(end + 4096));
    text.tick(line.len());
    let mut fields = line.split(|b| *b == b'\t');
    let (Some(secure), Some(expires), Some(name), Some(value)) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return;
    };
    let flag = secure.eq_ignore_ascii_case(b"true") || secure.eq_ignore_ascii_case(b"false");
    let value = value.trim_ascii_end();
    if flag && expires.iter().all(u8::is_ascii_digit) && is_session(name, value) {
        let start = end + secure.len() + expires.len() + name.len() + 3;
        scan.emit(Kind::SessionCookie, start, start + value.len(), 0.9, true, "file of cookies");
    }
}

/// A cookie's name or the look of its value says that it stands for a session.
fn is_session(name: &[u8], value: &[u8]) -> bool {
    if value.len() > 256 && value::is_random(value, 8) {
        return true;
    }
    if value::is_placeholder(value) || value::is_state(value) {
        return false;
    }
    let plain = PLAIN_COOKIES.iter().any(|plain| name.eq_ignore_ascii_case(plain.as_bytes()))
        || name.starts_with(b"_ga")
        || name.starts_with(b"_utm")
        || name.starts_with(b"__utm");
    if plain {
        return false;
    }
    let lower = name.to_ascii_lowercase();
    let telling = [
        "sess", "sid", "auth", "token", "jwt", "login", "remember", "identity", "ticket", "csrf", "xsrf", "secret",
        "key", "user",
    ]
    .iter()
    .any(|part| lower.windows(part.len()).any(|w| w == part.as_bytes()));
    let makeup = Makeup::of(value);
    (telling && value.len() >= 8 && makeup.digits + makeup.upper > 0)
        || value::is_random(value, 20) && !value::is_uuid(value)
}

/// `SM` and 32 hexadecimal digits, `ch_` and letters: what names a message, an account, a payment.
pub(crate) fn is_object_id(value: &[u8]) -> bool {
    let hashed = value.len() == 34
        && value.iter().take(2).all(u8::is_ascii_uppercase)
        && value.iter().skip(2).all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
    const PREFIXES: &[&str] = &[
        "ch_", "pi_", "cus_", "sub_", "in_", "evt_", "pm_", "price_", "prod_", "acct_", "txn_", "req_", "re_", "po_",
        "card_", "src_", "si_", "seti_", "cs_test_", "S-1-5-",
    ];
    hashed || PREFIXES.iter().any(|prefix| value.starts_with(prefix.as_bytes()))
}

/// A session's id outside a cookie header.
pub(crate) fn session_value(scan: &mut Scan<'_>, name_start: usize, found: Value) {
    let text = &scan.text;
    let mut end = found.start;
    while end < found.end && cookie_byte(text.at(end)) && text.at(end) != b'&' && text.at(end) != b')' {
        end += 1;
    }
    text.tick(end - found.start);
    let value = text.slice(found.start, end);
    let name = text.slice(name_start, found.start);
    // Names of frameworks mean the cookie; `session` and `session_id` in a log mean any session.
    let framework = ["jsessionid", "phpsessid", "connect.sid", "sessionid", "_session"]
        .iter()
        .any(|known| name.windows(known.len()).any(|w| w.eq_ignore_ascii_case(known.as_bytes())));
    let makeup = Makeup::of(value);
    // Ids of objects that some services call so: two capitals and a hash, `sid` of a domain.
    if is_object_id(value) {
        return;
    }
    // The handle of a session in memory or at a coordinator.
    if value.starts_with(b"0x") && value.iter().skip(2).all(u8::is_ascii_hexdigit) {
        return;
    }
    let long = value.len() >= 32 && value.iter().all(u8::is_ascii_alphanumeric);
    let fits = if framework {
        value::is_random(value, 16)
    } else {
        let both = makeup.upper > 0 && makeup.lower > 0;
        value::is_random(value, 24) && makeup.digits > 0 && (both || long) && !value.contains(&b':')
    };
    if fits && value.iter().all(|b| is(*b, TOKEN68) || matches!(b, b'%' | b'!')) {
        scan.emit(Kind::SessionCookie, found.start, end, 0.9, true, "session id");
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{all, found, nothing, one};

    #[test]
    fn bearer_and_basic() {
        for text in [
            "Authorization: Bearer aB3dE6gH9jK2mN5p",
            "\"authorization\":\"Bearer aB3dE6gH9jK2mN5p\"",
            "-H 'Authorization: bearer aB3dE6gH9jK2mN5p'",
            "Authorization%3A%20Bearer%20aB3dE6gH9jK2mN5p",
        ] {
            assert_eq!(all(text), [("BEARER_TOKEN", "aB3dE6gH9jK2mN5p")], "{text}");
        }
        assert_eq!(one("Authorization: Basic dXNlcjpwYXNz", "BASIC_AUTH"), "dXNlcjpwYXNz");
        nothing("the bearer of this letter");
        nothing("Bearer authentication failed");
        nothing("basic understanding");
        nothing("Basic abcdefgh");
        nothing("2.7.2. Basic Options");
    }

    #[test]
    fn cookies() {
        let text = "Cookie: theme=dark; PHPSESSID=a8f5f167f44f4964e6c998dee827110c; lang=en";
        assert_eq!(one(text, "SESSION_COOKIE"), "a8f5f167f44f4964e6c998dee827110c");
        let text = "Set-Cookie: sid=s3cr3tV4lue; Path=/; HttpOnly";
        assert_eq!(one(text, "SESSION_COOKIE"), "s3cr3tV4lue");
        nothing("cookie: theme=dark; lang=en");
        nothing("cookies are disabled");
    }

    #[test]
    fn curl() {
        assert_eq!(found("curl -u bob:S3cret99 https://x", "PASSWORD"), ["S3cret99"]);
        nothing("journalctl -u nginx:x");
        assert_eq!(found("mysql -uroot -pS3cret99 db", "PASSWORD"), ["S3cret99"]);
        assert_eq!(found("docker login -u bob -p S3cret99 x", "PASSWORD"), ["S3cret99"]);
        assert_eq!(found("sqlcmd -S db -U sa -P S3cret99", "PASSWORD"), ["S3cret99"]);
        nothing("docker run -u 1000 -p 8080:80 mysql");
        nothing("session timed out, sessionid 0x1000a1b2c3d0001 from x");
        nothing("docker run -p8080:80 mysql");
        nothing("mkdir -pv /x");
    }
}
