//! Rules of what is personal or secret, as people wrote them.
//!
//! Invariant: a document is replaced only by someone who has seen the one that is replaced.

use rusqlite::OptionalExtension as _;

use crate::record::Change;
use crate::{IncidentId, Scope, Store, StoreError};

/// A document of rules.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RuleDocument {
    /// Of one incident; nothing for the organisation's.
    pub incident: Option<IncidentId>,
    /// Unique among those of the same incident, or of the organisation.
    pub name: String,
    pub toml: String,
    /// Who wrote it last.
    pub actor: String,
    pub changed_us: i64,
}

impl Store {
    /// The documents of the organisation, or of an incident, by name.
    ///
    /// # Errors
    /// What the database says.
    pub async fn rules(&self, scope: &Scope, incident: Option<IncidentId>) -> Result<Vec<RuleDocument>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(
                "SELECT name, toml, actor, changed_us FROM detection_rules
                 WHERE tenant_id = ?1 AND incident_id IS ?2 ORDER BY name",
            )?;
            let rows = statement.query_map((&tenant, incident), |row| {
                Ok(RuleDocument {
                    incident,
                    name: row.get(0)?,
                    toml: row.get(1)?,
                    actor: row.get(2)?,
                    changed_us: row.get(3)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Write a document, in the place of the one that was seen: `was_us` is when that one was changed, nothing where
    /// there was none. `details` say what it holds, in numbers.
    ///
    /// # Errors
    /// `Conflict` where somebody else has changed it.
    pub async fn put_rules(
        &self,
        scope: &Scope,
        incident: Option<IncidentId>,
        (name, toml): (String, String),
        was_us: Option<i64>,
        details: Vec<(String, String)>,
    ) -> Result<(), StoreError> {
        let owner = scope.clone();
        let change = change("rules.change", incident, &name);
        let change = details.into_iter().fold(change, |change, (key, value)| change.with(&key, value));
        self.change(scope, change, move |tx| {
            if let Some(incident) = incident {
                tx.incident(&owner, incident)?;
            }
            let stored: Option<i64> = tx
                .connection
                .query_row(
                    "SELECT changed_us FROM detection_rules WHERE tenant_id = ?1 AND incident_id IS ?2 AND name = ?3",
                    (&owner.tenant, incident, &name),
                    |row| row.get(0),
                )
                .optional()?;
            if stored != was_us {
                return Err(StoreError::Conflict(
                    "Somebody else has changed these rules in the meantime. Load the page again and bring your change in.".into(),
                ));
            }
            tx.connection.execute(
                "DELETE FROM detection_rules WHERE tenant_id = ?1 AND incident_id IS ?2 AND name = ?3",
                (&owner.tenant, incident, &name),
            )?;
            tx.connection.execute(
                "INSERT INTO detection_rules (id, tenant_id, incident_id, name, toml, actor, changed_us)
                 VALUES (?1,?2,?3,?4,?5,?6,?7)",
                (crate::RulesId::new(), &owner.tenant, incident, &name, &toml, owner.actor.to_string(), tx.now_us),
            )?;
            Ok(())
        })
        .await
    }

    /// Remove a document.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn remove_rules(
        &self,
        scope: &Scope,
        incident: Option<IncidentId>,
        name: String,
    ) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.change(scope, change("rules.remove", incident, &name), move |tx| {
            let gone = tx.connection.execute(
                "DELETE FROM detection_rules WHERE tenant_id = ?1 AND incident_id IS ?2 AND name = ?3",
                (&tenant, incident, &name),
            )?;
            if gone == 0 { Err(StoreError::not_found("rules", name)) } else { Ok(()) }
        })
        .await
    }
}

fn change(action: &'static str, incident: Option<IncidentId>, name: &str) -> Change {
    let change = Change::new(action, format!("rules:{name}"));
    match incident {
        Some(incident) => change.with("incident", incident),
        None => change,
    }
}
