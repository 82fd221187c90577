//! The provider plugin for OpenAI, by Responses and by Chat Completions, and for every server that is compatible with one
//! of them: llama.cpp, vLLM, LM Studio, OpenRouter, and others. Settings: [`openai_core`].

use openai_core::provider::{self, OPENAI};
use provider_core::Completion;
use provider_core::host::{Config, Failure, Http};
use provider_core::model::{ChatRequest, Model};

/// The models that the server lists.
///
/// # Errors
/// Those of the contract.
pub fn models(http: &dyn Http, config: &dyn Config) -> Result<Vec<Model>, Failure> {
    provider::models(http, config, &OPENAI)
}

/// Send a conversation.
///
/// # Errors
/// Those of the contract.
pub fn complete(http: &dyn Http, config: &dyn Config, request: &ChatRequest) -> Result<Completion, Failure> {
    provider::complete(http, config, request, &OPENAI)
}

provider_core::component!(crate::models, crate::complete);
