//! Offline verification of the record: reads the database and nothing else, and needs no running server.

use std::path::Path;
use std::sync::Arc;

use fumehood_audit::{Entry, Fault, Report, Verifier, VerifierKey};
use fumehood_vault::Vault;
use rusqlite::OpenFlags;

use crate::record::ORIGIN;
use crate::{StoreError, open};

/// What verification found.
#[derive(Debug)]
pub enum VerifyReport {
    Ok(Report),
    Bad {
        /// The first bad entry, where one can be named.
        index: Option<u64>,
        sentence: String,
    },
}

/// Verify the record in `folder`, against the stored checkpoints and those of `outside` (the text of a checkpoint
/// file). A server may be running: what is verified is what was committed when this began.
///
/// # Errors
/// Where the database or the key cannot be read at all.
pub fn verify(folder: &Path, vault: &Arc<Vault>, outside: Option<&[u8]>) -> Result<VerifyReport, StoreError> {
    let path = folder.join(open::DATABASE);
    if !path.exists() {
        return Err(StoreError::NotOurs { path });
    }
    let connection = open::connect(&path, vault, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.execute_batch("BEGIN").map_err(|error| damaged(&path, error.into()))?;
    let key = VerifierKey::new(ORIGIN, vault.signing_key().verifying_key())
        .map_err(|error| StoreError::Decode(error.to_string()))?;
    let mut verifier = Verifier::new(vec![key]);
    match run(&connection, &mut verifier, outside) {
        Ok(None) => {}
        Ok(Some(bad)) => return Ok(bad),
        Err(error) => return Err(damaged(&path, error)),
    }
    Ok(match verifier.finish() {
        // A proof that was emptied must not read as none that was ever asked for.
        Ok(report) if outside.is_some() && report.covered_by_outside.is_none() && report.entries > 0 => {
            let sentence = "The file of checkpoints from outside holds no checkpoint of this log: it is another file, or \
                            it was emptied. Nothing shows that the database was not replaced as a whole.";
            VerifyReport::Bad { index: None, sentence: sentence.to_owned() }
        }
        Ok(report) => VerifyReport::Ok(report),
        Err(fault) => bad(fault),
    })
}

fn damaged(path: &Path, error: StoreError) -> StoreError {
    match error {
        StoreError::Decode(detail) => StoreError::Corrupt { path: path.into(), detail },
        StoreError::Sql(error) => StoreError::Corrupt { path: path.into(), detail: error.to_string() },
        other => other,
    }
}

fn bad(fault: Fault) -> VerifyReport {
    VerifyReport::Bad { index: fault.index, sentence: fault.to_string() }
}

fn run(
    connection: &rusqlite::Connection,
    verifier: &mut Verifier,
    outside: Option<&[u8]>,
) -> Result<Option<VerifyReport>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT note FROM audit_checkpoints UNION SELECT note FROM audit_head WHERE size NOT IN
         (SELECT size FROM audit_checkpoints)",
    )?;
    let notes: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for note in &notes {
        if let Err(fault) = verifier.stored_checkpoint(note) {
            return Ok(Some(bad(fault)));
        }
    }
    if let Some(file) = outside
        && let Err(fault) = verifier.outside_file(file)
    {
        return Ok(Some(bad(fault)));
    }
    let mut statement = connection
        .prepare("SELECT idx, body, leaf, tenant_id, time_us, actor, action, target FROM audit_entries ORDER BY idx")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let index: i64 = row.get(0)?;
        let body: Vec<u8> = row.get(1)?;
        let leaf: Vec<u8> = row.get(2)?;
        let Ok(index) = u64::try_from(index) else {
            return Ok(Some(VerifyReport::Bad { index: None, sentence: format!("an entry has the number {index}") }));
        };
        if let Err(fault) = verifier.entry(index, &body, &leaf) {
            return Ok(Some(bad(fault)));
        }
        // What people search by must say the same as what is signed.
        let entry = Entry::decode(&body).map_err(|error| StoreError::Decode(error.to_string()))?;
        let columns: (String, i64, String, String, String) =
            (row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?);
        if columns != (entry.tenant, entry.time_us, entry.actor, entry.action, entry.target) {
            let sentence = format!("entry {index}: the columns beside the signed entry were edited");
            return Ok(Some(VerifyReport::Bad { index: Some(index), sentence }));
        }
    }
    Ok(None)
}
