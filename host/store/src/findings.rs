//! What people decided about findings. A finding counts as accepted until someone rejects it.
//!
//! A decision is about one finding, or about all of a kind in a log; the later one about a kind replaces earlier ones
//! about single findings of that kind.

use std::collections::HashMap;

use rusqlite::OptionalExtension as _;

use crate::record::Change;
use crate::{LogId, Scope, Store, StoreError, logs};

/// A finding as it is kept with its chunk: a compact array in JSON.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct StoredFinding(
    /// Start and end in the whole log, bytes.
    pub u64,
    pub u64,
    /// Kind and group.
    pub String,
    pub String,
    /// Confidence.
    pub f32,
    /// Validated.
    pub bool,
    /// Detector and scanner.
    pub String,
    pub String,
);

/// All decisions of a log.
#[derive(Clone, Debug, Default)]
pub struct Decisions {
    kinds: HashMap<String, bool>,
    single: HashMap<(String, u64, u64), bool>,
}

impl Decisions {
    /// Whether a finding is masked: unless someone rejected it.
    pub fn accepted(&self, finding: &StoredFinding) -> bool {
        self.of(&finding.2, finding.0, finding.1).unwrap_or(true)
    }

    /// What was decided about a finding of a kind at a range; nothing where nobody has.
    pub fn of(&self, kind: &str, start: u64, end: u64) -> Option<bool> {
        if self.single.is_empty() && self.kinds.is_empty() {
            return None;
        }
        let single = self.single.get(&(kind.to_owned(), start, end));
        single.or_else(|| self.kinds.get(kind)).copied()
    }

    /// Whether anything was rejected.
    pub fn rejects(&self) -> bool {
        self.kinds.values().chain(self.single.values()).any(|accepted| !accepted)
    }

    /// The decision about all of a kind, where there is one.
    pub fn kind(&self, kind: &str) -> Option<bool> {
        self.kinds.get(kind).copied()
    }

    /// How many findings of a kind were accepted and how many rejected, of `total`.
    pub fn counts(&self, kind: &str, total: u64) -> (u64, u64) {
        let mut accepted = 0;
        let mut rejected = 0;
        for ((of, _, _), value) in &self.single {
            if of == kind {
                if *value { accepted += 1 } else { rejected += 1 }
            }
        }
        match self.kinds.get(kind) {
            Some(true) => (total.saturating_sub(rejected), rejected),
            Some(false) => (accepted, total.saturating_sub(accepted)),
            None => (accepted, rejected),
        }
    }
}

impl Store {
    /// All decisions of a log.
    ///
    /// # Errors
    /// What the database says.
    pub async fn decisions(&self, scope: &Scope, log: LogId) -> Result<Decisions, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(
                "SELECT kind, start_byte, end_byte, accepted FROM decisions WHERE tenant_id = ?1 AND log_id = ?2",
            )?;
            let mut rows = statement.query((tenant, log))?;
            let mut decisions = Decisions::default();
            while let Some(row) = rows.next()? {
                let (kind, start, end, accepted): (String, i64, i64, bool) =
                    (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                match (u64::try_from(start), u64::try_from(end)) {
                    (Ok(start), Ok(end)) => decisions.single.insert((kind, start, end), accepted),
                    _ => decisions.kinds.insert(kind, accepted),
                };
            }
            Ok(decisions)
        })
        .await
    }

    /// Who decided about a finding, or else about all of its kind, and when (microseconds); nothing where nobody has.
    ///
    /// # Errors
    /// What the database says.
    pub async fn decided(
        &self,
        scope: &Scope,
        log: LogId,
        kind: &str,
        range: (u64, u64),
    ) -> Result<Option<(String, i64)>, StoreError> {
        let (tenant, kind) = (scope.tenant.clone(), kind.to_owned());
        let (start, end) = (range.0 as i64, range.1 as i64);
        self.read(move |connection, _| {
            // A range of -1 stands for the whole kind; the finding's own sorts first.
            let mut statement = connection.prepare_cached(
                "SELECT actor, time_us FROM decisions WHERE tenant_id = ?1 AND log_id = ?2 AND kind = ?3
                 AND ((start_byte = ?4 AND end_byte = ?5) OR start_byte = -1) ORDER BY start_byte DESC LIMIT 1",
            )?;
            Ok(statement.query_row((tenant, log, kind, start, end), |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
        })
        .await
    }

    /// Decide about one finding (`range`), or about all of a kind; nothing takes a decision back.
    ///
    /// # Errors
    /// `NotFound`, or why nothing was written.
    pub async fn decide(
        &self,
        scope: &Scope,
        log: LogId,
        kind: String,
        range: Option<(u64, u64)>,
        accepted: Option<bool>,
    ) -> Result<(), StoreError> {
        let owner = scope.clone();
        let (verb, done) = match accepted {
            Some(true) => ("finding.accept", "accepted"),
            Some(false) => ("finding.reject", "rejected"),
            None => ("finding.reset", "set back"),
        };
        let mut change = Change::new(verb, format!("log:{log}")).with("kind", &kind);
        if let Some((start, end)) = range {
            change = change.with("range", format!("{start}..{end}"));
        }
        self.change(scope, change, move |tx| {
            let file = logs::find(tx.connection, &owner.tenant, log)?;
            // A range of -1 stands for the whole kind.
            let (start, end) = range.map_or((-1, -1), |(start, end)| (start as i64, end as i64));
            if range.is_none() {
                tx.connection.execute(
                    "DELETE FROM decisions WHERE tenant_id = ?1 AND log_id = ?2 AND kind = ?3",
                    (&owner.tenant, log, &kind),
                )?;
                let summary = format!("All {kind} in {} {done}", file.name);
                tx.event(&owner, file.incident_id, "review", &summary, &format!("logs/{log}"))?;
            }
            let Some(accepted) = accepted else {
                tx.connection.execute(
                    "DELETE FROM decisions WHERE tenant_id = ?1 AND log_id = ?2 AND kind = ?3 AND start_byte = ?4 AND end_byte = ?5",
                    (&owner.tenant, log, &kind, start, end),
                )?;
                return Ok(());
            };
            tx.connection.execute(
                "INSERT OR REPLACE INTO decisions (tenant_id, log_id, kind, start_byte, end_byte, accepted, actor, time_us)
                 VALUES (?1,?2,?3,?4,?5,?6,?7,?8)",
                (&owner.tenant, log, &kind, start, end, accepted, owner.actor.to_string(), tx.now_us),
            )?;
            Ok(())
        })
        .await
    }
}
