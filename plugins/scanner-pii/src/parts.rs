//! Long secrets in a window that continues another are reported in parts too.
//!
//! Why: of two windows that overlap, the one that has the first byte of a value in its half answers for it, and may see
//! no more of it than half the overlap; the other may see all of it, and is not asked. A part that begins in its half is
//! its own to report. Each part goes on to the value's end, so that what overlaps is masked as one.

use crate::Finding;
use crate::kind::Group;

/// How far apart parts begin. Less than half of what windows of any host overlap by.
const STEP: usize = 4096;

/// Add the parts of long values.
pub(crate) fn add(text: &str, found: &mut Vec<Finding>) {
    let mut parts = Vec::new();
    for whole in found.iter().filter(|finding| finding.kind.group() == Group::Secret) {
        for start in (whole.start..whole.end).step_by(STEP).skip(1) {
            parts.push(Finding { start: text.floor_char_boundary(start), ..*whole });
        }
    }
    if !parts.is_empty() {
        found.append(&mut parts);
        found.sort_by_key(|finding| (finding.start, std::cmp::Reverse(finding.end)));
    }
}
