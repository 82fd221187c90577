//! JSON values, one a line.
//!
//! Invariant: the frames depend on the bytes alone, never on how they were cut into chunks; at most [`MAX_FRAME_BYTES`]
//! are held.

use serde_json::Value;

use crate::sse::{Frame, FrameTooLong, MAX_FRAME_BYTES};

/// The decoder.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
}

impl Lines {
    /// Take the next bytes and append the values that they complete.
    ///
    /// # Errors
    /// [`FrameTooLong`]; the decoder is of no use afterwards.
    pub fn push(&mut self, bytes: &[u8], frames: &mut impl Extend<Frame>) -> Result<(), FrameTooLong> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + piece.len() > MAX_FRAME_BYTES {
                return Err(FrameTooLong);
            }
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.finish(frames);
            }
        }
        Ok(())
    }

    /// The bytes are at their end: a last line needs no line end.
    pub fn finish(&mut self, frames: &mut impl Extend<Frame>) {
        let line = std::mem::take(&mut self.line);
        let line = line.trim_ascii();
        if line.is_empty() {
            return;
        }
        frames.extend([match serde_json::from_slice::<Value>(line) {
            Ok(value @ Value::Object(_)) => Frame::Json(String::new(), value),
            _ => Frame::Text(String::new(), String::from_utf8_lossy(line).into_owned()),
        }]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Frame> {
        let (mut lines, mut frames) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.push(chunk, &mut frames).unwrap();
        }
        lines.finish(&mut frames);
        frames
    }

    #[test]
    fn values_blank_lines_rubbish_and_a_last_line_without_its_end() {
        let object = |n: u32| Frame::Json(String::new(), json!({"n": n}));
        assert_eq!(
            decode([b"{\"n\":1}\r\n\n {\"n\":2}\noops\n7\n{\"n\":3}".as_slice()]),
            [
                object(1),
                object(2),
                Frame::Text(String::new(), "oops".into()),
                Frame::Text(String::new(), "7".into()),
                object(3)
            ]
        );
    }

    #[test]
    fn a_line_without_end_is_bounded() {
        let mut lines = Lines::default();
        let half = vec![b'x'; MAX_FRAME_BYTES / 2 + 1];
        assert_eq!(lines.push(&half, &mut Vec::new()), Ok(()));
        assert_eq!(lines.push(&half, &mut Vec::new()), Err(FrameTooLong));
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_values(text in "(\\{\"t\":\"[aé😀]{0,4}\"\\}|\n|\r\n|x){0,30}", size in 1_usize..7) {
            prop_assert_eq!(decode(text.as_bytes().chunks(size)), decode([text.as_bytes()]));
        }
    }
}
