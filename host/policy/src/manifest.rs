//! What a plugin says of itself: who it is, what it asks for, and why.
//!
//! Invariant: a manifest is a request, never an authority. Nothing here allows anything; [`Manifest::asks`] only has the
//! form of a grant, so that it can be compared with one. Its words are a stranger's: they are bounded in length and hold
//! no character that would write elsewhere than on its line, and pages escape them as they escape everything.

mod read;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use self::read::is_plugin_name;
use crate::{ConfiguredRule, CredentialRule, Digest, HttpRule, PluginGrant, ProcessRule};

/// The custom section of a component that holds its manifest, as TOML.
pub const MANIFEST_SECTION: &str = "fumehood:manifest";
/// Longest manifest, bytes.
pub const MAX_MANIFEST_BYTES: usize = 64 << 10;
/// Longest name of a plugin or a publisher, bytes.
const MAX_NAME_BYTES: usize = 64;
/// Longest reason, label or description, in characters.
const MAX_WORDS: usize = 400;
/// Most requests of one kind, and most settings.
const MAX_REQUESTS: usize = 64;
/// The most that a plugin can ask to keep.
const MAX_KV_BYTES: u64 = 4 << 20;

/// Why a manifest is not taken. Each says what is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidManifest {
    /// Over [`MAX_MANIFEST_BYTES`].
    #[error("the manifest is larger than {} KiB", MAX_MANIFEST_BYTES >> 10)]
    TooLarge,
    /// Not TOML, a field that does not exist, one that is missing, or one of another type.
    #[error("the manifest cannot be read: {0}")]
    Syntax(String),
    /// A field whose value cannot be used.
    #[error("`{field}` in the manifest: {why}")]
    Field {
        /// The field: `http[1].host`.
        field: String,
        /// What is wrong with it.
        why: String,
    },
}

/// The kind of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginWorld {
    /// Finds values in raw text, and reaches nothing.
    Scanner,
    /// Talks to a model.
    Provider,
    /// Talks to a ticket or document system.
    Integration,
    /// Carries the Model Context Protocol.
    Transport,
}

impl PluginWorld {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Scanner, Self::Provider, Self::Integration, Self::Transport];

    /// As the contract names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scanner => "scanner",
            Self::Provider => "provider",
            Self::Integration => "integration",
            Self::Transport => "transport",
        }
    }

    /// Whether its plugins may reach the network at all: a scanner reads raw text, and a transport only says what is to
    /// be sent.
    const fn may_ask_for_http(self) -> bool {
        matches!(self, Self::Provider | Self::Integration | Self::Transport)
    }
}

impl fmt::Display for PluginWorld {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for PluginWorld {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|world| world.as_str() == text);
        known.ok_or_else(|| "a world is one of scanner, provider, integration and transport".to_owned())
    }
}

/// A manifest, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// `[a-z0-9]` and `-`, 1 to 64 bytes; what people and grants call it.
    pub name: String,
    /// Three numbers, with what semantic versioning lets follow.
    pub version: String,
    /// Whose keys are to have signed it.
    pub publisher: String,
    /// Its kind.
    pub world: PluginWorld,
    /// What it is for, in a sentence.
    pub description: String,
    /// Requests that it wants to send.
    pub http: Vec<HttpAsk>,
    /// Credentials that it wants to have sent.
    pub secrets: Vec<SecretAsk>,
    /// What it wants to keep.
    pub kv: Option<KvAsk>,
    /// Programs that it wants to have started.
    pub processes: Vec<ProcessAsk>,
    /// What a person is asked for when an instance of it is set up.
    pub settings: Vec<Setting>,
}

/// A request for requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAsk {
    /// Where to.
    pub target: HttpTarget,
    /// What for.
    pub reason: String,
}

/// Where a plugin wants to send requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpTarget {
    /// To hosts that it names.
    Fixed(HttpRule),
    /// To the server that a person names in a setting.
    Configured(ConfiguredRule),
}

/// A request for a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretAsk {
    /// Its handle, and where it is to be sent.
    pub rule: CredentialRule,
    /// What for.
    pub reason: String,
}

