//! The workbench of one incident: the sash, the evidence on the left, whys, timeline and people on the right.
//!
//! Every page of an incident has a [`Bench`]; what it reads in the middle is its own.

use askama::Template;

use super::incidents::IncidentForm;
use super::{Frame, Severity, Status};
use crate::markdown::TrustedHtml;
use crate::units::{Bytes, Count, Id, Progress, When};

/// Whether anything can leave an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SashState {
    /// Nothing has left, and nobody is set up to receive anything or has been asked.
    Closed,
    /// Something has left, or will with the next message.
    Open,
    /// Something is leaving now.
    Sending,
    /// A person lowered it: nothing leaves until it is raised.
    Lowered,
}

impl SashState {
    /// The name in style sheets and for scripts.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Sending => "sending",
            Self::Lowered => "lowered",
        }
    }

    /// The mark of the state, the same everywhere in the product.
    #[must_use]
    pub const fn icon(self) -> crate::icons::Icon {
        crate::icons::icon(match self {
            Self::Closed => "sash-closed",
            Self::Open | Self::Sending => "sash-open",
            Self::Lowered => "sash-lowered",
        })
    }

    /// Whether the person has lowered it.
    #[must_use]
    pub const fn is_lowered(self) -> bool {
        matches!(self, Self::Lowered)
    }
}

/// Something that has left, in one line.
#[derive(Clone, Debug)]
pub struct DepartureLine {
    /// For the address `/incidents/{incident}/sent/{id}`.
    pub id: Id,
    /// What it was: `Message 3 to the model`, `Tool call get_current_time`, `Publication`.
    pub what: String,
    /// Host or process that received it: `api.example.com`, `process mcp-server-time`.
    pub to: String,
    /// How much.
    pub bytes: Bytes,
    /// Values that were masked in it.
    pub masked: Count,
    /// When.
    pub at: When,
    /// `sending`, `sent`, `stopped` (the last check or the sash), `failed`, `unknown` (whether it arrived is not known).
    pub outcome: String,
}

/// What would leave next, were the person to go on.
#[derive(Clone, Debug)]
pub struct NextDeparture {
    /// What it is, as in [`DepartureLine::what`].
    pub what: String,
    /// Who would receive it.
    pub to: String,
    /// How much.
    pub bytes: Bytes,
    /// Values that are masked in it.
    pub masked: Count,
    /// The exact text, made by [`crate::markdown::plain`]; at most 8 KiB, the rest is on the page of the departure.
    pub text: TrustedHtml,
}

/// The bar that never scrolls away.
#[derive(Clone, Debug)]
pub struct Sash {
    /// The incident.
    pub incident: Id,
    /// Whether anything can leave.
    pub state: SashState,
    /// `gpt-4.1 at api.example.com`; nothing where no one is set up.
    pub to: Option<String>,
    /// All that has left so far.
    pub sent: Bytes,
    /// Values that were masked in it.
    pub masked: Count,
    /// Who lowered it and when, when lowered.
    pub lowered: Option<(String, When)>,
    /// The next departure, where one is prepared (a tool call that waits, a document to publish).
    pub next: Option<NextDeparture>,
    /// The last five departures, newest first.
    pub departures: Vec<DepartureLine>,
    /// All departures.
    pub departed: Count,
    /// Whether the reader may lower and raise it.
    pub can_write: bool,
}

/// `GET /incidents/{id}/sash`: the bar alone; root `<details id="sash">`. Also the data of the event `sash`.
#[derive(Clone, Debug, Template)]
#[template(path = "fragments/sash.html")]
pub struct SashFragment {
    /// The bar.
    pub sash: Sash,
}

/// A type of finding and how its findings were judged.
#[derive(Clone, Debug)]
pub struct KindCount {
    /// `EMAIL`, `[A-Z0-9_]{1,32}`.
    pub kind: String,
    /// Its group.
    pub group: Group,
    /// Found in all.
    pub found: Count,
    /// Judged right, or not judged but masked all the same.
    pub accepted: Count,
    /// Judged wrong: these leave as they stand.
    pub rejected: Count,
    /// Not judged yet: masked.
    pub pending: Count,
    /// Marked in the viewer.
    pub shown: bool,
}

/// The group of a type; decides the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// A value with a syntax of its own: solid underline.
    Structured,
    /// A secret: double underline.
    Secret,
    /// Known by what stands beside it: dotted underline.
    Contextual,
}

impl Group {
    /// The name in style sheets.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Structured => "structured",
            Self::Secret => "secret",
            Self::Contextual => "contextual",
        }
    }
}

