//! What plugins did, in numbers by the hour. Gathered in memory and written from time to time: they inform, and prove
//! nothing; what proves is in the record.

use rusqlite::OptionalExtension as _;

use crate::{Scope, Store, StoreError};

/// Hours that are kept.
const KEPT_HOURS: i64 = 24 * 31;

/// How long calls took: counts in buckets that grow by a quarter of a doubling, from 1 µs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wall([u32; Wall::BUCKETS]);

impl Default for Wall {
    fn default() -> Self {
        Self([0; Self::BUCKETS])
    }
}

impl Wall {
    /// Up to 2^32 µs, over an hour.
    const BUCKETS: usize = 128;

    /// Count a call of so many microseconds.
    pub fn add(&mut self, us: u64) {
        let bucket = ((us.max(1) as f64).log2() * 4.0) as usize;
        if let Some(count) = self.0.get_mut(bucket.min(Self::BUCKETS - 1)) {
            *count = count.saturating_add(1);
        }
    }

    /// Add another's counts.
    pub fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.0.iter_mut().zip(other.0) {
            *ours = ours.saturating_add(theirs);
        }
    }

    /// The time in microseconds within which the given part of the calls ended, right to a fifth; nothing without calls.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<u64> {
        let total: u64 = self.0.iter().map(|count| u64::from(*count)).sum();
        let mut left = (total as f64 * part).ceil() as u64;
        if total == 0 {
            return None;
        }
        for (bucket, count) in self.0.iter().enumerate() {
            if left <= u64::from(*count) {
                return Some((2_f64.powf((bucket as f64 + 0.5) / 4.0)) as u64);
            }
            left -= u64::from(*count);
        }
        None
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|count| count.to_le_bytes()).collect()
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let mut wall = Self::default();
        for (count, bytes) in wall.0.iter_mut().zip(bytes.chunks_exact(4)) {
            *count = bytes.try_into().map(u32::from_le_bytes).unwrap_or(0);
        }
        wall
    }
}

/// Calls of one plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallNumbers {
    pub calls: u64,
    /// Of them, those that gave no result.
    pub errors: u64,
    pub computing_us: u64,
    /// The most that one call had.
    pub memory_bytes: u64,
    pub wall: Wall,
    pub last_us: i64,
}

impl CallNumbers {
    /// Add another's numbers.
    pub fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.errors += other.errors;
        self.computing_us += other.computing_us;
        self.memory_bytes = self.memory_bytes.max(other.memory_bytes);
        self.wall.merge(&other.wall);
        self.last_us = self.last_us.max(other.last_us);
    }
}

/// Bytes of one plugin to one host under one rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub hour: i64,
    pub rule: String,
    pub host: String,
    pub requests: u64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
}

impl Traffic {
    /// Add another's bytes.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.sent_bytes += other.sent_bytes;
        self.received_bytes += other.received_bytes;
    }
}

