//! The conversation with a model: turns, rounds, tool calls.
//!
//! A turn is one message of a person and everything that follows until the model has nothing more to ask for. A round is
//! one answer of the model with the tool calls in it.
//!
//! While a turn runs, `GET /incidents/{id}/chat/stream?turn={turn}` sends server-sent events. Each carries the whole
//! state of what it names, so that a reader who comes back misses nothing and nothing has to be replayed:
//!
//! | event | data | what the page does |
//! |---|---|---|
//! | `round` | HTML of one round ([`RoundFragment`]), at most ten a second | puts it in the place of the element with its id, or at the end of `#turn-{turn} .rounds` |
//! | `status` | a short plain text: `Waiting for gpt-4.1` | shows it below the turn |
//! | `sash` | HTML ([`super::bench::SashFragment`]) | replaces `#sash` |
//! | `end` | HTML of the turn ([`TurnFragment`]) | replaces `#turn-{turn}` and closes the stream |
//!
//! The stream stays open while a tool call waits for a person: another browser may decide. A stream for a turn that is
//! over sends `end` at once.

use askama::Template;

use super::Field;
use super::Frame;
use super::bench::Bench;
use crate::markdown::TrustedHtml;
use crate::units::{Bytes, Count, Id, When};

/// Where a tool call stands.
#[derive(Clone, Debug)]
pub enum CallState {
    /// It waits for a person, until then.
    Pending(When),
    /// Somebody approved it, and it has not begun.
    Approved(String),
    /// Somebody denied it; the model was told.
    Denied(String),
    /// It runs since then.
    Running(When),
    /// It is done. What it brought back, masked, by [`crate::markdown::plain`]; at most 16 KiB.
    Done(TrustedHtml),
    /// It failed: what happened and what to do.
    Failed(String),
    /// Nobody decided in time; the model was told.
    Expired,
}

impl CallState {
    /// The name in style sheets.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Pending(_) => "pending",
            Self::Approved(_) => "approved",
            Self::Denied(_) => "denied",
            Self::Running(_) => "running",
            Self::Done(_) => "done",
            Self::Failed(_) => "failed",
            Self::Expired => "expired",
        }
    }

    /// The word that is shown.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Pending(_) => "Waits for approval",
            Self::Approved(_) => "Approved",
            Self::Denied(_) => "Denied",
            Self::Running(_) => "Running",
            Self::Done(_) => "Done",
            Self::Failed(_) => "Failed",
            Self::Expired => "Expired",
        }
    }

    /// Until when it can be decided, while it can.
    #[must_use]
    pub const fn expires(&self) -> Option<&When> {
        if let Self::Pending(at) = self { Some(at) } else { None }
    }

    /// Since when it runs.
    #[must_use]
    pub const fn since(&self) -> Option<&When> {
        if let Self::Running(at) = self { Some(at) } else { None }
    }

    /// Who decided.
    #[must_use]
    pub fn decided_by(&self) -> Option<&str> {
        if let Self::Approved(who) | Self::Denied(who) = self { Some(who) } else { None }
    }

    /// What it brought back.
    #[must_use]
    pub const fn result(&self) -> Option<&TrustedHtml> {
        if let Self::Done(result) = self { Some(result) } else { None }
    }

    /// Why it failed.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        if let Self::Failed(problem) = self { Some(problem) } else { None }
    }
}

/// A call of a tool that the model asks for.
///
/// Posts to `/incidents/{incident}/calls/{id}/approve` and `/incidents/{incident}/calls/{id}/deny`, both with `digest` and the
/// first, where the risk is low, with `here` (`1` for later calls, too); and no field to `…/ask-again`, which ends that.
/// They answer 303 to `/incidents/{incident}/chat#call-{id}`, or 409 where it has been decided or has changed.
#[derive(Clone, Debug)]
pub struct ToolCall {
    /// The call.
    pub id: Id,
    /// The incident, for the form's address.
    pub incident: Id,
    /// The tool's own name: `get_current_time`.
    pub tool: String,
    /// The server's name.
    pub server: String,
    /// What the server says that the tool does; its first sentence.
    pub description: String,
    /// The arguments as they would leave, JSON laid out, by [`crate::markdown::plain`].
    pub arguments: TrustedHtml,
    /// What was masked in them: type and how many.
    pub masked: Vec<(String, Count)>,
    /// Types whose originals a rule puts back for this server.
    pub revealed: Vec<String>,
    /// Hash of what is approved; goes back with the form.
    pub digest: String,
    /// `low`, `medium` or `high`, by the server's own words; empty for what is no tool.
    pub risk: String,
    /// Approved together with later calls of the same tool in this incident.
    pub for_incident: bool,
    /// Where it stands.
    pub state: CallState,
    /// What its server has asked on the way, oldest first.
    pub questions: Vec<Question>,
    /// The result is longer than what is shown of it.
    pub long: bool,
    /// The departure, once it has left.
    pub sent: Option<Id>,
    /// Whether the reader may decide.
    pub can_write: bool,
}

