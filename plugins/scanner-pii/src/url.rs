//! Credentials in URLs (RFC 3986 user information), of any scheme.
//!
//! Invariant: the password alone is reported. The user's part ends at the last at sign before the path, because
//! passwords that nobody encoded hold at signs, question marks and hashes.

use crate::kind::Kind;
use crate::scan::Scan;
use crate::text::{ALNUM, AUTHORITY, HOST, is};
use crate::value;

/// `://` stands at `start..end`.
pub(crate) fn matched(scan: &mut Scan<'_>, start: usize, end: usize) {
    let text = &scan.text;
    if !is(text.before(start), ALNUM) {
        return;
    }
    let mut limit = text.run(end, AUTHORITY);
    // A slash in a password that nobody encoded: behind it stands an at sign and a host, before it a colon.
    let authority = text.slice(end, limit);
    let mut ats = authority.iter().enumerate().rev().filter(|(_, b)| **b == b'@').map(|(i, _)| end + i);
    let mut at = ats.next();
    if at.is_none() && text.at(limit) == b'/' && authority.contains(&b':') {
        let further = text.run(limit + 1, AUTHORITY);
        let port = authority.iter().rev().take_while(|b| b.is_ascii_digit()).count();
        let is_port = port > 0 && authority.iter().rev().nth(port) == Some(&b':');
        let rest = text.slice(limit, further.min(limit + 64));
        if !is_port && let Some(found) = rest.iter().rposition(|b| *b == b'@') {
            at = Some(limit + found);
            limit = further;
        }
    }
    text.tick(limit - end);
    let Some(at) = at else {
        return;
    };
    // Behind the at sign stands a host.
    // Behind a password, it may be left out: `postgres://user:password@/name?host=/run`.
    let socket = text.at(at + 1) == b'/' && at + 1 == limit && authority.contains(&b':');
    if !socket && !is(text.at(at + 1), HOST) && !matches!(text.at(at + 1), b'[' | b'$' | b'{' | b'<' | b'%') {
        return;
    }
    let user = text.slice(end, at);
    let Some(colon) = user.iter().position(|b| *b == b':') else {
        scan.authority_ats.push(at);
        // A token in the user's place.
        if value::is_random(user, 20) && !user.iter().any(|b| matches!(b, b'?' | b',')) {
            scan.emit(Kind::UrlCredentials, end, at, 0.9, true, "token in a url");
        }
        return;
    };
    let secret = text.slice(end + colon + 1, at);
    // `https://host:8080?mail=a@b`: the colon is the port's.
    let port = secret.iter().take_while(|b| b.is_ascii_digit()).count();
    let query = secret.get(port).is_some_and(|b| matches!(b, b'?' | b'#')) && port > 0;
    if query {
        return;
    }
    scan.authority_ats.push(at);
    if secret.is_empty()
        || (secret.len() < 256 && value::is_placeholder(secret))
        || value::is_label(secret) && user.iter().all(|b| b.is_ascii_alphabetic() || matches!(b, b':' | b'_'))
        || user.contains(&b',') && secret.contains(&b'=')
    {
        return;
    }
    scan.emit(Kind::UrlCredentials, end + colon + 1, at, 0.95, true, "password in a url");
}

/// `jdbc:oracle:thin:` ends at `end`: `user/password@` may follow.
pub(crate) fn oracle_thin(scan: &mut Scan<'_>, end: usize) {
    let text = &scan.text;
    let user = text.run(end, ALNUM);
    if user == end || text.at(user) != b'/' {
        return;
    }
    let stop = text.run(user + 1, AUTHORITY);
    let secret = text.slice(user + 1, stop);
    text.tick(secret.len());
    if let Some(at) = secret.iter().rposition(|b| *b == b'@')
        && at > 0
        && !value::is_placeholder(secret.get(..at.min(256)).unwrap_or_default())
    {
        let at = user + 1 + at;
        scan.authority_ats.push(at);
        scan.emit(Kind::ConnectionString, user + 1, at, 0.95, true, "oracle connection string");
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{all, nothing, one};

    #[test]
    fn passwords_in_urls() {
        for (text, secret) in [
            ("postgres://app:hunter2@db:5432/x", "hunter2"),
            ("redis://:hunter2@cache", "hunter2"),
            ("\"mongodb+srv://a.b:p@ss@@c/x\"", "p@ss@"),
            ("amqp://a:b#c?d@10.1.2.3:5672", "b#c?d"),
            ("https://u:a/b9@h.com/p", "a/b9"),
            ("postgres://app:hunter2@/x?host=/run", "hunter2"),
        ] {
            assert_eq!(one(text, "URL_CREDENTIALS"), secret, "{text}");
        }
        let token = "a1b2c3d4e5f6a7b8c9d0e1f2";
        assert_eq!(one(&format!("https://{token}@git.acme.com/x"), "URL_CREDENTIALS"), token);
    }

    #[test]
    fn urls_without() {
        nothing("https://acme.com:8080/path");
        nothing("postgres://app:${PASSWORD}@db/x");
        nothing("ssh://git@acme.com/x.git");
        nothing("name,url,note\nBank,https://bank.example,murph144x,Com@et86x");
        assert_eq!(all("https://acme.com:8080?mail=jo@acme.com"), [("EMAIL", "jo@acme.com")]);
    }
}
