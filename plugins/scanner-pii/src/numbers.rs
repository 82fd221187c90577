//! Numbers: groups of digits and what joins them, and the order in which the validators look at them.
//!
//! Invariant: each group is collected once, in batches of a fixed size, and each validator looks at a bounded number of
//! groups behind the one where it begins.

use crate::scan::Scan;
use crate::text::{ALPHA, DIGIT, Text, WORD, is};
use crate::{ids, network, payment, phone};

/// Digits without a break.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    pub start: usize,
    pub end: usize,
    /// What joins it to the next: a blank, `-`, `.`, `/`, `(` or `)`; 0 where there is none.
    pub joint: u8,
}

impl Group {
    pub(crate) fn len(self) -> usize {
        self.end - self.start
    }
}

/// Groups of one batch.
const BATCH: usize = 64;
/// The most that one value spans; the end of a full batch is looked at again with the next.
const SPAN: usize = 8;

/// What joins digits that end at `end` to the next ones, and where these begin.
fn joint(text: &Text<'_>, end: usize) -> Option<(u8, usize)> {
    let (first, second) = (text.at(end), text.at(end + 1));
    match first {
        b' ' | b'-' | b'.' | b'/' | b'(' | b')' if second.is_ascii_digit() => Some((first, end + 1)),
        // "0221 / 94 87 61"
        b' ' if second == b'/' && text.at(end + 2) == b' ' && text.at(end + 3).is_ascii_digit() => {
            Some((b'/', end + 3))
        }
        b' ' | b'-' if second == b'(' && text.at(end + 2).is_ascii_digit() => Some((b'(', end + 2)),
        b')' if matches!(second, b' ' | b'-') && text.at(end + 2).is_ascii_digit() => Some((b')', end + 2)),
        _ => None,
    }
}

/// A digit stands at `i`. Gives where to go on, which is behind `i`.
pub(crate) fn at(scan: &mut Scan<'_>, i: usize) -> usize {
    let before = scan.text.before(i);
    if is(before, WORD) && !scan.text.after_escape(i) {
        return scan.lettered_number(i).max(i + 1);
    }
    if let Some(end) = timestamp(&scan.text, i) {
        return end;
    }
    if let Some(end) = network::hardware(scan, i) {
        return end;
    }
    let first_end = scan.text.run(i, DIGIT);
    if joint(&scan.text, first_end).is_none() && first_end - i < 8 {
        return first_end;
    }
    let mut groups = std::mem::take(&mut scan.groups);
    groups.clear();
    let mut start = i;
    let mut resume = None;
    loop {
        if start > i && network::hardware_begins(&scan.text, start) {
            resume = Some(start);
            break;
        }
        let end = scan.text.run(start, DIGIT);
        let next = joint(&scan.text, end);
        groups.push(Group { start, end, joint: next.map_or(0, |(joint, _)| joint) });
        let Some((_, next)) = next else {
            break;
        };
        if groups.len() == BATCH {
            resume = groups.get(BATCH - SPAN).map(|group| group.start);
            break;
        }
        start = next;
    }
    let mut end = groups.last().map_or(i + 1, |group| group.end);
    let last = if groups.len() == BATCH { BATCH - SPAN } else { groups.len() };
    let mut n = 0;
    while n < last {
        scan.text.tick(1);
        let rest = groups.get(n..).unwrap_or_default();
        let joint_before = n.checked_sub(1).and_then(|n| groups.get(n)).map_or(0, |group| group.joint);
        n += value(scan, rest, joint_before).max(1);
    }
    if let Some(resume) = resume {
        end = groups.get(n).map_or(resume, |group| group.start).max(resume);
    }
    scan.groups = groups;
    end.max(i + 1)
}

