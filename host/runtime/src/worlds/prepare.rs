//! Pre-initialisation: a scanner's `prepare` is run once, and the memory that it leaves becomes the component, so that
//! every instance starts with its automata built.

use wasmtime::component::{Component, Instance};
use wasmtime::{AsContextMut as _, Store};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use crate::bindings::scanner::{Scanner, ScannerPre};
use crate::engine::{Runtime, ticks};
use crate::error::{CallError, LoadError, classify, reason, shown};
use crate::limits;
use crate::load::PluginSource;
use crate::state::State;
use crate::wasi::LogBuffer;

/// What became of a scanner's `prepare`.
pub(crate) enum Prepared {
    /// The component with its memory as `prepare(rules)` left it.
    Image(Vec<u8>),
    /// It ran, and its memory cannot be kept, because the component is put together of others (as ComponentizeJS does
    /// with QuickJS): `prepare` is run in each instance instead.
    EachTime,
}

/// What wizer says of a component that is put together of others. Held for the pinned version by a test.
const NESTED: &str = "nested components with modules";

/// Run `prepare(rules)` once, and keep the memory that it leaves.
pub(crate) async fn prepare(runtime: &Runtime, source: &PluginSource<'_>) -> Result<Prepared, LoadError> {
    let plugin = || source.name.to_owned();
    let failed = |reason: String| LoadError::Prepare { plugin: plugin(), reason };
    let world = |error: wasmtime::Error| LoadError::World {
        plugin: plugin(),
        world: source.world.name(),
        reason: reason(&error),
    };
    let wizer = Wizer::new();
    let instrumented = match wizer.instrument_component(source.component) {
        Ok(instrumented) => Some(instrumented),
        Err(error) if format!("{error:#}").contains(NESTED) => None,
        Err(error) => return Err(LoadError::NotAComponent { plugin: plugin(), reason: reason(&error) }),
    };
    let engine = &runtime.0.engine;
    let bytes = instrumented.as_ref().map_or(source.component, |(_, bytes)| bytes.as_slice());
    let component = Component::new(engine, bytes)
        .map_err(|error| LoadError::Compile { plugin: plugin(), reason: reason(&error) })?;
    crate::load::check_imports(engine, source, &component)?;
    let pre = runtime.0.scanner.instantiate_pre(&component).map_err(world)?;
    // Whether it is a scanner at all is known before any of its code runs.
    ScannerPre::new(pre.clone()).map_err(world)?;

    let _permit = runtime.permit().await.ok_or_else(|| failed("the runtime is shutting down".into()))?;
    let ticks = ticks(limits::CPU_PREPARE);
    let mut state = State::new(Default::default());
    state.begin_call(ticks);
    let log = state.log.clone();
    let mut store = runtime.store(state, limits::HOSTCALL_BYTES);
    let stopped = |error: wasmtime::Error| {
        let cpu_ms = limits::CPU_PREPARE.as_millis() as u64;
        failed(with_log(classify("it", &error, cpu_ms), &log))
    };
    let run = async {
        let instance = pre.instantiate_async(&mut store).await.map_err(stopped)?;
        let scanner = Scanner::new(&mut store, &instance).map_err(world)?;
        let answer = scanner.fumehood_scanner_guest().call_prepare(&mut store, source.rules).await;
        answer.map_err(stopped)?.map_err(|failure| failed(shown(&failure.message)))?;
        let Some((context, _)) = &instrumented else { return Ok(Prepared::EachTime) };
        store.data_mut().begin_call(ticks);
        let snapshot = wizer.snapshot_component(context, &mut Snapshot { store: &mut store, instance }).await;
        snapshot.map(Prepared::Image).map_err(|error| failed(reason(&error)))
    };
    let limit = limits::PREPARE_WALL;
    tokio::time::timeout(limit, run).await.unwrap_or_else(|_| {
        let stalled = CallError::Stalled { plugin: "it".into(), limit_ms: limit.as_millis() as u64 };
        Err(failed(with_log(stalled, &log)))
    })
}

/// Why it was stopped, and the first lines that it logged. `prepare` sees rules and no text of anyone's, so its words
/// may be shown.
fn with_log(error: CallError, log: &LogBuffer) -> String {
    let (lines, _) = log.take();
    let said: Vec<_> = lines.into_iter().map(|(_, line)| line).take(8).collect();
    if said.is_empty() { error.to_string() } else { shown(&format!("{error}; it logged: {}", said.join("; "))) }
}

/// Reads an instance's memory and globals for the snapshot.
struct Snapshot<'a> {
    store: &'a mut Store<State>,
    instance: Instance,
}

impl Snapshot<'_> {
    /// Call an accessor that the instrumentation added. These are ours, take nothing and cannot fail but by a fault of
    /// the instrumentation itself, for which the trait leaves no other way out than to stop.
    async fn call<R>(&mut self, instance: &str, func: &str) -> R
    where
        R: wasmtime::component::Lift + Send + Sync + 'static,
    {
        let mut read = async || {
            let (_, outer) = self.instance.get_export(&mut *self.store, None, instance)?;
            let (_, inner) = self.instance.get_export(&mut *self.store, Some(&outer), func)?;
            let typed = self.instance.get_typed_func::<(), (R,)>(&mut *self.store, inner).ok()?;
            typed.call_async(&mut *self.store, ()).await.ok()
        };
        match read().await {
            Some((value,)) => value,
            #[expect(clippy::panic, reason = "the trait is infallible and the accessor is of our own making")]
            None => panic!("the snapshot accessor {instance}#{func} is missing"),
        }
    }
}

impl ComponentInstanceState for Snapshot<'_> {
    async fn call_func_ret_list_u8(&mut self, instance: &str, func: &str, contents: impl FnOnce(&[u8]) + Send) {
        // The whole memory is lifted at once: lift the bound for it.
        self.store.set_hostcall_fuel(limits::MEMORY_BYTES * 2);
        let list: wasmtime::component::WasmList<u8> = self.call(instance, func).await;
        contents(list.as_le_slice(self.store.as_context_mut()));
    }
    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.call(instance, func).await
    }
    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.call(instance, func).await
    }
    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        let value: f32 = self.call(instance, func).await;
        value.to_bits()
    }
    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        let value: f64 = self.call(instance, func).await;
        value.to_bits()
    }
}
