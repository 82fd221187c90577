//! What OpenAI documents, Chat Completions and Responses, for the providers of servers that speak one of them.
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
