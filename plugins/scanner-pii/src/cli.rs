//! Commands in scripts, histories and logs: the options of well-known programs that take an account or a password.
//!
//! Invariant: an option counts on the line of a program that has it; the line is looked back a bounded number of bytes.

use crate::kind::Kind;
use crate::scan::Scan;
use crate::text::{Text, is};
use crate::users;
use crate::value;

/// How far the program stands before its option, at most.
const BACK: usize = 240;

/// The most options of a line that are looked at.
const MOST: usize = 8;

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    User,
    Password,
    /// `user,password` of lftp.
    Pair,
}

/// An option with the blanks around it, the programs that have it, and what it takes.
pub(crate) const OPTIONS: &[(&str, &[&str], Takes)] = &[
    (
        " -U ",
        &["psql", "pg_dump", "pg_restore", "createdb", "sqlcmd", "bcp", "smbclient", "net ", "ipmitool"],
        Takes::User,
    ),
    (
        " -u ",
        &["mysql", "mariadb", "mongo", "sudo", "lftp", "sshpass", "redis-cli", "docker login", "influx"],
        Takes::User,
    ),
    (" -l ", &["ssh ", "rlogin", "slogin"], Takes::User),
    (" -a ", &["redis-cli"], Takes::Password),
    (" -A ", &["snmp"], Takes::Password),
    (" -X ", &["snmp"], Takes::Password),
    (" -c ", &["snmpwalk", "snmpget", "snmpbulk", "snmpset", "snmptable", "snmptrap"], Takes::Password),
    (" -u ", &["snmp"], Takes::User),
    (" -P ", &["ipmitool", "sqlcmd", "bcp ", "mosquitto_"], Takes::Password),
    (" /p:", &["rdp"], Takes::Password),
    (" /u:", &["rdp"], Takes::User),
    (" -w ", &["ldapsearch", "ldapmodify", "ldapadd", "ldapwhoami", "ldappasswd", "ldapdelete"], Takes::Password),
    (" -u ", &["lftp"], Takes::Pair),
    ("--role-session-name ", &["assume-role"], Takes::User),
];

/// An option of [`OPTIONS`] ends at `end`.
pub(crate) fn option(scan: &mut Scan<'_>, index: usize, start: usize, end: usize) {
    let Some((literal, programs, takes)) = OPTIONS.get(index) else {
        return;
    };
    let text = &scan.text;
    // The case of an option tells.
    if text.slice(start, end) != literal.as_bytes() {
        return;
    }
    // A line has few options that matter.
    let line_end = text.line_end(start);
    let count = if scan.options.0 == line_end { scan.options.1 + 1 } else { 1 };
    scan.options = (line_end, count);
    if count > MOST {
        return;
    }
    let line = text.slice(text.line_start(start, BACK), start);
    text.tick(line.len() * programs.len());
    if !programs.iter().any(|program| line.windows(program.len()).any(|w| w == program.as_bytes())) {
        return;
    }
    let (from, to) = argument(text, end);
    let argument = text.slice(from, to);
    match takes {
        Takes::Password => password(scan, from, to),
        Takes::Pair => {
            if let Some(comma) = argument.iter().position(|b| *b == b',') {
                password(scan, from + comma + 1, to);
                account(scan, from, from + comma);
            }
        }
        Takes::User => {
            account(scan, from, to);
            // `user%password` of the clients of SMB.
            let percent = scan.text.slice(from, to).iter().position(|b| *b == b'%');
            if let Some(percent) = percent.filter(|_| *literal == " -U ") {
                password(scan, from + percent + 1, to);
            }
        }
    }
}

/// The word at `at`, without its quotes.
fn argument(text: &Text<'_>, at: usize) -> (usize, usize) {
    let quote = text.at(at);
    let quoted = matches!(quote, b'"' | b'\'');
    let start = at + usize::from(quoted);
    let mut end = start;
    while end < start + 128 && text.at(end) >= b' ' && if quoted { text.at(end) != quote } else { text.at(end) > b' ' }
    {
        end += 1;
    }
    text.tick(end - start);
    (start, end)
}

