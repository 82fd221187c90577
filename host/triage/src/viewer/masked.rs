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

/// A stretch of a log, masked. It begins and ends outside any finding.
struct Region {
    /// Where `text` lies in the log.
    begin: u64,
    /// Around this part so much was read that no known value can stick out: this part may be shown.
    sure: Range<u64>,
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
        let mut book = self.masking_book(scope, file.incident_id).await?;
        let mut region = Region { begin: 0, sure: 0..0, text: Redacted::default() };
        let mut masked = Vec::with_capacity(places.len());
        for (at, place) in places.iter().enumerate() {
            let inside = region.sure.start <= place.shown.start && place.shown.end <= region.sure.end;
            if !inside || region.sure.is_empty() {
                let wanted = together(places.get(at..).unwrap_or_default());
                region = mask_region(&mut text, &mut book, wanted, &decisions).await?;
            }
            let begin = region.begin;
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
            let last = cursor.seq == cursor.chunks;
            let first = chunk.place.first_byte as u64;
            let begin = first - cursor.carry.len() as u64;
            let mut text = std::mem::take(&mut cursor.carry);
            text.push_str(&chunk.text);
            let mut found = std::mem::take(&mut cursor.findings);
            // One that goes on from the part before stands in both, and was carried over.
            found.extend(chunk.findings.into_iter().filter(|one| one.0 >= first));
            let end = begin + text.len() as u64;
            let mut book = self.masking_book(scope, file.incident_id).await?;
            // A value that goes on in the next part is kept back whole, so that its pseudonym is that of the value; and
            // before it, or before the border, as much text as a known value could reach over it.
            let open = found.iter().filter(|one| !last && one.1 > end).map(|one| one.0.max(begin)).min();
            let open = open.filter(|open| end - open <= VALUE_BYTES).unwrap_or(end);
            let reach = if last { 0 } else { book.pseudonyms().reach() as u64 };
            let visible = text.floor_char_boundary((open - begin) as usize);
            let mut cut = text.floor_char_boundary((open.saturating_sub(reach).max(begin) - begin) as usize);
            let within: Vec<StoredFinding> =
                found.iter().filter(|one| one.0 < begin + visible as u64).cloned().collect();
            let shown = text.get(..visible).unwrap_or_default();
            let masked = mask_stored(&mut book, shown, begin, &within, &decisions);
            self.keep_new(scope, file.incident_id, &mut book).await?;
            if let Some(over) = masked.masked().iter().find(|one| one.source.start < cut && cut < one.source.end) {
                cut = over.source.end;
            }
            cursor.carry = text.split_off(cut);
            found.retain(|one| one.1 > begin + cut as u64);
            cursor.findings = found;
            if cut > 0 {
                return Ok(Some(masked.part(0..cut, false)));
            }
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

/// Mask a stretch with the whole of every value that touches it, and with so much around it that no known value is cut.
async fn mask_region(
    text: &mut LogText<'_>,
    book: &mut Book,
    wanted: Range<u64>,
    decisions: &Decisions,
) -> Result<Region, TriageError> {
    let reach = book.pseudonyms().reach() as u64;
    let mut bytes = text.boundary(wanted.start.saturating_sub(reach)).await?..text.boundary(wanted.end + reach).await?;
    let most = (bytes.end - bytes.start) + 4 * VALUE_BYTES;
    loop {
        let (raw, found) = text.read(bytes.clone()).await?;
        bytes.end = bytes.end.min(bytes.start + raw.len() as u64);
        let reaches = found.iter().filter(|one| one.1 - one.0 <= VALUE_BYTES);
        let wider = reaches.fold(bytes.clone(), |bytes, one| bytes.start.min(one.0)..bytes.end.max(one.1));
        if wider == bytes || wider.end - wider.start > most {
            let masked = mask_stored(book, &raw, bytes.start, &found, decisions);
            return Ok(Region { begin: bytes.start, sure: wanted, text: masked });
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
    let (mut findings, mut whole) = (Vec::new(), Vec::new());
    for one in stored.iter().filter(|one| decisions.accepted(one)) {
        let start = (one.0.saturating_sub(begin)) as usize;
        let end = ((one.1.saturating_sub(begin)) as usize).min(text.len());
        if start >= end {
            continue;
        }
        let found = finding(&judged(one, decisions), start, end);
        // What is cut off here is no value.
        if one.0 >= begin && one.1 - begin <= text.len() as u64 {
            whole.push(found.clone());
        }
        findings.push(found);
    }
    book.learn(text, &whole);
    findings.extend(book.known_in(text));
    let spans = merge(text.len(), &findings);
    Gate::redact_as(Origin::Raw, book.pseudonyms(), text, &spans)
}
