//! The plugins that ship with the binary.

use fumehood_policy::{Manifest, PluginWorld};
use fumehood_runtime::{Plugin, PluginSource, Runtime, World};

use crate::TriageError;

/// Who our own plugins are from. No other plugin can be.
pub(crate) const PUBLISHER: &str = "fumehood";

/// A component that ships, as the binary hands it over.
#[derive(Clone, Debug)]
pub struct Shipped {
    pub manifest: Manifest,
    pub component: &'static [u8],
}

impl Shipped {
    /// From what the binary carries.
    ///
    /// # Errors
    /// `Internal` where the manifest is not in order, which a test finds.
    pub fn new(manifest: &str, component: &'static [u8]) -> Result<Self, TriageError> {
        let manifest = Manifest::parse(manifest).map_err(|error| TriageError::Internal(error.to_string()))?;
        Ok(Self { manifest, component })
    }

    /// Its kind, as the runtime calls it.
    pub fn world(&self) -> World {
        world(self.manifest.world)
    }
}

/// Set once by the binary, before the application opens: this crate does not build plugins.
static SHIPPED: std::sync::OnceLock<Vec<Shipped>> = std::sync::OnceLock::new();

/// Hand over the plugins that ship. The first call counts.
pub fn ship(plugins: Vec<Shipped>) {
    let _ = SHIPPED.set(plugins);
}

/// Everything that ships.
pub fn shipped() -> &'static [Shipped] {
    SHIPPED.get().map_or(&[], Vec::as_slice)
}

/// Loads one shipped plugin with its default rules; used by the application and by `fumehood scan`.
///
/// # Errors
/// What the runtime says.
pub async fn load(runtime: &Runtime, shipped: &Shipped) -> Result<Plugin, TriageError> {
    let loaded = load_component(runtime, &shipped.manifest, shipped.component).await;
    loaded.map_err(TriageError::Internal)
}

/// Loads one shipped scanner with rules, as JSON.
///
/// # Errors
/// What is wrong with them, in the scanner's words.
pub(crate) async fn load_with(runtime: &Runtime, shipped: &Shipped, rules: &str) -> Result<Plugin, String> {
    let source = PluginSource { rules, ..source(&shipped.manifest, shipped.component) };
    runtime.load(source).await.map_err(|error| error.to_string())
}

/// A component under its manifest's name.
pub(super) fn source<'a>(manifest: &'a Manifest, component: &'a [u8]) -> PluginSource<'a> {
    let world = world(manifest.world);
    PluginSource { name: &manifest.name, version: &manifest.version, world, component, rules: "{}" }
}

/// Load a component under its manifest's name.
pub(super) async fn load_component(runtime: &Runtime, manifest: &Manifest, component: &[u8]) -> Result<Plugin, String> {
    runtime.load(source(manifest, component)).await.map_err(|error| error.to_string())
}

pub(super) fn world(world: PluginWorld) -> World {
    match world {
        PluginWorld::Scanner => World::Scanner,
        PluginWorld::Provider => World::Provider,
        PluginWorld::Integration => World::Integration,
        PluginWorld::Transport => World::Transport,
    }
}
