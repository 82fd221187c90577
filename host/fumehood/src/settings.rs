//! The configuration: flags over environment over file over defaults, each with where it came from.

use fumehood_triage::gateway::{CallLimits, GatewaySettings};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, bail};
use tracing_subscriber::EnvFilter;
use url::Url;

use crate::cli::{Common, ServeArgs};

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Flag,
    Environment,
    File,
    Default,
}

impl Source {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::File => "configuration file",
            Self::Default => "default",
        }
    }
}

/// The configuration file. Unknown keys are refused: a typing error must not be a silent default.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileSettings {
    listen: Option<SocketAddr>,
    tls_cert: Option<TextPath>,
    tls_key: Option<TextPath>,
    public_url: Option<String>,
    checkpoint_file: Option<TextPath>,
    policy_file: Option<TextPath>,
    retention_days: Option<u32>,
    mcp_calls_per_minute: Option<u32>,
    mcp_tool_calls_per_minute: Option<u32>,
    mcp_record: Option<RecordWhen>,
    log: Option<String>,
    key_file: Option<TextPath>,
}

/// What holds.
#[derive(Debug)]
pub struct Settings {
    pub data: PathBuf,
    pub key_file: PathBuf,
    pub listen: SocketAddr,
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    pub public_url: Option<String>,
    pub checkpoint_file: Option<PathBuf>,
    pub policy_file: PathBuf,
    pub retention_days: u32,
    pub mcp: GatewaySettings,
    pub log: String,
    /// Name, value and source of each, for `fumehood config`.
    pub shown: Vec<(&'static str, String, Source)>,
}

impl Settings {
    /// Put everything together.
    pub fn resolve(common: &Common, serve: &ServeArgs) -> anyhow::Result<Self> {
        let default_data = || {
            let base = std::env::var_os("XDG_DATA_HOME")
                .map(PathBuf::from)
                .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share")));
            base.map(|base| TextPath(base.join("fumehood")))
        };
        let mut shown = Shown::default();
        let data = shown.pick("data", "FUMEHOOD_DATA", &common.data, None, default_data())?;
        let data = data.context("there is no home folder; name a data folder with --data")?.0;
        let data = std::path::absolute(&data)?;
        let config = shown.pick("config", "FUMEHOOD_CONFIG", &common.config, None, None)?;
        let file = read_file(config, &data)?;
        let key_file = Some(TextPath(data.join("master.key")));
        let key_file = shown.pick("key-file", "FUMEHOOD_KEY_FILE", &common.key_file, file.key_file, key_file)?;
        let listen = Some(SocketAddr::from(([127, 0, 0, 1], 7447)));
        let listen = shown.pick("listen", "FUMEHOOD_LISTEN", &serve.listen, file.listen, listen)?;
        let tls_cert = shown.pick("tls-cert", "FUMEHOOD_TLS_CERT", &serve.tls_cert, file.tls_cert, None)?;
        let tls_key = shown.pick("tls-key", "FUMEHOOD_TLS_KEY", &serve.tls_key, file.tls_key, None)?;
        let public_url = shown.pick("public-url", "FUMEHOOD_PUBLIC_URL", &serve.public_url, file.public_url, None)?;
        let checkpoint_file = shown.pick(
            "checkpoint-file",
            "FUMEHOOD_CHECKPOINT_FILE",
            &serve.checkpoint_file,
            file.checkpoint_file,
            None,
        )?;
        let policy_file = Some(TextPath(data.join("policy.toml")));
        let policy_file =
            shown.pick("policy-file", "FUMEHOOD_POLICY_FILE", &serve.policy_file, file.policy_file, policy_file)?;
        let days = Some(30);
        let retention_days = shown.pick(
            "retention-days",
            "FUMEHOOD_RETENTION_DAYS",
            &serve.retention_days,
            file.retention_days,
            days,
        )?;
        let of_caller = shown.pick(
            "mcp-calls-per-minute",
            "FUMEHOOD_MCP_CALLS_PER_MINUTE",
            &serve.mcp_calls_per_minute,
            file.mcp_calls_per_minute,
            Some(0),
        )?;
        let of_tool = shown.pick(
            "mcp-tool-calls-per-minute",
            "FUMEHOOD_MCP_TOOL_CALLS_PER_MINUTE",
            &serve.mcp_tool_calls_per_minute,
            file.mcp_tool_calls_per_minute,
            Some(0),
        )?;
        let record = shown.pick(
            "mcp-record",
            "FUMEHOOD_MCP_RECORD",
            &serve.mcp_record,
            file.mcp_record,
            Some(RecordWhen::Before),
        )?;
        let log = shown.pick("log", "FUMEHOOD_LOG", &serve.log, file.log, Some("info".to_owned()))?;
        Ok(Self {
            data,
            key_file: key_file.context("key-file")?.0,
            listen: listen.context("listen")?,
            tls_cert: tls_cert.map(|path| path.0),
            tls_key: tls_key.map(|path| path.0),
            public_url,
            checkpoint_file: checkpoint_file.map(|path| path.0),
            policy_file: policy_file.context("policy-file")?.0,
            retention_days: retention_days.unwrap_or_default(),
            mcp: GatewaySettings {
                limits: CallLimits { of_caller: of_caller.unwrap_or_default(), of_tool: of_tool.unwrap_or_default() },
                record_after: record == Some(RecordWhen::After),
            },
            log: log.unwrap_or_default(),
            shown: shown.0,
        })
    }

