//! Logs come in: decoded, made UTF-8, cut into windows, scanned, cut into chunks, stored. A stream from end to end.
//!
//! Invariants: memory does not grow with the file; a log becomes readable only when all of it was scanned; what was
//! acknowledged is stored; a failure or a cancellation removes what was stored of it and says why.

mod again;
mod chunks;
mod text;

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use async_compression::zstd::DParameter;
use fumehood_policy::Permission;
use fumehood_redact::{Finding, Group, Seams, WindowSize, Windows};
use fumehood_store::logs::{LogFile, LogTotals};
use fumehood_store::{IncidentId, LogId, Scope};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, BufReader};
use tokio_util::sync::CancellationToken;

use self::chunks::Cutter;
use self::text::{Utf8, refuse_binary};
use crate::app::Upload;
use crate::scanners::Scanners;
use crate::{App, Progress, TriageError};

/// Largest text of a log after decompression, bytes.
pub const MAX_TEXT_BYTES: u64 = 16 << 30;
/// How long a zstd upload waits for one of the others to end: each decoder keeps its window in memory.
const ROOM_WAIT: std::time::Duration = std::time::Duration::from_secs(30);
/// A compressed file may grow by this factor; beyond it is a bomb, not a log. Checked past the first 64 MiB.
pub const MAX_RATIO: u64 = 200;
const RATIO_FREE_BYTES: u64 = 64 << 20;
/// Longest file name, characters.
const NAME: usize = 200;
/// Read from the decoder at once, bytes.
const READ_BYTES: usize = 64 << 10;
/// Largest window of a zstd file, as a power of two; what the levels below `--ultra` use is at most half of it.
const ZSTD_WINDOW_LOG: u32 = 24;
/// What is looked at to tell text from something else, bytes.
const HEAD_BYTES: usize = 4 << 10;
/// Control bytes per thousand above which a file is not text.
const BINARY_PER_MILLE: usize = 50;

/// What an upload came to.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Received {
    pub log: LogFile,
    /// The same text was in this incident already: `log` is the earlier one, nothing was added.
    pub duplicate: bool,
}

/// A log as it arrives.
pub type Body = Pin<Box<dyn AsyncRead + Send>>;

impl App {
    /// Begin an upload; [`App::receive`] takes its body. Known at once, so that progress and cancelling work.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Invalid`.
    pub async fn begin_upload(
        &self,
        scope: &Scope,
        incident: IncidentId,
        name: &str,
        encoding: &'static str,
        expected_bytes: Option<u64>,
    ) -> Result<LogId, TriageError> {
        self.require(scope, Permission::WriteIncidents)?;
        let name = clean_name(name)?;
        let expected = expected_bytes.and_then(|bytes| i64::try_from(bytes).ok());
        let id = self.0.store.begin_log(scope, incident, name, encoding, expected).await?;
        let upload = Upload {
            cancel: CancellationToken::new(),
            progress: Mutex::new(Progress { expected_bytes, ..Progress::default() }),
            began: Instant::now(),
        };
        if let Ok(mut uploads) = self.0.uploads.lock() {
            uploads.insert(id, Arc::new(upload));
        }
        Ok(id)
    }

    /// How far an upload is; nothing where none is going on.
    pub fn upload_progress(&self, log: LogId) -> Option<Progress> {
        let uploads = self.0.uploads.lock().ok()?;
        let upload = uploads.get(&log)?;
        let progress = upload.progress.lock().ok()?.clone();
        Some(Progress { elapsed_ms: upload.began.elapsed().as_millis() as u64, ..progress })
    }

    /// Stop an upload.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound` where it is not going on.
    pub async fn cancel_upload(&self, scope: &Scope, log: LogId) -> Result<(), TriageError> {
        self.require(scope, Permission::WriteIncidents)?;
        self.0.store.log(scope, log).await?;
        let upload = self.0.uploads.lock().ok().and_then(|uploads| uploads.get(&log).cloned());
        upload.ok_or(TriageError::NotFound { what: "upload that is going on" })?.cancel.cancel();
        Ok(())
    }

