//! Telephone numbers: international by the numbering plan, national ones in a clear shape or behind a cue.
//!
//! Invariant: an international number has the length that its country uses (ITU-T E.164 and the national plans); a bare
//! run of digits is never a number without a cue.

use crate::kind::Kind;
use crate::literals::Cue;
use crate::numbers::{Group, begins, digits, ends, shaped, word_before};
use crate::payment;
use crate::phone_plans::PLANS;
use crate::scan::Scan;
use crate::text::{ALNUM, DIGIT, HEX, Text, WORD, is};

/// The most digits of a number (E.164).
const MAX_DIGITS: usize = 15;

/// Whether the digits are a country code and a national number of a length that the country uses.
fn international(number: &[u8]) -> bool {
    let mut code = 0;
    for (i, digit) in number.iter().take(3).enumerate() {
        code = code * 10 + u32::from(*digit);
        if let Some((_, min, max)) = PLANS.iter().find(|(plan, _, _)| *plan == code) {
            let mut national = number.get(i + 1..).unwrap_or_default();
            // The trunk zero that people leave in: +44 (0)20 …
            if national.first() == Some(&0) && !matches!(code, 39 | 225 | 242 | 241) {
                national = national.get(1..).unwrap_or_default();
            }
            let fits = (usize::from(*min)..=usize::from(*max)).contains(&national.len());
            return fits && (code != 1 || north_american(national));
        }
    }
    false
}

/// Area code and exchange as the North American plan gives them.
fn north_american(national: &[u8]) -> bool {
    match national {
        [a, b, c, d, ..] => national.len() == 10 && *a >= 2 && *b < 9 && *d >= 2 && (b, c) != (&1, &1),
        _ => false,
    }
}

/// A telephone number begins with the first of `groups`. Gives how many of them it takes.
pub(crate) fn number(scan: &mut Scan<'_>, groups: &[Group], joint_before: u8) -> Option<usize> {
    let first = groups.first()?;
    let text = &scan.text;
    let before = text.before(first.start);
    let plus = before == b'+' || before == b'(' && first.start >= 2 && text.before(first.start - 1) == b'+';
    if plus {
        return with_code(scan, groups, 0, first.start - if before == b'+' { 1 } else { 2 });
    }
    if joint_before != 0 && joint_before != b' ' && joint_before != b'/'
        || before == b'.'
        || before == b'-' && first.start > 1 && is(text.before(first.start - 1), ALNUM)
    {
        return None;
    }
    let phone = near(scan, Cue::Phone, first.start, 24);
    let call = near(scan, Cue::Call, first.start, 36);
    let zeros = text.slice(first.start, first.start + 2) == b"00" && first.len() != 1;
    // Code points come in groups of four.
    let points = groups.iter().all(|group| group.len() == 4);
    let spelled =
        phone || call || is_dialled(text, first) || (groups.len() > 2 && (4..=6).contains(&first.len()) && !points);
    if zeros
        && spelled
        && text.at(first.start + 2) != b'0'
        && let Some(count) = with_code(scan, groups, 2, first.start)
    {
        return Some(count);
    }
    national(scan, groups, joint_before, phone, call)
}

/// What an exchange dials: `PJSIP/0049…@trunk`, `[0049…@from-internal`, `sofia/external/044…`.
#[inline(never)]
fn is_dialled(text: &Text<'_>, first: &Group) -> bool {
    if !(9..=16).contains(&first.len()) {
        return false;
    }
    let before = first.start;
    let channel = text.before(before) == b'/'
        && ["sip/", "external/", "internal/", "local/", "dahdi/"].iter().any(|of| text.has_before(before, of));
    channel && matches!(text.at(first.end), b'@' | b']' | b' ' | b',' | b'"' | b'-')
        || text.at(first.end) == b'@' && matches!(text.before(before), b'[' | b'/' | b':' | b'<')
        || text.has_before(before, ">->")
}

/// Whether such a cue stands shortly before, with no other number between.
#[inline]
fn near(scan: &Scan<'_>, cue: Cue, at: usize, limit: usize) -> bool {
    scan.cue_before(cue, at, limit).is_some_and(|between| {
        let between = scan.text.slice(at - between, at);
        // `phone_placeholder` shows a form what one looks like.
        !between.iter().any(|b| b.is_ascii_digit() || *b == b';') && !between.starts_with(b"_placeholder")
    })
}

