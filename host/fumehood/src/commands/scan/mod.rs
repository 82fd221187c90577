//! `fumehood scan`: the scanners as a tool of their own, in bounded memory, over all cores.
//!
//! Invariants: what could not be read is said, and never counts as clean; no value that was found is written out, but by
//! the format whose purpose that is not to do, `redacted`, which masks it; the order of the output is that of the input,
//! whatever was done first.

mod baseline;
mod cache;
mod documents;
mod inputs;
mod report;
mod stream;
mod unpack;

use std::collections::VecDeque;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use fumehood_redact::Pseudonyms;
use fumehood_redact::rules::Rules;
use fumehood_runtime::{Runtime, RuntimeConfig, World};
use fumehood_triage::detection::Detection;
use fumehood_triage::plugins;
use fumehood_triage::scanners::Scanners;

use self::baseline::Baseline;
use self::inputs::{Input, Inputs};
use self::report::{Found, Report};
use self::stream::Filter;
use crate::cli::{ScanArgs, ScanFormat};
use crate::settings::Settings;

/// Inputs that are scanned at once; bounds the memory.
const AT_ONCE: usize = 16;
/// Written at once, bytes.
const WRITE: usize = 256 << 10;

pub fn run(settings: &Settings, args: &ScanArgs) -> anyhow::Result<ExitCode> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(jobs) = args.jobs {
        builder.worker_threads(usize::from(jobs));
    }
    let runtime = builder.enable_all().build()?;
    runtime.block_on(scan(settings, args))
}

async fn scan(settings: &Settings, args: &ScanArgs) -> anyhow::Result<ExitCode> {
    let filter = Filter::new(&args.only, args.min_confidence)?;
    let baseline = args.baseline.as_deref().map(Baseline::read).transpose()?;
    let scanners = scanners(settings, args).await?;
    let out = report::UntilGone { inner: std::io::stdout(), quietly: args.exit_code };
    let mut out = std::io::BufWriter::with_capacity(WRITE, out);
    let many = args.paths.len() > 1 || args.paths.iter().any(|path| path.is_dir());
    let mut inputs = inputs::start(args.paths.clone(), &args.exclude, many, args.follow)?;
    let outcome = match (args.format, many) {
        (ScanFormat::Redacted, _) => redacted(&scanners, &mut inputs, args, &filter, &mut out).await?,
        (ScanFormat::Jsonl, false) if inputs.is_documents().await? => {
            let any = documents::answer(&scanners, &mut inputs, &filter, &mut out).await?;
            Outcome { any, ..Outcome::default() }
        }
        (ScanFormat::Spans, false)
            if baseline.is_none() && args.write_baseline.is_none() && !inputs.is_archive().await? =>
        {
            let any = one_stream(&scanners, &mut inputs, &filter, &mut out).await?;
            Outcome { any, ..Outcome::default() }
        }
        (format, _) => {
            let mut report = Report::new(format, &mut out);
            let outcome = collected(&scanners, &mut inputs, &filter, (baseline, args), &mut report).await?;
            report.finish(&scanners, &inputs.skipped().unread)?;
            outcome
        }
    };
    out.flush()?;
    let skipped = inputs.skipped();
    outcome.say(&skipped, many)?;
    // What was not read may hold anything: that comes before what was found in the rest.
    Ok(match (args.exit_code && outcome.any, skipped.unread.is_empty()) {
        (_, false) => ExitCode::from(2),
        (true, true) => ExitCode::from(1),
        (false, true) => ExitCode::SUCCESS,
    })
}

/// What came of it.
#[derive(Default)]
struct Outcome {
    any: bool,
    inputs: usize,
    bytes: u64,
    found: usize,
    known: usize,
}

impl Outcome {
    /// What could not be read, and, on a terminal, the sum.
    fn say(&self, skipped: &inputs::Skipped, many: bool) -> std::io::Result<()> {
        let mut err = std::io::stderr();
        for reason in &skipped.unread {
            writeln!(err, "not scanned: {}", report::on_one_line(reason))?;
        }
        if skipped.binary + skipped.links > 0 {
            let links = if skipped.links > 0 { " (follow them with --follow)" } else { "" };
            writeln!(
                err,
                "not scanned: {} binary files and {} links in folders{links}",
                skipped.binary, skipped.links
            )?;
        }
        if many && err.is_terminal() {
            let known =
                if self.known > 0 { format!(", {} of them in the baseline", self.known) } else { String::new() };
            writeln!(
                err,
                "{} files, {:.1} MB: {} findings{known}",
                self.inputs,
                self.bytes as f64 / 1e6,
                self.found + self.known
            )?;
        }
        Ok(())
    }
}

