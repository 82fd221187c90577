//! Text becomes chunks, each with the findings that touch it.

use fumehood_redact::Finding;
use fumehood_store::findings::StoredFinding;
use fumehood_store::logs::{CHUNK_BYTES, Chunk, ChunkPlace, KindCount};

/// Cuts the text into chunks that end after a line where lines allow it, and gives each the findings that touch it.
#[derive(Default)]
pub(super) struct Cutter {
    text: String,
    findings: Vec<Finding>,
    counts: std::collections::BTreeMap<String, (String, i64)>,
    pub(super) stored: u64,
    seq: i64,
    line: i64,
    mid_line: bool,
}

impl Cutter {
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// The text of a finding that is not stored yet.
    pub(super) fn value(&self, finding: &Finding) -> Option<&str> {
        let stored = self.stored as usize;
        self.text.get(finding.start.checked_sub(stored)?..finding.end.checked_sub(stored)?)
    }

    pub(super) fn found(&mut self, findings: Vec<Finding>) {
        for finding in &findings {
            let entry = self
                .counts
                .entry(finding.kind.as_str().to_owned())
                .or_insert_with(|| (finding.group.code().to_owned(), 0));
            entry.1 += 1;
        }
        self.findings.extend(findings);
    }

    /// The next chunk of text before `settled`, once there is enough of it, or at the end.
    pub(super) fn next_chunk(&mut self, settled: u64, last: bool) -> Option<Chunk> {
        let ready = usize::try_from(settled.saturating_sub(self.stored)).unwrap_or(usize::MAX).min(self.text.len());
        if ready == 0 || (ready < CHUNK_BYTES && !last) {
            return None;
        }
        let at_most = self.text.floor_char_boundary(ready.min(CHUNK_BYTES));
        let head = self.text.get(..at_most)?;
        let cut = match head.rfind('\n') {
            Some(newline) if at_most < self.text.len() || !last => newline + 1,
            _ => at_most,
        };
        let rest = self.text.split_off(cut);
        let text = std::mem::replace(&mut self.text, rest);
        let (start, end) = (self.stored, self.stored + cut as u64);
        let lines = text.bytes().filter(|byte| *byte == b'\n').count() as i64;
        let place = ChunkPlace {
            seq: self.seq,
            first_byte: start as i64,
            text_bytes: cut as i64,
            first_line: self.line,
            lines,
            starts_line: !self.mid_line,
        };
        self.findings.sort_by_key(|finding| (finding.start, finding.end));
        let touching =
            self.findings.iter().filter(|finding| (finding.start as u64) < end && (finding.end as u64) > start);
        let findings = touching.map(stored).collect();
        self.findings.retain(|finding| finding.end as u64 > end);
        self.mid_line = !text.ends_with('\n');
        self.stored = end;
        self.line += lines;
        self.seq += 1;
        Some(Chunk { place, text, findings })
    }

    pub(super) fn total_lines(&self) -> i64 {
        self.line + i64::from(self.mid_line)
    }

    pub(super) fn counts(&self) -> Vec<KindCount> {
        let count = |(kind, (group, total)): (&String, &(String, i64))| KindCount {
            kind: kind.clone(),
            group: group.clone(),
            total: *total,
        };
        self.counts.iter().map(count).collect()
    }
}

pub(super) fn stored(finding: &Finding) -> StoredFinding {
    StoredFinding(
        finding.start as u64,
        finding.end as u64,
        finding.kind.as_str().to_owned(),
        finding.group.code().to_owned(),
        finding.confidence,
        finding.validated,
        finding.detector.clone(),
        finding.scanner.clone(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn chunks_are_the_text(lines in prop::collection::vec("[a-zäß ]{0,40}", 0..60), end in any::<bool>()) {
            let mut text = lines.join("\n");
            if end { text.push('\n'); }
            let mut cutter = Cutter::default();
            cutter.push(&text);
            let mut all = String::new();
            let mut line = 0;
            while let Some(chunk) = cutter.next_chunk(u64::MAX, true) {
                prop_assert_eq!(chunk.place.first_byte as usize, all.len());
                prop_assert_eq!(chunk.place.first_line, line);
                line += chunk.place.lines;
                all.push_str(&chunk.text);
            }
            prop_assert_eq!(&all, &text);
            prop_assert_eq!(cutter.total_lines() as usize, text.lines().count());
        }
    }
}
