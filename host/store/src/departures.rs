//! What left an incident: the exact bytes, to whom, and what was masked in them.
//!
//! Invariant: a departure is on disk, in one transaction with its audit intent and with the check that the sash is
//! open, before the first byte is sent.

use rusqlite::{OptionalExtension as _, Row};
use sha2::{Digest as _, Sha256};

use crate::record::{Change, hex};
use crate::{DepartureId, IncidentId, IntentId, Scope, Store, StoreError};
use fumehood_audit::Phase;

/// Something that is about to leave.
#[derive(Clone, Debug, Default)]
pub struct NewDeparture {
    /// `model`, `tool`, `tool-session` (what a tool call needs around it) or `publish`.
    pub kind: String,
    /// Whom it goes to, as people call it: `gpt-4.1 at api.example.com`.
    pub destination: String,
    pub plugin: String,
    /// Of the plugin.
    pub digest: String,
    /// Of its grant.
    pub generation: u64,
    /// The rule that allows it, in words.
    pub grant: String,
    /// The call that it is part of.
    pub call: Option<IntentId>,
    /// Of all that is sent, headers included.
    pub arguments_sha256: String,
    /// What it belongs to, below the incident: `turn:…`, `approval:…`, `document`.
    pub subject: String,
    pub method: String,
    pub url: String,
    /// As sent, credentials as `(credential NAME)`.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Kinds and how many values of each were masked.
    pub masked: Vec<(String, u64)>,
    /// The pseudonyms in it, each once.
    pub labels: Vec<String>,
}

/// Something that left.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Departure {
    pub id: DepartureId,
    pub kind: String,
    pub destination: String,
    pub plugin: String,
    pub subject: String,
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body_bytes: i64,
    pub body_sha256: String,
    pub masked: Vec<(String, u64)>,
    pub masked_count: i64,
    pub time_us: i64,
    pub status: Option<i64>,
    /// Empty while it is on its way.
    pub result: String,
    pub received_bytes: i64,
}

/// The sum of what left, for the sash.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SentTotals {
    pub departures: i64,
    pub bytes: i64,
    pub masked: i64,
    /// The last destination, empty for none.
    pub destination: String,
    /// How many other destinations something went to.
    pub others: i64,
}

const COLUMNS: &str = "id, kind, destination, plugin, subject, method, url, headers, body_bytes, body_sha256, masked, \
                       masked_count, time_us, status, result, received_bytes";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Departure> {
    let json = |index: usize| -> rusqlite::Result<String> { row.get(index) };
    Ok(Departure {
        id: row.get(0)?,
        kind: row.get(1)?,
        destination: row.get(2)?,
        plugin: row.get(3)?,
        subject: row.get(4)?,
        method: row.get(5)?,
        url: row.get(6)?,
        headers: serde_json::from_str(&json(7)?).unwrap_or_default(),
        body_bytes: row.get(8)?,
        body_sha256: hex(&row.get::<_, Vec<u8>>(9)?),
        masked: serde_json::from_str(&json(10)?).unwrap_or_default(),
        masked_count: row.get(11)?,
        time_us: row.get(12)?,
        status: row.get(13)?,
        result: row.get(14)?,
        received_bytes: row.get(15)?,
    })
}

