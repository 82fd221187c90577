//! The plugins that this binary carries.

use fumehood_triage::plugins::{self, Shipped};

/// Hand the embedded components to the application.
pub fn ship() -> anyhow::Result<()> {
    let shipped = fumehood_bundle::PLUGINS.iter().map(|plugin| Shipped::new(plugin.manifest, plugin.component));
    plugins::ship(shipped.collect::<Result<_, _>>()?);
    Ok(())
}
