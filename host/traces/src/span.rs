//! Spans: what was done, from when to when, for whom.
//!
//! Invariant: all that a span says is a [`Name`], a [`Kind`], times, [`Attribute`]s and whether it failed. There is no
//! field for a message, and no event, which is where other libraries put one.

use std::borrow::Cow;

#[cfg(feature = "exporter")]
use crate::attribute::Value;
use crate::attribute::{Attribute, Failure, HttpMethod, Method, name_of, route_of};
use crate::context::{Context, SpanContext};
use crate::ids::{SpanId, TraceId};
use crate::limits::{MAX_ATTRIBUTES, MAX_LINKS};
use crate::numbers::count;
use crate::traceparent::Flags;
use crate::tracer::Tracer;

/// Nanoseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(pub u64);

impl Nanos {
    /// From microseconds since the Unix epoch, as the store has them.
    pub fn from_micros(micros: i64) -> Self {
        Self(u64::try_from(micros).unwrap_or(0).saturating_mul(1000))
    }
}

/// What part somebody has in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A step of our own.
    Internal = 1,
    /// We were asked.
    Server = 2,
    /// We ask somebody.
    Client = 3,
}

/// What was done: few words, the same for all requests of a sort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(Cow<'static, str>);

impl Name {
    /// A step that is named in our own code.
    pub const fn fixed(name: &'static str) -> Self {
        Self(Cow::Borrowed(if name.is_empty() { "step" } else { name }))
    }

    /// `{method} {target}`, the target being the name of a tool or a prompt, if there is one.
    pub fn mcp(method: Method, target: Option<&str>) -> Self {
        match target.map(name_of) {
            Some(target) => Self(Cow::Owned(format!("{} {target}", method.as_str()))),
            None => Self(Cow::Borrowed(method.as_str())),
        }
    }

    /// `{method} {route}`, the route being the pattern of the router, if one fits.
    pub fn http(method: HttpMethod, route: Option<&str>) -> Self {
        // The conventions want `HTTP` for a method that is not known.
        let method = if method == HttpMethod::Other { "HTTP" } else { method.as_str() };
        match route.map(route_of) {
            Some(route) => Self(Cow::Owned(format!("{method} {route}"))),
            None => Self(Cow::Borrowed(method)),
        }
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether it went well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Nobody said.
    #[default]
    Unset = 0,
    /// It did.
    Ok = 1,
    /// It did not.
    Error = 2,
}

/// A span that is over, as it waits to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
    pub(crate) flags: Flags,
    pub(crate) parent: Option<(SpanId, bool)>,
    pub(crate) name: Name,
    pub(crate) kind: Kind,
    pub(crate) start: Nanos,
    pub(crate) end: Nanos,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) dropped_attributes: u32,
    pub(crate) links: Vec<(TraceId, SpanId, Flags, bool)>,
    pub(crate) status: Status,
}

/// A span that has begun. It is sent when it has ended; one that is let go before is counted as `unended`.
#[must_use = "a span that is not ended is not sent"]
pub struct Span {
    tracer: Tracer,
    context: Context,
    /// Nothing where it is not recorded.
    recorded: Option<Box<Ended>>,
}

impl Span {
    /// One that is recorded, or that only hands on its context.
    pub(crate) fn begin(
        tracer: Tracer,
        context: Context,
        parent: Option<&SpanContext>,
        begun: Option<(Name, Kind, Nanos)>,
    ) -> Self {
        let recorded = context.span.as_ref().zip(begun).map(|(own, (name, kind, start))| {
            Box::new(Ended {
                trace: own.trace,
                span: own.span,
                flags: own.flags,
                parent: parent.map(|parent| (parent.span, parent.remote)),
                name,
                kind,
                start,
                end: start,
                attributes: Vec::new(),
                dropped_attributes: 0,
                links: Vec::new(),
                status: Status::Unset,
            })
        });
        Self { tracer, context, recorded }
    }

    /// For spans within this one, and for whom it asks.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Whether anything that is said of it is kept. What is costly to find out need not be, otherwise.
    pub fn is_recorded(&self) -> bool {
        self.recorded.is_some()
    }

    /// A span within this one.
    pub fn child(&self, name: Name, kind: Kind, now: Nanos) -> Span {
        self.tracer.start(name, kind, &self.context, now)
    }

    /// Say something of it; the later of two of one kind counts.
    pub fn set(&mut self, attribute: impl Into<Option<Attribute>>) {
        let Some((ended, attribute)) = self.recorded.as_mut().zip(attribute.into()) else { return };
        if let Some(same) = ended.attributes.iter_mut().find(|one| one.key == attribute.key) {
            *same = attribute;
        } else if ended.attributes.len() < MAX_ATTRIBUTES {
            ended.attributes.push(attribute);
        } else {
            ended.dropped_attributes += 1;
        }
    }

    /// Another name, where it is known only later which route or tool it is.
    pub fn rename(&mut self, name: Name) {
        if let Some(ended) = &mut self.recorded {
            ended.name = name;
        }
    }

    /// Point to a span that is not the parent: that of the HTTP request which brought a message.
    pub fn link(&mut self, other: &Context) {
        let Some((ended, other)) = self.recorded.as_mut().zip(other.span.as_ref()) else { return };
        if ended.links.len() < MAX_LINKS {
            ended.links.push((other.trace, other.span, other.flags, other.remote));
        }
    }

