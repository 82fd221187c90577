//! Rules as people write them, ours and gitleaks': a document is taken or refused with a reason, and what is taken can be
//! handed to the scanner.
#![no_main]

use fumehood_redact::rules::{Rules, SCANNER};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Rules::parse("fuzz.toml", text) {
        Ok(rules) => {
            if let Some(json) = rules.for_scanner(SCANNER) {
                let value: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
                assert!(value.is_object());
            }
            let _ = rules.summary();
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
