//! Incidents, the sash and the timeline.

use fumehood_triage::store::incidents::{Incident, IncidentFields};
use fumehood_triage::store::{clock, timeline};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

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
