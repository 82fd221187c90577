//! Calls through the gateway that wait for a person.
//!
//! Invariant: a call is decided about once, and an approval is used once, each in one transaction, by the caller who asked,
//! and only while tool, transport and the hash of the exact arguments are what the person saw.

use fumehood_audit::Phase;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::approvals::Binding;
use crate::record::hex;
use crate::{Actor, AskId, Change, Scope, ServerId, Store, StoreError};

/// Calls of one caller, and of all, that wait at once.
const OF_ONE: i64 = 16;
const OF_ALL: i64 = 256;

/// A call that waits, and what became of it.
#[derive(Clone, Debug)]
pub struct McpAsk {
    pub id: AskId,
    /// Who calls, as the audit log names them.
    pub caller: String,
    pub client: String,
    /// Its row on the record.
    pub call_id: String,
    pub server_id: ServerId,
    pub server: String,
    pub tool: String,
    pub tool_sha256: Vec<u8>,
    pub plugin_sha256: Vec<u8>,
    /// The exact JSON that would be sent, masked.
    pub arguments: String,
    pub arguments_sha256: Vec<u8>,
    /// `pending`, `approved`, `denied`, `used` or `expired`.
    pub state: String,
    pub decided_by: Option<String>,
    pub decided_us: Option<i64>,
    pub expires_us: i64,
    pub created_us: i64,
}

const COLUMNS: &str = "id, caller, client, call_id, server_id, server, tool, tool_sha256, plugin_sha256, arguments, \
                       arguments_sha256, state, decided_by, decided_us, expires_us, created_us";

fn from_row(row: &Row<'_>) -> rusqlite::Result<McpAsk> {
    Ok(McpAsk {
        id: row.get(0)?,
        caller: row.get(1)?,
        client: row.get(2)?,
        call_id: row.get(3)?,
        server_id: row.get(4)?,
        server: row.get(5)?,
        tool: row.get(6)?,
        tool_sha256: row.get(7)?,
        plugin_sha256: row.get(8)?,
        arguments: row.get(9)?,
        arguments_sha256: row.get(10)?,
        state: row.get(11)?,
        decided_by: row.get(12)?,
        decided_us: row.get(13)?,
        expires_us: row.get(14)?,
        created_us: row.get(15)?,
    })
}

fn one(connection: &Connection, tenant: &str, id: AskId) -> Result<McpAsk, StoreError> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM mcp_asks WHERE tenant_id = ?1 AND id = ?2"))?
        .query_row((tenant, id), from_row)
        .optional()?
        .ok_or_else(|| StoreError::not_found("call", id))
}

fn expire(connection: &Connection, tenant: &str, now_us: i64) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE mcp_asks SET state = 'expired'
         WHERE tenant_id = ?1 AND state IN ('pending', 'approved') AND expires_us <= ?2",
        (tenant, now_us),
    )?;
    Ok(())
}

/// What a caller asked for who may not ask any more is over.
pub(crate) fn end_asks(connection: &Connection, tenant: &str, caller: &Actor) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE mcp_asks SET state = 'expired'
         WHERE tenant_id = ?1 AND caller = ?2 AND state IN ('pending', 'approved')",
        (tenant, caller.to_string()),
    )?;
    Ok(())
}

