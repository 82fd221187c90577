//! Installed plugins and what they may do.

use askama::Template;

use super::Frame;
use crate::units::{Bytes, Count, Id, When};

/// A sentence about what a plugin may do, in parts, so that names stand out.
#[derive(Clone, Debug)]
pub struct GrantSentence {
    /// `POST`, `read`, `log`, …: what it may do, as a verb phrase: `may POST to`.
    pub may: String,
    /// The object, in mono: `https://acme.atlassian.net/wiki/api/v2/pages`; empty where there is none.
    pub object: String,
    /// The bounds: `at most 256 KiB a call`; empty where there are none.
    pub bounds: String,
    /// The credential's name: `Confluence OPS`.
    pub credential: Option<String>,
}

/// A plugin.
#[derive(Clone, Debug)]
pub struct PluginRow {
    /// The plugin.
    pub id: Id,
    /// `scanner-pii`.
    pub name: String,
    /// `0.1.0`.
    pub version: String,
    /// `scanner`, `provider`, `integration` or `transport`.
    pub world: String,
    /// One sentence.
    pub description: String,
    /// SHA-256 in hexadecimal.
    pub digest: String,
    /// Who it is from: `built in`.
    pub publisher: String,
    /// The component's size.
    pub size: Bytes,
    /// `ready`, `compiling`, `failed` or `off`.
    pub state: String,
    /// Why it failed.
    pub problem: Option<String>,
    /// What it may do. Empty: nothing but compute.
    pub grants: Vec<GrantSentence>,
    /// What it asked for and was not granted.
    pub denied: Vec<GrantSentence>,
    /// Calls since the server started; of a scanner the texts that it went through.
    pub calls: Count,
    /// When it was last called since the start.
    pub used: Option<When>,
}

impl PluginRow {
    /// The first twelve digits of the digest.
    #[must_use]
    pub fn short_digest(&self) -> &str {
        self.digest.get(..12).unwrap_or(&self.digest)
    }

    /// The word for its state.
    #[must_use]
    pub fn state_label(&self) -> &'static str {
        match self.state.as_str() {
            "ready" => "Ready",
            "compiling" => "Compiling",
            "failed" => "Failed",
            _ => "Off",
        }
    }
}

/// `GET /plugins`.
#[derive(Clone, Debug, Template)]
#[template(path = "admin/plugins.html")]
pub struct PluginsPage {
    /// The frame.
    pub frame: Frame,
    /// By world, then by name.
    pub plugins: Vec<PluginRow>,
}
