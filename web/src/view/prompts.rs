//! Prompts of MCP servers, to begin a message with.

use askama::Template;

use super::Frame;
use super::bench::Bench;
use crate::units::Id;

/// An argument of a prompt: posted as `v` and its number.
#[derive(Clone, Debug)]
pub struct PromptField {
    /// As the server names it; posted as `k` and the number.
    pub name: String,
    /// What is shown.
    pub title: String,
    /// The server's words.
    pub description: String,
    /// It has to be given.
    pub required: bool,
    /// What was typed.
    pub value: String,
}

/// A prompt.
#[derive(Clone, Debug)]
pub struct PromptRow {
    /// The server.
    pub server_id: Id,
    /// Its name.
    pub server: String,
    /// As the server names the prompt.
    pub name: String,
    /// What is shown.
    pub title: String,
    /// The server's words.
    pub description: String,
    /// What it wants to know.
    pub fields: Vec<PromptField>,
    /// The server suggests values.
    pub completes: bool,
    /// Why it could not be used.
    pub error: Option<String>,
}

/// `GET /incidents/{id}/prompts`. Posts to the same address: `server`, `name`, and of each argument its name as `k0` and
/// its value as `v0`; answers with the conversation and a draft. Where somebody begins to fill in a field it asks
/// `/incidents/{id}/prompts/complete` with the same fields and `at`, the argument's number.
#[derive(Clone, Debug, Template)]
#[template(path = "workbench/prompts.html")]
pub struct PromptsPage {
    /// The frame.
    pub frame: Frame,
    /// The columns around it.
    pub bench: Bench,
    /// By server, as it lists them.
    pub prompts: Vec<PromptRow>,
    /// Servers that did not say what they offer, and why.
    pub problems: Vec<(String, String)>,
}

/// `POST /incidents/{id}/prompts/complete`: what a server suggests, as options.
#[derive(Clone, Debug, Template)]
#[template(path = "fragments/suggestions.html")]
pub struct SuggestionsFragment {
    /// Values.
    pub values: Vec<String>,
}
