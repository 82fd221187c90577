//! Mail addresses, also with an encoded at sign.
//!
//! Invariant: the domain has a top level that is no file's extension, no version and no hash.

use crate::kind::Kind;
use crate::scan::Scan;
use crate::text::{HEX, HOST, LOCAL, Text, is};

/// RFC 5321 limits.
const MAX_LOCAL: usize = 64;
const MAX_DOMAIN: usize = 253;

/// Endings of files and members of programs that stand behind `name@something.`.
const NO_TOP_LEVEL: &[&str] = &[
    "png", "jpg", "jpeg", "gif", "svg", "webp", "js", "mjs", "ts", "tsx", "jsx", "css", "scss", "json", "yaml", "yml",
    "xml", "html", "htm", "txt", "log", "tgz", "gz", "zip", "jar", "war", "whl", "lock", "toml", "conf", "cfg", "ini",
    "exe", "dll", "class", "java", "py", "rb", "go", "rs", "sh", "map", "md", "service", "socket", "target", "timer",
    "mount", "scope", "slice", "device", "swap", "path", "pem", "crt", "key", "bin", "so", "sock", "git", "value",
    "length", "size", "name", "tld",
];

/// An at sign of `length` bytes stands at `at`.
pub(crate) fn at_sign(scan: &mut Scan<'_>, at: usize, length: usize) {
    if length == 1 && scan.authority_ats.binary_search(&at).is_ok() {
        return;
    }
    let text = &scan.text;
    let Some(start) = local_start(text, at) else {
        return;
    };
    let Some(end) = domain_end(text, at + length) else {
        return;
    };
    // An apostrophe is a quote where another one closes it.
    let mut start = start;
    if text.at(end) == b'\''
        && let Some(quote) = text.slice(start, at).iter().rposition(|b| *b == b'\'')
    {
        start += quote + 1;
    }
    let local = text.slice(start, at);
    // `git@host:path` is an account of a service.
    // Algorithms are named after those who made them: `chacha20-poly1305@openssh.com`.
    let algorithm =
        ["@openssh.com", "@libssh.org", "@lysator.liu.se"].iter().any(|domain| text.has_before(end, domain));
    let service = algorithm || [&b"git"[..], b"hg", b"svn"].contains(&local);
    if service || (text.at(end) == b':' && text.slice(end, end + 3) == b"://") {
        return;
    }
    if length == 1 && (is_message_id(text, start, at) || principal(scan, start, at, end)) {
        return;
    }
    let text = &scan.text;
    // `jo@db7.internal`, where nobody has mail: an account on a host.
    let extension = text.has_before(start, "sip:") && local.iter().all(u8::is_ascii_digit);
    let inside = ["internal", "local", "lan", "corp"].iter().any(|top| text.has_before(end, top));
    if text.has_before(end, ".internal")
        || text.has_before(end, ".cluster.local")
        || inside && (extension || text.has_before(start, "connect\t") || crate::cli::is_remote(text, start))
        // `~jo@host`: somebody in a chat, by what their machine says.
        || length == 1 && text.before(start) == b'~'
    {
        if extension {
            scan.emit(Kind::Hostname, at + length, end, 0.9, true, "internal host name");
            return;
        }
        scan.emit(Kind::Username, start, at, 0.8, false, "account on a host");
        scan.emit(Kind::Hostname, at + length, end, 0.9, true, "internal host name");
        return;
    }
    scan.emit(Kind::Email, start, end, 0.97, true, if length == 1 { "mail address" } else { "encoded mail address" });
    crate::mailbox::before(scan, start, end);
}

/// Realms that are no domains of the mail.
const REALMS: &[&str] =
    &["example", "local", "internal", "lan", "corp", "realm", "intra", "int", "test", "home", "private"];

