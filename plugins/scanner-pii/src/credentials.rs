//! Credentials that no field's name leads to: pairs of an account and its password behind a cue, what servers write of a
//! sign-in, links and tokens that let somebody in.
//!
//! Invariant: each literal looks at one line, a bounded number of bytes of it; a password has to look like one.

use crate::kind::Kind;
use crate::scan::Scan;
use crate::text::{BASE64, BASE64URL, BLANK, DIGIT, HOST, is};
use crate::value::{self, Makeup};
use crate::{hosts, prose, users};

/// What a literal leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lead {
    /// `jo / secret`, `jo:secret`, `jo/secret` in a sentence.
    Pair,
    /// `[jo/secret] (from client x` of RADIUS.
    Radius,
    /// `root:secret` for `chpasswd`.
    Chpasswd,
    /// The last part of a link by which a password is set anew.
    Link,
    /// A token for messages to a telephone.
    Push,
    /// `jo : TTY=pts/3` of sudo.
    Terminal,
    /// `! Last configuration change at … by jo` of routers.
    Changed,
    /// `Connect\tjo@10.1.2.3 on` of MySQL.
    Session,
    /// A public key of ssh, whose remark says whose it is: `AAAA… jo@laptop-7`.
    PublicKey,
    /// `printer jo 44 [date] total 3` of CUPS.
    Pages,
}

/// The literals in lower case, and what they lead to.
pub(crate) const LEADS: &[(&str, Lead)] = &[
    ("creds", Lead::Pair),
    ("credentials", Lead::Pair),
    ("zugang", Lead::Pair),
    ("anmeldedaten", Lead::Pair),
    ("identifiants", Lead::Pair),
    ("credenzial", Lead::Pair),
    ("credencia", Lead::Pair),
    ("inloggeg", Lead::Pair),
    ("logowani", Lead::Pair),
    ("tunnus", Lead::Pair),
    ("accès", Lead::Pair),
    ("přihlášení", Lead::Pair),
    ("přihlašovací", Lead::Pair),
    ("dostęp", Lead::Pair),
    ("κωδικοί", Lead::Pair),
    ("Κωδικοί", Lead::Pair),
    ("Στοιχεία", Lead::Pair),
    ("Доступ", Lead::Pair),
    ("Учётные", Lead::Pair),
    ("στοιχεία", Lead::Pair),
    ("доступ", Lead::Pair),
    ("учётные", Lead::Pair),
    ("账号密码", Lead::Pair),
    ("login incorrect (", Lead::Radius),
    ("login ok: [", Lead::Radius),
    ("login incorrect: [", Lead::Radius),
    ("chpasswd", Lead::Chpasswd),
    ("/reset/", Lead::Link),
    ("reset-password/", Lead::Link),
    ("password-reset/", Lead::Link),
    ("password/reset/", Lead::Link),
    ("/passwort/", Lead::Link),
    ("/magic/", Lead::Link),
    ("/magic-link/", Lead::Link),
    ("/activate/", Lead::Link),
    ("/invitation/", Lead::Link),
    (":apa91b", Lead::Push),
    ("] total ", Lead::Pages),
    (" : tty=", Lead::Terminal),
    ("configuration change at ", Lead::Changed),
    ("connect\t", Lead::Session),
    ("aaaac3nza", Lead::PublicKey),
    ("aaaab3nza", Lead::PublicKey),
];

/// How far behind its cue a pair stands.
const AHEAD: usize = 72;

/// A literal of [`LEADS`] stands at `start..end`.
#[inline(never)]
pub(crate) fn matched(scan: &mut Scan<'_>, index: usize, start: usize, end: usize) {
    match LEADS.get(index).map(|(_, lead)| *lead) {
        Some(Lead::Pair) => pair(scan, end),
        Some(Lead::Radius) => radius(scan, start),
        Some(Lead::Chpasswd) => chpasswd(scan, start, end),
        Some(Lead::Link) => link(scan, end),
        Some(Lead::Push) => push(scan, start, end),
        Some(Lead::Pages) => pages(scan, start),
        Some(Lead::Terminal) => {
            let from = scan.text.run_back(start, HOST, 40);
            account(scan, from, start);
        }
        Some(Lead::Changed) => {
            let line = scan.text.slice(end, scan.text.line_end(end).min(end + 80));
            scan.text.tick(line.len());
            if let Some(by) = line.windows(4).position(|w| w == b" by ") {
                let to = scan.text.run(end + by + 4, HOST);
                account(scan, end + by + 4, to);
            }
        }
        Some(Lead::Session) => {
            let to = scan.text.run(end, HOST);
            if scan.text.at(to) == b'@' {
                account(scan, end, to);
            }
        }
        Some(Lead::PublicKey) => {
            let stop = scan.text.run(end, BASE64);
            let from = scan.text.run(stop, BLANK);
            let to = scan.text.run(from, HOST);
            // With a dot behind the at sign it is a mailbox.
            let host = scan.text.slice(to + 1, scan.text.run(to + 1, HOST));
            if from > stop && scan.text.at(to) == b'@' && !host.contains(&b'.') {
                account(scan, from, to);
            }
        }
        None => {}
    }
}

