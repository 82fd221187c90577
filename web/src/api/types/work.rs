//! Conversations, departures, whys and documents.

use fumehood_triage::store::{clock, conversation, departures, documents, whys};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
    /// What to do about the problem: retry, fix-key, shorten, raise-budget or give-up; empty where there is none
    pub advice: String,
    pub created_at: String,
    /// The model that answers
    pub model: String,
    pub input_tokens: i64,
    pub output_tokens: i64,
    /// What it cost, in the currency of the models' prices; 0 where none is known
    pub cost: f64,
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
            advice: turn.advice,
            model: turn.model,
            cost: turn.cost as f64 / 1_000_000.0,
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
    /// The integration's id. Where it is missing: the one that the incident was published with before, or Confluence.
    #[serde(default)]
    pub to: Option<String>,
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
