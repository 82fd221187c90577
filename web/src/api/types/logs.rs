//! Logs and findings.

use fumehood_triage::store::clock;
use fumehood_triage::store::logs::LogFile;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A log file.
#[derive(Serialize, ToSchema)]
pub struct LogOut {
    pub id: String,
    pub incident_id: String,
    pub name: String,
    /// plain, gzip or zstd, as it arrived
    pub encoding: String,
    /// receiving, ready, failed or cancelled
    pub state: String,
    /// Why it failed.
    pub reason: String,
    /// Of the text, in hexadecimal.
    pub sha256: String,
    pub received_bytes: i64,
    pub text_bytes: i64,
    pub lines: i64,
    /// Byte sequences that were not UTF-8.
    pub replaced: i64,
    pub created_at: String,
    pub created_by: String,
    /// This text was in the incident already; this is the earlier log, and nothing was added.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
}

impl From<LogFile> for LogOut {
    fn from(log: LogFile) -> Self {
        Self {
            id: log.id.to_string(),
            incident_id: log.incident_id.to_string(),
            name: log.name,
            encoding: log.encoding,
            state: log.state,
            reason: log.reason,
            sha256: log.sha256,
            received_bytes: log.received_bytes,
            text_bytes: log.text_bytes,
            lines: log.lines,
            replaced: log.replaced,
            created_at: clock::rfc3339(log.created_us),
            created_by: log.created_by,
            duplicate: false,
        }
    }
}

/// The name of a log.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UploadQuery {
    /// The file's name.
    #[param(min_length = 1, max_length = 200, pattern = r"\S")]
    pub name: String,
}

/// A part of a log's findings.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FindingsQuery {
    /// `next` of the page before.
    pub cursor: Option<i64>,
    /// About how many; 10,000 where it is left out.
    #[param(minimum = 1, maximum = 50000)]
    pub limit: Option<usize>,
}

/// A page of findings.
#[derive(Serialize, ToSchema)]
pub struct FindingsPage {
    pub kinds: Vec<KindOut>,
    pub findings: Vec<FindingOut>,
    /// Where the next page begins; nothing at the end.
    pub next: Option<i64>,
}

/// How many findings of a type there are.
#[derive(Serialize, ToSchema)]
pub struct KindOut {
    #[serde(rename = "type")]
    pub kind: String,
    /// structured, secret or contextual
    pub group: String,
    pub total: u64,
    pub accepted: u64,
    pub rejected: u64,
}

/// A finding. It never holds the value.
#[derive(Serialize, ToSchema)]
pub struct FindingOut {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub group: String,
    /// Byte range in the log.
    pub start: u64,
    pub end: u64,
    pub confidence: f32,
    pub validated: bool,
    pub detector: String,
    pub scanner: String,
    pub verdict: Verdict,
}

/// A judgement about one finding (`id`) or all of a type (`type`).
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionIn {
    pub id: Option<String>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub verdict: Verdict,
}

/// What is thought of a finding. Until it is rejected, it is masked.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Accepted,
    Rejected,
    Pending,
}

/// How many findings a judgement was about.
#[derive(Serialize, ToSchema)]
pub struct DecisionOut {
    pub changed: u64,
}
