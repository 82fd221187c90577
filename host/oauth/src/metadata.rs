//! What an authorization server says of itself (RFC 8414, OpenID Connect Discovery 1.0).
//!
//! Invariant: an [`AuthorizationServer`] was read from a document whose `issuer` is exactly the one that was asked for;
//! every endpoint keeps the [`Rules`]; it states PKCE with S256 and does the authorization code flow.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::address::Rules;
use crate::error::Error;
use crate::scopes::Scopes;
use crate::text;

/// Parameters that an authorization address gets from here, and that its endpoint must not bring along.
const RESERVED: [&str; 13] = [
    "response_type",
    "response_mode",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "resource",
    "prompt",
    "nonce",
    "request",
    "request_uri",
];

/// How a client shows at the token endpoint who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// It has no secret: PKCE alone.
    None,
    /// Its secret in the `Authorization` header.
    ClientSecretBasic,
    /// Its secret in the body.
    ClientSecretPost,
}

impl AuthMethod {
    /// The registered name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
        }
    }

    /// Reads the registered name of one that is supported here.
    pub(crate) fn read(name: &str) -> Option<Self> {
        [Self::None, Self::ClientSecretBasic, Self::ClientSecretPost].into_iter().find(|one| one.as_str() == name)
    }
}

/// An authorization server, as far as it was found to be usable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationServer {
    pub(crate) issuer: String,
    pub(crate) authorization_endpoint: Url,
    pub(crate) token_endpoint: Url,
    pub(crate) registration_endpoint: Option<Url>,
    pub(crate) scopes_supported: Scopes,
    /// Those that are supported here, too; nothing where the server does not say.
    pub(crate) auth_methods: Option<Vec<AuthMethod>>,
    /// Whether it puts `iss` into its answers (RFC 9207).
    pub(crate) states_issuer: bool,
    /// Whether a client's id may be the address of its metadata.
    pub(crate) reads_client_metadata: bool,
}

impl AuthorizationServer {
    /// Its identifier, exactly as it writes it. What registrations and tokens are kept under.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where a user's browser is sent.
    #[must_use]
    pub const fn authorization_endpoint(&self) -> &Url {
        &self.authorization_endpoint
    }

    /// Where tokens come from.
    #[must_use]
    pub const fn token_endpoint(&self) -> &Url {
        &self.token_endpoint
    }

    /// The method for a client with or without a secret; nothing where there is none that both know.
    pub(crate) fn auth_method(&self, has_secret: bool) -> Option<AuthMethod> {
        let Some(supported) = &self.auth_methods else {
            // RFC 8414: where it does not say, it means the header; clients without a secret have none to send
            return Some(if has_secret { AuthMethod::ClientSecretBasic } else { AuthMethod::None });
        };
        let preferred: &[AuthMethod] = if has_secret {
            &[AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost, AuthMethod::None]
        } else {
            &[AuthMethod::None]
        };
        preferred.iter().find(|method| supported.contains(method)).copied()
    }

    /// Reads a document. `issuers` are the spellings of the issuer that was asked for; more than one only where it was
    /// not named by anybody.
    pub(crate) fn read(document: Document, issuers: &[&str], rules: Rules) -> Result<Self, Error> {
        let issuer = document.issuer.unwrap_or_default();
        if !issuers.contains(&issuer.as_str()) {
            return Err(Error::IssuerMismatch {
                expected: text::clean(issuers.first().copied().unwrap_or_default()),
                stated: if issuer.is_empty() { "no issuer at all".to_owned() } else { text::clean(&issuer) },
            });
        }
        let lacks = |what| Error::Unsupported { issuer: text::clean(&issuer), what };
        let says =
            |list: &Option<Vec<String>>, item: &str| list.as_ref().map(|list| list.iter().any(|one| one == item));
        if says(&document.code_challenge_methods_supported, "S256") != Some(true) {
            return Err(Error::NoPkce { issuer: text::clean(&issuer) });
        }
        if says(&document.response_types_supported, "code") == Some(false) {
            return Err(lacks("the authorization code flow (response_types_supported)"));
        }
        if says(&document.grant_types_supported, "authorization_code") == Some(false) {
            return Err(lacks("the authorization code flow (grant_types_supported)"));
        }
        let methods = |names: Vec<String>| names.iter().filter_map(|name| AuthMethod::read(name)).collect();
        let registration = document.registration_endpoint.filter(|endpoint| !endpoint.is_empty());
        Ok(Self {
            authorization_endpoint: authorization_endpoint(document.authorization_endpoint, rules, &issuer)?,
            token_endpoint: match document.token_endpoint {
                Some(endpoint) => rules.check(&endpoint, "token endpoint")?,
                None => return Err(lacks("tokens (it names no token_endpoint)")),
            },
            registration_endpoint: registration.map(|url| rules.check(&url, "registration endpoint")).transpose()?,
            scopes_supported: scopes(document.scopes_supported.as_ref()),
            auth_methods: document.token_endpoint_auth_methods_supported.map(methods),
            states_issuer: document.authorization_response_iss_parameter_supported.unwrap_or_default(),
            reads_client_metadata: document.client_id_metadata_document_supported.unwrap_or_default(),
            issuer,
        })
    }
}

