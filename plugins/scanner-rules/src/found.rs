//! What a scan has found so far.
//!
//! Invariant: at most four times [`MAX_FINDINGS`] are held at once and at most that many are handed on; what would be
//! dropped is covered by one finding, because it would leave unmasked. Of allowed ranges, on the other hand, the ones
//! beyond that are dropped: then more is masked, not less.

use std::ops::Range;
use std::sync::Arc;

use crate::MAX_FINDINGS;
use crate::kinds::ALLOWED_ID;

/// A finding, with its kind as a number.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) kind: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) confidence: f32,
    pub(crate) validated: bool,
    pub(crate) detector: Arc<str>,
}

/// All of one scan.
#[derive(Debug)]
pub(crate) struct Hits {
    hits: Vec<Hit>,
    allowed: Vec<Hit>,
    most: usize,
    /// A value that touches an edge at which the text goes on may be a part of another one.
    cut: Range<usize>,
    too_many: Arc<str>,
}

impl Hits {
    /// For a window of `length` bytes that may be a part of a longer text.
    pub(crate) fn new(length: usize, continues_before: bool, continues_after: bool) -> Self {
        let cut = usize::from(continues_before)..if continues_after { length } else { length + 1 };
        Self {
            hits: Vec::new(),
            allowed: Vec::new(),
            most: MAX_FINDINGS,
            cut,
            too_many: Arc::from("too many findings"),
        }
    }

    pub(crate) fn push(&mut self, hit: Hit) {
        if hit.start >= hit.end {
            return;
        }
        let hits = if hit.kind == ALLOWED_ID { &mut self.allowed } else { &mut self.hits };
        hits.push(hit);
        if hits.len() >= 4 * self.most {
            self.tidy();
        }
    }

    /// A range whose neighbours decide whether it is allowed: at an edge where the text goes on they are not known.
    pub(crate) fn push_allowed_whole(&mut self, range: Range<usize>, detector: &Arc<str>) {
        if range.start >= self.cut.start && range.end < self.cut.end {
            self.push_allowed(range, detector);
        }
    }

    /// How many ranges are allowed so far.
    pub(crate) fn allowed_so_far(&self) -> usize {
        self.allowed.len()
    }

    /// Of what was allowed since `mark`, what begins before `sure` is not: what stands before it decides, and is not known.
    pub(crate) fn not_allowed_before(&mut self, mark: usize, sure: usize) {
        let since = self.allowed.split_off(mark.min(self.allowed.len()));
        self.allowed.extend(since.into_iter().filter(|hit| hit.start >= sure));
    }

    /// A range that is allowed.
    pub(crate) fn push_allowed(&mut self, range: Range<usize>, detector: &Arc<str>) {
        self.push(Hit {
            kind: ALLOWED_ID,
            start: range.start,
            end: range.end,
            confidence: 1.0,
            validated: true,
            detector: detector.clone(),
        });
    }

    /// In order, each once, and not too many.
    fn tidy(&mut self) {
        for hits in [&mut self.hits, &mut self.allowed] {
            hits.sort_by(|a, b| {
                (a.start, a.end, a.kind).cmp(&(b.start, b.end, b.kind)).then(b.confidence.total_cmp(&a.confidence))
            });
            hits.dedup_by(|b, a| (a.start, a.end, a.kind) == (b.start, b.end, b.kind));
        }
        if self.hits.len() > self.most {
            let rest = self.hits.split_off(self.most.saturating_sub(1));
            let end = rest.iter().map(|hit| hit.end).max();
            if let (Some(first), Some(end)) = (rest.first(), end) {
                let detector = self.too_many.clone();
                self.hits.push(Hit { end, confidence: 0.5, validated: false, detector, ..first.clone() });
            }
        }
        self.allowed.truncate(self.most);
    }

    /// All of them, in the order of their starts.
    pub(crate) fn finish(mut self) -> Vec<Hit> {
        self.tidy();
        self.allowed.truncate(self.most.saturating_sub(self.hits.len()));
        self.hits.append(&mut self.allowed);
        self.hits.sort_by_key(|hit| (hit.start, hit.end));
        self.hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(kind: usize, start: usize, end: usize) -> Hit {
        Hit { kind, start, end, confidence: 1.0, validated: true, detector: Arc::from("x") }
    }

    #[test]
    fn too_many_become_one_that_covers_them() {
        let mut hits = Hits::new(1000, false, false);
        hits.most = 10;
        for i in 0..100 {
            hits.push(hit(1, i, i + 1));
            hits.push(hit(ALLOWED_ID, i, i + 2));
        }
        let found = hits.finish();
        assert_eq!(found.len(), 10);
        assert_eq!(found.last().map(|hit| (hit.kind, hit.start, hit.end)), Some((1, 9, 100)));
    }

    #[test]
    fn allowed_ranges_at_a_cut_are_left_out() {
        let detector = Arc::from("x");
        for (before, after, expected) in [(false, false, 3), (true, false, 2), (false, true, 2), (true, true, 1)] {
            let mut hits = Hits::new(10, before, after);
            for range in [0..2, 4..6, 8..10] {
                hits.push_allowed_whole(range, &detector);
            }
            assert_eq!(hits.finish().len(), expected);
        }
    }
}