/// Where a log file stands.
#[derive(Clone, Debug)]
pub enum LogState {
    /// Bytes arrive and are scanned as they come.
    Scanning(Progress),
    /// It can be read and may leave, masked.
    Ready,
    /// Scanning failed; it can be read, and does not leave. Why, as a sentence.
    Failed(String),
    /// A person stopped it; what was scanned until then can be read, and none of it leaves.
    Cancelled,
}

impl LogState {
    /// The name in style sheets.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Scanning(_) => "scanning",
            Self::Ready => "ready",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// How far, while it is scanned.
    #[must_use]
    pub const fn progress(&self) -> Option<&Progress> {
        match self {
            Self::Scanning(progress) => Some(progress),
            _ => None,
        }
    }

    /// Why it failed.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Failed(reason) => Some(reason),
            _ => None,
        }
    }
}

/// A log file in the column of evidence.
#[derive(Clone, Debug)]
pub struct LogCard {
    /// For the address `/incidents/{incident}/logs/{id}`.
    pub id: Id,
    /// The file's name.
    pub name: String,
    /// Uncompressed.
    pub size: Bytes,
    /// Lines so far.
    pub lines: Count,
    /// Where it stands.
    pub state: LogState,
    /// By type, most frequent first.
    pub kinds: Vec<KindCount>,
    /// It is what the page reads.
    pub current: bool,
    /// When it was added.
    pub added: When,
}

impl LogCard {
    /// Findings that nobody has judged.
    #[must_use]
    pub fn pending(&self) -> Count {
        Count(self.kinds.iter().map(|kind| kind.pending.0).sum())
    }

    /// Findings in all.
    #[must_use]
    pub fn found(&self) -> Count {
        Count(self.kinds.iter().map(|kind| kind.found.0).sum())
    }
}

/// What a tool brought back.
#[derive(Clone, Debug)]
pub struct ResultCard {
    /// The call: `/incidents/{incident}/chat#call-{id}`.
    pub id: Id,
    /// The tool's own name.
    pub tool: String,
    /// The server's name.
    pub server: String,
    /// How much it said.
    pub size: Bytes,
    /// When.
    pub at: When,
}

/// The left column.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// In the order in which they were added.
    pub logs: Vec<LogCard>,
    /// Newest first.
    pub results: Vec<ResultCard>,
}

impl Evidence {
    /// How many logs are there or on their way; those that failed or were cancelled are not.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.logs.iter().filter(|log| matches!(log.state, LogState::Scanning(_) | LogState::Ready)).count()
    }

    /// Whether something is still being scanned: then the page asks again every second.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.logs.iter().any(|log| log.state.progress().is_some())
    }

    /// The log that is being read.
    #[must_use]
    pub fn current(&self) -> Option<&Id> {
        self.logs.iter().find(|log| log.current).map(|log| &log.id)
    }
}

/// `GET /incidents/{id}/evidence[?log={id}]`: the left column alone; root `<div id="evidence">`. `log` marks what is
/// being read.
#[derive(Clone, Debug, Template)]
#[template(path = "fragments/evidence.html")]
pub struct EvidenceFragment {
    /// The incident.
    pub incident: Id,
    /// The column.
    pub evidence: Evidence,
    /// Whether the reader may add and cancel.
    pub can_write: bool,
}

/// A why in the right column.
#[derive(Clone, Debug)]
pub struct WhyLine {
    /// For the address `/incidents/{incident}/whys#why-{id}`.
    pub id: Id,
    /// The question.
    pub question: String,
    /// It has an answer.
    pub answered: bool,
    /// Its answer is the root cause.
    pub root: bool,
}

/// Something that happened in an incident.
#[derive(Clone, Debug)]
pub struct TimelineEvent {
    /// For the address `/incidents/{incident}/timeline#event-{id}`.
    pub id: Id,
    /// When.
    pub at: When,
    /// `created`, `status`, `log-added`, `log-scanned`, `review`, `message`, `answer`, `tool-call`, `approval`, `why`,
    /// `root-cause`, `document`, `published`, `sash`, `note`, `failure`; an unknown one is shown as `note`.
    pub kind: String,
    /// A sentence, without the person's name: `added checkout-api.log (118 MB)`.
    pub text: String,
    /// Who: a person's name, `model`, or `server`.
    pub actor: String,
    /// Where it can be read: the log, the turn, the page.
    pub href: Option<String>,
}

impl TimelineEvent {
    /// The shape that stands for the kind.
    #[must_use]
    pub fn icon(&self) -> crate::icons::Icon {
        crate::icons::icon(match self.kind.as_str() {
            "created" | "status" => "incident",
            "log-added" | "log-scanned" => "log",
            "review" => "eye",
            "message" => "chat",
            "answer" => "model",
            "tool-call" => "tool",
            "approval" => "check",
            "why" => "why",
            "root-cause" => "flag",
            "document" => "doc",
            "published" => "out",
            "sash" => "sash-lowered",
            "failure" => "x",
            _ => "dot",
        })
    }
}

