//! Encodings in a text: whatever it holds, decoding ends, stays within its bounds, and every byte of a layer leads back to
//! bytes of the text, on characters.
#![no_main]

use fumehood_redact::layers;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let found = layers(text);
    let decoded: usize = found.layers.iter().map(|layer| layer.text.len()).sum();
    assert!(decoded <= (text.len() + 1) * 8 + (8 << 20), "{decoded} bytes from {}", text.len());
    for range in &found.unread {
        assert!(text.get(range.clone()).is_some_and(|packed| !packed.is_empty()), "{range:?}");
    }
    for layer in &found.layers {
        let bounds: Vec<usize> = layer.text.char_indices().map(|(at, _)| at).chain([layer.text.len()]).collect();
        for pair in bounds.windows(2).take(20_000) {
            let back = layer.back(&(pair[0]..pair[1]));
            assert!(text.get(back.clone()).is_some(), "{back:?} of {pair:?}");
        }
        let whole = layer.back(&(0..layer.text.len()));
        assert!(text.get(whole).is_some());
    }
});