impl Store {
    /// Add to the numbers: of each plugin its calls in one hour, and its traffic.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn add_plugin_numbers(
        &self,
        scope: &Scope,
        calls: Vec<(String, i64, CallNumbers)>,
        traffic: Vec<(String, Traffic)>,
    ) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.write(move |tx| {
            for (plugin, hour, new) in &calls {
                let key = (&tenant, plugin, hour);
                let old: Option<CallNumbers> = tx
                    .connection
                    .prepare_cached(
                        "SELECT calls, errors, computing_us, memory_bytes, wall, last_us FROM plugin_hours
                         WHERE tenant_id = ?1 AND plugin = ?2 AND hour = ?3",
                    )?
                    .query_row(key, |row| numbers(row, 0))
                    .optional()?;
                let mut sum = old.unwrap_or_default();
                sum.merge(new);
                tx.connection
                    .prepare_cached("INSERT OR REPLACE INTO plugin_hours VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)")?
                    .execute((
                        &tenant,
                        plugin,
                        hour,
                        sum.calls as i64,
                        sum.errors as i64,
                        sum.computing_us as i64,
                        sum.memory_bytes as i64,
                        sum.wall.bytes(),
                        sum.last_us,
                    ))?;
            }
            for (plugin, one) in &traffic {
                tx.connection
                    .prepare_cached(
                        "INSERT INTO plugin_traffic VALUES (?1,?2,?3,?4,?5,?6,?7,?8)
                         ON CONFLICT DO UPDATE SET requests = requests + excluded.requests,
                         sent_bytes = sent_bytes + excluded.sent_bytes,
                         received_bytes = received_bytes + excluded.received_bytes",
                    )?
                    .execute((
                        &tenant,
                        plugin,
                        one.hour,
                        &one.rule,
                        &one.host,
                        one.requests as i64,
                        one.sent_bytes as i64,
                        one.received_bytes as i64,
                    ))?;
            }
            let oldest = tx.now_us / 3_600_000_000 - KEPT_HOURS;
            for table in ["plugin_hours", "plugin_traffic"] {
                tx.connection.execute(&format!("DELETE FROM {table} WHERE hour < ?1"), [oldest])?;
            }
            Ok(())
        })
        .await
    }

    /// The calls of each plugin since an hour, all hours together.
    ///
    /// # Errors
    /// What the database says.
    pub async fn plugin_calls(&self, scope: &Scope, since_hour: i64) -> Result<Vec<(String, CallNumbers)>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(
                "SELECT plugin, calls, errors, computing_us, memory_bytes, wall, last_us FROM plugin_hours
                 WHERE tenant_id = ?1 AND hour >= ?2 ORDER BY plugin",
            )?;
            let mut rows = statement.query((tenant, since_hour))?;
            let mut all: Vec<(String, CallNumbers)> = Vec::new();
            while let Some(row) = rows.next()? {
                let plugin: String = row.get(0)?;
                let hour = numbers(row, 1)?;
                match all.last_mut() {
                    Some((last, sum)) if *last == plugin => sum.merge(&hour),
                    _ => all.push((plugin, hour)),
                }
            }
            Ok(all)
        })
        .await
    }

    /// The traffic of each plugin since an hour, by the hour.
    ///
    /// # Errors
    /// What the database says.
    pub async fn plugin_traffic(&self, scope: &Scope, since_hour: i64) -> Result<Vec<(String, Traffic)>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let mut statement = connection.prepare_cached(
                "SELECT plugin, hour, rule, host, requests, sent_bytes, received_bytes FROM plugin_traffic
                 WHERE tenant_id = ?1 AND hour >= ?2 ORDER BY plugin, host, rule, hour",
            )?;
            let rows = statement.query_map((tenant, since_hour), |row| {
                let traffic = Traffic {
                    hour: row.get(1)?,
                    rule: row.get(2)?,
                    host: row.get(3)?,
                    requests: row.get::<_, i64>(4)? as u64,
                    sent_bytes: row.get::<_, i64>(5)? as u64,
                    received_bytes: row.get::<_, i64>(6)? as u64,
                };
                Ok((row.get(0)?, traffic))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn numbers(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<CallNumbers> {
    Ok(CallNumbers {
        calls: row.get::<_, i64>(at)? as u64,
        errors: row.get::<_, i64>(at + 1)? as u64,
        computing_us: row.get::<_, i64>(at + 2)? as u64,
        memory_bytes: row.get::<_, i64>(at + 3)? as u64,
        wall: Wall::from_bytes(&row.get::<_, Vec<u8>>(at + 4)?),
        last_us: row.get(at + 5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_a_fifth() {
        let mut wall = Wall::default();
        assert_eq!(wall.quantile(0.5), None);
        for us in 1..=1000 {
            wall.add(us * 100);
        }
        for (part, exact) in [(0.5, 50_000.0), (0.99, 99_000.0), (0.01, 1_000.0)] {
            let found = wall.quantile(part).unwrap() as f64;
            assert!((found / exact - 1.0).abs() < 0.2, "{part}: {found}");
        }
        assert_eq!(Wall::from_bytes(&wall.bytes()), wall);
        wall.add(u64::MAX);
        wall.add(0);
    }
}