/// The longest row of groups that is a number with its country's code behind `skip` digits.
fn with_code(scan: &mut Scan<'_>, groups: &[Group], skip: usize, start: usize) -> Option<usize> {
    let text = &scan.text;
    if is(text.before(start), WORD) && !text.after_escape(start) || text.before(start) == b'+' {
        return None;
    }
    let mut best = None;
    for count in 1..=groups.len().min(8) {
        let mut buffer = [0; 24];
        let all = digits(text, groups, count, &mut buffer);
        let number = all.get(skip..).unwrap_or_default();
        if number.len() > MAX_DIGITS + 1 {
            break;
        }
        let end = groups.get(count - 1)?;
        // A decimal has its digits in one group before the point.
        let decimal = groups.first().is_some_and(|first| count < 3 && first.joint == b'.' && first.len() > 4);
        if !is(text.at(end.end), WORD) && !decimal && international(number) {
            best = Some((count, end.end));
        }
        if end.joint == b'/' && count > 2 {
            break;
        }
    }
    let (count, end) = best?;
    scan.emit(Kind::Phone, start, end, 0.97, true, "international number");
    Some(count)
}

/// National forms that are clear by themselves.
const CLEAR: &[(&[usize], &[u8])] = &[
    (&[5, 6], b" "),
    (&[3, 4, 4], b" "),
    (&[4, 3, 4], b" "),
    (&[5, 3, 3], b" "),
    (&[4, 3, 3], b" "),
    (&[4, 3, 2, 2], b" "),
    (&[2, 2, 2, 2, 2], b" ."),
];

fn national(scan: &mut Scan<'_>, groups: &[Group], joint_before: u8, phone: bool, call: bool) -> Option<usize> {
    let first = groups.first()?;
    let text = &scan.text;
    let mut buffer = [0; 24];
    let bracket = text.before(first.start) == b'(' && first.joint == b')';
    let start = if bracket { first.start - 1 } else { first.start };
    // North America: (212) 555-0100, 212-555-0100, 212.555.0100, 1-212-555-0100.
    let lead = usize::from(
        first.len() == 1 && text.at(first.start) == b'1' && matches!(first.joint, b'-' | b'.' | b' ' | b'('),
    );
    let rest = groups.get(lead..).unwrap_or_default();
    let lengths = matches!(rest, [a, b, c, ..] if a.len() == 3 && b.len() == 3 && c.len() == 4);
    if lengths && let [a, b, ..] = rest {
        let dashed = matches!((a.joint, b.joint), (b'-', b'-') | (b'.', b'.') | (b')', b'-' | b'.' | b' '));
        let spaced = (a.joint, b.joint) == (b' ', b' ') || (a.joint, b.joint) == (b' ', b'-');
        let count = lead + 3;
        let number = digits(text, rest, 3, &mut buffer);
        if (dashed || spaced && (phone || call))
            && north_american(number)
            && ends(text, groups, count)
            && !is(text.before(start), WORD)
        {
            let end = rest.get(2)?.end;
            scan.emit(Kind::Phone, start, end, 0.9, true, "north american number");
            return Some(count);
        }
    }
    if !begins(text, groups, joint_before) {
        return None;
    }
    let zero = text.at(first.start) == b'0' && text.at(first.start + 1) != b'0';
    if zero && groups.len() == 1 && is_dialled(text, first) {
        scan.emit(Kind::Phone, first.start, first.end, 0.8, false, "dialled number");
        return Some(1);
    }
    // `04469 417-0`: the switchboard of a house in Germany.
    if zero
        && joint_before == 0
        && (3..=5).contains(&first.len())
        && matches!(first.joint, b' ' | b'/')
        && let [_, second, third, ..] = groups
        && (3..=7).contains(&second.len())
        && second.joint == b'-'
        && text.slice(third.start, third.end) == b"0"
        && ends(text, groups, 3)
    {
        scan.emit(Kind::Phone, first.start, third.end, 0.8, false, "number of a switchboard");
        return Some(3);
    }
    // Germany's mobile networks: 015, 016, 017.
    if zero
        && joint_before == 0
        && matches!(first.len(), 4 | 5)
        && text.at(first.start + 1) == b'1'
        && matches!(text.at(first.start + 2), b'5'..=b'7')
        && matches!(first.joint, b' ' | b'/' | b'-')
        && let [_, second, ..] = groups
        && matches!(second.len(), 7 | 8)
        && matches!(second.joint, 0 | b' ' | b')')
        && !is(text.at(second.end), WORD)
    {
        scan.emit(Kind::Phone, first.start, second.end, 0.85, false, "mobile number");
        return Some(2);
    }
    if zero && joint_before == 0 {
        for (lengths, joints) in CLEAR {
            let count = lengths.len();
            if shaped(groups, lengths, joints)
                && ends(text, groups, count)
                && groups.get(count - 1)?.joint == 0
                && alone(scan, groups, count)
            {
                let end = groups.get(count - 1)?.end;
                scan.emit(Kind::Phone, first.start, end, 0.8, false, "national number");
                return Some(count);
            }
        }
    }
    if let Some(end) = dashed(text, groups, zero && joint_before == 0, bracket)
        && ends(text, groups, 3)
    {
        scan.emit(Kind::Phone, start, end, 0.8, false, "national number");
        return Some(3);
    }
    if phone || call && groups.len() > 1 {
        return behind_cue(scan, groups, start, phone);
    }
    None
}

