//! Fields that hold the name of an account.
//!
//! Invariant: a member of a program (`request.user`), a word and a random id are nobody's name.

use crate::kind::Kind;
use crate::scan::Scan;
use crate::text::{ALPHA, DIGIT, HOST, is};
use crate::users::name_end;
use crate::value::{self, Value};

/// The name in `<name>` and `1000(name)`.
pub(crate) fn inner(scan: &Scan<'_>, found: Value) -> Value {
    let text = &scan.text;
    let number = text.run(found.start, DIGIT);
    let (open, close) = match text.at(number) {
        b'<' if number == found.start => (number, b'>'),
        b'(' if number > found.start => (number, b')'),
        _ => return found,
    };
    let end = text.run(open + 1, HOST);
    // `<your-username>` stands for a name.
    let template =
        text.slice(open, end).windows(4).any(|w| w.eq_ignore_ascii_case(b"user") || w.eq_ignore_ascii_case(b"name"));
    if text.at(end) == close && !template { Value { start: open + 1, end, quoted: true, ..found } } else { found }
}

/// The value of a field for accounts.
pub(crate) fn field(scan: &mut Scan<'_>, name_start: usize, found: Value) {
    // `User jo` is a line of the configuration of ssh.
    // And `HTTP_User jo` one of a shipper of logs.
    let name = scan.text.slice(name_start, scan.text.run(name_start, crate::text::KEY));
    let joined = name.contains(&b'_') && name.len() > 5 && found.start > name_start + name.len();
    let directive = (joined || scan.text.slice(name_start, name_start + 5) == b"User ")
        && matches!(scan.text.before(name_start), b' ' | b'\t')
        && matches!(scan.text.at(found.end), b'\n' | b'\r' | 0)
        && {
            let indent = scan.text.run_back(name_start, crate::text::BLANK, 16);
            scan.text.before(indent) == b'\n'
        };
    if found.join == value::Join::Blank && !directive {
        return;
    }
    let text = &scan.text;
    // Credentials of a connection name a service, not somebody.
    if scan.cue_before(crate::literals::Cue::Connection, name_start, 120).is_some()
        || crate::assign::in_query(scan, name_start) && text.has(name_start, "uid")
    {
        return;
    }
    // `DOMAIN\name`, its backslash escaped or not.
    let domain = text.run(found.start, HOST);
    let behind = text.run_of(domain, b'\\');
    let found = if behind > domain && behind < found.end && domain - found.start > 1 && behind - domain < 3 {
        Value { start: behind, ..found }
    } else {
        found
    };
    let Some(stop) = name_end(scan, found.start) else {
        return;
    };
    let name = text.slice(found.start, stop);
    let whole = stop == found.end || !found.quoted && matches!(text.at(stop), b' ' | b',' | b';' | b')' | b'&');
    let makeup = value::Makeup::of(name);
    // "USER: Carefully read": a word, as sentences and types begin.
    let word = !found.quoted
        && makeup.upper == 1
        && makeup.digits + makeup.other == 0
        && text.at(found.start).is_ascii_uppercase();
    let plain = (makeup.upper == 0 || makeup.lower > 0) && !word;
    let random = name.len() >= 16 && makeup.digits > 4;
    // The label of a form, and the attribute of a directory.
    const LABELS: &[&str] = &[
        "benutzername",
        "nutzername",
        "samaccountname",
        "identifiant",
        "usuario",
        "utente",
        "gebruikersnaam",
        "login",
    ];
    if value::is_label(name) || LABELS.iter().any(|label| name.eq_ignore_ascii_case(label.as_bytes())) {
        return;
    }
    let code = value::is_code(name) && (!is_dotted(name) || !found.quoted && is_member(name));
    if whole && plain && !random && is(text.at(found.start), ALPHA) && !code && !value::is_state(name) {
        scan.emit(Kind::Username, found.start, stop, 0.8, false, "field of an account");
        // `login: jo / secret`
        if !found.quoted && scan.text.has(stop, " / ") {
            crate::prose::candidate(scan, stop + 3);
        }
    }
}

