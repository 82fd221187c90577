//! Fields whose value is secret: passwords, keys, tokens. What the value has to look like, and what stands in its place.
//!
//! Invariant: a value is passed over a fixed number of times.

use crate::classify::Class;
use crate::kind::Kind;
use crate::literals::Cue;
use crate::scan::Scan;
use crate::text::{BASE64, BLANK, KEY, is};
use crate::value::{self, Join, Makeup, Value};
use crate::{auth, logins, prose};

pub(crate) fn password(scan: &mut Scan<'_>, name_start: usize, found: Value) {
    let mut found = found;
    // `passwd jo` sets the password of an account.
    if found.join == Join::Blank
        && scan.text.slice(name_start, name_start + 7) == b"passwd "
        && matches!(scan.text.before(name_start), b' ' | b'\n' | b'/')
        && !scan.text.has_before(name_start, "set ")
    {
        return logins::cell(scan, found.start, found.end);
    }
    if found.join == Join::Blank {
        let flag = scan.text.has_before(name_start, "--") || scan.text.has(name_start, "--");
        // "to pass", a verb as often as a name.
        let verb =
            scan.text.has(name_start, "pass ") && scan.text.slice(name_start, name_start + 4) != b"PASS" && !flag;
        if verb {
            return;
        }
        if !(flag || found.quoted || prose::is_directive(&scan.text, name_start, found)) {
            return prose::found(scan, found.start.saturating_sub(1));
        }
        if flag && scan.text.at(found.start) == b'-' {
            return;
        }
    }
    let value = scan.text.slice(found.start, found.end);
    if value.len() < 3
        || value::is_state(value)
        || value::is_label(value)
        || value::is_code(value)
        || !found.quoted && value::is_text(value)
        || is_digest(value)
    {
        return;
    }
    // `mysqldump --password shop` asks for it.
    if found.join == Join::Blank && !found.quoted && value.iter().all(u8::is_ascii_lowercase) {
        return;
    }
    // Ratios, clocks, versions: "pass: 12/15".
    let counted = value.iter().all(|b| b.is_ascii_digit() || b"/:.,%".contains(b));
    if counted && value.len() < 12 && !value.iter().all(u8::is_ascii_digit) {
        return;
    }
    // The argument of a call is as often the name of a setting.
    if found.join == Join::Call && makeup_marks(value) == 0 {
        return;
    }
    // `PWD=/var/www` is the working directory.
    if value::is_path(value) {
        return;
    }
    let makeup = Makeup::of(value);
    let plain_word = makeup.digits + makeup.upper + makeup.other == 0;
    if !found.quoted {
        // `password = quote(x)`
        let word = value.iter().take_while(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'.')).count();
        if word > 2 && value.get(word) == Some(&b'(') {
            return;
        }
        // "password: please enter it": a word with blanks before it and after it is prose.
        let more = scan.text.run(found.end, BLANK) > found.end;
        let capitalised = makeup.upper == 1 && makeup.digits + makeup.other == 0;
        if (plain_word || capitalised) && (found.spaced && more || value.len() < 4) {
            return;
        }
        if (value.len() < 4 && makeup.digits == 0) || prose::is_remark(&scan.text, found) {
            return;
        }
    }
    if found.quoted {
        // A sentence in quotes: most of what has three blanks and no digit.
        let blanks = value.iter().filter(|b| **b == b' ').count();
        let phrase = scan.text.slice(name_start, found.start).windows(6).any(|w| w.eq_ignore_ascii_case(b"phrase"));
        if blanks > 2 && makeup.digits == 0 && !phrase || !phrase && value::is_text(value) {
            return;
        }
        while !scan.text.is_cut(found.end) && scan.text.at(found.end.wrapping_sub(1)) == b' ' && found.end > found.start
        {
            found.end -= 1;
        }
    }
    let kind = if scan.cue_before(Cue::Connection, name_start, 200).is_some() {
        Kind::ConnectionString
    } else {
        Kind::Password
    };
    let confidence = if plain_word { 0.7 } else { 0.9 };
    scan.emit(kind, found.start, found.end, confidence, true, "password field");
}