/// Japan (`090-1234-5678`, `03-1234-5678`) and Brazil (`(11) 91234-5678`): where the number ends.
fn dashed(text: &Text<'_>, groups: &[Group], zero: bool, bracket: bool) -> Option<usize> {
    let [a, b, c, ..] = groups else {
        return None;
    };
    let lengths = (a.len(), b.len(), c.len());
    let second = text.at(a.start + 1);
    let japan = zero
        && (a.joint, b.joint) == (b'-', b'-')
        && match lengths {
            // Korea's mobile networks have 010.
            (3, 4, 4) => matches!(second, b'1' | b'5' | b'7'..=b'9') && text.at(a.start + 2) == b'0',
            (2, 4, 4) => matches!(second, b'3' | b'6'),
            _ => false,
        };
    let brazil = bracket && lengths == (2, 5, 4) && b.joint == b'-' && text.at(b.start) == b'9';
    (japan || brazil).then_some(c.end)
}

/// No row of pairs goes on before or behind, as in dumps.
fn alone(scan: &Scan<'_>, groups: &[Group], count: usize) -> bool {
    let text = &scan.text;
    let (Some(first), Some(last)) = (groups.first(), groups.get(count - 1)) else {
        return false;
    };
    let pair = |at: usize| is(text.at(at), HEX) && is(text.at(at + 1), HEX) && !is(text.at(at + 2), WORD);
    let before = text.before(first.start) == b' ' && first.start >= 3 && pair(first.start - 3);
    let behind = text.at(last.end) == b' ' && pair(last.end + 1);
    !before && !behind
}

/// Seven to fifteen digits behind a cue, in groups or not.
fn behind_cue(scan: &mut Scan<'_>, groups: &[Group], start: usize, phone: bool) -> Option<usize> {
    let text = &scan.text;
    let mut best = None;
    for count in 1..=groups.len().min(6) {
        let mut buffer = [0; 24];
        let number = digits(text, groups, count, &mut buffer);
        if number.len() > MAX_DIGITS {
            break;
        }
        let end = groups.get(count - 1)?;
        // A date, an address: groups of digits with dots, four digits first.
        if end.joint == b'.' && count == 1 && groups.get(1).is_some_and(|next| next.len() < 2) {
            return None;
        }
        // `000-000-0000` stands for one.
        if number.len() > 6 && number.iter().all(|digit| Some(digit) == number.first()) {
            return None;
        }
        let least = if count == 1 { 9 } else { 7 };
        if number.len() >= least && !is(text.at(end.end), WORD) && !matches!(end.joint, b'-' | b'.') {
            best = Some((count, end.end));
        }
        if end.joint == 0 {
            break;
        }
    }
    let (count, end) = best?;
    let first = groups.first()?;
    // "phone home disabled, build 123456789"; versions.
    let (word, length, _) = word_before(text, first.start);
    let other = count == 1 && payment::is_other_number(word.get(..length).unwrap_or_default());
    if other || first.len() == 1 && first.joint == b'.' {
        return None;
    }
    let year =
        first.len() == 4 && matches!(text.slice(first.start, first.start + 2), b"19" | b"20") && first.joint == b'-';
    if year || (count == 1 && !phone) {
        return None;
    }
    scan.emit(Kind::Phone, start, end, 0.75, false, "number behind a cue");
    Some(count)
}

