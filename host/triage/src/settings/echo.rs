//! What other servers say, without the credentials that they were sent: some quote the request in an error.

use data_encoding::BASE64;
use fumehood_store::Scope;
use secrecy::ExposeSecret as _;

use crate::{App, TriageError};

/// Shorter ones are not looked for: they stand in any text.
const SHORTEST: usize = 4;
/// Stands in the place of a credential.
const MARK: &str = "[credential]";

impl App {
    /// A text of somebody else's server without any credential that is set up, plain or encoded. Where the credentials
    /// cannot be read, without the text.
    pub(crate) async fn without_credentials(&self, scope: &Scope, text: String) -> String {
        let secrets = match self.sent_forms(scope).await {
            Ok(secrets) => secrets,
            Err(_) => return "It failed, and what was said about it could not be checked for credentials.".into(),
        };
        secrets.iter().fold(text, |text, secret| text.replace(secret.as_str(), MARK))
    }

    /// Every form in which a credential that is set up goes over the wire, the longest first.
    async fn sent_forms(&self, scope: &Scope) -> Result<Vec<String>, TriageError> {
        let store = &self.0.store;
        let models = store.models(scope).await?.into_iter().filter_map(|one| one.credential_id);
        let servers = store.servers(scope).await?.into_iter().filter_map(|one| one.credential_id);
        let integrations = store.integrations(scope).await?.into_iter().filter_map(|one| one.credential_id);
        let mut forms = Vec::new();
        let plugins = store.plugin_secrets(scope).await?.into_iter();
        for id in models.chain(servers).chain(integrations).chain(plugins) {
            let (credential, secret) = store.credential(scope, id).await?;
            forms.extend(forms_of(&credential.username, secret.expose_secret()));
        }
        for token in self.tokens_in_use(scope).await? {
            forms.extend(forms_of("", token.expose_secret()));
        }
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms.dedup();
        Ok(forms)
    }
}

fn forms_of(username: &str, secret: &str) -> Vec<String> {
    let quoted = serde_json::Value::from(secret).to_string();
    let mut forms = vec![
        secret.to_owned(),
        quoted.trim_matches('"').to_owned(),
        url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        BASE64.encode(secret.as_bytes()),
        BASE64.encode(format!("{username}:{secret}").as_bytes()),
    ];
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_credential_is_looked_for() {
        let forms = forms_of("ops@example.com", "p\"ss wörd");
        for form in ["p\"ss wörd", "p\\\"ss wörd", "p%22ss+w%C3%B6rd"] {
            assert!(forms.iter().any(|one| one == form), "{form} in {forms:?}");
        }
        assert!(forms.contains(&BASE64.encode("ops@example.com:p\"ss wörd".as_bytes())));
        assert!(forms_of("", "abc").iter().all(|form| form != "abc"));
    }
}
