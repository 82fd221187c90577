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

provider_core::component!(crate::provider::models, crate::provider::complete);
