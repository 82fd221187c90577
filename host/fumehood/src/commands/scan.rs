//! `fumehood scan`: the scanner as a tool, in constant memory, over all cores.

use std::collections::VecDeque;
use std::io::{BufRead, IsTerminal as _, Read, Write};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use fumehood_redact::{Finding, Gate, Kind, Pseudonyms, Seams, Span, Window, WindowSize, Windows, merge};
use fumehood_runtime::{CompiledCache, Runtime, RuntimeConfig, World};
use fumehood_triage::masking::Scanners;
use fumehood_triage::plugins;
use serde_json::value::RawValue;

use crate::cli::{ScanArgs, ScanFormat};
use crate::data;
use crate::settings::Settings;

/// Read at once, bytes.
const READ: usize = 256 << 10;
/// Windows, or lines of JSON, that are scanned ahead of what is written; bounds the memory.
const AHEAD: usize = 8;

pub fn run(settings: &Settings, args: &ScanArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let scanners = scanners(settings).await?;
        let (input, size): (Box<dyn Read + Send>, Option<u64>) = match &args.file {
            Some(path) if path.as_os_str() != "-" => {
                if path.is_dir() {
                    let path = path.display();
                    bail!("{path} is a folder; name a file, or pipe what is in it: cat {path}/*.log | fumehood scan");
                }
                let file = std::fs::File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
                let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|file| file.len());
                (Box::new(file), size)
            }
            _ => (Box::new(std::io::stdin()), None),
        };
        let name = args.file.as_ref().map_or_else(|| "standard input".to_owned(), |path| path.display().to_string());
        let input = Progress::wrap(readable(input, &name)?, size);
        let out = UntilGone { inner: std::io::stdout().lock(), quietly: args.exit_code };
        let mut out = std::io::BufWriter::with_capacity(READ, out);
        let found = match args.format {
            ScanFormat::Jsonl => jsonl(&scanners, input, &mut out).await?,
            format => stream(&scanners, input, &mut out, format).await?,
        };
        out.flush()?;
        Ok(if args.exit_code && found { ExitCode::from(1) } else { ExitCode::SUCCESS })
    })
}

