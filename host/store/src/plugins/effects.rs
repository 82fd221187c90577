//! What plugins tried and were refused, and the bytes that a replay of what they did needs.

use fumehood_audit::{Phase, clip};
use fumehood_policy::{Digest, HttpRule};
use sha2::Digest as _;

use crate::record::{Change, IntentId};
use crate::{Scope, Store, StoreError};

/// Distinct refusals that are kept for one plugin; the oldest go.
const KEPT_DENIALS: i64 = 200;
/// Bodies that one sweep removes.
const SWEPT: i64 = 500;

/// A refusal.
#[derive(Clone, Debug)]
pub struct NewDenial {
    pub plugin: String,
    pub digest: Digest,
    pub generation: u64,
    /// What was tried, without query and body.
    pub attempt: String,
    /// The grant that would allow it, in words; empty where none can.
    pub remedy: String,
    /// The rule that would allow it, where it is one.
    pub rule: Option<HttpRule>,
    /// All of it, as the plugin is told.
    pub sentence: String,
    /// The call that it belongs to.
    pub call: Option<IntentId>,
}

/// A refusal as it is listed.
#[derive(Clone, Debug)]
pub struct SeenDenial {
    pub plugin: String,
    pub digest: String,
    pub attempt: String,
    pub remedy: String,
    pub rule: Option<HttpRule>,
    pub sentence: String,
    pub count: u64,
    pub first_us: i64,
    pub last_us: i64,
}

/// The bytes of one way of an effect.
#[derive(Clone, Debug)]
pub struct EffectBody {
    /// `sent` or `received`.
    pub direction: String,
    pub bytes: u64,
    pub body: Vec<u8>,
}

