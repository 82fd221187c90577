//! Settings: people, API tokens.

use askama::Template;

use super::{Field, Frame};
use crate::units::{Id, When};

/// Somebody with an account.
#[derive(Clone, Debug)]
pub struct PersonRow {
    /// The account.
    pub id: Id,
    /// The name.
    pub name: String,
    /// May be empty.
    pub email: String,
    /// `viewer`, `responder`, `operator`, `security` or `admin`.
    pub role: String,
    /// `active` or `off`.
    pub state: String,
    /// Last here.
    pub seen: Option<When>,
    /// It is the reader.
    pub you: bool,
}

/// A link that can still be used.
#[derive(Clone, Debug)]
pub struct InvitationRow {
    /// Names the link, and does not open anything.
    pub id: Id,
    /// Whom it is for: an address or a note; may be empty.
    pub note: String,
    /// The role that the account will have.
    pub role: String,
    /// Who made it.
    pub by: String,
    /// Until when it holds.
    pub until: When,
}

/// The roles: key, and what it may do.
pub const ROLES: [(&str, &str); 5] = [
    ("viewer", "reads incidents"),
    ("responder", "works on incidents"),
    ("operator", "sets up models, servers, plugins, integrations"),
    ("security", "reads the audit log, sets limits"),
    ("admin", "everything, and people"),
];

/// `GET /settings/people`. Posts: `/settings/people/invite` with `note`, `role` (answers 200 with this page and
/// `made`); `/settings/people/links/{id}/withdraw`; `/settings/people/{id}/role` with `role`; `/settings/people/{id}/password` (answers with the page and `made`); `/settings/people/{id}/off`
/// and `/on`. These answer 303.
#[derive(Clone, Debug, Template)]
#[template(path = "admin/people.html")]
pub struct PeoplePage {
    /// The frame.
    pub frame: Frame,
    /// By name.
    pub people: Vec<PersonRow>,
    /// Newest first.
    pub invitations: Vec<InvitationRow>,
    /// For the form: whom it is for.
    pub note: Field,
    /// The role in the form; empty is `responder`.
    pub role: String,
    /// The link that was made just now, and until when it holds; shown once.
    pub made: Option<(String, When)>,
    /// What to do with it: `Send this link to Ben: it sets a new password.`
    pub made_for: String,
}

/// An API token.
#[derive(Clone, Debug)]
pub struct TokenRow {
    /// The token's id; its first characters are in the token.
    pub id: Id,
    /// What it is for.
    pub name: String,
    /// Its role.
    pub role: String,
    /// Who made it.
    pub by: String,
    /// When it was made.
    pub created: When,
    /// When it runs out.
    pub expires: Option<When>,
    /// It has run out.
    pub expired: bool,
    /// Last used.
    pub used: Option<When>,
    /// It has been revoked.
    pub revoked: bool,
}

/// `GET /settings/tokens`. Posts: `/settings/tokens` with `name`, `role`, `days` (empty: does not run out; answers 200
/// with this page and `created`); `/settings/tokens/{id}/revoke` (303).
#[derive(Clone, Debug, Template)]
#[template(path = "admin/tokens.html")]
pub struct TokensPage {
    /// The frame.
    pub frame: Frame,
    /// Newest first.
    pub tokens: Vec<TokenRow>,
    /// For the form.
    pub name: Field,
    /// The role in the form; empty is `responder`.
    pub role: String,
    /// Days in the form.
    pub days: Field,
    /// The token that was made just now; shown once.
    pub created: Option<String>,
}

impl TokensPage {
    /// The days that are chosen in the form: 90 in a new one. One that came back with an error keeps its choice, where
    /// empty stands for a token that does not run out.
    #[must_use]
    pub fn chosen_days(&self) -> &str {
        let new = self.name.error.is_none() && self.days.error.is_none();
        if new && self.days.value.is_empty() { "90" } else { &self.days.value }
    }
}
