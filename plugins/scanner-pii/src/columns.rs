//! Tables: the names of columns stand once, and their values in rows behind.
//!
//! Invariant: a value of a table is judged as the value of a field with the column's name.

use crate::assign;
use crate::classify::{self, Class};
use crate::ids;
use crate::kind::Kind;
use crate::literals::Cue;
use crate::scan::Scan;
use crate::value::{Join, Value};
use crate::worded;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Field(Class),
    /// Numbers that the validators find, if they know what to expect.
    Number(Cue),
    Passport,
    Other,
}

impl Column {
    /// What the column of that name holds.
    pub(crate) fn named(name: &[u8]) -> Self {
        let lower = name.to_ascii_lowercase();
        let has = |part: &str| lower.windows(part.len()).any(|w| w == part.as_bytes());
        if has("passport") {
            return Self::Passport;
        }
        if has("phone") || has("mobile") || has("msisdn") || lower == b"tel" || lower == b"fax" {
            return Self::Number(Cue::Phone);
        }
        if has("ssn") || has("social_security") {
            return Self::Number(Cue::Ssn);
        }
        if has("nhs") {
            return Self::Number(Cue::Nhs);
        }
        if worded::PHONE.iter().any(|word| name.eq_ignore_ascii_case(word.as_bytes())) {
            return Self::Number(Cue::Phone);
        }
        classify::classify(name).or_else(|| worded::class(name)).map_or(Self::Other, Self::Field)
    }
}

/// The value at `start..end` stands in the column.
pub(crate) fn value(scan: &mut Scan<'_>, column: Column, start: usize, end: usize) {
    if start >= end {
        return;
    }
    match column {
        Column::Field(class) => {
            let value = Value { start, end, quoted: true, join: Join::Other, spaced: false, block: None };
            assign::field(scan, class, start, value);
        }
        Column::Number(cue) => scan.add_cue(cue, start),
        Column::Passport if ids::is_passport(scan.text.slice(start, end)) => {
            scan.emit(Kind::Passport, start, end, 0.9, false, "passport column");
        }
        Column::Passport | Column::Other => {}
    }
}
