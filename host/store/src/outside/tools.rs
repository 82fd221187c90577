//! Tools of MCP servers: what each server offers, and what a person has seen of it.
//!
//! Invariant: a tool is pinned to the whole object that a person decided about, and to nothing else; every change of what
//! a server says of it is kept with both objects.

use rusqlite::{Row, params};
use serde_json::Value;

use crate::record::Change;
use crate::{Scope, ServerId, Store, StoreError, Tx};

/// Changes of one tool that are kept.
const HISTORY: i64 = 100;
/// Changes of one server that are kept, decisions aside.
const OF_SERVER: i64 = 2_000;

/// A tool of a server.
#[derive(Clone, Debug)]
pub struct Tool {
    pub server_id: ServerId,
    /// The server's own name for it.
    pub name: String,
    /// `allow`, `ask` or `deny`.
    pub rule: String,
    /// The whole object that a person decided about; nothing before anybody has.
    pub pinned: Option<Value>,
    /// As the server described it last; nothing where it offers it no more.
    pub seen: Option<Value>,
    /// What a person should look at, as whoever compared wrote it.
    pub warnings: Value,
    pub first_us: i64,
    /// Since when the server describes it like this.
    pub changed_us: i64,
    pub decided_by: Option<String>,
    pub decided_us: Option<i64>,
}

/// Where a tool stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As a person has seen it.
    Pinned,
    /// Nobody has decided about it yet.
    New,
    /// Not what the person saw.
    Changed,
    /// The server offers it no more.
    Gone,
}

impl Standing {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::New => "new",
            Self::Changed => "changed",
            Self::Gone => "gone",
        }
    }

    /// Whether it waits for a person.
    pub fn waits(self) -> bool {
        matches!(self, Self::New | Self::Changed)
    }
}

impl Tool {
    pub fn standing(&self) -> Standing {
        match (&self.pinned, &self.seen) {
            (_, None) => Standing::Gone,
            (None, Some(_)) => Standing::New,
            (Some(pinned), Some(seen)) if pinned == seen => Standing::Pinned,
            _ => Standing::Changed,
        }
    }
}

/// A tool as a server describes it now.
#[derive(Clone, Debug)]
pub struct SeenTool {
    pub name: String,
    pub raw: Value,
    pub warnings: Value,
}

/// What a person decided about a tool.
#[derive(Clone, Debug)]
pub struct ToolDecision {
    pub name: String,
    /// The object that was shown.
    pub seen: Value,
    /// Its pin, for the record.
    pub sha256: String,
    /// `allow`, `ask` or `deny`.
    pub rule: String,
}

/// A change of what a server says of a tool, or a decision about it.
#[derive(Clone, Debug)]
pub struct ToolChange {
    /// Counts up over all servers.
    pub number: i64,
    pub tool: String,
    /// `appeared`, `changed`, `gone`, `back`, `allow`, `ask` or `deny`.
    pub change: String,
    pub old: Option<Value>,
    pub new: Option<Value>,
    pub actor: String,
    pub time_us: i64,
}

/// Which changes; nothing leaves none out.
#[derive(Clone, Debug, Default)]
pub struct ToolChanges {
    pub server: Option<ServerId>,
    pub tool: Option<String>,
    pub since_us: i64,
    /// Those before this number.
    pub before: Option<i64>,
    pub limit: usize,
}

const TOOL: &str = "server_id, name, rule, pinned, seen, warnings, first_us, changed_us, decided_by, decided_us";

