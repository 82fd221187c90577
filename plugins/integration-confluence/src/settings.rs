//! The settings of one instance, read and checked once per call.
//!
//! | key | meaning |
//! |---|---|
//! | `base-url` | required; a site (`https://x.atlassian.net`), the gateway (`https://api.atlassian.com/ex/confluence/{cloudId}`), or a Data Center with its context path |
//! | `credential` | handle |
//! | `space` | key of the space that is used where a call names none |
//! | `parent` | id of the page below which documents are put; the test of the connection looks for it |
//! | `flavour` | `cloud`, `datacenter` or `auto` (default): Atlassian's own hosts are Cloud, others are asked once |

use plugin_core::host::{Config, Failure, code};

/// Which API a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// v2 for pages, v1 for search and uploads.
    Cloud,
    /// v1.
    DataCenter,
}

/// The checked settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Without a trailing slash.
    pub base: String,
    /// The handle.
    pub credential: Option<String>,
    /// The default space's key.
    pub space: Option<String>,
    /// The id of the page above new ones.
    pub parent: Option<String>,
    /// What is known about the flavour without asking.
    pub flavour: Option<Flavour>,
}

impl Settings {
    /// Read and check the settings.
    ///
    /// # Errors
    /// `invalid`, naming the setting.
    pub fn read(config: &dyn Config) -> Result<Self, Failure> {
        let get = |key: &str| config.get(key).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let invalid = |message: &str| Failure::new(code::INVALID, message);
        let url = get("base-url").ok_or_else(|| {
            invalid("The setting base-url is missing. An example: https://example.atlassian.net/wiki")
        })?;
        let (rest, plain) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (rest, false),
            (None, Some(rest)) => (rest, true),
            (None, None) => return Err(invalid("The setting base-url must begin with https://.")),
        };
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if host.is_empty()
            || host.contains('@')
            || url.contains(['?', '#', '\\'])
            || url.contains(|c: char| c.is_whitespace() || c.is_control())
            || rest.split('/').any(|segment| segment == "..")
        {
            return Err(invalid(
                "The setting base-url must be an address with a host and perhaps a path, without a user name, a query or spaces.",
            ));
        }
        let name = match host.strip_prefix('[') {
            Some(address) => address.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        }
        .to_ascii_lowercase();
        if plain && !["localhost", "127.0.0.1", "::1"].contains(&name.as_str()) {
            return Err(invalid(
                "The setting base-url must begin with https://: over http:// the credential would travel in the open.",
            ));
        }
        let mut base = url.trim_end_matches('/').to_owned();
        let atlassian = name == "api.atlassian.com" || name.ends_with(".atlassian.net");
        let flavour = match get("flavour").as_deref() {
            Some("cloud") => Some(Flavour::Cloud),
            Some("datacenter") => Some(Flavour::DataCenter),
            None | Some("auto") => atlassian.then_some(Flavour::Cloud),
            Some(_) => {
                return Err(invalid("The setting flavour must be cloud, datacenter or auto."));
            }
        };
        // Cloud answers below /wiki, whatever its host is called; elsewhere is another API.
        let flavoured = atlassian || flavour == Some(Flavour::Cloud);
        if flavoured && flavour != Some(Flavour::DataCenter) && !base.ends_with("/wiki") {
            base.push_str("/wiki");
        }
        Ok(Self { base, credential: get("credential"), space: get("space"), parent: get("parent"), flavour })
    }

    /// The space that a call means.
    ///
    /// # Errors
    /// `invalid` where neither the call nor the settings name one.
    pub fn space_or_default(&self, space: &str) -> Result<String, Failure> {
        let space = space.trim();
        if !space.is_empty() {
            return Ok(space.to_owned());
        }
        self.space
            .clone()
            .ok_or_else(|| Failure::new(code::INVALID, "No space is named. Name one, or set the setting space."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pairs<'a>(&'a [(&'a str, &'a str)]);
    impl Config for Pairs<'_> {
        fn get(&self, key: &str) -> Option<String> {
            self.0.iter().find(|(k, _)| *k == key).map(|(_, value)| (*value).to_owned())
        }
    }

    #[test]
    fn bases_and_flavours() {
        let cloud = Some(Flavour::Cloud);
        for (url, base, flavour) in [
            ("https://x.atlassian.net", "https://x.atlassian.net/wiki", cloud),
            ("https://x.atlassian.net/wiki/", "https://x.atlassian.net/wiki", cloud),
            ("https://api.atlassian.com/ex/confluence/1-2", "https://api.atlassian.com/ex/confluence/1-2/wiki", cloud),
            ("https://host/confluence//", "https://host/confluence", None),
            ("http://127.0.0.1:8090/x", "http://127.0.0.1:8090/x", None),
            ("http://[::1]:8090", "http://[::1]:8090", None),
            ("https://x.atlassian.net.evil.example", "https://x.atlassian.net.evil.example", None),
        ] {
            let settings = Settings::read(&Pairs(&[("base-url", url)])).unwrap();
            assert_eq!((settings.base.as_str(), settings.flavour), (base, flavour), "{url}");
        }
        let pairs = [("base-url", "https://wiki.acme.example"), ("flavour", "cloud")];
        assert_eq!(Settings::read(&Pairs(&pairs)).unwrap().base, "https://wiki.acme.example/wiki");
        let pairs = [("base-url", "https://h"), ("flavour", "datacenter"), ("space", " OPS ")];
        let settings = Settings::read(&Pairs(&pairs)).unwrap();
        assert_eq!(settings.flavour, Some(Flavour::DataCenter));
        assert_eq!(settings.space_or_default(" ").unwrap(), "OPS");
        assert_eq!(settings.space_or_default("DEV").unwrap(), "DEV");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (url, word) in [
            ("", "missing"),
            ("x.example", "https://"),
            ("http://confluence.example", "in the open"),
            ("http://localhost.evil.example", "in the open"),
            ("https://u:p@h", "user name"),
            ("https://h?x=1", "query"),
            ("https://h/a/../b", "address"),
            ("https://h/a b", "spaces"),
            ("https://", "host"),
        ] {
            let failure = Settings::read(&Pairs(&[("base-url", url)])).unwrap_err();
            assert_eq!(failure.code, "invalid");
            assert!(failure.message.contains(word), "{url}: {}", failure.message);
        }
        let pairs = [("base-url", "https://h"), ("flavour", "x")];
        assert!(Settings::read(&Pairs(&pairs)).unwrap_err().message.contains("flavour"));
    }
}