/// `jo@ACME.EXAMPLE`, `nfs/db7.internal@ACME.EXAMPLE`: a principal of Kerberos, whose realm is all capitals. So are the
/// random hosts of calls (`184-7@BJC.BGI`), whose number is nobody. Gives whether it is one of them.
#[inline(never)]
fn principal(scan: &mut Scan<'_>, start: usize, at: usize, end: usize) -> bool {
    let (local, realm) = (scan.text.slice(start, at), scan.text.slice(at + 1, end));
    if realm.iter().any(u8::is_ascii_lowercase) {
        return false;
    }
    scan.text.tick(local.len() + realm.len());
    if !local.iter().any(u8::is_ascii_alphabetic) {
        return true;
    }
    let top = realm.rsplit(|b| *b == b'.').next().unwrap_or_default();
    let instance = scan.text.before(start) == b'/';
    if !instance && !REALMS.iter().any(|known| top.eq_ignore_ascii_case(known.as_bytes())) {
        return false;
    }
    let lower = local.iter().any(u8::is_ascii_lowercase);
    if instance && lower && local.contains(&b'.') {
        scan.emit(Kind::Hostname, start, at, 0.8, false, "host of a principal");
    } else if !instance && crate::users::account_end(scan, start) == Some(at) {
        scan.emit(Kind::Username, start, at, 0.85, false, "principal");
    }
    true
}

/// The number of a message, made as an address is: `<CAF=Kc8bR1u7wXqZ2vN4yA@mail.gmail.com>`, `<20250114091403.1.5D0C@mg.acme.com>`.
#[inline(never)]
fn is_message_id(text: &Text<'_>, start: usize, at: usize) -> bool {
    let low = start.saturating_sub(48);
    let before = text.slice(low, start);
    text.tick(before.len());
    let Some(open) = before.iter().rposition(|b| matches!(b, b'<' | b' ' | b'\n')) else {
        return false;
    };
    if before.get(open) != Some(&b'<') {
        return false;
    }
    let lead = before.get(..open).unwrap_or_default().trim_ascii_end();
    let named = lead.len() >= 3
        && ["id:", "id=", "ids:", "references:", "reply-to:"].iter().any(|word| {
            lead.len()
                .checked_sub(word.len())
                .and_then(|at| lead.get(at..))
                .is_some_and(|end| end.eq_ignore_ascii_case(word.as_bytes()))
        })
        && !lead.to_ascii_lowercase().ends_with(b"\nreply-to:");
    let local = text.slice(low + open + 1, at);
    let digits = local.iter().filter(|b| b.is_ascii_digit()).count();
    let dated = digits >= 14 && local.iter().all(|b| b.is_ascii_hexdigit() || matches!(b, b'.' | b'-'));
    named || dated
}

fn is_letter(text: &Text<'_>, end: usize) -> Option<usize> {
    let start = text.floor(end.checked_sub(1)?);
    let letter = text.part(start, end).chars().next()?;
    letter.is_alphanumeric().then_some(start)
}

/// Where the local part begins.
fn local_start(text: &Text<'_>, at: usize) -> Option<usize> {
    let mut start = text.run_back(at, LOCAL, MAX_LOCAL);
    // Letters beyond ASCII (RFC 6531).
    while at - start < MAX_LOCAL
        && text.before(start) >= 0x80
        && text.at(start) != b'\''
        && let Some(letter) = is_letter(text, start)
    {
        start = text.run_back(letter, LOCAL, MAX_LOCAL);
    }
    // The tail of an escape (`%3Djo`, `\njo`), and quoting.
    while start < at {
        let first = text.at(start);
        if first == b'%' && is(text.at(start + 1), HEX) && is(text.at(start + 2), HEX) {
            start += 3;
        } else if text.before(start) == b'%' && is(first, HEX) && is(text.at(start + 1), HEX) {
            start += 2;
        } else if (text.before(start) == b'\\' && matches!(first, b'n' | b'r' | b't') && start + 1 < at)
            || matches!(first, b'.' | b'-' | b'\'' | b'%' | b'+')
        {
            start += 1;
        } else {
            break;
        }
    }
    // An escape in the middle: what stands before it is another field.
    let local = text.slice(start, at);
    if let Some(escape) =
        local.windows(3).rposition(|w| w.first() == Some(&b'%') && w.iter().skip(1).all(|b| is(*b, HEX)))
    {
        let inside = local.get(escape + 1..escape + 3).unwrap_or_default();
        if !inside.eq_ignore_ascii_case(b"2b") {
            start += escape + 3;
        }
    }
    let local = text.slice(start, at);
    let last = local.last().copied()?;
    let dots = local.windows(2).any(|w| w == b"..");
    (last != b'.' && last != b'\'' && !dots && local.iter().any(|b| b.is_ascii_alphanumeric() || *b >= 0x80))
        .then_some(start)
}

