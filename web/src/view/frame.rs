//! What every page has: the rail, the search field, the breadcrumbs, a notice; and words that many pages share.

use jiff::Timestamp;

use crate::units::Id;

/// The part of the product that a page belongs to; marks the rail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Incidents and everything below them.
    Incidents,
    /// Installed plugins.
    Plugins,
    /// MCP servers.
    Servers,
    /// Ticket and document systems.
    Integrations,
    /// The audit log.
    Audit,
    /// Settings.
    Settings,
    /// None of them: an error page.
    Elsewhere,
}

impl Place {
    /// The first segment of the place's address.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Incidents => "incidents",
            Self::Plugins => "plugins",
            Self::Servers => "servers",
            Self::Integrations => "integrations",
            Self::Audit => "audit",
            Self::Settings => "settings",
            Self::Elsewhere => "",
        }
    }
}

/// One step of the breadcrumbs.
#[derive(Clone, Debug)]
pub struct Crumb {
    /// What is read.
    pub text: String,
    /// Where it leads; nothing for the page itself, which is the last one.
    pub href: Option<String>,
}

impl Crumb {
    /// A step that leads somewhere.
    pub fn link(text: impl Into<String>, href: impl Into<String>) -> Self {
        Self { text: text.into(), href: Some(href.into()) }
    }

    /// The page itself.
    pub fn here(text: impl Into<String>) -> Self {
        Self { text: text.into(), href: None }
    }
}

/// What the reader may do. It hides controls only: the server checks each request again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Can {
    /// Change incidents (responder and above).
    pub write: bool,
    /// Plugins, servers, integrations, models (operator, admin).
    pub operate: bool,
    /// Read the audit log (security, admin).
    pub audit: bool,
    /// People and tokens (admin).
    pub administer: bool,
}

/// The reader.
#[derive(Clone, Debug)]
pub struct Person {
    /// The account.
    pub id: Id,
    /// As other people see it.
    pub name: String,
    /// `viewer`, `responder`, `operator`, `security` or `admin`.
    pub role: String,
}

/// How a message is meant. Always shown with a word or a shape beside the colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Something worked.
    Good,
    /// For information.
    Info,
    /// Something wants attention.
    Warn,
    /// Something failed.
    Bad,
}

impl Tone {
    /// The name in style sheets.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// A message at the top of a page. It stays until the next page: nothing is said by a toast alone.
#[derive(Clone, Debug)]
pub struct Notice {
    /// How it is meant.
    pub tone: Tone,
    /// What happened, what was not affected, what to do.
    pub text: String,
    /// Leads to the log entry, for failures.
    pub id: Option<Id>,
}

/// What surrounds the content of every page for a signed-in reader.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The document's title, without the product's name.
    pub title: String,
    /// Which place the page belongs to.
    pub place: Place,
    /// From the place down to the page.
    pub crumbs: Vec<Crumb>,
    /// The reader.
    pub person: Person,
    /// What the reader may do.
    pub can: Can,
    /// Calls of the gateway that wait for the reader.
    pub waiting: u64,
    /// The moment at which the page is made.
    pub now: Timestamp,
    /// A message about the request before.
    pub notice: Option<Notice>,
    /// What stands in the search field.
    pub query: String,
}

/// A value in a form, and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Field {
    /// What stands in the field: what is stored, or what was typed. Always empty for secrets.
    pub value: String,
    /// Why it was not accepted, as a sentence.
    pub error: Option<String>,
}

impl Field {
    /// A value with nothing wrong.
    pub fn new(value: impl Into<String>) -> Self {
        Self { value: value.into(), error: None }
    }

    /// A value that was not accepted.
    pub fn wrong(value: impl Into<String>, error: impl Into<String>) -> Self {
        Self { value: value.into(), error: Some(error.into()) }
    }
}

/// How bad an incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Everything stops.
    Critical,
    /// Many are affected.
    High,
    /// Some are affected.
    Medium,
    /// Hardly anyone notices.
    Low,
}

impl Severity {
    /// From the worst to the least.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Medium, Self::Low];

    /// The value in forms and URLs.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }

    /// The word that is shown.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Critical => "Critical",
            Self::High => "High",
            Self::Medium => "Medium",
            Self::Low => "Low",
        }
    }

    /// The shape beside the word.
    #[must_use]
    pub const fn icon(self) -> crate::icons::Icon {
        crate::icons::icon(match self {
            Self::Critical => "sev-critical",
            Self::High => "sev-high",
            Self::Medium => "sev-medium",
            Self::Low => "sev-low",
        })
    }
}

/// Where an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Nobody has begun.
    Open,
    /// Somebody works on it.
    Investigating,
    /// The cause is mended.
    Resolved,
    /// Nothing more to do.
    Closed,
}

impl Status {
    /// In the order of an incident's life.
    pub const ALL: [Self; 4] = [Self::Open, Self::Investigating, Self::Resolved, Self::Closed];

    /// The value in forms and URLs.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Investigating => "investigating",
            Self::Resolved => "resolved",
            Self::Closed => "closed",
        }
    }

    /// The word that is shown.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::Investigating => "Investigating",
            Self::Resolved => "Resolved",
            Self::Closed => "Closed",
        }
    }

    /// The shape beside the word.
    #[must_use]
    pub const fn icon(self) -> crate::icons::Icon {
        crate::icons::icon(match self {
            Self::Open => "st-open",
            Self::Investigating => "st-investigating",
            Self::Resolved => "st-resolved",
            Self::Closed => "st-closed",
        })
    }
}
