//! The provider plugin for OpenAI's Chat Completions and every server that is compatible with it: Ollama's `/v1`,
//! llama.cpp, vLLM, LM Studio, OpenRouter, Azure, and others.

pub mod answer;
pub mod calls;
pub mod provider;
pub mod request;

/// The provider.
pub struct OpenAi;

impl provider_core::Provider for OpenAi {
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

provider_core::component!(crate::OpenAi);
