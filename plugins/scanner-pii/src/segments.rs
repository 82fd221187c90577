//! Messages whose fields have no names but places: HL7 version 2, X12, EDIFACT, SWIFT, DICOM's dumps, GEDCOM.
//!
//! Invariant: a segment begins a line or follows the end of another; its fields are split once, and at most so many.

use crate::columns;
use crate::kind::Kind;
use crate::literals::Cue;
use crate::scan::Scan;
use crate::text::{Text, WORD, is};
use crate::{names, places};

/// The longest segment, in bytes.
const MAX: usize = 2048;
/// The most fields.
const FIELDS: usize = 48;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// Family name, given name and more, each a component.
    Name,
    /// The same behind an id.
    IdAndName,
    Birth,
    Address,
    Phone,
    Ssn,
    Passport,
}

/// A kind of segment: how it begins in lower case, what parts its fields and their components, what ends it, and which
/// fields hold what (the segment's name is field 0).
#[derive(Debug)]
pub(crate) struct Segment {
    pub literal: &'static str,
    parts: (u8, u8),
    end: u8,
    fields: &'static [(usize, Field)],
}

const fn hl7(literal: &'static str, fields: &'static [(usize, Field)]) -> Segment {
    Segment { literal, parts: (b'|', b'^'), end: b'\r', fields }
}
const fn x12(literal: &'static str, fields: &'static [(usize, Field)]) -> Segment {
    Segment { literal, parts: (b'*', b'\n'), end: b'~', fields }
}
const fn edifact(literal: &'static str, fields: &'static [(usize, Field)]) -> Segment {
    Segment { literal, parts: (b'+', b':'), end: b'\'', fields }
}

use Field::{Address, Birth, IdAndName, Name, Passport, Phone, Ssn};

/// All kinds of segments.
pub(crate) const SEGMENTS: &[Segment] = &[
    hl7("pid|", &[(5, Name), (6, Name), (7, Birth), (9, Name), (11, Address), (13, Phone), (14, Phone), (19, Ssn)]),
    hl7(
        "nk1|",
        &[(2, Name), (4, Address), (5, Phone), (6, Phone), (16, Birth), (30, Name), (31, Phone), (32, Address)],
    ),
    hl7("gt1|", &[(3, Name), (4, Name), (5, Address), (6, Phone), (7, Phone), (8, Birth), (12, Ssn)]),
    hl7("in1|", &[(16, Name), (18, Birth), (19, Address)]),
    hl7("pd1|", &[(4, IdAndName)]),
    hl7("pv1|", &[(7, IdAndName), (8, IdAndName), (9, IdAndName), (17, IdAndName)]),
    hl7("orc|", &[(10, IdAndName), (12, IdAndName), (14, Phone)]),
    hl7("obr|", &[(10, IdAndName), (16, IdAndName), (17, Phone), (28, IdAndName)]),
    hl7("mrg|", &[(7, Name)]),
    hl7("aig|", &[]),
    hl7("aip|", &[(3, IdAndName)]),
    hl7("stf|", &[(3, Name), (6, Birth), (10, Phone), (11, Address)]),
    x12("nm1*", &[(3, Name), (4, Name), (5, Name)]),
    x12("n3*", &[(1, Address), (2, Address)]),
    x12("dmg*d8*", &[(2, Birth)]),
    x12("ref*sy*", &[(2, Ssn)]),
    x12("per*", &[(2, Name), (4, Phone), (6, Phone), (8, Phone)]),
    edifact("nad+", &[(4, Name), (5, Address)]),
    edifact("cta+", &[(2, IdAndName)]),
    edifact("com+", &[(1, Phone)]),
    edifact("dtm+329:", &[(1, Birth)]),
    edifact("doc+p", &[(2, Passport)]),
];

