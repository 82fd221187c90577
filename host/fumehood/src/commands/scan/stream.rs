//! One text through the scanners: windows ahead of what is settled, findings in order, memory bounded.

use std::collections::VecDeque;
use std::io::Write;

use anyhow::bail;
use fumehood_redact::{Finding, Gate, Group, Kind, Pseudonyms, Seams, Span, Window, WindowSize, Windows, merge};
use fumehood_triage::scanners::Scanners;

use super::inputs::Input;

/// Windows that are scanned ahead of what is written; bounds the memory.
const AHEAD: usize = 8;

/// Which findings count.
#[derive(Clone, Debug)]
pub struct Filter {
    groups: Vec<Group>,
    kinds: Vec<Kind>,
    least: f32,
}

impl Filter {
    /// From the names of groups (`secret`, `structured`, `contextual`, `personal`) and types.
    pub fn new(only: &[String], least: Option<f32>) -> anyhow::Result<Self> {
        let mut filter = Self { groups: Vec::new(), kinds: Vec::new(), least: least.unwrap_or(0.0) };
        if !(0.0..=1.0).contains(&filter.least) {
            bail!("--min-confidence is a number from 0 to 1");
        }
        for name in only {
            match name.as_str() {
                "secret" | "secrets" => filter.groups.push(Group::Secret),
                "structured" => filter.groups.push(Group::Structured),
                "contextual" => filter.groups.push(Group::Contextual),
                "personal" => filter.groups.extend([Group::Structured, Group::Contextual]),
                kind if Kind::is_valid(kind) => filter.kinds.push(Kind::new(kind)),
                other => bail!(
                    "--only {other} is neither a group (secret, personal, structured, contextual) nor a type (EMAIL, PASSWORD, …)"
                ),
            }
        }
        Ok(filter)
    }

    pub fn passes(&self, finding: &Finding) -> bool {
        let all = self.groups.is_empty() && self.kinds.is_empty();
        (all || self.groups.contains(&finding.group) || self.kinds.contains(&finding.kind))
            && finding.confidence() >= self.least
    }
}

/// A settled stretch of text with what is in it.
pub struct Piece<'a> {
    pub text: &'a str,
    /// Where it begins, bytes.
    pub begin: u64,
    /// Within it.
    pub spans: &'a [Span],
}

type Pending = VecDeque<tokio::task::JoinHandle<anyhow::Result<(Window, Vec<Finding>)>>>;

/// Scan a text, and hand on its pieces in order.
pub async fn scan(
    scanners: &Scanners,
    input: &mut Input,
    filter: &Filter,
    mut piece: impl FnMut(Piece<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut held = Held { text: String::new(), begin: 0, findings: Vec::new() };
    let mut windows = Windows::new(WindowSize::DEFAULT);
    let mut seams = Seams::new();
    let mut pending = Pending::new();
    let mut rest: Vec<u8> = Vec::new();
    let mut ended = false;
    while !ended {
        let chunk = input.next().await?;
        ended = chunk.is_none();
        rest.extend_from_slice(&chunk.unwrap_or_default());
        let text = take_utf8(&mut rest, ended);
        held.text.push_str(&text);
        windows.push(&text);
        if ended {
            windows.finish();
        }
        while let Some(window) = windows.next_window() {
            let (scanners, filter, name) = (scanners.clone(), filter.clone(), input.name.clone());
            pending.push_back(tokio::spawn(async move {
                let mut found = scanners.scan_window(&window, Some(&name)).await?;
                found.retain(|finding| filter.passes(finding));
                Ok((window, found))
            }));
            if pending.len() >= AHEAD {
                take(&mut pending, &mut seams, &mut held, &mut piece).await?;
            }
        }
    }
    while !pending.is_empty() {
        take(&mut pending, &mut seams, &mut held, &mut piece).await?;
    }
    held.findings.extend(seams.finish());
    held.settle(u64::MAX, &mut piece)
}

async fn take(
    pending: &mut Pending,
    seams: &mut Seams,
    held: &mut Held,
    piece: &mut impl FnMut(Piece<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let Some(task) = pending.pop_front() else { return Ok(()) };
    let (window, found) = task.await??;
    held.findings.extend(seams.push(&window, found));
    let settled = seams.settled(&window) as u64;
    held.settle(if window.continues_after { settled } else { u64::MAX }, piece)
}

/// Text and findings whose order is not settled yet.
struct Held {
    text: String,
    begin: u64,
    findings: Vec<Finding>,
}

impl Held {
    /// Hand on everything that lies before `settled`.
    fn settle(&mut self, settled: u64, piece: &mut impl FnMut(Piece<'_>) -> anyhow::Result<()>) -> anyhow::Result<()> {
        // A span that another finding may still join is not settled.
        let spans = merge(usize::MAX, &self.findings);
        let settled = spans
            .iter()
            .filter(|span| span.end as u64 > settled)
            .map(|span| span.start as u64)
            .min()
            .map_or(settled, |start| start.min(settled));
        self.findings.retain(|finding| finding.end as u64 > settled);
        let cut = usize::try_from(settled.saturating_sub(self.begin)).unwrap_or(usize::MAX).min(self.text.len());
        let cut = self.text.floor_char_boundary(cut);
        let rest = self.text.split_off(cut);
        let text = std::mem::replace(&mut self.text, rest);
        let begin = self.begin as usize;
        // What ends where the settled text does lies in it; what goes on behind it has lowered `settled` to its start.
        let ready = spans.into_iter().filter(|span| span.end as u64 <= settled);
        let spans: Vec<Span> = ready
            .map(|mut span| {
                span.start -= begin;
                span.end -= begin;
                span
            })
            .collect();
        piece(Piece { text: &text, begin: self.begin, spans: &spans })?;
        self.begin += cut as u64;
        Ok(())
    }
}

/// The masked text of one input.
pub async fn mask(
    scanners: &Scanners,
    input: &mut Input,
    filter: &Filter,
    book: &mut Pseudonyms,
    any: &mut bool,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    scan(scanners, input, filter, |piece| {
        *any |= !piece.spans.is_empty();
        let masked = Gate::redact(book, piece.text, piece.spans);
        book.drain_new();
        out.write_all(masked.as_str().as_bytes())?;
        Ok(())
    })
    .await
}

/// Complete characters; what is not UTF-8 becomes U+FFFD. An incomplete character waits for its rest.
fn take_utf8(bytes: &mut Vec<u8>, ended: bool) -> String {
    let keep = match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() && !ended => bytes.len() - error.valid_up_to(),
        Err(_) if !ended => tail_of_character(bytes),
        _ => 0,
    };
    let rest = bytes.split_off(bytes.len() - keep);
    let whole = std::mem::replace(bytes, rest);
    String::from_utf8(whole).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// How many bytes at the end are the beginning of a character.
fn tail_of_character(bytes: &[u8]) -> usize {
    (1..=3.min(bytes.len()))
        .find(|back| {
            bytes.get(bytes.len() - back..).is_some_and(
                |tail| matches!(std::str::from_utf8(tail), Err(e) if e.error_len().is_none() && e.valid_up_to() == 0),
            )
        })
        .unwrap_or(0)
}
