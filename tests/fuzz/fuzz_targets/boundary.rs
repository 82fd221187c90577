//! What crosses the boundary from a plugin: headers, types of findings, ranges. Nothing of it panics, and no header that
//! is taken holds what would end its line.
#![no_main]

use fumehood_policy::{check_headers, shown};
use fumehood_redact::{Finding, Gate, Group, Kind, Pseudonyms, merge};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<(&str, &str)>, &str, Vec<(&str, u16, u16, f32)>)| {
    let (headers, text, found) = input;
    if check_headers(headers.iter().copied()).is_ok() {
        for (name, value) in &headers {
            assert!(
                !value.contains(['\r', '\n', '\0']) && !name.contains([':', ' ', '\r', '\n']),
                "{name:?}: {value:?}"
            );
        }
    }
    assert!(!shown(text, 100).chars().any(char::is_control));
    // Any range at all: the gate fails towards masking.
    let findings: Vec<Finding> = found
        .iter()
        .map(|(kind, start, end, confidence)| Finding {
            kind: Kind::new(kind),
            group: Group::Secret,
            start: usize::from(*start),
            end: usize::from(*end),
            confidence: *confidence,
            validated: false,
            detector: String::new(),
            scanner: String::new(),
        })
        .collect();
    assert!(findings.iter().all(|finding| Kind::is_valid(finding.kind.as_str())));
    let spans = merge(text.len(), &findings);
    assert!(spans.windows(2).all(|two| two[0].end <= two[1].start), "{spans:?}");
    let masked = Gate::redact(&mut Pseudonyms::new(), text, &spans);
    assert!(spans.is_empty() || !masked.masked().is_empty(), "what is covered is masked: {spans:?}");
});
