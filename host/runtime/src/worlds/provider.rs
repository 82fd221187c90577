//! Calling providers. Text reaches them as [`Redacted`] only; what they stream back is untrusted.

use std::collections::BTreeMap;
use std::sync::Arc;

use fumehood_redact::Redacted;
use wasmtime::component::ResourceAny;

use crate::bindings::provider::exports::fumehood::provider::guest as wit;
use crate::bindings::provider::{Provider as Bindings, ProviderPre};
use crate::effects::{CallHost, Failure};
use crate::engine::Runtime;
use crate::error::CallError;
use crate::limits;
use crate::load::Plugin;
use crate::state::State;
use crate::worlds::{Entry, Live};

/// One message of a conversation; every piece of text went through the gate.
#[derive(Clone, Debug)]
pub struct Message {
    /// `system`, `user`, `assistant` or `tool`.
    pub role: &'static str,
    pub text: Redacted,
    pub tool_calls: Vec<ToolCall<Redacted>>,
    pub tool_call_id: Option<String>,
    /// What a provider wants back as it came, under the names that it came with.
    pub extensions: Vec<(String, Redacted)>,
}

impl Message {
    /// A message of text alone.
    pub fn plain(role: &'static str, text: Redacted) -> Self {
        Self { role, text, tool_calls: Vec::new(), tool_call_id: None, extensions: Vec::new() }
    }
}

/// A tool that the model may call.
#[derive(Clone, Debug)]
pub struct Tool {
    pub name: String,
    pub description: Redacted,
    /// JSON Schema.
    pub parameters: Redacted,
}

/// A call that the model asks for: `T` is [`Redacted`] on the way out, plain untrusted text on the way in.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall<T> {
    pub id: String,
    pub name: String,
    pub arguments: T,
}

/// What is sent to a model.
#[derive(Clone, Debug)]
pub struct Request {
    pub model: String,
    pub messages: Vec<Message>,
    pub tools: Vec<Tool>,
    pub max_output_tokens: Option<u32>,
}

/// One step of an answer; see the contract.
#[derive(Clone, Debug, Default)]
pub struct Event {
    pub text: String,
    pub reasoning: String,
    pub tool_calls: Vec<ToolCall<String>>,
    /// Input and output tokens.
    pub usage: Option<(u64, u64)>,
    pub stop: Option<String>,
    /// What goes back unchanged with this answer: names and values.
    pub extensions: Vec<(String, String)>,
}

/// A model that the server lists.
#[derive(Clone, Debug)]
pub struct Model {
    pub id: String,
    pub name: String,
    pub context_tokens: Option<u64>,
}

/// A provider plugin with the settings of one instance.
#[derive(Clone)]
pub struct Provider {
    runtime: Runtime,
    plugin: Plugin,
    config: Arc<BTreeMap<String, String>>,
}

impl Provider {
    pub fn new(runtime: Runtime, plugin: Plugin, config: BTreeMap<String, String>) -> Self {
        Self { runtime, plugin, config: Arc::new(config) }
    }

    fn pre(&self) -> Result<&ProviderPre<State>, CallError> {
        match &self.plugin.0.entry {
            Entry::Provider(pre) => Ok(pre),
            _ => Err(CallError::Contract { plugin: self.plugin.name().into(), what: "it is not a provider".into() }),
        }
    }

