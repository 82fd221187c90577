//! What goes over the wire. The store's own types stay inside: these are the promise.

use fumehood_triage::store::incidents::{Incident, IncidentFields};
use fumehood_triage::store::logs::LogFile;
use fumehood_triage::store::{clock, conversation, departures, documents, outside, timeline, whys};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Bytes as they are.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code, reason = "a name for the description of the API")]
pub struct RawBytes(Vec<u8>);

/// How bad an incident is.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Critical,
    High,
    Medium,
    Low,
}

/// How far an incident is.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Open,
    Investigating,
    Resolved,
    Closed,
}

/// What incidents are sorted by.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    Updated,
    Created,
    Severity,
    Number,
}

/// The word that stands for a choice.
pub fn word(choice: &impl Serialize) -> String {
    serde_json::to_value(choice).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// An incident.
#[derive(Serialize, ToSchema)]
pub struct IncidentOut {
    pub id: String,
    /// Counts from 1; people say INC-1.
    pub number: i64,
    pub title: String,
    pub description: String,
    #[schema(value_type = Severity)]
    pub severity: String,
    #[schema(value_type = Status)]
    pub status: String,
    pub category: String,
    pub tags: Vec<String>,
    pub created_at: String,
    pub updated_at: String,
    pub created_by: String,
    /// Nothing leaves this incident while it is.
    pub sash_lowered: bool,
    /// Goes back with an update.
    pub version: i64,
}

impl From<Incident> for IncidentOut {
    fn from(incident: Incident) -> Self {
        Self {
            id: incident.id.to_string(),
            number: incident.number,
            title: incident.title,
            description: incident.description,
            severity: incident.severity,
            status: incident.status,
            category: incident.category,
            tags: incident.tags,
            created_at: clock::rfc3339(incident.created_us),
            updated_at: clock::rfc3339(incident.updated_us),
            created_by: incident.created_by,
            sash_lowered: incident.sash_lowered_us.is_some(),
            version: incident.version,
        }
    }
}

/// A new incident.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIncident {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    pub title: String,
    #[serde(default)]
    pub description: String,
    /// medium where it is left out
    #[serde(default = "medium")]
    #[schema(value_type = Severity)]
    pub severity: String,
    /// open where it is left out
    #[serde(default = "open")]
    #[schema(value_type = Status)]
    pub status: String,
    #[serde(default)]
    pub category: String,
    #[serde(default)]
    pub tags: Vec<String>,
}

fn medium() -> String {
    "medium".into()
}

fn open() -> String {
    "open".into()
}

impl From<NewIncident> for IncidentFields {
    fn from(new: NewIncident) -> Self {
        Self {
            title: new.title,
            description: new.description,
            severity: new.severity,
            status: new.status,
            category: new.category,
            tags: new.tags,
        }
    }
}

/// Fields to change; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentPatch {
    /// The version that was read.
    pub version: i64,
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    pub title: Option<String>,
    pub description: Option<String>,
    #[schema(value_type = Option<Severity>)]
    pub severity: Option<String>,
    #[schema(value_type = Option<Status>)]
    pub status: Option<String>,
    pub category: Option<String>,
    pub tags: Option<Vec<String>>,
}

/// Which incidents.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct IncidentQuery {
    /// Words in title, description, category or tags.
    pub q: Option<String>,
    pub status: Option<Status>,
    pub severity: Option<Severity>,
    /// updated where it is left out
    pub sort: Option<Sort>,
    /// 50 where it is left out.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<usize>,
    #[param(maximum = 1_099_511_627_776_i64)]
    pub offset: Option<usize>,
}

/// A page of incidents.
#[derive(Serialize, ToSchema)]
pub struct IncidentPage {
    pub incidents: Vec<IncidentOut>,
    pub total: i64,
}

/// Lower or raise the sash.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SashIn {
    pub lowered: bool,
}

/// An event of a timeline.
#[derive(Serialize, ToSchema)]
pub struct EventOut {
    pub time: String,
    pub actor: String,
    pub kind: String,
    pub summary: String,
}

