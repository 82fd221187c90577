//! A scanner. It is given raw text and reaches nothing: it says where values are, and the host masks them.

use std::cell::RefCell;

use fumehood_sdk::scanner::{Chunk, Failure, Finding, Guest, Kind, finding, kind, log};

struct Plugin;

thread_local! {
    /// What `prepare` built. The host keeps the memory as it is after `prepare`, so every call begins with it.
    static PREFIX: RefCell<String> = RefCell::new("EMP-".to_owned());
}

impl Guest for Plugin {
    /// Every type that `scan` may report.
    fn detects() -> Vec<Kind> {
        vec![kind("EMPLOYEE_ID", "structured", "Employee numbers, EMP-123456")]
    }

    /// Called once, when the plugin is installed and when the organisation's rules change. Build automata here.
    fn prepare(rules: String) -> Result<(), Failure> {
        log(format!("prepared with {} bytes of rules", rules.len()));
        Ok(())
    }

    /// All findings of one window of text; ranges are bytes.
    fn scan(chunk: Chunk) -> Result<Vec<Finding>, Failure> {
        let text = &chunk.text;
        PREFIX.with_borrow(|prefix| {
            let ids = text.match_indices(prefix.as_str()).filter_map(|(start, _)| {
                let rest = text.get(start + prefix.len()..)?;
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                (digits == 6).then(|| start..start + prefix.len() + digits)
            });
            Ok(ids.map(|range| finding("EMPLOYEE_ID", range, 0.9, "prefix and six digits")).collect())
        })
    }
}

fumehood_sdk::scanner::export!(Plugin);