    /// The models that the server lists.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn models(&self, host: Arc<dyn CallHost>) -> Result<Vec<Model>, CallError> {
        let pre = self.pre()?;
        let mut live = Live::new(
            &self.runtime,
            &self.plugin,
            "models",
            self.config.clone(),
            Some(host),
            limits::HOSTCALL_BYTES,
            false,
        )
        .await?;
        let models = live
            .run(limits::CPU_PER_CALL, limits::CALL_WALL, |store| async move {
                let instance = pre.instantiate_async(&mut *store).await?;
                instance.fumehood_provider_guest().call_models(&mut *store).await
            })
            .await?
            .map_err(|failure| self.failed(failure.into()))
            .inspect_err(|error| live.failed(error))?;
        Ok(models
            .into_iter()
            .take(2_000)
            .map(|model| Model { id: model.id, name: model.name, context_tokens: model.context_tokens })
            .collect())
    }

    /// Send a conversation; the answer arrives through [`Completion::next`]. Dropping the completion cancels.
    ///
    /// # Errors
    /// [`CallError`]; nothing was sent where the code is `denied` or `invalid`.
    pub async fn complete(&self, request: &Request, host: Arc<dyn CallHost>) -> Result<Completion, CallError> {
        let pre = self.pre()?;
        let mut live = Live::new(
            &self.runtime,
            &self.plugin,
            "complete",
            self.config.clone(),
            Some(host),
            limits::HOSTCALL_BYTES,
            true,
        )
        .await?;
        let wit_request = lower(request);
        let (instance, answer) = live
            .run(limits::CPU_PER_CALL, limits::CALL_WALL, |store| async move {
                let instance = pre.instantiate_async(&mut *store).await?;
                let answer = instance.fumehood_provider_guest().call_complete(&mut *store, &wit_request).await?;
                Ok((instance, answer))
            })
            .await?;
        match answer {
            Ok(resource) => Ok(Completion { live, instance, resource, plugin: self.plugin.name().into(), over: false }),
            Err(failure) => {
                let error = self.failed(failure.into());
                live.failed(&error);
                Err(error)
            }
        }
    }

    fn failed(&self, failure: Failure) -> CallError {
        CallError::Failed { plugin: self.plugin.name().into(), failure }
    }
}

/// An answer that is arriving.
pub struct Completion {
    live: Live,
    instance: Bindings,
    resource: ResourceAny,
    plugin: String,
    over: bool,
}

impl Completion {
    /// The next event; nothing after the last.
    ///
    /// # Errors
    /// [`CallError`]; the text that came before stands.
    pub async fn next(&mut self) -> Result<Option<Event>, CallError> {
        if self.over {
            return Ok(None);
        }
        let (instance, resource) = (&self.instance, self.resource);
        let answer = self
            .live
            .run(limits::CPU_PER_CALL, limits::CALL_WALL, |store| async move {
                instance.fumehood_provider_guest().completion().call_next(&mut *store, resource).await
            })
            .await;
        self.live.flush_log();
        match answer {
            Ok(Ok(Some(event))) => {
                self.over = event.stop.is_some();
                Ok(Some(raise(event)))
            }
            Ok(Ok(None)) => {
                self.over = true;
                Ok(None)
            }
            Ok(Err(failure)) => {
                self.over = true;
                let error = CallError::Failed { plugin: self.plugin.clone(), failure: failure.into() };
                self.live.failed(&error);
                Err(error)
            }
            Err(error) => {
                self.over = true;
                Err(error)
            }
        }
    }
}

fn lower(request: &Request) -> wit::Request {
    wit::Request {
        model: request.model.clone(),
        messages: request
            .messages
            .iter()
            .map(|message| wit::Message {
                role: message.role.into(),
                text: message.text.as_str().to_owned(),
                tool_calls: message
                    .tool_calls
                    .iter()
                    .map(|call| wit::ToolCall {
                        id: call.id.clone(),
                        name: call.name.clone(),
                        arguments: call.arguments.as_str().to_owned(),
                    })
                    .collect(),
                tool_call_id: message.tool_call_id.clone(),
                extensions: message
                    .extensions
                    .iter()
                    .map(|(name, value)| (name.clone(), value.as_str().to_owned()))
                    .collect(),
            })
            .collect(),
        tools: request
            .tools
            .iter()
            .map(|tool| wit::Tool {
                name: tool.name.clone(),
                description: tool.description.as_str().to_owned(),
                parameters: tool.parameters.as_str().to_owned(),
            })
            .collect(),
        max_output_tokens: request.max_output_tokens,
        temperature: None,
        extensions: Vec::new(),
    }
}

/// The most tokens that an answer can have used: what a server says beyond it is a mistake, and has to fit into a sum.
const MOST_TOKENS: u64 = 1 << 36;

fn raise(event: wit::Event) -> Event {
    Event {
        text: event.text,
        reasoning: event.reasoning,
        tool_calls: event
            .tool_calls
            .into_iter()
            .map(|call| ToolCall { id: call.id, name: call.name, arguments: call.arguments })
            .collect(),
        usage: event.usage.map(|usage| (usage.input_tokens.min(MOST_TOKENS), usage.output_tokens.min(MOST_TOKENS))),
        extensions: event.extensions,
        stop: event.stop,
    }
}
