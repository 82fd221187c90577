//! The masked text of a log: what would leave.
//!
//! Invariant: a value has the pseudonym of the whole value, wherever a line, a window or a part of the log cuts it.

use std::ops::Range;

use fumehood_policy::Permission;
use fumehood_redact::{Gate, MaskedRange, Origin, Redacted, merge};
use fumehood_store::findings::{Decisions, StoredFinding};
use fumehood_store::logs::LogFile;
use fumehood_store::{LogId, Scope};

use super::lines::{LogText, Place};
use super::{CLIP_BYTES, MaskedLine, VALUE_BYTES, Window, finding, judged};
use crate::masking::Book;
use crate::{App, TriageError};

/// Text that is masked at once, bytes, where lines follow one another.
const REGION_BYTES: u64 = 256 << 10;

/// A stretch of a log, masked. It begins and ends outside any value.
struct Region {
    bytes: Range<u64>,
    text: Redacted,
}

impl App {
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
        window: Window,
    ) -> Result<Vec<MaskedLine>, TriageError> {
        let file = self.log(scope, log).await?;
        self.mask_places(scope, &file, from, count, window, false).await
    }

    /// Lines as they may leave, at most 1 KiB of each. A line within a value is the value's pseudonym.
    pub(crate) async fn masked_quote(
        &self,
        scope: &Scope,
        file: &LogFile,
        from: u64,
        count: u64,
    ) -> Result<Vec<Redacted>, TriageError> {
        let lines = self.mask_places(scope, file, from, count, Window::of(CLIP_BYTES / 2), true).await?;
        Ok(lines.into_iter().map(|line| line.text).collect())
    }

    async fn mask_places(
        &self,
        scope: &Scope,
        file: &LogFile,
        from: u64,
        count: u64,
        window: Window,
        entering: bool,
    ) -> Result<Vec<MaskedLine>, TriageError> {
        let decisions = self.0.store.decisions(scope, file.id).await?;
        let mut text = LogText::open(self, scope, file.id).await?;
        let places = text.places(from, count, window).await?;
        let mut book = self.book(scope, file.incident_id).await?;
        let mut region = Region { bytes: 0..0, text: Redacted::default() };
        let mut masked = Vec::with_capacity(places.len());
        for (at, place) in places.iter().enumerate() {
            let inside = region.bytes.start <= place.shown.start && place.shown.end <= region.bytes.end;
            if !inside || region.bytes.is_empty() {
                let wanted = together(places.get(at..).unwrap_or_default());
                region = mask_region(&mut text, &mut book, wanted, &decisions).await?;
            }
            let begin = region.bytes.start;
            let local = (place.shown.start - begin) as usize..(place.shown.end - begin) as usize;
            let enters = |one: &&MaskedRange| one.source.start < local.start && local.start < one.source.end;
            let continues = region.text.masked().iter().find(enters).map(|one| one.label.to_string());
            masked.push(MaskedLine {
                number: place.number,
                text: region.text.part(local, entering),
                begin: place.shown.start,
                source_bytes: place.shown.end - place.shown.start,
                skipped: place.skipped(),
                clipped: place.clipped(),
                continues,
            });
        }
        self.keep_new(scope, file.incident_id, &mut book).await?;
        Ok(masked)
    }

    /// The masked text of a log, part by part: call until it gives nothing.
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
            // A value that goes on in the next part is kept back whole, so that its pseudonym is that of the value.
            let open = found.iter().filter(|one| !last && one.1 > end).map(|one| one.0.max(begin)).min();
            if let Some(keep) = open.filter(|keep| end - keep <= VALUE_BYTES) {
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

/// The bytes of a line, and of those that follow it without a gap, as far as they are masked together.
fn together(places: &[Place]) -> Range<u64> {
    let Some(first) = places.first() else { return 0..0 };
    let mut bytes = first.shown.clone();
    let mut open = first.clipped() == 0;
    for place in places.iter().skip(1) {
        if !open || place.skipped() > 0 || place.shown.end - bytes.start > REGION_BYTES {
            break;
        }
        bytes.end = place.shown.end;
        open = place.clipped() == 0;
    }
    bytes
}

/// Mask a stretch with the whole of every value that touches it.
async fn mask_region(
    text: &mut LogText<'_>,
    book: &mut Book,
    wanted: Range<u64>,
    decisions: &Decisions,
) -> Result<Region, TriageError> {
    let mut bytes = wanted.clone();
    loop {
        let (raw, found) = text.read(bytes.clone()).await?;
        let reaches = found.iter().filter(|one| one.1 - one.0 <= VALUE_BYTES);
        let wider = reaches.fold(bytes.clone(), |bytes, one| bytes.start.min(one.0)..bytes.end.max(one.1));
        if wider == bytes || wider.end - wider.start > (wanted.end - wanted.start) + 4 * VALUE_BYTES {
            let masked = mask_stored(book, &raw, bytes.start, &found, decisions);
            return Ok(Region { bytes, text: masked });
        }
        bytes = wider;
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
fn mask_stored(book: &mut Book, text: &str, begin: u64, stored: &[StoredFinding], decisions: &Decisions) -> Redacted {
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
    book.learn(text, &findings);
    findings.extend(book.known_in(text));
    let spans = merge(text.len(), &findings);
    Gate::redact_as(Origin::Raw, book.pseudonyms(), text, &spans)
}