fn password(scan: &mut Scan<'_>, start: usize, end: usize) {
    let secret = scan.text.slice(start, end);
    let bare = secret.iter().all(u8::is_ascii_lowercase);
    if secret.len() >= 4 && !value::is_placeholder(secret) && !value::is_state(secret) && !bare {
        scan.emit(Kind::Password, start, end, 0.9, false, "option of a program");
    }
}

fn account(scan: &mut Scan<'_>, start: usize, end: usize) {
    // `DOMAIN\name`
    let domain = scan.text.slice(start, end).iter().rposition(|b| *b == b'\\');
    let start = domain.map_or(start, |at| start + at + 1);
    let end = scan.text.slice(start, end).iter().position(|b| matches!(b, b':' | b'%')).map_or(end, |at| start + at);
    // A service's account is nobody's.
    let service =
        ["svc", "srv_", "srv-", "service", "app_", "app-", "sa_", "sa-"].iter().any(|of| scan.text.has(start, of));
    if !service && users::account_end(scan, start) == Some(end) && is(scan.text.at(start), crate::text::ALPHA) {
        scan.emit(Kind::Username, start, end, 0.8, false, "option of a program");
    }
}

/// ` on >` of a rule of Redis ends at `end`: a password follows (`user jo on >secret ~*`).
pub(crate) fn redis_rule(scan: &mut Scan<'_>, end: usize) {
    let text = &scan.text;
    let line = text.slice(text.line_start(end, BACK), end);
    text.tick(line.len());
    let (from, to) = argument(text, end);
    if line.windows(5).any(|w| w.eq_ignore_ascii_case(b"user ")) && to > from + 3 {
        password(scan, from, to);
    }
}

/// A call that signs in begins its arguments at `at`: the last two strings are the account and its password.
pub(crate) fn login_call(scan: &mut Scan<'_>, at: usize) {
    let text = &scan.text;
    let line = text.slice(at, text.line_end(at).min(at + BACK));
    text.tick(line.len());
    let mut strings = Vec::new();
    let (mut open, mut depth) = (None, 0);
    for (i, byte) in line.iter().enumerate() {
        match (open, byte) {
            // `q{x}` of Perl.
            (None, b'{' | b'(') if matches!(line.get(..i), Some([.., b' ' | b',' | b'q', b'q'])) => {
                open = Some((if *byte == b'{' { b'}' } else { b')' }, at + i + 1));
            }
            (None, b'"' | b'\'') => open = Some((*byte, at + i + 1)),
            (Some((quote, from)), byte) if *byte == quote => {
                strings.push((from, at + i));
                open = None;
            }
            (None, b'(' | b'{') => depth += 1,
            (None, b')' | b'}') if depth == 0 => break,
            (None, b')' | b'}') => depth -= 1,
            _ => {}
        }
        if depth > 0 && open.is_none() {
            break;
        }
    }
    if let [.., user, secret] = strings.as_slice() {
        let (user, secret) = (*user, *secret);
        password(scan, secret.0, secret.1);
        account(scan, user.0, user.1);
    }
}

/// `/user:` of `net use` ends at `end`: an account, its domain before it or not, and the password behind it or not.
pub(crate) fn net_use(scan: &mut Scan<'_>, end: usize) {
    let text = &scan.text;
    let (from, to) = argument(text, end);
    let slash = text.slice(from, to).iter().rposition(|b| *b == b'\\').map_or(from, |at| from + at + 1);
    let next = text.run(to, crate::text::BLANK);
    account(scan, slash, to);
    if next > to && is(scan.text.at(next), crate::text::ALNUM) {
        let (from, to) = argument(&scan.text, next);
        if scan.text.slice(from, to).iter().any(u8::is_ascii_digit) {
            password(scan, from, to);
        }
    }
}