    /// Refuse what would put secrets on the wire in the clear, and what no browser could reach.
    pub fn check_serve(&self) -> anyhow::Result<()> {
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            bail!("--tls-cert and --tls-key belong together: name both, or neither");
        }
        let beyond = !self.listen.ip().is_loopback();
        if beyond && self.tls_cert.is_none() && self.public_url.is_none() {
            bail!(
                "listening on {} reaches beyond this machine, and passwords and logs would travel unencrypted. \
                 Name a certificate (--tls-cert, --tls-key), or, behind a proxy that ends TLS, its URL (--public-url https://…)",
                self.listen
            );
        }
        if self.listen.ip().is_unspecified() && self.public_url.is_none() {
            bail!(
                "{} is every address of this machine, and a browser needs one to go to: name the URL that people \
                 open with --public-url https://triage.example.com",
                self.listen
            );
        }
        self.public_origin()?;
        Ok(())
    }

    /// What is logged.
    pub fn log_filter(&self) -> anyhow::Result<EnvFilter> {
        EnvFilter::try_new(&self.log).map_err(|_| {
            anyhow::anyhow!("`{}` is no log filter; it looks like info, or warn,fumehood_triage=debug", self.log)
        })
    }

    /// The public URL as browsers write origins: without a path, and without the port that its scheme has anyway.
    pub fn public_origin(&self) -> anyhow::Result<Option<String>> {
        let Some(text) = &self.public_url else { return Ok(None) };
        let wrong = |why: &str| anyhow::anyhow!("--public-url {text}: {why}; it looks like https://triage.example.com");
        let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        let local = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => return Err(wrong("it names no host")),
        };
        match url.scheme() {
            "https" => {}
            "http" if local => {}
            "http" => return Err(wrong("passwords and logs would travel unencrypted, so it has to be https")),
            _ => return Err(wrong("it has to be https")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("a user name or password does not belong in it"));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("it is the server's root, without a path or what follows"));
        }
        Ok(Some(url.origin().ascii_serialization()))
    }
}

fn read_file(named: Option<TextPath>, data: &Path) -> anyhow::Result<FileSettings> {
    let is_named = named.is_some();
    let path = named.map_or_else(|| data.join("config.toml"), |path| path.0);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_named => return Ok(FileSettings::default()),
        Err(error) => {
            return Err(error).with_context(|| format!("the configuration file {} cannot be read", path.display()));
        }
    };
    toml::from_str(&text).with_context(|| format!("the configuration file {} is not valid", path.display()))
}

/// A path with a text of its own.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(transparent)]
pub struct TextPath(pub PathBuf);

