//! Reading a manifest: what stands in the file, and what is checked of it.
//!
//! Invariant: everything unknown is refused, because a typing error must not be a silent default; each refusal names the
//! field, on one line, in characters that can be seen.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde::Deserialize;

use super::{
    HttpAsk, HttpTarget, InvalidManifest, KvAsk, MAX_KV_BYTES, MAX_MANIFEST_BYTES, MAX_NAME_BYTES, MAX_REQUESTS,
    MAX_WORDS, Manifest, PluginWorld, ProcessAsk, SecretAsk, Setting,
};
use crate::denial::{is_invisible, shown};
use crate::rule::InvalidRule;
use crate::{
    ConfiguredRule, CredentialRule, Digest, HostPattern, HttpRule, Method, Origin, PathPrefix, ProcessArguments,
    ProcessRule, Scheme,
};

fn wrong(field: impl Into<String>, why: impl Into<String>) -> InvalidManifest {
    InvalidManifest::Field { field: field.into(), why: why.into() }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    name: String,
    version: String,
    publisher: String,
    world: PluginWorld,
    description: String,
    #[serde(default)]
    http: Vec<HttpEntry>,
    #[serde(default)]
    secret: Vec<SecretEntry>,
    kv: Option<KvEntry>,
    #[serde(default)]
    process: Vec<ProcessEntry>,
    #[serde(default)]
    setting: Vec<Setting>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct HttpEntry {
    reason: String,
    /// The setting that names the server, instead of scheme, host, port and path.
    setting: Option<String>,
    scheme: Option<Scheme>,
    host: Option<String>,
    port: Option<u16>,
    path: Option<String>,
    methods: Vec<String>,
    max_request_bytes: Option<u64>,
    max_response_bytes: Option<u64>,
    max_request_bytes_per_hour: Option<u64>,
    max_response_bytes_per_hour: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SecretEntry {
    handle: String,
    reason: String,
    /// Origins: `https://desk.example.com`.
    hosts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct KvEntry {
    bytes: u64,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ProcessEntry {
    reason: String,
    /// The setting that names the program, instead of its path.
    setting: Option<String>,
    path: Option<String>,
    sha256: Option<String>,
    /// Exactly these; any where they are missing.
    arguments: Option<Vec<String>>,
}

impl Manifest {
    /// Read a manifest.
    ///
    /// # Errors
    /// [`InvalidManifest`], which names the field.
    pub fn parse(text: &str) -> Result<Self, InvalidManifest> {
        if text.len() > MAX_MANIFEST_BYTES {
            return Err(InvalidManifest::TooLarge);
        }
        let file: File = toml::from_str(text).map_err(|error| InvalidManifest::Syntax(one_line(&error.to_string())))?;
        file.check()
    }
}

/// A parser's message on one line.
fn one_line(text: &str) -> String {
    let plain: String =
        text.chars().map(|c| if is_invisible(c) && !c.is_whitespace() { '\u{fffd}' } else { c }).collect();
    let line = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(MAX_WORDS).collect()
}

/// Words of a stranger: there, not too long, and on their line.
fn words(field: String, text: &str) -> Result<String, InvalidManifest> {
    let text = text.trim();
    if text.is_empty() {
        return Err(wrong(field, "it is empty; say it in a sentence that a person can read"));
    }
    if text.chars().count() > MAX_WORDS {
        return Err(wrong(field, format!("it is longer than {MAX_WORDS} characters")));
    }
    if text.chars().any(is_invisible) {
        return Err(wrong(field, "it holds a line break, or a control or direction character"));
    }
    Ok(text.to_owned())
}

/// Whether a text can be the name of a plugin or a publisher.
#[must_use]
pub fn is_plugin_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_NAME_BYTES).contains(&text.len())
        && text.bytes().all(plain)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Three numbers with dots; then, as semantic versioning has it, `-` or `+` with letters, digits, dots and hyphens.
pub(super) fn is_version(text: &str) -> bool {
    let (numbers, more) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let numbers: Vec<&str> = numbers.split('.').collect();
    let number = |part: &&str| (1..=9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-+.".contains(&byte);
    numbers.len() == 3 && numbers.iter().all(number) && more.len() != 1 && more.bytes().all(plain)
}

/// What a page or a command would take for something else.
const RESERVED: [&str; 8] = ["all", "confluence", "fetch", "install", "new", "publisher", "resume", "stop"];

/// The most of a program's arguments together, bytes: all of it stands in the sentence that is approved.
const MAX_ARGUMENTS_BYTES: usize = 2048;

fn is_key(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    (1..=MAX_NAME_BYTES).contains(&text.len()) && text.bytes().all(plain)
}

impl File {
    fn check(self) -> Result<Manifest, InvalidManifest> {
        for (field, name) in [("name", &self.name), ("publisher", &self.publisher)] {
            if !is_plugin_name(name) {
                return Err(wrong(field, "use 1 to 64 lower-case letters, digits and hyphens, no hyphen at the ends"));
            }
        }
        if RESERVED.contains(&self.name.as_str()) {
            return Err(wrong(
                "name",
                format!("`{}` means something else on pages and commands; choose another name", self.name),
            ));
        }
        if self.version.len() > MAX_NAME_BYTES || !is_version(&self.version) {
            return Err(wrong("version", "write three numbers with dots, such as 1.0.0"));
        }
        let counts = [
            ("http", self.http.len()),
            ("secret", self.secret.len()),
            ("process", self.process.len()),
            ("setting", self.setting.len()),
        ];
        if let Some((field, _)) = counts.into_iter().find(|(_, count)| *count > MAX_REQUESTS) {
            return Err(wrong(field, format!("there are more than {MAX_REQUESTS} of them")));
        }
        let world = self.world;
        let never = |what: &str| format!("a {world} has no import for {what}, so it cannot be granted; leave it out");
        if !world.may_ask_for_http() && !self.http.is_empty() {
            return Err(wrong("http", never("HTTP")));
        }
        if !world.may_ask_for_http() && !self.secret.is_empty() {
            return Err(wrong("secret", never("HTTP")));
        }
        if world != PluginWorld::Integration && self.kv.is_some() {
            return Err(wrong("kv", never("the key-value store")));
        }
        if world != PluginWorld::Transport && !self.process.is_empty() {
            return Err(wrong("process", format!("only a transport can have programs started, and this is a {world}")));
        }
        let servers: BTreeSet<&String> = self.http.iter().filter_map(|one| one.setting.as_ref()).collect();
        if servers.len() > 1 {
            return Err(wrong("http", "only one setting can name a server; ask for the others by their hosts"));
        }
        let keys: BTreeSet<&str> = self.setting.iter().map(|one| one.key.as_str()).collect();
        if keys.len() < self.setting.len() {
            return Err(wrong("setting", "two of them have the same key"));
        }
        let settings =
            self.setting.into_iter().enumerate().map(|(at, one)| setting(at, one)).collect::<Result<_, _>>()?;
        Ok(Manifest {
            description: words("description".into(), &self.description)?,
            http: self.http.into_iter().enumerate().map(|(at, one)| one.check(at)).collect::<Result<_, _>>()?,
            secrets: self.secret.into_iter().enumerate().map(|(at, one)| one.check(at)).collect::<Result<_, _>>()?,
            kv: self.kv.map(KvEntry::check).transpose()?,
            processes: self.process.into_iter().enumerate().map(|(at, one)| one.check(at)).collect::<Result<_, _>>()?,
            settings,
            name: self.name,
            version: self.version,
            publisher: self.publisher,
            world,
        })
    }
}

fn setting(at: usize, one: Setting) -> Result<Setting, InvalidManifest> {
    if !is_key(&one.key) || one.key.ends_with("credential") {
        return Err(wrong(
            format!("setting[{at}].key"),
            "use lower-case letters, digits and hyphens; keys that end in `credential` are the host's own",
        ));
    }
    let help =
        if one.help.trim().is_empty() { String::new() } else { words(format!("setting[{at}].help"), &one.help)? };
    let default = if one.default.trim().is_empty() {
        String::new()
    } else {
        words(format!("setting[{at}].default"), &one.default)?
    };
    let field = || format!("setting[{at}].choices");
    if one.choices.len() > MAX_REQUESTS {
        return Err(wrong(field(), "offer fewer"));
    }
    let choices = one.choices.iter().map(|choice| words(field(), choice)).collect::<Result<Vec<_>, _>>()?;
    if choices.iter().collect::<BTreeSet<_>>().len() < choices.len() {
        return Err(wrong(field(), "two of them are the same"));
    }
    if !choices.is_empty() && !default.is_empty() && !choices.contains(&default) {
        return Err(wrong(format!("setting[{at}].default"), "it is none of the choices"));
    }
    let label = words(format!("setting[{at}].label"), &one.label)?;
    Ok(Setting { label, help, default, choices, ..one })
}

impl HttpEntry {
    fn check(self, at: usize) -> Result<HttpAsk, InvalidManifest> {
        let field = |name: &str| format!("http[{at}].{name}");
        let rule_error =
            |name: &'static str| move |error: InvalidRule| wrong(format!("http[{at}].{name}"), error.to_string());
        let reason = words(field("reason"), &self.reason)?;
        let methods: BTreeSet<Method> = self
            .methods
            .iter()
            .map(|method| method.parse())
            .collect::<Result<_, _>>()
            .map_err(rule_error("methods"))?;
        if methods.is_empty() {
            return Err(wrong(field("methods"), "name at least one method"));
        }
        let max_request_bytes = self.max_request_bytes.unwrap_or(HttpRule::DEFAULT_MAX_BYTES);
        let max_response_bytes = self.max_response_bytes.unwrap_or(HttpRule::DEFAULT_MAX_BYTES);
        let (request_hour, response_hour) = (self.max_request_bytes_per_hour, self.max_response_bytes_per_hour);
        let target = match (self.setting, self.host) {
            (Some(setting), None) => {
                if self.scheme.is_some() || self.port.is_some() || self.path.is_some() {
                    let why = "the server in the setting has its own scheme, port and path; leave them out here";
                    return Err(wrong(field("setting"), why));
                }
                if !is_key(&setting) {
                    return Err(wrong(field("setting"), "name the key of a setting, such as base-url"));
                }
                HttpTarget::Configured(ConfiguredRule {
                    setting,
                    methods,
                    max_request_bytes,
                    max_response_bytes,
                    max_request_bytes_per_hour: request_hour,
                    max_response_bytes_per_hour: response_hour,
                })
            }
            (None, Some(host)) => {
                let scheme = self.scheme.unwrap_or(Scheme::Https);
                let port = self.port.unwrap_or(scheme.default_port());
                if port == 0 {
                    return Err(wrong(field("port"), "there is no port 0; leave it out for the scheme's own"));
                }
                let path = self.path.as_deref().unwrap_or("/");
                HttpTarget::Fixed(HttpRule {
                    scheme,
                    host: host.parse::<HostPattern>().map_err(rule_error("host"))?,
                    port,
                    methods,
                    path_prefix: path.parse::<PathPrefix>().map_err(rule_error("path"))?,
                    allow_private: BTreeSet::new(),
                    loopback_only: false,
                    max_request_bytes,
                    max_response_bytes,
                    max_request_bytes_per_hour: request_hour,
                    max_response_bytes_per_hour: response_hour,
                })
            }
            _ => {
                let why = "name either a host, or the setting that holds the server's URL";
                return Err(wrong(field("host"), why));
            }
        };
        Ok(HttpAsk { target, reason })
    }
}

impl SecretEntry {
    fn check(self, at: usize) -> Result<SecretAsk, InvalidManifest> {
        let field = |name: &str| format!("secret[{at}].{name}");
        if !is_key(&self.handle) || self.handle.ends_with("credential") {
            let why = "use lower-case letters, digits, hyphens and underscores; handles that end in `credential` are the \
                       host's own";
            return Err(wrong(field("handle"), why));
        }
        let bound_to = self.hosts.iter().map(|host| origin(host)).collect::<Result<BTreeSet<_>, _>>();
        let bound_to = bound_to.map_err(|why| wrong(field("hosts"), why))?;
        if bound_to.is_empty() {
            return Err(wrong(field("hosts"), "name at least one host that the secret goes to"));
        }
        let reason = words(field("reason"), &self.reason)?;
        Ok(SecretAsk { rule: CredentialRule { handle: self.handle, bound_to }, reason })
    }
}

/// An origin as people write it: `https://api.example.com`, `https://*.example.com:8443`.
fn origin(text: &str) -> Result<Origin, String> {
    let wrong =
        || format!("`{}` is no origin: write https://api.example.com, with a port where it has one", shown(text, 300));
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let scheme = match scheme {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        _ => return Err(wrong()),
    };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            (host, port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?)
        }
        _ => (rest, scheme.default_port()),
    };
    Ok(Origin { scheme, host: host.parse().map_err(|_| wrong())?, port })
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        origin(text)
    }
}

impl KvEntry {
    fn check(self) -> Result<KvAsk, InvalidManifest> {
        if self.bytes == 0 || self.bytes > MAX_KV_BYTES {
            return Err(wrong("kv.bytes", format!("ask for 1 to {MAX_KV_BYTES} bytes")));
        }
        Ok(KvAsk { bytes: self.bytes, reason: words("kv.reason".into(), &self.reason)? })
    }
}

impl ProcessEntry {
    fn check(self, at: usize) -> Result<ProcessAsk, InvalidManifest> {
        let field = |name: &str| format!("process[{at}].{name}");
        let reason = words(field("reason"), &self.reason)?;
        let rule = match (self.setting, self.path) {
            (Some(_), None) if self.sha256.is_none() && self.arguments.is_none() => None,
            (None, Some(path)) => {
                let visible = !path.chars().any(is_invisible);
                let plain = visible && path.starts_with('/') && !path.split('/').any(|part| part == "..");
                if !plain || path.len() > 4096 {
                    return Err(wrong(field("path"), "write an absolute path without `..`"));
                }
                let digest = self.sha256.map(|text| text.parse::<Digest>()).transpose();
                let digest = digest.map_err(|error| wrong(field("sha256"), error.to_string()))?;
                let all = || self.arguments.iter().flatten();
                if all().any(|one| one.chars().any(is_invisible)) {
                    return Err(wrong(field("arguments"), "one holds a control or direction character"));
                }
                if all().map(String::len).sum::<usize>() > MAX_ARGUMENTS_BYTES {
                    let why = format!("together they are longer than {MAX_ARGUMENTS_BYTES} bytes");
                    return Err(wrong(field("arguments"), why));
                }
                let arguments = self.arguments.map_or(ProcessArguments::Free, ProcessArguments::Fixed);
                Some(ProcessRule { path, digest, arguments })
            }
            _ => {
                let why = "name either a path (with sha256 and arguments), or the setting that holds the program";
                return Err(wrong(field("path"), why));
            }
        };
        Ok(ProcessAsk { rule, reason })
    }
}