/// `@tcp(` stands at `at`: `user:password` before it, back to the quote.
pub(crate) fn dsn(scan: &mut Scan<'_>, at: usize) {
    let text = &scan.text;
    let low = at.saturating_sub(96);
    let before = text.slice(low, at);
    text.tick(before.len());
    let open = before.iter().rposition(|b| matches!(b, b'"' | b'\'' | b'`' | b' ' | b'=')).map_or(low, |i| low + i + 1);
    let pair = text.slice(open, at);
    if let Some(colon) = pair.iter().position(|b| *b == b':')
        && open + colon + 1 < at
        && !value::is_placeholder(text.slice(open + colon + 1, at))
    {
        scan.emit(Kind::ConnectionString, open + colon + 1, at, 0.95, true, "password of a connection");
        account(scan, open, open + colon);
    }
}

/// `]:587` and its like end at `end`: what follows in a map of Postfix is an account and its password.
pub(crate) fn relay(scan: &mut Scan<'_>, end: usize) {
    let text = &scan.text;
    let from = text.run(end, crate::text::BLANK);
    if from == end {
        return;
    }
    let (from, to) = argument(text, from);
    let pair = text.slice(from, to);
    let Some(colon) = pair.iter().position(|b| *b == b':') else {
        return;
    };
    if pair.get(..colon).is_some_and(|user| user.iter().all(|b| is(*b, crate::text::LOCAL) || *b == b'@')) && colon > 1
    {
        password(scan, from + colon + 1, to);
        account(scan, from, from + colon);
    }
}

/// `user@host` behind ssh and its like: the at sign stands at `end`.
#[inline(never)]
pub(crate) fn remote(scan: &mut Scan<'_>, end: usize) {
    let text = &scan.text;
    let start = text.run_back(end, crate::text::HOST, 40);
    if start == end || text.before(start) != b' ' || !is(text.at(end + 1), crate::text::ALNUM) {
        return;
    }
    if is_remote(text, start) {
        account(scan, start, end);
    }
}

/// What stands at `start` is an argument of ssh or its like.
pub(crate) fn is_remote(text: &Text<'_>, start: usize) -> bool {
    let line = text.slice(text.line_start(start, 80), start);
    text.tick(line.len());
    line.windows(4).any(|w| matches!(w, b"ssh " | b"scp " | b"ync " | b"ftp "))
}

#[cfg(test)]
mod tests {
    use crate::testing::{all, found, nothing};

    #[test]
    fn accounts_and_passwords_of_commands() {
        for (text, wanted) in [
            ("psql -h db -U jdoe7 -d x", vec![("USERNAME", "jdoe7")]),
            ("redis-cli -h db -p 6380 -a raven-dragon71 --tls", vec![("PASSWORD", "raven-dragon71")]),
            ("ldapsearch -D \"cn=x,dc=y\" -w 'zxOmLMz*obJ' -b x", vec![("PASSWORD", "zxOmLMz*obJ")]),
            ("lftp -u jdoe7,HugAwi47 -e x", vec![("USERNAME", "jdoe7"), ("PASSWORD", "HugAwi47")]),
            ("sudo -u jdoe7 ls", vec![("USERNAME", "jdoe7")]),
            ("user worker on >Shadow_Summer68 ~jobs:*", vec![("PASSWORD", "Shadow_Summer68")]),
            ("[mail]:587    jdoe7:Granite-9672", vec![("USERNAME", "jdoe7"), ("PASSWORD", "Granite-9672")]),
        ] {
            assert_eq!(all(text), wanted, "{text}");
        }
        assert_eq!(found("rsync -az dist/ jdoe7@10.1.2.3:/var", "USERNAME"), ["jdoe7"]);
    }

    #[test]
    fn other_options() {
        nothing("diff -u jdoe7 x");
        nothing("tar -a foo1x");
        nothing("psql -U postgres -w foo1x");
        nothing("curl http://[::1]:587 x");
    }
}
