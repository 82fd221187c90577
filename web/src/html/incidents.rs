//! The list, a new incident, the overview, the sash.

use axum::Form;
use axum::extract::{Path, Query};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use fumehood_triage::store::incidents::{Incident, IncidentFields, IncidentFilter};
use fumehood_triage::store::{IncidentId, LogId};
use fumehood_triage::{Permission, TriageError};

use super::bench::Workbench;
use super::context::{notice, now, severity, status, when};
use super::session::{Reader, url_encode};
use super::{PageError, id, page, see};
use crate::markdown;
use crate::units::{Bytes, Count, Id};
use crate::view::bench::{EvidenceFragment, OverviewPage, SashFragment, SashState, Step, Tab};
use crate::view::incidents::{Filter, IncidentForm, IncidentRow, IncidentsPage, NewIncidentPage, Sort};
use crate::view::{Crumb, Field, Place, Severity, Status, Tone};

/// Rows of a page.
const ROWS: usize = 50;

#[derive(serde::Deserialize, Default)]
pub(crate) struct ListQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    after: usize,
}

pub(crate) async fn list(reader: Reader, Query(query): Query<ListQuery>) -> Result<Response, PageError> {
    let now = now();
    let names = reader.names().await?;
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let filter = IncidentFilter {
        text: some(&query.q),
        status: some(&query.status),
        severity: some(&query.severity),
        sort: some(&query.sort),
        limit: ROWS,
        offset: query.after,
    };
    let (incidents, total) = reader.app().incidents(&reader.scope, filter).await?;
    let any = total > 0
        || reader.app().incidents(&reader.scope, IncidentFilter { limit: 1, ..Default::default() }).await?.1 > 0;
    let mut rows = Vec::with_capacity(incidents.len());
    for incident in incidents {
        let mut logs = reader.app().logs(&reader.scope, incident.id).await?;
        logs.retain(|log| matches!(log.state.as_str(), "ready" | "receiving"));
        let mut pending = 0;
        for log in &logs {
            let kinds = reader.app().kinds(&reader.scope, log.id).await?;
            pending += kinds.iter().map(|kind| kind.total.saturating_sub(kind.accepted + kind.rejected)).sum::<u64>();
        }
        let totals = reader.app().sent_totals(&reader.scope, incident.id).await?;
        rows.push(IncidentRow {
            id: Id::new(incident.id.to_string()),
            severity: severity(&incident.severity),
            status: status(&incident.status),
            title: incident.title,
            category: incident.category,
            tags: incident.tags,
            logs: Count(logs.len() as u64),
            pending: Count(pending),
            sash: match (incident.sash_lowered_us, totals.departures) {
                (Some(_), _) => SashState::Lowered,
                (None, 0) => SashState::Closed,
                (None, _) => SashState::Open,
            },
            updated: when(incident.updated_us, now),
            owner: names.of(&incident.created_by),
        });
    }
    let base = format!(
        "/incidents?q={}&status={}&severity={}&sort={}",
        url_encode(&query.q),
        url_encode(&query.status),
        url_encode(&query.severity),
        url_encode(&query.sort)
    );
    let shown = query.after + rows.len();
    let mut frame = reader.frame("Incidents", Place::Incidents, vec![Crumb::here("Incidents")]);
    frame.query.clone_from(&query.q);
    let view = IncidentsPage {
        frame,
        filter: Filter {
            q: query.q,
            status: Status::ALL.into_iter().find(|status| status.key() == query.status),
            severity: Severity::ALL.into_iter().find(|severity| severity.key() == query.severity),
            sort: Sort::ALL.into_iter().find(|sort| sort.key() == query.sort).unwrap_or_default(),
        },
        next: (shown < usize::try_from(total).unwrap_or(0)).then(|| format!("{base}&after={shown}")),
        first: (query.after > 0).then(|| base.clone()),
        rows,
        total: Count(u64::try_from(total).unwrap_or(0)),
        any,
    };
    Ok(page(StatusCode::OK, &view))
}

#[derive(serde::Deserialize, Default)]
pub(crate) struct IncidentInput {
    #[serde(default)]
    title: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    category: String,
    #[serde(default)]
    tags: String,
    /// The version that the person saw; not in the form of a new incident.
    #[serde(default)]
    version: i64,
}

impl IncidentInput {
    fn fields(&self, default_status: &str) -> IncidentFields {
        IncidentFields {
            title: self.title.clone(),
            description: self.description.replace("\r\n", "\n"),
            severity: self.severity.clone(),
            status: if self.status.is_empty() { default_status.to_owned() } else { self.status.clone() },
            category: self.category.clone(),
            tags: self.tags.split(',').map(str::to_owned).collect(),
        }
    }