/// A literal of [`SEGMENTS`] stands at `start`.
pub(crate) fn segment(scan: &mut Scan<'_>, index: usize, start: usize) {
    let text = &scan.text;
    let Some(kind) = SEGMENTS.get(index) else {
        return;
    };
    let before = text.before(start);
    let begins = matches!(before, b'\n' | b'\r' | b'~' | b'\'' | 0x0b)
        || before == b' ' && text.run_back(start, crate::text::BLANK, 16) == 0
        || text.after_escape(start) && matches!(before, b'r' | b'n');
    if !begins || start < scan.segment_done {
        return;
    }
    // The end, and in logs the escape of the line's end.
    let limit = text.line_end(start).min(start + MAX);
    let line = text.slice(start, limit);
    let length = line
        .iter()
        .enumerate()
        .position(|(at, b)| {
            *b == kind.end && (at == 0 || line.get(at - 1) != Some(&b'?'))
                || *b == b'\\' && matches!(line.get(at + 1), Some(b'r' | b'n'))
        })
        .unwrap_or(line.len());
    text.tick(length * 2);
    let mut fields = [(0, 0); FIELDS];
    let mut count = 0;
    let mut from = start;
    for at in start..=start + length {
        if (at == start + length || text.at(at) == kind.parts.0)
            && let Some(field) = fields.get_mut(count)
        {
            *field = (from, at);
            count += 1;
            from = at + 1;
        }
    }
    scan.segment_done = start + length;
    // A company in NM1 is of type 2; a place in NAD has a code of its own and no comma's worth of name.
    let company = kind.literal == "nm1*" && fields.get(2).is_some_and(|(a, b)| text.slice(*a, *b) == b"2");
    if company {
        return;
    }
    for (at, what) in kind.fields {
        if let Some((from, to)) = fields.get(*at).copied()
            && from < to
        {
            field(scan, *what, kind, from, to);
        }
    }
}

fn field(scan: &mut Scan<'_>, what: Field, kind: &Segment, start: usize, end: usize) {
    let component = kind.parts.1;
    let cut = |text: &Text<'_>, from: usize| {
        from + text.slice(from, end).iter().position(|b| *b == component || *b == b'~').unwrap_or(end - from)
    };
    match what {
        Name | IdAndName => {
            let mut from = start;
            let skip = usize::from(what == IdAndName);
            let mut emitted = false;
            for n in 0..4 {
                let mut to = cut(&scan.text, from);
                if n >= skip && from < to {
                    // `FRAU GABRIELE STOLZ`
                    for title in ["frau ", "herr ", "mr ", "mrs ", "ms ", "dr "] {
                        if scan.text.has(from, title) {
                            from += title.len();
                        }
                    }
                    to = to.max(from);
                    // What follows a name that is none is no given name.
                    if !names::cell(scan, from, to) && !emitted {
                        return;
                    }
                    emitted = true;
                }
                if to >= end || n == 2 + skip {
                    break;
                }
                from = to + 1;
            }
        }
        Birth => {
            let from = if scan.text.has(start, "329:") { start + 4 } else { start };
            let to = cut(&scan.text, from);
            // HL7 may have the time behind the date.
            let to = if to - from > 8 { from + 8 } else { to };
            columns::birth(scan, from, to);
        }
        Address => {
            let to = cut(&scan.text, start);
            let street = places::street(scan, start, to);
            let mut from = to;
            // Town, state, postcode.
            for n in 0..5 {
                if !street || from >= end || component == b'\n' {
                    break;
                }
                let to = cut(&scan.text, from + 1);
                if matches!(n, 1 | 3) && to > from + 2 {
                    scan.emit(Kind::Address, from + 1, to, 0.6, false, "area behind a street");
                }
                from = to;
            }
        }
        Phone => {
            scan.add_cue(Cue::Phone, start);
            let to = cut(&scan.text, start);
            let digits = scan.text.slice(start, to);
            if (8..=15).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) {
                scan.emit(Kind::Phone, start, to, 0.8, false, "number of a segment");
            }
        }
        Ssn => {
            scan.add_cue(Cue::Ssn, start);
        }
        Passport => {
            if crate::ids::is_passport(scan.text.slice(start, end)) {
                scan.emit(Kind::Passport, start, end, 0.9, false, "document of a segment");
            }
        }
    }
}