/// When the requests of the gateway are put on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordWhen {
    /// Before they go to a server: what was done is on record, whatever happens.
    Before,
    /// When they are answered.
    After,
}

impl FromStr for RecordWhen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "before" => Ok(Self::Before),
            "after" => Ok(Self::After),
            _ => Err("this is `before` or `after`"),
        }
    }
}

impl std::fmt::Display for RecordWhen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Self::Before { "before" } else { "after" })
    }
}

impl FromStr for TextPath {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(PathBuf::from(text)))
    }
}

impl std::fmt::Display for TextPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.display().fmt(f)
    }
}

/// Name, value and source of what was picked.
#[derive(Default)]
struct Shown(Vec<(&'static str, String, Source)>);

impl Shown {
    /// The flag over the environment over the file over the default. An empty variable is one that is not set.
    fn pick<T>(
        &mut self,
        flag: &'static str,
        variable: &str,
        typed: &Option<T>,
        file: Option<T>,
        default: Option<T>,
    ) -> anyhow::Result<Option<T>>
    where
        T: Clone + ToString + FromStr<Err: std::fmt::Display>,
    {
        let environment = match std::env::var(variable) {
            Err(std::env::VarError::NotPresent) => None,
            Err(error) => bail!("{variable}: {error}"),
            Ok(text) if text.is_empty() => None,
            Ok(text) => match text.parse() {
                Ok(value) => Some(value),
                Err(error) => bail!("{variable}=`{text}`: {error}"),
            },
        };
        let choices = [
            (typed.clone(), Source::Flag),
            (environment, Source::Environment),
            (file, Source::File),
            (default, Source::Default),
        ];
        let picked = choices.into_iter().find_map(|(value, source)| value.map(|value| (value, source)));
        let (value, source) = picked.map_or((None, Source::Default), |(value, source)| (Some(value), source));
        self.0.push((flag, value.as_ref().map(ToString::to_string).unwrap_or_default(), source));
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(listen: &str, public_url: Option<&str>, tls: bool) -> Settings {
        let serve = ServeArgs {
            listen: Some(listen.parse().unwrap()),
            public_url: public_url.map(str::to_owned),
            tls_cert: tls.then(|| "cert.pem".parse().unwrap()),
            tls_key: tls.then(|| "key.pem".parse().unwrap()),
            ..ServeArgs::default()
        };
        let common = Common { data: Some("/nowhere/at-all".parse().unwrap()), config: None, key_file: None };
        Settings::resolve(&common, &serve).unwrap()
    }

    #[test]
    fn a_public_url_is_an_origin_over_tls() {
        let origin = |text| settings("127.0.0.1:0", Some(text), false).public_origin().map(Option::unwrap);
        assert_eq!(origin("https://triage.example.com/").unwrap(), "https://triage.example.com");
        assert_eq!(origin("https://Triage.example.com:443").unwrap(), "https://triage.example.com");
        assert_eq!(origin("https://triage.example.com:8443").unwrap(), "https://triage.example.com:8443");
        assert_eq!(origin("http://localhost:7447").unwrap(), "http://localhost:7447");
        assert_eq!(origin("http://[::1]:80").unwrap(), "http://[::1]");
        for wrong in [
            "http://triage.example.com",
            "https://ana:secret@triage.example.com",
            "https://triage.example.com/path",
            "https://triage.example.com/?q",
            "https://triage.example.com/#f",
            "ftp://triage.example.com",
            "triage.example.com",
            "",
        ] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_reaches_beyond_this_machine_needs_tls_and_a_name() {
        let check = |listen, url, tls| settings(listen, url, tls).check_serve();
        assert!(check("127.0.0.1:0", None, false).is_ok());
        assert!(check("10.0.0.1:0", None, false).is_err());
        assert!(check("10.0.0.1:0", None, true).is_ok());
        assert!(check("0.0.0.0:0", None, true).is_err());
        assert!(check("[::]:0", None, true).is_err());
        assert!(check("0.0.0.0:0", Some("https://triage.example.com"), false).is_ok());
    }
}
