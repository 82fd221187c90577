//! Where spans begin.
//!
//! Invariant: whatever is wrong with tracing, what is traced goes on: nothing in here waits, fails or allocates much.

use std::sync::Arc;

use crate::context::{Context, Propagation, SpanContext};
use crate::ids::{Randomness, SpanId, TraceId};
use crate::numbers::Numbers;
use crate::queue::Queue;
use crate::sampler::Sampler;
use crate::span::{Ended, Kind, Name, Nanos, Span};
use crate::traceparent::Flags;

/// What begins spans; cheap to clone.
#[derive(Clone)]
pub struct Tracer(Option<Arc<Inner>>);

struct Inner {
    queue: Arc<Queue>,
    sampler: Sampler,
    propagation: Propagation,
    randomness: Box<dyn Randomness>,
}

impl Tracer {
    /// One that records nothing. A context that comes in goes on as it is.
    pub const fn off() -> Self {
        Self(None)
    }

    #[cfg(feature = "exporter")]
    pub(crate) fn new(
        queue: Arc<Queue>,
        sampler: Sampler,
        propagation: Propagation,
        randomness: Box<dyn Randomness>,
    ) -> Self {
        Self(Some(Arc::new(Inner { queue, sampler, propagation, randomness })))
    }

    /// Whether there is anybody to whom spans go. Where there is nobody, contexts need not be read or written: messages
    /// carry them on by themselves.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// How contexts are read and written.
    pub fn propagation(&self) -> Propagation {
        self.0.as_ref().map_or_else(Propagation::default, |inner| inner.propagation)
    }

    /// Begin a span: within what came, or as the first of a trace where nothing came.
    pub fn start(&self, name: Name, kind: Kind, parent: &Context, now: Nanos) -> Span {
        let began = self.0.as_ref().and_then(|inner| inner.context(parent));
        let Some(own) = began else { return Span::begin(self.clone(), parent.clone(), None, None) };
        let begun = own.flags.sampled.then_some((name, kind, now));
        let context = Context { span: Some(own), baggage: parent.baggage.clone() };
        Span::begin(self.clone(), context, parent.span.as_ref(), begun)
    }

    pub(crate) fn hand_over(&self, ended: Ended) {
        if let Some(inner) = &self.0 {
            inner.queue.push(ended);
        }
    }

    /// What has become of spans.
    pub fn numbers(&self) -> &Numbers {
        static NONE: Numbers = Numbers::none();
        self.0.as_ref().map_or(&NONE, |inner| &inner.queue.numbers)
    }

    /// Spans that wait to be sent.
    pub fn waiting(&self) -> usize {
        self.0.as_ref().map_or(0, |inner| inner.queue.len())
    }
}

impl Inner {
    /// The context of a new span; nothing where no id can be had.
    fn context(&self, parent: &Context) -> Option<SpanContext> {
        let span = SpanId::random(&*self.randomness)?;
        let parent = parent.span.as_ref();
        let (trace, random, state) = match parent {
            Some(parent) => (parent.trace, parent.flags.random, parent.state.clone()),
            None => (TraceId::random(&*self.randomness)?, true, None),
        };
        let flags = Flags { sampled: self.sampler.keeps(trace, parent), random };
        Some(SpanContext { trace, span, flags, state, remote: false })
    }
}

#[cfg(test)]
#[cfg(feature = "exporter")]
mod tests {
    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;
    use crate::ids::System;
    use crate::tests_support::{recording, taken};

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn came(parent: &str) -> Context {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", parent.parse().unwrap());
        headers.insert("tracestate", "rojo=1,congo=2".parse().unwrap());
        headers.insert("baggage", "a=1".parse().unwrap());
        Propagation { trace: true, baggage: true }.read_headers(&headers)
    }

    fn with(sampler: Sampler) -> (Tracer, Arc<Queue>) {
        let queue = Arc::new(Queue::new(8, 8));
        (Tracer::new(Arc::clone(&queue), sampler, Propagation::default(), Box::new(System)), queue)
    }