    /// It went well.
    pub fn succeed(&mut self) {
        if let Some(ended) = &mut self.recorded {
            ended.status = Status::Ok;
        }
    }

    /// It failed. Which way is a word; why is not said.
    pub fn fail(&mut self, failure: Failure) {
        self.set(Attribute::failure(failure));
        self.is_error();
    }

    /// It failed with the code of a JSON-RPC error.
    pub fn fail_with_code(&mut self, code: i64) {
        self.set(Attribute::error_code(code));
        self.set(Attribute::status_code(code));
        self.is_error();
    }

    /// It was answered by an HTTP status: an error of ours from 500 on, of whom we asked from 400 on.
    pub fn answered(&mut self, status: u16) {
        self.set(Attribute::http_status(status));
        let first = if self.recorded.as_ref().is_some_and(|ended| ended.kind == Kind::Client) { 400 } else { 500 };
        if status >= first {
            self.set(Attribute::error_code(i64::from(status)));
            self.is_error();
        }
    }

    fn is_error(&mut self) {
        if let Some(ended) = &mut self.recorded {
            ended.status = Status::Error;
        }
    }

    /// It is over. Never waits: where too many wait to be sent, this one is dropped and counted. An end before its start,
    /// which a clock that was set can bring about, is its start.
    pub fn end(mut self, now: Nanos) {
        if let Some(mut ended) = self.recorded.take() {
            ended.end = now.max(ended.start);
            self.tracer.hand_over(*ended);
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if self.recorded.is_some() {
            count(&self.tracer.numbers().unended, 1);
        }
    }
}

#[cfg(feature = "exporter")]
impl Ended {
    /// Roughly what it takes of memory and of a request.
    pub(crate) fn size(&self) -> usize {
        let text = |attribute: &Attribute| match &attribute.value {
            Value::Text(text) => text.len(),
            Value::Number(_) => 20,
        };
        self.attributes.iter().map(|one| one.key.len() + text(one) + 64).sum::<usize>() + self.name.0.len() + 256
    }
}

#[cfg(test)]
#[cfg(feature = "exporter")]
mod tests {
    use super::*;
    use crate::tests_support::{recording, taken};

    const NOW: Nanos = Nanos(1_700_000_000_000_000_000);

    #[test]
    fn names_say_no_more_than_they_may() {
        for (name, expected) in [
            (Name::mcp(Method::ToolsCall, Some("get_weather")), "tools/call get_weather"),
            (Name::mcp(Method::ToolsCall, Some("where is ana@ops.example")), "tools/call _OTHER"),
            (Name::mcp(Method::of("ana@ops.example"), None), "_OTHER"),
            (Name::http(HttpMethod::Get, Some("/incidents/{id}")), "GET /incidents/{id}"),
            (Name::http(HttpMethod::of("BREW"), None), "HTTP"),
            (Name::fixed(""), "step"),
        ] {
            assert_eq!(name.as_str(), expected);
        }
    }

    #[test]
    fn what_is_said_last_counts_and_is_there_once() {
        let (tracer, queue) = recording();
        let mut span = tracer.start(Name::fixed("one"), Kind::Internal, &Context::default(), NOW);
        span.set(Attribute::http_status(200));
        span.set(Attribute::http_status(201));
        span.set(None);
        span.fail_with_code(-32602);
        span.fail(Failure::Timeout);
        span.end(Nanos(NOW.0 - 5));
        let ended = taken(&queue);
        let said: Vec<String> = ended.attributes.iter().map(|one| format!("{one:?}")).collect();
        assert_eq!(said, ["http.response.status_code=201", "error.type=timeout", "rpc.response.status_code=-32602"]);
        assert_eq!((ended.start, ended.end, ended.status), (NOW, NOW, Status::Error));
    }

    #[test]
    fn a_status_is_an_error_by_who_is_at_fault() {
        for (kind, status, expected) in [
            (Kind::Server, 404, Status::Unset),
            (Kind::Server, 500, Status::Error),
            (Kind::Client, 404, Status::Error),
            (Kind::Client, 399, Status::Unset),
        ] {
            let (tracer, queue) = recording();
            let mut span = tracer.start(Name::fixed("one"), kind, &Context::default(), NOW);
            span.answered(status);
            span.end(NOW);
            assert_eq!(taken(&queue).status, expected, "{kind:?} {status}");
        }
    }

    #[test]
    fn a_span_that_is_let_go_is_counted_and_not_sent() {
        let (tracer, queue) = recording();
        drop(tracer.start(Name::fixed("one"), Kind::Internal, &Context::default(), NOW));
        assert_eq!(queue.len(), 0);
        assert_eq!(tracer.numbers().unended(), 1);
    }

    #[test]
    fn links_point_to_whom_they_should() {
        let (tracer, queue) = recording();
        let other = tracer.start(Name::fixed("other"), Kind::Server, &Context::default(), NOW);
        let mut span = tracer.start(Name::fixed("one"), Kind::Internal, &Context::default(), NOW);
        span.link(&Context::default());
        for _ in 0..MAX_LINKS + 2 {
            span.link(other.context());
        }
        let linked = other.context().span().unwrap().clone();
        span.end(NOW);
        let ended = taken(&queue);
        assert_eq!(ended.links.len(), MAX_LINKS);
        assert_eq!(ended.links[0], (linked.trace, linked.span, linked.flags, false));
        other.end(NOW);
    }
}
