//! Incidents: what happened, how bad, where it stands; and the sash.

use rusqlite::{OptionalExtension as _, Row};

use crate::record::Change;
use crate::{IncidentId, Scope, Store, StoreError, Tx};

/// An incident.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Incident {
    pub id: IncidentId,
    /// What people call it: `INC-42`. Counts from 1 within a tenant.
    pub number: i64,
    pub title: String,
    pub description: String,
    /// `critical`, `high`, `medium` or `low`.
    pub severity: String,
    /// `open`, `investigating`, `resolved` or `closed`.
    pub status: String,
    pub category: String,
    pub tags: Vec<String>,
    pub created_us: i64,
    pub updated_us: i64,
    pub created_by: String,
    /// When the sash was lowered; nothing leaves while it is.
    pub sash_lowered_us: Option<i64>,
    /// Counts changes; an edit names the one it saw.
    pub version: i64,
}

/// The fields that a person writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IncidentFields {
    pub title: String,
    pub description: String,
    pub severity: String,
    pub status: String,
    pub category: String,
    pub tags: Vec<String>,
}

/// Which incidents to list.
#[derive(Clone, Debug, Default)]
pub struct IncidentFilter {
    /// Words in title, description, category or tags.
    pub text: Option<String>,
    pub status: Option<String>,
    pub severity: Option<String>,
    /// `updated` (default), `created`, `severity` or `number`.
    pub sort: Option<String>,
    pub limit: usize,
    pub offset: usize,
}

const COLUMNS: &str = "id, number, title, description, severity, status, category, tags, created_us, updated_us, \
                       created_by, sash_lowered_us, version";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Incident> {
    Ok(Incident {
        id: row.get(0)?,
        number: row.get(1)?,
        title: row.get(2)?,
        description: row.get(3)?,
        severity: row.get(4)?,
        status: row.get(5)?,
        category: row.get(6)?,
        tags: serde_json::from_str(&row.get::<_, String>(7)?).unwrap_or_default(),
        created_us: row.get(8)?,
        updated_us: row.get(9)?,
        created_by: row.get(10)?,
        sash_lowered_us: row.get(11)?,
        version: row.get(12)?,
    })
}

