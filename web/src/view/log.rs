//! The log viewer.
//!
//! A page holds one screenful or a few; the script asks for rows by line number as the reader scrolls. Rows are of
//! fixed height, so that line N is at N × 20 px, scaled where the browser's limit on heights is reached.

use askama::Template;

use super::Frame;
use super::bench::{Bench, Group, KindCount, LogState};
use crate::units::{Bytes, Count, Id, When};

/// How a finding was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not yet: it is masked.
    Pending,
    /// Right: it is masked.
    Accepted,
    /// Wrong: it leaves as it stands.
    Rejected,
}

impl Verdict {
    /// The value in forms and for style sheets.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        }
    }
}

/// A finding as it is marked in a line.
#[derive(Clone, Debug)]
pub struct Mark {
    /// The finding.
    pub id: Id,
    /// Its type.
    pub kind: String,
    /// The group of the type.
    pub group: Group,
    /// How it was judged.
    pub verdict: Verdict,
    /// Type, detector and confidence in a line: `EMAIL · email-address · 0.98 · checked`. Holds no text of the log.
    pub about: String,
}

/// A finding's place in one line, in bytes of that line; it may begin before and end after it.
#[derive(Clone, Debug)]
pub struct LineFinding {
    /// First byte, relative to the line's first; zero where it began on a line before.
    pub start: usize,
    /// One past the last byte; may lie beyond the line.
    pub end: usize,
    /// What is marked.
    pub mark: Mark,
}

/// A piece of a line.
#[derive(Clone, Debug)]
pub struct Segment {
    /// The text, raw.
    pub text: String,
    /// The finding that it belongs to.
    pub mark: Option<Mark>,
    /// In the masked view: it is a pseudonym.
    pub pseudonym: bool,
}

impl Segment {
    /// Text without a finding.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), mark: None, pseudonym: false }
    }
}

/// A line with its findings.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// Counted from one.
    pub number: u64,
    /// Its text in order; nothing of it is lost or doubled.
    pub segments: Vec<Segment>,
    /// What was left off at the beginning.
    pub before: Option<Cut>,
    /// What was left off at the end, because the line is longer than 2 KiB.
    pub after: Option<Cut>,
    /// It is the text that would leave.
    pub masked: bool,
    /// The pseudonym of a value that began on a line before and goes on in this one.
    pub continues: Option<String>,
}

impl LogLine {
    /// A line with nothing left off.
    #[must_use]
    pub const fn new(number: u64, segments: Vec<Segment>) -> Self {
        Self { number, segments, before: None, after: None, masked: false, continues: None }
    }
}

/// A part of a long line that is not shown.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// How much.
    pub bytes: Bytes,
    /// The byte of the log that a window onto it is asked for by; nothing for the beginning of the line.
    pub at: Option<u64>,
}

/// Cuts a line at its findings.
///
/// Findings may overlap: a byte belongs to the finding that begins first, then to the longer one, and what sticks out of
/// it belongs to the next. Ranges that do not fall on character boundaries are widened to them.
#[must_use]
pub fn segments(line: &str, findings: &[LineFinding]) -> Vec<Segment> {
    let mut ordered: Vec<_> = findings.iter().filter(|finding| finding.start < finding.end).collect();
    ordered.sort_by_key(|finding| (finding.start, std::cmp::Reverse(finding.end)));
    let mut out = Vec::with_capacity(ordered.len() * 2 + 1);
    let mut at = 0;
    for finding in ordered {
        let start = line.floor_char_boundary(finding.start.min(line.len())).max(at);
        let end = line.ceil_char_boundary(finding.end.min(line.len()));
        if start >= end {
            continue;
        }
        push(&mut out, line.get(at..start), None);
        push(&mut out, line.get(start..end), Some(finding.mark.clone()));
        at = end;
    }
    push(&mut out, line.get(at..), None);
    out
}

/// Cuts a masked line at its pseudonyms.
#[must_use]
pub fn masked_segments(line: &str) -> Vec<Segment> {
    let mut out = Vec::new();
    let mut rest = line;
    while let Some((before, label, after)) = crate::markdown::split_pseudonym(rest) {
        push(&mut out, Some(before), None);
        out.push(Segment { text: label.to_owned(), mark: None, pseudonym: true });
        rest = after;
    }
    push(&mut out, Some(rest), None);
    out
}

fn push(out: &mut Vec<Segment>, text: Option<&str>, mark: Option<Mark>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        out.push(Segment { text: text.to_owned(), mark, pseudonym: false });
    }
}

/// Which text is shown; `view` in the URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// As it was uploaded, findings marked.
    #[default]
    Original,
    /// As it would leave.
    Masked,
}

impl View {
    /// The value in the URL.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Masked => "masked",
        }
    }

    /// Whether it shows what would leave.
    #[must_use]
    pub const fn is_masked(self) -> bool {
        matches!(self, Self::Masked)
    }
}

