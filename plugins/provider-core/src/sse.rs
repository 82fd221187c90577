//! Server-sent events (WHATWG HTML §9.2.6), as model servers write them.
//!
//! Invariant: the frames depend on the bytes alone, never on how they were cut into chunks; at most
//! [`MAX_FRAME_BYTES`] are held. Lines are split as bytes and decoded whole, so a character that is split over two
//! chunks is no special case.

use serde_json::Value;

/// Most bytes of one line, and of the `data` lines of one event together. A legal frame is a token or a whole tool
/// call; the arguments of one are bounded to the same.
pub const MAX_FRAME_BYTES: usize = 2 * 1024 * 1024;

/// One message of the stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// A JSON value, with the event's name (empty for none).
    Json(String, Value),
    /// `[DONE]`.
    Done,
    /// Data that is no JSON, with the event's name.
    Text(String, String),
}

/// A line or an event went over [`MAX_FRAME_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {MAX_FRAME_BYTES} bytes")]
pub struct FrameTooLong;

/// The decoder. Feed it chunks with [`Decoder::push`], and tell it about the end with [`Decoder::finish`].
#[derive(Debug, Default)]
pub struct Decoder {
    line: Vec<u8>,
    data: String,
    has_data: bool,
    event: String,
    after_cr: bool,
    started: bool,
}

impl Decoder {
    /// Take the next bytes and append the frames that they complete.
    ///
    /// # Errors
    /// [`FrameTooLong`]; the decoder is of no use afterwards.
    pub fn push(&mut self, bytes: &[u8], frames: &mut impl Extend<Frame>) -> Result<(), FrameTooLong> {
        for &byte in bytes {
            // CRLF is one line end, also where it is cut in two.
            let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => self.end_line(frames)?,
                _ if self.line.len() >= MAX_FRAME_BYTES => return Err(FrameTooLong),
                _ => self.line.push(byte),
            }
        }
        Ok(())
    }

    /// The bytes are at their end: a last line and a last event need no line end.
    ///
    /// # Errors
    /// [`FrameTooLong`].
    pub fn finish(&mut self, frames: &mut impl Extend<Frame>) -> Result<(), FrameTooLong> {
        if !self.line.is_empty() {
            self.end_line(frames)?;
        }
        self.dispatch(frames);
        Ok(())
    }

    fn end_line(&mut self, frames: &mut impl Extend<Frame>) -> Result<(), FrameTooLong> {
        let bytes = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&bytes);
        let mut line: &str = &text;
        if !self.started {
            self.started = true;
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.is_empty() {
            self.dispatch(frames);
            return Ok(());
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => self.data(value, frames)?,
            "event" => self.event = value.to_owned(),
            // llama.cpp used to write an error as a field of its own.
            "error" => {
                self.event = "error".to_owned();
                self.data(value, frames)?;
            }
            // A comment (empty name), `id`, `retry`, and what we do not know.
            _ => {}
        }
        Ok(())
    }

    /// One `data` line. Servers put one JSON value into one line, and some leave out the empty line after it: a line
    /// that is complete by itself is therefore a frame at once, which also shows it without delay.
    fn data(&mut self, value: &str, frames: &mut impl Extend<Frame>) -> Result<(), FrameTooLong> {
        if !self.has_data
            && let Some(frame) = complete(&self.event, value)
        {
            frames.extend([frame]);
            return Ok(());
        }
        if self.data.len() + value.len() >= MAX_FRAME_BYTES {
            return Err(FrameTooLong);
        }
        if self.has_data {
            self.data.push('\n');
        }
        self.has_data = true;
        self.data.push_str(value);
        Ok(())
    }

    fn dispatch(&mut self, frames: &mut impl Extend<Frame>) {
        let event = std::mem::take(&mut self.event);
        let data = std::mem::take(&mut self.data);
        if std::mem::take(&mut self.has_data) && !data.trim().is_empty() {
            let frame = complete(&event, &data).unwrap_or(Frame::Text(event, data));
            frames.extend([frame]);
        }
    }
}

