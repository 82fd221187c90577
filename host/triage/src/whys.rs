//! The whys.

use fumehood_policy::Permission;
use fumehood_store::whys::Why;
use fumehood_store::{EvidenceId, IncidentId, LogId, Scope, WhyId};

use crate::{App, TriageError};

/// Longest question or answer, bytes.
const TEXT: usize = 16 << 10;

/// Most lines of one piece of evidence: what is quoted in the document.
const EVIDENCE_LINES: i64 = 20;

impl App {
    /// All whys of an incident, in order.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn whys(&self, scope: &Scope, incident: IncidentId) -> Result<Vec<Why>, TriageError> {
        self.incident(scope, incident).await?;
        Ok(self.0.store.whys(scope, incident).await?)
    }

    /// Add a why, or rewrite one whose texts are the ones that were seen ([`fumehood_store::whys::Why::seen`]).
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Invalid`, `Conflict`.
    pub async fn put_why(
        &self,
        scope: &Scope,
        incident: IncidentId,
        id: Option<(WhyId, String)>,
        question: &str,
        answer: &str,
    ) -> Result<WhyId, TriageError> {
        self.require(scope, Permission::WriteIncidents)?;
        let (question, answer) = (question.trim(), answer.trim());
        if question.is_empty() {
            return Err(TriageError::invalid("question", "Ask a question: why did it happen?"));
        }
        if question.len() > TEXT || answer.len() > TEXT {
            return Err(TriageError::invalid("answer", "A question or an answer has at most 16 KiB."));
        }
        Ok(self.0.store.put_why(scope, incident, id, question.into(), answer.into()).await?)
    }

    /// Remove a why.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn remove_why(&self, scope: &Scope, incident: IncidentId, id: WhyId) -> Result<(), TriageError> {
        self.require(scope, Permission::WriteIncidents)?;
        Ok(self.0.store.remove_why(scope, incident, id).await?)
    }

    /// Mark or unmark the root cause.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn mark_root_cause(
        &self,
        scope: &Scope,
        incident: IncidentId,
        id: WhyId,
        is: bool,
    ) -> Result<(), TriageError> {
        self.require(scope, Permission::WriteIncidents)?;
        Ok(self.0.store.mark_root_cause(scope, incident, id, is).await?)
    }

    /// Link lines of a log to a why.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Invalid`.
    pub async fn add_evidence(
        &self,
        scope: &Scope,
        incident: IncidentId,
        why: WhyId,
        log: LogId,
        lines: std::ops::RangeInclusive<i64>,
        note: &str,
    ) -> Result<(), TriageError> {
        self.require(scope, Permission::WriteIncidents)?;
        if lines.end().saturating_sub(*lines.start()) >= EVIDENCE_LINES {
            let message = format!("Evidence is at most {EVIDENCE_LINES} lines; point at those that show it.");
            return Err(TriageError::invalid("lines", message));
        }
        let note: String = note.trim().chars().take(500).collect();
        Ok(self.0.store.add_evidence(scope, incident, why, log, lines, note).await?)
    }

    /// Remove a piece of evidence.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn remove_evidence(
        &self,
        scope: &Scope,
        incident: IncidentId,
        id: EvidenceId,
    ) -> Result<(), TriageError> {
        self.require(scope, Permission::WriteIncidents)?;
        Ok(self.0.store.remove_evidence(scope, incident, id).await?)
    }
}
