//! Incidents and the sash.

use fumehood_policy::Permission;
use fumehood_store::incidents::{Incident, IncidentFields, IncidentFilter};
use fumehood_store::timeline::TimelineEvent;
use fumehood_store::{IncidentId, Scope};

use crate::{App, TriageError};

/// What an incident may be.
pub const SEVERITIES: [&str; 4] = ["critical", "high", "medium", "low"];
/// Where an incident may stand.
pub const STATUSES: [&str; 4] = ["open", "investigating", "resolved", "closed"];

/// Longest title, characters.
const TITLE: usize = 200;
/// Longest description, bytes.
const DESCRIPTION: usize = 64 << 10;
/// Most tags, and the longest of them in characters.
const TAGS: (usize, usize) = (20, 50);

/// Check and tidy what a person wrote.
///
/// # Errors
/// `Invalid` with the field.
pub fn check_fields(mut fields: IncidentFields) -> Result<IncidentFields, TriageError> {
    fields.title = fields.title.trim().to_owned();
    fields.category = fields.category.trim().to_owned();
    if fields.title.is_empty() {
        return Err(TriageError::invalid("title", "Give the incident a title."));
    }
    if fields.title.chars().count() > TITLE {
        return Err(TriageError::invalid("title", format!("A title has at most {TITLE} characters.")));
    }
    if fields.title.chars().any(char::is_control) {
        return Err(TriageError::invalid("title", "A title is one line of text."));
    }
    if fields.description.len() > DESCRIPTION {
        return Err(TriageError::invalid("description", "The description is over 64 KiB. Attach it as a log instead."));
    }
    if fields.category.chars().count() > 100 {
        return Err(TriageError::invalid("category", "A category has at most 100 characters."));
    }
    if !SEVERITIES.contains(&fields.severity.as_str()) {
        return Err(TriageError::invalid("severity", format!("Severity is one of {}.", SEVERITIES.join(", "))));
    }
    if !STATUSES.contains(&fields.status.as_str()) {
        return Err(TriageError::invalid("status", format!("Status is one of {}.", STATUSES.join(", "))));
    }
    let mut tags: Vec<String> = Vec::new();
    for tag in fields.tags.iter().map(|tag| tag.trim()).filter(|tag| !tag.is_empty()) {
        if tag.chars().count() > TAGS.1 {
            return Err(TriageError::invalid("tags", format!("A tag has at most {} characters.", TAGS.1)));
        }
        if !tags.iter().any(|known| known == tag) {
            tags.push(tag.to_owned());
        }
    }
    if tags.len() > TAGS.0 {
        return Err(TriageError::invalid("tags", format!("An incident has at most {} tags.", TAGS.0)));
    }
    fields.tags = tags;
    Ok(fields)
}

impl App {
    /// Create an incident.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`, `DiskFull`.
    pub async fn create_incident(&self, scope: &Scope, fields: IncidentFields) -> Result<Incident, TriageError> {
        self.require(scope, Permission::WriteIncidents)?;
        Ok(self.0.store.create_incident(scope, check_fields(fields)?).await?)
    }

    /// Change an incident; `seen` is the version that the person saw.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`, `NotFound`, `Conflict`.
    pub async fn update_incident(
        &self,
        scope: &Scope,
        id: IncidentId,
        seen: i64,
        fields: IncidentFields,
    ) -> Result<Incident, TriageError> {
        self.require(scope, Permission::WriteIncidents)?;
        Ok(self.0.store.update_incident(scope, id, seen, check_fields(fields)?).await?)
    }

    /// One incident.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn incident(&self, scope: &Scope, id: IncidentId) -> Result<Incident, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        Ok(self.0.store.incident(scope, id).await?)
    }

    /// Incidents and how many there are in all.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn incidents(
        &self,
        scope: &Scope,
        mut filter: IncidentFilter,
    ) -> Result<(Vec<Incident>, i64), TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        filter.limit = filter.limit.clamp(1, 200);
        let blank = |text: &Option<String>| text.as_deref().is_some_and(|text| text.trim().is_empty());
        for field in [&mut filter.text, &mut filter.status, &mut filter.severity] {
            if blank(field) {
                *field = None;
            }
        }
        Ok(self.0.store.incidents(scope, filter).await?)
    }

    /// Lower the sash: nothing leaves from now on, and what is in flight is cancelled. Or raise it again.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn set_sash(&self, scope: &Scope, id: IncidentId, lowered: bool) -> Result<Incident, TriageError> {
        self.require(scope, Permission::RunModel)?;
        if lowered {
            // First what is in flight, then the record of it: a full disk must not keep the sash open.
            self.sash(id).cancel();
        }
        let incident = self.0.store.set_sash(scope, id, lowered).await?;
        if !lowered && let Ok(mut sashes) = self.0.sashes.lock() {
            sashes.remove(&id);
        }
        Ok(incident)
    }

    /// The incident's timeline, oldest first.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn timeline(&self, scope: &Scope, id: IncidentId) -> Result<Vec<TimelineEvent>, TriageError> {
        self.incident(scope, id).await?;
        Ok(self.0.store.timeline(scope, id, 2_000).await?)
    }
}
