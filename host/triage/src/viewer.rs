//! Reading a log: lines with their findings, the masked text that would leave, and judging findings.

use fumehood_policy::Permission;
use fumehood_redact::{Finding, Gate, Group, Kind, Origin, Redacted, merge};
use fumehood_store::findings::{Decisions, StoredFinding};
use fumehood_store::logs::{Chunk, LogFile};
use fumehood_store::{IncidentId, LogId, Scope};

use crate::{App, TriageError};

/// Longest part of a line that is shown at once, bytes.
pub const CLIP_BYTES: usize = 2 << 10;
/// Longest part of a line that is shown on request, bytes.
pub const WHOLE_BYTES: usize = 1 << 20;
/// Most lines that are read at once.
pub const MAX_LINES: u64 = 1_000;
/// Chunks that are searched for the next finding of a kind before the search gives up for this request.
const SEARCH_CHUNKS: i64 = 4_096;

/// A finding's name in URLs: kind and byte range in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingKey {
    pub kind: String,
    pub start: u64,
    pub end: u64,
}

impl std::fmt::Display for FindingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}-{}", self.kind, self.start, self.end)
    }
}

impl std::str::FromStr for FindingKey {
    type Err = TriageError;
    fn from_str(text: &str) -> Result<Self, TriageError> {
        let parse = || {
            let (rest, end) = text.rsplit_once('-')?;
            let (kind, start) = rest.rsplit_once('-')?;
            let valid = Kind::is_valid(kind);
            valid.then_some(Self { kind: kind.into(), start: start.parse().ok()?, end: end.parse().ok()? })
        };
        parse().ok_or(TriageError::NotFound { what: "finding" })
    }
}

/// A finding with what people decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    pub key: FindingKey,
    pub group: Group,
    pub confidence: f32,
    pub validated: bool,
    pub detector: String,
    pub scanner: String,
    /// Nothing where nobody decided: then it is masked.
    pub accepted: Option<bool>,
}

/// One line of a log.
#[derive(Clone, Debug)]
pub struct Line {
    /// From 1.
    pub number: u64,
    /// Without its line break.
    pub text: String,
    /// Byte ranges within `text` (the end may lie beyond it), with their findings.
    pub findings: Vec<(usize, usize, Judged)>,
    /// Bytes that were left off at the end.
    pub clipped: u64,
}

/// How many findings of a kind there are and how they were judged.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct KindSummary {
    pub kind: String,
    pub group: String,
    pub total: u64,
    pub accepted: u64,
    pub rejected: u64,
}

/// The code of a kind's group; of one that Fumehood does not know, the strictest.
pub fn group_of(kind: &str) -> &'static str {
    fumehood_redact::Kind::new(kind).known_group().unwrap_or(fumehood_redact::Group::Secret).code()
}

