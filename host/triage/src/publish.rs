//! Publishing the document, exactly once: an outbox row first, a deterministic marker in the page, and a look-up before
//! anything is created again.

use std::time::Duration;

use fumehood_policy::Permission;
use fumehood_redact::Origin;
use fumehood_runtime::CallError;
use fumehood_runtime::integration::{Document, Remote};
use fumehood_store::documents::Publication;
use fumehood_store::outside::IntegrationInstance;
use fumehood_store::{IncidentId, IntegrationId, Scope};

use crate::call::Purpose;
use crate::settings::{destination, no_confluence, publishes};
use crate::{App, TriageError};

/// Tries of one publication where the service asks to wait or cannot be reached.
const TRIES: u32 = 4;
/// Longest wait that the service may ask for while a person watches.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl App {
    /// Where the document was published.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn publications(&self, scope: &Scope, incident: IncidentId) -> Result<Vec<Publication>, TriageError> {
        self.incident(scope, incident).await?;
        Ok(self.0.store.publications(scope, incident).await?)
    }

    /// Integrations that are set up and can be published to, Confluence first.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn publishers(&self, scope: &Scope) -> Result<Vec<IntegrationInstance>, TriageError> {
        let mut all = self.integrations(scope).await?;
        all.retain(publishes);
        all.sort_by_key(|one| one.plugin != crate::settings::CONFLUENCE);
        Ok(all)
    }

    /// Publish the saved document, or bring what was published up to date.
    ///
    /// # Errors
    /// `Forbidden`, `NotSetUp`, `Conflict` (theirs changed; nothing was overwritten), `Plugin`, `WouldLeak`.
    pub async fn publish(
        &self,
        scope: &Scope,
        incident: IncidentId,
        to: Option<IntegrationId>,
        overwrite: bool,
    ) -> Result<Publication, TriageError> {
        self.require(scope, Permission::Publish)?;
        let document = self
            .document(scope, incident)
            .await?
            .ok_or(TriageError::NotFound { what: "document: write or generate it first" })?;
        let instance = self.publisher(scope, incident, to).await?;
        let (project, parent) = destination(&instance);
        // A person may have typed anything into the document: it passes the gate like all that leaves.
        let masked = self.mask(scope, incident, Origin::Reply, &[&document.title, &document.markdown]).await?;
        let mut masked = masked.into_iter();
        let (Some(title), Some(markdown)) = (masked.next(), masked.next()) else {
            return Err(TriageError::Internal("masking".into()));
        };
        let mut row = self.0.store.begin_publication(scope, incident, instance.id, project.clone()).await?;
        let known = (!row.remote_id.is_empty()).then(|| Remote {
            id: row.remote_id.clone(),
            version: row.remote_version.clone(),
            content_sha256: row.content_sha256.clone(),
        });
        let request = Document { marker: row.marker.clone(), project, parent, title, markdown, known, overwrite };
        // Goes on where the person who asked leaves the page: the row must not stay on its way.
        let (app, scope) = (self.clone(), scope.clone());
        let publication = async move {
            let result = app.try_publish(&scope, incident, &instance, &request).await;
            let error = match result {
                Ok(published) => {
                    row.state = "published".into();
                    row.document_version = document.version;
                    row.remote_id = published.remote.id;
                    row.remote_version = published.remote.version;
                    row.content_sha256 = published.remote.content_sha256;
                    row.url = safe_link(&published.url, &instance.base_url);
                    row.title = published.title;
                    None
                }
                Err(error) => {
                    row.state = state_after(&error).into();
                    row.problem = app.masked_problem(&scope, incident, &error).await;
                    // What stands there now is as raw as a log.
                    let excerpt = theirs(&error).unwrap_or_default();
                    let masked = app.mask_one(&scope, incident, Origin::Raw, &excerpt).await;
                    row.theirs = masked.map(|masked| masked.as_str().to_owned()).unwrap_or_default();
                    Some(error)
                }
            };
            app.0.store.finish_publication(&scope, incident, row.clone()).await?;
            error.map_or(Ok(row), Err)
        };
        self.0.tasks.spawn(publication).await.map_err(|error| TriageError::Internal(error.to_string()))?
    }

    /// Where to publish: what was named; otherwise where this incident was published before, or Confluence. Never to
    /// somewhere that nobody named.
    async fn publisher(
        &self,
        scope: &Scope,
        incident: IncidentId,
        to: Option<IntegrationId>,
    ) -> Result<IntegrationInstance, TriageError> {
        let all = self.publishers(scope).await?;
        if let Some(to) = to {
            let found = all.into_iter().find(|one| one.id == to);
            return found.ok_or(TriageError::NotFound { what: "integration that can be published to" });
        }
        let before = self.0.store.publications(scope, incident).await?;
        let known = |one: &&IntegrationInstance| before.iter().any(|row| row.integration_id == one.id);
        let shipped = |one: &&IntegrationInstance| one.plugin == crate::settings::CONFLUENCE;
        match all.iter().find(known).or_else(|| all.iter().find(shipped)) {
            Some(found) => Ok(found.clone()),
            None if all.is_empty() => Err(no_confluence()),
            None => {
                let names = all.iter().map(|one| format!("{} ({})", one.name, one.id)).collect::<Vec<_>>().join(", ");
                Err(TriageError::Conflict(format!("Say where to publish, in `to`: {names}.")))
            }
        }
    }

    async fn try_publish(
        &self,
        scope: &Scope,
        incident: IncidentId,
        instance: &IntegrationInstance,
        request: &Document,
    ) -> Result<fumehood_runtime::integration::Published, TriageError> {
        let integration = self.integration(instance)?;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let purpose = Purpose {
                incident: Some(incident),
                kind: "publish",
                destination: format!("{} / {}", instance.name, request.project),
                subject: "document".into(),
                instance: format!("integration:{}", instance.id),
            };
            let call = self.call(scope, purpose, self.integration_reach(instance)?, None);
            match integration.publish_document(request, call).await {
                Ok(published) => return Ok(published),
                Err(error) => {
                    let Some(wait) = wait_before_retry(&error, attempt) else { return Err(error.into()) };
                    tracing::info!(attempt, wait_ms = wait.as_millis() as u64, code = error.code(), "publishing again");
                    let sash = self.sash(incident);
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = sash.cancelled() => return Err(TriageError::Cancelled("the sash was lowered".into())),
                    }
                }
            }
        }
    }
}

