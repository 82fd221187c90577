//! The component: the contract's world around the library.
//!
//! Invariant: the scanner that `prepare` left is what every instance begins with, because the host keeps the memory; an
//! instance that was never prepared builds the defaults.

#![allow(unsafe_code, reason = "the exported functions of a component")]

use fumehood_sdk::scanner::{self, Chunk, Failure, Finding, Guest, Kind, Prepared, failure};

use crate::{Scanner, kinds, prepare};

static PREPARED: Prepared<Scanner> = Prepared::new();

struct Plugin;

impl Guest for Plugin {
    fn detects() -> Vec<Kind> {
        kinds().iter().map(|kind| scanner::kind(kind.name, kind.group.name(), kind.description)).collect()
    }

    fn prepare(rules: String) -> Result<(), Failure> {
        let scanner = prepare(&rules).map_err(|error| failure("invalid", error.to_string()))?;
        // The first scan pays for what is made once; here it is paid before the snapshot.
        let warm = scanner.scan("warm up", false, false).len();
        scanner::log(format!("prepared, {warm} findings in nothing"));
        PREPARED.keep(scanner);
        Ok(())
    }

    fn scan(chunk: Chunk) -> Result<Vec<Finding>, Failure> {
        PREPARED.with(
            || prepare("{}"),
            |scanner| {
                let found = scanner.scan(&chunk.text, chunk.continues_before, chunk.continues_after).into_iter();
                let contract = found.map(|finding| {
                    let range = finding.start..finding.end;
                    Finding {
                        validated: finding.validated,
                        ..scanner::finding(finding.kind.name(), range, finding.confidence, finding.detector)
                    }
                });
                Ok(contract.collect())
            },
        )
    }
}

scanner::export!(Plugin);
