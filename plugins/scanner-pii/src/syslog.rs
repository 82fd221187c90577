//! The header of a line of syslog (RFC 3164, RFC 5424): a time, the host's name, the program's.
//!
//! Invariant: what stands between a time and a program with its number is a host; it is looked for backwards from the
//! number, a bounded number of bytes.

use crate::kind::Kind;
use crate::scan::Scan;
use crate::text::{DIGIT, HOST, Text, is};

/// The longest name of a program, and of a host.
const MAX: usize = 64;

/// What stands in the host's place and names none.
const NO_HOSTS: &[&str] =
    &["localhost", "kernel", "last", "message", "info", "warn", "error", "debug", "notice", "warning"];

/// `]: ` stands at `start`: `Mar  8 04:22:19 host program[1180]: …`.
pub(crate) fn process(scan: &mut Scan<'_>, start: usize) {
    let text = &scan.text;
    let number = text.run_back(start, DIGIT, 10);
    if number == start || text.before(number) != b'[' {
        return;
    }
    let program = back_to_blank(text, number - 1);
    if program + 1 >= number || text.before(program) != b' ' {
        return;
    }
    host(scan, program - 1);
}

/// A word of programs that log without a number stands at `start`: ` sudo: `, ` kernel: `.
pub(crate) fn program(scan: &mut Scan<'_>, start: usize) {
    host(scan, start);
}

/// A name ends at `end`, behind a time.
fn host(scan: &mut Scan<'_>, end: usize) {
    let text = &scan.text;
    let start = back_to_blank(text, end);
    if !(2..=MAX).contains(&(end - start)) || text.before(start) != b' ' {
        return;
    }
    let mut time = start - 1;
    while time > 0 && text.before(time) == b' ' && start - time < 4 {
        time -= 1;
    }
    if is_time(text, time) {
        report(scan, start, end);
    }
}

/// `<14>1 ` stands before `at`, which is at its number: a time and the host follow.
pub(crate) fn versioned(scan: &mut Scan<'_>, end: usize) {
    let text = &scan.text;
    let time = text.slice(end, end + 40);
    text.tick(time.len());
    let Some(blank) = time.iter().position(|b| *b == b' ') else {
        return;
    };
    let start = end + blank + 1;
    let stop = text.run(start, HOST);
    if is_time(text, end + blank) && text.at(stop) == b' ' {
        report(scan, start, stop);
    }
}

fn report(scan: &mut Scan<'_>, start: usize, end: usize) {
    let text = &scan.text;
    let name = text.slice(start, end);
    text.tick(name.len());
    // One word with a number is what examples and images are called.
    let own = name.contains(&b'-') && name.iter().any(u8::is_ascii_digit);
    let label = own
        && name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        && name.first().is_some_and(u8::is_ascii_alphabetic)
        && name.last().is_some_and(u8::is_ascii_alphanumeric);
    if label && (2..=MAX).contains(&name.len()) && !NO_HOSTS.iter().any(|no| name.eq_ignore_ascii_case(no.as_bytes())) {
        scan.emit(Kind::Hostname, start, end, 0.8, true, "header of syslog");
    }
}

/// Where the word begins that ends at `end`.
fn back_to_blank(text: &Text<'_>, end: usize) -> usize {
    let mut start = end;
    while start > 0
        && end - start < MAX
        && (is(text.at(start - 1), HOST) || matches!(text.at(start - 1), b'/' | b'(' | b')'))
    {
        start -= 1;
    }
    text.tick(end - start + 1);
    start
}

/// `04:22:19`, also with a fraction and a zone, ends at `end`.
fn is_time(text: &Text<'_>, end: usize) -> bool {
    let before = text.slice(end.saturating_sub(32), end);
    text.tick(before.len());
    let before = before.strip_suffix(b"Z").unwrap_or(before);
    // `+01:00`
    let zone = before
        .len()
        .checked_sub(6)
        .and_then(|at| before.get(at..))
        .filter(|zone| matches!(zone.first(), Some(b'+' | b'-')) && zone.get(3) == Some(&b':'));
    let before = before.get(..before.len() - zone.map_or(0, <[u8]>::len)).unwrap_or_default();
    let fraction = before.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let whole = before.len() - fraction;
    let dot = whole > 0 && matches!(before.get(whole - 1), Some(b'.' | b','));
    let clock = if dot { before.get(..whole - 1).unwrap_or_default() } else { before };
    let clock = clock.len().checked_sub(8).and_then(|at| clock.get(at..)).unwrap_or_default();
    clock.len() == 8
        && clock.iter().enumerate().all(|(at, b)| if matches!(at, 2 | 5) { *b == b':' } else { b.is_ascii_digit() })
}

#[cfg(test)]
mod tests {
    use crate::testing::{found, nothing};

    #[test]
    fn hosts_of_headers() {
        for text in [
            "Mar  8 04:22:19 stor-19 sshd[20114]: x",
            "2025-03-14T12:44:10.210334+01:00 stor-19 postfix/smtpd[9112]: x",
            "2025-03-14T12:44:10Z stor-19 app[9]: x",
            "<14>1 2025-03-14T10:22:30.118Z stor-19 RT_FLOW - x",
            "Apr  2 10:40:11 stor-19 sudo: x",
        ] {
            assert_eq!(found(text, "HOSTNAME"), ["stor-19"], "{text}");
        }
        for text in [
            "values [20114]: x",
            "Mar  8 04:22:19 localhost sshd[20114]: x",
            "10:00 stor-19 sshd[20114]: x",
            "in a b[1]: x",
            "2025-03-14 12:44:10,210 INFO main[9]: x",
        ] {
            nothing(text);
        }
    }
}
