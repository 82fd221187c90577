//! Names in scripts without capitals, by the lists: a family name and a given name beside each other.
//!
//! Invariant: each run of letters is cut in a bounded number of ways, so the work is linear.

use crate::lexicon::{FIRST, Flags, Hash, LAST, Lexicon};
use crate::steps::tick;
use crate::token::is_letter;
use crate::{Finding, Kind};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Han,
    Kana,
    Hangul,
    Other,
}

fn script(c: char) -> Option<Script> {
    match c as u32 {
        0x3040..0x30a0 => Some(Script::Kana),
        0x30a0..0x3100 | 0xff66..0xffa0 => Some(Script::Other),
        0x3400..0xa000 | 0xf900..0xfb00 | 0x20000..0x30000 => Some(Script::Han),
        0xac00..0xd7a4 => Some(Script::Hangul),
        0x590.. if is_letter(c) => Some(Script::Other),
        _ => None,
    }
}

/// What may stand right before a Chinese or Japanese name inside a sentence.
const BEFORE: &str = "和与跟给向对由请叫是找让为被问同在自";
/// What may stand right behind it.
const AFTER: &[&str] = &[
    "先生",
    "女士",
    "小姐",
    "老师",
    "经理",
    "さん",
    "様",
    "氏",
    "くん",
    "君",
    "ちゃん",
    "说",
    "表示",
    "的",
    "是",
    "已",
    "在",
    "は",
    "が",
    "に",
    "を",
    "と",
    "の",
    "要",
    "想",
    "打",
    "将",
];
/// What hangs on a Korean name.
const KOREAN: &[&str] = &[
    "",
    "씨",
    "님",
    "은",
    "는",
    "이",
    "가",
    "을",
    "를",
    "의",
    "에게",
    "와",
    "과",
    "께서",
    "입니다",
    "씨가",
    "씨는",
    "님이",
    "님은",
    "님께",
    "님의",
    "도",
    "으로",
    "로",
    "이라고",
];
/// Titles that are written in front of a Thai name.
const THAI: &[&str] = &["นางสาว", "นาย", "นาง", "คุณ", "ดร."];

/// Reads the letters at `start..end` and what belongs to them; gives where it stopped.
pub(crate) fn at(text: &str, start: usize, end: usize, lexicon: &Lexicon, found: &mut Vec<Finding>) -> usize {
    let mut at = start;
    let mut stop = end;
    while at < end {
        let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) else { return end };
        let Some(kind) = script(c) else {
            at += c.len_utf8();
            continue;
        };
        let run_end = run(text, at, kind);
        let name = match kind {
            Script::Han => han(text, at, run_end, lexicon),
            Script::Hangul => hangul(text, at, run_end, lexicon),
            Script::Kana => None,
            Script::Other => pair(text, at, run_end, lexicon),
        };
        if let Some((from, to)) = name {
            found.push(Finding {
                kind: Kind::Person,
                start: from,
                end: to,
                confidence: 0.8,
                validated: false,
                detector: "known first and last name",
            });
            stop = stop.max(to);
        }
        // What follows a name in a sentence without blanks may hold another.
        at = name.map_or(run_end, |(_, to)| to);
    }
    stop
}

/// The most characters that are read as one run.
const LONGEST: usize = 40;

/// Where the run of one script ends that begins at `at`, or its first forty characters.
fn run(text: &str, at: usize, kind: Script) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let end = rest.char_indices().enumerate().find(|(n, (_, c))| script(*c) != Some(kind) || *n == LONGEST);
    tick(LONGEST);
    end.map_or(text.len(), |(_, (i, _))| at + i)
}

fn flags(text: &str, from: usize, to: usize, lexicon: &Lexicon) -> Flags {
    text.get(from..to).map_or(0, |word| lexicon.get(Hash::of(word)))
}

/// The offsets of the first characters of a run, its end included.
fn offsets(text: &str, at: usize, end: usize) -> Vec<usize> {
    let run = text.get(at..end).unwrap_or_default();
    run.char_indices().map(|(i, _)| at + i).chain([end]).collect()
}

/// A family name of one or two characters and a given name of one or two.
fn split(text: &str, marks: &[usize], first: usize, last: usize, lexicon: &Lexicon) -> bool {
    let mark = |n: usize| marks.get(n).copied().unwrap_or(usize::MAX);
    (1..=2).any(|family| {
        let given = (last - first).saturating_sub(family);
        (1..=3).contains(&given)
            && flags(text, mark(first), mark(first + family), lexicon) & LAST != 0
            && flags(text, mark(first + family), mark(last), lexicon) & FIRST != 0
    })
}

