//! Driving transports: sans-I/O machines that keep their instance for the life of a connection. The `mcp` room turns
//! their actions into I/O; this module only moves events in and actions out, and checks the actions' bounds.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::component::ResourceAny;

use crate::bindings::transport::Transport as Bindings;
use crate::bindings::transport::exports::fumehood::transport::guest as wit;
use crate::effects::{CallHost, Failure, Header};
use crate::engine::Runtime;
use crate::error::CallError;
use crate::limits;
use crate::load::Plugin;
use crate::worlds::{Entry, Live};

/// What happened; the fields that matter depend on `kind` (see the contract).
#[derive(Clone, Debug, Default)]
pub struct Event {
    pub kind: &'static str,
    pub id: u64,
    pub data: Vec<u8>,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub code: String,
    pub text: String,
}

/// An HTTP request that a transport asks for.
#[derive(Clone, Debug)]
pub struct TransportRequest {
    pub method: String,
    pub url: String,
    pub headers: Vec<Header>,
    pub body: Vec<u8>,
    pub first_byte_ms: u32,
    /// 0 for no limit.
    pub idle_ms: u32,
}

/// What to do; the fields that matter depend on `kind` (see the contract).
#[derive(Clone, Debug)]
pub struct Action {
    pub kind: String,
    pub id: u64,
    pub data: Vec<u8>,
    pub request: Option<TransportRequest>,
    pub status: u16,
    pub number: u64,
    pub code: String,
    pub text: String,
    pub headers: Vec<(String, String)>,
}

/// One connection's machine.
pub struct TransportConnection {
    live: Live,
    instance: Bindings,
    resource: ResourceAny,
    plugin: String,
}

impl TransportConnection {
    /// Open a connection's machine.
    ///
    /// # Errors
    /// [`CallError`]; code `invalid` where the settings cannot work.
    pub async fn open(
        runtime: &Runtime,
        plugin: &Plugin,
        name: &str,
        url: Option<&str>,
        headers: Vec<Header>,
        host: Arc<dyn CallHost>,
    ) -> Result<Self, CallError> {
        let Entry::Transport(pre) = &plugin.0.entry else {
            return Err(CallError::Contract { plugin: plugin.name().into(), what: "it is not a transport".into() });
        };
        let config = Arc::new(BTreeMap::new());
        let mut live =
            Live::new(runtime, plugin, "connection", config, Some(host), limits::HOSTCALL_BYTES * 2, true).await?;
        let settings = wit::Settings {
            name: name.into(),
            url: url.map(Into::into),
            headers: headers.into_iter().map(Into::into).collect(),
            extensions: Vec::new(),
        };
        let (instance, answer) = live
            .run(limits::CPU_PER_CALL, limits::EVENT_WALL, |store| async move {
                let instance = pre.instantiate_async(&mut *store).await?;
                let answer = instance.fumehood_transport_guest().call_open(&mut *store, &settings).await?;
                Ok((instance, answer))
            })
            .await?;
        let plugin = plugin.name().to_owned();
        match answer {
            Ok(resource) => Ok(Self { live, instance, resource, plugin }),
            Err(failure) => {
                let error = CallError::Failed { plugin, failure: failure.into() };
                live.failed(&error);
                Err(error)
            }
        }
    }

    /// Tell the machine what happened; do what it answers, in order, before the next event.
    ///
    /// # Errors
    /// [`CallError`]: the connection is over.
    pub async fn handle(&mut self, event: Event) -> Result<Vec<Action>, CallError> {
        let wit_event = wit::Event {
            kind: event.kind.into(),
            id: event.id,
            data: event.data,
            status: event.status,
            headers: event.headers,
            code: event.code,
            text: event.text,
            extensions: Vec::new(),
        };
        let (instance, resource) = (&self.instance, self.resource);
        let answer = self
            .live
            .run(limits::CPU_PER_CALL, limits::EVENT_WALL, |store| async move {
                let connection = instance.fumehood_transport_guest().connection();
                connection.call_handle(&mut *store, resource, &wit_event).await
            })
            .await;
        self.live.flush_log();
        let checked = match answer? {
            Ok(actions) if actions.len() > limits::ACTIONS => {
                Err(CallError::OverLimit { plugin: self.plugin.clone(), what: "actions for one event" })
            }
            Ok(actions) => Ok(actions),
            Err(failure) => Err(CallError::Failed { plugin: self.plugin.clone(), failure: Failure::from(failure) }),
        };
        let actions = checked.inspect_err(|error| self.live.failed(error))?;
        Ok(actions.into_iter().map(raise).collect())
    }
}

fn raise(action: wit::Action) -> Action {
    Action {
        kind: action.kind,
        id: action.id,
        data: action.data,
        request: action.request.map(|request| TransportRequest {
            method: request.method,
            url: request.url,
            headers: request.headers.into_iter().map(Into::into).collect(),
            body: request.body.unwrap_or_default(),
            first_byte_ms: request.timeout_ms,
            idle_ms: request.idle_timeout_ms,
        }),
        status: action.status,
        number: action.number,
        code: action.code,
        text: action.text,
        headers: action.headers,
    }
}
