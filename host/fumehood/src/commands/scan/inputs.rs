//! What is scanned: standard input, files, folders, and what is packed in them, as texts one after the other.
//!
//! Invariant: one thread reads, in the order of the names, and waits where scanning is behind; so memory is bounded
//! whatever there is. What is not read is counted, with the reason.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, bail};
use globset::{Glob, GlobSet, GlobSetBuilder};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::unpack;

/// Read at once, bytes.
const READ: usize = 256 << 10;
/// Chunks of one input, and inputs, that are read ahead of the scanning.
const CHUNKS: usize = 4;
const INPUTS: usize = 4;
/// How much of a file shows whether it is text.
const HEAD: usize = 8 << 10;

/// A text.
pub struct Input {
    /// `logs/a.log`, `logs.zip!a.log`, `standard input`.
    pub name: String,
    /// Bytes that were taken from it so far.
    pub read: u64,
    /// What of it was not scanned, and why.
    pub unread: Vec<String>,
    chunks: Receiver<std::io::Result<Vec<u8>>>,
}

impl Input {
    /// The next bytes; nothing at the end.
    pub async fn next(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let chunk = self.chunks.recv().await.transpose()?;
        self.read += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        Ok(chunk)
    }
}

/// What was not scanned.
#[derive(Clone, Debug, Default)]
pub struct Skipped {
    /// Files that are no text.
    pub binary: usize,
    /// Links in folders, which were not followed.
    pub links: usize,
    /// What could not be read, and why.
    pub unread: Vec<String>,
}

/// The texts, as they are read.
pub struct Inputs {
    texts: Receiver<anyhow::Result<Input>>,
    /// The first one, once it was looked at.
    first: Option<Option<Input>>,
    skipped: Arc<Mutex<Skipped>>,
}

impl Inputs {
    /// The next text; nothing at the end.
    pub async fn next(&mut self) -> anyhow::Result<Option<Input>> {
        match self.first.take() {
            Some(first) => Ok(first),
            None => self.texts.recv().await.transpose(),
        }
    }

    async fn look(&mut self) -> anyhow::Result<Option<&mut Input>> {
        if self.first.is_none() {
            self.first = Some(self.texts.recv().await.transpose()?);
        }
        Ok(self.first.as_mut().and_then(Option::as_mut))
    }

    /// Whether the only text is one document a line, `{"id":…,"text":…}`.
    pub async fn is_documents(&mut self) -> anyhow::Result<bool> {
        let Some(first) = self.look().await? else { return Ok(false) };
        let mut head = Vec::new();
        while !head.trim_ascii_start().contains(&b'\n')
            && head.len() < READ * 4
            && let Some(chunk) = first.next().await?
        {
            head.extend_from_slice(&chunk);
        }
        let is = super::documents::begins(&head);
        // What was looked at comes first again.
        let (give, chunks) = channel(1);
        let rest = std::mem::replace(&mut first.chunks, chunks);
        first.read = 0;
        tokio::spawn(async move {
            let mut rest = rest;
            if !head.is_empty() && give.send(Ok(head)).await.is_err() {
                return;
            }
            while let Some(chunk) = rest.recv().await {
                if give.send(chunk).await.is_err() {
                    return;
                }
            }
        });
        Ok(is)
    }

    /// Whether the first text is part of an archive, of which there are more.
    pub async fn is_archive(&mut self) -> anyhow::Result<bool> {
        Ok(self.look().await?.is_some_and(|first| first.name.contains('!')))
    }

    /// Something was not scanned, for this reason.
    pub fn unread(&self, reason: String) {
        if let Ok(mut skipped) = self.skipped.lock() {
            skipped.unread.push(reason);
        }
    }

    /// What was not scanned.
    pub fn skipped(&self) -> Skipped {
        self.skipped.lock().map(|skipped| skipped.clone()).unwrap_or_default()
    }
}

/// Begin to read. With `many`, a file that is no text is passed over; alone, it is scanned as what it may be.
pub fn start(paths: Vec<PathBuf>, exclude: &[String], many: bool, follow: bool) -> anyhow::Result<Inputs> {
    let mut globs = GlobSetBuilder::new();
    for pattern in exclude {
        let plain = pattern.strip_prefix("./").unwrap_or(pattern).trim_end_matches('/');
        globs.add(Glob::new(plain).with_context(|| format!("--exclude {pattern}"))?);
    }
    let (give, texts) = channel(INPUTS);
    let skipped = Arc::new(Mutex::new(Skipped::default()));
    let reader = Reader { give, skipped: Arc::clone(&skipped), exclude: globs.build()?, many, follow };
    std::thread::spawn(move || {
        if let Err(error) = reader.all(&paths) {
            let _ = reader.give.blocking_send(Err(error));
        }
    });
    Ok(Inputs { texts, first: None, skipped })
}

/// The thread that reads.
pub(super) struct Reader {
    give: Sender<anyhow::Result<Input>>,
    skipped: Arc<Mutex<Skipped>>,
    exclude: GlobSet,
    many: bool,
    follow: bool,
}

/// Whether a file begins as no text does. Zeros alone do not say so: a log that was cut while it was written to begins with
/// any number of them.
fn is_binary(head: &[u8]) -> bool {
    let zeros = head.iter().filter(|byte| **byte == 0).count();
    let control = head.iter().filter(|byte| matches!(**byte, 1..=8 | 14..=26 | 28..=31)).count();
    zeros > 0 && control * 50 > head.len() - zeros
}

