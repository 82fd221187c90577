//! Traces of what Fumehood does, for the collector of the operator (OTLP over HTTP), and the trace context that goes with
//! requests (W3C Trace Context Level 2, W3C Baggage, MCP's SEP-414).
//!
//! Invariant: **nothing raw leaves.** A span carries names, sizes, times, codes and ids, and nothing else. Arguments,
//! results, prompts, questions, log lines, messages of errors, addresses of resources, paths and queries that were asked
//! for, names and addresses of people must never be in one: not in an attribute, not in its name, not in its status. The
//! types keep that: an [`Attribute`] comes from one of a closed set of constructors, none of which takes any text; a
//! [`Name`] is a word of ours, a known method, or the name of a tool or a route; a status has no message, and there are
//! no events. What has not the form of a name is said as [`OTHER`]. That cannot tell a name that a person has approved
//! from one that somebody made up: whoever calls [`Attribute::tool`], [`Attribute::prompt`] or [`Attribute::http_route`]
//! gives what was found under a name, never the name that was asked for. `tracestate` and `baggage` are strangers' texts:
//! they go onward with the request that they came with, and never into a span.
//!
//! And: tracing never gets in the way. Ending a span waits for nobody; where too many wait, spans are dropped and counted
//! ([`Numbers`]), unlike the gateway's record, which drops nothing. There is no network in here and no clock: requests go
//! through [`Collector`], and the time is an argument, but for the pauses of [`Exporter`].
//!
//! The way of a span: [`Settings::read`] says where to; [`Tracer::with_exporter`] gives what begins spans and what sends
//! them, which [`Exporter::run`] does; [`Propagation::read_meta`] and [`Propagation::read_headers`] give the [`Context`]
//! that came; [`Tracer::start`] begins a [`Span`]; [`Span::child`] one within it; [`Propagation::write_meta`] and
//! [`Propagation::write_headers`] pass [`Span::context`] on; [`Span::end`] hands it over.

#[cfg(feature = "exporter")]
mod answer;
mod attribute;
mod baggage;
mod context;
#[cfg(feature = "exporter")]
mod encoding;
#[cfg(feature = "exporter")]
mod exporter;
mod ids;
pub mod keys;
pub mod limits;
mod numbers;
mod queue;
mod sampler;
#[cfg(feature = "exporter")]
mod settings;
mod span;
#[cfg(test)]
#[cfg(feature = "exporter")]
mod tests_support;
mod traceparent;
mod tracer;
mod tracestate;

pub use attribute::{
    Attribute, Failure, HttpMethod, HttpVersion, IdOf, Method, OTHER, Phase, Purpose, RequestId, Rule, Scheme,
    Transport,
};
pub use context::{BAGGAGE, Context, Propagation, SpanContext, TRACEPARENT, TRACESTATE};
#[cfg(feature = "exporter")]
pub use encoding::Encoding;
#[cfg(feature = "exporter")]
pub use exporter::{Collector, Exporter, PostError};
pub use ids::{Randomness, SpanId, System, TraceId};
pub use numbers::Numbers;
pub use sampler::Sampler;
#[cfg(feature = "exporter")]
pub use settings::{Batching, Settings, SettingsError};
pub use span::{Kind, Name, Nanos, Span, Status};
pub use traceparent::Flags;
pub use tracer::Tracer;
