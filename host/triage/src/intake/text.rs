//! Bytes become text: what is none is refused or replaced.

use super::BINARY_PER_MILLE;
use crate::TriageError;

pub(super) fn refuse_binary(head: &[u8]) -> Result<(), TriageError> {
    let control =
        head.iter().filter(|byte| **byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b)).count();
    if head.contains(&0) && matches!(head, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
        return Err(TriageError::invalid("file", "The file is UTF-16. Convert it to UTF-8 and upload it again."));
    }
    if control * 1000 > head.len() * BINARY_PER_MILLE {
        return Err(TriageError::invalid(
            "file",
            "The file is not text (plain, gzip or zstd). Unpack it, or attach the log that it was made from.",
        ));
    }
    Ok(())
}

/// Bytes become UTF-8: what is not becomes U+FFFD and is counted. Keeps at most three bytes between pieces.
#[derive(Default)]
pub(super) struct Utf8 {
    rest: Vec<u8>,
    pub(super) replaced: i64,
}

impl Utf8 {
    pub(super) fn push(&mut self, piece: &[u8]) -> String {
        // What a program appended as UTF-16 (PowerShell's `>>`) is ASCII with a NUL beside each character. Without them
        // it is text again, for the reader and for the scanners.
        let before = self.rest.len();
        self.rest.extend(piece.iter().filter(|byte| **byte != 0));
        self.replaced += i64::try_from(piece.len() + before - self.rest.len()).unwrap_or(0);
        let mut text = String::with_capacity(self.rest.len());
        let mut done = 0;
        for chunk in self.rest.utf8_chunks() {
            text.push_str(chunk.valid());
            done += chunk.valid().len();
            let invalid = chunk.invalid();
            let at_end = done + invalid.len() == self.rest.len();
            if invalid.is_empty() || (at_end && invalid.len() < 4 && could_continue(invalid)) {
                break;
            }
            text.push(char::REPLACEMENT_CHARACTER);
            self.replaced += 1;
            done += invalid.len();
        }
        self.rest.drain(..done);
        text
    }

    pub(super) fn finish(&mut self) -> String {
        if self.rest.is_empty() {
            return String::new();
        }
        self.rest.clear();
        self.replaced += 1;
        char::REPLACEMENT_CHARACTER.to_string()
    }
}

/// Whether bytes at the end of a piece may be the beginning of a character.
fn could_continue(bytes: &[u8]) -> bool {
    let needed = match bytes.first() {
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        _ => return false,
    };
    bytes.len() < needed && matches!(std::str::from_utf8(bytes), Err(error) if error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn utf8_in_pieces_is_as_lossy_as_utf8_at_once(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 1usize..7) {
            let mut decoder = Utf8::default();
            let mut text = String::new();
            for piece in bytes.chunks(cut) {
                text.push_str(&decoder.push(piece));
            }
            text.push_str(&decoder.finish());
            let without: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
            prop_assert_eq!(text, String::from_utf8_lossy(&without).into_owned());
        }

        #[test]
        fn ascii_that_was_written_as_utf16_is_ascii(text in "[ -~\\n]{0,80}", cut in 1usize..7) {
            let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let mut decoder = Utf8::default();
            let read: String = bytes.chunks(cut).map(|piece| decoder.push(piece)).collect();
            prop_assert_eq!(read + &decoder.finish(), text);
        }
    }
}