/// The one input, written as it is found: a stream may be endless.
async fn one_stream(
    scanners: &Scanners,
    inputs: &mut Inputs,
    filter: &Filter,
    out: &mut impl std::io::Write,
) -> anyhow::Result<bool> {
    let mut any = false;
    while let Some(mut input) = inputs.next().await? {
        stream::scan(scanners, &mut input, filter, |piece| {
            for span in piece.spans {
                any = true;
                let (start, end) = (piece.begin + span.start as u64, piece.begin + span.end as u64);
                writeln!(out, "{start}\t{end}\t{}\t{:.2}", span.kind.as_str(), span.confidence)?;
            }
            Ok(())
        })
        .await?;
    }
    Ok(any)
}

/// Masked text: of one input on standard output, of several in a folder of their own.
async fn redacted(
    scanners: &Scanners,
    inputs: &mut Inputs,
    args: &ScanArgs,
    filter: &Filter,
    out: &mut impl std::io::Write,
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut book = Pseudonyms::new();
    book.show(scanners.hints());
    while let Some(mut input) = inputs.next().await? {
        outcome.inputs += 1;
        match &args.output {
            Some(folder) => {
                let path = target(folder, &input.name)?;
                let mut file = std::io::BufWriter::with_capacity(WRITE, new_file(&path)?);
                let masked = stream::mask(scanners, &mut input, filter, &mut book, &mut outcome.any, &mut file).await;
                // Only a whole file gets its name.
                match masked.and_then(|()| Ok(file.into_inner().map_err(std::io::IntoInnerError::into_error)?)) {
                    Ok(file) => {
                        drop(file.persist_noclobber(&path).map_err(|error| error.error).with_context(|| {
                            format!("{} cannot be written (nothing is overwritten)", path.display())
                        })?)
                    }
                    Err(error) => inputs.unread(format!("{}: {error:#}", input.name)),
                }
            }
            None if outcome.inputs > 1 => {
                bail!("several files do not go into one; name a folder for the masked ones: --output FOLDER")
            }
            None => stream::mask(scanners, &mut input, filter, &mut book, &mut outcome.any, out).await?,
        }
        outcome.bytes += input.read;
    }
    Ok(outcome)
}

/// Where the masked text of an input goes.
fn target(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    // What an archive calls its entries must not lead out of the folder.
    let parts = name.split(['/', '\\', '!']).filter(|part| !part.is_empty() && *part != "." && *part != "..");
    let path = folder.join(parts.collect::<PathBuf>());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("{} cannot be created", parent.display()))?;
    }
    Ok(path)
}

