//! Addresses of networks: IPv4, IPv6, hardware addresses.
//!
//! Invariant: versions, object identifiers, world-wide names and clocks are none of them; loopback, unspecified and mask
//! addresses name nobody and are left alone.

use crate::kind::Kind;
use crate::literals::Cue;
use crate::numbers::{Group, word_before};
use crate::scan::Scan;
use crate::text::{ALNUM, ALPHA, AUTHORITY, DIGIT, HEX, HEXCOLON, Text, WORD, is};
use crate::users;

/// Words before four numbers that are a version.
const VERSION_WORDS: &[&str] = &[
    "v",
    "ver",
    "version",
    "versions",
    "release",
    "rel",
    "build",
    "firmware",
    "fw",
    "revision",
    "rev",
    "upgraded",
    "downgraded",
    "installed",
    "chrome",
    "safari",
    "firefox",
    "edg",
    "edge",
    "opr",
    "opera",
    "chromium",
    "headlesschrome",
    "applewebkit",
    "driver",
    "bios",
    "sdk",
    "patch",
    "oid",
    "section",
    "chapter",
    "kernel",
    "openssl",
    "package",
    "tag",
    "snmp",
    "trident",
    "java",
    "jdk",
    "jre",
    "python",
    "php",
    "ruby",
    "perl",
    "node",
    "nodejs",
    "go",
    "postgres",
    "postgresql",
    "mysql",
    "mariadb",
    "redis",
    "nginx",
    "tomcat",
    "libssl",
    "library",
    "plugin",
    "module",
    "api",
    "app",
    "agent",
    "client_version",
    "dotnet",
    "net",
    "windows",
    "android",
    "ios",
    "macos",
    "linux",
    "glibc",
    "gcc",
    "hotfix",
    "update",
    "schema",
    "protocol",
    "idrac",
    "ilo",
    "otp",
    "erlang",
    "software",
    "treiber",
    "pilote",
    "anyconnect",
];

/// Four groups joined by dots.
pub(crate) fn ipv4(scan: &mut Scan<'_>, groups: &[Group], joint_before: u8) -> Option<usize> {
    let [a, b, c, d, ..] = groups else {
        return None;
    };
    if a.joint != b'.' || b.joint != b'.' || c.joint != b'.' || joint_before == b'.' {
        return None;
    }
    let text = &scan.text;
    let octet = |group: &Group| -> Option<u32> {
        let digits = text.slice(group.start, group.end);
        let value = digits.iter().take(4).fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
        (digits.len() <= 3 && value <= 255 && (digits.len() == 1 || digits.first() != Some(&b'0'))).then_some(value)
    };
    let address = [octet(a)?, octet(b)?, octet(c)?, octet(d)?];
    let port = d.joint == b'.' && has_dotted_port(&scan.text, groups);
    if d.joint == b'.' && !port {
        return None;
    }
    let (start, end) = (a.start, d.end);
    if scan.is_version(start) {
        return Some(4);
    }
    let text = &scan.text;
    let after = text.at(end);
    let reverse = text.has(end, ".in-addr.arpa");
    // `[left]...10.1.2.3[right]`: the two ends of a tunnel.
    let ellipsis = text.has_before(start, "...");
    let suffix = matches!(after, b'-' | b'+') && is(text.at(end + 1), ALPHA)
        || after == b'.' && is(text.at(end + 1), ALNUM) && !reverse && text.at(end + 1).is_ascii_lowercase()
        || is(after, WORD);
    let before = text.before(start);
    let dashed = before == b'-' && start >= 2 && is(text.before(start - 1), ALNUM) && joint_before != b'-';
    if suffix || dashed || before == b'.' && !ellipsis || before == b'_' || is_version(text, start, end) {
        return Some(4);
    }
    let private = matches!(address, [10, ..] | [192, 168, ..] | [172, 16..=31, ..]);
    // `SW 15.31.79.94 -> 4.35.14.52`; but a switch has an address of its own.
    if !private && follows_software(text, start) {
        return Some(4);
    }
    // The address of a network elsewhere is more often a version.
    if address.last() == Some(&0) && !private && text.at(end) != b'/' {
        return Some(4);
    }
    let nobody = matches!(address, [0 | 127 | 255, ..] | [1, 3, 6, 1]);
    if nobody {
        return Some(4);
    }
    let lone = matches!(address, [a, b, c, d] if a < 10 && b < 10 && c < 10 && d < 10 && [a, b, c, d] != [8, 8, 8, 8] && [a, b, c, d] != [1, 1, 1, 1]);
    scan.emit(Kind::Ipv4, start, end, if lone { 0.6 } else { 0.95 }, !lone, "ipv4 address");
    users::after_address(scan, end);
    if before == b'|' {
        users::before_address(scan, start);
    }
    Some(4 + usize::from(port))
}

