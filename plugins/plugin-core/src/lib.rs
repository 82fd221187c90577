//! What every plugin that talks to a service shares: the host as traits, and when a service wants to be asked again.

pub mod host;
pub mod retry_after;