/// A file beside `path`, to be renamed to it. What is there already is told before the work, not after it.
fn new_file(path: &Path) -> anyhow::Result<tempfile::NamedTempFile> {
    anyhow::ensure!(!path.exists(), "{} cannot be written (nothing is overwritten)", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Masked text is for others to read, as far as the user's own mask lets them.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    let file = tempfile::Builder::new().prefix(".fumehood-").suffix(".part").permissions(mode).tempfile_in(folder);
    file.with_context(|| format!("{} cannot be written", path.display()))
}

/// An input that is being scanned: its bytes, and what was found.
type Scanning = tokio::task::JoinHandle<Result<(u64, Vec<Found>), String>>;

/// Every input, several at once, reported in their order.
async fn collected<W: std::io::Write>(
    scanners: &Scanners,
    inputs: &mut Inputs,
    filter: &Filter,
    (mut baseline, args): (Option<Baseline>, &ScanArgs),
    report: &mut Report<'_, W>,
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut new = args.write_baseline.as_ref().map(|_| Baseline::new()).transpose()?;
    // One that is written anew goes on with the salt of the old one, so that both say the same of a value.
    if let (Some(new), Some(old)) = (&mut new, &baseline) {
        new.with_salt_of(old);
    }
    let salt = baseline.as_ref().or(new.as_ref()).map(Baseline::salt);
    let mut pending: VecDeque<Scanning> = VecDeque::new();
    let mut ended = false;
    while !(ended && pending.is_empty()) {
        if !ended {
            match inputs.next().await? {
                Some(input) => {
                    let (scanners, filter) = (scanners.clone(), filter.clone());
                    pending.push_back(tokio::spawn(async move {
                        found_in(&scanners, input, &filter, salt).await.map_err(|error| format!("{error:#}"))
                    }));
                }
                None => ended = true,
            }
        }
        while pending.len() >= AT_ONCE || (ended && !pending.is_empty()) {
            let Some(task) = pending.pop_front() else { break };
            // One that cannot be scanned does not keep the others from it.
            let (bytes, found) = match task.await? {
                Ok(done) => done,
                Err(reason) => {
                    inputs.unread(reason);
                    continue;
                }
            };
            outcome.inputs += 1;
            outcome.bytes += bytes;
            for one in found {
                if let Some(new) = &mut new {
                    new.add(&one);
                }
                if baseline.as_mut().is_some_and(|baseline| baseline.takes(&one)) {
                    outcome.known += 1;
                    continue;
                }
                outcome.any = true;
                outcome.found += 1;
                report.add(&one)?;
            }
        }
    }
    if let (Some(new), Some(path)) = (new, &args.write_baseline) {
        new.write(path)?;
        // What is in it is known from now on.
        outcome.any = false;
    }
    Ok(outcome)
}

async fn found_in(
    scanners: &Scanners,
    mut input: Input,
    filter: &Filter,
    salt: Option<[u8; 32]>,
) -> anyhow::Result<(u64, Vec<Found>)> {
    let mut all = Vec::new();
    let mut lines = report::Lines::default();
    let name = input.name.clone();
    stream::scan(scanners, &mut input, filter, |piece| {
        for span in piece.spans {
            let value = piece.text.get(span.start..span.end).unwrap_or_default();
            let (line, column) = lines.at(piece.text, span.start);
            let (end_line, end_column) = lines.at(piece.text, span.end);
            all.push(Found {
                file: name.clone(),
                line,
                column,
                end_line,
                end_column,
                start: piece.begin + span.start as u64,
                end: piece.begin + span.end as u64,
                kind: span.kind.clone(),
                group: span.group,
                confidence: span.confidence,
                validated: span.validated,
                detector: span.detector.clone(),
                scanner: span.scanner.clone(),
                mark: salt.map(|salt| baseline::mark(&salt, &name, &span.kind, value)),
            });
        }
        lines.pass(piece.text);
        Ok(())
    })
    .await
    .with_context(|| name.clone())?;
    Ok((input.read, all))
}

/// The shipped scanners under the rules that were named.
async fn scanners(settings: &Settings, args: &ScanArgs) -> anyhow::Result<Scanners> {
    let cache = cache::find(settings, args)?;
    let runtime =
        Runtime::new(RuntimeConfig { cache, instances: 64, egress: None, compiler: None, deterministic: false })?;
    let mut rules = Rules::default();
    for path in &args.rules {
        let toml = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        rules = rules.with(Rules::parse(&path.display().to_string(), &toml)?);
    }
    let detection = Detection::prepare(&runtime, rules);
    let mut loading = Vec::new();
    for shipped in plugins::shipped().iter().filter(|plugin| plugin.world() == World::Scanner) {
        if shipped.manifest.name != fumehood_redact::rules::SCANNER {
            let runtime = runtime.clone();
            loading.push(tokio::spawn(async move { plugins::load(&runtime, shipped).await }));
        }
    }
    let detection = detection.await?;
    let mut loaded = Vec::new();
    for one in loading {
        loaded.push(one.await??);
    }
    let mut kinds = Vec::new();
    for plugin in &loaded {
        kinds.extend(runtime.detects(plugin, None).await?);
    }
    kinds.extend_from_slice(detection.kinds());
    let loaded = detection.scanners(loaded);
    Ok(Scanners::new(runtime, loaded, &kinds, detection.rules()))
}
