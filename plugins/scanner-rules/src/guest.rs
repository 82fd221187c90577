//! The component: the contract's world around the library.
//!
//! Invariant: the scanner that `prepare` left is what every instance begins with, because the host keeps the memory; an
//! instance that was never prepared has no rules and finds nothing.

#![allow(missing_docs, unsafe_code, clippy::allow_attributes_without_reason, reason = "generated bindings")]

use std::sync::{Mutex, PoisonError};

use crate::{Scanner, prepare};

wit_bindgen::generate!({
    path: ["../../wit/types-0.1.0", "../../wit/log-0.1.0", "../../wit/scanner-0.1.0"],
    world: "fumehood:scanner/scanner",
    generate_all,
});

use exports::fumehood::scanner::guest as wit;
use fumehood::log::log as wit_log;
use fumehood::types::types::Failure;

static PREPARED: Mutex<Option<Scanner>> = Mutex::new(None);

struct Plugin;

fn failure(code: &str, message: String) -> Failure {
    Failure { code: code.to_owned(), message, retry_after_ms: None, extensions: Vec::new() }
}

/// Do something with the scanner that was prepared, or with one without rules.
fn with<T>(run: impl FnOnce(&Scanner) -> Result<T, Failure>) -> Result<T, Failure> {
    let mut prepared = PREPARED.lock().unwrap_or_else(PoisonError::into_inner);
    let scanner = match &mut *prepared {
        Some(scanner) => scanner,
        empty => empty.insert(prepare("{}").map_err(|error| failure("internal", error.to_string()))?),
    };
    run(scanner)
}

impl wit::Guest for Plugin {
    fn detects() -> Vec<wit::Kind> {
        let kinds = |scanner: &Scanner| {
            let kinds = scanner.kinds().iter().map(|kind| wit::Kind {
                name: kind.name.clone(),
                group: kind.group.name().to_owned(),
                description: kind.description.clone(),
                extensions: Vec::new(),
            });
            Ok(kinds.collect())
        };
        with(kinds).unwrap_or_default()
    }

    fn prepare(rules: String) -> Result<(), Failure> {
        let scanner = prepare(&rules).map_err(|error| failure("invalid", error.to_string()))?;
        // The first scan pays for what is made once; here it is paid before the snapshot.
        let warm = scanner.scan("warm up", None, false, false).len();
        wit_log::log(wit_log::Level::Debug, &format!("prepared, {warm} findings in nothing"));
        *PREPARED.lock().unwrap_or_else(PoisonError::into_inner) = Some(scanner);
        Ok(())
    }

    fn scan(chunk: wit::Chunk) -> Result<Vec<wit::Finding>, Failure> {
        let at = |offset: usize| {
            u32::try_from(offset).map_err(|_| failure("too-large", "a window of 4 GiB and more".to_owned()))
        };
        let name = chunk.extensions.iter().find(|(key, _)| key == "name").map(|(_, name)| name.as_str());
        with(|scanner| {
            scanner
                .scan(&chunk.text, name, chunk.continues_before, chunk.continues_after)
                .into_iter()
                .map(|finding| {
                    Ok(wit::Finding {
                        kind: finding.kind.to_owned(),
                        start: at(finding.start)?,
                        end: at(finding.end)?,
                        confidence: finding.confidence,
                        validated: finding.validated,
                        detector: finding.detector.to_string(),
                    })
                })
                .collect()
        })
    }
}

export!(Plugin);
