//! Lines of a log, read by number. A line may be longer than memory: only the window that is shown is read.

use std::ops::Range;

use fumehood_policy::Permission;
use fumehood_store::findings::StoredFinding;
use fumehood_store::logs::Chunk;
use fumehood_store::{LogId, Scope};

use super::{Judged, Line, MAX_LINES, Window, judged};
use crate::{App, TriageError};

impl App {
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
        window: Window,
    ) -> Result<Vec<Line>, TriageError> {
        self.require(scope, Permission::RevealOriginals)?;
        self.log(scope, log).await?;
        let decisions = self.0.store.decisions(scope, log).await?;
        let mut text = LogText::open(self, scope, log).await?;
        let mut lines = Vec::new();
        for place in text.places(from, count, window).await? {
            let (shown, found) = text.read(place.shown.clone()).await?;
            let begin = place.shown.start;
            let findings = found
                .iter()
                .map(|one| (one.0.saturating_sub(begin) as usize, (one.1 - begin) as usize, judged(one, &decisions)))
                .filter(|(start, _, _): &(usize, usize, Judged)| *start < shown.len())
                .collect();
            lines.push(Line {
                number: place.number,
                text: shown,
                findings,
                begin,
                skipped: place.skipped(),
                clipped: place.clipped(),
            });
        }
        Ok(lines)
    }
}

/// Where a line lies in the log, and which part of it is shown; bytes.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// From 1.
    pub(super) number: u64,
    /// Without its line break.
    pub(super) whole: Range<u64>,
    /// On character boundaries.
    pub(super) shown: Range<u64>,
}

impl Place {
    pub(super) const fn skipped(&self) -> u64 {
        self.shown.start - self.whole.start
    }

    pub(super) const fn clipped(&self) -> u64 {
        self.whole.end - self.shown.end
    }
}

/// A log's text, read in parts; keeps the part that it read last.
pub(super) struct LogText<'a> {
    app: &'a App,
    scope: &'a Scope,
    log: LogId,
    parts: i64,
    kept: Option<Chunk>,
}

impl<'a> LogText<'a> {
    pub(super) async fn open(app: &'a App, scope: &'a Scope, log: LogId) -> Result<Self, TriageError> {
        let parts = app.0.store.chunk_count(scope, log).await?;
        Ok(Self { app, scope, log, parts, kept: None })
    }

    async fn part(&mut self, seq: i64) -> Result<&Chunk, TriageError> {
        let kept = self.kept.take().filter(|chunk| chunk.place.seq == seq);
        let chunk = match kept {
            Some(chunk) => chunk,
            None => self.app.0.store.chunk(self.scope, self.log, seq).await?,
        };
        Ok(self.kept.insert(chunk))
    }

    /// The part that holds a byte; nothing beyond the end.
    pub(super) async fn holding(&mut self, byte: u64) -> Result<Option<&Chunk>, TriageError> {
        let holds = |chunk: &Chunk| {
            let first = chunk.place.first_byte as u64;
            (first..first + chunk.text.len() as u64).contains(&byte)
        };
        if !self.kept.as_ref().is_some_and(holds) {
            let Some(place) = self.app.0.store.chunk_of_byte(self.scope, self.log, byte as i64).await? else {
                return Ok(None);
            };
            self.part(place.seq).await?;
        }
        Ok(self.kept.as_ref().filter(|chunk| holds(chunk)))
    }

    /// One past the last byte.
    async fn end(&mut self) -> Result<u64, TriageError> {
        if self.parts == 0 {
            return Ok(0);
        }
        let last = self.part(self.parts - 1).await?;
        Ok(last.place.first_byte as u64 + last.text.len() as u64)
    }