/// `from..to` is the name of an account, if it is one.
fn account(scan: &mut Scan<'_>, from: usize, to: usize) {
    let starts = !is(scan.text.before(from), HOST);
    if starts && from < to && users::account_end(scan, from) == Some(to) {
        scan.emit(Kind::Username, from, to, 0.85, false, "account of a record");
    }
}

/// An account and its password on the line behind `at`.
fn pair(scan: &mut Scan<'_>, at: usize) {
    let limit = scan.text.floor(scan.text.line_end(at).min(at + AHEAD));
    let line = scan.text.slice(at, limit);
    scan.text.tick(line.len() * 2);
    let mut word = 0;
    for (i, byte) in line.iter().enumerate() {
        if matches!(byte, b'"' | b'{' | b'(' | b'<') {
            return;
        }
        let apart = *byte == b'/' && line.get(i + 1) == Some(&b' ') && i > 2 && line.get(i - 1) == Some(&b' ');
        let close = matches!(byte, b'/' | b':') && i > word + 2 && line.get(i + 1).is_some_and(|b| *b > b' ');
        if apart || close {
            let (user, secret) = if apart { (i - 1, i + 2) } else { (i, i + 1) };
            let from =
                line.get(..user).and_then(|head| head.iter().rposition(|b| !is(*b, HOST))).map_or(0, |at| at + 1);
            let behind = line.get(secret..).unwrap_or_default();
            let length = behind.iter().position(|b| *b <= b' ').unwrap_or(behind.len());
            let behind = behind.get(..length).unwrap_or_default();
            // Folders and addresses have more parts.
            let parts = behind.iter().any(|b| matches!(b, b'/' | b':' | b'\\'));
            let makeup = Makeup::of(behind);
            let strong = apart || behind.len() >= 8 && makeup.upper + makeup.other > 0 && makeup.digits > 0;
            if (apart || from >= word)
                && !parts
                && strong
                && users::account_end(scan, at + from) == Some(at + user)
                && prose::candidate(scan, at + secret)
            {
                scan.emit(Kind::Username, at + from, at + user, 0.75, false, "account of a pair");
            }
            return;
        }
        if *byte == b' ' {
            word = i + 1;
        }
    }
}

/// `[jo]` or `[jo/secret]` on the line of `start`, and the client behind it.
fn radius(scan: &mut Scan<'_>, start: usize) {
    let text = &scan.text;
    let line = text.slice(start, text.line_end(start).min(start + 256));
    text.tick(line.len());
    let Some(client) = line.windows(14).position(|w| w == b"] (from client") else {
        return;
    };
    let Some(open) = line.get(..client).and_then(|head| head.iter().rposition(|b| *b == b'[')) else {
        return;
    };
    let (from, to) = (start + open + 1, start + client);
    let slash = text.slice(from, to).iter().position(|b| *b == b'/').map_or(to, |at| from + at);
    if slash + 1 < to {
        let secret = text.slice(slash + 1, to);
        if secret.first() != Some(&b'<') && !value::is_placeholder(secret) && !secret.starts_with(b"[") {
            scan.emit(Kind::Password, slash + 1, to, 0.9, true, "password of a sign-in");
        }
    }
    let domain = scan.text.slice(from, slash).iter().rposition(|b| *b == b'\\').map_or(from, |at| from + at + 1);
    if users::name_end(scan, domain) == Some(slash) {
        scan.emit(Kind::Username, domain, slash, 0.9, false, "account of a sign-in");
    }
    let host = to + 15;
    let stop = scan.text.run(host, HOST);
    hosts::cell(scan, host, stop);
}