fn authorization_endpoint(endpoint: Option<String>, rules: Rules, issuer: &str) -> Result<Url, Error> {
    const WHAT: &str = "authorization endpoint";
    let Some(endpoint) = endpoint else {
        return Err(Error::Unsupported {
            issuer: text::clean(issuer),
            what: "sign-in in a browser (it names no authorization_endpoint)",
        });
    };
    let url = rules.check(&endpoint, WHAT)?;
    if url.query_pairs().any(|(name, _)| RESERVED.contains(&name.as_ref())) {
        let reason = "it brings parameters along that are this client's to set";
        return Err(Error::Address { what: WHAT, url: text::clean(&endpoint), reason });
    }
    Ok(url)
}

/// The scopes of a list, as far as they are some.
pub(crate) fn scopes(list: Option<&Vec<String>>) -> Scopes {
    list.map(|list| Scopes::of(list.iter().map(String::as_str))).unwrap_or_default()
}

/// The document, as far as it matters here.
#[derive(Deserialize)]
pub(crate) struct Document {
    issuer: Option<String>,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    registration_endpoint: Option<String>,
    scopes_supported: Option<Vec<String>>,
    response_types_supported: Option<Vec<String>>,
    grant_types_supported: Option<Vec<String>>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
    authorization_response_iss_parameter_supported: Option<bool>,
    client_id_metadata_document_supported: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(methods: &[&str], endpoint: &str) -> Result<AuthorizationServer, Error> {
        let document = serde_json::json!({
            "issuer": "https://as.example",
            "authorization_endpoint": endpoint,
            "token_endpoint": "https://as.example/token",
            "token_endpoint_auth_methods_supported": methods,
            "code_challenge_methods_supported": ["plain", "S256"],
        });
        let rules = Rules::of(&"https://mcp.example".parse().unwrap())?;
        AuthorizationServer::read(serde_json::from_value(document).unwrap(), &["https://as.example"], rules)
    }

    #[test]
    fn the_method_is_one_that_both_know() {
        use AuthMethod::{ClientSecretBasic, ClientSecretPost, None as Public};
        for (methods, without, with) in [
            (&["none"][..], Some(Public), Some(Public)),
            (&["client_secret_post", "client_secret_basic"], None, Some(ClientSecretBasic)),
            (&["private_key_jwt", "client_secret_post", "none"], Some(Public), Some(ClientSecretPost)),
            (&["private_key_jwt"], None, None),
            (&[], None, None),
        ] {
            let server = read(methods, "https://as.example/authorize").unwrap();
            assert_eq!((server.auth_method(false), server.auth_method(true)), (without, with), "{methods:?}");
        }
    }

    #[test]
    fn an_endpoint_brings_no_parameters_of_ours() {
        assert!(read(&[], "https://as.example/authorize?tenant=1").is_ok());
        for parameter in RESERVED {
            let endpoint = format!("https://as.example/authorize?tenant=1&{parameter}=x");
            assert!(matches!(read(&[], &endpoint), Err(Error::Address { .. })), "{parameter}");
        }
    }
}
