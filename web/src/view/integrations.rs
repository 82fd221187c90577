//! Ticket and document systems. Confluence is the first.

use askama::Template;

use super::{Field, Frame};
use crate::units::{Id, When};

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

/// A setting that a plugin's manifest names, as a field. Its words are a stranger's.
#[derive(Clone, Debug)]
pub struct SettingField {
    /// The name of the input: `s-` and the key.
    pub name: String,
    /// What it is called.
    pub label: String,
    /// What is to be typed there; may be empty.
    pub help: String,
    /// It may be left empty.
    pub optional: bool,
    /// What is stored, or was typed; else what stands there until somebody does.
    pub value: String,
    /// What can be chosen; nothing where anything can be typed.
    pub choices: Vec<String>,
}

/// An integration that was installed, in the list.
#[derive(Clone, Debug)]
pub struct InstalledRow {
    /// The plugin, for the address `/integrations/{plugin}`.
    pub plugin: Id,
    /// The author's words.
    pub description: String,
    /// `Not set up`, `Not tested`, `Works` or `Does not work`.
    pub state: &'static str,
}

/// The fields of an integration that was installed.
#[derive(Clone, Debug, Default)]
pub struct InstalledForm {
    /// It asks for a server in its settings, so there are an address and a token.
    pub has_server: bool,
    /// The address.
    pub base_url: Field,
    /// `bearer`, `basic` or `raw`; empty is `bearer`.
    pub sent_as: String,
    /// For `basic`.
    pub username: Field,
    /// Write-only: always empty here, carries the error.
    pub token: Field,
    /// A token is stored; an empty field keeps it.
    pub has_token: bool,
    /// What its manifest names.
    pub settings: Vec<SettingField>,
    /// What is wrong with one of them.
    pub settings_error: Option<String>,
    /// What is published to, as its service calls it.
    pub project: Field,
    /// The object above; may be empty.
    pub parent: Field,
}

/// `GET /integrations/{plugin}`. Posts `base_url`, `sent_as`, `username`, `token`, `s-…`, `project`, `parent` to itself; no
/// field to `…/test` and `…/remove`. Each answers 303.
#[derive(Clone, Debug, Template)]
#[template(path = "admin/integration.html")]
pub struct InstalledPage {
    /// The frame.
    pub frame: Frame,
    /// The plugin.
    pub plugin: Id,
    /// The author's words.
    pub description: String,
    /// What is stored, or was typed.
    pub form: InstalledForm,
    /// It is set up.
    pub configured: bool,
    /// The last test.
    pub tested: Option<TestResult>,
    /// What the last test saw that can be published to: key and name.
    pub projects: Vec<(String, String)>,
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
    /// Integrations that were installed beside it.
    pub installed: Vec<InstalledRow>,
}
