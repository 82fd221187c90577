//! Names of accounts: in home folders, in what servers say about sign-ins, in fields.
//!
//! Invariant: accounts of the system and words that stand where a name may stand are no names.

use crate::kind::Kind;
use crate::scan::Scan;
use crate::text::{BLANK, HOST, WORD, is};
pub(crate) use crate::user_words::CUES;
use crate::user_words::{NOBODY, VERBS};
use crate::value;
use crate::words::{List, Words};

/// How the words before a name bind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cue {
    /// A name follows, whatever comes after.
    Sure,
    /// A name may follow: a verb of signing in has to come after it, or quotes around it.
    Maybe,
    /// `sudo:`.
    Sudo,
}

static NOBODY_KNOWN: Words = Words::new(|| List::new(NOBODY));

/// Build what is built once; the first look-up would.
pub(crate) fn warm() {
    Words::force(&NOBODY_KNOWN);
}

const MAX_NAME: usize = 40;

/// Where the account's name that begins at `at` ends; nothing where it is none.
pub(crate) fn name_end(scan: &Scan<'_>, at: usize) -> Option<usize> {
    account_end(scan, at).filter(|end| scan.text.at(*end) != b'@')
}

/// The same where a host may follow.
pub(crate) fn account_end(scan: &Scan<'_>, at: usize) -> Option<usize> {
    let text = &scan.text;
    let mut end = text.run(at, HOST);
    while end > at && matches!(text.at(end - 1), b'.' | b'-') {
        end -= 1;
    }
    let name = text.slice(at, end);
    if !(2..=MAX_NAME).contains(&name.len()) || !name.iter().any(u8::is_ascii_alphabetic) || name.first() == Some(&b'-')
    {
        return None;
    }
    text.tick(name.len());
    let nobody = NOBODY_KNOWN.has(name) || text.before(at) == b'[' && is_pseudonym(name);
    let closed = text.at(end) < 0x80 || value::ends_bare(text, end);
    (!nobody && closed && !matches!(text.at(end), b'$' | b'+')).then_some(end)
}

/// `EMAIL-1`: what was masked before. Names alone that have the form, such as `ACME-12`, are accounts.
fn is_pseudonym(name: &[u8]) -> bool {
    let number = name.iter().rposition(|b| *b == b'-').and_then(|dash| name.split_at_checked(dash));
    number.is_some_and(|(kind, number)| {
        number.len() > 1
            && number.iter().skip(1).all(u8::is_ascii_digit)
            && std::str::from_utf8(kind).is_ok_and(|kind| Kind::by_name(kind).is_some())
    })
}

/// Whether a word is the account of a program, or none at all.
pub(crate) fn is_nobody(word: &[u8]) -> bool {
    NOBODY_KNOWN.has(word)
}

/// A literal of [`CUES`] stands at `start..end`.
pub(crate) fn cue(scan: &mut Scan<'_>, cue: Cue, start: usize, end: usize) {
    let text = &scan.text;
    if is(text.before(start), WORD) && is(text.at(start), WORD) {
        return;
    }
    let mut at = text.run(end, BLANK);
    for word in [
        "user ",
        "invalid user ",
        "illegal user ",
        "if not exists ",
        "if exists ",
        "'",
        "\"\"",
        "\"",
        "`",
        "\\\"",
        "(",
        "<",
        "[",
        "name ",
    ] {
        if text.has(at, word) {
            at += word.len();
        }
    }
    let quoted = matches!(text.before(at), b'"' | b'\'' | b'`' | b'<' | b'[');
    let Some(stop) = name_end(scan, at) else {
        return;
    };
    let after = text.run(stop, BLANK);
    let fits = match cue {
        Cue::Sure => true,
        Cue::Sudo => text.has(after, ": ") && after > stop,
        Cue::Maybe => {
            let marked = text.slice(at, stop).iter().any(|b| b.is_ascii_digit() || matches!(b, b'.' | b'_'));
            let digits_only_tail = text.slice(at, stop).iter().any(u8::is_ascii_alphabetic);
            (quoted && matches!(text.at(stop), b'"' | b'\'' | b'`' | b'\\' | b'>'))
                || text.before(at) == b'[' && text.at(stop) == b']' && (marked || text.at(at).is_ascii_lowercase())
                // `login jo` and, in the next line, `password`.
                || text.at(stop) == b'\n' && text.has(text.run(stop + 1, BLANK), "password ")
                || ((after > stop || text.at(stop) == b':') && VERBS.iter().any(|verb| text.has(after, verb)) && digits_only_tail)
                || (marked && quoted)
        }
    };
    let capitalised = !quoted && cue == Cue::Maybe && text.at(at).is_ascii_uppercase();
    if fits && !capitalised {
        scan.emit(Kind::Username, at, stop, if cue == Cue::Maybe { 0.7 } else { 0.9 }, false, "account cue");
    }
}