fn complete(event: &str, data: &str) -> Option<Frame> {
    let data = data.trim();
    if data == "[DONE]" {
        return Some(Frame::Done);
    }
    // Only objects: a bare `1` is also JSON, but may be the first line of something longer.
    let value: Value = serde_json::from_str(data).ok()?;
    value.is_object().then(|| Frame::Json(event.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn decode(chunks: &[&[u8]]) -> Result<Vec<Frame>, FrameTooLong> {
        let mut decoder = Decoder::default();
        let mut frames = Vec::new();
        for chunk in chunks {
            decoder.push(chunk, &mut frames)?;
        }
        decoder.finish(&mut frames)?;
        Ok(frames)
    }

    fn object(n: u32) -> Frame {
        Frame::Json(String::new(), json!({ "n": n }))
    }

    #[test]
    fn line_ends_comments_fields_and_a_missing_last_line_end() {
        let two = vec![object(1), object(2), Frame::Done];
        for text in [
            "data: {\"n\":1}\n\ndata: {\"n\":2}\n\ndata: [DONE]\n\n",
            "\u{feff}data: {\"n\":1}\r\n\r\ndata: {\"n\":2}\r\n\r\ndata: [DONE]\r\n\r\n",
            "data: {\"n\":1}\r\rdata: {\"n\":2}\r\rdata: [DONE]",
            ": ping\ndata:{\"n\":1}\n\n:\n\nid: 7\nretry: 3\nunknown: x\nnocolon\ndata:  {\"n\":2} \n\ndata:[DONE]",
            "data: {\"n\":1}\ndata: {\"n\":2}\ndata: [DONE]\n",
            "\n\n\ndata: \n\ndata\n\ndata: {\ndata: \"n\":1}\n\ndata: {\"n\":2}\n\ndata: [DONE]",
        ] {
            assert_eq!(decode(&[text.as_bytes()]).unwrap(), two, "{text:?}");
        }
    }

    #[test]
    fn names_errors_and_rubbish() {
        assert_eq!(
            decode(&[b"event: error\ndata: {\"n\":1}\n\ndata: {\"n\":2}\n\n"]).unwrap(),
            vec![Frame::Json("error".into(), json!({"n":1})), object(2)]
        );
        assert_eq!(
            decode(&[b"error: {\"code\":500}\n\n"]).unwrap(),
            vec![Frame::Json("error".into(), json!({"code":500}))]
        );
        assert_eq!(decode(&[b"data: oops\xff\n\n"]).unwrap(), vec![Frame::Text(String::new(), "oops\u{fffd}".into())]);
    }

    #[test]
    fn what_is_held_is_bounded() {
        let long = vec![b'x'; MAX_FRAME_BYTES + 1];
        assert_eq!(decode(&[b"data: ", &long]), Err(FrameTooLong));
        let line = [b"data: ".as_slice(), &vec![b'x'; MAX_FRAME_BYTES / 2], b"\n"].concat();
        assert_eq!(decode(&[&line, &line, &line]), Err(FrameTooLong));
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_frames(
            lines in proptest::collection::vec(
                prop_oneof![
                    Just("data: {\"t\":\"é€😀\"}".to_owned()), Just(String::new()), Just("data: {".to_owned()),
                    Just("data: [DONE]".to_owned()), Just("event: error".to_owned()), Just(": c".to_owned()),
                    "[a-z:{} ]{0,12}", "\\PC{0,8}",
                ], 0..20),
            ends in proptest::collection::vec(0_usize..3, 20),
            cuts in proptest::collection::vec(0_usize..400, 0..12),
        ) {
            let mut bytes = Vec::new();
            for (line, end) in lines.iter().zip(ends) {
                bytes.extend_from_slice(line.as_bytes());
                bytes.extend_from_slice([b"\n".as_slice(), b"\r\n", b"\r"][end]);
            }
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for cut in cuts {
                chunks.push(&bytes[from..cut]);
                from = cut;
            }
            chunks.push(&bytes[from..]);
            prop_assert_eq!(decode(&chunks), decode(&[&bytes]));
            let single: Vec<_> = bytes.chunks(1).collect();
            prop_assert_eq!(decode(&single), decode(&[&bytes]));
        }
    }
}
