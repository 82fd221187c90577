//! The audit log.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which entries of the audit log.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Entries before this index; newest come first.
    #[param(maximum = 9_223_372_036_854_775_807_i64)]
    pub before: Option<usize>,
    /// Such as incident:018f…
    pub target: Option<String>,
    /// Actions that begin so: incident.
    pub action: Option<String>,
    /// 100 where it is left out.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<usize>,
}

/// Entries of the audit log.
#[derive(Serialize, ToSchema)]
pub struct AuditPage {
    pub entries: Vec<AuditEntryOut>,
}

/// One entry.
#[derive(Serialize, ToSchema)]
pub struct AuditEntryOut {
    pub index: u64,
    pub time: String,
    pub actor: String,
    pub action: String,
    pub target: String,
    /// intent, outcome, event or done
    pub phase: String,
    /// For an outcome: the index of its intent.
    pub intent: Option<u64>,
    pub result: String,
    pub details: std::collections::BTreeMap<String, String>,
    /// The leaf of the Merkle tree, Base 64.
    pub leaf: String,
}

/// The newest signed checkpoint.
#[derive(Serialize, ToSchema)]
pub struct CheckpointOut {
    pub size: u64,
    pub note: String,
}
