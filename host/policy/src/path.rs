//! Path prefixes that a server cannot be talked out of.
//!
//! Invariant: a path is under a prefix only if it is so both as it is sent and as any server might read it: with every
//! percent escape decoded (again and again), backslashes as slashes, path parameters (`;…`) dropped and dot segments
//! resolved. So `/api/..%2fadmin`, `/api/%252e%252e/admin` and `/api/..;/admin` are not under `/api`, while
//! `/api/projects/group%2Fname` is. A prefix ends at a segment: `/api` does not cover `/apix`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::InvalidRule;
use crate::denial::shown;

/// How often a path may be escaped. Nothing honest goes beyond two.
const MAX_DECODINGS: usize = 4;

/// Where a rule's paths begin. Written `/` or `/api/v2`, plain, without dot segments or escapes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathPrefix(String);

impl PathPrefix {
    /// Every path.
    #[must_use]
    pub fn all() -> Self {
        Self("/".to_owned())
    }

    /// The prefix.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a canonical URL's path is under this prefix, however it is read.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        self.is_above(path) && most_decoded(path).is_some_and(|decoded| self.is_above(&decoded))
    }

    /// Whether every path under the other prefix is under this one.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.is_above(&other.0)
    }

    fn is_above(&self, path: &str) -> bool {
        let stem = self.0.trim_end_matches('/');
        let exact = self.0.len() > stem.len() && !stem.is_empty();
        path.strip_prefix(stem).is_some_and(|rest| rest.starts_with('/') || (rest.is_empty() && !exact))
    }

    /// The narrowest prefix for a path: itself as far as it is plain, otherwise the folder that it is in.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        let decoded = most_decoded(path)?;
        let mut candidate = path;
        loop {
            if let Ok(prefix) = candidate.parse::<Self>()
                && prefix.is_above(&decoded)
            {
                return Some(prefix);
            }
            let cut = candidate.trim_end_matches('/').rfind('/')?;
            candidate = candidate.get(..=cut).filter(|shorter| shorter.len() < candidate.len())?;
        }
    }
}

/// The path as the most eager server reads it; nothing where it never comes to rest or holds a NUL.
fn most_decoded(path: &str) -> Option<String> {
    let mut bytes = path.as_bytes().to_vec();
    let mut rounds = 0;
    while let Some(decoded) = percent_decoded(&bytes) {
        rounds += 1;
        if rounds > MAX_DECODINGS {
            return None;
        }
        bytes = decoded;
    }
    if bytes.contains(&0) {
        return None;
    }
    let text = String::from_utf8_lossy(&bytes).replace('\\', "/");
    let mut segments: Vec<&str> = Vec::new();
    for segment in text.split('/').skip(1) {
        match segment.split(';').next().unwrap_or_default().trim() {
            "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    Some(format!("/{}", segments.join("/")))
}

/// One round of decoding; nothing where there was no escape.
fn percent_decoded(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    let mut any = false;
    while let [first, tail @ ..] = rest {
        if let [b'%', high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (char::from(*high).to_digit(16), char::from(*low).to_digit(16))
        {
            decoded.push(u8::try_from(high << 4 | low).ok()?);
            rest = after;
            any = true;
        } else {
            decoded.push(*first);
            rest = tail;
        }
    }
    any.then_some(decoded)
}

impl FromStr for PathPrefix {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,=:@".contains(&byte);
        let dots = text.split('/').any(|segment| matches!(segment, "." | ".."));
        if text.starts_with('/') && text.bytes().all(plain) && !dots && !text.contains("//") {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidRule::Path(shown(text, 200)))
        }
    }
}

impl TryFrom<String> for PathPrefix {
    type Error = InvalidRule;

    fn try_from(text: String) -> Result<Self, InvalidRule> {
        text.parse()
    }
}

impl From<PathPrefix> for String {
    fn from(prefix: PathPrefix) -> Self {
        prefix.0
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_prefix_holds_however_the_path_is_read() {
        let api: PathPrefix = "/api".parse().unwrap();
        for (path, expected) in [
            ("/api", true),
            ("/api/", true),
            ("/api/v2/x", true),
            ("/api/projects/group%2Fname", true),
            ("/api/a/..%2fb", true),
            ("/api/100%25", true),
            ("/apix", false),
            ("/", false),
            ("/Api", false),
            ("/api%2fx", false),
            ("/api/..%2fadmin", false),
            ("/api/..%5cadmin", false),
            ("/api/%2e%2e%2fadmin", false),
            ("/api/%252e%252e%252fadmin", false),
            ("/api/%25252e%25252e/admin", false),
            ("/api/..;/admin", false),
            ("/api/..;a=b/admin", false),
            ("/api/x%00", false),
            ("/api/%2525252525252e", false),
        ] {
            assert_eq!(api.matches(path), expected, "{path}");
        }
    }

    #[test]
    fn a_prefix_with_a_slash_is_a_folder() {
        let folder: PathPrefix = "/api/".parse().unwrap();
        assert!(folder.matches("/api/x") && folder.matches("/api/") && !folder.matches("/api"));
        assert!(PathPrefix::all().matches("/") && PathPrefix::all().matches("/x"));
        assert!("/api".parse::<PathPrefix>().unwrap().covers(&folder));
        assert!(!folder.covers(&"/api".parse().unwrap()));
    }

    #[test]
    fn odd_prefixes_are_refused() {
        for text in ["", "api", "/a/../b", "/a/./b", "/%61", "/a?b", "/a#b", "/a\\b", "/a b", "//", "/a;b"] {
            assert!(text.parse::<PathPrefix>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_has_a_prefix_of_its_own() {
        for (path, prefix) in
            [("/a/b", Some("/a/b")), ("/a/x%2Fy/z", Some("/a/")), ("/a/..%2f..%2fb", Some("/")), ("/%00", None)]
        {
            assert_eq!(PathPrefix::of_path(path).as_ref().map(PathPrefix::as_str), prefix, "{path}");
        }
    }

    proptest! {
        #[test]
        fn nothing_under_a_prefix_resolves_outside(path in "/api(/|\\.|%2e|%2f|%5c|%25|;|a|2e|2f){0,12}") {
            let api: PathPrefix = "/api".parse().unwrap();
            if api.matches(&path) {
                let decoded = most_decoded(&path).unwrap();
                prop_assert!(decoded == "/api" || decoded.starts_with("/api/"));
            }
        }
    }
}