/// The fifth group is a port, as `tcpdump` writes it: an arrow stands before the address or behind the port.
#[inline(never)]
fn has_dotted_port(text: &Text<'_>, groups: &[Group]) -> bool {
    let [first, _, _, _, port, ..] = groups else {
        return false;
    };
    let arrow = |at: usize| text.has(at, " > ") || text.has(at, " -> ") || text.has(at, " < ") || text.has(at, " <-");
    let number = text.slice(port.start, port.end.min(port.start + 6));
    let number = number.iter().fold(0_u32, |value, digit| value * 10 + u32::from(digit - b'0'));
    let led = text.has_before(first.start, "> ") || text.has_before(first.start, "< ");
    (1..=65535).contains(&number) && !matches!(port.joint, b'.' | b'-') && (arrow(port.end) || led)
}

/// "SW" or its like stands before, or before another version and an arrow.
fn follows_software(text: &Text<'_>, start: usize) -> bool {
    let (word, length, at) = word_before(text, start);
    let is_software =
        |word: &[u8]| [&b"sw"[..], b"hw", b"soft", b"verze", b"versie", b"wersja", b"vers"].contains(&word);
    if is_software(word.get(..length).unwrap_or_default()) {
        return true;
    }
    let before = text.slice(at.saturating_sub(28), start).to_ascii_lowercase();
    text.tick(before.len());
    let software = |w: &[u8]| matches!(w, [b' ' | b'\n', b's' | b'f', b'w', b' ']);
    before.ends_with(b"-> ") && (before.starts_with(b"sw ") || before.windows(4).any(software))
}