    /// Remove a log with its findings; pseudonyms of its values stay, because they may have left.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict` while it arrives, or where it is evidence.
    pub async fn remove_log(&self, scope: &Scope, log: LogId) -> Result<(), TriageError> {
        self.require(scope, Permission::WriteIncidents)?;
        let incident = self.0.store.log(scope, log).await?.incident_id;
        self.0.store.remove_log(scope, log).await?;
        self.hold_all(incident).await;
        Ok(())
    }

    /// Receive a whole log in one call.
    ///
    /// # Errors
    /// As [`App::begin_upload`] and [`App::receive`].
    pub async fn upload(
        &self,
        scope: &Scope,
        incident: IncidentId,
        name: &str,
        expected_bytes: Option<u64>,
        body: Body,
    ) -> Result<Received, TriageError> {
        self.require(scope, Permission::WriteIncidents)?;
        let (encoding, body) = sniff(body).await.map_err(broken)?;
        let id = self.begin_upload(scope, incident, name, encoding, expected_bytes).await?;
        self.receive(scope, id, encoding, body).await
    }

    /// Receive the body of an upload that has begun.
    ///
    /// # Errors
    /// `Cancelled`, `Invalid` (binary), `TooLarge`, `DiskFull`, `Plugin` (a scanner failed: nothing is kept).
    pub async fn receive(
        &self,
        scope: &Scope,
        id: LogId,
        encoding: &'static str,
        body: Body,
    ) -> Result<Received, TriageError> {
        let upload = self.0.uploads.lock().ok().and_then(|uploads| uploads.get(&id).cloned());
        let upload = upload.ok_or(TriageError::NotFound { what: "upload that has begun" })?;
        // Whoever drops this future (a browser that went away) must not leave half a log behind.
        let guard = Abandon { app: Some(self.clone()), scope: scope.clone(), id };
        let _going_on = self.0.tasks.token();
        let log = self.0.store.log(scope, id).await?;
        let incident = log.incident_id;
        let generation = self.rules_generation();
        let scanners = self.scanners(scope, incident, &format!("log:{id}")).await;
        let work =
            Intake::new(self, scope, (incident, id), (scanners, Arc::clone(&upload), log.name)).run(encoding, body);
        let result = tokio::select! {
            result = work => result,
            () = upload.cancel.cancelled() => Err(TriageError::Cancelled("the upload was cancelled; nothing of it was kept".into())),
        };
        guard.defuse();
        let finished = match result {
            Ok(totals) => self.0.store.finish_log(scope, id, totals).await.map_err(TriageError::from),
            Err(error) => Err(error),
        };
        if let Ok(mut uploads) = self.0.uploads.lock() {
            uploads.remove(&id);
        }
        // A value that was rejected elsewhere may stand in this one, not yet judged.
        self.hold_all(incident).await;
        match finished {
            Ok(Some(older)) => {
                self.0.store.drop_chunks(scope, id).await?;
                Ok(Received { log: older, duplicate: true })
            }
            Ok(None) => {
                let log = self.0.store.log(scope, id).await?;
                self.scan_if_stale(scope, &log, generation);
                Ok(Received { log, duplicate: false })
            }
            Err(error) => {
                let state = if matches!(error, TriageError::Cancelled(_)) { "cancelled" } else { "failed" };
                // On a full disk this fails as well; the next start cleans up.
                let _ = self.0.store.abandon_log(scope, id, state, error.to_string()).await;
                Err(error)
            }
        }
    }
}

/// Cleans up after an upload whose caller went away.
struct Abandon {
    app: Option<App>,
    scope: Scope,
    id: LogId,
}

impl Abandon {
    fn defuse(mut self) {
        self.app = None;
    }
}

impl Drop for Abandon {
    fn drop(&mut self) {
        let Some(app) = self.app.take() else { return };
        let (scope, id) = (self.scope.clone(), self.id);
        if let Ok(mut uploads) = app.0.uploads.lock() {
            uploads.remove(&id);
        }
        app.0.tasks.clone().spawn(async move {
            let reason = "The connection was closed before the whole file had arrived. Upload it again.".to_owned();
            if let Err(error) = app.0.store.abandon_log(&scope, id, "failed", reason).await {
                tracing::warn!(%error, "an upload that was cut off could not be cleaned up");
            }
        });
    }
}