    fn form(&self, field: &str, message: &str) -> IncidentForm {
        let typed = |name: &str, value: &str| {
            if name == field { Field::wrong(value, message) } else { Field::new(value) }
        };
        IncidentForm {
            title: typed("title", &self.title),
            description: typed("description", &self.description),
            severity: severity(&self.severity),
            status: status(&self.status),
            category: typed("category", &self.category),
            tags: typed("tags", &self.tags),
        }
    }
}

async fn new_view(reader: &Reader, form: IncidentForm) -> Result<NewIncidentPage, TriageError> {
    let (incidents, _) =
        reader.app().incidents(&reader.scope, IncidentFilter { limit: 200, ..Default::default() }).await?;
    let mut categories: Vec<String> =
        incidents.into_iter().map(|incident| incident.category).filter(|name| !name.is_empty()).collect();
    categories.sort_unstable();
    categories.dedup();
    let crumbs = vec![Crumb::link("Incidents", "/incidents"), Crumb::here("New incident")];
    Ok(NewIncidentPage { frame: reader.frame("New incident", Place::Incidents, crumbs), form, categories })
}

pub(crate) async fn new(reader: Reader) -> Result<Response, PageError> {
    if !reader.may(Permission::WriteIncidents) {
        return Err(TriageError::Forbidden(Permission::WriteIncidents).into());
    }
    Ok(page(StatusCode::OK, &new_view(&reader, IncidentForm::default()).await?))
}

pub(crate) async fn create(reader: Reader, Form(input): Form<IncidentInput>) -> Result<Response, PageError> {
    match reader.app().create_incident(&reader.scope, input.fields("open")).await {
        Ok(incident) => Ok(see(&format!("/incidents/{}", incident.id))),
        Err(TriageError::Invalid { field, message }) => {
            let view = new_view(&reader, input.form(field, &message)).await?;
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &view))
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(serde::Deserialize, Default)]
pub(crate) struct OverviewQuery {
    edit: Option<String>,
}

fn stored_form(incident: &Incident) -> IncidentForm {
    IncidentForm {
        title: Field::new(&incident.title),
        description: Field::new(&incident.description),
        severity: severity(&incident.severity),
        status: status(&incident.status),
        category: Field::new(&incident.category),
        tags: Field::new(incident.tags.join(", ")),
    }
}

async fn overview_view(
    reader: &Reader,
    bench: Workbench,
    form: IncidentForm,
    editing: bool,
) -> Result<OverviewPage, TriageError> {
    let Workbench { incident, bench, frame, names, now } = bench;
    let steps = steps(reader, &incident, &bench).await?;
    Ok(OverviewPage {
        frame,
        bench,
        description: markdown::render(&incident.description),
        category: incident.category.clone(),
        tags: incident.tags.clone(),
        owner: names.of(&incident.created_by),
        created: when(incident.created_us, now),
        updated: when(incident.updated_us, now),
        steps,
        form,
        editing,
        version: incident.version,
        upload_max: Bytes(fumehood_triage::intake::MAX_TEXT_BYTES),
    })
}

/// A number with its word.
fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", Count(count as u64), if count == 1 { one } else { many })
}

/// From logs to a published page: what is done, and what the next step is.
async fn steps(
    reader: &Reader,
    incident: &Incident,
    bench: &crate::view::bench::Bench,
) -> Result<Vec<Step>, TriageError> {
    let (app, scope, at) = (reader.app(), &reader.scope, format!("/incidents/{}", incident.id));
    let model = app.model(scope).await?;
    let talk = app.talk(scope, incident.id).await?;
    let document = app.document(scope, incident.id).await?;
    let published = app.publications(scope, incident.id).await?.into_iter().find(|one| !one.url.is_empty());
    let publishers = app.publishers(scope).await?;
    let logs = bench.evidence.kept();
    let step = |label: &str, detail: String, href: String, done: bool| Step { label: label.into(), detail, href, done };
    let set_up = |what: &str, path: &str, ready: bool| {
        if ready {
            (format!("{what} is set up"), at.clone())
        } else {
            (format!("{what} is not set up yet; add it"), path.to_owned())
        }
    };
    let (chat_detail, chat_href) = match &model {
        Some(_) => (counted(talk.turns.len(), "question asked", "questions asked"), format!("{at}/chat")),
        None => set_up("A model", "/settings/models", false),
    };
    let (publish_detail, publish_href) = match (&published, publishers.first()) {
        (Some(one), _) => (format!("Published as “{}”", one.title), format!("{at}/document")),
        (None, Some(_)) => ("Not published yet".into(), format!("{at}/document")),
        (None, None) => set_up("Confluence", "/integrations", false),
    };
    let root = bench.whys.iter().any(|why| why.root);
    Ok(vec![
        step("Add logs", counted(logs, "file", "files"), at.clone(), logs > 0),
        step("Ask the model", chat_detail, chat_href, !talk.turns.is_empty()),
        step("Find the root cause", counted(bench.whys.len(), "why", "whys"), format!("{at}/whys"), root),
        step(
            "Write the analysis",
            document.as_ref().map_or("Not written yet".into(), |document| format!("Version {}", document.version)),
            format!("{at}/document"),
            document.is_some(),
        ),
        step("Publish", publish_detail, publish_href, published.is_some()),
    ])
}

