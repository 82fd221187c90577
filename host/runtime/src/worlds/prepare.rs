//! Pre-initialisation: a scanner's `prepare` is run once, and the memory that it leaves becomes the component, so that
//! every instance starts with its automata built.

use wasmtime::component::{Component, Instance};
use wasmtime::{AsContextMut as _, Store};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use crate::bindings::scanner::Scanner;
use crate::engine::{Runtime, ticks};
use crate::error::LoadError;
use crate::limits;
use crate::load::PluginSource;
use crate::state::State;

/// The component with its memory as `prepare(rules)` left it.
pub(crate) async fn prepare(runtime: &Runtime, source: &PluginSource<'_>) -> Result<Vec<u8>, LoadError> {
    let failed = |reason: String| LoadError::Prepare { plugin: source.name.into(), reason };
    let not_a_component =
        |error: wasmtime::Error| LoadError::NotAComponent { plugin: source.name.into(), reason: format!("{error:#}") };
    let wizer = Wizer::new();
    let (context, instrumented) = wizer.instrument_component(source.component).map_err(not_a_component)?;
    let engine = &runtime.0.engine;
    let component = Component::new(engine, &instrumented)
        .map_err(|error| LoadError::Compile { plugin: source.name.into(), reason: format!("{error:#}") })?;
    crate::load::check_imports(engine, source, &component)?;

    let _permit = runtime.permit().await.ok_or_else(|| failed("the runtime is shutting down".into()))?;
    let mut state = State::new(Default::default());
    state.ticks_left = ticks(limits::CPU_PREPARE);
    let log = state.log.clone();
    let mut store = runtime.store(state, limits::HOSTCALL_BYTES);
    let world_error = |error: wasmtime::Error| LoadError::World {
        plugin: source.name.into(),
        world: source.world.name(),
        reason: format!("{error:#}"),
    };
    let instance = runtime.0.scanner.instantiate_async(&mut store, &component).await.map_err(world_error)?;
    let scanner = Scanner::new(&mut store, &instance).map_err(world_error)?;
    let answer = scanner.fumehood_scanner_guest().call_prepare(&mut store, source.rules).await;
    match answer {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => return Err(failed(failure.message)),
        Err(error) => {
            let (lines, _) = log.take();
            let said: Vec<_> = lines.into_iter().map(|(_, line)| line).take(8).collect();
            return Err(failed(format!("{error:#}; {}", said.join("; "))));
        }
    }
    store.data_mut().ticks_left = ticks(limits::CPU_PREPARE);
    wizer
        .snapshot_component(&context, &mut Snapshot { store: &mut store, instance })
        .await
        .map_err(|error| failed(format!("{error:#}")))
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