/// The scanning has ended before its input.
#[derive(Debug, thiserror::Error)]
#[error("nobody listens any more")]
struct Gone;

impl Reader {
    fn all(&self, paths: &[PathBuf]) -> anyhow::Result<()> {
        let result = self.each(paths);
        match result {
            Err(error) if error.is::<Gone>() => Ok(()),
            result => result,
        }
    }

    fn each(&self, paths: &[PathBuf]) -> anyhow::Result<()> {
        if paths.is_empty() {
            return self.open("standard input", Box::new(std::io::stdin()));
        }
        for path in paths {
            if path.as_os_str() == "-" {
                self.open("standard input", Box::new(std::io::stdin()))?;
            } else if path.is_dir() {
                self.folder(path)?;
            } else if self.is_excluded(path) {
                // As in folders: a hook names every file.
            } else {
                let file = std::fs::File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
                self.open(&path.display().to_string(), Box::new(file))?;
            }
        }
        Ok(())
    }

    /// Whether a pattern leaves a file out that was named: its path, or a folder on the way to it.
    fn is_excluded(&self, path: &Path) -> bool {
        let plain = path.strip_prefix("./").unwrap_or(path);
        plain.ancestors().any(|part| self.exclude.is_match(part))
            || plain.file_name().is_some_and(|name| self.exclude.is_match(name))
    }

    /// Everything in a folder, by name; links are not followed, and what git keeps for itself is left out.
    fn folder(&self, folder: &Path) -> anyhow::Result<()> {
        let entries = walkdir::WalkDir::new(folder).sort_by_file_name().follow_links(self.follow).into_iter();
        let wanted = |entry: &walkdir::DirEntry| {
            let inside = entry.path().strip_prefix(folder).unwrap_or(entry.path());
            (entry.depth() == 0 || entry.file_name() != ".git") && !self.exclude.is_match(inside)
        };
        for entry in entries.filter_entry(wanted) {
            match entry {
                Ok(entry) if entry.file_type().is_file() => {
                    let name = entry.path().display().to_string();
                    match std::fs::File::open(entry.path()) {
                        Ok(file) => self.open(&name, Box::new(file))?,
                        Err(error) => self.unread(&name, &error.to_string()),
                    }
                }
                Ok(entry) => {
                    if entry.file_type().is_symlink()
                        && let Ok(mut skipped) = self.skipped.lock()
                    {
                        skipped.links += 1;
                    }
                }
                Err(error) => {
                    let name = error.path().unwrap_or(folder).display().to_string();
                    self.unread(&name, &error.io_error().map_or_else(|| error.to_string(), ToString::to_string));
                }
            }
        }
        Ok(())
    }

    pub(super) fn unread(&self, name: &str, reason: &str) {
        if let Ok(mut skipped) = self.skipped.lock() {
            skipped.unread.push(format!("{name}: {reason}"));
        }
    }

    /// What was packed in a way that cannot be read. Alone it ends the scan; among others it is said at the end.
    pub(super) fn damaged(&self, name: &str, reason: &str) -> anyhow::Result<()> {
        if !self.many {
            bail!("{name} is {reason}");
        }
        self.unread(name, reason);
        Ok(())
    }

    /// Whatever there is, unpacked as deep as it is packed.
    fn open(&self, name: &str, source: Box<dyn Read + Send>) -> anyhow::Result<()> {
        unpack::open(self, name, source, 0)
    }

    /// A text, chunk by chunk.
    pub(super) fn text(&self, name: &str, mut source: impl Read) -> anyhow::Result<()> {
        let mut head = Vec::new();
        if let Err(error) = source.by_ref().take(HEAD as u64).read_to_end(&mut head) {
            return self.damaged(name, &format!("damaged: {error}"));
        }
        if unpack::is_utf32(&head) {
            return self.damaged(name, "UTF-32, which is not read; convert it to UTF-8");
        }
        let wide = unpack::Wide::of(&head);
        let control = head.iter().filter(|byte| **byte < 9).count();
        if wide.is_none() && is_binary(&head) && self.many {
            if let Ok(mut skipped) = self.skipped.lock() {
                skipped.binary += 1;
            }
            return Ok(());
        }
        if wide.is_none() && control * 20 > head.len() {
            let note = format!("note: {name} does not look like text; what is in it may be found in part only\n");
            let _ = std::io::Write::write_all(&mut std::io::stderr(), note.as_bytes());
        }
        let (give, chunks) = channel(CHUNKS);
        let input = Input { name: name.to_owned(), read: 0, unread: Vec::new(), chunks };
        self.give.blocking_send(Ok(input)).map_err(|_| Gone)?;
        let mut source: Box<dyn Read> = match wide {
            Some(wide) => Box::new(wide.reader(std::io::Cursor::new(head).chain(source))),
            None => Box::new(std::io::Cursor::new(head).chain(source)),
        };
        loop {
            let mut chunk = Vec::with_capacity(READ);
            match source.by_ref().take(READ as u64).read_to_end(&mut chunk) {
                Ok(0) => return Ok(()),
                // A task that has failed listens no more, and has said why.
                Ok(_) => {
                    if give.blocking_send(Ok(chunk)).is_err() {
                        return Ok(());
                    }
                }
                Err(error) => {
                    let _ = give.blocking_send(Ok(chunk));
                    return self.damaged(name, &format!("damaged: {error}"));
                }
            }
        }
    }
}