/// The words before say that four numbers are a version.
fn is_version(text: &Text<'_>, start: usize, end: usize) -> bool {
    if text.before(start) == b'/' {
        // `Chrome/99.1.2.3`, but `host/10.1.2.3:80` and `http://10.1.2.3`.
        let (word, length, _) = word_before(text, start - 1);
        let named = text.before(start - 1) != b'/' && length > 0;
        // `HIER_DIRECT/10.1.2.3`: the peer of a proxy.
        if text.has_before(start, "direct/") || text.has_before(start, "parent/") {
            return false;
        }
        let product = named && is(text.at(start.saturating_sub(1 + length)), crate::text::UPPER);
        let known =
            VERSION_WORDS.contains(&std::str::from_utf8(word.get(..length).unwrap_or_default()).unwrap_or_default());
        // `requests/2.31.0.1`: few addresses have one digit before the first dot, and most versions do.
        let small = text.at(start + 1) == b'.' && !matches!(text.at(end), b':' | b'/');
        return named && (known || small || (product && text.at(end) != b':'));
    }
    // `ghcr.io/acme/app:1.2.3.4`, `java-jwt:jar:1.2.3.4`
    if text.before(start) == b':' {
        let name = text.slice(text.run_back(start - 1, AUTHORITY, 64), start - 1);
        let path = name.iter().position(|b| *b == b'/').is_some_and(|at| name.get(at + 1) != Some(&b'/'));
        let artifact = name.ends_with(b":jar") || name.ends_with(b":pom") || name.ends_with(b":war");
        if artifact || path && name.first().is_some_and(u8::is_ascii_alphabetic) {
            return true;
        }
        let slash = start - 1 - name.len();
        if text.before(slash) == b'/' && slash > 1 && is(text.before(slash - 1), ALNUM) {
            return true;
        }
    }
    let (word, length, at) = word_before(text, start);
    let word = std::str::from_utf8(word.get(..length).unwrap_or_default()).unwrap_or_default();
    // `<item name="appVersion" value="1.2.3.4"`
    if word == "value" {
        let before = text.slice(at.saturating_sub(12), at);
        return before.windows(7).any(|w| w.eq_ignore_ascii_case(b"version"));
    }
    if VERSION_WORDS.contains(&word)
        || word.ends_with("version")
        || word.starts_with("version")
        || word.ends_with("_ver")
        || word.ends_with("release")
    {
        return true;
    }
    // "version is 1.2.3.4", "upgraded x to 1.2.3.4", "version: >= 1.2.3.4"
    if matches!(word, "to" | "from" | "is" | "at" | "was" | "") {
        let line = text.slice(at.saturating_sub(48), at);
        let clause = line.iter().rposition(|b| matches!(b, b'\n' | b';')).map_or(0, |i| i + 1);
        let line = line.get(clause..).unwrap_or_default();
        text.tick(line.len());
        return ["version", "upgrad", "downgrad", "rolled back", "firmware", "release"]
            .iter()
            .any(|cue| line.windows(cue.len()).any(|w| w.eq_ignore_ascii_case(cue.as_bytes())));
    }
    false
}

/// A colon stands at `i`. Gives where to go on.
pub(crate) fn colon(scan: &mut Scan<'_>, i: usize) -> usize {
    let text = &scan.text;
    let (before, after) = (text.before(i), text.at(i + 1));
    let open = |b: u8| is(b, HEX) || b == b':';
    if i < scan.colon_done || !open(after) || !(open(before) || after == b':') {
        return i + 1;
    }
    let start = text.run_back(i, HEX, 5);
    let end = text.run(i, HEXCOLON);
    scan.colon_done = end;
    let whole = i - start <= 4 && !is(text.before(start), WORD) || text.after_escape(start);
    let colons = text.slice(i, end.min(i + 64)).iter().filter(|b| **b == b':').count();
    text.tick(end.min(i + 64) - i);
    if !whole || colons < 2 || end - start > 45 || text.before(start) == b':' {
        return i + 1;
    }
    if colons == 5 && end - start == 17 && mac(scan, start, b':') {
        return end;
    }
    // The id of a client of DHCP: the type of its network, and its address.
    if colons == 6 && end - start == 20 && scan.text.has(start, "01:") {
        let lead = scan.text.slice(start.saturating_sub(14), start);
        let named = [&b"cid"[..], b"client"].iter().any(|of| lead.windows(of.len()).any(|w| w == *of));
        if named
            && let Some(digits) = mac_digits(&scan.text, start + 3, b':')
            && report_mac(scan, start + 3, end, &digits)
        {
            return end;
        }
    }
    // Firewalls write destination, source and type in one row.
    if colons == 13 && end - start == 41 && scan.text.has_before(start, "mac=") {
        for first in [start, start + 18] {
            if let Some(digits) = mac_digits(&scan.text, first, b':') {
                report_mac(scan, first, first + 17, &digits);
            }
        }
        return end;
    }
    match ipv6(&scan.text, start, end) {
        Some(stop) => {
            scan.emit(Kind::Ipv6, start, stop, 0.95, true, "ipv6 address");
            users::after_address(scan, stop);
            stop.max(i + 1)
        }
        None => i + 1,
    }
}

