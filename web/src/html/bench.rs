//! The columns around every page of an incident.

use fumehood_triage::store::departures::Departure;
use fumehood_triage::store::incidents::Incident;
use fumehood_triage::store::logs::LogFile;
use fumehood_triage::store::timeline::TimelineEvent as StoredEvent;
use fumehood_triage::store::{IncidentId, LogId};
use fumehood_triage::viewer::KindSummary;
use fumehood_triage::{Permission, TriageError};
use jiff::Timestamp;

use super::context::{Names, now, severity, status, when};
use super::session::Reader;
use crate::units::{Bytes, Count, Id, Progress};
use crate::view::bench::{
    Bench, DepartureLine, Evidence, Folds, Group, KindCount, LogCard, LogState, Participant, ResultCard, Sash,
    SashState, Tab, TimelineEvent, WhyLine,
};
use crate::view::{Crumb, Frame, Place};

/// An incident with everything around it.
pub(crate) struct Workbench {
    pub(crate) incident: Incident,
    pub(crate) bench: Bench,
    pub(crate) frame: Frame,
    pub(crate) names: Names,
    pub(crate) now: Timestamp,
}

pub(crate) fn number(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

pub(crate) fn group(code: &str) -> Group {
    match code {
        "structured" => Group::Structured,
        "contextual" => Group::Contextual,
        _ => Group::Secret,
    }
}

pub(crate) fn kind_count(kind: KindSummary) -> KindCount {
    KindCount {
        group: group(&kind.group),
        found: Count(kind.total),
        accepted: Count(kind.accepted),
        rejected: Count(kind.rejected),
        pending: Count(kind.total.saturating_sub(kind.accepted + kind.rejected)),
        kind: kind.kind,
        shown: true,
    }
}

pub(crate) fn departure_line(departure: &Departure, now: Timestamp) -> DepartureLine {
    let what = match departure.kind.as_str() {
        "model" => "Message to the model",
        "tool" => "Tool call",
        _ => "Publication",
    };
    let outcome = match departure.result.as_str() {
        "ok" => "sent",
        "" | "outcome-unknown" => "unknown",
        "cancelled" | "denied" => "stopped",
        _ => "failed",
    };
    DepartureLine {
        id: Id::new(departure.id.to_string()),
        what: what.into(),
        to: departure.destination.clone(),
        bytes: Bytes(number(departure.body_bytes)),
        masked: Count(number(departure.masked_count)),
        at: when(departure.time_us, now),
        outcome: outcome.into(),
    }
}

pub(crate) fn event(incident: IncidentId, stored: &StoredEvent, names: &Names, now: Timestamp) -> TimelineEvent {
    let kind = match (stored.kind.as_str(), stored.summary.as_str()) {
        ("log", text) if text.contains("failed") => "failure",
        ("log", _) => "log-added",
        ("turn", text) if text.contains("failed") => "failure",
        ("turn", "Asked the model") => "message",
        ("turn", _) => "answer",
        ("tool", text) if text.starts_with("Approved") || text.starts_with("Denied") => "approval",
        ("tool", _) => "tool-call",
        ("why", text) if text.starts_with("Root") => "root-cause",
        ("publish", text) if text.starts_with("Published") => "published",
        ("publish", _) => "failure",
        ("severity" | "edited", _) => "status",
        (kind, _) => kind,
    };
    TimelineEvent {
        id: Id::new(stored.id.to_string()),
        at: when(stored.time_us, now),
        kind: kind.to_owned(),
        text: stored.summary.clone(),
        actor: names.of(&stored.actor),
        href: (!stored.link.is_empty()).then(|| format!("/incidents/{incident}/{}", stored.link)),
    }
}

impl Reader {
    /// The columns of an incident around one of its pages.
    pub(crate) async fn workbench(
        &self,
        id: IncidentId,
        tab: Tab,
        current: Option<LogId>,
    ) -> Result<Workbench, TriageError> {
        let now = now();
        let incident = self.app().incident(&self.scope, id).await?;
        let names = self.names().await?;
        let stored = self.app().timeline(&self.scope, id).await?;
        let whys = self.app().whys(&self.scope, id).await?;
        let can_write = self.may(Permission::WriteIncidents);
        let bench = Bench {
            id: Id::new(id.to_string()),
            title: incident.title.clone(),
            severity: severity(&incident.severity),
            status: status(&incident.status),
            tab,
            sash: self.sash_of(&incident, now).await?,
            evidence: self.evidence_of(id, current, now).await?,
            whys: whys
                .into_iter()
                .map(|why| WhyLine {
                    id: Id::new(why.id.to_string()),
                    question: why.question,
                    answered: !why.answer.is_empty(),
                    root: why.root_cause,
                })
                .collect(),
            timeline: stored.iter().rev().take(8).map(|stored| event(id, stored, &names, now)).collect(),
            people: people(&stored, &names, now),
            folds: Folds { left: self.folds.contains("left"), right: self.folds.contains("right") },
            can_write,
        };
        let crumbs = vec![Crumb::link("Incidents", "/incidents"), Crumb::here(incident.title.clone())];
        let title = format!("INC-{} {}", incident.number, incident.title);
        let frame = self.frame(&title, Place::Incidents, crumbs);
        Ok(Workbench { incident, bench, frame, names, now })
    }

    /// The bar that never scrolls away.
    pub(crate) async fn sash_of(&self, incident: &Incident, now: Timestamp) -> Result<Sash, TriageError> {
        let totals = self.app().sent_totals(&self.scope, incident.id).await?;
        let departures = self.app().departures(&self.scope, incident.id).await?;
        let model = self.app().model(&self.scope).await?;
        let sending = departures.first().is_some_and(|last| last.result.is_empty() && last.status.is_none());
        let state = match incident.sash_lowered_us {
            Some(_) => SashState::Lowered,
            None if sending => SashState::Sending,
            None if totals.departures > 0 => SashState::Open,
            None => SashState::Closed,
        };
        let to = if totals.destination.is_empty() {
            model.as_ref().map(fumehood_triage::conversation::destination)
        } else {
            Some(totals.destination)
        };
        Ok(Sash {
            incident: Id::new(incident.id.to_string()),
            state,
            to,
            sent: Bytes(number(totals.bytes)),
            masked: Count(number(totals.masked)),
            lowered: incident.sash_lowered_us.map(|at| ("a responder".to_owned(), when(at, now))),
            next: None,
            departures: departures.iter().take(5).map(|departure| departure_line(departure, now)).collect(),
            departed: Count(number(totals.departures)),
            can_write: self.may(Permission::RunModel),
        })
    }

    /// The left column.
    pub(crate) async fn evidence_of(
        &self,
        id: IncidentId,
        current: Option<LogId>,
        now: Timestamp,
    ) -> Result<Evidence, TriageError> {
        let mut logs = Vec::new();
        for log in self.app().logs(&self.scope, id).await? {
            let kinds = self.app().kinds(&self.scope, log.id).await?;
            logs.push(self.log_card(log, kinds, current, now));
        }
        let talk = self.app().talk(&self.scope, id).await?;
        let results = talk.approvals.iter().rev().filter(|call| call.state == "done").take(20).map(|call| ResultCard {
            id: Id::new(call.id.to_string()),
            tool: call.tool.clone(),
            server: call.server.clone(),
            size: Bytes(call.result.len() as u64),
            at: when(call.decided_us.unwrap_or(call.created_us), now),
        });
        Ok(Evidence { logs, results: results.collect() })
    }

    fn log_card(&self, log: LogFile, kinds: Vec<KindSummary>, current: Option<LogId>, now: Timestamp) -> LogCard {
        let running = self.app().upload_progress(log.id);
        let (bytes, lines) = match &running {
            Some(progress) => (progress.scanned_bytes, progress.lines),
            None => (number(log.text_bytes), number(log.lines)),
        };
        LogCard {
            id: Id::new(log.id.to_string()),
            state: self.log_state(&log),
            name: log.name,
            size: Bytes(bytes),
            lines: Count(lines),
            kinds: kinds.into_iter().map(kind_count).collect(),
            templates: Count(0),
            current: current == Some(log.id),
            added: when(log.created_us, now),
        }
    }

    /// Where a log stands, with how far it is.
    pub(crate) fn log_state(&self, log: &LogFile) -> LogState {
        match log.state.as_str() {
            "ready" => LogState::Ready,
            "cancelled" => LogState::Cancelled,
            "failed" => LogState::Failed(log.reason.clone()),
            _ => {
                let progress = self.app().upload_progress(log.id).unwrap_or_default();
                LogState::Scanning(Progress {
                    done: Bytes(progress.received_bytes),
                    total: progress.expected_bytes.map(Bytes),
                    seconds_left: None,
                })
            }
        }
    }
}

/// Who worked on an incident, last seen first.
fn people(events: &[StoredEvent], names: &Names, now: Timestamp) -> Vec<Participant> {
    let mut seen: Vec<(&str, i64)> = Vec::new();
    for event in events.iter().rev().filter(|event| event.actor.starts_with("user:")) {
        if !seen.iter().any(|(actor, _)| *actor == event.actor) {
            seen.push((&event.actor, event.time_us));
        }
    }
    let person =
        |(actor, at): (&str, i64)| Participant { name: names.of(actor), role: names.role(actor), seen: when(at, now) };
    seen.into_iter().map(person).collect()
}
