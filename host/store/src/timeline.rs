//! An incident's timeline: what happened, in a sentence, with a link to the thing itself.

use crate::{Change, IncidentId, Scope, Store, StoreError, Tx};

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TimelineEvent {
    pub id: i64,
    pub time_us: i64,
    pub actor: String,
    /// `created`, `log`, `review`, `turn`, `tool`, `why`, `document`, `publish`, `sash`, …
    pub kind: String,
    pub summary: String,
    /// Path below the incident, or empty.
    pub link: String,
}

impl Tx<'_> {
    /// Add an event and touch the incident.
    pub(crate) fn event(
        &self,
        scope: &Scope,
        incident: IncidentId,
        kind: &str,
        summary: &str,
        link: &str,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO timeline (tenant_id, incident_id, time_us, actor, kind, summary, link)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute((&scope.tenant, incident, self.now_us, scope.actor.to_string(), kind, summary, link))?;
        self.connection
            .prepare_cached("UPDATE incidents SET updated_us = ?3 WHERE tenant_id = ?1 AND id = ?2")?
            .execute((&scope.tenant, incident, self.now_us))?;
        Ok(())
    }
}

impl Store {
    /// Add an event that is part of an action which is on record already.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn note(
        &self,
        scope: &Scope,
        incident: IncidentId,
        kind: &'static str,
        summary: String,
        link: String,
    ) -> Result<(), StoreError> {
        let scope = scope.clone();
        self.write(move |tx| tx.event(&scope, incident, kind, &summary, &link)).await
    }

    /// Add what somebody wrote to an incident's timeline.
    ///
    /// # Errors
    /// `NotFound`, or why nothing was written.
    pub async fn add_note(&self, scope: &Scope, incident: IncidentId, text: String) -> Result<(), StoreError> {
        let by = scope.clone();
        let change = Change::new("incident.note", format!("incident:{incident}")).with("bytes", text.len());
        self.change(scope, change, move |tx| tx.event(&by, incident, "note", &text, "")).await
    }

    /// The newest events, oldest first, at most `limit`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn timeline(
        &self,
        scope: &Scope,
        incident: IncidentId,
        limit: usize,
    ) -> Result<Vec<TimelineEvent>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(
                "SELECT id, time_us, actor, kind, summary, link FROM timeline
                 WHERE tenant_id = ?1 AND incident_id = ?2 ORDER BY id DESC LIMIT ?3",
            )?;
            let rows = statement.query_map((tenant, incident, limit as i64), |row| {
                Ok(TimelineEvent {
                    id: row.get(0)?,
                    time_us: row.get(1)?,
                    actor: row.get(2)?,
                    kind: row.get(3)?,
                    summary: row.get(4)?,
                    link: row.get(5)?,
                })
            })?;
            let mut events: Vec<_> = rows.collect::<Result<_, _>>()?;
            events.reverse();
            Ok(events)
        })
        .await
    }
}