/// The value of a field for who did something: a person's name, or an account. Programs do things, too, so a word alone
/// has to look like an account: digits behind letters, or two words with a dot.
pub(crate) fn actor(scan: &mut Scan<'_>, name_start: usize, found: Value) {
    let before = scan.reported();
    crate::people::field(scan, found, true);
    if scan.reported() > before || found.join == value::Join::Blank {
        return;
    }
    let Some(stop) = name_end(scan, found.start) else { return };
    let name = scan.text.slice(found.start, stop);
    let letters = name.iter().take_while(|b| b.is_ascii_lowercase()).count();
    let digits = name.len() - letters;
    let numbered = letters > 0 && (1..=7).contains(&digits) && name.iter().skip(letters).all(u8::is_ascii_digit);
    // A letter and a number, as in a build's: `u053446` is an account, `v2` is none.
    let program = crate::users::is_nobody(name.get(..letters).unwrap_or_default());
    let account = numbered && !program && (letters >= 3 || digits >= 4);
    if account || is_dotted(name) && name.len() >= 6 {
        field(scan, name_start, found);
    }
}

/// The value of a column for accounts at `start..end`.
pub(crate) fn cell(scan: &mut Scan<'_>, start: usize, end: usize) {
    let text = &scan.text;
    let domain = text.run(start, HOST);
    let behind = text.run_of(domain, b'\\');
    let start = if behind > domain && behind < end && domain > start + 1 { behind } else { start };
    let name = text.slice(start, end);
    text.tick(name.len());
    if name.contains(&b' ') {
        return crate::people::field(
            scan,
            Value { start, end, quoted: true, join: value::Join::Other, spaced: false, block: None },
            true,
        );
    }
    let makeup = value::Makeup::of(name);
    let random = name.len() >= 16 && makeup.digits > 4 || value::is_uuid(name);
    if name_end(scan, start) == Some(end)
        && !random
        && !value::is_state(name)
        && !value::is_code(name) | is_dotted(name)
    {
        scan.emit(Kind::Username, start, end, 0.8, false, "column of accounts");
    }
}

/// `first.last`.
fn is_dotted(name: &[u8]) -> bool {
    name.iter().all(|b| b.is_ascii_lowercase() || *b == b'.') && name.iter().filter(|b| **b == b'.').count() == 1
}

/// `request.user`: a member of a program and nobody's name.
fn is_member(name: &[u8]) -> bool {
    let mut parts = name.split(|b| *b == b'.');
    let first = parts.next().unwrap_or_default();
    let last = parts.next().unwrap_or_default();
    const OBJECTS: &[&str] = &[
        "self", "this", "req", "request", "ctx", "context", "config", "cfg", "conf", "env", "settings", "options",
        "opts", "args", "params", "props", "state", "event", "data", "row", "result", "obj", "session", "user", "auth",
        "account", "profile", "client", "process", "os", "app", "body", "form", "input", "var", "local", "module",
        "each", "values", "secrets", "inputs", "github", "vars", "spec", "item", "entity", "model", "dto", "current",
    ];
    const MEMBERS: &[&str] =
        &["user", "username", "name", "login", "id", "email", "get", "value", "text", "uid", "sub", "uname"];
    OBJECTS.iter().any(|object| first == object.as_bytes()) || MEMBERS.iter().any(|member| last == member.as_bytes())
}

#[cfg(test)]
mod tests {
    use crate::testing::{nothing, one};

    #[test]
    fn first_and_last_names() {
        assert_eq!(one("level=WARN user=ada.king x", "USERNAME"), "ada.king");
        assert_eq!(one("'username': 'ada.king',", "USERNAME"), "ada.king");
        nothing("user = request.user");
        nothing("username: config.username");
    }

    #[test]
    fn who_did_something() {
        for (text, name) in [
            ("{\"createdBy\":\"jdoe42\"}", "jdoe42"),
            ("approved_by=p.jones closed", "p.jones"),
            ("reviewer=u053446", "u053446"),
            ("comment [~bmckeown] please", "bmckeown"),
        ] {
            assert_eq!(one(text, "USERNAME"), name, "{text}");
        }
        assert_eq!(one("\"requestedBy\": \"Maria Gonzalez\"", "PERSON"), "Maria Gonzalez");
    }

    #[test]
    fn programs_do_things_too() {
        for text in [
            "{\"createdBy\":\"terraform\"}",
            "triggered_by=cron",
            "created_by: kafka2",
            "approvedBy=policy-v2",
            "assigned_to=node3",
            "actor=io.k8s.scheduler",
            "author: v12",
        ] {
            nothing(text);
        }
    }
}
