//! What can go wrong when a plugin is loaded or called, in words for a person. Neither kind ever carries text that a
//! scanner saw: a scanner's own words go to its encrypted log only.

use crate::effects::Failure;

/// A component could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{plugin}: {size} bytes is over the limit of {limit} bytes for a component")]
    TooLarge { plugin: String, size: usize, limit: usize },
    #[error(
        "{plugin} is a precompiled artefact, not a WebAssembly component; Fumehood compiles plugins itself and loads no foreign machine code"
    )]
    Precompiled { plugin: String },
    #[error("{plugin} is not a WebAssembly component: {reason}")]
    NotAComponent { plugin: String, reason: String },
    #[error("{plugin} imports {import}, which a {world} may not have{hint}")]
    Import { plugin: String, import: String, world: &'static str, hint: &'static str },
    #[error("{plugin} does not fit the world {world}: {reason}")]
    World { plugin: String, world: &'static str, reason: String },
    #[error("{plugin}: preparing the rules failed: {reason}")]
    Prepare { plugin: String, reason: String },
    #[error("{plugin} could not be compiled: {reason}")]
    Compile { plugin: String, reason: String },
    #[error("the WebAssembly engine could not be set up: {0}")]
    Engine(String),
}

/// A call did not give a result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// The plugin answered, in the contract's terms.
    #[error("{plugin}: {failure}")]
    Failed { plugin: String, failure: Failure },
    #[error("{plugin} trapped and was stopped: {reason}")]
    Trapped { plugin: String, reason: &'static str },
    #[error("{plugin} computed for longer than {limit_ms} ms and was stopped")]
    OutOfTime { plugin: String, limit_ms: u64 },
    #[error("{plugin} gave no result within {limit_ms} ms and was stopped")]
    Stalled { plugin: String, limit_ms: u64 },
    #[error("{plugin} went over its limit of {what} and was stopped")]
    OverLimit { plugin: String, what: &'static str },
    #[error("{plugin} broke the plugin contract: {what}")]
    Contract { plugin: String, what: String },
    #[error("{plugin} was stopped before it finished")]
    Cancelled { plugin: String },
    #[error("the plugin runtime has no room for another connection: {limit} are open; close one and try again")]
    NoRoom { limit: usize },
}

impl CallError {
    /// The contract's failure code that says the same.
    pub fn code(&self) -> &str {
        match self {
            Self::Failed { failure, .. } => &failure.code,
            Self::Cancelled { .. } => "cancelled",
            Self::Stalled { .. } => "timeout",
            Self::NoRoom { .. } => "unavailable",
            _ => "internal",
        }
    }

    /// The plugin's own failure, where there is one.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed { failure, .. } => Some(failure),
            _ => None,
        }
    }
}

/// Say why wasm stopped, without any of the guest's own text.
pub(crate) fn classify(plugin: &str, error: &wasmtime::Error, cpu_ms: u64) -> CallError {
    use wasmtime::Trap;
    let plugin = plugin.to_owned();
    if let Some(limit) = error.downcast_ref::<LimitHit>() {
        return match limit.0 {
            "computing time" => CallError::OutOfTime { plugin, limit_ms: cpu_ms },
            what => CallError::OverLimit { plugin, what },
        };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => CallError::OutOfTime { plugin, limit_ms: cpu_ms },
        Some(Trap::StackOverflow) => CallError::OverLimit { plugin, what: "stack" },
        Some(Trap::UnreachableCodeReached) => CallError::Trapped {
            plugin,
            reason: "it gave up (unreachable code, usually a panic; see the plugin's log)",
        },
        Some(Trap::MemoryOutOfBounds | Trap::HeapMisaligned) => {
            CallError::Trapped { plugin, reason: "it reached outside its memory" }
        }
        Some(Trap::AllocationTooLarge) => CallError::OverLimit { plugin, what: "memory" },
        Some(_) => CallError::Trapped { plugin, reason: "WebAssembly trap" },
        None => {
            let text = format!("{error:#}");
            if text.contains("fuel") || text.contains("hostcall") {
                CallError::OverLimit { plugin, what: "bytes handed to the host in one call" }
            } else if text.contains("resource table") || text.contains("handle") {
                CallError::OverLimit { plugin, what: "handles" }
            } else if text.contains("exit") {
                CallError::Trapped { plugin, reason: "it ended itself by exit" }
            } else if text.contains("utf-8")
                || text.contains("utf8")
                || text.contains("discriminant")
                || text.contains("pointer")
            {
                CallError::Contract { plugin, what: "a result is not well formed".into() }
            } else {
                CallError::Trapped { plugin, reason: "WebAssembly trap" }
            }
        }
    }
}

/// Raised inside a host call when a cumulative limit is passed.
#[derive(Debug, thiserror::Error)]
#[error("over the limit of {0}")]
pub(crate) struct LimitHit(pub &'static str);
