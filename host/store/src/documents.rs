//! The root-cause analysis, and where it was published.
//!
//! A publication is an outbox row: it is `publishing` on disk before anything is sent, and keeps the deterministic
//! marker by which a later attempt finds what an earlier one may have created.

use rusqlite::{OptionalExtension as _, Row};
use sha2::{Digest as _, Sha256};

use crate::record::{Change, hex};
use crate::{IncidentId, IntegrationId, Scope, Store, StoreError};

/// The document of an incident.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Document {
    pub title: String,
    pub markdown: String,
    /// Counts saves; an edit names the one it saw. 0 for a document that does not exist yet.
    pub version: i64,
    pub updated_us: i64,
    pub updated_by: String,
}

/// A publication of the document in one place.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Publication {
    pub integration_id: IntegrationId,
    pub marker: String,
    /// `publishing`, `published`, `conflict`, `failed` or `unknown`.
    pub state: String,
    pub problem: String,
    /// After a conflict: where their text begins to differ.
    pub theirs: String,
    pub project: String,
    pub remote_id: String,
    pub remote_version: String,
    pub content_sha256: String,
    pub url: String,
    pub title: String,
    /// The version of the document that was sent last; 0 where none arrived.
    pub document_version: i64,
    pub updated_us: i64,
    pub updated_by: String,
}

const PUBLICATION: &str = "integration_id, marker, state, problem, project, remote_id, remote_version, content_sha256, \
                           url, title, document_version, updated_us, theirs, updated_by";

fn publication(row: &Row<'_>) -> rusqlite::Result<Publication> {
    Ok(Publication {
        integration_id: row.get(0)?,
        marker: row.get(1)?,
        state: row.get(2)?,
        problem: row.get(3)?,
        project: row.get(4)?,
        remote_id: row.get(5)?,
        remote_version: row.get(6)?,
        content_sha256: row.get(7)?,
        url: row.get(8)?,
        title: row.get(9)?,
        document_version: row.get(10)?,
        updated_us: row.get(11)?,
        theirs: row.get(12)?,
        updated_by: row.get(13)?,
    })
}

