//! Ticket and document systems. Confluence is the first.

use askama::Template;

use super::{Field, Frame};
use crate::units::When;

/// What the last test of a connection said.
#[derive(Clone, Debug)]
pub struct TestResult {
    /// It worked.
    pub good: bool,
    /// `Signed in as Ana Kovač at Confluence Cloud`, or what happened and what to do.
    pub text: String,
    /// When.
    pub at: When,
}

/// The fields of the Confluence integration.
#[derive(Clone, Debug, Default)]
pub struct ConfluenceForm {
    /// `https://acme.atlassian.net`, or the address of a Data Center.
    pub base_url: Field,
    /// `cloud` (e-mail address with API token) or `datacenter` (personal access token); empty is `cloud`.
    pub kind: String,
    /// For Cloud.
    pub email: Field,
    /// Write-only: always empty here, carries the error.
    pub token: Field,
    /// A token is stored; an empty field keeps it.
    pub has_token: bool,
    /// The key of the space to publish to: `OPS`.
    pub space: Field,
    /// The id of the page above; may be empty.
    pub parent: Field,
}

/// `GET /integrations`. Posts `base_url`, `kind`, `email`, `token`, `space`, `parent` to `/integrations/confluence`;
/// no field to `/integrations/confluence/test` and `/integrations/confluence/remove`. Each answers 303 to the page.
#[derive(Clone, Debug, Template)]
#[template(path = "admin/integrations.html")]
pub struct IntegrationsPage {
    /// The frame.
    pub frame: Frame,
    /// What is stored, or was typed.
    pub confluence: ConfluenceForm,
    /// It is set up.
    pub configured: bool,
    /// The last test.
    pub tested: Option<TestResult>,
    /// Spaces that the last test saw: key and name.
    pub spaces: Vec<(String, String)>,
}
