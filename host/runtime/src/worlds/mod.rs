//! One module per world: how its functions are called, and what the host checks of their results.

pub mod integration;
pub(crate) mod prepare;
pub mod provider;
pub(crate) mod scanner;
pub(crate) mod transport;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;
use wasmtime::Store;
use wasmtime::component::InstancePre;

use crate::bindings;
use crate::effects::{CallHost, CallUsage, LogLine};
use crate::engine::{Runtime, ticks};
use crate::error::{CallError, classify};
use crate::limits;
use crate::load::{Plugin, World};
use crate::state::State;

/// The typed entry of a loaded component.
pub(crate) enum Entry {
    Scanner(bindings::scanner::ScannerPre<State>),
    Provider(bindings::provider::ProviderPre<State>),
    Integration(bindings::integration::IntegrationPre<State>),
    Transport(bindings::transport::TransportPre<State>),
}

impl Entry {
    pub(crate) fn new(world: World, pre: InstancePre<State>) -> wasmtime::Result<Self> {
        Ok(match world {
            World::Scanner => Self::Scanner(bindings::scanner::ScannerPre::new(pre)?),
            World::Provider => Self::Provider(bindings::provider::ProviderPre::new(pre)?),
            World::Integration => Self::Integration(bindings::integration::IntegrationPre::new(pre)?),
            World::Transport => Self::Transport(bindings::transport::TransportPre::new(pre)?),
        })
    }
}

/// One living store with what it needs to be charged, timed and logged.
pub(crate) struct Live {
    pub(crate) store: Store<State>,
    plugin: String,
    host: Option<Arc<dyn CallHost>>,
    _permit: OwnedSemaphorePermit,
    _long: Option<OwnedSemaphorePermit>,
    /// A store that trapped or ran out of time is never entered again.
    dead: bool,
    usage: CallUsage,
}

/// How long a guest that is cancelled may take to end by itself: its host calls fail at once, and what it says of them
/// is worth more than that it was stopped.
const GRACE: Duration = Duration::from_millis(250);

impl Live {
    /// A fresh store for a call of `function`, which is on record when this returns; waits for room.
    pub(crate) async fn new(
        runtime: &Runtime,
        plugin: &Plugin,
        function: &'static str,
        config: Arc<BTreeMap<String, String>>,
        host: Option<Arc<dyn CallHost>>,
        hostcall_bytes: usize,
        long_lived: bool,
    ) -> Result<Self, CallError> {
        let long = if long_lived {
            Some(runtime.long_lived_permit().ok_or(CallError::NoRoom { limit: limits::LONG_LIVED })?)
        } else {
            None
        };
        let cancelled = || CallError::Cancelled { plugin: plugin.name().to_owned() };
        let cancel = host.as_ref().map(|host| host.cancellation()).unwrap_or_default();
        if cancel.is_cancelled() {
            return Err(cancelled());
        }
        let permit = tokio::select! {
            biased;
            () = cancel.cancelled() => None,
            permit = runtime.permit() => permit,
        };
        let permit = permit.ok_or_else(cancelled)?;
        if let Some(host) = &host {
            let begun = host.begin(function).await;
            begun.map_err(|failure| CallError::Failed { plugin: plugin.name().into(), failure })?;
        }
        let mut state = State::new(config);
        if runtime.0.deterministic {
            state = state.deterministic();
        }
        state.host = host.clone();
        state.egress = runtime.0.egress.clone();
        Ok(Self {
            store: runtime.store(state, hostcall_bytes),
            plugin: plugin.name().to_owned(),
            host,
            _permit: permit,
            _long: long,
            dead: false,
            usage: CallUsage::default(),
        })
    }

    /// Run one guest call under its bounds. After an error the store is dead: drop it.
    pub(crate) async fn run<'a, T, F>(
        &'a mut self,
        cpu: Duration,
        wall: Duration,
        call: impl FnOnce(&'a mut Store<State>) -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = wasmtime::Result<T>> + 'a,
    {
        if self.dead {
            return Err(CallError::Cancelled { plugin: self.plugin.clone() });
        }
        self.dead = true;
        let cpu_ms = cpu.as_millis() as u64;
        self.store.data_mut().begin_call(ticks(cpu));
        self.store.set_epoch_deadline(1);
        let began = Instant::now();
        let mut computing = Duration::ZERO;
        let stopped = {
            let cancel = self.host.as_ref().map(|host| host.cancellation());
            async move {
                match cancel {
                    Some(cancel) => cancel.cancelled().await,
                    None => std::future::pending().await,
                }
                tokio::time::sleep(GRACE).await;
            }
        };
        let result = {
            let mut call = std::pin::pin!(call(&mut self.store));
            let call = std::future::poll_fn(|context| {
                let began = Instant::now();
                let polled = call.as_mut().poll(context);
                computing += began.elapsed();
                polled
            });
            tokio::select! {
                biased;
                done = call => done.map_err(|error| classify(&self.plugin, &error, cpu_ms)),
                () = stopped => Err(CallError::Cancelled { plugin: self.plugin.clone() }),
                () = tokio::time::sleep(wall) => {
                    Err(CallError::Stalled { plugin: self.plugin.clone(), limit_ms: wall.as_millis() as u64 })
                }
            }
        };
        self.usage.entered += 1;
        self.usage.computing += computing;
        self.usage.wall += began.elapsed();
        if let Err(error) = &result {
            note(&mut self.usage, error);
        }
        self.dead = result.is_err();
        result
    }

    /// Take note of why the call gave no result; the last one counts.
    pub(crate) fn failed(&mut self, error: &CallError) {
        note(&mut self.usage, error);
    }

    /// Hand the plugin's log over, to the encrypted store.
    pub(crate) fn flush_log(&mut self) {
        let (lines, dropped) = self.store.data().log.take();
        if let Some(host) = &self.host
            && (!lines.is_empty() || dropped > 0)
        {
            host.log(lines.into_iter().map(|(level, text)| LogLine { level, text }).collect(), dropped);
        }
    }
}

fn note(usage: &mut CallUsage, error: &CallError) {
    error.code().clone_into(&mut usage.code);
    usage.problem = error.to_string();
}

impl Drop for Live {
    fn drop(&mut self) {
        self.flush_log();
        if let Some(host) = &self.host {
            let mut usage = std::mem::take(&mut self.usage);
            let state = self.store.data();
            usage.memory_bytes = state.limits.memory_bytes() as u64;
            usage.host_calls = state.host_calls();
            host.ended(usage);
        }
    }
}