impl App {
    /// A log of an incident that the caller may read.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn log(&self, scope: &Scope, id: LogId) -> Result<LogFile, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        Ok(self.0.store.log(scope, id).await?)
    }

    /// An incident's logs.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn logs(&self, scope: &Scope, incident: IncidentId) -> Result<Vec<LogFile>, TriageError> {
        self.incident(scope, incident).await?;
        Ok(self.0.store.logs(scope, incident).await?)
    }

    /// The kinds of a log's findings.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn kinds(&self, scope: &Scope, log: LogId) -> Result<Vec<KindSummary>, TriageError> {
        self.log(scope, log).await?;
        let decisions = self.0.store.decisions(scope, log).await?;
        let counts = self.0.store.kinds(scope, log).await?;
        let summary = |count: fumehood_store::logs::KindCount| {
            let total = count.total as u64;
            let (accepted, rejected) = decisions.counts(&count.kind, total);
            KindSummary { kind: count.kind, group: count.group, total, accepted, rejected }
        };
        Ok(counts.into_iter().map(summary).collect())
    }

    /// Raw lines with their findings, from line `from` (from 1). Whoever may read only sees masked text.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn lines(
        &self,
        scope: &Scope,
        log: LogId,
        from: u64,
        count: u64,
        clip: usize,
    ) -> Result<Vec<Line>, TriageError> {
        self.require(scope, Permission::RevealOriginals)?;
        self.read_lines(scope, log, from, count, clip).await
    }

    async fn read_lines(
        &self,
        scope: &Scope,
        log: LogId,
        from: u64,
        count: u64,
        clip: usize,
    ) -> Result<Vec<Line>, TriageError> {
        self.log(scope, log).await?;
        let decisions = self.0.store.decisions(scope, log).await?;
        let from = from.max(1);
        let count = count.min(MAX_LINES);
        let mut lines: Vec<Line> = Vec::new();
        let Some(place) = self.0.store.chunk_of_line(scope, log, (from - 1) as i64).await? else { return Ok(lines) };
        let chunks = self.0.store.chunk_count(scope, log).await?;
        let mut open: Option<OpenLine> = None;
        for seq in place.seq..chunks {
            let chunk = self.0.store.chunk(scope, log, seq).await?;
            let mut number = chunk.place.first_line as u64 + 1;
            let mut offset = chunk.place.first_byte as u64;
            for piece in chunk.text.split_inclusive('\n') {
                if number >= from {
                    let line = open.get_or_insert_with(|| OpenLine::new(number, offset));
                    line.add(piece, offset, &chunk, &decisions, clip);
                    if piece.ends_with('\n') {
                        lines.extend(open.take().map(|line| line.close()));
                    }
                }
                if lines.len() as u64 >= count {
                    return Ok(lines);
                }
                offset += piece.len() as u64;
                number += u64::from(piece.ends_with('\n'));
            }
        }
        lines.extend(open.take().map(|line| line.close()));
        Ok(lines)
    }

    /// Lines as they would leave. A value that spans lines stands as its pseudonym on the first of them.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn masked_lines(
        &self,
        scope: &Scope,
        log: LogId,
        from: u64,
        count: u64,
        clip: usize,
    ) -> Result<Vec<(u64, String, u64)>, TriageError> {
        let file = self.log(scope, log).await?;
        let from = from.max(1);
        let lines = self.read_lines(scope, log, from, count, clip.saturating_mul(4)).await?;
        let masked = self.mask_lines(scope, &file, &lines, clip).await?;
        let shown = lines.iter().zip(masked).map(|(line, text)| (line.number, text.as_str().to_owned(), line.clipped));
        Ok(shown.collect())
    }

    /// Lines as they may leave, at most 1 KiB of each.
    pub(crate) async fn masked_quote(
        &self,
        scope: &Scope,
        file: &LogFile,
        from: u64,
        count: u64,
    ) -> Result<Vec<Redacted>, TriageError> {
        let lines = self.read_lines(scope, file.id, from, count, CLIP_BYTES).await?;
        self.mask_lines(scope, file, &lines, CLIP_BYTES / 2).await
    }

    async fn mask_lines(
        &self,
        scope: &Scope,
        file: &LogFile,
        lines: &[Line],
        clip: usize,
    ) -> Result<Vec<Redacted>, TriageError> {
        let mut book = self.book(scope, file.incident_id).await?;
        let mut masked = Vec::with_capacity(lines.len());
        for line in lines {
            let (mut rejected, mut accepted, mut findings) = (Vec::new(), Vec::new(), Vec::new());
            for (start, end, judged) in &line.findings {
                let end = (*end).min(line.text.len());
                let value = line.text.get(*start..end);
                if judged.accepted == Some(false) {
                    rejected.extend(value);
                } else {
                    accepted.extend(value);
                    findings.push(finding(judged, *start, end));
                }
            }
            book.decided(rejected, accepted);
            findings.extend(book.known_in(&line.text));
            let spans = merge(line.text.len(), &findings);
            let mut text = Gate::redact(book.pseudonyms(), &line.text, &spans);
            text.truncate_at(clip);
            masked.push(text);
        }
        self.keep_new(scope, file.incident_id, &mut book).await?;
        Ok(masked)
    }

    /// Everything about one finding, with the line that it begins on and its pseudonym.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn finding(
        &self,
        scope: &Scope,
        log: LogId,
        key: &FindingKey,
    ) -> Result<(Judged, u64, String), TriageError> {
        let file = self.log(scope, log).await?;
        let missing = TriageError::NotFound { what: "finding" };
        let decisions = self.0.store.decisions(scope, log).await?;
        let Some(place) = self.0.store.chunk_of_byte(scope, log, key.start as i64).await? else { return Err(missing) };
        let chunk = self.0.store.chunk(scope, log, place.seq).await?;
        let stored = chunk
            .findings
            .iter()
            .find(|finding| finding.2 == key.kind && (finding.0, finding.1) == (key.start, key.end));
        let Some(stored) = stored else { return Err(missing) };
        let local = (key.start.saturating_sub(place.first_byte as u64)) as usize;
        let before = chunk.text.get(..local).unwrap_or_default();
        let line = place.first_line as u64 + 1 + before.bytes().filter(|byte| *byte == b'\n').count() as u64;
        let end = (key.end.saturating_sub(place.first_byte as u64)) as usize;
        let label = match chunk.text.get(local..end.min(chunk.text.len())) {
            Some(original) => {
                let mut book = self.book(scope, file.incident_id).await?;
                let label = book.pseudonyms().label_for(&Kind::new(&key.kind), original).to_string();
                self.keep_new(scope, file.incident_id, &mut book).await?;
                label
            }
            None => String::new(),
        };
        Ok((judged(stored, &decisions), line, label))
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
        self.hold_all(scope, incident).await?;
        Ok(if key.is_some() { 1 } else { of_kind.total as u64 })
    }

    /// The masked text of a log, chunk by chunk: call with `seq` from 0 until it gives nothing.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn redacted(
        &self,
        scope: &Scope,
        file: &LogFile,
        cursor: &mut RedactedCursor,
    ) -> Result<Option<Redacted>, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        if cursor.decisions.is_none() {
            cursor.decisions = Some(self.0.store.decisions(scope, file.id).await?);
            cursor.chunks = self.0.store.chunk_count(scope, file.id).await?;
        }
        let decisions = cursor.decisions.clone().unwrap_or_default();
        while cursor.seq < cursor.chunks {
            let chunk = self.0.store.chunk(scope, file.id, cursor.seq).await?;
            cursor.seq += 1;
            let begin = chunk.place.first_byte as u64 - cursor.carry.len() as u64;
            let mut text = std::mem::take(&mut cursor.carry);
            text.push_str(&chunk.text);
            let mut found = std::mem::take(&mut cursor.findings);
            // One that goes on from the part before stands in both.
            let carried = found.clone();
            found.extend(chunk.findings.into_iter().filter(|finding| !carried.contains(finding)));
            let end = begin + text.len() as u64;
            let last = cursor.seq == cursor.chunks;
            // A value that goes on in the next chunk is kept back whole, so that its pseudonym is that of the value.
            let keep = if last { None } else { found.iter().filter(|f| f.1 > end).map(|f| f.0.max(begin)).min() };
            if let Some(keep) = keep {
                let local = text.floor_char_boundary((keep - begin) as usize);
                cursor.carry = text.split_off(local);
                let at = begin + local as u64;
                cursor.findings = found.iter().filter(|finding| finding.1 > at).cloned().collect();
                found.retain(|finding| finding.0 < at);
            }
            if text.is_empty() {
                continue;
            }
            let mut book = self.book(scope, file.incident_id).await?;
            let redacted = mask_stored(&mut book, &text, begin, &found, &decisions);
            self.keep_new(scope, file.incident_id, &mut book).await?;
            return Ok(Some(redacted));
        }
        Ok(None)
    }
}

