//! Finds employee numbers (`EMP-` and six digits), and the code names that the organisation's rules list:
//! `{"codenames": ["BLUEBIRD"]}`.

use std::cell::RefCell;
use std::ops::Range;

use fumehood_sdk::scanner::{Chunk, Failure, Finding, Guest, Kind, failure, finding, kind};

struct Plugin;

thread_local! {
    /// Left by `prepare`; every call begins with it.
    static CODENAMES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

const PREFIX: &str = "EMP-";
const DIGITS: usize = 6;

fn codenames(rules: &str) -> Result<Vec<String>, Failure> {
    let rules: serde_json::Value =
        serde_json::from_str(rules).map_err(|error| failure("invalid", format!("The rules are no JSON: {error}")))?;
    let Some(names) = rules.get("codenames") else { return Ok(Vec::new()) };
    let names: Option<Vec<String>> = names
        .as_array()
        .and_then(|names| names.iter().map(|name| name.as_str().filter(|name| !name.is_empty()).map(str::to_owned)).collect());
    names.ok_or_else(|| failure("invalid", "`codenames` is a list of names."))
}

fn employee_numbers(text: &str) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    text.match_indices(PREFIX).filter_map(move |(start, _)| {
        let digits = bytes.get(start + PREFIX.len()..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let joined = start > 0 && bytes[start - 1].is_ascii_alphanumeric();
        (digits == DIGITS && !joined).then(|| start..start + PREFIX.len() + digits)
    })
}

impl Guest for Plugin {
    fn detects() -> Vec<Kind> {
        vec![
            kind("EMPLOYEE_ID", "structured", "Employee numbers, EMP-123456"),
            kind("CODENAME", "contextual", "Code names of the organisation"),
        ]
    }

    fn prepare(rules: String) -> Result<(), Failure> {
        let names = codenames(&rules)?;
        CODENAMES.set(names);
        Ok(())
    }

    fn scan(chunk: Chunk) -> Result<Vec<Finding>, Failure> {
        let text = chunk.text.as_str();
        let mut findings: Vec<Finding> = employee_numbers(text)
            .map(|range| finding("EMPLOYEE_ID", range, 0.95, "prefix and six digits"))
            .collect();
        CODENAMES.with_borrow(|names| {
            for name in names {
                let found = text.match_indices(name.as_str());
                findings.extend(found.map(|(at, name)| finding("CODENAME", at..at + name.len(), 0.8, "rules")));
            }
        });
        Ok(findings)
    }
}

fumehood_sdk::scanner::export!(Plugin);
