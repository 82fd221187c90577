//! Migrations: append-only, in order, each with the checksum of its text.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _};
use sha2::{Digest, Sha256};

use crate::StoreError;

/// In order; a line is added, never changed.
const MIGRATIONS: &[(i64, &str)] = &[
    (1, include_str!("../../../migrations/0001_foundation.sql")),
    (2, include_str!("../../../migrations/0002_outside.sql")),
    (3, include_str!("../../../migrations/0003_turn_model.sql")),
    (4, include_str!("../../../migrations/0004_password_links.sql")),
    (5, include_str!("../../../migrations/0005_plugins.sql")),
    (6, include_str!("../../../migrations/0006_plugins_in_use.sql")),
    (7, include_str!("../../../migrations/0007_detection_rules.sql")),
    (8, include_str!("../../../migrations/0008_mcp_tools.sql")),
    (9, include_str!("../../../migrations/0009_mcp_calls.sql")),
    (10, include_str!("../../../migrations/0010_oauth.sql")),
    (11, include_str!("../../../migrations/0011_questions.sql")),
    (12, include_str!("../../../migrations/0012_mcp_replays.sql")),
    (13, include_str!("../../../migrations/0013_programs.sql")),
    (14, include_str!("../../../migrations/0014_providers.sql")),
    (15, include_str!("../../../migrations/0015_replays.sql")),
];

/// Bring a database up to date. Each migration is one transaction.
///
/// # Errors
/// `Newer`, `MigrationChanged`, or what SQLite says; an interrupted migration leaves the one before it.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let known = MIGRATIONS.last().map_or(0, |(number, _)| *number);
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(StoreError::Newer { path: path.into(), found, known });
    }
    if found > 0 {
        check(connection, path)?;
    }
    for (number, sql) in MIGRATIONS.iter().filter(|(number, _)| *number > found) {
        let tx = connection.transaction()?;
        tx.execute_batch(
            "CREATE TABLE IF NOT EXISTS migrations (
                 number INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL, sha256 BLOB NOT NULL) STRICT",
        )?;
        tx.execute_batch(sql)?;
        tx.execute("INSERT INTO migrations VALUES (?1, '', ?2)", (number, checksum(sql)))?;
        tx.pragma_update(None, "user_version", number)?;
        tx.commit()?;
    }
    Ok(())
}

fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let exists: Option<i64> = connection
        .query_row("SELECT 1 FROM sqlite_schema WHERE name = 'migrations'", [], |row| row.get(0))
        .optional()?;
    if exists.is_none() {
        return Err(StoreError::NotOurs { path: path.into() });
    }
    let mut statement = connection.prepare("SELECT number, sha256 FROM migrations ORDER BY number")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
    for row in rows {
        let (number, stored) = row?;
        let ours = MIGRATIONS.iter().find(|(n, _)| *n == number).map(|(_, sql)| checksum(sql));
        if ours.as_deref() != Some(stored.as_slice()) {
            return Err(StoreError::MigrationChanged { path: path.into(), number });
        }
    }
    Ok(())
}

fn checksum(sql: &str) -> Vec<u8> {
    Sha256::digest(sql.as_bytes()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_a_tenant() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, Path::new("test")).unwrap();
        migrate(&mut connection, Path::new("test")).unwrap();
        let mut statement = connection
            .prepare(
                "SELECT t.name FROM sqlite_schema t WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'
                 AND NOT EXISTS (SELECT 1 FROM pragma_table_info(t.name) c WHERE c.name = 'tenant_id')",
            )
            .unwrap();
        let without: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(without, Vec::<String>::new());
    }

    #[test]
    fn refuses_a_newer_or_changed_database() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, Path::new("test")).unwrap();
        connection.execute("UPDATE migrations SET sha256 = x'00' WHERE number = 1", []).unwrap();
        assert!(matches!(
            migrate(&mut connection, Path::new("test")),
            Err(StoreError::MigrationChanged { number: 1, .. })
        ));
        connection.pragma_update(None, "user_version", 999).unwrap();
        assert!(matches!(migrate(&mut connection, Path::new("test")), Err(StoreError::Newer { found: 999, .. })));
    }
}