impl Store {
    /// Put a call before a person. The same call of the same caller that waits, or that was approved and not used, is
    /// taken up again.
    ///
    /// # Errors
    /// `Conflict` where too many wait.
    pub async fn ask_mcp(&self, scope: &Scope, ask: McpAsk) -> Result<McpAsk, StoreError> {
        let owner = scope.clone();
        self.write(move |tx| {
            let tenant = &owner.tenant;
            let about = |id: AskId| {
                Change::new("mcp-call.ask", format!("mcp-ask:{id}"))
                    .with("server", ask.server_id)
                    .with("tool", &ask.tool)
                    .with("call", &ask.call_id)
                    .with("arguments_sha256", hex(&ask.arguments_sha256))
            };
            expire(tx.connection, tenant, tx.now_us)?;
            let known = tx
                .connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM mcp_asks WHERE tenant_id = ?1 AND caller = ?2 AND server_id = ?3
                     AND arguments_sha256 = ?4 AND tool = ?5 AND tool_sha256 = ?6 AND plugin_sha256 = ?7
                     AND state IN ('pending', 'approved') ORDER BY id LIMIT 1"
                ))?
                .query_row(
                    params![
                        tenant,
                        ask.caller,
                        ask.server_id,
                        ask.arguments_sha256,
                        ask.tool,
                        ask.tool_sha256,
                        ask.plugin_sha256
                    ],
                    from_row,
                )
                .optional()?;
            if let Some(known) = known {
                tx.record(&owner, Phase::Done, None, about(known.id), "ok")?;
                return Ok(known);
            }
            let (all, mine): (i64, i64) = tx
                .connection
                .prepare_cached(
                    "SELECT count(*), count(*) FILTER (WHERE caller = ?2) FROM mcp_asks
                     WHERE tenant_id = ?1 AND state = 'pending'",
                )?
                .query_row((tenant, &ask.caller), |row| Ok((row.get(0)?, row.get(1)?)))?;
            if mine >= OF_ONE || all >= OF_ALL {
                return Err(StoreError::Conflict(format!(
                    "Too many calls wait for a person already ({OF_ONE} of one caller, {OF_ALL} of all); call again when \
                     they are decided."
                )));
            }
            tx.connection.execute(
                "INSERT INTO mcp_asks (id, tenant_id, caller, client, call_id, server_id, server, tool, tool_sha256,
                 plugin_sha256, arguments, arguments_sha256, state, expires_us, created_us)
                 VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,'pending',?13,?14)",
                params![
                    ask.id,
                    tenant,
                    ask.caller,
                    ask.client,
                    ask.call_id,
                    ask.server_id,
                    ask.server,
                    ask.tool,
                    ask.tool_sha256,
                    ask.plugin_sha256,
                    ask.arguments,
                    ask.arguments_sha256,
                    ask.expires_us,
                    tx.now_us
                ],
            )?;
            tx.record(&owner, Phase::Done, None, about(ask.id), "ok")?;
            one(tx.connection, tenant, ask.id)
        })
        .await
    }

    /// Decide about a call that waits, once.
    ///
    /// # Errors
    /// `Conflict` where it was decided already or ran out.
    pub async fn decide_mcp(&self, scope: &Scope, id: AskId, approve: bool) -> Result<(), StoreError> {
        let owner = scope.clone();
        let seen = self.mcp_ask(scope, id).await?;
        let hash = hex(&seen.arguments_sha256);
        let verb = if approve { "mcp-call.approve" } else { "mcp-call.deny" };
        let change = Change::new(verb, format!("mcp-ask:{id}"))
            .with("server", seen.server_id)
            .with("tool", &seen.tool)
            .with("arguments_sha256", hash);
        self.change(scope, change, move |tx| {
            expire(tx.connection, &owner.tenant, tx.now_us)?;
            let changed = tx.connection.execute(
                "UPDATE mcp_asks SET state = ?3, decided_by = ?4, decided_us = ?5
                 WHERE tenant_id = ?1 AND id = ?2 AND state = 'pending'",
                params![
                    owner.tenant,
                    id,
                    if approve { "approved" } else { "denied" },
                    owner.actor.to_string(),
                    tx.now_us
                ],
            )?;
            if changed == 0 {
                let is = one(tx.connection, &owner.tenant, id)?.state;
                return Err(StoreError::Conflict(format!("This call was decided already: it is {is}.")));
            }
            Ok(())
        })
        .await
    }

    /// Use an approval up for the request of the record that `call` names: it goes on after this returns, and never twice.
    ///
    /// # Errors
    /// `Conflict` where it is not approved, was used, ran out, or is not about exactly this call of this caller; or where
    /// the caller's token is not in force any more.
    pub async fn use_mcp(&self, scope: &Scope, id: AskId, call: &str, binding: Binding) -> Result<(), StoreError> {
        let owner = scope.clone();
        let change = Change::new("mcp-call.use", format!("mcp-ask:{id}"))
            .with("call", call)
            .with("arguments_sha256", hex(&binding.arguments_sha256));
        self.change(scope, change, move |tx| {
            if let Actor::Token(token) = &owner.actor {
                let in_force: bool = tx
                    .connection
                    .prepare_cached(
                        "SELECT EXISTS (SELECT 1 FROM api_tokens WHERE tenant_id = ?1 AND id = ?2 AND revoked_us IS NULL
                         AND (expires_us IS NULL OR expires_us > ?3))",
                    )?
                    .query_row((&owner.tenant, token, tx.now_us), |row| row.get(0))?;
                if !in_force {
                    return Err(StoreError::Conflict("The caller's token is not in force any more.".into()));
                }
            }
            let found = one(tx.connection, &owner.tenant, id)?;
            if found.state != "approved" || found.expires_us <= tx.now_us {
                return Err(StoreError::Conflict(format!("This call is {} and cannot run.", found.state)));
            }
            let same = found.caller == owner.actor.to_string()
                && found.tool_sha256 == binding.tool_sha256
                && found.plugin_sha256 == binding.plugin_sha256
                && found.arguments_sha256 == binding.arguments_sha256;
            if !same {
                return Err(StoreError::Conflict(
                    "The tool, its transport or the arguments are no longer what was approved. Nothing was called."
                        .into(),
                ));
            }
            tx.connection
                .execute("UPDATE mcp_asks SET state = 'used' WHERE tenant_id = ?1 AND id = ?2", (&owner.tenant, id))?;
            Ok(())
        })
        .await
    }

    /// Calls of a server that is not called any more, and that wait or are approved, are over. Part of an action that is on
    /// record.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn end_mcp_asks(&self, scope: &Scope, server: ServerId) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.write(move |tx| {
            tx.connection.execute(
                "UPDATE mcp_asks SET state = 'expired'
                 WHERE tenant_id = ?1 AND server_id = ?2 AND state IN ('pending', 'approved')",
                (tenant, server),
            )?;
            Ok(())
        })
        .await
    }

    /// Forget calls that waited and ended before `oldest_us`: what became of them is in the audit log. Says whether more is
    /// left.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn forget_mcp_asks(&self, oldest_us: i64) -> Result<bool, StoreError> {
        const AT_ONCE: usize = 1_000;
        self.write(move |tx| {
            let changed = tx.connection.execute(
                "DELETE FROM mcp_asks WHERE rowid IN (SELECT rowid FROM mcp_asks
                 WHERE created_us < ?1 AND expires_us < ?1 LIMIT ?2)",
                params![oldest_us.min(tx.now_us), AT_ONCE as i64],
            )?;
            Ok(changed == AT_ONCE)
        })
        .await
    }

    /// One call that waits or waited.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn mcp_ask(&self, scope: &Scope, id: AskId) -> Result<McpAsk, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| one(connection, &tenant, id)).await
    }

    /// All calls that wait, oldest first, and then `past` of those that waited, newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn mcp_asks(&self, scope: &Scope, now_us: i64, past: usize) -> Result<Vec<McpAsk>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let list = |which: &str, limit: i64| -> Result<Vec<McpAsk>, StoreError> {
                let mut statement = connection.prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM mcp_asks WHERE tenant_id = ?1 AND {which} LIMIT ?3"
                ))?;
                Ok(statement.query_map(params![tenant, now_us, limit], from_row)?.collect::<Result<_, _>>()?)
            };
            let mut asks = list("state = 'pending' AND expires_us > ?2 ORDER BY created_us", OF_ALL)?;
            let past = i64::try_from(past).unwrap_or(i64::MAX);
            asks.extend(list("(state <> 'pending' OR expires_us <= ?2) ORDER BY created_us DESC", past)?);
            for ask in &mut asks {
                if matches!(ask.state.as_str(), "pending" | "approved") && ask.expires_us <= now_us {
                    ask.state = "expired".into();
                }
            }
            Ok(asks)
        })
        .await
    }

    /// How many calls wait for a person.
    ///
    /// # Errors
    /// What the database says.
    pub async fn mcp_asks_waiting(&self, scope: &Scope, now_us: i64) -> Result<u64, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let count: i64 = connection
                .prepare_cached(
                    "SELECT count(*) FROM mcp_asks WHERE tenant_id = ?1 AND state = 'pending' AND expires_us > ?2",
                )?
                .query_row(params![tenant, now_us], |row| row.get(0))?;
            Ok(count.unsigned_abs())
        })
        .await
    }
}
