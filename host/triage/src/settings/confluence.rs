//! Confluence.

use std::collections::BTreeMap;

use fumehood_policy::Permission;
use fumehood_store::outside::IntegrationInstance;
use fumehood_store::{IntegrationId, Scope};
use url::Url;

use super::{Secret, check_url, origin, private_nets};
use crate::{App, TriageError};

/// The plugin that talks to Confluence.
pub const CONFLUENCE: &str = "integration-confluence";

/// What a person writes about Confluence.
pub struct ConfluenceFields {
    pub base_url: String,
    /// `cloud` or `datacenter`.
    pub kind: String,
    pub email: String,
    pub token: Secret,
    pub space: String,
    pub parent: String,
}

impl App {
    /// Confluence, where it is set up.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn confluence(&self, scope: &Scope) -> Result<Option<IntegrationInstance>, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        Ok(self.0.store.integrations(scope).await?.into_iter().find(|one| one.plugin == CONFLUENCE))
    }

    /// Set Confluence up, or change it.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`.
    pub async fn set_confluence(&self, scope: &Scope, fields: ConfluenceFields) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageIntegrations)?;
        let url = check_url("base_url", &fields.base_url)?;
        let (kind, username) = match fields.kind.as_str() {
            "cloud" | "" => {
                let email = fields.email.trim();
                if !email.contains('@') {
                    return Err(TriageError::invalid(
                        "email",
                        "Confluence Cloud asks for the e-mail address that the token belongs to.",
                    ));
                }
                ("basic", email.to_owned())
            }
            "datacenter" => ("bearer", String::new()),
            _ => return Err(TriageError::invalid("kind", "Choose Cloud or Data Center.")),
        };
        let space = fields.space.trim();
        if space.is_empty() || space.len() > 255 || space.contains(char::is_whitespace) {
            return Err(TriageError::invalid("space", "Name the space by its key, for example OPS."));
        }
        let parent = page_id(&fields.parent)?;
        let old = self.confluence(scope).await?;
        let kept = old.as_ref().and_then(|old| old.credential_id);
        let moved = old.as_ref().is_some_and(|old| {
            Url::parse(&old.base_url).map(|old| origin(&old)).ok() != Some(origin(&url))
                || old.settings.get("email").map(String::as_str) != Some(username.as_str())
        });
        let credential =
            self.credential_for(scope, "token", "Confluence", kind, &username, &url, fields.token, kept, moved).await?;
        if credential.is_none() {
            return Err(TriageError::invalid("token", "Type the API token or personal access token."));
        }
        let mut settings = BTreeMap::new();
        settings.insert("kind".to_owned(), if kind == "basic" { "cloud" } else { "datacenter" }.to_owned());
        settings.insert("email".to_owned(), username);
        settings.insert("space".to_owned(), space.to_owned());
        settings.insert("parent".to_owned(), parent);
        let new = IntegrationInstance {
            id: old.as_ref().map_or_else(IntegrationId::new, |old| old.id),
            name: "Confluence".into(),
            plugin: CONFLUENCE.into(),
            private_nets: private_nets(&url).await,
            base_url: url.to_string(),
            settings,
            credential_id: credential,
            created_us: 0,
            checked_us: None,
            problem: String::new(),
        };
        self.put_integration(scope, old.as_ref(), new).await
    }

    /// Remove Confluence.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict`.
    pub async fn remove_confluence(&self, scope: &Scope) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageIntegrations)?;
        let instance = self.confluence(scope).await?.ok_or(TriageError::NotFound { what: "integration" })?;
        Ok(self.0.store.remove_integration(scope, instance.id).await?)
    }

    /// Sign in at Confluence and list its spaces. Returns who the credential belongs to, and keys and names.
    ///
    /// # Errors
    /// `Forbidden`, `NotSetUp`, `Plugin`.
    pub async fn test_confluence(&self, scope: &Scope) -> Result<(String, Vec<(String, String)>), TriageError> {
        self.require(scope, Permission::ManageIntegrations)?;
        let instance = self.confluence(scope).await?.ok_or_else(no_confluence)?;
        self.test_instance(scope, &instance).await
    }
}

/// A page's number: as it was typed, or out of the page's address.
fn page_id(text: &str) -> Result<String, TriageError> {
    let text = text.trim();
    let digits = |text: &str| !text.is_empty() && text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    if text.is_empty() || digits(text) {
        return Ok(text.to_owned());
    }
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let mut below = path.split('/').skip_while(|part| *part != "pages").skip(1);
    let queried = text.split_once("pageId=").map(|(_, id)| id.split('&').next().unwrap_or_default());
    let found = queried.filter(|id| digits(id)).or_else(|| below.find(|part| digits(part)));
    found.map(str::to_owned).ok_or_else(|| {
        TriageError::invalid("parent", "Name the page by its number, or paste its address, which has the number in it.")
    })
}

pub(crate) fn no_confluence() -> TriageError {
    TriageError::NotSetUp {
        message: "Confluence is not set up yet. Add it under Integrations.".into(),
        at: "/integrations",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_named_by_its_number_or_its_address() {
        for (text, id) in [
            ("", ""),
            (" 123456 ", "123456"),
            ("https://x.atlassian.net/wiki/spaces/OPS/pages/98304/Post-mortems", "98304"),
            ("https://x.atlassian.net/wiki/spaces/OPS/pages/edit-v2/98304?draft=1", "98304"),
            ("https://h/pages/viewpage.action?pageId=77&x=1", "77"),
        ] {
            assert_eq!(page_id(text).unwrap(), id, "{text}");
        }
        for bad in ["Post-mortems", "https://x.atlassian.net/wiki/spaces/OPS", "12a"] {
            assert!(page_id(bad).is_err(), "{bad}");
        }
    }
}
