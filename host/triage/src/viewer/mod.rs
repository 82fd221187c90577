//! Reading a log: lines with their findings, the masked text that would leave, and judging findings.

mod findings;
mod lines;
mod masked;

use fumehood_policy::Permission;
use fumehood_redact::{Finding, Group, Kind, Redacted};
use fumehood_store::findings::{Decisions, StoredFinding};
use fumehood_store::logs::LogFile;
use fumehood_store::{IncidentId, LogId, Scope};

pub use self::masked::RedactedCursor;
use crate::{App, TriageError};

/// Longest part of a line that is shown at once, bytes.
pub const CLIP_BYTES: usize = 2 << 10;
/// Longest part of a line that is shown on request, bytes.
pub const WHOLE_BYTES: usize = 1 << 20;
/// Most lines that are read at once.
pub const MAX_LINES: u64 = 1_000;
/// A longer value has a pseudonym for each part of it that is read, bytes: so that memory stays bounded.
const VALUE_BYTES: u64 = 1 << 20;
/// Chunks that are searched for the next finding of a kind before the search gives up for this request.
const SEARCH_CHUNKS: i64 = 4_096;

/// A finding's name in URLs: kind and byte range in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingKey {
    pub kind: String,
    pub start: u64,
    pub end: u64,
}

impl std::fmt::Display for FindingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}-{}", self.kind, self.start, self.end)
    }
}

impl std::str::FromStr for FindingKey {
    type Err = TriageError;
    fn from_str(text: &str) -> Result<Self, TriageError> {
        let parse = || {
            let (rest, end) = text.rsplit_once('-')?;
            let (kind, start) = rest.rsplit_once('-')?;
            let valid = Kind::is_valid(kind);
            valid.then_some(Self { kind: kind.into(), start: start.parse().ok()?, end: end.parse().ok()? })
        };
        parse().ok_or(TriageError::NotFound { what: "finding" })
    }
}

/// A finding with what people decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    pub key: FindingKey,
    pub group: Group,
    pub confidence: f32,
    pub validated: bool,
    pub detector: String,
    pub scanner: String,
    /// Nothing where nobody decided: then it is masked.
    pub accepted: Option<bool>,
}

/// A finding with everything that is known of it.
#[derive(Clone, Debug)]
pub struct FindingAt {
    pub judged: Judged,
    /// The line that it begins on, from 1.
    pub line: u64,
    /// Its pseudonym.
    pub label: String,
    /// The value, of a long one the beginning; nothing for those who may not see originals.
    pub value: Option<String>,
    /// Other accepted findings cover all of it, so that rejecting it does not unmask anything.
    pub covered: bool,
    /// Who decided about it or about all of its kind, and when.
    pub decided: Option<(String, i64)>,
}

/// How much of each line is read.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Of a line, at most, bytes.
    pub bytes: usize,
    /// A line (from 1) and a byte of the log that has to be in view on it; other lines are read from their beginning.
    pub at: Option<(u64, u64)>,
}

impl Window {
    /// The beginning of each line.
    #[must_use]
    pub const fn of(bytes: usize) -> Self {
        Self { bytes, at: None }
    }
}

/// One line of a log.
#[derive(Clone, Debug)]
pub struct Line {
    /// From 1.
    pub number: u64,
    /// Without its line break.
    pub text: String,
    /// Byte ranges within `text` (the end may lie beyond it), with their findings.
    pub findings: Vec<(usize, usize, Judged)>,
    /// Where `text` begins in the log.
    pub begin: u64,
    /// Bytes that were left off at the beginning.
    pub skipped: u64,
    /// Bytes that were left off at the end.
    pub clipped: u64,
}

/// One line as it would leave.
#[derive(Clone, Debug)]
pub struct MaskedLine {
    /// From 1.
    pub number: u64,
    pub text: Redacted,
    /// The bytes of the log that `text` stands for.
    pub begin: u64,
    pub source_bytes: u64,
    /// Bytes of the original that were left off at the beginning.
    pub skipped: u64,
    /// Bytes of the original that were left off at the end.
    pub clipped: u64,
    /// The pseudonym of a value that began before `text` and goes on in it.
    pub continues: Option<String>,
}

/// How many findings of a kind there are and how they were judged.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct KindSummary {
    pub kind: String,
    pub group: String,
    pub total: u64,
    pub accepted: u64,
    pub rejected: u64,
}

/// The code of a kind's group; of one that Fumehood does not know, the strictest.
pub fn group_of(kind: &str) -> &'static str {
    fumehood_redact::Kind::new(kind).known_group().unwrap_or(fumehood_redact::Group::Secret).code()
}

impl App {
    /// A log of an incident that the caller may read.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn log(&self, scope: &Scope, id: LogId) -> Result<LogFile, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        Ok(self.0.store.log(scope, id).await?)
    }

    /// An incident's logs.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn logs(&self, scope: &Scope, incident: IncidentId) -> Result<Vec<LogFile>, TriageError> {
        self.incident(scope, incident).await?;
        Ok(self.0.store.logs(scope, incident).await?)
    }

    /// The kinds of a log's findings.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn kinds(&self, scope: &Scope, log: LogId) -> Result<Vec<KindSummary>, TriageError> {
        self.log(scope, log).await?;
        let decisions = self.0.store.decisions(scope, log).await?;
        let counts = self.0.store.kinds(scope, log).await?;
        let summary = |count: fumehood_store::logs::KindCount| {
            let total = count.total as u64;
            let (accepted, rejected) = decisions.counts(&count.kind, total);
            KindSummary { kind: count.kind, group: count.group, total, accepted, rejected }
        };
        Ok(counts.into_iter().map(summary).collect())
    }
}

fn judged(stored: &StoredFinding, decisions: &Decisions) -> Judged {
    Judged {
        key: FindingKey { kind: stored.2.clone(), start: stored.0, end: stored.1 },
        group: Group::from_code(&stored.3),
        confidence: stored.4,
        validated: stored.5,
        detector: stored.6.clone(),
        scanner: stored.7.clone(),
        accepted: decisions.of(&stored.2, stored.0, stored.1),
    }
}

fn finding(judged: &Judged, start: usize, end: usize) -> Finding {
    Finding {
        kind: Kind::new(&judged.key.kind),
        group: judged.group,
        start,
        end,
        confidence: judged.confidence,
        validated: judged.validated,
        detector: judged.detector.clone(),
        scanner: judged.scanner.clone(),
    }
}