/// Everything about one finding; shown below the log.
#[derive(Clone, Debug)]
pub struct FindingDetail {
    /// The incident, for the form's address.
    pub incident: Id,
    /// The log, for the form's address.
    pub log: Id,
    /// The finding with its mark.
    pub mark: Mark,
    /// The line on which it begins.
    pub line: u64,
    /// Which scanner: `scanner-pii 0.1.0`.
    pub scanner: String,
    /// Which rule.
    pub detector: String,
    /// 0 to 100.
    pub confidence_percent: u8,
    /// It passed a check that chance would fail.
    pub validated: bool,
    /// What it is masked as: `[EMAIL-1]`.
    pub pseudonym: String,
    /// The value and whether it is longer than that; nothing for readers who may not see originals.
    pub value: Option<(String, bool)>,
    /// Another accepted finding covers it, so rejecting it does not unmask the text.
    pub covered: bool,
    /// Who judged it and when.
    pub judged: Option<(String, When)>,
    /// All of its type in this log.
    pub of_kind: Count,
    /// Whether the reader may judge.
    pub can_write: bool,
}

/// `GET /incidents/{id}/logs/{log}/findings/{finding}`: the detail alone; root `<section id="finding">`.
#[derive(Clone, Debug, Template)]
#[template(path = "fragments/finding.html")]
pub struct FindingFragment {
    /// The finding.
    pub finding: FindingDetail,
}

/// `GET /incidents/{id}/logs/{log}/lines?from=1&count=200&view=original[&kind=EMAIL…]`: rows without anything around
/// them, as many as there are from `from`, at most `count` (at most 1,000). No `kind` marks all types; `kind=` alone
/// marks none. With `&finding={id}` the line that it begins on is shown around it. With `&whole=1` (and `count=1`) lines
/// are shown up to 1 MiB, from their beginning or around the byte `&at=`.
#[derive(Clone, Debug, Template)]
#[template(path = "fragments/lines.html")]
pub struct LinesFragment {
    /// The rows.
    pub lines: Vec<LogLine>,
}

/// `GET /incidents/{id}/logs/{log}/legend`: the legend alone; root `<form id="legend">`.
#[derive(Clone, Debug, Template)]
#[template(path = "fragments/legend.html")]
pub struct LegendFragment {
    /// The incident.
    pub incident: Id,
    /// The log.
    pub log: Id,
    /// Types with their counts.
    pub kinds: Vec<KindCount>,
    /// Whether the reader may judge.
    pub can_write: bool,
    /// Which text is shown.
    pub view: View,
}

/// What is known of a log file.
#[derive(Clone, Debug)]
pub struct LogHead {
    /// The log.
    pub id: Id,
    /// The file's name.
    pub name: String,
    /// Uncompressed.
    pub size: Bytes,
    /// Lines (so far, while it is scanned).
    pub lines: Count,
    /// Of the uploaded bytes, in hexadecimal.
    pub sha256: String,
    /// Who added it.
    pub by: String,
    /// When.
    pub added: When,
    /// Where it stands.
    pub state: LogState,
    /// What a reader should know: `12 bytes are not UTF-8 and are shown as \u{fffd}`.
    pub remarks: Vec<String>,
}

/// `GET /incidents/{id}/logs/{log}?from=&view=&kind=&finding=`.
///
/// Posts: `…/logs/{log}/findings/{finding}` with `verdict` = `accepted`, `rejected` or `pending`;
/// `…/logs/{log}/findings` with `kind` and `verdict` for all of a type; `…/logs/{log}/cancel` while it is scanned.
/// Each answers 303 to the viewer; to a request with `Accept: application/json` 200 with
/// `{"changed":12,"verdict":"accepted"}`.
///
/// `GET …/logs/{log}/findings/next?line=120&finding={id}&dir=next|prev[&kind=EMAIL…]` answers 200 with
/// `{"id":"…","line":131}` or 204 where there is none; `finding` may be missing, then it counts from the line.
#[derive(Clone, Debug, Template)]
#[template(path = "workbench/log.html")]
pub struct LogPage {
    /// The frame.
    pub frame: Frame,
    /// The columns.
    pub bench: Bench,
    /// The file.
    pub log: LogHead,
    /// Which text is shown.
    pub view: View,
    /// The rows from `from`; 100, so that the page stays below 100 KB.
    pub lines: Vec<LogLine>,
    /// The first line on the page, counted from one.
    pub from: u64,
    /// Lines on a page without scripts.
    pub page: u64,
    /// One line, not clipped and wrapped (`?from=N&whole=1`); `lines` then holds that line alone.
    pub whole: bool,
    /// Types with their counts.
    pub kinds: Vec<KindCount>,
    /// The finding in the URL.
    pub finding: Option<FindingDetail>,
}

impl LogPage {
    /// The address of the viewer.
    #[must_use]
    pub fn href(&self) -> String {
        format!("/incidents/{}/logs/{}", self.bench.id, self.log.id)
    }

