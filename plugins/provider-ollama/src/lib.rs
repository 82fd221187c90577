//! The provider plugin for Ollama, by its own API: the compatible one cuts long conversations off without a word.

pub mod answer;
pub mod provider;
pub mod request;

provider_core::component!(crate::provider::models, crate::provider::complete);