/// A bracket that only accounts have behind them stands at `at`: `jo(uid=1002)`; or one that closes, `(jo) CMD (`.
pub(crate) fn before_bracket(scan: &mut Scan<'_>, at: usize) {
    let text = &scan.text;
    let start = text.run_back(at, HOST, MAX_NAME);
    let opened = if text.at(at) == b')' { text.before(start) == b'(' } else { text.before(start) == b' ' };
    if opened && name_end(scan, start) == Some(at) {
        scan.emit(Kind::Username, start, at, 0.9, true, "account behind a number");
    }
}

/// `TODO(` ends at `at`: who will do it follows.
pub(crate) fn todo(scan: &mut Scan<'_>, at: usize) {
    if let Some(stop) = name_end(scan, at)
        && scan.text.at(stop) == b')'
        && scan.text.at(at).is_ascii_lowercase()
    {
        scan.emit(Kind::Username, at, stop, 0.7, false, "remark in a program");
    }
}

/// `> ` stands at `at`: behind a clock at the start of the line and `<`, it ends who says what follows.
pub(crate) fn nick(scan: &mut Scan<'_>, at: usize) {
    const LEVELS: &[&[u8]] = &[
        b"debug",
        b"warn",
        b"warning",
        b"notice",
        b"trace",
        b"fatal",
        b"crit",
        b"critical",
        b"alert",
        b"emerg",
        b"init",
    ];
    let text = &scan.text;
    let start = text.run_back(at, HOST, MAX_NAME);
    let name = text.slice(start, at);
    if start < 3
        || text.before(start) != b'<'
        || text.at(start - 2) != b' '
        || LEVELS.iter().any(|level| name.eq_ignore_ascii_case(level))
        || !name.iter().any(u8::is_ascii_lowercase)
    {
        return;
    }
    let clock = match text.at(start - 3) {
        b']' => true,
        b':' => text.before(start - 3) == b']',
        digit => digit.is_ascii_digit() && start > 5 && text.at(start - 5) == b':',
    };
    if clock && account_end(scan, start) == Some(at) {
        scan.emit(Kind::Username, start, at, 0.8, false, "speaker of a chat");
    }
}

/// `ed by ` ends at `at`: who did it follows, if it looks like an account.
pub(crate) fn by(scan: &mut Scan<'_>, at: usize) {
    // What hosts and files end with.
    const ENDS: &[&[u8]] = &[
        b"local",
        b"internal",
        b"cloud",
        b"conf",
        b"yaml",
        b"json",
        b"toml",
        b"java",
        b"html",
        b"service",
        b"timer",
        b"plugin",
        b"handler",
        b"server",
        b"worker",
        b"client",
        b"config",
        b"core",
        b"main",
        b"info",
        b"test",
    ];
    let Some(stop) = name_end(scan, at) else { return };
    let mut parts = scan.text.slice(at, stop).split(|b| *b == b'.');
    let (Some(first), Some(last), None) = (parts.next(), parts.next(), parts.next()) else { return };
    let word = |part: &[u8]| part.len() > 1 && part.iter().all(u8::is_ascii_lowercase);
    if word(first)
        && word(last)
        && last.len() > 3
        && !ENDS.contains(&last)
        && !matches!(scan.text.at(stop), b'(' | b'/' | b':')
    {
        scan.emit(Kind::Username, at, stop, 0.7, false, "who did it");
    }
}

/// A folder of home folders stands at `start..end`.
pub(crate) fn home(scan: &mut Scan<'_>, start: usize, end: usize) {
    let text = &scan.text;
    // A part of a longer path is an endpoint: `/api/users/17`; but `file:///home/x` and `C:\Users\x`.
    let windows = text.at(start) == b'\\';
    let upper = text.at(start + 1) == b'U';
    let before = text.before(start);
    let rooted =
        windows || !is(before, WORD) && before != b'.' && before != b'}' || before == b':' || text.after_escape(start);
    let mac = text.has(start, "/users/");
    if !rooted || (mac && !upper) {
        return;
    }
    let at = text.run_of(end, b'\\');
    let Some(stop) = name_end(scan, at) else {
        return;
    };
    if matches!(
        text.at(stop),
        b'/' | b'\\' | b'"' | b'\'' | b' ' | b'\n' | b'\r' | 0 | b':' | b',' | b')' | b';' | b']'
    ) {
        let folder = ["linuxbrewer", "shared", "public", "default", "all", "lost+found", "linuxbrew", "user"];
        if !folder.iter().any(|name| text.slice(at, stop).eq_ignore_ascii_case(name.as_bytes())) {
            scan.emit(Kind::Username, at, stop, 0.9, false, "home folder");
        }
    }
}

