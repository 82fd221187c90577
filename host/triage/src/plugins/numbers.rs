//! What plugins do, counted: gathered here and written to the store from time to time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;

use fumehood_runtime::CallUsage;
use fumehood_store::Scope;
use fumehood_store::plugins::{CallNumbers, Traffic};

use crate::{App, TriageError};

/// What was not written yet.
#[derive(Default)]
pub(crate) struct Numbers {
    pending: Mutex<Pending>,
    /// Held while they are written: who waits for it finds what was counted before on disk.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Pending {
    calls: HashMap<(String, i64), CallNumbers>,
    traffic: HashMap<(String, i64, String, String), Traffic>,
}

/// The hour of the clock, counted from 1970.
pub(crate) const fn hour_of(us: i64) -> i64 {
    us.div_euclid(3_600_000_000)
}

impl Pending {
    /// What could not be written is added to what came since.
    fn take_back(&mut self, before: Self) {
        for (key, old) in before.calls {
            self.calls.entry(key).or_default().merge(&old);
        }
        for (key, old) in before.traffic {
            match self.traffic.entry(key) {
                Entry::Vacant(place) => drop(place.insert(old)),
                Entry::Occupied(mut place) => place.get_mut().add(&old),
            }
        }
    }
}

impl Numbers {
    /// A call ended.
    pub(crate) fn called(&self, plugin: &str, usage: &CallUsage, now_us: i64) {
        let Ok(mut pending) = self.pending.lock() else { return };
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
        let Ok(mut pending) = self.pending.lock() else { return };
        let hour = hour_of(now_us);
        let key = (plugin.to_owned(), hour, rule.to_owned(), host.to_owned());
        let sum = pending.traffic.entry(key).or_insert_with(|| Traffic {
            hour,
            rule: rule.to_owned(),
            host: host.to_owned(),
            ..Traffic::default()
        });
        sum.add(change);
    }
}

impl App {
    /// Write what was counted, so that pages show it and a restart does not lose it.
    ///
    /// # Errors
    /// What the database says; nothing is lost then.
    pub(crate) async fn write_plugin_numbers(&self) -> Result<(), TriageError> {
        // In a task of its own: a call that is dropped while it waits must not take the others' numbers with it.
        let app = self.clone();
        let written = self.0.tasks.spawn(async move { app.write_numbers().await }).await;
        written.map_err(|error| TriageError::Internal(error.to_string()))?
    }

    async fn write_numbers(&self) -> Result<(), TriageError> {
        let numbers = &self.0.plugins.numbers;
        let _writing = numbers.writing.lock().await;
        let pending = {
            let Ok(mut pending) = numbers.pending.lock() else { return Ok(()) };
            std::mem::take(&mut *pending)
        };
        if pending.calls.is_empty() && pending.traffic.is_empty() {
            return Ok(());
        }
        let calls = pending.calls.iter().map(|((plugin, hour), numbers)| (plugin.clone(), *hour, numbers.clone()));
        let traffic = pending.traffic.iter().map(|((plugin, ..), traffic)| (plugin.clone(), traffic.clone()));
        let written = self.0.store.add_plugin_numbers(&Scope::system(), calls.collect(), traffic.collect()).await;
        if written.is_err()
            && let Ok(mut now) = numbers.pending.lock()
        {
            now.take_back(pending);
        }
        Ok(written?)
    }
}