impl From<timeline::TimelineEvent> for EventOut {
    fn from(event: timeline::TimelineEvent) -> Self {
        Self { time: clock::rfc3339(event.time_us), actor: event.actor, kind: event.kind, summary: event.summary }
    }
}

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

/// Something to say to the model.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SayIn {
    #[schema(min_length = 1, max_length = 65536, pattern = r"\S")]
    pub text: String,
}

/// A turn of the conversation with its messages.
#[derive(Serialize, ToSchema)]
pub struct TurnOut {
    pub id: String,
    /// running, waiting, done, failed or stopped
    pub state: String,
    pub problem: String,
    pub created_at: String,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub messages: Vec<MessageOut>,
}

/// A message. Of the model's, pseudonyms stand where it wrote them.
#[derive(Serialize, ToSchema)]
pub struct MessageOut {
    pub role: String,
    pub text: String,
    pub tool_calls: Vec<CallOut>,
    pub complete: bool,
}

/// A tool call that the model asked for. A person approves it in the browser.
#[derive(Serialize, ToSchema)]
pub struct CallOut {
    pub id: String,
    pub name: String,
    pub arguments: String,
}

impl TurnOut {
    /// A turn with its messages, masked by the caller.
    pub fn new(turn: conversation::Turn, messages: Vec<MessageOut>) -> Self {
        Self {
            id: turn.id.to_string(),
            state: turn.state,
            problem: turn.problem,
            created_at: clock::rfc3339(turn.created_us),
            input_tokens: turn.input_tokens,
            output_tokens: turn.output_tokens,
            messages,
        }
    }
}

/// Something that left.
#[derive(Serialize, ToSchema)]
pub struct DepartureOut {
    pub id: String,
    /// model, tool or publish
    pub kind: String,
    pub destination: String,
    pub method: String,
    pub url: String,
    pub bytes: i64,
    pub sha256: String,
    pub masked: Vec<MaskedOut>,
    pub time: String,
    pub status: Option<i64>,
    pub result: String,
}

/// How many values of a type were masked.
#[derive(Serialize, ToSchema)]
pub struct MaskedOut {
    #[serde(rename = "type")]
    pub kind: String,
    pub count: u64,
}

impl From<departures::Departure> for DepartureOut {
    fn from(departure: departures::Departure) -> Self {
        Self {
            id: departure.id.to_string(),
            kind: departure.kind,
            destination: departure.destination,
            method: departure.method,
            url: departure.url,
            bytes: departure.body_bytes,
            sha256: departure.body_sha256,
            masked: departure.masked.into_iter().map(|(kind, count)| MaskedOut { kind, count }).collect(),
            time: clock::rfc3339(departure.time_us),
            status: departure.status,
            result: departure.result,
        }
    }
}

/// A why.
#[derive(Serialize, ToSchema)]
pub struct WhyOut {
    pub id: String,
    pub position: i64,
    pub question: String,
    pub answer: String,
    pub root_cause: bool,
    pub evidence: Vec<EvidenceOut>,
}

/// Lines of a log that support an answer.
#[derive(Serialize, ToSchema)]
pub struct EvidenceOut {
    pub log_id: String,
    pub log_name: String,
    /// The first one, from 1.
    pub line: i64,
    /// The last one; the first for a single line.
    pub last_line: i64,
    pub note: String,
}

impl From<whys::Why> for WhyOut {
    fn from(why: whys::Why) -> Self {
        let evidence = |one: whys::Evidence| EvidenceOut {
            log_id: one.log_id.to_string(),
            log_name: one.log_name,
            line: one.line,
            last_line: one.last_line,
            note: one.note,
        };
        Self {
            id: why.id.to_string(),
            position: why.position,
            question: why.question,
            answer: why.answer,
            root_cause: why.root_cause,
            evidence: why.evidence.into_iter().map(evidence).collect(),
        }
    }
}

/// A new why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WhyIn {
    #[schema(min_length = 1, pattern = r"\S")]
    pub question: String,
    #[serde(default)]
    pub answer: String,
    /// It is the root cause.
    #[serde(default)]
    pub root_cause: bool,
}

