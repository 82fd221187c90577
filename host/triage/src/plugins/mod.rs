//! Plugins: which there are, what each may do, and what each did.
//!
//! Invariants: a plugin does what was granted to its digest, within the organisation's ceiling, and nothing that is
//! stopped does anything. Only people install, approve, grant and resume; see [`App`](crate::App)'s use cases in
//! `install` and `stops`. What a call may do is asked anew before each of its effects ([`registry`]).

mod arrivals;
mod budget;
mod choices;
mod info;
mod install;
mod numbers;
pub mod oci;
mod policy_file;
mod reach;
mod recording;
mod registry;
mod shipped;
mod signature;
mod stops;
mod upgrade;

pub use arrivals::{FOLDER, package};
pub use choices::{Narrowing, extra, granted_of, narrowed};
pub use fumehood_policy::{Digest, Direction, Manifest, PluginGrant, Setting};
pub use fumehood_runtime::limits::COMPONENT_BYTES;
pub use info::{Allowed, Ask, PluginDetail, PluginInfo, PluginList, Waiting, rule_bounds, sum};
pub use install::{Installed, Package};
pub use reach::as_set_up;
pub use recording::{Recorded, Recording};
pub use registry::{Plugins, StayHere};
pub use shipped::{Shipped, load, ship, shipped};
pub use signature::{SignatureError, public_key, sign};

pub(crate) use policy_file::PolicyFile;
pub(crate) use reach::{CREDENTIAL, Reach};
pub(crate) use registry::Running;
pub(crate) use shipped::load_with;
