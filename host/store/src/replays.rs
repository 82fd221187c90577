//! Past conversations that were asked of a model again.

use rusqlite::{OptionalExtension as _, Row};

use crate::record::Change;
use crate::{IncidentId, ModelId, ReplayId, Scope, Store, StoreError, TurnId};

/// A conversation that was asked again.
#[derive(Clone, Debug)]
pub struct Replay {
    pub id: ReplayId,
    pub incident_id: IncidentId,
    pub model_id: ModelId,
    /// The model's name at that time.
    pub model: String,
    /// What a person told the model in the place of our own words; empty for ours.
    pub instructions: String,
    /// `running`, `done`, `failed` or `stopped`.
    pub state: String,
    pub problem: String,
    pub transcript: Vec<ReplayedTurn>,
    pub input_tokens: i64,
    pub output_tokens: i64,
    /// Millionths of the currency.
    pub cost: i64,
    pub actor: String,
    pub created_us: i64,
    pub ended_us: Option<i64>,
}

/// One question, and what the model said to it this time.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct ReplayedTurn {
    /// The turn in which it was asked first.
    pub turn: TurnId,
    pub rounds: Vec<ReplayedRound>,
}

/// One answer of the model. Pseudonyms stand inside.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct ReplayedRound {
    pub text: String,
    pub calls: Vec<ReplayedCall>,
}

/// A call that it asked for.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct ReplayedCall {
    pub name: String,
    pub arguments: String,
    /// Its result is on record, and was given; otherwise the model was told that it is not.
    pub on_record: bool,
}

const REPLAY: &str = "id, incident_id, model_id, model, instructions, state, problem, transcript, input_tokens, \
                      output_tokens, cost, actor, created_us, ended_us";

fn replay(row: &Row<'_>) -> rusqlite::Result<Replay> {
    Ok(Replay {
        id: row.get(0)?,
        incident_id: row.get(1)?,
        model_id: row.get(2)?,
        model: row.get(3)?,
        instructions: row.get(4)?,
        state: row.get(5)?,
        problem: row.get(6)?,
        transcript: serde_json::from_str(&row.get::<_, String>(7)?).unwrap_or_default(),
        input_tokens: row.get(8)?,
        output_tokens: row.get(9)?,
        cost: row.get(10)?,
        actor: row.get(11)?,
        created_us: row.get(12)?,
        ended_us: row.get(13)?,
    })
}

impl Store {
    /// Begin to ask a conversation again; one at a time in an incident.
    ///
    /// # Errors
    /// `Conflict` where one runs, or the sash is lowered.
    pub async fn start_replay(
        &self,
        scope: &Scope,
        incident: IncidentId,
        model: (ModelId, String),
        instructions: String,
    ) -> Result<ReplayId, StoreError> {
        let id = ReplayId::new();
        let owner = scope.clone();
        let change =
            Change::new("replay.begin", format!("replay:{id}")).with("incident", incident).with("model", model.0);
        self.change(scope, change, move |tx| {
            tx.require_sash_open(&owner, incident)?;
            let busy: bool = tx.connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM replays WHERE tenant_id = ?1 AND incident_id = ?2 AND state = 'running')",
                (&owner.tenant, incident),
                |row| row.get(0),
            )?;
            if busy {
                return Err(StoreError::Conflict("This conversation is being asked again already. Wait for it, or stop it.".into()));
            }
            tx.connection.execute(
                "INSERT INTO replays (id, tenant_id, incident_id, model_id, model, instructions, state, problem, transcript,
                 input_tokens, output_tokens, cost, actor, created_us)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'running', '', '[]', 0, 0, 0, ?7, ?8)",
                (id, &owner.tenant, incident, model.0, &model.1, instructions, owner.actor.to_string(), tx.now_us),
            )?;
            tx.event(
                &owner,
                incident,
                "model",
                &format!("The conversation is asked again of {}", model.1),
                &format!("replays/{id}"),
            )?;
            Ok(id)
        })
        .await
    }

    /// Write what was said so far, and what it used.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn keep_replay(
        &self,
        scope: &Scope,
        id: ReplayId,
        transcript: &[ReplayedTurn],
        used: (u64, u64, i64),
    ) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        let transcript = serde_json::to_string(transcript)?;
        self.write(move |tx| {
            tx.connection.execute(
                "UPDATE replays SET transcript = ?3, input_tokens = input_tokens + ?4, output_tokens = output_tokens + ?5,
                 cost = cost + ?6 WHERE tenant_id = ?1 AND id = ?2",
                (tenant, id, transcript, used.0 as i64, used.1 as i64, used.2),
            )?;
            Ok(())
        })
        .await
    }

    /// End it, where it runs: `done`, `failed` or `stopped`.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn end_replay(
        &self,
        scope: &Scope,
        id: ReplayId,
        state: &'static str,
        problem: String,
    ) -> Result<(), StoreError> {
        let owner = scope.clone();
        let change = Change::new("replay.end", format!("replay:{id}")).with("state", state);
        self.change(scope, change, move |tx| {
            tx.connection.execute(
                "UPDATE replays SET state = ?3, problem = ?4, ended_us = ?5
                 WHERE tenant_id = ?1 AND id = ?2 AND state = 'running'",
                (&owner.tenant, id, state, &problem, tx.now_us),
            )?;
            Ok(())
        })
        .await
    }

    /// All of an incident, the newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn replays(&self, scope: &Scope, incident: IncidentId) -> Result<Vec<Replay>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {REPLAY} FROM replays WHERE tenant_id = ?1 AND incident_id = ?2 ORDER BY id DESC"
            ))?;
            Ok(statement.query_map((tenant, incident), replay)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// One of an incident.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn replay(&self, scope: &Scope, incident: IncidentId, id: ReplayId) -> Result<Replay, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let sql = format!("SELECT {REPLAY} FROM replays WHERE tenant_id = ?1 AND incident_id = ?2 AND id = ?3");
            let found = connection.query_row(&sql, (tenant, incident, id), replay).optional()?;
            found.ok_or_else(|| StoreError::not_found("replay", id))
        })
        .await
    }

    /// Those that the end of a process cut off, failed with a reason.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn fail_replays(&self, problem: String) -> Result<(), StoreError> {
        self.write(move |tx| {
            let sql = "UPDATE replays SET state = 'failed', problem = ?1, ended_us = ?2 WHERE state = 'running'";
            tx.connection.execute(sql, (problem, tx.now_us))?;
            Ok(())
        })
        .await
    }
}
