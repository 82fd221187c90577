//! The record of the gateway: one row for every request, sessions whose counters agree with the rows.
//!
//! Invariant: a row is on disk before its request goes anywhere; what was said is sealed for its place.

mod asks;
pub(crate) use asks::end_asks;
mod replay;
mod stats;

use std::sync::Arc;

use fumehood_audit::Phase;
use fumehood_policy::Digest;
use rusqlite::{OptionalExtension as _, Row, params};
use sha2::{Digest as _, Sha256};

pub use self::asks::McpAsk;
pub use self::stats::{CallStats, Grouping, PART, TimeSlot};
use crate::{Change, Scope, Store, StoreError, Tx};

/// Of what was said, bytes that are kept in each direction.
pub const KEPT: usize = 1 << 20;
/// The request that lasts as long as its client listens: how long is no latency.
pub const LISTENS: &str = "subscriptions/listen";
const TABLE: &str = "mcp_calls";

/// A request, as it came.
#[derive(Clone, Debug, Default)]
pub struct NewCall {
    /// A UUID.
    pub id: String,
    /// Who calls, as the audit log names them.
    pub caller: String,
    pub session: Option<String>,
    pub client: String,
    pub client_version: String,
    pub platform: String,
    /// The version of the protocol that the client speaks.
    pub protocol: String,
    /// The server that it is for; empty for what the gateway answers itself.
    pub server: String,
    pub method: String,
    /// The tool, resource or prompt.
    pub subject: String,
    pub bytes_in: u64,
    /// What was asked.
    pub sent: Vec<u8>,
    /// Who passed it on to a server before it had a row.
    pub passed_by: Option<Scope>,
}

/// How a request ended.
#[derive(Clone, Debug, Default)]
pub struct CallEnd {
    pub id: String,
    pub session: Option<String>,
    pub latency_us: u64,
    pub policy_us: u64,
    pub scan_us: u64,
    pub audit_us: u64,
    pub upstream_us: u64,
    /// `ok`, `error` or `timeout`.
    pub status: &'static str,
    pub code: Option<i64>,
    /// At most 512 characters, masked.
    pub message: String,
    pub bytes_out: u64,
    /// What was answered.
    pub received: Vec<u8>,
}

/// A row of the record.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct CallRow {
    /// Counts up; where a live tail goes on.
    pub number: i64,
    pub id: String,
    pub time_us: i64,
    pub tenant: String,
    pub caller: String,
    pub session: Option<String>,
    pub client: String,
    pub client_version: String,
    pub platform: String,
    pub protocol: String,
    pub server: String,
    pub method: String,
    pub subject: String,
    pub latency_us: Option<i64>,
    pub policy_us: Option<i64>,
    pub scan_us: Option<i64>,
    pub audit_us: Option<i64>,
    pub upstream_us: Option<i64>,
    /// `open`, `ok`, `error`, `timeout`, or `unknown` where the process ended first.
    pub status: String,
    pub code: Option<i64>,
    pub message: String,
    pub bytes_in: i64,
    pub bytes_out: Option<i64>,
    /// The call that this one repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<String>,
}

const COLUMNS: &str = "number, id, time_us, tenant_id, caller, session, client, client_version, platform, protocol, server, \
                       method, subject, latency_us, policy_us, scan_us, audit_us, upstream_us, status, code, message, \
                       bytes_in, bytes_out, replay_of";

fn call_row(row: &Row<'_>) -> rusqlite::Result<CallRow> {
    Ok(CallRow {
        number: row.get(0)?,
        id: row.get(1)?,
        time_us: row.get(2)?,
        tenant: row.get(3)?,
        caller: row.get(4)?,
        session: row.get(5)?,
        client: row.get(6)?,
        client_version: row.get(7)?,
        platform: row.get(8)?,
        protocol: row.get(9)?,
        server: row.get(10)?,
        method: row.get(11)?,
        subject: row.get(12)?,
        latency_us: row.get(13)?,
        policy_us: row.get(14)?,
        scan_us: row.get(15)?,
        audit_us: row.get(16)?,
        upstream_us: row.get(17)?,
        status: row.get(18)?,
        code: row.get(19)?,
        message: row.get(20)?,
        bytes_in: row.get(21)?,
        bytes_out: row.get(22)?,
        replay_of: row.get(23)?,
    })
}