/// What a server asks while its tool runs.
///
/// Posts `action` (`accept`, `decline` or `dismiss`) and what its fields hold to `/incidents/{incident}/questions/{id}`;
/// answers 303 to the call, 422 where something typed was not taken, 409 where it was decided or has expired.
#[derive(Clone, Debug)]
pub struct Question {
    /// The question.
    pub id: Id,
    /// `form`, `url` or `sample`.
    pub kind: String,
    /// `pending`, `accepted`, `declined`, `cancelled`, `expired` or `over`.
    pub state: String,
    /// The server's words, masked.
    pub message: String,
    /// The fields to fill in.
    pub fields: Vec<QuestionField>,
    /// The address to open, masked.
    pub address: Option<String>,
    /// What the model would be asked: who says it, and what, by [`crate::markdown::plain`].
    pub messages: Vec<(&'static str, TrustedHtml)>,
    /// What was answered, by [`crate::markdown::plain`].
    pub answer: Option<TrustedHtml>,
    /// Why what was typed was not taken.
    pub error: Option<String>,
    /// Until when.
    pub until: When,
}

impl Question {
    /// Nobody has answered yet.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.state == "pending"
    }

    /// What it is.
    #[must_use]
    pub fn title(&self) -> &'static str {
        match self.kind.as_str() {
            "sample" => "The server wants to ask the model",
            "url" => "The server asks you to open an address",
            _ => "The server asks you",
        }
    }

    /// What became of it.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self.state.as_str() {
            "accepted" if self.kind == "sample" => "Allowed",
            "accepted" => "Answered",
            "declined" => "Declined",
            "cancelled" => "Dismissed",
            "expired" => "Expired",
            _ => "Over",
        }
    }

    /// The first button.
    #[must_use]
    pub fn accept(&self) -> &'static str {
        match self.kind.as_str() {
            "sample" => "Ask the model",
            "url" => "I have opened it",
            _ => "Answer",
        }
    }

    /// The second button.
    #[must_use]
    pub fn decline(&self) -> &'static str {
        if self.kind == "sample" { "Do not ask" } else { "Decline" }
    }

    /// Where what is said goes.
    #[must_use]
    pub fn goes(&self) -> &'static str {
        match self.kind.as_str() {
            "sample" => "The model's answer goes to the server, masked.",
            "url" => "The server learns that you agreed, and nothing else from here.",
            _ => "What you answer goes to the server, masked.",
        }
    }
}

/// A field of a question.
#[derive(Clone, Debug)]
pub struct QuestionField {
    /// In the form: `f0`.
    pub name: String,
    /// What it is called.
    pub title: String,
    /// What the server says of it; may be empty.
    pub description: String,
    /// It has to be filled in.
    pub required: bool,
    /// `flag`, `one`, `many`, or the type of the input.
    pub kind: &'static str,
    /// What stands in it.
    pub value: String,
    /// What can be chosen.
    pub choices: Vec<QuestionChoice>,
}

/// Something that can be chosen.
#[derive(Clone, Debug)]
pub struct QuestionChoice {
    /// Its number.
    pub value: String,
    /// What is shown, masked.
    pub title: String,
    /// It is chosen.
    pub chosen: bool,
}

/// One answer of the model.
#[derive(Clone, Debug)]
pub struct Round {
    /// The turn that it belongs to.
    pub turn: Id,
    /// Counted from one.
    pub number: u32,
    /// By [`crate::markdown::render`]; may be empty.
    pub answer: TrustedHtml,
    /// In the model's order.
    pub calls: Vec<ToolCall>,
}

/// `round` of the stream; root `<div class="round" id="round-{turn}-{number}">`.
#[derive(Clone, Debug, Template)]
#[template(path = "fragments/round.html")]
pub struct RoundFragment {
    /// The round.
    pub round: Round,
}

/// Where a turn stands.
#[derive(Clone, Debug)]
pub enum TurnState {
    /// The model answers or a tool runs: the page opens the stream. What is going on, in a few words.
    Running(String),
    /// A tool call waits for a person.
    Waiting,
    /// All said.
    Done,
    /// A person stopped it; what came before is kept.
    Stopped(String),
    /// It failed: what happened, what was not affected, what to do. The id leads to the log entry.
    Failed(String, Id),
}

