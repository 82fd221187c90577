//! Hostile components, by world.

use fumehood_runtime::World;

pub use fumehood_hostile::with_modules;

/// The component that the text describes.
pub fn component(world: World, text: &str) -> Vec<u8> {
    fumehood_hostile::component(world.name(), text)
}
