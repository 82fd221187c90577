//! Log files: text in compressed chunks, each with the findings that touch it.
//!
//! Invariant: chunks are contiguous and their text is UTF-8; a log is `ready` only when all of it was scanned. A log
//! whose upload did not end is removed at the next start, in bounded jobs, and says so in the timeline.

use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::findings::StoredFinding;
use crate::record::{Change, hex};
use crate::{IncidentId, LogId, Scope, Store, StoreError};

/// Text of a chunk, bytes; the last one and very long lines differ.
pub const CHUNK_BYTES: usize = 256 << 10;

/// Compression of chunks: level 3 keeps up with the scanner.
const ZSTD_LEVEL: i32 = 3;

/// A log file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LogFile {
    pub id: LogId,
    pub incident_id: IncidentId,
    pub name: String,
    /// `plain`, `gzip` or `zstd`, as it arrived.
    pub encoding: String,
    /// `receiving`, `ready`, `failed` or `cancelled`.
    pub state: String,
    /// Why it failed, for a person.
    pub reason: String,
    /// SHA-256 of the text after decompression, in hexadecimal; empty until it is ready.
    pub sha256: String,
    pub received_bytes: i64,
    pub expected_bytes: Option<i64>,
    pub text_bytes: i64,
    pub lines: i64,
    /// Byte sequences that were not UTF-8 and became U+FFFD.
    pub replaced: i64,
    pub created_us: i64,
    pub created_by: String,
}

/// Where a chunk lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkPlace {
    pub seq: i64,
    pub first_byte: i64,
    pub text_bytes: i64,
    /// Index of the line that the chunk begins in, from 0.
    pub first_line: i64,
    /// Line breaks in the chunk.
    pub lines: i64,
    /// The chunk begins at the beginning of a line.
    pub starts_line: bool,
}

/// A chunk with its text and findings; offsets of findings are into the whole log.
#[derive(Clone, Debug)]
pub struct Chunk {
    pub place: ChunkPlace,
    pub text: String,
    pub findings: Vec<StoredFinding>,
}

/// How many findings of a kind a log has.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct KindCount {
    pub kind: String,
    pub group: String,
    pub total: i64,
}

/// What is known when a log is complete.
#[derive(Clone, Debug, Default)]
pub struct LogTotals {
    pub sha256: [u8; 32],
    pub received_bytes: i64,
    pub text_bytes: i64,
    pub lines: i64,
    pub replaced: i64,
    pub kinds: Vec<KindCount>,
}

const COLUMNS: &str = "id, incident_id, name, encoding, state, reason, sha256, received_bytes, expected_bytes, \
                       text_bytes, lines, replaced, created_us, created_by";

fn from_row(row: &Row<'_>) -> rusqlite::Result<LogFile> {
    let sha256: Option<Vec<u8>> = row.get(6)?;
    Ok(LogFile {
        id: row.get(0)?,
        incident_id: row.get(1)?,
        name: row.get(2)?,
        encoding: row.get(3)?,
        state: row.get(4)?,
        reason: row.get(5)?,
        sha256: hex(&sha256.unwrap_or_default()),
        received_bytes: row.get(7)?,
        expected_bytes: row.get(8)?,
        text_bytes: row.get(9)?,
        lines: row.get(10)?,
        replaced: row.get(11)?,
        created_us: row.get(12)?,
        created_by: row.get(13)?,
    })
}

fn place(row: &Row<'_>) -> rusqlite::Result<ChunkPlace> {
    Ok(ChunkPlace {
        seq: row.get(0)?,
        first_byte: row.get(1)?,
        text_bytes: row.get(2)?,
        first_line: row.get(3)?,
        lines: row.get(4)?,
        starts_line: row.get(5)?,
    })
}

const PLACE: &str = "seq, first_byte, text_bytes, first_line, lines, starts_line";

