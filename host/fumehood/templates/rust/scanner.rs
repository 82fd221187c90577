//! {{name}}: finds order numbers such as ORD-12345.

use fumehood_sdk::scanner::{Chunk, Failure, Finding, Guest, Kind, finding, kind, log};

struct Plugin;

const PREFIX: &str = "ORD-";
const DIGITS: usize = 5;

impl Guest for Plugin {
    /// Every type that `scan` may report.
    fn detects() -> Vec<Kind> {
        vec![kind("ORDER_NUMBER", "structured", "Order number: ORD- and five digits")]
    }

    /// Called once, when the plugin is installed and when the organisation's rules change. The host keeps the memory as it
    /// is afterwards: what is put into a static here is there in every scan. `rules` is JSON, `{}` where nobody wrote any.
    fn prepare(_rules: String) -> Result<(), Failure> {
        log("{{name}} is prepared");
        Ok(())
    }

    /// All findings of one window of text; ranges are bytes.
    fn scan(chunk: Chunk) -> Result<Vec<Finding>, Failure> {
        let bytes = chunk.text.as_bytes();
        let word = |at: Option<&u8>| at.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        let orders = chunk.text.match_indices(PREFIX).filter_map(|(start, _)| {
            let end = start + PREFIX.len() + DIGITS;
            let digits = bytes.get(start + PREFIX.len()..end)?.iter().all(u8::is_ascii_digit);
            let joined = start > 0 && word(bytes.get(start - 1)) || word(bytes.get(end));
            (digits && !joined).then_some(start..end)
        });
        Ok(orders.map(|range| finding("ORDER_NUMBER", range, 0.9, "order number")).collect())
    }
}

fumehood_sdk::scanner::export!(Plugin);
