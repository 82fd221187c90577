//! Linearity without a clock: the parts in which a pattern is searched never add up to more than the text, whatever it
//! holds, and what is found is bounded by it. The pass over JSON counts its steps in its own tests.

use crate::engine::{Builder, STEPS};
use crate::matcher::Matcher;

/// Texts made of one piece, over and over.
const PIECES: &[&str] =
    &["key", "key=", "key\n", "ab-", "-----BEGIN ", "a\n", "\n", "1", "1 ", "é", "key é", "token token", "=", " ", "x"];

const PATTERNS: &[&str] = &[
    r"key",
    r"(?:key|token)[ =]*\w+",
    r"key.*x",
    r"key(?:.*\n){0,5}x",
    r"ab-[^z]*z",
    r"(?-u)\w{0,50}key\w{0,500}",
    r"\d+",
    r"\d{3}\s+\d",
    r"[^x]{20}",
    r"BEGIN[\s\S]{64,}?END",
];

#[test]
fn the_parts_never_add_up_to_more_than_the_text() {
    let mut builder = Builder::default();
    for pattern in PATTERNS {
        builder.add(&Matcher::new(pattern).unwrap(), &[]);
    }
    let engine = builder.build().unwrap();
    for a in PIECES {
        for b in PIECES {
            for text in [format!("{a}{b}").repeat(2000), format!("{}{}", a.repeat(3000), b.repeat(3000))] {
                STEPS.set(0);
                let parts = engine.parts(&text);
                // Each pattern may walk over the lines around its literals, up to sixteen of them.
                let most = (text.len() * PATTERNS.len() * 20) as u64;
                assert!(STEPS.get() <= most, "{a:?}{b:?}: {} steps, at most {most}", STEPS.get());
                for (parts, pattern) in parts.iter().zip(PATTERNS) {
                    let sum: usize = parts.iter().map(ExactSizeIterator::len).sum();
                    assert!(sum <= text.len(), "{pattern} in {a:?}{b:?}: {sum} of {}", text.len());
                }
            }
        }
    }
}
