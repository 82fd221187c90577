//! What plugins do, counted: gathered here and written to the store from time to time.

use std::collections::HashMap;
use std::sync::Mutex;

use fumehood_runtime::CallUsage;
use fumehood_store::Scope;
use fumehood_store::plugins::{CallNumbers, Traffic};

use crate::{App, TriageError};

/// What was not written yet.
#[derive(Default)]
pub(crate) struct Numbers(Mutex<Pending>);

#[derive(Default)]
struct Pending {
    calls: HashMap<(String, i64), CallNumbers>,
    traffic: HashMap<(String, i64, String, String), Traffic>,
}

/// The hour of the clock, counted from 1970.
pub(crate) const fn hour_of(us: i64) -> i64 {
    us.div_euclid(3_600_000_000)
}

impl Numbers {
    /// A call ended.
    pub(crate) fn called(&self, plugin: &str, usage: &CallUsage, now_us: i64) {
        let Ok(mut pending) = self.0.lock() else { return };
        let sum = pending.calls.entry((plugin.to_owned(), hour_of(now_us))).or_default();
        sum.calls += 1;
        sum.errors += u64::from(!usage.code.is_empty());
        sum.computing_us += usage.computing.as_micros() as u64;
        sum.memory_bytes = sum.memory_bytes.max(usage.memory_bytes);
        sum.wall.add(usage.wall.as_micros() as u64);
        sum.last_us = sum.last_us.max(now_us);
    }

    /// Bytes went to a host, or came from it.
    pub(crate) fn moved(&self, plugin: &str, rule: &str, host: &str, change: &Traffic, now_us: i64) {
        let Ok(mut pending) = self.0.lock() else { return };
        let hour = hour_of(now_us);
        let key = (plugin.to_owned(), hour, rule.to_owned(), host.to_owned());
        let sum = pending.traffic.entry(key).or_insert_with(|| Traffic {
            hour,
            rule: rule.to_owned(),
            host: host.to_owned(),
            ..Traffic::default()
        });
        sum.requests += change.requests;
        sum.sent_bytes += change.sent_bytes;
        sum.received_bytes += change.received_bytes;
    }
}

impl App {
    /// Write what was counted, so that pages show it and a restart does not lose it.
    pub(crate) async fn write_plugin_numbers(&self) -> Result<(), TriageError> {
        let pending = {
            let Ok(mut pending) = self.0.plugins.numbers.0.lock() else { return Ok(()) };
            std::mem::take(&mut *pending)
        };
        if pending.calls.is_empty() && pending.traffic.is_empty() {
            return Ok(());
        }
        let calls = pending.calls.into_iter().map(|((plugin, hour), numbers)| (plugin, hour, numbers)).collect();
        let traffic = pending.traffic.into_iter().map(|((plugin, ..), traffic)| (plugin, traffic)).collect();
        Ok(self.0.store.add_plugin_numbers(&Scope::system(), calls, traffic).await?)
    }
}
