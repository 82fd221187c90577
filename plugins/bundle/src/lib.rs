//! The plugins that ship, as bytes. Knows nothing of what runs them.

/// A plugin of the bundle.
pub struct Bundled {
    /// Its name, as in messages and grants.
    pub name: &'static str,
    /// What it says of itself and asks for, TOML.
    pub manifest: &'static str,
    /// The component.
    pub component: &'static [u8],
}

macro_rules! bundled {
    ($($name:literal),* $(,)?) => {
        /// Every plugin that ships.
        pub const PLUGINS: &[Bundled] = &[$(Bundled {
            name: $name,
            manifest: include_str!(concat!("../../", $name, "/fumehood.toml")),
            component: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".wasm")),
        }),*];
    };
}

bundled![
    "scanner-pii",
    "scanner-prose",
    "scanner-rules",
    "provider-openai",
    "provider-azure",
    "provider-anthropic",
    "provider-gemini",
    "provider-ollama",
    "transport-http",
    "transport-sse",
    "transport-stdio",
    "integration-confluence",
];