/// Where the IPv6 address (RFC 4291) ends that begins at `start` within the run up to `run_end`.
fn ipv6(text: &Text<'_>, start: usize, run_end: usize) -> Option<usize> {
    let mut end = run_end;
    // "from 2001:db8::1: refused"
    if text.at(end - 1) == b':' && text.at(end - 2) != b':' {
        end -= 1;
    }
    let mut groups = [0_u32; 8];
    let mut count = 0;
    let mut gap = None;
    let mut at = start;
    let (mut long, mut decimal) = (0, true);
    if text.at(at) == b':' {
        if text.at(at + 1) != b':' {
            return None;
        }
        gap = Some(0);
        at += 2;
    }
    while at < end {
        let stop = text.hex_digits(at, end);
        let digits = text.slice(at, stop);
        // The last 32 bits in IPv4's form.
        if text.at(stop) == b'.' && stop == end && count > 0 || text.at(stop) == b'.' && gap.is_some() {
            let tail = text.run(at, crate::text::HOST);
            let octets = text
                .slice(at, tail)
                .split(|b| *b == b'.')
                .filter(|o| (1..=3).contains(&o.len()) && o.iter().all(u8::is_ascii_digit))
                .count();
            let mapped = octets == 4 && text.slice(at, tail).iter().filter(|b| **b == b'.').count() == 3;
            if mapped {
                return gap.map(|_| tail);
            }
            // A port behind the dot, or the end of the sentence.
            let port = text.run(stop + 1, DIGIT);
            if port > stop + 6 || is(text.at(port), WORD) {
                return None;
            }
        }
        // `2001:db8:…:1:443`: a port behind eight groups, or too long for a group.
        let number = digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit);
        if stop == end && number && !is(text.at(end), WORD) && (count == 8 || gap.is_some() && digits.len() == 5) {
            end = at - 1;
            break;
        }
        if digits.is_empty() || digits.len() > 4 {
            return None;
        }
        long += usize::from(digits.len() > 2);
        decimal &= digits.iter().all(u8::is_ascii_digit);
        let value = digits.iter().fold(0, |value, b| value * 16 + char::from(*b).to_digit(16).unwrap_or(0));
        *groups.get_mut(count)? = value;
        count += 1;
        at = stop;
        if at < end {
            at += 1;
            if text.at(at) == b':' && at <= end {
                if gap.is_some() {
                    return None;
                }
                gap = Some(count);
                at += 1;
            } else if at >= end {
                return None;
            }
        }
    }
    let fits = match gap {
        Some(_) => (1..=7).contains(&count),
        None => count == 8,
    };
    if !fits || is(text.at(end), WORD) {
        return None;
    }
    let first = groups.first().copied().unwrap_or(0);
    // What has been given out: global unicast, unique local, link-local, multicast, NAT64.
    let given =
        gap != Some(0) && matches!(first, 0x2000..=0x3fff | 0xfc00..=0xfdff | 0xfe80..=0xfebf | 0xff00..=0xff0f | 0x64);
    // `::1` and `::` name nobody; `::abcd:1` is deprecated.
    let plain_clock = decimal && long == 0;
    (given && long > 0 && !plain_clock).then_some(end)
}

/// The digits of the hardware address of 17 bytes that begins at `start`.
fn mac_digits(text: &Text<'_>, start: usize, joint: u8) -> Option<[u8; 12]> {
    let mut digits = [0_u8; 12];
    let mut places = digits.iter_mut();
    let mut count = 0;
    for (i, byte) in text.slice(start, start + 17).iter().enumerate() {
        if i % 3 == 2 {
            if *byte != joint {
                return None;
            }
        } else if is(*byte, HEX) {
            *places.next()? = *byte;
            count += 1;
        } else {
            return None;
        }
    }
    (count == 12).then_some(digits)
}

/// A hardware address of 17 bytes begins at `start`.
fn mac(scan: &mut Scan<'_>, start: usize, joint: u8) -> bool {
    let text = &scan.text;
    let Some(digits) = mac_digits(text, start, joint) else {
        return false;
    };
    let (before, after) = (text.before(start), text.at(start + 17));
    let open_before = is(before, WORD) && !text.after_escape(start) || before == joint;
    let open_after = is(after, WORD) || after == joint && is(text.at(start + 18), HEX);
    !open_before && !open_after && report_mac(scan, start, start + 17, &digits)
}