fn clean_name(name: &str) -> Result<String, TriageError> {
    // Browsers send a bare name; anything that looks like a path is one.
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control()).take(NAME).collect();
    let name = name.trim().to_owned();
    if name.is_empty() { Err(TriageError::invalid("name", "The file has no name.")) } else { Ok(name) }
}

/// Tell how a body is compressed by its first bytes, and give it back whole.
///
/// # Errors
/// What reading says.
pub async fn sniff(body: Body) -> std::io::Result<(&'static str, Body)> {
    // A first piece may be shorter than what tells.
    let (mut head, mut body) = (Vec::with_capacity(READ_BYTES), body);
    while head.len() < 4 && body.read_buf(&mut head).await? > 0 {}
    let encoding = match head.as_slice() {
        [0x1f, 0x8b, ..] => "gzip",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
        _ => "plain",
    };
    Ok((encoding, Box::pin(std::io::Cursor::new(head).chain(body))))
}

/// The text of a body.
fn decode(encoding: &str, body: Body) -> Body {
    let buffered = BufReader::with_capacity(READ_BYTES, body);
    match encoding {
        "gzip" => {
            let mut decoder = async_compression::tokio::bufread::GzipDecoder::new(buffered);
            decoder.multiple_members(true);
            Box::pin(decoder)
        }
        "zstd" => {
            let window = DParameter::window_log_max(ZSTD_WINDOW_LOG);
            let mut decoder = async_compression::tokio::bufread::ZstdDecoder::with_params(buffered, &[window]);
            decoder.multiple_members(true);
            Box::pin(decoder)
        }
        _ => Box::pin(buffered),
    }
}

fn broken(error: std::io::Error) -> TriageError {
    // zstd's own words for a window that is larger than allowed.
    if error.to_string().contains("requires too much memory") {
        return TriageError::TooLarge(format!(
            "The zstd file needs more than {} MiB of memory to unpack. Pack it again without --long and --ultra.",
            (1 << ZSTD_WINDOW_LOG) >> 20
        ));
    }
    let message = match error.kind() {
        std::io::ErrorKind::ConnectionAborted => {
            "The connection broke off before the end of the file. Nothing of it was kept; add it again.".to_owned()
        }
        _ => format!("The file is damaged and could not be read to its end ({error}). Nothing of it was kept."),
    };
    TriageError::invalid("file", message)
}

/// Counts the bytes that pass.
struct Counting {
    inner: Body,
    upload: Arc<Upload>,
}

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = self.inner.as_mut().poll_read(context, buffer);
        let read = buffer.filled().len() - before;
        if read > 0
            && let Ok(mut progress) = self.upload.progress.lock()
        {
            progress.received_bytes += read as u64;
        }
        polled
    }
}

/// One upload on its way.
struct Intake<'a> {
    app: &'a App,
    scope: &'a Scope,
    incident: IncidentId,
    id: LogId,
    upload: Arc<Upload>,
    scanners: Scanners,
    name: String,
    hash: Sha256,
    text_bytes: u64,
    replaced: i64,
    cutter: Cutter,
}

impl<'a> Intake<'a> {
    fn new(
        app: &'a App,
        scope: &'a Scope,
        (incident, id): (IncidentId, LogId),
        (scanners, upload, name): (Scanners, Arc<Upload>, String),
    ) -> Self {
        Self {
            app,
            scope,
            incident,
            id,
            upload,
            scanners,
            name,
            hash: Sha256::new(),
            text_bytes: 0,
            replaced: 0,
            cutter: Cutter::default(),
        }
    }

