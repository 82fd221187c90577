//! Hashes of passwords as systems keep them: behind an account's name in their files, or alone.
//!
//! Invariant: a hash has the scheme that begins it, and as many characters as the scheme gives it at the least.

use crate::kind::Kind;
use crate::people;
use crate::scan::Scan;
use crate::text::{BASE64URL, DIGIT, HOST, WORD, is};
use crate::users;

/// How a hash begins, and how many characters follow at the least.
pub(crate) const SCHEMES: &[(&str, usize)] = &[
    ("$2a$", 56),
    ("$2b$", 56),
    ("$2y$", 56),
    ("$1$", 24),
    ("$5$", 40),
    ("$6$", 80),
    ("$y$", 40),
    ("$apr1$", 24),
    ("$argon2", 40),
    ("{ssha}", 28),
    ("{sha}", 24),
    ("{ssha512}", 60),
];

/// The beginning of a scheme of [`SCHEMES`] stands at `start..end`.
pub(crate) fn matched(scan: &mut Scan<'_>, index: usize, start: usize, end: usize) {
    let Some((_, least)) = SCHEMES.get(index) else {
        return;
    };
    let text = &scan.text;
    if start < scan.hash_done || is(text.before(start), WORD) {
        return;
    }
    let mut stop = end;
    while stop < end + 256
        && (is(text.at(stop), BASE64URL) || matches!(text.at(stop), b'.' | b'/' | b'$' | b'=' | b'+' | b','))
    {
        stop += 1;
    }
    text.tick(stop - start);
    while stop > end && matches!(text.at(stop - 1), b',' | b'$') {
        stop -= 1;
    }
    if stop - end < *least || !text.slice(end, stop).iter().any(u8::is_ascii_digit) {
        return;
    }
    scan.hash_done = stop;
    scan.emit(Kind::Password, start, stop, 0.8, true, "hash of a password");
    // `jo:$apr1$…`, a line of `htpasswd` or `shadow`.
    if scan.text.before(start) == b':' {
        let first = scan.text.run_back(start - 1, HOST, 40);
        if matches!(scan.text.before(first), b'\n' | b' ' | b'"') && users::account_end(scan, first) == Some(start - 1)
        {
            scan.emit(Kind::Username, first, start - 1, 0.8, false, "account of a hash");
        }
    }
}

/// `:x:` stands at `start..end`: a line of `passwd` has the account before it, and its owner's name in the fifth field.
pub(crate) fn passwd(scan: &mut Scan<'_>, start: usize, end: usize) {
    let text = &scan.text;
    let first = text.run_back(start, HOST, 40);
    let uid = text.run(end, DIGIT);
    let gid = text.run(uid + 1, DIGIT);
    // Below a thousand stand the system's.
    if text.before(first) != b'\n' || uid - end < 4 || uid - end > 9 || text.at(uid) != b':' || text.at(gid) != b':' {
        return;
    }
    let gid = gid + 1;
    if users::account_end(scan, first) != Some(start) || scan.text.slice(end, uid) == b"65534" {
        return;
    }
    scan.emit(Kind::Username, first, start, 0.9, true, "line of passwd");
    if let Some((from, to, words)) = people::name(scan, gid)
        && words > 1
        && matches!(scan.text.at(to), b',' | b':')
    {
        scan.emit(Kind::Person, from, to, 0.8, false, "line of passwd");
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{all, nothing};

    #[test]
    fn files_of_accounts() {
        let hash = "$apr1$x7Zk2QpL$Jm4vT9sRw1bHn8cYd6FgE.";
        assert_eq!(all(&format!("jdoe7:{hash}\n")), [("USERNAME", "jdoe7"), ("PASSWORD", hash)]);
        let hash = "$2y$10$Vh0sQy2m9kT1cYt8bA0uUeQm6w5xJZqk3mJcPpR4oN8fTnW2lGd7C";
        assert_eq!(all(&format!("x '{hash}', y")), [("PASSWORD", hash)]);
        assert_eq!(
            all("jdoe7:x:1001:1001:Ada King,,,:/srv/x:/bin/sh\n"),
            [("USERNAME", "jdoe7"), ("PERSON", "Ada King")]
        );
        nothing("sshd:x:110:65534::/run/sshd:/usr/sbin/nologin\n");
        nothing("echo $1$x; awk '{sha}'; costs $5$");
    }
}