fn report_mac(scan: &mut Scan<'_>, start: usize, end: usize, digits: &[u8]) -> bool {
    let same = digits.iter().all(|b| Some(b) == digits.first());
    let decimal = digits.iter().all(u8::is_ascii_digit);
    // Counters and clocks have no letters; one address in three hundred has none either.
    let clock = decimal && digits.chunks(2).all(|pair| pair.first().is_some_and(|b| *b < b'6'));
    let cue = scan.cue_before(Cue::Mac, start, 40).is_some();
    if same || (clock && !cue) {
        return false;
    }
    scan.emit(Kind::Mac, start, end, if decimal && !cue { 0.7 } else { 0.95 }, true, "hardware address");
    true
}

/// Whether the joints of a hardware address stand where they would if one began at `start`.
pub(crate) fn hardware_begins(text: &Text<'_>, start: usize) -> bool {
    (text.at(start + 2) == b'-'
        && text.at(start + 5) == b'-'
        && text.at(start + 8) == b'-'
        && text.at(start + 14) == b'-')
        || (text.at(start + 4) == b'.' && text.at(start + 9) == b'.' && is(text.at(start + 13), HEX))
}

/// A digit stands at `i`, which may begin a hardware address with dashes or dots. Gives where it ends.
pub(crate) fn hardware(scan: &mut Scan<'_>, i: usize) -> Option<usize> {
    if !hardware_begins(&scan.text, i) {
        return None;
    }
    if scan.text.at(i + 2) == b'-' {
        return mac(scan, i, b'-').then_some(i + 17);
    }
    let end = dot(scan, i + 4);
    (end > i + 5).then_some(end)
}

/// A dash stands at `i`: `02-1B-…`. Gives where to go on.
pub(crate) fn dash(scan: &mut Scan<'_>, i: usize) -> usize {
    let text = &scan.text;
    let pair = |at: usize| is(text.at(at), HEX) && is(text.at(at + 1), HEX);
    let Some(start) = i.checked_sub(2) else {
        return i + 1;
    };
    if pair(start) && text.at(i + 3) == b'-' && pair(i + 1) && pair(i + 4) && mac(scan, start, b'-') {
        return start + 17;
    }
    i + 1
}

/// A dot stands at `i`: `021b.44ce.9a01`. Gives where to go on.
pub(crate) fn dot(scan: &mut Scan<'_>, i: usize) -> usize {
    let text = &scan.text;
    let Some(start) = i.checked_sub(4) else {
        return i + 1;
    };
    let four = |at: usize| text.slice(at, at + 4).len() == 4 && text.slice(at, at + 4).iter().all(|b| is(*b, HEX));
    let (before, after) = (text.before(start), text.at(start + 14));
    if text.at(i + 5) != b'.' || !four(start) || !four(i + 1) || !four(i + 6) {
        return i + 1;
    }
    let open_before = is(before, WORD) || matches!(before, b'.' | b'-' | b'*');
    let open_after = is(after, WORD) || after == b'.' && is(text.at(start + 15), WORD);
    let bounded = !open_before && !open_after;
    let digits: Vec<u8> = text.slice(start, start + 14).iter().copied().filter(|b| *b != b'.').collect();
    let letters = digits.iter().any(u8::is_ascii_alphabetic);
    let words = digits.iter().all(u8::is_ascii_alphabetic);
    let cue = scan.cue_before(Cue::Mac, start, 40).is_some();
    if bounded && (letters && !words || cue) && report_mac(scan, start, start + 14, &digits) {
        return start + 14;
    }
    i + 1
}

#[cfg(test)]
mod tests {
    use crate::testing::{nothing, one};

