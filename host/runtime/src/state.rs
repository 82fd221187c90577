//! The data of one store: what a running plugin owns on the host's side.
//!
//! Invariant: everything here dies with the store. Cumulative quotas live here, because wasmtime's own start afresh
//! with each host call.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime::{StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::effects::CallHost;
use crate::error::LimitHit;
use crate::limits;
use crate::wasi::{self, LogBuffer};

pub(crate) struct State {
    wasi: WasiCtx,
    pub(crate) table: ResourceTable,
    pub(crate) limits: StoreLimits,
    pub(crate) log: LogBuffer,
    pub(crate) config: Arc<BTreeMap<String, String>>,
    pub(crate) host: Option<Arc<dyn CallHost>>,
    pub(crate) egress: Option<Arc<fumehood_egress::Egress>>,
    /// Ticks of computing left in the current call.
    pub(crate) ticks_left: u64,
    /// Ticks of computing used over the life of the store.
    pub(crate) ticks_used: u64,
    calls_left: u64,
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
            limits: store_limits(),
            log,
            config,
            host: None,
            egress: None,
            ticks_left: 0,
            ticks_used: 0,
            calls_left: limits::HOST_CALLS,
            bytes_left: limits::CUMULATIVE_BYTES,
        }
    }

    /// Count one host call that hands over `bytes`; trap where a cumulative quota is spent.
    pub(crate) fn charge(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.calls_left = self.calls_left.checked_sub(1).ok_or(LimitHit("host calls"))?;
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(LimitHit("bytes handed to the host in all"))?;
        Ok(())
    }
}

/// The bounds that wasmtime itself keeps for a store.
pub(crate) fn store_limits() -> StoreLimits {
    StoreLimitsBuilder::new()
        .memory_size(limits::MEMORY_BYTES)
        .table_elements(limits::TABLE_ELEMENTS)
        .instances(limits::CORE_INSTANCES)
        .memories(limits::MEMORIES)
        .tables(limits::TABLES)
        .build()
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
