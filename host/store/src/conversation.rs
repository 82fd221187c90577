//! The conversation about an incident: turns, and the messages of each.
//!
//! A turn is `running`, `waiting` (for a person to approve), `done`, `failed` or `stopped`. A message that is still
//! arriving has `complete` unset; what was acknowledged of it survives a kill.

use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::record::Change;
use crate::{IncidentId, MessageId, ModelId, Scope, Store, StoreError, TurnId};

/// One turn: what a person said, and everything until the model has answered.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Turn {
    pub id: TurnId,
    pub incident_id: IncidentId,
    pub model_id: ModelId,
    /// The model's name at that time; empty for a turn of an older release.
    pub model: String,
    pub state: String,
    pub problem: String,
    /// What to do about the problem: `retry`, `fix-key`, `shorten`, `raise-budget`, `give-up`; empty for nothing.
    pub advice: String,
    pub created_us: i64,
    pub ended_us: Option<i64>,
    pub input_tokens: i64,
    pub output_tokens: i64,
    /// Millionths of the currency.
    pub cost: i64,
    pub actor: String,
}

/// A call that the model asked for, as it wrote it (pseudonyms inside).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StoredCall {
    pub id: String,
    pub name: String,
    pub arguments: String,
}

/// What a provider wants back as it came, with the very message that it came with.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Kept {
    /// The plugin, and the model, that it is for: to others it says nothing.
    pub plugin: String,
    pub model: String,
    /// Where it came from, and under which key: nobody else could read it.
    #[serde(default)]
    pub from: String,
    /// Names and values.
    pub values: Vec<(String, String)>,
}

/// One message. `text` of a person is what they typed; of a model what it wrote, pseudonyms inside.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Message {
    pub id: MessageId,
    pub turn_id: TurnId,
    /// `user`, `assistant` or `tool`.
    pub role: String,
    pub text: String,
    pub tool_calls: Vec<StoredCall>,
    pub tool_call_id: Option<String>,
    /// What its provider wants back with it; for nobody else.
    #[serde(skip)]
    pub kept: Option<Kept>,
    pub complete: bool,
    pub created_us: i64,
}

const TURN: &str = "id, incident_id, model_id, state, problem, created_us, ended_us, input_tokens, output_tokens, actor, model, cost, advice";
const MESSAGE: &str = "id, turn_id, role, text, tool_calls, tool_call_id, complete, created_us, kept";

fn turn(row: &Row<'_>) -> rusqlite::Result<Turn> {
    Ok(Turn {
        id: row.get(0)?,
        incident_id: row.get(1)?,
        model_id: row.get(2)?,
        state: row.get(3)?,
        problem: row.get(4)?,
        created_us: row.get(5)?,
        ended_us: row.get(6)?,
        input_tokens: row.get(7)?,
        output_tokens: row.get(8)?,
        actor: row.get(9)?,
        model: row.get(10)?,
        cost: row.get(11)?,
        advice: row.get(12)?,
    })
}

fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        id: row.get(0)?,
        turn_id: row.get(1)?,
        role: row.get(2)?,
        text: row.get(3)?,
        tool_calls: serde_json::from_str(&row.get::<_, String>(4)?).unwrap_or_default(),
        tool_call_id: row.get(5)?,
        complete: row.get(6)?,
        created_us: row.get(7)?,
        kept: row.get::<_, Option<String>>(8)?.and_then(|kept| serde_json::from_str(&kept).ok()),
    })
}

/// Set a turn running again once none of its calls waits for a person.
///
/// # Errors
/// `Conflict` where the turn waits no longer.
pub(crate) fn run_again(connection: &Connection, tenant: &str, id: TurnId) -> Result<Option<Turn>, StoreError> {
    let select = format!("SELECT {TURN} FROM turns WHERE tenant_id = ?1 AND id = ?2");
    let found = connection.query_row(&select, (tenant, id), turn)?;
    if found.state != "waiting" {
        return Err(StoreError::Conflict(
            "The answer that asked for this call was stopped, so nothing is called. Ask the model again.".into(),
        ));
    }
    let changed = connection.execute(
        "UPDATE turns SET state = 'running' WHERE tenant_id = ?1 AND id = ?2 AND NOT EXISTS
         (SELECT 1 FROM approvals WHERE tenant_id = ?1 AND turn_id = ?2 AND state = 'pending')",
        (tenant, id),
    )?;
    Ok((changed == 1).then(|| Turn { state: "running".into(), ..found }))
}

