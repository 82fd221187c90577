//! Names of internal hosts.
//!
//! Invariant: a name is internal by its labels (`.internal`, `.corp.…`, `.svc`), never because it has dots: packages,
//! classes, members and files have them too.

use crate::kind::Kind;
use crate::scan::Scan;
use crate::text::{HOST, is};
use crate::value::Value;

const MAX_HOST: usize = 253;

/// First labels of packages and members of programs.
const PACKAGES: &[&str] = &[
    "com",
    "org",
    "net",
    "io",
    "java",
    "javax",
    "sun",
    "jdk",
    "kotlin",
    "scala",
    "akka",
    "app",
    "config",
    "this",
    "self",
    "std",
    "core",
    "module",
    "env",
    "settings",
    "application",
    "appsettings",
    "window",
    "process",
    "system",
    "k8s",
    "github",
    "docker-compose",
    "global",
    "user",
    "package",
    "bootstrap",
    "logging",
    "local",
    "values",
    "dev",
    "edu",
    "gov",
    "de",
    "uk",
    "main",
    "index",
    "spring",
    "apache",
    "google",
    "microsoft",
    "python",
    "django",
    "node",
    "react",
    "threading",
    "options",
    "opts",
    "args",
    "parsed",
    "dist",
    "localhost",
];

/// Labels that mark a name in its middle; the others of the list have to be its last.
const MIDDLE: &[&str] = &["corp", "lan", "svc", "intranet", "ad", "int", "prod", "consul", "private"];

/// A label of internal names stands at `start..end`, its dot first.
pub(crate) fn matched(scan: &mut Scan<'_>, start: usize, end: usize) {
    if start < scan.host_done {
        return;
    }
    let text = &scan.text;
    let begin = text.run_back(start, HOST, MAX_HOST);
    let mut stop = text.run(start, HOST);
    while stop > start && matches!(text.at(stop - 1), b'.' | b'-' | b'_') {
        stop -= 1;
    }
    let mut begin = begin;
    while begin < start && matches!(text.at(begin), b'.' | b'-' | b'_') {
        begin += 1;
    }
    if text.before(begin) == b'\\' && matches!(text.at(begin), b'n' | b'r' | b't') {
        begin += 1;
    }
    if text.before(begin) == b'%' && begin + 2 < start {
        begin += 2;
    }
    let label_end = if text.at(end - 1) == b'.' { end - 1 } else { end };
    // The label has to be whole.
    if label_end < stop && text.at(label_end) != b'.' || begin >= start || stop - begin > MAX_HOST || stop < label_end {
        return;
    }
    let name = text.slice(begin, stop);
    let label = text.slice(start + 1, label_end);
    text.tick(name.len());
    let last = label_end == stop;
    let custom = !BUILT_IN.iter().any(|known| label.eq_ignore_ascii_case(known.as_bytes()));
    if !last && !custom && !MIDDLE.iter().any(|middle| label.eq_ignore_ascii_case(middle.as_bytes())) {
        return;
    }
    let in_url = begin > 0 && scan.authority_ats.last() == Some(&(begin - 1));
    // A profile of resources (`PAYR.PROD.**`), and hosts of the mail that anybody reaches.
    if text.has(stop, ".*") || text.has_before(stop, ".outlook.com") {
        return;
    }
    if !is_host(name) || (matches!(text.before(begin), b'@' | b'$' | b'_') && !in_url || text.at(stop) == b'(') {
        return;
    }
    // A file or folder: `/etc/x.local`, `.env.local`; but `https://` may stand before.
    if text.before(begin) == b'/' && text.before(begin - 1) != b'/' || (text.before(begin) == b'.' && begin > 0) {
        return;
    }
    scan.host_done = stop;
    scan.emit(Kind::Hostname, begin, stop, 0.9, last, "internal host name");
}

const BUILT_IN: &[&str] = &[
    "internal",
    "local",
    "lan",
    "corp",
    "intranet",
    "localdomain",
    "consul",
    "svc",
    "ad",
    "private",
    "int",
    "prod",
    "home.arpa",
    "arpa",
];

