//! A conversation, asked of a model again.

use askama::Template;

use super::bench::Bench;
use super::chat::ModelChoice;
use super::{Field, Frame};
use crate::markdown::TrustedHtml;
use crate::units::{Count, Id, When};

/// One in the list.
#[derive(Clone, Debug)]
pub struct ReplayRow {
    /// For the address.
    pub id: Id,
    /// Which model was asked.
    pub model: String,
    /// Other instructions than ours were given.
    pub has_instructions: bool,
    /// `running`, `done`, `failed` or `stopped`.
    pub state: String,
    /// Who asked.
    pub by: String,
    /// When.
    pub at: When,
    /// Tokens in and out.
    pub tokens: (Count, Count),
    /// What it cost; empty where no price is known.
    pub cost: String,
}

impl ReplayRow {
    /// The state's tag.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self.state.as_str() {
            "done" => "connected",
            "failed" => "error",
            _ => "plain",
        }
    }
}

/// `GET /incidents/{id}/replays`. Posts `model` and `instructions` to the same address; answers 303 to the replay, 422 where
/// they are refused.
#[derive(Clone, Debug, Template)]
#[template(path = "workbench/replays.html")]
pub struct ReplaysPage {
    /// The frame.
    pub frame: Frame,
    /// The columns around it.
    pub bench: Bench,
    /// The models that may be asked.
    pub models: Vec<ModelChoice>,
    /// What the model is told in the place of our own words.
    pub instructions: Field,
    /// The newest first.
    pub replays: Vec<ReplayRow>,
    /// Questions of people that there are.
    pub questions: Count,
    /// Whether the reader may begin one.
    pub can_write: bool,
}

/// A call that was asked for.
#[derive(Clone, Debug)]
pub struct ReplayCall {
    /// The tool.
    pub name: String,
    /// As the model wrote them, masked.
    pub arguments: String,
    /// The same was called then, and its result given.
    pub on_record: bool,
}

/// What one of the two said to a question.
#[derive(Clone, Debug)]
pub struct Conclusion {
    /// Which model.
    pub model: String,
    /// The last of its answers, masked, rendered; nothing where it came to none.
    pub answer: Option<TrustedHtml>,
    /// What it asked for on the way.
    pub calls: Vec<ReplayCall>,
}

/// A question, and both conclusions.
#[derive(Clone, Debug)]
pub struct ReplayedQuestion {
    /// What was asked, masked.
    pub question: TrustedHtml,
    /// As it went then.
    pub then: Conclusion,
    /// As it went this time; nothing where it was not reached.
    pub again: Option<Conclusion>,
}

/// `GET /incidents/{id}/replays/{replay}`. Posts no field to `…/stop`, which answers 303.
#[derive(Clone, Debug, Template)]
#[template(path = "workbench/replay.html")]
pub struct ReplayPage {
    /// The frame.
    pub frame: Frame,
    /// The columns around it.
    pub bench: Bench,
    /// The replay.
    pub replay: ReplayRow,
    /// What went wrong; may be empty.
    pub problem: String,
    /// What the model was told in the place of our own words, masked; may be empty.
    pub instructions: String,
    /// In their order.
    pub questions: Vec<ReplayedQuestion>,
    /// Whether the reader may stop it.
    pub can_write: bool,
}
