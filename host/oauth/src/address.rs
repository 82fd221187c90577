//! Which addresses may be asked, opened, or named.
//!
//! Invariant: an address that came from outside is used only as `https`, or as `http` where both it and the MCP server
//! are this very machine; never with a user name, a fragment, or characters that the URL parser would have dropped. So
//! `javascript:`, `data:` and `file:` go nowhere, and a public server cannot have plain text sent anywhere.

use url::{Host, Url};

use crate::error::Error;
use crate::limits::MAX_ADDRESS_BYTES;
use crate::text;

/// What is acceptable for the parties of one MCP server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Whether plain `http` to this machine is.
    loopback: bool,
}

impl Rules {
    /// The rules for a server, which has to keep them itself.
    pub(crate) fn of(server: &Url) -> Result<Self, Error> {
        let rules = Self { loopback: server.host().is_some_and(is_loopback) };
        // a fragment is never sent, so one in the server's own address does no harm
        let mut bare = server.clone();
        bare.set_fragment(None);
        rules.check(bare.as_str(), "address of the MCP server")?;
        Ok(rules)
    }

    /// An address that may be asked or opened. `what` names it in the error.
    pub(crate) fn check(self, raw: &str, what: &'static str) -> Result<Url, Error> {
        self.read(raw).map_err(|reason| Error::Address { what, url: text::clean(raw), reason })
    }

    /// One that has no query either: what documents are looked up under.
    pub(crate) fn check_identifier(self, raw: &str, what: &'static str) -> Result<Url, Error> {
        let url = self.check(raw, what)?;
        if url.query().is_some() {
            return Err(Error::Address { what, url: text::clean(raw), reason: "it has a query" });
        }
        Ok(url)
    }

    fn read(self, raw: &str) -> Result<Url, &'static str> {
        if raw.len() > MAX_ADDRESS_BYTES {
            return Err("it is too long");
        }
        if !raw.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Err("it has characters that an address cannot have");
        }
        // the parser would read `https:host` and `https:/host`, too
        if !raw.contains("://") {
            return Err("it has to begin with https://");
        }
        let url = Url::parse(raw).map_err(|_| "it is not an absolute URL")?;
        match url.scheme() {
            "https" => {}
            "http" if self.loopback && url.host().is_some_and(is_loopback) => {}
            "http" => return Err("it has to begin with https:// (http:// is for servers on this machine alone)"),
            _ => return Err("it has to begin with https://"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it has a user name or a password in it");
        }
        if url.fragment().is_some() {
            return Err("it has a fragment (#)");
        }
        Ok(url)
    }
}

/// Whether a host is this machine (RFC 6761, section 6.3, for names).
pub(crate) fn is_loopback(host: Host<&str>) -> bool {
    match host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(domain) => {
            let domain = domain.strip_suffix('.').unwrap_or(domain).to_ascii_lowercase();
            domain == "localhost" || domain.ends_with(".localhost")
        }
    }
}

/// Whether an authorization server out on the internet can fetch from there: `https`, and a name that is not one of
/// those that never leave a network.
pub(crate) fn is_public(url: &Url) -> bool {
    const INSIDE: [&str; 9] = ["localhost", "local", "internal", "lan", "home", "corp", "test", "invalid", "home.arpa"];
    let Some(Host::Domain(domain)) = url.host() else { return false };
    let domain = domain.strip_suffix('.').unwrap_or(domain).to_ascii_lowercase();
    let inside = |zone: &&str| domain.strip_suffix(*zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    url.scheme() == "https" && domain.contains('.') && !INSIDE.iter().any(inside)
}

/// Scheme, host and port are the same.
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin().is_tuple() && one.origin() == other.origin()
}

/// `/.well-known/SUFFIX` inserted between the host and the path (RFC 8414, section 3.1; RFC 9728, section 3.1).
pub(crate) fn well_known(base: &Url, suffix: &str, with_path: bool) -> Url {
    let path = if with_path { base.path().trim_end_matches('/') } else { "" };
    let mut url = base.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.set_path(&format!("/.well-known/{suffix}{path}"));
    url
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(server: &str) -> Rules {
        Rules::of(&server.parse().unwrap()).unwrap()
    }

    #[test]
    fn only_https_or_this_machine() {
        let (public, local) = (rules("https://mcp.example/mcp"), rules("http://localhost:3000/mcp"));
        for (url, by_public, by_local) in [
            ("https://as.example/token", true, true),
            ("https://as.example/token?tenant=1", true, true),
            ("http://as.example/token", false, false),
            ("http://localhost:1/token", false, true),
            ("http://127.0.0.2:1/token", false, true),
            ("http://[::1]:1/token", false, true),
            ("http://a.localhost/token", false, true),
            ("http://localhost.evil.example/token", false, false),
            ("http://169.254.169.254/latest/meta-data", false, false),
            ("http://10.0.0.1/token", false, false),
            ("javascript:alert(1)", false, false),
            ("javascript://as.example/%0aalert(1)", false, false),
            ("data:text/html,x", false, false),
            ("file:///etc/passwd", false, false),
            ("https://user@as.example/", false, false),
            ("https://:pw@as.example/", false, false),
            ("https://as.example/#x", false, false),
            ("https://as.example/#", false, false),
            ("java\nscript:alert(1)", false, false),
            (" https://as.example/", false, false),
            ("https:\\\\as.example/", false, false),
            ("/token", false, false),
            ("https:as.example/token", false, false),
            ("https:/as.example/token", false, false),
            ("", false, false),
        ] {
            assert_eq!(public.check(url, "x").is_ok(), by_public, "{url}");
            assert_eq!(local.check(url, "x").is_ok(), by_local, "{url}");
        }
        assert!(public.check(&format!("https://as.example/{}", "x".repeat(MAX_ADDRESS_BYTES)), "x").is_err());
        assert!(public.check_identifier("https://as.example/?a", "x").is_err());
        assert!(Rules::of(&"http://mcp.example/mcp".parse().unwrap()).is_err());
        assert!(Rules::of(&"https://mcp.example/mcp#x".parse().unwrap()).is_ok());
    }

    #[test]
    fn the_text_says_what_is_wrong_and_what_would_do() {
        let error = rules("https://mcp.example/").check("javascript:alert(1)", "authorization endpoint").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the authorization endpoint javascript:alert(1) cannot be used: it has to begin with https://"
        );
    }

    #[test]
    fn public_means_reachable_from_outside() {
        for (url, expected) in [
            ("https://fumehood.example.com/oauth/client.json", true),
            ("http://fumehood.example.com/oauth/client.json", false),
            ("https://localhost/c", false),
            ("https://fumehood/c", false),
            ("https://fumehood.local/c", false),
            ("https://fumehood.corp.internal./c", false),
            ("https://10.0.0.1/c", false),
            ("https://[::1]/c", false),
            ("https://notlocal.example/c", true),
        ] {
            assert_eq!(is_public(&url.parse().unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn well_known_goes_before_the_path() {
        let base: Url = "https://h.example:8443/a/b/?q".parse().unwrap();
        assert_eq!(well_known(&base, "x", true).as_str(), "https://h.example:8443/.well-known/x/a/b");
        assert_eq!(well_known(&base, "x", false).as_str(), "https://h.example:8443/.well-known/x");
    }

    proptest! {
        #[test]
        fn nothing_but_https_gets_through(raw in any::<String>()) {
            if let Ok(url) = rules("https://mcp.example/").check(&raw, "x") {
                prop_assert!(url.scheme() == "https" && url.username().is_empty());
            }
        }
    }
}