fn json(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Value>> {
    Ok(row.get::<_, Option<String>>(column)?.and_then(|text| serde_json::from_str(&text).ok()))
}

fn tool(row: &Row<'_>) -> rusqlite::Result<Tool> {
    Ok(Tool {
        server_id: row.get(0)?,
        name: row.get(1)?,
        rule: row.get(2)?,
        pinned: json(row, 3)?,
        seen: json(row, 4)?,
        warnings: json(row, 5)?.unwrap_or_default(),
        first_us: row.get(6)?,
        changed_us: row.get(7)?,
        decided_by: row.get(8)?,
        decided_us: row.get(9)?,
    })
}

fn text(value: Option<&Value>) -> Option<String> {
    value.map(Value::to_string)
}

fn of_server(tx: &Tx<'_>, tenant: &str, id: ServerId) -> Result<Vec<Tool>, StoreError> {
    let sql = format!("SELECT {TOOL} FROM mcp_tools WHERE tenant_id = ?1 AND server_id = ?2");
    let mut statement = tx.connection.prepare_cached(&sql)?;
    Ok(statement.query_map((tenant, id), tool)?.collect::<Result<_, _>>()?)
}

/// Keep a change with both objects, and the newest changes only.
fn note(
    tx: &Tx<'_>,
    scope: &Scope,
    server: ServerId,
    name: &str,
    change: &str,
    old: Option<&Value>,
    new: Option<&Value>,
) -> Result<(), StoreError> {
    tx.connection
        .prepare_cached(
            "INSERT INTO mcp_tool_changes (tenant_id, server_id, tool, change, old, new, actor, time_us)
         VALUES (?1,?2,?3,?4,?5,?6,?7,?8)",
        )?
        .execute(params![
            scope.tenant,
            server,
            name,
            change,
            text(old),
            text(new),
            scope.actor.to_string(),
            tx.now_us
        ])?;
    tx.connection
        .prepare_cached(
            "DELETE FROM mcp_tool_changes WHERE tenant_id = ?1 AND server_id = ?2 AND tool = ?3 AND id <= (
             SELECT id FROM mcp_tool_changes WHERE tenant_id = ?1 AND server_id = ?2 AND tool = ?3
             ORDER BY id DESC LIMIT 1 OFFSET ?4)",
        )?
        .execute(params![scope.tenant, server, name, HISTORY])?;
    Ok(())
}

/// Compare what a server offers with what is known of it, and keep what is new. Gives the number of changes.
pub(super) fn keep(tx: &Tx<'_>, scope: &Scope, server: ServerId, seen: &[SeenTool]) -> Result<usize, StoreError> {
    let known = of_server(tx, &scope.tenant, server)?;
    let mut changes = 0;
    for (place, now) in seen.iter().enumerate() {
        let before = known.iter().find(|tool| tool.name == now.name);
        let old = before.and_then(|tool| tool.seen.as_ref());
        let change = match before {
            None => Some("appeared"),
            Some(_) if old == Some(&now.raw) => None,
            Some(_) if old.is_none() => Some("back"),
            Some(_) => Some("changed"),
        };
        if let Some(change) = change {
            // What it was before it went is what it is compared with.
            let old = old.or(before.and_then(|tool| tool.pinned.as_ref()));
            note(tx, scope, server, &now.name, change, old, Some(&now.raw))?;
            changes += 1;
        }
        tx.connection
            .prepare_cached(
                "INSERT INTO mcp_tools (tenant_id, server_id, name, rule, seen, warnings, first_us, changed_us, place)
             VALUES (?1,?2,?3,'ask',?4,?5,?6,?6,?8) ON CONFLICT DO UPDATE SET seen = excluded.seen, place = excluded.place,
             warnings = excluded.warnings, changed_us = CASE WHEN ?7 THEN excluded.changed_us ELSE changed_us END",
            )?
            .execute(params![
                scope.tenant,
                server,
                now.name,
                now.raw.to_string(),
                now.warnings.to_string(),
                tx.now_us,
                change.is_some(),
                i64::try_from(place).unwrap_or(i64::MAX),
            ])?;
    }
    for gone in known.iter().filter(|tool| tool.seen.is_some() && !seen.iter().any(|now| now.name == tool.name)) {
        note(tx, scope, server, &gone.name, "gone", gone.seen.as_ref(), None)?;
        changes += 1;
        tx.connection.execute(
            "UPDATE mcp_tools SET seen = NULL, changed_us = ?4 WHERE tenant_id = ?1 AND server_id = ?2 AND name = ?3",
            params![scope.tenant, server, gone.name, tx.now_us],
        )?;
    }
    if changes > 0 {
        // Of what is gone before anybody decided about it there is nothing to remember.
        tx.connection.execute(
            "DELETE FROM mcp_tools WHERE tenant_id = ?1 AND server_id = ?2 AND seen IS NULL AND pinned IS NULL",
            params![scope.tenant, server],
        )?;
        tx.connection
            .prepare_cached(
                "DELETE FROM mcp_tool_changes WHERE tenant_id = ?1 AND server_id = ?2
                 AND change NOT IN ('allow', 'ask', 'deny') AND id <= (
                 SELECT id FROM mcp_tool_changes WHERE tenant_id = ?1 AND server_id = ?2
                 AND change NOT IN ('allow', 'ask', 'deny') ORDER BY id DESC LIMIT 1 OFFSET ?3)",
            )?
            .execute(params![scope.tenant, server, OF_SERVER])?;
    }
    Ok(changes)
}

