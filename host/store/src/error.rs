//! What can go wrong in the store, for a person: what happened, what was not affected, what to do.

use std::path::PathBuf;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{path} belongs to a running Fumehood (process {pid}); stop it, or use a command that talks to it")]
    Locked { path: PathBuf, pid: String },
    #[error(
        "{path} is not a Fumehood database, or its first page is damaged. Nothing was changed. Restore it from a backup, or point --data elsewhere"
    )]
    NotOurs { path: PathBuf },
    #[error("{path} is damaged ({detail}). Nothing was changed. Restore it from a backup")]
    Corrupt { path: PathBuf, detail: String },
    #[error(
        "{path} was written by a newer Fumehood (schema {found}; this one knows up to {known}). Nothing was changed. Start the newer version"
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error(
        "migration {number} in {path} is not the one that this version ships; the database was changed by something else. Nothing was done"
    )]
    MigrationChanged { path: PathBuf, number: i64 },
    #[error(
        "{path} cannot be written: {detail}. Nothing was changed. Check permissions and that the file system is not read-only"
    )]
    ReadOnly { path: PathBuf, detail: String },
    #[error("the disk is full. What was acknowledged is safe; this change was not made. Free some space and try again")]
    Full,
    #[error("the disk reported an error ({0}). What was acknowledged is safe; this change was not made")]
    Io(String),
    #[error("{what} {id} does not exist")]
    NotFound { what: &'static str, id: String },
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Invalid(String),
    #[error("the store is shutting down; this change was not made")]
    Closed,
    #[error("the database refused a statement: {0}")]
    Sql(rusqlite::Error),
    #[error("stored data could not be read back: {0}")]
    Decode(String),
    #[error(transparent)]
    Vault(#[from] fumehood_vault::VaultError),
}

impl StoreError {
    /// Something that was asked for by id.
    pub fn not_found(what: &'static str, id: impl ToString) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }

    /// The same error again, for each member of a group that failed as a whole.
    pub(crate) fn for_group(&self) -> Self {
        match self {
            Self::Full => Self::Full,
            Self::Closed => Self::Closed,
            other => Self::Io(other.to_string()),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => {
                Self::Io(error.to_string())
            }
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Decode(error.to_string()),
            _ => Self::Sql(error),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Decode(error.to_string())
    }
}
