//! Calls through the gateway that wait for a person.

use askama::Template;

use super::Frame;
use crate::markdown::TrustedHtml;
use crate::units::{Id, When};

/// A call that waits, or waited.
///
/// Posts to `/servers/waiting/{id}/approve` and `/servers/waiting/{id}/deny`, both with `digest`; they answer 303 to
/// `/servers/waiting`, or 409 where it has been decided or has changed.
#[derive(Clone, Debug)]
pub struct WaitingCall {
    /// The call.
    pub id: Id,
    /// Its row on the record.
    pub call: Id,
    /// The tool's own name.
    pub tool: String,
    /// The server's name.
    pub server: String,
    /// Who calls.
    pub caller: String,
    /// Which program, as it calls itself; may be empty.
    pub client: String,
    /// The arguments as they would leave, JSON laid out, by [`crate::markdown::plain`].
    pub arguments: TrustedHtml,
    /// Hash of what is approved; goes back with the form.
    pub digest: String,
    /// `pending`, `approved`, `denied`, `used` or `expired`.
    pub state: String,
    /// Who decided.
    pub by: Option<String>,
    /// Since when.
    pub at: When,
    /// Until when it can be decided, or used.
    pub until: When,
}

impl WaitingCall {
    /// It can be decided.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.state == "pending"
    }

    /// The word that is shown.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self.state.as_str() {
            "pending" => "Waits for approval",
            "approved" => "Approved, not used yet",
            "denied" => "Denied",
            "used" => "Approved and called",
            _ => "Expired",
        }
    }

    /// The name in style sheets.
    #[must_use]
    pub fn tone(&self) -> &'static str {
        match self.state.as_str() {
            "pending" => "pending",
            "approved" | "used" => "approved",
            "denied" => "denied",
            _ => "expired",
        }
    }
}

/// `GET /servers/waiting`.
#[derive(Clone, Debug, Template)]
#[template(path = "admin/waiting.html")]
pub struct WaitingPage {
    /// The frame.
    pub frame: Frame,
    /// Those that wait, oldest first; then those that waited, newest first.
    pub calls: Vec<WaitingCall>,
}

impl WaitingPage {
    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.calls.iter().filter(|call| call.waits()).count()
    }
}