    /// Where a line begins, counted from 0; nothing where the log has fewer.
    async fn line_begin(&mut self, line: u64) -> Result<Option<u64>, TriageError> {
        let Some(place) = self.app.0.store.chunk_of_line(self.scope, self.log, line as i64).await? else {
            return Ok(None);
        };
        let chunk = self.part(place.seq).await?;
        let before = line.saturating_sub(place.first_line as u64) as usize;
        let begin = match before {
            0 if place.first_line as u64 == line && (place.starts_line || place.seq == 0) => Some(0),
            0 => None,
            _ => memchr::memchr_iter(b'\n', chunk.text.as_bytes()).nth(before - 1).map(|at| at + 1),
        };
        Ok(begin.filter(|begin| *begin < chunk.text.len()).map(|begin| place.first_byte as u64 + begin as u64))
    }

    /// Where lines lie, from line `from` (from 1).
    pub(super) async fn places(&mut self, from: u64, count: u64, window: Window) -> Result<Vec<Place>, TriageError> {
        let mut places = Vec::new();
        let mut number = from.max(1);
        let Some(mut begin) = self.line_begin(number - 1).await? else { return Ok(places) };
        while (places.len() as u64) < count.min(MAX_LINES) {
            let Some(chunk) = self.holding(begin).await? else { break };
            let first = chunk.place.first_byte as u64;
            let here = chunk.text.as_bytes().get((begin - first) as usize..).unwrap_or_default();
            let (end, next) = match memchr::memchr(b'\n', here) {
                Some(at) => (begin + at as u64, begin + at as u64 + 1),
                None => match self.line_begin(number).await? {
                    Some(next) => (next - 1, next),
                    // The last line, whether or not a line break ends it.
                    None => {
                        let end = self.end().await?;
                        let broken = end > begin && self.byte(end - 1).await? == Some(b'\n');
                        (end - u64::from(broken), end)
                    }
                },
            };
            let broken = next > end;
            let carriage_return = broken && end > begin && self.byte(end - 1).await? == Some(b'\r');
            places.push(self.place(number, begin..end - u64::from(carriage_return), window).await?);
            begin = next;
            number += 1;
        }
        Ok(places)
    }

    async fn place(&mut self, number: u64, whole: Range<u64>, window: Window) -> Result<Place, TriageError> {
        let most = window.bytes as u64;
        let long = whole.end - whole.start > most;
        let start = match window.at {
            Some((line, byte)) if line == number && long => {
                byte.saturating_sub(most / 4).clamp(whole.start, whole.end - most)
            }
            _ => whole.start,
        };
        let end = whole.end.min(start + most);
        let shown = self.boundary(start).await?..self.boundary(end).await?;
        Ok(Place { number, whole, shown })
    }

    async fn byte(&mut self, at: u64) -> Result<Option<u8>, TriageError> {
        let chunk = self.holding(at).await?;
        Ok(chunk.and_then(|chunk| chunk.text.as_bytes().get((at - chunk.place.first_byte as u64) as usize).copied()))
    }

    /// The character boundary at or before a byte. Parts are cut at character boundaries.
    pub(super) async fn boundary(&mut self, byte: u64) -> Result<u64, TriageError> {
        let Some(chunk) = self.holding(byte).await? else { return Ok(byte) };
        let first = chunk.place.first_byte as u64;
        Ok(first + chunk.text.floor_char_boundary((byte - first) as usize) as u64)
    }

    /// Text with the findings that touch it. The range lies on character boundaries, as those of lines and findings do;
    /// what does not is read from the boundary after.
    pub(super) async fn read(&mut self, range: Range<u64>) -> Result<(String, Vec<StoredFinding>), TriageError> {
        let mut text = String::new();
        let mut findings: Vec<StoredFinding> = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let Some(chunk) = self.holding(at).await? else { break };
            let first = chunk.place.first_byte as u64;
            let from = chunk.text.ceil_char_boundary((at - first) as usize);
            let to = chunk.text.floor_char_boundary(((range.end - first) as usize).min(chunk.text.len()));
            text.push_str(chunk.text.get(from..to).unwrap_or_default());
            for finding in chunk.findings.iter().filter(|one| one.0 < range.end && one.1 > range.start) {
                // One that goes on from the part before stands in both.
                if finding.0 >= first || at == range.start {
                    findings.push(finding.clone());
                }
            }
            at = first + chunk.text.len() as u64;
        }
        Ok((text, findings))
    }
}