pub(crate) async fn overview(
    reader: Reader,
    Path(text): Path<String>,
    Query(query): Query<OverviewQuery>,
) -> Result<Response, PageError> {
    let bench = reader.workbench(id(&text, "incident")?, Tab::Overview, None).await?;
    let form = stored_form(&bench.incident);
    let editing = query.edit.is_some() && reader.may(Permission::WriteIncidents);
    Ok(page(StatusCode::OK, &overview_view(&reader, bench, form, editing).await?))
}

/// What was typed, with what others saved meanwhile beside each field that differs.
fn beside(mut form: IncidentForm, now: &Incident) -> IncidentForm {
    let theirs = stored_form(now);
    for (field, theirs) in [
        (&mut form.title, theirs.title),
        (&mut form.description, theirs.description),
        (&mut form.category, theirs.category),
        (&mut form.tags, theirs.tags),
    ] {
        if field.value.replace("\r\n", "\n").trim() != theirs.value.trim() {
            field.error = Some(format!("Saved meanwhile: “{}”. Saving again replaces it by yours.", theirs.value));
        }
    }
    form
}

pub(crate) async fn update(
    reader: Reader,
    Path(text): Path<String>,
    Form(input): Form<IncidentInput>,
) -> Result<Response, PageError> {
    let id: IncidentId = id(&text, "incident")?;
    let old = reader.app().incident(&reader.scope, id).await?;
    let updated = reader.app().update_incident(&reader.scope, id, input.version, input.fields(&old.status)).await;
    let (form, status, text) = match updated {
        Ok(_) => return Ok(see(&format!("/incidents/{id}"))),
        Err(TriageError::Invalid { field, message }) => {
            (input.form(field, &message), StatusCode::UNPROCESSABLE_ENTITY, "Nothing was saved: see below.".to_owned())
        }
        Err(TriageError::Conflict(message)) => {
            let now = reader.app().incident(&reader.scope, id).await?;
            (beside(input.form("", ""), &now), StatusCode::CONFLICT, message)
        }
        Err(error) => return Err(error.into()),
    };
    let bench = reader.workbench(id, Tab::Overview, None).await?;
    let mut view = overview_view(&reader, bench, form, true).await?;
    view.frame.notice = notice(Tone::Bad, text);
    Ok(page(status, &view))
}

#[derive(serde::Deserialize)]
pub(crate) struct SashInput {
    to: String,
}

pub(crate) async fn sash(
    reader: Reader,
    Path(text): Path<String>,
    headers: HeaderMap,
    Form(input): Form<SashInput>,
) -> Result<Response, PageError> {
    let id: IncidentId = id(&text, "incident")?;
    reader.app().set_sash(&reader.scope, id, input.to == "lowered").await?;
    Ok(see(&back_to(&headers, id)))
}

/// The page of this incident that a form was sent from; its overview where the browser does not say.
fn back_to(headers: &HeaderMap, incident: IncidentId) -> String {
    let at = format!("/incidents/{incident}");
    let from = headers.get(header::REFERER).and_then(|value| value.to_str().ok());
    let path = from.and_then(|from| from.split_once("://")?.1.split_once('/')).map(|(_, path)| format!("/{path}"));
    let below = |path: &String| path.strip_prefix(&at).is_some_and(|rest| rest.starts_with(['/', '?']));
    path.filter(below).unwrap_or(at)
}

pub(crate) async fn sash_bar(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    let incident = reader.app().incident(&reader.scope, id(&text, "incident")?).await?;
    let sash = reader.sash_of(&incident, now()).await?;
    Ok(page(StatusCode::OK, &SashFragment { sash }))
}

#[derive(serde::Deserialize)]
pub(crate) struct EvidenceQuery {
    log: Option<String>,
}

pub(crate) async fn evidence(
    reader: Reader,
    Path(text): Path<String>,
    Query(query): Query<EvidenceQuery>,
) -> Result<Response, PageError> {
    let incident: IncidentId = id(&text, "incident")?;
    let current: Option<LogId> = query.log.and_then(|log| log.parse().ok());
    let view = EvidenceFragment {
        incident: Id::new(incident.to_string()),
        evidence: reader.evidence_of(incident, current, now()).await?,
        can_write: reader.may(Permission::WriteIncidents),
    };
    Ok(page(StatusCode::OK, &view))
}
