//! The plugins that ship, as bytes. Knows nothing of what runs them.

/// A plugin of the bundle.
pub struct Bundled {
    /// Its name, as in messages and grants.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// `scanner`, `provider`, `integration` or `transport`.
    pub world: &'static str,
    /// What it is for, in a line.
    pub description: &'static str,
    /// The component.
    pub component: &'static [u8],
}

macro_rules! bundled {
    ($($name:literal, $world:literal, $description:literal;)*) => {
        /// Every plugin that ships.
        pub const PLUGINS: &[Bundled] = &[$(Bundled {
            name: $name,
            version: env!("CARGO_PKG_VERSION"),
            world: $world,
            description: $description,
            component: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".wasm")),
        }),*];
    };
}

bundled! {
    "scanner-pii", "scanner", "Finds personal data and secrets in logs and prose";
    "provider-openai", "provider", "Chat completions of OpenAI and every compatible server";
    "transport-http", "transport", "MCP over streamable HTTP, both protocol eras";
    "transport-stdio", "transport", "MCP over the standard input and output of a process";
    "integration-confluence", "integration", "Publishes to Confluence Cloud and Data Center";
}