/// Where the reading of a log's masked text is.
#[derive(Default)]
pub struct RedactedCursor {
    seq: i64,
    chunks: i64,
    decisions: Option<Decisions>,
    carry: String,
    findings: Vec<StoredFinding>,
}

/// Mask text of a log by its stored findings (offsets in the log; `begin` is where the text lies) and the decisions.
pub(crate) fn mask_stored(
    book: &mut crate::masking::Book,
    text: &str,
    begin: u64,
    stored: &[StoredFinding],
    decisions: &Decisions,
) -> Redacted {
    let (mut rejected, mut accepted, mut findings) = (Vec::new(), Vec::new(), Vec::new());
    for one in stored {
        let start = (one.0.saturating_sub(begin)) as usize;
        let end = ((one.1.saturating_sub(begin)) as usize).min(text.len());
        if start >= end {
            continue;
        }
        if decisions.accepted(one) {
            accepted.extend(text.get(start..end));
            findings.push(finding(&judged(one, decisions), start, end));
        } else {
            rejected.extend(text.get(start..end));
        }
    }
    book.decided(rejected, accepted);
    findings.extend(book.known_in(text));
    let spans = merge(text.len(), &findings);
    Gate::redact_as(Origin::Raw, book.pseudonyms(), text, &spans)
}