impl Store {
    /// The document, where there is one.
    ///
    /// # Errors
    /// What the database says.
    pub async fn document(&self, scope: &Scope, incident: IncidentId) -> Result<Option<Document>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            Ok(connection
                .query_row(
                    "SELECT title, markdown, version, updated_us, updated_by FROM documents
                     WHERE tenant_id = ?1 AND incident_id = ?2",
                    (tenant, incident),
                    |row| {
                        Ok(Document {
                            title: row.get(0)?,
                            markdown: row.get(1)?,
                            version: row.get(2)?,
                            updated_us: row.get(3)?,
                            updated_by: row.get(4)?,
                        })
                    },
                )
                .optional()?)
        })
        .await
    }

    /// Save the document over the version that the person saw.
    ///
    /// # Errors
    /// `Conflict` where someone else saved meanwhile; nothing is overwritten.
    pub async fn save_document(
        &self,
        scope: &Scope,
        incident: IncidentId,
        seen: i64,
        title: String,
        markdown: String,
    ) -> Result<i64, StoreError> {
        let owner = scope.clone();
        let hash = hex(&Sha256::digest(markdown.as_bytes()));
        let change = Change::new("document.save", format!("incident:{incident}")).with("sha256", hash);
        self.change(scope, change, move |tx| {
            tx.incident(&owner, incident)?;
            let current: i64 = tx
                .connection
                .query_row(
                    "SELECT version FROM documents WHERE tenant_id = ?1 AND incident_id = ?2",
                    (&owner.tenant, incident),
                    |row| row.get(0),
                )
                .optional()?
                .unwrap_or(0);
            if current != seen {
                return Err(StoreError::Conflict(
                    "Someone else saved this document while you were editing. Nothing was overwritten: copy your text, \
                     reload, and bring the two together."
                        .into(),
                ));
            }
            tx.connection.execute(
                "INSERT INTO documents (incident_id, tenant_id, title, markdown, version, updated_us, updated_by)
                 VALUES (?1,?2,?3,?4,1,?5,?6) ON CONFLICT (incident_id) DO UPDATE SET title = excluded.title,
                 markdown = excluded.markdown, version = version + 1, updated_us = excluded.updated_us,
                 updated_by = excluded.updated_by",
                (incident, &owner.tenant, &title, &markdown, tx.now_us, owner.actor.to_string()),
            )?;
            tx.event(&owner, incident, "document", "Root-cause analysis saved", "document")?;
            Ok(current + 1)
        })
        .await
    }

    /// Put a publication into the outbox and give what is known of earlier attempts.
    ///
    /// # Errors
    /// `Conflict` where the sash is lowered or a publication to the same place is on its way.
    pub async fn begin_publication(
        &self,
        scope: &Scope,
        incident: IncidentId,
        integration: IntegrationId,
        project: String,
    ) -> Result<Publication, StoreError> {
        let owner = scope.clone();
        let change = Change::new("document.publish", format!("incident:{incident}")).with("integration", integration);
        self.change(scope, change, move |tx| {
            tx.require_sash_open(&owner, incident)?;
            let found = one(tx.connection, &owner.tenant, incident, integration)?;
            if found.as_ref().is_some_and(|publication| publication.state == "publishing") {
                return Err(StoreError::Conflict("This document is being published right now.".into()));
            }
            // The same for every attempt at the same document in the same place.
            let marker = format!("fumehood-{}-{}", short(&incident.to_string()), short(&integration.to_string()));
            tx.connection.execute(
                "INSERT INTO publications (incident_id, tenant_id, integration_id, marker, state, problem, project,
                 remote_id, remote_version, content_sha256, url, title, document_version, updated_us, theirs, updated_by)
                 VALUES (?1,?2,?3,?4,'publishing','',?5,'','','','','',0,?6,'',?7)
                 ON CONFLICT (incident_id, integration_id) DO UPDATE SET state = 'publishing', problem = '',
                 theirs = '', project = excluded.project, updated_us = excluded.updated_us,
                 updated_by = excluded.updated_by",
                (incident, &owner.tenant, integration, marker, &project, tx.now_us, owner.actor.to_string()),
            )?;
            one(tx.connection, &owner.tenant, incident, integration)?
                .ok_or_else(|| StoreError::not_found("publication", integration))
        })
        .await
    }

    /// Record how a publication ended.
    ///
    /// # Errors
    /// Why nothing was written; the next attempt finds the page by its marker.
    pub async fn finish_publication(
        &self,
        scope: &Scope,
        incident: IncidentId,
        publication: Publication,
    ) -> Result<(), StoreError> {
        let owner = scope.clone();
        let change = Change::new("document.published", format!("incident:{incident}"))
            .with("integration", publication.integration_id)
            .with("state", &publication.state)
            .with("remote", &publication.remote_id);
        self.change(scope, change, move |tx| {
            tx.connection.execute(
                "UPDATE publications SET state = ?4, problem = ?5, remote_id = ?6, remote_version = ?7,
                 content_sha256 = ?8, url = ?9, title = ?10, updated_us = ?11, theirs = ?12, document_version = ?13
                 WHERE tenant_id = ?1 AND incident_id = ?2 AND integration_id = ?3",
                (
                    &owner.tenant,
                    incident,
                    publication.integration_id,
                    &publication.state,
                    &publication.problem,
                    &publication.remote_id,
                    &publication.remote_version,
                    &publication.content_sha256,
                    &publication.url,
                    &publication.title,
                    tx.now_us,
                    &publication.theirs,
                    publication.document_version,
                ),
            )?;
            let summary = match publication.state.as_str() {
                "published" => format!("Published to {} as “{}”", publication.project, publication.title),
                _ => format!("Publishing to {} failed: {}", publication.project, publication.problem),
            };
            tx.event(&owner, incident, "publish", &summary, "document")
        })
        .await
    }

    /// Where the document was published.
    ///
    /// # Errors
    /// What the database says.
    pub async fn publications(&self, scope: &Scope, incident: IncidentId) -> Result<Vec<Publication>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {PUBLICATION} FROM publications WHERE tenant_id = ?1 AND incident_id = ?2"
            ))?;
            Ok(statement.query_map((tenant, incident), publication)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Publications that were on their way when the process ended: the next attempt looks for the page first.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn mark_unknown_publications(&self, scope: &Scope) -> Result<usize, StoreError> {
        let tenant = scope.tenant.clone();
        self.write(move |tx| {
            Ok(tx.connection.execute(
                "UPDATE publications SET state = 'unknown', problem = 'Fumehood was stopped while publishing. Publish again: it looks for the page before it creates one.'
                 WHERE tenant_id = ?1 AND state = 'publishing'",
                [tenant],
            )?)
        })
        .await
    }
}

fn one(
    connection: &rusqlite::Connection,
    tenant: &str,
    incident: IncidentId,
    integration: IntegrationId,
) -> Result<Option<Publication>, StoreError> {
    Ok(connection
        .query_row(
            &format!("SELECT {PUBLICATION} FROM publications WHERE tenant_id = ?1 AND incident_id = ?2 AND integration_id = ?3"),
            (tenant, incident, integration),
            publication,
        )
        .optional()?)
}

/// The random end of a UUID v7: its beginning is only a time.
fn short(id: &str) -> String {
    let plain: String = id.chars().filter(|c| *c != '-').collect();
    plain.get(16..).unwrap_or(&plain).to_owned()
}
