//! What a column of a table or a field of a record holds, and what its values then are.
//!
//! Invariant: where the name of the column says what it holds, nearly every value counts; what stands for a missing
//! value never does.

use crate::classify::Class;
use crate::dates;
use crate::ids;
use crate::kind::Kind;
use crate::literals::Cue;
use crate::logins;
use crate::scan::Scan;
use crate::value::{self, Join, Makeup, Value};
use crate::{assign, hosts, names, places};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Field(Class),
    /// Numbers that the validators find, if they know what to expect.
    Number(Cue),
    Passport,
    /// The number of a passport, in a table of people.
    Document,
    Street,
    /// A postcode or a town: part of the address that stands before it.
    Area,
    /// No addresses of networks, whatever they look like.
    Version,
    /// Names of fields, whose values stand in [`Column::Value`].
    Key,
    Value,
    /// A key of a service, if it is random.
    Opaque,
    Email,
    Iban,
    Other,
}

impl Column {
    /// Whether a record that has it is somebody's.
    pub(crate) fn personal(self) -> bool {
        matches!(
            self,
            Self::Number(_)
                | Self::Passport
                | Self::Email
                | Self::Iban
                | Self::Street
                | Self::Field(Class::Birth | Class::NamePart)
        )
    }

    /// Whether it makes a line of names a header: names that many lists have do not.
    pub(crate) fn telling(self) -> bool {
        !matches!(self, Self::Other | Self::Key | Self::Value)
    }
}

/// What the values before and beside a value say of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Record {
    /// The record is somebody's.
    pub personal: bool,
    /// Parts of names have columns of their own.
    pub parts: bool,
    /// The value before was a street, or an area behind one.
    pub street: bool,
    /// The record is a company's, and so is its address.
    pub company: bool,
}

impl Record {
    /// A record of a table with these columns.
    pub(crate) fn of(columns: impl Iterator<Item = Column> + Clone) -> Self {
        let parts = columns.clone().any(|column| column == Column::Field(Class::NamePart));
        Self { personal: columns.clone().any(Column::personal), parts, ..Self::default() }
    }
}

/// The value at `start..end` stands in the column.
pub(crate) fn value(scan: &mut Scan<'_>, column: Column, start: usize, end: usize, record: &mut Record) {
    let street = std::mem::take(&mut record.street);
    if start >= end {
        record.street = street;
        return;
    }
    let bytes = scan.text.slice(start, end);
    scan.text.tick(bytes.len());
    match column {
        Column::Number(cue) => scan.add_cue(cue, start),
        Column::Version => scan.versions.push((start, end)),
        Column::Other | Column::Key | Column::Value | Column::Email | Column::Iban => {}
        _ if value::is_placeholder(bytes) || is_missing(bytes) => {}
        Column::Passport | Column::Document => {
            if ids::is_passport(bytes) && (column == Column::Passport || record.personal) {
                scan.emit(Kind::Passport, start, end, 0.9, false, "passport column");
            }
        }
        Column::Street if record.company => {}
        Column::Street => {
            record.street = places::street(scan, start, end);
        }
        Column::Area => {
            if street && end - start <= 40 {
                record.street = true;
                scan.emit(Kind::Address, start, end, 0.6, false, "area behind a street");
            }
        }
        Column::Opaque => opaque(scan, start, end),
        Column::Field(class) => field(scan, class, start, end, record),
    }
}

fn field(scan: &mut Scan<'_>, class: Class, start: usize, end: usize, record: &mut Record) {
    let found = Value { start, end, quoted: true, join: Join::Other, spaced: false, block: None };
    match class {
        Class::NamePart | Class::Person => name(scan, start, end, record),
        Class::Name if scan.text.slice(start, end).contains(&b'\\') => logins::field(scan, start, found),
        // One word is somebody's where the parts of names have columns of their own.
        Class::Name
            if record.parts
                || record.personal && scan.text.slice(start, end).iter().any(|b| matches!(b, b' ' | b',')) =>
        {
            name(scan, start, end, record);
        }
        Class::Birth => birth(scan, start, end),
        // Words that say where it is.
        Class::Password
            if {
                let value = scan.text.slice(start, end);
                value.contains(&b' ') && !value.iter().any(u8::is_ascii_digit)
            } => {}
        Class::Username => logins::cell(scan, start, end),
        Class::Host => hosts::cell(scan, start, end),
        class => assign::field(scan, class, start, found),
    }
}

fn name(scan: &mut Scan<'_>, start: usize, end: usize, record: &mut Record) {
    if !names::cell(scan, start, end) {
        record.company |= names::is_company(scan.text.part(start, end));
    }
}

/// A date of birth: any notation, alone or with a time behind it.
pub(crate) fn birth(scan: &mut Scan<'_>, start: usize, end: usize) {
    if let Some(stop) = dates::lenient(&scan.text, start, end) {
        scan.emit(Kind::Dob, start, stop, 0.95, true, "column of birth dates");
    }
}

/// A key in a column that is named no more than that: long, random and no id.
fn opaque(scan: &mut Scan<'_>, start: usize, end: usize) {
    let value = scan.text.slice(start, end);
    let makeup = Makeup::of(value);
    let letters = value.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+' | b'='));
    if letters && makeup.digits > 3 && value::is_random(value, 24) && !value::is_uuid(value) {
        scan.emit(Kind::GenericSecret, start, end, 0.7, false, "column of keys");
    }
}

/// What stands where nothing is known.
pub(crate) fn is_missing(value: &[u8]) -> bool {
    const MISSING: &[&str] = &[
        "null",
        "none",
        "nil",
        "n/a",
        "na",
        "nan",
        "\\n",
        "-",
        "--",
        "?",
        "tbd",
        "tba",
        "unknown",
        "unbekannt",
        "inconnu",
        "desconocido",
        "sconosciuto",
        "vacant",
        "*vacant*",
        "empty",
        "leer",
        "vacio",
        "not set",
        "(null)",
        "undefined",
        "anonymous",
        "redacted",
        "anonym",
        "keine",
        "aucun",
        "ninguno",
        "k.a.",
        "k. a.",
        "entfallt",
        "pending",
        "missing",
        "true",
        "false",
        "yes",
        "no",
        "x",
        "xx",
        "xxx",
        "test",
        "same",
        "self",
        "<null>",
        "~",
        "not available",
        "nobody",
        "unassigned",
        "nicht vergeben",
        "string",
        "str",
        "(in stock)",
    ];
    value.len() <= 16
        && (value.iter().all(|b| !b.is_ascii_alphanumeric() && *b < 0x80)
            || MISSING.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes())))
}