/// Labels of letters, digits and dashes; the last one as top levels are; no package.
fn is_host(name: &[u8]) -> bool {
    let mut labels = 0;
    for label in name.split(|b| *b == b'.') {
        labels += 1;
        let fits = (1..=63).contains(&label.len())
            && label.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && label.first() != Some(&b'-')
            && label.last() != Some(&b'-');
        // Members and classes have humps.
        let hump = label.windows(2).any(|w| matches!(w, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase()));
        if !fits || hump {
            return false;
        }
    }
    let first = name.split(|b| *b == b'.').next().unwrap_or_default();
    let package = PACKAGES.iter().any(|package| first.eq_ignore_ascii_case(package.as_bytes()));
    let top = name.rsplit(|b| *b == b'.').next().unwrap_or_default();
    labels > 1
        && !package
        && top.iter().all(u8::is_ascii_alphabetic)
        && top.len() > 1
        && !["yaml", "yml", "json", "log", "conf", "xml", "js", "py", "java", "go", "md", "txt", "properties", "sh"]
            .iter()
            .any(|ending| top.eq_ignore_ascii_case(ending.as_bytes()))
}

/// Ends of names that anybody may know.
const PUBLIC: &[&str] = &["com", "org", "net", "io", "dev", "app", "gov", "edu", "cloud", "co"];

/// The value of a field for hosts: internal if it is a plain name with a number, as machines have, and no public one.
pub(crate) fn field(scan: &mut Scan<'_>, found: Value) {
    let text = &scan.text;
    let end = text.run(found.start, HOST).min(found.end);
    let name = text.slice(found.start, end);
    text.tick(name.len());
    let digits = name.iter().any(u8::is_ascii_digit);
    let letters = name.iter().any(u8::is_ascii_alphabetic);
    let joined = name.iter().any(|b| matches!(b, b'-' | b'.'));
    let top = name.rsplit(|b| *b == b'.').next().unwrap_or_default();
    let public = PUBLIC.iter().any(|public| top.eq_ignore_ascii_case(public.as_bytes()));
    let shape = name.split(|b| *b == b'.').all(|label| {
        label.first().is_some_and(u8::is_ascii_alphanumeric) && label.last().is_some_and(u8::is_ascii_alphanumeric)
    });
    let dotted = name.contains(&b'.');
    let behind = text.at(end);
    if digits
        && letters
        && joined
        && !public
        && shape
        && (4..=MAX_HOST).contains(&name.len())
        && top.iter().any(u8::is_ascii_alphabetic)
        && (!dotted || is_host(name))
        && !is(behind, HOST)
        && behind != b'/'
        && behind != b'('
        && !looks_random(name)
    {
        scan.emit(Kind::Hostname, found.start, end, 0.7, false, "field of a host");
    }
}

/// The value of a column for hosts at `start..end`: one label suffices where it has letters and a number.
pub(crate) fn cell(scan: &mut Scan<'_>, start: usize, end: usize) {
    let text = &scan.text;
    let stop = text.run(start, HOST).min(end);
    let name = text.slice(start, stop);
    text.tick(name.len());
    let label = name.iter().any(u8::is_ascii_digit)
        && name.iter().any(u8::is_ascii_alphabetic)
        && name.first().is_some_and(u8::is_ascii_alphabetic)
        && !name.iter().any(|b| matches!(b, b'.' | b'_'));
    if label && (4..=63).contains(&name.len()) && (stop == end || text.at(stop) == b':') && !looks_random(name) {
        scan.emit(Kind::Hostname, start, stop, 0.7, false, "column of hosts");
    } else {
        field(scan, Value { start, end, quoted: true, join: crate::value::Join::Other, spaced: false, block: None });
    }
}

/// A UUID or a hash.
fn looks_random(name: &[u8]) -> bool {
    name.len() >= 16 && name.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-')
}

#[cfg(test)]
mod tests {
    use crate::testing::{nothing, one};

    #[test]
    fn internal_names() {
        for (text, host) in [
            ("on db-7.prod.internal.", "db-7.prod.internal"),
            ("relay=ldap.corp.acme.com[", "ldap.corp.acme.com"),
            ("https://wiki.intranet/x", "wiki.intranet"),
            ("to a.b.svc.cluster.local:443", "a.b.svc.cluster.local"),
            ("ip-10-1-2-3.eu-west-1.compute.internal", "ip-10-1-2-3.eu-west-1.compute.internal"),
            ("host=web-prod-01 x", "web-prod-01"),
            ("redis://:${X}@cache.prod.internal:6379/0", "cache.prod.internal"),
        ] {
            assert_eq!(one(text, "HOSTNAME"), host, "{text}");
        }
    }

    #[test]
    fn dotted_names_that_are_none() {
        for text in [
            "com.acme.internal.Foo",
            "jdk.internal.reflect.Method",
            "/etc/hosts.local",
            ".env.local",
            "settings.local",
            "this.internal",
            "class X(threading.local):",
            "x.localName",
            "fooBar.internal",
            "a.private()",
            "api.github.com",
            "host=localhost",
        ] {
            nothing(text);
        }
    }
}
