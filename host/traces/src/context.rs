//! What a request carries from one party to the next, and how it is read and written.
//!
//! Invariant: nothing that came goes onward as it came: it was read by its grammar first, and is written from what was
//! read. A `tracestate` never goes without its `traceparent`.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use crate::ids::{SpanId, TraceId};
use crate::traceparent::Flags;
use crate::{baggage, traceparent, tracestate};

/// Header and key of `_meta` in MCP messages (2026-07-28, SEP-414), where it has no prefix.
pub const TRACEPARENT: &str = "traceparent";
/// Header and key of `_meta`.
pub const TRACESTATE: &str = "tracestate";
/// Header and key of `_meta`.
pub const BAGGAGE: &str = "baggage";

/// A span, as others refer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanContext {
    /// The trace.
    pub trace: TraceId,
    /// The span in it.
    pub span: SpanId,
    /// Whether it is recorded, and how its id came about.
    pub flags: Flags,
    /// What other tracing systems said.
    pub(crate) state: Option<Arc<str>>,
    /// It is another party's.
    pub remote: bool,
}

/// What came with a request, or goes with one; cheap to clone. Empty where nothing came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    pub(crate) span: Option<SpanContext>,
    pub(crate) baggage: Option<Arc<str>>,
}

impl Context {
    /// The span that this is the context of.
    pub fn span(&self) -> Option<&SpanContext> {
        self.span.as_ref()
    }

    /// The value of `traceparent`.
    pub fn traceparent(&self) -> Option<String> {
        self.span.as_ref().map(|span| traceparent::write(span.trace, span.span, span.flags))
    }

    /// The value of `tracestate`.
    pub fn tracestate(&self) -> Option<&str> {
        self.span.as_ref()?.state.as_deref()
    }

    /// The value of `baggage`: a stranger's text, for nobody but those whom the request goes to.
    pub fn baggage(&self) -> Option<&str> {
        self.baggage.as_deref()
    }
}

/// What is read and written: `OTEL_PROPAGATORS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Propagation {
    /// `traceparent` and `tracestate`.
    pub trace: bool,
    /// `baggage`.
    pub baggage: bool,
}

impl Default for Propagation {
    /// Without baggage, which is whatever a stranger wrote.
    fn default() -> Self {
        Self { trace: true, baggage: false }
    }
}

