//! A scanner call on a fresh instance: through the runtime, and by wasmtime alone.
//!
//! The reference is what an embedder writes who has one trusted component: the same machine code (taken from the
//! runtime's own cache, so that it is prepared and compiled once for both), an engine with the same settings, a linker
//! with WASI, and for each call a store, an instance and a typed call. It has no semaphore, no limits beyond the
//! engine's, no log, no time limit and no check of what comes back.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use fumehood_runtime::{CompiledCache, Plugin, PluginSource, Runtime, RuntimeConfig, World, limits};
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Store, Strategy,
    WasmFeatures,
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::measure::{Goal, Report, median, rounds};

wasmtime::component::bindgen!({
    world: "fumehood:scanner/scanner",
    path: ["../../wit/types-0.1.0", "../../wit/log-0.1.0", "../../wit/scanner-0.1.0"],
    imports: { default: async | trappable },
    exports: { default: async },
});

use exports::fumehood::scanner::guest::Chunk;

const ROUNDS: usize = 31;
/// Calls of one side in a round; the round's value is their median.
const CALLS: usize = 400;
/// Bytes of the text that is scanned.
const TEXT: usize = 1024;

pub fn run(report: &mut Report) {
    // From the first access lines on, so that the text holds what is found as well as what is passed over.
    let log = crate::log::mixed(256 << 10);
    let first = log.find("\"GET /").unwrap();
    let begin = log[..first].rfind('\n').map_or(0, |end| end + 1);
    let text = &log[begin..begin + TEXT];
    let folder = tempfile::tempdir().unwrap();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (runtime, plugin) = tokio.block_on(load_scanner(folder.path()));
    let bare = Bare::new(&artefact(folder.path()));
    let ours_chunk =
        || fumehood_runtime::Chunk { text, offset: 0, continues_before: false, continues_after: false, name: None };
    let bare_chunk = Chunk {
        text: text.to_owned(),
        offset: 0,
        continues_before: false,
        continues_after: false,
        extensions: Vec::new(),
    };
    let found = tokio.block_on(async {
        let ours = runtime.scan(&plugin, ours_chunk(), None).await.unwrap().findings.len();
        assert_eq!(ours, bare.scan(&bare_chunk).await, "both find the same");
        ours
    });
    println!("scanner call: {TEXT} bytes with {found} findings, {ROUNDS} rounds of {CALLS} calls each");
    let ours = || {
        tokio.block_on(timed(async || {
            runtime.scan(&plugin, ours_chunk(), None).await.unwrap();
        }))
    };
    let reference = || {
        tokio.block_on(timed(async || {
            bare.scan(&bare_chunk).await;
        }))
    };
    ours();
    reference();
    report.ratio("scanner call on a fresh instance", "µs", &rounds(ROUNDS, ours, reference), Some(Goal::AtMost(1.2)));
    let instance = || {
        tokio.block_on(timed(async || {
            bare.instance().await;
        }))
    };
    instance();
    report.ratio("the same against an instance alone", "µs", &rounds(ROUNDS, ours, instance), Some(Goal::AtMost(3.0)));
}

/// The bundled scanner in a runtime of its own; `cache` receives its machine code.
pub async fn load_scanner(cache: &Path) -> (Runtime, Plugin) {
    let runtime = runtime(cache);
    let plugin = load(&runtime, "scanner-pii").await;
    (runtime, plugin)
}

/// A runtime with its cache in a folder.
pub fn runtime(cache: &Path) -> Runtime {
    // Nobody else writes into this folder, so the tag authenticates nothing.
    let cache = CompiledCache::new(cache.to_path_buf(), Arc::new(|_, _| [0; TAG]));
    Runtime::new(RuntimeConfig {
        cache,
        instances: limits::INSTANCES,
        egress: None,
        compiler: None,
        deterministic: false,
    })
    .unwrap()
}

/// A scanner that ships.
pub async fn load(runtime: &Runtime, name: &str) -> Plugin {
    let bundled = fumehood_bundle::PLUGINS.iter().find(|plugin| plugin.name == name).unwrap();
    let source = PluginSource {
        name: bundled.name,
        version: env!("CARGO_PKG_VERSION"),
        world: World::Scanner,
        component: bundled.component,
        rules: "{}",
    };
    runtime.load(source).await.unwrap()
}

/// Bytes of the tag that a file of the cache begins with.
const TAG: usize = 32;

/// The one compiled component in the cache.
fn artefact(folder: &Path) -> Vec<u8> {
    let mut files = std::fs::read_dir(folder).unwrap();
    let bytes = std::fs::read(files.next().unwrap().unwrap().path()).unwrap();
    assert!(files.next().is_none(), "one component was loaded");
    bytes[TAG..].to_vec()
}

/// The median time of one call, µs.
async fn timed(mut call: impl AsyncFnMut()) -> f64 {
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let began = Instant::now();
        call().await;
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    median(&times)
}

/// wasmtime alone.
struct Bare {
    engine: Engine,
    scanner: ScannerPre<Host>,
}

struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl fumehood::log::log::Host for Host {
    async fn log(&mut self, _: fumehood::log::log::Level, _: String) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl Bare {
    fn new(artefact: &[u8]) -> Self {
        let engine = Engine::new(&settings()).unwrap();
        #[expect(unsafe_code, reason = "the bytes were made a moment ago, by the same version of wasmtime")]
        // SAFETY: they come from `precompile_component` in this process; an engine whose settings differ refuses them.
        let component = unsafe { Component::deserialize(&engine, artefact) }.unwrap();
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        fumehood::log::log::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host).unwrap();
        let scanner = ScannerPre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
        let clock = engine.weak();
        std::thread::spawn(move || {
            while let Some(engine) = clock.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(limits::TICK);
            }
        });
        Self { engine, scanner }
    }

    /// A store with an instance in it, and nothing called.
    async fn instance(&self) {
        let host = Host { wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
        let mut store = Store::new(&self.engine, host);
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        self.scanner.instantiate_async(&mut store).await.unwrap();
    }

    async fn scan(&self, chunk: &Chunk) -> usize {
        let host = Host { wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
        let mut store = Store::new(&self.engine, host);
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        let scanner = self.scanner.instantiate_async(&mut store).await.unwrap();
        scanner.fumehood_scanner_guest().call_scan(&mut store, chunk).await.unwrap().unwrap().len()
    }
}

/// The runtime's settings, written down again: of those that machine code depends on, wasmtime refuses the runtime's
/// code where one differs; the pool's are the runtime's own constants.
fn settings() -> Config {
    let instances = limits::INSTANCES;
    let each = |limit: usize| instances * u32::try_from(limit).unwrap();
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
        .memory_protection_keys(Enabled::Auto);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes).linear_memory_keep_resident(limits::KEPT_BYTES);
    }
    let off = WasmFeatures::MEMORY64
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
        | WasmFeatures::CM64;
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
        .wasm_features(off, false)
        .memory_init_cow(true)
        .wasm_backtrace_max_frames(None)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}
