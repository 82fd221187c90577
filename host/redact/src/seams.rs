//! The findings of consecutive windows become the findings of the stream.
//!
//! Invariant: each finding is yielded once, by the window that owns its first byte, and none that its owner reported
//! is lost. A finding that runs to the end of a window with text behind it is longer than what its owner could see
//! (windows overlap by twice what an owner is answerable for, so it has 16 KiB and more): it is extended to the quote
//! that closes it, or where none opened it to the next blank, through as many windows as it takes. Of one that does not
//! end, a piece is yielded from time to time, so that memory stays constant. What a later window found inside such a
//! value, of whose beginning it knew nothing, is a fragment and is dropped; it is covered already.

use std::collections::BTreeMap;

use crate::{Finding, Kind, Window};

/// Of a value that goes on and on, how much is yielded as one finding, bytes.
const PIECE: usize = 512 << 10;

/// Joins findings at the seams. Give it the windows in their order.
#[derive(Debug, Default)]
pub struct Seams {
    /// Findings that ran to the end of the last window.
    open: Vec<Open>,
    /// Kind, start and end of findings that reach over the last border between owners.
    straddling: Vec<(Kind, usize, usize)>,
}

/// A value that goes on.
#[derive(Debug)]
struct Open {
    /// Where the value begins.
    from: usize,
    /// The quote that it began after.
    quote: Option<char>,
    /// What has not been yielded of it.
    finding: Finding,
}

impl Seams {
    /// A new stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Take the findings of the next window, whose offsets count from its start, and yield those that are complete,
    /// with offsets in the stream, in no particular order. Ranges outside the window are clipped to it.
    pub fn push(&mut self, window: &Window, findings: impl IntoIterator<Item = Finding>) -> Vec<Finding> {
        let mut complete = self.extend_open(window);
        let covered = self.covered_before(window);
        self.straddling.retain(|(_, _, end)| *end > window.owns.end);

        for finding in findings {
            let Some(finding) = absolute(finding, window) else {
                continue;
            };
            let fragment = covered.get(&finding.kind).is_some_and(|end| finding.end <= *end);
            if fragment || !window.owns.contains(&finding.start) {
                continue;
            }
            if finding.end > window.owns.end {
                self.straddling.push((finding.kind.clone(), finding.start, finding.end));
            }
            if window.continues_after && finding.end == window.end() {
                let before = window.text.get(..finding.start.saturating_sub(window.offset)).unwrap_or_default();
                let quote = before.chars().next_back().filter(|last| matches!(last, '"' | '\'' | '`'));
                self.open.push(Open { from: finding.start, quote, finding });
            } else {
                complete.push(finding);
            }
        }
        complete
    }

    /// Whatever is still open. Nothing after a last window; use it where a stream was broken off.
    pub fn finish(self) -> Vec<Finding> {
        self.open.into_iter().map(|open| open.finding).filter(|finding| finding.start < finding.end).collect()
    }

    /// Up to where everything has been yielded that touches the text, once a window was pushed: text before may be
    /// stored or sent on, and nothing behind it.
    #[must_use]
    pub fn settled(&self, window: &Window) -> usize {
        let owned = if window.continues_after { window.owns.end } else { window.end() };
        self.open.iter().map(|open| open.finding.start).fold(owned, usize::min)
    }

    /// Carry open findings on through this window; yield those whose token ends in it, and of the others what has
    /// become too long to wait for.
    fn extend_open(&mut self, window: &Window) -> Vec<Finding> {
        let mut complete = Vec::new();
        let mut going_on = Vec::new();
        for mut open in std::mem::take(&mut self.open) {
            let seam = open.finding.end;
            let before = window.text.get(..seam.saturating_sub(window.offset)).unwrap_or_default();
            let fresh = window.text.get(before.len()..).unwrap_or_default();
            let end = seam + value_end(before, fresh, open.quote);
            open.finding.end = end;
            self.straddling.push((open.finding.kind.clone(), open.from, end));
            let goes_on = window.continues_after && end == window.end();
            if open.finding.start < end && (!goes_on || end - open.finding.start >= PIECE) {
                complete.push(open.finding.clone());
                open.finding.start = end;
            }
            if goes_on {
                going_on.push(open);
            }
        }
        self.open = going_on;
        complete
    }

    /// For each kind, how far values reach that began before this window.
    fn covered_before(&self, window: &Window) -> BTreeMap<Kind, usize> {
        let mut covered = BTreeMap::new();
        for (kind, start, end) in &self.straddling {
            if *start < window.offset {
                let reach = covered.entry(kind.clone()).or_insert(*end);
                *reach = (*reach).max(*end);
            }
        }
        covered
    }
}