/// A request for room in the key-value store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvAsk {
    /// How much, bytes.
    pub bytes: u64,
    /// What for.
    pub reason: String,
}

/// A request for a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessAsk {
    /// Which; nothing for the one that a person names in the settings.
    pub rule: Option<ProcessRule>,
    /// What for.
    pub reason: String,
}

/// Something that a person is asked for when an instance of the plugin is set up. Never a secret: those are handles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Setting {
    /// As the plugin reads it: lower case, digits and `-`.
    pub key: String,
    /// What the field is called.
    pub label: String,
    /// What is to be typed there.
    #[serde(default)]
    pub help: String,
    /// Whether it may be left empty.
    #[serde(default)]
    pub optional: bool,
    /// What stands there until somebody writes something else.
    #[serde(default)]
    pub default: String,
    /// What can be chosen, where not everything can be typed.
    #[serde(default)]
    pub choices: Vec<String>,
}

impl Manifest {
    /// The setting that names its server; nothing where it asks for fixed ones alone.
    #[must_use]
    pub fn server_setting(&self) -> Option<&str> {
        self.http.iter().find_map(|ask| match &ask.target {
            HttpTarget::Configured(rule) => Some(rule.setting.as_str()),
            HttpTarget::Fixed(_) => None,
        })
    }

