//! Findings: one, the next one, all of them; and what people decide about them.

use fumehood_policy::Permission;
use fumehood_redact::{Kind, kept};
use fumehood_store::findings::StoredFinding;
use fumehood_store::{LogId, Scope};

use super::lines::LogText;
use super::{FindingAt, FindingKey, Judged, SEARCH_CHUNKS, VALUE_BYTES, judged};
use crate::{App, TriageError};

/// In larger logs a rejected finding is not compared with all others while somebody looks at it.
const CHECKED_BYTES: i64 = 64 << 20;

impl App {
    /// Everything about one finding.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn finding(&self, scope: &Scope, log: LogId, key: &FindingKey) -> Result<FindingAt, TriageError> {
        let file = self.log(scope, log).await?;
        let missing = TriageError::NotFound { what: "finding" };
        let mut text = LogText::open(self, scope, log).await?;
        let Some(chunk) = text.holding(key.start).await? else { return Err(missing) };
        let first = chunk.place.first_byte as u64;
        let before = chunk.text.get(..(key.start - first) as usize).unwrap_or_default();
        let line = chunk.place.first_line as u64 + 1 + memchr::memchr_iter(b'\n', before.as_bytes()).count() as u64;
        let end = key.end.min(key.start.saturating_add(VALUE_BYTES));
        let (value, around) = text.read(key.start..end).await?;
        let is_this = |one: &&StoredFinding| one.2 == key.kind && (one.0, one.1) == (key.start, key.end);
        let Some(stored) = around.iter().find(is_this) else { return Err(missing) };
        let decisions = self.0.store.decisions(scope, log).await?;
        let mut others: Vec<_> = around.iter().filter(|one| !is_this(one) && decisions.accepted(one)).collect();
        others.sort_by_key(|one| one.0);
        let covered = others.iter().fold(key.start, |to, one| if one.0 <= to { to.max(one.1) } else { to });
        let label = {
            let mut book = self.book(scope, file.incident_id).await?;
            let label = book.pseudonyms().label_for(&Kind::new(&key.kind), &value).to_string();
            self.keep_new(scope, file.incident_id, &mut book).await?;
            label
        };
        let judged = judged(stored, &decisions);
        // A value that is found elsewhere, too, and not rejected there, stays masked here.
        let mut stays = covered >= key.end;
        if judged.accepted == Some(false) && !stays && file.text_bytes <= CHECKED_BYTES {
            stays = !self.masking_book(scope, file.incident_id).await?.is_released(kept(&value));
        }
        let decided = self.0.store.decided(scope, log, &key.kind, (key.start, key.end)).await?;
        Ok(FindingAt {
            judged,
            line,
            label,
            value: self.require(scope, Permission::RevealOriginals).is_ok().then_some(value),
            covered: stays,
            decided,
        })
    }

    /// Every finding of a log that lies in one part of it, with its value; those that go over parts are read whole.
    pub(crate) async fn each_value(
        &self,
        scope: &Scope,
        log: LogId,
        mut take: impl FnMut(&StoredFinding, &str),
    ) -> Result<(), TriageError> {
        let chunks = self.0.store.chunk_count(scope, log).await?;
        for seq in 0..chunks {
            let chunk = self.0.store.chunk(scope, log, seq).await?;
            let begin = chunk.place.first_byte as u64;
            // One that goes on from the part before was taken there.
            for finding in chunk.findings.iter().filter(|one| one.0 >= begin) {
                match chunk.text.get((finding.0 - begin) as usize..(finding.1 - begin) as usize) {
                    Some(value) => take(finding, value),
                    None => {
                        let end = finding.1.min(finding.0.saturating_add(VALUE_BYTES));
                        let mut text = LogText::open(self, scope, log).await?;
                        take(finding, &text.read(finding.0..end).await?.0);
                    }
                }
            }
        }
        Ok(())
    }

    /// Findings of a log in order, from a part of it (0 for the beginning) until there are `limit`; and where the next
    /// page begins.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn findings(
        &self,
        scope: &Scope,
        log: LogId,
        from: i64,
        limit: usize,
    ) -> Result<(Vec<Judged>, Option<i64>), TriageError> {
        self.log(scope, log).await?;
        let decisions = self.0.store.decisions(scope, log).await?;
        let chunks = self.0.store.chunk_count(scope, log).await?;
        let mut found = Vec::new();
        let mut seq = from.max(0);
        while seq < chunks && found.len() < limit {
            let chunk = self.0.store.chunk(scope, log, seq).await?;
            let begin = chunk.place.first_byte as u64;
            // A finding that began in the part before was listed there.
            found.extend(
                chunk.findings.iter().filter(|finding| finding.0 >= begin).map(|finding| judged(finding, &decisions)),
            );
            seq += 1;
        }
        Ok((found, (seq < chunks).then_some(seq)))
    }

    /// The next (or previous) finding from a byte or a line, of the given kinds (none given: of any).
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn next_finding(
        &self,
        scope: &Scope,
        log: LogId,
        after: Option<&FindingKey>,
        line: u64,
        backwards: bool,
        kinds: &[String],
    ) -> Result<Option<(FindingKey, u64)>, TriageError> {
        self.log(scope, log).await?;
        let chunks = self.0.store.chunk_count(scope, log).await?;
        let wanted = |finding: &&StoredFinding| kinds.is_empty() || kinds.contains(&finding.2);
        let (first, from) = match after {
            Some(key) => (
                self.0.store.chunk_of_byte(scope, log, key.start as i64).await?,
                Some((key.start, key.end, key.kind.clone())),
            ),
            None => (self.0.store.chunk_of_line(scope, log, line.saturating_sub(1) as i64).await?, None),
        };
        let Some(first) = first else { return Ok(None) };
        let mut seq = first.seq;
        for _ in 0..SEARCH_CHUNKS {
            if seq < 0 || seq >= chunks {
                break;
            }
            let chunk = self.0.store.chunk(scope, log, seq).await?;
            let begin = chunk.place.first_byte as u64;
            let line_of = |start: u64| {
                let before = chunk.text.get(..(start.saturating_sub(begin)) as usize).unwrap_or_default();
                chunk.place.first_line as u64 + 1 + before.bytes().filter(|byte| *byte == b'\n').count() as u64
            };
            let mut here: Vec<&StoredFinding> =
                chunk.findings.iter().filter(|finding| finding.0 >= begin).filter(wanted).collect();
            here.sort_by(|a, b| (a.0, a.1, &a.2).cmp(&(b.0, b.1, &b.2)));
            let beyond = |finding: &&&StoredFinding| match &from {
                Some(from) => {
                    let this = (finding.0, finding.1, finding.2.clone());
                    if backwards { this < *from } else { this > *from }
                }
                None if backwards => line_of(finding.0) < line,
                None => line_of(finding.0) >= line,
            };
            let found = if backwards { here.iter().rev().find(beyond) } else { here.iter().find(beyond) };
            if let Some(found) = found {
                let key = FindingKey { kind: found.2.clone(), start: found.0, end: found.1 };
                return Ok(Some((key, line_of(found.0))));
            }
            seq += if backwards { -1 } else { 1 };
        }
        Ok(None)
    }

    /// Judge one finding, or all of a kind; nothing takes a judgement back. Returns how many findings it is about.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn judge(
        &self,
        scope: &Scope,
        log: LogId,
        kind: &str,
        key: Option<&FindingKey>,
        accepted: Option<bool>,
    ) -> Result<u64, TriageError> {
        self.require(scope, Permission::ReviewFindings)?;
        let kinds = self.0.store.kinds(scope, log).await?;
        let of_kind = kinds
            .iter()
            .find(|known| known.kind == kind)
            .ok_or(TriageError::NotFound { what: "type of finding in this log" })?;
        if let Some(key) = key {
            self.finding(scope, log, key).await?;
        }
        let range = key.map(|key| (key.start, key.end));
        self.0.store.decide(scope, log, kind.to_owned(), range, accepted).await?;
        let incident = self.0.store.log(scope, log).await?.incident_id;
        self.hold_all(incident).await;
        Ok(if key.is_some() { 1 } else { of_kind.total as u64 })
    }
}
