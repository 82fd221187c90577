//! Findings of all scanners become one list of spans.
//!
//! Invariant: the bytes covered by the result are exactly the union of the findings' bytes within the text, whatever
//! their order, kind or confidence. Precedence decides the label of a stretch and nothing else, so no scanner can
//! unmask what another found. Review decisions apply to findings: only accepted ones are given to [`merge`], and since
//! the union of a subset is all that a rejection can remove, a rejected finding takes no byte from an accepted one.

use std::cmp::Ordering;

use crate::{Finding, Span};

/// Merge accepted findings into sorted spans that do not overlap.
///
/// Findings that overlap form one span; findings that only touch stay two. The label is that of the best of them:
/// validated before pattern, then longer, then more confident, then the kind's name (then group, start, detector and
/// scanner, so that the result does not depend on the order of the input). Ranges are clipped to `text_len`; empty
/// and reversed ones are ignored. Linear apart from sorting.
#[must_use]
pub fn merge(text_len: usize, findings: &[Finding]) -> Vec<Span> {
    let mut clipped: Vec<(usize, usize, &Finding)> = findings
        .iter()
        .map(|finding| (finding.start, finding.end.min(text_len), finding))
        .filter(|(start, end, _)| start < end)
        .collect();
    clipped.sort_by_key(|(start, end, _)| (*start, *end));

    let mut spans: Vec<Span> = Vec::new();
    let mut stretch: Option<Stretch<'_>> = None;
    for (start, end, finding) in clipped {
        match &mut stretch {
            Some(open) if start < open.end => {
                open.end = open.end.max(end);
                if precedence((finding, start, end), open.best) == Ordering::Less {
                    open.best = (finding, start, end);
                }
            }
            _ => {
                spans.extend(stretch.take().map(Stretch::close));
                stretch = Some(Stretch { start, end, best: (finding, start, end) });
            }
        }
    }
    spans.extend(stretch.map(Stretch::close));
    spans
}

/// Findings that overlap, so far.
struct Stretch<'a> {
    start: usize,
    end: usize,
    best: Candidate<'a>,
}

/// A finding with its range as clipped.
type Candidate<'a> = (&'a Finding, usize, usize);

impl Stretch<'_> {
    fn close(self) -> Span {
        let (best, ..) = self.best;
        Span {
            start: self.start,
            end: self.end,
            kind: best.kind.clone(),
            group: best.group,
            confidence: best.confidence(),
            validated: best.validated,
            detector: best.detector.clone(),
            scanner: best.scanner.clone(),
        }
    }
}

/// `Less` means that `a` gives the label. Total on everything that a [`Span`] takes over.
fn precedence((a, a_start, a_end): Candidate<'_>, (b, b_start, b_end): Candidate<'_>) -> Ordering {
    b.validated
        .cmp(&a.validated)
        .then_with(|| (b_end - b_start).cmp(&(a_end - a_start)))
        .then_with(|| b.confidence().total_cmp(&a.confidence()))
        .then_with(|| a.kind.cmp(&b.kind))
        .then_with(|| a.group.cmp(&b.group))
        .then_with(|| a_start.cmp(&b_start))
        .then_with(|| a.detector.cmp(&b.detector))
        .then_with(|| a.scanner.cmp(&b.scanner))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::finding::strategies::{finding, plain};

    #[test]
    fn validated_beats_longer_beats_confident() {
        let mut card = plain("CREDIT_CARD", 5, 21);
        card.validated = true;
        let long = plain("PHONE", 0, 30);
        let spans = merge(100, &[long.clone(), card]);
        assert_eq!(spans.len(), 1);
        assert_eq!((spans[0].start, spans[0].end, spans[0].kind.as_str()), (0, 30, "CREDIT_CARD"));

        let mut sure = plain("EMAIL", 3, 9);
        sure.confidence = 1.0;
        assert_eq!(merge(100, &[long, sure])[0].kind.as_str(), "PHONE");
    }

    #[test]
    fn touching_findings_stay_two() {
        let spans = merge(10, &[plain("EMAIL", 5, 9), plain("IPV4", 0, 5)]);
        assert_eq!(spans.iter().map(|s| (s.start, s.end)).collect::<Vec<_>>(), [(0, 5), (5, 9)]);
    }

    #[test]
    fn the_kinds_name_settles_a_tie() {
        let spans = merge(10, &[plain("PHONE", 0, 5), plain("IPV4", 0, 5)]);
        assert_eq!(spans[0].kind.as_str(), "IPV4");
    }

    fn bytes(ranges: impl Iterator<Item = (usize, usize)>, len: usize) -> Vec<bool> {
        let mut covered = vec![false; len];
        for (start, end) in ranges {
            covered.iter_mut().take(end).skip(start).for_each(|byte| *byte = true);
        }
        covered
    }

    proptest! {
        #[test]
        fn covers_exactly_the_union(findings in prop::collection::vec(finding(60), 0..20)) {
            let spans = merge(60, &findings);
            for pair in spans.windows(2) {
                prop_assert!(pair[0].end <= pair[1].start);
            }
            prop_assert!(spans.iter().all(|span| span.start < span.end && span.end <= 60));
            prop_assert_eq!(
                bytes(spans.iter().map(|s| (s.start, s.end)), 60),
                bytes(findings.iter().map(|f| (f.start, f.end)), 60)
            );
        }

        #[test]
        fn the_order_of_the_input_is_of_no_meaning(
            (findings, shuffled) in prop::collection::vec(finding(40), 0..12)
                .prop_flat_map(|f| (Just(f.clone()), Just(f).prop_shuffle()))
        ) {
            prop_assert_eq!(merge(40, &findings), merge(40, &shuffled));
        }

        /// Whatever is rejected, every byte of what is accepted stays masked.
        #[test]
        fn a_rejected_finding_unmasks_nothing_of_anothers(
            findings in prop::collection::vec((finding(60), any::<bool>()), 0..20)
        ) {
            let accepted: Vec<Finding> = findings.iter().filter(|(_, yes)| *yes).map(|(f, _)| f.clone()).collect();
            let covered = bytes(merge(60, &accepted).iter().map(|s| (s.start, s.end)), 60);
            for finding in &accepted {
                prop_assert!(covered.iter().take(finding.end).skip(finding.start).all(|byte| *byte));
            }
        }
    }
}