impl Propagation {
    /// From the headers of a request. Two headers `traceparent` are none.
    pub fn read_headers(self, headers: &HeaderMap) -> Context {
        let all = |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("\u{0}"));
        let mut parents = all(TRACEPARENT);
        let parent = match (parents.next(), parents.next()) {
            (Some(parent), None) => Some(parent),
            _ => None,
        };
        self.read(parent, all(TRACESTATE), all(BAGGAGE))
    }

    /// Says which trace a message is part of, and nothing else.
    pub fn write_parent(self, context: &Context, meta: &mut Map<String, Value>) {
        if let Some(parent) = context.traceparent().filter(|_| self.trace) {
            meta.insert(TRACEPARENT.to_owned(), Value::String(parent));
        }
    }

    /// From `params._meta` of an MCP message. What is no string is not there.
    pub fn read_meta(self, meta: &Map<String, Value>) -> Context {
        let text = |name| meta.get(name).and_then(Value::as_str);
        self.read(text(TRACEPARENT), text(TRACESTATE).into_iter(), text(BAGGAGE).into_iter())
    }

    fn read<'a>(
        self,
        parent: Option<&str>,
        states: impl Iterator<Item = &'a str>,
        bags: impl Iterator<Item = &'a str>,
    ) -> Context {
        let span = parent.filter(|_| self.trace).and_then(traceparent::parse).map(|(trace, span, flags)| SpanContext {
            trace,
            span,
            flags,
            state: tracestate::parse(states).map(Arc::from),
            remote: true,
        });
        Context { span, baggage: self.baggage.then(|| baggage::parse(bags)).flatten().map(Arc::from) }
    }

    /// Into the headers of a request, instead of whatever is there under the names that are propagated.
    pub fn write_headers(self, context: &Context, headers: &mut HeaderMap) {
        for (name, value) in self.values(context).into_iter().flatten() {
            let name = HeaderName::from_static(name);
            match value.and_then(|value| HeaderValue::try_from(value).ok()) {
                Some(value) => drop(headers.insert(name, value)),
                None => drop(headers.remove(name)),
            }
        }
    }

    /// Into `params._meta` of an MCP message, instead of whatever is there under the keys that are propagated.
    pub fn write_meta(self, context: &Context, meta: &mut Map<String, Value>) {
        for (name, value) in self.values(context).into_iter().flatten() {
            match value {
                Some(value) => drop(meta.insert(name.to_owned(), Value::String(value))),
                None => drop(meta.remove(name)),
            }
        }
    }

    /// What stands under each name; nothing under those that are not ours to write.
    fn values(self, context: &Context) -> [Option<(&'static str, Option<String>)>; 3] {
        [
            self.trace.then(|| (TRACEPARENT, context.traceparent())),
            self.trace.then(|| (TRACESTATE, context.tracestate().map(str::to_owned))),
            self.baggage.then(|| (BAGGAGE, context.baggage().map(str::to_owned))),
        ]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const ALL: Propagation = Propagation { trace: true, baggage: true };

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn headers_and_meta_are_read_alike() {
        let from_headers = ALL.read_headers(&headers(&[
            ("TraceParent", PARENT),
            ("tracestate", "rojo=1"),
            ("tracestate", "congo=2"),
            ("baggage", "a=1"),
            ("Baggage", "b=2"),
        ]));
        let Value::Object(meta) =
            json!({"traceparent": PARENT, "tracestate": "rojo=1,congo=2", "baggage": "a=1,b=2", "other": 1})
        else {
            panic!()
        };
        let from_meta = ALL.read_meta(&meta);
        assert_eq!(from_headers, from_meta);
        assert_eq!(from_meta.traceparent().as_deref(), Some(PARENT));
        assert_eq!((from_meta.tracestate(), from_meta.baggage()), (Some("rojo=1,congo=2"), Some("a=1,b=2")));
        assert!(from_meta.span().unwrap().remote && from_meta.span().unwrap().flags.sampled);
    }

    #[test]
    fn what_is_wrong_is_not_there() {
        for (pairs, why) in [
            (&[("traceparent", PARENT), ("traceparent", PARENT)][..], "two of them"),
            (&[("tracestate", "rojo=1")], "a state without a parent"),
            (&[("trace-parent", PARENT)], "another name"),
            (&[("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01, x")], "a list"),
        ] {
            assert_eq!(ALL.read_headers(&headers(pairs)), Context::default(), "{why}");
        }
        let mut bytes = headers(&[("traceparent", PARENT), ("baggage", "a=1")]);
        bytes.append("tracestate", HeaderValue::from_bytes(b"a=\xff").unwrap());
        bytes.append("baggage", HeaderValue::from_bytes(b"b=\xff").unwrap());
        let read = ALL.read_headers(&bytes);
        assert_eq!((read.tracestate(), read.baggage(), read.span.is_some()), (None, Some("a=1"), true));
        for meta in [
            json!({"traceparent": 1}),
            json!({"traceparent": [PARENT]}),
            json!({"Traceparent": PARENT}),
            json!({"traceparent": null}),
        ] {
            assert_eq!(ALL.read_meta(meta.as_object().unwrap()), Context::default(), "{meta}");
        }
    }

    #[test]
    fn what_is_written_takes_the_place_of_what_was_there() {
        let context = ALL.read_headers(&headers(&[("traceparent", PARENT)]));
        let mut map = headers(&[("traceparent", "old"), ("traceparent", "older"), ("tracestate", "old=1"), ("x", "y")]);
        ALL.write_headers(&context, &mut map);
        assert_eq!(map, headers(&[("traceparent", PARENT), ("x", "y")]));

        let mut meta =
            json!({"traceparent": {"a": 1}, "baggage": "old=1", "progressToken": 7}).as_object().unwrap().clone();
        ALL.write_meta(&context, &mut meta);
        assert_eq!(Value::Object(meta), json!({"traceparent": PARENT, "progressToken": 7}));
    }

    #[test]
    fn what_is_switched_off_is_neither_read_nor_written() {
        let map = headers(&[("traceparent", PARENT), ("tracestate", "a=1"), ("baggage", "b=2")]);
        let trace = Propagation { trace: true, baggage: false };
        let baggage = Propagation { trace: false, baggage: true };
        assert_eq!(trace.read_headers(&map).baggage(), None);
        assert_eq!(baggage.read_headers(&map).span(), None);
        let mut written = HeaderMap::new();
        baggage.write_headers(&ALL.read_headers(&map), &mut written);
        assert_eq!(written, headers(&[("baggage", "b=2")]));
        let mut written = HeaderMap::new();
        trace.write_headers(&ALL.read_headers(&map), &mut written);
        assert_eq!(written, headers(&[("traceparent", PARENT), ("tracestate", "a=1")]));
    }

    proptest! {
        /// Whatever comes, what is written is read as the same again, from headers and from `_meta`.
        #[test]
        fn what_goes_onward_is_what_was_understood(
            parent in prop_oneof![any::<String>(), Just(PARENT.to_owned()), "0[01]-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-x)?"],
            state in prop_oneof![any::<String>(), "([a-z]{1,9}=[!-+]{1,90},){0,9}"],
            bags in prop_oneof![any::<String>(), "([a-z]{1,9}=[!-+]{1,90},){0,9}"],
        ) {
            let meta: Map<String, Value> = [(TRACEPARENT, parent), (TRACESTATE, state), (BAGGAGE, bags)]
                .into_iter().map(|(key, value)| (key.to_owned(), Value::String(value))).collect();
            let context = ALL.read_meta(&meta);
            let (mut onward, mut map) = (meta, HeaderMap::new());
            ALL.write_meta(&context, &mut onward);
            ALL.write_headers(&context, &mut map);
            prop_assert_eq!(&ALL.read_meta(&onward), &context);
            prop_assert_eq!(&ALL.read_headers(&map), &context);
            prop_assert!(onward.contains_key(TRACEPARENT) || !onward.contains_key(TRACESTATE));
            prop_assert!(map.get(TRACESTATE).is_none_or(|value| value.len() <= 512));
        }
    }
}
