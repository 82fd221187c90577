//! What the host offers to plugins: `log`, `http`, `kv`, `config`. Each call is charged to the store's cumulative
//! quotas first; everything that leaves goes through [`crate::effects`].

use wasmtime::component::{HasSelf, Linker, Resource};

use crate::bindings::host::fumehood::{config::config, http::http, kv::kv, log::log, types::types};
use crate::effects::{self, Failure};
use crate::error::{known_code, shown};
use crate::limits;
use crate::state::State;

/// An answer that a plugin is reading.
pub struct IncomingResponse(pub(crate) effects::Response);

pub(crate) fn add_log(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    log::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}

pub(crate) fn add_transport(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    add_log(linker)?;
    config::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}

pub(crate) fn add_provider(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    add_transport(linker)?;
    http::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}

pub(crate) fn add_integration(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    add_provider(linker)?;
    kv::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}

impl types::Host for State {}

impl log::Host for State {
    async fn log(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        // Log messages are cut, never refused, so only the call is charged, not the bytes.
        self.charge(0)?;
        let level = match level {
            log::Level::Error => 0,
            log::Level::Warn => 1,
            log::Level::Info => 2,
            log::Level::Debug => 3,
        };
        self.log.push(level, &message);
        Ok(())
    }
}

impl config::Host for State {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        self.charge(key.len())?;
        Ok(self.config.get(&key).cloned())
    }
}

impl kv::Host for State {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, types::Failure>> {
        self.charge(key.len())?;
        let Some(host) = self.host.clone() else { return Ok(Err(no_host().into())) };
        Ok(match check_key(&key) {
            Ok(()) => host.kv_get(&key).await.map_err(Into::into),
            Err(failure) => Err(failure.into()),
        })
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), types::Failure>> {
        self.charge(key.len() + value.len())?;
        let Some(host) = self.host.clone() else { return Ok(Err(no_host().into())) };
        if value.len() > limits::KV_VALUE_BYTES {
            let message =
                format!("a value of {} bytes is over the limit of {} bytes", value.len(), limits::KV_VALUE_BYTES);
            return Ok(Err(Failure::new("too-large", message).into()));
        }
        Ok(match check_key(&key) {
            Ok(()) => host.kv_set(&key, value).await.map_err(Into::into),
            Err(failure) => Err(failure.into()),
        })
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), types::Failure>> {
        self.charge(key.len())?;
        let Some(host) = self.host.clone() else { return Ok(Err(no_host().into())) };
        Ok(match check_key(&key) {
            Ok(()) => host.kv_delete(&key).await.map_err(Into::into),
            Err(failure) => Err(failure.into()),
        })
    }
}

/// Bytes of a header as the plugin wrote it.
fn header_bytes(header: &types::Header) -> usize {
    let (types::HeaderValue::Text(value) | types::HeaderValue::Credential(value)) = &header.value;
    header.name.len() + value.len()
}

fn check_key(key: &str) -> Result<(), Failure> {
    if (1..=limits::KV_KEY_BYTES).contains(&key.len()) {
        return Ok(());
    }
    Err(Failure::new("invalid", format!("a key has 1 to {} bytes, not {}", limits::KV_KEY_BYTES, key.len())))
}

fn no_host() -> Failure {
    Failure::new("denied", "this call may not reach anything outside")
}

impl http::Host for State {
    async fn send(
        &mut self,
        request: http::Request,
    ) -> wasmtime::Result<Result<Resource<IncomingResponse>, types::Failure>> {
        let headers: usize = request.headers.iter().map(header_bytes).sum();
        self.charge(request.url.len() + headers + request.body.as_ref().map_or(0, Vec::len))?;
        let (Some(host), Some(egress)) = (self.host.clone(), self.egress.clone()) else {
            return Ok(Err(no_host().into()));
        };
        let outgoing = effects::Request {
            method: request.method,
            url: request.url,
            headers: request.headers.into_iter().map(Into::into).collect(),
            body: request.body.unwrap_or_default(),
            first_byte_ms: request.timeout_ms,
            idle_ms: None,
        };
        match effects::send(&host, &egress, outgoing).await {
            Ok(response) => Ok(Ok(self.table.push(IncomingResponse(response))?)),
            Err(failure) => Ok(Err(failure.into())),
        }
    }
}

impl http::HostResponse for State {
    async fn status(&mut self, response: Resource<IncomingResponse>) -> wasmtime::Result<u16> {
        self.charge(0)?;
        Ok(self.table.get(&response)?.0.status())
    }

    async fn headers(&mut self, response: Resource<IncomingResponse>) -> wasmtime::Result<Vec<(String, String)>> {
        self.charge(0)?;
        Ok(self.table.get(&response)?.0.headers().to_vec())
    }

    async fn next_chunk(
        &mut self,
        response: Resource<IncomingResponse>,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, types::Failure>> {
        self.charge(0)?;
        let response = self.table.get_mut(&response)?;
        Ok(match response.0.next_chunk().await {
            Ok(chunk) => Ok(chunk.map(|bytes| bytes.to_vec())),
            Err(failure) => Err(failure.into()),
        })
    }

    async fn drop(&mut self, response: Resource<IncomingResponse>) -> wasmtime::Result<()> {
        self.table.delete(response)?;
        Ok(())
    }
}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        Self {
            code: failure.code,
            message: failure.message,
            retry_after_ms: failure.retry_after_ms,
            extensions: failure.extensions,
        }
    }
}

impl From<types::Failure> for Failure {
    fn from(failure: types::Failure) -> Self {
        Self {
            code: known_code(&failure.code).into(),
            message: shown(&failure.message),
            retry_after_ms: failure.retry_after_ms,
            extensions: failure.extensions.into_iter().take(64).collect(),
        }
    }
}

impl From<types::Header> for effects::Header {
    fn from(header: types::Header) -> Self {
        Self {
            name: header.name,
            value: match header.value {
                types::HeaderValue::Text(text) => effects::HeaderValue::Text(text),
                types::HeaderValue::Credential(handle) => effects::HeaderValue::Credential(handle),
            },
        }
    }
}

impl From<effects::Header> for types::Header {
    fn from(header: effects::Header) -> Self {
        Self {
            name: header.name,
            value: match header.value {
                effects::HeaderValue::Text(text) => types::HeaderValue::Text(text),
                effects::HeaderValue::Credential(handle) => types::HeaderValue::Credential(handle),
            },
        }
    }
}
