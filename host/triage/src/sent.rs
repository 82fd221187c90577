//! What left: the sash and its list.

use fumehood_policy::Permission;
use fumehood_redact::{Origin, Segment, restore};
use fumehood_store::approvals::Approval;
use fumehood_store::departures::{Departure, SentTotals};
use fumehood_store::{ApprovalId, DepartureId, IncidentId, Scope};

use crate::{App, TriageError};

/// A piece of a text for the reader: as it stands, or a pseudonym with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Pseudonym { label: String, kind: String, original: Option<String> },
}

impl App {
    /// The sum of what left an incident.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn sent_totals(&self, scope: &Scope, incident: IncidentId) -> Result<SentTotals, TriageError> {
        self.incident(scope, incident).await?;
        Ok(self.0.store.sent_totals(scope, incident).await?)
    }

    /// Everything that left an incident, newest first.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn departures(&self, scope: &Scope, incident: IncidentId) -> Result<Vec<Departure>, TriageError> {
        self.incident(scope, incident).await?;
        Ok(self.0.store.departures(scope, incident).await?)
    }

    /// One departure with the exact bytes of its body.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn departure(
        &self,
        scope: &Scope,
        incident: IncidentId,
        id: DepartureId,
    ) -> Result<(Departure, Vec<u8>), TriageError> {
        self.incident(scope, incident).await?;
        Ok(self.0.store.departure(scope, incident, id).await?)
    }

    /// A text of this incident with its pseudonyms told apart; their values only for whoever may see them.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn pieces(&self, scope: &Scope, incident: IncidentId, text: &str) -> Result<Vec<Piece>, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        let may_see = self.require(scope, Permission::RevealOriginals).is_ok();
        let mut book = self.book(scope, incident).await?;
        let pieces = restore(text, book.pseudonyms()).into_iter().map(|segment| match segment {
            Segment::Text(text) => Piece::Text(text.to_owned()),
            Segment::Pseudonym { label, original } => Piece::Pseudonym {
                label: label.to_string(),
                kind: label.kind.as_str().to_owned(),
                original: original.filter(|_| may_see).map(str::to_owned),
            },
        });
        Ok(pieces.collect())
    }

    /// A text of this incident that is still arriving, masked.
    ///
    /// # Errors
    /// `Forbidden`, or where it could not be masked.
    pub async fn masked_arriving(
        &self,
        scope: &Scope,
        incident: IncidentId,
        text: &str,
    ) -> Result<String, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        Ok(self.mask_passing(scope, incident, text).await?.as_str().to_owned())
    }

    /// A text of this incident as it would leave.
    ///
    /// # Errors
    /// `Forbidden`, or where it could not be scanned.
    pub async fn masked_text(&self, scope: &Scope, incident: IncidentId, text: &str) -> Result<String, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        Ok(self.mask_one(scope, incident, Origin::Reply, text).await?.as_str().to_owned())
    }

    /// What a tool brought back, as the model is given it.
    ///
    /// # Errors
    /// `Forbidden`, or where it could not be scanned.
    pub async fn masked_result(&self, scope: &Scope, call: &Approval) -> Result<String, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        Ok(self.mask_result(scope, call).await?.as_str().to_owned())
    }

    /// All that a tool brought back, masked.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, or where it could not be scanned.
    pub async fn whole_result(
        &self,
        scope: &Scope,
        incident: IncidentId,
        call: ApprovalId,
    ) -> Result<String, TriageError> {
        self.incident(scope, incident).await?;
        let call = self.0.store.approval(scope, call).await?;
        if call.incident_id != incident {
            return Err(TriageError::NotFound { what: "tool call" });
        }
        Ok(self.mask_one(scope, incident, Origin::Raw, &call.result).await?.as_str().to_owned())
    }
}