impl Store {
    /// Create an incident.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn create_incident(&self, scope: &Scope, fields: IncidentFields) -> Result<Incident, StoreError> {
        let id = IncidentId::new();
        let owner = scope.clone();
        let change = Change::new("incident.create", format!("incident:{id}")).with("severity", &fields.severity);
        self.change(scope, change, move |tx| {
            let number: i64 = tx
                .connection
                .prepare_cached("SELECT coalesce(max(number), 0) + 1 FROM incidents WHERE tenant_id = ?1")?
                .query_row([&owner.tenant], |row| row.get(0))?;
            let mut insert = tx.connection.prepare_cached(
                "INSERT INTO incidents (id, tenant_id, number, title, description, severity, status, category, tags,
                 created_us, updated_us, created_by, version) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?10,?11,1)",
            )?;
            insert.execute((
                id,
                &owner.tenant,
                number,
                &fields.title,
                &fields.description,
                &fields.severity,
                &fields.status,
                &fields.category,
                serde_json::to_string(&fields.tags)?,
                tx.now_us,
                owner.actor.to_string(),
            ))?;
            drop(insert);
            tx.event(&owner, id, "created", "Incident created", "")?;
            tx.incident(&owner, id)
        })
        .await
    }

    /// Write all fields. `seen` is the version that the person saw.
    ///
    /// # Errors
    /// `Conflict` where someone else was faster; nothing is overwritten.
    pub async fn update_incident(
        &self,
        scope: &Scope,
        id: IncidentId,
        seen: i64,
        fields: IncidentFields,
    ) -> Result<Incident, StoreError> {
        let owner = scope.clone();
        let change = Change::new("incident.update", format!("incident:{id}"))
            .with("severity", &fields.severity)
            .with("status", &fields.status);
        self.change(scope, change, move |tx| {
            let old = tx.incident(&owner, id)?;
            if old.version != seen {
                return Err(StoreError::Conflict(
                    "Someone else changed this incident while you were editing. Nothing was overwritten: compare with \
                     the current version and save again."
                        .into(),
                ));
            }
            tx.connection.execute(
                "UPDATE incidents SET title = ?3, description = ?4, severity = ?5, status = ?6, category = ?7, tags = ?8,
                 updated_us = ?9, version = version + 1 WHERE tenant_id = ?1 AND id = ?2",
                (
                    &owner.tenant,
                    id,
                    &fields.title,
                    &fields.description,
                    &fields.severity,
                    &fields.status,
                    &fields.category,
                    serde_json::to_string(&fields.tags)?,
                    tx.now_us,
                ),
            )?;
            for (what, before, after) in
                [("severity", &old.severity, &fields.severity), ("status", &old.status, &fields.status)]
            {
                if before != after {
                    tx.event(&owner, id, what, &format!("{what} changed from {before} to {after}"), "")?;
                }
            }
            if old.title != fields.title || old.description != fields.description {
                tx.event(&owner, id, "edited", "Title or description edited", "")?;
            }
            tx.incident(&owner, id)
        })
        .await
    }

    /// Lower or raise the sash.
    ///
    /// # Errors
    /// `NotFound`, or why nothing was written.
    pub async fn set_sash(&self, scope: &Scope, id: IncidentId, lowered: bool) -> Result<Incident, StoreError> {
        let owner = scope.clone();
        let action = if lowered { "sash.lower" } else { "sash.raise" };
        self.change(scope, Change::new(action, format!("incident:{id}")), move |tx| {
            let old = tx.incident(&owner, id)?;
            if old.sash_lowered_us.is_some() != lowered {
                tx.connection.execute(
                    "UPDATE incidents SET sash_lowered_us = ?3, version = version + 1 WHERE tenant_id = ?1 AND id = ?2",
                    (&owner.tenant, id, lowered.then_some(tx.now_us)),
                )?;
                let summary = if lowered { "Sash lowered: nothing leaves" } else { "Sash raised" };
                tx.event(&owner, id, "sash", summary, "")?;
            }
            tx.incident(&owner, id)
        })
        .await
    }

    /// One incident.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn incident(&self, scope: &Scope, id: IncidentId) -> Result<Incident, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| one(connection, &tenant, id)).await
    }

    /// The incident that people call by a number.
    ///
    /// # Errors
    /// What the database says.
    pub async fn incident_by_number(&self, scope: &Scope, number: i64) -> Result<Option<Incident>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let id: Option<IncidentId> = connection
                .query_row("SELECT id FROM incidents WHERE tenant_id = ?1 AND number = ?2", (&tenant, number), |row| {
                    row.get(0)
                })
                .optional()?;
            id.map(|id| one(connection, &tenant, id)).transpose()
        })
        .await
    }

    /// Incidents and how many there are in all.
    ///
    /// # Errors
    /// What the database says.
    pub async fn incidents(&self, scope: &Scope, filter: IncidentFilter) -> Result<(Vec<Incident>, i64), StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let order = match filter.sort.as_deref() {
                Some("created") => "created_us DESC",
                Some("number") => "number DESC",
                Some("severity") => {
                    "CASE severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END, updated_us DESC"
                }
                _ => "updated_us DESC",
            };
            let condition = "tenant_id = ?1 AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR severity = ?3)
                AND (?4 IS NULL OR instr(lower(title || ' ' || description || ' ' || category || ' ' || tags || ' inc-' || number), lower(?4)) > 0)";
            let total: i64 = connection.query_row(
                &format!("SELECT count(*) FROM incidents WHERE {condition}"),
                (&tenant, &filter.status, &filter.severity, &filter.text),
                |row| row.get(0),
            )?;
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM incidents WHERE {condition} ORDER BY {order}, id DESC LIMIT ?5 OFFSET ?6"
            ))?;
            let rows = statement.query_map(
                (&tenant, &filter.status, &filter.severity, &filter.text, filter.limit as i64, filter.offset as i64),
                from_row,
            )?;
            Ok((rows.collect::<Result<_, _>>()?, total))
        })
        .await
    }
}

fn one(connection: &rusqlite::Connection, tenant: &str, id: IncidentId) -> Result<Incident, StoreError> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM incidents WHERE tenant_id = ?1 AND id = ?2"))?
        .query_row((tenant, id), from_row)
        .optional()?
        .ok_or_else(|| StoreError::not_found("incident", id))
}

impl Tx<'_> {
    /// The incident as this transaction sees it.
    pub(crate) fn incident(&self, scope: &Scope, id: IncidentId) -> Result<Incident, StoreError> {
        one(self.connection, &scope.tenant, id)
    }

    /// Fail unless something may leave this incident; read in the same transaction as the intent.
    pub(crate) fn require_sash_open(&self, scope: &Scope, id: IncidentId) -> Result<(), StoreError> {
        match self.incident(scope, id)?.sash_lowered_us {
            None => Ok(()),
            Some(_) => Err(StoreError::Conflict(
                "The sash of this incident is lowered: nothing leaves until it is raised.".into(),
            )),
        }
    }
}