/// A line that is being put together from chunks.
struct OpenLine {
    number: u64,
    begin: u64,
    text: String,
    findings: Vec<(usize, usize, Judged)>,
    clipped: u64,
}

impl OpenLine {
    fn new(number: u64, begin: u64) -> Self {
        Self { number, begin, text: String::new(), findings: Vec::new(), clipped: 0 }
    }

    fn add(&mut self, piece: &str, offset: u64, chunk: &Chunk, decisions: &Decisions, clip: usize) {
        let body = piece.strip_suffix('\n').unwrap_or(piece);
        let body = if piece.ends_with('\n') { body.strip_suffix('\r').unwrap_or(body) } else { body };
        let room = clip.saturating_sub(self.text.len());
        let cut = body.floor_char_boundary(room.min(body.len()));
        self.text.push_str(body.get(..cut).unwrap_or_default());
        self.clipped += (body.len() - cut) as u64;
        let end = offset + piece.len() as u64;
        for stored in chunk.findings.iter().filter(|finding| finding.0 < end && finding.1 > offset) {
            let start = (stored.0.saturating_sub(self.begin)) as usize;
            let stop = (stored.1.saturating_sub(self.begin)) as usize;
            let known = self.findings.iter().any(|(_, _, known)| {
                (known.key.start, known.key.end, known.key.kind.as_str()) == (stored.0, stored.1, stored.2.as_str())
            });
            if !known && start < self.text.len() {
                self.findings.push((start, stop, judged(stored, decisions)));
            }
        }
    }

    fn close(self) -> Line {
        Line { number: self.number, text: self.text, findings: self.findings, clipped: self.clipped }
    }
}

fn judged(stored: &StoredFinding, decisions: &Decisions) -> Judged {
    Judged {
        key: FindingKey { kind: stored.2.clone(), start: stored.0, end: stored.1 },
        group: Group::from_code(&stored.3),
        confidence: stored.4,
        validated: stored.5,
        detector: stored.6.clone(),
        scanner: stored.7.clone(),
        accepted: decisions.of(&stored.2, stored.0, stored.1),
    }
}

fn finding(judged: &Judged, start: usize, end: usize) -> Finding {
    Finding {
        kind: Kind::new(&judged.key.kind),
        group: judged.group,
        start,
        end,
        confidence: judged.confidence,
        validated: judged.validated,
        detector: judged.detector.clone(),
        scanner: judged.scanner.clone(),
    }
}
