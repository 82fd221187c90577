//! The redaction gate: the only maker of [`Redacted`] text.
//!
//! Invariant: no byte of a span is in the output, and nothing in the output reads as a pseudonym but what the gate put
//! there. The gate fails towards masking: spans that do not fit the text mask all of it, and what looks like a
//! pseudonym is masked without being asked; no review decision can unmask it.
//!
//! Only text that has been scanned is given to the gate. Where the scan failed, there are no spans, and nothing to
//! send.

use std::ops::Range;

use crate::{Finding, Kind, Label, Pseudonyms, Redacted, Span, merge};

/// Who wrote a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The outside: logs, tickets, tool results, whatever was uploaded. A pseudonym in it is none of ours.
    Raw,
    /// Someone who has seen our pseudonyms: the model's answers and arguments, a person's edited document. Pseudonyms
    /// of this incident stay what they are.
    Reply,
}

/// The gate.
#[derive(Clone, Copy, Debug)]
pub struct Gate;

impl Gate {
    /// Mask the spans of a raw text. See [`Gate::redact_as`].
    #[must_use]
    pub fn redact(book: &mut Pseudonyms, text: &str, spans: &[Span]) -> Redacted {
        Self::redact_as(Origin::Raw, book, text, spans)
    }

    /// Mask the spans of a text that was scanned as it stands. New values come into the book; store them
    /// ([`Pseudonyms::drain_new`]) before the text leaves.
    ///
    /// Spans may be unsorted and overlap; ranges that cut a character are widened to it. A span that is empty,
    /// reversed or reaches past the end belongs to another text: then the whole text becomes one `OTHER`.
    #[must_use]
    pub fn redact_as(origin: Origin, book: &mut Pseudonyms, text: &str, spans: &[Span]) -> Redacted {
        let mut output = Redacted::default();
        if spans.iter().any(|span| span.start >= span.end || span.end > text.len()) {
            let label = book.label_for(&Kind::OTHER, text);
            let shown = label.to_string();
            output.push_label(label, &shown, 0..text.len());
            return output;
        }
        let kept = match origin {
            Origin::Raw => Vec::new(),
            Origin::Reply => ours(book, text),
        };
        let mut marks: Vec<Mark> = kept.into_iter().map(|(range, label)| Mark::Keep(range, label)).collect();
        marks.extend(masks(text, spans, &marks));
        marks.sort_by_key(|mark| mark.range().start);
        for gap in gaps(text, &marks) {
            mask_lookalikes(book, text, gap, &mut marks);
        }
        marks.sort_by_key(|mark| mark.range().start);

        let mut done = 0;
        for mark in marks {
            let Range { start, end } = mark.range();
            output.push_clear(text.get(done..start).unwrap_or_default());
            let label = match mark {
                Mark::Keep(_, label) => label,
                Mark::Mask(_, kind) => book.label_for(&kind, text.get(start..end).unwrap_or_default()),
            };
            let shown = book.shown(&label);
            output.push_label(label, &shown, start..end);
            done = end;
        }
        output.push_clear(text.get(done..).unwrap_or_default());
        output
    }
}

/// A stretch of the source that does not come through as it is. Marks do not overlap.
enum Mark {
    /// A pseudonym of ours.
    Keep(Range<usize>, Label),
    /// A value.
    Mask(Range<usize>, Kind),
}

impl Mark {
    fn range(&self) -> Range<usize> {
        match self {
            Self::Keep(range, _) | Self::Mask(range, _) => range.clone(),
        }
    }
}

/// The pseudonyms in a text that this incident has given.
fn ours(book: &Pseudonyms, text: &str) -> Vec<(Range<usize>, Label)> {
    let seen = book.recognise(text).into_iter();
    seen.filter(|seen| book.original(&seen.label).is_some()).map(|seen| (seen.range, seen.label)).collect()
}

/// The spans on character boundaries, merged, less what is kept: a scanner may well take `password=[PASSWORD-1]` for
/// a password.
fn masks(text: &str, spans: &[Span], kept: &[Mark]) -> Vec<Mark> {
    let widened: Vec<Finding> = spans
        .iter()
        .map(|span| Finding {
            start: text.floor_char_boundary(span.start),
            end: text.ceil_char_boundary(span.end),
            ..Finding::from(span)
        })
        .collect();
    let mut masks = Vec::new();
    let mut kept = kept.iter().map(Mark::range).peekable();
    for span in merge(text.len(), &widened) {
        let mut from = span.start;
        while kept.next_if(|keep| keep.end <= from).is_some() {}
        while let Some(keep) = kept.peek().filter(|keep| keep.start < span.end) {
            if from < keep.start {
                masks.push(Mark::Mask(from..keep.start, span.kind.clone()));
            }
            from = keep.end;
            if keep.end > span.end {
                break;
            }
            kept.next();
        }
        if from < span.end {
            masks.push(Mark::Mask(from..span.end, span.kind));
        }
    }
    masks
}

/// What lies between sorted marks.
fn gaps(text: &str, marks: &[Mark]) -> Vec<Range<usize>> {
    let mut gaps = Vec::with_capacity(marks.len() + 1);
    let mut done = 0;
    for mark in marks {
        let Range { start, end } = mark.range();
        gaps.push(done..start);
        done = end;
    }
    gaps.push(done..text.len());
    gaps
}