/// `:50K:` or `:59:` of SWIFT stands at `start..end`: an account, a name, and lines of an address.
pub(crate) fn swift(scan: &mut Scan<'_>, start: usize, end: usize) {
    if scan.text.before(start) != b'\n' {
        return;
    }
    let mut at = end;
    let mut line = 0;
    while line < 5 {
        let stop = scan.text.line_end(at);
        let first = scan.text.at(at);
        if stop == at || matches!(first, b':' | b'-') || stop - at > 70 {
            break;
        }
        // Format F numbers its lines: `1/NAME`, `2/STREET`.
        let numbered = first.is_ascii_digit() && scan.text.at(at + 1) == b'/';
        let from = if numbered { at + 2 } else { at };
        match line {
            0 if first == b'/' => {}
            0 | 1 => {
                if names::cell(scan, from, stop) {
                    line = 1;
                } else if line == 1 {
                    break;
                }
            }
            _ => {
                if !places::street(scan, from, stop) {
                    break;
                }
            }
        }
        line += 1;
        at = stop + usize::from(scan.text.at(stop) == b'\r') + 1;
        if scan.text.at(at - 1) != b'\n' {
            break;
        }
    }
}

/// `?32` of a German account statement ends at `end`: a name follows, up to the next question mark.
pub(crate) fn statement(scan: &mut Scan<'_>, end: usize) {
    let text = &scan.text;
    let rest = text.slice(end, text.line_end(end).min(end + 64));
    text.tick(rest.len());
    let length = rest.iter().position(|b| *b == b'?').unwrap_or(rest.len());
    if text.at(end).is_ascii_uppercase() && rest.get(..length).unwrap_or_default().contains(&b' ') {
        names::cell(scan, end, end + length);
    }
}

/// `(0010,` of a dump of DICOM stands at `start..end`: the number of an element of the patient follows.
pub(crate) fn dicom(scan: &mut Scan<'_>, start: usize, end: usize) {
    let text = &scan.text;
    let line = text.slice(end, text.line_end(end).min(end + 160));
    text.tick(line.len());
    let Some(open) = line.iter().position(|b| *b == b'[') else {
        return;
    };
    let Some(close) = line.iter().skip(open).position(|b| *b == b']') else {
        return;
    };
    let (from, to) = (end + open + 1, end + open + close);
    let element = text.slice(end, end + 4).to_ascii_lowercase();
    let name = line.windows(4).take(open).any(|w| w == b" PN ");
    if name {
        let caret = text.slice(from, to).iter().position(|b| *b == b'^').unwrap_or(to - from);
        if names::cell(scan, from, from + caret) && from + caret < to {
            let rest = from + caret + 1;
            let next = scan.text.slice(rest, to).iter().position(|b| *b == b'^').unwrap_or(to - rest);
            names::cell(scan, rest, rest + next);
        }
    } else if scan.text.has(start, "(0010") {
        match element.as_slice() {
            b"0030" => columns::birth(scan, from, to),
            b"1040" => {
                places::street(scan, from, to);
            }
            b"2154" => scan.add_cue(Cue::Phone, from),
            _ => {}
        }
    }
}

