//! The provider plugin for the Gemini API, and servers that speak it.

pub mod answer;
pub mod provider;
pub mod request;

/// The provider.
pub struct Gemini;

impl provider_core::Provider for Gemini {
    fn models(
        http: &dyn provider_core::host::Http,
        config: &dyn provider_core::host::Config,
    ) -> Result<Vec<provider_core::model::Model>, provider_core::host::Failure> {
        provider::models(http, config)
    }

    fn complete(
        http: &dyn provider_core::host::Http,
        config: &dyn provider_core::host::Config,
        request: &provider_core::model::ChatRequest,
    ) -> Result<provider_core::Completion, provider_core::host::Failure> {
        provider::complete(http, config, request)
    }
}

provider_core::component!(crate::Gemini);
