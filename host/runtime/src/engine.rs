//! The engine: one per process, with the epoch clock and the pool that queues.
//!
//! Invariant: a permit is held for as long as a store lives, so the pooling allocator is never asked for a slot that
//! it does not have: callers wait instead of failing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::Linker;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Store, Strategy,
    UpdateDeadline, WasmFeatures,
};

use crate::error::{LimitHit, LoadError};
use crate::state::State;
use crate::{CompiledCache, limits, wasi};

/// How a runtime is set up.
pub struct RuntimeConfig {
    pub cache: CompiledCache,
    /// Instances that may live at once; `limits::INSTANCES` unless a test wants fewer.
    pub instances: u32,
    /// The network, for worlds that may use it.
    pub egress: Option<Arc<fumehood_egress::Egress>>,
    /// What compiles: a program that runs [`crate::compile_child`]. With nothing, or without egress, this process does
    /// it itself, which is for tests and for the child alone.
    pub compiler: Option<fumehood_egress::ProcessSpec>,
    /// Clocks that stand still and random numbers that repeat themselves: for a plugin's own tests.
    pub deterministic: bool,
}

/// Runs plugins; cheap to clone.
#[derive(Clone)]
pub struct Runtime(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) cache: CompiledCache,
    pub(crate) egress: Option<Arc<fumehood_egress::Egress>>,
    pub(crate) compiler: Option<fumehood_egress::ProcessSpec>,
    pub(crate) deterministic: bool,
    pub(crate) scanner: Linker<State>,
    pub(crate) provider: Linker<State>,
    pub(crate) integration: Linker<State>,
    pub(crate) transport: Linker<State>,
    pool: Arc<Semaphore>,
    long_lived: Arc<Semaphore>,
    _ticker: Arc<()>,
}

impl Runtime {
    /// Set up the engine, the linkers and the epoch clock.
    pub fn new(config: RuntimeConfig) -> Result<Self, LoadError> {
        let engine = Engine::new(&engine_config(config.instances)).map_err(engine_error)?;
        let link = |world: fn(&mut Linker<State>) -> wasmtime::Result<()>| {
            let mut linker = Linker::new(&engine);
            wasi::add_to_linker(&mut linker).and_then(|()| world(&mut linker)).map_err(engine_error)?;
            Ok::<_, LoadError>(linker)
        };
        let ticker = Arc::new(());
        start_ticker(&engine, &ticker)?;
        Ok(Self(Arc::new(Inner {
            scanner: link(crate::host::add_log)?,
            provider: link(crate::host::add_provider)?,
            integration: link(crate::host::add_integration)?,
            transport: link(crate::host::add_transport)?,
            engine,
            cache: config.cache,
            egress: config.egress,
            compiler: config.compiler,
            deterministic: config.deterministic,
            pool: Arc::new(Semaphore::new(config.instances as usize)),
            long_lived: Arc::new(Semaphore::new(limits::LONG_LIVED.min(config.instances as usize / 2).max(1))),
            _ticker: ticker,
        })))
    }

    /// Wait for room for one instance.
    pub(crate) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.pool).acquire_owned().await.ok()
    }

    /// Take room for an instance that lives as long as a connection; nothing where all such room is taken.
    pub(crate) fn long_lived_permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.long_lived).try_acquire_owned().ok()
    }

    /// A store with every bound in place.
    pub(crate) fn store(&self, state: State, hostcall_bytes: usize) -> Store<State> {
        let mut store = Store::new(&self.0.engine, state);
        store.limiter(|state| &mut state.limits);
        store.set_hostcall_fuel(hostcall_bytes);
        store.set_max_component_handles(limits::HANDLES);
        store.set_epoch_deadline(1);
        // The callback runs only while the guest computes, so what it counts is computing time, not waiting time.
        store.epoch_deadline_callback(|mut context| {
            let state = context.data_mut();
            state.ticks_used += 1;
            state.ticks_left = state.ticks_left.checked_sub(1).ok_or(LimitHit("computing time"))?;
            Ok(UpdateDeadline::Yield(1))
        });
        store
    }
}

/// Ticks in a duration, at least one.
pub(crate) fn ticks(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis() / limits::TICK.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn engine_error(error: wasmtime::Error) -> LoadError {
    LoadError::Engine(format!("{error:#}"))
}

/// A plain thread drives the epoch: a busy async runtime must not be able to delay interruption.
fn start_ticker(engine: &Engine, alive: &Arc<()>) -> Result<(), LoadError> {
    let engine = engine.weak();
    let alive = Arc::downgrade(alive);
    std::thread::Builder::new()
        .name("plugin-epoch".into())
        .spawn(move || {
            while alive.upgrade().is_some() {
                #[expect(clippy::disallowed_methods, reason = "a clock is what this thread is")]
                std::thread::sleep(limits::TICK);
                match engine.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => break,
                }
            }
        })
        .map(drop)
        .map_err(|error| LoadError::Engine(error.to_string()))
}

