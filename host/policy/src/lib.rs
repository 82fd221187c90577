//! Policy: who may do what, decided from stored grants.
//!
//! The room is pure: no I/O, no clock, no wasmtime. It owns three invariants.
//!
//! 1. **Deny by default.** [`decide`], [`decide_credential`] and [`vet`] allow what a [`PluginGrant`] says and nothing
//!    else; whatever cannot be understood is refused.
//! 2. **A ceiling only narrows.** What [`Ceiling::narrow`] leaves of a grant allows no request that the grant would
//!    not.
//! 3. **A denial explains itself.** It names the plugin, what it tried, and the exact grant that would allow it.
//!
//! The way of a request: [`Request::parse`] makes it canonical, [`decide`] finds the rule, the caller resolves the
//! name, [`vet`] judges the addresses, and what was vetted is dialled. Headers pass [`check_header`].

mod address;
mod ceiling;
mod denial;
mod diff;
mod grant;
mod header;
mod host;
mod manifest;
mod organisation;
mod path;
mod request;
mod role;
mod rule;

pub use address::{AddressClass, classify, is_this_machine, private_networks, vet};
pub use ceiling::{Ceiling, CeilingHour, CeilingRule, effective};
pub use denial::{Denial, Reason, shown};
pub use diff::{CONFIGURED_PROCESS, Change, Diff, Direction, diff};
pub use grant::{
    CredentialRule, Digest, HourUse, Origin, PluginGrant, ProcessArguments, ProcessRule, decide, decide_budget,
    decide_ceiling_hour, decide_credential, decide_process, deny_values,
};
pub use header::{HeaderError, MAX_HEADER_BYTES, MAX_HEADERS, check_header, check_headers};
pub use host::{Host, HostPattern};
pub use manifest::{
    HttpAsk, HttpTarget, InvalidManifest, KvAsk, MANIFEST_SECTION, MAX_MANIFEST_BYTES, Manifest, PluginWorld,
    ProcessAsk, SecretAsk, Setting, is_plugin_name,
};
pub use organisation::{InvalidPolicy, Policy, Publisher};
pub use path::PathPrefix;
pub use request::{InvalidRequest, Request};
pub use role::{Permission, Role, UnknownRole};
pub use rule::{ConfiguredRule, HttpRule, InvalidRule, Method, Scheme, Sentence, size_text};
