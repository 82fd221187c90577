//! Installed plugins, what they may do, and what they did.

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
    /// The plugin, as its address has it; also its name.
    pub id: Id,
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
    /// `ready`, `failed` or `stopped`.
    pub state: String,
    /// Why it failed or is stopped.
    pub problem: Option<String>,
    /// What it may do. Empty: nothing but compute.
    pub grants: Vec<GrantSentence>,
    /// Calls in the last 24 hours.
    pub calls: Count,
    /// When it was last called.
    pub used: Option<When>,
    /// A version that waits for an approval.
    pub waiting: Option<String>,
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
            "failed" => "Failed",
            _ => "Stopped",
        }
    }
}

/// What the reader may do with plugins.
#[derive(Clone, Copy, Debug, Default)]
pub struct PluginRights {
    /// Install, turn down, roll back, remove.
    pub manage: bool,
    /// Approve and grant.
    pub grant: bool,
    /// Throw kill switches, and put them back.
    pub stop: bool,
    /// Set secrets.
    pub secrets: bool,
}

/// A kill switch that is thrown.
#[derive(Clone, Debug)]
pub struct StopRow {
    /// `all`, `publisher:…`, `plugin:…`.
    pub target: String,
    /// Why; may be empty.
    pub reason: String,
    /// By whom.
    pub by: String,
    /// When.
    pub at: When,
}

/// `GET /plugins`.
#[derive(Clone, Debug, Template)]
#[template(path = "admin/plugins.html")]
pub struct PluginsPage {
    /// What was typed as a reference to a registry.
    pub reference: String,
    /// The frame.
    pub frame: Frame,
    /// By name.
    pub plugins: Vec<PluginRow>,
    /// First versions that wait: name, version, publisher.
    pub waiting: Vec<(Id, String, String)>,
    /// Kill switches that are thrown.
    pub stops: Vec<StopRow>,
    /// Files of the drop-in folder that were not taken, and why.
    pub refused: Vec<(String, String)>,
    /// Why the policy file is not in force as it stands.
    pub policy_problem: Option<String>,
    /// Where the policy file is.
    pub policy_path: String,
    /// The drop-in folder.
    pub folder: String,
    /// Why an installation was refused.
    pub error: Option<String>,
    /// What the reader may do.
    pub rights: PluginRights,
}

/// Fields with which a request is granted more narrowly. Sizes in KiB.
#[derive(Clone, Debug, Default)]
pub struct AskFields {
    /// Whether host and path are the plugin's own, and not a setting's.
    pub fixed: bool,
    /// A host, or `*.` and a domain.
    pub host: String,
    /// Where paths begin.
    pub path: String,
    /// `GET, POST`.
    pub methods: String,
    /// Of a request.
    pub request_kib: String,
    /// Of an answer.
    pub response_kib: String,
    /// Out in any hour; empty for no limit.
    pub request_hour_kib: String,
    /// In within any hour; empty for no limit.
    pub response_hour_kib: String,
}

/// Something that a version asks for.
#[derive(Clone, Debug)]
pub struct AskRow {
    /// Its number, from 1.
    pub at: usize,
    /// What.
    pub what: GrantSentence,
    /// Why, in the author's words.
    pub reason: String,
    /// What the ceiling leaves: nothing where it leaves all of it.
    pub ceiling: Option<Vec<String>>,
    /// Whether it is ticked.
    pub ticked: bool,
    /// For requests.
    pub fields: Option<AskFields>,
    /// For room in the key-value store, KiB.
    pub kept_kib: Option<String>,
}

/// A rule beside what was asked for.
#[derive(Clone, Debug)]
pub struct ExtraRow {
    /// Its place among them.
    pub at: usize,
    /// In words.
    pub what: String,
    /// Whether it is ticked.
    pub ticked: bool,
}