fn state_after(error: &TriageError) -> &'static str {
    match error.code() {
        "conflict" => "conflict",
        "outcome-unknown" => "unknown",
        _ => "failed",
    }
}

/// Where their text begins to differ from ours, as the plugin tells it with a conflict.
fn theirs(error: &TriageError) -> Option<String> {
    let TriageError::Plugin(error) = error else { return None };
    let mut extensions = error.failure()?.extensions.iter();
    extensions.find(|(name, _)| name == "theirs-excerpt").map(|(_, excerpt)| excerpt.clone())
}

/// How long to wait before another try; nothing where none would help. The plugin looks for the page by its marker
/// before it creates one, so a repetition after an unknown outcome does not double it.
fn wait_before_retry(error: &CallError, attempt: u32) -> Option<Duration> {
    if attempt >= TRIES {
        return None;
    }
    let failure = error.failure()?;
    if !matches!(failure.code.as_str(), "rate-limited" | "unavailable" | "timeout" | "outcome-unknown") {
        return None;
    }
    let backoff = Duration::from_secs(1 << attempt);
    let wait = failure.retry_after_ms.map_or(backoff, Duration::from_millis).max(Duration::from_millis(200));
    (wait <= LONGEST_WAIT).then_some(wait)
}

/// The page's link, if it is one: a service's answer must not become a `javascript:` link here.
fn safe_link(url: &str, base: &str) -> String {
    match url::Url::parse(url) {
        Ok(link) if matches!(link.scheme(), "http" | "https") => link.to_string(),
        _ => base.to_owned(),
    }
}