/// Which rows; empty text and nothing leave none out.
#[derive(Clone, Debug, Default)]
pub struct CallFilter {
    pub server: String,
    /// Tool, resource or prompt.
    pub subject: String,
    pub method: String,
    pub status: String,
    pub session: String,
    pub client: String,
    pub since_us: i64,
    /// Rows that took at least as long.
    pub slower_than_us: i64,
    /// Rows after this number, oldest first; for a live tail.
    pub after: Option<i64>,
    /// Rows before this number.
    pub before: Option<i64>,
    pub limit: usize,
}

impl CallFilter {
    /// The condition, and what it is filled with.
    fn condition(&self, tenant: &str) -> (String, Vec<rusqlite::types::Value>) {
        use rusqlite::types::Value;
        let mut sql = "tenant_id = ?1 AND time_us >= ?2".to_owned();
        let mut values: Vec<Value> = vec![tenant.to_owned().into(), self.since_us.into()];
        let mut and = |condition: &str, value: Value| {
            values.push(value);
            sql += &format!(" AND {}", condition.replace('?', &format!("?{}", values.len())));
        };
        for (column, text) in [
            ("server", &self.server),
            ("subject", &self.subject),
            ("method", &self.method),
            ("status", &self.status),
            ("session", &self.session),
            ("client", &self.client),
        ] {
            if !text.is_empty() {
                and(&format!("{column} = ?"), text.clone().into());
            }
        }
        if self.slower_than_us > 0 {
            and("latency_us >= ?", self.slower_than_us.into());
            and("method <> ?", LISTENS.to_owned().into());
        }
        if let Some(after) = self.after {
            and("number > ?", after.into());
        }
        if let Some(before) = self.before {
            and("number < ?", before.into());
        }
        (sql, values)
    }
}

/// Which sessions; empty text and nothing leave none out.
#[derive(Clone, Debug, Default)]
pub struct SessionFilter {
    pub id: String,
    /// One that asked this server something.
    pub server: String,
    pub client: String,
    /// `open`, `ended`, or `errors` for those in which something failed.
    pub state: String,
    /// Used at this moment or later.
    pub since_us: i64,
    /// Those that come after this one: when it was used last, and its id.
    pub after: Option<(i64, String)>,
    pub limit: usize,
}

/// A session of a client.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct SessionRow {
    pub id: String,
    pub caller: String,
    pub client: String,
    pub client_version: String,
    pub platform: String,
    pub protocol: String,
    pub began_us: i64,
    pub last_us: i64,
    pub ended_us: Option<i64>,
    pub calls: i64,
    pub errors: i64,
    pub bytes_in: i64,
    pub bytes_out: i64,
}

fn begin(tx: &Tx<'_>, scope: &Scope, call: &NewCall) -> Result<(), StoreError> {
    let kept = call.sent.get(..call.sent.len().min(KEPT)).unwrap_or_default();
    let sent = tx.seal(scope, TABLE, &call.id, "sent", kept)?;
    tx.connection
        .prepare_cached(
            "INSERT INTO mcp_calls (id, tenant_id, time_us, caller, session, client, client_version, platform, protocol,
             server, method, subject, status, message, bytes_in, sent)
             VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,'open','',?13,?14)",
        )?
        .execute(params![
            call.id,
            scope.tenant,
            tx.now_us,
            call.caller,
            call.session,
            call.client,
            call.client_version,
            call.platform,
            call.protocol,
            call.server,
            call.method,
            call.subject,
            call.bytes_in as i64,
            sent
        ])?;
    if let Some(session) = &call.session {
        tx.connection
            .prepare_cached(
                "INSERT INTO mcp_sessions (id, tenant_id, caller, client, client_version, platform, protocol, began_us,
                 last_us, calls, errors, bytes_in, bytes_out) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?8,1,0,?9,0)
                 ON CONFLICT DO UPDATE SET calls = calls + 1, last_us = ?8, bytes_in = bytes_in + ?9",
            )?
            .execute(params![
                session,
                scope.tenant,
                call.caller,
                call.client,
                call.client_version,
                call.platform,
                call.protocol,
                tx.now_us,
                call.bytes_in as i64
            ])?;
    }
    Ok(())
}

/// The record can be tidied up; that somebody called a tool stays provable.
fn called(call: &NewCall) -> Change {
    Change::new("mcp.call", format!("mcp-server:{}", call.server))
        .with("tool", &call.subject)
        .with("call", &call.id)
        .with("client", &call.client)
        .with("bytes", call.sent.len())
        .with("sha256", Digest::new(Sha256::digest(&call.sent).into()))
}

