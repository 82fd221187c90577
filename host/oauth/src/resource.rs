//! Which resource a server is (RFC 8707, RFC 9728, and the MCP specification of 2026-07-28).
//!
//! Invariant: a token is asked for, and sent, only for a resource that is the server's own address, or one above it on
//! the same origin that the origin's own `/.well-known/` speaks for. A document anywhere else speaks for its own
//! address alone: who holds one path of a shared host cannot have tokens made out for all of it.

use url::Url;

use crate::address::same_origin;

/// Where the metadata of a protected resource is looked up.
pub(crate) const WELL_KNOWN: &str = "oauth-protected-resource";

/// How a resource relates to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    /// It is the server.
    Same,
    /// It is above the server, on the same origin.
    Above,
}

/// The canonical URI of a server: no query, no fragment, no slash for an empty path.
pub(crate) fn canonical(server: &Url) -> String {
    let mut url = server.clone();
    url.set_query(None);
    url.set_fragment(None);
    if url.path() == "/" { url.as_str().trim_end_matches('/').to_owned() } else { url.into() }
}

/// How the resource relates to the server; nothing where it does not.
pub(crate) fn relation(resource: &Url, server: &Url) -> Option<Relation> {
    if !same_origin(resource, server) || resource.query().is_some_and(|query| server.query() != Some(query)) {
        return None;
    }
    if resource.path() == server.path() {
        return Some(Relation::Same);
    }
    let stem = resource.path().strip_suffix('/').unwrap_or(resource.path());
    let below = server.path().strip_prefix(stem).is_some_and(|rest| rest.starts_with('/'));
    (below && resource.query().is_none()).then_some(Relation::Above)
}

/// Whether a document was found where it may speak for resources above its own address.
pub(crate) fn speaks_for_origin(document: &Url) -> bool {
    document
        .path()
        .strip_prefix("/.well-known/")
        .and_then(|rest| rest.strip_prefix(WELL_KNOWN))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_the_server_or_above_it() {
        use Relation::{Above, Same};
        for (resource, server, expected) in [
            ("https://h.example/mcp", "https://h.example/mcp", Some(Same)),
            ("https://H.example:443/mcp", "https://h.example/mcp", Some(Same)),
            ("https://h.example", "https://h.example/", Some(Same)),
            ("https://h.example/mcp", "https://h.example/mcp?key=1", Some(Same)),
            ("https://h.example/mcp?key=1", "https://h.example/mcp?key=1", Some(Same)),
            ("https://h.example/mcp?key=2", "https://h.example/mcp?key=1", None),
            ("https://h.example/mcp?key=2", "https://h.example/mcp", None),
            ("https://h.example", "https://h.example/mcp", Some(Above)),
            ("https://h.example/a", "https://h.example/a/mcp", Some(Above)),
            ("https://h.example/a/", "https://h.example/a/mcp", Some(Above)),
            ("https://h.example/a", "https://h.example/a/", Some(Above)),
            ("https://h.example/a/", "https://h.example/a", None),
            ("https://h.example/a", "https://h.example/ab", None),
            ("https://h.example/mcp/x", "https://h.example/mcp", None),
            ("https://h.example/other", "https://h.example/mcp", None),
            ("https://evil.example/mcp", "https://h.example/mcp", None),
            ("https://h.example:8443/mcp", "https://h.example/mcp", None),
            ("http://h.example/mcp", "https://h.example/mcp", None),
            ("https://h.example.evil.example/mcp", "https://h.example/mcp", None),
        ] {
            assert_eq!(relation(&resource.parse().unwrap(), &server.parse().unwrap()), expected, "{resource} {server}");
        }
    }

    #[test]
    fn the_canonical_form_is_the_short_one() {
        for (server, expected) in [
            ("https://MCP.example:443/", "https://mcp.example"),
            ("https://mcp.example/mcp?a=b#c", "https://mcp.example/mcp"),
            ("https://mcp.example:8443", "https://mcp.example:8443"),
            ("https://mcp.example/mcp/", "https://mcp.example/mcp/"),
        ] {
            assert_eq!(canonical(&server.parse().unwrap()), expected);
        }
    }

    #[test]
    fn only_the_well_known_place_speaks_for_more() {
        for (url, expected) in [
            ("https://h.example/.well-known/oauth-protected-resource", true),
            ("https://h.example/.well-known/oauth-protected-resource/mcp", true),
            ("https://h.example/.well-known/oauth-protected-resourcex", false),
            ("https://h.example/tenant/.well-known/oauth-protected-resource", false),
            ("https://h.example/tenant/metadata.json", false),
        ] {
            assert_eq!(speaks_for_origin(&url.parse().unwrap()), expected, "{url}");
        }
    }
}
