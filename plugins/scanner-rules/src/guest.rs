//! The component: the contract's world around the library.
//!
//! Invariant: the scanner that `prepare` left is what every instance begins with, because the host keeps the memory; an
//! instance that was never prepared has no rules and finds nothing.

#![allow(unsafe_code, reason = "the exported functions of a component")]

use fumehood_sdk::scanner::{self, Chunk, Failure, Finding, Guest, Kind, Prepared, failure};

use crate::{Scanner, prepare};

static PREPARED: Prepared<Scanner> = Prepared::new();

struct Plugin;

impl Guest for Plugin {
    fn detects() -> Vec<Kind> {
        let kinds = |scanner: &Scanner| {
            let kinds = scanner.kinds().iter();
            Ok(kinds.map(|kind| scanner::kind(&kind.name, kind.group.name(), &kind.description)).collect())
        };
        PREPARED.with(|| prepare("{}"), kinds).unwrap_or_default()
    }

    fn prepare(rules: String) -> Result<(), Failure> {
        let scanner = prepare(&rules).map_err(|error| failure("invalid", error.to_string()))?;
        // The first scan pays for what is made once; here it is paid before the snapshot.
        let warm = scanner.scan("warm up", None, false, false).len();
        scanner::log(format!("prepared, {warm} findings in nothing"));
        PREPARED.keep(scanner);
        Ok(())
    }

    fn scan(chunk: Chunk) -> Result<Vec<Finding>, Failure> {
        let name = chunk.extensions.iter().find(|(key, _)| key == "name").map(|(_, name)| name.as_str());
        PREPARED.with(
            || prepare("{}"),
            |scanner| {
                let found = scanner.scan(&chunk.text, name, chunk.continues_before, chunk.continues_after).into_iter();
                let contract = found.map(|finding| {
                    let range = finding.start..finding.end;
                    Finding {
                        validated: finding.validated,
                        ..scanner::finding(finding.kind, range, finding.confidence, &finding.detector)
                    }
                });
                Ok(contract.collect())
            },
        )
    }
}

scanner::export!(Plugin);