/// Mask what reads as a pseudonym in a gap. Each gap is looked at by itself, as it will stand between labels; what is
/// masked makes new gaps, which are looked at in their turn.
fn mask_lookalikes(book: &Pseudonyms, text: &str, gap: Range<usize>, marks: &mut Vec<Mark>) {
    let mut gaps = vec![gap];
    while let Some(gap) = gaps.pop() {
        let found = book.recognise(text.get(gap.clone()).unwrap_or_default());
        if found.is_empty() {
            continue;
        }
        let mut done = gap.start;
        for seen in found {
            let (start, end) = (seen.range.start + gap.start, seen.range.end + gap.start);
            marks.push(Mark::Mask(start..end, Kind::PSEUDONYM));
            gaps.push(done..start);
            done = end;
        }
        gaps.push(done..gap.end);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::finding::strategies::{finding, plain};
    use crate::{Segment, restore};

    fn redact(book: &mut Pseudonyms, origin: Origin, text: &str, findings: &[Finding]) -> String {
        let spans = merge(text.len(), findings);
        Gate::redact_as(origin, book, text, &spans).as_str().to_owned()
    }

    #[test]
    fn spans_become_stable_pseudonyms() {
        let mut book = Pseudonyms::new();
        let text = "a@x.org wrote to b@x.org and A@X.ORG";
        let found = [plain("EMAIL", 0, 7), plain("EMAIL", 17, 24), plain("EMAIL", 29, 36)];
        assert_eq!(redact(&mut book, Origin::Raw, text, &found), "[EMAIL-1] wrote to [EMAIL-2] and [EMAIL-1]");
    }

    #[test]
    fn raw_lookalikes_are_masked_and_resolve_to_themselves() {
        let mut book = Pseudonyms::new();
        let _ = book.label_for(&Kind::new("EMAIL"), "a@x.org");
        let text = "user [EMAIL-1] EMAIL-1 ［email-2］";
        let output = redact(&mut book, Origin::Raw, text, &[]);
        assert_eq!(output, "user [PSEUDONYM-1] [PSEUDONYM-2] [PSEUDONYM-3]");
        assert_eq!(book.original_of("[PSEUDONYM-1]"), Some("[EMAIL-1]"));
    }

    #[test]
    fn a_lookalike_that_only_masking_would_make_is_masked() {
        let mut book = Pseudonyms::new();
        let text = "EMAIL-10abc";
        assert_eq!(redact(&mut book, Origin::Raw, text, &[plain("JWT", 7, 11)]), "[PSEUDONYM-1][JWT-1]");
    }

    #[test]
    fn replies_keep_our_pseudonyms_and_no_others() {
        let mut book = Pseudonyms::new();
        let _ = book.label_for(&Kind::new("PASSWORD"), "hunter2");
        let text = "password=password-1x [password\u{2011}1] [EMAIL-9]";
        let whole = [plain("GENERIC_SECRET", 9, 35)];
        assert_eq!(
            redact(&mut book, Origin::Reply, text, &whole),
            "password=[GENERIC_SECRET-1][PASSWORD-1] [PSEUDONYM-1]"
        );
    }

    #[test]
    fn spans_of_another_text_mask_everything() {
        let mut book = Pseudonyms::new();
        let span = merge(100, &[plain("EMAIL", 3, 90)]);
        assert_eq!(Gate::redact(&mut book, "short", &span).as_str(), "[OTHER-1]");
    }

    #[test]
    fn a_span_that_cuts_a_character_is_widened() {
        let mut book = Pseudonyms::new();
        assert_eq!(redact(&mut book, Origin::Raw, "a€b", &[plain("EMAIL", 2, 3)]), "a[EMAIL-1]b");
    }

    /// Text in which labels, half labels and values meet.
    fn text() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            Just("[EMAIL-1]"),
            Just("EMAIL-1"),
            Just("[email-2]"),
            Just("["),
            Just("]"),
            Just("-1"),
            Just("EMAIL"),
            Just("\\"),
            Just("é"),
            Just(" "),
            Just("x"),
            Just("0"),
            Just("IPV4-1"),
            Just("【OTHER 3】"),
            Just("-"),
        ];
        prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn the_gate_holds(
            text in text(),
            findings in prop::collection::vec(finding(60), 0..6),
            reply in any::<bool>(),
        ) {
            let origin = if reply { Origin::Reply } else { Origin::Raw };
            let spans = merge(text.len(), &findings);
            let mut book = Pseudonyms::new();
            let _ = book.label_for(&Kind::new("EMAIL"), "a@x.org");
            let output = Gate::redact_as(origin, &mut book, &text, &spans);

            // the output is the source with the masked ranges replaced, and nothing else
            let (mut rebuilt, mut done) = (String::new(), 0);
            for range in output.masked() {
                prop_assert!(range.source.start >= done);
                rebuilt.push_str(&text[done..range.source.start]);
                rebuilt.push_str(&range.label.to_string());
                prop_assert_eq!(&output.as_str()[range.start..range.end], range.label.to_string());
                done = range.source.end;
            }
            rebuilt.push_str(&text[done..]);
            prop_assert_eq!(rebuilt.as_str(), output.as_str());

            // every accepted byte is under a mask
            for finding in &findings {
                for byte in finding.start..finding.end.min(text.len()) {
                    prop_assert!(output.masked().iter().any(|range| range.source.contains(&byte)));
                }
            }

            // what reads as a pseudonym is what the gate put there, and it is in the book
            let read: Vec<_> = restore(output.as_str(), &book).into_iter().filter_map(|segment| match segment {
                Segment::Pseudonym { label, original } => Some((label, original.is_some())),
                Segment::Text(_) => None,
            }).collect();
            let put: Vec<_> = output.masked().iter().map(|range| (range.label.clone(), true)).collect();
            prop_assert_eq!(read, put);

            // what went through the gate goes through again unchanged
            let again = Gate::redact_as(Origin::Reply, &mut book, output.as_str(), &[]);
            prop_assert_eq!(again.as_str(), output.as_str());
        }
    }
}
