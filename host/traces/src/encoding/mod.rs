//! Spans as OTLP has them on the wire, in either of its encodings.
//!
//! Both are written here, and checked against the definition that OpenTelemetry publishes (`tests/judges.rs`). The
//! libraries that do the same bring a batch processor with a thread of its own, whose drops nobody can count, attributes
//! of any text, and a second rand, a third getrandom and prost to the build, for what are three messages.
//!
//! Left out on purpose: events, the message of a status, and the `tracestate` that came, which all are strangers' text.

mod json;
mod protobuf;

use crate::span::Ended;

/// `OTEL_EXPORTER_OTLP_PROTOCOL`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// `http/protobuf`: what every collector takes.
    #[default]
    Protobuf,
    /// `http/json`.
    Json,
}

/// What all spans of a process have in common.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resource {
    pub(crate) attributes: Vec<(String, String)>,
    /// Of this crate, which is the instrumentation's scope.
    pub(crate) version: String,
}

/// The scope's name.
const SCOPE: &str = "fumehood";

/// Bits 8 and 9 of a span's flags: it is known whether the parent is another party's; it is.
const KNOWN: u32 = 0x100;
const REMOTE: u32 = 0x200;

fn flags(trace: crate::Flags, remote: bool) -> u32 {
    u32::from(trace.to_byte()) | KNOWN | if remote { REMOTE } else { 0 }
}

impl Encoding {
    /// Of requests and answers.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }

    /// One span.
    pub(crate) fn span(self, span: &Ended) -> Vec<u8> {
        match self {
            Self::Protobuf => protobuf::span(span),
            Self::Json => json::span(span),
        }
    }

    /// A request of spans, each as [`Encoding::span`] gives it.
    pub(crate) fn request(self, resource: &Resource, spans: &[Vec<u8>]) -> Vec<u8> {
        match self {
            Self::Protobuf => protobuf::request(resource, spans),
            Self::Json => json::request(resource, spans),
        }
    }

    /// How many spans an answer says were refused, and why. Nothing where it cannot be read.
    pub(crate) fn partial_success(self, answer: &[u8]) -> Option<(u64, String)> {
        match self {
            _ if answer.is_empty() => Some((0, String::new())),
            Self::Protobuf => protobuf::partial_success(answer),
            Self::Json => json::partial_success(answer),
        }
    }
}
