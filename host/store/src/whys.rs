//! The whys: questions and answers down to the root cause, with evidence in log lines.

use rusqlite::OptionalExtension as _;
use sha2::{Digest as _, Sha256};

use crate::record::Change;
use crate::{EvidenceId, IncidentId, LogId, Scope, Store, StoreError, WhyId, logs};

/// One why with its evidence.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Why {
    pub id: WhyId,
    /// From 1.
    pub position: i64,
    pub question: String,
    pub answer: String,
    pub root_cause: bool,
    pub evidence: Vec<Evidence>,
}

impl Why {
    /// What names the texts as they stand: who changes them says which ones they saw.
    #[must_use]
    pub fn seen(&self) -> String {
        seen(&self.question, &self.answer)
    }
}

/// See [`Why::seen`].
fn seen(question: &str, answer: &str) -> String {
    let digest = Sha256::new().chain_update(question).chain_update([0]).chain_update(answer).finalize();
    data_encoding::HEXLOWER.encode(digest.get(..8).unwrap_or_default())
}

/// Lines of a log that support an answer.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Evidence {
    pub id: EvidenceId,
    pub log_id: LogId,
    pub log_name: String,
    /// The first one, from 1.
    pub line: i64,
    /// The last one; the first for a single line.
    pub last_line: i64,
    pub note: String,
}

/// Most whys of an incident; five is the method, more happens.
pub const MAX_WHYS: i64 = 20;