impl Store {
    /// Put a refusal on record, and count it with those like it.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn add_plugin_denial(&self, scope: &Scope, new: NewDenial) -> Result<(), StoreError> {
        let owner = scope.clone();
        let change = Change::new("effect.denied", format!("plugin:{}", new.plugin))
            .with("digest", new.digest)
            .with("generation", new.generation)
            .with("attempt", clip(&new.attempt, 2048))
            .with(
                "needs",
                if new.remedy.is_empty() { "(no grant can allow it)".into() } else { clip(&new.remedy, 2048) },
            );
        let change = new.call.iter().fold(change, |change, call| change.with("call", call.0));
        self.write(move |tx| {
            let rule = new.rule.as_ref().map(serde_json::to_string).transpose()?.unwrap_or_default();
            tx.connection.execute(
                "INSERT INTO plugin_denials VALUES (?1,?2,?3,?4,?5,?6,?7,1,?8,?8)
                 ON CONFLICT DO UPDATE SET count = count + 1, last_us = excluded.last_us, digest = excluded.digest,
                 rule = excluded.rule, sentence = excluded.sentence",
                rusqlite::params![
                    owner.tenant,
                    new.plugin,
                    new.attempt,
                    new.remedy,
                    new.digest.to_string(),
                    rule,
                    new.sentence,
                    tx.now_us
                ],
            )?;
            tx.connection.execute(
                "DELETE FROM plugin_denials WHERE tenant_id = ?1 AND plugin = ?2 AND last_us <
                 (SELECT min(last_us) FROM (SELECT last_us FROM plugin_denials WHERE tenant_id = ?1 AND plugin = ?2
                  ORDER BY last_us DESC LIMIT ?3))",
                (&owner.tenant, &new.plugin, KEPT_DENIALS),
            )?;
            tx.record(&owner, Phase::Event, None, change, "denied").map(drop)
        })
        .await
    }

    /// What plugins were refused, the newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn plugin_denials(&self, scope: &Scope) -> Result<Vec<SeenDenial>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(
                "SELECT plugin, digest, attempt, remedy, rule, sentence, count, first_us, last_us FROM plugin_denials
                 WHERE tenant_id = ?1 ORDER BY last_us DESC",
            )?;
            let rows = statement.query_map([tenant], |row| {
                Ok(SeenDenial {
                    plugin: row.get(0)?,
                    digest: row.get(1)?,
                    attempt: row.get(2)?,
                    remedy: row.get(3)?,
                    rule: serde_json::from_str(&row.get::<_, String>(4)?).ok(),
                    sentence: row.get(5)?,
                    count: row.get::<_, i64>(6)? as u64,
                    first_us: row.get(7)?,
                    last_us: row.get(8)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// An intent together with the bytes that are about to be sent.
    ///
    /// # Errors
    /// Why nothing was written: the effect must not happen.
    pub async fn intent_with_body(
        &self,
        scope: &Scope,
        change: Change,
        plugin: &str,
        body: Vec<u8>,
    ) -> Result<IntentId, StoreError> {
        let (owner, plugin) = (scope.clone(), plugin.to_owned());
        self.write(move |tx| {
            let intent = tx.record(&owner, Phase::Intent, None, change, "").map(IntentId)?;
            keep(tx, &owner, intent, "sent", &plugin, &body, body.len() as u64)?;
            Ok(intent)
        })
        .await
    }

    /// Keep what was received for an effect; `bytes` is all of it, `body` perhaps its beginning.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn keep_received(
        &self,
        scope: &Scope,
        intent: IntentId,
        plugin: &str,
        body: Vec<u8>,
        bytes: u64,
    ) -> Result<(), StoreError> {
        let (owner, plugin) = (scope.clone(), plugin.to_owned());
        self.write(move |tx| keep(tx, &owner, intent, "received", &plugin, &body, bytes)).await
    }

    /// The kept bytes of an effect, by the entry of its intent: sent before received.
    ///
    /// # Errors
    /// What the database or the vault says.
    pub async fn effect_bodies(&self, scope: &Scope, intent: u64) -> Result<Vec<EffectBody>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, vault| {
            let mut statement = connection.prepare_cached(
                "SELECT direction, bytes, body FROM effect_bodies WHERE tenant_id = ?1 AND intent = ?2
                 ORDER BY direction DESC",
            )?;
            let mut rows = statement.query((&tenant, intent as i64))?;
            let mut bodies = Vec::new();
            while let Some(row) = rows.next()? {
                let direction: String = row.get(0)?;
                let id = format!("{intent}/{direction}");
                let place = fumehood_vault::Place { tenant: &tenant, table: "effect_bodies", row: &id, column: "body" };
                let packed = vault.open(&place, &row.get::<_, Vec<u8>>(2)?)?;
                let body = zstd::stream::decode_all(packed.as_slice());
                let body = body.map_err(|error| StoreError::Decode(error.to_string()))?;
                bodies.push(EffectBody { direction, bytes: row.get::<_, i64>(1)? as u64, body });
            }
            Ok(bodies)
        })
        .await
    }

    /// Forget bodies that are older than the retention; says whether more are left.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn sweep_effect_bodies(&self, before_us: i64) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let swept = tx.connection.execute(
                "DELETE FROM effect_bodies WHERE rowid IN
                 (SELECT rowid FROM effect_bodies WHERE time_us < ?1 ORDER BY time_us LIMIT ?2)",
                (before_us, SWEPT),
            )?;
            Ok(swept as i64 == SWEPT)
        })
        .await
    }
}

fn keep(
    tx: &crate::writer::Tx<'_>,
    scope: &Scope,
    intent: IntentId,
    direction: &str,
    plugin: &str,
    body: &[u8],
    bytes: u64,
) -> Result<(), StoreError> {
    let packed = zstd::bulk::compress(body, 3).map_err(|error| StoreError::Decode(error.to_string()))?;
    let sealed = tx.seal(scope, "effect_bodies", &format!("{}/{direction}", intent.0), "body", &packed)?;
    let sha256 = sha2::Sha256::digest(body);
    tx.connection.prepare_cached("INSERT OR REPLACE INTO effect_bodies VALUES (?1,?2,?3,?4,?5,?6,?7,?8)")?.execute(
        (&scope.tenant, intent.0 as i64, direction, plugin, tx.now_us, bytes as i64, sha256.as_slice(), sealed),
    )?;
    Ok(())
}