    /// The address of the page that begins at a line.
    #[must_use]
    pub fn at(&self, from: &u64) -> String {
        format!("{}?from={from}&view={}", self.href(), self.view.key())
    }

    /// First line of the page before.
    #[must_use]
    pub const fn before(&self) -> Option<u64> {
        if self.from <= 1 { None } else { Some(if self.from > self.page { self.from - self.page } else { 1 }) }
    }

    /// First line of the page after.
    #[must_use]
    pub const fn after(&self) -> Option<u64> {
        let next = self.from.saturating_add(self.page);
        if next > self.log.lines.0 { None } else { Some(next) }
    }

    /// The last line on the page.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.lines.last().map_or(self.from, |line| line.number)
    }

    /// Findings that nobody has judged.
    #[must_use]
    pub fn pending(&self) -> Count {
        Count(self.kinds.iter().map(|kind| kind.pending.0).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn finding(start: usize, end: usize, id: &str) -> LineFinding {
        let mark = Mark {
            id: Id::new(id),
            kind: "EMAIL".to_owned(),
            group: Group::Structured,
            verdict: Verdict::Pending,
            about: String::new(),
        };
        LineFinding { start, end, mark }
    }

    fn shape(line: &str, findings: &[LineFinding]) -> Vec<(String, String)> {
        segments(line, findings)
            .into_iter()
            .map(|s| (s.text, s.mark.map(|m| m.id.to_string()).unwrap_or_default()))
            .collect()
    }

    #[test]
    fn overlapping_findings_share_a_line() {
        let line = "abcdefghij";
        let cut = shape(line, &[finding(4, 8, "b"), finding(2, 6, "a"), finding(2, 4, "c")]);
        let want = [("ab", ""), ("cdef", "a"), ("gh", "b"), ("ij", "")];
        assert_eq!(cut, want.map(|(t, m)| (t.to_owned(), m.to_owned())));
    }

    #[test]
    fn a_finding_may_reach_beyond_the_line() {
        assert_eq!(shape("abc", &[finding(1, 99, "a")]).last().unwrap().0, "bc");
        assert_eq!(shape("abc", &[finding(9, 99, "a")]).len(), 1);
    }

    #[test]
    fn a_row_is_exact_and_escaped() {
        let mut found = finding(2, 5, "77");
        found.mark.about = "EMAIL · \"x\"".to_owned();
        let mut line = LogLine::new(9, segments("<b&c>d", &[found]));
        line.after = Some(Cut { bytes: Bytes(4096), at: None });
        let lines = vec![line];
        assert_eq!(
            LinesFragment { lines }.render().unwrap(),
            "<div class=\"row\" id=\"L9\"><a class=\"ln\" href=\"#L9\">9</a><span class=\"tx\">&#60;b\
             <a class=\"f structured pending\" id=\"f-77\" href=\"?finding=77&amp;from=9#L9\" data-kind=\"EMAIL\" \
             title=\"EMAIL · &#34;x&#34;\">&#38;c&#62;</a>d</span><a class=\"more\" href=\"?from=9&amp;whole=1\" \
             data-line=\"9\">+4\u{a0}KB · show all</a></div>\n"
        );
        let lines = vec![LogLine::new(1, masked_segments("a [EMAIL-1]"))];
        assert!(
            LinesFragment { lines }
                .render()
                .unwrap()
                .contains("a <span class=\"pseudonym\">[EMAIL-1]</span></span></div>")
        );
    }

    #[test]
    fn pseudonyms_are_cut_out() {
        let cut: Vec<_> = masked_segments("to [EMAIL-1] [x]").into_iter().map(|s| (s.text, s.pseudonym)).collect();
        let want = [("to ", false), ("[EMAIL-1]", true), (" [x]", false)];
        assert_eq!(cut, want.map(|(t, p)| (t.to_owned(), p)));
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_or_doubled(
            line in "\\PC{0,40}",
            ranges in prop::collection::vec((0usize..60, 0usize..60), 0..8),
        ) {
            let findings: Vec<_> = ranges.iter().map(|(a, b)| finding(*a, *b, "f")).collect();
            let joined: String = segments(&line, &findings).into_iter().map(|s| s.text).collect();
            prop_assert_eq!(&joined, &line);
            let joined: String = masked_segments(&line).into_iter().map(|s| s.text).collect();
            prop_assert_eq!(&joined, &line);
        }

        #[test]
        fn every_byte_of_a_finding_is_marked(line in "[a-zä]{1,30}", start in 0usize..30, len in 1usize..30) {
            let found = finding(start, start + len, "f");
            let mut at = 0;
            for segment in segments(&line, &[found]) {
                let end = at + segment.text.len();
                if segment.mark.is_none() {
                    prop_assert!(end <= start || at >= start + len);
                }
                at = end;
            }
        }
    }
}
