//! Where messages are posted: the URI reference of the `endpoint` event, resolved against the URL of the settings (RFC
//! 3986, section 5).
//!
//! Invariant: what comes out begins with the scheme and authority of the settings as they were written there, followed
//! by a slash; so the host, however it reads a URL, finds the same origin in both.

use crate::wire::is_visible;

/// Longest reference: what servers take as the first line of a request.
const MAX_BYTES: usize = 8 * 1024;

/// Why a reference cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is no URI reference.
    Malformed,
    /// It leads to another origin.
    OtherOrigin,
}

/// The absolute URL that `reference` names. `base` has passed [`check_settings`](crate::wire::check_settings).
pub fn resolve(base: &str, reference: &str) -> Result<String, Refused> {
    let reference = reference.trim_ascii().split('#').next().unwrap_or_default();
    if !is_visible(reference) || reference.contains('\\') || reference.len() > MAX_BYTES {
        return Err(Refused::Malformed);
    }
    let (scheme, rest) = base.split_once("://").ok_or(Refused::Malformed)?;
    let (authority, base_target) = split_authority(rest);
    let base_path = base_target.split('?').next().unwrap_or_default();
    let absolute = match scheme_of(reference) {
        Some((other, rest)) if other.eq_ignore_ascii_case(scheme) => {
            Some(rest.strip_prefix("//").ok_or(Refused::Malformed)?)
        }
        Some(_) => return Err(Refused::OtherOrigin),
        None => reference.strip_prefix("//"),
    };
    let target = match absolute {
        Some(rest) => {
            let (other, target) = split_authority(rest);
            if canonical(scheme, other) != canonical(scheme, authority) {
                return Err(Refused::OtherOrigin);
            }
            target.to_owned()
        }
        None if reference.starts_with('/') => reference.to_owned(),
        None if reference.starts_with('?') => format!("{base_path}{reference}"),
        None => format!("{}/{reference}", base_path.rsplit_once('/').map_or("", |(folder, _)| folder)),
    };
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    Ok(format!("{scheme}://{authority}{}{query}", without_dots(path)))
}

/// What stands before the first slash or question mark, and the rest.
fn split_authority(text: &str) -> (&str, &str) {
    text.split_at(text.find(['/', '?']).unwrap_or(text.len()))
}

/// The scheme of a reference that has one, and what follows its colon.
fn scheme_of(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some((scheme, rest))
}

/// In lower case and without the port that the scheme has anyway.
fn canonical(scheme: &str, authority: &str) -> String {
    let port = if scheme == "https" { ":443" } else { ":80" };
    let authority = authority.to_ascii_lowercase();
    authority.strip_suffix(port).or(authority.strip_suffix(':')).unwrap_or(&authority).to_owned()
}

/// RFC 3986, section 5.2.4. The path is empty or begins with a slash; what comes out begins with one.
fn without_dots(path: &str) -> String {
    let mut kept = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if segment == ".." {
            kept.pop();
        } else if segment != "." {
            kept.push(segment);
            continue;
        }
        // Dots at the end name a folder.
        if segments.peek().is_none() {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn references_are_resolved_as_the_standard_says() {
        for (base, reference, want) in [
            ("https://h/sse", "/messages?sessionId=1", "https://h/messages?sessionId=1"),
            ("https://h/sse", "messages/?session_id=1", "https://h/messages/?session_id=1"),
            ("https://h/a/sse", "messages", "https://h/a/messages"),
            ("https://h/a/b/", "messages", "https://h/a/b/messages"),
            ("https://h/a/sse?key=/x/", "?s=1", "https://h/a/sse?s=1"),
            ("https://h", "messages", "https://h/messages"),
            ("https://h", "?s=1", "https://h/?s=1"),
            ("https://h?x", "m", "https://h/m"),
            ("https://h/a/b/sse", "../m", "https://h/a/m"),
            ("https://h/a/sse", "../../../m/.", "https://h/m/"),
            ("https://h/a/b", "./c/../..", "https://h/"),
            ("https://h/a/b", "c:d/e", "other"),
            ("https://h/a/b", "./c:d/e", "https://h/a/c:d/e"),
            ("https://h/sse", "https://h/m?u=https://x/#top", "https://h/m?u=https://x/"),
            ("https://h/sse", "HTTPS://H:443/m", "https://h/m"),
            ("http://H:80/sse", "http://h/m", "http://H:80/m"),
            ("https://h:8443/sse", "//h:8443/m", "https://h:8443/m"),
            ("http://[::1]:3000/sse", "http://[::1]:3000?s=1", "http://[::1]:3000/?s=1"),
            ("https://h/sse", " /m\n", "https://h/m"),
            ("https://h/sse", "/@x/..//y", "https://h//y"),
            ("https://h/sse", "http://h/m", "other"),
            ("https://h/sse", "https://h:444/m", "other"),
            ("https://h/sse", "https://evil/m", "other"),
            ("https://h/sse", "https://h.evil/m", "other"),
            ("https://h/sse", "https://h@evil/m", "other"),
            ("https://h/sse", "https://u@h/m", "other"),
            ("https://h/sse", "//evil/m", "other"),
            ("https://h/sse", "///m", "other"),
            ("https://h/sse", "file:///etc/passwd", "other"),
            ("https://h/sse", "https:m", "malformed"),
            ("https://h/sse", "/\\evil/m", "malformed"),
            ("https://h/sse", "\\\\evil/m", "malformed"),
            ("https://h/sse", "/a b", "malformed"),
            ("https://h/sse", "/a\tb", "malformed"),
            ("https://h/sse", "/é", "malformed"),
            ("https://h/sse", "#x", "malformed"),
            ("https://h/sse", "", "malformed"),
        ] {
            let got = match resolve(base, reference) {
                Ok(url) => url,
                Err(Refused::OtherOrigin) => "other".into(),
                Err(Refused::Malformed) => "malformed".into(),
            };
            assert_eq!(got, want, "{base} {reference}");
        }
        assert_eq!(resolve("https://h/", &"x".repeat(MAX_BYTES + 1)), Err(Refused::Malformed));
    }

    proptest! {
        #[test]
        fn nothing_leads_elsewhere(reference in prop_oneof![".*", "(https?:)?[/\\\\.@:#?a-h]{0,30}"]) {
            for origin in ["https://h", "http://h:8080"] {
                if let Ok(url) = resolve(&format!("{origin}/a/sse?x"), &reference) {
                    prop_assert!(url.starts_with(&format!("{origin}/")), "{}", url);
                    prop_assert!(is_visible(&url) && !url.contains(['\\', '#']), "{}", url);
                }
            }
        }
    }
}