/// `1 NAME `, `2 GIVN `, `2 SURN ` or `1 BIRT` of GEDCOM stands at `start..end`.
pub(crate) fn gedcom(scan: &mut Scan<'_>, start: usize, end: usize) {
    let text = &scan.text;
    if text.before(start) != b'\n' {
        return;
    }
    let stop = text.line_end(end);
    if text.has(start, "1 birt") {
        let next = stop + usize::from(text.at(stop) == b'\r') + 1;
        if text.has(next, "2 date ") {
            columns::birth(scan, next + 7, text.line_end(next));
        }
        return;
    }
    // The family's name stands between slashes.
    let line = text.slice(end, stop.min(end + 96));
    text.tick(line.len());
    if text.at(start) == b'2' {
        names::cell(scan, end, end + line.len());
        return;
    }
    let slashes = line.iter().filter(|b| **b == b'/').count();
    if slashes == 2 && !is(text.at(stop), WORD) {
        names::cell(scan, end, end + line.len());
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{all, found, nothing};

    #[test]
    fn health_level_seven() {
        let text = "MSH|^~\\&|A|B\rPID|1||7^^^M||KOWALSKI^JANINA^M||19610615|F|||12 ELM ST^^ULM^NC^27401||(919)379-1212|||||418-55-2093\rPV1|1|I|2000||||004777^LEBAUER^SIDNEY^J.";
        assert_eq!(
            all(text),
            [
                ("PERSON", "KOWALSKI"),
                ("PERSON", "JANINA"),
                ("DOB", "19610615"),
                ("ADDRESS", "12 ELM ST"),
                ("ADDRESS", "ULM"),
                ("ADDRESS", "27401"),
                ("PHONE", "(919)379-1212"),
                ("US_SSN", "418-55-2093"),
                ("PERSON", "LEBAUER"),
                ("PERSON", "SIDNEY"),
                ("PERSON", "J."),
            ]
            .into_iter()
            .filter(|(_, value)| *value != "J.")
            .collect::<Vec<_>>()
        );
        nothing("OBX|1|NM|2345-7^GLUCOSE||101.4|mg/dL\rOBR|1|845439^GHH OE|1045813^GHH LAB|1554-5^GLUCOSE");
    }

    #[test]
    fn electronic_data_interchange() {
        let text = "NM1*IL*1*DUPREE*MARCUS*T***MI*03~\nN3*236 N MAIN ST~\nDMG*D8*19670713*M~\nREF*SY*531081196~";
        assert_eq!(found(text, "PERSON"), ["DUPREE", "MARCUS"]);
        assert_eq!(found(text, "ADDRESS"), ["236 N MAIN ST"]);
        assert_eq!(found(text, "DOB"), ["19670713"]);
        assert_eq!(found(text, "US_SSN"), ["531081196"]);
        nothing("NM1*40*2*RECEIVER CLEARING*****46*12345~");
        let text = "UNH+1'NAD+FL+++OYELARAN:TEMITOPE'DTM+329:880914'DOC+P:110:111+A09817342'COM+492028834:TE'";
        assert_eq!(
            all(text),
            [
                ("PERSON", "OYELARAN"),
                ("PERSON", "TEMITOPE"),
                ("DOB", "880914"),
                ("PASSPORT", "A09817342"),
                ("PHONE", "492028834")
            ]
        );
        nothing("NAD+SU+5413000000009::9'\nDTM+137:20240513:102'");
    }

    #[test]
    fn banks_families_and_hospitals() {
        let text = ":32A:240514EUR18,5\n:50K:/1234\nMARGUERITE VANDEN\nRUE DU TRONE 61\n1050 BRUXELLES\n:59:/5\nHALBERG AG\n:70:X\n";
        assert_eq!(
            all(text),
            [("PERSON", "MARGUERITE VANDEN"), ("ADDRESS", "RUE DU TRONE 61"), ("ADDRESS", "1050 BRUXELLES")]
        );
        assert_eq!(found(":86:177?00X?32ELFRIEDE BAUM\n", "PERSON"), ["ELFRIEDE BAUM"]);
        let text = "0 @I1@ INDI\n1 NAME Hedwig /Achter/\n1 BIRT\n2 DATE 14 MAR 1952\n";
        assert_eq!(all(text), [("PERSON", "Hedwig /Achter/"), ("DOB", "14 MAR 1952")]);
        nothing("2 NAME Family Tree Maker\n1 DATE 11 FEB 2024\n");
        let text =
            "(0010,0010) PN [King^Ada]  # PatientName\n(0010,0030) DA [19581121] # x\n(0008,0020) DA [20240514]\n";
        assert_eq!(all(text), [("PERSON", "King"), ("PERSON", "Ada"), ("DOB", "19581121")]);
    }
}
