//! One module per world: how its functions are called, and what the host checks of their results.

pub mod integration;
pub(crate) mod prepare;
pub mod provider;
pub(crate) mod scanner;
pub(crate) mod transport;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use wasmtime::Store;
use wasmtime::component::InstancePre;

use crate::bindings;
use crate::effects::{CallHost, LogLine};
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
}

impl Live {
    /// A fresh store; waits for room.
    pub(crate) async fn new(
        runtime: &Runtime,
        plugin: &Plugin,
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
        let permit = runtime.permit().await.ok_or_else(|| CallError::Cancelled { plugin: plugin.name().to_owned() })?;
        let mut state = State::new(config);
        state.host = host.clone();
        state.egress = runtime.0.egress.clone();
        Ok(Self {
            store: runtime.store(state, hostcall_bytes),
            plugin: plugin.name().to_owned(),
            host,
            _permit: permit,
            _long: long,
            dead: false,
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
        let result = match tokio::time::timeout(wall, call(&mut self.store)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(classify(&self.plugin, &error, cpu_ms)),
            Err(_) => Err(CallError::Stalled { plugin: self.plugin.clone(), limit_ms: wall.as_millis() as u64 }),
        };
        self.dead = result.is_err();
        result
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

impl Drop for Live {
    fn drop(&mut self) {
        self.flush_log();
    }
}