/// Where the domain ends that begins at `start`.
fn domain_end(text: &Text<'_>, start: usize) -> Option<usize> {
    let mut end = text.run(start, HOST);
    // International names.
    let mut rest = text.part(end, text.floor(end + 64));
    while let Some(letter) = rest.chars().next()
        && !letter.is_ascii()
        && letter.is_alphanumeric()
        && end - start < MAX_DOMAIN
    {
        end = text.run(end + letter.len_utf8(), HOST);
        rest = text.part(end, text.floor(end + 64));
    }
    if end - start > MAX_DOMAIN {
        return None;
    }
    while end > start && matches!(text.at(end - 1), b'.' | b'-' | b'_') {
        end -= 1;
    }
    let domain = text.slice(start, end);
    text.tick(domain.len());
    let dot = domain.iter().rposition(|b| *b == b'.')?;
    let mut top = domain.get(dot + 1..).unwrap_or_default();
    // A sentence that lost its blank: "jo@acme.com.Then". A number or a field behind it: no top level has one.
    if let Some(strange) = top.iter().position(|b| !b.is_ascii_alphabetic() && *b < 0x80 && *b != b'-') {
        top = top.get(..strange).unwrap_or_default();
        if top.len() < 2 || strange == 0 {
            return None;
        }
        return None;
    }
    let punycode = top.starts_with(b"xn--");
    let letters = top.iter().all(|b| b.is_ascii_alphabetic() || *b >= 0x80);
    let known = NO_TOP_LEVEL.iter().any(|no| top.eq_ignore_ascii_case(no.as_bytes()));
    let labels = domain
        .split(|b| *b == b'.')
        .all(|label| !label.is_empty() && label.first() != Some(&b'-') && label.last() != Some(&b'-'));
    (labels && (letters || punycode) && (2..=24).contains(&top.len()) && !known).then_some(end)
}

#[cfg(test)]
mod tests {
    use crate::testing::{found, nothing, one};

    #[test]
    fn addresses() {
        for (text, address) in [
            ("<jo.doe+x@mail.acme.co.uk>", "jo.doe+x@mail.acme.co.uk"),
            ("?email=jo%40acme.com&v=1", "jo%40acme.com"),
            ("q%3Djo%40acme.com%26", "jo%40acme.com"),
            ("\\\"jo@acme.com\\\"", "jo@acme.com"),
            ("a\\njo@acme.com", "jo@acme.com"),
            ("write to jo@acme.com.", "jo@acme.com"),
            ("'jo@acme.com'", "jo@acme.com"),
            ("mailto:jo@acme.com", "jo@acme.com"),
            ("zoë@müller.de", "zoë@müller.de"),
        ] {
            assert_eq!(one(text, "EMAIL"), address, "{text}");
        }
        assert_eq!(found("a@b.com,c@d.com;e@f.com", "EMAIL").len(), 3);
    }

    #[test]
    fn principals() {
        assert_eq!(one("for jdoe7@CAMPUS.EXAMPLE x", "USERNAME"), "jdoe7");
        assert_eq!(one("nfs/db7.acme@CAMPUS.EXAMPLE", "HOSTNAME"), "db7.acme");
        assert_eq!(one("JO@ACME.COM", "EMAIL"), "JO@ACME.COM");
        nothing("(callid: 184-5060-7@BJC.BGI.A.BA)");
        nothing("krbtgt/CAMPUS.EXAMPLE@CAMPUS.EXAMPLE");
    }

    #[test]
    fn look_alikes() {
        for text in [
            "task@0x5581",
            "pkg/left-pad@4.5.6",
            "org.example.Cart@7c30a502",
            "@Deprecated",
            "logo@2x.png",
            "git@github.com:a/b",
            "app@sha256:abc",
            "a@b",
            "@@@@",
            "getty@tty1.service",
            "foo@latest",
            "x@.com",
            "..@..",
        ] {
            nothing(text);
        }
    }
}
