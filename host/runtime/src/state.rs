//! The data of one store: what a running plugin owns on the host's side.
//!
//! Invariant: everything here dies with the store. Cumulative quotas live here, because wasmtime's own start afresh
//! with each host call.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::effects::CallHost;
use crate::error::LimitHit;
use crate::limits;
use crate::wasi::{self, LogBuffer};

pub(crate) struct State {
    wasi: WasiCtx,
    pub(crate) table: ResourceTable,
    pub(crate) limits: Bounds,
    pub(crate) log: LogBuffer,
    pub(crate) config: Arc<BTreeMap<String, String>>,
    pub(crate) host: Option<Arc<dyn CallHost>>,
    pub(crate) egress: Option<Arc<fumehood_egress::Egress>>,
    /// Ticks of computing left in the current call.
    pub(crate) ticks_left: u64,
    /// Ticks of computing used over the life of the store.
    pub(crate) ticks_used: u64,
    calls_left: u64,
    calls_made: u64,
    bytes_left: u64,
}

impl State {
    pub(crate) fn new(config: Arc<BTreeMap<String, String>>) -> Self {
        let log = LogBuffer::default();
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::HANDLES);
        Self {
            wasi: wasi::context(&log),
            table,
            limits: Bounds::default(),
            log,
            config,
            host: None,
            egress: None,
            ticks_left: 0,
            ticks_used: 0,
            calls_left: limits::HOST_CALLS,
            calls_made: 0,
            bytes_left: limits::CUMULATIVE_BYTES,
        }
    }

    /// With clocks that stand still and random numbers that repeat themselves.
    pub(crate) fn deterministic(mut self) -> Self {
        self.wasi = wasi::deterministic(&self.log);
        self
    }

    /// A new call of a store that lives on: what is bounded for each call starts afresh.
    pub(crate) fn begin_call(&mut self, ticks: u64) {
        self.ticks_left = ticks;
        self.calls_left = limits::HOST_CALLS;
    }

    /// Host calls over the life of the store.
    pub(crate) fn host_calls(&self) -> u64 {
        self.calls_made
    }

    /// Count one host call that hands over `bytes`; trap where a cumulative quota is spent.
    pub(crate) fn charge(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.calls_made += 1;
        self.calls_left = self.calls_left.checked_sub(1).ok_or(LimitHit("host calls"))?;
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(LimitHit("bytes handed to the host in all"))?;
        Ok(())
    }
}

/// What wasmtime asks before it gives a store memory, tables or instances. wasmtime's own `StoreLimits` bound each memory
/// and each table, not what they are together.
///
/// What was refused by wasmtime itself after it was allowed here stays counted: only the operating system can do that.
#[derive(Default)]
pub(crate) struct Bounds {
    memory_bytes: usize,
    table_elements: usize,
}

impl Bounds {
    /// The most linear memory so far: none is given back while the store lives.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

/// Count growth from `current` to `desired`, if the sum stays within `limit`.
fn grow(sum: &mut usize, limit: usize, current: usize, desired: usize, maximum: Option<usize>) -> bool {
    let grown = sum.saturating_add(desired.saturating_sub(current));
    let fits = grown <= limit && maximum.is_none_or(|maximum| desired <= maximum);
    if fits {
        *sum = grown;
    }
    fits
}

impl ResourceLimiter for Bounds {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(grow(&mut self.memory_bytes, limits::MEMORY_BYTES, current, desired, maximum))
    }
    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(grow(&mut self.table_elements, limits::TABLE_ELEMENTS, current, desired, maximum))
    }
    fn instances(&self) -> usize {
        limits::CORE_INSTANCES
    }
    fn memories(&self) -> usize {
        limits::MEMORIES
    }
    fn tables(&self) -> usize {
        limits::TABLES
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_and_tables_are_bounded_together() {
        let mut bounds = Bounds::default();
        let half = limits::MEMORY_BYTES / 2;
        assert!(bounds.memory_growing(0, half, None).unwrap());
        assert!(!bounds.memory_growing(0, half + 1, None).unwrap(), "another memory");
        assert!(!bounds.memory_growing(half, half * 2, Some(half)).unwrap(), "over its own maximum");
        assert!(bounds.memory_growing(half, half * 2, None).unwrap(), "what was refused is not counted");
        assert!(!bounds.memory_growing(0, 1, None).unwrap());
        assert!(bounds.table_growing(0, limits::TABLE_ELEMENTS, None).unwrap());
        assert!(!bounds.table_growing(0, 1, None).unwrap());
        assert!(!Bounds::default().memory_growing(0, usize::MAX, None).unwrap());
    }
}
