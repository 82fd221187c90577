//! `oci://registry.example[:port]/repository[:tag][@sha256:…]`.

use std::net::IpAddr;
use std::str::FromStr;

use url::Url;

/// A plugin's place in a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Scheme, host and port.
    pub(super) base: Url,
    /// `[a-z0-9]` with `.`, `_`, `-` and `/` between.
    pub(super) repository: String,
    pub(super) tag: Option<String>,
    /// `sha256:` and 64 digits.
    pub(super) digest: Option<String>,
}

impl Reference {
    /// Host and repository, for people.
    #[must_use]
    pub fn name(&self) -> String {
        let port = self.base.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}/{}", self.base.host_str().unwrap_or_default(), self.repository)
    }

    /// Whether a text is meant as a reference.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        text.starts_with("oci://")
    }
}

fn is_repository(text: &str) -> bool {
    let part = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        let edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        part.bytes().all(plain) && edge(part.as_bytes().first()) && edge(part.as_bytes().last())
    };
    text.len() <= 255 && text.split('/').all(part)
}

fn is_tag(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=128).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with(['.', '-'])
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "A plugin in a registry is named oci://registry.example/repository@sha256:… (lower case, 64 hexadecimal digits)"
                .to_owned()
        };
        let rest = text.strip_prefix("oci://").ok_or_else(wrong)?;
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (rest, None),
        };
        let (host, path) = rest.split_once('/').ok_or_else(wrong)?;
        let (repository, tag) = match path.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (path, None),
        };
        let is_digest = |digest: &str| {
            digest.strip_prefix("sha256:").is_some_and(|hex| {
                hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
            })
        };
        if host.is_empty()
            || host.contains(['@', '?', '#', '\\'])
            || !is_repository(repository)
            || tag.is_some_and(|tag| !is_tag(tag))
            || digest.is_some_and(|digest| !is_digest(digest))
        {
            return Err(wrong());
        }
        // In the clear on this machine alone, as every other client of registries has it.
        let bare = host.rsplit_once(':').map_or(host, |(host, _)| host);
        let local = bare == "localhost"
            || bare.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let base = Url::parse(&format!("{}://{host}/", if local { "http" } else { "https" })).map_err(|_| wrong())?;
        Ok(Self {
            base,
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_strictly() {
        let digest = format!("sha256:{}", "0f".repeat(32));
        let one: Reference = format!("oci://ghcr.io/acme/plugins/desk:1.0@{digest}").parse().unwrap();
        assert_eq!((one.name().as_str(), one.base.as_str()), ("ghcr.io/acme/plugins/desk", "https://ghcr.io/"));
        assert_eq!((one.tag.as_deref(), one.digest.as_deref()), (Some("1.0"), Some(digest.as_str())));
        let local: Reference = "oci://127.0.0.1:5000/a".parse().unwrap();
        assert_eq!((local.base.as_str(), local.digest), ("http://127.0.0.1:5000/", None));
        for bad in [
            "ghcr.io/acme/desk",
            "oci://ghcr.io",
            "oci:///acme",
            "oci://ghcr.io/Acme",
            "oci://ghcr.io/../acme",
            "oci://ghcr.io/acme//desk",
            "oci://user@ghcr.io/acme",
            "oci://ghcr.io/acme@sha256:00",
            "oci://ghcr.io/acme@sha512:00",
            "oci://ghcr.io/acme?x=1",
            "oci://ghcr.io/acme:-tag",
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
        let upper = format!("oci://ghcr.io/acme@sha256:{}", "0F".repeat(32));
        assert!(upper.parse::<Reference>().is_err());
    }
}
