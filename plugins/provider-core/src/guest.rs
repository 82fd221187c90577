//! The component: the traits of [`crate::host`] on the contract's imports, and the world's exports, for any
//! [`crate::Provider`]. A plugin is put on them by [`crate::component`].
//!
//! Invariant: conversions only; no rule of its own.

#![allow(missing_docs, unsafe_code, clippy::allow_attributes_without_reason, reason = "generated bindings")]

use std::cell::RefCell;
use std::marker::PhantomData;

use crate::model as plain;
use crate::{Completion, Provider};
use plugin_core::host::{self, Config, HeaderValue, Http, Request, Response};

wit_bindgen::generate!({
    path: [
        "../../wit/types-0.1.0",
        "../../wit/log-0.1.0",
        "../../wit/http-0.1.0",
        "../../wit/config-0.1.0",
        "../../wit/provider-0.1.0",
    ],
    world: "fumehood:provider/provider",
    generate_all,
    pub_export_macro: true,
    export_macro_name: "export_provider",
});

use exports::fumehood::provider::guest as wit;
use fumehood::config::config as wit_config;
use fumehood::http::http as wit_http;
use fumehood::log::log as wit_log;
use fumehood::types::types as wit_types;

/// A provider as the world's exports.
pub struct Component<P>(PhantomData<P>);
struct HostHttp;
struct HostConfig;
struct Body(wit_http::Response);

impl From<wit_types::Failure> for host::Failure {
    fn from(failure: wit_types::Failure) -> Self {
        Self {
            code: failure.code.into(),
            message: failure.message,
            retry_after_ms: failure.retry_after_ms,
            extensions: failure.extensions,
        }
    }
}

impl From<host::Failure> for wit_types::Failure {
    fn from(failure: host::Failure) -> Self {
        Self {
            code: failure.code.into_owned(),
            message: failure.message,
            retry_after_ms: failure.retry_after_ms,
            extensions: failure.extensions,
        }
    }
}

/// Every failure is in the plugin's own log, too, where an operator looks for it.
fn logged(failure: host::Failure) -> wit_types::Failure {
    wit_log::log(wit_log::Level::Warn, &failure.to_string());
    failure.into()
}

impl Http for HostHttp {
    fn send(&self, request: Request) -> Result<Box<dyn Response>, host::Failure> {
        let headers = request
            .headers
            .into_iter()
            .map(|(name, value)| wit_types::Header {
                name: name.to_owned(),
                value: match value {
                    HeaderValue::Text(text) => wit_types::HeaderValue::Text(text),
                    HeaderValue::Credential(handle) => wit_types::HeaderValue::Credential(handle),
                },
            })
            .collect();
        let request = wit_http::Request {
            method: request.method.to_owned(),
            url: request.url,
            headers,
            body: request.body,
            timeout_ms: request.timeout_ms,
            extensions: Vec::new(),
        };
        let response = wit_http::send(&request)?;
        Ok(Box::new(Body(response)))
    }
}

impl Response for Body {
    fn status(&self) -> u16 {
        self.0.status()
    }
    fn headers(&self) -> Vec<(String, String)> {
        self.0.headers()
    }
    fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, host::Failure> {
        Ok(self.0.next_chunk()?)
    }
}

impl Config for HostConfig {
    fn get(&self, key: &str) -> Option<String> {
        wit_config::get(key)
    }
}

pub struct Arriving(RefCell<Completion>);

impl wit::GuestCompletion for Arriving {
    fn next(&self) -> Result<Option<wit::Event>, wit_types::Failure> {
        let event = self.0.borrow_mut().next().map_err(logged)?;
        Ok(event.map(|event| wit::Event {
            text: event.text,
            reasoning: event.reasoning,
            tool_calls: event
                .tool_calls
                .into_iter()
                .map(|call| wit::ToolCall { id: call.id, name: call.name, arguments: call.arguments })
                .collect(),
            usage: event
                .usage
                .map(|usage| wit::Usage { input_tokens: usage.input_tokens, output_tokens: usage.output_tokens }),
            stop: event.stop.map(str::to_owned),
            extensions: event.extensions,
        }))
    }
}

impl<P: Provider + 'static> wit::Guest for Component<P> {
    type Completion = Arriving;

    fn models() -> Result<Vec<wit::Model>, wit_types::Failure> {
        let models = P::models(&HostHttp, &HostConfig).map_err(logged)?;
        Ok(models
            .into_iter()
            .map(|model| wit::Model {
                id: model.id,
                name: model.name,
                context_tokens: model.context_tokens,
                extensions: Vec::new(),
            })
            .collect())
    }

    fn complete(request: wit::Request) -> Result<wit::Completion, wit_types::Failure> {
        let call = |call: wit::ToolCall| plain::ToolCall { id: call.id, name: call.name, arguments: call.arguments };
        let request = plain::ChatRequest {
            model: request.model,
            messages: request
                .messages
                .into_iter()
                .map(|message| plain::Message {
                    role: message.role,
                    text: message.text,
                    tool_calls: message.tool_calls.into_iter().map(call).collect(),
                    tool_call_id: message.tool_call_id,
                    extensions: message.extensions,
                })
                .collect(),
            tools: request
                .tools
                .into_iter()
                .map(|tool| plain::Tool { name: tool.name, description: tool.description, parameters: tool.parameters })
                .collect(),
            max_output_tokens: request.max_output_tokens,
            temperature: request.temperature,
        };
        let completion = P::complete(&HostHttp, &HostConfig, &request).map_err(logged)?;
        Ok(wit::Completion::new(Arriving(RefCell::new(completion))))
    }
}