/// A window's finding with offsets in the stream; nothing where the range is empty.
fn absolute(mut finding: Finding, window: &Window) -> Option<Finding> {
    let end = finding.end.min(window.text.len());
    if finding.start >= end {
        return None;
    }
    finding.start += window.offset;
    finding.end = end + window.offset;
    Some(finding)
}

/// Where a value ends in the text that follows what is known of it: at the quote that closes it, unless that is escaped,
/// or at the end of the line; where no quote opened it, at the next blank or quote. Everything else counts as more of it.
fn value_end(before: &str, fresh: &str, quote: Option<char>) -> usize {
    let slashes = before.bytes().rev().take_while(|byte| *byte == b'\\').count();
    let mut escaped = slashes % 2 == 1;
    for (at, character) in fresh.char_indices() {
        let ends = match quote {
            Some(quote) => character == '\n' || (character == quote && !escaped),
            None => ends_token(character),
        };
        if ends {
            return at;
        }
        escaped = character == '\\' && !escaped;
    }
    fresh.len()
}

/// Where no quote opened a value, it ends before this character.
fn ends_token(character: char) -> bool {
    character.is_whitespace() || character.is_control() || matches!(character, '"' | '\'' | '`')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::finding::strategies::plain;
    use crate::{WindowSize, Windows};

    /// Finds runs of three digits and more, and `sk-` keys up to the end of their token.
    fn toy(text: &str) -> Vec<Finding> {
        let bytes = text.as_bytes();
        let mut findings = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at..].starts_with(b"sk-") {
                let end = text[at..].find(ends_token).map_or(text.len(), |n| at + n);
                findings.push(plain("OPENAI_KEY", at, end));
                at = end;
            } else if bytes[at].is_ascii_digit() {
                let end = bytes[at..].iter().position(|b| !b.is_ascii_digit()).map_or(bytes.len(), |n| at + n);
                if end - at >= 3 && (end == bytes.len() || ends_token(text[end..].chars().next().unwrap())) {
                    findings.push(plain("PHONE", at, end));
                }
                at = end;
            } else {
                at += 1;
            }
        }
        findings
    }

    fn windowed(size: WindowSize, text: &str, scan: impl Fn(&str) -> Vec<Finding>) -> Vec<Finding> {
        let mut seams = Seams::new();
        let mut all = Vec::new();
        for window in Windows::of(size, text) {
            all.extend(seams.push(&window, scan(&window.text)));
        }
        all.extend(seams.finish());
        all.sort_by_key(|finding| (finding.start, finding.end));
        all
    }

    #[test]
    fn a_long_secret_is_one_finding_and_an_endless_one_comes_in_pieces() {
        for (length, pieces) in [(40_000, 1), (400_000, 6)] {
            let secret = format!("sk-{}", "aB3/+=_-.".repeat(length));
            let text = format!("key={secret}\nnext line 12345 end\n");
            let found = windowed(WindowSize::DEFAULT, &text, toy);
            assert_eq!(found.len(), pieces + 1);
            let joined: String = found[..pieces].iter().map(|f| &text[f.start..f.end]).collect();
            assert_eq!(joined, secret);
            assert_eq!(&text[found[pieces].start..found[pieces].end], "12345");
        }
    }

    /// What is stored as soon as it is settled misses nothing that comes later.
    #[test]
    fn nothing_is_found_in_text_that_was_settled() {
        let text = format!("a sk-{} b sk-{} 123456\n", "x".repeat(90_000), "y".repeat(2_500_000));
        for size in [WindowSize::DEFAULT, WindowSize::new(1024, 128)] {
            let (mut seams, mut settled, mut most) = (Seams::new(), 0, 0);
            for window in Windows::of(size, &text) {
                for finding in seams.push(&window, toy(&window.text)) {
                    assert!(finding.start >= settled, "{}..{} after {settled}", finding.start, finding.end);
                }
                settled = seams.settled(&window);
                most = most.max(window.end() - settled);
            }
            assert_eq!(settled, text.len());
            assert!(most <= PIECE + 2 * size.bytes(), "{most} bytes had to wait");
        }
    }

    #[test]
    fn a_quoted_value_goes_on_to_its_closing_quote() {
        let size = WindowSize::new(64, 16);
        let secret = "ab, c; d | (e) \\\" f' ".repeat(40);
        let text = format!("{{\"k\": \"{secret}\", \"next\": 12345}}");
        // A scanner that sees the beginning and takes what it sees for the value.
        let scan = |window: &str| {
            window.find("\"ab, c").map(|at| plain("PASSWORD", at + 1, window.len())).into_iter().collect::<Vec<_>>()
        };
        let mut seams = Seams::new();
        let mut found = Vec::new();
        for window in Windows::of(size, &text) {
            let first = window.offset == 0;
            found.extend(seams.push(&window, if first { scan(&window.text) } else { Vec::new() }));
        }
        found.extend(seams.finish());
        assert_eq!(found.iter().map(|one| &text[one.start..one.end]).collect::<Vec<_>>(), [secret.as_str()]);
    }

    #[test]
    fn a_value_at_the_very_end_of_a_window_is_extended_over_its_token_only() {
        let size = WindowSize::new(64, 16);
        let text = format!("sk-{} after", "x".repeat(200));
        let found = windowed(size, &text, toy);
        assert_eq!(found.iter().map(|f| (f.start, f.end)).collect::<Vec<_>>(), [(0, 203)]);
    }

    #[test]
    fn a_finding_in_the_overlap_is_yielded_once() {
        let size = WindowSize::new(64, 16);
        for lead in 0..128 {
            let text = format!("{}{}{}", ".".repeat(lead), " 12345 ", ".".repeat(128));
            let found = windowed(size, &text, toy);
            assert_eq!(found.iter().map(|f| (f.start, f.end)).collect::<Vec<_>>(), [(lead + 1, lead + 6)]);
        }
    }

    #[test]
    fn many_reports_of_an_endless_token_do_not_pile_up() {
        let text = "y".repeat(200_000);
        let mut seams = Seams::new();
        for window in Windows::of(WindowSize::new(1024, 128), &text) {
            let noise = (0..window.text.len()).step_by(10).map(|at| plain("OTHER", at, window.text.len()));
            let _ = seams.push(&window, noise);
            assert!(seams.open.len() <= 110, "{}", seams.open.len());
            assert!(seams.straddling.len() <= 220, "{}", seams.straddling.len());
        }
    }

    fn text() -> impl Strategy<Value = String> {
        prop::collection::vec(
            prop_oneof![
                4 => "[a-z é€]{0,12}",
                2 => "[ \n\",;]{1,3}",
                2 => "[0-9]{1,40} ",
                1 => "[0-9]{100,400}\n",
                2 => "sk-[a-zA-Z/+=._-]{1,30} ",
                1 => "sk-[a-zA-Zsk-]{100,500}\"",
                1 => "[a-z]{50,300}",
            ],
            0..60,
        )
        .prop_map(|parts| parts.concat())
    }

    proptest! {
        /// A value that is longer than any window may be taken further than it goes, and never less far.
        #[test]
        fn windows_find_what_the_whole_text_holds(text in text(), bytes in 0usize..300, overlap in 0usize..80) {
            let size = WindowSize::new(bytes, overlap);
            let (found, expected) = (windowed(size, &text, toy), toy(&text));
            for one in &expected {
                let covers = |other: &&Finding| other.kind == one.kind && other.start <= one.start && one.end <= other.end;
                prop_assert!(found.iter().find(covers).is_some(), "{}..{} of {:?}", one.start, one.end, found);
            }
            for one in &found {
                let short = one.end - one.start <= size.overlap() / 2;
                let is_one = expected.iter().any(|other| other.start == one.start && (!short || other.end == one.end));
                prop_assert!(is_one, "{}..{}", one.start, one.end);
            }
        }

        /// Whatever a scanner says of each window, what an owner reports is covered.
        #[test]
        fn nothing_that_an_owner_reports_is_lost(text in text(), bytes in 0usize..300, seed in any::<u64>()) {
            let size = WindowSize::new(bytes, 16);
            let mut seams = Seams::new();
            let mut state = seed | 1;
            let mut expected = Vec::new();
            let mut got = Vec::new();
            for window in Windows::of(size, &text) {
                let mut reports = Vec::new();
                for _ in 0..5 {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let start = (state >> 33) as usize % window.text.len();
                    let end = (start + (state >> 20) as usize % 90).min(window.text.len());
                    reports.push(plain("OTHER", start, end));
                }
                expected.extend(reports.iter().filter_map(|f| absolute(f.clone(), &window))
                    .filter(|f| window.owns.contains(&f.start)));
                got.extend(seams.push(&window, reports));
            }
            got.extend(seams.finish());
            for finding in expected {
                prop_assert!(got.iter().any(|g| g.start <= finding.start && finding.end <= g.end));
            }
        }
    }
}