    /// What it asks for, in the form of a grant to `digest`.
    #[must_use]
    pub fn asks(&self, digest: Digest) -> PluginGrant {
        let mut asks = PluginGrant::nothing(&self.name, digest, 0);
        for ask in &self.http {
            match &ask.target {
                HttpTarget::Fixed(rule) => asks.http.push(rule.clone()),
                HttpTarget::Configured(rule) => asks.configured.push(rule.clone()),
            }
        }
        asks.credentials = self.secrets.iter().map(|ask| ask.rule.clone()).collect();
        asks.kv_bytes = self.kv.as_ref().map_or(0, |ask| ask.bytes);
        asks.processes = self.processes.iter().filter_map(|ask| ask.rule.clone()).collect();
        asks.configured_process = self.processes.iter().any(|ask| ask.rule.is_none());
        asks
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::read::is_version;
    use super::*;

    const DESK: &str = r#"
name = "integration-desk"
version = "1.2.0"
publisher = "acme"
world = "integration"
description = "Opens and reads tickets of the service desk."

[[http]]
reason = "Reads and writes tickets"
setting = "base-url"
methods = ["GET", "POST"]

[[http]]
reason = "Looks up who is on call"
host = "*.oncall.example.com"
path = "/v1"
methods = ["GET"]
max-response-bytes = 65536
max-request-bytes-per-hour = 1024

[[secret]]
handle = "oncall-token"
reason = "Signs in at the rota"
hosts = ["https://eu.oncall.example.com"]

[kv]
bytes = 65536
reason = "Remembers which ticket belongs to which incident"

[[setting]]
key = "queue"
label = "Queue"
"#;

    #[test]
    fn a_manifest_is_a_request_in_the_form_of_a_grant() {
        let manifest = Manifest::parse(DESK).unwrap();
        let asks = manifest.asks(Digest::new([1; 32]));
        let sentences: Vec<String> = crate::diff(&PluginGrant::nothing("", Digest::new([1; 32]), 0), &asks)
            .changes
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            sentences,
            [
                "new: may GET to https://*.oncall.example.com/v1 (sending up to 16 MiB a request and 1 KiB an hour, \
                 receiving up to 64 KiB)",
                "new: may store 64 KiB of its own instead of nothing",
                "new: may send credential `oncall-token` to https://eu.oncall.example.com",
                "new: may GET and POST to the server in its settings (base-url) (sending up to 16 MiB a request, \
                 receiving up to 16 MiB)",
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, message) in [
            ("integration-desk", "Desk", "`name` in the manifest: use 1 to 64 lower-case letters"),
            ("1.2.0", "1.2", "`version` in the manifest: write three numbers"),
            ("\"integration\"", "\"plugin\"", "the manifest cannot be read"),
            ("Reads and writes tickets", "", "`http[0].reason` in the manifest: it is empty"),
            ("Reads and writes", "Reads\\nand", "`http[0].reason` in the manifest: it holds a line break"),
            ("Reads and writes", "Reads \\u202e", "`http[0].reason` in the manifest: it holds a line break"),
            ("*.oncall.example.com\"\npath", "*.com\"\npath", "`http[1].host` in the manifest: `*.com` is no host"),
            ("[\"GET\", \"POST\"]", "[\"CONNECT\"]", "`http[0].methods` in the manifest: `CONNECT` is no method"),
            ("[\"GET\", \"POST\"]", "[]", "`http[0].methods` in the manifest: name at least one"),
            ("/v1", "/v1/../admin", "`http[1].path` in the manifest"),
            ("https://eu.oncall", "eu.oncall", "`secret[0].hosts` in the manifest"),
            ("[kv]\nbytes = 65536", "[kv]\nbytes = 99999999", "`kv.bytes` in the manifest: ask for 1 to 4194304 bytes"),
            ("key = \"queue\"", "key = \"credential\"", "`setting[0].key` in the manifest"),
            ("label =", "lable =", "the manifest cannot be read: TOML parse error"),
            ("label =", "choices = [\"a\", \"a\"]\nlabel =", "`setting[0].choices` in the manifest: two of them"),
            ("label =", "choices = [\" \"]\nlabel =", "`setting[0].choices` in the manifest: it is empty"),
            (
                "label =",
                "choices = [\"a\"]\ndefault = \"b\"\nlabel =",
                "`setting[0].default` in the manifest: it is none",
            ),
            ("label =", "default = \"a\\nb\"\nlabel =", "`setting[0].default` in the manifest: it holds a line break"),
            ("\"integration\"", "\"scanner\"", "`http` in the manifest: a scanner has no import for HTTP"),
            ("\"integration\"", "\"provider\"", "`kv` in the manifest: a provider has no import for the key-value"),
        ] {
            assert!(DESK.contains(from), "{from}");
            let error = Manifest::parse(&DESK.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.starts_with(message), "{from} -> {to}: {error}");
            assert!(!error.contains('\n'));
        }
        assert_eq!(Manifest::parse(&"#".repeat(70_000)), Err(InvalidManifest::TooLarge));
    }

    #[test]
    fn versions_are_three_numbers() {
        for good in ["0.1.0", "1.2.3-rc.1", "10.0.0+build-5"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["", "1", "1.2", "1.2.3.4", "v1.2.3", "1.2.x", "1.2.3-", "1.2.3 ", "1.2.3-<b>"] {
            assert!(!is_version(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(?s).{0,400}") {
            let _ = Manifest::parse(&text);
        }

        #[test]
        fn a_refusal_can_be_shown_whatever_it_quotes(place in 0usize..6, with in "(?s).{1,40}") {
            let from = ["*.oncall.example.com\"\npath", "GET", "/v1", "https://eu.oncall", "oncall-token", "key = \"queue"];
            let with = toml::Value::String(with).to_string();
            let with = with.trim_matches(['"', '\'', '\n']);
            let to = match place { 0 => format!("*.{with}\"\npath"), 2 => format!("/{with}"), 5 => format!("key = \"{with}"), _ => with.to_owned() };
            if let Err(error) = Manifest::parse(&DESK.replacen(from[place], &to, 1)) {
                let said = error.to_string();
                prop_assert!(!said.chars().any(crate::denial::is_invisible), "{said:?}");
            }
        }

        #[test]
        fn an_edit_is_read_or_refused_on_one_line(at in 0usize..900, with in "[ -~]{0,6}") {
            let at = at.min(DESK.len());
            let edited = format!("{}{with}{}", &DESK[..at], &DESK[(at + with.len()).min(DESK.len())..]);
            if let Err(error) = Manifest::parse(&edited) {
                prop_assert!(!error.to_string().contains('\n'));
            }
        }
    }
}