impl TurnState {
    /// The name in style sheets.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Running(_) => "running",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Stopped(_) => "stopped",
            Self::Failed(..) => "failed",
        }
    }

    /// What is going on, while it runs.
    #[must_use]
    pub fn running(&self) -> Option<&str> {
        if let Self::Running(what) = self { Some(what) } else { None }
    }

    /// Who stopped it.
    #[must_use]
    pub fn stopped_by(&self) -> Option<&str> {
        if let Self::Stopped(who) = self { Some(who) } else { None }
    }

    /// What failed.
    #[must_use]
    pub fn failure(&self) -> Option<(&str, &Id)> {
        if let Self::Failed(text, id) = self { Some((text, id)) } else { None }
    }

    /// It can be stopped.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self, Self::Running(_) | Self::Waiting)
    }
}

/// A message of a person and everything that follows.
///
/// Posts to `/incidents/{incident}/turns/{id}/stop` and, where it failed, `/incidents/{incident}/turns/{id}/retry` or
/// `/incidents/{incident}/budget`; all answer 303 to `/incidents/{incident}/chat`.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The turn.
    pub id: Id,
    /// The incident.
    pub incident: Id,
    /// Who asked.
    pub by: String,
    /// When.
    pub at: When,
    /// What was asked, masked, by [`crate::markdown::plain`].
    pub question: TrustedHtml,
    /// Which model answered: `gpt-4.1`.
    pub model: String,
    /// Its answers in order.
    pub rounds: Vec<Round>,
    /// Where it stands.
    pub state: TurnState,
    /// The departures of this turn: id, how much.
    pub sent: Vec<(Id, Bytes)>,
    /// Tokens in and out, where the model said.
    pub tokens: Option<(Count, Count)>,
    /// What it cost, in the organisation's currency; empty where no price is known.
    pub cost: String,
    /// What can be done where it failed.
    pub advice: Advice,
    /// Whether the reader may stop and retry.
    pub can_write: bool,
}

/// What a reader can do about a turn that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Advice {
    /// Wait, and try again.
    #[default]
    Retry,
    /// Put the model's key right: its page, for those who may.
    FixKey(Option<Id>),
    /// Ask something shorter.
    Shorten,
    /// Let the incident spend more; whether this reader may.
    RaiseBudget(bool),
    /// Nothing here: what was asked for is not to be had.
    GiveUp,
}

/// `end` of the stream; root `<article class="turn" id="turn-{id}">`.
#[derive(Clone, Debug, Template)]
#[template(path = "fragments/turn.html")]
pub struct TurnFragment {
    /// The turn.
    pub turn: Turn,
}

/// A server whose tools the model can ask for.
#[derive(Clone, Debug)]
pub struct ToolSource {
    /// The server's name.
    pub server: String,
    /// Tools of it; nothing where they are not known, and why.
    pub tools: Result<Count, String>,
}

impl ToolSource {
    /// Why its tools are not known.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.tools.as_ref().err().map(String::as_str)
    }

    /// How many tools it has.
    #[must_use]
    pub fn count(&self) -> Count {
        self.tools.as_ref().copied().unwrap_or_default()
    }
}

/// `GET /incidents/{id}/chat`. Posts `text` to the same address; answers 303 to `…/chat#turn-{turn}`, 422 where the text
/// was refused. `POST /incidents/{id}/reveal` with `label` = `[EMAIL-1]` answers 200 with
/// `{"label":"[EMAIL-1]","original":"…"}`, 404 where there is none, 403 where the reader may not see it.
#[derive(Clone, Debug, Template)]
#[template(path = "workbench/chat.html")]
pub struct ChatPage {
    /// The frame.
    pub frame: Frame,
    /// The columns.
    pub bench: Bench,
    /// Oldest first.
    pub turns: Vec<Turn>,
    /// What was typed and not sent.
    pub draft: Field,
    /// `gpt-4.1 at api.example.com`, the one that is asked first; nothing where no model is set up.
    pub model: Option<String>,
    /// All that could be asked first, where there are several.
    pub models: Vec<ModelChoice>,
    /// Servers whose tools are offered.
    pub sources: Vec<ToolSource>,
    /// Servers offer prompts, and this reader may use them.
    pub has_prompts: bool,
    /// Log files that are scanned and go along as evidence.
    pub logs_ready: Count,
    /// `12,300 of 500,000 tokens used`; empty where there is no limit.
    pub spent: String,
}

/// A model that an incident's questions can go to first.
#[derive(Clone, Debug)]
pub struct ModelChoice {
    /// The model.
    pub id: Id,
    /// `gpt-4.1 at api.example.com`.
    pub name: String,
    /// Its people chose it here.
    pub chosen: bool,
}

impl ChatPage {
    /// Somebody chose a model for this incident.
    #[must_use]
    pub fn is_chosen(&self) -> bool {
        self.models.iter().any(|model| model.chosen)
    }

    /// How many servers offer no tools, because they are not known.
    #[must_use]
    pub fn without_tools(&self) -> usize {
        self.sources.iter().filter(|source| source.problem().is_some()).count()
    }

    /// A turn is under way: no other can begin.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.turns.iter().any(|turn| turn.state.is_live())
    }
}
