//! The plugins that this binary carries.

use fumehood_runtime::World;
use fumehood_triage::plugins::{self, Shipped};

/// Hand the embedded components to the application.
pub fn ship() {
    let shipped = fumehood_bundle::PLUGINS.iter().map(|plugin| Shipped {
        name: plugin.name,
        version: plugin.version,
        world: match plugin.world {
            "scanner" => World::Scanner,
            "provider" => World::Provider,
            "transport" => World::Transport,
            _ => World::Integration,
        },
        description: plugin.description,
        component: plugin.component,
    });
    plugins::ship(shipped.collect());
}