/// Somebody who has worked on the incident.
#[derive(Clone, Debug)]
pub struct Participant {
    /// The name.
    pub name: String,
    /// `responder`, …
    pub role: String,
    /// Last seen on this incident.
    pub seen: When,
}

/// Which columns are folded; from the cookie `fold`, whose value is `left`, `right`, `left.right` or empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Folds {
    /// Evidence.
    pub left: bool,
    /// Whys, timeline, people.
    pub right: bool,
}

/// Which of the middle column's pages is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    /// `/incidents/{id}`
    Overview,
    /// `/incidents/{id}/logs/{log}`
    Log,
    /// `/incidents/{id}/chat`
    Chat,
    /// `/incidents/{id}/whys`
    Whys,
    /// `/incidents/{id}/document`
    Document,
    /// `/incidents/{id}/timeline`
    Timeline,
    /// `/incidents/{id}/sent`
    Sent,
}

impl Tab {
    /// The last segment of the address.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Log => "log",
            Self::Chat => "chat",
            Self::Whys => "whys",
            Self::Document => "document",
            Self::Timeline => "timeline",
            Self::Sent => "sent",
        }
    }
}

/// What surrounds the middle column on every page of an incident.
#[derive(Clone, Debug)]
pub struct Bench {
    /// The incident.
    pub id: Id,
    /// Its title.
    pub title: String,
    /// How bad.
    pub severity: Severity,
    /// Where it stands.
    pub status: Status,
    /// Which page is shown.
    pub tab: Tab,
    /// The bar.
    pub sash: Sash,
    /// The left column.
    pub evidence: Evidence,
    /// All whys, in order.
    pub whys: Vec<WhyLine>,
    /// The last eight events, newest first.
    pub timeline: Vec<TimelineEvent>,
    /// Last seen first.
    pub people: Vec<Participant>,
    /// Folded columns.
    pub folds: Folds,
    /// Whether the reader may change the incident.
    pub can_write: bool,
}

impl Bench {
    /// `/incidents/{id}`.
    #[must_use]
    pub fn href(&self) -> String {
        format!("/incidents/{}", self.id)
    }

    /// The log that a link "Log" leads to: the one that is read, else the first.
    #[must_use]
    pub fn log_href(&self) -> Option<String> {
        let logs = &self.evidence.logs;
        let log = logs.iter().find(|log| log.current).or_else(|| logs.first())?;
        Some(format!("/incidents/{}/logs/{}", self.id, log.id))
    }
}

/// One of the steps from logs to a published page.
#[derive(Clone, Debug)]
pub struct Step {
    /// `Add logs`, …
    pub label: String,
    /// `3 files, 1,204,551 lines`; or what is missing and how to add it.
    pub detail: String,
    /// Where it is done.
    pub href: String,
    /// It is done.
    pub done: bool,
}

/// `GET /incidents/{id}`. Posts to the same address: `title`, `description`, `severity`, `status`, `category`, `tags`;
/// answers 303 to itself. Files are posted to `/incidents/{id}/logs` (multipart, field `file`, several).
#[derive(Clone, Debug, Template)]
#[template(path = "workbench/overview.html")]
pub struct OverviewPage {
    /// The frame.
    pub frame: Frame,
    /// The columns.
    pub bench: Bench,
    /// The description, rendered.
    pub description: TrustedHtml,
    /// The category; may be empty.
    pub category: String,
    /// The tags.
    pub tags: Vec<String>,
    /// Who opened it.
    pub owner: String,
    /// When it was opened.
    pub created: When,
    /// The last change.
    pub updated: When,
    /// From logs to a published page.
    pub steps: Vec<Step>,
    /// For the form.
    pub form: IncidentForm,
    /// Show the form (it did not pass, or `?edit`).
    pub editing: bool,
    /// The version that the reader sees; goes back with the form.
    pub version: i64,
    /// The largest upload.
    pub upload_max: Bytes,
}

/// `GET /incidents/{id}/timeline[?before={event}]`.
#[derive(Clone, Debug, Template)]
#[template(path = "workbench/timeline.html")]
pub struct TimelinePage {
    /// The frame.
    pub frame: Frame,
    /// The columns.
    pub bench: Bench,
    /// Newest first; 100.
    pub events: Vec<TimelineEvent>,
    /// The address of older ones.
    pub older: Option<String>,
}
