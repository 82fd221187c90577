//! How much is taken in from a caller, kept of a span, and sent at once.

use std::time::Duration;

/// Bytes of a `traceparent`. Version 00 has 55; a later one may have more fields, none of which is read.
pub const MAX_TRACEPARENT_BYTES: usize = 512;

/// Characters of a `tracestate` that goes onward (W3C Trace Context, section 3.3.1.5: at least as many are to be passed
/// on). Whole entries are left out beyond it, those longer than [`LONG_TRACESTATE_ENTRY`] first, then from the end.
pub const MAX_TRACESTATE_BYTES: usize = 512;

/// Characters of an entry that goes first where there are too many.
pub const LONG_TRACESTATE_ENTRY: usize = 128;

/// Entries of a `tracestate`; one that has more is dropped whole.
pub const MAX_TRACESTATE_ENTRIES: usize = 32;

/// Bytes of a `tracestate`, all its headers together, that are looked at; a longer one is dropped whole.
pub const MAX_TRACESTATE_READ: usize = 32 * 1024;

/// Bytes of `baggage` (W3C Baggage, section 3.3.1): a longer one loses whole entries from its end.
pub const MAX_BAGGAGE_BYTES: usize = 8192;

/// Entries of `baggage`, by the same section.
pub const MAX_BAGGAGE_ENTRIES: usize = 64;

/// Bytes of a name or an id that somebody else gave. Longer ones are [`OTHER`](crate::OTHER).
pub const MAX_WORD_BYTES: usize = 128;

/// Bytes of a host name (RFC 1035) and of an address in brackets.
pub const MAX_HOST_BYTES: usize = 255;

/// Attributes of a span. There are fewer kinds of them than this, and each is there once.
pub const MAX_ATTRIBUTES: usize = 32;

/// Links of a span.
pub const MAX_LINKS: usize = 4;

/// Attributes of the resource that the operator may name, and bytes of each key and value.
pub const MAX_RESOURCE_ATTRIBUTES: usize = 64;
/// Bytes of a key or a value of the resource.
pub const MAX_RESOURCE_BYTES: usize = 256;

/// Bytes of one request before compression; a batch that is larger goes in several. Proxies in front of collectors refuse
/// more than 1 MiB as they come.
pub const MAX_BATCH_BYTES: usize = 1000 * 1000;

/// Bytes of an answer. It holds two numbers and a sentence. Whoever implements `Collector` stops reading there.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Spans that may wait, whatever `OTEL_BSP_MAX_QUEUE_SIZE` says: about 64 MiB of them.
pub const MAX_QUEUE: usize = 65_536;

/// The first pause after an attempt that failed; each further one is twice as long, less up to half of it by chance.
pub const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between two attempts that we choose ourselves.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The longest pause that a collector can ask for with `Retry-After`.
pub const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Characters of what a collector says that reach our log.
pub const MAX_WORDS: usize = 200;