/// `%2B` ends before `at`.
pub(crate) fn encoded_plus(scan: &mut Scan<'_>, at: usize) {
    let text = &scan.text;
    let mut groups = Vec::new();
    let mut from = at;
    let mut end;
    loop {
        end = text.run(from, DIGIT);
        if end == from || end - at > MAX_DIGITS * 3 || groups.len() > 6 {
            break;
        }
        groups.push(Group { start: from, end, joint: 0 });
        // Blanks are encoded too, or a plus.
        from = if text.has(end, "%20") {
            end + 3
        } else if matches!(text.at(end), b'+' | b'-' | b' ') && groups.len() < 6 && text.at(end + 1).is_ascii_digit() {
            end + 1
        } else {
            break;
        };
    }
    if end - at > MAX_DIGITS && groups.len() < 2 || is(text.at(end), WORD) {
        return;
    }
    let mut buffer = [0; 24];
    let count = groups.len();
    if count > 0 && international(digits(text, &groups, count, &mut buffer)) {
        scan.emit(Kind::Phone, at - 3, end, 0.97, true, "encoded international number");
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{nothing, one};

    #[test]
    fn slashes_between_blanks() {
        assert_eq!(one("Tel. 0221 / 94 87 61", "PHONE"), "0221 / 94 87 61");
        assert_eq!(one("Chennai 600090, Ph: 98412 07731", "PHONE"), "98412 07731");
        nothing("ratio 12 / 30 45 and 200 / 5000, ph: 7.4");
    }

    #[test]
    fn numbers_with_country_code() {
        for phone in [
            "+1 (206) 555-0142",
            "+12065550142",
            "+44 20 7946 0958",
            "+44 (0)20 7946 0958",
            "+49 151 23456789",
            "+33 1 99 00 12 34",
            "+61 2 5550 1234",
            "+351 912 345 678",
            "+1-212-555-0187",
            "+81 3-5550-0199",
            "+971 4 123 4567",
        ] {
            for text in [format!("call {phone}, x"), format!("\"p\":\"{phone}\""), format!("p={phone}\n")] {
                assert_eq!(one(&text, "PHONE"), phone, "{text}");
            }
        }
        assert_eq!(one("tel=%2B12065550142&x", "PHONE"), "%2B12065550142");
        assert_eq!(one("tel 0044 20 7946 0958.", "PHONE"), "0044 20 7946 0958");
    }

    #[test]
    fn national_numbers() {
        for phone in [
            "090-1234-5678",
            "(11) 91924-1904",
            "(212) 555-0187",
            "212-555-0187",
            "212.555.0187",
            "1-800-555-0187",
            "020 7946 0958",
            "01 23 45 67 89",
        ] {
            assert_eq!(one(&format!("at {phone}, x"), "PHONE"), phone);
        }
        assert_eq!(one("phone: 0301234567 x", "PHONE"), "0301234567");
        assert_eq!(one("\"mobile\":\"5551234567\"", "PHONE"), "5551234567");
    }

    #[test]
    fn dialled_numbers() {
        assert_eq!(one("Dial(\"PJSIP/0049897216640@trunk\")", "PHONE"), "0049897216640");
        assert_eq!(one("[sofia/external/0445128830] x", "PHONE"), "0445128830");
        assert_eq!(one("unter 0171 7174584, x", "PHONE"), "0171 7174584");
        nothing("Dial(\"PJSIP/2041-00000a3c\")");
    }

    #[test]
    fn other_numbers() {
        for text in [
            "[10/Oct/2025:13:55:36 +0000]",
            "id 5551234567",
            "ref 611-204-77301",
            "3107-8846-19",
            "0822-47-9013x",
            "epoch=1700000000",
            "QX-402-9917",
            "+1 555",
            "a+1234567890",
            "+0000",
            "1234567890123",
            "112-555-0187",
            "2025-01-02 03:04",
            "06 c2 45 67 89 0a",
            "10 20 30 40 50 60",
            "telemetry 12345678",
            "cancelled 2025-01-02",
            "telegram 110201543",
            "hotel 110201543",
            "phone home disabled, build 123456789",
            "mobile app 4.12.0 (41200345)",
            "lot 090-1234-56789",
            "# U+FB03 => 0046 0066 0069",
            "Decimal('+35236450.6')",
        ] {
            nothing(text);
        }
    }
}
