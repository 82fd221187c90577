//! The settings that every instance has, read and checked once per call.
//!
//! | key | meaning |
//! |---|---|
//! | `base-url` | required; as the server documents it; kept as given but for a trailing slash |
//! | `credential` | handle; not set where the server needs none |
//! | `credential-header` | one of those that the service takes |
//! | `model` | used where the request names none |
//! | `timeout-ms` | to the first byte of an answer, default [`DEFAULT_TIMEOUT_MS`] |

use plugin_core::host::{Config, Failure, HeaderValue, code};

/// Default wait for the first byte of an answer, in milliseconds: a model on a processor alone may read a long prompt
/// for minutes before its first token. The contract's ceiling.
pub const DEFAULT_TIMEOUT_MS: u32 = 600_000;

/// What a service has of its own.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// For the words of an error.
    pub example_url: &'static str,
    /// The headers that it takes a credential in; the first where none is named.
    pub credential_headers: &'static [&'static str],
    /// Ends of addresses that some people paste: those of the calls themselves.
    pub calls: &'static [&'static str],
}

/// The checked settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    base: String,
    query: String,
    credential: Option<String>,
    credential_header: &'static str,
    /// Used where the request names none.
    pub model: String,
    /// To the first byte of an answer, in milliseconds.
    pub timeout_ms: u32,
}

/// The value of a setting, without what stands around it; nothing where there is none.
pub fn setting(config: &dyn Config, key: &str) -> Option<String> {
    config.get(key).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

impl Settings {
    /// Read and check the settings.
    ///
    /// # Errors
    /// `invalid`, naming the setting.
    pub fn read(config: &dyn Config, defaults: Defaults) -> Result<Self, Failure> {
        let get = |key: &str| setting(config, key);
        let invalid = |message: &str| Failure::new(code::INVALID, message);
        let missing = || invalid(&format!("The setting base-url is missing. An example: {}", defaults.example_url));
        let url = get("base-url").ok_or_else(missing)?;
        let authority = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"))
            .ok_or_else(|| invalid("The setting base-url must begin with https:// or http://."))?;
        let host = authority.split(['/', '?', '#']).next().unwrap_or_default();
        if host.is_empty()
            || host.contains('@')
            || url.contains('#')
            || url.contains(|c: char| c.is_whitespace() || c.is_control())
        {
            return Err(invalid(
                "The setting base-url must be an address with a host, without a user name, a fragment or spaces.",
            ));
        }
        let (path, query) = url.split_once('?').unwrap_or((&url, ""));
        let path = path.trim_end_matches('/');
        let base = defaults.calls.iter().find_map(|call| path.strip_suffix(call)).unwrap_or(path);
        let headers = defaults.credential_headers;
        let credential_header =
            match get("credential-header") {
                None => headers.first().copied().unwrap_or("authorization"),
                Some(name) => headers.iter().copied().find(|known| *known == name).ok_or_else(|| {
                    invalid(&format!("The setting credential-header must be {}.", headers.join(" or ")))
                })?,
            };
        let timeout_ms = match get("timeout-ms") {
            None => DEFAULT_TIMEOUT_MS,
            Some(text) => text
                .parse()
                .ok()
                .filter(|wait| (1..=DEFAULT_TIMEOUT_MS).contains(wait))
                .ok_or_else(|| invalid("The setting timeout-ms must be a number from 1 to 600000."))?,
        };
        Ok(Self {
            base: base.to_owned(),
            query: query.to_owned(),
            credential: get("credential"),
            credential_header,
            model: get("model").unwrap_or_default(),
            timeout_ms,
        })
    }

    /// The address of a call, such as `chat/completions`.
    pub fn url(&self, call: &str) -> String {
        let Self { base, query, .. } = self;
        if query.is_empty() { format!("{base}/{call}") } else { format!("{base}/{call}?{query}") }
    }

    /// The header with the credential, where one is set.
    pub fn credential(&self) -> Option<(&'static str, HeaderValue)> {
        let handle = self.credential.clone()?;
        Some((self.credential_header, HeaderValue::Credential(handle)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: Defaults = Defaults {
        example_url: "http://127.0.0.1:11434/v1",
        credential_headers: &["authorization", "api-key"],
        calls: &["/chat/completions"],
    };

    struct Pairs<'a>(&'a [(&'a str, &'a str)]);
    impl Config for Pairs<'_> {
        fn get(&self, key: &str) -> Option<String> {
            let Self(pairs) = self;
            pairs.iter().find(|(k, _)| *k == key).map(|(_, value)| (*value).to_owned())
        }
    }

    #[test]
    fn addresses_are_kept_as_given() {
        for (base, want) in [
            ("https://api.openai.com/v1", "https://api.openai.com/v1/chat/completions"),
            ("https://api.openai.com/v1/", "https://api.openai.com/v1/chat/completions"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/chat/completions"),
            (" http://h/a/b// ", "http://h/a/b/chat/completions"),
            ("http://h/v1/chat/completions", "http://h/v1/chat/completions"),
            (
                "https://r.openai.azure.com/openai/deployments/d/?api-version=2024-10-21",
                "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
            ),
        ] {
            let settings = Settings::read(&Pairs(&[("base-url", base)]), CHAT).unwrap();
            assert_eq!(settings.url("chat/completions"), want);
            assert_eq!(settings.credential(), None);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (pairs, word) in [
            (&[][..], "base-url is missing"),
            (&[("base-url", "")][..], "base-url is missing"),
            (&[("base-url", "ftp://h/")][..], "https://"),
            (&[("base-url", "http:///v1")][..], "host"),
            (&[("base-url", "http://u:p@h/v1")][..], "user name"),
            (&[("base-url", "http://h/v1#x")][..], "fragment"),
            (&[("base-url", "http://h/\r\nx")][..], "spaces"),
            (&[("base-url", "http://h"), ("credential-header", "cookie")][..], "credential-header"),
            (&[("base-url", "http://h"), ("timeout-ms", "0")][..], "timeout-ms"),
        ] {
            let failure = Settings::read(&Pairs(pairs), CHAT).unwrap_err();
            assert_eq!(failure.code, "invalid");
            assert!(failure.message.contains(word), "{}", failure.message);
        }
    }

    #[test]
    fn the_credential_is_a_handle_in_the_named_header() {
        let pairs = [("base-url", "http://h"), ("credential", "cred-1"), ("credential-header", "api-key")];
        let settings = Settings::read(&Pairs(&pairs), CHAT).unwrap();
        assert_eq!(settings.credential(), Some(("api-key", HeaderValue::Credential("cred-1".into()))));
    }
}
