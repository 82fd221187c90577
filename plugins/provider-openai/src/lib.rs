//! The provider plugin for OpenAI's Chat Completions and every server that is compatible with it: Ollama's `/v1`,
//! llama.cpp, vLLM, LM Studio, OpenRouter, Azure, and others.
//!
//! Everything is plain Rust over the traits in [`host`]; `guest.rs`, which exists in the component only, puts it on the
//! contract's imports and exports.

pub mod answer;
pub mod calls;
pub mod error;
pub mod host;
pub mod model;
pub mod provider;
pub mod request;
pub mod retry_after;
pub mod settings;
pub mod sse;

pub use provider::{Completion, complete, models};

#[cfg(target_arch = "wasm32")]
mod guest;