impl Store {
    /// Begin a turn with what a person said.
    ///
    /// # Errors
    /// `Conflict` where a turn of this incident is not over.
    pub async fn begin_turn(
        &self,
        scope: &Scope,
        incident: IncidentId,
        model: (ModelId, String),
        text: String,
    ) -> Result<Turn, StoreError> {
        let id = TurnId::new();
        let owner = scope.clone();
        let change = Change::new("turn.begin", format!("turn:{id}")).with("incident", incident).with("model", model.0);
        self.change(scope, change, move |tx| {
            tx.require_sash_open(&owner, incident)?;
            let busy: bool = tx.connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM turns WHERE tenant_id = ?1 AND incident_id = ?2 AND state IN ('running', 'waiting'))",
                (&owner.tenant, incident),
                |row| row.get(0),
            )?;
            if busy {
                return Err(StoreError::Conflict(
                    "The model is still answering in this incident. Wait for it, decide about the tool call that waits, or stop it.".into(),
                ));
            }
            tx.connection.execute(
                "INSERT INTO turns (id, tenant_id, incident_id, model_id, state, problem, created_us, input_tokens,
                 output_tokens, actor, model) VALUES (?1,?2,?3,?4,'running','',?5,0,0,?6,?7)",
                (id, &owner.tenant, incident, model.0, tx.now_us, owner.actor.to_string(), model.1),
            )?;
            tx.connection.execute(
                "INSERT INTO messages (id, tenant_id, incident_id, turn_id, role, text, tool_calls, complete, created_us)
                 VALUES (?1,?2,?3,?4,'user',?5,'[]',1,?6)",
                (MessageId::new(), &owner.tenant, incident, id, &text, tx.now_us),
            )?;
            tx.event(&owner, incident, "turn", "Asked the model", &format!("chat#turn-{id}"))?;
            Ok(tx.connection.query_row(&format!("SELECT {TURN} FROM turns WHERE id = ?1"), [id], turn)?)
        })
        .await
    }

    /// Set a turn's state; `over` ones get an end. `advice` is what to do about the problem.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_turn(
        &self,
        scope: &Scope,
        id: TurnId,
        state: &'static str,
        problem: String,
        advice: &'static str,
    ) -> Result<(), StoreError> {
        let owner = scope.clone();
        let change = Change::new("turn.state", format!("turn:{id}")).with("state", state);
        self.change(scope, change, move |tx| {
            let over = matches!(state, "done" | "failed" | "stopped");
            let incident: Option<IncidentId> = tx
                .connection
                .query_row(
                    "UPDATE turns SET state = ?3, problem = ?4, ended_us = ?5, advice = ?6
                     WHERE tenant_id = ?1 AND id = ?2 RETURNING incident_id",
                    (&owner.tenant, id, state, &problem, over.then_some(tx.now_us), advice),
                    |row| row.get(0),
                )
                .optional()?;
            let incident = incident.ok_or_else(|| StoreError::not_found("turn", id))?;
            if over {
                tx.connection.execute(
                    "UPDATE messages SET complete = 1 WHERE tenant_id = ?1 AND turn_id = ?2 AND complete = 0",
                    (&owner.tenant, id),
                )?;
                // What was not called by now never is: its turn is over.
                tx.connection.execute(
                    "UPDATE approvals SET state = 'expired'
                     WHERE tenant_id = ?1 AND turn_id = ?2 AND state IN ('pending', 'approved')",
                    (&owner.tenant, id),
                )?;
                let summary = match state {
                    "done" => "The model answered".into(),
                    "stopped" => "Answer stopped".into(),
                    _ => format!("The model's answer failed: {problem}"),
                };
                tx.event(&owner, incident, "turn", &summary, &format!("chat#turn-{id}"))?;
            }
            Ok(())
        })
        .await
    }

    /// Add to the tokens that a turn used. Part of an action that is on record already.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn add_usage(
        &self,
        scope: &Scope,
        id: TurnId,
        input: u64,
        output: u64,
        cost: i64,
    ) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.write(move |tx| {
            tx.connection.execute(
                "UPDATE turns SET input_tokens = input_tokens + ?3, output_tokens = output_tokens + ?4, cost = cost + ?5
                 WHERE tenant_id = ?1 AND id = ?2",
                (tenant, id, input as i64, output as i64, cost),
            )?;
            Ok(())
        })
        .await
    }

    /// Have another model answer a turn.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn turn_goes_to(&self, scope: &Scope, id: TurnId, model: (ModelId, String)) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        let change = Change::new("turn.model", format!("turn:{id}")).with("model", model.0);
        self.change(scope, change, move |tx| {
            let sql = "UPDATE turns SET model_id = ?3, model = ?4 WHERE tenant_id = ?1 AND id = ?2";
            let changed = tx.connection.execute(sql, (tenant, id, model.0, model.1))?;
            if changed == 0 { Err(StoreError::not_found("turn", id)) } else { Ok(()) }
        })
        .await
    }

    /// The model that an incident's people chose, where they did.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn chosen_model(&self, scope: &Scope, incident: IncidentId) -> Result<Option<ModelId>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let sql = "SELECT model_id FROM incidents WHERE tenant_id = ?1 AND id = ?2";
            let found = connection.query_row(sql, (tenant, incident), |row| row.get(0)).optional()?;
            found.ok_or_else(|| StoreError::not_found("incident", incident))
        })
        .await
    }

    /// Have an incident's questions go to a model first; nothing for the organisation's order.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn choose_model(
        &self,
        scope: &Scope,
        incident: IncidentId,
        model: Option<ModelId>,
    ) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        let change = Change::new("incident.model", format!("incident:{incident}"));
        let change = match model {
            Some(model) => change.with("model", model),
            None => change,
        };
        self.change(scope, change, move |tx| {
            let sql = "UPDATE incidents SET model_id = ?3 WHERE tenant_id = ?1 AND id = ?2";
            let changed = tx.connection.execute(sql, (tenant, incident, model))?;
            if changed == 0 { Err(StoreError::not_found("incident", incident)) } else { Ok(()) }
        })
        .await
    }

    /// Write a message of the model or of a tool, whole; called again with more text while it arrives.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn put_message(&self, scope: &Scope, incident: IncidentId, message: Message) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.write(move |tx| {
            tx.connection
                .prepare_cached(
                    "INSERT INTO messages (id, tenant_id, incident_id, turn_id, role, text, tool_calls, tool_call_id,
                     complete, created_us, kept) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)
                     ON CONFLICT (id) DO UPDATE SET text = excluded.text, tool_calls = excluded.tool_calls,
                     complete = excluded.complete, kept = excluded.kept",
                )?
                .execute((
                    message.id,
                    tenant,
                    incident,
                    message.turn_id,
                    message.role,
                    message.text,
                    serde_json::to_string(&message.tool_calls)?,
                    message.tool_call_id,
                    message.complete,
                    message.created_us,
                    message.kept.as_ref().map(serde_json::to_string).transpose()?,
                ))?;
            Ok(())
        })
        .await
    }

    /// All turns of an incident, oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn turns(&self, scope: &Scope, incident: IncidentId) -> Result<Vec<Turn>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {TURN} FROM turns WHERE tenant_id = ?1 AND incident_id = ?2 ORDER BY id"
            ))?;
            Ok(statement.query_map((tenant, incident), turn)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// One turn.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn turn(&self, scope: &Scope, id: TurnId) -> Result<Turn, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            connection
                .query_row(&format!("SELECT {TURN} FROM turns WHERE tenant_id = ?1 AND id = ?2"), (tenant, id), turn)
                .optional()?
                .ok_or_else(|| StoreError::not_found("turn", id))
        })
        .await
    }

    /// All messages of an incident, oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn messages(&self, scope: &Scope, incident: IncidentId) -> Result<Vec<Message>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {MESSAGE} FROM messages WHERE tenant_id = ?1 AND incident_id = ?2 ORDER BY id"
            ))?;
            Ok(statement.query_map((tenant, incident), message)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Turns that were running when the process ended.
    ///
    /// # Errors
    /// What the database says.
    pub async fn interrupted_turns(&self, scope: &Scope) -> Result<Vec<Turn>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement =
                connection.prepare(&format!("SELECT {TURN} FROM turns WHERE tenant_id = ?1 AND state = 'running'"))?;
            Ok(statement.query_map([tenant], turn)?.collect::<Result<_, _>>()?)
        })
        .await
    }
}
