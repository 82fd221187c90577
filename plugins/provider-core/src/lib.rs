//! What every provider plugin shares: the host as traits, the contract's records as plain Rust, the settings, errors in
//! the contract's codes, and an answer that arrives in pieces. A plugin brings its service's requests and answers.
//!
//! Everything is plain Rust over the traits in [`plugin_core::host`]; `guest.rs`, which exists in components only, puts a plugin on
//! the contract's imports and exports.

pub mod completion;
pub mod error;
pub mod http;
pub mod lines;
pub mod model;
pub mod settings;
pub mod sse;
pub mod tools;

pub use completion::{Answer, Completion, Form, Step};
pub use plugin_core::{host, retry_after};

/// The two calls of the world, as a plugin implements them.
pub trait Provider {
    /// The models that the server lists; an empty list where it has no such call.
    ///
    /// # Errors
    /// Those of the contract.
    fn models(http: &dyn host::Http, config: &dyn host::Config) -> Result<Vec<model::Model>, host::Failure>;

    /// Send a conversation.
    ///
    /// # Errors
    /// Those of the contract.
    fn complete(
        http: &dyn host::Http,
        config: &dyn host::Config,
        request: &model::ChatRequest,
    ) -> Result<Completion, host::Failure>;
}

#[cfg(target_arch = "wasm32")]
pub mod guest;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

/// Make a component of the functions that list models and complete a conversation: see [`Provider`].
#[macro_export]
macro_rules! component {
    ($models:path, $complete:path) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(missing_docs, unsafe_code, reason = "generated bindings")]
        mod component {
            use $crate::host::{Config, Failure, Http};
            use $crate::model::{ChatRequest, Model};

            struct Service;

            impl $crate::Provider for Service {
                fn models(http: &dyn Http, config: &dyn Config) -> Result<Vec<Model>, Failure> {
                    $models(http, config)
                }
                fn complete(
                    http: &dyn Http,
                    config: &dyn Config,
                    request: &ChatRequest,
                ) -> Result<$crate::Completion, Failure> {
                    $complete(http, config, request)
                }
            }

            type Plugin = $crate::guest::Component<Service>;
            $crate::guest::export_provider!(Plugin with_types_in $crate::guest);
        }
    };
}