/// A number with its thousands apart: `100,000`.
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl Store {
    /// Begin a log; its chunks follow.
    ///
    /// # Errors
    /// `NotFound` for the incident, or why nothing was written.
    pub async fn begin_log(
        &self,
        scope: &Scope,
        incident: IncidentId,
        name: String,
        encoding: &'static str,
        expected_bytes: Option<i64>,
    ) -> Result<LogId, StoreError> {
        let id = LogId::new();
        let owner = scope.clone();
        let change = Change::new("log.receive", format!("log:{id}")).with("incident", incident);
        self.change(scope, change, move |tx| {
            tx.incident(&owner, incident)?;
            tx.connection.execute(
                "INSERT INTO logs (id, tenant_id, incident_id, name, encoding, state, reason, received_bytes,
                 expected_bytes, text_bytes, lines, replaced, created_us, created_by)
                 VALUES (?1,?2,?3,?4,?5,'receiving','',0,?6,0,0,0,?7,?8)",
                (id, &owner.tenant, incident, &name, encoding, expected_bytes, tx.now_us, owner.actor.to_string()),
            )?;
            Ok(id)
        })
        .await
    }

    /// Store one chunk with its findings and how much has arrived. Part of the upload that is on record already.
    ///
    /// # Errors
    /// Why nothing was written; the upload has to stop then.
    pub async fn append_chunk(
        &self,
        scope: &Scope,
        log: LogId,
        chunk: Chunk,
        received_bytes: i64,
    ) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        // Compressing on the writer's thread would hold up everyone's commits.
        let (body, findings, place) = tokio::task::spawn_blocking(move || {
            let body = zstd::bulk::compress(chunk.text.as_bytes(), ZSTD_LEVEL);
            let findings = serde_json::to_vec(&chunk.findings).map(|json| zstd::bulk::compress(&json, ZSTD_LEVEL));
            (body, findings, chunk.place)
        })
        .await
        .map_err(|_| StoreError::Closed)?;
        let body = body.map_err(|error| StoreError::Decode(error.to_string()))?;
        let findings = findings?.map_err(|error| StoreError::Decode(error.to_string()))?;
        self.write(move |tx| {
            tx.connection
                .prepare_cached(
                    "INSERT INTO log_chunks (tenant_id, log_id, seq, first_byte, text_bytes, first_line, lines,
                     starts_line, body, findings) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)",
                )?
                .execute((
                    &tenant,
                    log,
                    place.seq,
                    place.first_byte,
                    place.text_bytes,
                    place.first_line,
                    place.lines,
                    place.starts_line,
                    body,
                    findings,
                ))?;
            tx.connection
                .prepare_cached(
                    "UPDATE logs SET received_bytes = ?3, text_bytes = ?4 WHERE tenant_id = ?1 AND id = ?2",
                )?
                .execute((&tenant, log, received_bytes, place.first_byte + place.text_bytes))?;
            Ok(())
        })
        .await
    }

    /// A chunk has other findings, because it was scanned again.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn replace_findings(
        &self,
        scope: &Scope,
        log: LogId,
        seq: i64,
        findings: Vec<StoredFinding>,
    ) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        let packed = zstd::bulk::compress(&serde_json::to_vec(&findings)?, ZSTD_LEVEL);
        let packed = packed.map_err(|error| StoreError::Decode(error.to_string()))?;
        self.write(move |tx| {
            tx.connection
                .prepare_cached(
                    "UPDATE log_chunks SET findings = ?4 WHERE tenant_id = ?1 AND log_id = ?2 AND seq = ?3",
                )?
                .execute((&tenant, log, seq, packed))?;
            Ok(())
        })
        .await
    }

    /// A log was scanned again to its end.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn scanned_again(&self, scope: &Scope, log: LogId, kinds: Vec<KindCount>) -> Result<(), StoreError> {
        let owner = scope.clone();
        let found: i64 = kinds.iter().map(|kind| kind.total).sum();
        let change = Change::new("log.scanned", format!("log:{log}")).with("findings", found);
        self.change(scope, change, move |tx| {
            let this = find(tx.connection, &owner.tenant, log)?;
            put_kinds(tx, &owner.tenant, log, &kinds)?;
            let plural = if found == 1 { "" } else { "s" };
            let summary = format!("Log scanned again: {}, {} finding{plural}", this.name, grouped(found));
            tx.event(&owner, this.incident_id, "log", &summary, &format!("logs/{log}"))
        })
        .await
    }

    /// The log is complete and scanned. Returns an older log of the incident with the same text, if there is one;
    /// then the new one is removed and nothing else changes.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn finish_log(
        &self,
        scope: &Scope,
        log: LogId,
        totals: LogTotals,
    ) -> Result<Option<LogFile>, StoreError> {
        let owner = scope.clone();
        let change = Change::new("log.complete", format!("log:{log}"))
            .with("bytes", totals.text_bytes)
            .with("findings", totals.kinds.iter().map(|kind| kind.total).sum::<i64>());
        self.change(scope, change, move |tx| {
            let this = find(tx.connection, &owner.tenant, log)?;
            let older: Option<LogFile> = tx
                .connection
                .query_row(
                    &format!(
                        "SELECT {COLUMNS} FROM logs WHERE tenant_id = ?1 AND incident_id = ?2 AND sha256 = ?3 AND id <> ?4
                         AND state = 'ready' LIMIT 1"
                    ),
                    (&owner.tenant, this.incident_id, totals.sha256, log),
                    from_row,
                )
                .optional()?;
            if let Some(older) = older {
                tx.connection.execute(
                    "UPDATE logs SET state = 'cancelled', reason = 'duplicate' WHERE tenant_id = ?1 AND id = ?2",
                    (&owner.tenant, log),
                )?;
                return Ok(Some(older));
            }
            tx.connection.execute(
                "UPDATE logs SET state = 'ready', sha256 = ?3, received_bytes = ?4, text_bytes = ?5, lines = ?6,
                 replaced = ?7 WHERE tenant_id = ?1 AND id = ?2",
                (
                    &owner.tenant,
                    log,
                    totals.sha256,
                    totals.received_bytes,
                    totals.text_bytes,
                    totals.lines,
                    totals.replaced,
                ),
            )?;
            put_kinds(tx, &owner.tenant, log, &totals.kinds)?;
            let found: i64 = totals.kinds.iter().map(|kind| kind.total).sum();
            let summary = format!(
                "Log added: {}, {} line{}, {} finding{}",
                this.name,
                grouped(totals.lines),
                if totals.lines == 1 { "" } else { "s" },
                grouped(found),
                if found == 1 { "" } else { "s" }
            );
            tx.event(&owner, this.incident_id, "log", &summary, &format!("logs/{log}"))?;
            Ok(None)
        })
        .await
    }

    /// The upload failed or was cancelled: keep the row with its reason, drop the text in bounded jobs.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn abandon_log(
        &self,
        scope: &Scope,
        log: LogId,
        state: &'static str,
        reason: String,
    ) -> Result<(), StoreError> {
        let owner = scope.clone();
        self.change(scope, Change::new("log.abandon", format!("log:{log}")).with("state", state), move |tx| {
            let this = find(tx.connection, &owner.tenant, log)?;
            tx.connection.execute(
                "UPDATE logs SET state = ?3, reason = ?4 WHERE tenant_id = ?1 AND id = ?2",
                (&owner.tenant, log, state, &reason),
            )?;
            let summary = match state {
                "cancelled" => format!("Upload cancelled: {}", this.name),
                _ => format!("Upload failed: {}: {reason}", this.name),
            };
            tx.event(&owner, this.incident_id, "log", &summary, "")
        })
        .await?;
        self.drop_chunks(scope, log).await
    }

    /// Remove a log: it is gone at once, its text in bounded jobs. What has left stays on record.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` while it arrives, or where it is evidence.
    pub async fn remove_log(&self, scope: &Scope, log: LogId) -> Result<(), StoreError> {
        let owner = scope.clone();
        self.change(scope, Change::new("log.remove", format!("log:{log}")), move |tx| {
            let this = find(tx.connection, &owner.tenant, log)?;
            if this.state == "receiving" {
                return Err(StoreError::Conflict(format!("{} is still arriving. Cancel the upload first.", this.name)));
            }
            let why: Option<i64> = tx
                .connection
                .query_row(
                    "SELECT position FROM whys JOIN why_evidence ON why_id = whys.id
                     WHERE whys.tenant_id = ?1 AND log_id = ?2 ORDER BY position LIMIT 1",
                    (&owner.tenant, log),
                    |row| row.get(0),
                )
                .optional()?;
            if let Some(why) = why {
                return Err(StoreError::Conflict(format!(
                    "{} is evidence of why {why}. Take the evidence away there first.",
                    this.name
                )));
            }
            for sql in [
                "UPDATE logs SET state = 'removed' WHERE tenant_id = ?1 AND id = ?2",
                "DELETE FROM decisions WHERE tenant_id = ?1 AND log_id = ?2",
                "DELETE FROM log_kinds WHERE tenant_id = ?1 AND log_id = ?2",
            ] {
                tx.connection.execute(sql, (&owner.tenant, log))?;
            }
            tx.event(&owner, this.incident_id, "log", &format!("Log removed: {}", this.name), "")
        })
        .await?;
        self.drop_chunks(scope, log).await
    }

    /// Remove a log's chunks a few at a time, so that others' writes are not held up.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn drop_chunks(&self, scope: &Scope, log: LogId) -> Result<(), StoreError> {
        loop {
            let tenant = scope.tenant.clone();
            let removed = self
                .write(move |tx| {
                    Ok(tx.connection.execute(
                        "DELETE FROM log_chunks WHERE tenant_id = ?1 AND log_id = ?2 AND seq IN
                         (SELECT seq FROM log_chunks WHERE log_id = ?2 LIMIT 64)",
                        (tenant, log),
                    )?)
                })
                .await?;
            if removed == 0 {
                return Ok(());
            }
        }
    }

    /// Logs that are not kept and still have text.
    ///
    /// # Errors
    /// What the database says.
    pub async fn leftover_logs(&self, scope: &Scope) -> Result<Vec<LogId>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare(
                "SELECT id FROM logs WHERE tenant_id = ?1 AND state IN ('failed', 'cancelled', 'removed') AND EXISTS
                 (SELECT 1 FROM log_chunks WHERE log_chunks.tenant_id = ?1 AND log_id = logs.id)",
            )?;
            Ok(statement.query_map([tenant], |row| row.get(0))?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Logs whose upload was cut off by the end of the process.
    ///
    /// # Errors
    /// What the database says.
    pub async fn unfinished_logs(&self, scope: &Scope) -> Result<Vec<LogFile>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection
                .prepare(&format!("SELECT {COLUMNS} FROM logs WHERE tenant_id = ?1 AND state = 'receiving'"))?;
            Ok(statement.query_map([tenant], from_row)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// One log.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn log(&self, scope: &Scope, id: LogId) -> Result<LogFile, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| find(connection, &tenant, id)).await
    }

    /// An incident's logs, oldest first, without duplicates that were dropped.
    ///
    /// # Errors
    /// What the database says.
    pub async fn logs(&self, scope: &Scope, incident: IncidentId) -> Result<Vec<LogFile>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM logs WHERE tenant_id = ?1 AND incident_id = ?2 AND reason <> 'duplicate'
                 AND state <> 'removed'
                 ORDER BY created_us, id"
            ))?;
            Ok(statement.query_map((tenant, incident), from_row)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// How many findings of each kind a log has.
    ///
    /// # Errors
    /// What the database says.
    pub async fn kinds(&self, scope: &Scope, log: LogId) -> Result<Vec<KindCount>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(
                "SELECT kind, grp, total FROM log_kinds WHERE tenant_id = ?1 AND log_id = ?2 ORDER BY total DESC, kind",
            )?;
            let rows = statement.query_map((tenant, log), |row| {
                Ok(KindCount { kind: row.get(0)?, group: row.get(1)?, total: row.get(2)? })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The chunk that line `line` (from 0) begins in; the last one where the log is shorter.
    ///
    /// # Errors
    /// What the database says.
    pub async fn chunk_of_line(&self, scope: &Scope, log: LogId, line: i64) -> Result<Option<ChunkPlace>, StoreError> {
        // A line longer than a chunk goes on in later ones with the same first line.
        let condition = "(first_line < ?3 OR (first_line = ?3 AND starts_line = 1))";
        self.last_chunk_where(scope, log, condition, line).await
    }

    /// The chunk that holds byte `byte`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn chunk_of_byte(&self, scope: &Scope, log: LogId, byte: i64) -> Result<Option<ChunkPlace>, StoreError> {
        self.last_chunk_where(scope, log, "first_byte <= ?3", byte).await
    }

    async fn last_chunk_where(
        &self,
        scope: &Scope,
        log: LogId,
        condition: &'static str,
        value: i64,
    ) -> Result<Option<ChunkPlace>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let sql = format!(
                "SELECT {PLACE} FROM log_chunks WHERE tenant_id = ?1 AND log_id = ?2 AND {condition}
                 ORDER BY seq DESC LIMIT 1"
            );
            Ok(connection.prepare_cached(&sql)?.query_row((&tenant, log, value), place).optional()?)
        })
        .await
    }

    /// A chunk's text and findings.
    ///
    /// # Errors
    /// `NotFound`, or `Decode` where it cannot be read back.
    pub async fn chunk(&self, scope: &Scope, log: LogId, seq: i64) -> Result<Chunk, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let row = connection
                .prepare_cached(&format!(
                    "SELECT {PLACE}, body, findings FROM log_chunks WHERE tenant_id = ?1 AND log_id = ?2 AND seq = ?3"
                ))?
                .query_row((tenant, log, seq), |row| {
                    Ok((place(row)?, row.get::<_, Vec<u8>>(6)?, row.get::<_, Vec<u8>>(7)?))
                })
                .optional()?;
            let (place, body, findings) = row.ok_or_else(|| StoreError::not_found("part of a log", seq))?;
            let capacity = usize::try_from(place.text_bytes).unwrap_or(0);
            let text =
                zstd::bulk::decompress(&body, capacity).map_err(|error| StoreError::Decode(error.to_string()))?;
            let text = String::from_utf8(text).map_err(|error| StoreError::Decode(error.to_string()))?;
            let json =
                zstd::stream::decode_all(findings.as_slice()).map_err(|error| StoreError::Decode(error.to_string()))?;
            Ok(Chunk { place, text, findings: serde_json::from_slice(&json)? })
        })
        .await
    }

    /// How many chunks a log has.
    ///
    /// # Errors
    /// What the database says.
    pub async fn chunk_count(&self, scope: &Scope, log: LogId) -> Result<i64, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            Ok(connection.query_row(
                "SELECT coalesce(max(seq) + 1, 0) FROM log_chunks WHERE tenant_id = ?1 AND log_id = ?2",
                (tenant, log),
                |row| row.get(0),
            )?)
        })
        .await
    }
}

pub(crate) fn find(connection: &Connection, tenant: &str, id: LogId) -> Result<LogFile, StoreError> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM logs WHERE tenant_id = ?1 AND id = ?2 AND state <> 'removed'"))?
        .query_row((tenant, id), from_row)
        .optional()?
        .ok_or_else(|| StoreError::not_found("log", id))
}
/// How many findings of each kind a log has now.
fn put_kinds(tx: &crate::Tx<'_>, tenant: &str, log: LogId, kinds: &[KindCount]) -> Result<(), StoreError> {
    tx.connection.execute("DELETE FROM log_kinds WHERE tenant_id = ?1 AND log_id = ?2", (tenant, log))?;
    for kind in kinds {
        tx.connection.execute(
            "INSERT INTO log_kinds (tenant_id, log_id, kind, grp, total) VALUES (?1,?2,?3,?4,?5)",
            (tenant, log, &kind.kind, &kind.group, kind.total),
        )?;
    }
    Ok(())
}
