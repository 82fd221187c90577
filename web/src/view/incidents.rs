//! The list of incidents, and a new one.

use askama::Template;

use super::bench::SashState;
use super::{Field, Frame, Severity, Status};
use crate::units::{Count, Id, When};

/// The order of the list; `sort` in the URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Last change first.
    #[default]
    Updated,
    /// Newest first.
    Created,
    /// Worst first.
    Severity,
    /// By title.
    Title,
}

impl Sort {
    /// All of them, in the order of the menu.
    pub const ALL: [Self; 4] = [Self::Updated, Self::Created, Self::Severity, Self::Title];

    /// The value in the URL.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Updated => "updated",
            Self::Created => "created",
            Self::Severity => "severity",
            Self::Title => "title",
        }
    }

    /// The words in the menu.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Updated => "Last change",
            Self::Created => "Newest",
            Self::Severity => "Severity",
            Self::Title => "Title",
        }
    }
}

/// What the list is narrowed to; the whole of it is in the URL: `q`, `status`, `severity`, `sort`. Empty means all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Words in title, description, tags.
    pub q: String,
    /// One status.
    pub status: Option<Status>,
    /// One severity.
    pub severity: Option<Severity>,
    /// The order.
    pub sort: Sort,
}

impl Filter {
    /// Whether anything is left out.
    #[must_use]
    pub const fn narrows(&self) -> bool {
        !self.q.is_empty() || self.status.is_some() || self.severity.is_some()
    }

    fn is(&self, status: Option<Status>, severity: Option<Severity>) -> bool {
        self.q.is_empty() && self.status == status && self.severity == severity
    }

    /// Whether that status is asked for.
    #[must_use]
    pub fn has_status(&self, status: &Status) -> bool {
        self.status.as_ref() == Some(status)
    }

    /// Whether that severity is asked for.
    #[must_use]
    pub fn has_severity(&self, severity: &Severity) -> bool {
        self.severity.as_ref() == Some(severity)
    }

    /// Whether the filter is that status and nothing else.
    #[must_use]
    pub fn is_status(&self, status: &str) -> bool {
        self.is(Status::ALL.into_iter().find(|s| s.key() == status), None)
    }

    /// Whether the filter is that severity and nothing else.
    #[must_use]
    pub fn is_severity(&self, severity: &str) -> bool {
        self.is(None, Severity::ALL.into_iter().find(|s| s.key() == severity))
    }
}

/// One incident in the list.
#[derive(Clone, Debug)]
pub struct IncidentRow {
    /// For the address `/incidents/{id}`.
    pub id: Id,
    /// The title.
    pub title: String,
    /// How bad.
    pub severity: Severity,
    /// Where it stands.
    pub status: Status,
    /// May be empty.
    pub category: String,
    /// In the order in which they were given.
    pub tags: Vec<String>,
    /// Log files.
    pub logs: Count,
    /// Findings that nobody has judged.
    pub pending: Count,
    /// Whether anything has left or could.
    pub sash: SashState,
    /// The last change.
    pub updated: When,
    /// Who opened it.
    pub owner: String,
}

/// `GET /incidents?q=&status=&severity=&sort=&after=`.
#[derive(Clone, Debug, Template)]
#[template(path = "incidents/list.html")]
pub struct IncidentsPage {
    /// The frame.
    pub frame: Frame,
    /// As in the URL.
    pub filter: Filter,
    /// One page of them; 50.
    pub rows: Vec<IncidentRow>,
    /// How many match.
    pub total: Count,
    /// Whether there is any incident at all: tells "none yet" from "none match".
    pub any: bool,
    /// The address of the next page.
    pub next: Option<String>,
    /// The address of the first page, when this is another.
    pub first: Option<String>,
}

/// The fields of an incident. `severity` and `status` carry keys.
#[derive(Clone, Debug)]
pub struct IncidentForm {
    /// 1 to 200 characters.
    pub title: Field,
    /// Markdown; may be empty.
    pub description: Field,
    /// How bad.
    pub severity: Severity,
    /// Where it stands; not in the form of a new incident, which is open.
    pub status: Status,
    /// One word or two; may be empty.
    pub category: Field,
    /// Separated by commas.
    pub tags: Field,
}

impl Default for IncidentForm {
    fn default() -> Self {
        Self {
            title: Field::default(),
            description: Field::default(),
            severity: Severity::Medium,
            status: Status::Open,
            category: Field::default(),
            tags: Field::default(),
        }
    }
}

/// `GET /incidents/new`. Posts to `/incidents`: `title`, `description`, `severity`, `category`, `tags`.
/// Success answers 303 to `/incidents/{id}`.
#[derive(Clone, Debug, Template)]
#[template(path = "incidents/new.html")]
pub struct NewIncidentPage {
    /// The frame.
    pub frame: Frame,
    /// What was typed.
    pub form: IncidentForm,
    /// Categories that are in use, offered while typing.
    pub categories: Vec<String>,
}
