//! What the tests of several files need.

use std::sync::Arc;

use crate::attribute::Attribute;
use crate::context::Propagation;
use crate::ids::{SpanId, System, TraceId};
use crate::queue::Queue;
use crate::sampler::Sampler;
use crate::span::{Ended, Kind, Name, Nanos, Status};
use crate::traceparent::Flags;
use crate::tracer::Tracer;
use crate::{Method, limits::MAX_QUEUE};

/// A tracer that keeps all, and its queue.
pub(crate) fn recording() -> (Tracer, Arc<Queue>) {
    let queue = Arc::new(Queue::new(MAX_QUEUE, MAX_QUEUE));
    let tracer = Tracer::new(Arc::clone(&queue), Sampler::default(), Propagation::default(), Box::new(System));
    (tracer, queue)
}

/// The span that has waited longest.
pub(crate) fn taken(queue: &Queue) -> Ended {
    queue.take(1).pop().expect("no span has ended")
}

fn trace() -> TraceId {
    TraceId::parse("4bf92f3577b34da6a3ce929d0e0e4736").unwrap()
}

/// A span with nothing to say.
pub(crate) fn ended(start: u64) -> Ended {
    Ended {
        trace: trace(),
        span: SpanId::parse("00f067aa0ba902b7").unwrap(),
        flags: Flags { sampled: true, random: true },
        parent: None,
        name: Name::fixed("step"),
        kind: Kind::Internal,
        start: Nanos(start),
        end: Nanos(start),
        attributes: Vec::new(),
        dropped_attributes: 0,
        links: Vec::new(),
        status: Status::Unset,
    }
}

/// A span that has all that a span can have.
pub(crate) fn whole() -> Ended {
    let start = 1_700_000_000_000_000_000;
    Ended {
        parent: Some((SpanId::parse("00000000000000ff").unwrap(), true)),
        name: Name::mcp(Method::ToolsCall, Some("get_weather")),
        kind: Kind::Server,
        end: Nanos(start + 1000),
        attributes: vec![Attribute::tool("get_weather"), Attribute::request_bytes(12)],
        dropped_attributes: 3,
        links: vec![(
            trace(),
            SpanId::parse("0000000000000001").unwrap(),
            Flags { sampled: true, random: false },
            false,
        )],
        status: Status::Error,
        ..ended(start)
    }
}
