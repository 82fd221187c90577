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
use crate::markdown;
use crate::units::{Bytes, Count, Id, Progress};
use crate::view::bench::{
    Bench, DepartureLine, Evidence, Folds, Group, KindCount, LogCard, LogState, NextDeparture, Participant, ResultCard,
    Sash, SashState, Tab, TimelineEvent, WhyLine,
};
use crate::view::{Crumb, Frame, Place};

/// Of what leaves next, what the bar shows, bytes.
const NEXT: usize = 8 << 10;

/// Whether a departure carried something of the incident, and is not what its transport needs around it.
pub(crate) fn carries(departure: &Departure) -> bool {
    departure.body_bytes > 0 && departure.kind != "tool-session"
}

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
        "tool-session" => "Connecting for a tool call",
        _ if departure.method == "GET" => "Looking up the page",
        _ => "Publication",
    };
    let outcome = match departure.result.as_str() {
        "ok" => "sent",
        "" => "sending",
        "outcome-unknown" => "unknown",
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
    let text = stored.summary.as_str();
    TimelineEvent {
        id: Id::new(stored.id.to_string()),
        at: when(stored.time_us, now),
        kind: kind.to_owned(),
        text: text.to_owned(),
        actor: match kind {
            "answer" => "The model".into(),
            "tool-call" if text.starts_with("The model asks") => "The model".into(),
            "tool-call" => "Tool".into(),
            _ => names.of(&stored.actor),
        },
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
        let to = match state {
            SashState::Closed => None,
            _ if !totals.destination.is_empty() && totals.others > 0 => {
                let s = if totals.others == 1 { "" } else { "s" };
                Some(format!("{} and {} other{s}", totals.destination, totals.others))
            }
            _ if !totals.destination.is_empty() => Some(totals.destination),
            _ => model.as_ref().map(fumehood_triage::conversation::destination),
        };
        let lowered = match incident.sash_lowered_us {
            Some(at) => Some((self.lowered_by(incident).await?, when(at, now))),
            None => None,
        };
        Ok(Sash {
            incident: Id::new(incident.id.to_string()),
            state,
            to,
            sent: Bytes(number(totals.bytes)),
            masked: Count(number(totals.masked)),
            lowered,
            next: self.next_departure(incident.id).await?,
            departures: departures
                .iter()
                .filter(|one| carries(one))
                .take(5)
                .map(|departure| departure_line(departure, now))
                .collect(),
            departed: Count(number(totals.departures)),
            can_write: self.may(Permission::RunModel),
        })
    }

    async fn lowered_by(&self, incident: &Incident) -> Result<String, TriageError> {
        let events = self.app().timeline(&self.scope, incident.id).await?;
        let by = events.iter().rev().find(|event| event.kind == "sash").map(|event| event.actor.clone());
        Ok(match by {
            Some(actor) => self.names().await?.of(&actor),
            None => String::new(),
        })
    }

    /// A tool call that waits for a decision: the one thing that is prepared before it leaves.
    async fn next_departure(&self, incident: IncidentId) -> Result<Option<NextDeparture>, TriageError> {
        let talk = self.app().talk(&self.scope, incident).await?;
        let call = talk.approvals.iter().find(|call| call.state == "pending");
        Ok(call.map(|call| NextDeparture {
            what: format!("Tool call {}", call.tool),
            to: call.server.clone(),
            bytes: Bytes(call.arguments.len() as u64),
            masked: Count(call.masked.iter().map(|(_, count)| count).sum()),
            text: markdown::plain(call.arguments.get(..call.arguments.floor_char_boundary(NEXT)).unwrap_or_default()),
        }))
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
                    seconds_left: progress.seconds_left(),
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
