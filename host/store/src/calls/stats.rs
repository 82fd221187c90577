//! Numbers over the record: calls, errors and how long they took, by what people ask for and over time.

use std::collections::BTreeMap;

use super::{CallFilter, LISTENS};
use crate::{Scope, Store, StoreError};

/// Rows that one question reads at most, newest first.
const READ: usize = 1_000_000;

/// Stands between the parts of a group's name.
pub const PART: char = '\u{1f}';

/// By what calls are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// Server and tool, resource or prompt.
    Subject,
    Client,
    /// The same, its three parts with [`PART`] between them.
    ClientParts,
    Server,
    Method,
}

impl Grouping {
    fn column(self) -> &'static str {
        match self {
            Self::Subject => {
                "CASE WHEN subject = '' THEN method WHEN server = '' THEN subject ELSE server || ' ' || subject END"
            }
            Self::Client => "client || ' ' || client_version || ' ' || platform",
            Self::ClientParts => "client || char(31) || client_version || char(31) || platform",
            Self::Server => "server",
            Self::Method => "method",
        }
    }
}

/// Numbers of a group. Times are in microseconds, of calls that have ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CallStats {
    pub name: String,
    pub calls: u64,
    /// Calls that did not end well; those that are open are none.
    pub errors: u64,
    pub p50_us: u64,
    pub p95_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub last_us: i64,
}

/// Numbers of a stretch of time.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct TimeSlot {
    pub from_us: i64,
    pub stats: CallStats,
}

#[derive(Default)]
struct Sum {
    stats: CallStats,
    latencies: Vec<u64>,
}

impl Sum {
    fn add(&mut self, row: &Read) {
        self.stats.calls += 1;
        self.stats.errors += u64::from(row.status != "ok" && row.status != "open");
        self.stats.bytes_in += row.bytes_in;
        self.stats.bytes_out += row.bytes_out;
        self.stats.last_us = self.stats.last_us.max(row.time_us);
        self.latencies.extend(row.latency);
    }

    fn stats(mut self, name: String) -> CallStats {
        self.latencies.sort_unstable();
        let [p50_us, p95_us, p99_us] = [50, 95, 99].map(|percent| percentile(&self.latencies, percent));
        let max_us = self.latencies.last().copied().unwrap_or_default();
        CallStats { name, p50_us, p95_us, p99_us, max_us, ..self.stats }
    }
}

/// The smallest value that `percent` of all are at most; 0 for none.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

struct Read {
    name: String,
    time_us: i64,
    latency: Option<u64>,
    status: String,
    bytes_in: u64,
    bytes_out: u64,
}

impl Store {
    async fn each_call(
        &self,
        scope: &Scope,
        filter: CallFilter,
        column: &'static str,
    ) -> Result<Vec<Read>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let (condition, values) = filter.condition(&tenant);
            let sql = format!(
                "SELECT {column}, time_us, CASE method WHEN '{LISTENS}' THEN NULL ELSE latency_us END, status, bytes_in,
                 coalesce(bytes_out, 0) FROM mcp_calls
                 WHERE {condition} ORDER BY number DESC LIMIT {READ}"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let row = |row: &rusqlite::Row<'_>| {
                Ok(Read {
                    name: row.get(0)?,
                    time_us: row.get(1)?,
                    latency: row.get::<_, Option<i64>>(2)?.and_then(|us| u64::try_from(us).ok()),
                    status: row.get(3)?,
                    bytes_in: u64::try_from(row.get::<_, i64>(4)?).unwrap_or_default(),
                    bytes_out: u64::try_from(row.get::<_, i64>(5)?).unwrap_or_default(),
                })
            };
            Ok(statement.query_map(rusqlite::params_from_iter(values), row)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Numbers by group, those with most calls first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn mcp_stats(
        &self,
        scope: &Scope,
        filter: CallFilter,
        by: Grouping,
    ) -> Result<Vec<CallStats>, StoreError> {
        let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
        for row in self.each_call(scope, filter, by.column()).await? {
            sums.entry(row.name.trim().to_owned()).or_default().add(&row);
        }
        let mut stats: Vec<CallStats> = sums.into_iter().map(|(name, sum)| sum.stats(name)).collect();
        stats.sort_by(|a, b| b.calls.cmp(&a.calls).then_with(|| a.name.cmp(&b.name)));
        Ok(stats)
    }

    /// Numbers over time: from `since_us` of the filter to `until_us` in `slots` stretches of equal length, and of all.
    ///
    /// # Errors
    /// What the database says.
    pub async fn mcp_over_time(
        &self,
        scope: &Scope,
        filter: CallFilter,
        until_us: i64,
        slots: usize,
    ) -> Result<(Vec<TimeSlot>, CallStats), StoreError> {
        let from = filter.since_us;
        let length = ((until_us - from).max(1) / i64::try_from(slots.max(1)).unwrap_or(1)).max(1);
        let (mut sums, mut all) = (BTreeMap::<usize, Sum>::new(), Sum::default());
        for row in self.each_call(scope, filter, "''").await? {
            let slot = usize::try_from((row.time_us - from) / length).unwrap_or_default().min(slots.max(1) - 1);
            sums.entry(slot).or_default().add(&row);
            all.add(&row);
        }
        let slot = |at: usize| TimeSlot {
            from_us: from + length * i64::try_from(at).unwrap_or_default(),
            stats: sums.remove(&at).unwrap_or_default().stats(String::new()),
        };
        Ok(((0..slots).map(slot).collect(), all.stats(String::new())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<u64> = (1..=100).collect();
        assert_eq!([50, 95, 99].map(|percent| percentile(&values, percent)), [50, 95, 99]);
        assert_eq!(percentile(&[7], 50), 7);
        assert_eq!(percentile(&[1, 2, 3], 99), 3);
        assert_eq!(percentile(&[], 50), 0);
    }
}