/// The input, once its first bytes have shown that it is text. What is packed would be read without finding anything.
fn readable(mut input: Box<dyn Read + Send>, name: &str) -> anyhow::Result<Box<dyn Read + Send>> {
    let mut head = Vec::new();
    input.by_ref().take(4096).read_to_end(&mut head).with_context(|| format!("{name} cannot be read"))?;
    match head.as_slice() {
        [0x1f, 0x8b, ..] => bail!("{name} is gzip; scan what is in it: zcat FILE | fumehood scan"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => bail!("{name} is zstd; scan what is in it: zstdcat FILE | fumehood scan"),
        [0x50, 0x4b, 0x03, 0x04, ..] => bail!("{name} is a zip archive; unpack it and scan what is in it"),
        _ => {}
    }
    let control = head.iter().filter(|byte| **byte < 9).count();
    if control * 20 > head.len() {
        writeln!(std::io::stderr(), "note: {name} does not look like text; what is in it may be found in part only")?;
    }
    Ok(Box::new(std::io::Cursor::new(head).chain(input)))
}

/// The shipped scanners. The compiled form is cached in the data folder where there is one already.
async fn scanners(settings: &Settings) -> anyhow::Result<Scanners> {
    // Where there is no data folder, or it stays sealed, the scanner is compiled in memory: a scan leaves nothing behind.
    let cache = data::open(settings)
        .map_or_else(|_| CompiledCache::none(), |vault| fumehood_triage::cache(&settings.data, vault));
    let runtime =
        Runtime::new(RuntimeConfig { cache, instances: 32, egress: None, compiler: None, deterministic: false })?;
    let mut loaded = Vec::new();
    let mut kinds = Vec::new();
    for shipped in plugins::shipped().iter().filter(|plugin| plugin.world() == World::Scanner) {
        let plugin = plugins::load(&runtime, shipped).await?;
        kinds.extend(runtime.detects(&plugin, None).await?);
        loaded.push(plugin);
    }
    Ok(Scanners::new(runtime, loaded, &kinds))
}

type Pending = VecDeque<tokio::task::JoinHandle<anyhow::Result<(Window, Vec<Finding>)>>>;

/// Scan a stream; true where something was found.
async fn stream(
    scanners: &Scanners,
    mut input: impl Read,
    out: &mut impl Write,
    format: ScanFormat,
) -> anyhow::Result<bool> {
    let mut sink = Sink::new(format);
    let mut windows = Windows::new(WindowSize::DEFAULT);
    let mut seams = Seams::new();
    let mut pending = Pending::new();
    let mut buffer = vec![0u8; READ];
    let mut rest: Vec<u8> = Vec::new();
    let mut ended = false;
    while !ended {
        let read = input.read(&mut buffer)?;
        ended = read == 0;
        rest.extend_from_slice(buffer.get(..read).unwrap_or_default());
        let text = take_utf8(&mut rest, ended);
        sink.push(&text);
        windows.push(&text);
        if ended {
            windows.finish();
        }
        while let Some(window) = windows.next_window() {
            let scanners = scanners.clone();
            pending.push_back(tokio::spawn(async move {
                let found = scanners.scan_window(&window).await?;
                Ok((window, found))
            }));
            if pending.len() >= AHEAD {
                take(&mut pending, &mut seams, &mut sink, out).await?;
            }
        }
    }
    while !pending.is_empty() {
        take(&mut pending, &mut seams, &mut sink, out).await?;
    }
    sink.found(seams.finish());
    sink.write(u64::MAX, out)?;
    Ok(sink.any)
}

async fn take(pending: &mut Pending, seams: &mut Seams, sink: &mut Sink, out: &mut impl Write) -> anyhow::Result<()> {
    let Some(task) = pending.pop_front() else { return Ok(()) };
    let (window, found) = task.await??;
    sink.found(seams.push(&window, found));
    let settled = seams.settled(&window) as u64;
    sink.write(if window.continues_after { settled } else { u64::MAX }, out)
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

/// Holds back text and findings until their order is settled, and writes them.
struct Sink {
    format: ScanFormat,
    text: String,
    begin: u64,
    findings: Vec<Finding>,
    book: Pseudonyms,
    any: bool,
}

impl Sink {
    fn new(format: ScanFormat) -> Self {
        Self { format, text: String::new(), begin: 0, findings: Vec::new(), book: Pseudonyms::new(), any: false }
    }

    fn push(&mut self, text: &str) {
        if self.format == ScanFormat::Redacted {
            self.text.push_str(text);
        }
    }

    fn found(&mut self, findings: Vec<Finding>) {
        self.any |= !findings.is_empty();
        self.findings.extend(findings);
    }

    /// Write everything that lies before `settled`.
    fn write(&mut self, settled: u64, out: &mut impl Write) -> anyhow::Result<()> {
        // A span that another finding may still join is not settled.
        let spans = merge(usize::MAX, &self.findings);
        let settled = spans
            .iter()
            .filter(|span| span.end as u64 >= settled)
            .map(|span| span.start as u64)
            .min()
            .map_or(settled, |start| start.min(settled));
        let ready: Vec<Span> =
            spans.into_iter().filter(|span| (span.end as u64) < settled || settled == u64::MAX).collect();
        self.findings.retain(|finding| finding.end as u64 >= settled && settled != u64::MAX);
        match self.format {
            ScanFormat::Redacted => {
                let cut =
                    usize::try_from(settled.saturating_sub(self.begin)).unwrap_or(usize::MAX).min(self.text.len());
                let cut = self.text.floor_char_boundary(cut);
                let rest = self.text.split_off(cut);
                let text = std::mem::replace(&mut self.text, rest);
                let begin = self.begin as usize;
                let local: Vec<Span> = ready
                    .into_iter()
                    .map(|mut span| {
                        span.start -= begin;
                        span.end -= begin;
                        span
                    })
                    .collect();
                let masked = Gate::redact(&mut self.book, &text, &local);
                self.book.drain_new();
                out.write_all(masked.as_str().as_bytes())?;
                self.begin += cut as u64;
            }
            _ => {
                for span in ready {
                    writeln!(out, "{}\t{}\t{}\t{:.2}", span.start, span.end, span.kind.as_str(), span.confidence)?;
                }
            }
        }
        Ok(())
    }
}

/// The id goes back as it came, byte by byte: no number loses its digits, no object its order.
#[derive(serde::Deserialize)]
struct Doc {
    id: Box<RawValue>,
    text: String,
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
}

/// The next line that is not blank, with its number; nothing at the end. A byte order mark before the first is no part
/// of it.
fn next_doc(input: &mut impl BufRead, number: &mut usize) -> anyhow::Result<Option<Doc>> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        *number += 1;
        let text = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| *number == 1).unwrap_or(&line).trim_ascii();
        if !text.is_empty() {
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

async fn doc_spans(scanners: Scanners, doc: Doc) -> anyhow::Result<DocSpans> {
    let findings = scanners.scan(&doc.text).await?;
    let spans = merge(doc.text.len(), &findings).into_iter().map(|span| DocSpan {
        kind: span.kind,
        start: span.start,
        end: span.end,
        confidence: span.confidence,
    });
    Ok(DocSpans { id: doc.id, spans: spans.collect() })
}

/// Scan one document a line, several at once, answers in order; true where something was found. The first line that is
/// no document ends it, after the answers to those before it.
async fn jsonl(scanners: &Scanners, input: impl Read, out: &mut impl Write) -> anyhow::Result<bool> {
    let mut any = false;
    let mut pending: VecDeque<tokio::task::JoinHandle<anyhow::Result<DocSpans>>> = VecDeque::new();
    let mut input = std::io::BufReader::with_capacity(READ, input);
    let (mut number, mut wrong, mut ended) = (0usize, None, false);
    while !(ended && pending.is_empty()) {
        if !ended {
            match next_doc(&mut input, &mut number) {
                Ok(Some(doc)) => pending.push_back(tokio::spawn(doc_spans(scanners.clone(), doc))),
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
        None => Ok(any),
    }
}

/// Standard output. Where the exit code is the answer, a reader that goes away does not end the scan.
struct UntilGone<W> {
    inner: W,
    quietly: bool,
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

/// Shows on a terminal how far the reading is.
struct Progress {
    inner: Box<dyn Read + Send>,
    bar: Option<indicatif::ProgressBar>,
}

impl Progress {
    fn wrap(inner: Box<dyn Read + Send>, size: Option<u64>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = size.map_or_else(indicatif::ProgressBar::new_spinner, indicatif::ProgressBar::new);
            let style = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
            if let (Some(_), Ok(style)) = (size, indicatif::ProgressStyle::with_template(style)) {
                bar.set_style(style);
            }
            bar
        });
        Self { inner, bar }
    }
}

impl Read for Progress {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if let Some(bar) = &self.bar {
            bar.inc(read as u64);
            if read == 0 {
                bar.finish_and_clear();
            }
        }
        Ok(read)
    }
}
