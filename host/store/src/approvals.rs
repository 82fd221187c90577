//! Tool calls that wait for a person.
//!
//! Invariant: an approval goes from `pending` to `approved` or `denied` once, from `approved` to `running` once, each
//! in one transaction, and only while tenant, server, pinned tool, plugin and the hash of the exact arguments are what
//! the person saw.

use rusqlite::{OptionalExtension as _, Row};

use crate::conversation::Turn;
use crate::record::{Change, hex};
use crate::{ApprovalId, IncidentId, Scope, ServerId, Store, StoreError, TurnId};

/// A tool call and what became of it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Approval {
    pub id: ApprovalId,
    pub incident_id: IncidentId,
    pub turn_id: TurnId,
    pub call_id: String,
    pub server_id: ServerId,
    pub server: String,
    /// What is asked of the server: `tools/call` or `resources/read`.
    pub method: String,
    /// The tool's name on its server; of a resource the method.
    pub tool: String,
    #[serde(skip)]
    pub tool_sha256: Vec<u8>,
    #[serde(skip)]
    pub plugin_sha256: Vec<u8>,
    /// The exact JSON that would be sent, masked.
    pub arguments: String,
    #[serde(skip)]
    pub arguments_sha256: Vec<u8>,
    pub masked: Vec<(String, u64)>,
    /// `low` where its server says that the tool changes nothing, `medium` where it says that what it changes is not lost,
    /// `high` otherwise.
    pub risk: String,
    /// Approved together with later calls of the same tool in this incident.
    pub for_incident: bool,
    /// `pending`, `approved`, `denied`, `running`, `done`, `failed`, `expired` or `unknown`.
    pub state: String,
    pub decided_by: Option<String>,
    pub decided_us: Option<i64>,
    pub expires_us: i64,
    /// What the tool answered; raw.
    pub result: String,
    pub problem: String,
    pub created_us: i64,
}

/// What a person decides about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Exactly these arguments, once.
    Approve,
    /// These, and in this incident every later call of the same tool as it is pinned; of a tool that changes nothing alone.
    ApproveHere,
    /// Not at all.
    Deny,
}

/// What a decision is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    pub tool_sha256: Vec<u8>,
    pub plugin_sha256: Vec<u8>,
    pub arguments_sha256: Vec<u8>,
}

const COLUMNS: &str = "id, incident_id, turn_id, call_id, server_id, server, tool, tool_sha256, plugin_sha256, arguments, \
                       arguments_sha256, masked, state, decided_by, decided_us, expires_us, result, problem, created_us, method, \
                       risk, for_incident";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Approval> {
    Ok(Approval {
        id: row.get(0)?,
        incident_id: row.get(1)?,
        turn_id: row.get(2)?,
        call_id: row.get(3)?,
        server_id: row.get(4)?,
        server: row.get(5)?,
        tool: row.get(6)?,
        tool_sha256: row.get(7)?,
        plugin_sha256: row.get(8)?,
        arguments: row.get(9)?,
        arguments_sha256: row.get(10)?,
        masked: serde_json::from_str(&row.get::<_, String>(11)?).unwrap_or_default(),
        state: row.get(12)?,
        decided_by: row.get(13)?,
        decided_us: row.get(14)?,
        expires_us: row.get(15)?,
        result: row.get(16)?,
        problem: row.get(17)?,
        created_us: row.get(18)?,
        method: row.get(19)?,
        risk: row.get(20)?,
        for_incident: row.get(21)?,
    })
}

