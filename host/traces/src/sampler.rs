//! Which traces are kept.
//!
//! Invariant: the choice is the trace's, not the span's: it depends on the trace's id and on what the parent says, so
//! all of a trace is kept or none of it.

use crate::context::SpanContext;
use crate::ids::TraceId;

/// `OTEL_TRACES_SAMPLER` and its argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// What the caller says about its trace counts: `parentbased_…`.
    pub parent_based: bool,
    /// The part of all traces that is kept, from 0 to 1.
    pub ratio: f64,
}

impl Default for Sampler {
    /// `parentbased_always_on`.
    fn default() -> Self {
        Self { parent_based: true, ratio: 1.0 }
    }
}

impl Sampler {
    /// Whether a trace is kept.
    pub(crate) fn keeps(self, trace: TraceId, parent: Option<&SpanContext>) -> bool {
        match parent {
            Some(parent) if self.parent_based => parent.flags.sampled,
            // The seven random bytes against a threshold, as OpenTelemetry's consistent sampling has it.
            _ => trace.randomness() >= ((1.0 - self.ratio.clamp(0.0, 1.0)) * TWO_TO_56) as u64,
        }
    }
}

const TWO_TO_56: f64 = (1u64 << 56) as f64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{SpanId, System};
    use crate::traceparent::Flags;

    fn parent(sampled: bool) -> SpanContext {
        let flags = Flags { sampled, random: true };
        let (trace, span) = (TraceId::random(&System).unwrap(), SpanId::random(&System).unwrap());
        SpanContext { trace, span, flags, state: None, remote: true }
    }

    fn kept(sampler: Sampler, parent: Option<&SpanContext>) -> usize {
        let ids = (0..4000u128).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_0c45_6c8b_2d1f) | 1);
        ids.filter(|id| sampler.keeps(TraceId::parse(&format!("{id:032x}")).unwrap(), parent)).count()
    }

    #[test]
    fn all_or_none_or_a_part_is_kept() {
        let of = |ratio| kept(Sampler { parent_based: true, ratio }, None);
        assert_eq!((of(1.0), of(0.0)), (4000, 0));
        let quarter = of(0.25);
        assert!((900..1100).contains(&quarter), "{quarter}");
    }

    #[test]
    fn a_parent_counts_only_where_it_should() {
        let none = Sampler { parent_based: true, ratio: 0.0 };
        let all = Sampler { parent_based: true, ratio: 1.0 };
        assert_eq!((kept(none, Some(&parent(true))), kept(all, Some(&parent(false)))), (4000, 0));
        let alone = Sampler { parent_based: false, ratio: 0.0 };
        assert_eq!(kept(alone, Some(&parent(true))), 0);
    }
}
