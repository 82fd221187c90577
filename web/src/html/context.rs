//! What many pages need: the frame, names of people, times.

use std::collections::HashMap;

use fumehood_triage::store::clock;
use fumehood_triage::{App, Permission, Role, TriageError};
use jiff::Timestamp;

use super::session::Reader;
use crate::units::Id;
use crate::units::When;
use crate::view::integrations::TestResult;
use crate::view::{Can, Crumb, Frame, Notice, Person, Place, Severity, Status, Tone};

/// Display names by actor, as the record has them.
#[derive(Default)]
pub(crate) struct Names(HashMap<String, (String, String)>);

impl Names {
    /// The name of an actor.
    pub(crate) fn of(&self, actor: &str) -> String {
        match self.0.get(actor) {
            Some((name, _)) => name.clone(),
            None if actor.starts_with("token:") => "API token".into(),
            None if actor == "operator" => "command line".into(),
            None if actor.starts_with("user:") => "someone".into(),
            None if actor.starts_with("plugin:") => actor.replacen(':', " ", 1),
            None => "server".into(),
        }
    }

    /// The role of an actor.
    pub(crate) fn role(&self, actor: &str) -> String {
        self.0.get(actor).map(|(_, role)| role.clone()).unwrap_or_default()
    }
}

/// A moment of the store, at the moment of the page.
pub(crate) fn when(time_us: i64, now: Timestamp) -> When {
    When::new(Timestamp::from_microsecond(time_us).unwrap_or(Timestamp::UNIX_EPOCH), now)
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_microsecond(clock::now_us()).unwrap_or(Timestamp::UNIX_EPOCH)
}

pub(crate) fn severity(text: &str) -> Severity {
    Severity::ALL.into_iter().find(|severity| severity.key() == text).unwrap_or(Severity::Medium)
}

pub(crate) fn status(text: &str) -> Status {
    Status::ALL.into_iter().find(|status| status.key() == text).unwrap_or(Status::Open)
}

impl Reader {
    pub(crate) fn app(&self) -> &App {
        &self.shared.app
    }

    pub(crate) fn may(&self, permission: Permission) -> bool {
        self.scope.may(permission)
    }

    /// Refuse a page whose use case needs a permission.
    pub(crate) fn needs(&self, permission: Permission) -> Result<(), TriageError> {
        if self.may(permission) { Ok(()) } else { Err(TriageError::Forbidden(permission)) }
    }

    /// What surrounds a page.
    pub(crate) fn frame(&self, title: &str, place: Place, crumbs: Vec<Crumb>) -> Frame {
        Frame {
            title: title.to_owned(),
            place,
            crumbs,
            person: Person {
                id: Id::new(self.user.id.to_string()),
                name: self.user.name.clone(),
                role: self.user.role.clone(),
            },
            can: Can {
                write: self.may(Permission::WriteIncidents),
                operate: self.may(Permission::ManageServers),
                audit: self.may(Permission::ReadAudit),
                administer: self.scope.role == Role::Admin,
            },
            waiting: self.waiting,
            now: now(),
            notice: None,
            query: String::new(),
        }
    }

    /// Where clients reach the gateway.
    pub(crate) fn gateway(&self) -> String {
        format!("{}/mcp", self.shared.options.public_url)
    }

    /// Everyone's names.
    pub(crate) async fn names(&self) -> Result<Names, TriageError> {
        let users = self.app().users(&self.scope).await?;
        Ok(Names(users.into_iter().map(|user| (format!("user:{}", user.id), (user.name, user.role))).collect()))
    }
}

/// A message at the top of a page.
pub(crate) fn notice(tone: Tone, text: impl Into<String>) -> Option<Notice> {
    Some(Notice { tone, text: text.into(), id: None })
}

/// How the last test of a model or an integration ended, from what the store keeps.
pub(crate) fn tested(checked_us: Option<i64>, problem: &str, good: &str) -> Option<TestResult> {
    let at = when(checked_us?, now());
    let text = if problem.is_empty() { good } else { problem };
    Some(TestResult { good: problem.is_empty(), text: text.to_owned(), at })
}
