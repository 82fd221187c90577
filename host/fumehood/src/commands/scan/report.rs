//! What was found, written: spans, JSON Lines, SARIF 2.1.0.
//!
//! Invariant: no format here writes a value, only where it stands and what it is.

use std::collections::BTreeMap;
use std::io::Write;

use fumehood_redact::{Group, Kind};
use fumehood_triage::scanners::Scanners;
use serde::Serialize;

use crate::cli::ScanFormat;

/// A finding in a file.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    pub file: String,
    /// From 1.
    pub line: u64,
    /// In characters, from 1.
    pub column: u64,
    /// Of the character behind it.
    #[serde(skip)]
    pub end_line: u64,
    #[serde(skip)]
    pub end_column: u64,
    /// Bytes in the file, read as UTF-8.
    pub start: u64,
    pub end: u64,
    #[serde(rename = "type")]
    pub kind: Kind,
    pub group: Group,
    pub confidence: f32,
    pub validated: bool,
    pub detector: String,
    pub scanner: String,
    /// What names it in a baseline.
    #[serde(skip)]
    pub mark: Option<String>,
}

/// Counts lines and columns while the pieces of a text go by.
#[derive(Default)]
pub struct Lines {
    /// Lines that have ended before this piece.
    lines: u64,
    /// Characters of the line that goes on from the piece before.
    characters: u64,
    /// Within this piece: bytes, lines and the start of the last line up to there.
    at: usize,
    ended: u64,
    begin: Option<usize>,
}

impl Lines {
    /// Line and column of a byte of the piece; asked in ascending order.
    pub fn at(&mut self, text: &str, byte: usize) -> (u64, u64) {
        self.advance(text, byte);
        let start = self.begin.unwrap_or(0);
        let before = if self.begin.is_none() { self.characters } else { 0 };
        let column = text.get(start..byte).unwrap_or_default().chars().count() as u64;
        (self.lines + self.ended + 1, before + column + 1)
    }

    /// The piece has gone by.
    pub fn pass(&mut self, text: &str) {
        self.advance(text, text.len());
        let rest = text.get(self.begin.unwrap_or(0)..).unwrap_or_default().chars().count() as u64;
        self.characters = if self.begin.is_none() { self.characters + rest } else { rest };
        self.lines += self.ended;
        (self.at, self.ended, self.begin) = (0, 0, None);
    }

    fn advance(&mut self, text: &str, byte: usize) {
        let passed = text.as_bytes().get(self.at..byte).unwrap_or_default();
        self.ended += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        if let Some(last) = passed.iter().rposition(|byte| *byte == b'\n') {
            self.begin = Some(self.at + last + 1);
        }
        self.at = self.at.max(byte);
    }
}

/// Writes findings.
pub struct Report<'a, W> {
    format: ScanFormat,
    out: &'a mut W,
    /// What SARIF says before the findings names all types, so these wait.
    results: Vec<Found>,
}

impl<'a, W: Write> Report<'a, W> {
    pub const fn new(format: ScanFormat, out: &'a mut W) -> Self {
        Self { format, out, results: Vec::new() }
    }

    pub fn add(&mut self, found: &Found) -> anyhow::Result<()> {
        match self.format {
            ScanFormat::Sarif => self.results.push(found.clone()),
            ScanFormat::Jsonl => {
                serde_json::to_writer(&mut *self.out, found)?;
                self.out.write_all(b"\n")?;
            }
            ScanFormat::Spans | ScanFormat::Redacted => {
                let Found { file, line, column, start, end, kind, confidence, detector, .. } = found;
                let file = on_one_line(file);
                writeln!(self.out, "{file}:{line}:{column}\t{start}\t{end}\t{kind}\t{confidence:.2}\t{detector}")?;
            }
        }
        Ok(())
    }