/// The end of a date with its time, `2026-04-01T09:30:00`, that begins at `i`: nearly every line of a log has one, and
/// nothing else begins in it.
fn timestamp(text: &Text<'_>, i: usize) -> Option<usize> {
    let shape = *b"2000-00-00T00:00:00";
    let found = text.slice(i, i + shape.len());
    let fits = found.len() == shape.len()
        && found.iter().zip(&shape).all(|(found, shape)| match shape {
            b'0' => found.is_ascii_digit(),
            b'T' => matches!(found, b'T' | b' '),
            _ => found == shape,
        });
    (fits && !text.at(i + shape.len()).is_ascii_digit()).then_some(i + shape.len())
}

/// The first validator that takes the first of `groups` and those behind it. Gives how many groups it took.
fn value(scan: &mut Scan<'_>, groups: &[Group], joint_before: u8) -> usize {
    network::ipv4(scan, groups, joint_before)
        .or_else(|| payment::card(scan, groups, joint_before))
        .or_else(|| ids::ssn(scan, groups, joint_before))
        .or_else(|| ids::nhs(scan, groups, joint_before))
        .or_else(|| phone::number(scan, groups, joint_before))
        .or_else(|| ids::spaced_nino(scan, groups))
        .unwrap_or(0)
}

/// Whether `groups` begin with groups of these lengths, joined by the same one of `joints`.
pub(crate) fn shaped(groups: &[Group], lengths: &[usize], joints: &[u8]) -> bool {
    let Some(taken) = groups.get(..lengths.len()) else {
        return false;
    };
    let Some(first) = taken.first() else {
        return false;
    };
    let inner = taken.len() - 1;
    taken.iter().zip(lengths).all(|(group, length)| group.len() == *length)
        && taken.iter().take(inner).all(|group| group.joint == first.joint)
        && (inner == 0 || joints.contains(&first.joint))
}

/// The digits of the first `count` groups, at most 24.
pub(crate) fn digits<'b>(text: &Text<'_>, groups: &[Group], count: usize, buffer: &'b mut [u8; 24]) -> &'b [u8] {
    let mut length = 0;
    for group in groups.iter().take(count) {
        for byte in text.slice(group.start, group.end).iter().take(24) {
            if let Some(place) = buffer.get_mut(length) {
                *place = byte - b'0';
                length += 1;
            }
        }
    }
    text.tick(length);
    buffer.get(..length).unwrap_or_default()
}

/// Nothing behind the last of `count` groups goes on with it: no letter, and no dash or dot with more digits.
pub(crate) fn ends(text: &Text<'_>, groups: &[Group], count: usize) -> bool {
    groups.get(count.wrapping_sub(1)).is_some_and(|last| {
        let after = text.at(last.end);
        let goes_on = matches!(last.joint, b'-' | b'.') || after == b'-' && is(text.at(last.end + 1), ALPHA);
        !is(after, WORD) && !goes_on
    })
}

/// Nothing before the first group leads into it.
pub(crate) fn begins(text: &Text<'_>, groups: &[Group], joint_before: u8) -> bool {
    groups.first().is_some_and(|first| {
        let before = text.before(first.start);
        !matches!(joint_before, b'-' | b'.')
            && before != b'.'
            && !(before == b'-' && first.start >= 2 && is(text.before(first.start - 1), WORD))
    })
}

/// The word before `at`, in lower case and at most 24 bytes, behind quotes, blanks and separators.
pub(crate) fn word_before(text: &Text<'_>, at: usize) -> ([u8; 24], usize, usize) {
    let mut end = at;
    while end > 0
        && at - end < 5
        && matches!(text.at(end - 1), b' ' | b'"' | b'\'' | b'=' | b':' | b'(' | b'[' | b'\\' | b'>' | b'#')
    {
        end -= 1;
    }
    let start = text.run_back(end, WORD, 24);
    let mut word = [0; 24];
    for (place, byte) in word.iter_mut().zip(text.slice(start, end)) {
        *place = byte.to_ascii_lowercase();
    }
    (word, end - start, start)
}
