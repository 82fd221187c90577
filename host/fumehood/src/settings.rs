//! The configuration: flags over environment over file over defaults, each with where it came from.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

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
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    public_url: Option<String>,
    checkpoint_file: Option<PathBuf>,
    log: Option<String>,
    key_file: Option<PathBuf>,
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
            base.map(|base| base.join("fumehood"))
        };
        let mut shown = Vec::new();
        let data = match &common.data {
            Some(data) => data.clone(),
            None => default_data().context("there is no home folder; name a data folder with --data")?,
        };
        let data = std::path::absolute(&data)?;
        shown.push((
            "data",
            data.display().to_string(),
            source_of("data", "FUMEHOOD_DATA", common.data.is_some(), false),
        ));
        let file = read_file(common, &data)?;

        let mut pick = Picker { shown: &mut shown };
        let key_file =
            pick.path("key-file", "FUMEHOOD_KEY_FILE", &common.key_file, file.key_file, Some(data.join("master.key")));
        let listen = pick.value(
            "listen",
            "FUMEHOOD_LISTEN",
            &serve.listen,
            file.listen,
            Some(SocketAddr::from(([127, 0, 0, 1], 7447))),
        );
        let tls_cert = pick.path("tls-cert", "FUMEHOOD_TLS_CERT", &serve.tls_cert, file.tls_cert, None);
        let tls_key = pick.path("tls-key", "FUMEHOOD_TLS_KEY", &serve.tls_key, file.tls_key, None);
        let public_url = pick.value("public-url", "FUMEHOOD_PUBLIC_URL", &serve.public_url, file.public_url, None);
        let checkpoint_file = pick.path(
            "checkpoint-file",
            "FUMEHOOD_CHECKPOINT_FILE",
            &serve.checkpoint_file,
            file.checkpoint_file,
            None,
        );
        let log = pick.value("log", "FUMEHOOD_LOG", &serve.log, file.log, Some("info".to_owned()));
        Ok(Self {
            data,
            key_file: key_file.context("key-file")?,
            listen: listen.context("listen")?,
            tls_cert,
            tls_key,
            public_url,
            checkpoint_file,
            log: log.unwrap_or_default(),
            shown,
        })
    }

    /// Refuse what would put secrets on the wire in the clear.
    pub fn check_serve(&self) -> anyhow::Result<()> {
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            bail!("--tls-cert and --tls-key belong together: name both, or neither");
        }
        if !self.listen.ip().is_loopback() && self.tls_cert.is_none() && self.public_url.is_none() {
            bail!(
                "listening on {} reaches beyond this machine, and passwords and logs would travel unencrypted. \
                 Name a certificate (--tls-cert, --tls-key), or, behind a proxy that ends TLS, its URL (--public-url https://…)",
                self.listen
            );
        }
        Ok(())
    }
}

fn read_file(common: &Common, data: &Path) -> anyhow::Result<FileSettings> {
    let path = common.config.clone().unwrap_or_else(|| data.join("config.toml"));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && common.config.is_none() => {
            return Ok(FileSettings::default());
        }
        Err(error) => {
            return Err(error).with_context(|| format!("the configuration file {} cannot be read", path.display()));
        }
    };
    toml::from_str(&text).with_context(|| format!("the configuration file {} is not valid", path.display()))
}

/// clap has merged flag and environment; a flag is what is on the command line.
fn source_of(flag: &str, variable: &str, given: bool, in_file: bool) -> Source {
    let long = format!("--{flag}");
    let typed = std::env::args().skip(1).any(|argument| argument == long || argument.starts_with(&format!("{long}=")));
    match (typed, given && std::env::var_os(variable).is_some(), in_file) {
        (true, _, _) => Source::Flag,
        (_, true, _) => Source::Environment,
        (_, _, true) => Source::File,
        _ => Source::Default,
    }
}

struct Picker<'a> {
    shown: &'a mut Vec<(&'static str, String, Source)>,
}

impl Picker<'_> {
    fn value<T: Clone + ToString>(
        &mut self,
        flag: &'static str,
        variable: &str,
        given: &Option<T>,
        file: Option<T>,
        default: Option<T>,
    ) -> Option<T> {
        let source = source_of(flag, variable, given.is_some(), file.is_some());
        let value = given.clone().or(file).or(default);
        self.shown.push((flag, value.as_ref().map(ToString::to_string).unwrap_or_default(), source));
        value
    }

    fn path(
        &mut self,
        flag: &'static str,
        variable: &str,
        given: &Option<PathBuf>,
        file: Option<PathBuf>,
        default: Option<PathBuf>,
    ) -> Option<PathBuf> {
        let text = |path: &PathBuf| path.display().to_string();
        let source = source_of(flag, variable, given.is_some(), file.is_some());
        let value = given.clone().or(file).or(default);
        self.shown.push((flag, value.as_ref().map(text).unwrap_or_default(), source));
        value
    }
}