/// An at sign between quotes stands at `at`: `'name'@'host'` is an account of MySQL.
// It would crowd the loop over all bytes.
#[inline(never)]
pub(crate) fn quoted_at(scan: &mut Scan<'_>, at: usize) {
    let text = &scan.text;
    let quote = text.before(at);
    if !matches!(quote, b'\'' | b'`') || text.at(at + 1) != quote || at < 3 {
        return;
    }
    let start = text.run_back(at - 1, HOST, MAX_NAME);
    if text.before(start) == quote && name_end(scan, start) == Some(at - 1) {
        scan.emit(Kind::Username, start, at - 1, 0.9, false, "account of a database");
    }
}

/// An address ends at `end`: the access logs of web servers name the account behind it (`- user [`).
pub(crate) fn after_address(scan: &mut Scan<'_>, end: usize) {
    let text = &scan.text;
    if text.slice(end, end + 3) != b" - " {
        return;
    }
    let Some(stop) = name_end(scan, end + 3) else {
        return;
    };
    if text.slice(stop, stop + 2) == b" [" && text.at(stop + 2).is_ascii_digit() {
        scan.emit(Kind::Username, end + 3, stop, 0.95, true, "access log");
    }
}

/// An address begins at `start` behind a bar: what an audit of Samba names first is the account (`]: jo|10.1.2.3|…`).
#[inline(never)]
pub(crate) fn before_address(scan: &mut Scan<'_>, start: usize) {
    let at = scan.text.run_back(start - 1, HOST, MAX_NAME);
    let led = scan.text.has_before(at, "]: ");
    if led && at + 1 < start && name_end(scan, at) == Some(start - 1) {
        scan.emit(Kind::Username, at, start - 1, 0.85, false, "audit of a server");
    }
}

/// An at sign stands at `at`: somebody may be spoken to (`hey @jo`).
pub(crate) fn mention(scan: &mut Scan<'_>, at: usize) {
    let text = &scan.text;
    if text.before(at) != b' ' {
        return;
    }
    let (word, length, _) = crate::numbers::word_before(text, at);
    let word = std::str::from_utf8(word.get(..length).unwrap_or_default()).unwrap_or_default();
    let spoken = [
        "hey", "hi", "hello", "cc", "ping", "thanks", "ask", "by", "to", "with", "from", "and", "for", "assign", "fyi",
    ];
    if !spoken.contains(&word) {
        return;
    }
    let Some(stop) = name_end(scan, at + 1) else {
        return;
    };
    if text.at(at + 1).is_ascii_lowercase() && !matches!(text.at(stop), b'/' | b'(') {
        scan.emit(Kind::Username, at + 1, stop, 0.8, false, "mention");
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{found, nothing, one};

    #[test]
    fn who_did_it() {
        assert_eq!(one("12:00:04 Approved by carrie.bryant", "USERNAME"), "carrie.bryant");
        nothing("generated by setup.py from a.yaml, served by nginx.conf, hosted by acme.cloud");
        nothing("user [EMAIL-1] logged in, login failed for [USERNAME-12]");
        assert_eq!(one("login failed for [ACME-12]", "USERNAME"), "ACME-12");
        nothing("12:00:04 <info> ready, 10:00 <init> x, a <b> c");
    }

    #[test]
    fn accounts() {
        for text in [
            "Failed password for invalid user jdoe7 from nowhere",
            "Accepted publickey for jdoe7 from nowhere",
            "open /home/jdoe7/.ssh/config",
            "C:\\Users\\jdoe7\\x",
            "C:\\\\Users\\\\jdoe7\\\\x",
            "\"username\":\"jdoe7\"",
            "user=jdoe7 action=x",
            "ALTER USER jdoe7 WITH x",
            "user \"jdoe7\" failed",
            "hey @jdoe7 can you",
            "sudo: jdoe7 : TTY=pts/0 ; x",
            "User jdoe7 connected",
            "Login: user=<jdoe7>, x",
            "uid=1000(jdoe7) gid=1000",
            "TO 'jdoe7'@'%' x",
            "user=ACME\\jdoe7 x",
            "suser=jdoe7 x",
            "machine x login jdoe7 password ${X}",
            "09:42:15 <jdoe7> who broke it",
            "[21:14:40] <jdoe7> hi",
            "failed to authenticate user [jdoe7]",
            "'su root' failed for jdoe7 on /dev/pts/8",
            "#Fields: date cs-username sc-status\n2026-02-04 jdoe7 200\n",
        ] {
            assert_eq!(one(text, "USERNAME"), "jdoe7", "{text}");
        }
        assert_eq!(found("10.1.2.3 - jdoe7 [10/Oct/2025:13:55:36 +0000]", "USERNAME"), ["jdoe7"]);
    }

    #[test]
    fn no_accounts() {
        for text in [
            "/home/ubuntu/x",
            "/Users/Shared/Fonts",
            "/api/users/jdoe7",
            "the user agent",
            "user input is wrong",
            "user: root",
            "@Deprecated in",
            "user not found",
            "User Interface connected",
            "\"scope\":\"read:user\"\n\ncache x",
        ] {
            nothing(text);
        }
    }
}