/// A version that waits for an approval.
#[derive(Clone, Debug)]
pub struct WaitingRow {
    /// `1.2.0`.
    pub version: String,
    /// SHA-256 in hexadecimal.
    pub digest: String,
    /// Who made it.
    pub publisher: String,
    /// Whose key signed it; nothing where it is not signed.
    pub signer: Option<String>,
    /// Where it came from.
    pub source: String,
    /// When it was installed.
    pub at: When,
    /// What it is for.
    pub description: String,
    /// Whether it reads raw text.
    pub is_scanner: bool,
    /// The version that runs until then.
    pub upgrades: Option<String>,
    /// What is new, against that version.
    pub new: Vec<String>,
    /// What is gone.
    pub gone: Vec<String>,
    /// What it asks for.
    pub asks: Vec<AskRow>,
    /// Why what was chosen cannot be granted.
    pub error: Option<String>,
}

/// Numbers of the last 24 hours.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// Calls.
    pub calls: Count,
    /// Calls that gave no result.
    pub errors: Count,
    /// The time within which half of them ended.
    pub p50: String,
    /// The time within which 99 of 100 ended.
    pub p99: String,
    /// Time on a processor.
    pub computing: String,
    /// The most memory that a call had.
    pub memory: Bytes,
}

/// Bytes to one host.
#[derive(Clone, Debug)]
pub struct TrafficRow {
    /// The host.
    pub host: String,
    /// Requests.
    pub requests: Count,
    /// Sent.
    pub sent: Bytes,
    /// Received.
    pub received: Bytes,
}

/// Something that was refused.
#[derive(Clone, Debug)]
pub struct DenialRow {
    /// What was tried.
    pub attempt: String,
    /// The grant that would allow it; empty where none can.
    pub remedy: String,
    /// Whether that grant can be given here.
    pub grantable: bool,
    /// How often.
    pub count: Count,
    /// When last.
    pub at: When,
}

/// An installed version.
#[derive(Clone, Debug)]
pub struct VersionRow {
    /// `1.2.0`.
    pub version: String,
    /// `waiting`, `active` or `former`.
    pub state: String,
    /// The first digits of the digest.
    pub digest: String,
    /// When it was installed.
    pub at: When,
    /// By whom.
    pub by: String,
}

/// `GET /plugins/{name}`.
#[derive(Clone, Debug, Template)]
#[template(path = "admin/plugin.html")]
pub struct PluginPage {
    /// The frame.
    pub frame: Frame,
    /// Its name.
    pub name: Id,
    /// The version that runs; nothing where none does.
    pub plugin: Option<PluginRow>,
    /// Who made it: `built in` for ours.
    pub ships: bool,
    /// The publisher's name, for its kill switch.
    pub publisher: String,
    /// What the version that runs asks for.
    pub asks: Vec<AskRow>,
    /// What it was granted beside that.
    pub extra: Vec<ExtraRow>,
    /// Of the grant that is shown: what is saved has to be about it.
    pub generation: u64,
    /// Why what was chosen cannot be granted.
    pub error: Option<String>,
    /// What its binary imports.
    pub imports: Vec<String>,
    /// What it did.
    pub numbers: Numbers,
    /// Where it sent bytes.
    pub traffic: Vec<TrafficRow>,
    /// What it was refused.
    pub denials: Vec<DenialRow>,
    /// Installed versions, the newest first.
    pub versions: Vec<VersionRow>,
    /// Versions that wait.
    pub waiting: Vec<WaitingRow>,
    /// Kill switches that hold it.
    pub stops: Vec<StopRow>,
    /// Handles of secrets, and whether each is set.
    pub secrets: Vec<(String, bool)>,
    /// Lines of its log, newest first: time, level, text.
    pub log: Vec<(When, &'static str, String)>,
    /// What the reader may do.
    pub rights: PluginRights,
}

impl PluginPage {
    /// The version that a roll back leads to.
    #[must_use]
    pub fn former(&self) -> Option<&VersionRow> {
        self.versions.iter().find(|one| one.state == "former")
    }
}
