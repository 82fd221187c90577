//! Which authorization server gives tokens for an MCP server, and what it can do.
//!
//! Invariant: metadata of the resource is asked for on the server's own origin only, and used only where it describes
//! this server; metadata of the authorization server only where it states the issuer that was asked for. Where a server
//! has metadata, but none that may be used, there is no falling back to anything older.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::address::{Rules, same_origin, well_known};
use crate::challenge::Challenge;
use crate::error::Error;
use crate::http::{Http, get, place};
use crate::limits::MAX_AUTHORIZATION_SERVERS;
use crate::metadata::{AuthorizationServer, Document, scopes};
use crate::resource::{self, Relation};
use crate::scopes::Scopes;
use crate::text;

const OAUTH: &str = "oauth-authorization-server";
const OPENID: &str = "openid-configuration";

/// What was found out about a server. To be kept with it, and made anew when it names another authorization server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovery {
    pub(crate) resource: String,
    pub(crate) server: AuthorizationServer,
    pub(crate) authorization_servers: Vec<String>,
    pub(crate) scopes: Scopes,
}

impl Discovery {
    /// The resource that tokens are asked for (RFC 8707), exactly as the server's metadata writes it.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The authorization server's identifier.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.server.issuer
    }

    /// The authorization server that was chosen.
    #[must_use]
    pub const fn server(&self) -> &AuthorizationServer {
        &self.server
    }

    /// Every issuer that the server names and that could be used; another than the first can be chosen by calling [`discover`] again.
    #[must_use]
    pub fn authorization_servers(&self) -> &[String] {
        &self.authorization_servers
    }

    /// What a first sign-in asks for: the challenge's scopes, otherwise all that the resource names, otherwise none.
    #[must_use]
    pub const fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// These scopes, and with them the one that OpenID servers want to see before they give a refresh token. An empty
    /// set stays empty: it means the server's defaults, and naming one scope would be asking for that one alone.
    pub(crate) fn with_offline_access(&self, scopes: &Scopes) -> Scopes {
        let mut scopes = scopes.clone();
        if !scopes.is_empty() && self.server.scopes_supported.contains(OFFLINE_ACCESS) {
            scopes.add(OFFLINE_ACCESS);
        }
        scopes
    }
}

/// OpenID Connect Core 1.0, section 11.
pub(crate) const OFFLINE_ACCESS: &str = "offline_access";

/// Finds out who gives tokens for a server: RFC 9728 metadata from where the challenge says or from the well-known
/// places, then RFC 8414 or OpenID metadata of the authorization server. Asks up to five addresses.
///
/// `issuer` chooses among several authorization servers (the first without it). For a server without any metadata of
/// its own (2025-03-26), it is the one that an administrator has entered; without it, the server's origin.
///
/// # Errors
/// What was not found or not acceptable; see [`Error::remedy`].
pub async fn discover(
    http: &dyn Http,
    server: &Url,
    challenge: Option<&Challenge>,
    issuer: Option<&str>,
) -> Result<Discovery, Error> {
    let rules = Rules::of(server)?;
    let wanted = challenge.map(|challenge| challenge.scopes.clone()).unwrap_or_default();
    let pointer = challenge.and_then(|challenge| challenge.resource_metadata.as_deref());
    let Some(document) = resource_document(http, server, pointer, rules).await? else {
        return without_metadata(http, server, issuer, wanted, rules).await;
    };
    let chosen = choose(&document, issuer, server)?;
    let scopes = if wanted.is_empty() { scopes(document.scopes_supported.as_ref()) } else { wanted };
    let found = authorization_server(http, &[chosen.as_str()], rules).await?;
    let found = found.ok_or_else(|| Error::NoMetadata { of: text::clean(&chosen) })?;
    let mut named = document.authorization_servers.unwrap_or_default();
    named.retain(|issuer| rules.check_identifier(issuer, "issuer").is_ok());
    Ok(Discovery { resource: document.resource, server: found, authorization_servers: named, scopes })
}

/// The document of RFC 9728, section 2, as far as it matters here.
#[derive(Deserialize)]
struct ResourceDocument {
    resource: String,
    authorization_servers: Option<Vec<String>>,
    scopes_supported: Option<Vec<String>>,
}

/// The server's metadata; nothing where it has none.
async fn resource_document(
    http: &dyn Http,
    server: &Url,
    pointer: Option<&str>,
    rules: Rules,
) -> Result<Option<ResourceDocument>, Error> {
    if let Some(pointer) = pointer {
        let url = rules.check(pointer, "address of the server's metadata")?;
        if !same_origin(&url, server) {
            return Err(Error::MetadataElsewhere { url: text::clean(pointer), server: place(server) });
        }
        // the server named this place, so what is wrong there is not made up for elsewhere
        let document = fetch_resource(http, &url, server).await?;
        return document.map(Some).ok_or_else(|| Error::NotMetadata { url: place(&url), what: METADATA });
    }
    let mut refused = None;
    let mut places = vec![well_known(server, resource::WELL_KNOWN, true)];
    if server.path() != "/" {
        places.push(well_known(server, resource::WELL_KNOWN, false));
    }
    for url in places {
        match fetch_resource(http, &url, server).await {
            Ok(Some(document)) => return Ok(Some(document)),
            Ok(None) => {}
            Err(error @ Error::ResourceMismatch { .. }) => drop(refused.get_or_insert(error)),
            Err(error) => return Err(error),
        }
    }
    refused.map_or(Ok(None), Err)
}

