//! Documents, one a line: `{"id":…,"text":…}` in, `{"id":…,"spans":[…]}` out.
//!
//! Invariant: an id goes back byte by byte; a line that is no document ends the answers, and those before it have arrived.

use std::collections::VecDeque;
use std::io::Write;

use fumehood_redact::{Kind, merge};
use fumehood_triage::scanners::Scanners;
use serde_json::value::RawValue;

use super::inputs::{Input, Inputs};
use super::stream::Filter;

/// Lines that are scanned ahead of what is written; bounds the memory.
const AHEAD: usize = 8;

/// Whether a text begins with a document.
pub fn begins(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii();
    serde_json::from_slice::<Doc>(line).is_ok()
}

/// The id goes back as it came, byte by byte: no number loses its digits, no object its order.
#[derive(serde::Deserialize)]
struct Doc {
    id: Box<RawValue>,
    text: String,
}

/// A document and nothing else.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only whether it fits is asked")]
struct Bare {
    id: serde::de::IgnoredAny,
    text: serde::de::IgnoredAny,
}

#[derive(serde::Serialize)]
struct DocSpans {
    id: Box<RawValue>,
    spans: Vec<DocSpan>,
}

#[derive(serde::Serialize)]
struct DocSpan {
    #[serde(rename = "type")]
    kind: Kind,
    start: usize,
    end: usize,
    confidence: f32,
    detector: String,
}

/// The next line that is not blank, with its number; nothing at the end. A byte order mark before the first is no part
/// of it.
async fn next_doc(lines: &mut Lines<'_>, number: &mut usize, more: &mut Option<usize>) -> anyhow::Result<Option<Doc>> {
    loop {
        let Some(line) = lines.next().await? else { return Ok(None) };
        *number += 1;
        let text = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| *number == 1).unwrap_or(&line).trim_ascii();
        if !text.is_empty() {
            if more.is_none() && serde_json::from_slice::<Bare>(text).is_err() {
                *more = Some(*number);
            }
            return serde_json::from_slice(text).map(Some).map_err(|error| {
                // Its own position is within the line.
                let said = error.to_string();
                let said = said.split(" at line ").next().unwrap_or_default();
                anyhow::anyhow!(
                    "line {number}, column {} is no {{\"id\":…,\"text\":…}}: {said}; with --format jsonl each line is one document",
                    error.column()
                )
            });
        }
    }
}

async fn doc_spans(scanners: Scanners, filter: Filter, doc: Doc) -> anyhow::Result<DocSpans> {
    let mut findings = scanners.scan(&doc.text, None).await?;
    findings.retain(|finding| filter.passes(finding));
    let spans = merge(doc.text.len(), &findings).into_iter().map(|span| DocSpan {
        kind: span.kind,
        start: span.start,
        end: span.end,
        confidence: span.confidence,
        detector: span.detector,
    });
    Ok(DocSpans { id: doc.id, spans: spans.collect() })
}

/// Scan one document a line, several at once, answers in order; true where something was found. The first line that is
/// no document ends it, after the answers to those before it.
pub async fn answer(
    scanners: &Scanners,
    inputs: &mut Inputs,
    filter: &Filter,
    out: &mut impl Write,
) -> anyhow::Result<bool> {
    let mut any = false;
    while let Some(mut input) = inputs.next().await? {
        any |= answer_one(scanners, &mut input, filter, out).await?;
        for reason in input.unread {
            inputs.unread(reason);
        }
    }
    Ok(any)
}

async fn answer_one(
    scanners: &Scanners,
    input: &mut Input,
    filter: &Filter,
    out: &mut impl Write,
) -> anyhow::Result<bool> {
    let mut any = false;
    let mut pending: VecDeque<tokio::task::JoinHandle<anyhow::Result<DocSpans>>> = VecDeque::new();
    let mut lines = Lines { input, buffer: Vec::new(), at: 0 };
    let (mut number, mut more, mut wrong, mut ended) = (0usize, None, None, false);
    while !(ended && pending.is_empty()) {
        if !ended {
            match next_doc(&mut lines, &mut number, &mut more).await {
                Ok(Some(doc)) => pending.push_back(tokio::spawn(doc_spans(scanners.clone(), filter.clone(), doc))),
                Ok(None) => ended = true,
                Err(error) => (wrong, ended) = (Some(error), true),
            }
        }
        while pending.len() >= AHEAD || (ended && !pending.is_empty()) {
            let Some(task) = pending.pop_front() else { break };
            let done = task.await??;
            any |= !done.spans.is_empty();
            serde_json::to_writer(&mut *out, &done)?;
            out.write_all(b"\n")?;
        }
    }
    match wrong {
        Some(error) => {
            out.flush()?;
            Err(error)
        }
        None => {
            if let Some(line) = more {
                lines.input.unread.push(format!(
                    "{}, from line {line} on: fields beside id and text; to scan all of it, use --format spans or sarif",
                    lines.input.name
                ));
            }
            Ok(any)
        }
    }
}

/// The lines of an input.
struct Lines<'a> {
    input: &'a mut Input,
    buffer: Vec<u8>,
    at: usize,
}

impl Lines<'_> {
    async fn next(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut looked = self.at;
        loop {
            let rest = self.buffer.get(looked..).unwrap_or_default();
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.get(self.at..looked + end).unwrap_or_default().to_vec();
                self.at = looked + end + 1;
                return Ok(Some(line));
            }
            self.buffer.drain(..self.at);
            self.at = 0;
            looked = self.buffer.len();
            match self.input.next().await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Ok(Some(std::mem::take(&mut self.buffer))),
            }
        }
    }
}
