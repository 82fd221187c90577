//! The provider plugin for OpenAI's models at Azure, by Chat Completions and by Responses.
//!
//! | setting | meaning |
//! |---|---|
//! | `base-url` | the resource's endpoint, as Azure's portal shows it: `https://NAME.openai.azure.com` |
//! | `api` | `chat` (default) or `responses` |
//! | `api-version` | for resources without the version-free API: `2024-10-21`. Chat Completions go to the deployment's own address then |
//!
//! What Azure calls the name of a deployment is the model.

use openai_core::provider::{self, Service};
use provider_core::Completion;
use provider_core::host::{Config, Failure, Http, code};
use provider_core::model::{ChatRequest, Model};
use provider_core::settings::{Defaults, Settings, setting};

static AZURE: Service = Service {
    defaults: Defaults {
        example_url: "https://NAME.openai.azure.com",
        // The second for a token of Entra.
        credential_headers: &["api-key", "authorization"],
        calls: &["/openai/v1/chat/completions", "/openai/v1/responses", "/openai/v1", "/openai"],
    },
    call,
    // With a version, what is listed are models that could be deployed, and not the deployments.
    list: |settings, config| match setting(config, "api-version") {
        None => Some(settings.url("openai/v1/models")),
        Some(_) => None,
    },
};

fn call(settings: &Settings, config: &dyn Config, call: &str, model: &str) -> Result<String, Failure> {
    let invalid = |message: &str| Failure::new(code::INVALID, message);
    let Some(version) = setting(config, "api-version") else { return Ok(settings.url(&format!("openai/v1/{call}"))) };
    if !version.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(invalid("The setting api-version must be a date such as 2024-10-21, or one with -preview."));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if model.is_empty() || !model.bytes().all(plain) || model.chars().all(|c| c == '.') {
        return Err(invalid("The model must be the name of a deployment: letters, digits, - _ and dots."));
    }
    let url = match call {
        "responses" => settings.url("openai/responses"),
        call => settings.url(&format!("openai/deployments/{model}/{call}")),
    };
    let separator = if url.contains('?') { '&' } else { '?' };
    Ok(format!("{url}{separator}api-version={version}"))
}

/// The models that the resource lists; an empty list where a version is set.
///
/// # Errors
/// Those of the contract.
pub fn models(http: &dyn Http, config: &dyn Config) -> Result<Vec<Model>, Failure> {
    provider::models(http, config, &AZURE)
}

/// Send a conversation.
///
/// # Errors
/// Those of the contract.
pub fn complete(http: &dyn Http, config: &dyn Config, request: &ChatRequest) -> Result<Completion, Failure> {
    provider::complete(http, config, request, &AZURE)
}

provider_core::component!(crate::models, crate::complete);

#[cfg(test)]
mod tests {
    use provider_core::model::Message;
    use provider_core::testing::{Server, reply, run};

    use super::*;

    const ANSWER: &str =
        "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

    fn asked(settings: &[(&'static str, &'static str)], model: &str) -> Result<String, Failure> {
        let mut server = Server::new(vec![Ok(reply(200, ANSWER))]);
        server.settings = settings.to_vec();
        let messages = vec![Message { role: "user".into(), text: "why?".into(), ..Message::default() }];
        let (_, failure) =
            run(complete(&server, &server, &ChatRequest { messages, model: model.into(), ..ChatRequest::default() }));
        match failure {
            Some(failure) => Err(failure),
            None => Ok(server.seen.borrow()[0].url.clone()),
        }
    }

    #[test]
    fn a_resource_is_asked_at_its_own_addresses() {
        let base = ("base-url", "https://desk.openai.azure.com/");
        for (settings, url) in [
            (vec![base], "https://desk.openai.azure.com/openai/v1/chat/completions"),
            (
                vec![("base-url", "https://desk.openai.azure.com/openai/v1/")],
                "https://desk.openai.azure.com/openai/v1/chat/completions",
            ),
            (
                vec![base, ("api-version", "2024-10-21")],
                "https://desk.openai.azure.com/openai/deployments/gpt-4.1/chat/completions?api-version=2024-10-21",
            ),
        ] {
            assert_eq!(asked(&settings, "gpt-4.1").unwrap(), url);
        }
        for (version, model) in
            [("2024-10-21&x=y", "gpt"), ("2024-10-21", "../admin"), ("2024-10-21", ".."), ("2024-10-21", "")]
        {
            let failure = asked(&[base, ("api-version", version), ("model", "")], model).unwrap_err();
            assert_eq!(failure.code, code::INVALID, "{version} {model}");
        }
    }
}
