//! The provider plugin for Anthropic's Messages, and servers that speak it.

pub mod answer;
pub mod provider;
pub mod request;

provider_core::component!(crate::provider::models, crate::provider::complete);
