//! The place that a sealed value belongs to.
//!
//! Invariant: a value opens only at the place that it was sealed for. Two places are the same when all four parts are.

use crate::VaultError;
use crate::keys::framed;

/// Longest part of a place, in bytes.
const MAX_PART_BYTES: usize = 1024;

/// Tenant, table, row and column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Whose row.
    pub tenant: &'a str,
    /// Which table.
    pub table: &'a str,
    /// The row's id, in one text form that never changes.
    pub row: &'a str,
    /// Which column.
    pub column: &'a str,
}

impl Place<'_> {
    /// The associated data: what the value is, its header (version, key id and salt), and the place.
    pub(crate) fn associated_data(&self, header: &[u8]) -> Result<Vec<u8>, VaultError> {
        let parts = [("tenant", self.tenant), ("table", self.table), ("row", self.row), ("column", self.column)];
        if let Some((name, _)) = parts.iter().find(|(_, part)| part.len() > MAX_PART_BYTES) {
            return Err(VaultError::Place(name));
        }
        let [tenant, table, row, column] = parts.map(|(_, part)| part.as_bytes());
        Ok(framed(&[b"fumehood field 1", header, tenant, table, row, column]))
    }
}
