//! A manifest is anybody's text: it is read or refused in a sentence of one line, and what is read can be granted as it
//! is asked for and never more.
#![no_main]

use fumehood_policy::{Digest, Manifest, diff};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Manifest::parse(text) {
        Err(error) => {
            let said = error.to_string();
            assert!(!said.is_empty() && !said.chars().any(char::is_control), "{said:?}");
        }
        Ok(manifest) => {
            let asks = manifest.asks(Digest::new([1; 32]));
            assert!(!diff(&asks, &asks).widens());
            for ask in &manifest.http {
                assert!(!ask.reason.trim().is_empty());
            }
            for rule in &asks.http {
                assert!(!rule.methods.is_empty() && rule.port > 0 && rule.allow_private.is_empty());
                let sentence = rule.to_string();
                assert!(!sentence.chars().any(char::is_control), "{sentence:?}");
            }
            let stored = serde_json::to_string(&asks).unwrap();
            assert_eq!(serde_json::from_str::<fumehood_policy::PluginGrant>(&stored).unwrap(), asks);
        }
    }
});
