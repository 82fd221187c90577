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
    #[error("{plugin} needs Fumehood {needs} or newer because it {does} {name}")]
    TooNew { plugin: String, needs: String, does: &'static str, name: String },
    #[error(
        "{plugin} was built for a contract that is gone: it {does} {name}, and this host has {ours}; build it again"
    )]
    TooOld { plugin: String, does: &'static str, name: String, ours: String },
    #[error("{plugin} does not fit the world {world}: {reason}")]
    World { plugin: String, world: &'static str, reason: String },
    #[error("{plugin}: preparing the rules failed: {reason}")]
    Prepare { plugin: String, reason: String },
    #[error("{plugin} could not be compiled: {reason}")]
    Compile { plugin: String, reason: String },
    /// The compiler's child said why.
    #[error("{0}")]
    Refused(String),
    #[error("{plugin}: compiling was stopped: {reason}")]
    CompileStopped { plugin: String, reason: String },
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
    if error.downcast_ref::<wasmtime_wasi::I32Exit>().is_some() {
        return CallError::Trapped { plugin, reason: "it ended itself by exit" };
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
        None => classify_text(plugin, &format!("{error:#}")),
    }
}

/// wasmtime has no types for the rest: its words are what there is. `tests/hostile` holds each of them for the pinned
/// version.
fn classify_text(plugin: String, text: &str) -> CallError {
    let says = |words: &[&str]| words.iter().any(|words| text.contains(words));
    if says(&["fuel allocated for hostcalls"]) {
        CallError::OverLimit { plugin, what: "bytes handed to the host in one call" }
    } else if says(&["resource table has no free keys", "handle limit exceeded", "cannot allocate another handle"]) {
        CallError::OverLimit { plugin, what: "handles" }
    } else if says(&["memory minimum size"]) {
        CallError::OverLimit { plugin, what: "memory" }
    } else if says(&["table minimum size"]) {
        CallError::OverLimit { plugin, what: "table elements" }
    } else if says(&["requested len"]) {
        CallError::OverLimit { plugin, what: "random bytes" }
    } else if says(&[
        "handle index",
        "resource not present",
        "resource is of another type",
        "is not a resource",
        "is not an own resource",
        "from a borrow",
        "while borrowed",
        "borrow handles still remain",
    ]) {
        CallError::Trapped { plugin, reason: "it used a handle that it does not have" }
    } else if says(&["utf-8", "utf8", "discriminant", "pointer", "realloc return", "size overflow", "byte length"]) {
        CallError::Contract { plugin, what: "a value that it handed over is not well formed".into() }
    } else {
        CallError::Trapped { plugin, reason: "WebAssembly trap" }
    }
}

/// The failure codes of the contract (`fumehood:types`).
const CODES: [&str; 16] = [
    "invalid",
    "auth",
    "forbidden",
    "not-found",
    "conflict",
    "rate-limited",
    "quota",
    "too-large",
    "unavailable",
    "outcome-unknown",
    "timeout",
    "protocol",
    "denied",
    "unsupported",
    "cancelled",
    "internal",
];

/// A plugin's failure code; `internal` for one that the contract does not have. A code goes on record and into errors, so
/// it must not be able to carry text.
pub(crate) fn known_code(code: &str) -> &'static str {
    CODES.into_iter().find(|known| *known == code).unwrap_or("internal")
}

/// Bytes of a message of a plugin, or of one that quotes it, that are shown.
const SHOWN_BYTES: usize = 2048;

/// Words of a plugin, or about it with names that it chose, as they may be shown to a person: cut and plain.
pub(crate) fn shown(text: &str) -> String {
    let mut cut = text.len().min(SHOWN_BYTES);
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    plain(text.get(..cut).unwrap_or_default())
}

/// Why the engine refused something, as it may be shown: it quotes names of the component.
pub(crate) fn reason(error: &wasmtime::Error) -> String {
    shown(&format!("{error:#}"))
}

/// Without characters that would write elsewhere than on their line: control characters other than tab, and those that
/// turn the direction of what follows.
pub(crate) fn plain(text: &str) -> String {
    let writes_elsewhere =
        |c: char| (c.is_control() && c != '\t') || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if writes_elsewhere(c) { '␤' } else { c }).collect()
}

/// Raised inside a host call when a cumulative limit is passed.
#[derive(Debug, thiserror::Error)]
#[error("over the limit of {0}")]
pub(crate) struct LimitHit(pub &'static str);