/// `root:secret` in quotes on the line of `chpasswd`, which stands at `start..end`.
fn chpasswd(scan: &mut Scan<'_>, start: usize, end: usize) {
    let text = &scan.text;
    let from = text.line_start(start, 120);
    let line = text.slice(from, text.line_end(end).min(end + 160));
    text.tick(line.len());
    let mut open = None;
    for (i, byte) in line.iter().enumerate() {
        if !matches!(byte, b'"' | b'\'') {
            continue;
        }
        let Some(last) = open.replace(i) else {
            continue;
        };
        let inner = line.get(last + 1..i).unwrap_or_default();
        let Some(colon) = inner.iter().position(|b| *b == b':') else {
            continue;
        };
        let user = inner.get(..colon).unwrap_or_default();
        let secret = inner.get(colon + 1..).unwrap_or_default();
        let account = (2..=32).contains(&user.len()) && user.iter().all(|b| is(*b, HOST));
        if account && secret.len() >= 4 && !secret.contains(&b' ') && !value::is_placeholder(secret) {
            let at = from + last + 2 + colon;
            scan.emit(Kind::Password, at, from + i, 0.9, true, "password of an account");
            return;
        }
    }
}

/// What stands at `at` is the last part of a link.
fn link(scan: &mut Scan<'_>, at: usize) {
    let stop = scan.text.run(at, BASE64URL);
    let value = scan.text.slice(at, stop.min(at + 512));
    scan.text.tick(value.len());
    let makeup = Makeup::of(value);
    let part = matches!(scan.text.at(stop), b'/' | b'.');
    if value.len() >= 20 && makeup.digits > 2 && !part && value::is_random(value, 20) && !value::is_uuid(value) {
        scan.emit(Kind::GenericSecret, at, stop, 0.85, false, "token in a link");
    }
}

/// `:APA91b` stands at `start..end`: a token of Firebase.
fn push(scan: &mut Scan<'_>, start: usize, end: usize) {
    let first = scan.text.run_back(start, BASE64URL, 32);
    let stop = scan.text.run(end, BASE64URL);
    if scan.text.slice(start, end) == b":APA91b" && start - first >= 11 && stop - end >= 100 {
        scan.emit(Kind::GenericSecret, first, stop, 0.97, true, "token for messages");
    }
}

/// The bracket of a date closes at `at`: before it stand the number of a job and who printed it.
fn pages(scan: &mut Scan<'_>, at: usize) {
    let text = &scan.text;
    let low = at.saturating_sub(112);
    let before = text.slice(low, at);
    text.tick(before.len());
    let Some(open) = before.iter().rposition(|b| *b == b'[').map(|i| low + i) else {
        return;
    };
    let number_end = text.run_back(open, BLANK, 2);
    let number = text.run_back(number_end, DIGIT, 10);
    let user_end = text.run_back(number, BLANK, 2);
    let user = text.run_back(user_end, HOST, 40);
    let apart = number < number_end && user_end < number && text.before(user) == b' ';
    if apart && users::name_end(scan, user) == Some(user_end) {
        scan.emit(Kind::Username, user, user_end, 0.85, false, "log of a printer");
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{all, found, nothing};

    #[test]
    fn pairs_behind_cues() {
        for text in [
            "creds for the box: jdoe7 / Kestrel81!",
            "Zugangsdaten: jdoe7/Kestrel81!",
            "Κωδικοί TAXISnet: jdoe7 / Kestrel81! (x)",
            "login ok: [jdoe7/Kestrel81!] (from client x port 0)",
        ] {
            assert_eq!(found(text, "USERNAME"), ["jdoe7"], "{text}");
            assert_eq!(found(text, "PASSWORD"), ["Kestrel81!"], "{text}");
        }
        assert_eq!(all("echo 'root:Kestrel81!' | chpasswd"), [("PASSWORD", "Kestrel81!")]);
    }

    #[test]
    fn other_pairs() {
        nothing("credentials at https://acme.com/v1/Kestrel81");
        nothing("credentials in config/settings");
        nothing("Zugang 12/2024 und 10:30 Uhr");
        nothing("the creds are in vault/prod-Team1/x");
    }

    #[test]
    fn tokens_without_names() {
        let token = "21e63d0733cc09b6f2c39c63b82999d47d8036cb";
        assert_eq!(all(&format!("GET /konto/reset/{token} HTTP/1.1")), [("GENERIC_SECRET", token)]);
        nothing("GET /reset/my-account-and-password HTTP/1.1");
        assert_eq!(found("hp-2 jdoe7 44 [14/May/2024:08:50:12 +0200] total 3 - x", "USERNAME"), ["jdoe7"]);
    }
}
