//! Plugins: installed versions, grants, kill switches, what they keep, and what they did in numbers.

mod effects;
mod grants;
mod kept;
mod numbers;
mod stops;
mod versions;

pub use self::effects::{EffectBody, NewDenial, SeenDenial};
pub use self::grants::StoredGrant;
pub use self::kept::{PLUGIN_VALUES_BYTES, PluginLogLine};
pub use self::numbers::{CallNumbers, Traffic, Wall};
pub use self::stops::Stop;
pub use self::versions::{NewVersion, PluginVersion, VersionState};