fn han(text: &str, at: usize, end: usize, lexicon: &Lexicon) -> Option<(usize, usize)> {
    let marks = offsets(text, at, end);
    let count = marks.len() - 1;
    let blank = |i: usize| matches!(text.get(i..).and_then(|rest| rest.chars().next()), Some(' ' | '　' | '・'));
    // A family name, a blank, a given name.
    if count <= 3 && blank(end) && flags(text, at, end, lexicon) & LAST != 0 {
        let next = end + text.get(end..)?.chars().next()?.len_utf8();
        let stop = run(text, next, Script::Han);
        let stop = if stop == next { run(text, next, Script::Kana) } else { stop };
        if stop > next && flags(text, next, stop, lexicon) & FIRST != 0 {
            return Some((at, stop));
        }
    }
    if (3..=4).contains(&count) && split(text, &marks, 0, count, lexicon) {
        return Some((at, end));
    }
    // Behind a label the family name is enough: "报修人：欧阳静怡".
    if labelled(text, at) && (2..=4).contains(&count) && family(text, &marks, count, lexicon) {
        return Some((at, end));
    }
    // Inside a sentence only between words that go with people.
    for first in 0..count {
        tick(1);
        let mark = marks.get(first).copied()?;
        let before = text.get(..mark).and_then(|head| head.chars().next_back()).filter(|_| mark > at);
        let cue = before.is_none_or(|c| BEFORE.contains(c));
        for length in [3, 2] {
            let Some(stop) = marks.get(first + length).copied() else { continue };
            let rest = text.get(stop..).unwrap_or_default();
            let honorific = AFTER.iter().position(|after| rest.starts_with(after));
            let sure =
                honorific.is_some_and(|n| n < 11) || (cue && length == 3 && (honorific.is_some() || before.is_some()));
            if sure && split(text, &marks, first, first + length, lexicon) {
                return Some((mark, stop));
            }
        }
    }
    None
}

fn hangul(text: &str, at: usize, end: usize, lexicon: &Lexicon) -> Option<(usize, usize)> {
    let marks = offsets(text, at, end);
    let stop = marks.get(3).copied()?;
    let tail = text.get(stop..end)?;
    if KOREAN.contains(&tail) && split(text, &marks, 0, 3, lexicon) {
        return Some((at, stop));
    }
    let rest = text.get(end..).unwrap_or_default();
    let honorific =
        tail.starts_with('님') || tail.starts_with('씨') || rest.starts_with(" 님") || rest.starts_with(" 씨");
    let led = labelled(text, at) && tail.is_empty();
    ((honorific || led) && KOREAN.contains(&tail) && family(text, &marks, 3, lexicon)).then_some((at, stop))
}

/// Words for people that stand before a colon.
const LABELS: &[&str] = &[
    "姓名",
    "联系人",
    "聯絡人",
    "报修人",
    "收件人",
    "收货人",
    "客户",
    "患者",
    "经办人",
    "申请人",
    "负责人",
    "氏名",
    "お名前",
    "名前",
    "担当",
    "担当者",
    "患者名",
    "이름",
    "성명",
    "성함",
    "고객",
    "고객명",
    "담당",
    "담당자",
    "환자",
    "수령인",
    "신청인",
    "작성자",
    "접수자",
    "보호자",
    "예금주",
];

/// Whether a label for a person and a colon stand right before `at`.
fn labelled(text: &str, at: usize) -> bool {
    tick(8);
    let head = text.get(..at).unwrap_or_default();
    let head = head.strip_suffix(' ').unwrap_or(head);
    let Some(head) = head.strip_suffix([':', '：']) else { return false };
    LABELS.iter().any(|label| head.ends_with(label))
}

/// Whether a run of `count` characters begins with a known family name and leaves one or two for a given name.
fn family(text: &str, marks: &[usize], count: usize, lexicon: &Lexicon) -> bool {
    let mark = |n: usize| marks.get(n).copied().unwrap_or(usize::MAX);
    (1..=2).any(|n| (1..=2).contains(&count.saturating_sub(n)) && flags(text, mark(0), mark(n), lexicon) & LAST != 0)
}

/// A first name and a family name with a blank between them, perhaps with a third name.
fn pair(text: &str, at: usize, end: usize, lexicon: &Lexicon) -> Option<(usize, usize)> {
    let head = text.get(at..end)?;
    let title = THAI.iter().find(|title| head.starts_with(**title)).map_or(0, |title| title.len());
    let title = if head.len() > title { title } else { 0 };
    let first = flags(text, at + title, end, lexicon);
    let latin = text.get(..at).and_then(|head| head.chars().next_back()).is_some_and(char::is_alphanumeric);
    if first & (FIRST | LAST) == 0 || latin {
        return None;
    }
    let next = |end: usize| {
        let after = text.get(end..)?;
        let blank = after.chars().next().filter(|c| matches!(c, ' ' | '・'))?;
        let from = end + blank.len_utf8();
        let stop = run(text, from, Script::Other);
        (stop > from).then_some((from, stop))
    };
    let (from, stop) = next(end)?;
    let second = flags(text, from, stop, lexicon);
    let fits = first & FIRST != 0 && second & LAST != 0 || first & LAST != 0 && second & FIRST != 0;
    if !fits {
        return None;
    }
    Some((at + title, stop))
}

#[cfg(test)]
mod tests {
    use crate::testing::{found, nothing};

    #[test]
    fn names_by_the_lists() {
        for (text, name) in [
            ("联系人：王秀英，电话", "王秀英"),
            ("担当は佐藤 太郎です", "佐藤 太郎"),
            ("고객 김영수 님이 전화", "김영수"),
            ("고객 건: 이정민 님, 문의", "이정민"),
            ("报修人：欧阳静怡，电话", "欧阳静怡"),
            ("כתב דוד כהן אתמול", "דוד כהן"),
        ] {
            assert_eq!(found(text, "PERSON"), [name], "{text}");
        }
    }

    #[test]
    fn ordinary_text() {
        for text in
            ["服务器已重新启动。", "サーバーを再起動しました。", "서버가 다시 시작되었습니다.", "השרת הופעל מחדש"]
        {
            nothing(text);
        }
    }
}
