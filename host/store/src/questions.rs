//! What servers ask in the middle of a tool's call: something of a person, or an answer of the model.
//!
//! Invariant: a question is decided once, by a person, while the call that it belongs to runs; what is answered is on disk,
//! masked, before the server is told.

use rusqlite::{Connection, OptionalExtension as _, Row};
use sha2::{Digest as _, Sha256};

use fumehood_policy::Digest;

use crate::record::Change;
use crate::{ApprovalId, IncidentId, QuestionId, Scope, Store, StoreError};

/// A question, and what became of it.
#[derive(Clone, Debug)]
pub struct Question {
    pub id: QuestionId,
    pub incident_id: IncidentId,
    /// The call in which it is asked.
    pub approval_id: ApprovalId,
    /// `form`, `url` or `sample`.
    pub kind: String,
    /// The protocol's `params` as JSON, as they came; raw, a stranger's text.
    pub asked: String,
    /// `pending`, `accepted`, `declined`, `cancelled`, `expired` or `over`.
    pub state: String,
    /// What the server was told, as JSON, masked; empty for nothing.
    pub answer: String,
    pub decided_by: Option<String>,
    pub expires_us: i64,
    pub created_us: i64,
}

const COLUMNS: &str = "id, incident_id, approval_id, kind, asked, state, answer, decided_by, expires_us, created_us";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Question> {
    Ok(Question {
        id: row.get(0)?,
        incident_id: row.get(1)?,
        approval_id: row.get(2)?,
        kind: row.get(3)?,
        asked: row.get(4)?,
        state: row.get(5)?,
        answer: row.get(6)?,
        decided_by: row.get(7)?,
        expires_us: row.get(8)?,
        created_us: row.get(9)?,
    })
}

fn one(connection: &Connection, tenant: &str, id: QuestionId) -> Result<Question, StoreError> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM questions WHERE tenant_id = ?1 AND id = ?2"))?
        .query_row((tenant, id), from_row)
        .optional()?
        .ok_or_else(|| StoreError::not_found("question", id))
}

impl Store {
    /// Put a question before a person.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn put_question(&self, scope: &Scope, question: Question, summary: String) -> Result<(), StoreError> {
        let owner = scope.clone();
        let change = Change::new("question.ask", format!("question:{}", question.id))
            .with("kind", &question.kind)
            .with("approval", question.approval_id)
            .with("sha256", Digest::new(Sha256::digest(&question.asked).into()));
        self.change(scope, change, move |tx| {
            tx.connection.execute(
                "INSERT INTO questions (id, tenant_id, incident_id, approval_id, kind, asked, state, answer, expires_us,
                 created_us) VALUES (?1,?2,?3,?4,?5,?6,'pending','',?7,?8)",
                (
                    question.id,
                    &owner.tenant,
                    question.incident_id,
                    question.approval_id,
                    &question.kind,
                    &question.asked,
                    question.expires_us,
                    tx.now_us,
                ),
            )?;
            let link = format!("chat#call-{}", question.approval_id);
            tx.event(&owner, question.incident_id, "tool", &summary, &link)
        })
        .await
    }

    /// Decide about a question, once. `state` is what it becomes, `answer` what the server will be told, masked.
    ///
    /// # Errors
    /// `Conflict` where it was decided already or has expired, or the incident's sash is lowered.
    pub async fn decide_question(
        &self,
        scope: &Scope,
        id: QuestionId,
        state: &'static str,
        answer: String,
    ) -> Result<(), StoreError> {
        let owner = scope.clone();
        let change = Change::new("question.decide", format!("question:{id}"))
            .with("state", state)
            .with("sha256", Digest::new(Sha256::digest(&answer).into()));
        self.change(scope, change, move |tx| {
            let found = one(tx.connection, &owner.tenant, id)?;
            if state == "accepted" {
                tx.require_sash_open(&owner, found.incident_id)?;
            }
            let changed = tx.connection.execute(
                "UPDATE questions SET state = ?3, answer = ?4, decided_by = ?5, decided_us = ?6
                 WHERE tenant_id = ?1 AND id = ?2 AND state = 'pending' AND expires_us > ?6",
                (&owner.tenant, id, state, &answer, owner.actor.to_string(), tx.now_us),
            )?;
            if changed == 0 {
                let is = if found.state == "pending" { "expired" } else { found.state.as_str() };
                return Err(StoreError::Conflict(format!("This question cannot be answered any more: it is {is}.")));
            }
            let did = match state {
                "accepted" => "Answered the server's question",
                "declined" => "Declined the server's question",
                _ => "Dismissed the server's question",
            };
            let link = format!("chat#call-{}", found.approval_id);
            tx.event(&owner, found.incident_id, "tool", did, &link)
        })
        .await
    }

    /// One question.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn question(&self, scope: &Scope, id: QuestionId) -> Result<Question, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| one(connection, &tenant, id)).await
    }

    /// The questions of an incident, oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn questions(&self, scope: &Scope, incident: IncidentId) -> Result<Vec<Question>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM questions WHERE tenant_id = ?1 AND incident_id = ?2 ORDER BY id"
            ))?;
            Ok(statement.query_map((tenant, incident), from_row)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// What nobody has answered by the end of a call is over; `state` says why. Part of an action that is on record.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn close_questions(
        &self,
        scope: &Scope,
        approval: ApprovalId,
        state: &'static str,
    ) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.write(move |tx| {
            tx.connection.execute(
                "UPDATE questions SET state = ?3 WHERE tenant_id = ?1 AND approval_id = ?2 AND state = 'pending'",
                (tenant, approval, state),
            )?;
            Ok(())
        })
        .await
    }

    /// Nobody has answered this one; `state` says why. Part of an action that is on record.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn end_question(&self, scope: &Scope, id: QuestionId, state: &'static str) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.write(move |tx| {
            tx.connection.execute(
                "UPDATE questions SET state = ?3 WHERE tenant_id = ?1 AND id = ?2 AND state = 'pending'",
                (tenant, id, state),
            )?;
            Ok(())
        })
        .await
    }

    /// Keep what the model answered to a server. Part of an action that is on record.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn keep_answer(&self, scope: &Scope, id: QuestionId, answer: String) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.write(move |tx| {
            tx.connection
                .execute("UPDATE questions SET answer = ?3 WHERE tenant_id = ?1 AND id = ?2", (tenant, id, answer))?;
            Ok(())
        })
        .await
    }
}