fn prove(tx: &mut Tx<'_>, scope: &Scope, call: &NewCall) -> Result<(), StoreError> {
    if call.method != "tools/call" {
        return Ok(());
    }
    tx.record(scope, Phase::Event, None, called(call), "ok").map(drop)
}

fn end(tx: &Tx<'_>, scope: &Scope, end: &CallEnd) -> Result<(), StoreError> {
    let kept = end.received.get(..end.received.len().min(KEPT)).unwrap_or_default();
    let received = tx.seal(scope, TABLE, &end.id, "received", kept)?;
    tx.connection
        .prepare_cached(
            "UPDATE mcp_calls SET latency_us = ?2, policy_us = ?3, scan_us = ?4, audit_us = ?5, upstream_us = ?6,
             status = ?7, code = ?8, message = ?9, bytes_out = ?10, received = ?11 WHERE id = ?1 AND status = 'open'",
        )?
        .execute(params![
            end.id,
            end.latency_us as i64,
            end.policy_us as i64,
            end.scan_us as i64,
            end.audit_us as i64,
            end.upstream_us as i64,
            end.status,
            end.code,
            end.message,
            end.bytes_out as i64,
            received
        ])?;
    if let Some(session) = &end.session {
        tx.connection
            .prepare_cached(
                "UPDATE mcp_sessions SET errors = errors + ?3, bytes_out = bytes_out + ?4
                 WHERE tenant_id = ?1 AND id = ?2",
            )?
            .execute(params![scope.tenant, session, i64::from(end.status != "ok"), end.bytes_out as i64])?;
    }
    Ok(())
}

impl Store {
    /// Put a request on record; only when this returns may it go anywhere.
    ///
    /// # Errors
    /// Why it could not be written: the request must not go on.
    pub async fn begin_call(&self, scope: &Scope, call: NewCall) -> Result<(), StoreError> {
        let scope = scope.clone();
        self.write(move |tx| {
            begin(tx, &scope, &call)?;
            prove(tx, &scope, &call)
        })
        .await
    }

