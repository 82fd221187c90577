//! The component: the contract's world around the library.
//!
//! Invariant: the scanner that `prepare` left is what every instance begins with, because the host keeps the memory; an
//! instance that was never prepared builds the defaults.

#![allow(missing_docs, unsafe_code, clippy::allow_attributes_without_reason, reason = "generated bindings")]

use std::sync::{Mutex, PoisonError};

use crate::{Scanner, kinds, prepare};

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

impl wit::Guest for Plugin {
    fn detects() -> Vec<wit::Kind> {
        kinds()
            .into_iter()
            .map(|kind| wit::Kind {
                name: kind.name.to_owned(),
                group: kind.group.name().to_owned(),
                description: kind.description.to_owned(),
                extensions: Vec::new(),
            })
            .collect()
    }

    fn prepare(rules: String) -> Result<(), Failure> {
        let scanner = prepare(&rules).map_err(|error| failure("invalid", error.to_string()))?;
        // The first scan pays for what is made once; here it is paid before the snapshot.
        let warm = scanner.scan("warm up", false, false).len();
        wit_log::log(wit_log::Level::Debug, &format!("prepared, {warm} findings in nothing"));
        *PREPARED.lock().unwrap_or_else(PoisonError::into_inner) = Some(scanner);
        Ok(())
    }

    fn scan(chunk: wit::Chunk) -> Result<Vec<wit::Finding>, Failure> {
        let mut prepared = PREPARED.lock().unwrap_or_else(PoisonError::into_inner);
        let scanner = match &mut *prepared {
            Some(scanner) => scanner,
            empty => empty.insert(prepare("{}").map_err(|error| failure("internal", error.to_string()))?),
        };
        let at = |offset: usize| {
            u32::try_from(offset).map_err(|_| failure("too-large", "a window of 4 GiB and more".to_owned()))
        };
        scanner
            .scan(&chunk.text, chunk.continues_before, chunk.continues_after)
            .into_iter()
            .map(|finding| {
                Ok(wit::Finding {
                    kind: finding.kind.name().to_owned(),
                    start: at(finding.start)?,
                    end: at(finding.end)?,
                    confidence: finding.confidence,
                    validated: finding.validated,
                    detector: finding.detector.to_owned(),
                })
            })
            .collect()
    }
}

export!(Plugin);