impl Store {
    /// Put a departure and its audit intent on disk; only then may it leave.
    ///
    /// # Errors
    /// `Conflict` where the sash is lowered, or why nothing was written: nothing may leave.
    pub async fn depart(
        &self,
        scope: &Scope,
        incident: IncidentId,
        new: NewDeparture,
    ) -> Result<(DepartureId, IntentId), StoreError> {
        let id = DepartureId::new();
        let owner = scope.clone();
        let sha256 = Sha256::digest(&new.body);
        let hash = hex(&sha256);
        let masked_count: u64 = new.masked.iter().map(|(_, count)| count).sum();
        let change = Change::new("effect.http", format!("departure:{id}"))
            .with("incident", incident)
            .with("plugin", &new.plugin)
            .with("digest", &new.digest)
            .with("generation", new.generation)
            .with("grant", fumehood_audit::clip(&new.grant, 2048))
            .with("decision", "granted")
            .with("method", &new.method)
            .with("host", host_of(&new.url))
            .with("bytes", new.body.len())
            .with("sha256", hash)
            .with("arguments_sha256", &new.arguments_sha256)
            .with("masked", masked_count);
        let change = new.call.iter().fold(change, |change, call| change.with("call", call.0));
        self.write(move |tx| {
            tx.require_sash_open(&owner, incident)?;
            let body = zstd::bulk::compress(&new.body, 3).map_err(|error| StoreError::Decode(error.to_string()))?;
            let sealed = tx.seal(&owner, "departures", &id.to_string(), "body", &body)?;
            tx.connection.execute(
                "INSERT INTO departures (id, tenant_id, incident_id, kind, destination, plugin, subject, method, url,
                 headers, body, body_bytes, body_sha256, masked, masked_count, time_us, result, received_bytes)
                 VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,'',0)",
                rusqlite::params![
                    id,
                    owner.tenant,
                    incident,
                    new.kind,
                    new.destination,
                    new.plugin,
                    new.subject,
                    new.method,
                    new.url,
                    serde_json::to_string(&new.headers)?,
                    sealed,
                    new.body.len() as i64,
                    sha256.as_slice(),
                    serde_json::to_string(&new.masked)?,
                    masked_count as i64,
                    tx.now_us,
                ],
            )?;
            let mut label_row = tx.connection.prepare_cached(
                "INSERT OR IGNORE INTO departed_values (tenant_id, incident_id, label) VALUES (?1, ?2, ?3)",
            )?;
            for label in &new.labels {
                label_row.execute((&owner.tenant, incident, label))?;
            }
            drop(label_row);
            let intent = tx.record(&owner, Phase::Intent, None, change, "")?;
            Ok((id, IntentId(intent)))
        })
        .await
    }

    /// Record how a departure ended.
    ///
    /// # Errors
    /// Why nothing was written; it then shows as an unknown outcome.
    pub async fn arrived(
        &self,
        scope: &Scope,
        departure: DepartureId,
        intent: IntentId,
        status: Option<u16>,
        received_bytes: u64,
        result: String,
    ) -> Result<(), StoreError> {
        let owner = scope.clone();
        let change = Change::new("effect.http", format!("departure:{departure}")).with("received", received_bytes);
        let change = match status {
            Some(status) => change.with("status", status),
            None => change,
        };
        self.write(move |tx| {
            tx.connection.execute(
                "UPDATE departures SET status = ?3, received_bytes = ?4, result = ?5 WHERE tenant_id = ?1 AND id = ?2",
                (&owner.tenant, departure, status, received_bytes as i64, &result),
            )?;
            tx.record(&owner, Phase::Outcome, Some(intent), change, &result).map(drop)
        })
        .await
    }

    /// At a start: nobody knows how far that came which the end of the last process cut off. The record has it as an
    /// intent without an outcome.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn mark_unknown_departures(&self, scope: &Scope) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.write(move |tx| {
            tx.connection.execute(
                "UPDATE departures SET result = 'outcome-unknown' WHERE tenant_id = ?1 AND result = '' AND status IS NULL",
                [tenant],
            )?;
            Ok(())
        })
        .await
    }

    /// What left an incident, newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn departures(&self, scope: &Scope, incident: IncidentId) -> Result<Vec<Departure>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM departures WHERE tenant_id = ?1 AND incident_id = ?2 ORDER BY time_us DESC, id DESC LIMIT 500"
            ))?;
            Ok(statement.query_map((tenant, incident), from_row)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// One departure with the exact bytes of its body.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn departure(
        &self,
        scope: &Scope,
        incident: IncidentId,
        id: DepartureId,
    ) -> Result<(Departure, Vec<u8>), StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, vault| {
            let found = connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS}, body FROM departures WHERE tenant_id = ?1 AND incident_id = ?2 AND id = ?3"
                ))?
                .query_row((&tenant, incident, id), |row| Ok((from_row(row)?, row.get::<_, Vec<u8>>(16)?)))
                .optional()?;
            let (departure, sealed) = found.ok_or_else(|| StoreError::not_found("departure", id))?;
            let row = id.to_string();
            let place = fumehood_vault::Place { tenant: &tenant, table: "departures", row: &row, column: "body" };
            let packed = vault.open(&place, &sealed)?;
            let body =
                zstd::stream::decode_all(packed.as_slice()).map_err(|error| StoreError::Decode(error.to_string()))?;
            Ok((departure, body))
        })
        .await
    }

    /// The sum of what left an incident.
    ///
    /// # Errors
    /// What the database says.
    pub async fn sent_totals(&self, scope: &Scope, incident: IncidentId) -> Result<SentTotals, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            // What could not be delivered at all has not left.
            let (departures, bytes) = connection
                .prepare_cached(
                    "SELECT count(*), coalesce(sum(body_bytes), 0) FROM departures
                     WHERE tenant_id = ?1 AND incident_id = ?2 AND body_bytes > 0 AND kind <> 'tool-session'
                       AND NOT (status IS NULL AND result IN ('unavailable', 'denied'))",
                )?
                .query_row((&tenant, incident), |row| Ok((row.get(0)?, row.get(1)?)))?;
            let masked = connection
                .prepare_cached("SELECT count(*) FROM departed_values WHERE tenant_id = ?1 AND incident_id = ?2")?
                .query_row((&tenant, incident), |row| row.get(0))?;
            let destination = connection
                .prepare_cached(
                    "SELECT destination FROM departures WHERE tenant_id = ?1 AND incident_id = ?2
                     ORDER BY time_us DESC, id DESC LIMIT 1",
                )?
                .query_row((&tenant, incident), |row| row.get(0))
                .optional()?
                .unwrap_or_default();
            let others = connection
                .prepare_cached(
                    "SELECT count(DISTINCT destination) FROM departures WHERE tenant_id = ?1 AND incident_id = ?2
                     AND body_bytes > 0 AND kind <> 'tool-session' AND destination <> ?3
                     AND NOT (status IS NULL AND result IN ('unavailable', 'denied'))",
                )?
                .query_row((&tenant, incident, &destination), |row| row.get(0))?;
            Ok(SentTotals { departures, bytes, masked, destination, others })
        })
        .await
    }
}

/// Host and port of a URL: paths and queries may hold more than the record should.
fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default().chars().take(256).collect()
}