impl Store {
    /// What MCP servers offer, of one or of all, each server's in its own order.
    ///
    /// # Errors
    /// What the database says.
    pub async fn tools(&self, scope: &Scope, server: Option<ServerId>) -> Result<Vec<Tool>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let sql = format!(
                "SELECT {TOOL} FROM mcp_tools WHERE tenant_id = ?1 AND (?2 IS NULL OR server_id = ?2)
                 ORDER BY server_id, place, name"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            Ok(statement.query_map((tenant, server), tool)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Pin tools to what a person saw of them, each with its rule; all or none.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where a tool is no longer what was shown.
    pub async fn decide_tools(
        &self,
        scope: &Scope,
        server: ServerId,
        decisions: Vec<ToolDecision>,
    ) -> Result<(), StoreError> {
        let owner = scope.clone();
        let mut change = Change::new("mcp-tool.decide", format!("mcp-server:{server}")).with("tools", decisions.len());
        for decision in decisions.iter().take(100) {
            change = change.with(&decision.rule, format!("{} {}", decision.name, decision.sha256));
        }
        self.change(scope, change, move |tx| {
            let known = of_server(tx, &owner.tenant, server)?;
            for decision in &decisions {
                let now = known.iter().find(|tool| tool.name == decision.name);
                let now = now.ok_or_else(|| StoreError::not_found("tool", &decision.name))?;
                // A tool that is gone keeps its pin; only its rule can be set.
                if now.seen.as_ref().or(now.pinned.as_ref()) != Some(&decision.seen) {
                    return Err(StoreError::Conflict(format!(
                        "The server has changed {} since you looked. Nothing was decided; look at it again.",
                        decision.name
                    )));
                }
                let old = now.pinned.as_ref();
                if old != Some(&decision.seen) || now.rule != decision.rule {
                    note(tx, &owner, server, &decision.name, &decision.rule, old, Some(&decision.seen))?;
                }
                tx.connection.execute(
                    "UPDATE mcp_tools SET pinned = ?4, rule = ?5, decided_by = ?6, decided_us = ?7
                     WHERE tenant_id = ?1 AND server_id = ?2 AND name = ?3",
                    params![
                        owner.tenant,
                        server,
                        decision.name,
                        decision.seen.to_string(),
                        decision.rule,
                        owner.actor.to_string(),
                        tx.now_us
                    ],
                )?;
            }
            Ok(())
        })
        .await
    }

    /// How a server's tools changed, newest first; of one tool or of all.
    ///
    /// # Errors
    /// What the database says.
    pub async fn tool_changes(
        &self,
        scope: &Scope,
        server: Option<ServerId>,
        tool: Option<String>,
        since_us: i64,
        limit: usize,
    ) -> Result<Vec<(ServerId, ToolChange)>, StoreError> {
        self.tool_changes_before(scope, ToolChanges { server, tool, since_us, before: None, limit }).await
    }

    /// The same, from a change on.
    ///
    /// # Errors
    /// What the database says.
    pub async fn tool_changes_before(
        &self,
        scope: &Scope,
        which: ToolChanges,
    ) -> Result<Vec<(ServerId, ToolChange)>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(
                "SELECT server_id, tool, change, old, new, actor, time_us, id FROM mcp_tool_changes
                 WHERE tenant_id = ?1 AND (?2 IS NULL OR server_id = ?2) AND (?3 IS NULL OR tool = ?3) AND time_us >= ?4
                 AND (?5 IS NULL OR id < ?5) ORDER BY id DESC LIMIT ?6",
            )?;
            let row = |row: &Row<'_>| {
                let change = ToolChange {
                    number: row.get(7)?,
                    tool: row.get(1)?,
                    change: row.get(2)?,
                    old: json(row, 3)?,
                    new: json(row, 4)?,
                    actor: row.get(5)?,
                    time_us: row.get(6)?,
                };
                Ok((row.get(0)?, change))
            };
            let limit = i64::try_from(which.limit).unwrap_or(i64::MAX);
            let values = params![tenant, which.server, which.tool, which.since_us, which.before, limit];
            Ok(statement.query_map(values, row)?.collect::<Result<_, _>>()?)
        })
        .await
    }
}