    #[test]
    fn ipv4_addresses() {
        for (text, ip) in [
            ("from 203.0.113.9 port", "203.0.113.9"),
            ("http://10.1.2.3:80/x", "10.1.2.3"),
            ("db/10.1.2.3:5432", "10.1.2.3"),
            ("[10.1.2.3]", "10.1.2.3"),
            ("ip=10.1.2.3,", "10.1.2.3"),
            ("at 10.1.2.3.", "10.1.2.3"),
            ("10.1.2.0/24", "10.1.2.0"),
            ("3.2.1.10.in-addr.arpa", "3.2.1.10"),
        ] {
            assert_eq!(one(text, "IPV4"), ip, "{text}");
        }
    }

    #[test]
    fn ports_behind_addresses() {
        let text = "IP 10.7.15.17.51422 > 10.18.17.15.8080: Flags";
        assert_eq!(crate::testing::found(text, "IPV4"), ["10.7.15.17", "10.18.17.15"]);
        let text = "TCP fd5d:cd64:2954::1146.52210 -> fd0d:1779:5098::af8c.993 x";
        assert_eq!(crate::testing::found(text, "IPV6"), ["fd5d:cd64:2954::1146", "fd0d:1779:5098::af8c"]);
        assert_eq!(one("to fd00:1:2:3:4:5:6:72:443 x", "IPV6"), "fd00:1:2:3:4:5:6:72");
        assert_eq!(one("a[x]...10.1.2.3[y]", "IPV4"), "10.1.2.3");
        nothing("versionName=6.18.10.11");
        nothing("<e name=\"lmsVersion\" value=\"11.17.10.20\"/>");
    }

    #[test]
    fn four_numbers_that_are_none() {
        for text in [
            "v1.2.3.4",
            "version 10.11.12.13",
            "version=10.11.12.13",
            "Chrome/99.0.12.13 Safari",
            "python-requests/2.31.0.1",
            "openssl-1.1.1.20",
            "1.2.3.4.5",
            "1.3.6.1.4.1.99",
            "10.11.12.256",
            "10.11.12.013",
            "127.0.0.1",
            "0.0.0.0",
            "255.255.255.0",
            "APP_VERSION=10.20.30.40",
            "upgraded Foo to 10.20.30.40",
            "10.20.30.40-SNAPSHOT",
            "x10.20.30.40",
        ] {
            nothing(text);
        }
    }

    #[test]
    fn ipv6_addresses() {
        for ip in [
            "2001:db8::1",
            "fe80::1c2",
            "2001:db8:0:1:1:1:1:1",
            "fd00:1:2::3",
            "2a02:6b8::",
            "2001:DB8:0:0:8:800:200C:417A",
        ] {
            for text in [format!("from {ip} port"), format!("[{ip}]:443"), format!("addr={ip}, x"), format!("{ip}/64")]
            {
                assert_eq!(one(&text, "IPV6"), ip, "{text}");
            }
        }
        assert_eq!(one("from 2001:db8::1: refused", "IPV6"), "2001:db8::1");
    }

    #[test]
    fn colons_that_are_none() {
        for text in [
            "12:34:56",
            "x::y::z",
            "dead::beef",
            "std::io",
            "12:34:56:10:20:30:40:50",
            "50:0a:09:81:8c:2d:e7:f3",
            "::1",
            "::",
            "fe80::1::2",
            "1:2:3:4:5:6:7",
            "face::4",
            "x:fe80",
            "20:41:12.345",
            "12:34:56:10:20:30",
        ] {
            nothing(text);
        }
    }

    #[test]
    fn hardware_addresses() {
        for mac in ["02:1b:44:ce:9a:01", "02-1B-44-CE-9A-01", "021b.44ce.9a01"] {
            assert_eq!(one(&format!("hwaddr {mac} up"), "MAC"), mac);
            assert_eq!(one(&format!("to {mac}."), "MAC"), mac);
        }
        for text in
            ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "02:1b:44:ce:9a:01:77", "02-1B-44-CE-9A", "1021b.44ce.9a01"]
        {
            nothing(text);
        }
    }
}