    /// Put on record how requests ended; those that have no row yet get theirs.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn end_calls(&self, tenant: &str, ended: Arc<Vec<(Option<NewCall>, CallEnd)>>) -> Result<(), StoreError> {
        let scope = Scope { tenant: tenant.to_owned(), ..Scope::system() };
        self.write(move |tx| {
            for (call, ended) in ended.iter() {
                if let Some(call) = call {
                    begin(tx, &scope, call)?;
                    if let Some(by) = &call.passed_by {
                        prove(tx, by, call)?;
                    }
                }
                end(tx, &scope, ended)?;
            }
            Ok(())
        })
        .await
    }

    /// A session is over.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn end_mcp_session(&self, scope: &Scope, id: String) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.write(move |tx| {
            tx.connection.execute(
                "UPDATE mcp_sessions SET ended_us = ?3 WHERE tenant_id = ?1 AND id = ?2 AND ended_us IS NULL",
                params![tenant, id, tx.now_us],
            )?;
            Ok(())
        })
        .await
    }

    /// Requests that were open when the process ended: nobody knows how they went. Their sessions are over.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn mark_unknown_mcp_calls(&self) -> Result<usize, StoreError> {
        self.write(|tx| {
            tx.connection.execute(
                "UPDATE mcp_sessions SET errors = errors +
                 (SELECT count(*) FROM mcp_calls c WHERE c.session = mcp_sessions.id AND c.status = 'open')
                 WHERE id IN (SELECT session FROM mcp_calls WHERE status = 'open')",
                [],
            )?;
            tx.connection.execute("UPDATE mcp_sessions SET ended_us = last_us WHERE ended_us IS NULL", [])?;
            Ok(tx.connection.execute(
                "UPDATE mcp_calls SET status = 'unknown', message = 'Fumehood was stopped before the answer was on record.'
                 WHERE status = 'open'",
                [],
            )?)
        })
        .await
    }

    /// Rows of the record: newest first, or, after a number, oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn mcp_calls(&self, scope: &Scope, filter: CallFilter) -> Result<Vec<CallRow>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let (condition, values) = filter.condition(&tenant);
            let order = match (filter.after.is_some(), filter.slower_than_us > 0) {
                (true, _) => "number",
                (_, true) => "latency_us DESC",
                _ => "number DESC",
            };
            let sql =
                format!("SELECT {COLUMNS} FROM mcp_calls WHERE {condition} ORDER BY {order} LIMIT {}", filter.limit);
            let mut statement = connection.prepare_cached(&sql)?;
            Ok(statement.query_map(rusqlite::params_from_iter(values), call_row)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// What was said in a call: asked and answered, as far as it is kept.
    ///
    /// # Errors
    /// `NotFound`, or what the vault says.
    pub async fn mcp_call_bodies(
        &self,
        scope: &Scope,
        id: String,
    ) -> Result<(CallRow, Option<Vec<u8>>, Option<Vec<u8>>), StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, vault| {
            let sql = format!("SELECT {COLUMNS}, sent, received FROM mcp_calls WHERE tenant_id = ?1 AND id = ?2");
            let found = connection
                .prepare_cached(&sql)?
                .query_row((&tenant, &id), |row| Ok((call_row(row)?, row.get(24)?, row.get(25)?)))
                .optional()?;
            let (row, sent, received): (CallRow, Option<Vec<u8>>, Option<Vec<u8>>) =
                found.ok_or_else(|| StoreError::not_found("call", &id))?;
            let open = |column: &'static str, sealed: Option<Vec<u8>>| -> Result<Option<Vec<u8>>, StoreError> {
                let Some(sealed) = sealed else { return Ok(None) };
                let place = fumehood_vault::Place { tenant: &tenant, table: TABLE, row: &id, column };
                Ok(Some(vault.open(&place, &sealed)?.to_vec()))
            };
            Ok((row, open("sent", sent)?, open("received", received)?))
        })
        .await
    }

    /// Forget what was said in calls before `oldest_us`; says whether more is left.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn forget_mcp_bodies(&self, oldest_us: i64) -> Result<bool, StoreError> {
        const AT_ONCE: usize = 1_000;
        self.write(move |tx| {
            let changed = tx.connection.execute(
                "UPDATE mcp_calls SET sent = NULL, received = NULL WHERE number IN (SELECT number FROM mcp_calls
                 WHERE time_us < ?1 AND (sent IS NOT NULL OR received IS NOT NULL) AND status <> 'open' LIMIT ?2)",
                params![oldest_us, AT_ONCE as i64],
            )?;
            Ok(changed == AT_ONCE)
        })
        .await
    }

    /// Sessions, those used last first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn mcp_sessions(&self, scope: &Scope, filter: SessionFilter) -> Result<Vec<SessionRow>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(
                "SELECT id, caller, client, client_version, platform, protocol, began_us, last_us, ended_us, calls, errors,
                 bytes_in, bytes_out FROM mcp_sessions s WHERE tenant_id = ?1 AND last_us >= ?2
                 AND (?3 = '' OR id = ?3) AND (?4 = '' OR client = ?4)
                 AND CASE ?5 WHEN 'open' THEN ended_us IS NULL WHEN 'ended' THEN ended_us IS NOT NULL
                     WHEN 'errors' THEN errors > 0 ELSE 1 END
                 AND (?6 IS NULL OR last_us < ?6 OR last_us = ?6 AND id < ?7)
                 AND (?8 = '' OR EXISTS (SELECT 1 FROM mcp_calls c
                      WHERE c.tenant_id = ?1 AND c.session = s.id AND c.server = ?8))
                 ORDER BY last_us DESC, id DESC LIMIT ?9",
            )?;
            let row = |row: &Row<'_>| {
                Ok(SessionRow {
                    id: row.get(0)?,
                    caller: row.get(1)?,
                    client: row.get(2)?,
                    client_version: row.get(3)?,
                    platform: row.get(4)?,
                    protocol: row.get(5)?,
                    began_us: row.get(6)?,
                    last_us: row.get(7)?,
                    ended_us: row.get(8)?,
                    calls: row.get(9)?,
                    errors: row.get(10)?,
                    bytes_in: row.get(11)?,
                    bytes_out: row.get(12)?,
                })
            };
            let (after, after_id) = filter.after.unzip();
            let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
            let values = params![
                tenant,
                filter.since_us,
                filter.id,
                filter.client,
                filter.state,
                after,
                after_id,
                filter.server,
                limit
            ];
            Ok(statement.query_map(values, row)?.collect::<Result<_, _>>()?)
        })
        .await
    }
}