/// How many digits and marks there are.
pub(crate) fn makeup_marks(value: &[u8]) -> usize {
    let makeup = Makeup::of(value);
    makeup.digits + value.iter().filter(|b| b"!@#$%^&*?".contains(b)).count()
}

pub(crate) fn token(scan: &mut Scan<'_>, class: Class, name_start: usize, found: Value) {
    if found.join == Join::Blank && !found.quoted {
        let text = &scan.text;
        let named =
            text.has_before(name_start, "set ") || text.has_before(name_start, "--") || text.has(name_start, "--");
        // `apikey  9f8e…`: a line of a configuration.
        let directive = found.end - found.start >= 16 && prose::is_directive(text, name_start, found);
        if !named && !directive {
            return;
        }
    }
    if class == Class::Signature
        && !matches!(scan.text.before(name_start), b'?' | b'&')
        && !scan.text.has_before(name_start, "%26")
    {
        return;
    }
    if found.join == Join::Call && Makeup::of(scan.text.slice(found.start, found.end)).digits == 0 {
        return;
    }
    let mut end = found.end;
    // No token has blanks: behind the first one stands something else.
    let whole = scan.text.slice(found.start, found.end);
    if let Some(blank) = whole.iter().position(|b| *b <= b' ') {
        end = found.start + blank;
    }
    let value = scan.text.slice(found.start, end);
    let makeup = Makeup::of(value);
    // What generators of keys make has every mark.
    let generated = found.quoted
        && value.len() >= 40
        && makeup.digits > 2
        && makeup.lower > 4
        && makeup.other > 4
        && end == found.end;
    if value::is_state(value) || !generated && (value::is_path(value) || value::is_code(value) || value.contains(&b'('))
    {
        return;
    }
    let name = scan.text.slice(name_start, found.start);
    if value::is_label(value) || is_digest(value) || scan.text.has_before(name_start, "checksum/") {
        return;
    }
    // The id of a key.
    if value.starts_with(b"0x") && value.len() <= 18 {
        return;
    }
    if auth::is_object_id(value) || names_request(name) {
        return;
    }
    let fits = match class {
        Class::Weak => value::is_random(value, 16) && makeup.upper > 0 && makeup.digits > 0,
        Class::Secret => {
            // `secret` is also what applications call a passphrase.
            let worded = whole.len() >= 6 && makeup.digits > 0 && makeup.lower + makeup.upper >= 3;
            value::is_random(value, 8)
                || worded
                || (value.len() >= 8 && makeup.other > 0 && makeup.upper > 0 && makeup.lower > 0)
        }
        _ => {
            let long_number = makeup.digits == value.len() && value.len() >= 16;
            value::is_random(value, 8) || long_number && class != Class::Signature
        }
    };
    let fits = fits || generated && !value::is_code(value);
    // A vendor's scheme before the key: `token abc`, `sha256=abc` is a digest.
    if !fits
        || class == Class::Token && is_of_thing(scan, name_start)
        || value.starts_with(b"sha") && value.contains(&b'=')
        || is_name(value, makeup)
        || is_moment(value)
    {
        return;
    }
    let kind = if class == Class::Secret && makeup.other + makeup.digits < value.len() / 3 && value.len() < 20 {
        Kind::Password
    } else {
        Kind::GenericSecret
    };
    scan.emit(kind, found.start, end, 0.9, true, "secret field");
}

/// `hmac-sha256:…`, which audits write in a secret's place.
pub(crate) fn is_digest(value: &[u8]) -> bool {
    ["hmac-", "sha256:", "sha512:", "sha1:"].iter().any(|scheme| value.starts_with(scheme.as_bytes()))
}

/// Objects whose `name` is nobody's, and whose `token` opens nothing.
pub(crate) const THINGS: &[&str] = &[
    "team",
    "org",
    "organization",
    "organisation",
    "company",
    "app",
    "application",
    "service",
    "product",
    "project",
    "channel",
    "group",
    "role",
    "plan",
    "file",
    "workspace",
    "repository",
    "repo",
    "account",
    "tenant",
    "store",
    "shop",
    "merchant",
    "event",
    "category",
    "tag",
    "location",
    "city",
    "country",
    "region",
    "device",
    "host",
    "cluster",
    "queue",
    "topic",
    "database",
    "table",
    "vendor",
    "brand",
    "item",
    "form_response",
    "cart",
    "order",
    "checkout",
    "department",
    "institution",
    "bank",
    "agency",
    "facility",
    "hospital",
    "school",
    "venue",
    "pipeline",
    "workflow",
    "job",
    "step",
    "environment",
    "campaign",
    "list",
    "board",
    "space",
    "page",
    "folder",
    "bucket",
    "image",
    "container",
    "namespace",
    "package",
];

