//! The provider plugin for OpenAI, by Responses and by Chat Completions, and for every server that is compatible with one
//! of them: Azure, llama.cpp, vLLM, LM Studio, OpenRouter, and others.
//!
//! | setting | meaning |
//! |---|---|
//! | `api` | `chat` (default) or `responses` |
//! | `max-tokens-parameter` | `max_completion_tokens` (default) or `max_tokens`, for servers that ignore the new name silently |

pub mod answer;
pub mod calls;
pub mod provider;
pub mod request;
pub mod responses;

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