    async fn run(mut self, encoding: &str, body: Body) -> Result<LogTotals, TriageError> {
        let counted: Body = Box::pin(Counting { inner: body, upload: Arc::clone(&self.upload) });
        let mut text = decode(encoding, counted);
        let mut decoder = Utf8::default();
        let mut windows = Windows::new(WindowSize::DEFAULT);
        let mut seams = Seams::new();
        let mut buffer = vec![0u8; READ_BYTES];
        let mut head = Some(Vec::with_capacity(HEAD_BYTES));
        let _room = match encoding {
            "zstd" => Some(
                tokio::time::timeout(ROOM_WAIT, self.app.0.unpacking.acquire())
                    .await
                    .map_err(|_| TriageError::TooMany { seconds: ROOM_WAIT.as_secs() })?,
            ),
            _ => None,
        };
        loop {
            let read = text.read(&mut buffer).await.map_err(broken)?;
            let piece = buffer.get(..read).unwrap_or_default();
            if let Some(seen) = &mut head {
                seen.extend_from_slice(piece.get(..HEAD_BYTES.min(read)).unwrap_or_default());
                if read == 0 || seen.len() >= HEAD_BYTES {
                    refuse_binary(seen)?;
                    head = None;
                }
            }
            self.hash.update(piece);
            self.text_bytes += read as u64;
            self.check_size(encoding)?;
            let done = read == 0;
            let piece = if done { decoder.finish() } else { decoder.push(piece) };
            self.cutter.push(&piece);
            windows.push(&piece);
            if done {
                windows.finish();
            }
            while let Some(window) = windows.next_window() {
                let found = self.scanners.scan_window(&window, Some(&self.name)).await?;
                let found = seams.push(&window, found);
                self.learn(&found).await?;
                self.cutter.found(found);
                self.store(seams.settled(&window) as u64, !window.continues_after).await?;
            }
            if done {
                break;
            }
        }
        let found = seams.finish();
        self.learn(&found).await?;
        self.cutter.found(found);
        self.store(u64::MAX, true).await?;
        self.replaced = decoder.replaced;
        let received = self.upload.progress.lock().map_or(0, |progress| progress.received_bytes);
        Ok(LogTotals {
            sha256: self.hash.finalize().into(),
            received_bytes: received as i64,
            text_bytes: self.cutter.stored as i64,
            lines: self.cutter.total_lines(),
            replaced: self.replaced,
            kinds: self.cutter.counts(),
        })
    }

    /// The incident's book comes to know values that a scanner finds by what stands around them only.
    async fn learn(&self, found: &[Finding]) -> Result<(), TriageError> {
        let known_by_itself = |one: &&Finding| !matches!(one.group, Group::Structured);
        let value = |one: &Finding| Some((one.kind.clone(), self.cutter.value(one)?.to_owned()));
        let values: Vec<_> = found.iter().filter(known_by_itself).filter_map(value).collect();
        if values.is_empty() {
            return Ok(());
        }
        self.app.learn_arriving(self.scope, self.incident, values).await
    }

    fn check_size(&self, encoding: &str) -> Result<(), TriageError> {
        if self.text_bytes > MAX_TEXT_BYTES {
            return Err(TriageError::TooLarge(format!(
                "The log is over {} GiB of text. Split it and upload the part around the incident.",
                MAX_TEXT_BYTES >> 30
            )));
        }
        let received = self.upload.progress.lock().map_or(0, |progress| progress.received_bytes);
        if encoding != "plain" && self.text_bytes > RATIO_FREE_BYTES && self.text_bytes / received.max(1) > MAX_RATIO {
            return Err(TriageError::TooLarge(format!(
                "The file unpacks to more than {MAX_RATIO} times its size, which no log does. Nothing of it was kept."
            )));
        }
        Ok(())
    }

    /// Store the chunks that lie wholly before `settled`.
    async fn store(&mut self, settled: u64, last: bool) -> Result<(), TriageError> {
        while let Some(chunk) = self.cutter.next_chunk(settled, last) {
            let (lines, findings) = (chunk.place.lines as u64, chunk.findings.len() as u64);
            let received = {
                let Ok(mut progress) = self.upload.progress.lock() else { return Ok(()) };
                progress.scanned_bytes = (chunk.place.first_byte + chunk.place.text_bytes) as u64;
                progress.lines += lines;
                progress.findings += findings;
                progress.received_bytes
            };
            self.app.0.store.append_chunk(self.scope, self.id, chunk, received as i64).await?;
        }
        Ok(())
    }
}
