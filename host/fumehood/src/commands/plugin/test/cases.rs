//! What stands in a plugin's `tests/*.toml`. Unknown keys are refused: a typing error must not be a case that holds.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use fumehood_runtime::Action;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    #[serde(rename = "case")]
    pub cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Case {
    pub name: String,
    // scanners
    pub rules: Option<String>,
    pub text: Option<String>,
    pub findings: Option<Vec<Found>>,
    // integrations and providers
    pub call: Option<String>,
    #[serde(default)]
    pub config: BTreeMap<String, String>,
    /// Whether a credential is set up.
    #[serde(default)]
    pub credential: bool,
    pub document: Option<Written>,
    pub model: Option<String>,
    pub prompt: Option<String>,
    #[serde(default)]
    pub result: BTreeMap<String, Expected>,
    #[serde(default, rename = "request")]
    pub requests: Vec<Asked>,
    // transports
    pub url: Option<String>,
    #[serde(default, rename = "event")]
    pub events: Vec<Happened>,
    // every world
    /// The failure code that it has to end with; `prepare` where a scanner's rules are to be refused.
    pub fails: Option<String>,
    pub retry_after_ms: Option<u64>,
    /// All capabilities that it may use: `http`, `kv`, `credential`.
    pub uses: Option<Vec<String>>,
    /// Run it without anything that it asks for.
    #[serde(default)]
    pub nothing_granted: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    pub kind: String,
    pub text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    pub marker: String,
    #[serde(default)]
    pub project: String,
    pub title: String,
    pub markdown: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub enum Expected {
    One(String),
    Several(Vec<String>),
}

/// A request that the plugin has to send, and what is answered.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Asked {
    pub method: String,
    pub url: String,
    /// Headers that have to be there, names in lower case; a credential is `(credential)`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// All of the body; any where it is missing.
    pub body: Option<String>,
    #[serde(default = "ok")]
    pub status: u16,
    #[serde(default)]
    pub headers_answered: BTreeMap<String, String>,
    #[serde(default)]
    pub answer: String,
    /// The failure code instead of an answer: `unavailable`, `timeout`, `outcome-unknown`.
    pub breaks: Option<String>,
}

fn ok() -> u16 {
    200
}

/// Something that happens to a transport, and what it is to do about it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Happened {
    pub kind: String,
    #[serde(default)]
    pub id: u64,
    #[serde(default)]
    pub data: String,
    #[serde(default)]
    pub status: u16,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub code: String,
    #[serde(default)]
    pub text: String,
    #[serde(default)]
    pub actions: Vec<Wanted>,
}

/// Something that a transport is to ask for; what is not named may be anything.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    pub kind: String,
    pub id: Option<u64>,
    /// Of a request its body.
    pub data: Option<String>,
    pub method: Option<String>,
    pub url: Option<String>,
    pub status: Option<u16>,
    pub number: Option<u64>,
    pub code: Option<String>,
    pub text: Option<String>,
}

impl Wanted {
    /// Whether an action is as it is wanted.
    pub fn check(&self, is: &Action) -> anyhow::Result<()> {
        fn same<T: PartialEq + std::fmt::Debug>(name: &str, is: &T, wanted: Option<&T>) -> anyhow::Result<()> {
            match wanted {
                Some(wanted) if wanted != is => bail!("`{name}` is {is:?}, wanted {wanted:?}"),
                _ => Ok(()),
            }
        }
        same("kind", &is.kind, Some(&self.kind))?;
        same("id", &is.id, self.id.as_ref())?;
        same("status", &is.status, self.status.as_ref())?;
        same("number", &is.number, self.number.as_ref())?;
        same("code", &is.code, self.code.as_ref())?;
        same("text", &is.text, self.text.as_ref())?;
        if self.method.is_some() || self.url.is_some() {
            let request = is.request.as_ref().context("it carries no request")?;
            same("method", &request.method, self.method.as_ref())?;
            same("url", &request.url, self.url.as_ref())?;
        }
        let data = is.request.as_ref().map_or(&is.data, |request| &request.body);
        same("data", &String::from_utf8_lossy(data).into_owned(), self.data.as_ref())
    }
}

impl Case {
    /// The settings of the instance.
    pub fn settings(&self) -> BTreeMap<String, String> {
        let mut settings = self.config.clone();
        if self.credential {
            settings.insert("credential".into(), "credential".into());
        }
        settings
    }
}

/// The kind of an event, as the contract lists it.
pub fn event_kind(kind: &str) -> anyhow::Result<&'static str> {
    const KINDS: [&str; 11] = [
        "start",
        "message",
        "send-dropped",
        "response",
        "body",
        "response-end",
        "process-output",
        "process-exit",
        "timer",
        "close",
        "of-a-later-version",
    ];
    let known = KINDS.into_iter().find(|known| *known == kind);
    known.with_context(|| format!("there is no event `{kind}`; there are {}", KINDS.join(", ")))
}