/// The document of an incident.
#[derive(Serialize, ToSchema)]
pub struct DocumentOut {
    pub title: String,
    pub markdown: String,
    pub version: i64,
    pub updated_at: String,
}

impl From<documents::Document> for DocumentOut {
    fn from(document: documents::Document) -> Self {
        Self {
            title: document.title,
            markdown: document.markdown,
            version: document.version,
            updated_at: clock::rfc3339(document.updated_us),
        }
    }
}

/// A document to save.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentIn {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    pub title: String,
    pub markdown: String,
    /// The version that was read; 0 for a new one.
    pub version: i64,
}

/// The version that was read.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VersionIn {
    pub version: i64,
}

/// Publishing.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishIn {
    /// Overwrite what someone else changed there.
    #[serde(default)]
    pub overwrite: bool,
}

/// What was published.
#[derive(Serialize, ToSchema)]
pub struct PublicationOut {
    pub state: String,
    pub url: String,
    pub title: String,
    pub remote_id: String,
    pub remote_version: String,
}

impl From<documents::Publication> for PublicationOut {
    fn from(publication: documents::Publication) -> Self {
        Self {
            state: publication.state,
            url: publication.url,
            title: publication.title,
            remote_id: publication.remote_id,
            remote_version: publication.remote_version,
        }
    }
}

/// The model that is set up. Its key is never read back.
#[derive(Serialize, ToSchema)]
pub struct ModelOut {
    pub base_url: String,
    pub model: String,
    pub has_key: bool,
}

/// An MCP server.
#[derive(Serialize, ToSchema)]
pub struct ServerOut {
    pub id: String,
    pub name: String,
    pub transport: String,
    pub url: String,
    pub command: String,
    /// pending, connected, unreachable or error
    pub state: String,
    pub reason: String,
    /// Tools that it has.
    pub tools: usize,
    /// Why some of them are not offered to the model, each in a sentence.
    pub refused: Vec<String>,
}

impl ServerOut {
    /// A server with what the catalogue of tools says about it.
    pub fn new(server: outside::McpServer, refused: Vec<String>) -> Self {
        Self {
            refused,
            id: server.id.to_string(),
            name: server.name,
            transport: server.transport,
            url: server.url,
            command: server.command,
            state: server.state,
            reason: server.reason,
            tools: server.tools.as_array().map_or(0, Vec::len),
        }
    }
}

/// An id that was made.
#[derive(Serialize, ToSchema)]
pub struct IdOut {
    pub id: String,
}

/// A plugin.
#[derive(Serialize, ToSchema)]
pub struct PluginOut {
    pub name: String,
    pub version: String,
    pub world: String,
    pub digest: String,
    /// What it may do, in sentences.
    pub may: Vec<String>,
}

/// Which entries of the audit log.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Entries before this index; newest come first.
    #[param(maximum = 9_223_372_036_854_775_807_i64)]
    pub before: Option<usize>,
    /// Such as incident:018f…
    pub target: Option<String>,
    /// Actions that begin so: incident.
    pub action: Option<String>,
    /// 100 where it is left out.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<usize>,
}

/// Entries of the audit log.
#[derive(Serialize, ToSchema)]
pub struct AuditPage {
    pub entries: Vec<AuditEntryOut>,
}

/// One entry.
#[derive(Serialize, ToSchema)]
pub struct AuditEntryOut {
    pub index: u64,
    pub time: String,
    pub actor: String,
    pub action: String,
    pub target: String,
    /// intent, outcome, event or done
    pub phase: String,
    /// For an outcome: the index of its intent.
    pub intent: Option<u64>,
    pub result: String,
    pub details: std::collections::BTreeMap<String, String>,
    /// The leaf of the Merkle tree, Base 64.
    pub leaf: String,
}

/// The newest signed checkpoint.
#[derive(Serialize, ToSchema)]
pub struct CheckpointOut {
    pub size: u64,
    pub note: String,
}