    #[test]
    fn a_span_goes_on_with_the_trace_that_came() {
        let (tracer, queue) = recording();
        let parent = came(PARENT);
        let span = tracer.start(Name::fixed("one"), Kind::Server, &parent, Nanos(1));
        let own = span.context().span().unwrap().clone();
        assert_eq!(own.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_ne!(own.span.to_string(), "00f067aa0ba902b7");
        assert_eq!((span.context().tracestate(), span.context().baggage()), (Some("rojo=1,congo=2"), Some("a=1")));
        // The caller did not say that its id is random, so nobody may.
        assert!(!own.flags.random && !own.remote);
        let child = span.child(Name::fixed("two"), Kind::Client, Nanos(2));
        assert_eq!(child.context().span().unwrap().trace, own.trace);
        child.end(Nanos(3));
        let ended = taken(&queue);
        assert_eq!(ended.parent, Some((own.span, false)));
        span.end(Nanos(4));
        assert_eq!(
            taken(&queue).parent.map(|(id, remote)| (id.to_string(), remote)),
            Some(("00f067aa0ba902b7".into(), true))
        );
    }

    #[test]
    fn without_one_a_trace_begins() {
        let (tracer, queue) = recording();
        let span = tracer.start(Name::fixed("one"), Kind::Server, &Context::default(), Nanos(1));
        let value = span.context().traceparent().unwrap();
        assert!(value.starts_with("00-") && value.ends_with("-03"), "{value}");
        span.end(Nanos(2));
        assert_eq!(taken(&queue).parent, None);
    }

    #[test]
    fn what_is_not_kept_is_not_recorded_but_says_so_onward() {
        let (tracer, queue) = with(Sampler { parent_based: true, ratio: 0.0 });
        let span = tracer.start(Name::fixed("one"), Kind::Server, &Context::default(), Nanos(1));
        assert!(!span.is_recorded() && span.context().traceparent().unwrap().ends_with("-02"));
        span.end(Nanos(2));
        let span = tracer.start(Name::fixed("one"), Kind::Server, &came(&PARENT.replace("-01", "-00")), Nanos(1));
        let value = span.context().traceparent().unwrap();
        assert!(value.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && value.ends_with("-00"), "{value}");
        drop(span);
        assert_eq!((queue.len(), tracer.numbers().unended()), (0, 0));
    }

    #[test]
    fn switched_off_it_hands_on_what_came() {
        let tracer = Tracer::off();
        let parent = came(PARENT);
        let span = tracer.start(Name::fixed("one"), Kind::Server, &parent, Nanos(1));
        assert_eq!(span.context(), &parent);
        assert!(!tracer.is_on() && !span.is_recorded());
        span.child(Name::fixed("two"), Kind::Client, Nanos(1)).end(Nanos(2));
        span.end(Nanos(2));
        assert_eq!((tracer.waiting(), tracer.numbers().exported()), (0, 0));
    }

    #[test]
    fn without_randomness_nothing_is_recorded_and_nothing_breaks() {
        struct Nothing;
        impl Randomness for Nothing {
            fn fill(&self, _: &mut [u8]) -> bool {
                false
            }
        }
        let queue = Arc::new(Queue::new(8, 8));
        let tracer = Tracer::new(Arc::clone(&queue), Sampler::default(), Propagation::default(), Box::new(Nothing));
        let parent = came(PARENT);
        let span = tracer.start(Name::fixed("one"), Kind::Server, &parent, Nanos(1));
        assert_eq!(span.context(), &parent);
        span.end(Nanos(1));
        assert_eq!(queue.len(), 0);
    }

    proptest! {
        /// Of a tree of spans all are of one trace, each has another id, and each names its parent.
        #[test]
        fn a_tree_holds_together(shape in proptest::collection::vec(0usize..100, 1..7)) {
            let (tracer, queue) = recording();
            let root = tracer.start(Name::fixed("root"), Kind::Server, &Context::default(), Nanos(1));
            let mut spans = vec![root];
            for at in &shape {
                let parent = &spans[at % spans.len()];
                let child = parent.child(Name::fixed("step"), Kind::Internal, Nanos(2));
                let (up, down) = (parent.context().span().unwrap().clone(), child.context().span().unwrap().clone());
                prop_assert!(up.trace == down.trace && up.span != down.span);
                spans.push(child);
                let _ = up;
            }
            let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| span.context().span().unwrap().span).collect();
            prop_assert_eq!(ids.len(), spans.len());
            for span in spans { span.end(Nanos(3)); }
            let mut roots = 0;
            for _ in 0..=shape.len() {
                match taken(&queue).parent {
                    Some((parent, remote)) => prop_assert!(ids.contains(&parent) && !remote),
                    None => roots += 1,
                }
            }
            prop_assert_eq!(roots, 1);
        }
    }
}
