//! The use cases: what responders, operators and security engineers do, each as one function.
//!
//! Invariants: every use case begins with [`App::require`]; what leaves passes [`masking`] and then the record in
//! [`call`]; nothing here speaks HTTP or SQL. `web` and the binary call this crate and nothing below it.

mod app;
pub mod audit;
mod call;
pub mod conversation;
pub mod detection;
pub mod document;
mod error;
pub mod gateway;
pub mod incidents;
pub mod intake;
mod masking;
pub mod oauth;
mod passwords;
pub mod people;
pub mod plugins;
mod prompt;
pub mod publish;
pub mod scanners;
mod schema_history;
pub mod sent;
pub mod server_log;
pub mod settings;
pub mod tools;
mod traced;
pub mod viewer;
pub mod whys;

pub use app::{App, AppConfig, Progress, StartProgress, cache};
pub use error::TriageError;
pub use fumehood_policy::{Permission, Role};
pub use fumehood_store as store;
pub use fumehood_store::{Actor, Scope};

pub use fumehood_traces::Settings as TraceSettings;
