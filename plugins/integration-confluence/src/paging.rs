//! Where the next page of a list is.
//!
//! Invariant: pure. A cursor is a path below the API's root, taken from what the server said and never built; whatever
//! host an answer names, the request goes to the settings' base. The gateway and context paths make the server's own
//! links wrong for us, which re-rooting mends at the same time.

use serde_json::Value;

use plugin_core::host::{Failure, code, header};

/// Most bytes of a cursor.
const MAX_CURSOR_BYTES: usize = 4096;

/// The path of the next page, as `_links.next` or the header `Link` says; nothing on the last.
pub fn next(json: &Value, headers: &[(String, String)]) -> Option<String> {
    let link = json
        .pointer("/_links/next")
        .and_then(Value::as_str)
        .map(str::to_owned)
        .or_else(|| link_header(header(headers, "link")?))?;
    reroot(&link)
}

/// A cursor that came back from the host.
///
/// # Errors
/// `invalid` for anything that [`next`] did not give for the same list.
pub fn checked<'a>(cursor: &'a str, prefix: &str) -> Result<&'a str, Failure> {
    let ok = reroot(cursor).is_some_and(|path| path == cursor)
        && cursor.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('?'));
    if ok { Ok(cursor) } else { Err(Failure::new(code::INVALID, "The cursor is not one that this list gave.")) }
}

/// `<…>; rel="next"` among the values of a `Link` header (RFC 8288).
fn link_header(value: &str) -> Option<String> {
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, parameters) = after.split_once('>')?;
        let own = parameters.split('<').next().unwrap_or_default();
        if own.replace(['"', ' '], "").contains("rel=next") {
            return Some(target.to_owned());
        }
        rest = parameters;
    }
    None
}

/// The part of an address from the API's own prefix on.
fn reroot(link: &str) -> Option<String> {
    let path_end = link.find('?').unwrap_or(link.len());
    let (path, _) = link.split_at(path_end);
    let at = ["/api/v2/", "/rest/api/"].iter().filter_map(|prefix| path.find(prefix)).min()?;
    let tail = link.get(at..)?;
    let clean = !tail.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#' || c == '\\');
    let path = path.get(at..)?.to_lowercase();
    let climbs = path.split('/').any(|segment| matches!(segment.replace("%2e", ".").as_str(), "." | ".."));
    (clean && !climbs && tail.len() <= MAX_CURSOR_BYTES).then(|| tail.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn links_of_all_kinds() {
        for (link, want) in [
            ("/wiki/api/v2/spaces?cursor=a%3D&limit=2", Some("/api/v2/spaces?cursor=a%3D&limit=2")),
            ("/rest/api/space?limit=2&start=2", Some("/rest/api/space?limit=2&start=2")),
            ("/confluence/rest/api/space?next=/api/v2/x", Some("/rest/api/space?next=/api/v2/x")),
            ("https://evil.example/wiki/api/v2/spaces?cursor=a", Some("/api/v2/spaces?cursor=a")),
            ("https://evil.example/x", None),
            ("/api/v2/../../admin", None),
            ("/api/v2/%2E%2e/admin", None),
            ("/api/v2/a b", None),
            ("?x=/api/v2/", None),
        ] {
            assert_eq!(next(&json!({"_links":{"next":link}}), &[]).as_deref(), want, "{link}");
        }
        let header =
            [("link".to_owned(), "</wiki/api/v2/pages?cursor=c>; rel=\"next\", <https://s>; rel=\"base\"".to_owned())];
        assert_eq!(next(&json!({"_links":{}}), &header).as_deref(), Some("/api/v2/pages?cursor=c"));
        let base = [("link".to_owned(), "<https://s/api/v2/x>; rel=\"base\"".to_owned())];
        assert_eq!(next(&json!({}), &base), None);
    }

    #[test]
    fn cursors_that_come_back() {
        assert!(checked("/api/v2/spaces?cursor=a", "/api/v2/spaces").is_ok());
        for bad in ["/api/v2/pages?cursor=a", "/api/v2/spacesx", "https://e/api/v2/spaces?c", "", "/api/v2/spaces/../x"]
        {
            assert_eq!(checked(bad, "/api/v2/spaces").unwrap_err().code, "invalid", "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_cursor_always_stays_below_the_api(link in "[a-z:/.?#%2eE\\\\ =-]{0,40}", head in prop_oneof![Just("/api/v2/"), Just("https://x/rest/api/"), Just("")]) {
            if let Some(path) = next(&json!({"_links":{"next":format!("{head}{link}")}}), &[]) {
                prop_assert!(path.starts_with("/api/v2/") || path.starts_with("/rest/api/"));
                prop_assert!(!path.split('?').next().unwrap().split('/').any(|s| s == ".."));
                prop_assert_eq!(reroot(&path), Some(path.clone()));
            }
        }
    }
}
