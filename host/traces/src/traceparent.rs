//! `traceparent` (W3C Trace Context Level 2, section 3.2).
//!
//! Invariant: what is not right to the last character is nothing at all, so the trace begins anew; what is written is
//! version 00, with no flag that this version does not know.

use crate::ids::{SpanId, TraceId, is_lower_hex};
use crate::limits::MAX_TRACEPARENT_BYTES;

/// The two flags that version 00 knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// The caller may have recorded its part of the trace.
    pub sampled: bool,
    /// The last seven bytes of the trace's id are random.
    pub random: bool,
}

impl Flags {
    /// As they go on the wire.
    pub fn to_byte(self) -> u8 {
        u8::from(self.sampled) | u8::from(self.random) << 1
    }

    fn of(byte: u8) -> Self {
        Self { sampled: byte & 1 != 0, random: byte & 2 != 0 }
    }
}

/// Reads a value. Of a later version what version 00 has is taken, if it stands where it should.
pub(crate) fn parse(value: &str) -> Option<(TraceId, SpanId, Flags)> {
    if value.len() > MAX_TRACEPARENT_BYTES {
        return None;
    }
    let mut fields = value.trim_matches([' ', '\t']).splitn(5, '-');
    let version = fields.next().filter(|version| is_lower_hex(version, 2) && *version != "ff")?;
    let trace = TraceId::parse(fields.next()?)?;
    let span = SpanId::parse(fields.next()?)?;
    let flags = fields.next().filter(|flags| is_lower_hex(flags, 2))?;
    if version == "00" && fields.next().is_some() {
        return None;
    }
    Some((trace, span, Flags::of(u8::from_str_radix(flags, 16).ok()?)))
}

/// The value as version 00 writes it.
pub(crate) fn write(trace: TraceId, span: SpanId, flags: Flags) -> String {
    format!("00-{trace}-{span}-{:02x}", flags.to_byte())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "12345678901234567890123456789012";
    const SPAN: &str = "1234567890123456";

    /// The cases of the public test suite of the specification, by what it expects of them.
    #[test]
    fn what_is_right_is_read_and_nothing_else() {
        let right = [
            "00-{t}-{s}-01",
            "00-{t}-{s}-00",
            " 00-{t}-{s}-01",
            "\t 00-{t}-{s}-01 \t",
            "cc-{t}-{s}-01",
            "cc-{t}-{s}-01-what-the-future-will-be-like",
            "01-{t}-{s}-ff-",
        ];
        let wrong = [
            "",
            "00",
            "00-{t}-{s}-01.",
            "00-{t}-{s}-01-",
            "00-{t}-{s}-01-what-the-future-will-be-like",
            "cc-{t}-{s}-01.what-the-future-will-be-like",
            "cc-{t}-{s}-0",
            "ff-{t}-{s}-01",
            "CC-{t}-{s}-01",
            ".0-{t}-{s}-01",
            "0.-{t}-{s}-01",
            "000-{t}-{s}-01",
            "0000-{t}-{s}-01",
            "0-{t}-{s}-01",
            "00-00000000000000000000000000000000-{s}-01",
            "00-.2345678901234567890123456789012-{s}-01",
            "00-1234567890123456789012345678901.-{s}-01",
            "00-123456789012345678901234567890123-{s}-01",
            "00-1234567890123456789012345678901-{s}-01",
            "00-1234567890123456789012345678901A-{s}-01",
            "00-{t}-0000000000000000-01",
            "00-{t}-.234567890123456-01",
            "00-{t}-123456789012345.-01",
            "00-{t}-12345678901234567-01",
            "00-{t}-123456789012345-01",
            "00-{t}-{s}-.0",
            "00-{t}-{s}-0.",
            "00-{t}-{s}-001",
            "00-{t}-{s}-1",
            "00-{t}-{s}-0A",
            "00-{t}-{s}-01,00-{t}-{s}-01",
            "00-{t}-{s}-01\u{0}",
            "00\u{2010}{t}-{s}-01",
        ];
        let of = |pattern: &str| pattern.replace("{t}", TRACE).replace("{s}", SPAN);
        for pattern in right {
            let (trace, span, _) = parse(&of(pattern)).unwrap_or_else(|| panic!("{pattern}"));
            assert_eq!((trace.to_string().as_str(), span.to_string().as_str()), (TRACE, SPAN), "{pattern}");
        }
        for pattern in wrong {
            assert_eq!(parse(&of(pattern)), None, "{pattern:?}");
        }
        let long = format!("01-{TRACE}-{SPAN}-01-{}", "x".repeat(MAX_TRACEPARENT_BYTES));
        assert_eq!(parse(&long), None);
    }

    #[test]
    fn flags_that_are_not_known_do_not_go_onward() {
        let flags = |digits: &str| parse(&format!("00-{TRACE}-{SPAN}-{digits}")).unwrap().2;
        assert_eq!(flags("ff"), Flags { sampled: true, random: true });
        assert_eq!(flags("fd"), Flags { sampled: true, random: false });
        assert_eq!(flags("02"), Flags { sampled: false, random: true });
        assert_eq!(flags("08"), Flags::default());
        assert_eq!(flags("ff").to_byte(), 3);
    }

    proptest! {
        #[test]
        fn reading_never_fails_badly(value in any::<String>(), noise in "[0-9a-f-]{0,80}") {
            let _ = (parse(&value), parse(&noise), parse(&format!("00-{TRACE}-{noise}")));
        }

        #[test]
        fn what_was_written_is_read(trace in 1u128.., span in 1u64.., sampled: bool, random: bool) {
            let trace = TraceId::parse(&format!("{trace:032x}")).unwrap();
            let span = SpanId::parse(&format!("{span:016x}")).unwrap();
            let flags = Flags { sampled, random };
            let value = write(trace, span, flags);
            prop_assert_eq!(value.len(), 55);
            prop_assert_eq!(parse(&value), Some((trace, span, flags)));
        }

        /// One character that is another one is either still right or nothing, never half of it.
        #[test]
        fn a_changed_character_is_never_half_read(at in 0usize..55, with in any::<char>()) {
            let value = format!("00-{TRACE}-{SPAN}-01");
            let changed: String = value.chars().enumerate().map(|(i, c)| if i == at { with } else { c }).collect();
            if let Some((trace, span, flags)) = parse(&changed) {
                let version = &changed[..2];
                let again = write(trace, span, flags);
                prop_assert_eq!(&again[3..53], &changed[3..53]);
                prop_assert!(is_lower_hex(version, 2) && version != "ff");
            }
        }
    }
}