/// The name at `name_start` belongs to an object of that kind: `"team": {"name": …`.
#[inline(never)]
pub(crate) fn is_of_thing(scan: &Scan<'_>, name_start: usize) -> bool {
    let text = &scan.text;
    let quote = usize::from(matches!(text.before(name_start), b'"' | b'\''));
    let before = text.slice(name_start.saturating_sub(160), name_start - quote);
    text.tick(before.len());
    let Some(open) = before.iter().rposition(|b| matches!(b, b'{' | b'}' | b'[' | b']' | b'<' | b'>')) else {
        return false;
    };
    // The attribute of an element: few are somebody.
    if before.get(open) == Some(&b'<') && text.at(name_start + 4) == b'=' {
        let tag = before.get(open + 1..).unwrap_or_default();
        let length = tag.iter().position(|b| !is(*b, KEY)).unwrap_or(tag.len());
        let tag = tag.get(..length).unwrap_or_default();
        const PEOPLE: &[&str] = &[
            "person",
            "user",
            "contact",
            "author",
            "customer",
            "member",
            "employee",
            "patient",
            "owner",
            "developer",
            "participant",
            "sender",
            "recipient",
            "client",
            "kunde",
            "student",
            "guest",
            "passenger",
            "meta",
            "holder",
            "party",
            "agent",
        ];
        return !tag.is_empty() && !PEOPLE.iter().any(|known| tag.eq_ignore_ascii_case(known.as_bytes()));
    }
    if before.get(open) != Some(&b'{') {
        return false;
    }
    let key = before.get(..open).unwrap_or_default().trim_ascii_end();
    let Some(key) = key.strip_suffix(b":").map(<[u8]>::trim_ascii_end) else {
        return false;
    };
    let key = key.strip_suffix(b"\"").or(key.strip_suffix(b"'")).unwrap_or(key);
    let start = key.iter().rposition(|b| !is(*b, KEY)).map_or(0, |at| at + 1);
    let key = key.get(start..).unwrap_or_default();
    THINGS.iter().any(|thing| key.eq_ignore_ascii_case(thing.as_bytes()))
}

/// Keys and tokens that tell one request, order or object from another, and open nothing.
pub(crate) fn names_request(name: &[u8]) -> bool {
    ["idempot", "checkout", "cart", "dedup", "form_response", "checksum"]
        .iter()
        .any(|word| name.windows(word.len()).any(|w| w.eq_ignore_ascii_case(word.as_bytes())))
}

/// `my-service-2`, `tls_cert_v1`: words joined by dashes, with a number of one or two digits at most, name things.
pub(crate) fn is_name(value: &[u8], makeup: Makeup) -> bool {
    let short_number = makeup.digits <= 1;
    short_number
        && makeup.upper == 0
        && value.iter().any(|b| matches!(b, b'-' | b'_' | b'.' | b'/'))
        && value.split(|b| matches!(b, b'-' | b'_' | b'.' | b'/')).all(|word| word.len() <= 12)
}

/// A date with a time.
pub(crate) fn is_moment(value: &[u8]) -> bool {
    value.len() >= 10
        && value.get(4) == Some(&b'-')
        && value.get(7) == Some(&b'-')
        && value.iter().take(4).all(u8::is_ascii_digit)
        && value.iter().all(|b| b.is_ascii_digit() || b"-T:.Z+".contains(b))
}

pub(crate) fn aws_secret(scan: &mut Scan<'_>, found: Value) {
    let end = scan.text.run(found.start, BASE64);
    let value = scan.text.slice(found.start, end);
    if value.len() == 40 && Makeup::of(value).mixed() {
        scan.emit(Kind::AwsSecretKey, found.start, end, 0.99, true, "aws secret key field");
    } else {
        token(scan, Class::Token, found.start, found);
    }
}