impl Store {
    /// Put tool calls before a person; the turn waits, in the same transaction. Calls that a rule allows are approved
    /// already, and where all are the turn goes on. Gives whether it waits.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn ask(&self, scope: &Scope, turn: TurnId, asks: Vec<Approval>) -> Result<bool, StoreError> {
        let owner = scope.clone();
        let change = Change::new("approval.ask", format!("turn:{turn}")).with("calls", asks.len());
        self.change(scope, change, move |tx| {
            for ask in &asks {
                tx.connection.execute(
                    "INSERT INTO approvals (id, tenant_id, incident_id, turn_id, call_id, server_id, server, tool,
                     tool_sha256, plugin_sha256, arguments, arguments_sha256, masked, state, expires_us, result, problem,
                     created_us, decided_by, decided_us, method, risk)
                     VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22)",
                    rusqlite::params![
                        ask.id,
                        owner.tenant,
                        ask.incident_id,
                        ask.turn_id,
                        ask.call_id,
                        ask.server_id,
                        ask.server,
                        ask.tool,
                        ask.tool_sha256,
                        ask.plugin_sha256,
                        ask.arguments,
                        ask.arguments_sha256,
                        serde_json::to_string(&ask.masked)?,
                        ask.state,
                        ask.expires_us,
                        ask.result,
                        ask.problem,
                        tx.now_us,
                        ask.decided_by,
                        ask.decided_us,
                        ask.method,
                        ask.risk,
                    ],
                )?;
                let summary = match ask.state.as_str() {
                    "approved" if ask.decided_by.as_deref() == Some("rule") => {
                        format!("Allowed by rule: {} on {}", ask.tool, ask.server)
                    }
                    "approved" => format!("Approved for this incident before: {} on {}", ask.tool, ask.server),
                    _ => format!("The model asks to call {} on {}", ask.tool, ask.server),
                };
                tx.event(&owner, ask.incident_id, "tool", &summary, &format!("chat#approval-{}", ask.id))?;
            }
            let waits = asks.iter().any(|ask| ask.state == "pending");
            if waits {
                tx.connection.execute(
                    "UPDATE turns SET state = 'waiting' WHERE tenant_id = ?1 AND id = ?2",
                    (&owner.tenant, turn),
                )?;
            }
            Ok(waits)
        })
        .await
    }

    /// Decide, once. With the last decision that a turn waited for, the turn runs again, in the same transaction: it is
    /// given to the one caller that has to go on with it.
    ///
    /// # Errors
    /// `Conflict` where it was decided already, ran out, or its turn no longer waits; or where a call that changes something
    /// is approved together with others.
    pub async fn decide_call(
        &self,
        scope: &Scope,
        id: ApprovalId,
        verdict: Verdict,
    ) -> Result<Option<Turn>, StoreError> {
        let owner = scope.clone();
        let (verb, did, state) = match verdict {
            Verdict::Approve => ("approval.approve", "Approved", "approved"),
            Verdict::ApproveHere => ("approval.approve-here", "Approved for this incident", "approved"),
            Verdict::Deny => ("approval.deny", "Denied", "denied"),
        };
        // The exact hash goes on record, so the record says what was approved.
        let seen = self.approval(scope, id).await?;
        let hash = hex(&seen.arguments_sha256);
        let change = Change::new(verb, format!("approval:{id}"))
            .with("server", seen.server_id)
            .with("tool", &seen.tool)
            .with("arguments_sha256", hash);
        let here = verdict == Verdict::ApproveHere;
        if here && (seen.risk != "low" || seen.method != "tools/call") {
            return Err(StoreError::Conflict(
                "Only a tool that changes nothing can be approved for the whole incident. Approve each call by itself."
                    .into(),
            ));
        }
        self.change(scope, change, move |tx| {
            let now = tx.now_us;
            let changed = tx.connection.execute(
                "UPDATE approvals SET state = ?3, decided_by = ?4, decided_us = ?5, for_incident = ?6
                 WHERE tenant_id = ?1 AND id = ?2 AND state = 'pending' AND expires_us > ?5",
                (&owner.tenant, id, state, owner.actor.to_string(), now, here),
            )?;
            let after = one(tx.connection, &owner.tenant, id)?;
            if changed == 0 {
                return Err(StoreError::Conflict(if after.state == "pending" {
                    "This tool call has waited too long and expired. Ask the model again.".into()
                } else {
                    format!("This tool call was decided already: it is {}.", after.state)
                }));
            }
            let summary = format!("{did}: {} on {}", after.tool, after.server);
            tx.event(&owner, after.incident_id, "tool", &summary, &format!("chat#approval-{id}"))?;
            crate::conversation::run_again(tx.connection, &owner.tenant, after.turn_id)
        })
        .await
    }

    /// Who approved a tool, as it is pinned, for all of an incident; nothing where nobody did.
    ///
    /// # Errors
    /// What the database says.
    pub async fn approved_here(
        &self,
        scope: &Scope,
        incident: IncidentId,
        server: ServerId,
        tool: &str,
        binding: &Binding,
    ) -> Result<Option<String>, StoreError> {
        let (tenant, tool) = (scope.tenant.clone(), tool.to_owned());
        let (tool_pin, plugin_pin) = (binding.tool_sha256.clone(), binding.plugin_sha256.clone());
        self.read(move |connection, _| {
            let sql = "SELECT decided_by FROM approvals WHERE tenant_id = ?1 AND incident_id = ?2 AND server_id = ?3
                       AND tool = ?4 AND tool_sha256 = ?5 AND plugin_sha256 = ?6 AND for_incident = 1
                       AND method = 'tools/call' AND risk = 'low' ORDER BY id DESC LIMIT 1";
            let found =
                connection.query_row(sql, (tenant, incident, server, tool, tool_pin, plugin_pin), |row| row.get(0));
            Ok(found.optional()?)
        })
        .await
    }

    /// Ask again before each call of the tool of an approval that was given for all of its incident.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn ask_again(&self, scope: &Scope, id: ApprovalId) -> Result<(), StoreError> {
        let owner = scope.clone();
        self.change(scope, Change::new("approval.ask-again", format!("approval:{id}")), move |tx| {
            let found = one(tx.connection, &owner.tenant, id)?;
            tx.connection.execute(
                "UPDATE approvals SET for_incident = 0
                 WHERE tenant_id = ?1 AND incident_id = ?2 AND server_id = ?3 AND tool = ?4",
                (&owner.tenant, found.incident_id, found.server_id, &found.tool),
            )?;
            let summary = format!("Each call is asked for again: {} on {}", found.tool, found.server);
            tx.event(&owner, found.incident_id, "tool", &summary, &format!("chat#approval-{id}"))
        })
        .await
    }

    /// Use an approval up: the call happens after this returns, and never twice.
    ///
    /// # Errors
    /// `Conflict` where it is not approved, was used, ran out, or is not about exactly this call.
    pub async fn consume(&self, scope: &Scope, id: ApprovalId, binding: Binding) -> Result<Approval, StoreError> {
        let owner = scope.clone();
        self.change(scope, Change::new("approval.consume", format!("approval:{id}")), move |tx| {
            let found = one(tx.connection, &owner.tenant, id)?;
            tx.require_sash_open(&owner, found.incident_id)?;
            if found.state != "approved" || found.expires_us <= tx.now_us {
                return Err(StoreError::Conflict(format!("This tool call is {} and cannot run.", found.state)));
            }
            let same = found.tool_sha256 == binding.tool_sha256
                && found.plugin_sha256 == binding.plugin_sha256
                && found.arguments_sha256 == binding.arguments_sha256;
            if !same {
                return Err(StoreError::Conflict(
                    "The tool, its transport or the arguments are no longer what was approved. Nothing was called."
                        .into(),
                ));
            }
            tx.connection.execute(
                "UPDATE approvals SET state = 'running' WHERE tenant_id = ?1 AND id = ?2",
                (&owner.tenant, id),
            )?;
            Ok(found)
        })
        .await
    }

    /// Record what the tool answered, or why it did not.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` where it is not on its way.
    pub async fn finish_call(
        &self,
        scope: &Scope,
        id: ApprovalId,
        state: &'static str,
        result: String,
        problem: String,
    ) -> Result<(), StoreError> {
        let owner = scope.clone();
        self.change(scope, Change::new("approval.finish", format!("approval:{id}")).with("state", state), move |tx| {
            let found = one(tx.connection, &owner.tenant, id)?;
            let changed = tx.connection.execute(
                "UPDATE approvals SET state = ?3, result = ?4, problem = ?5
                 WHERE tenant_id = ?1 AND id = ?2 AND state IN ('approved', 'running')",
                (&owner.tenant, id, state, &result, &problem),
            )?;
            if changed == 0 {
                return Err(StoreError::Conflict(format!("This tool call is {} and cannot end again.", found.state)));
            }
            let summary = match state {
                "done" => format!("{} on {} answered", found.tool, found.server),
                _ => format!("{} on {} failed: {problem}", found.tool, found.server),
            };
            tx.event(&owner, found.incident_id, "tool", &summary, &format!("chat#approval-{id}"))
        })
        .await
    }

    /// One approval.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn approval(&self, scope: &Scope, id: ApprovalId) -> Result<Approval, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| one(connection, &tenant, id)).await
    }

    /// An incident's tool calls, oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn approvals(&self, scope: &Scope, incident: IncidentId) -> Result<Vec<Approval>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM approvals WHERE tenant_id = ?1 AND incident_id = ?2 ORDER BY id"
            ))?;
            Ok(statement.query_map((tenant, incident), from_row)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Calls that were on their way when the process ended: nobody knows whether they arrived.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn mark_unknown_calls(&self, scope: &Scope) -> Result<usize, StoreError> {
        let tenant = scope.tenant.clone();
        self.write(move |tx| {
            tx.connection.execute("UPDATE questions SET state = 'over' WHERE tenant_id = ?1 AND state = 'pending'", [&tenant])?;
            Ok(tx.connection.execute(
                "UPDATE approvals SET state = 'unknown', problem = 'Fumehood was stopped while the call was on its way; it may have been carried out.'
                 WHERE tenant_id = ?1 AND state = 'running'",
                [tenant],
            )?)
        })
        .await
    }
}

fn one(connection: &rusqlite::Connection, tenant: &str, id: ApprovalId) -> Result<Approval, StoreError> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM approvals WHERE tenant_id = ?1 AND id = ?2"))?
        .query_row((tenant, id), from_row)
        .optional()?
        .ok_or_else(|| StoreError::not_found("tool call", id))
}
