//! Who this client is, as it says to authorization servers (RFC 7591; client ID metadata documents).

use serde_json::{Value, json};
use url::Url;

use crate::address::{is_loopback, is_public};
use crate::error::Error;
use crate::limits::MAX_ADDRESS_BYTES;
use crate::metadata::AuthMethod;
use crate::text;

/// This client: one for a Fumehood server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    name: String,
    redirect_uri: Url,
    home: Option<Url>,
    metadata_url: Option<Url>,
}

impl Client {
    /// A client with the name that people read when they consent, and where their browsers come back to: `https`, or
    /// `http` on this machine.
    ///
    /// # Errors
    /// [`Error::RedirectUri`].
    pub fn new(name: impl Into<String>, redirect_uri: Url) -> Result<Self, Error> {
        check_redirect_uri(&redirect_uri)?;
        Ok(Self { name: name.into(), redirect_uri, home: None, metadata_url: None })
    }

    /// The address of the application, which authorization servers may show.
    #[must_use]
    pub fn with_home(mut self, home: Url) -> Self {
        self.home = Some(home);
        self
    }

    /// Where [`metadata_document`](Self::metadata_document) is served. It becomes the client's id with authorization
    /// servers that read such documents, if they can reach it: an address that is not public is not used.
    #[must_use]
    pub fn with_metadata_url(mut self, url: Url) -> Self {
        let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let page = url.path() != "/" && url.as_str().len() <= MAX_ADDRESS_BYTES;
        self.metadata_url = (is_public(&url) && plain && page).then_some(url);
        self
    }

    /// Where browsers come back to.
    #[must_use]
    pub const fn redirect_uri(&self) -> &Url {
        &self.redirect_uri
    }

    /// The client's id where an authorization server reads metadata documents.
    #[must_use]
    pub const fn metadata_url(&self) -> Option<&Url> {
        self.metadata_url.as_ref()
    }

    /// What is to be served at the metadata address, to anybody, as `application/json`; nothing where there is no such
    /// address.
    #[must_use]
    pub fn metadata_document(&self) -> Option<Value> {
        let url = self.metadata_url.as_ref()?;
        let mut document = self.description(AuthMethod::None);
        if let Value::Object(members) = &mut document {
            members.insert("client_id".to_owned(), json!(url.as_str()));
        }
        Some(document)
    }

    /// What is sent to register (RFC 7591, section 3.1). Without `scope`: an authorization server refuses those that only
    /// its resources know.
    pub(crate) fn description(&self, method: AuthMethod) -> Value {
        let mut description = json!({
            "client_name": self.name,
            "redirect_uris": [self.redirect_uri.as_str()],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": method.as_str(),
            "application_type": self.application_type(),
        });
        if let (Value::Object(members), Some(home)) = (&mut description, &self.home) {
            members.insert("client_uri".to_owned(), json!(home.as_str()));
        }
        description
    }

    /// The rule of the MCP specification: what is reached on this machine is native, whatever it looks like.
    fn application_type(&self) -> &'static str {
        if self.redirect_uri.host().is_some_and(is_loopback) { "native" } else { "web" }
    }
}

/// The MCP specification: `https`, or this machine.
pub(crate) fn check_redirect_uri(uri: &Url) -> Result<(), Error> {
    let loopback = uri.host().is_some_and(is_loopback);
    let reason = if uri.scheme() != "https" && !(uri.scheme() == "http" && loopback) {
        "it has to begin with https:// (http:// on this machine alone): set the server's public URL"
    } else if uri.fragment().is_some() {
        "it has a fragment (#)"
    } else if !uri.username().is_empty() || uri.password().is_some() {
        "it has a user name or a password in it"
    } else {
        return Ok(());
    };
    Err(Error::RedirectUri { uri: text::clean(uri.as_str()), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(redirect_uri: &str) -> Result<Client, Error> {
        Client::new("Fumehood", redirect_uri.parse().unwrap())
    }

    #[test]
    fn the_document_says_who_we_are() {
        let client = client("https://fumehood.example/oauth/callback")
            .unwrap()
            .with_home("https://fumehood.example/".parse().unwrap())
            .with_metadata_url("https://fumehood.example/oauth/client.json".parse().unwrap());
        assert_eq!(
            client.metadata_document().unwrap(),
            json!({
                "client_id": "https://fumehood.example/oauth/client.json",
                "client_name": "Fumehood",
                "client_uri": "https://fumehood.example/",
                "redirect_uris": ["https://fumehood.example/oauth/callback"],
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
                "token_endpoint_auth_method": "none",
                "application_type": "web",
            })
        );
    }

    #[test]
    fn a_document_that_nobody_can_fetch_is_none() {
        for url in ["https://localhost/c", "http://fumehood.example/c", "https://fumehood.example/", "https://f.lan/c"]
        {
            let client = client("http://127.0.0.1:8080/cb").unwrap().with_metadata_url(url.parse().unwrap());
            assert!(client.metadata_document().is_none(), "{url}");
        }
    }

    #[test]
    fn browsers_come_back_over_https_or_to_this_machine() {
        for (uri, kind) in [
            ("https://fumehood.example/cb", Some("web")),
            ("https://localhost/cb", Some("native")),
            ("http://127.0.0.1:8080/cb", Some("native")),
            ("http://[::1]:8080/cb", Some("native")),
            ("http://fumehood.example/cb", None),
            ("custom:cb", None),
            ("https://fumehood.example/cb#x", None),
            ("https://user@fumehood.example/cb", None),
        ] {
            assert_eq!(client(uri).ok().map(|client| client.application_type()), kind, "{uri}");
        }
    }
}