/// The value of a field for codes that somebody types: four to eight digits.
#[inline(never)]
pub(crate) fn pin(scan: &mut Scan<'_>, found: Value) {
    let value = scan.text.slice(found.start, found.end);
    let same = value.iter().all(|b| Some(b) == value.first());
    if found.join != Join::Blank && (4..=8).contains(&value.len()) && value.iter().all(u8::is_ascii_digit) && !same {
        scan.emit(Kind::Password, found.start, found.end, 0.8, false, "code field");
    }
}

/// `key` by itself stands at `start..end`: the shared key of a server in the configuration of a router, or a line of its
/// own whose value can be nothing but a key.
#[inline(never)]
pub(crate) fn bare_key(scan: &mut Scan<'_>, start: usize, end: usize) {
    let text = &scan.text;
    if !matches!(text.at(end), b' ' | b'\t' | b'=' | b':') {
        return;
    }
    let line = text.slice(text.line_start(start, 120), start);
    text.tick(line.len());
    if text.at(end) == b' ' && text.at(end + 1) != b'=' && line.contains(&b'-') {
        let server = ["tacacs-server host", "radius-server host", "tacacs-server ", "radius-server "];
        if server.iter().any(|of| line.windows(of.len()).any(|w| w == of.as_bytes()))
            && !matches!(text.slice(end + 1, end + 3), b"7 " | b"6 " | b"5 ")
        {
            prose::bare_secret(scan, end + 1);
        }
        return;
    }
    if !line.iter().all(|b| matches!(b, b' ' | b'\t' | b'-')) || !matches!(text.before(start), b'\n' | b' ' | b'\t') {
        return;
    }
    let mut at = text.run(end, BLANK);
    if !matches!(text.at(at), b'=' | b':') {
        return;
    }
    at = text.run(at + 1, BLANK);
    let quote = text.at(at);
    let quoted = matches!(quote, b'"' | b'\'');
    at += usize::from(quoted);
    let stop = text.run(at, BASE64);
    let value = text.slice(at, stop.min(at + 256));
    text.tick(value.len());
    let closed = if quoted { text.at(stop) == quote } else { matches!(text.at(stop), b'\n' | b'\r' | 0) };
    let makeup = Makeup::of(value);
    if closed
        && (24..=128).contains(&value.len())
        && (makeup.digits > 1 || value.ends_with(b"=") && value.len().is_multiple_of(4))
        && makeup.upper > 3
        && makeup.lower > 3
        && crate::vendors::distinct(value) >= 14
        && value::is_random(value, 24)
    {
        scan.emit(Kind::GenericSecret, at, stop, 0.8, false, "key by itself");
    }
}

/// `key1` or `key2` ends at `end`: storage accounts have two, of 64 bytes each, in base64.
#[inline(never)]
pub(crate) fn numbered_key(scan: &mut Scan<'_>, end: usize) {
    let mut start = end;
    while start < end + 12 && matches!(scan.text.at(start), b'\t' | b' ' | b':' | b'=' | b'"' | b',' | b'|') {
        start += 1;
    }
    let stop = scan.text.run(start, BASE64);
    if stop - start == 88 && scan.text.slice(stop - 2, stop) == b"==" {
        scan.emit(Kind::AzureKey, start, stop, 0.97, true, "azure account key");
    }
}

/// `?key=` or `?code=` ends at `start`: what follows authorises, if it is long and random.
pub(crate) fn query_key(scan: &mut Scan<'_>, start: usize) {
    let mut end = scan.text.run(start, crate::text::TOKEN68);
    end = scan.text.slice(start, end.min(start + 256)).iter().position(|b| *b == b'/').map_or(end, |at| start + at);
    let value = scan.text.slice(start, end.min(start + 256));
    scan.text.tick(value.len());
    // What a sign-in sends back is short.
    let least = if scan.text.has(end, "&state=") { 20 } else { 32 };
    if value::is_random(value, least) && Makeup::of(value).digits > 2 && !value::is_uuid(value) {
        scan.emit(Kind::GenericSecret, start, end, 0.8, false, "key in a query");
    }
}