    /// The end; with what was not scanned, and why.
    pub fn finish(self, scanners: &Scanners, unread: &[String]) -> anyhow::Result<()> {
        if self.format == ScanFormat::Sarif {
            serde_json::to_writer_pretty(&mut *self.out, &sarif(&self.results, unread, scanners))?;
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }
}

/// A log of SARIF 2.1.0 (OASIS standard).
fn sarif(found: &[Found], unread: &[String], scanners: &Scanners) -> serde_json::Value {
    let kinds: BTreeMap<&str, Group> = found.iter().map(|one| (one.kind.as_str(), one.group)).collect();
    let indexes: BTreeMap<&str, usize> = kinds.keys().enumerate().map(|(index, kind)| (*kind, index)).collect();
    let rules: Vec<_> = kinds
        .iter()
        .map(|(kind, group)| {
            let said = scanners.description(kind);
            let said = said.as_deref().unwrap_or("A value that the organisation's rules describe");
            serde_json::json!({
                "id": kind,
                "shortDescription": { "text": said },
                "help": { "text": "Take the value out, or mask it: fumehood scan --format redacted. A secret that was written down has to be replaced." },
                "defaultConfiguration": { "level": level(*group) },
                "properties": { "tags": ["security", group.code()] },
            })
        })
        .collect();
    let results: Vec<_> = found
        .iter()
        .map(|one| {
            let place = serde_json::json!({
                "physicalLocation": {
                    "artifactLocation": { "uri": uri(&one.file) },
                    "region": {
                        "startLine": one.line,
                        "startColumn": one.column,
                        "endLine": one.end_line,
                        "endColumn": one.end_column,
                        "byteOffset": one.start,
                        "byteLength": one.end - one.start,
                    },
                },
            });
            serde_json::json!({
                "ruleId": one.kind,
                "ruleIndex": indexes.get(one.kind.as_str()),
                "level": level(one.group),
                "message": { "text": format!("{} ({}, confidence {:.2})", one.kind, one.detector, one.confidence) },
                "locations": [place],
                "properties": { "confidence": one.confidence, "validated": one.validated, "scanner": one.scanner },
            })
        })
        .collect();
    let notifications: Vec<_> = unread
        .iter()
        .map(|reason| serde_json::json!({ "level": "error", "message": { "text": format!("not scanned: {reason}") } }))
        .collect();
    serde_json::json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "Fumehood",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": unread.is_empty(),
                "toolExecutionNotifications": notifications,
            }],
            "results": results,
        }],
    })
}

const fn level(group: Group) -> &'static str {
    match group {
        Group::Secret => "error",
        Group::Structured | Group::Contextual => "warning",
    }
}

/// A name or a sentence without line ends and other control characters: who names a file must not write our lines.
pub fn on_one_line(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text.into();
    }
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect::<String>().into()
}

/// A relative reference (RFC 3986), or a file's address.
fn uri(file: &str) -> String {
    let mut uri = String::with_capacity(file.len() + 8);
    let file = file.strip_prefix("./").unwrap_or(file);
    if file.starts_with('/') {
        uri.push_str("file://");
    }
    for byte in file.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~!".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

/// Standard output. Where the exit code is the answer, a reader that goes away does not end the scan.
pub struct UntilGone<W> {
    pub inner: W,
    pub quietly: bool,
}

impl<W: Write> UntilGone<W> {
    fn unless_gone<T>(&self, result: std::io::Result<T>, done: T) -> std::io::Result<T> {
        match result {
            Err(error) if self.quietly && error.kind() == std::io::ErrorKind::BrokenPipe => Ok(done),
            result => result,
        }
    }
}

impl<W: Write> Write for UntilGone<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let result = self.inner.write(bytes);
        self.unless_gone(result, bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let result = self.inner.flush();
        self.unless_gone(result, ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_go_over_pieces() {
        let text = "ä b\nccc\n\ndd é x";
        for cut in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            let mut lines = Lines::default();
            let mut all = Vec::new();
            for (begin, piece) in [(0, &text[..cut]), (cut, &text[cut..])] {
                for (at, _) in piece.char_indices() {
                    all.push((begin + at, lines.at(piece, at)));
                }
                lines.pass(piece);
            }
            for (byte, (line, column)) in all {
                let before = &text[..byte];
                let start = before.rfind('\n').map_or(0, |at| at + 1);
                assert_eq!(line, before.matches('\n').count() as u64 + 1);
                assert_eq!(column, text[start..byte].chars().count() as u64 + 1, "{cut} {byte}");
            }
        }
    }

    #[test]
    fn names_stay_on_their_line() {
        assert_eq!(on_one_line("a b/ä.log"), "a b/ä.log");
        assert_eq!(on_one_line("a\nb\u{1b}[2J"), "a\\nb\\u{1b}[2J");
    }

    #[test]
    fn names_of_files_become_references() {
        assert_eq!(uri("./a b/c.log"), "a%20b/c.log");
        assert_eq!(uri("/var/log/x"), "file:///var/log/x");
    }
}