const METADATA: &str = "metadata of a protected resource (RFC 9728)";

/// The document at one place, where it describes the server; nothing where there is none.
async fn fetch_resource(http: &dyn Http, url: &Url, server: &Url) -> Result<Option<ResourceDocument>, Error> {
    let answer = get(http, url, None).await?;
    // many servers answer any path with a page and 200, so what is no such document counts as none
    let Some(document) = answer.json::<ResourceDocument>().filter(|_| answer.status.is_success()) else {
        return Ok(None);
    };
    let accepted = Rules::of(server)?
        .check(&document.resource, "resource in the server's metadata")
        .ok()
        .and_then(|resource| resource::relation(&resource, server))
        .is_some_and(|relation| relation == Relation::Same || resource::speaks_for_origin(url));
    if accepted {
        Ok(Some(document))
    } else {
        Err(Error::ResourceMismatch { stated: text::clean(&document.resource), server: place(server) })
    }
}

fn choose(document: &ResourceDocument, issuer: Option<&str>, server: &Url) -> Result<String, Error> {
    let named = document.authorization_servers.as_deref().unwrap_or_default();
    if named.is_empty() || named.len() > MAX_AUTHORIZATION_SERVERS {
        let what = "complete: it has to name one to sixteen authorization_servers";
        return Err(Error::NotMetadata { url: format!("the metadata of {}", place(server)), what });
    }
    let chosen = match issuer {
        Some(issuer) => named.iter().find(|one| *one == issuer),
        None => named.first(),
    };
    chosen.cloned().ok_or_else(|| Error::NotNamed { issuer: text::clean(issuer.unwrap_or_default()) })
}

/// A server of the time before RFC 9728: its origin is the issuer, unless an administrator has entered another.
async fn without_metadata(
    http: &dyn Http,
    server: &Url,
    issuer: Option<&str>,
    scopes: Scopes,
    rules: Rules,
) -> Result<Discovery, Error> {
    let origin = server.origin().ascii_serialization();
    // nobody has named this issuer, so both spellings of an origin are its own
    let with_slash = format!("{origin}/");
    let spellings = issuer.map_or_else(|| vec![origin.as_str(), with_slash.as_str()], |issuer| vec![issuer]);
    let found = authorization_server(http, &spellings, rules).await?;
    // default endpoints (/authorize, /token) would have to be used without knowing about PKCE
    let found = found.ok_or_else(|| Error::NoMetadata { of: place(server) })?;
    Ok(Discovery {
        resource: resource::canonical(server),
        authorization_servers: vec![found.issuer.clone()],
        server: found,
        scopes,
    })
}

/// The authorization server's metadata; nothing where there is none. The first spelling is looked up.
async fn authorization_server(
    http: &dyn Http,
    spellings: &[&str],
    rules: Rules,
) -> Result<Option<AuthorizationServer>, Error> {
    let issuer = rules.check_identifier(spellings.first().copied().unwrap_or_default(), "issuer")?;
    let mut refused = None;
    for url in places(&issuer) {
        let answer = get(http, &url, None).await?;
        let Some(document) = answer.json::<Document>().filter(|_| answer.status.is_success()) else { continue };
        match AuthorizationServer::read(document, spellings, rules) {
            // a server may answer below its well-known address with what describes its root
            Err(error @ Error::IssuerMismatch { .. }) => drop(refused.get_or_insert(error)),
            read => return read.map(Some),
        }
    }
    refused.map_or(Ok(None), Err)
}

/// Where metadata is looked up, in the order of the MCP specification.
fn places(issuer: &Url) -> Vec<Url> {
    let mut places = vec![well_known(issuer, OAUTH, true), well_known(issuer, OPENID, true)];
    let path = issuer.path().trim_end_matches('/');
    if !path.is_empty() {
        let mut appended = issuer.clone();
        appended.set_path(&format!("{path}/.well-known/{OPENID}"));
        places.push(appended);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_up_in_the_order_of_the_specification() {
        let places = |issuer: &str| places(&issuer.parse().unwrap()).iter().map(Url::to_string).collect::<Vec<_>>();
        assert_eq!(
            places("https://auth.example.com/tenant1"),
            [
                "https://auth.example.com/.well-known/oauth-authorization-server/tenant1",
                "https://auth.example.com/.well-known/openid-configuration/tenant1",
                "https://auth.example.com/tenant1/.well-known/openid-configuration",
            ]
        );
        assert_eq!(
            places("https://auth.example.com/"),
            [
                "https://auth.example.com/.well-known/oauth-authorization-server",
                "https://auth.example.com/.well-known/openid-configuration",
            ]
        );
    }
}