/// What no plugin of the contract needs, and what would be more engine to trust.
fn features_off() -> WasmFeatures {
    WasmFeatures::MEMORY64
        | WasmFeatures::THREADS
        | WasmFeatures::SHARED_EVERYTHING_THREADS
        | WasmFeatures::RELAXED_SIMD
        | WasmFeatures::FUNCTION_REFERENCES
        | WasmFeatures::GC
        | WasmFeatures::EXCEPTIONS
        | WasmFeatures::LEGACY_EXCEPTIONS
        | WasmFeatures::STACK_SWITCHING
        | WasmFeatures::CUSTOM_PAGE_SIZES
        | WasmFeatures::CM_ASYNC
        | WasmFeatures::CM_ASYNC_STACKFUL
        | WasmFeatures::CM_MORE_ASYNC_BUILTINS
        | WasmFeatures::CM_THREADING
        | WasmFeatures::CM_ERROR_CONTEXT
        | WasmFeatures::CM_GC
        | WasmFeatures::CM64
}

/// The engine's settings. `tests::golden` holds them still.
pub(crate) fn engine_config(instances: u32) -> Config {
    // As many of each as every instance may have: what one takes is never another's. They cost address space only.
    let each = |limit: usize| instances.saturating_mul(u32::try_from(limit).unwrap_or(u32::MAX));
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(each(limits::CORE_INSTANCES))
        .total_memories(each(limits::MEMORIES))
        .total_tables(each(limits::TABLES))
        .total_stacks(instances)
        .max_core_instances_per_component(limits::CORE_INSTANCES as u32)
        .max_memories_per_component(limits::MEMORIES as u32)
        .max_tables_per_component(limits::TABLES as u32)
        .max_memory_size(limits::MEMORY_BYTES)
        .table_elements(limits::TABLE_ELEMENTS)
        // A table's first pages are zeroed in place: cheaper than giving them back, which stops every other thread.
        .table_keep_resident(limits::KEPT_TABLE_BYTES)
        .memory_protection_keys(Enabled::Auto);
    // Where the kernel tells which pages were written, those few are reset in place: a third of the cost of an instance.
    // Where it does not, resetting all of them would cost more than giving them back.
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes).linear_memory_keep_resident(limits::KEPT_BYTES);
    }
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .max_wasm_stack(limits::WASM_STACK_BYTES)
        .async_stack_size(limits::ASYNC_STACK_BYTES)
        .wasm_component_model(true)
        .concurrency_support(false)
        .wasm_multi_memory(true)
        .wasm_features(features_off(), false)
        .memory_init_cow(true)
        .wasm_backtrace_max_frames(None)
        .parallel_compilation(true)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden() {
        let config = Engine::new(&engine_config(limits::INSTANCES)).unwrap();
        assert!(matches!(config.get_strategy(), Some(Strategy::Cranelift)), "Cranelift, never Winch");
        assert!(config.get_epoch_interruption());
        assert!(!config.get_concurrency_support());
        assert!(config.get_memory_init_cow());
        assert_eq!(config.get_max_wasm_stack(), 1 << 20);
        assert!(
            config.get_memory_guard_size() == 0 || config.get_memory_guard_size() >= 32 << 20,
            "guard pages stay on"
        );
        let features = config.get_wasm_features();
        assert_eq!(features & features_off(), WasmFeatures::empty(), "all of them are off");
        for off in ["MEMORY64", "THREADS", "RELAXED_SIMD", "GC", "EXCEPTIONS", "CM_ASYNC", "CM_THREADING"] {
            assert!(features.iter_names().all(|(name, _)| name != off), "{off} is off");
        }
        let pool = config.get_pooling_config().expect("the pooling allocator");
        assert_eq!(pool.get_max_memory_size(), 64 << 20);
        assert_eq!(pool.get_table_elements(), 100_000);
        assert_eq!(pool.get_total_component_instances(), 96);
        assert_eq!(pool.get_total_core_instances(), 96 * pool.get_max_core_instances_per_component());
        assert_eq!(pool.get_total_memories(), 96 * pool.get_max_memories_per_component());
        assert_eq!(pool.get_total_tables(), 96 * pool.get_max_tables_per_component());
        assert_eq!(pool.get_table_keep_resident(), 64 << 10);
        assert_eq!(pool.get_memory_protection_keys(), Enabled::Auto);
        let kept = if PoolingAllocationConfig::is_pagemap_scan_available() { 1 << 20 } else { 0 };
        assert_eq!(pool.get_memory_keep_resident(), kept);
    }

    #[test]
    fn the_bounds_of_a_store() {
        let runtime = Runtime::new(RuntimeConfig {
            cache: CompiledCache::none(),
            instances: 4,
            egress: None,
            compiler: None,
            deterministic: false,
        })
        .unwrap();
        let store = runtime.store(State::new(Default::default()), limits::HOSTCALL_BYTES);
        assert_eq!(store.hostcall_fuel(), 4 << 20);
        assert_eq!(store.max_component_handles(), 1_000);
    }
}
