//! Ids of traces and spans, and where they come from.
//!
//! Invariant: an id is never zero, which stands for none on the wire.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};

/// Where ids come from.
pub trait Randomness: Send + Sync {
    /// Fill all of it with random bytes; `false` where there are none to be had.
    fn fill(&self, bytes: &mut [u8]) -> bool;
}

/// The operating system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Randomness for System {
    fn fill(&self, bytes: &mut [u8]) -> bool {
        getrandom::fill(bytes).is_ok()
    }
}

/// Sixteen bytes that name a whole trace.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(NonZeroU128);

/// Eight bytes that name a span in its trace.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(NonZeroU64);

impl TraceId {
    /// All sixteen bytes random, so that the flag that says so may be set. Nothing without randomness.
    pub fn random(source: &dyn Randomness) -> Option<Self> {
        let mut bytes = [0; 16];
        source.fill(&mut bytes).then(|| Self(NonZeroU128::new(u128::from_be_bytes(bytes)).unwrap_or(NonZeroU128::MIN)))
    }

    /// 32 lower-case hexadecimal digits, not all of them zero.
    pub fn parse(digits: &str) -> Option<Self> {
        is_lower_hex(digits, 32).then(|| u128::from_str_radix(digits, 16).ok().and_then(NonZeroU128::new))?.map(Self)
    }

    /// The bytes as they go on the wire.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.get().to_be_bytes()
    }

    /// The seven bytes that have to be random (W3C Trace Context Level 2, section 3.2.2.3), as a number.
    pub(crate) fn randomness(self) -> u64 {
        (self.0.get() & 0x00ff_ffff_ffff_ffff) as u64
    }
}

impl SpanId {
    /// Eight random bytes. Nothing without randomness.
    pub fn random(source: &dyn Randomness) -> Option<Self> {
        let mut bytes = [0; 8];
        source.fill(&mut bytes).then(|| Self(NonZeroU64::new(u64::from_be_bytes(bytes)).unwrap_or(NonZeroU64::MIN)))
    }

    /// 16 lower-case hexadecimal digits, not all of them zero.
    pub fn parse(digits: &str) -> Option<Self> {
        is_lower_hex(digits, 16).then(|| u64::from_str_radix(digits, 16).ok().and_then(NonZeroU64::new))?.map(Self)
    }

    /// The bytes as they go on the wire.
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.get().to_be_bytes()
    }
}

/// Whether a text is so many lower-case hexadecimal digits and nothing else.
pub(crate) fn is_lower_hex(digits: &str, length: usize) -> bool {
    digits.len() == length && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl fmt::Display for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Constant(u8, bool);

    impl Randomness for Constant {
        fn fill(&self, bytes: &mut [u8]) -> bool {
            bytes.fill(self.0);
            self.1
        }
    }

    #[test]
    fn ids_are_never_zero() {
        assert_eq!(TraceId::random(&Constant(0, true)).unwrap().to_string(), format!("{:032x}", 1));
        assert_eq!(SpanId::random(&Constant(0, true)).unwrap().to_string(), format!("{:016x}", 1));
        assert_eq!(TraceId::random(&Constant(0xab, true)).unwrap().to_string(), "ab".repeat(16));
        assert_eq!(TraceId::parse(&"0".repeat(32)), None);
        assert_eq!(SpanId::parse(&"0".repeat(16)), None);
    }

    #[test]
    fn there_is_no_id_without_randomness() {
        assert_eq!(TraceId::random(&Constant(1, false)), None);
        assert_eq!(SpanId::random(&Constant(1, false)), None);
    }

    #[test]
    fn only_lower_case_digits_are_an_id() {
        let right = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(TraceId::parse(right).unwrap().to_string(), right);
        for wrong in [&right.to_uppercase(), &right[1..], &format!("{right}0"), &format!("+{}", &right[1..]), "é"] {
            assert_eq!(TraceId::parse(wrong), None, "{wrong}");
        }
        assert_eq!(SpanId::parse("+af7651916cd43dd"), None);
    }

    #[test]
    fn the_system_gives_another_id_each_time() {
        assert_ne!(TraceId::random(&System), TraceId::random(&System));
    }
}