impl Store {
    /// All whys, in order.
    ///
    /// # Errors
    /// What the database says.
    pub async fn whys(&self, scope: &Scope, incident: IncidentId) -> Result<Vec<Why>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(
                "SELECT id, position, question, answer, root_cause FROM whys
                 WHERE tenant_id = ?1 AND incident_id = ?2 ORDER BY position",
            )?;
            let mut whys: Vec<Why> = statement
                .query_map((&tenant, incident), |row| {
                    Ok(Why {
                        id: row.get(0)?,
                        position: row.get(1)?,
                        question: row.get(2)?,
                        answer: row.get(3)?,
                        root_cause: row.get(4)?,
                        evidence: Vec::new(),
                    })
                })?
                .collect::<Result<_, _>>()?;
            let mut statement = connection.prepare_cached(
                "SELECT e.id, e.log_id, l.name, e.line, e.last_line, e.note FROM why_evidence e JOIN logs l ON l.id = e.log_id
                 WHERE e.tenant_id = ?1 AND e.why_id = ?2 ORDER BY e.id",
            )?;
            for why in &mut whys {
                why.evidence = statement
                    .query_map((&tenant, why.id), |row| {
                        Ok(Evidence {
                            id: row.get(0)?,
                            log_id: row.get(1)?,
                            log_name: row.get(2)?,
                            line: row.get(3)?,
                            last_line: row.get(4)?,
                            note: row.get(5)?,
                        })
                    })?
                    .collect::<Result<_, _>>()?;
            }
            Ok(whys)
        })
        .await
    }

    /// Add a why at the end, or rewrite one whose texts are the ones that were seen ([`Why::seen`]).
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where there are enough, or where somebody has changed it.
    pub async fn put_why(
        &self,
        scope: &Scope,
        incident: IncidentId,
        id: Option<(WhyId, String)>,
        question: String,
        answer: String,
    ) -> Result<WhyId, StoreError> {
        let owner = scope.clone();
        let new = id.is_none();
        let (id, was) = id.unwrap_or_else(|| (WhyId::new(), String::new()));
        let change =
            Change::new(if new { "why.add" } else { "why.edit" }, format!("why:{id}")).with("incident", incident);
        self.change(scope, change, move |tx| {
            tx.incident(&owner, incident)?;
            if new {
                let position: i64 = tx.connection.query_row(
                    "SELECT coalesce(max(position), 0) + 1 FROM whys WHERE tenant_id = ?1 AND incident_id = ?2",
                    (&owner.tenant, incident),
                    |row| row.get(0),
                )?;
                if position > MAX_WHYS {
                    return Err(StoreError::Conflict(format!("An incident has at most {MAX_WHYS} whys.")));
                }
                tx.connection.execute(
                    "INSERT INTO whys (id, tenant_id, incident_id, position, question, answer, root_cause)
                     VALUES (?1,?2,?3,?4,?5,?6,0)",
                    (id, &owner.tenant, incident, position, &question, &answer),
                )?;
                tx.event(&owner, incident, "why", &format!("Why {position} added"), "whys")?;
            } else {
                let stored: Option<(String, String)> = tx
                    .connection
                    .query_row(
                        "SELECT question, answer FROM whys WHERE tenant_id = ?1 AND incident_id = ?2 AND id = ?3",
                        (&owner.tenant, incident, id),
                        |row| Ok((row.get(0)?, row.get(1)?)),
                    )
                    .optional()?;
                let (old_question, old_answer) = stored.ok_or_else(|| StoreError::not_found("why", id))?;
                if seen(&old_question, &old_answer) != was {
                    return Err(StoreError::Conflict(format!(
                        "Somebody changed it while you wrote, and nothing was overwritten. Saved is: “{old_question} \
                         {old_answer}”. Saving again replaces that by yours."
                    )));
                }
                tx.connection.execute(
                    "UPDATE whys SET question = ?4, answer = ?5 WHERE tenant_id = ?1 AND incident_id = ?2 AND id = ?3",
                    (&owner.tenant, incident, id, &question, &answer),
                )?;
                tx.event(&owner, incident, "why", "A why was edited", "whys")?;
            }
            Ok(id)
        })
        .await
    }

    /// Remove a why; those below move up.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn remove_why(&self, scope: &Scope, incident: IncidentId, id: WhyId) -> Result<(), StoreError> {
        let owner = scope.clone();
        self.change(scope, Change::new("why.remove", format!("why:{id}")), move |tx| {
            let position: Option<i64> = tx
                .connection
                .query_row(
                    "DELETE FROM whys WHERE tenant_id = ?1 AND incident_id = ?2 AND id = ?3 RETURNING position",
                    (&owner.tenant, incident, id),
                    |row| row.get(0),
                )
                .optional()?;
            let position = position.ok_or_else(|| StoreError::not_found("why", id))?;
            tx.connection.execute(
                "UPDATE whys SET position = position - 1 WHERE tenant_id = ?1 AND incident_id = ?2 AND position > ?3",
                (&owner.tenant, incident, position),
            )?;
            tx.event(&owner, incident, "why", &format!("Why {position} removed"), "whys")
        })
        .await
    }

    /// Mark the root cause; at most one why is.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn mark_root_cause(
        &self,
        scope: &Scope,
        incident: IncidentId,
        id: WhyId,
        is: bool,
    ) -> Result<(), StoreError> {
        let owner = scope.clone();
        self.change(scope, Change::new("why.root-cause", format!("why:{id}")).with("is", is), move |tx| {
            tx.connection.execute(
                "UPDATE whys SET root_cause = 0 WHERE tenant_id = ?1 AND incident_id = ?2",
                (&owner.tenant, incident),
            )?;
            let changed = tx.connection.execute(
                "UPDATE whys SET root_cause = ?4 WHERE tenant_id = ?1 AND incident_id = ?2 AND id = ?3",
                (&owner.tenant, incident, id, is),
            )?;
            if changed == 0 {
                return Err(StoreError::not_found("why", id));
            }
            let summary = if is { "Root cause marked" } else { "Root cause unmarked" };
            tx.event(&owner, incident, "why", summary, "whys")
        })
        .await
    }

    /// Link a log line of the same incident to a why.
    ///
    /// # Errors
    /// `NotFound`, `Invalid` where the log has no such line.
    pub async fn add_evidence(
        &self,
        scope: &Scope,
        incident: IncidentId,
        why: WhyId,
        log: LogId,
        lines: std::ops::RangeInclusive<i64>,
        note: String,
    ) -> Result<(), StoreError> {
        let owner = scope.clone();
        let id = EvidenceId::new();
        let (first, last) = lines.into_inner();
        let words = if first == last { format!("line {first}") } else { format!("lines {first} to {last}") };
        let change = Change::new("why.evidence", format!("why:{why}")).with("log", log).with("lines", &words);
        self.change(scope, change, move |tx| {
            let belongs: bool = tx.connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM whys WHERE tenant_id = ?1 AND incident_id = ?2 AND id = ?3)",
                (&owner.tenant, incident, why),
                |row| row.get(0),
            )?;
            if !belongs {
                return Err(StoreError::not_found("why", why));
            }
            let file = logs::find(tx.connection, &owner.tenant, log)?;
            if file.incident_id != incident {
                return Err(StoreError::not_found("log", log));
            }
            if first < 1 || first > last || last > file.lines {
                let message = format!("{} has lines 1 to {}; asked for: {words}.", file.name, file.lines);
                return Err(StoreError::Invalid(message));
            }
            tx.connection.execute(
                "INSERT INTO why_evidence (id, tenant_id, why_id, log_id, line, last_line, note)
                 VALUES (?1,?2,?3,?4,?5,?6,?7)",
                (id, &owner.tenant, why, log, first, last, &note),
            )?;
            tx.event(&owner, incident, "why", &format!("Evidence added: {} {words}", file.name), "whys")
        })
        .await
    }

    /// Remove a piece of evidence.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn remove_evidence(&self, scope: &Scope, incident: IncidentId, id: EvidenceId) -> Result<(), StoreError> {
        let owner = scope.clone();
        self.change(scope, Change::new("why.evidence-remove", format!("evidence:{id}")), move |tx| {
            let changed = tx.connection.execute(
                "DELETE FROM why_evidence WHERE tenant_id = ?1 AND id = ?2 AND why_id IN
                 (SELECT id FROM whys WHERE incident_id = ?3)",
                (&owner.tenant, id, incident),
            )?;
            if changed == 0 { Err(StoreError::not_found("evidence", id)) } else { Ok(()) }
        })
        .await
    }
}
